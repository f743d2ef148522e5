//! Suspicions: accusations with a clock that runs faster the more members agree (Lifeguard, LHA-Suspicion).

use alloc::vec::Vec;
use core::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::ids::{MemberId, Name};
use crate::swim::config::Config;
use crate::time::Instant;

/// The running suspicions of one node, by the suspected member.
#[derive(Debug)]
pub(crate) struct Suspicions {
    running: HashMap<MemberId, Suspicion, FixedState>, // look-up only, never iterated
}

/// One of them.
#[derive(Debug)]
struct Suspicion {
    started: Instant,
    bounds: Bounds,
    confirmations_expected: u32,
    /// The first accuser and those who confirmed.
    accusers: Vec<Name>,
}

/// The shortest and the longest a suspicion can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) timeout_min: Duration,
    pub(crate) timeout_max: Duration,
}

impl Suspicions {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self { running: HashMap::with_hasher(FixedState::with_seed(hash_seed)) }
    }

    /// Starts one and returns when it will be over if nobody confirms it. `members` is the size of the table now; later
    /// changes of it do not matter (memberlist: `state.go`, suspectNode).
    pub(crate) fn start(
        &mut self,
        now: Instant,
        member: MemberId,
        accuser: &[u8],
        config: &Config,
        members: usize,
    ) -> Instant {
        let bounds = Bounds::of(config, members);
        let confirmations_expected = confirmations_expected(config, members);
        let accusers = Vec::from([Name::from(accuser)]);
        self.running.insert(member, Suspicion { started: now, bounds, confirmations_expected, accusers });
        now + suspicion_timeout(0, confirmations_expected, bounds)
    }

    /// One more accuser. `Some` of the new deadline if it counts: it is new, and not too many have come before.
    pub(crate) fn confirm(&mut self, member: MemberId, accuser: &[u8]) -> Option<Instant> {
        let suspicion = self.running.get_mut(&member)?;
        let confirmations = suspicion.accusers.len() as u32 - 1;
        if confirmations >= suspicion.confirmations_expected
            || suspicion.accusers.iter().any(|known| known.as_bytes() == accuser)
        {
            return None;
        }
        suspicion.accusers.push(accuser.into());
        let total = suspicion_timeout(confirmations + 1, suspicion.confirmations_expected, suspicion.bounds);
        Some(suspicion.started + total)
    }

    /// Who was the first to accuse.
    pub(crate) fn accuser(&self, member: MemberId) -> Option<&Name> {
        self.running.get(&member)?.accusers.first()
    }

    /// Ends one; whether there was one.
    pub(crate) fn end(&mut self, member: MemberId) -> bool {
        self.running.remove(&member).is_some()
    }

    pub(crate) fn is_running(&self, member: MemberId) -> bool {
        self.running.contains_key(&member)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }
}

impl Bounds {
    /// For a table of `members`, the local one and the dead included.
    fn of(config: &Config, members: usize) -> Self {
        // In thousandths, cut off: memberlist computes with integers from here on, and members must agree.
        let scale = libm::log10(members.max(1) as f64).max(1.0);
        let thousandths = (scale * 1000.0) as u32;
        let timeout_min =
            config.probe_interval.saturating_mul(config.suspicion_mult).saturating_mul(thousandths) / 1000;
        Self { timeout_min, timeout_max: timeout_min.saturating_mul(config.suspicion_max_timeout_mult) }
    }
}

/// How many confirmations bring a suspicion to its shortest. None in a cluster too small to give them, and none where
/// there is nothing to shorten: there they would only be gossip.
fn confirmations_expected(config: &Config, members: usize) -> u32 {
    if config.suspicion_max_timeout_mult <= 1 {
        return 0;
    }
    let wanted = config.suspicion_mult.saturating_sub(2);
    if members.saturating_sub(2) < wanted as usize { 0 } else { wanted }
}

/// How long a suspicion runs in all.
///
/// Starts at `timeout_max` and falls to `timeout_min` as independent members confirm, on a logarithmic curve: the first
/// confirmations count most (Lifeguard, LHA-Suspicion).
///
/// With `confirmations_expected == 0` (a cluster too small to confirm anything) this is `timeout_min` from the start, as
/// in memberlist.
pub(crate) fn suspicion_timeout(confirmations: u32, confirmations_expected: u32, bounds: Bounds) -> Duration {
    let Bounds { timeout_min, timeout_max } = bounds;
    if confirmations_expected == 0 {
        return timeout_min;
    }
    if confirmations == 0 {
        return timeout_max;
    }
    let part = libm::log(f64::from(confirmations) + 1.0) / libm::log(f64::from(confirmations_expected) + 1.0);
    let range = timeout_max.saturating_sub(timeout_min);
    let total = timeout_max.as_secs_f64() - range.as_secs_f64() * part;
    // Whole milliseconds, as memberlist: the curve must be the same everywhere.
    let millis = libm::floor((total * 1000.0).max(0.0));
    Duration::from_millis(millis as u64).max(timeout_min)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// swim-state.md 6.4, first table.
    #[test]
    fn bounds_by_size_and_profile() {
        #[rustfmt::skip]
        let table = [
            // n      LAN min/max ms      WAN                    Local              k: LAN WAN Local
            (2,      (4_000, 24_000),    (30_000, 180_000),     (3_000, 18_000),   [0, 0, 0]),
            (3,      (4_000, 24_000),    (30_000, 180_000),     (3_000, 18_000),   [0, 0, 1]),
            (4,      (4_000, 24_000),    (30_000, 180_000),     (3_000, 18_000),   [2, 0, 1]),
            (6,      (4_000, 24_000),    (30_000, 180_000),     (3_000, 18_000),   [2, 4, 1]),
            (10,     (4_000, 24_000),    (30_000, 180_000),     (3_000, 18_000),   [2, 4, 1]),
            (32,     (6_020, 36_120),    (45_150, 270_900),     (4_515, 27_090),   [2, 4, 1]),
            (100,    (8_000, 48_000),    (60_000, 360_000),     (6_000, 36_000),   [2, 4, 1]),
            (500,    (10_792, 64_752),   (80_940, 485_640),     (8_094, 48_564),   [2, 4, 1]),
            (1_000,  (12_000, 72_000),   (90_000, 540_000),     (9_000, 54_000),   [2, 4, 1]),
            (10_000, (16_000, 96_000),   (120_000, 720_000),    (12_000, 72_000),  [2, 4, 1]),
        ];
        for (members, lan, wan, local, expected) in table {
            let profiles = [(Config::lan(), lan), (Config::wan(), wan), (Config::local(), local)];
            for ((config, (min, max)), expected) in profiles.into_iter().zip(expected) {
                let bounds = Bounds { timeout_min: millis(min), timeout_max: millis(max) };
                assert_eq!(Bounds::of(&config, members), bounds, "{members} members");
                assert_eq!(confirmations_expected(&config, members), expected, "{members} members");
            }
        }
    }

    #[test]
    fn nobody_confirms_what_cannot_be_shortened() {
        let fixed = Config { suspicion_max_timeout_mult: 1, ..Config::lan() };
        assert_eq!(confirmations_expected(&fixed, 100), 0);
        let mut suspicions = Suspicions::new(1);
        let start = Instant::after_origin(Duration::from_secs(100));
        assert_eq!(suspicions.start(start, MemberId(7), b"a", &fixed, 100), start + millis(8_000));
        assert_eq!(suspicions.confirm(MemberId(7), b"b"), None);
    }

    /// swim-state.md 6.4, second table.
    #[test]
    fn confirmations_shorten_a_suspicion() {
        #[rustfmt::skip]
        let table: [(u32, u64, u64, &[u64]); 5] = [
            // k  min     max      total after 0, 1, .. confirmations, ms
            (1,  4_000,  24_000,  &[24_000, 4_000]),
            (2,  4_000,  24_000,  &[24_000, 11_381, 4_000]),
            (2,  8_000,  48_000,  &[48_000, 22_762, 8_000]),
            (4,  30_000, 180_000, &[180_000, 115_398, 77_609, 50_797, 30_000]),
            (3,  2_000,  30_000,  &[30_000, 16_000, 7_810, 2_000]),
        ];
        for (expected, min, max, totals) in table {
            let bounds = Bounds { timeout_min: millis(min), timeout_max: millis(max) };
            for (confirmations, total) in totals.iter().enumerate() {
                assert_eq!(
                    suspicion_timeout(confirmations as u32, expected, bounds),
                    millis(*total),
                    "{confirmations} of {expected}"
                );
            }
        }
    }

    #[test]
    fn only_new_accusers_count_and_only_so_many() {
        let mut suspicions = Suspicions::new(1);
        let (member, config) = (MemberId(7), Config::lan());
        let start = Instant::after_origin(Duration::from_secs(100));
        assert_eq!(suspicions.start(start, member, b"a", &config, 10), start + millis(24_000));
        assert_eq!(suspicions.confirm(member, b"a"), None, "the first accuser confirms nothing");
        assert_eq!(suspicions.confirm(member, b"b"), Some(start + millis(11_381)));
        assert_eq!(suspicions.confirm(member, b"b"), None, "once each");
        assert_eq!(suspicions.confirm(member, b"c"), Some(start + millis(4_000)));
        assert_eq!(suspicions.confirm(member, b"d"), None, "two are enough for a multiplier of 4");
        assert!(suspicions.end(member));
        assert!(!suspicions.end(member));
        assert_eq!(suspicions.confirm(member, b"e"), None, "nothing to confirm");
    }

    proptest! {
        /// More confirmations never lengthen a suspicion, and it stays within its bounds.
        #[test]
        fn timeouts_fall_within_bounds(expected in 0u32..20, min in 0u64..100_000, extra in 0u64..1_000_000) {
            let bounds = Bounds { timeout_min: millis(min), timeout_max: millis(min + extra) };
            let totals: Vec<_> = (0..=expected).map(|c| suspicion_timeout(c, expected, bounds)).collect();
            prop_assert!(totals.is_sorted_by(|a, b| a >= b), "{totals:?}");
            prop_assert!(totals.iter().all(|t| (bounds.timeout_min..=bounds.timeout_max).contains(t)));
            prop_assert_eq!(*totals.last().expect("at least one"), bounds.timeout_min);
        }

        /// Lifeguard's formula, max(Min, Max − (Max − Min)·log(C + 1) / log(K + 1)), in whole milliseconds.
        #[test]
        fn timeouts_are_those_of_the_paper(
            expected in 1u32..20, confirmations in 0u32..25, min in 0u64..100_000, extra in 0u64..1_000_000
        ) {
            let bounds = Bounds { timeout_min: millis(min), timeout_max: millis(min + extra) };
            let share = f64::from(confirmations + 1).log2() / f64::from(expected + 1).log2();
            let exact = ((min + extra) as f64 - extra as f64 * share).max(min as f64);
            let total = suspicion_timeout(confirmations, expected, bounds).as_millis() as f64;
            prop_assert!(total <= exact + 1e-3 && total > exact - 1.001, "{total} for {exact}");
        }
    }
}
