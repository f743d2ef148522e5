//! A runtime without runtime: a thread per task, and sockets that are looked at every millisecond.
//!
//! The other side of the tests runs on it, so that neither a defect nor a stall of the runtime under test is on both
//! sides at once. Its futures can be polled anywhere. For use between addresses of this machine: it dials and resolves
//! where it is called, and holds that up.

use core::net::SocketAddr;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, ToSocketAddrs as _};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::{Listener, Runtime, Udp};
use crate::shared::lock;

/// The runtime.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Runtime for Plain {
    type Udp = PlainUdp;
    type Listener = PlainListener;
    type Stream = PlainStream;

    fn current() -> io::Result<Self> {
        Ok(Self)
    }

    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<PlainUdp> {
        Ok(PlainUdp(socket))
    }

    fn listener(&self, listener: std::net::TcpListener) -> io::Result<PlainListener> {
        Ok(PlainListener(listener))
    }

    async fn connect(&self, peer: SocketAddr) -> io::Result<PlainStream> {
        PlainStream::new(std::net::TcpStream::connect(peer)?)
    }

    async fn sleep_until(&self, deadline: Instant) {
        Sleep::until(deadline).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let thread = std::thread::Builder::new().name("plain-task".into());
        thread.spawn(|| futures_lite::future::block_on(task)).expect("there is room for a few threads");
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (host, port).to_socket_addrs().map(Iterator::collect)
    }
}

/// A datagram socket.
#[derive(Debug)]
pub struct PlainUdp(std::net::UdpSocket);

impl Udp for PlainUdp {
    async fn readable(&self) -> io::Result<()> {
        Sleep::nap().await;
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        Sleep::nap().await;
        Ok(())
    }

    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(buf)
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.0.send_to(datagram, to)
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct PlainListener(std::net::TcpListener);

impl PlainListener {
    /// Listens on a free port.
    pub(crate) fn bind(address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("any socket can");
        Self(listener)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }
}

impl Listener for PlainListener {
    type Stream = PlainStream;

    async fn accept(&mut self) -> io::Result<(PlainStream, SocketAddr)> {
        loop {
            match self.0.accept() {
                Ok((stream, from)) => return Ok((PlainStream::new(stream)?, from)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Sleep::nap().await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct PlainStream {
    stream: std::net::TcpStream,
    reading: Sleep,
    writing: Sleep,
}

impl PlainStream {
    fn new(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, reading: Sleep::nap(), writing: Sleep::nap() })
    }

    /// Our side's.
    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("connected")
    }
}

/// What `done` says; if there was nothing to be done, it is worth asking again when `nap` is over.
fn later<T>(done: io::Result<T>, nap: &mut Sleep, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            *nap = Sleep::nap();
            if Pin::new(nap).poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }
        done => Poll::Ready(done),
    }
}

impl AsyncRead for PlainStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let Self { stream, reading, .. } = &mut *self;
        later(stream.read(buf), reading, cx)
    }
}

impl AsyncWrite for PlainStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, writing, .. } = &mut *self;
        later(stream.write(buf), writing, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}

/// Resolves at a time, woken by a thread that does nothing else.
#[derive(Debug)]
pub(crate) struct Sleep {
    at: Instant,
    id: u64,
}

impl Sleep {
    pub(crate) fn until(at: Instant) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Self { at, id: IDS.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn nap() -> Self {
        Self::until(Instant::now() + NAP)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let alarms = Alarms::get();
        // Dropped when the lock is free: a waker may hold a task, and the task a sleep.
        let _old = lock(&alarms.waiting).insert((self.at, self.id), cx.waker().clone());
        alarms.changed.notify_one();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let _old = lock(&Alarms::get().waiting).remove(&(self.at, self.id));
    }
}

/// Who is to be woken when.
#[derive(Default)]
struct Alarms {
    waiting: Mutex<BTreeMap<(Instant, u64), Waker>>,
    changed: Condvar,
}

impl Alarms {
    fn get() -> &'static Self {
        static ALARMS: OnceLock<Alarms> = OnceLock::new();
        static THREAD: OnceLock<()> = OnceLock::new();
        let alarms = ALARMS.get_or_init(Self::default);
        THREAD.get_or_init(|| {
            let thread = std::thread::Builder::new().name("plain-alarms".into());
            thread.spawn(|| alarms.ring()).expect("there is room for one more thread");
        });
        alarms
    }

    fn ring(&self) {
        let mut waiting = lock(&self.waiting);
        loop {
            let now = Instant::now();
            let next = waiting.first_key_value().map(|((at, _), _)| *at);
            waiting = match next {
                Some(at) if at <= now => {
                    let due = waiting.pop_first();
                    drop(waiting);
                    if let Some((_, waker)) = due {
                        waker.wake();
                    }
                    lock(&self.waiting)
                }
                Some(at) => {
                    let woken = self.changed.wait_timeout(waiting, at - now);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

const NAP: Duration = Duration::from_millis(1);
