//! The other end of an RPC connection, as the commands use it. Blocking: a command asks one thing and ends.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use crate::io_text::io_text;
use crate::rpc::messages::{DecodeError, Fields, Member, RequestHeader, ResponseHeader, text, text_map};
use crate::rpc::msgpack::{Framer, Value};

/// What a connected client reads and writes; a trait so that tests need no socket.
pub(crate) struct Client<S> {
    stream: S,
    input: Vec<u8>,
    framer: Framer,
    seq: u64,
}

impl Client<TcpStream> {
    /// Connects to the agent at `address` (`host:port`), shakes hands, and authenticates if `auth` is not empty.
    pub(crate) fn connect(address: &str, auth: &str) -> Result<Self, ClientError> {
        let stream = dial(address)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(|_| ClientError::Closed)?;
        let mut client = Self::new(stream);
        client.request("handshake", Some(Value::map([("Version", Value::from(i64::from(super::VERSION)))])))?;
        if !auth.is_empty() {
            client.request("auth", Some(Value::map([("AuthKey", Value::text(auth))])))?;
        }
        Ok(client)
    }
}

impl<S: Read + Write> Client<S> {
    fn new(stream: S) -> Self {
        Self { stream, input: Vec::new(), framer: Framer::new(REPLY_LEN_MAX), seq: 0 }
    }

    /// The members that match all of the (anchored) expressions; empty ones for status and name match any.
    pub(crate) fn members_filtered(
        &mut self,
        tags: &BTreeMap<String, String>,
        status: &str,
        name: &str,
    ) -> Result<Vec<Member>, ClientError> {
        let tags = Value::map(tags.iter().map(|(key, value)| (key, Value::text(value))));
        let body = Value::map([("Tags", tags), ("Status", Value::text(status)), ("Name", Value::text(name))]);
        self.request("members-filtered", Some(body))?;
        let members = Fields::new(self.read()?, &["Members"])?.list("Members")?;
        Ok(members.into_iter().map(Member::decode).collect::<Result<_, _>>()?)
    }

    /// How many of the seeds took part.
    pub(crate) fn join(&mut self, seeds: &[String], replay: bool) -> Result<u64, ClientError> {
        let existing = Value::List(seeds.iter().map(Value::text).collect());
        self.request("join", Some(Value::map([("Existing", existing), ("Replay", Value::Bool(replay))])))?;
        Ok(Fields::new(self.read()?, &["Num"])?.unsigned("Num")?)
    }

    /// Returns when the agent has left its cluster.
    pub(crate) fn leave(&mut self) -> Result<(), ClientError> {
        self.request("leave", None)
    }

    /// Groups of settings and gauges.
    pub(crate) fn stats(&mut self) -> Result<BTreeMap<String, BTreeMap<String, String>>, ClientError> {
        self.request("stats", None)?;
        let Value::Map(groups) = self.read()? else { return Err(DecodeError::NotAMap.into()) };
        let group = |(name, group)| Ok((text(name, "stats")?, text_map(group, "stats")?));
        groups.into_iter().map(group).collect()
    }

    /// Sends one command and waits until the agent has accepted it. A body of the reply is still to be read.
    fn request(&mut self, command: &str, body: Option<Value>) -> Result<(), ClientError> {
        let header = RequestHeader { command: command.to_owned(), seq: self.seq };
        self.seq += 1;
        let mut out = Vec::new();
        header.encode(&mut out);
        if let Some(body) = body {
            body.encode(&mut out);
        }
        self.stream.write_all(&out).map_err(|_| ClientError::Closed)?;
        loop {
            let reply = ResponseHeader::decode(self.read()?)?;
            if reply.seq != header.seq {
                continue;
            }
            return if reply.error.is_empty() { Ok(()) } else { Err(ClientError::Refused(reply.error)) };
        }
    }

    fn read(&mut self) -> Result<Value, ClientError> {
        loop {
            if let Some(len) = self.framer.advance(&self.input).map_err(DecodeError::from)? {
                let value = Value::decode(&self.input[..len]).map_err(DecodeError::from)?;
                self.input.drain(..len);
                return Ok(value);
            }
            let mut chunk = [0; READ_LEN];
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return Err(ClientError::Closed),
                Ok(len) => self.input.extend_from_slice(&chunk[..len]),
            }
        }
    }
}

fn dial(address: &str) -> Result<TcpStream, ClientError> {
    let dial = |text: String| ClientError::Dial(text);
    let Some((host, port)) = address.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'))
    else {
        let why = if address.contains(':') { "too many colons" } else { "missing port" };
        return Err(dial(format!("dial tcp: address {address}: {why} in address")));
    };
    if port.parse::<u16>().is_err() {
        let number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let fault = if number { format!("{port}: invalid port") } else { format!("tcp/{port}: unknown port") };
        return Err(dial(format!("dial tcp: address {fault}")));
    }
    // As in Go, no host at all means this one.
    let full = if host.is_empty() { format!("localhost:{port}") } else { address.to_owned() };
    let resolved: Vec<SocketAddr> = full.to_socket_addrs().map_or_else(|_| Vec::new(), Iterator::collect);
    let mut failure = format!("dial tcp: lookup {host}: no such host");
    for candidate in resolved {
        match TcpStream::connect_timeout(&candidate, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                failure = format!("dial tcp {candidate}: i/o timeout");
            }
            Err(error) => failure = format!("dial tcp {candidate}: connect: {}", io_text(&error)),
        }
    }
    Err(dial(failure))
}

/// How long connecting and each write may take. Reads may take as long as the agent works.
const TIMEOUT: Duration = Duration::from_secs(10);
const READ_LEN: usize = 16 << 10;
/// Longest reply, in bytes: a million members.
const REPLY_LEN_MAX: usize = 512 << 20;

/// Why the agent did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientError {
    /// It could not be reached.
    Dial(String),
    /// It closed the connection.
    Closed,
    /// It said so.
    Refused(String),
    /// Its answer makes no sense.
    Decode(DecodeError),
}

impl From<DecodeError> for ClientError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(text) | Self::Refused(text) => f.write_str(text),
            Self::Closed => f.write_str("client closed"),
            Self::Decode(error) => write!(f, "unexpected answer: {error}"),
        }
    }
}
