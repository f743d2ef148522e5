//! What one node costs, at 100 to 100 000 members: time, and with it allocations.
//!
//! `cargo bench -p swim-core`. Packets carry 15 updates; figures are per packet, per round, per join.
#![allow(missing_docs, reason = "benchmarks are not an API")]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod scene;

use core::cell::RefCell;
use core::time::Duration;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use scene::BATCH;
use swim_core::node::input::{StreamAction, StreamInput};
use swim_core::wire::envelope::Envelope;
use swim_core::wire::framing::{Side, frame_with_nonce};
use swim_core::{Instant, Node};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];

fn main() {
    divan::main();
}

/// A packet that says nothing new: most of all traffic.
#[divan::bench(args = SIZES)]
fn known_updates(bencher: Bencher<'_, '_>, members: usize) {
    let node = RefCell::new(scene::node(members));
    // Packets from all over the table, so that the caches hold what they would in life.
    let packets: Vec<Vec<u8>> =
        (0..1024).map(|n| scene::packet((0..BATCH).map(|k| 1 + (n * BATCH + k) * 7919 % (members - 1)), 1)).collect();
    let mut next = 0;
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            next = (next + 1) % packets.len();
            packets[next].clone()
        })
        .bench_local_refs(|datagram| node.borrow_mut().handle_datagram(Instant::ZERO, scene::address(1), datagram));
}

/// A packet in which everything is new: each member with a higher incarnation than before.
#[divan::bench(args = SIZES)]
fn fresh_updates(bencher: Bencher<'_, '_>, members: usize) {
    let node = RefCell::new(scene::node(members));
    let (mut next, mut incarnation) = (0, 2);
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            let packet = scene::packet((0..BATCH).map(|k| 1 + (next + k) % (members - 1)), incarnation);
            next += BATCH;
            if next >= members - 1 {
                (next, incarnation) = (0, incarnation + 1);
            }
            packet
        })
        .bench_local_refs(|datagram| node.borrow_mut().handle_datagram(Instant::ZERO, scene::address(1), datagram));
}

/// One probe of a quiet node: the tick, the ping, its ack.
#[divan::bench(args = SIZES)]
fn probe_round(bencher: Bencher<'_, '_>, members: usize) {
    let mut node = scene::node(members);
    scene::quiet(&mut node);
    let mut buf = Vec::new();
    bencher.bench_local(move || {
        let probes = node.stats().probes;
        while node.stats().probes == probes {
            let now = node.poll_timeout().expect("there is always a next probe");
            scene::step(&mut node, now, &mut buf);
        }
    });
}

/// One gossip tick of a node with news: three targets, three packets full of updates.
#[divan::bench(args = SIZES)]
fn gossip_tick(bencher: Bencher<'_, '_>, members: usize) {
    let mut config = scene::config();
    (config.swim.probe_interval, config.swim.push_pull_interval) = (Duration::ZERO, Duration::ZERO);
    config.serf.reap_interval = Duration::ZERO;
    let node = RefCell::new(scene::node_with(config, members));
    let (mut next, mut incarnation, mut buf) = (0, 2, Vec::new());
    bencher
        .with_inputs(|| {
            let node = &mut *node.borrow_mut();
            let now = node.poll_timeout().unwrap_or_default();
            if node.summary().update_queue < 4 * BATCH {
                let mut packet = scene::packet((0..BATCH).map(|k| 1 + (next + k) % (members - 1)), incarnation);
                next += BATCH;
                incarnation += 1;
                node.handle_datagram(now, scene::address(1), &mut packet).expect("the packet is good");
                while node.poll_event().is_some() {}
            }
        })
        .bench_local_values(|()| {
            let node = &mut *node.borrow_mut();
            let now = node.poll_timeout().expect("there is news to gossip");
            scene::step(node, now, &mut buf)
        });
}

/// Members that come by gossip, to a node that is alone: per member.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn join_storm(bencher: Bencher<'_, '_>, members: usize) {
    let packets: Vec<Vec<u8>> =
        (0..members / BATCH).map(|n| scene::packet(1 + n * BATCH..1 + (n + 1) * BATCH, 1)).collect();
    bencher
        .counter(ItemsCount::new(packets.len() * BATCH))
        .with_inputs(|| (scene::node(1), packets.clone()))
        .bench_local_values(|(mut node, mut packets)| {
            for datagram in &mut packets {
                let _known_good = node.handle_datagram(Instant::ZERO, scene::address(1), datagram);
            }
            node
        });
}

/// A full state of so many members: read, merged, and answered with our own.
#[divan::bench(args = [100, 1_000, 10_000], sample_count = 20, sample_size = 1)]
fn push_pull(bencher: Bencher<'_, '_>, members: usize) {
    let envelope = Envelope::new(swim_core::wire::Config { compression: false, ..scene::config().wire })
        .expect("defaults are valid");
    let framed = frame_with_nonce(&envelope, Side::Dialler, scene::push_pull(members), &[0; 24]);
    bencher
        .counter(ItemsCount::new(members))
        .with_inputs(|| {
            let mut config = scene::config();
            config.wire.compression = false;
            let mut node = Node::new(config, [1; 32], Instant::ZERO).expect("the configuration is valid");
            let id = node.accept_stream(Instant::ZERO, scene::address(1)).expect("the first stream is let in");
            (node, id)
        })
        .bench_local_values(|(mut node, id)| {
            for chunk in framed.chunks(16 * 1024) {
                node.handle_stream(Instant::ZERO, id, StreamInput::Data(chunk));
            }
            let answer = node.poll_stream();
            assert!(matches!(answer, Some(StreamAction::Send { .. })), "the state was taken in");
            (node, answer)
        });
}
