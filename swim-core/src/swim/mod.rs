//! Membership: who is there, who is suspected, who is gone. Has never heard of a query.
//!
//! Start with `precedence.rs`, the rule that decides which claim wins, and `updates.rs`, which applies it. `probe.rs` and
//! `relay.rs` find out who does not answer, `suspicion.rs` gives the accused time to refute, `awareness.rs` doubts
//! ourselves first. `gossip.rs` and `broadcast.rs` spread what is new, `push_pull.rs` repairs what gossip missed.
//! `table.rs` holds the members, `selection.rs` draws from them. What an application sets is in `config.rs` and
//! `admission.rs`. `handoff.rs` is for measurements only.

pub mod admission;
mod awareness;
pub(crate) mod broadcast;
pub mod config;
mod gossip;
pub(crate) mod handoff;
mod precedence;
pub(crate) mod probe;
pub mod push_pull;
mod relay;
mod selection;
mod suspicion;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod updates;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::cx::Cx;
use crate::ids::{CommandId, Incarnation, MemberId, SequenceNumber};
use crate::rng::Rng;
use crate::roster::{Holder, Roster};
use crate::swim::admission::Admission;
use crate::swim::awareness::Awareness;
use crate::swim::broadcast::{BroadcastQueue, Notify, retransmit_limit};
use crate::swim::config::Config;
use crate::swim::gossip::Gossip;
use crate::swim::handoff::Handoff;
use crate::swim::probe::{Pings, Round};
use crate::swim::relay::Relays;
use crate::swim::suspicion::Suspicions;
use crate::swim::table::Table;
use crate::timers::Timer;
use crate::versions::{VersionRange, Versions};
use crate::wire::codec::Codec;
use crate::wire::message::{Alive, Bytes, Source, State};

/// The membership state of one node.
#[derive(Debug)]
pub(crate) struct Swim {
    config: Config,
    codec: Codec,
    admission: Option<Admission>,
    local: MemberId,
    /// Where others reach us; what port 0 in a message stands for.
    advertise: SocketAddr,
    /// We have said goodbye.
    left: bool,
    table: Table,
    sequence: SequenceNumber,
    round: Option<Round>,
    /// With [`Baseline::buffered_ticks`](config::Baseline::buffered_ticks): one came while a round was running.
    probe_tick_kept: bool,
    handoff: Handoff,
    relays: Relays,
    pings: Pings,
    suspicions: Suspicions,
    awareness: Awareness,
    broadcasts: BroadcastQueue,
    gossip: Gossip,
    changes: VecDeque<Change>,
    exchanges: VecDeque<Exchange>,
    chosen: Vec<MemberId>,
}

/// What the layer above must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A member is there, for the first time or again.
    Joined(MemberId),
    /// Its metadata or versions changed.
    Updated(MemberId),
    /// It is dead or has left.
    Departed(MemberId),
    /// Somebody else claims its name.
    Conflict(MemberId, SocketAddr),
}

/// A stream that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// The fallback probe.
    Probe { seq: SequenceNumber, target: MemberId },
    /// An exchange of the full state: as a joiner, or periodic.
    PushPull { peer: SocketAddr, join: bool },
}

/// How the local node introduces itself.
#[derive(Debug)]
pub(crate) struct Introduction<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) advertise: SocketAddr,
    pub(crate) meta: Vec<u8>,
    pub(crate) application: VersionRange,
}

impl Swim {
    pub(crate) fn new(
        cx: &mut Cx<'_>,
        config: Config,
        codec: Codec,
        admission: Option<Admission>,
        introduction: Introduction<'_>,
        hash_seed: u64,
    ) -> Self {
        let local = cx.roster.admit(introduction.name);
        let slot = cx.roster.slot_mut(local);
        slot.ip = Some(introduction.advertise.ip().to_canonical());
        slot.port = introduction.advertise.port();
        slot.meta = introduction.meta.into();
        let versions = Versions { protocol: config.protocol, application: introduction.application, features: 0 };
        cx.roster.set_versions(local, versions);
        let mut swim = Self {
            awareness: Awareness::new(config.awareness_max_multiplier),
            gossip: Gossip::new(cx, &config),
            codec,
            admission,
            local,
            advertise: introduction.advertise,
            left: false,
            table: Table::new(local),
            sequence: SequenceNumber::default(),
            round: None,
            probe_tick_kept: false,
            handoff: Handoff::default(),
            relays: Relays::default(),
            pings: Pings::default(),
            suspicions: Suspicions::new(hash_seed),
            broadcasts: BroadcastQueue::default(),
            changes: VecDeque::new(),
            exchanges: VecDeque::new(),
            chosen: Vec::new(),
            config,
        };
        swim.announce(cx, Incarnation::FIRST, None);
        swim.changes.push_back(Change::Joined(local));
        swim.start_timers(cx);
        swim
    }

    pub(crate) fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    pub(crate) fn poll_exchange(&mut self) -> Option<Exchange> {
        self.exchanges.pop_front()
    }

    pub(crate) fn poll_finished(&mut self) -> Option<Notify> {
        self.broadcasts.poll_finished()
    }

    /// Says goodbye (swim-state.md 11). Probes are answered as before. Whether anybody is there to hear it; if so,
    /// [`Notify::Leave`] comes when it has been said often enough.
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>) -> bool {
        self.left = true;
        self.depart(cx, self.local, State::Left, self.incarnation(self.local), None);
        self.table.active() > 0
    }

    /// Tells everybody our new metadata. Whether anybody is there to hear it; if so, [`Notify::Update`] comes when it
    /// has been said often enough.
    pub(crate) fn update_meta(&mut self, cx: &mut Cx<'_>, meta: Vec<u8>, command: CommandId) -> bool {
        let changed = *cx.roster.slot(self.local).meta != *meta;
        cx.roster.slot_mut(self.local).meta = meta.into();
        let next = self.incarnation(self.local).next();
        let heard = self.table.active() > 0;
        self.announce(cx, next, heard.then_some(Notify::Update(command)));
        if changed {
            self.changes.push_back(Change::Updated(self.local));
        }
        heard
    }

    pub(crate) fn local(&self) -> MemberId {
        self.local
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn state(&self, id: MemberId) -> Option<State> {
        self.table.state(id)
    }

    /// Who is being probed.
    pub(crate) fn probed(&self) -> Option<MemberId> {
        self.round.as_ref().map(|round| round.target)
    }

    pub(crate) fn incarnation(&self, id: MemberId) -> Incarnation {
        self.table.record(id).incarnation
    }

    /// Up to `k` random others that are alive or suspect and that `accept` likes; see [`choose`](selection::choose).
    pub(crate) fn choose(&self, rng: &mut Rng, k: usize, accept: impl FnMut(MemberId) -> bool) -> Vec<MemberId> {
        let mut chosen = Vec::new();
        selection::choose(&self.table, rng, k, false, &mut chosen, accept);
        chosen
    }

    /// Others that are alive or suspect.
    pub(crate) fn active(&self) -> usize {
        self.table.active()
    }

    pub(crate) fn health_score(&self) -> u32 {
        self.awareness.score()
    }

    pub(crate) fn queue_len(&self) -> usize {
        self.broadcasts.len()
    }

    /// How we name ourselves in a ping.
    pub(crate) fn source<'a>(&self, roster: &'a Roster) -> Source<'a> {
        Source {
            ip: Some(self.advertise.ip().to_canonical()),
            port: self.advertise.port(),
            node: roster.slot(self.local).name.as_bytes(),
        }
    }

    /// Adds updates to a packet, as many as fit; counts as a transmission of each.
    pub(crate) fn fill(&mut self, room: usize, push: impl FnMut(&[u8]) -> usize) {
        let limit = retransmit_limit(self.config.retransmit_mult, self.table.len());
        self.broadcasts.fill(limit, room, push);
    }

    /// Starts what happens periodically, each at a random moment, so that nodes started together do not stay in step.
    fn start_timers(&self, cx: &mut Cx<'_>) {
        let Config { probe_interval, push_pull_interval, .. } = self.config;
        if !probe_interval.is_zero() {
            cx.timers.arm(Timer::ProbeTick, cx.now + cx.jitter.duration_below(probe_interval));
        }
        if !push_pull_interval.is_zero() {
            // A random delay, and only then the first wait: a node that has just started has just exchanged to join.
            let delay = cx.jitter.duration_below(push_pull_interval);
            cx.timers.arm(Timer::PushPullTick, cx.now + delay + push_pull_interval);
        }
    }

    fn next_sequence(&mut self) -> SequenceNumber {
        self.sequence = self.sequence.next();
        self.sequence
    }

    /// Takes `incarnation` and tells everybody that we are there with it.
    fn announce(&mut self, cx: &mut Cx<'_>, incarnation: Incarnation, notify: Option<Notify>) {
        self.table.set(self.local, State::Alive, incarnation, cx.now, cx.targets);
        let slot = cx.roster.slot(self.local);
        let alive = Alive {
            incarnation,
            node: slot.name.as_bytes(),
            ip: slot.ip,
            port: slot.port,
            meta: Some(Bytes::from(&*slot.meta)),
            versions: Some(cx.roster.versions(self.local)),
        };
        let codec = self.codec;
        self.broadcasts.insert(Some(self.local), notify, |buf| codec.encode_alive(&alive, buf));
        self.arm_gossip(cx);
    }

    /// Forgets the dead whose time has passed (swim-state.md 4.5).
    fn reap(&mut self, cx: &mut Cx<'_>) {
        debug_assert!(self.round.is_none(), "nobody is being probed while members are forgotten");
        let Self { table, broadcasts, suspicions, .. } = self;
        table.reap(cx.now, self.config.gossip_to_the_dead_time, |id| {
            debug_assert!(!suspicions.is_running(id), "the dead are not suspected");
            broadcasts.forget(id);
            cx.roster.release(id, Holder::Swim);
        });
    }
}

/// Whether the member understands the checksum header (memberlist: protocol 5).
pub(crate) fn understands_checksum(roster: &Roster, id: MemberId) -> bool {
    roster.versions(id).protocol.max >= PROTOCOL_WITH_CHECKSUM
}

/// First memberlist protocols with fallback probes, nacks and checksums.
const PROTOCOL_WITH_STREAM_PROBES: u8 = 3;
const PROTOCOL_WITH_NACKS: u8 = 4;
const PROTOCOL_WITH_CHECKSUM: u8 = 5;
