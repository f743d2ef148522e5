//! Lists that are read again as they are walked through: nothing is allocated, however many things they hold.
//!
//! Whoever decodes a list walks through it once, with [`List::check`], so that the iterators over it need not be able
//! to fail.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::wire::codec::{Codec, MessageError};
use crate::wire::msgpack::{self, Container, Value};
use crate::wire::native;
use crate::wire::reader::Reader;

/// So many things of one sort, encoded one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    codec: Codec,
    missing: u64,
    reader: Reader<'a>,
}

impl<'a> List<'a> {
    pub(super) const fn native(len: u64, reader: Reader<'a>) -> Self {
        Self { codec: Codec::Native, missing: len, reader }
    }

    pub(super) fn of_map(value: &Value<'a>) -> Result<Self, MessageError> {
        Self::msgpack(value, |container| match container {
            Container::Nil => Some(0),
            Container::Map(len) => Some(len),
            Container::Array(_) => None,
        })
    }

    pub(super) fn of_array(value: &Value<'a>) -> Result<Self, MessageError> {
        Self::msgpack(value, array_len)
    }

    /// The list that begins with its length at `reader`, as both codecs write one.
    pub(super) fn at(codec: Codec, mut reader: Reader<'a>) -> Result<Self, MessageError> {
        let missing = match codec {
            Codec::Native => native::read(&mut reader)?,
            Codec::Serf => array_len(msgpack::container(&mut reader)?).ok_or(MessageError::Malformed)?.into(),
        };
        Ok(Self { codec, missing, reader })
    }

    fn msgpack(value: &Value<'a>, len: impl FnOnce(Container) -> Option<u32>) -> Result<Self, MessageError> {
        let mut reader = value.nested().unwrap_or(Reader::new(&[]));
        let missing = match reader.rest() {
            [] => 0,
            _ => len(msgpack::container(&mut reader)?).ok_or(MessageError::Malformed)?,
        };
        Ok(Self { codec: Codec::Serf, missing: missing.into(), reader })
    }

    /// How many things there are to come, at most.
    pub(super) const fn len(&self) -> u64 {
        self.missing
    }

    /// The next thing. `read` tells by `None` that there is no more, whatever the length was.
    pub(super) fn next<T>(
        &mut self,
        read: impl FnOnce(Codec, &mut Reader<'a>) -> Result<Option<T>, MessageError>,
    ) -> Option<Result<T, MessageError>> {
        self.missing = self.missing.checked_sub(1)?;
        read(self.codec, &mut self.reader)
            .inspect(|item| {
                if item.is_none() {
                    self.missing = 0;
                }
            })
            .transpose()
    }

    /// Walks through to the end; returns what stands behind it.
    pub(super) fn check<T>(
        mut self,
        read: impl Fn(Codec, &mut Reader<'a>) -> Result<Option<T>, MessageError>,
    ) -> Result<Reader<'a>, MessageError> {
        while self.next(&read).transpose()?.is_some() {}
        Ok(self.reader)
    }
}

/// Names of members. See [`Codec::encode_node_filter`].
#[derive(Clone, Debug)]
pub struct Names<'a>(pub(super) List<'a>);

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_text)?.ok()
    }
}

/// An element that is text.
pub(super) fn read_text<'a>(codec: Codec, reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, MessageError> {
    Ok(Some(match codec {
        Codec::Native => native::read::<&serde_bytes::Bytes>(reader)?,
        Codec::Serf => msgpack::read_text(reader)?,
    }))
}

/// An element that is bytes: as text, or an array of small integers.
pub(super) fn read_bytes<'a>(codec: Codec, reader: &mut Reader<'a>) -> Result<Option<Cow<'a, [u8]>>, MessageError> {
    if codec == Codec::Serf {
        let mut numbers = *reader;
        if let Ok(Container::Array(len)) = msgpack::container(&mut numbers) {
            let mut bytes = Vec::new();
            for _ in 0..len {
                let number = msgpack::read_unsigned(&mut numbers)?;
                bytes.push(u8::try_from(number).map_err(|_| MessageError::OutOfRange)?);
            }
            *reader = numbers;
            return Ok(Some(Cow::Owned(bytes)));
        }
    }
    Ok(read_text(codec, reader)?.map(Cow::Borrowed))
}

/// Appends a list of texts or bytes. An empty one is nil on Serf's wire, where the reference writes nil for a list that
/// was never made.
pub(super) fn write<I>(codec: Codec, items: &I, out: &mut Vec<u8>)
where
    I: Clone + IntoIterator<Item: AsRef<[u8]>>,
{
    let len = items.clone().into_iter().count();
    match codec {
        Codec::Native => native::write(&len, out),
        Codec::Serf if len == 0 => msgpack::write_nil(out),
        Codec::Serf => msgpack::write_array_len(len, out),
    }
    for item in items.clone() {
        match codec {
            Codec::Native => native::write(serde_bytes::Bytes::new(item.as_ref()), out),
            Codec::Serf => msgpack::write_raw(item.as_ref(), out),
        }
    }
}

fn array_len(container: Container) -> Option<u32> {
    match container {
        Container::Nil => Some(0),
        Container::Array(len) => Some(len),
        Container::Map(_) => None,
    }
}
