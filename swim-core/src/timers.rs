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

/// A binary min-heap that knows where each timer sits, so that re-arming moves an entry in place. Both parts keep their
/// capacity: a steady state allocates nothing.
#[derive(Debug)]
pub(crate) struct Timers {
    heap: Vec<(Instant, Timer)>,
    place: HashMap<Timer, u32, FixedState>, // look-up only, never iterated
}

impl Timers {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self { heap: Vec::new(), place: HashMap::with_hasher(FixedState::with_seed(hash_seed)) }
    }

    /// Arms `timer`, replacing its earlier deadline if it had one. O(log timers).
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        let index = match self.place.get(&timer) {
            Some(&index) => {
                self.heap[index as usize].0 = at;
                index as usize
            }
            None => {
                self.heap.push((at, timer));
                self.place.insert(timer, self.heap.len() as u32 - 1);
                self.heap.len() - 1
            }
        };
        let index = self.sift_up(index);
        self.sift_down(index);
    }

    /// Forgets `timer`; whether it was armed.
    pub(crate) fn disarm(&mut self, timer: Timer) -> bool {
        let Some(index) = self.place.remove(&timer) else { return false };
        let index = index as usize;
        self.heap.swap_remove(index);
        if let Some(&(_, moved)) = self.heap.get(index) {
            self.place.insert(moved, index as u32);
            let index = self.sift_up(index);
            self.sift_down(index);
        }
        true
    }

    /// Takes the earliest timer due at `now`; equal deadlines fire in the order `Timer` declares.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.heap.first()?;
        if now < at {
            return None;
        }
        self.disarm(timer);
        Some(timer)
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|&(at, _)| at)
    }

    /// When `timer` will fire.
    pub(crate) fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.place.get(&timer).map(|&index| self.heap[index as usize].0)
    }

    fn sift_up(&mut self, mut index: usize) -> usize {
        while index > 0 {
            let parent = (index - 1) / 2;
            if self.heap[parent] <= self.heap[index] {
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
            let Some(&child) = self.heap.get(left) else { return };
            let least = match self.heap.get(left + 1) {
                Some(&right) if right < child => left + 1,
                Some(_) | None => left,
            };
            if self.heap[index] <= self.heap[least] {
                return;
            }
            self.swap(index, least);
            index = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place.insert(self.heap[a].1, a as u32);
        self.place.insert(self.heap[b].1, b as u32);
    }
}

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

    proptest! {
        /// Timers fire in order, never twice and never early, whatever was armed and disarmed before: the same as a
        /// sorted map would do it.
        #[test]
        fn behaves_like_a_sorted_map(ops in prop::collection::vec((0u32..40, 0u64..100, 0u8..4), 1..200)) {
            let mut timers = Timers::new(3);
            let mut model: BTreeMap<Timer, Instant> = BTreeMap::new();
            for (which, when, op) in ops {
                let timer = Timer::Suspicion(MemberId(which));
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
            }
        }
    }
}
