//! Looking at a node: what it knows, without changing anything.

use core::time::Duration;

use crate::ids::{KeyringChange, MemberId};
use crate::node::config::Config;
use crate::node::{Core, Node, Summary};
use crate::serf::config::Life;
use crate::serf::coordinate::{Coordinate, Coordinates};
use crate::serf::member::Member;
use crate::serf::tags::Tags;
use crate::stats::Stats;
use crate::wire::keyring::Keyring;

impl Node {
    /// As given to [`new`](Self::new), with the tags and the keys of the beginning.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::tags::Tags;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// a.set_tags(now, &Tags::from_iter([("role", "web")]))?;
    /// assert!(a.config().tags.is_empty());
    /// assert_eq!(a.tags().get("role"), Some("web"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The keys as they are now.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::Key;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # let (now, mut config) = (swim_core::Instant::ZERO, config("a", 7946));
    /// config.wire.keyring.add(Key::new(&[1; 32])?)?;
    /// let mut node = node(config, now);
    /// node.install_key(now, &[2; 32])?;
    /// assert_eq!(node.keyring().keys().len(), 2);
    /// assert_eq!(node.config().wire.keyring.keys().len(), 1);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keyring(&self) -> &Keyring {
        &self.envelope.config().keyring
    }

    /// The last change of the keys, for [`keyring_stored`](Self::keyring_stored) after
    /// [`Event::Missed`](crate::Event::Missed): the event that told it may be among those missed.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::KeyringChange;
    /// # use swim_core::wire::keyring::Key;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # let (now, mut config) = (swim_core::Instant::ZERO, config("a", 7946));
    /// # config.wire.keyring.add(Key::new(&[1; 32])?)?;
    /// # let mut node = node(config, now);
    ///
    /// assert_eq!(node.last_keyring_change(), KeyringChange(0)); // none
    /// node.install_key(now, &[2; 32])?;
    /// assert_eq!(node.last_keyring_change(), KeyringChange(1));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn last_keyring_change(&self) -> KeyringChange {
        self.core.serf.last_keyring_change()
    }

    /// Where we are in our life.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::config::Life;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// assert_eq!(a.life(), Life::Alive);
    /// a.leave(now);
    /// assert_eq!(a.life(), Life::Leaving);
    /// ```
    pub fn life(&self) -> Life {
        self.core.serf.life()
    }

    /// Whether [`Event::NameLost`](crate::Event::NameLost) has come, or was missed.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// # let mut twin = node(config("a", 7948), now);
    /// // A second node that calls itself a comes along, and the members are asked which of the two they know.
    /// twin.join(now, &[b.local().address()], false);
    /// # run(&mut now, [&mut a, &mut b, &mut twin], 10);
    /// assert!(twin.has_lost_name(), "drop it, without a leave");
    /// assert!(!a.has_lost_name());
    /// ```
    pub fn has_lost_name(&self) -> bool {
        self.core.serf.has_lost_name()
    }

    /// Ourselves.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// assert_eq!(*a.local().name(), "a");
    /// assert_eq!(a.local().address(), a.config().advertise);
    /// ```
    pub fn local(&self) -> Member<'_> {
        self.view(self.core.swim.local())
    }

    /// Our tags as last set.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut config) = (swim_core::Instant::ZERO, config("a", 7946));
    /// config.tags.insert("role", "web");
    /// let mut node = node(config, now);
    /// let mut tags = node.tags().clone();
    /// tags.insert("dc", "east");
    /// node.set_tags(now, &tags)?;
    /// assert_eq!(node.tags().iter().collect::<Vec<_>>(), [("dc", "east"), ("role", "web")]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tags(&self) -> &Tags {
        self.core.serf.tags()
    }

    /// The member called `name`, in whatever status; `None` when nobody is remembered by that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::member::Status;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// assert_eq!(a.member(b"b").map(|member| member.status()), Some(Status::Alive));
    /// assert!(a.member(b"c").is_none());
    /// ```
    pub fn member(&self, name: &[u8]) -> Option<Member<'_>> {
        let id = self.core.roster.find(name)?;
        self.core.serf.records().get(id).status.map(|_| self.view(id))
    }

    /// Everybody that is remembered, in any status, ourselves included, in an order that does not change by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::member::Status;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let others = a.members().filter(|member| *member.name() != "a" && member.status() == Status::Alive);
    /// assert_eq!(others.map(|member| member.address()).collect::<Vec<_>>(), [b.local().address()]);
    /// ```
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.core.serf.records().iter().map(|(id, _)| self.view(id))
    }

    /// Where a member is in the space of round trips: our own, or as it said when it last answered a probe of ours.
    /// `None` before that, for a member that says nothing, and when coordinates are off.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// # run(&mut now, [&mut a, &mut b], 10);
    /// let (ours, theirs) = (a.coordinate(b"a"), a.coordinate(b"b"));
    /// let (ours, theirs) = ours.zip(theirs).expect("both have been probed by now");
    /// assert_eq!(Some(ours.distance_to(&theirs)), a.rtt(b"a", b"b"));
    /// assert_eq!(a.coordinate(b"c"), None);
    /// ```
    pub fn coordinate(&self, name: &[u8]) -> Option<Coordinate> {
        let id = self.member(name)?.id;
        self.core.serf.coordinates()?.get(id)
    }

    /// The estimated round trip between two members, either of which may be ourselves. `None` when one of them has not
    /// been probed yet, or coordinates are off.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// # run(&mut now, [&mut a, &mut b], 60);
    /// let estimate = a.rtt(b"a", b"b").expect("they probe each other");
    /// assert!(estimate < Duration::from_millis(1), "there is no delay between them: {estimate:?}");
    /// ```
    pub fn rtt(&self, a: &[u8], b: &[u8]) -> Option<Duration> {
        Some(self.coordinate(a)?.distance_to(&self.coordinate(b)?))
    }

    /// What has been counted.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// # run(&mut now, [&mut a, &mut b], 10);
    /// let stats = a.stats();
    /// assert!(stats.probes >= 10 && stats.probes_failed == 0);
    /// assert_eq!(stats.events_dropped, 0);
    /// ```
    pub fn stats(&self) -> &Stats {
        &self.core.stats
    }

    /// Sizes and times of the moment.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// let summary = a.summary();
    /// assert_eq!((summary.members, summary.failed, summary.left), (2, 0, 0));
    /// assert_eq!(summary.health_score, 0);
    /// # run(&mut now, [&mut a], 60);
    /// // b is gone, and nobody else is there to say whether that is so.
    /// assert_eq!(a.summary().failed, 1);
    /// assert!(a.summary().health_score > 0);
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// a.leave(now);
    /// a.check();
    /// # run(&mut now, [&mut a, &mut b], 5);
    /// assert!(a.summary().members == 2);
    /// a.check();
    /// ```
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
