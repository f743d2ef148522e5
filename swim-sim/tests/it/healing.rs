//! Whoever was one cluster becomes one again, however long it was split, and without a call. What Serf does for a day
//! (`serf-layer 6.4`), the seeds and the memory of members do for ever.

use core::time::Duration;

use swim_core::Config;
use swim_core::ids::LamportTime;
use swim_core::serf::member::Status;
use swim_core::serf::snapshot::Record;
use swim_core::stats::Stats;
use swim_sim::{TestNet, secs};

const SEED: u64 = 1;
const MINUTE: Duration = secs(60);
const HOUR: Duration = secs(3600);

/// The longest that healing takes once the network is whole: the longest wait with its jitter, and a bad throw or two
/// of those who tried in vain before.
const SOON: Duration = secs(3 * 9 * 60);

/// Failed members are forgotten after minutes, so that an hour is a long partition.
fn forgetful(config: &mut Config) {
    config.serf.reconnect_timeout = 2 * MINUTE;
    config.serf.tombstone_timeout = 2 * MINUTE;
    config.serf.reap_interval = secs(15);
}

/// Exchanges are all that happens: nobody is probed, nobody fails, a day costs nothing.
fn idle(config: &mut Config) {
    config.swim.probe_interval = Duration::ZERO;
    config.swim.push_pull_interval = Duration::ZERO;
}

fn names(of: core::ops::RangeInclusive<usize>) -> Vec<String> {
    of.map(|n| format!("n{n}")).collect()
}

/// Splits the nodes into the first `left` and the others.
fn split(net: &mut TestNet, left: usize) -> [Vec<String>; 2] {
    let all = net.names().len();
    let sides = [names(1..=left), names(left + 1..=all)];
    let [a, b] = sides.each_ref().map(|side| side.iter().map(String::as_str).collect::<Vec<_>>());
    net.partition(&[&a, &b]);
    sides
}

/// Each side has found out that the other is gone, and forgets it if the time has come for that.
fn assert_split(net: &TestNet, sides: &[Vec<String>; 2], forgotten: bool) {
    for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        assert!(net.agree(side), "{net:?}");
        let status = net.status_at(&side[0], &other[0]);
        assert_eq!(status, if forgotten { None } else { Some(Status::Failed) });
    }
}

fn total(net: &TestNet, of: fn(&Stats) -> u64) -> u64 {
    net.names().iter().map(|name| of(net.stats(name))).sum()
}

/// Ten minutes: Serf's reconnects are enough, with seeds or without.
#[test]
fn a_partition_of_minutes_heals() {
    for (left, right) in [(2, 2), (5, 3), (20, 20)] {
        let mut net = TestNet::lan(left + right, SEED).converged();
        let sides = split(&mut net, left);
        net.run_for(10 * MINUTE);
        assert_split(&net, &sides, false);
        net.heal();
        net.run_until(TestNet::all_agree, SOON);
    }
}

/// Longer than members are remembered by Serf, with nothing but the memory of `heal.rs`.
#[test]
fn a_partition_longer_than_the_memory_of_serf_heals() {
    for (left, right) in [(2, 2), (5, 3), (20, 20), (1, 7)] {
        let mut net = TestNet::tuned(left + right, SEED, forgetful).converged();
        let sides = split(&mut net, left);
        net.run_for(20 * MINUTE);
        assert_split(&net, &sides, true);
        net.heal();
        net.run_until(TestNet::all_agree, SOON);
        assert!(total(&net, |stats| stats.heals_met) >= 1);
        // And then there is nobody left to try.
        let tried = total(&net, |stats| stats.heals_tried);
        net.run_for(20 * MINUTE);
        assert_eq!(total(&net, |stats| stats.heals_tried), tried);
        assert!(net.all_agree());
    }
}

/// The same with seeds that are all in one half, and no memory: the other half finds it.
#[test]
fn seeds_in_one_half_are_enough() {
    for (left, right) in [(2, 2), (3, 5), (20, 20)] {
        let tune = |config: &mut Config| {
            forgetful(config);
            config.serf.remembered_max = 0;
        };
        let mut net = TestNet::tuned(left + right, SEED, tune);
        for name in net.names() {
            net.set_seeds(&name, &["n1", "n2"]);
        }
        // Nobody calls `join`.
        net.run_until(TestNet::all_agree, MINUTE);
        let sides = split(&mut net, left);
        net.run_for(20 * MINUTE);
        assert_split(&net, &sides, true);
        let tried = |net: &TestNet| sides[0].iter().map(|name| net.stats(name).heals_tried).sum::<u64>();
        let before = tried(&net);
        net.heal();
        net.run_until(TestNet::all_agree, SOON);
        assert_eq!(tried(&net), before, "the other half has all its seeds");
    }
}

/// Thirty hours, and every constant as it comes.
#[test]
fn a_partition_of_more_than_a_day_heals() {
    let mut net = TestNet::lan(3, SEED).converged();
    let sides = split(&mut net, 2);
    net.run_for(23 * HOUR);
    assert_split(&net, &sides, false);
    net.run_for(7 * HOUR);
    assert_split(&net, &sides, true);
    net.heal();
    net.run_until(TestNet::all_agree, SOON);
}

/// All crash and start anew, knowing nothing but two seeds, which come back last.
#[test]
fn an_outage_of_everybody_ends() {
    for seed in SEED..SEED + 5 {
        let mut net = TestNet::lan(8, seed);
        for name in net.names() {
            net.set_seeds(&name, &["n1", "n2"]);
        }
        net.run_until(TestNet::all_agree, MINUTE);
        for name in names(1..=8) {
            net.crash(&name);
        }
        net.run_for(MINUTE);
        for name in names(3..=8) {
            net.restart(&name);
            net.run_for(secs(10));
        }
        net.run_for(2 * HOUR);
        for name in names(3..=8) {
            assert_eq!(net[&*name].members().count(), 1, "there is nobody to meet by");
        }
        net.restart("n2");
        net.run_until(TestNet::all_agree, SOON);
        net.restart("n1");
        net.run_until(TestNet::all_agree, secs(30)); // it looks for its seeds at once
    }
}

/// Whoever comes back with a snapshot finds nobody of it there, and does not give up.
#[test]
fn a_snapshot_is_enough_after_an_outage() {
    let mut net = TestNet::tuned(2, SEED, |config| config.serf.snapshot = true).converged();
    let records: Vec<Record<'static>> = net["n1"].records().map(Record::into_owned).collect();
    net.crash("n1");
    net.crash("n2");
    let host = net.restart("n1");
    net.world_mut().restore(host, &records);
    net.run_for(HOUR);
    assert_eq!(net["n1"].members().count(), 1);
    // The other one comes back without memory.
    net.restart("n2");
    net.run_until(TestNet::all_agree, SOON);
    assert_eq!(net.stats("n1").heals_met, 1);
}

/// What `serf` does, and what it does not: with the one switch turned, halves that have forgotten each other stay apart.
#[test]
fn switched_off_nothing_is_tried() {
    let tune = |config: &mut Config| {
        forgetful(config);
        config.serf.heal_interval = Duration::ZERO;
    };
    let mut net = TestNet::tuned(4, SEED, tune).converged();
    for name in net.names() {
        net.set_seeds(&name, &["n1", "n3"]);
    }
    let sides = split(&mut net, 2);
    net.run_for(20 * MINUTE);
    net.heal();
    net.run_for(HOUR);
    assert_split(&net, &sides, true);
    for name in net.names() {
        assert_eq!(net.stats(&name).heals_tried, 0);
        assert_eq!(net.world().resolutions(net.host(&name)), 0);
    }
}

/// Whom people made to leave is left alone: one that had failed, one that was forgotten already, one that was pruned.
#[test]
fn whoever_was_made_to_leave_is_not_tried() {
    let mut net = TestNet::tuned(6, SEED, forgetful).converged();
    let dead = ["n4", "n5", "n6"].map(|name| net.address(name));
    for name in ["n4", "n5", "n6"] {
        net.crash(name);
    }
    let failed = |net: &TestNet, status| ["n4", "n5", "n6"].iter().all(|name| net.status_at("n1", name) == status);
    net.run_until(|net| failed(net, Some(Status::Failed)), 2 * MINUTE);
    net.run_for(secs(20));
    net.force_leave("n1", "n4", false);
    net.force_leave("n2", "n5", true);
    net.run_until(|net| failed(net, None), 5 * MINUTE);
    net.run_for(5 * MINUTE);
    assert!(total(&net, |stats| stats.heals_tried) > 0, "n6 is being tried");
    net.force_leave("n3", "n6", false);
    net.run_for(secs(5));
    let tried = total(&net, |stats| stats.heals_tried);
    net.run_for(2 * HOUR);
    assert_eq!(total(&net, |stats| stats.heals_tried), tried);
    // They are not locked out: whoever is there after all is a member.
    net.start_at("n6", dead[2]);
    net.join("n6", "n1");
    net.run_until(TestNet::all_agree, MINUTE);
}

/// A seed that is never there, and fifty members: together they try about as often as one would.
#[test]
fn a_seed_that_is_never_there_costs_little() {
    const MEMBERS: u64 = 50;
    let mut net = TestNet::tuned(MEMBERS as usize, SEED, idle).converged();
    let nowhere = "10.9.9.9:7946".parse().unwrap();
    for name in net.names() {
        net.set_seeds_at(&name, &[nowhere]);
    }
    net.run_for(HOUR);
    let before = total(&net, |stats| stats.heals_tried);
    net.run_for(24 * HOUR);
    let tried = total(&net, |stats| stats.heals_tried) - before;
    // One candidate, once in eight minutes; the dice are thrown nine thousand times.
    let expected = 24 * 60 / 8;
    assert!(
        (expected * 7 / 10..=expected * 13 / 10).contains(&tried),
        "{tried} tries a day, about {expected} expected"
    );
    assert_eq!(total(&net, |stats| stats.push_pulls_failed), before + tried, "each is one dial");
    let asked = net.world().resolutions(net.host("n1"));
    assert!((25 * 60 / 9..=25 * 60 / 7 + 8).contains(&asked), "{asked} resolutions in 25 hours");
}

/// A day of partition, by the formula: a side of n tries min(n, candidates) times in eight minutes, and once it has found
/// what there is, never again.
#[test]
fn the_traffic_of_a_long_partition_is_bounded() {
    for (left, right) in [(1_u64, 1_u64), (1, 12), (10, 2), (6, 6)] {
        let tune = |config: &mut Config| {
            forgetful(config);
            config.swim.probe_interval = secs(20); // A day is long.
            config.swim.push_pull_interval = secs(600);
        };
        let mut net = TestNet::tuned((left + right) as usize, SEED, tune).converged();
        let sides = split(&mut net, left as usize);
        net.run_for(2 * HOUR);
        assert_split(&net, &sides, true);
        let tried = |net: &TestNet, side: &[String]| side.iter().map(|name| net.stats(name).heals_tried).sum::<u64>();
        let before = sides.each_ref().map(|side| tried(&net, side));
        net.run_for(24 * HOUR);
        for (side, (n, candidates)) in [(left, right), (right, left)].into_iter().enumerate() {
            // Alone, several at once.
            let at_once = if n == 1 { candidates.min(4) } else { n.min(candidates) };
            let expected = 24 * 60 / 8 * at_once;
            let found = tried(&net, &sides[side]) - before[side];
            let bounds = expected * 3 / 4..=expected * 5 / 4;
            assert!(bounds.contains(&found), "{n} try {candidates}: {found} times a day, about {expected} expected");
        }
    }
}

/// Where the names point is asked again and again: an address that changes is used at once when that is noticed, without
/// waiting for a turn.
#[test]
fn names_that_change_are_followed() {
    let mut net = TestNet::lan(1, SEED);
    let old = net.fresh_address();
    net.set_seeds_at("n1", &[old]);
    net.run_for(2 * HOUR);
    net.start("n2");
    let new = net.address("n2");
    net.set_seeds_at("n1", &[new]);
    let took = net.run_until(TestNet::all_agree, 10 * MINUTE);
    let tried = net.stats("n1").heals_tried;
    assert!(took <= secs(9 * 60 + 2), "{took:?}");
    // The tick that asked tried the old address; the next try was the extra one.
    assert_eq!(net.stats("n1").heals_met, 1);
    net.run_for(HOUR);
    assert_eq!(net.stats("n1").heals_tried, tried);
}

/// A lone node that finds company by its seeds says that it means to be a member, like one that joins.
#[test]
fn finding_company_is_a_join() {
    let mut net = TestNet::lan(2, SEED).converged();
    net.start("n3");
    net.set_seeds("n3", &["n1"]);
    net.run_until(TestNet::all_agree, secs(5));
    net.run_for(secs(5));
    for name in ["n1", "n2"] {
        let time = net[name].member(b"n3").unwrap().status_time();
        assert!(time > LamportTime(0), "its intent has come around");
    }
}
