//! `top`, on a terminal.

use crate::support::{Agent, command};
use crate::terminal::OnTerminal;

fn top(rpc: &str) -> OnTerminal {
    OnTerminal::start(command(&["top", &format!("-rpc-addr={rpc}")]), 120, 36)
}

#[test]
fn elsewhere_it_says_what_to_use_instead() {
    let agent = Agent::start("a", &[]);
    let found = agent.swim("top", &[]);
    assert_eq!(found.code, Some(1));
    assert!(found.stdout.starts_with("Error: top needs a terminal"), "{found:?}");
    assert!(found.stdout.contains("`members -watch`"), "{found:?}");
}

#[test]
fn without_an_agent_it_fails_like_any_command() {
    let ended = OnTerminal::start(command(&["top", "-rpc-addr=127.0.0.1:1"]), 80, 24).ended();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.output, "Error connecting to Serf agent: dial tcp 127.0.0.1:1: connect: connection refused\r\n");
}

/// Members come, events pass by, the agent goes and comes back, and in the end the terminal is as it was.
#[test]
fn what_happens_is_seen() {
    // An address of its own, or somebody else might have the port when it comes back.
    let mut a = Agent::start_at("127.0.0.63", "alpha", &["-tag=role=web"]);
    let mut top = top(&a.rpc);
    for word in ["alpha", "role=web", "alive", "self"] {
        top.wait_for(word);
    }
    let b = Agent::start("bravo", &[&format!("-join={}", a.bind)]);
    top.wait_for("bravo");
    top.wait_for("member-join");
    // Soon it is known how far away that is.
    a.rtt_known("bravo");
    top.wait_for("ms");
    // A payload is shown, but the terminal does not do as it says.
    assert_eq!(b.swim("event", &["deploy", "\x1b]0;mine\x07"]).code, Some(0));
    top.wait_for("deploy");
    top.wait_for("\\u{1b}]0;mine\\u{7}");
    assert!(!top.output().contains("\x1b]0;"), "{:?}", top.output());
    // A filter takes the member away, and dropping it brings it back.
    top.forget();
    top.press("/alpha\r");
    top.wait_for("/alpha");
    top.forget();
    top.press("/\x7f\x7f\x7f\x7f\x7f\r");
    top.wait_for("bravo");

    let rpc = a.rpc.clone();
    a.signal("KILL");
    a.ended();
    top.wait_for("LOST");
    top.forget();
    let again = Agent::start("charlie", &[&format!("-rpc-addr={rpc}")]);
    assert_eq!(again.rpc, rpc);
    top.wait_for("charlie");

    top.press("q");
    let ended = top.ended();
    assert_eq!(ended.code, Some(0));
    assert!(ended.is_as_before && ended.output.ends_with("\x1b[?1049l"), "{:?}", ended.output);
}

/// However it is told to end, the terminal is given back.
#[test]
fn every_end_gives_the_terminal_back() {
    let agent = Agent::start("alpha", &[]);
    #[rustfmt::skip]
    let table = [
        // what it is told      by a signal     code
        ("q",                   false,          0),
        ("\x1b",                false,          0),
        ("\x03",                false,          0),
        ("INT",                 true,           0),
        ("TERM",                true,           1),
        ("HUP",                 true,           1),
    ];
    for (what, is_signal, code) in table {
        let mut top = top(&agent.rpc);
        top.wait_for("self");
        if is_signal {
            top.signal(what);
        } else {
            top.press(what);
        }
        let ended = top.ended();
        assert_eq!(ended.code, Some(code), "{what:?}");
        assert!(ended.is_as_before && ended.output.contains("\x1b[?1049l"), "{what:?}: {:?}", ended.output);
    }
}

/// An agent that stops answering is seen to, and so is that it goes on.
#[test]
fn silence_is_seen() {
    let agent = Agent::start("alpha", &[]);
    let top = top(&agent.rpc);
    top.wait_for("self");
    agent.signal("STOP");
    top.wait_for("ANSWER");
    agent.signal("CONT");
    assert_eq!(agent.swim("event", &["awake"]).code, Some(0));
    top.wait_for("awake");
}
