//! Our LZW, which goes step by step and has a ceiling, against the library's own, which has neither; and what we write
//! against a decoder from the textbook.

use alloc::vec::Vec;

use weezl::decode::Decoder;
use weezl::{BitOrder, LzwStatus};

use super::bytes::Bytes;
use crate::wire::compress::{Compressor, DecompressError, steps_max};

/// Compresses and decompresses.
///
/// With an even first byte the rest is compressed by us and decompressed by us, by the library in one go, and by a decoder
/// that is written down here; with an odd one it is taken for LZW and decompressed by us and by the library. Coders are
/// used twice, as a node uses them.
///
/// # Panics
///
/// When the results differ.
///
/// # Examples
///
/// ```
/// swim_core::fuzzing::lzw::run(b"\0a rose is a rose is a rose");
/// ```
pub fn run(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let is_packed = input.flag();
    let mut coder = Compressor::default();
    for _ in 0..2 {
        if is_packed { packed(&mut coder, input.0) } else { plain(&mut coder, input.0) }
    }
}

fn packed(coder: &mut Compressor, packed: &[u8]) {
    let mut ours = Vec::new();
    let result = coder.decompress_lzw(packed, &mut ours, LEN_MAX);
    let library = library(packed);
    match result {
        Ok(()) => assert_eq!(library.as_ref(), Some(&ours), "of {packed:02x?}"),
        Err(DecompressError::TooLarge) => {
            assert!(library.is_some_and(|plain| plain.len() > LEN_MAX) || ours.len() > LEN_MAX, "{packed:02x?}");
        }
        // Nothing at all is no message, and who clears the table all the time is given up.
        Err(error) => {
            assert!(library.is_none_or(|plain| plain.is_empty() || is_given_up(packed)), "{error:?} {packed:02x?}")
        }
    }
}

fn plain(coder: &mut Compressor, plain: &[u8]) {
    let mut packed = Vec::new();
    assert!(coder.compress_lzw(plain, &mut packed, usize::MAX), "there is no bound");
    let mut ours = Vec::new();
    match coder.decompress_lzw(&packed, &mut ours, plain.len()) {
        Ok(()) => assert_eq!(ours, plain),
        Err(error) => assert!(plain.is_empty(), "{error:?} of {packed:02x?}"),
    }
    assert_eq!(library(&packed).as_deref(), Some(plain));
    assert_eq!(textbook(&packed).as_deref(), Some(plain), "of {packed:02x?}");
}

/// All at once, and as long as it gets; without an end it is an error.
fn library(packed: &[u8]) -> Option<Vec<u8>> {
    Decoder::new(BitOrder::Lsb, 8).decode(packed).ok()
}

/// Whether the library, if it may write as much at a time as we let it, takes more steps than we do at some point.
fn is_given_up(packed: &[u8]) -> bool {
    let (mut decoder, mut input) = (Decoder::new(BitOrder::Lsb, 8), packed);
    let (mut steps, mut written) = (0, 0);
    loop {
        steps += 1;
        if steps > steps_max(packed.len(), written) {
            return true;
        }
        let step = decoder.decode_bytes(input, &mut [0; 4096]);
        input = &input[step.consumed_in..];
        written += step.consumed_out;
        if !matches!(step.status, Ok(LzwStatus::Ok)) {
            return false;
        }
    }
}

/// LZW as GIF has it, lowest bits first: 256 clears the table, 257 ends, codes grow from 9 to 12 bits. `None`: it is not
/// what an encoder writes.
fn textbook(packed: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut table) = (Vec::new(), Vec::<(usize, usize)>::new());
    let (mut at, mut width) = (0, 9);
    // Where in `out` the last code's bytes are.
    let mut last: Option<(usize, usize)> = None;
    loop {
        let mut code = 0;
        for bit in 0..width {
            let byte = packed.get((at + bit) / 8)?;
            code |= usize::from(byte >> ((at + bit) % 8) & 1) << bit;
        }
        at += width;
        let start = out.len();
        match code {
            0..=255 => out.push(code as u8),
            CLEAR => {
                table.clear();
                (width, last) = (9, None);
                continue;
            }
            END => return Some(out),
            _ => {
                let (from, to) = match table.get(code - FIRST) {
                    Some(entry) => *entry,
                    // The one that is about to be added: what came last and its own first byte.
                    None if code - FIRST == table.len() => last.map(|(from, to)| (from, to + 1))?,
                    None => return None,
                };
                for index in from..to {
                    out.push(out[index]);
                }
            }
        }
        if let Some((from, to)) = last
            && table.len() < TABLE_MAX
        {
            // What came last and the next byte stand side by side in the output.
            table.push((from, to + 1));
        }
        last = Some((start, out.len()));
        if table.len() + FIRST == 1 << width && width < 12 {
            width += 1;
        }
    }
}

const LEN_MAX: usize = 1 << 20;
const CLEAR: usize = 256;
const END: usize = 257;
const FIRST: usize = 258;
const TABLE_MAX: usize = 4096 - FIRST;
