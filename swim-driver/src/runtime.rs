//! What the driver needs from an asynchronous runtime.

use core::future::Future;
use core::net::SocketAddr;
use std::io;
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};

/// A runtime: sockets, a timer, tasks and name resolution. Nothing in it knows of the protocol.
///
/// `resolve` may be called from anywhere; the other methods are called from [`Cluster::start`](crate::Cluster::start)
/// and from tasks that `spawn` started.
pub trait Runtime: Sized + Send + Sync + 'static {
    /// A datagram socket.
    type Udp: Udp;
    /// A listening socket.
    type Listener: Listener<Stream = Self::Stream>;
    /// A connection. Closing its write half tells the other side that there is no more to come; dropping it closes it.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The runtime that the caller runs on.
    ///
    /// # Errors
    ///
    /// When it runs on none.
    fn current() -> io::Result<Self>;

    /// Takes over a bound, non-blocking socket.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch it.
    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Self::Udp>;

    /// Takes over a listening, non-blocking socket.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch it.
    fn listener(&self, listener: std::net::TcpListener) -> io::Result<Self::Listener>;

    /// Dials, for as long as the operating system tries. Dropping the future gives up.
    fn connect(&self, peer: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Resolves at `deadline` or soon after, at once if that has passed.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send;

    /// Runs `task` to its end, unless the runtime itself ends before.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// The addresses of a host name, each with `port`, in the order in which they should be tried.
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// A non-blocking datagram socket.
///
/// The two `try_` methods ask the operating system each time, not a remembered readiness: the driver reads once more
/// before it handles a deadline, and an ack that waits in the kernel must be found then even if the runtime has not
/// noticed it yet.
pub trait Udp: Send + Sync + 'static {
    /// Resolves when a datagram may be there.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Resolves when there may be room to send.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Takes the next datagram; [`WouldBlock`](io::ErrorKind::WouldBlock) when there is none.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Sends one datagram; [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize>;
}

/// A listening socket.
pub trait Listener: Send + 'static {
    /// What it accepts.
    type Stream;

    /// The next connection, and who dialled. Dropping the future loses no connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}
