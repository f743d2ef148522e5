//! What will happen, by time. The heap holds only keys: what happens lies in a slab beside it, so that a sift moves
//! three words.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use swim_core::Instant;

use super::{Happening, HostId};

/// Everything put down and not yet happened.
#[derive(Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    serial: u64,
    slots: Vec<Option<Happening>>,
    free: Vec<u32>,
}

/// The next thing.
pub(super) enum Due {
    /// A host's wake-up, with its serial number: the host knows which one counts.
    Wake(HostId, u64),
    Happening(Happening),
}

impl Agenda {
    /// At one instant what arrives comes before what is due, as in the driver; then as put down.
    pub(super) fn put(&mut self, at: Instant, late: bool, what: Happening) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(what);
                slot
            }
            None => {
                self.slots.push(Some(what));
                u32::try_from(self.slots.len() - 1).expect("fewer than 2³¹ things are under way")
            }
        };
        assert!(slot & WAKE == 0, "fewer than 2³¹ things are under way");
        self.push(at, late, slot);
    }

    /// Wakes a host; returns the wake-up's serial number.
    pub(super) fn wake(&mut self, at: Instant, host: HostId) -> u64 {
        self.push(at, true, host.0 | WAKE)
    }

    /// Takes the next thing, if it happens no later than `until`.
    pub(super) fn pop(&mut self, until: Instant) -> Option<(Instant, Due)> {
        let Reverse((at, order, what)) = *self.heap.peek()?;
        if at > until.as_nanos() {
            return None;
        }
        self.heap.pop();
        let due = if what & WAKE != 0 {
            Due::Wake(HostId(what & !WAKE), order & !LATE)
        } else {
            self.free.push(what);
            Due::Happening(self.slots[what as usize].take()?)
        };
        Some((Instant::from_nanos(at), due))
    }

    fn push(&mut self, at: Instant, late: bool, what: u32) -> u64 {
        let serial = self.serial;
        self.serial += 1;
        self.heap.push(Reverse((at.as_nanos(), if late { LATE } else { 0 } | serial, what)));
        serial
    }
}

/// In the last word of a key: it wakes a host. Otherwise the word is a place in the slab.
const WAKE: u32 = 1 << 31;
/// In the second word: after everything of the same instant that is not late.
const LATE: u64 = 1 << 63;
