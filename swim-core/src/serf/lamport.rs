//! Logical clocks: they order what happened without asking what time it is (Serf: `serf/lamport.go`).
//!
//! Whoever reads a clock's messages can push it forward, and the top of the range is the end: a clock that stands there
//! orders nothing any more. In Serf one message with the last time there is does it (there the clock wraps to zero, and
//! all that follows is too old). Here a time in the upper half of the range must lie close to what the clock shows;
//! otherwise it is refused, with all that carries it. Then it takes a message for each [`STEP_MAX`], two billion of
//! them, to spend what is left, while honest clusters, whose clocks never come near that half, notice nothing. There is
//! no bound on leaps below: a newcomer's clock must reach that of an old cluster in one, however that got there. It may
//! have got there by steps in the upper half, too, which the newcomer cannot repeat: whoever joins and knows nobody yet
//! sets its clocks by the one that it has asked.

use crate::ids::LamportTime;

/// One of Serf's three clocks. They follow the same rules.
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

    /// Somebody saw `time`: we are after it. `false`: no clock that runs can have come there, nothing has changed, and
    /// what carries the time is to be dropped and counted.
    #[must_use]
    pub(crate) fn witness(&mut self, time: LamportTime) -> bool {
        if time.0 > self.0.0.max(LEAP_MAX).saturating_add(STEP_MAX) {
            return false;
        }
        if time >= self.0 {
            self.0 = LamportTime(time.0.saturating_add(1));
        }
        true
    }

    /// Somebody's clock shows `time`, and we have no reason to doubt it: ours shows no less.
    pub(crate) fn adopt(&mut self, time: LamportTime) {
        self.0 = self.0.max(time);
    }
}

/// A clock may leap up to here at once.
const LEAP_MAX: u64 = 1 << 63;
/// Beyond, it moves by so much at most.
const STEP_MAX: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn witnessing_moves_past() {
        let mut clock = LamportClock::started();
        for (seen, time) in [(0, 1), (1, 2), (1, 2), (41, 42), (7, 42), (42, 43)] {
            assert!(clock.witness(LamportTime(seen)));
            assert_eq!(clock.time(), LamportTime(time), "after {seen}");
        }
        assert_eq!(clock.increment(), LamportTime(43));
        assert_eq!(clock.time(), LamportTime(44));
    }

    /// At the bound and one past it, from the first time, from the middle and from near the end.
    #[test]
    fn the_end_of_the_range_is_far() {
        #[rustfmt::skip]
        let table = [
            // stands             sees                          becomes
            (1,                   LEAP_MAX,                     Some(LEAP_MAX + 1)),
            (1,                   LEAP_MAX + STEP_MAX,          Some(LEAP_MAX + STEP_MAX + 1)),
            (1,                   LEAP_MAX + STEP_MAX + 1,      None),
            (1,                   u64::MAX,                     None),
            (LEAP_MAX + 7,        LEAP_MAX + 7 + STEP_MAX,      Some(LEAP_MAX + 7 + STEP_MAX + 1)),
            (LEAP_MAX + 7,        LEAP_MAX + 8 + STEP_MAX,      None),
            (LEAP_MAX + 7,        3,                            Some(LEAP_MAX + 7)),
            (u64::MAX - 1,        u64::MAX,                     Some(u64::MAX)),
            (u64::MAX,            u64::MAX,                     Some(u64::MAX)),
        ];
        for (stands, sees, becomes) in table {
            let mut clock = LamportClock(LamportTime(stands));
            assert_eq!(clock.witness(LamportTime(sees)), becomes.is_some(), "{stands} sees {sees}");
            assert_eq!(clock.time().0, becomes.unwrap_or(stands), "{stands} sees {sees}");
        }
        let mut clock = LamportClock(LamportTime(u64::MAX));
        clock.increment();
        assert_eq!(clock.time(), LamportTime(u64::MAX), "it stands, and does not wrap");
    }

    /// A clock that others have been pushed to by steps is out of reach for one who has not seen them.
    #[test]
    fn a_far_clock_is_adopted() {
        let far = LamportTime(LEAP_MAX + 3 * STEP_MAX);
        let mut clock = LamportClock::started();
        assert!(!clock.witness(far));
        clock.adopt(far);
        assert_eq!(clock.time(), far);
        assert!(clock.witness(far));
        clock.adopt(LamportTime(7));
        assert_eq!(clock.time().0, far.0 + 1, "it never falls");
    }

    proptest! {
        /// The clock never falls, and after witnessing a plausible time it is past it.
        #[test]
        fn never_falls(times in prop::collection::vec(any::<u64>(), 1..50), events in any::<u64>()) {
            let mut clock = LamportClock::started();
            for (turn, time) in times.into_iter().enumerate() {
                let before = clock.time();
                if events >> turn & 1 == 1 && before.0 < u64::MAX {
                    // Something of our own: it gets a time that nothing before it had.
                    clock.increment();
                    prop_assert_eq!(clock.time().0, before.0 + 1);
                    continue;
                }
                let plausible = clock.witness(LamportTime(time));
                prop_assert!(clock.time() >= before);
                if plausible {
                    prop_assert!(clock.time().0 > time);
                } else {
                    prop_assert!(clock.time() == before && time > LEAP_MAX);
                }
            }
        }
    }
}
