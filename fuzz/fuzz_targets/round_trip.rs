//! See `swim_core::fuzzing::round_trip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::round_trip::run(bytes));
