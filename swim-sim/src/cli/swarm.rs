//! `swim-sim swarm`: one plan per seed, each with all checkers, on a few threads.

use core::num::NonZeroUsize;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use clap::Args as ClapArgs;
use swim_sim::checks::Violation;
use swim_sim::plan::{Failure, Outcome, Plan};

/// Looks for a seed whose plan breaks a rule; shortens the plan, and prints it as a test to paste.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Seeds, the last one excluded.
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// This seed alone.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// A plan from a file, in JSON, instead of seeds.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "seed"])]
    plan: Option<std::path::PathBuf>,
    /// Threads.
    #[arg(long, default_value = "2")]
    jobs: NonZeroUsize,
    /// Stops after so many seconds, whatever is left of the seeds.
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
    /// Nodes of every plan, instead of what the seed says.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    nodes: Option<u32>,
    /// Prints the plan before it is run.
    #[arg(long)]
    show: bool,
    /// Runs that may be spent to shorten a failing plan.
    #[arg(long, default_value_t = 300)]
    shrink: u32,
    /// Goes on after a failure, up to so many.
    #[arg(long, default_value_t = 1)]
    failures: u32,
}

impl Args {
    fn plan_of(&self, seed: u64) -> Plan {
        self.nodes.map_or_else(|| Plan::generate(seed), |nodes| Plan::generate_for(seed, nodes))
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    if let Some(path) = &args.plan {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return refuse(&format!("cannot read {}: {error}", path.display())),
        };
        return match text.parse() {
            Ok(plan) => alone(args, &plan),
            Err(error) => refuse(&format!("{}: {error}", path.display())),
        };
    }
    match args.seed {
        Some(seed) => alone(args, &args.plan_of(seed)),
        None => swarm(args),
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("swim-sim: {why}");
    ExitCode::from(2)
}

/// One plan, twice, with what there is to say about it.
fn alone(args: &Args, plan: &Plan) -> ExitCode {
    if args.show {
        println!("{}", plan.to_json());
    }
    let began = Instant::now();
    match plan.run_twice() {
        Ok(outcome) => {
            println!("seed {}: all rules hold, twice, in {:.2?}; {outcome:?}", plan.seed, began.elapsed());
            ExitCode::SUCCESS
        }
        Err(Failure::Plan(error)) => refuse(&error.to_string()),
        Err(Failure::Rule(violation)) => {
            tell(args, plan, &violation);
            ExitCode::FAILURE
        }
    }
}

fn swarm(args: &Args) -> ExitCode {
    let swarm = Swarm {
        next: AtomicU64::new(args.seeds.start),
        stopped: AtomicBool::new(false),
        tally: Mutex::new(Tally::default()),
        began: Instant::now(),
    };
    // A panic in a node is a failure like others, and is told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    thread::scope(|scope| {
        for _ in 0..args.jobs.get() {
            scope.spawn(|| swarm.work(args));
        }
        swarm.show_progress(args);
    });
    let _default = std::panic::take_hook();
    let tally = swarm.tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let took = swarm.began.elapsed();
    println!(
        "{} seeds in {took:.1?}, {} virtual hours, {} datagrams; the slowest was seed {} with {:.1?}",
        tally.done,
        tally.virtual_time.as_secs() / 3600,
        tally.datagrams,
        tally.slowest.1,
        tally.slowest.0
    );
    println!("the longest recovery took {:?} (seed {})", tally.settled.0, tally.settled.1);
    println!("a quiet node sent at most {} bytes a second (seed {})", tally.quiet.0, tally.quiet.1);
    if tally.failures.is_empty() {
        println!("all rules hold");
        return ExitCode::SUCCESS;
    }
    let mut failures = tally.failures;
    failures.sort_by_key(|(seed, _)| *seed);
    for (seed, violation) in &failures {
        let nodes = args.nodes.map_or_else(String::new, |nodes| format!(" --nodes {nodes}"));
        println!("\nseed {seed} breaks a rule; `swim-sim swarm --seed {seed}{nodes}` repeats it");
        std::panic::set_hook(Box::new(|_| {}));
        tell(args, &args.plan_of(*seed), violation);
    }
    ExitCode::FAILURE
}

fn tell(args: &Args, plan: &Plan, violation: &Violation) {
    println!("{violation}");
    let shrunk = plan.shrink(violation, args.shrink);
    println!("after {} runs, {} of {} steps are left:\n", shrunk.runs, shrunk.plan.steps.len(), plan.steps.len());
    println!("{}", shrunk.plan.to_test(&shrunk.violation));
}

struct Swarm {
    next: AtomicU64,
    stopped: AtomicBool,
    tally: Mutex<Tally>,
    began: Instant,
}

#[derive(Default)]
struct Tally {
    done: u64,
    virtual_time: Duration,
    datagrams: u64,
    slowest: (Duration, u64),
    settled: (Duration, u64),
    quiet: (u64, u64),
    failures: Vec<(u64, Violation)>,
}

impl Swarm {
    fn work(&self, args: &Args) {
        while !self.stopped.load(Ordering::Relaxed) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= args.seeds.end {
                return;
            }
            let plan = args.plan_of(seed);
            let began = Instant::now();
            let result = if seed.is_multiple_of(TWICE_EVERY) { plan.run_twice() } else { plan.run() };
            self.note(args, seed, began.elapsed(), result);
        }
    }

    fn note(&self, args: &Args, seed: u64, took: Duration, result: Result<Outcome, Failure>) {
        let mut tally = self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tally.done += 1;
        tally.slowest = tally.slowest.max((took, seed));
        match result {
            Ok(outcome) => {
                tally.virtual_time += outcome.lasted;
                tally.datagrams += outcome.datagrams;
                tally.settled = tally.settled.max((outcome.settled_in, seed));
                tally.quiet = tally.quiet.max((outcome.quiet_rate, seed));
            }
            Err(Failure::Rule(violation)) => tally.failures.push((seed, violation)),
            Err(Failure::Plan(error)) => unreachable!("generated plans can be run: {error}"),
        }
        if tally.failures.len() >= args.failures as usize {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// A line on the terminal that tells how far it is, until all is done.
    fn show_progress(&self, args: &Args) {
        let total = args.seeds.end.saturating_sub(args.seeds.start);
        loop {
            let (done, failures) = {
                let tally = self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                (tally.done, tally.failures.len())
            };
            let elapsed = self.began.elapsed();
            if args.time.is_some_and(|time| elapsed.as_secs() >= time) {
                self.stopped.store(true, Ordering::Relaxed);
            }
            let over = done >= total || self.stopped.load(Ordering::Relaxed);
            if stderr().is_terminal() {
                let filled = (done * BAR / total.max(1)) as usize;
                let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
                let bar = format!("{}{}", "█".repeat(filled), "░".repeat(BAR as usize - filled.min(BAR as usize)));
                let end = if over { "\n" } else { "" };
                let _closed = write!(stderr(), "\r{bar} {done}/{total}  {rate:.0} seeds/s  {failures} failures {end}");
            }
            if over {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let seeds = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    let seeds: Range<u64> = seeds.ok_or_else(|| "expected two numbers, like 0..1000".to_owned())?;
    if seeds.is_empty() {
        return Err(format!("there is no seed in {text}"));
    }
    Ok(seeds)
}

/// One seed in so many is run twice, to see that it gives the same run.
const TWICE_EVERY: u64 = 16;
/// Width of the progress bar.
const BAR: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_seeds_are_read() {
        assert_eq!(parse_seeds("0..20000"), Ok(0..20_000));
        for bad in ["", "5", "5..", "..5", "a..b", "-1..5"] {
            assert_eq!(parse_seeds(bad), Err("expected two numbers, like 0..1000".to_owned()), "{bad}");
        }
        assert_eq!(parse_seeds("7..7"), Err("there is no seed in 7..7".to_owned()));
    }
}
