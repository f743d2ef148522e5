//! Serf's view of members on top of SWIM's: `serf-layer.md` sections 5 to 8, as far as they are about membership.

use swim_core::ids::LamportTime;
use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::Status;
use swim_core::wire::message::State;
use swim_sim::{Puppet, Said, StreamSaid, TestNet, ms, secs};

const SEED: u64 = 6;

/// `n1` holds `x` in this status, with 5 as the time of its last intent; `y` speaks, `w` listens.
fn holding(status: Option<Status>) -> (TestNet, [Puppet; 3]) {
    let mut net = TestNet::bench(SEED);
    let (y, w, x) = (net.member("y"), net.member("w"), net.puppet("x"));
    let steps = match status {
        None => vec![],
        Some(Status::Alive) => vec![x.alive(1), y.join_intent("x", 5)],
        Some(Status::Leaving) => vec![x.alive(1), y.leave_intent("x", 5)],
        Some(Status::Left) => vec![x.alive(1), y.leave_intent("x", 5), x.dead("x", 1)],
        Some(Status::Failed) => vec![x.alive(1), y.join_intent("x", 5), y.dead("x", 1)],
    };
    for said in steps {
        net.tell(&y, "n1", said);
    }
    // What it has to say about this is said before the scene begins; the dead are remembered for long enough.
    net.run_for(secs(5));
    assert_eq!(net.status_at("n1", "x"), status, "the scene is set");
    assert_eq!(status_time(&net), status.map(|_| 5), "the scene is set");
    w.forget();
    (net, [x, y, w])
}

fn status_time(net: &TestNet) -> Option<u64> {
    net["n1"].member(b"x").map(|member| member.status_time().0)
}

fn told(net: &TestNet) -> Vec<MemberEvent> {
    net.member_events("n1", "x").into_iter().map(|(_, kind)| kind).collect()
}

/// SWIM's joins and departures: an alive member that goes has failed, a leaving one has left; who is back is alive
/// (serf-layer 6.2, first table).
#[test]
fn departures_are_failures_unless_they_were_announced() {
    use MemberEvent::{Failed, Join, Leave};
    #[rustfmt::skip]
    let table = [
        // before              told by SWIM      becomes          event
        (Some(Status::Alive),   "dead",          Status::Failed,  Some(Failed)),
        (Some(Status::Alive),   "left",          Status::Failed,  Some(Failed)),
        (Some(Status::Leaving), "dead",          Status::Left,    Some(Leave)),
        (Some(Status::Leaving), "left",          Status::Left,    Some(Leave)),
        (Some(Status::Failed),  "alive",         Status::Alive,   Some(Join)),
        (Some(Status::Left),    "alive",         Status::Alive,   Some(Join)),
        (Some(Status::Leaving), "alive",         Status::Leaving, None), // SWIM has nothing new to tell
        (None,                  "alive",         Status::Alive,   Some(Join)),
    ];
    for (before, word, becomes, event) in table {
        let (mut net, [x, y, _]) = holding(before);
        let events = told(&net).len();
        let said = match word {
            "dead" => y.dead("x", 1),
            "left" => x.dead("x", 1),
            _ => x.alive(2),
        };
        net.tell(&y, "n1", said);
        let row = format!("{before:?} told {word}");
        assert_eq!(net.status_at("n1", "x"), Some(becomes), "{row}");
        assert_eq!(told(&net)[events..], Vec::from_iter(event), "{row}");
        if before.is_some() {
            assert_eq!(status_time(&net), Some(5), "SWIM does not touch the time of the last intent; {row}");
        }
    }
}

/// A leave intent that is news makes the alive leaving and the failed left, and is passed on; one that is not does
/// nothing (serf-layer 6.2, table of leave intents).
#[test]
fn leave_intents_move_the_alive_and_the_failed() {
    #[rustfmt::skip]
    let table = [
        // before           becomes          event
        (Status::Alive,     Status::Leaving, None),
        (Status::Leaving,   Status::Leaving, None),
        (Status::Left,      Status::Left,    None),
        (Status::Failed,    Status::Left,    Some(MemberEvent::Leave)),
    ];
    for (before, becomes, event) in table {
        for time in [4, 5, 6] {
            let (mut net, [_, y, w]) = holding(Some(before));
            let events = told(&net).len();
            let said = y.leave_intent("x", time);
            net.tell(&y, "n1", said.clone());
            net.run_for(secs(1));
            let news = time > 5;
            let row = format!("{before:?} told at {time}");
            assert_eq!(net.status_at("n1", "x"), Some(if news { becomes } else { before }), "{row}");
            assert_eq!(status_time(&net), Some(if news { time } else { 5 }), "{row}");
            assert_eq!(told(&net)[events..], Vec::from_iter(event.filter(|_| news)), "{row}");
            assert_eq!(!w.messages_where(|heard| *heard == said).is_empty(), news, "passed on: {row}");
        }
    }
}

/// A join intent that is news calls off a leave; it does not revive the failed nor the left; it is no event, and is
/// passed on (serf-layer 6.2, below the table).
#[test]
fn join_intents_call_off_a_leave_and_revive_nobody() {
    #[rustfmt::skip]
    let table = [
        // before           becomes
        (Status::Alive,     Status::Alive),
        (Status::Leaving,   Status::Alive),
        (Status::Left,      Status::Left),
        (Status::Failed,    Status::Failed),
    ];
    for (before, becomes) in table {
        for time in [4, 5, 6] {
            let (mut net, [_, y, w]) = holding(Some(before));
            let events = told(&net).len();
            let said = y.join_intent("x", time);
            net.tell(&y, "n1", said.clone());
            net.run_for(secs(1));
            let news = time > 5;
            let row = format!("{before:?} told at {time}");
            assert_eq!(net.status_at("n1", "x"), Some(if news { becomes } else { before }), "{row}");
            assert_eq!(status_time(&net), Some(if news { time } else { 5 }), "{row}");
            assert_eq!(told(&net).len(), events, "{row}");
            assert_eq!(!w.messages_where(|heard| *heard == said).is_empty(), news, "passed on: {row}");
        }
    }
}

/// Intents about somebody unknown are remembered, the latest one, and count when it comes (serf-layer 6.2).
#[test]
fn intents_that_come_first_are_remembered() {
    type Intents = &'static [(bool, u64)];
    #[rustfmt::skip]
    let table: [(Intents, Status, u64); 4] = [
        // leave?, time                    status           time
        (&[(false, 7)],                    Status::Alive,   7),
        (&[(true, 7)],                     Status::Leaving, 7),
        (&[(true, 7), (false, 6)],         Status::Leaving, 7),
        (&[(true, 7), (false, 8)],         Status::Alive,   8),
    ];
    for (intents, status, time) in table {
        let (mut net, [x, y, _]) = holding(None);
        for (leave, time) in intents {
            let said = if *leave { y.leave_intent("x", *time) } else { y.join_intent("x", *time) };
            net.tell(&y, "n1", said);
        }
        net.tell(&x, "n1", x.alive(1));
        assert_eq!(net.status_at("n1", "x"), Some(status), "{intents:?}");
        assert_eq!(status_time(&net), Some(time), "{intents:?}");
    }
}

/// An intent about somebody unknown is passed on when it is stored, and not when a newer one is there (serf-layer 6.2).
#[test]
fn only_stored_intents_are_passed_on() {
    let (mut net, [_, y, w]) = holding(None);
    for (time, passed_on) in [(7, true), (7, false), (6, false), (8, true)] {
        w.forget();
        let said = y.leave_intent("x", time);
        net.tell(&y, "n1", said.clone());
        net.run_for(secs(1));
        assert_eq!(!w.messages_where(|heard| *heard == said).is_empty(), passed_on, "at {time}");
    }
}

/// An intent about somebody unknown is forgotten in time (serf-layer 6.3).
#[test]
fn old_intents_are_forgotten() {
    let (mut net, [x, y, _]) = holding(None);
    net.tell(&y, "n1", y.leave_intent("x", 7));
    net.run_for(secs(300 + 16));
    net.tell(&x, "n1", x.alive(1));
    assert_eq!(net.status_at("n1", "x"), Some(Status::Alive));
}

/// Somebody says that we leave, and we do not: we call it off (serf-layer 6.2, row 3).
#[test]
fn a_false_leave_of_ours_is_called_off() {
    let mut net = TestNet::bench(SEED);
    let y = net.member("y");
    net.tell(&y, "n1", y.leave_intent("n1", 40));
    net.run_for(secs(1));
    assert_eq!(net.status_at("n1", "n1"), Some(Status::Alive));
    let answer = y.join_intent("n1", 41);
    assert!(
        !y.messages_where(|said| *said == answer).is_empty(),
        "{:?}",
        y.messages_where(|said| matches!(said, Said::User(_)))
    );
}

/// The member clock starts at 1, passes whatever it hears, and never falls (serf-layer 5).
#[test]
fn the_member_clock_passes_what_it_hears() {
    let mut net = TestNet::bench(SEED);
    let y = net.member("y");
    assert_eq!(net["n1"].summary().member_time, LamportTime(1));
    for (told, becomes) in [(1, 2), (1, 2), (50, 51), (20, 51), (51, 52)] {
        net.tell(&y, "n1", y.join_intent("y", told));
        assert_eq!(net["n1"].summary().member_time, LamportTime(becomes), "told {told}");
    }
}

/// Who has joined says so once, at its own member time (serf-layer 5, 7).
#[test]
fn a_join_is_followed_by_an_intent() {
    let mut net = TestNet::bench(SEED);
    let y = net.puppet("y");
    y.behave(|manner| (manner.listens, manner.push_pull) = (true, Some(ms(0))));
    net.join_at("n1", &[y.address()]);
    net.run_for(secs(2));
    let intents = y.messages_where(|said| matches!(said, Said::User(_)));
    assert!(!intents.is_empty());
    let expected = y.join_intent("n1", 1);
    assert!(intents.iter().all(|(_, said)| *said == expected), "{intents:?}");
    assert_eq!(net["n1"].summary().member_time, LamportTime(2));
}

/// What a full state exchange carries for this layer: clocks are witnessed one lower, who left is taken to leave
/// even if nothing later is known, and the others to be members (serf-layer 8; Serf makes the former's times one later).
#[test]
fn an_exchange_brings_intents_and_clocks() {
    #[rustfmt::skip]
    let table = [
        // before           listed at  as left   becomes           time
        (Status::Alive,     7,         false,    Status::Alive,    7),
        (Status::Leaving,   7,         false,    Status::Alive,    7),
        (Status::Leaving,   5,         false,    Status::Leaving,  5),
        (Status::Alive,     7,         true,     Status::Leaving,  7),
        (Status::Alive,     5,         true,     Status::Leaving,  5),
        (Status::Alive,     4,         true,     Status::Alive,    5),
        (Status::Failed,    5,         true,     Status::Left,     5),
        (Status::Failed,    7,         false,    Status::Failed,   7),
        (Status::Left,      7,         false,    Status::Left,     7),
    ];
    for (before, time, left, becomes, status_time_after) in table {
        let (mut net, [x, y, w]) = holding(Some(before));
        let left_names: &[&str] = if left { &["x"] } else { &[] };
        let user_state = y.serf_state(90, &[("x", time)], left_names);
        let entries = vec![y.entry(1, State::Alive), w.entry(1, State::Alive)];
        net.dial(&y, "n1", &StreamSaid::PushPull { join: false, entries, user_state });
        net.run_for(ms(20));
        let row = format!("{before:?}, listed at {time}, as left: {left}");
        assert_eq!(net.status_at("n1", "x"), Some(becomes), "{row}");
        assert_eq!(status_time(&net), Some(status_time_after), "{row}");
        assert_eq!(net["n1"].summary().member_time, LamportTime(90), "{row}");
        assert_eq!(net["n1"].summary().intent_queue, 0, "nothing of it is passed on; {row}");
        let _ = x;
    }
}

/// Failed and left members are forgotten after their time, each with an event (serf-layer 6.3).
#[test]
fn the_departed_are_reaped_after_their_time() {
    let mut net = TestNet::bench_with(SEED, |config| {
        config.serf.reconnect_timeout = secs(100);
        config.serf.tombstone_timeout = secs(200);
    });
    let (y, a, b) = (net.member("y"), net.member("a"), net.member("b"));
    net.tell(&y, "n1", y.dead("a", 1));
    net.tell(&y, "n1", y.leave_intent("b", 5));
    net.tell(&y, "n1", b.dead("b", 1));
    let _ = a;
    net.run_for(secs(95));
    let status = |net: &TestNet| (net.status_at("n1", "a"), net.status_at("n1", "b"));
    assert_eq!(status(&net), (Some(Status::Failed), Some(Status::Left)));
    net.run_for(secs(25));
    assert_eq!(status(&net), (None, Some(Status::Left)));
    net.run_for(secs(75));
    assert_eq!(status(&net), (None, Some(Status::Left)));
    net.run_for(secs(25));
    assert_eq!(status(&net), (None, None));
    for member in ["a", "b"] {
        assert_eq!(net.member_events("n1", member).last().map(|(_, kind)| *kind), Some(MemberEvent::Reap), "{member}");
    }
}

/// Who is back within a minute of failing flaps (serf-layer 6.2).
#[test]
fn a_quick_return_is_a_flap() {
    for (away, flaps) in [(secs(50), 1), (secs(70), 0)] {
        let mut net = TestNet::bench(SEED);
        let (y, x) = (net.member("y"), net.member("x"));
        net.tell(&y, "n1", y.dead("x", 1));
        net.run_for(away);
        net.tell(&x, "n1", x.alive(2));
        assert_eq!(net.status_at("n1", "x"), Some(Status::Alive));
        assert_eq!(net.stats("n1").member_flaps, flaps, "away for {away:?}");
    }
}
