//! `keygen`

use std::process::ExitCode;

use crate::cli::{Command, Failure, say};
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
    run: |_| {
        let key = key::generate().map_err(|error| Failure::Message(format!("Error reading random data: {error}")))?;
        say(&key);
        Ok(ExitCode::SUCCESS)
    },
};
