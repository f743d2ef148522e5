//! Bytes in, borrowed messages out, and back. No policy.
//!
//! Read `message.rs` first: it names everything that can be said. `codec.rs` chooses between the two encodings,
//! `msgpack.rs` (HashiCorp's) and `native.rs` (bincode); `serf.rs` is what the layer above says, in both. `envelope.rs`
//! takes datagrams apart and puts them together: label, seal, checksum, from the outside in, and `unpack.rs` what is left
//! then, compression and compound. `framing.rs` does the same for streams.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub(crate) mod checksum;
pub mod cipher;
pub mod codec;
pub mod compound;
pub(crate) mod compress;
pub mod envelope;
pub mod framing;
pub mod key_text;
pub mod keyring;
pub mod label;
pub mod message;
mod msgpack;
mod native;
pub(crate) mod reader;
pub mod serf;
pub(crate) mod unpack;

use core::fmt;

use serde::{Deserialize, Serialize};

use self::cipher::{Cipher, SealVersion};
use self::codec::Codec;
use self::keyring::Keyring;
use self::label::Label;

/// How this node wraps what it sends and what it accepts.
///
/// ```
/// use swim_core::wire::{Config, label::Label};
///
/// let config = Config { label: Label::from("blue"), ..Config::serf() };
/// assert_eq!(config.validate(), Ok(()));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Which of the two wire formats.
    pub codec: Codec,
    /// The name of the cluster in front of everything; empty means none, at most [`Label::LEN_MAX`] bytes.
    pub label: Label,
    /// A proxy takes the label off what arrives here: then there must be none, and ours is assumed. What is sent is
    /// labelled all the same.
    pub skip_inbound_label_check: bool,
    /// The keys; none means that nothing is sealed. Never serialised.
    #[serde(skip)]
    pub keyring: Keyring,
    /// With keys: refuse what is not sealed. Off only while keys are being introduced into a running cluster.
    pub verify_incoming: bool,
    /// With keys: seal what is sent. Off only while keys are being introduced into a running cluster.
    pub verify_outgoing: bool,
    /// Compress what is sent: datagrams where it helps; on streams Serf's wire always and the native one where it
    /// helps. What arrives compressed is understood either way.
    pub compression: bool,
    /// Serf's payload layout when sealing.
    pub seal_version: SealVersion,
    /// Bytes of a datagram before compression, 512 to 65507 (memberlist: `UDPBufferSize`).
    pub datagram_len_max: usize,
}

impl Config {
    /// Our own wire format: no label, no keys, compressed if this build can.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, codec::Codec};
    ///
    /// let config = Config::native();
    /// assert_eq!(config.codec, Codec::Native);
    /// assert!(config.keyring.is_empty() && config.label.is_empty());
    /// ```
    pub fn native() -> Self {
        Self {
            codec: Codec::Native,
            label: Label::default(),
            skip_inbound_label_check: false,
            keyring: Keyring::new(),
            verify_incoming: true,
            verify_outgoing: true,
            compression: cfg!(feature = "compression"),
            seal_version: SealVersion::V1,
            datagram_len_max: 1400,
        }
    }

    /// Serf's wire format, with memberlist's defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, codec::Codec};
    ///
    /// let config = Config::serf();
    /// assert_eq!((config.codec, config.datagram_len_max), (Codec::Serf, 1400));
    /// ```
    pub fn serf() -> Self {
        Self { codec: Codec::Serf, ..Self::native() }
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, ConfigError, label::Label};
    ///
    /// let mut config = Config::native();
    /// config.label = Label::from("x".repeat(256).as_str());
    /// assert_eq!(config.validate(), Err(ConfigError::LabelTooLong));
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.label.as_bytes().len() > Label::LEN_MAX {
            return Err(ConfigError::LabelTooLong);
        }
        if self.codec == Codec::Native && self.keyring.keys().any(|key| key.as_bytes().len() != 32) {
            return Err(ConfigError::UnfitKey);
        }
        if self.compression && cfg!(not(feature = "compression")) {
            return Err(ConfigError::NoCompression);
        }
        if !(DATAGRAM_LEN_LEAST..=DATAGRAM_LEN_MOST).contains(&self.datagram_len_max) {
            return Err(ConfigError::DatagramLen);
        }
        Ok(())
    }

    /// What seals, if what is sent is to be sealed.
    fn sealing_cipher(&self) -> Option<&Cipher> {
        if self.verify_outgoing { self.keyring.primary_cipher() } else { None }
    }

    /// Random bytes that sealing takes.
    const fn nonce_len(&self) -> usize {
        match self.codec {
            Codec::Native => cipher::NATIVE_NONCE,
            Codec::Serf => cipher::SERF_NONCE,
        }
    }

    /// Bytes of a datagram that are not its content.
    fn datagram_overhead(&self, checksum: bool) -> usize {
        let sealing = self.sealing_cipher().is_some();
        let inner = match self.codec {
            Codec::Native if sealing => envelope::NATIVE_HEAD.saturating_add(cipher::NATIVE_OVERHEAD),
            Codec::Native => envelope::NATIVE_HEAD.saturating_add(checksum::LEN),
            Codec::Serf => {
                let seal = if sealing { self.seal_version.overhead() } else { 0 };
                seal.saturating_add(if checksum { checksum::LEN.saturating_add(1) } else { 0 })
            }
        };
        inner.saturating_add(self.label.header_len())
    }
}

/// Why a [`Config`] cannot be used. See [`Config::validate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// More than 255 bytes of label.
    LabelTooLong,
    /// The native wire format takes keys of 32 bytes only.
    UnfitKey,
    /// Built without the feature `compression`.
    NoCompression,
    /// A datagram length outside 512 to 65507 bytes.
    DatagramLen,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LabelTooLong => "the label must not be longer than 255 bytes",
            Self::UnfitKey => "the native wire format takes keys of 32 bytes only",
            Self::NoCompression => "compression is not part of this build",
            Self::DatagramLen => "the datagram length must be between 512 and 65507 bytes",
        })
    }
}

impl core::error::Error for ConfigError {}

/// The longest label, the largest overheads, and still a message.
const DATAGRAM_LEN_LEAST: usize = 512;
/// What UDP over IPv4 carries.
const DATAGRAM_LEN_MOST: usize = 65507;
