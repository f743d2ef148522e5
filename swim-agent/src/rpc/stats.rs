//! The `stats` command: what `info` shows.

use std::collections::BTreeMap;
use std::thread::available_parallelism;

use swim_tokio::Cluster;
use tokio::runtime::Handle;

use crate::VERSION;
use crate::agent::Agent;
use crate::rpc::msgpack::Value;

/// The agent's state as a map of maps of strings. Must be called inside the runtime.
pub(crate) fn stats(agent: &Agent) -> Value {
    let cluster = &agent.cluster;
    let local = cluster.local();
    let tags = local.tags();
    let handlers: BTreeMap<_, _> =
        agent.handlers.iter().map(|handler| (handler.filter.to_string(), handler.script.clone())).collect();
    let groups: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::from([
        ("agent", BTreeMap::from([("name", local.name.to_string())])),
        ("event_handlers", handlers.iter().map(|(filter, script)| (filter.as_str(), script.clone())).collect()),
        ("runtime", runtime()),
        ("serf", serf(cluster)),
        ("tags", tags.iter().map(|(key, value)| (key, value.to_owned())).collect()),
    ]);
    Value::map(
        groups
            .into_iter()
            .map(|(name, group)| (name, Value::map(group.into_iter().map(|(key, value)| (key, Value::text(value)))))),
    )
}

fn serf(cluster: &Cluster) -> BTreeMap<&'static str, String> {
    let summary = cluster.summary();
    let mut serf = BTreeMap::from([
        ("encrypted", (!cluster.config().wire.keyring.is_empty()).to_string()),
        ("event_queue", summary.event_queue.to_string()),
        ("event_time", summary.event_time.to_string()),
        ("failed", summary.failed.to_string()),
        ("health_score", summary.health_score.to_string()),
        ("intent_queue", summary.intent_queue.to_string()),
        ("left", summary.left.to_string()),
        ("member_time", summary.member_time.to_string()),
        ("members", summary.members.to_string()),
        ("query_queue", summary.query_queue.to_string()),
        ("query_time", summary.query_time.to_string()),
    ]);
    serf.extend(summary.coordinate_resets.map(|resets| ("coordinate_resets", resets.to_string())));
    serf
}

/// Scripts read these keys; where Go's notion does not exist, the nearest thing that does.
fn runtime() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("arch", go_name(std::env::consts::ARCH).to_owned()),
        ("cpu_count", available_parallelism().map_or(1, usize::from).to_string()),
        ("goroutines", Handle::current().metrics().num_alive_tasks().to_string()),
        ("max_procs", "1".to_owned()),
        ("os", go_name(std::env::consts::OS).to_owned()),
        ("version", format!("swim-{VERSION}")),
    ])
}

fn go_name(rust_name: &'static str) -> &'static str {
    match rust_name {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "macos" => "darwin",
        same => same,
    }
}
