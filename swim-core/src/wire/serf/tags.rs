//! Tags as they stand in the metadata of a member: the same in both codecs, because metadata is opaque to membership.

use alloc::vec::Vec;

use crate::wire::codec::MessageError;
use crate::wire::msgpack::{self, Container};
use crate::wire::reader::Reader;

/// Appends tags as the metadata of a member: `ff` and a msgpack map, in both codecs.
///
/// At most 512 bytes of it may be announced, which is for the caller to check.
///
/// # Examples
///
/// ```
/// use swim_core::wire::serf::encode_tags;
///
/// let mut meta = Vec::new();
/// encode_tags([(&b"role"[..], &b"web"[..])].into_iter(), &mut meta);
/// assert_eq!(meta, b"\xff\x81\xa4role\xa3web");
/// ```
pub fn encode_tags<'t>(tags: impl ExactSizeIterator<Item = (&'t [u8], &'t [u8])>, out: &mut Vec<u8>) {
    out.push(TAGS);
    msgpack::write_map_len(tags.len(), out);
    for (key, value) in tags {
        msgpack::write_raw(key, out);
        msgpack::write_raw(value, out);
    }
}

/// The tags in the metadata of a member, in the order written.
///
/// Metadata that does not begin with `ff`, empty metadata too, is the value of the single tag `role` (Serf protocol 2).
/// What was read before an error stands; after it comes nothing.
///
/// # Examples
///
/// ```
/// use swim_core::wire::codec::MessageError;
/// use swim_core::wire::serf::decode_tags;
///
/// let tags: Vec<_> = decode_tags(b"\xff\x82\xa4role\xa3web\xa2dc").collect();
/// assert_eq!(tags, [Ok((&b"role"[..], &b"web"[..])), Err(MessageError::Truncated)]);
/// assert_eq!(decode_tags(b"web").next(), Some(Ok((&b"role"[..], &b"web"[..]))));
/// ```
pub fn decode_tags(meta: &[u8]) -> Tags<'_> {
    Tags(match meta {
        [TAGS, encoded @ ..] => {
            let mut reader = Reader::new(encoded);
            match msgpack::container(&mut reader) {
                Ok(Container::Nil) => TagsState::Map { missing: 0, reader },
                Ok(Container::Map(missing)) => TagsState::Map { missing, reader },
                Ok(Container::Array(_)) => TagsState::Failed(MessageError::Malformed),
                Err(error) => TagsState::Failed(error),
            }
        }
        role => TagsState::Role(role),
    })
}

/// An iterator over tags. See [`decode_tags`].
#[derive(Clone, Debug)]
pub struct Tags<'a>(TagsState<'a>);

#[derive(Clone, Debug)]
enum TagsState<'a> {
    Role(&'a [u8]),
    Map { missing: u32, reader: Reader<'a> },
    Failed(MessageError),
    Finished,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        match core::mem::replace(&mut self.0, TagsState::Finished) {
            TagsState::Role(role) => Some(Ok((b"role", role))),
            TagsState::Map { missing, mut reader } => {
                let missing = missing.checked_sub(1)?;
                let tag = msgpack::read_raw(&mut reader)
                    .and_then(|key| msgpack::read_text(&mut reader).map(|value| (key, value)));
                if tag.is_ok() {
                    self.0 = TagsState::Map { missing, reader };
                }
                Some(tag)
            }
            TagsState::Failed(error) => Some(Err(error)),
            TagsState::Finished => None,
        }
    }
}

impl core::iter::FusedIterator for Tags<'_> {}

/// Metadata that begins so is a map of tags; no UTF-8 text does.
const TAGS: u8 = 0xff;

#[cfg(test)]
mod tests;
