//! Ctrl-C while a command waits for an agent.

use std::process::exit;
use std::thread;

use crate::cli::say;

/// From now on, an interrupt prints `text`, if any, and ends the process with `code`.
pub(crate) fn exit_on_interrupt(code: i32, text: Option<&'static str>) {
    // In a thread of its own, because the command blocks. Without it the system's default ends the process as well.
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            text.map(say);
            exit(code);
        }
    });
}
