//! Either program joins the other, whatever the compression, and both then say the same of the cluster.

use crate::harness::{Agent, Kind, secs, wait_until, wait_whole};

/// Starts one agent of each kind, lets the one of kind `joiner` join the other, and waits until both agree.
pub(crate) fn joins(joiner: Kind, serf_args: &[&str], swim_args: &[&str]) -> [Agent; 2] {
    let serf = Agent::start(Kind::Serf, "one", &[&["-profile=local"], serf_args].concat());
    let swim = Agent::start(Kind::Swim, "two", &[&["-profile=local"], swim_args].concat());
    match joiner {
        Kind::Serf => serf.join(&swim),
        Kind::Swim => swim.join(&serf),
    }
    wait_whole(&[&serf, &swim], secs(15));
    [serf, swim]
}

/// Gossip, unlike the join, is datagrams: a tag that changes on one side must reach the other.
///
/// Asked of Serf's agent alone, in both roles: what is under test is that our side understands it.
fn tag_change_arrives([serf, swim]: &[Agent; 2]) {
    let output = serf.ask(Kind::Serf, "tags", &["-set", "colour=green"]);
    assert!(output.success, "{}", output.stdout);
    wait_until("the changed tag is known", secs(15), || {
        let members = swim.members()?;
        let row = members.0.get(&serf.name).ok_or("the member is gone")?;
        match row.tags.get("colour") {
            Some(colour) if colour == "green" => Ok(()),
            other => Err(format!("colour is {other:?}")),
        }
    });
}

#[test]
fn swim_joins_serf() {
    tag_change_arrives(&joins(Kind::Swim, &[], &[]));
}

#[test]
fn serf_joins_swim() {
    tag_change_arrives(&joins(Kind::Serf, &[], &[]));
}

#[test]
fn without_compression_on_the_serf_side() {
    tag_change_arrives(&joins(Kind::Swim, &["-disable-compression"], &[]));
}

#[test]
fn without_compression_on_the_swim_side() {
    tag_change_arrives(&joins(Kind::Serf, &[], &["-disable-compression"]));
}

#[test]
fn without_compression_on_both_sides() {
    tag_change_arrives(&joins(Kind::Swim, &["-disable-compression"], &["-disable-compression"]));
}

/// `-join` at the start, instead of the command.
#[test]
fn start_up_join() {
    for (first, second) in [(Kind::Serf, Kind::Swim), (Kind::Swim, Kind::Serf)] {
        let first = Agent::start(first, "one", &["-profile=local"]);
        let second = Agent::start(second, "two", &["-profile=local", &format!("-join={}", first.bind)]);
        wait_whole(&[&first, &second], secs(15));
    }
}

/// Coordinates ride on acks in both directions: Serf's agent can say how far apart the two are.
#[test]
fn round_trips_are_estimated() {
    let [serf, swim] = joins(Kind::Swim, &[], &[]);
    wait_until("a round trip is known", secs(15), || {
        let output = serf.ask(Kind::Serf, "rtt", &[&swim.name, &serf.name]);
        if output.success && output.stdout.starts_with("Estimated") { Ok(()) } else { Err(output.stdout) }
    });
    assert_eq!(swim.info("serf", "coordinate_resets"), "0");
    assert_eq!(
        serf.log_lines(&["oordinate", "ping version"]),
        Vec::<String>::new(),
        "what our acks carry is understood"
    );
}

/// A join command reports whom it could not reach, in Serf's words, and both clients print them.
#[test]
fn nobody_there() {
    let swim = Agent::start(Kind::Swim, "two", &["-profile=local"]);
    // An address of ours with a port that nobody listens on.
    let nobody = format!("{}:1", swim.bind.ip());
    for program in [Kind::Serf, Kind::Swim] {
        let output = swim.ask(program, "join", &[&nobody]);
        assert!(!output.success, "{program:?} join of nobody succeeded");
        for part in ["Error joining the cluster: 1 error occurred:", "Failed to join", "connection refused"] {
            assert!(output.stdout.contains(part), "{program:?} join: no {part:?} in {:?}", output.stdout);
        }
    }
}
