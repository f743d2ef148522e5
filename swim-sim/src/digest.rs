//! A running hash of everything that was sent: two runs are the same run if it is the same.

use core::net::SocketAddr;

use swim_core::Instant;

/// FNV-1a, 64 bits. Not for security; it is small, needs no table, and every bit of every packet moves it.
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

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds one packet, or one piece of a stream: when, from where, to where, what.
    pub fn add_packet(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.add(&at.as_nanos().to_le_bytes());
        self.add_address(from);
        self.add_address(to);
        self.add(&(bytes.len() as u64).to_le_bytes());
        self.add(bytes);
    }

    fn add_address(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(v4) => self.add(&v4.ip().octets()),
            SocketAddr::V6(v6) => self.add(&v6.ip().octets()),
        }
        self.add(&address.port().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the authors' list of test vectors.
    #[test]
    fn it_is_the_published_function() {
        let mut digest = Digest::default();
        digest.add(b"foobar");
        assert_eq!(digest.value(), 0x8594_4171_f739_67e8);
    }
}
