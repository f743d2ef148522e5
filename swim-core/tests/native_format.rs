//! The examples in `docs/wire-format.md` are the layout of version 1: they must decode for ever, and as long as nothing
//! is added to a message it comes out the same.

use core::net::IpAddr;
use std::collections::BTreeMap;

use swim_core::ids::{Incarnation, LamportTime, SequenceNumber};
use swim_core::versions::{VersionRange, Versions};
use swim_core::wire::codec::{Codec, StreamScan};
use swim_core::wire::message::{
    Accusation, Ack, Alive, Bytes, Entry, IndirectPing, Message, Nack, Ping, PushPull, PushPullHeader, Source, State,
    StreamMessage,
};
use swim_core::wire::serf::{
    Clocks, Destination, DirectAnswer, DirectMessage, Filter, Join, KeyResponse, Leave, MemberView, Query,
    QueryResponse, Refusal, Relay, SerfMessage, UserEvent, WireCoordinate, decode_tags, encode_tags, flag,
};

/// The lines `name = hex` of the document.
fn examples() -> BTreeMap<String, Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/wire-format.md");
    let document = std::fs::read_to_string(path).expect("the document is in the repository");
    let mut examples = BTreeMap::new();
    for line in document.lines() {
        let Some((name, hex)) = line.split_once(" = ") else { continue };
        let bytes: Result<Vec<u8>, _> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16)).collect();
        if let Ok(bytes) = bytes {
            assert!(examples.insert(name.trim().to_owned(), bytes).is_none(), "{name} is there twice");
        }
    }
    examples
}

fn v4() -> IpAddr {
    IpAddr::from([10, 0, 0, 1])
}

fn versions() -> Versions {
    Versions {
        protocol: VersionRange { min: 1, max: 5, current: 2 },
        application: VersionRange { min: 2, max: 5, current: 4 },
        features: 300,
    }
}

fn ping() -> Ping<'static> {
    Ping { seq: SequenceNumber(7), node: b"b", source: Source { ip: Some(v4()), port: 7946, node: b"a" } }
}

fn messages() -> Vec<(&'static str, Message<'static>)> {
    let meta = Some(Bytes::from(&[0xff, 0x80][..]));
    vec![
        ("ping", Message::Ping(ping())),
        (
            "indirect ping",
            Message::IndirectPing(IndirectPing {
                seq: SequenceNumber(7),
                target: IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 1]),
                port: 7946,
                node: b"b",
                nack: true,
                source: Source::default(),
            }),
        ),
        ("ack", Message::Ack(Ack { seq: SequenceNumber(250), payload: Some(Bytes::from(&[0xaa, 0xbb][..])) })),
        ("empty ack", Message::Ack(Ack { seq: SequenceNumber(251), payload: None })),
        ("nack", Message::Nack(Nack { seq: SequenceNumber(65536) })),
        ("suspect", Message::Suspect(Accusation { incarnation: Incarnation(3), node: b"b", from: b"a" })),
        ("dead", Message::Dead(Accusation { incarnation: Incarnation(3), node: b"b", from: b"b" })),
        (
            "alive",
            Message::Alive(Alive {
                incarnation: Incarnation(1),
                node: b"b",
                ip: Some(v4()),
                port: 7946,
                meta,
                versions: Some(versions()),
            }),
        ),
        ("user", Message::User(b"hi")),
    ]
}

#[test]
fn datagram_messages() {
    let examples = examples();
    for (name, message) in messages() {
        let mut out = Vec::new();
        Codec::Native.encode(&message, &mut out);
        assert_eq!(examples.get(name), Some(&out), "{name} = {}", hex(&out));
        assert_eq!(Codec::Native.decode(out[0], &out[1..]), Ok(message));
    }
}

#[test]
fn stream_messages() {
    let entry = Entry {
        name: b"b",
        ip: Some(v4()),
        port: 7946,
        meta: None,
        incarnation: Incarnation(1),
        state: Some(State::Left),
        versions: Some(versions()),
    };
    let mut all = vec![("stream ping", Vec::new()), ("stream ack", Vec::new()), ("stream user", Vec::new())];
    all.extend([("error", Vec::new()), ("push/pull", Vec::new())]);
    let ack = Ack { seq: SequenceNumber(7), payload: None };
    Codec::Native.encode_stream_ping(&ping(), &mut all[0].1);
    Codec::Native.encode_stream_ack(&ack, &mut all[1].1);
    Codec::Native.encode_stream_user(b"hi", &mut all[2].1);
    Codec::Native.encode_stream_error("no", &mut all[3].1);
    let header = PushPullHeader { join: true, entries: 1, user_state_len: 2 };
    Codec::Native.begin_push_pull(&header, &mut all[4].1);
    Codec::Native.push_pull_entry(&entry, &mut all[4].1);
    all[4].1.extend_from_slice(b"hi");
    let expected = [
        StreamMessage::Ping(ping()),
        StreamMessage::Ack(ack),
        StreamMessage::User(b"hi"),
        StreamMessage::Error(b"no"),
        StreamMessage::PushPull(PushPull { join: true, entries: vec![entry], user_state: b"hi" }),
    ];
    let examples = examples();
    for ((name, out), message) in all.iter().zip(expected) {
        assert_eq!(examples.get(*name), Some(out), "{name} = {}", hex(out));
        assert_eq!(Codec::Native.decode_stream(out), Ok(message));
        assert_eq!(Codec::Native.scan_stream(&mut StreamScan::default(), out), Ok(Some(out.len())));
    }
}

#[test]
fn serf_messages() {
    let examples = examples();
    let check =
        |name: &str, out: &[u8]| assert_eq!(examples.get(name).map(|b| &b[..]), Some(out), "{name} = {}", hex(out));

    let mut out = Vec::new();
    Codec::Native.encode_serf_leave(&Leave { ltime: LamportTime(300), node: b"b", prune: true }, &mut out);
    check("leave", &out);
    assert!(matches!(Codec::Native.decode_serf(&out), Ok(SerfMessage::Leave(leave)) if leave.prune));

    out.clear();
    Codec::Native.encode_serf_join(&Join { ltime: LamportTime(4), node: b"b" }, &mut out);
    check("join", &out);
    assert!(matches!(Codec::Native.decode_serf(&out), Ok(SerfMessage::Join(join)) if join.node == b"b"));

    out.clear();
    let clocks = Clocks { member: LamportTime(9), event: LamportTime(8), query: LamportTime(7) };
    let events = [(&b"e"[..], Some(&b"p"[..])), (b"f", None)];
    let slots = [None, Some((LamportTime(5), events.into_iter())), None];
    let statuses = [(&b"a"[..], LamportTime(1)), (b"b", LamportTime(2))];
    Codec::Native.encode_serf_push_pull(
        &clocks,
        statuses.into_iter(),
        [&b"b"[..]].into_iter(),
        slots.into_iter(),
        &mut out,
    );
    check("state", &out);
    assert!(
        matches!(Codec::Native.decode_serf(&out), Ok(SerfMessage::PushPull(state)) if state.events.clone().count() == 1)
    );

    out.clear();
    encode_tags([(&b"role"[..], &b"web"[..])].into_iter(), &mut out);
    check("tags", &out);
    assert_eq!(decode_tags(&out).collect::<Vec<_>>(), [Ok((&b"role"[..], &b"web"[..]))]);
}

#[test]
fn events_and_queries() {
    let examples = examples();
    let check =
        |name: &str, out: &[u8]| assert_eq!(examples.get(name).map(|b| &b[..]), Some(out), "{name} = {}", hex(out));
    let payload = |payload: &'static [u8]| Some(Bytes::from(payload));

    let mut out = Vec::new();
    let event = UserEvent { ltime: LamportTime(300), name: b"e", payload: payload(b"p"), coalesce: true };
    Codec::Native.encode_serf_user_event(&event, &mut out);
    check("user event", &out);
    assert!(matches!(Codec::Native.decode_serf(&out), Ok(SerfMessage::UserEvent(back)) if back == event));

    let mut filters = [Vec::new(), Vec::new()];
    Codec::Native.encode_node_filter([b"a", b"b"], &mut filters[0]);
    check("node filter", &filters[0]);
    assert!(
        matches!(Codec::Native.decode_filter(&filters[0]), Ok(Filter::Nodes(names)) if names.clone().eq([b"a", b"b"]))
    );
    Codec::Native.encode_tag_filter(b"role", b"d.*", &mut filters[1]);
    check("tag filter", &filters[1]);
    let tag = Codec::Native.decode_filter(&filters[1]);
    assert!(matches!(tag, Ok(Filter::Tag { tag: b"role", expr: b"d.*" })));

    out.clear();
    let query = Query {
        ltime: LamportTime(7),
        id: 70_000,
        ip: Some(v4()),
        port: 7946,
        source_node: b"a",
        filters: &filters,
        flags: flag::ACK,
        relay_factor: 2,
        timeout: 2_000_000_000,
        name: b"q",
        payload: None,
    };
    Codec::Native.encode_serf_query(&query, &mut out);
    check("query", &out);
    let Ok(SerfMessage::Query(back)) = Codec::Native.decode_serf(&out) else { panic!("{out:02x?}") };
    assert_eq!((back.ltime, back.id, back.ip, back.port), (query.ltime, query.id, query.ip, query.port));
    assert_eq!((back.source_node, back.flags, back.relay_factor), (query.source_node, query.flags, query.relay_factor));
    assert_eq!((back.timeout, back.name, back.payload), (query.timeout, query.name, query.payload));
    assert!(back.filters.eq(filters));

    let mut inner = Vec::new();
    let response = QueryResponse { ltime: LamportTime(7), id: 70_000, from: b"b", flags: 0, payload: payload(b"up") };
    Codec::Native.encode_serf_query_response(&response, &mut inner);
    check("query response", &inner);
    assert!(matches!(Codec::Native.decode_serf(&inner), Ok(SerfMessage::QueryResponse(back)) if back == response));

    out.clear();
    let destination = Destination { ip: Some(v4()), port: 7946, zone: b"" };
    let relay = Relay { destination, name: b"a", inner: &inner };
    Codec::Native.encode_serf_relay(&relay, &mut out);
    check("relay", &out);
    assert!(matches!(Codec::Native.decode_serf(&out), Ok(SerfMessage::Relay(back)) if back == relay));
}

#[test]
fn direct_messages() {
    let examples = examples();
    let check =
        |name: &str, out: &[u8]| assert_eq!(examples.get(name).map(|b| &b[..]), Some(out), "{name} = {}", hex(out));

    let mut out = Vec::new();
    let message = DirectMessage { to: b"b", from: b"a", payload: b"hi" };
    message.encode(&mut out);
    check("direct message", &out);
    assert!(matches!(Codec::Native.decode_serf(&out), Ok(SerfMessage::Direct(back)) if back == message));

    for (name, refusal) in [("direct answer", None), ("direct refusal", Some(Refusal::Full))] {
        out.clear();
        DirectAnswer { refusal }.encode(&mut out);
        check(name, &out);
        let back = Codec::Native.decode_serf(&out);
        assert!(matches!(back, Ok(SerfMessage::DirectAnswer(back)) if back.refusal == refusal));
    }
}

#[test]
fn payloads() {
    let examples = examples();
    let check =
        |name: &str, out: &[u8]| assert_eq!(examples.get(name).map(|b| &b[..]), Some(out), "{name} = {}", hex(out));

    let mut out = Vec::new();
    let tags = [(&b"role"[..], &b"web"[..])];
    let member = MemberView { name: b"b", ip: Some(v4()), port: 7946, tags, status: 1, versions: versions() };
    Codec::Native.encode_conflict_response(Some(&member), &mut out);
    check("conflict response", &out);
    let back = Codec::Native.decode_conflict_response(&out).expect("whole").expect("a member");
    assert_eq!((back.name, back.ip, back.port), (member.name, member.ip, member.port));
    assert_eq!((back.status, back.versions), (member.status, member.versions));
    assert!(back.tags.eq(tags));

    out.clear();
    Codec::Native.encode_conflict_response(None::<&MemberView<'_>>, &mut out);
    check("conflict response about nobody", &out);
    assert!(matches!(Codec::Native.decode_conflict_response(&out), Ok(None)));

    out.clear();
    Codec::Native.encode_key_request(b"key", &mut out);
    check("key request", &out);
    assert_eq!(Codec::Native.decode_key_request(&out).expect("whole").key, Bytes::from(&b"key"[..]));

    out.clear();
    let keys = [&b"a2V5"[..], b"a2V6"];
    let response = KeyResponse { result: true, message: b"no", keys, primary: b"a2V5" };
    Codec::Native.encode_key_response(&response, &mut out);
    check("key response", &out);
    let back = Codec::Native.decode_key_response(&out).expect("whole");
    assert_eq!((back.result, back.message, back.primary), (response.result, response.message, response.primary));
    assert!(back.keys.eq(keys));

    out.clear();
    let vec = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -2.0];
    let coordinate = WireCoordinate { vec, error: 1.5, adjustment: 0.25, height: 1e-5 };
    Codec::Native.encode_coordinate(&coordinate, &mut out);
    check("coordinate", &out);
    assert_eq!(Codec::Native.decode_coordinate(&out), Ok(Some(coordinate)));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
