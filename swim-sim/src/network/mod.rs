//! How far apart things are, what gets lost, and who cannot reach whom.
//!
//! One law for all links, with exceptions for some. `latency.rs` has the laws of travel, `queue.rs` what a direction
//! remembers: bursts of losses and bytes that wait.

mod latency;
mod queue;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use swim_core::Instant;

pub use self::latency::{LATENCY_MAX, Latency, Matrix};
pub use self::queue::{Bandwidth, Bursts};
use crate::rng::Rng;
use queue::Direction;

/// What one direction between two addresses is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// How long a packet travels.
    pub latency: Latency,
    /// How likely it is that a packet is lost, each on its own.
    pub loss: f64,
    /// Losses that come together.
    pub bursts: Option<Bursts>,
    /// How likely it is that a datagram that is not lost arrives twice; each copy travels on its own.
    pub duplication: f64,
    /// Datagrams that are held up.
    pub reordering: Option<Reordering>,
    /// How likely it is that a datagram arrives with other bits, or fewer. Streams have their checksums.
    pub corruption: f64,
    /// What fits through.
    pub bandwidth: Option<Bandwidth>,
    /// Longer datagrams are dropped: the path fragments nothing.
    pub mtu: Option<usize>,
}

impl Link {
    /// Nothing is lost, and everything takes as long as `latency` says.
    pub fn new(latency: Latency) -> Self {
        Self {
            latency,
            loss: 0.0,
            bursts: None,
            duplication: 0.0,
            reordering: None,
            corruption: 0.0,
            bandwidth: None,
            mtu: None,
        }
    }
}

/// Some datagrams take a detour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reordering {
    /// How likely each does.
    pub chance: f64,
    /// By how much it is late, at most.
    pub by: Duration,
}

/// All links. One law for everybody, with exceptions.
#[derive(Clone, Debug)]
pub struct Network {
    default: Link,
    exceptions: BTreeMap<(SocketAddr, SocketAddr), Link>,
    matrix: Option<Matrix>,
    /// Which side of a partition an address is on; everybody else is on side 0.
    sides: BTreeMap<SocketAddr, u32>,
    cuts: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Nothing arrives there.
    deaf: BTreeSet<SocketAddr>,
    /// Nothing gets away from there.
    mute: BTreeSet<SocketAddr>,
    /// Of links that have one: bursts and queues are memory.
    directions: BTreeMap<(SocketAddr, SocketAddr), Direction>,
    /// Partitions, cuts, the deaf and the mute: there are none most of the time.
    divided: bool,
}

impl Network {
    /// Nothing is lost, and everything takes as long as `latency` says.
    pub fn new(latency: Latency) -> Self {
        Self {
            default: Link::new(latency),
            exceptions: BTreeMap::new(),
            matrix: None,
            sides: BTreeMap::new(),
            cuts: BTreeSet::new(),
            deaf: BTreeSet::new(),
            mute: BTreeSet::new(),
            directions: BTreeMap::new(),
            divided: false,
        }
    }

    /// The law for every link that has none of its own.
    pub fn default_link_mut(&mut self) -> &mut Link {
        &mut self.default
    }

    /// The law for one direction between two addresses, from now on its own.
    pub fn link_mut(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Link {
        self.exceptions.entry((from, to)).or_insert(self.default)
    }

    /// Distances between sites, on top of every link's latency.
    pub fn set_matrix(&mut self, matrix: Option<Matrix>) {
        self.matrix = matrix;
    }

    /// Splits the world: only addresses in one group reach each other. Who is in no group forms one with all such.
    pub fn partition<'a>(&mut self, groups: impl IntoIterator<Item = &'a [SocketAddr]>) {
        self.sides.clear();
        for (side, group) in (1..).zip(groups) {
            self.sides.extend(group.iter().map(|address| (*address, side)));
        }
        self.note_divisions();
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: SocketAddr, to: SocketAddr) {
        self.cuts.insert((from, to));
        self.note_divisions();
    }

    /// From now on nothing arrives at this address.
    pub fn deafen(&mut self, address: SocketAddr) {
        self.deaf.insert(address);
        self.note_divisions();
    }

    /// From now on nothing that this address sends arrives.
    pub fn mute(&mut self, address: SocketAddr) {
        self.mute.insert(address);
        self.note_divisions();
    }

    /// Undoes every partition and every cut; nobody is deaf or mute. Losses and latencies stay.
    pub fn heal(&mut self) {
        self.sides.clear();
        self.cuts.clear();
        self.deaf.clear();
        self.mute.clear();
        self.note_divisions();
    }

    /// Whether anything sent at `from` can arrive at `to`.
    pub fn connects(&self, from: SocketAddr, to: SocketAddr) -> bool {
        if !self.divided {
            return true;
        }
        let side = |address| self.sides.get(address).copied().unwrap_or(0);
        side(&from) == side(&to)
            && !self.cuts.contains(&(from, to))
            && !self.mute.contains(&from)
            && !self.deaf.contains(&to)
    }

    /// How long the next packet travels.
    pub(crate) fn latency(&self, rng: &mut Rng, from: SocketAddr, to: SocketAddr) -> Duration {
        let own = self.link(from, to).latency.draw(rng);
        self.matrix.as_ref().map_or(own, |matrix| own + matrix.between(from, to))
    }

    /// Whether the next packet is lost. Links without loss draw nothing, so that they do not move the other dice.
    pub(crate) fn loses(&mut self, rng: &mut Rng, now: Instant, from: SocketAddr, to: SocketAddr) -> bool {
        let Link { loss, bursts, .. } = *self.link(from, to);
        let eaten = bursts.is_some_and(|bursts| self.directions.entry((from, to)).or_default().eats(rng, now, &bursts));
        eaten || (loss > 0.0 && rng.chance(loss))
    }

    /// Whether the path is too narrow for a datagram of this length.
    pub(crate) fn fits(&self, from: SocketAddr, to: SocketAddr, len: usize) -> bool {
        self.link(from, to).mtu.is_none_or(|mtu| len <= mtu)
    }

    /// Whether the next datagram arrives twice. Links without duplication draw nothing, either.
    pub(crate) fn duplicates(&self, rng: &mut Rng, from: SocketAddr, to: SocketAddr) -> bool {
        let duplication = self.link(from, to).duplication;
        duplication > 0.0 && rng.chance(duplication)
    }

    /// By how much the next datagram is late for no reason.
    pub(crate) fn detour(&self, rng: &mut Rng, from: SocketAddr, to: SocketAddr) -> Duration {
        match self.link(from, to).reordering {
            Some(Reordering { chance, by }) if rng.chance(chance) => rng.duration_between(Duration::ZERO, by),
            Some(_) | None => Duration::ZERO,
        }
    }

    /// Damages the next datagram, or not.
    pub(crate) fn corrupt(&self, rng: &mut Rng, from: SocketAddr, to: SocketAddr, datagram: &mut Vec<u8>) {
        let corruption = self.link(from, to).corruption;
        if corruption <= 0.0 || datagram.is_empty() || !rng.chance(corruption) {
            return;
        }
        if rng.below(4) == 0 {
            datagram.truncate(rng.below(datagram.len() as u64) as usize);
            return;
        }
        for _ in 0..=rng.below(4) {
            let bit = rng.below(datagram.len() as u64 * 8) as usize;
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// How long so many bytes wait for their turn and take to be sent; `None` when the queue is full. Whoever is
    /// `patient` is never turned away.
    pub(crate) fn queue(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        len: usize,
        patient: bool,
    ) -> Option<Duration> {
        let Some(bandwidth) = self.link(from, to).bandwidth else { return Some(Duration::ZERO) };
        self.directions.entry((from, to)).or_default().queue(now, len, bandwidth, patient)
    }

    fn link(&self, from: SocketAddr, to: SocketAddr) -> &Link {
        if self.exceptions.is_empty() {
            return &self.default;
        }
        self.exceptions.get(&(from, to)).unwrap_or(&self.default)
    }

    fn note_divisions(&mut self) {
        let Self { sides, cuts, deaf, mute, .. } = self;
        self.divided = !(sides.is_empty() && cuts.is_empty() && deaf.is_empty() && mute.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 7946))
    }

    #[test]
    fn a_partition_separates_groups_and_the_rest() {
        let mut network = Network::new(Latency::Constant(Duration::ZERO));
        network.partition([[address(1), address(2)].as_slice(), &[address(3)]]);
        #[rustfmt::skip]
        let table = [
            ((1, 2), true),
            ((1, 3), false),
            ((3, 4), false),
            ((4, 5), true),
        ];
        for ((from, to), connected) in table {
            assert_eq!(network.connects(address(from), address(to)), connected, "{from} to {to}");
            assert_eq!(network.connects(address(to), address(from)), connected, "{to} to {from}");
        }
        network.heal();
        assert!(network.connects(address(1), address(3)));
    }

    #[test]
    fn a_cut_works_one_way() {
        let mut network = Network::new(Latency::Constant(Duration::ZERO));
        network.cut(address(1), address(2));
        assert!(!network.connects(address(1), address(2)));
        assert!(network.connects(address(2), address(1)));
    }

    #[test]
    fn the_deaf_speak_and_the_mute_hear() {
        let mut network = Network::new(Latency::Constant(Duration::ZERO));
        network.deafen(address(1));
        network.mute(address(2));
        assert!(network.connects(address(1), address(2)) && network.connects(address(1), address(3)));
        assert!(!network.connects(address(3), address(1)));
        assert!(!network.connects(address(2), address(3)) && network.connects(address(3), address(2)));
        network.heal();
        assert!(network.connects(address(2), address(1)));
    }

    #[test]
    fn corruption_changes_a_datagram_or_shortens_it() {
        let mut network = Network::new(Latency::Constant(Duration::ZERO));
        let mut rng = Rng::new(1);
        let original = [7_u8; 40];
        let mut corrupt = |network: &Network| {
            let mut datagram = original.to_vec();
            network.corrupt(&mut rng, address(1), address(2), &mut datagram);
            datagram
        };
        assert_eq!(corrupt(&network), original);
        network.default_link_mut().corruption = 1.0;
        let corrupted: Vec<_> = (0..200).map(|_| corrupt(&network)).collect();
        // Two flips of one bit are none.
        assert!(corrupted.iter().filter(|datagram| **datagram == original).count() < 5);
        assert!((30..70).contains(&corrupted.iter().filter(|datagram| datagram.len() < original.len()).count()));
    }

    #[test]
    fn what_is_longer_than_the_path_is_wide_does_not_fit() {
        let mut network = Network::new(Latency::Constant(Duration::ZERO));
        network.link_mut(address(1), address(2)).mtu = Some(576);
        assert!(network.fits(address(1), address(2), 576) && !network.fits(address(1), address(2), 577));
        assert!(network.fits(address(2), address(1), 577));
    }
}
