//! Bytes captured from serf 0.9.4, and some computed ones that it accepted: each is read, compared field by field, and
//! written again. See `vectors/` for how each was made.

use core::net::IpAddr;
use std::collections::BTreeMap;

use serde_json::Value;
use swim_core::ids::{Incarnation, LamportTime, SequenceNumber};
use swim_core::versions::{VersionRange, Versions};
use swim_core::wire::codec::{Codec, StreamScan};
use swim_core::wire::compound::{self, CompoundError};
use swim_core::wire::message::{
    Accusation, Ack, Alive, Bytes, Entry, IndirectPing, Message, Nack, Ping, PushPull, PushPullHeader, Source, State,
    StreamMessage, kind,
};
use swim_core::wire::serf::{self, SerfMessage};

macro_rules! vectors {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("vectors/", $name))).expect("vectors are JSON")
    };
}

#[test]
fn datagrams() {
    let vectors = vectors!("udp-plain.json");
    for vector in vectors.as_array().expect("a list") {
        let name = vector["name"].as_str().expect("a name");
        let packet = hex(&vector["hex"]);
        let layers: Vec<&str> = texts(&vector["layers_outermost_first"]);
        // The checksum belongs to the envelope.
        let content = if layers[0] == "crc" { &packet[5..] } else { &packet[..] };
        let parts: Vec<&[u8]> = if content[0] == kind::COMPOUND {
            compound::parts(&content[1..]).collect::<Result<_, _>>().expect("whole")
        } else {
            vec![content]
        };
        let decoded = vector["decoded"].as_array().expect("a list");
        assert_eq!(parts.len(), decoded.len(), "{name}");
        let mut again = Vec::new();
        for (part, expected) in parts.iter().zip(decoded) {
            assert_eq!(part[1..], hex(&expected["body_hex"]), "{name}");
            let fields = Fields::new(&expected["fields"]);
            let message = Codec::Serf.decode(part[0], &part[1..]).expect(name);
            assert_eq!(message, fields.message(part[0]), "{name}");
            Codec::Serf.encode(&message, &mut again);
        }
        if by_old(vector) {
            let lengths: Vec<u16> = parts.iter().map(|part| part.len().try_into().expect("short")).collect();
            compound::finish(&mut again, 0, &lengths);
            assert_eq!(again, content, "{name}");
        }
    }
}

#[test]
fn streams() {
    let vectors = vectors!("tcp-plain.json");
    for vector in vectors.as_array().expect("a list") {
        let name = vector["name"].as_str().expect("a name");
        let bytes = hex(&vector["hex"]);
        let whole = Codec::Serf.scan_stream(&mut StreamScan::default(), &bytes);
        assert_eq!(whole, Ok(Some(bytes.len())), "{name}");
        let mut scan = StreamScan::default();
        for len in 0..bytes.len() {
            assert_eq!(Codec::Serf.scan_stream(&mut scan, &bytes[..len]), Ok(None), "{name}, {len} bytes");
        }

        let decoded = &vector["decoded"];
        let message = Codec::Serf.decode_stream(&bytes).expect(name);
        let mut again = Vec::new();
        match &message {
            StreamMessage::Ping(ping) => {
                let fields = Fields::new(&decoded["fields"]);
                assert_eq!(Message::Ping(*ping), fields.message(bytes[0]), "{name}");
                Codec::Serf.encode_stream_ping(ping, &mut again);
            }
            StreamMessage::Ack(ack) => {
                let fields = Fields::new(&decoded["fields"]);
                assert_eq!(Message::Ack(ack.clone()), fields.message(bytes[0]), "{name}");
                Codec::Serf.encode_stream_ack(ack, &mut again);
            }
            StreamMessage::PushPull(state) => {
                check_push_pull(state, decoded, name);
                encode_push_pull(state, &mut again);
            }
            StreamMessage::User(payload) => {
                assert_eq!(decoded["type"], "user");
                assert_eq!(*payload, hex(&decoded["payload"]["hex"]));
                Codec::Serf.encode_stream_user(payload, &mut again);
            }
            StreamMessage::Error(text) => {
                assert_eq!(decoded["type"], "err");
                assert_eq!(*text, hex(&decoded["fields"]["Error"]["hex"]));
                Codec::Serf.encode_stream_error(core::str::from_utf8(text).expect("text"), &mut again);
            }
        }
        // The computed ones follow the same rules, so they come out the same as well.
        assert_eq!(again, bytes, "{name}");
    }
}

fn check_push_pull(state: &PushPull<'_>, decoded: &Value, name: &str) {
    assert_eq!(decoded["type"], "pushpull", "{name}");
    assert_eq!(state.join, decoded["header"]["Join"], "{name}");
    assert_eq!(state.entries.len() as u64, decoded["header"]["Nodes"], "{name}");
    assert_eq!(state.user_state.len() as u64, decoded["header"]["UserStateLen"], "{name}");
    let nodes: Vec<Fields> = decoded["nodes"].as_array().expect("a list").iter().map(Fields::new).collect();
    let expected: Vec<Entry<'_>> = nodes.iter().map(Fields::entry).collect();
    assert_eq!(state.entries, expected, "{name}");

    let Ok(SerfMessage::PushPull(serf)) = Codec::Serf.decode_serf(state.user_state) else { panic!("{name}") };
    let fields = &decoded["user_state_meaning"]["serf_fields"];
    assert_eq!(serf.clocks.member.0, fields["LTime"], "{name}");
    assert_eq!(serf.clocks.event.0, fields["EventLTime"], "{name}");
    assert_eq!(serf.clocks.query.0, fields["QueryLTime"], "{name}");
    let left: Vec<Vec<u8>> =
        fields["LeftMembers"].as_array().expect("a list").iter().map(|name| hex(&name["hex"])).collect();
    assert_eq!(serf.left.map(<[u8]>::to_vec).collect::<Vec<_>>(), left, "{name}");
    check_statuses(serf.statuses, &fields["StatusLTimes"], name);
    let slots = fields["Events"].as_str().expect("a summary");
    let mut counts = slots.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<usize>().ok());
    let (all, empty) = (counts.next().expect("slots"), counts.next().expect("empty slots"));
    assert_eq!(serf.events.count(), all - empty, "{name}");
}

fn encode_push_pull(state: &PushPull<'_>, out: &mut Vec<u8>) {
    let header = PushPullHeader {
        join: state.join,
        entries: state.entries.len().try_into().expect("few"),
        user_state_len: state.user_state.len().try_into().expect("short"),
    };
    Codec::Serf.begin_push_pull(&header, out);
    for entry in &state.entries {
        Codec::Serf.push_pull_entry(entry, out);
    }
    out.extend_from_slice(state.user_state);
}

#[test]
fn compounds() {
    let vectors = vectors!("framing.json");
    let mut seen = 0;
    for vector in vectors.as_array().expect("a list") {
        let packet = hex(&vector["hex"]);
        if packet[0] != kind::COMPOUND {
            continue;
        }
        seen += 1;
        let expected: Vec<Vec<u8>> = vector["parts_hex"].as_array().expect("a list").iter().map(hex).collect();
        let parts: Vec<_> = compound::parts(&packet[1..]).collect();
        let whole: Vec<&[u8]> = parts.iter().filter_map(|part| part.ok()).collect();
        assert_eq!(whole, expected, "{}", vector["name"]);
        for part in &whole {
            Codec::Serf.decode(part[0], &part[1..]).expect("a message");
        }
        if vector["name"].as_str().expect("a name").starts_with("truncated") {
            assert_eq!(parts.last(), Some(&Err(CompoundError::PartTruncated)));
        } else {
            let mut again: Vec<u8> = expected.concat();
            let lengths: Vec<u16> = expected.iter().map(|part| part.len().try_into().expect("short")).collect();
            compound::finish(&mut again, 0, &lengths);
            assert_eq!(again, packet);
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn serf_states() {
    let vectors = vectors!("serf/push-pull-state.json");
    for vector in vectors["exchanges"].as_array().expect("a list") {
        let stream = hex(&vector["stream_hex"]);
        let whole = Codec::Serf.scan_stream(&mut StreamScan::default(), &stream);
        assert_eq!(whole, Ok(Some(stream.len())));
        let Ok(StreamMessage::PushPull(exchange)) = Codec::Serf.decode_stream(&stream) else { panic!("{vector}") };
        assert_eq!(exchange.join, vector["header"]["Join"]);
        assert_eq!(exchange.entries.len() as u64, vector["header"]["Nodes"]);
        let user_state = hex(&vector["user_state_hex"]);
        assert_eq!(exchange.user_state, user_state);

        let Ok(SerfMessage::PushPull(state)) = Codec::Serf.decode_serf(&user_state) else { panic!("{vector}") };
        let expected = &vector["user_state"];
        assert_eq!(state.clocks.member.0, expected["LTime"]);
        assert_eq!(state.clocks.event.0, expected["EventLTime"]);
        assert_eq!(state.clocks.query.0, expected["QueryLTime"]);
        check_statuses(state.statuses.clone(), &expected["StatusLTimes"], "a state");
        assert_eq!(
            state.left.clone().collect::<Vec<_>>(),
            texts(&expected["LeftMembers"]).iter().map(|name| name.as_bytes()).collect::<Vec<_>>()
        );

        let occupied = expected["Events"]["non_null"].as_object().expect("a map");
        let len = expected["Events"]["array_len"].as_u64().expect("a number");
        let mut slots = state.events.clone();
        let ring: Vec<_> = (0..len)
            .map(|index| {
                let expected = occupied.get(&index.to_string())?;
                let slot = slots.next().expect("as many slots as are occupied");
                assert_eq!(slot.ltime.0, expected["LTime"]);
                let events: Vec<_> = slot.events.collect();
                let names: Vec<&[u8]> = events.iter().map(|event| event.name).collect();
                let expected = expected["Events"].as_array().expect("a list");
                let expected_names: Vec<&[u8]> =
                    expected.iter().map(|event| event["Name"].as_str().expect("text").as_bytes()).collect();
                assert_eq!(names, expected_names);
                for (event, expected) in events.iter().zip(expected) {
                    assert_eq!(event.payload.as_deref(), expected["Payload"].as_str().map(str::as_bytes));
                }
                Some((slot.ltime, events))
            })
            .collect();
        assert!(slots.next().is_none());

        let statuses: Vec<(&[u8], LamportTime)> = state.statuses.collect();
        let left: Vec<&[u8]> = state.left.collect();
        let mut again = Vec::new();
        Codec::Serf.encode_serf_push_pull(
            &state.clocks,
            statuses.iter().copied(),
            left.iter().copied(),
            ring.iter().map(|slot| {
                slot.as_ref()
                    .map(|(ltime, events)| (*ltime, events.iter().map(|event| (event.name, event.payload.as_deref()))))
            }),
            &mut again,
        );
        assert_eq!(again, user_state);
    }
}

#[test]
fn serf_tags() {
    let vectors = vectors!("serf/member-meta.json");
    for vector in vectors["alive_messages"].as_array().expect("a list") {
        let meta = hex(&vector["meta_hex"]);
        let tags: Vec<(&[u8], &[u8])> = serf::decode_tags(&meta).collect::<Result<_, _>>().expect("tags");
        let as_text: BTreeMap<_, _> = tags
            .iter()
            .map(|&(key, value)| {
                (String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(value).into_owned())
            })
            .collect();
        assert_eq!(serde_json::to_value(as_text).expect("a map"), vector["tags"]);
        if meta.first() == Some(&0xff) {
            let mut again = Vec::new();
            serf::encode_tags(tags.iter().copied(), &mut again);
            assert_eq!(again, meta);
        }
        if vector.get("alive_frame_hex").is_some() {
            let frame = hex(&vector["alive_frame_hex"]);
            let Ok(Message::Alive(alive)) = Codec::Serf.decode(frame[0], &frame[1..]) else { panic!("{vector}") };
            assert_eq!(alive.node, vector["node"].as_str().expect("text").as_bytes());
            assert_eq!(alive.meta.as_deref(), Some(&meta[..]));
            let announced: Vec<u8> =
                vector["vsn"].as_array().expect("a list").iter().map(|n| n.as_u64().expect("a number") as u8).collect();
            assert_eq!(alive.versions, versions(&announced));
            let mut again = Vec::new();
            Codec::Serf.encode_alive(&alive, &mut again);
            assert_eq!(again, frame);
        }
    }
}

fn check_statuses<'a>(statuses: impl Iterator<Item = (&'a [u8], LamportTime)>, expected: &Value, name: &str) {
    let statuses: BTreeMap<String, u64> =
        statuses.map(|(name, ltime)| (String::from_utf8_lossy(name).into_owned(), ltime.0)).collect();
    assert_eq!(&serde_json::to_value(statuses).expect("a map"), expected, "{name}");
}

/// The documented fields of one message, with their byte strings decoded.
struct Fields<'v> {
    json: &'v Value,
    bytes: BTreeMap<&'v str, Vec<u8>>,
}

impl<'v> Fields<'v> {
    fn new(json: &'v Value) -> Self {
        let bytes = json
            .as_object()
            .expect("a map")
            .iter()
            .filter(|(_, value)| value.is_object())
            .map(|(key, value)| (&key[..], hex(&value["hex"])))
            .collect();
        Self { json, bytes }
    }

    fn number<T: TryFrom<u64>>(&self, key: &str) -> T {
        let number = self.json.get(key).map_or(0, |number| number.as_u64().expect("a number"));
        T::try_from(number).ok().expect("in range")
    }

    fn text(&self, key: &str) -> &[u8] {
        self.bytes.get(key).map_or(&[], |bytes| bytes)
    }

    fn optional(&self, key: &str) -> Option<Bytes<'_>> {
        self.bytes.get(key).map(|bytes| Bytes::from(&bytes[..]))
    }

    fn ip(&self, key: &str) -> Option<IpAddr> {
        let bytes = self.text(key);
        let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
        v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
    }

    fn source(&self) -> Source<'_> {
        Source { ip: self.ip("SourceAddr"), port: self.number("SourcePort"), node: self.text("SourceNode") }
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            name: self.text("Name"),
            ip: self.ip("Addr"),
            port: self.number("Port"),
            meta: self.optional("Meta"),
            incarnation: Incarnation(self.number("Incarnation")),
            state: State::from_number(self.number("State")),
            versions: versions(self.text("Vsn")),
        }
    }

    fn message(&self, kind: u8) -> Message<'_> {
        let seq = SequenceNumber(self.number("SeqNo"));
        let accusation = Accusation {
            incarnation: Incarnation(self.number("Incarnation")),
            node: self.text("Node"),
            from: self.text("From"),
        };
        match kind {
            kind::PING => Message::Ping(Ping { seq, node: self.text("Node"), source: self.source() }),
            kind::INDIRECT_PING => Message::IndirectPing(IndirectPing {
                seq,
                target: self.ip("Target").expect("an address"),
                port: self.number("Port"),
                node: self.text("Node"),
                nack: self.json["Nack"] == true,
                source: self.source(),
            }),
            kind::ACK => Message::Ack(Ack { seq, payload: self.optional("Payload") }),
            kind::NACK => Message::Nack(Nack { seq }),
            kind::SUSPECT => Message::Suspect(accusation),
            kind::DEAD => Message::Dead(accusation),
            kind::ALIVE => Message::Alive(Alive {
                incarnation: Incarnation(self.number("Incarnation")),
                node: self.text("Node"),
                ip: self.ip("Addr"),
                port: self.number("Port"),
                meta: self.optional("Meta"),
                versions: versions(self.text("Vsn")),
            }),
            kind::USER => Message::User(self.text("payload")),
            _ => panic!("kind {kind}"),
        }
    }
}

fn versions(bytes: &[u8]) -> Option<Versions> {
    let &[min, max, current, application_min, application_max, application_current] = bytes else { return None };
    let protocol = VersionRange { min, max, current };
    let application = VersionRange { min: application_min, max: application_max, current: application_current };
    Some(Versions { protocol, application, features: 0 })
}

fn by_old(vector: &Value) -> bool {
    vector["bytes_sent_by"].as_str().is_some_and(|by| by.contains("0.9.4"))
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("text")).collect()
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("hexadecimal text");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a byte")).collect()
}
