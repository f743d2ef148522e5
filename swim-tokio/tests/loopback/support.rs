//! Waiting, with an end.

use core::net::SocketAddr;
use core::time::Duration;

use swim_tokio::swim_core::serf::member::Status;
use swim_tokio::{Cluster, Events, Options};

/// Far more than anything here takes. Reaching it is a failure.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The outcome of something that must happen.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("not within {DEADLINE:?}: {what}"),
    }
}

/// Waits for something that no event tells of.
pub(crate) async fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    within(what, async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Waits for the state that some event leads to. `events` must be older than whatever leads there.
pub(crate) async fn until(what: &str, events: &mut Events, mut reached: impl FnMut() -> bool) {
    within(what, async {
        while !reached() {
            assert!(events.next().await.is_some(), "the cluster stopped before: {what}");
        }
    })
    .await;
}

/// A free port of the loopback interface, for a node that does not dawdle.
pub(crate) fn options(name: &str) -> Options {
    let mut options = Options::local(name, loopback());
    options.config.swim.gossip_interval = Duration::from_millis(20);
    options.config.swim.probe_interval = Duration::from_millis(200);
    options.config.swim.probe_timeout = Duration::from_millis(100);
    options.config.serf.leave_propagate_delay = Duration::from_millis(50);
    options
}

pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

pub(crate) async fn start(name: &str) -> Cluster {
    start_with(options(name)).await
}

pub(crate) async fn start_with(options: Options) -> Cluster {
    within("start", Cluster::start(options)).await.expect("free ports and a good configuration")
}

/// Two members that know each other.
pub(crate) async fn pair() -> (Cluster, Cluster) {
    let (a, b) = (start("a").await, start("b").await);
    join(&b, &a).await;
    let mut events = a.events();
    until("a knows b", &mut events, || status(&a, "b") == Some(Status::Alive)).await;
    (a, b)
}

pub(crate) async fn join(joiner: &Cluster, seed: &Cluster) {
    let joined = within("join", joiner.join(&[address(seed)])).await.expect("the seed is there");
    assert_eq!((joined.reached, joined.failed.len()), (1, 0));
}

pub(crate) fn address(cluster: &Cluster) -> String {
    cluster.bound_address().to_string()
}

pub(crate) fn status(cluster: &Cluster, name: &str) -> Option<Status> {
    cluster.member(name.as_bytes()).map(|member| member.status)
}

/// Waits until both sockets of a cluster have been closed.
pub(crate) async fn released(address: SocketAddr) {
    eventually("the port is free again", || {
        std::net::UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
    })
    .await;
}
