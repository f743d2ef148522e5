//! Tags: small key-value pairs that a member tells everybody, carried in its metadata (`ff` and a msgpack map).

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::serf::{decode_tags, encode_tags};

/// What a member says about itself; encoded, at most [`META_LEN_MAX`] bytes.
///
/// ```
/// use swim_core::serf::tags::Tags;
///
/// let tags: Tags = [("role", "web"), ("dc", "east")].into_iter().collect();
/// assert_eq!(tags.get("dc"), Some("east"));
/// assert_eq!(tags.iter().collect::<Vec<_>>(), [("dc", "east"), ("role", "web")]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Sets `key` to `value`, whatever it was before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::tags::Tags;
    /// let mut tags = Tags::default();
    /// tags.insert("role", "web");
    /// tags.insert("role", "db");
    /// assert_eq!((tags.get("role"), tags.len()), (Some("db"), 1));
    /// ```
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// Takes `key` away; whether it was there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::tags::Tags;
    /// let mut tags = Tags::from_iter([("role", "web")]);
    /// assert!(tags.remove("role"));
    /// assert!(!tags.remove("role"));
    /// ```
    pub fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// The value of `key`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::tags::Tags;
    /// let tags = Tags::from_iter([("role", "web")]);
    /// assert_eq!((tags.get("role"), tags.get("dc")), (Some("web"), None));
    /// ```
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All of them, ordered by key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::tags::Tags;
    /// let tags = Tags::from_iter([("role", "web"), ("dc", "east")]);
    /// let text: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    /// assert_eq!(text, ["dc=east", "role=web"]);
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::tags::Tags;
    /// assert!(Tags::default().is_empty());
    /// assert!(!Tags::from_iter([("role", "")]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::tags::Tags;
    /// assert_eq!(Tags::from_iter([("role", "web"), ("dc", "east")]).len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// As metadata for members that speak Serf protocol `protocol`: from 3 on `ff` and a msgpack map, before that
    /// the bytes of the `role` tag and nothing else.
    pub(crate) fn encode(&self, protocol: u8) -> Vec<u8> {
        let mut meta = Vec::new();
        if protocol < FIRST_WITH_TAGS {
            meta.extend_from_slice(self.get(ROLE).unwrap_or_default().as_bytes());
        } else {
            encode_tags(self.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())), &mut meta);
        }
        meta
    }

    /// Whether they fit into the metadata of a member that speaks this version of Serf's protocol.
    ///
    /// # Errors
    ///
    /// When they do not: from version 3 on the limit holds for all of them, before it for the value of `role`, which is
    /// all that is announced.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::tags::{META_LEN_MAX, Tags, TagsTooLarge};
    ///
    /// let tags = Tags::from_iter([("role", "web".to_owned()), ("motto", "x".repeat(600))]);
    /// let TagsTooLarge { len, max } = tags.check(5).unwrap_err();
    /// assert!(len > 600 && max == META_LEN_MAX);
    /// assert_eq!(tags.check(2), Ok(()));
    /// ```
    pub fn check(&self, protocol: u8) -> Result<(), TagsTooLarge> {
        match self.encode(protocol).len() {
            len if len > META_LEN_MAX => Err(TagsTooLarge { len, max: META_LEN_MAX }),
            _ => Ok(()),
        }
    }

    /// From a member's metadata. Of what does not begin as a map of tags, all is the value of `role` (Serf protocol 2).
    ///
    /// What is not UTF-8 is replaced, what cannot be decoded ends the list: tags are for people and filters, and the
    /// raw metadata stays at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::tags::Tags;
    /// let tags = Tags::decode(b"\xff\x82\xa4role\xa3web\xa2dc\xa4east");
    /// assert_eq!(tags, Tags::from_iter([("role", "web"), ("dc", "east")]));
    /// assert_eq!(Tags::decode(b"web"), Tags::from_iter([("role", "web")]));
    /// ```
    pub fn decode(meta: &[u8]) -> Self {
        if meta.first() != Some(&TAGS_MAGIC) {
            return Self(BTreeMap::from([(ROLE.into(), String::from_utf8_lossy(meta).into_owned())]));
        }
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self(decode_tags(meta).map_while(Result::ok).map(|(key, value)| (text(key), text(value))).collect())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// One tag of some metadata, without decoding the others into anything. The answers are those of [`Tags::decode`].
///
/// # Examples
///
/// ```
/// use swim_core::serf::tags::tag;
///
/// let meta = b"\xff\x82\xa4role\xa3web\xa2dc\xa4east";
/// assert_eq!(tag(meta, "dc").as_deref(), Some("east"));
/// assert_eq!(tag(meta, "rack"), None);
/// ```
pub fn tag<'a>(meta: &'a [u8], key: &str) -> Option<Cow<'a, str>> {
    if meta.first() != Some(&TAGS_MAGIC) {
        return (key == ROLE).then(|| String::from_utf8_lossy(meta));
    }
    // The last one wins, as when the map is decoded whole.
    let same = decode_tags(meta).map_while(Result::ok).filter(|(found, _)| *found == key.as_bytes());
    same.last().map(|(_, value)| String::from_utf8_lossy(value))
}

/// Longest metadata a member may announce, in bytes (memberlist: `MetaMaxSize`).
pub const META_LEN_MAX: usize = 512;

/// First byte of metadata that holds a map of tags.
const TAGS_MAGIC: u8 = 0xff;
const ROLE: &str = "role";
const FIRST_WITH_TAGS: u8 = 3;

/// The tags, encoded, are longer than metadata may be. Nothing was changed. See [`Tags::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagsTooLarge {
    /// Encoded length in bytes.
    pub len: usize,
    /// The limit.
    pub max: usize,
}

impl fmt::Display for TagsTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded length of tags exceeds limit of {} bytes", self.max)
    }
}

impl core::error::Error for TagsTooLarge {}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().copied().collect()
    }

    #[test]
    fn metadata_by_protocol() {
        let some = tags(&[("role", "web"), ("dc", "east")]);
        assert_eq!(some.encode(5), b"\xff\x82\xa2dc\xa4east\xa4role\xa3web");
        assert_eq!(some.encode(3), some.encode(5));
        assert_eq!(some.encode(2), b"web");
        assert_eq!(tags(&[]).encode(5), b"\xff\x80");
        assert_eq!(tags(&[]).encode(2), b"");
    }

    #[test]
    fn metadata_is_read_whoever_wrote_it() {
        assert_eq!(Tags::decode(b"\xff\x82\xa4role\xa3web\xa2dc\xa4east"), tags(&[("role", "web"), ("dc", "east")]));
        assert_eq!(Tags::decode(b"web"), tags(&[("role", "web")]));
        assert_eq!(Tags::decode(b""), tags(&[("role", "")]));
        // What was decoded before the damage is kept.
        assert_eq!(Tags::decode(b"\xff\x82\xa2dc\xa4east\xa4ro"), tags(&[("dc", "east")]));
        assert_eq!(tag(b"\xff\x82\xa4role\xa3web\xa2dc\xa4east", "dc").as_deref(), Some("east"));
        assert_eq!(tag(b"web", "role").as_deref(), Some("web"));
        assert_eq!(tag(b"web", "dc"), None);
    }

    #[test]
    fn the_limit_is_exact() {
        // ff, map of one, a one-byte key, and a value with a three-byte header.
        let fits = tags(&[("k", &"v".repeat(META_LEN_MAX - 7))]);
        assert_eq!(fits.encode(5).len(), META_LEN_MAX);
        assert_eq!(fits.check(5), Ok(()));
        let over = tags(&[("k", &"v".repeat(META_LEN_MAX - 6))]);
        assert_eq!(over.check(5), Err(TagsTooLarge { len: 513, max: 512 }));
    }
}
