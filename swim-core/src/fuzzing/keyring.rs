//! Keys and label, against the plainest possible account of both.

use alloc::vec::Vec;

use super::bytes::Bytes;
use super::wrapping::NONCE;
use crate::wire::Config;
use crate::wire::envelope::Envelope;
use crate::wire::keyring::{Key, Keyring, KeyringError};
use crate::wire::label::{Label, LabelError};

/// Changes a ring of keys, and has it seal and open.
///
/// The first byte: bit 0 native, where keys have 32 bytes; bit 1 a label check that is skipped. Then steps of two bytes: what,
/// its remainder by 5, and which of 240 keys. 0 adds it, 1 makes it the primary, 2 removes it, 3 seals with the ring and
/// opens with a ring of that key alone. 4: the second byte is a length, and so many bytes follow, of which the label `blue`
/// is stripped.
///
/// # Panics
///
/// When the ring, or the label, is not what a list says.
///
/// # Examples
///
/// ```
/// // Adds three keys, chooses the second, removes the first, and seals.
/// swim_core::fuzzing::keyring::run(b"\x01\0\x02\0\x05\0\x08\x01\x05\x02\x02\x03\x05");
/// ```
pub fn run(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let first = input.u8();
    let base = if first & 1 == 0 { Config::serf() } else { Config::native() };
    let native = first & 1 != 0;
    let mut envelope = Envelope::new(base.clone()).expect("it is a preset");
    let mut model: Vec<Key> = Vec::new();
    for _ in 0..STEPS_MAX {
        let Some(what) = input.byte() else { return };
        if what % 5 == 4 {
            let received = input.short();
            label(received, first & 2 != 0);
            continue;
        }
        let key = key(input.u8());
        let place = model.iter().position(|known| *known == key);
        let ring = envelope.keyring_mut();
        match what % 5 {
            0 => {
                let expected = match place {
                    Some(_) => Ok(()),
                    None if native && key.as_bytes().len() != 32 => Err(KeyringError::UnfitLength),
                    None if model.len() == Keyring::KEYS_MAX => Err(KeyringError::Full),
                    None if cfg!(not(feature = "encryption")) => Err(KeyringError::NoCiphers),
                    None => {
                        model.push(key.clone());
                        Ok(())
                    }
                };
                assert_eq!(ring.add(key), expected);
            }
            1 => {
                let expected = place.map(|place| model[..=place].rotate_right(1)).ok_or(KeyringError::NotInstalled);
                assert_eq!(ring.use_key(&key), expected);
            }
            2 => {
                let expected = if place == Some(0) { Err(KeyringError::Primary) } else { Ok(()) };
                if let Some(place @ 1..) = place {
                    model.remove(place);
                }
                assert_eq!(ring.remove(&key), expected);
            }
            _ => seal(&mut envelope, &base, key, &model),
        }
        let ring = &envelope.config().keyring;
        assert!(ring.keys().eq(&model), "{:?} where there should be {model:?}", ring.keys().collect::<Vec<_>>());
        assert_eq!((ring.primary(), ring.is_empty()), (model.first(), model.is_empty()));
    }
}

/// What the ring seals is opened by whoever has its first key, and by nobody else.
fn seal(envelope: &mut Envelope, base: &Config, other: Key, model: &[Key]) {
    let mut buf = Vec::new();
    let mut packet = envelope.begin(&mut buf, true);
    packet.push_bytes(MESSAGE);
    packet.finish_with_nonce(&NONCE);
    let opens = |mut receiver: Envelope| {
        let mut heard = false;
        let opened = receiver.open(&mut buf.clone(), &mut |part| heard = part == Ok((MESSAGE[0], &MESSAGE[1..])));
        opened.is_ok() && heard
    };
    let mut config = base.clone();
    let shares = model.first() == Some(&other);
    if config.keyring.add(other).is_err() {
        return; // In a build without ciphers.
    }
    // The native wire takes no short keys, not even to open.
    if let Ok(receiver) = Envelope::new(config) {
        assert_eq!(opens(receiver), shares, "a ring that seals with {:?}", model.first());
    }
    let all = Envelope::new(envelope.config().clone()).expect("its configuration is valid");
    assert!(opens(all), "the ring opens what it seals");
}

fn label(received: &[u8], skip: bool) {
    let expected = match received {
        [] => Ok(None),
        [0xf4, ..] if skip => Err(LabelError::Wrong),
        [0xf4] => Ok(None),
        [0xf4, 0, ..] => Err(LabelError::Malformed),
        [0xf4, size, rest @ ..] if rest.len() < usize::from(*size) => Ok(None),
        [0xf4, 4, b'b', b'l', b'u', b'e', ..] => Ok(Some(6)),
        [0xf4, ..] => Err(LabelError::Wrong),
        _ if skip => Ok(Some(0)),
        _ => Err(LabelError::Missing),
    };
    assert_eq!(Label::from("blue").strip(received, skip), expected, "{received:02x?}");
}

/// One of more keys than a ring holds, of all three lengths. Two that are equal but for their length are among them.
fn key(which: u8) -> Key {
    let which = which % KEYS;
    let len = [16, 24, 32][usize::from(which % 3)];
    Key::new(&[which / 3 * u8::from(which > 5); 32][..len]).expect("the length is one of the three")
}

const KEYS: u8 = 240;
const STEPS_MAX: usize = 512;
const MESSAGE: &[u8] = b"\x08hello";
