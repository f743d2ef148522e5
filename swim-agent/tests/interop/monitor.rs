//! `serf monitor`: what HashiCorp's agent tells a client that follows its events.

use std::process::Child;

use crate::harness::{Agent, secs, wait_until};

/// A user event as whoever listens was told of it; no payload and an empty one look the same there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Heard {
    pub(crate) ltime: u64,
    pub(crate) name: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) coalesce: bool,
}

/// A running `serf monitor`.
pub(crate) struct Monitor<'a> {
    agent: &'a Agent,
    child: Child,
}

impl<'a> Monitor<'a> {
    /// Starts it, and returns once it listens.
    pub(crate) fn start(agent: &'a Agent) -> Self {
        let child = agent.follow("monitor", PATH);
        let monitor = Self { agent, child };
        // It asks for the log after it has asked for the events.
        wait_until(&format!("the monitor of {} shows the log", agent.name), secs(20), || {
            if agent.file(PATH).is_empty() { Err("nothing yet".to_owned()) } else { Ok(()) }
        });
        monitor
    }

    /// The user events so far, in order.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.agent.file(PATH).split("Event Info:\n").skip(1).filter_map(user_event).collect()
    }
}

impl Drop for Monitor<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one event, if it is a user event and complete: its fields in any order, each as `\tNAME: VALUE`, then log lines.
fn user_event(text: &str) -> Option<Heard> {
    let fields: Vec<_> = text.split_inclusive('\n').map_while(|line| line.strip_prefix('\t')).collect();
    let field = |name: &str| {
        let value = fields.iter().find_map(|field| field.strip_prefix(name)?.strip_prefix(": "))?;
        value.strip_suffix('\n')
    };
    if field("Event")? != r#""user""# {
        return None;
    }
    let coalesce = field("Coalesce")? == "true";
    let name = field("Name")?.trim_matches('"').to_owned();
    Some(Heard { ltime: field("LTime")?.parse().ok()?, name, payload: bytes(field("Payload")?), coalesce })
}

/// From Go's way to write bytes: `[]byte{0x70, 0x6c}`, or `[]byte(nil)`.
fn bytes(text: &str) -> Vec<u8> {
    let Some(list) = text.strip_prefix("[]byte{").and_then(|text| text.strip_suffix('}')) else { return Vec::new() };
    let byte = |text: &str| u8::from_str_radix(text.trim_start_matches("0x"), 16).expect("Go writes bytes so");
    list.split(", ").filter(|text| !text.is_empty()).map(byte).collect()
}

const PATH: &str = "monitor";
