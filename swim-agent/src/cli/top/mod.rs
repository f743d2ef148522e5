//! `top`: a cluster in the terminal, as its agent sees it, and what happens in it.
//!
//! Read `state` first: what is shown, and what news and keys do to it; it knows neither terminal nor agent. `draw` puts
//! it on a screen of any size. `source` is the thread that asks the agent and hears its events, and comes back when the
//! connection is lost. `screen` is the terminal: taken, given back however the program ends, and its keys. This file
//! holds the loop between them.

mod draw;
mod screen;
mod source;
mod state;

use core::time::Duration;
use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Instant;

use screen::Screen;
use source::Source;
use state::{Flow, News, State};

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, address};
use crate::cli::flags::Parsed;
use crate::cli::{Command, Failure};

pub(crate) const COMMAND: Command = Command {
    name: "top",
    synopsis: "Shows the cluster live in the terminal",
    usage: "[options]",
    about: "\
Shows the members of the cluster, how far away they are, and the events and
queries that pass by, and goes on until it is told to quit. Press ? for the
keys. It needs a terminal; elsewhere, and for scripts: members -watch.

Example:  top -rpc-addr=10.0.0.8:7373",
    flags: Some(&[RPC_ADDR, RPC_AUTH]),
    prefix: "",
    run,
};

/// What the loop waits for.
enum Input {
    /// From the agent.
    News(News),
    /// From the terminal.
    Key(ratatui::crossterm::event::KeyEvent),
    /// The terminal has another size.
    Resized,
    /// A signal, or the terminal is gone.
    End(ExitCode),
}

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    if !stdout().is_terminal() {
        return Err(Failure::Message(NO_TERMINAL.to_owned()));
    }
    let (sender, inputs) = sync_channel(INPUTS_MAX);
    // What is wrong from the start is said as by any other command.
    let source = Source::connect(parsed)?;
    let mut state = State::new(&address(parsed));
    let broken = |error: std::io::Error| Failure::Message(format!("Error using the terminal: {error}"));
    let mut screen = Screen::open().map_err(broken)?;
    screen::watch(&sender);
    let source = source.start(sender);

    let mut drawn: Option<Instant> = None;
    loop {
        // Not for each of many news: nobody sees more than so many pictures.
        let due = drawn.map_or(Duration::ZERO, |drawn| FRAME.saturating_sub(drawn.elapsed()));
        let mut next = match inputs.recv_timeout(if state.is_changed() { due } else { TICK }) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::Message(STOPPED.to_owned())),
        };
        let mut taken = 0;
        while let Some(input) = next {
            match input {
                Input::News(news) => state.hear(news, Instant::now()),
                Input::Key(key) => match state.press(key) {
                    Flow::Continue => {}
                    Flow::Quit => return Ok(ExitCode::SUCCESS),
                },
                Input::Resized => state.change(),
                Input::End(code) => return Ok(code),
            }
            taken += 1;
            next = if taken < INPUTS_MAX { inputs.try_recv().ok() } else { None };
        }
        if source.is_finished() {
            // It ends for no other reason than a defect, whose message is on its way to the screen.
            return Err(Failure::Message(STOPPED.to_owned()));
        }
        if drawn.is_none_or(|drawn| drawn.elapsed() >= if state.is_changed() { FRAME } else { TICK }) {
            screen.draw(&mut state).map_err(broken)?;
            drawn = Some(Instant::now());
        }
    }
}

/// Inputs that wait. Behind them the agent waits, and drops events when we are far behind.
const INPUTS_MAX: usize = 256;
/// Shortest time between two pictures.
const FRAME: Duration = Duration::from_millis(50);
/// Longest time between two pictures: they show how long ago something was.
const TICK: Duration = Duration::from_secs(1);

const NO_TERMINAL: &str = "\
Error: top needs a terminal, and the output is none. For a list that is printed again
whenever something changes, to a pipe or a file: `members -watch`, or `-watch -format=json`.";
const STOPPED: &str = "Error: the thread that talks to the agent has stopped; this is a defect";
