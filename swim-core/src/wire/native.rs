//! The native encoding: bincode with variable-length integers, through serde. The layout is written down in
//! `docs/wire-format.md`; this is the only file that names the crate for the wire.
//!
//! A body evolves by addition: its bounds are known from outside, and bytes after the known fields are ignored.

use alloc::vec::Vec;

use bincode::config::{self, Configuration};
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use serde::{Deserialize, Serialize};

use super::codec::MessageError;
use super::reader::Reader;

/// Little-endian, variable-length integers. A limit is not needed: every type that is read borrows its bytes, so that
/// an announced length is compared with what has arrived and never allocated.
const CONFIG: Configuration = config::standard();

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
