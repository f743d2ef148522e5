//! Events for logs: a stable name, a level and fields, under the target `swim`. Whoever subscribes turns them into text.
//!
//! | name | level | fields | says |
//! |---|---|---|---|
//! | `encryption_not_enforced` | WARN | `incoming`, `outgoing` | there are keys, and plain text is taken in or sent all the same |
//! | `datagram_dropped` | DEBUG | `from`, `error` | a datagram was dropped whole |
//! | `message_dropped` | DEBUG | `from` | a message inside a good datagram could not be read |
//! | `claims_refused` | WARN | `from`, `counters` | by these counters, some of what came from there was refused; once a minute per IP address, eight at most |
//! | `probe_failed` | INFO | `member` | no ack, direct or relayed, within the probe |
//! | `only_stream_answers` | WARN | `member` | the member answers over a stream, but not to datagrams |
//! | `suspicion_over` | INFO | `member` | a suspicion was not refuted in time |
//! | `refuted` | WARN | `accused`, `incarnation` | somebody had claimed something about us |
//! | `conflict` | ERROR | `member`, `existing`, `other` | two addresses claim one name |
//! | `exchange_started` | DEBUG | `peer` | a full state exchange of ours begins |
//! | `exchange_failed` | WARN | `peer`, `error` | it did not come about |
//! | `exchange_answered` | DEBUG | `peer` | somebody else's full state has arrived |
//! | `merge_refused` | ERROR | `peer`, `error` | a state was read, and not used |
//! | `stream_dropped` | DEBUG | `peer`, `error` | a stream could not be read, or broke |
//! | `member_join`, `member_leave`, `member_failed`, `member_update`, `member_reap` | INFO | `member`, `ip` | as [`Event::Member`](crate::Event::Member), but not held back |
//! | `member_leave_forced`, `member_reap_forced` | INFO | `member`, `ip` | the same, of what somebody else wanted of the member |
//! | `coordinate_rejected` | DEBUG | `member`, `error` | what an ack carried is no coordinate, or took too long |
//! | `snapshot_leave_ignored` | INFO | `members` | we had left that cluster, and come back to it all the same |
//! | `rejoin_started` | INFO | `member`, `address` | a member of the snapshot is asked for the way back |
//! | `rejoined` | INFO | `member`, `address` | it has answered |
//! | `rejoin_failed` | WARN | `leaving` | nobody has answered, or we leave before |
//! | `join_intent`, `leave_intent` | DEBUG | `member`, `time` | Serf heard by gossip what a member means to do |
//! | `query` | DEBUG | `name`, `time` | Serf heard a query by gossip, known or not |
//! | `query_old` | WARN | `name`, `time`, `now` | a query is too old to know whether it was heard before |
//! | `query_filter_invalid` | WARN | `len` | a filter of a query could not be understood |
//! | `query_unhandled` | WARN | `name` | a node asks the nodes something that we do not know |
//! | `query_not_answered` | WARN | `member`, `time` | our node's own answer is too long, or too late |
//! | `query_ack_not_relayed`, `query_answer_not_relayed` | WARN | `member`, `time` | the wrapped ack or answer is too long |
//! | `query_response` | DEBUG | `member`, `time` | an ack or an answer has come, wanted or not |
//! | `query_response_unmatched` | WARN | `member`, `time` | an answer to nothing that we are asking |
//! | `query_response_over_limit` | WARN | `member`, `time` | more answers than there can be members |
//! | `query_response_relayed` | DEBUG | `to` | we pass on somebody's answer |
//! | `key_query` | INFO | `name`, `member` | a member has us list or change the keys |
//! | `name_conflict` | ERROR | `other`, `resolution` | somebody else claims our name |
//! | `name_disputed` | WARN | `member`, `existing`, `other` | two others claim one name |
//! | `name_kept` | INFO | `matching`, `responses` | most members side with us |
//! | `name_lost` | WARN | `matching`, `responses` | they do not |
//! | `leave_intent_refuted` | DEBUG | `time` | somebody believed that we leave |
//! | `reconnecting` | INFO | `member`, `peer` | Serf tries to reach a failed member |
//! | `message_refused` | DEBUG | `member`, `error` | what somebody said to us alone is not told the application |
//! | `healing` | INFO | `peer` | a seed, or a member of long ago, is tried |
//! | `healed` | INFO | `peer` | that has brought members |
//! | `queue_long` | WARN | `queue`, `depth` | many messages of Serf wait to be gossiped |
//! | `queue_over_limit` | WARN | `queue`, `depth`, `limit` | too many: those sent most often are dropped |
//! | `user_event` | DEBUG | `event`, `time` | Serf heard a user event by gossip, known or not |
//! | `user_event_old` | WARN | `event`, `time`, `current` | it was too old to tell whether it is known |

/// Emits an event. Without the feature `tracing` nothing is evaluated, and nothing is left of it.
macro_rules! log {
    ($level:ident, $name:literal $(, $field:ident = $value:expr)+ $(,)?) => {{
        #[cfg(feature = "tracing")]
        tracing::event!(name: $name, target: "swim", tracing::Level::$level, $($field = %$value),+);
        #[cfg(not(feature = "tracing"))]
        let _unused = || { $(let _unused = &$value;)+ };
    }};
}
pub(crate) use log;

/// Bytes that ought to be text, for a log. Nobody says how long they are: what is longer than any name is cut, for a log
/// keeps its lines.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl core::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0.split_at_checked(SHOWN_MAX) {
            Some((beginning, rest)) if !rest.is_empty() => {
                crate::ids::fmt_escaped(beginning, f)?;
                f.write_str("...")
            }
            Some(_) | None => crate::ids::fmt_escaped(self.0, f),
        }
    }
}

/// Bytes shown of one field: a member's whole name.
const SHOWN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    #[test]
    fn long_fields_are_cut() {
        for (len, shown) in [(0, 0), (SHOWN_MAX, SHOWN_MAX), (SHOWN_MAX + 1, SHOWN_MAX + 3), (1 << 20, SHOWN_MAX + 3)] {
            assert_eq!(Escaped(&vec![b'x'; len]).to_string().len(), shown, "{len}");
        }
        let cut = Escaped(&[&[b'x'; SHOWN_MAX - 1][..], "ä!".as_bytes()].concat()).to_string();
        assert!(cut.ends_with("x\\xc3..."), "within a letter: {cut}");
    }
}
