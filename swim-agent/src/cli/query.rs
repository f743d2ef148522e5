//! `query`

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, render};
use crate::cli::interrupt::exit_on_interrupt;
use crate::cli::printable::{shown, shown_lines};
use crate::cli::{Command, Failure, say};
use crate::config::parse_tag;
use crate::rpc::client::Question;

pub(crate) const COMMAND: Command = Command {
    name: "query",
    synopsis: "Send a query to the Serf cluster",
    usage: "[options] name payload",
    about: "\
Asks the members of the cluster something and prints who has heard it and what
they answer, until the time is up. The payload may be left out.

Example:  query -tag role=web -timeout=5s load",
    flags: Some(&[
        FORMAT,
        Flag { name: "no-ack", kind: Kind::Bool, hint: "", help: "Do not ask members to say that they have heard it." },
        Flag {
            name: "node",
            kind: Kind::Text,
            hint: "=name",
            help: "Ask only this member. May be given several times.",
        },
        Flag {
            name: "relay-factor",
            kind: Kind::Int,
            hint: "=0",
            help: "By way of how many other members acks and answers are sent once more.",
        },
        Flag {
            name: "tag",
            kind: Kind::Text,
            hint: " key=regexp",
            help: "Ask only members whose tag matches. May be given several times.",
        },
        Flag {
            name: "timeout",
            kind: Kind::Duration,
            hint: "=15s",
            help: "How long to wait for answers. Default: longer in larger clusters.",
        },
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let (name, payload) = match parsed.rest.as_slice() {
        [] => return Err(Failure::Usage("A query name must be specified.")),
        [name] => (name, None),
        [name, payload] => (name, Some(payload.as_str())),
        _ => {
            return Err(Failure::Usage("Too many command line arguments. Only a name and payload must be specified."));
        }
    };
    let message = |text: &str| Failure::Message(text.to_owned());
    let tags = parsed.all("tag").map(parse_tag).collect::<Result<_, _>>().map_err(Failure::Message)?;
    let relay_factor = u8::try_from(parsed.int("relay-factor").unwrap_or(0))
        .map_err(|_| message("Relay factor must be between 0 and 255"))?;
    let as_text = match parsed.text("format") {
        None | Some("text") => true,
        Some("json") => false,
        Some(other) => return Err(Failure::Message(format!("Invalid format: {other}"))),
    };
    let nodes: Vec<_> = parsed.all("node").map(str::to_owned).collect();
    let request_ack = !parsed.is_on("no-ack");
    let timeout = parsed.duration("timeout").unwrap_or_default();
    let question = Question { name, payload, nodes: &nodes, tags, request_ack, relay_factor, timeout };

    let mut client = connect(parsed)?;
    exit_on_interrupt(1, None);
    let failed = |error| Failure::Message(format!("Error sending query: {error}"));
    client.query(&question).map_err(failed)?;
    if as_text {
        say(&format!("Query '{name}' dispatched"));
    }
    let mut answers = Answers { acks: request_ack.then(Vec::new), responses: BTreeMap::new() };
    let mut responses = 0_usize;
    while let Some(answer) = client.answer().map_err(failed)? {
        let from = answer.from;
        match answer.payload {
            None => {
                if as_text {
                    say(&format!("Ack from '{}'", shown(&from)));
                }
                answers.acks.get_or_insert_default().push(from);
            }
            Some(payload) => {
                responses += 1;
                if as_text {
                    print_response(&from, &payload);
                } else {
                    answers.responses.insert(from, String::from_utf8_lossy(&payload).into_owned());
                }
            }
        }
    }
    if as_text {
        if request_ack {
            say(&format!("Total Acks: {}", answers.acks.iter().flatten().count()));
        }
        say(&format!("Total Responses: {responses}"));
    } else {
        say(&render(Some("json"), &answers, String::new)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// The bytes as they are, without the line feed that a script ends with; on a terminal, what is fit for one.
fn print_response(from: &str, payload: &[u8]) {
    let mut line = format!("Response from '{}': ", shown(from)).into_bytes();
    let payload = payload.strip_suffix(b"\n").unwrap_or(payload);
    if stdout().is_terminal() {
        line.extend_from_slice(shown_lines(&String::from_utf8_lossy(payload)).as_bytes());
    } else {
        line.extend_from_slice(payload);
    }
    line.push(b'\n');
    // Somebody who has closed the output does not want it.
    let _ = stdout().write_all(&line);
}

/// The JSON form; the names are part of the interface.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answers {
    acks: Option<Vec<String>>,
    responses: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_as_captured() {
        let mut answers = Answers { acks: Some(vec!["node-a".into(), "c".into()]), responses: BTreeMap::new() };
        answers.responses.insert("node-a".into(), "up\n".into());
        let expected =
            "{\n  \"Acks\": [\n    \"node-a\",\n    \"c\"\n  ],\n  \"Responses\": {\n    \"node-a\": \"up\\n\"\n  }\n}";
        assert_eq!(render(Some("json"), &answers, String::new).unwrap(), expected);
        let none = Answers { acks: None, responses: BTreeMap::new() };
        assert_eq!(render(Some("json"), &none, String::new).unwrap(), "{\n  \"Acks\": null,\n  \"Responses\": {}\n}");
    }
}
