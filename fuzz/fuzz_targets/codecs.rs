//! See `swim_core::fuzzing::codecs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::codecs::run(bytes));
