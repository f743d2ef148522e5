//! `swim-core`, from the set-ups of its own benchmarks.

use core::time::Duration;
use std::collections::HashMap;

use swim_core::ids::StreamId;
use swim_core::node::input::{StreamAction, StreamFailure, StreamInput};
use swim_core::serf::event::MemberEvent;
use swim_core::wire::envelope::Envelope;
use swim_core::wire::framing::{Side, frame_with_nonce};
use swim_core::{Config, Event, Instant, Node, wire};

use crate::cluster::{Member, Out, member_at};
use crate::instance::Instance;
use crate::samples::timed;
use crate::scene;

/// A node, and what time it is there.
pub(crate) struct Ours {
    node: Node,
    now: Instant,
    buf: Vec<u8>,
}

impl Ours {
    fn new() -> Self {
        Self { node: scene::node_with(config(), 1), now: Instant::ZERO, buf: Vec::new() }
    }

    fn wake(&mut self) -> usize {
        self.now = self.node.poll_timeout().expect("there is always a next probe");
        scene::step(&mut self.node, self.now, &mut self.buf)
    }

    /// Takes in a whole stream of a dialler and drains the answer. Says how many bytes that has.
    fn answer(&mut self, framed: &[u8]) -> usize {
        let id = self.node.accept_stream(self.now, scene::address(1)).expect("there is room for a stream");
        for chunk in framed.chunks(16 * 1024) {
            self.node.handle_stream(self.now, id, StreamInput::Data(chunk));
        }
        self.node.handle_stream(self.now, id, StreamInput::Finished);
        let mut sent = 0;
        while let Some(action) = self.node.poll_stream() {
            if let StreamAction::Send { id, data } = action {
                sent += data.len();
                self.node.handle_stream(self.now, id, StreamInput::Sent);
            }
        }
        assert!(sent > 0, "the state was taken in");
        sent
    }
}

impl Instance for Ours {
    type Load = Vec<u8>;

    fn alone(_: usize) -> Self {
        Self::new()
    }

    fn packet(members: impl Iterator<Item = usize>, version: u32) -> Vec<u8> {
        scene::packet(members, version)
    }

    fn handle(&mut self, packet: &mut [u8]) {
        self.node.handle_datagram(self.now, scene::address(1), packet).expect("the packet is good");
        while self.node.poll_event().is_some() {}
    }

    fn members(&self) -> usize {
        self.node.summary().members
    }

    fn news(&self) -> usize {
        self.node.summary().update_queue
    }

    fn settle(&mut self) {
        while self.news() > 0 {
            self.wake();
        }
    }

    fn probe_round(&mut self) -> Duration {
        let probes = self.node.stats().probes;
        let ((), took) = timed(|| {
            while self.node.stats().probes == probes {
                self.wake();
            }
        });
        took
    }

    fn gossip_tick(&mut self) -> Duration {
        loop {
            let probes = self.node.stats().probes;
            let (sent, took) = timed(|| self.wake());
            if sent > 0 && self.node.stats().probes == probes {
                return took;
            }
        }
    }

    fn join_reply(&mut self) -> (Duration, usize) {
        let request = framed(1);
        let (len, took) = timed(|| self.answer(&request));
        (took, len)
    }

    fn prepare_load(members: usize) -> (Vec<u8>, Option<usize>) {
        let framed = framed(members - 1);
        let len = framed.len();
        (framed, Some(len))
    }

    fn load(framed: Vec<u8>) -> Self {
        let mut ours = Self::new();
        ours.answer(&framed);
        ours
    }
}

/// As by default but for compression, which no peer has.
fn config() -> Config {
    let defaults = scene::config();
    Config { wire: wire::Config { compression: false, ..defaults.wire }, ..defaults }
}

/// A push/pull request with so many members, from member 1 on.
fn framed(members: usize) -> Vec<u8> {
    let envelope = Envelope::new(config().wire).expect("the configuration is valid");
    frame_with_nonce(&envelope, Side::Dialler, scene::push_pull(members), &[0; 24])
}

/// A node of ours in a simulated cluster.
pub(crate) struct Simulated {
    number: usize,
    node: Node,
    buf: Vec<u8>,
    /// Open streams, by the name that this node has for them.
    streams: HashMap<StreamId, Connection>,
    /// The same, by what both sides call them.
    names: HashMap<Connection, StreamId>,
    failures: u64,
}

/// Both sides' word for a stream: who dialled, how that one calls it, and the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Connection {
    dialler: usize,
    id: StreamId,
    acceptor: usize,
}

/// What travels on a stream.
pub(crate) enum Segment {
    Dial(Connection),
    Opened(Connection),
    Data(Connection, Vec<u8>),
    Finish(Connection),
    Reset(Connection),
}

impl Simulated {
    fn drain(&mut self, now: Instant, out: &mut Out<Segment>) {
        loop {
            let mut dry = true;
            while let Some(transmit) = self.node.poll_transmit(now, &mut self.buf) {
                dry = false;
                out.datagram(member_at(transmit.destination), &self.buf);
            }
            while let Some(action) = self.node.poll_stream() {
                dry = false;
                self.act(now, action, out);
            }
            if dry {
                break;
            }
        }
        if self.node.poll_resolve() {
            self.node.set_seeds(now, &[scene::address(0)]);
        }
        while self.node.poll_reply().is_some() {}
        while self.node.poll_record().is_some() {}
        while let Some(event) = self.node.poll_event() {
            if let Event::Member { kind: MemberEvent::Failed, .. } = event {
                self.failures += 1;
            }
        }
    }

    fn act(&mut self, now: Instant, action: StreamAction, out: &mut Out<Segment>) {
        match action {
            StreamAction::Open { id, peer } => {
                let connection = Connection { dialler: self.number, id, acceptor: member_at(peer) };
                self.insert(id, connection);
                out.segment(connection.acceptor, Segment::Dial(connection), 0);
            }
            StreamAction::Send { id, data } => {
                if let Some(connection) = self.streams.get(&id) {
                    let bytes = data.len();
                    out.segment(self.other(connection), Segment::Data(*connection, data), bytes);
                }
                self.node.handle_stream(now, id, StreamInput::Sent);
            }
            StreamAction::Finish { id } => {
                if let Some(connection) = self.remove(id) {
                    out.segment(self.other(&connection), Segment::Finish(connection), 0);
                }
            }
            StreamAction::Abort { id } => {
                if let Some(connection) = self.remove(id) {
                    out.segment(self.other(&connection), Segment::Reset(connection), 0);
                }
            }
        }
    }

    fn other(&self, connection: &Connection) -> usize {
        if connection.dialler == self.number { connection.acceptor } else { connection.dialler }
    }

    fn insert(&mut self, id: StreamId, connection: Connection) {
        self.streams.insert(id, connection);
        self.names.insert(connection, id);
    }

    fn remove(&mut self, id: StreamId) -> Option<Connection> {
        let connection = self.streams.remove(&id)?;
        self.names.remove(&connection);
        Some(connection)
    }
}

impl Member for Simulated {
    type Segment = Segment;

    fn start(number: usize, _: usize, seed: u64) -> Self {
        let mut config = Config::lan(scene::name(number).as_str(), scene::address(number));
        config.tags = [("role", "web"), ("dc", "east")].into_iter().collect();
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&(number as u64).to_le_bytes());
        let node = Node::new(config, bytes, Instant::ZERO).expect("the configuration is valid");
        Self { number, node, buf: Vec::new(), streams: HashMap::new(), names: HashMap::new(), failures: 0 }
    }

    fn join(&mut self, now: Duration, out: &mut Out<Segment>) {
        let now = Instant::after_origin(now);
        self.node.set_seeds(now, &[scene::address(0)]);
        self.node.join(now, &[scene::address(0)], false);
        self.drain(now, out);
    }

    fn datagram(&mut self, now: Duration, from: usize, datagram: &mut [u8], out: &mut Out<Segment>) {
        let now = Instant::after_origin(now);
        self.node.handle_datagram(now, scene::address(from), datagram).expect("what a node writes can be read");
        self.drain(now, out);
    }

    fn segment(&mut self, now: Duration, from: usize, segment: Segment, out: &mut Out<Segment>) {
        let now = Instant::after_origin(now);
        let (connection, input) = match &segment {
            Segment::Dial(connection) => {
                let answer = match self.node.accept_stream(now, scene::address(from)) {
                    Some(id) => {
                        self.insert(id, *connection);
                        Segment::Opened(*connection)
                    }
                    None => Segment::Reset(*connection),
                };
                out.segment(from, answer, 0);
                return self.drain(now, out);
            }
            Segment::Opened(connection) => (connection, StreamInput::Opened),
            Segment::Data(connection, data) => (connection, StreamInput::Data(data)),
            Segment::Finish(connection) => (connection, StreamInput::Finished),
            Segment::Reset(connection) => (connection, StreamInput::Failed(StreamFailure::Reset)),
        };
        // Whoever has let go of a stream does not hear of it any more.
        let Some(id) = self.names.get(connection).copied() else { return };
        if let Segment::Reset(_) = segment {
            self.remove(id);
        }
        self.node.handle_stream(now, id, input);
        self.drain(now, out);
    }

    fn fire(&mut self, now: Duration, out: &mut Out<Segment>) {
        let now = Instant::after_origin(now);
        self.node.handle_timeout(now);
        self.drain(now, out);
    }

    fn next(&self) -> Option<Duration> {
        self.node.poll_timeout().map(|at| at - Instant::ZERO)
    }

    fn alive(&self) -> usize {
        let summary = self.node.summary();
        summary.members - summary.failed - summary.left
    }

    fn failures(&self) -> u64 {
        self.failures
    }
}
