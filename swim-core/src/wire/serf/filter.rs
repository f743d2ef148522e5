//! Filters: whom a query is for.

use alloc::vec::Vec;

use super::list::{self, List, Names, read_text};
use crate::wire::codec::{Codec, MessageError};
use crate::wire::msgpack::{self, Field, Kind, Value, field};
use crate::wire::native;
use crate::wire::reader::Reader;

/// One condition of a query; see [`Query::filters`](super::Query::filters). See [`Codec::decode_filter`].
#[derive(Clone, Debug)]
pub enum Filter<'a> {
    /// Who has one of these names.
    Nodes(Names<'a>),
    /// Who has a tag that matches.
    Tag {
        /// The key. A member without the tag is taken to have it with an empty value.
        tag: &'a [u8],
        /// A regular expression, in RE2's syntax and not anchored. Not checked here.
        expr: &'a [u8],
    },
}

impl Codec {
    /// Reads one filter, kind byte first. Bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// Nothing is there, the kind is unknown, or the body is not what its kind demands. Such a filter does not pass.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::Filter;
    ///
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_tag_filter(b"role", b"^web$", &mut out);
    /// let Filter::Tag { tag, expr } = Codec::Serf.decode_filter(&out)? else { panic!("it is one") };
    /// assert_eq!((tag, expr), (&b"role"[..], &b"^web$"[..]));
    /// assert!(Codec::Serf.decode_filter(b"").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode_filter(self, filter: &[u8]) -> Result<Filter<'_>, MessageError> {
        let reader = &mut Reader::new(filter);
        Ok(match (reader.u8()?, self) {
            (NODES, _) => {
                let names = List::at(self, *reader)?;
                names.check(read_text)?;
                Filter::Nodes(Names(names))
            }
            (TAG, Self::Native) => {
                let (tag, expr) = native::read::<(&serde_bytes::Bytes, &serde_bytes::Bytes)>(reader)?;
                Filter::Tag { tag, expr }
            }
            (TAG, Self::Serf) => {
                let [expr, tag] = msgpack::read(&TAG_FILTER, reader)?;
                Filter::Tag { tag: tag.text(), expr: expr.text() }
            }
            (kind, _) => return Err(MessageError::UnknownKind(kind)),
        })
    }

    /// Appends a filter by names, kind byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::Filter;
    ///
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_node_filter(["a", "b"], &mut out);
    /// let Filter::Nodes(names) = Codec::Serf.decode_filter(&out)? else { panic!("it is one") };
    /// assert_eq!(names.collect::<Vec<_>>(), [b"a", b"b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_node_filter<N>(self, names: N, out: &mut Vec<u8>)
    where
        N: Clone + IntoIterator<Item: AsRef<[u8]>>,
    {
        out.push(NODES);
        list::write(self, &names, out);
    }

    /// Appends a filter by one tag, kind byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    ///
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_tag_filter(b"role", b"^web$", &mut out);
    /// assert_eq!(out, b"\x01\x82\xa4Expr\xa5^web$\xa3Tag\xa4role");
    /// ```
    pub fn encode_tag_filter(self, tag: &[u8], expr: &[u8], out: &mut Vec<u8>) {
        out.push(TAG);
        match self {
            Self::Native => native::write(&(serde_bytes::Bytes::new(tag), serde_bytes::Bytes::new(expr)), out),
            Self::Serf => msgpack::write(&TAG_FILTER, &[Value::Raw(expr), Value::Raw(tag)], out),
        }
    }
}

const TAG_FILTER: [Field; 2] = [field("Expr", 1, Kind::Text), field("Tag", 0, Kind::Text)];

const NODES: u8 = 0;
const TAG: u8 = 1;

#[cfg(test)]
mod tests;
