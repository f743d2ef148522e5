//! What the agent measures, and who is told: `table` says what the cluster counts and what it is called, `memory` keeps
//! the last minute for SIGUSR1, `sink` sends lines to statsd and statsite, `prometheus` and `http` answer whoever asks.
//!
//! The cluster is looked at once a second; what has been added since then is told as Serf would have told it one by
//! one. The agent's own measurements come in through [`Metrics`] as they happen.

pub(crate) mod http;
mod memory;
mod prometheus;
pub(crate) mod sink;
mod table;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{Timestamp, Zoned};
use swim_tokio::Cluster;
use tokio::runtime::Handle;
use tokio::signal::unix::Signal;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::events::Occurrence;
use memory::{Kind, Memory};
use sink::Sink;
use table::Known;

/// The agent's measurements. Clones are the same.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Shared>);

struct Shared {
    started: Zoned,
    /// In the names of gauges, once they leave this host.
    host: Option<String>,
    sinks: Vec<Sink>,
    measured: Mutex<Measured>,
}

#[derive(Default)]
struct Measured {
    memory: Memory,
    own: Own,
    /// What the cluster had counted when it was last looked at.
    last: Known,
    /// Of user events and queries: they come from the network.
    names: BTreeSet<Box<[u8]>>,
}

/// What the agent itself counts.
#[derive(Clone, Debug, Default)]
struct Own {
    clients: u64,
    commands: u64,
    /// Runs and seconds of event handlers, by what they are for. Not by their commands, which may hold secrets.
    handlers: BTreeMap<String, (u64, f64)>,
    /// Lines that found no room on their way to statsd or statsite.
    lines_dropped: u64,
}

impl Metrics {
    /// `host` is for the names of gauges, as in Serf when there are sinks.
    pub(crate) fn new(host: Option<String>, sinks: Vec<Sink>) -> Self {
        Self(Arc::new(Shared { started: Zoned::now(), host, sinks, measured: Mutex::default() }))
    }

    /// An RPC client has come.
    pub(crate) fn client(&self) {
        self.with(|measured| measured.own.clients += 1);
        self.record(Kind::Counter, "agent.ipc.accept", 1.0, 1);
    }

    /// It has asked for something.
    pub(crate) fn command(&self) {
        self.with(|measured| measured.own.commands += 1);
        self.record(Kind::Counter, "agent.ipc.command", 1.0, 1);
    }

    /// An event handler's script has run.
    pub(crate) fn invoked(&self, filter: &str, script: &str, elapsed: Duration) {
        self.with(|measured| {
            let handlers = &mut measured.own.handlers;
            if handlers.len() < HANDLERS_MAX || handlers.contains_key(filter) {
                let (runs, secs) = handlers.entry(filter.to_owned()).or_default();
                *runs += 1;
                *secs += elapsed.as_secs_f64();
            }
        });
        self.record(Kind::Sample, &format!("agent.invoke.{script}"), elapsed.as_secs_f64() * 1e3, 1);
    }

    /// An event or a query, for the counter of its name.
    pub(crate) fn occurred(&self, occurrence: &Occurrence) {
        let (group, name) = match occurrence {
            Occurrence::Members { .. } => return,
            Occurrence::User { name, .. } => ("serf.events", &**name),
            Occurrence::Query { name, .. } => ("serf.queries", name.as_bytes()),
        };
        let known = self.with(|measured| {
            let room = measured.names.len() < NAMES_MAX;
            measured.names.contains(name) || (room && measured.names.insert(name.into()))
        });
        if known {
            self.record(Kind::Counter, &format!("{group}.{}", String::from_utf8_lossy(name)), 1.0, 1);
        }
    }

    /// Follows `cluster` for as long as the task lives. A signal from `dumps` has the last minute written to standard
    /// error.
    pub(crate) async fn follow(self, cluster: Cluster, mut dumps: Signal) {
        let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 1_u64.. {
            tokio::select! {
                _ = ticks.tick() => {
                    self.look(&cluster);
                    if tick.is_multiple_of(QUEUES_EVERY) {
                        self.look_at_queues(&cluster);
                    }
                }
                Some(()) = dumps.recv() => {
                    self.look(&cluster);
                    let text = self.dump();
                    // Whoever stops reading it must not stop us.
                    let _ = tokio::task::spawn_blocking(move || std::io::stderr().write_all(text.as_bytes())).await;
                }
            }
        }
    }

    /// Everything, as Prometheus wants it.
    pub(crate) fn exposition(&self, cluster: &Cluster) -> String {
        let own = self.with(|measured| measured.own.clone());
        prometheus::text(&Known::of(cluster), &own)
    }

    fn look(&self, cluster: &Cluster) {
        let known = Known::of(cluster);
        let last = self.with(|measured| core::mem::replace(&mut measured.last, known.clone()));
        self.record_changes(&last, &known);
        let tasks = Handle::current().metrics().num_alive_tasks();
        self.record(Kind::Gauge, "runtime.num_goroutines", tasks as f64, 1);
    }

    fn record_changes(&self, last: &Known, known: &Known) {
        for counter in table::COUNTERS.iter().flat_map(|family| family.counters) {
            let added = |read: fn(&Known) -> u64| read(known).saturating_sub(read(last));
            let sum = added(counter.read);
            let times = counter.times.map_or(sum, added).max(1);
            if sum > 0 {
                self.record(Kind::Counter, &counter.key(), sum as f64 / times as f64, times);
            }
        }
        for gauge in table::GAUGES.iter().filter(|gauge| !gauge.key.is_empty()) {
            if let Some(value) = (gauge.read)(&known.summary) {
                self.record(Kind::Gauge, gauge.key, value as f64, 1);
            }
        }
    }

    fn look_at_queues(&self, cluster: &Cluster) {
        for (key, len) in table::queues(&cluster.summary()) {
            self.record(Kind::Sample, key, len as f64, 1);
        }
    }

    fn record(&self, kind: Kind, key: &str, value: f64, times: u64) {
        let host = self.0.host.as_deref().filter(|_| kind == Kind::Gauge);
        let name = full_name(host, key);
        self.with(|measured| measured.memory.add(Timestamp::now(), kind, &name, value, times));
        for sink in &self.0.sinks {
            // What has been counted is told at once.
            if !sink.push(sink::line(kind, &name, value * times as f64)) {
                self.with(|measured| measured.own.lines_dropped += 1);
            }
        }
    }

    fn dump(&self) -> String {
        self.with(|measured| measured.memory.dump(&self.0.started))
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Measured) -> T) -> T {
        use_it(&mut self.0.measured.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// With the prefix, and nothing in it that would end the name, or the line.
fn full_name(host: Option<&str>, key: &str) -> String {
    let name = match host {
        Some(host) => format!("{PREFIX}.{host}.{key}"),
        None => format!("{PREFIX}.{key}"),
    };
    let plain = |c: char| if c.is_whitespace() || c.is_control() || matches!(c, ':' | '|') { '_' } else { c };
    name.chars().take(NAME_LEN_MAX).map(plain).collect()
}

/// What Serf calls its agent.
const PREFIX: &str = "serf-agent";
/// Characters of a name.
const NAME_LEN_MAX: usize = 200;
/// Names of user events and queries that are counted one by one.
const NAMES_MAX: usize = 256;
/// Kinds of handlers that are counted one by one.
const HANDLERS_MAX: usize = 256;
/// How often the cluster is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Every so many times the queues are looked at as well (Serf: QueueCheckInterval).
const QUEUES_EVERY: u64 = 30;

#[cfg(test)]
mod tests {
    use swim_tokio::swim_core::ids::LamportTime;

    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(Some("h".into()), Vec::new())
    }

    fn lines(metrics: &Metrics) -> Vec<String> {
        let dump = metrics.dump();
        let after_time = dump.lines().filter_map(|line| line.split_once("]["));
        let without_update =
            after_time.map(|(_, line)| line.split(" LastUpdated").next().unwrap_or_default().to_owned());
        without_update.collect()
    }

    #[test]
    fn what_was_added_is_told_as_serf_would() {
        let metrics = metrics();
        let mut known = Known::default();
        known.stats.member_joins = 2;
        metrics.record_changes(&Known::default(), &known);
        let last = known.clone();
        known.stats.member_joins = 5;
        (known.stats.datagrams_sent, known.stats.bytes_sent) = (4, 400);
        known.summary.health_score = 1;
        metrics.record_changes(&last, &known);
        let lines = lines(&metrics);
        for line in [
            "C] 'serf-agent.serf.member.join': Count: 5 Sum: 5.000",
            "C] 'serf-agent.memberlist.udp.sent': Count: 4 Sum: 400.000",
            "G] 'serf-agent.h.memberlist.health.score': 1.000",
        ] {
            assert!(lines.iter().any(|found| found == line), "no {line} in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.contains("member.left")), "nothing came of that");
    }

    #[test]
    fn the_agents_own() {
        let metrics = metrics();
        metrics.client();
        metrics.command();
        metrics.command();
        metrics.invoked("user:deploy", "echo hi; cat", Duration::from_millis(5));
        let name =
            |name: &[u8]| Occurrence::User { ltime: LamportTime(1), name: name.into(), payload: None, coalesce: false };
        metrics.occurred(&name(b"deploy"));
        metrics.occurred(&name(b"a:1|c\nb"));
        assert_eq!(
            lines(&metrics),
            [
                "C] 'serf-agent.agent.ipc.accept': Count: 1 Sum: 1.000",
                "C] 'serf-agent.agent.ipc.command': Count: 2 Sum: 2.000",
                "C] 'serf-agent.serf.events.a_1_c_b': Count: 1 Sum: 1.000",
                "C] 'serf-agent.serf.events.deploy': Count: 1 Sum: 1.000",
                "S] 'serf-agent.agent.invoke.echo_hi;_cat': Count: 1 Sum: 5.000",
            ]
        );
        let own = metrics.with(|measured| measured.own.clone());
        assert_eq!((own.clients, own.commands, own.handlers["user:deploy"].0), (1, 2, 1));
    }

    #[test]
    fn names_from_the_network_are_bounded() {
        let metrics = metrics();
        for n in 0..=NAMES_MAX {
            let name = n.to_string().into_bytes();
            metrics.occurred(&Occurrence::User {
                ltime: LamportTime(1),
                name: name.into(),
                payload: None,
                coalesce: false,
            });
        }
        assert_eq!(metrics.with(|measured| measured.names.len()), NAMES_MAX);
        assert_eq!(lines(&metrics).len(), NAMES_MAX);
        assert_eq!(full_name(None, &"ä".repeat(1000)).chars().count(), NAME_LEN_MAX);
    }
}
