//! How one host runs: what reaches it, when it is woken, and what comes out of it.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use swim_core::ids::{CommandId, StreamId};
use swim_core::node::input::Reply;
use swim_core::node::trace::Traced;
use swim_core::{Event, Instant};

use super::clock::Clock;
use super::gate::Gate;
use super::seeds::Names;
use super::snapshot::File;
use super::streams::{News, Pipe, Side};
use super::{Answerer, First, Happening, HostId, SOCKET_BUFFER, World};
use crate::application::{Application, Desk, Step};
use crate::script::{Cue, Scene, Script};

pub(super) struct Host {
    pub(super) address: SocketAddr,
    pub(super) role: Role,
    /// When the wake-up that counts is due, and which of those in the heap it is.
    pub(super) wake: Option<Instant>,
    pub(super) wake_serial: u64,
    pub(super) idle_wakes: u32,
    pub(super) paused_until: Option<Instant>,
    /// What comes first when it goes on.
    pub(super) first: First,
    pub(super) blocked: bool,
    pub(super) clock: Clock,
    /// What each message costs, and when the last one that waits will have been paid for.
    pub(super) service: Duration,
    pub(super) busy_until: Instant,
    /// Of a host that has stood at one.
    pub(super) gate: Option<Box<Gate>>,
    /// What has arrived while the host was frozen or busy.
    pub(super) inbox: VecDeque<Arrival>,
    pub(super) inbox_bytes: usize,
    /// The host's name of a stream, and which end of which pipe that is.
    pub(super) streams: BTreeMap<StreamId, (Pipe, Side)>,
    pub(super) answerer: Option<Box<Answerer>>,
    pub(super) application: Option<Box<dyn Application>>,
    pub(super) listening: bool,
    pub(super) events: Vec<(Instant, Event)>,
    pub(super) replies: Vec<(Instant, CommandId, Reply)>,
    pub(super) names: Names,
    pub(super) snapshot: File,
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
    Datagram {
        from: SocketAddr,
        datagram: Vec<u8>,
    },
    Accept {
        pipe: Pipe,
        from: SocketAddr,
    },
    Stream {
        id: StreamId,
        news: News,
    },
    /// The application is to be woken.
    Alarm,
}

impl Arrival {
    /// Bytes of the socket buffer that it takes. Streams have buffers of their own.
    fn len(&self) -> usize {
        match self {
            Self::Datagram { datagram, .. } => datagram.len(),
            Self::Accept { .. } | Self::Stream { .. } | Self::Alarm => 0,
        }
    }
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
            first: First::default(),
            blocked: false,
            clock: Clock::default(),
            service: Duration::ZERO,
            busy_until: Instant::ZERO,
            gate: None,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            streams: BTreeMap::new(),
            answerer: None,
            application: None,
            listening: true,
            events: Vec::new(),
            replies: Vec::new(),
            names: Names::default(),
            snapshot: File::default(),
        }
    }

    /// Neither frozen nor busy.
    pub(super) fn is_free(&self) -> bool {
        self.paused_until.is_none() && self.inbox.is_empty()
    }

    /// What has waited longest.
    pub(super) fn take_arrival(&mut self) -> Option<Arrival> {
        let arrival = self.inbox.pop_front()?;
        self.inbox_bytes -= arrival.len();
        Some(arrival)
    }
}

impl World {
    /// Something reaches a host: handled at once, or kept while it is frozen.
    pub(super) fn arrive(&mut self, id: HostId, arrival: Arrival) {
        let host = self.host_mut(id);
        if matches!(host.role, Role::Gone) {
            return;
        }
        let is_slow = !host.service.is_zero() || !host.inbox.is_empty();
        if host.paused_until.is_some() || is_slow {
            if host.inbox_bytes + arrival.len() > SOCKET_BUFFER {
                self.datagrams_lost += 1;
                return;
            }
            host.inbox_bytes += arrival.len();
            if host.paused_until.is_some() {
                host.inbox.push_back(arrival);
            } else {
                self.serve_later(id, arrival);
            }
            return;
        }
        let Some(arrival) = self.pass_gate(id, arrival) else { return };
        self.deliver(id, arrival);
        self.drain(id);
    }

    pub(super) fn deliver(&mut self, id: HostId, arrival: Arrival) {
        if let Arrival::Alarm = arrival {
            self.with_application(id, |application, desk| application.on_wake(desk));
            return;
        }
        let now = self.now;
        let host = self.host_mut(id);
        let local = host.clock.shows(now);
        match &mut host.role {
            Role::Node(node) => match arrival {
                Arrival::Datagram { from, mut datagram } => {
                    // Whatever was wrong with it has been counted.
                    let _ = node.handle_datagram(local, from, &mut datagram);
                    self.spare.push(datagram);
                }
                Arrival::Accept { pipe, from } => match node.accept_stream(local, from) {
                    Some(stream) => self.accepted(id, stream, pipe),
                    None => self.refused(pipe),
                },
                Arrival::Stream { id: stream, news } => node.handle_stream(local, stream, news.as_input()),
                Arrival::Alarm => {}
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
                    Arrival::Alarm => {}
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
        let timers_first = host.first == First::Timers;
        host.inbox_bytes = 0;
        // Datagrams first, then streams: a driver polls its socket itself, streams come through tasks of their own.
        let (datagrams, others): (Vec<_>, Vec<_>) = core::mem::take(&mut host.inbox)
            .into_iter()
            .partition(|arrival| matches!(arrival, Arrival::Datagram { .. }));
        if timers_first {
            // And sends what comes of it, before it reads.
            self.time_out(id);
            self.drain(id);
        }
        let is_slow = !self.host(id).service.is_zero();
        for arrival in datagrams.into_iter().chain(others) {
            if is_slow {
                self.host_mut(id).inbox_bytes += arrival.len();
                self.serve_later(id, arrival);
            } else {
                self.deliver(id, arrival);
            }
        }
        self.time_out(id);
        self.drain(id);
    }

    pub(super) fn wake(&mut self, id: HostId, serial: u64) {
        let host = self.host_mut(id);
        if host.wake_serial != serial {
            return;
        }
        host.wake = None;
        // Its resumption, or the end of what it is busy with, looks at what is due.
        if host.is_free() {
            self.time_out(id);
            self.drain(id);
        }
    }

    /// Lets a node do what is due by its clock.
    pub(super) fn time_out(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host_mut(id);
        let local = host.clock.shows(now);
        // The deadline may have moved on since this wake-up was put down.
        if let Role::Node(node) = &mut host.role
            && node.poll_timeout().is_some_and(|due| due <= local)
        {
            node.handle_timeout(local);
        }
    }

    /// Lets an application speak that is not being told anything; what it does to its node is drained by the caller.
    pub(super) fn with_application(&mut self, id: HostId, call: impl FnOnce(&mut dyn Application, &mut Desk<'_>)) {
        let now = self.now;
        let host = self.host_mut(id);
        let local = host.clock.shows(now);
        let (Role::Node(node), Some(application)) = (&mut host.role, &mut host.application) else { return };
        let mut desk = Desk { now: local, node, wake_in: None };
        call(application.as_mut(), &mut desk);
        let wake_in = desk.wake_in;
        self.set_alarm(id, wake_in);
    }

    fn set_alarm(&mut self, id: HostId, wake_in: Option<Duration>) {
        if let Some(wait) = wake_in {
            self.schedule(self.now + wait, Happening::Alarm(id));
        }
    }

    /// Takes all outputs of a node and puts down its next wake-up.
    pub(super) fn drain(&mut self, id: HostId) {
        let (now, checking, keeping) = (self.now, self.checking, self.keeping);
        let host = self.host_mut(id);
        if host.paused_until.is_some() || !matches!(host.role, Role::Node(_)) {
            return;
        }
        let (address, blocked, local) = (host.address, host.blocked, host.clock.shows(now));
        let Role::Node(mut node) = core::mem::replace(&mut host.role, Role::OnStage) else {
            unreachable!("it was just looked at")
        };
        let mut application = host.application.take();
        let mut wake_in = None;
        let mut outbound = core::mem::take(&mut self.outbound);
        let mut told = core::mem::take(&mut self.told);
        loop {
            while !blocked && let Some(transmit) = node.poll_transmit(local, &mut outbound) {
                self.send(address, transmit.destination, &outbound);
                outbound.clear();
            }
            while let Some(action) = node.poll_stream() {
                if let Some(action) = self.leave_gate(id, action) {
                    self.act(id, action);
                }
            }
            let host = self.host_mut(id);
            let mut answered = false;
            while let Some((command, reply)) = node.poll_reply() {
                if let Some(application) = &mut application {
                    let mut desk = Desk { now: local, node: &mut node, wake_in };
                    application.on_reply(&mut desk, command, &reply);
                    wake_in = desk.wake_in;
                    answered = true;
                }
                if keeping {
                    host.replies.push((now, command, reply));
                }
            }
            while host.listening
                && let Some(event) = node.poll_event()
            {
                if let Event::Query { id: query, .. } = event
                    && let Some(answer) = host.answerer.as_mut().and_then(|answer| answer(&event))
                {
                    // One that is too late or too long is not sent; the asker will miss it.
                    let _not_sent = node.respond(local, query, &answer);
                    answered = true;
                }
                if let Some(application) = &mut application {
                    let mut desk = Desk { now: local, node: &mut node, wake_in };
                    application.on_event(&mut desk, &event);
                    wake_in = desk.wake_in;
                    answered = true;
                }
                told.push(event);
            }
            if !answered {
                break;
            }
        }
        self.outbound = outbound;
        if checking {
            node.node().check();
        }
        let busy = !self.host(id).is_free();
        if let Some(watcher) = &mut self.watcher {
            watcher.on_step(&Step { at: now, local, host: id, node: node.node(), events: &told, busy });
        }
        let asks = node.poll_resolve();
        let due = node.poll_timeout();
        let host = self.host_mut(id);
        host.snapshot.follow(&mut node);
        host.role = Role::Node(node);
        host.application = application;
        if keeping {
            host.events.extend(told.drain(..).map(|event| (now, event)));
        }
        told.clear();
        let due = due.map(|due| host.clock.reaches(due));
        self.told = told;
        self.set_alarm(id, wake_in);
        self.look_up(id, asks);
        if let Some(due) = due {
            self.wake_at(id, due);
        }
    }

    /// A wake-up that comes too early costs one look at the deadline; one that is put down anew for every packet
    /// that moves a deadline would cost a place in the heap each.
    fn wake_at(&mut self, id: HostId, due: Instant) {
        let at = due.max(self.now);
        let now = self.now;
        let host = self.host_mut(id);
        if host.wake.is_some_and(|already| already <= at) {
            return;
        }
        host.idle_wakes = if at == now { host.idle_wakes + 1 } else { 0 };
        assert!(host.idle_wakes < IDLE_WAKES_MAX, "{id:?} is due at {due:?} again and again, now {now:?}");
        host.wake = Some(at);
        let serial = self.agenda.wake(at, id);
        self.host_mut(id).wake_serial = serial;
    }
}

/// A node that is due again at the same instant, this many times in a row, will never let time go on.
const IDLE_WAKES_MAX: u32 = 10_000;
