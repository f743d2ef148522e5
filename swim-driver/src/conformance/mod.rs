//! The tests that every adapter has to pass: real nodes on real sockets of this machine, on its runtime.
//!
//! Does the runtime keep to the contract of [`Runtime`], does the driver carry the protocol on it, and does it survive
//! what happens to sockets? The protocol itself is tested in virtual time, elsewhere. Every adapter has the same cases,
//! because there is one list, at the end of this file. An adapter's `tests/conformance/main.rs` is
//!
//! ```text
//! mod harness; // implements `Harness` for `OnMine`
//! swim_driver::conformance_tests!(crate::harness::OnMine);
//! ```
//!
//! and its `tests/alone.rs`, a process of its own for what cannot share one, is
//!
//! ```text
//! #[path = "conformance/harness.rs"]
//! mod harness;
//! swim_driver::conformance_tests_alone!(harness::OnMine);
//! ```
//!
//! A new case is a `pub(super) async fn name<H: Harness>()` in one of the files below and its name in the list; the
//! compiler complains of one that is not listed.
//!
//! ```text
//! support   waiting with an end, members that do not dawdle           contract  what `Runtime` promises, without a cluster
//! plain     a runtime without runtime, for the other side             members   messages  direct    exchange  seeds
//!                                                                     healing   keys      snapshot
//! watched   a runtime that notes what is sent, and makes trouble      life      cancel    hostile   sockets  replay   alone
//! ```

#[doc(hidden)]
pub mod alone;
mod cancel;
mod contract;
mod direct;
mod exchange;
mod healing;
mod hostile;
mod keys;
mod life;
mod members;
mod messages;
pub mod plain;
mod replay;
mod seeds;
mod snapshot;
mod sockets;
pub mod support;
mod watched;

use crate::runtime::Runtime;

/// How the tests get onto a runtime.
pub trait Harness: 'static {
    /// The runtime under test.
    type Runtime: Runtime;

    /// Whether there is one for everybody, so that a cluster can be started from any thread. Otherwise the attempt must
    /// fail outside [`block_on`](Self::block_on).
    const EVERYWHERE: bool;

    /// Runs `work` to its end, on the runtime.
    fn block_on<T>(work: impl Future<Output = T>) -> T;
}

macro_rules! cases {
    // The `$` that the macro below is written with.
    ($d:tt $($file:ident { $($case:ident)* })*) => {
        /// Every case, to be run by name; see [`conformance_tests!`](crate::conformance_tests).
        #[doc(hidden)]
        pub mod cases {
            $(pub mod $file {
                $(pub fn $case<H: crate::conformance::Harness>() {
                    H::block_on(crate::conformance::$file::$case::<H>());
                })*
            })*
        }

        /// Every test of [`conformance`](crate::conformance), on one [`Harness`](crate::conformance::Harness), given by
        /// its full path.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d harness:ty) => {
                $(mod $file {
                    $(#[test]
                    fn $case() {
                        $crate::conformance::cases::$file::$case::<$d harness>();
                    })*
                })*
            };
        }
    };
}

cases! { $
    contract {
        what_waits_in_the_kernel_is_found
        readable_means_that_something_is_there
        a_free_socket_is_writable
        a_connection_closes_by_halves
        an_accept_that_is_given_up_loses_nobody
        dialling_nobody_is_refused
        time_passes_and_what_has_passed_is_due
        tasks_run_by_themselves
        names_are_resolved_or_not
    }
    members {
        three_agree
        tags_reach_the_others
        pinging
        who_says_goodbye_has_left
        who_falls_silent_has_failed
    }
    messages {
        user_events_are_heard_by_all
        queries_are_answered
        the_failed_are_forced_to_leave
    }
    direct {
        messages_come_as_they_were_sent
        giving_up_does_not_call_it_back
        what_can_go_wrong
    }
    exchange {
        a_state_of_many_reads_is_exchanged
        a_peer_that_stops_reading_stops_nobody
    }
    seeds {
        joining_by_host_name
        every_seed_that_fails_says_why
        a_name_that_hangs_costs_a_bounded_time
        stopping_while_a_name_hangs
    }
    healing {
        seeds_are_joined_without_a_call
        a_seed_that_starts_later_is_found
        whoever_was_joined_is_looked_for
    }
    keys {
        a_rotation_loses_nobody
        who_cannot_answer_is_missing_in_the_report
        changes_go_on_without_a_reader
        refusals_are_reported
        what_is_not_stored_is_reported
        what_cannot_work_is_not_sent
    }
    snapshot {
        back_after_a_stop
        a_leave_is_on_the_disk_and_is_respected
        back_after_a_leave_if_told_so
        a_snapshot_that_cannot_be_opened_is_named
    }
    life {
        a_port_in_use_is_named
        a_bad_configuration_is_refused
        where_there_is_no_runtime
        a_handle_works_on_any_thread
        shutdown_while_busy
        restarting_on_the_same_port
        the_last_handle_stops_everything
        a_slow_consumer_misses_events_and_nothing_else
    }
    cancel {
        giving_up_is_safe
        giving_up_anywhere_is_safe
        a_goodbye_goes_on_without_the_future
        a_shutdown_goes_on_without_the_future
    }
    hostile {
        noise_in_datagrams
        noise_in_streams
        stalled_dialers
        who_was_answered_and_stays_is_cut_off
        seeds_that_do_not_answer
        a_seed_that_answers_noise
    }
    sockets {
        a_socket_that_fails_to_receive
        a_socket_that_fails_to_send
        a_socket_that_fails_to_accept
        a_listener_that_dies
    }
    replay {
        a_trace_is_written_and_can_be_replayed
        a_recorded_cluster_replays_to_the_same_bytes
    }
}

/// The tests of [`conformance`](crate::conformance) that need a process of their own, on one
/// [`Harness`](crate::conformance::Harness).
#[macro_export]
macro_rules! conformance_tests_alone {
    ($harness:ty) => {
        #[test]
        fn nothing_is_left_behind() {
            $crate::conformance::alone::nothing_is_left_behind::<$harness>();
        }

        #[test]
        fn a_stalled_node_accuses_nobody() {
            $crate::conformance::alone::a_stalled_node_accuses_nobody::<$harness>();
        }
    };
}
