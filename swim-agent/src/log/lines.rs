//! What events read like in Serf's log: those of the cluster, and those that the core emits under stable names.

use swim_tokio::swim_core::Event;
use swim_tokio::swim_core::wire::envelope::DatagramError;
use tracing::warn;

/// Logs what is neither for streams nor for handlers.
pub(crate) fn log_event(event: &Event) {
    match event {
        Event::Rejected { from, error } => {
            warn!(target: "memberlist", "Dropping packets from {from}: {error}. {}", remedy(*error));
        }
        Event::Missed { count } => {
            warn!(target: "agent", "{count} events came too fast and were dropped; the member list is complete");
        }
        // The core has told the log about these itself.
        Event::Conflict { .. } | Event::NameLost { .. } | Event::KeyringChanged { .. } | _ => {}
    }
}

/// What a person can do about datagrams that are dropped.
fn remedy(error: DatagramError) -> &'static str {
    REMEDIES.iter().find(|(known, _)| *known == error).map_or(
        "Something else than a cluster member sends to this port, or a device on the way changes packets",
        |(_, remedy)| remedy,
    )
}

const REMEDIES: &[(DatagramError, &str)] = &[
    (
        DatagramError::ForeignWire,
        "It speaks the other wire format: start this agent with --wire serf (or native), or the other one",
    ),
    (DatagramError::LabelMissing, LABEL),
    (DatagramError::LabelWrong, LABEL),
    (DatagramError::NotSealed, "It does not encrypt: give it the key of this cluster with -encrypt"),
    (DatagramError::NotOpened, "It encrypts with another key: both need the same -encrypt"),
    (DatagramError::SealedWithoutKeys, "It encrypts and this agent does not: give this agent its key with -encrypt"),
];

const LABEL: &str = "Its packets carry the label of another cluster: take it out of this cluster's addresses to join, \
     or this agent out of its";

/// A core event as a line: the component that would have said it in Serf, and the text. `field` gives a field's value.
pub(crate) fn core_line<'a>(
    name: &str,
    mut field: impl FnMut(&str) -> Option<&'a str>,
) -> Option<(&'static str, String)> {
    let (_, component, template) = CORE_LINES.iter().find(|(known, ..)| *known == name)?;
    let mut text = String::new();
    for (n, piece) in template.split(['{', '}']).enumerate() {
        // Every second piece stood between braces.
        text.push_str(if n % 2 == 0 { piece } else { field(piece).unwrap_or("?") });
    }
    Some((component, text))
}

/// Name in the core, component, and the line with its fields in braces.
#[rustfmt::skip]
const CORE_LINES: &[(&str, &str, &str)] = &[
    ("datagram_dropped",     "memberlist", "Dropped a packet from {from}: {error}"),
    ("encryption_not_enforced", "memberlist", "ENCRYPTION IS NOT ENFORCED YET: packets taken in: {incoming}, sent: {outgoing}"),
    ("message_dropped",      "memberlist", "Dropped an unreadable message from {from}"),
    ("claims_refused",       "memberlist", "Refused some of what came from {from}: {counters}"),
    ("lines_held_back",      "agent",      "Too many lines like the last, they are not shown for up to a minute ({event})"),
    ("handoff_queue_full",   "memberlist", "handler queue full, dropping message ({kind})"),
    ("probe_failed",         "memberlist", "Suspect {member} has failed, no acks received"),
    ("only_stream_answers",  "memberlist", "Was able to connect to {member} over TCP but UDP probes failed, network may be misconfigured"),
    ("suspicion_over",       "memberlist", "Marking {member} as failed, suspect timeout reached"),
    ("refuted",              "memberlist", "Refuting a claim about this node at incarnation {accused}, now at {incarnation}"),
    ("conflict",             "memberlist", "Conflicting address for {member}. Mine: {existing} Theirs: {other}"),
    ("exchange_started",     "memberlist", "Initiating push/pull sync with: {peer}"),
    ("exchange_failed",      "memberlist", "Push/Pull with {peer} failed: {error}"),
    ("exchange_answered",    "memberlist", "Stream connection from={peer}"),
    ("merge_refused",        "memberlist", "Failed push/pull merge: {error} from={peer}"),
    ("stream_dropped",       "memberlist", "Failed to receive: {error} from={peer}"),
    ("member_join",          "serf",       "EventMemberJoin: {member} {ip}"),
    ("member_leave",         "serf",       "EventMemberLeave: {member} {ip}"),
    ("member_failed",        "serf",       "EventMemberFailed: {member} {ip}"),
    ("member_update",        "serf",       "EventMemberUpdate: {member}"),
    ("member_reap",          "serf",       "EventMemberReap: {member}"),
    ("member_leave_forced",  "serf",       "EventMemberLeave (forced): {member} {ip}"),
    ("member_reap_forced",   "serf",       "EventMemberReap (forced): {member} {ip}"),
    ("reconnecting",         "serf",       "attempting reconnect to {member} {peer}"),
    ("healing",              "serf",       "attempting to reach {peer}, which is not a member (any more)"),
    ("healed",               "serf",       "found members by way of {peer}"),
    ("coordinate_rejected",  "serf",       "rejected coordinate from {member}: {error}"),
    ("user_event",           "serf",       "messageUserEventType: {event}"),
    ("user_event_old",       "serf",       "received old event {event} from time {time} (current: {current})"),
    ("query",                "serf",       "messageQueryType: {name}"),
    ("query_old",            "serf",       "received old query {name} from time {time} (current: {now})"),
    ("query_filter_invalid", "serf",       "failed to understand a query filter of {len} bytes"),
    ("query_unhandled",      "serf",       "Unhandled internal query '{name}'"),
    ("query_not_answered",   "serf",       "failed to answer a query of {member} at time {time}"),
    ("query_ack_not_relayed",    "serf",   "failed to relay an ack to {member}: too long"),
    ("query_answer_not_relayed", "serf",   "failed to relay a response to {member}: too long"),
    ("query_response",       "serf",       "messageQueryResponseType: {member}"),
    ("query_response_unmatched", "serf",   "reply for non-running query (LTime: {time}) From: {member}"),
    ("query_response_over_limit", "serf",  "too many replies to a query, dropped one of {member}"),
    ("query_response_relayed",   "serf",   "Relaying response to addr: {to}"),
    ("key_query",            "serf",       "Received key query {name} from {member}"),
    ("queue_long",           "serf",       "{queue} queue depth: {depth}"),
    ("queue_over_limit",     "serf",       "{queue} queue depth ({depth}) exceeds limit ({limit}), dropping messages!"),
    ("message_refused",      "agent",      "refused a message from {member}: {error}"),
    ("name_conflict",        "serf",       "Node name conflicts with another node at {other}. Names must be unique! (Resolution enabled: {resolution})"),
    ("name_disputed",        "serf",       "Name conflict for '{member}' both {existing} and {other} are claiming"),
    ("name_kept",            "serf",       "majority in name conflict resolution [{matching} / {responses}]"),
    ("name_lost",            "serf",       "minority in name conflict resolution, quitting [{matching} / {responses}]"),
    ("snapshot_leave_ignored", "serf",     "Ignoring previous leave in snapshot"),
    ("rejoin_started",       "serf",       "Attempting re-join to previously known node: {member}: {address}"),
    ("rejoined",             "serf",       "Re-joined to previously known node: {member}: {address}"),
    ("rejoin_failed",        "serf",       "Failed to re-join any previously known node"),
    ("join_intent",          "serf",       "messageJoinType: {member}"),
    ("leave_intent",         "serf",       "messageLeaveType: {member}"),
    ("leave_intent_refuted", "serf",       "Refuting an older leave intent"),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use regex::Regex;

    use super::*;

    #[test]
    fn core_events_become_lines() {
        let fields = |name: &str| (name == "member").then_some("web-1");
        let line = core_line("probe_failed", fields);
        assert_eq!(line, Some(("memberlist", "Suspect web-1 has failed, no acks received".into())));
        assert_eq!(
            core_line("leave_intent_refuted", |_| None),
            Some(("serf", "Refuting an older leave intent".into()))
        );
        assert_eq!(core_line("unheard_of", |_| None), None);
    }

    /// What the core can tell is told, and is in its table.
    #[test]
    fn every_core_event_has_a_line() {
        let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../swim-core/src");
        let table = fs::read_to_string(core.join("log.rs")).unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("//! | `"));
        let names = rows.filter_map(|row| row.split(" | ").next()).flat_map(|names| names.split(", "));
        let names: Vec<_> = names.map(|name| name.trim_matches('`')).collect();
        assert!(names.len() > 30, "{names:?}");
        for name in &names {
            assert!(core_line(name, |_| None).is_some(), "no line for {name}");
        }

        let told = Regex::new(r#"\blog(?:_some)?!\(\s*(?:[^,"]+,\s*)?[A-Z]+,\s*"(\w+)""#).unwrap();
        let mut count = 0;
        for source in sources(&core) {
            for event in told.captures_iter(&fs::read_to_string(source).unwrap()) {
                assert!(names.contains(&&event[1]), "no row for {}", &event[1]);
                count += 1;
            }
        }
        assert!(count > 30, "{count}");
    }

    fn sources(directory: &Path) -> Vec<PathBuf> {
        let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    /// Braces come in pairs and hold the names of fields.
    #[test]
    fn templates_are_well_formed() {
        for (name, _, template) in CORE_LINES {
            let pieces: Vec<_> = template.split(['{', '}']).collect();
            assert_eq!(pieces.len() % 2, 1, "{name}");
            assert!(
                pieces.iter().skip(1).step_by(2).all(|field| field.chars().all(|c| c.is_ascii_lowercase())),
                "{name}"
            );
        }
    }
}
