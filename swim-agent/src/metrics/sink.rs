//! statsd and statsite: the same lines, the one over UDP, the other over TCP (go-metrics: `statsd.go`, `statsite.go`).
//!
//! ```text
//! serf-agent.serf.member.join:1.000000|c
//! ```
//!
//! Nobody waits for them: lines that cannot be sent in time are dropped.

use core::time::Duration;
use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use crate::io_text::io_text;
use crate::metrics::memory::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Several lines in one datagram.
    Statsd,
    Statsite,
}

/// Lines on their way to a server.
#[derive(Debug)]
pub(crate) struct Sink(Sender<String>);

impl Sink {
    /// Starts the task that sends them. It ends with the sink.
    pub(crate) fn start(transport: Transport, address: String) -> Self {
        let (sink, queue) = Self::new();
        tokio::spawn(run(queue, transport, address, PAUSE));
        sink
    }

    /// The other end is the task's.
    fn new() -> (Self, Receiver<String>) {
        let (lines, queue) = channel(LINES_MAX);
        (Self(lines), queue)
    }

    /// Whether there was room for it.
    pub(crate) fn push(&self, line: String) -> bool {
        self.0.try_send(line).is_ok()
    }
}

/// One measurement.
pub(crate) fn line(kind: Kind, name: &str, value: f64) -> String {
    let kind = match kind {
        Kind::Gauge => "g",
        Kind::Counter => "c",
        Kind::Sample => "ms",
    };
    format!("{name}:{value:.6}|{kind}\n")
}

async fn run(mut lines: Receiver<String>, transport: Transport, address: String, pause: Duration) {
    let max = match transport {
        Transport::Statsd => DATAGRAM_MAX,
        Transport::Statsite => WRITE_MAX,
    };
    let mut connection = None;
    let mut failing = false;
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(line) => line,
            None => match lines.recv().await {
                Some(line) => line,
                None => return,
            },
        };
        let mut batch = first;
        let until = Instant::now() + LINGER;
        while let Ok(Some(line)) = timeout_at(until, lines.recv()).await {
            if batch.len() + line.len() > max {
                next = Some(line);
                break;
            }
            batch += &line;
        }
        match deliver(&mut connection, transport, &address, batch.as_bytes()).await {
            Ok(()) => {
                if core::mem::take(&mut failing) {
                    info!(target: "agent", "Sending metrics to {address} again");
                }
            }
            Err(error) => {
                connection = None;
                // Once, however long it lasts.
                if !core::mem::replace(&mut failing, true) {
                    warn!(target: "agent", "Error sending metrics to {address}: {}", io_text(&error));
                }
                sleep(pause).await;
            }
        }
    }
}

enum Connection {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Connection {
    async fn open(transport: Transport, address: &str) -> io::Result<Self> {
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in lookup_host(address).await? {
            let opened = match transport {
                Transport::Statsd => {
                    let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    let socket = UdpSocket::bind(local).await?;
                    socket.connect(address).await.map(|()| Self::Udp(socket))
                }
                Transport::Statsite => TcpStream::connect(address).await.map(Self::Tcp),
            };
            match opened {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Whether the other side has hung up; nobody ever answers here.
    fn is_closed(&self) -> bool {
        match self {
            Self::Udp(_) => false,
            Self::Tcp(stream) => match stream.try_read(&mut [0; 64]) {
                Ok(len) => len == 0,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            },
        }
    }

    async fn send(&mut self, batch: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(batch).await.map(drop),
            Self::Tcp(stream) => stream.write_all(batch).await,
        }
    }
}

async fn deliver(
    connection: &mut Option<Connection>,
    transport: Transport,
    address: &str,
    batch: &[u8],
) -> io::Result<()> {
    if connection.as_ref().is_some_and(Connection::is_closed) {
        *connection = None;
    }
    let open = match connection {
        Some(open) => open,
        None => connection.insert(timeout(PATIENCE, Connection::open(transport, address)).await??),
    };
    timeout(PATIENCE, open.send(batch)).await?
}

/// Lines that wait; more are dropped (go-metrics: 4096).
const LINES_MAX: usize = 4096;
/// How long a line waits for others to go with it.
const LINGER: Duration = Duration::from_millis(100);
/// Bytes in one datagram: what an Ethernet frame carries, tunnels included.
const DATAGRAM_MAX: usize = 1400;
/// Bytes written at once.
const WRITE_MAX: usize = 16 << 10;
/// How long looking up, connecting or writing may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between a failure and the next attempt.
const PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::metrics::table::Known;
    use crate::metrics::{Metrics, prometheus};

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(20);

    fn start(transport: Transport, address: String) -> Sink {
        let (sink, queue) = Sink::new();
        tokio::spawn(run(queue, transport, address, Duration::from_millis(10)));
        sink
    }

    #[test]
    fn lines_of_statsd() {
        assert_eq!(line(Kind::Counter, "serf-agent.serf.member.join", 1.0), "serf-agent.serf.member.join:1.000000|c\n");
        assert_eq!(line(Kind::Gauge, "a.host.b", 24.0), "a.host.b:24.000000|g\n");
        assert_eq!(line(Kind::Sample, "t", 0.078_247), "t:0.078247|ms\n");
    }

    #[tokio::test]
    async fn datagrams_hold_several_lines_and_not_too_many() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let sink = start(Transport::Statsd, server.local_addr().unwrap().to_string());
        let lines: Vec<_> = (0..100).map(|n| line(Kind::Counter, &format!("a.rather.long.name.{n}"), 1.0)).collect();
        for line in &lines {
            assert!(sink.push(line.clone()));
        }
        let (mut received, mut datagrams) = (String::new(), 0);
        while received.len() < lines.concat().len() {
            let mut datagram = [0; 4096];
            let len = timeout(LONG, server.recv(&mut datagram)).await.unwrap().unwrap();
            assert!(len <= DATAGRAM_MAX, "{len}");
            received += core::str::from_utf8(&datagram[..len]).unwrap();
            assert!(received.ends_with('\n'), "a line was cut");
            datagrams += 1;
        }
        assert_eq!(received, lines.concat());
        assert!(datagrams < 10, "{datagrams}");
    }

    #[tokio::test]
    async fn a_stream_that_was_closed_is_opened_again() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let sink = start(Transport::Statsite, address.to_string());
        for n in 0..2 {
            assert!(sink.push(format!("line {n}\n")));
            let (mut stream, _) = timeout(LONG, server.accept()).await.unwrap().unwrap();
            let mut bytes = [0; 7];
            timeout(LONG, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), format!("line {n}\n"));
        }
        // And when nobody listens for a while.
        drop(server);
        assert!(sink.push("lost\n".into()));
        let server = loop {
            // The port may still be held by the streams that were just closed.
            match TcpListener::bind(address).await {
                Ok(server) => break server,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let accepted = async {
            loop {
                sink.push("again\n".into());
                if let Ok(accepted) = timeout(Duration::from_millis(50), server.accept()).await {
                    return accepted.unwrap().0;
                }
            }
        };
        let mut stream = timeout(LONG, accepted).await.unwrap();
        let mut bytes = [0; 5];
        timeout(LONG, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
        assert!(bytes == *b"again" || bytes == *b"lost\n");
    }

    #[test]
    fn what_does_not_fit_is_dropped() {
        let (sink, queue) = Sink::new();
        let metrics = Metrics::new(None, vec![sink]);
        let dropped = || {
            let text = prometheus::text(&Known::default(), &metrics.with(|measured| measured.own.clone()));
            let line = text.lines().find_map(|line| line.strip_prefix("swim_metric_lines_dropped_total "));
            line.unwrap().to_owned()
        };
        (0..4096).for_each(|_| metrics.record(Kind::Counter, "x", 1.0, 1));
        assert_eq!((queue.len(), &*dropped()), (4096, "0"));
        metrics.record(Kind::Counter, "x", 1.0, 1);
        assert_eq!((queue.len(), &*dropped()), (4096, "1"));
    }
}
