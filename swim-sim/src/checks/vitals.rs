//! A few numbers of one node, looked at after each of its steps.

use swim_core::{Instant, Node};

use super::Checks;
use crate::world::HostId;

/// What a step must not make worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// The node's own incarnation.
    pub incarnation: u32,
    /// Its clocks of intents, events and queries.
    pub times: [u64; 3],
    /// Its time, and when it wants to be called.
    pub now: Instant,
    /// See `now`.
    pub deadline: Option<Instant>,
    /// Its members, those it was given room for, and updates that wait.
    pub members: usize,
    /// See `members`.
    pub members_max: usize,
    /// See `members`.
    pub updates: usize,
    /// The longest of Serf's queues, and how long it may be.
    pub queue: usize,
    /// See `queue`.
    pub queue_max: usize,
}

impl Vitals {
    /// A node's, when its clock shows `now`.
    pub fn of(node: &Node, now: Instant) -> Self {
        let (summary, config) = (node.summary(), node.config());
        let queue_max = match config.serf.queue_depth_min {
            0 => config.serf.queue_depth_max,
            min => min.max(2 * summary.members),
        };
        Self {
            incarnation: node.local().incarnation().0,
            times: [summary.member_time.0, summary.event_time.0, summary.query_time.0],
            now,
            deadline: node.poll_timeout(),
            members: summary.members,
            members_max: config.swim.members_max,
            updates: summary.update_queue,
            queue: summary.intent_queue.max(summary.event_queue).max(summary.query_queue),
            queue_max,
        }
    }
}

impl Checks {
    /// A node has stepped, and is now like this.
    pub fn vitals(&mut self, at: Instant, host: HostId, vitals: Vitals) {
        let number = self.number(host);
        let Some(before) = self.host_mut(host).map(|host| host.vitals.replace(vitals)) else { return };
        let owner = &mut self.owners[number as usize];
        owner.incarnation = owner.incarnation.max(vitals.incarnation);
        let Vitals { incarnation, times, now, deadline, members, members_max, updates, queue, queue_max } = vitals;
        if let Some(before) = before {
            if incarnation < before.incarnation {
                self.report("incarnation_rises", at, || {
                    format!("n{number} had the incarnation {}, and now {incarnation}", before.incarnation)
                });
            }
            for (clock, (before, time)) in ["member", "event", "query"].iter().zip(before.times.iter().zip(times)) {
                if time < *before {
                    self.report("lamport_time_rises", at, || {
                        format!("the {clock} clock of n{number}: {before}, {time}")
                    });
                }
            }
        }
        if deadline.is_some_and(|deadline| deadline < now) {
            self.report("deadline_ahead", at, || format!("n{number} was due at {deadline:?}, and it is {now:?}"));
        }
        // Each member has at most one update that waits, and there may be one more of whom SWIM remembers and Serf not.
        if members > members_max || updates > members_max || queue > queue_max {
            self.report("bounds", at, || format!("n{number}: {vitals:?}"));
        }
    }
}
