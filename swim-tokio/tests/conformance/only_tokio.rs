//! What other runtimes do not have: flavours, and an end.

use swim_driver::conformance::support::*;
use swim_driver::conformance::{Harness, cases};
use swim_tokio::{LeaveError, Tokio};

use crate::harness::OnTokio;

/// On several threads.
struct OnThreads;

impl Harness for OnThreads {
    type Runtime = Tokio;

    const EVERYWHERE: bool = false;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(work)
    }
}

#[test]
fn three_agree_on_several_threads() {
    cases::members::three_agree::<OnThreads>();
}

#[test]
fn shutdown_while_busy_on_several_threads() {
    cases::life::shutdown_while_busy::<OnThreads>();
}

#[test]
fn giving_up_anywhere_is_safe_on_several_threads() {
    cases::cancel::giving_up_anywhere_is_safe::<OnThreads>();
}

/// The runtime ends first: handles stay usable, and say that it is over.
#[test]
fn the_end_of_the_runtime_is_an_end() {
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (cluster, mut events) = first.block_on(async {
        let cluster = start::<OnTokio>("a").await;
        let events = cluster.events();
        (cluster, events)
    });
    drop(first);
    OnTokio::block_on(async {
        within("stopped", cluster.stopped()).await;
        within("events end", async { while events.next().await.is_some() {} }).await;
        assert_eq!(within("leave", cluster.leave()).await, Err(LeaveError::Stopped));
        released(cluster.bound_address()).await;
    });
    assert_eq!(cluster.members().len(), 1);
}
