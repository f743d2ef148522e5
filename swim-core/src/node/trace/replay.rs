//! Applying what was recorded, and comparing what comes of it.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use crate::node::Node;
use crate::node::config::ConfigError;
use crate::node::input::{Input, KeyRef, StreamAction, Transmit};
use crate::node::trace::format::{MARKER_LEN, Outputs, Running, VERSION, decode, header, split};
use crate::serf::event::Event;
use crate::swim::admission::Admission;
use crate::time::Instant;
use crate::wire::keyring::{Key, KeyId, Keyring};

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
