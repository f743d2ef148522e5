//! The cluster's keys, in order: the first seals, all of them open (memberlist: `keyring.go`).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::cipher::Cipher;

/// A symmetric key of 16, 24 or 32 bytes, for AES-128, AES-192 and AES-256; the native wire takes 32 bytes only. See
/// [`Key::new`].
///
/// Not serialisable; `Debug` prints the [`KeyId`]; wiped when dropped.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; KEY_LEN_MAX],
    len: usize,
}

impl Key {
    /// Takes a copy of `bytes`.
    ///
    /// # Errors
    ///
    /// When there are not 16, 24 or 32 of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, KeyLengthError};
    ///
    /// let key = Key::new(&[7; 32])?;
    /// assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
    /// assert_eq!(Key::new(b"a pass phrase"), Err(KeyLengthError));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(bytes: &[u8]) -> Result<Self, KeyLengthError> {
        if !matches!(bytes.len(), 16 | 24 | 32) {
            return Err(KeyLengthError);
        }
        let mut key = Self { bytes: [0; KEY_LEN_MAX], len: bytes.len() };
        for (to, from) in key.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(key)
    }

    /// The secret itself, as long as it was given.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::wire::keyring::Key;
    /// assert_eq!(Key::new(&[7; 16])?.as_bytes(), [7; 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }

    /// A name for the key that tells nothing about it: 8 bytes of ChaCha20 output under the key. Equal keys have equal
    /// names, on every machine.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, KeyId};
    ///
    /// let key = Key::new(&[7; 32])?;
    /// assert_eq!(key.id(), Key::new(&[7; 32])?.id());
    /// assert_ne!(key.id(), Key::new(&[7; 16])?.id());
    /// assert_eq!(key.id().to_string().len(), 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> KeyId {
        let mut seed = self.bytes;
        let mut rng = ChaCha20Rng::from_seed(seed);
        seed.zeroize();
        // Short keys are padded with zeros; the length keeps them apart from long ones that end in zeros.
        rng.set_stream(KEY_ID_STREAM.wrapping_add(self.len as u64));
        let mut id = [0; 8];
        rng.fill_bytes(&mut id);
        KeyId(id)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl ZeroizeOnDrop for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// A one-way name of a [`Key`], for logs and traces. See [`Key::id`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The bytes are no key. See [`Key::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLengthError;

impl fmt::Display for KeyLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key size must be 16, 24 or 32 bytes")
    }
}

impl core::error::Error for KeyLengthError {}

/// The installed keys, the primary first. With none, nothing is sealed.
///
/// Each key's cipher is prepared once, when it is added.
///
/// ```
/// use swim_core::Config;
/// use swim_core::wire::keyring::Key;
///
/// # #[cfg(feature = "encryption")]
/// # {
/// let mut config = Config::lan("web-1", "10.0.0.7:7946".parse()?);
/// for bytes in [[2; 32], [1; 32]] {
///     config.wire.keyring.add(Key::new(&bytes)?)?;
/// }
/// // What is sent is sealed with the first; what comes may be sealed with either.
/// assert_eq!(config.wire.keyring.primary().map(Key::as_bytes), Some(&[2; 32][..]));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Keyring {
    entries: Vec<Entry>,
    long_keys_only: bool,
}

#[derive(Clone)]
struct Entry {
    key: Key,
    cipher: Box<Cipher>,
}

impl Keyring {
    /// The most keys that can be installed: opening tries them all, and keys come in by queries.
    pub const KEYS_MAX: usize = 64;

    /// A ring without keys.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::Keyring;
    ///
    /// assert!(Keyring::new().is_empty());
    /// ```
    pub const fn new() -> Self {
        Self { entries: Vec::new(), long_keys_only: false }
    }

    /// Installs a key behind the others; the first one becomes the primary. An installed key stays where it is.
    ///
    /// # Errors
    ///
    /// When the ring is full, when the wire format cannot use a key of this length, or when this build has no ciphers.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, Keyring};
    ///
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// let mut ring = Keyring::new();
    /// ring.add(Key::new(&[1; 16])?)?;
    /// ring.add(Key::new(&[2; 32])?)?;
    /// ring.add(Key::new(&[1; 16])?)?; // it is there
    /// assert_eq!(ring.keys().len(), 2);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(&mut self, key: Key) -> Result<(), KeyringError> {
        if self.position(&key).is_some() {
            return Ok(());
        }
        if self.long_keys_only && key.len != KEY_LEN_MAX {
            return Err(KeyringError::UnfitLength);
        }
        if self.entries.len() >= Self::KEYS_MAX {
            return Err(KeyringError::Full);
        }
        let cipher = Cipher::new(&key).ok_or(KeyringError::NoCiphers)?;
        self.entries.push(Entry { key, cipher: Box::new(cipher) });
        Ok(())
    }

    /// Makes an installed key the primary; the others keep their order.
    ///
    /// # Errors
    ///
    /// When the key is not installed.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, Keyring, KeyringError};
    ///
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// let (old, new) = (Key::new(&[1; 32])?, Key::new(&[2; 32])?);
    /// let mut ring = Keyring::new();
    /// ring.add(old)?;
    /// assert_eq!(ring.use_key(&new), Err(KeyringError::NotInstalled));
    /// ring.add(new.clone())?;
    /// ring.use_key(&new)?;
    /// assert_eq!(ring.primary(), Some(&new));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn use_key(&mut self, key: &Key) -> Result<(), KeyringError> {
        let position = self.position(key).ok_or(KeyringError::NotInstalled)?;
        if let Some(front) = self.entries.get_mut(..=position) {
            front.rotate_right(1);
        }
        Ok(())
    }

    /// Takes a key out. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// When it is the primary.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, Keyring, KeyringError};
    ///
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// let (primary, old) = (Key::new(&[1; 32])?, Key::new(&[2; 32])?);
    /// let mut ring = Keyring::new();
    /// ring.add(primary.clone())?;
    /// ring.add(old.clone())?;
    /// ring.remove(&old)?;
    /// assert_eq!(ring.remove(&primary), Err(KeyringError::Primary));
    /// assert_eq!(ring.keys().len(), 1);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&mut self, key: &Key) -> Result<(), KeyringError> {
        match self.position(key) {
            None => Ok(()),
            Some(0) => Err(KeyringError::Primary),
            Some(position) => {
                self.entries.remove(position);
                Ok(())
            }
        }
    }

    /// The key that seals; `None` when the ring is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, Keyring};
    ///
    /// let mut ring = Keyring::new();
    /// assert_eq!(ring.primary(), None);
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// let key = Key::new(&[1; 32])?;
    /// ring.add(key.clone())?;
    /// assert_eq!(ring.primary(), Some(&key));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn primary(&self) -> Option<&Key> {
        self.entries.first().map(|entry| &entry.key)
    }

    /// All keys, the primary first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, Keyring};
    ///
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// let mut ring = Keyring::new();
    /// for byte in [1, 2, 3] {
    ///     ring.add(Key::new(&[byte; 32])?)?;
    /// }
    /// ring.use_key(&Key::new(&[3; 32])?)?;
    /// assert_eq!(ring.keys().map(|key| key.as_bytes()[0]).collect::<Vec<_>>(), [3, 1, 2]);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.entries.iter().map(|entry| &entry.key)
    }

    /// Whether no key is installed.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, Keyring};
    ///
    /// let mut ring = Keyring::new();
    /// assert!(ring.is_empty());
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// ring.add(Key::new(&[1; 32])?)?;
    /// assert!(!ring.is_empty());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// From here on only keys that XChaCha20 can use are taken.
    pub(crate) fn require_long_keys(&mut self) {
        self.long_keys_only = true;
    }

    pub(crate) fn primary_cipher(&self) -> Option<&Cipher> {
        self.entries.first().map(|entry| &*entry.cipher)
    }

    pub(crate) fn ciphers(&self) -> impl Iterator<Item = &Cipher> {
        self.entries.iter().map(|entry| &*entry.cipher)
    }

    fn position(&self, key: &Key) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == *key)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

/// Why the keyring stays as it was. The texts of the first two are Serf's. See [`Keyring::add`], [`Keyring::use_key`]
/// and [`Keyring::remove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyringError {
    /// Only an installed key can become the primary.
    NotInstalled,
    /// The primary cannot be removed.
    Primary,
    /// The native wire takes keys of 32 bytes only.
    UnfitLength,
    /// [`Keyring::KEYS_MAX`] keys are installed.
    Full,
    /// Built without the feature `encryption`.
    NoCiphers,
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInstalled => "Requested key is not in the keyring",
            Self::Primary => "Removing the primary key is not allowed",
            Self::UnfitLength => "key size must be 32 bytes",
            Self::Full => "the keyring is full",
            Self::NoCiphers => "encryption is not part of this build",
        })
    }
}

impl core::error::Error for KeyringError {}

pub(crate) const KEY_LEN_MAX: usize = 32;
/// Any number; it only has to stay the same, because traces name keys by their id.
const KEY_ID_STREAM: u64 = 0x6b65_792d_6964_0000;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn key(byte: u8, len: usize) -> Key {
        Key::new(&[byte; 32][..len]).unwrap()
    }

    #[test]
    fn key_lengths() {
        for len in 0..=33 {
            assert_eq!(Key::new(&[7; 33][..len]).is_ok(), matches!(len, 16 | 24 | 32), "{len}");
        }
        assert_eq!(KeyLengthError.to_string(), "key size must be 16, 24 or 32 bytes");
    }

    #[test]
    fn ids_differ_and_hide_the_key() {
        let mut padded = [9; 32];
        padded[16..].fill(0);
        let ids = [key(9, 16).id(), key(9, 24).id(), key(9, 32).id(), Key::new(&padded).unwrap().id()];
        for (i, a) in ids.iter().enumerate() {
            assert!(ids.iter().skip(i + 1).all(|b| a != b), "{ids:?}");
        }
        assert_eq!(format!("{:?}", key(9, 16)), format!("Key({})", ids[0]));
        assert!(!format!("{:?}", key(9, 16)).contains("0909"));
    }

    #[cfg(feature = "encryption")]
    #[test]
    fn order_and_refusals() {
        let mut ring = Keyring::new();
        assert!(ring.is_empty() && ring.primary().is_none());
        let (a, b, c) = (key(1, 16), key(2, 24), key(3, 32));
        for key in [&a, &b, &c, &b] {
            ring.add(key.clone()).unwrap();
        }
        let order = |ring: &Keyring| ring.keys().map(|key| key.as_bytes()[0]).collect::<Vec<_>>();
        assert_eq!(order(&ring), [1, 2, 3]);
        ring.use_key(&c).unwrap();
        assert_eq!(order(&ring), [3, 1, 2]);
        assert_eq!(ring.primary(), Some(&c));
        assert_eq!(ring.remove(&c).unwrap_err().to_string(), "Removing the primary key is not allowed");
        ring.remove(&a).unwrap();
        ring.remove(&a).unwrap();
        assert_eq!(order(&ring), [3, 2]);
        assert_eq!(ring.use_key(&a).unwrap_err().to_string(), "Requested key is not in the keyring");
        for byte in 4.. {
            let added = ring.add(key(byte, 16));
            assert_eq!(added.is_err(), ring.keys().len() == Keyring::KEYS_MAX && usize::from(byte) > 4 + 61);
            if added.is_err() {
                break;
            }
        }
        let mut native = Keyring::new();
        native.require_long_keys();
        assert_eq!(native.add(a), Err(KeyringError::UnfitLength));
        assert_eq!(native.add(c), Ok(()));
    }

    #[cfg(not(feature = "encryption"))]
    #[test]
    fn no_key_without_ciphers() {
        assert_eq!(Keyring::new().add(key(1, 32)), Err(KeyringError::NoCiphers));
    }
}
