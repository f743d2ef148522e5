//! Others who do not keep to the protocol.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::UdpSocket;
use std::time::Instant;

use futures_lite::io::{AsyncReadExt as _, AsyncWriteExt as _};
use swim_core::node::input::ExchangeError;
use swim_core::serf::member::Status;

use crate::conformance::Harness;
use crate::conformance::plain::{Plain, PlainListener, PlainStream};
use crate::conformance::support::*;
use crate::join::SeedError;
use crate::runtime::{Listener as _, Runtime as _};

/// Noise, a good part of which begins like something that is understood.
fn deceptive(noise: &mut Noise, len: usize) -> Vec<u8> {
    let mut bytes = noise.bytes(len);
    if let [first, second, ..] = &mut bytes[..] {
        match noise.number() % 4 {
            0 => (*first, *second) = (0xf5, 0x01),
            1 => *first = (noise.number() % 14) as u8,
            2 => *first = 0xf4,
            _ => {}
        }
    }
    bytes
}

async fn dial(address: SocketAddr) -> PlainStream {
    within("dial", Plain.connect(address)).await.expect("somebody listens")
}

pub(super) async fn noise_in_datagrams<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut noise = Noise(0x5eed_0001);
    let socket = UdpSocket::bind(loopback()).expect("a free port");
    for round in 0..20 {
        let before = a.stats().datagrams_received;
        for len in [0, 1, 2, 3, 16, 40, 200, 1400, 9000, 65_507] {
            socket.send_to(&deceptive(&mut noise, len), a.bound_address()).expect("loopback takes it");
        }
        // Some may be lost; but they arrive.
        eventually(&format!("round {round} is seen"), || a.stats().datagrams_received > before).await;
    }
    still_together::<H>(&a, &b).await;
}

pub(super) async fn noise_in_streams<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut noise = Noise(0x5eed_0002);
    for len in [0, 1, 2, 5, 30, 1000, 100_000, 3_000_000] {
        let mut stream = dial(a.bound_address()).await;
        // It may close before it has read everything.
        let _ = within("write", stream.write_all(&deceptive(&mut noise, len))).await;
        let _ = stream.close().await;
        until_closed(&mut stream).await;
    }
    // Also those who come and go without a word.
    for _ in 0..50 {
        drop(dial(a.bound_address()).await);
    }
    still_together::<H>(&a, &b).await;
}

/// Peers that hold a stream open and do nothing cost a stream for a while, and nobody else's place.
pub(super) async fn stalled_dialers<H: Harness>() {
    let mut few = options("a");
    few.config.streams_max = 4;
    few.config.swim.stream_timeout = Duration::from_secs(6);
    let (a, b): (ClusterOn<H>, ClusterOn<H>) = (start_with(few).await, start::<H>("b").await);
    let mut stalled = Vec::new();
    for n in 0..4 {
        let mut stream = dial(a.bound_address()).await;
        // The first byte of a native frame, of which no more will come.
        stream.write_all(&[0xf5][..n % 2]).await.expect("the other side reads");
        stalled.push(stream);
    }
    let refused = a.stats().streams_over_limit;
    let mut one_too_many = dial(a.bound_address()).await;
    until_closed(&mut one_too_many).await;
    eventually("it was counted", || a.stats().streams_over_limit > refused).await;

    for stream in &mut stalled {
        until_closed(stream).await;
    }
    join(&b, &a).await;
    assert_eq!(status(&b, "a"), Some(Status::Alive));
}

/// Who has its answer and does not close has `stream_timeout` for it, and is then cut off.
pub(super) async fn who_was_answered_and_stays_is_cut_off<H: Harness>() {
    let mut impatient = options("a");
    let limit = Duration::from_secs(2);
    impatient.config.swim.stream_timeout = limit;
    let a: ClusterOn<H> = start_with(impatient).await;
    let begin = Instant::now();
    let mut stream = dial(a.bound_address()).await;
    // A sealed frame, for a member without a key: it says that.
    stream.write_all(&[0xf5, 0x11]).await.expect("the other side reads");
    let mut answer = Vec::new();
    within("an answer, and its end", stream.read_to_end(&mut answer)).await.expect("only one half is closed");
    assert!(!answer.is_empty());
    within("it is cut off", async {
        while stream.write_all(&[0]).await.is_ok() {
            Duration::from_millis(20).pause().await;
        }
    })
    .await;
    assert!(begin.elapsed() >= limit, "after {:?}", begin.elapsed());
}

/// A seed that takes the connection and never answers, or closes it at once.
pub(super) async fn seeds_that_do_not_answer<H: Harness>() {
    let mut impatient = options("a");
    impatient.config.swim.stream_timeout = Duration::from_secs(6);
    let a: ClusterOn<H> = start_with(impatient).await;
    let silent = PlainListener::bind(loopback());
    let seed = silent.address().to_string();
    let error = within("join", a.join(&[seed])).await.expect_err("no answer");
    assert_eq!(error.failed[0].error, SeedError::Exchange(ExchangeError::TimedOut));

    let mut closing = PlainListener::bind(loopback());
    let seed = closing.address().to_string();
    Plain.spawn(async move {
        let (mut stream, _) = closing.accept().await.expect("a connection");
        // Read first: closing with unread bytes would be a reset, which is another error.
        let _ = stream.read(&mut vec![0; 65_536]).await;
    });
    let error = within("join", a.join(&[seed])).await.expect_err("no answer");
    assert_eq!(error.failed[0].error, SeedError::Exchange(ExchangeError::Closed));
}

/// A seed that talks, but not our language.
pub(super) async fn a_seed_that_answers_noise<H: Harness>() {
    let a = start::<H>("a").await;
    let mut listener = PlainListener::bind(loopback());
    let seed = listener.address().to_string();
    Plain.spawn(async move {
        let mut noise = Noise(0x5eed_0003);
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.write_all(&deceptive(&mut noise, 50_000)).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = within("join", a.join(&[seed])).await.expect_err("no sense in the answer");
    assert!(matches!(error.failed[0].error, SeedError::Exchange(_)), "{:?}", error.failed);
    assert_eq!(a.members().len(), 1);
}

/// Both are members of one another, and a third can still join.
async fn still_together<H: Harness>(a: &ClusterOn<H>, b: &ClusterOn<H>) {
    reaches(a, b"b").await;
    reaches(b, b"a").await;
    assert_eq!(status(a, "b"), Some(Status::Alive));
    assert_eq!(status(b, "a"), Some(Status::Alive));
    let mut events = b.events();
    let c = start::<H>("c").await;
    join(&c, a).await;
    until("b knows c", &mut events, || status(b, "c") == Some(Status::Alive)).await;
}
