//! Finding each other, and what is said about members.

use core::time::Duration;

use swim_tokio::swim_core::Event;
use swim_tokio::swim_core::node::input::{CommandError, ExchangeError, StreamFailure};
use swim_tokio::swim_core::serf::config::Life;
use swim_tokio::swim_core::serf::event::MemberEvent;
use swim_tokio::swim_core::serf::member::Status;
use swim_tokio::swim_core::serf::tags::Tags;
use swim_tokio::{Cluster, JoinErrorKind, PingError, SeedError, SetTagsError};
use tokio::net::TcpSocket;

use crate::support::*;

/// Three that join by way of one agree on everybody's address and tags.
async fn three_agree() {
    let mut with_tags = options("a");
    with_tags.config.tags.insert("role", "web");
    let clusters = [start_with(with_tags).await, start("b").await, start("c").await];
    let [a, b, c] = &clusters;
    let mut events = clusters.each_ref().map(Cluster::events);
    join(b, a).await;
    join(c, a).await;

    for (cluster, events) in clusters.iter().zip(&mut events) {
        until("everybody is known", events, || cluster.members().len() == 3).await;
        for other in &clusters {
            let name = other.local().name;
            let member = cluster.member(name.as_bytes()).expect("everybody is known");
            assert_eq!(member.status, Status::Alive);
            assert_eq!(member.address, other.advertised_address());
            assert_eq!(member.tags(), other.tags());
        }
    }
    assert_eq!(b.member(b"a").expect("known").tag("role").as_deref(), Some("web"));
    assert_eq!(b.member(b"nobody"), None);
    assert_eq!(a.summary().members, 3);
    assert_eq!(a.life(), Life::Alive);
    assert_eq!(a.config().advertise, a.bound_address());
}

#[tokio::test]
async fn three_agree_on_one_thread() {
    three_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_agree_on_several_threads() {
    three_agree().await;
}

/// A host name may have addresses that nobody listens on; one that answers is enough.
#[tokio::test]
async fn joining_by_host_name() {
    let (a, b) = (start("a").await, start("b").await);
    let seed = format!("a/localhost:{}", a.bound_address().port());
    let joined = within("join", b.join(&[seed])).await.expect("localhost is 127.0.0.1");
    assert_eq!(joined.reached, 1);
    assert!(joined.failed.is_empty(), "{:?}", joined.failed);
    assert_eq!(status(&b, "a"), Some(Status::Alive));
}

#[tokio::test]
async fn every_seed_that_fails_says_why() {
    let (a, b) = (start("a").await, start("b").await);
    // Bound, so that nobody else gets it, but not listening.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(loopback()).expect("a free port");
    let closed = socket.local_addr().expect("bound");
    let bad = [closed.to_string(), "[::1".into(), "no-such-host.invalid".into()];

    let error = within("join", b.join(&bad)).await.expect_err("nobody is there");
    assert_eq!(error.kind, JoinErrorKind::NoSeed);
    let [refused, syntax, unresolved] = &error.failed[..] else { panic!("{:?}", error.failed) };
    assert_eq!(refused.error, SeedError::Exchange(ExchangeError::Stream(StreamFailure::Refused)));
    assert_eq!((refused.seed.as_str(), refused.address), (bad[0].as_str(), Some(closed)));
    assert!(matches!(syntax.error, SeedError::Syntax(_)), "{syntax:?}");
    assert!(matches!(unresolved.error, SeedError::Resolve(_)), "{unresolved:?}");
    assert_eq!(unresolved.address, None);

    let mixed = [&bad[..2], &[address(&a)]].concat();
    let joined = within("join", b.join(&mixed)).await.expect("one of them is there");
    assert_eq!((joined.reached, joined.failed.len()), (1, 2));

    let joined = within("join", b.join::<&str>(&[])).await.expect("nobody was asked for");
    assert_eq!((joined.reached, joined.failed.len()), (0, 0));
}

#[tokio::test]
async fn tags_reach_the_others() {
    let (a, b) = pair().await;
    let mut events = a.events();
    let tags: Tags = [("role", "db"), ("dc", "east")].into_iter().collect();
    within("set_tags", b.set_tags(tags.clone())).await.expect("they fit");
    assert_eq!(b.tags(), tags);
    until("a sees the tags", &mut events, || a.member(b"b").expect("known").tags() == tags).await;

    let large = [("key", "x".repeat(600))].into_iter().collect();
    let error = within("set_tags", b.set_tags(large)).await.expect_err("they do not fit");
    assert!(matches!(error, SetTagsError::TooLarge(_)), "{error}");
    assert_eq!(b.tags(), tags);
}

#[tokio::test]
async fn pinging() {
    let (a, _b) = pair().await;
    let rtt = within("ping", a.ping(b"b")).await.expect("b is there");
    assert!(rtt > Duration::ZERO && rtt < DEADLINE);
    assert_eq!(within("ping", a.ping(b"nobody")).await, Err(PingError::Command(CommandError::NoMember)));
}

#[tokio::test]
async fn who_says_goodbye_has_left() {
    let (a, b) = pair().await;
    let mut events = a.events();
    within("leave", b.leave()).await.expect("a hears it");
    assert_eq!(b.life(), Life::Left);
    until("a sees b leave", &mut events, || status(&a, "b") == Some(Status::Left)).await;

    let error = within("join", b.join(&[address(&a)])).await.expect_err("there is no way back");
    assert_eq!(error.kind, JoinErrorKind::NotAlive);
    assert_eq!(error.failed[0].error, SeedError::NotAlive);
    within("shutdown", b.shutdown()).await;
    assert_eq!(status(&a, "b"), Some(Status::Left));
}

/// Dropping the handle is a crash as far as the others can see, and they find out.
#[tokio::test]
async fn who_falls_silent_has_failed() {
    let (a, b) = pair().await;
    let mut events = a.events();
    drop(b);
    let failed = within("a notices", async {
        loop {
            if let Event::Member { kind: MemberEvent::Failed, member } = events.next().await.expect("a goes on") {
                break member;
            }
        }
    });
    assert_eq!(failed.await.name, "b");
    assert_eq!(status(&a, "b"), Some(Status::Failed));
}
