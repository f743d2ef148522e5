//! One client's connection: the rules of order (handshake, authentication, then commands one after another). What each
//! command does is in `commands`, what it starts in `records`.

use core::convert::Infallible;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error, info, warn};

use crate::agent::{Agent, Exit};
use crate::rpc::commands::Command;
use crate::rpc::filter::FilterError;
use crate::rpc::listener::Stream;
use crate::rpc::messages::{DecodeError, Fields, RequestHeader};
use crate::rpc::msgpack::{Framer, Value};
use crate::rpc::outgoing::Outgoing;
use crate::rpc::records::{Queries, Stop};

pub(crate) struct Session {
    incoming: Incoming,
    pub(super) outgoing: Arc<Outgoing>,
    from: String,
    pub(super) agent: Arc<Agent>,
    handshaken: bool,
    authenticated: bool,
    /// Of events, by the sequence numbers that started them.
    pub(super) streams: BTreeMap<u64, Stop>,
    pub(super) monitor: Option<(u64, Stop)>,
    pub(super) queries: Arc<Mutex<Queries>>,
    /// Streams and the monitor, which send records. They end with the session.
    pub(super) tasks: JoinSet<()>,
    /// The same for queries under way.
    pub(super) asked: JoinSet<()>,
}

impl Session {
    /// `from` is for the log.
    pub(crate) fn new(stream: Box<dyn Stream>, from: String, agent: Arc<Agent>) -> Self {
        let (incoming, outgoing) = tokio::io::split(stream);
        Self {
            incoming: Incoming::new(Box::new(incoming)),
            outgoing: Arc::new(Outgoing::new(Box::new(outgoing))),
            from,
            authenticated: agent.rpc_auth.is_empty(),
            agent,
            handshaken: false,
            streams: BTreeMap::new(),
            monitor: None,
            queries: Arc::default(),
            tasks: JoinSet::new(),
            asked: JoinSet::new(),
        }
    }

    /// Serves the client until it goes, or does what ends a connection.
    pub(crate) async fn run(mut self) {
        let outgoing = Arc::clone(&self.outgoing);
        let from = self.from.clone();
        tokio::select! {
            () = self.serve() => {}
            () = outgoing.broken() => debug!(target: "agent.ipc", "Client {from} does not read any more"),
        }
    }

    async fn serve(&mut self) {
        let deadline = Instant::now() + ADMISSION_LIMIT;
        let mut requests = 0;
        loop {
            let after = if self.handshaken && self.authenticated {
                self.serve_one().await
            } else if let Ok(after) = timeout_at(deadline, self.serve_one()).await {
                after
            } else {
                let missing = if self.handshaken { "authentication" } else { "handshake" };
                return warn!(target: "agent.ipc", "Closed client {}: no {missing} within {ADMISSION_LIMIT:?}", self.from);
            };
            match after {
                After::Continue => {}
                After::Close => return,
            }
            if !(self.handshaken && self.authenticated) {
                requests += 1;
                if requests == ADMISSION_REQUESTS {
                    let from = &self.from;
                    return warn!(target: "agent.ipc", "Closed client {from}: not admitted within {requests} requests");
                }
            }
            // What is over takes no room.
            for tasks in [&mut self.tasks, &mut self.asked] {
                while tasks.try_join_next().is_some() {}
            }
        }
    }

    /// The next request.
    async fn serve_one(&mut self) -> After {
        let header = match self.incoming.read().await {
            Ok(None) => return After::Close, // It closed between two requests: the ordinary end.
            Ok(Some(value)) => RequestHeader::decode(value).map_err(SessionError::Decode),
            Err(error) => Err(error),
        };
        let result = match header {
            Ok(header) => self.handle(&header).await,
            Err(SessionError::Io(error)) => {
                debug!(target: "agent.ipc", "Client {} is gone: {error}", self.from);
                return After::Close;
            }
            Err(error) => {
                error!(target: "agent.ipc", "failed to decode request header: {error}");
                return After::Close;
            }
        };
        result.unwrap_or_else(|error| {
            error!(target: "agent.ipc", "Failed to evaluate request: {error}");
            After::Close
        })
    }

    async fn handle(&mut self, header: &RequestHeader) -> Result<After, SessionError> {
        let seq = header.seq;
        self.agent.metrics.command();
        let command = Command::from_name(&header.command);
        if !self.handshaken && command != Some(Command::Handshake) {
            self.reply(seq, HANDSHAKE_REQUIRED, None).await?;
            return Ok(After::Close);
        }
        if !self.authenticated && !matches!(command, Some(Command::Handshake | Command::Auth)) {
            warn!(target: "agent.ipc", "Client sending commands before auth");
            // Serf leaves the body unread, takes it for a header and refuses that as well. Clients expect one answer.
            if command.is_some_and(Command::has_body) {
                self.incoming.read_body().await?;
            }
            self.reply(seq, AUTHENTICATION_REQUIRED, None).await?;
            return Ok(After::Continue);
        }
        let Some(command) = command else {
            // Whether a body follows is unknown, so nothing after this could be understood.
            self.reply(seq, UNSUPPORTED_COMMAND, None).await?;
            return Ok(After::Close);
        };
        self.execute(command, seq).await
    }

    /// The end of the cluster and of the connection.
    pub(super) async fn leave(&mut self, seq: u64) -> Result<After, SessionError> {
        info!(target: "agent.ipc", "Graceful leave triggered");
        let agent = Arc::clone(&self.agent);
        let (tell, told) = oneshot::channel();
        let (replied, reply) = oneshot::channel::<Infallible>();
        // In a task of its own: who has begun to leave does so, and ends, also when its client is gone meanwhile.
        tokio::spawn(async move {
            let _ = tell.send(agent.leave().await);
            let _ = reply.await;
            agent.exit(Exit::Left);
        });
        let left = match told.await {
            Ok(left) => left.map_or_else(|error| error.to_string(), |()| String::new()),
            // The runtime is going down.
            Err(_) => return Ok(After::Close),
        };
        self.reply(seq, &left, None).await?;
        drop(replied);
        Ok(After::Close)
    }

    pub(super) async fn handshake(&mut self, seq: u64) -> Result<(), SessionError> {
        let version = self.fields(&["Version"]).await?.signed("Version")?;
        let error = if self.handshaken {
            "Handshake already performed"
        } else if version != super::VERSION {
            "Unsupported IPC version"
        } else {
            self.handshaken = true;
            ""
        };
        self.reply(seq, error, None).await
    }

    pub(super) async fn auth(&mut self, seq: u64) -> Result<(), SessionError> {
        let key = self.fields(&["AuthKey"]).await?.text("AuthKey")?;
        let error = if same_secret(&key, &self.agent.rpc_auth) {
            self.authenticated = true;
            ""
        } else {
            "Invalid authentication token"
        };
        self.reply(seq, error, None).await
    }

    /// The body that a command must have, by the names of its fields in the order of their declaration.
    pub(super) async fn fields(&mut self, names: &'static [&'static str]) -> Result<Fields, SessionError> {
        Ok(Fields::new(self.incoming.read_body().await?, names)?)
    }

    pub(super) async fn reply(&mut self, seq: u64, error: &str, body: Option<Value>) -> Result<(), SessionError> {
        Ok(self.outgoing.send(seq, error, body).await?)
    }
}

/// The requests of one client, taken apart.
struct Incoming {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    /// Read, and not yet taken as a value.
    input: Vec<u8>,
    framer: Framer,
}

impl Incoming {
    fn new(stream: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        Self { stream, input: Vec::new(), framer: Framer::new(MESSAGE_LEN_MAX) }
    }

    /// The body that a command must have; the connection may not end before it.
    async fn read_body(&mut self) -> Result<Value, SessionError> {
        self.read().await?.ok_or_else(|| SessionError::Io(io::ErrorKind::UnexpectedEof.into()))
    }

    /// The next value; `None` if the client closed before its first byte.
    async fn read(&mut self) -> Result<Option<Value>, SessionError> {
        loop {
            if let Some(len) = self.framer.advance(&self.input).map_err(DecodeError::from)? {
                let value = Value::decode(&self.input[..len]).map_err(DecodeError::from)?;
                self.input.drain(..len);
                return Ok(Some(value));
            }
            self.input.reserve(READ_LEN);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                let between = self.input.is_empty();
                return if between { Ok(None) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) };
            }
        }
    }
}

pub(super) enum After {
    Continue,
    Close,
}

/// Compares without telling by the time it takes where the first difference is.
fn same_secret(given: &str, expected: &str) -> bool {
    given.len() == expected.len() && given.bytes().zip(expected.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

/// How long a client may take until it may give commands. Whoever has neither the token nor anything to say must not hold
/// one of the places for clients.
const ADMISSION_LIMIT: Duration = Duration::from_secs(30);
/// Requests before that, the handshake among them: who does not know the token may try some, and is not to keep the agent
/// busy with it.
const ADMISSION_REQUESTS: u32 = 64;
/// Longest request, in bytes. The longest sensible one is a join with thousands of addresses.
const MESSAGE_LEN_MAX: usize = 64 << 10;
/// Bytes taken from the socket at once.
const READ_LEN: usize = 16 << 10;

const HANDSHAKE_REQUIRED: &str = "Handshake required";
const AUTHENTICATION_REQUIRED: &str = "Authentication required";
const UNSUPPORTED_COMMAND: &str = "Unsupported command";

/// Why a connection ends without a reply.
#[derive(Debug)]
pub(super) enum SessionError {
    Io(io::Error),
    Decode(DecodeError),
    Filter(FilterError),
}

impl From<io::Error> for SessionError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<DecodeError> for SessionError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Decode(error) => write!(f, "decode failed: {error}"),
            Self::Filter(error) => write!(f, "Failed to compile regex: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use swim_tokio::Options;
    use tokio::io::{AsyncWriteExt as _, duplex};
    use tokio::time::{pause, timeout};

    use super::*;
    use crate::rpc::msgpack::Malformed;

    async fn agent(rpc_auth: &str) -> Arc<Agent> {
        let agent = Agent::alone(Options::local("a", ([127, 0, 0, 1], 0).into()), rpc_auth).await.unwrap();
        // Its clock is not the test's.
        agent.cluster.shutdown().await;
        agent
    }

    /// How long a client is served that sends this and then nothing; `None`: for ever.
    async fn served(agent: &Arc<Agent>, sent: &[u8]) -> Option<Duration> {
        let (mut client, stream) = duplex(1 << 10);
        client.write_all(sent).await.unwrap();
        let start = Instant::now();
        let session = Session::new(Box::new(stream), "a test".into(), Arc::clone(agent));
        timeout(ADMISSION_LIMIT * 10, session.run()).await.ok().map(|()| start.elapsed())
    }

    #[tokio::test]
    async fn strangers_have_half_a_minute() {
        const HANDSHAKE: &[u8] = b"\x82\xa7Command\xa9handshake\xa3Seq\x00\x81\xa7Version\x01";
        let auth = |token: &[u8]| [HANDSHAKE, b"\x82\xa7Command\xa4auth\xa3Seq\x01\x81\xa7AuthKey\xa4", token].concat();
        let (open, guarded) = (agent("").await, agent("hush").await);
        pause();
        let table = [
            (&open, Vec::new(), true),
            (&open, HANDSHAKE[..5].to_vec(), true),
            (&open, HANDSHAKE.to_vec(), false),
            (&guarded, HANDSHAKE.to_vec(), true),
            (&guarded, auth(b"bush"), true),
            (&guarded, auth(b"hush"), false),
        ];
        for (agent, sent, ends) in table {
            let served = served(agent, &sent).await;
            // Timers are exact to a millisecond.
            let in_time = served.is_some_and(|time| (30_000..=30_001).contains(&time.as_millis()));
            assert_eq!((served.is_some(), in_time), (ends, ends), "{served:?} {}", sent.escape_ascii());
        }
    }

    /// Those that come before the client closes.
    fn incoming(bytes: &[u8]) -> Incoming {
        Incoming::new(Box::new(io::Cursor::new(bytes.to_vec())))
    }

    fn refusal(read: Result<Option<Value>, SessionError>) -> Option<Malformed> {
        if let Err(SessionError::Decode(DecodeError::Malformed(why))) = read { Some(why) } else { None }
    }

    #[tokio::test]
    async fn requests_are_bounded() {
        // Text of `len` bytes, with its marker.
        let text = |len: usize| [&b"\xda"[..], &((len - 3) as u16).to_be_bytes(), &vec![b'x'; len - 3]].concat();
        let (longest, too_long) = (text(MESSAGE_LEN_MAX), text(MESSAGE_LEN_MAX + 1));
        assert_eq!(longest.len(), 64 << 10);
        // What comes behind it counts for itself.
        let mut two = incoming(&longest.repeat(2));
        for _ in 0..2 {
            assert_eq!(two.read().await.unwrap(), Some(Value::text(&longest[3..])));
        }
        assert_eq!(refusal(incoming(&too_long).read().await), Some(Malformed::TooLong));
        // The length that is announced is enough to tell.
        assert!(matches!(incoming(&longest[..3]).read().await, Err(SessionError::Io(_))));
        assert_eq!(refusal(incoming(&too_long[..3]).read().await), Some(Malformed::TooLong));

        let nested = |depth: usize| [&vec![0x91; depth][..], b"\xc0"].concat();
        assert!(incoming(&nested(16)).read().await.is_ok());
        assert_eq!(refusal(incoming(&nested(17)).read().await), Some(Malformed::TooDeep));
    }

    #[test]
    fn secrets() {
        assert!(same_secret("", ""));
        assert!(same_secret("sekret", "sekret"));
        assert!(!same_secret("sekreT", "sekret"));
        assert!(!same_secret("sekre", "sekret"));
        assert!(!same_secret("sekret", ""));
    }
}
