//! Small numbers and names that identify things, each with a type of its own where two could be swapped.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt::{self, Write};
use core::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A member's own version number. Only its owner raises it, to refute an accusation or to announce a change (SWIM
/// §4.2). See [`Incarnation::next`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// Of a record that has not heard its owner yet; never sent.
    pub const NONE: Self = Self(0);
    /// The first that a node announces.
    pub const FIRST: Self = Self(1);
    /// The last there is. Nobody can refute an accusation at this value.
    pub const MAX: Self = Self(u32::MAX);

    /// The one after, or the same at the top of the range.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::Incarnation;
    ///
    /// // Accused at 7, a member announces itself with 8.
    /// assert_eq!(Incarnation(7).next(), Incarnation(8));
    /// assert_eq!(Incarnation::NONE.next(), Incarnation::FIRST);
    /// assert_eq!(Incarnation::MAX.next(), Incarnation::MAX);
    /// ```
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Matches an ack or a nack to its ping. Not an [`Incarnation`]. See [`SequenceNumber::next`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SequenceNumber(pub u32);

impl SequenceNumber {
    /// The one after; wraps.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    ///
    /// assert_eq!(SequenceNumber(7).next(), SequenceNumber(8));
    /// assert_eq!(SequenceNumber(u32::MAX).next(), SequenceNumber(0));
    /// ```
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A logical time of one of Serf's three clocks (Serf: `serf/lamport.go`). See
/// [`Node::user_event`](crate::Node::user_event).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct LamportTime(pub u64);

/// Names one stream between the node and its driver. Never reused by one node. See
/// [`Node::handle_stream`](crate::Node::handle_stream).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId(pub u64);

/// Names one command of the application; its replies carry it. Never reused by one node. See
/// [`Node::poll_reply`](crate::Node::poll_reply).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u64);

/// Numbers the changes of one node's keyring, from 1; 0: there has been none. See
/// [`Node::keyring_stored`](crate::Node::keyring_stored).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct KeyringChange(pub u64);

/// Names one query of another node that may be answered. Never reused by one node. See
/// [`Node::respond`](crate::Node::respond).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueryId(pub u64);

/// The slot of a member in this node's tables. Reused after the member has been forgotten by every layer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MemberId(pub(crate) u32);

impl MemberId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

macro_rules! plain_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
plain_debug!(Incarnation, SequenceNumber, LamportTime, StreamId, CommandId, QueryId, KeyringChange, MemberId);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LamportTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A node name: any bytes, compared as bytes.
///
/// What comes from the network need not be UTF-8; [`Display`](fmt::Display) writes such bytes as `\xNN`, and control
/// characters as escapes. Our own name, given in the configuration, must be UTF-8 of 1 to 128 bytes.
///
/// ```
/// use swim_core::ids::Name;
///
/// let name = Name::from("web-1");
/// assert_eq!(name, "web-1");
/// assert_eq!(Name::from(&b"web\xff\n"[..]).to_string(), r"web\xff\n");
/// ```
#[derive(Clone)]
pub struct Name(NameBytes);

/// Names are short, as a rule: those of up to 22 bytes lie where they are needed, without another look at memory.
#[derive(Clone)]
enum NameBytes {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Boxed(Box<[u8]>),
}

/// As many as make a name three words, of which a longer one needs two and the tag.
const INLINE_MAX: usize = 22;

impl Name {
    /// The bytes as announced.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::ids::Name;
    /// assert_eq!(Name::from(&b"caf\xe9"[..]).as_bytes(), b"caf\xe9");
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            NameBytes::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            NameBytes::Boxed(bytes) => bytes,
        }
    }

    /// The name as text, if it is UTF-8.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::ids::Name;
    /// assert_eq!(Name::from("café").as_str(), Some("café"));
    /// assert_eq!(Name::from(&b"caf\xe9"[..]).as_str(), None);
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.as_bytes()).ok()
    }

    fn inline(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self(NameBytes::Inline { len: name.len() as u8, bytes }))
    }
}

impl Default for Name {
    fn default() -> Self {
        Self(NameBytes::Inline { len: 0, bytes: [0; INLINE_MAX] })
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state); // As its bytes do, by which it may be looked up.
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(deserializer).map(Self::from)
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Self::inline(bytes).unwrap_or_else(|| Self(NameBytes::Boxed(bytes.into())))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<Vec<u8>> for Name {
    fn from(bytes: Vec<u8>) -> Self {
        Self::inline(&bytes).unwrap_or_else(|| Self(NameBytes::Boxed(bytes.into_boxed_slice())))
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_escaped(self.as_bytes(), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", format_args!("{self}"))
    }
}

/// Writes bytes that ought to be text: control characters and what is not UTF-8 become escapes.
pub(crate) fn fmt_escaped(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// Longest name a node may give itself, in bytes, as of Serf's with its rule for names.
pub(crate) const NAME_LEN_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// A name is its bytes, wherever they lie.
    #[test]
    fn names_of_every_length() {
        assert_eq!(size_of::<Name>(), 24);
        for len in 0..=2 * INLINE_MAX {
            let bytes = vec![b'x'; len];
            let name = Name::from(&*bytes);
            assert_eq!(name.as_bytes(), bytes);
            assert_eq!(matches!(name.0, NameBytes::Boxed(_)), len > INLINE_MAX);
            assert_eq!(name, Name::from(bytes.clone()), "however it was made");
            let [shorter, larger] = [&vec![b'x'; len + 1][..], b"y"].map(Name::from);
            assert!(name < shorter && name < larger && name != larger);
            let encoded = bincode::serde::encode_to_vec(&name, bincode::config::standard()).unwrap();
            let as_bytes = serde_bytes::Bytes::new(&bytes);
            assert_eq!(encoded, bincode::serde::encode_to_vec(as_bytes, bincode::config::standard()).unwrap());
            let (decoded, _): (Name, usize) =
                bincode::serde::decode_from_slice(&encoded, bincode::config::standard()).unwrap();
            assert_eq!(decoded, name);
        }
    }
}
