//! Events on their way to the application: one bounded queue per consumer.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use futures_core::Stream;
use swim_core::Event;

use crate::shared::lock;

/// Events that wait for one consumer at most; what comes on top of them is dropped and counted.
///
/// See the example of [`Events`].
pub const EVENTS_MAX: usize = 4096;

/// Bytes of messages from single members that wait for one consumer at most; one always fits.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What happens in the cluster from the call of [`Cluster::events`](crate::Cluster::events) on, in order.
///
/// At most [`EVENTS_MAX`] events wait, with [`MESSAGE_BYTES_MAX`] bytes of messages from single members. When more come,
/// the newest are dropped; where they are missing stands one [`Event::Missed`], upon which the consumer reads
/// [`Cluster::members`](crate::Cluster::members) again. The cluster itself never waits for a consumer.
///
/// It ends after the last waiting event once the cluster has stopped. It does not keep the cluster running. Every
/// consumer has its own queue and sees every event.
///
/// ```
/// use swim_tokio::swim_core::Event;
/// use swim_tokio::{Cluster, EVENTS_MAX, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
/// let mut events = cluster.events();
/// # let consumer =
/// tokio::spawn(async move {
///     let mut stale = false;
///     while let Some(event) = events.next().await {
///         match event {
///             Event::Member { kind, member } => println!("{}: {}", kind.as_str(), member.name),
///             // Slower than the cluster by more than EVENTS_MAX events.
///             Event::Missed { .. } => stale = true,
///             _ => {}
///         }
///     }
///     println!("the cluster has stopped");
/// #   assert!(!stale && EVENTS_MAX > 0);
/// });
/// cluster.shutdown().await;
/// # consumer.await?;
/// # Ok(())
/// # }
/// ```
pub struct Events {
    queue: Arc<Queue>,
}

impl Events {
    /// The next event, waiting for it if need be; `None` once the cluster has stopped and all has been read.
    ///
    /// Cancel-safe: an event is taken only when it is returned.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let mut events = cluster.events();
    /// cluster.shutdown().await;
    /// // A member that stops is told of its end by this alone.
    /// while let Some(event) = events.next().await {
    ///     println!("{event:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Event> {
        core::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.queue.poll_next(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("waiting", &lock(&self.queue.0).events.len()).finish_non_exhaustive()
    }
}

/// Every consumer there is.
#[derive(Debug, Default)]
pub(crate) struct Consumers(Mutex<Vec<Weak<Queue>>>);

impl Consumers {
    /// A new consumer, of which nothing is left behind once it has been dropped.
    pub(crate) fn add(&self) -> Events {
        let queue = Arc::new(Queue::default());
        let mut consumers = lock(&self.0);
        consumers.retain(|queue| queue.strong_count() > 0);
        consumers.push(Arc::downgrade(&queue));
        Events { queue }
    }

    /// Hands `event` to every consumer.
    pub(crate) fn publish(&self, event: &Event) {
        let mut wakers = Vec::new();
        lock(&self.0).retain(|queue| {
            let queue = queue.upgrade();
            wakers.extend(queue.as_ref().and_then(|queue| queue.push(event)));
            queue.is_some()
        });
        // With no lock held: waking may drop a task and with it a handle, whose end leads back here.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        let queues = core::mem::take(&mut *lock(&self.0));
        let wakers: Vec<_> = queues.iter().filter_map(Weak::upgrade).filter_map(|queue| queue.close()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[derive(Debug, Default)]
struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Of the messages in `events`.
    message_bytes: usize,
    /// Dropped since the last one in `events`.
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    /// Whom to wake for it.
    fn push(&self, event: &Event) -> Option<Waker> {
        let mut waiting = lock(&self.0);
        // Room for the notice too: it has to stand where the gap is. Before the events that are older than the
        // gap, it would make a consumer read the members first and apply stale events to them afterwards.
        let needed = 1 + usize::from(waiting.missed > 0);
        let len = message_len(event);
        let long = waiting.message_bytes > 0 && waiting.message_bytes.saturating_add(len) > MESSAGE_BYTES_MAX;
        if waiting.events.len() + needed > EVENTS_MAX || (len > 0 && long) {
            waiting.missed = waiting.missed.saturating_add(match event {
                Event::Missed { count } => *count,
                Event::Member { .. } | Event::Conflict { .. } | Event::Rejected { .. } | _ => 1,
            });
            return None;
        }
        if waiting.missed > 0 {
            let count = core::mem::take(&mut waiting.missed);
            waiting.events.push_back(Event::Missed { count });
        }
        waiting.message_bytes += len;
        waiting.events.push_back(event.clone());
        waiting.waker.take()
    }

    fn close(&self) -> Option<Waker> {
        let mut waiting = lock(&self.0);
        waiting.closed = true;
        waiting.waker.take()
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut waiting = lock(&self.0);
        if let Some(event) = waiting.events.pop_front() {
            waiting.message_bytes -= message_len(&event);
            return Poll::Ready(Some(event));
        }
        if waiting.missed > 0 {
            let count = core::mem::take(&mut waiting.missed);
            return Poll::Ready(Some(Event::Missed { count }));
        }
        if waiting.closed {
            return Poll::Ready(None);
        }
        if !waiting.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            waiting.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

fn message_len(event: &Event) -> usize {
    if let Event::Message { payload, .. } = event { payload.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn event(number: u64) -> Event {
        Event::Conflict {
            name: number.to_string().as_str().into(),
            existing: ([127, 0, 0, 1], 1).into(),
            other: ([127, 0, 0, 1], 2).into(),
        }
    }

    fn drain(events: &mut Events) -> Vec<Event> {
        core::iter::from_fn(|| block_on(poll_once(events.next())).flatten()).collect()
    }

    #[test]
    fn the_notice_stands_where_the_gap_is() {
        let consumers = Consumers::default();
        let mut events = consumers.add();
        let max = EVENTS_MAX as u64;
        (0..max + 3).for_each(|n| consumers.publish(&event(n)));
        assert_eq!(block_on(events.next()), Some(event(0)));
        // There is room for one now, but not for the notice and one.
        consumers.publish(&event(max + 3));
        assert_eq!(block_on(events.next()), Some(event(1)));
        consumers.publish(&event(max + 4));
        // What the node itself dropped is added up.
        consumers.publish(&Event::Missed { count: 10 });

        let mut expected: Vec<_> = (2..max).map(event).collect();
        expected.extend([Event::Missed { count: 4 }, event(max + 4), Event::Missed { count: 10 }]);
        assert_eq!(drain(&mut events), expected);
        consumers.publish(&event(1));
        assert_eq!(drain(&mut events), [event(1)]);
    }

    #[test]
    fn exactly_full_misses_nothing() {
        let consumers = Consumers::default();
        let mut events = consumers.add();
        (0..EVENTS_MAX as u64).for_each(|n| consumers.publish(&event(n)));
        assert_eq!(drain(&mut events).len(), EVENTS_MAX);
    }

    /// Long messages are bounded by their bytes; what is short goes on.
    #[test]
    fn messages_are_bounded_by_their_bytes() {
        let consumers = Consumers::default();
        let mut events = consumers.add();
        let message = |len| Event::Message {
            from: "n".into(),
            payload: vec![0; len].into(),
            by: swim_core::serf::direct::Delivery::Stream,
        };
        let half = message(MESSAGE_BYTES_MAX / 2);
        for _ in 0..2 {
            consumers.publish(&half);
        }
        consumers.publish(&message(1));
        consumers.publish(&event(1));
        assert_eq!(block_on(events.next()), Some(half.clone()));
        consumers.publish(&message(1));
        assert_eq!(drain(&mut events), [half, Event::Missed { count: 1 }, event(1), message(1)]);
        consumers.publish(&message(MESSAGE_BYTES_MAX + 1));
        assert_eq!(drain(&mut events).len(), 1, "one always fits");
    }

    #[test]
    fn each_has_its_own_queue_and_its_end() {
        let consumers = Consumers::default();
        let (mut first, second) = (consumers.add(), consumers.add());
        consumers.publish(&event(1));
        drop(second);
        consumers.publish(&event(2));
        assert_eq!(lock(&consumers.0).len(), 1);
        consumers.close();
        assert_eq!(drain(&mut first), [event(1), event(2)]);
        assert_eq!(block_on(first.next()), None);
    }
}
