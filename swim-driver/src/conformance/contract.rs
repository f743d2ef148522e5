//! What [`Runtime`](crate::Runtime) promises, without a cluster around it.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;
use core::time::Duration;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use futures_lite::future::{block_on, zip};
use futures_lite::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::conformance::Harness;
use crate::conformance::plain::PlainListener;
use crate::conformance::support::*;
use crate::runtime::{Listener as _, Runtime, Udp};

fn current<H: Harness>() -> H::Runtime {
    H::Runtime::current().expect("the tests run on it")
}

/// A socket of the runtime, and one to talk to it.
fn sockets<H: Harness>() -> (<H::Runtime as Runtime>::Udp, UdpSocket) {
    let ours = UdpSocket::bind(loopback()).expect("a free port");
    let other = UdpSocket::bind(loopback()).expect("a free port");
    other.connect(ours.local_addr().expect("bound")).expect("nothing is sent");
    ours.set_nonblocking(true).expect("any socket can");
    (current::<H>().udp(ours).expect("it can be watched"), other)
}

/// The driver reads once more before it judges: that must not depend on what the runtime has noticed so far.
pub(super) async fn what_waits_in_the_kernel_is_found<H: Harness>() {
    let (ours, other) = sockets::<H>();
    let mut buf = [0; 16];
    for round in 0..100_u8 {
        assert_eq!(ours.try_recv_from(&mut buf).map_err(|error| error.kind()).err(), Some(ErrorKind::WouldBlock));
        // No await from here to the look: the runtime has no chance to notice.
        other.send(&[round]).expect("loopback takes it");
        let (len, from) = ours.try_recv_from(&mut buf).expect("loopback delivers at once");
        assert_eq!((&buf[..len], from), (&[round][..], other.local_addr().expect("bound")));
        if round % 10 == 0 {
            // Now and then with a remembered readiness to get wrong.
            other.send(&[round]).expect("loopback takes it");
            within("readable", ours.readable()).await.expect("it works");
            ours.try_recv_from(&mut buf).expect("it is there");
        }
    }
}

pub(super) async fn readable_means_that_something_is_there<H: Harness>() {
    let (ours, other) = sockets::<H>();
    let mut buf = [0; 16];
    for round in 0..100_u8 {
        // Somebody who gave up waiting does not spoil it for the next.
        if given_up_after(1, ours.readable()).await.is_some() {
            let left = ours.try_recv_from(&mut buf).map_err(|error| error.kind());
            assert_eq!(left.err(), Some(ErrorKind::WouldBlock), "it may be wrong, but not invent a datagram");
        }
        let sender = async {
            Duration::from_millis(u64::from(round % 3)).pause().await;
            other.send(&[round]).expect("loopback takes it");
        };
        let receiver = async {
            loop {
                within("readable", ours.readable()).await.expect("it works");
                match ours.try_recv_from(&mut buf) {
                    Ok((len, _)) => return len,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
        };
        let (len, ()) = zip(receiver, sender).await;
        assert_eq!(buf[..len], [round]);
    }
}

pub(super) async fn a_free_socket_is_writable<H: Harness>() {
    let (ours, other) = sockets::<H>();
    let to = other.local_addr().expect("bound");
    other.set_read_timeout(Some(DEADLINE)).expect("any socket can");
    let mut buf = [0; 16];
    for round in 0..10 {
        within("writable", ours.writable()).await.expect("it works");
        assert_eq!(ours.try_send_to(&[round], to).expect("there is room"), 1);
        assert_eq!(other.recv(&mut buf).expect("it was sent"), 1);
        assert_eq!(buf[0], round);
    }
}

/// Who closes has said everything, and still listens.
pub(super) async fn a_connection_closes_by_halves<H: Harness>() {
    let runtime = current::<H>();
    let mut plain = PlainListener::bind(loopback());
    let (dialled, accepted) = zip(runtime.connect(plain.address()), plain.accept()).await;
    close_by_halves(dialled.expect("somebody listens"), accepted.expect("somebody dials").0).await;

    let listener = std::net::TcpListener::bind(loopback()).expect("a free port");
    let at = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("any socket can");
    let mut listener = runtime.listener(listener).expect("it can be watched");
    let plain = crate::conformance::plain::Plain;
    let (accepted, dialled) = within("accept", zip(listener.accept(), plain.connect(at))).await;
    let (accepted, from) = accepted.expect("somebody dials");
    let dialled = dialled.expect("somebody listens");
    assert_eq!(from, dialled.address());
    close_by_halves(accepted, dialled).await;
}

async fn close_by_halves<A, B>(mut ours: A, mut other: B)
where
    A: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin,
    B: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin,
{
    let question = Noise(1).bytes(1 << 20);
    let write = async {
        ours.write_all(&question).await.expect("the other side reads");
        ours.flush().await.expect("the other side reads");
        ours.close().await.expect("it is open");
    };
    let mut heard = Vec::new();
    let (_, read) = within("the question ends", zip(write, other.read_to_end(&mut heard))).await;
    read.expect("it ends well");
    assert!(heard == question);
    let answer = async {
        other.write_all(b"answer").await.expect("our side reads");
        other.close().await.expect("it is open");
    };
    let mut heard = Vec::new();
    let (_, read) = within("the answer ends", zip(answer, ours.read_to_end(&mut heard))).await;
    read.expect("it ends well");
    assert_eq!(heard, b"answer");
    // And to drop it is to close it altogether.
    drop(ours);
    let gone = async {
        while other.write_all(b"more").await.is_ok() {
            Duration::from_millis(1).pause().await;
        }
    };
    within("the other side notices", gone).await;
}

pub(super) async fn an_accept_that_is_given_up_loses_nobody<H: Harness>() {
    let listener = std::net::TcpListener::bind(loopback()).expect("a free port");
    let at = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("any socket can");
    let mut listener = current::<H>().listener(listener).expect("it can be watched");
    for _ in 0..20 {
        assert!(given_up_after(1, listener.accept()).await.is_none(), "nobody has dialled");
        let dialled = std::net::TcpStream::connect(at).expect("somebody listens");
        let (_, from) = within("accept", listener.accept()).await.expect("somebody dials");
        assert_eq!(from, dialled.local_addr().expect("connected"));
    }
}

pub(super) async fn dialling_nobody_is_refused<H: Harness>() {
    let closed = Closed::new();
    let refused = within("connect", current::<H>().connect(closed.address())).await.err().expect("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

pub(super) async fn time_passes_and_what_has_passed_is_due<H: Harness>() {
    let runtime = current::<H>();
    let start = Instant::now();
    within("the past", runtime.sleep_until(start)).await;
    let at = start + Duration::from_millis(50);
    within("the near future", runtime.sleep_until(at)).await;
    assert!(Instant::now() >= at, "not before its time");
    // Whoever waits need not be on the runtime.
    let elsewhere = Arc::new(AtomicBool::new(false));
    let there = elsewhere.clone();
    let thread = std::thread::spawn(move || {
        block_on(runtime.sleep_until(Instant::now() + Duration::from_millis(20)));
        there.store(true, Ordering::Release);
    });
    eventually("it passes elsewhere too", || elsewhere.load(Ordering::Acquire)).await;
    thread.join().expect("no panic");
    let runtime = current::<H>();
    let far = runtime.sleep_until(Instant::now() + DEADLINE);
    assert!(given_up_after(1, far).await.is_none(), "it is not due");
}

/// Nobody has to hold on to a task, or to wait for it.
pub(super) async fn tasks_run_by_themselves<H: Harness>() {
    let done = aside::<H::Runtime, _>(async {
        let inner = aside::<H::Runtime, _>(async {
            // Away from the thread at least once.
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                if polls < 100 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            7
        });
        within("the inner task", inner).await
    });
    assert_eq!(within("the outer task", done).await, 7);
}

pub(super) async fn names_are_resolved_or_not<H: Harness>() {
    let runtime = current::<H>();
    let found = within("localhost", runtime.resolve("localhost", 7)).await.expect("every machine has it");
    assert!(!found.is_empty() && found.iter().all(|address| address.port() == 7 && address.ip().is_loopback()));
    within("nobody", runtime.resolve("no-such-host.invalid", 7)).await.expect_err("there is none");
    let elsewhere = std::thread::spawn(move || block_on(runtime.resolve("localhost", 8)));
    eventually("it works elsewhere too", || elsewhere.is_finished()).await;
    assert!(!elsewhere.join().expect("no panic").expect("every machine has it").is_empty());
}
