//! A sample of the mutants that `cargo mutants` makes of the core, built all at once.
//!
//! To build and test each by itself takes minutes. Here the drawn ones are put into one copy of the sources, each behind
//! a question that is asked at run time (`plant.rs`); those that do not compile are taken out (`viable.rs`); and the tests
//! run once for each of the others (`run.rs`). `frame.rs` is what there is to draw from, `draw.rs` the draw, `results.rs`
//! the file of results, from which a later run goes on.

mod draw;
mod frame;
mod plant;
mod results;
mod run;
mod viable;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::results::Results;
use crate::run::{Baseline, Effort};
use crate::viable::Copy;

/// Whatever keeps the question from being put.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// See `sample.sh`.
#[derive(Parser)]
struct Options {
    /// The checkout. It is read only, but for the results
    #[arg(long)]
    root: PathBuf,
    /// Where to work, and to find what an earlier run has built
    #[arg(long)]
    scratch: PathBuf,
    /// The file of results
    #[arg(long)]
    results: PathBuf,
    /// Of the draw
    #[arg(long)]
    seed: u64,
    /// How many mutants to draw
    #[arg(long)]
    draw: usize,
    /// How many tests run at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Stop after so long; the next run goes on
    #[arg(long)]
    seconds: Option<u64>,
    /// Ask the survivors of earlier runs again
    #[arg(long)]
    again: bool,
    /// Only say what there is to draw from
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match sample(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all of them have been asked.
fn sample(options: &Options) -> Result<bool, Failure> {
    let started = Instant::now();
    let (frame, left_out) = frame::list(&options.root)?;
    let drawn = draw::draw(&frame, options.draw, options.seed);
    let mut results = Results::read(&options.results)?;
    let summary = |results: &Results| results.summary(options.seed, &frame, &left_out, &drawn);
    if options.list {
        print!("{}", summary(&results));
        return Ok(true);
    }

    let copy =
        Copy { root: options.root.clone(), tree: options.scratch.join("tree"), target: options.scratch.join("target") };
    copy.refresh()?;
    let mut unviable = BTreeMap::new();
    for (number, mutant) in &drawn {
        let known = results.get(mutant);
        if known.result == "unviable" {
            unviable.insert(*number, known.by);
        }
    }
    copy.settle(&drawn, &mut unviable)?;
    for (number, mutant) in &drawn {
        if let Some(why) = unviable.get(number) {
            results.set(mutant, "unviable", why);
        }
    }
    results.write(&options.results, &drawn, &summary(&results))?;
    let programs = copy.build()?;

    let effort =
        Effort { jobs: options.jobs, until: options.seconds.map(|seconds| started + Duration::from_secs(seconds)) };
    let record = options.scratch.join("baseline.json");
    let mut baseline: Baseline =
        if record.exists() { serde_json::from_slice(&fs::read(&record)?)? } else { Baseline::default() };
    let complete = baseline.record(&programs, &options.scratch, &effort)?;
    fs::write(&record, serde_json::to_vec(&baseline)?)?;
    if !complete {
        return Ok(false);
    }
    let (tests, seconds) = baseline.size();
    println!("{tests} tests pass without a mutant, in {seconds:.0} s");

    let mutants: BTreeMap<u32, &frame::Mutant> = drawn.iter().map(|(number, mutant)| (*number, mutant)).collect();
    let open = |result: &str| result.is_empty() || options.again && result == "survived";
    let numbers = mutants.iter().filter(|(_, mutant)| open(&results.get(mutant).result)).map(|(&number, _)| number);
    let numbers = numbers.collect();
    let results = Mutex::new(results);
    let complete = baseline.judge_all(&copy, &programs, numbers, &effort, |number, verdict| {
        let mutant = mutants[&number];
        println!("{number:>4} {:<9} {}: {}, {}", verdict.result, mutant.place(), mutant.change(), verdict.by);
        let mut results = results.lock().expect("nobody panics");
        results.set(mutant, verdict.result, &verdict.by);
        results.write(&options.results, &drawn, &summary(&results))
    })?;
    println!("{}", summary(&results.into_inner()?));
    Ok(complete)
}
