//! `members`, once; and in `watch`, again whenever something changes.

mod watch;

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::columns::columns;
use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, render};
use crate::cli::printable::printable;
use crate::cli::{Command, Failure, complain, say};
use crate::config::parse_tag;
use crate::rpc::messages::Member;

pub(crate) const COMMAND: Command = Command {
    name: "members",
    synopsis: "Lists the members of the cluster",
    usage: "[options]",
    about: "\
Lists the members that the agent knows: those that are there, and those that
left or failed not long ago. Expressions must match as a whole.

Example:  members -watch -tag role=web",
    flags: Some(&[
        Flag { name: "detailed", kind: Kind::Bool, hint: "", help: "Show protocol versions, too (text format only)." },
        FORMAT,
        Flag { name: "name", kind: Kind::Text, hint: "=<regexp>", help: "Only members whose name matches." },
        Flag {
            name: "role",
            kind: Kind::Text,
            hint: "=<regexp>",
            help: "Only members whose role matches (deprecated: use -tag role=<regexp>).",
        },
        Flag {
            name: "status",
            kind: Kind::Text,
            hint: "=<regexp>",
            help: "Only members whose status matches: alive, leaving, left, failed.",
        },
        Flag {
            name: "tag",
            kind: Kind::Text,
            hint: " <key>=<regexp>",
            help: "Only members whose tag matches. May be given several times.",
        },
        Flag {
            name: "watch",
            kind: Kind::Bool,
            hint: "",
            help: "Show them again whenever something changes, until interrupted. Not on\na terminal, every list begins with a line with the time; in JSON, every\nlist is one line.",
        },
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let mut tags = parsed.all("tag").map(parse_tag).collect::<Result<BTreeMap<_, _>, _>>().map_err(Failure::Message)?;
    if let Some(role) = parsed.text("role").filter(|role| !role.is_empty()) {
        const WARNING: &str = "Deprecation warning: 'Role' has been replaced with 'Tags'";
        if parsed.is_on("watch") {
            // Among lines that are documents it would not be one.
            complain(WARNING);
        } else {
            say(WARNING);
        }
        tags.insert("role".into(), role.to_owned());
    }
    let (status, name) = (parsed.text("status").unwrap_or_default(), parsed.text("name").unwrap_or_default());
    if parsed.is_on("watch") {
        return watch::watch(parsed, |client| client.members_filtered(&tags, status, name));
    }
    let members = connect(parsed)?.members_filtered(&tags, status, name);
    let members = members.map_err(|error| Failure::Message(format!("Error retrieving members: {error}")))?;
    let as_text = || match stdout().is_terminal() {
        true => text(&printable_members(&members), parsed.is_on("detailed")),
        false => text(&members, parsed.is_on("detailed")),
    };
    say(&render(parsed.text("format"), &Members::new(&members), as_text)?);
    Ok(ExitCode::SUCCESS)
}

/// The same members, with names and tags that can do nothing to a terminal.
fn printable_members(members: &[Member]) -> Vec<Member> {
    let one = |member: &Member| Member {
        name: printable(&member.name),
        tags: member.tags.iter().map(|(key, value)| (printable(key), printable(value))).collect(),
        ..member.clone()
    };
    members.iter().map(one).collect()
}

/// The JSON form; the names are part of the interface.
#[derive(Serialize)]
struct Members<'a> {
    members: Option<Vec<Row<'a>>>,
}

impl<'a> Members<'a> {
    fn new(members: &'a [Member]) -> Self {
        Self { members: (!members.is_empty()).then(|| members.iter().map(Row::new).collect()) }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    addr: String,
    port: u16,
    tags: &'a BTreeMap<String, String>,
    status: &'a str,
    protocol: BTreeMap<&'static str, u64>,
}

impl<'a> Row<'a> {
    fn new(member: &'a Member) -> Self {
        let (min, max, version) = member.versions;
        Self {
            name: &member.name,
            addr: address(member),
            port: member.port,
            tags: &member.tags,
            status: &member.status,
            protocol: BTreeMap::from([("min", min), ("max", max), ("version", version)]),
        }
    }
}

fn text(members: &[Member], detailed: bool) -> String {
    let rows = members.iter().map(|member| {
        let tags: Vec<_> = member.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut row = format!("{}|{}|{}|{}", member.name, address(member), member.status, tags.join(","));
        if detailed {
            let (min, max, version) = member.versions;
            row += &format!("|Protocol Version: {version}|Available Protocol Range: [{min}, {max}]");
        }
        row
    });
    columns(&rows.collect::<Vec<_>>())
}

fn address(member: &Member) -> String {
    // An agent may know of members whose address it has not heard.
    member.address.map_or_else(|| format!("<nil>:{}", member.port), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, address: &str, tags: &[(&str, &str)]) -> Member {
        let address = address.parse::<core::net::SocketAddr>().unwrap();
        Member {
            name: name.into(),
            address: Some(address),
            port: address.port(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            status: "alive".into(),
            versions: (2, 5, 5),
        }
    }

    fn three() -> Vec<Member> {
        vec![
            member("node-a", "127.0.0.31:17948", &[("role", "web"), ("dc", "east")]),
            member("node-b", "127.0.0.32:17948", &[("role", "db")]),
            member("c", "127.0.0.33:17948", &[]),
        ]
    }

    fn shown(members: &[Member], format: Option<&str>, detailed: bool) -> String {
        render(format, &Members::new(members), || text(members, detailed)).unwrap()
    }

    #[test]
    fn text_as_captured() {
        assert_eq!(
            shown(&three(), None, false),
            "node-a  127.0.0.31:17948  alive  dc=east,role=web\n\
             node-b  127.0.0.32:17948  alive  role=db\n\
             c       127.0.0.33:17948  alive"
        );
        assert_eq!(
            shown(&three(), None, true),
            "node-a  127.0.0.31:17948  alive  dc=east,role=web  Protocol Version: 5  Available Protocol Range: [2, 5]\n\
             node-b  127.0.0.32:17948  alive  role=db           Protocol Version: 5  Available Protocol Range: [2, 5]\n\
             c       127.0.0.33:17948  alive                    Protocol Version: 5  Available Protocol Range: [2, 5]"
        );
        let untagged = [member("bb", "127.0.0.97:17958", &[]), member("a", "[::1]:17958", &[("x", "1")])];
        assert_eq!(shown(&untagged, None, false), "bb  127.0.0.97:17958  alive  \na   [::1]:17958       alive  x=1");
        assert_eq!(shown(&[], None, false), "");
    }

    #[test]
    fn json_as_captured() {
        let one = [member("node-a", "127.0.0.31:17948", &[("role", "web"), ("dc", "east")])];
        let expected = r#"{
  "members": [
    {
      "name": "node-a",
      "addr": "127.0.0.31:17948",
      "port": 17948,
      "tags": {
        "dc": "east",
        "role": "web"
      },
      "status": "alive",
      "protocol": {
        "max": 5,
        "min": 2,
        "version": 5
      }
    }
  ]
}"#;
        assert_eq!(shown(&one, Some("json"), false), expected);
        assert_eq!(shown(&[], Some("json"), false), "{\n  \"members\": null\n}");
    }
}
