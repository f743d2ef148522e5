//! Serf's messages, once, whatever their encoding (Serf: `serf/messages.go`).
//!
//! Most travel in user messages; this file has their kinds, the choice between them, and the two shortest. The others
//! are one file each: `user_event.rs`, `query.rs` with the answers to queries, `relay.rs`. `push_pull.rs` is the user
//! state of a full exchange. `direct.rs` is ours alone: messages from one member to another.
//!
//! Then there is what those carry: `filter.rs` says whom a query is for; `conflict.rs` and `keys.rs` are the payloads of
//! Serf's own queries and their answers, `coordinate.rs` that of acks, `tags.rs` the metadata of members.

mod conflict;
mod coordinate;
mod direct;
mod fields;
mod filter;
mod keys;
mod list;
mod push_pull;
mod query;
mod relay;
mod tags;
mod user_event;

pub use self::conflict::{MemberTags, MemberView};
pub use self::coordinate::{CoordinateError, DIMENSIONS, WireCoordinate};
pub use self::direct::{DirectAnswer, DirectMessage, Refusal};
pub use self::filter::Filter;
pub use self::keys::{KeyRequest, KeyResponse, Keys};
pub use self::list::Names;
pub use self::push_pull::{Clocks, EventSlot, EventSlots, PushPullState, RecordedEvent, RecordedEvents, Statuses};
pub use self::query::{Filters, Query, QueryResponse, flag};
pub use self::relay::{Destination, Relay};
pub use self::tags::{Tags, decode_tags, encode_tags};
pub use self::user_event::UserEvent;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::codec::{Codec, MessageError};
use super::msgpack::{self, Field, Kind, Value, field};
use super::native;
use super::reader::Reader;
use crate::ids::LamportTime;

/// The first byte of every message of Serf. The numbers are the same in both codecs; the last two are native only.
pub mod kind {
    #![allow(missing_docs, reason = "the names are the documentation")]
    pub const LEAVE: u8 = 0;
    pub const JOIN: u8 = 1;
    pub const PUSH_PULL: u8 = 2;
    pub const USER_EVENT: u8 = 3;
    pub const QUERY: u8 = 4;
    pub const QUERY_RESPONSE: u8 = 5;
    pub const CONFLICT_RESPONSE: u8 = 6;
    pub const KEY_REQUEST: u8 = 7;
    pub const KEY_RESPONSE: u8 = 8;
    pub const RELAY: u8 = 9;
    pub const DIRECT: u8 = 10;
    pub const DIRECT_ANSWER: u8 = 11;
}

/// A message of the layer above membership. See [`Codec::decode_serf`].
///
/// Conflict responses, key requests and key responses are not among them: they never travel alone, but as the payload
/// of a query or of its answer, and each has a decoder of its own.
#[derive(Clone, Debug)]
pub enum SerfMessage<'a> {
    /// A member is about to leave, or is made to.
    Leave(Leave<'a>),
    /// A member has come.
    Join(Join<'a>),
    /// Everything that a node remembers; only in push/pull.
    PushPull(PushPullState<'a>),
    /// An application tells everybody something.
    UserEvent(UserEvent<'a>),
    /// An application, or Serf itself, asks everybody something.
    Query(Query<'a>),
    /// What a member says to a query, or that it has received it.
    QueryResponse(QueryResponse<'a>),
    /// An answer that is to be handed on to the asker.
    Relay(Relay<'a>),
    /// A member's application tells another's something. Native wire only.
    Direct(DirectMessage<'a>),
    /// What became of that; only in streams. Native wire only.
    DirectAnswer(DirectAnswer),
}

/// The intent to leave, or to make a failed member leave. See [`Codec::encode_serf_leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave<'a> {
    /// Of the member clock.
    pub ltime: LamportTime,
    /// Who leaves.
    #[serde(borrow, with = "serde_bytes")]
    pub node: &'a [u8],
    /// Whether the member is to be forgotten as well. Older senders never say so.
    pub prune: bool,
}

/// The intent to be a member. See [`Codec::encode_serf_join`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join<'a> {
    /// Of the member clock.
    pub ltime: LamportTime,
    /// Who joins.
    #[serde(borrow, with = "serde_bytes")]
    pub node: &'a [u8],
}

impl Codec {
    /// Reads one message of Serf, kind byte first. Bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`]; the kinds are those of [`SerfMessage`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::SerfMessage;
    ///
    /// let received = b"\x01\x82\xa5LTime\x07\xa4Node\xa1b";
    /// let SerfMessage::Join(join) = Codec::Serf.decode_serf(received)? else { panic!("it is one") };
    /// assert_eq!((join.ltime.0, join.node), (7, &b"b"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode_serf(self, bytes: &[u8]) -> Result<SerfMessage<'_>, MessageError> {
        let reader = &mut Reader::new(bytes);
        Ok(match reader.u8()? {
            kind::LEAVE => SerfMessage::Leave(Leave::read(self, reader)?),
            kind::JOIN => SerfMessage::Join(Join::read(self, reader)?),
            kind::PUSH_PULL => SerfMessage::PushPull(PushPullState::read(self, reader)?),
            kind::USER_EVENT => SerfMessage::UserEvent(UserEvent::read(self, reader)?),
            kind::QUERY => SerfMessage::Query(Query::read(self, reader)?),
            kind::QUERY_RESPONSE => SerfMessage::QueryResponse(QueryResponse::read(self, reader)?),
            kind::RELAY => SerfMessage::Relay(Relay::read(self, reader)?),
            kind::DIRECT => SerfMessage::Direct(DirectMessage::read(self, reader)?),
            kind::DIRECT_ANSWER => SerfMessage::DirectAnswer(DirectAnswer::read(self, reader)?),
            kind => return Err(MessageError::UnknownKind(kind)),
        })
    }

    /// Appends the intent to leave, kind byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::{Leave, SerfMessage};
    ///
    /// let leave = Leave { ltime: LamportTime(7), node: b"b", prune: true };
    /// let mut out = Vec::new();
    /// Codec::Native.encode_serf_leave(&leave, &mut out);
    /// assert!(matches!(Codec::Native.decode_serf(&out)?, SerfMessage::Leave(back) if back == leave));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_serf_leave(self, leave: &Leave<'_>, out: &mut Vec<u8>) {
        out.push(kind::LEAVE);
        match self {
            Self::Native => native::write(leave, out),
            Self::Serf => {
                let values = [Value::Unsigned(leave.ltime.0), Value::Raw(leave.node), Value::Bool(leave.prune)];
                msgpack::write(&LEAVE, &values, out);
            }
        }
    }

    /// Appends the intent to join, kind byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::Join;
    ///
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_serf_join(&Join { ltime: LamportTime(7), node: b"b" }, &mut out);
    /// assert_eq!(out, b"\x01\x82\xa5LTime\x07\xa4Node\xa1b");
    /// ```
    pub fn encode_serf_join(self, join: &Join<'_>, out: &mut Vec<u8>) {
        out.push(kind::JOIN);
        match self {
            Self::Native => native::write(join, out),
            Self::Serf => msgpack::write(&JOIN, &[Value::Unsigned(join.ltime.0), Value::Raw(join.node)], out),
        }
    }
}

impl<'a> Leave<'a> {
    fn read(codec: Codec, reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        match codec {
            Codec::Native => native::read(reader),
            Codec::Serf => {
                let [ltime, node, prune] = msgpack::read(&LEAVE, reader)?;
                Ok(Self { ltime: LamportTime(ltime.unsigned()?), node: node.text(), prune: prune.bool() })
            }
        }
    }
}

impl<'a> Join<'a> {
    fn read(codec: Codec, reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        match codec {
            Codec::Native => native::read(reader),
            Codec::Serf => {
                let [ltime, node] = msgpack::read(&JOIN, reader)?;
                Ok(Self { ltime: LamportTime(ltime.unsigned()?), node: node.text() })
            }
        }
    }
}

const LEAVE: [Field; 3] =
    [field("LTime", 0, Kind::Unsigned), field("Node", 1, Kind::Text), field("Prune", 2, Kind::Bool)];

const JOIN: [Field; 2] = [field("LTime", 0, Kind::Unsigned), field("Node", 1, Kind::Text)];

#[cfg(test)]
mod tests;
