//! Event handlers: which scripts are run, and when (Serf: `event_handler.go`).
//!
//! As in Serf, one script runs at a time, in the order of the events, unless more are allowed. Then a handler still has
//! one run at a time, in order, but never waits for another handler. The agent itself and its RPC streams never wait
//! for any.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use swim_tokio::EVENTS_MAX;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;
use tracing::warn;

use crate::agent::Agent;
use crate::events::filter::Filter;
use crate::events::{Occurrence, script};
use crate::log::quota::Quota;

/// A script, and what it is run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    pub(crate) filter: Filter,
    pub(crate) script: String,
}

impl Handler {
    /// Reads `filter=script`: one handler for each item of the filter. Without a filter, it is run for every event.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, String> {
        let (filter, script) = text.split_once('=').unwrap_or(("", text));
        let filters = Filter::parse_list(filter)
            .map_err(|invalid| format!("Invalid event script: Event '{}' invoking '{script}'", invalid.0))?;
        Ok(filters.into_iter().map(|filter| Self { filter, script: script.to_owned() }).collect())
    }

    /// Reads all of them.
    pub(crate) fn parse_all(texts: &[String]) -> Result<Vec<Arc<Self>>, String> {
        let mut handlers = Vec::new();
        for text in texts {
            handlers.extend(Self::parse(text)?.into_iter().map(Arc::new));
        }
        Ok(handlers)
    }
}

/// How handlers are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Scripts that run at the same time, at least 1.
    pub(crate) at_once: usize,
    /// How long one may run before it is killed.
    pub(crate) limit: Option<Duration>,
    /// Events that wait for one handler; more are dropped.
    pub(crate) queue_max: usize,
    /// An event that finds its handler busy is not waited with, but dropped.
    pub(crate) skip_busy: bool,
}

/// The handlers of an agent. Clones are the same.
#[derive(Clone)]
pub(crate) struct Handlers {
    list: Arc<Mutex<Vec<Arc<Handler>>>>,
    /// The list is another.
    replaced: Arc<Notify>,
    jobs: Sender<Arc<Occurrence>>,
}

impl Handlers {
    /// Starts the task that runs them. It ends with the last clone.
    pub(crate) fn start(list: Vec<Arc<Handler>>, policy: Policy, agent: Arc<Agent>) -> Self {
        let list = Arc::new(Mutex::new(list));
        let (jobs, mut incoming) = channel::<Arc<Occurrence>>(EVENTS_MAX);
        let replaced = Arc::new(Notify::new());
        let handlers = Self { list: Arc::clone(&list), replaced: Arc::clone(&replaced), jobs };
        tokio::spawn(async move {
            let mut queue = Queue::new(policy);
            let mut runs = JoinSet::new();
            loop {
                // Waits for any of them; the queue itself is bounded.
                tokio::select! {
                    // Before another run begins, so that none is of a handler that is gone.
                    biased;
                    () = replaced.notified() => queue.retain(&lock(&list)),
                    Some(ended) = runs.join_next() => {
                        if let Ok(handler) = ended {
                            queue.ended(&handler);
                        }
                    }
                    occurrence = incoming.recv() => {
                        let Some(occurrence) = occurrence else { return };
                        let wanted = matching(&list, &occurrence);
                        wanted.into_iter().for_each(|handler| queue.add(handler, &occurrence));
                    }
                }
                while let Some((handler, occurrence)) = queue.next() {
                    let agent = Arc::clone(&agent);
                    runs.spawn(async move {
                        run(&agent, &handler, &occurrence, policy.limit).await;
                        handler
                    });
                }
            }
        });
        handlers
    }

    /// Runs whoever wants it, soon.
    pub(crate) fn handle(&self, occurrence: &Arc<Occurrence>) {
        // Most agents have no handlers at all.
        if !matching(&self.list, occurrence).is_empty() {
            // The task lives as long as we do. As many wait for it as for us: if more do, it does not get its turn.
            if let Err(TrySendError::Full(_)) = self.jobs.try_send(Arc::clone(occurrence))
                && NOT_RUNNING.may_say()
            {
                warn!(target: "agent", "Not running any script for {}: too many events wait", occurrence.describe());
            }
        }
    }

    /// Takes over another list. What is running goes on; what waits for a handler that is not in it is dropped.
    pub(crate) fn replace(&self, list: Vec<Arc<Handler>>) {
        let mut current = lock(&self.list);
        let old = core::mem::take(&mut *current);
        *current = known_again(old, list);
        drop(current);
        self.replaced.notify_one();
    }
}

/// `list` with what is in `old` as well taken from there, each once: a handler that stays is the same one, with what it
/// runs and what waits for it.
fn known_again(mut old: Vec<Arc<Handler>>, list: Vec<Arc<Handler>>) -> Vec<Arc<Handler>> {
    let find = |handler| match old.iter().position(|other| *other == handler) {
        Some(index) => old.remove(index),
        None => handler,
    };
    list.into_iter().map(find).collect()
}

fn matching(list: &Mutex<Vec<Arc<Handler>>>, occurrence: &Occurrence) -> Vec<Arc<Handler>> {
    lock(list).iter().filter(|handler| handler.filter.matches(occurrence)).cloned().collect()
}

fn lock(list: &Mutex<Vec<Arc<Handler>>>) -> MutexGuard<'_, Vec<Arc<Handler>>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(agent: &Agent, handler: &Handler, occurrence: &Occurrence, limit: Option<Duration>) {
    let started = Instant::now();
    let answer = script::run(&handler.script, occurrence, &agent.cluster.local(), limit).await;
    agent.metrics.invoked(&handler.filter.to_string(), &handler.script, started.elapsed());
    if let (Some(answer), Occurrence::Query { id, name, .. }) = (answer, occurrence)
        && let Err(error) = agent.cluster.respond(*id, &answer)
    {
        warn!(target: "agent", "Failed to respond to query 'query: {name}': failed to respond to key query: {error}");
    }
}

static NOT_RUNNING: Quota = Quota::new("not running scripts");

/// What is to be run, and what is running.
struct Queue {
    policy: Policy,
    waiting: VecDeque<(Arc<Handler>, Arc<Occurrence>)>,
    running: Vec<Arc<Handler>>,
}

impl Queue {
    fn new(policy: Policy) -> Self {
        Self { policy, waiting: VecDeque::new(), running: Vec::new() }
    }

    fn add(&mut self, handler: Arc<Handler>, occurrence: &Arc<Occurrence>) {
        let waiting = self.waiting.iter().filter(|(other, _)| Arc::ptr_eq(other, &handler)).count();
        let busy = waiting > 0 || self.is_running(&handler);
        if waiting >= self.policy.queue_max || (busy && self.policy.skip_busy) {
            if NOT_RUNNING.may_say() {
                let (script, what) = (&handler.script, occurrence.describe());
                let why =
                    if waiting >= self.policy.queue_max { "too many events wait for it" } else { "it still runs" };
                warn!(target: "agent", "Not running script '{script}' for {what}: {why}");
            }
            return;
        }
        self.waiting.push_back((handler, Arc::clone(occurrence)));
    }

    /// Drops what waits for handlers that are not in `list`.
    fn retain(&mut self, list: &[Arc<Handler>]) {
        self.waiting.retain(|(handler, occurrence)| {
            let stays = list.iter().any(|other| Arc::ptr_eq(other, handler));
            if !stays {
                let (script, what) = (&handler.script, occurrence.describe());
                warn!(target: "agent", "Not running script '{script}' for {what}: it is no longer configured");
            }
            stays
        });
    }

    /// What is to be run now.
    fn next(&mut self) -> Option<(Arc<Handler>, Arc<Occurrence>)> {
        if self.running.len() >= self.policy.at_once {
            return None;
        }
        let index = self.waiting.iter().position(|(handler, _)| !self.is_running(handler))?;
        let (handler, occurrence) = self.waiting.remove(index)?;
        self.running.push(Arc::clone(&handler));
        Some((handler, occurrence))
    }

    fn ended(&mut self, handler: &Arc<Handler>) {
        if let Some(index) = self.running.iter().position(|running| Arc::ptr_eq(running, handler)) {
            self.running.swap_remove(index);
        }
    }

    fn is_running(&self, handler: &Arc<Handler>) -> bool {
        self.running.iter().any(|running| Arc::ptr_eq(running, handler))
    }
}

#[cfg(test)]
mod tests {
    use swim_tokio::swim_core::ids::LamportTime;

    use super::*;

    const SERFS: Policy = Policy { at_once: 1, limit: None, queue_max: 3, skip_busy: false };

    fn event(n: u64) -> Arc<Occurrence> {
        Arc::new(Occurrence::User { ltime: LamportTime(n), name: (*b"e").into(), payload: None, coalesce: false })
    }

    fn handler(script: &str) -> Arc<Handler> {
        Arc::new(Handler { filter: Filter::Any, script: script.into() })
    }

    /// Runs of a queue, each as the script's name and the event's number.
    fn next(queue: &mut Queue) -> Option<String> {
        let (handler, occurrence) = queue.next()?;
        let Occurrence::User { ltime, .. } = &*occurrence else { panic!("{occurrence:?}") };
        Some(format!("{}{}", handler.script, ltime.0))
    }

    #[test]
    fn texts() {
        let filters = |text: &str| {
            Handler::parse(text).map(|handlers| {
                handlers.iter().map(|handler| format!("{} {}", handler.filter, handler.script)).collect::<Vec<_>>()
            })
        };
        assert_eq!(filters("/x"), Ok(vec!["*: /x".into()]));
        assert_eq!(filters("user:a,query=/x -y=z"), Ok(vec!["user:a /x -y=z".into(), "query: /x -y=z".into()]));
        assert_eq!(filters("*=FOO=1 cmd"), Ok(vec!["*: FOO=1 cmd".into()]));
        assert_eq!(filters("bogus=/x"), Err("Invalid event script: Event 'bogus' invoking '/x'".into()));
    }

    #[test]
    fn one_at_a_time_in_order() {
        let (a, b) = (handler("a"), handler("b"));
        let mut queue = Queue::new(SERFS);
        for n in 1..=2 {
            for handler in [&a, &b] {
                queue.add(Arc::clone(handler), &event(n));
            }
        }
        for (ran, expected) in [(&a, "a1"), (&b, "b1"), (&a, "a2"), (&b, "b2")] {
            assert_eq!(next(&mut queue).as_deref(), Some(expected));
            assert_eq!(next(&mut queue), None);
            queue.ended(ran);
        }
        assert_eq!(next(&mut queue), None);
    }

    #[test]
    fn a_slow_one_holds_up_only_itself() {
        let (a, b) = (handler("a"), handler("b"));
        let mut queue = Queue::new(Policy { at_once: 2, ..SERFS });
        for n in 1..=3 {
            queue.add(Arc::clone(&a), &event(n));
            queue.add(Arc::clone(&b), &event(n));
        }
        assert_eq!(next(&mut queue).as_deref(), Some("a1"));
        for expected in ["b1", "b2", "b3"] {
            assert_eq!(next(&mut queue).as_deref(), Some(expected));
            assert_eq!(next(&mut queue), None);
            queue.ended(&b);
        }
        assert_eq!(next(&mut queue), None);
        queue.ended(&a);
        assert_eq!(next(&mut queue).as_deref(), Some("a2"));
    }

    #[test]
    fn what_waits_for_the_task_is_bounded() {
        let (jobs, incoming) = channel(EVENTS_MAX);
        let handlers = Handlers { list: Arc::new(Mutex::new(vec![handler("a")])), replaced: Arc::default(), jobs };
        for (more, waiting) in [(EVENTS_MAX, EVENTS_MAX), (1, EVENTS_MAX)] {
            (0..more).for_each(|_| handlers.handle(&event(1)));
            assert_eq!(incoming.len(), waiting);
        }
    }

    /// As many as there are in both lists are the same ones.
    #[test]
    fn handlers_that_stay_are_known_again() {
        let (a, b, twice) = (handler("a"), handler("b"), handler("a"));
        let new = ["c", "a", "a", "a"].map(handler);
        let list = known_again(vec![Arc::clone(&a), b, Arc::clone(&twice)], new.to_vec());
        let expected = [&new[0], &a, &twice, &new[3]];
        assert_eq!(list.len(), 4);
        assert!(list.iter().zip(expected).all(|(found, expected)| Arc::ptr_eq(found, expected)), "{list:?}");
    }

    #[test]
    fn what_waits_for_a_handler_that_is_gone_is_dropped() {
        let (a, b) = (handler("a"), handler("b"));
        let mut queue = Queue::new(SERFS);
        for n in 1..=2 {
            queue.add(Arc::clone(&a), &event(n));
            queue.add(Arc::clone(&b), &event(n));
        }
        assert_eq!(next(&mut queue).as_deref(), Some("a1"));
        queue.retain(&[Arc::clone(&b)]);
        assert_eq!(next(&mut queue), None, "what is running goes on");
        queue.ended(&a);
        for expected in ["b1", "b2"] {
            assert_eq!(next(&mut queue).as_deref(), Some(expected));
            queue.ended(&b);
        }
        assert_eq!(next(&mut queue), None);
    }

    #[test]
    fn queues_are_bounded_and_the_busy_can_be_skipped() {
        let a = handler("a");
        let mut queue = Queue::new(SERFS);
        (1..=5).for_each(|n| queue.add(Arc::clone(&a), &event(n)));
        assert_eq!(queue.waiting.len(), 3);
        let mut queue = Queue::new(Policy { skip_busy: true, ..SERFS });
        (1..=2).for_each(|n| queue.add(Arc::clone(&a), &event(n)));
        assert_eq!(queue.waiting.len(), 1);
        assert_eq!(next(&mut queue).as_deref(), Some("a1"));
        queue.add(Arc::clone(&a), &event(3));
        assert_eq!(queue.waiting.len(), 0);
    }
}
