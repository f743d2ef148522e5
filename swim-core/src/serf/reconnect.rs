//! Trying to reach the failed again (serf-layer.md 6.4): SWIM forgets them after seconds, and after a long partition
//! nobody else would bring the two sides together.

use crate::cx::Cx;
use crate::log::log;
use crate::serf::Serf;
use crate::serf::config::Life;
use crate::swim::Swim;
use crate::timers::Timer;

impl Serf {
    pub(super) fn arm_reconnect(&self, cx: &mut Cx<'_>) {
        if !self.config.reconnect_interval.is_zero() {
            cx.timers.arm(Timer::Reconnect, cx.now + self.config.reconnect_interval);
        }
    }

    /// Asks for a full state exchange with one of the failed. If it comes about, the member is told that it is believed
    /// dead, and refutes; no intent to join follows, because nobody has left.
    ///
    /// The whole cluster together tries about as often as there are failed members: each of us does so with probability
    /// failed / alive. Unlike Serf, a node that is leaving does not try.
    pub(crate) fn on_reconnect(&mut self, cx: &mut Cx<'_>, swim: &mut Swim) {
        self.arm_reconnect(cx);
        let (failed, left) = (self.records.failed(), self.records.left());
        if failed.is_empty() || self.life() != Life::Alive {
            return;
        }
        let others = self.records.len() - failed.len() - left.len();
        if cx.targets.below(others.max(1)) >= failed.len() {
            return;
        }
        let id = failed[cx.targets.below(failed.len())];
        let peer = cx.roster.address(id);
        log!(INFO, "reconnecting", member = cx.roster.slot(id).name, peer = peer);
        cx.stats.reconnects += 1;
        swim.exchange_as_joiner(peer);
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::ids::LamportTime;
    use crate::serf::config::Config;
    use crate::serf::member::Status;
    use crate::serf::tests::Scene;
    use crate::swim::Exchange;
    use crate::testing::{accusation, address, alive, heard};
    use crate::wire::codec::Codec;
    use crate::wire::serf::Leave;

    /// So many members beside us, and so many more that failed.
    fn scene(there: u8, failed: u8) -> Scene {
        let mut scene = Scene::of(Config::default(), Codec::Native);
        for n in 0..there + failed {
            let name = alloc::format!("n{n}");
            scene.swim.handle_alive(&mut scene.parts.cx(), &alive(&name, 1, address(n + 2), b""), heard());
            if n >= there {
                scene.swim.handle_dead(&mut scene.parts.cx(), &accusation(&name, 1, "n0"));
            }
        }
        while let Some(change) = scene.swim.poll_change() {
            scene.serf.handle_change(&mut scene.parts.cx(), &scene.swim, change);
        }
        scene
    }

    fn tries(scene: &mut Scene, rounds: u32) -> alloc::vec::Vec<Exchange> {
        scene.pass(Duration::from_secs(30) * rounds);
        core::iter::from_fn(|| scene.swim.poll_exchange()).collect()
    }

    /// serf-layer.md 6.4: with probability failed / (members - failed - left), every 30 seconds.
    #[test]
    fn how_often() {
        #[rustfmt::skip]
        let table = [
            // others   failed   in 1000 rounds
            (9,         0,       0..=0),
            (0,         1,       1000..=1000),
            (9,         1,       70..=130),
            (9,         5,       450..=550),
            (9,         10,      1000..=1000),
            (3,         20,      1000..=1000),
        ];
        for (others, failed, expected) in table {
            let mut scene = scene(others, failed);
            let tried = tries(&mut scene, 1000).len();
            assert!(expected.contains(&tried), "{others} others, {failed} failed: {tried} times");
            assert_eq!(scene.parts.stats.reconnects, tried as u64);
        }

        // Those that have left try nothing, and count neither way.
        let mut scene = scene(5, 1);
        for n in 0..5 {
            let name = alloc::format!("n{n}");
            let leave = Leave { ltime: LamportTime(9), node: name.as_bytes(), prune: false };
            scene.serf.handle_leave_intent(&mut scene.parts.cx(), &mut scene.swim, &leave);
            scene.swim.handle_dead(&mut scene.parts.cx(), &accusation(&name, 1, &name));
        }
        scene.settle();
        assert_eq!((scene.serf.records.failed().len(), scene.serf.records.left().len()), (1, 5));
        assert_eq!(tries(&mut scene, 100).len(), 100, "only we are there");
    }

    /// Any of the failed, nobody else, and as a joiner.
    #[test]
    fn whom() {
        let mut scene = scene(2, 3);
        let tried = tries(&mut scene, 100);
        for n in 0..5 {
            let exchange = Exchange::PushPull { peer: address(n + 2), join: true };
            assert_eq!(tried.contains(&exchange), n >= 2, "n{n}");
        }
        assert_eq!(tries(&mut scene, 1).len(), 1);
        scene.serf.leave(&mut scene.parts.cx(), &mut scene.swim);
        assert_eq!(tries(&mut scene, 10), [], "we are on our way out");
    }

    #[test]
    fn not_if_it_is_not_wanted() {
        let mut scene = Scene::of(Config { reconnect_interval: Duration::ZERO, ..Config::default() }, Codec::Native);
        scene.alive(1, b"");
        scene.dead();
        assert_eq!(scene.status(), Some(Status::Failed));
        assert_eq!(tries(&mut scene, 10), []);
    }
}
