//! serf-layer.md 6.2, row by row: how membership changes and intents move a member's status.

use core::time::Duration;

use super::*;
use crate::serf::event::MemberEvent;
use crate::serf::member::Status::{self, Alive, Failed, Leaving, Left};
use crate::serf::snapshot::{Record, Restored};
use crate::swim::config::Config as SwimConfig;
use crate::swim::updates::Origin;
use crate::testing::{Parts, accusation, address, alive};
use crate::timers::Timer;
use crate::wire::serf::{Clocks, Join, Leave, UserEvent};

/// One node that may know another, `b`. The tests of this layer's files start from it, too.
pub(super) struct Scene {
    pub(super) parts: Parts,
    pub(super) swim: Swim,
    pub(super) serf: Serf,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::of(Config::default(), Codec::Native)
    }

    pub(super) fn of(config: Config, codec: Codec) -> Self {
        let mut parts = Parts::new();
        let swim = parts.swim(SwimConfig::lan());
        let local = swim.local();
        let mut serf = Serf::new(&mut parts.cx(), config, codec, Tags::default(), &swim, [4; 32]);
        serf.handle_change(&mut parts.cx(), &swim, Change::Joined(local));
        serf.poll_event();
        Self { parts, swim, serf }
    }

    /// Knows `b`, alive at incarnation 5, which then got this status.
    pub(super) fn with(status: Status) -> Self {
        let mut scene = Self::new();
        scene.alive(5, b"");
        match status {
            Alive => {}
            Leaving => assert!(scene.leave(1)),
            Left => {
                assert!(scene.leave(1));
                scene.dead();
            }
            Failed => scene.dead(),
        }
        assert_eq!(scene.status(), Some(status));
        scene.events();
        scene
    }

    pub(super) fn alive(&mut self, incarnation: u32, meta: &[u8]) {
        let claim = alive("b", incarnation, address(2), meta);
        self.swim.handle_alive(&mut self.parts.cx(), &claim, Origin::Exchange);
        self.settle();
    }

    pub(super) fn dead(&mut self) {
        let incarnation = self.parts.roster.find(b"b").map_or(1, |id| self.swim.incarnation(id).0);
        self.swim.handle_dead(&mut self.parts.cx(), &accusation("b", incarnation, "c"));
        self.settle();
    }

    /// Time passes, and what this layer's short timers bring happens; nothing of SWIM's does.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.parts.now + time;
        while let Some(due) = self.parts.timers.next().filter(|due| *due <= end) {
            self.parts.now = self.parts.now.max(due);
            let timer = self.parts.timers.pop_due(due).unwrap();
            let cx = &mut self.parts.cx();
            match timer {
                Timer::Prune(id) => self.serf.on_prune(cx, &self.swim, id),
                Timer::Reconnect => self.serf.on_reconnect(cx, &mut self.swim),
                Timer::Heal => self.serf.on_heal(cx, &self.swim),
                Timer::QueueCheck => self.serf.on_queue_check(cx),
                Timer::FlushMembers => self.serf.flush_members(cx),
                Timer::FlushUserEvents => self.serf.flush_user_events(cx),
                Timer::ProbeDirect
                | Timer::ProbeEnd
                | Timer::Relay(_)
                | Timer::Ping(_)
                | Timer::Suspicion(_)
                | Timer::Stream(_)
                | Timer::Leave
                | Timer::Update
                | Timer::Reap
                | Timer::ProbeTick
                | Timer::PushPullTick
                | Timer::Query(..)
                | Timer::Snapshot
                | Timer::PendingQuery(_)
                | Timer::GossipTick => {}
            }
        }
        self.parts.now = end;
        self.serf.check();
    }

    /// What this layer adds to one large packet.
    pub(super) fn said(&mut self) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        self.serf.fill(&mut self.parts.stats, 1000, |body| {
            said.push(body.to_vec());
            1000
        });
        said
    }

    pub(super) fn settle(&mut self) {
        while let Some(change) = self.swim.poll_change() {
            self.serf.handle_change(&mut self.parts.cx(), &self.swim, change);
        }
        self.serf.records.check();
    }

    pub(super) fn leave(&mut self, time: u64) -> bool {
        let leave = Leave { ltime: LamportTime(time), node: b"b", prune: false };
        let again = self.serf.handle_leave_intent(&mut self.parts.cx(), &mut self.swim, &leave);
        self.serf.records.check();
        again
    }

    pub(super) fn join(&mut self, time: u64) -> bool {
        self.serf.handle_join_intent(&mut self.parts.cx(), &Join { ltime: LamportTime(time), node: b"b" })
    }

    pub(super) fn status(&self) -> Option<Status> {
        self.serf.records.get(self.parts.roster.find(b"b")?).status
    }

    fn status_time(&self) -> u64 {
        self.serf.records.get(self.parts.roster.find(b"b").unwrap()).status_time.0
    }

    pub(super) fn events(&mut self) -> Vec<MemberEvent> {
        core::iter::from_fn(|| self.serf.poll_event())
            .filter_map(|event| match event {
                Event::Member { kind, .. } => Some(kind),
                Event::User { .. }
                | Event::Conflict { .. }
                | Event::Query { .. }
                | Event::Message { .. }
                | Event::KeyringChanged { .. }
                | Event::NameLost { .. }
                | Event::Rejected { .. }
                | Event::Missed { .. } => None,
            })
            .collect()
    }
}

#[test]
fn membership_moves_statuses() {
    use MemberEvent as E;
    #[rustfmt::skip]
    let table = [
        // status    swim says         becomes   tells
        (Alive,    "departed",       Failed,   Some(E::Failed)),
        (Leaving,  "departed",       Left,     Some(E::Leave)),
        (Failed,   "joined",         Alive,    Some(E::Join)),
        (Left,     "joined",         Alive,    Some(E::Join)),
        (Alive,    "updated",        Alive,    Some(E::Update)),
        (Leaving,  "updated",        Leaving,  Some(E::Update)),
    ];
    for (status, change, becomes, tells) in table {
        let mut scene = Scene::with(status);
        let time = scene.status_time();
        match change {
            "departed" => scene.dead(),
            "joined" => scene.alive(6, b""),
            _ => scene.alive(6, b"new"),
        }
        assert_eq!(scene.status(), Some(becomes), "{status:?} {change}");
        assert_eq!(scene.events(), Vec::from_iter(tells), "{status:?} {change}");
        assert_eq!(scene.status_time(), time, "membership does not touch the intents' time");
    }
}

#[test]
fn intents_move_statuses() {
    #[rustfmt::skip]
    let table = [
        // status   intent   newer?  becomes   tells                       rebroadcast
        (Alive,   "leave", true,   Leaving,  None,                       true),
        (Alive,   "leave", false,  Alive,    None,                       false),
        (Failed,  "leave", true,   Left,     Some(MemberEvent::Leave),   true),
        (Failed,  "leave", false,  Failed,   None,                       false),
        (Leaving, "leave", true,   Leaving,  None,                       true),
        (Left,    "leave", true,   Left,     None,                       true),
        (Left,    "leave", false,  Left,     None,                       false),
        (Alive,   "join",  true,   Alive,    None,                       true),
        (Alive,   "join",  false,  Alive,    None,                       false),
        (Leaving, "join",  true,   Alive,    None,                       true),
        (Leaving, "join",  false,  Leaving,  None,                       false),
        (Failed,  "join",  true,   Failed,   None,                       true),   // the dead are not revived by words
        (Left,    "join",  true,   Left,     None,                       true),
    ];
    for (status, intent, newer, becomes, tells, again) in table {
        let mut scene = Scene::with(status);
        let before = scene.status_time();
        let time = before + u64::from(newer);
        let rebroadcast = if intent == "leave" { scene.leave(time) } else { scene.join(time) };
        let row = (status, intent, newer);
        assert_eq!(rebroadcast, again, "{row:?}");
        assert_eq!(scene.status(), Some(becomes), "{row:?}");
        assert_eq!(scene.events(), Vec::from_iter(tells), "{row:?}");
        assert_eq!(scene.status_time(), time, "{row:?}");
    }
}

/// An intent may come before the member does.
#[test]
fn intents_about_strangers_are_remembered() {
    let mut scene = Scene::new();
    assert!(scene.leave(7), "news");
    assert!(!scene.leave(7), "no news");
    assert!(!scene.join(6), "older");
    scene.alive(1, b"");
    assert_eq!((scene.status(), scene.status_time()), (Some(Leaving), 7));

    let mut scene = Scene::new();
    assert!(scene.leave(7));
    assert!(scene.join(8), "newer");
    scene.alive(1, b"");
    assert_eq!((scene.status(), scene.status_time()), (Some(Alive), 8));

    let mut scene = Scene::new();
    scene.leave(7);
    scene.parts.now += Duration::from_secs(301);
    scene.serf.on_reap(&mut scene.parts.cx(), &scene.swim);
    scene.alive(1, b"");
    assert_eq!((scene.status(), scene.status_time()), (Some(Alive), 0), "forgotten after five minutes");
}

/// As many as the bound says, and one past it is refused and counted; known names still move.
#[test]
fn intents_about_strangers_are_bounded() {
    let mut scene = Scene::new();
    scene.serf.config.recent_intents_max = 1;
    assert!(scene.leave(7));
    let other = Join { ltime: LamportTime(9), node: b"other" };
    assert!(!scene.serf.handle_join_intent(&mut scene.parts.cx(), &other));
    assert_eq!(scene.parts.stats.intents_over_limit, 1);
    assert!(scene.join(8));
}

/// Somebody says that we are leaving: we are not, and say so with a later time.
#[test]
fn a_leave_that_is_not_ours_is_refuted() {
    let mut scene = Scene::new();
    let leave = Leave { ltime: LamportTime(41), node: b"me", prune: false };
    assert!(!scene.serf.handle_leave_intent(&mut scene.parts.cx(), &mut scene.swim, &leave));
    assert_eq!(scene.serf.records.get(scene.swim.local()).status, Some(Alive));
    let mut said = Vec::new();
    scene.serf.fill(&mut scene.parts.stats, 1000, |body| {
        said.push(body.to_vec());
        0
    });
    let mut expected = Vec::new();
    Codec::Native.encode_serf_join(&Join { ltime: LamportTime(42), node: b"me" }, &mut expected);
    assert_eq!(said, [expected]);
}

/// Clocks that a snapshot cannot have from an honest cluster are as if it said nothing: we are heard, at least by
/// ourselves, and the file gets well.
#[test]
fn impossible_clocks_of_a_snapshot_are_forgotten() {
    let far = LamportTime((1 << 63) + (1 << 33));
    let mut scene = Scene::of(Config { snapshot: true, ..Config::default() }, Codec::Native);
    let clocks = Clocks { member: LamportTime(40), event: far, query: far };
    scene.serf.restore(&mut scene.parts.stats, Restored { clocks, ..Restored::default() });
    assert_eq!(scene.parts.stats.lamport_times_refused, 2);
    assert_eq!((scene.serf.clock.time(), scene.serf.event_clock.time()), (LamportTime(41), LamportTime(1)));
    let event = user_event::UserEvent { name: b"deploy", payload: None, coalesce: false };
    scene.serf.user_event(&mut scene.parts.cx(), &mut scene.swim, &event).unwrap();
    assert!(matches!(scene.serf.poll_event(), Some(Event::User { .. })));
    let query = query::Query { name: b"load", ..Default::default() };
    scene.serf.query(&mut scene.parts.cx(), &mut scene.swim, CommandId(1), &query).unwrap();
    assert!(matches!(scene.serf.poll_event(), Some(Event::Query { .. })));
    let written: Vec<_> = scene.serf.snapshot_records(&scene.parts.roster).collect();
    assert!(written.contains(&Record::EventClock(LamportTime(1))), "{written:?}");
    assert!(written.contains(&Record::QueryClock(LamportTime(1))), "{written:?}");
}

/// Whether we leave or make another one leave: those who are leaving themselves need not be told.
#[test]
fn a_leave_is_announced_to_the_living_only() {
    for (status, announced) in [(Alive, 1), (Leaving, 0), (Left, 0), (Failed, 0)] {
        let mut scene = Scene::with(status);
        scene.serf.force_leave(&mut scene.parts.cx(), &mut scene.swim, b"other", false);
        assert_eq!(scene.said().len(), announced, "{status:?}, another one's leave");
        let mut scene = Scene::with(status);
        scene.serf.leave(&mut scene.parts.cx(), &mut scene.swim);
        assert_eq!(scene.said().len(), announced, "{status:?}, our leave");
    }
}

/// Each is counted once, and changes nothing.
#[test]
fn messages_that_are_none_are_counted() {
    let push_pull = 2;
    for (message, malformed, unknown) in
        [(&b""[..], 0, 0), (&[0], 1, 0), (&[push_pull], 0, 1), (&[200], 0, 1), (&[200, 1, 2], 0, 1)]
    {
        let mut scene = Scene::new();
        scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, message);
        let stats = &scene.parts.stats;
        assert_eq!((stats.messages_malformed, stats.serf_messages_unknown), (malformed, unknown), "{message:?}");
        assert_eq!(scene.serf.queue_len(), 0);
    }
}

/// Back within a minute is a flap; members that failed or left are forgotten after a day each.
#[test]
fn the_gone_are_remembered_for_a_day() {
    let mut scene = Scene::with(Failed);
    scene.parts.now += Duration::from_secs(59);
    scene.alive(6, b"");
    assert_eq!(scene.parts.stats.member_flaps, 1);

    for status in [Failed, Left] {
        let mut scene = Scene::with(status);
        scene.parts.now += Duration::from_secs(24 * 3600);
        scene.serf.on_reap(&mut scene.parts.cx(), &scene.swim);
        assert_eq!(scene.status(), Some(status));
        scene.parts.now += Duration::from_secs(1);
        scene.serf.on_reap(&mut scene.parts.cx(), &scene.swim);
        assert_eq!(scene.status(), None);
        assert_eq!(scene.events(), [MemberEvent::Reap]);
    }
}

/// A state exchange: who is listed as left is leaving for us, everybody else is joining, and nothing is passed on.
#[test]
fn state_exchanges_carry_intents() {
    let mut theirs = Scene::with(Left);
    assert!(theirs.serf.clock.witness(LamportTime(50)));
    let mut state = Vec::new();
    theirs.serf.encode_state(&theirs.parts.roster, usize::MAX, &mut state);
    for (status, becomes) in [(Alive, Leaving), (Failed, Left)] {
        let mut ours = Scene::with(status);
        ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, &state, false);
        assert_eq!(ours.status(), Some(becomes));
        assert_eq!(ours.serf.clock.time(), LamportTime(51));
        assert_eq!(ours.serf.queue_len(), 0);
        // Nobody who tells it once more makes it later, so that one who has come back is heard.
        for _ in 0..3 {
            let mut again = Vec::new();
            ours.serf.encode_state(&ours.parts.roster, usize::MAX, &mut again);
            ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, &again, false);
            ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, &state, false);
        }
        assert_eq!((ours.status(), ours.status_time()), (Some(becomes), 1));
        ours.serf.handle_join_intent(&mut ours.parts.cx(), &Join { ltime: LamportTime(2), node: b"b" });
        assert_eq!(ours.status() == Some(Alive), status == Alive, "whoever has failed has to come back first");
    }
    let mut ours = Scene::new();
    ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, b"\x02garbage", false);
    assert_eq!(ours.parts.stats.messages_malformed, 1);
}

/// The list counts against what a stranger was heard to intend at the same time, too, and not against what came later.
#[test]
fn strangers_are_listed_as_leaving() {
    for (heard, listed, leaves) in [(7, 6, false), (7, 7, true), (7, 8, true)] {
        let mut state = Vec::new();
        Codec::Native.encode_serf_push_pull(
            &Clocks::default(),
            [(&b"stranger"[..], LamportTime(listed))].into_iter(),
            [&b"stranger"[..]].into_iter(),
            core::iter::empty::<Option<(LamportTime, core::iter::Empty<_>)>>(),
            &mut state,
        );
        let mut scene = Scene::new();
        scene.serf.handle_join_intent(&mut scene.parts.cx(), &Join { ltime: LamportTime(heard), node: b"stranger" });
        scene.serf.merge(&mut scene.parts.cx(), &mut scene.swim, &state, false);
        assert_eq!(scene.serf.recent_intents.says_left(b"stranger"), leaves, "listed at {listed}");
    }
}

/// Intents that would fit no packet are not passed on: they would close the queue for all others.
#[test]
fn overlong_intents_are_dropped() {
    let mut scene = Scene::with(Alive);
    let mut bytes = Vec::new();
    Codec::Native.encode_serf_leave(&Leave { ltime: LamportTime(9), node: b"b", prune: false }, &mut bytes);
    let mut padded = bytes.clone();
    padded.resize(1025, 0);
    scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, &padded);
    assert_eq!((scene.status(), scene.serf.queue_len(), scene.parts.stats.messages_malformed), (Some(Alive), 0, 1));
    padded.truncate(1024);
    scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, &padded);
    assert_eq!((scene.status(), scene.serf.queue_len()), (Some(Leaving), 1));
    scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, b"");
    assert_eq!(scene.parts.stats.messages_malformed, 1, "nothing is no message");
}

/// A datagram holds thousands of messages, and somebody else says which. None of them adds a line to the log each time;
/// all of them count.
#[test]
fn floods_do_not_fill_the_log() {
    use crate::serf::query::tests::{asked, encoded};
    use crate::wire::serf::{Query, QueryResponse};
    const FLOOD: u32 = 100;
    let codec = Codec::Native;
    let mut scene = Scene::with(Alive);
    let flood = |scene: &mut Scene, names: &[&str], say: &dyn Fn(&mut Scene, u32)| {
        (0..FLOOD).for_each(|n| say(scene, n));
        for name in names {
            assert_eq!(scene.parts.lines.times(name), FLOOD, "{name}");
        }
    };
    let hear = |scene: &mut Scene, message: &[u8]| {
        scene.serf.begin_packet();
        scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, message);
        scene.settle();
    };
    flood(&mut scene, &["query_response_unmatched"], &|scene, id| {
        let response = QueryResponse { ltime: LamportTime(7), id, from: b"b", flags: 0, payload: None };
        let mut message = Vec::new();
        codec.encode_serf_query_response(&response, &mut message);
        hear(scene, &message);
    });
    flood(&mut scene, &["query_unhandled"], &|scene, n| {
        hear(scene, &encoded(&Query { name: b"_serf_riddle", ..asked(u64::from(n) + 1, 1) }));
    });
    flood(&mut scene, &["query_filter_invalid"], &|scene, n| {
        hear(scene, &encoded(&Query { filters: alloc::vec![b"\x09".to_vec()], ..asked(u64::from(n) + 1, 2) }));
    });
    flood(&mut scene, &["query_not_answered"], &|scene, n| {
        let question = Query { name: b"_serf_conflict", payload: Some((&b"b"[..]).into()), timeout: 0, ..asked(0, 3) };
        hear(scene, &encoded(&Query { ltime: LamportTime(u64::from(n) + 1), ..question }));
    });
    flood(&mut scene, &["key_query"], &|scene, n| {
        hear(scene, &encoded(&Query { name: b"_serf_list-keys", ..asked(u64::from(n) + 1, 4) }));
    });
    hear(&mut scene, &encoded(&asked(2000, 1)));
    flood(&mut scene, &["query_old"], &|scene, id| hear(scene, &encoded(&asked(1, id))));
    assert!(scene.serf.event_clock.witness(LamportTime(2000)));
    flood(&mut scene, &["user_event_old"], &|scene, _| {
        let event = UserEvent { ltime: LamportTime(1), name: b"deploy", payload: None, coalesce: false };
        let mut message = Vec::new();
        codec.encode_serf_user_event(&event, &mut message);
        hear(scene, &message);
    });
    let claim = |scene: &mut Scene, name: &str, n: u32| {
        let claim = alive(name, n + 9, address(9), b"");
        scene.swim.handle_alive(&mut scene.parts.cx(), &claim, Origin::Exchange);
        scene.settle();
    };
    flood(&mut scene, &["conflict", "name_disputed"], &|scene, n| claim(scene, "b", n));
    flood(&mut scene, &["name_conflict"], &|scene, n| claim(scene, "me", n));
    flood(&mut scene, &["refuted"], &|scene, n| {
        scene.swim.handle_suspect(&mut scene.parts.cx(), &accusation("me", n + 1, "b"));
    });
    let stats = &scene.parts.stats;
    let counted = [stats.query_responses_unmatched, stats.queries_unhandled, stats.query_filters_invalid];
    assert_eq!(counted, [u64::from(FLOOD); 3]);
    assert_eq!((stats.queries_old, stats.user_events_old), (u64::from(FLOOD), u64::from(FLOOD)));
    assert_eq!((stats.conflicts, stats.refutations), (2 * u64::from(FLOOD), u64::from(FLOOD)));
}

/// Nor are they remembered when a full state exchange lists them: thousands of such names would fill the memory.
#[test]
fn overlong_strangers_are_not_remembered() {
    for (len, refused) in [(1024, 0), (1025, 2)] {
        let (joins, leaves) = (alloc::vec![b'j'; len], alloc::vec![b'l'; len]);
        let mut state = Vec::new();
        Codec::Native.encode_serf_push_pull(
            &Clocks::default(),
            [(&*joins, LamportTime(7))].into_iter(),
            [&*leaves].into_iter(),
            core::iter::empty::<Option<(LamportTime, core::iter::Empty<_>)>>(),
            &mut state,
        );
        let mut scene = Scene::new();
        scene.serf.merge(&mut scene.parts.cx(), &mut scene.swim, &state, false);
        assert_eq!(scene.parts.stats.intents_over_limit, refused, "{len} bytes");
        assert_eq!(scene.serf.recent_intents.about(&joins).is_some(), refused == 0, "{len} bytes");
    }
}

/// Who lists a later intent about us than we know may hold us to be leaving; we say that we are not, once, and not when
/// we are.
#[test]
fn a_leave_that_passed_us_by_is_refuted() {
    let state = |time| {
        let mut state = Vec::new();
        Codec::Native.encode_serf_push_pull(
            &Clocks { member: LamportTime(60), ..Clocks::default() },
            [(&b"me"[..], LamportTime(time)), (&b"b"[..], LamportTime(50))].into_iter(),
            core::iter::empty::<&[u8]>(),
            core::iter::empty::<Option<(LamportTime, core::iter::Empty<_>)>>(),
            &mut state,
        );
        state
    };
    let mut scene = Scene::with(Alive);
    // Twice the same; what is later than our answer is contradicted, too; what no clock can have reached is not.
    for (time, intents) in [(0, 0), (41, 1), (41, 1), (60, 1), (61, 2), (u64::MAX, 2)] {
        scene.serf.merge(&mut scene.parts.cx(), &mut scene.swim, &state(time), false);
        assert_eq!(scene.serf.queue_len(), intents, "listed at {time}");
    }
    let mut expected = Vec::new();
    Codec::Native.encode_serf_join(&Join { ltime: LamportTime(60), node: b"me" }, &mut expected);
    assert!(scene.said().contains(&expected));

    let mut scene = Scene::with(Alive);
    scene.serf.leave(&mut scene.parts.cx(), &mut scene.swim);
    let before = scene.serf.queue_len();
    scene.serf.merge(&mut scene.parts.cx(), &mut scene.swim, &state(41), false);
    assert_eq!(scene.serf.queue_len(), before);
}

/// Past its bound, the queue of intents drops the oldest, and never what somebody waits for.
#[test]
fn the_queue_of_intents_is_bounded() {
    let mut scene = Scene::with(Alive);
    scene.serf.config.queue_depth_max = 16;
    for time in 10..100 {
        let mut bytes = Vec::new();
        Codec::Native.encode_serf_join(&Join { ltime: LamportTime(time), node: b"b" }, &mut bytes);
        scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, &bytes);
        assert!(scene.serf.queue_len() <= 16);
    }
    assert!(scene.parts.stats.broadcasts_over_limit > 0);
}

#[test]
fn pruning_forgets() {
    use MemberEvent as E;
    #[rustfmt::skip]
    let table: [(_, _, &[_], _, &[_]); 4] = [
        // status   at once   tells                    after six seconds   tells
        (Failed,  None,           &[E::Leave, E::Reap],  None,               &[]),
        (Left,    None,           &[E::Reap],            None,               &[]),
        (Leaving, Some(Leaving),  &[],                   None,               &[E::Reap]),
        (Alive,   Some(Leaving),  &[],                   None,               &[E::Reap]),
    ];
    for (status, at_once, tells, later, tells_later) in table {
        let mut scene = Scene::with(status);
        let leave = Leave { ltime: LamportTime(9), node: b"b", prune: true };
        assert!(scene.serf.handle_leave_intent(&mut scene.parts.cx(), &mut scene.swim, &leave), "{status:?}");
        assert_eq!((scene.status(), scene.events().as_slice()), (at_once, tells), "{status:?}");
        scene.pass(Duration::from_millis(5_999));
        assert_eq!(scene.status(), at_once, "{status:?}");
        scene.pass(Duration::from_millis(1));
        assert_eq!((scene.status(), scene.events().as_slice()), (later, tells_later), "{status:?}");
    }
}

/// It is forgotten even if it has called the leave off, as in Serf; a second wish does not put it off; and a new tenant
/// of the slot has nothing to fear.
#[test]
fn pruning_is_not_called_off() {
    let prune = |scene: &mut Scene, time| {
        let leave = Leave { ltime: LamportTime(time), node: b"b", prune: true };
        scene.serf.handle_leave_intent(&mut scene.parts.cx(), &mut scene.swim, &leave)
    };
    let mut scene = Scene::with(Alive);
    assert!(prune(&mut scene, 9));
    scene.pass(Duration::from_secs(3));
    assert!(scene.join(10));
    assert_eq!(scene.status(), Some(Alive));
    assert!(prune(&mut scene, 11));
    scene.pass(Duration::from_secs(3));
    assert_eq!((scene.status(), scene.events()), (None, [MemberEvent::Reap].into()));
    // SWIM has known it all the time.
    scene.dead();
    assert_eq!(scene.events(), []);
    scene.alive(7, b"");
    assert_eq!((scene.status(), scene.events()), (Some(Alive), [MemberEvent::Join].into()));

    let mut scene = Scene::with(Leaving);
    assert!(prune(&mut scene, 9));
    let id = scene.parts.roster.find(b"b").unwrap();
    scene.dead();
    scene.serf.config.tombstone_timeout = Duration::from_secs(1);
    scene.parts.now += Duration::from_secs(2);
    scene.serf.on_reap(&mut scene.parts.cx(), &scene.swim);
    assert_eq!(scene.parts.timers.deadline(Timer::Prune(id)), None);
}

/// We go when we want to, but we do not forget ourselves.
#[test]
fn nobody_prunes_us() {
    let mut scene = Scene::new();
    scene.serf.leave(&mut scene.parts.cx(), &mut scene.swim);
    let leave = Leave { ltime: LamportTime(41), node: b"me", prune: true };
    assert!(scene.serf.handle_leave_intent(&mut scene.parts.cx(), &mut scene.swim, &leave));
    scene.pass(Duration::from_secs(10));
    assert_eq!(scene.serf.records.get(scene.swim.local()).status, Some(Leaving));
}

/// The local member hears it first; the others do if there are any.
#[test]
fn forcing_a_leave() {
    let expected = |time, name: &[u8], prune| {
        let mut encoded = Vec::new();
        Codec::Native.encode_serf_leave(&Leave { ltime: LamportTime(time), node: name, prune }, &mut encoded);
        encoded
    };
    let mut scene = Scene::with(Failed);
    scene.serf.force_leave(&mut scene.parts.cx(), &mut scene.swim, b"b", false);
    assert_eq!((scene.status(), scene.events()), (Some(Left), [MemberEvent::Leave].into()));
    assert_eq!(scene.serf.times().0, LamportTime(2));
    assert_eq!(scene.said(), Vec::<Vec<u8>>::new(), "there is nobody else");

    let mut scene = Scene::with(Alive);
    for (name, prune) in [(&b"nobody"[..], false), (b"me", true)] {
        scene.serf.force_leave(&mut scene.parts.cx(), &mut scene.swim, name, prune);
    }
    let mut join = Vec::new();
    Codec::Native.encode_serf_join(&Join { ltime: LamportTime(3), node: b"me" }, &mut join);
    let mut said = scene.said();
    said.sort();
    assert_eq!(said, [expected(1, b"nobody", false), expected(2, b"me", true), join], "we refute at once");

    scene.serf.set_message_len_max(1000);
    scene.serf.force_leave(&mut scene.parts.cx(), &mut scene.swim, &[b'x'; 1000], false);
    assert_eq!((scene.serf.queue_len(), scene.parts.stats.broadcasts_too_long), (3, 1));
}

/// A time that no clock can have reached is refused with what carries it, on each of the three clocks.
#[test]
fn implausible_times_are_refused() {
    let end = LamportTime(u64::MAX);
    let mut scene = Scene::with(Alive);
    let times = scene.serf.times();
    let leave = Leave { ltime: end, node: b"b", prune: true };
    assert!(!scene.serf.handle_leave_intent(&mut scene.parts.cx(), &mut scene.swim, &leave));
    assert!(!scene.serf.handle_join_intent(&mut scene.parts.cx(), &Join { ltime: end, node: b"stranger" }));
    let event = UserEvent { ltime: end, name: b"e", payload: None, coalesce: false };
    assert!(!scene.serf.handle_user_event(&mut scene.parts.cx(), &event));
    assert_eq!((scene.serf.times(), scene.parts.stats.lamport_times_refused), (times, 3));

    let mut state = Vec::new();
    let slot = Some((end, [(&b"e"[..], None)].into_iter()));
    Codec::Native.encode_serf_push_pull(
        &Clocks { member: end, event: end, query: end },
        [(&b"b"[..], end)].into_iter(),
        [&b"b"[..]].into_iter(),
        [slot].into_iter(),
        &mut state,
    );
    scene.serf.merge(&mut scene.parts.cx(), &mut scene.swim, &state, true);
    assert_eq!((scene.serf.times(), scene.parts.stats.lamport_times_refused), (times, 8));
    assert_eq!((scene.status(), scene.status_time()), (Some(Alive), 0));
    // Its event clock does not say from when on events are wanted, either.
    let event = UserEvent { ltime: LamportTime(1), ..event };
    assert!(scene.serf.handle_user_event(&mut scene.parts.cx(), &event));

    // An old cluster's clocks are reached at once, and its messages are good.
    let old = LamportTime(1 << 50);
    assert!(scene.leave(old.0));
    assert_eq!(scene.status(), Some(Leaving));
    assert!(scene.serf.handle_user_event(&mut scene.parts.cx(), &UserEvent { ltime: old, ..event }));
}
