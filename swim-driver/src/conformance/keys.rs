//! Changing the keys of running members.

use std::collections::BTreeMap;

use futures_lite::future::{poll_once, zip};
use swim_core::Event;
use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::Status;
use swim_core::wire;
use swim_core::wire::key_text::KeyText;
use swim_core::wire::keyring::{Key, KeyId};

use crate::cluster::Cluster;

use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::events::Events;
use crate::keys::{KeyReport, KeysError};
use crate::options::Options;

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

fn id(key: &[u8]) -> KeyId {
    Key::new(key).expect("its length is right").id()
}

/// Encrypted; patient with those that answer late, because a machine may be busy; and sure to reach everybody: with the
/// preset's two transmissions a query is with some luck told to one neighbour twice and to the other never.
fn sealed(name: &str) -> Options {
    let mut options = options(name);
    options.config.wire.keyring.add(Key::new(&OLD).expect("its length is right")).expect("it is the first");
    options.config.swim.retransmit_mult = 20;
    options.config.serf.query_timeout_mult = 500;
    // Nobody fails because the machine stalls for a moment. Whom a key has cut off is found by the rounds of probes.
    options.config.swim.suspicion_mult = 20;
    options
}

/// Three members that all know each other. The third is less patient: it will ask somebody who cannot answer.
async fn three<H: Harness>() -> [ClusterOn<H>; 3] {
    let mut hasty = sealed("c");
    hasty.config.serf.query_timeout_mult = 400;
    let clusters: [ClusterOn<H>; 3] =
        [start_with(sealed("a")).await, start_with(sealed("b")).await, start_with(hasty).await];
    let mut events: Vec<Events> = clusters.iter().map(Cluster::events).collect();
    for cluster in &clusters[1..] {
        join(cluster, &clusters[0]).await;
    }
    for (cluster, events) in clusters.iter().zip(&mut events) {
        until("all are known", events, || cluster.members().len() == 3).await;
    }
    clusters
}

/// Something that all three must do.
async fn complete(what: &str, change: impl Future<Output = Result<KeyReport, KeysError>>) {
    let report = within(what, change).await.expect("they are asked");
    assert!(report.is_complete(), "{what}: {report:?}");
    assert_eq!((report.nodes, report.responses, report.messages.len()), (3, 3, 0), "{what}: {report:?}");
}

/// A key is replaced while the members go on probing each other: nobody is lost over it.
pub(super) async fn a_rotation_loses_nobody<H: Harness>() {
    let clusters = three::<H>().await;
    let [a, b, c] = &clusters;
    let mut events: Vec<Events> = clusters.iter().map(Cluster::events).collect();
    complete("install", a.keys().install(&NEW)).await;
    assert!(clusters.iter().all(|cluster| cluster.keys().keyring() == [id(&OLD), id(&NEW)]));
    complete("use", b.keys().use_key(&NEW)).await;
    assert!(clusters.iter().all(|cluster| cluster.keys().keyring() == [id(&NEW), id(&OLD)]));

    let listed = within("list", c.keys().list()).await.expect("they are asked");
    assert!(listed.is_complete(), "{listed:?}");
    let by_id = |counts: &BTreeMap<KeyText, usize>| -> Vec<_> {
        counts.iter().map(|(text, nodes)| (text.key().expect("a key").id(), *nodes)).collect()
    };
    assert_eq!(by_id(&listed.keys), [(id(&OLD), 3), (id(&NEW), 3)]);
    assert_eq!(by_id(&listed.primaries), [(id(&NEW), 3)]);

    complete("remove", c.keys().remove(&OLD)).await;
    assert!(clusters.iter().all(|cluster| cluster.keys().keyring() == [id(&NEW)]));
    // Some rounds of probes under the new key, at each.
    let rounds = clusters.each_ref().map(|cluster| cluster.stats().probes_acked_directly + 5);
    for (cluster, rounds) in clusters.iter().zip(rounds) {
        eventually("they go on", || cluster.stats().probes_acked_directly >= rounds).await;
    }
    for cluster in &clusters {
        assert!(cluster.members().iter().all(|member| member.status == Status::Alive), "{:?}", cluster.members());
        cluster.shutdown().await;
    }
    let mut changes = 0;
    for events in &mut events {
        while let Some(event) = within("the end of the events", events.next()).await {
            assert!(!matches!(event, Event::Member { kind: MemberEvent::Failed, .. }), "{event:?}");
            changes += usize::from(matches!(event, Event::KeyringChanged { .. }));
        }
    }
    assert_eq!(changes, 9, "each of three changes, at each of three members");
}

/// Who has just stopped counts as alive still, and does not answer.
pub(super) async fn who_cannot_answer_is_missing_in_the_report<H: Harness>() {
    let [a, b, c] = three::<H>().await;
    b.shutdown().await;
    let report = within("install", c.keys().install(&NEW)).await.expect("they are asked");
    assert_eq!((report.nodes, report.responses, report.errors), (3, 2, 0), "{report:?}");
    assert!(!report.is_complete());
    assert_eq!(report.to_string(), "2/3 nodes reported success");
    assert_eq!(a.keys().keyring(), [id(&OLD), id(&NEW)], "the others have done it");
}

/// Who gives up waiting calls nothing off; and one change waits for another.
pub(super) async fn changes_go_on_without_a_reader<H: Harness>() {
    let clusters = three::<H>().await;
    let keys = clusters[0].keys();
    {
        // Where the drivers are threads of their own, the others can have answered by then.
        if let Some(report) = poll_once(keys.install(&NEW)).await {
            let _: KeyReport = report.expect("they are asked");
        }
    }
    complete("use", keys.use_key(&NEW)).await;
    assert!(clusters.iter().all(|cluster| cluster.keys().keyring() == [id(&NEW), id(&OLD)]));
}

/// A change waits until each member has stored its keys, or has said that it could not.
pub(super) async fn what_is_not_stored_is_reported<H: Harness>() {
    let keeping = |name| {
        let mut options = sealed(name);
        options.config.serf.keyring_stored = true;
        options
    };
    let (a, b): (ClusterOn<H>, ClusterOn<H>) = (start_with(keeping("a")).await, start_with(keeping("b")).await);
    let mut events = [a.events(), b.events()];
    join(&b, &a).await;
    until("both are known", &mut events[0], || a.members().len() == 2).await;
    for full in [true, false] {
        let keys = a.keys();
        let install = keys.install(&NEW);
        let keep = async {
            for (cluster, events) in [&a, &b].into_iter().zip(&mut events) {
                let change = loop {
                    match events.next().await {
                        Some(Event::KeyringChanged { change }) => break change,
                        event => assert!(event.is_some(), "it has stopped"),
                    }
                };
                assert_eq!(cluster.keys().last_change(), change);
                let failed = full && cluster.local().name == "b";
                cluster.keys().stored(change, if failed { Err("no space left on device") } else { Ok(()) });
            }
        };
        let (report, ()) = within("install", zip(install, keep)).await;
        let report = report.expect("they are asked");
        let texts: Vec<_> = report.messages.iter().map(|(name, text)| (name.to_string(), &**text)).collect();
        if full {
            assert_eq!(report.to_string(), "1/2 nodes reported failure");
            assert_eq!(texts, [("b".to_owned(), "no space left on device")]);
        } else {
            assert!(report.is_complete(), "{report:?}");
        }
    }
    a.shutdown().await;
    a.keys().stored(a.keys().last_change(), Ok(()));
}

/// What a member refuses is in the report, under its name.
pub(super) async fn refusals_are_reported<H: Harness>() {
    let [a, b, c] = three::<H>().await;
    let report = within("use", a.keys().use_key(&NEW)).await.expect("they are asked");
    assert_eq!((report.nodes, report.responses, report.errors), (3, 3, 3), "{report:?}");
    assert!(!report.is_complete());
    assert_eq!(report.to_string(), "3/3 nodes reported failure");
    let messages: Vec<_> = report.messages.iter().map(|(name, text)| (name.to_string(), &**text)).collect();
    assert_eq!(messages, ["a", "b", "c"].map(|name| (name.to_owned(), "Requested key is not in the keyring")));
    for cluster in [&a, &b, &c] {
        assert_eq!(cluster.keys().keyring(), [id(&OLD)]);
    }
    a.shutdown().await;
    assert_eq!(within("list", a.keys().list()).await, Err(KeysError::Stopped));
}

/// A slip of the pen, and a cluster in plain text: both are told before anybody is asked.
pub(super) async fn what_cannot_work_is_not_sent<H: Harness>() {
    let mut serf = sealed("a");
    serf.config.wire = wire::Config { keyring: serf.config.wire.keyring, ..wire::Config::serf() };
    let serf: ClusterOn<H> = start_with(serf).await;
    let (native, plain): (ClusterOn<H>, ClusterOn<H>) = (start_with(sealed("b")).await, start::<H>("c").await);
    for (cluster, len, error) in [
        (&serf, 0, KeysError::Length { len: 0, fitting: &[16, 24, 32] }),
        (&serf, 33, KeysError::Length { len: 33, fitting: &[16, 24, 32] }),
        (&native, 16, KeysError::Length { len: 16, fitting: &[32] }),
        (&plain, 32, KeysError::NotEncrypted),
    ] {
        let (asked, key) = (cluster.summary().query_time, vec![7; len]);
        let keys = cluster.keys();
        assert_eq!(within("install", keys.install(&key)).await, Err(error));
        assert_eq!(within("use", keys.use_key(&key)).await, Err(error));
        assert_eq!(within("remove", keys.remove(&key)).await, Err(error));
        assert_eq!(cluster.summary().query_time, asked, "{error}");
    }
    assert_eq!(within("list", plain.keys().list()).await, Err(KeysError::NotEncrypted));
    assert_eq!(KeysError::NotEncrypted.to_string(), "No keyring to modify (encryption not enabled)");

    // Serf's format has more to choose from.
    let report = within("install", serf.keys().install(&[7; 16])).await.expect("it is asked");
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(serf.keys().keyring(), [id(&OLD), id(&[7; 16])]);
}
