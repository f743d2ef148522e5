//! What the heap is asked for.
//!
//! The counting allocator is there all the time, but it counts only inside [`counted`]: outside, what it costs is a look
//! at a thread-local variable. Times are taken under [`uncounted`].

use allocation_counter::{AllocationInfo, measure, opt_out};

/// Runs `work` and says what it allocated, on this thread, and what of that it still holds.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut result = None;
    let info = measure(|| result = Some(work()));
    (result.expect("the work has been run"), info)
}

/// Runs `work` at nearly full speed.
pub(crate) fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let mut result = None;
    opt_out(|| result = Some(work()));
    result.expect("the work has been run")
}
