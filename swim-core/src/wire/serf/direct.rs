//! What members say straight to one another, and the answer where that came by stream. Native wire only: Serf has
//! nothing like it, and to its codec these kinds are unknown.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::kind;
use crate::wire::codec::{Codec, MessageError};
use crate::wire::native;
use crate::wire::reader::Reader;

/// A message from one member to another.
///
/// # Examples
///
/// ```
/// use swim_core::wire::codec::Codec;
/// use swim_core::wire::serf::{DirectMessage, SerfMessage};
///
/// let mut bytes = Vec::new();
/// DirectMessage { to: b"b", from: b"a", payload: b"psst" }.encode(&mut bytes);
/// let read = Codec::Native.decode_serf(&bytes)?;
/// assert!(matches!(read, SerfMessage::Direct(message) if message.payload == b"psst"));
/// assert!(Codec::Serf.decode_serf(&bytes).is_err(), "Serf has no such message");
/// # Ok::<(), swim_core::wire::codec::MessageError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectMessage<'a> {
    /// Who is meant: another member may have the address by now.
    #[serde(borrow, with = "serde_bytes")]
    pub to: &'a [u8],
    /// Who says it.
    #[serde(borrow, with = "serde_bytes")]
    pub from: &'a [u8],
    /// What; the applications agree on the meaning.
    #[serde(borrow, with = "serde_bytes")]
    pub payload: &'a [u8],
}

/// What the receiver of a message that came by stream has done with it. See [`DirectAnswer::encode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectAnswer {
    /// `None`: its application will be told.
    #[serde(with = "refusal_number")]
    pub refusal: Option<Refusal>,
}

/// Why the receiver of a message does not tell its application. See [`DirectAnswer::encode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// It has another name than the one that was meant.
    Misaddressed,
    /// It knows no other member of the sender's name.
    Stranger,
    /// The payload is longer than it allows.
    TooLong,
    /// Its event queue is full.
    Full,
    /// A reason that this build does not know.
    Other,
}

impl DirectMessage<'_> {
    /// Appends the message, kind byte first, in the native encoding. See [`DirectMessage`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(kind::DIRECT);
        native::write(self, out);
    }

    /// How long the payload may be, names as they are, so that the message takes at most `len_max` bytes, and never more
    /// than 65535. `None` when the names alone are too long.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::serf::DirectMessage;
    ///
    /// let message = DirectMessage { to: b"b", from: b"a", payload: b"" };
    /// assert_eq!(message.payload_len_max(100), Some(94));
    /// let mut bytes = Vec::new();
    /// DirectMessage { payload: &[0; 94], ..message }.encode(&mut bytes);
    /// assert_eq!(bytes.len(), 100);
    /// ```
    pub fn payload_len_max(&self, len_max: usize) -> Option<usize> {
        let mut empty = Vec::new();
        DirectMessage { payload: &[], ..*self }.encode(&mut empty);
        let room = len_max.min(usize::from(u16::MAX)).checked_sub(empty.len())?;
        // The length in front of the payload takes one byte, and three from 251 on.
        Some(room.saturating_sub(2).max(room.min(SHORT_LEN_MAX)))
    }
}

impl<'a> DirectMessage<'a> {
    pub(super) fn read(codec: Codec, reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        match codec {
            Codec::Native => native::read(reader),
            Codec::Serf => Err(MessageError::UnknownKind(kind::DIRECT)),
        }
    }
}

impl DirectAnswer {
    /// Appends the answer, kind byte first, in the native encoding.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::{DirectAnswer, Refusal, SerfMessage};
    ///
    /// let mut bytes = Vec::new();
    /// DirectAnswer { refusal: Some(Refusal::Full) }.encode(&mut bytes);
    /// let read = Codec::Native.decode_serf(&bytes)?;
    /// assert!(matches!(read, SerfMessage::DirectAnswer(answer) if answer.refusal == Some(Refusal::Full)));
    /// # Ok::<(), swim_core::wire::codec::MessageError>(())
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(kind::DIRECT_ANSWER);
        native::write(self, out);
    }

    pub(super) fn read(codec: Codec, reader: &mut Reader<'_>) -> Result<Self, MessageError> {
        match codec {
            Codec::Native => native::read(reader),
            Codec::Serf => Err(MessageError::UnknownKind(kind::DIRECT_ANSWER)),
        }
    }
}

impl Refusal {
    /// As on the wire, where 0 stands for none.
    const fn number(self) -> u8 {
        match self {
            Self::Misaddressed => 1,
            Self::Stranger => 2,
            Self::TooLong => 3,
            Self::Full => 4,
            Self::Other => u8::MAX,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => None,
            1 => Some(Self::Misaddressed),
            2 => Some(Self::Stranger),
            3 => Some(Self::TooLong),
            4 => Some(Self::Full),
            _ => Some(Self::Other),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Misaddressed => "somebody else has that member's address by now",
            Self::Stranger => "the receiver does not know this node as a member",
            Self::TooLong => "longer than the receiver allows (its serf.message_size_limit)",
            Self::Full => "the receiver's event queue is full, try again later",
            Self::Other => "refused by the receiver",
        })
    }
}

/// A refusal as its number, so that one from the future is still a refusal.
mod refusal_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Refusal;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(refusal: &Option<Refusal>, serializer: S) -> Result<S::Ok, S::Error> {
        refusal.map_or(0, Refusal::number).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Refusal>, D::Error> {
        u8::deserialize(deserializer).map(Refusal::from_number)
    }
}

/// The longest bytes whose length is one byte in the native encoding.
const SHORT_LEN_MAX: usize = 250;

#[cfg(test)]
mod tests;
