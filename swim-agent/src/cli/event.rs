//! `event`

use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, report, wants_json};
use crate::cli::{Command, Failure};

pub(crate) const COMMAND: Command = Command {
    name: "event",
    synopsis: "Sends a user event to the cluster",
    usage: "[options] name payload",
    about: "\
Tells every member of the cluster that something has happened. The payload
may be left out. Name and payload together take at most 512 bytes.

Example:  event deploy 1.2.3",
    flags: Some(&[
        Flag {
            name: "coalesce",
            kind: Kind::Bool,
            hint: "=true",
            help: "Whether of several of one name that come close together, members\nmay drop all but the last.",
        },
        FORMAT,
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let (name, payload) = match parsed.rest.as_slice() {
        [] => return Err(Failure::Usage("An event name must be specified.")),
        [name] => (name, None),
        [name, payload] => (name, Some(payload.as_str())),
        _ => {
            return Err(Failure::Usage("Too many command line arguments. Only a name and payload must be specified."));
        }
    };
    let json = wants_json(parsed)?;
    let coalesce = parsed.text("coalesce").is_none() || parsed.is_on("coalesce");
    let sent = connect(parsed)?.event(name, payload, coalesce);
    sent.map_err(|error| Failure::Message(format!("Error sending event: {error}")))?;
    let result = serde_json::json!({ "name": name, "coalesce": coalesce });
    report(json, &result, &format!("Event '{name}' dispatched! Coalescing enabled: {coalesce}"))?;
    Ok(ExitCode::SUCCESS)
}
