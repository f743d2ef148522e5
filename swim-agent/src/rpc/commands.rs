//! The commands of a session, each from its request to its reply.

use core::time::Duration;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use swim_tokio::swim_core::serf::coordinate::Coordinate;
use swim_tokio::swim_core::serf::query::{Query, RespondError};
use swim_tokio::{AnswerError, KeyReport, Keys, KeysError};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tracing::info;

use crate::config::key;
use crate::events::filter::Filter as EventFilter;
use crate::log::Level;
use crate::rpc::filter::Filter;
use crate::rpc::messages::{Fields, KeyReply, member_value};
use crate::rpc::msgpack::Value;
use crate::rpc::records::{send_answers, send_events, send_log};
use crate::rpc::session::{After, Session, SessionError};
use crate::rpc::stats::stats;

/// A command, and what it says about the bytes that follow its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Handshake,
    Auth,
    Event,
    ForceLeave,
    Join,
    Members,
    MembersFiltered,
    Tags,
    Stream,
    Monitor,
    Stop,
    Leave,
    Query,
    Respond,
    InstallKey,
    UseKey,
    RemoveKey,
    ListKeys,
    Stats,
    GetCoordinate,
}

impl Command {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "handshake" => Self::Handshake,
            "auth" => Self::Auth,
            "event" => Self::Event,
            "force-leave" => Self::ForceLeave,
            "join" => Self::Join,
            "members" => Self::Members,
            "members-filtered" => Self::MembersFiltered,
            "tags" => Self::Tags,
            "stream" => Self::Stream,
            "monitor" => Self::Monitor,
            "stop" => Self::Stop,
            "leave" => Self::Leave,
            "query" => Self::Query,
            "respond" => Self::Respond,
            "install-key" => Self::InstallKey,
            "use-key" => Self::UseKey,
            "remove-key" => Self::RemoveKey,
            "list-keys" => Self::ListKeys,
            "stats" => Self::Stats,
            "get-coordinate" => Self::GetCoordinate,
            _ => return None,
        })
    }

    pub(super) fn has_body(self) -> bool {
        !matches!(self, Self::Members | Self::Leave | Self::ListKeys | Self::Stats)
    }
}

impl Session {
    pub(super) async fn execute(&mut self, command: Command, seq: u64) -> Result<After, SessionError> {
        match command {
            Command::Handshake => self.handshake(seq).await?,
            Command::Auth => self.auth(seq).await?,
            Command::Event => self.event(seq).await?,
            Command::ForceLeave => self.force_leave(seq).await?,
            Command::Join => self.join(seq).await?,
            Command::Members => {
                let members = self.agent.cluster.members().iter().map(member_value).collect();
                self.reply(seq, "", Some(Value::map([("Members", Value::List(members))]))).await?;
            }
            Command::MembersFiltered => self.members_filtered(seq).await?,
            Command::Tags => self.tags(seq).await?,
            Command::Stream => self.stream(seq).await?,
            Command::Monitor => self.monitor(seq).await?,
            Command::Stop => self.stop(seq).await?,
            Command::Leave => return self.leave(seq).await,
            Command::Query => self.query(seq).await?,
            Command::Respond => self.respond(seq).await?,
            Command::InstallKey => {
                info!(target: "agent", "Initiating key installation");
                self.change_key(seq, async |keys, key| keys.install(key).await).await?;
            }
            Command::UseKey => {
                info!(target: "agent", "Initiating primary key change");
                self.change_key(seq, async |keys, key| keys.use_key(key).await).await?;
            }
            Command::RemoveKey => {
                info!(target: "agent", "Initiating key removal");
                self.change_key(seq, async |keys, key| keys.remove(key).await).await?;
            }
            Command::ListKeys => {
                info!(target: "agent", "Initiating key listing");
                let report = self.agent.cluster.keys().unchecked().list().await;
                self.reply_keys(seq, report, true).await?;
            }
            Command::Stats => {
                let stats = stats(&self.agent);
                self.reply(seq, "", Some(stats)).await?;
            }
            Command::GetCoordinate => self.get_coordinate(seq).await?,
        }
        Ok(After::Continue)
    }

    async fn event(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = self.fields(&["Name", "Payload", "Coalesce"]).await?;
        let (name, payload, coalesce) = (body.bytes("Name")?, body.optional_bytes("Payload")?, body.flag("Coalesce")?);
        let sent = self.agent.user_event(&name, payload.as_deref(), coalesce);
        self.reply(seq, &text_of(sent), None).await
    }

    async fn force_leave(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = self.fields(&["Node", "Prune"]).await?;
        let (name, prune) = (body.bytes("Node")?, body.flag("Prune")?);
        let done = self.agent.force_leave(&name, prune).await;
        self.reply(seq, &text_of(done), None).await
    }

    async fn join(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = self.fields(&["Existing", "Replay"]).await?;
        let (existing, replay) = (body.texts("Existing")?, body.flag("Replay")?);
        let (error, reached) = match self.agent.join(&existing, replay).await {
            Ok(joined) => (String::new(), joined.reached),
            Err(error) => (error, 0),
        };
        self.reply(seq, &error, Some(Value::map([("Num", Value::Unsigned(reached as u64))]))).await
    }

    async fn members_filtered(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = self.fields(&["Tags", "Status", "Name"]).await?;
        let filter = Filter::new(body.text_map("Tags")?, &body.text("Status")?, &body.text("Name")?)
            .map_err(SessionError::Filter)?;
        let (mut passing, mut turn) = (Vec::new(), Instant::now());
        for member in self.agent.cluster.members() {
            if filter.matches(member.name.as_bytes(), member.status.as_str(), |key| member.tag(key)) {
                passing.push(member_value(&member));
            }
            // Expressions can be slow, and members many.
            if turn.elapsed() >= TURN {
                yield_now().await;
                turn = Instant::now();
            }
        }
        self.reply(seq, "", Some(Value::map([("Members", Value::List(passing))]))).await
    }

    async fn tags(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = self.fields(&["Tags", "DeleteTags"]).await?;
        let (set, delete) = (body.text_map("Tags")?, body.texts("DeleteTags")?);
        let done = self.agent.change_tags(&set, &delete).await;
        self.reply(seq, &text_of(done), None).await
    }

    async fn stream(&mut self, seq: u64) -> Result<(), SessionError> {
        let list = self.fields(&["Type"]).await?.text("Type")?;
        let filters = match EventFilter::parse_list(&list) {
            Ok(_) if self.streams.contains_key(&seq) => return self.reply(seq, STREAM_EXISTS, None).await,
            Ok(_) if self.is_full() => return self.reply(seq, TOO_MANY, None).await,
            Ok(filters) if filters.len() <= STREAM_FILTERS_MAX => filters,
            Ok(_) | Err(_) => return self.reply(seq, "Invalid event filter", None).await,
        };
        // Before the reply: what happens from then on must not be missed.
        let events = self.agent.occurrences.subscribe();
        self.reply(seq, "", None).await?;
        let (stop, stopped) = oneshot::channel();
        self.streams.insert(seq, stop);
        let queries = Arc::clone(&self.queries);
        self.tasks.spawn(send_events(Arc::clone(&self.outgoing), seq, filters, events, queries, stopped));
        Ok(())
    }

    async fn monitor(&mut self, seq: u64) -> Result<(), SessionError> {
        let name = self.fields(&["LogLevel"]).await?.text("LogLevel")?;
        let Ok(level) = Level::from_name(&name) else {
            return self.reply(seq, &format!("Unknown log level: {}", name.to_uppercase()), None).await;
        };
        if self.monitor.is_some() {
            return self.reply(seq, "Monitor already exists", None).await;
        }
        self.reply(seq, "", None).await?;
        let (stop, stopped) = oneshot::channel();
        self.monitor = Some((seq, stop));
        self.tasks.spawn(send_log(Arc::clone(&self.outgoing), seq, self.agent.history.watch(level), stopped));
        Ok(())
    }

    async fn stop(&mut self, seq: u64) -> Result<(), SessionError> {
        let started = self.fields(&["Stop"]).await?.unsigned("Stop")?;
        // Whoever has a monitor and a stream under one number stops both, as in Serf.
        self.streams.remove(&started);
        self.monitor.take_if(|(of, _)| *of == started);
        self.reply(seq, "", None).await
    }

    async fn query(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = self
            .fields(&["FilterNodes", "FilterTags", "RequestAck", "RelayFactor", "Timeout", "Name", "Payload"])
            .await?;
        let query = Asked::decode(&mut body)?;
        if self.is_full() {
            return self.reply(seq, TOO_MANY, None).await;
        }
        if query.name.starts_with(INTERNAL) && !query.is_ping() {
            return self.reply(seq, "Queries cannot contain the '_serf_' prefix", None).await;
        }
        match self.agent.query(&query.borrow(&query.node_slices(), &query.tag_slices())) {
            Ok(answers) => {
                self.reply(seq, "", None).await?;
                self.asked.spawn(send_answers(Arc::clone(&self.outgoing), seq, answers));
                Ok(())
            }
            Err(error) => self.reply(seq, &error.to_string(), None).await,
        }
    }

    fn is_full(&self) -> bool {
        self.streams.len() + self.asked.len() >= STREAMS_MAX
    }

    async fn respond(&mut self, seq: u64) -> Result<(), SessionError> {
        let mut body = self.fields(&["ID", "Payload"]).await?;
        let (number, payload) = (body.unsigned("ID")?, body.bytes("Payload")?);
        let query = self.queries.lock().unwrap_or_else(PoisonError::into_inner).get(number);
        let error = match query.map(|id| self.agent.cluster.respond(id, &payload)) {
            None | Some(Err(AnswerError::Respond(RespondError::PastDeadline))) => NO_QUERY.to_owned(),
            Some(Ok(())) => String::new(),
            Some(Err(error)) => format!("failed to respond to key query: {error}"),
        };
        self.reply(seq, &error, None).await
    }

    async fn change_key(
        &mut self,
        seq: u64,
        change: impl AsyncFnOnce(Keys<'_>, &[u8]) -> Result<KeyReport, KeysError>,
    ) -> Result<(), SessionError> {
        let text = self.fields(&["Key"]).await?.text("Key")?;
        match key::decode(&text) {
            Ok(key) => {
                let report = change(self.agent.cluster.keys().unchecked(), &key).await;
                self.reply_keys(seq, report, false).await
            }
            Err(error) => self.reply(seq, &error, Some(KeyReply::default().value())).await,
        }
    }

    async fn reply_keys(
        &mut self,
        seq: u64,
        report: Result<KeyReport, KeysError>,
        listing: bool,
    ) -> Result<(), SessionError> {
        match report {
            Ok(report) => {
                let error = if report.is_complete() { String::new() } else { report.to_string() };
                self.reply(seq, &error, Some(KeyReply::new(&report, listing).value())).await
            }
            Err(error) => self.reply(seq, &error.to_string(), Some(KeyReply::default().value())).await,
        }
    }

    async fn get_coordinate(&mut self, seq: u64) -> Result<(), SessionError> {
        let name = self.fields(&["Node"]).await?.bytes("Node")?;
        let coordinate = self.agent.cluster.coordinate(&name);
        let body = [("Coord", coordinate_value(coordinate.as_ref())), ("Ok", Value::Bool(coordinate.is_some()))];
        self.reply(seq, "", Some(Value::map(body))).await
    }
}

/// A query as a client puts it.
struct Asked {
    name: Vec<u8>,
    payload: Option<Vec<u8>>,
    nodes: Vec<String>,
    tags: Vec<(String, String)>,
    request_ack: bool,
    relay_factor: u8,
    timeout: Option<Duration>,
}

impl Asked {
    fn decode(body: &mut Fields) -> Result<Self, SessionError> {
        let timeout = body.signed_wide("Timeout")?;
        Ok(Self {
            nodes: body.texts("FilterNodes")?,
            tags: body.text_map("FilterTags")?.into_iter().collect(),
            request_ack: body.flag("RequestAck")?,
            relay_factor: body.byte("RelayFactor")?,
            // Zero is the default, also for the node. What is below zero is over at once, or as soon as can be.
            timeout: (timeout != 0).then(|| Duration::from_nanos(u64::try_from(timeout).unwrap_or(1))),
            name: body.bytes("Name")?,
            payload: body.optional_bytes("Payload")?,
        })
    }

    /// The one query of the nodes' own that clients may ask.
    fn is_ping(&self) -> bool {
        self.name == b"_serf_ping" && self.payload.as_ref().is_none_or(Vec::is_empty)
    }

    fn node_slices(&self) -> Vec<&[u8]> {
        self.nodes.iter().map(String::as_bytes).collect()
    }

    fn tag_slices(&self) -> Vec<(&str, &str)> {
        self.tags.iter().map(|(key, expression)| (key.as_str(), expression.as_str())).collect()
    }

    fn borrow<'a>(&'a self, filter_nodes: &'a [&'a [u8]], filter_tags: &'a [(&'a str, &'a str)]) -> Query<'a> {
        Query {
            name: &self.name,
            payload: self.payload.as_deref(),
            filter_nodes,
            filter_tags,
            request_ack: self.request_ack,
            relay_factor: self.relay_factor,
            timeout: self.timeout,
        }
    }
}

/// The error's text; success has none.
fn text_of<E: ToString>(result: Result<(), E>) -> String {
    result.map_or_else(|error| error.to_string(), |()| String::new())
}

fn coordinate_value(coordinate: Option<&Coordinate>) -> Value {
    let part = |of: fn(&Coordinate) -> f64| Value::Float(coordinate.map_or(0.0, of));
    let vec = coordinate.map_or(Value::Nil, |coordinate| {
        Value::List(coordinate.vec().iter().map(|component| Value::Float(*component)).collect())
    });
    Value::map([
        ("Adjustment", part(Coordinate::adjustment)),
        ("Error", part(Coordinate::error)),
        ("Height", part(Coordinate::height)),
        ("Vec", vec),
    ])
}

/// Names of the nodes' own queries begin so.
const INTERNAL: &[u8] = b"_serf_";
/// Streams and queries under way of one connection, together.
const STREAMS_MAX: usize = 512;
/// Filters of one stream.
const STREAM_FILTERS_MAX: usize = 256;
/// How long a request goes on before others have their turn.
const TURN: Duration = Duration::from_millis(1);

const STREAM_EXISTS: &str = "Stream with given sequence exists";
const TOO_MANY: &str = "Too many streams and queries on this connection";
const NO_QUERY: &str = "No pending queries matching ID";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_queries() {
        #[rustfmt::skip]
        let table = [
            (Value::Unsigned(0),         None),
            (Value::Unsigned(5),         Some(5)),
            (Value::Negative(-1),        Some(1)), // Zero would mean the default to the node.
            (Value::Negative(i64::MIN),  Some(1)),
        ];
        for (given, expected) in table {
            let text = format!("{given:?}");
            let mut body =
                Fields::new(Value::map([("Name", Value::text("q")), ("Timeout", given)]), &["Name", "Timeout"])
                    .unwrap();
            assert_eq!(Asked::decode(&mut body).unwrap().timeout, expected.map(Duration::from_nanos), "{text}");
        }
    }
}
