//! Futures that are dropped before they are done.

use core::time::Duration;

use futures_lite::future::zip;
use swim_core::Event;
use swim_core::serf::member::Status;
use swim_core::serf::query::Query;

use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::trace::TraceOptions;

/// Whoever gives up waiting leaves nothing behind that would disturb the next.
pub(super) async fn giving_up_is_safe<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let seed = [address(&b)];
    for _ in 0..10 {
        give_up(a.join(&seed)).await;
        give_up(a.ping(b"b")).await;
        give_up(a.set_tags([("n", "1")].into_iter().collect())).await;
        give_up(a.events().next()).await;
    }
    reaches(&a, b"b").await;
    within("set_tags", a.set_tags([("n", "2")].into_iter().collect())).await.expect("b hears it");
    join(&a, &b).await;
    give_up(a.leave()).await;
    let mut events = b.events();
    until("a leaves all the same", &mut events, || status(&b, "a") == Some(Status::Left)).await;
}

/// Every future, dropped after its first poll, its second, and so on, until it is done.
pub(super) async fn giving_up_anywhere_is_safe<H: Harness>() {
    macro_rules! at_every_await {
        ($what:literal, $future:expr) => {{
            let mut polls = 1;
            while within($what, given_up_after(polls, $future)).await.is_none() {
                polls += 1;
                assert!(polls < 1000, "it ends at some time: {}", $what);
            }
        }};
    }
    let a = start::<H>("a").await;
    let (b, seed): (ClusterOn<H>, _) = start_at_localhost(options("b")).await;
    meet(&b, &a).await;
    let (file, trace) = (Scratch::new::<H>("cancel-snapshot"), Scratch::new::<H>("cancel-trace"));
    at_every_await!("start", {
        let mut whole = options("c");
        (whole.snapshot, whole.trace) = (Some(file.path().to_owned()), Some(TraceOptions::new(trace.path())));
        ClusterOn::<H>::start(whole)
    });
    let by_name = [seed, "no-such-host.invalid".into(), address(&b)];
    at_every_await!("join", a.join(&by_name));
    at_every_await!("join with replay", a.join_with(&[address(&b)], true));
    at_every_await!("ping", a.ping(b"b"));
    at_every_await!("ping nobody", a.ping(b"nobody"));
    at_every_await!("set_tags", a.set_tags([("n", "1")].into_iter().collect()));
    at_every_await!("force_leave", a.force_leave(b"nobody", true));
    let mut events = a.events();
    at_every_await!("events", {
        a.user_event(b"wake", None, false).expect("it is short");
        events.next()
    });
    // No answer is lost to a reader that gives up: both acks come, whoever is polled.
    let query = Query { name: b"q", request_ack: true, timeout: Some(Duration::from_secs(6)), ..Query::default() };
    let mut answers = a.query(query).expect("it is short");
    let mut acks = 0;
    within("the answers", async {
        loop {
            match given_up_after(1, answers.next()).await {
                Some(Some(_)) => acks += 1,
                Some(None) => break,
                None => Duration::from_millis(2).pause().await,
            }
        }
    })
    .await;
    assert_eq!(acks, 2);

    // Both are as they should be.
    reaches(&a, b"b").await;
    reaches(&b, b"a").await;
    let mut heard = b.events();
    a.user_event(b"deploy", None, false).expect("it is short");
    let deploy =
        async { while !matches!(heard.next().await, Some(Event::User { name, .. }) if *name == *b"deploy") {} };
    within("b hears it", deploy).await;
    at_every_await!("leave", a.leave());
    at_every_await!("shutdown", a.shutdown());
    at_every_await!("stopped", a.stopped());
    released(a.bound_address()).await;
    reaches(&b, b"b").await;
}

pub(super) async fn a_goodbye_goes_on_without_the_future<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut events = a.events();
    give_up(b.leave()).await;
    until("a sees b leave", &mut events, || status(&a, "b") == Some(Status::Left)).await;
    // Those who ask again, together, wait for the same goodbye.
    let (first, second) = within("leave", zip(b.leave(), b.leave())).await;
    assert_eq!((first, second), (Ok(()), Ok(())));
}

pub(super) async fn a_shutdown_goes_on_without_the_future<H: Harness>() {
    let a = start::<H>("a").await;
    let _ = given_up_after(1, a.shutdown()).await;
    released(a.bound_address()).await;
    within("stopped", a.stopped()).await;
}
