//! Quantiles, means, and how sure one can be of them.

use crate::rng::Rng;

/// The value below which this part of the sample lies, by nearest rank: one that did occur. `None` of nothing.
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// The mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// In ascending order.
pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The interval that holds 95 % of what `statistic` makes of runs drawn anew from these, with replacement: runs, not
/// the events in them, which depend on each other.
pub fn bootstrap<T>(runs: &[T], seed: u64, mut statistic: impl FnMut(&[&T]) -> f64) -> (f64, f64) {
    if runs.is_empty() {
        return (0.0, 0.0);
    }
    let mut rng = Rng::new(seed);
    let drawn = (0..RESAMPLES).map(|_| {
        let sample: Vec<&T> = runs.iter().map(|_| &runs[rng.below(runs.len() as u64) as usize]).collect();
        statistic(&sample)
    });
    let drawn = sorted(drawn.collect());
    let at = |part| quantile(&drawn, part).unwrap_or_default();
    (at(0.025), at(0.975))
}

const RESAMPLES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values = [1.0, 2.0, 3.0, 4.0];
        for (part, value) in [(0.0, 1.0), (0.25, 1.0), (0.5, 2.0), (0.51, 3.0), (0.99, 4.0), (1.0, 4.0)] {
            assert_eq!(quantile(&values, part), Some(value), "{part}");
        }
        assert_eq!(quantile(&[], 0.5), None);
    }

    /// Of a fair coin thrown 400 times: 200 ± 1.96 · 10.
    #[test]
    fn the_bootstrap_finds_the_spread_of_a_sum() {
        let throws: Vec<f64> = (0..400).map(|n| f64::from(n % 2)).collect();
        let (low, high) = bootstrap(&throws, 1, |sample| sample.iter().copied().sum());
        assert!((177.0..184.0).contains(&low) && (216.0..223.0).contains(&high), "{low} to {high}");
    }
}
