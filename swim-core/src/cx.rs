//! What a component may touch besides itself, lent for one call.

use crate::log::Lines;
use crate::outbox::Outbox;
use crate::rng::Rng;
use crate::roster::Roster;
use crate::stats::Stats;
use crate::time::Instant;
use crate::timers::Timers;

/// The effects a transition can have. Components own their state; everything shared goes through this.
#[derive(Debug)]
pub(crate) struct Cx<'a> {
    pub(crate) now: Instant,
    /// Whom to choose.
    pub(crate) targets: &'a mut Rng,
    /// When to start.
    pub(crate) jitter: &'a mut Rng,
    pub(crate) timers: &'a mut Timers,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) stats: &'a mut Stats,
    pub(crate) roster: &'a mut Roster,
    /// What may still be told the log.
    pub(crate) lines: &'a mut Lines,
}
