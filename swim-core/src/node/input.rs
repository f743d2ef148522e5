//! What goes into a node and what comes out of it, as data.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{KeyringChange, Name, QueryId, StreamId};
use crate::serf::direct::Delivery;
use crate::serf::snapshot::Record;
use crate::serf::tags::Tags;
use crate::serf::user_event::UserEvent;
use crate::swim::push_pull::MergeError;
use crate::wire::framing::StreamError;
use crate::wire::key_text::KeyText;
use crate::wire::keyring::{Key, KeyId};
use crate::wire::serf::Refusal;

/// One call of a `&mut self` method that can change what a node sends. See [`Node::apply`](crate::Node::apply).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Input<'a> {
    /// [`Node::handle_datagram`](crate::Node::handle_datagram)
    Datagram {
        /// The sender.
        from: SocketAddr,
        /// As received.
        #[serde(borrow, with = "serde_bytes")]
        datagram: &'a [u8],
    },
    /// [`Node::handle_timeout`](crate::Node::handle_timeout)
    Timeout,
    /// [`Node::accept_stream`](crate::Node::accept_stream)
    AcceptStream {
        /// The dialler.
        from: SocketAddr,
    },
    /// [`Node::handle_stream`](crate::Node::handle_stream)
    Stream {
        /// Which.
        id: StreamId,
        /// What happened to it.
        #[serde(borrow)]
        input: StreamInput<'a>,
    },
    /// [`Node::join`](crate::Node::join)
    Join {
        /// Whom to ask.
        seeds: Vec<SocketAddr>,
        /// Whether old user events are wanted.
        replay: bool,
    },
    /// [`Node::leave`](crate::Node::leave)
    Leave,
    /// [`Node::set_tags`](crate::Node::set_tags)
    SetTags {
        /// All of them.
        tags: Tags,
    },
    /// [`Node::user_event`](crate::Node::user_event)
    UserEvent {
        /// What to tell.
        #[serde(borrow)]
        event: UserEvent<'a>,
    },
    /// [`Node::force_leave`](crate::Node::force_leave)
    ForceLeave {
        /// Whom.
        #[serde(borrow, with = "serde_bytes")]
        name: &'a [u8],
        /// Whether it is to be forgotten as well.
        prune: bool,
    },
    /// [`Node::ping`](crate::Node::ping)
    Ping {
        /// Whom.
        #[serde(borrow, with = "serde_bytes")]
        name: &'a [u8],
    },
    /// [`Node::query`](crate::Node::query)
    Query {
        /// What is asked.
        #[serde(borrow, with = "serde_bytes")]
        name: &'a [u8],
        /// What goes with it.
        #[serde(borrow)]
        payload: Option<&'a serde_bytes::Bytes>,
        /// Whom, by name.
        #[serde(borrow)]
        filter_nodes: Vec<&'a serde_bytes::Bytes>,
        /// Whom, by tag.
        #[serde(borrow)]
        filter_tags: Vec<(&'a str, &'a str)>,
        /// Whether acks are wanted.
        request_ack: bool,
        /// By way of how many others answers are sent as well.
        relay_factor: u8,
        /// How long they are waited for.
        timeout: Option<Duration>,
    },
    /// [`Node::respond`](crate::Node::respond)
    Respond {
        /// To which query.
        to: QueryId,
        /// The answer.
        #[serde(borrow, with = "serde_bytes")]
        payload: &'a [u8],
    },
    /// [`Node::install_key`](crate::Node::install_key)
    InstallKey {
        /// Which.
        key: KeyRef,
    },
    /// [`Node::use_key`](crate::Node::use_key)
    UseKey {
        /// Which.
        key: KeyRef,
    },
    /// [`Node::remove_key`](crate::Node::remove_key)
    RemoveKey {
        /// Which.
        key: KeyRef,
    },
    /// [`Node::list_keys`](crate::Node::list_keys)
    ListKeys,
    /// [`Node::poll_transmit`](crate::Node::poll_transmit): it draws nonces and counts transmissions.
    PollTransmit,
    /// [`Node::restore`](crate::Node::restore)
    Restore {
        /// What the snapshot says.
        #[serde(borrow)]
        records: Vec<Record<'a>>,
    },
    /// [`Node::send`](crate::Node::send)
    Send {
        /// Whom.
        #[serde(borrow, with = "serde_bytes")]
        to: &'a [u8],
        /// What.
        #[serde(borrow, with = "serde_bytes")]
        payload: &'a [u8],
        /// How.
        by: Delivery,
    },
    /// [`Node::poll_event`](crate::Node::poll_event): it makes room, without which messages by stream are refused.
    PollEvent,
    /// [`Node::set_seeds`](crate::Node::set_seeds)
    SetSeeds {
        /// All of them.
        seeds: Vec<SocketAddr>,
    },
    /// [`Node::hold_handed_off`](crate::Node::hold_handed_off)
    HoldHandedOff {
        /// Whether the worker does not get its turn.
        waits: bool,
    },
    /// [`Node::keyring_stored`](crate::Node::keyring_stored)
    KeyringStored {
        /// The last of the changes that are answered.
        change: KeyringChange,
        /// Whether they are stored, or why not.
        #[serde(borrow)]
        result: Result<(), &'a str>,
    },
}

/// A key as an input names it: the key itself is in no trace. See [`KeyRef::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyRef {
    /// A key.
    Id(KeyId),
    /// So many bytes, which no key has.
    Unfit(u16),
}

impl KeyRef {
    /// Names what an application gives for a key: what is none is told apart by its length only, up to 65535.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::KeyRef;
    /// use swim_core::wire::keyring::Key;
    ///
    /// let key = [7; 32];
    /// assert_eq!(KeyRef::new(&key), KeyRef::Id(Key::new(&key)?.id()));
    /// assert_eq!(KeyRef::new(b"a slip of the pen"), KeyRef::Unfit(17));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(bytes: &[u8]) -> Self {
        match Key::new(bytes) {
            Ok(key) => Self::Id(key.id()),
            Err(_) => Self::Unfit(u16::try_from(bytes.len()).unwrap_or(u16::MAX)),
        }
    }
}

/// What happened to a stream. See [`Node::handle_stream`](crate::Node::handle_stream).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamInput<'a> {
    /// The dial that [`StreamAction::Open`] asked for succeeded.
    Opened,
    /// Bytes arrived.
    #[serde(borrow)]
    Data(#[serde(with = "serde_bytes")] &'a [u8]),
    /// What [`StreamAction::Send`] asked for has been written; the next may follow.
    Sent,
    /// The other side will send nothing more.
    Finished,
    /// The stream is gone, or never came to be.
    Failed(StreamFailure),
}

/// Why a stream is gone. See [`Node::handle_stream`](crate::Node::handle_stream).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamFailure {
    /// Nobody listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// The operating system has given up.
    TimedOut,
    /// The other side, or somebody between, has broken it off.
    Reset,
    /// Anything else.
    Other,
    /// This machine has no port left to dial from, or not the address.
    NoLocalPort,
    /// This process, or this machine, has as many files open as it may.
    TooManyFiles,
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed out",
            Self::Reset => "connection reset",
            Self::Other => "connection failed",
            Self::NoLocalPort => "cannot assign requested address",
            Self::TooManyFiles => "too many open files",
        })
    }
}

/// What the driver is to do with a stream. See [`Node::poll_stream`](crate::Node::poll_stream).
///
/// After `Finish` or `Abort` the node has forgotten the stream and ignores whatever it still hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamAction {
    /// Dial; answer with `Opened` or `Failed`.
    Open {
        /// The new stream's name.
        id: StreamId,
        /// Whom to dial.
        peer: SocketAddr,
    },
    /// Write all of it; answer with `Sent`. At most one is outstanding per stream.
    Send {
        /// Which.
        id: StreamId,
        /// What.
        data: Vec<u8>,
    },
    /// Write what is still to be written, then close.
    Finish {
        /// Which.
        id: StreamId,
    },
    /// Close at once.
    Abort {
        /// Which.
        id: StreamId,
    },
}

/// Where the datagram is to go that has been written into the driver's buffer. See
/// [`Node::poll_transmit`](crate::Node::poll_transmit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The receiver.
    pub destination: SocketAddr,
}

/// What became of a command. Everything about one command comes under its id, the last of it a [`Reply::Done`]. See
/// [`Node::poll_reply`](crate::Node::poll_reply), and the command itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Of a join: this seed took part in a full state exchange.
    SeedReached(SocketAddr),
    /// Of a join: this one did not.
    SeedFailed(SocketAddr, ExchangeError),
    /// Of a ping: the member answered after this long.
    Pong(Duration),
    /// Of a query: this member has heard it.
    Ack {
        /// The member.
        from: Name,
    },
    /// Of a query: this member answers.
    Response {
        /// The member.
        from: Name,
        /// Its answer.
        payload: Box<[u8]>,
    },
    /// Of a change or a listing of keys, first: so many members are asked, we included.
    Members(usize),
    /// Of a change or a listing of keys: what this member says.
    Key {
        /// The member.
        from: Name,
        /// Whether it was done.
        result: bool,
        /// Why not, or a warning; mostly empty. What is not UTF-8 is replaced.
        message: String,
        /// Of a listing: its keys in base64, in the order of its ring.
        keys: Vec<KeyText>,
        /// Of a listing: its primary key in base64. Older members do not say.
        primary: Option<KeyText>,
    },
    /// The command is over. For a query, and for keys, that is when the time is up; for keys also when all members have
    /// answered. For a join `Ok` means that at least one seed was reached; for a message, see
    /// [`Node::send`](crate::Node::send).
    Done(Result<(), CommandError>),
}

/// Why an exchange over a stream did not happen: of the full state, or of a message and its answer. See
/// [`Node::handle_stream`](crate::Node::handle_stream).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The stream could not be opened, or broke.
    Stream(StreamFailure),
    /// The other side closed it without an answer: it may have another label, or refuse our version.
    Closed,
    /// It did not answer in time.
    TimedOut,
    /// Its answer could not be read.
    Frame(StreamError),
    /// It could not read what we sent: another key, or none, on either side.
    Rejected,
    /// Its answer was something else than what had been asked for.
    Unexpected,
    /// Its state cannot be merged into ours.
    Merge(MergeError),
    /// Too many streams are open here.
    Busy,
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(failure) => failure.fmt(f),
            Self::Closed => f.write_str("closed without an answer (another label, wire format or version?)"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Frame(error) => write!(f, "unreadable answer: {error}"),
            Self::Rejected => f.write_str("it could not read our message (another encryption key, or none?)"),
            Self::Unexpected => f.write_str("unexpected answer"),
            Self::Merge(error) => error.fmt(f),
            Self::Busy => f.write_str("too many open streams"),
        }
    }
}

impl core::error::Error for ExchangeError {}

/// Why a command failed. See [`Node::poll_reply`](crate::Node::poll_reply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The node is leaving or has left.
    NotAlive,
    /// None of the seeds was reached.
    NoSeed,
    /// No member has this name.
    NoMember,
    /// It did not come about in time. Of a change of tags: they are set, but the news may not have spread. Of a message
    /// by stream: it may have arrived all the same.
    TimedOut,
    /// Of a message by stream: the receiver does not tell its application, and why.
    Refused(Refusal),
    /// Of a message by stream: there was no answer, and why. It may have arrived all the same.
    Exchange(ExchangeError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAlive => "the node is leaving or has left",
            Self::NoSeed => "no seed could be reached",
            Self::NoMember => "no such member",
            Self::TimedOut => "timed out",
            Self::Refused(refusal) => return refusal.fmt(f),
            Self::Exchange(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for CommandError {}
