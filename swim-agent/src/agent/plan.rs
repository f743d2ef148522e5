//! Everything that can be wrong before anything starts is found here.

use core::net::SocketAddr;
use core::time::Duration;

use swim_tokio::Options;
use swim_tokio::swim_core::ids::Name;
use swim_tokio::swim_core::wire;
use swim_tokio::swim_core::wire::keyring::Key;

use crate::agent::{Launch, dev};
use crate::config::address::{self, resolve};
use crate::config::{self, Settings, key};
use crate::log::Level;
use crate::log::console::Console;

/// Settings that hold together, and what follows from them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) rpc: SocketAddr,
    pub(crate) log_level: Level,
}

impl Plan {
    /// Reads and checks. Warnings go to `console`; the error is one message for a person.
    pub(crate) fn new(launch: &Launch, console: &Console) -> Result<Self, String> {
        let settings = load(launch, |warning| console.say(warning))?;
        let key = if settings.encrypt_key.is_empty() { None } else { Some(key::decode(&settings.encrypt_key)?) };
        let log_level = Level::from_name(&settings.log_level).map_err(|error| error.to_string())?;

        let mut bind =
            resolve(&settings.bind, address::PORT).map_err(|error| format!("Invalid bind address: {error}"))?;
        if !settings.interface.is_empty() {
            let (chosen, notice) = address::on_interface(&settings.interface, bind)?;
            bind = chosen;
            notice.iter().for_each(|notice| console.say(notice));
        }
        let advertise = if settings.advertise.is_empty() {
            None
        } else {
            let advertise = resolve(&settings.advertise, address::PORT);
            Some(advertise.map_err(|error| format!("Invalid advertise address: {error}"))?)
        };
        let rpc = resolve(&settings.rpc_addr, RPC_PORT).map_err(|error| format!("Invalid RPC address: {error}"))?;
        if launch.dev {
            dev::check_loopback("-bind", bind)?;
            dev::check_loopback("-rpc-addr", rpc)?;
            advertise.map_or(Ok(()), |advertise| dev::check_loopback("-advertise", advertise))?;
        }

        let name = node_name(&settings);
        let mut options = match settings.profile.as_str() {
            "lan" => Options::lan(name, bind),
            "wan" => Options::wan(name, bind),
            "local" => Options::local(name, bind),
            other => return Err(format!("Unknown profile: {other}")),
        };
        options.advertise = advertise;
        if !settings.replay_on_join {
            // Found without a join, a cluster does not tell its old user events, so where they are wanted it must be a
            // join that finds it first; those whom that reaches are not given up either.
            options.seeds = [&settings.start_join[..], &settings.retry_join].concat();
        }
        options.snapshot = (!settings.snapshot_path.is_empty()).then(|| settings.snapshot_path.clone().into());
        options.rejoin_after_leave = settings.rejoin_after_leave;
        configure(&mut options, &settings, key.as_deref())?;
        Ok(Self { settings, options, rpc, log_level })
    }
}

/// Reads and merges all sources, and corrects what Serf corrects, with a word to `warn`.
pub(crate) fn load(launch: &Launch, warn: impl Fn(&str)) -> Result<Settings, String> {
    let defaults = if launch.dev { dev::defaults() } else { Settings::defaults() };
    let mut settings = config::load(defaults, &launch.sources, &launch.flags)?;
    if !settings.role.is_empty() {
        warn("Deprecation warning: 'Role' has been replaced with 'Tags'");
        let role = settings.role.clone();
        settings.tags.insert("role".into(), role);
    }
    if settings.rejoin_after_leave && settings.snapshot_path.is_empty() {
        warn("Warning: 'RejoinAfterLeave' enabled without snapshot file");
    }
    for (name, interval) in
        [("RetryInterval", &mut settings.retry_interval), ("BroadcastTimeout", &mut settings.broadcast_timeout)]
    {
        if interval.is_some_and(|interval| interval < SHORTEST) {
            warn(&format!("Warning: '{name}' is too low. Setting to 1s"));
            *interval = Some(SHORTEST);
        }
    }
    Ok(settings)
}

fn configure(options: &mut Options, settings: &Settings, key: Option<&[u8]>) -> Result<(), String> {
    let config = &mut options.config;
    config.tags = settings.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    config.wire = match settings.wire.as_str() {
        "native" => wire::Config::native(),
        "serf" => wire::Config::serf(),
        other => return Err(format!("Unknown wire format: {other}. There are: native, serf")),
    };
    config.wire.compression = !settings.disable_compression;
    if let Some(key) = key {
        // In Serf's words, which say where in its own layers it failed.
        let key = Key::new(key).map_err(|_| {
            "Failed to start the Serf agent: Error creating Serf: Failed to create memberlist: \
             key size must be 16, 24 or 32 bytes"
        })?;
        let added = config.wire.keyring.add(key);
        added.map_err(|error| format!("Failed to start the Serf agent: Error creating Serf: {error}"))?;
    }
    config.serf.protocol = u8::try_from(settings.protocol).unwrap_or(u8::MAX);
    for (field, value) in [
        (&mut config.serf.broadcast_timeout, settings.broadcast_timeout),
        (&mut config.serf.reconnect_timeout, settings.reconnect_timeout),
        (&mut config.serf.tombstone_timeout, settings.tombstone_timeout),
    ] {
        if let Some(value) = value {
            *field = value;
        }
    }
    Ok(())
}

fn node_name(settings: &Settings) -> Name {
    match settings.node_name.as_str() {
        "" => gethostname::gethostname().as_encoded_bytes().into(),
        name => name.into(),
    }
}

const RPC_PORT: u16 = 7373;
/// Intervals below this would only make noise.
const SHORTEST: Duration = Duration::from_secs(1);
