//! One member is an enemy, or as defective as one: it has the key, and says what it likes. Others suffer what the protocol
//! cannot prevent, for as long as it talks; then all is well again, nothing has grown beyond its bound, and the counters
//! say what has happened (`docs/security.md`).

use core::cell::RefCell;
use core::net::SocketAddr;
use std::rc::Rc;

use swim_core::Config;
use swim_core::ids::LamportTime;
use swim_core::serf::member::Status;
use swim_core::serf::query::Query;
use swim_core::wire;
use swim_core::wire::codec::Codec;
use swim_core::wire::keyring::Key;
use swim_core::wire::message::State;
use swim_core::wire::serf;
use swim_sim::world::Verdict;
use swim_sim::{EntrySaid, Puppet, Said, StreamSaid, TestNet, VERSIONS, ms, secs};

const SEED: u64 = 66;

/// Nodes `n1`, `n2`, …, and `mallory`, whom all of them hold to be a member.
fn cluster(n: usize, tune: impl Fn(&mut Config) + 'static) -> (TestNet, Puppet) {
    let mut net = TestNet::tuned(n, SEED, tune).converged();
    let mallory = net.member("mallory");
    net.run_until(|net| all_hold(net, "mallory", State::Alive), secs(10));
    (net, mallory)
}

fn all_hold(net: &TestNet, member: &str, state: State) -> bool {
    net.names().iter().all(|name| net.state_at(name, member).is_some_and(|(held, _)| held == state))
}

/// Whether the nodes have never held each other to have failed.
fn nobody_failed(net: &TestNet) -> bool {
    let names = net.names();
    net.deaths().iter().all(|death| !names.contains(&death.member))
}

fn alive(node: &str, address: SocketAddr, incarnation: u32, meta: &[u8]) -> Said {
    Said::Alive { incarnation, node: node.to_owned(), address, meta: meta.to_vec(), versions: Some(VERSIONS) }
}

fn entry(name: &str, address: SocketAddr, incarnation: u32, state: State) -> EntrySaid {
    EntrySaid {
        name: name.to_owned(),
        address,
        meta: Vec::new(),
        incarnation,
        state: Some(state),
        versions: Some(VERSIONS),
    }
}

fn made_up(index: usize) -> (String, SocketAddr) {
    (format!("ghost {index}"), SocketAddr::from(([10, 9, (index >> 8) as u8, index as u8], 7946)))
}

/// Claims with the last incarnation but one are refuted with the last. Those with the last cannot be: of an announcement
/// nothing follows, and whoever is accused is out until it has been forgotten, and comes back with its own number by the
/// next exchange. It never believes anything itself, and counts (swim-state 3.5, 15).
#[test]
fn a_member_claimed_at_the_last_incarnation_comes_back() {
    const CLAIMS: [&str; 4] = ["alive", "suspect", "dead", "left"];
    for (number, by_stream, claim) in [u32::MAX - 1, u32::MAX]
        .into_iter()
        .flat_map(|number| [false, true].map(|by_stream| (number, by_stream)))
        .flat_map(|(number, by_stream)| CLAIMS.map(|claim| (number, by_stream, claim)))
    {
        let (mut net, mallory) = cluster(5, |_| {});
        let victim = net.address("n2");
        if by_stream {
            let state = match claim {
                "alive" => State::Alive,
                "suspect" => State::Suspect,
                "dead" => State::Dead,
                _ => State::Left,
            };
            let entries = vec![entry("n2", victim, number, state)];
            net.dial(&mallory, "n1", &StreamSaid::PushPull { join: false, entries, user_state: vec![] });
        } else {
            let said = match claim {
                "alive" => alive("n2", victim, number, b"not mine"),
                "suspect" => mallory.suspect("n2", number),
                "dead" => mallory.dead("n2", number),
                _ => Said::Dead { incarnation: number, node: "n2".to_owned(), from: "n2".to_owned() },
            };
            net.tell(&mallory, "n1", said);
        }
        let what = format!("{claim} at {number}, by stream: {by_stream}");
        net.run_until(|net| net.state_at("n1", "n2").is_some_and(|(_, held)| held >= u32::MAX - 1), secs(1));
        net.run_for(secs(1));
        let refuted = number < u32::MAX;
        let stats = net.stats("n2");
        assert_eq!((stats.refutations > 0, stats.refused_incarnations > 0), (refuted, !refuted), "{what}");
        let back = net.run_until(|net| all_hold(net, "n2", State::Alive), secs(240));
        assert!(refuted && back.is_zero() || !refuted && (claim == "alive" || back > secs(30)), "{what}: {back:?}");
        net.run_for(secs(60));
        for name in net.names() {
            let (state, held) = net.state_at(&name, "n2").expect("it is back");
            let expected = if refuted || claim == "alive" { u32::MAX } else { 1 };
            assert_eq!((state, held), (State::Alive, if name == "n2" && !refuted { 1 } else { expected }), "{what}");
        }
        let others = net.deaths().into_iter().filter(|death| death.member != "n2").count();
        assert_eq!(others, 0, "{what}: nobody else is touched");
    }
}

/// Members that are made up with the last incarnations fail like others, and are forgotten.
#[test]
fn members_made_up_at_the_last_incarnation_fail() {
    let (mut net, mallory) = cluster(5, |config| {
        (config.serf.reconnect_timeout, config.serf.reap_interval) = (secs(30), secs(1));
    });
    for (index, number) in [u32::MAX, u32::MAX - 1].into_iter().enumerate() {
        let (name, address) = made_up(index);
        net.tell(&mallory, "n1", alive(&name, address, number, b""));
        assert_eq!(net.state_at("n1", &name), Some((State::Alive, number)));
    }
    net.run_until(|net| net.names().iter().all(|name| net[name.as_str()].summary().members == 6), secs(240));
    let failed = net.deaths();
    assert!(failed.len() >= 2 && failed.iter().all(|death| death.member.starts_with("ghost")), "{failed:?}");
}

/// Names as long as a datagram, wherever one may be said: refused and counted, by datagram and by stream. At
/// the limit a name and its metadata are taken, and passed on.
#[test]
fn names_beyond_all_measure_are_refused() {
    for wire in [wire::Config::native(), wire::Config::serf()] {
        let what = wire.codec;
        let (mut net, mallory) = cluster(3, move |config| config.wire = wire.clone());
        let (_, address) = made_up(1);
        let long = "n".repeat(63 << 10);
        let over: [(&str, &[u8]); 3] = [(&long, b""), (&long[..256], b""), ("short", &[b'm'; 1020])];
        for (name, meta) in over {
            net.tell(&mallory, "n1", alive(name, address, 1, meta));
            let mut entry = entry(name, address, 1, State::Alive);
            entry.meta = meta.to_vec();
            net.dial(&mallory, "n1", &StreamSaid::PushPull { join: false, entries: vec![entry], user_state: vec![] });
            net.run_for(ms(50));
        }
        assert_eq!(net.stats("n1").refused_names, 6, "announced, {what:?}");
        for said in [
            Said::Suspect { incarnation: 1, node: "n2".to_owned(), from: long.clone() },
            Said::Dead { incarnation: 1, node: "n2".to_owned(), from: long.clone() },
            mallory.indirect_ping(&long, net.address("n2"), 1, true),
            mallory.ping(&long, 1),
            mallory.join_intent(&long, 9),
            mallory.leave_intent(&long, 9),
            mallory.query(&long, 9, 1, 0),
            mallory.user_event(&long, 9),
        ] {
            net.tell(&mallory, "n1", said);
        }
        let stats = net.stats("n1");
        assert_eq!((stats.refused_names, stats.misaddressed_pings, stats.messages_malformed), (9, 1, 2), "{what:?}");
        assert_eq!((stats.queries_over_limit, stats.user_events_over_limit), (1, 1), "{what:?}");
        assert_eq!((stats.datagrams_malformed, stats.suspicions), (0, 0), "{what:?}");
        assert_eq!(net["n1"].summary().members, 4, "{what:?}");
        net.run_for(secs(10));
        assert!(net.nothing_to_say(), "nothing waits for a packet that holds it, {what:?}");

        let name_len = if what == Codec::Native { 128 } else { 255 };
        let (at_limit, meta) = (&long[..name_len], vec![b'm'; 1024 - name_len]);
        net.tell(&mallory, "n1", alive(at_limit, address, 1, &meta));
        net.run_until(|net| all_hold(net, at_limit, State::Alive), secs(5));
        assert_eq!(net["n3"].member(at_limit.as_bytes()).expect("it is there").meta(), meta, "{what:?}");
        assert!(nobody_failed(&net), "{what:?}");
    }
}

/// Everybody answers a ping to no name, so that a member called so would never fail: there is none.
#[test]
fn nobody_is_without_a_name() {
    for wire in [wire::Config::native(), wire::Config::serf()] {
        let what = wire.codec;
        let (mut net, mallory) = cluster(3, move |config| config.wire = wire.clone());
        let address = net.address("n2");
        net.tell(&mallory, "n1", alive("", address, 1, b""));
        let entries = vec![entry("", address, 1, State::Alive)];
        net.dial(&mallory, "n3", &StreamSaid::PushPull { join: false, entries, user_state: vec![] });
        net.run_for(secs(5));
        assert_eq!((net.stats("n1").refused_names, net.stats("n3").refused_names), (1, 1), "{what:?}");
        for name in net.names() {
            assert_eq!(net[name.as_str()].summary().members, 4, "{name}, {what:?}");
        }
    }
}

/// Serf's way: whoever is to be pruned is forgotten by all others even if it calls the leave off, and nobody lists it
/// until it has failed, or left, and come back. For SWIM it is there all the time.
#[test]
fn the_living_are_pruned_as_in_serf() {
    for wire in [wire::Config::native(), wire::Config::serf()] {
        let codec = wire.codec;
        let (mut net, mallory) = cluster(4, move |config| config.wire = wire.clone());
        let mut intent = Vec::new();
        codec.encode_serf_leave(&serf::Leave { ltime: LamportTime(50), node: b"n2", prune: true }, &mut intent);
        net.tell(&mallory, "n1", Said::User(intent));
        net.run_for(secs(20));
        let listed = |net: &TestNet| ["n1", "n3", "n4"].map(|name| net.status_at(name, "n2"));
        assert_eq!(listed(&net), [None; 3], "{codec:?}");
        assert_eq!(net.status_at("n2", "n2"), Some(Status::Alive), "{codec:?}");
        assert_eq!(net.stats("n1").suspicions, 0, "it answers, {codec:?}");

        for (away, back) in [(secs(0), [None; 3]), (secs(40), [Some(Status::Alive); 3])] {
            net.crash("n2");
            net.run_for(away);
            net.restart("n2");
            net.join("n2", "n1");
            net.run_for(secs(5));
            assert_eq!(listed(&net), back, "after {away:?}, {codec:?}");
        }
    }
}

/// Far more members than there may be, by gossip and in one exchange: the table takes as many as there is room for, and
/// the rest counts. The real members stay alive, a crash among them is found out within a round of probes and the longest
/// suspicion, and those made up fail, are forgotten, and make room again (design 3.5).
#[test]
fn made_up_members_fill_the_table_and_no_more() {
    const MEMBERS_MAX: usize = 40;
    const MADE_UP: usize = 2000;
    let (mut net, mallory) = cluster(6, |config| {
        config.swim.members_max = MEMBERS_MAX;
        (config.serf.reconnect_timeout, config.serf.reap_interval) = (secs(60), secs(1));
    });
    let n1 = net.address("n1");
    let said: Vec<Said> = (0..MADE_UP).map(made_up).map(|(name, address)| alive(&name, address, 1, b"")).collect();
    for said in said.chunks(25) {
        net.world_mut().inject(mallory.address(), n1, &mallory.datagram(said));
    }
    let entries = (0..MADE_UP).map(made_up).map(|(name, address)| entry(&name, address, 1, State::Alive)).collect();
    net.dial(&mallory, "n2", &StreamSaid::PushPull { join: false, entries, user_state: vec![] });
    net.run_for(secs(1));
    for name in ["n1", "n2"] {
        assert_eq!(net[name].summary().members, MEMBERS_MAX, "{name} is full");
        let over = net.stats(name).members_over_limit;
        assert!(over >= (MADE_UP - (MEMBERS_MAX - 7)) as u64, "{name}: {over}");
    }
    // One of the real ones goes, while most in the table do not answer.
    net.crash("n6");
    let names = net.names();
    let most = |net: &TestNet| names.iter().map(|name| net[name.as_str()].summary().members).max();
    let mut longest = most(&net);
    let mut stay_within = |net: &TestNet| {
        longest = longest.max(most(net));
        assert!(longest <= Some(MEMBERS_MAX), "{longest:?}");
    };
    let found = net.run_until(
        |net| {
            stay_within(net);
            all_hold(net, "n6", State::Dead)
        },
        secs(MEMBERS_MAX as u64 + 39),
    );
    assert!(found > secs(1), "{found:?}");
    net.run_until(
        |net| {
            stay_within(net);
            names.iter().all(|name| net[name.as_str()].summary().members == 6)
        },
        secs(600),
    );
    assert!(nobody_failed(&net), "{:?}", net.deaths());
    net.start("n7");
    net.join("n7", "n3");
    net.run_until(|net| all_hold(net, "n7", State::Alive), secs(10));
}

/// One victim, claimed suspect, alive and dead in turn with rising incarnations. Its own number ends one past the last
/// claim, it refutes no more often than something is claimed, and of each claim come at most two updates, each sent as
/// often as any: eight messages a member, here. Claims that come faster than gossip take each other's place and cost less
/// than one (SWIM §4.1, §4.2).
#[test]
fn a_member_claimed_to_be_everything_stays_one() {
    for (rounds, every, most) in [(20, secs(2), 8 * 5), (1000, ms(20), 1)] {
        let (mut net, mallory) = cluster(5, |_| {});
        let (n1, n2) = (net.address("n1"), net.address("n2"));
        net.record();
        for round in 0..rounds {
            let number = 10 + 3 * round;
            for said in [
                mallory.suspect("n2", number),
                alive("n2", n2, number + 1, b"not mine"),
                mallory.dead("n2", number + 2),
            ] {
                net.world_mut().inject(mallory.address(), n1, &mallory.datagram(&[said]));
                net.run_for(every / 3);
            }
        }
        assert!(net.deaths().iter().any(|death| death.member == "n2"), "it was believed");
        let (claims, last) = (3 * rounds, 10 + 3 * rounds - 1);
        net.run_until(|net| all_hold(net, "n2", State::Alive), secs(2));
        net.run_for(secs(60));
        for name in net.names() {
            assert_eq!(net.state_at(&name, "n2"), Some((State::Alive, last + 1)), "{name}");
        }
        let refutations = net.stats("n2").refutations;
        assert!((1..=u64::from(claims)).contains(&refutations), "{refutations} of {claims}");
        let packets = net.packets();
        let told = packets.iter().filter(|packet| packet.from != mallory.address()).flat_map(|packet| &packet.said);
        let told = told.filter(|said| said.is_about("n2")).count();
        assert!(told > 0 && told <= (claims * most) as usize, "{told} messages of {claims} claims");
        assert_eq!(net.health("n2"), 0, "it has recovered");
        assert!(net.deaths().iter().all(|death| death.member == "n2"), "{:?}", net.deaths());
    }
}

/// Acks and nacks with numbers that nobody waits for, 2500 a second to each: they count, and that is all. Health is what it
/// is without, the living live, and a crash is found out as fast.
#[test]
fn a_storm_of_acks_changes_nothing() {
    const TICKS: u64 = 20 * 100;
    let found = [false, true].map(|storm| {
        let (mut net, mallory) = cluster(5, |_| {});
        let targets = ["n1", "n2", "n3", "n4"].map(|name| net.address(name));
        net.crash("n5");
        let start = net.now();
        let (mut found, mut worst) = (None, 0);
        for tick in 0..TICKS {
            let first = (1 << 20) + 25 * tick as u32;
            let said: Vec<Said> = (first..first + 25)
                .map(|seq| if seq % 2 == 0 { Said::Ack { seq, payload: None } } else { Said::Nack { seq } })
                .collect();
            for to in targets.iter().filter(|_| storm) {
                net.world_mut().inject(mallory.address(), *to, &mallory.datagram(&said));
            }
            net.run_for(ms(10));
            if found.is_none() && all_hold(&net, "n5", State::Dead) {
                found = Some(net.now() - start);
            }
            worst = net.names().iter().map(|name| net.health(name)).fold(worst, u32::max);
        }
        let sent = if storm { 25 * TICKS } else { 0 };
        for name in net.names() {
            // A handful are nacks of relays that came too late.
            let unknown = net.stats(&name).unknown_acks;
            assert!((sent..sent + 20).contains(&unknown), "{name}: {unknown} of {sent}");
        }
        assert!(net.deaths().iter().all(|death| death.member == "n5"), "{:?}", net.deaths());
        (worst, found.expect("it is found out"))
    });
    // The enemy, asked to relay, does not nack: that is what health suffers from in both.
    let [(quiet, without), (stormy, with)] = found;
    assert!(stormy <= quiet, "{stormy}, {quiet}");
    assert!(with <= without + secs(1), "{with:?}, {without:?}");
}

type Raw = (SocketAddr, SocketAddr, Vec<u8>);

/// Everything that was said while events were told, queries asked, tags changed, and members failed and left is said once
/// more, sealed as it was: at once, when those who have gone are still remembered, and when they are forgotten. Nothing
/// is told twice, no member becomes what it was before, and whoever has gone is gone again before long.
#[test]
fn what_was_said_before_is_not_news() {
    let mut net = TestNet::tuned(6, SEED, |config| {
        config.wire.keyring.add(Key::new(&[1; 32]).expect("32 bytes")).expect("there is room");
        (config.serf.reconnect_timeout, config.serf.tombstone_timeout) = (secs(60), secs(60));
        config.serf.reap_interval = secs(1);
    });
    let tape: Rc<RefCell<Vec<Raw>>> = Rc::default();
    let recorder = Rc::clone(&tape);
    net.world_mut().tap(move |_, from, to, bytes| {
        recorder.borrow_mut().push((from, to, bytes.to_vec()));
        Verdict::Pass
    });
    let mut net = net.converged();
    for name in net.names() {
        net.answer_queries(&name);
    }
    net.set_tag("n3", "version", "v1");
    net.user_event("n1", "deploy", "");
    let command = net.query("n2", Query { name: b"load", timeout: Some(secs(4)), ..Query::default() });
    net.pause("n4", secs(3)); // Somebody accuses it, and it refutes.
    net.run_for(secs(10));
    net.set_tag("n3", "version", "v2");
    net.run_for(secs(10));
    let before_the_end = tape.borrow().len();
    net.leave("n5");
    net.run_for(secs(5));
    net.crash("n5");
    net.crash("n6");
    net.run_until(|net| all_hold(net, "n6", State::Dead), secs(60));
    net.run_for(secs(5));
    let recorded = tape.borrow().clone();
    assert!(recorded.len() > 500, "{}", recorded.len());

    let stays: Vec<String> = net.names();
    let replay = |net: &mut TestNet, packets: &[Raw]| {
        for packets in packets.chunks(20) {
            for (from, to, bytes) in packets {
                net.world_mut().inject(*from, *to, bytes);
            }
            net.run_for(ms(10));
        }
        net.run_for(secs(2));
    };
    let well = |net: &TestNet, when: &str| {
        for name in net.names() {
            let told: Vec<String> = net.user_events(&name).into_iter().map(|told| told.name).collect();
            assert_eq!(told, ["deploy"], "{name}, {when}");
            assert_eq!(net.queries(&name, "load"), 1, "{name}, {when}");
            for member in &stays {
                assert_eq!(net.status_at(&name, member), Some(Status::Alive), "{member} at {name}, {when}");
            }
            let member = net[name.as_str()].member(b"n3").expect("it is there");
            assert_eq!(member.tags().get("version"), Some("v2"), "{name}, {when}");
            assert_eq!(net.stats(&name).datagrams_not_opened, 0, "{name}, {when}: they were sealed by members");
        }
        assert_eq!(net.replies("n2", command).len(), 6 + 1, "{when}");
    };
    well(&net, "before");

    let unknown_acks = net.stats("n1").unknown_acks;
    replay(&mut net, &recorded);
    well(&net, "at once");
    assert!(net.stats("n1").unknown_acks > unknown_acks + 5, "old acks answer nothing");
    for name in net.names() {
        let gone = ["n5", "n6"].map(|member| net.status_at(&name, member));
        assert_eq!(gone, [Some(Status::Left), Some(Status::Failed)], "{name}");
    }

    let forgotten =
        |net: &TestNet| net.names().iter().all(|name| ["n5", "n6"].map(|m| net.status_at(name, m)) == [None, None]);
    net.run_until(forgotten, secs(120));
    // Only what was said while they were there: it says nothing of their end.
    let joined = net.stats("n1").member_joins;
    replay(&mut net, &recorded[..before_the_end]);
    well(&net, "later");
    assert!(net.stats("n1").member_joins > joined, "they have come back as ghosts");
    net.run_until(forgotten, secs(120));
    well(&net, "in the end");
}

/// The three clocks are pushed as far as one message may, and from there as far as the next may, four times. Times beyond
/// that are refused, in messages and in exchanges, and count. What honest members then tell and ask is heard by all, those
/// who start only now and those who restart among them (`lamport.rs`; serf-layer 5).
#[test]
fn clocks_pushed_to_the_top_of_the_range_go_on() {
    const HALF: u64 = 1 << 63;
    const STEP: u64 = 1 << 32;
    let (mut net, mallory) = cluster(4, |_| {});
    for step in 0..=4 {
        let time = HALF + step * STEP;
        let said = [
            mallory.join_intent("stranger", time),
            mallory.user_event(&format!("step {step}"), time),
            mallory.query("step", time, 1, 0),
        ];
        net.tell_all(&mallory, "n1", &said);
        net.run_for(secs(3));
    }
    let last = LamportTime(HALF + 4 * STEP + 1);
    let times = |net: &TestNet, name: &str| {
        let summary = net[name].summary();
        [summary.member_time, summary.event_time, summary.query_time]
    };
    assert!(net.names().iter().all(|name| times(&net, name) == [last; 3]), "the attack works");

    let further = last.0 + STEP + 1;
    for (kind, time) in [further, u64::MAX].into_iter().enumerate() {
        let said = [
            mallory.leave_intent("n3", time),
            mallory.user_event("further", time),
            mallory.query("further", time, 2, 0),
        ];
        net.tell_all(&mallory, "n2", &said);
        let user_state = mallory.serf_state(time.saturating_add(1), &[("n3", time), ("n4", time)], &["n3"]);
        net.dial(&mallory, "n2", &StreamSaid::PushPull { join: false, entries: vec![], user_state });
        net.run_for(secs(1));
        assert_eq!(net.stats("n2").lamport_times_refused, 6 * (kind as u64 + 1));
    }
    net.run_for(secs(10));
    for name in net.names() {
        assert_eq!(times(&net, &name), [last; 3], "{name}");
        assert_eq!(net.status_at(&name, "n3"), Some(Status::Alive), "{name}");
    }

    net.start("n5");
    net.join("n5", "n3");
    net.crash("n4");
    net.restart("n4");
    net.join("n4", "n2");
    net.run_until(|net| net.names().iter().all(|name| all_hold(net, name, State::Alive)), secs(30));
    for name in net.names() {
        net.answer_queries(&name);
    }
    let mut replies = 0;
    for (round, name) in (1..).zip(net.names()) {
        let time = net.user_event(&name, &format!("of {name}"), "");
        assert!(time >= last && time.0 < last.0 + round, "{name}: {time}");
        let command = net.query(&name, Query { name: b"load", timeout: Some(secs(4)), ..Query::default() });
        net.run_for(secs(5));
        replies += net.replies(&name, command).len() - 1;
    }
    assert!((22..=25).contains(&replies), "gossip misses hardly anybody: {replies} of 25");
    net.run_for(secs(60));
    for name in net.names() {
        let mut told: Vec<String> = net.user_events(&name).into_iter().map(|told| told.name).collect();
        told.retain(|event| event.starts_with("of"));
        told.sort();
        assert_eq!(told, ["of n1", "of n2", "of n3", "of n4", "of n5"], "{name}");
    }
    net.leave("n3");
    net.run_for(secs(15));
    net.crash("n3");
    for name in net.names() {
        assert_eq!(net.status_at(&name, "n3"), Some(Status::Left), "{name}");
    }
    assert_eq!(net.deaths(), []);
}

/// Something that a stranger says to one member so that members write to somebody who has nothing to do with it.
struct Reflection {
    what: &'static str,
    datagram: Vec<u8>,
    /// How many datagrams a quiet cluster of five without keys makes of it, at most,
    datagrams: usize,
    /// and how many bytes of each byte.
    times: usize,
    /// Whether it does so even if the victim is in no network where members may be.
    anywhere: bool,
}

fn reflections(stranger: &Puppet, victim: &Puppet) -> Vec<Reflection> {
    let codec = Codec::Native;
    let at = victim.address();
    let ping = Said::Ping { seq: 1, node: String::new(), source: Some(at), source_node: String::new() };
    let indirect = |node: &str| Said::IndirectPing {
        seq: 1,
        target: at,
        node: node.to_owned(),
        nack: true,
        source: Some(at),
        source_node: String::new(),
    };
    let relay = |len: usize| {
        let destination = serf::Destination { ip: Some(at.ip()), port: at.port(), zone: b"" };
        let mut message = Vec::new();
        codec.encode_serf_relay(&serf::Relay { destination, name: b"", inner: &vec![0; len] }, &mut message);
        Said::User(message)
    };
    let query = |relay_factor: u8, id: u32| {
        let query = serf::Query {
            ltime: LamportTime(1 + u64::from(id / 64)),
            id,
            ip: Some(at.ip()),
            port: at.port(),
            source_node: b"",
            filters: Vec::<Vec<u8>>::new(),
            flags: serf::flag::ACK,
            relay_factor,
            timeout: 10_000_000_000,
            name: b"_serf_ping",
            payload: None,
        };
        let mut message = Vec::new();
        codec.encode_serf_query(&query, &mut message);
        Said::User(message)
    };
    let queries = |count: u32| (0..count).map(|id| query(3, id)).collect();
    let many = |said: Said| vec![said; 255];
    #[rustfmt::skip]
    let table = [
        // what                      said                          datagrams  times  anywhere
        ("ping",                     vec![ping.clone()],           1,         6,     true), // An ack has coordinates.
        ("pings",                    many(ping),                   1,         2,     true),
        ("indirect ping",            vec![indirect("")],           2,         2,     false), // A ping and a nack.
        ("indirect pings",           many(indirect("")),           2,         1,     false),
        ("indirect ping, long name", vec![indirect(&"n".repeat(60_000))], 0,  0,     false),
        ("ack",                      vec![Said::Ack { seq: 1, payload: None }], 0, 0, false),
        ("nack",                     vec![Said::Nack { seq: 1 }],  0,         0,     false),
        ("relay",                    vec![relay(1)],               1,         1,     false),
        ("relays",                   many(relay(1)),               1,         1,     false),
        ("relay, 1 KiB",             vec![relay(1024)],            1,         25,    false), // Of members that do not compress.
        ("relay, long",              vec![relay(60_000)],          0,         0,     false),
        ("query",                    vec![query(0, 1)],            5,         2,     false), // Everybody answers,
        ("query, relayed",           vec![query(3, 1)],            20,        7,     false), // and by way of three others.
        ("queries",                  queries(255),                 95,        2,     false), // Sixteen, one of them relayed.
        ("sixteen queries at once",  queries(16),                  95,        11,     false),
        ("member",                   vec![victim.alive(1)],        60,        50,    false), // It is probed until it fails.
    ];
    let mut all: Vec<_> = table
        .into_iter()
        .map(|(what, said, datagrams, times, anywhere)| {
            let datagram = stranger.datagram(&said);
            Reflection { what, datagram, datagrams, times, anywhere }
        })
        .collect();
    let garbage = vec![0xa5; 600];
    all.push(Reflection { what: "garbage", datagram: garbage, datagrams: 0, times: 0, anywhere: false });
    all
}

/// A stranger without the key, and whom it wants written to, who is no member. With keys nobody writes a byte. Without,
/// each of a stranger's datagrams makes members write what one of a member's would: a message or two, or an answer from
/// everybody. The protocol itself does not prevent that, as it lets members name addresses; `allowed_networks` narrows it
/// to where members may be, but for acks, whose pings may come from anywhere.
#[test]
fn strangers_get_little_written_to_others() {
    type Tune = fn(&mut Config);
    let seal: Tune = |config| config.wire.keyring.add(Key::new(&[1; 32]).expect("32 bytes")).expect("there is room");
    let (open, plain): (Tune, Tune) = (|_| {}, |config| config.wire.compression = false);
    let narrow: Tune = |config| config.swim.allowed_networks = Some(vec!["10.0.0.0/16".parse().expect("a network")]);
    for (members, tune) in [("open", open), ("plain", plain), ("narrow", narrow), ("sealed", seal)] {
        for index in 0.. {
            let mut net = TestNet::tuned(5, SEED, move |config| {
                if config.name.as_str().is_some_and(|name| name.starts_with('n')) {
                    tune(config);
                }
            })
            .converged();
            let stranger = net.puppet("stranger");
            let victim = net.puppet_at("victim", SocketAddr::from(([192, 0, 2, 1], 7946)));
            let Some(reflection) = reflections(&stranger, &victim).into_iter().nth(index) else { break };
            let Reflection { what, datagram, datagrams, times, anywhere } = reflection;
            let n1 = net.address("n1");
            let before = net.stats("n1").datagrams_received;
            let written: Rc<RefCell<Vec<usize>>> = Rc::default();
            let (recorder, at) = (Rc::clone(&written), victim.address());
            net.world_mut().tap(move |_, _, to, bytes| {
                if to == at {
                    recorder.borrow_mut().push(bytes.len());
                }
                Verdict::Pass
            });
            victim.mute();
            net.world_mut().inject(stranger.address(), n1, &datagram);
            net.run_for(secs(90));
            assert!(net.stats("n1").datagrams_received > before, "{what}, {members}: it has arrived");
            let (written, bytes) = (written.borrow().len(), written.borrow().iter().sum::<usize>());
            let prevented = members == "sealed" || members == "narrow" && !anywhere;
            let (datagrams, times) = if prevented { (0, 0) } else { (datagrams, times) };
            assert!(written <= datagrams && (written > 0) == (datagrams > 0), "{what}, {members}: {written} datagrams");
            assert!(bytes <= times * datagram.len(), "{what}, {members}: {bytes} of {}", datagram.len());
            let stats = net.stats("n1");
            let dropped = stats.datagrams_not_opened + stats.datagrams_malformed;
            assert_eq!(dropped > 0, members == "sealed" || what == "garbage", "{what}, {members}");
            let refused = match what {
                _ if members == "sealed" => 0,
                "queries" => 255 - 16,
                _ if what.ends_with('s') => 254,
                _ => 0,
            };
            assert_eq!(stats.requests_over_limit, refused, "{what}, {members}");
        }
    }
}

/// News rides along with an ack, also with one that a stranger has had us send to somebody else: up to a packet.
#[test]
fn news_for_somebody_else_fit_one_packet() {
    let mut net = TestNet::bench_with(SEED, |config| config.wire.compression = false);
    let (stranger, victim) = (net.puppet("stranger"), net.puppet("victim"));
    for index in 0..200 {
        net.tell(&stranger, "n1", stranger.user_event(&format!("event {index}"), 1 + index));
    }
    net.run_for(secs(5));
    assert!(net["n1"].summary().event_queue >= 200, "nobody is there to take it");
    net.record();
    let ping = Said::Ping { seq: 1, node: String::new(), source: Some(victim.address()), source_node: String::new() };
    net.tell(&stranger, "n1", ping);
    let lens: Vec<usize> = net.packets_from("n1").into_iter().map(|packet| packet.len).collect();
    assert!(matches!(lens[..], [1300..=1400]), "{lens:?}");
}
