//! What theory says about the spread of one update, in gossip intervals, and Serf's page about it.

/// What gossip is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Push {
    /// Members.
    pub nodes: usize,
    /// Packets per interval of each member that knows the update.
    pub fanout: f64,
    /// Part of the packets that is lost.
    pub loss: f64,
    /// Part of the members that has failed and still counts.
    pub failed: f64,
    /// How long a packet travels, in intervals.
    pub delay: f64,
}

impl Push {
    /// Packets per interval that reach somebody.
    fn force(&self) -> f64 {
        self.fanout * (1.0 - self.loss) * (1.0 - self.failed)
    }

    /// Those who are to be reached.
    fn live(&self) -> f64 {
        (self.nodes as f64 * (1.0 - self.failed)).max(1.0)
    }

    /// The rate r of growth per interval while nearly nobody knows: r = F·e^(−rδ), for members whose clocks tick at
    /// random moments.
    pub fn growth(&self) -> f64 {
        let force = self.force();
        // Newton on r·e^(rδ) = F, from above: the left side is convex.
        let mut rate = force;
        for _ in 0..50 {
            let power = (rate * self.delay).exp();
            rate -= (rate * power - force) / (power * (1.0 + rate * self.delay));
        }
        rate
    }

    /// When half know it: ln n / r.
    pub fn half(&self) -> f64 {
        self.live().ln() / self.growth()
    }

    /// When all do, on average: ln n / r + (ln n + 0.577) / F + δ.
    pub fn all(&self) -> f64 {
        let ln = self.live().ln();
        ln / self.growth() + (ln + EULER) / self.force() + self.delay
    }

    /// The part that knows it at each of `steps` moments, `every` intervals apart: the mean field of unsynchronised
    /// push, x' = F·x(t−δ)·(1−x), shifted so that half know it when [`Push::half`] says.
    pub fn curve(&self, every: f64, steps: usize) -> Vec<f64> {
        let (force, fine) = (self.force(), 1e-3);
        let behind = (self.delay / fine).round() as usize;
        let mut known = vec![1.0 / self.live()];
        while known.len() < 100_000 && known.last().is_some_and(|part| *part < 1.0 - 1e-9) {
            let last = known[known.len() - 1];
            let then = known.len().checked_sub(1 + behind).map_or(known[0], |index| known[index]);
            known.push((last + fine * force * then * (1.0 - last)).min(1.0));
        }
        let half = known.iter().position(|part| *part >= 0.5).unwrap_or_default() as f64 * fine;
        let shift = half - self.half();
        let at = |time: f64| {
            let index = (time + shift) / fine;
            if index < 0.0 { 1.0 / self.live() } else { known.get(index as usize).copied().unwrap_or(1.0) }
        };
        (0..steps).map(|step| at(step as f64 * every)).collect()
    }

    /// The part that Serf's page about convergence plots after `rounds`: `1 / (1 + (n+1)·e^(−c·n·x))`, with
    /// `c·n = fanout/2·(1−loss)·(1−failed)`.
    pub fn serf_page(&self, rounds: f64) -> f64 {
        1.0 / (1.0 + (self.nodes as f64 + 1.0) * (-0.5 * self.force() * rounds).exp())
    }

    /// When that is this part, in rounds that need not be whole.
    pub fn serf_page_time(&self, part: f64) -> f64 {
        ((self.nodes as f64 + 1.0) * part / (1.0 - part)).ln() / (0.5 * self.force())
    }
}

/// What Serf's page says gossip takes at most, in kbit/s: full packets at each tick, in both directions.
pub fn serf_page_kilobits(fanout: f64, interval: f64) -> f64 {
    1400.0 * fanout / interval * 2.0 * 8.0 / 1024.0
}

const EULER: f64 = 0.577;

#[cfg(test)]
mod tests {
    use super::*;

    fn push(nodes: usize, loss: f64) -> Push {
        Push { nodes, fanout: 3.0, loss, failed: 0.0, delay: 1.0 / 200.0 }
    }

    /// Serf's formula at 200 ms: when half, 99 %, 99.99 % know it, and 99.99 % with 30 % loss.
    #[test]
    fn serf_s_page() {
        #[rustfmt::skip]
        let table = [
            (30,     0.46, 1.07, 1.69, 2.41),
            (128,    0.65, 1.26, 1.88, 2.68),
            (1_000,  0.92, 1.53, 2.15, 3.07),
            (5_000,  1.14, 1.75, 2.36, 3.38),
            (10_000, 1.23, 1.84, 2.46, 3.51),
        ];
        for (nodes, half, most, nearly, lossy) in table {
            let seconds = |loss, part| push(nodes, loss).serf_page_time(part) * 0.2;
            for (expected, computed) in [
                (half, seconds(0.0, 0.5)),
                (most, seconds(0.0, 0.99)),
                (nearly, seconds(0.0, 0.9999)),
                (lossy, seconds(0.3, 0.9999)),
            ] {
                assert!((expected - computed).abs() < 0.0051, "{nodes}: {computed} for {expected}");
            }
            let again = push(nodes, 0.0).serf_page(push(nodes, 0.0).serf_page_time(0.99));
            assert!((again - 0.99).abs() < 1e-9);
        }
        assert_eq!((serf_page_kilobits(3.0, 0.2) * 10.0).round(), 3281.0);
    }

    /// The closed form against Monte Carlo with 1 ms one way: mean time until all know it, in milliseconds.
    #[test]
    fn the_closed_form_is_near_monte_carlo() {
        #[rustfmt::skip]
        let table = [
            (30,     0.0, 496.0),
            (128,    0.0, 708.0),
            (128,    0.3, 1000.0),
            (1_000,  0.0, 998.0),
            (1_000,  0.3, 1416.0),
            (5_000,  0.0, 1218.0),
            (5_000,  0.3, 1728.0),
            (10_000, 0.0, 1304.0),
            (10_000, 0.3, 1832.0),
        ];
        for (nodes, loss, all) in table {
            let computed = push(nodes, loss).all() * 200.0;
            assert!((computed / all - 1.0).abs() < 0.035, "{nodes} at {loss}: {computed} for {all}");
        }
    }

    #[test]
    fn the_growth_solves_its_equation() {
        for delay in [0.0, 0.005, 0.25, 2.0] {
            let push = Push { delay, ..push(1000, 0.1) };
            let rate = push.growth();
            assert!((rate - push.force() * (-rate * delay).exp()).abs() < 1e-9, "δ = {delay}: {rate}");
        }
    }

    #[test]
    fn the_curve_rises_through_its_half() {
        let push = push(1000, 0.0);
        let curve = push.curve(0.01, 1000);
        assert!(curve.is_sorted());
        let half = curve.iter().position(|part| *part >= 0.5).expect("it gets there");
        assert!((half as f64 * 0.01 - push.half()).abs() < 0.02);
        assert!(*curve.last().expect("steps") > 0.999_999);
    }
}
