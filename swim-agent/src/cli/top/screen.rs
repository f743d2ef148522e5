//! The terminal: taken for the whole of it, and given back as it was, however the program ends.

use std::io;
use std::process::ExitCode;
use std::sync::mpsc::SyncSender;
use std::thread;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, read};

use crate::agent::signals::{Signal, Signals};
use crate::cli::top::state::State;
use crate::cli::top::{Input, draw};

/// A terminal in raw mode, on its other screen. Dropping it gives it back.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // A panic, in whatever thread, gives it back as well, before its message is printed.
        let terminal = ratatui::try_init();
        if terminal.is_err() {
            // It may have got half-way.
            ratatui::restore();
        }
        terminal.map(Self)
    }

    pub(super) fn draw(&mut self, state: &mut State) -> io::Result<()> {
        self.0.draw(|frame| draw::draw(frame, state)).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where the cursor was hidden, it would stay so.
        let _ = self.0.show_cursor();
        // A terminal that is gone needs nothing back.
        let _ = ratatui::try_restore();
    }
}

/// Tells of keys and signals from now on. The threads end with the process: a key cannot be waited for with an end.
pub(super) fn watch(inputs: &SyncSender<Input>) {
    let keys = inputs.clone();
    thread::spawn(move || {
        loop {
            let input = match read() {
                Ok(Event::Key(key)) => Input::Key(key),
                Ok(Event::Resize(..)) => Input::Resized,
                Ok(_) => continue,
                Err(_) => Input::End(ExitCode::FAILURE),
            };
            let ends = matches!(input, Input::End(_));
            if keys.send(input).is_err() || ends {
                return;
            }
        }
    });
    let signals = inputs.clone();
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        let signal = runtime.block_on(async { Ok::<_, io::Error>(Signals::new()?.next().await) });
        let Ok(signal) = signal else { return };
        let code = match signal {
            Signal::Interrupt => ExitCode::SUCCESS,
            Signal::Terminate | Signal::Hangup => ExitCode::FAILURE,
        };
        let _ = signals.send(Input::End(code));
    });
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
