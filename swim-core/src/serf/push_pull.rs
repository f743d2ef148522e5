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
    /// Appends our state, in `len_max` bytes at most if that is enough for what it has without members and events. Who
    /// has failed or left is remembered for a day, by everybody, and as long as somebody makes members up they may be
    /// more than any receiver takes: what of it matters less is then left out. Returns how many members and events are.
    pub(crate) fn encode_state(&self, roster: &Roster, len_max: usize, out: &mut Vec<u8>) -> u64 {
        let (fitting, left_out) = self.fitting(roster, len_max);
        let (member, event, query) = self.times();
        let sent = || self.records.iter().filter(|(_, record)| Part::of(record) < fitting);
        let statuses = Counted {
            len: if fitting >= Part::UserEvents { self.records.len() } else { sent().count() },
            iter: sent().map(|(id, record)| (roster.slot(id).name.as_bytes(), record.status_time)),
        };
        // Whoever is leaving is listed, too (not by Serf): among the statuses alone it would read as one who has joined.
        // One that is not leaving after all hears of it here, and says so; otherwise nobody would ever ask it, as long
        // as its last join and the leave that we believe in have the same time.
        let leavers = || sent().filter(|(_, record)| is_leaving(record));
        let left = Counted { len: leavers().count(), iter: leavers().map(|(id, _)| roster.slot(id).name.as_bytes()) };
        let events = (0..self.config.event_buffer)
            .map(|index| self.user_events.slot(index).filter(|_| fitting > Part::UserEvents))
            .map(|slot| slot.map(|slot| (slot.time, slot.events())));
        self.codec.encode_serf_push_pull(&Clocks { member, event, query }, statuses, left, events, out);
        left_out
    }

    /// The first part of our state that does not fit any more, and how much is in it and those behind it.
    fn fitting(&self, roster: &Roster, len_max: usize) -> (Part, u64) {
        let mut parts = [Part::There, Part::Failed, Part::Left, Part::UserEvents].map(|part| (part, 0, 0));
        for (id, record) in self.records.iter() {
            let (_, len, count) = &mut parts[Part::of(&record) as usize];
            let times = 1 + usize::from(is_leaving(&record));
            *len += times * (roster.slot(id).name.as_bytes().len() + NAME_OVERHEAD_MAX);
            *count += 1;
        }
        parts[Part::UserEvents as usize].1 = self.user_events.len_max();
        let mut room = len_max.saturating_sub(REST_LEN_MAX + self.config.event_buffer);
        for (n, (part, len, _)) in parts.into_iter().enumerate() {
            if len > room {
                parts[Part::UserEvents as usize].2 = self.user_events.len();
                return (part, parts[n..].iter().map(|(.., count)| *count as u64).sum());
            }
            room -= len;
        }
        (Part::None, 0)
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

/// What a state consists of, what matters most first. What does not fit is left out from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Members that are there.
    There,
    Failed,
    Left,
    UserEvents,
    /// Behind all of them.
    None,
}

impl Part {
    /// To which a member belongs.
    fn of(record: &Record) -> Self {
        match record.status {
            Some(Status::Failed) => Self::Failed,
            Some(Status::Left) => Self::Left,
            Some(Status::Alive | Status::Leaving) | None => Self::There,
        }
    }
}

fn is_leaving(record: &Record) -> bool {
    matches!(record.status, Some(Status::Left | Status::Leaving))
}

/// What a name, and the time that goes with it, take besides its bytes, on either wire.
const NAME_OVERHEAD_MAX: usize = 16;
/// The clocks, and the names and lengths of the lists. A slot of the ring that is empty takes a byte more.
const REST_LEN_MAX: usize = 128;

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
    use alloc::format;

    use super::*;
    use crate::serf::config::Config;
    use crate::serf::tests::Scene;
    use crate::swim::updates::Origin;
    use crate::testing::{accusation, address, alive};
    use crate::wire::codec::Codec;
    use crate::wire::message::Bytes;
    use crate::wire::serf::{Leave, UserEvent};

    /// With less and less room user events go first, then those who have left, those who have failed, and in the end
    /// everybody; what is left out is counted, and what is not fits.
    #[test]
    fn what_does_not_fit_is_left_out() {
        for codec in [Codec::Native, Codec::Serf] {
            let mut scene = Scene::of(Config { event_buffer: 32, ..Config::default() }, codec);
            let names = ["there", "leaving", "failed", "left", "left, too"].map(|name| format!("{name:x<128}"));
            for (name, n) in names.iter().zip(2..) {
                let claim = alive(name, 5, address(n), b"");
                scene.swim.handle_alive(&mut scene.parts.cx(), &claim, Origin::Exchange);
                scene.settle();
            }
            let intends = [(1, false, 1 << 20), (3, false, 1 << 25), (4, false, 1 << 30)];
            for (at, prune, time) in intends {
                let leave = Leave { ltime: LamportTime(time), node: names[at].as_bytes(), prune };
                assert!(scene.serf.handle_leave_intent(&mut scene.parts.cx(), &mut scene.swim, &leave));
            }
            for name in &names[2..] {
                scene.swim.handle_dead(&mut scene.parts.cx(), &accusation(name, 5, "c"));
                scene.settle();
            }
            for (time, name, payload) in [(1 << 30, "deploy", &[0; 300]), ((1 << 30) + 1, "deploy", &[1; 300])] {
                let (ltime, name, payload) = (LamportTime(time), name.as_bytes(), Some(Bytes::from(&payload[..])));
                let event = UserEvent { ltime, name, payload, coalesce: false };
                assert!(scene.serf.handle_user_event(&mut scene.parts.cx(), &event));
            }

            let mut seen = Vec::new();
            for len_max in (0..4000).rev() {
                let mut bytes = Vec::new();
                let left_out = scene.serf.encode_state(&scene.parts.roster, len_max, &mut bytes);
                let Ok(SerfMessage::PushPull(state)) = codec.decode_serf(&bytes) else { panic!("it is one") };
                let (statuses, left) = (state.statuses.count(), state.left.count());
                let events = state.events.map(|slot| slot.events.count()).sum::<usize>();
                assert!(bytes.len() <= len_max || statuses == 0, "{} in {len_max}", bytes.len());
                if seen.last() != Some(&(statuses, left, events, left_out)) {
                    seen.push((statuses, left, events, left_out));
                }
            }
            // We are one of those who are there.
            assert_eq!(seen, [(6, 3, 2, 0), (6, 3, 0, 2), (4, 1, 0, 4), (3, 1, 0, 5), (0, 0, 0, 8)], "{codec:?}");
        }
    }

    /// Slots of the ring that are empty take no room.
    #[test]
    fn one_event_in_a_large_ring_is_sent() {
        let event_buffer = crate::node::config::BUFFER_MAX;
        let mut scene = Scene::of(Config { event_buffer, ..Config::default() }, Codec::Serf);
        let event = UserEvent { ltime: LamportTime(9), name: b"deploy", payload: None, coalesce: false };
        assert!(scene.serf.handle_user_event(&mut scene.parts.cx(), &event));
        let room = crate::wire::framing::message_len_max(Codec::Serf);
        let mut bytes = Vec::new();
        assert_eq!(scene.serf.encode_state(&scene.parts.roster, room, &mut bytes), 0);
        assert!(bytes.windows(6).any(|window| window == b"deploy"));
    }

    #[test]
    fn what_is_counted_is_there() {
        let mut counted = Counted { len: 2, iter: [7, 8].into_iter() };
        for (len, next) in [(2, Some(7)), (1, Some(8)), (0, None), (0, None)] {
            assert_eq!((counted.len(), counted.next()), (len, next));
        }
    }
}
