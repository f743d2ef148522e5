//! What one direction remembers between packets: whether a burst of losses is on, and how much waits to be sent.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use swim_core::Instant;

use crate::rng::Rng;

/// Losses that come together: a direction is good, then bad, then good, for times that are exponentially distributed
/// (Gilbert and Elliott's channel, in continuous time).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bursts {
    /// How long it is good, in the mean.
    pub every: Duration,
    /// How long it is bad, in the mean.
    pub last: Duration,
    /// How likely it is that a packet is lost while it is bad, each on its own.
    pub loss: f64,
}

/// What fits through one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Bytes per second.
    pub rate: u64,
    /// Bytes that wait at most; a datagram that finds no room is dropped. A stream's sender waits instead.
    pub queue: u64,
}

/// One direction between two addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Direction {
    bad: bool,
    looked: Instant,
    /// When the last byte that waits has been sent.
    free_at: Instant,
}

impl Direction {
    /// Whether the burst that may be on eats this packet. The chain is asked only when a packet comes, so the wait
    /// since the last one is one draw.
    pub(super) fn eats(&mut self, rng: &mut Rng, now: Instant, bursts: &Bursts) -> bool {
        let (every, last) = (bursts.every.as_secs_f64(), bursts.last.as_secs_f64());
        if every <= 0.0 || last <= 0.0 {
            return false;
        }
        let stationary = last / (every + last);
        let waited = now.saturating_duration_since(self.looked).as_secs_f64();
        let memory = libm::exp(-(1.0 / every + 1.0 / last) * waited);
        let bad = stationary + (f64::from(u8::from(self.bad)) - stationary) * memory;
        (self.bad, self.looked) = (rng.chance(bad), now);
        self.bad && rng.chance(bursts.loss)
    }

    /// How long `len` bytes wait and take to be sent; `None` when there is no room for them.
    pub(super) fn queue(&mut self, now: Instant, len: usize, bandwidth: Bandwidth, patient: bool) -> Option<Duration> {
        let waiting = self.free_at.saturating_duration_since(now);
        let rate = u128::from(bandwidth.rate.max(1));
        let len = len as u128;
        let queued = waiting.as_nanos() * rate / NANOS;
        if !patient && queued + len > u128::from(bandwidth.queue) {
            return None;
        }
        let sending = Duration::from_nanos(u64::try_from(len * NANOS / rate).unwrap_or(u64::MAX));
        self.free_at = now + waiting.saturating_add(sending);
        Some(waiting.saturating_add(sending))
    }
}

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A fifth of the time is bad, and what is lost comes in runs.
    #[test]
    fn bursts_have_their_share_and_their_length() {
        let bursts = Bursts { every: Duration::from_secs(4), last: Duration::from_secs(1), loss: 1.0 };
        let (mut rng, mut direction) = (Rng::new(1), Direction::default());
        let every = Duration::from_millis(100);
        let eaten: Vec<bool> =
            (0..100_000_u32).map(|n| direction.eats(&mut rng, Instant::after_origin(every * n), &bursts)).collect();
        let lost = eaten.iter().filter(|eaten| **eaten).count();
        assert!((18_500..21_500).contains(&lost), "{lost}");
        let runs = eaten.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert!((8..12).contains(&(lost / runs)), "{lost} in {runs} runs");
    }

    #[test]
    fn a_full_queue_drops_datagrams_and_holds_streams_back() {
        let bandwidth = Bandwidth { rate: 1000, queue: 300 };
        let mut direction = Direction::default();
        let ms = Duration::from_millis;
        let now = Instant::ZERO;
        assert_eq!(direction.queue(now, 200, bandwidth, false), Some(ms(200)));
        assert_eq!(direction.queue(now, 100, bandwidth, false), Some(ms(300)));
        assert_eq!(direction.queue(now, 1, bandwidth, false), None, "it is full");
        assert_eq!(direction.queue(now, 100, bandwidth, true), Some(ms(400)));
        assert_eq!(direction.queue(now + ms(400), 50, bandwidth, false), Some(ms(50)), "it is empty again");
    }
}
