//! `agent`

use std::process::ExitCode;

use crate::agent::{Launch, run as run_agent};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::{Command, Failure};
use crate::config::duration::parse_duration;
use crate::config::{Settings, Source, parse_tag};

const fn text(name: &'static str, hint: &'static str, help: &'static str) -> Flag {
    Flag { name, kind: Kind::Text, hint, help }
}

const fn boolean(name: &'static str, help: &'static str) -> Flag {
    Flag { name, kind: Kind::Bool, hint: "", help }
}

const fn int(name: &'static str, hint: &'static str, help: &'static str) -> Flag {
    Flag { name, kind: Kind::Int, hint, help }
}

pub(crate) const COMMAND: Command = Command {
    name: "agent",
    synopsis: "Runs an agent",
    usage: "[options]",
    about: "\
Runs an agent, one member of a cluster, until it is interrupted.",
    flags: Some(&[
        text("bind", "=0.0.0.0:7946", "Address to listen on for the cluster. IPv6: [::1] or [::1]:7946."),
        text(
            "iface",
            "=name",
            "Network interface to listen on, in place of -bind. With both, the\ninterface must have the address.",
        ),
        text("advertise", "=addr", "Address told to the other members, if not the one bound to."),
        text("config-file", "=path", "JSON file to read settings from. May be given several times."),
        text(
            "config-dir",
            "=path",
            "Directory whose *.json files to read settings from, in order of\ntheir names. May be given several times.",
        ),
        boolean("dev", "For a first try: on 127.0.0.1 only, quick to notice failures,\nand it says what to type next."),
        text("discover", "=name", "Join the members of this cluster that are found by mDNS."),
        text("mdns-iface", "=name", "Network interface to look on; the one of -iface otherwise."),
        boolean("mdns-disable-ipv4", "Do not look by IPv4."),
        boolean("mdns-disable-ipv6", "Do not look by IPv6."),
        text(
            "dns-server",
            "=addr",
            "Nameserver for SRV records, in place of the system's. May be given\nseveral times.",
        ),
        text("encrypt", "=key", "Key to encrypt the cluster's traffic with; see keygen."),
        boolean(
            "encrypt-verify-incoming",
            "With =false, accept plain packets, too, while a running cluster gets\na key.",
        ),
        boolean(
            "encrypt-verify-outgoing",
            "With =false, send plain packets all the same, until all members have\nthe key.",
        ),
        text(
            "event-handler",
            "=command",
            "Command to run on events. With filter=command, only on these:\nmember-join, member-leave, member-failed, member-update, member-reap,\nuser, user:NAME, query, query:NAME. May be given several times.",
        ),
        int("handlers-at-once", "=1", "Event handlers that run at the same time."),
        int("handler-queue", "=64", "Events that wait for one handler; more are dropped."),
        boolean("handler-skip-busy", "Drop an event for a handler that still runs."),
        text("handler-timeout", "=1m", "How long a handler may run before it is killed. Default: no limit."),
        text(
            "join",
            "=addr",
            "Member to join at start; the agent ends if none can be reached.\n_service._tcp.domain stands for those in its SRV records. May be given\nseveral times.",
        ),
        text("keyring-file", "=path", "File with the keys of the cluster; changes of keys are written to it."),
        text("log-format", "=text", "Form of the log: text, or json for one JSON object a line."),
        text("log-level", "=info", "trace, debug, info, warn or err."),
        text("metrics-addr", "=addr:port", "Address to serve metrics on, for Prometheus:\nhttp://addr:port/metrics."),
        text("node", "=hostname", "Name of this member, unique in the cluster."),
        text("profile", "=lan", "Timing: lan, wan or local."),
        int("protocol", "=5", "Serf protocol version to speak, for upgrades."),
        text("retry-join", "=addr", "Member to join, again and again until it works. May be given\nseveral times."),
        text("retry-interval", "=30s", "Time between two of those attempts."),
        int("retry-max", "=0", "How many more attempts after the first; 0 for no limit."),
        text("record", "=path", "File to record in what this member hears and is asked, for\nswim-sim replay."),
        boolean("rejoin", "Come back to the members in the snapshot even after a leave."),
        boolean("replay", "Replay old user events on joining."),
        boolean("disable-compression", "Send nothing compressed."),
        text("broadcast-timeout", "=5s", "How long leaving and the like wait for the news to spread."),
        text("role", "=foo", "Deprecated: the tag role."),
        text(
            "rpc-addr",
            "=127.0.0.1:7373",
            "Address to listen on for the other commands, or unix:/path for a\nsocket that only this user may connect to.",
        ),
        text("snapshot", "=path", "File to keep the members in, to come back to them after a restart."),
        boolean("syslog", "Send the log to the system's log as well."),
        text("tags-file", "=path", "File to keep the tags in that are set while the agent runs."),
        text("tag", " key=value", "Tag of this member. May be given several times."),
        text("wire", "=native", "Format on the network: native, or serf to be a member of a cluster\nof Serf agents."),
    ]),
    prefix: "==> ",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let flags = settings(parsed).map_err(Failure::Message)?;
    let sources = parsed.iter().filter_map(|(name, value)| match name {
        "config-file" => Some(Source::File(value.into())),
        "config-dir" => Some(Source::Directory(value.into())),
        _ => None,
    });
    Ok(run_agent(&Launch { flags, sources: sources.collect(), dev: parsed.is_on("dev") }))
}

fn settings(parsed: &Parsed) -> Result<Settings, String> {
    let text = |name| parsed.text(name).unwrap_or_default().to_owned();
    let texts = |name| parsed.all(name).map(str::to_owned).collect();
    let duration = |name| {
        let given = parsed.text(name).filter(|text| !text.is_empty());
        given.map(parse_duration).transpose().map_err(|error| format!("Error: {error}"))
    };
    // What is below zero overrides nothing, like zero.
    let count = |name| parsed.int(name).and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
    Ok(Settings {
        tags: parsed.all("tag").map(parse_tag).collect::<Result<_, _>>()?,
        broadcast_timeout: duration("broadcast-timeout")?,
        retry_interval: duration("retry-interval")?,
        handler_timeout: duration("handler-timeout")?,
        node_name: text("node"),
        role: text("role"),
        bind: text("bind"),
        interface: text("iface"),
        advertise: text("advertise"),
        encrypt_key: text("encrypt").into(),
        encrypt_verify_incoming: parsed.choice("encrypt-verify-incoming"),
        encrypt_verify_outgoing: parsed.choice("encrypt-verify-outgoing"),
        start_join: texts("join"),
        replay_on_join: parsed.is_on("replay"),
        retry_join: texts("retry-join"),
        retry_max_attempts: count("retry-max"),
        log_level: text("log-level"),
        profile: text("profile"),
        wire: text("wire"),
        protocol: count("protocol"),
        rpc_addr: text("rpc-addr"),
        snapshot_path: text("snapshot"),
        record_path: text("record"),
        rejoin_after_leave: parsed.is_on("rejoin"),
        disable_compression: parsed.is_on("disable-compression"),
        event_handlers: texts("event-handler"),
        handlers_at_once: count("handlers-at-once"),
        handler_queue: count("handler-queue"),
        handler_skip_busy: parsed.is_on("handler-skip-busy"),
        tags_file: text("tags-file"),
        keyring_file: text("keyring-file"),
        log_format: text("log-format"),
        enable_syslog: parsed.is_on("syslog"),
        metrics_addr: text("metrics-addr"),
        dns_servers: texts("dns-server"),
        discover: text("discover"),
        mdns_interface: text("mdns-iface"),
        mdns_disable_ipv4: parsed.is_on("mdns-disable-ipv4"),
        mdns_disable_ipv6: parsed.is_on("mdns-disable-ipv6"),
        ..Settings::default()
    })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::collections::BTreeMap;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Settings, String> {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        settings(&Parsed::new(COMMAND.flags.unwrap(), &arguments).unwrap())
    }

    #[test]
    fn flags_become_settings() {
        let settings = parse(&[
            "-node=n",
            "--bind",
            "127.0.0.1",
            "-join=a",
            "-join",
            "b",
            "-retry-join=c",
            "-retry-interval=1m",
            "-retry-max=2",
            "-tag",
            "k=v=w",
            "-tag=x=",
            "-replay",
            "-protocol=4",
            "-encrypt=key",
            "-encrypt-verify-incoming=false",
            "-encrypt-verify-outgoing",
            "--wire",
            "serf",
            "-snapshot=s",
            "-record=t",
            "-rejoin",
            "-syslog",
            "-log-format=json",
            "-metrics-addr=m",
            "-dns-server=d",
            "-discover=c",
            "-mdns-iface=i",
            "-mdns-disable-ipv4",
            "-mdns-disable-ipv6",
        ]);
        let expected = Settings {
            node_name: "n".into(),
            bind: "127.0.0.1".into(),
            start_join: vec!["a".into(), "b".into()],
            retry_join: vec!["c".into()],
            retry_interval: Some(Duration::from_secs(60)),
            retry_max_attempts: 2,
            tags: BTreeMap::from([("k".into(), "v=w".into()), ("x".into(), String::new())]),
            replay_on_join: true,
            protocol: 4,
            encrypt_key: "key".to_owned().into(),
            encrypt_verify_incoming: Some(false),
            encrypt_verify_outgoing: Some(true),
            wire: "serf".into(),
            snapshot_path: "s".into(),
            record_path: "t".into(),
            rejoin_after_leave: true,
            enable_syslog: true,
            log_format: "json".into(),
            metrics_addr: "m".into(),
            dns_servers: vec!["d".into()],
            discover: "c".into(),
            mdns_interface: "i".into(),
            mdns_disable_ipv4: true,
            mdns_disable_ipv6: true,
            ..Settings::default()
        };
        assert_eq!(settings, Ok(expected));
    }

    /// What can be set is written down for those who set it.
    #[test]
    fn the_documentation_has_every_flag() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/agent.md");
        let text = std::fs::read_to_string(path).unwrap();
        for flag in COMMAND.flags.unwrap() {
            assert!(text.contains(&format!("`-{}`", flag.name)), "docs/agent.md does not have `-{}`", flag.name);
        }
    }

    #[test]
    fn bad_values() {
        assert_eq!(parse(&["-tag", "x"]), Err("Error: Invalid tag: 'x'".into()));
        assert_eq!(parse(&["-retry-interval=zz"]), Err("Error: time: invalid duration \"zz\"".into()));
        assert_eq!(parse(&["-retry-max=-1", "-protocol=0"]), Ok(Settings::default()));
    }
}
