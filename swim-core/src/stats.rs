//! What a node counts. Reading it costs nothing; nothing in the protocol depends on it.

/// A struct of counters that can be gone through.
macro_rules! counters {
    ($(#[$attribute:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: u64,)* }) => {
        $(#[$attribute])*
        pub struct $name {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl $name {
            /// Every counter with its name, in the order of their declaration. New ones may come with each version.
            ///
            /// # Examples
            ///
            /// ```
            /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
            /// # let (now, a, b) = pair::two();
            /// let grown: Vec<_> = a.stats().iter().filter(|(_, count)| *count > 0).collect();
            /// assert!(grown.contains(&("member_joins", 2)), "itself and b: {grown:?}");
            /// ```
            pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }
        }
    };
}

/// Some of the counters, looked at together.
macro_rules! refusals {
    ($($field:ident),* $(,)?) => {
        /// What has been refused, by rules and bounds that members of one configuration do not meet unless somebody breaks
        /// the protocol.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Refusals([u64; [$(stringify!($field)),*].len()]);

        impl Refusals {
            /// The names of the counters that have grown since.
            pub(crate) fn grown_since(self, before: Self) -> impl Iterator<Item = &'static str> {
                let counts = self.0.into_iter().zip(before.0);
                [$(stringify!($field)),*].into_iter().zip(counts).filter(|(_, (now, before))| now > before).map(|(name, _)| name)
            }
        }

        impl Stats {
            pub(crate) fn refusals(&self) -> Refusals {
                Refusals([$(self.$field),*])
            }
        }
    };
}
refusals! {
    refused_addresses, refused_versions, refused_names, refused_incarnations, members_over_limit, requests_over_limit,
    lamport_times_refused, query_responses_over_limit, user_events_over_limit,
}

counters! {
/// Counters since the node was made. All only grow. See [`Node::stats`](crate::Node::stats).
///
/// [`iter`](Self::iter) goes through all of them, for whoever exports them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    // Traffic.
    /// Of any kind, good or bad.
    pub datagrams_received: u64,
    /// Handed out by `poll_transmit`.
    pub datagrams_sent: u64,
    /// Of all datagrams received, as they came.
    pub bytes_received: u64,
    /// Of all datagrams sent, as they went.
    pub bytes_sent: u64,
    /// On all streams, as they came.
    pub stream_bytes_received: u64,
    /// On all streams, as they went.
    pub stream_bytes_sent: u64,

    // Datagrams dropped whole, by reason.
    /// Not of this protocol, damaged, too large once decompressed, or of a later version.
    pub datagrams_malformed: u64,
    /// Of another cluster, or of none.
    pub datagrams_wrong_label: u64,
    /// In the other of the two wire formats.
    pub datagrams_foreign_wire: u64,
    /// Sealed with a key that we do not have, or plain though we have keys.
    pub datagrams_not_opened: u64,
    /// With a wrong checksum, or without one where it must be.
    pub datagrams_bad_checksum: u64,

    // Datagrams taken in all the same.
    /// Plain though we have keys, with [`verify_incoming`](crate::wire::Config::verify_incoming) off: while this grows,
    /// somebody does not seal yet.
    pub datagrams_unsealed: u64,

    // Messages and claims dropped inside good datagrams, by reason.
    /// Not what their kind demands; on streams and among Serf's messages, too.
    pub messages_malformed: u64,
    /// Of a kind, or in an algorithm, that this build does not know.
    pub messages_unknown: u64,
    /// Pings for another member, which was here before us.
    pub misaddressed_pings: u64,
    /// Acks and nacks that answer nothing, or come too late.
    pub unknown_acks: u64,
    /// Addresses that are none, or that no member may have (`allowed_networks`).
    pub refused_addresses: u64,
    /// Announcements with impossible versions, or new members with none.
    pub refused_versions: u64,
    /// Announcements without a name, or with a name or metadata beyond all measure, accusations by such names, and requests
    /// to ping one.
    pub refused_names: u64,
    /// New members that the application does not want.
    pub refused_admissions: u64,
    /// New members with incarnation 0, and accusations at one that nobody can refute.
    pub refused_incarnations: u64,

    // What a bound refused.
    /// New members beyond `members_max`, and those of a snapshot.
    pub members_over_limit: u64,
    /// Requests to ping somebody, while we do so for too many.
    pub relays_over_limit: u64,
    /// Pings and requests to pass something on beyond the first in one datagram, and queries beyond its first 16.
    pub requests_over_limit: u64,
    /// Acks and nacks not sent, because too many datagrams wait.
    pub acks_over_limit: u64,
    /// Streams beyond `streams_max`.
    pub streams_over_limit: u64,
    /// Streams given up because all together held more than `stream_bytes_max`.
    pub stream_bytes_over_limit: u64,
    /// Members and user events left out of full states that we sent, because with them no receiver would have taken one.
    pub state_over_limit: u64,
    /// Joins refused, because too many are under way.
    pub joins_over_limit: u64,
    /// Intents about unknown members beyond `recent_intents_max`.
    pub intents_over_limit: u64,
    /// Serf's messages dropped from a full broadcast queue.
    pub broadcasts_over_limit: u64,
    /// Serf's messages that no packet holds; user events among them reach others by full state exchanges.
    pub broadcasts_too_long: u64,
    /// User events not told, because too many or too long ones are remembered.
    pub user_events_over_limit: u64,
    /// Events that the application did not take in time.
    pub events_dropped: u64,
    /// Snapshot records that gave way to a rewrite, because they were not taken in time.
    pub snapshot_records_over_limit: u64,
    /// Messages of Serf for one receiver not sent, because too many datagrams wait.
    pub user_messages_over_limit: u64,
    /// Queries not looked at, or forgotten before they were answered, because there were too many, also of those with
    /// expressions in their filters; ours, too.
    pub queries_over_limit: u64,
    /// Acks and answers to a query of ours beyond what its number of members explains, or longer than any.
    pub query_responses_over_limit: u64,
    /// Seeds beyond the 256 that count.
    pub seeds_over_limit: u64,
    /// Members of long ago forgotten, because there were more than `remembered_max`.
    pub remembered_over_limit: u64,

    // Failure detection.
    /// Begun.
    pub probes: u64,
    /// Answered in time, the ping itself.
    pub probes_acked_directly: u64,
    /// Answered after the probe timeout, by whatever way.
    pub probes_acked_late: u64,
    /// Answered over a stream only: datagrams do not get through.
    pub probes_acked_by_stream: u64,
    /// Not answered at all.
    pub probes_failed: u64,
    /// Begun here, whoever accused first.
    pub suspicions: u64,
    /// Ended by the member itself.
    pub suspicions_refuted: u64,
    /// Further accusers that shortened a suspicion.
    pub suspicions_confirmed: u64,
    /// Suspicions that ran out here.
    pub deaths_declared: u64,
    /// Accusations of ourselves that we have refuted.
    pub refutations: u64,
    /// Claims to the name of a member that is there, ours included.
    pub conflicts: u64,

    // Full state exchanges.
    /// Dialled by us.
    pub push_pulls_started: u64,
    /// Dialled by others.
    pub push_pulls_accepted: u64,
    /// States of others taken in.
    pub push_pulls_merged: u64,
    /// Ours that did not come about.
    pub push_pulls_failed: u64,
    /// States of others that cannot be merged into ours.
    pub push_pulls_refused: u64,

    // Ticks skipped because the last one's packets had not been taken yet.
    /// No probe was begun.
    pub probe_ticks_skipped: u64,
    /// No round was begun.
    pub gossip_ticks_skipped: u64,

    // Serf's messages.
    /// In user messages, good or bad.
    pub serf_messages_received: u64,
    /// Copies put into packets; the answers to queries are not among them.
    pub serf_messages_sent: u64,
    /// Of a kind that this build does not know, or that only full state exchanges carry.
    pub serf_messages_unknown: u64,
    /// Members that came, or came back.
    pub member_joins: u64,
    /// Members that left as they had said.
    pub member_leaves: u64,
    /// Members that failed.
    pub member_failures: u64,
    /// Members whose tags changed.
    pub member_updates: u64,
    /// Members that were back within `flap_timeout` after they had failed.
    pub member_flaps: u64,
    /// Attempts to reach a failed member.
    pub reconnects: u64,
    /// Attempts to reach a seed, or a member of long ago.
    pub heals_tried: u64,
    /// Those that brought members.
    pub heals_met: u64,
    /// Told for the first time, our own included.
    pub user_events: u64,
    /// Too old to know whether they were told.
    pub user_events_old: u64,
    /// Messages whose time is too far ahead to be true.
    pub lamport_times_refused: u64,

    // Messages straight from one member to another.
    /// Handed out to be sent, confirmations not awaited.
    pub messages_direct_sent: u64,
    /// By stream: the receiver has it in its event queue.
    pub messages_direct_confirmed: u64,
    /// By stream: refused, or nobody knows.
    pub messages_direct_failed: u64,
    /// Heard, and told the application.
    pub messages_direct_received: u64,
    /// Heard, and meant for another name.
    pub messages_direct_misaddressed: u64,
    /// Heard from nobody we know, or too long. One that finds the event queue full counts as an event dropped.
    pub messages_direct_refused: u64,

    // Queries heard, and what came of our own.
    /// Heard for the first time, our own included.
    pub queries: u64,
    /// Too old to know whether they were heard.
    pub queries_old: u64,
    /// Serf's own, of a sort that this build does not know.
    pub queries_unhandled: u64,
    /// Filters that cannot be read, or whose expression is none; they do not pass.
    pub query_filters_invalid: u64,
    /// Taken for queries of ours.
    pub query_acks: u64,
    /// Taken for queries of ours.
    pub query_responses: u64,
    /// From members that had acknowledged already, perhaps by another way.
    pub query_duplicate_acks: u64,
    /// From members that had answered already, perhaps by another way.
    pub query_duplicate_responses: u64,
    /// For no query of ours that still runs, or acks that it did not want.
    pub query_responses_unmatched: u64,
    /// Handed on for others.
    pub query_responses_relayed: u64,

    // Network coordinates.
    /// That came with acks and cannot be used.
    pub coordinates_rejected: u64,
    /// Learnt from round trips too short for the clock.
    pub coordinates_zero_rtt: u64,
}
}
