//! A scripted peer that passes for a member: it answers as it is told to, remembers what it hears, and says what a
//! test wants said. It follows no rule of the protocol by itself.

use core::cell::RefCell;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use swim_core::Instant;
use swim_core::ids::{LamportTime, StreamId};
use swim_core::node::input::{StreamFailure, StreamInput};
use swim_core::versions::Versions;
use swim_core::wire;
use swim_core::wire::framing::{FrameReader, Side};
use swim_core::wire::message::State;

use crate::script::{Scene, Script};
use crate::speech::{EntrySaid, Said, Speech, StreamSaid, VERSIONS};
use crate::world::HostId;

/// A handle to a scripted peer; clones share it.
#[derive(Clone)]
pub struct Puppet {
    shared: Rc<RefCell<Shared>>,
    host: Option<HostId>,
}

/// How a puppet behaves. The default answers pings at once and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How long after a ping it acks; `None`: never.
    pub ping: Option<Duration>,
    /// What it does when asked to relay.
    pub relay: Relay,
    /// Whether dials are answered.
    pub listens: bool,
    /// Whether it closes what it has accepted at once.
    pub hangs_up: bool,
    /// How long after a ping on a stream it acks; `None`: never.
    pub stream_ping: Option<Duration>,
    /// How long after a push/pull it answers with [`Puppet::set_entries`]; `None`: never.
    pub push_pull: Option<Duration>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            ping: Some(Duration::ZERO),
            relay: Relay::Silent,
            listens: false,
            hangs_up: false,
            stream_ping: None,
            push_pull: None,
        }
    }
}

/// What a puppet does when it is asked to ping somebody for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// Nothing.
    Silent,
    /// Says, after so long, that the target has answered.
    Ack(Duration),
    /// Says, after so long, that it has not.
    Nack(Duration),
}

/// A datagram that a puppet received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// From which address.
    pub from: SocketAddr,
    /// Every message in it, in order.
    pub packet: Vec<Said>,
}

/// Something that a puppet saw happen on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHeard {
    /// When.
    pub at: Instant,
    /// On which.
    pub id: StreamId,
    /// What.
    pub news: StreamNews,
}

/// What can happen on a puppet's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamNews {
    /// Somebody dialled, from there.
    Accepted(SocketAddr),
    /// The puppet's dial was answered.
    Opened,
    /// A whole message came.
    Message(StreamSaid),
    /// The bytes make no message.
    Unreadable,
    /// The other side closed it.
    Finished,
    /// It broke, or never came to be.
    Failed(StreamFailure),
}

impl Puppet {
    pub(crate) fn new(name: &str, address: SocketAddr, wire: &wire::Config) -> Self {
        let mut shared = Shared {
            name: name.to_owned(),
            address,
            speech: Speech::new(wire),
            manner: Manner::default(),
            entries: Vec::new(),
            user_state: Vec::new(),
            heard: Vec::new(),
            streams_heard: Vec::new(),
            streams: BTreeMap::new(),
        };
        shared.entries.push(shared.entry(1, State::Alive));
        Self { shared: Rc::new(RefCell::new(shared)), host: None }
    }

    pub(crate) fn script(&self) -> Box<dyn Script> {
        Box::new(Stage(Rc::clone(&self.shared)))
    }

    pub(crate) fn settled(mut self, host: HostId) -> Self {
        self.host = Some(host);
        self
    }

    /// The host it is in its world.
    ///
    /// # Panics
    ///
    /// When it has not been put into one.
    pub fn host(&self) -> HostId {
        self.host.expect("a puppet is handed out by its world")
    }

    /// The name it goes by.
    pub fn name(&self) -> String {
        self.shared.borrow().name.clone()
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.shared.borrow().address
    }

    /// Changes how it behaves from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.borrow_mut().manner);
    }

    /// It answers nothing any more.
    pub fn mute(&self) {
        self.behave(|manner| *manner = Manner { ping: None, ..Manner::default() });
    }

    /// What it answers to a push/pull.
    pub fn set_entries(&self, entries: Vec<EntrySaid>, user_state: Vec<u8>) {
        let mut shared = self.shared.borrow_mut();
        shared.entries = entries;
        shared.user_state = user_state;
    }

    /// Every datagram so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.borrow().heard.clone()
    }

    /// Every message of every datagram so far, with its time.
    pub fn messages(&self) -> Vec<(Instant, Said)> {
        let shared = self.shared.borrow();
        shared.heard.iter().flat_map(|heard| heard.packet.iter().map(|said| (heard.at, said.clone()))).collect()
    }

    /// Those messages that `wanted` picks, with their times.
    pub fn messages_where(&self, wanted: impl Fn(&Said) -> bool) -> Vec<(Instant, Said)> {
        self.messages().into_iter().filter(|(_, said)| wanted(said)).collect()
    }

    /// When it was pinged.
    pub fn pings(&self) -> Vec<Instant> {
        self.messages_where(Said::is_ping).into_iter().map(|(at, _)| at).collect()
    }

    /// Everything that happened on its streams so far.
    pub fn streams(&self) -> Vec<StreamHeard> {
        self.shared.borrow().streams_heard.clone()
    }

    /// Every whole message that came on a stream so far, with its time.
    pub fn stream_messages(&self) -> Vec<(Instant, StreamSaid)> {
        let shared = self.shared.borrow();
        let messages = shared.streams_heard.iter().filter_map(|heard| match &heard.news {
            StreamNews::Message(said) => Some((heard.at, said.clone())),
            StreamNews::Accepted(_)
            | StreamNews::Opened
            | StreamNews::Unreadable
            | StreamNews::Finished
            | StreamNews::Failed(_) => None,
        });
        messages.collect()
    }

    /// Forgets what it has heard.
    pub fn forget(&self) {
        let mut shared = self.shared.borrow_mut();
        shared.heard.clear();
        shared.streams_heard.clear();
    }

    /// It announces itself.
    pub fn alive(&self, incarnation: u32) -> Said {
        self.alive_with(incarnation, b"", Some(VERSIONS))
    }

    /// It announces itself with this metadata and these versions.
    pub fn alive_with(&self, incarnation: u32, meta: &[u8], versions: Option<Versions>) -> Said {
        let shared = self.shared.borrow();
        let (node, address) = (shared.name.clone(), shared.address);
        Said::Alive { incarnation, node, address, meta: meta.to_vec(), versions }
    }

    /// It accuses somebody.
    pub fn suspect(&self, node: &str, incarnation: u32) -> Said {
        Said::Suspect { incarnation, node: node.to_owned(), from: self.name() }
    }

    /// It declares somebody dead; itself: it says goodbye.
    pub fn dead(&self, node: &str, incarnation: u32) -> Said {
        Said::Dead { incarnation, node: node.to_owned(), from: self.name() }
    }

    /// It probes somebody.
    pub fn ping(&self, node: &str, seq: u32) -> Said {
        let shared = self.shared.borrow();
        Said::Ping { seq, node: node.to_owned(), source: Some(shared.address), source_node: shared.name.clone() }
    }

    /// It asks for somebody to be probed.
    pub fn indirect_ping(&self, node: &str, target: SocketAddr, seq: u32, nack: bool) -> Said {
        let shared = self.shared.borrow();
        Said::IndirectPing {
            seq,
            target,
            node: node.to_owned(),
            nack,
            source: Some(shared.address),
            source_node: shared.name.clone(),
        }
    }

    /// It spreads the word that somebody leaves, or is to leave.
    pub fn leave_intent(&self, node: &str, time: u64) -> Said {
        self.shared.borrow().speech.leave_intent(node, time)
    }

    /// It spreads the word that somebody is a member and means to stay one.
    pub fn join_intent(&self, node: &str, time: u64) -> Said {
        self.shared.borrow().speech.join_intent(node, time)
    }

    /// It spreads the word that something happened.
    pub fn user_event(&self, name: &str, time: u64) -> Said {
        self.shared.borrow().speech.user_event(name, time)
    }

    /// It asks everybody, and waits ten seconds for answers. For the flags see [`wire::serf::flag`].
    pub fn query(&self, name: &str, time: u64, id: u32, flags: u32) -> Said {
        let shared = self.shared.borrow();
        shared.speech.query(&wire::serf::Query {
            ltime: LamportTime(time),
            id,
            ip: Some(shared.address.ip()),
            port: shared.address.port(),
            source_node: shared.name.as_bytes(),
            filters: Vec::new(),
            flags,
            relay_factor: 0,
            timeout: 10_000_000_000,
            name: name.as_bytes(),
            payload: None,
        })
    }

    /// See [`Speech::serf_state`].
    pub fn serf_state(&self, member_time: u64, statuses: &[(&str, u64)], left: &[&str]) -> Vec<u8> {
        self.shared.borrow().speech.serf_state(member_time, statuses, left)
    }

    /// It, in a push/pull.
    pub fn entry(&self, incarnation: u32, state: State) -> EntrySaid {
        self.shared.borrow().entry(incarnation, state)
    }

    /// The datagram that says all this.
    pub fn datagram(&self, said: &[Said]) -> Vec<u8> {
        self.shared.borrow_mut().speech.datagram(said)
    }

    /// Once its dial is answered, it says this.
    pub(crate) fn will_say(&self, id: StreamId, said: &StreamSaid) {
        let mut shared = self.shared.borrow_mut();
        let frame = shared.speech.frame(Side::Dialler, said);
        shared
            .streams
            .insert(id, Stream { reader: FrameReader::new(Side::Acceptor), to_say: Some(frame), accepted: false });
    }
}

impl fmt::Debug for Puppet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puppet").field("name", &self.name()).field("address", &self.address()).finish_non_exhaustive()
    }
}

struct Shared {
    name: String,
    address: SocketAddr,
    speech: Speech,
    manner: Manner,
    entries: Vec<EntrySaid>,
    user_state: Vec<u8>,
    heard: Vec<Heard>,
    streams_heard: Vec<StreamHeard>,
    streams: BTreeMap<StreamId, Stream>,
}

struct Stream {
    reader: FrameReader,
    to_say: Option<Vec<u8>>,
    accepted: bool,
}

impl Shared {
    fn entry(&self, incarnation: u32, state: State) -> EntrySaid {
        EntrySaid {
            name: self.name.clone(),
            address: self.address,
            meta: Vec::new(),
            incarnation,
            state: Some(state),
            versions: Some(VERSIONS),
        }
    }

    fn note(&mut self, at: Instant, id: StreamId, news: StreamNews) {
        self.streams_heard.push(StreamHeard { at, id, news });
    }

    fn answer_stream(&mut self, scene: &mut Scene, id: StreamId, said: &StreamSaid) {
        let (pause, answer) = match (said, self.manner.stream_ping, self.manner.push_pull) {
            (StreamSaid::Ping { seq, .. }, Some(pause), _) => (pause, StreamSaid::Ack { seq: *seq }),
            (StreamSaid::PushPull { join, .. }, _, Some(pause)) => {
                let (entries, user_state) = (self.entries.clone(), self.user_state.clone());
                (pause, StreamSaid::PushPull { join: *join, entries, user_state })
            }
            _ => return,
        };
        scene.write(pause, id, self.speech.frame(Side::Acceptor, &answer));
        scene.finish(pause, id);
    }
}

struct Stage(Rc<RefCell<Shared>>);

impl Script for Stage {
    fn on_datagram(&mut self, scene: &mut Scene, from: SocketAddr, datagram: &[u8]) {
        let shared = &mut *self.0.borrow_mut();
        let packet =
            shared.speech.read(datagram).unwrap_or_else(|error| panic!("{} hears garbage: {error}", shared.name));
        for said in &packet {
            let (pause, to, answer) = match said {
                Said::Ping { seq, node, source, .. } if node.is_empty() || *node == shared.name => {
                    let Some(pause) = shared.manner.ping else { continue };
                    (pause, source.unwrap_or(from), Said::Ack { seq: *seq, payload: None })
                }
                Said::IndirectPing { seq, source, .. } => match shared.manner.relay {
                    Relay::Silent => continue,
                    Relay::Ack(pause) => (pause, source.unwrap_or(from), Said::Ack { seq: *seq, payload: None }),
                    Relay::Nack(pause) => (pause, source.unwrap_or(from), Said::Nack { seq: *seq }),
                },
                Said::Ping { .. }
                | Said::Ack { .. }
                | Said::Nack { .. }
                | Said::Suspect { .. }
                | Said::Dead { .. }
                | Said::Alive { .. }
                | Said::User(_)
                | Said::Unreadable { .. } => continue,
            };
            let datagram = shared.speech.datagram(&[answer]);
            scene.send(pause, to, datagram);
        }
        shared.heard.push(Heard { at: scene.now(), from, packet });
    }

    fn listens(&self) -> bool {
        self.0.borrow().manner.listens
    }

    fn on_accept(&mut self, scene: &mut Scene, id: StreamId, from: SocketAddr) {
        let shared = &mut *self.0.borrow_mut();
        shared.note(scene.now(), id, StreamNews::Accepted(from));
        if shared.manner.hangs_up {
            scene.finish(Duration::ZERO, id);
            return;
        }
        shared.streams.insert(id, Stream { reader: FrameReader::new(Side::Dialler), to_say: None, accepted: true });
    }

    fn on_stream(&mut self, scene: &mut Scene, id: StreamId, input: StreamInput<'_>) {
        let shared = &mut *self.0.borrow_mut();
        let now = scene.now();
        match input {
            StreamInput::Opened => {
                shared.note(now, id, StreamNews::Opened);
                if let Some(bytes) = shared.streams.get_mut(&id).and_then(|stream| stream.to_say.take()) {
                    scene.write(Duration::ZERO, id, bytes);
                }
            }
            StreamInput::Data(bytes) => {
                let Some(stream) = shared.streams.get_mut(&id) else { return };
                let accepted = stream.accepted;
                match shared.speech.read_stream(&mut stream.reader, bytes) {
                    Ok(None) => {}
                    Ok(Some(said)) if accepted => {
                        shared.answer_stream(scene, id, &said);
                        shared.note(now, id, StreamNews::Message(said));
                    }
                    Ok(Some(said)) => {
                        shared.note(now, id, StreamNews::Message(said));
                        scene.finish(Duration::ZERO, id);
                    }
                    Err(_) => {
                        shared.note(now, id, StreamNews::Unreadable);
                        scene.abort(id);
                    }
                }
            }
            StreamInput::Sent => {}
            StreamInput::Finished => {
                shared.note(now, id, StreamNews::Finished);
                shared.streams.remove(&id);
                scene.finish(Duration::ZERO, id);
            }
            StreamInput::Failed(failure) => {
                shared.note(now, id, StreamNews::Failed(failure));
                shared.streams.remove(&id);
            }
        }
    }
}
