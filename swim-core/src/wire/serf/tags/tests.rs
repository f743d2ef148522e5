#![expect(clippy::arithmetic_side_effects, reason = "a test may fail")]

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn tags_come_back(
        tags in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..40)), 0..20),
    ) {
        let mut out = Vec::new();
        encode_tags(tags.iter().map(|(key, value)| (&key[..], &value[..])), &mut out);
        let back: Result<Vec<_>, _> = decode_tags(&out).map(|tag| tag.map(|(k, v)| (k.to_vec(), v.to_vec()))).collect();
        prop_assert_eq!(back, Ok(tags));
    }

    #[test]
    fn any_metadata_is_survived(meta in prop::collection::vec(any::<u8>(), 0..100)) {
        let tagged: Vec<u8> = [TAGS].into_iter().chain(meta.iter().copied()).collect();
        prop_assert!(decode_tags(&meta).count() <= meta.len() + 1);
        prop_assert!(decode_tags(&tagged).count() <= meta.len() + 1);
    }
}

#[test]
fn metadata_that_is_not_tags() {
    let role = |meta| decode_tags(meta).collect::<Vec<_>>();
    assert_eq!(role(b"web"), [Ok((&b"role"[..], &b"web"[..]))]);
    assert_eq!(role(b""), [Ok((&b"role"[..], &b""[..]))]);
    assert_eq!(role(b"\xff\x80"), []);
    assert_eq!(role(b"\xff\xc0"), []);
    assert_eq!(role(b"\xff\x81\xa1a\xc0"), [Ok((&b"a"[..], &b""[..]))]);
    assert_eq!(role(b"\xff"), [Err(MessageError::Truncated)]);
    assert_eq!(role(b"\xff\x90"), [Err(MessageError::Malformed)]);
    assert_eq!(role(b"\xff\x82\xa1a\xa1b\xa1c"), [Ok((&b"a"[..], &b"b"[..])), Err(MessageError::Truncated)]);
}
