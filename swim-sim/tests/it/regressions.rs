//! Plans that broke a rule once, as `swim-sim swarm` printed them, and a few seeds that every test run takes along.

use swim_sim::plan::Plan;

/// A member that has left comes back elsewhere while one that never met it can hear only of the leave: that one took
/// the leave for later than the return, and both had the same time, so that nothing told it better (as in Serf).
#[test]
fn agreement_seed_94() {
    let plan: Plan = r#"{ "seed": 94, "nodes": 7, "steps": [
        {"at":8001,"what":{"Crash":{"node":7}}},
        {"at":30125,"what":{"Crash":{"node":3}}},
        {"at":35654,"what":{"Leave":{"node":1}}},
        {"at":44519,"lasts":19896,"what":{"Partition":{"group":[3,4,6]}}},
        {"at":46358,"what":{"Restart":{"node":1,"memory":"Nothing","moved":true}}},
        {"at":51300,"what":{"Restart":{"node":3,"memory":"OldSnapshot","moved":false}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// A clock that jumps makes due what lies between; the simulator let a datagram in first.
#[test]
fn deadline_ahead_seed_42() {
    let plan: Plan = r#"{ "seed": 42, "nodes": 3, "setting": {"seeds":true}, "steps": [
        {"at":132,"what":{"Jump":{"node":3,"by":6400}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// Whoever has left and comes back with its snapshot has no cluster to come back to: an operator must show it the way.
#[test]
fn nobody_stays_dead_seed_1353() {
    let plan: Plan = r#"{ "seed": 1353, "nodes": 2, "steps": [
        {"at":259,"what":{"Leave":{"node":1}}},
        {"at":2888,"what":{"Restart":{"node":1,"memory":"Snapshot","moved":false}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// Whoever takes a name while nobody else is there must be shown to its owner, or neither can notice; nobody can say
/// whose it is then, and both give it up.
#[test]
fn one_name_one_node_seed_1770() {
    let plan: Plan = r#"{ "seed": 1770, "nodes": 3, "steps": [
        {"at":0,"what":{"Crash":{"node":1}}},
        {"at":0,"what":{"Leave":{"node":2}}},
        {"at":2737,"what":{"Impostor":{"node":3}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// The same where newcomers go by the names of seeds, none of which runs any more.
#[test]
fn one_name_one_node_seed_9321() {
    let plan: Plan = r#"{ "seed": 9321, "nodes": 6, "setting": {"seeds":true}, "steps": [
        {"at":0,"what":{"Crash":{"node":3}}},
        {"at":0,"what":{"Crash":{"node":1}}},
        {"at":0,"what":{"Leave":{"node":2}}},
        {"at":497,"what":{"Impostor":{"node":6}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// Whoever comes back with a snapshot takes no events from before it, not even new ones of members that have not heard of
/// that time yet, because the event that it came of was lost.
#[test]
fn event_at_least_once_seed_12049() {
    let plan: Plan = r#"{ "seed": 12049, "nodes": 4, "steps": [
        {"at":2,"lasts":48,"what":{"Partition":{"group":[4]}}},
        {"at":13,"what":{"UserEvent":{"node":4,"bytes":153}}},
        {"at":45,"what":{"Crash":{"node":4}}},
        {"at":50009,"what":{"Restart":{"node":4,"memory":"Snapshot","moved":true}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// An operator's join that is still under way does not want what is said meanwhile; the question came too early.
#[test]
fn event_at_least_once_seed_31354() {
    let plan: Plan = r#"{ "seed": 31354, "nodes": 4, "setting": {"preset":"Local","seeds":true}, "steps": [
        {"at":1500,"what":{"Crash":{"node":1}}},
        {"at":52000,"what":{"Join":{"node":3,"via":2}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// An impostor that outlives whom it imitates was never introduced, if all that it was to join were out of reach.
#[test]
fn nobody_stays_dead_seed_19014_with_one_impostor_at_a_time() {
    let plan: Plan = r#"{ "seed": 19014, "nodes": 3, "steps": [
        {"at":10018,"what":{"UserEvent":{"node":2,"bytes":296}}},
        {"at":10405,"what":{"Jump":{"node":2,"by":3200}}},
        {"at":44178,"lasts":82981,"what":{"Mute":{"node":2}}},
        {"at":65348,"lasts":22010,"what":{"Mute":{"node":1}}},
        {"at":85296,"what":{"Impostor":{"node":2}}},
        {"at":114145,"what":{"Impostor":{"node":3}}},
        {"at":114676,"what":{"Crash":{"node":1}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// The swarm in small: small clusters, with whatever befalls them, and the same hash again.
#[test]
fn a_handful_of_seeds() {
    for seed in 0..24 {
        let plan = Plan::generate_for(seed, 3 + seed as u32 % 6);
        plan.run_twice().unwrap_or_else(|failure| panic!("seed {seed}: {failure}\n{}", plan.to_json()));
    }
}
