//! What a node counts. Reading it costs nothing; nothing in the protocol depends on it.

/// Counters since the node was made. All only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each group is explained once; the names say the rest")]
pub struct Stats {
    // Traffic.
    pub datagrams_received: u64,
    pub datagrams_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub stream_bytes_received: u64,
    pub stream_bytes_sent: u64,

    // Datagrams dropped whole, by reason.
    pub datagrams_malformed: u64,
    pub datagrams_wrong_label: u64,
    pub datagrams_foreign_wire: u64,
    pub datagrams_not_opened: u64,
    pub datagrams_bad_checksum: u64,

    // Messages dropped inside good datagrams, by reason.
    pub messages_malformed: u64,
    pub messages_unknown: u64,
    pub misaddressed_pings: u64,
    pub unknown_acks: u64,
    pub refused_addresses: u64,
    pub refused_versions: u64,
    pub refused_names: u64,
    pub refused_admissions: u64,
    pub refused_incarnations: u64,

    // What a bound refused.
    pub members_over_limit: u64,
    pub relays_over_limit: u64,
    pub acks_over_limit: u64,
    pub streams_over_limit: u64,
    pub stream_bytes_over_limit: u64,
    pub intents_over_limit: u64,
    pub broadcasts_over_limit: u64,
    pub broadcasts_too_long: u64,
    pub user_events_over_limit: u64,
    pub events_dropped: u64,
    pub snapshot_records_over_limit: u64,
    pub user_messages_over_limit: u64,
    pub queries_over_limit: u64,
    pub query_responses_over_limit: u64,

    // Failure detection.
    pub probes: u64,
    pub probes_acked_directly: u64,
    pub probes_acked_late: u64,
    pub probes_acked_by_stream: u64,
    pub probes_failed: u64,
    pub suspicions: u64,
    pub suspicions_refuted: u64,
    pub suspicions_confirmed: u64,
    pub deaths_declared: u64,
    pub refutations: u64,
    pub conflicts: u64,

    // Full state exchanges.
    pub push_pulls_started: u64,
    pub push_pulls_accepted: u64,
    pub push_pulls_merged: u64,
    pub push_pulls_failed: u64,
    pub push_pulls_refused: u64,

    // Ticks skipped because the last one's packets had not been taken yet.
    pub probe_ticks_skipped: u64,
    pub gossip_ticks_skipped: u64,

    // Serf's messages.
    pub serf_messages_received: u64,
    pub serf_messages_sent: u64,
    pub serf_messages_unknown: u64,
    pub member_joins: u64,
    pub member_leaves: u64,
    pub member_failures: u64,
    pub member_updates: u64,
    pub member_flaps: u64,
    pub reconnects: u64,
    pub user_events: u64,
    pub user_events_old: u64,
    pub lamport_times_refused: u64,

    // Messages straight from one member to another: handed out to be sent; confirmed by the receiver of a stream, or
    // not; heard and told the application; meant for somebody else; from nobody we know, or too long.
    pub messages_direct_sent: u64,
    pub messages_direct_confirmed: u64,
    pub messages_direct_failed: u64,
    pub messages_direct_received: u64,
    pub messages_direct_misaddressed: u64,
    pub messages_direct_refused: u64,

    // Queries heard, and what came of our own.
    pub queries: u64,
    pub queries_old: u64,
    pub queries_unhandled: u64,
    pub query_filters_invalid: u64,
    pub query_acks: u64,
    pub query_responses: u64,
    pub query_duplicate_acks: u64,
    pub query_duplicate_responses: u64,
    pub query_responses_unmatched: u64,
    pub query_responses_relayed: u64,

    // Network coordinates.
    pub coordinates_rejected: u64,
    pub coordinates_zero_rtt: u64,
}
