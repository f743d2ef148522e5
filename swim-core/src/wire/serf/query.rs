//! Queries and what is said to them.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::fields;
use super::kind;
use super::list::{self, List, read_bytes};
use crate::ids::LamportTime;
use crate::wire::codec::{Codec, MessageError};
use crate::wire::message::Bytes;
use crate::wire::msgpack::{self, Field, Kind, Octets, Value, field};
use crate::wire::native;
use crate::wire::reader::Reader;

/// The bits of [`Query::flags`] and [`QueryResponse::flags`]; the others mean nothing yet.
pub mod flag {
    /// On a query: say that you have it. On a response: this says so, and nothing else.
    pub const ACK: u32 = 1;
    /// On a query: do not gossip it on. Serf itself never sets it.
    pub const NO_BROADCAST: u32 = 2;
}

/// A question to everybody who passes its filters. See [`Codec::encode_serf_query`].
///
/// `F` is the list of [encoded filters](super::Filter): what was decoded has [`Filters`], what is to be encoded may
/// have anything that yields byte strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a, F = Filters<'a>> {
    /// Of the query clock.
    pub ltime: LamportTime,
    /// Random; with `ltime` it names the query.
    pub id: u32,
    /// The asker's address, where the answers go, in 4 or 16 bytes as it came. `None` when it was neither.
    pub ip: Option<IpAddr>,
    /// The asker's port.
    pub port: u16,
    /// The asker's name; empty when not given, as older ones do.
    pub source_node: &'a [u8],
    /// All must pass.
    pub filters: F,
    /// See [`flag`].
    pub flags: u32,
    /// How many others are to hand each answer on to the asker; 0 is none.
    pub relay_factor: u8,
    /// How long the asker waits, in nanoseconds. Not checked: it may be negative, or centuries.
    pub timeout: i64,
    /// What is asked. Names that begin with `_serf_` are Serf's own.
    pub name: &'a [u8],
    /// The application's. Nil and empty are told apart.
    pub payload: Option<Bytes<'a>>,
}

/// What a member says to a query: its answer, or only that it has the question. See
/// [`Codec::encode_serf_query_response`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryResponse<'a> {
    /// That of the query.
    pub ltime: LamportTime,
    /// That of the query.
    pub id: u32,
    /// Who answers.
    #[serde(borrow, with = "serde_bytes")]
    pub from: &'a [u8],
    /// See [`flag`].
    pub flags: u32,
    /// The answer; nil in an ack.
    #[serde(borrow)]
    pub payload: Option<Bytes<'a>>,
}

/// The encoded filters of a query; [`Codec::decode_filter`] takes each. See [`Codec::encode_serf_query`].
#[derive(Clone, Debug)]
pub struct Filters<'a>(List<'a>);

impl<'a> Iterator for Filters<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_bytes)?.ok()
    }
}

impl<F> Query<'_, F> {
    /// Where the answers go, if both halves were given. See [`Codec::encode_serf_query`].
    pub fn address(&self) -> Option<SocketAddr> {
        fields::address(self.ip, self.port)
    }

    /// Whether the asker wants to hear from whoever has the question. See [`Codec::encode_serf_query`].
    pub const fn wants_ack(&self) -> bool {
        self.flags & flag::ACK != 0
    }

    /// Whether the query is to be gossiped on. See [`Codec::encode_serf_query`].
    pub const fn may_spread(&self) -> bool {
        self.flags & flag::NO_BROADCAST == 0
    }
}

impl QueryResponse<'_> {
    /// Whether this only says that the query has arrived.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::wire::serf::{QueryResponse, flag};
    ///
    /// let answer = QueryResponse { ltime: LamportTime(7), id: 1, from: b"b", flags: 0, payload: None };
    /// assert!(!answer.is_ack());
    /// assert!(QueryResponse { flags: flag::ACK, ..answer }.is_ack());
    /// ```
    pub const fn is_ack(&self) -> bool {
        self.flags & flag::ACK != 0
    }
}

impl Codec {
    /// Appends a query, kind byte first. The filters are walked through twice, once to count them.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::{Query, SerfMessage, flag};
    ///
    /// let mut filter = Vec::new();
    /// Codec::Serf.encode_tag_filter(b"role", b"^web$", &mut filter);
    /// let query = Query {
    ///     ltime: LamportTime(7),
    ///     id: 1,
    ///     ip: Some([127, 0, 0, 1].into()),
    ///     port: 7946,
    ///     source_node: b"a",
    ///     filters: [&filter],
    ///     flags: flag::ACK,
    ///     relay_factor: 0,
    ///     timeout: 3_000_000_000, // three seconds
    ///     name: b"uptime",
    ///     payload: None,
    /// };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_serf_query(&query, &mut out);
    ///
    /// let SerfMessage::Query(back) = Codec::Serf.decode_serf(&out)? else { panic!("it is one") };
    /// assert_eq!((back.name, back.address()), (query.name, Some("127.0.0.1:7946".parse()?)));
    /// assert!(back.wants_ack() && back.may_spread());
    /// assert_eq!(back.filters.collect::<Vec<_>>(), [filter]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_serf_query<F>(self, query: &Query<'_, F>, out: &mut Vec<u8>)
    where
        F: Clone + IntoIterator<Item: AsRef<[u8]>>,
    {
        out.push(kind::QUERY);
        match self {
            Self::Native => {
                let head = (
                    query.ltime,
                    query.id,
                    query.ip,
                    query.port,
                    serde_bytes::Bytes::new(query.source_node),
                    query.flags,
                    query.relay_factor,
                    query.timeout,
                    serde_bytes::Bytes::new(query.name),
                    &query.payload,
                );
                native::write(&head, out);
                list::write(self, &query.filters, out);
            }
            Self::Serf => {
                let ip = Octets::new(query.ip);
                let mut filters = Vec::new();
                list::write(self, &query.filters, &mut filters);
                let values = [
                    ip.value(),
                    Value::Nested(&filters),
                    Value::from(query.flags),
                    Value::from(query.id),
                    Value::Unsigned(query.ltime.0),
                    Value::Raw(query.name),
                    Value::from(&query.payload),
                    Value::from(u32::from(query.port)),
                    Value::from(u32::from(query.relay_factor)),
                    Value::Raw(query.source_node),
                    fields::from_signed(query.timeout),
                ];
                msgpack::write(&QUERY, &values, out);
            }
        }
    }

    /// Appends an answer or an ack, kind byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::Bytes;
    /// use swim_core::wire::serf::{QueryResponse, SerfMessage};
    ///
    /// let payload = Some(Bytes::from(&b"3 days"[..]));
    /// let answer = QueryResponse { ltime: LamportTime(7), id: 1, from: b"b", flags: 0, payload };
    /// let mut out = Vec::new();
    /// Codec::Native.encode_serf_query_response(&answer, &mut out);
    /// assert!(matches!(Codec::Native.decode_serf(&out)?, SerfMessage::QueryResponse(back) if back == answer));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_serf_query_response(self, response: &QueryResponse<'_>, out: &mut Vec<u8>) {
        out.push(kind::QUERY_RESPONSE);
        match self {
            Self::Native => native::write(response, out),
            Self::Serf => {
                let values = [
                    Value::from(response.flags),
                    Value::Raw(response.from),
                    Value::from(response.id),
                    Value::Unsigned(response.ltime.0),
                    Value::from(&response.payload),
                ];
                msgpack::write(&QUERY_RESPONSE, &values, out);
            }
        }
    }
}

impl<'a> Query<'a> {
    pub(super) fn read(codec: Codec, reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        let query = match codec {
            Codec::Native => {
                let (ltime, id, ip, port, source_node, flags, relay_factor, timeout, name, payload) =
                    native::read::<(_, _, _, _, &serde_bytes::Bytes, _, _, _, &serde_bytes::Bytes, _)>(reader)?;
                let filters = Filters(List::at(codec, *reader)?);
                Self { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload }
            }
            Codec::Serf => {
                let [ip, filters, flags, id, ltime, name, payload, port, relay_factor, source_node, timeout] =
                    msgpack::read(&QUERY, reader)?;
                Self {
                    ltime: LamportTime(ltime.unsigned()?),
                    id: id.unsigned()?,
                    ip: fields::ip(ip),
                    port: port.unsigned()?,
                    source_node: source_node.text(),
                    filters: Filters(List::of_array(&filters)?),
                    flags: flags.unsigned()?,
                    relay_factor: relay_factor.unsigned()?,
                    timeout: fields::signed(&timeout)?,
                    name: name.text(),
                    payload: payload.bytes(),
                }
            }
        };
        query.filters.0.check(read_bytes)?;
        Ok(query)
    }
}

impl<'a> QueryResponse<'a> {
    pub(super) fn read(codec: Codec, reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        match codec {
            Codec::Native => native::read(reader),
            Codec::Serf => {
                let [flags, from, id, ltime, payload] = msgpack::read(&QUERY_RESPONSE, reader)?;
                Ok(Self {
                    ltime: LamportTime(ltime.unsigned()?),
                    id: id.unsigned()?,
                    from: from.text(),
                    flags: flags.unsigned()?,
                    payload: payload.bytes(),
                })
            }
        }
    }
}

const QUERY: [Field; 11] = [
    field("Addr", 2, Kind::Bytes),
    field("Filters", 5, Kind::Nested),
    field("Flags", 6, Kind::Unsigned),
    field("ID", 1, Kind::Unsigned),
    field("LTime", 0, Kind::Unsigned),
    field("Name", 9, Kind::Text),
    field("Payload", 10, Kind::Bytes),
    field("Port", 3, Kind::Unsigned),
    field("RelayFactor", 7, Kind::Unsigned),
    field("SourceNode", 4, Kind::Text),
    field("Timeout", 8, Kind::Signed),
];

const QUERY_RESPONSE: [Field; 5] = [
    field("Flags", 3, Kind::Unsigned),
    field("From", 2, Kind::Text),
    field("ID", 1, Kind::Unsigned),
    field("LTime", 0, Kind::Unsigned),
    field("Payload", 4, Kind::Bytes),
];

#[cfg(test)]
mod tests;
