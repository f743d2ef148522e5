//! `swim-sim convergence`

use core::time::Duration;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use swim_sim::experiments::dissemination::{Scene, convergence};
use swim_sim::experiments::{HELD_OUT, Options};
use swim_sim::report;

use super::run::Output;
use super::{Failure, at};

/// How fast gossip reaches everybody: Serf's formula, the optimum, and real nodes in simulation
///
/// The successor of the convergence simulator on Serf's page, which plotted the formula alone.
#[derive(Debug, Args)]
pub(super) struct Convergence {
    /// Members
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    nodes: u32,
    /// Packets that a member gossips in each interval
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    fanout: u32,
    /// Milliseconds between two gossip ticks
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(20..=60_000))]
    interval: u64,
    /// Percent of the packets that are lost
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    loss: f64,
    /// Percent of the members that have failed, and are gossiped to all the same
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    failed: f64,
    /// Microseconds that a packet travels
    #[arg(long, default_value_t = 1000)]
    delay: u64,
    /// Updates to simulate
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    updates: u32,
    /// Write a page with the picture
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Where the runs' seeds come from
    #[arg(long, default_value_t = HELD_OUT)]
    seed: u64,
    /// Threads; the results do not depend on it
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Say nothing meanwhile
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    output: Output,
}

impl Convergence {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let scene = Scene {
            nodes: self.nodes as usize,
            fanout: self.fanout as usize,
            interval: Duration::from_millis(self.interval),
            loss: self.loss / 100.0,
            failed: self.failed / 100.0,
            delay: Duration::from_micros(self.delay),
            seed: 0,
            updates: self.updates as usize,
        };
        let options = Options { seed: self.seed, jobs: self.jobs, verbose: !self.quiet, ..Options::default() };
        let results = convergence(&options, &scene);
        if let Some(path) = &self.html {
            at(path, fs::write(path, report::html(core::slice::from_ref(&results))))?;
        }
        self.output.put(&results)
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=90.0).contains(&percent) => Ok(percent),
        Ok(_) | Err(_) => Err("expected a percentage from 0 to 90".into()),
    }
}
