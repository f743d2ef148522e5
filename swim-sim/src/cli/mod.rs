//! What the program `swim-sim` does, one subcommand per file: `swarm.rs` looks for failures, `replay.rs` shows what a member
//! has recorded, `run.rs` makes experiments, `report.rs` a page of them, `convergence.rs` the picture of one question, and
//! `bench.rs` measures how fast the simulator is.

mod bench;
mod convergence;
mod replay;
mod report;
mod run;
mod swarm;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulates whole swim clusters in virtual time.
#[derive(Debug, Parser)]
#[command(name = "swim-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Args),
    Convergence(convergence::Convergence),
    Report(report::Report),
    Run(run::Run),
    Replay(replay::Recording),
    Swarm(swarm::Args),
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Bench(args) => Ok(bench::run(&args)),
        Command::Convergence(convergence) => convergence.run(),
        Command::Report(report) => report.run(),
        Command::Run(run) => run.run(),
        Command::Replay(recording) => recording.run(),
        Command::Swarm(args) => Ok(swarm::run(&args)),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("swim-sim: {failure}");
        ExitCode::FAILURE
    })
}

/// Why a command did not do its work, in words.
type Failure = String;

/// Reads or writes a file, and says which one when that fails.
fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| format!("{}: {error}", path.display()))
}
