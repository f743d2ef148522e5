//! Queries in whole clusters: `serf-layer.md` section 10.

use std::collections::BTreeSet;

use swim_core::ids::CommandId;
use swim_core::node::input::Reply;
use swim_core::serf::query::Query;
use swim_core::wire;
use swim_core::wire::codec::Codec;
use swim_core::wire::serf::{flag, kind};
use swim_sim::{Latency, Said, TestNet, ms, secs};

const SEED: u64 = 100;
const CODECS: [Codec; 2] = [Codec::Native, Codec::Serf];

/// A cluster in which every application answers with its node's name.
fn cluster(n: usize, seed: u64, codec: Codec) -> TestNet {
    let tuned = TestNet::tuned(n, seed, move |config| {
        if codec == Codec::Serf {
            config.wire = wire::Config::serf();
        }
    });
    let mut net = tuned.converged();
    for name in net.names() {
        net.answer_queries(&name);
    }
    net
}

/// Who has acked, who has answered, and whether the query is over. Nobody does either twice, and all answer with what
/// they ought to.
fn outcome(net: &TestNet, asker: &str, command: CommandId) -> (BTreeSet<String>, BTreeSet<String>, bool) {
    let (mut acked, mut answered, mut over) = (BTreeSet::new(), BTreeSet::new(), false);
    for (_, reply) in net.replies(asker, command) {
        assert!(!over, "nothing comes afterwards: {reply:?}");
        match reply {
            Reply::Ack { from } => assert!(acked.insert(from.to_string()), "{from} acks twice"),
            Reply::Response { from, payload } => {
                assert_eq!(*payload, *from.as_bytes(), "each answers with its name");
                assert!(answered.insert(from.to_string()), "{from} answers twice");
            }
            Reply::Done(result) => {
                assert_eq!(result, Ok(()));
                over = true;
            }
            other @ (Reply::SeedReached(_)
            | Reply::SeedFailed(..)
            | Reply::Pong(_)
            | Reply::Members(_)
            | Reply::Key { .. }
            | _) => panic!("{other:?}"),
        }
    }
    (acked, answered, over)
}

/// A thousand members are asked with the defaults; all ack and all answer in time, the asker included, and no bound
/// gets in the way (serf-layer 10.1).
#[test]
fn a_thousand_answer_in_time() {
    const N: usize = 1000;
    let mut net = TestNet::tuned(N, SEED, |config| config.swim.probe_interval = secs(0)).acquainted();
    net.world_mut().forget_events();
    for name in net.names() {
        net.answer_queries(&name);
    }
    let command = net.query("n500", Query { name: b"load", request_ack: true, ..Query::default() });
    // 16 gossip intervals for each of four digits.
    net.run_for(ms(12_799));
    let (acked, answered, over) = outcome(&net, "n500", command);
    assert_eq!((acked.len(), answered.len(), over), (N, N, false));
    net.run_for(ms(1));
    assert!(outcome(&net, "n500", command).2, "the default timeout");
    let stats = net.stats("n500");
    assert_eq!((stats.query_acks, stats.query_responses), (N as u64, N as u64));
    let refused = stats.query_responses_over_limit + stats.query_responses_unmatched + stats.query_duplicate_responses;
    assert_eq!(refused, 0);
    for name in net.names() {
        let stats = net.stats(&name);
        assert_eq!(stats.user_messages_over_limit + stats.queries_over_limit + stats.events_dropped, 0, "{name}");
        assert_eq!(net.queries(&name, "load"), 1, "{name}");
    }
}

/// Every application hears of a query once, and only by its asker's count is it answered once, whatever the network
/// does: here it loses a tenth, doubles half, and lets packets overtake each other (serf-layer 10.1, 10.2).
#[test]
fn a_query_is_heard_and_counted_once() {
    for codec in CODECS {
        let mut net = cluster(20, SEED, codec);
        net.set_loss(0.1);
        net.set_duplication(0.5);
        net.set_latency(Latency::Uniform(ms(1), ms(150)));
        for round in 0..5 {
            let query = Query { name: b"load", request_ack: true, relay_factor: 2, ..Query::default() };
            let command = net.query(&format!("n{}", 1 + round * 4), query);
            net.run_for(secs(7));
            let (acked, answered, over) = outcome(&net, &format!("n{}", 1 + round * 4), command);
            assert!(over);
            assert!(acked.len() >= 18 && answered.len() >= 18, "{acked:?} {answered:?} {codec:?}");
        }
        for name in net.names() {
            assert_eq!(net.stats(&name).queries as usize, net.queries(&name, "load"), "{name}");
            assert!(net.queries(&name, "load") <= 5, "{name}");
        }
        let heard: usize = net.names().iter().map(|name| net.queries(name, "load")).sum();
        assert!(heard >= 98, "gossip misses hardly anybody: {heard} of 100");
    }
}

/// The share of answers that reach an asker when a third of all packets is lost, with so many relays.
fn share_answered(codec: Codec, relay_factor: u8) -> f64 {
    const N: usize = 20;
    const ROUNDS: usize = 8;
    let (mut answered, mut asked) = (0, 0);
    for seed in SEED..SEED + 5 {
        let mut net = cluster(N, seed, codec);
        for round in 0..ROUNDS {
            net.set_loss(0.3);
            let asker = format!("n{}", 1 + round * 2);
            let command = net.query(&asker, Query { name: b"load", relay_factor, ..Query::default() });
            net.run_for(secs(7));
            let (_, names, over) = outcome(&net, &asker, command);
            assert!(over);
            asked += N - 1;
            answered += names.len() - 1; // not the asker's own
            net.set_loss(0.0);
            net.run_until(TestNet::all_agree, secs(60));
        }
    }
    answered as f64 / asked as f64
}

/// With 30 % loss an answer arrives with probability 0.7 when it is sent once; with three relays as well, one of the four
/// ways works with 1 - 0.3 · (1 - 0.7²)³ = 0.96. Of 760 answers each, the share has a standard deviation of 1.7 % in the
/// first case and 0.7 % in the second; the bounds are five of them away from both (serf-layer 10.4).
#[test]
fn relays_help_answers_through_loss() {
    for codec in CODECS {
        let (straight, relayed) = (share_answered(codec, 0), share_answered(codec, 3));
        assert!((0.61..0.79).contains(&straight), "{straight} straight, {codec:?}");
        assert!(relayed > 0.92, "{relayed} with relays, {codec:?}");
    }
}

/// Only those answer who are meant, by name and by tag; the others pass the query on all the same, and tags that were
/// changed a moment ago count as they are now (serf-layer 3, query filters; 4, last paragraph).
#[test]
fn only_those_meant_answer() {
    type Names = &'static [&'static [u8]];
    type Tags = &'static [(&'static str, &'static str)];
    #[rustfmt::skip]
    let table: [(Names, Tags, &[&str]); 9] = [
        // names              tags                                     who
        (&[],                 &[],                                     &["n1", "n2", "n3", "n4", "n5", "n6"]),
        (&[b"n2", b"n5", b"nobody"], &[],                              &["n2", "n5"]),
        (&[b"N2"],            &[],                                     &[]),
        (&[],                 &[("role", "web")],                      &["n1", "n2", "n3"]), // not anchored
        (&[],                 &[("role", "^web$")],                    &["n1", "n2"]),
        (&[],                 &[("role", "^(web|db)$"), ("zone", "b")], &["n2", "n4"]),
        (&[b"n1", b"n4"],     &[("role", "db")],                       &["n4"]),
        (&[],                 &[("role", "^$")],                       &["n5", "n6"]), // none is an empty one
        (&[],                 &[("role", "(")],                        &[]),
    ];
    for codec in CODECS {
        let mut net = cluster(6, SEED, codec);
        let roles = [("n1", "web"), ("n2", "web"), ("n3", "webmail"), ("n4", "db"), ("n5", "")];
        for (name, role) in roles {
            net.set_tag(name, "role", role);
        }
        for name in ["n2", "n4", "n6"] {
            net.set_tag(name, "zone", "b");
        }
        for (names, tags, who) in table {
            let query =
                Query { name: b"who", filter_nodes: names, filter_tags: tags, request_ack: true, ..Query::default() };
            // The way a query takes: by the one that is never meant, too.
            let command = net.query("n6", query);
            net.run_for(ms(3300));
            let (acked, answered, over) = outcome(&net, "n6", command);
            let who: BTreeSet<String> = who.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!((acked, answered, over), (who.clone(), who, true), "{names:?} {tags:?} {codec:?}");
        }
        for name in net.names() {
            assert_eq!(net.stats(&name).queries, table.len() as u64, "{name} has heard them all");
        }
    }
}

/// A query that is not to be passed on is heard by whom it was sent to, and goes no further; one without that flag
/// goes around (serf-layer 3, flags; 10.2).
#[test]
fn a_query_may_be_for_one_only() {
    for codec in CODECS {
        let mut net = cluster(5, SEED, codec);
        let y = net.puppet("y");
        let queries = |said: &Said| matches!(said, Said::User(bytes) if bytes[0] == kind::QUERY);
        for (flags, heard) in [(flag::NO_BROADCAST | flag::ACK, 1), (flag::ACK, 5)] {
            y.forget();
            net.record();
            let name = format!("flags {flags}");
            net.tell(&y, "n1", y.query(&name, 9, flags, flags));
            net.run_for(secs(5));
            let told: usize = net.names().iter().map(|node| net.queries(node, &name)).sum();
            assert_eq!(told, heard, "{codec:?}");
            let passed_on =
                net.packets_from("n1").iter().flat_map(|packet| &packet.said).filter(|said| queries(said)).count();
            assert_eq!(passed_on > 0, heard > 1, "{codec:?}");
            // An ack and an answer from each.
            assert_eq!(y.messages_where(|said| matches!(said, Said::User(_))).len(), 2 * heard, "{codec:?}");
        }
    }
}

/// Once the ring of recent queries has gone round, nobody can say whether an old one was heard before: it is not heard
/// again (serf-layer 10.2).
#[test]
fn old_queries_are_not_heard_again() {
    for codec in CODECS {
        let mut net = cluster(3, SEED, codec);
        let y = net.puppet("y");
        let first = y.query("first", 9, 1, 0);
        net.tell(&y, "n1", first.clone());
        net.run_for(secs(5));
        for time in [10, 521, 522] {
            // 522 less 512 is later than 9, but until then its slot is its own.
            net.tell(&y, "n2", y.query("more", time, 2, 0));
            net.tell(&y, "n2", first.clone());
            net.run_for(secs(5));
        }
        for name in net.names() {
            assert_eq!((net.queries(&name, "first"), net.queries(&name, "more")), (1, 3), "{name}, {codec:?}");
        }
        assert_eq!(net.stats("n2").queries_old, 2, "{codec:?}");
    }
}
