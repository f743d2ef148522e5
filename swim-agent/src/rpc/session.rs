//! One client's connection: the rules of order (handshake, authentication, then commands one after another) and the
//! commands.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::agent::{Agent, Exit};
use crate::rpc::filter::Filter;
use crate::rpc::messages::{DecodeError, Fields, RequestHeader, ResponseHeader, member_value};
use crate::rpc::msgpack::{Framer, Value};
use crate::rpc::stats::stats;

/// A command, and what it says about the bytes that follow its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Handshake,
    Auth,
    Join,
    Members,
    MembersFiltered,
    Leave,
    Stats,
}

impl Command {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "handshake" => Self::Handshake,
            "auth" => Self::Auth,
            "join" => Self::Join,
            "members" => Self::Members,
            "members-filtered" => Self::MembersFiltered,
            "leave" => Self::Leave,
            "stats" => Self::Stats,
            _ => return None,
        })
    }

    fn has_body(self) -> bool {
        match self {
            Self::Handshake | Self::Auth | Self::Join | Self::MembersFiltered => true,
            Self::Members | Self::Leave | Self::Stats => false,
        }
    }
}

pub(crate) struct Session {
    stream: TcpStream,
    from: SocketAddr,
    agent: Arc<Agent>,
    /// Read, and not yet taken as a value.
    input: Vec<u8>,
    framer: Framer,
    handshaken: bool,
    authenticated: bool,
}

impl Session {
    pub(crate) fn new(stream: TcpStream, from: SocketAddr, agent: Arc<Agent>) -> Self {
        let authenticated = agent.rpc_auth.is_empty();
        let framer = Framer::new(MESSAGE_LEN_MAX);
        Self { stream, from, agent, input: Vec::new(), framer, handshaken: false, authenticated }
    }

    /// Serves the client until it goes, or does what ends a connection.
    pub(crate) async fn run(mut self) {
        let from = self.from;
        loop {
            let header = match self.read().await {
                Ok(None) => return, // It closed between two requests: the ordinary end.
                Ok(Some(value)) => RequestHeader::decode(value).map_err(SessionError::Decode),
                Err(error) => Err(error),
            };
            let header = match header {
                Ok(header) => header,
                Err(SessionError::Io(error)) => return debug!(target: "agent.ipc", "Client {from} is gone: {error}"),
                Err(error) => return error!(target: "agent.ipc", "failed to decode request header: {error}"),
            };
            match self.handle(header).await {
                Ok(After::Continue) => {}
                Ok(After::Close) => return,
                Err(error) => return error!(target: "agent.ipc", "Failed to evaluate request: {error}"),
            }
        }
    }

    async fn handle(&mut self, header: RequestHeader) -> Result<After, SessionError> {
        let seq = header.seq;
        let command = Command::from_name(&header.command);
        if !self.handshaken && command != Some(Command::Handshake) {
            self.reply(seq, HANDSHAKE_REQUIRED, None).await?;
            return Ok(After::Close);
        }
        if !self.authenticated && !matches!(command, Some(Command::Handshake | Command::Auth)) {
            warn!(target: "agent.ipc", "Client sending commands before auth");
            // Serf leaves the body unread, takes it for a header and refuses that as well. Clients expect one answer.
            if command.is_some_and(Command::has_body) {
                self.read_body().await?;
            }
            self.reply(seq, AUTHENTICATION_REQUIRED, None).await?;
            return Ok(After::Continue);
        }
        let Some(command) = command else {
            // Whether a body follows is unknown, so nothing after this could be understood.
            self.reply(seq, UNSUPPORTED_COMMAND, None).await?;
            return Ok(After::Close);
        };
        match command {
            Command::Handshake => self.handshake(seq).await?,
            Command::Auth => self.auth(seq).await?,
            Command::Join => self.join(seq).await?,
            Command::Members => {
                let members = self.agent.cluster.members().iter().map(member_value).collect();
                self.reply(seq, "", Some(Value::map([("Members", Value::List(members))]))).await?;
            }
            Command::MembersFiltered => self.members_filtered(seq).await?,
            Command::Stats => {
                let stats = stats(&self.agent.cluster);
                self.reply(seq, "", Some(stats)).await?;
            }
            Command::Leave => {
                let left = self.agent.leave().await.map_or_else(|error| error.to_string(), |()| String::new());
                let replied = self.reply(seq, &left, None).await;
                // Whether or not the client has waited for the answer.
                self.agent.exit(Exit::Left);
                replied?;
                return Ok(After::Close);
            }
        }
        Ok(After::Continue)
    }

    async fn handshake(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = Fields::new(self.read_body().await?, &["Version"])?;
        let version = body.signed("Version")?;
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

    async fn auth(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = Fields::new(self.read_body().await?, &["AuthKey"])?;
        let error = if same_secret(&body.text("AuthKey")?, &self.agent.rpc_auth) {
            self.authenticated = true;
            ""
        } else {
            "Invalid authentication token"
        };
        self.reply(seq, error, None).await
    }

    async fn join(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = Fields::new(self.read_body().await?, &["Existing", "Replay"])?;
        let (existing, replay) = (body.texts("Existing")?, body.flag("Replay")?);
        let (error, reached) = match self.agent.join(&existing, replay).await {
            Ok(reached) => (String::new(), reached),
            Err(error) => (error, 0),
        };
        self.reply(seq, &error, Some(Value::map([("Num", Value::Unsigned(reached as u64))]))).await
    }

    async fn members_filtered(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = Fields::new(self.read_body().await?, &["Tags", "Status", "Name"])?;
        let filter = Filter::new(body.text_map("Tags")?, &body.text("Status")?, &body.text("Name")?)
            .map_err(|error| SessionError::Filter(Box::new(error)))?;
        let members = self.agent.cluster.members();
        let passing = members
            .iter()
            .filter(|member| filter.matches(member.name.as_bytes(), member.status.as_str(), |key| member.tag(key)));
        let members = Value::List(passing.map(member_value).collect());
        self.reply(seq, "", Some(Value::map([("Members", members)]))).await
    }

    /// Header and body in one write, so that nothing can come between them.
    async fn reply(&mut self, seq: u64, error: &str, body: Option<Value>) -> Result<(), SessionError> {
        let mut out = Vec::new();
        ResponseHeader { error: error.to_owned(), seq }.encode(&mut out);
        if let Some(body) = body {
            body.encode(&mut out);
        }
        // A client that does not read keeps its own session busy for this long, and then loses it.
        timeout(WRITE_TIMEOUT, self.stream.write_all(&out)).await.map_err(io::Error::from)??;
        Ok(())
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

enum After {
    Continue,
    Close,
}

/// Compares without telling by the time it takes where the first difference is.
fn same_secret(given: &str, expected: &str) -> bool {
    given.len() == expected.len() && given.bytes().zip(expected.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

/// Longest request, in bytes. The longest sensible one is a join with thousands of addresses.
const MESSAGE_LEN_MAX: usize = 64 << 10;
/// Bytes taken from the socket at once.
const READ_LEN: usize = 16 << 10;
/// How long a reply may take to be accepted.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

const HANDSHAKE_REQUIRED: &str = "Handshake required";
const AUTHENTICATION_REQUIRED: &str = "Authentication required";
const UNSUPPORTED_COMMAND: &str = "Unsupported command";

/// Why a connection ends without a reply.
#[derive(Debug)]
enum SessionError {
    Io(io::Error),
    Decode(DecodeError),
    Filter(Box<regex::Error>),
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
    use super::*;

    #[test]
    fn secrets() {
        assert!(same_secret("", ""));
        assert!(same_secret("sekret", "sekret"));
        assert!(!same_secret("sekreT", "sekret"));
        assert!(!same_secret("sekre", "sekret"));
        assert!(!same_secret("sekret", ""));
    }
}
