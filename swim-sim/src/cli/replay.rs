//! `swim-sim replay`: what a recorded member heard and did, shown again and checked.

use core::fmt::Write as _;
use core::time::Duration;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use swim_core::Event;
use swim_core::node::input::{Input, StreamAction, StreamInput};
use swim_core::node::trace::{Output, Replay, Step};
use swim_core::wire::keyring::{Key, Keyring};

use super::{Failure, at};

/// Replay what a member has recorded (`swim agent -record=FILE`, `Options::trace`).
///
/// Prints what its application was told, and checks that this build puts out the same bytes. Recorded members with
/// admission functions are replayed by programs of their own.
#[derive(Debug, Args)]
pub(super) struct Recording {
    /// The first file of the recording; FILE.1, FILE.2 and so on are read as well.
    file: PathBuf,
    /// The keys that the member had or was given: a keyring file as an agent keeps it, a JSON list in base64.
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Print every input: what came from the network and from the application, and the passing of time.
    #[arg(long)]
    inputs: bool,
    /// Print every datagram and every step on a stream that goes out.
    #[arg(long)]
    outputs: bool,
    /// Print a hash of all outputs so far after each input. Where those of two builds begin to differ, the builds do.
    #[arg(long)]
    hashes: bool,
    /// Stop at this many seconds after the start.
    #[arg(long, value_name = "SECONDS")]
    until: Option<f64>,
    /// Stop after this many inputs.
    #[arg(long, value_name = "N")]
    until_input: Option<u64>,
    /// Stop after the first event whose line contains this, such as "member-failed web-2".
    #[arg(long, value_name = "TEXT")]
    until_event: Option<String>,
    /// Print the state of the member where the replay ends.
    #[arg(long)]
    dump: bool,
}

impl Recording {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let trace = read(&self.file)?;
        let shown = self.file.display();
        let failed = |error| format!("{shown}: {error}");
        let given = self.keyring.as_deref().map(read_keyring).transpose()?.unwrap_or_default();
        let mut keyring = Keyring::new();
        for id in Replay::key_ids(&trace).map_err(failed)? {
            let key = given.iter().find(|key| key.id() == id).ok_or_else(|| {
                format!("{shown}: recorded with the key {id}, which is not in it: give it with --keyring")
            })?;
            keyring.add(key.clone()).map_err(|error| format!("{shown}: {error}"))?;
        }
        let mut replay = Replay::new(&trace, keyring, None).map_err(failed)?.with_keys(given);
        let start = replay.now();
        println!("recorded by {} {}, replayed by {}", replay.node().local().name(), replay.build(), VERSION);

        let mut checkpoints = 0_u64;
        let stopped = loop {
            let next = replay.peek();
            if let Some((at, input)) = &next {
                let since = *at - start;
                if self.until.is_some_and(|until| since.as_secs_f64() > until) {
                    break Some("as told".to_owned());
                }
                if self.inputs {
                    println!("{} #{} <- {}", time(since), replay.inputs() + 1, input_text(input));
                }
            }
            let (mut lines, mut found) = (String::new(), false);
            let since = time(next.map_or(replay.now(), |(at, _)| at) - start);
            let step = replay.step(|output| {
                let line = match output {
                    Output::Event(event) => event_text(&event),
                    Output::Datagram { destination, datagram } if self.outputs => {
                        format!("-> {destination}: datagram of {} bytes", datagram.len())
                    }
                    Output::Stream(action) if self.outputs => format!("-> {}", action_text(&action)),
                    Output::Datagram { .. } | Output::Stream(_) => return,
                };
                found |= self.until_event.as_ref().is_some_and(|text| line.contains(&**text));
                let _ = writeln!(lines, "{since} {line}");
            });
            print!("{lines}");
            match step {
                Ok(Step::Input(_)) if self.hashes => println!("{since} #{} {:016x}", replay.inputs(), replay.digest()),
                Ok(Step::Input(_)) => {}
                Ok(Step::Checkpoint) => checkpoints += 1,
                Ok(Step::End) => break None,
                Err(error) => {
                    self.end(&replay, checkpoints);
                    return Err(format!("{shown}: at byte {}: {error}", replay.position()));
                }
            }
            if found || self.until_input.is_some_and(|until| replay.inputs() >= until) {
                break Some("as told".to_owned());
            }
        };
        self.end(&replay, checkpoints);
        match stopped {
            Some(why) => println!("stopped {why} after {} s", time(replay.now() - start).trim_start()),
            None if replay.rest() > 0 => {
                return Err(format!(
                    "{shown}: cut off at byte {}: {} bytes of a record are there and the rest is not; \
                     what was before is replayed",
                    replay.position(),
                    replay.rest()
                ));
            }
            None => {}
        }
        Ok(ExitCode::SUCCESS)
    }

    fn end(&self, replay: &Replay<'_>, checkpoints: u64) {
        if self.dump {
            print!("{}", dump(replay));
        }
        println!("{} inputs, {checkpoints} checkpoints passed, outputs {:016x}", replay.inputs(), replay.digest());
    }
}

/// The whole recording, whatever the number of its files.
fn read(first: &Path) -> Result<Vec<u8>, Failure> {
    let mut trace = at(first, std::fs::read(first))?;
    for n in 1_u32.. {
        let mut name = OsString::from(first);
        name.push(format!(".{n}"));
        match std::fs::read(&name) {
            Ok(bytes) => trace.extend_from_slice(&bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return at(Path::new(&name), Err(error)),
        }
    }
    Ok(trace)
}

fn read_keyring(path: &Path) -> Result<Vec<Key>, Failure> {
    let bytes = at(path, std::fs::read(path))?;
    let texts: Vec<String> =
        serde_json::from_slice(&bytes).map_err(|error| format!("{}: not a keyring: {error}", path.display()))?;
    let decode = |text: &String| {
        let key = STANDARD.decode(text).ok().and_then(|bytes| Key::new(&bytes).ok());
        key.ok_or_else(|| format!("{}: a key must be 16, 24 or 32 bytes in base64", path.display()))
    };
    texts.iter().map(decode).collect()
}

fn time(since: Duration) -> String {
    format!("{:>14.6}", since.as_secs_f64())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is rare is shown as it is")]
fn input_text(input: &Input<'_>) -> String {
    match input {
        Input::Datagram { from, datagram } => format!("{from}: datagram of {} bytes", datagram.len()),
        Input::Timeout => "time passes".into(),
        Input::PollTransmit => "the socket has room".into(),
        Input::PollEvent => "the application listens".into(),
        Input::AcceptStream { from } => format!("{from} dials"),
        Input::Stream { id, input: StreamInput::Data(data) } => format!("{id:?}: {} bytes", data.len()),
        Input::Stream { id, input } => format!("{id:?}: {input:?}"),
        // Keys are ids here.
        command => format!("{command:?}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is rare is shown as it is")]
fn action_text(action: &StreamAction) -> String {
    match action {
        StreamAction::Send { id, data } => format!("{id:?}: {} bytes", data.len()),
        action => format!("{action:?}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is rare is shown as it is")]
fn event_text(event: &Event) -> String {
    match event {
        Event::Member { kind, member } => format!("{} {} {}", kind.as_str(), member.name, member.address),
        Event::User { ltime, name, payload, .. } => {
            let len = payload.as_ref().map_or(0, |payload| payload.len());
            format!("user {} at {}, {len} bytes", name.escape_ascii(), ltime.0)
        }
        Event::Query { name, payload, .. } => format!("query {name}, {} bytes", payload.len()),
        event => format!("{event:?}"),
    }
}

/// Members, clocks and counters, as far as there is something to say.
fn dump(replay: &Replay<'_>) -> String {
    let node = replay.node();
    let mut text = String::new();
    for member in node.members() {
        let _ = writeln!(
            text,
            "  {} {} {} incarnation {} {:?}",
            member.name(),
            member.address(),
            member.status(),
            member.incarnation().0,
            member.tags()
        );
    }
    let _ = writeln!(text, "  {:?}, {:?}", node.life(), node.summary());
    for (name, value) in node.stats().iter().filter(|(_, value)| *value > 0) {
        let _ = writeln!(text, "  {name} {value}");
    }
    text
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
