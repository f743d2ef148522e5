//! `tags`

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, report, wants_json};
use crate::cli::{Command, Failure};
use crate::config::parse_tag;

pub(crate) const COMMAND: Command = Command {
    name: "tags",
    synopsis: "Modify tags of a running Serf agent",
    usage: "[options] ...",
    about: "\
Changes the tags of a running agent and tells the cluster.

Example:  tags -set role=web -set dc=east -delete draining",
    flags: Some(&[
        Flag { name: "delete", kind: Kind::Text, hint: " key", help: "Tag to delete. May be given several times." },
        FORMAT,
        Flag { name: "set", kind: Kind::Text, hint: " key=value", help: "Tag to set. May be given several times." },
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let delete: Vec<_> = parsed.all("delete").map(str::to_owned).collect();
    if delete.is_empty() && parsed.text("set").is_none() {
        return Err(Failure::Usage(""));
    }
    let json = wants_json(parsed)?;
    let mut client = connect(parsed)?;
    let set = parsed.all("set").map(parse_tag).collect::<Result<BTreeMap<_, _>, _>>().map_err(Failure::Message)?;
    client.tags(&set, &delete).map_err(|error| Failure::Message(format!("Error setting tags: {error}")))?;
    report(json, &serde_json::json!({ "set": set, "deleted": delete }), "Successfully updated agent tags")?;
    Ok(ExitCode::SUCCESS)
}
