//! Nodes with sockets: so many in one process, in one thread of tokio, on loopback addresses.
//!
//! Each cluster is a process of its own, so that none pays for another's heap, in a network namespace of its own if the
//! system allows that, so that its traffic is the only one on the loopback interface.

use core::time::Duration;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::Instant;
use std::{env, fs, io};

use clap::ValueEnum;
use swim_tokio::{Cluster, Options};
use tokio::task::LocalSet;

use crate::alloc::counted;
use crate::samples::Samples;
use crate::table::Target::AtMost;
use crate::table::{self, Cell, Line, Peer, Target};
use crate::{chitchat, memberlist, scene};

/// A node on sockets.
pub(crate) trait Service: Sized + 'static {
    /// The node of this number, at its [address](scene::address), with its library's defaults.
    async fn start(number: usize) -> Self;
    /// Asks to be let in, once. Whether it was.
    async fn join(&self, seed: SocketAddr) -> bool;
    /// Members that it takes for alive, itself included.
    async fn alive(&self) -> usize;
}

/// Whose nodes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    Memberlist,
    Chitchat,
    Swim,
}

impl Service for Cluster {
    async fn start(number: usize) -> Self {
        let mut options = Options::lan(scene::name(number).as_str(), scene::address(number));
        options.config.tags = [("role", "web"), ("dc", "east")].into_iter().collect();
        Self::start(options).await.expect("each has an address of its own")
    }

    async fn join(&self, seed: SocketAddr) -> bool {
        Self::join(self, &[seed.to_string()]).await.is_ok()
    }

    async fn alive(&self) -> usize {
        let summary = self.summary();
        summary.members - summary.failed - summary.left
    }
}

/// chitchat is told its seed at the start and has no other way to join.
struct Chitchat(::chitchat::ChitchatHandle);

impl Service for Chitchat {
    async fn start(number: usize) -> Self {
        let config = chitchat::config(number, (number > 0).then_some(0));
        let node = ::chitchat::spawn_chitchat(config, chitchat::tags(), &::chitchat::transport::UdpTransport).await;
        Self(node.expect("each has an address of its own"))
    }

    async fn join(&self, _: SocketAddr) -> bool {
        true
    }

    async fn alive(&self) -> usize {
        self.0.chitchat().lock().await.live_nodes().count()
    }
}

/// Of a cluster: what is printed by the child and read by the parent.
const FIGURES: [&str; 4] =
    ["all see all, s", "heap per node, KiB", "CPU per node, % of a core", "bytes on loopback per node and second"];

fn targets(members: usize) -> [Option<Target>; 4] {
    let seconds = match members {
        10 => Some(0.4),
        50 => Some(0.5),
        100 => Some(0.6),
        _ => None,
    };
    let kibibytes = 64.0 + 180.0 * members as f64 / 1024.0;
    [seconds.map(AtMost), Some(AtMost(kibibytes)), Some(AtMost(0.03)), Some(AtMost(200.0))]
}

/// `--embedded`
pub(crate) fn run(members: &[usize], quick: bool) -> ExitCode {
    let sizes = if members.is_empty() { &[10, 50, 100][..] } else { members };
    let isolated = can_isolate();
    if !isolated {
        eprintln!("no network namespace of its own: the bytes are those of everybody on the loopback interface");
    }
    let kinds = [(Peer::Memberlist, "memberlist"), (Peer::Chitchat, "chitchat"), (Peer::Ours, "swim")];
    let mut figures: Vec<Vec<Line>> = vec![Vec::new(); FIGURES.len()];
    for &size in sizes {
        let mut samples: HashMap<(usize, Peer), Samples> = HashMap::new();
        for run in 0..if quick { 1 } else { 3 } {
            for (peer, kind) in kinds {
                eprintln!("{size} nodes of {kind}, run {run}");
                match start_child(kind, size, quick, isolated) {
                    Ok(values) => {
                        for (figure, value) in values.into_iter().enumerate() {
                            samples.entry((figure, peer)).or_default().push(value);
                        }
                    }
                    // The others go on: a run that fails has no samples.
                    Err(error) => eprintln!("{size} nodes of {kind}: {error}"),
                }
            }
        }
        for (figure, lines) in figures.iter_mut().enumerate() {
            let mut line = Line::new(FIGURES[figure], size, targets(size)[figure]);
            for (peer, _) in kinds {
                line = line.with(peer, samples.remove(&(figure, peer)).map(Cell::from));
            }
            lines.push(line);
        }
    }
    println!("{}", table::print(&figures.concat()));
    ExitCode::SUCCESS
}

/// What a child runs in, if it may: a network with nothing in it but an interface for itself.
const ISOLATE: [&str; 5] = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""];

fn can_isolate() -> bool {
    Command::new(ISOLATE[0]).args(&ISOLATE[1..]).arg("true").output().is_ok_and(|output| output.status.success())
}

fn start_child(kind: &str, members: usize, quick: bool, isolated: bool) -> io::Result<Vec<f64>> {
    let program = env::current_exe()?;
    let mut command = if isolated {
        let mut command = Command::new(ISOLATE[0]);
        command.args(&ISOLATE[1..]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(["--embedded-child", kind, "--members", &members.to_string()]);
    if quick {
        command.arg("--quick");
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let values: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if !output.status.success() || values.len() != FIGURES.len() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(values)
}

/// `--embedded-child`: one cluster, and its four figures.
pub(crate) fn child(kind: Kind, members: usize, quick: bool) -> ExitCode {
    let quiet = Duration::from_secs(if quick { 5 } else { 20 });
    let figures = match kind {
        Kind::Memberlist => measure::<memberlist::Peer>(members, quiet),
        Kind::Chitchat => measure::<Chitchat>(members, quiet),
        Kind::Swim => measure::<Cluster>(members, quiet),
    };
    match figures {
        Ok(figures) => {
            println!("{} {} {} {}", figures[0], figures[1], figures[2], figures[3]);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure<S: Service>(members: usize, quiet: Duration) -> io::Result<[f64; 4]> {
    let mut figures = Ok([0.0; 4]);
    // All happens in this thread, which is the one whose allocations are counted. Nothing of it is dropped in between.
    let (_running, info) = counted(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let local = LocalSet::new();
        let (nodes, measured) = local.block_on(&runtime, async {
            let (nodes, seconds) = form::<S>(members).await;
            let measured = match seconds {
                Some(seconds) => rest(quiet, members, seconds).await,
                None => Err(io::Error::other("they do not see each other within a minute")),
            };
            (nodes, measured)
        });
        figures = measured;
        (runtime, local, nodes)
    });
    let mut figures = figures?;
    figures[1] = info.bytes_current as f64 / members as f64 / 1024.0;
    Ok(figures)
}

/// Starts all, and waits until each sees all. How long that took, in seconds.
async fn form<S: Service>(members: usize) -> (Vec<Rc<S>>, Option<f64>) {
    let began = Instant::now();
    let mut nodes = Vec::new();
    for number in 0..members {
        let node = Rc::new(S::start(number).await);
        nodes.push(Rc::clone(&node));
        if number > 0 {
            tokio::task::spawn_local(async move {
                // A seed that is busy with the others refuses; an application asks again.
                while !node.join(scene::address(0)).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    }
    while began.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut all = true;
        for node in &nodes {
            // The first that does not is enough.
            if node.alive().await != members {
                all = false;
                break;
            }
        }
        if all {
            return (nodes, Some(began.elapsed().as_secs_f64()));
        }
    }
    (nodes, None)
}

/// Leaves them alone, and says what they cost meanwhile.
async fn rest(quiet: Duration, members: usize, seconds: f64) -> io::Result<[f64; 4]> {
    tokio::time::sleep(SETTLING).await;
    let (began, cpu, bytes) = (Instant::now(), cpu_time()?, loopback_bytes()?);
    tokio::time::sleep(quiet).await;
    let passed = began.elapsed().as_secs_f64();
    let cpu = (cpu_time()? - cpu).as_secs_f64() / passed / members as f64 * 100.0;
    let bytes = (loopback_bytes()? - bytes) as f64 / passed / members as f64;
    Ok([seconds, 0.0, cpu, bytes])
}

/// The news of the beginning is handed on for so long.
const SETTLING: Duration = Duration::from_secs(5);

/// On a processor, all threads of this process.
fn cpu_time() -> io::Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
        let on_cpu = schedstat.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        nanos += on_cpu.ok_or_else(|| io::Error::other("the kernel keeps no schedstat"))?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Received on `lo`, headers of IP, UDP and TCP included.
fn loopback_bytes() -> io::Result<u64> {
    let devices = fs::read_to_string("/proc/net/dev")?;
    let line = devices.lines().find_map(|line| line.trim_start().strip_prefix("lo:"));
    let bytes = line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse().ok());
    bytes.ok_or_else(|| io::Error::other("there is no loopback interface"))
}
