//! Clocks of hosts: each runs a little fast or slow, and may jump ahead. Nodes know no other time.

use core::time::Duration;

use swim_core::Instant;

use super::{HostId, World};

/// How a host's time follows the world's: in step from some moment on, at a rate of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    world: Instant,
    local: Instant,
    /// Parts per million that it is too fast.
    drift: i32,
}

impl Clock {
    /// What it shows when the world's shows `now`, which never goes back.
    pub(super) fn shows(&self, now: Instant) -> Instant {
        let passed = now.saturating_duration_since(self.world);
        if self.drift == 0 {
            return self.local + passed;
        }
        let passed = passed.as_nanos() as i128;
        self.local + Duration::from_nanos((passed + (passed * i128::from(self.drift)).div_euclid(MILLION)) as u64)
    }

    /// The first moment at which it shows `due` or more.
    pub(super) fn reaches(&self, due: Instant) -> Instant {
        let wait = due.saturating_duration_since(self.local);
        if self.drift == 0 {
            return self.world + wait;
        }
        let wait = wait.as_nanos() as i128;
        let rate = MILLION + i128::from(self.drift);
        let estimate = (wait * MILLION).div_euclid(rate).max(0) as u64;
        // Rounding down twice may leave it one short.
        let mut at = self.world + Duration::from_nanos(estimate);
        while self.shows(at) < due {
            at += Duration::from_nanos(1);
        }
        at
    }

    fn set(&mut self, now: Instant, ahead: Duration, drift: i32) {
        *self = Self { world: now, local: self.shows(now) + ahead, drift };
    }

    /// It shows the same until `until`.
    fn stand_still(&mut self, now: Instant, until: Instant) {
        *self = Self { world: until, local: self.shows(now), drift: self.drift };
    }
}

impl World {
    /// From now on the host's clock is too fast by so many parts per million, or too slow; within ±500 000.
    pub fn set_drift(&mut self, id: HostId, ppm: i32) {
        let now = self.now;
        self.host_mut(id).clock.set(now, Duration::ZERO, ppm.clamp(-DRIFT_MAX, DRIFT_MAX));
        self.wake_now(id);
    }

    /// The host's monotonic clock jumps ahead, as when a virtual machine goes on elsewhere. What was due in between is
    /// due now. (It never goes back, and there is no other clock that a node could see.)
    pub fn jump_clock(&mut self, id: HostId, ahead: Duration) {
        let now = self.now;
        let clock = &mut self.host_mut(id).clock;
        clock.set(now, ahead, clock.drift);
        self.wake_now(id);
    }

    /// The host's machine sleeps for so long: nothing of it runs, as with [`World::pause`], and its clock stands still, as
    /// Linux' monotonic one does. When it wakes, nothing is overdue. (Its network is a matter of its own: see
    /// [`Network::deafen`](crate::network::Network::deafen).)
    pub fn suspend(&mut self, id: HostId, duration: Duration) {
        self.pause(id, duration);
        let (now, until) = (self.now, self.now + duration);
        let host = self.host_mut(id);
        host.clock.stand_still(now, until);
        // What was put down was meant by the clock that went on.
        host.wake = None;
    }

    /// What the host's clock shows now.
    pub fn local_time(&self, id: HostId) -> Instant {
        self.host(id).clock.shows(self.now)
    }

    /// What is due by the new clock is due now; the wake-ups that were put down were meant by the old one.
    fn wake_now(&mut self, id: HostId) {
        let host = self.host_mut(id);
        host.wake = None;
        if host.is_free() {
            self.time_out(id);
            self.drain(id);
        }
    }
}

const MILLION: i128 = 1_000_000;
const DRIFT_MAX: i32 = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever wakes when the clock reaches a deadline finds it due, and a nanosecond before did not.
    #[test]
    fn it_reaches_what_it_shows() {
        for drift in [-500_000, -10_000, -1, 0, 1, 333, 10_000, 500_000] {
            let mut clock = Clock::default();
            clock.set(Instant::from_nanos(7), Duration::from_secs(60), drift);
            for wait in [0, 1, 2, 3, 999_999, 1_000_000, 123_456_789_123] {
                let due = clock.shows(Instant::from_nanos(7)) + Duration::from_nanos(wait);
                let at = clock.reaches(due);
                assert!(clock.shows(at) >= due, "{drift} {wait}");
                assert!(at == Instant::from_nanos(7) || clock.shows(Instant::from_nanos(at.as_nanos() - 1)) < due);
            }
        }
    }

    #[test]
    fn it_goes_on_where_it_stood() {
        let second = |n| Instant::after_origin(Duration::from_secs(n));
        let mut clock = Clock::default();
        clock.stand_still(second(1), second(5));
        assert_eq!([1, 4, 5, 6].map(|now| clock.shows(second(now))), [1, 1, 1, 2].map(second));
        assert_eq!(clock.reaches(second(3)), second(7));
    }

    #[test]
    fn a_new_rate_begins_where_the_old_one_ended() {
        let mut clock = Clock::default();
        let second = Instant::after_origin(Duration::from_secs(1));
        clock.set(Instant::ZERO, Duration::ZERO, 100_000);
        assert_eq!(clock.shows(second), Instant::after_origin(Duration::from_millis(1100)));
        clock.set(second, Duration::ZERO, -100_000);
        let two = Instant::after_origin(Duration::from_secs(2));
        assert_eq!(clock.shows(two), Instant::after_origin(Duration::from_secs(2)));
    }
}
