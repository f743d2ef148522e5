//! The gate of the Lifeguard paper (§V-A): an agent whose timers run while its packets wait.
//!
//! It stands right before each send and right after each receive. While it is closed,
//!
//! - nothing is taken from `poll_transmit`: whoever sends in the node stands at the gate with one message, and ticks
//!   that come meanwhile are skipped, or kept, as the node's configuration says;
//! - the reader holds the datagram that it received last; the next ones wait in the socket's buffer, and what does not
//!   fit there is lost;
//! - each stream has a task of its own, which holds one piece that it has received, or one that it wants to send. That
//!   kernels connect, and that deadlines pass, no gate prevents.
//!
//! When it opens, what was held goes on at once; then the reader works through its backlog in order, one datagram each
//! [`READING_TIME`], and stands still wherever it is when the gate closes again. What takes in the messages about members
//! that the reader hands on gets its turn when the reader has nothing to read, stands still, or has read for [`TURN`].

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use swim_core::Instant;
use swim_core::node::input::StreamAction;

use super::host::{Arrival, Role};
use super::streams::News;
use super::{Happening, HostId, SOCKET_BUFFER, World};

/// One host's gate, and what waits at it.
#[derive(Default)]
pub(super) struct Gate {
    closed: bool,
    /// What the reader holds, and behind it what its socket does.
    backlog: VecDeque<(SocketAddr, Vec<u8>)>,
    buffered: usize,
    /// A look at the backlog is in the agenda.
    reading: bool,
    /// When the reader's turn ends, while it works through a backlog.
    turn: Option<Instant>,
    received: VecDeque<Arrival>,
    unsent: VecDeque<StreamAction>,
}

impl World {
    /// Closes or opens the gate between a node and its sockets. Its timers run on.
    pub fn set_gate(&mut self, id: HostId, closed: bool) {
        let host = self.host_mut(id);
        let gate = host.gate.get_or_insert_default();
        if gate.closed == closed {
            return;
        }
        gate.closed = closed;
        host.blocked = closed;
        if closed {
            self.end_turn(id);
            return;
        }
        let (unsent, received) = (core::mem::take(&mut gate.unsent), core::mem::take(&mut gate.received));
        self.drain(id);
        for action in unsent {
            self.act(id, action);
        }
        for arrival in received {
            self.deliver(id, arrival);
            self.drain(id);
        }
        self.read_on(id);
    }

    /// What reading takes per datagram of a backlog, instead of [`READING_TIME`].
    pub fn set_reading_time(&mut self, time: Duration) {
        self.reading_time = time;
    }

    /// Something has arrived; `None` when it waits at the gate, or is lost there.
    pub(super) fn pass_gate(&mut self, id: HostId, arrival: Arrival) -> Option<Arrival> {
        let Some(gate) = self.host_mut(id).gate.as_deref_mut() else { return Some(arrival) };
        match arrival {
            Arrival::Datagram { from, datagram } => {
                if !gate.closed && gate.backlog.is_empty() {
                    return Some(Arrival::Datagram { from, datagram });
                }
                // The first is in the reader's hands.
                let buffered = gate.buffered + if gate.backlog.is_empty() { 0 } else { datagram.len() };
                if buffered > SOCKET_BUFFER {
                    self.datagrams_lost += 1;
                    return None;
                }
                gate.buffered = buffered;
                gate.backlog.push_back((from, datagram));
                None
            }
            Arrival::Stream { news: News::Data(_) | News::Finished, .. } if gate.closed => {
                gate.received.push_back(arrival);
                None
            }
            Arrival::Stream { id: stream, ref news } => {
                // An end must not overtake what came before it.
                let behind = |held: &Arrival| matches!(held, Arrival::Stream { id, .. } if *id == stream);
                if matches!(news, News::Failed(_)) && gate.received.iter().any(behind) {
                    gate.received.push_back(arrival);
                    return None;
                }
                Some(arrival)
            }
            Arrival::Accept { .. } | Arrival::Alarm => Some(arrival),
        }
    }

    /// A node wants something done to a stream; `None` when it waits at the gate.
    pub(super) fn leave_gate(&mut self, id: HostId, action: StreamAction) -> Option<StreamAction> {
        let Some(gate) = self.host_mut(id).gate.as_deref_mut().filter(|gate| gate.closed) else { return Some(action) };
        let same = |id| move |held: &StreamAction| matches!(held, StreamAction::Send { id: of, .. } if *of == id);
        match action {
            StreamAction::Send { .. } => gate.unsent.push_back(action),
            StreamAction::Finish { id } if gate.unsent.iter().any(same(id)) => gate.unsent.push_back(action),
            StreamAction::Abort { id } => {
                gate.unsent.retain(|held| !same(id)(held));
                return Some(action);
            }
            StreamAction::Open { .. } | StreamAction::Finish { .. } => return Some(action),
        }
        None
    }

    /// The reader is done with a datagram.
    pub(super) fn read_next(&mut self, id: HostId) {
        if let Some(gate) = self.host_mut(id).gate.as_deref_mut() {
            gate.reading = false;
            self.read_on(id);
        }
    }

    fn read_on(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host_mut(id);
        if matches!(host.role, Role::Gone) {
            return;
        }
        let Some(gate) = host.gate.as_deref_mut().filter(|gate| !gate.closed && !gate.reading) else { return };
        let Some((from, datagram)) = gate.backlog.pop_front() else { return };
        // The next one is in the reader's hands from now on.
        gate.buffered -= gate.backlog.front().map_or(0, |(_, next)| next.len());
        gate.reading = true;
        let is_last = gate.backlog.is_empty();
        let turn = gate.turn;
        if turn.is_some_and(|end| now >= end) {
            self.end_turn(id);
        }
        if !is_last && turn.is_none_or(|end| now >= end) {
            self.begin_turn(id);
        }
        self.deliver(id, Arrival::Datagram { from, datagram });
        if is_last {
            self.end_turn(id);
        }
        self.drain(id);
        self.schedule(now + self.reading_time, Happening::Read(id));
    }

    fn begin_turn(&mut self, id: HostId) {
        let end = self.now + TURN;
        if let Some(gate) = self.host_mut(id).gate.as_deref_mut() {
            gate.turn = Some(end);
            self.hold_handed_off(id, true);
        }
    }

    /// What the reader has handed on is taken in.
    fn end_turn(&mut self, id: HostId) {
        let turn = self.host_mut(id).gate.as_deref_mut().and_then(|gate| gate.turn.take());
        if turn.is_some() {
            self.hold_handed_off(id, false);
            self.drain(id);
        }
    }

    fn hold_handed_off(&mut self, id: HostId, waits: bool) {
        let now = self.local_time(id);
        if let Role::Node(node) = &mut self.host_mut(id).role {
            node.hold_handed_off(now, waits);
        }
    }
}

/// What it takes to receive, decode and hand on one datagram of a backlog. Serf 0.9.4 spent 70 to 130 µs of processor
/// time on each of 15 000 (a ping 99, a compressed compound of twelve updates 127), on a current core that it had for itself.
pub const READING_TIME: Duration = Duration::from_micros(100);

/// How long the reader of an agent with one core may go on before others get their turn: Go takes the processor from
/// whoever has had it for so long (`runtime/proc.go`, forcePreemptNS).
pub const TURN: Duration = Duration::from_millis(10);
