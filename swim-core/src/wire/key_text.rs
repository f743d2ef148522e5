//! Keys as people and queries write them: in base64.

use alloc::string::String;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use zeroize::Zeroizing;

use super::keyring::{KEY_LEN_MAX, Key};

/// A key as a member lists it: in base64, if the member is honest.
///
/// Ordered and looked up as text. `Debug` prints the [`KeyId`](super::keyring::KeyId) only; wiped when dropped. See
/// [`Reply::Key`](crate::node::input::Reply::Key).
///
/// ```
/// use swim_core::wire::key_text::KeyText;
/// use swim_core::wire::keyring::Key;
///
/// let key = Key::new(&[1; 32])?;
/// let text = KeyText::new(&key);
/// assert_eq!(text.as_str(), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
/// assert_eq!(text.key(), Some(key));
/// assert!(!format!("{text:?}").contains("AQEB"));
/// let seen = std::collections::HashSet::from([text.clone()]);
/// assert!(seen.contains(text.as_str()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyText(Zeroizing<String>);

impl KeyText {
    /// How a key is written.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::key_text::KeyText;
    /// use swim_core::wire::keyring::Key;
    ///
    /// assert_eq!(KeyText::new(&Key::new(&[2; 16])?).as_str(), "AgICAgICAgICAgICAgICAg==");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(key: &Key) -> Self {
        Self(Zeroizing::new(base64(key.as_bytes())))
    }

    /// The secret itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::key_text::KeyText;
    /// use swim_core::wire::keyring::Key;
    ///
    /// assert_eq!(KeyText::new(&Key::new(&[1; 32])?).as_str().len(), 44);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key, if it is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::key_text::KeyText;
    ///
    /// assert_eq!(KeyText::from("AQEB".to_owned()).key(), None, "too short");
    /// ```
    pub fn key(&self) -> Option<Key> {
        let mut bytes = Zeroizing::new([0; KEY_LEN_MAX]);
        let key = decode(&self.0, &mut bytes)?;
        Key::new(key).ok()
    }
}

impl From<String> for KeyText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// What goes over the wire.
impl AsRef<[u8]> for KeyText {
    fn as_ref(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl Borrow<str> for KeyText {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Hash for KeyText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for KeyText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyText {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key() {
            Some(key) => key.fmt(f),
            None => f.write_str("not a key"),
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes in base64: the standard alphabet, padded.
fn base64(bytes: &[u8]) -> String {
    // Room for all of it, or what it outgrows would stay somewhere in memory.
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let [first, second, third] = [0, 1, 2].map(|index| u32::from(chunk.get(index).copied().unwrap_or(0)));
        let bits = first << 16 | second << 8 | third;
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = ALPHABET.get((bits >> shift & 63) as usize).filter(|_| index <= chunk.len());
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

/// Reads base64, of the standard alphabet and padded, into `bytes`; the part that it fills. `None`: it is none, or too
/// long for a key.
fn decode<'b>(text: &str, bytes: &'b mut [u8; KEY_LEN_MAX]) -> Option<&'b [u8]> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let letters = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let (mut room, mut len) = (bytes.iter_mut(), 0_usize);
    for chunk in letters.chunks(4) {
        let mut bits = 0_u32;
        for (shift, letter) in [18, 12, 6, 0].into_iter().zip(chunk) {
            bits |= (ALPHABET.iter().position(|known| known == letter)? as u32) << shift;
        }
        // Four letters are three bytes; of the last ones those that are complete.
        for byte in bits.to_be_bytes().into_iter().skip(1).take(chunk.len().saturating_sub(1)) {
            *room.next()? = byte;
            len = len.saturating_add(1);
        }
    }
    bytes.get(..len)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::{format, vec};

    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn base64_as_in_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn texts_are_keys_or_not() {
        #[rustfmt::skip]
        let table = [
            ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",  Some(vec![1; 32])),
            ("AgICAgICAgICAgICAgICAg==",                      Some(vec![2; 16])),
            ("+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/",              Some([0xfb, 0xff, 0xbf].repeat(8))),
            ("AAECAwQFBgcICQoLDA0ODw==",                      Some((0..16).collect())),
            ("",                                              None),
            ("AQEB",                                          None), // no length of a key
            ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",   None), // not padded
            ("AgICAgICAgICAgICAgICAgI=",                      None),
            ("AgICAgICAgICAgICAgICAg=A",                      None),
            ("AgICAgICAgICAgICAgICA===",                      None),
            ("AgICAgICAgICAgICAg*CAg==",                      None),
            ("AgICAgICAgICAgICAg_CAg==",                      None), // the other alphabet
            ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",  None), // one byte too many
            ("ééééééééééééé",                                 None),
        ];
        for (text, bytes) in table {
            assert_eq!(KeyText::from(text.to_owned()).key().map(|key| key.as_bytes().to_vec()), bytes, "{text}");
        }
        assert_eq!(format!("{:?}", KeyText::from("AQEB".to_owned())), "not a key");
    }
}
