//! Whom we cannot understand, remembered so that each is reported once in a while and not once a packet.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::time::Instant;
use crate::wire::envelope::DatagramError;

/// The sources reported lately.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    reported: Vec<(IpAddr, Instant)>,
}

impl Rejected {
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
        let mut rejected = Rejected::default();
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
