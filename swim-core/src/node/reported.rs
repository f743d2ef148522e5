//! Whom we cannot understand, and whom we refuse something, remembered so that each is reported once in a while and not
//! once a packet.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::stats::Refusals;
use crate::time::Instant;
use crate::wire::envelope::DatagramError;

/// The sources reported lately: each once a minute, and no more than so many.
#[derive(Debug)]
pub(super) struct Reported {
    sources: Vec<(IpAddr, Instant)>,
    sources_max: usize,
}

impl Reported {
    pub(super) fn new(sources_max: usize) -> Self {
        Self { sources: Vec::new(), sources_max }
    }

    /// Whether `source` has not been reported within the last minute, and the table has room for it. Then it has been
    /// now.
    pub(super) fn is_news(&mut self, now: Instant, source: IpAddr) -> bool {
        self.sources.retain(|(_, at)| now - *at < QUIET);
        if self.sources.len() >= self.sources_max || self.sources.iter().any(|(known, _)| *known == source) {
            return false;
        }
        self.sources.push((source, now));
        true
    }
}

/// The counters that have grown, by their names.
pub(super) struct Grown {
    pub(super) before: Refusals,
    pub(super) after: Refusals,
}

impl fmt::Display for Grown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.after.grown_since(self.before).enumerate() {
            f.write_str(if n == 0 { "" } else { ", " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// Whether a change of configuration, on one side or the other, would mend it.
pub(super) fn is_mendable(error: DatagramError) -> bool {
    match error {
        DatagramError::LabelMissing
        | DatagramError::LabelWrong
        | DatagramError::ForeignWire
        | DatagramError::NotSealed
        | DatagramError::NotOpened
        | DatagramError::SealedWithoutKeys => true,
        DatagramError::Empty
        | DatagramError::LabelMalformed
        | DatagramError::Garbage
        | DatagramError::Checksum
        | DatagramError::Decompression
        | DatagramError::TooLarge
        | DatagramError::Unsupported => false,
    }
}

const QUIET: Duration = Duration::from_secs(60);
/// A flood from many spoofed sources must not become a flood of reports: of whom we cannot understand.
pub(super) const REJECTED_MAX: usize = 64;
/// The same of whom we refuse something, for whom there are only lines in the log.
pub(super) const REFUSED_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::stats::Stats;

    #[test]
    fn once_per_source_and_minute_and_not_too_many() {
        let second = |n| Instant::after_origin(Duration::from_secs(n));
        let source = |n: u8| IpAddr::from([127, 0, 0, n]);
        for (max, bound) in [(64, REJECTED_MAX), (8, REFUSED_MAX)] {
            let mut reported = Reported::new(bound);
            assert!(reported.is_news(second(0), source(1)));
            assert!(!reported.is_news(second(59), source(1)));
            assert!(reported.is_news(second(60), source(1)));
            for n in 2..=max {
                assert!(reported.is_news(second(61), source(n)), "{n}");
            }
            assert!(!reported.is_news(second(61), source(max + 1)), "the table is full");
            assert!(reported.is_news(second(122), source(max + 1)));
        }
    }

    #[test]
    fn counters_that_have_grown() {
        let mut stats = Stats { refused_names: 1, ..Stats::default() };
        let before = stats.refusals();
        assert_eq!(Grown { before, after: before }.to_string(), "");
        (stats.refused_names, stats.members_over_limit, stats.queries) = (2, 1, 5);
        let grown = Grown { before, after: stats.refusals() };
        assert_eq!(grown.to_string(), "refused_names, members_over_limit");
    }
}
