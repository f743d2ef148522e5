//! Clusters for tests that read as stories: nodes have names, time passes when the test says so, and a failure prints
//! the seed that repeats it.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::ops::Index;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use swim_core::ids::{CommandId, LamportTime};
use swim_core::node::input::Reply;
use swim_core::serf::direct::{Delivery, SendError};
use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::Status;
use swim_core::serf::query::Query;
use swim_core::serf::tags::Tags;
use swim_core::serf::user_event::UserEvent;
use swim_core::stats::Stats;
use swim_core::wire::message::State;
use swim_core::{Config, Event, Instant, Node};

use crate::network::Latency;
use crate::puppet::Puppet;
use crate::speech::{Said, Speech, StreamSaid};
use crate::world::{HostId, Verdict, World};

/// Nodes `n1`, `n2`, … on a simulated network.
///
/// Methods that take a name panic when nobody has it: a typing error in a test.
pub struct TestNet {
    world: World,
    seed: u64,
    preset: fn(&str, SocketAddr) -> Config,
    tune: Box<dyn Fn(&mut Config)>,
    /// Running and crashed ones.
    nodes: BTreeMap<String, HostId>,
    /// Every host that ever ran under a name, in the order of starting.
    past: Vec<(String, HostId)>,
    addresses: u32,
    /// What the names of a node's seeds stand for.
    seeds: BTreeMap<String, Vec<SocketAddr>>,
    record: bool,
    packets: Rc<RefCell<Vec<RawPacket>>>,
}

/// A member that somebody held to have failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// When.
    pub at: Instant,
    /// Who said so.
    pub observer: String,
    /// Of whom.
    pub member: String,
}

/// A user event that an application was told of. Bytes that are not ASCII are escaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// When it was told.
    pub at: Instant,
    /// By the event clock.
    pub time: LamportTime,
    /// What happened.
    pub name: String,
    /// To whom it may concern; empty if nothing came with it.
    pub payload: String,
}

/// A datagram as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When.
    pub at: Instant,
    /// By whom.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Its bytes.
    pub len: usize,
    /// Every message in it, in order.
    pub said: Vec<Said>,
}

impl TestNet {
    /// `n` nodes with the LAN preset, none of which knows another, on a network of 0.2 to 1 ms.
    pub fn lan(n: usize, seed: u64) -> Self {
        Self::tuned(n, seed, |_| {})
    }

    /// As [`TestNet::lan`] with the WAN preset.
    pub fn wan(n: usize, seed: u64) -> Self {
        Self::preset(n, seed, |name, at| Config::wan(name, at), |_| {})
    }

    /// As [`TestNet::lan`] with the preset for one machine.
    pub fn local(n: usize, seed: u64) -> Self {
        Self::preset(n, seed, |name, at| Config::local(name, at), |_| {})
    }

    /// As [`TestNet::lan`], each configuration changed by `tune`.
    pub fn tuned(n: usize, seed: u64, tune: impl Fn(&mut Config) + 'static) -> Self {
        Self::preset(n, seed, |name, at| Config::lan(name, at), tune)
    }

    /// `n` nodes with any preset, each configuration changed by `tune`.
    pub fn preset(
        n: usize,
        seed: u64,
        preset: fn(&str, SocketAddr) -> Config,
        tune: impl Fn(&mut Config) + 'static,
    ) -> Self {
        let mut net = Self {
            world: World::new(seed, Latency::Uniform(Duration::from_micros(200), Duration::from_millis(1))),
            seed,
            preset,
            tune: Box::new(tune),
            nodes: BTreeMap::new(),
            past: Vec::new(),
            addresses: 0,
            seeds: BTreeMap::new(),
            record: false,
            packets: Rc::default(),
        };
        for i in 1..=n {
            net.start(&format!("n{i}"));
        }
        net
    }

    /// One node, `n1`, among scripted peers: packets take exactly [`BENCH_LATENCY`], and there are no push/pulls of
    /// its own accord, so that whatever happens is what the test is about.
    pub fn bench(seed: u64) -> Self {
        Self::bench_with(seed, |_| {})
    }

    /// As [`TestNet::bench`], with the configuration changed by `tune`.
    pub fn bench_with(seed: u64, tune: impl Fn(&mut Config) + 'static) -> Self {
        Self::bench_preset(seed, |name, at| Config::lan(name, at), tune)
    }

    /// As [`TestNet::bench_with`], with any preset.
    pub fn bench_preset(
        seed: u64,
        preset: fn(&str, SocketAddr) -> Config,
        tune: impl Fn(&mut Config) + 'static,
    ) -> Self {
        let mut net = Self::preset(0, seed, preset, move |config| {
            config.swim.push_pull_interval = Duration::ZERO;
            tune(config);
        });
        net.set_latency(Latency::Constant(BENCH_LATENCY));
        net.world.set_checking(true);
        net.start("n1");
        net
    }

    /// Everybody has joined, agrees on who is there, and has nothing more to say about it.
    #[must_use]
    pub fn converged(mut self) -> Self {
        let names = self.names();
        for name in names.iter().skip(1) {
            self.join(name, &names[0]);
            // A crowd at one door is another test's business.
            self.run_for(Duration::from_millis(20));
        }
        self.run_until(Self::all_agree, Duration::from_secs(120));
        self.run_until(Self::nothing_to_say, Duration::from_secs(120));
        self
    }

    /// As [`TestNet::converged`], for a thousand and more, without the gossip that it takes them to meet: the first is
    /// told of all, everybody asks it, and what they then have to say about it gets lost. For nodes that do not probe.
    #[must_use]
    pub fn acquainted(mut self) -> Self {
        let names = self.names();
        let herald = self.puppet("herald");
        let (meeting, voice) = (Rc::new(Cell::new(true)), herald.address());
        let over = Rc::clone(&meeting);
        self.world.tap(move |_, from, _, _| if meeting.get() && from != voice { Verdict::Drop } else { Verdict::Pass });
        for name in &names[1..] {
            let local = self[name].local();
            let said = Said::Alive {
                incarnation: local.incarnation().0,
                node: name.clone(),
                address: local.address(),
                meta: local.meta().to_vec(),
                versions: Some(local.versions()),
            };
            self.tell(&herald, &names[0], said);
        }
        for name in &names[1..] {
            self.join(name, &names[0]);
            self.run_for(Duration::from_millis(5));
        }
        // All members are in every queue; gossip empties it 20 packets of 20 updates a second.
        for _ in 0..600 {
            if self.nothing_to_say() {
                break;
            }
            self.run_for(Duration::from_secs(1));
        }
        assert!(self.nothing_to_say() && self.all_agree(), "they know each other\n{self:?}");
        over.set(false);
        self
    }

    /// Starts a node at a fresh address.
    pub fn start(&mut self, name: &str) -> HostId {
        let address = self.fresh_address();
        self.start_at(name, address)
    }

    /// Starts a node at this address.
    pub fn start_at(&mut self, name: &str, address: SocketAddr) -> HostId {
        let config = self.config(name, address);
        let host = self.world.start(config).expect("a valid configuration");
        self.settle(name, host)
    }

    /// Starts a node at a fresh address and records its inputs, for [`World::take_trace`].
    pub fn start_recorded(&mut self, name: &str) -> HostId {
        let address = self.fresh_address();
        let config = self.config(name, address);
        let host = self.world.start_recorded(config).expect("a valid configuration");
        self.settle(name, host)
    }

    /// A scripted peer at a fresh address.
    pub fn puppet(&mut self, name: &str) -> Puppet {
        let address = self.fresh_address();
        self.puppet_at(name, address)
    }

    /// A scripted peer at this address.
    pub fn puppet_at(&mut self, name: &str, address: SocketAddr) -> Puppet {
        let wire = self.config(name, address).wire;
        let puppet = Puppet::new(name, address, &wire);
        let host = self.world.stage(address, puppet.script());
        puppet.settled(host)
    }

    /// A scripted peer that `n1` has heard of: alive with incarnation 1.
    pub fn member(&mut self, name: &str) -> Puppet {
        let puppet = self.puppet(name);
        self.tell(&puppet, "n1", puppet.alive(1));
        puppet
    }

    /// A puppet says something to a node, which has heard it when this returns: it takes two [`BENCH_LATENCY`].
    pub fn tell(&mut self, puppet: &Puppet, to: &str, said: Said) {
        self.tell_all(puppet, to, &[said]);
    }

    /// As [`TestNet::tell`], several messages in one datagram.
    pub fn tell_all(&mut self, puppet: &Puppet, to: &str, said: &[Said]) {
        let (from, to) = (puppet.address(), self.address(to));
        self.world.inject(from, to, &puppet.datagram(said));
        self.run_for(2 * BENCH_LATENCY);
    }

    /// A puppet dials a node and says something; what it hears then is in [`Puppet::streams`].
    pub fn dial(&mut self, puppet: &Puppet, to: &str, said: &StreamSaid) {
        let to = self.address(to);
        let id = self.world.dial(puppet.host(), to);
        puppet.will_say(id, said);
    }

    /// `name` joins by way of `via`.
    pub fn join(&mut self, name: &str, via: &str) -> CommandId {
        let seed = self.address(via);
        self.world.join(self.host(name), &[seed], false)
    }

    /// `name` joins by way of these addresses.
    pub fn join_at(&mut self, name: &str, seeds: &[SocketAddr]) -> CommandId {
        self.world.join(self.host(name), seeds, false)
    }

    /// The names of this node's seeds stand for the addresses of these nodes, also after a restart.
    pub fn set_seeds(&mut self, name: &str, seeds: &[&str]) {
        let addresses: Vec<_> = seeds.iter().map(|seed| self.address(seed)).collect();
        self.set_seeds_at(name, &addresses);
    }

    /// The same, by address.
    pub fn set_seeds_at(&mut self, name: &str, seeds: &[SocketAddr]) {
        self.world.set_names(self.host(name), seeds);
        self.seeds.insert(name.to_owned(), seeds.into());
    }

    /// As [`TestNet::join`], and wants to be told the user events from before.
    pub fn join_and_replay(&mut self, name: &str, via: &str) -> CommandId {
        let seed = self.address(via);
        self.world.join(self.host(name), &[seed], true)
    }

    /// `name` tells everybody something; the event's time.
    pub fn user_event(&mut self, name: &str, event: &str, payload: &str) -> LamportTime {
        let payload = (!payload.is_empty()).then_some(payload.as_bytes());
        let event = UserEvent { name: event.as_bytes(), payload, coalesce: true };
        self.world.user_event(self.host(name), event).expect("the event fits")
    }

    /// `name` asks.
    pub fn query(&mut self, name: &str, query: Query<'_>) -> CommandId {
        self.world.query(self.host(name), query).expect("the query fits")
    }

    /// From now on the application of `name` answers every query with `name`.
    pub fn answer_queries(&mut self, name: &str) {
        let answer = name.as_bytes().to_vec();
        self.world.answer_queries(self.host(name), move |_| Some(answer.clone()));
    }

    /// `name` makes a member leave.
    pub fn force_leave(&mut self, name: &str, member: &str, prune: bool) -> CommandId {
        self.world.force_leave(self.host(name), member.as_bytes(), prune)
    }

    /// `name` starts to say goodbye.
    pub fn leave(&mut self, name: &str) -> CommandId {
        self.world.leave(self.host(name))
    }

    /// `name` changes one tag.
    pub fn set_tag(&mut self, name: &str, key: &str, value: &str) -> CommandId {
        let mut tags = self[name].local().tags();
        tags.insert(key, value);
        self.set_tags(name, &tags)
    }

    /// `name` changes all its tags.
    pub fn set_tags(&mut self, name: &str, tags: &Tags) -> CommandId {
        self.world.set_tags(self.host(name), tags).expect("the tags fit")
    }

    /// `name` pings a member because its application wants it to.
    pub fn ping(&mut self, name: &str, member: &str) -> CommandId {
        self.world.ping(self.host(name), member.as_bytes())
    }

    /// `name` says something to one member.
    ///
    /// # Errors
    ///
    /// When it cannot be sent.
    pub fn send(&mut self, name: &str, to: &str, payload: &[u8], by: Delivery) -> Result<CommandId, SendError> {
        self.world.send_message(self.host(name), to.as_bytes(), payload, by)
    }

    /// Freezes a node.
    pub fn pause(&mut self, name: &str, duration: Duration) {
        self.world.pause(self.host(name), duration);
    }

    /// Ends a node without a word.
    pub fn crash(&mut self, name: &str) {
        self.world.crash(self.host(name));
    }

    /// Starts a crashed node anew, at its old address, knowing nobody.
    pub fn restart(&mut self, name: &str) -> HostId {
        let address = self.address(name);
        self.start_at(name, address)
    }

    /// Splits the network: only names in one group reach each other, and those in none.
    pub fn partition(&mut self, groups: &[&[&str]]) {
        let groups: Vec<Vec<SocketAddr>> =
            groups.iter().map(|group| group.iter().map(|name| self.address(name)).collect()).collect();
        self.world.network_mut().partition(groups.iter().map(Vec::as_slice));
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: SocketAddr, to: SocketAddr) {
        self.world.network_mut().cut(from, to);
    }

    /// Undoes every partition and cut.
    pub fn heal(&mut self) {
        self.world.network_mut().heal();
    }

    /// How likely each packet is lost, everywhere.
    pub fn set_loss(&mut self, loss: f64) {
        self.world.network_mut().default_link_mut().loss = loss;
    }

    /// How likely each packet that is not lost arrives twice, everywhere.
    pub fn set_duplication(&mut self, duplication: f64) {
        self.world.network_mut().default_link_mut().duplication = duplication;
    }

    /// How long packets travel, everywhere.
    pub fn set_latency(&mut self, latency: Latency) {
        self.world.network_mut().default_link_mut().latency = latency;
    }

    /// Lets time pass; then every node checks itself.
    pub fn run_for(&mut self, duration: Duration) {
        self.world.run_for(duration);
        if duration > LOOK_EVERY {
            self.world.check();
        }
    }

    /// Lets time pass until `condition` holds, looked at every 10 ms; returns how long that took.
    ///
    /// # Panics
    ///
    /// When it does not hold within `bound`.
    pub fn run_until(&mut self, mut condition: impl FnMut(&Self) -> bool, bound: Duration) -> Duration {
        let start = self.now();
        while !condition(self) {
            assert!(self.now() - start < bound, "not within {bound:?}\n{self:?}");
            self.run_for(LOOK_EVERY);
        }
        self.now() - start
    }

    /// Lets time pass until the puppet hears another ping; returns when that was sent, by [`BENCH_LATENCY`].
    ///
    /// # Panics
    ///
    /// When none comes within `bound`.
    pub fn run_until_pinged(&mut self, puppet: &Puppet, bound: Duration) -> Instant {
        let before = puppet.pings().len();
        let start = self.now();
        loop {
            if let Some(heard) = puppet.pings().get(before) {
                return Instant::after_origin((*heard - Instant::ZERO).saturating_sub(BENCH_LATENCY));
            }
            assert!(self.now() - start < bound, "{puppet:?} is not pinged within {bound:?}\n{self:?}");
            self.run_for(BENCH_LATENCY);
        }
    }

    /// Lets time pass until this point.
    pub fn run_to(&mut self, until: Instant) {
        self.world.run_to(until);
    }

    /// Keeps every datagram from now on, for [`TestNet::packets`].
    pub fn record(&mut self) {
        self.packets.borrow_mut().clear();
        if !self.record {
            self.record = true;
            let packets = Rc::clone(&self.packets);
            self.world.tap(move |at, from, to, bytes| {
                packets.borrow_mut().push((at, from, to, bytes.to_vec()));
                Verdict::Pass
            });
        }
    }

    /// Every datagram since [`TestNet::record`].
    ///
    /// # Panics
    ///
    /// When one cannot be read.
    pub fn packets(&self) -> Vec<Packet> {
        let config = self.config("reader", SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut speech = Speech::new(&config.wire);
        let packets = self.packets.borrow();
        let packets = packets.iter().map(|(at, from, to, bytes)| {
            let said =
                speech.read(bytes).unwrap_or_else(|error| panic!("a packet from {from} cannot be read: {error}"));
            Packet { at: *at, from: *from, to: *to, len: bytes.len(), said }
        });
        packets.collect()
    }

    /// The datagrams since [`TestNet::record`] that `name` sent.
    pub fn packets_from(&self, name: &str) -> Vec<Packet> {
        let address = self.address(name);
        self.packets().into_iter().filter(|packet| packet.from == address).collect()
    }

    /// The world underneath.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The world underneath.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.world.now()
    }

    /// Names of the nodes that run, `n2` before `n10`.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .nodes
            .iter()
            .filter(|(_, host)| self.world.node(**host).is_some())
            .map(|(name, _)| name.clone())
            .collect();
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names
    }

    /// The host that runs, or ran last, under this name.
    pub fn host(&self, name: &str) -> HostId {
        *self.nodes.get(name).unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    /// Its address.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.world.address(self.host(name))
    }

    /// Whose address this is, as a name; otherwise the address.
    pub fn name_of(&self, address: SocketAddr) -> String {
        let name = self.nodes.iter().find(|(_, host)| self.world.address(**host) == address);
        name.map_or_else(|| address.to_string(), |(name, _)| name.clone())
    }

    /// What Serf's layer of `observer` says of `member`.
    pub fn status_at(&self, observer: &str, member: &str) -> Option<Status> {
        self[observer].member(member.as_bytes()).map(|member| member.status())
    }

    /// What SWIM's layer of `observer` says of `member`: state and incarnation. `None` when it has forgotten it.
    pub fn state_at(&self, observer: &str, member: &str) -> Option<(State, u32)> {
        let member = self[observer].member(member.as_bytes())?;
        Some((member.state()?, member.incarnation().0))
    }

    /// A node's health score.
    pub fn health(&self, name: &str) -> u32 {
        self[name].summary().health_score
    }

    /// A node's counters.
    pub fn stats(&self, name: &str) -> &Stats {
        self[name].stats()
    }

    /// Everything a node's application was told.
    pub fn events(&self, name: &str) -> &[(Instant, Event)] {
        self.world.events(self.host(name))
    }

    /// What a node's application was told about one member.
    pub fn member_events(&self, name: &str, member: &str) -> Vec<(Instant, MemberEvent)> {
        let mut told = Vec::new();
        for (at, event) in self.events(name) {
            if let Event::Member { kind, member: info } = event
                && info.name == *member
            {
                told.push((*at, *kind));
            }
        }
        told
    }

    /// The user events that a node's application was told of.
    pub fn user_events(&self, name: &str) -> Vec<Told> {
        let mut told = Vec::new();
        for (at, event) in self.events(name) {
            if let Event::User { ltime, name, payload, .. } = event {
                let (name, payload) = (name.escape_ascii(), payload.as_deref().unwrap_or_default().escape_ascii());
                told.push(Told { at: *at, time: *ltime, name: name.to_string(), payload: payload.to_string() });
            }
        }
        told
    }

    /// How many queries of this name a node's application was told of.
    pub fn queries(&self, name: &str, query: &str) -> usize {
        let queries = self.events(name).iter();
        queries.filter(|(_, event)| matches!(event, Event::Query { name, .. } if *name == *query)).count()
    }

    /// The last of [`TestNet::member_events`] of this kind.
    pub fn last_event(&self, name: &str, member: &str, kind: MemberEvent) -> Option<Instant> {
        self.member_events(name, member).into_iter().rev().find(|(_, told)| *told == kind).map(|(at, _)| at)
    }

    /// Every reply to one command, with its time.
    pub fn replies(&self, name: &str, command: CommandId) -> Vec<(Instant, Reply)> {
        let replies = self.world.replies(self.host(name)).iter().filter(|(_, id, _)| *id == command);
        replies.map(|(at, _, reply)| (*at, reply.clone())).collect()
    }

    /// Everybody whom anybody held to have failed, in order of time, whether that was right or wrong.
    pub fn deaths(&self) -> Vec<Death> {
        let mut deaths = Vec::new();
        for (observer, host) in &self.past {
            for (at, event) in self.world.events(*host) {
                if let Event::Member { kind: MemberEvent::Failed, member } = event {
                    deaths.push(Death { at: *at, observer: observer.clone(), member: member.name.to_string() });
                }
            }
        }
        deaths.sort_by_key(|death| death.at);
        deaths
    }

    /// Whether every running node holds exactly the running nodes to be alive, in both layers.
    pub fn all_agree(&self) -> bool {
        self.agree(&self.names())
    }

    /// Whether each of these nodes holds exactly these to be alive, in both layers.
    pub fn agree(&self, names: &[String]) -> bool {
        // Most of the time somebody does not, and numbers show it without a look at every pair.
        let counts_agree = names.iter().all(|observer| {
            let summary = self[observer.as_str()].summary();
            summary.members - summary.failed - summary.left == names.len()
        });
        let expected: BTreeSet<&[u8]> = names.iter().map(String::as_bytes).collect();
        counts_agree
            && names.iter().all(|observer| {
                let alive = self[observer.as_str()]
                    .members()
                    .filter(|member| member.status() == Status::Alive && member.state() == Some(State::Alive));
                let mut seen = 0;
                alive.inspect(|_| seen += 1).all(|member| expected.contains(member.name().as_bytes()))
                    && seen == names.len()
            })
    }

    /// Whether no running node has updates or messages left to gossip.
    pub fn nothing_to_say(&self) -> bool {
        self.names().iter().all(|name| {
            let summary = self[name.as_str()].summary();
            summary.update_queue + summary.intent_queue + summary.event_queue + summary.query_queue == 0
        })
    }

    fn config(&self, name: &str, address: SocketAddr) -> Config {
        let mut config = (self.preset)(name, address);
        (self.tune)(&mut config);
        config
    }

    fn settle(&mut self, name: &str, host: HostId) -> HostId {
        self.nodes.insert(name.to_owned(), host);
        self.past.push((name.to_owned(), host));
        if let Some(seeds) = self.seeds.get(name) {
            self.world.set_names(host, seeds);
        }
        host
    }

    /// An address that nobody had before: 10.0.0.1, 10.0.0.2, …
    pub fn fresh_address(&mut self) -> SocketAddr {
        self.addresses += 1;
        let [_, a, b, c] = self.addresses.to_be_bytes();
        SocketAddr::new(IpAddr::from([10, a, b, c]), PORT)
    }
}

impl Index<&str> for TestNet {
    type Output = Node;

    fn index(&self, name: &str) -> &Node {
        self.world.node(self.host(name)).unwrap_or_else(|| panic!("{name} does not run"))
    }
}

impl fmt::Debug for TestNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} at {:?}", self.seed, self.now())?;
        for observer in self.names().iter().take(SHOWN_MAX) {
            let node = &self[observer.as_str()];
            write!(f, "  {observer} (health {}):", node.summary().health_score)?;
            for member in node.members().take(SHOWN_MAX) {
                match member.state() {
                    Some(state) => {
                        write!(f, " {}={}/{state:?}@{}", member.name(), member.status(), member.incarnation())?
                    }
                    None => write!(f, " {}={}", member.name(), member.status())?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Drop for TestNet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was seed {}", self.seed);
        }
    }
}

/// One way, in [`TestNet::bench`].
pub const BENCH_LATENCY: Duration = Duration::from_millis(1);

/// Everybody's port: Serf's.
pub const PORT: u16 = 7946;

/// How often [`TestNet::run_until`] looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Nodes, and members of each, that a failure message lists.
const SHOWN_MAX: usize = 40;

type RawPacket = (Instant, SocketAddr, SocketAddr, Vec<u8>);

/// Milliseconds, for tests.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Seconds, for tests.
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
