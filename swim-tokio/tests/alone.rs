//! The tests that need a process of their own.

#[path = "conformance/harness.rs"]
mod harness;

swim_driver::conformance_tests_alone!(harness::OnTokio);
