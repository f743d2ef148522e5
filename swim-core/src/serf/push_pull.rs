//! What Serf adds to a full state exchange: clocks, the times of the last intents, who has left, recent user events
//! (serf-layer.md 8).

use alloc::vec::Vec;

use crate::cx::Cx;
use crate::ids::LamportTime;
use crate::roster::Roster;
use crate::serf::Serf;
use crate::serf::leave::Leaving;
use crate::serf::member::{Record, Status};
use crate::swim::Swim;
use crate::wire::serf::{Clocks, Join, SerfMessage};

impl Serf {
    /// Appends our state.
    pub(crate) fn encode_state(&self, roster: &Roster, out: &mut Vec<u8>) {
        let (member, event, query) = self.times();
        let statuses = Counted {
            len: self.records.len(),
            iter: self.records.iter().map(|(id, record)| (roster.slot(id).name.as_bytes(), record.status_time)),
        };
        // Whoever is leaving is listed, too (not by Serf): among the statuses alone it would read as one who has joined.
        // One that is not leaving after all hears of it here, and says so; otherwise nobody would ever ask it, as long
        // as its last join and the leave that we believe in have the same time.
        let is_leaving = |record: &Record| matches!(record.status, Some(Status::Left | Status::Leaving));
        let leavers = || self.records.iter().filter(|(_, record)| is_leaving(record));
        let left = Counted { len: leavers().count(), iter: leavers().map(|(id, _)| roster.slot(id).name.as_bytes()) };
        let events = (0..self.config.event_buffer)
            .map(|index| self.user_events.slot(index).map(|slot| (slot.time, slot.events())));
        self.codec.encode_serf_push_pull(&Clocks { member, event, query }, statuses, left, events, out);
    }

    /// Sets our clocks by those of a cluster that we have just come to, by the state in which one of its members has
    /// answered our dial. Whoever knew nobody before has no other way to tell how far they are, and by what right.
    pub(crate) fn adopt_clocks(&mut self, bytes: &[u8]) {
        if let Ok(SerfMessage::PushPull(state)) = self.codec.decode_serf(bytes) {
            self.clock.adopt(state.clocks.member);
            self.event_clock.adopt(state.clocks.event);
            self.query_clock.adopt(state.clocks.query);
        }
    }

    /// Takes in the state of another node. Nothing of it is passed on: whoever is new gets it the same way. Only what it
    /// says about ourselves may have to be contradicted.
    ///
    /// With `ignore_old` its user events from before now are not wanted, from nobody.
    pub(crate) fn merge(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, bytes: &[u8], ignore_old: bool) {
        let Ok(SerfMessage::PushPull(state)) = self.codec.decode_serf(bytes) else {
            cx.stats.messages_malformed += 1;
            return;
        };
        let clocks = [&mut self.clock, &mut self.event_clock, &mut self.query_clock];
        for (clock, time) in clocks.into_iter().zip([state.clocks.member, state.clocks.event, state.clocks.query]) {
            if let Some(before) = time.0.checked_sub(1)
                && !clock.witness(LamportTime(before))
            {
                cx.stats.lamport_times_refused += 1;
            }
        }
        // The leavers' times are among the statuses; sorted, so that this is not a search per member.
        let mut left: Vec<(&[u8], LamportTime)> = state.left.clone().map(|name| (name, LamportTime(0))).collect();
        left.sort_unstable_by_key(|(name, _)| *name);
        left.dedup_by_key(|(name, _)| *name);
        for (name, time) in state.statuses.clone() {
            if let Ok(index) = left.binary_search_by_key(&name, |(name, _)| *name) {
                left[index].1 = time;
            }
        }
        for (node, time) in &left {
            self.handle_listed_leave(cx, swim, node, *time);
        }
        let own = cx.roster.slot(self.local).name.clone();
        let mut contested = false;
        for (node, ltime) in state.statuses.clone() {
            if left.binary_search_by_key(&node, |(name, _)| *name).is_err() {
                let news = self.handle_join_intent(cx, &Join { ltime, node });
                contested |= news && node == own.as_bytes();
            }
        }
        if contested && self.leaving == Leaving::No {
            // Somebody has heard an intent about us that we have not: one that made us leave, for all we know. Gossip
            // passed us by, and nobody would tell us again: we would be leaving for ever, there (as in Serf).
            self.broadcast_join(cx, swim);
        }
        self.merge_user_events(cx, &state, ignore_old);
    }
}

/// An iterator whose length is known from elsewhere.
struct Counted<I> {
    len: usize,
    iter: I,
}

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let item = self.iter.next();
        self.len -= usize::from(item.is_some());
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<I: Iterator> ExactSizeIterator for Counted<I> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_there() {
        let mut counted = Counted { len: 2, iter: [7, 8].into_iter() };
        for (len, next) in [(2, Some(7)), (1, Some(8)), (0, None), (0, None)] {
            assert_eq!((counted.len(), counted.next()), (len, next));
        }
    }
}
