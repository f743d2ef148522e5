//! serf-layer.md 6.2, row by row: how membership changes and intents move a member's status.

use core::time::Duration;

use super::*;
use crate::serf::event::MemberEvent;
use crate::serf::member::Status::{self, Alive, Failed, Leaving, Left};
use crate::swim::config::Config as SwimConfig;
use crate::swim::updates::Origin;
use crate::testing::{Parts, accusation, address, alive};
use crate::wire::serf::{Join, Leave};

struct Scene {
    parts: Parts,
    swim: Swim,
    serf: Serf,
}

impl Scene {
    fn new() -> Self {
        let mut parts = Parts::new();
        let swim = parts.swim(SwimConfig::lan());
        let local = swim.local();
        let mut serf = Serf::new(&mut parts.cx(), Config::default(), Codec::Native, Tags::default(), &swim, [4; 32]);
        serf.handle_change(&mut parts.cx(), &swim, Change::Joined(local));
        serf.poll_event();
        Self { parts, swim, serf }
    }

    /// Knows `b`, alive at incarnation 5, which then got this status.
    fn with(status: Status) -> Self {
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

    fn alive(&mut self, incarnation: u32, meta: &[u8]) {
        let claim = alive("b", incarnation, address(2), meta);
        self.swim.handle_alive(&mut self.parts.cx(), claim, Origin::Exchange);
        self.settle();
    }

    fn dead(&mut self) {
        let incarnation = self.parts.roster.find(b"b").map_or(1, |id| self.swim.incarnation(id).0);
        self.swim.handle_dead(&mut self.parts.cx(), &accusation("b", incarnation, "c"));
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(change) = self.swim.poll_change() {
            self.serf.handle_change(&mut self.parts.cx(), &self.swim, change);
        }
        self.serf.records.check();
    }

    fn leave(&mut self, time: u64) -> bool {
        let leave = Leave { ltime: LamportTime(time), node: b"b", prune: false };
        let again = self.serf.handle_leave_intent(&mut self.parts.cx(), &mut self.swim, &leave);
        self.serf.records.check();
        again
    }

    fn join(&mut self, time: u64) -> bool {
        self.serf.handle_join_intent(&mut self.parts.cx(), &Join { ltime: LamportTime(time), node: b"b" })
    }

    fn status(&self) -> Option<Status> {
        self.serf.records.get(self.parts.roster.find(b"b")?).status
    }

    fn status_time(&self) -> u64 {
        self.serf.records.get(self.parts.roster.find(b"b").unwrap()).status_time.0
    }

    fn events(&mut self) -> Vec<MemberEvent> {
        core::iter::from_fn(|| self.serf.poll_event())
            .filter_map(|event| match event {
                Event::Member { kind, .. } => Some(kind),
                Event::Conflict { .. } | Event::Rejected { .. } | Event::Missed { .. } => None,
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
    theirs.serf.clock.witness(LamportTime(50));
    let mut state = Vec::new();
    theirs.serf.encode_state(&theirs.parts.roster, &mut state);
    for (status, becomes) in [(Alive, Leaving), (Failed, Left)] {
        let mut ours = Scene::with(status);
        ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, &state);
        assert_eq!(ours.status(), Some(becomes));
        assert_eq!(ours.status_time(), 2, "one more than they know");
        assert_eq!(ours.serf.clock.time(), LamportTime(51));
        assert_eq!(ours.serf.queue_len(), 0);
    }
    let mut ours = Scene::new();
    ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, b"\x02garbage");
    assert_eq!(ours.parts.stats.messages_malformed, 1);
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
