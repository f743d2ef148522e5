//! What a client is sent unasked after a command has started it: events, log lines, answers to a query.
//!
//! Each is a task. It is stopped only between two records, because half a record would spoil the connection; the end of
//! the session ends it anywhere.

use core::convert::Infallible;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use swim_tokio::swim_core::ids::QueryId;
use swim_tokio::{Answers, QueryAnswer};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tracing::warn;

use crate::events::Occurrence;
use crate::events::filter::Filter;
use crate::log::history::Watch;
use crate::rpc::messages::member_value;
use crate::rpc::msgpack::Value;
use crate::rpc::outgoing::Outgoing;

/// Dropping it stops the task between two records. The reply to whoever stops it comes after the last one: it waits its
/// turn behind a record that is being sent, or waits to be.
pub(crate) type Stop = oneshot::Sender<Infallible>;

/// Queries of which this connection has been told, by the numbers that it knows them by.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    last: u64,
    known: BTreeMap<u64, QueryId>,
}

impl Queries {
    pub(crate) fn get(&self, number: u64) -> Option<QueryId> {
        self.known.get(&number).copied()
    }

    fn add(&mut self, id: QueryId) -> u64 {
        self.last += 1;
        if self.known.len() == QUERIES_MAX {
            // Long past its deadline.
            self.known.pop_first();
        }
        self.known.insert(self.last, id);
        self.last
    }
}

/// Sends every event that one of `filters` wants.
pub(crate) async fn send_events(
    outgoing: Arc<Outgoing>,
    seq: u64,
    filters: Vec<Filter>,
    mut events: broadcast::Receiver<Arc<Occurrence>>,
    queries: Arc<Mutex<Queries>>,
    mut stop: oneshot::Receiver<Infallible>,
) {
    loop {
        let occurrence = tokio::select! {
            biased;
            _ = &mut stop => return,
            occurrence = events.recv() => occurrence,
        };
        let occurrence = match occurrence {
            Ok(occurrence) => occurrence,
            Err(RecvError::Lagged(count)) => {
                warn!(target: "agent.ipc", "Dropping event to stream {seq}: its client is {count} events behind");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        if !filters.iter().any(|filter| filter.matches(&occurrence)) {
            continue;
        }
        if outgoing.send_record(seq, || record(&occurrence, &queries)).await.is_err() {
            return;
        }
    }
}

fn record(occurrence: &Occurrence, queries: &Mutex<Queries>) -> Value {
    let kind = Value::text(occurrence.kind());
    match occurrence {
        Occurrence::Members { members, .. } => {
            Value::map([("Event", kind), ("Members", Value::List(members.iter().map(member_value).collect()))])
        }
        Occurrence::User { ltime, name, payload, coalesce } => Value::map([
            ("Coalesce", Value::Bool(*coalesce)),
            ("Event", kind),
            ("LTime", ltime.0.into()),
            ("Name", Value::text(name)),
            ("Payload", optional_bytes(payload.as_deref())),
        ]),
        Occurrence::Query { id, ltime, name, payload, .. } => {
            let number = queries.lock().unwrap_or_else(PoisonError::into_inner).add(*id);
            Value::map([
                ("Event", kind),
                ("ID", number.into()),
                ("LTime", ltime.0.into()),
                ("Name", Value::text(name.as_bytes())),
                ("Payload", Value::Bytes(payload.to_vec())),
            ])
        }
    }
}

fn optional_bytes(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Nil, |bytes| Value::Bytes(bytes.to_vec()))
}

/// Sends log lines: some old ones, then each as it comes.
pub(crate) async fn send_log(
    outgoing: Arc<Outgoing>,
    seq: u64,
    mut watch: Watch,
    mut stop: oneshot::Receiver<Infallible>,
) {
    loop {
        let line = tokio::select! {
            biased;
            _ = &mut stop => return,
            line = watch.next() => line,
        };
        let Some(line) = line else { return };
        if outgoing.send_record(seq, || Value::map([("Log", Value::text(line.as_bytes()))])).await.is_err() {
            return;
        }
    }
}

/// Sends the answers to a query and, at its deadline, that there will be no more.
pub(crate) async fn send_answers(outgoing: Arc<Outgoing>, seq: u64, mut answers: Answers) {
    let record = |kind: &str, from: &[u8], payload: Value| {
        Value::map([("From", Value::text(from)), ("Payload", payload), ("Type", Value::text(kind))])
    };
    loop {
        let (body, done) = match answers.next().await {
            Some(QueryAnswer::Ack { from }) => (record("ack", from.as_bytes(), Value::Nil), false),
            Some(QueryAnswer::Response { from, payload }) => {
                (record("response", from.as_bytes(), Value::Bytes(payload.into_vec())), false)
            }
            // Kinds of answers that Serf's clients have never heard of are not for them.
            Some(_) => continue,
            None => (record("done", b"", Value::Nil), true),
        };
        if outgoing.send_record(seq, || body).await.is_err() || done {
            return;
        }
    }
}

/// Queries that one connection can answer at a time.
const QUERIES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use swim_tokio::swim_core::ids::LamportTime;
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;
    use crate::events::OCCURRENCES_MAX;
    use crate::log::console::Console;
    use crate::log::{Format, Level, Log};
    use crate::rpc::msgpack::Framer;

    /// What comes of so many events while the client does not read: their times, and what the log says.
    async fn behind(count: u64) -> (Vec<u64>, Vec<String>) {
        let log = Log::new(Console::new(), Level::Err, Format::Text, None);
        let logged = tracing::subscriber::set_default(log.clone());
        let events = broadcast::Sender::new(OCCURRENCES_MAX);
        let receiver = events.subscribe();
        for n in 1..=count {
            let (ltime, name) = (LamportTime(n), b"e"[..].into());
            events.send(Arc::new(Occurrence::User { ltime, name, payload: None, coalesce: false })).unwrap();
        }
        drop(events);
        let (near, mut far) = duplex(1 << 20);
        let (_stop, stop) = oneshot::channel();
        send_events(Arc::new(Outgoing::new(Box::new(near))), 7, vec![Filter::Any], receiver, Arc::default(), stop)
            .await;
        drop(logged);

        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.unwrap();
        let (mut rest, mut times) = (&bytes[..], Vec::new());
        while let Some(len) = Framer::new(usize::MAX).advance(rest).unwrap() {
            if let Ok(Value::Map(entries)) = Value::decode(&rest[..len]) {
                let time = entries.iter().find(|(key, _)| *key == Value::text("LTime"));
                times.extend(time.and_then(|(_, time)| time.as_unsigned()));
            }
            rest = &rest[len..];
        }
        let mut watch = log.history().watch(Level::Debug);
        drop(log);
        let mut lines = Vec::new();
        while let Some(line) = watch.next().await {
            lines.push(line.split_once("] ").unwrap().1.to_owned());
        }
        (times, lines)
    }

    #[tokio::test]
    async fn events_that_wait_are_bounded() {
        assert_eq!(behind(1024).await, ((1..=1024).collect(), vec![]));
        let dropped = "agent.ipc: Dropping event to stream 7: its client is 1 events behind";
        assert_eq!(behind(1025).await, ((2..=1025).collect(), vec![dropped.to_owned()]));
    }

    #[test]
    fn queries_are_numbered_and_the_oldest_are_forgotten() {
        let mut queries = Queries::default();
        for n in 0..QUERIES_MAX as u64 + 1 {
            assert_eq!(queries.add(QueryId(n + 100)), n + 1);
        }
        assert_eq!((queries.get(0), queries.get(1)), (None, None));
        assert_eq!(queries.get(2), Some(QueryId(101)));
        assert_eq!(queries.known.len(), QUERIES_MAX);
    }
}
