//! What a cluster handle is started from, and why it may not start.

use core::fmt;
use core::net::SocketAddr;
use std::io;
use std::path::PathBuf;

use swim_core::ids::Name;
use swim_core::{Config, ConfigError};

use crate::trace::TraceOptions;

/// Everything [`Cluster::start`](crate::Cluster::start) needs to know.
///
/// ```
/// use swim_tokio::swim_core::wire::keyring::Key;
/// use swim_tokio::{Cluster, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = Options::lan("web-1", "127.0.0.1:0".parse()?);
/// options.config.tags.insert("role", "web");
/// options.config.wire.keyring.add(Key::new(&[7; 32])?)?; // a random one, in service
/// options.snapshot = Some(std::env::temp_dir().join(format!("web-1-{}.snapshot", std::process::id())));
/// # let path = options.snapshot.clone().expect("just set");
/// let cluster = Cluster::start(options).await?;
/// # cluster.shutdown().await;
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Options {
    /// The protocol's configuration. Its `advertise` is overwritten at the start from the two fields below, its
    /// `serf.snapshot` and `serf.rejoin_after_leave` from the last two.
    pub config: Config,
    /// Where to listen, for datagrams and for streams. Port 0 takes a free port, the same for both.
    pub bind: SocketAddr,
    /// Where the others reach us; port 0 stands for the bound one. `None`: the bound address, or, when bound to an
    /// unspecified one (`0.0.0.0`), a private address of this host.
    pub advertise: Option<SocketAddr>,
    /// Whom to join, and never to give up; each is written as for [`join`](crate::Cluster::join). The names are resolved
    /// in the background, at the start and again and again, and whoever is not a member there is tried, until it is
    /// met: after about a second, then ever more rarely down to once in `config.serf.heal_interval_max`. So no call of
    /// `join` is needed, a seed may start later than we, and a partition or an outage of any length ends by itself. User
    /// events from before we found our first company are not delivered.
    ///
    /// Without `config.serf.heal_interval` (zero) the seeds are not used.
    pub seeds: Vec<String>,
    /// `None` draws 32 bytes from the operating system, and nothing else is safe in service: the seed also feeds the
    /// nonces, so one seed used twice with one key gives the encryption away. A fixed one is for tests and replay.
    pub seed: Option<[u8; 32]>,
    /// Record every input of the node, for replay.
    pub trace: Option<TraceOptions>,
    /// Keep a snapshot of the members in this file, and come back to them after a restart. Created if it is not there.
    pub snapshot: Option<PathBuf>,
    /// Come back to them even after a [`leave`](crate::Cluster::leave).
    pub rejoin_after_leave: bool,
}

impl Options {
    /// For one data centre.
    ///
    /// ```
    /// # use swim_driver::Options;
    /// let options = Options::lan("web-1", "127.0.0.1:7946".parse()?);
    /// assert!(options.config.validate().is_ok());
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn lan(name: impl Into<Name>, bind: SocketAddr) -> Self {
        Self::new(Config::lan(name, bind), bind)
    }

    /// Across the internet.
    ///
    /// ```
    /// # use swim_driver::Options;
    /// let options = Options::wan("web-1", "127.0.0.1:7946".parse()?);
    /// assert!(options.config.validate().is_ok());
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn wan(name: impl Into<Name>, bind: SocketAddr) -> Self {
        Self::new(Config::wan(name, bind), bind)
    }

    /// On one machine.
    ///
    /// ```
    /// # use swim_driver::Options;
    /// let options = Options::local("web-1", "127.0.0.1:7946".parse()?);
    /// assert!(options.config.validate().is_ok());
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn local(name: impl Into<Name>, bind: SocketAddr) -> Self {
        Self::new(Config::local(name, bind), bind)
    }

    fn new(config: Config, bind: SocketAddr) -> Self {
        Self {
            config,
            bind,
            advertise: None,
            seeds: Vec::new(),
            seed: None,
            trace: None,
            snapshot: None,
            rejoin_after_leave: false,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the seed: who knows it can compute the nonces.
        let Self { config, bind, advertise, seeds, seed: _, trace, snapshot, rejoin_after_leave } = self;
        f.debug_struct("Options")
            .field("config", config)
            .field("bind", bind)
            .field("advertise", advertise)
            .field("seeds", seeds)
            .field("trace", trace)
            .field("snapshot", snapshot)
            .field("rejoin_after_leave", rejoin_after_leave)
            .finish_non_exhaustive()
    }
}

/// Why nothing was started.
///
/// See the example of [`Cluster::start`](crate::Cluster::start).
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be listened on.
    Bind {
        /// `"UDP"` or `"TCP"`.
        transport: &'static str,
        /// The one asked for.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// Bound to an unspecified address, and this host has no private one: say which to advertise.
    Advertise,
    /// The configuration contradicts itself.
    Config(ConfigError),
    /// The trace file could not be created.
    Trace(PathBuf, io::Error),
    /// The snapshot file could not be opened or read.
    Snapshot(PathBuf, io::Error),
    /// The operating system gave no random numbers.
    Random,
    /// The caller does not run on the runtime that the handle is for.
    Runtime(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { transport, address, source } => write!(f, "cannot bind {transport} {address}: {source}"),
            Self::Advertise => f.write_str("no private address found, and no address to advertise was given"),
            Self::Config(error) => error.fmt(f),
            Self::Trace(path, error) => write!(f, "cannot create trace file {}: {error}", path.display()),
            Self::Snapshot(path, error) => write!(f, "cannot open snapshot file {}: {error}", path.display()),
            Self::Random => f.write_str("the operating system gave no random numbers"),
            Self::Runtime(error) => write!(f, "no runtime: {error}"),
        }
    }
}

impl core::error::Error for StartError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } => Some(source),
            Self::Trace(_, error) | Self::Snapshot(_, error) | Self::Runtime(error) => Some(error),
            Self::Config(_) | Self::Advertise | Self::Random => None,
        }
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
