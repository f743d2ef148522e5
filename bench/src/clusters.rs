//! What whole clusters cost and come to, in simulation.

use core::time::Duration;

use crate::alloc::uncounted;
use crate::cluster::{Cluster, Simulated};
use crate::foca::{self, Named, Short};
use crate::samples::{Samples, cpu_time};
use crate::table::Peer::{self, Chitchat, FocaNamed, FocaShort};
use crate::table::Target::{AtLeast, AtMost};
use crate::table::{Cell, Line};
use crate::{chitchat, ours};

const FORMING_TIME: &str = "all started at once: virtual seconds until all agree";
const FORMING_EFFORT: &str = "the same: seconds on a processor";
const FORMING: &str = "node-seconds per CPU second, forming";
const QUIET: &str = "node-seconds per CPU second, quiet";

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Clusters under each loss.
    pub(crate) runs: u64,
    /// For how long each, in virtual time.
    pub(crate) lossy: Duration,
    /// For how long, on a processor, a quiet cluster is watched.
    pub(crate) quiet: Duration,
}

/// Speed of the simulation.
struct Speed {
    agreed_after: Cell,
    effort_of_forming: Cell,
    forming: Cell,
    quiet: Cell,
}

fn speed<C: Cluster>(members: usize, effort: Effort) -> Speed {
    let began = cpu_time();
    let mut cluster = C::start(members, 1);
    while !cluster.agrees() && cluster.now() < FORMING_MAX && cpu_time() - began < PATIENCE {
        cluster.run_for(STEP);
    }
    let cpu = (cpu_time() - began).as_secs_f64();
    let virtual_seconds = cluster.now().as_secs_f64();
    let agreed_after = if cluster.agrees() {
        Cell::from(Samples::one(virtual_seconds))
    } else if cluster.now() >= FORMING_MAX {
        Cell::Said(format!("not within {virtual_seconds:.0}"))
    } else {
        Cell::Said(format!("{virtual_seconds:.0} passed in {:.0} s", PATIENCE.as_secs()))
    };
    let effort_of_forming = Cell::from(Samples::one(cpu));
    let forming = Cell::from(Samples::one(members as f64 * virtual_seconds / cpu));
    if cpu_time() - began >= PATIENCE {
        return Speed { agreed_after, effort_of_forming, forming, quiet: Cell::Said("not finished".into()) };
    }
    // What is left of the beginning dies down.
    cluster.run_for(SETTLING);
    let mut samples = Samples::default();
    let began = cpu_time();
    while cpu_time() - began < effort.quiet {
        let (before, slice) = (cluster.now(), cpu_time());
        while cpu_time() - slice < effort.quiet / 9 {
            cluster.run_for(Duration::from_secs(1));
        }
        let passed = (cluster.now() - before).as_secs_f64();
        samples.push(members as f64 * passed / (cpu_time() - slice).as_secs_f64());
    }
    Speed { agreed_after, effort_of_forming, forming, quiet: samples.into() }
}

/// How fast clusters of these sizes can be simulated. A cluster's memory grows with the square of its size.
pub(crate) fn speeds(members: &[usize], effort: Effort) -> Vec<Line> {
    let mut figures = [const { Vec::new() }; 4];
    for &size in members.iter().filter(|size| **size <= 1000) {
        eprintln!("clusters of {size}");
        let target = if size <= 100 { AtLeast(1e6) } else { AtLeast(0.7e6) };
        let mut lines = [
            Line::new(FORMING_TIME, size, None),
            Line::new(FORMING_EFFORT, size, None),
            Line::new(FORMING, size, None),
            Line::new(QUIET, size, Some(target)),
        ];
        let mut add = |peer: Peer, speed: Speed| {
            let cells = [speed.agreed_after, speed.effort_of_forming, speed.forming, speed.quiet];
            for (line, cell) in lines.iter_mut().zip(cells) {
                *line = line.clone().with(peer, cell);
            }
        };
        uncounted(|| {
            add(FocaNamed, speed::<Simulated<foca::Simulated<Named>>>(size, effort));
            add(FocaShort, speed::<Simulated<foca::Simulated<Short>>>(size, effort));
            if size <= CHITCHAT_MAX {
                add(Chitchat, speed::<chitchat::Simulated>(size, effort));
            }
            add(Peer::Ours, speed::<Simulated<ours::Simulated>>(size, effort));
        });
        figures.iter_mut().zip(lines).for_each(|(of_one, line)| of_one.push(line));
    }
    figures.concat()
}

/// False failures, all runs together, and bytes per node and second in each.
fn lossy<C: Cluster>(loss: f64, effort: Effort) -> (Samples, Samples) {
    let (mut failures, mut bytes) = (0, Samples::default());
    for run in 0..effort.runs {
        let mut cluster = C::start(LOSSY_MEMBERS, 100 + run);
        while !cluster.agrees() && cluster.now() < FORMING_MAX {
            cluster.run_for(STEP);
        }
        cluster.run_for(SETTLING);
        cluster.set_loss(loss);
        let before = (cluster.failures(), cluster.bytes());
        cluster.run_for(effort.lossy);
        failures += cluster.failures() - before.0;
        let sent = cluster.bytes() - before.1;
        bytes.push(sent as f64 / effort.lossy.as_secs_f64() / LOSSY_MEMBERS as f64);
    }
    (Samples::one(failures as f64), bytes)
}

/// The same cluster under loss.
pub(crate) fn losses(effort: Effort) -> Vec<Line> {
    let (mut failures, mut bytes) = (Vec::new(), Vec::new());
    for percent in [5_u32, 20, 40] {
        eprintln!("{percent} % loss");
        let loss = f64::from(percent) / 100.0;
        let time = effort.lossy.as_secs();
        let mut lines = [
            Line::new(
                format!("{percent} % loss: false failures in {} × {time} s", effort.runs),
                LOSSY_MEMBERS,
                Some(AtMost(0.0)),
            ),
            Line::new(format!("{percent} % loss: B/s sent per node"), LOSSY_MEMBERS, Some(AtMost(500.0))),
        ];
        let mut add = |peer: Peer, cells: (Cell, Cell)| {
            for (line, cell) in lines.iter_mut().zip([cells.0, cells.1]) {
                *line = line.clone().with(peer, cell);
            }
        };
        let both = |(failed, sent): (Samples, Samples)| (failed.into(), sent.into());
        uncounted(|| {
            add(FocaNamed, both(lossy::<Simulated<foca::Simulated<Named>>>(loss, effort)));
            add(FocaShort, both(lossy::<Simulated<foca::Simulated<Short>>>(loss, effort)));
            let (failed, sent) = lossy::<chitchat::Simulated>(loss, Effort { runs: 1, ..effort });
            let failed = failed.median().unwrap_or_default();
            add(Chitchat, (Cell::Said(format!("{failed:.0} in one")), sent.into()));
            add(Peer::Ours, both(lossy::<Simulated<ours::Simulated>>(loss, effort)));
        });
        let [failed, sent] = lines;
        failures.push(failed);
        bytes.push(sent);
    }
    [failures, bytes].concat()
}

/// Nobody has found everybody by then: it is told so, and the measurement goes on with who there is.
const FORMING_MAX: Duration = Duration::from_secs(120);

/// On a processor.
const PATIENCE: Duration = Duration::from_secs(60);

const STEP: Duration = Duration::from_millis(100);

const SETTLING: Duration = Duration::from_secs(60);

const LOSSY_MEMBERS: usize = 100;

/// Its nodes send each other all they know of all: a virtual second of 1000 takes a minute, and gigabytes.
const CHITCHAT_MAX: usize = 100;
