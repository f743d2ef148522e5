//! Every constant of membership, with memberlist's three presets.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// How membership behaves. Times are memberlist's. See [`Config::lan`], [`Config::wan`], [`Config::local`].
///
/// Source: memberlist `config.go`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Time between two probes, and the length of one at health score 0. Zero turns probing off.
    pub probe_interval: Duration,
    /// How long a direct ack may take before relays are asked, and any answer to [`Node::ping`](crate::Node::ping).
    pub probe_timeout: Duration,
    /// How many relays an unanswered probe asks (SWIM §3.1, k).
    pub indirect_checks: usize,
    /// Whether an unanswered probe also tries a stream.
    pub stream_probes: bool,
    /// Suspicion lasts at least this many probe intervals, times the decimal logarithm of the cluster's size, which
    /// counts as 1 for up to 10 members.
    pub suspicion_mult: u32,
    /// An unconfirmed suspicion lasts this many times the minimum (Lifeguard, LHA-Suspicion). 1 turns that part off.
    pub suspicion_max_timeout_mult: u32,
    /// One more than the highest health score (Lifeguard, LHA-Probe). 1 turns that part off.
    pub awareness_max_multiplier: u32,
    /// Whether relays are asked to say that their target did not answer (Lifeguard, LHA-Probe).
    pub nacks: bool,
    /// Whether a suspected target is told of the suspicion along with the ping (Lifeguard, Buddy System).
    pub buddy: bool,
    /// An update is sent this many times the number of decimal digits of the cluster's size.
    pub retransmit_mult: u32,
    /// Time between two rounds of gossip. Zero turns it off; updates then travel on probes only.
    pub gossip_interval: Duration,
    /// Members that one round of gossip reaches.
    pub gossip_nodes: usize,
    /// How long the dead are still gossiped to, and remembered by membership. Serf's layer remembers them for longer,
    /// see [`reconnect_timeout`](crate::serf::config::Config::reconnect_timeout).
    pub gossip_to_the_dead_time: Duration,
    /// Time between two full state exchanges in clusters of up to 32; larger ones add this once more each time they
    /// double. Zero turns them off.
    pub push_pull_interval: Duration,
    /// How long each part of an exchange over a stream may take: to connect, to write, to read.
    pub stream_timeout: Duration,
    /// How long after its death somebody else may take a member's name. Zero: never.
    pub dead_node_reclaim_time: Duration,
    /// Networks that members may be in; `None` or an empty list allows all.
    pub allowed_networks: Option<Vec<Network>>,
    /// Members that are known at once, those that failed or left and the local one included; more are refused and
    /// counted.
    ///
    /// Everybody whom SWIM knows is in each full state exchange, and nobody takes one of more than 20 MiB: far fewer
    /// than the default if they all have as long names and tags as there may be. Up to 18 000, or 12 000 on Serf's wire,
    /// always fit, whatever somebody makes up.
    pub members_max: usize,
    /// What we announce about ourselves.
    pub protocol: crate::versions::VersionRange,
    /// Where to behave as others did when they were measured; all off by default.
    pub baseline: Baseline,
}

/// Behaviour of memberlist, and of the Lifeguard paper, that we have on purpose not taken over: with it, published
/// measurements can be repeated on this core. Not for a cluster that does work.
///
/// ```
/// use std::time::Duration;
/// use swim_core::swim::config::{Baseline, Config};
///
/// // The times of the Lifeguard paper.
/// let baseline =
///     Baseline { scale_probe_timeout: true, nack_at: Some(Duration::from_millis(400)), ..Baseline::default() };
/// let lifeguard = Config { suspicion_mult: 5, awareness_max_multiplier: 9, baseline, ..Config::lan() };
/// assert!(lifeguard.baseline != Config::lan().baseline);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The time of a probe runs on while its packets cannot be sent. They go out late all the same, and the target,
    /// which had no time to answer, is suspected at once (memberlist: `state.go`, probeNode). Otherwise such a probe
    /// is given up, and nobody is accused.
    pub stale_probe_on_release: bool,
    /// A tick that comes while the probe or the gossip of the last one is under way is kept, one of each, and used as
    /// soon as that is over (Go: `time.Ticker`). Otherwise it is lost.
    pub buffered_ticks: bool,
    /// What a datagram says about members is taken in when the datagram has been read, or several if a backlog is read
    /// ([`Node::hold_handed_off`](crate::Node::hold_handed_off)), alive first, the rest behind it, each newest first
    /// (memberlist: `net.go`, packetHandler). Otherwise it is taken in as it comes.
    pub newest_first_handoff: bool,
    /// The health score stretches also the time that a direct ack may take (Lifeguard, LHA-Probe). Otherwise, as in
    /// memberlist, only the whole probe.
    pub scale_probe_timeout: bool,
    /// A relay says so early that its target has not answered (Lifeguard: 80 % of the probe timeout). Otherwise it does
    /// at the end of the probe timeout, as memberlist.
    pub nack_at: Option<Duration>,
    /// Claims that are older than what we know are passed over in silence, as by memberlist. Otherwise whoever makes
    /// them is put right: see memberlist issue 311.
    pub ignore_stale: bool,
}

impl Config {
    /// For one data centre.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use swim_core::swim::config::Config;
    ///
    /// let config = Config { members_max: 500, ..Config::lan() };
    /// assert_eq!((config.probe_interval, config.gossip_nodes), (Duration::from_secs(1), 3));
    /// ```
    pub fn lan() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_checks: 3,
            stream_probes: true,
            suspicion_mult: 4,
            suspicion_max_timeout_mult: 6,
            awareness_max_multiplier: 8,
            nacks: true,
            buddy: true,
            retransmit_mult: 4,
            gossip_interval: Duration::from_millis(200),
            gossip_nodes: 3,
            gossip_to_the_dead_time: Duration::from_secs(30),
            push_pull_interval: Duration::from_secs(30),
            stream_timeout: Duration::from_secs(10),
            dead_node_reclaim_time: Duration::ZERO,
            allowed_networks: None,
            members_max: 1 << 20,
            protocol: crate::versions::VersionRange { min: 1, max: 5, current: 2 },
            baseline: Baseline::default(),
        }
    }

    /// Across the internet.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// use swim_core::swim::config::Config;
    ///
    /// assert_eq!(Config::wan().probe_timeout, Duration::from_secs(3));
    /// ```
    pub fn wan() -> Self {
        Self {
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(3),
            suspicion_mult: 6,
            gossip_interval: Duration::from_millis(500),
            gossip_nodes: 4,
            gossip_to_the_dead_time: Duration::from_secs(60),
            push_pull_interval: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(30),
            ..Self::lan()
        }
    }

    /// On one machine.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// use swim_core::swim::config::Config;
    ///
    /// assert_eq!(Config::local().gossip_interval, Duration::from_millis(100));
    /// ```
    pub fn local() -> Self {
        Self {
            probe_timeout: Duration::from_millis(200),
            indirect_checks: 1,
            suspicion_mult: 3,
            retransmit_mult: 2,
            gossip_interval: Duration::from_millis(100),
            gossip_to_the_dead_time: Duration::from_secs(15),
            push_pull_interval: Duration::from_secs(15),
            stream_timeout: Duration::from_secs(1),
            ..Self::lan()
        }
    }

    /// Whether a member may have this address.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        match self.allowed_networks.as_deref() {
            None | Some([]) => true,
            Some(networks) => networks.iter().any(|network| network.contains(ip)),
        }
    }
}

/// A block of addresses, `10.0.0.0/8` or `fd00::/8`.
///
/// ```
/// use swim_core::swim::config::{Config, Network};
///
/// let private: Network = "10.0.0.0/8".parse()?;
/// let config = Config { allowed_networks: Some(vec![private]), ..Config::lan() };
/// assert!(config.allowed_networks.is_some_and(|networks| networks[0].contains([10, 1, 2, 3].into())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

impl Network {
    /// The block of `address` with the first `prefix_len` bits fixed; `None` if the address has fewer bits.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::swim::config::Network;
    /// assert_eq!(Network::new([10, 0, 0, 0].into(), 8), Some("10.0.0.0/8".parse()?));
    /// assert_eq!(Network::new([10, 0, 0, 0].into(), 33), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        (prefix_len <= bits).then_some(Self { address, prefix_len })
    }

    /// Whether `ip` lies in the block. An IPv4 address in 16 bytes counts as IPv4.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::swim::config::Network;
    /// let network: Network = "10.0.0.0/8".parse()?;
    /// assert!(network.contains("::ffff:10.1.2.3".parse()?));
    /// assert!(!network.contains([11, 0, 0, 1].into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same_prefix(u128::from(u32::from(net)) << 96, u128::from(u32::from(ip)) << 96, self.prefix_len)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same_prefix(net.into(), ip.into(), self.prefix_len),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl core::str::FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix_len) = text.split_once('/').ok_or(NetworkError)?;
        let address = address.parse().map_err(|_| NetworkError)?;
        let prefix_len = prefix_len.parse().map_err(|_| NetworkError)?;
        Self::new(address, prefix_len).ok_or(NetworkError)
    }
}

/// The text is not a block of addresses.
///
/// ```
/// use swim_core::swim::config::{Network, NetworkError};
///
/// assert_eq!("10.0.0.0".parse::<Network>(), Err(NetworkError));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a network: expected an address and a prefix length, like 10.0.0.0/8")
    }
}

impl core::error::Error for NetworkError {}

fn same_prefix(a: u128, b: u128, prefix_len: u8) -> bool {
    prefix_len == 0 || (a ^ b) >> (128 - u32::from(prefix_len)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// memberlist: `config.go`, the defaults for a local network, the internet and one machine.
    #[test]
    fn profiles() {
        let millis = |millis: [u64; 3]| millis.map(Duration::from_millis);
        let of = |value: fn(&Config) -> Duration| [Config::lan(), Config::wan(), Config::local()].map(|c| value(&c));
        assert_eq!(of(|c| c.probe_interval), millis([1000, 5000, 1000]));
        assert_eq!(of(|c| c.probe_timeout), millis([500, 3000, 200]));
        assert_eq!(of(|c| c.gossip_interval), millis([200, 500, 100]));
        assert_eq!(of(|c| c.gossip_to_the_dead_time), millis([30_000, 60_000, 15_000]));
        assert_eq!(of(|c| c.push_pull_interval), millis([30_000, 60_000, 15_000]));
        assert_eq!(of(|c| c.stream_timeout), millis([10_000, 30_000, 1000]));
        let of = |value: fn(&Config) -> usize| [Config::lan(), Config::wan(), Config::local()].map(|c| value(&c));
        assert_eq!(of(|c| c.indirect_checks), [3, 3, 1]);
        assert_eq!(of(|c| c.suspicion_mult as usize), [4, 6, 3]);
        assert_eq!(of(|c| c.retransmit_mult as usize), [4, 4, 2]);
        assert_eq!(of(|c| c.gossip_nodes), [3, 4, 3]);
    }

    #[test]
    fn networks_contain_what_shares_their_prefix() {
        #[rustfmt::skip]
        let table = [
            ("10.0.0.0/8",     "10.255.1.2",       true),
            ("10.0.0.0/8",     "11.0.0.1",         false),
            ("10.0.0.0/8",     "::ffff:10.1.1.1",  true),  // IPv4 in 16 bytes
            ("127.0.0.1/32",   "127.0.0.1",        true),
            ("127.0.0.1/32",   "127.0.0.2",        false),
            ("0.0.0.0/0",      "8.8.8.8",          true),
            ("0.0.0.0/0",      "::1",              false),
            ("fd00::/8",       "fd12::1",          true),
            ("fd00::/8",       "fe80::1",          false),
        ];
        for (network, ip, inside) in table {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(ip.parse().unwrap()), inside, "{network:?} {ip}");
        }
    }

    #[test]
    fn bad_networks_are_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }
}
