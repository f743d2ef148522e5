//! Messages as owned values, for scripted peers and for looking at what nodes send. The bytes are made and read by the
//! core's own wire layer.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use swim_core::ids::{Incarnation, LamportTime, SequenceNumber};
use swim_core::versions::{VersionRange, Versions};
use swim_core::wire;
use swim_core::wire::envelope::{DatagramError, Envelope};
use swim_core::wire::framing::{FrameReader, Side, StreamError, frame_with_nonce};
use swim_core::wire::message::{
    Accusation, Ack, Alive, Bytes, Entry, IndirectPing, Message, Nack, Ping, PushPullHeader, Source, State,
    StreamMessage,
};

/// One message of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `swim_core::wire::message`")]
pub enum Said {
    Ping {
        seq: u32,
        node: String,
        source: Option<SocketAddr>,
        source_node: String,
    },
    IndirectPing {
        seq: u32,
        target: SocketAddr,
        node: String,
        nack: bool,
        source: Option<SocketAddr>,
        source_node: String,
    },
    Ack {
        seq: u32,
        payload: Option<Vec<u8>>,
    },
    Nack {
        seq: u32,
    },
    Suspect {
        incarnation: u32,
        node: String,
        from: String,
    },
    Dead {
        incarnation: u32,
        node: String,
        from: String,
    },
    Alive {
        incarnation: u32,
        node: String,
        address: SocketAddr,
        meta: Vec<u8>,
        versions: Option<Versions>,
    },
    User(Vec<u8>),
    /// A good datagram held a bad message of this kind.
    Unreadable {
        kind: Option<u8>,
    },
}

impl Said {
    /// About whom a membership update is; `None` for everything else.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Suspect { node, .. } | Self::Dead { node, .. } | Self::Alive { node, .. } => Some(node),
            Self::Ping { .. }
            | Self::IndirectPing { .. }
            | Self::Ack { .. }
            | Self::Nack { .. }
            | Self::User(_)
            | Self::Unreadable { .. } => None,
        }
    }

    /// Whether this is a ping.
    pub fn is_ping(&self) -> bool {
        matches!(self, Self::Ping { .. })
    }

    /// Whether this is an alive, suspect or dead message about `name`.
    pub fn is_about(&self, name: &str) -> bool {
        self.subject() == Some(name)
    }

    fn from_message(message: &Message<'_>) -> Self {
        match message {
            Message::Ping(ping) => Self::Ping {
                seq: ping.seq.0,
                node: text(ping.node),
                source: ping.source.address(),
                source_node: text(ping.source.node),
            },
            Message::IndirectPing(ping) => Self::IndirectPing {
                seq: ping.seq.0,
                target: SocketAddr::new(ping.target, ping.port),
                node: text(ping.node),
                nack: ping.nack,
                source: ping.source.address(),
                source_node: text(ping.source.node),
            },
            Message::Ack(ack) => {
                Self::Ack { seq: ack.seq.0, payload: ack.payload.as_ref().map(|bytes| bytes.to_vec()) }
            }
            Message::Nack(nack) => Self::Nack { seq: nack.seq.0 },
            Message::Suspect(Accusation { incarnation, node, from }) => {
                Self::Suspect { incarnation: incarnation.0, node: text(node), from: text(from) }
            }
            Message::Dead(Accusation { incarnation, node, from }) => {
                Self::Dead { incarnation: incarnation.0, node: text(node), from: text(from) }
            }
            Message::Alive(alive) => Self::Alive {
                incarnation: alive.incarnation.0,
                node: text(alive.node),
                address: address(alive.ip, alive.port),
                meta: bytes(alive.meta.as_ref()),
                versions: alive.versions,
            },
            Message::User(payload) => Self::User(payload.to_vec()),
        }
    }

    fn encode(&self, codec: wire::codec::Codec, out: &mut Vec<u8>) {
        let message = match self {
            Self::Ping { seq, node, source, source_node } => Message::Ping(Ping {
                seq: SequenceNumber(*seq),
                node: node.as_bytes(),
                source: source_of(*source, source_node),
            }),
            Self::IndirectPing { seq, target, node, nack, source, source_node } => {
                Message::IndirectPing(IndirectPing {
                    seq: SequenceNumber(*seq),
                    target: target.ip(),
                    port: target.port(),
                    node: node.as_bytes(),
                    nack: *nack,
                    source: source_of(*source, source_node),
                })
            }
            Self::Ack { seq, payload } => {
                Message::Ack(Ack { seq: SequenceNumber(*seq), payload: payload.as_deref().map(Bytes::from) })
            }
            Self::Nack { seq } => Message::Nack(Nack { seq: SequenceNumber(*seq) }),
            Self::Suspect { incarnation, node, from } => Message::Suspect(accusation(*incarnation, node, from)),
            Self::Dead { incarnation, node, from } => Message::Dead(accusation(*incarnation, node, from)),
            Self::Alive { incarnation, node, address, meta, versions } => Message::Alive(Alive {
                incarnation: Incarnation(*incarnation),
                node: node.as_bytes(),
                ip: Some(address.ip()),
                port: address.port(),
                meta: Some(Bytes::from(meta.as_slice())),
                versions: *versions,
            }),
            Self::User(payload) => Message::User(payload),
            Self::Unreadable { kind } => {
                // A map that never ends, in one encoding, and a length that is never reached, in the other.
                out.extend_from_slice(&[kind.unwrap_or(u8::MAX), 0xdf, 0xff, 0xff, 0xff, 0xff]);
                return;
            }
        };
        codec.encode(&message, out);
    }
}

/// One message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `swim_core::wire::message`")]
pub enum StreamSaid {
    Ping { seq: u32, node: String, source: Option<SocketAddr>, source_node: String },
    Ack { seq: u32 },
    PushPull { join: bool, entries: Vec<EntrySaid>, user_state: Vec<u8> },
    User(Vec<u8>),
    Error(String),
}

/// One member in a push/pull.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `swim_core::wire::message::Entry`")]
pub struct EntrySaid {
    pub name: String,
    pub address: SocketAddr,
    pub meta: Vec<u8>,
    pub incarnation: u32,
    pub state: Option<State>,
    pub versions: Option<Versions>,
}

/// What our nodes announce by default, without extensions: `01 05 02 02 05 05`.
pub const VERSIONS: Versions = Versions {
    protocol: VersionRange { min: 1, max: 5, current: 2 },
    application: VersionRange { min: 2, max: 5, current: 5 },
    features: 0,
};

/// Makes and reads bytes as one configuration demands.
#[derive(Debug)]
pub struct Speech {
    envelope: Envelope,
    nonces: u64,
}

impl Speech {
    /// Speaks like nodes with this configuration.
    ///
    /// # Panics
    ///
    /// When the configuration is not valid.
    pub fn new(config: &wire::Config) -> Self {
        Self { envelope: Envelope::new(config.clone()).expect("a valid configuration"), nonces: 0 }
    }

    /// One datagram with these messages, in this order.
    pub fn datagram(&mut self, said: &[Said]) -> Vec<u8> {
        let codec = self.envelope.config().codec;
        let nonce = self.nonce();
        let mut datagram = Vec::new();
        let mut packet = self.envelope.begin(&mut datagram, false);
        for message in said {
            packet.push(|out| message.encode(codec, out));
        }
        packet.finish_with_nonce(&nonce);
        datagram
    }

    /// What a datagram says, in order.
    ///
    /// # Errors
    ///
    /// When nothing in it can be read.
    pub fn read(&mut self, datagram: &[u8]) -> Result<Vec<Said>, DatagramError> {
        let codec = self.envelope.config().codec;
        let mut said = Vec::new();
        self.envelope.open(&mut datagram.to_vec(), &mut |part| {
            said.push(match part {
                Ok((kind, body)) => match codec.decode(kind, body) {
                    Ok(message) => Said::from_message(&message),
                    Err(_) => Said::Unreadable { kind: Some(kind) },
                },
                Err(_) => Said::Unreadable { kind: None },
            });
        })?;
        Ok(said)
    }

    /// The bytes of one direction of a stream.
    pub fn frame(&mut self, side: Side, said: &StreamSaid) -> Vec<u8> {
        let nonce = self.nonce();
        let codec = self.envelope.config().codec;
        let mut message = Vec::new();
        match said {
            StreamSaid::Ping { seq, node, source, source_node } => {
                let source = source_of(*source, source_node);
                let ping = Ping { seq: SequenceNumber(*seq), node: node.as_bytes(), source };
                codec.encode_stream_ping(&ping, &mut message);
            }
            StreamSaid::Ack { seq } => {
                codec.encode_stream_ack(&Ack { seq: SequenceNumber(*seq), payload: None }, &mut message);
            }
            StreamSaid::PushPull { join, entries, user_state } => {
                let header = PushPullHeader {
                    join: *join,
                    entries: entries.len() as u32,
                    user_state_len: user_state.len() as u32,
                };
                codec.begin_push_pull(&header, &mut message);
                for entry in entries {
                    codec.push_pull_entry(&entry.borrowed(), &mut message);
                }
                message.extend_from_slice(user_state);
            }
            StreamSaid::User(payload) => codec.encode_stream_user(payload, &mut message),
            StreamSaid::Error(text) => codec.encode_stream_error(text, &mut message),
        }
        frame_with_nonce(&self.envelope, side, message, &nonce)
    }

    /// Takes bytes of one direction of a stream; the message, once it is whole.
    ///
    /// # Errors
    ///
    /// When no message can come of it.
    pub fn read_stream(&self, reader: &mut FrameReader, bytes: &[u8]) -> Result<Option<StreamSaid>, StreamError> {
        let Some(message) = reader.push(&self.envelope, bytes)? else { return Ok(None) };
        let message = self.envelope.config().codec.decode_stream(&message)?;
        Ok(Some(match message {
            StreamMessage::Ping(ping) => StreamSaid::Ping {
                seq: ping.seq.0,
                node: text(ping.node),
                source: ping.source.address(),
                source_node: text(ping.source.node),
            },
            StreamMessage::Ack(ack) => StreamSaid::Ack { seq: ack.seq.0 },
            StreamMessage::PushPull(push_pull) => StreamSaid::PushPull {
                join: push_pull.join,
                entries: push_pull.entries.iter().map(EntrySaid::from_entry).collect(),
                user_state: push_pull.user_state.to_vec(),
            },
            StreamMessage::User(payload) => StreamSaid::User(payload.to_vec()),
            StreamMessage::Error(message) => StreamSaid::Error(text(message)),
        }))
    }

    /// The intent to leave, or to make somebody leave, at this member time.
    pub fn leave_intent(&self, node: &str, time: u64) -> Said {
        let mut payload = Vec::new();
        let leave = wire::serf::Leave { ltime: LamportTime(time), node: node.as_bytes(), prune: false };
        self.envelope.config().codec.encode_serf_leave(&leave, &mut payload);
        Said::User(payload)
    }

    /// The intent to be a member, at this member time.
    pub fn join_intent(&self, node: &str, time: u64) -> Said {
        let mut payload = Vec::new();
        let join = wire::serf::Join { ltime: LamportTime(time), node: node.as_bytes() };
        self.envelope.config().codec.encode_serf_join(&join, &mut payload);
        Said::User(payload)
    }

    /// A user event, at this event time.
    pub fn user_event(&self, name: &str, time: u64) -> Said {
        let mut payload = Vec::new();
        let event =
            wire::serf::UserEvent { ltime: LamportTime(time), name: name.as_bytes(), payload: None, coalesce: true };
        self.envelope.config().codec.encode_serf_user_event(&event, &mut payload);
        Said::User(payload)
    }

    /// A query.
    pub fn query(&self, query: &wire::serf::Query<'_, Vec<Vec<u8>>>) -> Said {
        let mut payload = Vec::new();
        self.envelope.config().codec.encode_serf_query(query, &mut payload);
        Said::User(payload)
    }

    /// The user state of a push/pull without events: the member clock, the members' last intents, who has left.
    pub fn serf_state(&self, member_time: u64, statuses: &[(&str, u64)], left: &[&str]) -> Vec<u8> {
        let clocks = wire::serf::Clocks { member: LamportTime(member_time), ..Default::default() };
        let statuses = statuses.iter().map(|(name, time)| (name.as_bytes(), LamportTime(*time)));
        let left = left.iter().map(|name| name.as_bytes());
        let events = core::iter::empty::<Option<(LamportTime, core::iter::Empty<_>)>>();
        let mut state = Vec::new();
        self.envelope.config().codec.encode_serf_push_pull(&clocks, statuses, left, events, &mut state);
        state
    }

    /// A counter is as good as chance where every speaker has keys of its own test.
    fn nonce(&mut self) -> [u8; 24] {
        self.nonces += 1;
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&self.nonces.to_le_bytes());
        nonce
    }
}

impl EntrySaid {
    fn from_entry(entry: &Entry<'_>) -> Self {
        Self {
            name: text(entry.name),
            address: address(entry.ip, entry.port),
            meta: bytes(entry.meta.as_ref()),
            incarnation: entry.incarnation.0,
            state: entry.state,
            versions: entry.versions,
        }
    }

    fn borrowed(&self) -> Entry<'_> {
        Entry {
            name: self.name.as_bytes(),
            ip: Some(self.address.ip()),
            port: self.address.port(),
            meta: Some(Bytes::from(self.meta.as_slice())),
            incarnation: Incarnation(self.incarnation),
            state: self.state,
            versions: self.versions,
        }
    }
}

fn accusation<'a>(incarnation: u32, node: &'a str, from: &'a str) -> Accusation<'a> {
    Accusation { incarnation: Incarnation(incarnation), node: node.as_bytes(), from: from.as_bytes() }
}

fn source_of(address: Option<SocketAddr>, node: &str) -> Source<'_> {
    Source {
        ip: address.map(|address| address.ip()),
        port: address.map_or(0, |address| address.port()),
        node: node.as_bytes(),
    }
}

fn address(ip: Option<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), port)
}

fn bytes(bytes: Option<&Bytes<'_>>) -> Vec<u8> {
    bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()
}

/// Escaped, should a name not be text: two different names never look the same.
fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
