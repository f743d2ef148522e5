//! Everything that can be wrong before anything starts is found here.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use swim_tokio::Options;
use swim_tokio::swim_core::ids::Name;
use swim_tokio::swim_core::wire;
use swim_tokio::swim_core::wire::keyring::Key;
use tracing::info;

use crate::agent::{Launch, dev, files};
use crate::config::address::{self, resolve};
use crate::config::{self, Settings, key};
use crate::events::handlers::Handler;
use crate::log::Level;
use crate::log::console::Console;

/// Settings that hold together, and what follows from them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) rpc: SocketAddr,
    pub(crate) log_level: Level,
    pub(crate) handlers: Vec<Arc<Handler>>,
}

impl Plan {
    /// Reads and checks. Warnings go to `console`; the error is one message for a person.
    pub(crate) fn new(launch: &Launch, console: &Console) -> Result<Self, String> {
        let settings = load(launch, |warning| console.say(warning))?;
        let key = if settings.encrypt_key.is_empty() {
            None
        } else {
            Some(key::decode(&settings.encrypt_key).map_err(|error| format!("Invalid encryption key: {error}"))?)
        };
        let log_level = Level::from_name(&settings.log_level).map_err(|error| error.to_string())?;

        let handlers = Handler::parse_all(&settings.event_handlers)?;

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
        read_files(&mut options, &settings).map_err(|error| format!("Failed to setup the Serf agent: {error}"))?;
        Ok(Self { settings, options, rpc, log_level, handlers })
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
    // Serf's agent has these fixed.
    (config.serf.coalesce_period, config.serf.quiescent_period) = (COALESCE_PERIOD, QUIESCENT_PERIOD);
    (config.serf.user_coalesce_period, config.serf.user_quiescent_period) = (COALESCE_PERIOD, QUIESCENT_PERIOD);
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

/// Takes in tags and keys that an earlier run has kept.
fn read_files(options: &mut Options, settings: &Settings) -> Result<(), String> {
    let config = &mut options.config;
    if !settings.tags_file.is_empty() {
        if !settings.tags.is_empty() {
            return Err("Tags config not allowed while using tag files".to_owned());
        }
        if let Some(tags) = files::read_tags(settings.tags_file.as_ref())? {
            info!(target: "agent", "Restored {} tag(s) from {}", tags.len(), settings.tags_file);
            config.tags = tags.into_iter().collect();
        }
    }
    if !settings.keyring_file.is_empty() {
        if !settings.encrypt_key.is_empty() {
            return Err("Encryption key not allowed while using a keyring".to_owned());
        }
        config.wire.keyring = files::read_keyring(settings.keyring_file.as_ref())?;
        let count = config.wire.keyring.keys().len();
        info!(target: "agent", "Restored keyring with {count} keys from {}", settings.keyring_file);
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

/// How long what happens is gathered at most, before handlers and streams are told.
const COALESCE_PERIOD: Duration = Duration::from_secs(3);
/// They are told earlier when nothing has happened for so long.
const QUIESCENT_PERIOD: Duration = Duration::from_secs(1);
