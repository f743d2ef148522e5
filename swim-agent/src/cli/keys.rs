//! `keys`

use std::process::ExitCode;

use crate::cli::columns::columns;
use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::format::{FORMAT, report, wants_json};
use crate::cli::printable::shown;
use crate::cli::{Command, Failure, say};
use crate::rpc::messages::KeyReply;

const fn key(name: &'static str, help: &'static str) -> Flag {
    Flag { name, kind: Kind::Text, hint: "=key", help }
}

pub(crate) const COMMAND: Command = Command {
    name: "keys",
    synopsis: "Manipulate the internal encryption keyring used by Serf",
    usage: "[options]...",
    about: "\
Lists or changes the encryption keys of all members. To replace a key:
install the new one, use it, and when all members do, remove the old one.

Example:  keys -install=T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=",
    flags: Some(&[
        key("install", "Give all members this key as well, to decrypt with."),
        key("use", "Make all members encrypt with this key, which they must have."),
        key("remove", "Take this key from all members; not the one they encrypt with."),
        Flag {
            name: "list",
            kind: Kind::Bool,
            hint: "",
            help: "Show which keys there are, and how many members have each.",
        },
        FORMAT,
        RPC_ADDR,
        RPC_AUTH,
    ]),
    prefix: "",
    run,
};

/// A change of keys: its flag, the protocol's command, and what is printed before, after, and when it fails.
struct Change {
    flag: &'static str,
    command: &'static str,
    doing: &'static str,
    done: &'static str,
    failed: &'static str,
}

const CHANGES: [Change; 3] = [
    Change {
        flag: "install",
        command: "install-key",
        doing: "==> Installing key on all members...",
        done: "==> Successfully installed key!",
        failed: "Error installing key",
    },
    Change {
        flag: "use",
        command: "use-key",
        doing: "==> Changing primary key on all members...",
        done: "==> Successfully changed primary key!",
        failed: "Error changing primary key",
    },
    Change {
        flag: "remove",
        command: "remove-key",
        doing: "==> Removing key on all members...",
        done: "==> Successfully removed key!",
        failed: "Error removing key",
    },
];

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let given = |change: &Change| parsed.text(change.flag).filter(|key| !key.is_empty());
    let mut wanted = CHANGES.iter().filter_map(|change| Some((change, given(change)?)));
    let first = wanted.next();
    match (first, wanted.next(), parsed.is_on("list")) {
        (None, _, false) => Err(Failure::Usage("")),
        (None, _, true) => list(parsed),
        (Some((change, key)), None, false) => apply(parsed, change, key),
        (Some(_), _, _) => Err(Failure::Message("Only one of -install, -use, -remove, or -list allowed".to_owned())),
    }
}

fn apply(parsed: &Parsed, change: &Change, key: &str) -> Result<ExitCode, Failure> {
    let json = wants_json(parsed)?;
    let mut client = connect(parsed)?;
    if !json {
        say(change.doing);
    }
    let failed = |reply: &KeyReply, error: &str| Err(failure(reply, change.failed, error));
    match client.keys(change.command, Some(key)) {
        Ok((reply, error)) if error.is_empty() => {
            let result = serde_json::json!({ "messages": reply.messages, "nodes": reply.nodes });
            report(json, &result, change.done)?;
            Ok(ExitCode::SUCCESS)
        }
        Ok((reply, error)) => failed(&reply, &error),
        Err(error) => failed(&KeyReply::default(), &error.to_string()),
    }
}

fn list(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let json = wants_json(parsed)?;
    let mut client = connect(parsed)?;
    if !json {
        say("==> Asking all members for installed keys...");
    }
    let failed = |reply: &KeyReply, error: &str| Err(failure(reply, "Failed to gather member keys", error));
    let reply = match client.keys("list-keys", None) {
        Ok((reply, error)) if error.is_empty() => reply,
        Ok((reply, error)) => return failed(&reply, &error),
        Err(error) => return failed(&KeyReply::default(), &error.to_string()),
    };
    if !json {
        say("==> Keys gathered, listing cluster keys...\n");
    }
    let result = serde_json::json!({
        "keys": reply.keys.clone().unwrap_or_default(),
        "messages": reply.messages,
        "nodes": reply.nodes,
        "primary_keys": reply.primary_keys,
    });
    report(json, &result, table(&reply).trim())?;
    Ok(ExitCode::SUCCESS)
}

/// One key a row: how many members have it, and, where members say so, how many encrypt with it.
fn table(reply: &KeyReply) -> String {
    let rows = reply.keys.iter().flatten().map(|(key, count)| {
        let primary = reply.primary_keys.get(key).map(|count| format!("|primary on [{count}/{}]", reply.nodes));
        format!("{}|[{count}/{}]{}", shown(key), reply.nodes, primary.unwrap_or_default())
    });
    columns(&rows.collect::<Vec<_>>())
}

/// What the members say is wrong, one a row, and then the whole of it.
fn failure(reply: &KeyReply, what: &str, error: &str) -> Failure {
    let rows = reply.messages.iter().map(|(name, message)| format!("failed:|{}|{}", shown(name), shown(message)));
    let rows: Vec<_> = rows.collect();
    let table = if rows.is_empty() { String::new() } else { columns(&rows) + "\n" };
    Failure::Message(format!("{table}\n{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn failures_as_captured() {
        let messages = ["k1", "k2"].map(|name| (name.to_owned(), "Removing the primary key is not allowed".to_owned()));
        let reply = KeyReply { messages: BTreeMap::from(messages), ..KeyReply::default() };
        assert_eq!(
            failure(&reply, "Error removing key", "2/2 nodes reported failure"),
            Failure::Message(
                "failed:  k1  Removing the primary key is not allowed\n\
                 failed:  k2  Removing the primary key is not allowed\n\n\
                 Error removing key: 2/2 nodes reported failure"
                    .into()
            )
        );
        assert_eq!(
            failure(&KeyReply::default(), "Error installing key", "illegal base64 data at input byte 0"),
            Failure::Message("\nError installing key: illegal base64 data at input byte 0".into())
        );
    }

    #[test]
    fn lists() {
        let keys = BTreeMap::from([("aaaa".to_owned(), 2), ("bbbb".to_owned(), 1)]);
        let mut reply = KeyReply { keys: Some(keys), nodes: 2, ..KeyReply::default() };
        assert_eq!(table(&reply), "aaaa  [2/2]\nbbbb  [1/2]");
        reply.primary_keys.insert("aaaa".to_owned(), 2);
        assert_eq!(table(&reply), "aaaa  [2/2]  primary on [2/2]\nbbbb  [1/2]");
    }
}
