//! `members -watch`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Agent, PATIENCE, Running, command};
use crate::terminal::OnTerminal;

/// The list, and again when a tag changes, when somebody joins, and when the agent ends that it is over.
#[test]
fn lists_follow_what_happens() {
    let mut a = Agent::start("alpha", &["-tag=role=web"]);
    let rpc = format!("-rpc-addr={}", a.rpc);
    let mut watching = Running::start(&["members", "-watch", &rpc]);
    watching.wait_for(&format!("alpha  {}  alive  role=web\n\n", a.bind));
    assert!(watching.output.starts_with("==> 20"), "{}", watching.output);
    watching.forget();
    assert_eq!(a.swim("tags", &["-set", "role=db"]).code, Some(0));
    watching.wait_for("role=db");
    watching.forget();
    let b = Agent::start("bravo", &[&format!("-join={}", a.bind)]);
    watching.wait_for(&format!("bravo  {}  alive", b.bind));
    a.signal("KILL");
    a.ended();
    assert_eq!(watching.ended(), Some(1));
    assert!(watching.output.ends_with("\nError watching members: client closed\n"), "{}", watching.output);
}

/// In JSON every line is a document, with the members that were asked for; an interrupt is a good end.
#[test]
fn documents_are_lines() {
    let a = Agent::start("alpha", &[]);
    let rpc = format!("-rpc-addr={}", a.rpc);
    let mut watching = Running::start(&["members", "-watch", "-format=json", "-name=b.*", &rpc]);
    watching.wait_for("{\"members\":null}\n");
    let _b = Agent::start("bravo", &[&format!("-join={}", a.bind)]);
    watching.wait_for("bravo");
    watching.signal("INT");
    assert_eq!(watching.ended(), Some(0));
    let lists: Vec<Value> = watching.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lists[0]["members"], Value::Null);
    assert_eq!(lists[1]["members"][0]["name"], "bravo");
    assert!(lists.iter().all(|list| list["members"].as_array().is_none_or(|members| members.len() == 1)));
}

/// `members -watch | head -1`: nobody reads on, and it ends although nothing happens.
#[test]
fn it_ends_with_its_reader() {
    let agent = Agent::start("alpha", &[]);
    let mut watching = command(&["members", "-watch", &format!("-rpc-addr={}", agent.rpc)]);
    let mut watching = watching.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    // The pipe closes with this line.
    BufReader::new(watching.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("==> "), "{first}");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = watching.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "still runs");
        std::thread::sleep(core::time::Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(1));
    let stderr = BufReader::new(watching.stderr.take().unwrap()).lines().next();
    assert!(stderr.is_none(), "{stderr:?}");
}

/// On a terminal one list takes the place of the other, and a tag cannot do anything to the terminal.
#[test]
fn on_a_terminal_lists_replace_each_other() {
    let agent = Agent::start("alpha", &["-tag=k=\x1b]0;mine\x07"]);
    let watching = OnTerminal::start(command(&["members", "-watch", &format!("-rpc-addr={}", agent.rpc)]), 80, 24);
    watching.wait_for("k=\\u{1b}]0;mine\\u{7}");
    assert_eq!(agent.swim("tags", &["-set", "x=1"]).code, Some(0));
    watching.wait_for("x=1");
    watching.signal("INT");
    let ended = watching.ended();
    assert_eq!((ended.code, ended.output.matches("\x1b[H\x1b[J==> ").count()), (Some(0), 2), "{:?}", ended.output);
    assert!(ended.is_as_before && !ended.output.contains("\x1b]0;"), "{:?}", ended.output);
}

#[test]
fn what_is_wrong_is_told() {
    let agent = Agent::start("alpha", &[]);
    let wrong = |arguments: &[&str]| {
        let found = agent.swim("members", &[&["-watch"], arguments].concat());
        assert_eq!(found.code, Some(1), "{found:?}");
        found
    };
    assert_eq!(wrong(&["-status=("]).stdout, "Error retrieving members: client closed\n");
    let found = wrong(&["-status=(", "-format=json"]);
    assert_eq!((&*found.stdout, &*found.stderr), ("", "Error retrieving members: client closed\n"));
    assert_eq!(wrong(&["-format=xml"]).stdout, "Encoding error: Invalid output format \"xml\"\n");
}
