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

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{CommandId, LamportTime, QueryId, StreamId};
use crate::node::Node;
use crate::node::config::{Config, ConfigError};
use crate::node::input::{Input, KeyRef, Reply, StreamAction, StreamInput, Transmit};
use crate::serf::direct::{Delivery, SendError};
use crate::serf::event::Event;
use crate::serf::query::{Query, QueryError, RespondError};
use crate::serf::snapshot::{self, Record};
use crate::serf::tags::{Tags, TagsTooLarge};
use crate::serf::user_event::{EventTooLarge, UserEvent};
use crate::swim::admission::Admission;
use crate::time::Instant;
use crate::wire::envelope::DatagramError;
use crate::wire::keyring::{Key, KeyId, Keyring};

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

/// A trace being replayed: a node that is fed what another was fed. See [`Replay::step`].
#[derive(Debug)]
pub struct Replay<'t> {
    node: Node,
    keys: Vec<Key>,
    rest: &'t [u8],
    /// Bytes of the whole trace.
    len: usize,
    /// Of a checkpoint that is not whole.
    cut_off: usize,
    now: Instant,
    build: String,
    outputs: Outputs,
    /// Inputs before the last checkpoint that was as recorded.
    agreed: u64,
    /// States of the stream hash that the next checkpoint may name: the recorded driver may have taken actions later.
    actions: VecDeque<Running>,
    inputs: u64,
    buf: Vec<u8>,
}

/// What the replayed node put out. See [`Replay::step`].
#[derive(Debug)]
pub enum Output<'a> {
    /// A datagram.
    Datagram {
        /// Where to.
        destination: SocketAddr,
        /// What.
        datagram: &'a [u8],
    },
    /// Something to do with a stream.
    Stream(StreamAction),
    /// What the application was told, when it was.
    Event(Event),
}

/// One step of a replay. See [`Replay::step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An input was applied at this time.
    Input(Instant),
    /// The outputs so far are those that were recorded.
    Checkpoint,
    /// The trace is over.
    End,
}

impl<'t> Replay<'t> {
    /// Reads the beginning of a trace. A trace has no keys and no code: the same keys, in the same order, and the same
    /// admission function must be given.
    ///
    /// # Errors
    ///
    /// When it is no trace, is one of another version, or the keys or the function are others.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::{Replay, ReplayError};
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, node) = traced();
    ///
    /// let trace = node.into_sink();
    /// assert!(Replay::new(&trace, Keyring::new(), None).is_ok());
    /// let error = Replay::new(b"alive: a 127.0.0.1:7946", Keyring::new(), None).unwrap_err();
    /// assert_eq!(error, ReplayError::NoTrace);
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # use swim_core::wire::keyring::Key;
    /// let mut other = Keyring::new();
    /// other.add(Key::new(&[1; 32])?)?;
    /// assert_eq!(Replay::new(&trace, other, None).unwrap_err(), ReplayError::Keys { expected: 0 });
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(trace: &'t [u8], keyring: Keyring, admission: Option<Admission>) -> Result<Self, ReplayError> {
        let (header, rest) = header(trace)?;
        if !header.key_ids.iter().copied().eq(keyring.keys().map(|key| key.id().0)) {
            return Err(ReplayError::Keys { expected: header.key_ids.len() });
        }
        if header.admission.as_deref() != admission.map(|admission| admission.name) {
            return Err(ReplayError::Admission(header.admission));
        }
        let mut config = header.config;
        config.wire.keyring = keyring;
        config.admission = admission;
        let node = Node::new(config, header.seed, header.start).map_err(ReplayError::Config)?;
        Ok(Self {
            node,
            keys: Vec::new(),
            rest,
            len: trace.len(),
            cut_off: 0,
            now: header.start,
            build: header.build,
            outputs: Outputs::default(),
            agreed: 0,
            actions: VecDeque::from([Running::default()]),
            inputs: 0,
            buf: Vec::new(),
        })
    }

    /// The ids of the keys that [`new`](Self::new) must be given for this trace, in order.
    ///
    /// # Errors
    ///
    /// When it is no trace, or one of another version.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, node) = traced();
    /// assert_eq!(Replay::key_ids(&node.into_sink())?, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key_ids(trace: &[u8]) -> Result<Vec<KeyId>, ReplayError> {
        let (header, _) = header(trace)?;
        Ok(header.key_ids.into_iter().map(KeyId).collect())
    }

    /// Gives the keys that the recorded application installed, used or removed; a trace has their ids only.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::{Replay, ReplayError};
    /// use swim_core::wire::keyring::{Key, Keyring};
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// let key = Key::new(&[2; 32])?;
    /// node.install_key(now, key.as_bytes())?;
    /// let trace = node.into_sink();
    /// let mut without = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(without.run(), Err(ReplayError::UnknownKey(key.id())));
    /// let mut with = Replay::new(&trace, Keyring::new(), None)?.with_keys([key]);
    /// assert_eq!(with.run()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Applies the next input, or checks the next checkpoint. `see` is shown what the node puts out.
    ///
    /// # Errors
    ///
    /// When the trace is damaged, or the node does something else than it did then. A record that is cut off at the end
    /// ends the trace: the recording program may have been killed.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::{Output, Replay, Step};
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// # node.join(now, &["127.0.0.1:7947".parse()?], false);
    /// # node.poll_stream();
    /// # let trace = node.into_sink();
    ///
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// let mut story = Vec::new();
    /// loop {
    ///     match replay.step(|output| if let Output::Stream(action) = output { story.push(format!("{action:?}")) })? {
    ///         Step::Input(at) => story.push(format!("at {at:?}")),
    ///         Step::Checkpoint => story.push("as recorded".into()),
    ///         Step::End => break,
    ///     }
    /// }
    /// assert_eq!(story, ["Open { id: 1, peer: 127.0.0.1:7947 }", "at 0ns", "as recorded"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn step(&mut self, mut see: impl FnMut(Output<'_>)) -> Result<Step, ReplayError> {
        let Some((record, rest)) = split(self.rest) else { return Ok(Step::End) };
        self.rest = rest;
        if record.is_empty() {
            return self.check();
        }
        let (since, input): (u64, Input<'_>) = decode(record).ok_or(ReplayError::Damaged { inputs: self.inputs })?;
        self.now += Duration::from_nanos(since);
        self.inputs += 1;
        if let Input::InstallKey { key } | Input::UseKey { key } | Input::RemoveKey { key } = input
            && let KeyRef::Id(id) = key
            && !self.node.keyring().keys().chain(&self.keys).any(|key| key.id() == id)
        {
            return Err(ReplayError::UnknownKey(id));
        }
        if let Input::PollEvent = input {
            if let Some(event) = self.node.poll_event() {
                see(Output::Event(event));
            }
            return Ok(Step::Input(self.now));
        }
        let transmit = self.node.apply_with_keys(self.now, input, &self.keys, &mut self.buf);
        if let Some(Transmit { destination }) = transmit {
            self.outputs.datagram(destination, &self.buf);
            see(Output::Datagram { destination, datagram: &self.buf });
        }
        while let Some(action) = self.node.poll_stream() {
            self.outputs.action(&action);
            self.actions.push_back(self.outputs.actions);
            see(Output::Stream(action));
        }
        // Nobody listens to these; untaken they would pile up. Events are bounded, and taken when they were taken then.
        while self.node.poll_reply().is_some() {}
        while self.node.poll_record().is_some() {}
        Ok(Step::Input(self.now))
    }

    /// Replays the rest of the trace; returns how many inputs there were, those of earlier steps included.
    ///
    /// # Errors
    ///
    /// Those of [`step`](Self::step).
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::{Replay, ReplayError};
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// # node.leave(now);
    ///
    /// let mut trace = node.into_sink();
    /// assert_eq!(Replay::new(&trace, Keyring::new(), None)?.run()?, 1);
    /// // The last bytes are a hash of the outputs.
    /// *trace.last_mut().expect("it is not empty") ^= 1;
    /// assert_eq!(Replay::new(&trace, Keyring::new(), None)?.run(), Err(ReplayError::Diverged { agreed: 0, inputs: 1 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(&mut self) -> Result<u64, ReplayError> {
        while self.step(|_| {})? != Step::End {}
        Ok(self.inputs)
    }

    /// The next input and its time, without applying it. `None` before a checkpoint, at the end, or where the trace is
    /// damaged.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::Input;
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// node.leave(now);
    /// let trace = node.into_sink();
    /// let replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert!(matches!(replay.peek(), Some((at, Input::Leave)) if at == now));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&self) -> Option<(Instant, Input<'t>)> {
        let (record, _) = split(self.rest)?;
        let (since, input): (u64, Input<'t>) = decode(record)?;
        Some((self.now + Duration::from_nanos(since), input))
    }

    /// How many inputs have been applied.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// # node.leave(now);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// replay.step(|_| ())?;
    /// assert_eq!(replay.inputs(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// The time of the last input, or of the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// # node.leave(now);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// replay.run()?;
    /// assert_eq!(replay.now(), now);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many bytes of the trace have been read.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// # node.leave(now);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// replay.run()?;
    /// assert_eq!(replay.position(), trace.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn position(&self) -> usize {
        self.len - self.rest.len() - self.cut_off
    }

    /// Bytes that have not been read; after [`Step::End`] those of a record that was cut off: the recording program was
    /// killed while it wrote, or a file is missing.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// # node.leave(now);
    /// let trace = node.into_sink();
    /// let mut whole = Replay::new(&trace, Keyring::new(), None)?;
    /// whole.run()?;
    /// assert_eq!(whole.rest(), 0);
    /// let mut cut = Replay::new(&trace[..trace.len() - 3], Keyring::new(), None)?;
    /// cut.run()?;
    /// assert_eq!(cut.position() + cut.rest(), trace.len() - 3);
    /// assert!(cut.rest() > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rest(&self) -> usize {
        self.rest.len() + self.cut_off
    }

    /// Which build recorded it: the version of `swim-core`.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// # node.leave(now);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.build(), env!("CARGO_PKG_VERSION"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(&self) -> &str {
        &self.build
    }

    /// A hash of everything put out so far. Two builds that replay one trace do the same as long as it is the same after
    /// every step.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::{Replay, Step};
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    /// # node.join(now, &["127.0.0.1:7947".parse()?], false);
    /// # let trace = node.into_sink();
    /// let mut one = Replay::new(&trace, Keyring::new(), None)?;
    /// let mut other = Replay::new(&trace, Keyring::new(), None)?;
    /// let before = one.digest();
    /// while one.step(|_| ())? != Step::End {
    ///     other.step(|_| ())?;
    ///     assert_eq!(one.digest(), other.digest());
    /// }
    /// assert_ne!(one.digest(), before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn digest(&self) -> u64 {
        let Outputs { datagrams, actions } = &self.outputs;
        datagrams.hash ^ actions.hash.rotate_left(32)
    }

    /// The node as it is now.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::trace::Replay;
    /// use swim_core::serf::config::Life;
    /// use swim_core::wire::keyring::Keyring;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, mut node) = traced();
    ///
    /// node.leave(now);
    /// let trace = node.into_sink();
    /// let mut replay = Replay::new(&trace, Keyring::new(), None)?;
    /// assert_eq!(replay.node().life(), Life::Alive);
    /// replay.step(|_| {})?;
    /// assert_eq!(replay.node().life(), Life::Leaving);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn node(&self) -> &Node {
        &self.node
    }

    fn check(&mut self) -> Result<Step, ReplayError> {
        let diverged = ReplayError::Diverged { agreed: self.agreed, inputs: self.inputs };
        let Some((numbers, rest)) = self.rest.split_first_chunk::<32>() else {
            // Cut off in the middle, as any record at the end may be; a marker alone is none.
            self.cut_off += self.rest.len() + MARKER_LEN;
            self.rest = &[];
            return Ok(Step::End);
        };
        self.rest = rest;
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let mut next = || numbers.next().unwrap_or_default();
        let datagrams = Running { count: next(), hash: next() };
        let actions = Running { count: next(), hash: next() };
        while self.actions.front().is_some_and(|running| running.count < actions.count) {
            self.actions.pop_front();
        }
        if datagrams != self.outputs.datagrams || self.actions.front() != Some(&actions) {
            return Err(diverged);
        }
        self.agreed = self.inputs;
        Ok(Step::Checkpoint)
    }
}

/// Why a trace cannot be replayed. See [`Replay::run`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The bytes do not begin like a trace.
    NoTrace,
    /// A trace of another format version.
    Version(u16),
    /// The keys are not those of the recorded node.
    Keys {
        /// How many it had.
        expected: usize,
    },
    /// The recorded application named a key that was not given to [`Replay::with_keys`].
    UnknownKey(KeyId),
    /// The admission function is not that of the recorded node, whose name this is.
    Admission(Option<String>),
    /// The recorded configuration is refused by this build.
    Config(ConfigError),
    /// A record cannot be read.
    Damaged {
        /// Inputs before it.
        inputs: u64,
    },
    /// The outputs are not those that were recorded.
    Diverged {
        /// Inputs up to which they were; the difference is somewhere between.
        agreed: u64,
        /// Inputs before the checkpoint that shows it.
        inputs: u64,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTrace => f.write_str("not a trace"),
            Self::Version(version) => write!(f, "trace of format version {version}, this build reads {VERSION}"),
            Self::Keys { expected } => {
                write!(f, "the recorded node had {expected} keys, and the given ones are not the same")
            }
            Self::UnknownKey(id) => write!(f, "the recorded application named the key {id}, which was not given"),
            Self::Admission(Some(name)) => write!(f, "the recorded node asked the admission function {name:?}"),
            Self::Admission(None) => f.write_str("the recorded node had no admission function"),
            Self::Config(error) => write!(f, "recorded configuration: {error}"),
            Self::Damaged { inputs } => write!(f, "damaged after {inputs} inputs"),
            Self::Diverged { agreed, inputs } => {
                write!(f, "other outputs than recorded, after input {agreed} and not later than input {inputs}")
            }
        }
    }
}

impl core::error::Error for ReplayError {}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u16,
    build: String,
    config: Config,
    /// One-way: they tell whether the right keys are given, not what they are.
    key_ids: Vec<[u8; 8]>,
    admission: Option<String>,
    seed: [u8; 32],
    start: Instant,
}

/// Everything a node has put out, in two hashes: datagrams and stream actions may be taken in any order to each other.
#[derive(Clone, Copy, Debug, Default)]
struct Outputs {
    datagrams: Running,
    actions: Running,
}

/// FNV-1a over a sequence of things: stable for ever, which is all that is asked of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Running {
    count: u64,
    hash: u64,
}

impl Outputs {
    fn datagram(&mut self, destination: SocketAddr, datagram: &[u8]) {
        self.datagrams.add_address(destination);
        self.datagrams.add(datagram);
        self.datagrams.count += 1;
    }

    fn action(&mut self, action: &StreamAction) {
        let (kind, id) = match action {
            StreamAction::Open { id, .. } => (0, id),
            StreamAction::Send { id, .. } => (1, id),
            StreamAction::Finish { id } => (2, id),
            StreamAction::Abort { id } => (3, id),
        };
        self.actions.add(&[kind]);
        self.actions.add(&id.0.to_le_bytes());
        match action {
            StreamAction::Open { peer, .. } => self.actions.add_address(*peer),
            StreamAction::Send { data, .. } => self.actions.add(data),
            StreamAction::Finish { .. } | StreamAction::Abort { .. } => {}
        }
        self.actions.count += 1;
    }
}

impl Running {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
        self.hash = (self.hash ^ bytes.len() as u64).wrapping_mul(FNV_PRIME);
    }

    fn add_address(&mut self, address: SocketAddr) {
        match address.ip() {
            core::net::IpAddr::V4(ip) => self.add(&ip.octets()),
            core::net::IpAddr::V6(ip) => self.add(&ip.octets()),
        }
        self.add(&address.port().to_le_bytes());
    }
}

const MAGIC: &[u8; 8] = b"swimtrc1";
const VERSION: u16 = 1;
const CHECKPOINT_EVERY: u32 = 64;
/// The length of nothing, which begins a checkpoint.
const MARKER_LEN: usize = 4;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Appends a length and `value`.
fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
    let body = bincode::serde::encode_to_vec(value, bincode::config::standard())
        .expect("the types of a trace can all be encoded, and memory is the only limit");
    let at = out.len() - 4;
    out[at..].copy_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&body);
}

/// Texts are owned, and bincode makes room for as many bytes as are announced: so what may be announced is bounded, in two
/// steps, because a bound must be known to the compiler.
fn decode<'t, T: Deserialize<'t>>(bytes: &'t [u8]) -> Option<T> {
    let config = bincode::config::standard();
    let decoded = if bytes.len() <= RECORD_SHORT {
        bincode::serde::borrow_decode_from_slice(bytes, config.with_limit::<DECODED_SHORT>())
    } else {
        bincode::serde::borrow_decode_from_slice(bytes, config.with_limit::<DECODED_LONG>())
    };
    decoded.ok().map(|(value, _)| value)
}

/// Nearly all records are no longer than that; what they decode to takes more room than they do, but not this much more.
const RECORD_SHORT: usize = 64 * 1024;
const DECODED_SHORT: usize = 16 * RECORD_SHORT;
/// A snapshot of very many members, restored, is one record.
const DECODED_LONG: usize = 1 << 30;

/// What a trace begins with, and what follows it.
fn header(trace: &[u8]) -> Result<(Header, &[u8]), ReplayError> {
    let rest = trace.strip_prefix(MAGIC).ok_or(ReplayError::NoTrace)?;
    let (encoded, rest) = split(rest).ok_or(ReplayError::NoTrace)?;
    // The version comes first, whatever follows it in another one.
    let version: u16 = decode(encoded).ok_or(ReplayError::NoTrace)?;
    if version != VERSION {
        return Err(ReplayError::Version(version));
    }
    Ok((decode(encoded).ok_or(ReplayError::NoTrace)?, rest))
}

/// The next length-prefixed part, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}
