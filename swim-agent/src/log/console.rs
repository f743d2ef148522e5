//! The agent's terminal: messages, and log lines that are held back until the banner is out.
//!
//! A thread of its own does the writing. A terminal that is stopped, or a pipe that nobody reads, must not stop the
//! agent: when too much waits, log lines are dropped and counted.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{Write, stdout};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::log::{Entry, Format, Level, json};

/// Where an agent's output goes. Clones write to the same place, in order.
#[derive(Clone)]
pub(crate) struct Console {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    lines: Sender<Job>,
    /// Log lines that came before the release; `None` after it.
    held: Option<VecDeque<String>>,
    dropped: u64,
    format: Format,
}

enum Job {
    Line(String),
    Flush(SyncSender<()>),
}

impl Console {
    /// Writes to standard output.
    pub(crate) fn new() -> Self {
        // Not the standard library's: that one takes the memory for all that may wait at once.
        let (lines, jobs) = channel(WAITING_MAX);
        std::thread::spawn(move || write_lines(jobs));
        Self {
            shared: Arc::new(Mutex::new(Shared {
                lines,
                held: Some(VecDeque::new()),
                dropped: 0,
                format: Format::Text,
            })),
        }
    }

    /// Everything that follows is written in this form. With JSON nothing else comes out, so that a machine can read
    /// all of it.
    pub(crate) fn set_format(&self, format: Format) {
        self.with(|shared| shared.format = format);
    }

    /// A message of the agent itself.
    pub(crate) fn say(&self, text: &str) {
        self.with(|shared| shared.tell("==> ", Level::Info, text));
    }

    /// An error that ends the agent, or what it was asked to do.
    pub(crate) fn fail(&self, text: &str) {
        self.with(|shared| shared.tell("==> ", Level::Err, text));
    }

    /// A detail that belongs to the message before.
    pub(crate) fn info(&self, text: &str) {
        self.with(|shared| shared.tell("    ", Level::Info, text));
    }

    /// A line as it is.
    pub(crate) fn plain(&self, text: &str) {
        self.with(|shared| shared.tell("", Level::Info, text));
    }

    /// A log line, in the form that everything is written in.
    pub(crate) fn log(&self, line: String) {
        self.with(|shared| match &mut shared.held {
            Some(held) => {
                if held.len() == HELD_MAX {
                    held.pop_front();
                }
                held.push_back(line);
            }
            None => shared.write_log(&line),
        });
    }

    /// Lets the log lines through that were held back, and all that follow.
    pub(crate) fn release(&self) {
        self.with(|shared| {
            for line in shared.held.take().into_iter().flatten() {
                shared.write_log(&line);
            }
        });
    }

    /// Waits until everything has been written, but not for ever.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let sent = self.with(|shared| shared.lines.try_send(Job::Flush(done)).is_ok());
        if sent {
            let _ = wait.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Shared) -> T) -> T {
        // A panic elsewhere leaves nothing half-done here.
        use_it(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn tell(&mut self, prefix: &str, level: Level, text: &str) {
        let line = match self.format {
            Format::Text => format!("{prefix}{text}"),
            // An empty line is for the eye.
            Format::Json if text.is_empty() => return,
            Format::Json => json_line(level, text.trim()),
        };
        self.write(line);
    }

    fn write_log(&mut self, line: &str) {
        // As Go's logger: a line that ends with a line feed gets no second one.
        let line = line.strip_suffix('\n').unwrap_or(line);
        self.write(match self.format {
            Format::Text => format!("    {line}"),
            Format::Json => line.to_owned(),
        });
    }

    fn write(&mut self, line: String) {
        if self.dropped > 0 {
            let notice = format!("({} lines were dropped: nobody reads this output)", self.dropped);
            let notice = match self.format {
                Format::Text => format!("    {notice}"),
                Format::Json => json_line(Level::Warn, &notice),
            };
            if self.lines.try_send(Job::Line(notice)).is_ok() {
                self.dropped = 0;
            }
        }
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Job::Line(line)) {
            self.dropped += 1;
        }
    }
}

fn json_line(level: Level, text: &str) -> String {
    let time = jiff::Zoned::now();
    json::line(&Entry { time: &time, level, component: "agent", text, event: None, fields: &[] })
}

fn write_lines(mut jobs: Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        match job {
            // A closed terminal is no reason to stop.
            Job::Line(line) => drop(writeln!(stdout(), "{line}")),
            Job::Flush(done) => {
                let _ = stdout().flush();
                let _ = done.send(());
            }
        }
    }
}

/// Lines that may wait for the terminal.
const WAITING_MAX: usize = 1024;
/// Log lines held back before the banner is out; the oldest go first.
const HELD_MAX: usize = 512;
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// A console whose lines nobody takes.
    fn console(held: Option<VecDeque<String>>) -> (Console, Receiver<Job>) {
        let (lines, jobs) = channel(WAITING_MAX);
        let shared = Shared { lines, held, dropped: 0, format: Format::Text };
        (Console { shared: Arc::new(Mutex::new(shared)) }, jobs)
    }

    #[test]
    fn lines_held_back_are_bounded() {
        let (console, _jobs) = console(Some(VecDeque::new()));
        for (count, oldest) in [(HELD_MAX, "0"), (1, "1")] {
            let begun = console.with(|shared| shared.held.as_ref().map_or(0, VecDeque::len));
            (begun..begun + count).for_each(|n| console.log(n.to_string()));
            console.with(|shared| {
                let held = shared.held.as_ref().unwrap();
                assert_eq!((held.len(), held.front().map(String::as_str)), (HELD_MAX, Some(oldest)));
            });
        }
    }

    #[test]
    fn lines_that_wait_are_bounded_and_those_lost_are_counted() {
        let (console, mut jobs) = console(None);
        (0..WAITING_MAX).for_each(|_| console.log("x".to_owned()));
        assert_eq!((jobs.len(), console.with(|shared| shared.dropped)), (WAITING_MAX, 0));
        console.log("x".to_owned());
        assert_eq!((jobs.len(), console.with(|shared| shared.dropped)), (WAITING_MAX, 1));
        for _ in 0..2 {
            assert!(matches!(jobs.try_recv(), Ok(Job::Line(line)) if line == "    x"));
        }
        console.log("y".to_owned());
        assert_eq!((jobs.len(), console.with(|shared| shared.dropped)), (WAITING_MAX, 0), "the notice came first");
    }
}
