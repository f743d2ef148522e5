//! What an agent prints when it is up: scripts and people look for these lines.

use core::net::SocketAddr;

use swim_tokio::Cluster;
use swim_tokio::swim_core::wire;

use crate::config::Settings;
use crate::log::console::Console;
use crate::rpc::listener::Endpoint;

pub(crate) fn print(
    console: &Console,
    cluster: &Cluster,
    settings: &Settings,
    rpc: &Endpoint,
    metrics: Option<SocketAddr>,
) {
    let config = cluster.config();
    console.say("Serf agent running!");
    console.info(&format!("                  Node name: '{}'", config.name));
    console.info(&format!("                  Bind addr: '{}'", cluster.bound_address()));
    if !settings.advertise.is_empty() {
        console.info(&format!("Advertise addr: '{}'", cluster.advertised_address()));
    }
    console.info(&format!("                   RPC addr: '{rpc}'"));
    console.info(&format!("                  Encrypted: {}", encrypted(&config.wire)));
    console.info(&format!("                   Snapshot: {}", !settings.snapshot_path.is_empty()));
    console.info(&format!("                    Profile: {}", settings.profile));
    console.info(&format!("Message Compression Enabled: {}", config.wire.compression));
    if !settings.discover.is_empty() {
        console.info(&format!("               mDNS cluster: {}", settings.discover));
    }
    if let Some(metrics) = metrics {
        console.info(&format!("                    Metrics: 'http://{metrics}/metrics'"));
    }
}

/// Serf's word, and in capitals what Serf does not have.
fn encrypted(wire: &wire::Config) -> &'static str {
    match (wire.keyring.is_empty(), wire.verify_outgoing, wire.verify_incoming) {
        (true, ..) => "false",
        (false, true, true) => "true",
        (false, true, false) => "true, BUT PLAIN PACKETS ARE ACCEPTED (encrypt_verify_incoming is off)",
        (false, false, _) => "NOT YET: plain packets are sent and accepted (encrypt_verify_outgoing is off)",
    }
}
