//! A runtime around another: it notes what the driver hands to it, and makes trouble when told to.

use core::future::pending;
use core::net::SocketAddr;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};

use crate::cluster::Cluster;
use crate::runtime::{Listener, Runtime, Udp};
use crate::shared::lock;

/// A host name that is never resolved, and never refused either.
pub(super) const HANGS: &str = "hangs.invalid";

/// One cluster's own.
pub(super) struct Watched<R> {
    inner: R,
    watch: Arc<Watch>,
}

/// What is noted, and what is to go wrong.
#[derive(Default)]
pub(super) struct Watch {
    /// Tasks that have been spawned and not dropped.
    tasks: AtomicUsize,
    trouble: Mutex<Trouble>,
    sent: Mutex<Vec<(SocketAddr, Vec<u8>)>>,
    streams: Mutex<Vec<Arc<Mutex<Written>>>>,
    /// A second handle of the listening socket, for a test that wants to do something to it.
    listener: Mutex<Option<std::net::TcpListener>>,
}

/// How sockets fail, as long as it is set.
#[derive(Default)]
pub(super) struct Trouble {
    pub(super) receiving: Option<ErrorKind>,
    pub(super) sending: Option<ErrorKind>,
    pub(super) accepting: Option<ErrorKind>,
    /// Every datagram takes so long to be sent.
    pub(super) slow: Duration,
    /// The driver stops for a while, once, before it would wait, if the question is answered with yes.
    pub(super) stall: Option<(Question, Duration)>,
}

pub(super) type Question = Box<dyn Fn() -> bool + Send>;

/// What was written to one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Who was dialled; `None` when we were.
    pub(super) peer: Option<SocketAddr>,
    pub(super) bytes: Vec<u8>,
    /// Nothing was to follow.
    pub(super) closed: bool,
}

/// What is noted about a member.
pub(super) fn watch<R: Runtime>(cluster: &Cluster<Watched<R>>) -> Arc<Watch> {
    cluster.shared().runtime.watch.clone()
}

impl Watch {
    /// Tasks that are not over.
    pub(super) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Acquire)
    }

    pub(super) fn trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut lock(&self.trouble));
    }

    /// Whether the stall that was asked for has happened.
    pub(super) fn has_stalled(&self) -> bool {
        lock(&self.trouble).stall.is_none()
    }

    /// The datagrams that the socket has taken, in order.
    pub(super) fn sent(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        lock(&self.sent).clone()
    }

    /// How many there are.
    pub(super) fn sent_len(&self) -> usize {
        lock(&self.sent).len()
    }

    /// The streams that there have been, in no order.
    pub(super) fn streams(&self) -> Vec<Written> {
        lock(&self.streams).iter().map(|stream| lock(stream).clone()).collect()
    }

    /// The listening socket. The port is in use until it is dropped.
    pub(super) fn listener(&self) -> Option<std::net::TcpListener> {
        lock(&self.listener).take()
    }

    fn stall(&self) {
        let stall = {
            let mut trouble = lock(&self.trouble);
            match &trouble.stall {
                Some((wanted, _)) if wanted() => trouble.stall.take(),
                Some(_) | None => None,
            }
        };
        if let Some((_, time)) = stall {
            std::thread::sleep(time);
        }
    }

    fn stream<S>(&self, inner: S, peer: Option<SocketAddr>) -> WatchedStream<S> {
        let written = Arc::new(Mutex::new(Written { peer, ..Written::default() }));
        lock(&self.streams).push(written.clone());
        WatchedStream { inner, written }
    }
}

/// Counts a task while it lives.
struct Alive(Arc<Watch>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<R: Runtime> Runtime for Watched<R> {
    type Udp = WatchedUdp<R::Udp>;
    type Listener = WatchedListener<R::Listener>;
    type Stream = WatchedStream<R::Stream>;

    fn current() -> io::Result<Self> {
        Ok(Self { inner: R::current()?, watch: Arc::default() })
    }

    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Self::Udp> {
        Ok(WatchedUdp { inner: self.inner.udp(socket)?, watch: self.watch.clone() })
    }

    fn listener(&self, listener: std::net::TcpListener) -> io::Result<Self::Listener> {
        *lock(&self.watch.listener) = Some(listener.try_clone()?);
        Ok(WatchedListener { inner: self.inner.listener(listener)?, watch: self.watch.clone() })
    }

    async fn connect(&self, peer: SocketAddr) -> io::Result<Self::Stream> {
        Ok(self.watch.stream(self.inner.connect(peer).await?, Some(peer)))
    }

    async fn sleep_until(&self, deadline: Instant) {
        self.inner.sleep_until(deadline).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.watch.tasks.fetch_add(1, Ordering::AcqRel);
        let alive = Alive(self.watch.clone());
        self.inner.spawn(async move {
            let _alive = alive;
            task.await;
        });
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if host == HANGS { pending().await } else { self.inner.resolve(host, port).await }
    }
}

pub(super) struct WatchedUdp<U> {
    inner: U,
    watch: Arc<Watch>,
}

impl<U: Udp> Udp for WatchedUdp<U> {
    async fn readable(&self) -> io::Result<()> {
        self.watch.stall();
        self.inner.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.inner.writable().await
    }

    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let failing = lock(&self.watch.trouble).receiving;
        match failing {
            Some(kind) => Err(kind.into()),
            None => self.inner.try_recv_from(buf),
        }
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        let (failing, slow) = {
            let trouble = lock(&self.watch.trouble);
            (trouble.sending, trouble.slow)
        };
        if let Some(kind) = failing {
            return Err(kind.into());
        }
        std::thread::sleep(slow);
        let sent = self.inner.try_send_to(datagram, to)?;
        lock(&self.watch.sent).push((to, datagram[..sent].to_vec()));
        Ok(sent)
    }
}

pub(super) struct WatchedListener<L> {
    inner: L,
    watch: Arc<Watch>,
}

impl<L: Listener> Listener for WatchedListener<L> {
    type Stream = WatchedStream<L::Stream>;

    async fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, from) = self.inner.accept().await?;
        let failing = lock(&self.watch.trouble).accepting;
        match failing {
            Some(kind) => Err(kind.into()),
            None => Ok((self.watch.stream(stream, None), from)),
        }
    }
}

pub(super) struct WatchedStream<S> {
    inner: S,
    written: Arc<Mutex<Written>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        lock(&self.written).bytes.extend_from_slice(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = ready!(Pin::new(&mut self.inner).poll_close(cx));
        lock(&self.written).closed = closed.is_ok();
        Poll::Ready(closed)
    }
}
