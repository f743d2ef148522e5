//! Questions to the cluster (serf-layer.md 10): asking one and collecting what comes back, hearing one and answering it,
//! and passing answers on for those who cannot reach each other.
//!
//! A query is gossiped; acks and answers come straight back by datagram, and, if the asker wants so, once more by way of
//! other members. What the nodes ask each other is in `internal_query.rs`, whom a query is for in `filter.rs`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use crate::cx::Cx;
use crate::ids::{CommandId, LamportTime, Name, QueryId};
use crate::log::{Escaped, log_some};
use crate::serf::Serf;
use crate::serf::event::Event;
use crate::serf::internal_query::{INTERNAL_PREFIX, KeyCommand, KeyTask};
use crate::serf::key_change::KeyChanges;
use crate::serf::member::Status;
use crate::serf::queues::Queue;
use crate::swim::Swim;
use crate::swim::broadcast::{BroadcastQueue, retransmit_limit};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::key_text::KeyText;
use crate::wire::message::Bytes;
use crate::wire::serf::{self, Destination, QueryResponse, Relay, SerfMessage, flag};

/// A question to everybody, or to some.
///
/// ```
/// use swim_core::Event;
/// use swim_core::serf::query::Query;
/// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
/// # use pair::*;
/// # let mut now = swim_core::Instant::ZERO;
/// # let (mut web, mut db) = (config("web-1", 7946), config("db-1", 7947));
/// # web.tags.insert("role", "web");
/// # let (mut a, mut b) = (node(web, now), node(db, now));
/// # a.join(now, &[b.local().address()], false);
/// # run(&mut now, [&mut a, &mut b], 2);
///
/// let filter_tags = &[("role", "^web$")];
/// b.query(now, Query { name: b"load", filter_tags, request_ack: true, ..Query::default() })?;
/// # run(&mut now, [&mut a, &mut b], 2);
/// let asked = |node: &mut swim_core::Node| {
///     std::iter::from_fn(|| node.poll_event()).any(|event| matches!(event, Event::Query { .. }))
/// };
/// assert!(asked(&mut a), "a web server");
/// assert!(!asked(&mut b), "not the database that asks");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// What is asked; applications agree on the meaning. Names that begin with `_serf_` are the nodes' own: they reach
    /// no application.
    pub name: &'a [u8],
    /// What goes with it.
    pub payload: Option<&'a [u8]>,
    /// Only these members are asked; empty: everybody.
    pub filter_nodes: &'a [&'a [u8]],
    /// Only members are asked whose tag of this key matches this expression, for each pair: RE2 syntax, not anchored. A
    /// tag that is not set counts as empty.
    pub filter_tags: &'a [(&'a str, &'a str)],
    /// Whether each member is to say that it has heard the question, before it answers.
    pub request_ack: bool,
    /// By way of how many other members each ack and answer is sent once more.
    pub relay_factor: u8,
    /// How long answers are waited for. `None` or zero: by the size of the cluster, see
    /// [`Node::query`](crate::Node::query).
    pub timeout: Option<Duration>,
}

/// Queries of one node: its own, and those of others that it has heard of.
#[derive(Debug)]
pub(crate) struct Queries {
    /// What we asked and whose deadline has not passed. By identifier, too: at the end of the clock all have one time.
    running: BTreeMap<(LamportTime, u32), Running>,
    /// What the application may still answer.
    pending: BTreeMap<QueryId, Pending>,
    last_id: u64,
    /// Which queries we have seen, by time. Grown to its size when the first comes.
    ring: Vec<Seen>,
    /// Queries from before are not looked at.
    pub(super) min_time: LamportTime,
    /// New ones in the packet at hand.
    in_packet: usize,
    /// One of them is answered by way of others.
    relayed: bool,
    /// Until when those who send expressions to compile have used up what they may.
    pub(super) compiling_until: Instant,
    pub(super) broadcasts: BroadcastQueue,
    answers: VecDeque<(CommandId, Answer)>,
    pub(super) key_tasks: VecDeque<KeyTask>,
    pub(super) key_changes: KeyChanges,
    /// Changes of keys that wait for the one under way.
    pub(super) key_commands: VecDeque<(CommandId, KeyCommand)>,
    pub(super) conflict: Conflict,
}

/// Whether our name is in dispute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// It is ours, as far as we know.
    #[default]
    None,
    /// Somebody else claims it: the others are to be asked.
    Noticed,
    /// They are being asked.
    Asking,
    /// It is not ours.
    Lost,
}

/// What a query of ours has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Members(usize),
    Ack { from: Name },
    Response { from: Name, payload: Box<[u8]> },
    Key { from: Name, result: bool, message: String, keys: Vec<KeyText>, primary: Option<KeyText> },
    Done,
}

/// A query of ours.
#[derive(Debug)]
struct Running {
    asker: Asker,
    deadline: Instant,
    request_ack: bool,
    /// Acks that are taken, and answers.
    capacity: usize,
    acked: BTreeSet<Name>,
    answered: BTreeSet<Name>,
}

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Application(CommandId),
    /// A change or a listing of keys; so many members are to answer.
    Keys {
        command: CommandId,
        members: usize,
        changes: bool,
    },
    /// Ourselves, about our name.
    Conflict {
        responses: usize,
        matching: usize,
    },
}

/// Where the answer to a query goes.
#[derive(Clone, Debug)]
pub(super) struct Return {
    pub(super) ltime: LamportTime,
    pub(super) id: u32,
    pub(super) address: SocketAddr,
    /// The asker.
    pub(super) name: Name,
    pub(super) relay_factor: u8,
    pub(super) deadline: Instant,
}

#[derive(Debug)]
struct Pending {
    to: Return,
    answered: bool,
}

/// The queries of one time.
#[derive(Debug, Default)]
struct Seen {
    ltime: LamportTime,
    ids: Vec<u32>,
}

impl Queries {
    pub(super) fn new() -> Self {
        Self {
            running: BTreeMap::new(),
            pending: BTreeMap::new(),
            last_id: 0,
            ring: Vec::new(),
            min_time: LamportTime(0),
            in_packet: 0,
            relayed: false,
            compiling_until: Instant::ZERO,
            broadcasts: BroadcastQueue::default(),
            answers: VecDeque::new(),
            key_tasks: VecDeque::new(),
            key_changes: KeyChanges::default(),
            key_commands: VecDeque::new(),
            conflict: Conflict::None,
        }
    }

    pub(super) fn tell(&mut self, command: CommandId, answer: Answer) {
        self.answers.push_back((command, answer));
    }

    /// Checked after each step of a test: everything that ends has its timer.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn check(&self, timers: &crate::timers::Timers) {
        for (ltime, id) in self.running.keys() {
            assert!(timers.deadline(Timer::Query(*ltime, *id)).is_some(), "every query of ours ends");
        }
        for id in self.pending.keys() {
            assert!(timers.deadline(Timer::PendingQuery(*id)).is_some(), "every query of others ends");
        }
        assert!(self.pending.len() <= PENDING_MAX && self.key_tasks.is_empty() && self.answers.is_empty());
        self.key_changes.check();
    }

    /// Whether a change of keys is under way.
    pub(super) fn changes_keys(&self) -> bool {
        self.running.values().any(|running| matches!(running.asker, Asker::Keys { changes: true, .. }))
    }
}

/// Asking.
impl Serf {
    /// Asks for the application. What comes of it is told by [`poll_answer`](Self::poll_answer).
    pub(crate) fn query(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        command: CommandId,
        query: &Query<'_>,
    ) -> Result<(), QueryError> {
        self.ask(cx, swim, query, Asker::Application(command))
    }

    pub(super) fn ask(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        query: &Query<'_>,
        asker: Asker,
    ) -> Result<(), QueryError> {
        if self.config.protocol < FIRST_WITH_QUERIES {
            return Err(QueryError::Unsupported);
        }
        let members = live_members(swim);
        let timeout = query.timeout.filter(|timeout| !timeout.is_zero()).unwrap_or_else(|| {
            // Who does not gossip waits as long as others, or our own name would be lost before anybody could answer.
            let interval = Some(swim.config().gossip_interval).filter(|interval| !interval.is_zero());
            let limit = retransmit_limit(self.config.query_timeout_mult, members);
            interval.unwrap_or(GOSSIP_INTERVAL).saturating_mul(limit)
        });
        let ltime = self.query_clock.time();
        let mut id = new_id(cx);
        while self.queries.running.contains_key(&(ltime, id)) {
            id = new_id(cx);
        }
        let message = self.encode_query(cx, query, ltime, id, timeout);
        let max = self.config.query_size_limit;
        if message.len() > max {
            return Err(QueryError::TooLarge { len: message.len(), max });
        }
        if !self.make_room_to_ask(cx, swim) {
            return Err(QueryError::Busy);
        }
        if let Asker::Keys { command, members, .. } = asker {
            self.queries.tell(command, Answer::Members(members));
        }
        let deadline = cx.now + timeout;
        let running = Running {
            asker,
            deadline,
            request_ack: query.request_ack,
            capacity: answers_max(members),
            acked: BTreeSet::new(),
            answered: BTreeSet::new(),
        };
        self.queries.running.insert((ltime, id), running);
        cx.timers.arm(Timer::Query(ltime, id), deadline);
        // We are one of those asked.
        if let Ok(SerfMessage::Query(query)) = self.codec.decode_serf(&message) {
            self.begin_packet();
            self.handle_query(cx, swim, &query);
        }
        self.queue_query(cx, swim, &message);
        Ok(())
    }

    /// Ends the application's oldest query if too many run: how long each does is the application's choice, or that of
    /// whoever it asks for, who may be gone long before. Whether there is room.
    fn make_room_to_ask(&mut self, cx: &mut Cx<'_>, swim: &mut Swim) -> bool {
        if self.queries.running.len() < RUNNING_MAX {
            return true;
        }
        let mut running = self.queries.running.iter();
        let oldest = running.find(|(_, running)| matches!(running.asker, Asker::Application(_)));
        let Some(key) = oldest.map(|(key, _)| *key) else { return false };
        cx.timers.disarm(Timer::Query(key.0, key.1));
        cx.stats.queries_over_limit += 1;
        self.end_query(cx, swim, key);
        true
    }

    fn encode_query(&self, cx: &Cx<'_>, query: &Query<'_>, ltime: LamportTime, id: u32, timeout: Duration) -> Vec<u8> {
        let mut filters = Vec::new();
        if !query.filter_nodes.is_empty() {
            let mut filter = Vec::new();
            self.codec.encode_node_filter(query.filter_nodes, &mut filter);
            filters.push(filter);
        }
        for (tag, expr) in query.filter_tags {
            let mut filter = Vec::new();
            self.codec.encode_tag_filter(tag.as_bytes(), expr.as_bytes(), &mut filter);
            filters.push(filter);
        }
        let address = cx.roster.address(self.local);
        let query = serf::Query {
            ltime,
            id,
            ip: Some(address.ip()),
            port: address.port(),
            source_node: cx.roster.slot(self.local).name.as_bytes(),
            filters: &filters,
            flags: if query.request_ack { flag::ACK } else { 0 },
            relay_factor: query.relay_factor,
            timeout: i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX),
            name: query.name,
            payload: query.payload.map(Bytes::from),
        };
        let mut message = Vec::new();
        self.codec.encode_serf_query(&query, &mut message);
        message
    }

    /// An ack or an answer has come, to a query of ours if all is well.
    pub(super) fn handle_query_response(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, response: &QueryResponse<'_>) {
        log_some!(cx, DEBUG, "query_response", member = Escaped(response.from), time = response.ltime);
        let key = (response.ltime, response.id);
        let ack = response.is_ack();
        let running = self.queries.running.get_mut(&key);
        let wanted = running.filter(|running| cx.now < running.deadline && (running.request_ack || !ack));
        let Some(running) = wanted else {
            log_some!(cx, WARN, "query_response_unmatched", member = Escaped(response.from), time = response.ltime);
            cx.stats.query_responses_unmatched += 1;
            return;
        };
        let heard = if ack { &mut running.acked } else { &mut running.answered };
        if heard.contains(response.from) {
            cx.stats.query_duplicate_acks += u64::from(ack);
            cx.stats.query_duplicate_responses += u64::from(!ack);
            return;
        }
        if heard.len() >= running.capacity {
            log_some!(cx, WARN, "query_response_over_limit", member = Escaped(response.from), time = response.ltime);
            cx.stats.query_responses_over_limit += 1;
            return;
        }
        heard.insert(response.from.into());
        let heard = heard.len();
        cx.stats.query_acks += u64::from(ack);
        cx.stats.query_responses += u64::from(!ack);
        let (from, payload) = (Name::from(response.from), response.payload.as_deref().unwrap_or_default());
        let asker = running.asker;
        match asker {
            Asker::Application(command) if ack => self.queries.tell(command, Answer::Ack { from }),
            Asker::Application(command) => {
                self.queries.tell(command, Answer::Response { from, payload: payload.into() });
            }
            Asker::Keys { command, members, .. } => {
                let answer = self.read_key_response(from, payload);
                self.queries.tell(command, answer);
                if heard >= members {
                    cx.timers.disarm(Timer::Query(key.0, key.1));
                    self.end_query(cx, swim, key);
                }
            }
            Asker::Conflict { responses, matching } => {
                let Some(agrees) = self.is_our_claim(cx, payload) else { return };
                if let Some(running) = self.queries.running.get_mut(&key) {
                    let matching = matching + usize::from(agrees);
                    running.asker = Asker::Conflict { responses: responses + 1, matching };
                }
            }
        }
    }

    /// The deadline of a query of ours has passed.
    pub(crate) fn on_query_timeout(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, ltime: LamportTime, id: u32) {
        self.end_query(cx, swim, (ltime, id));
    }

    fn end_query(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, key: (LamportTime, u32)) {
        let Some(running) = self.queries.running.remove(&key) else { return };
        match running.asker {
            Asker::Application(command) => self.queries.tell(command, Answer::Done),
            Asker::Keys { command, .. } => {
                self.queries.tell(command, Answer::Done);
                self.next_key_command(cx, swim);
            }
            Asker::Conflict { responses, matching } => self.decide_conflict(cx, responses, matching),
        }
    }

    /// What has come of our queries.
    pub(crate) fn poll_answer(&mut self) -> Option<(CommandId, Answer)> {
        self.queries.answers.pop_front()
    }
}

/// Hearing and answering.
impl Serf {
    /// Another packet begins, or a message on a stream.
    pub(crate) fn begin_packet(&mut self) {
        (self.queries.in_packet, self.queries.relayed) = (0, false);
    }

    /// Somebody asks. Whether others should hear it from us.
    pub(super) fn handle_query(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, query: &serf::Query<'_>) -> bool {
        if !self.query_clock.witness(query.ltime) {
            cx.stats.lamport_times_refused += 1;
            return false;
        }
        if query.ltime < self.queries.min_time || !self.is_news(cx, query.ltime, query.id, query.name) {
            return false;
        }
        cx.stats.queries += 1;
        self.snapshot.on_query(cx.stats, query.ltime);
        let again = query.may_spread();
        if !self.passes(cx, query.filters.clone()) {
            return again;
        }
        let timeout = Duration::from_nanos(u64::try_from(query.timeout).unwrap_or_default());
        let to = Return {
            ltime: query.ltime,
            id: query.id,
            address: query.address().unwrap_or(NOWHERE),
            name: query.source_node.into(),
            // Each is as many packets to wherever the asker likes, so that of one packet only the first has them.
            relay_factor: if self.queries.relayed { 0 } else { query.relay_factor.min(RELAYS_MAX) },
            deadline: cx.now + timeout,
        };
        self.queries.relayed |= to.relay_factor > 0;
        if query.wants_ack() {
            let ack = self.encode_response(cx, &to, flag::ACK, None);
            if self.send_response(cx, swim, &to, ack).is_err() {
                log_some!(cx, WARN, "query_ack_not_relayed", member = Escaped(to.name.as_bytes()), time = to.ltime);
            }
        }
        let payload = query.payload.as_deref().unwrap_or_default();
        if query.name.starts_with(INTERNAL_PREFIX) {
            self.handle_internal_query(cx, swim, to, query.name, payload);
        } else {
            self.offer(cx, to, query.name, payload);
        }
        again
    }

    /// Whether we have not seen this query yet; then we have now.
    fn is_news(&mut self, cx: &mut Cx<'_>, ltime: LamportTime, id: u32, name: &[u8]) -> bool {
        let slots = self.config.query_buffer.max(1);
        let now = self.query_clock.time();
        if now.0.checked_sub(slots as u64).is_some_and(|oldest| oldest > 0 && ltime.0 < oldest) {
            log_some!(cx, WARN, "query_old", name = Escaped(name), time = ltime, now = now);
            cx.stats.queries_old += 1;
            return false;
        }
        let ring = &mut self.queries.ring;
        if ring.is_empty() {
            ring.resize_with(slots, Seen::default);
        }
        let Some(seen) = ring.get_mut((ltime.0 % slots as u64) as usize) else { return false };
        if seen.ltime != ltime {
            seen.ltime = ltime;
            seen.ids.clear();
        }
        if seen.ids.contains(&id) {
            return false;
        }
        if seen.ids.len() >= SAME_TIME_MAX {
            cx.stats.queries_over_limit += 1;
            return false;
        }
        if self.queries.in_packet >= PACKET_MAX {
            // Not remembered: another copy may be heard.
            cx.stats.requests_over_limit += 1;
            return false;
        }
        self.queries.in_packet += 1;
        seen.ids.push(id);
        true
    }

    /// Tells the application, which may answer until the deadline.
    fn offer(&mut self, cx: &mut Cx<'_>, to: Return, name: &[u8], payload: &[u8]) {
        if self.queries.pending.len() >= PENDING_MAX
            && let Some((oldest, _)) = self.queries.pending.pop_first()
        {
            // Not the newest: deadlines are the askers' choice, and one who asks much for long must not be the last heard.
            cx.timers.disarm(Timer::PendingQuery(oldest));
            cx.stats.queries_over_limit += 1;
        }
        self.queries.last_id += 1;
        let id = QueryId(self.queries.last_id);
        let (ltime, from, deadline) = (to.ltime, to.name.clone(), to.deadline);
        if deadline > cx.now {
            cx.timers.arm(Timer::PendingQuery(id), deadline);
            self.queries.pending.insert(id, Pending { to, answered: false });
        }
        self.events.push(cx.stats, || Event::Query {
            id,
            ltime,
            from,
            name: name.into(),
            payload: payload.into(),
            deadline,
        });
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn on_pending_query_timeout(&mut self, id: QueryId) {
        self.queries.pending.remove(&id);
    }

    /// The application answers.
    pub(crate) fn respond(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        id: QueryId,
        payload: &[u8],
    ) -> Result<(), RespondError> {
        let pending = self.queries.pending.get(&id).ok_or(RespondError::PastDeadline)?;
        let (to, answered) = (pending.to.clone(), pending.answered);
        let message = self.encode_response(cx, &to, 0, Some(payload));
        self.check_response(&message)?;
        if answered {
            return Err(RespondError::AlreadySent);
        }
        if cx.now >= to.deadline {
            return Err(RespondError::PastDeadline);
        }
        self.send_response(cx, swim, &to, message)?;
        if let Some(pending) = self.queries.pending.get_mut(&id) {
            pending.answered = true;
        }
        Ok(())
    }

    /// A node's own answer, to another node.
    pub(super) fn respond_internally(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, to: &Return, payload: &[u8]) {
        let message = self.encode_response(cx, to, 0, Some(payload));
        if cx.now >= to.deadline || self.check_response(&message).is_err() {
            log_some!(cx, WARN, "query_not_answered", member = Escaped(to.name.as_bytes()), time = to.ltime);
            return;
        }
        if self.send_response(cx, swim, to, message).is_err() {
            log_some!(cx, WARN, "query_answer_not_relayed", member = Escaped(to.name.as_bytes()), time = to.ltime);
        }
    }

    pub(super) fn encode_response(&self, cx: &Cx<'_>, to: &Return, flags: u32, payload: Option<&[u8]>) -> Vec<u8> {
        let response = QueryResponse {
            ltime: to.ltime,
            id: to.id,
            from: cx.roster.slot(self.local).name.as_bytes(),
            flags,
            payload: payload.map(Bytes::from),
        };
        let mut message = Vec::new();
        self.codec.encode_serf_query_response(&response, &mut message);
        message
    }

    pub(super) fn check_response(&self, message: &[u8]) -> Result<(), RespondError> {
        let max = self.config.query_response_size_limit;
        if message.len() > max { Err(RespondError::TooLarge { len: message.len(), max }) } else { Ok(()) }
    }

    /// Sends an ack or an answer straight to the asker, and by way of others if it wants so. An error is about these.
    ///
    /// Serf's asker answers to itself by a datagram. Here it does so at once: no application can tell, except that no
    /// such datagram can get lost.
    fn send_response(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        to: &Return,
        message: Vec<u8>,
    ) -> Result<(), RespondError> {
        let wrapped = self.wrap(to, &message);
        if to.address != cx.roster.address(self.local) {
            send(cx, swim, to.address, message);
        } else if let Ok(SerfMessage::QueryResponse(response)) = self.codec.decode_serf(&message) {
            self.handle_query_response(cx, swim, &response);
        }
        if let Some(wrapped) = wrapped? {
            self.relay(cx, swim, to.relay_factor.into(), &wrapped);
        }
        Ok(())
    }

    /// An ack or an answer as others are to pass it on, if they are, and there are as many as the asker wants.
    fn wrap(&self, to: &Return, message: &[u8]) -> Result<Option<Vec<u8>>, RespondError> {
        let wanted = usize::from(to.relay_factor);
        if wanted == 0 || self.records.len() < wanted + 1 {
            return Ok(None);
        }
        let mut wrapped = Vec::new();
        let destination = Destination { ip: Some(to.address.ip()), port: to.address.port(), zone: b"" };
        let relay = Relay { destination, name: to.name.as_bytes(), inner: message };
        self.codec.encode_serf_relay(&relay, &mut wrapped);
        let max = self.config.query_response_size_limit;
        if wrapped.len() > max {
            Err(RespondError::RelayTooLarge { len: wrapped.len(), max })
        } else {
            Ok(Some(wrapped))
        }
    }

    /// Sends a wrapped message to so many random members that will pass it on.
    fn relay(&self, cx: &mut Cx<'_>, swim: &Swim, wanted: usize, wrapped: &[u8]) {
        let chosen = swim.choose(cx.targets, wanted, |id| {
            self.records.get(id).status == Some(Status::Alive)
                && cx.roster.versions(id).protocol.max >= FIRST_PROTOCOL_WITH_RELAYS
        });
        for id in chosen {
            let address = cx.roster.address(id);
            send(cx, swim, address, wrapped.into());
        }
    }

    /// Somebody asks us to pass an answer on. What it is we do not look at.
    pub(super) fn handle_relay(&mut self, cx: &mut Cx<'_>, swim: &Swim, relay: &Relay<'_>) {
        let to = relay.destination.address().unwrap_or(NOWHERE);
        log_some!(cx, DEBUG, "query_response_relayed", to = to);
        let len_max = self.message_len_max.max(self.config.query_response_size_limit);
        if relay.inner.is_empty() || relay.inner.len() > len_max {
            // No answer is longer, and what compresses well would come out of here many times as long as it came in.
            cx.stats.messages_malformed += 1;
            return;
        }
        cx.stats.query_responses_relayed += 1;
        send(cx, swim, to, relay.inner.into());
    }

    /// Queues a query for gossip; past the queue's bound, those sent most often are dropped.
    pub(super) fn queue_query(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, message: &[u8]) {
        if !self.fits(cx, message) {
            return;
        }
        self.queries.broadcasts.insert_encoded(None, None, message);
        self.bound(cx, Queue::Queries);
        swim.arm_gossip(cx);
    }
}

/// Sends a message of Serf to one address, once. Not to an address that is none, nor to one that no member may have:
/// askers name their addresses themselves.
fn send(cx: &mut Cx<'_>, swim: &Swim, to: SocketAddr, message: Vec<u8>) {
    if to.ip().is_unspecified() || to.port() == 0 || !swim.config().allows(to.ip()) {
        cx.stats.refused_addresses += 1;
    } else if !cx.outbox.push_user(to, message) {
        cx.stats.user_messages_over_limit += 1;
    }
}

/// Members that are alive or suspect, we included (memberlist: NumMembers).
pub(super) fn live_members(swim: &Swim) -> usize {
    swim.active() + 1
}

/// Any 31 bits.
fn new_id(cx: &mut Cx<'_>) -> u32 {
    cx.targets.below(1 << 31) as u32
}

/// Acks that are taken for one query, and answers. Serf's bound is the number of members when the query begins, but of
/// those that wait to be read; here none waits, so all are counted, and members may come meanwhile.
fn answers_max(members: usize) -> usize {
    members.saturating_mul(2).max(ANSWERS_MAX_MIN)
}

/// Where an asker is reached who does not say where.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const ANSWERS_MAX_MIN: usize = 16;
/// Queries that others have asked and that may still be answered; past it the oldest is forgotten.
const PENDING_MAX: usize = 1024;
/// Queries of our own that run at once; past it the application's oldest is over.
const RUNNING_MAX: usize = 4096;
/// New queries of one packet. Hundreds compress to almost nothing, and each may have all members send.
const PACKET_MAX: usize = 16;
/// Members by way of whom one answer is sent at most, whatever the asker wants: a byte says up to 255.
const RELAYS_MAX: u8 = 16;
/// What default deadlines are made of while there is no gossip: the interval of a LAN.
const GOSSIP_INTERVAL: Duration = Duration::from_millis(200);
/// Queries of one time of the query clock.
const SAME_TIME_MAX: usize = 64;
/// First Serf protocol whose nodes may ask.
const FIRST_WITH_QUERIES: u8 = 4;
/// First memberlist protocol whose nodes relay answers.
const FIRST_PROTOCOL_WITH_RELAYS: u8 = 5;

/// Why a query was not asked. The texts are Serf's, but for `Busy`.
///
/// ```
/// use swim_core::serf::query::{Query, QueryError};
/// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
/// # use pair::*;
/// # let (mut now, mut a, mut b) = two();
///
/// let long = [b'x'; 2000];
/// let error = a.query(now, Query { name: &long, ..Query::default() }).unwrap_err();
/// assert!(matches!(error, QueryError::TooLarge { max: 1024, .. }));
/// assert_eq!(error.to_string(), "query exceeds limit of 1024 bytes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryError {
    /// Encoded, it is longer than `query_size_limit`.
    TooLarge {
        /// In bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The configured Serf protocol is older than queries.
    Unsupported,
    /// Too many changes of keys wait for the one under way.
    Busy,
    /// There are keys, and yet plain packets are sent or taken in: a change of keys would be there for all to read, and
    /// anybody could ask for one. See [`verify_incoming`](crate::wire::Config::verify_incoming).
    NotEnforced,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { max, .. } => write!(f, "query exceeds limit of {max} bytes"),
            Self::Unsupported => f.write_str("Feature not supported"),
            Self::Busy => f.write_str("too many changes of keys are waiting"),
            Self::NotEnforced => f.write_str(
                "encryption is not enforced (verify_incoming, verify_outgoing): finish switching it on, then change keys",
            ),
        }
    }
}

impl core::error::Error for QueryError {}

/// Why an answer was not sent. The texts are Serf's. See [`Node::respond`](crate::Node::respond).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RespondError {
    /// Encoded, it is longer than `query_response_size_limit`.
    TooLarge {
        /// In bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The query has been answered.
    AlreadySent,
    /// Nobody waits for it any more, or there is no such query.
    PastDeadline,
    /// It was sent, but not by way of others, because wrapped for them it is longer than the limit.
    RelayTooLarge {
        /// In bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
}

impl fmt::Display for RespondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { max, .. } => write!(f, "response exceeds limit of {max} bytes"),
            Self::AlreadySent => f.write_str("response already sent"),
            Self::PastDeadline => f.write_str("response is past the deadline"),
            Self::RelayTooLarge { max, .. } => write!(f, "relayed response exceeds limit of {max} bytes"),
        }
    }
}

impl core::error::Error for RespondError {}

#[cfg(test)]
pub(super) mod tests;
