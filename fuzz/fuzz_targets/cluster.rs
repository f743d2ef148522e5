//! See `swim_sim::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_sim::fuzzing::cluster(bytes));
