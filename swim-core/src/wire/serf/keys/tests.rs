use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const BOTH: [Codec; 2] = [Codec::Native, Codec::Serf];

fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..60)
}

proptest! {
    #[test]
    fn keys_come_back(
        result in any::<bool>(),
        message in texts(),
        keys in prop::collection::vec(texts(), 0..20),
        primary in texts(),
    ) {
        let response = KeyResponse { result, message: &message, keys: keys.clone(), primary: &primary };
        for codec in BOTH {
            let mut out = Vec::new();
            codec.encode_key_response(&response, &mut out);
            let KeyResponse { result, message, keys, primary } = codec.decode_key_response(&out).expect("whole");
            let keys = keys.map(<[u8]>::to_vec).collect();
            prop_assert_eq!(KeyResponse { result, message, keys, primary }, response.clone());

            let mut out = Vec::new();
            codec.encode_key_request(response.primary, &mut out);
            let request = codec.decode_key_request(&out).expect("whole");
            prop_assert_eq!(&request.key[..], response.primary);
        }
    }
}

#[test]
fn first_bytes() {
    for codec in BOTH {
        let mut out = Vec::new();
        codec.encode_key_request(b"key", &mut out);
        // Skipped unread, as in the reference.
        out.splice(..1, [99]);
        assert_eq!(codec.decode_key_request(&out).map(|request| request.key.to_vec()), Ok(b"key".to_vec()));
        assert_eq!(codec.decode_key_request(b"").err(), Some(MessageError::Truncated));
        assert_eq!(codec.decode_key_request(b"\x07").err(), Some(MessageError::Truncated));
        assert_eq!(codec.decode_key_response(b"\x07\xc0").err(), Some(MessageError::UnknownKind(7)));
        assert_eq!(codec.decode_key_response(b"").err(), Some(MessageError::Truncated));
    }
}

#[test]
fn odd_forms() {
    let key = |bytes| Codec::Serf.decode_key_request(bytes).map(|request| request.key.to_vec());
    assert_eq!(key(b"\x07\xc0"), Ok(b"".to_vec()));
    assert_eq!(key(b"\x07\x81\xa3Key\xc4\x01k"), Ok(b"k".to_vec()));
    assert_eq!(key(b"\x07\x81\xa3Key\x91\x6b"), Ok(b"k".to_vec()));
    assert_eq!(key(b"\x07\x81\xa3Key\x07"), Err(MessageError::Malformed));

    let older = Codec::Serf.decode_key_response(b"\x08\x83\xa4Keys\x91\xd9\x01k\xa7Message\xa0\xa6Result\x01");
    let KeyResponse { result: true, message: b"", mut keys, primary: b"" } = older.expect("whole") else { panic!() };
    assert_eq!((keys.next(), keys.next()), (Some(&b"k"[..]), None));
    assert_eq!(Codec::Serf.decode_key_response(b"\x08\x81\xa4Keys\x91\x07").err(), Some(MessageError::Malformed));
}

#[test]
fn debug_shows_no_key() {
    let mut out = Vec::new();
    let keys = [&b"SECRET"[..]];
    Codec::Serf.encode_key_response(&KeyResponse { result: true, message: b"", keys, primary: b"SECRET" }, &mut out);
    let response = Codec::Serf.decode_key_response(&out).expect("whole");
    let shown = format!("{response:?} {:?} {:?}", response.keys, KeyRequest { key: Bytes::from(&b"SECRET"[..]) });
    assert_eq!(shown, "KeyResponse { result: true, message: [], .. } Keys { len: 1 } KeyRequest { key_len: 6 }");
}

#[test]
fn tables() {
    for table in [&KEY_REQUEST[..], &KEY_RESPONSE] {
        assert!(msgpack::tests::is_sorted_and_whole(table), "{table:?}");
    }
}
