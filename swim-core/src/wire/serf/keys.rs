//! What members say about their keyrings: the payloads of the key queries and of their answers.
//!
//! Keys are secret, so nothing here shows one in its `Debug`.

use alloc::vec::Vec;
use core::fmt;

use super::kind;
use super::list::{self, List, read_text};
use crate::wire::codec::{Codec, MessageError};
use crate::wire::message::Bytes;
use crate::wire::msgpack::{self, Field, Kind, Value, field};
use crate::wire::native;
use crate::wire::reader::Reader;

/// What to install, to use or to remove. See [`Codec::encode_key_request`].
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRequest<'a> {
    /// The key as it is; empty where keys are to be listed. Any length: the keyring checks it.
    pub key: Bytes<'a>,
}

/// What came of a key query at one member. See [`Codec::encode_key_response`].
///
/// `K` are the keys: what was decoded has [`Keys`], what is to be encoded may have anything that yields texts.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyResponse<'a, K = Keys<'a>> {
    /// Whether it was done.
    pub result: bool,
    /// Why not, or a warning; empty for none.
    pub message: &'a [u8],
    /// All keys in base64, in the order of the ring; only where they were to be listed.
    pub keys: K,
    /// The primary key in base64, likewise. Older senders never say it.
    pub primary: &'a [u8],
}

/// The keys of a [`KeyResponse`], each in base64. See [`Codec::encode_key_response`].
#[derive(Clone)]
pub struct Keys<'a>(List<'a>);

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_text)?.ok()
    }
}

impl Codec {
    /// Reads the payload of a key query. Its first byte is the kind, which the reference does not look at either.
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`], but for the kind.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    ///
    /// let request = Codec::Serf.decode_key_request(b"\x07\x81\xa3Key\xa4\x01\x02\x03\x04")?;
    /// assert_eq!(*request.key, [1, 2, 3, 4]);
    /// assert_eq!(format!("{request:?}"), "KeyRequest { key_len: 4 }"); // a secret
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode_key_request(self, payload: &[u8]) -> Result<KeyRequest<'_>, MessageError> {
        let reader = &mut Reader::new(payload);
        reader.u8()?;
        let key = match self {
            Self::Native => native::read(reader)?,
            Self::Serf => {
                let [key] = msgpack::read(&KEY_REQUEST, reader)?;
                key.bytes().unwrap_or_default()
            }
        };
        Ok(KeyRequest { key })
    }

    /// Appends the payload of a key query, kind byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    ///
    /// let mut out = Vec::new();
    /// Codec::Native.encode_key_request(&[7; 32], &mut out);
    /// assert_eq!(*Codec::Native.decode_key_request(&out)?.key, [7; 32]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_key_request(self, key: &[u8], out: &mut Vec<u8>) {
        out.push(kind::KEY_REQUEST);
        match self {
            Self::Native => native::write(serde_bytes::Bytes::new(key), out),
            Self::Serf => msgpack::write(&KEY_REQUEST, &[Value::Raw(key)], out),
        }
    }

    /// Reads the answer to a key query.
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`]; only one kind is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::{Codec, MessageError};
    ///
    /// let response = Codec::Serf.decode_key_response(b"\x08\x81\xa6Result\xc3")?;
    /// assert!(response.result && response.message.is_empty());
    /// assert_eq!(response.keys.count(), 0);
    /// assert_eq!(Codec::Serf.decode_key_response(b"\x07").err(), Some(MessageError::UnknownKind(7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode_key_response(self, payload: &[u8]) -> Result<KeyResponse<'_>, MessageError> {
        let reader = &mut Reader::new(payload);
        let response = match (reader.u8()?, self) {
            (kind::KEY_RESPONSE, Self::Native) => {
                let (result, message, primary) = native::read::<(_, &serde_bytes::Bytes, &serde_bytes::Bytes)>(reader)?;
                KeyResponse { result, message, keys: Keys(List::at(self, *reader)?), primary }
            }
            (kind::KEY_RESPONSE, Self::Serf) => {
                let [keys, message, primary, result] = msgpack::read(&KEY_RESPONSE, reader)?;
                let keys = Keys(List::of_array(&keys)?);
                KeyResponse { result: result.bool(), message: message.text(), keys, primary: primary.text() }
            }
            (kind, _) => return Err(MessageError::UnknownKind(kind)),
        };
        response.keys.0.check(read_text)?;
        Ok(response)
    }

    /// Appends the answer to a key query, kind byte first. The keys are walked through twice, once to count them.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::KeyResponse;
    ///
    /// let response = KeyResponse { result: true, message: b"", keys: ["AQ==", "Ag=="], primary: b"AQ==" };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_key_response(&response, &mut out);
    /// let back = Codec::Serf.decode_key_response(&out)?;
    /// assert_eq!((back.result, back.primary), (true, response.primary));
    /// assert_eq!(back.keys.collect::<Vec<_>>(), [b"AQ==", b"Ag=="]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_key_response<K>(self, response: &KeyResponse<'_, K>, out: &mut Vec<u8>)
    where
        K: Clone + IntoIterator<Item: AsRef<[u8]>>,
    {
        let KeyResponse { result, message, keys, primary } = response;
        out.push(kind::KEY_RESPONSE);
        match self {
            Self::Native => {
                native::write(&(result, serde_bytes::Bytes::new(message), serde_bytes::Bytes::new(primary)), out);
                list::write(self, keys, out);
            }
            Self::Serf => {
                // Not through the table, which would want the keys encoded before they are written. The order is its.
                msgpack::write_map_len(KEY_RESPONSE.len(), out);
                msgpack::write_raw(b"Keys", out);
                list::write(self, keys, out);
                msgpack::write_raw(b"Message", out);
                msgpack::write_raw(message, out);
                msgpack::write_raw(b"PrimaryKey", out);
                msgpack::write_raw(primary, out);
                msgpack::write_raw(b"Result", out);
                out.push(if *result { TRUE } else { FALSE });
            }
        }
    }
}

impl fmt::Debug for KeyRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRequest").field("key_len", &self.key.len()).finish()
    }
}

impl<K> fmt::Debug for KeyResponse<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { result, message, keys: _, primary: _ } = self;
        f.debug_struct("KeyResponse").field("result", result).field("message", message).finish_non_exhaustive()
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("len", &self.clone().count()).finish()
    }
}

const KEY_REQUEST: [Field; 1] = [field("Key", 0, Kind::Bytes)];

const KEY_RESPONSE: [Field; 4] = [
    field("Keys", 2, Kind::Nested),
    field("Message", 1, Kind::Text),
    field("PrimaryKey", 3, Kind::Text),
    field("Result", 0, Kind::Bool),
];

const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;

#[cfg(test)]
mod tests;
