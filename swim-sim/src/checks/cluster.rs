//! Nodes compared with each other, and with what the plan knows: at quiet points and at the end.

use core::net::SocketAddr;
use core::time::Duration;

use swim_core::serf::member::Status;
use swim_core::wire::message::State;
use swim_core::{Instant, Node};

use super::{Checks, Violation, number};

/// A node that runs, has not left, and has its name to itself.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// The number in its name.
    pub number: u32,
    /// Where it is.
    pub address: SocketAddr,
    /// Itself.
    pub node: &'a Node,
}

/// Everybody who runs, by number.
#[derive(Debug, Default)]
pub struct Cluster<'a> {
    running: Vec<Running<'a>>,
}

impl<'a> Cluster<'a> {
    /// Of these.
    pub fn new(mut running: Vec<Running<'a>>) -> Self {
        running.sort_by_key(|running| running.number);
        Self { running }
    }

    fn find(&self, number: u32) -> Option<&Running<'a>> {
        self.running.binary_search_by_key(&number, |running| running.number).ok().map(|at| &self.running[at])
    }

    /// The first thing that somebody has wrong: who is there, where, and as its owner says.
    pub fn disagreement(&self) -> Option<(&'static str, String)> {
        // Most of the time somebody is missing, and numbers show it without a look at every pair.
        for observer in &self.running {
            let summary = observer.node.summary();
            let alive = summary.members - summary.failed - summary.left;
            if alive < self.running.len() {
                return Some(self.missing_at(observer));
            }
        }
        self.running.iter().find_map(|observer| self.wrong_at(observer))
    }

    /// Who still holds `n{number}` to be alive; it has crashed.
    pub fn believer(&self, number: u32) -> Option<String> {
        let name = format!("n{number}");
        let believer = self
            .running
            .iter()
            .find(|observer| observer.node.member(name.as_bytes()).is_some_and(|member| is_there(member.status())))?;
        Some(format!("n{} holds {name} to be alive", believer.number))
    }

    fn missing_at(&self, observer: &Running<'_>) -> (&'static str, String) {
        for other in &self.running {
            let name = format!("n{}", other.number);
            let member = observer.node.member(name.as_bytes());
            let status = member.map(|member| member.status());
            if status.is_none_or(|status| !is_there(status)) {
                let has = status.map_or_else(|| "does not know".to_owned(), |status| format!("has as {status}"));
                return ("nobody_stays_dead", format!("n{} {has} {name}, which runs", observer.number));
            }
        }
        ("agreement", format!("n{} counts members that it does not have", observer.number))
    }

    fn wrong_at(&self, observer: &Running<'_>) -> Option<(&'static str, String)> {
        let by = observer.number;
        let mut found = 0;
        for member in observer.node.members().filter(|member| is_there(member.status())) {
            let owner = number(member.name().as_bytes()).and_then(|number| self.find(number));
            let Some(owner) = owner else {
                return Some((
                    "agreement",
                    format!("n{by} has {} as {}; it does not run", member.name(), member.status()),
                ));
            };
            found += 1;
            let own = owner.node.local();
            let right = member.status() == Status::Alive
                && member.state() == Some(State::Alive)
                && member.address() == owner.address
                && member.incarnation() == own.incarnation()
                && member.meta() == own.meta();
            if !right {
                return Some((
                    "agreement",
                    format!(
                        "n{by} has {} {} since {} ({:?}) at {} with incarnation {}; it is {} since {} at {} with {}",
                        member.name(),
                        member.status(),
                        member.status_time(),
                        member.state(),
                        member.address(),
                        member.incarnation(),
                        own.status(),
                        own.status_time(),
                        owner.address,
                        own.incarnation()
                    ),
                ));
            }
        }
        (found < self.running.len()).then(|| self.missing_at(observer))
    }

    /// What everybody has sent so far, in bytes.
    pub fn bytes_sent(&self) -> u64 {
        let of = |running: &Running<'_>| running.node.stats().bytes_sent + running.node.stats().stream_bytes_sent;
        self.running.iter().map(of).sum()
    }

    /// Their numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.running.iter().map(|running| running.number)
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether nobody does.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

impl Checks {
    /// Whether a quiet node sent too much: so many bytes by so many nodes in so much time.
    pub fn budget(&mut self, at: Instant, bytes: u64, nodes: usize, time: Duration, allowed: u64) {
        let node_seconds = nodes as f64 * time.as_secs_f64();
        let rate = if node_seconds > 0.0 { bytes as f64 / node_seconds } else { 0.0 };
        if rate > allowed as f64 {
            self.report("budget", at, || {
                format!("{rate:.0} bytes a second by each of {nodes} nodes, {allowed} are allowed")
            });
        }
    }

    /// Notes what was found elsewhere.
    pub fn note(&mut self, violation: Violation) {
        self.report(violation.rule, violation.at, || violation.what);
    }
}

fn is_there(status: Status) -> bool {
    match status {
        Status::Alive | Status::Leaving => true,
        Status::Left | Status::Failed => false,
    }
}
