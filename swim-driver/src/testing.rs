//! A runtime whose sockets do what a test says, for the troubles that real ones rarely have.

use core::future::pending;
use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_lite::io::Cursor;
use swim_core::Config;
use swim_core::node::trace::Traced;

use crate::runtime::{Listener, Runtime, Udp};
use crate::shared::{Clock, Shared, lock};

/// Does not run anything: tests poll what they look at.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    resolved: Mutex<Vec<String>>,
}

impl Scripted {
    /// The names that were to be resolved so far.
    pub(crate) fn resolved(&self) -> Vec<String> {
        lock(&self.resolved).clone()
    }
}

type Datagram = (Vec<u8>, SocketAddr);

/// A socket that answers from lists, then with "would block".
#[derive(Debug, Default)]
pub(crate) struct ScriptedUdp {
    pub(crate) received: Mutex<VecDeque<io::Result<Datagram>>>,
    /// What becomes of the next datagrams; after that they are sent.
    pub(crate) failures: Mutex<VecDeque<io::ErrorKind>>,
    pub(crate) sent: Mutex<Vec<SocketAddr>>,
}

impl Udp for ScriptedUdp {
    async fn readable(&self) -> io::Result<()> {
        pending().await
    }

    async fn writable(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (datagram, from) =
            lock(&self.received).pop_front().unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))?;
        buf[..datagram.len()].copy_from_slice(&datagram);
        Ok((datagram.len(), from))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        if let Some(kind) = lock(&self.failures).pop_front() {
            return Err(kind.into());
        }
        lock(&self.sent).push(to);
        Ok(datagram.len())
    }
}

/// Accepts from a list, then waits.
#[derive(Debug)]
pub(crate) struct ScriptedListener(pub(crate) VecDeque<io::Result<SocketAddr>>);

impl Listener for ScriptedListener {
    type Stream = Cursor<Vec<u8>>;

    async fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)> {
        match self.0.pop_front() {
            Some(accepted) => accepted.map(|from| (Cursor::new(Vec::new()), from)),
            None => pending().await,
        }
    }
}

impl Runtime for Scripted {
    type Udp = ScriptedUdp;
    type Listener = ScriptedListener;
    type Stream = Cursor<Vec<u8>>;

    fn current() -> io::Result<Self> {
        Ok(Self::default())
    }

    fn udp(&self, _socket: std::net::UdpSocket) -> io::Result<ScriptedUdp> {
        Ok(ScriptedUdp::default())
    }

    fn listener(&self, _listener: std::net::TcpListener) -> io::Result<ScriptedListener> {
        Ok(ScriptedListener(VecDeque::new()))
    }

    async fn connect(&self, _peer: SocketAddr) -> io::Result<Self::Stream> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    async fn sleep_until(&self, deadline: Instant) {
        std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
    }

    fn spawn(&self, _task: impl Future<Output = ()> + Send + 'static) {}

    async fn resolve(&self, host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        lock(&self.resolved).push(host.to_owned());
        Err(io::ErrorKind::NotFound.into())
    }
}

pub(crate) const OWN: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1)), 7946);

/// A node on its own.
pub(crate) fn shared() -> Arc<Shared<Scripted>> {
    let clock = Clock::start();
    let node = Traced::new(Config::lan("a", OWN), [7; 32], clock.now(), None).expect("a good configuration");
    Arc::new(Shared::new(Scripted::default(), clock, node, None, None, OWN, Vec::new()))
}
