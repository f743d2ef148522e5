use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const BOTH: [Codec; 2] = [Codec::Native, Codec::Serf];

type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

fn collected(view: MemberView<'_>) -> MemberView<'_, Pairs<'_>> {
    let MemberView { name, ip, port, tags, status, versions } = view;
    MemberView { name, ip, port, tags: tags.collect(), status, versions }
}

proptest! {
    #[test]
    fn members_come_back(
        name in prop::collection::vec(any::<u8>(), 0..40),
        ip in prop::option::of(any::<IpAddr>()),
        (port, status, [a, b, c, d, e, f]) in any::<(u16, u8, [u8; 6])>(),
        tags in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..40)), 0..20),
    ) {
        let tags: Pairs<'_> = tags.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let versions = Versions {
            protocol: VersionRange { min: a, max: b, current: c },
            application: VersionRange { min: d, max: e, current: f },
            features: 0,
        };
        let member = MemberView { name: &name, ip, port, tags, status, versions };
        for codec in BOTH {
            let mut out = Vec::new();
            codec.encode_conflict_response(Some(&member), &mut out);
            let back = codec.decode_conflict_response(&out).map(|back| back.map(collected));
            prop_assert_eq!(back, Ok(Some(member.clone())));
        }
    }
}

#[test]
fn nobody_of_that_name() {
    for (codec, bytes) in BOTH.into_iter().zip([b"\x06\x00", b"\x06\xc0"]) {
        let mut out = Vec::new();
        codec.encode_conflict_response(None::<&MemberView<'_>>, &mut out);
        assert_eq!(out, bytes);
        assert!(matches!(codec.decode_conflict_response(&out), Ok(None)));
        assert_eq!(codec.decode_conflict_response(b"").err(), Some(MessageError::Truncated));
        assert_eq!(codec.decode_conflict_response(b"\x06").err(), Some(MessageError::Truncated));
        assert_eq!(codec.decode_conflict_response(b"\x07\xc0").err(), Some(MessageError::UnknownKind(7)));
    }
}

#[test]
fn odd_forms() {
    let read = |bytes| Codec::Serf.decode_conflict_response(bytes).map(|member| member.map(collected));
    let status = |bytes| read(bytes).map(|member| member.map(|member| member.status));
    assert_eq!(status(b"\x06\x80"), Ok(Some(0)));
    assert_eq!(status(b"\x06\x81\xa6Status\xd0\x04"), Ok(Some(4)));
    // A status from the future does not make it a lesser answer.
    assert_eq!(status(b"\x06\x81\xa6Status\xff"), Ok(Some(255)));
    assert_eq!(status(b"\x06\x81\xa6Status\xcd\x01\x00"), Ok(Some(255)));
    assert_eq!(status(b"\x06\x81\xabProtocolMin\xcd\x01\x00"), Err(MessageError::OutOfRange));
    assert_eq!(status(b"\x06\x81\xa4Tags\x90"), Err(MessageError::Malformed));
    assert_eq!(status(b"\x06\x81\xa4Tags\x81\xa1a\x07"), Err(MessageError::Malformed));
    let tags = read(b"\x06\x81\xa4Tags\x81\xa1a\xc0").map(|member| member.map(|member| member.tags));
    assert_eq!(tags, Ok(Some([(&b"a"[..], &b""[..])].into())));
    let array = read(b"\x06\x9b\xa1n\xc4\x04\x7f\x00\x00\x01\x05\x80\x01\x01\x02\x03\x04\x05\x06");
    let Ok(Some(MemberView { name: b"n", port: 5, status: 1, versions, .. })) = array else { panic!("{array:?}") };
    assert_eq!(versions.protocol, VersionRange { min: 1, max: 2, current: 3 });
    assert_eq!(versions.application, VersionRange { min: 4, max: 5, current: 6 });
}

#[test]
fn table() {
    assert!(msgpack::tests::is_sorted_and_whole(&MEMBER));
}
