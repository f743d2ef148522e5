//! Where to join: addresses, names, and those that lead nowhere.

use core::time::Duration;

use swim_core::node::input::{ExchangeError, StreamFailure};
use swim_core::serf::member::Status;

use crate::cluster::Cluster;
use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::conformance::watched::{HANGS, Watched};
use crate::join::{JoinErrorKind, SeedError};

/// A host name may have addresses that nobody listens on; one that answers is enough.
pub(super) async fn joining_by_host_name<H: Harness>() {
    let (_a, seed): (ClusterOn<H>, _) = start_at_localhost(options("a")).await;
    let b = start::<H>("b").await;
    let joined = within("join", b.join(&[format!("a/{seed}")])).await.expect("localhost is 127.0.0.1");
    assert_eq!(joined.reached, 1);
    assert!(joined.failed.is_empty(), "{:?}", joined.failed);
    assert_eq!(status(&b, "a"), Some(Status::Alive));
}

pub(super) async fn every_seed_that_fails_says_why<H: Harness>() {
    let mut patient = options("b");
    // What the machine's resolver says is wanted, not that it took long to say it.
    patient.config.swim.stream_timeout = DEADLINE;
    let (a, b): (ClusterOn<H>, ClusterOn<H>) = (start::<H>("a").await, start_with(patient).await);
    let nobody = Closed::new();
    let closed = nobody.address();
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

/// A resolver that does not answer is given up, and the seeds beside it count.
pub(super) async fn a_name_that_hangs_costs_a_bounded_time<H: Harness>() {
    let a = start::<H>("a").await;
    let mut impatient = options("b");
    impatient.config.swim.stream_timeout = Duration::from_secs(6);
    let b: Cluster<Watched<H::Runtime>> = start_with(impatient).await;
    let error = within("join", b.join(&[HANGS])).await.expect_err("nobody knows the name");
    assert_eq!(error.kind, JoinErrorKind::NoSeed);
    assert_eq!(error.failed[0].error, SeedError::Resolve("no answer within 6s".into()));

    let joined = within("join", b.join(&[HANGS, &address(&a)])).await.expect("a is there");
    assert_eq!((joined.reached, joined.failed.len()), (1, 1));
    assert_eq!(joined.failed[0].seed, HANGS);
    reaches(&b, b"a").await;
}

pub(super) async fn stopping_while_a_name_hangs<H: Harness>() {
    let mut patient = options("b");
    patient.config.swim.stream_timeout = DEADLINE * 2;
    let b: Cluster<Watched<H::Runtime>> = start_with(patient).await;
    let joining = aside::<H::Runtime, _>({
        let b = b.clone();
        async move { b.join(&[HANGS]).await }
    });
    within("shutdown", b.shutdown()).await;
    let error = within("the join ends", joining).await.expect_err("it was stopped");
    assert_eq!(error.kind, JoinErrorKind::Stopped);
    assert_eq!(error.failed[0].error, SeedError::Stopped);
}
