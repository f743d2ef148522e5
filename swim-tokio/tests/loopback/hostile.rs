//! Others who do not keep to the protocol.

use core::net::SocketAddr;
use core::time::Duration;

use swim_tokio::swim_core::node::input::ExchangeError;
use swim_tokio::swim_core::serf::member::Status;
use swim_tokio::{Cluster, SeedError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::*;

/// Repeatable noise (xorshift), a good part of which begins like something that is understood.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len).map(|_| self.next() as u8).collect();
        if let [first, second, ..] = &mut bytes[..] {
            match self.next() % 4 {
                0 => (*first, *second) = (0xf5, 0x01),
                1 => *first = (self.next() % 14) as u8,
                2 => *first = 0xf4,
                _ => {}
            }
        }
        bytes
    }
}

/// Reads until the other side has closed, in whatever way.
async fn until_closed(stream: &mut TcpStream) {
    let mut buf = [0; 1024];
    within("the stream is closed", async { while !matches!(stream.read(&mut buf).await, Ok(0) | Err(_)) {} }).await;
}

async fn dial(address: SocketAddr) -> TcpStream {
    within("dial", TcpStream::connect(address)).await.expect("somebody listens")
}

#[tokio::test]
async fn noise_in_datagrams() {
    let (a, b) = pair().await;
    let mut noise = Noise(0x5eed_0001);
    let socket = UdpSocket::bind(loopback()).await.expect("a free port");
    for round in 0..20 {
        let before = a.stats().datagrams_received;
        for len in [0, 1, 2, 3, 16, 40, 200, 1400, 9000, 65_507] {
            socket.send_to(&noise.bytes(len), a.bound_address()).await.expect("loopback takes it");
        }
        // Some may be lost; but they arrive.
        eventually(&format!("round {round} is seen"), || a.stats().datagrams_received > before).await;
    }
    still_together(&a, &b).await;
}

#[tokio::test]
async fn noise_in_streams() {
    let (a, b) = pair().await;
    let mut noise = Noise(0x5eed_0002);
    for len in [0, 1, 2, 5, 30, 1000, 100_000, 3_000_000] {
        let mut stream = dial(a.bound_address()).await;
        // It may close before it has read everything.
        let _ = within("write", stream.write_all(&noise.bytes(len))).await;
        let _ = stream.shutdown().await;
        until_closed(&mut stream).await;
    }
    // Also those who come and go without a word.
    for _ in 0..50 {
        drop(dial(a.bound_address()).await);
    }
    still_together(&a, &b).await;
}

/// Peers that hold a stream open and do nothing cost a stream for a while, and nobody else's place.
#[tokio::test]
async fn stalled_dialers() {
    let mut few = options("a");
    few.config.streams_max = 4;
    few.config.swim.stream_timeout = Duration::from_secs(2);
    let (a, b) = (start_with(few).await, start("b").await);
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

/// A seed that takes the connection and never answers, or closes it at once.
#[tokio::test]
async fn seeds_that_do_not_answer() {
    let a = start("a").await;
    let silent = TcpListener::bind(loopback()).await.expect("a free port");
    let seed = silent.local_addr().expect("bound").to_string();
    let error = within("join", a.join(&[seed])).await.expect_err("no answer");
    assert_eq!(error.failed[0].error, SeedError::Exchange(ExchangeError::TimedOut));

    let closing = TcpListener::bind(loopback()).await.expect("a free port");
    let seed = closing.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let (mut stream, _) = closing.accept().await.expect("a connection");
        // Read first: closing with unread bytes would be a reset, which is another error.
        let _ = stream.read(&mut [0; 65_536]).await;
    });
    let error = within("join", a.join(&[seed])).await.expect_err("no answer");
    assert_eq!(error.failed[0].error, SeedError::Exchange(ExchangeError::Closed));
}

/// A seed that talks, but not our language.
#[tokio::test]
async fn a_seed_that_answers_noise() {
    let a = start("a").await;
    let listener = TcpListener::bind(loopback()).await.expect("a free port");
    let seed = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let mut noise = Noise(0x5eed_0003);
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.write_all(&noise.bytes(50_000)).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = within("join", a.join(&[seed])).await.expect_err("no sense in the answer");
    assert!(matches!(error.failed[0].error, SeedError::Exchange(_)), "{:?}", error.failed);
    assert_eq!(a.members().len(), 1);
}

/// Both are members of one another, and a third can still join.
async fn still_together(a: &Cluster, b: &Cluster) {
    within("ping", a.ping(b"b")).await.expect("b is there");
    within("ping", b.ping(b"a")).await.expect("a is there");
    assert_eq!(status(a, "b"), Some(Status::Alive));
    assert_eq!(status(b, "a"), Some(Status::Alive));
    let c = start("c").await;
    join(&c, a).await;
    let mut events = b.events();
    until("b knows c", &mut events, || status(b, "c") == Some(Status::Alive)).await;
}
