use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const BOTH: [Codec; 2] = [Codec::Native, Codec::Serf];

proptest! {
    #[test]
    fn filters_come_back(
        names in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        tag in prop::collection::vec(any::<u8>(), 0..40),
        expr in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for codec in BOTH {
            let mut out = Vec::new();
            codec.encode_node_filter(&names, &mut out);
            let Ok(Filter::Nodes(back)) = codec.decode_filter(&out) else { panic!("{out:02x?}") };
            prop_assert_eq!(back.map(<[u8]>::to_vec).collect::<Vec<_>>(), names.clone());
            out.clear();
            codec.encode_tag_filter(&tag, &expr, &mut out);
            let Ok(Filter::Tag { tag: tag_back, expr: expr_back }) = codec.decode_filter(&out) else {
                panic!("{out:02x?}")
            };
            prop_assert_eq!((tag_back, expr_back), (&tag[..], &expr[..]));
        }
    }
}

/// The examples of Serf's wire.
#[test]
fn examples() {
    let mut out = Vec::new();
    Codec::Serf.encode_node_filter(["b"], &mut out);
    assert_eq!(out, b"\x00\x91\xa1b");
    out.clear();
    Codec::Serf.encode_tag_filter(b"role", b"d.*", &mut out);
    assert_eq!(out, b"\x01\x82\xa4Expr\xa3d.*\xa3Tag\xa4role");
}

#[test]
fn what_is_no_filter() {
    for codec in BOTH {
        assert_eq!(codec.decode_filter(b"").err(), Some(MessageError::Truncated));
        assert_eq!(codec.decode_filter(b"\x02\xc0").err(), Some(MessageError::UnknownKind(2)));
        assert_eq!(codec.decode_filter(b"\x00").err(), Some(MessageError::Truncated));
        assert_eq!(codec.decode_filter(b"\x01").err(), Some(MessageError::Truncated));
    }
    assert_eq!(Codec::Serf.decode_filter(b"\x00\x91\x07").err(), Some(MessageError::Malformed));
    assert_eq!(Codec::Serf.decode_filter(b"\x00\xa1b").err(), Some(MessageError::Malformed));
    assert!(
        matches!(Codec::Serf.decode_filter(b"\x00\xc0"), Ok(Filter::Nodes(names)) if names.clone().next().is_none())
    );
    assert!(matches!(Codec::Serf.decode_filter(b"\x01\x92\xa1t\xa1e"), Ok(Filter::Tag { tag: b"t", expr: b"e" })));
}

#[test]
fn table() {
    assert!(msgpack::tests::is_sorted_and_whole(&TAG_FILTER));
}
