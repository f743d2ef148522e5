//! Full state exchange: repairs what gossip missed, and is how a node joins (swim-state.md 10).

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use crate::cx::Cx;
use crate::roster::Roster;
use crate::swim::admission::{Candidate, Refusal};
use crate::swim::selection::choose;
use crate::swim::updates::Origin;
use crate::swim::{Exchange, Swim};
use crate::timers::Timer;
use crate::versions::Versions;
use crate::wire::message::{Accusation, Alive, Bytes, Entry, PushPull, PushPullHeader, State};

/// Why a received state was not used. Nothing of it was. See [`Admission`](crate::swim::admission::Admission).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeError {
    /// Somebody in it, or somebody we know, speaks a version that not all the others understand.
    Versions {
        /// Lowest that all understand: protocol, application.
        min: (u8, u8),
        /// Highest that all understand.
        max: (u8, u8),
        /// What the first offender speaks.
        speaks: (u8, u8),
    },
    /// The application does not want somebody in it.
    Refused(Refusal),
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Versions { min, max, speaks } => write!(
                f,
                "incompatible versions: a member speaks protocol {} and application protocol {}, all others understand {}..={} and {}..={}",
                speaks.0, speaks.1, min.0, max.0, min.1, max.1
            ),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
        }
    }
}

impl core::error::Error for MergeError {}

impl Swim {
    pub(crate) fn on_push_pull_tick(&mut self, cx: &mut Cx<'_>) {
        let wait = push_pull_wait(self.config.push_pull_interval, self.table.len());
        cx.timers.arm(Timer::PushPullTick, cx.now + wait);
        let Self { table, chosen, .. } = self;
        choose(table, cx.targets, 1, false, chosen, |id| table.state(id) == Some(State::Alive));
        if let Some(peer) = chosen.first() {
            self.exchanges.push_back(Exchange::PushPull { peer: cx.roster.address(*peer), join: false });
        }
    }

    /// Asks for an exchange with somebody who may not know us any more.
    pub(crate) fn exchange_as_joiner(&mut self, peer: SocketAddr) {
        self.exchanges.push_back(Exchange::PushPull { peer, join: true });
    }

    /// No less than everybody takes in a push/pull message.
    pub(crate) fn push_pull_len_max(&self, roster: &Roster) -> usize {
        let entries = self.table.iter().map(|id| {
            let slot = roster.slot(id);
            slot.name.as_bytes().len() + slot.meta.len() + ENTRY_OVERHEAD_MAX
        });
        HEADER_LEN_MAX + entries.sum::<usize>()
    }

    /// Appends a whole push/pull message: everybody, in every state, then `user_state`.
    pub(crate) fn encode_push_pull(&self, roster: &Roster, join: bool, user_state: &[u8], out: &mut Vec<u8>) {
        let header = PushPullHeader { join, entries: self.table.len() as u32, user_state_len: user_state.len() as u32 };
        self.codec.begin_push_pull(&header, out);
        for id in self.table.iter() {
            let (slot, record) = (roster.slot(id), self.table.record(id));
            let entry = Entry {
                name: slot.name.as_bytes(),
                ip: slot.ip,
                port: slot.port,
                meta: Some(Bytes::from(&*slot.meta)),
                incarnation: record.incarnation,
                state: record.state,
                versions: Some(roster.versions(id)),
            };
            self.codec.push_pull_entry(&entry, out);
        }
        out.extend_from_slice(user_state);
    }

    /// Takes in what somebody else knows. Suspicions and deaths are taken as suspicions of our own: their time starts
    /// anew here, in our name.
    pub(crate) fn merge(&mut self, cx: &mut Cx<'_>, state: &PushPull<'_>) -> Result<(), MergeError> {
        self.check_versions(cx.roster, &state.entries)?;
        if state.join {
            self.check_admission(&state.entries)?;
        }
        let local = cx.roster.slot(self.local).name.clone();
        for entry in &state.entries {
            match entry.state {
                Some(State::Alive) => {
                    let alive = Alive {
                        incarnation: entry.incarnation,
                        node: entry.name,
                        ip: entry.ip,
                        port: entry.port,
                        meta: entry.meta.clone(),
                        versions: entry.versions,
                    };
                    self.handle_alive(cx, &alive, Origin::Exchange);
                }
                Some(State::Suspect | State::Dead) => self.handle_suspect(
                    cx,
                    &Accusation { incarnation: entry.incarnation, node: entry.name, from: local.as_bytes() },
                ),
                Some(State::Left) => self.handle_dead(
                    cx,
                    &Accusation { incarnation: entry.incarnation, node: entry.name, from: entry.name },
                ),
                None => {}
            }
        }
        Ok(())
    }

    /// Everybody must speak what all the living understand (memberlist: `memberlist.go`, verifyProtocol).
    fn check_versions(&self, roster: &Roster, entries: &[Entry<'_>]) -> Result<(), MergeError> {
        let known = || self.table.iter().map(|id| (self.table.state(id) == Some(State::Alive), roster.versions(id)));
        let received =
            || entries.iter().map(|entry| (entry.state == Some(State::Alive), entry.versions.unwrap_or_default()));
        let (mut min, mut max) = ((0, 0), (u8::MAX, u8::MAX));
        // Those that announced nothing do not narrow the range, but they must lie in it.
        let announced = received().zip(entries).filter(|(_, entry)| entry.versions.is_some()).map(|(row, _)| row);
        for (_, Versions { protocol, application, .. }) in announced.chain(known()).filter(|(alive, _)| *alive) {
            min = (min.0.max(protocol.min), min.1.max(application.min));
            max = (max.0.min(protocol.max), max.1.min(application.max));
        }
        for (_, Versions { protocol, application, .. }) in received().chain(known()) {
            let speaks = (protocol.current, application.current);
            if !(min.0..=max.0).contains(&speaks.0) || !(min.1..=max.1).contains(&speaks.1) {
                return Err(MergeError::Versions { min, max, speaks });
            }
        }
        Ok(())
    }

    fn check_admission(&self, entries: &[Entry<'_>]) -> Result<(), MergeError> {
        let Some(admission) = self.admission else { return Ok(()) };
        for entry in entries {
            let Some(ip) = entry.ip else { continue };
            let candidate = Candidate {
                name: entry.name,
                address: SocketAddr::new(ip.to_canonical(), entry.port),
                meta: entry.meta.as_deref().unwrap_or_default(),
                versions: entry.versions,
                joining: true,
            };
            (admission.admit)(&candidate).map_err(MergeError::Refused)?;
        }
        Ok(())
    }
}

/// Time to the next exchange: longer in large clusters, or the traffic would grow with the square of their size
/// (memberlist: `util.go`, pushPullScale). `members` counts the whole table.
pub(crate) fn push_pull_wait(interval: Duration, members: usize) -> Duration {
    if members <= SCALE_THRESHOLD {
        return interval;
    }
    let log_ceiling = (members - 1).ilog2() + 1;
    interval.saturating_mul(log_ceiling - SCALE_THRESHOLD.ilog2() + 1)
}

/// Of a push/pull message, on either wire: its header.
const HEADER_LEN_MAX: usize = 64;
/// The same: an entry but for name and metadata, with the names of its fields where they are written.
const ENTRY_OVERHEAD_MAX: usize = 96;
/// Up to so many members the interval is not stretched.
const SCALE_THRESHOLD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// swim-state.md 10.1.
    #[test]
    fn waits_by_size() {
        #[rustfmt::skip]
        let table = [
            (1, 30), (32, 30), (33, 60), (64, 60), (65, 90), (128, 90), (129, 120), (256, 120), (257, 150), (512, 150),
            (1000, 180), (1024, 180), (1025, 210), (2048, 210), (10_000, 300),
        ];
        for (members, seconds) in table {
            let wait = push_pull_wait(Duration::from_secs(30), members);
            assert_eq!(wait, Duration::from_secs(seconds), "{members}");
        }
    }
}
