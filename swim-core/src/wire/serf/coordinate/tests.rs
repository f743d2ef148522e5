#![expect(clippy::indexing_slicing, reason = "a test may fail")]

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const BOTH: [Codec; 2] = [Codec::Native, Codec::Serf];

/// Numbers that are none compare as well.
fn bits(coordinate: &WireCoordinate) -> ([u64; DIMENSIONS], [u64; 3]) {
    let WireCoordinate { vec, error, adjustment, height } = coordinate;
    (vec.map(f64::to_bits), [error, adjustment, height].map(|number| number.to_bits()))
}

proptest! {
    #[test]
    fn coordinates_come_back(
        vec in any::<[u64; DIMENSIONS]>(), [error, adjustment, height] in any::<[u64; 3]>(), at in any::<prop::sample::Index>(),
    ) {
        let coordinate = WireCoordinate {
            vec: vec.map(f64::from_bits),
            error: f64::from_bits(error),
            adjustment: f64::from_bits(adjustment),
            height: f64::from_bits(height),
        };
        for (codec, len) in BOTH.into_iter().zip([90, 130]) {
            let mut out = Vec::new();
            codec.encode_coordinate(&coordinate, &mut out);
            prop_assert_eq!(out.len(), len);
            let back = codec.decode_coordinate(&out).map(|back| back.as_ref().map(bits));
            prop_assert_eq!(back, Ok(Some(bits(&coordinate))));
            let cut = &out[..at.index(len).max(1)];
            prop_assert_eq!(codec.decode_coordinate(cut), Err(CoordinateError::Malformed(MessageError::Truncated)));
        }
    }
}

#[test]
fn what_is_no_coordinate() {
    for codec in BOTH {
        assert_eq!(codec.decode_coordinate(b""), Ok(None));
        assert_eq!(codec.decode_coordinate(b"\x02\xc0"), Err(CoordinateError::Version(2)));
    }
    let read = |bytes: &[u8]| Codec::Serf.decode_coordinate(bytes);
    assert_eq!(read(b"\x01\xc0"), Err(CoordinateError::Dimensions(0)));
    assert_eq!(read(b"\x01\x81\xa3Vec\x91\xca\x00\x00\x00\x00"), Err(CoordinateError::Dimensions(1)));
    assert_eq!(read(b"\x01\x81\xa3Vec\x99\x00\x00\x00\x00\x00\x00\x00\x00\x00"), Err(CoordinateError::Dimensions(9)));
    assert_eq!(read(b"\x01\x81\xa3Vec\xa0"), Err(CoordinateError::Malformed(MessageError::Malformed)));
    assert_eq!(read(b"\x01\x81\xa5Error\xa0"), Err(CoordinateError::Malformed(MessageError::Malformed)));
    let seven = [&[1, 7][..], &[0; 7 * 8 + 3 * 8]].concat();
    assert_eq!(Codec::Native.decode_coordinate(&seven), Err(CoordinateError::Dimensions(7)));
}

/// Each number in another of the forms that Go's decoder takes for a float.
#[test]
fn odd_forms() {
    let bytes =
        b"\x01\x94\x98\xca\x3f\xc0\x00\x00\xcb\x3f\xf8\0\0\0\0\0\0\x02\xcc\xff\xc0\0\0\0\x03\xc0\xca\xbf\xc0\x00\x00";
    let expected =
        WireCoordinate { vec: [1.5, 1.5, 2.0, 255.0, 0.0, 0.0, 0.0, 0.0], error: 3.0, adjustment: 0.0, height: -1.5 };
    assert_eq!(Codec::Serf.decode_coordinate(bytes), Ok(Some(expected)));
}

#[test]
fn table() {
    assert!(msgpack::tests::is_sorted_and_whole(&COORDINATE));
}
