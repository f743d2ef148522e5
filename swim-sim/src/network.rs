//! How far apart things are, what gets lost, and who cannot reach whom.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::rng::Rng;

/// How long a packet travels, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Always the same.
    Constant(Duration),
    /// Uniform between two bounds, so packets overtake each other.
    Uniform(Duration, Duration),
}

impl Latency {
    fn draw(self, rng: &mut Rng) -> Duration {
        match self {
            Self::Constant(latency) => latency,
            Self::Uniform(low, high) => rng.duration_between(low, high),
        }
    }
}

/// What one direction between two addresses is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// How long a packet travels.
    pub latency: Latency,
    /// How likely it is that a packet is lost, each on its own.
    pub loss: f64,
    /// How likely it is that a packet that is not lost arrives twice; each copy travels on its own.
    pub duplication: f64,
}

/// All links. One law for everybody, with exceptions.
#[derive(Clone, Debug)]
pub struct Network {
    default: Link,
    exceptions: BTreeMap<(SocketAddr, SocketAddr), Link>,
    /// Which side of a partition an address is on; everybody else is on side 0.
    sides: BTreeMap<SocketAddr, u32>,
    cuts: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Network {
    /// Nothing is lost, and everything takes as long as `latency` says.
    pub fn new(latency: Latency) -> Self {
        Self {
            default: Link { latency, loss: 0.0, duplication: 0.0 },
            exceptions: BTreeMap::new(),
            sides: BTreeMap::new(),
            cuts: BTreeSet::new(),
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

    /// Splits the world: only addresses in one group reach each other. Who is in no group forms one with all such.
    pub fn partition<'a>(&mut self, groups: impl IntoIterator<Item = &'a [SocketAddr]>) {
        self.sides.clear();
        for (side, group) in (1..).zip(groups) {
            self.sides.extend(group.iter().map(|address| (*address, side)));
        }
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: SocketAddr, to: SocketAddr) {
        self.cuts.insert((from, to));
    }

    /// Undoes every partition and every cut. Losses and latencies stay.
    pub fn heal(&mut self) {
        self.sides.clear();
        self.cuts.clear();
    }

    /// Whether anything sent at `from` can arrive at `to`.
    pub fn connects(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let side = |address| self.sides.get(address).copied().unwrap_or(0);
        (self.sides.is_empty() || side(&from) == side(&to))
            && (self.cuts.is_empty() || !self.cuts.contains(&(from, to)))
    }

    /// How long the next packet travels.
    pub(crate) fn latency(&self, rng: &mut Rng, from: SocketAddr, to: SocketAddr) -> Duration {
        self.link(from, to).latency.draw(rng)
    }

    /// Whether the next packet is lost. Links without loss draw nothing, so that they do not move the other dice.
    pub(crate) fn loses(&self, rng: &mut Rng, from: SocketAddr, to: SocketAddr) -> bool {
        let loss = self.link(from, to).loss;
        loss > 0.0 && rng.chance(loss)
    }

    /// Whether the next packet arrives twice. Links without duplication draw nothing, either.
    pub(crate) fn duplicates(&self, rng: &mut Rng, from: SocketAddr, to: SocketAddr) -> bool {
        let duplication = self.link(from, to).duplication;
        duplication > 0.0 && rng.chance(duplication)
    }

    fn link(&self, from: SocketAddr, to: SocketAddr) -> Link {
        if self.exceptions.is_empty() {
            return self.default;
        }
        self.exceptions.get(&(from, to)).copied().unwrap_or(self.default)
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
}
