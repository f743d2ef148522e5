//! User events: what applications tell all others (serf-layer.md 9). Each is told once, however often it is heard.
//!
//! They are remembered in a ring by their time, which is what tells a known event from a new one, and what full state
//! exchanges repeat to those that gossip has missed.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::ids::LamportTime;
use crate::log::{Escaped, log_some};
use crate::serf::Serf;
use crate::serf::config::Config;
use crate::serf::event::Event;
use crate::serf::queues::Queue;
use crate::swim::Swim;
use crate::swim::broadcast::BroadcastQueue;
use crate::wire::message::Bytes;
use crate::wire::serf::{PushPullState, UserEvent as Message};

/// What the application wants everybody to hear. See [`Node::user_event`](crate::Node::user_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvent<'a> {
    /// What happened: any bytes.
    #[serde(borrow, with = "serde_bytes")]
    pub name: &'a [u8],
    /// To whom it may concern. Serf's readers take none and an empty one for the same.
    #[serde(borrow, with = "serde_bytes")]
    pub payload: Option<&'a [u8]>,
    /// Whether of several with this name that come close together the last one is enough.
    pub coalesce: bool,
}

/// A user event is too long to be sent. Nothing has happened. `Display` is Serf's own text.
///
/// ```
/// use swim_core::serf::user_event::UserEvent;
/// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
/// # use pair::*;
/// # let (mut now, mut a, mut b) = two();
///
/// let payload = [0; 600];
/// let error = a.user_event(now, UserEvent { name: b"deploy", payload: Some(&payload), coalesce: true }).unwrap_err();
/// assert_eq!((error.len, error.max, error.configured), (606, 512, true));
/// assert_eq!(error.to_string(), "user event exceeds configured limit of 512 bytes before encoding");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLarge {
    /// Name and payload, in bytes; when `encoded`, the whole message.
    pub len: usize,
    /// How long it may be: the configured limit, or [`USER_EVENT_LEN_MAX`].
    pub max: usize,
    /// Whether it was short enough until it was encoded.
    pub encoded: bool,
    /// Whether `max` is the configured limit.
    pub configured: bool,
}

impl fmt::Display for EventTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max, .. } = self;
        match (self.encoded, self.configured) {
            (false, true) => write!(f, "user event exceeds configured limit of {max} bytes before encoding"),
            (false, false) => write!(f, "user event exceeds sane limit of {max} bytes before encoding"),
            (true, true) => write!(f, "encoded user event exceeds configured limit of {max} bytes after encoding"),
            (true, false) => write!(f, "encoded user event exceeds reasonable limit of {max} bytes after encoding"),
        }
    }
}

impl core::error::Error for EventTooLarge {}

/// Longest user event there is, in bytes, whatever is configured. No Serf node sends a longer one, and none is taken.
pub const USER_EVENT_LEN_MAX: usize = 9 * 1024;

/// The recent user events, and those that are still being spread.
#[derive(Debug)]
pub(crate) struct UserEvents {
    /// By time, modulo the length. Not there before the first event: many nodes never see one.
    slots: Vec<Slot>,
    /// Of all slots, with [`EVENT_OVERHEAD`] for each event.
    bytes: usize,
    /// The earliest time of them all, if it has been looked for since an event was forgotten.
    oldest: Option<LamportTime>,
    /// Events of earlier times are not wanted, or have been forgotten: nobody can say whether they were told.
    min_time: LamportTime,
    pub(super) broadcasts: BroadcastQueue,
}

/// The events of one time. Empty, it has none.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) time: LamportTime,
    /// In the order heard.
    events: Vec<Recorded>,
    /// Indices into `events` by name and payload, so that a known event is found fast among many of one time.
    sorted: Vec<u32>,
}

#[derive(Debug)]
struct Recorded {
    /// The name, and behind it the payload.
    bytes: Box<[u8]>,
    name_len: u32,
    has_payload: bool,
}

/// What is to be done with a user event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    New,
    Known,
    Unwanted,
    TooOld,
    OverLimit,
}

impl UserEvents {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            bytes: 0,
            oldest: None,
            min_time: LamportTime(0),
            broadcasts: BroadcastQueue::default(),
        }
    }

    /// Events from before `time` are not wanted, or were told in an earlier life.
    pub(super) fn ignore_before(&mut self, time: LamportTime) {
        self.min_time = self.min_time.max(time);
    }

    /// No less than all of them take in a full state, but for the marks of empty slots.
    pub(super) fn len_max(&self) -> usize {
        self.bytes + self.slots.iter().filter(|slot| !slot.events.is_empty()).count() * SLOT_OVERHEAD_MAX
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.slots.iter().map(|slot| slot.events.len()).sum()
    }

    /// What the ring holds at `index`, if anything.
    pub(super) fn slot(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index).filter(|slot| !slot.events.is_empty())
    }

    /// Remembers an event, unless it is known or cannot be judged any more. `current` is the event clock, which is past
    /// `time`.
    fn remember(
        &mut self,
        config: &Config,
        current: LamportTime,
        time: LamportTime,
        name: &[u8],
        payload: Option<&[u8]>,
    ) -> Verdict {
        if time < self.min_time {
            return Verdict::Unwanted;
        }
        let ring = config.event_buffer.max(1);
        if current.0 > ring as u64 && time.0 < current.0 - ring as u64 {
            return Verdict::TooOld;
        }
        let index = (time.0 % ring as u64) as usize;
        let mut place = 0;
        if let Some(slot) = self.slot(index).filter(|slot| slot.time == time) {
            match slot.find(name, payload) {
                Ok(_) => return Verdict::Known,
                Err(at) => place = at,
            }
            if slot.events.len() >= config.events_per_time_max {
                return Verdict::OverLimit;
            }
        }
        let len = name.len() + payload.unwrap_or_default().len();
        if len > USER_EVENT_LEN_MAX {
            return Verdict::OverLimit;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(ring, Slot::default);
        }
        let slot = &mut self.slots[index];
        if slot.time != time {
            if !slot.events.is_empty() && slot.time > time {
                return Verdict::TooOld; // Only at the very end of the range, where the clock stands.
            }
            slot.time = time;
            self.clear(index);
        }
        let size = len + EVENT_OVERHEAD;
        if !self.make_room(size, time, config.event_bytes_max) {
            return Verdict::OverLimit;
        }
        self.bytes += size;
        self.oldest = self.oldest.map(|oldest| oldest.min(time));
        self.slots[index].insert(place, name, payload);
        Verdict::New
    }

    /// Forgets events older than `time`, the oldest first, until there is room for `size` bytes; whether there is.
    fn make_room(&mut self, size: usize, time: LamportTime, max: usize) -> bool {
        while self.bytes + size > max {
            // A full state can hold a million events for which there is no room.
            if self.oldest.is_some_and(|oldest| oldest >= time) {
                return false;
            }
            let occupied = self.slots.iter().enumerate().filter(|(_, slot)| !slot.events.is_empty());
            let oldest = occupied.map(|(index, slot)| (slot.time, index)).min();
            self.oldest = oldest.map(|(oldest, _)| oldest);
            let Some((oldest, index)) = oldest.filter(|(oldest, _)| *oldest < time) else { return false };
            self.clear(index);
            // Heard again, they would look new.
            self.ignore_before(LamportTime(oldest.0.saturating_add(1)));
        }
        true
    }

    fn clear(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if !slot.events.is_empty() {
            self.oldest = None;
        }
        self.bytes -= slot.size();
        // The memory, too, or a storm of one time would cost it for ever.
        *slot = Slot { time: slot.time, ..Slot::default() };
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn check(&self, config: &Config) {
        assert_eq!(self.bytes, self.slots.iter().map(Slot::size).sum::<usize>(), "every byte is accounted for");
        assert!(self.bytes <= config.event_bytes_max, "{} bytes of events", self.bytes);
        let occupied = self.slots.iter().filter(|slot| !slot.events.is_empty());
        let oldest = occupied.map(|slot| slot.time).min();
        assert!(self.oldest.is_none() || self.oldest == oldest, "{:?} is not {oldest:?}", self.oldest);
        for (index, slot) in self.slots.iter().enumerate().filter(|(_, slot)| !slot.events.is_empty()) {
            assert_eq!(slot.time.0 % self.slots.len() as u64, index as u64, "the slot is that of its time");
            assert!(slot.events.len() <= config.events_per_time_max);
            let in_order = slot.sorted.iter().map(|at| slot.events[*at as usize].key());
            assert!(in_order.is_sorted_by(|a, b| a < b), "each event of a time is there once");
        }
    }
}

impl Slot {
    /// Names and payloads, in the order heard.
    pub(super) fn events(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        self.events.iter().map(Recorded::parts)
    }

    /// Where the event is among `sorted`, or where it belongs.
    fn find(&self, name: &[u8], payload: Option<&[u8]>) -> Result<usize, usize> {
        let wanted = (name, payload.unwrap_or_default());
        self.sorted.binary_search_by(|at| self.events[*at as usize].key().cmp(&wanted))
    }

    fn insert(&mut self, place: usize, name: &[u8], payload: Option<&[u8]>) {
        if self.events.is_empty() {
            // Nearly always it stays the only one of its time.
            self.events.reserve_exact(1);
            self.sorted.reserve_exact(1);
        }
        self.sorted.insert(place, self.events.len() as u32);
        let bytes = [name, payload.unwrap_or_default()].concat().into();
        self.events.push(Recorded { bytes, name_len: name.len() as u32, has_payload: payload.is_some() });
    }

    fn size(&self) -> usize {
        self.events.iter().map(|event| event.bytes.len() + EVENT_OVERHEAD).sum()
    }
}

impl Recorded {
    fn parts(&self) -> (&[u8], Option<&[u8]>) {
        let (name, payload) = self.key();
        (name, self.has_payload.then_some(payload))
    }

    /// What makes it this event: an absent payload is an empty one, as for Serf.
    fn key(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(self.name_len as usize)
    }
}

/// What remembering an event costs beside its bytes, roughly. More than it costs to write it.
const EVENT_OVERHEAD: usize = 64;
/// What a slot takes in a full state beside its events, at most.
const SLOT_OVERHEAD_MAX: usize = 32;

impl Serf {
    /// Tells everybody. The time that the event got.
    pub(crate) fn user_event(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        event: &UserEvent<'_>,
    ) -> Result<LamportTime, EventTooLarge> {
        let UserEvent { name, payload, coalesce } = *event;
        self.check_len(name.len() + payload.unwrap_or_default().len(), false)?;
        let ltime = self.event_clock.time();
        let event = Message { ltime, name, payload: payload.map(Bytes::from), coalesce };
        let mut encoded = Vec::new();
        self.codec.encode_serf_user_event(&event, &mut encoded);
        self.check_len(encoded.len(), true)?;
        self.event_clock.increment();
        self.handle_user_event(cx, &event);
        self.queue_user_event(cx, swim, &encoded);
        Ok(ltime)
    }

    fn check_len(&self, len: usize, encoded: bool) -> Result<(), EventTooLarge> {
        for (max, configured) in [(self.config.user_event_size_limit, true), (USER_EVENT_LEN_MAX, false)] {
            if len > max {
                return Err(EventTooLarge { len, max, encoded, configured });
            }
        }
        Ok(())
    }

    /// Somebody's application has something to say. Whether others should hear it from us: if we had not heard it yet.
    /// What is known costs a look-up.
    pub(super) fn handle_user_event(&mut self, cx: &mut Cx<'_>, event: &Message<'_>) -> bool {
        let Message { ltime, name, coalesce, .. } = *event;
        let payload = event.payload.as_deref();
        if !self.event_clock.witness(ltime) {
            cx.stats.lamport_times_refused += 1;
            return false;
        }
        let current = self.event_clock.time();
        match self.user_events.remember(&self.config, current, ltime, name, payload) {
            Verdict::New => {
                cx.stats.user_events += 1;
                self.snapshot.on_user_event(cx.stats, ltime);
                self.tell_user(cx, ltime, name, payload, coalesce);
                true
            }
            Verdict::Known | Verdict::Unwanted => false,
            Verdict::TooOld => {
                log_some!(cx, WARN, "user_event_old", event = Escaped(name), time = ltime, current = current);
                cx.stats.user_events_old += 1;
                false
            }
            Verdict::OverLimit => {
                cx.stats.user_events_over_limit += 1;
                false
            }
        }
    }

    /// Takes in the ring of another node. Its clock has been witnessed; with `ignore_old`, what happened before is not
    /// wanted.
    pub(super) fn merge_user_events(&mut self, cx: &mut Cx<'_>, state: &PushPullState<'_>, ignore_old: bool) {
        // Their clock is not ahead of ours any more, unless it was refused.
        if ignore_old && state.clocks.event <= self.event_clock.time() {
            self.user_events.ignore_before(state.clocks.event);
        }
        for slot in state.events.clone() {
            for event in slot.events {
                let event = Message { ltime: slot.ltime, name: event.name, payload: event.payload, coalesce: false };
                self.handle_user_event(cx, &event);
            }
        }
    }

    /// Spreads an encoded user event.
    pub(super) fn queue_user_event(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, encoded: &[u8]) {
        if !self.fits(cx, encoded) {
            return; // Full state exchanges will carry it.
        }
        self.user_events.broadcasts.insert(None, None, |buf| buf.extend_from_slice(encoded));
        self.bound(cx, Queue::UserEvents);
        swim.arm_gossip(cx);
    }

    /// Hands a user event to the application, now or with others like it.
    fn tell_user(&mut self, cx: &mut Cx<'_>, ltime: LamportTime, name: &[u8], payload: Option<&[u8]>, coalesce: bool) {
        let Self { events, user_coalescer, .. } = self;
        if coalesce && user_coalescer.is_on() {
            user_coalescer.hold(cx, events, ltime, name, payload);
            return;
        }
        events.push(cx.stats, || Event::User { ltime, name: name.into(), payload: payload.map(Into::into), coalesce });
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::string::ToString;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::serf::tests::Scene;
    use crate::wire::codec::Codec;

    fn small() -> Config {
        Config { event_buffer: 4, events_per_time_max: 3, event_bytes_max: 1000, ..Config::default() }
    }

    fn hear(scene: &mut Scene, time: u64, name: &str) -> bool {
        let event = Message { ltime: LamportTime(time), name: name.as_bytes(), payload: None, coalesce: true };
        let news = scene.serf.handle_user_event(&mut scene.parts.cx(), &event);
        scene.serf.check();
        news
    }

    /// Time and name of the user events told since the last call.
    fn told(scene: &mut Scene) -> Vec<(u64, Vec<u8>)> {
        core::iter::from_fn(|| scene.serf.poll_event())
            .filter_map(|event| {
                let Event::User { ltime, name, .. } = event else { return None };
                Some((ltime.0, name.into()))
            })
            .collect()
    }

    /// serf-layer.md 9; with this name, the encoding adds 34 bytes to the payload.
    #[test]
    fn what_is_too_long_is_not_sent() {
        let before = |max| Err(alloc::format!("user event exceeds {max} bytes before encoding"));
        let after = |max| Err(alloc::format!("encoded user event exceeds {max} bytes after encoding"));
        #[rustfmt::skip]
        let table = [
            // limit   payload   answer
            (512,      10,       Ok(LamportTime(1))),
            (512,      478,      Ok(LamportTime(1))),
            (512,      479,      after("configured limit of 512")),
            (512,      505,      after("configured limit of 512")),
            (512,      508,      after("configured limit of 512")),
            (512,      509,      before("configured limit of 512")),
            (9216,     9182,     Ok(LamportTime(1))),
            (9216,     9212,     after("configured limit of 9216")),
            (20_000,   9182,     Ok(LamportTime(1))),
            (20_000,   9183,     after("reasonable limit of 9216")),
            (20_000,   9213,     before("sane limit of 9216")),
        ];
        for (limit, payload, answer) in table {
            let config = Config { user_event_size_limit: limit, ..Config::default() };
            let mut scene = Scene::of(config, Codec::Serf);
            let payload = vec![b'x'; payload];
            let event = UserEvent { name: b"edge", payload: Some(&payload), coalesce: false };
            let sent = scene.serf.user_event(&mut scene.parts.cx(), &mut scene.swim, &event);
            let len = payload.len();
            assert_eq!(sent.map_err(|error| error.to_string()), answer, "{len} bytes, limit {limit}");
            let went_out = usize::from(sent.is_ok());
            assert_eq!((told(&mut scene).len(), scene.serf.event_queue_len()), (went_out, went_out));
            assert_eq!(scene.serf.times().1.0, 1 + went_out as u64);
        }
    }

    #[test]
    fn our_own_is_told_at_once_and_spread() {
        let mut scene = Scene::of(Config::default(), Codec::Serf);
        scene.alive(1, b"");
        while scene.serf.poll_event().is_some() {}
        let event = UserEvent { name: b"deploy", payload: Some(b"v1.2"), coalesce: true };
        assert_eq!(scene.serf.user_event(&mut scene.parts.cx(), &mut scene.swim, &event), Ok(LamportTime(1)));
        let told = Event::User {
            ltime: LamportTime(1),
            name: b"deploy"[..].into(),
            payload: Some(b"v1.2"[..].into()),
            coalesce: true,
        };
        assert_eq!(scene.serf.poll_event(), Some(told));
        // As captured from serf 0.9.4, see tests/vectors/serf/user-messages.json.
        let captured = b"\x03\x84\xa2CC\xc3\xa5LTime\x01\xa4Name\xa6deploy\xa7Payload\xa4v1.2";
        assert_eq!(scene.said(), [captured.to_vec()]);
        assert!(scene.parts.timers.deadline(crate::timers::Timer::GossipTick).is_some());
        scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, captured);
        assert_eq!(scene.serf.poll_event(), None, "it comes back to us");
    }

    /// A ring of four times: what is new is told and passed on, once.
    #[test]
    fn the_ring() {
        #[rustfmt::skip]
        let table = [
            // time   name   news?
            (1,       "a",   true),
            (1,       "a",   false),   // known
            (1,       "b",   true),    // another of the same time
            (1,       "a",   false),
            (4,       "a",   true),
            (1,       "c",   true),    // the clock is at 5: four back is not too old
            (5,       "a",   true),    // takes the place of 1
            (1,       "d",   false),   // too old
            (2,       "a",   true),
            (9,       "a",   true),    // takes the place of 5
            (5,       "a",   false),   // too old now
            (6,       "a",   true),
            (0,       "a",   false),
        ];
        let mut scene = Scene::of(small(), Codec::Native);
        for (time, name, news) in table {
            assert_eq!(hear(&mut scene, time, name), news, "{name} of {time}");
            assert_eq!(told(&mut scene).len(), usize::from(news), "{name} of {time}");
        }
        let stats = &scene.parts.stats;
        assert_eq!((stats.user_events, stats.user_events_old), (8, 3));
    }

    /// The payload makes a difference, but none and an empty one are the same; whether it may be coalesced makes none.
    #[test]
    fn what_makes_an_event() {
        let mut scene = Scene::of(small(), Codec::Native);
        let table = [
            ("ab", None, true),
            ("ab", Some(""), false),
            ("a", Some("b"), true),
            ("a", Some("c"), true),
            ("a", Some("b"), false),
            ("", Some("ab"), false), // a fourth would be one too many; this is known to be new
        ];
        for (name, payload, news) in table {
            let payload = payload.map(|payload| Bytes::from(payload.as_bytes()));
            let event = Message { ltime: LamportTime(1), name: name.as_bytes(), payload, coalesce: !news };
            assert_eq!(scene.serf.handle_user_event(&mut scene.parts.cx(), &event), news, "{event:?}");
        }
        assert_eq!(scene.parts.stats.user_events_over_limit, 1);
    }

    #[test]
    fn memory_is_bounded() {
        // Of one time.
        let mut scene = Scene::of(small(), Codec::Native);
        for (name, news) in [("a", true), ("b", true), ("c", true), ("d", false), ("c", false)] {
            assert_eq!(hear(&mut scene, 1, name), news, "{name}");
        }
        assert_eq!(scene.parts.stats.user_events_over_limit, 1);
        assert!(hear(&mut scene, 2, "d"), "another time is another slot");

        // In all: the oldest go, and are not taken for new afterwards.
        let name = "x".repeat(500 - EVENT_OVERHEAD);
        let mut scene = Scene::of(small(), Codec::Native);
        for time in [2, 3] {
            assert!(hear(&mut scene, time, &name), "two fill it exactly");
        }
        assert!(!hear(&mut scene, 1, "a"), "and nothing older makes room");
        assert_eq!(scene.parts.stats.user_events_over_limit, 1);
        assert!(hear(&mut scene, 4, "a"), "what is newer does");
        assert!(!hear(&mut scene, 2, &name) && !hear(&mut scene, 2, "b"), "nobody knows whether these were told");
        assert!(!hear(&mut scene, 3, &name));

        // No Serf node sends longer ones.
        let config = Config { event_bytes_max: usize::MAX, ..Config::default() };
        let mut scene = Scene::of(config, Codec::Native);
        assert!(hear(&mut scene, 1, &"x".repeat(USER_EVENT_LEN_MAX)));
        assert!(!hear(&mut scene, 1, &"x".repeat(USER_EVENT_LEN_MAX + 1)));
    }

    /// The queue holds so many; and what no packet can hold does not wait in it for ever.
    #[test]
    fn spreading_is_bounded() {
        let config = Config { queue_depth_max: 2, ..Config::default() };
        let mut scene = Scene::of(config, Codec::Native);
        scene.serf.set_message_len_max(20);
        for name in ["a", "b", "c", "this does not fit into twenty bytes"] {
            let event = UserEvent { name: name.as_bytes(), payload: None, coalesce: false };
            assert!(scene.serf.user_event(&mut scene.parts.cx(), &mut scene.swim, &event).is_ok());
        }
        assert_eq!(scene.serf.event_queue_len(), 2);
        assert_eq!((scene.parts.stats.broadcasts_over_limit, scene.parts.stats.broadcasts_too_long), (1, 1));
        assert_eq!(told(&mut scene).len(), 4);

        let event = UserEvent { name: b"just fits", payload: None, coalesce: false };
        let said = |room| {
            let mut scene = Scene::of(Config::default(), Codec::Native);
            scene.alive(1, b"");
            scene.serf.set_message_len_max(room);
            scene.serf.user_event(&mut scene.parts.cx(), &mut scene.swim, &event).unwrap();
            (scene.said().first().map(Vec::len), scene.parts.stats.broadcasts_too_long)
        };
        let len = said(usize::MAX).0.unwrap();
        assert_eq!(said(len), (Some(len), 0));
        assert_eq!(said(len - 1), (None, 1));
    }

    #[test]
    fn intents_go_first() {
        let mut scene = Scene::of(Config::default(), Codec::Native);
        let event = UserEvent { name: b"a long name, which goes first", payload: None, coalesce: false };
        scene.serf.user_event(&mut scene.parts.cx(), &mut scene.swim, &event).unwrap();
        scene.serf.broadcast_join(&mut scene.parts.cx(), &mut scene.swim);
        let kinds: Vec<u8> = scene.said().iter().map(|body| body[0]).collect();
        assert_eq!(kinds, [1, 3]);
    }

    /// Full state exchanges repeat what is remembered, uncoalesced and not passed on; a joiner may not want it, and then
    /// does not want it from others either.
    #[test]
    fn rings_are_merged() {
        for codec in [Codec::Native, Codec::Serf] {
            let mut theirs = Scene::of(Config::default(), codec);
            for (time, name) in [(3, "b"), (3, "a"), (1, "c"), (513, "d")] {
                assert!(hear(&mut theirs, time, name));
            }
            let mut state = Vec::new();
            theirs.serf.encode_state(&theirs.parts.roster, usize::MAX, &mut state);

            let mut ours = Scene::of(Config::default(), codec);
            ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, &state, false);
            let events: Vec<_> = core::iter::from_fn(|| ours.serf.poll_event()).collect();
            let expected = [(513, "d"), (3, "b"), (3, "a")].map(|(time, name)| Event::User {
                ltime: LamportTime(time),
                name: name.as_bytes().into(),
                payload: None,
                coalesce: false,
            });
            assert_eq!(events, expected, "by slot, and within one as they were heard");
            assert_eq!((ours.serf.times().1, ours.serf.event_queue_len()), (LamportTime(514), 0));
            ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, &state, false);
            assert_eq!(ours.serf.poll_event(), None);
            let mut again = Vec::new();
            ours.serf.encode_state(&ours.parts.roster, usize::MAX, &mut again);
            assert_eq!(again.len(), state.len());

            let mut ours = Scene::of(Config::default(), codec);
            ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, &state, true);
            ours.serf.merge(&mut ours.parts.cx(), &mut ours.swim, &state, false);
            assert_eq!(ours.serf.poll_event(), None);
            assert!(!hear(&mut ours, 513, "e") && hear(&mut ours, 514, "e"), "what comes afterwards is wanted");
        }
    }

    /// What decides whether they are sent in a full state is no less than what they take there.
    #[test]
    fn their_length_is_not_underestimated() {
        for codec in [Codec::Native, Codec::Serf] {
            let mut scene = Scene::of(Config::default(), codec);
            let state_len = |scene: &Scene| {
                let mut state = Vec::new();
                scene.serf.encode_state(&scene.parts.roster, usize::MAX, &mut state);
                state.len()
            };
            let without = state_len(&scene);
            for time in 0..512 {
                assert!(hear(&mut scene, (1 << 62) + time, ""));
            }
            let (taken, len_max) = (state_len(&scene) - without, scene.serf.user_events.len_max());
            assert!((1024..=len_max).contains(&taken), "{codec:?}: {taken} of {len_max}");
        }
    }

    /// There the clock is no longer past what it has heard, and the time a whole ring before the last has its slot, too.
    #[test]
    fn the_last_time_keeps_its_slot() {
        let mut events = UserEvents::new();
        let last = LamportTime(u64::MAX);
        let mut remember = |time, name: &[u8]| events.remember(&small(), last, time, name, None);
        assert_eq!(remember(last, b"a"), Verdict::New);
        assert_eq!(remember(LamportTime(last.0 - 4), b"b"), Verdict::TooOld);
        assert_eq!(remember(LamportTime(last.0 - 3), b"b"), Verdict::New);
        assert_eq!(remember(last, b"a"), Verdict::Known);
    }

    proptest! {
        /// Whatever comes, in whatever order and however often: nothing is told twice, and what is recent and within the
        /// bounds is told.
        #[test]
        fn once(heard in prop::collection::vec((0u64..40, 0usize..5), 1..200)) {
            let names = ["a", "b", "c", "d", "e"];
            let config = Config { events_per_time_max: 5, event_bytes_max: 10_000, ..small() };
            let (mut scene, mut model, mut clock) = (Scene::of(config, Codec::Native), BTreeSet::new(), 1);
            for (time, name) in heard {
                clock = clock.max(time + 1);
                let expected = time + 4 >= clock && !model.contains(&(time, name));
                prop_assert_eq!(hear(&mut scene, time, names[name]), expected);
                if expected { model.insert((time, name)); }
                prop_assert_eq!(told(&mut scene).len(), usize::from(expected));
            }
        }

        /// With little memory some is lost, but nothing is told twice, either.
        #[test]
        fn at_most_once(heard in prop::collection::vec((0u64..12, 0usize..5, 1usize..400), 1..200)) {
            let (mut scene, mut model) = (Scene::of(small(), Codec::Native), BTreeSet::new());
            for (time, name, len) in heard {
                let name = ["a", "b", "c", "d", "e"][name].repeat(len / 100 * 100 + 1);
                if hear(&mut scene, time, &name) {
                    prop_assert!(model.insert((time, name)), "told twice");
                }
                told(&mut scene);
            }
        }
    }
}
