//! chitchat 0.13 in a simulated cluster. It brings tasks, not a state machine: they run on a tokio whose clock jumps to
//! the next timer, over its own transport in memory.

use core::time::Duration;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chitchat::transport::{ChannelTransport, RecvOutcome, SendOutcome, Socket, Statistics, Transport};
use chitchat::{ChitchatConfig, ChitchatEnvelope, ChitchatHandle, ChitchatId, ProtocolVersion};
use chitchat::{FailureDetectorConfig, spawn_chitchat};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::cluster::{Cluster, HEADERS};
use crate::scene;

/// The configuration of its tests and of its documentation, for there is no other default: a gossip round each second.
pub(crate) fn config(number: usize, seed: Option<usize>) -> ChitchatConfig {
    let address = scene::address(number);
    ChitchatConfig {
        chitchat_id: ChitchatId::new(scene::name(number), 0, address),
        cluster_id: "bench".into(),
        gossip_interval: Duration::from_secs(1),
        listen_addr: address,
        seed_nodes: seed.map(|seed| scene::address(seed).to_string()).into_iter().collect(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_secs(3600),
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V1,
    }
}

/// The two tags.
pub(crate) fn tags() -> Vec<(String, String)> {
    [("role", "web"), ("dc", "east")].map(|(key, value)| (key.into(), value.into())).into()
}

/// Nodes, and whom each took for alive when last looked.
pub(crate) struct Simulated {
    runtime: Runtime,
    nodes: Vec<ChitchatHandle>,
    live: Vec<HashSet<ChitchatId>>,
    network: Network,
    began: Instant,
    failures: u64,
}

impl Simulated {
    /// Takes note of who has been lost since the last look.
    fn look(&mut self) {
        for (node, before) in self.nodes.iter().zip(&mut self.live) {
            let chitchat = node.chitchat();
            let live: HashSet<ChitchatId> =
                self.runtime.block_on(async { chitchat.lock().await.live_nodes().cloned().collect() });
            self.failures += before.difference(&live).count() as u64;
            *before = live;
        }
    }
}

impl Cluster for Simulated {
    fn start(members: usize, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing");
        let network = Network::new(seed);
        let (nodes, began) = runtime.block_on(async {
            let mut nodes = Vec::new();
            for number in 0..members {
                let config = config(number, (number > 0).then_some(0));
                nodes.push(spawn_chitchat(config, tags(), &network).await.expect("each has an address of its own"));
            }
            (nodes, Instant::now())
        });
        let live = vec![HashSet::new(); members];
        Self { runtime, nodes, live, network, began, failures: 0 }
    }

    fn run_for(&mut self, time: Duration) {
        // Failures are looked for once in each gossip round.
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(1));
            self.runtime.block_on(async { tokio::time::sleep(step).await });
            left -= step;
            self.look();
        }
    }

    fn now(&self) -> Duration {
        self.runtime.block_on(async { self.began.elapsed() })
    }

    fn agrees(&self) -> bool {
        self.live.iter().all(|live| live.len() == self.nodes.len())
    }

    fn set_loss(&mut self, loss: f64) {
        self.network.loss.store(loss.to_bits(), Ordering::Relaxed);
    }

    fn failures(&self) -> u64 {
        self.failures
    }

    fn bytes(&self) -> u64 {
        let Statistics { num_bytes_total, num_messages_total } = self.network.inner.statistics();
        num_bytes_total + num_messages_total * HEADERS
    }
}

/// chitchat's own network in memory, which encodes and decodes what it carries, with loss. It takes no time.
#[derive(Clone)]
struct Network {
    inner: ChannelTransport,
    loss: Arc<AtomicU64>,
    rng: Arc<Mutex<SmallRng>>,
}

impl Network {
    fn new(seed: u64) -> Self {
        let rng = Arc::new(Mutex::new(SmallRng::seed_from_u64(seed)));
        Self { inner: ChannelTransport::default(), loss: Arc::default(), rng }
    }

    fn loses(&self) -> bool {
        let loss = f64::from_bits(self.loss.load(Ordering::Relaxed));
        loss > 0.0 && self.rng.lock().expect("nobody panics").random_bool(loss)
    }
}

#[async_trait]
impl Transport for Network {
    async fn open(&self, address: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(Lossy { inner: self.inner.open(address).await?, network: self.clone() }))
    }
}

struct Lossy {
    inner: Box<dyn Socket>,
    network: Network,
}

#[async_trait]
impl Socket for Lossy {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.inner.local_addr()
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> anyhow::Result<SendOutcome> {
        // What is lost goes to where nobody is, and is counted like the rest.
        let to = if self.network.loses() { scene::address(usize::from(u16::MAX)) } else { to };
        self.inner.send(to, envelope).await
    }

    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        self.inner.recv().await
    }
}
