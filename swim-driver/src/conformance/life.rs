//! Starting, stopping, and who waits meanwhile.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::net::{TcpListener, UdpSocket};

use futures_lite::future::block_on;
use swim_core::Event;
use swim_core::serf::member::Status;
use swim_core::serf::tags::Tags;

use crate::cluster::{LeaveError, PingError, SetTagsError};
use crate::conformance::Harness;
use crate::conformance::plain::PlainListener;
use crate::conformance::support::*;
use crate::events::EVENTS_MAX;
use crate::join::{JoinErrorKind, SeedError};
use crate::options::StartError;
use crate::runtime::Listener as _;

pub(super) async fn a_port_in_use_is_named<H: Harness>() {
    let tcp = TcpListener::bind(loopback()).expect("a free port");
    let address = tcp.local_addr().expect("bound");
    let mut taken = options("a");
    taken.bind = address;
    let error = within("start", ClusterOn::<H>::start(taken.clone())).await.expect_err("the port is taken");
    assert!(matches!(error, StartError::Bind { transport: "TCP", address: a, .. } if a == address), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");

    // A port that is free for datagrams may be somebody else's stream; then the next one.
    for _ in 0..10 {
        let udp = UdpSocket::bind(loopback()).expect("a free port");
        taken.bind = udp.local_addr().expect("bound");
        let error = within("start", ClusterOn::<H>::start(taken.clone())).await.expect_err("the port is taken");
        if matches!(error, StartError::Bind { transport: "UDP", .. }) {
            return;
        }
    }
    panic!("UDP was never to blame");
}

pub(super) async fn a_bad_configuration_is_refused<H: Harness>() {
    let error = within("start", ClusterOn::<H>::start(options(""))).await.expect_err("a name is needed");
    assert!(matches!(error, StartError::Config(_)), "{error}");
}

/// A thread that runs on nothing: either it is told so, or it does not matter.
pub(super) async fn where_there_is_no_runtime<H: Harness>() {
    let outside = std::thread::spawn(|| {
        if H::EVERYWHERE {
            block_on(async {
                let (a, b) = pair::<H>().await;
                reaches(&a, b"b").await;
                within("leave", b.leave()).await.expect("a hears it");
                within("shutdown", a.shutdown()).await;
                within("shutdown", b.shutdown()).await;
            });
            return;
        }
        let start = pin!(ClusterOn::<H>::start(options("a")));
        let polled = start.poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(error @ StartError::Runtime(_))) = polled else { panic!("{polled:?}") };
        assert!(error.to_string().starts_with("no runtime: "), "{error}");
    });
    eventually("it is over", || outside.is_finished()).await;
    outside.join().expect("no panic there");
}

/// A cluster lives on its runtime, but whoever has a handle may use it anywhere.
pub(super) async fn a_handle_works_on_any_thread<H: Harness>() {
    let (_a, seed): (ClusterOn<H>, _) = start_at_localhost(options("a")).await;
    let b = start::<H>("b").await;
    let inner = b.clone();
    let outside = std::thread::spawn(move || {
        block_on(async {
            within("join", inner.join(&[seed])).await.expect("a is there");
            reaches(&inner, b"a").await;
            within("set_tags", inner.set_tags([("n", "1")].into_iter().collect())).await.expect("they fit");
            within("leave", inner.leave()).await.expect("a hears it");
            within("shutdown", inner.shutdown()).await;
        });
    });
    eventually("it is over", || outside.is_finished()).await;
    outside.join().expect("no panic there");
    within("b has stopped", b.stopped()).await;
    assert_eq!(within("ping", b.ping(b"a")).await, Err(PingError::Stopped));
}

/// Whatever is going on, shutdown ends it: commands, events, and the sockets.
pub(super) async fn shutdown_while_busy<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut silent = PlainListener::bind(loopback());
    let silent_address = silent.address().to_string();
    let mut events = b.events();
    let joining = aside::<H::Runtime, _>({
        let b = b.clone();
        async move { b.join(&[silent_address]).await }
    });
    let waiting = aside::<H::Runtime, _>({
        let b = b.clone();
        async move { b.stopped().await }
    });
    let (mut connection, _) = within("b dials", silent.accept()).await.expect("a connection");
    within("shutdown", b.shutdown()).await;

    let error = within("the join ends", joining).await.expect_err("no answer came");
    assert_eq!(error.kind, JoinErrorKind::Stopped);
    assert_eq!(error.failed[0].error, SeedError::Stopped);
    within("stopped", waiting).await;
    within("events end", async { while events.next().await.is_some() {} }).await;
    until_closed(&mut connection).await;
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

pub(super) async fn restarting_on_the_same_port<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut again = options("a");
    again.bind = a.bound_address();
    let mut events = b.events();
    within("shutdown", a.shutdown()).await;
    let a: ClusterOn<H> = start_with(again).await;
    assert_eq!(a.members().len(), 1);
    join(&a, &b).await;
    assert_eq!(status(&a, "b"), Some(Status::Alive));
    until("b sees a", &mut events, || status(&b, "a") == Some(Status::Alive)).await;
}

/// Events, and futures that were given up, do not keep a cluster; a clone does.
pub(super) async fn the_last_handle_stops_everything<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let (bound, clone, mut events) = (b.bound_address(), b.clone(), b.events());
    give_up(b.stopped()).await;
    drop(b);
    // A clone is enough.
    reaches(&a, b"b").await;
    drop(clone);
    within("events end", async { while events.next().await.is_some() {} }).await;
    released(bound).await;
}

/// A consumer that does not read loses the newest events and is told how many; nobody else notices.
pub(super) async fn a_slow_consumer_misses_events_and_nothing_else<H: Harness>() {
    let a = start::<H>("a").await;
    let (mut slow, mut quick) = (a.events(), a.events());
    let mut updates = 0;
    for n in 0..EVENTS_MAX + 100 {
        // Alone, the news has spread at once.
        let tags = [("n", n.to_string())].into_iter().collect();
        within("set_tags", a.set_tags(tags)).await.expect("they fit");
        updates += u64::from(matches!(within("update", quick.next()).await, Some(Event::Member { .. })));
    }
    let b = start::<H>("b").await;
    join(&b, &a).await;
    until("a sees b", &mut quick, || status(&a, "b") == Some(Status::Alive)).await;
    reaches(&a, b"b").await;
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
