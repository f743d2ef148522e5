//! What Serf adds to membership: statuses that outlive SWIM's states, intents ordered by Lamport clocks, tags.
//!
//! Start with `member.rs`, the statuses and how membership changes move them, and `intent.rs`, the messages that say what
//! a member means to do. `lamport.rs` orders these. `leave.rs` is the local node's goodbye, `push_pull.rs` what rides on
//! full state exchanges, `reap.rs` the forgetting, `reconnect.rs` what is tried before and `heal.rs` what is tried for
//! ever, `snapshot.rs` what outlives a restart. `user_event.rs` is what applications say to everybody, `direct.rs` what
//! they say to one member, `tags.rs` what they say of themselves; `event.rs` is what they are told, and `coalesce.rs` holds
//! it back if they want that. `query.rs` asks and answers, `queues.rs` bounds what waits to be gossiped, `filter.rs` says
//! whom a query is for and `folding.rs` what it may cost to find out, `internal_query.rs` is what nodes ask each other, and `key_change.rs` what they are told when
//! their keys have changed. `coordinate.rs` estimates round trips between any two members.

mod coalesce;
pub mod config;
pub mod coordinate;
pub mod direct;
pub mod event;
mod filter;
mod folding;
mod heal;
mod intent;
pub(crate) mod internal_query;
mod key_change;
mod lamport;
mod leave;
pub mod member;
mod push_pull;
pub mod query;
mod queues;
mod reap;
mod reconnect;
pub mod snapshot;
pub mod tags;
#[cfg(test)]
mod tests;
pub mod user_event;

use alloc::vec::Vec;

use crate::cx::Cx;
use crate::ids::{CommandId, LamportTime, MemberId};
use crate::log::{Escaped, log_some};
use crate::rng::{Rng, Stream};
use crate::roster::Roster;
use crate::serf::coalesce::{MemberCoalescer, UserCoalescer};
use crate::serf::config::Config;
use crate::serf::coordinate::Coordinates;
use crate::serf::direct::Delivery;
use crate::serf::event::{Event, EventQueue};
use crate::serf::heal::Heal;
use crate::serf::intent::RecentIntents;
use crate::serf::lamport::LamportClock;
use crate::serf::leave::Leaving;
use crate::serf::member::Records;
use crate::serf::query::Queries;
use crate::serf::queues::Queue;
use crate::serf::snapshot::{Record, Restored, SnapshotLog, Step};
use crate::serf::tags::Tags;
use crate::serf::user_event::UserEvents;
use crate::stats::Stats;
use crate::swim::broadcast::{BroadcastQueue, Notify, retransmit_limit};
use crate::swim::{Change, Swim};
use crate::timers::Timer;
use crate::wire::codec::{Codec, MessageError};
use crate::wire::serf::{SerfMessage, kind};

/// Serf's state of one node.
#[derive(Debug)]
pub(crate) struct Serf {
    config: Config,
    codec: Codec,
    retransmit_mult: u32,
    local: MemberId,
    tags: Tags,
    clock: LamportClock,
    event_clock: LamportClock,
    query_clock: LamportClock,
    records: Records,
    recent_intents: RecentIntents,
    intents: BroadcastQueue,
    user_events: UserEvents,
    queries: Queries,
    leaving: Leaving,
    member_coalescer: MemberCoalescer,
    user_coalescer: UserCoalescer,
    events: EventQueue,
    coordinates: Option<Coordinates>,
    coordinate_rng: Rng,
    /// Longest message that fits into a packet.
    message_len_max: usize,
    snapshot: SnapshotLog,
    heal: Heal,
}

impl Serf {
    pub(crate) fn new(cx: &mut Cx<'_>, config: Config, codec: Codec, tags: Tags, swim: &Swim, seed: [u8; 32]) -> Self {
        let mut serf = Self {
            codec,
            retransmit_mult: swim.config().retransmit_mult,
            local: swim.local(),
            tags,
            clock: LamportClock::started(),
            event_clock: LamportClock::started(),
            query_clock: LamportClock::started(),
            records: Records::default(),
            recent_intents: RecentIntents::default(),
            intents: BroadcastQueue::default(),
            user_events: UserEvents::new(),
            queries: Queries::new(),
            leaving: Leaving::No,
            member_coalescer: MemberCoalescer::new(
                config.coalesce_period,
                config.quiescent_period,
                config.event_queue_max,
            ),
            user_coalescer: UserCoalescer::new(
                config.user_coalesce_period,
                config.user_quiescent_period,
                config.event_queue_max,
            ),
            events: EventQueue::new(config.event_queue_max, config.message_bytes_max),
            coordinates: config.coordinates.then(|| Coordinates::new(swim.local())),
            coordinate_rng: Rng::new(seed, Stream::Coordinates),
            message_len_max: usize::MAX,
            snapshot: SnapshotLog::new(config.snapshot),
            heal: Heal::new(&config, seed),
            config,
        };
        serf.arm_reaper(cx);
        serf.arm_reconnect(cx);
        serf.arm_heal(cx);
        serf
    }

    /// A message of Serf that came by gossip, or to us alone.
    pub(crate) fn handle_message(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        cx.stats.serf_messages_received += 1;
        if bytes.first() == Some(&kind::PUSH_PULL) {
            // Only full state exchanges carry one, and to read it takes as long as it has members.
            cx.stats.serf_messages_unknown += 1;
            return;
        }
        let rebroadcast = match self.codec.decode_serf(bytes) {
            Ok(SerfMessage::Leave(_) | SerfMessage::Join(_)) if bytes.len() > INTENT_LEN_MAX => {
                // Remembered and passed on as it came, it would cost more than any name is worth.
                cx.stats.messages_malformed += 1;
                false
            }
            // Logged here and not where they are handled: a full state exchange brings one for each member.
            Ok(SerfMessage::Leave(leave)) => {
                log_some!(cx, DEBUG, "leave_intent", member = Escaped(leave.node), time = leave.ltime);
                self.handle_leave_intent(cx, swim, &leave)
            }
            Ok(SerfMessage::Join(join)) => {
                log_some!(cx, DEBUG, "join_intent", member = Escaped(join.node), time = join.ltime);
                self.handle_join_intent(cx, &join)
            }
            Ok(SerfMessage::UserEvent(event)) => {
                log_some!(cx, DEBUG, "user_event", event = Escaped(event.name), time = event.ltime);
                if self.handle_user_event(cx, &event) {
                    // As it came, like the intents.
                    self.queue_user_event(cx, swim, bytes);
                }
                false
            }
            Ok(SerfMessage::Query(_)) if bytes.len() > QUERY_LEN_MAX.max(self.config.query_size_limit) => {
                cx.stats.queries_over_limit += 1;
                false
            }
            Ok(SerfMessage::Query(query)) => {
                log_some!(cx, DEBUG, "query", name = Escaped(query.name), time = query.ltime);
                if self.handle_query(cx, swim, &query) {
                    self.queue_query(cx, swim, bytes);
                }
                false
            }
            Ok(SerfMessage::QueryResponse(_))
                if bytes.len() > QUERY_LEN_MAX.max(self.config.query_response_size_limit) =>
            {
                // Each member's may wait for the application, and its name is kept until the query is over.
                cx.stats.query_responses_over_limit += 1;
                false
            }
            Ok(SerfMessage::QueryResponse(response)) => {
                self.handle_query_response(cx, swim, &response);
                false
            }
            Ok(SerfMessage::Relay(relay)) => {
                self.handle_relay(cx, swim, &relay);
                false
            }
            Ok(SerfMessage::Direct(message)) => {
                let _counted = self.handle_direct(cx, &message, Delivery::Datagram);
                false
            }
            // The first is dealt with above, and only streams carry the second.
            Ok(SerfMessage::PushPull(_) | SerfMessage::DirectAnswer(_)) | Err(MessageError::UnknownKind(_)) => {
                cx.stats.serf_messages_unknown += 1;
                false
            }
            Err(_) => {
                cx.stats.messages_malformed += 1;
                false
            }
        };
        if rebroadcast && self.fits(cx, bytes) {
            // As it came: fields that we do not know must reach those that do.
            self.queue_intent(cx, swim, None, |buf| buf.extend_from_slice(bytes));
        }
    }

    pub(crate) fn handle_change(&mut self, cx: &mut Cx<'_>, swim: &Swim, change: Change) {
        match change {
            Change::Joined(id) => self.on_joined(cx, swim, id),
            Change::Updated(id) => self.on_updated(cx, swim, id),
            Change::Departed(id) => self.on_departed(cx, swim, id),
            Change::Conflict(id, other) => {
                let (name, existing) = (cx.roster.slot(id).name.clone(), cx.roster.address(id));
                self.notice_conflict(cx, id, &name, existing, other);
                self.events.push(cx.stats, || Event::Conflict { name, existing, other });
            }
        }
    }

    /// Adds broadcasts to a packet, as many as fit: intents before user events. Each costs the kind byte of a user
    /// message more.
    pub(crate) fn fill(&mut self, stats: &mut Stats, mut room: usize, mut push: impl FnMut(&[u8]) -> usize) {
        let limit = retransmit_limit(self.retransmit_mult, self.records.len());
        for queue in [&mut self.intents, &mut self.queries.broadcasts, &mut self.user_events.broadcasts] {
            queue.fill(limit, room, |body| {
                stats.serf_messages_sent += 1;
                room = push(body);
                room
            });
        }
    }

    pub(crate) fn has_broadcasts(&self) -> bool {
        !(self.intents.is_empty() && self.queries.broadcasts.is_empty() && self.user_events.broadcasts.is_empty())
    }

    /// Says how long a message may be to fit into a packet of its own.
    pub(crate) fn set_message_len_max(&mut self, max: usize) {
        self.message_len_max = max;
    }

    pub(crate) fn poll_finished(&mut self) -> Option<Notify> {
        self.intents.poll_finished()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Reports something that is not Serf's own.
    pub(crate) fn report(&mut self, stats: &mut Stats, event: impl FnOnce() -> Event) {
        self.events.push(stats, event);
    }

    /// Takes in what an earlier run wrote down. What it had heard by then is not told again.
    pub(crate) fn restore(&mut self, stats: &mut Stats, mut restored: Restored) {
        let times = &mut restored.clocks;
        let clocks = [
            (&mut self.clock, &mut times.member),
            (&mut self.event_clock, &mut times.event),
            (&mut self.query_clock, &mut times.query),
        ];
        for (clock, time) in clocks {
            if !clock.witness(*time) {
                // What we will say ourselves would be too old to be heard, and the file would keep it so.
                *time = LamportTime(0);
                stats.lamport_times_refused += 1;
            }
        }
        let after = |time: LamportTime| LamportTime(time.0.saturating_add(1));
        self.user_events.ignore_before(after(times.event));
        self.queries.min_time = self.queries.min_time.max(after(times.query));
        self.snapshot.restore(restored);
        self.heal_restored();
    }

    /// Lets the snapshot follow the member clock, now or a little later.
    pub(crate) fn follow_clock(&mut self, cx: &mut Cx<'_>) {
        if let Some(at) = self.snapshot.on_clock(cx.stats, cx.now, self.clock.time()) {
            cx.timers.arm(Timer::Snapshot, at);
        }
    }

    pub(crate) fn poll_record(&mut self) -> Option<Step> {
        self.snapshot.poll()
    }

    /// All that a snapshot must hold now.
    pub(crate) fn snapshot_records<'a>(&'a self, roster: &'a Roster) -> impl Iterator<Item = Record<'a>> {
        self.snapshot.records(roster, &self.records)
    }

    /// Takes new tags, which fit, and tells everybody. Whether anybody is there to hear it.
    pub(crate) fn set_tags(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, tags: Tags, command: CommandId) -> bool {
        let meta = tags.encode(self.config.protocol);
        self.tags = tags;
        swim.update_meta(cx, meta, command)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    pub(crate) fn times(&self) -> (LamportTime, LamportTime, LamportTime) {
        (self.clock.time(), self.event_clock.time(), self.query_clock.time())
    }

    pub(crate) fn coordinates(&self) -> Option<&Coordinates> {
        self.coordinates.as_ref()
    }

    pub(crate) fn queue_len(&self) -> usize {
        self.intents.len()
    }

    pub(crate) fn event_queue_len(&self) -> usize {
        self.user_events.broadcasts.len()
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn check(&self) {
        self.records.check();
        self.user_events.check(&self.config);
        self.check_heal();
    }

    /// Whether a packet can hold this message. Queued all the same, it would wait for ever and displace others.
    fn fits(&self, cx: &mut Cx<'_>, encoded: &[u8]) -> bool {
        let fits = encoded.len() <= self.message_len_max;
        cx.stats.broadcasts_too_long += u64::from(!fits);
        fits
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn queries(&self) -> &Queries {
        &self.queries
    }

    pub(crate) fn query_queue_len(&self) -> usize {
        self.queries.broadcasts.len()
    }

    /// Queues a message for gossip; past the queue's bound, those sent most often are dropped.
    fn queue_intent(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        notify: Option<Notify>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        self.intents.insert(None, notify, encode);
        self.bound(cx, Queue::Intents);
        swim.arm_gossip(cx);
    }
}

/// Longest intent that is understood, in bytes: a name of any sensible length, and room for fields to come.
const INTENT_LEN_MAX: usize = 1024;
/// Longest query that is listened to, in bytes, unless longer ones are asked here: thousands may wait for the
/// application, and over a stream one might have megabytes. No gossip carries more than a packet. The same for an answer
/// to a query of ours: there may be two from each member.
const QUERY_LEN_MAX: usize = 9 * 1024;
