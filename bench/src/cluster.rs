//! A simulated cluster: many nodes in one thread, in virtual time, on a network that takes 0.25 to 0.45 ms one way and
//! loses what it is told to lose.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// A node in a simulated cluster. It asks for what it wants through [`Out`].
pub(crate) trait Member: Sized {
    /// What travels on a stream, for those who have streams.
    type Segment;

    /// The node of this number in a cluster of so many.
    fn start(number: usize, members: usize, seed: u64) -> Self;
    /// Asks node 0 to be let in.
    fn join(&mut self, now: Duration, out: &mut Out<Self::Segment>);
    fn datagram(&mut self, now: Duration, from: usize, datagram: &mut [u8], out: &mut Out<Self::Segment>);
    fn segment(&mut self, now: Duration, from: usize, segment: Self::Segment, out: &mut Out<Self::Segment>);
    /// Time has come for what it has to do.
    fn fire(&mut self, now: Duration, out: &mut Out<Self::Segment>);
    /// When it has to do something next.
    fn next(&self) -> Option<Duration>;
    /// Members that it takes for alive, itself included.
    fn alive(&self) -> usize;
    /// Failures that it has declared or was told of.
    fn failures(&self) -> u64;
}

/// What a node wants sent.
pub(crate) struct Out<S> {
    datagrams: Vec<(usize, Vec<u8>)>,
    segments: Vec<(usize, S, usize)>,
    spare: Vec<Vec<u8>>,
}

impl<S> Out<S> {
    /// Sends a copy.
    pub(crate) fn datagram(&mut self, to: usize, datagram: &[u8]) {
        let mut buf = self.spare.pop().unwrap_or_default();
        buf.clear();
        buf.extend_from_slice(datagram);
        self.datagrams.push((to, buf));
    }

    /// Sends what is part of a stream and counts as so many bytes.
    pub(crate) fn segment(&mut self, to: usize, segment: S, bytes: usize) {
        self.segments.push((to, segment, bytes));
    }
}

/// A cluster as the cases see it.
pub(crate) trait Cluster {
    /// Node 0 runs, all others start and ask it to be let in.
    fn start(members: usize, seed: u64) -> Self;
    fn run_for(&mut self, time: Duration);
    fn now(&self) -> Duration;
    /// Whether everybody knows everybody.
    fn agrees(&self) -> bool;
    /// From now on, this part of all packets is lost.
    fn set_loss(&mut self, loss: f64);
    /// Failures that any node was told of. Nobody fails here.
    fn failures(&self) -> u64;
    /// Sent by all: payloads and, for each datagram, 28 bytes of IPv4 and UDP headers.
    fn bytes(&self) -> u64;
}

/// The cluster of those who can be simulated.
pub(crate) struct Simulated<M: Member> {
    nodes: Vec<M>,
    /// When each node will be woken, to tell a wake-up that is out of date.
    alarms: Vec<Option<Duration>>,
    agenda: BinaryHeap<Reverse<Entry>>,
    happenings: HashMap<u64, Happening<M::Segment>>,
    now: Duration,
    counter: u64,
    out: Out<M::Segment>,
    /// Arrival of the last segment between two nodes: nothing overtakes.
    lanes: HashMap<(usize, usize), Duration>,
    loss: f64,
    bytes: u64,
    rng: SmallRng,
}

/// What happens when, in order; equal times in the order in which they were put down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Duration,
    number: u64,
    node: usize,
    wakes: bool,
}

enum Happening<S> {
    Datagram { from: usize, datagram: Vec<u8> },
    Segment { from: usize, segment: S },
}

impl<M: Member> Simulated<M> {
    fn put_down(&mut self, at: Duration, node: usize, happening: Option<Happening<M::Segment>>) {
        self.counter += 1;
        let wakes = happening.is_none();
        if let Some(happening) = happening {
            self.happenings.insert(self.counter, happening);
        }
        self.agenda.push(Reverse(Entry { at, number: self.counter, node, wakes }));
    }

    fn latency(&mut self) -> Duration {
        Duration::from_micros(self.rng.random_range(250..=450))
    }

    fn loses(&mut self) -> bool {
        self.loss > 0.0 && self.rng.random_bool(self.loss)
    }

    /// Puts on their way what the node has just asked for, and sets its alarm.
    fn carry(&mut self, node: usize) {
        let mut datagrams = core::mem::take(&mut self.out.datagrams);
        for (to, datagram) in datagrams.drain(..) {
            self.bytes += datagram.len() as u64 + HEADERS;
            if self.loses() {
                self.out.spare.push(datagram);
                continue;
            }
            let at = self.now + self.latency();
            self.put_down(at, to, Some(Happening::Datagram { from: node, datagram }));
        }
        self.out.datagrams = datagrams;
        let mut segments = core::mem::take(&mut self.out.segments);
        for (to, segment, bytes) in segments.drain(..) {
            self.bytes += bytes as u64;
            let mut at = self.now + self.latency();
            let mut retry = RETRANSMISSION;
            while self.loses() {
                self.bytes += bytes as u64;
                at += retry;
                retry *= 2;
            }
            let lane = self.lanes.entry((node, to)).or_default();
            at = at.max(*lane);
            *lane = at;
            self.put_down(at, to, Some(Happening::Segment { from: node, segment }));
        }
        self.out.segments = segments;
        if let Some(next) = self.nodes[node].next()
            && self.alarms[node].is_none_or(|alarm| next < alarm)
        {
            self.alarms[node] = Some(next);
            self.put_down(next, node, None);
        }
    }
}

impl<M: Member> Cluster for Simulated<M> {
    fn start(members: usize, seed: u64) -> Self {
        let mut cluster = Self {
            nodes: (0..members).map(|number| M::start(number, members, seed)).collect(),
            alarms: vec![None; members],
            agenda: BinaryHeap::new(),
            happenings: HashMap::new(),
            now: Duration::ZERO,
            counter: 0,
            out: Out { datagrams: Vec::new(), segments: Vec::new(), spare: Vec::new() },
            lanes: HashMap::new(),
            loss: 0.0,
            bytes: 0,
            rng: SmallRng::seed_from_u64(seed),
        };
        cluster.carry(0);
        for number in 1..members {
            cluster.nodes[number].join(Duration::ZERO, &mut cluster.out);
            cluster.carry(number);
        }
        cluster
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse(entry)) = self.agenda.peek().copied()
            && entry.at <= end
        {
            self.agenda.pop();
            self.now = entry.at;
            let node = &mut self.nodes[entry.node];
            if entry.wakes {
                if self.alarms[entry.node] != Some(entry.at) {
                    continue;
                }
                self.alarms[entry.node] = None;
                // It may have put the matter off since.
                if node.next().is_some_and(|next| next <= entry.at) {
                    node.fire(self.now, &mut self.out);
                }
            } else {
                match self.happenings.remove(&entry.number).expect("it was put down with its number") {
                    Happening::Datagram { from, mut datagram } => {
                        node.datagram(self.now, from, &mut datagram, &mut self.out);
                        self.out.spare.push(datagram);
                    }
                    Happening::Segment { from, segment } => node.segment(self.now, from, segment, &mut self.out),
                }
            }
            self.carry(entry.node);
        }
        self.now = end;
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn agrees(&self) -> bool {
        self.nodes.iter().all(|node| node.alive() == self.nodes.len())
    }

    fn set_loss(&mut self, loss: f64) {
        self.loss = loss;
    }

    fn failures(&self) -> u64 {
        self.nodes.iter().map(M::failures).sum()
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Whose address this is; see [`scene::address`](crate::scene::address).
pub(crate) fn member_at(address: SocketAddr) -> usize {
    let IpAddr::V4(ip) = address.ip() else { unreachable!("the set-up is of IPv4") };
    (u32::from(ip) & 0x00ff_ffff) as usize - 1
}

/// Of IPv4 and UDP, in bytes.
pub(crate) const HEADERS: u64 = 28;

/// Linux: the least time after which what is lost of a stream is sent again, doubled each time.
const RETRANSMISSION: Duration = Duration::from_millis(200);
