//! See `swim_core::fuzzing::replay`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::replay::run(bytes));
