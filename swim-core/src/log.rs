//! Events for logs: a stable name, a level and fields, under the target `swim`. Whoever subscribes turns them into text.
//!
//! What others bring about with one message is told 16 times a minute for each name, at DEBUG 1024 times, and then
//! `lines_held_back` once: a datagram holds thousands of messages. The counters count all of them. Not so what becomes of
//! members, which is told always.
//!
//! | name | level | fields | says |
//! |---|---|---|---|
//! | `encryption_not_enforced` | WARN | `incoming`, `outgoing` | there are keys, and plain text is taken in or sent all the same |
//! | `datagram_dropped` | DEBUG | `from`, `error` | a datagram was dropped whole |
//! | `message_dropped` | DEBUG | `from` | a message inside a good datagram could not be read |
//! | `claims_refused` | WARN | `from`, `counters` | by these counters, some of what came from there was refused; once a minute per IP address, eight at most |
//! | `lines_held_back` | WARN, or DEBUG like them | `event` | more events of this name came within a minute than are told; the others are not |
//! | `handoff_queue_full` | WARN | `kind` | with `newest_first_handoff`, for measurements only: a message is lost; not held back |
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

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::time::Duration;

use crate::time::Instant;

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

/// The same of what others can bring about as often as they like: not more often than [`Lines`] lets it.
macro_rules! log_some {
    // There are as many of these as messages: they cost nothing while nobody listens.
    ($cx:expr, DEBUG, $name:literal $(, $field:ident = $value:expr)+ $(,)?) => {{
        #[cfg(feature = "tracing")]
        if tracing::enabled!(target: "swim", tracing::Level::DEBUG) {
            match $cx.lines.may_say($cx.now, $name, $crate::log::TIMES_MAX_DEBUG) {
                $crate::log::MaySay::Yes => $crate::log::log!(DEBUG, $name $(, $field = $value)+),
                $crate::log::MaySay::NoMore => $crate::log::log!(DEBUG, "lines_held_back", event = $name),
                $crate::log::MaySay::No => {}
            }
        }
        #[cfg(not(feature = "tracing"))]
        {
            let _unused = || _ = &$cx;
            $crate::log::log!(DEBUG, $name $(, $field = $value)+);
        }
    }};
    ($cx:expr, $level:ident, $name:literal $(, $field:ident = $value:expr)+ $(,)?) => {
        match $cx.lines.may_say($cx.now, $name, $crate::log::TIMES_MAX) {
            $crate::log::MaySay::Yes => $crate::log::log!($level, $name $(, $field = $value)+),
            $crate::log::MaySay::NoMore => $crate::log::log!(WARN, "lines_held_back", event = $name),
            $crate::log::MaySay::No => {}
        }
    };
}
pub(crate) use log_some;

/// Whether something may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaySay {
    Yes,
    /// No, and that it is too often is to be told instead.
    NoMore,
    No,
}

/// How often each of the events has been told lately that others bring about with one message.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    said: Vec<Said>,
}

#[derive(Debug)]
struct Said {
    name: &'static str,
    /// When the minute began.
    since: Instant,
    times: u32,
}

impl Lines {
    /// Counts it, and says whether that is no more than `max` times a minute.
    #[cold]
    pub(crate) fn may_say(&mut self, now: Instant, name: &'static str, max: u32) -> MaySay {
        let index = self.said.iter().position(|said| said.name == name).unwrap_or_else(|| {
            self.said.push(Said { name, since: now, times: 0 });
            self.said.len() - 1
        });
        let said = &mut self.said[index];
        if now - said.since >= QUIET {
            (said.since, said.times) = (now, 0);
        }
        said.times = said.times.saturating_add(1);
        match said.times.cmp(&max.saturating_add(1)) {
            Ordering::Less => MaySay::Yes,
            Ordering::Equal => MaySay::NoMore,
            Ordering::Greater => MaySay::No,
        }
    }

    /// How often it has been asked within this minute.
    #[cfg(test)]
    pub(crate) fn times(&self, name: &str) -> u32 {
        self.said.iter().find(|said| said.name == name).map_or(0, |said| said.times)
    }
}

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

const QUIET: Duration = Duration::from_secs(60);
/// Events of one name in that time: enough to see from whom they come, or about whom they are.
pub(crate) const TIMES_MAX: u32 = 16;
/// The same at DEBUG: all that ordinary times bring, and a few milliseconds of work.
#[cfg(feature = "tracing")]
pub(crate) const TIMES_MAX_DEBUG: u32 = 1024;
/// Bytes shown of one field: a member's whole name.
const SHOWN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    #[test]
    fn often_and_not_too_often() {
        let second = |n| Instant::after_origin(Duration::from_secs(n));
        let mut lines = Lines::default();
        let mut told = |now, name, times| {
            let said: Vec<_> = (0..times).map(|_| lines.may_say(now, name, TIMES_MAX)).collect();
            let count = |what| said.iter().filter(|said| **said == what).count();
            (count(MaySay::Yes), count(MaySay::NoMore))
        };
        assert_eq!(told(second(5), "refuted", 16), (16, 0));
        assert_eq!(told(second(64), "refuted", 30_000), (0, 1), "within the minute");
        assert_eq!(told(second(64), "conflict", 17), (16, 1), "each has its own");
        assert_eq!(told(second(64), "conflict", 17), (0, 0), "that is told once");
        assert_eq!(told(second(65), "refuted", 30_000), (16, 1), "another minute");
        assert_eq!(told(second(123), "conflict", 1), (0, 0));
    }

    #[test]
    fn long_fields_are_cut() {
        for (len, shown) in [(0, 0), (SHOWN_MAX, SHOWN_MAX), (SHOWN_MAX + 1, SHOWN_MAX + 3), (1 << 20, SHOWN_MAX + 3)] {
            assert_eq!(Escaped(&vec![b'x'; len]).to_string().len(), shown, "{len}");
        }
        let cut = Escaped(&[&[b'x'; SHOWN_MAX - 1][..], "ä!".as_bytes()].concat()).to_string();
        assert!(cut.ends_with("x\\xc3..."), "within a letter: {cut}");
    }
}
