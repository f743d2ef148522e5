//! Randomness from the seed alone, in independent streams, so that turning encryption on does not change whom a
//! simulated node probes.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// One deterministic stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(ChaCha8Rng);

/// Which of the independent streams of one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// Whom to probe, to gossip to, to ask for help.
    Targets = 1,
    /// When periodic things start.
    Jitter = 2,
    /// Nonces of datagrams.
    PacketNonces = 3,
    /// Nonces of stream frames.
    FrameNonces = 4,
    /// Keys of hash tables. These change look-up cost only, never an output.
    Hashing = 5,
    /// Directions for coordinates that coincide.
    Coordinates = 6,
    /// Whom to try again, and when.
    Healing = 7,
}

impl Rng {
    pub(crate) fn new(seed: [u8; 32], stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(stream as u64);
        Self(rng)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.below_u64(bound as u64) as usize
    }

    /// The same for 64 bits, whatever the machine's words. By multiplication and rejection (Lemire), so without bias.
    fn below_u64(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let mut product = u128::from(self.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = u128::from(self.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    pub(crate) fn f64_unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.next_u64() >> 11) as f64 * STEP
    }

    /// Uniform in `0..bound`.
    pub(crate) fn duration_below(&mut self, bound: core::time::Duration) -> core::time::Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        core::time::Duration::from_nanos(self.below_u64(nanos))
    }
}
