//! See `swim_core::fuzzing::decompression`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::decompression::run(bytes));
