//! Pinging a member for somebody who could not reach it (SWIM §3.1, ping-req; swim-state.md 4.3).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::net::SocketAddr;

use crate::cx::Cx;
use crate::ids::SequenceNumber;
use crate::outbox::Outgoing;
use crate::swim::Swim;
use crate::swim::updates::name_len_max;
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::message::IndirectPing;

/// The pings under way for others, by our own sequence number.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    running: BTreeMap<SequenceNumber, Relay>,
}

#[derive(Debug)]
pub(crate) struct Relay {
    requester: SocketAddr,
    /// The number under which the requester wants its answer.
    requested: SequenceNumber,
    nack: bool,
    /// When the target's time is over; a nack may be due before.
    end: Instant,
    pub(crate) target: SocketAddr,
    pub(crate) node: Box<[u8]>,
}

impl Swim {
    pub(crate) fn handle_indirect_ping(&mut self, cx: &mut Cx<'_>, from: SocketAddr, request: &IndirectPing<'_>) {
        if self.relays.running.len() >= RELAYS_MAX {
            cx.stats.relays_over_limit += 1;
            return;
        }
        if request.node.len() > name_len_max(self.codec) {
            // Nobody is called so, and we would remember it a thousand times and send it to whomever the request names.
            cx.stats.refused_names += 1;
            return;
        }
        let port = if request.port == 0 { self.advertise.port() } else { request.port };
        let target = SocketAddr::new(request.target.to_canonical(), port);
        let requester = request.source.address().unwrap_or(from);
        if [target, requester].iter().any(|address| !self.config.allows(address.ip())) {
            // Nobody there can be a member, and we are not to send to others because somebody says so. Go does not check.
            cx.stats.refused_addresses += 1;
            return;
        }
        let seq = self.next_sequence();
        if !cx.outbox.push_answer(Outgoing::RelayPing { seq }) {
            cx.stats.relays_over_limit += 1;
            return;
        }
        let timeout = self.config.probe_timeout;
        let end = cx.now + timeout;
        let (requested, nack, node) = (request.seq, request.nack, request.node.into());
        self.relays.running.insert(seq, Relay { requester, requested, nack, end, target, node });
        let early = self.config.baseline.nack_at.filter(|_| nack).unwrap_or(timeout);
        cx.timers.arm(Timer::Relay(seq), cx.now + early.min(timeout));
    }

    /// Passes an ack on to whom it was fetched for; whether it was one of those.
    pub(super) fn relay_ack(&mut self, cx: &mut Cx<'_>, seq: SequenceNumber) -> bool {
        let Some(relay) = self.relays.running.remove(&seq) else { return false };
        cx.timers.disarm(Timer::Relay(seq));
        let answer = Outgoing::RelayedAck { to: relay.requester, seq: relay.requested };
        cx.stats.acks_over_limit += u64::from(!cx.outbox.push_answer(answer));
        true
    }

    /// The target did not answer in time.
    pub(crate) fn on_relay_timeout(&mut self, cx: &mut Cx<'_>, seq: SequenceNumber) {
        let Some(relay) = self.relays.running.get_mut(&seq) else { return };
        if core::mem::take(&mut relay.nack) {
            let answer = Outgoing::Nack { to: relay.requester, seq: relay.requested };
            cx.stats.acks_over_limit += u64::from(!cx.outbox.push_answer(answer));
        }
        let end = relay.end;
        if cx.now < end {
            cx.timers.arm(Timer::Relay(seq), end); // An ack that comes yet is passed on.
        } else {
            self.relays.running.remove(&seq);
        }
    }

    /// The ping to be sent, unless it has timed out while it waited.
    pub(crate) fn relay_ping(&self, seq: SequenceNumber) -> Option<&Relay> {
        self.relays.running.get(&seq)
    }
}

/// Pings under way for others at once; further requests are refused and counted.
const RELAYS_MAX: usize = 1024;
