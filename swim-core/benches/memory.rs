//! What one node holds and what a steady state allocates, at 100 to 100 000 members.
#![allow(missing_docs, reason = "benchmarks are not an API")]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod scene;

use allocation_counter::measure;
use swim_core::Instant;

fn main() {
    println!(
        "{:>9}  {:>16}  {:>23}  {:>24}",
        "members", "heap bytes/member", "allocations/known packet", "allocations/quiet wake-up"
    );
    for members in [100, 1_000, 10_000, 100_000] {
        let mut node = None;
        // The queue of updates is full right after a storm; what stays is what counts.
        let mut now = Instant::ZERO;
        let held = measure(|| {
            let mut built = scene::node(members);
            now = scene::quiet(&mut built);
            node = Some(built);
        });
        let mut node = node.expect("it has just been made");
        let mut packets: Vec<Vec<u8>> =
            (0..1000).map(|n| scene::packet((0..15).map(|k| 1 + (n * 15 + k) % (members - 1)), 1)).collect();
        let known = measure(|| {
            for datagram in &mut packets {
                let _known_good = node.handle_datagram(now, scene::address(1), datagram);
            }
        });
        let mut buf = Vec::with_capacity(2048);
        let quiet = measure(|| {
            for _ in 0..1000 {
                now = node.poll_timeout().expect("there is always a next probe");
                scene::step(&mut node, now, &mut buf);
            }
        });
        println!(
            "{members:>9}  {:>16.1}  {:>23.3}  {:>24.3}",
            held.bytes_current as f64 / members as f64,
            known.count_total as f64 / 1000.0,
            quiet.count_total as f64 / 1000.0,
        );
    }
}
