//! What a member sends and receives when little happens, by the size of the cluster.
//!
//! Rapid's authors measured Go memberlist in a cluster of 1 000, of which 10 crashed (ATC 2018, table 2): that is the
//! known answer. Beside it stands the same without crashes, and our default.

use core::net::SocketAddr;
use core::time::Duration;

use swim_core::{Config, Instant};

use super::baselines::Mode;
use super::results::{Axis, Chart, Results, Series, Style, Table, row};
use super::statistics::{mean, quantile, sorted};
use super::{Options, jobs};
use crate::network::Latency;
use crate::rng::Rng;
use crate::world::{HostId, World};

/// One cluster.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// What is measured.
    pub mode: Mode,
    /// Members.
    pub nodes: usize,
    /// What they are called.
    pub names: Names,
    /// Members that crash a minute after the start of the measurement.
    pub crashes: usize,
    /// How long is measured.
    pub time: Duration,
    /// Of the run.
    pub seed: u64,
}

/// What members are called, and so what full exchanges carry: they are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `node-00001` and so on, of which next to nothing is left.
    Numbered,
    /// Sixteen random hexadecimal digits, of which at least eight bytes are left, as of identifiers of machines.
    Random,
}

/// Bytes per second of a member, headers of IP and UDP included; of streams, what they carry.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Of each member in each second.
    pub sent: Vec<f64>,
    /// Of each member in each second.
    pub received: Vec<f64>,
    /// Of what was sent, the part on streams.
    pub streams: f64,
    /// Datagrams sent per second, on average.
    pub datagrams: f64,
    /// Members declared failed that had not crashed.
    pub false_failures: u64,
}

/// Watches a cluster.
pub fn play(scene: &Scene) -> Traffic {
    let mut world = World::new(scene.seed, Latency::Uniform(Duration::from_micros(250), Duration::from_micros(450)));
    world.set_digesting(false);
    let mut hosts: Vec<HostId> = Vec::with_capacity(scene.nodes);
    for number in 0..scene.nodes {
        let mut config = scene.mode.config(&scene.names.of(number), address(number));
        if scene.nodes > HASTE {
            shorten(&mut config);
        }
        hosts.push(world.start(config).expect("a valid configuration"));
        if number > 0 {
            world.join(hosts[number], &[address(0)], false);
            world.run_for(Duration::from_millis(10));
        }
    }
    // Until nobody has news, and push/pulls have found their pace.
    let calm = |world: &World| {
        hosts.iter().filter_map(|host| world.node(*host)).all(|node| {
            let summary = node.summary();
            summary.update_queue + summary.intent_queue == 0 && summary.members - summary.failed == hosts.len()
        })
    };
    let deadline = world.now() + CALM_WITHIN;
    while !calm(&world) && world.now() < deadline {
        world.run_for(Duration::from_secs(1));
    }
    world.run_for(Duration::from_secs(30));
    world.forget_events();
    let crash_at = world.now() + CRASH_AFTER;
    let end = world.now() + scene.time;
    let mut traffic = Traffic::default();
    let mut before: Vec<[u64; 4]> = hosts.iter().map(|host| counters(&world, *host)).collect();
    let (mut streams, mut datagrams, mut seconds) = (0.0, 0.0, 0.0);
    let mut crashed = scene.crashes == 0;
    while world.now() < end {
        world.run_for(Duration::from_secs(1));
        if !crashed && world.now() >= crash_at {
            crashed = true;
            for host in hosts.drain(..scene.crashes) {
                world.crash(host);
            }
            before.drain(..scene.crashes);
        }
        for (host, before) in hosts.iter().zip(&mut before) {
            let now = counters(&world, *host);
            let [sent, received, stream, packets] = core::array::from_fn(|index| (now[index] - before[index]) as f64);
            traffic.sent.push(sent);
            traffic.received.push(received);
            streams += stream;
            datagrams += packets;
            seconds += 1.0;
            *before = now;
        }
    }
    traffic.streams = streams / seconds;
    traffic.datagrams = datagrams / seconds;
    traffic.false_failures = false_failures(&world, &hosts, crash_at);
    traffic
}

/// Nothing is gossiped in a calm cluster, so that how often it is repeated does not matter there; but large clusters
/// would take hours to become calm.
fn shorten(config: &mut Config) {
    config.swim.retransmit_mult = 1;
}

fn false_failures(world: &World, hosts: &[HostId], crash_at: Instant) -> u64 {
    use swim_core::Event;
    use swim_core::serf::event::MemberEvent;
    let running: std::collections::BTreeSet<SocketAddr> = hosts.iter().map(|host| world.address(*host)).collect();
    let failed = hosts.iter().flat_map(|host| world.events(*host)).filter(|(at, event)| {
        matches!(event, Event::Member { kind: MemberEvent::Failed, member }
            if *at < crash_at || running.contains(&member.address))
    });
    failed.count() as u64
}

/// Bytes sent, bytes received, of the sent those on streams, datagrams sent.
fn counters(world: &World, host: HostId) -> [u64; 4] {
    let Some(node) = world.node(host) else { return [0; 4] };
    let stats = node.stats();
    [
        stats.bytes_sent + HEADERS * stats.datagrams_sent + stats.stream_bytes_sent,
        stats.bytes_received + HEADERS * stats.datagrams_received + stats.stream_bytes_received,
        stats.stream_bytes_sent,
        stats.datagrams_sent,
    ]
}

impl Names {
    fn of(self, number: usize) -> String {
        match self {
            Self::Numbered => format!("node-{number:05}"),
            Self::Random => format!("{:016x}", Rng::new(number as u64).next_u64()),
        }
    }
}

fn address(number: usize) -> SocketAddr {
    let [.., high, low] = (number + 1).to_be_bytes();
    ([10, 0, high, low], 7946).into()
}

/// `swim-sim run idle`
pub fn run(options: &Options) -> Results {
    let mut results = Results::new("idle", options);
    let sizes = options.sizes(&[100, 1_000, 5_000]);
    results.set("one way", "uniform, 0.25 to 0.45 ms; nothing is lost");
    results.set("counted", "datagrams with 28 bytes of IP and UDP headers each, and what streams carry, without TCP's");
    results.set("metadata", "none; numbered names have ten bytes, random ones sixteen hexadecimal digits");
    // Members exchange full states each 90 s at 100, 180 s at 1 000 and 270 s at 5 000: whole periods only.
    let time = |nodes: usize| {
        let twice = if nodes <= HASTE { 360 } else { 540 };
        Duration::from_secs(if options.fraction < 1.0 { twice / 2 } else { twice })
    };
    let shown = sizes.iter().map(|nodes| format!("{} s at {nodes}", time(*nodes).as_secs())).collect::<Vec<_>>();
    results.set("measured for", shown.join(", "));
    results.set("crashes", "of one in a hundred at one moment, a minute after the start of the measurement");
    let mut table = Table::new(
        "Bytes per second and member",
        &[
            "configuration",
            "members",
            "names",
            "crashes",
            "sent, mean",
            "p99",
            "max",
            "received, mean",
            "p99 ",
            "max ",
            "sent on streams",
            "datagrams/s",
            "false failures",
        ],
    );
    let mut scenes = Vec::new();
    for nodes in &sizes {
        let seed = options.seed_of("idle", *nodes);
        let scene = |mode, crashes| {
            let names = Names::Numbered;
            Scene { mode, nodes: *nodes, names, crashes, time: time(*nodes), seed }
        };
        if *nodes <= HASTE {
            scenes.push(Scene { names: Names::Random, ..scene(Mode::Memberlist, nodes / 100) });
            scenes.push(scene(Mode::Memberlist, nodes / 100));
            scenes.push(scene(Mode::Memberlist, 0));
            scenes.push(scene(Mode::Ours, nodes / 100));
        }
        scenes.push(scene(Mode::Ours, 0));
    }
    let outcomes = jobs::run_all(options, scenes.len(), "idle", |index| play(&scenes[index]));
    let mut curves: [Vec<(f64, f64)>; 2] = Default::default();
    for (scene, traffic) in scenes.iter().zip(outcomes) {
        let (sent, received) = (mean(&traffic.sent), mean(&traffic.received));
        let (sent_sorted, received_sorted) = (sorted(traffic.sent), sorted(traffic.received));
        table.push(row![
            scene.mode.to_string(),
            scene.nodes,
            if scene.names == Names::Random { "random" } else { "numbered" },
            scene.crashes,
            sent,
            quantile(&sent_sorted, 0.99),
            sent_sorted.last().copied(),
            received,
            quantile(&received_sorted, 0.99),
            received_sorted.last().copied(),
            traffic.streams,
            traffic.datagrams,
            traffic.false_failures,
        ]);
        if scene.crashes == 0 {
            curves[usize::from(scene.mode == Mode::Ours)].push((scene.nodes as f64, sent));
        } else if (scene.mode, scene.nodes, scene.names) == (Mode::Memberlist, 1_000, Names::Random) {
            for (what, found, paper) in [("sent", sent, 640.0), ("received", received, 540.0)] {
                let off = 100.0 * (found / paper - 1.0);
                results.gate(
                    format!("memberlist at 1 000 with 10 crashes: {what} within ±30 % of {paper} B/s"),
                    format!("{found:.0} B/s ({off:+.0} %)"),
                    off.abs() <= 30.0,
                );
            }
        }
    }
    results.tables.push(table);
    let [memberlist, ours] = curves;
    results.charts.push(Chart {
        title: "Bytes against cluster size, nothing happens".into(),
        caption:
            "What one member sends per second, on average over all of them, with 28 bytes of IP and UDP headers for \
                  each datagram: its probes, and full exchanges with one other now and then. The one point of the \
                  literature is Go memberlist in Rapid's table 2, during which ten of a thousand crash."
                .into(),
        x: Axis::logarithmic("members"),
        y: Axis::linear("bytes per second sent, per member"),
        series: vec![
            Series::new("ours", Style::Points, ours),
            Series::new(Mode::Memberlist, Style::Points, memberlist),
            Series::new("memberlist in Rapid's paper, 10 crashes", Style::Marks, vec![(1_000.0, 640.0)]),
        ],
    });
    results.notes.push(
        "Rapid's table: memberlist at 1 000 with 10 crashes 0.64 kB/s sent and 0.54 received on average, p99 6.40 and \
         5.61, maximum 8.04 and 7.36. Here all that is sent is also received, but by the crashed. What its members were \
         called is not known; half of the traffic is full exchanges, which are compressed, so that it hangs on the names. \
         Numbered ones are a lower bound; random ones are compared."
            .into(),
    );
    if sizes.iter().any(|nodes| *nodes > HASTE) {
        results.notes.push(format!(
            "Above {HASTE} members an update is repeated a quarter as often while the cluster comes together, or that \
             would take most of the time; a calm cluster repeats nothing."
        ));
    }
    results
}

/// The largest cluster that comes together as it would.
const HASTE: usize = 1_500;
const CRASH_AFTER: Duration = Duration::from_secs(60);
const CALM_WITHIN: Duration = Duration::from_secs(600);
/// Of IPv4 and UDP, in bytes.
const HEADERS: u64 = 28;
