//! Nodes that die, nodes that only stall, and nodes that come back.

use std::thread::sleep;
use std::time::Instant;

use crate::harness::{Agent, Kind, UNHURRIED, secs, wait_status, wait_until, wait_whole};
use crate::join::joins;

/// A killed node is failed on the other side. Started again with its name and address but without its memory, it
/// must outbid the incarnation under which it was declared dead, and is alive again on both sides.
fn killed_and_restarted(victim: Kind) {
    let [serf, swim] = joins(Kind::Swim, &[], &[]);
    let (mut victim, observer) = if victim == Kind::Serf { (serf, swim) } else { (swim, serf) };
    victim.kill();
    wait_status(&observer, &victim.name, "failed", secs(30));
    assert_eq!(observer.info("serf", "failed"), "1");

    victim.restart();
    victim.join(&observer);
    wait_whole(&[&victim, &observer], secs(20));
    assert_eq!(observer.info("serf", "failed"), "0");
}

#[test]
fn serf_killed_and_restarted() {
    killed_and_restarted(Kind::Serf);
}

#[test]
fn swim_killed_and_restarted() {
    killed_and_restarted(Kind::Swim);
}

/// A node that stalls until it is suspected, but not until the suspicion ends, refutes it; nobody dies of it, neither
/// the node itself nor those whom it may accuse when it wakes (SWIM §4.2).
///
/// This profile leaves half a minute between suspicion and death, with four members.
fn stalled_node_refutes(stalled: Kind) {
    let args = [UNHURRIED];
    let stalled = Agent::start(stalled, "stalled", &args);
    let serf = Agent::start(Kind::Serf, "serf", &args);
    let others = [Agent::start(Kind::Swim, "swim", &args), Agent::start(stalled.kind.other(), "fourth", &args)];
    let all = [&stalled, &serf, &others[0], &others[1]];
    for agent in &all[1..] {
        agent.join(&stalled);
    }
    wait_whole(&all, secs(30));

    stalled.signal("STOP");
    wait_until("the stalled node is suspected", secs(40), || {
        // Serf's words; it is the one whose log we know to the letter.
        let lines = serf.log_lines(&["Suspect stalled has failed", "Marking stalled as failed"]);
        if lines.is_empty() { Err("no suspicion in serf's log".to_owned()) } else { Ok(()) }
    });
    sleep(secs(1));
    stalled.signal("CONT");

    let awake = Instant::now();
    // Until nobody can die of that suspicion any more.
    while awake.elapsed() < secs(35) {
        for agent in all {
            let members = agent.members().expect("the agent answers");
            for subject in all {
                assert_eq!(members.status(&subject.name), "alive", "{} on {}", subject.name, agent.name);
            }
        }
        sleep(secs(1));
    }
    for agent in all {
        assert_eq!(agent.log_lines(&["EventMemberFailed"]), [""; 0], "in the log of {}", agent.name);
    }
}

#[test]
fn stalled_serf_refutes() {
    stalled_node_refutes(Kind::Serf);
}

#[test]
fn stalled_swim_refutes() {
    stalled_node_refutes(Kind::Swim);
}
