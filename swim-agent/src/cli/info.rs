//! `info`

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::Parsed;
use crate::cli::format::{FORMAT, render};
use crate::cli::{Command, Failure, say};

pub(crate) const COMMAND: Command = Command {
    name: "info",
    synopsis: "Provides debugging information for operators",
    usage: "[options]",
    about: "Prints the agent's settings and gauges.",
    flags: Some(&[FORMAT, RPC_ADDR, RPC_AUTH]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let stats = connect(parsed)?.stats();
    let stats = stats.map_err(|error| Failure::Message(format!("Error querying agent: {error}")))?;
    say(&render(parsed.text("format"), &stats, || text(&stats))?);
    Ok(ExitCode::SUCCESS)
}

fn text(stats: &BTreeMap<String, BTreeMap<String, String>>) -> String {
    let mut text = String::new();
    for (group, entries) in stats {
        text += &format!("{group}:\n");
        for (key, value) in entries {
            text += &format!("\t{key} = {value}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_levels() {
        let group = |entries: &[(&str, &str)]| {
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let stats = BTreeMap::from([
            ("tags".to_owned(), group(&[("role", "web"), ("dc", "east")])),
            ("agent".to_owned(), group(&[("name", "node-a")])),
        ]);
        assert_eq!(text(&stats), "agent:\n\tname = node-a\ntags:\n\tdc = east\n\trole = web\n");
    }
}
