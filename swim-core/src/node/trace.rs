//! Recording a node's inputs, and replaying them bit for bit.
//!
//! ```text
//! trace:   "swimtrc1" header record*
//! header:  length(u32 LE) bincode { version, build, config without keys, key ids, admission's name, seed, start }
//! record:  length(u32 LE) bincode { nanoseconds since the last record, input }       an input
//!          0(u32 LE) datagrams(u64) hash(u64) actions(u64) hash(u64), all LE          a checkpoint of the outputs so far
//! ```
//!
//! A trace holds the seed, from which every nonce follows, and whatever the node heard: it is for the operator's eyes.

mod format;
mod replay;

use alloc::vec::Vec;
use core::net::SocketAddr;

use self::format::{CHECKPOINT_EVERY, Header, MAGIC, Outputs, VERSION, encode};
pub use self::replay::{Output, Replay, ReplayError, Step};
use crate::ids::{CommandId, KeyringChange, LamportTime, QueryId, StreamId};
use crate::node::Node;
use crate::node::config::{Config, ConfigError};
use crate::node::input::{Input, KeyRef, Reply, StreamAction, StreamInput, Transmit};
use crate::serf::direct::{Delivery, SendError};
use crate::serf::event::Event;
use crate::serf::query::{Query, QueryError, RespondError};
use crate::serf::snapshot::{self, Record};
use crate::serf::tags::{Tags, TagsTooLarge};
use crate::serf::user_event::{EventTooLarge, UserEvent};
use crate::time::Instant;
use crate::wire::envelope::DatagramError;

/// Where a trace is written to. It must not block: it is called while the node is locked.
///
/// ```
/// use swim_core::node::trace::Sink;
///
/// /// Keeps the bytes until a thread of its own writes them to a file.
/// struct Pipe(std::sync::mpsc::Sender<Vec<u8>>);
///
/// impl Sink for Pipe {
///     fn write(&mut self, bytes: &[u8]) {
///         let _gone = self.0.send(bytes.to_vec());
///     }
/// }
///
/// let (sender, receiver) = std::sync::mpsc::channel();
/// Pipe(sender).write(b"swimtrc1");
/// assert_eq!(receiver.recv()?, b"swimtrc1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink {
    /// Whether there is anything to write to; without, recording costs nothing. See [`Traced`].
    fn is_enabled(&self) -> bool {
        true
    }

    /// Appends to the trace. See [`Sink`].
    fn write(&mut self, bytes: &[u8]);
}

/// Records nothing.
impl Sink for () {
    fn is_enabled(&self) -> bool {
        false
    }

    fn write(&mut self, _bytes: &[u8]) {}
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Records if there is a sink.
impl<S: Sink> Sink for Option<S> {
    fn is_enabled(&self) -> bool {
        self.as_ref().is_some_and(Sink::is_enabled)
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(sink) = self {
            sink.write(bytes);
        }
    }
}

/// A node whose every input is recorded. It has the node's methods; a driver that holds one cannot forget any.
///
/// ```
/// use swim_core::node::trace::{Replay, Traced};
/// use swim_core::wire::keyring::Keyring;
/// use swim_core::{Config, Instant};
///
/// let (now, wanted) = (Instant::ZERO, true);
/// let config = Config::lan("a", "127.0.0.1:7946".parse()?);
/// let mut node = Traced::new(config, [7; 32], now, wanted.then(Vec::new))?;
/// node.join(now, &["127.0.0.1:7947".parse()?], false);
///
/// let trace = node.into_sink().expect("a trace was wanted");
/// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
/// assert_eq!(replay.run()?, 1);
/// assert_eq!(replay.node().stats().push_pulls_started, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Traced<S> {
    node: Node,
    sink: S,
    last: Instant,
    outputs: Outputs,
    since_checkpoint: u32,
    record: Vec<u8>,
}

impl<S: Sink> Traced<S> {
    /// As [`Node::new`]; the beginning of the trace is written at once.
    ///
    /// # Errors
    ///
    /// Those of [`Node::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::{Config, Instant};
    /// use swim_core::node::trace::Traced;
    ///
    /// let config = Config::lan("a", "127.0.0.1:7946".parse()?);
    /// let node = Traced::new(config, [7; 32], Instant::ZERO, Vec::new())?;
    /// assert!(node.into_sink().starts_with(b"swimtrc1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: Config, seed: [u8; 32], now: Instant, mut sink: S) -> Result<Self, ConfigError> {
        let mut record = Vec::new();
        if sink.is_enabled() {
            let header = Header {
                version: VERSION,
                build: env!("CARGO_PKG_VERSION").into(),
                key_ids: config.wire.keyring.keys().map(|key| key.id().0).collect(),
                admission: config.admission.map(|admission| admission.name.into()),
                config: config.clone(),
                seed,
                start: now,
            };
            sink.write(MAGIC);
            encode(&header, &mut record);
            sink.write(&record);
        }
        let node = Node::new(config, seed, now)?;
        Ok(Self { node, sink, last: now, outputs: Outputs::default(), since_checkpoint: 0, record })
    }

    /// The node itself, to look at.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, node) = traced();
    /// assert_eq!(node.node().members().count(), 1);
    /// ```
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Ends the trace with a checkpoint and gives its sink back.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::{Replay, Step};
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, node) = traced();
    ///
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.step(|_| {})?, Step::Checkpoint);
    /// assert_eq!(replay.step(|_| {})?, Step::End);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_sink(mut self) -> S {
        self.checkpoint();
        self.sink
    }

    /// See [`Node::restore`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::serf::snapshot::Record;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.restore(now, &[Record::EventClock(LamportTime(40))]);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().summary().event_time, LamportTime(41));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore(&mut self, now: Instant, records: &[Record<'_>]) {
        if self.sink.is_enabled() {
            self.record(now, &Input::Restore { records: records.to_vec() });
        }
        self.node.restore(now, records);
    }

    /// See [`Node::hold_handed_off`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.hold_handed_off(now, true);
    /// node.hold_handed_off(now, false);
    /// assert_eq!(Replay::new(&node.into_sink(), Keyring::new(), None)?.run()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hold_handed_off(&mut self, now: Instant, waits: bool) {
        self.record(now, &Input::HoldHandedOff { waits });
        self.node.hold_handed_off(now, waits);
    }

    /// See [`Node::set_seeds`].
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// node.set_seeds(now, &["127.0.0.1:7947".parse()?]);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn set_seeds(&mut self, now: Instant, seeds: &[SocketAddr]) {
        self.record(now, &Input::SetSeeds { seeds: seeds.into() });
        self.node.set_seeds(now, seeds);
    }

    /// See [`Node::handle_datagram`]. The bytes are recorded as they came, encrypted or not.
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// let from = "127.0.0.1:80".parse()?;
    /// assert!(node.handle_datagram(now, from, &mut b"GET /".to_vec()).is_err());
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().stats().datagrams_malformed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<(), DatagramError> {
        self.record(now, &Input::Datagram { from, datagram });
        self.node.handle_datagram(now, from, datagram)
    }

    /// See [`Node::handle_timeout`]. Recorded only when something is due.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.handle_timeout(now); // nothing is due yet
    /// let due = node.poll_timeout().expect("a member always probes");
    /// node.handle_timeout(due);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.node.poll_timeout().is_some_and(|due| due <= now) {
            self.record(now, &Input::Timeout);
        }
        self.node.handle_timeout(now);
    }

    /// See [`Node::accept_stream`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// assert!(node.accept_stream(now, "127.0.0.1:5001".parse()?).is_some());
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_stream(&mut self, now: Instant, from: SocketAddr) -> Option<StreamId> {
        self.record(now, &Input::AcceptStream { from });
        self.node.accept_stream(now, from)
    }

    /// See [`Node::handle_stream`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::StreamInput;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// let id = node.accept_stream(now, "127.0.0.1:5001".parse()?).expect("the first one");
    /// node.handle_stream(now, id, StreamInput::Data(b"?"));
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 2);
    /// assert_eq!(replay.node().stats().stream_bytes_received, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_stream(&mut self, now: Instant, id: StreamId, input: StreamInput<'_>) {
        self.record(now, &Input::Stream { id, input });
        self.node.handle_stream(now, id, input);
    }

    /// See [`Node::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.join(now, &["127.0.0.1:7947".parse()?], false);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().stats().push_pulls_started, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&mut self, now: Instant, seeds: &[SocketAddr], replay: bool) -> CommandId {
        self.record(now, &Input::Join { seeds: seeds.into(), replay });
        self.node.join(now, seeds, replay)
    }

    /// See [`Node::leave`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::config::Life;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.leave(now);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().life(), Life::Leaving);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn leave(&mut self, now: Instant) -> CommandId {
        self.record(now, &Input::Leave);
        self.node.leave(now)
    }

    /// See [`Node::set_tags`].
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::tags::Tags;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.set_tags(now, &Tags::from_iter([("role", "web")]))?;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().tags().get("role"), Some("web"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_tags(&mut self, now: Instant, tags: &Tags) -> Result<CommandId, TagsTooLarge> {
        if self.sink.is_enabled() {
            self.record(now, &Input::SetTags { tags: tags.clone() });
        }
        self.node.set_tags(now, tags)
    }

    /// See [`Node::user_event`].
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::user_event::UserEvent;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.user_event(now, UserEvent { name: b"deploy", payload: None, coalesce: false })?;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().stats().user_events, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_event(&mut self, now: Instant, event: UserEvent<'_>) -> Result<LamportTime, EventTooLarge> {
        self.record(now, &Input::UserEvent { event });
        self.node.user_event(now, event)
    }

    /// See [`Node::force_leave`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.force_leave(now, b"b", true);
    /// let node_time = node.node().summary().member_time;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().summary().member_time, node_time);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn force_leave(&mut self, now: Instant, name: &[u8], prune: bool) -> CommandId {
        self.record(now, &Input::ForceLeave { name, prune });
        self.node.force_leave(now, name, prune)
    }

    /// See [`Node::ping`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.ping(now, b"a");
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ping(&mut self, now: Instant, name: &[u8]) -> CommandId {
        self.record(now, &Input::Ping { name });
        self.node.ping(now, name)
    }

    /// See [`Node::query`].
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::query::Query;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.query(now, Query { name: b"uptime", ..Query::default() })?;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().stats().queries, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn query(&mut self, now: Instant, query: Query<'_>) -> Result<CommandId, QueryError> {
        if self.sink.is_enabled() {
            let Query { name, payload, filter_nodes, filter_tags, request_ack, relay_factor, timeout } = query;
            let input = Input::Query {
                name,
                payload: payload.map(serde_bytes::Bytes::new),
                filter_nodes: filter_nodes.iter().map(|name| serde_bytes::Bytes::new(name)).collect(),
                filter_tags: filter_tags.to_vec(),
                request_ack,
                relay_factor,
                timeout,
            };
            self.record(now, &input);
        }
        self.node.query(now, query)
    }

    /// See [`Node::respond`].
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// use swim_core::serf::query::Query;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.query(now, Query { name: b"uptime", ..Query::default() })?;
    /// let events = std::iter::from_fn(|| node.poll_event());
    /// let asked = events.filter_map(|event| if let Event::Query { id, .. } = event { Some(id) } else { None }).last();
    /// node.respond(now, asked.expect("we are one of those asked"), b"3 days")?;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 4, "a query, two events taken, an answer");
    /// assert_eq!(replay.node().stats().query_responses, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn respond(&mut self, now: Instant, to: QueryId, payload: &[u8]) -> Result<(), RespondError> {
        self.record(now, &Input::Respond { to, payload });
        self.node.respond(now, to, payload)
    }

    /// See [`Node::send`].
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::direct::Delivery;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.send(now, b"a", b"to ourselves", Delivery::Datagram)?;
    /// # Ok::<(), swim_core::serf::direct::SendError>(())
    /// ```
    pub fn send(&mut self, now: Instant, to: &[u8], payload: &[u8], by: Delivery) -> Result<CommandId, SendError> {
        self.record(now, &Input::Send { to, payload, by });
        self.node.send(now, to, payload, by)
    }

    /// See [`Node::install_key`]. The trace names the key and does not tell it: a replay wants it again.
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::Key;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.install_key(now, &[2; 32])?;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?.with_keys([Key::new(&[2; 32])?]);
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().stats().queries, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn install_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.record(now, &Input::InstallKey { key: KeyRef::new(key) });
        self.node.install_key(now, key)
    }

    /// See [`Node::use_key`]. The trace names the key and does not tell it: a replay wants it again.
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::Key;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.use_key(now, &[2; 32])?;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?.with_keys([Key::new(&[2; 32])?]);
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().stats().queries, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn use_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.record(now, &Input::UseKey { key: KeyRef::new(key) });
        self.node.use_key(now, key)
    }

    /// See [`Node::remove_key`]. The trace names the key and does not tell it: a replay wants it again.
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::Key;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.remove_key(now, &[2; 32])?;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?.with_keys([Key::new(&[2; 32])?]);
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().stats().queries, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.record(now, &Input::RemoveKey { key: KeyRef::new(key) });
        self.node.remove_key(now, key)
    }

    /// See [`Node::list_keys`].
    ///
    /// # Errors
    ///
    /// Those of the node.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.list_keys(now)?;
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 1);
    /// assert_eq!(replay.node().stats().queries, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn list_keys(&mut self, now: Instant) -> Result<CommandId, QueryError> {
        self.record(now, &Input::ListKeys);
        self.node.list_keys(now)
    }

    /// See [`Node::keyring_stored`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// let change = node.node().last_keyring_change();
    /// node.keyring_stored(now, change, Err("no space left on device"));
    /// assert_eq!(Replay::new(&node.into_sink(), Keyring::new(), None)?.run()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keyring_stored(&mut self, now: Instant, change: KeyringChange, result: Result<(), &str>) {
        self.record(now, &Input::KeyringStored { change, result });
        self.node.keyring_stored(now, change, result);
    }

    /// See [`Node::poll_transmit`]. Recorded only when there was something: it draws nothing otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// let mut buf = Vec::new();
    /// node.ping(now, b"a");
    /// while node.poll_transmit(now, &mut buf).is_some() {}
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.run()?, 2);
    /// assert_eq!(replay.node().stats().datagrams_sent, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        if self.node.core.outbox.is_empty() {
            return None;
        }
        self.record(now, &Input::PollTransmit);
        let transmit = self.node.poll_transmit(now, buf);
        if self.sink.is_enabled() {
            if let Some(transmit) = transmit {
                self.outputs.datagram(transmit.destination, buf);
            }
            self.since_checkpoint += 1;
            if self.since_checkpoint >= CHECKPOINT_EVERY {
                self.checkpoint();
            }
        }
        transmit
    }

    /// See [`Node::poll_stream`]. Not recorded; the checkpoints say what it yielded.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::StreamAction;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.join(now, &["127.0.0.1:7947".parse()?], false);
    /// assert!(matches!(node.poll_stream(), Some(StreamAction::Open { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_stream(&mut self) -> Option<StreamAction> {
        let action = self.node.poll_stream();
        if self.sink.is_enabled()
            && let Some(action) = &action
        {
            self.outputs.action(action);
        }
        action
    }

    /// See [`Node::poll_reply`]. Not recorded.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::{CommandError, Reply};
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// let id = node.ping(now, b"nobody");
    /// assert_eq!(node.poll_reply(), Some((id, Reply::Done(Err(CommandError::NoMember)))));
    /// ```
    pub fn poll_reply(&mut self) -> Option<(CommandId, Reply)> {
        self.node.poll_reply()
    }

    /// See [`Node::poll_event`]. Recorded only when there was one, and as of the last record: it takes no time.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// assert!(matches!(node.poll_event(), Some(Event::Member { member, .. }) if member.name == "a"));
    /// ```
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.node.poll_event()?;
        self.record(self.last, &Input::PollEvent);
        Some(event)
    }

    /// See [`Node::poll_record`]. Not recorded.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// assert_eq!(node.poll_record(), None, "no snapshot is configured");
    /// ```
    pub fn poll_record(&mut self) -> Option<snapshot::Step> {
        self.node.poll_record()
    }

    /// See [`Node::poll_resolve`]. Not recorded.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (_, mut node) = traced();
    /// assert!(node.poll_resolve(), "at the start, too");
    /// ```
    pub fn poll_resolve(&mut self) -> bool {
        self.node.poll_resolve()
    }

    /// See [`Node::poll_timeout`].
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, node) = traced();
    /// assert_eq!(node.poll_timeout(), node.node().poll_timeout());
    /// assert!(node.poll_timeout() > Some(now));
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.node.poll_timeout()
    }

    fn record(&mut self, now: Instant, input: &Input<'_>) {
        if !self.sink.is_enabled() {
            return;
        }
        let since = (now - self.last).as_nanos() as u64;
        self.last = self.last.max(now);
        self.record.clear();
        encode(&(since, input), &mut self.record);
        self.sink.write(&self.record);
    }

    /// Notes a hash of all outputs so far, for a replay to compare. One is written every 64 datagrams; this is for the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::{Replay, Step};
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.leave(now);
    /// node.checkpoint();
    /// let trace = node.into_sink(); // which notes another one
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// let steps = [(); 4].map(|()| replay.step(|_| {}));
    /// assert!(matches!(steps, [Ok(Step::Input(_)), Ok(Step::Checkpoint), Ok(Step::Checkpoint), Ok(Step::End)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checkpoint(&mut self) {
        self.since_checkpoint = 0;
        let Outputs { datagrams, actions } = &self.outputs;
        self.record.clear();
        self.record.extend_from_slice(&0u32.to_le_bytes());
        for number in [datagrams.count, datagrams.hash, actions.count, actions.hash] {
            self.record.extend_from_slice(&number.to_le_bytes());
        }
        self.sink.write(&self.record);
    }
}
