//! The user event: what an application tells everybody.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::kind;
use crate::ids::LamportTime;
use crate::wire::codec::{Codec, MessageError};
use crate::wire::message::Bytes;
use crate::wire::msgpack::{self, Field, Kind, Value, field};
use crate::wire::native;
use crate::wire::reader::Reader;

/// Something that an application tells everybody. See [`Codec::encode_serf_user_event`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvent<'a> {
    /// Of the event clock.
    pub ltime: LamportTime,
    /// What happened.
    #[serde(borrow, with = "serde_bytes")]
    pub name: &'a [u8],
    /// The application's. Nil and empty are told apart.
    #[serde(borrow)]
    pub payload: Option<Bytes<'a>>,
    /// Whether a later event of the same name may stand for this one.
    pub coalesce: bool,
}

impl Codec {
    /// Appends a user event, kind byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::{SerfMessage, UserEvent};
    ///
    /// let event = UserEvent { ltime: LamportTime(7), name: b"deploy", payload: None, coalesce: true };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_serf_user_event(&event, &mut out);
    /// assert!(matches!(Codec::Serf.decode_serf(&out)?, SerfMessage::UserEvent(back) if back == event));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_serf_user_event(self, event: &UserEvent<'_>, out: &mut Vec<u8>) {
        out.push(kind::USER_EVENT);
        match self {
            Self::Native => native::write(event, out),
            Self::Serf => {
                let values = [
                    Value::Bool(event.coalesce),
                    Value::Unsigned(event.ltime.0),
                    Value::Raw(event.name),
                    Value::from(&event.payload),
                ];
                msgpack::write(&USER_EVENT, &values, out);
            }
        }
    }
}

impl<'a> UserEvent<'a> {
    pub(super) fn read(codec: Codec, reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        match codec {
            Codec::Native => native::read(reader),
            Codec::Serf => {
                let [coalesce, ltime, name, payload] = msgpack::read(&USER_EVENT, reader)?;
                Ok(Self {
                    ltime: LamportTime(ltime.unsigned()?),
                    name: name.text(),
                    payload: payload.bytes(),
                    coalesce: coalesce.bool(),
                })
            }
        }
    }
}

const USER_EVENT: [Field; 4] = [
    field("CC", 3, Kind::Bool),
    field("LTime", 0, Kind::Unsigned),
    field("Name", 1, Kind::Text),
    field("Payload", 2, Kind::Bytes),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::serf::SerfMessage;

    proptest! {
        #[test]
        fn events_come_back(
            ltime in any::<u64>(),
            name in prop::collection::vec(any::<u8>(), 0..40),
            payload in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
            coalesce in any::<bool>(),
        ) {
            let payload = payload.as_deref().map(Bytes::from);
            let event = UserEvent { ltime: LamportTime(ltime), name: &name, payload, coalesce };
            for codec in [Codec::Native, Codec::Serf] {
                let mut out = Vec::new();
                codec.encode_serf_user_event(&event, &mut out);
                prop_assert!(matches!(codec.decode_serf(&out), Ok(SerfMessage::UserEvent(back)) if back == event));
            }
        }
    }

    #[test]
    fn odd_forms() {
        let event = |bytes| match Codec::Serf.decode_serf(bytes) {
            Ok(SerfMessage::UserEvent(event)) => event,
            other => panic!("{other:?}"),
        };
        let older = event(b"\x03\x82\xa5LTime\xd0\x07\xa4Name\xd9\x01e");
        assert_eq!(older, UserEvent { ltime: LamportTime(7), name: b"e", payload: None, coalesce: false });
        let array = event(b"\x03\x94\x07\xa1e\xa0\x01");
        let payload = Some(Bytes::default());
        assert_eq!(array, UserEvent { ltime: LamportTime(7), name: b"e", payload, coalesce: true });
    }

    #[test]
    fn table() {
        assert!(msgpack::tests::is_sorted_and_whole(&USER_EVENT));
    }
}
