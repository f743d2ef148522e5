//! The local node's goodbye (serf-layer.md 7): say so, let it spread, tell SWIM, let that spread, and be gone. Each wait
//! has an end, and running into it is no reason to stay.

use crate::cx::Cx;
use crate::serf::Serf;
use crate::serf::config::Life;
use crate::serf::member::Status;
use crate::swim::Swim;
use crate::swim::broadcast::Notify;
use crate::timers::Timer;
use crate::wire::serf::Leave;

/// How far the goodbye has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// We are staying.
    No,
    /// The intent is being spread.
    Intent,
    /// SWIM's message is being spread.
    Announcement,
    /// Time for others to pass it on.
    Propagation,
    /// Gone.
    Over,
}

impl Serf {
    /// Begins to leave. Call once, while [`Life::Alive`].
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>, swim: &mut Swim) {
        self.snapshot.on_leave(cx.stats);
        self.leaving = Leaving::Intent;
        let ltime = self.clock.increment();
        let name = cx.roster.slot(self.local).name.clone();
        let leave = Leave { ltime, node: name.as_bytes(), prune: false };
        self.handle_leave_intent(cx, swim, &leave);
        if !self.another_is_alive(swim) {
            self.announce_leave(cx, swim);
            return;
        }
        let codec = self.codec;
        self.queue_intent(cx, swim, Some(Notify::LeaveIntent), |buf| codec.encode_serf_leave(&leave, buf));
        cx.timers.arm(Timer::Leave, cx.now + self.config.broadcast_timeout);
    }

    /// The current step is done, or has taken long enough. Whether the leave is over.
    pub(crate) fn continue_leave(&mut self, cx: &mut Cx<'_>, swim: &mut Swim) -> bool {
        match self.leaving {
            Leaving::Intent => self.announce_leave(cx, swim),
            Leaving::Announcement => self.propagate_leave(cx),
            Leaving::Propagation => {
                self.leaving = Leaving::Over;
                return true;
            }
            Leaving::No | Leaving::Over => {}
        }
        false
    }

    /// A broadcast of ours has been sent its full number of times.
    pub(crate) fn on_leave_broadcast(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, notify: Notify) {
        match (notify, self.leaving) {
            (Notify::LeaveIntent, Leaving::Intent) | (Notify::Leave, Leaving::Announcement) => {
                self.continue_leave(cx, swim);
            }
            (Notify::LeaveIntent | Notify::Leave | Notify::Update(_), _) => {}
        }
    }

    pub(crate) fn life(&self) -> Life {
        match self.leaving {
            Leaving::No => Life::Alive,
            Leaving::Intent | Leaving::Announcement | Leaving::Propagation => Life::Leaving,
            Leaving::Over => Life::Left,
        }
    }

    fn announce_leave(&mut self, cx: &mut Cx<'_>, swim: &mut Swim) {
        self.leaving = Leaving::Announcement;
        if swim.leave(cx) {
            cx.timers.arm(Timer::Leave, cx.now + self.config.broadcast_timeout);
        } else {
            self.propagate_leave(cx);
        }
    }

    fn propagate_leave(&mut self, cx: &mut Cx<'_>) {
        self.leaving = Leaving::Propagation;
        cx.timers.arm(Timer::Leave, cx.now + self.config.leave_propagate_delay);
    }

    pub(super) fn another_is_alive(&self, swim: &Swim) -> bool {
        swim.active() > 0
            && self.records.iter().any(|(id, record)| id != self.local && record.status == Some(Status::Alive))
    }
}
