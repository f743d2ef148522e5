//! `swim-sim run NAME`

use core::time::Duration;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use swim_sim::experiments::baselines::Mode;
use swim_sim::experiments::results::Results;
use swim_sim::experiments::{EXPERIMENTS, HELD_OUT, Options, find};
use swim_sim::world::gate::READING_TIME;

use super::{Failure, at};

/// Run an experiment and print its tables; `run list` lists them
///
/// The exit code is 2 when a figure did not land where it has to.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The experiment's name, or `list`
    name: String,
    #[command(flatten)]
    amount: Amount,
    #[command(flatten)]
    output: Output,
}

/// How much, and from which seed.
#[derive(Debug, Args)]
struct Amount {
    /// Part of the full number of runs, at least one run
    #[arg(long, default_value_t = 1.0, value_parser = fraction)]
    fraction: f64,
    /// Where the runs' seeds come from; use small ones to try things, and keep the default for figures to publish
    #[arg(long, default_value_t = HELD_OUT)]
    seed: u64,
    /// Threads; the results do not depend on it
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Sizes of the clusters, where an experiment has a choice
    #[arg(long, value_delimiter = ',')]
    nodes: Vec<usize>,
    /// Configurations to compare, where an experiment has a choice: "SWIM", "Lifeguard", "ours" and so on
    #[arg(long, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Microseconds that a blocked agent takes per datagram of its backlog, in Lifeguard's experiments
    #[arg(long, default_value_t = READING_TIME.as_micros() as u64, value_name = "MICROSECONDS")]
    reading_time: u64,
    /// Say nothing meanwhile
    #[arg(long)]
    quiet: bool,
}

/// Where the results go, beside the terminal.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// Write the tables as comma-separated values
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write everything as JSON, for `swim-sim report`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Run {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if self.name == "list" {
            for experiment in EXPERIMENTS {
                println!("{:20} {}", experiment.name, experiment.about);
            }
            return Ok(ExitCode::SUCCESS);
        }
        let experiment = find(&self.name)
            .ok_or_else(|| format!("there is no experiment \"{}\"; `swim-sim run list` lists them", self.name))?;
        let results = (experiment.run)(&self.amount.options());
        self.output.put(&results)
    }
}

impl Amount {
    fn options(self) -> Options {
        let Self { fraction, seed, jobs, nodes, modes, reading_time, quiet } = self;
        let reading_time = Duration::from_micros(reading_time);
        Options { seed, fraction, jobs, nodes, modes, reading_time, verbose: !quiet }
    }
}

impl Output {
    /// Prints the results, and writes what was asked for.
    pub(super) fn put(&self, results: &Results) -> Result<ExitCode, Failure> {
        print!("{results}");
        if let Some(path) = &self.csv {
            at(path, fs::write(path, results.to_csv()))?;
        }
        if let Some(path) = &self.json {
            let json = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
            at(path, fs::write(path, json))?;
        }
        let missed = results.gates.iter().any(|gate| !gate.met);
        Ok(if missed { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(fraction) if fraction > 0.0 && fraction <= 1000.0 => Ok(fraction),
        Ok(_) | Err(_) => Err("expected a number above 0 and up to 1000, like 0.1".into()),
    }
}
