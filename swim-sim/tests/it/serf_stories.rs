//! What clusters live through, as Serf tells it: `serf-layer.md` sections 4 to 11.

use std::collections::BTreeSet;

use swim_core::Config;
use swim_core::Event;
use swim_core::ids::LamportTime;
use swim_core::node::input::Reply;
use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::Status;
use swim_core::serf::query::Query;
use swim_core::wire;
use swim_core::wire::codec::Codec;
use swim_sim::{TestNet, ms, secs};

const SEED: u64 = 15;
const CODECS: [Codec; 2] = [Codec::Native, Codec::Serf];

fn cluster(n: usize, seed: u64, codec: Codec, tune: fn(&mut Config)) -> TestNet {
    let net = TestNet::tuned(n, seed, move |config| {
        if codec == Codec::Serf {
            config.wire = wire::Config::serf();
        }
        tune(config);
    });
    net.converged()
}

fn kinds(net: &TestNet, observer: &str, member: &str) -> Vec<MemberEvent> {
    net.member_events(observer, member).into_iter().map(|(_, kind)| kind).collect()
}

/// Somebody else takes a member's name. Both ask the others whose it is: the newcomer learns that it is not its own,
/// and nobody lets go of the rightful bearer (serf-layer 10.5).
#[test]
fn an_impostor_loses_the_name() {
    for codec in CODECS {
        let mut net = cluster(8, SEED, codec, |_| {});
        let (bearer, home) = (net.host("n3"), net.address("n3"));
        net.start("n3");
        let impostor = net.host("n3");
        net.join("n3", "n1");
        net.run_for(secs(30));
        let lost = |host| {
            let events = net.world().events(host).iter();
            events.filter(|(_, event)| matches!(event, Event::NameLost { .. })).cloned().collect::<Vec<_>>()
        };
        let [(_, Event::NameLost { matching: 0, responses })] = &lost(impostor)[..] else {
            panic!("{:?} {codec:?}", lost(impostor));
        };
        assert!(*responses >= 6, "nearly everybody answers: {responses}");
        assert_eq!(lost(bearer), [], "{codec:?}");
        assert!(net.world().node(impostor).is_some_and(|node| node.has_lost_name()));
        net.world_mut().crash(impostor);
        net.run_for(secs(60));
        for name in ["n1", "n2", "n4", "n5", "n6", "n7", "n8"] {
            let member = net[name].member(b"n3").expect("it is still there");
            assert_eq!((member.status(), member.address()), (Status::Alive, home), "{name}, {codec:?}");
            assert_eq!(kinds(&net, name, "n3"), [MemberEvent::Join], "{name}, {codec:?}");
        }
    }
}

/// A failed member is made to leave, and forgotten if so wished: by everybody, for good, and nobody tries to reach it
/// any more (serf-layer 6.2, 6.4, 7).
#[test]
fn the_failed_are_made_to_leave() {
    use MemberEvent::{Failed, Join, Leave, Reap};
    for codec in CODECS {
        for prune in [false, true] {
            let mut net = cluster(8, SEED, codec, |_| {});
            net.crash("n4");
            net.run_until(|net| net.deaths().len() == 7, secs(90));
            net.run_for(secs(10));
            let command = net.force_leave("n2", "n4", prune);
            assert!(matches!(net.replies("n2", command)[..], [(_, Reply::Done(Ok(())))]));
            net.run_for(secs(10));
            let reconnects = |net: &TestNet| net.names().iter().map(|name| net.stats(name).reconnects).sum::<u64>();
            let before = reconnects(&net);
            net.run_for(secs(300));
            assert_eq!(reconnects(&net), before);
            let expected: &[MemberEvent] = if prune { &[Join, Failed, Leave, Reap] } else { &[Join, Failed, Leave] };
            for name in net.names() {
                let row = format!("{name}, prune: {prune}, {codec:?}");
                assert_eq!(net.status_at(&name, "n4"), (!prune).then_some(Status::Left), "{row}");
                assert_eq!(kinds(&net, &name, "n4"), expected, "{row}");
            }
            // It may come back.
            net.restart("n4");
            net.join("n4", "n1");
            net.run_until(TestNet::all_agree, secs(60));
        }
    }
}

/// Who is made to leave but is there says that it stays, and then is a member for all, even if gossip passed it by: about
/// once in a hundred times the member itself is the last to hear of it, from whom it exchanges states with. Otherwise it
/// would be leaving for ever, and its failure a leave (serf-layer 7, force-leave; beyond Serf in the rare case).
#[test]
fn the_living_stay() {
    let mut late = 0;
    for seed in 0..100 {
        for codec in CODECS {
            let mut net = cluster(8, seed, codec, |_| {});
            net.force_leave("n2", "n4", false);
            assert_eq!(net.status_at("n2", "n4"), Some(Status::Leaving));
            net.run_for(secs(10));
            late += u32::from(net.status_at("n2", "n4") == Some(Status::Leaving));
            net.run_for(secs(80));
            assert!(net.all_agree(), "seed {seed}, {codec:?}\n{net:?}");
            for name in net.names() {
                assert_eq!(kinds(&net, &name, "n4"), [MemberEvent::Join], "{name}, {codec:?}");
            }
        }
    }
    assert!((1..20).contains(&late), "the rare case is among them: {late}");
}

/// If it was to be forgotten as well it is, after the time it would have had to leave, and although it stays; but not by
/// itself. It is met again when it comes back from the dead (serf-layer 6.2, prune).
#[test]
fn the_living_can_be_forgotten() {
    for codec in CODECS {
        let mut net = cluster(8, SEED, codec, |_| {});
        net.force_leave("n2", "n4", true);
        net.run_for(ms(5_900));
        assert!(net.names().iter().all(|name| net.status_at(name, "n4").is_some()), "not yet");
        net.run_for(secs(5));
        let names = net.names();
        let forgotten: Vec<_> = names.iter().filter(|name| net.status_at(name, "n4").is_none()).collect();
        assert!((6..=7).contains(&forgotten.len()), "gossip may miss one: {forgotten:?}");
        for name in forgotten {
            assert_eq!(kinds(&net, name, "n4"), [MemberEvent::Join, MemberEvent::Reap], "{name}, {codec:?}");
        }
        assert_eq!(net.status_at("n4", "n4"), Some(Status::Alive));
        net.crash("n4");
        net.run_for(secs(60));
        net.restart("n4");
        net.join("n4", "n1");
        net.run_until(TestNet::all_agree, secs(60));
    }
}

/// After a partition so long that SWIM has forgotten the other side, the two come together without a join: every half
/// minute somebody tries to reach one of the failed (serf-layer 6.4).
#[test]
fn a_long_partition_heals_by_itself() {
    for seed in SEED..SEED + 3 {
        for codec in CODECS {
            let mut net = cluster(10, seed, codec, |_| {});
            let (left, right) = (["n1", "n2", "n3"], ["n4", "n5", "n6", "n7", "n8", "n9", "n10"]);
            net.partition(&[&left, &right]);
            net.run_for(secs(300));
            assert_eq!(net.deaths().len(), 2 * 3 * 7, "everybody of everybody beyond");
            assert_eq!(net.state_at("n1", "n4"), None, "forgotten by SWIM");
            net.heal();
            let took = net.run_until(TestNet::all_agree, secs(180));
            net.run_for(secs(60));
            assert!(net.all_agree(), "{took:?}, seed {seed}, {codec:?}");
            let intents: usize = net.names().iter().map(|name| net[name.as_str()].summary().failed).sum();
            assert_eq!(intents, 0);
        }
    }
}

/// The failed and the left are forgotten by each member when their time is over, once, and no exchange with one that
/// still remembers them brings them back (serf-layer 6.3, 8).
#[test]
fn the_forgotten_stay_forgotten() {
    use MemberEvent::{Failed, Join, Leave, Reap};
    for codec in CODECS {
        let mut net = cluster(12, SEED, codec, |config| {
            // Some look often, some seldom: for a while half of them still remember.
            config.serf.reap_interval = secs(if config.name.as_bytes().len() == 2 { 15 } else { 400 });
            config.serf.reconnect_timeout = secs(100);
            config.serf.tombstone_timeout = secs(200);
        });
        net.leave("n7");
        net.run_for(secs(15));
        net.crash("n7");
        net.crash("n4");
        net.run_for(secs(800));
        for member in ["n4", "n7"] {
            let reaped = |name: &String| net.last_event(name, member, Reap);
            let reaped: BTreeSet<_> = net.names().iter().map(|name| reaped(name).expect("it is forgotten")).collect();
            let (first, last) = (reaped.first().expect("some"), reaped.last().expect("some"));
            assert!(*last - *first > secs(120), "in between, some knew it and some did not: {reaped:?}");
        }
        for name in net.names() {
            assert_eq!(net.status_at(&name, "n4"), None, "{name}, {codec:?}");
            assert_eq!(net.status_at(&name, "n7"), None, "{name}, {codec:?}");
            assert_eq!(kinds(&net, &name, "n4"), [Join, Failed, Reap], "{name}, {codec:?}");
            let left = kinds(&net, &name, "n7");
            // Now and then the intent comes after SWIM's goodbye (serf-layer 6.2, quirk).
            let late = left == [Join, Failed, Leave, Reap];
            assert!(late || left == [Join, Leave, Reap], "{left:?}, {name}, {codec:?}");
        }
    }
}

/// A member that is back within a minute of being found dead flaps, in the eyes of all; one that takes longer does not
/// (serf-layer 6.2).
#[test]
fn a_quick_return_is_a_flap_for_everybody() {
    for codec in CODECS {
        for (away, flaps) in [(secs(5), 1), (secs(75), 0)] {
            let mut net = cluster(8, SEED, codec, |_| {});
            net.crash("n5");
            net.run_until(|net| net.deaths().len() == 7, secs(90));
            net.run_for(away);
            net.restart("n5");
            net.join("n5", "n1");
            net.run_until(TestNet::all_agree, secs(30));
            for name in net.names().iter().filter(|name| *name != "n5") {
                assert_eq!(net.stats(name).member_flaps, flaps, "{name}, away for {away:?}, {codec:?}");
                let expected = [MemberEvent::Join, MemberEvent::Failed, MemberEvent::Join];
                assert_eq!(kinds(&net, name, "n5"), expected, "{name}");
            }
        }
    }
}

/// Everybody changes its tags, again and again, while a fifth of all packets is lost: in the end all know everybody's
/// last ones, and nobody's tags ever went back to older ones (serf-layer 4).
#[test]
fn tags_get_through_loss() {
    for codec in CODECS {
        let mut net = cluster(24, SEED, codec, |_| {});
        net.set_loss(0.2);
        for version in 1..=3 {
            for name in net.names() {
                net.set_tag(&name, "version", &version.to_string());
                net.run_for(ms(50));
            }
        }
        let names = net.names();
        let all_know = |net: &TestNet| {
            names.iter().all(|observer| {
                let mut members = net[observer.as_str()].members();
                members.all(|member| member.tags().get("version") == Some("3"))
            })
        };
        net.run_until(all_know, secs(300));
        for observer in &names {
            let mut last = std::collections::BTreeMap::new();
            for (_, event) in net.events(observer) {
                if let Event::Member { member, .. } = event {
                    let version = member.tag("version").map_or(String::new(), |version| version.into_owned());
                    let before = last.insert(member.name.clone(), version.clone());
                    assert!(before.is_none_or(|before| before <= version), "{observer} of {}", member.name);
                }
            }
        }
    }
}

/// Members with the periods of Serf's agent tell the last of several quick things, together; the others tell each
/// (serf-layer 11).
#[test]
fn some_want_it_in_one_piece() {
    let patient = |name: &str| name.len() == 3;
    for codec in CODECS {
        let mut net = cluster(18, SEED, codec, |config| {
            if config.name.as_bytes().len() == 3 {
                let serf = &mut config.serf;
                (serf.coalesce_period, serf.quiescent_period) = (secs(3), secs(1));
                (serf.user_coalesce_period, serf.user_quiescent_period) = (secs(3), secs(1));
            }
        });
        net.run_for(secs(10));
        let start = net.now();
        for version in ["v1", "v2", "v3"] {
            net.user_event("n1", "deploy", version);
            net.user_event("n2", "backup", version);
            net.set_tag("n3", "version", version);
            net.run_for(ms(150));
        }
        net.run_for(secs(10));
        for name in net.names() {
            let told: Vec<(String, String)> =
                net.user_events(&name).into_iter().map(|told| (told.name, told.payload)).collect();
            let updates: Vec<_> = net
                .member_events(&name, "n3")
                .into_iter()
                .filter(|(at, kind)| *at >= start && *kind == MemberEvent::Update)
                .collect();
            let of = |event: &str| told.iter().filter(|(name, _)| name == event).count();
            if patient(&name) {
                let expected = [("backup".to_owned(), "v3".to_owned()), ("deploy".to_owned(), "v3".to_owned())];
                assert_eq!(told, expected, "{name}, {codec:?}");
                assert_eq!(updates.len(), 1, "{name}, {codec:?}");
                assert!(updates[0].0 - start >= secs(1), "{name}, {codec:?}");
            } else {
                assert_eq!((of("deploy"), of("backup")), (3, 3), "{name}, {codec:?}");
                assert!(!updates.is_empty(), "{name}, {codec:?}");
            }
            let member = net[name.as_str()].member(b"n3").expect("it is there");
            assert_eq!(member.tags().get("version"), Some("v3"));
        }
    }
}

/// A joining crowd is one piece of news for who is patient: all of it at the same moment, by name (serf-layer 11).
#[test]
fn a_crowd_comes_as_one() {
    let mut net = TestNet::tuned(12, SEED, |config| {
        (config.serf.coalesce_period, config.serf.quiescent_period) = (secs(3), secs(1));
    });
    for i in 2..=12 {
        net.join(&format!("n{i}"), "n1");
    }
    net.run_for(secs(10));
    for name in net.names() {
        let joins: Vec<_> = net.events(&name).iter().collect();
        assert_eq!(joins.len(), 12, "{name}");
        let moments: BTreeSet<_> = joins.iter().map(|(at, _)| *at).collect();
        assert_eq!(moments.len(), 1, "{name}");
        let told = joins.iter().map(|(_, event)| {
            let Event::Member { kind: MemberEvent::Join, member } = event else { panic!("{event:?}") };
            &member.name
        });
        assert!(told.is_sorted(), "{name}");
    }
}

/// Somebody pushes all three clocks into the last half of their range. They go on from there; times that lie further
/// ahead are refused with what carries them; events, queries and leaves work as before, for newcomers, too (serf-layer 5;
/// `lamport.rs`).
#[test]
fn clocks_near_the_end_of_time_go_on() {
    const FAR: u64 = 1 << 63;
    for codec in CODECS {
        let mut net = cluster(6, SEED, codec, |_| {});
        let y = net.puppet("y");
        net.tell_all(&y, "n1", &[y.join_intent("stranger", FAR), y.user_event("far", FAR), y.query("far", FAR, 1, 0)]);
        net.run_for(secs(10));
        let times = |net: &TestNet, name: &str| {
            let summary = net[name].summary();
            [summary.member_time, summary.event_time, summary.query_time]
        };
        for name in net.names() {
            assert_eq!(times(&net, &name), [LamportTime(FAR + 1); 3], "{name}, {codec:?}");
        }
        // One further than may be, and the last there is.
        for time in [FAR + 1 + (1 << 32) + 1, u64::MAX] {
            net.tell_all(
                &y,
                "n2",
                &[y.leave_intent("n3", time), y.user_event("further", time), y.query("further", time, 2, 0)],
            );
        }
        net.run_for(secs(10));
        assert_eq!(net.stats("n2").lamport_times_refused, 6);
        for name in net.names() {
            assert_eq!(times(&net, &name), [LamportTime(FAR + 1); 3], "{name}, {codec:?}");
        }

        net.start("n7");
        net.join("n7", "n4");
        net.run_until(TestNet::all_agree, secs(30));
        for name in net.names() {
            net.answer_queries(&name);
        }
        let mut replies = 0;
        for (round, name) in (1..).zip(net.names()) {
            let time = net.user_event(&name, &format!("of {name}"), "");
            // One that has missed something gives a time that others have given.
            assert!(time > LamportTime(FAR) && time <= LamportTime(FAR + round), "{time}, {codec:?}");
            let command = net.query(&name, Query { name: b"load", timeout: Some(secs(4)), ..Query::default() });
            net.run_for(secs(5));
            replies += net.replies(&name, command).len() - 1;
        }
        assert!((46..=49).contains(&replies), "gossip misses hardly anybody: {replies} of 49, {codec:?}");
        net.run_for(secs(60));
        for name in net.names() {
            let mut told: Vec<String> = net.user_events(&name).into_iter().map(|told| told.name).collect();
            told.sort();
            let first = if name == "n7" { None } else { Some("far".to_owned()) };
            let expected: Vec<String> = first.into_iter().chain((1..=7).map(|i| format!("of n{i}"))).collect();
            assert_eq!(told, expected, "{name}, {codec:?}");
        }
        net.leave("n5");
        net.run_for(secs(15));
        net.crash("n5");
        for name in net.names() {
            assert_eq!(net.status_at(&name, "n5"), Some(Status::Left), "{name}, {codec:?}");
        }
    }
}
