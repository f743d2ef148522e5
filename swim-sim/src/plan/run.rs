//! Runs a plan: everybody meets, the steps happen, all is made well again, and then all must be well.

mod nodes;

use core::cell::RefCell;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::rc::Rc;

use swim_core::serf::config::Life;
use swim_core::serf::direct::Delivery;
use swim_core::serf::query::Query;
use swim_core::serf::user_event::UserEvent;
use swim_core::wire::keyring::Key;
use swim_core::{Config, Instant, wire};

use self::nodes::PORT;
use super::{Act, Plan, PlanError, Preset, Step};
use crate::checks::{Checks, Cluster, Running, Violation};
use crate::network::{Bandwidth, Bursts, Latency, Link, Reordering};
use crate::rng::Rng;
use crate::world::{HostId, World};

/// A run in which no rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The hash of all that was sent and told.
    pub digest: u64,
    /// Virtual time.
    pub lasted: Duration,
    /// Datagrams sent.
    pub datagrams: u64,
    /// How long it took, after the last fault was over, until everybody agreed.
    pub settled_in: Duration,
    /// Bytes that a node sent per second when all was quiet.
    pub quiet_rate: u64,
}

/// Why a run is none to be content with.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The plan cannot be run.
    Plan(PlanError),
    /// A rule was broken.
    Rule(Violation),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::Rule(violation) => violation.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}

impl Plan {
    /// Runs it, with all checkers.
    ///
    /// # Errors
    ///
    /// With the first rule that is broken, or when the plan cannot be run.
    pub fn run(&self) -> Result<Outcome, Failure> {
        self.check().map_err(Failure::Plan)?;
        let checks = Rc::new(RefCell::new(Checks::new(self.nodes)));
        guarded(&checks, || Stage::new(self, Rc::clone(&checks)).play()).map_err(Failure::Rule)
    }

    /// Runs it twice: the second run must be the first, byte for byte.
    ///
    /// # Errors
    ///
    /// Those of [`Plan::run`].
    pub fn run_twice(&self) -> Result<Outcome, Failure> {
        same(self.run()?, self.run()?).map_err(Failure::Rule)
    }

    fn config(&self, number: u32, address: SocketAddr) -> Config {
        let name = format!("n{number}");
        let name = name.as_str();
        let mut config = match self.setting.preset {
            Preset::Lan => Config::lan(name, address),
            Preset::Wan => Config::wan(name, address),
            Preset::Local => Config::local(name, address),
        };
        if self.setting.serf_wire {
            config.wire = wire::Config::serf();
        }
        if self.setting.sealed {
            let key = Key::new(&[7; 32]).expect("32 bytes are a key");
            config.wire.keyring.add(key).expect("there is room for the first");
        }
        config.serf.snapshot = true;
        config.tags.insert("role", "sim");
        if self.setting.mixed {
            // Each node's own, whatever else is in the plan.
            let mut rng = Rng::new(self.seed ^ u64::from(number) << 32);
            let mut one_in = |n| rng.below(n) == 0;
            config.wire.compression ^= one_in(3);
            config.serf.coordinates = !one_in(4);
            config.serf.protocol = if one_in(3) { 4 } else { 5 };
            config.swim.nacks = !one_in(4);
            config.swim.buddy = !one_in(4);
            config.swim.stream_probes = !one_in(4);
            config.swim.indirect_checks = if one_in(3) { 1 } else { 3 };
            config.swim.gossip_nodes = if one_in(3) { 2 } else { 3 };
            if one_in(4) {
                config.swim.probe_interval = config.swim.probe_interval * 3 / 2;
            }
        }
        config
    }
}

/// A panic is a broken rule, too.
fn guarded(checks: &RefCell<Checks>, play: impl FnOnce() -> Result<Outcome, Violation>) -> Result<Outcome, Violation> {
    // Nothing of the stage is looked at after a panic; of the checks, what they knew before.
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let checks = checks.borrow();
        let rule = if checks.was_looking_inside() { "parts_agree" } else { "no_panic" };
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text");
        Err(Violation { rule, at: checks.last_step(), what: text.to_owned() })
    })
}

fn same(first: Outcome, second: Outcome) -> Result<Outcome, Violation> {
    if first == second {
        return Ok(first);
    }
    let what = format!("the first run: {first:?}; the second: {second:?}");
    Err(Violation { rule: "same_seed_same_hash", at: Instant::ZERO + second.lasted, what })
}

struct Stage<'a> {
    plan: &'a Plan,
    world: World,
    checks: Rc<RefCell<Checks>>,
    /// By number; nobody has number 0.
    nodes: Vec<Name>,
    addresses: u32,
    events: u32,
    /// When the steps began.
    began: Instant,
    /// Steps under way, by place in the plan, with the host that they befall.
    active: BTreeMap<usize, Option<HostId>>,
    /// Harmful steps so far, and the last moment at which one was under way.
    harms: u64,
    harm_until: Instant,
    /// Crashes of which everybody should know by then, if nothing else goes wrong.
    news: Vec<(Instant, u32, u64)>,
    next_look: Instant,
}

/// What runs, and ran, under a name.
#[derive(Clone, Debug)]
struct Name {
    /// Two, while an impostor runs.
    running: Vec<HostId>,
    last: Option<HostId>,
    address: SocketAddr,
    frozen_until: Instant,
    /// It was started anew, and nobody may know it, nor it anybody.
    lost: bool,
}

impl<'a> Stage<'a> {
    fn new(plan: &'a Plan, checks: Rc<RefCell<Checks>>) -> Self {
        let mut world = World::new(plan.seed, plan.latency());
        world.set_keeping(false);
        world.watch(Rc::clone(&checks));
        let nobody = Name {
            running: Vec::new(),
            last: None,
            address: SocketAddr::new(IpAddr::from([0, 0, 0, 0]), PORT),
            frozen_until: Instant::ZERO,
            lost: false,
        };
        Self {
            plan,
            world,
            checks,
            nodes: vec![nobody; plan.nodes as usize + 1],
            addresses: 0,
            events: 0,
            began: Instant::ZERO,
            active: BTreeMap::new(),
            harms: 0,
            harm_until: Instant::ZERO,
            news: Vec::new(),
            next_look: Instant::ZERO,
        }
    }

    fn play(mut self) -> Result<Outcome, Violation> {
        self.meet()?;
        self.befall()?;
        let settled_in = self.recover()?;
        self.tell_all()?;
        let quiet_rate = self.be_quiet()?;
        let mut digest = crate::digest::Digest::default();
        digest.add_word(self.world.digest());
        digest.add_word(self.checks.borrow().digest());
        Ok(Outcome {
            digest: digest.value(),
            lasted: self.world.now() - Instant::ZERO,
            datagrams: self.world.datagrams_sent(),
            settled_in,
            quiet_rate,
        })
    }

    fn meet(&mut self) -> Result<(), Violation> {
        for number in 1..=self.plan.nodes {
            let address = self.fresh_address();
            self.start(number, address, &[]);
            self.run_for(if self.plan.nodes > 100 { 5 } else { 20 })?;
        }
        self.checks.borrow_mut().set_calm(Some(Instant::ZERO));
        self.until_agreed(self.scaled(MEETING_MAX))?;
        self.began = self.world.now();
        Ok(())
    }

    fn befall(&mut self) -> Result<(), Violation> {
        let mut moments: Vec<(u64, usize, bool)> = Vec::new();
        for (index, Step { at, lasts, .. }) in self.plan.steps.iter().enumerate() {
            moments.push((*at, index, true));
            if *lasts > 0 {
                moments.push((at + lasts, index, false));
            }
        }
        moments.sort_unstable();
        for (at, index, begins) in moments {
            self.run_to(self.began + Duration::from_millis(at))?;
            if begins {
                self.begin(index);
            } else {
                self.end(index);
            }
        }
        Ok(())
    }

    /// Everything is well again, and everybody finds everybody.
    fn recover(&mut self) -> Result<Duration, Violation> {
        self.world.network_mut().heal();
        let joins = |Step { at, what, .. }: &Step| matches!(what, Act::Join { .. }).then_some(*at);
        let mut last_join =
            self.plan.steps.iter().filter_map(joins).max().map(|at| self.began + Duration::from_millis(at));
        if self.plan.setting.seeds {
            self.look_up_seeds();
        } else {
            self.rejoin();
            last_join = Some(self.world.now());
        }
        if let Some(last) = last_join {
            // Whoever joins is not told what was said before, and not what is said meanwhile.
            self.run_to(last + JOINING)?;
        }
        let settled_in = self.until_agreed(self.scaled(SETTLING_MAX))?;
        if self.plan.steps.iter().any(|step| matches!(step.what, Act::Impostor { .. })) {
            // Of two who claim a name each asks the others. Where there are none, both lose it, one after the other.
            self.run_for(self.scaled(ASKING).as_millis() as u64)?;
            self.until_agreed(self.scaled(SETTLING_MAX))?;
        }
        Ok(settled_in)
    }

    /// Some of those who are there have something to say, and everybody hears it.
    fn tell_all(&mut self) -> Result<(), Violation> {
        let hosts: Vec<HostId> = self.cluster().numbers().filter_map(|number| self.host(number)).collect();
        let mut names = Vec::new();
        let speakers = &hosts[..hosts.len().min(3)];
        self.until_of_one_time(&hosts, speakers)?;
        for host in speakers {
            names.push(self.user_event(*host, 16));
        }
        let until = self.world.now() + self.scaled(TELLING_MAX);
        loop {
            let checks = self.checks.borrow();
            let missing = names.iter().find_map(|name| {
                let deaf = hosts.iter().find(|host| !checks.was_told(**host, name.as_bytes()))?;
                Some(format!("{} was not told {name}", self.name_of(*deaf)))
            });
            drop(checks);
            match missing {
                None => return Ok(()),
                Some(what) if self.world.now() >= until => return self.fail("event_at_least_once", what),
                Some(_) => self.run_for(500)?,
            }
        }
    }

    /// Whoever was restored takes no event from before what it remembers, and that may be an event that nobody else has
    /// heard of. Full exchanges bring the others up to it.
    fn until_of_one_time(&mut self, hosts: &[HostId], speakers: &[HostId]) -> Result<(), Violation> {
        let time = |stage: &Self, host: &HostId| stage.world.node(*host).map(|node| node.summary().event_time);
        let until = self.world.now() + self.scaled(TELLING_MAX);
        loop {
            let latest = hosts.iter().filter_map(|host| time(self, host)).max();
            let Some(behind) = speakers.iter().find(|host| time(self, host) < latest) else { return Ok(()) };
            if self.world.now() >= until {
                let what = format!("the event clock of {} is behind", self.name_of(*behind));
                return self.fail("event_at_least_once", what);
            }
            self.run_for(500)?;
        }
    }

    /// Nothing happens, and little is sent.
    fn be_quiet(&mut self) -> Result<u64, Violation> {
        let (began, sent) = (self.world.now(), self.cluster().bytes_sent());
        let end = (self.began + Duration::from_secs(self.plan.seconds.into())).max(began + self.scaled(QUIET_MIN));
        self.run_to(end)?;
        let cluster = self.cluster();
        let Some(bytes) = cluster.bytes_sent().checked_sub(sent) else {
            return self.fail("one_name_one_node", "a process ended while nothing happened".into());
        };
        let nodes = cluster.len();
        if let Some((rule, what)) = cluster.disagreement() {
            return self.fail(rule, what);
        }
        let time = end - began;
        self.checks.borrow_mut().budget(end, bytes, nodes, time, self.budget());
        self.look_at_all();
        self.world.check();
        self.violation()?;
        Ok((bytes as f64 / (nodes.max(1) as f64 * time.as_secs_f64())) as u64)
    }

    fn begin(&mut self, index: usize) {
        let Step { lasts, what, .. } = &self.plan.steps[index];
        let lasts = Duration::from_millis(*lasts);
        if what.harms() {
            let now = self.world.now();
            self.harms += 1;
            self.harm_until = self.harm_until.max(now + lasts);
            self.checks.borrow_mut().set_calm(Some(self.harm_until + self.scaled(GRACE)));
        }
        let host = what.nodes().first().and_then(|number| self.host(*number));
        self.act(what, lasts);
        if !lasts.is_zero() {
            self.active.insert(index, host);
            self.set_network();
        }
    }

    fn act(&mut self, what: &Act, lasts: Duration) {
        match what {
            Act::Crash { node } => self.crash(*node),
            Act::Restart { node, memory, moved } => self.restart(*node, *memory, *moved),
            Act::Impostor { node } => {
                // With too few to ask, impostors bear each other out, and each side keeps its names.
                let disputed = 1 + self.nodes.iter().filter(|name| name.running.len() > 1).count();
                let undisputed = self.nodes.iter().filter(|name| name.running.len() == 1).count();
                if self.nodes[*node as usize].running.len() == 1 && (disputed == 1 || undisputed > disputed) {
                    let address = self.fresh_address();
                    self.start(*node, address, &[]);
                }
            }
            Act::Freeze { node, first } => {
                if let Some(host) = self.host(*node) {
                    self.world.pause_then(host, lasts, *first);
                    let name = &mut self.nodes[*node as usize];
                    name.frozen_until = name.frozen_until.max(self.world.now() + lasts);
                }
            }
            Act::Slow { node, service_us } => {
                if let Some(host) = self.host(*node).filter(|_| !lasts.is_zero()) {
                    self.world.set_service_time(host, Duration::from_micros(*service_us));
                }
            }
            Act::Drift { node, ppm } => {
                if let Some(host) = self.host(*node).filter(|_| !lasts.is_zero()) {
                    self.world.set_drift(host, *ppm);
                }
            }
            Act::Jump { node, by } => {
                if let Some(host) = self.host(*node) {
                    self.world.jump_clock(host, Duration::from_millis(*by));
                }
            }
            Act::BlockSending { node } => {
                if let Some(host) = self.host(*node).filter(|_| !lasts.is_zero()) {
                    self.world.block_sending(host, true);
                }
            }
            Act::UserEvent { node, bytes } => {
                if let Some(host) = self.awake(*node) {
                    self.user_event(host, *bytes);
                }
            }
            Act::Query { node } => {
                if let Some(host) = self.awake(*node) {
                    // One that is not asked is a fine answer.
                    let _asked = self.world.query(host, Query { name: b"how", ..Query::default() });
                }
            }
            Act::SetTag { node, value } => {
                if let Some(host) = self.awake(*node)
                    && let Some(node) = self.world.node(host)
                {
                    let mut tags = node.tags().clone();
                    tags.insert("value", value.to_string());
                    let _small = self.world.set_tags(host, &tags);
                }
            }
            Act::Send { node, to, by_stream } => {
                if let Some(host) = self.awake(*node) {
                    let by = if *by_stream { Delivery::Stream } else { Delivery::Datagram };
                    // Somebody who is not there cannot be told.
                    let _sent = self.world.send_message(host, format!("n{to}").as_bytes(), b"a word", by);
                }
            }
            Act::Leave { node } => {
                if let Some(host) = self.awake(*node) {
                    self.world.leave(host);
                }
            }
            Act::ForceLeave { node, member } => {
                if let Some(host) = self.awake(*node) {
                    self.world.force_leave(host, format!("n{member}").as_bytes(), false);
                }
            }
            Act::Join { node, via } => {
                let address = self.nodes[*via as usize].address;
                if let Some(host) = self.awake(*node) {
                    self.world.join(host, &[address], false);
                }
            }
            Act::Deaf { .. }
            | Act::Mute { .. }
            | Act::Cut { .. }
            | Act::Partition { .. }
            | Act::Loss { .. }
            | Act::Bursts { .. }
            | Act::Duplication { .. }
            | Act::Reordering { .. }
            | Act::Corruption { .. }
            | Act::Bandwidth { .. }
            | Act::Mtu { .. }
            | Act::Delay { .. } => {} // The network's; see `set_network`.
        }
    }

    fn end(&mut self, index: usize) {
        let Some(host) = self.active.remove(&index) else { return };
        let running = host.filter(|host| self.world.node(*host).is_some());
        match (&self.plan.steps[index].what, running) {
            (Act::Slow { .. }, Some(host)) => self.world.set_service_time(host, Duration::ZERO),
            (Act::Drift { .. }, Some(host)) => self.world.set_drift(host, 0),
            (Act::BlockSending { .. }, Some(host)) => self.world.block_sending(host, false),
            _other => {}
        }
        self.set_network();
    }

    /// The network as the steps under way have it; of several that say the same thing, the last in the plan counts.
    fn set_network(&mut self) {
        let ms = Duration::from_millis;
        let plan = self.plan;
        let address = |nodes: &[Name], number: u32| nodes[number as usize].address;
        let mut link = Link::new(plan.latency());
        let nodes = &self.nodes;
        let network = self.world.network_mut();
        network.heal();
        for index in self.active.keys() {
            match &plan.steps[*index].what {
                Act::Deaf { node } => network.deafen(address(nodes, *node)),
                Act::Mute { node } => network.mute(address(nodes, *node)),
                Act::Cut { from, to, both } => {
                    network.cut(address(nodes, *from), address(nodes, *to));
                    if *both {
                        network.cut(address(nodes, *to), address(nodes, *from));
                    }
                }
                Act::Partition { group } => {
                    let group: Vec<_> = group.iter().map(|number| address(nodes, *number)).collect();
                    network.partition([group.as_slice()]);
                }
                Act::Loss { rate } => link.loss = *rate,
                Act::Bursts { every, last, rate } => {
                    link.bursts = Some(Bursts { every: ms(*every), last: ms(*last), loss: *rate });
                }
                Act::Duplication { rate } => link.duplication = *rate,
                Act::Reordering { rate, by } => {
                    link.reordering = Some(Reordering { chance: *rate, by: ms(*by) });
                }
                Act::Corruption { rate } => link.corruption = *rate,
                Act::Bandwidth { rate, queue } => {
                    link.bandwidth = Some(Bandwidth { rate: *rate, queue: *queue });
                }
                Act::Mtu { bytes } => link.mtu = Some(*bytes),
                Act::Delay { latency } => link.latency = *latency,
                Act::Crash { .. }
                | Act::Restart { .. }
                | Act::Impostor { .. }
                | Act::Freeze { .. }
                | Act::Slow { .. }
                | Act::Drift { .. }
                | Act::Jump { .. }
                | Act::BlockSending { .. }
                | Act::UserEvent { .. }
                | Act::Query { .. }
                | Act::SetTag { .. }
                | Act::Send { .. }
                | Act::Leave { .. }
                | Act::ForceLeave { .. }
                | Act::Join { .. } => {} // A node's; see `act`.
            }
        }
        *network.default_link_mut() = link;
    }

    /// Whether, but for what begins this moment, all has been well for a while.
    fn harms_are_over(&self, now: Instant) -> bool {
        self.plan.steps.iter().all(|Step { at, lasts, what }| {
            let begins = self.began + Duration::from_millis(*at);
            begins >= now || !what.harms() || begins + Duration::from_millis(*lasts) + self.scaled(GRACE) <= now
        })
    }

    fn user_event(&mut self, host: HostId, bytes: usize) -> String {
        self.events += 1;
        let name = format!("e{}", self.events);
        let payload = vec![b'x'; bytes.min(EVENT_BYTES_MAX)];
        let event = UserEvent { name: name.as_bytes(), payload: Some(&payload), coalesce: false };
        self.world.user_event(host, event).expect("it is short");
        name
    }

    fn run_for(&mut self, millis: u64) -> Result<(), Violation> {
        self.run_to(self.world.now() + Duration::from_millis(millis))
    }

    fn run_to(&mut self, until: Instant) -> Result<(), Violation> {
        while self.world.now() < until {
            let next = (self.world.now() + SLICE).min(until);
            self.world.run_to(next);
            self.violation()?;
            self.dismiss();
            self.ask_for_news()?;
            if next >= self.next_look {
                self.next_look = next + if self.plan.nodes > 100 { 4 * LOOK_EVERY } else { LOOK_EVERY };
                self.look_at_all();
                self.violation()?;
            }
        }
        Ok(())
    }

    fn ask_for_news(&mut self) -> Result<(), Violation> {
        let now = self.world.now();
        let harms = self.harms;
        let (due, later): (Vec<_>, Vec<_>) = self.news.iter().partition(|(at, ..)| *at <= now);
        self.news = later;
        for (_, number, harms_then) in due {
            if harms == harms_then
                && self.nodes[number as usize].running.is_empty()
                && let Some(believer) = self.cluster().believer(number)
            {
                return self.fail("completeness", believer);
            }
        }
        Ok(())
    }

    fn until_agreed(&mut self, bound: Duration) -> Result<Duration, Violation> {
        let began = self.world.now();
        loop {
            let twins = self.nodes.iter().position(|name| name.running.len() > 1);
            let wrong = match twins {
                Some(number) => Some(("one_name_one_node", format!("two processes still run as n{number}"))),
                None => self.cluster().disagreement(),
            };
            let now = self.world.now();
            match wrong {
                None => return Ok(now - began),
                Some((rule, what)) if now - began >= bound => return self.fail(rule, what),
                Some(_) => self.run_for(if now - began < Duration::from_secs(10) { 100 } else { 1000 })?,
            }
        }
    }

    fn look_at_all(&mut self) {
        let at = self.world.now();
        for host in self.nodes.iter().flat_map(|name| &name.running) {
            if let Some(node) = self.world.node(*host) {
                self.checks.borrow_mut().look(at, self.world.local_time(*host), *host, node);
            }
        }
    }

    fn violation(&self) -> Result<(), Violation> {
        self.checks.borrow().violation().cloned().map_or(Ok(()), Err)
    }

    fn fail<T>(&self, rule: &'static str, what: String) -> Result<T, Violation> {
        Err(Violation { rule, at: self.world.now(), what })
    }

    fn cluster(&self) -> Cluster<'_> {
        let mut running = Vec::new();
        for (number, name) in (0..).zip(&self.nodes) {
            if let Some(host) = name.running.first()
                && let Some(node) = self.world.node(*host)
                && node.life() == Life::Alive
            {
                running.push(Running { number, address: self.world.address(*host), node });
            }
        }
        Cluster::new(running)
    }

    fn host(&self, number: u32) -> Option<HostId> {
        self.nodes[number as usize].running.first().copied()
    }

    /// Whoever is frozen gives no commands.
    fn awake(&self, number: u32) -> Option<HostId> {
        self.host(number).filter(|_| self.nodes[number as usize].frozen_until < self.world.now())
    }

    fn name_of(&self, host: HostId) -> String {
        let number = self.nodes.iter().position(|name| name.running.contains(&host));
        number.map_or_else(|| format!("{host:?}"), |number| format!("n{number}"))
    }

    /// The preset for the internet is slower in everything.
    fn scaled(&self, time: Duration) -> Duration {
        match self.plan.setting.preset {
            Preset::Lan | Preset::Local => time,
            Preset::Wan => time * 5,
        }
    }

    /// Until everybody knows of a crash: its turn to be probed, in the worst of two rounds, by one who probes half as
    /// often again; a suspicion that nobody confirms; and gossip.
    fn completeness(&self) -> Duration {
        let nodes = f64::from(self.plan.nodes.max(10));
        let probes = 3 * self.plan.nodes.min(50);
        Duration::from_secs(u64::from(probes) + 20) + Duration::from_secs_f64(36.0 * libm::log10(nodes))
    }

    /// Bytes per second that a quiet node may send: its probes, and full state exchanges in proportion to the cluster.
    fn budget(&self) -> u64 {
        450 + 12 * u64::from(self.plan.nodes)
    }
}

impl Plan {
    fn latency(&self) -> Latency {
        let lan = Latency::Uniform(Duration::from_micros(200), Duration::from_millis(1));
        self.setting.latency.unwrap_or(lan)
    }
}

/// After so long somebody looks whether a process has to end.
const SLICE: Duration = Duration::from_secs(1);
/// How often everybody's whole table is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// An operator's join takes no longer, done or given up.
const JOINING: Duration = Duration::from_secs(15);
/// A question to all about whose a name is takes no longer.
const ASKING: Duration = Duration::from_secs(10);
/// Everybody who joins knows everybody by then.
const MEETING_MAX: Duration = Duration::from_secs(120);
/// The longest that healing takes once the network is whole: see `tests/healing.rs`.
const SETTLING_MAX: Duration = Duration::from_secs(3 * 9 * 60);
/// A user event that gossip has missed comes with a full state exchange; those come every 30 s, by chance.
const TELLING_MAX: Duration = Duration::from_secs(300);
/// So long is measured what a quiet node sends.
const QUIET_MIN: Duration = Duration::from_secs(30);
/// After the last harm somebody may still be suspected, and found to have failed.
const GRACE: Duration = Duration::from_secs(90);
const EVENT_BYTES_MAX: usize = 400;

#[cfg(test)]
mod tests;
