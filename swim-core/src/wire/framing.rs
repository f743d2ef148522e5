//! Streams: one message in each direction, wrapped like a datagram and announced by its length where it is sealed.
//!
//! ```text
//! Serf:    [f4 size label] 0a length(u32 BE) version nonce(12) … tag(16)      sealed
//!          [f4 size label] [09 map] message                                   plain; the message knows its own end
//!          the label header is written by the dialler only                    (memberlist: net.go, transport.go)
//!
//! native:  [f4 size label] f5 flags length(u32 BE) nonce(24) { content } tag(16)
//!          [f4 size label] f5 flags length(u32 BE) crc(4) content             both sides write the label
//! ```

use alloc::vec::Vec;
use core::fmt;

use super::Config;
use super::checksum::crc32;
use super::cipher::{self, Aad, NATIVE_NONCE, SERF_NONCE};
use super::codec::{Codec, MessageError, StreamScan};
use super::compress::{self, Compressor, DecompressError};
use super::envelope::{
    DatagramError, Envelope, FLAG_LZ4, KIND_MAX, NATIVE_MARK, check_native_head, native_aad, native_flags,
    open_native_body,
};
use super::label::LabelError;
use super::message::kind;
use super::msgpack::Skip;
use crate::rng::Rng;

/// Who wrote the bytes of one direction of a stream. See [`FrameReader::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that opened the stream.
    Dialler = 0,
    /// The one that accepted it.
    Acceptor = 1,
}

/// Collects the bytes of one direction until the message is whole. Holds no more than has arrived. See
/// [`FrameReader::push`].
#[derive(Debug)]
pub struct FrameReader {
    side: Side,
    buf: Vec<u8>,
    /// Bytes of the label header at the start of `buf`, once known.
    label_len: Option<usize>,
    scan: StreamScan,
    /// How far the map of a compress message has been seen, from its kind byte on.
    compress_map: Skip,
    compress_end: usize,
    over: bool,
}

impl FrameReader {
    /// For the bytes that `side` writes.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::framing::{FrameReader, Side};
    ///
    /// assert!(FrameReader::new(Side::Acceptor).is_empty());
    /// ```
    pub fn new(side: Side) -> Self {
        Self {
            side,
            buf: Vec::new(),
            label_len: None,
            scan: StreamScan::default(),
            compress_map: Skip::default(),
            compress_end: 1,
            over: false,
        }
    }

    /// Takes bytes that have arrived; returns the plain message, kind byte first, when they complete it. What comes
    /// after that, or after an error, is ignored: a stream carries one message in each direction.
    ///
    /// # Errors
    ///
    /// As soon as it is clear that no message can come of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::framing::{FrameReader, Side};
    /// use swim_core::wire::{Config, codec::Codec, envelope::Envelope, message::StreamMessage};
    ///
    /// let envelope = Envelope::new(Config { compression: false, ..Config::serf() })?;
    /// let mut message = Vec::new();
    /// Codec::Serf.encode_stream_user(b"hello", &mut message);
    ///
    /// let mut reader = FrameReader::new(Side::Dialler);
    /// assert_eq!(reader.push(&envelope, &message[..4])?, None);
    /// let whole = reader.push(&envelope, &message[4..])?.expect("that was the rest");
    /// assert_eq!(Codec::Serf.decode_stream(&whole)?, StreamMessage::User(b"hello"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push(&mut self, envelope: &Envelope, data: &[u8]) -> Result<Option<Vec<u8>>, StreamError> {
        if self.over {
            return Ok(None);
        }
        let taken = if self.buf.len().saturating_add(data.len()) > STREAM_LEN_MAX {
            Err(StreamError::TooLarge)
        } else {
            // Not doubled: a full state is the largest that a node ever holds, and it holds what it reads out of it as well.
            if self.buf.capacity().saturating_sub(self.buf.len()) < data.len() {
                self.buf.reserve_exact(data.len().max(self.buf.len() / 4));
            }
            self.buf.extend_from_slice(data);
            self.advance(envelope.config())
        };
        if !matches!(taken, Ok(None)) {
            self.over = true;
            self.buf = Vec::new();
        }
        taken
    }

    /// Bytes held: those that have arrived, until they are a message or an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::wire::framing::{FrameReader, Side};
    /// # use swim_core::wire::{Config, envelope::Envelope};
    /// # let envelope = Envelope::new(Config::native())?;
    /// let mut reader = FrameReader::new(Side::Dialler);
    /// reader.push(&envelope, b"\xf5\x41\0\0")?;
    /// assert_eq!(reader.buffered(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buffered(&self) -> usize {
        self.buf.len()
    }

    /// Whether nothing is held: the stream may end here without harm.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::wire::framing::{FrameReader, Side};
    /// # use swim_core::wire::{Config, envelope::Envelope};
    /// # let envelope = Envelope::new(Config::native())?;
    /// let mut reader = FrameReader::new(Side::Dialler);
    /// reader.push(&envelope, b"\xf5")?;
    /// assert!(!reader.is_empty());
    /// assert!(reader.push(&envelope, b"\0").is_err());
    /// assert!(reader.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    fn advance(&mut self, config: &Config) -> Result<Option<Vec<u8>>, StreamError> {
        let start = match self.label_len {
            Some(len) => len,
            None if !writes_label(config.codec, self.side) => 0,
            None => match config.label.strip(&self.buf, config.skip_inbound_label_check)? {
                Some(len) => len,
                None => return Ok(None),
            },
        };
        self.label_len = Some(start);
        let Some(&first) = self.buf.get(start) else { return Ok(None) };
        match config.codec {
            Codec::Serf => self.advance_serf(config, start, first),
            Codec::Native => self.advance_native(config, start),
        }
    }

    fn advance_serf(&mut self, config: &Config, start: usize, first: u8) -> Result<Option<Vec<u8>>, StreamError> {
        if first == NATIVE_MARK {
            return Err(StreamError::ForeignWire);
        }
        if first == kind::ENCRYPT {
            return self.advance_serf_sealed(config, start);
        }
        if config.verify_incoming && !config.keyring.is_empty() {
            return Err(StreamError::NotSealed);
        }
        let received = self.buf.get(start..).unwrap_or_default();
        if first == kind::COMPRESS {
            let whole = self.compress_map.advance(received, &mut self.compress_end)?;
            return if whole { unpack_serf(received).map(Some) } else { Ok(None) };
        }
        let Some(len) = config.codec.scan_stream(&mut self.scan, received)? else { return Ok(None) };
        self.take(start, len).map(Some)
    }

    fn advance_serf_sealed(&mut self, config: &Config, start: usize) -> Result<Option<Vec<u8>>, StreamError> {
        if config.keyring.is_empty() {
            return Err(StreamError::SealedWithoutKeys);
        }
        let received = self.buf.get(start..).unwrap_or_default();
        let Some(head) = received.first_chunk::<SERF_SEALED_HEAD>().copied() else { return Ok(None) };
        let Some(len) = announced_len(&head, SERF_SEALED_HEAD, received)? else { return Ok(None) };
        let mut message = self.take(start.saturating_add(SERF_SEALED_HEAD), len)?;
        let mut aad = Aad::new();
        aad.push(&head);
        aad.push(config.label.as_bytes());
        let plain = cipher::open_serf(&config.keyring, aad.as_bytes(), &mut message)?;
        message.truncate(plain.end);
        message.drain(..plain.start);
        match message.first() {
            None | Some(&kind::ENCRYPT) => Err(StreamError::Malformed),
            Some(&kind::COMPRESS) => unpack_serf(&message).map(Some),
            Some(_) => Ok(Some(message)),
        }
    }

    fn advance_native(&mut self, config: &Config, start: usize) -> Result<Option<Vec<u8>>, StreamError> {
        let received = self.buf.get(start..).unwrap_or_default();
        let flags = match (check_native_head(config, received), received) {
            // The mark is there, the flags are not.
            (_, [NATIVE_MARK]) => return Ok(None),
            (flags, _) => flags?,
        };
        let Some(head) = received.first_chunk::<NATIVE_FRAME_HEAD>().copied() else { return Ok(None) };
        let Some(len) = announced_len(&head, NATIVE_FRAME_HEAD, received)? else { return Ok(None) };
        let mut body = self.take(start.saturating_add(NATIVE_FRAME_HEAD), len)?;
        let content = open_native_body(config, flags, &head, &native_tail(self.side), &mut body)?;
        if flags & FLAG_LZ4 != 0 {
            let packed = body.get(content).unwrap_or_default();
            let mut plain = Vec::new();
            Compressor::default().decompress_lz4(packed, &mut plain, stream_plain_max(packed.len()))?;
            return Ok(Some(plain));
        }
        body.truncate(content.end);
        body.drain(..content.start);
        if body.is_empty() { Err(StreamError::Malformed) } else { Ok(Some(body)) }
    }

    /// Gives up the buffer, reduced to `len` bytes from `start`.
    fn take(&mut self, start: usize, len: usize) -> Result<Vec<u8>, StreamError> {
        let mut taken = core::mem::take(&mut self.buf);
        taken.truncate(start.saturating_add(len));
        if start > taken.len() {
            return Err(StreamError::Malformed);
        }
        taken.drain(..start);
        Ok(taken)
    }
}

/// Longest plain message that every receiver takes, whatever is in it, and whether it is compressed and sealed or not.
pub(crate) const fn message_len_max(codec: Codec) -> usize {
    match codec {
        Codec::Native => STREAM_PAYLOAD_MAX - FRAME_OVERHEAD_MAX,
        // What does not compress gets longer: LZW writes up to 12 bits for a byte.
        Codec::Serf => (STREAM_PAYLOAD_MAX - FRAME_OVERHEAD_MAX) / 3 * 2,
    }
}

/// Wraps a plain message, kind byte first, for one direction of a stream.
///
/// With compression on, Serf's wire compresses always and the native one when that is shorter.
pub(crate) fn frame(envelope: &Envelope, side: Side, message: Vec<u8>, nonces: &mut Rng) -> Vec<u8> {
    let mut nonce = [0; NATIVE_NONCE];
    if envelope.is_sealing() {
        nonces.fill(nonce.get_mut(..envelope.config().nonce_len()).unwrap_or_default());
    }
    frame_with_nonce(envelope, side, message, &nonce)
}

/// Wraps with a nonce that the caller chose, of which Serf's wire uses the first 12 bytes.
///
/// For tests against captured bytes: a nonce used twice under one key breaks the encryption.
#[doc(hidden)]
pub fn frame_with_nonce(envelope: &Envelope, side: Side, message: Vec<u8>, nonce: &[u8; 24]) -> Vec<u8> {
    let config = envelope.config();
    match config.codec {
        Codec::Serf => frame_serf(config, side, message, nonce),
        Codec::Native => frame_native(config, side, message, nonce),
    }
}

fn frame_serf(config: &Config, side: Side, message: Vec<u8>, nonce: &[u8; NATIVE_NONCE]) -> Vec<u8> {
    let message = if config.compression { pack_serf(message) } else { message };
    let cipher = config.sealing_cipher();
    let label = writes_label(config.codec, side).then_some(&config.label).filter(|label| !label.is_empty());
    if cipher.is_none() && label.is_none() {
        return message;
    }
    let mut out = Vec::with_capacity(message.len().saturating_add(config.label.header_len()).saturating_add(64));
    if let Some(label) = label {
        label.write_header(&mut out);
    }
    let Some(cipher) = cipher else {
        out.extend_from_slice(&message);
        return out;
    };
    let payload_len = cipher::serf_payload_len(config.seal_version, message.len());
    let [a, b, c, d] = u32::try_from(payload_len).unwrap_or(u32::MAX).to_be_bytes();
    let head = [kind::ENCRYPT, a, b, c, d];
    let mut aad = Aad::new();
    aad.push(&head);
    aad.push(config.label.as_bytes());
    out.extend_from_slice(&head);
    let seal_at = out.len();
    cipher::begin_serf(&mut out);
    out.extend_from_slice(&message);
    let nonce = nonce.first_chunk::<SERF_NONCE>().unwrap_or(&[0; SERF_NONCE]);
    if !cipher::seal_serf(cipher, config.seal_version, nonce, aad.as_bytes(), &mut out, seal_at) {
        debug_assert!(false, "a stream message is far shorter than what AES-GCM can seal");
        out.clear(); // Rather nothing than plaintext.
    }
    out
}

fn frame_native(config: &Config, side: Side, message: Vec<u8>, nonce: &[u8; NATIVE_NONCE]) -> Vec<u8> {
    let mut content = message;
    let mut packed = Vec::new();
    let is_packed = config.compression
        && Compressor::default().compress_lz4(&content, &mut packed, content.len().saturating_sub(1))
        && content.len() <= stream_plain_max(packed.len());
    if is_packed {
        content = packed;
    }
    let cipher = config.sealing_cipher();
    let flags = native_flags(cipher.is_some(), is_packed);
    let overhead = if cipher.is_some() { cipher::NATIVE_OVERHEAD } else { super::checksum::LEN };
    let len = u32::try_from(content.len().saturating_add(overhead)).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = Vec::with_capacity(content.len().saturating_add(config.label.header_len()).saturating_add(64));
    config.label.write_header(&mut out);
    let [a, b, c, d] = len;
    let head = [NATIVE_MARK, flags, a, b, c, d];
    out.extend_from_slice(&head);
    let Some(cipher) = cipher else {
        out.extend_from_slice(&crc32(&[&head, &content]));
        out.extend_from_slice(&content);
        return out;
    };
    let mut aad = native_aad(config);
    aad.push(&head);
    aad.push(&native_tail(side));
    let seal_at = out.len();
    cipher::begin_native(&mut out);
    out.extend_from_slice(&content);
    if !cipher::seal_native(cipher, nonce, aad.as_bytes(), &mut out, seal_at) {
        debug_assert!(false, "every installed key fits the codec and a stream message is short");
        out.clear(); // Rather nothing than plaintext.
    }
    out
}

/// Only the dialler's bytes begin with the label header on Serf's wire.
const fn writes_label(codec: Codec, side: Side) -> bool {
    match (codec, side) {
        (Codec::Native, _) | (Codec::Serf, Side::Dialler) => true,
        (Codec::Serf, Side::Acceptor) => false,
    }
}

/// What the native seal covers besides the head: the direction, so that a frame cannot be sent back to its writer, and
/// the frame's number in its direction, always 0 today.
const fn native_tail(side: Side) -> [u8; 9] {
    [side as u8, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// The length in the last four bytes of `head`, once that much has arrived behind it.
fn announced_len(head: &[u8], head_len: usize, received: &[u8]) -> Result<Option<usize>, StreamError> {
    let len = head.last_chunk().map_or(0, |len| u32::from_be_bytes(*len));
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > STREAM_PAYLOAD_MAX {
        return Err(StreamError::TooLarge);
    }
    Ok((received.len().saturating_sub(head_len) >= len).then_some(len))
}

/// The most that so many compressed bytes may decompress to. A writer that compresses better does not compress.
fn stream_plain_max(packed_len: usize) -> usize {
    packed_len.saturating_mul(RATIO_MAX).saturating_add(PLAIN_FREE).min(STREAM_PLAIN_MAX)
}

/// The compress message around `message`, even if that is longer: so does memberlist.
fn pack_serf(message: Vec<u8>) -> Vec<u8> {
    let mut packed = Vec::new();
    let is_packed = Compressor::default().compress_lzw(&message, &mut packed, usize::MAX);
    if !is_packed || message.len() > stream_plain_max(packed.len()) {
        return message;
    }
    let mut out = Vec::with_capacity(packed.len().saturating_add(compress::message_overhead(packed.len())));
    compress::write_message(&packed, &mut out);
    out
}

/// What a whole compress message holds. Only one level is undone on streams.
fn unpack_serf(message: &[u8]) -> Result<Vec<u8>, StreamError> {
    let body = message.get(1..).unwrap_or_default();
    let mut plain = Vec::new();
    compress::unpack_message(&mut Compressor::default(), body, &mut plain, stream_plain_max(body.len()))?;
    match plain.first() {
        Some(&first) if first <= KIND_MAX && !matches!(first, kind::COMPRESS | kind::ENCRYPT) => Ok(plain),
        Some(_) | None => Err(StreamError::Malformed),
    }
}

/// Why no message can come of a stream's bytes.
///
/// ```
/// use swim_core::wire::framing::{FrameReader, Side, StreamError};
/// use swim_core::wire::{Config, envelope::Envelope};
///
/// let envelope = Envelope::new(Config::serf())?;
/// let refused = FrameReader::new(Side::Dialler).push(&envelope, b"\xf5");
/// assert_eq!(refused, Err(StreamError::ForeignWire));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// We have a label and the stream has none.
    LabelMissing,
    /// The label is not ours, or there is one where there must be none.
    LabelWrong,
    /// The label header announces nothing.
    LabelMalformed,
    /// The other side speaks the other of the two wire formats.
    ForeignWire,
    /// Keys are required and the stream is plain.
    NotSealed,
    /// No installed key opens it.
    NotOpened,
    /// Sealed, and we have no keys.
    SealedWithoutKeys,
    /// The checksum is wrong, or missing where it must be.
    Checksum,
    /// The compressed content is damaged.
    Decompression,
    /// An announced or actual length is over its limit.
    TooLarge,
    /// A version, a flag or an algorithm that this build does not know.
    Unsupported,
    /// Not a message of this protocol.
    Malformed,
    /// The plain message is bad.
    Message(MessageError),
}

impl StreamError {
    /// The text of the error message with which the accepting side answers; `None` where it just closes
    /// (memberlist: `net.go`, `handleConn`).
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::framing::StreamError;
    ///
    /// let answer = StreamError::NotSealed.answer();
    /// assert_eq!(answer, Some("Encryption is configured but remote state is not encrypted"));
    /// assert_eq!(StreamError::LabelWrong.answer(), None);
    /// ```
    pub const fn answer(&self) -> Option<&'static str> {
        match self {
            Self::NotSealed => Some("Encryption is configured but remote state is not encrypted"),
            Self::NotOpened => Some("No installed keys could decrypt the message"),
            Self::SealedWithoutKeys => Some("Remote state is encrypted and encryption is not configured"),
            Self::TooLarge => Some("Remote node state is larger than limit"),
            Self::Decompression => Some("Failed to decompress remote state"),
            Self::LabelMissing
            | Self::LabelWrong
            | Self::LabelMalformed
            | Self::ForeignWire
            | Self::Checksum
            | Self::Unsupported
            | Self::Malformed
            | Self::Message(_) => None,
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LabelMissing => "label missing",
            Self::LabelWrong => "label does not match",
            Self::LabelMalformed => "malformed label header",
            Self::ForeignWire => "the other wire format",
            Self::NotSealed => "encryption is required and the stream is plain",
            Self::NotOpened => "no installed key could decrypt the message",
            Self::SealedWithoutKeys => "encrypted and no keys are installed",
            Self::Checksum => "checksum mismatch",
            Self::Decompression => "damaged compressed content",
            Self::TooLarge => "message too large",
            Self::Unsupported => "unsupported version, flag or algorithm",
            Self::Malformed => "not a message of this protocol",
            Self::Message(error) => return fmt::Display::fmt(error, f),
        })
    }
}

impl core::error::Error for StreamError {}

impl From<LabelError> for StreamError {
    fn from(error: LabelError) -> Self {
        DatagramError::from(error).into()
    }
}

impl From<cipher::OpenError> for StreamError {
    fn from(error: cipher::OpenError) -> Self {
        DatagramError::from(error).into()
    }
}

impl From<DecompressError> for StreamError {
    fn from(error: DecompressError) -> Self {
        match error {
            DecompressError::Malformed => Self::Decompression,
            DecompressError::TooLarge => Self::TooLarge,
            DecompressError::Unsupported => Self::Unsupported,
        }
    }
}

impl From<MessageError> for StreamError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl From<DatagramError> for StreamError {
    fn from(error: DatagramError) -> Self {
        match error {
            DatagramError::Empty | DatagramError::Garbage => Self::Malformed,
            DatagramError::LabelMissing => Self::LabelMissing,
            DatagramError::LabelWrong => Self::LabelWrong,
            DatagramError::LabelMalformed => Self::LabelMalformed,
            DatagramError::ForeignWire => Self::ForeignWire,
            DatagramError::NotSealed => Self::NotSealed,
            DatagramError::NotOpened => Self::NotOpened,
            DatagramError::SealedWithoutKeys => Self::SealedWithoutKeys,
            DatagramError::Checksum => Self::Checksum,
            DatagramError::Decompression => Self::Decompression,
            DatagramError::TooLarge => Self::TooLarge,
            DatagramError::Unsupported => Self::Unsupported,
        }
    }
}

/// `0a` and the length.
const SERF_SEALED_HEAD: usize = 5;
/// `f5`, the flags and the length.
const NATIVE_FRAME_HEAD: usize = 6;
/// The most that a length field may announce (memberlist: `maxPushStateBytes`).
const STREAM_PAYLOAD_MAX: usize = 20 * 1024 * 1024;
/// The most that a message may decompress to (memberlist: twice that).
const STREAM_PLAIN_MAX: usize = 2 * STREAM_PAYLOAD_MAX;
/// What any message may decompress to, however short it is.
const PLAIN_FREE: usize = 1 << 20;
/// A longer one becomes so many times as long at most: no state of an honest cluster compresses so well.
const RATIO_MAX: usize = 32;
/// No less than a seal and the compress message around a message add to it.
const FRAME_OVERHEAD_MAX: usize = 128;
/// The most that is held of one direction.
const STREAM_LEN_MAX: usize = STREAM_PLAIN_MAX;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a test may fail")]
#[allow(clippy::type_complexity, reason = "tables")]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::super::cipher::SealVersion;
    use super::super::keyring::Key;
    use super::super::label::Label;
    use super::*;
    use crate::rng::{Rng, Stream};

    fn rng() -> Rng {
        Rng::new([3; 32], Stream::FrameNonces)
    }

    fn envelope(config: Config, key_len: usize) -> Envelope {
        let mut envelope = Envelope::new(config).unwrap();
        if key_len > 0 {
            envelope.keyring_mut().add(Key::new(&[9; 32][..key_len]).unwrap()).unwrap();
        }
        envelope
    }

    /// Never much more than has arrived, and not moved for each piece either.
    #[test]
    fn room_grows_by_a_quarter() {
        let envelope = envelope(Config { compression: false, ..Config::serf() }, 0);
        let mut reader = FrameReader::new(Side::Acceptor);
        let message = user(Codec::Serf, &[8; 1_000_000]);
        let mut moves = 0;
        for piece in message[..message.len() - 1].chunks(1000) {
            let before = reader.buf.capacity();
            assert_eq!(reader.push(&envelope, piece), Ok(None));
            let (len, room) = (reader.buf.len(), reader.buf.capacity());
            assert!(room <= len + len / 4 + 1000, "{room} for {len}");
            moves += u32::from(room != before);
        }
        assert!(moves < 50, "moved {moves} times");
    }

    fn read(envelope: &Envelope, side: Side, received: &[u8]) -> Result<Option<Vec<u8>>, StreamError> {
        FrameReader::new(side).push(envelope, received)
    }

    /// A whole user message, in the encoding of the codec.
    fn user(codec: Codec, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        codec.encode_stream_user(payload, &mut out);
        out
    }

    /// A message whose end never comes is waited for up to the bound, and given up there, or by what goes past it.
    #[test]
    fn what_is_held_is_bounded() {
        let envelope = envelope(Config::serf(), 0);
        let mut message = b"\x00\xdd\x00\x00\x00\x02\xc6\xff\xff\xff\xff".to_vec();
        message.resize(STREAM_LEN_MAX - 1, 7);
        for (more, error) in [(&b"7"[..], StreamError::Message(MessageError::TooLarge)), (b"77", StreamError::TooLarge)]
        {
            let mut reader = FrameReader::new(Side::Dialler);
            assert_eq!(reader.push(&envelope, &message), Ok(None));
            assert_eq!(reader.buffered(), STREAM_LEN_MAX - 1);
            assert_eq!(reader.push(&envelope, more), Err(error));
            assert_eq!(reader.buffered(), 0);
        }
    }

    /// What is as long as is promised, and does not compress, arrives in each wrapping.
    #[test]
    fn the_longest_message_is_taken() {
        for config in [Config::native(), Config::serf()] {
            let codec = config.codec;
            let head = user(codec, &vec![0; 1 << 20]).len() - (1 << 20);
            let mut payload = vec![0; message_len_max(codec) - head];
            rng().fill(&mut payload);
            let message = user(codec, &payload);
            assert_eq!(message.len(), message_len_max(codec));
            let keys: &[usize] = if cfg!(feature = "encryption") { &[0, 32] } else { &[0] };
            for (key, compression) in keys.iter().flat_map(|key| [true, false].map(|compression| (*key, compression))) {
                if compression && !cfg!(feature = "compression") {
                    continue;
                }
                let envelope = envelope(Config { compression, ..config.clone() }, key);
                let framed = frame_with_nonce(&envelope, Side::Dialler, message.clone(), &[9; 24]);
                let back = read(&envelope, Side::Dialler, &framed);
                assert!(back == Ok(Some(message.clone())), "{codec:?}, key of {key}, {compression}");
            }
        }
    }

    #[test]
    fn refusals() {
        use Side::{Acceptor, Dialler};
        let labelled = |config: Config| Config { label: Label::from("blue"), ..config };
        let (serf, native) = (Config::serf, Config::native);
        #[rustfmt::skip]
        let table: [(Config, Side, &[u8], Result<Option<Vec<u8>>, StreamError>); 21] = [
            (serf(),             Dialler,  b"",                                 Ok(None)),
            (serf(),             Dialler,  b"\xf5",                             Err(StreamError::ForeignWire)),
            (native(),           Dialler,  b"\x06",                             Err(StreamError::ForeignWire)),
            (native(),           Dialler,  b"\x0e",                             Err(StreamError::Malformed)),
            (native(),           Dialler,  b"\xf5",                             Ok(None)),
            (native(),           Dialler,  b"\xf5\x42",                         Err(StreamError::Unsupported)),
            (native(),           Dialler,  b"\xf5\x11",                         Err(StreamError::SealedWithoutKeys)),
            (native(),           Dialler,  b"\xf5\x41\x01\x40\x00\x00",         Ok(None)),
            (native(),           Dialler,  b"\xf5\x41\x01\x40\x00\x01",         Err(StreamError::TooLarge)),
            (native(),           Dialler,  b"\xf5\x41\x00\x00\x00\x00",         Err(StreamError::Checksum)),
            (serf(),             Dialler,  b"\x0a",                             Err(StreamError::SealedWithoutKeys)),
            (serf(),             Dialler,  b"\xf4\x04bl",                       Ok(None)),
            (serf(),             Dialler,  b"\xf4\x00",                         Err(StreamError::LabelMalformed)),
            (serf(),             Dialler,  b"\xf4\x04blue",                     Err(StreamError::LabelWrong)),
            (labelled(serf()),   Dialler,  b"\x00",                             Err(StreamError::LabelMissing)),
            (labelled(serf()),   Dialler,  b"\xf4\x04blue",                     Ok(None)),
            (labelled(native()), Acceptor, b"\xf5\x41",                         Err(StreamError::LabelMissing)),
            (serf(),             Acceptor, b"\xf4",      Err(StreamError::Message(MessageError::UnknownKind(0xf4)))),
            (serf(),             Dialler,  b"\x07\x00",  Err(StreamError::Message(MessageError::UnknownKind(7)))),
            (serf(),             Dialler,  b"\x09\x82\xa4Algo\x00\xa3Buf\xa5",  Ok(None)),
            (labelled(serf()),   Acceptor, b"\x08\x81\xaaUserMsgLen\x01",       Ok(None)),
        ];
        for (config, side, received, expected) in table {
            assert_eq!(read(&envelope(config, 0), side, received), expected, "{side:?} {received:x?}");
        }
    }

    #[cfg(feature = "encryption")]
    #[test]
    fn refusals_with_keys() {
        let serf = envelope(Config::serf(), 32);
        #[rustfmt::skip]
        let table: [(&[u8], Result<Option<Vec<u8>>, StreamError>, Option<&str>); 5] = [
            (b"\x06", Err(StreamError::NotSealed), Some("Encryption is configured but remote state is not encrypted")),
            (b"\x0a\x01\x40\x00\x00", Ok(None), None),
            (b"\x0a\x01\x40\x00\x01", Err(StreamError::TooLarge), Some("Remote node state is larger than limit")),
            (b"\x0a\x00\x00\x00\x01\x01", Err(StreamError::NotOpened), Some("No installed keys could decrypt the message")),
            (b"\x0a\x00\x00\x00\x00", Err(StreamError::NotOpened), Some("No installed keys could decrypt the message")),
        ];
        for (received, expected, answer) in table {
            let got = read(&serf, Side::Dialler, received);
            assert_eq!(got.as_ref().err().and_then(StreamError::answer), answer, "{received:x?}");
            assert_eq!(got, expected, "{received:x?}");
        }
        let lax = envelope(Config { verify_incoming: false, ..Config::serf() }, 32);
        let message = user(Codec::Serf, b"hello");
        assert_eq!(read(&lax, Side::Dialler, &message), Ok(Some(message)));

        let message = user(Codec::Native, b"hello");
        let plain = frame(&envelope(Config::native(), 0), Side::Dialler, message.clone(), &mut rng());
        assert_eq!(read(&envelope(Config::native(), 32), Side::Dialler, &plain), Err(StreamError::NotSealed));
        let lax = envelope(Config { verify_incoming: false, ..Config::native() }, 32);
        assert_eq!(read(&lax, Side::Dialler, &plain), Ok(Some(message)));
    }

    /// A few kilobytes may become so much and no more.
    #[cfg(feature = "compression")]
    #[test]
    fn what_is_decompressed_is_bounded() {
        let edge = (STREAM_PLAIN_MAX - PLAIN_FREE) / RATIO_MAX;
        let most = [0, 1, edge, edge + 1, usize::MAX].map(stream_plain_max);
        assert_eq!(most, [1 << 20, (1 << 20) + 32, 40 << 20, 40 << 20, 40 << 20]);
        for config in [Config::serf(), Config::native()] {
            let is_serf = config.codec == Codec::Serf;
            let envelope = envelope(config, 0);
            let mut packed = Vec::new();
            let mut packed_len = |len: usize| {
                packed.clear();
                let mut coder = Compressor::default();
                let plain = vec![0; len];
                assert!(if is_serf {
                    coder.compress_lzw(&plain, &mut packed, usize::MAX)
                } else {
                    coder.compress_lz4(&plain, &mut packed, usize::MAX)
                });
                packed.len()
            };
            // The longest message of zeros that may be compressed is; one byte more is sent as it is.
            let (mut fits, mut over) = (PLAIN_FREE, STREAM_PAYLOAD_MAX);
            while over - fits > 1 {
                let len = fits.midpoint(over);
                *if len <= stream_plain_max(packed_len(len)) { &mut fits } else { &mut over } = len;
            }
            for (len, compressed) in [(PLAIN_FREE, true), (fits, true), (over, false)] {
                let framed = frame(&envelope, Side::Dialler, vec![0; len], &mut rng());
                assert_eq!(framed.len() < len / 30, compressed, "{} bytes of {len}", framed.len());
                if compressed {
                    let plain = read(&envelope, Side::Dialler, &framed);
                    assert_eq!(plain.map(|plain| plain.map(|plain| plain.len())), Ok(Some(len)));
                }
            }
            // Whoever compresses all the same is not read.
            let mut framed = Vec::new();
            // On Serf's wire the map around it counts.
            packed_len(over + 4096);
            if is_serf {
                compress::write_message(&packed, &mut framed);
            } else {
                let [a, b, c, d] = u32::try_from(packed.len() + crate::wire::checksum::LEN).unwrap().to_be_bytes();
                framed.extend([NATIVE_MARK, native_flags(false, true), a, b, c, d]);
                let sum = crc32(&[&framed, &packed]);
                framed.extend(sum);
                framed.extend_from_slice(&packed);
            }
            let refused = read(&envelope, Side::Dialler, &framed).map(|plain| plain.map(|plain| plain.len()));
            assert_eq!(refused, Err(StreamError::TooLarge));
        }
    }

    /// A native frame sent back to its writer does not open.
    #[cfg(feature = "encryption")]
    #[test]
    fn reflection() {
        let native = envelope(Config::native(), 32);
        let framed = frame(&native, Side::Dialler, b"\x00hello".to_vec(), &mut rng());
        assert_eq!(read(&native, Side::Dialler, &framed), Ok(Some(b"\x00hello".to_vec())));
        assert_eq!(read(&native, Side::Acceptor, &framed), Err(StreamError::NotOpened));
    }

    #[test]
    fn nothing_after_the_end() {
        let plain = envelope(Config { compression: false, ..Config::serf() }, 0);
        let message = user(Codec::Serf, b"hello");
        let mut reader = FrameReader::new(Side::Dialler);
        assert!(reader.is_empty());
        assert_eq!(reader.push(&plain, &message[..5]), Ok(None));
        assert_eq!(reader.buffered(), 5);
        assert_eq!(reader.push(&plain, &[&message[5..], b"more"].concat()), Ok(Some(message.clone())));
        assert_eq!(reader.push(&plain, &message), Ok(None));
        assert_eq!(reader.buffered(), 0);
        let mut reader = FrameReader::new(Side::Dialler);
        assert!(reader.push(&plain, b"\xf5").is_err());
        assert_eq!(reader.push(&plain, b"\x00"), Ok(None));
    }

    #[cfg(feature = "compression")]
    #[test]
    fn serf_undoes_one_level_of_compression() {
        let serf = envelope(Config::serf(), 0);
        let message = user(Codec::Serf, b"hello");
        let once = frame(&serf, Side::Dialler, message.clone(), &mut rng());
        assert_eq!(once[0], kind::COMPRESS);
        assert!(once.len() > message.len(), "compressed although longer");
        assert_eq!(read(&serf, Side::Dialler, &once), Ok(Some(message)));
        let twice = frame(&serf, Side::Dialler, once, &mut rng());
        assert_eq!(read(&serf, Side::Dialler, &twice), Err(StreamError::Malformed));
    }

    fn cases() -> impl Strategy<Value = (Config, usize)> {
        let key_lens = if cfg!(feature = "encryption") { &[0, 16, 24, 32][..] } else { &[0] };
        let compression = if cfg!(feature = "compression") { any::<bool>().boxed() } else { Just(false).boxed() };
        let label = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 1..=255)];
        (any::<bool>(), prop::sample::select(key_lens), any::<bool>(), compression, label).prop_map(
            |(native, key_len, v0, compression, label)| {
                let base = if native { Config::native() } else { Config::serf() };
                let key_len = if native && key_len != 0 { 32 } else { key_len };
                let seal_version = if v0 { SealVersion::V0 } else { SealVersion::V1 };
                (Config { compression, seal_version, label: Label::from(&label[..]), ..base }, key_len)
            },
        )
    }

    fn payloads() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            (any::<u8>(), 0..100_000_usize).prop_map(|(byte, len)| vec![byte; len]),
        ]
    }

    fn sides() -> impl Strategy<Value = Side> {
        prop::sample::select(&[Side::Dialler, Side::Acceptor][..])
    }

    const HEADS: &[&[u8]] =
        &[b"", b"\xf5\x41\x00\x00\x00\x20", b"\x0a\x00\x00\x00\x20", b"\x09\x82", b"\x06", b"\x08\x81"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn reading_undoes_framing(
            (config, key_len) in cases(), payload in payloads(), side in sides(),
            cuts: Vec<prop::sample::Index>, bits: Vec<prop::sample::Index>,
        ) {
            let envelope = envelope(config.clone(), key_len);
            let message = user(config.codec, &payload);
            let framed = frame(&envelope, side, message.clone(), &mut rng());
            prop_assert_eq!(read(&envelope, side, &framed), Ok(Some(message.clone())));

            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(framed.len())).collect();
            cuts.extend([0, framed.len()]);
            cuts.sort_unstable();
            let mut reader = FrameReader::new(side);
            let mut got = None;
            for pair in cuts.windows(2) {
                prop_assert_eq!(&got, &None);
                got = reader.push(&envelope, &framed[pair[0]..pair[1]]).unwrap();
                prop_assert!(reader.buffered() <= pair[1]);
            }
            prop_assert_eq!(got, Some(message));

            if config.codec == Codec::Native || key_len > 0 {
                let label_len = if writes_label(config.codec, side) { config.label.header_len() } else { 0 };
                for bit in bits {
                    let bit = bit.index(framed.len() * 8);
                    let (byte, mask) = (bit / 8, 1 << (bit % 8));
                    // Serf's version byte is not authenticated.
                    if config.codec == Codec::Serf && byte == label_len + SERF_SEALED_HEAD && mask == 1 {
                        continue;
                    }
                    let mut bad = framed.clone();
                    bad[byte] ^= mask;
                    let read = read(&envelope, side, &bad);
                    prop_assert!(!matches!(read, Ok(Some(_))), "{byte} {mask}");
                }
            }
        }

        #[test]
        fn any_bytes_in_any_chunks(
            (config, key_len) in cases(), side in sides(), lax: bool, with_label: bool,
            head in prop::sample::select(HEADS),
            chunks: Vec<Vec<u8>>,
        ) {
            let label = config.label.clone();
            let envelope = envelope(Config { verify_incoming: !lax, ..config }, key_len);
            let mut start = Vec::new();
            if with_label {
                label.write_header(&mut start);
            }
            start.extend_from_slice(head);
            let (mut reader, mut whole) = (FrameReader::new(side), FrameReader::new(side));
            let (mut pieces, mut over) = (Ok(None), false);
            for chunk in core::iter::once(&start).chain(&chunks) {
                let pushed = reader.push(&envelope, chunk);
                if !over && !matches!(pushed, Ok(None)) {
                    (pieces, over) = (pushed, true);
                }
            }
            let received = [start, chunks.concat()].concat();
            prop_assert_eq!(pieces, whole.push(&envelope, &received));
        }
    }
}
