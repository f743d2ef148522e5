#![expect(clippy::indexing_slicing, reason = "a test may fail")]

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::serf::SerfMessage;

const BOTH: [Codec; 2] = [Codec::Native, Codec::Serf];

type OwnedSlot = Option<(u64, Vec<(Vec<u8>, Option<Vec<u8>>)>)>;

#[derive(Clone, Debug)]
struct OwnedState {
    clocks: Clocks,
    statuses: Vec<(Vec<u8>, u64)>,
    left: Vec<Vec<u8>>,
    slots: Vec<OwnedSlot>,
}

impl OwnedState {
    fn encode(&self, codec: Codec) -> Vec<u8> {
        let mut out = Vec::new();
        codec.encode_serf_push_pull(
            &self.clocks,
            self.statuses.iter().map(|(name, ltime)| (&name[..], LamportTime(*ltime))),
            self.left.iter().map(|name| &name[..]),
            self.slots.iter().map(|slot| {
                slot.as_ref().map(|(ltime, events)| {
                    let events = events.iter().map(|(name, payload)| (&name[..], payload.as_deref()));
                    (LamportTime(*ltime), events)
                })
            }),
            &mut out,
        );
        out
    }

    fn of(state: &PushPullState<'_>) -> Self {
        let events = |slot: EventSlot<'_>| {
            slot.events.map(|event| (event.name.to_vec(), event.payload.map(|payload| payload.to_vec()))).collect()
        };
        Self {
            clocks: state.clocks,
            statuses: state.statuses.clone().map(|(name, ltime)| (name.to_vec(), ltime.0)).collect(),
            left: state.left.clone().map(<[u8]>::to_vec).collect(),
            slots: state.events.clone().map(|slot| Some((slot.ltime.0, events(slot)))).collect(),
        }
    }
}

fn state() -> impl Strategy<Value = OwnedState> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let events = prop::collection::vec((bytes(), prop::option::of(bytes())), 0..20);
    (
        any::<(u64, u64, u64)>(),
        prop::collection::vec((bytes(), any::<u64>()), 0..20),
        prop::collection::vec(bytes(), 0..20),
        prop::collection::vec(prop::option::of((any::<u64>(), events)), 0..20),
    )
        .prop_map(|((member, event, query), statuses, left, slots)| OwnedState {
            clocks: Clocks { member: LamportTime(member), event: LamportTime(event), query: LamportTime(query) },
            statuses,
            left,
            slots,
        })
}

fn decode_state(codec: Codec, bytes: &[u8]) -> PushPullState<'_> {
    match codec.decode_serf(bytes) {
        Ok(SerfMessage::PushPull(state)) => state,
        other => panic!("{other:?}"),
    }
}

/// Names may be empty, so that no length bounds how many there are.
#[test]
fn lists_are_bounded() {
    let max = PUSH_PULL_ENTRIES_MAX as usize;
    let clocks = Clocks { member: LamportTime(1), event: LamportTime(1), query: LamportTime(1) };
    let statuses = |count| (vec![(Vec::new(), 0); count], Vec::new(), Vec::new());
    let left = |count| (Vec::new(), vec![Vec::new(); count], Vec::new());
    // Each slot counts, too.
    let events = |count| (Vec::new(), Vec::new(), vec![Some((1, vec![(Vec::new(), None); count - 1]))]);
    let slots = |count| (Vec::new(), Vec::new(), vec![Some((1, Vec::new())); count]);
    for codec in BOTH {
        for lists in [statuses, left, events, slots] as [fn(usize) -> _; 4] {
            for (count, taken) in [(max, true), (max + 1, false)] {
                let (statuses, left, slots) = lists(count);
                let bytes = OwnedState { clocks, statuses, left, slots }.encode(codec);
                let read = codec.decode_serf(&bytes).map(|_| ());
                assert_eq!(read, if taken { Ok(()) } else { Err(MessageError::TooLarge) }, "{codec:?} {count}");
            }
        }
    }
}

proptest! {
    #[test]
    fn states_come_back(state in state(), behind in prop::collection::vec(any::<u8>(), 0..4)) {
        for codec in BOTH {
            let mut out = state.encode(codec);
            out.extend_from_slice(&behind);
            let back = OwnedState::of(&decode_state(codec, &out));
            prop_assert_eq!(back.clocks, state.clocks);
            prop_assert_eq!(back.statuses, state.statuses.clone());
            prop_assert_eq!(back.left, state.left.clone());
            let occupied: Vec<_> = state.slots.iter().filter(|slot| slot.is_some()).cloned().collect();
            prop_assert_eq!(back.slots, occupied);
        }
    }

    /// What decodes is whole: walking through it never ends early, so a cut state never decodes.
    #[test]
    fn cut_states_fail(state in state(), at in any::<prop::sample::Index>()) {
        for codec in BOTH {
            let out = state.encode(codec);
            let cut = at.index(out.len());
            prop_assert!(codec.decode_serf(&out[..cut]).is_err());
        }
    }

    #[test]
    fn damage_is_survived(state in state(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for codec in BOTH {
            let mut out = state.encode(codec);
            let at = at.index(out.len());
            out[at] = byte;
            if let Ok(SerfMessage::PushPull(state)) = codec.decode_serf(&out) {
                OwnedState::of(&state);
            }
        }
    }
}

#[test]
fn odd_forms_of_a_state() {
    // Nil lists, and everything as arrays.
    let nils = decode_state(Codec::Serf, b"\x02\x83\xa6Events\xc0\xabLeftMembers\xc0\xacStatusLTimes\xc0");
    assert_eq!((nils.statuses.count(), nils.left.count(), nils.events.count()), (0, 0, 0));
    let bytes = b"\x02\x96\x07\x81\xa1a\x03\x91\xa1a\x08\x92\xc0\x92\x05\x91\x92\xa1e\xc0\x09";
    let state = OwnedState::of(&decode_state(Codec::Serf, bytes));
    let clocks = Clocks { member: LamportTime(7), event: LamportTime(8), query: LamportTime(9) };
    assert_eq!(state.clocks, clocks);
    assert_eq!(state.statuses, [(b"a".to_vec(), 3)]);
    assert_eq!(state.left, [b"a".to_vec()]);
    assert_eq!(state.slots, [Some((5, vec![(b"e".to_vec(), None)]))]);
    // Lists of the wrong kind, or with wrong things in them.
    for bytes in [
        &b"\x02\x81\xa6Events\x80"[..],
        b"\x02\x81\xa6Events\x91\x07",
        b"\x02\x81\xabLeftMembers\x91\x07",
        b"\x02\x81\xacStatusLTimes\x90",
        b"\x02\x81\xacStatusLTimes\x81\xa1a\xa1a",
        b"\x02\x81\xa6Events\x91\x81\xa6Events\x91\x07",
    ] {
        assert!(matches!(Codec::Serf.decode_serf(bytes), Err(MessageError::Malformed)), "{bytes:02x?}");
    }
}

#[test]
fn tables() {
    for table in [&PUSH_PULL[..], &EVENT_SLOT, &EVENT] {
        assert!(msgpack::tests::is_sorted_and_whole(table), "{table:?}");
    }
}
