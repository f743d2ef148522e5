use core::net::Ipv4Addr;
use core::str;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use swim_tokio::Options;
use swim_tokio::swim_core::{Instant, Node};

use crate::agent::plan::{configure, correct};
use crate::config::duration::parse_duration;
use crate::config::file::decode;
use crate::config::{Settings, key, parse_tag};
use crate::events::filter::Filter;
use crate::events::handlers::Handler;
use crate::log::{Format, Level};

/// Reads the input as a configuration file, and as whatever a text in one may be: a duration, a key, a tag, a filter of
/// events.
///
/// # Panics
///
/// When settings are not the same once they are merged twice, or when their keys are written in capitals; when they pass
/// for a node's configuration that no node takes; when a duration or a key does not come back.
pub fn config(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        texts(text);
    }
    let settings = match decode(bytes) {
        Ok(settings) => settings,
        Err(error) => return assert!(!error.is_empty(), "a person is to read it"),
    };
    let mut once = Settings::defaults();
    once.merge(settings.clone());
    let mut twice = once.clone();
    twice.merge(settings.clone());
    // Lists append.
    for merged in [&mut once, &mut twice] {
        merged.event_handlers.clear();
        merged.start_join.clear();
        merged.retry_join.clear();
        merged.dns_servers.clear();
    }
    assert_eq!(once, twice, "merged twice");
    if let Some(louder) = in_capitals(bytes) {
        assert_eq!(decode(&louder), Ok(settings.clone()), "with keys in capitals");
    }
    correct(&mut once, |_| ());
    start(&once);
}

/// What the settings come to, a node takes, or there is a complaint.
fn start(settings: &Settings) {
    let _ = (Level::from_name(&settings.log_level), Format::from_name(&settings.log_format));
    let _ = Handler::parse_all(&settings.event_handlers);
    let mut options = Options::lan("fuzzed", (Ipv4Addr::LOCALHOST, 7946).into());
    if configure(&mut options, settings).is_err() || options.config.validate().is_err() {
        return;
    }
    let node = Node::new(options.config, [7; 32], Instant::ZERO);
    let node = node.expect("what is valid is taken");
    assert!(node.poll_timeout().is_some(), "a member always has something before it");
}

/// The same file with all keys in capitals, if no two become one by that.
fn in_capitals(bytes: &[u8]) -> Option<Vec<u8>> {
    let Value::Object(entries) = serde_json::from_slice(bytes).ok()? else { return None };
    let len = entries.len();
    let louder: serde_json::Map<_, _> =
        entries.into_iter().map(|(key, value)| (key.to_ascii_uppercase(), value)).collect();
    (louder.len() == len).then(|| serde_json::to_vec(&louder).expect("it was JSON"))
}

fn texts(text: &str) {
    if let Ok(duration) = parse_duration(text) {
        let nanos = duration.as_nanos();
        assert_eq!(parse_duration(&format!("{nanos}ns")), Ok(duration), "{text:?}");
    }
    if let Ok(key) = key::decode(text) {
        assert_eq!(key::decode(&STANDARD.encode(&key)), Ok(key), "{text:?}");
    }
    if let Ok((key, value)) = parse_tag(text) {
        assert!(!key.is_empty() && format!("{key}={value}") == text, "{text:?}");
    }
    let _ = Filter::parse_list(text);
}
