//! `reachability`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, render, wants_json};
use crate::cli::interrupt::exit_on_interrupt;
use crate::cli::printable::shown;
use crate::cli::{Command, Failure, say};
use crate::rpc::client::Question;

pub(crate) const COMMAND: Command = Command {
    name: "reachability",
    synopsis: "Test network reachability",
    usage: "[options]",
    about: "\
Asks all members to answer, and compares who does with who is alive. It shows
whether the network lets members talk to each other as the cluster needs.
In JSON it is one document, when the time is up.

Example:  reachability -verbose",
    flags: Some(&[
        FORMAT,
        Flag { name: "verbose", kind: Kind::Bool, hint: "", help: "Show who answers, and how long it takes." },
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let json = wants_json(parsed)?;
    let verbose = parsed.is_on("verbose") && !json;
    let tell = |text: &str| {
        if !json {
            say(text);
        }
    };
    let mut client = connect(parsed)?;
    let members = client.members_filtered(&BTreeMap::new(), "", "");
    let members = members.map_err(|error| Failure::Message(format!("Error getting members: {error}")))?;
    let alive: BTreeSet<_> =
        members.iter().filter(|member| member.status == "alive").map(|member| member.name.clone()).collect();
    tell(&format!("Total members: {}, live members: {}", members.len(), alive.len()));

    exit_on_interrupt(1, (!json).then_some("Test interrupted"));
    let failed = |error| Failure::Message(format!("Error sending query: {error}"));
    let start = Instant::now();
    client.query(&Question { name: "_serf_ping", request_ack: true, ..Question::default() }).map_err(failed)?;
    tell("Starting reachability test...");
    let (mut heard, mut duplicates) = (BTreeSet::new(), BTreeSet::new());
    let mut last = start;
    while let Some(answer) = client.answer().map_err(failed)? {
        if answer.payload.is_some() {
            continue;
        }
        last = Instant::now();
        if verbose {
            say(&format!("\tAck from '{}'", shown(&answer.from)));
        }
        if !heard.insert(answer.from.clone()) {
            if !json {
                let text = format!("Duplicate response from '{}'\n{DUPLICATE}", shown(&answer.from));
                return Err(Failure::Message(text));
            }
            duplicates.insert(answer.from);
        }
    }
    let (whole, answers) = (start.elapsed().as_secs_f64(), (last - start).as_secs_f64());
    if json {
        let reached = judge(&alive, &heard).is_ok() && duplicates.is_empty();
        let found = Found {
            reached,
            members: members.len(),
            live: alive.len(),
            missing: alive.difference(&heard).collect(),
            unexpected: heard.difference(&alive).collect(),
            duplicates: &duplicates,
            acks: &heard,
            query_seconds: whole,
            last_ack_seconds: answers,
        };
        say(&render(Some("json"), &found, String::new)?);
        return Ok(if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if verbose {
        say(&format!("Query time: {whole:.2} sec, time to last response: {answers:.2} sec"));
    }
    judge(&alive, &heard).map_err(Failure::Message)?;
    say("Successfully contacted all live nodes");
    Ok(ExitCode::SUCCESS)
}

/// The JSON form; the names are part of the interface.
#[derive(Serialize)]
struct Found<'a> {
    /// Whether all is well, which the exit code says as well.
    reached: bool,
    members: usize,
    live: usize,
    acks: &'a BTreeSet<String>,
    missing: Vec<&'a String>,
    unexpected: Vec<&'a String>,
    duplicates: &'a BTreeSet<String>,
    query_seconds: f64,
    last_ack_seconds: f64,
}

/// Compares who should have answered with who has.
fn judge(alive: &BTreeSet<String>, heard: &BTreeSet<String>) -> Result<(), String> {
    let list = |names: Vec<&String>| names.iter().map(|name| format!("\t{}\n", shown(name))).collect::<String>();
    if heard.len() > alive.len() {
        let extra = list(heard.difference(alive).collect());
        return Err(format!("Received more acks than live nodes! Acks from non-live nodes:\n{extra}{MORE}\n\n{TIPS}"));
    }
    // Not only the numbers, as Serf does: whoever came meanwhile does not stand in for one who is silent.
    if !heard.is_superset(alive) {
        let missing = list(alive.difference(heard).collect());
        return Err(format!("Received less acks than live nodes! Missing acks from:\n{missing}{LESS}\n\n{TIPS}"));
    }
    Ok(())
}

const DUPLICATE: &str = "Two agents may run under one name: compare `members` on several hosts.";
const MORE: &str = "These are held to be gone and are not: the failure detector is wrong about them.";
const LESS: &str = "They may have failed a moment ago, or packets to or from them are lost.";
const TIPS: &str = "\
Troubleshooting tips:
* Both UDP and TCP must pass between all members, on the port of -bind.
* Each member must be reachable at the address it advertises; see -advertise.
* `members` on the hosts in question shows whether they see the others.
* `info` shows the health score of an agent: above 0, its host is slow or loses packets.
* The agents' logs say who could not be reached; `monitor -log-level=debug` shows more.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_should_and_who_has() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(judge(&set(&["a", "b"]), &set(&["a", "b"])), Ok(()));
        let less = judge(&set(&["a", "b"]), &set(&["a"])).unwrap_err();
        assert!(less.starts_with("Received less acks than live nodes! Missing acks from:\n\tb\n"), "{less}");
        assert!(less.contains("\n\nTroubleshooting tips:\n* "), "{less}");
        let other = judge(&set(&["a", "b"]), &set(&["a", "c"])).unwrap_err();
        assert!(other.starts_with("Received less acks than live nodes! Missing acks from:\n\tb\n"), "{other}");
        let more = judge(&set(&["a"]), &set(&["a", "b"])).unwrap_err();
        assert!(more.starts_with("Received more acks than live nodes! Acks from non-live nodes:\n\tb\n"), "{more}");
    }
}
