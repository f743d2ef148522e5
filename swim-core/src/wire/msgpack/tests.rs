#![expect(clippy::indexing_slicing, reason = "a test may fail")]

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::codec::Codec;
use crate::wire::message::{Message, kind};

fn raw(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_raw(bytes, &mut out);
    out
}

/// Puts byte strings one behind the other.
macro_rules! cat {
    ($($part:expr),* $(,)?) => {{
        let mut out: Vec<u8> = Vec::new();
        $(out.extend_from_slice(&$part[..]);)*
        out
    }};
}

fn ping(body: &[u8]) -> Result<Ping<'_>, MessageError> {
    read_ping(&mut Reader::new(body))
}

fn alive(body: &[u8]) -> Result<Alive<'_>, MessageError> {
    read_alive(&mut Reader::new(body))
}

fn seq(encoded: &[u8]) -> Result<u32, MessageError> {
    ping(&cat!([0x81], raw(b"SeqNo"), encoded)).map(|ping| ping.seq.0)
}

fn source_port(encoded: &[u8]) -> Result<u16, MessageError> {
    ping(&cat!([0x81], raw(b"SourcePort"), encoded)).map(|ping| ping.source.port)
}

fn nack_wanted(encoded: &[u8]) -> Result<bool, MessageError> {
    let body = cat!([0x82], raw(b"Target"), raw(&[127, 0, 0, 1]), raw(b"Nack"), encoded);
    read_indirect_ping(&mut Reader::new(&body)).map(|ping| ping.nack)
}

fn name(encoded: &[u8]) -> Result<Vec<u8>, MessageError> {
    ping(&cat!([0x81], raw(b"Node"), encoded)).map(|ping| ping.node.to_vec())
}

fn payload(encoded: &[u8]) -> Result<Option<Vec<u8>>, MessageError> {
    let body = cat!([0x81], raw(b"Payload"), encoded);
    read_ack(&mut Reader::new(&body)).map(|ack| ack.payload.map(|bytes| bytes.to_vec()))
}

fn state(encoded: &[u8]) -> Result<Option<State>, MessageError> {
    read_entry(&mut Reader::new(&cat!([0x81], raw(b"State"), encoded))).map(|entry| entry.state)
}

fn nodes(encoded: &[u8]) -> Result<u32, MessageError> {
    read_push_pull_header(&mut Reader::new(&cat!([0x81], raw(b"Nodes"), encoded))).map(|header| header.entries)
}

#[test]
fn text_and_keys_of_every_family() {
    let long = [b'x'; 40];
    #[rustfmt::skip]
    let table: [(Vec<u8>, &[u8]); 9] = [
        (cat!(b"\xa3abc"), b"abc"),
        (cat!(b"\xa0"), b""),
        (cat!([0xd9, 3], b"abc"), b"abc"),
        (cat!([0xda, 0, 40], long), &long),
        (cat!([0xdb, 0, 0, 0, 3], b"abc"), b"abc"),
        (cat!([0xc4, 3], b"abc"), b"abc"),
        (cat!([0xc5, 0, 3], b"abc"), b"abc"),
        (cat!([0xc6, 0, 0, 0, 3], b"abc"), b"abc"),
        (cat!([0xc0]), b""),
    ];
    for (encoded, text) in table {
        assert_eq!(name(&encoded).as_deref(), Ok(text), "{encoded:02x?}");
    }
    for key in [&b"\xa5SeqNo"[..], b"\xd9\x05SeqNo", b"\xda\x00\x05SeqNo", b"\xc4\x05SeqNo"] {
        assert_eq!(ping(&cat!([0x81], key, [7])).map(|ping| ping.seq.0), Ok(7), "{key:02x?}");
    }
    assert_eq!(name(&[0x93, 1, 2, 3]), Err(MessageError::Malformed), "an array is for byte fields");
    assert_eq!(name(&[7]), Err(MessageError::Malformed));
    assert_eq!(ping(&[0x81, 7, 7]), Err(MessageError::Malformed), "a key is text");
}

type Bytewise<'a> = Result<Option<&'a [u8]>, MessageError>;

#[test]
fn byte_fields_of_every_family_and_as_array() {
    #[rustfmt::skip]
    let table: [(Vec<u8>, Bytewise<'_>); 15] = [
        (cat!(b"\xa3abc"), Ok(Some(b"abc"))),
        (cat!([0xa0]), Ok(Some(b""))),
        (cat!([0xc0]), Ok(None)),
        (cat!([0xd9, 3], b"abc"), Ok(Some(b"abc"))),
        (cat!([0xc4, 3], b"abc"), Ok(Some(b"abc"))),
        (cat!([0xc5, 0, 3], b"abc"), Ok(Some(b"abc"))),
        (cat!([0xc6, 0, 0, 0, 3], b"abc"), Ok(Some(b"abc"))),
        (cat!([0x93, 1, 0xcc, 255, 0xd1, 0, 3]), Ok(Some(&[1, 255, 3]))),
        (cat!([0xdc, 0, 2, 1, 2]), Ok(Some(&[1, 2]))),
        (cat!([0xdd, 0, 0, 0, 2, 1, 0xc0]), Ok(Some(&[1, 0]))),
        (cat!([0x91, 0xcd, 1, 0]), Err(MessageError::OutOfRange)),
        (cat!([0x91, 0xff]), Err(MessageError::OutOfRange)),
        (cat!([0x91, 0xa0]), Err(MessageError::Malformed)),
        (cat!([0xdd, 0xff, 0xff, 0xff, 0xff, 1]), Err(MessageError::Truncated)),
        (cat!([0xc6, 0xff, 0xff, 0xff, 0xff, 1]), Err(MessageError::Truncated)),
    ];
    for (encoded, bytes) in table {
        assert_eq!(payload(&encoded).as_ref().map(Option::as_deref), bytes.as_ref().copied(), "{encoded:02x?}");
    }
    let announced = alive(&cat!([0x81], raw(b"Vsn"), [0x96, 1, 5, 2, 2, 5, 4])).unwrap().versions.unwrap();
    assert_eq!(version_bytes(announced), [1, 5, 2, 2, 5, 4]);
}

#[test]
fn integers_of_every_width() {
    use MessageError::{Malformed, OutOfRange};
    #[rustfmt::skip]
    let table: [(&[u8], Result<u32, MessageError>); 21] = [
        (&[0], Ok(0)),
        (&[0x7f], Ok(0x7f)),
        (&[0xcc, 7], Ok(7)),
        (&[0xcc, 0xff], Ok(0xff)),
        (&[0xcd, 1, 2], Ok(0x102)),
        (&[0xce, 0xff, 0xff, 0xff, 0xff], Ok(u32::MAX)),
        (&[0xcf, 0, 0, 0, 0, 1, 2, 3, 4], Ok(0x0102_0304)),
        (&[0xcf, 0, 0, 0, 1, 0, 0, 0, 0], Err(OutOfRange)),
        (&[0xd0, 0x7f], Ok(0x7f)),
        (&[0xd0, 0x80], Err(OutOfRange)),
        (&[0xd1, 1, 2], Ok(0x102)),
        (&[0xd1, 0xff, 0xff], Err(OutOfRange)),
        (&[0xd2, 1, 2, 3, 4], Ok(0x0102_0304)),
        (&[0xd2, 0xff, 0, 0, 0], Err(OutOfRange)),
        (&[0xd3, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], Ok(u32::MAX)),
        (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Err(OutOfRange)),
        (&[0xff], Err(OutOfRange)),
        (&[0xc0], Ok(0)),
        (&[0xc3], Err(Malformed)),
        (&[0xca, 0, 0, 0, 0], Err(Malformed)),
        (&[0xa1, b'7'], Err(Malformed)),
    ];
    for (encoded, number) in table {
        assert_eq!(seq(encoded), number, "{encoded:02x?}");
    }
    assert_eq!(source_port(&[0xcd, 0xff, 0xff]), Ok(u16::MAX));
    assert_eq!(source_port(&[0xd2, 0, 1, 0, 0]), Err(OutOfRange), "too big for its field, not for its width");
}

#[test]
fn signed_fields() {
    use MessageError::{OutOfRange, TooLarge};
    #[rustfmt::skip]
    let table: [(&[u8], Result<u32, MessageError>); 7] = [
        (&[0xd1, 0x00, 0x8e], Ok(142)),                        // as the newest memberlist writes it
        (&[0xcc, 0x8e], Ok(142)),                              // as the old one does
        (&[0xce, 0x00, 0x10, 0x00, 0x00], Ok(1_048_576)),
        (&[0xce, 0x00, 0x10, 0x00, 0x01], Err(TooLarge)),
        (&[0xff], Err(OutOfRange)),
        (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Err(OutOfRange)),
        (&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(OutOfRange)),
    ];
    for (encoded, count) in table {
        assert_eq!(nodes(encoded), count, "{encoded:02x?}");
    }
    #[rustfmt::skip]
    let table: [(&[u8], Option<State>); 8] = [
        (&[0], Some(State::Alive)),
        (&[0xd1, 0, 1], Some(State::Suspect)),
        (&[0xcc, 2], Some(State::Dead)),
        (&[3], Some(State::Left)),
        (&[0xc0], Some(State::Alive)),
        (&[4], None),
        (&[0xff], None),
        (&[0xcd, 1, 0], None),
    ];
    for (encoded, expected) in table {
        assert_eq!(state(encoded), Ok(expected), "{encoded:02x?}");
    }
}

#[test]
fn truth_as_a_small_number() {
    #[rustfmt::skip]
    let table: [(&[u8], Result<bool, MessageError>); 7] = [
        (&[0xc2], Ok(false)),
        (&[0xc3], Ok(true)),
        (&[0], Ok(false)),
        (&[1], Ok(true)),
        (&[0xc0], Ok(false)),
        (&[2], Err(MessageError::Malformed)),
        (&[0xa1, 1], Err(MessageError::Malformed)),
    ];
    for (encoded, value) in table {
        assert_eq!(nack_wanted(encoded), value, "{encoded:02x?}");
    }
}

#[test]
fn structs_as_arrays_in_declaration_order() {
    let target = IpAddr::from([127, 0, 0, 1]);
    let ip = Some(target);
    let address = raw(&[127, 0, 0, 1]);
    let source = Source { ip, port: 9, node: b"s" };

    let body = cat!([0x95, 7], raw(b"a"), address, [9], raw(b"s"));
    assert_eq!(ping(&body), Ok(Ping { seq: SequenceNumber(7), node: b"a", source }));
    let body = cat!([0x98, 7], address, [8], raw(b"a"), [0xc3], address, [9], raw(b"s"));
    let expected = IndirectPing { seq: SequenceNumber(7), target, port: 8, node: b"a", nack: true, source };
    assert_eq!(read_indirect_ping(&mut Reader::new(&body)), Ok(expected));
    let body = cat!([0x92, 7], raw(b"pay"));
    let payload = Some(Bytes::from(&b"pay"[..]));
    assert_eq!(read_ack(&mut Reader::new(&body)), Ok(Ack { seq: SequenceNumber(7), payload: payload.clone() }));
    assert_eq!(read_nack(&mut Reader::new(&[0x91, 7])), Ok(Nack { seq: SequenceNumber(7) }));
    assert_eq!(read_error(&mut Reader::new(&cat!([0x91], raw(b"no")))), Ok(&b"no"[..]));
    let body = cat!([0x93, 7], raw(b"a"), raw(b"b"));
    let expected = Accusation { incarnation: Incarnation(7), node: b"a", from: b"b" };
    assert_eq!(read_accusation(&mut Reader::new(&body)), Ok(expected));

    let vsn = raw(&[1, 5, 2, 2, 5, 4]);
    let body = cat!([0x96, 7], raw(b"a"), address, [8], raw(b"pay"), vsn);
    let announced = alive(&body).unwrap();
    assert_eq!((announced.incarnation, announced.node, announced.ip), (Incarnation(7), &b"a"[..], ip));
    assert_eq!((announced.port, &announced.meta), (8, &payload));
    assert_eq!(announced.versions.map(version_bytes), Some([1, 5, 2, 2, 5, 4]));
    let body = cat!([0x97], raw(b"a"), address, [8], raw(b"pay"), [7, 2], vsn);
    let entry = read_entry(&mut Reader::new(&body)).unwrap();
    assert_eq!((entry.incarnation, entry.name, entry.ip), (Incarnation(7), &b"a"[..], ip));
    assert_eq!((entry.port, entry.meta, entry.state), (8, payload, Some(State::Dead)));
    assert_eq!(entry.versions.map(version_bytes), Some([1, 5, 2, 2, 5, 4]));

    let header = read_push_pull_header(&mut Reader::new(&[0x93, 4, 5, 0xc3]));
    assert_eq!(header, Ok(PushPullHeader { join: true, entries: 4, user_state_len: 5 }));
    assert_eq!(read_user_header(&mut Reader::new(&[0x91, 6])), Ok(6));
    let body = cat!([0x92, 0], raw(b"buf"));
    assert_eq!(read_compress(&mut Reader::new(&body)), Ok((0, Bytes::from(&b"buf"[..]))));

    // Shorter arrays leave the rest at zero; what is too much is passed over.
    assert_eq!(ping(&[0x91, 7]).map(|ping| (ping.seq.0, ping.node)), Ok((7, &b""[..])));
    assert_eq!(ping(&[0x90]).map(|ping| ping.seq.0), Ok(0));
    assert_eq!(read_nack(&mut Reader::new(&[0xdc, 0, 3, 7, 0x81, 1, 2, 0xc0])), Ok(Nack { seq: SequenceNumber(7) }));
}

#[test]
fn unknown_keys_are_skipped_whatever_their_value() {
    #[rustfmt::skip]
    let values: [Vec<u8>; 37] = [
        cat!([0x05]), cat!([0xe0]), cat!([0xc0]), cat!([0xc2]), cat!([0xca, 1, 2, 3, 4]),
        cat!([0xcb, 1, 2, 3, 4, 5, 6, 7, 8]), cat!([0xcd, 1, 2]), cat!([0xd3, 1, 2, 3, 4, 5, 6, 7, 8]),
        raw(b"text"), cat!([0xc4, 1, 0]), cat!([0x80]), cat!([0x90]),
        cat!([0x92, 0x81, 0xa1, 1, 0x93, 1, 2, 3, 0xa1, 2]), cat!([0xdf, 0, 0, 0, 1, 1, 0xdd, 0, 0, 0, 1, 2]),
        cat!([0xd4, 1, 2]), cat!([0xd6, 1, 2, 3, 4, 5]), cat!([0xd8], [0; 17]), cat!([0xc7, 2, 1, 2, 3]),
        cat!([0xc8, 0, 1, 1, 2]), cat!([0xc9, 0, 0, 0, 0, 1]),
        cat!([0xc3]), cat!([0xcc, 200]), cat!([0xce, 1, 2, 3, 4]), cat!([0xcf, 1, 2, 3, 4, 5, 6, 7, 8]),
        cat!([0xd0, 200]), cat!([0xd1, 200, 1]), cat!([0xd2, 200, 1, 2, 3]), cat!([0xd5, 1, 2, 3]), cat!([0xd7], [0; 9]),
        cat!([0xc5, 0, 1, 0]), cat!([0xc6, 0, 0, 0, 1, 0]), cat!([0xd9, 1, 0]), cat!([0xda, 0, 1, 0]),
        cat!([0xdb, 0, 0, 0, 1, 0]), cat!([0xdc, 0, 1, 1]), cat!([0xde, 0, 1, 1, 2]), cat!([0xdd, 0, 0, 0, 0]),
    ];
    for value in values {
        let body = cat!([0x83], raw(b"Node"), raw(b"a"), raw(b"Later"), value, raw(b"SeqNo"), [7]);
        let expected = Ping { seq: SequenceNumber(7), node: b"a", source: Source::default() };
        assert_eq!(ping(&body), Ok(expected), "{value:02x?}");
    }
    let body = cat!([0x82], raw(b"seqno"), [9], raw(b"SeqNo"), [7]);
    assert_eq!(ping(&body).map(|ping| ping.seq.0), Ok(7), "keys are case-sensitive");
    assert_eq!(ping(&cat!([0x81], raw(b"Later"), [0xc1])), Err(MessageError::Malformed));
}

#[test]
fn nesting_has_a_limit() {
    for (depth, expected) in [(NESTING_MAX, Ok(7)), (NESTING_MAX + 1, Err(MessageError::TooDeep))] {
        let body = cat!([0x82], raw(b"Later"), vec![0x91; depth], [0], raw(b"SeqNo"), [7]);
        assert_eq!(ping(&body).map(|ping| ping.seq.0), expected, "{depth}");
        // Whoever looks for the end of it understands as much.
        assert_eq!(Skip::default().advance(&body, &mut 0), expected.map(|_| true), "{depth}");
    }
}

#[test]
fn addresses_have_as_many_bytes_as_they_have() {
    let v4 = [127, 0, 0, 1];
    let v6 = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    for (ip, bytes) in [(None, None), (Some(v4.into()), Some(&v4[..])), (Some(v6.into()), Some(&v6))] {
        let octets = Octets::new(ip);
        match (octets.value(), bytes) {
            (Value::Nil, None) => {}
            (Value::Raw(written), Some(bytes)) => assert_eq!(written, bytes),
            (value, _) => panic!("{value:?} for {ip:?}"),
        }
    }
}

#[test]
fn the_last_of_equal_keys_wins() {
    let key = raw(b"SeqNo");
    assert_eq!(ping(&cat!([0x82], key, [1], key, [2])).map(|ping| ping.seq.0), Ok(2));
    assert_eq!(ping(&cat!([0x82], key, [1], key, [0xc0])).map(|ping| ping.seq.0), Ok(0));
}

#[test]
fn what_a_message_may_begin_with() {
    assert_eq!(ping(&[0xc0]).map(|ping| ping.seq.0), Ok(0));
    assert_eq!(ping(&[0x80]).map(|ping| ping.seq.0), Ok(0));
    assert_eq!(ping(&cat!([0xde, 0, 1], raw(b"SeqNo"), [7])).map(|ping| ping.seq.0), Ok(7));
    assert_eq!(ping(&cat!([0xdf, 0, 0, 0, 1], raw(b"SeqNo"), [7])).map(|ping| ping.seq.0), Ok(7));
    assert_eq!(ping(&cat!([0x81], raw(b"SeqNo"), [7], b"trailing")).map(|ping| ping.seq.0), Ok(7));
    for byte in [0x07, 0xa0, 0xc1, 0xc2, 0xc4, 0xcc, 0xd9, 0xe0] {
        assert!(matches!(ping(&[byte]), Err(MessageError::Malformed | MessageError::Truncated)), "{byte:02x}");
        assert!(!begins_message(byte));
    }
    assert_eq!(ping(&[]), Err(MessageError::Truncated));
    assert_eq!(ping(&[0x81]), Err(MessageError::Truncated));
}

#[test]
fn no_address_is_nil() {
    for (ip, written) in [(None, cat!([0xc0])), (Some([127, 0, 0, 1].into()), raw(&[127, 0, 0, 1]))] {
        let alive = Alive { incarnation: Incarnation(1), node: b"a", ip, port: 1, meta: None, versions: None };
        let mut out = Vec::new();
        write_alive(&alive, &mut out);
        let field = cat!(raw(b"Addr"), written);
        assert!(out.windows(field.len()).any(|part| part == field), "{ip:?}: {out:02x?}");
    }
}

#[test]
fn odd_addresses_and_versions() {
    let v6: IpAddr = Ipv6Addr::LOCALHOST.into();
    let mapped: IpAddr = Ipv4Addr::new(127, 0, 0, 1).to_ipv6_mapped().into();
    for (octets, ip) in [
        (&[127, 0, 0, 1][..], Some(IpAddr::from([127, 0, 0, 1]))),
        (&Ipv6Addr::LOCALHOST.octets(), Some(v6)),
        (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], Some(mapped)),
        (&[], None),
        (&[1, 2, 3], None),
        (&[0; 15], None),
        (&[0; 17], None),
    ] {
        assert_eq!(alive(&cat!([0x81], raw(b"Addr"), raw(octets))).unwrap().ip, ip, "{octets:?}");
        assert_eq!(ping(&cat!([0x81], raw(b"SourceAddr"), raw(octets))).unwrap().source.ip, ip, "{octets:?}");
        let target = read_indirect_ping(&mut Reader::new(&cat!([0x81], raw(b"Target"), raw(octets)))).map(|p| p.target);
        assert_eq!(target, ip.ok_or(MessageError::Malformed), "{octets:?}");
    }
    for (len, known) in [(0, false), (5, false), (6, true), (7, true)] {
        let body = cat!([0x81], raw(b"Vsn"), raw(&vec![1; len]));
        let announced = alive(&body).unwrap();
        assert_eq!(announced.versions.is_some(), known, "{len}");
    }
}

#[test]
fn what_is_written() {
    #[rustfmt::skip]
    let table: [(u64, &[u8]); 9] = [
        (0, &[0]), (0x7f, &[0x7f]), (0x80, &[0xcc, 0x80]), (0xff, &[0xcc, 0xff]), (0x100, &[0xcd, 1, 0]),
        (0xffff, &[0xcd, 0xff, 0xff]), (0x1_0000, &[0xce, 0, 1, 0, 0]), (0xffff_ffff, &[0xce, 0xff, 0xff, 0xff, 0xff]),
        (0x1_0000_0000, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
    ];
    for (number, encoded) in table {
        let mut out = Vec::new();
        write_unsigned(number, &mut out);
        assert_eq!(out, encoded, "{number}");
    }
    // No str8: the widths are fixed, 16 and 32 bits.
    for (len, header) in [
        (0, &[0xa0][..]),
        (31, &[0xbf]),
        (32, &[0xda, 0, 32]),
        (255, &[0xda, 0, 255]),
        (65535, &[0xda, 0xff, 0xff]),
        (65536, &[0xdb, 0, 1, 0, 0]),
    ] {
        let out = raw(&vec![7; len]);
        assert_eq!(&out[..header.len()], header);
        assert_eq!(out.len(), header.len() + len);
    }
    for (len, map, array) in [
        (15, &[0x8f][..], &[0x9f][..]),
        (16, &[0xde, 0, 16], &[0xdc, 0, 16]),
        (65536, &[0xdf, 0, 1, 0, 0], &[0xdd, 0, 1, 0, 0]),
    ] {
        let (mut maps, mut arrays) = (Vec::new(), Vec::new());
        write_map_len(len, &mut maps);
        write_array_len(len, &mut arrays);
        assert_eq!((&maps[..], &arrays[..]), (map, array));
    }
}

#[test]
fn every_table_is_sorted_and_its_places_are_whole() {
    let tables: [&[Field]; 11] = [
        &PING,
        &INDIRECT_PING,
        &ACK,
        &NACK,
        &ACCUSATION,
        &ALIVE,
        &PUSH_PULL_HEADER,
        &ENTRY,
        &USER_HEADER,
        &ERROR,
        &COMPRESS,
    ];
    for table in tables {
        assert!(is_sorted_and_whole(table), "{table:?}");
    }
}

/// Sorted by key, as it is written, with each place of the array form taken once.
pub(in crate::wire) fn is_sorted_and_whole(table: &[Field]) -> bool {
    let mut places: Vec<_> = table.iter().map(|field| field.place as usize).collect();
    places.sort_unstable();
    table.is_sorted_by(|a, b| a.key < b.key) && places.into_iter().eq(0..table.len())
}

#[test]
fn sources_are_left_out_when_not_given() {
    let ping = Ping { seq: SequenceNumber(9), node: b"real1", source: Source::default() };
    let mut out = Vec::new();
    Codec::Serf.encode(&Message::Ping(ping), &mut out);
    assert_eq!(out, b"\x00\x82\xa4Node\xa5real1\xa5SeqNo\x09");
    assert_eq!(out[0], kind::PING);
}

/// Any msgpack value at all, so that skipping has something to chew on.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(|number| {
            let mut out = Vec::new();
            write_unsigned(number, &mut out);
            out
        }),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| raw(&bytes)),
        Just(vec![0xc0]),
        Just(vec![0xcb, 1, 2, 3, 4, 5, 6, 7, 8]),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop::collection::vec(inner, 0..8).prop_map(|items| {
            let mut out = Vec::new();
            if items.len() % 2 == 0 {
                write_map_len(items.len() / 2, &mut out);
            } else {
                write_array_len(items.len(), &mut out);
            }
            out.extend(items.into_iter().flatten());
            out
        })
    })
}

proptest! {
    /// However the bytes of a value arrive, its end is found where it is.
    #[test]
    fn skipping_can_be_interrupted(value in value(), behind in prop::collection::vec(any::<u8>(), 0..4)) {
        let all = cat!(value, behind);
        let (mut skip, mut at) = (Skip::default(), 0);
        for len in 0..value.len() {
            prop_assert_eq!(skip.advance(&all[..len], &mut at), Ok(false));
        }
        prop_assert_eq!(skip.advance(&all, &mut at), Ok(true));
        prop_assert_eq!(at, value.len());
    }

    #[test]
    fn unknown_values_change_nothing(value in value()) {
        let body = cat!([0x82], raw(b"Later"), value, raw(b"SeqNo"), [7]);
        prop_assert_eq!(ping(&body).map(|ping| ping.seq.0), Ok(7));
    }
}
