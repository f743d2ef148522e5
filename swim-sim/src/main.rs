//! The program `swim-sim`. See `cli/mod.rs`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
