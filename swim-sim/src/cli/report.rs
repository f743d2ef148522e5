//! `swim-sim report`

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use swim_sim::experiments::results::Results;
use swim_sim::report;

use super::{Failure, at};

/// Make one page of results that `run --json` has written
///
/// The page needs nothing but itself: no network, no script.
#[derive(Debug, Args)]
pub(super) struct Report {
    /// Files with results, in the order of the page
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// Where the page goes
    #[arg(long, short, default_value = "report.html", value_name = "FILE")]
    output: PathBuf,
}

impl Report {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut all: Vec<Results> = Vec::new();
        for path in &self.results {
            let json = at(path, fs::read(path))?;
            let results = serde_json::from_slice(&json);
            all.push(results.map_err(|error| format!("{}: not results of an experiment: {error}", path.display()))?);
        }
        at(&self.output, fs::write(&self.output, report::html(&all)))?;
        println!("{}", self.output.display());
        Ok(ExitCode::SUCCESS)
    }
}
