//! What an agent prints when it is up: scripts and people look for these lines.

use core::net::SocketAddr;

use swim_tokio::Cluster;

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
    console.info(&format!("                  Encrypted: {}", !config.wire.keyring.is_empty()));
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
