use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::serf::SerfMessage;

proptest! {
    #[test]
    fn relays_come_back(
        ip in prop::option::of(any::<IpAddr>()),
        port in any::<u16>(),
        zone in prop::collection::vec(any::<u8>(), 0..40),
        name in prop::collection::vec(any::<u8>(), 0..40),
        inner in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let relay = Relay { destination: Destination { ip, port, zone: &zone }, name: &name, inner: &inner };
        for codec in [Codec::Native, Codec::Serf] {
            let mut out = Vec::new();
            codec.encode_serf_relay(&relay, &mut out);
            prop_assert!(matches!(codec.decode_serf(&out), Ok(SerfMessage::Relay(back)) if back == relay));
        }
    }
}

#[test]
fn ports() {
    #[rustfmt::skip]
    let table: [(&[u8], Result<u16, MessageError>); 6] = [
        (b"\xcd\x1f\x0a",     Ok(7946)), // 0.9.4
        (b"\xd1\x1f\x0a",     Ok(7946)), // newest
        (b"\xd2\x00\x00\xff\xff", Ok(65535)),
        (b"\xc0",             Ok(0)),
        (b"\xff",             Err(MessageError::OutOfRange)),
        (b"\xce\x00\x01\x00\x00", Err(MessageError::OutOfRange)),
    ];
    for (value, expected) in table {
        let bytes = [b"\x09\x81\xa8DestAddr\x81\xa4Port", value, b"inner"].concat();
        let port = match Codec::Serf.decode_serf(&bytes) {
            Ok(SerfMessage::Relay(relay)) => {
                assert_eq!(relay.inner, b"inner");
                Ok(relay.destination.port)
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        };
        assert_eq!(port, expected, "{value:02x?}");
    }
}

#[test]
fn destinations() {
    let destination = |ip: &[u8], port| Destination { ip: fields::ip(Value::Raw(ip)), port, zone: b"eth0" }.address();
    let v4 = SocketAddr::from(([127, 0, 0, 1], 1));
    assert_eq!(destination(&[127, 0, 0, 1], 1), Some(v4));
    assert_eq!(destination(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], 1), Some(v4));
    assert_eq!(destination(&[127, 0, 0, 1], 0), None);
    assert_eq!(destination(&[127, 0, 0, 1, 0], 1), None);
    assert_eq!(destination(&[], 1), None);
}

#[test]
fn tables() {
    for table in [&HEADER[..], &ADDRESS] {
        assert!(msgpack::tests::is_sorted_and_whole(table), "{table:?}");
    }
}
