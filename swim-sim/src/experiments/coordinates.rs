//! Network coordinates on the five truth matrices of Serf's own tests (`coordinate/phantom.go`): how far the estimated
//! round trips are off after so many probes.
//!
//! Real nodes probe each other, as always, over links that take what the matrix says. A cycle is one probe of each.

use core::net::SocketAddr;
use core::time::Duration;

use swim_core::Config;

use super::results::{Axis, Chart, Results, Series, Style, Table, row};
use super::statistics::{mean, quantile, sorted};
use super::{Options, jobs};
use crate::network::Latency;
use crate::rng::Rng;
use crate::world::{HostId, World};

/// Round trips between all pairs.
type Truth = Vec<Vec<Duration>>;

/// One of Serf's cases, and what its tests allow.
struct Case {
    name: &'static str,
    nodes: usize,
    truth: fn(&mut Rng, usize) -> Truth,
    average: f64,
    worst: f64,
}

const CASES: [Case; 5] = [
    Case { name: "line, 10 ms apart", nodes: 10, truth: line, average: 0.0031, worst: 0.0130 },
    Case { name: "grid, 10 ms", nodes: 25, truth: grid, average: 0.0016, worst: 0.0230 },
    Case { name: "two sites, 1 ms and 11 ms", nodes: 25, truth: split, average: 0.000_060, worst: 0.000_48 },
    Case { name: "circle of 100 ms, raised centre", nodes: 25, truth: circle, average: 0.0028, worst: 0.064 },
    Case { name: "random, 100 ± 10 ms", nodes: 25, truth: random, average: 0.075, worst: 0.33 },
];

fn matrix(nodes: usize, mut round_trip: impl FnMut(usize, usize) -> f64) -> Truth {
    let mut truth = vec![vec![Duration::ZERO; nodes]; nodes];
    for (a, b) in pairs(nodes) {
        let time = Duration::from_secs_f64(round_trip(a, b).max(0.0));
        (truth[a][b], truth[b][a]) = (time, time);
    }
    truth
}

/// Each pair once.
fn pairs(nodes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..nodes).flat_map(move |a| (a + 1..nodes).map(move |b| (a, b)))
}

fn line(_: &mut Rng, nodes: usize) -> Truth {
    matrix(nodes, |a, b| 0.010 * (b - a) as f64)
}

fn grid(_: &mut Rng, nodes: usize) -> Truth {
    let side = nodes.isqrt();
    let place = |n: usize| ((n % side) as f64, (n / side) as f64);
    matrix(nodes, |a, b| 0.010 * distance(place(a), place(b)))
}

fn split(_: &mut Rng, nodes: usize) -> Truth {
    let here = |n: usize| n <= nodes / 2;
    matrix(nodes, |a, b| if here(a) == here(b) { 0.001 } else { 0.011 })
}

/// The first lies in the middle, and above all others.
fn circle(_: &mut Rng, nodes: usize) -> Truth {
    let place = |n: usize| {
        let angle = core::f64::consts::TAU * n as f64 / nodes as f64;
        (angle.cos(), angle.sin())
    };
    matrix(nodes, |a, b| if a == 0 { 0.200 } else { 0.100 * distance(place(a), place(b)) })
}

/// No triangle inequality holds.
fn random(rng: &mut Rng, nodes: usize) -> Truth {
    matrix(nodes, |_, _| {
        let mut unit = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let (radius, angle) = ((-2.0 * (1.0 - unit()).ln()).sqrt(), core::f64::consts::TAU * unit());
        0.100 + 0.010 * radius * angle.cos()
    })
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// Lets nodes probe each other, and says after each of these cycles how far their estimates are off: on average and at
/// worst, relative to the truth.
fn play(case: &Case, seed: u64, cycles: &[u64]) -> Vec<(f64, f64)> {
    let truth = (case.truth)(&mut Rng::new(seed), case.nodes);
    let mut world = World::new(seed, Latency::Constant(Duration::from_micros(100)));
    let address = |n: usize| SocketAddr::from(([10, 0, 0, n as u8 + 1], 7946));
    for (a, b) in pairs(case.nodes) {
        for (from, to) in [(a, b), (b, a)] {
            let latency = Latency::Constant(truth[a][b] / 2);
            world.network_mut().link_mut(address(from), address(to)).latency = latency;
        }
    }
    let hosts: Vec<HostId> = (0..case.nodes)
        .map(|n| {
            let config = Config::lan(format!("n{n}").as_str(), address(n));
            world.start(config).expect("a valid configuration")
        })
        .collect();
    for host in &hosts[1..] {
        world.join(*host, &[address(0)], false);
    }
    // All know each other before the first cycle counts.
    world.run_for(Duration::from_secs(5));
    let start = world.now();
    cycles
        .iter()
        .map(|cycle| {
            world.run_to(start + Duration::from_secs(*cycle));
            let coordinates: Vec<_> = hosts
                .iter()
                .enumerate()
                .map(|(n, host)| world.node(*host).and_then(|node| node.coordinate(format!("n{n}").as_bytes())))
                .collect();
            let mut errors = Vec::new();
            for (a, b) in pairs(case.nodes) {
                let (Some(here), Some(there)) = (&coordinates[a], &coordinates[b]) else { continue };
                let (estimate, actual) = (here.distance_to(there).as_secs_f64(), truth[a][b].as_secs_f64());
                errors.push((estimate - actual).abs() / actual);
            }
            (mean(&errors), errors.iter().copied().fold(0.0, f64::max))
        })
        .collect()
}

/// `swim-sim run coordinates`
pub fn run(options: &Options) -> Results {
    let mut results = Results::new("coordinates", options);
    results.set("cycles", "1 000 probes of each member, one a second; a target is drawn from a shuffled round");
    let runs = options.runs(50);
    results.set("runs per case", runs);
    let mut table = Table::new(
        "Relative error of estimated round trips after 1 000 cycles: medians over the runs",
        &[
            "case",
            "members",
            "average",
            "worst run",
            "Serf allows",
            "maximum",
            "worst run ",
            "Serf allows ",
            "average after 500",
        ],
    );
    let cycles: Vec<u64> = (1..=40).map(|step| step * 25).collect();
    let mut series = Vec::new();
    for case in &CASES {
        let outcomes =
            jobs::run_all(options, runs, case.name, |run| play(case, options.seed_of("coordinates", run), &cycles));
        let at =
            |index: usize, pick: fn(&(f64, f64)) -> f64| sorted(outcomes.iter().map(|one| pick(&one[index])).collect());
        let (last, half) = (cycles.len() - 1, cycles.len() / 2 - 1);
        let (averages, maxima) = (at(last, |one| one.0), at(last, |one| one.1));
        let median = |values: &[f64]| quantile(values, 0.5);
        table.push(row![
            case.name,
            case.nodes,
            median(&averages),
            averages.last().copied(),
            case.average,
            median(&maxima),
            maxima.last().copied(),
            case.worst,
            median(&at(half, |one| one.0)),
        ]);
        let (average, worst) = (median(&averages).unwrap_or_default(), median(&maxima).unwrap_or_default());
        results.gate(
            format!("{}: average and maximum within what Serf's tests allow", case.name),
            format!("{average:.2e} of {:.2e}, {worst:.2e} of {:.2e}", case.average, case.worst),
            average <= case.average && worst <= case.worst,
        );
        let points = cycles
            .iter()
            .enumerate()
            .filter_map(|(index, cycle)| Some((*cycle as f64, 100.0 * median(&at(index, |one| one.0))?)));
        series.push(Series::new(case.name, Style::Line, points.collect()));
    }
    results.tables.push(table);
    results.charts.push(Chart {
        title: "Error of estimated round trips".into(),
        caption:
            "How far the round trip that two coordinates predict is off the true one: the average over all pairs, \
                  relative to the truth, the median over the runs. A cycle is one probe of each member. Serf's own \
                  tests allow after 1 000 cycles what the table says."
                .into(),
        x: Axis::linear("cycles"),
        y: Axis::logarithmic("average relative error, %"),
        series,
    });
    results.notes.push(
        "Serf's tests draw each peer at random and have one fixed seed; here each member probes the others in shuffled \
         rounds, as it does in a cluster, and the random matrix is drawn anew for each run."
            .into(),
    );
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `coordinate/phantom_test.go` has them.
    #[test]
    fn truth_matrices() {
        let mut rng = Rng::new(1);
        let ms = |time: f64| Duration::from_secs_f64(time / 1000.0);
        let near = |a: Duration, b: Duration| a.abs_diff(b) < Duration::from_micros(1);
        let truth = line(&mut rng, 3);
        assert!(near(truth[0][2], ms(20.0)) && near(truth[2][1], ms(10.0)));
        let truth = grid(&mut rng, 4);
        assert!(near(truth[0][3], ms(10.0 * 2f64.sqrt())) && near(truth[1][0], ms(10.0)));
        let truth = split(&mut rng, 4);
        assert!(near(truth[0][2], ms(1.0)) && near(truth[0][3], ms(11.0)));
        let truth = circle(&mut rng, 5);
        assert!((1..5).all(|other| near(truth[0][other], ms(200.0))));
        assert!(near(truth[1][2], truth[3][4]) && truth[1][3] > truth[1][2]);
        let truth = random(&mut rng, 100);
        let all: Vec<f64> = pairs(100).map(|(a, b)| truth[a][b].as_secs_f64()).collect();
        let average = mean(&all);
        let deviation = (mean(&all.iter().map(|time| (time - average).powi(2)).collect::<Vec<_>>())).sqrt();
        assert!((0.099..0.101).contains(&average) && (0.0095..0.0105).contains(&deviation), "{average} {deviation}");
    }
}
