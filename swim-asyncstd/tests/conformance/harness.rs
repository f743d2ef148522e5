//! How the tests get onto async-std.

use swim_driver::conformance::Harness;

pub(crate) struct OnAsyncStd;

impl Harness for OnAsyncStd {
    type Runtime = swim_asyncstd::AsyncStd;

    const EVERYWHERE: bool = true;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        async_std::task::block_on(work)
    }
}
