//! See `swim_core::fuzzing::keyring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::keyring::run(bytes));
