//! Starting agents and running commands. Every wait ends by itself.

use core::net::SocketAddr;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use serde_json::{Map, Value};
use socket2::Socket;

/// Longer than anything here takes, on a machine that does other things as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// After so long without an effect something is done again.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// The profile for members that nobody is to take for failed: half a minute goes by before that, and a query without a
/// time limit of its own has eight seconds. With the local one it is three and a half and one and a half, which a machine that
/// stalls can miss.
pub(crate) const UNHURRIED: &str = "-profile=wan";

/// What a finished run left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn swim(arguments: &[&str]) -> Finished {
    run(command(arguments))
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swim"));
    command.args(arguments).env_remove("SERF_RPC_ADDR").env_remove("SERF_RPC_AUTH");
    command
}

pub(crate) fn run(mut command: Command) -> Finished {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (drain(child.stdout.take().unwrap()), drain(child.stderr.take().unwrap()));
    let deadline = Instant::now() + PATIENCE;
    let wait = |texts: &Receiver<String>| texts.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
    let (Some(stdout), Some(stderr)) = (wait(&stdout), wait(&stderr)) else {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("{command:?} did not end");
    };
    Finished { code: child.wait().unwrap().code(), stdout, stderr }
}

/// All that comes out, once it has ended.
fn drain(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (done, receiver) = channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = from.read_to_end(&mut text);
        let _ = done.send(String::from_utf8_lossy(&text).into_owned());
    });
    receiver
}

/// A program that runs, killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// What it has printed so far.
    pub(crate) output: String,
}

impl Running {
    /// Starts a command.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(command(arguments))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        for pipe in
            [Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>, Box::new(child.stderr.take().unwrap())]
        {
            let sender = sender.clone();
            thread::spawn(move || {
                BufReader::new(pipe).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
            });
        }
        Self { child, lines, output: String::new() }
    }

    /// Waits for a line that contains `text`, also among those already printed.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.output.contains(text) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.output += &(line + "\n"),
                Err(_) => panic!("no {text:?} in:\n{}", self.output),
            }
        }
    }

    /// Whether a line contains `text`, one already printed or one that comes within `time`.
    fn is_said_within(&mut self, time: Duration, text: &str) -> bool {
        let deadline = Instant::now() + time;
        while !self.output.contains(text) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.output += &(line + "\n"),
                Err(_) => return false,
            }
        }
        true
    }

    /// Waits until so many lines contain `text`.
    pub(crate) fn wait_for_several(&mut self, count: usize, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.output.matches(text).count() < count {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.output += &(line + "\n"),
                Err(_) => panic!("not {count} times {text:?} in:\n{}", self.output),
            }
        }
    }

    /// What it has said between quotes in its banner.
    fn said(&self, what: &str) -> &str {
        let line = self.output.lines().find(|line| line.contains(what)).unwrap();
        line.split('\'').nth(1).unwrap()
    }

    /// Forgets what has been printed, so that the next wait is for something new.
    pub(crate) fn forget(&mut self) {
        self.output.clear();
    }

    /// Waits for the end; the exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        // The pipes close when the process ends.
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.output += &(line + "\n");
        }
        assert!(Instant::now() < deadline, "still running:\n{}", self.output);
        self.child.wait().unwrap().code()
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Seconds that it has been on a processor.
    #[cfg(target_os = "linux")]
    pub(crate) fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which may hold anything, the 12th and the 13th.
        let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// Bytes of memory that it has in use, without what it has touched of its program and the libraries.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For [`Agent::start_with`]: what a shell is to do to itself first.
#[cfg(unix)]
pub(crate) fn after(what: &str) -> impl FnOnce(&mut Command) {
    let script = format!("{what}; exec \"$0\" \"$@\"");
    move |command| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
        *command = shell;
    }
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) bind: SocketAddr,
    /// As the flag takes it.
    pub(crate) rpc: String,
    running: Running,
    /// In which its socket is, if it has one.
    _directory: Option<Directory>,
}

/// A way to start an agent: [`Agent::start`] or [`Agent::start_on_socket`].
pub(crate) type Start = fn(&str, &[&str]) -> Agent;

impl Agent {
    /// Starts an agent on free ports of 127.0.0.1 and waits until it is up.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1", name, arguments)
    }

    /// The same on another loopback address.
    pub(crate) fn start_at(ip: &str, name: &str, arguments: &[&str]) -> Self {
        Self::start_with(|_| {}, ip, name, arguments)
    }

    /// The same, with its RPC at a Unix socket.
    #[cfg(unix)]
    pub(crate) fn start_on_socket(name: &str, arguments: &[&str]) -> Self {
        let directory = Directory::new("socket");
        let rpc = format!("-rpc-addr=unix:{}", directory.path().join("rpc").display());
        let agent = Self::start(name, &[&[&*rpc], arguments].concat());
        Self { _directory: Some(directory), ..agent }
    }

    /// The same, with a say in how the process is started.
    pub(crate) fn start_with(how: impl FnOnce(&mut Command), ip: &str, name: &str, arguments: &[&str]) -> Self {
        let all = ["agent", "-profile=local", "-node", name, &format!("-bind={ip}:0"), &format!("-rpc-addr={ip}:0")];
        let mut command = command(&all);
        command.args(arguments);
        how(&mut command);
        Self::await_banner(Running::spawn(command))
    }

    /// Starts an agent in the directory that its files are in.
    pub(crate) fn start_in(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = command(&["agent", "-profile=local", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0"]);
        command.current_dir(directory).args(arguments);
        Self::await_banner(Running::spawn(command))
    }

    fn await_banner(mut running: Running) -> Self {
        running.wait_for("Log data will now stream in");
        let name = running.said("Node name").to_owned();
        let (bind, rpc) = (running.said("Bind addr").parse().unwrap(), running.said("RPC addr").to_owned());
        Self { name, bind, rpc, running, _directory: None }
    }

    /// An address that it has said.
    pub(crate) fn banner(&self, what: &str) -> SocketAddr {
        self.said(what).trim_start_matches("http://").trim_end_matches("/metrics").parse().unwrap()
    }

    /// Runs a command against this agent.
    pub(crate) fn swim(&self, name: &str, arguments: &[&str]) -> Finished {
        let rpc = format!("-rpc-addr={}", self.rpc);
        swim(&[&[name, &rpc], arguments].concat())
    }

    /// Asks for the members until `enough` is content with the answer.
    pub(crate) fn members_until(&self, enough: impl Fn(&str) -> bool) -> String {
        self.swim_until("members", &[], |members| enough(&members.stdout)).stdout
    }

    /// Runs a command against this agent until `enough` is content with what comes of it.
    fn swim_until(&self, name: &str, arguments: &[&str], enough: impl Fn(&Finished) -> bool) -> Finished {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let finished = self.swim(name, arguments);
            if enough(&finished) {
                return finished;
            }
            assert!(Instant::now() < deadline, "{name} stays:\n{finished:?}\nlog:\n{}", self.output);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Does `again` until a line contains `text`. With the local profile's two transmissions, both of an update may go to
    /// the same one of two others, and the other never hears of it, by the protocol: who wants to be heard asks again.
    pub(crate) fn wait_for_asking(&mut self, text: &str, again: impl Fn()) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            again();
            if self.is_said_within(ASK_AGAIN.min(deadline.saturating_duration_since(Instant::now())), text) {
                return;
            }
            assert!(Instant::now() < deadline, "no {text:?} in:\n{}", self.output);
        }
    }

    /// Waits until it has measured how far `other` is.
    pub(crate) fn rtt_known(&self, other: &str) {
        self.swim_until("rtt", &[other], |rtt| rtt.code == Some(0));
    }

    /// Waits until what it had to say about joins and leaves is said.
    pub(crate) fn intents_sent(&self) {
        self.swim_until("info", &[], |info| info.stdout.lines().any(|line| line.trim() == "intent_queue = 0"));
    }
}

impl Deref for Agent {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl DerefMut for Agent {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.running
    }
}

/// A directory that goes when dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("swim-agent-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A raw RPC connection. Values are shown as JSON; bytes as `{"hex": ".."}`.
pub(crate) struct Raw {
    stream: BufReader<Socket>,
}

impl Raw {
    pub(crate) fn connect(agent: &Agent) -> Self {
        let stream = dial(&agent.rpc);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Connects and shakes hands.
    pub(crate) fn shaken(agent: &Agent) -> Self {
        let mut raw = Self::connect(agent);
        raw.send(b"\x82\xa7Command\xa9handshake\xa3Seq\x00\x81\xa7Version\x01");
        assert_eq!(raw.read().unwrap()["Error"], "");
        raw
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The agent may have closed already; what it answered is still to be read.
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Sends until the agent stops reading.
    pub(crate) fn send_what_fits(&mut self, mut bytes: &[u8]) {
        self.stream.get_mut().set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while let Ok(sent @ 1..) = self.stream.get_mut().write(bytes) {
            bytes = &bytes[sent..];
        }
    }

    /// Another hand on the same connection, to send with.
    pub(crate) fn writer(&self) -> Socket {
        self.stream.get_ref().try_clone().unwrap()
    }

    /// The next value, or `None` when the agent has closed.
    pub(crate) fn read(&mut self) -> Option<Value> {
        decode(&mut self.stream)
    }

    /// Whether nothing comes for so long.
    pub(crate) fn is_silent(&mut self, time: Duration) -> bool {
        self.stream.get_mut().set_read_timeout(Some(time)).unwrap();
        let silent = self.stream.fill_buf().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.stream.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }
}

/// Connects to an agent.
pub(crate) fn dial(rpc: &str) -> Socket {
    #[cfg(unix)]
    if let Some(path) = rpc.strip_prefix("unix:") {
        return UnixStream::connect(path).unwrap().into();
    }
    TcpStream::connect(rpc).unwrap().into()
}

/// The next value; `None` at the end.
pub(crate) fn decode(from: &mut impl Read) -> Option<Value> {
    let [marker] = take(from)?;
    Some(match marker {
        0x00..=0x7f => marker.into(),
        0x80..=0x8f => map(from, usize::from(marker & 0x0f))?,
        0x90..=0x9f => list(from, usize::from(marker & 0x0f))?,
        0xa0..=0xbf => text(from, usize::from(marker & 0x1f))?,
        0xc0 => Value::Null,
        0xc2 | 0xc3 => (marker == 0xc3).into(),
        0xc4 => number::<1>(from).and_then(|len| binary(from, len))?,
        0xc5 => number::<2>(from).and_then(|len| binary(from, len))?,
        0xcb => f64::from_be_bytes(take(from)?).into(),
        0xcc => number::<1>(from)?.into(),
        0xcd => number::<2>(from)?.into(),
        0xce => number::<4>(from)?.into(),
        0xcf => number::<8>(from)?.into(),
        0xd9 => number::<1>(from).and_then(|len| text(from, len))?,
        0xda => number::<2>(from).and_then(|len| text(from, len))?,
        0xdc => number::<2>(from).and_then(|len| list(from, len))?,
        0xde => number::<2>(from).and_then(|len| map(from, len))?,
        _ => panic!("an agent does not send marker {marker:02x}"),
    })
}

fn take<const N: usize>(from: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    match from.read_exact(&mut bytes) {
        Ok(()) => Some(bytes),
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer"),
        Err(_) => None,
    }
}

fn number<const N: usize>(from: &mut impl Read) -> Option<usize> {
    Some(take::<N>(from)?.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

fn bytes(from: &mut impl Read, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes).ok().map(|()| bytes)
}

fn binary(from: &mut impl Read, len: usize) -> Option<Value> {
    let hex: String = bytes(from, len)?.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(serde_json::json!({ "hex": hex }))
}

fn text(from: &mut impl Read, len: usize) -> Option<Value> {
    Some(String::from_utf8(bytes(from, len)?).unwrap().into())
}

fn list(from: &mut impl Read, len: usize) -> Option<Value> {
    (0..len).map(|_| decode(from)).collect::<Option<Vec<_>>>().map(Value::Array)
}

fn map(from: &mut impl Read, len: usize) -> Option<Value> {
    let mut map = Map::new();
    for _ in 0..len {
        let Value::String(key) = decode(from)? else { panic!("a key is not a string") };
        let value = decode(from)?;
        assert!(map.insert(key.clone(), value).is_none(), "{key} is there twice");
    }
    Some(Value::Object(map))
}

pub(crate) fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
