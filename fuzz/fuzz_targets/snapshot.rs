//! See `swim_core::fuzzing::snapshot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::snapshot::run(bytes));
