//! One node fed with whatever a peer could send it; see `swim_core::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swim_core::fuzzing::run_datagram(bytes));
