//! Every deadline of one node, in one place.

use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::ids::{LamportTime, MemberId, QueryId, SequenceNumber, StreamId};
use crate::time::Instant;

/// All that ever happens by itself. Equal deadlines fire in the order of declaration: what ends comes before what
/// begins, so that a probe that fails exactly at the next tick is over when that tick starts another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// The direct ack is overdue: ask relays.
    ProbeDirect,
    /// The whole probe is over.
    ProbeEnd,
    /// A target pinged for somebody else did not answer.
    Relay(SequenceNumber),
    /// A member pinged for the application did not answer.
    Ping(SequenceNumber),
    /// A suspicion has run its time.
    Suspicion(MemberId),
    /// A stream has taken too long.
    Stream(StreamId),
    /// A query of ours, by its time and its identifier, is over.
    Query(LamportTime, u32),
    /// A query of somebody else can no longer be answered.
    PendingQuery(QueryId),
    /// The leave goes on, whether or not the news has spread.
    Leave,
    /// Stop waiting for the broadcast of new tags.
    Update,
    /// A member that is to be forgotten has had its time to leave.
    Prune(MemberId),
    /// Serf looks for members and intents to forget.
    Reap,
    /// Serf tries to reach a failed member.
    Reconnect,
    /// Serf looks for seeds and remembered members to try.
    Heal,
    /// Serf looks whether its queues are still long.
    QueueCheck,
    /// What happened to members has been held back long enough.
    FlushMembers,
    /// User events have been held back long enough.
    FlushUserEvents,
    /// The snapshot may say the member clock again.
    Snapshot,
    /// Time for the next probe.
    ProbeTick,
    /// Time for a full state exchange.
    PushPullTick,
    /// Time to gossip; armed only while there is something to send.
    GossipTick,
}

impl Timer {
    /// The place of a timer of which there is one: known without looking it up.
    fn fixed(self) -> Option<u32> {
        match self {
            Self::Relay(_)
            | Self::Ping(_)
            | Self::Suspicion(_)
            | Self::Stream(_)
            | Self::Query(..)
            | Self::PendingQuery(_)
            | Self::Prune(_) => None,
            Self::ProbeDirect => Some(0),
            Self::ProbeEnd => Some(1),
            Self::ProbeTick => Some(2),
            Self::PushPullTick => Some(3),
            Self::GossipTick => Some(4),
            Self::Leave => Some(5),
            Self::Update => Some(6),
            Self::Reap => Some(7),
            Self::Reconnect => Some(8),
            Self::Heal => Some(9),
            Self::QueueCheck => Some(10),
            Self::FlushMembers => Some(11),
            Self::FlushUserEvents => Some(12),
            Self::Snapshot => Some(13),
        }
    }
}

/// A binary min-heap that knows where each timer sits, so that re-arming moves an entry in place. All parts keep their
/// capacity: a steady state allocates nothing.
///
/// An entry carries the number under which its place is kept, so that moving it is two writes; only timers of which
/// there may be many have theirs looked up.
#[derive(Debug)]
pub(crate) struct Timers {
    heap: Vec<Entry>,
    /// Where in the heap the entry of each number is: first those of the fixed timers.
    places: Vec<u32>,
    numbers: HashMap<Timer, u32, FixedState>, // look-up only, never iterated
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Instant,
    timer: Timer,
    number: u32,
}

impl Entry {
    fn is_before(&self, other: &Self) -> bool {
        (self.at, self.timer) < (other.at, other.timer)
    }
}

impl Timers {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self {
            heap: Vec::new(),
            places: alloc::vec![NOWHERE; FIXED],
            numbers: HashMap::with_hasher(FixedState::with_seed(hash_seed)),
            free: Vec::new(),
        }
    }

    /// Arms `timer`, replacing its earlier deadline if it had one. O(log timers).
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        let number = self.number(timer).unwrap_or_else(|| self.allocate(timer));
        let index = match self.places[number as usize] {
            NOWHERE => {
                self.heap.push(Entry { at, timer, number });
                self.places[number as usize] = self.heap.len() as u32 - 1;
                self.heap.len() - 1
            }
            index => {
                self.heap[index as usize].at = at;
                index as usize
            }
        };
        let index = self.sift_up(index);
        self.sift_down(index);
    }

    /// Forgets `timer`; whether it was armed.
    pub(crate) fn disarm(&mut self, timer: Timer) -> bool {
        match self.number(timer).map(|number| self.places[number as usize]) {
            None | Some(NOWHERE) => false,
            Some(index) => {
                self.remove(index as usize);
                true
            }
        }
    }

    /// Takes the earliest timer due at `now`; equal deadlines fire in the order `Timer` declares.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let &Entry { at, timer, .. } = self.heap.first()?;
        if now < at {
            return None;
        }
        self.remove(0);
        Some(timer)
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.at)
    }

    /// When `timer` will fire.
    pub(crate) fn deadline(&self, timer: Timer) -> Option<Instant> {
        let index = self.places[self.number(timer)? as usize];
        self.heap.get(index as usize).map(|entry| entry.at)
    }

    fn number(&self, timer: Timer) -> Option<u32> {
        timer.fixed().or_else(|| self.numbers.get(&timer).copied())
    }

    /// A number for a timer that has none.
    fn allocate(&mut self, timer: Timer) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(NOWHERE);
            self.places.len() as u32 - 1
        });
        self.numbers.insert(timer, number);
        number
    }

    fn remove(&mut self, index: usize) {
        let Entry { timer, number, .. } = self.heap.swap_remove(index);
        self.places[number as usize] = NOWHERE;
        if timer.fixed().is_none() {
            self.numbers.remove(&timer);
            self.free.push(number);
        }
        if let Some(moved) = self.heap.get(index) {
            self.places[moved.number as usize] = index as u32;
            let index = self.sift_up(index);
            self.sift_down(index);
        }
    }

    fn sift_up(&mut self, mut index: usize) -> usize {
        while index > 0 {
            let parent = (index - 1) / 2;
            if !self.heap[index].is_before(&self.heap[parent]) {
                break;
            }
            self.swap(parent, index);
            index = parent;
        }
        index
    }

    fn sift_down(&mut self, mut index: usize) {
        loop {
            let left = 2 * index + 1;
            let Some(child) = self.heap.get(left) else { return };
            let least = match self.heap.get(left + 1) {
                Some(right) if right.is_before(child) => left + 1,
                Some(_) | None => left,
            };
            if !self.heap[least].is_before(&self.heap[index]) {
                return;
            }
            self.swap(index, least);
            index = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.places[self.heap[a].number as usize] = a as u32;
        self.places[self.heap[b].number as usize] = b as u32;
    }
}

/// How many timers there is only one of: see [`Timer::fixed`].
const FIXED: usize = 14;
/// The place of a timer that is not armed.
const NOWHERE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn equal_deadlines_fire_in_declared_order() {
        let mut timers = Timers::new(1);
        for timer in [Timer::GossipTick, Timer::ProbeTick, Timer::Relay(SequenceNumber(2)), Timer::ProbeEnd] {
            timers.arm(timer, at(7));
        }
        timers.arm(Timer::Relay(SequenceNumber(1)), at(7));
        assert_eq!(timers.pop_due(at(6)), None);
        let fired: Vec<_> = core::iter::from_fn(|| timers.pop_due(at(7))).collect();
        assert_eq!(
            fired,
            [
                Timer::ProbeEnd,
                Timer::Relay(SequenceNumber(1)),
                Timer::Relay(SequenceNumber(2)),
                Timer::ProbeTick,
                Timer::GossipTick
            ]
        );
    }

    #[test]
    fn rearming_replaces_and_disarming_is_exact() {
        let mut timers = Timers::new(1);
        timers.arm(Timer::ProbeEnd, at(5));
        timers.arm(Timer::ProbeEnd, at(9));
        assert_eq!(timers.deadline(Timer::ProbeEnd), Some(at(9)));
        assert_eq!(timers.pop_due(at(8)), None);
        assert!(timers.disarm(Timer::ProbeEnd));
        assert!(!timers.disarm(Timer::ProbeEnd));
        assert_eq!(timers.pop_due(at(100)), None);
    }

    /// Two of them on one place would replace each other.
    #[test]
    fn fixed_places_are_apart() {
        use Timer::*;
        let all = [
            ProbeDirect,
            ProbeEnd,
            ProbeTick,
            PushPullTick,
            GossipTick,
            Leave,
            Update,
            Reap,
            Reconnect,
            Heal,
            QueueCheck,
            FlushMembers,
            FlushUserEvents,
            Snapshot,
        ];
        let places: BTreeMap<_, _> = all.iter().map(|timer| (timer.fixed(), timer)).collect();
        assert_eq!(places.len(), FIXED);
        assert!(places.keys().all(|place| place.is_some_and(|place| (place as usize) < FIXED)));
    }

    proptest! {
        /// Timers fire in order, never twice and never early, whatever was armed and disarmed before: the same as a
        /// sorted map would do it.
        #[test]
        fn behaves_like_a_sorted_map(ops in prop::collection::vec((0u32..40, 0u64..100, 0u8..4), 1..200)) {
            let mut timers = Timers::new(3);
            let mut model: BTreeMap<Timer, Instant> = BTreeMap::new();
            for (which, when, op) in ops {
                let timer = match which {
                    0 => Timer::ProbeEnd,
                    1 => Timer::GossipTick,
                    2 => Timer::Snapshot,
                    _ => Timer::Suspicion(MemberId(which)),
                };
                match op {
                    0 => prop_assert_eq!(timers.disarm(timer), model.remove(&timer).is_some()),
                    1 => {
                        let due = model.iter().map(|(timer, at)| (*at, *timer)).min().filter(|(due, _)| *due <= at(when));
                        prop_assert_eq!(timers.pop_due(at(when)), due.map(|(_, timer)| timer));
                        if let Some((_, timer)) = due { model.remove(&timer); }
                    }
                    _ => { timers.arm(timer, at(when)); model.insert(timer, at(when)); }
                }
                prop_assert_eq!(timers.next(), model.values().min().copied());
                prop_assert_eq!(timers.deadline(timer), model.get(&timer).copied());
            }
        }
    }
}
