//! Every message of the membership protocol, once, whatever its encoding.
//!
//! Fields borrow from the received bytes. Text and bytes are both `&[u8]`: names are compared as bytes and need not be
//! UTF-8. A value that can be nil on the wire is an `Option`. `Cow` is borrowed in all but one odd case: a byte field
//! that came as a msgpack array of integers.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::ids::{Incarnation, SequenceNumber};
use crate::versions::Versions;

/// The first byte of every message (memberlist: `net.go`). The numbers are the same in both codecs.
pub mod kind {
    #![allow(missing_docs, reason = "the names are the documentation")]
    pub const PING: u8 = 0;
    pub const INDIRECT_PING: u8 = 1;
    pub const ACK: u8 = 2;
    pub const SUSPECT: u8 = 3;
    pub const ALIVE: u8 = 4;
    pub const DEAD: u8 = 5;
    pub const PUSH_PULL: u8 = 6;
    pub const COMPOUND: u8 = 7;
    pub const USER: u8 = 8;
    pub const COMPRESS: u8 = 9;
    pub const ENCRYPT: u8 = 10;
    pub const NACK: u8 = 11;
    pub const CHECKSUM: u8 = 12;
    pub const ERROR: u8 = 13;
    pub const LABEL: u8 = 244;
}

/// What one part of a datagram can be, once unwrapped. See [`Codec::decode`](super::codec::Codec::decode).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Are you there? Answered by an [`Ack`].
    Ping(Ping<'a>),
    /// Ping somebody for me.
    IndirectPing(IndirectPing<'a>),
    /// I am here.
    Ack(Ack<'a>),
    /// The member you asked me to ping did not answer in time (Lifeguard).
    Nack(Nack),
    /// Somebody accuses a member of being dead.
    Suspect(Accusation<'a>),
    /// A member is declared dead, or, when it says so itself, has left.
    Dead(Accusation<'a>),
    /// A member announces itself, refutes, or changes its metadata.
    Alive(Alive<'a>),
    /// For the layer above; opaque here.
    User(&'a [u8]),
}

/// What one direction of a stream can carry. See [`Codec::decode_stream`](super::codec::Codec::decode_stream).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamMessage<'a> {
    /// The fallback probe.
    Ping(Ping<'a>),
    /// Its answer.
    Ack(Ack<'a>),
    /// The full state of a member.
    PushPull(PushPull<'a>),
    /// For the layer above; opaque here.
    User(&'a [u8]),
    /// The other side could not read what it got; text for a log, not to be parsed.
    Error(&'a [u8]),
}

/// Who asks, as far as it says so; older members say nothing. See [`Source::address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Source<'a> {
    /// Where the answer should go.
    pub ip: Option<IpAddr>,
    /// Where the answer should go; 0 when not given.
    pub port: u16,
    /// The asker's name; empty when not given.
    #[serde(borrow, with = "serde_bytes")]
    pub node: &'a [u8],
}

impl Source<'_> {
    /// The address to answer to, if both halves were given. An IPv4 address in 16 bytes comes out as IPv4.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::message::Source;
    ///
    /// let source = Source { ip: Some("::ffff:127.0.0.1".parse()?), port: 7946, node: b"a" };
    /// assert_eq!(source.address(), Some("127.0.0.1:7946".parse()?));
    /// assert_eq!(Source { port: 0, ..source }.address(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        match self.ip {
            Some(ip) if self.port != 0 => Some(SocketAddr::new(ip.to_canonical(), self.port)),
            _ => None,
        }
    }
}

/// A probe of a member (SWIM §3.1). See [`Codec::encode_ping`](super::codec::Codec::encode_ping).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping<'a> {
    /// Echoed in the ack.
    pub seq: SequenceNumber,
    /// The member that is meant; empty means whoever receives it.
    #[serde(borrow, with = "serde_bytes")]
    pub node: &'a [u8],
    /// Who asks.
    #[serde(borrow)]
    pub source: Source<'a>,
}

/// A request to probe a third member (SWIM §3.1, ping-req). See
/// [`Codec::encode_indirect_ping`](super::codec::Codec::encode_indirect_ping).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndirectPing<'a> {
    /// The requester's number, the same as in its direct ping.
    pub seq: SequenceNumber,
    /// Address of the member to ping.
    pub target: IpAddr,
    /// Port of the member to ping; 0 means the receiver's own port.
    pub port: u16,
    /// Name of the member to ping.
    #[serde(borrow, with = "serde_bytes")]
    pub node: &'a [u8],
    /// Whether a [`Nack`] is wanted when the target does not answer (Lifeguard).
    pub nack: bool,
    /// Who asks.
    #[serde(borrow)]
    pub source: Source<'a>,
}

/// The answer to a ping. See [`Codec::encode_ack`](super::codec::Codec::encode_ack).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack<'a> {
    /// That of the ping.
    pub seq: SequenceNumber,
    /// From the layer above: a network coordinate in Serf. At most a few hundred bytes.
    #[serde(borrow)]
    pub payload: Option<Bytes<'a>>,
}

/// A relay's answer when its target did not (Lifeguard). See [`Codec::encode_nack`](super::codec::Codec::encode_nack).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// That of the indirect ping.
    pub seq: SequenceNumber,
}

/// The body of suspect and of dead messages. A dead message with `from == node` announces a graceful leave. See
/// [`Codec::encode_dead`](super::codec::Codec::encode_dead).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accusation<'a> {
    /// The accused's incarnation, as far as the accuser knew.
    pub incarnation: Incarnation,
    /// The accused.
    #[serde(borrow, with = "serde_bytes")]
    pub node: &'a [u8],
    /// The accuser.
    #[serde(borrow, with = "serde_bytes")]
    pub from: &'a [u8],
}

/// A member's announcement of itself. See [`Codec::encode_alive`](super::codec::Codec::encode_alive).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive<'a> {
    /// At least 1.
    pub incarnation: Incarnation,
    /// Whose.
    #[serde(borrow, with = "serde_bytes")]
    pub node: &'a [u8],
    /// As announced: an IPv4 address may have come in 16 bytes and is then kept that way, for relaying unchanged.
    /// `None` when it was neither 4 nor 16 bytes long.
    pub ip: Option<IpAddr>,
    /// 0 means the receiver's own port.
    pub port: u16,
    /// Application metadata, tags in Serf; at most 512 bytes where the sender keeps the rules.
    #[serde(borrow)]
    pub meta: Option<Bytes<'a>>,
    /// `None` when fewer than six version bytes were given.
    pub versions: Option<Versions>,
}

/// One member in a push/pull. See [`Codec::push_pull_entry`](super::codec::Codec::push_pull_entry).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// Whose.
    #[serde(borrow, with = "serde_bytes")]
    pub name: &'a [u8],
    /// As in [`Alive::ip`].
    pub ip: Option<IpAddr>,
    /// 0 means the receiver's own port.
    pub port: u16,
    /// As in [`Alive::meta`].
    #[serde(borrow)]
    pub meta: Option<Bytes<'a>>,
    /// The member's, as far as the sender knows.
    pub incarnation: Incarnation,
    /// `None` when the number on the wire was not one of the four.
    #[serde(with = "state_number")]
    pub state: Option<State>,
    /// `None` when fewer than six version bytes were given.
    pub versions: Option<Versions>,
}

/// The fixed part in front of a push/pull. See [`Codec::begin_push_pull`](super::codec::Codec::begin_push_pull).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushPullHeader {
    /// Whether this exchange is a join; the reply repeats the request's value.
    pub join: bool,
    /// How many entries follow.
    pub entries: u32,
    /// Bytes of user state after the last entry.
    pub user_state_len: u32,
}

/// A whole push/pull message. See [`Codec::push_pull_entry`](super::codec::Codec::push_pull_entry).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushPull<'a> {
    /// Whether this exchange is a join.
    pub join: bool,
    /// In the order received; the sender itself is among them.
    pub entries: Vec<Entry<'a>>,
    /// From the layer above; may be empty.
    pub user_state: &'a [u8],
}

/// A byte field that is borrowed wherever possible.
///
/// ```
/// use swim_core::wire::message::Bytes;
///
/// let field = Bytes::from(&b"hello"[..]);
/// assert!(field.starts_with(b"he"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bytes<'a>(#[serde(borrow, with = "serde_bytes")] pub Cow<'a, [u8]>);

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl core::ops::Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The state of a member as SWIM sees it; the numbers are those of the wire. See [`State::from_number`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Believed to be there.
    Alive = 0,
    /// Accused, may still refute.
    Suspect = 1,
    /// Did not refute in time.
    Dead = 2,
    /// Said goodbye.
    Left = 3,
}

impl State {
    /// The state with this number, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::message::State;
    ///
    /// assert_eq!(State::from_number(1), Some(State::Suspect));
    /// assert_eq!(State::from_number(State::Left as u8), Some(State::Left));
    /// assert_eq!(State::from_number(4), None);
    /// ```
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Alive),
            1 => Some(Self::Suspect),
            2 => Some(Self::Dead),
            3 => Some(Self::Left),
            _ => None,
        }
    }

    /// The number on the wire; for none, one that no state will ever have.
    pub(super) const fn to_number(state: Option<Self>) -> u8 {
        match state {
            Some(state) => state as u8,
            None => u8::MAX,
        }
    }
}

/// A state as its number, so that one from the future costs the entry its effect and not the whole exchange.
mod state_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::State;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(state: &Option<State>, serializer: S) -> Result<S::Ok, S::Error> {
        State::to_number(*state).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<State>, D::Error> {
        u8::deserialize(deserializer).map(State::from_number)
    }
}
