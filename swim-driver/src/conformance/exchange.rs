//! Full state exchanges that take more than one read and one write.

use core::time::Duration;
use std::collections::BTreeSet;

use swim_core::Event;
use swim_core::node::input::ExchangeError;

use crate::conformance::Harness;
use crate::conformance::plain::PlainListener;
use crate::conformance::support::*;
use crate::join::SeedError;
use crate::runtime::Listener as _;

/// User events that one member remembers.
const EVENTS: usize = 500;
/// Longest payload, in bytes.
const PAYLOAD: usize = 1100;

/// A member that has more than half a megabyte to say to whoever joins.
async fn talkative<H: Harness>(name: &str) -> (ClusterOn<H>, BTreeSet<Vec<u8>>) {
    let mut long = options(name);
    long.config.swim.stream_timeout = Duration::from_secs(10);
    long.config.serf.user_event_size_limit = PAYLOAD + 100;
    let cluster = start_with(long).await;
    let mut noise = Noise(0x5eed_0004);
    let payloads: BTreeSet<_> = (0..EVENTS).map(|_| noise.bytes(PAYLOAD)).collect();
    for payload in &payloads {
        cluster.user_event(b"news", Some(payload), false).expect("it is within the limit");
    }
    (cluster, payloads)
}

pub(super) async fn a_state_of_many_reads_is_exchanged<H: Harness>() {
    let (a, payloads) = talkative::<H>("a").await;
    let b = start::<H>("b").await;
    let mut events = b.events();
    let joined = within("join", b.join_with(&[address(&a)], true)).await.expect("a is there");
    assert_eq!(joined.reached, 1);
    let received = b.stats().stream_bytes_received;
    assert!(received > (EVENTS * PAYLOAD) as u64, "{received} bytes");

    let mut heard = BTreeSet::new();
    within("all the news", async {
        while heard.len() < payloads.len() {
            if let Event::User { payload: Some(payload), .. } = events.next().await.expect("b goes on") {
                assert!(heard.insert(payload.to_vec()), "each is heard once");
            }
        }
    })
    .await;
    assert!(heard == payloads);
    reaches(&a, b"b").await;
}

/// The one that does not read fails by itself; meanwhile the member talks to others.
pub(super) async fn a_peer_that_stops_reading_stops_nobody<H: Harness>() {
    let (a, _) = talkative::<H>("a").await;
    let b = start::<H>("b").await;
    let mut deaf = PlainListener::bind(loopback());
    let seed = deaf.address().to_string();
    let joining = aside::<H::Runtime, _>({
        let a = a.clone();
        async move { a.join(&[seed]).await }
    });
    let (mut stream, _) = within("a dials", deaf.accept()).await.expect("a connection");
    join(&b, &a).await;
    reaches(&a, b"b").await;

    let error = within("the join ends", joining).await.expect_err("no answer");
    assert_eq!(error.failed[0].error, SeedError::Exchange(ExchangeError::TimedOut));
    until_closed(&mut stream).await;
    reaches(&b, b"a").await;
}
