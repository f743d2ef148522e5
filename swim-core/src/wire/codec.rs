//! The choice between the two encodings of one set of messages.
//!
//! A kind byte comes first in both. In a datagram the body reaches to the end of what its wrapping gave it; in a stream
//! its end has to be found, which is what [`Codec::scan_stream`] does.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::message::{
    Accusation, Ack, Alive, Entry, IndirectPing, Message, Nack, Ping, PushPull, PushPullHeader, StreamMessage, kind,
};
use super::reader::{Reader, Truncated};
use super::{msgpack, native};
use crate::ids::Incarnation;

/// How bodies are encoded. See [`Codec::decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// `docs/wire-format.md`: compact, and only our own.
    Native,
    /// HashiCorp's msgpack, understood by memberlist and Serf.
    Serf,
}

impl Codec {
    /// Reads one message of a datagram: its kind and what follows. Bytes behind the message are ignored.
    ///
    /// # Errors
    ///
    /// [`UnknownKind`](MessageError::UnknownKind) also for the kinds that wrap others and those of streams. With
    /// anything else the body is not what its kind demands.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    /// use swim_core::wire::codec::{Codec, MessageError};
    /// use swim_core::wire::message::{Message, Nack, kind};
    ///
    /// let received = b"\x0b\x81\xa5SeqNo\x07";
    /// let (kind, body) = received.split_first().expect("it is not empty");
    /// assert_eq!(Codec::Serf.decode(*kind, body), Ok(Message::Nack(Nack { seq: SequenceNumber(7) })));
    /// assert_eq!(Codec::Serf.decode(99, body), Err(MessageError::UnknownKind(99)));
    /// ```
    pub fn decode<'a>(self, kind: u8, body: &'a [u8]) -> Result<Message<'a>, MessageError> {
        let body = &mut Reader::new(body);
        Ok(match (kind, self) {
            (kind::PING, Self::Native) => Message::Ping(native::read(body)?),
            (kind::PING, Self::Serf) => Message::Ping(msgpack::read_ping(body)?),
            (kind::INDIRECT_PING, Self::Native) => Message::IndirectPing(native::read(body)?),
            (kind::INDIRECT_PING, Self::Serf) => Message::IndirectPing(msgpack::read_indirect_ping(body)?),
            (kind::ACK, Self::Native) => Message::Ack(native::read(body)?),
            (kind::ACK, Self::Serf) => Message::Ack(msgpack::read_ack(body)?),
            (kind::NACK, Self::Native) => Message::Nack(native::read(body)?),
            (kind::NACK, Self::Serf) => Message::Nack(msgpack::read_nack(body)?),
            (kind::SUSPECT, Self::Native) => Message::Suspect(native::read_accusation(body)?),
            (kind::SUSPECT, Self::Serf) => Message::Suspect(msgpack::read_accusation(body)?),
            (kind::DEAD, Self::Native) => Message::Dead(native::read_accusation(body)?),
            (kind::DEAD, Self::Serf) => Message::Dead(msgpack::read_accusation(body)?),
            (kind::ALIVE, Self::Native) => Message::Alive(native::read_alive(body)?),
            (kind::ALIVE, Self::Serf) => Message::Alive(msgpack::read_alive(body)?),
            (kind::USER, _) => Message::User(body.rest()),
            (kind, _) => return Err(MessageError::UnknownKind(kind)),
        })
    }

    /// The name of the member that a message of a datagram is about, where that is found without reading all of it: of
    /// claims about members, in our own encoding. Nothing says that the message is good.
    pub(crate) fn peek_subject(self, message: &[u8]) -> Option<(Incarnation, &[u8])> {
        match (self, message) {
            (Self::Native, [kind, body @ ..]) => native::peek_subject(*kind, body),
            (Self::Native, []) | (Self::Serf, _) => None,
        }
    }

    /// Appends a message of a datagram, kind byte first. [`decode`](Self::decode) is its inverse.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Message, kind};
    ///
    /// let mut out = Vec::new();
    /// let message = Message::User(b"hello");
    /// Codec::Native.encode(&message, &mut out);
    /// assert_eq!((out[0], Codec::Native.decode(out[0], &out[1..])), (kind::USER, Ok(message)));
    /// ```
    pub fn encode(self, message: &Message<'_>, out: &mut Vec<u8>) {
        match message {
            Message::Ping(ping) => self.encode_ping(ping, out),
            Message::IndirectPing(ping) => self.encode_indirect_ping(ping, out),
            Message::Ack(ack) => self.encode_ack(ack, out),
            Message::Nack(nack) => self.encode_nack(*nack, out),
            Message::Suspect(accusation) => self.encode_suspect(accusation, out),
            Message::Dead(accusation) => self.encode_dead(accusation, out),
            Message::Alive(alive) => self.encode_alive(alive, out),
            Message::User(payload) => {
                out.push(kind::USER);
                out.extend_from_slice(payload);
            }
        }
    }

    /// Appends a ping. Like the other encoders it allocates nothing but room in `out`.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Message, Ping, Source};
    ///
    /// let ping = Ping { seq: SequenceNumber(7), node: b"b", source: Source::default() };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_ping(&ping, &mut out);
    /// assert_eq!(Codec::Serf.decode(out[0], &out[1..]), Ok(Message::Ping(ping)));
    /// ```
    pub fn encode_ping(self, ping: &Ping<'_>, out: &mut Vec<u8>) {
        out.push(kind::PING);
        match self {
            Self::Native => native::write(ping, out),
            Self::Serf => msgpack::write_ping(ping, out),
        }
    }

    /// Appends an indirect ping.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{IndirectPing, Message, Source};
    ///
    /// let (seq, source) = (SequenceNumber(7), Source::default());
    /// let target = [127, 0, 0, 1].into();
    /// let request = IndirectPing { seq, target, port: 7947, node: b"b", nack: true, source };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_indirect_ping(&request, &mut out);
    /// assert_eq!(Codec::Serf.decode(out[0], &out[1..]), Ok(Message::IndirectPing(request)));
    /// ```
    pub fn encode_indirect_ping(self, ping: &IndirectPing<'_>, out: &mut Vec<u8>) {
        out.push(kind::INDIRECT_PING);
        match self {
            Self::Native => native::write(ping, out),
            Self::Serf => msgpack::write_indirect_ping(ping, out),
        }
    }

    /// Appends an ack.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Ack, Bytes, Message};
    ///
    /// let ack = Ack { seq: SequenceNumber(7), payload: Some(Bytes::from(&b"where I am"[..])) };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_ack(&ack, &mut out);
    /// assert_eq!(Codec::Serf.decode(out[0], &out[1..]), Ok(Message::Ack(ack)));
    /// ```
    pub fn encode_ack(self, ack: &Ack<'_>, out: &mut Vec<u8>) {
        out.push(kind::ACK);
        match self {
            Self::Native => native::write(ack, out),
            Self::Serf => msgpack::write_ack(ack, out),
        }
    }

    /// Appends a nack.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::Nack;
    ///
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_nack(Nack { seq: SequenceNumber(7) }, &mut out);
    /// assert_eq!(out, b"\x0b\x81\xa5SeqNo\x07");
    /// ```
    pub fn encode_nack(self, nack: Nack, out: &mut Vec<u8>) {
        out.push(kind::NACK);
        match self {
            Self::Native => native::write(&nack, out),
            Self::Serf => msgpack::write_nack(nack, out),
        }
    }

    /// Appends a suspicion.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::Incarnation;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Accusation, Message};
    ///
    /// let accusation = Accusation { incarnation: Incarnation(3), node: b"b", from: b"a" };
    /// let mut out = Vec::new();
    /// Codec::Native.encode_suspect(&accusation, &mut out);
    /// assert_eq!(Codec::Native.decode(out[0], &out[1..]), Ok(Message::Suspect(accusation)));
    /// ```
    pub fn encode_suspect(self, accusation: &Accusation<'_>, out: &mut Vec<u8>) {
        out.push(kind::SUSPECT);
        self.accusation(accusation, out);
    }

    /// Appends a declaration of death, or of leaving.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::Incarnation;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Accusation, Message};
    ///
    /// // It says so itself: a graceful leave.
    /// let goodbye = Accusation { incarnation: Incarnation(3), node: b"b", from: b"b" };
    /// let mut out = Vec::new();
    /// Codec::Native.encode_dead(&goodbye, &mut out);
    /// assert_eq!(Codec::Native.decode(out[0], &out[1..]), Ok(Message::Dead(goodbye)));
    /// ```
    pub fn encode_dead(self, accusation: &Accusation<'_>, out: &mut Vec<u8>) {
        out.push(kind::DEAD);
        self.accusation(accusation, out);
    }

    /// Appends an announcement.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::Incarnation;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Alive, Bytes, Message};
    ///
    /// let alive = Alive {
    ///     incarnation: Incarnation::FIRST,
    ///     node: b"b",
    ///     ip: Some([127, 0, 0, 1].into()),
    ///     port: 7947,
    ///     meta: Some(Bytes::default()),
    ///     versions: None,
    /// };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_alive(&alive, &mut out);
    /// let Ok(Message::Alive(back)) = Codec::Serf.decode(out[0], &out[1..]) else { panic!("it is one") };
    /// assert_eq!((back.node, back.ip, back.port), (alive.node, alive.ip, alive.port));
    /// ```
    pub fn encode_alive(self, alive: &Alive<'_>, out: &mut Vec<u8>) {
        out.push(kind::ALIVE);
        match self {
            Self::Native => native::write(alive, out),
            Self::Serf => msgpack::write_alive(alive, out),
        }
    }

    /// Reads one whole message of a stream, kind byte first, of the length that [`Codec::scan_stream`] has found.
    /// Bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`]; the kinds are those of [`StreamMessage`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::{Codec, MessageError};
    /// use swim_core::wire::message::StreamMessage;
    ///
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_stream_user(b"hello", &mut out);
    /// assert_eq!(Codec::Serf.decode_stream(&out), Ok(StreamMessage::User(b"hello")));
    /// assert_eq!(Codec::Serf.decode_stream(&out[..9]), Err(MessageError::Truncated));
    /// ```
    pub fn decode_stream<'a>(self, message: &'a [u8]) -> Result<StreamMessage<'a>, MessageError> {
        let reader = &mut Reader::new(message);
        let kind = reader.u8()?;
        Ok(match (kind, self) {
            (kind::PING, Self::Native) => StreamMessage::Ping(native::read(&mut native::read_prefixed(reader)?)?),
            (kind::PING, Self::Serf) => StreamMessage::Ping(msgpack::read_ping(reader)?),
            (kind::ACK, Self::Native) => StreamMessage::Ack(native::read(&mut native::read_prefixed(reader)?)?),
            (kind::ACK, Self::Serf) => StreamMessage::Ack(msgpack::read_ack(reader)?),
            (kind::PUSH_PULL, _) => StreamMessage::PushPull(self.push_pull(reader)?),
            (kind::USER, _) => {
                let len = self.user_len(reader)?;
                StreamMessage::User(reader.take(len)?)
            }
            (kind::ERROR, Self::Native) => StreamMessage::Error(native::read_prefixed(reader)?.rest()),
            (kind::ERROR, Self::Serf) => StreamMessage::Error(msgpack::read_error(reader)?),
            (kind, _) => return Err(MessageError::UnknownKind(kind)),
        })
    }

    /// How long the plain stream message at the start of `received` is, once all of it is there; `None` until then.
    ///
    /// `received` is everything since the message began, so each call sees a longer version of the same bytes, and
    /// `scan` remembers how far they have been understood: the cost is linear in their number and that of the calls.
    /// Nothing is allocated by announced counts. What is inside the bodies is not checked here.
    ///
    /// # Errors
    ///
    /// As soon as it is sure that no message will come of it: the kind is none of those of [`StreamMessage`], a body
    /// does not begin as one, a count is negative, or a limit of this module is exceeded.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::{Codec, StreamScan};
    ///
    /// let mut message = Vec::new();
    /// Codec::Serf.encode_stream_user(b"hello", &mut message);
    /// let (mut scan, whole) = (StreamScan::default(), message.len());
    /// message.extend_from_slice(b"what comes next");
    /// for arrived in 0..whole {
    ///     assert_eq!(Codec::Serf.scan_stream(&mut scan, &message[..arrived])?, None);
    /// }
    /// assert_eq!(Codec::Serf.scan_stream(&mut scan, &message)?, Some(whole));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scan_stream(self, scan: &mut StreamScan, received: &[u8]) -> Result<Option<usize>, MessageError> {
        loop {
            scan.stage = match scan.stage {
                Stage::Kind => match received.first() {
                    None => return Ok(None),
                    Some(&(kind::PING | kind::ACK | kind::ERROR | kind::PUSH_PULL | kind::USER)) => {
                        scan.at = KIND_LEN;
                        Stage::FirstBody
                    }
                    Some(&kind) => return Err(MessageError::UnknownKind(kind)),
                },
                Stage::FirstBody => {
                    let kind = received.first().copied();
                    let mut first = Reader::new(received.get(KIND_LEN..).unwrap_or_default());
                    if self == Self::Native && kind == Some(kind::USER) {
                        match self.user_len(&mut first) {
                            Ok(len) => Stage::Tail { end: (KIND_LEN + native::PREFIX_LEN).saturating_add(len) },
                            Err(MessageError::Truncated) => return Ok(None),
                            Err(error) => return Err(error),
                        }
                    } else if !self.scan_body(scan, received)? {
                        return Ok(None);
                    } else if kind == Some(kind::USER) {
                        Stage::Tail { end: scan.at.saturating_add(self.user_len(&mut first)?) }
                    } else if kind == Some(kind::PUSH_PULL) {
                        let header = self.push_pull_header(&mut first)?;
                        Stage::Entries { missing: header.entries, user_state_len: header.user_state_len }
                    } else {
                        Stage::Tail { end: scan.at }
                    }
                }
                Stage::Entries { missing: 0, user_state_len } => {
                    Stage::Tail { end: scan.at.saturating_add(usize_of(user_state_len)) }
                }
                Stage::Entries { missing, user_state_len } => {
                    if !self.scan_body(scan, received)? {
                        return Ok(None);
                    }
                    Stage::Entries { missing: missing.saturating_sub(1), user_state_len }
                }
                Stage::Tail { end } if end > STREAM_MESSAGE_LEN_MAX => return Err(MessageError::TooLarge),
                Stage::Tail { end } if received.len() < end => return Ok(None),
                Stage::Tail { end } => return Ok(Some(end)),
            };
        }
    }

    /// Appends the fallback probe.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Ping, Source, StreamMessage};
    ///
    /// let ping = Ping { seq: SequenceNumber(7), node: b"b", source: Source::default() };
    /// let mut out = Vec::new();
    /// Codec::Native.encode_stream_ping(&ping, &mut out);
    /// assert_eq!(Codec::Native.decode_stream(&out), Ok(StreamMessage::Ping(ping)));
    /// ```
    pub fn encode_stream_ping(self, ping: &Ping<'_>, out: &mut Vec<u8>) {
        out.push(kind::PING);
        match self {
            Self::Native => native::write_prefixed(ping, out),
            Self::Serf => msgpack::write_ping(ping, out),
        }
    }

    /// Appends the answer to the fallback probe.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Ack, StreamMessage};
    ///
    /// let ack = Ack { seq: SequenceNumber(7), payload: None };
    /// let mut out = Vec::new();
    /// Codec::Native.encode_stream_ack(&ack, &mut out);
    /// assert_eq!(Codec::Native.decode_stream(&out), Ok(StreamMessage::Ack(ack)));
    /// ```
    pub fn encode_stream_ack(self, ack: &Ack<'_>, out: &mut Vec<u8>) {
        out.push(kind::ACK);
        match self {
            Self::Native => native::write_prefixed(ack, out),
            Self::Serf => msgpack::write_ack(ack, out),
        }
    }

    /// Appends a message of the layer above; at most [`USER_LEN_MAX`] bytes are accepted by a receiver.
    ///
    /// # Panics
    ///
    /// With 4 GiB or more, whose length cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    ///
    /// let mut out = Vec::new();
    /// Codec::Native.encode_stream_user(b"hello", &mut out);
    /// assert_eq!(out, b"\x08\x05\0\0\0hello");
    /// ```
    pub fn encode_stream_user(self, payload: &[u8], out: &mut Vec<u8>) {
        let len = u32::try_from(payload.len()).expect("the layer above keeps to the limit");
        out.push(kind::USER);
        match self {
            Self::Native => out.extend_from_slice(&len.to_le_bytes()),
            Self::Serf => msgpack::write_user_header(len, out),
        }
        out.extend_from_slice(payload);
    }

    /// Appends the complaint about an unreadable stream.
    ///
    /// # Panics
    ///
    /// With a text of 4 GiB or more, whose length cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::StreamMessage;
    ///
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_stream_error("No installed keys could decrypt the message", &mut out);
    /// let Ok(StreamMessage::Error(text)) = Codec::Serf.decode_stream(&out) else { panic!("it is one") };
    /// assert!(text.starts_with(b"No installed keys"));
    /// ```
    pub fn encode_stream_error(self, text: &str, out: &mut Vec<u8>) {
        out.push(kind::ERROR);
        match self {
            Self::Native => {
                let len = u32::try_from(text.len()).expect("an error text is short");
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Self::Serf => msgpack::write_error(text.as_bytes(), out),
        }
    }

    /// Appends the beginning of a push/pull, kind byte first. As many calls of [`Codec::push_pull_entry`] must follow
    /// as the header says, and then the user state as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{PushPullHeader, StreamMessage};
    ///
    /// let state = b"of the layer above";
    /// let header = PushPullHeader { join: true, entries: 0, user_state_len: state.len() as u32 };
    /// let mut out = Vec::new();
    /// Codec::Serf.begin_push_pull(&header, &mut out);
    /// out.extend_from_slice(state);
    /// let Ok(StreamMessage::PushPull(back)) = Codec::Serf.decode_stream(&out) else { panic!("it is one") };
    /// assert!(back.join && back.entries.is_empty() && back.user_state == state);
    /// ```
    pub fn begin_push_pull(self, header: &PushPullHeader, out: &mut Vec<u8>) {
        out.push(kind::PUSH_PULL);
        match self {
            Self::Native => native::write_prefixed(header, out),
            Self::Serf => msgpack::write_push_pull_header(header, out),
        }
    }

    /// Appends one entry of a push/pull.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::Incarnation;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::message::{Entry, PushPullHeader, State, StreamMessage};
    ///
    /// let mut out = Vec::new();
    /// Codec::Native.begin_push_pull(&PushPullHeader { join: false, entries: 1, user_state_len: 0 }, &mut out);
    /// let entry = Entry {
    ///     name: b"b",
    ///     ip: Some([127, 0, 0, 1].into()),
    ///     port: 7947,
    ///     meta: None,
    ///     incarnation: Incarnation(3),
    ///     state: Some(State::Suspect),
    ///     versions: None,
    /// };
    /// Codec::Native.push_pull_entry(&entry, &mut out);
    /// let Ok(StreamMessage::PushPull(back)) = Codec::Native.decode_stream(&out) else { panic!("it is one") };
    /// assert_eq!(back.entries, [entry]);
    /// ```
    pub fn push_pull_entry(self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Native => native::write_prefixed(entry, out),
            Self::Serf => msgpack::write_entry(entry, out),
        }
    }

    fn accusation(self, accusation: &Accusation<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Native => native::write(accusation, out),
            Self::Serf => msgpack::write_accusation(accusation, out),
        }
    }

    fn push_pull<'a>(self, reader: &mut Reader<'a>) -> Result<PushPull<'a>, MessageError> {
        let header = self.push_pull_header(reader)?;
        // The announced count is only a claim: no more than what is there can hold.
        let mut entries = Vec::with_capacity(usize_of(header.entries).min(reader.remaining() / ENTRY_LEN_MIN));
        for _ in 0..header.entries {
            entries.push(match self {
                Self::Native => native::read_entry(&mut native::read_prefixed(reader)?)?,
                Self::Serf => msgpack::read_entry(reader)?,
            });
        }
        let user_state = reader.take(usize_of(header.user_state_len))?;
        Ok(PushPull { join: header.join, entries, user_state })
    }

    fn push_pull_header(self, reader: &mut Reader<'_>) -> Result<PushPullHeader, MessageError> {
        let header = match self {
            Self::Native => native::read::<PushPullHeader>(&mut native::read_prefixed(reader)?)?,
            Self::Serf => msgpack::read_push_pull_header(reader)?,
        };
        if header.entries > PUSH_PULL_ENTRIES_MAX || header.user_state_len > USER_LEN_MAX {
            return Err(MessageError::TooLarge);
        }
        Ok(header)
    }

    fn user_len(self, reader: &mut Reader<'_>) -> Result<usize, MessageError> {
        let len = match self {
            Self::Native => reader.u32_le()?,
            Self::Serf => msgpack::read_user_header(reader)?,
        };
        if len > USER_LEN_MAX { Err(MessageError::TooLarge) } else { Ok(usize_of(len)) }
    }

    /// Moves the scan to the end of the body that starts where it stands; false while that has not arrived.
    fn scan_body(self, scan: &mut StreamScan, received: &[u8]) -> Result<bool, MessageError> {
        let body = received.get(scan.at..).unwrap_or_default();
        let complete = match self {
            Self::Native => {
                let Ok(len) = Reader::new(body).u32_le() else { return Ok(false) };
                if len > NATIVE_BODY_LEN_MAX {
                    return Err(MessageError::TooLarge);
                }
                let whole = usize_of(len).saturating_add(native::PREFIX_LEN);
                if body.len() < whole {
                    false
                } else {
                    scan.at = scan.at.saturating_add(whole);
                    true
                }
            }
            Self::Serf => {
                if !scan.body_begun {
                    match body.first() {
                        None => return Ok(false),
                        Some(&byte) if !msgpack::begins_message(byte) => return Err(MessageError::Malformed),
                        Some(_) => scan.body_begun = true,
                    }
                }
                let complete = scan.skip.advance(received, &mut scan.at)?;
                scan.body_begun = !complete;
                complete
            }
        };
        if !complete && received.len() >= STREAM_MESSAGE_LEN_MAX {
            return Err(MessageError::TooLarge);
        }
        Ok(complete)
    }
}

/// How far a scan has come with one message. See [`Codec::scan_stream`].
#[derive(Debug, Default)]
pub struct StreamScan {
    stage: Stage,
    /// Where the next thing to be looked at begins.
    at: usize,
    /// Whether `at` has moved into a body.
    body_begun: bool,
    skip: msgpack::Skip,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Kind,
    FirstBody,
    Entries {
        missing: u32,
        user_state_len: u32,
    },
    Tail {
        end: usize,
    },
}

/// Why some bytes are not a message. See [`Codec::decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// Nothing that may stand here begins with this byte.
    UnknownKind(u8),
    /// The bytes end before the message does.
    Truncated,
    /// A value of another type stands where a field was expected, or none at all.
    Malformed,
    /// A negative number, or one that is too big for its field.
    OutOfRange,
    /// A count or a length beyond its limit.
    TooLarge,
    /// A value to be skipped nests too deeply.
    TooDeep,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(f, "unknown kind of message: {kind}"),
            Self::Truncated => f.write_str("message is cut short"),
            Self::Malformed => f.write_str("message is malformed"),
            Self::OutOfRange => f.write_str("number in message is out of range"),
            Self::TooLarge => f.write_str("message announces more than is allowed"),
            Self::TooDeep => f.write_str("message nests too deeply"),
        }
    }
}

impl core::error::Error for MessageError {}

impl From<Truncated> for MessageError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

/// Lengths on the wire have 32 bits. Where `usize` is smaller, what does not fit cannot have arrived either.
fn usize_of(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Entries that a push/pull may announce (memberlist: `net.go`).
pub const PUSH_PULL_ENTRIES_MAX: u32 = 1_048_576;
/// Bytes of the shortest entry in our own encoding: its length, and seven fields of one byte.
const ENTRY_LEN_MIN: usize = 11;

/// Bytes of user state in a push/pull, or of a user message in a stream (memberlist: `net.go`).
pub const USER_LEN_MAX: u32 = 20_971_520;

/// Bytes of a stream message after decompression (memberlist: `util.go`).
pub const DECOMPRESSED_LEN_MAX: usize = 41_943_040;

/// Bytes of a plain stream message. memberlist bounds only its parts; a compressed one cannot be larger either.
pub const STREAM_MESSAGE_LEN_MAX: usize = DECOMPRESSED_LEN_MAX;

/// Bytes of one length-prefixed body of the native encoding, the user message excepted.
pub const NATIVE_BODY_LEN_MAX: u32 = 1_048_576;

const KIND_LEN: usize = 1;

#[cfg(test)]
mod tests;
