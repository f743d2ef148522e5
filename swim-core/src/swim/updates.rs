//! What a node does with claims about members: alive, suspect, dead (SWIM §4.2; swim-state.md 3).
//!
//! Which of two claims wins is `precedence.rs`; here is everything around it: addresses, the local member, timers,
//! relaying and events. Every claim that changes something is queued for gossip with its fields as received.

use core::net::{IpAddr, SocketAddr};

use crate::cx::Cx;
use crate::ids::{Incarnation, MemberId, NAME_LEN_MAX};
use crate::log::{Escaped, log, log_some};
use crate::swim::admission::Candidate;
use crate::swim::precedence::supersede;
use crate::swim::{Change, Notify, Swim};
use crate::timers::Timer;
use crate::wire::codec::Codec;
use crate::wire::message::{Accusation, Alive, State};

/// Where a claim was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In a datagram from this address.
    Datagram(SocketAddr),
    /// In a full state exchange.
    Exchange,
}

impl Swim {
    /// Somebody says that a member is there (swim-state.md 3.2).
    pub(crate) fn handle_alive(&mut self, cx: &mut Cx<'_>, alive: &Alive<'_>, origin: Origin) {
        let with_port;
        let alive = if alive.port == 0 {
            with_port = Alive { port: self.advertise.port(), ..alive.clone() };
            &with_port
        } else {
            alive
        };
        let Some(ip) = alive.ip else {
            cx.stats.refused_addresses += 1;
            return;
        };
        if alive.node.len() + alive.meta.as_deref().map_or(0, <[u8]>::len) > IDENTITY_LEN_MAX {
            cx.stats.refused_names += 1;
            return;
        }
        if alive.versions.is_some_and(|versions| {
            let range = versions.protocol;
            range.min == 0 || range.max == 0 || range.min > range.max
        }) {
            cx.stats.refused_versions += 1;
            return;
        }
        if let Origin::Datagram(from) = origin
            && !(self.config.allows(from.ip()) && self.config.allows(ip))
        {
            cx.stats.refused_addresses += 1;
            return;
        }
        match cx.roster.find(alive.node).filter(|id| self.table.state(*id).is_some()) {
            Some(id) if id == self.local => self.handle_own_alive(cx, ip, alive),
            Some(id) => self.handle_known_alive(cx, id, ip, alive, origin),
            None => self.handle_new_alive(cx, ip, alive),
        }
    }

    fn handle_own_alive(&mut self, cx: &mut Cx<'_>, ip: IpAddr, alive: &Alive<'_>) {
        if self.left {
            return;
        }
        let slot = cx.roster.slot(self.local);
        let claimed = SocketAddr::new(ip.to_canonical(), alive.port);
        if claimed != self.advertise_canonical() {
            cx.stats.conflicts += 1;
            log_some!(cx, ERROR, "conflict", member = Escaped(alive.node), existing = self.advertise, other = claimed);
            self.changes.push_back(Change::Conflict(self.local, claimed));
            return;
        }
        let own = self.incarnation(self.local);
        let same = *slot.meta == *alive.meta.as_deref().unwrap_or_default()
            && alive.versions.is_some_and(|versions| {
                let own = cx.roster.versions(self.local);
                (versions.protocol, versions.application) == (own.protocol, own.application)
            });
        if alive.incarnation > own || (alive.incarnation == own && !same) {
            self.refute(cx, alive.incarnation);
        }
    }

    fn handle_new_alive(&mut self, cx: &mut Cx<'_>, ip: IpAddr, alive: &Alive<'_>) {
        // Anybody answers a ping to the empty name: a member called so would never fail.
        if alive.node.is_empty() || alive.node.len() > name_len_max(self.codec) {
            cx.stats.refused_names += 1;
            return;
        }
        if !self.config.allows(ip) {
            cx.stats.refused_addresses += 1;
            return;
        }
        if alive.incarnation == Incarnation::NONE {
            cx.stats.refused_incarnations += 1;
            return;
        }
        if alive.versions.is_none() {
            // One member without versions would make every full state exchange fail, ours and everybody's.
            cx.stats.refused_versions += 1;
            return;
        }
        // Those that only Serf remembers count, too: they hold their slot for a day.
        let slot = cx.roster.find(alive.node);
        if slot.is_none() && cx.roster.len() >= self.config.members_max {
            cx.stats.members_over_limit += 1;
            return;
        }
        if let Some(admission) = self.admission {
            let candidate = Candidate {
                name: alive.node,
                address: SocketAddr::new(ip.to_canonical(), alive.port),
                meta: alive.meta.as_deref().unwrap_or_default(),
                versions: alive.versions,
                joining: false,
            };
            if (admission.admit)(&candidate).is_err() {
                cx.stats.refused_admissions += 1;
                return;
            }
        }
        // Serf may still remember somebody of that name: then it is the same member, in the same slot.
        let id = match slot {
            Some(id) => {
                cx.roster.hold(id, crate::roster::Holder::Swim);
                id
            }
            None => cx.roster.admit(alive.node),
        };
        cx.roster.set_versions(id, alive.versions.unwrap_or_default());
        self.table.insert(id, alive.incarnation, cx.now, cx.targets);
        self.adopt(cx, id, ip, alive);
        self.changes.push_back(Change::Joined(id));
    }

    fn handle_known_alive(&mut self, cx: &mut Cx<'_>, id: MemberId, ip: IpAddr, alive: &Alive<'_>, origin: Origin) {
        let record = *self.table.record(id);
        let have = (record.state.unwrap_or(State::Dead), record.incarnation);
        if !cx.roster.is_at(id, ip, alive.port) {
            if !self.config.allows(ip) {
                cx.stats.refused_addresses += 1;
                return;
            }
            let reclaim = self.config.dead_node_reclaim_time;
            let free = match have.0 {
                State::Alive | State::Suspect => false,
                State::Dead => !reclaim.is_zero() && cx.now - record.since > reclaim,
                State::Left => true,
            };
            if !free {
                let claimed = SocketAddr::new(ip.to_canonical(), alive.port);
                cx.stats.conflicts += 1;
                log_some!(
                    cx,
                    ERROR,
                    "conflict",
                    member = Escaped(alive.node),
                    existing = cx.roster.address(id),
                    other = claimed
                );
                self.changes.push_back(Change::Conflict(id, claimed));
                return;
            }
        } else if supersede(have, (State::Alive, alive.incarnation)).is_none() {
            if have.0 != State::Alive {
                self.accuse_again(cx, id, have, origin);
            }
            return;
        }
        self.end_suspicion(cx, id);
        let updated = *cx.roster.slot(id).meta != *alive.meta.as_deref().unwrap_or_default();
        if let Some(versions) = alive.versions {
            cx.roster.set_versions(id, versions);
        }
        self.table.set(id, State::Alive, alive.incarnation, cx.now, cx.targets);
        self.adopt(cx, id, ip, alive);
        cx.stats.suspicions_refuted += u64::from(have.0 == State::Suspect);
        match have.0 {
            State::Dead | State::Left => self.changes.push_back(Change::Joined(id)),
            State::Alive | State::Suspect if updated => self.changes.push_back(Change::Updated(id)),
            State::Alive | State::Suspect => {}
        }
    }

    /// Stores what a member says of itself, and passes it on.
    fn adopt(&mut self, cx: &mut Cx<'_>, id: MemberId, ip: IpAddr, alive: &Alive<'_>) {
        let slot = cx.roster.slot_mut(id);
        let meta = alive.meta.as_deref().unwrap_or_default();
        if *slot.meta != *meta {
            slot.meta = meta.into();
        }
        (slot.ip, slot.port) = (Some(ip), alive.port);
        let codec = self.codec;
        self.broadcasts.insert(Some(id), None, |buf| codec.encode_alive(alive, buf));
        self.arm_gossip(cx);
    }

    /// A member that restarted announces itself with a number that we hold it dead or suspect beyond: nobody would
    /// tell it, and it would stay dead until the next full exchange (memberlist issue 311). So it is accused once more,
    /// and can refute. Only on its own word, and not while the accusation is being spread anyway.
    fn accuse_again(
        &mut self,
        cx: &mut Cx<'_>,
        id: MemberId,
        (state, incarnation): (State, Incarnation),
        origin: Origin,
    ) {
        let itself = match origin {
            Origin::Datagram(from) => cx.roster.is_at(id, from.ip(), from.port()),
            Origin::Exchange => false,
        };
        if !itself || self.broadcasts.has(id) || self.config.baseline.ignore_stale {
            return;
        }
        let node = cx.roster.slot(id).name.as_bytes();
        let codec = self.codec;
        match state {
            State::Suspect => {
                // In the name of whoever said it first: in ours it would count as one more, independent, accuser.
                let Some(from) = self.suspicions.accuser(id) else { return };
                let accusation = Accusation { incarnation, node, from: from.as_bytes() };
                self.broadcasts.insert(Some(id), None, |buf| codec.encode_suspect(&accusation, buf));
            }
            State::Dead => {
                let from = cx.roster.slot(self.local).name.as_bytes();
                let accusation = Accusation { incarnation, node, from };
                self.broadcasts.insert(Some(id), None, |buf| codec.encode_dead(&accusation, buf));
            }
            State::Alive | State::Left => return,
        }
        self.arm_gossip(cx);
    }

    /// Somebody accuses a member (swim-state.md 3.3).
    pub(crate) fn handle_suspect(&mut self, cx: &mut Cx<'_>, accusation: &Accusation<'_>) {
        let Some(id) = self.accused(cx, accusation) else { return };
        if self.suspicions.is_running(id) {
            if let Some(deadline) = self.suspicions.confirm(id, accusation.from) {
                cx.stats.suspicions_confirmed += 1;
                // Due now at the earliest: the next look at the timers ends it.
                cx.timers.arm(Timer::Suspicion(id), deadline.max(cx.now));
                self.spread_suspicion(cx, id, accusation);
            }
            return;
        }
        let record = self.table.record(id);
        let Some(state) = record.state else { return };
        if supersede((state, record.incarnation), (State::Suspect, accusation.incarnation)).is_none() {
            return;
        }
        if id == self.local {
            self.refute(cx, accusation.incarnation);
            return;
        }
        self.table.set(id, State::Suspect, accusation.incarnation, cx.now, cx.targets);
        let members = self.table.len();
        let deadline = self.suspicions.start(cx.now, id, accusation.from, &self.config, members);
        cx.timers.arm(Timer::Suspicion(id), deadline);
        cx.stats.suspicions += 1;
        self.spread_suspicion(cx, id, accusation);
    }

    fn spread_suspicion(&mut self, cx: &mut Cx<'_>, id: MemberId, accusation: &Accusation<'_>) {
        let codec = self.codec;
        self.broadcasts.insert(Some(id), None, |buf| codec.encode_suspect(accusation, buf));
        self.arm_gossip(cx);
    }

    /// Somebody declares a member dead, or a member says goodbye (swim-state.md 3.4).
    pub(crate) fn handle_dead(&mut self, cx: &mut Cx<'_>, accusation: &Accusation<'_>) {
        let Some(id) = self.accused(cx, accusation) else { return };
        let record = self.table.record(id);
        let Some(state) = record.state else { return };
        let told = if accusation.from == accusation.node { State::Left } else { State::Dead };
        if supersede((state, record.incarnation), (told, accusation.incarnation)).is_none() {
            return;
        }
        if id == self.local && !self.left {
            self.refute(cx, accusation.incarnation);
            return;
        }
        self.depart(cx, id, told, accusation.incarnation, Some(accusation));
    }

    /// A suspicion was not refuted in time (swim-state.md 6.3).
    pub(crate) fn on_suspicion_timeout(&mut self, cx: &mut Cx<'_>, id: MemberId) {
        if !self.suspicions.end(id) || self.table.state(id) != Some(State::Suspect) {
            return;
        }
        cx.stats.deaths_declared += 1;
        log!(INFO, "suspicion_over", member = cx.roster.slot(id).name);
        self.depart(cx, id, State::Dead, self.incarnation(id), None);
    }

    /// A member becomes dead or left. `told` is the message that said so, passed on as it came; without one the local
    /// member is the one who says it.
    pub(super) fn depart(
        &mut self,
        cx: &mut Cx<'_>,
        id: MemberId,
        state: State,
        incarnation: Incarnation,
        told: Option<&Accusation<'_>>,
    ) {
        self.end_suspicion(cx, id);
        self.table.set(id, state, incarnation, cx.now, cx.targets);
        let own = Accusation {
            incarnation,
            node: cx.roster.slot(id).name.as_bytes(),
            from: cx.roster.slot(self.local).name.as_bytes(),
        };
        let notify = (id == self.local).then_some(Notify::Leave);
        let codec = self.codec;
        self.broadcasts.insert(Some(id), notify, |buf| codec.encode_dead(told.unwrap_or(&own), buf));
        self.changes.push_back(Change::Departed(id));
        self.arm_gossip(cx);
    }

    /// Whom an accusation is about, if we know the member and the accusation is not older than what we know.
    fn accused(&mut self, cx: &mut Cx<'_>, accusation: &Accusation<'_>) -> Option<MemberId> {
        let id = cx.roster.find(accusation.node)?;
        let record = self.table.record(id);
        record.state?;
        if accusation.from.len() > name_len_max(self.codec) {
            // It would be remembered, and wait for a packet that holds it.
            cx.stats.refused_names += 1;
            return None;
        }
        if accusation.incarnation < record.incarnation {
            if id == self.local {
                self.refute_again(cx);
            }
            return None;
        }
        if id == self.local && accusation.incarnation == Incarnation::MAX {
            // Nothing is above it to refute with; taking it seriously would evict us for good.
            cx.stats.refused_incarnations += 1;
            return None;
        }
        Some(id)
    }

    /// Contradicts a claim about ourselves, with a number beyond it (SWIM §4.2; swim-state.md 3.5).
    fn refute(&mut self, cx: &mut Cx<'_>, accused: Incarnation) {
        if accused == Incarnation::MAX {
            cx.stats.refused_incarnations += 1;
            return;
        }
        // Skip past the accuser's number, not past ours: a restarted member begins at one and would otherwise need a
        // refutation per lost incarnation.
        let incarnation = self.incarnation(self.local).max(accused).next();
        cx.stats.refutations += 1;
        log_some!(cx, WARN, "refuted", accused = accused, incarnation = incarnation);
        self.awareness.apply(1);
        self.announce(cx, incarnation, None);
    }

    /// Somebody missed our refutation and accuses us as of before. It would declare us dead, and nobody would know why:
    /// so we say once more what we have said, unless we are saying it anyway. (memberlist is silent here.)
    fn refute_again(&mut self, cx: &mut Cx<'_>) {
        if !self.left && !self.broadcasts.has(self.local) && !self.config.baseline.ignore_stale {
            self.announce(cx, self.incarnation(self.local), None);
        }
    }

    fn end_suspicion(&mut self, cx: &mut Cx<'_>, id: MemberId) {
        if self.suspicions.end(id) {
            cx.timers.disarm(Timer::Suspicion(id));
        }
    }

    fn advertise_canonical(&self) -> SocketAddr {
        SocketAddr::new(self.advertise.ip().to_canonical(), self.advertise.port())
    }

    /// Checked after each step of a test: timers, suspicions and the table agree.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn check(&self, timers: &crate::timers::Timers) {
        self.table.check();
        let mut suspects = 0;
        for id in self.table.iter() {
            if self.table.state(id) == Some(State::Suspect) {
                suspects += 1;
                assert!(self.suspicions.is_running(id), "every suspect has its suspicion");
                assert!(timers.deadline(Timer::Suspicion(id)).is_some(), "every suspicion has its timer");
            }
        }
        assert_eq!(self.suspicions.len(), suspects, "every suspicion has its suspect");
    }
}

/// Longest name that a member may have. Each stands in every full state up to three times, so they are no longer than
/// there is reason to: as long as our nodes give themselves, and on Serf's wire as long as a host's, for Serf bounds them
/// by 128, too, but only if it is asked to.
pub(super) const fn name_len_max(codec: Codec) -> usize {
    match codec {
        Codec::Native => NAME_LEN_MAX,
        Codec::Serf => HOST_NAME_LEN_MAX,
    }
}

/// RFC 1035, 2.3.4.
const HOST_NAME_LEN_MAX: usize = 255;
/// Longest name and metadata together that a member may have. Metadata is bounded by its owner; what is longer than this
/// would fit no packet, and could be neither gossiped nor pinged.
const IDENTITY_LEN_MAX: usize = 1024;
