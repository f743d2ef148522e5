//! Waiting, with an end, and members that do not dawdle.
//!
//! The waiting does not rely on the runtime under test.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Poll;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_lite::future::or;
use futures_lite::io::AsyncReadExt as _;
use swim_core::node::input::CommandError;
use swim_core::serf::member::Status;

use crate::cluster::{Cluster, PingError};
use crate::conformance::Harness;
use crate::conformance::plain::{PlainStream, Sleep};
use crate::events::Events;
use crate::options::Options;
use crate::runtime::Runtime;
use crate::shared::{Flag, lock};

/// Far more than anything here takes. Reaching it is a failure.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A member on the runtime under test.
pub type ClusterOn<H> = Cluster<<H as Harness>::Runtime>;

/// The outcome of something that must happen.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let outcome = or(async { Some(work.await) }, async {
        DEADLINE.pause().await;
        None
    });
    outcome.await.unwrap_or_else(|| panic!("not within {DEADLINE:?}: {what}"))
}

/// Waits for something that no event tells of.
pub async fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    within(what, async {
        while !happened() {
            Duration::from_millis(2).pause().await;
        }
    })
    .await;
}

/// Waits for the state that some event leads to. `events` must be older than whatever leads there.
pub async fn until(what: &str, events: &mut Events, mut reached: impl FnMut() -> bool) {
    within(what, async {
        while !reached() {
            assert!(events.next().await.is_some(), "the cluster stopped before: {what}");
        }
    })
    .await;
}

/// Polls once and drops: how a timeout gives up. Where the member runs on another thread, it may have been done already.
pub async fn give_up<T>(work: impl Future<Output = T>) {
    drop(given_up_after(1, work).await);
}

/// Polls so many times, each time after having been woken, and drops; the outcome if that was enough.
pub async fn given_up_after<T>(polls: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    core::future::poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => {
            left = left.saturating_sub(1);
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Starts `work` as a task of the runtime; its outcome, when there is one.
pub fn aside<R: Runtime, T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Aside<T> {
    let outcome = Arc::new((Mutex::new(None), Flag::default()));
    let there = outcome.clone();
    R::current().expect("the tests run on it").spawn(async move {
        let result = work.await;
        *lock(&there.0) = Some(result);
        there.1.raise();
    });
    Box::pin(async move {
        outcome.1.wait().await;
        lock(&outcome.0).take().expect("raised after it has been set")
    })
}

/// What [`aside`] gives.
pub type Aside<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A free port of this machine, for a node that does not dawdle.
pub fn options(name: &str) -> Options {
    let mut options = Options::local(name, loopback());
    options.config.swim.gossip_interval = Duration::from_millis(20);
    options.config.swim.probe_interval = Duration::from_millis(500);
    // Long enough for a machine that has much else to do: who is there has to answer in time.
    options.config.swim.probe_timeout = Duration::from_millis(400);
    options.config.swim.stream_timeout = Duration::from_secs(10);
    // With the preset's two transmissions, both may ride to the same of two others on acks; then nobody else hears a query.
    options.config.swim.retransmit_mult = 8;
    options.config.serf.leave_propagate_delay = Duration::from_millis(50);
    options
}

/// Any free port of an address that nothing else has used: a port that another test has just given back may still be
/// gossiped to. Where there is only one loopback address, of that one.
pub fn loopback() -> SocketAddr {
    static USED: AtomicU32 = AtomicU32::new(0);
    if !cfg!(target_os = "linux") {
        return LOCALHOST;
    }
    // 127.0.0.0/8 has room for the last 14 bits of the process id and 10 bits more.
    let bits = (std::process::id() << 10) | (USED.fetch_add(1, Ordering::Relaxed) & 0x3ff);
    let [_, b, c, d] = bits.to_be_bytes();
    // Not 127.0.0.0, nor a broadcast address.
    ([127, b, c, d.clamp(2, 254)], 0).into()
}

/// What the name `localhost` leads to, any free port.
pub const LOCALHOST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Starts a member that can be joined by name: `localhost` and its port.
pub async fn start_at_localhost<R: Runtime>(mut options: Options) -> (Cluster<R>, String) {
    options.bind = LOCALHOST;
    let cluster = start_with(options).await;
    let seed = format!("localhost:{}", cluster.bound_address().port());
    (cluster, seed)
}

/// Starts a member on the runtime under test.
pub async fn start<H: Harness>(name: &str) -> ClusterOn<H> {
    start_with(options(name)).await
}

/// Starts a member as told.
pub async fn start_with<R: Runtime>(options: Options) -> Cluster<R> {
    within("start", Cluster::start(options)).await.expect("free ports and a good configuration")
}

/// Two members, `a` and `b`, that know each other.
pub async fn pair<H: Harness>() -> (ClusterOn<H>, ClusterOn<H>) {
    let (a, b) = (start::<H>("a").await, start::<H>("b").await);
    meet(&a, &b).await;
    (a, b)
}

/// Makes the second join the first, and waits until the first has heard of it.
pub async fn meet<A: Runtime, B: Runtime>(a: &Cluster<A>, b: &Cluster<B>) {
    let mut events = a.events();
    join(b, a).await;
    let name = b.local().name;
    let known = || a.member(name.as_bytes()).is_some_and(|member| member.status == Status::Alive);
    until("the seed knows who has joined", &mut events, known).await;
}

/// Joins by one seed, which is there.
pub async fn join<A: Runtime, B: Runtime>(joiner: &Cluster<A>, seed: &Cluster<B>) {
    let joined = within("join", joiner.join(&[address(seed)])).await.expect("the seed is there");
    assert_eq!((joined.reached, joined.failed.len()), (1, 0));
}

/// Pings a member that is there until it has answered: a machine that has much else to do may miss the time limit of one.
///
/// # Panics
///
/// When there is another reason than that, or no end.
pub async fn reaches<R: Runtime>(cluster: &Cluster<R>, name: &[u8]) -> Duration {
    within("an answer to a ping", async {
        loop {
            match cluster.ping(name).await {
                Ok(rtt) => return rtt,
                Err(error) => assert_eq!(error, PingError::Command(CommandError::TimedOut)),
            }
        }
    })
    .await
}

/// Where it listens, for [`Cluster::join`].
pub fn address<R: Runtime>(cluster: &Cluster<R>) -> String {
    cluster.bound_address().to_string()
}

/// What a member thinks of another.
pub fn status<R: Runtime>(cluster: &Cluster<R>, name: &str) -> Option<Status> {
    cluster.member(name.as_bytes()).map(|member| member.status)
}

/// Waits until both sockets of a cluster have been closed.
pub async fn released(address: SocketAddr) {
    eventually("the port is free again", || {
        std::net::UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
    })
    .await;
}

/// Reads until the other side has closed, in whatever way.
pub async fn until_closed(stream: &mut PlainStream) {
    let mut buf = vec![0; 16 << 10];
    within("the stream is closed", async { while !matches!(stream.read(&mut buf).await, Ok(0) | Err(_)) {} }).await;
}

/// Waiting for nothing but time.
pub trait Pause {
    /// Resolves after so long.
    fn pause(self) -> impl Future<Output = ()> + Send;
}

impl Pause for Duration {
    async fn pause(self) {
        Sleep::until(Instant::now() + self).await;
    }
}

/// An address that nobody listens on, and that nobody else gets.
#[derive(Debug)]
pub struct Closed(socket2::Socket);

impl Closed {
    /// Takes a free port.
    #[expect(clippy::new_without_default, reason = "it takes something from the system")]
    pub fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&loopback().into()).expect("a free port");
        Self(socket)
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().ok().and_then(|address| address.as_socket()).expect("bound")
    }
}

/// A path for one file that goes with the test.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Nothing is there yet. The names need to differ within one process only.
    pub fn new<H: Harness>(name: &str) -> Self {
        let runtime: String = core::any::type_name::<H>().chars().filter(char::is_ascii_alphanumeric).collect();
        let path = std::env::temp_dir().join(format!("swim-{runtime}-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is in it.
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.0).expect("the file is there")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Repeatable noise (xorshift).
#[derive(Debug)]
pub struct Noise(pub u64);

impl Noise {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// So many bytes, which nothing can compress.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number() as u8).collect()
    }
}
