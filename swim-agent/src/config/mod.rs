//! What an agent can be told, and how several sources become one configuration.
//!
//! Later sources win: built-in defaults, then files in the order they were named, then flags. Scalars override when
//! they are non-empty, non-zero or true; tags merge by key; addresses to join append (Serf: `config.go`, MergeConfig).
//! `file` reads JSON, `duration` and `key` read what Go programs write; `address` turns texts into socket addresses, and
//! `secret` is not shown.

pub(crate) mod address;
pub(crate) mod duration;
pub(crate) mod file;
pub(crate) mod key;
pub(crate) mod secret;

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::secret::Secret;

/// Everything that flags and files can say; empty, zero or false where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) node_name: String,
    pub(crate) role: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) bind: String,
    pub(crate) interface: String,
    pub(crate) advertise: String,
    pub(crate) encrypt_key: Secret,
    pub(crate) encrypt_verify_incoming: Option<bool>,
    pub(crate) encrypt_verify_outgoing: Option<bool>,
    pub(crate) start_join: Vec<String>,
    pub(crate) replay_on_join: bool,
    pub(crate) retry_join: Vec<String>,
    pub(crate) retry_interval: Option<Duration>,
    pub(crate) retry_max_attempts: u64,
    pub(crate) log_level: String,
    pub(crate) profile: String,
    pub(crate) wire: String,
    pub(crate) protocol: u64,
    pub(crate) rpc_addr: String,
    pub(crate) rpc_auth: Secret,
    pub(crate) disable_compression: bool,
    pub(crate) broadcast_timeout: Option<Duration>,
    pub(crate) leave_on_terminate: bool,
    pub(crate) skip_leave_on_interrupt: bool,
    pub(crate) reconnect_timeout: Option<Duration>,
    pub(crate) tombstone_timeout: Option<Duration>,
    pub(crate) snapshot_path: String,
    pub(crate) record_path: String,
    pub(crate) record_size_limit: u64,
    pub(crate) rejoin_after_leave: bool,
    pub(crate) event_handlers: Vec<String>,
    pub(crate) handlers_at_once: u64,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) handler_queue: u64,
    pub(crate) handler_skip_busy: bool,
    pub(crate) tags_file: String,
    pub(crate) keyring_file: String,
    pub(crate) disable_coordinates: bool,
    pub(crate) disable_name_resolution: bool,
    pub(crate) validate_node_names: bool,
    pub(crate) query_size_limit: u64,
    pub(crate) query_response_size_limit: u64,
    pub(crate) user_event_size_limit: u64,
    pub(crate) reconnect_interval: Option<Duration>,
    pub(crate) log_format: String,
    pub(crate) enable_syslog: bool,
    pub(crate) syslog_facility: String,
    pub(crate) statsd_addr: String,
    pub(crate) statsite_addr: String,
    pub(crate) metrics_addr: String,
    pub(crate) dns_servers: Vec<String>,
    pub(crate) discover: String,
    pub(crate) mdns_interface: String,
    pub(crate) mdns_disable_ipv4: bool,
    pub(crate) mdns_disable_ipv6: bool,
}

impl Settings {
    /// What holds when nothing is said.
    pub(crate) fn defaults() -> Self {
        Self {
            bind: "0.0.0.0".into(),
            log_level: "INFO".into(),
            profile: "lan".into(),
            wire: "native".into(),
            protocol: 5,
            rpc_addr: "127.0.0.1:7373".into(),
            retry_interval: Some(Duration::from_secs(30)),
            broadcast_timeout: Some(Duration::from_secs(5)),
            handlers_at_once: 1,
            handler_queue: 64,
            log_format: "text".into(),
            syslog_facility: "LOCAL0".into(),
            ..Self::default()
        }
    }

    /// Takes over what `later` says.
    pub(crate) fn merge(&mut self, later: Self) {
        let Self {
            node_name,
            role,
            tags,
            bind,
            interface,
            advertise,
            encrypt_key,
            encrypt_verify_incoming,
            encrypt_verify_outgoing,
            start_join,
            replay_on_join,
            retry_join,
            retry_interval,
            retry_max_attempts,
            log_level,
            profile,
            wire,
            protocol,
            rpc_addr,
            rpc_auth,
            disable_compression,
            broadcast_timeout,
            leave_on_terminate,
            skip_leave_on_interrupt,
            reconnect_timeout,
            tombstone_timeout,
            snapshot_path,
            record_path,
            record_size_limit,
            rejoin_after_leave,
            event_handlers,
            handlers_at_once,
            handler_timeout,
            handler_queue,
            handler_skip_busy,
            tags_file,
            keyring_file,
            disable_coordinates,
            disable_name_resolution,
            validate_node_names,
            query_size_limit,
            query_response_size_limit,
            user_event_size_limit,
            reconnect_interval,
            log_format,
            enable_syslog,
            syslog_facility,
            statsd_addr,
            statsite_addr,
            metrics_addr,
            dns_servers,
            discover,
            mdns_interface,
            mdns_disable_ipv4,
            mdns_disable_ipv6,
        } = later;
        for (mine, theirs) in [
            (&mut self.node_name, node_name),
            (&mut self.role, role),
            (&mut self.bind, bind),
            (&mut self.interface, interface),
            (&mut self.advertise, advertise),
            (&mut self.log_level, log_level),
            (&mut self.profile, profile),
            (&mut self.wire, wire),
            (&mut self.rpc_addr, rpc_addr),
            (&mut self.snapshot_path, snapshot_path),
            (&mut self.record_path, record_path),
            (&mut self.tags_file, tags_file),
            (&mut self.keyring_file, keyring_file),
            (&mut self.log_format, log_format),
            (&mut self.syslog_facility, syslog_facility),
            (&mut self.statsd_addr, statsd_addr),
            (&mut self.statsite_addr, statsite_addr),
            (&mut self.metrics_addr, metrics_addr),
            (&mut self.discover, discover),
            (&mut self.mdns_interface, mdns_interface),
        ] {
            if !theirs.is_empty() {
                *mine = theirs;
            }
        }
        for (mine, theirs) in [(&mut self.encrypt_key, encrypt_key), (&mut self.rpc_auth, rpc_auth)] {
            if !theirs.is_empty() {
                *mine = theirs;
            }
        }
        for (mine, theirs) in [
            (&mut self.retry_interval, retry_interval),
            (&mut self.broadcast_timeout, broadcast_timeout),
            (&mut self.reconnect_interval, reconnect_interval),
            (&mut self.reconnect_timeout, reconnect_timeout),
            (&mut self.tombstone_timeout, tombstone_timeout),
            (&mut self.handler_timeout, handler_timeout),
        ] {
            *mine = theirs.filter(|theirs| !theirs.is_zero()).or(*mine);
        }
        for (mine, theirs) in [
            (&mut self.protocol, protocol),
            (&mut self.retry_max_attempts, retry_max_attempts),
            (&mut self.handlers_at_once, handlers_at_once),
            (&mut self.handler_queue, handler_queue),
            (&mut self.record_size_limit, record_size_limit),
            (&mut self.query_size_limit, query_size_limit),
            (&mut self.query_response_size_limit, query_response_size_limit),
            (&mut self.user_event_size_limit, user_event_size_limit),
        ] {
            if theirs > 0 {
                *mine = theirs;
            }
        }
        self.encrypt_verify_incoming = encrypt_verify_incoming.or(self.encrypt_verify_incoming);
        self.encrypt_verify_outgoing = encrypt_verify_outgoing.or(self.encrypt_verify_outgoing);
        self.replay_on_join |= replay_on_join;
        self.disable_compression |= disable_compression;
        self.leave_on_terminate |= leave_on_terminate;
        self.skip_leave_on_interrupt |= skip_leave_on_interrupt;
        self.rejoin_after_leave |= rejoin_after_leave;
        self.handler_skip_busy |= handler_skip_busy;
        self.disable_coordinates |= disable_coordinates;
        self.disable_name_resolution |= disable_name_resolution;
        self.validate_node_names |= validate_node_names;
        self.enable_syslog |= enable_syslog;
        self.mdns_disable_ipv4 |= mdns_disable_ipv4;
        self.mdns_disable_ipv6 |= mdns_disable_ipv6;
        self.event_handlers.extend(event_handlers);
        self.tags.extend(tags);
        self.start_join.extend(start_join);
        self.retry_join.extend(retry_join);
        self.dns_servers.extend(dns_servers);
    }
}

/// Where to read settings from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    /// Every `*.json` directly in it, in byte order of the names.
    Directory(PathBuf),
}

/// Merges defaults, `sources` and `flags`. The error is one message for a person.
pub(crate) fn load(defaults: Settings, sources: &[Source], flags: &Settings) -> Result<Settings, String> {
    let mut settings = defaults;
    for source in sources {
        match source {
            Source::File(path) => settings.merge(file::read(path)?),
            Source::Directory(path) => {
                for path in file::list(path)? {
                    settings.merge(file::read(&path)?);
                }
            }
        }
    }
    settings.merge(flags.clone());
    Ok(settings)
}

/// Splits `key=value`; the value may contain `=`, the key may not be empty.
pub(crate) fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("Error: Invalid tag: '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_wins_where_it_says_something() {
        let mut settings = Settings::defaults();
        settings.merge(Settings {
            node_name: "a".into(),
            protocol: 4,
            replay_on_join: true,
            tags: BTreeMap::from([("x".into(), "1".into()), ("y".into(), "1".into())]),
            start_join: vec!["one".into()],
            retry_interval: Some(Duration::from_secs(60)),
            ..Settings::default()
        });
        settings.merge(Settings {
            node_name: String::new(),
            bind: "127.0.0.1".into(),
            tags: BTreeMap::from([("y".into(), "2".into())]),
            start_join: vec!["two".into()],
            retry_interval: Some(Duration::ZERO),
            ..Settings::default()
        });
        let expected = Settings {
            node_name: "a".into(),
            protocol: 4,
            replay_on_join: true,
            tags: BTreeMap::from([("x".into(), "1".into()), ("y".into(), "2".into())]),
            start_join: vec!["one".into(), "two".into()],
            retry_interval: Some(Duration::from_secs(60)),
            bind: "127.0.0.1".into(),
            ..Settings::defaults()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn tags() {
        assert_eq!(parse_tag("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parse_tag("a="), Ok(("a".into(), String::new())));
        assert_eq!(parse_tag("x"), Err("Error: Invalid tag: 'x'".into()));
        assert_eq!(parse_tag("=x"), Err("Error: Invalid tag: '=x'".into()));
    }
}
