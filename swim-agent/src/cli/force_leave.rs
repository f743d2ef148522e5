//! `force-leave`

use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, render, wants_json};
use crate::cli::{Command, Failure, say};

pub(crate) const COMMAND: Command = Command {
    name: "force-leave",
    synopsis: "Forces a member of the cluster to enter the \"left\" state",
    usage: "[options] name",
    about: "\
Makes a member that has failed count as having left, so that nobody tries to
reach it any more. One that is alive after all will object and come back.

Example:  force-leave -prune web-7",
    flags: Some(&[
        FORMAT,
        Flag { name: "prune", kind: Kind::Bool, hint: "", help: "Forget the member as well." },
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let [name] = parsed.rest.as_slice() else {
        return Err(Failure::Usage("A node name must be specified to force leave."));
    };
    let (json, prune) = (wants_json(parsed)?, parsed.is_on("prune"));
    let done = connect(parsed)?.force_leave(name, prune);
    done.map_err(|error| Failure::Message(format!("Error force leaving: {error}")))?;
    // In text, success has nothing to say.
    if json {
        let result = serde_json::json!({ "name": name, "prune": prune });
        say(&render(Some("json"), &result, String::new)?);
    }
    Ok(ExitCode::SUCCESS)
}
