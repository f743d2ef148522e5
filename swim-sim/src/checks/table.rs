//! The members of one node, looked at when a step has touched them.

use core::net::SocketAddr;
use core::time::Duration;

use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::{Member, Status};
use swim_core::wire::message::State;
use swim_core::{Instant, Node};

use super::{Checks, number};
use crate::world::HostId;

/// One member as a node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The number in its name.
    pub number: u32,
    /// Where it is said to be.
    pub address: SocketAddr,
    /// By Serf's layer.
    pub status: Status,
    /// By SWIM's, unless it has forgotten it.
    pub state: Option<State>,
    /// What it is believed to have.
    pub incarnation: u32,
}

/// What was seen of a member the last time, by one node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    at: Option<(SocketAddr, u32)>,
    state: Option<State>,
    /// By the node's own clock.
    suspect_since: Option<Instant>,
    /// As its application was told.
    told: Option<MemberEvent>,
    /// When its application was told that it is gone, if it has not come back.
    departed: Option<Instant>,
    /// In the last look it was there.
    present: bool,
}

/// Writes down a node's members.
pub(super) fn read(node: &Node, seen: &mut Vec<Seen>) {
    seen.clear();
    seen.extend(node.members().filter_map(Seen::of));
}

impl Seen {
    /// `None` for a name that is none of a plan's.
    pub(super) fn of(member: Member<'_>) -> Option<Self> {
        let number = number(member.name().as_bytes())?;
        let (address, status, state) = (member.address(), member.status(), member.state());
        Some(Self { number, address, status, state, incarnation: member.incarnation().0 })
    }
}

impl Checks {
    /// A node's members are these, when its own clock shows `local`.
    pub fn table(&mut self, at: Instant, local: Instant, id: HostId, seen: &[Seen]) {
        let known = self.owners.len();
        let Some(host) = self.host_mut(id) else { return };
        host.members.resize(known, Memory::default());
        for memory in &mut host.members {
            memory.present = false;
        }
        for member in seen {
            self.member(at, local, id, member);
        }
        let Some(mut host) = self.hosts.get_mut(id.index()).and_then(Option::take) else { return };
        let (number, told_all) = (host.name, host.told_all);
        let forgotten = host.members.iter_mut().enumerate().filter(|(_, memory)| !memory.present);
        for (of, memory) in forgotten {
            if told_all && !matches!(memory.told, None | Some(MemberEvent::Reap)) {
                let told = memory.told;
                self.report("events_tell_all", at, || {
                    format!("n{number} has forgotten n{of}, and told last: {told:?}")
                });
            }
            *memory = Memory::default();
        }
        self.hosts[id.index()] = Some(host);
    }

    /// One of a node's members is this.
    pub fn member(&mut self, at: Instant, local: Instant, id: HostId, seen: &Seen) {
        let (of, known, thorough) = (seen.number, self.owners.len(), self.thorough);
        let Some(owner) = self.owners.get(of as usize).map(|owner| owner.incarnation) else { return };
        let Some(host) = self.host_mut(id) else { return };
        host.members.resize(known, Memory::default());
        let (number, told_all) = (host.name, host.told_all);
        let memory = &mut host.members[of as usize];
        let before = *memory;
        // What SWIM has forgotten may come back with less.
        memory.at = seen.state.map(|_| (seen.address, seen.incarnation));
        memory.state = seen.state;
        memory.suspect_since = (seen.state == Some(State::Suspect)).then(|| before.suspect_since.unwrap_or(local));
        memory.present = true;
        let Memory { told, suspect_since, .. } = *memory;
        if seen.incarnation > owner {
            self.report("owner_raises", at, || {
                format!("n{number} has n{of} at {}, which never had more than {owner}", seen.incarnation)
            });
        }
        // Whoever takes over a name that its owner has left begins at another address, and with any incarnation.
        let fell = |(address, before)| address == seen.address && seen.incarnation < before;
        if before.at.is_some_and(fell) && seen.state.is_some() {
            self.report("incarnation_rises", at, || format!("n{number} had n{of} at {before:?}, now {seen:?}"));
        }
        let not_newer = |(address, before)| address == seen.address && seen.incarnation <= before;
        if thorough && comes_back(before.state, seen.state) && before.at.is_some_and(not_newer) {
            self.report("return_is_newer", at, || format!("n{number} had n{of} at {before:?}, now {seen:?}"));
        }
        if suspect_since.is_some_and(|since| local - since > SUSPICION_MAX) {
            self.report("suspicion_ends", at, || {
                format!("n{number} has suspected n{of} since {suspect_since:?}, now {local:?}")
            });
        }
        if told_all && of != number && !tells(told, seen.status) {
            self.report("events_tell_all", at, || {
                format!("n{number} has n{of} as {}, and told last: {told:?}", seen.status)
            });
        }
    }

    /// An application was told of a member.
    pub(super) fn told_member(&mut self, at: Instant, id: HostId, kind: MemberEvent, name: &[u8]) {
        let Some(of) = number(name).filter(|of| (*of as usize) < self.owners.len()) else { return };
        let by = self.number(id);
        let len = self.owners.len();
        let mut departed = None;
        if let Some(host) = self.host_mut(id) {
            host.members.resize(len, Memory::default());
            let memory = &mut host.members[of as usize];
            if kind != MemberEvent::Update {
                memory.told = Some(kind);
            }
            departed = memory.departed;
            memory.departed = match kind {
                MemberEvent::Failed | MemberEvent::Leave => departed.or(Some(at)),
                MemberEvent::Join | MemberEvent::Reap => None,
                MemberEvent::Update => departed,
            };
        }
        if let (MemberEvent::Reap, Some(since)) = (kind, departed.filter(|since| at - *since < REMEMBERED)) {
            self.report("memory_lasts", at, || format!("n{by} has forgotten n{of}, which was gone since {since:?}"));
        }
        let calm = self.calm_since.filter(|since| at >= *since);
        if let (MemberEvent::Failed, true, Some(since)) = (kind, self.owners[of as usize].running, calm) {
            self.report("no_death_without_cause", at, || {
                format!("n{by} says that n{of} has failed; calm since {since:?}")
            });
        }
    }
}

/// Whether somebody was accused, or gone, and is not any more: or less so.
fn comes_back(before: Option<State>, now: Option<State>) -> bool {
    match now {
        Some(State::Alive) => matches!(before, Some(State::Suspect | State::Dead | State::Left)),
        Some(State::Suspect) => matches!(before, Some(State::Dead | State::Left)),
        Some(State::Dead | State::Left) | None => false,
    }
}

/// Whether an application that was told this last knows of this status.
fn tells(told: Option<MemberEvent>, status: Status) -> bool {
    match status {
        Status::Alive => told == Some(MemberEvent::Join),
        // An intent alone tells nothing.
        Status::Leaving => matches!(told, Some(MemberEvent::Join)),
        Status::Left => told == Some(MemberEvent::Leave),
        Status::Failed => told == Some(MemberEvent::Failed),
    }
}

/// No suspicion takes longer with any preset, for a thousand members: 6 × 6 × log10(1000) × 5 s.
const SUSPICION_MAX: Duration = Duration::from_secs(6 * 6 * 3 * 5 + 10);
/// With every preset the failed and the left are remembered for a day; clocks drift by a hundredth. No plan prunes.
const REMEMBERED: Duration = Duration::from_secs(23 * 3600);
