//! The rules of swim-state.md 3 that are not in one component: addresses, the local member, what follows a claim.

use core::time::Duration;

use super::updates::Origin;
use super::*;
use crate::stats::Stats;
use crate::testing::{Parts, accusation, address, alive, heard};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::message::State::{Alive as A, Dead as D, Left as L, Suspect as S};

/// Knows `b` at 127.0.0.2, incarnation 5, in this state.
fn knowing_b(parts: &mut Parts, config: Config, state: State) -> (Swim, MemberId) {
    let mut swim = parts.swim(config);
    let cx = &mut parts.cx();
    swim.handle_alive(cx, &alive("b", 5, address(2), b""), heard());
    let b = cx.roster.find(b"b").unwrap();
    match state {
        A => {}
        S => swim.handle_suspect(cx, &accusation("b", 5, "c")),
        D => swim.handle_dead(cx, &accusation("b", 5, "c")),
        L => swim.handle_dead(cx, &accusation("b", 5, "b")),
    }
    assert_eq!(swim.state(b), Some(state));
    while swim.poll_change().is_some() {}
    (swim, b)
}

/// swim-state.md 3.1, third table: who may take over a name with another address.
#[test]
fn addresses_belong_to_the_living() {
    let (now, later) = (Duration::ZERO, Duration::from_secs(61));
    let minute = Duration::from_secs(60);
    #[rustfmt::skip]
    let table = [
        // record  reclaim time    time since        takes over, at which incarnation
        (A,        minute,         later,            None),
        (S,        minute,         now,              None),
        (D,        Duration::ZERO, later,            None),           // never
        (D,        minute,         now,              None),           // not yet
        (D,        minute,         minute,           None),           // more than that
        (D,        minute,         later,            Some([1, 5, 9])),
        (L,        Duration::ZERO, now,              Some([1, 5, 9])),
    ];
    for (state, dead_node_reclaim_time, since, takes_over) in table {
        for (told, becomes) in [1, 5, 9].into_iter().zip(takes_over.map(|to| to.map(Some)).unwrap_or_default()) {
            let mut parts = Parts::new();
            let config = Config { dead_node_reclaim_time, ..Config::lan() };
            let (mut swim, b) = knowing_b(&mut parts, config, state);
            parts.now += since;
            swim.handle_alive(&mut parts.cx(), &alive("b", told, address(7), b""), heard());
            let change = swim.poll_change();
            match becomes {
                Some(incarnation) => {
                    assert_eq!((swim.state(b), swim.incarnation(b).0), (Some(A), incarnation), "{state:?} {told}");
                    assert_eq!(parts.roster.address(b), address(7));
                    assert_eq!(change, Some(Change::Joined(b)));
                }
                None => {
                    assert_eq!((swim.state(b), swim.incarnation(b).0), (Some(state), 5), "{state:?} {told}");
                    assert_eq!(parts.roster.address(b), address(2));
                    assert_eq!(change, Some(Change::Conflict(b, address(7))));
                    assert_eq!(parts.stats.conflicts, 1);
                }
            }
            swim.check(&parts.timers);
        }
    }
}

/// swim-state.md 3.1, fourth table: claims about ourselves, who are at 3.
#[test]
fn claims_about_ourselves() {
    enum Claim {
        Alive(u32, u8, &'static [u8]),
        Suspect(u32),
        Dead(u32),
    }
    use Claim::{Alive, Dead, Suspect};
    #[rustfmt::skip]
    let table = [
        // claim                      we have left?  refuted with
        (Alive(2, 1, b"mine"),        false,         None),
        (Alive(3, 1, b"mine"),        false,         None),     // our own words
        (Alive(3, 1, b"other"),       false,         Some(4)),  // not what we said
        (Alive(4, 1, b"mine"),        false,         Some(5)),  // from an earlier life
        (Alive(9, 7, b"mine"),        false,         None),     // somebody else claims our name
        (Alive(9, 1, b"mine"),        true,          None),
        (Suspect(2),                  false,         None),
        (Suspect(3),                  false,         Some(4)),
        (Suspect(7),                  false,         Some(8)),
        (Suspect(7),                  true,          None),
        (Suspect(u32::MAX),           false,         None),     // nothing is above it to refute with
        (Dead(2),                     false,         None),
        (Dead(3),                     false,         Some(4)),
        (Dead(8),                     false,         Some(9)),
        (Dead(8),                     true,          None),
        (Dead(u32::MAX),              false,         None),
        (Dead(u32::MAX - 1),          false,         Some(u32::MAX)),
    ];
    for (row, (claim, left, refuted)) in table.into_iter().enumerate() {
        let mut parts = Parts::new();
        let mut swim = parts.swim(Config::lan());
        let cx = &mut parts.cx();
        for accused in 1..=2 {
            swim.handle_suspect(cx, &accusation("me", accused, "x"));
        }
        let me = swim.local();
        assert_eq!(swim.incarnation(me).0, 3);
        let health = swim.health_score();
        if left {
            swim.leave(cx);
        }
        match claim {
            Alive(incarnation, at, meta) => {
                swim.handle_alive(cx, &alive("me", incarnation, address(at), meta), heard());
            }
            Suspect(incarnation) => swim.handle_suspect(cx, &accusation("me", incarnation, "x")),
            Dead(incarnation) => swim.handle_dead(cx, &accusation("me", incarnation, "x")),
        }
        assert_eq!(swim.incarnation(me).0, refuted.unwrap_or(3), "row {row}");
        assert_eq!(swim.state(me), Some(if left { L } else { A }), "row {row}");
        assert_eq!(swim.health_score(), health + u32::from(refuted.is_some()), "row {row}: refuting costs health");
        swim.check(&parts.timers);
    }
}

/// swim-state.md 3.2: what is asked before a member is let in.
#[test]
fn who_is_not_let_in() {
    let config = Config { allowed_networks: Some(alloc::vec!["127.0.0.0/24".parse().unwrap()]), ..Config::lan() };
    let mut outside = alive("b", 1, address(2), b"");
    outside.ip = Some([10, 0, 0, 1].into());
    let mut odd = alive("b", 1, address(2), b"");
    odd.ip = None;
    let mut versions = crate::testing::versions();
    versions.protocol.min = 6;
    let mut unversioned = alive("b", 1, address(2), b"");
    unversioned.versions = Some(versions);
    let refused_addresses: fn(&Stats) -> u64 = |stats| stats.refused_addresses;
    for (claim, counted, why) in [
        (outside, refused_addresses, "its network is not allowed"),
        (odd, refused_addresses, "its address is none"),
        (unversioned, |stats| stats.refused_versions, "its version range is empty"),
        (alive("b", 0, address(2), b""), |stats| stats.refused_incarnations, "nobody begins at 0"),
    ] {
        for origin in [heard(), Origin::Exchange] {
            let mut parts = Parts::new();
            let mut swim = parts.swim(config.clone());
            swim.handle_alive(&mut parts.cx(), &claim, origin);
            assert_eq!((parts.roster.find(b"b"), counted(&parts.stats)), (None, 1), "{why}");
        }
    }
    let mut parts = Parts::new();
    let mut swim = parts.swim(config);
    let from_outside = Origin::Datagram(([10, 0, 0, 1], 7946).into());
    swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), from_outside);
    assert_eq!(parts.roster.find(b"b"), None, "its messenger's network is not allowed");
    swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), Origin::Exchange);
    assert!(parts.roster.find(b"b").is_some(), "streams are not asked where they come from");
}

/// Whoever may move with its name does not move to where it would not have been let in.
#[test]
fn nobody_moves_out_of_the_allowed_networks() {
    let config = Config { allowed_networks: Some(alloc::vec!["127.0.0.0/24".parse().unwrap()]), ..Config::lan() };
    let mut outside = alive("b", 9, address(7), b"");
    outside.ip = Some([10, 0, 0, 1].into());
    for origin in [heard(), Origin::Exchange] {
        let mut parts = Parts::new();
        let (mut swim, b) = knowing_b(&mut parts, config.clone(), L);
        swim.handle_alive(&mut parts.cx(), &outside, origin);
        assert_eq!((swim.state(b), parts.roster.address(b)), (Some(L), address(2)));
        assert_eq!((swim.poll_change(), parts.stats.refused_addresses), (None, 1));
    }
}

/// memberlist: `memberlist.go`, verifyProtocol. All must speak what the living understand; the dead narrow nothing, but
/// what they speak counts.
#[test]
fn versions_of_an_exchange() {
    use crate::wire::message::{Entry, PushPull};
    // We understand 1 to 5 and speak 2.
    #[rustfmt::skip]
    let table = [
        // state, understands, speaks   merged
        (A,       (1, 5),      2,       true),
        (A,       (2, 2),      2,       true),
        (A,       (3, 5),      3,       false),
        (A,       (1, 1),      1,       false),
        (A,       (1, 5),      6,       false),
        (D,       (3, 5),      3,       true),
        (L,       (1, 1),      1,       true),
        (D,       (1, 5),      6,       false),
    ];
    for (state, (min, max), current, merged) in table {
        let mut versions = crate::testing::versions();
        versions.protocol = VersionRange { min, max, current };
        // Of a member that we know, and of one that we are told of.
        let mut parts = Parts::new();
        let (mut swim, b) = knowing_b(&mut parts, Config::lan(), state);
        parts.roster.set_versions(b, versions);
        let nothing = PushPull { join: false, entries: Vec::new(), user_state: b"" };
        assert_eq!(swim.merge(&mut parts.cx(), &nothing).is_ok(), merged, "known {state:?} {min} to {max}, {current}");
        let mut parts = Parts::new();
        let mut swim = parts.swim(Config::lan());
        let entry = Entry {
            name: b"b",
            ip: Some(address(2).ip()),
            port: address(2).port(),
            meta: None,
            incarnation: Incarnation(1),
            state: Some(state),
            versions: Some(versions),
        };
        let told = PushPull { entries: alloc::vec![entry], ..nothing };
        assert_eq!(swim.merge(&mut parts.cx(), &told).is_ok(), merged, "told {state:?} {min} to {max}, {current}");
    }
}

#[test]
fn checksums_are_for_those_who_understand_them() {
    let mut parts = Parts::new();
    let (_, b) = knowing_b(&mut parts, Config::lan(), A);
    for (max, understands) in [(4, false), (5, true)] {
        let mut versions = parts.roster.versions(b);
        versions.protocol.max = max;
        parts.roster.set_versions(b, versions);
        assert_eq!(understands_checksum(&parts.roster, b), understands, "up to {max}");
    }
}

/// The member table has a bound, and one past it is refused and counted.
#[test]
fn the_table_is_bounded() {
    let mut parts = Parts::new();
    let mut swim = parts.swim(Config { members_max: 3, ..Config::lan() });
    for name in ["b", "c", "d"] {
        swim.handle_alive(&mut parts.cx(), &alive(name, 1, address(2), b""), heard());
    }
    assert!(parts.roster.find(b"c").is_some());
    assert_eq!((parts.roster.find(b"d"), parts.stats.members_over_limit), (None, 1));
}

/// Every claim that changes nothing is not passed on; every one that does is, once, with its fields as received.
#[test]
fn only_news_is_passed_on() {
    let mut parts = Parts::new();
    let (mut swim, _) = knowing_b(&mut parts, Config::lan(), A);
    drain(&mut swim);
    let cx = &mut parts.cx();
    swim.handle_alive(cx, &alive("b", 5, address(2), b"x"), heard());
    swim.handle_suspect(cx, &accusation("b", 4, "c"));
    swim.handle_dead(cx, &accusation("b", 4, "c"));
    swim.handle_suspect(cx, &accusation("nobody", 4, "c"));
    assert_eq!(drain(&mut swim), Vec::<Vec<u8>>::new());
    swim.handle_suspect(cx, &accusation("b", 6, "c"));
    let mut expected = Vec::new();
    Codec::Native.encode_suspect(&accusation("b", 6, "c"), &mut expected);
    assert_eq!(drain(&mut swim), [expected]);
    swim.handle_suspect(cx, &accusation("b", 6, "c"));
    assert_eq!(drain(&mut swim), Vec::<Vec<u8>>::new(), "the same accuser says nothing new");
}

/// One whole packet of updates, sent so often that nothing is left.
fn drain(swim: &mut Swim) -> Vec<Vec<u8>> {
    let mut first = Vec::new();
    swim.fill(10_000, |body| {
        first.push(body.to_vec());
        10_000
    });
    while swim.queue_len() > 0 {
        swim.fill(10_000, |_| 10_000);
    }
    first
}

/// A suspicion that nobody refutes ends in death, announced under our own name; a cancelled one has no effect.
#[test]
fn suspicions_end_in_death_or_refutation() {
    let mut parts = Parts::new();
    let (mut swim, b) = knowing_b(&mut parts, Config::lan(), S);
    let due = parts.now + Duration::from_secs(4);
    let fires = |parts: &mut Parts, at| {
        let mut fired = core::iter::from_fn(|| parts.timers.pop_due(at));
        fired.any(|timer| timer == Timer::Suspicion(b))
    };
    parts.now = due;
    assert!(!fires(&mut parts, Instant::from_nanos(due.as_nanos() - 1)));
    assert!(fires(&mut parts, due));
    swim.on_suspicion_timeout(&mut parts.cx(), b);
    assert_eq!(swim.state(b), Some(D));
    assert_eq!(swim.poll_change(), Some(Change::Departed(b)));

    let mut parts = Parts::new();
    let (mut swim, b) = knowing_b(&mut parts, Config::lan(), S);
    swim.handle_alive(&mut parts.cx(), &alive("b", 6, address(2), b""), heard());
    assert_eq!(swim.state(b), Some(A));
    assert_eq!(parts.timers.deadline(Timer::Suspicion(b)), None);
    assert_eq!(swim.poll_change(), None, "that is between us");
}

/// A member back from the dead at a low incarnation announces itself: the accusation is repeated to it, so that it can
/// refute, and not more often than it takes to be heard.
#[test]
fn the_reborn_are_told() {
    let mut parts = Parts::new();
    let (mut swim, b) = knowing_b(&mut parts, Config::lan(), D);
    drain(&mut swim);
    swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), heard());
    assert_eq!(swim.queue_len(), 0, "not on hearsay");
    let itself = Origin::Datagram(address(2));
    swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), itself);
    swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), itself);
    let mut expected = Vec::new();
    Codec::Native.encode_dead(&accusation("b", 5, "me"), &mut expected);
    assert_eq!(drain(&mut swim), [expected]);
    assert_eq!(swim.state(b), Some(D));

    // A suspicion is repeated in the name of its first accuser: in ours it would confirm itself.
    let mut parts = Parts::new();
    let (mut swim, _) = knowing_b(&mut parts, Config::lan(), S);
    drain(&mut swim);
    swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), itself);
    let mut expected = Vec::new();
    Codec::Native.encode_suspect(&accusation("b", 5, "c"), &mut expected);
    assert_eq!(drain(&mut swim), [expected]);
}

/// Whoever missed our refutation hears it again, the same one, and only while it is not being spread anyway.
#[test]
fn a_missed_refutation_is_repeated() {
    let mut parts = Parts::new();
    let mut swim = parts.swim(Config::lan());
    swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), heard());
    swim.handle_suspect(&mut parts.cx(), &accusation("me", 1, "b"));
    drain(&mut swim);
    let before = (swim.incarnation(swim.local()), swim.health_score());
    for _ in 0..3 {
        swim.handle_suspect(&mut parts.cx(), &accusation("me", 1, "b"));
    }
    let mut expected = Vec::new();
    Codec::Native.encode_alive(&alive("me", 2, address(1), b"mine"), &mut expected);
    assert_eq!(drain(&mut swim), [expected]);
    assert_eq!((swim.incarnation(swim.local()), swim.health_score()), before, "nothing new is claimed");
    swim.leave(&mut parts.cx());
    drain(&mut swim);
    swim.handle_dead(&mut parts.cx(), &accusation("me", 1, "b"));
    assert_eq!(swim.queue_len(), 0, "who has left says nothing more");
}

/// A probe whose ping could not be sent in its time accuses nobody, however late the socket is released.
#[test]
fn a_blocked_socket_accuses_nobody() {
    let mut parts = Parts::new();
    let (mut swim, b) = knowing_b(&mut parts, Config::lan(), A);
    swim.on_probe_tick(&mut parts.cx());
    let Some(crate::outbox::Outgoing::Probe { seq }) = parts.outbox.pop() else { panic!("a probe") };
    parts.now += Duration::from_millis(500);
    swim.on_probe_direct(&mut parts.cx());
    assert!(swim.probe(seq).is_none(), "pointless now, and not sent");
    parts.now += Duration::from_millis(500);
    swim.on_probe_end(&mut parts.cx());
    assert_eq!((swim.state(b), swim.health_score()), (Some(A), 0));
}

/// An ack that has lain in the socket while we were stalled proves that the member lives, but it measures nothing.
#[test]
fn a_late_ack_is_late_by_the_clock() {
    let mut parts = Parts::new();
    let (mut swim, _) = knowing_b(&mut parts, Config::lan(), A);
    for (delay, direct) in [(500, true), (501, false)] {
        swim.on_probe_tick(&mut parts.cx());
        let Some(crate::outbox::Outgoing::Probe { seq }) = parts.outbox.pop() else { panic!("a probe") };
        swim.ping_sent(&mut parts.cx(), seq);
        parts.now += Duration::from_millis(delay);
        assert_eq!(swim.handle_ack(&mut parts.cx(), seq).is_some(), direct, "after {delay} ms");
    }
    assert_eq!((parts.stats.probes_acked_directly, parts.stats.probes_acked_late), (1, 1));
}

fn baseline(baseline: config::Baseline) -> Config {
    Config { baseline, ..Config::lan() }
}

/// memberlist's probe is sent late, and its target accused at once, without a chance to answer.
#[test]
fn stale_probes_accuse_on_release() {
    let mut parts = Parts::new();
    let stale = config::Baseline { stale_probe_on_release: true, ..config::Baseline::default() };
    let (mut swim, b) = knowing_b(&mut parts, baseline(stale), A);
    for relay in ["x", "y", "z"] {
        let last = relay.as_bytes()[0];
        swim.handle_alive(&mut parts.cx(), &alive(relay, 1, address(last), b""), heard());
    }
    let target = loop {
        parts.outbox = crate::outbox::Outbox::default();
        swim.on_probe_tick(&mut parts.cx());
        let Some(crate::outbox::Outgoing::Probe { seq }) = parts.outbox.pop() else { panic!("a probe") };
        let target = swim.probe(seq).expect("it runs").target;
        if target == b {
            break seq;
        }
        swim.ping_sent(&mut parts.cx(), seq);
        swim.handle_ack(&mut parts.cx(), seq);
    };
    assert_eq!(parts.timers.deadline(Timer::ProbeDirect), None, "an ack is due once there is a ping");
    parts.now += Duration::from_secs(1);
    swim.on_probe_end(&mut parts.cx());
    assert_eq!(swim.state(b), Some(A), "the accuser is stuck at its socket");
    parts.now += Duration::from_secs(1);
    swim.on_probe_tick(&mut parts.cx());
    assert!(parts.outbox.pop().is_none(), "one probe at a time");
    swim.ping_sent(&mut parts.cx(), target);
    assert!(swim.handle_ack(&mut parts.cx(), target).is_none());
    for asked in 0..3 {
        assert_eq!(swim.state(b), Some(A), "{asked} of 3 relays asked");
        let Some(crate::outbox::Outgoing::Indirect { seq, .. }) = parts.outbox.pop() else { panic!("three relays") };
        swim.indirect_sent(&mut parts.cx(), seq);
    }
    assert_eq!((swim.state(b), swim.health_score()), (Some(S), 3), "all nacks are missing");
    swim.check(&parts.timers);
}

/// A stale ping that goes out before the end of its probe has what is left of the time.
#[test]
fn a_late_ping_may_still_be_answered() {
    let mut parts = Parts::new();
    let stale = config::Baseline { stale_probe_on_release: true, ..config::Baseline::default() };
    let (mut swim, b) = knowing_b(&mut parts, baseline(stale), A);
    swim.on_probe_tick(&mut parts.cx());
    let Some(crate::outbox::Outgoing::Probe { seq }) = parts.outbox.pop() else { panic!("a probe") };
    let end = parts.timers.deadline(Timer::ProbeEnd);
    parts.now += Duration::from_millis(700);
    swim.ping_sent(&mut parts.cx(), seq);
    assert_eq!(parts.timers.deadline(Timer::ProbeDirect), end, "not 500 ms from here");
    assert!(swim.handle_ack(&mut parts.cx(), seq).is_some());
    assert_eq!(swim.state(b), Some(A));
}

/// Go's ticker holds one tick for a loop that is busy.
#[test]
fn a_buffered_tick_probes_at_once() {
    for buffered_ticks in [false, true] {
        let mut parts = Parts::new();
        let kept = config::Baseline { buffered_ticks, ..config::Baseline::default() };
        let (mut swim, _) = knowing_b(&mut parts, baseline(kept), A);
        swim.on_probe_tick(&mut parts.cx());
        let Some(crate::outbox::Outgoing::Probe { seq }) = parts.outbox.pop() else { panic!("a probe") };
        swim.ping_sent(&mut parts.cx(), seq);
        for _ in 0..3 {
            swim.on_probe_tick(&mut parts.cx());
        }
        assert_eq!(parts.outbox.pop(), None);
        swim.handle_ack(&mut parts.cx(), seq);
        let next = parts.outbox.pop();
        assert_eq!(next.is_some(), buffered_ticks, "{next:?}");
        if let Some(crate::outbox::Outgoing::Probe { seq }) = next {
            swim.ping_sent(&mut parts.cx(), seq);
            swim.handle_ack(&mut parts.cx(), seq);
            assert_eq!(parts.outbox.pop(), None, "one, however many came");
        }
    }
}

/// Lifeguard's paper stretches the time for the direct ack along with the probe.
#[test]
fn a_scaled_probe_timeout() {
    for (scale_probe_timeout, after) in [(false, 500), (true, 1500)] {
        let mut parts = Parts::new();
        let scaled = config::Baseline { scale_probe_timeout, ..config::Baseline::default() };
        let (mut swim, _) = knowing_b(&mut parts, baseline(scaled), A);
        for accused in 1..=2 {
            swim.handle_suspect(&mut parts.cx(), &accusation("me", accused, "x"));
        }
        assert_eq!(swim.health_score(), 2);
        swim.on_probe_tick(&mut parts.cx());
        let due = parts.timers.deadline(Timer::ProbeDirect);
        assert_eq!(due, Some(parts.now + Duration::from_millis(after)));
    }
}

/// A relay that says early that it heard nothing still passes on what it hears later.
#[test]
fn an_early_nack() {
    for (nack_at, millis) in [(None, 500), (Some(Duration::from_millis(400)), 400)] {
        let mut parts = Parts::new();
        let mut swim = parts.swim(baseline(config::Baseline { nack_at, ..config::Baseline::default() }));
        let request = crate::wire::message::IndirectPing {
            seq: SequenceNumber(9),
            target: address(7).ip(),
            port: 0,
            node: b"g",
            nack: true,
            source: Source::default(),
        };
        swim.handle_indirect_ping(&mut parts.cx(), address(9), &request);
        let Some(crate::outbox::Outgoing::RelayPing { seq }) = parts.outbox.pop() else { panic!("a relayed ping") };
        assert_eq!(parts.timers.deadline(Timer::Relay(seq)), Some(parts.now + Duration::from_millis(millis)));
        parts.now += Duration::from_millis(millis);
        swim.on_relay_timeout(&mut parts.cx(), seq);
        let nack = crate::outbox::Outgoing::Nack { to: address(9), seq: SequenceNumber(9) };
        assert_eq!((parts.outbox.pop(), parts.outbox.pop()), (Some(nack), None));
        swim.handle_ack(&mut parts.cx(), seq);
        let passed_on = parts.outbox.pop().is_some();
        assert_eq!(passed_on, nack_at.is_some(), "after {millis} ms");
    }
}

/// memberlist says nothing to whoever is behind the times.
#[test]
fn stale_claims_may_be_passed_over() {
    for ignore_stale in [false, true] {
        let mut parts = Parts::new();
        let quiet = config::Baseline { ignore_stale, ..config::Baseline::default() };
        let (mut swim, b) = knowing_b(&mut parts, baseline(quiet), D);
        let drain = |swim: &mut Swim| {
            for _ in 0..100 {
                swim.fill(1000, |_| 1000);
            }
            assert_eq!(swim.queue_len(), 0);
        };
        swim.handle_suspect(&mut parts.cx(), &accusation("me", 1, "x"));
        drain(&mut swim);
        swim.handle_suspect(&mut parts.cx(), &accusation("me", 1, "y"));
        assert_eq!(swim.queue_len(), usize::from(!ignore_stale), "what was refuted long ago");
        drain(&mut swim);
        swim.handle_alive(&mut parts.cx(), &alive("b", 2, address(2), b""), Origin::Datagram(address(2)));
        assert_eq!(swim.queue_len(), usize::from(!ignore_stale), "a restarted member");
        assert_eq!(swim.state(b), Some(D));
    }
}

/// While nothing is sent, requests to ping others cost a bounded amount of memory.
#[test]
fn relayed_pings_are_bounded() {
    let mut parts = Parts::new();
    let mut swim = parts.swim(Config::lan());
    let request = crate::wire::message::IndirectPing {
        seq: SequenceNumber(1),
        target: address(7).ip(),
        port: 0,
        node: b"g",
        nack: true,
        source: Source::default(),
    };
    for round in 0..100 {
        for n in 0..=1024 {
            swim.handle_indirect_ping(&mut parts.cx(), address(9), &request);
            assert!(round > 0 || parts.stats.relays_over_limit == u64::from(n == 1024), "{n}");
        }
        parts.now += Duration::from_millis(500);
        while let Some(timer) = parts.timers.pop_due(parts.now) {
            if let Timer::Relay(seq) = timer {
                swim.on_relay_timeout(&mut parts.cx(), seq);
            }
        }
    }
    assert!(core::iter::from_fn(|| parts.outbox.pop()).count() <= 8192);
    assert!(parts.stats.relays_over_limit > 0);
}

/// Nobody makes us send to where no member can be.
#[test]
fn pings_are_relayed_within_the_allowed_networks_only() {
    let config = Config { allowed_networks: Some(alloc::vec!["127.0.0.0/24".parse().unwrap()]), ..Config::lan() };
    let mut parts = Parts::new();
    let mut swim = parts.swim(config);
    let elsewhere = SocketAddr::from(([10, 0, 0, 1], 7946));
    let nobody = Source::default();
    let forged = Source { ip: Some(elsewhere.ip()), port: elsewhere.port(), ..nobody };
    for (from, target, source, relayed) in [
        (address(9), address(7), nobody, true),
        (address(9), elsewhere, nobody, false),
        (elsewhere, address(7), nobody, false),
        (address(9), address(7), forged, false),
    ] {
        let request = crate::wire::message::IndirectPing {
            seq: SequenceNumber(1),
            target: target.ip(),
            port: 0,
            node: b"g",
            nack: true,
            source,
        };
        swim.handle_indirect_ping(&mut parts.cx(), from, &request);
        assert_eq!(parts.outbox.pop().is_some(), relayed, "{from} asks for {target}");
    }
    assert_eq!(parts.stats.refused_addresses, 3);
}

/// What could never be gossiped or pinged is not let in.
#[test]
fn names_that_fit_no_packet_are_refused() {
    let mut parts = Parts::new();
    let mut swim = parts.swim(Config::lan());
    let (name, long, meta) = ("n".repeat(128), "n".repeat(129), [b'm'; 897]);
    for (refused, (name, meta)) in [(&*name, &meta[..]), (&*long, b"")].into_iter().enumerate() {
        swim.handle_alive(&mut parts.cx(), &alive(name, 1, address(2), meta), heard());
        assert_eq!((swim.active(), parts.stats.refused_names), (0, refused as u64 + 1));
    }
    swim.handle_alive(&mut parts.cx(), &alive(&name, 1, address(2), &meta[..896]), heard());
    assert_eq!(swim.active(), 1);
    // Serf's agents are called whatever they like, or as their host is.
    assert_eq!(updates::name_len_max(Codec::Serf), 255);
}

/// A full state is no longer than is promised, whoever is in it, on either wire.
#[test]
fn entries_are_no_longer_than_thought() {
    for codec in [Codec::Native, Codec::Serf] {
        let mut parts = Parts::new();
        let mut swim = parts.swim(Config::lan());
        swim.codec = codec;
        let claims = [("b".repeat(128), 896), ("c".into(), 0), ("d".repeat(40), 300)];
        let mut promised = swim.push_pull_len_max(&parts.roster);
        for (name, meta_len) in &claims {
            let place = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
            let claim = alive(name, u32::MAX - 1, place, &[b'm'; 896][..*meta_len]);
            swim.handle_alive(&mut parts.cx(), &claim, heard());
            let grown = swim.push_pull_len_max(&parts.roster);
            assert_eq!(grown - promised, name.len() + meta_len + 96);
            promised = grown;
            let mut out = Vec::new();
            swim.encode_push_pull(&parts.roster, true, &[0; 1 << 20], &mut out);
            assert!(out.len() - (1 << 20) <= promised, "{} > {promised}, {codec:?}", out.len() - (1 << 20));
        }
        assert_eq!(swim.active(), 3);
    }
}

/// Whoever is pinged by no name answers: a member of that name would never fail.
#[test]
fn the_empty_name_is_refused() {
    let mut parts = Parts::new();
    let mut swim = parts.swim(Config::lan());
    for origin in [heard(), Origin::Exchange] {
        swim.handle_alive(&mut parts.cx(), &alive("", 1, address(2), b""), origin);
    }
    assert_eq!((swim.active(), parts.stats.refused_names), (0, 2));
    swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), heard());
    assert_eq!(swim.active(), 1);
}

/// The same of names that are only spoken of: one would wait in the queue for ever, the other be sent to anybody.
#[test]
fn long_names_are_not_spoken_of() {
    let mut parts = Parts::new();
    let (mut swim, b) = knowing_b(&mut parts, Config::lan(), A);
    drain(&mut swim);
    for (len, refused) in [(128, false), (129, true)] {
        let name = "n".repeat(len);
        let request = crate::wire::message::IndirectPing {
            seq: SequenceNumber(1),
            target: address(7).ip(),
            port: 0,
            node: name.as_bytes(),
            nack: true,
            source: Source::default(),
        };
        swim.handle_indirect_ping(&mut parts.cx(), address(9), &request);
        assert_eq!(parts.outbox.pop().is_none(), refused);
        let before = parts.stats.refused_names;
        swim.handle_suspect(&mut parts.cx(), &accusation("b", 5, &name));
        swim.handle_dead(&mut parts.cx(), &accusation("b", 5, &name));
        assert_eq!(parts.stats.refused_names - before, 2 * u64::from(refused));
        swim.handle_alive(&mut parts.cx(), &alive("b", 6, address(2), b""), heard());
        assert_eq!(swim.state(b), Some(A));
        drain(&mut swim);
    }
    swim.handle_suspect(&mut parts.cx(), &accusation("b", 6, &"n".repeat(129)));
    assert_eq!((swim.state(b), swim.queue_len()), (Some(A), 0));
    assert_eq!(parts.stats.refused_names, 4);
}
