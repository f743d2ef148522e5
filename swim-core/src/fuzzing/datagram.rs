//! Datagrams, taken apart as a node does it, down to the last message.

use alloc::vec::Vec;

use super::bytes::Bytes;
use super::restate::Form;
use super::wrapping::{NONCE, Wrapping, stands_for_itself};
use crate::wire::codec::Codec;
use crate::wire::envelope::{DATAGRAM_PLAIN_MAX, DatagramError, Envelope};
use crate::wire::message::kind;

/// Opens a datagram and decodes what is in it.
///
/// The first byte says how datagrams are wrapped: bit 0 Serf's wire, 1 with a key, 2 with a label, 3 what is not sealed is
/// accepted, 4 the rest is content that is wrapped first, 5 compressed, 6 in Serf's older seal. The rest is the datagram,
/// or its content.
///
/// # Panics
///
/// When a datagram that is refused has handed something out; when more comes out than fits the bound on decompressed
/// bytes; when what was put in does not come out; when a message that was understood cannot be said again.
///
/// # Examples
///
/// ```
/// // Natively, without a key: a checksum that is wrong.
/// swim_core::fuzzing::datagram::run(b"\x00\xf5\x41????\x02\x07");
/// ```
pub fn run(bytes: &[u8]) {
    Datagrams::default().run(bytes);
}

/// The same for very many datagrams: what is costly to make is kept from one to the next.
///
/// ```
/// let mut datagrams = swim_core::fuzzing::datagram::Datagrams::default();
/// for kind in 0..=255 {
///     datagrams.run(&[1, kind, 0x80]);
/// }
/// ```
#[derive(Debug, Default)]
pub struct Datagrams {
    /// One for each way of wrapping, made when first needed.
    envelopes: Vec<Option<Envelope>>,
    buf: Vec<u8>,
    parts: Parts,
}

/// What came out, one part after the other.
#[derive(Debug, Default)]
struct Parts {
    bytes: Vec<u8>,
    /// Where each ends, and whether it is one or stands for an error.
    ends: Vec<(usize, bool)>,
}

impl Datagrams {
    /// As [`run`]; how many messages came out.
    ///
    /// # Panics
    ///
    /// As [`run`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let mut datagrams = swim_core::fuzzing::datagram::Datagrams::default();
    /// // On Serf's wire, wrapped first: the content is a nack.
    /// assert_eq!(datagrams.run(b"\x11\x0b\x81\xa5SeqNo\x07"), 1);
    /// ```
    pub fn run(&mut self, bytes: &[u8]) -> usize {
        let mut input = Bytes(bytes);
        let Some(wrapping) = Wrapping::take(&mut input) else { return 0 };
        if self.envelopes.is_empty() {
            self.envelopes.resize_with(Wrapping::COUNT, || None);
        }
        let Self { envelopes, buf, parts } = self;
        let envelope = envelopes[usize::from(wrapping.0)]
            .get_or_insert_with(|| Envelope::new(wrapping.config()).expect("every wrapping is a valid configuration"));
        let content = input.0;
        let mut comes_back = false;
        if wrapping.wraps() {
            let mut packet = envelope.begin(buf, wrapping.checksum());
            let fits = content.len() <= packet.room();
            packet.push_bytes(content);
            let is_pushed = !packet.is_empty();
            packet.finish_with_nonce(&NONCE);
            assert_eq!(buf.is_empty(), !is_pushed, "what has no message is no datagram, and the other way round");
            if is_pushed && fits {
                let max = envelope.config().datagram_len_max;
                assert!(buf.len() <= max, "{} bytes where there was room for {max}", buf.len());
            }
            comes_back = is_pushed && content.first().is_some_and(|kind| stands_for_itself(*kind));
        } else {
            buf.clear();
            buf.extend_from_slice(content);
        }
        let len = buf.len();
        parts.open(envelope, buf).unwrap_or_else(|error| {
            assert!(parts.ends.is_empty(), "{error} was said of a datagram of which parts had been handed out");
            assert!(!comes_back, "{error} was said of what was wrapped here");
        });
        if comes_back {
            assert_eq!((&parts.bytes[..], &parts.ends[..]), (content, &[(content.len(), true)][..]));
        }
        let most = DATAGRAM_PLAIN_MAX + len;
        assert!(parts.bytes.len() <= most, "{} bytes came out of {len}", parts.bytes.len());
        parts.iter().inspect(|part| look(wrapping.codec(), part)).count()
    }
}

impl Parts {
    fn open(&mut self, envelope: &mut Envelope, datagram: &mut [u8]) -> Result<(), DatagramError> {
        self.bytes.clear();
        self.ends.clear();
        envelope.open(datagram, &mut |part| {
            if let Ok((kind, body)) = part {
                self.bytes.push(kind);
                self.bytes.extend_from_slice(body);
            }
            self.ends.push((self.bytes.len(), part.is_ok()));
        })
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = core::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts.zip(&self.ends).filter(|(_, (_, is_ok))| *is_ok).map(|(start, (end, _))| &self.bytes[start..*end])
    }
}

/// Decodes a message, and what it carries, as far as it can be told what that is.
fn look(codec: Codec, message: &[u8]) {
    let again = |form: Form, bytes: &[u8]| {
        let Some(said) = form.restate(codec, codec, bytes) else { return };
        let heard = form.restate(codec, codec, &said);
        assert_eq!(heard.as_ref(), Some(&said), "{form:?} of {codec:?} said again: {bytes:02x?}");
    };
    again(Form::Datagram, message);
    let [kind, body @ ..] = message else { return };
    if *kind == kind::USER {
        again(Form::Serf, body);
    }
    if *kind == kind::ACK
        && let Ok(crate::wire::message::Message::Ack(ack)) = codec.decode(*kind, body)
        && let Some(payload) = &ack.payload
    {
        again(Form::Coordinate, payload);
    }
    if *kind == kind::ALIVE
        && let Ok(crate::wire::message::Message::Alive(alive)) = codec.decode(*kind, body)
        && let Some(meta) = &alive.meta
    {
        again(Form::Tags, meta);
    }
}
