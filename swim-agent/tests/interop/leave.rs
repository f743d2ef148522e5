//! A node that says goodbye is `left` on the other side, not `failed`, and its process ends with status 0.

use crate::harness::{Agent, Kind, secs, wait_status};
use crate::join::joins;

fn leaves(leaver: Kind, say_goodbye: impl Fn(&Agent)) {
    let [serf, swim] = joins(Kind::Swim, &[], &[]);
    let (mut leaver, observer) = if leaver == Kind::Serf { (serf, swim) } else { (swim, serf) };
    say_goodbye(&leaver);
    // In so small a cluster SWIM's farewell can overtake Serf's, and the node passes for failed until that arrives.
    wait_status(&observer, &leaver.name, "left", secs(20));
    let status = leaver.wait_exit(secs(20));
    assert_eq!(status.code(), Some(0), "{}", leaver.name);
    assert_eq!(observer.info("serf", "left"), "1");
}

fn by_interrupt(agent: &Agent) {
    agent.signal("INT");
}

fn by_command(agent: &Agent) {
    let output = agent.ask(agent.kind, "leave", &[]);
    assert!(output.success, "{}", output.stdout);
    assert_eq!(output.stdout.trim(), "Graceful leave complete");
}

#[test]
fn serf_interrupted() {
    leaves(Kind::Serf, by_interrupt);
}

#[test]
fn swim_interrupted() {
    leaves(Kind::Swim, by_interrupt);
}

#[test]
fn serf_leave_command() {
    leaves(Kind::Serf, by_command);
}

#[test]
fn swim_leave_command() {
    leaves(Kind::Swim, by_command);
}
