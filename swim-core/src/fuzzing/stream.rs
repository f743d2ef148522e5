//! Streams, in whatever pieces they arrive.

use alloc::vec::Vec;

use super::bytes::Bytes;
use super::restate::Form;
use super::wrapping::{NONCE, Wrapping};
use crate::wire::codec::{Codec, StreamScan};
use crate::wire::envelope::Envelope;
use crate::wire::framing::{FrameReader, Side, StreamError, frame_with_nonce};
use crate::wire::message::kind;

/// Hands the bytes of one direction of a stream to a reader, in pieces and at once.
///
/// The first byte says how streams are wrapped, as for [`datagram`](super::datagram::run); its bit 7: they come from whoever
/// accepted the stream. The second byte says how they are cut: 0 byte by byte, otherwise in pieces whose lengths follow from
/// it. The rest is the stream, or with bit 4 the message that is wrapped first.
///
/// # Panics
///
/// When how it is cut makes a difference; when more is held than has arrived, or anything after the end; when what was
/// put in does not come out; when a message that was understood has no end, or cannot be said again.
///
/// # Examples
///
/// ```
/// // On Serf's wire, in single bytes: a user message of two bytes.
/// swim_core::fuzzing::stream::run(b"\x01\x00\x08\x81\xaaUserMsgLen\x02hi");
/// ```
pub fn run(bytes: &[u8]) {
    Streams::default().run(bytes);
}

/// The same for very many streams: what is costly to make is kept from one to the next.
///
/// ```
/// let mut streams = swim_core::fuzzing::stream::Streams::default();
/// for kind in 0..=255 {
///     streams.run(&[0, 0, kind, 0x41, 0]);
/// }
/// ```
#[derive(Debug, Default)]
pub struct Streams {
    /// One for each way of wrapping, made when first needed.
    envelopes: Vec<Option<Envelope>>,
}

impl Streams {
    /// As [`run`]; whether a message came out.
    ///
    /// # Panics
    ///
    /// As [`run`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let mut streams = swim_core::fuzzing::stream::Streams::default();
    /// // Natively, wrapped first.
    /// assert!(streams.run(b"\x10\x03\x08\x02\0\0\0hi"));
    /// ```
    pub fn run(&mut self, bytes: &[u8]) -> bool {
        let mut input = Bytes(bytes);
        let Some(wrapping) = Wrapping::take(&mut input) else { return false };
        let cut = input.u8();
        if self.envelopes.is_empty() {
            self.envelopes.resize_with(Wrapping::COUNT, || None);
        }
        let envelope = &*self.envelopes[usize::from(wrapping.0)]
            .get_or_insert_with(|| Envelope::new(wrapping.config()).expect("every wrapping is a valid configuration"));
        let side = if wrapping.is_acceptors() { Side::Acceptor } else { Side::Dialler };
        if !wrapping.wraps() {
            return matches!(read(wrapping.codec(), envelope, side, input.0, cut), Ok(Some(_)));
        }
        let framed = frame_with_nonce(envelope, side, input.0.to_vec(), &NONCE);
        let outcome = read(wrapping.codec(), envelope, side, &framed, cut);
        if comes_back(wrapping, input.0) {
            assert_eq!(outcome.as_ref().map(Option::as_deref), Ok(Some(input.0)), "wrapped here, as {framed:02x?}");
        }
        matches!(outcome, Ok(Some(_)))
    }
}

/// Whether this is a message that its frame must lead back to.
fn comes_back(wrapping: Wrapping, message: &[u8]) -> bool {
    let Some(&first) = message.first() else { return false };
    match wrapping.codec() {
        Codec::Native => true,
        // A wrapper inside a wrapper is none.
        Codec::Serf if wrapping.compresses() => {
            first <= kind::ERROR && !matches!(first, kind::COMPRESS | kind::ENCRYPT)
        }
        Codec::Serf if wrapping.is_keyed() => !matches!(first, kind::COMPRESS | kind::ENCRYPT),
        // Without a wrapper it must know its own end; `read` looks at that.
        Codec::Serf => false,
    }
}

type Outcome = Result<Option<Vec<u8>>, StreamError>;

fn read(codec: Codec, envelope: &Envelope, side: Side, stream: &[u8], cut: u8) -> Outcome {
    let mut reader = FrameReader::new(side);
    let whole = reader.push(envelope, stream);
    is_over(&mut reader, envelope, &whole);
    let pieces = in_pieces(envelope, side, stream, cut);
    assert_eq!(pieces, whole, "in pieces and at once, of {stream:02x?}");
    if let Ok(Some(message)) = &whole {
        look(codec, message);
    }
    whole
}

fn in_pieces(envelope: &Envelope, side: Side, stream: &[u8], cut: u8) -> Outcome {
    let mut reader = FrameReader::new(side);
    let (mut rest, mut arrived, mut turn) = (stream, 0, u32::from(cut));
    while !rest.is_empty() {
        let len = if cut == 0 { 1 } else { 1 + turn as usize % 37 };
        turn = turn.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f) >> 3;
        let piece;
        (piece, rest) = rest.split_at(len.min(rest.len()));
        arrived += piece.len();
        let outcome = reader.push(envelope, piece);
        assert!(reader.buffered() <= arrived, "{} bytes are held, {arrived} have arrived", reader.buffered());
        if outcome != Ok(None) {
            is_over(&mut reader, envelope, &outcome);
            return outcome;
        }
    }
    Ok(None)
}

/// After a message or an error nothing is held, and nothing more comes.
fn is_over(reader: &mut FrameReader, envelope: &Envelope, outcome: &Outcome) {
    if *outcome != Ok(None) {
        assert!(reader.is_empty(), "{} bytes are held after the end", reader.buffered());
        assert_eq!(reader.push(envelope, b"more"), Ok(None));
        assert!(reader.is_empty(), "what comes after the end is held");
    }
}

fn look(codec: Codec, message: &[u8]) {
    assert!(!message.is_empty(), "an empty message");
    let scanned = codec.scan_stream(&mut StreamScan::default(), message);
    let Some(said) = Form::Stream.restate(codec, codec, message) else { return };
    assert!(matches!(scanned, Ok(Some(_))), "understood, and the end is {scanned:?}: {message:02x?}");
    assert_eq!(Form::Stream.restate(codec, codec, &said).as_ref(), Some(&said), "said again: {message:02x?}");
    assert_eq!(codec.scan_stream(&mut StreamScan::default(), &said), Ok(Some(said.len())), "{said:02x?}");
}
