//! Doubt about oneself: whoever fails to hear acks should first suspect its own hearing (Lifeguard, LHA-Probe).

use core::time::Duration;

/// The health score, 0 when all is well; the local health multiplier is one more.
///
/// Source: memberlist `awareness.go`. It scales one thing only: the length of a probe.
#[derive(Debug)]
pub(crate) struct Awareness {
    score: u32,
    score_max: u32,
}

impl Awareness {
    /// `multiplier_max` is at least 1; with 1 the score stays 0.
    pub(crate) fn new(multiplier_max: u32) -> Self {
        Self { score: 0, score_max: multiplier_max.saturating_sub(1) }
    }

    /// Adds evidence: positive means that we may be slow, negative that we are fine.
    pub(crate) fn apply(&mut self, delta: i32) {
        self.score = self.score.saturating_add_signed(delta).min(self.score_max);
    }

    pub(crate) fn score(&self) -> u32 {
        self.score
    }

    /// `interval` times the local health multiplier.
    pub(crate) fn scale(&self, interval: Duration) -> Duration {
        interval.saturating_mul(self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_in_its_range() {
        let mut awareness = Awareness::new(8);
        for (delta, score) in [(-1, 0), (3, 3), (-1, 2), (4, 6), (4, 7), (1, 7), (-1, 6), (i32::MIN, 0), (i32::MAX, 7)]
        {
            awareness.apply(delta);
            assert_eq!(awareness.score(), score, "after {delta}");
        }
        assert_eq!(awareness.scale(Duration::from_secs(1)), Duration::from_secs(8));
        let mut off = Awareness::new(1);
        off.apply(5);
        assert_eq!(off.scale(Duration::from_secs(1)), Duration::from_secs(1));
    }
}
