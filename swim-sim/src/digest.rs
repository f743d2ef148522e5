//! A running hash of everything that was sent: two runs are the same run if it is the same.

use core::net::SocketAddr;

use swim_core::Instant;

/// Eight bytes at a time, each word multiplied into the state and the halves of the product added up without carry, as
/// wyhash and foldhash do. Not for security; every bit of every packet moves it, and it is the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// The hash of all that was added.
    pub fn value(self) -> u64 {
        self.0
    }

    /// Adds bytes, and how many they are.
    pub fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add_word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.add_word(u64::from_le_bytes(last));
        self.add_word(bytes.len() as u64);
    }

    /// Adds a number.
    pub fn add_word(&mut self, word: u64) {
        // Not the state and the word alone: a word that is the state's equal would wipe it out.
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR) + u128::from(self.0);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    /// Adds one packet, or one piece of a stream: when, from where, to where, what.
    pub fn add_packet(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.add_word(at.as_nanos());
        self.add_address(from);
        self.add_address(to);
        self.add(bytes);
    }

    fn add_address(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(v4) => self.add_word(u64::from(u32::from(*v4.ip())) << 16 | u64::from(v4.port())),
            SocketAddr::V6(v6) => {
                self.add(&v6.ip().octets());
                self.add_word(u64::from(v6.port()));
            }
        }
    }
}

/// The golden ratio's fraction, made odd: half of its bits are set, in no pattern.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every bit of a packet and its place count: flipped, moved or cut off, it is another packet.
    #[test]
    fn every_bit_counts() {
        let original: Vec<u8> = (0..45).collect();
        let of = |bytes: &[u8]| {
            let mut digest = Digest::default();
            digest.add(bytes);
            digest.value()
        };
        let mut seen = std::collections::BTreeSet::from([of(&original)]);
        for bit in 0..original.len() * 8 {
            let mut changed = original.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(of(&changed)), "bit {bit}");
        }
        for len in 0..original.len() {
            assert!(seen.insert(of(&original[..len])), "{len} bytes");
        }
        assert!(seen.insert(of(&[original.as_slice(), &[0]].concat())), "a zero more");
    }

    /// A word that equals the state does not wipe out what came before.
    #[test]
    fn nothing_is_forgotten() {
        let run = |first: u64| {
            let mut digest = Digest::default();
            digest.add_word(first);
            digest.add_word(digest.value());
            digest.add_word(1);
            digest.value()
        };
        assert_ne!(run(1), run(2));
    }

    /// The same on every machine.
    #[test]
    fn it_is_what_it_was() {
        let mut digest = Digest::default();
        digest.add(b"foobar and more");
        let value = digest.value();
        let mut again = Digest::default();
        again.add_word(u64::from_le_bytes(*b"foobar a"));
        again.add_word(u64::from_le_bytes(*b"nd more\0"));
        again.add_word(15);
        assert_eq!(value, again.value());
    }
}
