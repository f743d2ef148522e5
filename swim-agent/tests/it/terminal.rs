//! A program on a terminal of its own. Every wait ends by itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use core::time::Duration;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

/// Killed when dropped.
pub(crate) struct OnTerminal {
    child: Child,
    /// The hands and eyes of whoever sits there.
    operator: File,
    terminal: File,
    before: Termios,
    output: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

/// What a finished run left behind.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    /// Whether the terminal is in the mode that it was in.
    pub(crate) is_as_before: bool,
}

impl OnTerminal {
    pub(crate) fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let operator = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&operator).unwrap();
        unlockpt(&operator).unwrap();
        let path = ptsname(&operator, Vec::new()).unwrap();
        let terminal = File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();
        let before = tcgetattr(&terminal).unwrap();
        let end = || terminal.try_clone().unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm-256color").spawn().unwrap();
        // It has ends of its own.
        drop(command);

        let operator = File::from(operator);
        let output = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (operator.try_clone().unwrap(), output.clone());
        let reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            // An error is the end: nobody has the terminal open any more.
            while let Ok(len @ 1..) = from.read(&mut chunk) {
                lock(&to).extend_from_slice(&chunk[..len]);
            }
        });
        Self { child, operator, terminal, before, output, reader: Some(reader) }
    }

    /// Types.
    #[allow(dead_code, reason = "not every test types")]
    pub(crate) fn press(&mut self, keys: &str) {
        self.operator.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for `text`. Blanks that were there before are not printed again: words are waited for.
    #[allow(dead_code, reason = "not every test waits")]
    pub(crate) fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.output().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in {:?}", self.output());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Forgets what has been printed, so that the next wait is for something new.
    #[allow(dead_code, reason = "not every test waits")]
    pub(crate) fn forget(&self) {
        lock(&self.output).clear();
    }

    #[allow(dead_code, reason = "not every test needs signals")]
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&lock(&self.output)).into_owned()
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "still running: {:?}", self.output());
            thread::sleep(Duration::from_millis(20));
        };
        let after = tcgetattr(&self.terminal).unwrap();
        let modes = |termios: &Termios| (termios.input_modes, termios.output_modes, termios.local_modes);
        let is_as_before = modes(&self.before) == modes(&after);
        // With the last end closed, all that was printed has been read.
        let null = File::open("/dev/null").unwrap();
        drop(core::mem::replace(&mut self.terminal, null));
        self.reader.take().unwrap().join().unwrap();
        Ended { code: status.code(), output: self.output(), is_as_before }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(output: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATIENCE: Duration = Duration::from_secs(30);
