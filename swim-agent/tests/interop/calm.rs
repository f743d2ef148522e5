//! A mixed cluster that nothing happens to: nothing must happen in it.

use std::thread::sleep;
use std::time::Instant;

use crate::harness::{Agent, Kind, UNHURRIED, secs, wait_whole, whole};

/// Three of theirs and two of ours, in no hurry, for a minute: everybody alive all the time, nobody suspected,
/// nobody doubting itself, and nothing on the wire that Serf could not read.
#[test]
fn five_nodes_stay_calm_for_a_minute() {
    let kinds = [Kind::Serf, Kind::Swim, Kind::Serf, Kind::Swim, Kind::Serf];
    let agents: Vec<_> = kinds
        .into_iter()
        .enumerate()
        .map(|(index, kind)| Agent::start(kind, &format!("n{index}"), &[UNHURRIED]))
        .collect();
    // A chain, so that most members hear of most others by gossip and not from a join.
    for pair in agents.windows(2) {
        pair[1].join(&pair[0]);
    }
    let all: Vec<_> = agents.iter().collect();
    wait_whole(&all, secs(40));

    let start = Instant::now();
    while start.elapsed() < secs(60) {
        if let Err(complaint) = whole(&all) {
            panic!("after {:?}: {complaint}", start.elapsed());
        }
        sleep(secs(1));
    }

    for agent in &agents {
        assert_eq!(agent.info("serf", "health_score"), "0", "health of {}", agent.name);
        assert_eq!(agent.info("serf", "members"), "5", "members on {}", agent.name);
        assert_eq!(agent.info("serf", "failed"), "0", "failed on {}", agent.name);
        let alarming = match agent.kind {
            Kind::Serf => THEIR_ALARMS,
            Kind::Swim => OUR_ALARMS,
        };
        assert_eq!(agent.log_lines(alarming), [""; 0], "in the log of {}", agent.name);
    }
}

/// Suspicions, refutations, errors, and whatever memberlist and Serf say of messages they cannot make sense of.
const THEIR_ALARMS: &[&str] = &[
    "[ERR]",
    "[WARN]",
    "Suspect ",
    "as failed",
    "Refuting",
    "refuting",
    "ecode",
    "ecrypt",
    "ecompress",
    "not supported",
    "Unknown message",
    "unknown message",
    "hecksum",
    "EventMemberFailed",
    "EventMemberUpdate",
];

const OUR_ALARMS: &[&str] = &["[ERR]", "[WARN]", "EventMemberFailed", "EventMemberUpdate"];
