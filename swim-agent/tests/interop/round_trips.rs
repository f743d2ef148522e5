//! Round trips estimated from the coordinates that ride on acks, in both directions.

use core::time::Duration;

use crate::harness::{Kind, secs, wait_until};
use crate::member::{everybody, four};

/// Between any two members, asked of any member: an estimate that fits a loopback device.
#[test]
fn between_any_two() {
    let (serfs, members) = four();
    let names: Vec<_> = everybody(&serfs, &members).into_iter().map(|peer| peer.name().to_owned()).collect();
    let pairs: Vec<_> =
        names.iter().enumerate().flat_map(|(i, a)| names[i + 1..].iter().map(move |b| (a, b))).collect();
    for (a, b) in pairs {
        for member in &members {
            let what = format!("{} knows how far {a} and {b} are apart", member.name);
            let ours = wait_until(&what, secs(30), || {
                member.cluster.rtt(a.as_bytes(), b.as_bytes()).ok_or_else(|| "it has not probed both".to_owned())
            });
            assert!(PLAUSIBLE.contains(&ours), "{what}: {ours:?}");
        }
        for serf in &serfs {
            let what = format!("{} knows how far {a} and {b} are apart", serf.name);
            let theirs = wait_until(&what, secs(30), || {
                let output = serf.ask(Kind::Serf, "rtt", &[a, b]);
                let estimate = output.stdout.trim().strip_suffix(" ms").and_then(|text| text.rsplit(' ').next());
                estimate.and_then(|text| text.parse::<f64>().ok()).ok_or(output.stdout.clone())
            });
            let theirs = Duration::from_secs_f64(theirs / 1000.0);
            assert!(PLAUSIBLE.contains(&theirs), "{what}: {theirs:?}");
        }
    }
}

/// No two members are nearer than twice the least height of a coordinate, 10 µs each; and an ack that takes longer than
/// the local profile's probe timeout is rare enough not to count, however busy the machine is.
const PLAUSIBLE: core::ops::Range<Duration> = Duration::from_micros(20)..Duration::from_millis(200);
