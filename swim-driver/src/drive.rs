//! The loop: sends, waits, receives, and keeps the node's deadlines.

use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant as StdInstant;

use event_listener::listener;
use futures_lite::future::{or, pending, yield_now};
use tracing::{debug, error, warn};

use crate::backoff::Backoff;
use crate::bind::{for_socket, from_socket};
use crate::heal;
use crate::runtime::{Runtime, Udp};
use crate::shared::{Shared, count};
use crate::streams;

/// Runs until the cluster stops.
pub(crate) async fn drive<R: Runtime>(shared: Arc<Shared<R>>, socket: R::Udp) {
    let mut sender = Sender::default();
    let mut receiver = Receiver::default();
    loop {
        // Before looking at the node: a call that comes after the look must wake us.
        listener!(shared.called => called);
        if shared.stopping.is_raised() {
            return;
        }
        if shared.guarded.is_poisoned() {
            error!("the node has panicked, the cluster stops");
            return;
        }
        sender.drain(&shared, &socket);
        drain_others(&shared);

        let due = shared.with(|guarded, _| guarded.node.poll_timeout()).and_then(|at| shared.clock.when(at));
        let deadline = [due, sender.patience(), receiver.pause].into_iter().flatten().min();
        or(
            or(called, async {
                match deadline {
                    Some(at) => shared.runtime.sleep_until(at).await,
                    None => pending().await,
                }
            }),
            or(receiver.readable(&shared, &socket), sender.writable(&socket)),
        )
        .await;

        // What has arrived comes before what is due: the ack that saves a member may lie in the socket.
        let more = receiver.receive(&shared, &socket);
        shared.with(|guarded, now| guarded.node.handle_timeout(now));
        if more {
            // A flood must not starve the other tasks of a runtime with one thread.
            yield_now().await;
        }
    }
}

/// Takes everything but datagrams out of the node and passes it on.
fn drain_others<R: Runtime>(shared: &Arc<Shared<R>>) {
    let (mut dials, mut events, mut wakers) = (Vec::new(), Vec::new(), Vec::new());
    let resolve = shared.with(|guarded, _| {
        while let Some(action) = guarded.node.poll_stream() {
            dials.extend(guarded.dispatch(action, shared.closing_max));
        }
        if let Some(snapshot) = &shared.snapshot {
            snapshot.follow(&mut guarded.node);
        }
        while let Some(event) = guarded.node.poll_event() {
            events.push(event);
        }
        while let Some((id, reply)) = guarded.node.poll_reply() {
            // Nobody waits any more when the future has been dropped.
            wakers.extend(guarded.waiters.get_mut(&id).and_then(|waiter| waiter.receive(reply)));
        }
        guarded.node.poll_resolve()
    });
    if resolve {
        heal::resolve(shared);
    }
    for dial in dials {
        streams::dial(shared, dial);
    }
    // Before the replies: whoever has waited for a join finds what it led to in the event queue.
    for event in &events {
        shared.consumers.publish(event);
    }
    for waker in wakers {
        waker.wake();
    }
}

/// The sending half. Holds back one datagram at most: while the socket has no room, the node is not asked for more,
/// and skips what would be out of date by then.
#[derive(Default)]
struct Sender {
    datagram: Vec<u8>,
    blocked: Option<Blocked>,
    failing: bool,
}

struct Blocked {
    to: SocketAddr,
    /// When to give it up.
    until: StdInstant,
}

impl Sender {
    fn drain<R: Runtime>(&mut self, shared: &Shared<R>, socket: &R::Udp) {
        loop {
            let (to, until) = match self.blocked.take() {
                Some(Blocked { to, until }) => (to, Some(until)),
                None => match shared.with(|guarded, now| guarded.node.poll_transmit(now, &mut self.datagram)) {
                    Some(transmit) => (transmit.destination, None),
                    None => return,
                },
            };
            match socket.try_send_to(&self.datagram, for_socket(to, shared.bound)) {
                Ok(_) => self.failing = false,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    let now = StdInstant::now();
                    let until = until.unwrap_or_else(|| now + SEND_PATIENCE);
                    if now < until {
                        self.blocked = Some(Blocked { to, until });
                        return;
                    }
                    count(&shared.io.sends_blocked);
                    debug!(%to, "no room to send for too long, datagram dropped");
                }
                // Loss is part of the protocol: one unreachable peer must not stop the others.
                Err(error) => {
                    count(&shared.io.send_errors);
                    if !core::mem::replace(&mut self.failing, true) {
                        warn!(%to, %error, "cannot send");
                    }
                }
            }
        }
    }

    /// When to look again even if the socket does not become writable.
    fn patience(&self) -> Option<StdInstant> {
        self.blocked.as_ref().map(|blocked| blocked.until)
    }

    async fn writable(&self, socket: &impl Udp) {
        match self.blocked {
            Some(_) if socket.writable().await.is_ok() => {}
            // Not `Ok`: then time will tell.
            Some(_) | None => pending().await,
        }
    }
}

/// The receiving half.
#[derive(Default)]
struct Receiver {
    backoff: Backoff,
    /// After an error the socket is left alone until then.
    pause: Option<StdInstant>,
}

thread_local! {
    /// Where datagrams are read into. Nobody keeps it across an await, so one is enough for a thread, however many
    /// members run on it: it is the largest thing that each of them would own.
    static DATAGRAM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Receiver {
    async fn readable<R: Runtime>(&mut self, shared: &Shared<R>, socket: &R::Udp) {
        if self.pause.is_some() {
            pending().await
        } else if let Err(error) = socket.readable().await {
            self.failed(shared, &error);
        }
    }

    /// Reads what has arrived; whether there may be more.
    fn receive<R: Runtime>(&mut self, shared: &Shared<R>, socket: &R::Udp) -> bool {
        if self.pause.is_some_and(|at| StdInstant::now() < at) {
            return false;
        }
        self.pause = None;
        let mut datagram = DATAGRAM.take();
        if datagram.is_empty() {
            // Not resized: memory that comes zeroed is not touched before something is read into it, and most datagrams
            // are of one page.
            datagram = vec![0; DATAGRAM_MAX];
        }
        let more = self.receive_into(&mut datagram, shared, socket);
        DATAGRAM.set(datagram);
        more
    }

    fn receive_into<R: Runtime>(&mut self, buffer: &mut [u8], shared: &Shared<R>, socket: &R::Udp) -> bool {
        for _ in 0..DATAGRAMS_PER_WAKE {
            match socket.try_recv_from(buffer) {
                Ok((len, from)) => {
                    self.backoff.reset();
                    let datagram = &mut buffer[..len];
                    // What cannot be used is counted, and told, by the node.
                    let _ = shared.with(|guarded, now| guarded.node.handle_datagram(now, from_socket(from), datagram));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // News about an earlier datagram of ours, not about this socket.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Interrupted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
                    ) => {}
                Err(error) => {
                    self.failed(shared, &error);
                    return false;
                }
            }
        }
        true
    }

    fn failed<R: Runtime>(&mut self, shared: &Shared<R>, error: &io::Error) {
        count(&shared.io.receive_errors);
        if self.backoff.is_fresh() {
            warn!(%error, "cannot receive");
        }
        self.pause = Some(StdInstant::now() + self.backoff.pause());
    }
}

/// The longest datagram there can be.
const DATAGRAM_MAX: usize = 65_535;
/// After so many the node's deadlines have their turn.
const DATAGRAMS_PER_WAKE: usize = 64;
/// What has waited longer to be sent is of no use to anybody: it is in the order of a probe's timeout.
const SEND_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;

    use swim_core::node::input::StreamAction;

    use super::*;
    use crate::shared::lock;
    use crate::testing::{OWN, Scripted, ScriptedUdp, shared};

    fn peer(n: u8) -> SocketAddr {
        ([10, 0, 0, n], 7946).into()
    }

    /// Puts one datagram into the sender's hands, as if the node had just written it.
    fn sender_with(to: SocketAddr, until: StdInstant) -> Sender {
        Sender { datagram: vec![1; 10], blocked: Some(Blocked { to, until }), failing: false }
    }

    fn soon() -> StdInstant {
        StdInstant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_blocked_datagram_is_kept_and_then_sent_once() {
        let (shared, socket) = (shared(), ScriptedUdp::default());
        let until = soon();
        let mut sender = sender_with(peer(2), until);
        lock(&socket.failures).extend([ErrorKind::WouldBlock, ErrorKind::WouldBlock]);
        for _ in 0..2 {
            sender.drain(&shared, &socket);
            assert_eq!(sender.patience(), Some(until), "waiting again does not extend the wait");
        }
        sender.drain(&shared, &socket);
        assert_eq!(*lock(&socket.sent), [peer(2)]);
        assert_eq!(sender.patience(), None);
        sender.drain(&shared, &socket);
        assert_eq!(lock(&socket.sent).len(), 1);
    }

    #[test]
    fn a_datagram_that_is_blocked_for_too_long_is_counted_and_dropped() {
        let (shared, socket) = (shared(), ScriptedUdp::default());
        let mut sender = sender_with(peer(2), StdInstant::now());
        lock(&socket.failures).push_back(ErrorKind::WouldBlock);
        sender.drain(&shared, &socket);
        assert!(sender.blocked.is_none() && lock(&socket.sent).is_empty());
        assert_eq!(shared.io.read().sends_blocked, 1);
    }

    #[test]
    fn an_unreachable_peer_is_counted_and_does_not_stop_the_others() {
        let (shared, socket) = (shared(), ScriptedUdp::default());
        lock(&socket.failures).push_back(ErrorKind::NetworkUnreachable);
        sender_with(peer(2), soon()).drain(&shared, &socket);
        sender_with(peer(3), soon()).drain(&shared, &socket);
        assert_eq!(*lock(&socket.sent), [peer(3)]);
        assert_eq!(shared.io.read().send_errors, 1);
    }

    #[test]
    fn receive_errors_pause_and_never_end_it() {
        let (shared, socket) = (shared(), ScriptedUdp::default());
        let mut receiver = Receiver::default();
        for round in 1..=5 {
            lock(&socket.received).push_back(Err(ErrorKind::Other.into()));
            assert!(!receiver.receive(&shared, &socket));
            assert_eq!(shared.io.read().receive_errors, round);
            let pause = receiver.pause.expect("it is left alone for a while");
            lock(&socket.received).push_back(Ok((vec![0xff; 4], peer(2))));
            // A millisecond, the first one, may be over before it is looked at again.
            receiver.pause = Some(soon());
            assert!(!receiver.receive(&shared, &socket) && !lock(&socket.received).is_empty());
            receiver.pause = Some(pause);
            std::thread::sleep(pause.saturating_duration_since(StdInstant::now()));
            receiver.receive(&shared, &socket);
            assert!(lock(&socket.received).is_empty() && receiver.backoff.is_fresh());
        }
        let received = shared.with(|guarded, _| guarded.node.node().stats().datagrams_received);
        assert_eq!(received, 5);
    }

    #[test]
    fn a_flood_does_not_keep_the_deadlines_waiting() {
        let (shared, socket) = (shared(), ScriptedUdp::default());
        let mut receiver = Receiver::default();
        lock(&socket.received).extend((0..DATAGRAMS_PER_WAKE + 1).map(|_| Ok((vec![0xff; 4], peer(2)))));
        assert!(receiver.receive(&shared, &socket), "there is more");
        assert_eq!(lock(&socket.received).len(), 1);
        assert!(!receiver.receive(&shared, &socket));
    }

    #[test]
    fn goodbyes_are_bounded() {
        let shared = shared();
        let max = 2;
        shared.with(|guarded, now| {
            for _ in 0..3 {
                let id = guarded.node.accept_stream(now, OWN).expect("few are open");
                guarded.streams.insert(id, Arc::default());
                guarded.dispatch(StreamAction::Finish { id }, max);
            }
            assert_eq!((guarded.closing, guarded.streams.len()), (max, 0));
        });
    }

    #[test]
    fn a_panic_of_the_node_stops_everything() {
        let shared = shared();
        let poisoned = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
            shared.with(|_, _| panic!("a defect, for once on purpose"));
        }));
        assert!(poisoned.is_err());
        let mut events = shared.consumers.add();
        let guard = crate::shared::StopGuard(shared.clone());
        futures_lite::future::block_on(drive::<Scripted>(shared.clone(), ScriptedUdp::default()));
        drop(guard);
        assert!(shared.stopping.is_raised());
        assert_eq!(futures_lite::future::block_on(events.next()), None);
        assert_eq!(shared.tasks.load(Ordering::Relaxed), 0);
    }
}
