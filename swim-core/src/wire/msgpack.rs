//! HashiCorp's dialect of msgpack: the old specification, where one "raw" family stands for text and bytes alike.
//!
//! Each message has one table of its fields. The writer follows it to the letter (maps with sorted keys, raw only, the
//! smallest unsigned form); the reader is made from the same table and takes everything that any known peer has been
//! seen to send or to accept. Nothing here goes through serde.

#![expect(clippy::wildcard_enum_match_arm, reason = "msgpack has 37 markers; each function names those it takes")]

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rmp::Marker;

use super::codec::{MessageError, PUSH_PULL_ENTRIES_MAX, USER_LEN_MAX};
use super::message::{Accusation, Ack, Alive, Bytes, Entry, IndirectPing, Nack, Ping, PushPullHeader, Source, State};
use super::reader::Reader;
use crate::ids::{Incarnation, SequenceNumber};
use crate::versions::{VersionRange, Versions};

/// How a field is read. Integers are range-checked where they become a field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Unsigned,
    Signed,
    Bool,
    /// Raw, str8 or bin.
    Text,
    /// As text, or an array of small integers.
    Bytes,
    /// Whatever it is, taken as it stands.
    Nested,
}

/// One row of a message's table. Rows stand in the order of their keys, which is the order of writing.
#[derive(Debug)]
pub(super) struct Field {
    key: &'static [u8],
    /// Where the field stands when the message comes as an array.
    place: u32,
    kind: Kind,
    /// Whether the key is left out when the value is zero or empty.
    omit: bool,
}

pub(super) const fn field(key: &'static str, place: u32, kind: Kind) -> Field {
    Field { key: key.as_bytes(), place, kind, omit: false }
}

const fn omitted(key: &'static str, place: u32, kind: Kind) -> Field {
    Field { key: key.as_bytes(), place, kind, omit: true }
}

const PING: [Field; 5] = [
    field("Node", 1, Kind::Text),
    field("SeqNo", 0, Kind::Unsigned),
    omitted("SourceAddr", 2, Kind::Bytes),
    omitted("SourceNode", 4, Kind::Text),
    omitted("SourcePort", 3, Kind::Unsigned),
];

const INDIRECT_PING: [Field; 8] = [
    field("Nack", 4, Kind::Bool),
    field("Node", 3, Kind::Text),
    field("Port", 2, Kind::Unsigned),
    field("SeqNo", 0, Kind::Unsigned),
    omitted("SourceAddr", 5, Kind::Bytes),
    omitted("SourceNode", 7, Kind::Text),
    omitted("SourcePort", 6, Kind::Unsigned),
    field("Target", 1, Kind::Bytes),
];

const ACK: [Field; 2] = [field("Payload", 1, Kind::Bytes), field("SeqNo", 0, Kind::Unsigned)];

const NACK: [Field; 1] = [field("SeqNo", 0, Kind::Unsigned)];

const ACCUSATION: [Field; 3] =
    [field("From", 2, Kind::Text), field("Incarnation", 0, Kind::Unsigned), field("Node", 1, Kind::Text)];

const ALIVE: [Field; 6] = [
    field("Addr", 2, Kind::Bytes),
    field("Incarnation", 0, Kind::Unsigned),
    field("Meta", 4, Kind::Bytes),
    field("Node", 1, Kind::Text),
    field("Port", 3, Kind::Unsigned),
    field("Vsn", 5, Kind::Bytes),
];

const PUSH_PULL_HEADER: [Field; 3] =
    [field("Join", 2, Kind::Bool), field("Nodes", 0, Kind::Signed), field("UserStateLen", 1, Kind::Signed)];

const ENTRY: [Field; 7] = [
    field("Addr", 1, Kind::Bytes),
    field("Incarnation", 4, Kind::Unsigned),
    field("Meta", 3, Kind::Bytes),
    field("Name", 0, Kind::Text),
    field("Port", 2, Kind::Unsigned),
    field("State", 5, Kind::Signed),
    field("Vsn", 6, Kind::Bytes),
];

const USER_HEADER: [Field; 1] = [field("UserMsgLen", 0, Kind::Signed)];

const ERROR: [Field; 1] = [field("Error", 0, Kind::Text)];

const COMPRESS: [Field; 2] = [field("Algo", 0, Kind::Unsigned), field("Buf", 1, Kind::Bytes)];

pub(super) fn read_ping<'a>(reader: &mut Reader<'a>) -> Result<Ping<'a>, MessageError> {
    let [node, seq, source_ip, source_node, source_port] = read(&PING, reader)?;
    let source = Source { ip: source_ip.ip(), port: source_port.unsigned()?, node: source_node.text() };
    Ok(Ping { seq: SequenceNumber(seq.unsigned()?), node: node.text(), source })
}

pub(super) fn write_ping(ping: &Ping<'_>, out: &mut Vec<u8>) {
    let ip = Octets::new(ping.source.ip);
    let values = [
        Value::Raw(ping.node),
        Value::from(ping.seq.0),
        ip.value(),
        Value::Raw(ping.source.node),
        Value::from(u32::from(ping.source.port)),
    ];
    write(&PING, &values, out);
}

pub(super) fn read_indirect_ping<'a>(reader: &mut Reader<'a>) -> Result<IndirectPing<'a>, MessageError> {
    let [nack, node, port, seq, source_ip, source_node, source_port, target] = read(&INDIRECT_PING, reader)?;
    Ok(IndirectPing {
        seq: SequenceNumber(seq.unsigned()?),
        // Unlike a source, which is a convenience, a target that cannot be reached leaves nothing to do.
        target: target.ip().ok_or(MessageError::Malformed)?,
        port: port.unsigned()?,
        node: node.text(),
        nack: nack.bool(),
        source: Source { ip: source_ip.ip(), port: source_port.unsigned()?, node: source_node.text() },
    })
}

pub(super) fn write_indirect_ping(ping: &IndirectPing<'_>, out: &mut Vec<u8>) {
    let (source_ip, target) = (Octets::new(ping.source.ip), Octets::new(Some(ping.target)));
    let values = [
        Value::Bool(ping.nack),
        Value::Raw(ping.node),
        Value::from(u32::from(ping.port)),
        Value::from(ping.seq.0),
        source_ip.value(),
        Value::Raw(ping.source.node),
        Value::from(u32::from(ping.source.port)),
        target.value(),
    ];
    write(&INDIRECT_PING, &values, out);
}

pub(super) fn read_ack<'a>(reader: &mut Reader<'a>) -> Result<Ack<'a>, MessageError> {
    let [payload, seq] = read(&ACK, reader)?;
    Ok(Ack { seq: SequenceNumber(seq.unsigned()?), payload: payload.bytes() })
}

pub(super) fn write_ack(ack: &Ack<'_>, out: &mut Vec<u8>) {
    write(&ACK, &[Value::from(&ack.payload), Value::from(ack.seq.0)], out);
}

pub(super) fn read_nack(reader: &mut Reader<'_>) -> Result<Nack, MessageError> {
    let [seq] = read(&NACK, reader)?;
    Ok(Nack { seq: SequenceNumber(seq.unsigned()?) })
}

pub(super) fn write_nack(nack: Nack, out: &mut Vec<u8>) {
    write(&NACK, &[Value::from(nack.seq.0)], out);
}

pub(super) fn read_accusation<'a>(reader: &mut Reader<'a>) -> Result<Accusation<'a>, MessageError> {
    let [from, incarnation, node] = read(&ACCUSATION, reader)?;
    Ok(Accusation { incarnation: Incarnation(incarnation.unsigned()?), node: node.text(), from: from.text() })
}

pub(super) fn write_accusation(accusation: &Accusation<'_>, out: &mut Vec<u8>) {
    let values = [Value::Raw(accusation.from), Value::from(accusation.incarnation.0), Value::Raw(accusation.node)];
    write(&ACCUSATION, &values, out);
}

pub(super) fn read_alive<'a>(reader: &mut Reader<'a>) -> Result<Alive<'a>, MessageError> {
    let [ip, incarnation, meta, node, port, versions] = read(&ALIVE, reader)?;
    Ok(Alive {
        incarnation: Incarnation(incarnation.unsigned()?),
        node: node.text(),
        ip: ip.ip(),
        port: port.unsigned()?,
        meta: meta.bytes(),
        versions: versions.versions(),
    })
}

pub(super) fn write_alive(alive: &Alive<'_>, out: &mut Vec<u8>) {
    let (ip, versions) = (Octets::new(alive.ip), alive.versions.map(version_bytes));
    let values = [
        ip.value(),
        Value::from(alive.incarnation.0),
        Value::from(&alive.meta),
        Value::Raw(alive.node),
        Value::from(u32::from(alive.port)),
        versions.as_ref().map_or(Value::Nil, |bytes| Value::Raw(bytes)),
    ];
    write(&ALIVE, &values, out);
}

pub(super) fn read_push_pull_header(reader: &mut Reader<'_>) -> Result<PushPullHeader, MessageError> {
    let [join, nodes, user_state_len] = read(&PUSH_PULL_HEADER, reader)?;
    Ok(PushPullHeader {
        join: join.bool(),
        entries: nodes.count(PUSH_PULL_ENTRIES_MAX)?,
        user_state_len: user_state_len.count(USER_LEN_MAX)?,
    })
}

pub(super) fn write_push_pull_header(header: &PushPullHeader, out: &mut Vec<u8>) {
    let values = [Value::Bool(header.join), Value::from(header.entries), Value::from(header.user_state_len)];
    write(&PUSH_PULL_HEADER, &values, out);
}

pub(super) fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<Entry<'a>, MessageError> {
    let [ip, incarnation, meta, name, port, state, versions] = read(&ENTRY, reader)?;
    Ok(Entry {
        name: name.text(),
        ip: ip.ip(),
        port: port.unsigned()?,
        meta: meta.bytes(),
        incarnation: Incarnation(incarnation.unsigned()?),
        state: u8::try_from(state.signed()).ok().and_then(State::from_number),
        versions: versions.versions(),
    })
}

pub(super) fn write_entry(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let (ip, versions) = (Octets::new(entry.ip), entry.versions.map(version_bytes));
    let values = [
        ip.value(),
        Value::from(entry.incarnation.0),
        Value::from(&entry.meta),
        Value::Raw(entry.name),
        Value::from(u32::from(entry.port)),
        Value::from(u32::from(State::to_number(entry.state))),
        versions.as_ref().map_or(Value::Nil, |bytes| Value::Raw(bytes)),
    ];
    write(&ENTRY, &values, out);
}

/// How many bytes of user message follow.
pub(super) fn read_user_header(reader: &mut Reader<'_>) -> Result<u32, MessageError> {
    let [len] = read(&USER_HEADER, reader)?;
    len.count(USER_LEN_MAX)
}

pub(super) fn write_user_header(len: u32, out: &mut Vec<u8>) {
    write(&USER_HEADER, &[Value::from(len)], out);
}

pub(super) fn read_error<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], MessageError> {
    let [text] = read(&ERROR, reader)?;
    Ok(text.text())
}

pub(super) fn write_error(text: &[u8], out: &mut Vec<u8>) {
    write(&ERROR, &[Value::Raw(text)], out);
}

/// The body of a compress message: the number of the algorithm, and what it made.
pub(super) fn read_compress<'a>(reader: &mut Reader<'a>) -> Result<(u8, Bytes<'a>), MessageError> {
    let [algorithm, compressed] = read(&COMPRESS, reader)?;
    Ok((algorithm.unsigned()?, compressed.bytes().unwrap_or_default()))
}

pub(super) fn write_compress(algorithm: u8, compressed: &[u8], out: &mut Vec<u8>) {
    write(&COMPRESS, &[Value::from(u32::from(algorithm)), Value::Raw(compressed)], out);
}

fn version_bytes(versions: Versions) -> [u8; 6] {
    let Versions { protocol, application, features: _ } = versions;
    [protocol.min, protocol.max, protocol.current, application.min, application.max, application.current]
}

/// An address as bytes: 4 or 16 as it was announced, none if there is none.
pub(super) struct Octets([u8; 16], usize);

impl Octets {
    pub(super) fn new(ip: Option<IpAddr>) -> Self {
        match ip {
            None => Self([0; 16], 0),
            Some(IpAddr::V4(ip)) => {
                let [a, b, c, d] = ip.octets();
                Self([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 4)
            }
            Some(IpAddr::V6(ip)) => Self(ip.octets(), 16),
        }
    }

    /// Nil if there is none.
    pub(super) fn value(&self) -> Value<'_> {
        match self.0.get(..self.1) {
            Some(octets) if !octets.is_empty() => Value::Raw(octets),
            _ => Value::Nil,
        }
    }
}

/// One field's value, read or to be written. Nil stands for a missing one as well: both are the zero value in Go.
#[derive(Debug, Default)]
pub(super) enum Value<'a> {
    #[default]
    Nil,
    Unsigned(u64),
    Negative(i64),
    Bool(bool),
    Raw(&'a [u8]),
    /// Bytes that came as an array of integers.
    Owned(Vec<u8>),
    /// Encoded, not looked at.
    Nested(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn unsigned<T: TryFrom<u64> + Default>(&self) -> Result<T, MessageError> {
        match *self {
            Self::Unsigned(number) => T::try_from(number).map_err(|_| MessageError::OutOfRange),
            _ => Ok(T::default()),
        }
    }

    /// Beyond the range of Go's `int` at either end is the same to all users of this: out of their range.
    fn signed(&self) -> i64 {
        match *self {
            Self::Unsigned(number) => i64::try_from(number).unwrap_or(i64::MAX),
            Self::Negative(number) => number,
            _ => 0,
        }
    }

    fn count(&self, max: u32) -> Result<u32, MessageError> {
        match u32::try_from(self.signed()) {
            Ok(count) if count <= max => Ok(count),
            Ok(_) => Err(MessageError::TooLarge),
            Err(_) => Err(MessageError::OutOfRange),
        }
    }

    pub(super) fn bool(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    pub(super) fn text(&self) -> &'a [u8] {
        match *self {
            Self::Raw(text) => text,
            _ => &[],
        }
    }

    pub(super) fn bytes(self) -> Option<Bytes<'a>> {
        match self {
            Self::Raw(bytes) => Some(Bytes(Cow::Borrowed(bytes))),
            Self::Owned(bytes) => Some(Bytes(Cow::Owned(bytes))),
            _ => None,
        }
    }

    /// The encoded value, if there is one.
    pub(super) fn nested(&self) -> Option<Reader<'a>> {
        match *self {
            Self::Nested(encoded) => Some(Reader::new(encoded)),
            _ => None,
        }
    }

    fn octets(&self) -> &[u8] {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            _ => &[],
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        let octets = self.octets();
        if let Ok(octets) = <[u8; 4]>::try_from(octets) {
            return Some(IpAddr::V4(Ipv4Addr::from(octets)));
        }
        <[u8; 16]>::try_from(octets).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
    }

    fn versions(&self) -> Option<Versions> {
        let &[min, max, current, application_min, application_max, application_current] =
            self.octets().first_chunk()?;
        Some(Versions {
            protocol: VersionRange { min, max, current },
            application: VersionRange { min: application_min, max: application_max, current: application_current },
            features: 0,
        })
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Nil | Self::Unsigned(0) | Self::Bool(false) => true,
            Self::Raw(bytes) => bytes.is_empty(),
            _ => false,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => write_nil(out),
            Self::Unsigned(number) => write_unsigned(*number, out),
            Self::Negative(number) => {
                out.push(Marker::I64.to_u8());
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Bool(value) => out.push(if *value { Marker::True } else { Marker::False }.to_u8()),
            Self::Raw(bytes) => write_raw(bytes, out),
            Self::Owned(bytes) => write_raw(bytes, out),
            Self::Nested(encoded) => out.extend_from_slice(encoded),
        }
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Unsigned(number.into())
    }
}

impl<'a> From<&'a Option<Bytes<'_>>> for Value<'a> {
    fn from(bytes: &'a Option<Bytes<'_>>) -> Self {
        bytes.as_ref().map_or(Self::Nil, |bytes| Self::Raw(bytes))
    }
}

/// Reads one message by its table, and nothing behind it.
///
/// Takes a map in any order with unknown keys in between, an array in declaration order of any length, or nil. The last
/// of several equal keys wins.
pub(super) fn read<'a, const N: usize>(
    table: &[Field; N],
    reader: &mut Reader<'a>,
) -> Result<[Value<'a>; N], MessageError> {
    let mut values = [const { Value::Nil }; N];
    match container(reader)? {
        Container::Nil => {}
        Container::Map(len) => {
            for _ in 0..len {
                let key = read_raw(reader)?;
                match table.iter().zip(&mut values).find(|(field, _)| field.key == key) {
                    Some((field, value)) => *value = read_value(field.kind, reader)?,
                    None => skip(reader)?,
                }
            }
        }
        Container::Array(len) => {
            for place in 0..len {
                match table.iter().zip(&mut values).find(|(field, _)| field.place == place) {
                    Some((field, value)) => *value = read_value(field.kind, reader)?,
                    None => skip(reader)?,
                }
            }
        }
    }
    Ok(values)
}

/// Writes one message by its table.
pub(super) fn write<const N: usize>(table: &[Field; N], values: &[Value<'_>; N], out: &mut Vec<u8>) {
    let written = || table.iter().zip(values).filter(|(field, value)| !(field.omit && value.is_zero()));
    write_map_len(written().count(), out);
    for (field, value) in written() {
        write_raw(field.key, out);
        value.write(out);
    }
}

fn read_value<'a>(kind: Kind, reader: &mut Reader<'a>) -> Result<Value<'a>, MessageError> {
    let start = *reader;
    let marker = Marker::from_u8(reader.u8()?);
    if marker == Marker::Null {
        return Ok(Value::Nil);
    }
    match kind {
        Kind::Unsigned => match read_integer(marker, reader)? {
            number @ Value::Unsigned(_) => Ok(number),
            _ => Err(MessageError::OutOfRange),
        },
        Kind::Signed => read_integer(marker, reader),
        Kind::Bool => match marker {
            Marker::False | Marker::FixPos(0) => Ok(Value::Bool(false)),
            Marker::True | Marker::FixPos(1) => Ok(Value::Bool(true)),
            _ => Err(MessageError::Malformed),
        },
        Kind::Text => {
            *reader = start;
            read_raw(reader).map(Value::Raw)
        }
        Kind::Bytes => {
            if let Some(len) = raw_len(marker, reader)? {
                return Ok(Value::Raw(reader.take(len)?));
            }
            let Some(len) = array_len(marker, reader)? else { return Err(MessageError::Malformed) };
            let mut bytes = Vec::new();
            for _ in 0..len {
                let marker = Marker::from_u8(reader.u8()?);
                let element = if marker == Marker::Null { Value::Nil } else { read_integer(marker, reader)? };
                if matches!(element, Value::Negative(_)) {
                    return Err(MessageError::OutOfRange);
                }
                bytes.push(element.unsigned()?);
            }
            Ok(Value::Owned(bytes))
        }
        Kind::Nested => {
            *reader = start;
            skip(reader)?;
            Ok(Value::Nested(reader.since(&start)))
        }
    }
}

/// An integer of any width and either sign; never nil.
fn read_integer<'a>(marker: Marker, reader: &mut Reader<'_>) -> Result<Value<'a>, MessageError> {
    let signed = match marker {
        Marker::FixPos(number) => return Ok(Value::Unsigned(number.into())),
        Marker::U8 => return Ok(Value::Unsigned(reader.u8()?.into())),
        Marker::U16 => return Ok(Value::Unsigned(reader.u16()?.into())),
        Marker::U32 => return Ok(Value::Unsigned(reader.u32()?.into())),
        Marker::U64 => return Ok(Value::Unsigned(reader.u64()?)),
        Marker::FixNeg(number) => number.into(),
        Marker::I8 => i8::from_be_bytes(reader.array()?).into(),
        Marker::I16 => i16::from_be_bytes(reader.array()?).into(),
        Marker::I32 => i32::from_be_bytes(reader.array()?).into(),
        Marker::I64 => i64::from_be_bytes(reader.array()?),
        _ => return Err(MessageError::Malformed),
    };
    Ok(u64::try_from(signed).map_or(Value::Negative(signed), Value::Unsigned))
}

/// An unsigned integer outside any table; nil is 0.
pub(super) fn read_unsigned(reader: &mut Reader<'_>) -> Result<u64, MessageError> {
    read_value(Kind::Unsigned, reader)?.unsigned()
}

/// Text or bytes of the raw, str8 and bin families; never nil.
pub(super) fn read_raw<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], MessageError> {
    let marker = Marker::from_u8(reader.u8()?);
    let len = raw_len(marker, reader)?.ok_or(MessageError::Malformed)?;
    Ok(reader.take(len)?)
}

/// As [`read_raw`], with nil as empty.
pub(super) fn read_text<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], MessageError> {
    Ok(read_value(Kind::Text, reader)?.text())
}

/// The length behind a marker of the raw, str8 or bin families; `None` behind another.
fn raw_len(marker: Marker, reader: &mut Reader<'_>) -> Result<Option<usize>, MessageError> {
    Ok(Some(match marker {
        Marker::FixStr(len) => len.into(),
        Marker::Str8 | Marker::Bin8 => reader.u8()?.into(),
        Marker::Str16 | Marker::Bin16 => reader.u16()?.into(),
        // Where a length does not fit, neither do the bytes.
        Marker::Str32 | Marker::Bin32 => usize::try_from(reader.u32()?).unwrap_or(usize::MAX),
        _ => return Ok(None),
    }))
}

fn array_len(marker: Marker, reader: &mut Reader<'_>) -> Result<Option<u32>, MessageError> {
    Ok(Some(match marker {
        Marker::FixArray(len) => len.into(),
        Marker::Array16 => reader.u16()?.into(),
        Marker::Array32 => reader.u32()?,
        _ => return Ok(None),
    }))
}

fn map_len(marker: Marker, reader: &mut Reader<'_>) -> Result<Option<u32>, MessageError> {
    Ok(Some(match marker {
        Marker::FixMap(len) => len.into(),
        Marker::Map16 => reader.u16()?.into(),
        Marker::Map32 => reader.u32()?,
        _ => return Ok(None),
    }))
}

/// What a message, a map or a list can begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Nil,
    Map(u32),
    Array(u32),
}

pub(super) fn container(reader: &mut Reader<'_>) -> Result<Container, MessageError> {
    let marker = Marker::from_u8(reader.u8()?);
    if marker == Marker::Null {
        return Ok(Container::Nil);
    }
    if let Some(len) = map_len(marker, reader)? {
        return Ok(Container::Map(len));
    }
    array_len(marker, reader)?.map(Container::Array).ok_or(MessageError::Malformed)
}

/// Whether a message can begin with this byte. Tells garbage at once, where waiting for all of it would take for ever.
pub(super) fn begins_message(byte: u8) -> bool {
    container(&mut Reader::new(&[byte])) != Err(MessageError::Malformed)
}

/// Passes over one value, whatever it is.
pub(super) fn skip(reader: &mut Reader<'_>) -> Result<(), MessageError> {
    let mut at = 0;
    if !Skip::new(NESTING_MAX).advance(reader.rest(), &mut at)? {
        return Err(MessageError::Truncated);
    }
    reader.take(at)?;
    Ok(())
}

/// Finds the end of one value, going on where it stopped when more bytes have arrived.
///
/// Only headers are looked at, each once, or once per call for the one that was incomplete; what they announce is
/// stepped over. So the cost over all calls is linear in the bytes and the number of calls.
#[derive(Debug)]
pub(super) struct Skip {
    /// Values still missing in each open container, outermost first.
    pending: Vec<u64>,
    nesting_max: usize,
}

/// Finds the end of a message. It is a container itself, around those that nobody may know.
impl Default for Skip {
    fn default() -> Self {
        Self::new(NESTING_MAX + 1)
    }
}

impl Skip {
    fn new(nesting_max: usize) -> Self {
        Self { pending: Vec::new(), nesting_max }
    }

    /// Moves `at` to the end of the value that starts there, and tells whether it was reached. Afterwards it is ready
    /// for the next value.
    pub(super) fn advance(&mut self, received: &[u8], at: &mut usize) -> Result<bool, MessageError> {
        loop {
            let mut reader = Reader::new(received.get(*at..).unwrap_or_default());
            let children = match skip_one(&mut reader) {
                Ok(children) => children,
                Err(MessageError::Truncated) => return Ok(false),
                Err(error) => return Err(error),
            };
            *at = received.len().saturating_sub(reader.remaining());
            if children > 0 {
                if self.pending.len() >= self.nesting_max {
                    return Err(MessageError::TooDeep);
                }
                self.pending.push(children);
            } else if self.complete() {
                return Ok(true);
            }
        }
    }

    /// Counts a complete value, and with it the containers that it was the last of. True when nothing is open.
    fn complete(&mut self) -> bool {
        while let Some(missing) = self.pending.last_mut() {
            *missing = missing.saturating_sub(1);
            if *missing > 0 {
                return false;
            }
            self.pending.pop();
        }
        true
    }
}

/// Passes over a scalar, or over the header of a container; tells how many values the container announces.
fn skip_one(reader: &mut Reader<'_>) -> Result<u64, MessageError> {
    let marker = Marker::from_u8(reader.u8()?);
    if let Some(len) = raw_len(marker, reader)? {
        reader.take(len)?;
        return Ok(0);
    }
    if let Some(len) = map_len(marker, reader)? {
        return Ok(u64::from(len).saturating_mul(2));
    }
    if let Some(len) = array_len(marker, reader)? {
        return Ok(len.into());
    }
    // An extension has a type byte in front of its data.
    let len = match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::False | Marker::True => 0,
        Marker::U8 | Marker::I8 => 1,
        Marker::U16 | Marker::I16 | Marker::FixExt1 => 2,
        Marker::FixExt2 => 3,
        Marker::U32 | Marker::I32 | Marker::F32 => 4,
        Marker::FixExt4 => 5,
        Marker::U64 | Marker::I64 | Marker::F64 => 8,
        Marker::FixExt8 => 9,
        Marker::FixExt16 => 17,
        Marker::Ext8 => usize::from(reader.u8()?).saturating_add(1),
        Marker::Ext16 => usize::from(reader.u16()?).saturating_add(1),
        Marker::Ext32 => usize::try_from(reader.u32()?).unwrap_or(usize::MAX).saturating_add(1),
        _ => return Err(MessageError::Malformed),
    };
    reader.take(len)?;
    Ok(0)
}

pub(super) fn write_nil(out: &mut Vec<u8>) {
    out.push(Marker::Null.to_u8());
}

pub(super) fn write_raw(bytes: &[u8], out: &mut Vec<u8>) {
    write_len(bytes.len(), 31, Marker::FixStr, [Marker::Str16, Marker::Str32], out);
    out.extend_from_slice(bytes);
}

pub(super) fn write_map_len(len: usize, out: &mut Vec<u8>) {
    write_len(len, 15, Marker::FixMap, [Marker::Map16, Marker::Map32], out);
}

pub(super) fn write_array_len(len: usize, out: &mut Vec<u8>) {
    write_len(len, 15, Marker::FixArray, [Marker::Array16, Marker::Array32], out);
}

/// The families that have no 8-bit length, which are all that this dialect writes.
fn write_len(len: usize, fix_max: u8, fix: fn(u8) -> Marker, [wide, wider]: [Marker; 2], out: &mut Vec<u8>) {
    if let Some(len) = u8::try_from(len).ok().filter(|&len| len <= fix_max) {
        out.push(fix(len).to_u8());
    } else if let Ok(len) = u16::try_from(len) {
        out.push(wide.to_u8());
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        let len = u32::try_from(len).expect("nothing of 4 GiB is ever sent");
        out.push(wider.to_u8());
        out.extend_from_slice(&len.to_be_bytes());
    }
}

pub(super) fn write_unsigned(number: u64, out: &mut Vec<u8>) {
    if let Ok(number) = u8::try_from(number) {
        if number > 0x7f {
            out.push(Marker::U8.to_u8());
        }
        out.push(number);
    } else if let Ok(number) = u16::try_from(number) {
        out.push(Marker::U16.to_u8());
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        out.push(Marker::U32.to_u8());
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(Marker::U64.to_u8());
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// How deeply containers may nest in a value that is skipped. The messages themselves need four.
pub(super) const NESTING_MAX: usize = 32;

#[cfg(test)]
pub(super) mod tests;
