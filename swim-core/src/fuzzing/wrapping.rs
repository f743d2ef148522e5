//! How datagrams and streams are wrapped in one run of a body: one byte of the input says it.

use super::bytes::Bytes;
use crate::wire::Config;
use crate::wire::cipher::SealVersion;
use crate::wire::codec::Codec;
#[cfg(feature = "encryption")]
use crate::wire::keyring::Key;
use crate::wire::label::Label;
use crate::wire::message::kind;

/// ```text
/// bit 0   Serf's wire, not the native one        bit 4   the rest is content, to be wrapped before it is taken apart
/// bit 1   with a key                             bit 5   what is wrapped is compressed
/// bit 2   with a label                           bit 6   sealed in Serf's older version; without a key, with a checksum
/// bit 3   what is not sealed is accepted         bit 7   from whoever accepted the stream, not from the dialler
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrapping(pub(super) u8);

impl Wrapping {
    /// How many different ones there are.
    pub(super) const COUNT: usize = 256;

    pub(super) fn take(input: &mut Bytes<'_>) -> Option<Self> {
        input.byte().map(Self)
    }

    pub(super) fn codec(self) -> Codec {
        if self.has(0) { Codec::Serf } else { Codec::Native }
    }

    pub(super) fn is_keyed(self) -> bool {
        cfg!(feature = "encryption") && self.has(1)
    }

    pub(super) fn wraps(self) -> bool {
        self.has(4)
    }

    pub(super) fn compresses(self) -> bool {
        cfg!(feature = "compression") && self.has(5)
    }

    pub(super) fn checksum(self) -> bool {
        self.has(6)
    }

    pub(super) fn is_acceptors(self) -> bool {
        self.has(7)
    }

    pub(super) fn config(self) -> Config {
        let mut config = match self.codec() {
            Codec::Native => Config::native(),
            Codec::Serf => Config::serf(),
        };
        #[cfg(feature = "encryption")]
        if self.is_keyed() {
            let key = Key::new(&[9; 32]).expect("32 bytes are a key");
            config.keyring.add(key).expect("there is room for the first");
        }
        if self.has(2) {
            config.label = Label::from("blue");
        }
        config.verify_incoming = !self.has(3);
        config.compression = self.compresses();
        config.seal_version = if self.has(6) { SealVersion::V0 } else { SealVersion::V1 };
        config
    }

    fn has(self, bit: u8) -> bool {
        self.0 & 1 << bit != 0
    }
}

/// Whether a message of this kind is handed out as it is, wherever it stands, and not taken for a wrapper of others.
pub(super) fn stands_for_itself(message_kind: u8) -> bool {
    matches!(
        message_kind,
        kind::PING
            | kind::INDIRECT_PING
            | kind::ACK
            | kind::SUSPECT
            | kind::ALIVE
            | kind::DEAD
            | kind::USER
            | kind::NACK
    )
}

/// Bodies use no nonce twice for different content that anybody sees: nobody does.
pub(super) const NONCE: [u8; 24] = [5; 24];
