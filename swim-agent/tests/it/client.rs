//! A client that knows which messages belong together: what is a reply, what a record, and which have a body.
//!
//! It fails the test on whatever a client of Serf's could not understand.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use crate::support::{Agent, Raw};

/// A header and, if it has one, its body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) header: Value,
    pub(crate) body: Option<Value>,
    /// Sent unasked, after a command has started it.
    pub(crate) is_record: bool,
}

pub(crate) struct Client {
    raw: Raw,
    /// Commands without a reply so far, by their numbers.
    waiting: BTreeMap<u64, String>,
    /// What may send records.
    started: BTreeSet<u64>,
    /// Records that came before a reply.
    records: VecDeque<Message>,
}

impl Client {
    pub(crate) fn connect(agent: &Agent) -> Self {
        Self::over(Raw::connect(agent))
    }

    /// On a connection that there is already.
    pub(crate) fn over(raw: Raw) -> Self {
        Self { raw, waiting: BTreeMap::new(), started: BTreeSet::new(), records: VecDeque::new() }
    }

    /// Connects and shakes hands.
    pub(crate) fn shaken(agent: &Agent) -> Self {
        let mut client = Self::connect(agent);
        assert_eq!(client.ask("handshake", 0, &json!({ "Version": 1 })), Ok(None));
        client
    }

    /// Sends a request as it stands. `command` says what it is.
    pub(crate) fn send(&mut self, command: &str, seq: u64, request: &[u8]) {
        self.waiting.insert(seq, command.to_owned());
        self.raw.send(request);
    }

    /// Sends a request; `Null` is no body at all.
    pub(crate) fn request(&mut self, command: &str, seq: u64, body: &Value) {
        let mut bytes = request(command, seq);
        if !body.is_null() {
            pack(body, &mut bytes);
        }
        self.send(command, seq, &bytes);
    }

    /// Sends a request and waits for its reply: its body, or the error with it.
    pub(crate) fn ask(
        &mut self,
        command: &str,
        seq: u64,
        body: &Value,
    ) -> Result<Option<Value>, (String, Option<Value>)> {
        self.request(command, seq, body);
        loop {
            let message = self.message().expect("a reply");
            if message.is_record {
                self.records.push_back(message);
                continue;
            }
            assert_eq!(message.header["Seq"], seq, "{message:?}");
            let error = message.header["Error"].as_str().unwrap();
            return if error.is_empty() { Ok(message.body) } else { Err((error.to_owned(), message.body)) };
        }
    }

    /// The next record: its number and its body.
    pub(crate) fn record(&mut self) -> (u64, Value) {
        let message = self.records.pop_front().unwrap_or_else(|| self.message().expect("a record"));
        assert!(message.is_record, "{message:?}");
        (message.header["Seq"].as_u64().unwrap(), message.body.unwrap())
    }

    /// The next message; `None`: the agent has closed.
    pub(crate) fn message(&mut self) -> Option<Message> {
        let header = self.raw.read()?;
        assert_eq!(header.as_object().unwrap().keys().collect::<Vec<_>>(), ["Error", "Seq"]);
        let (error, seq) = (header["Error"].as_str().unwrap(), header["Seq"].as_u64().unwrap());
        let command = self.waiting.remove(&seq);
        let is_record = command.is_none();
        let has_body = match command {
            Some(command) => {
                if error.is_empty() && ["stream", "monitor", "query"].contains(&&*command) {
                    self.started.insert(seq);
                }
                // Those that have a body have it with an error, too, unless nothing was even looked at.
                BODIES.contains(&&*command) && !error.ends_with(" required")
            }
            None => {
                assert!(self.started.contains(&seq) && error.is_empty(), "nobody has asked for this: {header}");
                true
            }
        };
        let body = has_body.then(|| self.raw.read().expect("a body follows"));
        Some(Message { header, body, is_record })
    }

    /// What was started is stopped: no more records are expected of it, and those that came are not wanted.
    pub(crate) fn forget(&mut self, seq: u64) {
        self.started.remove(&seq);
        self.records.retain(|record| record.header["Seq"] != seq);
    }

    /// Whether nothing comes for so long.
    pub(crate) fn is_silent(&mut self, time: Duration) -> bool {
        self.records.is_empty() && self.raw.is_silent(time)
    }
}

/// Commands whose reply has a body.
const BODIES: [&str; 9] = [
    "join",
    "members",
    "members-filtered",
    "install-key",
    "use-key",
    "remove-key",
    "list-keys",
    "stats",
    "get-coordinate",
];

/// A request's header.
pub(crate) fn request(command: &str, seq: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(&json!({ "Command": command, "Seq": seq }), &mut bytes);
    bytes
}

/// Appends `value` in msgpack.
pub(crate) fn pack(value: &Value, out: &mut Vec<u8>) {
    let mut head = |fixed: u8, fixed_max: usize, wide: u8, len: usize| {
        if len <= fixed_max {
            out.push(fixed | u8::try_from(len).unwrap());
        } else {
            out.push(wide);
            out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
    };
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(truth) => out.push(0xc2 + u8::from(*truth)),
        Value::Number(number) => {
            out.push(if number.is_u64() { 0xcf } else { 0xd3 });
            let bits = number.as_u64().or_else(|| number.as_i64().map(i64::cast_unsigned)).unwrap();
            out.extend_from_slice(&bits.to_be_bytes());
        }
        Value::String(text) => {
            head(0xa0, 31, 0xda, text.len());
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            head(0x90, 15, 0xdc, items.len());
            items.iter().for_each(|item| pack(item, out));
        }
        Value::Object(entries) => {
            head(0x80, 15, 0xde, entries.len());
            for (key, value) in entries {
                pack(&Value::from(key.as_str()), out);
                pack(value, out);
            }
        }
    }
}
