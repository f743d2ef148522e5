//! `monitor`

use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, wants_json};
use crate::cli::interrupt::exit_on_interrupt;
use crate::cli::printable::shown_lines;
use crate::cli::{Command, Failure, say};
use crate::rpc::messages::Fields;
use crate::rpc::msgpack::Value;

pub(crate) const COMMAND: Command = Command {
    name: "monitor",
    synopsis: "Stream logs from a Serf agent",
    usage: "[options]",
    about: "\
Shows the recent log lines of a running agent and then each as it comes, and
every event. Ends with the agent, or when it is interrupted.

Example:  monitor -log-level=debug",
    flags: Some(&[
        FORMAT,
        Flag { name: "log-level", kind: Kind::Text, hint: "=info", help: "trace, debug, info, warn or err." },
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let as_text = !wants_json(parsed)?;
    let mut client = connect(parsed)?;
    exit_on_interrupt(0, None);
    let failed =
        |what: &str, error: &dyn core::fmt::Display| Failure::Message(format!("Error starting {what}: {error}"));
    client.stream("*").map_err(|error| failed("stream", &error))?;
    let log = client.monitor(parsed.text("log-level").unwrap_or("INFO")).map_err(|error| failed("monitor", &error))?;
    loop {
        let Ok((seq, body)) = client.record() else { return Err(Failure::Message(ENDED.to_owned())) };
        let shown = match (seq == log, as_text) {
            (true, true) => {
                let line = Fields::new(body, &["Log"]).and_then(|mut fields| fields.text("Log"));
                line.map_or(true, |line| say(&shown_lines(&line)))
            }
            (false, true) => say(&shown_lines(&event_text(&body))),
            // One document a line.
            (_, false) => say(&json(&body).to_string()),
        };
        if !shown {
            // The rest of a pipe has ended. Nothing else would end us.
            return Ok(ExitCode::FAILURE);
        }
    }
}

fn event_text(event: &Value) -> String {
    let mut text = "Event Info:".to_owned();
    if let Value::Map(entries) = event {
        for (key, value) in entries {
            text += &format!("\n\t{}: {}", plain(key), go_value(value));
        }
    }
    text
}

/// As Go prints values with `%#v`, near enough to read.
fn go_value(value: &Value) -> String {
    let list = |open: &str, items: Vec<String>| format!("{open}{{{}}}", items.join(", "));
    match value {
        Value::Nil => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        Value::Negative(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(_) => format!("{:?}", plain(value)),
        Value::Bytes(bytes) => list("[]byte", bytes.iter().map(|byte| format!("0x{byte:x}")).collect()),
        Value::List(items) => list("[]interface {}", items.iter().map(go_value).collect()),
        Value::Map(entries) => list(
            "map[interface {}]interface {}",
            entries.iter().map(|(key, value)| format!("{}:{}", go_value(key), go_value(value))).collect(),
        ),
    }
}

/// Text as text, and bytes, too, where they are some.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Unsigned(value) => (*value).into(),
        Value::Negative(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(_) | Value::Bytes(_) => plain(value).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|(key, value)| (plain(key), json(value))).collect(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(bytes) | Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other @ (Value::Nil
        | Value::Bool(_)
        | Value::Unsigned(_)
        | Value::Negative(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Map(_)) => go_value(other),
    }
}

const ENDED: &str = "
Remote side ended the monitor! This usually means that the
remote side has exited or crashed.";

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        Value::map([
            ("Coalesce", Value::Bool(false)),
            ("Event", Value::text("user")),
            ("LTime", Value::Unsigned(4)),
            ("Name", Value::text("mon")),
            ("Payload", Value::Bytes(b"pl".to_vec())),
        ])
    }

    #[test]
    fn an_event_as_captured() {
        let expected = "Event Info:\n\tCoalesce: false\n\tEvent: \"user\"\n\tLTime: 4\n\tName: \"mon\"\n\tPayload: []byte{0x70, 0x6c}";
        assert_eq!(event_text(&event()), expected);
    }

    #[test]
    fn json_in_one_line() {
        let expected = r#"{"Coalesce":false,"Event":"user","LTime":4,"Name":"mon","Payload":"pl"}"#;
        assert_eq!(json(&event()).to_string(), expected);
    }
}
