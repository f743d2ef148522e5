//! What needs the process to itself: it counts what the process holds, or holds up threads that other tests may share.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use swim_core::serf::member::Status;

use crate::cluster::Cluster;
use crate::conformance::Harness;
use crate::conformance::plain::Plain;
use crate::conformance::support::*;
use crate::conformance::watched::{Watch, Watched, watch};
use crate::options::Options;
use crate::runtime::Runtime;
use crate::shared::lock;
use crate::trace::TraceOptions;

/// One at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Starts and stops a thousand members, in all the ways in which one can stop, and checks that no task, thread or
/// descriptor has been left behind.
///
/// The descriptors and threads are counted on Linux only.
///
/// # Panics
///
/// When something is left.
pub fn nothing_is_left_behind<H: Harness>() {
    let _alone = lock(&ALONE);
    H::block_on(async {
        // What the runtime and the tests need once, they may keep.
        for n in 0..WARM_UP {
            cycle::<H>(n).await;
        }
        let mut before = Held::now();
        // Threads of blocking pools end when they have been idle for a while.
        settled("the first look", || {
            let now = Held::now();
            core::mem::replace(&mut before, now) == now
        })
        .await;
        for n in 0..CYCLES {
            cycle::<H>(n).await;
        }
        settled("nothing more than before", || {
            let now = Held::now();
            now.descriptors <= before.descriptors && now.threads <= before.threads
        })
        .await;
    });
}

/// A node that was kept from running reads first and judges then: the ack that saves the other lies in its own socket.
///
/// # Panics
///
/// When it accuses the other.
pub fn a_stalled_node_accuses_nobody<H: Harness>() {
    let _alone = lock(&ALONE);
    H::block_on(async {
        // Times that a machine with much else to do does not take for an ack, and that are far from each other.
        let patient = |name| {
            let mut patient = options(name);
            patient.config.swim.probe_interval = Duration::from_secs(2);
            patient.config.swim.probe_timeout = Duration::from_millis(1600);
            patient.config.swim.suspicion_mult = 20;
            patient
        };
        let b: Cluster<Watched<Plain>> = start_with(patient("b")).await;
        // So that no ack is there before the stall.
        watch(&b).trouble(|trouble| trouble.slow = Duration::from_millis(50));
        let a: Cluster<Watched<H::Runtime>> = start_with(patient("a")).await;
        join(&a, &b).await;
        for _ in 0..3 {
            let (probes, member) = (a.stats().probes, a.clone());
            // The ping has been sent and is not answered. Meanwhile the ack arrives, and then the deadline passes.
            let on_its_way = move || member.stats().probes > probes;
            watch(&a).trouble(|trouble| trouble.stall = Some((Box::new(on_its_way), Duration::from_millis(3200))));
            eventually("it has stalled", || watch(&a).has_stalled()).await;
        }
        let probes = a.stats().probes;
        eventually("the last one is judged", || a.stats().probes > probes + 1).await;
        assert_eq!(a.stats().suspicions, 0);
        assert_eq!(status(&a, "b"), Some(Status::Alive));
    });
}

/// One member from its start to its end, one in three with company, one in twenty with files.
async fn cycle<H: Harness>(n: usize) {
    let files = n.is_multiple_of(20).then(|| [Scratch::new::<H>("leak-trace"), Scratch::new::<H>("leak-snapshot")]);
    let mut whole = options("a");
    if let Some([trace, snapshot]) = &files {
        whole.trace = Some(TraceOptions::new(trace.path()));
        whole.snapshot = Some(snapshot.path().to_owned());
    }
    // A task that is left would hold the watch.
    let (cluster, watch) = begin::<H>(whole).await;
    let mut watches = vec![watch];
    if n.is_multiple_of(3) {
        let (other, watch) = begin::<H>(options("b")).await;
        watches.push(watch);
        join(&other, &cluster).await;
        match n % 4 {
            0 => stop(other).await,
            // Streams and commands under way.
            1 => drop((given_up_after(1, other.join(&[address(&cluster)])).await, other)),
            _ => drop(other),
        }
    }
    match n % 5 {
        0 => {
            give_up(cluster.events().next()).await;
            drop(cluster);
        }
        1 => {
            give_up(cluster.leave()).await;
            drop(cluster);
        }
        _ => stop(cluster).await,
    }
    for watch in watches {
        eventually("its tasks have ended", || watch.tasks() == 0).await;
        eventually("and nothing else holds on to it", || Arc::strong_count(&watch) == 1).await;
    }
}

async fn stop<R: Runtime>(cluster: Cluster<R>) {
    within("shutdown", cluster.shutdown()).await;
}

async fn begin<H: Harness>(options: Options) -> (Cluster<Watched<H::Runtime>>, Arc<Watch>) {
    let cluster = start_with(options).await;
    let watch = watch(&cluster);
    (cluster, watch)
}

/// Waits until `settled` says so, with time in between for what ends by itself.
async fn settled(what: &str, mut settled: impl FnMut() -> bool) {
    within(what, async {
        loop {
            Duration::from_secs(1).pause().await;
            if settled() {
                return;
            }
        }
    })
    .await;
}

/// What the process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn now() -> Self {
        let entries =
            |path: &str| if cfg!(target_os = "linux") { std::fs::read_dir(path).map_or(0, Iterator::count) } else { 0 };
        Self { descriptors: entries("/proc/self/fd"), threads: entries("/proc/self/task") }
    }
}

const CYCLES: usize = 1000;
const WARM_UP: usize = 60;
