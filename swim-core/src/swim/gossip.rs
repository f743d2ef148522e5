//! When and to whom updates are gossiped (swim-state.md 9): a tick of its own beside the probes, as in memberlist.

use core::time::Duration;

use crate::cx::Cx;
use crate::outbox::Outgoing;
use crate::swim::config::Config;
use crate::swim::selection::choose;
use crate::swim::{Swim, understands_checksum};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::message::State;

/// The tick's phase. A quiet node has no gossip timer; one that has news takes the next tick of a clock that was started
/// at a random moment, so that nodes do not gossip in step.
#[derive(Debug)]
pub(crate) struct Gossip {
    phase: Instant,
    armed: bool,
    /// With [`Baseline::buffered_ticks`](crate::swim::config::Baseline::buffered_ticks): one came while the socket was
    /// blocked.
    tick_kept: bool,
}

impl Gossip {
    pub(crate) fn new(cx: &mut Cx<'_>, config: &Config) -> Self {
        Self { phase: cx.now + cx.jitter.duration_below(config.gossip_interval), armed: false, tick_kept: false }
    }

    /// The first tick after `now`.
    fn next_tick(&self, now: Instant, interval: Duration) -> Instant {
        if now < self.phase {
            return self.phase;
        }
        let interval = (interval.as_nanos() as u64).max(1);
        let into = (now - self.phase).as_nanos() as u64 % interval;
        now + Duration::from_nanos(interval - into)
    }
}

impl Swim {
    /// To be called when there is something to gossip: makes sure that the tick will come.
    pub(crate) fn arm_gossip(&mut self, cx: &mut Cx<'_>) {
        let Config { gossip_interval, gossip_nodes, .. } = self.config;
        if self.gossip.armed || gossip_interval.is_zero() || gossip_nodes == 0 || self.table.others(true) == 0 {
            return;
        }
        self.gossip.armed = true;
        cx.timers.arm(Timer::GossipTick, self.gossip.next_tick(cx.now, gossip_interval));
    }

    /// One round. `more`: the layer above has something to send, too.
    pub(crate) fn on_gossip_tick(&mut self, cx: &mut Cx<'_>, more: bool) {
        self.gossip.armed = false;
        if self.broadcasts.is_empty() && !more {
            return;
        }
        self.arm_gossip(cx);
        if cx.outbox.has_gossip() {
            // The socket is blocked. Targets chosen now would wait as well, and all would go out in one burst.
            cx.stats.gossip_ticks_skipped += 1;
            self.gossip.tick_kept = self.config.baseline.buffered_ticks;
            return;
        }
        self.gossip_once(cx);
    }

    /// A packet of gossip has been handed to the network: a tick that was kept for the end of its round begins the next
    /// at once.
    pub(crate) fn gossip_sent(&mut self, cx: &mut Cx<'_>) {
        if self.gossip.tick_kept && !cx.outbox.has_gossip() {
            self.gossip.tick_kept = false;
            self.gossip_once(cx);
        }
    }

    fn gossip_once(&mut self, cx: &mut Cx<'_>) {
        let Self { table, chosen, config, .. } = self;
        choose(table, cx.targets, config.gossip_nodes, true, chosen, |id| {
            let record = table.record(id);
            match record.state {
                Some(State::Alive | State::Suspect) => true,
                // The dead are told, too: they may be alive and refute.
                Some(State::Dead) => cx.now - record.since <= config.gossip_to_the_dead_time,
                Some(State::Left) | None => false,
            }
        });
        for id in chosen.iter() {
            let checksum = understands_checksum(cx.roster, *id);
            cx.outbox.push(Outgoing::Gossip { to: cx.roster.address(*id), checksum });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Parts, address, alive, heard};

    #[test]
    fn no_tick_comes_that_would_tell_nobody() {
        let interval = Duration::from_millis(200);
        for (gossip_interval, gossip_nodes, others, comes) in
            [(interval, 3, 1, true), (interval, 3, 0, false), (interval, 0, 1, false), (Duration::ZERO, 3, 1, false)]
        {
            let mut parts = Parts::new();
            let mut swim = parts.swim(Config { gossip_interval, gossip_nodes, ..Config::lan() });
            for _ in 0..others {
                swim.handle_alive(&mut parts.cx(), &alive("b", 1, address(2), b""), heard());
            }
            swim.arm_gossip(&mut parts.cx());
            let tick = parts.timers.deadline(Timer::GossipTick);
            assert_eq!(tick.is_some(), comes, "every {gossip_interval:?} to {gossip_nodes} of {others}");
        }
    }

    #[test]
    fn ticks_keep_their_phase() {
        let at = |millis| Instant::after_origin(Duration::from_millis(millis));
        let gossip = Gossip { phase: at(130), armed: false, tick_kept: false };
        for (now, next) in [(0, 130), (129, 130), (130, 330), (131, 330), (329, 330), (330, 530), (10_000, 10_130)] {
            assert_eq!(gossip.next_tick(at(now), Duration::from_millis(200)), at(next), "after {now}");
        }
    }
}
