//! Thirty members, ten on each runtime, in one process, for ten minutes: nobody is lost, and memory stays where it was.
//!
//! ```sh
//! cargo test --release -p swim-asyncstd --test soak -- --ignored --nocapture
//! ```

use core::pin::Pin;
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use swim_driver::conformance::support::*;
use swim_driver::swim_core::serf::member::Status;
use swim_driver::{Cluster, Options, Runtime};

/// A member, whatever it runs on.
struct Soaked {
    name: String,
    options: Options,
    tell: Box<dyn Fn(&str)>,
    statuses: Box<dyn Fn() -> Statuses>,
    heard: Box<dyn Fn() -> u64>,
    stop: Box<dyn FnOnce() -> Stopping>,
    started: Instant,
}

type Statuses = BTreeMap<String, Status>;
type Stopping = Pin<Box<dyn Future<Output = ()>>>;

async fn soaked<R: Runtime>(options: Options, seeds: &[String]) -> Soaked {
    let cluster: Cluster<R> = start_with(options.clone()).await;
    if !seeds.is_empty() {
        within("join", cluster.join(seeds)).await.expect("most are there");
    }
    let mut kept = options;
    kept.bind = cluster.bound_address();
    let (teller, viewer, hearer) = (cluster.clone(), cluster.clone(), cluster.clone());
    Soaked {
        name: cluster.local().name.to_string(),
        options: kept,
        tell: Box::new(move |name| {
            teller.user_event(name.as_bytes(), None, false).expect("it is short");
        }),
        statuses: Box::new(move || {
            viewer.members().into_iter().map(|member| (member.name.to_string(), member.status)).collect()
        }),
        heard: Box::new(move || hearer.stats().user_events),
        stop: Box::new(move || Box::pin(async move { within("shutdown", cluster.shutdown()).await })),
        started: Instant::now(),
    }
}

async fn on(runtime: usize, options: Options, seeds: &[String]) -> Soaked {
    match runtime % 3 {
        0 => soaked::<swim_tokio::Tokio>(options, seeds).await,
        1 => soaked::<swim_smol::Smol>(options, seeds).await,
        _ => soaked::<swim_asyncstd::AsyncStd>(options, seeds).await,
    }
}

#[test]
#[ignore = "it takes ten minutes"]
fn thirty_members_for_ten_minutes() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio.expect("a runtime").block_on(soak());
}

async fn soak() {
    let mut members = Vec::new();
    for n in 0..MEMBERS {
        let seeds: Vec<_> = members.iter().take(3).map(|seed: &Soaked| seed.options.bind.to_string()).collect();
        members.push(on(n, Options::lan(format!("m{n:02}").as_str(), loopback()), &seeds).await);
    }
    let everybody_sees_everybody = |members: &[Soaked]| {
        let alive = |member: &Soaked| (member.statuses)().values().filter(|status| **status == Status::Alive).count();
        members.iter().all(|member| alive(member) == MEMBERS)
    };
    eventually("the cluster has formed", || everybody_sees_everybody(&members)).await;

    // What has a bound is filled first: everybody's memory of user events, and the holes that members leave in the heap of
    // each thread when they go, which others fill.
    for n in 0..WARM_UP {
        restart(&mut members, n).await;
        for (event, member) in members.iter().take(8).enumerate() {
            (member.tell)(&format!("warm-up-{n}-{event}"));
            Duration::from_millis(30).pause().await;
        }
    }

    let start = Instant::now();
    let (mut early, mut restarts) = (0, 0);
    for second in 0..SECONDS {
        let at = start + Duration::from_secs(second as u64);
        at.saturating_duration_since(Instant::now()).pause().await;
        (members[second % MEMBERS].tell)(&format!("event-{second}"));
        if second % 10 == 9 {
            restart(&mut members, restarts * 7).await;
            restarts += 1;
        }
        // Who has been there for a while is held for dead by nobody.
        let viewer = &members[(second * 11) % MEMBERS];
        for (name, status) in (viewer.statuses)() {
            let subject = members.iter().find(|member| member.name == name).expect("one of ours");
            if subject.started.elapsed() > SETTLED && viewer.started.elapsed() > SETTLED {
                assert_eq!(status, Status::Alive, "{} says of {name} after {second} s", viewer.name);
            }
        }
        if second % 60 == 0 {
            println!("after {second} s: {} KiB resident", resident());
        }
        if second == SECONDS / 5 {
            early = resident();
        }
    }
    eventually("everybody is there at the end", || everybody_sees_everybody(&members)).await;
    let late = resident();
    let oldest = members.iter().max_by_key(|member| member.started.elapsed()).expect("there are some");
    println!(
        "{SECONDS} s, {restarts} restarts, {SECONDS} events; {} is {} s old and has heard {}; resident {} KiB after {} s, {} KiB at the end",
        oldest.name,
        oldest.started.elapsed().as_secs(),
        (oldest.heard)(),
        early,
        SECONDS / 5,
        late
    );
    assert!(late as f64 <= early as f64 * 1.05, "{early} KiB, then {late} KiB");
}

/// Stops a member without a goodbye and starts it again, on the same port, as after a crash.
async fn restart(members: &mut Vec<Soaked>, which: usize) {
    let which = which % MEMBERS;
    let Soaked { options, stop, .. } = members.remove(which);
    stop().await;
    let seeds: Vec<_> = members.iter().take(3).map(|seed| seed.options.bind.to_string()).collect();
    members.insert(which, on(which, options, &seeds).await);
}

/// Of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

const MEMBERS: usize = 30;
const SECONDS: usize = 600;
/// Restarts, each with eight user events, of which a member remembers 512.
const WARM_UP: usize = 8 * MEMBERS;
/// A restarted member may be accused until it has refuted.
const SETTLED: Duration = Duration::from_secs(20);
