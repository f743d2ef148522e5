//! A steady state allocates nothing, in ten thousand steps of it.
#![allow(missing_docs, reason = "tests are not an API")]

#[path = "../benches/scene/mod.rs"]
#[allow(dead_code, reason = "the benchmarks use the rest")]
mod scene;

use allocation_counter::measure;
use swim_core::ids::LamportTime;
use swim_core::wire::codec::Codec;
use swim_core::wire::message::Bytes;
use swim_core::wire::serf::UserEvent;

/// Probes, acks, gossip ticks without news, and packets of updates that are known already.
#[test]
fn a_steady_state_allocates_nothing() {
    let members = 200;
    let mut node = scene::node(members);
    let mut now = scene::quiet(&mut node);
    let mut buf = Vec::with_capacity(2048);
    let known = scene::packet((0..scene::BATCH).map(|member| 1 + member), 1);
    let mut datagram = known.clone();
    let mut step = |node: &mut swim_core::Node, n: usize| {
        now = node.poll_timeout().expect("there is always a next probe");
        scene::step(node, now, &mut buf);
        if n.is_multiple_of(3) {
            datagram.copy_from_slice(&known);
            node.handle_datagram(now, scene::address(1), &mut datagram).expect("the packet is good");
        }
    };
    // Buffers find their size.
    for n in 0..100 {
        step(&mut node, n);
    }
    let exchanges = node.stats().push_pulls_started;
    // A full state exchange is no steady state: look at the stretches between them.
    let (mut quiet_steps, mut allocations) = (0, 0);
    for n in 0..10_000 {
        let before = node.stats().push_pulls_started;
        let spent = measure(|| step(&mut node, n));
        if node.stats().push_pulls_started == before {
            quiet_steps += 1;
            allocations += spent.count_total;
        }
    }
    assert!(node.stats().push_pulls_started > exchanges, "time has passed");
    assert!(quiet_steps > 9_000, "{quiet_steps} steps without an exchange");
    assert_eq!(allocations, 0);
}

/// A user event is heard many times; only the first costs memory.
#[test]
fn a_known_user_event_allocates_nothing() {
    let mut node = scene::node(20);
    let now = scene::quiet(&mut node);
    let event = |time, name| {
        let event =
            UserEvent { ltime: LamportTime(time), name, payload: Some(Bytes::from(&b"v1"[..])), coalesce: true };
        scene::user_packet(|buf| Codec::Native.encode_serf_user_event(&event, buf))
    };
    // Many of one time, so that the look-up has something to do.
    let names: Vec<String> = (0..100).map(|n| format!("event-{n}")).collect();
    let known: Vec<Vec<u8>> = names.iter().map(|name| event(7, name.as_bytes())).collect();
    let mut datagram = Vec::new();
    let mut hear_all = |node: &mut swim_core::Node| {
        for packet in &known {
            datagram.clone_from(packet);
            node.handle_datagram(now, scene::address(1), &mut datagram).expect("the packet is good");
        }
    };
    hear_all(&mut node);
    assert_eq!(node.stats().user_events, 100);
    assert_eq!(measure(|| hear_all(&mut node)).count_total, 0);
    assert_eq!(node.stats().user_events, 100);
}
