//! The whole configuration of a node, and what can be wrong with it.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{self, Name};
use crate::serf::direct::MESSAGE_LEN_MAX;
use crate::serf::tags::{Tags, TagsTooLarge};
use crate::serf::user_event::USER_EVENT_LEN_MAX;
use crate::swim::admission::Admission;
use crate::{serf, swim, wire};

/// Everything a node needs to know. Start from a preset and change what differs.
///
/// ```
/// let mut config = swim_core::Config::lan("web-1", "10.0.0.7:7946".parse()?);
/// config.tags.insert("role", "web");
/// config.swim.gossip_nodes = 4;
/// assert_eq!(config.validate(), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Our name, unique in the cluster: UTF-8 of 1 to 128 bytes.
    pub name: Name,
    /// Where the others reach us, by datagram and by stream. Not an unspecified address.
    pub advertise: SocketAddr,
    /// Our first tags.
    pub tags: Tags,
    /// Encoding, label, keys, compression.
    pub wire: wire::Config,
    /// Membership.
    pub swim: swim::config::Config,
    /// Serf's layer.
    pub serf: serf::config::Config,
    /// Asked about every member that would be new to us. A trace records its name only.
    #[serde(skip)]
    pub admission: Option<Admission>,
    /// Streams that others have open to us at once; more are refused and counted.
    pub streams_max: usize,
    /// Bytes received on streams and not yet understood, and bytes waiting to be sent, over all streams.
    pub stream_bytes_max: usize,
}

impl Config {
    /// For one data centre, on the native wire format: the presets [`swim::config::Config::lan`],
    /// [`serf::config::Config::default`] and [`wire::Config::native`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::{Config, wire};
    ///
    /// let mut config = Config::lan("web-1", "10.0.0.7:7946".parse()?);
    /// // In a cluster of Serf agents:
    /// config.wire = wire::Config::serf();
    /// assert_eq!(config.validate(), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lan(name: impl Into<Name>, advertise: SocketAddr) -> Self {
        Self {
            name: name.into(),
            advertise,
            tags: Tags::default(),
            wire: wire::Config::native(),
            swim: swim::config::Config::lan(),
            serf: serf::config::Config::default(),
            admission: None,
            streams_max: 128,
            stream_bytes_max: 64 << 20,
        }
    }

    /// Across the internet: as [`lan`](Self::lan), with the times of [`swim::config::Config::wan`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::Config;
    /// let address = "203.0.113.7:7946".parse()?;
    /// let (lan, wan) = (Config::lan("web-1", address), Config::wan("web-1", address));
    /// assert!(wan.swim.probe_timeout > lan.swim.probe_timeout);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wan(name: impl Into<Name>, advertise: SocketAddr) -> Self {
        Self { swim: swim::config::Config::wan(), ..Self::lan(name, advertise) }
    }

    /// On one machine: as [`lan`](Self::lan), with the times of [`swim::config::Config::local`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::Config;
    /// let address = "127.0.0.1:7946".parse()?;
    /// let (lan, local) = (Config::lan("web-1", address), Config::local("web-1", address));
    /// assert!(local.swim.gossip_interval < lan.swim.gossip_interval);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local(name: impl Into<Name>, advertise: SocketAddr) -> Self {
        Self { swim: swim::config::Config::local(), ..Self::lan(name, advertise) }
    }

    /// Whether a node could be made from this.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::{Config, ConfigError};
    ///
    /// let mut config = Config::lan("web-1", "10.0.0.7:7946".parse()?);
    /// assert_eq!(config.validate(), Ok(()));
    /// config.swim.retransmit_mult = 0;
    /// assert_eq!(config.validate(), Err(ConfigError::Zero("swim.retransmit_mult")));
    /// config.advertise.set_ip([0, 0, 0, 0].into());
    /// assert_eq!(config.validate(), Err(ConfigError::Advertise("0.0.0.0:7946".parse()?)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        let len = self.name.as_bytes().len();
        if len == 0 || len > NAME_LEN_MAX || self.name.as_str().is_none() {
            return Err(ConfigError::Name { len });
        }
        if self.advertise.ip().is_unspecified() || self.advertise.port() == 0 {
            return Err(ConfigError::Advertise(self.advertise));
        }
        self.tags.check(self.serf.protocol).map_err(ConfigError::Tags)?;
        self.wire.validate().map_err(ConfigError::Wire)?;
        let (low, high) = SERF_PROTOCOLS;
        if !(low..=high).contains(&self.serf.protocol) {
            return Err(ConfigError::Protocol(self.serf.protocol));
        }
        if self.serf.user_event_size_limit > USER_EVENT_LEN_MAX {
            return Err(ConfigError::UserEventSizeLimit(self.serf.user_event_size_limit));
        }
        if self.serf.message_size_limit > MESSAGE_LEN_MAX {
            return Err(ConfigError::MessageSizeLimit(self.serf.message_size_limit));
        }
        let (interval, max) = (self.serf.heal_interval, self.serf.heal_interval_max);
        if !interval.is_zero() && max < interval {
            return Err(ConfigError::HealIntervals { interval, max });
        }
        let at_least_one = [
            ("swim.suspicion_mult", self.swim.suspicion_mult as usize),
            ("swim.suspicion_max_timeout_mult", self.swim.suspicion_max_timeout_mult as usize),
            ("swim.awareness_max_multiplier", self.swim.awareness_max_multiplier as usize),
            ("swim.retransmit_mult", self.swim.retransmit_mult as usize),
            ("swim.members_max", self.swim.members_max),
            ("streams_max", self.streams_max),
            ("serf.event_queue_max", self.serf.event_queue_max),
            ("serf.event_buffer", self.serf.event_buffer),
            ("serf.events_per_time_max", self.serf.events_per_time_max),
        ];
        if let Some((field, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero(field));
        }
        let rings = [("serf.event_buffer", self.serf.event_buffer), ("serf.query_buffer", self.serf.query_buffer)];
        match rings.into_iter().find(|(_, value)| *value > BUFFER_MAX) {
            Some((field, _)) => Err(ConfigError::Buffer(field)),
            None => Ok(()),
        }
    }
}

/// Longest name a node may give itself, in bytes.
pub const NAME_LEN_MAX: usize = ids::NAME_LEN_MAX;

/// Most times of the Lamport clock of which events or queries are remembered. Each takes some memory as soon as the first
/// comes.
pub const BUFFER_MAX: usize = 1 << 20;

/// Serf protocol versions there are.
pub const SERF_PROTOCOLS: (u8, u8) = (2, 5);

/// Why no node can be made from a configuration. See [`Config::validate`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The name is empty, longer than [`NAME_LEN_MAX`] bytes, or not UTF-8.
    Name {
        /// In bytes.
        len: usize,
    },
    /// Nobody could reach us there: the address is unspecified or the port 0.
    Advertise(SocketAddr),
    /// The tags do not fit into the metadata.
    Tags(TagsTooLarge),
    /// The wire settings contradict each other.
    Wire(wire::ConfigError),
    /// Not a Serf protocol version.
    Protocol(u8),
    /// User events would be allowed to be longer than [`USER_EVENT_LEN_MAX`].
    UserEventSizeLimit(usize),
    /// Messages to one member would be allowed to be longer than [`MESSAGE_LEN_MAX`].
    MessageSizeLimit(usize),
    /// `serf.heal_interval_max` is less than `serf.heal_interval`, which is not zero.
    HealIntervals {
        /// The first.
        interval: Duration,
        /// The longest.
        max: Duration,
    },
    /// This field must be at least 1.
    Zero(&'static str),
    /// This field must be at most [`BUFFER_MAX`].
    Buffer(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { len } => {
                write!(f, "node name must be UTF-8 of 1 to {NAME_LEN_MAX} bytes, this one has {len} bytes")
            }
            Self::Advertise(address) => write!(f, "cannot advertise {address}: others could not reach it"),
            Self::Tags(error) => error.fmt(f),
            Self::Wire(error) => error.fmt(f),
            Self::Protocol(version) => {
                let (low, high) = SERF_PROTOCOLS;
                let side = if *version < low { "low" } else { "high" };
                write!(f, "Protocol version '{version}' too {side}. Must be in range: [{low}, {high}]")
            }
            Self::UserEventSizeLimit(_) => {
                write!(f, "user event size limit exceeds limit of {USER_EVENT_LEN_MAX} bytes")
            }
            Self::MessageSizeLimit(limit) => {
                write!(f, "serf.message_size_limit is {limit}, and at most {MESSAGE_LEN_MAX} bytes are possible")
            }
            Self::HealIntervals { interval, max } => {
                write!(f, "serf.heal_interval_max is {max:?}, less than serf.heal_interval, {interval:?}")
            }
            Self::Zero(field) => write!(f, "{field} must be at least 1"),
            Self::Buffer(field) => write!(f, "{field} must be at most {BUFFER_MAX}"),
        }
    }
}

impl core::error::Error for ConfigError {}
