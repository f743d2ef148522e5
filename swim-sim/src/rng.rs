//! The world's own dice: latencies, losses and the seeds of nodes. xoshiro256** (Blackman and Vigna), filled by
//! SplitMix64. Not the core's generator, so that no draw here can ever shift one there.

use core::time::Duration;

/// A deterministic stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(core::array::from_fn(|_| split_mix(&mut state)))
    }

    /// All 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0. The bias is below 2⁻⁶⁴ times `bound`, which no simulation can see.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform between `low` and `high`, both included.
    pub fn duration_between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = high.saturating_sub(low).as_nanos() as u64;
        low + Duration::from_nanos(self.below(span.saturating_add(1)))
    }

    /// True once in `1 / probability` times.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits fill the mantissa exactly; the quotient is the same on every machine.
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        ((self.next_u64() >> 11) as f64) * UNIT < probability
    }

    /// Normal, with mean 0 and deviation 1 (Box and Muller). By `libm`, so that every machine draws the same bits.
    pub fn normal(&mut self) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        // In (0, 1]: there is a logarithm.
        let radius = ((self.next_u64() >> 11) + 1) as f64 * UNIT;
        let angle = (self.next_u64() >> 11) as f64 * UNIT * core::f64::consts::TAU;
        libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(angle)
    }

    /// A seed for a node.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes());
        }
        seed
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of SplitMix64 from 0, as in its authors' reference.
    #[test]
    fn split_mix_is_the_published_one() {
        let mut state = 0;
        assert_eq!(split_mix(&mut state), 0xe220_a839_7b1d_cdaf);
        assert_eq!(split_mix(&mut state), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn chances_come_about_as_often_as_they_should() {
        let mut rng = Rng::new(1);
        let hits = (0..100_000).filter(|_| rng.chance(0.2)).count();
        assert!((19_500..20_500).contains(&hits), "{hits}");
    }

    #[test]
    fn normals_have_mean_0_and_deviation_1() {
        let mut rng = Rng::new(1);
        let drawn: Vec<f64> = (0..100_000).map(|_| rng.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn durations_reach_both_ends_and_go_no_further() {
        let (low, high) = (Duration::from_nanos(5), Duration::from_nanos(8));
        let mut rng = Rng::new(1);
        let drawn: Vec<_> = (0..1000).map(|_| rng.duration_between(low, high)).collect();
        assert_eq!(drawn.iter().min(), Some(&low));
        assert_eq!(drawn.iter().max(), Some(&high));
    }
}
