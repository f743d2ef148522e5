//! Cluster membership, failure detection and cluster-wide messages on async-std.
//!
//! async-std is discontinued in favour of smol. This crate is for programs that run on it already; new ones take
//! `swim-smol`, whose API is the same.
//!
//! [`Cluster`] is a running member. It lives on async-std's global executor ([`async_std::task::spawn`]), whose threads
//! are started with the first task. So a cluster can be started from anywhere, and goes on while nobody looks.
//!
//! ```no_run
//! use swim_asyncstd::swim_core::Event;
//! use swim_asyncstd::{Cluster, Options};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     async_std::task::block_on(async {
//!         let mut options = Options::lan("web-1", "0.0.0.0:7946".parse()?);
//!         options.config.tags.insert("role", "web");
//!         let cluster = Cluster::start(options).await?;
//!         let mut events = cluster.events();
//!
//!         let joined = cluster.join(&["seed.example.net", "10.0.0.7:7946"]).await?;
//!         println!("joined by {} of the seeds", joined.reached);
//!         for member in cluster.members() {
//!             println!("{} at {} is {}", member.name, member.address, member.status);
//!         }
//!
//!         let watch = async {
//!             while let Some(event) = events.next().await {
//!                 if let Event::Member { kind, member } = event {
//!                     println!("{}: {}", kind.as_str(), member.name);
//!                 }
//!             }
//!         };
//!         // For a minute.
//!         let _ = async_std::future::timeout(std::time::Duration::from_secs(60), watch).await;
//!         cluster.leave().await?;
//!         cluster.shutdown().await;
//!         Ok(())
//!     })
//! }
//! ```

use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::net::Shutdown;
use std::time::Instant;

// The reactor below async-std. Async-std's own datagram sockets cannot be waited for without receiving, and its
// conversions from std's sockets panic where these return an error.
use async_io::{Async, Timer};
use async_std::net::ToSocketAddrs as _;
use futures_io::{AsyncRead, AsyncWrite};
use swim_driver::{Listener, Runtime, Udp};

pub use swim_driver::swim_core;
pub use swim_driver::{
    AnswerError, AskError, EVENTS_MAX, Events, IoStats, JoinError, JoinErrorKind, Joined, KeyReport, KeyText,
    KeysError, LeaveError, MESSAGE_BYTES_MAX, MessageError, Options, PingError, QueryAnswer, SeedError, SeedFailure,
    SetTagsError, StartError, TraceOptions, UserEventError,
};

/// A running member of a cluster, on async-std; see [`swim_driver::Cluster`].
pub type Cluster = swim_driver::Cluster<AsyncStd>;

/// The answers to a query, as they come; see [`swim_driver::Answers`].
pub type Answers = swim_driver::Answers<AsyncStd>;

/// The encryption keys of the whole cluster; see [`swim_driver::Keys`].
pub type Keys<'a> = swim_driver::Keys<'a, AsyncStd>;

/// Async-std's global executor and the reactor below it, which are there for everybody.
#[derive(Clone, Copy, Debug)]
pub struct AsyncStd(());

impl Runtime for AsyncStd {
    type Udp = Datagrams;
    type Listener = Connections;
    type Stream = Stream;

    fn current() -> io::Result<Self> {
        Ok(Self(()))
    }

    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Datagrams> {
        Async::new_nonblocking(socket).map(Datagrams)
    }

    fn listener(&self, listener: std::net::TcpListener) -> io::Result<Connections> {
        Async::new_nonblocking(listener).map(Connections)
    }

    async fn connect(&self, peer: SocketAddr) -> io::Result<Stream> {
        Stream::new(Async::<std::net::TcpStream>::connect(peer).await?)
    }

    async fn sleep_until(&self, deadline: Instant) {
        Timer::at(deadline).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Dropping the handle lets it run.
        drop(async_std::task::spawn(task));
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (host, port).to_socket_addrs().await.map(Iterator::collect)
    }
}

/// A datagram socket. It remembers no readiness: who waits is told by the operating system.
#[derive(Debug)]
pub struct Datagrams(Async<std::net::UdpSocket>);

impl Udp for Datagrams {
    async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }

    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.get_ref().recv_from(buf)
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.0.get_ref().send_to(datagram, to)
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct Connections(Async<std::net::TcpListener>);

impl Listener for Connections {
    type Stream = Stream;

    async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, from) = self.0.accept().await?;
        Ok((Stream::new(stream)?, from))
    }
}

/// A connection.
#[derive(Debug)]
pub struct Stream(Async<std::net::TcpStream>);

impl Stream {
    fn new(stream: Async<std::net::TcpStream>) -> io::Result<Self> {
        // Each side waits for what the other writes; holding back the last bytes only costs time.
        stream.get_ref().set_nodelay(true)?;
        Ok(Self(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Not the stream's own `poll_close`, which only flushes: the other side would wait for ever.
        Poll::Ready(self.0.get_ref().shutdown(Shutdown::Write))
    }
}
