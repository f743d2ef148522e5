//! The native encoding: bincode with variable-length integers, through serde. The layout is written down in
//! `docs/wire-format.md`; this is the only file that names the crate for the wire. The three messages that most traffic
//! consists of are read by hand, to the same values.
//!
//! A body evolves by addition: its bounds are known from outside, and bytes after the known fields are ignored.

use alloc::vec::Vec;
use core::net::IpAddr;

use bincode::config::{self, Configuration};
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use serde::{Deserialize, Serialize};

use super::codec::MessageError;
use super::message::{Accusation, Alive, Bytes, Entry, State, kind};
use super::reader::Reader;
use crate::ids::Incarnation;
use crate::versions::{VersionRange, Versions};

/// Little-endian, variable-length integers. A limit is not needed: every type that is read borrows its bytes, so that
/// an announced length is compared with what has arrived and never allocated.
const CONFIG: Configuration = config::standard();

// How bincode begins a number of variable length.
const NUMBER_OF_ONE_BYTE_MAX: u8 = 250;
const NUMBER_OF_TWO_BYTES: u8 = 251;
const NUMBER_OF_FOUR_BYTES: u8 = 252;

/// Reads one value and nothing behind it.
pub(super) fn read<'a, T: Deserialize<'a>>(reader: &mut Reader<'a>) -> Result<T, MessageError> {
    let (value, len) = bincode::serde::borrow_decode_from_slice(reader.rest(), CONFIG).map_err(|error| {
        if matches!(error, DecodeError::UnexpectedEnd { .. }) {
            MessageError::Truncated
        } else {
            MessageError::Malformed
        }
    })?;
    reader.take(len)?;
    Ok(value)
}

/// As [`read`]. Most of what arrives are these three, so what serde would read is read without its visitors, and serde
/// sees only what this does not understand.
pub(super) fn read_alive<'a>(reader: &mut Reader<'a>) -> Result<Alive<'a>, MessageError> {
    read_by_hand(reader, alive)
}

/// As [`read_alive`].
pub(super) fn read_accusation<'a>(reader: &mut Reader<'a>) -> Result<Accusation<'a>, MessageError> {
    read_by_hand(reader, accusation)
}

/// As [`read_alive`].
pub(super) fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<Entry<'a>, MessageError> {
    read_by_hand(reader, entry)
}

/// Whom a message of a datagram is about, and as of when, if it begins as one about a member. Whether the rest is good is not
/// looked at.
pub(super) fn peek_subject(kind: u8, body: &[u8]) -> Option<(Incarnation, &[u8])> {
    let reader = &mut Reader::new(body);
    match kind {
        kind::ALIVE | kind::SUSPECT | kind::DEAD => {
            let incarnation = varint_u32(reader)?;
            Some((Incarnation(incarnation), bytes(reader)?))
        }
        _ => None,
    }
}

fn read_by_hand<'a, T: Deserialize<'a>>(
    reader: &mut Reader<'a>,
    by_hand: impl Fn(&mut Reader<'a>) -> Option<T>,
) -> Result<T, MessageError> {
    let mut ahead = *reader;
    match by_hand(&mut ahead) {
        Some(value) => {
            *reader = ahead;
            Ok(value)
        }
        None => read(reader),
    }
}

fn alive<'a>(reader: &mut Reader<'a>) -> Option<Alive<'a>> {
    Some(Alive {
        incarnation: Incarnation(varint_u32(reader)?),
        node: bytes(reader)?,
        ip: option(reader, ip)?,
        port: varint_u16(reader)?,
        meta: option(reader, bytes)?.map(Bytes::from),
        versions: option(reader, versions)?,
    })
}

fn accusation<'a>(reader: &mut Reader<'a>) -> Option<Accusation<'a>> {
    Some(Accusation { incarnation: Incarnation(varint_u32(reader)?), node: bytes(reader)?, from: bytes(reader)? })
}

fn entry<'a>(reader: &mut Reader<'a>) -> Option<Entry<'a>> {
    Some(Entry {
        name: bytes(reader)?,
        ip: option(reader, ip)?,
        port: varint_u16(reader)?,
        meta: option(reader, bytes)?.map(Bytes::from),
        incarnation: Incarnation(varint_u32(reader)?),
        state: State::from_number(reader.u8().ok()?),
        versions: option(reader, versions)?,
    })
}

fn versions(reader: &mut Reader<'_>) -> Option<Versions> {
    Some(Versions {
        protocol: version_range(reader)?,
        application: version_range(reader)?,
        features: varint_u32(reader)?,
    })
}

fn version_range(reader: &mut Reader<'_>) -> Option<VersionRange> {
    let [min, max, current] = reader.array().ok()?;
    Some(VersionRange { min, max, current })
}

fn ip(reader: &mut Reader<'_>) -> Option<IpAddr> {
    match reader.u8().ok()? {
        0 => Some(IpAddr::from(reader.array::<4>().ok()?)),
        1 => Some(IpAddr::from(reader.array::<16>().ok()?)),
        _ => None,
    }
}

fn option<'a, T>(reader: &mut Reader<'a>, some: impl Fn(&mut Reader<'a>) -> Option<T>) -> Option<Option<T>> {
    match reader.u8().ok()? {
        0 => Some(None),
        1 => some(reader).map(Some),
        _ => None,
    }
}

fn bytes<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = varint_u16(reader)?;
    reader.take(len.into()).ok()
}

fn varint_u16(reader: &mut Reader<'_>) -> Option<u16> {
    match reader.u8().ok()? {
        number @ ..=NUMBER_OF_ONE_BYTE_MAX => Some(number.into()),
        NUMBER_OF_TWO_BYTES => Some(u16::from_le_bytes(reader.array().ok()?)),
        _ => None,
    }
}

fn varint_u32(reader: &mut Reader<'_>) -> Option<u32> {
    match reader.u8().ok()? {
        number @ ..=NUMBER_OF_ONE_BYTE_MAX => Some(number.into()),
        NUMBER_OF_TWO_BYTES => Some(u16::from_le_bytes(reader.array().ok()?).into()),
        NUMBER_OF_FOUR_BYTES => reader.u32_le().ok(),
        _ => None,
    }
}

/// Appends one value.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_writer(value, Append(out), CONFIG)
        .expect("a vector takes everything, and messages hold nothing that serde cannot describe");
}

/// As [`write`], behind the length of what is written.
pub(super) fn write_prefixed<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    let body = out.len();
    write(value, out);
    let len = u32::try_from(out.len().saturating_sub(body)).expect("nothing of 4 GiB is ever sent");
    if let Some(prefix) = out.get_mut(start..body) {
        prefix.copy_from_slice(&len.to_le_bytes());
    }
}

/// The bytes behind a length.
pub(super) fn read_prefixed<'a>(reader: &mut Reader<'a>) -> Result<Reader<'a>, MessageError> {
    let len = usize::try_from(reader.u32_le()?).map_err(|_| MessageError::TooLarge)?;
    Ok(Reader::new(reader.take(len)?))
}

/// Of the length in front of each body in a stream, `u32` little-endian.
pub(super) const PREFIX_LEN: usize = 4;

struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        match bytes {
            // Most writes: a small number, a length or a tag. Copying a slice of any length is a call.
            [byte] => self.0.push(*byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Debug;

    use proptest::prelude::*;

    use super::*;

    /// By hand and by serde the same comes out of `body`, and the same is left behind it.
    fn same<'a, T: Deserialize<'a> + PartialEq + Debug>(
        body: &'a [u8],
        by_hand: impl Fn(&mut Reader<'a>) -> Option<T>,
    ) -> Result<bool, TestCaseError> {
        let (mut ours, mut serdes) = (Reader::new(body), Reader::new(body));
        let Some(value) = by_hand(&mut ours) else { return Ok(false) };
        prop_assert_eq!(Ok(value), read(&mut serdes));
        prop_assert_eq!(ours.rest(), serdes.rest());
        Ok(true)
    }

    fn all_the_same(body: &[u8]) -> Result<[bool; 3], TestCaseError> {
        Ok([same(body, alive)?, same(body, accusation)?, same(body, entry)?])
    }

    fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        write(value, &mut out);
        out
    }

    prop_compose! {
        fn any_versions()(bytes in any::<[u8; 6]>(), features in any::<u32>()) -> Versions {
            let [a, b, c, d, e, f] = bytes;
            let [protocol, application] = [[a, b, c], [d, e, f]].map(|[min, max, current]| VersionRange { min, max, current });
            Versions { protocol, application, features }
        }
    }

    proptest! {
        /// Whatever is written is read by hand, and as serde reads it; so is what is left of it when a byte changes.
        #[test]
        fn by_hand_as_by_serde(
            incarnation in prop_oneof![0..400u32, any::<u32>()],
            (name, from) in (prop::collection::vec(any::<u8>(), 0..300), prop::collection::vec(any::<u8>(), 0..30)),
            (ip, port) in (any::<Option<IpAddr>>(), any::<u16>()),
            meta in prop::option::of(prop::collection::vec(any::<u8>(), 0..600)),
            versions in prop::option::of(any_versions()),
            state in prop::option::of((0..4u8).prop_map(|number| State::from_number(number).unwrap())),
            (at, byte) in (any::<prop::sample::Index>(), any::<u8>()),
        ) {
            let (incarnation, node) = (Incarnation(incarnation), &*name);
            let meta = meta.as_deref().map(Bytes::from);
            let message = Alive { incarnation, node, ip, port, meta: meta.clone(), versions };
            let mut alive = encoded(&message);
            let mut accusation = encoded(&Accusation { incarnation, node, from: &from });
            let mut entry = encoded(&Entry { name: node, ip, port, meta, incarnation, state, versions });
            prop_assert!(all_the_same(&alive)?[0]);
            prop_assert!(all_the_same(&accusation)?[1]);
            prop_assert!(all_the_same(&entry)?[2]);
            for (kind, body) in [(kind::ALIVE, &alive), (kind::SUSPECT, &accusation), (kind::DEAD, &accusation)] {
                prop_assert_eq!(peek_subject(kind, body), Some((incarnation, node)));
            }
            for body in [&mut alive, &mut accusation, &mut entry] {
                let at = at.index(body.len());
                let (before, [changed, ..]) = body.split_at_mut(at) else { unreachable!("the index lies in it") };
                *changed = byte;
                all_the_same(before)?;
                all_the_same(body)?;
            }
        }

        #[test]
        fn anything_by_hand_as_by_serde(body in prop::collection::vec(prop_oneof![0..3u8, 248..=255u8, any::<u8>()], 0..60)) {
            all_the_same(&body)?;
            if let Ok(message) = read::<Alive<'_>>(&mut Reader::new(&body)) {
                prop_assert!(peek_subject(kind::ALIVE, &body).is_none_or(|subject| subject == (message.incarnation, message.node)));
            }
            if let Ok(message) = read::<Accusation<'_>>(&mut Reader::new(&body)) {
                prop_assert!(peek_subject(kind::DEAD, &body).is_none_or(|subject| subject == (message.incarnation, message.node)));
            }
            for kind in (0..=u8::MAX).filter(|kind| ![kind::ALIVE, kind::SUSPECT, kind::DEAD].contains(kind)) {
                prop_assert_eq!(peek_subject(kind, &body), None);
            }
        }
    }

    /// Numbers that are written longer than they need be, and what no writer writes.
    #[test]
    fn unusual_forms() {
        let by_hand = |body: &[u8]| all_the_same(body).unwrap()[0];
        let good = |body: &[u8]| read_alive(&mut Reader::new(body)).is_ok();
        // Incarnation, name, IP, port, metadata, versions.
        let usual = b"\x01\x01b\x01\x00\x0a\x00\x00\x01\x07\x00\x00";
        assert!(by_hand(usual) && good(usual));
        for (what, body, hand, either) in [
            ("a number of two bytes", &b"\xfb\x01\x00\x01b\x00\x07\x00\x00"[..], true, true),
            ("of four", b"\xfc\x01\x00\x00\x00\x01b\x00\x07\x00\x00", true, true),
            (
                "of eight, which is too large",
                b"\xfd\x01\x00\x00\x00\x00\x00\x00\x00\x01b\x00\x07\x00\x00",
                false,
                false,
            ),
            ("a length of two bytes", b"\x01\xfb\x01\x00b\x00\x07\x00\x00", true, true),
            ("of four", b"\x01\xfc\x01\x00\x00\x00b\x00\x07\x00\x00", false, true),
            ("of eight", b"\x01\xfd\x01\x00\x00\x00\x00\x00\x00\x00b\x00\x07\x00\x00", false, true),
            (
                "an IP address's kind of two bytes",
                b"\x01\x01b\x01\xfb\x00\x00\x0a\x00\x00\x01\x07\x00\x00",
                false,
                true,
            ),
            ("a third kind", b"\x01\x01b\x01\x02\x0a\x00\x00\x01\x07\x00\x00", false, false),
            ("neither there nor not", b"\x01\x01b\x02\x00\x0a\x00\x00\x01\x07\x00\x00", false, false),
            ("a port of four bytes", b"\x01\x01b\x00\xfc\x07\x00\x00\x00\x00\x00", false, false),
        ] {
            assert_eq!((by_hand(body), good(body)), (hand, either), "{what}");
        }
    }
}
