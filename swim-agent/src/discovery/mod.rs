//! Members that nobody has named: those behind an SRV record, and those that answer on the same network.
//!
//! `srv` puts targets in the place of names such as `_serf._tcp.example.org` before a join; `dns` asks nameservers.
//! `multicast` finds and is found by mDNS, with the messages of `mdns`. What all of them read was written by strangers:
//! [`parse`] is the only way in.

pub(crate) mod dns;
pub(crate) mod mdns;
pub(crate) mod multicast;
pub(crate) mod srv;

use simple_dns::{Packet, SimpleDnsError};

/// Reads a message. Memory is taken for as many records as it says to have, so first it must be long enough for them.
pub(crate) fn parse(bytes: &[u8]) -> Result<Packet<'_>, SimpleDnsError> {
    let counts = bytes.get(4..12).ok_or(SimpleDnsError::InsufficientData)?;
    let count: usize = counts.chunks_exact(2).map(|pair| usize::from(pair[0]) << 8 | usize::from(pair[1])).sum();
    if count > bytes.len() / RECORD_LEN_MIN {
        return Err(SimpleDnsError::InsufficientData);
    }
    Packet::parse(bytes)
}

/// A question for the root: its name, type and class.
const RECORD_LEN_MIN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_write() {
        #[rustfmt::skip]
        let table: [(&str, &[u8]); 7] = [
            ("nothing",                         b""),
            ("half a header",                   b"\0\x01\x84\0\0\0"),
            ("65535 answers in no bytes",       b"\0\x01\x84\0\0\0\xff\xff\0\0\0\0"),
            ("65535 of everything",             b"\0\x01\x84\0\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("a name that points to itself",    b"\0\x01\x84\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x21\0\x01"),
            ("a name that points forward",      b"\0\x01\x84\0\0\x01\0\0\0\0\0\0\xc0\x10\0\x21\0\x01\0"),
            ("a label past the end",            b"\0\x01\x84\0\0\x01\0\0\0\0\0\0\x3fab\0\x21\0\x01"),
        ];
        for (what, bytes) in table {
            assert!(parse(bytes).is_err(), "{what}");
        }
        assert!(parse(b"\0\x01\x84\0\0\x01\0\0\0\0\0\0\0\0\x21\0\x01").is_ok());
    }

    /// What announces no more records than there are bytes for is read, until there is something wrong in it.
    #[test]
    fn records_announced_are_bounded() {
        for (len, count) in [(18, 3), (19, 3), (20, 4), (9000, 1800)] {
            for section in [4, 6, 8, 10] {
                let parse_with = |count: u16| {
                    // One question, then the rest; the first record of all has a name that points to itself.
                    let mut bytes = b"\0\x01\x84\0\0\0\0\0\0\0\0\0\xc0\x0c\0\x21\0\x01".to_vec();
                    bytes.resize(len, 0);
                    bytes[5] = 1;
                    let announced = u16::from_be_bytes([bytes[section], bytes[section + 1]]) + count - 1;
                    bytes[section..section + 2].copy_from_slice(&announced.to_be_bytes());
                    parse(&bytes).map(drop).unwrap_err()
                };
                assert_ne!(parse_with(count), SimpleDnsError::InsufficientData, "{count} in {len} bytes");
                assert_eq!(parse_with(count + 1), SimpleDnsError::InsufficientData, "{count} and one in {len} bytes");
            }
        }
    }
}
