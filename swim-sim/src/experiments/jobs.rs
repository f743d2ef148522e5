//! Many runs on a few threads.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::experiments::Options;

/// Does `work` for each of `0..count` and returns what came of them, in this order: which thread did which, and how
/// many there were, cannot be seen from it.
pub fn run_all<T: Send>(options: &Options, count: usize, what: &str, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    std::thread::scope(|scope| {
        let (done, results_of) = mpsc::channel();
        for _ in 0..options.jobs.clamp(1, count.max(1)) {
            let (done, next, work) = (done.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= count || done.send((run, work(run))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (finished, (run, result)) in (1..).zip(results_of) {
            results[run] = Some(result);
            if finished % (count / 10).max(1) == 0 {
                options.tell(&format_args!("{what}: {finished} of {count}"));
            }
        }
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        for jobs in [0, 1, 2, 7] {
            let options = Options { jobs, ..Options::default() };
            assert_eq!(run_all(&options, 20, "", |run| run * run), (0..20).map(|run| run * run).collect::<Vec<_>>());
            assert!(run_all(&options, 0, "", |run| run).is_empty());
        }
    }
}
