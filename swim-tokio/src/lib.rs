//! Cluster membership, failure detection and cluster-wide messages on tokio.
//!
//! [`Cluster`] is a running member. It needs a runtime, of either flavour, with I/O and time enabled
//! (`#[tokio::main]` does that). Only what writes a snapshot or a trace is a thread of its own.
//!
//! ```no_run
//! use swim_tokio::swim_core::Event;
//! use swim_tokio::{Cluster, Options};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut options = Options::lan("web-1", "0.0.0.0:7946".parse()?);
//!     options.config.tags.insert("role", "web");
//!     let cluster = Cluster::start(options).await?;
//!     let mut events = cluster.events();
//!
//!     let joined = cluster.join(&["seed.example.net", "10.0.0.7:7946"]).await?;
//!     println!("joined by {} of the seeds", joined.reached);
//!     for member in cluster.members() {
//!         println!("{} at {} is {}", member.name, member.address, member.status);
//!     }
//!
//!     loop {
//!         tokio::select! {
//!             event = events.next() => match event {
//!                 Some(Event::Member { kind, member }) => println!("{}: {}", kind.as_str(), member.name),
//!                 Some(_) => {}
//!                 None => break,
//!             },
//!             _ = tokio::time::sleep(std::time::Duration::from_secs(60)) => break,
//!         }
//!     }
//!     cluster.leave().await?;
//!     cluster.shutdown().await;
//!     Ok(())
//! }
//! ```

use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs as _;
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};
use swim_driver::{Listener, Runtime, Udp};
use tokio::io::ReadBuf;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub use swim_driver::swim_core;
pub use swim_driver::{
    AnswerError, AskError, EVENTS_MAX, Events, IoStats, JoinError, JoinErrorKind, Joined, KeyReport, KeyText,
    KeysError, LeaveError, MESSAGE_BYTES_MAX, MessageError, Options, PingError, QueryAnswer, SeedError, SeedFailure,
    SetTagsError, StartError, TraceOptions, UserEventError,
};

/// A running member of a cluster, on tokio; see [`swim_driver::Cluster`].
pub type Cluster = swim_driver::Cluster<Tokio>;

/// The answers to a query, as they come; see [`swim_driver::Answers`].
pub type Answers = swim_driver::Answers<Tokio>;

/// The encryption keys of the whole cluster; see [`swim_driver::Keys`].
pub type Keys<'a> = swim_driver::Keys<'a, Tokio>;

/// The tokio runtime that a cluster was started on, for code that is generic over [`Runtime`].
#[derive(Clone, Debug)]
pub struct Tokio(Handle);

impl Runtime for Tokio {
    type Udp = Datagrams;
    type Listener = Connections;
    type Stream = Stream;

    fn current() -> io::Result<Self> {
        Handle::try_current().map(Self).map_err(io::Error::other)
    }

    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Datagrams> {
        let watched = UdpSocket::from_std(socket.try_clone()?)?;
        Ok(Datagrams { socket, watched })
    }

    fn listener(&self, listener: std::net::TcpListener) -> io::Result<Connections> {
        TcpListener::from_std(listener).map(Connections)
    }

    async fn connect(&self, peer: SocketAddr) -> io::Result<Stream> {
        Stream::new(TcpStream::connect(peer).await?)
    }

    async fn sleep_until(&self, deadline: Instant) {
        let sleep = {
            // The caller may be on no runtime, or on another one.
            let _context = self.0.enter();
            tokio::time::sleep_until(deadline.into())
        };
        sleep.await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        // Not `tokio::net::lookup_host`: that one wants to be called on the runtime.
        let host = host.to_owned();
        self.aside(move || (host, port).to_socket_addrs().map(Iterator::collect)).await?
    }
}

impl Tokio {
    /// Does `work` on a thread that may block. Work whose turn has not come when the future is dropped is not done: who
    /// gives up waiting for a resolver must not leave the queue of those threads longer.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let mut tasks = JoinSet::new();
        tasks.spawn_blocking_on(work, &self.0);
        let done = tasks.join_next().await.expect("a task has just been spawned");
        done.map_err(io::Error::other)
    }
}

/// A datagram socket.
///
/// Two handles of one socket. Tokio's remembers readiness, and says that there is nothing before it has been told
/// otherwise: after a suspended process wakes, that can be later than its timers. So the plain one is asked first, and
/// tokio's only to make it take note that there is nothing left.
#[derive(Debug)]
pub struct Datagrams {
    socket: std::net::UdpSocket,
    watched: UdpSocket,
}

impl Udp for Datagrams {
    async fn readable(&self) -> io::Result<()> {
        self.watched.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.watched.writable().await
    }

    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.socket.recv_from(buf) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.watched.try_recv_from(buf),
            received => received,
        }
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        match self.socket.send_to(datagram, to) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.watched.try_send_to(datagram, to),
            sent => sent,
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct Connections(TcpListener);

impl Listener for Connections {
    type Stream = Stream;

    async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, from) = self.0.accept().await?;
        Ok((Stream::new(stream)?, from))
    }
}

/// A connection.
#[derive(Debug)]
pub struct Stream(TcpStream);

impl Stream {
    fn new(stream: TcpStream) -> io::Result<Self> {
        // Each side waits for what the other writes; holding back the last bytes only costs time.
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.0), cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.0), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.0), cx)
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use futures_lite::future::poll_once;
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn work_that_nobody_waits_for_is_not_begun() {
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let tokio = Tokio(runtime.handle().clone());
        let (go_on, told) = channel::<()>();
        let begun = Arc::new(AtomicBool::new(false));
        runtime.block_on(async {
            let mut first = pin!(tokio.aside(move || told.recv()));
            assert!(poll_once(&mut first).await.is_none());
            let begins = Arc::clone(&begun);
            {
                let given_up = pin!(tokio.aside(move || begins.store(true, Ordering::Relaxed)));
                assert!(poll_once(given_up).await.is_none());
            }
            drop(go_on);
            assert!(first.await.unwrap().is_err());
            // The one thread does what it is given in order.
            tokio.aside(|| ()).await.unwrap();
        });
        assert!(!begun.load(Ordering::Relaxed));
    }
}
