//! Forgetting: members that failed or left long ago, and intents about members that never came (serf-layer.md 6.3), and
//! whoever is pruned (6.2). Whoever failed and is forgotten here is remembered in `heal.rs`.

use core::time::Duration;

use crate::cx::Cx;
use crate::ids::MemberId;
use crate::roster::Holder;
use crate::serf::Serf;
use crate::serf::event::MemberEvent;
use crate::serf::member::Status;
use crate::swim::Swim;
use crate::timers::Timer;

impl Serf {
    pub(super) fn arm_reaper(&self, cx: &mut Cx<'_>) {
        if !self.config.reap_interval.is_zero() {
            cx.timers.arm(Timer::Reap, cx.now + self.config.reap_interval);
        }
    }

    pub(crate) fn on_reap(&mut self, cx: &mut Cx<'_>, swim: &Swim) {
        self.arm_reaper(cx);
        for (failed, timeout) in [(true, self.config.reconnect_timeout), (false, self.config.tombstone_timeout)] {
            let mut index = 0;
            while let Some(id) = self.departed(failed, index) {
                if self.outlived(cx, id, timeout) {
                    let (name, address) = (cx.roster.slot(id).name.clone(), cx.roster.address(id));
                    self.tell(cx, swim, MemberEvent::Reap, id);
                    self.erase(cx, id);
                    if failed {
                        self.remember(cx, name, address);
                    }
                } else {
                    index += 1;
                }
            }
        }
        self.recent_intents.expire(cx.now, self.config.recent_intent_timeout);
    }

    /// Forgets a member because somebody wants it. One that is leaving gets the time to do so, and is then forgotten
    /// even if it has come back. Unlike in Serf we do not forget ourselves.
    pub(super) fn prune(&mut self, cx: &mut Cx<'_>, swim: &Swim, id: MemberId) {
        if id == self.local {
            return;
        }
        if self.records.get(id).status != Some(Status::Leaving) {
            self.tell_forced(cx, swim, MemberEvent::Reap, id);
            self.erase(cx, id);
        } else if cx.timers.deadline(Timer::Prune(id)).is_none() {
            let wait = self.config.broadcast_timeout.saturating_add(self.config.leave_propagate_delay);
            cx.timers.arm(Timer::Prune(id), cx.now + wait);
        }
    }

    /// The time to leave is over.
    pub(crate) fn on_prune(&mut self, cx: &mut Cx<'_>, swim: &Swim, id: MemberId) {
        if self.records.get(id).status.is_some() {
            self.tell_forced(cx, swim, MemberEvent::Reap, id);
            self.erase(cx, id);
        }
    }

    fn departed(&self, failed: bool, index: usize) -> Option<MemberId> {
        let list = if failed { self.records.failed() } else { self.records.left() };
        list.get(index).copied()
    }

    fn outlived(&self, cx: &Cx<'_>, id: MemberId, timeout: Duration) -> bool {
        id != self.local && cx.now - self.records.get(id).leave_time > timeout
    }

    fn erase(&mut self, cx: &mut Cx<'_>, id: MemberId) {
        self.records.remove(id);
        if let Some(coordinates) = &mut self.coordinates {
            coordinates.forget(id);
        }
        cx.timers.disarm(Timer::Prune(id)); // The slot may get another tenant.
        cx.roster.release(id, Holder::Serf);
    }
}
