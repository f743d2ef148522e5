//! `join`

use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, report, wants_json};
use crate::cli::{Command, Failure};

pub(crate) const COMMAND: Command = Command {
    name: "join",
    synopsis: "Tells the agent to join a cluster",
    usage: "[options] address ...",
    about: "\
Tells a running agent to join a cluster through at least one of its members.
The port may be left out if it is the agent's own.

Example:  join 10.0.0.8 10.0.0.9:7947",
    flags: Some(&[
        FORMAT,
        Flag { name: "replay", kind: Kind::Bool, hint: "", help: "Replay past user events." },
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    if parsed.rest.is_empty() {
        return Err(Failure::Usage("At least one address to join must be specified."));
    }
    let json = wants_json(parsed)?;
    let joined = connect(parsed)?.join(&parsed.rest, parsed.is_on("replay"));
    let reached = joined.map_err(|error| Failure::Message(format!("Error joining the cluster: {error}")))?;
    let result = serde_json::json!({ "nodes": reached });
    report(json, &result, &format!("Successfully joined cluster by contacting {reached} nodes."))?;
    Ok(ExitCode::SUCCESS)
}
