#![expect(clippy::indexing_slicing, reason = "a test may fail")]

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::serf::{SerfMessage, tests::survive};

const BOTH: [Codec; 2] = [Codec::Native, Codec::Serf];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

prop_compose! {
    fn ips()(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), which in 0..4) -> Option<IpAddr> {
        match which {
            0 => None,
            1 => Some(IpAddr::from(v4)),
            2 => Some(IpAddr::V6(core::net::Ipv4Addr::from(v4).to_ipv6_mapped())),
            _ => Some(IpAddr::from(v6)),
        }
    }
}

/// A query and what it borrows.
#[derive(Clone, Debug)]
struct Owned {
    numbers: (u64, u32, u16, u32, u8, i64),
    ip: Option<IpAddr>,
    source_node: Vec<u8>,
    filters: Vec<Vec<u8>>,
    name: Vec<u8>,
    payload: Option<Vec<u8>>,
}

impl Owned {
    fn query(&self) -> Query<'_, &[Vec<u8>]> {
        let (ltime, id, port, flags, relay_factor, timeout) = self.numbers;
        Query {
            ltime: LamportTime(ltime),
            id,
            ip: self.ip,
            port,
            source_node: &self.source_node,
            filters: &self.filters,
            flags,
            relay_factor,
            timeout,
            name: &self.name,
            payload: self.payload.as_deref().map(Bytes::from),
        }
    }
}

prop_compose! {
    fn queries()(
        numbers in any::<(u64, u32, u16, u32, u8, i64)>(),
        ip in ips(),
        source_node in bytes(),
        filters in prop::collection::vec(bytes(), 0..20),
        name in bytes(),
        payload in prop::option::of(bytes()),
    ) -> Owned {
        Owned { numbers, ip, source_node, filters, name, payload }
    }
}

/// What can be compared: the filters as they are read.
fn collected(query: Query<'_>) -> Query<'_, Vec<Vec<u8>>> {
    let Query { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload } = query;
    let filters = filters.map(Cow::into_owned).collect();
    Query { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload }
}

fn decode(codec: Codec, bytes: &[u8]) -> Query<'_> {
    match codec.decode_serf(bytes) {
        Ok(SerfMessage::Query(query)) => query,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn queries_come_back(owned in queries(), behind in bytes()) {
        let query = owned.query();
        for codec in BOTH {
            let mut out = Vec::new();
            codec.encode_serf_query(&query, &mut out);
            let whole = out.len();
            out.extend_from_slice(&behind);
            let back = decode(codec, &out);
            let mut again = Vec::new();
            codec.encode_serf_query(&back, &mut again);
            prop_assert_eq!(&again, &out[..whole]);
            let Query { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload } =
                query.clone();
            let filters = filters.to_vec();
            let expected = Query { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload };
            prop_assert_eq!(collected(back), expected);
        }
    }

    #[test]
    fn responses_come_back(
        (ltime, id, flags) in any::<(u64, u32, u32)>(), from in bytes(), payload in prop::option::of(bytes()),
    ) {
        let payload = payload.as_deref().map(Bytes::from);
        let response = QueryResponse { ltime: LamportTime(ltime), id, from: &from, flags, payload };
        for codec in BOTH {
            let mut out = Vec::new();
            codec.encode_serf_query_response(&response, &mut out);
            prop_assert!(matches!(codec.decode_serf(&out), Ok(SerfMessage::QueryResponse(back)) if back == response));
        }
    }

    #[test]
    fn damage_is_survived(owned in queries(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for codec in BOTH {
            let mut out = Vec::new();
            codec.encode_serf_query(&owned.query(), &mut out);
            let at = at.index(out.len());
            prop_assert!(codec.decode_serf(&out[..at]).is_err());
            out[at] = byte;
            survive(codec, &out);
        }
    }
}

/// One field of a query, as it may stand on the wire, and what becomes of it.
fn with(field: &[u8]) -> Vec<u8> {
    [&[kind::QUERY, 0x81], field].concat()
}

#[test]
fn timeouts() {
    #[rustfmt::skip]
    let table: [(&[u8], Result<i64, MessageError>); 9] = [
        (b"\xce\x77\x35\x94\x00",                 Ok(2_000_000_000)), // 0.9.4
        (b"\xd2\x77\x35\x94\x00",                 Ok(2_000_000_000)), // newest
        (b"\xd3\x00\x00\x00\x00\x77\x35\x94\x00", Ok(2_000_000_000)),
        (b"\xff",                                 Ok(-1)),
        (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Ok(i64::MIN)),
        (b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", Ok(i64::MAX)),
        (b"\xc0",                                 Ok(0)),
        (b"\xcf\x80\x00\x00\x00\x00\x00\x00\x00", Err(MessageError::OutOfRange)),
        (b"\xa1\x00",                             Err(MessageError::Malformed)),
    ];
    for (value, expected) in table {
        let bytes = with(&[b"\xa7Timeout", value].concat());
        let timeout = match Codec::Serf.decode_serf(&bytes) {
            Ok(SerfMessage::Query(query)) => Ok(query.timeout),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        };
        assert_eq!(timeout, expected, "{value:02x?}");
    }
}

#[test]
fn filters() {
    type Expected = Result<&'static [&'static [u8]], MessageError>;
    #[rustfmt::skip]
    let table: [(&[u8], Expected); 9] = [
        (b"\xc0",                     Ok(&[])),
        (b"\x90",                     Ok(&[])),
        (b"\x92\xa1a\xa0",            Ok(&[b"a", b""])),
        (b"\x93\xc4\x01a\xd9\x01b\xc0", Ok(&[b"a", b"b", b""])),
        (b"\x91\x92\x61\xcc\xff",     Ok(&[b"a\xff"])), // bytes as an array of integers
        (b"\x91\x91\xcd\x01\x00",     Err(MessageError::OutOfRange)),
        (b"\x91\x07",                 Err(MessageError::Malformed)),
        (b"\x80",                     Err(MessageError::Malformed)),
        (b"\x92\xa1a",                Err(MessageError::Truncated)),
    ];
    for (value, expected) in table {
        let bytes = with(&[b"\xa7Filters", value].concat());
        let filters = match Codec::Serf.decode_serf(&bytes) {
            Ok(SerfMessage::Query(query)) => Ok(collected(query).filters),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        };
        assert_eq!(filters, expected.map(|list| list.iter().map(|filter| filter.to_vec()).collect()), "{value:02x?}");
    }
}

/// From older senders, and from none that is known.
#[test]
fn odd_forms() {
    let empty = decode(Codec::Serf, &[kind::QUERY, 0xc0]);
    assert_eq!((empty.relay_factor, empty.source_node, empty.address()), (0, &b""[..], None));
    assert!(!empty.wants_ack() && empty.may_spread());

    let array = b"\x04\x9b\x01\x02\xc4\x04\x7f\x00\x00\x01\xcd\x1f\x0a\xa1a\xc0\x03\x04\x05\xa1n\xa1p";
    let query = decode(Codec::Serf, array);
    assert_eq!((query.ltime, query.id, query.relay_factor, query.timeout), (LamportTime(1), 2, 4, 5));
    assert_eq!((query.source_node, query.name, query.payload.as_deref()), (&b"a"[..], &b"n"[..], Some(&b"p"[..])));
    assert_eq!(query.address(), Some(SocketAddr::from(([127, 0, 0, 1], 7946))));
    assert!(query.wants_ack() && !query.may_spread());

    for field in [&b"\xa5Flags\xff"[..], b"\xa2ID\xcf\x00\x00\x00\x01\x00\x00\x00\x00", b"\xabRelayFactor\xcd\x01\x00"]
    {
        assert!(matches!(Codec::Serf.decode_serf(&with(field)), Err(MessageError::OutOfRange)), "{field:02x?}");
    }
}

#[test]
fn tables() {
    for table in [&QUERY[..], &QUERY_RESPONSE] {
        assert!(msgpack::tests::is_sorted_and_whole(table), "{table:?}");
    }
}
