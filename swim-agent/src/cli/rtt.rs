//! `rtt`

use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::Parsed;
use crate::cli::format::{FORMAT, report, wants_json};
use crate::cli::printable::shown;
use crate::cli::{Command, Failure};

pub(crate) const COMMAND: Command = Command {
    name: "rtt",
    synopsis: "Estimates network round trip time between nodes",
    usage: "[options] node1 [node2]",
    about: "\
Estimates how long a packet takes from one member to another and back, from
their network coordinates and without sending any. The second member is by
default the agent's own.

Example:  rtt web-1 db-1",
    flags: Some(&[FORMAT, RPC_ADDR, RPC_AUTH]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let json = wants_json(parsed)?;
    let mut client = connect(parsed)?;
    let (first, second) = match parsed.rest.as_slice() {
        [first] => {
            let stats = client.stats();
            let mut stats = stats.map_err(|error| Failure::Message(format!("Error querying agent: {error}")))?;
            let own = stats.get_mut("agent").and_then(|agent| agent.remove("name")).unwrap_or_default();
            (first.clone(), own)
        }
        [first, second] => (first.clone(), second.clone()),
        _ => return Err(Failure::Usage("One or two node names must be specified")),
    };
    let mut coordinate = |node: &str| {
        let found = client.coordinate(node);
        let found = found.map_err(|error| Failure::Message(format!("Error getting coordinates: {error}")))?;
        found.ok_or_else(|| Failure::Message(format!("Could not find a coordinate for node {node:?}")))
    };
    let rtt = coordinate(&first)?.distance_to(&coordinate(&second)?);
    let millis = rtt.as_secs_f64() * 1000.0;
    let result = serde_json::json!({ "nodes": [first, second], "rtt_ms": millis });
    let (first, second) = (shown(&first), shown(&second));
    report(json, &result, &format!("Estimated {first} <-> {second} rtt: {millis:.3} ms"))?;
    Ok(ExitCode::SUCCESS)
}
