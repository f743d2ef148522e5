use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const BOTH: [Codec; 2] = [Codec::Native, Codec::Serf];

proptest! {
    #[test]
    fn intents_come_back(ltime in any::<u64>(), node in prop::collection::vec(any::<u8>(), 0..60), prune in any::<bool>()) {
        let (leave, join) =
            (Leave { ltime: LamportTime(ltime), node: &node, prune }, Join { ltime: LamportTime(ltime), node: &node });
        for codec in BOTH {
            let mut out = Vec::new();
            codec.encode_serf_leave(&leave, &mut out);
            prop_assert!(matches!(codec.decode_serf(&out), Ok(SerfMessage::Leave(back)) if back == leave));
            out.clear();
            codec.encode_serf_join(&join, &mut out);
            prop_assert!(matches!(codec.decode_serf(&out), Ok(SerfMessage::Join(back)) if back == join));
        }
    }

    /// Whatever arrives is a message, or an error; what borrows from it can be walked through.
    #[test]
    fn any_bytes_are_survived(kind in 0_u8..13, body in prop::collection::vec(any::<u8>(), 0..100)) {
        let bytes: Vec<u8> = [kind].into_iter().chain(body).collect();
        for codec in BOTH {
            survive(codec, &bytes);
        }
    }
}

/// Reads these bytes as everything that they might be.
pub(super) fn survive(codec: Codec, bytes: &[u8]) {
    if let Ok(SerfMessage::Query(query)) = codec.decode_serf(bytes) {
        for filter in query.filters {
            let _ = codec.decode_filter(&filter);
        }
    }
    if let Ok(Filter::Nodes(names)) = codec.decode_filter(bytes) {
        names.for_each(drop);
    }
    if let Ok(Some(member)) = codec.decode_conflict_response(bytes) {
        member.tags.for_each(drop);
    }
    if let Ok(response) = codec.decode_key_response(bytes) {
        response.keys.for_each(drop);
    }
    let _ = codec.decode_key_request(bytes);
    let _ = codec.decode_coordinate(bytes);
}

#[test]
fn examples() {
    let mut out = Vec::new();
    Codec::Serf.encode_serf_leave(&Leave { ltime: LamportTime(4), node: b"d", prune: false }, &mut out);
    assert_eq!(out, b"\x00\x83\xa5LTime\x04\xa4Node\xa1d\xa5Prune\xc2");
    out.clear();
    Codec::Serf.encode_serf_join(&Join { ltime: LamportTime(1), node: b"b" }, &mut out);
    assert_eq!(out, b"\x01\x82\xa5LTime\x01\xa4Node\xa1b");
    let older = Codec::Serf.decode_serf(b"\x00\x82\xa5LTime\x04\xa4Node\xa1d");
    assert!(matches!(older, Ok(SerfMessage::Leave(Leave { prune: false, .. }))));
}

#[test]
fn kinds_that_never_travel_alone() {
    for codec in BOTH {
        for kind in [kind::CONFLICT_RESPONSE, kind::KEY_REQUEST, kind::KEY_RESPONSE] {
            assert!(matches!(codec.decode_serf(&[kind, 0xc0]), Err(MessageError::UnknownKind(_))));
        }
        assert!(matches!(codec.decode_serf(&[77, 0]), Err(MessageError::UnknownKind(77))));
        assert!(matches!(codec.decode_serf(&[]), Err(MessageError::Truncated)));
    }
}

#[test]
fn tables() {
    for table in [&LEAVE[..], &JOIN] {
        assert!(msgpack::tests::is_sorted_and_whole(table), "{table:?}");
    }
}
