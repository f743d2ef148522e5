#![expect(clippy::indexing_slicing, reason = "a test may fail")]

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::ids::{Incarnation, SequenceNumber};
use crate::versions::{VersionRange, Versions};
use crate::wire::message::{Bytes, Source, State};

const BOTH: [Codec; 2] = [Codec::Native, Codec::Serf];

/// The parts of messages, owned; a message borrows from them.
#[derive(Clone, Debug)]
struct Parts {
    number: u32,
    ip: Option<IpAddr>,
    port: u16,
    node: Vec<u8>,
    other: Vec<u8>,
    payload: Option<Vec<u8>>,
    flag: bool,
    state: Option<State>,
    versions: Option<Versions>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    let range = || any::<(u8, u8, u8)>().prop_map(|(min, max, current)| VersionRange { min, max, current });
    let versions = (range(), range(), any::<u32>()).prop_map(|(protocol, application, features)| Versions {
        protocol,
        application,
        features,
    });
    let state = prop::sample::select(vec![
        Some(State::Alive),
        Some(State::Suspect),
        Some(State::Dead),
        Some(State::Left),
        None,
    ]);
    (
        any::<u32>(),
        any::<Option<IpAddr>>(),
        any::<u16>(),
        bytes(),
        bytes(),
        prop::option::of(bytes()),
        any::<bool>(),
        state,
        prop::option::of(versions),
    )
        .prop_map(|(number, ip, port, node, other, payload, flag, state, versions)| Parts {
            number,
            ip,
            port,
            node,
            other,
            payload,
            flag,
            state,
            versions,
        })
}

impl Parts {
    fn source(&self) -> Source<'_> {
        Source { ip: self.ip, port: self.port, node: &self.other }
    }

    fn payload(&self) -> Option<Bytes<'_>> {
        self.payload.as_deref().map(Bytes::from)
    }

    fn versions(&self, codec: Codec) -> Option<Versions> {
        self.versions.map(|versions| match codec {
            Codec::Native => versions,
            Codec::Serf => Versions { features: 0, ..versions },
        })
    }

    fn ping(&self) -> Ping<'_> {
        Ping { seq: SequenceNumber(self.number), node: &self.node, source: self.source() }
    }

    fn ack(&self) -> Ack<'_> {
        Ack { seq: SequenceNumber(self.number), payload: self.payload() }
    }

    fn entry(&self, codec: Codec) -> Entry<'_> {
        Entry {
            name: &self.node,
            ip: self.ip,
            port: self.port,
            meta: self.payload(),
            incarnation: Incarnation(self.number),
            state: self.state,
            versions: self.versions(codec),
        }
    }

    fn messages(&self, codec: Codec) -> [Message<'_>; 8] {
        let accusation = Accusation { incarnation: Incarnation(self.number), node: &self.node, from: &self.other };
        [
            Message::Ping(self.ping()),
            Message::IndirectPing(IndirectPing {
                seq: SequenceNumber(self.number),
                target: self.ip.unwrap_or(IpAddr::from([127, 0, 0, 1])),
                port: self.port,
                node: &self.node,
                nack: self.flag,
                source: self.source(),
            }),
            Message::Ack(self.ack()),
            Message::Nack(Nack { seq: SequenceNumber(self.number) }),
            Message::Suspect(accusation),
            Message::Dead(accusation),
            Message::Alive(Alive {
                incarnation: Incarnation(self.number),
                node: &self.node,
                ip: self.ip,
                port: self.port,
                meta: self.payload(),
                versions: self.versions(codec),
            }),
            Message::User(&self.node),
        ]
    }
}

fn stream_messages(codec: Codec, parts: &Parts, others: &[Parts]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(); 5];
    codec.encode_stream_ping(&parts.ping(), &mut all[0]);
    codec.encode_stream_ack(&parts.ack(), &mut all[1]);
    codec.encode_stream_user(&parts.node, &mut all[2]);
    codec.encode_stream_error("cannot read that", &mut all[3]);
    let header = PushPullHeader {
        join: parts.flag,
        entries: others.len().try_into().unwrap(),
        user_state_len: parts.node.len().try_into().unwrap(),
    };
    codec.begin_push_pull(&header, &mut all[4]);
    for other in others {
        codec.push_pull_entry(&other.entry(codec), &mut all[4]);
    }
    all[4].extend_from_slice(&parts.node);
    all
}

proptest! {
    #[test]
    fn messages_come_back(parts in parts(), behind in prop::collection::vec(any::<u8>(), 0..4)) {
        for codec in BOTH {
            for message in parts.messages(codec) {
                let mut out = Vec::new();
                codec.encode(&message, &mut out);
                prop_assert_eq!(codec.decode(out[0], &out[1..]), Ok(message.clone()));
                if !matches!(message, Message::User(_)) {
                    out.extend_from_slice(&behind);
                    prop_assert_eq!(codec.decode(out[0], &out[1..]), Ok(message));
                }
            }
        }
    }

    #[test]
    fn cut_messages_fail(parts in parts()) {
        for codec in BOTH {
            for message in parts.messages(codec) {
                let mut out = Vec::new();
                codec.encode(&message, &mut out);
                for len in 1..out.len() {
                    let cut = codec.decode(out[0], &out[1..len]);
                    prop_assert!(cut == Err(MessageError::Truncated) || matches!(message, Message::User(_)));
                }
            }
        }
    }

    #[test]
    fn stream_messages_come_back(parts in parts(), others in prop::collection::vec(parts(), 0..5)) {
        for codec in BOTH {
            let all = stream_messages(codec, &parts, &others);
            let expected = [
                StreamMessage::Ping(parts.ping()),
                StreamMessage::Ack(parts.ack()),
                StreamMessage::User(&parts.node),
                StreamMessage::Error(b"cannot read that"),
                StreamMessage::PushPull(PushPull {
                    join: parts.flag,
                    entries: others.iter().map(|other| other.entry(codec)).collect(),
                    user_state: &parts.node,
                }),
            ];
            for (encoded, message) in all.iter().zip(expected) {
                prop_assert_eq!(codec.decode_stream(encoded), Ok(message));
            }
        }
    }

    /// The end of a message is found when its last byte arrives, and not before, however it arrives.
    #[test]
    fn scanning_byte_by_byte(
        parts in parts(),
        others in prop::collection::vec(parts(), 0..4),
        behind in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        for codec in BOTH {
            for mut encoded in stream_messages(codec, &parts, &others) {
                let whole = encoded.len();
                encoded.extend_from_slice(&behind);
                prop_assert_eq!(codec.scan_stream(&mut StreamScan::default(), &encoded), Ok(Some(whole)));
                let mut scan = StreamScan::default();
                for len in 0..=encoded.len() {
                    let expected = (len >= whole).then_some(whole);
                    prop_assert_eq!(codec.scan_stream(&mut scan, &encoded[..len]), Ok(expected));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(kind in 0_u8..15, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for codec in BOTH {
            let _ = codec.decode(kind, &bytes);
            let _ = codec.decode_serf(&bytes);
            let mut stream = vec![kind];
            stream.extend_from_slice(&bytes);
            let decoded = codec.decode_stream(&stream);
            let whole = codec.scan_stream(&mut StreamScan::default(), &stream);
            // What is a message has an end.
            if decoded.is_ok() {
                prop_assert!(matches!(whole, Ok(Some(_))), "{decoded:?} {whole:?}");
            }
            let mut scan = StreamScan::default();
            let mut piecewise = Ok(None);
            for len in 0..=stream.len() {
                piecewise = codec.scan_stream(&mut scan, &stream[..len]);
                if piecewise != Ok(None) {
                    break;
                }
            }
            prop_assert_eq!(piecewise, whole);
        }
    }

    /// Damage to a valid message: nearer to what decoders might trip over than noise.
    #[test]
    fn damage_is_survived(parts in parts(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for codec in BOTH {
            for message in parts.messages(codec) {
                let mut out = Vec::new();
                codec.encode(&message, &mut out);
                let at = at.index(out.len());
                out[at] = byte;
                let _ = codec.decode(out[0], &out[1..]);
            }
            for mut encoded in stream_messages(codec, &parts, core::slice::from_ref(&parts)) {
                let at = at.index(encoded.len());
                encoded[at] = byte;
                let _ = codec.scan_stream(&mut StreamScan::default(), &encoded);
                let _ = codec.decode_stream(&encoded);
            }
        }
    }
}

#[test]
fn kinds_that_do_not_belong() {
    for codec in BOTH {
        for kind in
            [kind::PUSH_PULL, kind::COMPOUND, kind::COMPRESS, kind::ENCRYPT, kind::CHECKSUM, kind::ERROR, 14, 244]
        {
            assert_eq!(codec.decode(kind, &[0xc0]), Err(MessageError::UnknownKind(kind)));
        }
        for kind in [kind::INDIRECT_PING, kind::SUSPECT, kind::ALIVE, kind::DEAD, kind::COMPRESS, kind::ENCRYPT, 14] {
            assert_eq!(codec.decode_stream(&[kind, 0xc0]), Err(MessageError::UnknownKind(kind)));
            let scan = &mut StreamScan::default();
            assert_eq!(codec.scan_stream(scan, &[kind]), Err(MessageError::UnknownKind(kind)));
        }
        assert_eq!(codec.decode_stream(&[]), Err(MessageError::Truncated));
    }
}

#[test]
fn stream_limits() {
    for codec in BOTH {
        for (entries, user_state_len, allowed) in [
            (PUSH_PULL_ENTRIES_MAX, USER_LEN_MAX, true),
            (PUSH_PULL_ENTRIES_MAX + 1, 0, false),
            (0, USER_LEN_MAX + 1, false),
        ] {
            let mut out = Vec::new();
            codec.begin_push_pull(&PushPullHeader { join: false, entries, user_state_len }, &mut out);
            let (expected_scan, expected) = if allowed {
                (Ok(None), MessageError::Truncated)
            } else {
                (Err(MessageError::TooLarge), MessageError::TooLarge)
            };
            assert_eq!(codec.scan_stream(&mut StreamScan::default(), &out), expected_scan, "{codec:?} {entries}");
            assert_eq!(codec.decode_stream(&out), Err(expected), "{codec:?} {entries}");
        }
    }
    let scan = |codec: Codec, bytes: &[u8]| codec.scan_stream(&mut StreamScan::default(), bytes);
    assert_eq!(scan(Codec::Serf, b"\x08\x81\xaaUserMsgLen\xce\x01\x40\x00\x00"), Ok(None));
    assert_eq!(scan(Codec::Serf, b"\x08\x81\xaaUserMsgLen\xce\x01\x40\x00\x01"), Err(MessageError::TooLarge));
    assert_eq!(scan(Codec::Serf, b"\x08\x81\xaaUserMsgLen\xff"), Err(MessageError::OutOfRange));
    assert_eq!(scan(Codec::Native, &[8, 0, 0, 0x40, 1]), Ok(None));
    assert_eq!(scan(Codec::Native, &[8, 1, 0, 0x40, 1]), Err(MessageError::TooLarge));
    assert_eq!(scan(Codec::Native, &[0, 0, 0, 0x10, 0]), Ok(None));
    assert_eq!(scan(Codec::Native, &[0, 1, 0, 0x10, 0]), Err(MessageError::TooLarge));
    // Garbage is known by its first byte.
    assert_eq!(scan(Codec::Serf, &[kind::PING, 0xdb]), Err(MessageError::Malformed));
    // Parts that are each short enough may be too long together.
    let entry = [&NATIVE_BODY_LEN_MAX.to_le_bytes()[..], &vec![0; usize_of(NATIVE_BODY_LEN_MAX)]].concat();
    let entries = usize_of(USER_LEN_MAX / NATIVE_BODY_LEN_MAX);
    for (more, expected) in [(0, Ok(None)), (1, Err(MessageError::TooLarge))] {
        let stream = |user_state_len| {
            let mut out = Vec::new();
            let header = PushPullHeader { join: false, entries: entries as u32, user_state_len };
            Codec::Native.begin_push_pull(&header, &mut out);
            out.extend(entry.repeat(entries));
            out
        };
        let user_state_len = STREAM_MESSAGE_LEN_MAX - stream(USER_LEN_MAX).len() + more;
        assert_eq!(scan(Codec::Native, &stream(user_state_len as u32)), expected);
    }
}

/// A body of very many values arrives in small pieces; looking at each from its beginning would take hours.
#[test]
fn scanning_is_linear() {
    let mut message = vec![kind::PING, 0xdd, 0x00, 0x20, 0x00, 0x00];
    message.resize(6 + 0x0020_0000, 0x01);
    let mut scan = StreamScan::default();
    for len in (1..message.len()).step_by(7) {
        assert_eq!(Codec::Serf.scan_stream(&mut scan, &message[..len]), Ok(None));
    }
    assert_eq!(Codec::Serf.scan_stream(&mut scan, &message), Ok(Some(message.len())));
}
