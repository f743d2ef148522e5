//! Starting, stopping, and who waits meanwhile.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;

use swim_tokio::swim_core::node::trace::Replay;
use swim_tokio::swim_core::serf::member::Status;
use swim_tokio::swim_core::serf::tags::Tags;
use swim_tokio::swim_core::wire::keyring::Keyring;
use swim_tokio::swim_core::{Event, Member};
use swim_tokio::{Cluster, EVENTS_MAX, JoinErrorKind, LeaveError, PingError, SeedError, SetTagsError, StartError};

use crate::support::*;

/// Polls once and drops: how a `select!` or a timeout gives up.
async fn give_up<T>(work: impl Future<Output = T>) {
    let mut work = pin!(work);
    poll_fn(|cx| {
        assert!(work.as_mut().poll(cx).is_pending(), "it was to be given up");
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let tcp = TcpListener::bind(loopback()).expect("a free port");
    let address = tcp.local_addr().expect("bound");
    let mut taken = options("a");
    taken.bind = address;
    let error = within("start", Cluster::start(taken.clone())).await.expect_err("the port is taken");
    assert!(matches!(error, StartError::Bind { transport: "TCP", address: a, .. } if a == address), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");

    // A port that is free for datagrams may be somebody else's stream; then the next one.
    for _ in 0..10 {
        let udp = UdpSocket::bind(loopback()).expect("a free port");
        taken.bind = udp.local_addr().expect("bound");
        let error = within("start", Cluster::start(taken.clone())).await.expect_err("the port is taken");
        if matches!(error, StartError::Bind { transport: "UDP", .. }) {
            return;
        }
    }
    panic!("UDP was never to blame");
}

#[tokio::test]
async fn a_bad_configuration_is_refused() {
    let error = within("start", Cluster::start(options(""))).await.expect_err("a name is needed");
    assert!(matches!(error, StartError::Config(_)), "{error}");
}

#[test]
fn a_runtime_is_needed() {
    let start = pin!(Cluster::start(options("a")));
    let polled = start.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(StartError::Runtime(_)))), "{polled:?}");
}

/// Whatever is going on, shutdown ends it: commands, events, and the sockets.
#[tokio::test]
async fn shutdown_while_busy() {
    let (a, b) = pair().await;
    let silent = tokio::net::TcpListener::bind(loopback()).await.expect("a free port");
    let silent_address = silent.local_addr().expect("bound").to_string();
    let mut events = b.events();
    let joining = tokio::spawn({
        let b = b.clone();
        async move { b.join(&[silent_address]).await }
    });
    let waiting = tokio::spawn({
        let b = b.clone();
        async move { b.stopped().await }
    });
    let (connection, _) = within("b dials", silent.accept()).await.expect("a connection");
    within("shutdown", b.shutdown()).await;

    let error = within("the join ends", joining).await.expect("no panic").expect_err("no answer came");
    assert_eq!(error.kind, JoinErrorKind::Stopped);
    assert_eq!(error.failed[0].error, SeedError::Stopped);
    within("stopped", waiting).await.expect("no panic");
    within("events end", async { while events.next().await.is_some() {} }).await;
    let mut byte = [0];
    within("the stream is closed", async {
        loop {
            connection.readable().await.expect("open here");
            match connection.try_read(&mut byte) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    })
    .await;
    // Not `released`: shutdown has promised it already.
    UdpSocket::bind(b.bound_address()).expect("closed");
    TcpListener::bind(b.bound_address()).expect("closed");

    assert_eq!(b.members().len(), 2);
    assert_eq!(within("ping", b.ping(b"a")).await, Err(PingError::Stopped));
    assert_eq!(within("leave", b.leave()).await, Err(LeaveError::Stopped));
    assert_eq!(within("set_tags", b.set_tags(Tags::default())).await, Err(SetTagsError::Stopped));
    let error = within("join", b.join(&[address(&a)])).await.expect_err("it has stopped");
    assert_eq!(error.kind, JoinErrorKind::Stopped);
    assert_eq!(within("events", b.events().next()).await, None);
    within("shutdown again", b.shutdown()).await;
}

#[tokio::test]
async fn restarting_on_the_same_port() {
    let (a, b) = pair().await;
    let mut again = options("a");
    again.bind = a.bound_address();
    let mut events = b.events();
    within("shutdown", a.shutdown()).await;
    let a = start_with(again).await;
    assert_eq!(a.members().len(), 1);
    join(&a, &b).await;
    assert_eq!(status(&a, "b"), Some(Status::Alive));
    until("b sees a", &mut events, || status(&b, "a") == Some(Status::Alive)).await;
}

/// Events, and futures that were given up, do not keep a cluster; a clone does.
#[tokio::test]
async fn the_last_handle_stops_everything() {
    let (a, b) = pair().await;
    let (bound, clone, mut events) = (b.bound_address(), b.clone(), b.events());
    give_up(b.stopped()).await;
    drop(b);
    within("a clone is enough", a.ping(b"b")).await.expect("b is there");
    drop(clone);
    within("events end", async { while events.next().await.is_some() {} }).await;
    released(bound).await;
}

/// Whoever gives up waiting leaves nothing behind that would disturb the next.
#[tokio::test]
async fn giving_up_is_safe() {
    let (a, b) = pair().await;
    let seed = [address(&b)];
    for _ in 0..10 {
        give_up(a.join(&seed)).await;
        give_up(a.ping(b"b")).await;
        give_up(a.set_tags([("n", "1")].into_iter().collect())).await;
        give_up(a.events().next()).await;
    }
    within("ping", a.ping(b"b")).await.expect("b is there");
    within("set_tags", a.set_tags([("n", "2")].into_iter().collect())).await.expect("b hears it");
    join(&a, &b).await;
    give_up(a.leave()).await;
    let mut events = b.events();
    until("a leaves all the same", &mut events, || status(&b, "a") == Some(Status::Left)).await;
}

/// A consumer that does not read loses the newest events and is told how many; nobody else notices.
#[tokio::test]
async fn a_slow_consumer_misses_events_and_nothing_else() {
    let a = start("a").await;
    let (mut slow, mut quick) = (a.events(), a.events());
    let mut updates = 0;
    for n in 0..EVENTS_MAX + 100 {
        // Alone, the news has spread at once.
        let tags = [("n", n.to_string())].into_iter().collect();
        within("set_tags", a.set_tags(tags)).await.expect("they fit");
        updates += u64::from(matches!(within("update", quick.next()).await, Some(Event::Member { .. })));
    }
    let b = start("b").await;
    join(&b, &a).await;
    until("a sees b", &mut quick, || status(&a, "b") == Some(Status::Alive)).await;
    within("ping", a.ping(b"b")).await.expect("b is there");
    assert_eq!(updates, EVENTS_MAX as u64 + 100);

    let (mut seen, mut missed) = (0, 0);
    within("the notice", async {
        while missed == 0 {
            if let Event::Missed { count } = slow.next().await.expect("a goes on") {
                missed += count;
            } else {
                seen += 1;
            }
        }
    })
    .await;
    assert_eq!(seen, EVENTS_MAX as u64);
    assert!(missed > 100, "the updates and the join: {missed}");
    within("leave", b.leave()).await.expect("a hears it");
    until("the slow one hears of it", &mut slow, || status(&a, "b") == Some(Status::Left)).await;
}

/// A node that was kept from running reads first and judges then: the ack that saves the other lies in its own socket.
#[test]
fn a_stalled_node_accuses_nobody() {
    let others = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let b = others.block_on(async {
        let way = tokio::net::UdpSocket::bind(loopback()).await.expect("a free port");
        let mut far_away = options("b");
        far_away.advertise = Some(way.local_addr().expect("bound"));
        let b = start_with(far_away).await;
        tokio::spawn(slow_way(way, b.bound_address()));
        b
    });
    let own = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    own.block_on(async {
        let mut patient = options("a");
        patient.config.swim.probe_interval = Duration::from_millis(500);
        patient.config.swim.probe_timeout = Duration::from_millis(400);
        let a = start_with(patient).await;
        join(&a, &b).await;
        for _ in 0..3 {
            let probes = a.stats().probes;
            eventually("a probe is on its way", || a.stats().probes > probes).await;
            // The only thread of this runtime: meanwhile the ack arrives, and then the deadline passes.
            std::thread::sleep(Duration::from_millis(800));
        }
        let probes = a.stats().probes;
        eventually("the last one is judged", || a.stats().probes > probes + 1).await;
        assert_eq!(a.stats().suspicions, 0);
        assert_eq!(status(&a, "b"), Some(Status::Alive));
    });
}

/// Carries datagrams to `end` and back to whoever sent the last one, each after a while.
async fn slow_way(way: tokio::net::UdpSocket, end: SocketAddr) {
    let way = Arc::new(way);
    let mut sender = end;
    let mut buf = [0; 65_535];
    while let Ok((len, from)) = way.recv_from(&mut buf).await {
        let to = if from == end {
            sender
        } else {
            sender = from;
            end
        };
        let (way, datagram) = (way.clone(), buf[..len].to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            way.send_to(&datagram, to).await
        });
    }
}

/// The runtime ends first: handles stay usable, and say that it is over.
#[test]
fn the_end_of_the_runtime_is_an_end() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let first = runtime();
    let (cluster, mut events) = first.block_on(async {
        let cluster = start("a").await;
        let events = cluster.events();
        (cluster, events)
    });
    drop(first);
    runtime().block_on(async {
        within("stopped", cluster.stopped()).await;
        within("events end", async { while events.next().await.is_some() {} }).await;
        assert_eq!(within("leave", cluster.leave()).await, Err(LeaveError::Stopped));
        released(cluster.bound_address()).await;
    });
    assert_eq!(cluster.members().len(), 1);
}

#[tokio::test]
async fn a_trace_is_written_and_can_be_replayed() {
    let path = std::env::temp_dir().join(format!("swim-tokio-trace-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let mut traced = options("a");
    traced.trace = Some(path.clone());
    let (a, b) = (start_with(traced.clone()).await, start("b").await);
    join(&a, &b).await;
    within("ping", b.ping(b"a")).await.expect("a is there");
    within("set_tags", a.set_tags([("n", "1")].into_iter().collect())).await.expect("they fit");
    within("shutdown", a.shutdown()).await;
    let written = std::fs::metadata(&path).expect("there is a trace");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&written.permissions()) & 0o777, 0o600);

    let trace = std::fs::read(&path).expect("it is ours");
    let mut replay = Replay::new(&trace, Keyring::default(), None).expect("whole");
    assert!(replay.run().expect("the same again") > 5);
    assert_eq!(replay.node().members().map(Member::to_info).collect::<Vec<_>>(), a.members());

    let error = within("start", Cluster::start(traced)).await.expect_err("a trace is not overwritten");
    assert!(matches!(error, StartError::Trace(..)), "{error}");
    std::fs::remove_file(&path).expect("ours");
}
