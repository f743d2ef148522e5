//! Who is known by which slot. A member's identity is held here once; what SWIM and Serf know of it are parallel columns
//! by the same slot, and the slot is freed when both have let go.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use crate::ids::{MemberId, Name};
use crate::versions::Versions;

/// What a member announced about itself last, as far as it was believed, but for its versions.
///
/// Of somebody whom a node knows already it looks at the first 48 bytes only. They lie in one cache line: slots are as large as
/// one, and a table too large for the caches begins at one or, as glibc has it, 16 bytes further.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) name: Name,
    /// As announced: an IPv4 address in 16 bytes stays that way, for relaying.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) port: u16,
    holders: u8,
    pub(crate) meta: Box<[u8]>,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Slot>() == 64 && core::mem::offset_of!(Slot, meta) == 48);

/// A layer that keeps a member's slot alive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder {
    Swim = 1,
    Serf = 2,
}

/// The slots, and the way from a name to its slot.
#[derive(Debug)]
pub(crate) struct Roster {
    slots: Vec<Slot>,
    /// By slot, too.
    versions: Vec<Versions>,
    free: Vec<MemberId>,
    expected: Option<MemberId>,
    by_name: HashTable<MemberId>, // look-up only, never iterated
    // Names come from the network: keyed from the node's seed, so that nobody outside can aim at one bucket.
    hasher: FixedState,
}

impl Roster {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            versions: Vec::new(),
            free: Vec::new(),
            expected: None,
            by_name: HashTable::new(),
            hasher: FixedState::with_seed(hash_seed),
        }
    }

    /// The slot of the member called `name`.
    pub(crate) fn find(&self, name: &[u8]) -> Option<MemberId> {
        if let Some(id) = self.expected {
            let slot = self.slot(id);
            if slot.holders != 0 && slot.name.as_bytes() == name {
                return Some(id);
            }
        }
        let hash = self.hash(name);
        self.by_name.find(hash, |id| self.slots[id.index()].name.as_bytes() == name).copied()
    }

    /// To be given to [`guess`](Self::guess).
    pub(crate) fn hash(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(name)
    }

    /// Most likely the slot of the member whose name has this hash. Its name has not been looked at.
    pub(crate) fn guess(&self, hash: u64) -> Option<MemberId> {
        self.by_name.find(hash, |_| true).copied()
    }

    /// Whom the next look-ups are about, in all likelihood. Changes no answer, but saves the way to it.
    pub(crate) fn expect(&mut self, id: Option<MemberId>) {
        self.expected = id;
    }

    /// Reads the slot, and says something of what is there.
    pub(crate) fn touch(&self, id: MemberId) -> u64 {
        u64::from(self.slot(id).port)
    }

    /// As [`touch`](Self::touch), of what else the member has announced.
    pub(crate) fn touch_rest(&self, id: MemberId) -> u64 {
        let first = self.slot(id).meta.first().map_or(0, |byte| u64::from(*byte));
        first ^ u64::from(self.versions(id).features)
    }

    /// A slot for `name`, which has none yet, held by SWIM.
    pub(crate) fn admit(&mut self, name: &[u8]) -> MemberId {
        debug_assert!(self.find(name).is_none(), "{name:?} has a slot already");
        let slot = Slot { name: name.into(), holders: Holder::Swim as u8, ..Slot::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id.index()] = slot;
                self.versions[id.index()] = Versions::default();
                id
            }
            None => {
                let id = MemberId(self.slots.len() as u32);
                push_tight(&mut self.slots, slot);
                push_tight(&mut self.versions, Versions::default());
                id
            }
        };
        let Self { slots, by_name, hasher, .. } = self;
        let hash = hasher.hash_one(name);
        by_name.insert_unique(hash, id, |id| hasher.hash_one(slots[id.index()].name.as_bytes()));
        id
    }

    pub(crate) fn hold(&mut self, id: MemberId, holder: Holder) {
        self.slots[id.index()].holders |= holder as u8;
    }

    /// One layer lets go; the slot is freed when it was the last.
    pub(crate) fn release(&mut self, id: MemberId, holder: Holder) {
        let slot = &mut self.slots[id.index()];
        if slot.holders == 0 {
            return;
        }
        slot.holders &= !(holder as u8);
        if slot.holders != 0 {
            return;
        }
        let slot = core::mem::take(slot);
        let hash = self.hash(slot.name.as_bytes());
        if let Ok(entry) = self.by_name.find_entry(hash, |found| *found == id) {
            entry.remove();
        }
        self.free.push(id);
    }

    pub(crate) fn slot(&self, id: MemberId) -> &Slot {
        &self.slots[id.index()]
    }

    pub(crate) fn slot_mut(&mut self, id: MemberId) -> &mut Slot {
        &mut self.slots[id.index()]
    }

    /// What the member announced that it understands.
    pub(crate) fn versions(&self, id: MemberId) -> Versions {
        self.versions[id.index()]
    }

    pub(crate) fn set_versions(&mut self, id: MemberId, versions: Versions) {
        self.versions[id.index()] = versions;
    }

    /// Where the member is reached, an IPv4 address always as such.
    pub(crate) fn address(&self, id: MemberId) -> SocketAddr {
        let slot = self.slot(id);
        let ip = slot.ip.unwrap_or(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED));
        SocketAddr::new(ip.to_canonical(), slot.port)
    }

    /// Whether the member is reached there, however an IPv4 address is written.
    #[inline]
    pub(crate) fn is_at(&self, id: MemberId, ip: IpAddr, port: u16) -> bool {
        let slot = self.slot(id);
        slot.port == port && (slot.ip == Some(ip) || self.address(id).ip() == ip.to_canonical())
    }

    /// Slots in use.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Slots there are, the free ones included.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }
}

/// Pushes with a growth of one eighth instead of doubling: tables of members are large and grow slowly.
pub(crate) fn push_tight<T>(vec: &mut Vec<T>, value: T) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 8).max(16));
    }
    vec.push(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_lives_until_both_have_let_go() {
        let mut roster = Roster::new(1);
        let a = roster.admit(b"a");
        roster.hold(a, Holder::Serf);
        let b = roster.admit(b"b");
        roster.release(a, Holder::Swim);
        assert_eq!(roster.find(b"a"), Some(a), "Serf still remembers it");
        roster.release(a, Holder::Serf);
        assert_eq!(roster.find(b"a"), None);
        assert_eq!(roster.find(b"b"), Some(b));
        assert_eq!(roster.admit(b"c"), a, "the slot is reused");
        // Letting go twice must not free somebody else's slot.
        roster.release(b, Holder::Swim);
        roster.release(b, Holder::Serf);
        assert_eq!(roster.admit(b"d"), b);
        assert_eq!(roster.capacity(), 2);
    }

    #[test]
    fn what_is_expected_changes_no_answer() {
        let mut roster = Roster::new(1);
        let ids = [roster.admit(b"a"), roster.admit(b""), roster.admit(b"c")];
        roster.release(ids[2], Holder::Swim);
        for expected in [None, Some(ids[0]), Some(ids[1]), Some(ids[2])] {
            roster.expect(expected);
            assert_eq!(roster.find(b"a"), Some(ids[0]), "{expected:?}");
            assert_eq!(roster.find(b""), Some(ids[1]), "{expected:?}: nor the slot that is free and has no name");
            assert_eq!(roster.find(b"c"), None, "{expected:?}");
        }
        roster.release(ids[1], Holder::Swim);
        roster.expect(Some(ids[1]));
        assert_eq!(roster.find(b""), None);
    }
}
