//! The queue of updates that gossip and piggyback carry (SWIM §4.1): each is sent a limited number of times, those sent
//! least go first, and among these the longer ones, so that packets fill up.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::ids::{CommandId, MemberId};
use crate::roster::push_tight;

/// Encoded messages waiting to be sent, or sent again.
///
/// Entries lie in a slab, linked into one list per number of transmissions and class of length; a bit set names the
/// classes that are not empty. Inserting, replacing and taking the best that fits are O(1) whatever the queue's length,
/// and bodies keep their buffers, so a steady flow allocates nothing once each has held the longest.
///
/// Source: memberlist `queue.go`. There, longer messages go first exactly; here by classes of [`CLASS_LEN`] bytes, and
/// within one class newer ones first.
#[derive(Debug, Default)]
pub(crate) struct BroadcastQueue {
    entries: Vec<Entry>,
    free: Vec<u32>,
    tiers: Vec<Tier>,
    /// The pending entry of each member: at most one, the latest.
    by_member: Vec<u32>,
    finished: VecDeque<Notify>,
    taken: Vec<u32>,
    /// Where a message is encoded first: only then is its length known.
    scratch: Vec<u8>,
    len: usize,
}

#[derive(Debug)]
struct Entry {
    body: Vec<u8>,
    member: Option<MemberId>,
    notify: Option<Notify>,
    transmissions: u16,
    before: u32,
    after: u32,
}

/// Entries with the same number of transmissions.
#[derive(Clone, Debug)]
struct Tier {
    occupied: u64,
    heads: [u32; CLASSES],
}

/// Who waits for a broadcast to have been sent its full number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// The announcement of our own leave, SWIM's.
    Leave,
    /// The announcement of our own leave, Serf's intent.
    LeaveIntent,
    /// Our new metadata.
    Update(CommandId),
}

impl BroadcastQueue {
    /// Queues what `encode` appends. With a member it takes the place of what was pending about that member.
    pub(crate) fn insert(
        &mut self,
        member: Option<MemberId>,
        notify: Option<Notify>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut body = core::mem::take(&mut self.scratch);
        body.clear();
        encode(&mut body);
        self.insert_encoded(member, notify, &body);
        self.scratch = body;
    }

    /// As [`insert`](Self::insert), of a message that is encoded already.
    pub(crate) fn insert_encoded(&mut self, member: Option<MemberId>, notify: Option<Notify>, body: &[u8]) {
        let index = match member.and_then(|member| self.pending(member)) {
            Some(index) => {
                self.unlink(index);
                self.len -= 1;
                let displaced = self.entries[index as usize].notify.take();
                self.finished.extend(displaced);
                index
            }
            None => self.allocate(),
        };
        let entry = &mut self.entries[index as usize];
        entry.body.clear();
        entry.body.reserve_exact(body.len());
        entry.body.extend_from_slice(body);
        debug_assert!(!entry.body.is_empty(), "an empty message would end old peers");
        (entry.member, entry.notify, entry.transmissions) = (member, notify, 0);
        if let Some(member) = member {
            while self.by_member.len() <= member.index() {
                push_tight(&mut self.by_member, NONE);
            }
            self.by_member[member.index()] = index;
        }
        self.link(index);
        self.len += 1;
    }

    /// Offers entries in order to a packet with `room` bytes for the next one. `push` takes one and returns the room
    /// left. Each entry is offered at most once; one that has now been sent `limit` times is dropped.
    pub(crate) fn fill(&mut self, limit: u32, mut room: usize, mut push: impl FnMut(&[u8]) -> usize) {
        if self.is_empty() {
            return; // The usual case: each tier would be a cache line or two, for nothing.
        }
        let mut taken = core::mem::take(&mut self.taken);
        for tier in 0..self.tiers.len() {
            while let Some(index) = self.best(tier, room) {
                self.unlink(index);
                room = push(&self.entries[index as usize].body);
                taken.push(index);
            }
        }
        for index in taken.drain(..) {
            let entry = &mut self.entries[index as usize];
            entry.transmissions = entry.transmissions.saturating_add(1);
            if u32::from(entry.transmissions) >= limit {
                self.drop_unlinked(index);
            } else {
                self.link(index);
            }
        }
        self.taken = taken;
    }

    /// Drops entries from the end of the order, those sent most often first and older ones before newer, until `max` are
    /// left; how many were dropped. What somebody waits for stays.
    pub(crate) fn prune(&mut self, max: usize) -> usize {
        let before = self.len;
        let mut list = core::mem::take(&mut self.taken);
        for tier in (0..self.tiers.len()).rev() {
            for class in 0..CLASSES {
                if self.len <= max {
                    break;
                }
                self.unawaited(tier, class, &mut list);
                // The oldest are at the end.
                while self.len > max
                    && let Some(index) = list.pop()
                {
                    self.unlink(index);
                    self.drop_unlinked(index);
                }
            }
        }
        list.clear();
        self.taken = list;
        before - self.len
    }

    /// Keeps the queue within `max`: past it, drops as [`prune`](Self::prune), and more than the one too many, because
    /// pruning goes through the queue and a flood must not pay that for every message. How many were dropped.
    pub(crate) fn bound(&mut self, max: usize) -> usize {
        if self.len > max { self.prune(max - max / 8) } else { 0 }
    }

    /// Drops what is pending about a member that is being forgotten.
    pub(crate) fn forget(&mut self, member: MemberId) {
        if let Some(index) = self.pending(member) {
            self.unlink(index);
            self.drop_unlinked(index);
        }
    }

    /// Whose broadcast has been sent its full number of times, or was displaced.
    pub(crate) fn poll_finished(&mut self) -> Option<Notify> {
        self.finished.pop_front()
    }

    /// Whether something is pending about `member`.
    pub(crate) fn has(&self, member: MemberId) -> bool {
        self.pending(member).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn pending(&self, member: MemberId) -> Option<u32> {
        self.by_member.get(member.index()).copied().filter(|index| *index != NONE)
    }

    /// The best entry of a tier that is at most `room` long.
    fn best(&self, tier: usize, room: usize) -> Option<u32> {
        let tier = &self.tiers[tier];
        let class = class_of(room);
        // In the class of `room` itself some fit and some do not; all below fit.
        let mut index = tier.heads[class];
        for _ in 0..CLASS_SCAN_MAX {
            if index == NONE {
                break;
            }
            let entry = &self.entries[index as usize];
            if entry.body.len() <= room {
                return Some(index);
            }
            index = entry.after;
        }
        let below = tier.occupied & ((1 << class) - 1);
        (below != 0).then(|| tier.heads[below.ilog2() as usize])
    }

    /// The entries of one list that nobody waits for, newest first.
    fn unawaited(&self, tier: usize, class: usize, list: &mut Vec<u32>) {
        list.clear();
        let mut index = self.tiers[tier].heads[class];
        while index != NONE {
            let entry = &self.entries[index as usize];
            if entry.notify.is_none() {
                list.push(index);
            }
            index = entry.after;
        }
    }

    fn allocate(&mut self) -> u32 {
        if let Some(index) = self.free.pop() {
            return index;
        }
        let entry = Entry { body: Vec::new(), member: None, notify: None, transmissions: 0, before: NONE, after: NONE };
        push_tight(&mut self.entries, entry);
        self.entries.len() as u32 - 1
    }

    fn link(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let (tier, class) = (usize::from(entry.transmissions), class_of(entry.body.len()));
        if self.tiers.len() <= tier {
            self.tiers.resize(tier + 1, Tier { occupied: 0, heads: [NONE; CLASSES] });
        }
        let tier = &mut self.tiers[tier];
        let head = tier.heads[class];
        (entry.before, entry.after) = (NONE, head);
        tier.heads[class] = index;
        tier.occupied |= 1 << class;
        if head != NONE {
            self.entries[head as usize].before = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index as usize];
        let (before, after) = (entry.before, entry.after);
        let (tier, class) = (usize::from(entry.transmissions), class_of(entry.body.len()));
        if after != NONE {
            self.entries[after as usize].before = before;
        }
        if before != NONE {
            self.entries[before as usize].after = after;
        } else {
            let tier = &mut self.tiers[tier];
            tier.heads[class] = after;
            if after == NONE {
                tier.occupied &= !(1 << class);
            }
        }
    }

    fn drop_unlinked(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        self.finished.extend(entry.notify.take());
        if let Some(member) = entry.member.take() {
            self.by_member[member.index()] = NONE;
        }
        self.len -= 1;
        self.free.push(index);
        // After a storm, give the memory back.
        if self.len == 0 && self.entries.len() > IDLE_ENTRIES_MAX {
            (self.entries, self.free, self.taken) = (Vec::new(), Vec::new(), Vec::new());
        }
    }
}

fn class_of(len: usize) -> usize {
    (len / CLASS_LEN).min(CLASSES - 1)
}

const NONE: u32 = u32::MAX;
/// Entries of lengths within the same so many bytes count as equally long.
const CLASS_LEN: usize = 24;
const CLASSES: usize = 64;
/// How many entries of the room's own class are looked at before a shorter class is taken.
const CLASS_SCAN_MAX: usize = 8;
/// Slab entries that are kept while the queue is empty.
const IDLE_ENTRIES_MAX: usize = 1024;

/// How often an update is sent: `mult` times the logarithm of the cluster's size (SWIM §4.1, λ log n).
///
/// `members` counts the whole table, the local member and the dead included.
pub(crate) fn retransmit_limit(mult: u32, members: usize) -> u32 {
    // ceil(log10(members + 1)) in integers: the number of digits of `members`, exactly.
    let digits = members.checked_ilog10().map_or(0, |log| log + 1);
    mult.saturating_mul(digits)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn insert(queue: &mut BroadcastQueue, member: u32, body: &[u8]) {
        queue.insert(Some(MemberId(member)), None, |buf| buf.extend_from_slice(body));
    }

    /// One packet of `room` bytes, with two bytes of overhead a message.
    fn fetch(queue: &mut BroadcastQueue, limit: u32, room: usize) -> Vec<Vec<u8>> {
        let mut packet = Vec::new();
        let mut left = room;
        queue.fill(limit, left, |body| {
            packet.push(body.to_vec());
            left -= body.len();
            left = left.saturating_sub(2);
            left
        });
        packet
    }

    /// swim-state.md 9.2.
    #[test]
    fn retransmit_limits() {
        #[rustfmt::skip]
        let table = [(1, 4, 2), (3, 4, 2), (9, 4, 2), (10, 8, 4), (99, 8, 4), (100, 12, 6), (999, 12, 6), (1000, 16, 8), (10_000, 20, 10)];
        for (members, four, two) in table {
            assert_eq!(retransmit_limit(4, members), four, "{members}");
            assert_eq!(retransmit_limit(2, members), two, "{members}");
        }
    }

    #[test]
    fn least_sent_first_then_longer_then_newer() {
        let mut queue = BroadcastQueue::default();
        insert(&mut queue, 1, &[1; 30]);
        assert_eq!(fetch(&mut queue, 9, 30), [[1; 30]]);
        insert(&mut queue, 2, &[2; 30]);
        insert(&mut queue, 3, &[3; 30]);
        insert(&mut queue, 4, &[4; 100]);
        // 4 is the longest of the never sent, 3 is newer than 2, and 1 has been sent before.
        let order: Vec<u8> = fetch(&mut queue, 9, 1000).iter().map(|body| body[0]).collect();
        assert_eq!(order, [4, 3, 2, 1]);
        let order: Vec<u8> = fetch(&mut queue, 9, 1000).iter().map(|body| body[0]).collect();
        assert_eq!(order[..3].iter().filter(|n| **n == 1).count(), 0, "1 is still one transmission ahead: {order:?}");
    }

    #[test]
    fn what_does_not_fit_stays() {
        let mut queue = BroadcastQueue::default();
        insert(&mut queue, 1, &[1; 60]);
        insert(&mut queue, 2, &[2; 50]);
        assert_eq!(fetch(&mut queue, 9, 55), [vec![2; 50]]);
        assert_eq!(fetch(&mut queue, 9, 60), [vec![1; 60]]);
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn a_newer_update_replaces_and_starts_over() {
        let mut queue = BroadcastQueue::default();
        queue.insert(Some(MemberId(1)), Some(Notify::Update(CommandId(7))), |buf| buf.push(1));
        fetch(&mut queue, 3, 100);
        insert(&mut queue, 1, &[2]);
        assert_eq!(
            queue.poll_finished(),
            Some(Notify::Update(CommandId(7))),
            "whoever waited for it need not any more"
        );
        for _ in 0..3 {
            assert_eq!(fetch(&mut queue, 3, 100), [[2]]);
        }
        assert!(queue.is_empty(), "sent as often as the limit says");
        assert_eq!(fetch(&mut queue, 3, 100), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn the_last_transmission_is_told() {
        let mut queue = BroadcastQueue::default();
        queue.insert(None, Some(Notify::Leave), |buf| buf.push(1));
        fetch(&mut queue, 2, 100);
        assert_eq!(queue.poll_finished(), None);
        fetch(&mut queue, 2, 100);
        assert_eq!(queue.poll_finished(), Some(Notify::Leave));
    }

    #[test]
    fn pruning_drops_what_was_sent_most() {
        let mut queue = BroadcastQueue::default();
        for n in 0..4 {
            queue.insert(None, None, |buf| buf.push(n));
            fetch(&mut queue, 100, 100);
        }
        assert_eq!(queue.prune(2), 2);
        let mut left: Vec<u8> = fetch(&mut queue, 100, 100).iter().map(|body| body[0]).collect();
        left.sort_unstable();
        assert_eq!(left, [2, 3]);
    }

    #[test]
    fn a_flood_is_pruned_now_and_then() {
        let mut queue = BroadcastQueue::default();
        let dropped: Vec<usize> = (0..22)
            .map(|n| {
                queue.insert(None, None, |buf| buf.push(n));
                queue.bound(16)
            })
            .filter(|dropped| *dropped > 0)
            .collect();
        assert_eq!((dropped, queue.len()), (vec![3, 3], 16), "at the seventeenth, and at the third after it");
    }

    #[test]
    fn what_a_storm_took_is_given_back() {
        for (storm, kept) in [(IDLE_ENTRIES_MAX, IDLE_ENTRIES_MAX), (IDLE_ENTRIES_MAX + 2, 0)] {
            let mut queue = BroadcastQueue::default();
            for _ in 0..storm {
                queue.insert(None, None, |buf| buf.push(1));
            }
            assert_eq!(queue.entries.len(), storm);
            assert_eq!(queue.prune(0), storm);
            assert_eq!(queue.entries.len(), kept, "after {storm}");
        }
    }

    #[test]
    fn pruning_drops_the_oldest_of_equals_and_nothing_awaited() {
        let mut queue = BroadcastQueue::default();
        for n in 0..5 {
            queue.insert(None, (n == 1).then_some(Notify::LeaveIntent), |buf| buf.push(n));
        }
        assert_eq!(queue.prune(3), 2);
        assert_eq!(queue.poll_finished(), None);
        let left: Vec<u8> = fetch(&mut queue, 100, 100).iter().map(|body| body[0]).collect();
        assert_eq!(left, [4, 3, 1]);
    }

    proptest! {
        /// Whatever is inserted, fetched, forgotten and pruned: nobody's update is there twice, none is sent more often
        /// than the limit, none longer than the room, and nothing gets lost on the way.
        #[test]
        fn behaves_like_a_list(ops in prop::collection::vec((0u8..12, 0u32..6, 1usize..200), 1..200)) {
            let limit = 3;
            let mut queue = BroadcastQueue::default();
            let mut model: Vec<(u32, Vec<u8>, u32)> = Vec::new();
            for (serial, (op, member, len)) in ops.into_iter().enumerate() {
                match op {
                    0..6 => {
                        let mut body = vec![serial as u8; len];
                        body[0] = member as u8;
                        insert(&mut queue, member, &body);
                        model.retain(|(known, ..)| *known != member);
                        model.push((member, body, 0));
                    }
                    6..9 => for body in fetch(&mut queue, limit, len) {
                        prop_assert!(body.len() <= len);
                        let entry = model.iter_mut().find(|(.., known, _)| *known == body);
                        prop_assert!(entry.is_some(), "sent what was not there");
                        if let Some((.., sent)) = entry { *sent += 1; }
                        model.retain(|(.., sent)| *sent < limit);
                    },
                    9 => { queue.forget(MemberId(member)); model.retain(|(known, ..)| *known != member); }
                    _ => {
                        let (max, before) = (member as usize, model.len());
                        let dropped = if op == 10 { queue.prune(max) } else { queue.bound(max) };
                        prop_assert_eq!(dropped, before - queue.len());
                        prop_assert!(queue.len() <= max && (op == 11 || queue.len() == before.min(max)));
                        let (kept, gone): (Vec<_>, Vec<_>) = model.iter().partition(|(known, ..)| queue.has(MemberId(*known)));
                        for (.., sent) in &gone {
                            prop_assert!(kept.iter().all(|(.., kept)| kept <= sent), "what was sent most goes first");
                        }
                        model.retain(|(known, ..)| queue.has(MemberId(*known)));
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                for (member, ..) in &model { prop_assert!(queue.has(MemberId(*member))); }
            }
        }
    }
}
