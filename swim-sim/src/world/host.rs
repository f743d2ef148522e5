//! How one host runs: what reaches it, when it is woken, and what comes out of it.

use core::net::SocketAddr;
use std::collections::{BTreeMap, VecDeque};

use swim_core::ids::{CommandId, StreamId};
use swim_core::node::input::Reply;
use swim_core::node::trace::Traced;
use swim_core::{Event, Instant};

use super::seeds::Names;
use super::streams::{News, Pipe, Side};
use super::{Answerer, Happening, HostId, SOCKET_BUFFER, World};
use crate::script::{Cue, Scene, Script};

pub(super) struct Host {
    pub(super) address: SocketAddr,
    pub(super) role: Role,
    /// When the wake-up that counts is due, and which of those in the heap it is.
    pub(super) wake: Option<Instant>,
    pub(super) wake_serial: u64,
    pub(super) idle_wakes: u32,
    pub(super) paused_until: Option<Instant>,
    pub(super) blocked: bool,
    /// What has arrived while the host was frozen.
    pub(super) inbox: VecDeque<Arrival>,
    pub(super) inbox_bytes: usize,
    /// The host's name of a stream, and which end of which pipe that is.
    pub(super) streams: BTreeMap<StreamId, (Pipe, Side)>,
    pub(super) answerer: Option<Box<Answerer>>,
    pub(super) listening: bool,
    pub(super) events: Vec<(Instant, Event)>,
    pub(super) replies: Vec<(Instant, CommandId, Reply)>,
    pub(super) names: Names,
}

pub(super) enum Role {
    Node(Box<Traced<Option<Vec<u8>>>>),
    Script(Box<dyn Script>),
    Gone,
    /// Taken out while it runs.
    OnStage,
}

/// Something that reaches a host.
pub(super) enum Arrival {
    Datagram { from: SocketAddr, datagram: Vec<u8> },
    Accept { pipe: Pipe, from: SocketAddr },
    Stream { id: StreamId, news: News },
}

impl Host {
    pub(super) fn new(address: SocketAddr, role: Role) -> Self {
        Self {
            address,
            role,
            wake: None,
            wake_serial: 0,
            idle_wakes: 0,
            paused_until: None,
            blocked: false,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            streams: BTreeMap::new(),
            answerer: None,
            listening: true,
            events: Vec::new(),
            replies: Vec::new(),
            names: Names::default(),
        }
    }
}

impl World {
    /// Something reaches a host: handled at once, or kept while it is frozen.
    pub(super) fn arrive(&mut self, id: HostId, arrival: Arrival) {
        let host = self.host_mut(id);
        if matches!(host.role, Role::Gone) {
            return;
        }
        if host.paused_until.is_some() {
            if let Arrival::Datagram { datagram, .. } = &arrival {
                if host.inbox_bytes + datagram.len() > SOCKET_BUFFER {
                    self.datagrams_lost += 1;
                    return;
                }
                host.inbox_bytes += datagram.len();
            }
            host.inbox.push_back(arrival);
            return;
        }
        self.deliver(id, arrival);
        self.drain(id);
    }

    fn deliver(&mut self, id: HostId, arrival: Arrival) {
        let now = self.now;
        let host = self.host_mut(id);
        match &mut host.role {
            Role::Node(node) => match arrival {
                Arrival::Datagram { from, mut datagram } => {
                    // Whatever was wrong with it has been counted.
                    let _ = node.handle_datagram(now, from, &mut datagram);
                    self.spare.push(datagram);
                }
                Arrival::Accept { pipe, from } => match node.accept_stream(now, from) {
                    Some(stream) => self.accepted(id, stream, pipe),
                    None => self.refused(pipe),
                },
                Arrival::Stream { id: stream, news } => node.handle_stream(now, stream, news.as_input()),
            },
            Role::Script(_) => {
                let Role::Script(mut script) = core::mem::replace(&mut host.role, Role::OnStage) else {
                    unreachable!("it was just looked at")
                };
                let mut scene = Scene::new(now, host.address);
                match arrival {
                    Arrival::Datagram { from, datagram } => script.on_datagram(&mut scene, from, &datagram),
                    Arrival::Accept { pipe, from } if script.listens() => {
                        let stream = self.streams.fresh_id();
                        self.accepted(id, stream, pipe);
                        script.on_accept(&mut scene, stream, from);
                    }
                    Arrival::Accept { pipe, .. } => self.refused(pipe),
                    Arrival::Stream { id: stream, news } => script.on_stream(&mut scene, stream, news.as_input()),
                }
                self.host_mut(id).role = Role::Script(script);
                for (pause, cue) in scene.cues {
                    self.schedule(now + pause, Happening::Cue { id, cue });
                }
            }
            Role::Gone | Role::OnStage => {}
        }
    }

    pub(super) fn perform(&mut self, id: HostId, cue: Cue) {
        match cue {
            Cue::Send { to, datagram } => self.send(self.host(id).address, to, &datagram),
            Cue::Write { id: stream, bytes } => self.write_stream(id, stream, bytes),
            Cue::Finish { id: stream } => self.finish_stream(id, stream),
            Cue::Abort { id: stream } => self.abort_stream(id, stream),
        }
    }

    pub(super) fn resume(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host_mut(id);
        if host.paused_until.is_none_or(|until| now < until) {
            return; // The pause was made longer.
        }
        host.paused_until = None;
        host.inbox_bytes = 0;
        // Datagrams first, then streams: a driver polls its socket itself, streams come through tasks of their own.
        let (datagrams, others): (Vec<_>, Vec<_>) = core::mem::take(&mut host.inbox)
            .into_iter()
            .partition(|arrival| matches!(arrival, Arrival::Datagram { .. }));
        for arrival in datagrams.into_iter().chain(others) {
            self.deliver(id, arrival);
        }
        if let Role::Node(node) = &mut self.host_mut(id).role {
            node.handle_timeout(now);
        }
        self.drain(id);
    }

    pub(super) fn wake(&mut self, id: HostId, serial: u64) {
        let now = self.now;
        let host = self.host_mut(id);
        if host.wake_serial != serial {
            return;
        }
        host.wake = None;
        if host.paused_until.is_some() {
            return; // Its resumption looks at what is due.
        }
        if let Role::Node(node) = &mut host.role {
            // The deadline may have moved on since this wake-up was put down.
            if node.poll_timeout().is_some_and(|due| due <= now) {
                node.handle_timeout(now);
            }
            self.drain(id);
        }
    }

    /// Takes all outputs of a node and puts down its next wake-up.
    pub(super) fn drain(&mut self, id: HostId) {
        let (now, checking) = (self.now, self.checking);
        let host = self.host_mut(id);
        if host.paused_until.is_some() || !matches!(host.role, Role::Node(_)) {
            return;
        }
        let (address, blocked) = (host.address, host.blocked);
        let Role::Node(mut node) = core::mem::replace(&mut host.role, Role::OnStage) else {
            unreachable!("it was just looked at")
        };
        let mut outbound = core::mem::take(&mut self.outbound);
        loop {
            while !blocked && let Some(transmit) = node.poll_transmit(now, &mut outbound) {
                self.send(address, transmit.destination, &outbound);
                outbound.clear();
            }
            while let Some(action) = node.poll_stream() {
                self.act(id, action);
            }
            let host = self.host_mut(id);
            while let Some((command, reply)) = node.poll_reply() {
                host.replies.push((now, command, reply));
            }
            let mut answered = false;
            while host.listening
                && let Some(event) = node.poll_event()
            {
                if let Event::Query { id: query, .. } = event
                    && let Some(answer) = host.answerer.as_mut().and_then(|answer| answer(&event))
                {
                    // One that is too late or too long is not sent; the asker will miss it.
                    let _not_sent = node.respond(now, query, &answer);
                    answered = true;
                }
                host.events.push((now, event));
            }
            if !answered {
                break;
            }
        }
        self.outbound = outbound;
        if checking {
            node.node().check();
        }
        let asks = node.poll_resolve();
        let due = node.poll_timeout();
        self.host_mut(id).role = Role::Node(node);
        self.look_up(id, asks);
        if let Some(due) = due {
            self.wake_at(id, due);
        }
    }

    /// A wake-up that comes too early costs one look at the deadline; one that is put down anew for every packet
    /// that moves a deadline would cost a place in the heap each.
    fn wake_at(&mut self, id: HostId, due: Instant) {
        let at = due.max(self.now);
        let serial = self.serial;
        let now = self.now;
        let host = self.host_mut(id);
        if host.wake.is_some_and(|already| already <= at) {
            return;
        }
        host.idle_wakes = if at == now { host.idle_wakes + 1 } else { 0 };
        assert!(host.idle_wakes < IDLE_WAKES_MAX, "{id:?} is due at {due:?} again and again, now {now:?}");
        host.wake = Some(at);
        host.wake_serial = serial;
        self.schedule(at, Happening::Wake { id, serial });
    }
}

/// A node that is due again at the same instant, this many times in a row, will never let time go on.
const IDLE_WAKES_MAX: u32 = 10_000;
