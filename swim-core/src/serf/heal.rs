//! Healing that never gives up: until everybody has met, a node tries the seeds that it was given and the members that it
//! remembers.
//!
//! Serf tries to reach a failed member for a day (`reconnect.rs`) and then forgets it (`reap.rs`): a longer partition splits
//! its clusters for ever, and so does an outage of everybody that ends in the wrong order. Here two lists outlive that
//! day. The *seeds* are addresses that the driver resolves from names, and resolves again whenever a tick asks for it.
//! The *remembered* are members that were reaped as failed, or that a snapshot knew and the rejoin did not reach; not
//! those that left, were made to leave, or were pruned. Whoever is in a list and is no living member is a candidate.
//!
//! Ticks come `heal_interval` apart, then twice, four times as far, up to `heal_interval_max`, and begin anew when
//! something new becomes a candidate or an exchange has brought members. At a tick each of n living members tries one
//! candidate with probability candidates / n, so that the whole cluster tries about as often as there are candidates, as
//! with Serf's reconnects; who is alone always tries, and several at once. A try is a full state exchange as a joiner.
//!
//! What it costs: nothing is looked for at a tick, because whether a seed belongs to a member is noted when the member
//! comes. One look at all members follows when seeds or remembered ones are new. A member makes at most two tries in a
//! `heal_interval`, and after a while one in a `heal_interval_max`; while it is alone, [`TRIES_AT_ONCE`] times as many.
//!
//! The dice are this file's own, so that switching it off changes nothing else that a node does.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::cx::Cx;
use crate::ids::{MemberId, Name};
use crate::log::log;
use crate::rng::{Rng, Stream};
use crate::roster::Roster;
use crate::serf::Serf;
use crate::serf::config::{Config, Life};
use crate::serf::member::Status;
use crate::swim::Swim;
use crate::time::Instant;
use crate::timers::Timer;

/// Whom to try, and when.
#[derive(Debug)]
pub(crate) struct Heal {
    rng: Rng,
    /// By address, each once.
    seeds: Vec<Seed>,
    /// The oldest first.
    remembered: VecDeque<Remembered>,
    /// Before jitter, the wait that began with the last tick.
    interval: Duration,
    /// Since the last regular tick, new seeds have brought an extra one.
    hastened: bool,
    /// The tick that is armed is the extra one.
    extra: bool,
    /// The names of the seeds should be resolved.
    resolve: bool,
    /// To be tried, and not yet taken.
    wanted: VecDeque<SocketAddr>,
    /// Tried, and not over.
    running: Vec<Try>,
    /// How often somebody else has come, so that an exchange can tell whether it brought anybody.
    arrivals: u64,
    /// Once we were not alone, in this run or, by the snapshot, in the last.
    had_company: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seed {
    address: SocketAddr,
    /// The member there, as far as we know. Slots are reused: look whether it still is.
    member: Option<MemberId>,
    /// Not a candidate before.
    quiet_until: Instant,
}

#[derive(Debug)]
struct Remembered {
    name: Name,
    address: SocketAddr,
    /// Not a candidate before.
    quiet_until: Instant,
    /// No living member had the address when we looked; whoever comes there later takes the entry away.
    checked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    peer: SocketAddr,
    /// We had nobody, so that it is a join.
    alone: bool,
    /// Those of the moment.
    arrivals: u64,
}

impl Heal {
    pub(super) fn new(config: &Config, seed: [u8; 32]) -> Self {
        Self {
            rng: Rng::new(seed, Stream::Healing),
            seeds: Vec::new(),
            remembered: VecDeque::new(),
            interval: config.heal_interval,
            hastened: false,
            extra: false,
            resolve: !config.heal_interval.is_zero(),
            wanted: VecDeque::new(),
            running: Vec::new(),
            arrivals: 0,
            had_company: false,
        }
    }

    fn seed_at(&mut self, address: SocketAddr) -> Option<&mut Seed> {
        let index = self.seeds.binary_search_by_key(&address, |seed| seed.address).ok()?;
        Some(&mut self.seeds[index])
    }

    fn is_running(&self, address: SocketAddr) -> bool {
        self.running.iter().any(|running| running.peer == address)
    }

    /// About this long, so that nodes started together do not stay in step.
    fn jittered(&mut self, wait: Duration) -> Duration {
        wait - wait / 8 + self.rng.duration_below(wait / 4)
    }
}

impl Serf {
    pub(super) fn arm_heal(&mut self, cx: &mut Cx<'_>) {
        if self.heals() {
            let wait = self.heal.jittered(self.heal.interval);
            cx.timers.arm(Timer::Heal, cx.now + wait);
        }
    }

    /// These are the seeds now, at most [`SEEDS_MAX`]. A new one that is nobody's address is tried at once, a moment
    /// being left to all who learn of it together; but only once between two regular ticks, whatever the names say.
    pub(crate) fn set_seeds(&mut self, cx: &mut Cx<'_>, addresses: &[SocketAddr]) {
        if !self.heals() || self.life() != Life::Alive {
            return;
        }
        let own = cx.roster.address(self.local);
        cx.stats.seeds_over_limit += addresses.len().saturating_sub(SEEDS_MAX) as u64;
        let given = addresses.iter().take(SEEDS_MAX);
        let given = given.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
        let mut given: Vec<_> = given.filter(|address| *address != own && is_dialable(*address)).collect();
        given.sort_unstable();
        given.dedup();
        let fresh = |address| Seed { address, member: None, quiet_until: Instant::ZERO };
        let is_new = |address: &&SocketAddr| self.heal.seeds.binary_search_by_key(*address, |s| s.address).is_err();
        let new: Vec<_> = given.iter().filter(is_new).copied().collect();
        let seeds = given.iter().map(|address| self.heal.seed_at(*address).copied().unwrap_or_else(|| fresh(*address)));
        self.heal.seeds = seeds.collect();
        if new.is_empty() {
            return;
        }
        self.look_around(cx.roster);
        let unmet = |seed: &Seed| new.binary_search(&seed.address).is_ok() && !self.is_met(cx.roster, seed);
        if !self.heal.seeds.iter().any(unmet) {
            return;
        }
        self.hurry_to_heal(cx);
        let haste = HASTE.min(self.config.heal_interval / 2);
        let soon = cx.now + haste / 2 + self.heal.rng.duration_below(haste);
        if !self.heal.hastened && cx.timers.deadline(Timer::Heal).is_some_and(|regular| regular > soon) {
            (self.heal.hastened, self.heal.extra) = (true, true);
            cx.timers.arm(Timer::Heal, soon);
        }
    }

    /// Whether the names of the seeds should be resolved again.
    pub(crate) fn poll_resolve(&mut self) -> bool {
        core::mem::take(&mut self.heal.resolve)
    }

    /// Time to look for candidates.
    pub(crate) fn on_heal(&mut self, cx: &mut Cx<'_>, swim: &Swim) {
        if self.life() != Life::Alive {
            return; // There is no way back.
        }
        if !core::mem::take(&mut self.heal.extra) {
            self.heal.hastened = false;
            self.heal.resolve = true;
            self.heal.interval = self.heal.interval.saturating_mul(2).min(self.config.heal_interval_max);
        }
        self.arm_heal(cx);
        let (mut seeds, mut remembered) = self.candidates(cx);
        let candidates = seeds.len() + remembered.len();
        let alone = swim.active() == 0;
        let alive = self.records.len() - self.records.failed().len() - self.records.left().len();
        if candidates == 0 || (!alone && self.heal.rng.below(alive) >= candidates) {
            return;
        }
        let tries = if alone { TRIES_AT_ONCE } else { 1 };
        for _ in 0..tries.min(TRIES_AT_ONCE - self.heal.running.len()) {
            let Heal { rng, running, wanted, arrivals, .. } = &mut self.heal;
            // Each sort has its half: a hundred members of yesterday must not hide the one seed that is back.
            let from_seeds = remembered.is_empty() || (!seeds.is_empty() && rng.below(2) == 0);
            let sort = if from_seeds { &mut seeds } else { &mut remembered };
            if sort.is_empty() {
                return;
            }
            let peer = sort.swap_remove(rng.below(sort.len()));
            log!(INFO, "healing", peer = peer);
            cx.stats.heals_tried += 1;
            running.push(Try { peer, alone, arrivals: *arrivals });
            wanted.push_back(peer);
        }
    }

    /// Somebody to exchange full states with, as a joiner; [`on_heal_over`](Self::on_heal_over) wants to know what
    /// comes of it.
    pub(crate) fn poll_heal(&mut self) -> Option<SocketAddr> {
        self.heal.wanted.pop_front()
    }

    /// User events from before our time are not wanted when we find our first company, just as with a join.
    pub(crate) fn heals_without_replay(&self) -> bool {
        !self.heal.had_company
    }

    /// A try is over.
    pub(crate) fn on_heal_over(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, peer: SocketAddr, reached: bool) {
        let Some(index) = self.heal.running.iter().position(|running| running.peer == peer) else { return };
        let Try { alone, arrivals, .. } = self.heal.running.swap_remove(index);
        if !reached || self.life() != Life::Alive {
            return;
        }
        let now_there = self.heal.arrivals;
        if now_there > arrivals {
            log!(INFO, "healed", peer = peer);
            cx.stats.heals_met += 1;
            // What this one has brought is not the merit of the others.
            self.heal.running.iter_mut().for_each(|running| running.arrivals = now_there);
            self.hurry_to_heal(cx);
        }
        if swim.active() == 0 {
            return; // Behind that address are we ourselves: no reason to ask it less often.
        }
        if alone {
            self.heal.running.iter_mut().for_each(|running| running.alone = false);
            self.broadcast_join(cx, swim);
        }
        // Somebody answers and no member is known by that address: an address translator, or many behind one name.
        let later = cx.now + self.config.heal_interval_max;
        if let Some(remembered) = self.heal.remembered.iter_mut().find(|remembered| remembered.address == peer) {
            remembered.quiet_until = later;
        }
        if let Some(seed) = self.heal.seed_at(peer).copied()
            && self.status_of(cx.roster, &seed).is_none()
            && let Some(seed) = self.heal.seed_at(peer)
        {
            seed.quiet_until = later;
        }
    }

    /// A member is there, for the first time or again.
    pub(super) fn heal_joined(&mut self, cx: &Cx<'_>, id: MemberId) {
        if id == self.local {
            return;
        }
        self.heal.arrivals += 1;
        self.heal.had_company = true;
        let (name, address) = (&cx.roster.slot(id).name, cx.roster.address(id));
        self.heal.remembered.retain(|remembered| remembered.name != *name && remembered.address != address);
        if let Some(seed) = self.heal.seed_at(address) {
            seed.member = Some(id);
        }
    }

    /// A member has failed or left; if a seed's address was its own, that is a candidate now.
    pub(super) fn heal_departed(&mut self, cx: &mut Cx<'_>, id: MemberId) {
        if self.heal.seed_at(cx.roster.address(id)).is_some() {
            self.hurry_to_heal(cx);
        }
    }

    /// Nobody in the table has this name any more, or has it yet, but whoever had it may come back there.
    pub(crate) fn remember(&mut self, cx: &mut Cx<'_>, name: Name, address: SocketAddr) {
        if !self.heals() || self.config.remembered_max == 0 || !is_dialable(address) {
            return;
        }
        let remembered = &mut self.heal.remembered;
        remembered.retain(|known| known.name != name && known.address != address);
        if remembered.len() >= self.config.remembered_max {
            remembered.pop_front();
            cx.stats.remembered_over_limit += 1;
        }
        remembered.push_back(Remembered { name, address, quiet_until: Instant::ZERO, checked: false });
        self.hurry_to_heal(cx);
    }

    /// Members of a snapshot that were not met again.
    pub(crate) fn remember_unmet(&mut self, cx: &mut Cx<'_>, unmet: impl Iterator<Item = (Name, SocketAddr)>) {
        for (name, address) in unmet {
            let known = cx.roster.find(name.as_bytes()).and_then(|id| self.records.get(id).status);
            // Of the known the table says more than the snapshot; so does a word that they have left.
            if known.is_none() && !self.recent_intents.says_left(name.as_bytes()) {
                self.remember(cx, name, address);
            }
        }
    }

    /// Somebody whom we do not know means to leave, or is made to.
    pub(super) fn heal_forget(&mut self, name: &[u8]) {
        self.heal.remembered.retain(|remembered| remembered.name.as_bytes() != name);
    }

    /// An earlier run had company.
    pub(super) fn heal_restored(&mut self) {
        self.heal.had_company = true;
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn check_heal(&self) {
        let Heal { seeds, remembered, running, wanted, interval, .. } = &self.heal;
        assert!(seeds.is_sorted_by(|a, b| a.address < b.address), "seeds are in order, each once");
        assert!(seeds.len() <= SEEDS_MAX && remembered.len() <= self.config.remembered_max);
        assert!(running.len() <= TRIES_AT_ONCE && wanted.len() <= running.len());
        assert!(!self.heals() || (self.config.heal_interval..=self.config.heal_interval_max).contains(interval));
    }

    fn heals(&self) -> bool {
        !self.config.heal_interval.is_zero()
    }

    /// Something is new: begin again with short waits.
    fn hurry_to_heal(&mut self, cx: &mut Cx<'_>) {
        self.heal.interval = self.config.heal_interval;
        if cx.timers.deadline(Timer::Heal).is_some_and(|at| at > cx.now + self.config.heal_interval) {
            self.arm_heal(cx);
        }
    }

    /// Whom a tick may try: seeds, and the remembered elsewhere.
    fn candidates(&mut self, cx: &Cx<'_>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        if self.heal.remembered.iter().any(|remembered| !remembered.checked) {
            self.look_around(cx.roster);
        }
        let may = |address, quiet_until| quiet_until <= cx.now && !self.heal.is_running(address);
        let seeds = self.heal.seeds.iter();
        let seeds = seeds.filter(|seed| !self.is_met(cx.roster, seed) && may(seed.address, seed.quiet_until));
        let elsewhere =
            |address: &SocketAddr| self.heal.seeds.binary_search_by_key(address, |seed| seed.address).is_err();
        let remembered = self.heal.remembered.iter().filter(|known| may(known.address, known.quiet_until));
        let remembered = remembered.map(|known| known.address).filter(elsewhere);
        (seeds.map(|seed| seed.address).collect(), remembered.collect())
    }

    /// Looks at every member once: whose the seeds' addresses are, and which remembered ones are somebody else's by now.
    fn look_around(&mut self, roster: &Roster) {
        let Self { heal, records, .. } = self;
        let mut unchecked: Vec<_> =
            heal.remembered.iter().filter(|known| !known.checked).map(|known| known.address).collect();
        unchecked.sort_unstable();
        let mut taken = Vec::new();
        for (id, record) in records.iter() {
            let address = roster.address(id);
            let lives = record.status.is_some_and(Status::is_there);
            if let Some(seed) = heal.seed_at(address)
                && (lives || seed.member.is_none())
            {
                seed.member = Some(id);
            }
            if lives && unchecked.binary_search(&address).is_ok() {
                taken.push(address);
            }
        }
        heal.remembered.retain(|known| !taken.contains(&known.address));
        heal.remembered.iter_mut().for_each(|known| known.checked = true);
    }

    fn is_met(&self, roster: &Roster, seed: &Seed) -> bool {
        self.status_of(roster, seed).is_some_and(Status::is_there)
    }

    /// Of the member at that address; `None`: we know of none.
    fn status_of(&self, roster: &Roster, seed: &Seed) -> Option<Status> {
        let id = seed.member?;
        let status = self.records.get(id).status?;
        (roster.address(id) == seed.address).then_some(status)
    }
}

fn is_dialable(address: SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified()
}

/// Addresses of seeds that are kept; of more, the first ones.
pub(crate) const SEEDS_MAX: usize = 256;
/// Tries under way at the same time, and those of one tick while we are alone.
const TRIES_AT_ONCE: usize = 4;
/// About so long after new seeds are known they are tried.
const HASTE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
