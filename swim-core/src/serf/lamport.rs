//! Logical clocks: they order what happened without asking what time it is (Serf: `serf/lamport.go`).

use crate::ids::LamportTime;

/// One of Serf's three clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LamportClock(LamportTime);

impl LamportClock {
    /// As a node begins: incremented once, so that 0 is older than everything.
    pub(crate) fn started() -> Self {
        Self(LamportTime(1))
    }

    /// The time now.
    pub(crate) fn time(self) -> LamportTime {
        self.0
    }

    /// Moves on by one and returns the time before.
    pub(crate) fn increment(&mut self) -> LamportTime {
        let before = self.0;
        self.0 = LamportTime(before.0.saturating_add(1));
        before
    }

    /// Somebody saw `time`: we are after it.
    pub(crate) fn witness(&mut self, time: LamportTime) {
        if time >= self.0 {
            self.0 = LamportTime(time.0.saturating_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn witnessing_moves_past() {
        let mut clock = LamportClock::started();
        for (seen, time) in [(0, 1), (1, 2), (1, 2), (41, 42), (7, 42), (42, 43)] {
            clock.witness(LamportTime(seen));
            assert_eq!(clock.time(), LamportTime(time), "after {seen}");
        }
        assert_eq!(clock.increment(), LamportTime(43));
        assert_eq!(clock.time(), LamportTime(44));
    }

    proptest! {
        /// The clock never falls, and after witnessing a time that is not the last there is, it is past it.
        #[test]
        fn never_falls(times in prop::collection::vec(any::<u64>(), 1..50)) {
            let mut clock = LamportClock::started();
            for time in times {
                let before = clock.time();
                clock.witness(LamportTime(time));
                prop_assert!(clock.time() >= before);
                prop_assert!(clock.time().0 > time || time == u64::MAX);
            }
        }
    }
}
