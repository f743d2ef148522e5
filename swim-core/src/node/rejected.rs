//! Whom we cannot understand, and whom we refuse something, remembered so that each is reported once in a while and not
//! once a packet.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::stats::{REFUSALS, Refusals};
use crate::time::Instant;
use crate::wire::envelope::DatagramError;

/// The sources reported lately.
#[derive(Debug, Default)]
pub(super) struct Reported {
    reported: Vec<(IpAddr, Instant)>,
}

impl Reported {
    /// Whether `source` has not been reported within the last minute, and the table has room for it. Then it has been
    /// now.
    pub(super) fn is_news(&mut self, now: Instant, source: IpAddr) -> bool {
        self.reported.retain(|(_, at)| now - *at < QUIET);
        if self.reported.len() >= SOURCES_MAX || self.reported.iter().any(|(known, _)| *known == source) {
            return false;
        }
        self.reported.push((source, now));
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
        let counts = self.before.iter().zip(&self.after);
        let grown = REFUSALS.iter().zip(counts).filter(|(_, (before, after))| after > before);
        for (n, (name, _)) in grown.enumerate() {
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
/// A flood from many spoofed sources must not become a flood of reports.
const SOURCES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_per_source_and_minute_and_not_too_many() {
        let mut rejected = Reported::default();
        let second = |n| Instant::after_origin(Duration::from_secs(n));
        let source = |n: u8| IpAddr::from([127, 0, 0, n]);
        assert!(rejected.is_news(second(0), source(1)));
        assert!(!rejected.is_news(second(59), source(1)));
        assert!(rejected.is_news(second(60), source(1)));
        for n in 2..=64 {
            assert!(rejected.is_news(second(61), source(n)), "{n}");
        }
        assert!(!rejected.is_news(second(61), source(65)), "the table is full");
        assert!(rejected.is_news(second(122), source(65)));
    }
}
