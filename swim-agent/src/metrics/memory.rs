//! The last minute of measurements, to be looked at when something is wrong: intervals of ten seconds, as Serf's
//! in-memory sink keeps them (go-metrics: `inmem.go`).

use core::fmt::Write as _;
use std::collections::{BTreeMap, VecDeque};

use jiff::{Timestamp, Zoned};

/// What a measurement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
    /// One of many values whose distribution is of interest: a duration in milliseconds, a size.
    Sample,
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    intervals: VecDeque<Interval>,
}

#[derive(Debug)]
struct Interval {
    /// In seconds; a multiple of its length.
    start: i64,
    gauges: BTreeMap<String, f64>,
    counters: BTreeMap<String, Aggregate>,
    samples: BTreeMap<String, Aggregate>,
}

/// Many values under one name.
#[derive(Clone, Copy, Debug)]
struct Aggregate {
    count: u64,
    sum: f64,
    sum_of_squares: f64,
    min: f64,
    max: f64,
    updated: Timestamp,
}

impl Memory {
    /// Enters `value`, as often as `times` says.
    pub(crate) fn add(&mut self, now: Timestamp, kind: Kind, name: &str, value: f64, times: u64) {
        let start = now.as_second().div_euclid(INTERVAL_SECS) * INTERVAL_SECS;
        // A clock that was set back goes on in the interval that it left.
        if self.intervals.back().is_none_or(|last| last.start < start) {
            if self.intervals.len() == INTERVALS_MAX {
                self.intervals.pop_front();
            }
            let (gauges, counters, samples) = Default::default();
            self.intervals.push_back(Interval { start, gauges, counters, samples });
        }
        let Some(interval) = self.intervals.back_mut() else { return };
        match kind {
            Kind::Gauge => insert(&mut interval.gauges, name, value),
            Kind::Counter => Aggregate::enter(&mut interval.counters, now, name, value, times),
            Kind::Sample => Aggregate::enter(&mut interval.samples, now, name, value, times),
        }
    }

    /// All of it, for a person: the interval that still runs too, unlike in Serf.
    ///
    /// `started` is what `m=+` counts from.
    pub(crate) fn dump(&self, started: &Zoned) -> String {
        let zone = started.time_zone();
        let mut text = String::new();
        for Interval { start, gauges, counters, samples } in &self.intervals {
            let start = Timestamp::from_second(*start).unwrap_or_default().to_zoned(zone.clone());
            let start = start.strftime("%Y-%m-%d %H:%M:%S %z %Z");
            // Writing to a string cannot fail.
            for (name, value) in gauges {
                let _ = writeln!(text, "[{start}][G] '{name}': {value:.3}");
            }
            for (letter, aggregates) in [('C', counters), ('S', samples)] {
                for (name, aggregate) in aggregates {
                    let _ = writeln!(text, "[{start}][{letter}] '{name}': {}", aggregate.describe(started));
                }
            }
        }
        text
    }
}

impl Aggregate {
    fn enter(all: &mut BTreeMap<String, Self>, now: Timestamp, name: &str, value: f64, times: u64) {
        let (sum, sum_of_squares) = (value * times as f64, value * value * times as f64);
        let Some(old) = all.get_mut(name) else {
            return insert(all, name, Self { count: times, sum, sum_of_squares, min: value, max: value, updated: now });
        };
        old.count = old.count.saturating_add(times);
        old.sum += sum;
        old.sum_of_squares += sum_of_squares;
        old.min = old.min.min(value);
        old.max = old.max.max(value);
        old.updated = now;
    }

    fn deviation(&self) -> f64 {
        let count = self.count as f64;
        if self.count < 2 {
            return 0.0;
        }
        ((count * self.sum_of_squares - self.sum * self.sum) / (count * (count - 1.0))).max(0.0).sqrt()
    }

    fn describe(&self, started: &Zoned) -> String {
        let Self { count, sum, min, max, updated, .. } = self;
        let since = updated.duration_since(started.timestamp()).as_secs_f64();
        let updated = updated.to_zoned(started.time_zone().clone());
        let updated = updated.strftime("%Y-%m-%d %H:%M:%S%.f %z %Z");
        let deviation = self.deviation();
        let spread = if deviation > 0.0 {
            let mean = sum / *count as f64;
            format!("Min: {min:.3} Mean: {mean:.3} Max: {max:.3} Stddev: {deviation:.3} ")
        } else {
            String::new()
        };
        format!("Count: {count} {spread}Sum: {sum:.3} LastUpdated: {updated} m={since:+.9}")
    }
}

fn insert<T>(map: &mut BTreeMap<String, T>, name: &str, value: T) {
    if let Some(old) = map.get_mut(name) {
        *old = value;
    } else if map.len() < NAMES_MAX {
        map.insert(name.to_owned(), value);
    }
}

const INTERVAL_SECS: i64 = 10;
/// A minute, and the interval that still runs.
const INTERVALS_MAX: usize = 7;
/// Names of each kind in one interval; some have parts that come from the network.
const NAMES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_379_830 + second).unwrap()
    }

    fn started() -> Zoned {
        at(0).to_zoned(jiff::tz::TimeZone::UTC)
    }

    #[test]
    fn looks_like_serfs() {
        let mut memory = Memory::default();
        memory.add(at(1), Kind::Gauge, "serf-agent.runtime.num_goroutines", 21.0, 1);
        memory.add(at(1), Kind::Gauge, "serf-agent.runtime.num_goroutines", 22.0, 1);
        memory.add(at(2), Kind::Counter, "serf-agent.serf.member.join", 1.0, 4);
        memory.add(at(3), Kind::Counter, "serf-agent.serf.member.join", 1.0, 1);
        memory.add(at(11), Kind::Sample, "serf-agent.agent.invoke.x", 1.5, 1);
        memory.add(at(12), Kind::Sample, "serf-agent.agent.invoke.x", 2.5, 1);
        assert_eq!(
            memory.dump(&started()),
            "[2026-11-22 20:37:10 +0000 UTC][G] 'serf-agent.runtime.num_goroutines': 22.000\n\
             [2026-11-22 20:37:10 +0000 UTC][C] 'serf-agent.serf.member.join': Count: 5 Sum: 5.000 \
             LastUpdated: 2026-11-22 20:37:13 +0000 UTC m=+3.000000000\n\
             [2026-11-22 20:37:20 +0000 UTC][S] 'serf-agent.agent.invoke.x': Count: 2 Min: 1.500 Mean: 2.000 \
             Max: 2.500 Stddev: 0.707 Sum: 4.000 LastUpdated: 2026-11-22 20:37:22 +0000 UTC m=+12.000000000\n"
        );
    }

    #[test]
    fn a_minute_is_kept() {
        let mut memory = Memory::default();
        for n in 0..100 {
            memory.add(at(10 * n), Kind::Counter, "n", 1.0, 1);
        }
        memory.add(at(-100), Kind::Counter, "n", 1.0, 1);
        assert_eq!(memory.intervals.len(), INTERVALS_MAX);
        assert_eq!(memory.intervals[INTERVALS_MAX - 1].counters["n"].count, 2, "the clock was set back");
    }

    #[test]
    fn names_are_bounded() {
        let mut memory = Memory::default();
        for n in 0..=NAMES_MAX {
            for kind in [Kind::Gauge, Kind::Counter, Kind::Sample] {
                memory.add(at(0), kind, &n.to_string(), 1.0, 1);
            }
        }
        let interval = &memory.intervals[0];
        assert_eq!(
            (interval.gauges.len(), interval.counters.len(), interval.samples.len()),
            (NAMES_MAX, NAMES_MAX, NAMES_MAX)
        );
    }
}
