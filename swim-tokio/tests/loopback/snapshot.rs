//! A member that comes back after a restart, with nobody to tell it where to.

use std::fs;
use std::path::PathBuf;

use swim_tokio::swim_core::serf::member::Status;
use swim_tokio::{Cluster, Options, StartError};

use crate::support::*;

/// A path that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("swim-snapshot-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).expect("the file is there")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn remembering(file: &Scratch, rejoin_after_leave: bool) -> Options {
    Options { snapshot: Some(file.0.clone()), rejoin_after_leave, ..options("b") }
}

/// Starts `b` with the snapshot again, where it was before, and waits until it has met `a`.
async fn comes_back(b: &Cluster, file: &Scratch, rejoin_after_leave: bool, a: &Cluster) -> Cluster {
    let mut events = a.events();
    released(b.bound_address()).await;
    let b = start_with(Options { bind: b.bound_address(), ..remembering(file, rejoin_after_leave) }).await;
    eventually("b knows a", || status(&b, "a") == Some(Status::Alive)).await;
    until("a knows b", &mut events, || {
        a.member(b"b").is_some_and(|member| member.status == Status::Alive && member.address == b.advertised_address())
    })
    .await;
    b
}

#[tokio::test]
async fn back_after_a_stop() {
    let (file, a) = (Scratch::new("stop"), start("a").await);
    let b = start_with(remembering(&file, false)).await;
    join(&b, &a).await;
    let own = format!("alive: b {}\n", b.advertised_address());
    within("shutdown", b.shutdown()).await;
    let text = file.text();
    assert!(text.contains(&own), "{text}");
    assert!(text.contains(&format!("alive: a {}\n", a.advertised_address())), "{text}");
    let b = comes_back(&b, &file, false, &a).await;
    within("shutdown", b.shutdown()).await;
    within("shutdown", a.shutdown()).await;
}

#[tokio::test]
async fn a_leave_is_on_the_disk_and_is_respected() {
    let (file, a) = (Scratch::new("leave"), start("a").await);
    let b = start_with(remembering(&file, false)).await;
    join(&b, &a).await;
    within("leave", b.leave()).await.expect("it goes");
    assert!(file.text().lines().any(|line| line == "leave"), "before anybody is told that it has left");
    within("shutdown", b.shutdown()).await;

    let b = start_with(remembering(&file, false)).await;
    assert_eq!((b.members().len(), b.stats().push_pulls_started), (1, 0), "it has left, and stays where it is");
    within("shutdown", b.shutdown()).await;
    within("shutdown", a.shutdown()).await;
}

#[tokio::test]
async fn back_after_a_leave_if_told_so() {
    let (file, a) = (Scratch::new("rejoin"), start("a").await);
    let b = start_with(remembering(&file, true)).await;
    join(&b, &a).await;
    within("leave", b.leave()).await.expect("it goes");
    within("shutdown", b.shutdown()).await;
    let b = comes_back(&b, &file, true, &a).await;
    within("shutdown", b.shutdown()).await;
    within("shutdown", a.shutdown()).await;
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_opened_is_named() {
    let directory = std::env::temp_dir();
    let options = Options { snapshot: Some(directory.clone()), ..options("b") };
    let error = within("start", Cluster::start(options)).await.expect_err("a directory is no file");
    assert!(matches!(&error, StartError::Snapshot(path, _) if *path == directory), "{error}");
}
