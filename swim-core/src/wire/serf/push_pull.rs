//! The user state of a push/pull: everything that a node remembers.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::kind;
use super::list::{List, Names, read_text};
use crate::ids::LamportTime;
use crate::wire::codec::{Codec, MessageError, PUSH_PULL_ENTRIES_MAX};
use crate::wire::message::Bytes;
use crate::wire::msgpack::{self, Field, Kind, Value, field};
use crate::wire::native;
use crate::wire::reader::Reader;

/// The three clocks of a node. See [`Codec::encode_serf_push_pull`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Clocks {
    /// Of join and leave intents.
    pub member: LamportTime,
    /// Of user events.
    pub event: LamportTime,
    /// Of queries.
    pub query: LamportTime,
}

/// The user state of a push/pull. See [`Codec::encode_serf_push_pull`].
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
    /// Appends the user state of a push/pull, kind byte first, as the iterators yield it.
    ///
    /// `statuses` are all members with their last accepted intent, `left` the names of those that have left, `events`
    /// the slots of the event ring, empty ones too: Serf wants to see as many as its ring has. Each event is a name
    /// and a payload.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::{Clocks, SerfMessage};
    ///
    /// let clocks = Clocks { member: LamportTime(7), event: LamportTime(2), query: LamportTime(1) };
    /// let statuses = [(&b"a"[..], LamportTime(5)), (b"b", LamportTime(6))];
    /// let deploy = [(&b"deploy"[..], Some(&b"v2"[..]))];
    /// let ring = [None, Some((LamportTime(1), deploy.into_iter()))];
    /// let mut out = Vec::new();
    /// let (statuses, left) = (statuses.into_iter(), [&b"b"[..]].into_iter());
    /// Codec::Serf.encode_serf_push_pull(&clocks, statuses, left, ring.into_iter(), &mut out);
    ///
    /// let SerfMessage::PushPull(state) = Codec::Serf.decode_serf(&out)? else { panic!("it is one") };
    /// assert_eq!((state.clocks, state.statuses.count()), (clocks, 2));
    /// assert_eq!(state.left.collect::<Vec<_>>(), [b"b"]);
    /// let events = state.events.flat_map(|slot| slot.events.map(|event| event.name));
    /// assert_eq!(events.collect::<Vec<_>>(), [b"deploy"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    pub(super) fn read(codec: Codec, reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        match codec {
            Codec::Native => Self::read_native(reader),
            Codec::Serf => Self::read_msgpack(reader),
        }
    }

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
        let statuses = List::at(Codec::Native, *reader)?;
        bounded(statuses.len())?;
        let left = List::at(Codec::Native, statuses.check(read_status)?)?;
        bounded(left.len())?;
        // The ring's end is marked, not counted, so that empty slots cost nothing.
        let events = List::native(u64::MAX, left.check(read_text)?);
        Self { clocks, statuses: Statuses(statuses), left: Names(left), events: EventSlots(events) }.checked()
    }

    /// Walks through everything once, so that the iterators need not be able to fail.
    fn checked(self) -> Result<Self, MessageError> {
        bounded(self.statuses.0.len())?;
        bounded(self.left.0.len())?;
        self.statuses.0.check(read_status)?;
        self.left.0.check(read_text)?;
        let (mut slots, mut count) = (self.events.0, 0_u64);
        while let Some(slot) = slots.next(read_slot).transpose()? {
            let Slot::Occupied(EventSlot { events, .. }) = slot else { continue };
            count = count.saturating_add(1).saturating_add(events.0.len());
            bounded(count)?;
            events.0.check(read_event)?;
        }
        Ok(self)
    }
}

/// Names of members and the times of their last accepted intents, in no order. See [`Codec::encode_serf_push_pull`].
#[derive(Clone, Debug)]
pub struct Statuses<'a>(List<'a>);

impl<'a> Iterator for Statuses<'a> {
    type Item = (&'a [u8], LamportTime);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_status)?.ok()
    }
}

/// The occupied slots of an event ring, in its order, which is not that of time. See [`Codec::encode_serf_push_pull`].
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

/// All user events of one time of the event clock. See [`Codec::encode_serf_push_pull`].
#[derive(Clone, Debug)]
pub struct EventSlot<'a> {
    /// Of the event clock.
    pub ltime: LamportTime,
    /// In the order in which the sender saw them.
    pub events: RecordedEvents<'a>,
}

/// The user events of one slot. See [`Codec::encode_serf_push_pull`].
#[derive(Clone, Debug)]
pub struct RecordedEvents<'a>(List<'a>);

impl<'a> Iterator for RecordedEvents<'a> {
    type Item = RecordedEvent<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_event)?.ok()
    }
}

/// A user event as a ring remembers it; whether it may be coalesced is not remembered. See
/// [`Codec::encode_serf_push_pull`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEvent<'a> {
    /// What happened.
    #[serde(borrow, with = "serde_bytes")]
    pub name: &'a [u8],
    /// To whom it may concern.
    #[serde(borrow)]
    pub payload: Option<Bytes<'a>>,
}

/// Nobody has more of anything than members, or events, that fit a full state. Names may be empty, so that the length alone
/// says nothing of how many there are.
fn bounded(count: u64) -> Result<(), MessageError> {
    if count > u64::from(PUSH_PULL_ENTRIES_MAX) { Err(MessageError::TooLarge) } else { Ok(()) }
}

fn read_status<'a>(codec: Codec, reader: &mut Reader<'a>) -> Result<Option<(&'a [u8], LamportTime)>, MessageError> {
    Ok(Some(match codec {
        Codec::Native => native::read::<Status<'_>>(reader).map(|status| (status.name, status.ltime))?,
        Codec::Serf => (msgpack::read_raw(reader)?, LamportTime(msgpack::read_unsigned(reader)?)),
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
            let events = List::native(len, *reader);
            *reader = events.check(read_event)?;
            let events = RecordedEvents(events);
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

const NIL: u8 = 0xc0;

#[cfg(test)]
mod tests;
