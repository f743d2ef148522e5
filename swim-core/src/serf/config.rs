//! Every constant of Serf's layer.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// How Serf's layer behaves (Serf: `serf/config.go`; the defaults are its, where it has the field).
///
/// ```
/// use std::time::Duration;
/// use swim_core::serf::config::Config;
///
/// // Of a member that flaps, only the last change within three seconds is told.
/// let config = Config {
///     coalesce_period: Duration::from_secs(3),
///     quiescent_period: Duration::from_secs(1),
///     ..Config::default()
/// };
/// assert_eq!(config.reconnect_timeout, Duration::from_secs(24 * 60 * 60));
/// assert_eq!(config.protocol, 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Serf protocol version spoken, 2 to 5. Below 3, metadata carries the `role` tag only; below 4, we do not ask
    /// queries.
    pub protocol: u8,
    /// How long a leave waits until each of its two messages has been sent, and a change of tags until its one has. A
    /// pruned member that is still leaving is given as much time, and `leave_propagate_delay`.
    pub broadcast_timeout: Duration,
    /// How long a leaving node stays to let the news spread.
    pub leave_propagate_delay: Duration,
    /// Time between two looks for members to forget. Zero: none is ever forgotten.
    pub reap_interval: Duration,
    /// How long a failed member is remembered.
    pub reconnect_timeout: Duration,
    /// How long a member that left is remembered.
    pub tombstone_timeout: Duration,
    /// A failed member that is back within this time counts as flapping.
    pub flap_timeout: Duration,
    /// How long an intent about an unknown member is remembered.
    pub recent_intent_timeout: Duration,
    /// Intents about unknown members that are remembered; more are refused and counted.
    pub recent_intents_max: usize,
    /// Time between two attempts to reach a failed member; zero: none are made.
    pub reconnect_interval: Duration,
    /// Time between two attempts to reach seeds that are no members and members that were forgotten as failed, at first;
    /// it doubles while nobody is met. Zero: none are made, and seeds are not used at all.
    pub heal_interval: Duration,
    /// The longest that it becomes; at least `heal_interval`.
    pub heal_interval_max: Duration,
    /// Members forgotten as failed, or not met again after a restart, whom those attempts remember; past it, the oldest
    /// are given up and counted.
    pub remembered_max: usize,
    /// Longest user event that may be sent, in bytes, before as well as after encoding; at most
    /// [`USER_EVENT_LEN_MAX`](crate::serf::user_event::USER_EVENT_LEN_MAX).
    pub user_event_size_limit: usize,
    /// So many times of the event clock back, user events are remembered. At least 1, at most
    /// [`BUFFER_MAX`](crate::node::config::BUFFER_MAX); Serf nodes expect 512.
    pub event_buffer: usize,
    /// User events of one time that are remembered; more are refused and counted.
    pub events_per_time_max: usize,
    /// Memory for user events, in bytes; past it, the oldest are forgotten.
    pub event_bytes_max: usize,
    /// How long what happens to members is held back at most, so that of what happens to one of them only the last is
    /// told. Zero, or a zero `quiescent_period`: it is told at once.
    pub coalesce_period: Duration,
    /// It is told earlier when nothing has happened to members for so long.
    pub quiescent_period: Duration,
    /// As `coalesce_period`, for user events that may be coalesced: of those with one name, the last is told.
    pub user_coalesce_period: Duration,
    /// As `quiescent_period`, for user events.
    pub user_quiescent_period: Duration,
    /// Messages that each of Serf's broadcast queues holds; past it, those sent most often go first.
    pub queue_depth_max: usize,
    /// If not zero, each holds twice as many as there are members instead, and at least so many.
    pub queue_depth_min: usize,
    /// A queue of so many is mentioned in the log,
    pub queue_depth_warning: usize,
    /// so often, as long as it lasts. Zero: never.
    pub queue_check_interval: Duration,
    /// Whether network coordinates ride on acks, so that round trips between any two members can be estimated.
    pub coordinates: bool,
    /// So many times of the query clock back, queries are remembered, up to 64 of each, so that none is heard twice;
    /// older ones are not listened to. 0 counts as 1; at most [`BUFFER_MAX`](crate::node::config::BUFFER_MAX).
    pub query_buffer: usize,
    /// By how many gossip intervals, times the decimal digits of the cluster's size, a query waits for its answers
    /// unless it says otherwise.
    pub query_timeout_mult: u32,
    /// Longest query that is asked, encoded, in bytes.
    pub query_size_limit: usize,
    /// Longest answer that is given, encoded, in bytes.
    pub query_response_size_limit: usize,
    /// Longest message to and from a single member, in bytes of payload; at most
    /// [`MESSAGE_LEN_MAX`](crate::serf::direct::MESSAGE_LEN_MAX). A datagram holds less. Longer ones are refused.
    pub message_size_limit: usize,
    /// Bytes of such messages that wait for `poll_event`; past it they are dropped and counted like other events. One
    /// always fits.
    pub message_bytes_max: usize,
    /// Whether the others are asked whose our name is when somebody else claims it.
    pub resolve_name_conflicts: bool,
    /// Whether the answer to a change of our keys waits until the application says, by
    /// [`Node::keyring_stored`](crate::Node::keyring_stored), that it has stored them, or that it could not, which is
    /// then the answer: a change that the next start has forgotten locks the member out. Unless it says so in time, the
    /// change is not answered. As Serf with a `KeyringFile` (Serf: `serf.go`, writeKeyringFile).
    pub keyring_stored: bool,
    /// Whether records come out for a snapshot file, by which the node finds its cluster again after a restart. They
    /// must be taken with `poll_record`.
    pub snapshot: bool,
    /// Whether a snapshot is followed back into the cluster even after we have left it.
    pub rejoin_after_leave: bool,
    /// Events waiting for `poll_event`; past it they are dropped and counted.
    pub event_queue_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            protocol: 5,
            broadcast_timeout: Duration::from_secs(5),
            leave_propagate_delay: Duration::from_secs(1),
            reap_interval: Duration::from_secs(15),
            reconnect_timeout: Duration::from_secs(24 * 3600),
            tombstone_timeout: Duration::from_secs(24 * 3600),
            flap_timeout: Duration::from_secs(60),
            recent_intent_timeout: Duration::from_secs(300),
            recent_intents_max: 4096,
            reconnect_interval: Duration::from_secs(30),
            heal_interval: Duration::from_secs(30),
            heal_interval_max: Duration::from_secs(8 * 60),
            remembered_max: 128,
            user_event_size_limit: 512,
            event_buffer: 512,
            events_per_time_max: 1024,
            event_bytes_max: 4 << 20,
            coalesce_period: Duration::ZERO,
            quiescent_period: Duration::ZERO,
            user_coalesce_period: Duration::ZERO,
            user_quiescent_period: Duration::ZERO,
            queue_depth_max: 4096,
            queue_depth_min: 0,
            queue_depth_warning: 128,
            queue_check_interval: Duration::from_secs(30),
            coordinates: true,
            query_buffer: 512,
            query_timeout_mult: 16,
            query_size_limit: 1024,
            query_response_size_limit: 1024,
            message_size_limit: 1 << 20,
            message_bytes_max: 16 << 20,
            resolve_name_conflicts: true,
            keyring_stored: false,
            snapshot: false,
            rejoin_after_leave: false,
            event_queue_max: 4096,
        }
    }
}

/// Where the local node is in its life (Serf: `serf/serf.go`, SerfState). See [`Node::life`](crate::Node::life).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// A member, or on its own.
    Alive,
    /// Saying goodbye.
    Leaving,
    /// Gone; it still answers probes until it is dropped.
    Left,
}
