//! The two codecs say the same things.

use super::bytes::Bytes;
use super::restate::Form;
use crate::wire::codec::Codec;

/// Hands what one codec understands to the other, and back.
///
/// The first byte says what the rest is taken for: of its low seven bits the remainder by 9, in the order datagram,
/// stream, message of Serf, filter, conflict, key request, key response, coordinate, tags; and, with the highest bit, that it is
/// on Serf's wire.
///
/// # Panics
///
/// When the other codec has no words for it; when it is not the same after it has come back; when what was said twice is
/// not what was said once.
///
/// # Examples
///
/// ```
/// // A nack, on Serf's wire.
/// swim_core::fuzzing::codecs::run(b"\x80\x0b\x81\xa5SeqNo\x07");
/// ```
pub fn run(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let Some(first) = input.byte() else { return };
    let form = Form::ALL[usize::from(first & 0x7f) % Form::ALL.len()];
    let (here, there) = if first & 0x80 == 0 { (Codec::Native, Codec::Serf) } else { (Codec::Serf, Codec::Native) };
    let heard = input.0;
    let Some(said) = form.restate(here, here, heard) else { return };
    let Some(abroad) = form.restate(here, there, heard) else {
        assert!(here == Codec::Native && form == Form::Serf, "{form:?} of {here:?} alone: {heard:02x?}");
        return; // Messages from one member to another are native only.
    };
    let back = form.restate(there, here, &abroad);
    // Serf's wire has no features, and a state from the future has no number there but one.
    if here == Codec::Serf {
        assert_eq!(back.as_ref(), Some(&said), "{form:?}, by way of {abroad:02x?}");
    }
    let abroad_again = back.as_deref().and_then(|back| form.restate(here, there, back));
    assert_eq!(abroad_again.as_ref(), Some(&abroad), "{form:?} of {here:?}, there again: {heard:02x?}");
    assert_eq!(form.restate(here, here, &said), Some(said), "{form:?} of {here:?}, said twice: {heard:02x?}");
}
