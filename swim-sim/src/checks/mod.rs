//! What must hold whatever happens: checkers that look on after each step of a node.
//!
//! A step is looked at by what it touched: `vitals.rs` takes a few numbers of the one node that stepped, `table.rs` its
//! members, if any changed, `messages.rs` what its application was told. `cluster.rs` compares nodes with each other, at
//! quiet points and at the end. Each rule has a test beneath that breaks it. Two more rules need no checker: a node that
//! panics ends the run, and the same plan run again must give the same hash.

mod cluster;
mod messages;
mod table;
mod vitals;

use core::fmt;

use swim_core::{Event, Instant, Node};

use crate::application::{Step, Watcher};
use crate::digest::Digest;
use crate::world::HostId;

pub use self::cluster::{Cluster, Running};
pub use self::table::Seen;
pub use self::vitals::Vitals;

/// A rule, and how it was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's name; [`RULES`] has them all.
    pub rule: &'static str,
    /// When, by the world's clock.
    pub at: Instant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}: {}", self.rule, self.at, self.what)
    }
}

/// Every rule: its name, and what it says.
#[rustfmt::skip]
pub const RULES: &[(&str, &str)] = &[
    ("no_panic",                "no node panics"),
    ("parts_agree",             "the parts of a node do not contradict each other; every suspicion has its timer"),
    ("incarnation_rises",       "an incarnation never falls, neither one's own nor the one believed of a member"),
    ("lamport_time_rises",      "no Lamport clock ever falls"),
    ("return_is_newer",         "whoever is suspect, dead or left comes back with a greater incarnation only"),
    ("owner_raises",            "nobody believes an incarnation that its owner never had"),
    ("suspicion_ends",          "nobody stays under suspicion for longer than a suspicion can take"),
    ("deadline_ahead",          "after a step no deadline lies in the past"),
    ("bounds",                  "queues and tables are no longer than they may be"),
    ("events_tell_all",         "who follows the events knows what the node knows"),
    ("memory_lasts",            "whoever has failed or left is remembered for a day"),
    ("event_at_most_once",      "no application is told a user event twice"),
    ("event_at_least_once",     "a user event reaches everybody who is connected"),
    ("no_death_without_cause",  "nobody is held to have failed while nothing is wrong"),
    ("completeness",            "everybody knows of a crash within the bound"),
    ("nobody_stays_dead",       "whoever is alive and can be reached is held to be alive again"),
    ("agreement",               "after a quiet time everybody has the same view of everybody"),
    ("budget",                  "a quiet node sends no more bytes than it should"),
    ("one_name_one_node",       "of two nodes with one name one gives way"),
    ("same_seed_same_hash",     "the same plan gives the same run, byte for byte"),
];

/// All checkers of one run.
#[derive(Debug, Default)]
pub struct Checks {
    violation: Option<Violation>,
    /// What is known of each name that is a number, by that number.
    owners: Vec<Owner>,
    hosts: Vec<Option<Host>>,
    /// Whether all members of a node are looked at after its every step, or only those of whom it told something.
    thorough: bool,
    /// Nothing has been wrong since then, and what was has been got over.
    calm_since: Option<Instant>,
    /// Every event told to any application, for the hash of the run.
    digest: Digest,
    looking_inside: bool,
    /// The last step.
    at: Instant,
    lost: Vec<HostId>,
    scratch: Vec<Seen>,
}

/// What a name's owners have done, all its processes together.
#[derive(Clone, Copy, Debug, Default)]
struct Owner {
    /// The greatest incarnation that any of them ever had.
    incarnation: u32,
    running: bool,
}

/// What is remembered of one process.
#[derive(Debug, Default)]
struct Host {
    name: u32,
    vitals: Option<Vitals>,
    members: Vec<table::Memory>,
    /// The application was told of every change so far.
    told_all: bool,
    events: messages::Told,
}

impl Checks {
    /// For this many nodes, called `n1` to `n…`.
    pub fn new(nodes: u32) -> Self {
        Self { owners: vec![Owner::default(); nodes as usize + 1], thorough: nodes <= THOROUGH_MAX, ..Self::default() }
    }

    /// The first thing that was wrong.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Notes that a rule was broken. Only the first counts: the others may follow from it.
    pub fn report(&mut self, rule: &'static str, at: Instant, what: impl FnOnce() -> String) {
        debug_assert!(RULES.iter().any(|(name, _)| *name == rule), "{rule} is in the list");
        if self.violation.is_none() {
            self.violation = Some(Violation { rule, at, what: what() });
        }
    }

    /// A process has started under the name `n{number}`.
    pub fn started(&mut self, host: HostId, number: u32) {
        let index = host.index();
        if self.hosts.len() <= index {
            self.hosts.resize_with(index + 1, || None);
        }
        self.hosts[index] = Some(Host { name: number, told_all: true, ..Host::default() });
        self.owners[number as usize].running = true;
    }

    /// A process has ended; `others`: another one runs under its name.
    pub fn ended(&mut self, host: HostId, others: bool) {
        if let Some(host) = self.hosts.get_mut(host.index()).and_then(Option::take) {
            self.owners[host.name as usize].running = others;
        }
    }

    /// From this moment on nobody has a reason to hold anybody running to have failed; `None`: something is wrong.
    pub fn set_calm(&mut self, since: Option<Instant>) {
        self.calm_since = since;
    }

    /// Hosts that were told that they have lost their names, since the last call.
    pub fn take_lost(&mut self) -> Vec<HostId> {
        core::mem::take(&mut self.lost)
    }

    /// Whether a panic that has just ended the run was a node's own check.
    pub fn was_looking_inside(&self) -> bool {
        self.looking_inside
    }

    /// When the last step was.
    pub fn last_step(&self) -> Instant {
        self.at
    }

    /// The hash of all that applications were told.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// A whole look at one node, whatever it has done.
    pub fn look(&mut self, at: Instant, local: Instant, host: HostId, node: &Node) {
        let mut seen = core::mem::take(&mut self.scratch);
        table::read(node, &mut seen);
        self.table(at, local, host, &seen);
        self.scratch = seen;
        self.look_inside(|| node.check());
    }

    /// Lets a node check itself: it panics if its parts contradict each other.
    pub(crate) fn look_inside(&mut self, check: impl FnOnce()) {
        self.looking_inside = true;
        check();
        self.looking_inside = false;
    }

    fn told(&mut self, at: Instant, host: HostId, event: &Event) {
        match event {
            Event::Member { kind, member } => {
                self.digest.add_word(*kind as u64);
                self.digest.add(member.name.as_bytes());
                self.digest.add_word(u64::from(member.incarnation.0));
                self.told_member(at, host, *kind, member.name.as_bytes());
            }
            Event::User { ltime, name, payload, .. } => {
                self.digest.add_word(ltime.0);
                self.digest.add(name);
                self.digest.add(payload.as_deref().unwrap_or_default());
                self.told_user_event(at, host, name);
            }
            Event::NameLost { .. } => self.lost.push(host),
            Event::Missed { .. } => {
                if let Some(host) = self.hosts.get_mut(host.index()).and_then(Option::as_mut) {
                    host.told_all = false;
                }
            }
            // The others are in the packets that brought them.
            Event::Conflict { .. }
            | Event::Query { .. }
            | Event::Message { .. }
            | Event::KeyringChanged { .. }
            | Event::Rejected { .. }
            | _ => self.digest.add_word(1),
        }
    }

    fn host_mut(&mut self, host: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(host.index()).and_then(Option::as_mut)
    }

    fn number(&self, host: HostId) -> u32 {
        self.hosts.get(host.index()).and_then(Option::as_ref).map_or(0, |host| host.name)
    }
}

impl Watcher for Checks {
    fn on_step(&mut self, step: &Step<'_>) {
        let Step { at, local, host, node, events, busy } = *step;
        if self.hosts.get(host.index()).is_none_or(Option::is_none) {
            return; // It has only just been started.
        }
        self.at = at;
        let vitals = Vitals::of(node, local);
        self.vitals(at, host, Vitals { deadline: vitals.deadline.filter(|_| !busy), ..vitals });
        for event in events {
            self.told(at, host, event);
        }
        if self.thorough {
            self.look(at, local, host, node);
            return;
        }
        for event in events {
            if let Event::Member { member, .. } = event
                && let Some(seen) = node.member(member.name.as_bytes()).and_then(Seen::of)
            {
                self.member(at, local, host, &seen);
            }
        }
    }
}

/// The number in `n12`, if it is one of ours.
fn number(name: &[u8]) -> Option<u32> {
    core::str::from_utf8(name.strip_prefix(b"n")?).ok()?.parse().ok()
}

/// In clusters up to this size all of a node's members are looked at after its every step.
const THOROUGH_MAX: u32 = 8;

#[cfg(test)]
mod tests;
