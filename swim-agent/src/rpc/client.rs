//! The other end of an RPC connection, as the commands use it. Blocking: a command asks one thing and ends.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

use swim_tokio::swim_core::serf::coordinate::Coordinate;

use crate::io_text::io_text;
use crate::rpc::listener::unix_path;
use crate::rpc::messages::{DecodeError, Fields, KeyReply, Member, RequestHeader, ResponseHeader, text, text_map};
use crate::rpc::msgpack::{Framer, Value};

/// What a connected client reads and writes; a trait so that tests need no socket.
pub(crate) struct Client<S> {
    stream: S,
    input: Vec<u8>,
    framer: Framer,
    seq: u64,
    /// Of what this connection has started and goes on by itself.
    started: Vec<u64>,
    /// Records that came before the reply that was waited for.
    records: VecDeque<(u64, Value)>,
}

/// A connection of either kind.
pub(crate) trait Stream: Read + Write + Send {
    /// Limits how long a read waits; none limits nothing.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }
}

impl Stream for socket2::Socket {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }
}

impl Stream for Box<dyn Stream> {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_read_timeout(timeout)
    }
}

impl Client<Box<dyn Stream>> {
    /// Connects to the agent at `address` (`host:port` or `unix:path`), shakes hands, and authenticates if `auth` is not
    /// empty.
    pub(crate) fn connect(address: &str, auth: &str) -> Result<Self, ClientError> {
        let stream: Box<dyn Stream> = match unix_path(address) {
            Some(path) => Box::new(dial_unix(path)?),
            None => {
                let stream = dial(address)?;
                stream.set_write_timeout(Some(TIMEOUT)).map_err(|_| ClientError::Closed)?;
                Box::new(stream)
            }
        };
        let mut client = Self::new(stream);
        client.request("handshake", Some(Value::map([("Version", Value::from(i64::from(super::VERSION)))])))?;
        if !auth.is_empty() {
            client.request("auth", Some(Value::map([("AuthKey", Value::text(auth))])))?;
        }
        Ok(client)
    }
}

impl<S: Stream> Client<S> {
    /// From now on, a reply that is so long in coming fails with [`ClientError::TimedOut`]. For views that go on and must
    /// notice when the agent has stopped; a command that asks one thing waits as long as the agent works.
    pub(crate) fn set_patience(&self, patience: Duration) -> Result<(), ClientError> {
        // Of no time at all, the system would make no limit.
        let patience = Some(patience.max(Duration::from_millis(1)));
        self.stream.set_read_timeout(patience).map_err(|_| ClientError::Closed)
    }

    /// The next record of anything that was started, if one comes within `time`; the rest of one that has begun may take
    /// `patience`, as every reply thereafter.
    pub(crate) fn record_within(
        &mut self,
        time: Duration,
        patience: Duration,
    ) -> Result<Option<(u64, Value)>, ClientError> {
        let deadline = Instant::now() + time;
        while self.records.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.set_patience(left)?;
            let header = self.read();
            self.set_patience(patience)?;
            match header {
                // What has come of it is kept, and read on next time.
                Err(ClientError::TimedOut) => return Ok(None),
                Err(error) => return Err(error),
                Ok(header) => self.sort(ResponseHeader::decode(header)?, self.seq)?,
            };
        }
        Ok(self.records.pop_front())
    }
}

impl<S: Read + Write> Client<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            input: Vec::new(),
            framer: Framer::new(REPLY_LEN_MAX),
            seq: 0,
            started: Vec::new(),
            records: VecDeque::new(),
        }
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

    /// Tells everybody something.
    pub(crate) fn event(&mut self, name: &str, payload: Option<&str>, coalesce: bool) -> Result<(), ClientError> {
        let body =
            [("Name", Value::text(name)), ("Payload", optional_bytes(payload)), ("Coalesce", Value::Bool(coalesce))];
        self.request("event", Some(Value::map(body)))
    }

    /// Makes a failed member leave; with `prune`, it is forgotten as well.
    pub(crate) fn force_leave(&mut self, node: &str, prune: bool) -> Result<(), ClientError> {
        self.request("force-leave", Some(Value::map([("Node", Value::text(node)), ("Prune", Value::Bool(prune))])))
    }

    /// Sets and deletes tags of the agent.
    pub(crate) fn tags(&mut self, set: &BTreeMap<String, String>, delete: &[String]) -> Result<(), ClientError> {
        let set = Value::map(set.iter().map(|(key, value)| (key, Value::text(value))));
        let delete = Value::List(delete.iter().map(Value::text).collect());
        self.request("tags", Some(Value::map([("Tags", set), ("DeleteTags", delete)])))
    }

    /// Lists (without a key) or changes the keys of all members; `command` is one of the protocol's. What the members
    /// say comes with success and with failure, whose text is the second part.
    pub(crate) fn keys(&mut self, command: &str, key: Option<&str>) -> Result<(KeyReply, String), ClientError> {
        let outcome = self.request(command, key.map(|key| Value::map([("Key", Value::text(key))])));
        let error = match outcome {
            Ok(()) => String::new(),
            // The members' answers follow, except after the errors of an agent that does not listen to us.
            Err(ClientError::Refused(text)) if !text.ends_with("required") => text,
            Err(error) => return Err(error),
        };
        Ok((KeyReply::decode(self.read()?)?, error))
    }

    /// Where a member is in the space of round trips, if the agent knows.
    pub(crate) fn coordinate(&mut self, node: &str) -> Result<Option<Coordinate>, ClientError> {
        self.request("get-coordinate", Some(Value::map([("Node", Value::text(node))])))?;
        let mut reply = Fields::new(self.read()?, &["Coord", "Ok"])?;
        Ok(if reply.flag("Ok")? { Some(coordinate(reply.value("Coord"))?) } else { None })
    }

    /// Asks the members something. The answers are records.
    pub(crate) fn query(&mut self, question: &Question<'_>) -> Result<(), ClientError> {
        let tags = question.tags.iter().map(|(key, expression)| (key, Value::text(expression)));
        let timeout = i64::try_from(question.timeout.as_nanos()).unwrap_or(i64::MAX);
        let body = [
            ("FilterNodes", Value::List(question.nodes.iter().map(Value::text).collect())),
            ("FilterTags", Value::map(tags)),
            ("RequestAck", Value::Bool(question.request_ack)),
            ("RelayFactor", Value::Unsigned(question.relay_factor.into())),
            ("Timeout", timeout.into()),
            ("Name", Value::text(question.name)),
            ("Payload", optional_bytes(question.payload)),
        ];
        self.start("query", Value::map(body)).map(drop)
    }

    /// Waits for the next answer to the query; `None`: the time is up.
    ///
    /// When a query ends, HashiCorp's agent may send answers of nobody for a moment: it reads from closed channels. They
    /// are left out.
    pub(crate) fn answer(&mut self) -> Result<Option<Answer>, ClientError> {
        loop {
            let (_, body) = self.record()?;
            let mut fields = Fields::new(body, &["Type", "From", "Payload"])?;
            let (kind, from) = (fields.text("Type")?, fields.text("From")?);
            let payload = match kind.as_str() {
                "ack" => None,
                "response" => Some(fields.bytes("Payload")?),
                _ => return Ok(None),
            };
            if !from.is_empty() {
                return Ok(Some(Answer { from, payload }));
            }
        }
    }

    /// Starts a stream of the events that `filter` names; the number of its records.
    pub(crate) fn stream(&mut self, filter: &str) -> Result<u64, ClientError> {
        self.start("stream", Value::map([("Type", Value::text(filter))]))
    }

    /// Starts a stream of log lines; the number of its records.
    pub(crate) fn monitor(&mut self, level: &str) -> Result<u64, ClientError> {
        self.start("monitor", Value::map([("LogLevel", Value::text(level))]))
    }

    /// The next record of anything that was started, and its number.
    pub(crate) fn record(&mut self) -> Result<(u64, Value), ClientError> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Ok(record);
            }
            self.reply()?;
        }
    }

    fn start(&mut self, command: &str, body: Value) -> Result<u64, ClientError> {
        let seq = self.seq;
        self.started.push(seq);
        self.request(command, Some(body))?;
        Ok(seq)
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
            let Some(reply) = self.reply_to(header.seq)? else { continue };
            return if reply.error.is_empty() { Ok(()) } else { Err(ClientError::Refused(reply.error)) };
        }
    }

    /// Reads a header. If it is that of a record, the record as well.
    fn reply_to(&mut self, seq: u64) -> Result<Option<ResponseHeader>, ClientError> {
        let reply = ResponseHeader::decode(self.read()?)?;
        self.sort(reply, seq)
    }

    /// Gives back the header that was waited for; if it is that of a record, keeps the record.
    fn sort(&mut self, header: ResponseHeader, seq: u64) -> Result<Option<ResponseHeader>, ClientError> {
        if header.seq == seq {
            return Ok(Some(header));
        }
        if self.started.contains(&header.seq) {
            let body = self.read()?;
            if self.records.len() == RECORDS_MAX {
                // Nobody asks for so long and reads none of them but an agent that never replies.
                self.records.pop_front();
            }
            self.records.push_back((header.seq, body));
        }
        Ok(None)
    }

    /// Reads what comes unasked.
    fn reply(&mut self) -> Result<(), ClientError> {
        // No request has the number that would come next.
        self.reply_to(self.seq).map(drop)
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
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(ClientError::TimedOut);
                }
                Ok(0) | Err(_) => return Err(ClientError::Closed),
                Ok(len) => self.input.extend_from_slice(&chunk[..len]),
            }
        }
    }
}

fn optional_bytes(text: Option<&str>) -> Value {
    text.map_or(Value::Nil, |text| Value::Bytes(text.as_bytes().to_vec()))
}

fn coordinate(value: Value) -> Result<Coordinate, ClientError> {
    let mut fields = Fields::new(value, &["Adjustment", "Error", "Height", "Vec"])?;
    let vec = fields.list("Vec")?.iter().map(|value| number(value, "Vec")).collect::<Result<Vec<_>, _>>()?;
    let mut part = |name| number(&fields.value(name), name);
    let (adjustment, error, height) = (part("Adjustment")?, part("Error")?, part("Height")?);
    Ok(Coordinate::from_parts(&vec, error, adjustment, height).map_err(|_| DecodeError::Field("Coord"))?)
}

fn number(value: &Value, name: &'static str) -> Result<f64, DecodeError> {
    if let Value::Float(number) = value { Ok(*number) } else { Err(DecodeError::Field(name)) }
}

/// A query as a person puts it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question<'a> {
    pub(crate) name: &'a str,
    pub(crate) payload: Option<&'a str>,
    pub(crate) nodes: &'a [String],
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) request_ack: bool,
    pub(crate) relay_factor: u8,
    /// Zero: what the agent thinks fit.
    pub(crate) timeout: Duration,
}

/// What a member says to a query: that it has heard it, or its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) from: String,
    pub(crate) payload: Option<Vec<u8>>,
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

#[cfg(unix)]
fn dial_unix(path: &str) -> Result<socket2::Socket, ClientError> {
    let dial = || {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        // Also that of connecting, which waits for an agent that has too many clients before it.
        socket.set_write_timeout(Some(TIMEOUT))?;
        socket.connect(&socket2::SockAddr::unix(path)?)?;
        Ok(socket)
    };
    dial().map_err(|error: io::Error| ClientError::Dial(format!("dial unix {path}: connect: {}", io_text(&error))))
}

#[cfg(not(unix))]
fn dial_unix(path: &str) -> Result<TcpStream, ClientError> {
    Err(ClientError::Dial(format!("dial unix {path}: this system has no Unix sockets (use host:port)")))
}

/// How long connecting and each write may take. Reads may take as long as the agent works.
const TIMEOUT: Duration = Duration::from_secs(10);
const READ_LEN: usize = 16 << 10;
/// Records that are kept while a reply is waited for.
const RECORDS_MAX: usize = 4096;
/// Longest reply, in bytes: a million members.
const REPLY_LEN_MAX: usize = 512 << 20;

/// Why the agent did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientError {
    /// It could not be reached.
    Dial(String),
    /// It closed the connection.
    Closed,
    /// It did not answer in the time that it was given.
    TimedOut,
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
            Self::TimedOut => f.write_str("i/o timeout"),
            Self::Decode(error) => write!(f, "unexpected answer: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::rpc::msgpack::Malformed;

    /// A client, and the agent's end of its connection.
    fn connected() -> (Client<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Client::new(stream), listener.accept().unwrap().0)
    }

    fn header(seq: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        ResponseHeader { error: String::new(), seq }.encode(&mut bytes);
        bytes
    }

    fn record(seq: u64, number: u64) -> Vec<u8> {
        let mut bytes = header(seq);
        Value::Unsigned(number).encode(&mut bytes);
        bytes
    }

    const SOON: Duration = Duration::from_millis(250);

    /// A record may come in pieces: one whose header has begun is waited for next time, one whose header is there now.
    #[test]
    fn a_record_is_waited_for_no_longer_than_told() {
        let (mut client, mut agent) = connected();
        agent.write_all(&header(0)).unwrap();
        assert_eq!(client.stream("*"), Ok(0));
        assert_eq!(client.record_within(SOON, TIMEOUT), Ok(None));
        assert_eq!(client.record_within(Duration::ZERO, TIMEOUT), Ok(None));

        let record = record(0, 7);
        agent.write_all(&record[..3]).unwrap();
        assert_eq!(client.record_within(SOON, TIMEOUT), Ok(None));
        agent.write_all(&record[3..record.len() - 1]).unwrap();
        let rest = record[record.len() - 1];
        // The body is not there yet, and is given more time than there was for the record to come.
        let writer = thread::spawn(move || {
            thread::sleep(SOON * 4);
            agent.write_all(&[rest]).unwrap();
        });
        assert_eq!(client.record_within(SOON, TIMEOUT), Ok(Some((0, Value::Unsigned(7)))));
        writer.join().unwrap();
        assert_eq!(client.record_within(TIMEOUT, TIMEOUT), Err(ClientError::Closed));
    }

    #[test]
    fn an_agent_that_does_not_answer_is_left() {
        let (mut client, mut agent) = connected();
        client.set_patience(SOON).unwrap();
        assert_eq!(client.leave(), Err(ClientError::TimedOut));
        // Neither may a record stay unfinished.
        agent.write_all(&header(1)).unwrap();
        assert_eq!(client.stream("*"), Ok(1));
        agent.write_all(&header(1)).unwrap();
        assert_eq!(client.record_within(TIMEOUT, SOON), Err(ClientError::TimedOut));
    }

    #[test]
    fn replies_are_bounded() {
        let client = |bytes: &[u8]| Client::new(io::Cursor::new(bytes.to_vec()));
        // The marker of so much text that with it there are `len` bytes.
        let text = |len: usize| [&b"\xdb"[..], &(len as u32 - 5).to_be_bytes()].concat();
        assert_eq!(REPLY_LEN_MAX, 512 << 20);
        let mut longest = client(&text(REPLY_LEN_MAX));
        assert_eq!(longest.read(), Err(ClientError::Closed), "it waits for the rest");
        assert!(longest.input.capacity() <= READ_LEN, "memory follows what is really there");
        let mut too_long = client(&text(REPLY_LEN_MAX + 1));
        assert_eq!(too_long.read(), Err(DecodeError::Malformed(Malformed::TooLong).into()));
        assert!(too_long.input.capacity() <= READ_LEN);

        let nested = |depth: usize| [&vec![0x91; depth][..], b"\xc0"].concat();
        assert!(client(&nested(16)).read().is_ok());
        assert_eq!(client(&nested(17)).read(), Err(DecodeError::Malformed(Malformed::TooDeep).into()));
    }

    /// Records that come before a reply are kept, the latest of them.
    #[test]
    fn records_that_wait_are_bounded() {
        let (mut client, mut agent) = connected();
        let count = RECORDS_MAX as u64 + 1;
        let writer = thread::spawn(move || {
            agent.write_all(&header(0)).unwrap();
            for number in 0..count {
                agent.write_all(&record(0, number)).unwrap();
            }
            agent.write_all(&header(1)).unwrap();
            agent
        });
        assert_eq!(client.stream("*"), Ok(0));
        assert_eq!(client.leave(), Ok(()));
        let kept: Vec<_> = core::iter::from_fn(|| client.record_within(Duration::ZERO, TIMEOUT).unwrap()).collect();
        assert_eq!(kept.len(), RECORDS_MAX);
        assert_eq!(kept[0], (0, Value::Unsigned(1)));
        drop(writer.join().unwrap());
    }
}
