//! What the driver needs from an asynchronous runtime.

use core::future::Future;
use core::net::SocketAddr;
use std::io;
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};

/// A runtime: sockets, a timer, tasks and name resolution. Nothing in it knows of the protocol.
///
/// `resolve` and `sleep_until` may be called, and their futures polled, from anywhere; the other methods are called from
/// [`Cluster::start`](crate::Cluster::start) and from tasks that `spawn` started.
///
/// Any runtime will do that has these; here is one made of another, which also counts its tasks:
///
/// ```
/// use core::net::SocketAddr;
/// use core::sync::atomic::{AtomicUsize, Ordering};
/// use std::io;
/// use std::time::Instant;
/// use swim_driver::{Cluster, Options, Runtime};
///
/// struct Counted<R>(R);
///
/// static TASKS: AtomicUsize = AtomicUsize::new(0);
///
/// impl<R: Runtime> Runtime for Counted<R> {
///     type Udp = R::Udp;
///     type Listener = R::Listener;
///     type Stream = R::Stream;
///
///     fn current() -> io::Result<Self> {
///         R::current().map(Self)
///     }
///
///     fn udp(&self, socket: std::net::UdpSocket) -> io::Result<R::Udp> {
///         self.0.udp(socket)
///     }
///
///     fn listener(&self, listener: std::net::TcpListener) -> io::Result<R::Listener> {
///         self.0.listener(listener)
///     }
///
///     async fn connect(&self, peer: SocketAddr) -> io::Result<R::Stream> {
///         self.0.connect(peer).await
///     }
///
///     async fn sleep_until(&self, deadline: Instant) {
///         self.0.sleep_until(deadline).await;
///     }
///
///     fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
///         TASKS.fetch_add(1, Ordering::Relaxed);
///         self.0.spawn(task);
///     }
///
///     async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
///         self.0.resolve(host, port).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::<Counted<swim_tokio::Tokio>>::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
/// assert!(TASKS.load(Ordering::Relaxed) > 0);
/// # cluster.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// An adapter shows that it keeps to all this by passing the tests of the module `conformance`, which is there with the
/// feature of that name.
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
///
/// ```
/// use core::net::SocketAddr;
/// use std::io;
/// use swim_driver::Udp;
///
/// /// Whatever it sends is lost on the way.
/// struct Mute<U>(U);
///
/// impl<U: Udp> Udp for Mute<U> {
///     async fn readable(&self) -> io::Result<()> {
///         self.0.readable().await
///     }
///
///     async fn writable(&self) -> io::Result<()> {
///         self.0.writable().await
///     }
///
///     fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
///         self.0.try_recv_from(buf)
///     }
///
///     fn try_send_to(&self, datagram: &[u8], _to: SocketAddr) -> io::Result<usize> {
///         Ok(datagram.len())
///     }
/// }
/// ```
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
///
/// ```
/// use core::net::{IpAddr, SocketAddr};
/// use std::io;
/// use swim_driver::Listener;
///
/// /// Hangs up on everybody but one host.
/// struct Only<L>(L, IpAddr);
///
/// impl<L: Listener<Stream: Send> + Sync> Listener for Only<L> {
///     type Stream = L::Stream;
///
///     async fn accept(&mut self) -> io::Result<(L::Stream, SocketAddr)> {
///         loop {
///             let (stream, from) = self.0.accept().await?;
///             if from.ip() == self.1 {
///                 return Ok((stream, from));
///             }
///         }
///     }
/// }
/// ```
pub trait Listener: Send + 'static {
    /// What it accepts.
    type Stream;

    /// The next connection, and who dialled. Dropping the future loses no connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}
