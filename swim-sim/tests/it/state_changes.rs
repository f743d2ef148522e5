//! How a record changes: `swim-state.md` section 3, end to end through datagrams.

use swim_core::Event;
use swim_core::serf::event::MemberEvent;
use swim_core::versions::{VersionRange, Versions};
use swim_core::wire;
use swim_core::wire::codec::Codec;
use swim_core::wire::message::State;
use swim_sim::speech::VERSIONS;
use swim_sim::{Puppet, Said, TestNet, ms, secs};

const SEED: u64 = 3;
const CODECS: [Codec; 2] = [Codec::Native, Codec::Serf];

/// `n1` holds `x` in this state at incarnation 5, and `y`, who speaks, alive.
fn holding(codec: Codec, record: Option<State>) -> (TestNet, Puppet, Puppet) {
    let mut net = TestNet::bench_with(SEED, move |config| {
        if codec == Codec::Serf {
            config.wire = wire::Config::serf();
        }
    });
    let y = net.member("y");
    let x = net.puppet("x");
    let steps = match record {
        None => vec![],
        Some(State::Alive) => vec![x.alive(5)],
        Some(State::Suspect) => vec![x.alive(5), y.suspect("x", 5)],
        Some(State::Dead) => vec![x.alive(5), y.dead("x", 5)],
        Some(State::Left) => vec![x.alive(5), x.dead("x", 5)],
    };
    for said in steps {
        net.tell(&y, "n1", said);
    }
    assert_eq!(net.state_at("n1", "x"), record.map(|state| (state, 5)), "the scene is set");
    (net, x, y)
}

fn meta_at(net: &TestNet, member: &str) -> Vec<u8> {
    net["n1"].member(member.as_bytes()).map(|member| member.meta().to_vec()).unwrap_or_default()
}

fn conflicts(net: &TestNet) -> usize {
    net.events("n1").iter().filter(|(_, event)| matches!(event, Event::Conflict { .. })).count()
}

/// Alive needs a strictly greater incarnation to change a record that exists; then it brings its data along
/// (swim-state 3.1, first table).
#[test]
fn alive_about_another_wins_by_a_higher_incarnation_only() {
    use State::{Alive, Dead, Left, Suspect};
    #[rustfmt::skip]
    let table = [
        // have          told alive at 4     at 5            at 6
        (None,          [(Alive,   4),      (Alive,   5),   (Alive, 6)]),
        (Some(Alive),   [(Alive,   5),      (Alive,   5),   (Alive, 6)]),
        (Some(Suspect), [(Suspect, 5),      (Suspect, 5),   (Alive, 6)]),
        (Some(Dead),    [(Dead,    5),      (Dead,    5),   (Alive, 6)]),
        (Some(Left),    [(Left,    5),      (Left,    5),   (Alive, 6)]),
    ];
    for codec in CODECS {
        for (have, becomes) in table {
            for (told, becomes) in (4..).zip(becomes) {
                let (mut net, x, _) = holding(codec, have);
                net.tell(&x, "n1", x.alive_with(told, b"new", Some(VERSIONS)));
                assert_eq!(net.state_at("n1", "x"), Some(becomes), "{codec:?}: {have:?} told alive at {told}");
                let taken = have.is_none() || told == 6;
                assert_eq!(meta_at(&net, "x") == b"new", taken, "{codec:?}: data of {have:?} told alive at {told}");
            }
        }
    }
}

/// Suspicion needs the same incarnation or a greater one and a member held alive; a second accuser changes nothing in
/// the record, not even its incarnation (swim-state 3.1, second table).
#[test]
fn suspicion_of_another_needs_a_member_held_alive() {
    use State::{Alive, Dead, Left, Suspect};
    #[rustfmt::skip]
    let table = [
        // have          told suspect at 4    at 5                  at 6
        (None,          [None,               None,                 None]),
        (Some(Alive),   [Some((Alive, 5)),   Some((Suspect, 5)),   Some((Suspect, 6))]),
        (Some(Suspect), [Some((Suspect, 5)), Some((Suspect, 5)),   Some((Suspect, 5))]),
        (Some(Dead),    [Some((Dead, 5)),    Some((Dead, 5)),      Some((Dead, 5))]),
        (Some(Left),    [Some((Left, 5)),    Some((Left, 5)),      Some((Left, 5))]),
    ];
    for codec in CODECS {
        for (have, becomes) in table {
            for (told, becomes) in (4..).zip(becomes) {
                let (mut net, _, y) = holding(codec, have);
                net.tell(&y, "n1", y.suspect("x", told));
                assert_eq!(net.state_at("n1", "x"), becomes, "{codec:?}: {have:?} told suspect at {told}");
            }
        }
    }
}

/// Death is believed at the same incarnation or a greater one, of the living and the suspected only; said by the
/// member itself it is a leave, but not of one that is dead already (swim-state 3.1, third table).
#[test]
fn death_is_final_and_a_leave_comes_too_late_for_the_dead() {
    use State::{Alive, Dead, Left, Suspect};
    #[rustfmt::skip]
    let table = [
        // have          told at 4            at 5                  at 6
        (None,          [None,               None,                 None]),
        (Some(Alive),   [Some((Alive, 5)),   Some((Dead, 5)),      Some((Dead, 6))]),
        (Some(Suspect), [Some((Suspect, 5)), Some((Dead, 5)),      Some((Dead, 6))]),
        (Some(Dead),    [Some((Dead, 5)),    Some((Dead, 5)),      Some((Dead, 5))]),
        (Some(Left),    [Some((Left, 5)),    Some((Left, 5)),      Some((Left, 5))]),
    ];
    for codec in CODECS {
        for (have, becomes) in table {
            for (told, becomes) in (4..).zip(becomes) {
                for leave in [false, true] {
                    let (mut net, x, y) = holding(codec, have);
                    let said = if leave { x.dead("x", told) } else { y.dead("x", told) };
                    net.tell(&y, "n1", said);
                    let changes = matches!(have, Some(Alive | Suspect)) && told >= 5;
                    let becomes = if leave && changes { becomes.map(|(_, inc)| (Left, inc)) } else { becomes };
                    let row = format!("{codec:?}: {have:?} told dead at {told}, by itself: {leave}");
                    assert_eq!(net.state_at("n1", "x"), becomes, "{row}");
                }
            }
        }
    }
}

/// Two addresses that claim one name: the one we know stays, whatever the incarnation, unless its member has left or
/// has been dead for longer than the reclaim time (swim-state 3.1, table of addresses).
#[test]
fn a_name_moves_to_another_address_only_from_the_left_and_the_long_dead() {
    use State::{Alive, Dead, Left, Suspect};
    #[rustfmt::skip]
    let table = [
        // have      reclaim after   waited    incarnation  moves
        (Alive,      None,           ms(0),    9,           false),
        (Suspect,    None,           ms(0),    9,           false),
        (Dead,       None,           secs(5),  9,           false), // reclaiming is off
        (Dead,       Some(secs(2)),  secs(1),  9,           false),
        (Dead,       Some(secs(2)),  secs(3),  9,           true),
        (Dead,       Some(secs(2)),  secs(3),  1,           true),  // even a smaller one
        (Alive,      Some(secs(2)),  secs(3),  9,           false),
        (Left,       None,           ms(0),    9,           true),
        (Left,       None,           ms(0),    1,           true),
    ];
    for (have, reclaim, waited, incarnation, moves) in table {
        let mut net = TestNet::bench_with(SEED, move |config| {
            config.swim.dead_node_reclaim_time = reclaim.unwrap_or_default();
        });
        let (y, x) = (net.member("y"), net.puppet("x"));
        let before = match have {
            Alive => vec![x.alive(5)],
            Suspect => vec![x.alive(5), y.suspect("x", 5)],
            Dead => vec![x.alive(5), y.dead("x", 5)],
            Left => vec![x.alive(5), x.dead("x", 5)],
        };
        for said in before {
            net.tell(&x, "n1", said);
        }
        net.run_for(waited);
        let other = net.puppet("x");
        net.tell(&other, "n1", other.alive(incarnation));
        let row = format!("{have:?} for {waited:?}, reclaim {reclaim:?}, told at {incarnation}");
        let at = net["n1"].member(b"x").expect("it is remembered").address();
        if moves {
            assert_eq!((at, net.state_at("n1", "x")), (other.address(), Some((Alive, incarnation))), "{row}");
            assert_eq!(conflicts(&net), 0, "{row}");
        } else {
            assert_eq!((at, net.state_at("n1", "x")), (x.address(), Some((have, 5))), "{row}");
            assert_eq!(conflicts(&net), 1, "{row}");
        }
    }
}

/// `n1` at incarnation 5 among others: it has refuted a suspicion at 4, at the price of a health score of 1.
fn local_at_five() -> (TestNet, Puppet) {
    let mut net = TestNet::bench(SEED);
    let y = net.member("y");
    net.tell(&y, "n1", y.suspect("n1", 4));
    assert_eq!(net.state_at("n1", "n1"), Some((State::Alive, 5)), "the scene is set");
    assert_eq!(net.health("n1"), 1);
    (net, y)
}

/// What `n1` would say of itself, at another incarnation.
fn own_alive(net: &TestNet, incarnation: u32) -> Said {
    let local = net["n1"].local();
    Said::Alive {
        incarnation,
        node: "n1".to_owned(),
        address: local.address(),
        meta: local.meta().to_vec(),
        versions: Some(local.versions()),
    }
}

/// Whatever is said about ourselves that is not old and not true is refuted, by a number that the accuser cannot
/// have; we never come to believe it (swim-state 3.1, last table; 3.5).
#[test]
fn the_local_node_refutes_what_is_neither_old_nor_true() {
    type Twist = fn(&TestNet, u32) -> Said;
    let same: Twist = own_alive;
    let other_meta: Twist = |net, incarnation| {
        let (address, versions) = (net["n1"].local().address(), Some(net["n1"].local().versions()));
        Said::Alive { incarnation, node: "n1".to_owned(), address, meta: b"false".to_vec(), versions }
    };
    let other_versions: Twist = |net, incarnation| {
        let (address, meta) = (net["n1"].local().address(), net["n1"].local().meta().to_vec());
        let versions = Some(Versions { protocol: VersionRange { min: 1, max: 4, current: 2 }, ..VERSIONS });
        Said::Alive { incarnation, node: "n1".to_owned(), address, meta, versions }
    };
    let suspect: Twist = |_, incarnation| Said::Suspect { incarnation, node: "n1".to_owned(), from: "y".to_owned() };
    let dead: Twist = |_, incarnation| Said::Dead { incarnation, node: "n1".to_owned(), from: "y".to_owned() };
    let left: Twist = |_, incarnation| Said::Dead { incarnation, node: "n1".to_owned(), from: "n1".to_owned() };
    #[rustfmt::skip]
    let table = [
        // told                            at 4, at 5, at 6, at 9
        ("alive",          same,           [5, 5, 7, 10]),
        ("other meta",     other_meta,     [5, 6, 7, 10]),
        ("other versions", other_versions, [5, 6, 7, 10]),
        ("suspect",        suspect,        [5, 6, 7, 10]),
        ("dead",           dead,           [5, 6, 7, 10]),
        ("left",           left,           [5, 6, 7, 10]), // somebody says goodbye in our name
    ];
    for (what, twist, becomes) in table {
        for (told, becomes) in [4, 5, 6, 9].into_iter().zip(becomes) {
            let (mut net, y) = local_at_five();
            let meta = meta_at(&net, "n1");
            let said = twist(&net, told);
            net.tell(&y, "n1", said);
            assert_eq!(net.state_at("n1", "n1"), Some((State::Alive, becomes)), "told {what} at {told}");
            assert_eq!(meta_at(&net, "n1"), meta, "the record keeps its own data; told {what} at {told}");
            assert_eq!(net.health("n1"), 1 + u32::from(becomes != 5), "told {what} at {told}");
        }
    }
}

/// Somebody else under our name is a conflict and changes nothing here (swim-state 3.1, last table, row 3).
#[test]
fn another_address_under_the_local_name_is_a_conflict() {
    for incarnation in [4, 5, 9] {
        let (mut net, y) = local_at_five();
        let at = net["n1"].local().address();
        let double = net.puppet("n1");
        net.tell(&y, "n1", double.alive(incarnation));
        assert_eq!(net.state_at("n1", "n1"), Some((State::Alive, 5)));
        assert_eq!(net["n1"].local().address(), at);
        assert_eq!(conflicts(&net), 1);
        assert_eq!(net.health("n1"), 1, "a conflict is not an accusation");
    }
}

/// Who has left says nothing more about itself, whatever it hears (swim-state 3.1, rows "left flag set" and "state
/// left"; 3.2 step 1).
#[test]
fn who_has_left_refutes_nothing() {
    let (mut net, y) = local_at_five();
    net.leave("n1");
    net.run_for(secs(15));
    let (state, incarnation) = net.state_at("n1", "n1").expect("the local node is in its own table");
    assert_eq!(state, State::Left);
    for said in [own_alive(&net, 50), y.suspect("n1", 50), y.dead("n1", 50)] {
        net.tell(&y, "n1", said);
        assert_eq!(net.state_at("n1", "n1"), Some((State::Left, incarnation)));
    }
}

/// An alive message whose version range is impossible is dropped, before anything else is looked at (swim-state 3.2
/// step 2).
#[test]
fn impossible_version_ranges_are_dropped() {
    #[rustfmt::skip]
    let table = [
        // min  max  accepted
        (1,     5,   true),
        (2,     2,   true),
        (0,     5,   false),
        (1,     0,   false),
        (0,     0,   false),
        (3,     2,   false),
    ];
    for (min, max, accepted) in table {
        let mut net = TestNet::bench(SEED);
        let x = net.puppet("x");
        let versions = Versions { protocol: VersionRange { min, max, current: min }, ..VERSIONS };
        net.tell(&x, "n1", x.alive_with(1, b"", Some(versions)));
        assert_eq!(net.state_at("n1", "x").is_some(), accepted, "{min} to {max}");
        assert_eq!(net.stats("n1").refused_versions, u64::from(!accepted), "{min} to {max}");
    }
}

/// A newcomer must announce its versions: one member without them would make every full state exchange fail
/// (memberlist-wire 10.2). Of a member that is known, a later message without them leaves the stored ones alone
/// (swim-state 3.2 steps 2 and 10).
#[test]
fn newcomers_announce_their_versions() {
    let mut net = TestNet::bench_with(SEED, |config| config.wire = wire::Config::serf());
    let (x, y) = (net.puppet("x"), net.puppet("y"));
    net.tell(&x, "n1", x.alive_with(1, b"", None));
    assert_eq!(net.state_at("n1", "x"), None);
    assert_eq!(net.stats("n1").refused_versions, 1);
    net.tell(&y, "n1", y.alive(1));
    net.tell(&y, "n1", y.alive_with(2, b"new", None));
    assert_eq!(net.state_at("n1", "y"), Some((State::Alive, 2)));
    assert_eq!(net["n1"].member(b"y").expect("just told").versions().protocol, VERSIONS.protocol);
}

mod admission {
    use super::*;
    use swim_core::swim::admission::{Admission, Candidate, Refusal};

    fn no_strangers(candidate: &Candidate<'_>) -> Result<(), Refusal> {
        if candidate.name.starts_with(b"stranger") { Err(Refusal("a stranger")) } else { Ok(()) }
    }

    /// The application may refuse a member; and where it is asked at all, whoever announces no versions is refused
    /// (swim-state 3.2 step 3).
    #[test]
    fn the_application_may_refuse_a_member() {
        let mut net = TestNet::bench_with(SEED, |config| {
            config.wire = wire::Config::serf();
            config.admission = Some(Admission { name: "no-strangers", admit: no_strangers });
        });
        let (stranger, old, friend) = (net.puppet("stranger-1"), net.puppet("old"), net.puppet("friend"));
        net.tell(&stranger, "n1", stranger.alive(1));
        net.tell(&old, "n1", old.alive_with(1, b"", None));
        net.tell(&friend, "n1", friend.alive(1));
        assert_eq!(net.state_at("n1", "stranger-1"), None);
        assert_eq!(net.state_at("n1", "old"), None);
        assert_eq!(net.state_at("n1", "friend"), Some((State::Alive, 1)));
        assert_eq!((net.stats("n1").refused_admissions, net.stats("n1").refused_versions), (1, 1));
    }
}

/// Incarnation 0 makes no member: it would leave a dead phantom behind (swim-state 3.2 step 6).
#[test]
fn incarnation_zero_makes_no_member() {
    let mut net = TestNet::bench(SEED);
    let x = net.puppet("x");
    net.tell(&x, "n1", x.alive(0));
    assert_eq!(net.state_at("n1", "x"), None);
    assert_eq!(net.status_at("n1", "x"), None);
    assert_eq!(net.stats("n1").refused_incarnations, 1);
    net.tell(&x, "n1", x.alive(1));
    assert_eq!(net.state_at("n1", "x"), Some((State::Alive, 1)));
}

/// An alive message that is believed ends the suspicion for good: its timer has no effect any more (swim-state 3.2
/// step 8, 6.3).
#[test]
fn a_refuted_suspicion_kills_nobody() {
    let (mut net, x, _) = holding(Codec::Native, Some(State::Suspect));
    net.run_for(secs(3));
    net.tell(&x, "n1", x.alive(6));
    net.run_for(secs(60));
    assert_eq!(net.state_at("n1", "x"), Some((State::Alive, 6)));
    assert_eq!(net.deaths(), []);
    assert_eq!(net.stats("n1").suspicions_refuted, 1);
}

/// What the application is told: a join when the member was dead, left or unknown; an update when its metadata
/// changed; nothing when a suspect comes back as it was (swim-state 3.2 step 11).
#[test]
fn alive_messages_become_joins_updates_or_nothing() {
    use MemberEvent::{Join, Update};
    #[rustfmt::skip]
    let table = [
        // have                   same metadata  changed metadata
        (None,                    Some(Join),    Some(Join)),
        (Some(State::Alive),      None,          Some(Update)),
        (Some(State::Suspect),    None,          Some(Update)),
        (Some(State::Dead),       Some(Join),    Some(Join)),
        (Some(State::Left),       Some(Join),    Some(Join)),
    ];
    for (have, same, changed) in table {
        for (meta, expected) in [(b"".as_slice(), same), (b"new", changed)] {
            let (mut net, x, _) = holding(Codec::Native, have);
            let before = net.member_events("n1", "x").len();
            net.tell(&x, "n1", x.alive_with(6, meta, Some(VERSIONS)));
            let told = net.member_events("n1", "x");
            let told: Vec<_> = told[before..].iter().map(|(_, kind)| *kind).collect();
            assert_eq!(told, Vec::from_iter(expected), "{have:?}, metadata {meta:?}");
        }
    }
}

/// Port 0 means the receiver's own port, and it is that port which is remembered and passed on (swim-state 3.2, end).
#[test]
fn port_zero_becomes_the_own_port() {
    let mut net = TestNet::bench(SEED);
    let (x, y) = (net.puppet("x"), net.member("y"));
    let Said::Alive { incarnation, node, mut address, meta, versions } = x.alive(1) else { unreachable!() };
    let port = net.address("n1").port();
    address.set_port(0);
    net.tell(&x, "n1", Said::Alive { incarnation, node, address, meta, versions });
    address.set_port(port);
    assert_eq!(net["n1"].member(b"x").expect("it was announced").address(), address);
    net.run_for(secs(1));
    let relayed = y.messages_where(|said| said.is_about("x"));
    assert!(!relayed.is_empty());
    for (_, said) in relayed {
        assert!(matches!(said, Said::Alive { address: passed_on, .. } if passed_on == address), "{said:?}");
    }
}

/// A suspicion is not news to an application: the member may still refute (swim-state 3.3; 3.2 step 11).
#[test]
fn suspicion_is_no_event() {
    let (net, ..) = holding(Codec::Native, Some(State::Suspect));
    assert_eq!(net.member_events("n1", "x").iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), [MemberEvent::Join]);
    assert_eq!(net.stats("n1").suspicions, 1);
}

/// A death is told once, and so is a leave of which no intent was heard: to Serf's eyes that member has failed
/// (swim-state 3.4 step 7, serf-layer 6.2).
#[test]
fn a_death_is_told_once() {
    for leave in [false, true] {
        let (mut net, x, y) = holding(Codec::Native, Some(State::Alive));
        for _ in 0..3 {
            let said = if leave { x.dead("x", 5) } else { y.dead("x", 5) };
            net.tell(&y, "n1", said);
        }
        let told: Vec<_> = net.member_events("n1", "x").into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(told, [MemberEvent::Join, MemberEvent::Failed]);
    }
}

/// A refutation goes one past the accusation and says so to the others, with our own data (swim-state 3.5).
#[test]
fn a_refutation_goes_one_past_the_accusation() {
    let mut net = TestNet::bench(SEED);
    let y = net.member("y");
    net.run_for(secs(2));
    for (told, answered) in [(y.suspect("n1", 7), 8), (y.dead("n1", 8), 9)] {
        y.forget();
        net.tell(&y, "n1", told.clone());
        net.run_for(secs(1));
        let expected = own_alive(&net, answered);
        let answers = y.messages_where(|said| said.is_about("n1"));
        assert!(!answers.is_empty(), "told {told:?}");
        for (_, answer) in answers {
            assert_eq!(answer, expected, "told {told:?}");
        }
    }
    assert_eq!(net.stats("n1").refutations, 2);
}

/// A newer announcement of ourselves takes the place of the one that waits: the others are not told of a number
/// that is out of date (swim-state 3.5, end; 9.3).
#[test]
fn one_refutation_waits_at_a_time() {
    let mut net = TestNet::bench(SEED);
    let y = net.member("y");
    net.run_for(secs(5));
    assert_eq!(net["n1"].summary().update_queue, 0, "the scene is set");
    y.forget();
    net.tell_all(&y, "n1", &[y.suspect("n1", 7), y.suspect("n1", 20)]);
    assert!(net["n1"].summary().update_queue <= 1);
    net.run_for(secs(2));
    for (_, said) in y.messages_where(|said| said.is_about("n1")) {
        assert!(matches!(said, Said::Alive { incarnation: 21, .. }), "{said:?}");
    }
}

/// An accusation at the greatest incarnation cannot be refuted and must not throw us out: our own number never
/// falls, and we go on (swim-state 3.5, 15).
#[test]
fn an_accusation_at_the_greatest_incarnation_is_survived() {
    for accused in [u32::MAX, u32::MAX - 1] {
        for dead in [false, true] {
            let mut net = TestNet::bench(SEED);
            let y = net.member("y");
            let said = if dead { y.dead("n1", accused) } else { y.suspect("n1", accused) };
            net.tell(&y, "n1", said);
            let (state, incarnation) = net.state_at("n1", "n1").expect("the local node is in its own table");
            assert_eq!(state, State::Alive);
            assert!(incarnation >= 1, "it has not wrapped");
            y.forget();
            net.tell(&y, "n1", y.suspect("n1", 1));
            let (_, later) = net.state_at("n1", "n1").expect("still there");
            assert!(later >= incarnation, "it has not fallen");
            net.tell(&y, "n1", y.ping("n1", 99));
            assert_eq!(y.messages_where(|said| matches!(said, Said::Ack { seq: 99, .. })).len(), 1);
        }
    }
}

/// A full table takes no newcomers, and goes on with those it has; when somebody is forgotten by SWIM and by Serf there is
/// room again (design 3.5).
#[test]
fn a_full_table_takes_no_newcomers() {
    let mut net = TestNet::bench_with(SEED, |config| {
        config.swim.members_max = 3;
        (config.serf.reconnect_timeout, config.serf.reap_interval) = (secs(60), secs(1));
    });
    let (a, b, c) = (net.member("a"), net.member("b"), net.puppet("c"));
    net.tell(&c, "n1", c.alive(1));
    assert_eq!(net.state_at("n1", "c"), None);
    assert_eq!(net.stats("n1").members_over_limit, 1);
    net.tell(&a, "n1", a.alive(2));
    assert_eq!(net.state_at("n1", "a"), Some((State::Alive, 2)));
    net.tell(&a, "n1", a.dead("b", 1));
    let _ = b;
    net.run_for(secs(35));
    net.tell(&c, "n1", c.alive(1));
    assert_eq!(net.state_at("n1", "c"), None, "Serf still remembers b");
    net.run_for(secs(30));
    net.tell(&c, "n1", c.alive(1));
    assert_eq!(net.state_at("n1", "c"), Some((State::Alive, 1)));
}
