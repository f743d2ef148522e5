//! Time as the core sees it: a number that the caller hands in.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since an origin that the caller chooses and never changes.
///
/// Only differences mean anything. There is no wall clock in the core; a driver maps its monotonic clock to this,
/// a simulator simply counts. Arithmetic saturates: the largest instant, 584 years after the origin, means "never".
///
/// ```
/// use std::time::Duration;
/// use swim_core::Instant;
///
/// // What a driver does:
/// let origin = std::time::Instant::now();
/// let now = || Instant::after_origin(origin.elapsed());
/// let due = now() + Duration::from_secs(60);
/// assert!(due - now() <= Duration::from_secs(60));
/// assert_eq!(due + Duration::MAX, Instant::from_nanos(u64::MAX));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after the origin.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::Instant;
    /// assert_eq!(Instant::from_nanos(0), Instant::ZERO);
    /// assert!(Instant::from_nanos(1) > Instant::ZERO);
    /// ```
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `duration` after the origin.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use swim_core::Instant;
    /// assert_eq!(Instant::after_origin(Duration::from_micros(3)), Instant::from_nanos(3000));
    /// ```
    pub const fn after_origin(duration: Duration) -> Self {
        Self(saturate(duration))
    }

    /// Nanoseconds since the origin.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use swim_core::Instant;
    /// assert_eq!((Instant::ZERO + Duration::from_millis(2)).as_nanos(), 2_000_000);
    /// ```
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero when `earlier` is the later one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use swim_core::Instant;
    /// let (now, due) = (Instant::from_nanos(300), Instant::from_nanos(500));
    /// assert_eq!(due.saturating_duration_since(now), Duration::from_nanos(200));
    /// assert_eq!(now.saturating_duration_since(due), Duration::ZERO);
    /// ```
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(saturate(rhs)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Saturating, like [`Instant::saturating_duration_since`].
    fn sub(self, rhs: Self) -> Duration {
        self.saturating_duration_since(rhs)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

const fn saturate(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}
