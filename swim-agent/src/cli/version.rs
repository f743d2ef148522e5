//! `version`

use std::process::ExitCode;

use swim_tokio::swim_core::node::config::SERF_PROTOCOLS;

use crate::VERSION;
use crate::cli::Command;
use crate::cli::format::{report, wants_json};

pub(crate) const COMMAND: Command = Command {
    name: "version",
    synopsis: "Prints the version",
    usage: "",
    about: "Prints the version and the agent protocols understood.",
    flags: None,
    prefix: "",
    run: |parsed| {
        let (oldest, newest) = SERF_PROTOCOLS;
        let result = serde_json::json!({
            "version": VERSION,
            "protocol": { "max": newest, "min": oldest, "version": newest },
        });
        report(wants_json(parsed)?, &result, &text())?;
        Ok(ExitCode::SUCCESS)
    },
};

/// What `--version` prints, too.
pub(crate) fn text() -> String {
    let (oldest, newest) = SERF_PROTOCOLS;
    format!("{VERSION}\nAgent Protocol: {newest} (Understands back to: {oldest})")
}
