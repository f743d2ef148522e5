//! The node behind its lock, who waits for what, and the end of it all.

use core::net::SocketAddr;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant as StdInstant;

use event_listener::{Event as Signal, listener};
use pin_project_lite::pin_project;
use swim_core::Instant;
use swim_core::ids::{CommandId, StreamId};
use swim_core::node::input::{CommandError, Reply};
use swim_core::node::trace::Traced;

use crate::events::Consumers;
use crate::heal::Names;
use crate::runtime::Runtime;
use crate::snapshot::SnapshotFile;
use crate::streams::Mailbox;
use crate::trace::{Trace, TraceSink};

/// What the tasks of one cluster and its handles have in common.
pub(crate) struct Shared<R> {
    pub(crate) runtime: R,
    pub(crate) clock: Clock,
    pub(crate) guarded: Mutex<Guarded>,
    pub(crate) consumers: Consumers,
    /// Somebody has called the node: the loop looks at it again.
    pub(crate) called: Signal,
    pub(crate) stopping: Flag,
    /// No task is left and every socket is closed.
    pub(crate) ended: Flag,
    pub(crate) tasks: AtomicUsize,
    pub(crate) io: IoCounters,
    pub(crate) trace: Option<Arc<Trace>>,
    pub(crate) snapshot: Option<Arc<SnapshotFile>>,
    /// Of the seeds.
    pub(crate) names: Names,
    pub(crate) bound: SocketAddr,
    pub(crate) advertised: SocketAddr,
    /// How long a stream may take to say goodbye, and a name to be resolved.
    pub(crate) finish_timeout: Duration,
    pub(crate) closing_max: usize,
}

/// Longer than any process, and no clock overflows by it.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// What is only looked at under the lock, which is never held across an await.
pub(crate) struct Guarded {
    pub(crate) node: Traced<Option<TraceSink>>,
    pub(crate) waiters: HashMap<CommandId, Waiter>,
    /// Those that the node knows of.
    pub(crate) streams: HashMap<StreamId, Arc<Mailbox>>,
    /// Streams that the node has finished and whose tasks are still saying goodbye.
    pub(crate) closing: usize,
    pub(crate) stopped: bool,
}

impl<R: Runtime> Shared<R> {
    pub(crate) fn new(
        runtime: R,
        clock: Clock,
        node: Traced<Option<TraceSink>>,
        trace: Option<Arc<Trace>>,
        snapshot: Option<Arc<SnapshotFile>>,
        bound: SocketAddr,
        seeds: Vec<String>,
    ) -> Self {
        let config = node.node().config();
        Self {
            runtime,
            clock,
            consumers: Consumers::default(),
            called: Signal::new(),
            stopping: Flag::default(),
            ended: Flag::default(),
            tasks: AtomicUsize::new(0),
            io: IoCounters::default(),
            trace,
            snapshot,
            names: Names::new(seeds),
            bound,
            advertised: config.advertise,
            finish_timeout: config.swim.stream_timeout.min(FOREVER),
            closing_max: config.streams_max,
            guarded: Mutex::new(Guarded {
                node,
                waiters: HashMap::new(),
                streams: HashMap::new(),
                closing: 0,
                stopped: false,
            }),
        }
    }

    /// Calls the node. The time is taken under the lock, so that it never goes back from one call to the next.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Guarded, Instant) -> T) -> T {
        let mut guarded = lock(&self.guarded);
        let now = self.clock.now();
        call(&mut guarded, now)
    }

    /// Gives the node a command and registers who waits for its replies, in one step: the loop may deliver them at
    /// any time from then on.
    pub(crate) fn command<E>(
        &self,
        call: impl FnOnce(&mut Traced<Option<TraceSink>>, Instant) -> Result<CommandId, E>,
    ) -> Result<Command<'_, R>, CommandFailure<E>> {
        let id = self.with(|guarded, now| {
            if guarded.stopped {
                return Err(CommandFailure::Stopped);
            }
            let id = call(&mut guarded.node, now).map_err(CommandFailure::Refused)?;
            guarded.waiters.insert(id, Waiter::default());
            Ok(id)
        })?;
        self.called.notify(1);
        Ok(Command { shared: self, id })
    }

    /// Gives the node a command whose replies are wanted one by one.
    pub(crate) fn stream_command<E>(
        &self,
        call: impl FnOnce(&mut Traced<Option<TraceSink>>, Instant) -> Result<CommandId, E>,
    ) -> Result<CommandId, CommandFailure<E>> {
        let id = self.with(|guarded, now| {
            if guarded.stopped {
                return Err(CommandFailure::Stopped);
            }
            let id = call(&mut guarded.node, now).map_err(CommandFailure::Refused)?;
            guarded.waiters.insert(id, Waiter { streaming: true, ..Waiter::default() });
            Ok(id)
        })?;
        self.called.notify(1);
        Ok(id)
    }

    /// The next reply to such a command; `None` when it is over.
    pub(crate) fn poll_reply(&self, id: CommandId, cx: &Context<'_>) -> Poll<Option<Reply>> {
        // Dropped after the lock, as in `Command`.
        let _old;
        let mut guarded = lock(&self.guarded);
        let Some(waiter) = guarded.waiters.get_mut(&id) else { return Poll::Ready(None) };
        if let Some(reply) = waiter.replies.pop_front() {
            return Poll::Ready(Some(reply));
        }
        if waiter.done.is_some() {
            return Poll::Ready(None);
        }
        _old = waiter.waker.replace(cx.waker().clone());
        Poll::Pending
    }

    /// Nobody waits for this command any more.
    pub(crate) fn forget(&self, id: CommandId) {
        let waiter = lock(&self.guarded).waiters.remove(&id);
        // Not under the lock: a waker may be the last thing that holds a task, and the task a handle.
        drop(waiter);
    }

    /// Runs `task` as part of this cluster: the cluster has ended when it and all others have.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(self: &Arc<Self>, task: impl FnOnce(Arc<Self>) -> F) {
        let guard = TaskGuard::new(self.clone());
        self.runtime.spawn(Task { work: task(self.clone()), guard });
    }

    /// Tells everybody that it is over. What is left of it ends by itself, soon.
    pub(crate) fn stop(&self) {
        let waiters = self.with(|guarded, _| {
            guarded.stopped = true;
            guarded.streams.clear();
            core::mem::take(&mut guarded.waiters)
        });
        self.stopping.raise();
        self.called.notify(1);
        self.consumers.close();
        for waker in waiters.into_values().filter_map(|waiter| waiter.waker) {
            waker.wake();
        }
    }
}

pin_project! {
    /// A task that counts. An `async` block would keep the work twice.
    struct Task<F, R> {
        #[pin]
        work: F,
        // Dropped after everything that the work owns.
        guard: TaskGuard<R>,
    }
}

impl<F: Future<Output = ()>, R> Future for Task<F, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().work.poll(cx)
    }
}

/// Counts a task while it lives.
pub(crate) struct TaskGuard<R>(Arc<Shared<R>>);

impl<R: Runtime> TaskGuard<R> {
    pub(crate) fn new(shared: Arc<Shared<R>>) -> Self {
        shared.tasks.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl<R> Drop for TaskGuard<R> {
    fn drop(&mut self) {
        if self.0.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.raise();
        }
    }
}

/// Stops the cluster when the task that owns it ends, however it ends: without it the others would wait for ever.
pub(crate) struct StopGuard<R: Runtime>(pub(crate) Arc<Shared<R>>);

impl<R: Runtime> Drop for StopGuard<R> {
    fn drop(&mut self) {
        self.0.stop();
        // What a defect has left behind is not to be written down.
        let is_sound = !self.0.guarded.is_poisoned();
        if let Some(trace) = &self.0.trace {
            if is_sound {
                self.0.with(|guarded, _| guarded.node.checkpoint());
            }
            trace.close();
        }
        if let Some(snapshot) = &self.0.snapshot {
            if is_sound {
                self.0.with(|guarded, _| snapshot.follow(&mut guarded.node));
            }
            snapshot.close();
        }
    }
}

/// Who waits for the replies of one command.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    replies: VecDeque<Reply>,
    /// Wants each reply as it comes, not only the last.
    streaming: bool,
    done: Option<Result<(), CommandError>>,
    waker: Option<Waker>,
}

impl Waiter {
    /// Takes a reply; whom to wake, once the lock is free again.
    #[must_use]
    pub(crate) fn receive(&mut self, reply: Reply) -> Option<Waker> {
        match reply {
            Reply::Done(result) => {
                self.done = Some(result);
                self.waker.take()
            }
            reply @ (Reply::SeedReached(_) | Reply::SeedFailed(..) | Reply::Pong(_) | _) => {
                self.replies.push_back(reply);
                if self.streaming { self.waker.take() } else { None }
            }
        }
    }
}

/// What became of a command: everything before the last reply, and that.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) replies: Vec<Reply>,
    pub(crate) done: Result<(), CommandError>,
}

/// Why a command was not given to the node.
#[derive(Debug)]
pub(crate) enum CommandFailure<E> {
    Refused(E),
    Stopped,
}

/// The cluster stopped before the command was over.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Waits for a command. Dropping it forgets the waiter; the command itself goes on.
pub(crate) struct Command<'a, R: Runtime> {
    shared: &'a Shared<R>,
    id: CommandId,
}

impl<R: Runtime> Future for Command<'_, R> {
    type Output = Result<Outcome, Stopped>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Dropped after the lock: a waker may be the last thing that holds a task, and the task a handle.
        let _old;
        let mut guarded = lock(&self.shared.guarded);
        let Some(waiter) = guarded.waiters.get_mut(&self.id) else {
            return Poll::Ready(Err(Stopped));
        };
        match waiter.done {
            Some(done) => Poll::Ready(Ok(Outcome { replies: core::mem::take(&mut waiter.replies).into(), done })),
            None => {
                _old = waiter.waker.replace(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<R: Runtime> Drop for Command<'_, R> {
    fn drop(&mut self) {
        self.shared.forget(self.id);
    }
}

/// Maps the system's monotonic clock to the node's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(StdInstant);

impl Clock {
    /// Starts at the node's origin.
    pub(crate) fn start() -> Self {
        Self(StdInstant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::after_origin(self.0.elapsed())
    }

    /// When `at` will be; `None` is never.
    pub(crate) fn when(self, at: Instant) -> Option<StdInstant> {
        self.0.checked_add(Duration::from_nanos(at.as_nanos()))
    }
}

/// Something that happens once and that many may wait for.
#[derive(Debug, Default)]
pub(crate) struct Flag {
    raised: AtomicBool,
    changed: Signal,
}

impl Flag {
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.changed.notify(usize::MAX);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    pub(crate) async fn wait(&self) {
        loop {
            listener!(self.changed => changed);
            if self.is_raised() {
                return;
            }
            changed.await;
        }
    }
}

/// Troubles with sockets since the start. All only grow.
///
/// See the example of [`Cluster::io_stats`](crate::Cluster::io_stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoStats {
    /// Datagrams that the operating system refused to send.
    pub send_errors: u64,
    /// Datagrams given up because the socket had no room for too long.
    pub sends_blocked: u64,
    /// Failures to receive.
    pub receive_errors: u64,
    /// Failures to accept a connection.
    pub accept_errors: u64,
}

#[derive(Debug, Default)]
pub(crate) struct IoCounters {
    pub(crate) send_errors: AtomicU64,
    pub(crate) sends_blocked: AtomicU64,
    pub(crate) receive_errors: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
}

impl IoCounters {
    pub(crate) fn read(&self) -> IoStats {
        IoStats {
            send_errors: self.send_errors.load(Ordering::Relaxed),
            sends_blocked: self.sends_blocked.load(Ordering::Relaxed),
            receive_errors: self.receive_errors.load(Ordering::Relaxed),
            accept_errors: self.accept_errors.load(Ordering::Relaxed),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A poisoned lock still opens: the views stay readable. The loop is the one that notices, and stops.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
