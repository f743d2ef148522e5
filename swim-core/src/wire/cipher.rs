//! Sealing and opening, in place.
//!
//! Serf's payload is AES-GCM (memberlist: `security.go`):
//!
//! ```text
//! version(u8)  nonce(12)  ciphertext  tag(16)      version 0: plaintext padded to blocks of 16 (PKCS#7)
//! ```
//!
//! The native one is XChaCha20-Poly1305, whose long nonces may be drawn at random for ever under one key:
//!
//! ```text
//! nonce(24)  ciphertext  tag(16)
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use super::keyring::{Key, Keyring};

/// Which of Serf's two payload layouts is written; both are always read. The native wire has one layout only.
///
/// ```
/// use swim_core::wire::{Config, cipher::SealVersion};
///
/// // For a cluster in which some members speak protocol 1 only:
/// let config = Config { seal_version: SealVersion::V0, ..Config::serf() };
/// assert_ne!(config.seal_version, SealVersion::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SealVersion {
    /// Padded to blocks of 16 bytes; for clusters that speak protocol 1.
    V0 = 0,
    /// Not padded.
    #[default]
    V1 = 1,
}

impl SealVersion {
    /// Bytes that sealing adds, at most.
    pub(crate) const fn overhead(self) -> usize {
        match self {
            Self::V0 => 45,
            Self::V1 => 29,
        }
    }
}

/// Why a payload did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// No installed key authenticates it; the bytes are untouched.
    NoKey,
    /// Authentic, but not what a sender may write.
    Padding,
}

/// Lays out room for the head of Serf's payload; the plaintext goes behind it.
pub(crate) fn begin_serf(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; SERF_HEAD]);
}

/// Seals what stands in `out` behind the head that [`begin_serf`] left at `start`. False if it cannot be done.
pub(crate) fn seal_serf(
    cipher: &Cipher,
    version: SealVersion,
    nonce: &[u8; SERF_NONCE],
    aad: &[u8],
    out: &mut Vec<u8>,
    start: usize,
) -> bool {
    if version == SealVersion::V0 {
        pad(out, start);
    }
    let Some((head, plain)) = out.get_mut(start..).and_then(|payload| payload.split_at_mut_checked(SERF_HEAD)) else {
        return false;
    };
    let Some(tag) = cipher.seal_aes(nonce, aad, plain) else { return false };
    for (to, from) in head.iter_mut().zip([version as u8].iter().chain(nonce)) {
        *to = *from;
    }
    out.extend_from_slice(&tag);
    true
}

/// Bytes of a sealed payload that holds `plain_len` bytes.
pub(crate) fn serf_payload_len(version: SealVersion, plain_len: usize) -> usize {
    let padding = match version {
        SealVersion::V0 => padding_len(plain_len),
        SealVersion::V1 => 0,
    };
    plain_len.saturating_add(padding).saturating_add(SERF_HEAD).saturating_add(TAG)
}

/// Opens Serf's payload in place with whichever key fits; returns where the plaintext stands.
pub(crate) fn open_serf(keyring: &Keyring, aad: &[u8], payload: &mut [u8]) -> Result<Range<usize>, OpenError> {
    let (head, text) = payload.split_at_mut_checked(SERF_HEAD).ok_or(OpenError::NoKey)?;
    let (version, nonce) = head.split_first_chunk::<1>().ok_or(OpenError::NoKey)?;
    let nonce: &[u8; SERF_NONCE] = nonce.try_into().map_err(|_| OpenError::NoKey)?;
    let (text, tag) = text.split_last_chunk_mut::<TAG>().ok_or(OpenError::NoKey)?;
    let padded = match *version {
        [0] => true,
        [1] => false,
        [_] => return Err(OpenError::NoKey),
    };
    if !keyring.ciphers().any(|cipher| cipher.open_aes(nonce, aad, text, tag)) {
        return Err(OpenError::NoKey);
    }
    let len = if padded { unpadded_len(text).ok_or(OpenError::Padding)? } else { text.len() };
    Ok(SERF_HEAD..SERF_HEAD.saturating_add(len))
}

/// Lays out room for the nonce of the native payload; the plaintext goes behind it.
pub(crate) fn begin_native(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; NATIVE_NONCE]);
}

/// Seals what stands in `out` behind the room that [`begin_native`] left at `start`. False if it cannot be done.
pub(crate) fn seal_native(
    cipher: &Cipher,
    nonce: &[u8; NATIVE_NONCE],
    aad: &[u8],
    out: &mut Vec<u8>,
    start: usize,
) -> bool {
    let Some((head, plain)) = out.get_mut(start..).and_then(|payload| payload.split_at_mut_checked(NATIVE_NONCE))
    else {
        return false;
    };
    let Some(tag) = cipher.seal_xchacha(nonce, aad, plain) else { return false };
    head.copy_from_slice(nonce);
    out.extend_from_slice(&tag);
    true
}

/// Opens the native payload in place with whichever key fits; returns where the plaintext stands.
pub(crate) fn open_native(keyring: &Keyring, aad: &[u8], payload: &mut [u8]) -> Result<Range<usize>, OpenError> {
    let (nonce, text) = payload.split_first_chunk_mut::<NATIVE_NONCE>().ok_or(OpenError::NoKey)?;
    let (text, tag) = text.split_last_chunk_mut::<TAG>().ok_or(OpenError::NoKey)?;
    if !keyring.ciphers().any(|cipher| cipher.open_xchacha(nonce, aad, text, tag)) {
        return Err(OpenError::NoKey);
    }
    Ok(NATIVE_NONCE..NATIVE_NONCE.saturating_add(text.len()))
}

/// Additional authenticated data, collected without allocating.
pub(crate) struct Aad {
    bytes: [u8; AAD_MAX],
    len: usize,
}

impl Aad {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; AAD_MAX], len: 0 }
    }

    pub(crate) fn push(&mut self, part: &[u8]) {
        let end = self.len.saturating_add(part.len());
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(part);
            self.len = end;
        } else {
            debug_assert!(false, "the longest label and all fixed parts fit");
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

#[cfg(feature = "encryption")]
mod prepared {
    use aes_gcm::aead::consts::U12;
    use aes_gcm::aes::Aes192;
    use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, AesGcm, KeyInit};
    use chacha20poly1305::XChaCha20Poly1305;

    use super::{Key, NATIVE_NONCE, SERF_NONCE, TAG};

    /// The ciphers of one key, their key schedules done.
    #[derive(Clone)]
    pub(crate) struct Cipher {
        aes: Aes,
        xchacha: Option<XChaCha20Poly1305>,
    }

    #[derive(Clone)]
    enum Aes {
        K128(Aes128Gcm),
        K192(AesGcm<Aes192, U12>),
        K256(Aes256Gcm),
    }

    impl Cipher {
        pub(crate) fn new(key: &Key) -> Option<Self> {
            let bytes = key.as_bytes();
            let aes = match bytes.len() {
                16 => Aes::K128(Aes128Gcm::new_from_slice(bytes).ok()?),
                24 => Aes::K192(AesGcm::new_from_slice(bytes).ok()?),
                _ => Aes::K256(Aes256Gcm::new_from_slice(bytes).ok()?),
            };
            Some(Self { aes, xchacha: XChaCha20Poly1305::new_from_slice(bytes).ok() })
        }

        pub(super) fn seal_aes(&self, nonce: &[u8; SERF_NONCE], aad: &[u8], plain: &mut [u8]) -> Option<[u8; TAG]> {
            let (nonce, plain) = (nonce.into(), plain.into());
            let tag = match &self.aes {
                Aes::K128(aes) => aes.encrypt_inout_detached(nonce, aad, plain),
                Aes::K192(aes) => aes.encrypt_inout_detached(nonce, aad, plain),
                Aes::K256(aes) => aes.encrypt_inout_detached(nonce, aad, plain),
            };
            tag.ok().map(Into::into)
        }

        /// Leaves `text` as it is unless the tag fits.
        pub(super) fn open_aes(&self, nonce: &[u8; SERF_NONCE], aad: &[u8], text: &mut [u8], tag: &[u8; TAG]) -> bool {
            let (nonce, text, tag) = (nonce.into(), text.into(), tag.into());
            match &self.aes {
                Aes::K128(aes) => aes.decrypt_inout_detached(nonce, aad, text, tag),
                Aes::K192(aes) => aes.decrypt_inout_detached(nonce, aad, text, tag),
                Aes::K256(aes) => aes.decrypt_inout_detached(nonce, aad, text, tag),
            }
            .is_ok()
        }

        pub(super) fn seal_xchacha(
            &self,
            nonce: &[u8; NATIVE_NONCE],
            aad: &[u8],
            plain: &mut [u8],
        ) -> Option<[u8; TAG]> {
            let tag = self.xchacha.as_ref()?.encrypt_inout_detached(nonce.into(), aad, plain.into());
            tag.ok().map(Into::into)
        }

        /// Leaves `text` as it is unless the tag fits.
        pub(super) fn open_xchacha(
            &self,
            nonce: &[u8; NATIVE_NONCE],
            aad: &[u8],
            text: &mut [u8],
            tag: &[u8; TAG],
        ) -> bool {
            self.xchacha
                .as_ref()
                .is_some_and(|cipher| cipher.decrypt_inout_detached(nonce.into(), aad, text.into(), tag.into()).is_ok())
        }
    }
}

#[cfg(not(feature = "encryption"))]
mod prepared {
    use super::{Key, NATIVE_NONCE, SERF_NONCE, TAG};

    /// There is none: without the feature no key gets into a keyring.
    #[derive(Clone)]
    pub(crate) enum Cipher {}

    impl Cipher {
        pub(crate) const fn new(_key: &Key) -> Option<Self> {
            None
        }

        pub(super) const fn seal_aes(&self, _: &[u8; SERF_NONCE], _: &[u8], _: &mut [u8]) -> Option<[u8; TAG]> {
            match *self {}
        }

        pub(super) const fn open_aes(&self, _: &[u8; SERF_NONCE], _: &[u8], _: &mut [u8], _: &[u8; TAG]) -> bool {
            match *self {}
        }

        pub(super) const fn seal_xchacha(&self, _: &[u8; NATIVE_NONCE], _: &[u8], _: &mut [u8]) -> Option<[u8; TAG]> {
            match *self {}
        }

        pub(super) const fn open_xchacha(&self, _: &[u8; NATIVE_NONCE], _: &[u8], _: &mut [u8], _: &[u8; TAG]) -> bool {
            match *self {}
        }
    }
}

pub(crate) use prepared::Cipher;

/// Pads what stands behind the head to whole blocks; a full block if it is whole already.
fn pad(out: &mut Vec<u8>, start: usize) {
    let plain_len = out.len().saturating_sub(start).saturating_sub(SERF_HEAD);
    let padding = padding_len(plain_len);
    let padding_byte = u8::try_from(padding).unwrap_or(BLOCK as u8);
    out.resize(out.len().saturating_add(padding), padding_byte);
}

const fn padding_len(plain_len: usize) -> usize {
    BLOCK.saturating_sub(plain_len & BLOCK.saturating_sub(1))
}

/// Go believes the last byte; a wrong one there would reach past the start.
fn unpadded_len(padded: &[u8]) -> Option<usize> {
    let padding = usize::from(*padded.last()?);
    if !(1..=BLOCK).contains(&padding) {
        return None;
    }
    padded.len().checked_sub(padding)
}

const BLOCK: usize = 16;
/// Bytes of Serf's nonce.
pub(crate) const SERF_NONCE: usize = 12;
/// Bytes in front of Serf's ciphertext: version and nonce.
const SERF_HEAD: usize = 1 + SERF_NONCE;
/// Bytes of the native nonce.
pub(crate) const NATIVE_NONCE: usize = 24;
/// Bytes of either cipher's tag.
const TAG: usize = 16;
/// Bytes that sealing adds to a native datagram.
pub(crate) const NATIVE_OVERHEAD: usize = NATIVE_NONCE + TAG;
/// A label header, the longest label, and the fixed parts of a stream frame.
const AAD_MAX: usize = 288;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn padding() {
        #[rustfmt::skip]
        let table = [(0, 16), (1, 15), (15, 1), (16, 16), (17, 15), (32, 16)];
        for (len, padding) in table {
            assert_eq!(padding_len(len), padding, "{len}");
            let mut out = Vec::new();
            begin_serf(&mut out);
            out.resize(SERF_HEAD + len, 0xee);
            pad(&mut out, 0);
            assert_eq!(unpadded_len(&out[SERF_HEAD..]), Some(len));
        }
        for (text, len) in [(&[][..], None), (&[0], None), (&[17; 32], None), (&[2], None), (&[1], Some(0))] {
            assert_eq!(unpadded_len(text), len, "{text:?}");
        }
    }

    #[cfg(feature = "encryption")]
    mod sealed {
        use super::*;

        fn ring(lens: &[usize]) -> Keyring {
            let mut ring = Keyring::new();
            for (byte, &len) in (1..).zip(lens) {
                ring.add(Key::new(&[byte; 32][..len]).unwrap()).unwrap();
            }
            ring
        }

        #[test]
        fn serf_round_trip_and_any_flipped_bit() {
            for key_len in [16, 24, 32] {
                for version in [SealVersion::V0, SealVersion::V1] {
                    for len in [0, 1, 15, 16, 33] {
                        let keyring = ring(&[key_len]);
                        let mut sealed = Vec::new();
                        begin_serf(&mut sealed);
                        sealed.resize(SERF_HEAD + len, 7);
                        let cipher = keyring.primary_cipher().unwrap();
                        assert!(seal_serf(cipher, version, &[5; 12], b"label", &mut sealed, 0));
                        assert_eq!(sealed.len(), serf_payload_len(version, len));
                        assert!(sealed.len() <= len + version.overhead());
                        for bit in 0..sealed.len() * 8 {
                            let mut bad = sealed.clone();
                            bad[bit / 8] ^= 1 << (bit % 8);
                            // The version byte is not authenticated: read as version 0, the text may lack padding.
                            let opened = open_serf(&keyring, b"label", &mut bad);
                            assert!(opened.is_err() || bit == 0, "{bit}");
                        }
                        assert_eq!(open_serf(&keyring, b"lab", &mut sealed.clone()), Err(OpenError::NoKey));
                        let mut keyring = ring(&[32, 16, key_len]);
                        keyring.add(Key::new(&[1; 32][..key_len]).unwrap()).unwrap();
                        let plain = open_serf(&keyring, b"label", &mut sealed).unwrap();
                        assert_eq!(&sealed[plain], &[7; 33][..len]);
                    }
                }
            }
        }

        #[test]
        fn native_round_trip_and_any_flipped_bit() {
            let keyring = ring(&[32]);
            let mut sealed = b"xx".to_vec();
            begin_native(&mut sealed);
            sealed.extend_from_slice(b"hello");
            assert!(seal_native(keyring.primary_cipher().unwrap(), &[5; 24], b"aad", &mut sealed, 2));
            assert_eq!(sealed.len(), 2 + 5 + NATIVE_OVERHEAD);
            let sealed = &mut sealed[2..];
            for bit in 0..sealed.len() * 8 {
                let mut bad = sealed.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open_native(&keyring, b"aad", &mut bad), Err(OpenError::NoKey), "{bit}");
            }
            assert_eq!(open_native(&keyring, b"", sealed), Err(OpenError::NoKey));
            let plain = open_native(&keyring, b"aad", sealed).unwrap();
            assert_eq!(&sealed[plain], b"hello");
            assert!(!seal_native(ring(&[16]).primary_cipher().unwrap(), &[5; 24], b"", &mut Vec::from([0; 30]), 0));
        }

        #[test]
        fn short_payloads() {
            for len in 0..60 {
                assert_eq!(open_serf(&ring(&[16]), b"", &mut [1; 60][..len]), Err(OpenError::NoKey));
                assert_eq!(open_native(&ring(&[32]), b"", &mut [1; 60][..len]), Err(OpenError::NoKey));
            }
        }
    }
}
