//! How long a packet travels.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// How long a packet travels, one way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Latency {
    /// Always the same.
    Constant(Duration),
    /// Uniform between two bounds, so packets overtake each other.
    Uniform(Duration, Duration),
    /// Most take about the median, and some take many times as long: the logarithm is normal. Never more than
    /// [`LATENCY_MAX`].
    LogNormal {
        /// Half of all packets are faster.
        median: Duration,
        /// Standard deviation of the logarithm: at 0.5, one packet in forty takes 2.7 times the median or longer.
        sigma: f64,
    },
}

impl Latency {
    /// The next packet's.
    pub fn draw(self, rng: &mut Rng) -> Duration {
        match self {
            Self::Constant(latency) => latency,
            Self::Uniform(low, high) => rng.duration_between(low, high),
            Self::LogNormal { median, sigma } => {
                let factor = libm::exp(sigma * rng.normal());
                // A float too large for the integer becomes its greatest, one that is no number 0.
                let nanos = (median.as_nanos() as f64 * factor) as u64;
                Duration::from_nanos(nanos).min(LATENCY_MAX)
            }
        }
    }
}

/// Sites, and how far each is from each: what a packet travels on top of its link's own latency.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    rows: Vec<Vec<Duration>>,
    sites: BTreeMap<SocketAddr, usize>,
}

impl Matrix {
    /// From site `i` to site `j` it takes `rows[i][j]`; what is missing takes no time.
    pub fn new(rows: Vec<Vec<Duration>>) -> Self {
        Self { rows, sites: BTreeMap::new() }
    }

    /// Puts an address at a site. An address that was put nowhere is at site 0.
    pub fn put(&mut self, address: SocketAddr, site: usize) {
        self.sites.insert(address, site);
    }

    pub(super) fn between(&self, from: SocketAddr, to: SocketAddr) -> Duration {
        let site = |address| self.sites.get(&address).copied().unwrap_or(0);
        self.rows.get(site(from)).and_then(|row| row.get(site(to))).copied().unwrap_or_default()
    }
}

/// Nothing drawn from a law without an end is longer.
pub const LATENCY_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    /// Half are below the median, and 16 % above it times e^sigma.
    #[test]
    fn log_normal_has_its_median_and_its_tail() {
        let mut rng = Rng::new(1);
        let median = Duration::from_millis(40);
        let law = Latency::LogNormal { median, sigma: 0.5 };
        let drawn: Vec<_> = (0..20_000).map(|_| law.draw(&mut rng)).collect();
        let below = drawn.iter().filter(|latency| **latency < median).count();
        assert!((9_700..10_300).contains(&below), "{below}");
        let above = drawn.iter().filter(|latency| **latency > median.mul_f64(1.6487)).count();
        assert!((3_000..3_350).contains(&above), "{above}");
    }

    #[test]
    fn no_law_goes_past_the_bound() {
        let mut rng = Rng::new(1);
        let law = Latency::LogNormal { median: Duration::from_secs(1), sigma: 1e9 };
        assert!((0..100).all(|_| law.draw(&mut rng) <= LATENCY_MAX));
        let law = Latency::LogNormal { median: Duration::from_secs(1), sigma: f64::NAN };
        assert_eq!(law.draw(&mut rng), Duration::ZERO);
    }

    #[test]
    fn a_matrix_has_directions() {
        let address = |last: u8| SocketAddr::from(([10, 0, 0, last], 7946));
        let ms = Duration::from_millis;
        let mut matrix = Matrix::new(vec![vec![ms(0), ms(40)], vec![ms(50), ms(1)]]);
        matrix.put(address(2), 1);
        matrix.put(address(3), 9);
        assert_eq!(matrix.between(address(1), address(2)), ms(40));
        assert_eq!(matrix.between(address(2), address(1)), ms(50));
        assert_eq!(matrix.between(address(2), address(2)), ms(1));
        assert_eq!(matrix.between(address(3), address(1)), ms(0), "that site is not on the map");
    }
}
