//! Bodies of the fuzz targets, here so that the ordinary test run compiles them and replays their corpus.
//!
//! A fuzz input is a byte string that anybody can write by hand; see [`run_datagram`].

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use crate::ids::StreamId;
use crate::node::input::{StreamAction, StreamFailure, StreamInput};
use crate::serf::direct::Delivery;
use crate::serf::member::Status;
use crate::serf::tags::Tags;
use crate::wire;
use crate::wire::codec::Codec;
use crate::{Config, Instant, Node};

/// Feeds one node with datagrams, streams, commands and the passing of time, and checks after each step what must
/// hold whatever the network sends.
///
/// The first byte chooses the wire format: even is native, odd is Serf's. Then follow steps, until the bytes run out:
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
/// | 15       |                                   we leave, if the high bits are all set;      |
/// |          | len(u8) bytes                     with 13 or 14 in them: we say this to the    |
/// |          |                                   member of that name, by datagram or stream;   |
/// |          |                                   otherwise the peer is our one seed           |
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
/// swim_core::fuzzing::run_datagram(b"\x00\x00\x03\x00\xf5??\x08\x0a");
/// ```
pub fn run_datagram(bytes: &[u8]) {
    run(bytes);
}

fn run(bytes: &[u8]) -> Option<Node> {
    let mut input = Reader(bytes);
    let first = input.byte()?;
    let mut run = Run::new(if first & 1 == 0 { Codec::Native } else { Codec::Serf });
    for _ in 0..STEPS_MAX {
        let Some(op) = input.byte() else { break };
        run.step(op & 0x0f, op >> 4, &mut input);
        run.drain();
        run.check();
    }
    Some(run.node)
}

struct Run {
    node: Node,
    now: Instant,
    /// Dialled or accepted and not over, oldest first.
    streams: VecDeque<StreamId>,
    /// Those that others dialled: only their number is the others' choice.
    accepted: Vec<StreamId>,
    /// Waiting for `Sent`.
    writing: Vec<StreamId>,
    datagram: Vec<u8>,
    leave_asked: bool,
}

impl Run {
    fn new(codec: Codec) -> Self {
        let mut config = Config::lan("fuzzed", peer(LOCAL));
        config.wire = match codec {
            Codec::Native => wire::Config::native(),
            Codec::Serf => wire::Config::serf(),
        };
        // Small, so that short inputs reach the bounds.
        config.swim.members_max = MEMBERS_MAX;
        config.streams_max = STREAMS_MAX;
        let now = Instant::after_origin(Duration::from_secs(1));
        let node = Node::new(config, [7; 32], now).expect("the configuration is a preset with smaller bounds");
        let mut run = Self {
            node,
            now,
            streams: VecDeque::new(),
            accepted: Vec::new(),
            writing: Vec::new(),
            datagram: Vec::new(),
            leave_asked: false,
        };
        run.drain();
        run.check();
        run
    }

    fn step(&mut self, what: u8, which: u8, input: &mut Reader<'_>) {
        let now = self.now;
        match what {
            0..=7 => {
                let len = input.u16();
                self.datagram.clear();
                self.datagram.extend_from_slice(input.take(len.into()));
                // Refusals are counted by the node; they are not of interest here.
                let _ = self.node.handle_datagram(now, peer(which), &mut self.datagram);
            }
            8 => self.elapse(Duration::from_millis(1 << (input.byte().unwrap_or(0) % 20))),
            9 => {
                if let Some(id) = self.node.accept_stream(now, peer(which)) {
                    self.streams.push_back(id);
                    self.accepted.push(id);
                }
            }
            10 => {
                let len = input.u16();
                let data = input.take(len.into());
                if let Some(id) = self.stream(which) {
                    self.node.handle_stream(now, id, StreamInput::Data(data));
                }
            }
            11 => {
                if let Some(id) = self.stream(which) {
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
            15 if matches!(which, 13 | 14) => {
                let len = input.byte().unwrap_or(0);
                let said = input.take(len.into());
                let by = if which == 13 { Delivery::Datagram } else { Delivery::Stream };
                // That it cannot be sent is a fine answer, too.
                let _ = self.node.send(now, said, said, by);
            }
            // Rare on purpose: little happens to a node that has left.
            15 if which == 15 => {
                self.leave_asked = true;
                self.node.leave(now);
            }
            15 => self.node.set_seeds(now, &[peer(which)]),
            _ => {}
        }
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
                        self.streams.push_back(id);
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
            while self.node.poll_event().is_some() {
                dry = false;
            }
            if dry && self.streams.len() + self.writing.len() == before {
                return;
            }
        }
        panic!("the node never runs dry");
    }

    fn forget(&mut self, id: StreamId) {
        self.streams.retain(|open| *open != id);
        self.accepted.retain(|open| *open != id);
        self.writing.retain(|open| *open != id);
    }

    fn check(&self) {
        if !self.leave_asked {
            let local = self.node.local();
            assert_eq!(local.status(), Status::Alive, "somebody talked the local member out of being alive");
        }
        self.node.check();
        let members = self.node.members().count();
        assert!(members <= MEMBERS_MAX, "{members} members, {MEMBERS_MAX} are allowed");
        assert!(self.accepted.len() <= STREAMS_MAX, "{} streams of others are open", self.accepted.len());
    }

    fn stream(&self, which: u8) -> Option<StreamId> {
        let count = self.streams.len();
        self.streams.get(usize::from(which).checked_rem(count)?).copied()
    }
}

/// Takes values off the front; what is missing at the end is zero or empty.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> u16 {
        let low = self.byte().unwrap_or(0);
        u16::from_le_bytes([low, self.byte().unwrap_or(0)])
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Sixteen possible peers; the local node's own address is among them, as somebody may spoof it.
fn peer(which: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, which % 16), 7946))
}

const LOCAL: u8 = 1;
const MEMBERS_MAX: usize = 24;
const STREAMS_MAX: usize = 8;
const STEPS_MAX: usize = 512;
const WAKES_MAX: usize = 200;
const OUTPUTS_MAX: usize = 1_000;
const DATAGRAM_MAX: usize = 65_507;

#[cfg(test)]
mod tests {
    extern crate std;

    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::rng::{Rng, Stream};

    fn corpus(target: &str) -> Vec<(std::string::String, Vec<u8>)> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let mut files: Vec<_> = entries
            .map(|entry| {
                let path = entry.unwrap().path();
                (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
            })
            .collect();
        files.sort();
        assert!(!files.is_empty(), "no corpus in {}", dir.display());
        files
    }

    #[test]
    fn datagram_corpus() {
        for (name, bytes) in corpus("datagram") {
            std::println!("{name}"); // Shown when it is the one that fails.
            run_datagram(&bytes);
        }
    }

    /// A change of the format of inputs would turn the corpus into noise without a failing test; so some of the files
    /// must lead where their names say.
    #[test]
    #[cfg(feature = "compression")] // The captured exchanges are compressed.
    fn datagram_corpus_means_something() {
        let nodes: Vec<_> =
            corpus("datagram").into_iter().filter_map(|(name, bytes)| Some((name, run(&bytes)?))).collect();
        let node = |wanted: &str| &nodes.iter().find(|(name, _)| name == wanted).expect("the file is there").1;
        for name in ["native_dials_exchange", "native_is_dialled_exchange", "serf_dials_exchange", "serf_all_datagrams"]
        {
            assert!(node(name).members().count() >= 3, "{name}");
        }
        for name in ["native_dials_probes_and_a_leave", "serf_is_dialled_probes_and_a_leave"] {
            assert!(node(name).stats().probes_acked_directly > 0, "{name}");
            assert_eq!(node(name).stats().member_leaves, 1, "{name}");
        }
        assert!(node("serf_suspected_and_refutes").stats().refutations > 0);
        assert!(node("serf_declared_dead_and_refutes").stats().refutations > 0);
        assert!(node("serf_probe_fails_member_dies").stats().member_failures > 0);
        assert!(node("serf_member_suspected_confirmed_dead").stats().suspicions_confirmed > 0);
        assert!(node("serf_members_past_the_bound").stats().members_over_limit > 0);
        assert!(node("serf_tcp_pushpull_request_join_compressed").stats().push_pulls_merged > 0);
        let messages = node("native_says_and_hears_messages").stats();
        assert_eq!((messages.messages_direct_sent, messages.messages_direct_received), (4, 3));
        assert_eq!((messages.messages_direct_confirmed, messages.messages_direct_failed), (1, 1));
        assert!(node("native_hears_serf").stats().datagrams_foreign_wire > 0);
    }

    /// A few thousand mutations of the corpus: not a fuzzer, but the ordinary test run meets what is shallow.
    #[test]
    fn datagram_mutations() {
        let mut rng = Rng::new([1; 32], Stream::Targets);
        for (name, original) in corpus("datagram") {
            for round in 0..MUTATIONS {
                let mut bytes = original.clone();
                for _ in 0..=rng.below(4) {
                    mutate(&mut bytes, &mut rng);
                }
                std::println!("{name}, round {round}: {bytes:02x?}");
                run_datagram(&bytes);
            }
        }
    }

    fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
        let at = rng.below(bytes.len());
        match rng.below(5) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes.insert(at, rng.next_u64() as u8),
            2 => {
                let again = bytes[at..].to_vec();
                bytes.extend(again);
            }
            3 => {
                bytes.remove(at);
                bytes.resize(bytes.len().max(1), 0);
            }
            _ => bytes[at] ^= 1 << rng.below(8),
        }
        bytes.truncate(4096);
    }

    const MUTATIONS: usize = 100;
}
