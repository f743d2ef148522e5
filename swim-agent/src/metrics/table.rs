//! One table of everything the cluster counts: what it is called by Serf's users, and what by Prometheus's.
//!
//! Names without an equivalent in Serf begin with `swim.` there. `docs/metrics.md` has the same names; a test compares.

use swim_tokio::swim_core::node::Summary;
use swim_tokio::swim_core::stats::Stats;
use swim_tokio::{Cluster, IoStats};

/// What the cluster knows of itself at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) stats: Stats,
    pub(crate) io: IoStats,
    pub(crate) summary: Summary,
}

impl Known {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self { stats: cluster.stats(), io: cluster.io_stats(), summary: cluster.summary() }
    }
}

/// Counters that Prometheus knows by one name, told apart by a label.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// What it counts, in words.
    pub(crate) help: &'static str,
    pub(crate) counters: &'static [Counter],
}

/// Something that only grows.
pub(crate) struct Counter {
    /// Where it comes from.
    pub(crate) field: &'static str,
    pub(crate) read: fn(&Known) -> u64,
    /// A label and its value, as Prometheus writes them.
    pub(crate) label: &'static str,
    /// The name in Serf, without the prefix; empty: `swim.` and the field.
    serf: &'static str,
    /// How often Serf would have counted, if not by one each time; what has not grown counts as once.
    pub(crate) times: Option<fn(&Known) -> u64>,
}

impl Counter {
    const fn new(field: &'static str, read: fn(&Known) -> u64) -> Self {
        Self { field, read, label: "", serf: "", times: None }
    }

    const fn label(self, label: &'static str) -> Self {
        Self { label, ..self }
    }

    const fn serf(self, serf: &'static str) -> Self {
        Self { serf, ..self }
    }

    const fn times(self, times: fn(&Known) -> u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The name that statsd and its like are told, without the prefix.
    pub(crate) fn key(&self) -> String {
        if self.serf.is_empty() { format!("swim.{}", self.field) } else { self.serf.to_owned() }
    }
}

/// Something that rises and falls.
pub(crate) struct Gauge {
    /// Where it comes from.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it"))]
    pub(crate) field: &'static str,
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// In words; empty: as of the one before, which has the same name.
    pub(crate) help: &'static str,
    /// The name that statsd and its like are told, without prefix and host; empty: they are not.
    pub(crate) key: &'static str,
    /// `None`: there is no such thing at the moment.
    pub(crate) read: fn(&Summary) -> Option<u64>,
}

/// Sizes that Serf looks at every half minute, by its names.
pub(crate) fn queues(summary: &Summary) -> [(&'static str, usize); 3] {
    [
        ("serf.queue.Intent", summary.intent_queue),
        ("serf.queue.Event", summary.event_queue),
        ("serf.queue.Query", summary.query_queue),
    ]
}

macro_rules! stat {
    ($field:ident) => {
        Counter::new(stringify!($field), |known| known.stats.$field)
    };
}

macro_rules! io {
    ($field:ident) => {
        Counter::new(stringify!($field), |known| known.io.$field)
    };
}

macro_rules! gauge {
    ($field:ident, $name:literal, $label:literal, $key:literal, $help:literal) => {
        gauge!($field, $name, $label, $key, $help, |summary| u64::try_from(summary.$field).ok())
    };
    ($field:ident, $name:literal, $label:literal, $key:literal, $help:literal, $read:expr) => {
        Gauge { field: stringify!($field), name: $name, label: $label, help: $help, key: $key, read: $read }
    };
}

pub(crate) const COUNTERS: &[Family] = &[
    // Traffic.
    Family {
        name: "swim_datagrams_total",
        help: "Datagrams, by direction.",
        counters: &[
            stat!(datagrams_received).label(r#"direction="in""#),
            stat!(datagrams_sent).label(r#"direction="out""#),
        ],
    },
    Family {
        name: "swim_datagram_bytes_total",
        help: "Bytes in datagrams, by direction.",
        counters: &[
            stat!(bytes_received)
                .label(r#"direction="in""#)
                .serf("memberlist.udp.received")
                .times(|known| known.stats.datagrams_received),
            stat!(bytes_sent)
                .label(r#"direction="out""#)
                .serf("memberlist.udp.sent")
                .times(|known| known.stats.datagrams_sent),
        ],
    },
    Family {
        name: "swim_stream_bytes_total",
        help: "Bytes on streams, by direction.",
        counters: &[
            // In how many pieces they came is not counted; each look at them stands for one.
            stat!(stream_bytes_received).label(r#"direction="in""#).times(|_| 0),
            stat!(stream_bytes_sent).label(r#"direction="out""#).serf("memberlist.tcp.sent").times(|_| 0),
        ],
    },
    Family {
        name: "swim_datagrams_dropped_total",
        help: "Datagrams dropped whole, by reason.",
        counters: &[
            stat!(datagrams_malformed).label(r#"reason="malformed""#),
            stat!(datagrams_wrong_label).label(r#"reason="wrong_label""#),
            stat!(datagrams_foreign_wire).label(r#"reason="foreign_wire""#),
            stat!(datagrams_not_opened).label(r#"reason="not_opened""#),
            stat!(datagrams_bad_checksum).label(r#"reason="bad_checksum""#),
        ],
    },
    Family {
        name: "swim_datagrams_unsealed_total",
        help: "Datagrams taken in without a seal, though there are keys.",
        counters: &[stat!(datagrams_unsealed)],
    },
    Family {
        name: "swim_messages_dropped_total",
        help: "Messages dropped inside good datagrams or streams, by reason.",
        counters: &[
            stat!(messages_malformed).label(r#"reason="malformed""#),
            stat!(messages_unknown).label(r#"reason="unknown""#),
            stat!(serf_messages_unknown).label(r#"reason="unknown_to_serf""#),
            stat!(misaddressed_pings).label(r#"reason="misaddressed_ping""#),
            stat!(unknown_acks).label(r#"reason="unknown_ack""#),
            stat!(refused_addresses).label(r#"reason="refused_address""#),
            stat!(refused_versions).label(r#"reason="refused_version""#),
            stat!(refused_names).label(r#"reason="refused_name""#),
            stat!(refused_admissions).label(r#"reason="refused_admission""#),
            stat!(refused_incarnations).label(r#"reason="refused_incarnation""#),
            stat!(lamport_times_refused).label(r#"reason="refused_lamport_time""#),
        ],
    },
    Family {
        name: "swim_over_limit_total",
        help: "What a bound refused, by what there was too much of.",
        counters: &[
            stat!(members_over_limit).label(r#"what="members""#),
            stat!(relays_over_limit).label(r#"what="relays""#),
            stat!(requests_over_limit).label(r#"what="requests""#),
            stat!(acks_over_limit).label(r#"what="acks""#),
            stat!(streams_over_limit).label(r#"what="streams""#),
            stat!(stream_bytes_over_limit).label(r#"what="stream_bytes""#),
            stat!(state_over_limit).label(r#"what="state""#),
            stat!(joins_over_limit).label(r#"what="joins""#),
            stat!(intents_over_limit).label(r#"what="intents""#),
            stat!(broadcasts_over_limit).label(r#"what="broadcasts""#),
            stat!(broadcasts_too_long).label(r#"what="broadcast_len""#),
            stat!(user_events_over_limit).label(r#"what="user_events""#),
            stat!(events_dropped).label(r#"what="events""#),
            stat!(snapshot_records_over_limit).label(r#"what="snapshot_records""#),
            stat!(user_messages_over_limit).label(r#"what="user_messages""#),
            stat!(queries_over_limit).label(r#"what="queries""#),
            stat!(query_responses_over_limit).label(r#"what="query_responses""#),
            stat!(seeds_over_limit).label(r#"what="seeds""#),
            stat!(remembered_over_limit).label(r#"what="remembered""#),
        ],
    },
    Family {
        name: "swim_socket_errors_total",
        help: "Troubles with sockets, by what was tried.",
        counters: &[
            io!(send_errors).label(r#"what="send""#),
            io!(sends_blocked).label(r#"what="send_blocked""#),
            io!(receive_errors).label(r#"what="receive""#),
            io!(accept_errors).label(r#"what="accept""#),
        ],
    },
    // Failure detection.
    Family { name: "swim_probes_total", help: "Probes begun.", counters: &[stat!(probes)] },
    Family {
        name: "swim_probe_outcomes_total",
        help: "Probes that ended, by how.",
        counters: &[
            stat!(probes_acked_directly).label(r#"outcome="direct""#),
            stat!(probes_acked_late).label(r#"outcome="late""#),
            stat!(probes_acked_by_stream).label(r#"outcome="stream""#),
            stat!(probes_failed).label(r#"outcome="failed""#),
        ],
    },
    Family {
        name: "swim_suspicions_total",
        help: "Suspicions begun, confirmed by another member, refuted, and ended in a death.",
        counters: &[
            stat!(suspicions).label(r#"stage="begun""#).serf("memberlist.msg.suspect"),
            stat!(suspicions_confirmed).label(r#"stage="confirmed""#),
            stat!(suspicions_refuted).label(r#"stage="refuted""#),
            stat!(deaths_declared).label(r#"stage="death""#),
        ],
    },
    Family {
        name: "swim_refutations_total",
        help: "Claims about this member that it had to refute.",
        counters: &[stat!(refutations)],
    },
    Family {
        name: "swim_conflicts_total",
        help: "Two addresses that claimed one name.",
        counters: &[stat!(conflicts)],
    },
    Family {
        name: "swim_ticks_skipped_total",
        help: "Rounds skipped because the packets of the one before still waited, by kind.",
        counters: &[
            stat!(probe_ticks_skipped).label(r#"kind="probe""#),
            stat!(gossip_ticks_skipped).label(r#"kind="gossip""#),
        ],
    },
    Family {
        name: "swim_push_pulls_total",
        help: "Full state exchanges, by what became of them.",
        counters: &[
            stat!(push_pulls_started).label(r#"stage="started""#).serf("memberlist.tcp.connect"),
            stat!(push_pulls_accepted).label(r#"stage="accepted""#),
            stat!(push_pulls_merged).label(r#"stage="merged""#),
            stat!(push_pulls_failed).label(r#"stage="failed""#),
            stat!(push_pulls_refused).label(r#"stage="refused""#),
        ],
    },
    // Serf's layer.
    Family {
        name: "swim_serf_messages_total",
        help: "Messages of Serf's layer, by direction.",
        counters: &[
            stat!(serf_messages_received).label(r#"direction="in""#).serf("serf.msgs.received"),
            stat!(serf_messages_sent).label(r#"direction="out""#).serf("serf.msgs.sent"),
        ],
    },
    Family {
        name: "swim_member_events_total",
        help: "What happened to members, by kind.",
        counters: &[
            stat!(member_joins).label(r#"kind="join""#).serf("serf.member.join"),
            stat!(member_leaves).label(r#"kind="leave""#).serf("serf.member.left"),
            stat!(member_failures).label(r#"kind="failed""#).serf("serf.member.failed"),
            stat!(member_updates).label(r#"kind="update""#).serf("serf.member.update"),
            stat!(member_flaps).label(r#"kind="flap""#).serf("serf.member.flap"),
        ],
    },
    Family {
        name: "swim_reconnects_total",
        help: "Attempts to reach a failed member again.",
        counters: &[stat!(reconnects)],
    },
    Family {
        name: "swim_heals_total",
        help: "Attempts to reach a seed or a member of long ago, and those that brought members.",
        counters: &[stat!(heals_tried).label(r#"outcome="tried""#), stat!(heals_met).label(r#"outcome="met""#)],
    },
    Family {
        name: "swim_direct_messages_total",
        help: "Messages from one member to another, by what became of them.",
        counters: &[
            stat!(messages_direct_sent).label(r#"outcome="sent""#),
            stat!(messages_direct_confirmed).label(r#"outcome="confirmed""#),
            stat!(messages_direct_failed).label(r#"outcome="failed""#),
            stat!(messages_direct_received).label(r#"outcome="received""#),
            stat!(messages_direct_misaddressed).label(r#"outcome="misaddressed""#),
            stat!(messages_direct_refused).label(r#"outcome="refused""#),
        ],
    },
    Family {
        name: "swim_user_events_total",
        help: "User events heard for the first time, and those too old to tell.",
        counters: &[
            stat!(user_events).label(r#"outcome="heard""#).serf("serf.events"),
            stat!(user_events_old).label(r#"outcome="old""#),
        ],
    },
    Family {
        name: "swim_queries_total",
        help: "Queries heard for the first time, and those that could not be dealt with.",
        counters: &[
            stat!(queries).label(r#"outcome="heard""#).serf("serf.queries"),
            stat!(queries_old).label(r#"outcome="old""#),
            stat!(queries_unhandled).label(r#"outcome="unhandled""#),
            stat!(query_filters_invalid).label(r#"outcome="invalid_filter""#),
        ],
    },
    Family {
        name: "swim_query_acks_total",
        help: "Acks to queries of this member, by whether they came before.",
        counters: &[
            stat!(query_acks).label(r#"outcome="first""#).serf("serf.query_acks"),
            stat!(query_duplicate_acks).label(r#"outcome="duplicate""#).serf("serf.query_duplicate_acks"),
        ],
    },
    Family {
        name: "swim_query_responses_total",
        help: "Answers to queries of this member, and of others if relayed.",
        counters: &[
            stat!(query_responses).label(r#"outcome="first""#).serf("serf.query_responses"),
            stat!(query_duplicate_responses).label(r#"outcome="duplicate""#).serf("serf.query_duplicate_responses"),
            stat!(query_responses_unmatched).label(r#"outcome="unmatched""#),
            stat!(query_responses_relayed).label(r#"outcome="relayed""#),
        ],
    },
    Family {
        name: "swim_coordinates_total",
        help: "Network coordinates of others that were refused, and those that came in no time.",
        counters: &[
            stat!(coordinates_rejected).label(r#"outcome="rejected""#).serf("serf.coordinate.rejected"),
            stat!(coordinates_zero_rtt).label(r#"outcome="zero_rtt""#).serf("serf.coordinate.zero-rtt"),
        ],
    },
];

/// Those of one name stand together.
pub(crate) const GAUGES: &[Gauge] = &[
    gauge!(
        members,
        "swim_members",
        r#"status="alive""#,
        "swim.members.alive",
        "Members by status. Those that are about to leave count as alive.",
        |summary| Some((summary.members.saturating_sub(summary.failed + summary.left)) as u64)
    ),
    gauge!(failed, "swim_members", r#"status="failed""#, "swim.members.failed", ""),
    gauge!(left, "swim_members", r#"status="left""#, "swim.members.left", ""),
    gauge!(
        health_score,
        "swim_health_score",
        "",
        "memberlist.health.score",
        "How much this member doubts itself; 0 when all is well.",
        |summary| Some(u64::from(summary.health_score))
    ),
    gauge!(
        update_queue,
        "swim_queue_depth",
        r#"queue="update""#,
        "swim.queue.update",
        "Messages waiting to be gossiped, or gossiped again."
    ),
    gauge!(intent_queue, "swim_queue_depth", r#"queue="intent""#, "", ""),
    gauge!(event_queue, "swim_queue_depth", r#"queue="event""#, "", ""),
    gauge!(query_queue, "swim_queue_depth", r#"queue="query""#, "", ""),
    gauge!(member_time, "swim_lamport_time", r#"clock="member""#, "", "Lamport clocks.", |summary| Some(
        summary.member_time.0
    )),
    gauge!(event_time, "swim_lamport_time", r#"clock="event""#, "", "", |summary| Some(summary.event_time.0)),
    gauge!(query_time, "swim_lamport_time", r#"clock="query""#, "", "", |summary| Some(summary.query_time.0)),
    gauge!(
        coordinate_resets,
        "swim_coordinate_resets",
        "",
        "",
        "How often this member's coordinate was lost and begun anew; absent without coordinates.",
        |summary| summary.coordinate_resets
    ),
    gauge!(sealed, "swim_encrypted", "", "", "1 if what is sent is encrypted.", |summary| Some(u64::from(
        summary.sealed
    ))),
];

#[cfg(test)]
mod tests {
    use core::fmt::Debug;
    use std::collections::BTreeSet;

    use super::*;

    /// The names of a structure's fields.
    fn fields(of: &impl Debug) -> BTreeSet<String> {
        let text = format!("{of:#?}");
        let inner = text.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
        inner.filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name.to_owned()).collect()
    }

    fn counters() -> impl Iterator<Item = (&'static Family, &'static Counter)> {
        COUNTERS.iter().flat_map(|family| family.counters.iter().map(move |counter| (family, counter)))
    }

    /// A new counter cannot be forgotten.
    #[test]
    fn every_counter_and_every_size_is_in_the_table() {
        let known = Known::default();
        let counted = fields(&known.stats).union(&fields(&known.io)).cloned().collect::<BTreeSet<_>>();
        assert!(counted.len() > 60, "{counted:?}");
        let listed = counters().map(|(_, counter)| counter.field.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(listed, counted);
        assert_eq!(counters().count(), counted.len(), "one is there twice");
        let listed = GAUGES.iter().map(|gauge| gauge.field.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(listed, fields(&known.summary));
    }

    #[test]
    fn what_is_read_is_what_is_named() {
        let mut known = Known::default();
        known.stats.member_leaves = 3;
        known.io.send_errors = 4;
        known.summary.failed = 1;
        known.summary.members = 5;
        let value = |field: &str| counters().find(|(_, counter)| counter.field == field).map(|(_, c)| (c.read)(&known));
        assert_eq!((value("member_leaves"), value("send_errors"), value("probes")), (Some(3), Some(4), Some(0)));
        let gauges: Vec<_> = GAUGES[..3].iter().map(|gauge| (gauge.read)(&known.summary)).collect();
        assert_eq!(gauges, [Some(4), Some(1), Some(0)]);
    }

    #[test]
    fn names_are_well_formed_and_unique() {
        let name_is_good =
            |name: &str| name.starts_with("swim_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let label_is_good = |label: &str| {
            label.is_empty()
                || label.split_once('=').is_some_and(|(key, value)| {
                    key.chars().all(|c| c.is_ascii_lowercase()) && value.starts_with('"') && value.ends_with('"')
                })
        };
        let mut series = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for (Family { name, help, .. }, counter) in counters() {
            assert!(name_is_good(name) && name.ends_with("_total") && help.ends_with('.'), "{name}");
            assert!(label_is_good(counter.label), "{}", counter.label);
            assert!(series.insert((name, counter.label)), "{name} {}", counter.label);
            assert!(keys.insert(counter.key()), "{}", counter.key());
        }
        for gauge in GAUGES {
            assert!(name_is_good(gauge.name) && !gauge.name.ends_with("_total"), "{}", gauge.name);
            assert!(label_is_good(gauge.label) && series.insert((&gauge.name, gauge.label)), "{}", gauge.name);
            assert!(gauge.key.is_empty() || keys.insert(gauge.key.to_owned()), "{}", gauge.key);
        }
        let names: Vec<_> = GAUGES.iter().map(|gauge| gauge.name).collect();
        let runs = names.chunk_by(|a, b| a == b).count();
        assert_eq!(runs, names.iter().collect::<BTreeSet<_>>().len(), "those of one name stand together");
    }

    #[test]
    fn the_documentation_has_every_name() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let text = std::fs::read_to_string(path).unwrap();
        let has = |name: &str| assert!(text.contains(&format!("`{name}`")), "docs/metrics.md does not have `{name}`");
        for (family, counter) in counters() {
            has(family.name);
            has(&counter.key());
            if !counter.label.is_empty() {
                has(counter.label);
            }
        }
        for gauge in GAUGES {
            has(gauge.name);
            if !gauge.key.is_empty() {
                has(gauge.key);
            }
        }
        queues(&Summary::default()).iter().for_each(|(name, _)| has(name));
    }
}
