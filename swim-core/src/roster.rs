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

/// What a member announced about itself last, as far as it was believed.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) name: Name,
    pub(crate) meta: Box<[u8]>,
    /// As announced: an IPv4 address in 16 bytes stays that way, for relaying.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) versions: Versions,
    holders: u8,
}

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
    free: Vec<MemberId>,
    by_name: HashTable<MemberId>, // look-up only, never iterated
    // Names come from the network: keyed from the node's seed, so that nobody outside can aim at one bucket.
    hasher: FixedState,
}

impl Roster {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_name: HashTable::new(),
            hasher: FixedState::with_seed(hash_seed),
        }
    }

    /// The slot of the member called `name`.
    pub(crate) fn find(&self, name: &[u8]) -> Option<MemberId> {
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

    /// Reads the slot, both ends of it, and says something of what is there.
    pub(crate) fn touch(&self, id: MemberId) -> u64 {
        let slot = self.slot(id);
        u64::from(slot.port)
            ^ slot.meta.len() as u64
            ^ slot.name.as_bytes().len() as u64
            ^ u64::from(slot.versions.features)
    }

    /// A slot for `name`, which has none yet, held by SWIM.
    pub(crate) fn admit(&mut self, name: &[u8]) -> MemberId {
        debug_assert!(self.find(name).is_none(), "{name:?} has a slot already");
        let slot = Slot { name: name.into(), holders: Holder::Swim as u8, ..Slot::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id.index()] = slot;
                id
            }
            None => {
                let id = MemberId(self.slots.len() as u32);
                push_tight(&mut self.slots, slot);
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
}
