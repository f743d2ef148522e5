//! Holding events back for a moment, so that an application hears of what came of a commotion and not of all its turns
//! (serf-layer.md 11).
//!
//! The first event that is held opens a window of the coalesce period; it closes earlier when none has come for the
//! quiescent period, and then what is held is told. Members and user events have a window each. What is not held
//! overtakes what is.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use crate::cx::Cx;
use crate::ids::{LamportTime, MemberId, Name};
use crate::serf::Serf;
use crate::serf::event::{Event, EventQueue, MemberEvent};
use crate::serf::member::MemberInfo;
use crate::stats::Stats;
use crate::time::Instant;
use crate::timers::Timer;

/// For how long events are held.
#[derive(Debug)]
struct Window {
    period: Duration,
    quiescence: Duration,
    /// When it closes at the latest, while it is open.
    end: Option<Instant>,
}

impl Window {
    /// Both periods must be there.
    fn is_on(&self) -> bool {
        !self.period.is_zero() && !self.quiescence.is_zero()
    }

    /// An event comes in; when the window will close if it is the last.
    fn heard(&mut self, now: Instant) -> Instant {
        let end = *self.end.get_or_insert(now + self.period);
        end.min(now + self.quiescence)
    }
}

/// Of what happened to each member it holds the last, and tells it unless it is what was told last.
///
/// Serf holds an update for ever and repeats it with every later flush; here it is told once.
#[derive(Debug)]
pub(crate) struct MemberCoalescer {
    window: Window,
    held: BTreeMap<Name, Held>,
    /// What was told last of the members that nothing is held of, by slot.
    last: Vec<Option<MemberEvent>>,
    max: usize,
}

#[derive(Debug)]
struct Held {
    id: MemberId,
    kind: MemberEvent,
    member: MemberInfo,
    /// What was told last. Not left under the slot, which may have another tenant before this is told.
    last: Option<MemberEvent>,
}

impl MemberCoalescer {
    /// Past `max` held members the window closes at once.
    pub(super) fn new(period: Duration, quiescence: Duration, max: usize) -> Self {
        let window = Window { period, quiescence, end: None };
        Self { window, held: BTreeMap::new(), last: Vec::new(), max }
    }

    pub(super) fn is_on(&self) -> bool {
        self.window.is_on()
    }

    pub(super) fn hold(
        &mut self,
        cx: &mut Cx<'_>,
        events: &mut EventQueue,
        id: MemberId,
        kind: MemberEvent,
        member: MemberInfo,
    ) {
        match self.held.get_mut(&member.name) {
            // It may have another slot since it was reaped.
            Some(held) => (held.id, held.kind, held.member) = (id, kind, member),
            None => {
                let last = self.last.get_mut(id.index()).and_then(Option::take);
                self.held.insert(member.name.clone(), Held { id, kind, member, last });
            }
        }
        cx.timers.arm(Timer::FlushMembers, self.window.heard(cx.now));
        if self.held.len() >= self.max {
            cx.timers.disarm(Timer::FlushMembers);
            self.flush(cx.stats, events);
        }
    }

    /// Tells what is held: by kind, and those of one kind by name, so that they can be made into Serf's lists.
    fn flush(&mut self, stats: &mut Stats, events: &mut EventQueue) {
        self.window.end = None;
        let mut held: Vec<_> = mem::take(&mut self.held).into_values().collect();
        held.sort_by_key(|held| held.kind as u8); // stable: the names stay in order
        for Held { id, kind, member, last } in held {
            if kind != MemberEvent::Reap {
                // A reaped member's slot is somebody else's, and nothing is left to compare with.
                if self.last.len() <= id.index() {
                    self.last.resize(id.index() + 1, None);
                }
                self.last[id.index()] = Some(kind);
            }
            if last != Some(kind) || kind == MemberEvent::Update {
                events.push(stats, || Event::Member { kind, member });
            }
        }
    }
}

/// Of the user events with one name it holds the latest by the event clock, all of them if several share that time.
#[derive(Debug)]
pub(crate) struct UserCoalescer {
    window: Window,
    held: BTreeMap<Box<[u8]>, Latest>,
    len: usize,
    max: usize,
}

#[derive(Debug)]
struct Latest {
    time: LamportTime,
    payloads: Vec<Option<Box<[u8]>>>,
}

impl UserCoalescer {
    /// Past `max` held events the window closes at once.
    pub(super) fn new(period: Duration, quiescence: Duration, max: usize) -> Self {
        let window = Window { period, quiescence, end: None };
        Self { window, held: BTreeMap::new(), len: 0, max }
    }

    pub(super) fn is_on(&self) -> bool {
        self.window.is_on()
    }

    pub(super) fn hold(
        &mut self,
        cx: &mut Cx<'_>,
        events: &mut EventQueue,
        time: LamportTime,
        name: &[u8],
        payload: Option<&[u8]>,
    ) {
        let payload = payload.map(Into::into);
        match self.held.get_mut(name) {
            Some(latest) if time < latest.time => {}
            Some(latest) if time == latest.time => {
                latest.payloads.push(payload);
                self.len += 1;
            }
            Some(latest) => {
                self.len = self.len + 1 - latest.payloads.len();
                *latest = Latest { time, payloads: vec![payload] };
            }
            None => {
                self.held.insert(name.into(), Latest { time, payloads: vec![payload] });
                self.len += 1;
            }
        }
        cx.timers.arm(Timer::FlushUserEvents, self.window.heard(cx.now));
        if self.len >= self.max {
            cx.timers.disarm(Timer::FlushUserEvents);
            self.flush(cx.stats, events);
        }
    }

    /// Tells what is held: by name, and those of one name in the order heard.
    fn flush(&mut self, stats: &mut Stats, events: &mut EventQueue) {
        self.window.end = None;
        self.len = 0;
        for (name, Latest { time: ltime, payloads }) in mem::take(&mut self.held) {
            for payload in payloads {
                events.push(stats, || Event::User { ltime, name: name.clone(), payload, coalesce: true });
            }
        }
    }
}

impl Serf {
    pub(crate) fn flush_members(&mut self, cx: &mut Cx<'_>) {
        self.member_coalescer.flush(cx.stats, &mut self.events);
    }

    pub(crate) fn flush_user_events(&mut self, cx: &mut Cx<'_>) {
        self.user_coalescer.flush(cx.stats, &mut self.events);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::serf::config::Config;
    use crate::serf::member::Status;
    use crate::serf::tests::Scene;
    use crate::testing::{address, alive, heard};
    use crate::wire::codec::Codec;
    use crate::wire::message::Bytes;
    use crate::wire::serf::UserEvent;

    /// Serf's agent: three seconds, one of quiet.
    fn agent() -> Config {
        let (period, quiet) = (Duration::from_secs(3), Duration::from_secs(1));
        Config {
            coalesce_period: period,
            quiescent_period: quiet,
            user_coalesce_period: period,
            user_quiescent_period: quiet,
            ..Config::default()
        }
    }

    fn scene(config: Config) -> Scene {
        let mut scene = Scene::of(config, Codec::Native);
        scene.pass(Duration::from_secs(2));
        while scene.serf.poll_event().is_some() {}
        scene
    }

    fn hear(scene: &mut Scene, time: u64, name: &str, payload: &str, coalesce: bool) {
        let payload = Some(Bytes::from(payload.as_bytes()));
        let event = UserEvent { ltime: LamportTime(time), name: name.as_bytes(), payload, coalesce };
        scene.serf.handle_user_event(&mut scene.parts.cx(), &event);
    }

    /// Names or payloads of what is told.
    fn told(scene: &mut Scene) -> Vec<String> {
        core::iter::from_fn(|| scene.serf.poll_event())
            .map(|event| match event {
                Event::User { payload, .. } => String::from_utf8(payload.unwrap().into()).unwrap(),
                Event::Member { kind, member } => alloc::format!("{} {}", kind.as_str(), member.name),
                other @ (Event::Query { .. }
                | Event::Message { .. }
                | Event::KeyringChanged { .. }
                | Event::NameLost { .. }
                | Event::Conflict { .. }
                | Event::Rejected { .. }
                | Event::Missed { .. }) => panic!("{other:?}"),
            })
            .collect()
    }

    /// An event every so many milliseconds: when is the first flush?
    #[test]
    fn windows_close() {
        #[rustfmt::skip]
        let table = [
            // every   of them   closes at
            (100,      1,        1000),   // a second of quiet
            (100,      3,        1200),
            (900,      3,        2800),
            (900,      9,        3000),   // they do not stop, but it has been long enough
            (1000,     2,        1000),   // the second one opens the next window
        ];
        for (every, count, closes) in table {
            let mut window = Window { period: Duration::from_secs(3), quiescence: Duration::from_secs(1), end: None };
            let at = |millis| Instant::after_origin(Duration::from_millis(millis));
            let mut due = None;
            for now in (0..count).map(|n| at(n * every)) {
                if due.is_some_and(|due| now >= due) {
                    break;
                }
                due = Some(window.heard(now));
            }
            assert_eq!(due, Some(at(closes)), "{count} events, one in {every} ms");
        }
    }

    /// Without both periods everything is told at once.
    #[test]
    fn off_unless_both_periods_are_there() {
        let zero = Duration::ZERO;
        for config in [
            Config::default(),
            Config { coalesce_period: zero, user_coalesce_period: zero, ..agent() },
            Config { quiescent_period: zero, user_quiescent_period: zero, ..agent() },
        ] {
            let mut scene = scene(config);
            scene.alive(1, b"");
            hear(&mut scene, 1, "e", "v1", true);
            assert_eq!(told(&mut scene), ["member-join b", "v1"]);
        }
    }

    /// Three quick events of one name give one, the last; what may not be coalesced overtakes.
    #[test]
    fn the_last_user_event_of_a_name() {
        let mut scene = scene(agent());
        for (time, name, payload, coalesce) in [
            (1, "deploy", "v1", true),
            (3, "deploy", "v3", true),
            (3, "deploy", "v3 again", true), // the same time: nobody knows which is the later one
            (2, "deploy", "v2", true),
            (4, "alarm", "now", false),
            (5, "backup", "done", true),
        ] {
            hear(&mut scene, time, name, payload, coalesce);
        }
        assert_eq!(told(&mut scene), ["now"]);
        scene.pass(Duration::from_millis(999));
        assert_eq!(told(&mut scene), [""; 0]);
        scene.pass(Duration::from_millis(1));
        assert_eq!(told(&mut scene), ["done", "v3", "v3 again"], "by name");
        // It is not remembered beyond: an older one that comes later is told.
        hear(&mut scene, 2, "deploy", "v2 again", true);
        scene.pass(Duration::from_secs(1));
        assert_eq!(told(&mut scene), ["v2 again"]);
    }

    /// serf-layer.md 11: of what happened to a member the last is told, unless it is what was told last.
    #[test]
    fn the_last_that_happened_to_a_member() {
        #[rustfmt::skip]
        let table: [(&[&str], &[&str]); 8] = [
            // happens to b                  is told
            (&["up", "down"],                         &["member-failed b"]),
            (&["up", "down", "up again"],             &["member-join b"]),
            (&["up", "flush", "down", "up again"],    &["member-join b"]),     // a flap within the window: nothing more
            (&["up", "flush", "new tags"],            &["member-join b", "member-update b"]),
            (&["up", "flush", "new tags", "flush", "new tags"], &["member-join b", "member-update b", "member-update b"]),
            (&["up", "flush", "new tags", "flush", "c comes"],  &["member-join b", "member-update b", "member-join c"]), // Serf repeats the update
            (&["up", "c comes", "down"],              &["member-join c", "member-failed b"]),
            (&["up", "flush", "down", "flush", "up again"], &["member-join b", "member-failed b", "member-join b"]),
        ];
        for (happens, expected) in table {
            let mut scene = scene(agent());
            for (incarnation, what) in (1..).zip(happens) {
                match *what {
                    "up" | "up again" => scene.alive(incarnation, b""),
                    "new tags" => scene.alive(incarnation, &[b'0' + incarnation as u8]),
                    "down" => scene.dead(),
                    "c comes" => {
                        let claim = alive("c", 1, address(3), b"");
                        scene.swim.handle_alive(&mut scene.parts.cx(), &claim, heard());
                        scene.settle();
                    }
                    _ => scene.pass(Duration::from_secs(1)),
                }
            }
            scene.pass(Duration::from_secs(1));
            assert_eq!(told(&mut scene), expected, "{happens:?}");
        }
    }

    /// A member that was reaped and is back in another slot, while its old slot has another tenant: each is told of
    /// by name.
    #[test]
    fn slots_change_tenants() {
        let mut parts = Scene::with(Status::Alive);
        let info = |name: &str, scene: &Scene| {
            let id = scene.parts.roster.find(b"b").unwrap();
            let view = crate::serf::member::Member {
                id,
                roster: &scene.parts.roster,
                swim: &scene.swim,
                records: &scene.serf.records,
            };
            MemberInfo { name: name.into(), ..view.to_info() }
        };
        let second = Duration::from_secs(1);
        let (mut coalescer, mut events) = (MemberCoalescer::new(second, second, 100), EventQueue::new(100, 0));
        let mut happen = |scene: &mut Scene, rows: &[(u32, MemberEvent, &str)]| {
            for (id, kind, name) in rows {
                let member = info(name, scene);
                coalescer.hold(&mut scene.parts.cx(), &mut events, MemberId(*id), *kind, member);
            }
            coalescer.flush(&mut scene.parts.stats, &mut events);
            core::iter::from_fn(|| events.pop())
                .map(|event| {
                    let Event::Member { kind, member } = event else { panic!("{event:?}") };
                    (kind, member.name.as_str().unwrap().into())
                })
                .collect::<Vec<(_, String)>>()
        };
        use MemberEvent::{Failed, Join, Reap};
        assert_eq!(happen(&mut parts, &[(5, Join, "n")]), [(Join, "n".into())]);
        assert_eq!(happen(&mut parts, &[(5, Reap, "n"), (5, Join, "m"), (7, Join, "n")]), [(Join, "m".into())]);
        assert_eq!(
            happen(&mut parts, &[(7, Failed, "n"), (5, Failed, "m")]),
            [(Failed, "m".into()), (Failed, "n".into())]
        );
        assert_eq!(
            happen(&mut parts, &[(7, Reap, "n"), (5, Join, "m")]),
            [(Join, "m".into()), (Reap, "n".into())],
            "by kind"
        );
        assert_eq!(happen(&mut parts, &[(7, Join, "o")]), [(Join, "o".into())], "nothing is left of the former tenant");
    }

    /// At the bound a window closes at once; nothing is lost by it.
    #[test]
    fn what_is_held_is_bounded() {
        let mut scene = scene(Config { event_queue_max: 2, ..agent() });
        hear(&mut scene, 1, "a", "1", true);
        hear(&mut scene, 2, "a", "2", true);
        assert_eq!(told(&mut scene), [""; 0]);
        hear(&mut scene, 3, "b", "3", true);
        assert_eq!(told(&mut scene), ["2", "3"]);
        assert_eq!(scene.parts.timers.deadline(Timer::FlushUserEvents), None);
        for payload in ["4", "4 again"] {
            hear(&mut scene, 4, "a", payload, true);
        }
        assert_eq!(told(&mut scene), ["4", "4 again"], "those of one time count, too");
        scene.alive(1, b"");
        assert_eq!(told(&mut scene), [""; 0]);
        let claim = alive("c", 1, address(3), b"");
        scene.swim.handle_alive(&mut scene.parts.cx(), &claim, heard());
        scene.settle();
        assert_eq!(told(&mut scene), ["member-join b", "member-join c"]);
        assert_eq!(scene.parts.timers.deadline(Timer::FlushMembers), None);
    }
}
