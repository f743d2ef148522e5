//! How the tests get onto smol.

use swim_driver::conformance::Harness;

pub(crate) struct OnSmol;

impl Harness for OnSmol {
    type Runtime = swim_smol::Smol;

    const EVERYWHERE: bool = true;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        smol::block_on(work)
    }
}
