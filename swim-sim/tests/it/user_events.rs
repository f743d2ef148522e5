//! User events in whole clusters: `serf-layer.md` section 9, and what section 8 repeats of them.

use swim_core::ids::LamportTime;
use swim_core::wire;
use swim_core::wire::codec::Codec;
use swim_sim::{Latency, TestNet, ms, secs};

const SEED: u64 = 90;
const CODECS: [Codec; 2] = [Codec::Native, Codec::Serf];

fn cluster(n: usize, seed: u64, codec: Codec, event_buffer: usize) -> TestNet {
    let tuned = TestNet::tuned(n, seed, move |config| {
        if codec == Codec::Serf {
            config.wire = wire::Config::serf();
        }
        config.serf.event_buffer = event_buffer;
        // What loss does to probes is another test's business, and takes its time.
        config.swim.probe_interval = secs(5);
    });
    tuned.converged()
}

/// What an application was told, in alphabetical order.
fn told(net: &TestNet, name: &str) -> Vec<String> {
    let mut told: Vec<String> = net.user_events(name).into_iter().map(|told| told.name).collect();
    told.sort();
    told
}

/// The network loses a fifth of all packets, doubles another, and lets them overtake each other; everybody says
/// something. Whom gossip misses a full state exchange reaches, and neither brings anything twice (serf-layer 9, 8).
fn everybody_is_told_once(n: usize, codec: Codec, seeds: u64) {
    const EVENTS: usize = 12;
    for seed in SEED..SEED + seeds {
        let mut net = cluster(n, seed, codec, 512);
        net.set_loss(0.2);
        net.set_duplication(0.2);
        net.set_latency(Latency::Uniform(ms(1), ms(150)));
        let mut expected = Vec::new();
        for event in 0..EVENTS {
            // Some have the same time, because their senders have not heard of each other.
            let (sender, event) = (format!("n{}", 1 + event * n / EVENTS), format!("event {event}"));
            net.user_event(&sender, &event, "");
            expected.push(event);
            net.run_for(ms(70));
        }
        expected.sort();
        let names = net.names();
        // An exchange of each with somebody is due every two minutes.
        let everybody = |net: &TestNet| names.iter().all(|name| net.stats(name).user_events >= EVENTS as u64);
        net.run_until(everybody, secs(600));
        net.run_for(secs(150));
        for name in &names {
            assert_eq!(told(&net, name), expected, "{name} of {n}, seed {seed}, {codec:?}");
            assert_eq!(net.stats(name).user_events, EVENTS as u64);
        }
        let lost = net.world().datagrams_lost() as f64 / net.world().datagrams_sent() as f64;
        assert!(lost > 0.1, "{lost}");
    }
}

#[test]
fn two_hundred_are_told_once_whatever_the_network_does() {
    everybody_is_told_once(200, Codec::Native, 3);
}

#[test]
fn forty_on_serfs_wire_are_told_once_whatever_the_network_does() {
    everybody_is_told_once(40, Codec::Serf, 3);
}

/// Without loss gossip alone reaches all of two hundred, within a second or two: the rounds that it takes a rumour to
/// get around (serf-layer 5; swim-state 9).
#[test]
fn gossip_alone_is_fast() {
    let mut net = TestNet::tuned(200, SEED, |config| config.swim.push_pull_interval = secs(0)).converged();
    for event in ["first", "second", "third"] {
        net.user_event("n77", event, "");
        let names = net.names();
        let count = net.stats("n77").user_events;
        let took = net.run_until(|net| names.iter().all(|name| net.stats(name).user_events == count), secs(10));
        assert!(took < secs(3), "{event}: {took:?}");
    }
}

/// A joiner is told of what was said before it came, as far as it is remembered, or of nothing, as it wishes; and what
/// others repeat later, in exchanges or by gossip, changes nothing about it (serf-layer 8, step 4; 9, step 1).
#[test]
fn a_joiner_is_told_what_it_wants_and_nothing_twice() {
    const BUFFER: u64 = 8;
    for codec in CODECS {
        for replay in [true, false] {
            let row = format!("{codec:?}, replay: {replay}");
            let mut net = cluster(5, SEED, codec, BUFFER as usize);
            for event in 1..=20 {
                let time = net.user_event(&format!("n{}", 1 + event % 5), &format!("event {event:2}"), "x");
                assert_eq!(time, LamportTime(event), "one after the other");
                net.run_for(secs(2));
            }
            net.run_until(TestNet::nothing_to_say, secs(30));
            // One that is still being gossiped when the joiner comes.
            net.user_event("n1", "event 21", "x");
            net.start("late");
            if replay {
                net.join_and_replay("late", "n1");
            } else {
                net.join("late", "n1");
            }
            net.run_until(TestNet::all_agree, secs(30));
            let first = if replay { 22 - BUFFER } else { 22 };
            let mut expected: Vec<String> = (first..22).map(|event| format!("event {event:2}")).collect();
            assert_eq!(told(&net, "late"), expected, "{row}");
            net.run_for(secs(300));
            assert!(net.stats("late").push_pulls_merged > 10, "everybody has repeated all: {row}");
            assert_eq!(told(&net, "late"), expected, "{row}");

            net.user_event("n3", "event 22", "x");
            net.run_for(secs(90));
            expected.push("event 22".into());
            assert_eq!(told(&net, "late"), expected, "{row}");
            for name in ["n1", "n2", "n3", "n4", "n5"] {
                assert_eq!(told(&net, name).len(), 22, "{name}, {row}");
            }
        }
    }
}

/// A member was cut off while it and the others spoke. When it joins again, the others are told of what it had said alone;
/// it is not told of what they had said, because its join did not ask for that (serf-layer 8).
#[test]
fn who_was_cut_off_is_heard_later() {
    for codec in CODECS {
        let mut net = cluster(8, SEED, codec, 512);
        net.partition(&[&["n3"]]);
        net.user_event("n1", "of the many", "");
        net.user_event("n3", "of the one", "");
        net.run_for(secs(120));
        assert_eq!((told(&net, "n3"), told(&net, "n1")), (vec!["of the one".into()], vec!["of the many".into()]));
        net.heal();
        net.join("n3", "n5");
        net.run_until(TestNet::all_agree, secs(60));
        net.run_for(secs(120));
        for name in net.names() {
            let expected = match name.as_str() {
                "n3" => vec!["of the one"],
                _ => vec!["of the many", "of the one"],
            };
            assert_eq!(told(&net, &name), expected, "{name}, {codec:?}");
        }
    }
}
