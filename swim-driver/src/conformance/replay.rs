//! What a live node did, done again from its trace: the same bytes on every runtime.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use swim_core::ids::StreamId;
use swim_core::node::input::StreamAction;
use swim_core::node::trace::{Output, Replay, Step};
use swim_core::serf::query::Query;
use swim_core::wire::keyring::{Key, Keyring};
use swim_core::{Event, Member};

use crate::cluster::Cluster;
use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::conformance::watched::{Watched, Written, watch};
use crate::options::StartError;
use crate::trace::TraceOptions;

pub(super) async fn a_trace_is_written_and_can_be_replayed<H: Harness>() {
    let file = Scratch::new::<H>("trace");
    let mut traced = options("a");
    traced.trace = Some(TraceOptions::new(file.path()));
    let (a, b): (ClusterOn<H>, ClusterOn<H>) = (start_with(traced.clone()).await, start::<H>("b").await);
    join(&a, &b).await;
    reaches(&b, b"a").await;
    within("set_tags", a.set_tags([("n", "1")].into_iter().collect())).await.expect("they fit");
    within("shutdown", a.shutdown()).await;
    #[cfg(unix)]
    {
        let written = std::fs::metadata(file.path()).expect("there is a trace");
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&written.permissions()) & 0o777, 0o600);
    }

    let trace = file.bytes();
    let mut replay = Replay::new(&trace, Keyring::default(), None).expect("whole");
    let mut steps = Vec::new();
    while steps.last() != Some(&Step::End) {
        steps.push(replay.step(|_| {}).expect("the same again"));
    }
    assert!(replay.inputs() > 5);
    assert!(steps.ends_with(&[Step::Checkpoint, Step::End]), "what it put out is compared to the end: {steps:?}");
    assert_eq!(replay.node().members().map(Member::to_info).collect::<Vec<_>>(), a.members());

    let error = within("start", ClusterOn::<H>::start(traced)).await.expect_err("a trace is not overwritten");
    assert!(matches!(error, StartError::Trace(..)), "{error}");
}

/// Three members, encrypted, with all kinds of messages. What each handed to its sockets is, byte for byte, what its
/// trace leads to: neither the runtime nor the driver adds, drops, changes or reorders anything.
pub(super) async fn a_recorded_cluster_replays_to_the_same_bytes<H: Harness>() {
    let names = ["a", "b", "c"];
    let files = names.map(|name| Scratch::new::<H>(&format!("equal-{name}")));
    let mut clusters: Vec<Cluster<Watched<H::Runtime>>> = Vec::new();
    for (name, file) in names.iter().zip(&files) {
        let mut recorded = options(name);
        recorded.trace = Some(TraceOptions::new(file.path()));
        recorded.config.wire.keyring = keyring();
        recorded.bind = LOCALHOST;
        // Several while it lasts.
        recorded.config.swim.push_pull_interval = Duration::from_millis(300);
        clusters.push(start_with(recorded).await);
    }
    let [a, b, c] = &clusters[..] else { unreachable!("as many as there are names") };
    let mut asked = b.events();
    join(b, a).await;
    within("join by name", c.join(&[format!("localhost:{}", a.bound_address().port())])).await.expect("a is there");
    eventually("all know all", || clusters.iter().all(|cluster| cluster.members().len() == 3)).await;

    within("set_tags", a.set_tags([("role", "web")].into_iter().collect())).await.expect("they fit");
    c.user_event(b"deploy", Some(b"now"), true).expect("it is short");
    let query = Query { name: b"load", request_ack: true, timeout: Some(Duration::from_secs(5)), ..Query::default() };
    let mut answers = a.query(query).expect("it is short");
    let id = within("the query", async {
        loop {
            if let Event::Query { id, .. } = asked.next().await.expect("b goes on") {
                return id;
            }
        }
    })
    .await;
    b.respond(id, b"0.7").expect("it is asked for");
    within("the end of the query", async { while answers.next().await.is_some() {} }).await;
    // So much that each trace has checkpoints of its own hash of the outputs.
    while clusters.iter().any(|cluster| watch(cluster).sent_len() < CHECKPOINT_EVERY * 2) {
        for (from, to) in [(a, "b"), (b, "c"), (c, "a")] {
            let _ = within("ping", from.ping(to.as_bytes())).await;
        }
    }
    eventually("states are exchanged", || clusters.iter().all(|cluster| cluster.stats().push_pulls_merged > 2)).await;
    within("leave", c.leave()).await.expect("the others hear it");
    for cluster in &clusters {
        within("shutdown", cluster.shutdown()).await;
    }

    for (cluster, file) in clusters.iter().zip(&files) {
        let name = cluster.local().name;
        let (trace, watch) = (file.bytes(), watch(cluster));
        let mut replayed = Outputs::default();
        let mut replay = Replay::new(&trace, keyring(), None).expect("whole");
        let mut checkpoints = 0;
        loop {
            match replay.step(|output| replayed.add(output)).unwrap_or_else(|error| panic!("{name}: {error}")) {
                Step::Input(_) => {}
                Step::Checkpoint => checkpoints += 1,
                Step::End => break,
            }
        }
        assert!(checkpoints >= 3, "{name}: {checkpoints} checkpoints, one of them at the end");
        assert_eq!(cluster.io_stats(), Default::default(), "{name}: every datagram could be sent");
        let sent = watch.sent();
        let differs = sent.iter().zip(&replayed.datagrams).position(|(sent, replayed)| sent != replayed);
        assert_eq!((differs, sent.len()), (None, replayed.datagrams.len()), "{name}: the datagrams, in their order");
        assert_eq!(replay.node().members().map(Member::to_info).collect::<Vec<_>>(), cluster.members());
        same_streams(&name.to_string(), watch.streams(), replayed.streams.into_values().collect());
    }
}

/// Every stream that was written to the end is one of the replayed, exactly; one that was cut off, by the other side or
/// by the shutdown, is the beginning of one.
fn same_streams(name: &str, mut written: Vec<Written>, mut replayed: Vec<Written>) {
    // One on which nothing was said may be one that the node has never had: refused, or come too late.
    written.retain(|stream| !stream.bytes.is_empty());
    // The whole ones first, so that none of theirs is taken by a shorter one.
    written.sort_by_key(|stream| (!stream.closed, core::cmp::Reverse(stream.bytes.len())));
    let whole = written.iter().filter(|stream| stream.closed).count();
    assert!(whole >= 2, "{name}: {whole} streams were written to their ends");
    for stream in written {
        let same = replayed.iter().position(|other| {
            other.peer == stream.peer
                && if stream.closed { other.bytes == stream.bytes } else { other.bytes.starts_with(&stream.bytes) }
        });
        let same =
            same.unwrap_or_else(|| panic!("{name}: {} bytes that the trace does not lead to", stream.bytes.len()));
        replayed.swap_remove(same);
    }
    // What is left was never connected; and nothing can have been written to that.
    assert!(replayed.iter().all(|stream| stream.bytes.is_empty()), "{name}: {} were not written", replayed.len());
}

/// What a replayed node has put out.
#[derive(Default)]
struct Outputs {
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    streams: BTreeMap<StreamId, Written>,
}

impl Outputs {
    fn add(&mut self, output: Output<'_>) {
        match output {
            Output::Event(_) => {}
            Output::Datagram { destination, datagram } => self.datagrams.push((destination, datagram.to_vec())),
            Output::Stream(StreamAction::Open { id, peer }) => self.streams.entry(id).or_default().peer = Some(peer),
            Output::Stream(StreamAction::Send { id, data }) => {
                self.streams.entry(id).or_default().bytes.extend_from_slice(&data);
            }
            Output::Stream(StreamAction::Finish { id } | StreamAction::Abort { id }) => {
                self.streams.entry(id).or_default().closed = true;
            }
        }
    }
}

fn keyring() -> Keyring {
    let mut keyring = Keyring::new();
    keyring.add(Key::new(&[0x5e; 32]).expect("32 bytes are a key")).expect("it is the first");
    keyring
}

/// Datagrams between two checkpoints of a trace (`swim-core/src/node/trace.rs`).
const CHECKPOINT_EVERY: usize = 64;
