//! Serf's messages, sent by Serf's agent: ours hears them, passes them on and answers.

use crate::harness::{Agent, Kind, UNHURRIED, secs, wait_forced, wait_status, wait_until, wait_whole};
use crate::join::joins;

fn ask(agent: &Agent, command: &str, args: &[&str]) -> String {
    let output = agent.ask(Kind::Serf, command, args);
    assert!(output.success, "{command} {args:?}: {}", output.stdout);
    output.stdout
}

/// A user event reaches our agent once, and through it another of Serf's. With the local profile both of its two
/// transmissions may go to the same one.
#[test]
fn user_events_are_heard_once() {
    let [serf, swim] = joins(Kind::Swim, &["-profile=lan"], &["-profile=lan"]);
    let third = Agent::start(Kind::Serf, "three", &["-profile=lan"]);
    third.join(&swim);
    wait_whole(&[&serf, &swim, &third], secs(15));
    ask(&serf, "event", &["-coalesce=false", "deploy", "now"]);
    for agent in [&swim, &third] {
        wait_until("the event is heard", secs(15), || {
            let heard = agent.log_lines(&["Received event: user-event: deploy"]);
            if heard.is_empty() { Err("not yet".into()) } else { Ok(()) }
        });
    }
    // Another one comes later; by then a second telling of the first would have come, too.
    ask(&serf, "event", &["-coalesce=false", "done"]);
    wait_until("the second event is heard", secs(15), || {
        let heard = swim.log_lines(&["Received event: user-event: done"]);
        if heard.is_empty() { Err("not yet".into()) } else { Ok(()) }
    });
    assert_eq!(swim.log_lines(&["Received event: user-event: deploy"]).len(), 1);
}

/// Our agent acknowledges queries, alone and through relays, and obeys their filters.
#[test]
fn queries_are_acknowledged() {
    let [serf, swim] = joins(Kind::Serf, &[UNHURRIED], &[UNHURRIED]);
    let ack = format!("Ack from '{}'", swim.name);
    for args in [
        &["-timeout=6s", "load"][..],
        &["-timeout=6s", "-relay-factor=1", "load"],
        &["-timeout=6s", "-tag", "kind=sw.*", "load"],
        &["-timeout=6s", "-node", &swim.name, "load"],
    ] {
        let answer = ask(&serf, "query", args);
        assert!(answer.contains(&ack), "{args:?}: {answer}");
    }
    let answer = ask(&serf, "query", &["-timeout=6s", "-tag", "kind=serf", "load"]);
    assert!(!answer.contains(&ack), "filtered out: {answer}");
    assert!(ask(&serf, "reachability", &[]).contains("Successfully contacted all live nodes"));
}

/// Keys are installed, used and removed on all nodes while they talk, and nobody is lost.
#[test]
fn keys_are_rotated() {
    const OLD: &str = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
    const NEW: &str = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";
    let encrypt = format!("-encrypt={OLD}");
    let [serf, swim] = joins(Kind::Swim, &[&encrypt, UNHURRIED], &[&encrypt, UNHURRIED]);
    ask(&serf, "keys", &[&format!("-install={NEW}")]);
    let listed = ask(&serf, "keys", &["-list"]);
    for key in [OLD, NEW] {
        assert!(listed.contains(&format!("{key}  [2/2]")), "{listed}");
    }
    ask(&serf, "keys", &[&format!("-use={NEW}")]);
    ask(&serf, "keys", &[&format!("-remove={OLD}")]);
    let listed = ask(&serf, "keys", &["-list"]);
    assert!(listed.contains(&format!("{NEW}  [2/2]")) && !listed.contains(OLD), "{listed}");
    // What cannot be done is refused on both, in the same words.
    let refused = serf.ask(Kind::Serf, "keys", &[&format!("-remove={NEW}")]);
    assert!(refused.stdout.contains("2/2 nodes reported failure"), "{}", refused.stdout);
    wait_whole(&[&serf, &swim], secs(15));
    assert_eq!(serf.log_lines(&["EventMemberFailed"]), Vec::<String>::new());
    assert_eq!(swim.log_lines(&["EventMemberFailed"]), Vec::<String>::new());
}

/// A member that failed is made to leave, and is forgotten when it is pruned.
#[test]
fn leaves_are_forced() {
    let [serf, swim] = joins(Kind::Swim, &[], &[]);
    let mut third = Agent::start(Kind::Serf, "three", &["-profile=local"]);
    third.join(&swim);
    wait_whole(&[&serf, &swim, &third], secs(15));
    third.kill();
    wait_status(&swim, &third.name, "failed", secs(45));
    wait_status(&serf, &third.name, "failed", secs(45));
    for (args, status) in [([&*third.name].as_slice(), "left"), (&["-prune", &third.name], "none")] {
        wait_forced(&[&swim], &third.name, status, || {
            ask(&serf, "force-leave", args);
        });
    }
}
