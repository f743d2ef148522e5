//! One node, whatever its peers send, its application asks and the time does.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use super::bytes::Bytes;
use super::wrapping::NONCE;
use crate::ids::{KeyringChange, QueryId, StreamId};
use crate::node::input::{StreamAction, StreamFailure, StreamInput};
use crate::node::trace::{Replay, Traced};
use crate::serf::direct::Delivery;
use crate::serf::member::Status;
use crate::serf::query::Query;
use crate::serf::snapshot::Record;
use crate::serf::tags::Tags;
use crate::serf::user_event::UserEvent;
use crate::stats::Stats;
use crate::wire;
use crate::wire::codec::Codec;
use crate::wire::envelope::Envelope;
use crate::wire::framing::{Side, frame_with_nonce};
use crate::wire::keyring::Key;
use crate::{Config, Event, Instant};

/// Feeds one node with datagrams, streams, commands and the passing of time, and checks after each step what must
/// hold whatever the network sends.
///
/// The first byte is the setting:
///
/// ```text
/// bit 0   Serf's wire format, not the native one
/// bit 1   with a key: datagrams, and what arrives on streams, are sealed with it on the way, each as a whole
/// bit 2   the application takes events only when a step says so
/// bit 3   all is recorded, and replayed at the end, with the same outputs
/// bit 4   with a snapshot
/// bit 5   changes of keys are answered when a step says that they are stored
/// ```
///
/// Then follow steps, until the bytes run out:
///
/// ```text
/// +----------+--------------------------------------------------------------------------------+
/// | op       | low four bits: what; high four bits: which peer, stream or variant             |
/// +----------+--------------------------------------------------------------------------------+
/// | 0 ..= 7  | len(u16, little endian) bytes     a datagram from the peer                     |
/// | 8        | n(u8)                             2^(n mod 20) milliseconds pass               |
/// | 9        |                                   the peer dials us                            |
/// | 10       | len(u16, little endian) bytes     they arrive on an open stream                |
/// | 11       |                                   something else happens to an open stream     |
/// | 12       |                                   we join the peer                             |
/// | 13       | len(u8) bytes                     our new tag                                  |
/// | 14       | len(u8) bytes                     we ping the member of that name              |
/// | 15       | by the high bits:                                                              |
/// |  0       | len(u8) bytes len(u8) bytes       a user event: its name, its payload          |
/// |  1       | the same, and how(u8)             a query; how: bit 0 acks, 1 and 2 relays,    |
/// |          |                                   3 only for the one of whose name follows     |
/// |  2       | len(u8) bytes                     we answer the oldest query that we were told |
/// |  3       | len(u8) bytes, prune(u8)          we make the member of that name leave        |
/// |  4, 5, 6 | which(u8)                         we install, choose or remove this key        |
/// |  7       |                                   we list the keys                             |
/// |  8       | len(u8) bytes                     lines of a snapshot, restored                |
/// |  9       |                                   sixteen events are taken                     |
/// |  10, 11  |                                   the first peers are our seeds                |
/// |  12      | n(u8) len(u8) bytes               the keys are stored, up to their nth change; |
/// |          |                                   or they are not, and this is why             |
/// |  13, 14  | len(u8) bytes                     we say this to the member of that name, by   |
/// |          |                                   datagram or stream                           |
/// |  15      |                                   we leave                                     |
/// +----------+--------------------------------------------------------------------------------+
/// ```
///
/// # Panics
///
/// When an invariant is broken.
///
/// # Examples
///
/// ```
/// // Natively, three bytes of rubbish from the first peer; then about a second passes.
/// swim_core::fuzzing::node::run(b"\x00\x00\x03\x00\xf5??\x08\x0a");
/// ```
pub fn run(bytes: &[u8]) {
    play(bytes);
}

/// `None` when not even the setting is there.
pub(super) fn play(bytes: &[u8]) -> Option<End> {
    let mut input = Bytes(bytes);
    let setting = Setting(input.byte()?);
    Some(steps(setting, &mut input).finish())
}

/// The trace of a run without a key.
pub(super) fn record(bytes: &[u8]) -> Vec<u8> {
    let mut input = Bytes(bytes);
    let setting = Setting(input.u8() & !Setting::SEALED | Setting::RECORDED);
    steps(setting, &mut input).node.into_sink().unwrap_or_default()
}

fn steps(setting: Setting, input: &mut Bytes<'_>) -> Run {
    let mut run = Run::new(setting);
    for _ in 0..STEPS_MAX {
        let Some(op) = input.byte() else { break };
        run.step(op & 0x0f, op >> 4, input);
        run.drain();
        run.check();
    }
    run
}

/// What a node has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) members: usize,
    pub(super) stats: Stats,
}

/// The first byte of the input.
#[derive(Clone, Copy, Debug)]
struct Setting(u8);

impl Setting {
    const SEALED: u8 = 2;
    const RECORDED: u8 = 8;

    fn codec(self) -> Codec {
        if self.0 & 1 == 0 { Codec::Native } else { Codec::Serf }
    }

    fn is_sealed(self) -> bool {
        cfg!(feature = "encryption") && self.0 & Self::SEALED != 0
    }

    fn is_slow(self) -> bool {
        self.0 & 4 != 0
    }

    fn is_recorded(self) -> bool {
        self.0 & Self::RECORDED != 0
    }

    fn config(self) -> Config {
        let mut config = Config::lan("fuzzed", peer(LOCAL));
        config.wire = match self.codec() {
            Codec::Native => wire::Config::native(),
            Codec::Serf => wire::Config::serf(),
        };
        if self.is_sealed() {
            config.wire.keyring.add(key(0)).expect("there is room for the first");
        }
        config.serf.snapshot = self.0 & 16 != 0;
        config.serf.keyring_stored = self.0 & 32 != 0;
        // Small, so that short inputs reach the bounds.
        config.swim.members_max = MEMBERS_MAX;
        config.streams_max = STREAMS_MAX;
        if self.is_slow() {
            config.serf.event_queue_max = 8;
        }
        config
    }
}

struct Run {
    setting: Setting,
    node: Traced<Option<Vec<u8>>>,
    /// What seals, if anything does: a peer that has the key.
    peers: Envelope,
    now: Instant,
    /// Dialled or accepted and not over, oldest first; whether it is we who accepted it.
    streams: VecDeque<(StreamId, bool)>,
    /// Waiting for `Sent`.
    writing: Vec<StreamId>,
    /// Told, and not answered.
    queries: VecDeque<QueryId>,
    datagram: Vec<u8>,
    leave_asked: bool,
    /// The local incarnation and the three clocks, which never fall.
    before: (u32, [u64; 3]),
}

impl Run {
    fn new(setting: Setting) -> Self {
        let now = Instant::after_origin(Duration::from_secs(1));
        let sink = setting.is_recorded().then(Vec::new);
        let node = Traced::new(setting.config(), SEED, now, sink).expect("it is a preset with smaller bounds");
        let peers = Envelope::new(setting.config().wire).expect("the node has taken it");
        let mut run = Self {
            setting,
            node,
            peers,
            now,
            streams: VecDeque::new(),
            writing: Vec::new(),
            queries: VecDeque::new(),
            datagram: Vec::new(),
            leave_asked: false,
            before: (0, [0; 3]),
        };
        run.drain();
        run.check();
        run
    }

    fn step(&mut self, what: u8, which: u8, input: &mut Bytes<'_>) {
        let now = self.now;
        match what {
            0..=7 => {
                let len = input.u16();
                let bytes = input.take(len.into());
                if self.setting.is_sealed() {
                    let mut packet = self.peers.begin(&mut self.datagram, false);
                    packet.push_bytes(bytes);
                    packet.finish_with_nonce(&NONCE);
                } else {
                    self.datagram.clear();
                    self.datagram.extend_from_slice(bytes);
                }
                // Refusals are counted by the node; they are not of interest here.
                let _ = self.node.handle_datagram(now, peer(which), &mut self.datagram);
            }
            8 => self.elapse(Duration::from_millis(1 << (input.byte().unwrap_or(0) % 20))),
            9 => {
                if let Some(id) = self.node.accept_stream(now, peer(which)) {
                    self.streams.push_back((id, true));
                }
            }
            10 => {
                let len = input.u16();
                let data = input.take(len.into());
                if let Some((id, is_accepted)) = self.stream(which) {
                    if self.setting.is_sealed() {
                        let side = if is_accepted { Side::Dialler } else { Side::Acceptor };
                        let frame = frame_with_nonce(&self.peers, side, data.to_vec(), &NONCE);
                        self.node.handle_stream(now, id, StreamInput::Data(&frame));
                    } else {
                        self.node.handle_stream(now, id, StreamInput::Data(data));
                    }
                }
            }
            11 => {
                if let Some((id, _)) = self.stream(which) {
                    let event = match which % 5 {
                        0 => StreamInput::Finished,
                        1 => StreamInput::Opened,
                        2 => StreamInput::Sent,
                        3 => StreamInput::Failed(StreamFailure::Reset),
                        _ => StreamInput::Failed(StreamFailure::Refused),
                    };
                    self.node.handle_stream(now, id, event);
                    if let StreamInput::Failed(_) = event {
                        self.forget(id);
                    }
                }
            }
            12 => {
                self.node.join(now, &[peer(which)], which & 1 == 0);
            }
            13 => {
                let len = input.byte().unwrap_or(0);
                let value = input.take(len.into());
                let mut tags = Tags::default();
                if let Ok(value) = core::str::from_utf8(value) {
                    tags.insert("tag", value);
                }
                // Too large is a fine answer.
                let _ = self.node.set_tags(now, &tags);
            }
            14 => {
                let len = input.byte().unwrap_or(0);
                self.node.ping(now, input.take(len.into()));
            }
            15 => self.say(which, input),
            _ => {}
        }
    }

    fn say(&mut self, which: u8, input: &mut Bytes<'_>) {
        let now = self.now;
        // Whatever is refused is refused; that the node is as it was is for the checks to see.
        match which {
            0 => {
                let (name, payload) = (input.short(), input.short());
                let coalesce = name.len() % 2 == 1;
                let _ = self.node.user_event(now, UserEvent { name, payload: Some(payload), coalesce });
            }
            1 => {
                let (name, payload, how) = (input.short(), input.short(), input.u8());
                let only = if how & 8 == 0 { None } else { Some(input.short()) };
                let query = Query {
                    name,
                    payload: Some(payload),
                    filter_nodes: only.as_slice(),
                    request_ack: how & 1 != 0,
                    relay_factor: how >> 1 & 3,
                    ..Query::default()
                };
                let _ = self.node.query(now, query);
            }
            2 => {
                let payload = input.short();
                if let Some(to) = self.queries.pop_front() {
                    let _ = self.node.respond(now, to, payload);
                }
            }
            3 => {
                let name = input.short();
                self.node.force_leave(now, name, input.flag());
            }
            4 => drop(self.node.install_key(now, key(input.u8()).as_bytes())),
            5 => drop(self.node.use_key(now, key(input.u8()).as_bytes())),
            6 => drop(self.node.remove_key(now, key(input.u8()).as_bytes())),
            7 => drop(self.node.list_keys(now)),
            8 => {
                let lines = input.short().split(|byte| *byte == b'\n');
                let records: Vec<_> = lines.filter_map(|line| Record::parse_line(line).ok()?).collect();
                self.node.restore(now, &records);
            }
            9 => {
                for _ in 0..16 {
                    self.take_event();
                }
            }
            12 => {
                let (change, why) = (KeyringChange(input.u8().into()), input.short());
                let why = core::str::from_utf8(why).unwrap_or("?");
                self.node.keyring_stored(now, change, if why.is_empty() { Ok(()) } else { Err(why) });
            }
            10 | 11 => {
                let seeds: Vec<_> = (0..which - 9).map(peer).collect();
                self.node.set_seeds(now, &seeds);
            }
            13 | 14 => {
                let said = input.short();
                let by = if which == 13 { Delivery::Datagram } else { Delivery::Stream };
                let _ = self.node.send(now, said, said, by);
            }
            // Rare on purpose: little happens to a node that has left.
            _ => {
                self.leave_asked = true;
                self.node.leave(now);
            }
        }
    }

    fn take_event(&mut self) -> bool {
        let event = self.node.poll_event();
        if let Some(Event::Query { id, .. }) = event {
            self.queries.push_back(id);
        }
        event.is_some()
    }

    /// Lets time pass as a driver would: the node is called at each of its deadlines, up to a bound, because hours of
    /// probing teach nothing.
    fn elapse(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..WAKES_MAX {
            let Some(deadline) = self.node.poll_timeout().filter(|deadline| *deadline <= end) else { break };
            self.now = self.now.max(deadline);
            self.wake();
            self.drain();
        }
        self.now = end;
        self.wake();
    }

    fn wake(&mut self) {
        self.node.handle_timeout(self.now);
        // A deadline that has passed would make a driver spin.
        let deadline = self.node.poll_timeout();
        assert!(deadline.is_none_or(|deadline| deadline >= self.now), "due {deadline:?}, it is {:?}", self.now);
    }

    /// Takes all outputs, and plays a peer that accepts every dial and reads everything at once.
    fn drain(&mut self) {
        for _ in 0..OUTPUTS_MAX {
            let before = self.streams.len() + self.writing.len();
            let mut dry = true;
            while self.node.poll_transmit(self.now, &mut self.datagram).is_some() {
                assert!(!self.datagram.is_empty(), "an empty datagram");
                assert!(self.datagram.len() <= DATAGRAM_MAX, "a datagram of {} bytes", self.datagram.len());
                dry = false;
            }
            while let Some(action) = self.node.poll_stream() {
                dry = false;
                match action {
                    StreamAction::Open { id, .. } => {
                        self.streams.push_back((id, false));
                        self.node.handle_stream(self.now, id, StreamInput::Opened);
                    }
                    StreamAction::Send { id, .. } => {
                        assert!(
                            !self.writing.contains(&id),
                            "a second write on stream {id:?} before the first is done"
                        );
                        self.writing.push(id);
                    }
                    StreamAction::Finish { id } | StreamAction::Abort { id } => {
                        self.forget(id);
                    }
                }
            }
            for id in core::mem::take(&mut self.writing) {
                self.node.handle_stream(self.now, id, StreamInput::Sent);
            }
            while self.node.poll_reply().is_some() {
                dry = false;
            }
            while self.node.poll_record().is_some() {
                dry = false;
            }
            while !self.setting.is_slow() && self.take_event() {
                dry = false;
            }
            self.node.poll_resolve();
            if dry && self.streams.len() + self.writing.len() == before {
                return;
            }
        }
        panic!("the node never runs dry");
    }

    fn forget(&mut self, id: StreamId) {
        self.streams.retain(|(open, _)| *open != id);
        self.writing.retain(|open| *open != id);
    }

    fn check(&mut self) {
        let node = self.node.node();
        if !self.leave_asked {
            let local = node.local();
            assert_eq!(local.status(), Status::Alive, "somebody talked the local member out of being alive");
        }
        node.check();
        let summary = node.summary();
        let (members, updates) = (node.members().count(), summary.update_queue);
        assert!(members <= MEMBERS_MAX, "{members} members, {MEMBERS_MAX} are allowed");
        assert!(updates <= MEMBERS_MAX, "{updates} updates wait, {MEMBERS_MAX} members are allowed");
        // Their number is the others' choice.
        let accepted = self.streams.iter().filter(|(_, is_accepted)| *is_accepted).count();
        assert!(accepted <= STREAMS_MAX, "{accepted} streams of others are open");
        let times = [summary.member_time.0, summary.event_time.0, summary.query_time.0];
        let (incarnation, before) = (node.local().incarnation().0, self.before);
        assert!(incarnation >= before.0, "the incarnation was {}, and is {incarnation}", before.0);
        for (before, time) in before.1.iter().zip(times) {
            assert!(time >= *before, "a clock showed {before}, and shows {time}");
        }
        self.before = (incarnation, times);
    }

    /// What was recorded must be what a replay does.
    fn finish(self) -> End {
        let Self { setting, node, .. } = self;
        let end = End { members: node.node().members().count(), stats: node.node().stats().clone() };
        if let Some(trace) = node.into_sink() {
            let keyring = setting.config().wire.keyring;
            let mut replay = Replay::new(&trace, keyring, None).expect("it has just been recorded").with_keys(keys());
            replay.run().expect("what was recorded can be replayed");
            assert_eq!(replay.rest(), 0, "the replay ends with the recording");
            let node = replay.node();
            assert_eq!(End { members: node.members().count(), stats: node.stats().clone() }, end);
        }
        end
    }

    fn stream(&self, which: u8) -> Option<(StreamId, bool)> {
        let count = self.streams.len();
        self.streams.get(usize::from(which).checked_rem(count)?).copied()
    }
}

/// Sixteen possible peers; the local node's own address is among them, as somebody may spoof it.
fn peer(which: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, which % 16), 7946))
}

/// One of a few keys; the first is the one that a sealed run begins with.
fn key(which: u8) -> Key {
    Key::new(&[9 + which % KEYS.len() as u8; 32]).expect("32 bytes are a key")
}

/// All of them: a recording names them and does not tell them.
pub(super) fn keys() -> [Key; KEYS.len()] {
    KEYS.map(key)
}

const KEYS: [u8; 4] = [0, 1, 2, 3];
const SEED: [u8; 32] = [7; 32];
const LOCAL: u8 = 1;
const MEMBERS_MAX: usize = 24;
const STREAMS_MAX: usize = 8;
const STEPS_MAX: usize = 512;
const WAKES_MAX: usize = 200;
const OUTPUTS_MAX: usize = 1_000;
const DATAGRAM_MAX: usize = 65_507;
