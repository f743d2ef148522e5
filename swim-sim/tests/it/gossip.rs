//! Dissemination: `swim-state.md` section 9.

use std::collections::BTreeSet;

use swim_core::Instant;
use swim_sim::test_net::Packet;
use swim_sim::{Puppet, Said, TestNet, ms, secs};

const SEED: u64 = 9;

/// `n1` in a cluster of `n`, with nothing left to say. Probing is off, unless a test is about piggyback.
fn quiet(n: usize, probing: bool) -> (TestNet, Vec<Puppet>) {
    let mut net = TestNet::bench_with(SEED, move |config| {
        if !probing {
            config.swim.probe_interval = secs(0);
        }
    });
    let puppets: Vec<Puppet> = (2..=n).map(|i| net.member(&format!("m{i}"))).collect();
    net.run_for(secs(30));
    assert_eq!(net["n1"].summary().update_queue, 0, "the scene is set");
    for puppet in &puppets {
        puppet.forget();
    }
    net.record();
    (net, puppets)
}

fn about(packets: &[Packet], name: &str) -> usize {
    packets.iter().flat_map(|packet| &packet.said).filter(|said| said.is_about(name)).count()
}

/// Rounds come at every gossip interval while there is something to say, and not at all when there is nothing
/// (swim-state 9.1).
#[test]
fn gossip_ticks_every_200_ms_while_there_is_news() {
    let (mut net, puppets) = quiet(2, false);
    net.run_for(secs(5));
    assert_eq!(net.packets_from("n1"), [], "nothing to say");
    // One target per round, four transmissions: four rounds.
    net.tell(&puppets[0], "n1", puppets[0].alive(2));
    net.run_for(secs(5));
    let rounds: Vec<_> = net.packets_from("n1").into_iter().map(|packet| packet.at).collect();
    assert_eq!(rounds.len(), 4);
    for pair in rounds.windows(2) {
        assert_eq!(pair[1] - pair[0], ms(200));
    }
}

/// An update is sent 4 · ⌈log10(n + 1)⌉ times in all, over all targets (swim-state 9.2).
#[test]
fn an_update_is_sent_as_often_as_the_retransmit_limit_says() {
    #[rustfmt::skip]
    let table = [
        // n    times
        (2,     4),
        (3,     4),
        (9,     4), // log10(10) is exactly 1
        (10,    8),
        (99,    8),
        (100,  12),
    ];
    for (n, times) in table {
        let (mut net, puppets) = quiet(n, false);
        net.tell(&puppets[0], "n1", puppets[0].alive(2));
        net.run_for(secs(10));
        assert_eq!(about(&net.packets_from("n1"), "m2"), times, "n = {n}");
    }
}

/// Updates ride on pings, acks, nacks and indirect pings, behind the message itself, and each ride counts as a
/// transmission (swim-state 9.1, piggyback).
#[test]
fn piggyback_counts_as_transmission() {
    let mut net = TestNet::bench_with(SEED, |config| config.swim.gossip_interval = secs(0));
    let b = net.member("b");
    net.record();
    net.tell(&b, "n1", b.alive(2));
    for seq in 100..120 {
        net.tell(&b, "n1", b.ping("n1", seq));
    }
    net.run_for(secs(10));
    let packets = net.packets_from("n1");
    assert_eq!(about(&packets, "b"), 4, "acks and pings carry it, gossip is off");
    for packet in &packets {
        assert!(packet.said[0].subject().is_none(), "the message comes first: {:?}", packet.said);
        assert!(packet.said[1..].iter().all(|said| said.subject().is_some()), "{:?}", packet.said);
    }
}

/// Gossip and piggyback together keep to the limit (swim-state 9.1, 9.2).
#[test]
fn all_ways_together_keep_to_the_limit() {
    let (mut net, puppets) = quiet(3, true);
    net.tell(&puppets[0], "n1", puppets[0].alive(2));
    for seq in 100..110 {
        net.tell(&puppets[1], "n1", puppets[1].ping("n1", seq));
    }
    net.run_for(secs(10));
    assert_eq!(about(&net.packets_from("n1"), "m2"), 4);
}

/// A member has one pending update: a newer one takes its place and is sent as often as any (swim-state 9.3 insert).
#[test]
fn a_newer_update_takes_the_place_of_an_older_one() {
    let (mut net, puppets) = quiet(3, false);
    net.tell(&puppets[0], "n1", puppets[0].alive(2));
    net.tell(&puppets[0], "n1", puppets[1].suspect("m2", 2));
    net.tell(&puppets[0], "n1", puppets[0].alive(3));
    assert_eq!(net["n1"].summary().update_queue, 1);
    let before = net.packets_from("n1").len();
    net.run_for(secs(5));
    let packets = net.packets_from("n1");
    let newest = puppets[0].alive(3);
    let later: Vec<&Said> =
        packets[before..].iter().flat_map(|packet| &packet.said).filter(|said| said.is_about("m2")).collect();
    assert!(!later.is_empty());
    assert!(later.iter().all(|said| **said == newest), "{later:?}");
}

/// Updates that were sent less often go first: news overtake what is known already (swim-state 9.3 order).
#[test]
fn news_go_before_what_was_sent_already() {
    let (mut net, puppets) = quiet(3, false);
    net.tell(&puppets[0], "n1", puppets[0].alive(2));
    net.run_until(|net| !net.packets_from("n1").is_empty(), secs(1));
    let before = net.packets_from("n1").len();
    net.tell(&puppets[1], "n1", puppets[1].alive(2));
    net.run_for(ms(250));
    let packets = net.packets_from("n1");
    let first = packets[before..].first().expect("another round");
    assert!(first.said[0].is_about("m3"), "{:?}", first.said);
    assert!(first.said[1..].iter().any(|said| said.is_about("m2")), "both fit: {:?}", first.said);
}

/// Among updates sent equally often the longer one goes first (swim-state 9.3 order).
#[test]
fn longer_updates_go_first() {
    let (mut net, puppets) = quiet(4, false);
    let short = puppets[0].alive_with(2, b"", Some(swim_sim::VERSIONS));
    let long = puppets[1].alive_with(2, &[b'x'; 100], Some(swim_sim::VERSIONS));
    let middle = puppets[2].alive_with(2, &[b'x'; 50], Some(swim_sim::VERSIONS));
    net.tell_all(&puppets[0], "n1", &[short.clone(), long.clone(), middle.clone()]);
    net.run_until(|net| !net.packets_from("n1").is_empty(), secs(1));
    assert_eq!(net.packets_from("n1")[0].said, [long, middle, short]);
}

/// An update is at most once in a packet, and a packet keeps to the budget however much there is to say (swim-state
/// 9.3 fetch; memberlist-wire 12).
#[test]
fn packets_keep_to_the_budget() {
    let mut net = TestNet::bench_with(SEED, |config| config.wire.compression = false);
    let listener = net.member("listener");
    net.record();
    for chunk in 0..20 {
        let said: Vec<Said> = (0..10)
            .map(|i| net.puppet(&format!("member-{chunk}-{i}")).alive_with(1, &[b'm'; 40], Some(swim_sim::VERSIONS)))
            .collect();
        net.tell_all(&listener, "n1", &said);
    }
    net.run_for(secs(60));
    let mut told = BTreeSet::new();
    let mut fullest = 0;
    for packet in net.packets_from("n1") {
        assert!(packet.len <= 1400, "{} bytes", packet.len);
        fullest = fullest.max(packet.len);
        let subjects: Vec<&str> = packet.said.iter().filter_map(Said::subject).collect();
        let different: BTreeSet<&str> = subjects.iter().copied().collect();
        assert_eq!(different.len(), subjects.len(), "one update about each");
        told.extend(subjects.into_iter().map(str::to_owned));
    }
    assert!(fullest > 1200, "there was enough to fill one: {fullest}");
    assert!((0..20).all(|chunk| (0..10).all(|i| told.contains(&format!("member-{chunk}-{i}")))), "nobody is left out");
}

/// A long update that does not fit behind others is not lost: it goes later (swim-state 9.3 fetch, last line).
#[test]
fn what_does_not_fit_waits() {
    let (mut net, puppets) = quiet(2, false);
    let said: Vec<Said> =
        (0..5).map(|i| net.puppet(&format!("big-{i}")).alive_with(1, &[b'm'; 500], Some(swim_sim::VERSIONS))).collect();
    for said in said {
        net.tell(&puppets[0], "n1", said);
    }
    net.run_for(secs(20));
    for i in 0..5 {
        assert_eq!(about(&net.packets_from("n1"), &format!("big-{i}")), 4);
    }
}

/// Targets of one round each get what was sent least so far, so together they get more than one alone (swim-state
/// 9.1 "for each one separately").
#[test]
fn each_target_of_a_round_has_its_own_fetch() {
    let (mut net, puppets) = quiet(4, false);
    net.tell(&puppets[0], "n1", puppets[0].alive(2));
    net.run_for(secs(5));
    // Limit 4, three targets per round: three, then one.
    let packets = net.packets_from("n1");
    let mut per_round: Vec<usize> = Vec::new();
    let mut last = None;
    for packet in packets {
        if last == Some(packet.at) {
            *per_round.last_mut().expect("a round is counted from its first packet") += 1;
        } else {
            per_round.push(1);
        }
        last = Some(packet.at);
    }
    assert_eq!(per_round, [3, 1]);
}

/// An application's broadcasts come behind the updates of membership (swim-state 9.4).
#[test]
fn membership_comes_before_the_application() {
    let mut net = TestNet::lan(4, SEED).converged();
    net.record();
    net.leave("n2");
    net.set_tag("n3", "role", "web");
    net.run_for(secs(10));
    let mut seen = 0;
    for packet in net.packets() {
        let first_user = packet.said.iter().position(|said| matches!(said, Said::User(_)));
        let last_update = packet.said.iter().rposition(|said| said.subject().is_some());
        if let (Some(user), Some(update)) = (first_user, last_update) {
            assert!(update < user, "{:?}", packet.said);
        }
        seen += usize::from(first_user.is_some());
    }
    assert!(seen > 0, "the leave was announced by an intent");
}

/// A sender whose socket is blocked prepares at most one round; when it is released there is no burst (a rule of
/// ours over swim-state 9.1: a tick whose packets were not taken is skipped).
#[test]
fn a_blocked_socket_brings_no_burst() {
    let (mut net, puppets) = quiet(8, true);
    let host = net.host("n1");
    net.world_mut().block_sending(host, true);
    net.run_for(secs(30));
    let before = net.packets_from("n1").len();
    net.tell(&puppets[0], "n1", puppets[0].alive(2));
    net.run_for(secs(30));
    assert_eq!(net.packets_from("n1").len(), before, "nothing leaves");
    net.world_mut().block_sending(host, false);
    let burst = net.packets_from("n1").len() - before;
    // A ping or three requests to relays, three targets of gossip.
    assert!(burst <= 6, "one probe and one round of gossip at most, not {burst} packets");
    let stats = net.stats("n1");
    assert!(stats.gossip_ticks_skipped > 100 && stats.probe_ticks_skipped > 20, "{stats:?}");
    assert_eq!(stats.probes_failed, 0, "who has not been asked anything is not accused of silence");
}

/// Without an interval, or without targets, there is no gossip (swim-state 9.1).
#[test]
fn gossip_can_be_turned_off() {
    for no_interval in [true, false] {
        let mut net = TestNet::bench_with(SEED, move |config| {
            config.swim.probe_interval = secs(0);
            if no_interval {
                config.swim.gossip_interval = secs(0);
            } else {
                config.swim.gossip_nodes = 0;
            }
        });
        let b = net.member("b");
        net.run_for(secs(10));
        assert_eq!(b.heard(), []);
    }
}

/// The multiplier is configured: on one machine 2, so half as often (swim-state 9.2, second column; 14).
#[test]
fn the_retransmit_multiplier_is_configured() {
    for (n, times) in [(2, 2), (9, 2), (10, 4)] {
        let preset = |name: &str, at| swim_core::Config::local(name, at);
        let mut net = TestNet::bench_preset(SEED, preset, |config| config.swim.probe_interval = secs(0));
        let puppets: Vec<Puppet> = (2..=n).map(|i| net.member(&format!("m{i}"))).collect();
        net.run_for(secs(30));
        net.record();
        net.tell(&puppets[0], "n1", puppets[0].alive(2));
        net.run_for(secs(10));
        assert_eq!(about(&net.packets_from("n1"), "m2"), times, "n = {n}");
    }
}

/// The limit follows the cluster's size at each fetch (swim-state 9.2, last line).
#[test]
fn the_limit_follows_the_size() {
    let (mut net, puppets) = quiet(9, false);
    net.tell(&puppets[0], "n1", puppets[0].alive(2));
    // Three of four transmissions are out; then the tenth member comes.
    net.run_until(|net| about(&net.packets_from("n1"), "m2") == 3, secs(1));
    net.member("m10");
    net.run_for(secs(10));
    assert_eq!(about(&net.packets_from("n1"), "m2"), 8);
}

/// Rounds keep to the clock that was started at a random moment, also after a pause in which there was nothing to say
/// (swim-state 9.1: a ticker).
#[test]
fn rounds_keep_their_phase() {
    let (mut net, puppets) = quiet(2, false);
    for (incarnation, pause) in (2..).zip([37, 120, 55, 199, 1]) {
        net.tell(&puppets[0], "n1", puppets[0].alive(incarnation));
        net.run_for(secs(5) + ms(pause));
    }
    let phases: BTreeSet<u128> =
        net.packets_from("n1").iter().map(|packet| (packet.at - Instant::ZERO).as_nanos() % 200_000_000).collect();
    assert_eq!(phases.len(), 1, "{phases:?}");
}
