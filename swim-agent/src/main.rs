//! The `swim` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    swim_agent::main()
}
