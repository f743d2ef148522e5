//! Every counter and gauge of a member, published through the `metrics` facade: the feature `metrics`.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use futures_lite::future::or;
use metrics::{Label, counter, gauge};

use crate::runtime::Runtime;
use crate::shared::Shared;

/// Publishes from time to time until the cluster stops, and then once more.
pub(crate) async fn publish_until_stopped<R: Runtime>(shared: Arc<Shared<R>>) {
    while !shared.stopping.is_raised() {
        let next = Instant::now() + INTERVAL;
        or(shared.stopping.wait(), shared.runtime.sleep_until(next)).await;
        publish(&shared);
    }
}

/// Sets the counters `swim_NAME` of [`Stats`](swim_core::stats::Stats), the counters `swim_io_NAME` of
/// [`IoStats`](crate::IoStats) and the gauges of [`Summary`](swim_core::node::Summary), with the label `node`.
pub(crate) fn publish<R: Runtime>(shared: &Shared<R>) {
    let (name, stats, summary) = shared.with(|guarded, _| {
        let node = guarded.node.node();
        (node.local().name().to_string(), node.stats().clone(), node.summary())
    });
    let io = shared.io.read();
    let labels = [Label::new("node", name)];
    for (field, count) in stats.iter() {
        counter!(format!("swim_{field}"), labels.iter()).absolute(count);
    }
    for (field, count) in [
        ("send_errors", io.send_errors),
        ("sends_blocked", io.sends_blocked),
        ("receive_errors", io.receive_errors),
        ("accept_errors", io.accept_errors),
    ] {
        counter!(format!("swim_io_{field}"), labels.iter()).absolute(count);
    }
    for (field, value) in [
        ("members", summary.members),
        ("failed", summary.failed),
        ("left", summary.left),
        ("health_score", summary.health_score as usize),
        ("update_queue", summary.update_queue),
        ("intent_queue", summary.intent_queue),
        ("event_queue", summary.event_queue),
        ("query_queue", summary.query_queue),
    ] {
        gauge!(format!("swim_{field}"), labels.iter()).set(value as f64);
    }
}

/// Between two times; those who collect metrics rarely look more often.
const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU64, Ordering};
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;
    use crate::shared::lock;
    use crate::testing::shared;

    #[derive(Default)]
    struct Seen(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

    impl Seen {
        fn cell(&self, key: &Key) -> Arc<AtomicU64> {
            let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            lock(&self.0).entry(format!("{} {}", key.name(), labels.join(","))).or_default().clone()
        }
    }

    impl Recorder for Seen {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.cell(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.cell(key))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn everything_is_published_under_the_name_of_the_node() {
        let shared = shared();
        let (name, fields) = shared.with(|guarded, _| {
            let node = guarded.node.node();
            (node.local().name().to_string(), node.stats().iter().len())
        });
        let seen = Seen::default();
        metrics::with_local_recorder(&seen, || publish(&shared));
        let seen = lock(&seen.0);
        assert_eq!(seen.len(), fields + 4 + 8);
        let value = |metric: &str| seen[&format!("{metric} node={name}")].load(Ordering::Relaxed);
        assert_eq!(value("swim_member_joins"), 1);
        assert_eq!(f64::from_bits(value("swim_members")), 1.0);
        assert_eq!(value("swim_io_send_errors"), 0);
    }
}
