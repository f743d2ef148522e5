//! A process whose timers run while its packets wait: `world/gate.rs`, and what nodes make of it.

use core::net::SocketAddr;

use swim_core::Config;
use swim_core::swim::config::Baseline;
use swim_core::wire::message::State;
use swim_sim::test_net::Packet;
use swim_sim::{Said, TestNet, ms, secs};

const SEED: u64 = 11;

fn set_gate(net: &mut TestNet, name: &str, closed: bool) {
    let host = net.host(name);
    net.world_mut().set_gate(host, closed);
}

fn accusations_by<'p>(packets: &'p [Packet], name: &'p str) -> impl Iterator<Item = &'p Packet> {
    packets
        .iter()
        .filter(move |packet| packet.said.iter().any(|said| matches!(said, Said::Suspect { from, .. } if from == name)))
}

/// Nothing leaves while the gate is closed, pings wait behind it, and all of them are answered when it opens.
#[test]
fn what_arrives_waits_and_what_is_to_be_sent_waits() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    net.run_for(secs(2));
    net.record();
    set_gate(&mut net, "n1", true);
    let (from, to) = (b.address(), net.address("n1"));
    for seq in 1..=30 {
        let ping = Said::Ping { seq: 1000 + seq, node: "n1".into(), source: Some(from), source_node: "b".into() };
        net.world_mut().inject(from, to, &b.datagram(&[ping]));
    }
    net.run_for(secs(5));
    assert!(net.packets_from("n1").is_empty());
    assert_eq!(net.status_at("n1", "b").map(|status| status.to_string()).as_deref(), Some("alive"));
    set_gate(&mut net, "n1", false);
    // Ten have been read after a millisecond, at 100 µs each, and the one that was in the reader's hands.
    net.run_for(ms(1));
    let acks = |net: &TestNet| {
        let said = net.packets_from("n1").into_iter().flat_map(|packet| packet.said);
        said.filter_map(|said| if let Said::Ack { seq, .. } = said { Some(seq) } else { None }).collect::<Vec<u32>>()
    };
    assert_eq!(acks(&net), (1001..=1011).collect::<Vec<u32>>());
    set_gate(&mut net, "n1", true);
    net.run_for(secs(1));
    assert_eq!(acks(&net).len(), 11, "the reader stands where it was");
    set_gate(&mut net, "n1", false);
    net.run_for(ms(10));
    assert_eq!(acks(&net), (1001..=1030).collect::<Vec<u32>>());
}

/// A socket buffer holds 2 MiB, and the reader one datagram.
#[test]
fn what_the_socket_does_not_hold_is_lost() {
    let mut net = TestNet::bench(SEED);
    let to = net.address("n1");
    let from: SocketAddr = ([10, 9, 9, 9], 7946).into();
    set_gate(&mut net, "n1", true);
    let lost = net.world().datagrams_lost();
    for _ in 0..(2 << 20) / 1024 + 1 {
        net.world_mut().inject(from, to, &[0xff; 1024]);
    }
    net.run_for(secs(1));
    assert_eq!(net.world().datagrams_lost(), lost);
    net.world_mut().inject(from, to, &[0xff; 1024]);
    net.run_for(secs(1));
    assert_eq!(net.world().datagrams_lost(), lost + 1);
    set_gate(&mut net, "n1", false);
    net.run_for(secs(2));
    assert_eq!(net.stats("n1").datagrams_malformed, (2 << 20) / 1024 + 1, "the others were read");
}

/// A stream's bytes wait, its end waits behind them, and an exchange goes on where it was.
#[test]
fn streams_wait_too() {
    let mut net = TestNet::lan(2, SEED);
    set_gate(&mut net, "n1", true);
    net.join("n2", "n1");
    net.run_for(secs(3));
    assert_eq!(net["n2"].members().count(), 1, "n1 has connected, and heard nothing");
    set_gate(&mut net, "n1", false);
    net.run_for(secs(1));
    assert!(net.all_agree());
}

/// memberlist sends a probe that has had no time, and accuses its target in the same breath (experiments: the stale
/// probe). Once for each time that it is blocked.
#[test]
fn memberlist_accuses_when_it_is_released() {
    let tune = |config: &mut Config| {
        config.swim.baseline = Baseline { stale_probe_on_release: true, ..Baseline::default() };
    };
    let mut net = TestNet::tuned(10, SEED, tune).converged();
    net.record();
    set_gate(&mut net, "n3", true);
    net.run_for(secs(3));
    assert_eq!(net.stats("n3").suspicions, 0, "it stands at the gate");
    set_gate(&mut net, "n3", false);
    net.run_for(ms(1));
    assert_eq!((net.stats("n3").suspicions, net.stats("n3").probes_failed), (1, 1));
    net.run_for(secs(30));
    assert!(accusations_by(&net.packets(), "n3").next().is_some());
    assert_eq!(net.deaths(), [], "all could refute");
}

/// We do not.
#[test]
fn ours_accuses_nobody_when_it_is_released() {
    let mut net = TestNet::lan(10, SEED).converged();
    net.record();
    set_gate(&mut net, "n3", true);
    net.run_for(secs(3));
    set_gate(&mut net, "n3", false);
    net.run_for(secs(30));
    assert_eq!((net.stats("n3").probes_failed, accusations_by(&net.packets(), "n3").count()), (0, 0));
    assert!(net.names().iter().all(|name| net.state_at("n3", name).is_some_and(|(state, _)| state == State::Alive)));
}

/// Suspicions run out behind a closed gate: the refutation lies in the socket.
#[test]
fn timers_run_behind_the_gate() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    let accuse = Said::Suspect { incarnation: 1, node: "b".into(), from: "c".into() };
    net.tell(&b, "n1", accuse);
    assert_eq!(net.state_at("n1", "b"), Some((State::Suspect, 1)));
    set_gate(&mut net, "n1", true);
    net.tell(&b, "n1", b.alive(2));
    net.run_for(secs(30));
    assert_eq!(net.state_at("n1", "b"), Some((State::Dead, 1)));
    set_gate(&mut net, "n1", false);
    net.run_for(ms(10));
    assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 2)));
}

/// memberlist's worker gets its turn when the reader has nothing left, or has read for ten milliseconds: what was said
/// in between it takes in with the living first, so that an accusation is refuted before it is heard.
#[test]
fn a_backlog_is_taken_in_turn_by_turn() {
    for (newest_first_handoff, between, suspicions) in [(false, 10, 1), (true, 10, 0), (true, 150, 1)] {
        let mut net = TestNet::bench_with(SEED, move |config| {
            config.swim.baseline = Baseline { newest_first_handoff, ..Baseline::default() };
        });
        let b = net.member("b");
        net.run_for(secs(2));
        set_gate(&mut net, "n1", true);
        let (from, to) = (b.address(), net.address("n1"));
        let accuse = Said::Suspect { incarnation: 1, node: "b".into(), from: "c".into() };
        net.world_mut().inject(from, to, &b.datagram(&[accuse]));
        for _ in 0..between {
            net.world_mut().inject(from, to, &b.datagram(&[b.alive(1)]));
        }
        net.world_mut().inject(from, to, &b.datagram(&[b.alive(2)]));
        net.run_for(secs(1));
        set_gate(&mut net, "n1", false);
        net.run_for(ms(30));
        assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 2)));
        assert_eq!(net.stats("n1").suspicions, suspicions, "{newest_first_handoff}, {between} between");
    }
}

/// When the gate closes again, the reader stands still, and the worker takes in what was read.
#[test]
fn a_worker_behind_the_gate_goes_on() {
    let mut net = TestNet::bench_with(SEED, |config| {
        config.swim.baseline = Baseline { newest_first_handoff: true, ..Baseline::default() };
    });
    let b = net.member("b");
    net.run_for(secs(2));
    set_gate(&mut net, "n1", true);
    let (from, to) = (b.address(), net.address("n1"));
    let accuse = Said::Suspect { incarnation: 1, node: "b".into(), from: "c".into() };
    for _ in 0..30 {
        net.world_mut().inject(from, to, &b.datagram(core::slice::from_ref(&accuse)));
    }
    net.run_for(secs(1));
    set_gate(&mut net, "n1", false);
    net.run_for(ms(1));
    assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 1)), "its turn has not come");
    set_gate(&mut net, "n1", true);
    assert_eq!(net.state_at("n1", "b"), Some((State::Suspect, 1)));
}
