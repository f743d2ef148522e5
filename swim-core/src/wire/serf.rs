//! Serf's messages, once, whatever their encoding: what travels in user messages, in the user state of a push/pull and
//! in the metadata of members (Serf: `serf/messages.go`).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::codec::{Codec, MessageError};
use super::message::Bytes;
use super::msgpack::{self, Container, Field, Kind, Value, field};
use super::native;
use super::reader::Reader;
use crate::ids::LamportTime;

/// The first byte of every message of Serf. The numbers are the same in both codecs.
pub mod kind {
    #![allow(missing_docs, reason = "the names are the documentation")]
    pub const LEAVE: u8 = 0;
    pub const JOIN: u8 = 1;
    pub const PUSH_PULL: u8 = 2;
}

/// A message of the layer above membership.
#[derive(Clone, Debug)]
pub enum SerfMessage<'a> {
    /// A member is about to leave, or is made to.
    Leave(Leave<'a>),
    /// A member has come.
    Join(Join<'a>),
    /// Everything that a node remembers; only in push/pull.
    PushPull(PushPullState<'a>),
}

/// The intent to leave, or to make a failed member leave.
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

/// The intent to be a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join<'a> {
    /// Of the member clock.
    pub ltime: LamportTime,
    /// Who joins.
    #[serde(borrow, with = "serde_bytes")]
    pub node: &'a [u8],
}

/// The three clocks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Clocks {
    /// Of join and leave intents.
    pub member: LamportTime,
    /// Of user events.
    pub event: LamportTime,
    /// Of queries.
    pub query: LamportTime,
}

/// The user state of a push/pull.
///
/// Its lists were checked when it was decoded, and are read again as they are walked through: nothing is allocated,
/// however many things they hold.
#[derive(Clone, Debug)]
pub struct PushPullState<'a> {
    /// As they stood at the sender, not one less.
    pub clocks: Clocks,
    /// When each member that the sender knows last changed by an intent. A name that is there twice comes twice.
    pub statuses: Statuses<'a>,
    /// Who has left. Their intents' times are among the statuses.
    pub left: Names<'a>,
    /// The occupied slots of the ring of recent user events.
    pub events: EventSlots<'a>,
}

impl Codec {
    /// Reads one message of Serf, kind byte first. Bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`]; the kinds are those of [`SerfMessage`].
    pub fn decode_serf(self, bytes: &[u8]) -> Result<SerfMessage<'_>, MessageError> {
        let reader = &mut Reader::new(bytes);
        Ok(match (reader.u8()?, self) {
            (kind::LEAVE, Self::Native) => SerfMessage::Leave(native::read(reader)?),
            (kind::LEAVE, Self::Serf) => {
                let [ltime, node, prune] = msgpack::read(&LEAVE, reader)?;
                let ltime = LamportTime(ltime.unsigned()?);
                SerfMessage::Leave(Leave { ltime, node: node.text(), prune: prune.bool() })
            }
            (kind::JOIN, Self::Native) => SerfMessage::Join(native::read(reader)?),
            (kind::JOIN, Self::Serf) => {
                let [ltime, node] = msgpack::read(&JOIN, reader)?;
                SerfMessage::Join(Join { ltime: LamportTime(ltime.unsigned()?), node: node.text() })
            }
            (kind::PUSH_PULL, Self::Native) => SerfMessage::PushPull(PushPullState::read_native(reader)?),
            (kind::PUSH_PULL, Self::Serf) => SerfMessage::PushPull(PushPullState::read_msgpack(reader)?),
            (kind, _) => return Err(MessageError::UnknownKind(kind)),
        })
    }

    /// Appends the intent to leave, kind byte first.
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
    pub fn encode_serf_join(self, join: &Join<'_>, out: &mut Vec<u8>) {
        out.push(kind::JOIN);
        match self {
            Self::Native => native::write(join, out),
            Self::Serf => msgpack::write(&JOIN, &[Value::Unsigned(join.ltime.0), Value::Raw(join.node)], out),
        }
    }

    /// Appends the user state of a push/pull, kind byte first, as the iterators yield it.
    ///
    /// `statuses` are all members with their last accepted intent, `left` the names of those that have left, `events`
    /// the slots of the event ring, empty ones too: Serf wants to see as many as its ring has. Each event is a name
    /// and a payload.
    pub fn encode_serf_push_pull<'s, E>(
        self,
        clocks: &Clocks,
        statuses: impl ExactSizeIterator<Item = (&'s [u8], LamportTime)>,
        left: impl ExactSizeIterator<Item = &'s [u8]>,
        events: impl ExactSizeIterator<Item = Option<(LamportTime, E)>>,
        out: &mut Vec<u8>,
    ) where
        E: ExactSizeIterator<Item = (&'s [u8], Option<&'s [u8]>)>,
    {
        out.push(kind::PUSH_PULL);
        match self {
            Self::Native => write_native(clocks, statuses, left, events, out),
            Self::Serf => write_msgpack(clocks, statuses, left, events, out),
        }
    }
}

impl<'a> PushPullState<'a> {
    fn read_msgpack(reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        let [event, events, member, left, query, statuses] = msgpack::read(&PUSH_PULL, reader)?;
        Self {
            clocks: Clocks {
                member: LamportTime(member.unsigned()?),
                event: LamportTime(event.unsigned()?),
                query: LamportTime(query.unsigned()?),
            },
            statuses: Statuses(List::of_map(&statuses)?),
            left: Names(List::of_array(&left)?),
            events: EventSlots(List::of_array(&events)?),
        }
        .checked()
    }

    fn read_native(reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        let clocks = native::read(reader)?;
        let mut statuses = List::native(native::read(reader)?, *reader);
        let list = Statuses(statuses);
        while statuses.next(read_status).transpose()?.is_some() {}
        *reader = statuses.reader;
        let mut left = List::native(native::read(reader)?, *reader);
        let names = Names(left);
        while left.next(read_name).transpose()?.is_some() {}
        // The ring's end is marked, not counted, so that empty slots cost nothing.
        Self { clocks, statuses: list, left: names, events: EventSlots(List::native(u64::MAX, left.reader)) }.checked()
    }

    /// Walks through everything once, so that the iterators need not be able to fail.
    fn checked(self) -> Result<Self, MessageError> {
        let Self { clocks: _, statuses: Statuses(mut statuses), left: Names(mut left), events: EventSlots(mut slots) } =
            self;
        while statuses.next(read_status).transpose()?.is_some() {}
        while left.next(read_name).transpose()?.is_some() {}
        while let Some(slot) = slots.next(read_slot).transpose()? {
            let Slot::Occupied(EventSlot { events: RecordedEvents(mut events), .. }) = slot else { continue };
            while events.next(read_event).transpose()?.is_some() {}
        }
        Ok(self)
    }
}

/// Names of members and the times of their last accepted intents, in no order.
#[derive(Clone, Debug)]
pub struct Statuses<'a>(List<'a>);

impl<'a> Iterator for Statuses<'a> {
    type Item = (&'a [u8], LamportTime);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_status)?.ok()
    }
}

/// Names of members.
#[derive(Clone, Debug)]
pub struct Names<'a>(List<'a>);

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_name)?.ok()
    }
}

/// The occupied slots of an event ring, in its order, which is not that of time.
#[derive(Clone, Debug)]
pub struct EventSlots<'a>(List<'a>);

impl<'a> Iterator for EventSlots<'a> {
    type Item = EventSlot<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next(read_slot)?.ok()? {
                Slot::Empty => {}
                Slot::Occupied(slot) => return Some(slot),
            }
        }
    }
}

/// All user events of one time of the event clock.
#[derive(Clone, Debug)]
pub struct EventSlot<'a> {
    /// Of the event clock.
    pub ltime: LamportTime,
    /// In the order in which the sender saw them.
    pub events: RecordedEvents<'a>,
}

/// The user events of one slot.
#[derive(Clone, Debug)]
pub struct RecordedEvents<'a>(List<'a>);

impl<'a> Iterator for RecordedEvents<'a> {
    type Item = RecordedEvent<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_event)?.ok()
    }
}

/// A user event as a ring remembers it; whether it may be coalesced is not remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEvent<'a> {
    /// What happened.
    #[serde(borrow, with = "serde_bytes")]
    pub name: &'a [u8],
    /// To whom it may concern.
    #[serde(borrow)]
    pub payload: Option<Bytes<'a>>,
}

/// So many things of one sort, encoded one behind the other.
#[derive(Clone, Copy, Debug)]
struct List<'a> {
    codec: Codec,
    missing: u64,
    reader: Reader<'a>,
}

impl<'a> List<'a> {
    const fn native(len: u64, reader: Reader<'a>) -> Self {
        Self { codec: Codec::Native, missing: len, reader }
    }

    fn of_map(value: &Value<'a>) -> Result<Self, MessageError> {
        Self::msgpack(value, |container| match container {
            Container::Nil => Some(0),
            Container::Map(len) => Some(len),
            Container::Array(_) => None,
        })
    }

    fn of_array(value: &Value<'a>) -> Result<Self, MessageError> {
        Self::msgpack(value, |container| match container {
            Container::Nil => Some(0),
            Container::Array(len) => Some(len),
            Container::Map(_) => None,
        })
    }

    fn msgpack(value: &Value<'a>, len: impl FnOnce(Container) -> Option<u32>) -> Result<Self, MessageError> {
        let mut reader = value.nested().unwrap_or(Reader::new(&[]));
        let missing = match reader.rest() {
            [] => 0,
            _ => len(msgpack::container(&mut reader)?).ok_or(MessageError::Malformed)?,
        };
        Ok(Self { codec: Codec::Serf, missing: missing.into(), reader })
    }

    fn next<T>(
        &mut self,
        read: impl FnOnce(Codec, &mut Reader<'a>) -> Result<Option<T>, MessageError>,
    ) -> Option<Result<T, MessageError>> {
        self.missing = self.missing.checked_sub(1)?;
        read(self.codec, &mut self.reader)
            .inspect(|item| {
                if item.is_none() {
                    self.missing = 0;
                }
            })
            .transpose()
    }
}

fn read_status<'a>(codec: Codec, reader: &mut Reader<'a>) -> Result<Option<(&'a [u8], LamportTime)>, MessageError> {
    Ok(Some(match codec {
        Codec::Native => native::read::<Status<'_>>(reader).map(|status| (status.name, status.ltime))?,
        Codec::Serf => (msgpack::read_raw(reader)?, LamportTime(msgpack::read_unsigned(reader)?)),
    }))
}

fn read_name<'a>(codec: Codec, reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, MessageError> {
    Ok(Some(match codec {
        Codec::Native => native::read::<&serde_bytes::Bytes>(reader)?,
        Codec::Serf => msgpack::read_text(reader)?,
    }))
}

enum Slot<'a> {
    Empty,
    Occupied(EventSlot<'a>),
}

fn read_slot<'a>(codec: Codec, reader: &mut Reader<'a>) -> Result<Option<Slot<'a>>, MessageError> {
    match codec {
        Codec::Native => {
            let Some((ltime, len)) = native::read(reader)? else { return Ok(None) };
            let mut rest = List::native(len, *reader);
            let events = RecordedEvents(rest);
            while rest.next(read_event).transpose()?.is_some() {}
            *reader = rest.reader;
            Ok(Some(Slot::Occupied(EventSlot { ltime, events })))
        }
        Codec::Serf if reader.rest().first() == Some(&NIL) => {
            msgpack::skip(reader)?;
            Ok(Some(Slot::Empty))
        }
        Codec::Serf => {
            let [events, ltime] = msgpack::read(&EVENT_SLOT, reader)?;
            let events = RecordedEvents(List::of_array(&events)?);
            Ok(Some(Slot::Occupied(EventSlot { ltime: LamportTime(ltime.unsigned()?), events })))
        }
    }
}

fn read_event<'a>(codec: Codec, reader: &mut Reader<'a>) -> Result<Option<RecordedEvent<'a>>, MessageError> {
    Ok(Some(match codec {
        Codec::Native => native::read(reader)?,
        Codec::Serf => {
            let [name, payload] = msgpack::read(&EVENT, reader)?;
            RecordedEvent { name: name.text(), payload: payload.bytes() }
        }
    }))
}

fn write_native<'s, E>(
    clocks: &Clocks,
    statuses: impl ExactSizeIterator<Item = (&'s [u8], LamportTime)>,
    left: impl ExactSizeIterator<Item = &'s [u8]>,
    events: impl Iterator<Item = Option<(LamportTime, E)>>,
    out: &mut Vec<u8>,
) where
    E: ExactSizeIterator<Item = (&'s [u8], Option<&'s [u8]>)>,
{
    native::write(clocks, out);
    native::write(&statuses.len(), out);
    for (name, ltime) in statuses {
        native::write(&Status { name, ltime }, out);
    }
    native::write(&left.len(), out);
    for name in left {
        native::write(serde_bytes::Bytes::new(name), out);
    }
    for (ltime, events) in events.flatten() {
        native::write(&Some((ltime, events.len())), out);
        for (name, payload) in events {
            native::write(&RecordedEvent { name, payload: payload.map(Bytes::from) }, out);
        }
    }
    native::write(&None::<()>, out);
}

fn write_msgpack<'s, E>(
    clocks: &Clocks,
    statuses: impl ExactSizeIterator<Item = (&'s [u8], LamportTime)>,
    left: impl ExactSizeIterator<Item = &'s [u8]>,
    slots: impl ExactSizeIterator<Item = Option<(LamportTime, E)>>,
    out: &mut Vec<u8>,
) where
    E: ExactSizeIterator<Item = (&'s [u8], Option<&'s [u8]>)>,
{
    // Not through the tables, which would want every list encoded before it is written. The order is theirs.
    msgpack::write_map_len(PUSH_PULL.len(), out);
    msgpack::write_raw(b"EventLTime", out);
    msgpack::write_unsigned(clocks.event.0, out);
    msgpack::write_raw(b"Events", out);
    msgpack::write_array_len(slots.len(), out);
    for slot in slots {
        let Some((ltime, events)) = slot else {
            msgpack::write_nil(out);
            continue;
        };
        msgpack::write_map_len(EVENT_SLOT.len(), out);
        msgpack::write_raw(b"Events", out);
        msgpack::write_array_len(events.len(), out);
        for (name, payload) in events {
            msgpack::write(&EVENT, &[Value::Raw(name), payload.map_or(Value::Nil, Value::Raw)], out);
        }
        msgpack::write_raw(b"LTime", out);
        msgpack::write_unsigned(ltime.0, out);
    }
    msgpack::write_raw(b"LTime", out);
    msgpack::write_unsigned(clocks.member.0, out);
    msgpack::write_raw(b"LeftMembers", out);
    msgpack::write_array_len(left.len(), out);
    for name in left {
        msgpack::write_raw(name, out);
    }
    msgpack::write_raw(b"QueryLTime", out);
    msgpack::write_unsigned(clocks.query.0, out);
    msgpack::write_raw(b"StatusLTimes", out);
    msgpack::write_map_len(statuses.len(), out);
    for (name, ltime) in statuses {
        msgpack::write_raw(name, out);
        msgpack::write_unsigned(ltime.0, out);
    }
}

#[derive(Serialize, Deserialize)]
struct Status<'a> {
    #[serde(borrow, with = "serde_bytes")]
    name: &'a [u8],
    ltime: LamportTime,
}

/// Appends tags as the metadata of a member: `ff` and a msgpack map, in both codecs.
///
/// At most 512 bytes of it may be announced, which is for the caller to check.
pub fn encode_tags<'t>(tags: impl ExactSizeIterator<Item = (&'t [u8], &'t [u8])>, out: &mut Vec<u8>) {
    out.push(TAGS);
    msgpack::write_map_len(tags.len(), out);
    for (key, value) in tags {
        msgpack::write_raw(key, out);
        msgpack::write_raw(value, out);
    }
}

/// The tags in the metadata of a member, in the order written.
///
/// Metadata that does not begin with `ff`, empty metadata too, is the value of the single tag `role` (Serf protocol 2).
/// What was read before an error stands; after it comes nothing.
pub fn decode_tags(meta: &[u8]) -> Tags<'_> {
    Tags(match meta {
        [TAGS, encoded @ ..] => {
            let mut reader = Reader::new(encoded);
            match msgpack::container(&mut reader) {
                Ok(Container::Nil) => TagsState::Map { missing: 0, reader },
                Ok(Container::Map(missing)) => TagsState::Map { missing, reader },
                Ok(Container::Array(_)) => TagsState::Failed(MessageError::Malformed),
                Err(error) => TagsState::Failed(error),
            }
        }
        role => TagsState::Role(role),
    })
}

/// An iterator over tags; see [`decode_tags`].
#[derive(Clone, Debug)]
pub struct Tags<'a>(TagsState<'a>);

#[derive(Clone, Debug)]
enum TagsState<'a> {
    Role(&'a [u8]),
    Map { missing: u32, reader: Reader<'a> },
    Failed(MessageError),
    Finished,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        match core::mem::replace(&mut self.0, TagsState::Finished) {
            TagsState::Role(role) => Some(Ok((b"role", role))),
            TagsState::Map { missing, mut reader } => {
                let missing = missing.checked_sub(1)?;
                let tag = msgpack::read_raw(&mut reader)
                    .and_then(|key| msgpack::read_text(&mut reader).map(|value| (key, value)));
                if tag.is_ok() {
                    self.0 = TagsState::Map { missing, reader };
                }
                Some(tag)
            }
            TagsState::Failed(error) => Some(Err(error)),
            TagsState::Finished => None,
        }
    }
}

impl core::iter::FusedIterator for Tags<'_> {}

const LEAVE: [Field; 3] =
    [field("LTime", 0, Kind::Unsigned), field("Node", 1, Kind::Text), field("Prune", 2, Kind::Bool)];

const JOIN: [Field; 2] = [field("LTime", 0, Kind::Unsigned), field("Node", 1, Kind::Text)];

const PUSH_PULL: [Field; 6] = [
    field("EventLTime", 3, Kind::Unsigned),
    field("Events", 4, Kind::Nested),
    field("LTime", 0, Kind::Unsigned),
    field("LeftMembers", 2, Kind::Nested),
    field("QueryLTime", 5, Kind::Unsigned),
    field("StatusLTimes", 1, Kind::Nested),
];

const EVENT_SLOT: [Field; 2] = [field("Events", 1, Kind::Nested), field("LTime", 0, Kind::Unsigned)];

const EVENT: [Field; 2] = [field("Name", 0, Kind::Text), field("Payload", 1, Kind::Bytes)];

/// Metadata that begins so is a map of tags; no UTF-8 text does.
const TAGS: u8 = 0xff;

const NIL: u8 = 0xc0;

#[cfg(test)]
mod tests;
