//! A cluster in two halves, and how long after the heal all know each other again.

use core::time::Duration;

use swim_core::Instant;

use super::baselines::Mode;
use super::results::{Axis, Chart, Results, Series, Style, Table, row};
use super::statistics::{mean, sorted};
use super::{Options, jobs};
use crate::network::Latency;
use crate::test_net::TestNet;

/// What one run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Seconds from the heal until everybody held everybody to be alive; `None`: not within [`BOUND`].
    pub healed: Option<f64>,
    /// Part of all pairs that hold each other to be alive, each 100 ms after the heal.
    pub alive: Vec<f64>,
    /// Datagrams sent per member from the heal until then.
    pub datagrams: f64,
}

/// Splits `members` for so long, the first `part` of them from the rest.
pub fn play(mode: Mode, members: usize, part: f64, split: Duration, seed: u64) -> Outcome {
    let mut net = TestNet::preset(members, seed, mode.preset(), |config| config.wire.compression = false).converged();
    net.set_latency(Latency::Uniform(Duration::from_micros(250), Duration::from_micros(450)));
    net.world_mut().set_digesting(false);
    let names = net.names();
    let (here, there) = names.split_at(((members as f64 * part) as usize).clamp(1, members - 1));
    let (here, there): (Vec<&str>, Vec<&str>) =
        (here.iter().map(String::as_str).collect(), there.iter().map(String::as_str).collect());
    net.partition(&[&here, &there]);
    net.world_mut().run_for(split);
    net.heal();
    let (start, before) = (net.now(), net.world().datagrams_sent());
    let mut alive = Vec::new();
    let mut healed = None;
    while healed.is_none() && net.now() - start < BOUND {
        net.world_mut().run_for(LOOK_EVERY);
        let part = pairs_alive(&net, &names);
        alive.push(part);
        if part >= 1.0 {
            healed = Some(since(start, net.now()));
        }
    }
    let datagrams = (net.world().datagrams_sent() - before) as f64 / members as f64;
    Outcome { healed, alive, datagrams }
}

fn pairs_alive(net: &TestNet, names: &[String]) -> f64 {
    let known: usize = names
        .iter()
        .map(|name| {
            let summary = net[name.as_str()].summary();
            summary.members - summary.failed - summary.left
        })
        .sum();
    known as f64 / (names.len() * names.len()) as f64
}

fn since(start: Instant, now: Instant) -> f64 {
    (now - start).as_secs_f64()
}

/// `swim-sim run partition`
pub fn run(options: &Options) -> Results {
    let mut results = Results::new("partition", options);
    let runs = options.runs(10);
    results.set("one way", "uniform, 0.25 to 0.45 ms");
    results.set("runs per row", runs);
    let mut table = Table::new(
        "From the heal until all hold all to be alive, seconds",
        &["configuration", "members", "split", "for, s", "mean", "worst", "not within 600 s", "datagrams/member"],
    );
    let mut series = Vec::new();
    for members in options.sizes(&[128]) {
        for (what, part) in [("50/50", 0.5), ("90/10", 0.9), ("one alone", 1.0)] {
            for split in [60, 300] {
                for mode in options.modes(&[Mode::Memberlist, Mode::Ours]) {
                    let outcomes = jobs::run_all(options, runs, &format!("{what}, {split} s, {mode}"), |run| {
                        let seed = options.seed_of("partition", run);
                        play(mode, members, part, Duration::from_secs(split), seed)
                    });
                    let times = sorted(outcomes.iter().filter_map(|one| one.healed).collect());
                    table.push(row![
                        mode.to_string(),
                        members,
                        what,
                        split,
                        (!times.is_empty()).then(|| mean(&times)),
                        times.last().copied(),
                        runs - times.len(),
                        mean(&outcomes.iter().map(|one| one.datagrams).collect::<Vec<_>>()),
                    ]);
                    if split == 300 {
                        let longest = outcomes.iter().map(|one| one.alive.len()).max().unwrap_or_default();
                        let at = |step: usize| {
                            let parts = outcomes.iter().map(|one| one.alive.get(step).copied().unwrap_or(1.0));
                            100.0 * mean(&parts.collect::<Vec<_>>())
                        };
                        let points = (0..longest).map(|step| ((step + 1) as f64 * LOOK_EVERY.as_secs_f64(), at(step)));
                        series.push(Series::new(format!("{mode}, {what}"), Style::Line, points.collect()));
                    }
                }
            }
        }
    }
    results.tables.push(table);
    results.charts.push(Chart {
        title: "After the heal of a split of 300 s".into(),
        caption:
            "Of all pairs, how many hold each other to be alive, on average over the runs, from the moment at which \
                  the network is whole again. The sides have declared each other failed long before. No paper has such \
                  figures; memberlist with Serf's rule of reconnecting, one try each 30 s, is what is to be beaten."
                .into(),
        x: Axis::logarithmic("seconds since the heal"),
        y: Axis::linear("pairs that hold each other to be alive, %"),
        series,
    });
    results
}

/// After so long nobody waits any more.
pub const BOUND: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(100);
