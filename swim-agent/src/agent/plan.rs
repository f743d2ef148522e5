//! Everything that can be wrong before anything starts is found here.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use swim_tokio::swim_core::ids::Name;
use swim_tokio::swim_core::node::config::NAME_LEN_MAX;
use swim_tokio::swim_core::swim::admission::{Admission, Candidate, Refusal};
use swim_tokio::swim_core::wire;
use swim_tokio::swim_core::wire::keyring::Key;
use swim_tokio::{Options, TraceOptions};
use tracing::{info, warn};

use crate::agent::{Launch, dev, files};
use crate::config::address::{self, resolve};
use crate::config::{self, Settings, key};
use crate::discovery::multicast::{self, Wanted};
use crate::discovery::srv::{self, Services};
use crate::events::handlers::Handler;
use crate::log::console::Console;
use crate::log::syslog::Syslog;
use crate::log::{Format, Level};
use crate::rpc::listener::Endpoint;

/// Settings that hold together, and what follows from them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) rpc: Endpoint,
    /// Where to serve metrics.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) log_level: Level,
    pub(crate) log_format: Format,
    pub(crate) syslog: Option<Syslog>,
    pub(crate) handlers: Vec<Arc<Handler>>,
    pub(crate) services: Services,
    /// Whether and where to be discovered.
    pub(crate) discovery: Option<multicast::Plan>,
}

impl Plan {
    /// Reads and checks. Warnings go to `console`; the error is one message for a person.
    pub(crate) fn new(launch: &Launch, console: &Console) -> Result<Self, String> {
        let mut settings = load(launch)?;
        let log_format = Format::from_name(&settings.log_format)?;
        console.set_format(log_format);
        correct(&mut settings, |warning| console.say(warning));
        key::decode(&settings.encrypt_key).map_err(|error| format!("Invalid encryption key: {error}"))?;
        let handlers = Handler::parse_all(&settings.event_handlers)?;
        let log_level = Level::from_name(&settings.log_level).map_err(|error| error.to_string())?;
        let syslog = settings.enable_syslog.then(|| Syslog::new(&settings.syslog_facility));
        let syslog = syslog.transpose().map_err(|error| format!("Syslog setup failed: {error}"))?;

        let mut bind =
            resolve(&settings.bind, address::PORT).map_err(|error| format!("Invalid bind address: {error}"))?;
        if !settings.interface.is_empty() {
            let (chosen, notice) = address::on_interface(&settings.interface, bind)?;
            bind = chosen;
            notice.iter().for_each(|notice| console.say(notice));
        }
        let advertise = if settings.advertise.is_empty() {
            None
        } else {
            let advertise = resolve(&settings.advertise, address::PORT);
            Some(advertise.map_err(|error| format!("Invalid advertise address: {error}"))?)
        };
        let rpc = Endpoint::parse(&settings.rpc_addr).map_err(|error| format!("Invalid RPC address: {error}"))?;
        let metrics = metrics_address(&settings.metrics_addr).map_err(|e| format!("Invalid metrics address: {e}"))?;
        if launch.dev {
            dev::check_loopback("-bind", bind)?;
            if let Endpoint::Tcp(rpc) = rpc {
                dev::check_loopback("-rpc-addr", rpc)?;
            }
            advertise.map_or(Ok(()), |advertise| dev::check_loopback("-advertise", advertise))?;
            dev::check_interface("-mdns-iface", &settings.mdns_interface)?;
            metrics.map_or(Ok(()), |metrics| dev::check_loopback("-metrics-addr", metrics))?;
        }

        let nameservers = srv::nameservers(&settings.dns_servers);
        let services = Services::new(nameservers.map_err(|error| format!("Invalid DNS server: {error}"))?);
        let discovery = discovery(&settings, bind)?;

        let name = node_name(&settings);
        let mut options = match settings.profile.as_str() {
            "lan" => Options::lan(name, bind),
            "wan" => Options::wan(name, bind),
            "local" => Options::local(name, bind),
            other => return Err(format!("Unknown profile: {other}")),
        };
        options.advertise = advertise;
        if !settings.replay_on_join {
            // Found without a join, a cluster does not tell its old user events, so where they are wanted it must be a
            // join that finds it first; those whom that reaches are not given up either.
            // Names of services are only known here; whom they lead to is kept as well.
            let seeds = settings.start_join.iter().chain(&settings.retry_join);
            options.seeds = seeds.filter(|seed| !srv::is_service(seed)).cloned().collect();
        }
        options.snapshot = (!settings.snapshot_path.is_empty()).then(|| settings.snapshot_path.clone().into());
        options.rejoin_after_leave = settings.rejoin_after_leave;
        options.trace = trace(&settings);
        configure(&mut options, &settings)?;
        Ok(Self { settings, options, rpc, metrics, log_level, log_format, syslog, handlers, services, discovery })
    }

    /// Takes in the keys and what an earlier run has kept. The order of faults is Serf's, which finds these when it has
    /// said that it starts.
    pub(crate) fn complete(&mut self) -> Result<(), String> {
        let Self { options, settings, .. } = self;
        read_files(options, settings).map_err(|error| format!("Failed to setup the Serf agent: {error}"))?;
        let failed = |error: &str| format!("Failed to start the Serf agent: Error creating Serf: {error}");
        if settings.validate_node_names
            && let Err(refusal) = VALID_NAMES(options.config.name.as_bytes())
        {
            return Err(failed(&format!("{refusal}: '{}'", options.config.name)));
        }
        if !settings.encrypt_key.is_empty() {
            let key = key::decode(&settings.encrypt_key).map_err(|error| failed(&error))?;
            let key = Key::new(&key)
                .map_err(|_| failed("Failed to create memberlist: key size must be 16, 24 or 32 bytes"))?;
            options.config.wire.keyring.add(key).map_err(|error| failed(&error.to_string()))?;
        }
        Ok(())
    }
}

/// Reads and merges all sources.
pub(crate) fn load(launch: &Launch) -> Result<Settings, String> {
    let defaults = if launch.dev { dev::defaults() } else { Settings::defaults() };
    config::load(defaults, &launch.sources, &launch.flags)
}

/// Corrects what Serf corrects, with a word to `warn`.
pub(crate) fn correct(settings: &mut Settings, warn: impl Fn(&str)) {
    if !settings.role.is_empty() {
        warn("Deprecation warning: 'Role' has been replaced with 'Tags'");
        let role = settings.role.clone();
        settings.tags.insert("role".into(), role);
    }
    if settings.rejoin_after_leave && settings.snapshot_path.is_empty() {
        warn("Warning: 'RejoinAfterLeave' enabled without snapshot file");
    }
    for (name, interval) in
        [("RetryInterval", &mut settings.retry_interval), ("BroadcastTimeout", &mut settings.broadcast_timeout)]
    {
        if interval.is_some_and(|interval| interval < SHORTEST) {
            warn(&format!("Warning: '{name}' is too low. Setting to 1s"));
            *interval = Some(SHORTEST);
        }
    }
}

/// Takes over what the settings say of the node.
pub(crate) fn configure(options: &mut Options, settings: &Settings) -> Result<(), String> {
    let config = &mut options.config;
    config.tags = settings.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    config.wire = match settings.wire.as_str() {
        "native" => wire::Config::native(),
        "serf" => wire::Config::serf(),
        other => return Err(format!("Unknown wire format: {other}. There are: native, serf")),
    };
    config.wire.compression = !settings.disable_compression;
    config.wire.verify_incoming = settings.encrypt_verify_incoming.unwrap_or(true);
    config.wire.verify_outgoing = settings.encrypt_verify_outgoing.unwrap_or(true);
    if config.wire.verify_incoming && !config.wire.verify_outgoing {
        return Err("encrypt_verify_outgoing is off and encrypt_verify_incoming is on: with a key, the agent would refuse \
                    what others like it send. While a cluster gets its key, both are off, then the first is on, then both"
            .to_owned());
    }
    // Serf's agent has these fixed.
    (config.serf.coalesce_period, config.serf.quiescent_period) = (COALESCE_PERIOD, QUIESCENT_PERIOD);
    (config.serf.user_coalesce_period, config.serf.user_quiescent_period) = (COALESCE_PERIOD, QUIESCENT_PERIOD);
    config.serf.protocol = u8::try_from(settings.protocol).unwrap_or(u8::MAX);
    for (field, value) in [
        (&mut config.serf.broadcast_timeout, settings.broadcast_timeout),
        (&mut config.serf.reconnect_interval, settings.reconnect_interval),
        (&mut config.serf.reconnect_timeout, settings.reconnect_timeout),
        (&mut config.serf.tombstone_timeout, settings.tombstone_timeout),
    ] {
        if let Some(value) = value {
            *field = value;
        }
    }
    for (field, value) in [
        (&mut config.serf.query_size_limit, settings.query_size_limit),
        (&mut config.serf.query_response_size_limit, settings.query_response_size_limit),
        (&mut config.serf.user_event_size_limit, settings.user_event_size_limit),
    ] {
        if value > 0 {
            *field = usize::try_from(value).unwrap_or(usize::MAX);
        }
    }
    config.serf.coordinates = !settings.disable_coordinates;
    config.serf.resolve_name_conflicts = !settings.disable_name_resolution;
    config.admission = settings.validate_node_names.then_some(Admission {
        name: "valid-node-names",
        admit: |candidate: &Candidate<'_>| VALID_NAMES(candidate.name),
    });
    Ok(())
}

/// The recording that is asked for. An agent is started again with the same settings, so an earlier one must not be in its
/// way.
fn trace(settings: &Settings) -> Option<TraceOptions> {
    let mut options = TraceOptions { move_old: true, ..TraceOptions::new(&settings.record_path) };
    if settings.record_size_limit > 0 {
        options.bytes_max = settings.record_size_limit;
    }
    (!settings.record_path.is_empty()).then_some(options)
}

/// What Serf's library demands of names when it is told to (Serf: `serf.go`, ValidateNodeNames).
const VALID_NAMES: fn(&[u8]) -> Result<(), Refusal> = |name| {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(Refusal("Node name is not of 1 to 128 bytes"));
    }
    if name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
        Ok(())
    } else {
        Err(Refusal("Node name contains characters other than letters, digits, dashes and dots"))
    }
};

/// `None`: nobody wants to be discovered.
fn discovery(settings: &Settings, bind: SocketAddr) -> Result<Option<multicast::Plan>, String> {
    if settings.discover.is_empty() {
        return match &*settings.mdns_interface {
            "" => Ok(None),
            _ => Err("mDNS interface specified without enabling mDNS discovery".to_owned()),
        };
    }
    let interface = if settings.mdns_interface.is_empty() { &settings.interface } else { &settings.mdns_interface };
    let wanted = Wanted {
        cluster: &settings.discover,
        interface,
        disable_v4: settings.mdns_disable_ipv4,
        disable_v6: settings.mdns_disable_ipv6,
        bind: bind.ip(),
        replay: settings.replay_on_join,
    };
    multicast::Plan::new(wanted).map(Some)
}

/// `None`: nobody wants them.
fn metrics_address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = resolve(text, 0)?;
    // A free one is only meant if it is asked for.
    if address.port() == 0 && !text.ends_with(":0") {
        return Err(format!("'{text}' has no port"));
    }
    Ok(Some(address))
}

/// Takes in tags and keys that an earlier run has kept.
fn read_files(options: &mut Options, settings: &Settings) -> Result<(), String> {
    let config = &mut options.config;
    if !settings.tags_file.is_empty() {
        if !settings.tags.is_empty() {
            return Err(TAGS_TWICE.to_owned());
        }
        if let Some(tags) = files::read_tags(settings.tags_file.as_ref())? {
            info!(target: "agent", "Restored {} tag(s) from {}", tags.len(), settings.tags_file);
            config.tags = tags.into_iter().collect();
        }
    }
    if !settings.keyring_file.is_empty() {
        if !settings.encrypt_key.is_empty() {
            return Err("Encryption key not allowed while using a keyring".to_owned());
        }
        config.wire.keyring = files::read_keyring(settings.keyring_file.as_ref())?;
        let count = config.wire.keyring.keys().len();
        info!(target: "agent", "Restored keyring with {count} keys from {}", settings.keyring_file);
        if let Err(error) = files::check_replaceable(settings.keyring_file.as_ref()) {
            warn!(
                target: "agent",
                "Cannot replace keyring file {}: {error}. Changes of keys will be reported as failed, as the next start \
                 would not know them",
                settings.keyring_file
            );
        }
        config.serf.keyring_stored = true;
    }
    Ok(())
}

fn node_name(settings: &Settings) -> Name {
    match settings.node_name.as_str() {
        "" => gethostname::gethostname().as_encoded_bytes().into(),
        name => name.into(),
    }
}

/// Which of them counts must not be a question.
pub(crate) const TAGS_TWICE: &str = "Tags config not allowed while using tag files";

/// Intervals below this would only make noise.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long what happens is gathered at most, before handlers and streams are told.
const COALESCE_PERIOD: Duration = Duration::from_secs(3);
/// They are told earlier when nothing has happened for so long.
const QUIESCENT_PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names() {
        let longest = "a".repeat(NAME_LEN_MAX);
        let too_long = "a".repeat(NAME_LEN_MAX + 1);
        let table: [(&str, bool); 7] = [
            ("web-1.example", true),
            (&longest, true),
            ("", false),
            (&too_long, false),
            ("web_1", false),
            ("w b", false),
            ("wéb", false),
        ];
        for (name, valid) in table {
            assert_eq!(VALID_NAMES(name.as_bytes()).is_ok(), valid, "{name}");
        }
    }

    #[test]
    fn steps_towards_a_key() {
        let configured = |incoming, outgoing| {
            let mut options = Options::lan("a", "127.0.0.1:0".parse().unwrap());
            let (encrypt_verify_incoming, encrypt_verify_outgoing) = (incoming, outgoing);
            let settings = Settings { encrypt_verify_incoming, encrypt_verify_outgoing, ..Settings::defaults() };
            configure(&mut options, &settings).map(|()| {
                let wire::Config { verify_incoming, verify_outgoing, .. } = options.config.wire;
                (verify_incoming, verify_outgoing)
            })
        };
        assert_eq!(configured(None, None), Ok((true, true)));
        assert_eq!(configured(Some(false), None), Ok((false, true)));
        assert_eq!(configured(Some(false), Some(false)), Ok((false, false)));
        let error = configured(None, Some(false)).unwrap_err();
        assert!(error.starts_with("encrypt_verify_outgoing is off and encrypt_verify_incoming is on"), "{error}");
    }

    #[test]
    fn addresses_for_metrics() {
        assert_eq!(metrics_address(""), Ok(None));
        assert_eq!(metrics_address("127.0.0.1:9100"), Ok(Some("127.0.0.1:9100".parse().unwrap())));
        assert_eq!(metrics_address("127.0.0.1:0"), Ok(Some("127.0.0.1:0".parse().unwrap())));
        for bad in ["127.0.0.1", "127.0.0.1:x", "[::1]"] {
            assert!(metrics_address(bad).is_err(), "{bad}");
        }
    }
}
