//! How the tests get onto tokio.

use swim_driver::conformance::Harness;

/// On one thread.
pub(crate) struct OnTokio;

impl Harness for OnTokio {
    type Runtime = swim_tokio::Tokio;

    const EVERYWHERE: bool = false;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(work)
    }
}
