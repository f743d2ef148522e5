//! The adapters' tests on the runtime that their other side runs on: what fails here is not an adapter's fault.

use swim_driver::conformance::Harness;
use swim_driver::conformance::plain::Plain;

struct OnPlain;

impl Harness for OnPlain {
    type Runtime = Plain;

    const EVERYWHERE: bool = true;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        futures_lite::future::block_on(work)
    }
}

swim_driver::conformance_tests!(crate::OnPlain);
