//! The tests that every adapter has to pass, on async-std. The cases are in `swim-driver/src/conformance`.

mod harness;
swim_driver::conformance_tests!(crate::harness::OnAsyncStd);
