//! `leave`

use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::Parsed;
use crate::cli::format::{FORMAT, report, wants_json};
use crate::cli::{Command, Failure};

pub(crate) const COMMAND: Command = Command {
    name: "leave",
    synopsis: "Gracefully leaves the cluster and shuts down",
    usage: "",
    about: "\
Makes the agent leave its cluster, so that the other members do not take it
for failed, and then shut down.",
    flags: Some(&[FORMAT, RPC_ADDR, RPC_AUTH]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let json = wants_json(parsed)?;
    connect(parsed)?.leave().map_err(|error| Failure::Message(format!("Error leaving: {error}")))?;
    report(json, &serde_json::json!({ "left": true }), "Graceful leave complete")?;
    Ok(ExitCode::SUCCESS)
}
