//! Intents: what a member means to do, ordered by the member clock (serf-layer.md 6.2). They tell a leave from a failure.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cx::Cx;
use crate::ids::{LamportTime, MemberId, Name};
use crate::log::log_some;
use crate::serf::event::MemberEvent;
use crate::serf::leave::Leaving;
use crate::serf::member::Status;
use crate::serf::{INTENT_LEN_MAX, Serf};
use crate::swim::Swim;
use crate::time::Instant;
use crate::wire::serf::{Join, Leave};

/// What was said about somebody we do not know, remembered for a while: gossip has no order, and the member itself may
/// come later.
#[derive(Debug, Default)]
pub(crate) struct RecentIntents {
    by_name: BTreeMap<Name, RecentIntent>,
}

#[derive(Debug)]
struct RecentIntent {
    intent: Intent,
    time: LamportTime,
    heard: Instant,
}

/// To come, or to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Join,
    Leave,
}

impl RecentIntents {
    /// What was last said about `name`.
    pub(crate) fn about(&self, name: &[u8]) -> Option<(Intent, LamportTime)> {
        self.by_name.get(name).map(|recent| (recent.intent, recent.time))
    }

    /// Whether the last that was said about `name` is that it leaves.
    pub(crate) fn says_left(&self, name: &[u8]) -> bool {
        self.about(name).is_some_and(|(intent, _)| intent == Intent::Leave)
    }

    /// Remembers an intent, unless we know of one as late; whether it did. One that is `listed` also counts if it is as late
    /// as another one.
    fn upsert(
        &mut self,
        cx: &mut Cx<'_>,
        name: &[u8],
        (intent, time): (Intent, LamportTime),
        listed: bool,
        max: usize,
    ) -> bool {
        let heard = cx.now;
        if let Some(known) = self.by_name.get_mut(name) {
            let newer = time > known.time || listed && time == known.time && intent != known.intent;
            if newer {
                *known = RecentIntent { intent, time, heard };
            }
            return newer;
        }
        // A full state exchange may list names of any length.
        if self.by_name.len() >= max || name.len() > INTENT_LEN_MAX {
            cx.stats.intents_over_limit += 1;
            return false;
        }
        self.by_name.insert(name.into(), RecentIntent { intent, time, heard });
        true
    }

    /// Forgets those heard longer ago than `timeout`.
    pub(crate) fn expire(&mut self, now: Instant, timeout: core::time::Duration) {
        self.by_name.retain(|_, recent| now - recent.heard <= timeout);
    }
}

impl Serf {
    /// Somebody means to leave, or is made to. Whether others should hear it from us.
    pub(super) fn handle_leave_intent(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, leave: &Leave<'_>) -> bool {
        self.take_leave(cx, swim, leave, false)
    }

    /// Somebody whose last intent is of this time is among those who have left, or are leaving, where a full state
    /// exchange comes from. That counts even if it is the last that we know of: the list says that it was to leave.
    ///
    /// Serf takes the time for one later. Then each exchange between two who know the same makes it one later still, and
    /// one that has come back, and says so, is behind for ever.
    pub(super) fn handle_listed_leave(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, node: &[u8], ltime: LamportTime) {
        self.take_leave(cx, swim, &Leave { ltime, node, prune: false }, true);
    }

    fn take_leave(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, leave: &Leave<'_>, listed: bool) -> bool {
        if !self.clock.witness(leave.ltime) {
            cx.stats.lamport_times_refused += 1;
            return false;
        }
        let Some(id) = self.known(cx, leave.node) else {
            let max = self.config.recent_intents_max;
            let news = self.recent_intents.upsert(cx, leave.node, (Intent::Leave, leave.ltime), listed, max);
            if news {
                self.heal_forget(leave.node);
            }
            return news;
        };
        let record = self.records.get(id);
        if leave.ltime < record.status_time || leave.ltime == record.status_time && !listed {
            return false;
        }
        if id == self.local && self.leaving == Leaving::No {
            // Somebody believes that we want to leave, perhaps from an earlier life of ours.
            log_some!(cx, DEBUG, "leave_intent_refuted", time = leave.ltime);
            self.broadcast_join(cx, swim);
            return false;
        }
        // Even when the status stays: two nodes would otherwise send each other's intents for ever.
        self.records.set_status_time(id, leave.ltime);
        match record.status {
            Some(Status::Alive) => self.records.set_status(id, Status::Leaving),
            Some(Status::Failed) => {
                self.records.set_status(id, Status::Left);
                self.tell_forced(cx, swim, MemberEvent::Leave, id);
            }
            Some(Status::Leaving | Status::Left) | None => {}
        }
        if leave.prune {
            self.prune(cx, swim, id);
        }
        true
    }

    /// Somebody means to be a member. Whether others should hear it from us.
    ///
    /// It calls off an intent to leave, but it does not revive the failed: that takes the member itself.
    pub(super) fn handle_join_intent(&mut self, cx: &mut Cx<'_>, join: &Join<'_>) -> bool {
        if !self.clock.witness(join.ltime) {
            cx.stats.lamport_times_refused += 1;
            return false;
        }
        let Some(id) = self.known(cx, join.node) else {
            let max = self.config.recent_intents_max;
            return self.recent_intents.upsert(cx, join.node, (Intent::Join, join.ltime), false, max);
        };
        let record = self.records.get(id);
        if join.ltime <= record.status_time {
            return false;
        }
        self.records.set_status_time(id, join.ltime);
        if record.status == Some(Status::Leaving) {
            self.records.set_status(id, Status::Alive);
        }
        true
    }

    /// Tells everybody that we mean to be a member: after a join, or to call off a leave that is not ours.
    pub(crate) fn broadcast_join(&mut self, cx: &mut Cx<'_>, swim: &mut Swim) {
        let ltime = self.clock.time();
        let name = cx.roster.slot(self.local).name.clone();
        let join = Join { ltime, node: name.as_bytes() };
        self.handle_join_intent(cx, &join);
        let codec = self.codec;
        self.queue_intent(cx, swim, None, |buf| codec.encode_serf_join(&join, buf));
    }

    /// Makes a failed member leave, and forgets it if `prune`. Everybody is told, if there is anybody. It is no error if
    /// nobody has this name; a member that is really there refutes, and is forgotten all the same if `prune`.
    pub(crate) fn force_leave(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, name: &[u8], prune: bool) {
        let leave = Leave { ltime: self.clock.increment(), node: name, prune };
        self.handle_leave_intent(cx, swim, &leave);
        let mut encoded = Vec::new();
        self.codec.encode_serf_leave(&leave, &mut encoded);
        if self.another_is_alive(swim) && self.fits(cx, &encoded) {
            self.queue_intent(cx, swim, None, |buf| buf.extend_from_slice(&encoded));
        }
    }

    fn known(&self, cx: &Cx<'_>, name: &[u8]) -> Option<MemberId> {
        cx.roster.find(name).filter(|id| self.records.get(*id).status.is_some())
    }
}
