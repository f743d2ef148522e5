//! What component tests start from: the shared parts of a node, lent as a [`Cx`] at any time.

use core::net::SocketAddr;

use crate::cx::Cx;
use crate::ids::Incarnation;
use crate::log::Lines;
use crate::outbox::Outbox;
use crate::rng::{Rng, Stream};
use crate::roster::Roster;
use crate::stats::Stats;
use crate::swim::config::Config;
use crate::swim::updates::Origin;
use crate::swim::{Introduction, Swim};
use crate::time::Instant;
use crate::timers::Timers;
use crate::versions::{VersionRange, Versions};
use crate::wire::codec::Codec;
use crate::wire::message::{Accusation, Alive, Bytes};

/// The parts of a node that layers share, and a clock that tests set.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) now: Instant,
    pub(crate) timers: Timers,
    pub(crate) outbox: Outbox,
    pub(crate) stats: Stats,
    pub(crate) roster: Roster,
    pub(crate) lines: Lines,
    targets: Rng,
    jitter: Rng,
}

impl Parts {
    pub(crate) fn new() -> Self {
        let rng = |stream| Rng::new([5; 32], stream);
        Self {
            now: Instant::after_origin(core::time::Duration::from_secs(1000)),
            timers: Timers::new(1),
            outbox: Outbox::default(),
            stats: Stats::default(),
            roster: Roster::new(2),
            lines: Lines::default(),
            targets: rng(Stream::Targets),
            jitter: rng(Stream::Jitter),
        }
    }

    pub(crate) fn cx(&mut self) -> Cx<'_> {
        let Self { now, timers, outbox, stats, roster, lines, targets, jitter } = self;
        Cx { now: *now, targets, jitter, timers, outbox, stats, roster, lines }
    }

    /// Membership of a node called `me` at `127.0.0.1`.
    pub(crate) fn swim(&mut self, config: Config) -> Swim {
        let introduction = Introduction {
            name: b"me",
            advertise: address(1),
            meta: b"mine".to_vec(),
            application: versions().application,
        };
        let mut swim = Swim::new(&mut self.cx(), config, Codec::Native, None, introduction, 3);
        while swim.poll_change().is_some() {}
        swim
    }
}

pub(crate) fn address(n: u8) -> SocketAddr {
    ([127, 0, 0, n], 7946).into()
}

pub(crate) fn versions() -> Versions {
    Versions {
        protocol: VersionRange { min: 1, max: 5, current: 2 },
        application: VersionRange { min: 2, max: 5, current: 5 },
        features: 0,
    }
}

/// An announcement as a member at `address` makes it.
pub(crate) fn alive<'a>(node: &'a str, incarnation: u32, address: SocketAddr, meta: &'a [u8]) -> Alive<'a> {
    Alive {
        incarnation: Incarnation(incarnation),
        node: node.as_bytes(),
        ip: Some(address.ip()),
        port: address.port(),
        meta: Some(Bytes::from(meta)),
        versions: Some(versions()),
    }
}

pub(crate) fn accusation<'a>(node: &'a str, incarnation: u32, from: &'a str) -> Accusation<'a> {
    Accusation { incarnation: Incarnation(incarnation), node: node.as_bytes(), from: from.as_bytes() }
}

/// Heard from somebody at 127.0.0.99.
pub(crate) fn heard() -> Origin {
    Origin::Datagram(address(99))
}
