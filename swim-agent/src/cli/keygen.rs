//! `keygen`

use std::process::ExitCode;

use crate::cli::format::{report, wants_json};
use crate::cli::{Command, Failure};
use crate::config::key;

pub(crate) const COMMAND: Command = Command {
    name: "keygen",
    synopsis: "Generates a new encryption key",
    usage: "",
    about: "\
Generates a new key for the agents of a cluster, in the form that the
agent's -encrypt flag takes.",
    flags: None,
    prefix: "",
    run: |parsed| {
        let json = wants_json(parsed)?;
        let key = key::generate().map_err(|error| Failure::Message(format!("Error reading random data: {error}")))?;
        report(json, &serde_json::json!({ "key": key }), &key)?;
        Ok(ExitCode::SUCCESS)
    },
};
