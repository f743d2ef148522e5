//! What one instance costs, from 100 to 100 000 members.

use core::array;
use core::time::Duration;

use crate::alloc::{counted, uncounted};
use crate::foca::{self, Named, Short};
use crate::instance::{BATCH, Instance};
use crate::ours::Ours;
use crate::samples::{Effort, Samples, Subject, in_turns, spent};
use crate::table::Peer::{FocaNamed, FocaShort};
use crate::table::Target::AtMost;
use crate::table::{Cell, Line, Peer};

pub(crate) const KNOWN: &str = "known update, ns";
pub(crate) const FRESH: &str = "fresh update, ns";
pub(crate) const PROBE: &str = "probe round, µs";
pub(crate) const GOSSIP: &str = "gossip tick, µs";
const ALLOCATIONS: &str = "allocations per packet of known updates";
const BOTH: &str = "probe round + gossip tick, µs";
const HEAP: &str = "heap per member, B";
const JOINS: &str = "all join by gossip, ms";
const LOAD: &str = "bulk load, ms";
const LOAD_MEMORY: &str = "bulk load: memory, × its bytes";
const REPLY: &str = "join reply, µs";
const REPLY_BYTES: &str = "join reply, bytes";

/// In the order of the table, each with the name by which it is chosen.
pub(crate) const FIGURES: [(&str, &str); 12] = [
    ("known", KNOWN),
    ("fresh", FRESH),
    ("known", ALLOCATIONS),
    ("ticks", PROBE),
    ("ticks", GOSSIP),
    ("ticks", BOTH),
    ("heap", HEAP),
    ("joins", JOINS),
    ("load", LOAD),
    ("load", LOAD_MEMORY),
    ("reply", REPLY),
    ("reply", REPLY_BYTES),
];

/// A node that knows everybody, and what was last told of them.
struct Fed<I> {
    node: I,
    members: usize,
    next: usize,
    version: u32,
}

impl<I: Instance> Fed<I> {
    fn new(members: usize) -> Self {
        let mut node = joined::<I>(members, &mut packets::<I>(members));
        node.settle();
        Self { node, members, next: 0, version: 2 }
    }

    /// In which everything is new.
    fn fresh_packet(&mut self) -> Vec<u8> {
        let packet = I::packet((0..BATCH).map(|k| 1 + (self.next + k) % (self.members - 1)), self.version);
        self.next += BATCH;
        if self.next >= self.members - 1 {
            (self.next, self.version) = (0, self.version + 1);
        }
        packet
    }

    fn handle(&mut self, count: usize, mut next: impl FnMut(&mut Self) -> Vec<u8>) -> Duration {
        let mut packets: Vec<_> = (0..count).map(|_| next(self)).collect();
        let ((), took) = spent(|| packets.iter_mut().for_each(|packet| self.node.handle(packet)));
        took
    }
}

/// The packets by which all join.
fn packets<I: Instance>(members: usize) -> Vec<Vec<u8>> {
    (1..members).step_by(BATCH).map(|first| I::packet(first..members.min(first + BATCH), 1)).collect()
}

fn joined<I: Instance>(members: usize, packets: &mut [Vec<u8>]) -> I {
    let mut node = I::alone(members);
    packets.iter_mut().for_each(|packet| node.handle(packet));
    assert_eq!(node.members(), members);
    node
}

/// In which nothing is new, from all over the table, so that the caches hold what they would in life.
fn known_packets<I: Instance>(members: usize) -> Vec<Vec<u8>> {
    (0..1024).map(|n| I::packet((0..BATCH).map(|k| 1 + (n * BATCH + k) * 7919 % (members - 1)), 1)).collect()
}

fn known<I: Instance>(fed: &mut Fed<I>) -> Subject<'_> {
    let packets = known_packets::<I>(fed.members);
    let mut next = 0;
    Box::new(move |count| {
        fed.handle(count, |_| {
            next = (next + 1) % packets.len();
            packets[next].clone()
        })
    })
}

fn allocations<I: Instance>(fed: &mut Fed<I>) -> Samples {
    let mut packets = known_packets::<I>(fed.members);
    packets.iter_mut().for_each(|packet| fed.node.handle(packet));
    let mut packets = known_packets::<I>(fed.members);
    let ((), info) = counted(|| packets.iter_mut().for_each(|packet| fed.node.handle(packet)));
    Samples::one(info.count_total as f64 / packets.len() as f64)
}

fn fresh<I: Instance>(fed: &mut Fed<I>) -> Subject<'_> {
    Box::new(|count| fed.handle(count, Fed::fresh_packet))
}

/// As [`fresh`], but there is news of everybody from the beginning: what is measured is not how a queue grows.
fn fresh_of_all<I: Instance>(fed: &mut Fed<I>) -> Subject<'_> {
    fed.handle(fed.members.div_ceil(BATCH), Fed::fresh_packet);
    fresh(fed)
}

fn probe<I: Instance>(fed: &mut Fed<I>) -> Subject<'_> {
    Box::new(|count| (0..count).map(|_| fed.node.probe_round()).sum())
}

/// With news enough to fill the three packets.
fn gossip<I: Instance>(fed: &mut Fed<I>) -> Subject<'_> {
    Box::new(|count| {
        let one = |_| {
            while fed.node.news() < (4 * BATCH).min(fed.members - 1 - BATCH) {
                let mut packet = fed.fresh_packet();
                fed.node.handle(&mut packet);
            }
            fed.node.gossip_tick()
        };
        (0..count).map(one).sum()
    })
}

fn joins<'a, I: Instance + 'a>(members: usize) -> Subject<'a> {
    let packets = packets::<I>(members);
    Box::new(move |count| {
        let one = |_| {
            let mut packets = packets.clone();
            let (_node, took) = spent(|| joined::<I>(members, &mut packets));
            took
        };
        (0..count).map(one).sum()
    })
}

fn load<'a, I: Instance + 'a>(members: usize) -> Subject<'a> {
    Box::new(move |count| {
        let one = |_| {
            let (load, _) = I::prepare_load(members);
            let (node, took) = spent(|| I::load(load));
            assert_eq!(node.members(), members);
            took
        };
        (0..count).map(one).sum()
    })
}

/// The most that was held at once beyond what stays, in terms of the bytes that came.
fn load_memory<I: Instance>(members: usize) -> Option<Samples> {
    let (load, len) = I::prepare_load(members);
    let len = len?;
    let (_node, info) = counted(|| I::load(load));
    // What came was allocated before, and is given back in between.
    let held = (info.bytes_current + len as i64).max(0) as f64;
    Some(Samples::one((info.bytes_max as f64 - held) / len as f64))
}

fn reply<I: Instance>(fed: &mut Fed<I>) -> Subject<'_> {
    Box::new(|count| (0..count).map(|_| fed.node.join_reply().0).sum())
}

fn heap<I: Instance>(members: usize) -> (Fed<I>, Samples) {
    let (fed, info) = counted(|| Fed::<I>::new(members));
    (fed, Samples::one(info.bytes_current as f64 / members as f64))
}

/// What each of the three comes to, in units of so many nanoseconds.
fn turns(subjects: [Subject<'_>; 3], effort: Effort, scale: f64) -> [Option<Samples>; 3] {
    let samples = in_turns(subjects, effort);
    samples.map(|samples| Some(samples.map(|nanos| nanos * scale)))
}

/// What ours costs at each size when nobody else takes turns with it: a peer that searches its list pushes ours out of all
/// caches, and the more so the longer the list. What grows here is due to the size alone.
pub(crate) fn growth(members: &[usize], effort: Effort) -> Vec<Line> {
    let alone = |subject: Subject<'_>, scale: f64| {
        let [samples] = in_turns([subject], effort);
        Cell::from(samples.map(|nanos| nanos * scale))
    };
    let mut lines = Vec::new();
    for &size in members {
        eprintln!("{size} members, alone");
        let mut ours = Fed::<Ours>::new(size);
        let per_update = 1.0 / BATCH as f64;
        let cells = [
            (KNOWN, alone(known(&mut ours), per_update)),
            (PROBE, alone(probe(&mut ours), 1e-3)),
            (GOSSIP, alone(gossip(&mut ours), 1e-3)),
            (FRESH, alone(fresh_of_all(&mut ours), per_update)),
        ];
        let line = |(figure, cell)| (figure, Line::new(figure, size, None).with(Peer::Ours, cell));
        lines.extend(cells.map(line));
    }
    lines.sort_by_key(|(figure, _)| FIGURES.iter().position(|(_, name)| name == figure));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// The lines of the chosen figures.
pub(crate) fn run(members: &[usize], wanted: &dyn Fn(&str) -> bool, effort: Effort) -> Vec<Line> {
    let mut lines: Vec<(usize, Line)> = Vec::new();
    for &size in members {
        eprintln!("{size} members");
        let mut add = |figure: &'static str, target, [named, short, ours]: [Option<Samples>; 3]| {
            let place = FIGURES.iter().position(|(_, name)| *name == figure).expect("it is one of the figures");
            let cell = |samples: Option<Samples>| samples.map(Cell::from);
            let line = Line::new(figure, size, target).with(FocaNamed, cell(named)).with(FocaShort, cell(short));
            lines.push((place, line.with(Peer::Ours, cell(ours))));
        };
        if wanted("joins") {
            let subjects = [joins::<foca::Peer<Named>>(size), joins::<foca::Peer<Short>>(size), joins::<Ours>(size)];
            let target = (size == 100_000).then_some(AtMost(60.0));
            add(JOINS, target, turns(subjects, effort, 1e-6));
        }
        if wanted("load") {
            let subjects = [load::<foca::Peer<Named>>(size), load::<foca::Peer<Short>>(size), load::<Ours>(size)];
            let target = (size == 10_000).then_some(AtMost(5.0));
            add(LOAD, target, turns(subjects, effort, 1e-6));
            let target = (size == 10_000).then_some(AtMost(2.0));
            let memory = (load_memory::<foca::Peer<Named>>(size), load_memory::<foca::Peer<Short>>(size));
            add(LOAD_MEMORY, target, [memory.0, memory.1, load_memory::<Ours>(size)]);
        }
        if !["known", "fresh", "ticks", "heap", "reply"].into_iter().any(wanted) {
            continue;
        }
        let (mut named, named_heap) = heap::<foca::Peer<Named>>(size);
        let (mut short, short_heap) = heap::<foca::Peer<Short>>(size);
        let (mut ours, ours_heap) = heap::<Ours>(size);
        if wanted("heap") {
            let target = (size == 100_000).then_some(AtMost(180.0));
            add(HEAP, target, [Some(named_heap), Some(short_heap), Some(ours_heap)]);
        }
        // In this order: what makes news comes after what wants none.
        if wanted("known") {
            let target = if size > 10_000 { 120.0 } else { 60.0 };
            let per_update = 1.0 / BATCH as f64;
            add(
                KNOWN,
                Some(AtMost(target)),
                turns([known(&mut named), known(&mut short), known(&mut ours)], effort, per_update),
            );
            let counts = [allocations(&mut named), allocations(&mut short), allocations(&mut ours)];
            add(ALLOCATIONS, Some(AtMost(0.0)), counts.map(Some));
        }
        if wanted("ticks") {
            let probes = turns([probe(&mut named), probe(&mut short), probe(&mut ours)], effort, 1e-3);
            let ticks = turns([gossip(&mut named), gossip(&mut short), gossip(&mut ours)], effort, 1e-3);
            let both = array::from_fn(|number| Some(probes[number].as_ref()?.plus(ticks[number].as_ref()?)));
            add(PROBE, None, probes);
            add(GOSSIP, None, ticks);
            add(BOTH, Some(AtMost(1.5)), both);
        }
        if wanted("fresh") {
            let per_update = 1.0 / BATCH as f64;
            add(
                FRESH,
                Some(AtMost(250.0)),
                turns([fresh(&mut named), fresh(&mut short), fresh(&mut ours)], effort, per_update),
            );
        }
        if wanted("reply") {
            let bytes = uncounted(|| [named.node.join_reply().1, short.node.join_reply().1, ours.node.join_reply().1]);
            add(REPLY, None, turns([reply(&mut named), reply(&mut short), reply(&mut ours)], effort, 1e-3));
            add(REPLY_BYTES, None, bytes.map(|bytes| Some(Samples::one(bytes as f64))));
        }
    }
    lines.sort_by_key(|(place, _)| *place);
    lines.into_iter().map(|(_, line)| line).collect()
}
