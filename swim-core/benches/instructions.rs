//! The hot paths with inputs that are always the same, for a machine that counts instructions: `bench/instructions.py`
//! runs it under callgrind and compares with what the counts were before. Times vary with the machine and its mood;
//! these counts do not.
#![allow(missing_docs, reason = "benchmarks are not an API")]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod scene;

use core::hint::black_box;
use core::time::Duration;
use std::env;
use std::process::ExitCode;

use scene::BATCH;
use swim_core::node::input::{StreamAction, StreamInput};
use swim_core::wire::envelope::Envelope;
use swim_core::wire::framing::{Side, frame_with_nonce};
use swim_core::{Instant, Node, wire};

/// A hot path: what it is called, per what it is counted, how many of these one run makes, and the run.
type Case = (&'static str, &'static str, usize, fn(usize));

const CASES: [Case; 9] = [
    ("known_updates_100", "packet", 256, |count| known_updates(100, count)),
    ("known_updates_10000", "packet", 256, |count| known_updates(10_000, count)),
    ("fresh_updates_100", "packet", 256, |count| fresh_updates(100, count)),
    ("fresh_updates_10000", "packet", 256, |count| fresh_updates(10_000, count)),
    ("probe_round_1000", "round", 256, |count| probe_round(1_000, count)),
    ("gossip_tick_100", "tick", 256, |count| gossip_tick(100, count)),
    ("gossip_tick_10000", "tick", 256, |count| gossip_tick(10_000, count)),
    ("join_storm", "member", 9_990, join_storm),
    ("push_pull", "member", 5_000, push_pull),
];

fn main() -> ExitCode {
    let chosen = env::args().nth(1).unwrap_or_default();
    if let Some((_, _, count, run)) = CASES.iter().find(|(name, ..)| *name == chosen) {
        run(*count);
    } else if chosen == "--list" {
        CASES.iter().for_each(|(name, unit, count, _)| println!("{name} {unit} {count}"));
    } else {
        // `cargo bench` runs every benchmark.
        println!("bench/instructions.py counts what these take.");
    }
    ExitCode::SUCCESS
}

/// Instructions are counted in here and nowhere else; the script knows it by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    black_box(work)();
}

fn known_updates(members: usize, count: usize) {
    let mut node = scene::node(members);
    let mut packets: Vec<_> =
        (0..count).map(|n| scene::packet((0..BATCH).map(|k| 1 + (n * BATCH + k) * 7919 % (members - 1)), 1)).collect();
    take(&mut node, &mut packets);
}

fn fresh_updates(members: usize, count: usize) {
    let mut node = scene::node(members);
    let mut packets: Vec<_> = (0..count).map(|n| fresh(members, n)).collect();
    take(&mut node, &mut packets);
}

/// The nth packet in which everything is new.
fn fresh(members: usize, n: usize) -> Vec<u8> {
    scene::packet((0..BATCH).map(|k| 1 + (n * BATCH + k) % (members - 1)), 2 + n as u32)
}

fn take(node: &mut Node, packets: &mut [Vec<u8>]) {
    measured(&mut || {
        for packet in &mut *packets {
            node.handle_datagram(Instant::ZERO, scene::address(1), packet).expect("the packet is good");
        }
    });
}

fn probe_round(members: usize, count: usize) {
    let mut node = scene::node(members);
    scene::quiet(&mut node);
    let (mut buf, end) = (Vec::new(), node.stats().probes + count as u64);
    measured(&mut || {
        while node.stats().probes < end {
            let now = node.poll_timeout().expect("there is always a next probe");
            scene::step(&mut node, now, &mut buf);
        }
    });
}

/// With news enough for three full packets at each tick, and nothing else to do.
fn gossip_tick(members: usize, count: usize) {
    let mut config = scene::config();
    (config.swim.probe_interval, config.swim.push_pull_interval) = (Duration::ZERO, Duration::ZERO);
    config.serf.reap_interval = Duration::ZERO;
    let mut node = scene::node_with(config, members);
    let (mut buf, mut next) = (Vec::new(), 0);
    for _ in 0..count {
        let now = node.poll_timeout().unwrap_or_default();
        while node.summary().update_queue < 4 * BATCH {
            node.handle_datagram(now, scene::address(1), &mut fresh(members, next)).expect("the packet is good");
            next += 1;
        }
        while node.poll_event().is_some() {}
        let now = node.poll_timeout().expect("there is news to gossip");
        measured(&mut || {
            black_box(scene::step(&mut node, now, &mut buf));
        });
    }
}

fn join_storm(count: usize) {
    let mut packets: Vec<_> =
        (0..count / BATCH).map(|n| scene::packet(1 + n * BATCH..1 + (n + 1) * BATCH, 1)).collect();
    let mut node = scene::node(1);
    take(&mut node, &mut packets);
    assert_eq!(node.members().count(), 1 + count);
}

/// A full state, read, merged and answered.
fn push_pull(count: usize) {
    let mut config = scene::config();
    config.wire = wire::Config { compression: false, ..config.wire };
    let envelope = Envelope::new(config.wire.clone()).expect("the configuration is valid");
    let framed = frame_with_nonce(&envelope, Side::Dialler, scene::push_pull(count), &[0; 24]);
    let mut node = scene::node_with(config, 1);
    let id = node.accept_stream(Instant::ZERO, scene::address(1)).expect("the first stream is let in");
    measured(&mut || {
        for chunk in framed.chunks(16 * 1024) {
            node.handle_stream(Instant::ZERO, id, StreamInput::Data(chunk));
        }
        let answer = node.poll_stream();
        assert!(matches!(answer, Some(StreamAction::Send { .. })), "the state was taken in");
        black_box(answer);
    });
}
