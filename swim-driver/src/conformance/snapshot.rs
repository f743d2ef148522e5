//! A member that comes back after a restart, with nobody to tell it where to.

use swim_core::serf::member::Status;

use crate::cluster::Cluster;
use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::options::{Options, StartError};
use crate::runtime::Runtime;

fn remembering(file: &Scratch, rejoin_after_leave: bool) -> Options {
    Options { snapshot: Some(file.path().to_owned()), rejoin_after_leave, ..options("b") }
}

fn text(file: &Scratch) -> String {
    String::from_utf8(file.bytes()).expect("these names are text")
}

/// Starts `b` with the snapshot again, where it was before, and waits until it has met `a`.
async fn comes_back<R: Runtime>(b: &Cluster<R>, file: &Scratch, rejoin: bool, a: &Cluster<R>) -> Cluster<R> {
    let mut events = a.events();
    released(b.bound_address()).await;
    let b: Cluster<R> = start_with(Options { bind: b.bound_address(), ..remembering(file, rejoin) }).await;
    eventually("b knows a", || status(&b, "a") == Some(Status::Alive)).await;
    until("a knows b", &mut events, || {
        a.member(b"b").is_some_and(|member| member.status == Status::Alive && member.address == b.advertised_address())
    })
    .await;
    b
}

pub(super) async fn back_after_a_stop<H: Harness>() {
    let (file, a) = (Scratch::new::<H>("stop"), start::<H>("a").await);
    let b = start_with(remembering(&file, false)).await;
    join(&b, &a).await;
    let own = format!("alive: b {}\n", b.advertised_address());
    within("shutdown", b.shutdown()).await;
    let text = text(&file);
    assert!(text.contains(&own), "{text}");
    assert!(text.contains(&format!("alive: a {}\n", a.advertised_address())), "{text}");
    let b = comes_back(&b, &file, false, &a).await;
    within("shutdown", b.shutdown()).await;
    within("shutdown", a.shutdown()).await;
}

pub(super) async fn a_leave_is_on_the_disk_and_is_respected<H: Harness>() {
    let (file, a) = (Scratch::new::<H>("leave"), start::<H>("a").await);
    let b: ClusterOn<H> = start_with(remembering(&file, false)).await;
    join(&b, &a).await;
    within("leave", b.leave()).await.expect("it goes");
    assert!(text(&file).lines().any(|line| line == "leave"), "before anybody is told that it has left");
    within("shutdown", b.shutdown()).await;

    let b: ClusterOn<H> = start_with(remembering(&file, false)).await;
    assert_eq!((b.members().len(), b.stats().push_pulls_started), (1, 0), "it has left, and stays where it is");
    within("shutdown", b.shutdown()).await;
    within("shutdown", a.shutdown()).await;
}

pub(super) async fn back_after_a_leave_if_told_so<H: Harness>() {
    let (file, a) = (Scratch::new::<H>("rejoin"), start::<H>("a").await);
    let b = start_with(remembering(&file, true)).await;
    join(&b, &a).await;
    within("leave", b.leave()).await.expect("it goes");
    within("shutdown", b.shutdown()).await;
    let b = comes_back(&b, &file, true, &a).await;
    within("shutdown", b.shutdown()).await;
    within("shutdown", a.shutdown()).await;
}

pub(super) async fn a_snapshot_that_cannot_be_opened_is_named<H: Harness>() {
    let directory = std::env::temp_dir();
    let options = Options { snapshot: Some(directory.clone()), ..options("b") };
    let error = within("start", ClusterOn::<H>::start(options)).await.expect_err("a directory is no file");
    assert!(matches!(&error, StartError::Snapshot(path, _) if *path == directory), "{error}");
}
