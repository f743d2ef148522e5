//! Measurements that others have published, repeated on our nodes, and those by which we are measured.
//!
//! An experiment is a function from [`Options`] to [`Results`]; [`EXPERIMENTS`] lists them. `baselines.rs` has the
//! configurations that are compared, all on one core; `formulas.rs` what theory says; `statistics.rs` quantiles and
//! intervals; `jobs.rs` runs many seeds on several threads; `results.rs` is what comes out and how it is kept. Begin with
//! `dissemination.rs`, the simplest, and `lifeguard.rs`, the one that the others have to be believed by.

pub mod baselines;
pub mod coordinates;
pub mod dissemination;
pub mod formulas;
pub mod idle;
pub mod jobs;
pub mod lifeguard;
pub mod loss;
pub mod partition;
pub mod results;
pub mod start;
pub mod statistics;

use core::time::Duration;

use crate::experiments::baselines::Mode;
use crate::experiments::results::Results;
use crate::rng::Rng;
use crate::world::gate::READING_TIME;

/// One measurement that can be asked for by name.
#[derive(Debug)]
pub struct Experiment {
    /// What it is asked for by.
    pub name: &'static str,
    /// In a line.
    pub about: &'static str,
    /// Does it.
    pub run: fn(&Options) -> Results,
}

/// How much of it, and from which seeds.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the seeds of the single runs are drawn from.
    pub seed: u64,
    /// How much of the full number of runs.
    pub fraction: f64,
    /// Threads. The results do not depend on it.
    pub jobs: usize,
    /// Sizes of clusters, where they can be chosen; empty: those of the experiment.
    pub nodes: Vec<usize>,
    /// Which configurations, where several are compared; empty: all.
    pub modes: Vec<Mode>,
    /// What a blocked agent takes per datagram of its backlog, where that matters.
    pub reading_time: Duration,
    /// Whether progress is told on the standard error output.
    pub verbose: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: HELD_OUT,
            fraction: 1.0,
            jobs: 1,
            nodes: Vec::new(),
            modes: Vec::new(),
            reading_time: READING_TIME,
            verbose: false,
        }
    }
}

impl Options {
    /// What to type to have an experiment with these. The threads are not among them: the results do not depend on them.
    pub fn command(&self, experiment: &str) -> String {
        let Self { seed, fraction, nodes, modes, reading_time, jobs: _, verbose: _ } = self;
        let mut command = format!("swim-sim run {experiment} --seed {seed} --fraction {fraction}");
        let list = |values: &[&dyn core::fmt::Display]| {
            values.iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
        };
        if !nodes.is_empty() {
            let nodes: Vec<&dyn core::fmt::Display> = nodes.iter().map(|size| size as _).collect();
            command += &format!(" --nodes {}", list(&nodes));
        }
        if !modes.is_empty() {
            let modes: Vec<&dyn core::fmt::Display> = modes.iter().map(|mode| mode as _).collect();
            command += &format!(" --modes \"{}\"", list(&modes));
        }
        if *reading_time != READING_TIME {
            command += &format!(" --reading-time {}", reading_time.as_micros());
        }
        command
    }

    /// This much of `full` runs, at least one.
    pub fn runs(&self, full: usize) -> usize {
        ((full as f64 * self.fraction).round() as usize).max(1)
    }

    /// The seed of a run. Runs of the same number see the same accidents, whatever is being compared.
    pub fn seed_of(&self, experiment: &str, run: usize) -> u64 {
        let name = experiment.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        Rng::new(self.seed ^ name.rotate_left(32) ^ run as u64).next_u64()
    }

    /// The sizes that were asked for, or else these.
    pub fn sizes(&self, default: &[usize]) -> Vec<usize> {
        if self.nodes.is_empty() { default.to_vec() } else { self.nodes.clone() }
    }

    /// Of these configurations, those that were asked for.
    pub fn modes(&self, all: &[Mode]) -> Vec<Mode> {
        all.iter().copied().filter(|mode| self.modes.is_empty() || self.modes.contains(mode)).collect()
    }

    /// Says how far it has come.
    pub fn tell(&self, what: &dyn core::fmt::Display) {
        if self.verbose {
            eprintln!("{what}");
        }
    }
}

/// Where published figures draw their seeds from. Whoever tunes something takes other ones, from 0 upward.
pub const HELD_OUT: u64 = 1 << 32;

/// All of them: first those that theory can check, then those that the papers can, then our own.
pub const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        name: "dissemination",
        about: "one update to all, against the curve of unsynchronised push",
        run: dissemination::run,
    },
    Experiment {
        name: "coordinates",
        about: "round trips estimated from network coordinates, on Serf's five truth matrices",
        run: coordinates::run,
    },
    Experiment {
        name: "lifeguard-threshold",
        about: "Lifeguard paper, table V: how long until a blocked member is detected",
        run: lifeguard::run_threshold,
    },
    Experiment {
        name: "lifeguard-interval",
        about: "Lifeguard paper, tables IV and VI: who else is declared failed meanwhile",
        run: lifeguard::run_interval,
    },
    Experiment {
        name: "idle",
        about: "bytes that a node sends when little happens, by size of the cluster",
        run: idle::run,
    },
    Experiment { name: "loss", about: "members declared failed for nothing while packets get lost", run: loss::run },
    Experiment {
        name: "partition",
        about: "a cluster in two halves, from the heal until all know each other",
        run: partition::run,
    },
    Experiment { name: "cold-start", about: "many members start at once and know one seed", run: start::run },
];

/// The experiment of this name.
pub fn find(name: &str) -> Option<&'static Experiment> {
    EXPERIMENTS.iter().find(|experiment| experiment.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_what_is_not_the_default() {
        let plain = Options::default();
        assert_eq!(plain.command("idle"), "swim-sim run idle --seed 4294967296 --fraction 1");
        let special = Options {
            seed: 1,
            fraction: 0.1,
            jobs: 2,
            nodes: vec![100, 1000],
            modes: vec![Mode::Buddy, Mode::Ours],
            reading_time: Duration::from_micros(150),
            verbose: true,
        };
        assert_eq!(
            special.command("idle"),
            "swim-sim run idle --seed 1 --fraction 0.1 --nodes 100,1000 --modes \"Buddy System,ours\" --reading-time 150"
        );
    }
}
