//! How long to leave a failing socket alone.

use core::time::Duration;

/// Pauses that double from [`PAUSE_MIN`] to [`PAUSE_MAX`] while failures follow each other.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// It worked again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the last attempt worked: a log line per streak is enough.
    pub(crate) fn is_fresh(&self) -> bool {
        self.failures == 0
    }
}

const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_second_and_starts_again() {
        let mut backoff = Backoff::default();
        assert!(backoff.is_fresh());
        let pauses: Vec<_> = (0..12).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000]);
        assert!(!backoff.is_fresh());
        backoff.failures = u32::MAX;
        assert_eq!(backoff.pause(), PAUSE_MAX);
        backoff.reset();
        assert_eq!(backoff.pause(), PAUSE_MIN);
    }
}
