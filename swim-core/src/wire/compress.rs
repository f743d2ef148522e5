//! Compression: LZW in the GIF variant on Serf's wire, LZ4 blocks on the native one.
//!
//! ```text
//! Serf:    09 map{Algo: 0, Buf: lzw}                     (memberlist: util.go, compress)
//! native:  plain_len(u32 BE) lz4-block                   announced by a flag of the envelope
//! ```

#[cfg(feature = "compression")]
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::message::kind;
use super::msgpack;
use super::reader::Reader;

/// Encoders and decoders, made when first needed and then kept, so that a steady state allocates nothing.
#[derive(Default)]
pub(crate) struct Compressor {
    #[cfg(feature = "compression")]
    encoder: Option<weezl::encode::Encoder>,
    #[cfg(feature = "compression")]
    decoder: Option<weezl::decode::Decoder>,
    #[cfg(feature = "compression")]
    table: Option<Box<lz4_flex::block::CompressTable>>,
}

impl core::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

/// Why something did not decompress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecompressError {
    /// Not what an encoder writes, or nothing in it.
    Malformed,
    /// More than the receiver takes.
    #[cfg_attr(not(feature = "compression"), expect(dead_code, reason = "nothing is decompressed"))]
    TooLarge,
    /// An algorithm that we do not know, or a build without the feature `compression`.
    Unsupported,
}

#[cfg(feature = "compression")]
impl Compressor {
    /// Appends `plain` in LZW, if that takes at most `len_max` bytes; otherwise leaves `out` as it was.
    pub(crate) fn compress_lzw(&mut self, plain: &[u8], out: &mut Vec<u8>, len_max: usize) -> bool {
        use weezl::{BitOrder, LzwStatus, encode::Encoder};

        let encoder = self.encoder.get_or_insert_with(|| Encoder::new(BitOrder::Lsb, 8));
        encoder.reset();
        encoder.finish();
        let start = out.len();
        let (mut input, mut written) = (plain, start);
        loop {
            let room = CHUNK.min(len_max.saturating_sub(written.saturating_sub(start)));
            out.resize(written.saturating_add(room), 0);
            let step = encoder.encode_bytes(input, out.get_mut(written..).unwrap_or_default());
            input = input.get(step.consumed_in..).unwrap_or_default();
            written = written.saturating_add(step.consumed_out);
            match step.status {
                Ok(LzwStatus::Done) => {
                    out.truncate(written);
                    return true;
                }
                // Out of room, and therefore not worth it.
                Ok(_) if room == 0 || (step.consumed_in == 0 && step.consumed_out == 0) => break,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        out.truncate(start);
        false
    }

    /// Appends what `packed` holds in LZW, of 1 to `len_max` bytes.
    pub(crate) fn decompress_lzw(
        &mut self,
        packed: &[u8],
        out: &mut Vec<u8>,
        len_max: usize,
    ) -> Result<(), DecompressError> {
        use weezl::{BitOrder, LzwStatus, decode::Decoder};

        let decoder = self.decoder.get_or_insert_with(|| Decoder::new(BitOrder::Lsb, 8));
        decoder.reset();
        let start = out.len();
        let (mut input, mut written) = (packed, start);
        let mut steps = 0_usize;
        loop {
            steps = steps.saturating_add(1);
            if steps > steps_max(packed.len(), written.saturating_sub(start)) {
                return Err(DecompressError::Malformed);
            }
            // One byte past the limit tells "too large" from "just fits".
            let room = CHUNK.min(len_max.saturating_add(1).saturating_sub(written.saturating_sub(start)));
            out.resize(written.saturating_add(room), 0);
            let step = decoder.decode_bytes(input, out.get_mut(written..).unwrap_or_default());
            input = input.get(step.consumed_in..).unwrap_or_default();
            written = written.saturating_add(step.consumed_out);
            let len = written.saturating_sub(start);
            if len > len_max {
                return Err(DecompressError::TooLarge);
            }
            match step.status {
                Ok(LzwStatus::Done) if len == 0 => return Err(DecompressError::Malformed),
                Ok(LzwStatus::Done) => {
                    out.truncate(written);
                    return Ok(());
                }
                // Even of a step that took nothing in and gave nothing out: it may have cleared the table.
                Ok(LzwStatus::Ok) => {}
                // The data ends before the end code does.
                Ok(LzwStatus::NoProgress) | Err(_) => return Err(DecompressError::Malformed),
            }
        }
    }

    /// Appends `plain` as an LZ4 block behind its length, if that takes at most `len_max` bytes; otherwise leaves `out`
    /// as it was.
    pub(crate) fn compress_lz4(&mut self, plain: &[u8], out: &mut Vec<u8>, len_max: usize) -> bool {
        use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

        let start = out.len();
        let Ok(plain_len) = u32::try_from(plain.len()) else { return false };
        out.extend_from_slice(&plain_len.to_be_bytes());
        let at = out.len();
        out.resize(at.saturating_add(get_maximum_output_size(plain.len())), 0);
        // A table that grew for a long input would be slower for datagrams.
        let is_long = plain.len() >= usize::from(u16::MAX);
        let table = self.table.take().filter(|table| is_long || matches!(**table, CompressTable::Small(_)));
        let table = self.table.insert(table.unwrap_or_else(|| Box::new(CompressTable::small())));
        let written = compress_into_with_table(plain, out.get_mut(at..).unwrap_or_default(), table);
        let fits = written.ok().map(|len| at.saturating_add(len)).filter(|end| end.saturating_sub(start) <= len_max);
        out.truncate(fits.unwrap_or(start));
        fits.is_some()
    }

    /// Appends what `packed` holds as an LZ4 block behind its length, of 1 to `len_max` bytes.
    pub(crate) fn decompress_lz4(
        &self,
        packed: &[u8],
        out: &mut Vec<u8>,
        len_max: usize,
    ) -> Result<(), DecompressError> {
        let (plain_len, block) = packed.split_first_chunk::<LZ4_HEAD>().ok_or(DecompressError::Malformed)?;
        let plain_len = usize::try_from(u32::from_be_bytes(*plain_len)).unwrap_or(usize::MAX);
        if plain_len > len_max {
            return Err(DecompressError::TooLarge);
        }
        // The format cannot expand further than this, so what is allocated stays in proportion to what arrived.
        if plain_len == 0 || plain_len > block.len().saturating_mul(LZ4_EXPANSION_MAX) {
            return Err(DecompressError::Malformed);
        }
        let start = out.len();
        out.resize(start.saturating_add(plain_len), 0);
        match lz4_flex::block::decompress_into(block, out.get_mut(start..).unwrap_or_default()) {
            Ok(len) if len == plain_len => Ok(()),
            Ok(_) | Err(_) => Err(DecompressError::Malformed),
        }
    }
}

#[cfg(not(feature = "compression"))]
#[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "the shape of the real one")]
impl Compressor {
    pub(crate) const fn compress_lzw(&mut self, _plain: &[u8], _out: &mut Vec<u8>, _len_max: usize) -> bool {
        false
    }

    pub(crate) const fn decompress_lzw(&mut self, _: &[u8], _: &mut Vec<u8>, _: usize) -> Result<(), DecompressError> {
        Err(DecompressError::Unsupported)
    }

    pub(crate) const fn compress_lz4(&mut self, _plain: &[u8], _out: &mut Vec<u8>, _len_max: usize) -> bool {
        false
    }

    pub(crate) const fn decompress_lz4(&self, _: &[u8], _: &mut Vec<u8>, _: usize) -> Result<(), DecompressError> {
        Err(DecompressError::Unsupported)
    }
}

/// Appends what the body of Serf's compress message holds, of 1 to `len_max` bytes.
pub(crate) fn unpack_message(
    compressor: &mut Compressor,
    body: &[u8],
    out: &mut Vec<u8>,
    len_max: usize,
) -> Result<(), DecompressError> {
    let (algorithm, packed) = msgpack::read_compress(&mut Reader::new(body)).map_err(|_| DecompressError::Malformed)?;
    if algorithm != LZW {
        return Err(DecompressError::Unsupported);
    }
    compressor.decompress_lzw(&packed, out, len_max)
}

/// Appends Serf's compress message around bytes in LZW.
pub(crate) fn write_message(packed: &[u8], out: &mut Vec<u8>) {
    out.push(kind::COMPRESS);
    msgpack::write_compress(LZW, packed, out);
}

/// Bytes that [`write_message`] adds to the packed ones.
pub(crate) const fn message_overhead(packed_len: usize) -> usize {
    match packed_len {
        0..32 => 13,
        32..0x1_0000 => 15,
        _ => 17,
    }
}

/// Serf's number for LZW, the only one there is.
const LZW: u8 = 0;
/// Steps that so much LZW may take to come to so much: it ends one when its space is full, or at a code that clears the
/// table, which encoders write at the beginning and then once in some 5000 bytes. To fill the table anew costs so much that
/// a stream of nothing but clears would take ten seconds.
#[cfg(feature = "compression")]
pub(crate) const fn steps_max(packed_len: usize, plain_len: usize) -> usize {
    8_usize.saturating_add(packed_len / 1024).saturating_add(plain_len / 2048)
}

/// Output space handed to the coders at a time: memory grows with what came out.
#[cfg(feature = "compression")]
const CHUNK: usize = 4096;
/// The plain length in front of an LZ4 block.
#[cfg(feature = "compression")]
const LZ4_HEAD: usize = 4;
/// LZ4 adds at most 255 bytes of output per byte of input.
#[cfg(feature = "compression")]
const LZ4_EXPANSION_MAX: usize = 255;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn overheads() {
        for len in [0, 1, 31, 32, 255, 256, 65535, 65536, 100_000] {
            let packed = alloc::vec![1; len];
            let mut out = Vec::new();
            write_message(&packed, &mut out);
            assert_eq!(out.len(), message_overhead(len) + len, "{len}");
            let mut reader = Reader::new(&out[1..]);
            assert_eq!(msgpack::read_compress(&mut reader).unwrap().1.len(), len);
        }
    }

    #[test]
    fn other_algorithms_and_other_things() {
        #[rustfmt::skip]
        let table: [(&[u8], DecompressError); 5] = [
            (b"\x82\xa4Algo\x01\xa3Buf\xa2xy", DecompressError::Unsupported),
            (b"\x82\xa4Algo\x00\xa3Buf\xa2x",  DecompressError::Malformed),
            (b"\x82\xa4Algo\xff\xa3Buf\xa1x",  DecompressError::Malformed),
            (b"\x82\xa4Algo\x00\xa3Buf\x07",   DecompressError::Malformed),
            (b"",                               DecompressError::Malformed),
        ];
        for (body, error) in table {
            let unpacked = unpack_message(&mut Compressor::default(), body, &mut Vec::new(), 100);
            assert_eq!(unpacked, Err(error), "{body:x?}");
        }
    }

    #[cfg(feature = "compression")]
    mod coded {
        use alloc::vec;

        use super::*;

        fn samples() -> Vec<Vec<u8>> {
            let mut samples = Vec::from([b"x".to_vec(), alloc::vec![b'a'; 100_000]]);
            let mut x = 1_u32;
            for len in [254, 255, 256, 3838, 5000, 70_000] {
                let mut noise = Vec::new();
                for _ in 0..len {
                    x = x.wrapping_mul(1_103_515_245).wrapping_add(12345);
                    noise.push((x >> 16) as u8 & 0x3f);
                }
                samples.push(noise);
            }
            samples
        }

        #[test]
        fn round_trips_and_bounds() {
            let mut coder = Compressor::default();
            for plain in samples() {
                let mut packed = Vec::new();
                assert!(coder.compress_lzw(&plain, &mut packed, usize::MAX));
                let mut out = b"kept".to_vec();
                coder.decompress_lzw(&packed, &mut out, plain.len()).unwrap();
                assert_eq!(out[4..], plain);
                let mut out = Vec::new();
                let short = coder.decompress_lzw(&packed, &mut out, plain.len() - 1);
                assert_eq!(short, Err(DecompressError::TooLarge));
                for cut in [0, 1, packed.len() / 2, packed.len() - 1] {
                    let cut = coder.decompress_lzw(&packed[..cut], &mut Vec::new(), usize::MAX);
                    assert_eq!(cut, Err(DecompressError::Malformed));
                }
                let mut again = b"kept".to_vec();
                assert!(coder.compress_lzw(&plain, &mut again, packed.len()));
                assert_eq!(again[4..], packed);
                again.truncate(4);
                assert!(!coder.compress_lzw(&plain, &mut again, packed.len() - 1));
                assert_eq!(again, b"kept");

                let mut packed = Vec::new();
                assert!(coder.compress_lz4(&plain, &mut packed, usize::MAX));
                let mut out = b"kept".to_vec();
                coder.decompress_lz4(&packed, &mut out, plain.len()).unwrap();
                assert_eq!(out[4..], plain);
                let short = coder.decompress_lz4(&packed, &mut Vec::new(), plain.len() - 1);
                assert_eq!(short, Err(DecompressError::TooLarge));
                assert!(!coder.compress_lz4(&plain, &mut again, packed.len() - 1));
                assert_eq!(again, b"kept");
                packed[3] = packed[3].wrapping_add(1);
                assert_eq!(coder.decompress_lz4(&packed, &mut Vec::new(), usize::MAX), Err(DecompressError::Malformed));
            }
        }

        /// LZW codes, lowest bits first, each as wide as a decoder expects it there.
        fn codes(codes: &[u32]) -> Vec<u8> {
            let (mut bits, mut width, mut table) = (Vec::new(), 9, None);
            for &code in codes {
                bits.extend((0..width).map(|bit| code >> bit & 1 == 1));
                // The first code after a clearing one adds nothing to the table.
                table = if code == 256 {
                    None
                } else {
                    Some(table.map_or(258, |len: u32| len.saturating_add(1).min(4096)))
                };
                width = match table {
                    Some(len @ 512..) => len.ilog2().clamp(9, 11).saturating_add(1),
                    Some(_) | None => 9,
                };
            }
            let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            bits.chunks(8).map(byte).collect()
        }

        /// No encoder that we know clears the table twice in a row, but Go's decoder takes it. Near the end such a code
        /// takes nothing in and gives nothing out.
        #[test]
        fn a_table_cleared_again() {
            let literals: Vec<u32> = (0..CHUNK as u32).map(|n| n * 7 % 256).collect();
            let plain: Vec<u8> = literals.iter().map(|code| *code as u8).collect();
            for clears in [0, 1, 2, 3] {
                let packed = codes(&[&[256], &literals[..], &vec![256; clears], &[257]].concat());
                let mut out = Vec::new();
                assert_eq!(Compressor::default().decompress_lzw(&packed, &mut out, 2 * CHUNK), Ok(()), "{clears}");
                assert_eq!(out, plain, "{clears}");
            }
            let empty = codes(&[256, 256, 256, 256, 256, 257]);
            let nothing = Compressor::default().decompress_lzw(&empty, &mut Vec::new(), 100);
            assert_eq!(nothing, Err(DecompressError::Malformed));
            let some = |clears| {
                let packed = codes(&[&vec![256; clears], &[120, 257][..]].concat());
                let mut out = Vec::new();
                Compressor::default().decompress_lzw(&packed, &mut out, 100).map(|()| out)
            };
            assert_eq!(some(7), Ok(b"x".to_vec()));
            // That often it costs more than anything that such a message can be for.
            assert_eq!((some(8), some(100_000)), (Err(DecompressError::Malformed), Err(DecompressError::Malformed)));
        }

        /// What compresses worst has the table cleared most often.
        #[test]
        fn a_table_filled_again_and_again() {
            let mut x = 1_u64;
            let noise: Vec<u8> = (0..2_000_000)
                .map(|_| {
                    x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (x >> 56) as u8
                })
                .collect();
            let (mut coder, mut packed, mut out) = (Compressor::default(), Vec::new(), Vec::new());
            assert!(coder.compress_lzw(&noise, &mut packed, usize::MAX));
            assert_eq!(coder.decompress_lzw(&packed, &mut out, noise.len()), Ok(()));
            assert!(out == noise);
        }

        #[test]
        fn nothing_inside_is_an_error() {
            let mut coder = Compressor::default();
            let mut out = Vec::new();
            assert!(coder.compress_lzw(b"", &mut out, 100));
            assert_eq!(coder.decompress_lzw(&out, &mut Vec::new(), 100), Err(DecompressError::Malformed));
            assert_eq!(coder.decompress_lz4(&[0, 0, 0, 0, 0], &mut Vec::new(), 100), Err(DecompressError::Malformed));
            out.clear();
            let announced = coder.decompress_lz4(&[0, 255, 255, 255, 0], &mut out, usize::MAX);
            assert_eq!(announced, Err(DecompressError::Malformed));
            assert!(out.capacity() < 1000, "{} bytes were taken for what cannot come", out.capacity());
        }

        proptest::proptest! {
            #[test]
            fn arbitrary_bytes_are_bounded(packed: Vec<u8>) {
                let mut coder = Compressor::default();
                let mut out = Vec::new();
                if coder.decompress_lzw(&packed, &mut out, 1000).is_ok() {
                    assert!((1..=1000).contains(&out.len()));
                }
                out.clear();
                if coder.decompress_lz4(&packed, &mut out, 1000).is_ok() {
                    assert!((1..=1000).contains(&out.len()));
                }
                let _ = unpack_message(&mut coder, &packed, &mut out, 1000);
            }
        }
    }
}
