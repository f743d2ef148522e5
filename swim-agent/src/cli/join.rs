//! `join`

use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::{Command, Failure, say};

pub(crate) const COMMAND: Command = Command {
    name: "join",
    synopsis: "Tells the agent to join a cluster",
    usage: "[options] address ...",
    about: "\
Tells a running agent to join a cluster through at least one of its members.
The port may be left out if it is the agent's own.",
    flags: Some(&[
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
    let joined = connect(parsed)?.join(&parsed.rest, parsed.is_on("replay"));
    let reached = joined.map_err(|error| Failure::Message(format!("Error joining the cluster: {error}")))?;
    say(&format!("Successfully joined cluster by contacting {reached} nodes."));
    Ok(ExitCode::SUCCESS)
}
