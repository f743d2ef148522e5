//! Faults as data: what a cluster is like and what befalls it, as a list that can be written down, generated from a
//! seed, run, and made shorter while it still fails.
//!
//! `generate.rs` draws plans, `run.rs` runs them with all checkers (`../checks/`), `shrink.rs` shortens, `paste.rs`
//! prints. Every step is one fault with its own end, so that any part of a plan is a plan.

mod generate;
mod paste;
mod run;
mod shrink;

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::checks::Violation;
use crate::network::Latency;
use crate::world::First;

pub use self::run::{Failure, Outcome};
pub use self::shrink::Shrunk;

/// A cluster and what befalls it. Nodes are called `n1`, `n2`, …; in steps they are named by their numbers.
///
/// ```
/// use swim_sim::plan::Plan;
///
/// let plan: Plan = r#"{ "seed": 7, "nodes": 3, "steps": [
///     { "at": 10000, "what": { "Crash": { "node": 2 } } },
///     { "at": 40000, "what": { "Restart": { "node": 2, "memory": "Nothing", "moved": false } } }
/// ] }"#.parse()?;
/// assert_eq!(plan.run(), Ok(plan.run()?));
///
/// let nobody = r#"{ "seed": 7, "nodes": 3, "steps": [ { "at": 1, "what": { "Crash": { "node": 4 } } } ] }"#;
/// let error = nobody.parse::<Plan>().unwrap_err();
/// assert_eq!(error.to_string(), "step 1 (Crash at 1 ms) names n4, but the nodes are n1 to n3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Of everything random in the run.
    pub seed: u64,
    /// Nodes at the beginning.
    pub nodes: u32,
    /// What they have in common.
    #[serde(default, skip_serializing_if = "is_default")]
    pub setting: Setting,
    /// What befalls them, in any order.
    pub steps: Vec<Step>,
    /// Virtual seconds that the run takes at least; it ends once all is well again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub seconds: u32,
}

/// What the nodes of a plan have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setting {
    /// How long packets travel; by default 0.2 to 1 ms.
    #[serde(skip_serializing_if = "is_default")]
    pub latency: Option<Latency>,
    /// Which constants.
    #[serde(skip_serializing_if = "is_default")]
    pub preset: Preset,
    /// Serf's wire format, not the native one.
    #[serde(skip_serializing_if = "is_default")]
    pub serf_wire: bool,
    /// Everything is encrypted.
    #[serde(skip_serializing_if = "is_default")]
    pub sealed: bool,
    /// Nodes know the addresses of the first three, and look them up again: whoever is lost finds home by itself.
    #[serde(skip_serializing_if = "is_default")]
    pub seeds: bool,
    /// Some nodes have other versions and other settings than others.
    #[serde(skip_serializing_if = "is_default")]
    pub mixed: bool,
}

/// Constants of the core that a plan can choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    /// For a local network.
    #[default]
    Lan,
    /// For the internet.
    Wan,
    /// For one machine.
    Local,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When, in milliseconds after everybody has met.
    pub at: u64,
    /// For how many milliseconds, if it is something that lasts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lasts: u64,
    /// What.
    pub what: Act,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields say what they are; those that do not have a word")]
pub enum Act {
    /// The process ends without a word.
    Crash { node: u32 },
    /// A process that has ended is started again.
    Restart {
        node: u32,
        memory: Memory,
        /// It has another address than before.
        moved: bool,
    },
    /// A second process starts elsewhere under the name of a node; of several names no more than there are others to ask.
    Impostor { node: u32 },
    /// Nothing of the process runs.
    Freeze { node: u32, first: First },
    /// Each message takes its time, one after the other.
    Slow { node: u32, service_us: u64 },
    /// Its clock is too fast by so many parts per million.
    Drift { node: u32, ppm: i32 },
    /// Its clock jumps ahead.
    Jump { node: u32, by: u64 },
    /// Its socket takes nothing.
    BlockSending { node: u32 },
    /// Nothing arrives there.
    Deaf { node: u32 },
    /// Nothing gets away from there.
    Mute { node: u32 },
    /// One direction between two nodes is cut, or both.
    Cut { from: u32, to: u32, both: bool },
    /// The nodes of this group reach only each other.
    Partition { group: Vec<u32> },
    /// Packets are lost, each on its own.
    Loss { rate: f64 },
    /// Packets are lost in bursts.
    Bursts { every: u64, last: u64, rate: f64 },
    /// Datagrams arrive twice.
    Duplication { rate: f64 },
    /// Some datagrams are late.
    Reordering { rate: f64, by: u64 },
    /// Datagrams are damaged. Only with encryption is that beyond doubt noticed.
    Corruption { rate: f64 },
    /// Each direction carries so many bytes per second, and holds so many more.
    Bandwidth { rate: u64, queue: u64 },
    /// Longer datagrams are dropped.
    Mtu { bytes: usize },
    /// Packets travel as long as this says.
    Delay { latency: Latency },
    /// Its application has something to say, so many bytes of it.
    UserEvent { node: u32, bytes: usize },
    /// Its application asks everybody.
    Query { node: u32 },
    /// Its application changes a tag.
    SetTag { node: u32, value: u32 },
    /// Its application says something to another member.
    Send { node: u32, to: u32, by_stream: bool },
    /// It says goodbye, and ends when that is done.
    Leave { node: u32 },
    /// It makes another leave, if it holds it to have failed.
    ForceLeave { node: u32, member: u32 },
    /// It joins by way of another.
    Join { node: u32, via: u32 },
}

/// What a restarted process remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Memory {
    /// Nothing.
    Nothing,
    /// Its snapshot.
    Snapshot,
    /// The first half of its snapshot: an old copy of the file.
    OldSnapshot,
}

impl Act {
    /// Its name, as in the JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "Crash",
            Self::Restart { .. } => "Restart",
            Self::Impostor { .. } => "Impostor",
            Self::Freeze { .. } => "Freeze",
            Self::Slow { .. } => "Slow",
            Self::Drift { .. } => "Drift",
            Self::Jump { .. } => "Jump",
            Self::BlockSending { .. } => "BlockSending",
            Self::Deaf { .. } => "Deaf",
            Self::Mute { .. } => "Mute",
            Self::Cut { .. } => "Cut",
            Self::Partition { .. } => "Partition",
            Self::Loss { .. } => "Loss",
            Self::Bursts { .. } => "Bursts",
            Self::Duplication { .. } => "Duplication",
            Self::Reordering { .. } => "Reordering",
            Self::Corruption { .. } => "Corruption",
            Self::Bandwidth { .. } => "Bandwidth",
            Self::Mtu { .. } => "Mtu",
            Self::Delay { .. } => "Delay",
            Self::UserEvent { .. } => "UserEvent",
            Self::Query { .. } => "Query",
            Self::SetTag { .. } => "SetTag",
            Self::Send { .. } => "Send",
            Self::Leave { .. } => "Leave",
            Self::ForceLeave { .. } => "ForceLeave",
            Self::Join { .. } => "Join",
        }
    }

    /// The nodes that it names.
    pub fn nodes(&self) -> Vec<u32> {
        match self {
            Self::Crash { node }
            | Self::Restart { node, .. }
            | Self::Impostor { node }
            | Self::Freeze { node, .. }
            | Self::Slow { node, .. }
            | Self::Drift { node, .. }
            | Self::Jump { node, .. }
            | Self::BlockSending { node, .. }
            | Self::Deaf { node, .. }
            | Self::Mute { node, .. }
            | Self::UserEvent { node, .. }
            | Self::Query { node }
            | Self::SetTag { node, .. }
            | Self::Leave { node } => vec![*node],
            Self::Cut { from, to, .. } => vec![*from, *to],
            Self::Send { node, to, .. } => vec![*node, *to],
            Self::ForceLeave { node, member } => vec![*node, *member],
            Self::Join { node, via } => vec![*node, *via],
            Self::Partition { group, .. } => group.clone(),
            Self::Loss { .. }
            | Self::Bursts { .. }
            | Self::Duplication { .. }
            | Self::Reordering { .. }
            | Self::Corruption { .. }
            | Self::Bandwidth { .. }
            | Self::Mtu { .. }
            | Self::Delay { .. } => Vec::new(),
        }
    }

    /// Whether a member may be held to have failed for it, rightly or not.
    pub fn harms(&self) -> bool {
        match self {
            Self::UserEvent { .. }
            | Self::Query { .. }
            | Self::SetTag { .. }
            | Self::Send { .. }
            | Self::Join { .. }
            | Self::Duplication { .. } => false,
            Self::Crash { .. }
            | Self::Restart { .. }
            | Self::Impostor { .. }
            | Self::Freeze { .. }
            | Self::Slow { .. }
            | Self::Drift { .. }
            | Self::Jump { .. }
            | Self::BlockSending { .. }
            | Self::Deaf { .. }
            | Self::Mute { .. }
            | Self::Cut { .. }
            | Self::Partition { .. }
            | Self::Loss { .. }
            | Self::Bursts { .. }
            | Self::Reordering { .. }
            | Self::Corruption { .. }
            | Self::Bandwidth { .. }
            | Self::Mtu { .. }
            | Self::Delay { .. }
            | Self::Leave { .. }
            | Self::ForceLeave { .. } => true,
        }
    }
}

impl Plan {
    /// Whether it can be run.
    ///
    /// # Errors
    ///
    /// With the first thing that is wrong with it.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.nodes == 0 || self.nodes > NODES_MAX {
            return Err(PlanError::Nodes(self.nodes));
        }
        if u64::from(self.seconds) * 1000 > TIME_MAX {
            return Err(PlanError::Length(self.seconds));
        }
        if self.steps.len() > STEPS_MAX {
            return Err(PlanError::Steps(self.steps.len()));
        }
        for (index, step) in self.steps.iter().enumerate() {
            let place = || Place { number: index + 1, name: step.what.name(), at: step.at };
            if let Some(node) = step.what.nodes().into_iter().find(|node| *node == 0 || *node > self.nodes) {
                return Err(PlanError::Nobody { place: place(), node, nodes: self.nodes });
            }
            if step.at.saturating_add(step.lasts) > TIME_MAX {
                return Err(PlanError::Late { place: place() });
            }
            if let Some(rate) = step.what.rate().filter(|rate| !(0.0..=1.0).contains(rate)) {
                return Err(PlanError::Rate { place: place(), rate });
            }
        }
        Ok(())
    }

    /// As JSON, one step in a line.
    pub fn to_json(&self) -> String {
        paste::json(self)
    }

    /// A test to paste into `tests/it/regressions.rs`, which fails as long as the plan breaks this rule.
    pub fn to_test(&self, violation: &Violation) -> String {
        paste::test(self, violation)
    }
}

impl Act {
    fn rate(&self) -> Option<f64> {
        let (Self::Loss { rate }
        | Self::Bursts { rate, .. }
        | Self::Duplication { rate }
        | Self::Reordering { rate, .. }
        | Self::Corruption { rate }) = self
        else {
            return None;
        };
        Some(*rate)
    }
}

impl core::str::FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let plan: Self = serde_json::from_str(text).map_err(|error| PlanError::Json(error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }
}

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// It is no JSON, or not that of a plan.
    Json(String),
    /// So many nodes cannot be simulated.
    Nodes(u32),
    /// So many seconds take too long.
    Length(u32),
    /// So many steps are too many.
    Steps(usize),
    /// A step names a node that does not exist.
    Nobody {
        /// Which step.
        place: Place,
        /// The number of the node.
        node: u32,
        /// How many there are.
        nodes: u32,
    },
    /// A step is over too late.
    Late {
        /// Which step.
        place: Place,
    },
    /// A step's rate is no probability.
    Rate {
        /// Which step.
        place: Place,
        /// What it is.
        rate: f64,
    },
}

/// Which step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    number: usize,
    name: &'static str,
    at: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} ({} at {} ms)", self.number, self.name, self.at)
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "this is not the JSON of a plan: {error}"),
            Self::Nodes(nodes) => write!(f, "a plan has 1 to {NODES_MAX} nodes, this one {nodes}"),
            Self::Length(seconds) => write!(f, "a run takes at most {} seconds, not {seconds}", TIME_MAX / 1000),
            Self::Steps(steps) => write!(f, "a plan has at most {STEPS_MAX} steps, this one {steps}"),
            Self::Nobody { place, node, nodes } => {
                write!(f, "{place} names n{node}, but the nodes are n1 to n{nodes}")
            }
            Self::Late { place } => write!(f, "{place} is not over within {} seconds", TIME_MAX / 1000),
            Self::Rate { place, rate } => write!(f, "{place} has the rate {rate}, which is not between 0 and 1"),
        }
    }
}

impl core::error::Error for PlanError {}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Nodes of a plan.
pub const NODES_MAX: u32 = 20_000;
/// Steps of a plan.
pub const STEPS_MAX: usize = 100_000;
/// A day, in milliseconds: no step ends later.
const TIME_MAX: u64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests;
