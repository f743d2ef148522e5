//! Lines that others bring about as often as they like: user events come by the thousand in one packet.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::info;

/// How often lines of one sort are said, which the core does for its own (`swim_core::log`).
#[derive(Debug)]
pub(crate) struct Quota {
    /// What they say, when there are too many.
    what: &'static str,
    said: Mutex<Option<Said>>,
}

#[derive(Debug)]
struct Said {
    /// When the minute began.
    since: Instant,
    times: u32,
}

impl Quota {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what, said: Mutex::new(None) }
    }

    /// Whether one more may be said. When it is too many for the first time, that is said.
    pub(crate) fn may_say(&self) -> bool {
        let times = self.count(Instant::now());
        if times == TIMES_MAX + 1 {
            let what = self.what;
            info!(target: "agent", "Too many lines like the last, they are not shown for up to a minute ({what})");
        }
        times <= TIMES_MAX
    }

    fn count(&self, now: Instant) -> u32 {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.get_or_insert(Said { since: now, times: 0 });
        if now.saturating_duration_since(said.since) >= QUIET {
            (said.since, said.times) = (now, 0);
        }
        said.times = said.times.saturating_add(1);
        said.times
    }
}

const QUIET: Duration = Duration::from_secs(60);
/// In that time: some ten milliseconds of work.
const TIMES_MAX: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_minute() {
        let (quota, begin) = (Quota::new("x"), Instant::now());
        let may_say = |after: u64, times: u32| {
            let now = begin + Duration::from_millis(after);
            (0..times).filter(|_| quota.count(now) <= TIMES_MAX).count()
        };
        assert_eq!(may_say(0, 1000), 1000);
        assert_eq!(may_say(59_999, 30_000), 24, "within the minute");
        assert_eq!(may_say(60_000, 30_000), 1024, "another");
    }
}
