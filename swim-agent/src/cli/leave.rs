//! `leave`

use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::Parsed;
use crate::cli::{Command, Failure, say};

pub(crate) const COMMAND: Command = Command {
    name: "leave",
    synopsis: "Gracefully leaves the cluster and shuts down",
    usage: "",
    about: "\
Makes the agent leave its cluster, so that the other members do not take it
for failed, and then shut down.",
    flags: Some(&[RPC_ADDR, RPC_AUTH]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    connect(parsed)?.leave().map_err(|error| Failure::Message(format!("Error leaving: {error}")))?;
    say("Graceful leave complete");
    Ok(ExitCode::SUCCESS)
}
