//! See `swim_agent::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_agent::fuzzing::discovery(bytes));
