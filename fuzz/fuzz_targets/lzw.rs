//! See `swim_core::fuzzing::lzw`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::lzw::run(bytes));
