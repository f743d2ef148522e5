//! CRC-32 as in zlib, the checksum of both wire formats.
//!
//! ```text
//! Serf:    0c crc(u32 BE) content                 over content                     (memberlist: hasCrcMsg)
//! native:  f5 flags crc(u32 BE) content           over f5 flags content            (datagram, not sealed)
//!          f5 flags length(u32 BE) crc content    over f5 flags length content     (stream frame, not sealed)
//! ```

/// CRC-32 (IEEE) of the parts one after the other.
pub(crate) fn crc32(parts: &[&[u8]]) -> [u8; LEN] {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().to_be_bytes()
}

/// Bytes of a checksum.
pub(crate) const LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let table: [(&[&[u8]], u32); 4] =
            [(&[], 0), (&[b""], 0), (&[b"123456789"], 0xcbf4_3926), (&[b"1234", b"", b"56789"], 0xcbf4_3926)];
        for (parts, crc) in table {
            assert_eq!(crc32(parts), crc.to_be_bytes(), "{parts:?}");
        }
    }
}
