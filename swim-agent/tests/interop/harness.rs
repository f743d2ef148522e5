//! Agents as child processes, what they say of the cluster, and waiting for it with a deadline.

use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Instant;

use serde_json::Value;

/// The profile for members that nobody is to take for failed: half a minute goes by before that, and a query without a
/// time limit of its own has eight seconds. With the local one it is three and a half and one and a half, which a machine that
/// stalls can miss.
pub(crate) const UNHURRIED: &str = "-profile=wan";

/// Which program an agent, or a client, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HashiCorp's.
    Serf,
    /// Ours, or what `SWIM_INTEROP_BINARY` names.
    Swim,
}

impl Kind {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Serf => Self::Swim,
            Self::Swim => Self::Serf,
        }
    }

    /// Whether texts that only our own program promises can be asked for.
    pub(crate) fn is_ours(self) -> bool {
        self == Self::Swim && substitute().is_none()
    }

    fn command(self) -> Command {
        match self {
            Self::Serf => Command::new("serf"),
            Self::Swim => Command::new(substitute().unwrap_or_else(|| env!("CARGO_BIN_EXE_swim").into())),
        }
    }
}

fn signal_process(child: &Child, signal: &str) -> bool {
    let script = format!("kill -s {signal} {}", child.id());
    // The shell's own `kill`: no crate and no package is needed for it.
    Command::new("sh").args(["-c", &script]).status().is_ok_and(|status| status.success())
}

fn substitute() -> Option<PathBuf> {
    std::env::var_os("SWIM_INTEROP_BINARY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What a client program printed, and whether it was content.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
}

/// Somebody in a cluster who can be asked about it: an agent, or a member in this process.
pub(crate) trait Peer {
    fn name(&self) -> &str;
    fn bind(&self) -> SocketAddr;
    /// Whose implementation it is; its tag `kind` says so to the others.
    fn kind(&self) -> Kind;
    /// What it says of the cluster.
    fn members(&self) -> Result<Members, String>;
}

/// A running agent. Dropping it ends its process, and no other; in a failing test it prints the agent's log first.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) bind: SocketAddr,
    rpc: SocketAddr,
    args: Vec<String>,
    dir: PathBuf,
    child: Child,
}

impl Agent {
    /// Starts an agent and returns once its RPC server answers.
    ///
    /// It gets an address of its own and a tag `kind` that says which program it is; `args` come last.
    pub(crate) fn start(kind: Kind, name: &str, args: &[&str]) -> Self {
        let mut agent = Self::launch(kind, name, args);
        agent.await_rpc();
        agent
    }

    /// The same for an agent that answers only those who have a token: returns once it refuses others.
    pub(crate) fn start_guarded(kind: Kind, name: &str, args: &[&str]) -> Self {
        let agent = Self::launch(kind, name, args);
        wait_until(&format!("{} refuses on {}", agent.name, agent.rpc), secs(20), || {
            let output = agent.ask(Kind::Serf, "members", &[]);
            if output.stdout.contains("Authentication required") { Ok(()) } else { Err(output.stdout) }
        });
        agent
    }

    fn launch(kind: Kind, name: &str, args: &[&str]) -> Self {
        let ip = unused_address();
        let dir = std::env::temp_dir().join(format!("swim-interop-{ip}"));
        // Of an earlier run whose process id was the same.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("the directory for temporary files is writable");
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        let bind = SocketAddr::new(ip, 7946);
        let rpc = SocketAddr::new(ip, 7373);
        let child = spawn(kind, name, bind, rpc, &args, &dir);
        Self { kind, name: name.to_owned(), bind, rpc, args, dir, child }
    }

    /// Starts the agent again after [`kill`](Self::kill): the same name, address and arguments, an empty memory.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.kind, &self.name, self.bind, self.rpc, &self.args, &self.dir);
        self.await_rpc();
    }

    /// The same as the other program: its name, its address and its files, as when one is replaced by the other.
    pub(crate) fn restart_as(&mut self, kind: Kind) {
        self.kind = kind;
        self.restart();
    }

    /// The text of one of its files, by a path that is relative to where it runs.
    pub(crate) fn file(&self, path: &str) -> String {
        fs::read_to_string(self.dir.join(path)).unwrap_or_else(|error| panic!("{path} of {}: {error}", self.name))
    }

    /// The same, if there is one.
    pub(crate) fn try_file(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.dir.join(path)).ok()
    }

    fn await_rpc(&mut self) {
        wait_until(&format!("{} answers on {}", self.name, self.rpc), secs(20), || {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                panic!("agent {} ended at once: {status}", self.name);
            }
            self.members_by(Kind::Serf).map(drop)
        });
    }

    /// Sends a signal by name, such as `INT`.
    pub(crate) fn signal(&self, signal: &str) {
        assert!(self.try_signal(signal), "kill -s {signal} of {} failed", self.name);
    }

    fn try_signal(&self, signal: &str) -> bool {
        signal_process(&self.child, signal)
    }

    /// Ends the process without a word to anybody.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} exits", self.name);
        wait_until(&what, deadline, || {
            self.child.try_wait().expect("the child is ours").ok_or_else(|| "it still runs".to_owned())
        })
    }

    /// Runs `program command args` against this agent's RPC server.
    pub(crate) fn ask(&self, program: Kind, command: &str, args: &[&str]) -> Output {
        let output = self.client(program, command).args(args).output();
        let output = output.unwrap_or_else(|error| cannot_run(program, &error));
        Output { success: output.status.success(), stdout: String::from_utf8_lossy(&output.stdout).into_owned() }
    }

    /// Starts `serf command` against this agent's RPC server; what it prints goes to the file `path`, relative to where
    /// the agent runs.
    pub(crate) fn follow(&self, command: &str, path: &str) -> Child {
        let stdout = File::create(self.dir.join(path)).expect("the directory is ours");
        let child = self.client(Kind::Serf, command).stdout(stdout).spawn();
        child.unwrap_or_else(|error| cannot_run(Kind::Serf, &error))
    }

    /// `program command` against this agent's RPC server.
    pub(crate) fn client(&self, program: Kind, command: &str) -> Command {
        let mut client = program.command();
        client
            .arg(command)
            .arg(format!("-rpc-addr={}", self.rpc))
            .env_remove("SERF_RPC_ADDR")
            .env_remove("SERF_RPC_AUTH")
            .stdin(Stdio::null());
        client
    }

    /// Starts `program command args` against this agent's RPC server, to run on.
    pub(crate) fn watch(&self, program: Kind, command: &str, args: &[&str]) -> Watching {
        let path = self.dir.join(command);
        let output = File::create(&path).expect("the directory is ours");
        let child = program
            .command()
            .arg(command)
            .arg(format!("-rpc-addr={}", self.rpc))
            .args(args)
            .env_remove("SERF_RPC_ADDR")
            .env_remove("SERF_RPC_AUTH")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| cannot_run(program, &error));
        Watching { child, path }
    }

    /// Makes this agent join `other`, and fails the test if it cannot.
    pub(crate) fn join(&self, other: &(impl Peer + ?Sized)) {
        let output = self.ask(self.kind, "join", &[&other.bind().to_string()]);
        assert!(output.success, "{} could not join {}: {}", self.name, other.name(), output.stdout);
    }

    /// What this agent says of the cluster; both client programs must have understood the same.
    pub(crate) fn members(&self) -> Result<Members, String> {
        let theirs = self.members_by(Kind::Serf)?;
        let ours = self.members_by(Kind::Swim)?;
        if theirs == ours {
            Ok(theirs)
        } else {
            // Or the cluster has changed between the two questions: whoever waits asks again.
            Err(format!("asked of {}: serf says {theirs:?}, swim says {ours:?}", self.name))
        }
    }

    fn members_by(&self, program: Kind) -> Result<Members, String> {
        let output = self.ask(program, "members", &["-format=json"]);
        if !output.success {
            return Err(format!("{program:?} members, asked of {}: {}", self.name, output.stdout));
        }
        let value: Value = serde_json::from_str(&output.stdout)
            .map_err(|error| format!("{program:?} members: {error} in {:?}", output.stdout))?;
        Members::from_json(&value).ok_or_else(|| format!("{program:?} members: unexpected form {value}"))
    }

    /// One value of the agent's `info`, such as `("serf", "health_score")`, as both client programs report it.
    pub(crate) fn info(&self, section: &str, key: &str) -> String {
        let [theirs, ours] = [Kind::Serf, Kind::Swim].map(|program| {
            let output = self.ask(program, "info", &["-format=json"]);
            assert!(output.success, "{program:?} info, asked of {}: {}", self.name, output.stdout);
            let value: Value = serde_json::from_str(&output.stdout).expect("info prints JSON");
            value[section][key].as_str().unwrap_or_else(|| panic!("no {section}.{key} in {value}")).to_owned()
        });
        assert_eq!(theirs, ours, "serf and swim read {section}.{key} of {} differently", self.name);
        theirs
    }

    /// All that the agent has printed.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("log")).expect("the log was made at the start");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lines of the log that contain any of `words`.
    pub(crate) fn log_lines(&self, words: &[&str]) -> Vec<String> {
        let log = self.log();
        log.lines().filter(|line| words.iter().any(|word| line.contains(word))).map(str::to_owned).collect()
    }
}

impl Peer for Agent {
    fn name(&self) -> &str {
        &self.name
    }

    fn bind(&self) -> SocketAddr {
        self.bind
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn members(&self) -> Result<Members, String> {
        self.members()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let skipped = log.lines().count().saturating_sub(LOG_LINES_SHOWN);
            let mut shown = format!("--- {:?} agent {} at {}", self.kind, self.name, self.bind);
            let _ = writeln!(shown, ", its last lines ({skipped} left out):");
            for line in log.lines().skip(skipped) {
                let _ = writeln!(shown, "{line}");
            }
            eprintln!("{shown}");
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // A stopped process would keep the signal pending. What fails here, SIGKILL mends.
            self.try_signal("CONT");
            self.try_signal("TERM");
            let patience = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && patience.elapsed() < secs(2) {
                sleep(POLL_EVERY);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A client program that runs on. Dropping it ends its process.
pub(crate) struct Watching {
    child: Child,
    path: PathBuf,
}

impl Watching {
    /// Waits until it has printed `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        wait_until(&format!("{text:?} is printed"), secs(20), || {
            let printed = fs::read_to_string(&self.path).map_err(|error| error.to_string())?;
            if printed.contains(text) { Ok(()) } else { Err(printed) }
        });
    }

    /// Sends a signal by name, such as `INT`.
    pub(crate) fn signal(&self, signal: &str) {
        assert!(signal_process(&self.child, signal), "kill -s {signal} failed");
    }

    /// Waits for the process to end by itself; its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        wait_until("the client ends", secs(20), || {
            self.child.try_wait().expect("the child is ours").ok_or_else(|| "it still runs".to_owned())
        })
        .code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a member looks in `members -format=json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberRow {
    /// With the port.
    pub(crate) addr: String,
    pub(crate) port: u64,
    pub(crate) status: String,
    pub(crate) tags: BTreeMap<String, String>,
    /// Serf protocol versions: lowest, highest, spoken.
    pub(crate) protocol: [u64; 3],
}

/// The members that an agent lists, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members(pub(crate) BTreeMap<String, MemberRow>);

impl Members {
    fn from_json(value: &Value) -> Option<Self> {
        let mut members = BTreeMap::new();
        for row in value["members"].as_array()? {
            let tags = row["tags"].as_object()?.iter().map(|(key, tag)| Some((key.clone(), tag.as_str()?.to_owned())));
            let protocol = &row["protocol"];
            let row_read = MemberRow {
                addr: row["addr"].as_str()?.to_owned(),
                port: row["port"].as_u64()?,
                status: row["status"].as_str()?.to_owned(),
                tags: tags.collect::<Option<_>>()?,
                protocol: [protocol["min"].as_u64()?, protocol["max"].as_u64()?, protocol["version"].as_u64()?],
            };
            members.insert(row["name"].as_str()?.to_owned(), row_read);
        }
        Some(Self(members))
    }

    /// The status of a member; of one that is not listed, `none`.
    pub(crate) fn status(&self, name: &str) -> &str {
        self.0.get(name).map_or("none", |row| &row.status)
    }
}

/// Asks until `check` is content, and fails the test with its last complaint when `deadline` has passed.
///
/// Deadlines are given for a machine that has nothing else to do, and are three times as long for any other.
pub(crate) fn wait_until<T>(what: &str, deadline: Duration, mut check: impl FnMut() -> Result<T, String>) -> T {
    let deadline = deadline * 3;
    let start = Instant::now();
    loop {
        match check() {
            Ok(value) => return value,
            Err(complaint) if start.elapsed() > deadline => panic!("not within {deadline:?}: {what}. {complaint}"),
            Err(_) => sleep(POLL_EVERY),
        }
    }
}

/// Waits until `observer` gives `subject` this status.
pub(crate) fn wait_status(observer: &(impl Peer + ?Sized), subject: &str, status: &str, deadline: Duration) {
    wait_until(&format!("{} says that {subject} is {status}", observer.name()), deadline, || {
        let members = observer.members()?;
        if members.status(subject) == status { Ok(()) } else { Err(format!("it says {:?}", members.0)) }
    });
}

/// The same of a member that failed, for all of `observers`, where somebody must `ask` for it.
///
/// On Serf's local profile an intent is sent twice, also to the dead: about one in forty reaches nobody else, and nothing
/// repeats it; on the lan profile it is sent four times, and one in a few hundred is lost. A person would type it again
/// after a while.
pub(crate) fn wait_forced<P: Peer + ?Sized>(observers: &[&P], subject: &str, status: &str, ask: impl Fn()) {
    let mut asked = None;
    wait_until(&format!("all say that {subject} is made to be {status}"), secs(20), || {
        for observer in observers {
            let members = observer.members()?;
            if members.status(subject) != status {
                if asked.is_none_or(|at: Instant| at.elapsed() > secs(3)) {
                    ask();
                    asked = Some(Instant::now());
                }
                return Err(format!("{} says {:?}", observer.name(), members.0));
            }
        }
        Ok(())
    });
}

/// What a query is answered with; asked again if `ask` prints answers of nobody.
///
/// HashiCorp's agent reads from closed channels for a moment when a query ends, and its command prints and counts that.
pub(crate) fn answers(ask: impl Fn() -> Output) -> Output {
    let of_nobody = |output: &Output| ["from ''", "\"\""].iter().any(|nobody| output.stdout.contains(nobody));
    (0..5).map(|_| ask()).find(|output| !of_nobody(output)).expect("five times answers of nobody")
}

/// Waits until all of `peers` list each other and nobody else, alive and with the same particulars, and checks these
/// against what they were started with.
pub(crate) fn wait_whole<P: Peer + ?Sized>(peers: &[&P], deadline: Duration) {
    wait_until("all list each other, alive", deadline, || whole(peers));
}

/// The same, once.
pub(crate) fn whole<P: Peer + ?Sized>(peers: &[&P]) -> Result<(), String> {
    let mut expected = Members::default();
    for peer in peers {
        let row = MemberRow {
            addr: peer.bind().to_string(),
            port: peer.bind().port().into(),
            status: "alive".to_owned(),
            tags: BTreeMap::from([("kind".to_owned(), tag(peer.kind()).to_owned())]),
            protocol: [2, 5, 5],
        };
        expected.0.insert(peer.name().to_owned(), row);
    }
    for peer in peers {
        let found = peer.members()?;
        if found != expected {
            return Err(format!("{} says {found:?}, expected was {expected:?}", peer.name()));
        }
    }
    Ok(())
}

/// Shorter to read in a list of deadlines.
pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The value of the tag `kind`.
pub(crate) fn tag(kind: Kind) -> &'static str {
    match kind {
        Kind::Serf => "serf",
        Kind::Swim => "swim",
    }
}

fn spawn(kind: Kind, name: &str, bind: SocketAddr, rpc: SocketAddr, args: &[String], dir: &std::path::Path) -> Child {
    let log = File::options().append(true).create(true).open(dir.join("log")).expect("the directory is ours");
    let errors = log.try_clone().expect("a file can be opened twice");
    let mut command = kind.command();
    command.arg("agent");
    if kind.is_ours() {
        command.args(["--wire", "serf"]);
    }
    command
        .arg(format!("-node={name}"))
        .arg(format!("-bind={bind}"))
        .arg(format!("-rpc-addr={rpc}"))
        .arg(format!("-tag=kind={}", tag(kind)))
        .arg("-log-level=debug")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    command.spawn().unwrap_or_else(|error| cannot_run(kind, &error))
}

fn cannot_run(program: Kind, error: &std::io::Error) -> ! {
    match (program, error.kind()) {
        (Kind::Serf, ErrorKind::NotFound) => panic!(
            "these tests need HashiCorp's `serf` in the PATH, and there is none. On Debian and Ubuntu: \
             apt-get install -y serf"
        ),
        _ => panic!("cannot run {:?}: {error}", program.command().get_program()),
    }
}

/// A loopback address that no other test of this process has, nor any other process that runs these tests.
pub(crate) fn unused_address() -> IpAddr {
    static TAKEN: AtomicU8 = AtomicU8::new(0);
    let host = TAKEN.fetch_add(1, Ordering::Relaxed) + 1;
    assert!(host < 255, "more agents than the address scheme has room for");
    let process = std::process::id();
    let [net, subnet] = [2 + process % 250, process / 250 % 256].map(|part| part as u8);
    IpAddr::V4(Ipv4Addr::new(127, net, subnet, host))
}

const POLL_EVERY: Duration = Duration::from_millis(100);
const LOG_LINES_SHOWN: usize = 200;
