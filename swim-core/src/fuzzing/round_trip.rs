//! Every message of both codecs, there and back.

use alloc::vec::Vec;

use super::bytes::Bytes;
use crate::ids::{Incarnation, LamportTime, SequenceNumber};
use crate::versions::{VersionRange, Versions};
use crate::wire::codec::{Codec, MessageError, StreamScan};
use crate::wire::message::{
    self, Accusation, Ack, Alive, Entry, IndirectPing, Message, Nack, Ping, PushPull, PushPullHeader, Source, State,
    StreamMessage,
};
use crate::wire::serf::{
    Clocks, DIMENSIONS, Destination, DirectAnswer, DirectMessage, Filter, Join, KeyResponse, Leave, MemberView, Query,
    QueryResponse, Refusal, Relay, SerfMessage, UserEvent, WireCoordinate, decode_tags, encode_tags,
};

/// Encodes messages made of the input with both codecs, and decodes them again.
///
/// The input is a sequence of messages: a byte that says which (its remainder by 27), and then the fields as the message
/// declares them. Numbers are little endian; what has no fixed length is announced by one byte. What is missing is zero or
/// empty.
///
/// # Panics
///
/// When something else comes back, when half a message is understood, or when a stream's message does not end where it
/// ends.
///
/// # Examples
///
/// ```
/// // A nack to number 7, and then an ack to it without a payload.
/// swim_core::fuzzing::round_trip::run(b"\x03\x07\0\0\0\x02\x07\0\0\0\0");
/// ```
pub fn run(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    for _ in 0..MESSAGES_MAX {
        let Some(which) = input.byte() else { return };
        let mut twin = input;
        message(which, Codec::Native, &mut input);
        message(which, Codec::Serf, &mut twin);
    }
}

fn message(which: u8, codec: Codec, input: &mut Bytes<'_>) {
    match which % 27 {
        0 => datagram(codec, &Message::Ping(ping(input))),
        1 => {
            let (seq, target, port) = (SequenceNumber(input.u32()), input.ip(), input.u16());
            let target = target.unwrap_or([127, 0, 0, 1].into());
            let (node, nack, source) = (input.short(), input.flag(), source(input));
            datagram(codec, &Message::IndirectPing(IndirectPing { seq, target, port, node, nack, source }));
        }
        2 => datagram(codec, &Message::Ack(ack(input))),
        3 => datagram(codec, &Message::Nack(Nack { seq: SequenceNumber(input.u32()) })),
        4 => datagram(codec, &Message::Suspect(accusation(input))),
        5 => datagram(codec, &Message::Dead(accusation(input))),
        6 => {
            let (incarnation, node, ip, port) = (Incarnation(input.u32()), input.short(), input.ip(), input.u16());
            let (meta, versions) = (payload(input), versions(codec, input));
            datagram(codec, &Message::Alive(Alive { incarnation, node, ip, port, meta, versions }));
        }
        7 => datagram(codec, &Message::User(input.short())),
        8 => {
            let ping = ping(input);
            stream(codec, &StreamMessage::Ping(ping), |out| codec.encode_stream_ping(&ping, out));
        }
        9 => {
            let ack = ack(input);
            stream(codec, &StreamMessage::Ack(ack.clone()), |out| codec.encode_stream_ack(&ack, out));
        }
        10 => {
            let said = input.short();
            stream(codec, &StreamMessage::User(said), |out| codec.encode_stream_user(said, out));
        }
        11 => {
            let text = core::str::from_utf8(input.short()).unwrap_or("it was no text");
            stream(codec, &StreamMessage::Error(text.as_bytes()), |out| codec.encode_stream_error(text, out));
        }
        12 => push_pull(codec, input),
        13 => {
            let leave = Leave { ltime: LamportTime(input.u64()), node: input.short(), prune: input.flag() };
            let back = serf(codec, |out| codec.encode_serf_leave(&leave, out));
            back(&|back| matches!(back, SerfMessage::Leave(back) if *back == leave));
        }
        14 => {
            let join = Join { ltime: LamportTime(input.u64()), node: input.short() };
            let back = serf(codec, |out| codec.encode_serf_join(&join, out));
            back(&|back| matches!(back, SerfMessage::Join(back) if *back == join));
        }
        15 => {
            let (ltime, name) = (LamportTime(input.u64()), input.short());
            let event = UserEvent { ltime, name, payload: payload(input), coalesce: input.flag() };
            let back = serf(codec, |out| codec.encode_serf_user_event(&event, out));
            back(&|back| matches!(back, SerfMessage::UserEvent(back) if *back == event));
        }
        16 => query(codec, input),
        17 => {
            let (ltime, id, from) = (LamportTime(input.u64()), input.u32(), input.short());
            let response = QueryResponse { ltime, id, from, flags: input.u32(), payload: payload(input) };
            let back = serf(codec, |out| codec.encode_serf_query_response(&response, out));
            back(&|back| matches!(back, SerfMessage::QueryResponse(back) if *back == response));
        }
        18 => {
            let destination = Destination { ip: input.ip(), port: input.u16(), zone: input.short() };
            let relay = Relay { destination, name: input.short(), inner: input.short() };
            let back = serf(codec, |out| codec.encode_serf_relay(&relay, out));
            back(&|back| matches!(back, SerfMessage::Relay(back) if *back == relay));
        }
        19 => {
            let direct = DirectMessage { to: input.short(), from: input.short(), payload: input.short() };
            let back = serf(Codec::Native, |out| direct.encode(out));
            back(&|back| matches!(back, SerfMessage::Direct(back) if *back == direct));
        }
        20 => {
            let refusal = match input.u8() % 6 {
                0 => None,
                1 => Some(Refusal::Misaddressed),
                2 => Some(Refusal::Stranger),
                3 => Some(Refusal::TooLong),
                4 => Some(Refusal::Full),
                _ => Some(Refusal::Other),
            };
            let answer = DirectAnswer { refusal };
            let back = serf(Codec::Native, |out| answer.encode(out));
            back(&|back| matches!(back, SerfMessage::DirectAnswer(back) if *back == answer));
        }
        21 => state(codec, input),
        22 => {
            let names: Vec<_> = (0..input.u8() % 8).map(|_| input.short()).collect();
            let mut out = Vec::new();
            codec.encode_node_filter(&names, &mut out);
            let Ok(Filter::Nodes(back)) = codec.decode_filter(&out) else { panic!("{codec:?} {out:02x?}") };
            assert_eq!(back.collect::<Vec<_>>(), names, "{codec:?}");
        }
        23 => {
            let (wanted_tag, wanted_expr) = (input.short(), input.short());
            let mut out = Vec::new();
            codec.encode_tag_filter(wanted_tag, wanted_expr, &mut out);
            let Ok(Filter::Tag { tag, expr }) = codec.decode_filter(&out) else { panic!("{codec:?} {out:02x?}") };
            assert_eq!((tag, expr), (wanted_tag, wanted_expr), "{codec:?}");
        }
        24 => keys(codec, input),
        25 => conflict(codec, input),
        _ => coordinate(codec, input),
    }
}

fn source<'a>(input: &mut Bytes<'a>) -> Source<'a> {
    Source { ip: input.ip(), port: input.u16(), node: input.short() }
}

fn ping<'a>(input: &mut Bytes<'a>) -> Ping<'a> {
    Ping { seq: SequenceNumber(input.u32()), node: input.short(), source: source(input) }
}

fn ack<'a>(input: &mut Bytes<'a>) -> Ack<'a> {
    Ack { seq: SequenceNumber(input.u32()), payload: payload(input) }
}

fn accusation<'a>(input: &mut Bytes<'a>) -> Accusation<'a> {
    Accusation { incarnation: Incarnation(input.u32()), node: input.short(), from: input.short() }
}

fn payload<'a>(input: &mut Bytes<'a>) -> Option<message::Bytes<'a>> {
    input.flag().then(|| message::Bytes::from(input.short()))
}

fn versions(codec: Codec, input: &mut Bytes<'_>) -> Option<Versions> {
    let some = input.flag();
    some.then(|| {
        let mut range = || VersionRange { min: input.u8(), max: input.u8(), current: input.u8() };
        let (protocol, application) = (range(), range());
        let features = input.u32();
        // Serf's wire has none.
        Versions { protocol, application, features: if codec == Codec::Native { features } else { 0 } }
    })
}

fn entry<'a>(codec: Codec, input: &mut Bytes<'a>) -> Entry<'a> {
    Entry {
        name: input.short(),
        ip: input.ip(),
        port: input.u16(),
        meta: payload(input),
        incarnation: Incarnation(input.u32()),
        state: State::from_number(input.u8() % 5),
        versions: versions(codec, input),
    }
}

fn datagram(codec: Codec, message: &Message<'_>) {
    let mut out = Vec::new();
    codec.encode(message, &mut out);
    let (kind, body) = out.split_first().expect("the kind comes first");
    assert_eq!(codec.decode(*kind, body).as_ref(), Ok(message), "{codec:?} {out:02x?}");
    if matches!(message, Message::User(_)) {
        return; // Half of what is opaque is opaque, too.
    }
    for len in 0..body.len() {
        let cut = codec.decode(*kind, &body[..len]);
        assert_eq!(cut, Err(MessageError::Truncated), "{len} bytes of {body:02x?} as {codec:?}");
    }
}

fn stream(codec: Codec, message: &StreamMessage<'_>, encode: impl FnOnce(&mut Vec<u8>)) {
    let mut out = Vec::new();
    encode(&mut out);
    assert_eq!(codec.decode_stream(&out).as_ref(), Ok(message), "{codec:?} {out:02x?}");
    let whole = out.len();
    out.extend_from_slice(b"the next one");
    let mut scan = StreamScan::default();
    for len in 0..=out.len() {
        let expected = (len >= whole).then_some(whole);
        assert_eq!(codec.scan_stream(&mut scan, &out[..len]), Ok(expected), "{len} bytes of {out:02x?} as {codec:?}");
    }
}

fn push_pull(codec: Codec, input: &mut Bytes<'_>) {
    let (join, len) = (input.flag(), input.u8() % 6);
    let entries: Vec<_> = (0..len).map(|_| entry(codec, input)).collect();
    let user_state = input.short();
    let header = PushPullHeader { join, entries: len.into(), user_state_len: user_state.len() as u32 };
    let state = StreamMessage::PushPull(PushPull { join, entries: entries.clone(), user_state });
    stream(codec, &state, |out| {
        codec.begin_push_pull(&header, out);
        for entry in &entries {
            codec.push_pull_entry(entry, out);
        }
        out.extend_from_slice(user_state);
    });
}

/// Encodes, and hands what comes back to a comparison.
fn serf(codec: Codec, encode: impl FnOnce(&mut Vec<u8>)) -> impl Fn(&dyn Fn(&SerfMessage<'_>) -> bool) {
    let mut out = Vec::new();
    encode(&mut out);
    move |is_same| {
        let back = codec.decode_serf(&out);
        assert!(back.as_ref().is_ok_and(is_same), "{codec:?} {out:02x?} came back as {back:?}");
    }
}

fn query(codec: Codec, input: &mut Bytes<'_>) {
    let (ltime, id, ip, port) = (LamportTime(input.u64()), input.u32(), input.ip(), input.u16());
    let source_node = input.short();
    let filters: Vec<_> = (0..input.u8() % 8).map(|_| input.short()).collect();
    let (flags, relay_factor, timeout) = (input.u32(), input.u8(), input.u64().cast_signed());
    let (name, payload) = (input.short(), payload(input));
    let query = Query { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload };
    let back = serf(codec, |out| codec.encode_serf_query(&query, out));
    back(&|back| {
        let SerfMessage::Query(back) = back else { return false };
        let filters: Vec<_> = back.filters.clone().collect();
        let filters = filters.iter().map(|filter| &**filter).collect();
        let Query { ltime, id, ip, port, source_node, flags, relay_factor, timeout, name, payload, .. } = back.clone();
        query == Query { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload }
    });
}

fn state(codec: Codec, input: &mut Bytes<'_>) {
    let [member, event, query] = [(); 3].map(|()| LamportTime(input.u64()));
    let clocks = Clocks { member, event, query };
    let statuses: Vec<_> = (0..input.u8() % 6).map(|_| (input.short(), LamportTime(input.u64()))).collect();
    let left: Vec<_> = (0..input.u8() % 6).map(|_| input.short()).collect();
    let slots: Vec<_> = (0..input.u8() % 6)
        .map(|_| {
            let full = input.flag();
            full.then(|| {
                let ltime = LamportTime(input.u64());
                let events: Vec<_> = (0..input.u8() % 4)
                    .map(|_| {
                        let name = input.short();
                        (name, input.flag().then(|| input.short()))
                    })
                    .collect();
                (ltime, events)
            })
        })
        .collect();
    let events = || {
        slots.iter().map(|slot| {
            let (ltime, events) = slot.as_ref()?;
            Some((*ltime, events.iter().copied()))
        })
    };
    let back = serf(codec, |out| {
        codec.encode_serf_push_pull(&clocks, statuses.iter().copied(), left.iter().copied(), events(), out);
    });
    back(&|back| {
        let SerfMessage::PushPull(back) = back else { return false };
        let heard = back.events.clone().map(|slot| {
            let events = slot.events.map(|event| (event.name, event.payload.as_deref().map(<[u8]>::to_vec)));
            (slot.ltime, events.collect::<Vec<_>>())
        });
        let said = slots.iter().flatten().map(|(ltime, events)| {
            let events = events.iter().map(|(name, payload)| (*name, payload.map(<[u8]>::to_vec)));
            (*ltime, events.collect::<Vec<_>>())
        });
        back.clocks == clocks
            && back.statuses.clone().eq(statuses.iter().copied())
            && back.left.clone().eq(left.iter().copied())
            && heard.eq(said)
    });
}

fn keys(codec: Codec, input: &mut Bytes<'_>) {
    let mut out = Vec::new();
    let key = input.short();
    codec.encode_key_request(key, &mut out);
    assert_eq!(codec.decode_key_request(&out).map(|request| request.key.to_vec()), Ok(key.to_vec()), "{codec:?}");
    out.clear();
    let (result, message) = (input.flag(), input.short());
    let keys: Vec<_> = (0..input.u8() % 8).map(|_| input.short()).collect();
    let response = KeyResponse { result, message, keys, primary: input.short() };
    codec.encode_key_response(&response, &mut out);
    let back = codec.decode_key_response(&out).map(|KeyResponse { result, message, keys, primary }| KeyResponse {
        result,
        message,
        keys: keys.collect::<Vec<_>>(),
        primary,
    });
    // Not shown: there are keys in it.
    assert!(back.is_ok_and(|back| back == response), "{codec:?}: another answer came back");
}

fn conflict(codec: Codec, input: &mut Bytes<'_>) {
    let known = input.flag();
    let member = known.then(|| MemberView {
        name: input.short(),
        ip: input.ip(),
        port: input.u16(),
        tags: (0..input.u8() % 6).map(|_| (input.short(), input.short())).collect::<Vec<_>>(),
        status: input.u8(),
        versions: versions(codec, input).unwrap_or_default(),
    });
    let mut out = Vec::new();
    codec.encode_conflict_response(member.as_ref(), &mut out);
    let back = codec.decode_conflict_response(&out).map(|member| {
        member.map(|MemberView { name, ip, port, tags, status, versions }| {
            let tags = tags.collect::<Vec<_>>();
            MemberView { name, ip, port, tags, status, versions }
        })
    });
    assert_eq!(back, Ok(member), "{codec:?} {out:02x?}");
    out.clear();
    let tags: Vec<_> = (0..input.u8() % 6).map(|_| (input.short(), input.short())).collect();
    encode_tags(tags.iter().copied(), &mut out);
    assert_eq!(decode_tags(&out).collect::<Result<Vec<_>, _>>(), Ok(tags), "{out:02x?}");
}

fn coordinate(codec: Codec, input: &mut Bytes<'_>) {
    let mut float = || f64::from_bits(input.u64());
    let vec = [(); DIMENSIONS].map(|()| float());
    let coordinate = WireCoordinate { vec, error: float(), adjustment: float(), height: float() };
    let mut out = Vec::new();
    codec.encode_coordinate(&coordinate, &mut out);
    let bits = |coordinate: &WireCoordinate| {
        let WireCoordinate { vec, error, adjustment, height } = coordinate;
        (vec.map(f64::to_bits), [error, adjustment, height].map(|number| number.to_bits()))
    };
    let back = codec.decode_coordinate(&out);
    assert_eq!(back.map(|back| back.as_ref().map(bits)), Ok(Some(bits(&coordinate))), "{codec:?} {out:02x?}");
}

const MESSAGES_MAX: usize = 64;
