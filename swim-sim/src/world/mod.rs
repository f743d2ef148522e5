//! The discrete-event world: a clock that jumps from event to event, hosts, and what travels between them.
//!
//! Each node has one wake-up in the heap, which follows its `poll_timeout`; an event touches one host, and only that
//! host's outputs are drained. So a step costs what the node does, whatever the number of nodes. `agenda.rs` is the heap,
//! `host.rs` runs one host, `streams.rs` has the part about streams, `gate.rs` what happens to a process that cannot reach
//! its sockets, `seeds.rs` what names stand for, `clock.rs`, `cpu.rs` and `snapshot.rs` what else a machine has;
//! `../network/` says how long things travel and what is lost.

mod agenda;
mod clock;
mod cpu;
pub mod gate;
mod host;
mod seeds;
mod snapshot;
mod streams;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use swim_core::ids::{CommandId, LamportTime, StreamId};
use swim_core::node::config::ConfigError;
use swim_core::node::input::Reply;
use swim_core::node::trace::Traced;
use swim_core::serf::direct::{Delivery, SendError};
use swim_core::serf::query::{Query, QueryError};
use swim_core::serf::snapshot::Record;
use swim_core::serf::tags::{Tags, TagsTooLarge};
use swim_core::serf::user_event::{EventTooLarge, UserEvent};
use swim_core::{Config, Event, Instant, Node};

use crate::application::{Application, Watcher};
use crate::digest::Digest;
use crate::network::{Latency, Network};
use crate::rng::Rng;
use crate::script::{Cue, Script};
use agenda::{Agenda, Due};
use host::{Arrival, Host, Role};
use streams::Streams;

/// A simulated network and everybody on it.
///
/// The same seed and the same calls give the same run, byte for byte: see [`World::digest`].
pub struct World {
    now: Instant,
    rng: Rng,
    agenda: Agenda,
    hosts: Vec<Host>,
    /// Who receives at an address. A crashed host is not in it.
    tenants: HashMap<SocketAddr, HostId, FixedState>, // Looked up, never iterated.
    network: Network,
    streams: Streams,
    taps: Vec<Box<Tap>>,
    digest: Digest,
    outbound: Vec<u8>,
    /// Buffers of delivered datagrams, for the next ones.
    spare: Vec<Vec<u8>>,
    datagrams_sent: u64,
    datagrams_lost: u64,
    checking: bool,
    keeping: bool,
    watcher: Option<Box<dyn Watcher>>,
    /// What a node has told its application in the step that runs.
    told: Vec<Event>,
    /// What a reader takes per datagram of its backlog.
    reading_time: Duration,
    digesting: bool,
}

/// One process on the network. A restarted node is a new host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u32);

impl HostId {
    /// Its place in the order of starting, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Sees every datagram at the moment it is sent; may swallow it.
pub type Tap = dyn FnMut(Instant, SocketAddr, SocketAddr, &[u8]) -> Verdict;

/// What an application makes of a query: its answer, or `None`.
pub type Answerer = dyn FnMut(&Event) -> Option<Vec<u8>>;

/// What a [`Tap`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It is lost.
    Drop,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64, latency: Latency) -> Self {
        Self {
            now: Instant::ZERO,
            rng: Rng::new(seed),
            agenda: Agenda::default(),
            hosts: Vec::new(),
            tenants: HashMap::default(),
            network: Network::new(latency),
            streams: Streams::default(),
            taps: Vec::new(),
            digest: Digest::default(),
            outbound: Vec::new(),
            spare: Vec::new(),
            datagrams_sent: 0,
            datagrams_lost: 0,
            checking: false,
            keeping: true,
            watcher: None,
            told: Vec::new(),
            reading_time: gate::READING_TIME,
            digesting: true,
        }
    }

    /// Starts a node at the address it advertises, with a seed from the world's.
    ///
    /// # Errors
    ///
    /// When the core refuses the configuration.
    ///
    /// # Panics
    ///
    /// When somebody else has the address.
    pub fn start(&mut self, config: Config) -> Result<HostId, ConfigError> {
        self.start_with(config, None)
    }

    /// As [`World::start`], and records the node's inputs; [`World::take_trace`] has them.
    ///
    /// # Errors
    ///
    /// When the core refuses the configuration.
    ///
    /// # Panics
    ///
    /// When somebody else has the address.
    pub fn start_recorded(&mut self, config: Config) -> Result<HostId, ConfigError> {
        self.start_with(config, Some(Vec::new()))
    }

    /// Puts a script at an address.
    ///
    /// # Panics
    ///
    /// When somebody else has the address.
    pub fn stage(&mut self, address: SocketAddr, script: Box<dyn Script>) -> HostId {
        self.settle(address, Role::Script(script))
    }

    /// Ends a process without a word. Whoever dials its address is refused; its open streams are reset.
    pub fn crash(&mut self, id: HostId) {
        let host = self.host_mut(id);
        let address = host.address;
        host.role = Role::Gone;
        host.inbox.clear();
        host.inbox_bytes = 0;
        host.gate = None;
        self.tenants.remove(&address);
        self.reset_streams_of(id);
    }

    /// What a recorded node was told, ended by its crash.
    ///
    /// # Panics
    ///
    /// When the host is not a node that was started with [`World::start_recorded`].
    pub fn take_trace(&mut self, id: HostId) -> Vec<u8> {
        let host = self.host_mut(id);
        let role = core::mem::replace(&mut host.role, Role::Gone);
        self.crash(id);
        match role {
            Role::Node(traced) => traced.into_sink().unwrap_or_else(|| panic!("{id:?} was not recorded")),
            Role::Script(_) | Role::Gone | Role::OnStage => panic!("{id:?} is not a running node"),
        }
    }

    /// Freezes a host: nothing of it runs. Datagrams wait in its socket buffer while there is room. When it goes on,
    /// what has arrived comes before what is due, as in the driver.
    pub fn pause(&mut self, id: HostId, duration: Duration) {
        self.pause_then(id, duration, First::Arrivals);
    }

    /// As [`World::pause`], with a choice of what comes first when the host goes on; the choice that was made last
    /// counts.
    pub fn pause_then(&mut self, id: HostId, duration: Duration, first: First) {
        let now = self.now;
        let host = self.host_mut(id);
        let until = now + duration;
        host.first = first;
        if host.paused_until.is_none_or(|already| already < until) {
            host.paused_until = Some(until);
            self.schedule(until, Happening::Resume(id));
        }
    }

    /// Blocks or releases a node's sending: a full socket buffer. Nothing is taken from `poll_transmit` meanwhile.
    pub fn block_sending(&mut self, id: HostId, blocked: bool) {
        self.host_mut(id).blocked = blocked;
        self.drain(id);
    }

    /// From now on the host's application answers each [`Event::Query`] at once, as `answer` says.
    pub fn answer_queries(&mut self, id: HostId, answer: impl FnMut(&Event) -> Option<Vec<u8>> + 'static) {
        self.host_mut(id).answerer = Some(Box::new(answer));
    }

    /// From now on this application lives on the host, and is told everything that the node tells.
    ///
    /// # Panics
    ///
    /// When the host is not a running node.
    pub fn run_application(&mut self, id: HostId, application: impl Application + 'static) {
        self.host_mut(id).application = Some(Box::new(application));
        self.with_application(id, |application, desk| application.on_start(desk));
        self.drain(id);
    }

    /// Lets somebody look at each node after each of its steps. The last one set counts.
    pub fn watch(&mut self, watcher: impl Watcher + 'static) {
        self.watcher = Some(Box::new(watcher));
    }

    /// Whether a host's application takes its events, as it does at first. Those it does not take wait in the node.
    pub fn set_listening(&mut self, id: HostId, listening: bool) {
        self.host_mut(id).listening = listening;
        self.drain(id);
    }

    /// Whether what nodes tell and reply is kept for [`World::events`] and [`World::replies`], as it is at first.
    pub fn set_keeping(&mut self, keeping: bool) {
        self.keeping = keeping;
    }

    /// Forgets what was kept for [`World::events`], of every host: large clusters have much to tell.
    pub fn forget_events(&mut self) {
        for host in &mut self.hosts {
            host.events = Vec::new();
        }
    }

    /// Runs everything that happens up to and including `until`.
    pub fn run_to(&mut self, until: Instant) {
        while let Some((at, due)) = self.agenda.pop(until) {
            debug_assert!(at >= self.now, "time goes forward");
            self.now = at;
            match due {
                Due::Wake(id, serial) => self.wake(id, serial),
                Due::Happening(what) => self.happen(what),
            }
        }
        self.now = until.max(self.now);
    }

    /// Runs for this long.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_to(self.now + duration);
    }

    /// Sends a datagram by hand, in anybody's name, through the network as it is.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        self.send(from, to, datagram);
    }

    /// Lets a script dial; its [`Script::on_stream`] hears what becomes of it.
    ///
    /// # Panics
    ///
    /// When the host is gone.
    pub fn dial(&mut self, id: HostId, peer: SocketAddr) -> StreamId {
        let stream = self.streams.fresh_id();
        self.open_stream(id, stream, peer);
        stream
    }

    /// Lets somebody watch every datagram.
    pub fn tap(&mut self, tap: impl FnMut(Instant, SocketAddr, SocketAddr, &[u8]) -> Verdict + 'static) {
        self.taps.push(Box::new(tap));
    }

    /// Whether each node checks itself after every event, at the cost of a look at all its members.
    pub fn set_checking(&mut self, checking: bool) {
        self.checking = checking;
    }

    /// Whether datagrams go into [`World::digest`], as they do at first. Who measures much and compares its results
    /// saves the time.
    pub fn set_digesting(&mut self, digesting: bool) {
        self.digesting = digesting;
    }

    /// Every running node checks itself, as [`Node::check`], and the world checks that none will oversleep.
    ///
    /// # Panics
    ///
    /// When the parts of a node contradict each other.
    pub fn check(&self) {
        for host in &self.hosts {
            if let Role::Node(node) = &host.role {
                node.node().check();
                if let (Some(due), None) = (node.poll_timeout(), host.paused_until) {
                    let due = host.clock.reaches(due);
                    let wake = host.wake.filter(|wake| *wake >= self.now);
                    assert!(wake.is_some_and(|wake| wake <= due.max(self.now)), "{} oversleeps {due:?}", host.address);
                }
            }
        }
    }

    /// The network's laws.
    pub fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// Longest piece in which bytes of a stream arrive; each piece travels on its own. At least 1.
    pub fn set_stream_chunk(&mut self, bytes: usize) {
        self.streams.set_chunk(bytes);
    }

    /// [`Node::join`]
    pub fn join(&mut self, id: HostId, seeds: &[SocketAddr], replay: bool) -> CommandId {
        self.command(id, |node, now| node.join(now, seeds, replay))
    }

    /// [`Node::leave`]
    pub fn leave(&mut self, id: HostId) -> CommandId {
        self.command(id, |node, now| node.leave(now))
    }

    /// [`Node::ping`]
    pub fn ping(&mut self, id: HostId, name: &[u8]) -> CommandId {
        self.command(id, |node, now| node.ping(now, name))
    }

    /// [`Node::send`]
    ///
    /// # Errors
    ///
    /// When it cannot be sent.
    pub fn send_message(
        &mut self,
        id: HostId,
        to: &[u8],
        payload: &[u8],
        by: Delivery,
    ) -> Result<CommandId, SendError> {
        self.command(id, |node, now| node.send(now, to, payload, by))
    }

    /// [`Node::force_leave`]
    pub fn force_leave(&mut self, id: HostId, name: &[u8], prune: bool) -> CommandId {
        self.command(id, |node, now| node.force_leave(now, name, prune))
    }

    /// [`Node::restore`]
    pub fn restore(&mut self, id: HostId, records: &[Record<'_>]) {
        self.command(id, |node, now| node.restore(now, records));
    }

    /// [`Node::set_tags`]
    ///
    /// # Errors
    ///
    /// When they do not fit.
    pub fn set_tags(&mut self, id: HostId, tags: &Tags) -> Result<CommandId, TagsTooLarge> {
        self.command(id, |node, now| node.set_tags(now, tags))
    }

    /// [`Node::user_event`]
    ///
    /// # Errors
    ///
    /// When it is too long.
    pub fn user_event(&mut self, id: HostId, event: UserEvent<'_>) -> Result<LamportTime, EventTooLarge> {
        self.command(id, |node, now| node.user_event(now, event))
    }

    /// [`Node::query`]
    ///
    /// # Errors
    ///
    /// When it is not asked.
    pub fn query(&mut self, id: HostId, query: Query<'_>) -> Result<CommandId, QueryError> {
        self.command(id, |node, now| node.query(now, query))
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The dice, for whoever sets up a scene.
    pub fn rng_mut(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The hash of all that was sent so far, lost datagrams included.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// Datagrams sent so far.
    pub fn datagrams_sent(&self) -> u64 {
        self.datagrams_sent
    }

    /// Datagrams that did not arrive: lost, cut off, swallowed by a tap, or too many for a frozen host's buffer.
    pub fn datagrams_lost(&self) -> u64 {
        self.datagrams_lost
    }

    /// The node that runs as this host; `None` when it has crashed or is a script.
    pub fn node(&self, id: HostId) -> Option<&Node> {
        match &self.host(id).role {
            Role::Node(node) => Some(node.node()),
            Role::Script(_) | Role::Gone | Role::OnStage => None,
        }
    }

    /// Whose address this is now.
    pub fn tenant(&self, address: SocketAddr) -> Option<HostId> {
        self.tenants.get(&address).copied()
    }

    /// A host's address.
    pub fn address(&self, id: HostId) -> SocketAddr {
        self.host(id).address
    }

    /// Every event of a host so far, with its time.
    pub fn events(&self, id: HostId) -> &[(Instant, Event)] {
        &self.host(id).events
    }

    /// Every reply to a host's commands so far, with its time.
    pub fn replies(&self, id: HostId) -> &[(Instant, CommandId, Reply)] {
        &self.host(id).replies
    }

    fn start_with(&mut self, config: Config, trace: Option<Vec<u8>>) -> Result<HostId, ConfigError> {
        let seed = self.rng.seed();
        let address = config.advertise;
        let node = Traced::new(config, seed, self.now, trace)?;
        Ok(self.settle(address, Role::Node(Box::new(node))))
    }

    fn settle(&mut self, address: SocketAddr, role: Role) -> HostId {
        let id = HostId(u32::try_from(self.hosts.len()).expect("fewer than 2³² hosts"));
        let before = self.tenants.insert(address, id);
        assert!(before.is_none(), "{address} is taken");
        self.hosts.push(Host::new(address, role));
        self.drain(id);
        id
    }

    fn command<T>(&mut self, id: HostId, call: impl FnOnce(&mut Traced<Option<Vec<u8>>>, Instant) -> T) -> T {
        let now = self.local_time(id);
        let result = match &mut self.host_mut(id).role {
            Role::Node(node) => call(node, now),
            Role::Script(_) | Role::Gone | Role::OnStage => panic!("{id:?} is not a running node"),
        };
        self.drain(id);
        result
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Datagram { from, to, datagram } => {
                let Some(id) = self.tenant(to) else {
                    self.datagrams_lost += 1;
                    return;
                };
                self.arrive(id, Arrival::Datagram { from, datagram });
            }
            Happening::Serve(id) => self.serve(id),
            Happening::Alarm(id) => self.arrive(id, Arrival::Alarm),
            Happening::Resume(id) => self.resume(id),
            Happening::Read(id) => self.read_next(id),
            Happening::Resolved(id) => self.resolved(id),
            Happening::Cue { id, cue } => {
                if matches!(self.host(id).role, Role::Script(_)) {
                    self.perform(id, cue);
                }
            }
            Happening::Stream(happening) => self.stream_happens(happening),
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.datagrams_sent += 1;
        if self.digesting {
            self.digest.add_packet(self.now, from, to, bytes);
        }
        let mut passes = true;
        for tap in &mut self.taps {
            // Every tap sees everything, also what another one has swallowed.
            passes &= tap(self.now, from, to, bytes) == Verdict::Pass;
        }
        let Self { network, rng, now, .. } = self;
        if !passes
            || !network.connects(from, to)
            || !network.fits(from, to, bytes.len())
            || network.loses(rng, *now, from, to)
        {
            self.datagrams_lost += 1;
            return;
        }
        let copies = 1 + u32::from(network.duplicates(rng, from, to));
        for _ in 0..copies {
            let Self { network, rng, now, .. } = self;
            let Some(wait) = network.queue(*now, from, to, bytes.len(), false) else {
                self.datagrams_lost += 1;
                return;
            };
            let at = *now + wait + network.latency(rng, from, to) + network.detour(rng, from, to);
            let mut datagram = self.spare.pop().unwrap_or_default();
            datagram.clear();
            datagram.extend_from_slice(bytes);
            network.corrupt(rng, from, to, &mut datagram);
            self.schedule(at, Happening::Datagram { from, to, datagram });
        }
    }

    fn schedule(&mut self, at: Instant, what: Happening) {
        let late = matches!(what, Happening::Resume(_));
        self.agenda.put(at, late, what);
    }

    fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0 as usize]
    }

    fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id.0 as usize]
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("hosts", &self.hosts.len())
            .field("digest", &format_args!("{:016x}", self.digest()))
            .finish_non_exhaustive()
    }
}

/// What a frozen host's socket holds, in bytes: memberlist asks its kernel for this much.
pub const SOCKET_BUFFER: usize = 2 << 20;

/// What comes first when a frozen host goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum First {
    /// What has arrived, as in the driver.
    #[default]
    Arrivals,
    /// What is due: the worst case for whoever waits for an ack that lies in the socket.
    Timers,
}

enum Happening {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        datagram: Vec<u8>,
    },
    Resume(HostId),
    /// A slow host has done with the first of what waits.
    Serve(HostId),
    /// An application wanted to be woken.
    Alarm(HostId),
    /// A reader has time for the next datagram of its backlog.
    Read(HostId),
    /// The names of a node's seeds have been looked up.
    Resolved(HostId),
    Cue {
        id: HostId,
        cue: Cue,
    },
    Stream(streams::Happening),
}
