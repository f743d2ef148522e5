#![expect(clippy::arithmetic_side_effects, reason = "a test may fail")]

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::serf::SerfMessage;

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

proptest! {
    #[test]
    fn messages_come_back(to in bytes(40), from in bytes(40), payload in bytes(400), behind in bytes(4)) {
        let message = DirectMessage { to: &to, from: &from, payload: &payload };
        let mut out = Vec::new();
        message.encode(&mut out);
        let whole = out.len();
        out.extend_from_slice(&behind);
        prop_assert!(matches!(Codec::Native.decode_serf(&out), Ok(SerfMessage::Direct(back)) if back == message));
        for len in 1..whole {
            let cut = out.get(..len).unwrap_or_default();
            prop_assert!(matches!(Codec::Native.decode_serf(cut), Err(MessageError::Truncated)), "{len} of {whole}");
        }
        prop_assert!(matches!(Codec::Serf.decode_serf(&out), Err(MessageError::UnknownKind(kind::DIRECT))));
    }

    /// The longest payload fits, and one byte more does not.
    #[test]
    fn the_longest_payload(to in bytes(300), from in bytes(300), len_max in 0..2000_usize) {
        let empty = DirectMessage { to: &to, from: &from, payload: &[] };
        let len = |payload: usize| {
            let mut out = Vec::new();
            DirectMessage { payload: &vec![7; payload], ..empty }.encode(&mut out);
            out.len()
        };
        match empty.payload_len_max(len_max) {
            Some(longest) => {
                prop_assert!(len(longest) <= len_max, "{longest}");
                prop_assert!(len(longest + 1) > len_max, "{longest} and one more");
            }
            None => prop_assert!(len(0) > len_max),
        }
    }
}

#[test]
fn answers_come_back() {
    use Refusal::{Full, Misaddressed, Other, Stranger, TooLong};
    for refusal in [None, Some(Misaddressed), Some(Stranger), Some(TooLong), Some(Full), Some(Other)] {
        let mut out = Vec::new();
        DirectAnswer { refusal }.encode(&mut out);
        assert!(
            matches!(Codec::Native.decode_serf(&out), Ok(SerfMessage::DirectAnswer(back)) if back.refusal == refusal),
            "{refusal:?}"
        );
        let serf = Codec::Serf.decode_serf(&out);
        assert!(matches!(serf, Err(MessageError::UnknownKind(kind::DIRECT_ANSWER))));
    }
    // One that will be invented later is still a refusal.
    let later = Codec::Native.decode_serf(&[kind::DIRECT_ANSWER, 99]);
    assert!(matches!(later, Ok(SerfMessage::DirectAnswer(DirectAnswer { refusal: Some(Other) }))));
}
