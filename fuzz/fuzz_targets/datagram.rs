//! See `swim_core::fuzzing::datagram`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::datagram::run(bytes));
