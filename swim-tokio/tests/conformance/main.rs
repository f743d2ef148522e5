//! The tests that every adapter has to pass, on tokio. The cases are in `swim-driver/src/conformance`.

mod harness;
mod only_tokio;
swim_driver::conformance_tests!(crate::harness::OnTokio);
