//! How long a suspicion lasts: `swim-state.md` section 6, by the times of death.

use core::time::Duration;

use swim_core::Instant;
use swim_core::node::config::Config;
use swim_core::serf::event::MemberEvent;
use swim_core::wire::message::State;
use swim_sim::test_net::BENCH_LATENCY;
use swim_sim::{Puppet, Said, TestNet, ms, secs};

const SEED: u64 = 6;

type Preset = fn(&str, core::net::SocketAddr) -> Config;

const LAN: Preset = |name, at| Config::lan(name, at);
const WAN: Preset = |name, at| Config::wan(name, at);
const LOCAL: Preset = |name, at| Config::local(name, at);

/// A cluster of `n`: `n1`, `x`, and members that answer pings; `x` answers too, but never refutes.
fn cluster(preset: Preset, n: usize) -> (TestNet, Puppet) {
    let mut net = TestNet::bench_preset(SEED, preset, |_| {});
    let x = net.member("x");
    for i in 3..=n {
        net.member(&format!("m{i}"));
    }
    assert_eq!(net["n1"].members().count(), n, "the scene is set");
    (net, x)
}

/// An accuser says its word; returns when `n1` has heard it.
fn accuse(net: &mut TestNet, accuser: &str, incarnation: u32) -> Instant {
    let at = net.now() + BENCH_LATENCY;
    let puppet = net.puppet(accuser);
    net.tell(&puppet, "n1", puppet.suspect("x", incarnation));
    at
}

fn time_of_death(net: &mut TestNet, bound: Duration) -> Instant {
    net.run_until(|net| net.last_event("n1", "x", MemberEvent::Failed).is_some(), bound);
    net.last_event("n1", "x", MemberEvent::Failed).expect("it just happened")
}

/// An unconfirmed suspicion lasts the maximum, where anybody could confirm it, else the minimum; both grow with the
/// logarithm of the cluster's size, cut to three decimals (swim-state 6.1, 6.4 first table).
#[test]
fn an_unconfirmed_suspicion_lasts_as_long_as_the_cluster_is_large() {
    #[rustfmt::skip]
    let table = [
        // profile  n    milliseconds
        (LAN,       2,     4_000),
        (LAN,       3,     4_000),
        (LAN,       4,    24_000),
        (LAN,       6,    24_000),
        (LAN,      10,    24_000),
        (LAN,      32,    36_120),
        (LAN,     100,    48_000),
        (WAN,       2,    30_000),
        (WAN,       4,    30_000),
        (WAN,       6,   180_000),
        (WAN,      32,   270_900),
        (LOCAL,     2,     3_000),
        (LOCAL,     3,    18_000),
        (LOCAL,    10,    18_000),
        (LOCAL,    32,    27_090),
    ];
    for (i, (preset, n, millis)) in table.into_iter().enumerate() {
        let (mut net, _) = cluster(preset, n);
        let start = accuse(&mut net, "accuser", 1);
        let death = time_of_death(&mut net, ms(millis) + secs(1));
        assert_eq!(death - start, ms(millis), "row {i}, {n} members");
    }
}

/// Each independent confirmation shortens the suspicion on a logarithmic curve, down to the minimum (swim-state 6.1,
/// 6.4 second table).
#[test]
fn confirmations_shorten_a_suspicion() {
    #[rustfmt::skip]
    let table: [(Preset, usize, &[u64]); 4] = [
        // profile  n    milliseconds after 0, 1, 2, … confirmations
        (LOCAL,     4,  &[18_000, 3_000]),
        (LAN,       4,  &[24_000, 11_381, 4_000]),
        (LAN,     100,  &[48_000, 22_762, 8_000]),
        (WAN,       6,  &[180_000, 115_398, 77_609, 50_797, 30_000]),
    ];
    for (i, (preset, n, row)) in table.into_iter().enumerate() {
        for (confirmations, millis) in row.iter().enumerate() {
            let (mut net, _) = cluster(preset, n);
            let start = accuse(&mut net, "accuser", 1);
            for c in 0..confirmations {
                accuse(&mut net, &format!("accuser-{c}"), 1);
            }
            let death = time_of_death(&mut net, ms(*millis) + secs(1));
            assert_eq!(death - start, ms(*millis), "row {i}, {n} members, {confirmations} confirmations");
            assert_eq!(net.stats("n1").suspicions_confirmed, confirmations as u64);
        }
    }
}

/// What counts is the time since the suspicion began: the rest of a shortened one is counted from then, and one that
/// is over already fires at once (swim-state 6.1 "remaining", 6.4 last paragraph but one).
#[test]
fn a_confirmation_shortens_what_is_left() {
    let (mut net, _) = cluster(LAN, 4);
    let start = accuse(&mut net, "accuser", 1);
    net.run_to(start + ms(2999));
    accuse(&mut net, "second", 1);
    assert_eq!(time_of_death(&mut net, secs(30)) - start, ms(11_381));

    let (mut net, _) = cluster(LAN, 4);
    let start = accuse(&mut net, "accuser", 1);
    net.run_to(start + ms(2999));
    accuse(&mut net, "second", 1);
    net.run_to(start + ms(4999));
    accuse(&mut net, "third", 1);
    assert_eq!(time_of_death(&mut net, secs(30)) - start, secs(5));
}

/// An accuser counts once, the first one not at all, and neither do old accusations nor more than are expected
/// (swim-state 6.2).
#[test]
fn who_has_spoken_does_not_confirm() {
    let (mut net, _) = cluster(LAN, 4);
    let start = accuse(&mut net, "first", 5);
    assert_eq!(net.state_at("n1", "x"), Some((State::Suspect, 5)));
    accuse(&mut net, "first", 5);
    accuse(&mut net, "first", 6);
    accuse(&mut net, "old news", 4);
    assert_eq!(net.stats("n1").suspicions_confirmed, 0);
    accuse(&mut net, "second", 9);
    accuse(&mut net, "second", 9);
    assert_eq!(net.stats("n1").suspicions_confirmed, 1);
    assert_eq!(time_of_death(&mut net, secs(30)) - start, ms(11_381));
}

/// Beyond the expected number nothing is counted (swim-state 6.2).
#[test]
fn no_more_confirmations_count_than_are_expected() {
    let (mut net, _) = cluster(WAN, 6);
    let start = accuse(&mut net, "first", 1);
    for i in 0..9 {
        accuse(&mut net, &format!("more-{i}"), 1);
    }
    assert_eq!(net.stats("n1").suspicions_confirmed, 4);
    assert_eq!(time_of_death(&mut net, secs(40)) - start, secs(30));
}

/// Only what counts is passed on: each accuser's word once, so that the suspicion does not echo (swim-state 6.2).
#[test]
fn only_counted_confirmations_are_relayed() {
    let (mut net, x) = cluster(LAN, 4);
    net.run_for(secs(3));
    for (accuser, relayed) in [("first", true), ("first", false), ("second", true), ("third", true), ("fourth", false)]
    {
        x.forget();
        accuse(&mut net, accuser, 1);
        // Three targets per round at most, of which `x` is one: each update reaches it.
        net.run_for(ms(900));
        let word = Said::Suspect { incarnation: 1, node: "x".to_owned(), from: accuser.to_owned() };
        let heard = x.messages_where(|said| *said == word);
        assert_eq!(!heard.is_empty(), relayed, "{accuser}");
    }
}

/// The size that counts is the one at the beginning (swim-state 6.1, n "is taken when the suspicion starts").
#[test]
fn a_growing_cluster_does_not_lengthen_a_running_suspicion() {
    let (mut net, _) = cluster(LAN, 3);
    let start = accuse(&mut net, "first", 1);
    for i in 0..40 {
        net.member(&format!("late-{i}"));
    }
    assert_eq!(time_of_death(&mut net, secs(30)) - start, secs(4));
}

/// The dead count too: a record is a record (swim-state 1, n includes dead ones).
#[test]
fn the_dead_count_as_members_until_they_are_forgotten() {
    let (mut net, _) = cluster(LAN, 4);
    let m3 = net.puppet("voice");
    net.tell(&m3, "n1", m3.dead("m3", 1));
    net.tell(&m3, "n1", m3.dead("m4", 1));
    let start = accuse(&mut net, "first", 1);
    assert_eq!(time_of_death(&mut net, secs(30)) - start, secs(24));
}

/// The declaration speaks of the record's incarnation and in our own name (swim-state 6.3).
#[test]
fn death_is_declared_in_the_own_name() {
    let (mut net, x) = cluster(LAN, 3);
    accuse(&mut net, "first", 7);
    time_of_death(&mut net, secs(5));
    net.run_for(secs(1));
    // The dead are still told, so that they can come back.
    let declared = x.messages_where(|said| matches!(said, Said::Dead { .. }));
    assert!(!declared.is_empty());
    for (_, said) in declared {
        assert_eq!(said, Said::Dead { incarnation: 7, node: "x".to_owned(), from: "n1".to_owned() });
    }
    assert_eq!(net.state_at("n1", "x"), Some((State::Dead, 7)));
    assert_eq!(net.stats("n1").deaths_declared, 1);
}

/// A suspicion that was refuted has no say in a later one: that one has its own full time (swim-state 6.3).
#[test]
fn a_new_suspicion_has_its_own_time() {
    let (mut net, x) = cluster(LAN, 3);
    accuse(&mut net, "first", 1);
    net.run_for(secs(3));
    net.tell(&x, "n1", x.alive(2));
    let start = accuse(&mut net, "first", 2);
    assert_eq!(time_of_death(&mut net, secs(30)) - start, secs(4));
}

/// Health stretches probes, not suspicions (swim-state 6.1 "not scaled by health").
#[test]
fn bad_health_does_not_lengthen_a_suspicion() {
    let (mut net, _) = cluster(LAN, 3);
    let voice = net.puppet("voice");
    net.tell(&voice, "n1", voice.suspect("n1", 1));
    net.tell(&voice, "n1", voice.suspect("n1", 2));
    assert!(net.health("n1") > 0);
    let start = accuse(&mut net, "first", 1);
    assert_eq!(time_of_death(&mut net, secs(30)) - start, secs(4));
}

/// With the multiplier at 1, Lifeguard's part is off: every suspicion lasts the minimum (swim-state 6.1).
#[test]
fn without_lifeguard_every_suspicion_lasts_the_minimum() {
    let mut net = TestNet::bench_with(SEED, |config| config.swim.suspicion_max_timeout_mult = 1);
    for name in ["x", "y", "z", "w"] {
        net.member(name);
    }
    let start = accuse(&mut net, "first", 1);
    assert_eq!(time_of_death(&mut net, secs(30)) - start, secs(4));
}

/// A real member that falls silent among four others: suspected, confirmed by some, dead between the minimum and the
/// maximum after the suspicion (swim-state 6.4, last paragraph: 11.2 s were seen with one confirmation).
#[test]
fn one_of_five_that_falls_silent_dies_between_minimum_and_maximum() {
    let mut net = TestNet::lan(5, SEED).converged();
    let crashed = net.now();
    net.crash("n3");
    net.run_until(|net| net.deaths().len() == 4, secs(40));
    for death in net.deaths() {
        assert_eq!(death.member, "n3");
        let after = death.at - crashed;
        assert!(after >= secs(5), "{after:?}: a probe and the minimum");
        assert!(after <= secs(30), "{after:?}: a round of probes and the maximum");
    }
}

/// Forgotten members count no more (swim-state 4.5: n is the remaining count; 6.1).
#[test]
fn the_forgotten_do_not_count() {
    let (mut net, _) = cluster(LAN, 4);
    let voice = net.puppet("voice");
    net.tell(&voice, "n1", voice.dead("m3", 1));
    net.run_for(secs(36));
    assert_eq!(net.state_at("n1", "m3"), None, "the scene is set");
    let start = accuse(&mut net, "first", 1);
    assert_eq!(time_of_death(&mut net, secs(30)) - start, secs(4), "three are left, who confirm nothing");
}
