//! Decompression with a ceiling, of both algorithms.

use alloc::vec::Vec;

use super::bytes::Bytes;
use crate::wire::compress::{Compressor, DecompressError, unpack_message};

/// Decompresses arbitrary bytes.
///
/// The first byte says how: its remainder by 3 is 0 for LZW, 1 for LZ4 behind its length, 2 for Serf's compress message. Two
/// bytes, little endian, are the ceiling; what is to be decompressed follows.
///
/// # Panics
///
/// When something comes out that is empty or above the ceiling; when memory is taken out of proportion to it; when what
/// stood in the buffer has changed; when another ceiling changes more than it should; when what came out does not come
/// out of its own compressed form.
///
/// # Examples
///
/// ```
/// // LZ4, at most 1000 bytes: a literal of two.
/// swim_core::fuzzing::decompression::run(b"\x01\xe8\x03\0\0\0\x02\x20hi");
/// ```
pub fn run(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let how = input.u8() % 3;
    let (ceiling, packed) = (usize::from(input.u16()), input.0);
    let mut coder = Compressor::default();
    let mut decompress = |len_max: usize| {
        let mut out = KEPT.to_vec();
        let result = match how {
            0 => coder.decompress_lzw(packed, &mut out, len_max),
            1 => coder.decompress_lz4(packed, &mut out, len_max),
            _ => unpack_message(&mut coder, packed, &mut out, len_max),
        };
        assert!(out.starts_with(KEPT), "what was there before has changed");
        // A vector that grows doubles; the coders ask for room a page at a time.
        let most = 2 * (KEPT.len() + len_max + PAGE + 1);
        assert!(out.capacity() <= most, "{} bytes of memory for at most {len_max}", out.capacity());
        result.map(|()| out.split_off(KEPT.len()))
    };
    let plain = match decompress(ceiling) {
        Ok(plain) => plain,
        Err(DecompressError::TooLarge) => {
            assert_ne!(decompress(0), Err(DecompressError::Unsupported));
            return;
        }
        Err(_) => return,
    };
    assert!((1..=ceiling).contains(&plain.len()), "{} bytes, at most {ceiling} were allowed", plain.len());
    assert_eq!(decompress(plain.len()).as_ref(), Ok(&plain), "the ceiling is exactly its length");
    assert_eq!(decompress(plain.len() - 1), Err(DecompressError::TooLarge), "one byte less");
    assert_eq!(decompress(ceiling + 1).as_ref(), Ok(&plain), "one byte more");
    let (mut lzw, mut lz4) = (Vec::new(), Vec::new());
    assert!(coder.compress_lzw(&plain, &mut lzw, usize::MAX) && coder.compress_lz4(&plain, &mut lz4, usize::MAX));
    let mut out = Vec::new();
    assert_eq!(coder.decompress_lzw(&lzw, &mut out, plain.len()), Ok(()));
    assert_eq!(out, plain, "by way of LZW");
    out.clear();
    assert_eq!(coder.decompress_lz4(&lz4, &mut out, plain.len()), Ok(()));
    assert_eq!(out, plain, "by way of LZ4");
}

const KEPT: &[u8] = b"kept";
const PAGE: usize = 4096;
