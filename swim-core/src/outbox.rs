//! What has been decided but not yet encoded.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::ids::{CommandId, SequenceNumber};

/// One datagram to be. Small on purpose: the bytes, the piggybacked updates and the seal are made when it is sent, so
/// that packets carry the freshest updates and a blocked socket costs no memory. Details that may change or vanish in
/// between are looked up under the sequence number, and what has vanished is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// The direct ping of the running probe.
    Probe { seq: SequenceNumber },
    /// Ask a relay on behalf of the running probe.
    Indirect { seq: SequenceNumber, relay: SocketAddr, nack: bool, checksum: bool },
    /// Ping a target for somebody else.
    RelayPing { seq: SequenceNumber },
    /// Ping a member for the application.
    Ping { seq: SequenceNumber },
    /// Answer a ping that was meant for us.
    Ack { to: SocketAddr, seq: SequenceNumber },
    /// Pass on the ack of a target.
    RelayedAck { to: SocketAddr, seq: SequenceNumber },
    /// Say that the target did not answer.
    Nack { to: SocketAddr, seq: SequenceNumber },
    /// A message of the layer above membership, for one receiver; its bytes are the next in line.
    User { to: SocketAddr },
    /// A message of the application for one member; its bytes are the next in line, and whoever waits is told.
    Direct { to: SocketAddr, command: CommandId },
    /// Updates for one target of a gossip round.
    Gossip { to: SocketAddr, checksum: bool },
}

/// The queue of them, first in, first out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Outgoing>,
    probes: usize,
    gossip: usize,
    /// Of each [`Outgoing::User`] that waits.
    users: Bodies,
    /// Of each [`Outgoing::Direct`]: apart, so that an application that talks much does not silence Serf's answers.
    directs: Bodies,
}

/// The bytes of each record of one sort that waits, in the same order, and how many there are together.
#[derive(Debug, Default)]
struct Bodies {
    waiting: VecDeque<Vec<u8>>,
    len: usize,
}

impl Bodies {
    /// Whether there was room.
    fn push(&mut self, body: Vec<u8>) -> bool {
        if self.waiting.len() >= BODIES_MAX || self.len + body.len() > BODY_BYTES_MAX {
            return false;
        }
        self.len += body.len();
        self.waiting.push_back(body);
        true
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let body = self.waiting.pop_front()?;
        self.len -= body.len();
        Some(body)
    }
}

impl Outbox {
    /// Queues what one of our own timers wants sent: ticks are skipped while the last one's packets wait.
    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        if let Some(waiting) = self.waiting(&outgoing) {
            *waiting += 1;
        }
        self.queue.push_back(outgoing);
    }

    /// Queues what somebody else asked for, unless too many packets wait already.
    pub(crate) fn push_answer(&mut self, outgoing: Outgoing) -> bool {
        if self.queue.len() >= ANSWERS_MAX {
            return false;
        }
        self.push(outgoing);
        true
    }

    /// Queues a message of the layer above membership for one receiver, unless too many wait already.
    pub(crate) fn push_user(&mut self, to: SocketAddr, message: Vec<u8>) -> bool {
        let fits = self.users.push(message);
        if fits {
            self.push(Outgoing::User { to });
        }
        fits
    }

    /// The bytes of the [`Outgoing::User`] that has just been popped.
    pub(crate) fn take_user(&mut self) -> Option<Vec<u8>> {
        self.users.pop()
    }

    /// Queues a message of the application for one member, unless too many wait already.
    pub(crate) fn push_direct(&mut self, to: SocketAddr, command: CommandId, message: Vec<u8>) -> bool {
        let fits = self.directs.push(message);
        if fits {
            self.push(Outgoing::Direct { to, command });
        }
        fits
    }

    /// The bytes of the [`Outgoing::Direct`] that has just been popped.
    pub(crate) fn take_direct(&mut self) -> Option<Vec<u8>> {
        self.directs.pop()
    }

    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        let outgoing = self.queue.pop_front()?;
        if let Some(waiting) = self.waiting(&outgoing) {
            *waiting -= 1;
        }
        Some(outgoing)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a probe's ping still waits to be sent.
    pub(crate) fn has_probe(&self) -> bool {
        self.probes > 0
    }

    /// Whether packets of an earlier gossip round still wait to be sent.
    pub(crate) fn has_gossip(&self) -> bool {
        self.gossip > 0
    }

    /// How many of this sort wait, where somebody wants to know.
    fn waiting(&mut self, outgoing: &Outgoing) -> Option<&mut usize> {
        match outgoing {
            Outgoing::Probe { .. } => Some(&mut self.probes),
            Outgoing::Gossip { .. } => Some(&mut self.gossip),
            Outgoing::Indirect { .. }
            | Outgoing::RelayPing { .. }
            | Outgoing::Ping { .. }
            | Outgoing::Ack { .. }
            | Outgoing::RelayedAck { .. }
            | Outgoing::Nack { .. }
            | Outgoing::User { .. }
            | Outgoing::Direct { .. } => None,
        }
    }
}

/// Datagrams that may wait before further answers are refused: more than a socket buffer's worth of pings.
const ANSWERS_MAX: usize = 8192;
/// The same for messages with bytes of their own, of each sort, and how many bytes.
const BODIES_MAX: usize = 1024;
const BODY_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded() {
        let mut outbox = Outbox::default();
        let ack = Outgoing::Ack { to: ([127, 0, 0, 1], 1).into(), seq: SequenceNumber(1) };
        for _ in 0..ANSWERS_MAX {
            assert!(outbox.push_answer(ack));
        }
        assert!(!outbox.push_answer(ack));
        outbox.pop();
        assert!(outbox.push_answer(ack));
    }

    #[test]
    fn messages_are_bounded_by_number_and_by_length() {
        let to = ([127, 0, 0, 1], 1).into();
        for (len, fit) in [(1, BODIES_MAX), (BODY_BYTES_MAX / 4, 4)] {
            let mut outbox = Outbox::default();
            for n in 0..fit {
                assert!(outbox.push_user(to, alloc::vec![n as u8; len]));
            }
            assert!(!outbox.push_user(to, alloc::vec![0; len]));
            assert_eq!(outbox.pop(), Some(Outgoing::User { to }));
            assert_eq!(outbox.take_user(), Some(alloc::vec![0; len]));
            assert!(outbox.push_user(to, alloc::vec![0; len]));
        }
    }

    /// Each sort has its own room, and its own order.
    #[test]
    fn messages_do_not_silence_answers() {
        let (mut outbox, to) = (Outbox::default(), ([127, 0, 0, 1], 1).into());
        for n in 0..BODIES_MAX {
            assert!(outbox.push_direct(to, CommandId(n as u64), alloc::vec![n as u8]));
        }
        assert!(!outbox.push_direct(to, CommandId(0), Vec::new()));
        assert!(outbox.push_user(to, alloc::vec![77]));
        for n in 0..BODIES_MAX {
            assert_eq!(outbox.pop(), Some(Outgoing::Direct { to, command: CommandId(n as u64) }));
            assert_eq!(outbox.take_direct(), Some(alloc::vec![n as u8]));
        }
        assert_eq!((outbox.pop(), outbox.take_user()), (Some(Outgoing::User { to }), Some(alloc::vec![77])));
    }
}
