//! Sockets that fail under the driver, and recover.

use core::net::SocketAddr;
use std::io::ErrorKind;

use swim_core::serf::member::Status;

use crate::cluster::Cluster;
use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::conformance::watched::{Trouble, Watched, watch};

/// Two that know each other, of whom the first has the sockets that can be made to fail, and does not take the others'
/// silence for death meanwhile.
async fn pair_with_trouble<H: Harness>() -> (Cluster<Watched<H::Runtime>>, ClusterOn<H>) {
    let patient = |name| {
        let mut patient = options(name);
        patient.config.swim.suspicion_mult = 100;
        patient
    };
    let (a, b) = (start_with(patient("a")).await, start_with(patient("b")).await);
    meet(&a, &b).await;
    (a, b)
}

async fn as_before<H: Harness>(a: &Cluster<Watched<H::Runtime>>, b: &ClusterOn<H>) {
    watch(a).trouble(|trouble| *trouble = Trouble::default());
    // The first may come while the socket is still left alone.
    within("b is reached again", async { while a.ping(b"b").await.is_err() {} }).await;
    within("a is reached again", async { while b.ping(b"a").await.is_err() {} }).await;
    assert_eq!((status(a, "b"), status(b, "a")), (Some(Status::Alive), Some(Status::Alive)));
    let c = start::<H>("c").await;
    join(&c, a).await;
}

pub(super) async fn a_socket_that_fails_to_receive<H: Harness>() {
    let (a, b) = pair_with_trouble::<H>().await;
    watch(&a).trouble(|trouble| trouble.receiving = Some(ErrorKind::NetworkDown));
    let before = a.io_stats().receive_errors;
    eventually("it is counted and tried again", || a.io_stats().receive_errors >= before + 5).await;
    within("ping", a.ping(b"b")).await.expect_err("a is deaf");
    assert!(a.io_stats().receive_errors < before + 200, "it is left alone for longer and longer");
    as_before::<H>(&a, &b).await;
}

pub(super) async fn a_socket_that_fails_to_send<H: Harness>() {
    let (a, b) = pair_with_trouble::<H>().await;
    watch(&a).trouble(|trouble| trouble.sending = Some(ErrorKind::NetworkUnreachable));
    let before = a.io_stats().send_errors;
    within("ping", a.ping(b"b")).await.expect_err("a is mute");
    assert!(a.io_stats().send_errors > before);
    as_before::<H>(&a, &b).await;
}

pub(super) async fn a_socket_that_fails_to_accept<H: Harness>() {
    let (a, b) = pair_with_trouble::<H>().await;
    watch(&a).trouble(|trouble| trouble.accepting = Some(ErrorKind::OutOfMemory));
    let c = start::<H>("c").await;
    for failures in 1..=3 {
        within("join", c.join(&[address(&a)])).await.expect_err("nobody takes it");
        eventually("it is counted", || a.io_stats().accept_errors >= failures).await;
    }
    reaches(&a, b"b").await;
    as_before::<H>(&a, &b).await;
}

/// On Linux the listening socket can be made to die for real. What is left of the member works.
pub(super) async fn a_listener_that_dies<H: Harness>() {
    let (a, b) = pair_with_trouble::<H>().await;
    let listener = watch(&a).listener().expect("it was kept");
    let dead = socket2::SockRef::from(&listener).shutdown(std::net::Shutdown::Both);
    if dead.is_err() || !cfg!(target_os = "linux") {
        return;
    }
    eventually("it is counted and tried again", || a.io_stats().accept_errors >= 5).await;
    let now = a.io_stats().accept_errors;
    assert!(now < 200, "it is left alone for longer and longer: {now}");
    for _ in 0..10 {
        reaches(&a, b"b").await;
        reaches(&b, b"a").await;
    }
    let at: SocketAddr = a.bound_address();
    within("join", b.join(&[at.to_string()])).await.expect_err("nobody listens");
    within("leave", a.leave()).await.expect("b hears it");
    within("shutdown", a.shutdown()).await;
    drop(listener);
    released(at).await;
}
