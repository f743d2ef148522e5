//! Configuration files: JSON objects whose keys, in any case, are those of one table.

use core::time::Duration;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::Settings;
use crate::config::duration::parse_duration;
use crate::io_text::io_text;

/// How a key is read and where its value goes.
enum Key {
    Text(fn(&mut Settings) -> &mut String),
    Flag(fn(&mut Settings) -> &mut bool),
    /// A flag that is on where nobody says anything.
    OnFlag(fn(&mut Settings) -> &mut Option<bool>),
    /// A flag that says the opposite of its setting.
    Not(fn(&mut Settings) -> &mut bool),
    Number(fn(&mut Settings) -> &mut u64),
    Duration(fn(&mut Settings) -> &mut Option<Duration>),
    Texts(fn(&mut Settings) -> &mut Vec<String>),
    Tags,
    /// An object with keys of its own.
    Group(&'static [(&'static str, Self)]),
}

#[rustfmt::skip]
const KEYS: &[(&str, Key)] = &[
    ("advertise",                 Key::Text(|s| &mut s.advertise)),
    ("bind",                      Key::Text(|s| &mut s.bind)),
    ("broadcast_timeout",         Key::Duration(|s| &mut s.broadcast_timeout)),
    ("disable_coordinates",       Key::Flag(|s| &mut s.disable_coordinates)),
    ("disable_name_resolution",   Key::Flag(|s| &mut s.disable_name_resolution)),
    ("discover",                  Key::Text(|s| &mut s.discover)),
    ("dns_servers",               Key::Texts(|s| &mut s.dns_servers)),
    ("enable_compression",        Key::Not(|s| &mut s.disable_compression)),
    ("enable_syslog",             Key::Flag(|s| &mut s.enable_syslog)),
    ("encrypt_key",               Key::Text(|s| &mut s.encrypt_key)),
    ("encrypt_verify_incoming",   Key::OnFlag(|s| &mut s.encrypt_verify_incoming)),
    ("encrypt_verify_outgoing",   Key::OnFlag(|s| &mut s.encrypt_verify_outgoing)),
    ("event_handlers",            Key::Texts(|s| &mut s.event_handlers)),
    ("handler_queue",             Key::Number(|s| &mut s.handler_queue)),
    ("handler_skip_busy",         Key::Flag(|s| &mut s.handler_skip_busy)),
    ("handler_timeout",           Key::Duration(|s| &mut s.handler_timeout)),
    ("handlers_at_once",          Key::Number(|s| &mut s.handlers_at_once)),
    ("interface",                 Key::Text(|s| &mut s.interface)),
    ("keyring_file",              Key::Text(|s| &mut s.keyring_file)),
    ("leave_on_terminate",        Key::Flag(|s| &mut s.leave_on_terminate)),
    ("log_format",                Key::Text(|s| &mut s.log_format)),
    ("log_level",                 Key::Text(|s| &mut s.log_level)),
    ("mdns",                      Key::Group(MDNS_KEYS)),
    ("metrics_addr",              Key::Text(|s| &mut s.metrics_addr)),
    ("node_name",                 Key::Text(|s| &mut s.node_name)),
    ("profile",                   Key::Text(|s| &mut s.profile)),
    ("protocol",                  Key::Number(|s| &mut s.protocol)),
    ("query_response_size_limit", Key::Number(|s| &mut s.query_response_size_limit)),
    ("query_size_limit",          Key::Number(|s| &mut s.query_size_limit)),
    ("reconnect_interval",        Key::Duration(|s| &mut s.reconnect_interval)),
    ("reconnect_timeout",         Key::Duration(|s| &mut s.reconnect_timeout)),
    ("record_path",               Key::Text(|s| &mut s.record_path)),
    ("record_size_limit",         Key::Number(|s| &mut s.record_size_limit)),
    ("rejoin_after_leave",        Key::Flag(|s| &mut s.rejoin_after_leave)),
    ("replay_on_join",            Key::Flag(|s| &mut s.replay_on_join)),
    ("retry_interval",            Key::Duration(|s| &mut s.retry_interval)),
    ("retry_join",                Key::Texts(|s| &mut s.retry_join)),
    ("retry_max_attempts",        Key::Number(|s| &mut s.retry_max_attempts)),
    ("role",                      Key::Text(|s| &mut s.role)),
    ("rpc_addr",                  Key::Text(|s| &mut s.rpc_addr)),
    ("rpc_auth",                  Key::Text(|s| &mut s.rpc_auth)),
    ("skip_leave_on_interrupt",   Key::Flag(|s| &mut s.skip_leave_on_interrupt)),
    ("snapshot_path",             Key::Text(|s| &mut s.snapshot_path)),
    ("start_join",                Key::Texts(|s| &mut s.start_join)),
    ("statsd_addr",               Key::Text(|s| &mut s.statsd_addr)),
    ("statsite_addr",             Key::Text(|s| &mut s.statsite_addr)),
    ("syslog_facility",           Key::Text(|s| &mut s.syslog_facility)),
    ("tags",                      Key::Tags),
    ("tags_file",                 Key::Text(|s| &mut s.tags_file)),
    ("tombstone_timeout",         Key::Duration(|s| &mut s.tombstone_timeout)),
    ("user_event_size_limit",     Key::Number(|s| &mut s.user_event_size_limit)),
    ("validate_node_names",       Key::Flag(|s| &mut s.validate_node_names)),
    ("wire",                      Key::Text(|s| &mut s.wire)),
];

#[rustfmt::skip]
const MDNS_KEYS: &[(&str, Key)] = &[
    ("disable_ipv4",              Key::Flag(|s| &mut s.mdns_disable_ipv4)),
    ("disable_ipv6",              Key::Flag(|s| &mut s.mdns_disable_ipv6)),
    ("interface",                 Key::Text(|s| &mut s.mdns_interface)),
];

/// Reads one file. The error is one message for a person, with the file's path.
pub(crate) fn read(path: &Path) -> Result<Settings, String> {
    let shown = path.display();
    let failed = |error: &std::io::Error| format!("Error reading '{shown}': open {shown}: {}", io_text(error));
    if path.is_dir() {
        return Err(format!("Error reading '{shown}': is a directory (use -config-dir)"));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    decode(&bytes).map_err(|error| format!("Error decoding '{shown}': {error}"))
}

/// The files of a configuration directory.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = directory.display();
    let failed = |error: &std::io::Error| format!("Error reading '{shown}': open {shown}: {}", io_text(error));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| failed(&error))? {
        let path = entry.map_err(|error| failed(&error))?.path();
        if path.extension().is_some_and(|extension| extension == "json") && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The settings that a file's bytes say.
pub(crate) fn decode(bytes: &[u8]) -> Result<Settings, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        // In Go's words what a forgotten brace comes to; in more precise ones, with line and column, the rest.
        if error.is_eof() { "unexpected EOF".to_owned() } else { error.to_string() }
    })?;
    let Value::Object(entries) = value else { return Err(format!("expected an object, got {}", go_type(&value))) };
    let mut settings = Settings::default();
    let mut faults = Vec::new();
    apply_all("", KEYS, &entries, &mut settings, &mut faults)?;
    if faults.is_empty() {
        return Ok(settings);
    }
    faults.sort();
    let list: Vec<_> = faults.iter().map(|fault| format!("* {fault}")).collect();
    Err(format!("{} error(s) decoding:\n\n{}", faults.len(), list.join("\n")))
}

/// Stores the values of the object `group`, whose keys are those of `keys`.
fn apply_all(
    group: &str,
    keys: &[(&str, Key)],
    entries: &serde_json::Map<String, Value>,
    settings: &mut Settings,
    faults: &mut Vec<String>,
) -> Result<(), String> {
    for (name, value) in entries {
        let lower = name.to_lowercase();
        match keys.iter().find(|(known, _)| *known == lower) {
            Some((known, key)) if group.is_empty() => apply(known, key, value, settings, faults)?,
            Some((known, key)) => apply(&format!("{group}.{known}"), key, value, settings, faults)?,
            None => {
                let near = nearest(&lower, keys).map(|near| format!(" (did you mean '{near}'?)")).unwrap_or_default();
                faults.push(format!("'{group}' has invalid keys: {name}{near}"));
            }
        }
    }
    Ok(())
}

/// Stores one value. What has the wrong type is added to `faults`, so that all are told at once.
fn apply(
    name: &str,
    key: &Key,
    value: &Value,
    settings: &mut Settings,
    faults: &mut Vec<String>,
) -> Result<(), String> {
    match (key, value) {
        (_, Value::Null) => {}
        (Key::Text(field), Value::String(text)) => field(settings).clone_from(text),
        (Key::Flag(field), Value::Bool(value)) => *field(settings) = *value,
        (Key::Not(field), Value::Bool(value)) => *field(settings) = !value,
        (Key::OnFlag(field), Value::Bool(value)) => *field(settings) = Some(*value),
        (Key::Duration(field), Value::String(text)) => *field(settings) = Some(parse_duration(text)?),
        (Key::Number(field), Value::Number(number)) if number.is_i64() || number.is_u64() => {
            // Go's zero and negative values override nothing.
            *field(settings) = number.as_u64().unwrap_or(0);
        }
        (Key::Texts(field), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                match item.as_str() {
                    Some(text) => field(settings).push(text.to_owned()),
                    None => faults.push(wrong_type(&format!("{name}[{index}]"), "string", item)),
                }
            }
        }
        (Key::Tags, Value::Object(tags)) => {
            for (tag, value) in tags {
                match value.as_str() {
                    Some(text) => drop(settings.tags.insert(tag.clone(), text.to_owned())),
                    None => faults.push(wrong_type(&format!("{name}[{tag}]"), "string", value)),
                }
            }
        }
        (Key::Group(keys), Value::Object(entries)) => apply_all(name, keys, entries, settings, faults)?,
        (Key::Text(_) | Key::Duration(_), _) => faults.push(wrong_type(name, "string", value)),
        (Key::Flag(_) | Key::Not(_) | Key::OnFlag(_), _) => faults.push(wrong_type(name, "bool", value)),
        (Key::Number(_), _) => faults.push(wrong_type(name, "int", value)),
        (Key::Texts(_), _) => faults.push(wrong_type(name, "[]string", value)),
        (Key::Tags, _) => faults.push(wrong_type(name, "map[string]string", value)),
        (Key::Group(_), _) => faults.push(wrong_type(name, "map", value)),
    }
    Ok(())
}

fn wrong_type(name: &str, expected: &str, value: &Value) -> String {
    let shown = match value.as_str() {
        _ if SECRETS.contains(&name) => "(not shown)".to_owned(),
        Some(text) => format!("'{text}'"),
        None => format!("'{value}'"),
    };
    format!("'{name}' expected type '{expected}', got unconvertible type '{}', value: {shown}", go_type(value))
}

/// Keys whose values are not for logs, not even where they are wrong.
const SECRETS: [&str; 2] = ["encrypt_key", "rpc_auth"];

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// The key that `name` was probably meant to be, if there is a likely one.
fn nearest<'a>(name: &str, keys: &[(&'a str, Key)]) -> Option<&'a str> {
    let near = keys.iter().map(|(known, _)| (edit_distance(name, known), *known)).min()?;
    (near.0 <= 1 + near.1.len() / 4).then_some(near.1)
}

/// Insertions, deletions and replacements from `a` to `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_key() {
        let text = br#"{
            "NODE_NAME": "n", "role": "r", "tags": {"a": "1"}, "bind": "b", "interface": "lo", "advertise": "c",
            "encrypt_key": "k", "encrypt_verify_incoming": false, "encrypt_verify_outgoing": true,
            "start_join": ["x", "y"], "replay_on_join": true, "retry_join": ["z"],
            "retry_interval": "1m", "retry_max_attempts": 3, "log_level": "debug", "profile": "wan", "wire": "serf",
            "protocol": 4, "rpc_addr": "d", "rpc_auth": "e", "enable_compression": false, "broadcast_timeout": "2s",
            "leave_on_terminate": true, "skip_leave_on_interrupt": true, "reconnect_timeout": "1h",
            "tombstone_timeout": "2h", "snapshot_path": "f", "rejoin_after_leave": true,
            "event_handlers": ["user=x"], "handlers_at_once": 4, "handler_timeout": "9s", "handler_queue": 5,
            "handler_skip_busy": true, "tags_file": "g", "keyring_file": "h", "disable_coordinates": true,
            "disable_name_resolution": true, "validate_node_names": true, "query_size_limit": 6,
            "query_response_size_limit": 7, "user_event_size_limit": 8, "reconnect_interval": "3s",
            "log_format": "json", "enable_syslog": true, "syslog_facility": "i", "statsd_addr": "j",
            "statsite_addr": "k", "metrics_addr": "l", "dns_servers": ["m"], "discover": "o",
            "mdns": {"Interface": "p", "disable_ipv4": true, "disable_ipv6": true},
            "record_path": "q", "record_size_limit": 9
        }"#;
        let expected = Settings {
            node_name: "n".into(),
            role: "r".into(),
            tags: BTreeMap::from([("a".into(), "1".into())]),
            bind: "b".into(),
            interface: "lo".into(),
            advertise: "c".into(),
            encrypt_key: "k".to_owned().into(),
            encrypt_verify_incoming: Some(false),
            encrypt_verify_outgoing: Some(true),
            start_join: vec!["x".into(), "y".into()],
            replay_on_join: true,
            retry_join: vec!["z".into()],
            retry_interval: Some(Duration::from_secs(60)),
            retry_max_attempts: 3,
            log_level: "debug".into(),
            profile: "wan".into(),
            wire: "serf".into(),
            protocol: 4,
            rpc_addr: "d".into(),
            rpc_auth: "e".to_owned().into(),
            disable_compression: true,
            broadcast_timeout: Some(Duration::from_secs(2)),
            leave_on_terminate: true,
            skip_leave_on_interrupt: true,
            reconnect_timeout: Some(Duration::from_secs(3600)),
            tombstone_timeout: Some(Duration::from_secs(7200)),
            snapshot_path: "f".into(),
            rejoin_after_leave: true,
            event_handlers: vec!["user=x".into()],
            handlers_at_once: 4,
            handler_timeout: Some(Duration::from_secs(9)),
            handler_queue: 5,
            handler_skip_busy: true,
            tags_file: "g".into(),
            keyring_file: "h".into(),
            disable_coordinates: true,
            disable_name_resolution: true,
            validate_node_names: true,
            query_size_limit: 6,
            query_response_size_limit: 7,
            user_event_size_limit: 8,
            reconnect_interval: Some(Duration::from_secs(3)),
            log_format: "json".into(),
            enable_syslog: true,
            syslog_facility: "i".into(),
            statsd_addr: "j".into(),
            statsite_addr: "k".into(),
            metrics_addr: "l".into(),
            record_path: "q".into(),
            record_size_limit: 9,
            dns_servers: vec!["m".into()],
            discover: "o".into(),
            mdns_interface: "p".into(),
            mdns_disable_ipv4: true,
            mdns_disable_ipv6: true,
        };
        assert_eq!(decode(text), Ok(expected));
        assert_eq!(decode(b"{}"), Ok(Settings::default()));
        assert_eq!(decode(br#"{"protocol": -1, "bind": null}"#), Ok(Settings::default()));
    }

    #[test]
    fn faults_are_named() {
        #[rustfmt::skip]
        let table = [
            (r#"{"foo": 1}"#, "1 error(s) decoding:\n\n* '' has invalid keys: foo"),
            (r#"{"node_nam": ""}"#, "1 error(s) decoding:\n\n* '' has invalid keys: node_nam (did you mean 'node_name'?)"),
            (r#"{"node_name": 5, "tags": {"a": 1}}"#, "2 error(s) decoding:\n\n\
                * 'node_name' expected type 'string', got unconvertible type 'float64', value: '5'\n\
                * 'tags[a]' expected type 'string', got unconvertible type 'float64', value: '1'"),
            (r#"{"encrypt_key": ["hush"], "Rpc_Auth": 1234}"#, "2 error(s) decoding:\n\n\
                * 'encrypt_key' expected type 'string', got unconvertible type '[]interface {}', value: (not shown)\n\
                * 'rpc_auth' expected type 'string', got unconvertible type 'float64', value: (not shown)"),
            (r#"{"protocol": 1.5}"#, "1 error(s) decoding:\n\n\
                * 'protocol' expected type 'int', got unconvertible type 'float64', value: '1.5'"),
            (r#"{"mdns": {"interfac": "x"}}"#, "1 error(s) decoding:\n\n\
                * 'mdns' has invalid keys: interfac (did you mean 'interface'?)"),
            (r#"{"mdns": {"interface": 5}}"#, "1 error(s) decoding:\n\n\
                * 'mdns.interface' expected type 'string', got unconvertible type 'float64', value: '5'"),
            (r#"{"mdns": true}"#, "1 error(s) decoding:\n\n\
                * 'mdns' expected type 'map', got unconvertible type 'bool', value: 'true'"),
            (r#"{"retry_interval": "5x"}"#, r#"time: unknown unit "x" in duration "5x""#),
            (r#"{"node_name": "#, "unexpected EOF"),
            ("[1]", "expected an object, got []interface {}"),
        ];
        for (text, error) in table {
            assert_eq!(decode(text.as_bytes()), Err(error.to_owned()), "{text}");
        }
    }

    /// What can be set is written down for those who set it.
    #[test]
    fn the_documentation_has_every_key() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/agent.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (key, _) in KEYS.iter().chain(MDNS_KEYS) {
            assert!(text.contains(&format!("`{key}`")), "docs/agent.md does not have `{key}`");
        }
    }

    /// The directories that the tests start agents with leave nothing out.
    #[test]
    fn the_deployments_have_every_key() {
        let deployments = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deployment");
        let mut found = std::collections::BTreeSet::new();
        for directory in ["serf", "swim", "kept"] {
            for path in list(&deployments.join(directory)).unwrap() {
                let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                found.extend(file.as_object().unwrap().keys().cloned());
                assert!(read(&path).is_ok(), "{}", path.display());
            }
        }
        assert_eq!(found, KEYS.iter().map(|(name, _)| (*name).to_owned()).collect());
    }

    #[test]
    fn the_table_is_sorted_so_that_people_find_things() {
        for keys in [KEYS, MDNS_KEYS] {
            assert!(keys.is_sorted_by(|(a, _), (b, _)| a < b));
        }
    }
}
