//! The member table: what SWIM knows of everybody, and the orders in which it goes through them.

use alloc::vec::Vec;
use core::time::Duration;

use crate::ids::{Incarnation, MemberId};
use crate::rng::Rng;
use crate::roster::push_tight;
use crate::time::Instant;
use crate::wire::message::State;

/// Records by slot, and two lists: those to probe (alive and suspect others) and the departed (dead and left).
///
/// The local member has a record but is in neither list.
#[derive(Debug)]
pub(crate) struct Table {
    records: Vec<Record>,
    /// Where each slot stands in `order` or in `departed`, by its state.
    places: Vec<u32>,
    /// Shuffled as it is walked: what lies before `next` has had its turn in this round (SWIM §4.3).
    order: Vec<MemberId>,
    next: usize,
    departed: Vec<MemberId>,
    local: MemberId,
}

/// What SWIM knows of one member. Four of them fill a cache line, and none lies in two.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub(crate) struct Record {
    pub(crate) incarnation: Incarnation,
    /// `None`: SWIM does not know this slot.
    pub(crate) state: Option<State>,
    /// When the state last changed.
    pub(crate) since: Instant,
}

const _: () = assert!(size_of::<Record>() == 16);

const UNKNOWN: Record = Record { incarnation: Incarnation::NONE, state: None, since: Instant::ZERO };

impl Table {
    pub(crate) fn new(local: MemberId) -> Self {
        let (records, places, order, departed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut table = Self { records, places, order, next: 0, departed, local };
        table.grow(local);
        table.records[local.index()] = Record { state: Some(State::Alive), ..UNKNOWN };
        table
    }

    /// Takes in a member that is alive. It gets a random place in the round (SWIM §4.3).
    pub(crate) fn insert(&mut self, id: MemberId, incarnation: Incarnation, now: Instant, rng: &mut Rng) {
        debug_assert!(self.state(id).is_none(), "{id:?} is in the table already");
        self.grow(id);
        self.records[id.index()] = Record { incarnation, state: Some(State::Alive), since: now };
        self.enlist(id, rng);
    }

    /// Changes state and incarnation of a member that is in the table; `since` moves when the state changes.
    pub(crate) fn set(&mut self, id: MemberId, state: State, incarnation: Incarnation, now: Instant, rng: &mut Rng) {
        let record = &mut self.records[id.index()];
        let before = record.state;
        debug_assert!(before.is_some(), "{id:?} is in the table");
        record.incarnation = incarnation;
        if before == Some(state) {
            return;
        }
        record.state = Some(state);
        record.since = now;
        if id == self.local {
            return;
        }
        match (before.is_some_and(is_departed), is_departed(state)) {
            (false, true) => {
                self.delist(id);
                self.places[id.index()] = self.departed.len() as u32;
                self.departed.push(id);
            }
            (true, false) => {
                self.remove_departed(id);
                self.enlist(id, rng);
            }
            (false, false) | (true, true) => {}
        }
    }

    /// Forgets the departed whose state has not changed for longer than `time`, and hands each to `forget`.
    pub(crate) fn reap(&mut self, now: Instant, time: Duration, mut forget: impl FnMut(MemberId)) {
        let mut index = 0;
        while let Some(&id) = self.departed.get(index) {
            if now - self.records[id.index()].since > time {
                self.remove_departed(id);
                self.records[id.index()] = UNKNOWN;
                forget(id);
            } else {
                index += 1;
            }
        }
        if self.departed.is_empty() {
            self.departed = Vec::new();
        }
    }

    /// The next to probe; `None` at the end of a round, after which a new one begins. Each round is a fresh shuffle,
    /// made as it goes.
    pub(crate) fn next_in_round(&mut self, rng: &mut Rng) -> Option<MemberId> {
        if self.next >= self.order.len() {
            self.next = 0;
            return None;
        }
        let chosen = self.next + rng.below(self.order.len() - self.next);
        self.swap(self.next, chosen);
        self.next += 1;
        Some(self.order[self.next - 1])
    }

    /// A random member that is alive or suspect, or, if `departed`, any but the local one. There must be one.
    pub(crate) fn draw(&self, departed: bool, rng: &mut Rng) -> Option<MemberId> {
        let index = rng.below(self.others(departed));
        self.order.get(index).or_else(|| self.departed.get(index.checked_sub(self.order.len())?)).copied()
    }

    /// How many there are to draw from.
    pub(crate) fn others(&self, departed: bool) -> usize {
        self.order.len() + if departed { self.departed.len() } else { 0 }
    }

    /// The record of a slot; that of an unknown one says so.
    pub(crate) fn record(&self, id: MemberId) -> &Record {
        self.records.get(id.index()).unwrap_or(&UNKNOWN)
    }

    pub(crate) fn state(&self, id: MemberId) -> Option<State> {
        self.record(id).state
    }

    /// All records, the local one and the dead included: the n of all formulas.
    pub(crate) fn len(&self) -> usize {
        1 + self.order.len() + self.departed.len()
    }

    /// Others that are alive or suspect.
    pub(crate) fn active(&self) -> usize {
        self.order.len()
    }

    /// Everybody, by list.
    pub(crate) fn iter(&self) -> impl Iterator<Item = MemberId> {
        core::iter::once(self.local).chain(self.iter_others(true))
    }

    /// All that can be drawn.
    pub(crate) fn iter_others(&self, departed: bool) -> impl Iterator<Item = MemberId> {
        let departed = if departed { self.departed.as_slice() } else { &[] };
        self.order.iter().chain(departed).copied()
    }

    fn grow(&mut self, id: MemberId) {
        while self.records.len() <= id.index() {
            push_tight(&mut self.records, UNKNOWN);
            push_tight(&mut self.places, 0);
        }
    }

    /// Puts `id` at a random place of the round: it may already have had its turn.
    fn enlist(&mut self, id: MemberId, rng: &mut Rng) {
        let last = self.order.len();
        push_tight(&mut self.order, id);
        self.places[id.index()] = last as u32;
        if rng.below(last + 1) < self.next {
            self.swap(last, self.next);
            self.next += 1;
        }
    }

    fn delist(&mut self, id: MemberId) {
        let mut place = self.places[id.index()] as usize;
        if place < self.next {
            // Close the gap with one that has had its turn, so that nobody loses or regains one.
            self.next -= 1;
            self.swap(place, self.next);
            place = self.next;
        }
        self.swap(place, self.order.len() - 1);
        self.order.pop();
    }

    fn remove_departed(&mut self, id: MemberId) {
        let place = self.places[id.index()] as usize;
        self.departed.swap_remove(place);
        if let Some(moved) = self.departed.get(place) {
            self.places[moved.index()] = place as u32;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.order.swap(a, b);
        self.places[self.order[a].index()] = a as u32;
        self.places[self.order[b].index()] = b as u32;
    }

    /// Checked after each step of a test: lists and records agree.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn check(&self) {
        assert!(self.next <= self.order.len());
        for (list, departed) in [(&self.order, false), (&self.departed, true)] {
            for (place, id) in list.iter().enumerate() {
                assert_eq!(self.places[id.index()] as usize, place, "{id:?} knows its place");
                assert_eq!(self.state(*id).map(is_departed), Some(departed), "{id:?} is in the right list");
                assert_ne!(*id, self.local, "the local member is in no list");
            }
        }
        let known = self.records.iter().filter(|record| record.state.is_some()).count();
        assert_eq!(known, self.len(), "every record is in one list");
    }
}

fn is_departed(state: State) -> bool {
    match state {
        State::Alive | State::Suspect => false,
        State::Dead | State::Left => true,
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::rng::{Rng, Stream};

    const LOCAL: MemberId = MemberId(0);
    const ONE: Incarnation = Incarnation::FIRST;

    fn rng() -> Rng {
        Rng::new([7; 32], Stream::Targets)
    }

    #[test]
    fn a_round_probes_each_once() {
        let mut rng = rng();
        let mut table = Table::new(LOCAL);
        for id in 1..=20 {
            table.insert(MemberId(id), ONE, Instant::ZERO, &mut rng);
        }
        while table.next_in_round(&mut rng).is_some() {}
        let mut orders = Vec::new();
        for _ in 0..3 {
            let order: Vec<_> = core::iter::from_fn(|| table.next_in_round(&mut rng)).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (1..=20).map(MemberId).collect::<Vec<_>>());
            orders.push(order);
        }
        assert!(orders[0] != orders[1] && orders[1] != orders[2], "each round has its own order");
    }

    #[test]
    fn the_dead_are_remembered_for_a_while() {
        let mut rng = rng();
        let mut table = Table::new(LOCAL);
        let second = |n| Instant::after_origin(Duration::from_secs(n));
        for id in 1..=3 {
            table.insert(MemberId(id), ONE, second(0), &mut rng);
        }
        table.set(MemberId(1), State::Dead, ONE, second(10), &mut rng);
        table.set(MemberId(2), State::Left, ONE, second(11), &mut rng);
        let mut gone = Vec::new();
        table.reap(second(40), Duration::from_secs(30), |id| gone.push(id));
        assert_eq!(gone, [], "not before more than the time has passed");
        table.reap(second(41), Duration::from_secs(30), |id| gone.push(id));
        assert_eq!(gone, [MemberId(1)]);
        assert_eq!(table.state(MemberId(1)), None);
        assert_eq!(table.len(), 3);
    }

    proptest! {
        /// Records and lists agree after any sequence of changes, and within a round nobody is probed twice.
        #[test]
        fn lists_and_records_agree(ops in prop::collection::vec((1u32..12, 0u8..6), 1..300)) {
            let mut rng = rng();
            let mut table = Table::new(LOCAL);
            let mut probed: BTreeMap<MemberId, u32> = BTreeMap::new();
            for (tick, (id, op)) in ops.into_iter().enumerate() {
                let (id, now) = (MemberId(id), Instant::from_nanos(tick as u64));
                let known = table.state(id).is_some();
                match op {
                    0 if !known => table.insert(id, ONE, now, &mut rng),
                    1 if known => table.set(id, State::Suspect, ONE, now, &mut rng),
                    2 if known => { table.set(id, State::Dead, ONE, now, &mut rng); probed.remove(&id); }
                    3 if known => table.set(id, State::Alive, ONE, now, &mut rng),
                    4 => table.reap(now, Duration::from_nanos(20), |id| { probed.remove(&id); }),
                    _ => match table.next_in_round(&mut rng) {
                        Some(id) => {
                            let times = probed.entry(id).or_default();
                            *times += 1;
                            prop_assert!(*times <= 1, "{:?} probed twice in a round", id);
                        }
                        None => probed.clear(),
                    },
                }
                table.check();
            }
        }
    }
}
