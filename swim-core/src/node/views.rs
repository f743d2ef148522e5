//! Looking at a node: what it knows, without changing anything.

use core::time::Duration;

use crate::ids::MemberId;
use crate::node::config::Config;
use crate::node::{Core, Node, Summary};
use crate::serf::config::Life;
use crate::serf::coordinate::{Coordinate, Coordinates};
use crate::serf::member::Member;
use crate::serf::tags::Tags;
use crate::stats::Stats;
use crate::wire::keyring::Keyring;

impl Node {
    /// As given, with the keys of the beginning.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The keys as they are now.
    pub fn keyring(&self) -> &Keyring {
        &self.envelope.config().keyring
    }

    /// Where we are in our life.
    pub fn life(&self) -> Life {
        self.core.serf.life()
    }

    /// Whether [`Event::NameLost`](crate::Event::NameLost) has come, or was missed.
    pub fn has_lost_name(&self) -> bool {
        self.core.serf.has_lost_name()
    }

    /// Ourselves.
    pub fn local(&self) -> Member<'_> {
        self.view(self.core.swim.local())
    }

    /// Our tags as last set.
    pub fn tags(&self) -> &Tags {
        self.core.serf.tags()
    }

    /// The member called `name`.
    pub fn member(&self, name: &[u8]) -> Option<Member<'_>> {
        let id = self.core.roster.find(name)?;
        self.core.serf.records().get(id).status.map(|_| self.view(id))
    }

    /// Everybody that is remembered, in any status, ourselves included, in an order that does not change by itself.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.core.serf.records().iter().map(|(id, _)| self.view(id))
    }

    /// Where a member is in the space of round trips: our own, or that of a member that we have probed. `None` also when
    /// coordinates are off.
    pub fn coordinate(&self, name: &[u8]) -> Option<Coordinate> {
        let id = self.member(name)?.id;
        self.core.serf.coordinates()?.get(id)
    }

    /// The estimated round trip between two members, either of which may be ourselves. `None` when one of them has not
    /// been probed yet, or coordinates are off.
    pub fn rtt(&self, a: &[u8], b: &[u8]) -> Option<Duration> {
        Some(self.coordinate(a)?.distance_to(&self.coordinate(b)?))
    }

    /// What has been counted.
    pub fn stats(&self) -> &Stats {
        &self.core.stats
    }

    /// Sizes and times of the moment.
    pub fn summary(&self) -> Summary {
        let Core { swim, serf, .. } = &self.core;
        let (member_time, event_time, query_time) = serf.times();
        Summary {
            members: serf.records().len(),
            failed: serf.records().failed().len(),
            left: serf.records().left().len(),
            health_score: swim.health_score(),
            member_time,
            event_time,
            query_time,
            update_queue: swim.queue_len(),
            intent_queue: serf.queue_len(),
            event_queue: serf.event_queue_len(),
            query_queue: serf.query_queue_len(),
            coordinate_resets: serf.coordinates().map(Coordinates::resets),
            sealed: self.envelope.is_sealing(),
        }
    }

    fn view(&self, id: MemberId) -> Member<'_> {
        let Core { swim, serf, roster, .. } = &self.core;
        Member { id, roster, swim, records: serf.records() }
    }

    /// Panics when the parts of the node contradict each other. For tests and fuzzing, after each step.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn check(&self) {
        self.core.swim.check(&self.core.timers);
        self.core.serf.check();
        self.core.serf.queries().check(&self.core.timers);
        self.core.streams.check(&self.core.timers);
        for (id, record) in self.core.serf.records().iter() {
            assert!(record.status.is_some(), "{id:?} has a status");
            assert_eq!(self.core.roster.find(self.core.roster.slot(id).name.as_bytes()), Some(id));
        }
    }
}
