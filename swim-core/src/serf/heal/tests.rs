use core::time::Duration;

use super::*;
use crate::serf::tests::Scene;
use crate::testing::{accusation, address, alive, heard};
use crate::wire::codec::Codec;

const INTERVAL: Duration = Duration::from_secs(30);

fn scene(config: Config) -> Scene {
    Scene::of(config, Codec::Native)
}

/// Ticks do not become rarer.
fn steady() -> Config {
    Config { heal_interval_max: INTERVAL, ..Config::default() }
}

impl Scene {
    fn seeds(&mut self, seeds: &[SocketAddr]) {
        self.serf.set_seeds(&mut self.parts.cx(), seeds);
    }

    /// The member `n…` is there, at the address of that number, or no more.
    fn there(&mut self, n: u8, incarnation: u32) {
        let name = alloc::format!("n{n}");
        self.swim.handle_alive(&mut self.parts.cx(), &alive(&name, incarnation, address(n), b""), heard());
        self.settle();
    }

    fn gone(&mut self, n: u8, incarnation: u32) {
        let name = alloc::format!("n{n}");
        self.swim.handle_dead(&mut self.parts.cx(), &accusation(&name, incarnation, "n2"));
        self.settle();
    }

    /// It fails, and so long ago that it is forgotten.
    fn reaped(&mut self, n: u8, incarnation: u32) {
        self.there(n, incarnation);
        self.gone(n, incarnation);
        self.serf.config.reconnect_timeout = Duration::ZERO;
        self.parts.now += Duration::from_nanos(1);
        self.serf.on_reap(&mut self.parts.cx(), &self.swim);
    }

    fn force_leave(&mut self, n: u8, prune: bool) {
        let name = alloc::format!("n{n}");
        self.serf.force_leave(&mut self.parts.cx(), &mut self.swim, name.as_bytes(), prune);
        self.settle();
    }

    fn is_forgotten(&self, name: &[u8]) -> bool {
        self.parts.roster.find(name).is_none_or(|id| self.serf.records.get(id).status.is_none())
    }

    fn wait(&self) -> Duration {
        self.parts.timers.deadline(Timer::Heal).expect("there is always a next tick") - self.parts.now
    }

    /// Whom the next tick tries; they are left waiting.
    fn tick(&mut self) -> Vec<SocketAddr> {
        self.pass(self.wait());
        self.serf.check();
        core::iter::from_fn(|| self.serf.poll_heal()).collect()
    }

    fn over(&mut self, peer: SocketAddr, reached: bool) {
        self.serf.on_heal_over(&mut self.parts.cx(), &mut self.swim, peer, reached);
        self.serf.check();
    }

    /// Whom the next tick tries, in vain.
    fn in_vain(&mut self) -> Vec<SocketAddr> {
        let tried = self.tick();
        tried.iter().for_each(|peer| self.over(*peer, false));
        tried
    }

    /// Everybody that some of the next ticks try.
    fn whom(&mut self) -> Vec<SocketAddr> {
        let mut tried: Vec<_> = (0..100).flat_map(|_| self.in_vain()).collect();
        tried.sort_unstable();
        tried.dedup();
        tried
    }
}

/// An eighth more or less.
fn is_about(wait: Duration, expected: Duration) -> bool {
    (expected - expected / 8..=expected + expected / 8).contains(&wait)
}

/// The whole cluster together tries as often as there are candidates, but nobody more than one at a time.
#[test]
fn how_often() {
    #[rustfmt::skip]
    let table = [
        // others   seeds   reaped   tries in 1000 ticks
        (9_u8,      0_u8,   0_u8,    0..=0),
        (9,         1,      0,       70..=130),
        (9,         0,      1,       70..=130),
        (9,         3,      2,       450..=550),
        (9,         8,      2,       1000..=1000),
        (3,         20,     0,       1000..=1000),
        (0,         0,      0,       0..=0),
        (0,         1,      0,       1000..=1000),
        (0,         1,      1,       2000..=2000),
        (0,         3,      7,       4000..=4000), // alone: several at once, not all
    ];
    for (others, seeds, reaped, expected) in table {
        let mut scene = scene(steady());
        (0..reaped).for_each(|n| scene.reaped(n + 100, 1));
        (0..others).for_each(|n| scene.there(n + 2, 1));
        scene.seeds(&Vec::from_iter((0..seeds).map(|n| address(n + 50))));
        let tried = (0..1000).map(|_| scene.in_vain().len()).sum::<usize>();
        assert!(expected.contains(&tried), "{others} others, {seeds} seeds, {reaped} reaped: {tried} tries");
        assert_eq!(scene.parts.stats.heals_tried, tried as u64);
        assert_eq!(scene.parts.stats.heals_met, 0);
    }
}

#[test]
fn waits_double_until_there_is_something_new() {
    let mut scene = scene(Config::default());
    let waits = |scene: &mut Scene, expected: &[u64]| {
        for expected in expected {
            let wait = scene.wait();
            assert!(is_about(wait, Duration::from_secs(*expected)), "{wait:?}, not {expected} s");
            scene.in_vain();
        }
    };
    waits(&mut scene, &[30, 60, 120, 240, 480, 480]);
    scene.reaped(9, 1);
    waits(&mut scene, &[30, 60, 120]);
    scene.there(2, 1);
    waits(&mut scene, &[240]); // one more member is no more candidates
    scene.seeds(&[address(2)]);
    waits(&mut scene, &[480]); // nor is a seed that is one
    scene.gone(2, 1);
    waits(&mut scene, &[30, 60, 120]);
    let tried = scene.tick();
    assert!(tried.contains(&address(9)), "alone again");
    scene.there(9, 2);
    scene.over(address(9), true);
    waits(&mut scene, &[30, 60]);
}

/// A tick that is no further away than a first one would be stays where it is.
#[test]
fn a_tick_that_is_near_stays() {
    let first = Config::default().heal_interval;
    for (further, stays) in [(Duration::ZERO, true), (Duration::from_nanos(1), false)] {
        let mut scene = scene(Config::default());
        for _ in 0..3 {
            scene.in_vain();
        }
        scene.parts.now += scene.wait() - (first + further);
        scene.serf.remember(&mut scene.parts.cx(), Name::from("a"), address(10));
        assert_eq!(scene.wait() == first + further, stays);
        assert!(is_about(scene.wait(), first));
    }
}

/// New seeds are tried after a second, once; that is how a start with seeds joins.
#[test]
fn new_seeds_are_tried_soon() {
    let mut scene = scene(Config::default());
    assert!(scene.serf.poll_resolve(), "at first");
    assert!(!scene.serf.poll_resolve(), "once");
    scene.seeds(&[address(5)]);
    assert!((Duration::from_millis(500)..=Duration::from_millis(1500)).contains(&scene.wait()));
    assert_eq!(scene.in_vain(), [address(5)]);
    assert!(!scene.serf.poll_resolve(), "they have just been");
    // However often the names mean something else, that was the extra try.
    for n in 6..20 {
        scene.seeds(&[address(n)]);
        assert!(scene.wait() > Duration::from_secs(20), "{:?}", scene.wait());
    }
    assert_eq!(scene.in_vain(), [address(19)]);
    assert!(scene.serf.poll_resolve(), "a regular tick");
    scene.seeds(&[address(19)]);
    assert!(scene.wait() > Duration::from_secs(20), "nothing new");
    scene.seeds(&[address(20), address(19)]);
    assert!(scene.wait() < Duration::from_secs(2));
}

/// Short intervals make haste shorter.
#[test]
fn new_seeds_are_tried_sooner_than_others() {
    let interval = Duration::from_millis(100);
    let mut scene = scene(Config { heal_interval: interval, heal_interval_max: interval, ..Config::default() });
    scene.seeds(&[address(5)]);
    assert!((interval / 4..=interval * 3 / 4).contains(&scene.wait()), "{:?}", scene.wait());
}

/// An earlier run has had company: events that are sent again are not from before its time.
#[test]
fn the_restored_have_had_company() {
    let mut scene = scene(steady());
    assert!(scene.serf.heals_without_replay());
    scene.serf.restore(&mut scene.parts.stats, crate::serf::snapshot::Restored::default());
    assert!(!scene.serf.heals_without_replay());
}

/// However the names change and whatever happens, two ticks in one interval are the most.
#[test]
fn ticks_are_bounded() {
    let mut scene = scene(Config::default());
    let (start, mut tried) = (scene.parts.now, 0);
    for n in 0..10_000_u32 {
        let [_, _, c, d] = n.to_be_bytes();
        scene.seeds(&[([10, 1, c, d], 7946).into(), ([10, 1, c, d], 7947).into()]);
        scene.there(2, 2 * n + 1);
        scene.pass(Duration::from_millis(700));
        scene.gone(2, 2 * n + 1);
        while let Some(peer) = scene.serf.poll_heal() {
            tried += 1;
            scene.over(peer, n % 3 == 0);
        }
    }
    let intervals = (scene.parts.now - start).as_secs_f64() / (INTERVAL * 7 / 8).as_secs_f64();
    assert!((intervals..=2.0 * intervals + 2.0).contains(&f64::from(tried)), "{tried} in {intervals}");
}

#[test]
fn seeds_are_sifted() {
    let mut scene = scene(steady());
    let mapped = SocketAddr::new(core::net::Ipv4Addr::new(127, 0, 0, 5).to_ipv6_mapped().into(), 7946);
    let nobody = [([0, 0, 0, 0], 7946).into(), ([127, 0, 0, 6], 0).into()];
    scene.seeds(&[&[address(5), address(1), address(5), mapped, address(7)], &nobody[..]].concat());
    assert_eq!(scene.whom(), [address(5), address(7)]);
    scene.seeds(&[address(7)]);
    assert_eq!(scene.whom(), [address(7)], "the last list counts");
    let many = |count: u16| Vec::from_iter((1..=count).map(|port| SocketAddr::from(([127, 0, 0, 9], port))));
    scene.seeds(&many(SEEDS_MAX as u16));
    assert_eq!(scene.parts.stats.seeds_over_limit, 0);
    scene.seeds(&many(SEEDS_MAX as u16 + 1));
    assert_eq!((scene.parts.stats.seeds_over_limit, scene.serf.heal.seeds.len()), (1, SEEDS_MAX));
    scene.serf.check();
}

/// A seed is a candidate exactly while no living member has its address.
#[test]
fn seeds_that_are_members_are_not_tried() {
    let mut scene = scene(steady());
    scene.there(2, 1);
    scene.there(3, 1);
    scene.seeds(&[address(2), address(4)]);
    assert_eq!(scene.whom(), [address(4)]);
    scene.there(4, 1);
    assert_eq!(scene.whom(), []);
    scene.gone(2, 1);
    assert_eq!(scene.whom(), [address(2)], "failed");
    scene.there(2, 2);
    assert_eq!(scene.whom(), []);
    let leave = crate::wire::serf::Leave { ltime: crate::ids::LamportTime(9), node: b"n2", prune: false };
    scene.serf.handle_leave_intent(&mut scene.parts.cx(), &mut scene.swim, &leave);
    assert_eq!(scene.whom(), [], "leaving");
    scene.gone(2, 2);
    assert_eq!(scene.whom(), [address(2)], "left, and may come back");
    // Its slot gets another tenant, at another address.
    scene.reaped(4, 1);
    scene.there(8, 1);
    assert_eq!(scene.whom(), [address(2), address(4)]);
}

/// Those that failed and were forgotten, and nobody else.
#[test]
fn who_is_remembered() {
    let mut scene = scene(steady());
    scene.there(2, 1);
    for n in 10..20 {
        scene.there(n, 1);
        if n == 14 {
            // Without a word to Serf: failed. But SWIM lets it come back from elsewhere.
            scene.swim.handle_dead(&mut scene.parts.cx(), &accusation("n14", 1, "n14"));
            scene.settle();
        }
        scene.reaped(n, 1);
    }
    assert_eq!(scene.whom(), Vec::from_iter((10..20).map(address)));

    scene.there(10, 2);
    scene.force_leave(11, false);
    scene.force_leave(12, true);
    // Another name at the address, and the name at another address.
    scene.swim.handle_alive(&mut scene.parts.cx(), &alive("new", 1, address(13), b""), heard());
    scene.swim.handle_alive(&mut scene.parts.cx(), &alive("n14", 2, address(99), b""), heard());
    scene.settle();
    assert_eq!(scene.whom(), Vec::from_iter((15..20).map(address)));

    // Failed and made to leave, then forgotten.
    scene.there(30, 1);
    scene.gone(30, 1);
    scene.force_leave(30, false);
    scene.serf.config.tombstone_timeout = Duration::ZERO;
    scene.reaped(15, 2);
    assert!(scene.is_forgotten(b"n30"));
    // Failed and pruned.
    scene.there(31, 1);
    scene.gone(31, 1);
    scene.force_leave(31, true);
    // Failed and reaped, while somebody else lives at the address already.
    scene.there(32, 1);
    scene.gone(32, 1);
    scene.swim.handle_alive(&mut scene.parts.cx(), &alive("heir", 1, address(32), b""), heard());
    scene.settle();
    scene.reaped(16, 2);
    assert!(scene.is_forgotten(b"n32"));
    assert_eq!(scene.whom(), Vec::from_iter((15..20).map(address)));
}

#[test]
fn the_oldest_are_given_up() {
    let mut scene = scene(Config { remembered_max: 3, ..steady() });
    for n in [10, 11, 12] {
        scene.reaped(n, 1);
    }
    scene.reaped(10, 2); // the youngest now
    assert_eq!(scene.parts.stats.remembered_over_limit, 0);
    scene.reaped(13, 1);
    assert_eq!(scene.parts.stats.remembered_over_limit, 1);
    assert_eq!(scene.whom(), [address(10), address(12), address(13)]);

    let mut scene = self::scene(Config { remembered_max: 0, ..steady() });
    scene.reaped(10, 1);
    assert_eq!(scene.whom(), []);
}

/// A name that was at several addresses is worth one try, and so is an address that had several names.
#[test]
fn one_of_a_name_and_one_of_an_address() {
    let mut scene = scene(steady());
    for (name, n) in [("a", 10), ("b", 11), ("a", 12), ("c", 11)] {
        scene.serf.remember(&mut scene.parts.cx(), Name::from(name), address(n));
    }
    assert_eq!(scene.whom(), [address(11), address(12)]);
    let names: Vec<_> = scene.serf.heal.remembered.iter().map(|remembered| remembered.name.clone()).collect();
    assert_eq!(names, ["a", "c"].map(Name::from));
}

/// Of a snapshot: whom the table does not know, and nobody has said to have left.
#[test]
fn the_unmet_of_a_snapshot_are_remembered() {
    let mut scene = scene(steady());
    scene.there(2, 1);
    scene.there(3, 1);
    scene.gone(3, 1);
    scene.force_leave(4, false);
    let unmet = (2..6).map(|n| (Name::from(alloc::format!("n{n}").as_str()), address(n)));
    scene.serf.remember_unmet(&mut scene.parts.cx(), unmet);
    assert_eq!(scene.whom(), [address(5)]);
}

#[test]
fn nothing_is_tried_if_it_is_not_wanted() {
    let mut scene = scene(Config { heal_interval: Duration::ZERO, ..Config::default() });
    scene.seeds(&[address(5)]);
    scene.reaped(9, 1);
    assert_eq!(scene.parts.timers.deadline(Timer::Heal), None);
    assert!(!scene.serf.poll_resolve());
    scene.pass(Duration::from_secs(3600));
    assert_eq!(scene.serf.poll_heal(), None);
    assert!(scene.serf.heal.seeds.is_empty(), "nor kept");
    scene.serf.check();
}

/// Who leaves does not look for company, nor come back for what it finds.
#[test]
fn not_on_the_way_out() {
    let mut scene = scene(Config::default());
    scene.seeds(&[address(5)]);
    assert_eq!(scene.tick(), [address(5)]);
    scene.serf.leave(&mut scene.parts.cx(), &mut scene.swim);
    scene.there(5, 1);
    let _leave = scene.said();
    scene.over(address(5), true);
    assert!(!scene.said().iter().any(|said| says_join(said)), "an intent to join would call off the leave");
    scene.seeds(&[address(6)]);
    scene.pass(Duration::from_secs(3600));
    assert_eq!((scene.serf.poll_heal(), scene.parts.timers.deadline(Timer::Heal)), (None, None));
}

fn says_join(said: &[u8]) -> bool {
    use crate::wire::serf::SerfMessage;
    matches!(Codec::Native.decode_serf(said), Ok(SerfMessage::Join(_)))
}

/// Who was alone and is no more has joined, and says so, once; who was not has not.
#[test]
fn the_first_company_is_a_join() {
    for alone in [true, false] {
        let mut scene = scene(steady());
        if !alone {
            scene.there(2, 1);
        }
        assert_eq!(scene.serf.heals_without_replay(), alone);
        scene.seeds(&[address(5), address(6), address(7)]);
        let tried = loop {
            let tried = scene.tick();
            if !tried.is_empty() {
                break tried;
            }
        };
        assert_eq!(tried.len(), if alone { 3 } else { 1 });
        let SocketAddr::V4(first) = tried[0] else { panic!("an address of this test") };
        scene.there(first.ip().octets()[3], 1);
        tried.iter().for_each(|peer| scene.over(*peer, true));
        assert_eq!(scene.parts.stats.heals_met, 1, "what the first has brought is not the others' merit");
        assert!(!scene.serf.heals_without_replay());
        let joins = scene.said().iter().filter(|said| says_join(said)).count();
        assert_eq!(joins, usize::from(alone));
    }
}

/// An address that answers and is no member's, a balancer's for one, is asked at the longest interval only. Unless what
/// answers may be ourselves, or a member that has failed.
#[test]
fn an_address_that_is_no_members_is_asked_rarely() {
    let config = Config { heal_interval_max: INTERVAL * 16, ..Config::default() };
    #[rustfmt::skip]
    let table = [
        // alone  a seed  once a member, now      rarely
        (false,   true,   None,                   true),
        (true,    true,   None,                   false),
        (false,   false,  Some("forgotten"),      true),
        (false,   true,   Some("failed"),         false),
    ];
    for (alone, is_seed, was, rarely) in table {
        let mut scene = scene(config.clone());
        if !alone {
            scene.there(2, 1);
        }
        match was {
            Some("failed") => {
                scene.there(5, 1);
                scene.gone(5, 1);
            }
            Some(_) => scene.reaped(5, 1),
            None => {}
        }
        let own = if is_seed { &[address(5)][..] } else { &[] };
        scene.seeds(own);
        let mut asked = Vec::new();
        // Something new all the time, so that ticks are frequent.
        for n in 0..1000_u32 {
            let tried = scene.tick();
            if tried.contains(&address(5)) {
                asked.push(scene.parts.now);
            }
            tried.iter().for_each(|peer| scene.over(*peer, *peer == address(5)));
            let seed = SocketAddr::from(([10, 2, 0, 1], 1000 + n as u16));
            scene.seeds(&[own, &[seed]].concat());
        }
        let shortest = asked.windows(2).map(|pair| pair[1] - pair[0]).min().expect("it was asked");
        assert!(asked.len() > 10, "{} times", asked.len());
        assert_eq!(shortest >= INTERVAL * 16, rarely, "{alone} {is_seed} {was:?}: {shortest:?}");
    }
}

/// A try under way is not begun again, and so many are enough.
#[test]
fn tries_under_way_are_bounded() {
    let mut scene = scene(steady());
    scene.seeds(&Vec::from_iter((50..60).map(address)));
    let first = scene.tick();
    assert_eq!(first.len(), TRIES_AT_ONCE);
    assert_eq!(scene.tick(), []);
    scene.over(first[0], false);
    scene.over(first[0], false); // twice is once
    let mut running = first[1..].to_vec();
    for _ in 0..20 {
        let next = scene.tick();
        assert_eq!(next.len(), 1);
        assert!(!running.contains(&next[0]));
        running.extend(next);
        scene.over(running.remove(0), false);
    }
}

/// Both sorts of candidates have their turn, whatever their numbers.
#[test]
fn one_seed_among_many_remembered() {
    let mut scene = scene(steady());
    scene.there(2, 1);
    for n in 100..200 {
        scene.reaped(n, 1);
    }
    scene.seeds(&[address(5)]);
    let tried = Vec::from_iter((0..1000).flat_map(|_| scene.in_vain()));
    let seed = tried.iter().filter(|peer| **peer == address(5)).count();
    assert!((tried.len(), (450..=550).contains(&seed)) == (1000, true), "{seed} of {}", tried.len());
}
