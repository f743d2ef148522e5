//! Datagrams, from the outside in and from the inside out.
//!
//! ```text
//! Serf:    [f4 size label] [version nonce(12) … tag(16)] [0c crc(4)] [09 map] message or compound
//!          each bracket optional, inner ones inside the seal                          (memberlist: net.go, rawSendMsgPacket)
//!
//! native:  [f4 size label] f5 flags nonce(24) { content } tag(16)                     sealed
//!          [f4 size label] f5 flags crc(4) content                                    not sealed
//!          content: message or compound, or plain_len(4) and its LZ4 block
//!          flags: bits 0–3 version (1), 4 sealed, 5 lz4, 6 crc32, 7 must be 0
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::iter::Take;
use core::ops::Range;

use super::checksum::{self, crc32};
use super::cipher::{self, Aad, NATIVE_NONCE, OpenError, SERF_NONCE};
use super::codec::Codec;
use super::compound::{self, Parts};
use super::compress::{self, Compressor, DecompressError};
use super::keyring::Keyring;
use super::label::LabelError;
use super::message::kind;
use super::unpack::{Receiver, Unpacker};
use super::{Config, ConfigError};
use crate::rng::Rng;

/// Wraps and unwraps datagrams as configured. Keeps its scratch buffers, so that a steady state allocates nothing. See
/// [`Envelope::open`].
#[derive(Debug)]
pub struct Envelope {
    config: Config,
    compressor: Compressor,
    /// Of the messages in the packet being written.
    lengths: Vec<u16>,
    packed: Vec<u8>,
    /// Buffers for decompressed content, one per level of nesting that has occurred.
    spare: Vec<Vec<u8>>,
    unsealed: u64,
}

impl Envelope {
    /// Takes a valid configuration. With the native codec its keyring takes keys of 32 bytes only from now on.
    ///
    /// # Errors
    ///
    /// Those of [`Config::validate`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, ConfigError, envelope::Envelope};
    ///
    /// assert!(Envelope::new(Config::native()).is_ok());
    /// let tiny = Config { datagram_len_max: 100, ..Config::native() };
    /// assert_eq!(Envelope::new(tiny).err(), Some(ConfigError::DatagramLen));
    /// ```
    pub fn new(mut config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        if config.codec == Codec::Native {
            config.keyring.require_long_keys();
        }
        Ok(Self {
            config,
            compressor: Compressor::default(),
            lengths: Vec::new(),
            packed: Vec::new(),
            spare: Vec::new(),
            unsealed: 0,
        })
    }

    /// Unwraps a datagram in place and hands the kind byte and the body of each message to `each`, in order.
    ///
    /// What is bad inside a good datagram is handed out as an error in its place; the others stand.
    ///
    /// # Errors
    ///
    /// When the outer layers are bad; then nothing has been handed out.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::Config;
    /// use swim_core::wire::envelope::{DatagramError, Envelope};
    /// use swim_core::wire::message::kind;
    ///
    /// let mut envelope = Envelope::new(Config::serf())?;
    /// // Two user messages in a compound.
    /// let mut datagram = b"\x07\x02\0\x03\0\x04\x08hi\x08you".to_vec();
    /// let mut heard = Vec::new();
    /// envelope.open(&mut datagram, &mut |part| match part {
    ///     Ok((kind::USER, body)) => heard.push(body.to_vec()),
    ///     Ok(_) | Err(_) => panic!("nothing else is in there"),
    /// })?;
    /// assert_eq!(heard, [&b"hi"[..], b"you"]);
    /// assert_eq!(envelope.open(&mut [], &mut |_| {}), Err(DatagramError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&mut self, datagram: &mut [u8], each: Each<'_>) -> Result<(), DatagramError> {
        self.open_for(datagram, &mut EachOnly(each))
    }

    /// As [`open`](Self::open), for one who wants to know what is coming.
    pub(crate) fn open_for(&mut self, datagram: &mut [u8], receiver: &mut dyn Receiver) -> Result<(), DatagramError> {
        let Self { config, compressor, spare, unsealed, .. } = self;
        if datagram.is_empty() {
            return Err(DatagramError::Empty);
        }
        let start =
            config.label.strip(datagram, config.skip_inbound_label_check)?.ok_or(DatagramError::LabelMalformed)?;
        let plain_left = datagram_plain_max(datagram.len());
        let inner = datagram.get_mut(start..).unwrap_or_default();
        let mut unpacker = Unpacker { compressor, spare, plain_left, serf: config.codec == Codec::Serf };
        match config.codec {
            Codec::Serf => {
                let (content, sealed) = open_serf(config, inner)?;
                *unsealed = unsealed.saturating_add(u64::from(!sealed && !config.keyring.is_empty()));
                unpacker.deliver(content, 0, receiver)?;
            }
            Codec::Native => {
                let flags = check_native_head(config, inner)?;
                let (head, body) = inner.split_at_mut_checked(NATIVE_HEAD).ok_or(DatagramError::Garbage)?;
                let content = open_native_body(config, flags, head, &[], body)?;
                let plain = flags & FLAG_SEALED == 0 && !config.keyring.is_empty();
                *unsealed = unsealed.saturating_add(u64::from(plain));
                let content = body.get(content).unwrap_or_default();
                if flags & FLAG_LZ4 == 0 {
                    unpacker.deliver(content, 0, receiver)?;
                } else {
                    unpacker.deliver_lz4(content, receiver)?;
                }
            }
        }
        Ok(())
    }

    /// How many datagrams were opened that had no seal, though there are keys: with
    /// [`verify_incoming`](Config::verify_incoming) off only.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, envelope::Envelope, keyring::Key};
    ///
    /// # #[cfg(feature = "encryption")] {
    /// let mut config = Config { verify_incoming: false, ..Config::serf() };
    /// config.keyring.add(Key::new(&[7; 32])?)?;
    /// let mut envelope = Envelope::new(config)?;
    /// envelope.open(&mut b"\x08hello".to_vec(), &mut |_| {})?;
    /// assert_eq!(envelope.unsealed(), 1);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unsealed(&self) -> u64 {
        self.unsealed
    }

    /// Starts a datagram in `buf`, which is cleared.
    ///
    /// `checksum`: the receiver understands Serf's checksum header (its `pmax` is 5 or more). The native wire has its
    /// own and does not ask.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, envelope::Envelope};
    ///
    /// let mut envelope = Envelope::new(Config::serf())?;
    /// let mut buf = Vec::new();
    /// let packet = envelope.begin(&mut buf, true);
    /// assert!(packet.is_empty());
    /// // The checksum takes five bytes of what one message may have.
    /// assert_eq!(packet.room(), 1400 - 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin<'a>(&'a mut self, buf: &'a mut Vec<u8>, checksum: bool) -> Packet<'a> {
        let Self { config, lengths, .. } = self;
        lengths.clear();
        buf.clear();
        config.label.write_header(buf);
        let head_at = buf.len();
        let sealing = config.sealing_cipher().is_some();
        let checksum = match config.codec {
            Codec::Serf => checksum,
            Codec::Native => !sealing,
        };
        if config.codec == Codec::Native {
            buf.extend_from_slice(&[NATIVE_MARK, NATIVE_VERSION]);
        }
        let seal_at = buf.len();
        match config.codec {
            Codec::Serf if sealing => cipher::begin_serf(buf),
            Codec::Native if sealing => cipher::begin_native(buf),
            Codec::Serf | Codec::Native => {}
        }
        match config.codec {
            Codec::Serf if checksum => buf.extend_from_slice(&[kind::CHECKSUM, 0, 0, 0, 0]),
            Codec::Native if checksum => buf.extend_from_slice(&[0; checksum::LEN]),
            Codec::Serf | Codec::Native => {}
        }
        let content_at = buf.len();
        Packet { envelope: self, buf, checksum, head_at, seal_at, content_at }
    }

    /// To install, to choose and to remove keys while the node runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::{Key, KeyringError};
    /// use swim_core::wire::{Config, envelope::Envelope};
    ///
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// let mut envelope = Envelope::new(Config::native())?;
    /// envelope.keyring_mut().add(Key::new(&[1; 32])?)?;
    /// assert!(envelope.is_sealing());
    /// let short = Key::new(&[1; 16])?;
    /// assert_eq!(envelope.keyring_mut().add(short), Err(KeyringError::UnfitLength));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keyring_mut(&mut self) -> &mut Keyring {
        &mut self.config.keyring
    }

    /// As given to [`new`](Self::new), with the keys of today.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, codec::Codec, envelope::Envelope};
    ///
    /// let envelope = Envelope::new(Config::serf())?;
    /// assert_eq!(envelope.config().codec, Codec::Serf);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether what is sent is encrypted: there is a key, and `verify_outgoing` is not off.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, envelope::Envelope};
    ///
    /// let envelope = Envelope::new(Config::serf())?;
    /// assert!(!envelope.is_sealing(), "there is no key");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_sealing(&self) -> bool {
        self.config.sealing_cipher().is_some()
    }

    /// Whether nothing plain is sent, nor taken in: there is a key, and neither `verify_outgoing` nor `verify_incoming` is
    /// off.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, envelope::Envelope, keyring::Key};
    ///
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// let mut config = Config { verify_incoming: false, ..Config::serf() };
    /// config.keyring.add(Key::new(&[1; 32])?)?;
    /// let envelope = Envelope::new(config)?;
    /// assert!(envelope.is_sealing() && !envelope.is_enforcing());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_enforcing(&self) -> bool {
        self.is_sealing() && self.config.verify_incoming
    }
}

/// Takes the kind byte and the body of one message, or learns why a part was dropped. See [`Envelope::open`].
pub type Each<'a> = &'a mut dyn FnMut(Result<(u8, &[u8]), PartError>);

struct EachOnly<'a>(Each<'a>);

impl Receiver for EachOnly<'_> {
    fn ahead(&mut self, _: Take<Parts<'_>>) {}

    fn part(&mut self, part: Result<(u8, &[u8]), PartError>) {
        (self.0)(part);
    }
}

/// A datagram being written. A [`Node`](crate::Node) finishes it, because the nonces of the seal are drawn from its
/// seed. See [`Packet::push`].
#[derive(Debug)]
pub struct Packet<'a> {
    envelope: &'a mut Envelope,
    buf: &'a mut Vec<u8>,
    checksum: bool,
    /// Where in `buf` the part behind the label begins, what is sealed, and the messages.
    head_at: usize,
    seal_at: usize,
    content_at: usize,
}

impl Packet<'_> {
    /// Adds the message that `write` appends, kind byte first.
    ///
    /// One that cannot stand in a compound is left out: an empty one, one of more than 65535 bytes, or one past
    /// [`compound::PARTS_MAX`]. One that does not fit the budget is taken: [`room`](Self::room) tells beforehand.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::SequenceNumber;
    /// use swim_core::wire::message::Nack;
    /// use swim_core::wire::{Config, codec::Codec, envelope::Envelope};
    ///
    /// let mut envelope = Envelope::new(Config::serf())?;
    /// let mut buf = Vec::new();
    /// let mut packet = envelope.begin(&mut buf, false);
    /// packet.push(|out| Codec::Serf.encode_nack(Nack { seq: SequenceNumber(7) }, out));
    /// packet.push(|_| {}); // nothing is nothing
    /// assert_eq!(packet.len_parts(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buf.len();
        write(self.buf);
        match u16::try_from(self.buf.len().saturating_sub(start)) {
            Ok(len @ 1..) if self.len_parts() < compound::PARTS_MAX => self.envelope.lengths.push(len),
            Ok(_) | Err(_) => self.buf.truncate(start),
        }
    }

    /// Adds one whole message, kind byte first; see [`push`](Self::push).
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, envelope::Envelope};
    ///
    /// let mut envelope = Envelope::new(Config { compression: false, ..Config::serf() })?;
    /// let mut buf = Vec::new();
    /// let mut packet = envelope.begin(&mut buf, false);
    /// packet.push_bytes(b"\x08hi");
    /// packet.push_bytes(b"\x08you");
    /// # packet.finish_with_nonce(&[0; 24]); // nothing is sealed
    /// assert_eq!(buf, b"\x07\x02\0\x03\0\x04\x08hi\x08you");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_bytes(&mut self, message: &[u8]) {
        self.push(|out| out.extend_from_slice(message));
    }

    /// Compounds, compresses if that is smaller, adds the checksum, seals and labels. Without any message the datagram
    /// stays empty and must not be sent.
    pub(crate) fn finish(self, nonces: &mut Rng) {
        let mut nonce = [0; NATIVE_NONCE];
        if self.envelope.is_sealing() {
            let len = self.envelope.config.nonce_len();
            nonces.fill(nonce.get_mut(..len).unwrap_or_default());
        }
        self.finish_with_nonce(&nonce);
    }

    /// Finishes with a nonce that the caller chose, of which Serf's wire uses the first 12 bytes.
    ///
    /// For tests against captured bytes: a nonce used twice under one key breaks the encryption.
    #[doc(hidden)]
    pub fn finish_with_nonce(self, nonce: &[u8; 24]) {
        let Self { envelope: Envelope { config, compressor, lengths, packed, .. }, buf, .. } = self;
        let Self { checksum, head_at, seal_at, content_at, .. } = self;
        if lengths.is_empty() {
            buf.clear();
            return;
        }
        let native = config.codec == Codec::Native;
        let cipher = config.sealing_cipher();
        compound::finish(buf, content_at, lengths);
        let packed = config.compression && compress_content(native, compressor, packed, buf, content_at);
        if native {
            set(buf, head_at.saturating_add(1), &[native_flags(cipher.is_some(), packed)]);
        }
        if checksum {
            let head = if native { buf.get(head_at..seal_at).unwrap_or_default() } else { &[] };
            let crc = crc32(&[head, buf.get(content_at..).unwrap_or_default()]);
            set(buf, content_at.saturating_sub(checksum::LEN), &crc);
        }
        let Some(cipher) = cipher else { return };
        let sealed = if native {
            let mut aad = native_aad(config);
            aad.push(buf.get(head_at..seal_at).unwrap_or_default());
            cipher::seal_native(cipher, nonce, aad.as_bytes(), buf, seal_at)
        } else {
            let nonce = nonce.first_chunk::<SERF_NONCE>().unwrap_or(&[0; SERF_NONCE]);
            cipher::seal_serf(cipher, config.seal_version, nonce, config.label.as_bytes(), buf, seal_at)
        };
        if !sealed {
            debug_assert!(false, "every installed key fits the codec and a datagram is short");
            buf.clear(); // Rather nothing than plaintext.
        }
    }

    /// Bytes that the next message may have, so that the datagram stays within the budget before compression
    /// (memberlist: `UDPBufferSize`). All overheads are counted, the message's own length field included.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::{Config, envelope::Envelope};
    ///
    /// let mut envelope = Envelope::new(Config::native())?;
    /// let mut buf = Vec::new();
    /// let mut packet = envelope.begin(&mut buf, false);
    /// let update = [4; 100];
    /// while packet.room() >= update.len() {
    ///     packet.push_bytes(&update);
    /// }
    /// assert_eq!(packet.len_parts(), 13); // of 1400 bytes
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn room(&self) -> usize {
        if self.len_parts() >= compound::PARTS_MAX {
            return 0;
        }
        let config = &self.envelope.config;
        let written = self.buf.len().saturating_sub(self.content_at);
        config
            .datagram_len_max
            .saturating_sub(config.datagram_overhead(self.checksum))
            .saturating_sub(written)
            .saturating_sub(compound::header_len(self.len_parts().saturating_add(1)))
            .min(usize::from(u16::MAX))
    }

    /// Whether there is nothing to send yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::wire::{Config, envelope::Envelope};
    /// # let mut envelope = Envelope::new(Config::serf())?;
    /// # let mut buf = Vec::new();
    /// let mut packet = envelope.begin(&mut buf, false);
    /// assert!(packet.is_empty());
    /// packet.push_bytes(b"\x08hello");
    /// assert!(!packet.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.envelope.lengths.is_empty()
    }

    /// How many messages there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::wire::{Config, envelope::Envelope};
    /// # let mut envelope = Envelope::new(Config::serf())?;
    /// # let mut buf = Vec::new();
    /// let mut packet = envelope.begin(&mut buf, false);
    /// packet.push_bytes(b"\x08hello");
    /// assert_eq!(packet.len_parts(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len_parts(&self) -> usize {
        self.envelope.lengths.len()
    }
}

/// Why a datagram was dropped whole. See [`Node::handle_datagram`](crate::Node::handle_datagram).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DatagramError {
    /// No bytes, or none inside the layers.
    Empty,
    /// We have a label and the datagram has none.
    LabelMissing,
    /// The label is not ours, or there is one where there must be none.
    LabelWrong,
    /// The label header is cut off or announces nothing.
    LabelMalformed,
    /// The sender speaks the other of the two wire formats.
    ForeignWire,
    /// Neither wire format, or a malformed outer layer.
    Garbage,
    /// Keys are required and the datagram is plain.
    NotSealed,
    /// No installed key opens it.
    NotOpened,
    /// Sealed, and we have no keys.
    SealedWithoutKeys,
    /// The checksum is wrong, or missing where it must be.
    Checksum,
    /// The compressed content is damaged.
    Decompression,
    /// It decompresses to more than a datagram may hold.
    TooLarge,
    /// A version, a flag or an algorithm that this build does not know.
    Unsupported,
}

impl fmt::Display for DatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty datagram",
            Self::LabelMissing => "label missing",
            Self::LabelWrong => "label does not match",
            Self::LabelMalformed => "malformed label header",
            Self::ForeignWire => "the other wire format",
            Self::Garbage => "not a datagram of this protocol",
            Self::NotSealed => "encryption is required and the datagram is plain",
            Self::NotOpened => "no installed key could decrypt the datagram",
            Self::SealedWithoutKeys => "encrypted and no keys are installed",
            Self::Checksum => "checksum mismatch",
            Self::Decompression => "damaged compressed content",
            Self::TooLarge => "decompressed content too large",
            Self::Unsupported => "unsupported version, flag or algorithm",
        })
    }
}

impl core::error::Error for DatagramError {}

impl From<LabelError> for DatagramError {
    fn from(error: LabelError) -> Self {
        match error {
            LabelError::Missing => Self::LabelMissing,
            LabelError::Wrong => Self::LabelWrong,
            LabelError::Malformed => Self::LabelMalformed,
        }
    }
}

impl From<OpenError> for DatagramError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NoKey | OpenError::Padding => Self::NotOpened,
        }
    }
}

impl From<PartError> for DatagramError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Truncated | PartError::Malformed | PartError::TooDeep => Self::Garbage,
            PartError::Decompression => Self::Decompression,
            PartError::TooLarge => Self::TooLarge,
            PartError::Unsupported => Self::Unsupported,
        }
    }
}

/// Why a part of a good datagram was dropped.
///
/// ```
/// use swim_core::wire::envelope::{Envelope, PartError};
///
/// let mut envelope = Envelope::new(swim_core::wire::Config::serf())?;
/// // The second of the two parts is cut short.
/// let mut datagram = b"\x07\x02\0\x03\0\x04\x08hi\x08yo".to_vec();
/// let mut parts = Vec::new();
/// envelope.open(&mut datagram, &mut |part| parts.push(part.map(|(_, body)| body.to_vec())))?;
/// assert_eq!(parts, [Ok(b"hi".to_vec()), Err(PartError::Truncated)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PartError {
    /// It runs past the end, and so do all after it.
    Truncated,
    /// An inner wrapper is malformed.
    Malformed,
    /// Wrapped too many times.
    TooDeep,
    /// The compressed content is damaged.
    Decompression,
    /// The datagram decompresses to more than it may hold.
    TooLarge,
    /// An algorithm that this build does not know.
    Unsupported,
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "truncated part",
            Self::Malformed => "malformed wrapper",
            Self::TooDeep => "wrapped too many times",
            Self::Decompression => "damaged compressed content",
            Self::TooLarge => "decompressed content too large",
            Self::Unsupported => "unsupported algorithm",
        })
    }
}

impl core::error::Error for PartError {}

impl From<DecompressError> for PartError {
    fn from(error: DecompressError) -> Self {
        match error {
            DecompressError::Malformed => Self::Decompression,
            DecompressError::TooLarge => Self::TooLarge,
            DecompressError::Unsupported => Self::Unsupported,
        }
    }
}

/// From behind the label to the content, which may still be compressed, and whether it was sealed.
fn open_serf<'a>(config: &Config, inner: &'a mut [u8]) -> Result<(&'a [u8], bool), DatagramError> {
    let first = *inner.first().ok_or(DatagramError::Empty)?;
    if first == NATIVE_MARK {
        return Err(DatagramError::ForeignWire);
    }
    let (content, sealed) = if config.keyring.is_empty() {
        (0..inner.len(), false)
    } else {
        match cipher::open_serf(&config.keyring, config.label.as_bytes(), inner) {
            Ok(content) => (content, true),
            Err(OpenError::NoKey) if !config.verify_incoming => (0..inner.len(), false),
            // A plain ping begins like a sealed packet, so the two can be told apart for the other kinds only.
            Err(OpenError::NoKey) if (2..=KIND_MAX).contains(&first) => return Err(DatagramError::NotSealed),
            Err(OpenError::NoKey) if first > KIND_MAX => return Err(DatagramError::Garbage),
            Err(error @ (OpenError::NoKey | OpenError::Padding)) => return Err(error.into()),
        }
    };
    let content = inner.get(content).unwrap_or_default();
    let content = match content.split_first_chunk::<CHECKSUM_HEADER>() {
        Some((&[kind::CHECKSUM, ref crc @ ..], rest)) => {
            if crc32(&[rest]) != *crc {
                return Err(DatagramError::Checksum);
            }
            rest
        }
        Some(_) | None => content,
    };
    match content.first() {
        None => Err(DatagramError::Empty),
        Some(&kind) if kind > KIND_MAX => Err(DatagramError::Garbage),
        Some(_) => Ok((content, sealed)),
    }
}

/// Checks `f5 flags` at the start of `inner` before anything behind it is looked at.
pub(super) fn check_native_head(config: &Config, inner: &[u8]) -> Result<u8, DatagramError> {
    match *inner {
        [] => Err(DatagramError::Empty),
        [first, ..] if first <= KIND_MAX => Err(DatagramError::ForeignWire),
        [NATIVE_MARK, flags, ..] => {
            let sealed = flags & FLAG_SEALED != 0;
            if flags & FLAGS_VERSION != NATIVE_VERSION || flags & FLAGS_UNKNOWN != 0 {
                Err(DatagramError::Unsupported)
            } else if sealed && config.keyring.is_empty() {
                Err(DatagramError::SealedWithoutKeys)
            } else if !sealed && config.verify_incoming && !config.keyring.is_empty() {
                Err(DatagramError::NotSealed)
            } else if sealed == (flags & FLAG_CRC != 0) {
                // Exactly one of the two protects the content.
                Err(DatagramError::Checksum)
            } else {
                Ok(flags)
            }
        }
        [_, ..] => Err(DatagramError::Garbage),
    }
}

/// Opens what stands behind the head, or checks its checksum; returns where in `body` the content stands.
///
/// `head` is everything from `f5` on, `tail` what else is authenticated.
pub(super) fn open_native_body(
    config: &Config,
    flags: u8,
    head: &[u8],
    tail: &[u8],
    body: &mut [u8],
) -> Result<Range<usize>, DatagramError> {
    if flags & FLAG_SEALED != 0 {
        let mut aad = native_aad(config);
        aad.push(head);
        aad.push(tail);
        return Ok(cipher::open_native(&config.keyring, aad.as_bytes(), body)?);
    }
    let (crc, content) = body.split_first_chunk::<{ checksum::LEN }>().ok_or(DatagramError::Checksum)?;
    if crc32(&[head, content]) != *crc {
        return Err(DatagramError::Checksum);
    }
    Ok(checksum::LEN..body.len())
}

/// The start of the authenticated data: the label header as we would send it, even if a proxy took it off.
pub(super) fn native_aad(config: &Config) -> Aad {
    let mut aad = Aad::new();
    if let Some(head) = config.label.header_head() {
        aad.push(&head);
        aad.push(config.label.as_bytes());
    }
    aad
}

/// The flags byte of what we send.
pub(super) const fn native_flags(sealed: bool, packed: bool) -> u8 {
    NATIVE_VERSION | if sealed { FLAG_SEALED } else { FLAG_CRC } | if packed { FLAG_LZ4 } else { 0 }
}

/// Replaces the content at `at` by its compressed form if that is shorter.
fn compress_content(
    native: bool,
    compressor: &mut Compressor,
    packed: &mut Vec<u8>,
    buf: &mut Vec<u8>,
    at: usize,
) -> bool {
    let content = buf.get(at..).unwrap_or_default();
    if content.len() > DATAGRAM_PLAIN_MAX {
        return false;
    }
    let (len, len_max) = (content.len(), content.len().saturating_sub(1));
    packed.clear();
    let fits = if native {
        len >= LZ4_LEN_MIN && compressor.compress_lz4(content, packed, len_max)
    } else {
        compressor.compress_lzw(content, packed, len_max.saturating_sub(compress::message_overhead(0)))
            && packed.len().saturating_add(compress::message_overhead(packed.len())) <= len_max
    };
    if !fits || len > datagram_plain_max(packed.len()) {
        return false;
    }
    buf.truncate(at);
    if native {
        buf.extend_from_slice(packed);
    } else {
        compress::write_message(packed, buf);
    }
    true
}

/// Overwrites bytes that were left as room.
fn set(buf: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in buf.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

/// The first byte of the native wire, behind the label.
pub(super) const NATIVE_MARK: u8 = 0xf5;
/// `f5` and the flags.
pub(super) const NATIVE_HEAD: usize = 2;
const NATIVE_VERSION: u8 = 1;
const FLAGS_VERSION: u8 = 0x0f;
const FLAG_SEALED: u8 = 0x10;
/// The content is an LZ4 block behind its length.
pub(super) const FLAG_LZ4: u8 = 0x20;
const FLAG_CRC: u8 = 0x40;
const FLAGS_UNKNOWN: u8 = 0x80;
/// The last of memberlist's kinds.
pub(super) const KIND_MAX: u8 = kind::ERROR;
/// `0c` and the checksum.
const CHECKSUM_HEADER: usize = 1 + checksum::LEN;
/// Shorter content is not worth a try: a ping and an ack never get shorter, and LZ4 clears 16 KiB before it begins, which
/// takes longer than all else that is done for such a datagram.
const LZ4_LEN_MIN: usize = 128;
/// Decompressed bytes that one datagram may yield in all. A sender fills a datagram before it compresses, so an honest
/// one stays below 64 KiB; with the 40 MiB that memberlist allows, a few forged datagrams would keep a node busy.
pub(crate) const DATAGRAM_PLAIN_MAX: usize = 64 * 1024;
/// What any datagram may yield, however short: three times what one holds that crosses a network in one piece.
const PLAIN_FREE: usize = 4096;
/// Longer content is so many times as long at most: what compresses better was made for that.
const RATIO_MAX: usize = 16;

/// Decompressed bytes that a datagram of this length may yield in all. A sender that compresses better does not compress.
fn datagram_plain_max(len: usize) -> usize {
    len.saturating_mul(RATIO_MAX).clamp(PLAIN_FREE, DATAGRAM_PLAIN_MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a test may fail")]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::super::cipher::SealVersion;
    use super::super::keyring::Key;
    use super::super::label::Label;
    use super::*;
    use crate::rng::{Rng, Stream};

    fn rng() -> Rng {
        Rng::new([3; 32], Stream::PacketNonces)
    }

    fn envelope(config: Config) -> Envelope {
        Envelope::new(config).unwrap()
    }

    fn keyed(mut config: Config, key_len: usize) -> Config {
        if key_len > 0 {
            config.keyring.add(Key::new(&[9; 32][..key_len]).unwrap()).unwrap();
        }
        config
    }

    fn opened(envelope: &mut Envelope, datagram: &[u8]) -> Result<Vec<Result<Vec<u8>, PartError>>, DatagramError> {
        let mut parts = Vec::new();
        envelope.open(&mut datagram.to_vec(), &mut |part| {
            parts.push(part.map(|(kind, body)| [&[kind], body].concat()));
        })?;
        Ok(parts)
    }

    #[cfg(feature = "encryption")]
    fn packed(envelope: &mut Envelope, messages: &[&[u8]], checksum: bool) -> Vec<u8> {
        let mut buf = Vec::new();
        let mut packet = envelope.begin(&mut buf, checksum);
        for message in messages {
            packet.push_bytes(message);
        }
        packet.finish(&mut rng());
        buf
    }

    #[test]
    fn bad_outer_layers() {
        use DatagramError::*;
        let serf = Config::serf;
        let native = Config::native;
        let labelled = |config: Config| Config { label: Label::from("blue"), ..config };
        #[rustfmt::skip]
        let table: [(Config, &[u8], DatagramError); 24] = [
            (serf(),             b"",                        Empty),
            (serf(),             b"\xf4\x04blue\x00",        LabelWrong),
            (serf(),             b"\xf4\x00\x00",            LabelMalformed),
            (serf(),             b"\xf4\x04bl",              LabelMalformed),
            (labelled(serf()),   b"\x00\x80",                LabelMissing),
            (labelled(serf()),   b"\xf4\x04blue",            Empty),
            (labelled(serf()),   b"\xf4\x03red\x00",         LabelWrong),
            (serf(),             b"\xf5\x11",                ForeignWire),
            (labelled(serf()),   b"\xf4\x04blue\xf5\x11",    ForeignWire),
            (serf(),             b"\x0e",                    Garbage),
            (serf(),             b"\x0c\x00\x00\x00\x00",    Empty),
            (serf(),             b"\x0c\x00\x00\x00\x00\x00", Checksum),
            (serf(),             b"\x07\x02\x00\x01\x00",    Garbage),
            (serf(),             b"\x07",                    Garbage),
            (serf(),             b"\x09\x07",                Decompression),
            (native(),           b"\x00\x80",                ForeignWire),
            (labelled(native()), b"\xf4\x04blue\x0d",        ForeignWire),
            (native(),           b"\x0e",                    Garbage),
            (native(),           b"\xf5",                    Garbage),
            (native(),           b"\xf5\x42\x00\x00\x00\x00", Unsupported),
            (native(),           b"\xf5\xc1\x00\x00\x00\x00", Unsupported),
            (native(),           b"\xf5\x11\x00\x00\x00\x00", SealedWithoutKeys),
            (native(),           b"\xf5\x01\x00\x00\x00\x00", Checksum),
            (native(),           b"\xf5\x41\x00\x00\x00",    Checksum),
        ];
        for (config, datagram, error) in table {
            assert_eq!(opened(&mut envelope(config), datagram), Err(error), "{datagram:x?}");
        }
    }

    #[cfg(feature = "encryption")]
    #[test]
    fn keys_and_verification() {
        use DatagramError::*;
        let lax = |config| Config { verify_incoming: false, ..config };
        let serf = |len| keyed(Config::serf(), len);
        let native = |len| keyed(Config::native(), len);
        let sealed_serf = packed(&mut envelope(serf(32)), &[b"\x00hello"], false);
        let sealed_native = packed(&mut envelope(native(32)), &[b"\x00hello"], false);
        let plain_native = packed(&mut envelope(native(0)), &[b"\x00hello"], false);
        let good = Ok(vec![Ok(b"\x00hello".to_vec())]);
        let plain = |bytes: &[u8]| Ok(vec![Ok(bytes.to_vec())]);
        #[rustfmt::skip]
        let table = [
            (serf(32),        &sealed_serf[..],   good.clone()),
            (serf(16),        &sealed_serf[..],   Err(NotOpened)),
            (serf(32),        b"\x02plain",       Err(NotSealed)),
            (serf(32),        b"\x00plain",       Err(NotOpened)),
            (serf(32),        b"\x0eplain",       Err(Garbage)),
            (serf(32),        b"\xf5\x11",        Err(ForeignWire)),
            (lax(serf(32)),   &sealed_serf[..],   good.clone()),
            (lax(serf(32)),   b"\x02plain",       plain(b"\x02plain")),
            (lax(serf(16)),   &sealed_serf[..],   plain(&sealed_serf)),
            (native(32),      &sealed_native[..], good.clone()),
            (native(32),      &plain_native[..],  Err(NotSealed)),
            (lax(native(32)), &plain_native[..],  good.clone()),
            (native(0),       &sealed_native[..], Err(SealedWithoutKeys)),
        ];
        for (config, datagram, expected) in table {
            let mut envelope = envelope(config.clone());
            assert_eq!(opened(&mut envelope, datagram), expected, "{config:?} {datagram:x?}");
            let unsealed = expected == plain(datagram) || datagram == plain_native && expected.is_ok();
            assert_eq!(envelope.unsealed(), u64::from(unsealed), "{config:?} {datagram:x?}");
        }
        assert!(envelope(serf(32)).is_sealing() && envelope(native(32)).is_sealing());
        let silent = Config { verify_outgoing: false, ..serf(32) };
        assert!(!envelope(silent.clone()).is_sealing());
        assert_eq!(packed(&mut envelope(silent), &[b"\x02plain"], false), b"\x02plain");
        let short = keyed(Config::serf(), 16);
        let short = Config { codec: Codec::Native, ..short };
        assert_eq!(Envelope::new(short).unwrap_err(), ConfigError::UnfitKey);
        let mut native = envelope(native(0));
        assert!(native.keyring_mut().add(Key::new(&[1; 16]).unwrap()).is_err());
    }

    /// No nonce comes twice under a key: what is said twice looks different.
    #[cfg(feature = "encryption")]
    #[test]
    fn nonces_are_drawn() {
        for config in [Config::serf(), Config::native()] {
            let (mut envelope, mut nonces) = (envelope(keyed(config, 32)), rng());
            let mut sealed = || {
                let mut buf = Vec::new();
                let mut packet = envelope.begin(&mut buf, false);
                packet.push_bytes(b"\x00hello");
                packet.finish(&mut nonces);
                buf
            };
            let (first, second) = (sealed(), sealed());
            assert_eq!(first.len(), second.len());
            let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
            assert!(same < first.len() / 2, "{same} bytes of {} are the same", first.len());
        }
    }

    #[cfg(feature = "compression")]
    #[test]
    fn short_content_is_not_compressed() {
        for (len, compressed) in [(LZ4_LEN_MIN - 1, false), (LZ4_LEN_MIN, true)] {
            let mut envelope = envelope(Config::native());
            let mut buf = Vec::new();
            let mut packet = envelope.begin(&mut buf, false);
            packet.push_bytes(&vec![8; len]);
            packet.finish(&mut rng());
            assert_eq!((buf[1] & FLAG_LZ4 != 0, buf.len() < len), (compressed, compressed), "{len}");
            assert_eq!(opened(&mut envelope, &buf), Ok(vec![Ok(vec![8; len])]));
        }
    }

    #[test]
    fn nested_and_truncated() {
        let serf = &mut envelope(Config::serf());
        let nested = |levels: usize| {
            (0..levels).fold(b"\x08x".to_vec(), |inner, _| {
                [&[7, 1, 0, u8::try_from(inner.len()).unwrap()][..], &inner].concat()
            })
        };
        for levels in 0..=8 {
            assert_eq!(opened(serf, &nested(levels)), Ok(vec![Ok(b"\x08x".to_vec())]), "{levels}");
        }
        assert_eq!(opened(serf, &nested(9)), Ok(vec![Err(PartError::TooDeep)]));
        let truncated = b"\x07\x03\x00\x02\x00\x00\x00\x09\x08x\x08";
        assert_eq!(opened(serf, truncated), Ok(vec![Ok(b"\x08x".to_vec()), Err(PartError::Truncated)]));
        assert_eq!(opened(serf, b"\x07\x00"), Ok(vec![]));
        let bad_part = b"\x07\x03\x00\x02\x00\x02\x00\x02\x08x\x09\x00\x08y";
        let parts = opened(serf, bad_part).unwrap();
        assert_eq!(parts, [Ok(b"\x08x".to_vec()), Err(PartError::Decompression), Ok(b"\x08y".to_vec())]);
        for kind in [kind::CHECKSUM, KIND_MAX] {
            assert_eq!(opened(serf, &[7, 1, 0, 1, kind]), Ok(vec![Ok(vec![kind])]));
        }
        assert_eq!(opened(serf, &[KIND_MAX, b'x']), Ok(vec![Ok(vec![KIND_MAX, b'x'])]));
    }

    /// A bomb that yields so much.
    #[cfg(feature = "compression")]
    fn bomb(len: usize) -> Vec<u8> {
        let (mut packed, mut bomb) = (Vec::new(), Vec::new());
        assert!(Compressor::default().compress_lzw(&vec![8; len], &mut packed, usize::MAX));
        compress::write_message(&packed, &mut bomb);
        bomb
    }

    #[cfg(feature = "compression")]
    #[test]
    fn bombs_share_one_budget() {
        let serf = &mut envelope(Config::serf());
        for (each, tail) in [(PLAIN_FREE / 2, 1), (DATAGRAM_PLAIN_MAX / 2, 5000)] {
            let (bomb, tail) = (bomb(each), vec![8; tail]);
            let len = u16::try_from(bomb.len()).unwrap();
            let mut out = [&bomb[..], &bomb, &bomb, &tail].concat();
            compound::finish(&mut out, 0, &[len, len, len, tail.len() as u16]);
            assert!((2 * each..3 * each).contains(&datagram_plain_max(out.len())));
            let results: Vec<_> = opened(serf, &out).unwrap().into_iter().take(3).map(|part| part.err()).collect();
            assert_eq!(results, [None, None, Some(PartError::TooLarge)]);
        }
        for (len, expected) in [(PLAIN_FREE, Ok(1)), (PLAIN_FREE + 1, Err(DatagramError::TooLarge))] {
            assert_eq!(opened(serf, &bomb(len)).map(|parts| parts.len()), expected);
        }
        // The last byte that so long a datagram may yield, and one more.
        for (more, expected) in [(0, None), (1, Some(PartError::TooLarge))] {
            let bomb = bomb(1000 * RATIO_MAX + more);
            let tail = vec![8; 1000 - compound::header_len(2) - bomb.len()];
            let mut out = [&bomb[..], &tail].concat();
            compound::finish(&mut out, 0, &[bomb.len() as u16, tail.len() as u16]);
            assert_eq!(out.len(), 1000);
            assert_eq!(opened(serf, &out).unwrap().remove(0).err(), expected);
        }
    }

    /// What nobody would decompress is not compressed: too long, or compressed too well.
    #[cfg(feature = "compression")]
    #[test]
    fn too_much_to_compress() {
        for (config, bare) in [(Config::serf(), 0), (Config::native(), NATIVE_HEAD + checksum::LEN)] {
            let mut envelope = envelope(Config { compression: true, ..config });
            let mut written = |content: usize, noise: usize| {
                let mut buf = Vec::new();
                let mut packet = envelope.begin(&mut buf, false);
                let mut plain = vec![8; content - compound::header_len(5)];
                rng().fill(&mut plain[..noise]);
                let part = plain.len() / 5;
                for index in 0..5 {
                    let end = if index == 4 { plain.len() } else { part * (index + 1) };
                    plain[part * index] = 8;
                    packet.push_bytes(&plain[part * index..end]);
                }
                packet.finish(&mut rng());
                assert_eq!(opened(&mut envelope, &buf).map(|parts| parts.len()), Ok(5));
                buf.len() < bare + content
            };
            assert!(written(PLAIN_FREE, 0) && !written(PLAIN_FREE + 1, 0), "it would be far less than a sixteenth");
            let noise = DATAGRAM_PLAIN_MAX / RATIO_MAX;
            assert!(written(DATAGRAM_PLAIN_MAX, noise) && !written(DATAGRAM_PLAIN_MAX + 1, noise));
        }
    }

    /// All that is not content is counted, and no more.
    #[test]
    fn the_room_of_a_packet() {
        let plain = |config| Config { compression: false, ..config };
        let labelled = |config| Config { label: Label::from("blue"), ..config };
        let mut table = vec![
            (plain(Config::serf()), 1400),
            (labelled(plain(Config::serf())), 1400 - 6),
            (plain(Config::native()), 1400 - 2 - 4),
            (labelled(plain(Config::native())), 1400 - 6 - 2 - 4),
        ];
        if cfg!(feature = "encryption") {
            table.push((keyed(plain(Config::serf()), 16), 1400 - 1 - 12 - 16));
            table.push((keyed(plain(Config::native()), 32), 1400 - 2 - 24 - 16));
        }
        for (config, room) in table {
            let mut envelope = envelope(config.clone());
            let mut buf = Vec::new();
            let mut packet = envelope.begin(&mut buf, false);
            assert_eq!(packet.room(), room, "{config:?}");
            packet.push_bytes(&vec![8; room]);
            packet.finish(&mut rng());
            assert_eq!(buf.len(), 1400, "{config:?}");
        }
    }

    #[test]
    fn filling_a_packet() {
        let mut envelope = envelope(Config { compression: false, ..Config::serf() });
        let mut buf = Vec::new();
        let mut packet = envelope.begin(&mut buf, false);
        assert!(packet.is_empty());
        assert_eq!(packet.room(), 1400);
        packet.push(|_| {});
        packet.push_bytes(&[8; 65536]);
        assert!(packet.is_empty());
        packet.push_bytes(&[8; 100]);
        assert_eq!(packet.room(), 1400 - 100 - 6);
        packet.push_bytes(&[8; 1294]);
        assert_eq!((packet.room(), packet.len_parts()), (0, 2));
        packet.finish(&mut rng());
        assert_eq!(buf.len(), 1400);
        let mut packet = envelope.begin(&mut buf, true);
        assert_eq!(packet.room(), 1395);
        for _ in 0..300 {
            packet.push_bytes(&[8]);
        }
        assert_eq!((packet.room(), packet.len_parts()), (0, 255));
        packet.finish(&mut rng());
        assert_eq!(opened(&mut envelope, &buf).unwrap().len(), 255);
        envelope.begin(&mut buf, true).finish(&mut rng());
        assert_eq!(buf, b"");
    }

    #[test]
    fn configurations() {
        let config = |edit: fn(&mut Config)| {
            let mut config = Config::native();
            edit(&mut config);
            config.validate()
        };
        assert_eq!(config(|_| {}), Ok(()));
        assert_eq!(config(|c| c.label = Label::from(&[b'x'; 255][..])), Ok(()));
        assert_eq!(config(|c| c.label = Label::from(&[b'x'; 256][..])), Err(ConfigError::LabelTooLong));
        assert_eq!(config(|c| c.datagram_len_max = 511), Err(ConfigError::DatagramLen));
        assert_eq!(config(|c| c.datagram_len_max = 65508), Err(ConfigError::DatagramLen));
        assert_eq!(Config::serf().validate(), Ok(()));
    }

    /// Any way of wrapping; `protected` ones notice every flipped bit.
    fn configs() -> impl Strategy<Value = Config> {
        let key_lens = if cfg!(feature = "encryption") { &[0, 16, 24, 32][..] } else { &[0] };
        let compression = if cfg!(feature = "compression") { any::<bool>().boxed() } else { Just(false).boxed() };
        let label = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 1..=255)];
        (any::<bool>(), prop::sample::select(key_lens), any::<bool>(), compression, label).prop_map(
            |(native, key_len, v0, compression, label)| {
                let base = if native { Config::native() } else { Config::serf() };
                let key_len = if native && key_len != 0 { 32 } else { key_len };
                let seal_version = if v0 { SealVersion::V0 } else { SealVersion::V1 };
                keyed(Config { compression, seal_version, label: Label::from(&label[..]), ..base }, key_len)
            },
        )
    }

    fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let body = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (any::<u8>(), 0..400_usize).prop_map(|(byte, len)| vec![byte; len]),
        ];
        let kind = prop::sample::select(&[0, 1, 2, 3, 4, 5, 8, 11][..]);
        prop::collection::vec((kind, body).prop_map(|(kind, body)| [&[kind], &body[..]].concat()), 1..12)
    }

    const HEADS: &[&[u8]] = &[b"", b"\xf5\x41", b"\xf5\x11", b"\x07", b"\x09", b"\x0c", b"\x01"];

    proptest! {
        #[test]
        fn open_undoes_seal(config in configs(), messages in messages(), checksum: bool, bits: Vec<u16>) {
            let mut envelope = envelope(config.clone());
            let mut buf = Vec::new();
            let mut packet = envelope.begin(&mut buf, checksum);
            let mut sent = Vec::new();
            for message in &messages {
                if message.len() <= packet.room() {
                    packet.push_bytes(message);
                    sent.push(Ok(message.clone()));
                }
            }
            packet.finish(&mut rng());
            prop_assert!(buf.len() <= 1400);
            prop_assert_eq!(opened(&mut envelope, &buf), Ok(sent));

            let label_len = config.label.header_len();
            for bit in bits {
                let bit = usize::from(bit) % (buf.len() * 8);
                let (byte, mask) = (bit / 8, 1 << (bit % 8));
                // Serf's wire protects nothing without keys, and never its version byte.
                let serf = config.codec == Codec::Serf;
                if serf && (config.keyring.is_empty() || (byte == label_len && mask == 1)) {
                    continue;
                }
                let mut bad = buf.clone();
                bad[byte] ^= mask;
                prop_assert!(opened(&mut envelope, &bad).is_err(), "{byte} {mask}");
            }
        }

        #[test]
        fn any_bytes_end(config in configs(), head in prop::sample::select(HEADS), tail: Vec<u8>, lax: bool) {
            let label = config.label.clone();
            let mut envelope = envelope(Config { verify_incoming: !lax, ..config });
            let mut datagram = Vec::new();
            label.write_header(&mut datagram);
            datagram.extend_from_slice(head);
            datagram.extend_from_slice(&tail);
            let _ = opened(&mut envelope, &datagram);
            let _ = opened(&mut envelope, &tail);
        }
    }
}
