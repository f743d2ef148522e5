//! Finding each other, and what is said about members.

use core::time::Duration;

use swim_core::Event;
use swim_core::node::input::CommandError;
use swim_core::serf::config::Life;
use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::Status;
use swim_core::serf::tags::Tags;

use crate::cluster::{Cluster, PingError, SetTagsError};
use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::join::{JoinErrorKind, SeedError};

/// Three that join by way of one agree on everybody's address and tags.
pub(super) async fn three_agree<H: Harness>() {
    let mut with_tags = options("a");
    with_tags.config.tags.insert("role", "web");
    let clusters: [ClusterOn<H>; 3] = [start_with(with_tags).await, start::<H>("b").await, start::<H>("c").await];
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

pub(super) async fn tags_reach_the_others<H: Harness>() {
    let (a, b) = pair::<H>().await;
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

pub(super) async fn pinging<H: Harness>() {
    let (a, _b) = pair::<H>().await;
    let rtt = reaches(&a, b"b").await;
    assert!(rtt > Duration::ZERO && rtt < DEADLINE);
    assert_eq!(within("ping", a.ping(b"nobody")).await, Err(PingError::Command(CommandError::NoMember)));
}

pub(super) async fn who_says_goodbye_has_left<H: Harness>() {
    let (a, b) = pair::<H>().await;
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
pub(super) async fn who_falls_silent_has_failed<H: Harness>() {
    let (a, b) = pair::<H>().await;
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
