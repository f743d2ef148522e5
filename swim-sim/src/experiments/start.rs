//! Many members start at once and know nobody but one seed (Rapid, ATC 2018, §7.1).

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use super::baselines::Mode;
use super::results::{Axis, Chart, Results, Series, Style, Table, row};
use super::statistics::mean;
use super::{Options, jobs};
use crate::network::Latency;
use crate::world::{HostId, World};

/// What one start came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Seconds from the joiners' start until everybody knew all; `None`: not within ten minutes.
    pub complete: Option<f64>,
    /// Different sizes of the cluster that were seen, by anybody at any look.
    pub sizes: usize,
    /// Part of all members that know all, each 100 ms.
    pub knowing: Vec<f64>,
    /// Bytes that the seed sent, in terms of what the others did on average.
    pub seed_burden: f64,
}

/// Starts a seed, and 10 s later all others.
pub fn play(mode: Mode, nodes: usize, seed: u64) -> Outcome {
    let mut world = World::new(seed, Latency::Uniform(Duration::from_micros(250), Duration::from_micros(450)));
    world.set_digesting(false);
    let config = |number: usize| {
        let mut config = mode.config(&format!("node-{number:05}"), address(number));
        config.wire.compression = false;
        config
    };
    let mut hosts: Vec<HostId> = vec![world.start(config(0)).expect("a valid configuration")];
    world.run_for(Duration::from_secs(10));
    for number in 1..nodes {
        hosts.push(world.start(config(number)).expect("a valid configuration"));
        // As its driver would answer, once it asks: they go on trying.
        world.set_names(hosts[number], &[address(0)]);
        world.join(hosts[number], &[address(0)], false);
    }
    let start = world.now();
    let (mut knowing, mut sizes, mut complete) = (Vec::new(), BTreeSet::new(), None);
    while complete.is_none() && world.now() - start < BOUND {
        world.run_for(LOOK_EVERY);
        let mut know = 0;
        for host in &hosts {
            let Some(node) = world.node(*host) else { continue };
            let summary = node.summary();
            let size = summary.members - summary.failed - summary.left;
            sizes.insert(size);
            know += usize::from(size == nodes);
        }
        knowing.push(know as f64 / nodes as f64);
        if know == nodes {
            complete = Some((world.now() - start).as_secs_f64());
        }
    }
    let sent = |host: &HostId| {
        world.node(*host).map_or(0.0, |node| (node.stats().bytes_sent + node.stats().stream_bytes_sent) as f64)
    };
    let others = mean(&hosts[1..].iter().map(sent).collect::<Vec<_>>());
    Outcome { complete, sizes: sizes.len(), knowing, seed_burden: sent(&hosts[0]) / others.max(1.0) }
}

fn address(number: usize) -> SocketAddr {
    let [.., high, low] = (number + 1).to_be_bytes();
    ([10, 0, high, low], 7946).into()
}

/// `swim-sim run cold-start`
pub fn run(options: &Options) -> Results {
    let mut results = Results::new("cold-start", options);
    let runs = options.runs(3);
    results.set("one way", "uniform, 0.25 to 0.45 ms");
    results.set("runs per row", runs);
    let mut table = Table::new(
        "All but the seed start at one moment",
        &["configuration", "members", "all know all, s", "sizes seen", "seed sends, times the mean"],
    );
    let mut series = Vec::new();
    for nodes in options.sizes(&[100, 500]) {
        for mode in options.modes(&[Mode::Memberlist, Mode::Ours]) {
            let outcomes = jobs::run_all(options, runs, &format!("{nodes} members, {mode}"), |run| {
                play(mode, nodes, options.seed_of("cold-start", run))
            });
            let times: Vec<f64> = outcomes.iter().filter_map(|one| one.complete).collect();
            table.push(row![
                mode.to_string(),
                nodes,
                if times.len() == runs { format!("{:.1}", mean(&times)) } else { format!("{} of {runs}", times.len()) },
                mean(&outcomes.iter().map(|one| one.sizes as f64).collect::<Vec<_>>()),
                mean(&outcomes.iter().map(|one| one.seed_burden).collect::<Vec<_>>()),
            ]);
            let points = outcomes[0].knowing.iter().enumerate();
            let points = points.map(|(step, part)| ((step + 1) as f64 * LOOK_EVERY.as_secs_f64(), 100.0 * part));
            series.push(Series::new(format!("{mode}, {nodes}"), Style::Line, points.collect()));
        }
    }
    results.tables.push(table);
    results.charts.push(Chart {
        title: "Members that know all".into(),
        caption:
            "How many list the whole cluster, in the first run of each row. They start at one moment and know only \
                  the seed. Rapid's paper: Go memberlist took about 95 s for 2 000 members on 100 machines."
                .into(),
        x: Axis::logarithmic("seconds since the start"),
        y: Axis::linear("members, %"),
        series,
    });
    results.notes.push("Rapid's paper: Go memberlist took about 95 s for 2 000, and 1 858 sizes were seen.".into());
    results
}

const BOUND: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(100);
