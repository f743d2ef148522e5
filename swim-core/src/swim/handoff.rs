//! memberlist's way of taking in what a datagram says about members: a reader puts it on two stacks, and a worker takes
//! it from there (swim-state.md 2). See [`Baseline::newest_first_handoff`](crate::swim::config::Baseline); otherwise
//! nothing is ever in here.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::swim::Swim;
use crate::wire::message::kind;

/// Messages that have been read and not yet taken in.
#[derive(Debug, Default)]
pub(crate) struct Handoff {
    alive: Vec<Held>,
    others: Vec<Held>,
}

/// A message: its kind and its body.
pub(crate) type Held = (u8, Box<[u8]>);

impl Handoff {
    /// Whether it was kept: it is of a kind that the reader does not answer itself, and there is room.
    fn push(&mut self, kind: u8, body: &[u8]) -> bool {
        let stack = match kind {
            kind::ALIVE => &mut self.alive,
            kind::SUSPECT | kind::DEAD | kind::USER => &mut self.others,
            _ => return false,
        };
        let fits = stack.len() < DEPTH;
        if fits {
            stack.push((kind, body.into()));
        }
        fits
    }

    fn pop(&mut self) -> Option<Held> {
        self.alive.pop().or_else(|| self.others.pop())
    }
}

impl Swim {
    /// Whether a message was put aside; otherwise it is to be taken in now.
    pub(crate) fn hand_off(&mut self, kind: u8, body: &[u8]) -> bool {
        self.config.baseline.newest_first_handoff && self.handoff.push(kind, body)
    }

    /// The next of those put aside.
    pub(crate) fn poll_handed_off(&mut self) -> Option<Held> {
        self.handoff.pop()
    }
}

/// Messages on each stack: memberlist's `HandoffQueueDepth`. One more is not lost as there, it is taken in at once.
const DEPTH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alive_first_and_the_newest_first() {
        let mut handoff = Handoff::default();
        for (kind, body) in
            [(kind::SUSPECT, b"1"), (kind::ALIVE, b"2"), (kind::USER, b"3"), (kind::ALIVE, b"4"), (kind::DEAD, b"5")]
        {
            assert!(handoff.push(kind, body));
        }
        for answered in [kind::PING, kind::ACK, kind::NACK, kind::INDIRECT_PING] {
            assert!(!handoff.push(answered, b""), "the reader answers {answered} itself");
        }
        let order: Vec<u8> = core::iter::from_fn(|| handoff.pop()).map(|(_, body)| body[0]).collect();
        assert_eq!(order, *b"42531");
    }

    #[test]
    fn it_is_bounded() {
        let mut handoff = Handoff::default();
        for _ in 0..DEPTH {
            assert!(handoff.push(kind::DEAD, b""));
        }
        assert!(!handoff.push(kind::DEAD, b""));
        assert!(handoff.push(kind::ALIVE, b""), "the other stack has its own room");
    }
}
