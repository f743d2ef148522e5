//! memberlist's way of taking in what a datagram says about members: a reader puts it on two stacks, and a worker takes
//! it from there (swim-state.md 2). See [`Baseline::newest_first_handoff`](crate::swim::config::Baseline); otherwise
//! nothing is ever in here.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::log::log;
use crate::swim::Swim;
use crate::wire::message::kind;

/// Messages that have been read and not yet taken in.
#[derive(Debug, Default)]
pub(crate) struct Handoff {
    alive: Vec<Held>,
    others: Vec<Held>,
    /// The reader is busy, and the worker does not get its turn.
    waits: bool,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) from: SocketAddr,
    pub(crate) kind: u8,
    pub(crate) body: Box<[u8]>,
}

impl Handoff {
    /// Whether it is off the reader's hands: it is of a kind that the reader does not answer itself. What finds no room
    /// is lost.
    fn push(&mut self, from: SocketAddr, kind: u8, body: &[u8]) -> bool {
        let stack = match kind {
            kind::ALIVE => &mut self.alive,
            kind::SUSPECT | kind::DEAD | kind::USER => &mut self.others,
            _ => return false,
        };
        if stack.len() < DEPTH {
            stack.push(Held { from, kind, body: body.into() });
        } else {
            log!(WARN, "handoff_queue_full", kind = kind);
        }
        true
    }

    fn pop(&mut self) -> Option<Held> {
        self.alive.pop().or_else(|| self.others.pop())
    }
}

impl Swim {
    /// Whether a message was put aside; otherwise it is to be taken in now.
    pub(crate) fn hand_off(&mut self, from: SocketAddr, kind: u8, body: &[u8]) -> bool {
        self.config.baseline.newest_first_handoff && self.handoff.push(from, kind, body)
    }

    /// The next of those put aside, when it is the worker's turn.
    pub(crate) fn poll_handed_off(&mut self) -> Option<Held> {
        if self.handoff.waits { None } else { self.handoff.pop() }
    }

    /// Whether the worker has to wait for its turn.
    pub(crate) fn hold_handed_off(&mut self, waits: bool) {
        self.handoff.waits = waits;
    }
}

/// Messages on each stack: memberlist's `HandoffQueueDepth`.
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
            assert!(handoff.push(FROM, kind, body));
        }
        for answered in [kind::PING, kind::ACK, kind::NACK, kind::INDIRECT_PING] {
            assert!(!handoff.push(FROM, answered, b""), "the reader answers {answered} itself");
        }
        let order: Vec<u8> = core::iter::from_fn(|| handoff.pop()).map(|held| held.body[0]).collect();
        assert_eq!(order, *b"42531");
    }

    #[test]
    fn it_is_bounded() {
        let mut handoff = Handoff::default();
        for _ in 0..=DEPTH {
            assert!(handoff.push(FROM, kind::DEAD, b""));
        }
        assert!(handoff.push(FROM, kind::ALIVE, b""), "the other stack has its own room");
        assert_eq!((handoff.others.len(), handoff.alive.len()), (DEPTH, 1));
    }

    const FROM: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 7946);
}
