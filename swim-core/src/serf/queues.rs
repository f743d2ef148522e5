//! How long Serf's broadcast queues may grow, and a word in the log when they do (serf-layer.md 5).

use core::time::Duration;

use crate::cx::Cx;
use crate::log::{log, log_some};
use crate::serf::Serf;
use crate::timers::Timer;

/// One of Serf's queues of broadcasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Intents,
    Queries,
    UserEvents,
}

impl Queue {
    const ALL: [Self; 3] = [Self::Intents, Self::Queries, Self::UserEvents];

    /// Serf's name for it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Intents => "Intent",
            Self::Queries => "Query",
            Self::UserEvents => "Event",
        }
    }
}

impl Serf {
    /// A message was added: drops those sent most often if there are too many now, and keeps an eye on the queue if it
    /// is long. Unlike Serf's, no queue is ever longer than it may be until somebody looks.
    pub(super) fn bound(&mut self, cx: &mut Cx<'_>, which: Queue) {
        let max = self.depth_max();
        let queue = match which {
            Queue::Intents => &mut self.intents,
            Queue::Queries => &mut self.queries.broadcasts,
            Queue::UserEvents => &mut self.user_events.broadcasts,
        };
        let dropped = queue.bound(max);
        let depth = queue.len();
        cx.stats.broadcasts_over_limit += dropped as u64;
        if dropped > 0 {
            log_some!(cx, WARN, "queue_over_limit", queue = which.as_str(), depth = depth + dropped, limit = max);
        }
        let interval = self.config.queue_check_interval;
        let is_long = depth >= self.config.queue_depth_warning;
        if is_long && interval > Duration::ZERO && cx.timers.deadline(Timer::QueueCheck).is_none() {
            cx.timers.arm(Timer::QueueCheck, cx.now + interval);
        }
    }

    /// Says which queues are long, and looks again later while any is.
    pub(crate) fn on_queue_check(&self, cx: &mut Cx<'_>) {
        let mut any = false;
        for which in Queue::ALL {
            let depth = self.depth(which);
            if depth >= self.config.queue_depth_warning {
                any = true;
                log!(WARN, "queue_long", queue = which.as_str(), depth = depth);
            }
        }
        if any {
            cx.timers.arm(Timer::QueueCheck, cx.now + self.config.queue_check_interval);
        }
    }

    /// In proportion to the cluster, if that is wanted.
    fn depth_max(&self) -> usize {
        match self.config.queue_depth_min {
            0 => self.config.queue_depth_max,
            min => min.max(2 * self.records.len()),
        }
    }

    fn depth(&self, which: Queue) -> usize {
        match which {
            Queue::Intents => self.intents.len(),
            Queue::Queries => self.queries.broadcasts.len(),
            Queue::UserEvents => self.user_events.broadcasts.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::serf::config::Config;
    use crate::serf::tests::Scene;
    use crate::timers::Timer;
    use crate::wire::codec::Codec;

    fn flooded(config: Config, messages: u64) -> Scene {
        let mut scene = Scene::of(config, Codec::Native);
        flood(&mut scene, messages);
        scene
    }

    fn flood(scene: &mut Scene, messages: u64) {
        for n in 0..messages {
            scene.serf.queue_intent(&mut scene.parts.cx(), &mut scene.swim, None, |buf| {
                buf.extend_from_slice(&n.to_le_bytes());
            });
        }
    }

    /// serf-layer.md 5: a queue is looked at while it is long, and not otherwise.
    #[test]
    fn a_long_queue_is_watched() {
        let config = || Config { queue_depth_warning: 10, ..Config::default() };
        assert_eq!(flooded(config(), 9).parts.timers.deadline(Timer::QueueCheck), None);
        let mut scene = flooded(config(), 10);
        let first = scene.parts.now + Duration::from_secs(30);
        assert_eq!(scene.parts.timers.deadline(Timer::QueueCheck), Some(first));
        scene.parts.now = first;
        scene.serf.on_queue_check(&mut scene.parts.cx());
        assert_eq!(scene.parts.timers.deadline(Timer::QueueCheck), Some(first + Duration::from_secs(30)));
        scene.parts.timers.disarm(Timer::QueueCheck);
        scene.serf.intents.bound(1);
        scene.serf.on_queue_check(&mut scene.parts.cx());
        assert_eq!(scene.parts.timers.deadline(Timer::QueueCheck), None, "it is short again");
        let mut off = config();
        off.queue_check_interval = Duration::ZERO;
        assert_eq!(flooded(off, 10).parts.timers.deadline(Timer::QueueCheck), None);
    }

    /// With a least depth, the bound follows the number of members: twice as many, but no less.
    #[test]
    fn bounds() {
        for (min, max, bound) in [(0, 16, 16), (8, 16, 8), (1, 16, 2)] {
            let config = Config { queue_depth_min: min, queue_depth_max: max, ..Config::default() };
            let scene = flooded(config, 100);
            assert!(scene.serf.intents.len() <= bound, "{min} {max}: {}", scene.serf.intents.len());
            assert!(scene.parts.stats.broadcasts_over_limit >= 100 - bound as u64);
        }
        let mut scene = flooded(Config { queue_depth_min: 1, ..Config::default() }, 0);
        scene.alive(1, b"");
        flood(&mut scene, 100);
        assert_eq!(scene.serf.intents.len(), 4, "there are two members");
    }
}
