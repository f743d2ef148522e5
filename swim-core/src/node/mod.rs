//! The public state machine: the only place that sees every layer.
//!
//! [`Node`] takes what happens in the world and what the application wants, each with the time at which it happens, and
//! puts out datagrams, stream actions, replies, events and the next deadline. Read this file first: it routes. `config.rs`
//! says what can be set, `input.rs` what goes in and out. `transmit.rs` encodes at the last moment, `streams.rs` holds
//! the conversations over streams, `commands.rs` what the application waits for, `direct.rs` what it says to one member,
//! `rejected.rs` whom we cannot understand, `views.rs` shows what a node knows. `trace.rs` records a node's inputs and
//! replays them.

mod commands;
pub mod config;
mod direct;
pub mod input;
mod rejected;
mod streams;
#[cfg(test)]
mod tests;
pub mod trace;

mod transmit;
mod views;

use alloc::vec::Vec;
use core::net::SocketAddr;

use zeroize::Zeroizing;

use crate::cx::Cx;
use crate::ids::{CommandId, LamportTime, QueryId, StreamId};
use crate::log::log;
use crate::node::commands::Commands;
use crate::node::config::{Config, ConfigError};
use crate::node::input::{Input, KeyRef, Reply, StreamAction, StreamInput, Transmit};
use crate::node::rejected::Rejected;
use crate::node::streams::Streams;
use crate::outbox::{Outbox, Outgoing};
use crate::rng::{Rng, Stream};
use crate::roster::Roster;
use crate::serf::Serf;
use crate::serf::direct::{Delivery, SendError};
use crate::serf::event::Event;
use crate::serf::internal_query::{KeyBytes, KeyCommand, KeyOperation};
use crate::serf::query::{Query, QueryError, RespondError};
use crate::serf::snapshot::{Record, Step};
use crate::serf::tags::{Tags, TagsTooLarge};
use crate::serf::user_event::{EventTooLarge, UserEvent};
use crate::stats::Stats;
use crate::swim::broadcast::Notify;
use crate::swim::updates::Origin;
use crate::swim::{Introduction, Swim};
use crate::time::Instant;
use crate::timers::{Timer, Timers};
use crate::versions::VersionRange;
use crate::wire::codec::MessageError;
use crate::wire::envelope::{DatagramError, Envelope, PartError};
use crate::wire::keyring::Key;
use crate::wire::message::{Message, Ping};

/// One member of a cluster, as a pure state machine.
///
/// Every method takes the time from its caller; it must never go back. After any call, the outputs may have grown: drain
/// [`poll_transmit`](Self::poll_transmit), [`poll_stream`](Self::poll_stream), [`poll_reply`](Self::poll_reply),
/// [`poll_event`](Self::poll_event) and [`poll_record`](Self::poll_record), then wait until [`poll_timeout`](Self::poll_timeout). Only `poll_event` may wait for
/// a slow application; past its bound, events are dropped and counted.
///
/// The same configuration, the same seed and the same calls at the same times give the same outputs, byte for byte.
#[derive(Debug)]
pub struct Node {
    config: Config,
    envelope: Envelope,
    core: Core,
}

/// All of a node but the envelope, which hands out messages that borrow from it.
#[derive(Debug)]
struct Core {
    swim: Swim,
    serf: Serf,
    streams: Streams,
    commands: Commands,
    rejected: Rejected,
    timers: Timers,
    outbox: Outbox,
    stats: Stats,
    roster: Roster,
    targets: Rng,
    jitter: Rng,
    datagram_nonces: Rng,
    stream_nonces: Rng,
    /// Scratch for what acks carry.
    ack_payload: Vec<u8>,
}

/// Sizes and times of the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Members in any status, the local one included.
    pub members: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that left.
    pub left: usize,
    /// 0 when all is well (Lifeguard, LHA-Probe).
    pub health_score: u32,
    /// Lamport clock of intents.
    pub member_time: LamportTime,
    /// Lamport clock of user events.
    pub event_time: LamportTime,
    /// Lamport clock of queries.
    pub query_time: LamportTime,
    /// Membership updates waiting to be gossiped, or gossiped again.
    pub update_queue: usize,
    /// Intents waiting to be gossiped, or gossiped again.
    pub intent_queue: usize,
    /// User events waiting to be gossiped, or gossiped again.
    pub event_queue: usize,
    /// Queries waiting to be gossiped, or gossiped again.
    pub query_queue: usize,
    /// How often our network coordinate was lost and begun anew; `None` when coordinates are off.
    pub coordinate_resets: Option<u64>,
    /// Whether what we send is encrypted.
    pub sealed: bool,
}

impl Node {
    /// A node that knows nobody but itself.
    ///
    /// The seed feeds everything random, the nonces of encryption included: **a seed used twice with one key is a
    /// disaster**. Draw it from the operating system; a fixed seed is for tests and replay.
    ///
    /// # Errors
    ///
    /// Those of [`Config::validate`].
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut envelope = Envelope::new(config.wire.clone()).map_err(ConfigError::Wire)?;
        let codec = config.wire.codec;
        let mut hashing = Rng::new(seed, Stream::Hashing);
        let (mut timers, mut outbox, mut stats) =
            (Timers::new(hashing.next_u64()), Outbox::default(), Stats::default());
        let mut roster = Roster::new(hashing.next_u64());
        let (mut targets, mut jitter) = (Rng::new(seed, Stream::Targets), Rng::new(seed, Stream::Jitter));
        let mut cx = Cx {
            now,
            targets: &mut targets,
            jitter: &mut jitter,
            timers: &mut timers,
            outbox: &mut outbox,
            stats: &mut stats,
            roster: &mut roster,
        };
        let (low, high) = config::SERF_PROTOCOLS;
        let introduction = Introduction {
            name: config.name.as_bytes(),
            advertise: config.advertise,
            meta: config.tags.encode(config.serf.protocol),
            application: VersionRange { min: low, max: high, current: config.serf.protocol },
        };
        let swim = Swim::new(&mut cx, config.swim.clone(), codec, config.admission, introduction, hashing.next_u64());
        let mut serf = Serf::new(&mut cx, config.serf.clone(), codec, config.tags.clone(), &swim, seed);
        // Behind the kind byte of a user message.
        serf.set_message_len_max(envelope.begin(&mut Vec::new(), true).room().saturating_sub(1));
        let mut core = Core {
            swim,
            serf,
            streams: Streams::new(config.streams_max, config.stream_bytes_max, config.swim.stream_timeout),
            commands: Commands::default(),
            rejected: Rejected::default(),
            timers,
            outbox,
            stats,
            roster,
            targets,
            jitter,
            datagram_nonces: Rng::new(seed, Stream::PacketNonces),
            stream_nonces: Rng::new(seed, Stream::FrameNonces),
            ack_payload: Vec::new(),
        };
        core.settle(now);
        Ok(Self { config, envelope, core })
    }

    /// Takes in the snapshot of an earlier run, and tries its members one after the other, in random order, until one
    /// has answered: a join that nobody waits for. Call it before anything else, once; without records nothing happens.
    pub fn restore(&mut self, now: Instant, records: &[Record<'_>]) {
        self.core.restore(now, records);
        self.core.settle(now);
    }

    /// A datagram has arrived. It is decrypted in place.
    ///
    /// # Errors
    ///
    /// When it is dropped whole: counted already, nothing has changed, nothing need be done.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<(), DatagramError> {
        let Self { envelope, core, config } = self;
        core.stats.datagrams_received += 1;
        core.stats.bytes_received += datagram.len() as u64;
        let codec = config.wire.codec;
        let opened = envelope.open(datagram, &mut |part| match part {
            Ok((kind, body)) => match codec.decode(kind, body) {
                Ok(message) => core.handle_message(now, from, message),
                Err(MessageError::UnknownKind(_)) => core.stats.messages_unknown += 1,
                Err(_) => {
                    log!(DEBUG, "message_dropped", from = from);
                    core.stats.messages_malformed += 1;
                }
            },
            Err(PartError::Unsupported) => core.stats.messages_unknown += 1,
            Err(_) => core.stats.messages_malformed += 1,
        });
        if let Err(error) = opened {
            core.reject(now, from, error);
        }
        self.settle(now);
        opened
    }

    /// Does what is due. Cheap when nothing is.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Self { core, .. } = self;
        while let Some(timer) = core.timers.pop_due(now) {
            let (mut cx, swim, serf) = core.parts(now);
            let cx = &mut cx;
            match timer {
                Timer::ProbeDirect => swim.on_probe_direct(cx),
                Timer::ProbeEnd => swim.on_probe_end(cx),
                Timer::Relay(seq) => swim.on_relay_timeout(cx, seq),
                Timer::Ping(seq) => swim.on_ping_timeout(seq),
                Timer::Suspicion(member) => swim.on_suspicion_timeout(cx, member),
                Timer::Stream(id) => core.stream_timed_out(now, id),
                Timer::Query(ltime, id) => serf.on_query_timeout(cx, swim, ltime, id),
                Timer::PendingQuery(id) => serf.on_pending_query_timeout(id),
                Timer::Leave => core.continue_leave(now),
                Timer::Update => core.commands.updates_timed_out(),
                Timer::Prune(member) => serf.on_prune(cx, swim, member),
                Timer::Reap => serf.on_reap(cx, swim),
                Timer::Reconnect => serf.on_reconnect(cx, swim),
                Timer::FlushMembers => serf.flush_members(cx),
                Timer::FlushUserEvents => serf.flush_user_events(cx),
                Timer::Snapshot => serf.follow_clock(cx),
                Timer::ProbeTick => swim.on_probe_tick(cx),
                Timer::PushPullTick => swim.on_push_pull_tick(cx),
                Timer::GossipTick => swim.on_gossip_tick(cx, serf.has_broadcasts()),
            }
            core.settle(now);
        }
        self.settle(now);
    }

    /// Somebody has opened a stream to us. `None`: too many are open, close it.
    pub fn accept_stream(&mut self, now: Instant, from: SocketAddr) -> Option<StreamId> {
        self.core.accept_stream(now, from)
    }

    /// Something happened to a stream. What the node has finished or aborted is ignored.
    pub fn handle_stream(&mut self, now: Instant, id: StreamId, input: StreamInput<'_>) {
        let Self { envelope, core, .. } = self;
        core.handle_stream(envelope, now, id, input);
        self.settle(now);
    }

    /// Exchanges full states with each of the seeds, some at a time. Replies: one [`Reply::SeedReached`] or
    /// [`Reply::SeedFailed`] for each, then [`Reply::Done`]. With `replay`, user events from before are told, as far as
    /// the seeds remember them; without, they are not, whoever may repeat them later.
    pub fn join(&mut self, now: Instant, seeds: &[SocketAddr], replay: bool) -> CommandId {
        let id = self.core.join(now, seeds, replay);
        self.core.settle(now);
        id
    }

    /// Says goodbye to everybody. [`Reply::Done`] comes when the news has had time to spread; the node then only
    /// answers probes, and is to be dropped. Without company it takes `leave_propagate_delay`. It always succeeds: when
    /// the news cannot be sent, the node leaves all the same, after `broadcast_timeout` for each of its two messages.
    pub fn leave(&mut self, now: Instant) -> CommandId {
        let id = self.core.leave(now);
        self.core.settle(now);
        id
    }

    /// Replaces our tags and tells everybody. [`Reply::Done`] comes when the news has been sent.
    ///
    /// # Errors
    ///
    /// When they do not fit; then nothing has changed.
    pub fn set_tags(&mut self, now: Instant, tags: &Tags) -> Result<CommandId, TagsTooLarge> {
        tags.check(self.config.serf.protocol)?;
        let id = self.core.set_tags(now, tags.clone());
        self.core.settle(now);
        Ok(id)
    }

    /// Tells everybody something: gossip spreads it, full state exchanges repeat it, and each member reports it once, as
    /// [`Event::User`]; so do we, at once. The time that it got on the event clock.
    ///
    /// An event that no packet can hold (`wire.datagram_len_max`) reaches others by full state exchanges only, which
    /// takes its time.
    ///
    /// # Errors
    ///
    /// When it is too long; then nothing has happened.
    pub fn user_event(&mut self, now: Instant, event: UserEvent<'_>) -> Result<LamportTime, EventTooLarge> {
        let (mut cx, swim, serf) = self.core.parts(now);
        let told = serf.user_event(&mut cx, swim, &event);
        self.core.settle(now);
        told
    }

    /// Makes a failed member leave, so that nobody tries to reach it any more; with `prune` it is forgotten, too, a
    /// member that is still leaving after `broadcast_timeout` and `leave_propagate_delay`. A member that is really there
    /// refutes, and nobody is missed by an unknown name. [`Reply::Done`] comes at once: unlike Serf, it does not wait
    /// until the news has been sent.
    pub fn force_leave(&mut self, now: Instant, name: &[u8], prune: bool) -> CommandId {
        let id = self.core.force_leave(now, name, prune);
        self.core.settle(now);
        id
    }

    /// Pings a member. Replies: [`Reply::Pong`] if it answers within the probe timeout, then [`Reply::Done`].
    pub fn ping(&mut self, now: Instant, name: &[u8]) -> CommandId {
        let id = self.core.ping(now, name);
        self.core.settle(now);
        id
    }

    /// Asks everybody, or some, ourselves included if we are meant. Replies: [`Reply::Ack`]s and [`Reply::Response`]s,
    /// at most one of each from a member, then, at the deadline, [`Reply::Done`].
    ///
    /// Unless it is given, the deadline is `query_timeout_mult` gossip intervals away for each decimal digit of the
    /// number of members.
    ///
    /// # Errors
    ///
    /// When it does not fit, or our Serf protocol is older than queries; then nothing is asked.
    pub fn query(&mut self, now: Instant, query: Query<'_>) -> Result<CommandId, QueryError> {
        let asked = self.core.query(now, &query);
        self.settle(now);
        asked
    }

    /// Answers a query of [`Event::Query`], once, before its deadline.
    ///
    /// # Errors
    ///
    /// When the answer was not sent, or not by way of others as the asker wanted.
    pub fn respond(&mut self, now: Instant, to: QueryId, payload: &[u8]) -> Result<(), RespondError> {
        let (mut cx, swim, serf) = self.core.parts(now);
        let sent = serf.respond(&mut cx, swim, to, payload);
        self.settle(now);
        sent
    }

    /// Says something to one member, and to nobody else; there it comes as [`Event::Message`]. Native wire only. Reply:
    /// [`Reply::Done`].
    ///
    /// **By datagram**, the payload has the room of one packet, at most `serf.message_size_limit`. `Ok` comes when it has
    /// been handed out by [`poll_transmit`](Self::poll_transmit), and says nothing about its arrival: it may be lost,
    /// come twice, or come after a later one.
    ///
    /// **By stream**, the payload has up to `serf.message_size_limit` bytes, and `swim.stream_timeout` to arrive. `Ok`
    /// means that the receiver has said that it is in its event queue; not that its application has looked at it, which
    /// may still be too slow, or end. With [`CommandError::Refused`](crate::node::input::CommandError::Refused) it is
    /// not. With any other error nobody knows: if only the answer was lost, sending it again makes it come twice. Streams
    /// may overtake each other.
    ///
    /// The receiver drops what comes from no member it knows. The name is the sender's own word: only encryption keeps
    /// strangers from using one. What we say to ourselves comes at once and without the network.
    ///
    /// # Errors
    ///
    /// See [`SendError`]; then nothing is sent.
    pub fn send(&mut self, now: Instant, to: &[u8], payload: &[u8], by: Delivery) -> Result<CommandId, SendError> {
        let taken = self.core.send_direct(now, to, payload, by);
        self.core.settle(now);
        taken
    }

    /// Has every member install a key, ourselves included: 16, 24 or 32 bytes, 32 on the native wire format. Replies:
    /// [`Reply::Members`], a [`Reply::Key`] from each that answers, [`Reply::Done`].
    ///
    /// Whether it was done is in the replies, for each member: bytes that are no key are refused there, with Serf's text.
    /// (They do not leave this node; as many zeros do.) Changes of keys follow one upon the other.
    ///
    /// # Errors
    ///
    /// Those of [`query`](Self::query), and when too many changes wait.
    pub fn install_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.key_command(now, KeyOperation::Install, key)
    }

    /// Has every member seal with an installed key from now on; see [`install_key`](Self::install_key).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn use_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.key_command(now, KeyOperation::Use, key)
    }

    /// Has every member remove a key that is not the primary one; see [`install_key`](Self::install_key).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn remove_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.key_command(now, KeyOperation::Remove, key)
    }

    /// Has every member list its keys; see [`install_key`](Self::install_key).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_keys(&mut self, now: Instant) -> Result<CommandId, QueryError> {
        self.key_command(now, KeyOperation::List, &[])
    }

    fn apply_key(&mut self, now: Instant, operation: KeyOperation, key: KeyRef, keys: &[Key]) {
        let bytes = match key {
            KeyRef::Unfit(len) => Some(alloc::vec![0; len.into()]),
            KeyRef::Id(id) => {
                self.keyring().keys().chain(keys).find(|key| key.id() == id).map(|key| key.as_bytes().to_vec())
            }
        };
        if let Some(bytes) = bytes.map(Zeroizing::new) {
            let _not_asked = self.key_command(now, operation, &bytes);
        }
    }

    fn key_command(&mut self, now: Instant, operation: KeyOperation, key: &[u8]) -> Result<CommandId, QueryError> {
        let key = match KeyRef::new(key) {
            KeyRef::Id(_) => key.to_vec(),
            // A slip of the pen has no business in the network, nor in a trace.
            KeyRef::Unfit(len) => alloc::vec![0; len.into()],
        };
        let command = KeyCommand { operation, key: KeyBytes(key.into()) };
        let asked = self.core.key_command(now, command);
        self.settle(now);
        asked
    }

    /// Calls the method that `input` names. For replay, fuzzing and simulation: outputs and errors are not returned.
    ///
    /// Keys are named by their ids; those that are not installed are not found, see
    /// [`apply_with_keys`](Self::apply_with_keys).
    pub fn apply(&mut self, now: Instant, input: Input<'_>, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.apply_with_keys(now, input, &[], buf)
    }

    /// As [`apply`](Self::apply). A key that the input names is looked for among the installed ones and `keys`; with one
    /// that is in neither nothing happens.
    pub fn apply_with_keys(
        &mut self,
        now: Instant,
        input: Input<'_>,
        keys: &[Key],
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        match input {
            Input::Datagram { from, datagram } => {
                buf.clear();
                buf.extend_from_slice(datagram);
                let _counted = self.handle_datagram(now, from, buf);
            }
            Input::Timeout => self.handle_timeout(now),
            Input::AcceptStream { from } => {
                self.accept_stream(now, from);
            }
            Input::Stream { id, input } => self.handle_stream(now, id, input),
            Input::Join { seeds, replay } => {
                self.join(now, &seeds, replay);
            }
            Input::Leave => {
                self.leave(now);
            }
            Input::SetTags { tags } => {
                let _unchanged = self.set_tags(now, &tags);
            }
            Input::UserEvent { event } => {
                let _unchanged = self.user_event(now, event);
            }
            Input::ForceLeave { name, prune } => {
                self.force_leave(now, name, prune);
            }
            Input::Ping { name } => {
                self.ping(now, name);
            }
            Input::Query { name, payload, filter_nodes, filter_tags, request_ack, relay_factor, timeout } => {
                let filter_nodes: Vec<&[u8]> = filter_nodes.iter().map(|name| &***name).collect();
                let (payload, filter_tags) = (payload.map(|payload| &**payload), &filter_tags[..]);
                let filter_nodes = &filter_nodes[..];
                let query = Query { name, payload, filter_nodes, filter_tags, request_ack, relay_factor, timeout };
                let _not_asked = self.query(now, query);
            }
            Input::Respond { to, payload } => {
                let _not_sent = self.respond(now, to, payload);
            }
            Input::InstallKey { key } => self.apply_key(now, KeyOperation::Install, key, keys),
            Input::UseKey { key } => self.apply_key(now, KeyOperation::Use, key, keys),
            Input::RemoveKey { key } => self.apply_key(now, KeyOperation::Remove, key, keys),
            Input::ListKeys => {
                let _not_asked = self.list_keys(now);
            }
            Input::Restore { records } => self.restore(now, &records),
            Input::Send { to, payload, by } => {
                let _not_sent = self.send(now, to, payload, by);
            }
            Input::PollEvent => {
                let _taken = self.poll_event();
            }
            Input::PollTransmit => return self.poll_transmit(now, buf),
        }
        None
    }

    /// Writes the next datagram into `buf`, which is cleared first. `None`: there is nothing to send.
    ///
    /// Encoding happens here, with the freshest updates: a datagram that is not taken costs nothing, and one that has
    /// become pointless is not sent.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        let Self { envelope, core, config } = self;
        let transmit = core.transmit(envelope, config.wire.codec, now, buf);
        if transmit.is_some() {
            core.stats.datagrams_sent += 1;
            core.stats.bytes_sent += buf.len() as u64;
        }
        core.settle(now);
        transmit
    }

    /// The next thing to do with a stream.
    pub fn poll_stream(&mut self) -> Option<StreamAction> {
        self.core.streams.poll()
    }

    /// The next answer to a command.
    pub fn poll_reply(&mut self) -> Option<(CommandId, Reply)> {
        self.core.commands.poll()
    }

    /// The next thing the application may want to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.serf.poll_event()
    }

    /// What is to be done with the snapshot file next. Nothing ever, unless `serf.snapshot` is set.
    pub fn poll_record(&mut self) -> Option<Step> {
        self.core.serf.poll_record()
    }

    /// All that the snapshot file must hold now, to write it anew.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.core.serf.snapshot_records(&self.core.roster)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// As the core's; then what members want done to our keys, which a datagram must not see change while it is read.
    fn settle(&mut self, now: Instant) {
        let Self { envelope, core, .. } = self;
        core.settle(now);
        while core.serf.has_key_tasks() {
            let (mut cx, swim, serf) = core.parts(now);
            serf.run_key_tasks(&mut cx, swim, envelope.keyring_mut());
            core.settle(now);
        }
    }
}

impl Core {
    /// What a component may touch, beside the two layers.
    fn parts(&mut self, now: Instant) -> (Cx<'_>, &mut Swim, &mut Serf) {
        let Self { swim, serf, timers, outbox, stats, roster, targets, jitter, .. } = self;
        (Cx { now, targets, jitter, timers, outbox, stats, roster }, swim, serf)
    }

    fn handle_message(&mut self, now: Instant, from: SocketAddr, message: Message<'_>) {
        let (mut cx, swim, serf) = self.parts(now);
        let cx = &mut cx;
        match message {
            Message::Ping(ping) => self.handle_ping(from, &ping),
            Message::IndirectPing(request) => swim.handle_indirect_ping(cx, from, &request),
            Message::Ack(ack) => {
                if let Some(completed) = swim.handle_ack(cx, ack.seq) {
                    serf.handle_ack_payload(cx, completed, ack.payload.as_deref().unwrap_or_default());
                }
            }
            Message::Nack(nack) => swim.handle_nack(cx, nack.seq),
            Message::Suspect(accusation) => swim.handle_suspect(cx, &accusation),
            Message::Dead(accusation) => swim.handle_dead(cx, &accusation),
            Message::Alive(alive) => swim.handle_alive(cx, alive, Origin::Datagram(from)),
            Message::User(bytes) => {
                // Changes that this very datagram brought must be known before what is said about them.
                while let Some(change) = swim.poll_change() {
                    serf.handle_change(cx, swim, change);
                }
                serf.handle_message(cx, swim, bytes);
            }
        }
    }

    fn handle_ping(&mut self, from: SocketAddr, ping: &Ping<'_>) {
        if !self.is_for_us(ping) {
            self.stats.misaddressed_pings += 1; // A former tenant of this address is still being probed.
            return;
        }
        let ack = Outgoing::Ack { to: ping.source.address().unwrap_or(from), seq: ping.seq };
        self.stats.acks_over_limit += u64::from(!self.outbox.push_answer(ack));
    }

    fn is_for_us(&self, ping: &Ping<'_>) -> bool {
        ping.node.is_empty() || self.roster.slot(self.swim.local()).name.as_bytes() == ping.node
    }

    /// Lets what one layer has left behind reach the next, until all is quiet.
    fn settle(&mut self, now: Instant) {
        loop {
            let (mut cx, swim, serf) = self.parts(now);
            let cx = &mut cx;
            if let Some(change) = swim.poll_change() {
                serf.handle_change(cx, swim, change);
            } else if let Some(notify) = swim.poll_finished().or_else(|| serf.poll_finished()) {
                match notify {
                    Notify::Update(id) => self.commands.update_sent(id),
                    Notify::Leave | Notify::LeaveIntent => serf.on_leave_broadcast(cx, swim, notify),
                }
            } else if let Some(ping) = swim.poll_ping() {
                self.commands.ping_over(ping);
            } else if let Some(exchange) = swim.poll_exchange() {
                self.start_exchange(now, exchange);
            } else if let Some((id, answer)) = serf.poll_answer() {
                self.commands.answered(id, answer);
            } else if !serf.resolve_conflict(cx, swim) {
                serf.follow_clock(cx);
                return;
            }
        }
    }

    fn reject(&mut self, now: Instant, from: SocketAddr, error: DatagramError) {
        let counter = match error {
            DatagramError::LabelMissing | DatagramError::LabelWrong | DatagramError::LabelMalformed => {
                &mut self.stats.datagrams_wrong_label
            }
            DatagramError::ForeignWire => &mut self.stats.datagrams_foreign_wire,
            DatagramError::NotSealed | DatagramError::NotOpened | DatagramError::SealedWithoutKeys => {
                &mut self.stats.datagrams_not_opened
            }
            DatagramError::Checksum => &mut self.stats.datagrams_bad_checksum,
            DatagramError::Empty
            | DatagramError::Garbage
            | DatagramError::Decompression
            | DatagramError::TooLarge
            | DatagramError::Unsupported => &mut self.stats.datagrams_malformed,
        };
        *counter += 1;
        log!(DEBUG, "datagram_dropped", from = from, error = error);
        self.report_rejected(now, from, error);
    }

    /// Tells the application about a source that it could mend, once a minute.
    fn report_rejected(&mut self, now: Instant, from: SocketAddr, error: DatagramError) {
        if rejected::is_mendable(error) && self.rejected.is_news(now, from.ip()) {
            self.serf.report(&mut self.stats, || Event::Rejected { from, error });
        }
    }
}
