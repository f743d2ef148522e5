//! The public state machine: the only place that sees every layer.
//!
//! [`Node`] takes what happens in the world and what the application wants, each with the time at which it happens, and
//! puts out datagrams, stream actions, replies, events and the next deadline. Read this file first: it routes. `config.rs`
//! says what can be set, `input.rs` what goes in and out. `transmit.rs` encodes at the last moment, `streams.rs` holds
//! the conversations over streams, `commands.rs` what the application waits for, `direct.rs` what it says to one member,
//! `reported.rs` whom we cannot understand or refuse something, `views.rs` shows what a node knows. `receive.rs` takes in
//! datagrams, message by message, and `ahead.rs` looks beforehand at what they are about. `trace.rs` records a node's inputs
//! and replays them.

mod ahead;
mod commands;
pub mod config;
mod direct;
pub mod input;
mod receive;
mod reported;
mod streams;
#[cfg(test)]
mod tests;
pub mod trace;

mod transmit;
mod views;

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use zeroize::Zeroizing;

use crate::cx::Cx;
use crate::ids::{CommandId, KeyringChange, LamportTime, QueryId, StreamId};
use crate::log::{Lines, log};
use crate::node::commands::Commands;
use crate::node::config::{Config, ConfigError};
use crate::node::input::{Input, KeyRef, Reply, StreamAction, StreamInput, Transmit};
use crate::node::receive::Reading;
use crate::node::reported::Reported;
use crate::node::streams::Streams;
use crate::outbox::Outbox;
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
use crate::swim::{Introduction, Swim};
use crate::time::Instant;
use crate::timers::{Timer, Timers};
use crate::versions::VersionRange;
use crate::wire;
use crate::wire::envelope::{DatagramError, Envelope};
use crate::wire::keyring::Key;

/// One member of a cluster, as a pure state machine.
///
/// Whatever depends on the time takes it from the caller; it must never go back. After any call, the outputs may have
/// grown: drain [`poll_transmit`](Self::poll_transmit), [`poll_stream`](Self::poll_stream),
/// [`poll_reply`](Self::poll_reply), [`poll_event`](Self::poll_event) and [`poll_record`](Self::poll_record), then wait
/// until [`poll_timeout`](Self::poll_timeout). Only the last two outputs may wait for a slow application: past their
/// bounds, events are dropped and counted, and records are replaced by the wish to write the snapshot anew. Whoever has
/// names of seeds looks at [`poll_resolve`](Self::poll_resolve), too.
///
/// The same configuration, the same seed and the same calls at the same times give the same outputs, byte for byte.
///
/// See [`Node::join`], and the [example of the crate](crate), which is a whole driver. In the examples of the methods
/// such drivers work unseen, and carry what `a` and `b` send to each other.
///
/// `Debug` shows who it is and how it is, and no secret: not what it has to say, nor what the nonces come of.
pub struct Node {
    config: Config,
    envelope: Envelope,
    core: Core,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, .. } = self;
        f.debug_struct("Node")
            .field("name", &config.name)
            .field("advertise", &config.advertise)
            .field("keys", &self.keyring().keys().collect::<Vec<_>>())
            .field("life", &self.life())
            .field("summary", &self.summary())
            .finish_non_exhaustive()
    }
}

/// All of a node but the envelope, which hands out messages that borrow from it.
struct Core {
    swim: Swim,
    serf: Serf,
    streams: Streams,
    commands: Commands,
    rejected: Reported,
    refused: Reported,
    timers: Timers,
    outbox: Outbox,
    stats: Stats,
    roster: Roster,
    lines: Lines,
    targets: Rng,
    jitter: Rng,
    datagram_nonces: Rng,
    stream_nonces: Rng,
    /// Scratch for what acks carry.
    ack_payload: Vec<u8>,
    /// Whether the datagram that is being read has named somebody whom we are to send something.
    asked: bool,
}

/// Sizes and times of the moment. See [`Node::summary`].
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
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::{Config, Instant, Node};
    ///
    /// let config = Config::lan("web-1", "10.0.0.7:7946".parse()?);
    /// # let from_the_operating_system = || [7; 32];
    /// let node = Node::new(config, from_the_operating_system(), Instant::ZERO)?;
    /// assert_eq!(*node.local().name(), "web-1");
    /// assert_eq!(node.members().count(), 1);
    ///
    /// let nameless = Config::lan("", "10.0.0.7:7946".parse()?);
    /// assert!(Node::new(nameless, [8; 32], Instant::ZERO).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut envelope = Envelope::new(config.wire.clone()).map_err(ConfigError::Wire)?;
        let wire::Config { codec, verify_incoming, verify_outgoing, ref keyring, .. } = config.wire;
        if !keyring.is_empty() && (!verify_incoming || !verify_outgoing) {
            log!(
                WARN,
                "encryption_not_enforced",
                incoming = if verify_incoming { "sealed" } else { "sealed or plain" },
                outgoing = if verify_outgoing { "sealed" } else { "plain" },
            );
        }
        let mut hashing = Rng::new(seed, Stream::Hashing);
        let (mut timers, mut outbox, mut stats) =
            (Timers::new(hashing.next_u64()), Outbox::default(), Stats::default());
        let (mut roster, mut lines) = (Roster::new(hashing.next_u64()), Lines::default());
        let (mut targets, mut jitter) = (Rng::new(seed, Stream::Targets), Rng::new(seed, Stream::Jitter));
        let mut cx = Cx {
            now,
            targets: &mut targets,
            jitter: &mut jitter,
            timers: &mut timers,
            outbox: &mut outbox,
            stats: &mut stats,
            roster: &mut roster,
            lines: &mut lines,
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
            rejected: Reported::new(reported::REJECTED_MAX),
            refused: Reported::new(reported::REFUSED_MAX),
            timers,
            outbox,
            stats,
            roster,
            lines,
            targets,
            jitter,
            datagram_nonces: Rng::new(seed, Stream::PacketNonces),
            stream_nonces: Rng::new(seed, Stream::FrameNonces),
            ack_payload: Vec::new(),
            asked: false,
        };
        core.settle(now);
        Ok(Self { config, envelope, core })
    }

    /// Takes in the snapshot of an earlier run, and tries its members one after the other, in random order, until one
    /// has answered: a join that nobody waits for. Call it before anything else, once; without records nothing happens.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let now = swim_core::Instant::ZERO;
    /// # let mut node = node(config("web-1", 7946), now);
    /// use swim_core::node::input::StreamAction;
    /// use swim_core::serf::snapshot::Record;
    ///
    /// let file = b"alive: web-2 10.0.0.8:7946\nevent-clock: 40\n";
    /// let lines = file.split(|byte| *byte == b'\n');
    /// let records: Vec<_> = lines.filter_map(|line| Record::parse_line(line).ok().flatten()).collect();
    /// node.restore(now, &records);
    /// // Back to the member that was there; user events up to time 40 are not told again.
    /// let Some(StreamAction::Open { peer, .. }) = node.poll_stream() else { panic!("it dials nobody") };
    /// assert_eq!(peer, "10.0.0.8:7946".parse()?);
    /// assert_eq!(node.summary().event_time.0, 41);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore(&mut self, now: Instant, records: &[Record<'_>]) {
        self.core.restore(now, records);
        self.core.settle(now);
    }

    /// These addresses are our seeds from now on, in place of those before: whom to join, and never to give up. Call it
    /// whenever their names have been resolved. Nobody waits for what comes of it: a new one that no member has is tried
    /// after about a second, and later again and again until it has been met (`serf.heal_interval`).
    ///
    /// The first 256 count; our own address and those given twice do not matter. Cost: with new ones among them, a look
    /// at every member.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let mut now = swim_core::Instant::ZERO;
    /// # let mut a = node(config("a", 7946), now);
    /// # let mut b = node(config("b", 7947), now);
    ///
    /// a.set_seeds(now, &[b.local().address()]);
    /// # run(&mut now, [&mut a, &mut b], 3);
    /// assert_eq!(a.members().count(), 2, "it has joined");
    /// ```
    pub fn set_seeds(&mut self, now: Instant, seeds: &[SocketAddr]) {
        let (mut cx, _, serf) = self.core.parts(now);
        serf.set_seeds(&mut cx, seeds);
        self.core.settle(now);
    }

    /// A datagram has arrived. It is decrypted in place: what is left in the buffer afterwards means nothing.
    ///
    /// # Errors
    ///
    /// When it is dropped whole: counted already, no member has changed, nothing need be done. A source that a change
    /// of configuration would mend is also reported, as [`Event::Rejected`]. A bad message in a good datagram is no
    /// error; it is counted, and the others stand.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::envelope::DatagramError;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// # let (mut buf, from, socket) = (Vec::new(), a.local().address(), "127.0.0.1:80".parse()?);
    ///
    /// a.ping(now, b"b");
    /// while a.poll_transmit(now, &mut buf).is_some() {
    ///     // Over the network, and there:
    ///     b.handle_datagram(now, from, &mut buf)?;
    /// }
    /// # assert!(b.poll_transmit(now, &mut buf).is_some_and(|transmit| transmit.destination == from));
    /// let stray = b.handle_datagram(now, socket, &mut b"GET / HTTP/1.1".to_vec());
    /// assert_eq!(stray, Err(DatagramError::Garbage));
    /// assert_eq!(b.stats().datagrams_malformed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        core.begin_packet();
        let refused = core.stats.refusals();
        let opened = envelope.open_for(datagram, &mut Reading::new(core, codec, now, from));
        core.stats.datagrams_unsealed = envelope.unsealed();
        core.take_in_handed_off(codec, now);
        if let Err(error) = opened {
            core.reject(now, from, error);
        }
        core.log_refused(now, from, refused);
        self.settle(now);
        opened
    }

    /// For measurements with [`Baseline::newest_first_handoff`](crate::swim::config::Baseline::newest_first_handoff), and
    /// without effect otherwise: whether the reader is busy with a backlog, so that the worker, which takes in what
    /// datagrams say about members, does not get its turn. What it was given meanwhile, up to 1 024 messages about the
    /// living and as many others, it takes in once that is over; more is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let now = swim_core::Instant::ZERO;
    /// # let mut node = node(config("a", 7946), now);
    /// # let backlog: [(std::net::SocketAddr, Vec<u8>); 0] = [];
    /// node.hold_handed_off(now, true);
    /// for (from, mut datagram) in backlog {
    ///     node.handle_datagram(now, from, &mut datagram)?;
    /// }
    /// node.hold_handed_off(now, false);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hold_handed_off(&mut self, now: Instant, waits: bool) {
        let Self { core, config, .. } = self;
        core.swim.hold_handed_off(waits);
        core.take_in_handed_off(config.wire.codec, now);
        self.settle(now);
    }

    /// Does what is due. Cheap when nothing is.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let now = swim_core::Instant::ZERO;
    /// # let mut node = node(config("a", 7946), now);
    /// let due = node.poll_timeout().expect("a member always probes");
    /// node.handle_timeout(now); // too early: nothing happens
    /// assert_eq!(node.poll_timeout(), Some(due));
    /// node.handle_timeout(due);
    /// assert!(node.poll_timeout() > Some(due));
    /// ```
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
                Timer::Heal => serf.on_heal(cx, swim),
                Timer::QueueCheck => serf.on_queue_check(cx),
                Timer::FlushMembers => serf.flush_members(cx),
                Timer::FlushUserEvents => serf.flush_user_events(cx),
                Timer::Snapshot => serf.follow_clock(cx),
                Timer::ProbeTick => {
                    swim.on_probe_tick(cx);
                    core.look_at_probed();
                }
                Timer::PushPullTick => swim.on_push_pull_tick(cx),
                Timer::GossipTick => swim.on_gossip_tick(cx, serf.has_broadcasts()),
            }
            core.settle(now);
        }
        self.settle(now);
    }

    /// Somebody has opened a stream to us. `None`: `streams_max` are open already, close it. Otherwise what happens to
    /// it is told to [`handle_stream`](Self::handle_stream) under this name.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let now = swim_core::Instant::ZERO;
    /// # let (first, second) = ("127.0.0.1:5001".parse()?, "127.0.0.1:5002".parse()?);
    /// let mut config = config("a", 7946);
    /// config.streams_max = 1;
    /// let mut node = node(config, now);
    /// assert!(node.accept_stream(now, first).is_some());
    /// assert_eq!(node.accept_stream(now, second), None);
    /// assert_eq!(node.stats().streams_over_limit, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_stream(&mut self, now: Instant, from: SocketAddr) -> Option<StreamId> {
        self.core.accept_stream(now, from)
    }

    /// Something happened to a stream. What the node has finished or aborted is ignored.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let now = swim_core::Instant::ZERO;
    /// # let (mut node, seed) = (node(config("a", 7946), now), "127.0.0.1:7947".parse()?);
    /// use swim_core::node::input::{ExchangeError, Reply, StreamAction, StreamFailure, StreamInput};
    ///
    /// let command = node.join(now, &[seed], false);
    /// let Some(StreamAction::Open { id, .. }) = node.poll_stream() else { panic!("nobody is dialled") };
    /// // The driver has tried to connect, in vain.
    /// node.handle_stream(now, id, StreamInput::Failed(StreamFailure::Refused));
    /// let error = ExchangeError::Stream(StreamFailure::Refused);
    /// assert_eq!(node.poll_reply(), Some((command, Reply::SeedFailed(seed, error))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_stream(&mut self, now: Instant, id: StreamId, input: StreamInput<'_>) {
        let Self { envelope, core, .. } = self;
        core.handle_stream(envelope, now, id, input);
        self.settle(now);
    }

    /// Exchanges full states with each of the seeds, 8 at a time. Replies: one [`Reply::SeedReached`] or
    /// [`Reply::SeedFailed`] for each, then [`Reply::Done`]. With `replay`, user events from before are told, as far as
    /// the seeds remember them; without, they are not, whoever may repeat them later.
    ///
    /// It fails when no seed was reached, with [`NoSeed`](input::CommandError::NoSeed), and when the node is leaving,
    /// with [`NotAlive`](input::CommandError::NotAlive): seeds that have not been asked by then get no reply.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::Reply;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let mut now = swim_core::Instant::ZERO;
    /// # let (mut a, mut b) = (node(config("a", 7946), now), node(config("b", 7947), now));
    ///
    /// let seed = b.local().address();
    /// let id = a.join(now, &[seed], false);
    /// // ... the drivers carry bytes between the two ...
    /// # run(&mut now, [&mut a, &mut b], 1);
    /// assert_eq!(a.poll_reply(), Some((id, Reply::SeedReached(seed))));
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Done(Ok(())))));
    /// assert!(a.member(b"b").is_some());
    /// ```
    pub fn join(&mut self, now: Instant, seeds: &[SocketAddr], replay: bool) -> CommandId {
        let id = self.core.join(now, seeds, replay);
        self.core.settle(now);
        id
    }

    /// Says goodbye to everybody. [`Reply::Done`] comes when the news has had time to spread; the node then only
    /// answers probes, and is to be dropped. Without company it takes `leave_propagate_delay`. It always succeeds: when
    /// the news cannot be sent, the node leaves all the same, after `broadcast_timeout` for each of its two messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::Reply;
    /// use swim_core::serf::config::Life;
    /// use swim_core::serf::member::Status;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let id = b.leave(now);
    /// assert_eq!(b.life(), Life::Leaving);
    /// // ... go on driving it until the reply comes ...
    /// # run(&mut now, [&mut a, &mut b], 15);
    /// assert_eq!(b.poll_reply(), Some((id, Reply::Done(Ok(())))));
    /// assert_eq!(b.life(), Life::Left);
    /// assert_eq!(a.member(b"b").expect("remembered for a day").status(), Status::Left);
    /// ```
    pub fn leave(&mut self, now: Instant) -> CommandId {
        let id = self.core.leave(now);
        self.core.settle(now);
        id
    }

    /// Replaces our tags and tells everybody. [`Reply::Done`] comes when the news has been sent; at once, when nobody
    /// is there to hear it.
    ///
    /// It carries an error when the node is leaving ([`NotAlive`](input::CommandError::NotAlive): nothing has changed)
    /// or when the news was not sent within `broadcast_timeout` ([`TimedOut`](input::CommandError::TimedOut): the tags
    /// are set).
    ///
    /// # Errors
    ///
    /// When they do not fit; then nothing has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::Reply;
    /// use swim_core::serf::tags::Tags;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let tags = Tags::from_iter([("role", "web")]);
    /// let id = a.set_tags(now, &tags)?;
    /// # run(&mut now, [&mut a, &mut b], 5);
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Done(Ok(())))));
    /// assert_eq!(b.member(b"a").expect("they have met").tags(), tags);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_tags(&mut self, now: Instant, tags: &Tags) -> Result<CommandId, TagsTooLarge> {
        tags.check(self.config.serf.protocol)?;
        let id = self.core.set_tags(now, tags.clone());
        self.core.settle(now);
        Ok(id)
    }

    /// Tells everybody something: gossip spreads it, full state exchanges repeat it, and each member reports it once,
    /// as [`Event::User`]; so do we, at once unless user events are coalesced. Returns the time that it got on the
    /// event clock.
    ///
    /// An event that no packet can hold (`wire.datagram_len_max`) reaches others by full state exchanges only, which
    /// takes its time.
    ///
    /// # Errors
    ///
    /// When it is too long; then nothing has happened.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// use swim_core::serf::user_event::UserEvent;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let sent = a.user_event(now, UserEvent { name: b"deploy", payload: Some(b"v2"), coalesce: false })?;
    /// # run(&mut now, [&mut a, &mut b], 1);
    /// let Some(Event::User { ltime, name, payload, .. }) = b.poll_event() else { panic!("b heard nothing") };
    /// assert_eq!((ltime, &*name, payload.as_deref()), (sent, &b"deploy"[..], Some(&b"v2"[..])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_event(&mut self, now: Instant, event: UserEvent<'_>) -> Result<LamportTime, EventTooLarge> {
        let (mut cx, swim, serf) = self.core.parts(now);
        let told = serf.user_event(&mut cx, swim, &event);
        self.core.settle(now);
        told
    }

    /// Makes a failed member leave, so that nobody tries to reach it any more; with `prune` it is forgotten, too, a
    /// member that is still leaving after `broadcast_timeout` and `leave_propagate_delay`. Nobody is missed by an unknown
    /// name. [`Reply::Done`] comes at once: unlike Serf, it does not wait until the news has been sent.
    ///
    /// A member that is really there refutes. But with `prune` it is forgotten by then all the same, as in Serf: no node
    /// but itself lists it, until it has left, or failed, and come back.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::Reply;
    /// use swim_core::serf::member::Status;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// // b's machine has burnt down.
    /// # run(&mut now, [&mut a], 60);
    /// assert_eq!(a.member(b"b").expect("it may come back").status(), Status::Failed);
    /// let id = a.force_leave(now, b"b", true);
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Done(Ok(())))));
    /// assert!(a.member(b"b").is_none());
    /// ```
    pub fn force_leave(&mut self, now: Instant, name: &[u8], prune: bool) -> CommandId {
        let id = self.core.force_leave(now, name, prune);
        self.core.settle(now);
        id
    }

    /// Pings a member. Replies: [`Reply::Pong`] if it answers within the probe timeout, then [`Reply::Done`]. Nothing
    /// follows for its membership, whether it answers or not.
    ///
    /// It fails with [`NoMember`](input::CommandError::NoMember) at once, with
    /// [`TimedOut`](input::CommandError::TimedOut) after the probe timeout, or at once when too many datagrams wait to
    /// be sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::{CommandError, Reply};
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let id = a.ping(now, b"b");
    /// # run(&mut now, [&mut a, &mut b], 1);
    /// let Some((of, Reply::Pong(round_trip))) = a.poll_reply() else { panic!("no answer") };
    /// assert!(of == id && round_trip < a.config().swim.probe_timeout);
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Done(Ok(())))));
    ///
    /// let id = a.ping(now, b"nobody");
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Done(Err(CommandError::NoMember)))));
    /// ```
    pub fn ping(&mut self, now: Instant, name: &[u8]) -> CommandId {
        let id = self.core.ping(now, name);
        self.core.settle(now);
        id
    }

    /// Asks everybody, or some, ourselves included if we are meant. Replies: [`Reply::Ack`]s and [`Reply::Response`]s,
    /// at most one of each from a member, then, at the deadline, [`Reply::Done`].
    ///
    /// Unless it is given, or with a timeout of zero, the deadline is `query_timeout_mult` gossip intervals away for
    /// each decimal digit of the number of members that are there.
    ///
    /// # Errors
    ///
    /// When it does not fit, or our Serf protocol is older than queries; then nothing is asked.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// use swim_core::node::input::Reply;
    /// use swim_core::serf::query::Query;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let id = a.query(now, Query { name: b"uptime", ..Query::default() })?;
    /// # run(&mut now, [&mut a, &mut b], 1);
    /// while let Some(event) = b.poll_event() {
    ///     if let Event::Query { id, name, .. } = event {
    ///         assert_eq!(*name.as_bytes(), *b"uptime");
    ///         b.respond(now, id, b"3 days")?;
    ///     }
    /// }
    /// # run(&mut now, [&mut a, &mut b], 5);
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Response { from: "b".into(), payload: (*b"3 days").into() })));
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Done(Ok(())))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn query(&mut self, now: Instant, query: Query<'_>) -> Result<CommandId, QueryError> {
        let asked = self.core.query(now, &query);
        self.settle(now);
        asked
    }

    /// Answers a query of [`Event::Query`], once, before its deadline. For who asked see [`query`](Self::query).
    ///
    /// # Errors
    ///
    /// When the answer was not sent, or was sent but not by way of others as the asker wanted.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// use swim_core::serf::query::RespondError;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// # a.query(now, swim_core::serf::query::Query { name: b"uptime", ..Default::default() })?;
    /// # run(&mut now, [&mut a, &mut b], 1);
    ///
    /// let Some(Event::Query { id, deadline, .. }) = b.poll_event() else { panic!("b was not asked") };
    /// assert!(now < deadline);
    /// b.respond(now, id, b"3 days")?;
    /// assert_eq!(b.respond(now, id, b"4 days"), Err(RespondError::AlreadySent));
    /// assert_eq!(b.respond(deadline, id, b"5 days"), Err(RespondError::AlreadySent));
    /// b.handle_timeout(deadline); // it is forgotten
    /// assert_eq!(b.respond(deadline, id, b"6 days"), Err(RespondError::PastDeadline));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// use swim_core::serf::direct::Delivery;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// a.send(now, b"b", b"between us", Delivery::Stream)?;
    /// # run(&mut now, [&mut a, &mut b], 1);
    /// let heard = b.poll_event();
    /// assert!(matches!(heard, Some(Event::Message { from, payload, .. }) if from == "a" && *payload == *b"between us"));
    /// # Ok::<(), swim_core::serf::direct::SendError>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// A key is changed in three steps, each done everywhere before the next: install the new one, use it, remove the
    /// old.
    ///
    /// ```
    /// use swim_core::node::input::Reply;
    /// use swim_core::wire::keyring::Key;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # let old = [1; 32];
    /// # let (mut now, mut a, mut b) = two_with(|config| {
    /// #     config.wire.keyring.add(Key::new(&old).expect("32 bytes")).expect("the first");
    /// # });
    ///
    /// let new = [2; 32];
    /// let id = a.install_key(now, &new)?;
    /// # run(&mut now, [&mut a, &mut b], 5);
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Members(2))));
    /// for _ in 0..2 {
    ///     let Some((_, Reply::Key { result, message, .. })) = a.poll_reply() else { panic!("one has not answered") };
    ///     assert!(result, "{message}");
    /// }
    /// assert_eq!(a.poll_reply(), Some((id, Reply::Done(Ok(())))));
    /// assert!(b.keyring().keys().any(|key| key.as_bytes() == new));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn install_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.key_command(now, KeyOperation::Install, key)
    }

    /// Has every member seal with an installed key from now on; see [`install_key`](Self::install_key).
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::keyring::Key;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # let (mut now, mut a, mut b) = two_with(|config| {
    /// #     for byte in 1..=2 {
    /// #         config.wire.keyring.add(Key::new(&[byte; 32]).expect("32 bytes")).expect("there is room");
    /// #     }
    /// # });
    ///
    /// let new = [2; 32];
    /// a.use_key(now, &new)?;
    /// # run(&mut now, [&mut a, &mut b], 5);
    /// assert_eq!(b.keyring().primary().map(Key::as_bytes), Some(&new[..]));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn use_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.key_command(now, KeyOperation::Use, key)
    }

    /// Has every member remove a key that is not the primary one; see [`install_key`](Self::install_key).
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::Reply;
    /// use swim_core::wire::keyring::Key;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # let (mut now, mut a, mut b) = two_with(|config| {
    /// #     for byte in 1..=2 {
    /// #         config.wire.keyring.add(Key::new(&[byte; 32]).expect("32 bytes")).expect("there is room");
    /// #     }
    /// # });
    ///
    /// let (primary, old) = ([1; 32], [2; 32]);
    /// a.remove_key(now, &old)?;
    /// # run(&mut now, [&mut a, &mut b], 5);
    /// assert_eq!(b.keyring().keys().len(), 1);
    /// # while a.poll_reply().is_some() {}
    ///
    /// a.remove_key(now, &primary)?;
    /// # run(&mut now, [&mut a, &mut b], 5);
    /// let refused = std::iter::from_fn(|| a.poll_reply());
    /// let refused = refused.filter(|(_, reply)| matches!(reply, Reply::Key { result: false, .. }));
    /// assert_eq!(refused.count(), 2);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_key(&mut self, now: Instant, key: &[u8]) -> Result<CommandId, QueryError> {
        self.key_command(now, KeyOperation::Remove, key)
    }

    /// Has every member list its keys; see [`install_key`](Self::install_key).
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::Reply;
    /// use swim_core::wire::keyring::Key;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # let (mut now, mut a, mut b) = two_with(|config| {
    /// #     config.wire.keyring.add(Key::new(&[1; 32]).expect("32 bytes")).expect("the first");
    /// # });
    ///
    /// a.list_keys(now)?;
    /// # run(&mut now, [&mut a, &mut b], 5);
    /// let mut lists = std::collections::BTreeMap::new();
    /// while let Some((_, reply)) = a.poll_reply() {
    ///     if let Reply::Key { from, keys, .. } = reply {
    ///         lists.insert(from, keys);
    ///     }
    /// }
    /// // In base64, at every member.
    /// assert_eq!(lists[&b"a"[..]][0].as_str(), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    /// assert_eq!(lists[&b"a"[..]], lists[&b"b"[..]]);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn list_keys(&mut self, now: Instant) -> Result<CommandId, QueryError> {
        self.key_command(now, KeyOperation::List, &[])
    }

    /// The application has stored the keyring, or could not, and why: with `serf.keyring_stored` all changes of keys up to
    /// this one, of [`Event::KeyringChanged`] or [`last_keyring_change`](Self::last_keyring_change), are answered with that.
    ///
    /// A failure undoes nothing: the keys are changed, and the text, cut if it is too long for one answer, is what the
    /// asker reads about this member. Whoever asks again has the keyring stored again. Changes that are answered, and those
    /// that there has not been, are left alone, as are those for which nobody waits any more. At most 64 answers wait; past
    /// that, changes are refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// use swim_core::node::input::Reply;
    /// # use swim_core::wire::keyring::{Key, Keyring};
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # let (mut now, mut a, mut b) = two_with(|config| {
    /// #     config.serf.keyring_stored = config.name == "b";
    /// #     config.wire.keyring.add(Key::new(&[1; 32]).expect("32 bytes")).expect("the first");
    /// # });
    /// # fn write(_: &Keyring) -> Result<(), String> { Err("no space left on device".to_owned()) }
    ///
    /// let id = a.install_key(now, &[2; 32])?;
    /// # run(&mut now, [&mut a, &mut b], 2);
    /// while let Some(event) = b.poll_event() {
    ///     if let Event::KeyringChanged { change } = event {
    ///         let written = write(b.keyring());
    ///         b.keyring_stored(now, change, written.as_ref().copied().map_err(String::as_str));
    ///     }
    /// }
    /// # run(&mut now, [&mut a, &mut b], 2);
    /// let refusals = std::iter::from_fn(|| a.poll_reply()).filter_map(|(_, reply)| match reply {
    ///     Reply::Key { from, result: false, message, .. } => Some(format!("{from}: {message}")),
    ///     _ => None,
    /// });
    /// assert_eq!(refusals.collect::<Vec<_>>(), ["b: no space left on device"]);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keyring_stored(&mut self, now: Instant, change: KeyringChange, result: Result<(), &str>) {
        let (mut cx, swim, serf) = self.core.parts(now);
        serf.keyring_stored(&mut cx, swim, change, result);
        self.settle(now);
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
        if !self.keyring().is_empty() && !self.envelope.is_enforcing() {
            return Err(QueryError::NotEnforced);
        }
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

    /// Calls the method that `input` names. For replay, fuzzing and simulation: what
    /// [`poll_transmit`](Self::poll_transmit) yields is returned, with its bytes in `buf`; other results and errors are
    /// not. `buf` is scratch for received datagrams, too.
    ///
    /// Keys are named by their ids; those that are not installed are not found, see
    /// [`apply_with_keys`](Self::apply_with_keys).
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::Input;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let (mut buf, mut answer) = (Vec::new(), Vec::new());
    /// a.apply(now, Input::Ping { name: b"b" }, &mut buf);
    /// let sent = a.apply(now, Input::PollTransmit, &mut buf).expect("a ping");
    /// assert_eq!(sent.destination, b.local().address());
    ///
    /// let from = a.local().address();
    /// b.apply(now, Input::Datagram { from, datagram: &buf }, &mut answer);
    /// let sent = b.apply(now, Input::PollTransmit, &mut answer).expect("an ack");
    /// assert_eq!(sent.destination, from);
    /// ```
    pub fn apply(&mut self, now: Instant, input: Input<'_>, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.apply_with_keys(now, input, &[], buf)
    }

    /// As [`apply`](Self::apply). A key that the input names is looked for among the installed ones and `keys`; with
    /// one that is in neither nothing happens.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::node::input::{Input, KeyRef};
    /// use swim_core::wire::keyring::Key;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # #[cfg(feature = "encryption")]
    /// # {
    /// # let (now, mut buf, mut config) = (swim_core::Instant::ZERO, Vec::new(), config("a", 7946));
    /// # config.wire.keyring.add(Key::new(&[1; 32])?)?;
    /// # let mut node = node(config, now);
    ///
    /// let new = Key::new(&[2; 32])?;
    /// let input = || Input::InstallKey { key: KeyRef::Id(new.id()) };
    /// node.apply(now, input(), &mut buf);
    /// assert_eq!(node.keyring().keys().len(), 1); // an id alone tells nothing about the key
    /// node.apply_with_keys(now, input(), std::slice::from_ref(&new), &mut buf);
    /// assert!(node.keyring().keys().any(|key| *key == new));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            Input::SetSeeds { seeds } => self.set_seeds(now, &seeds),
            Input::HoldHandedOff { waits } => self.hold_handed_off(now, waits),
            Input::KeyringStored { change, result } => self.keyring_stored(now, change, result),
            Input::PollTransmit => return self.poll_transmit(now, buf),
        }
        None
    }

    /// Writes the next datagram into `buf`, which is cleared first. `None`: there is nothing to send.
    ///
    /// Encoding happens here, with the freshest updates: a datagram that is not taken costs nothing, and one that has
    /// become pointless is not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// let mut buf = Vec::new();
    /// let mut sent = 0;
    /// a.ping(now, b"b");
    /// while let Some(transmit) = a.poll_transmit(now, &mut buf) {
    ///     // socket.send_to(&buf, transmit.destination)
    ///     assert_eq!(transmit.destination, b.local().address());
    ///     sent += buf.len();
    /// }
    /// assert!(sent > 0);
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let now = swim_core::Instant::ZERO;
    /// # let (mut node, seed) = (node(config("a", 7946), now), "127.0.0.1:7947".parse()?);
    /// use swim_core::node::input::{StreamAction, StreamInput};
    ///
    /// node.join(now, &[seed], false);
    /// let Some(StreamAction::Open { id, peer }) = node.poll_stream() else { panic!("nobody is dialled") };
    /// assert_eq!(peer, seed);
    /// // Once the connection is there:
    /// node.handle_stream(now, id, StreamInput::Opened);
    /// let Some(StreamAction::Send { data, .. }) = node.poll_stream() else { panic!("nothing is said") };
    /// assert!(!data.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_stream(&mut self) -> Option<StreamAction> {
        self.core.streams.poll()
    }

    /// The next answer to a command, under the id that the command returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use swim_core::node::input::{CommandError, Reply};
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let asked = BTreeMap::from([(a.ping(now, b"b"), "b"), (a.ping(now, b"c"), "c")]);
    /// let mut results = BTreeMap::new();
    /// # run(&mut now, [&mut a, &mut b], 1);
    /// while let Some((id, reply)) = a.poll_reply() {
    ///     if let Reply::Done(result) = reply {
    ///         results.insert(asked[&id], result);
    ///     }
    /// }
    /// assert_eq!(results, BTreeMap::from([("b", Ok(())), ("c", Err(CommandError::NoMember))]));
    /// ```
    pub fn poll_reply(&mut self) -> Option<(CommandId, Reply)> {
        self.core.commands.poll()
    }

    /// The next thing the application may want to know. What is not taken waits, up to `serf.event_queue_max` events.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::Event;
    /// use swim_core::serf::event::MemberEvent;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let mut now = swim_core::Instant::ZERO;
    /// # let (mut a, mut b) = (node(config("a", 7946), now), node(config("b", 7947), now));
    /// # a.join(now, &[b.local().address()], false);
    /// # run(&mut now, [&mut a, &mut b], 1);
    ///
    /// let mut there = Vec::new();
    /// while let Some(event) = a.poll_event() {
    ///     match event {
    ///         Event::Member { kind: MemberEvent::Join, member } => there.push(member.name),
    ///         Event::Missed { .. } => there = a.members().map(|member| member.name().clone()).collect(),
    ///         _ => {} // there are more, and more to come
    ///     }
    /// }
    /// assert_eq!(there, ["a", "b"]);
    /// ```
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.serf.poll_event()
    }

    /// What is to be done with the snapshot file next. Nothing ever, unless `serf.snapshot` is set. What is not taken
    /// waits, up to 2048 records; past that they give way to one [`Step::Rewrite`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::snapshot::Step;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let now = swim_core::Instant::ZERO;
    /// # let mut config = config("a", 7946);
    /// config.serf.snapshot = true;
    /// let mut node = node(config, now);
    /// let mut file = Vec::new();
    /// while let Some(step) = node.poll_record() {
    ///     match step {
    ///         Step::Append(record) => record.write_line(&mut file),
    ///         Step::Rewrite => {
    ///             file.clear();
    ///             node.records().for_each(|record| record.write_line(&mut file));
    ///         }
    ///     }
    /// }
    /// assert!(file.starts_with(b"alive: a 127.0.0.1:7946\n"));
    /// ```
    pub fn poll_record(&mut self) -> Option<Step> {
        self.core.serf.poll_record()
    }

    /// Whether the names of our seeds should be resolved, again or for the first time; the answer is
    /// [`set_seeds`](Self::set_seeds). True once each time.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::ToSocketAddrs;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let mut now = swim_core::Instant::ZERO;
    /// # let mut node = node(config("a", 7946), now);
    ///
    /// if node.poll_resolve() {
    ///     let seeds: Vec<_> = "127.0.0.1:7947".to_socket_addrs()?.collect();
    ///     node.set_seeds(now, &seeds);
    /// }
    /// assert!(!node.poll_resolve(), "not again so soon");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_resolve(&mut self) -> bool {
        self.core.serf.poll_resolve()
    }

    /// All that the snapshot file must hold now, to write it anew. Its times are those of the records that came out of
    /// [`poll_record`](Self::poll_record): 0 unless `serf.snapshot` is set.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, a, b) = two_with(|config| config.serf.snapshot = true);
    /// let mut file = Vec::new();
    /// a.records().for_each(|record| record.write_line(&mut file));
    /// let file = String::from_utf8(file)?;
    /// assert!(file.starts_with("alive: a 127.0.0.1:7946\nalive: b 127.0.0.1:7947\nclock: "), "{file}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.core.serf.snapshot_records(&self.core.roster)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, if nothing else happens before. `None`:
    /// never; that takes a configuration in which everything periodic is off.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let now = swim_core::Instant::ZERO;
    /// # let node = node(config("a", 7946), now);
    ///
    /// let wait = node.poll_timeout().map(|due| due.saturating_duration_since(now));
    /// assert!(wait.is_some_and(|wait| wait <= Duration::from_secs(1)), "a probe each second");
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// As the core's; then what members want done to our keys, which a datagram must not see change while it is read.
    fn settle(&mut self, now: Instant) {
        let Self { envelope, core, .. } = self;
        core.settle(now);
        while core.serf.has_key_tasks() {
            let (mut cx, swim, serf) = core.parts(now);
            let enforced = envelope.is_enforcing();
            serf.run_key_tasks(&mut cx, swim, envelope.keyring_mut(), enforced);
            core.settle(now);
        }
    }
}

impl Core {
    /// What a component may touch, beside the two layers.
    fn parts(&mut self, now: Instant) -> (Cx<'_>, &mut Swim, &mut Serf) {
        let Self { swim, serf, timers, outbox, stats, roster, lines, targets, jitter, .. } = self;
        (Cx { now, targets, jitter, timers, outbox, stats, roster, lines }, swim, serf)
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
            } else if let Some(peer) = serf.poll_heal() {
                self.start_heal(now, peer);
            } else if let Some((id, answer)) = serf.poll_answer() {
                self.commands.answered(id, answer);
            } else if !serf.resolve_conflict(cx, swim) {
                serf.follow_clock(cx);
                return;
            }
        }
    }

    /// Tells the application about a source that it could mend, once a minute.
    fn report_rejected(&mut self, now: Instant, from: SocketAddr, error: DatagramError) {
        if reported::is_mendable(error) && self.rejected.is_news(now, from.ip()) {
            self.serf.report(&mut self.stats, || Event::Rejected { from, error });
        }
    }
}
