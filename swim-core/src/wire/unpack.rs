//! What is inside a datagram's wrapping, taken apart: compounds and compression, one inside the other.

use alloc::vec::Vec;
use core::iter::Take;

use super::compound::{self, CompoundError};
use super::compress::{self, Compressor};
use super::envelope::PartError;
use super::message::kind;

/// As [`Each`](super::envelope::Each), told beforehand of what comes next.
pub(crate) trait Receiver {
    /// The next few parts, as they stand there: nothing has been looked at.
    fn ahead(&mut self, parts: Take<compound::Parts<'_>>);

    /// As [`Each`](super::envelope::Each).
    fn part(&mut self, part: Result<(u8, &[u8]), PartError>);
}

/// How many parts a [`Receiver`] is told of at a time.
pub(crate) const PARTS_AHEAD: usize = 16;

/// Undoes compounds and compression, one inside the other.
pub(super) struct Unpacker<'a> {
    pub(super) compressor: &'a mut Compressor,
    pub(super) spare: &'a mut Vec<Vec<u8>>,
    /// Shared by all parts, or nested bombs would multiply.
    pub(super) plain_left: usize,
    pub(super) serf: bool,
}

impl Unpacker<'_> {
    /// An error means that nothing of `content` has been handed out.
    pub(super) fn deliver(&mut self, content: &[u8], depth: u8, receiver: &mut dyn Receiver) -> Result<(), PartError> {
        let Some((&kind, body)) = content.split_first() else { return Err(PartError::Malformed) };
        match kind {
            kind::COMPOUND | kind::COMPRESS if depth >= DEPTH_MAX => Err(PartError::TooDeep),
            kind::COMPOUND => self.deliver_compound(body, depth, receiver),
            kind::COMPRESS if self.serf => {
                let mut plain = self.spare.pop().unwrap_or_default();
                plain.clear();
                let unpacked = compress::unpack_message(self.compressor, body, &mut plain, self.plain_left);
                self.plain_left = self.plain_left.saturating_sub(plain.len());
                let delivered = match unpacked {
                    Ok(()) => self.deliver(&plain, depth.saturating_add(1), receiver),
                    Err(error) => Err(error.into()),
                };
                self.spare.push(plain);
                delivered
            }
            _ => {
                receiver.part(Ok((kind, body)));
                Ok(())
            }
        }
    }

    fn deliver_compound(&mut self, body: &[u8], depth: u8, receiver: &mut dyn Receiver) -> Result<(), PartError> {
        let mut parts = compound::parts(body);
        let mut ahead = 0_usize;
        loop {
            if ahead == 0 {
                receiver.ahead(parts.clone().take(PARTS_AHEAD));
                ahead = PARTS_AHEAD;
            }
            ahead = ahead.saturating_sub(1);
            let Some(part) = parts.next() else { return Ok(()) };
            let delivered = match part {
                Ok(part) => self.deliver(part, depth.saturating_add(1), receiver),
                Err(CompoundError::TableTruncated) => return Err(PartError::Malformed),
                Err(CompoundError::PartTruncated) => Err(PartError::Truncated),
            };
            if let Err(error) = delivered {
                receiver.part(Err(error));
            }
        }
    }

    pub(super) fn deliver_lz4(&mut self, packed: &[u8], receiver: &mut dyn Receiver) -> Result<(), PartError> {
        let mut plain = self.spare.pop().unwrap_or_default();
        plain.clear();
        let delivered = match self.compressor.decompress_lz4(packed, &mut plain, self.plain_left) {
            Ok(()) => self.deliver(&plain, 0, receiver),
            Err(error) => Err(error.into()),
        };
        self.spare.push(plain);
        delivered
    }
}

/// How many wrappers may stand one inside the other (memberlist has no limit).
const DEPTH_MAX: u8 = 8;
