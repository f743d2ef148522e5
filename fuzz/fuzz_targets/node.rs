//! See `swim_core::fuzzing::node`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::node::run(bytes));
