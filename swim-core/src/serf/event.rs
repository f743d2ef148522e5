//! What the application is told.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::net::SocketAddr;

use crate::ids::{KeyringChange, LamportTime, Name, QueryId};
use crate::serf::direct::Delivery;
use crate::serf::member::MemberInfo;
use crate::stats::Stats;
use crate::time::Instant;
use crate::wire::envelope::DatagramError;

/// Something happened that an application may care about. See [`Node::poll_event`](crate::Node::poll_event).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A member's status or metadata changed.
    ///
    /// One event tells of one member. With coalescing on (`coalesce_period`), many come at once, those of the same kind
    /// together: whoever wants Serf's lists of members takes up what `poll_event` yields in a row with the same kind.
    Member {
        /// How.
        kind: MemberEvent,
        /// As it is now.
        member: MemberInfo,
    },
    /// Somebody's application, perhaps ours, has something to say.
    User {
        /// When, by the event clock.
        ltime: LamportTime,
        /// What happened: any bytes.
        name: Box<[u8]>,
        /// To whom it may concern.
        payload: Option<Box<[u8]>>,
        /// Whether of several that come close together the last one is enough. One that was missed and came later in a
        /// full state exchange does not say so.
        coalesce: bool,
    },
    /// Two addresses claim one name. The member stays where it was.
    Conflict {
        /// The disputed name.
        name: Name,
        /// Where the member is, as far as we know.
        existing: SocketAddr,
        /// Who else claims the name.
        other: SocketAddr,
    },
    /// Somebody asks, and we are one of those asked. [`Node::respond`](crate::Node::respond) answers.
    Query {
        /// For the answer.
        id: QueryId,
        /// Of the query clock.
        ltime: LamportTime,
        /// The asker, as it calls itself; older ones do not say.
        from: Name,
        /// What is asked.
        name: Name,
        /// What came with it.
        payload: Box<[u8]>,
        /// When the asker stops to listen, by our clock.
        deadline: Instant,
    },
    /// A member says something to us alone; [`Node::send`](crate::Node::send) there. What came by datagram may come twice.
    Message {
        /// The member, as it calls itself: it is one of those we know, but only encryption keeps strangers from using its
        /// name.
        from: Name,
        /// What: any bytes.
        payload: Box<[u8]>,
        /// How it came.
        by: Delivery,
    },
    /// Some member had every member change its keys, and we did: whoever keeps them in a file should write it anew.
    /// After [`Missed`](Self::Missed), too. It also comes when the change was made already. With `serf.keyring_stored`,
    /// that member is answered upon [`Node::keyring_stored`](crate::Node::keyring_stored).
    KeyringChanged {
        /// Which one, of all changes here.
        change: KeyringChange,
    },
    /// Somebody else has our name, and most of those who answered side with them. The cluster does not listen to us
    /// any more; the node is to be dropped, without a leave. Comes at most once; see
    /// [`Node::has_lost_name`](crate::Node::has_lost_name).
    NameLost {
        /// Members that have us under this name.
        matching: usize,
        /// Members that answered.
        responses: usize,
    },
    /// Datagrams from this source are dropped for a reason that a change of configuration, here or there, would mend:
    /// another wire format, another label, another key. At most once per source and minute.
    Rejected {
        /// Where they came from.
        from: SocketAddr,
        /// Why they are dropped.
        error: DatagramError,
    },
    /// The event queue was full, and this many events were dropped here. Read the members again.
    Missed {
        /// How many.
        count: u64,
    },
}

/// How a member changed (Serf: `serf/event.go`). See [`Node::poll_event`](crate::Node::poll_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberEvent {
    /// It is there, for the first time or again.
    Join,
    /// It left on purpose, or was made to.
    Leave,
    /// It stopped answering.
    Failed,
    /// Its tags changed while it was there. A new address comes with [`Join`](Self::Join), new versions come silently.
    Update,
    /// It has been gone for so long that it is forgotten.
    Reap,
}

impl MemberEvent {
    /// Serf's name for it, as in event handlers and RPC streams.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::event::MemberEvent;
    ///
    /// assert_eq!(MemberEvent::Failed.as_str(), "member-failed");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Join => "member-join",
            Self::Leave => "member-leave",
            Self::Failed => "member-failed",
            Self::Update => "member-update",
            Self::Reap => "member-reap",
        }
    }
}

/// Events that wait for the application. Full, it drops the newest, and where they are missing it says so: an
/// application that then reads the members again must not be told older things afterwards.
#[derive(Debug)]
pub(crate) struct EventQueue {
    waiting: VecDeque<Event>,
    max: usize,
    /// Of the messages that wait.
    message_bytes: usize,
    message_bytes_max: usize,
    /// Dropped since the last event that waits.
    missed: u64,
}

impl EventQueue {
    pub(crate) fn new(max: usize, message_bytes_max: usize) -> Self {
        Self { waiting: VecDeque::new(), max, message_bytes: 0, message_bytes_max, missed: 0 }
    }

    /// Queues what `event` makes; it is not even made when there is no room.
    pub(crate) fn push(&mut self, stats: &mut Stats, event: impl FnOnce() -> Event) {
        self.push_sized(stats, 0, event);
    }

    /// As [`push`](Self::push), a message with a payload of `len` bytes, which are bounded as well; whether there was
    /// room. There always is for one.
    pub(crate) fn push_sized(&mut self, stats: &mut Stats, len: usize, event: impl FnOnce() -> Event) -> bool {
        let notice = usize::from(self.missed > 0);
        let long = self.message_bytes > 0 && self.message_bytes.saturating_add(len) > self.message_bytes_max;
        if self.waiting.len() + notice >= self.max || (len > 0 && long) {
            self.missed += 1;
            stats.events_dropped += 1;
            return false;
        }
        let missed = self.take_missed();
        self.waiting.extend(missed);
        self.message_bytes += len;
        self.waiting.push_back(event());
        true
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.waiting.pop_front();
        if let Some(Event::Message { payload, .. }) = &event {
            self.message_bytes -= payload.len();
        }
        event.or_else(|| self.take_missed())
    }

    fn take_missed(&mut self) -> Option<Event> {
        let count = core::mem::take(&mut self.missed);
        (count > 0).then_some(Event::Missed { count })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_full_queue_says_what_was_missed() {
        let (mut queue, mut stats) = (EventQueue::new(2, 0), Stats::default());
        let conflict = |n: u8| Event::Conflict {
            name: "n".into(),
            existing: ([127, 0, 0, 1], 1).into(),
            other: ([127, 0, 0, n], 1).into(),
        };
        for n in 0..5 {
            queue.push(&mut stats, || conflict(n));
        }
        assert_eq!(stats.events_dropped, 3);
        let popped: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(popped, [conflict(0), conflict(1), Event::Missed { count: 3 }]);
        for n in 0..3 {
            queue.push(&mut stats, || conflict(n));
        }
        assert_eq!((queue.pop(), queue.pop()), (Some(conflict(0)), Some(conflict(1))));
        queue.push(&mut stats, || conflict(9));
        let popped: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(popped, [Event::Missed { count: 1 }, conflict(9)], "the notice stands where the gap is");
        // The notice needs room, too.
        let (mut queue, mut stats) = (EventQueue::new(3, 0), Stats::default());
        for n in 0..4 {
            queue.push(&mut stats, || conflict(n));
        }
        assert_eq!(queue.pop(), Some(conflict(0)));
        queue.push(&mut stats, || conflict(9));
        let popped: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(popped, [conflict(1), conflict(2), Event::Missed { count: 2 }]);
    }

    #[test]
    fn messages_are_bounded_by_their_bytes_too() {
        let (mut queue, mut stats) = (EventQueue::new(10, 8), Stats::default());
        let message = |len: usize| Event::Message {
            from: "n".into(),
            payload: alloc::vec![1; len].into(),
            by: Delivery::Datagram,
        };
        let mut push = |queue: &mut EventQueue, len| queue.push_sized(&mut stats, len, || message(len));
        assert!(push(&mut queue, 20), "one always fits");
        assert!(!push(&mut queue, 1) && push(&mut queue, 0));
        let popped: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(popped, [message(20), Event::Missed { count: 1 }, message(0)]);
        assert!(push(&mut queue, 5) && push(&mut queue, 3) && !push(&mut queue, 1));
        assert_eq!(queue.pop(), Some(message(5)));
        assert!(push(&mut queue, 5));
        assert_eq!(stats.events_dropped, 2);
    }
}
