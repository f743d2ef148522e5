//! One agent's life, from its settings to its exit code (Serf: `cmd/serf/command/agent/command.go`).
//!
//! `plan` checks everything that can be checked before anything starts. `run` below is the order of events: start the
//! cluster member, open the RPC port, print the banner, join, let the log through, and then wait for a reason to end.
//! `signals` and `reload` are what can happen meanwhile; `files` keeps what is changed then, `keyring` sees to it that keys
//! are, and `notify` tells systemd.
//! `failure` words what can go wrong.

mod banner;
mod dev;
mod failure;
pub(crate) mod files;
mod keyring;
mod notify;
pub(crate) mod plan;
mod reload;
mod retry_join;
pub(crate) mod signals;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use swim_tokio::swim_core::Event;
use swim_tokio::swim_core::ids::Name;
use swim_tokio::swim_core::serf::config::Life;
use swim_tokio::swim_core::serf::query::Query;
use swim_tokio::swim_core::serf::tags::Tags;
use swim_tokio::{Answers, AskError, Cluster, Joined, LeaveError, UserEventError};
#[cfg(any(test, feature = "fuzzing"))]
use swim_tokio::{Options, StartError};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use crate::agent::keyring::KeyringFile;
use crate::agent::notify::Supervisor;
use crate::agent::plan::Plan;
use crate::agent::signals::{Signal, Signals};
use crate::config::secret::Secret;
use crate::config::{Settings, Source};
use crate::discovery::multicast::{self, Multicast};
use crate::discovery::srv::{Expanded, Services};
use crate::events::handlers::{Handler, Handlers, Policy};
use crate::events::{Events, OCCURRENCES_MAX, Occurrence, Told};
use crate::io_text::io_text;
use crate::log::Log;
use crate::log::console::Console;
use crate::log::history::History;
use crate::log::lines::log_event;
use crate::log::quota::Quota;
use crate::metrics::sink::{Sink, Transport};
use crate::metrics::{Metrics, http};
use crate::rpc::listener::{Endpoint, Listener};
use crate::rpc::server::serve;

/// What the command line says; kept, because a reload reads the files again.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) flags: Settings,
    pub(crate) sources: Vec<Source>,
    pub(crate) dev: bool,
}

/// A running agent, as its RPC sessions and background tasks see it.
pub(crate) struct Agent {
    pub(crate) cluster: Cluster,
    /// Empty: none is needed.
    pub(crate) rpc_auth: Secret,
    pub(crate) history: History,
    pub(crate) metrics: Metrics,
    /// What happens in the cluster, for the streams of clients.
    pub(crate) occurrences: broadcast::Sender<Arc<Occurrence>>,
    /// Those that it was started with; a reload may have replaced them.
    pub(crate) handlers: Vec<Arc<Handler>>,
    services: Services,
    /// Empty: tags are not kept.
    tags_file: PathBuf,
    keyring_file: Option<KeyringFile>,
    exits: mpsc::UnboundedSender<Exit>,
}

/// Why the agent ends, other than by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A client asked it to leave.
    Left,
    /// Joining was tried as often as allowed.
    JoinFailed,
    /// Most members hold this node's name to be somebody else's.
    NameLost,
}

impl Agent {
    /// One without ports but the cluster's, files and handlers, for fuzzing.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) async fn alone(options: Options, rpc_auth: &str) -> Result<Arc<Self>, StartError> {
        // Nobody waits for a reason to end.
        let (exits, _) = mpsc::unbounded_channel();
        Ok(Arc::new(Self {
            cluster: Cluster::start(options).await?,
            rpc_auth: rpc_auth.to_owned().into(),
            history: History::default(),
            metrics: Metrics::new(None, Vec::new()),
            occurrences: broadcast::Sender::new(OCCURRENCES_MAX),
            handlers: Vec::new(),
            services: Services::new(Vec::new()),
            tags_file: PathBuf::new(),
            keyring_file: None,
            exits,
        }))
    }

    /// Joins, and says so in the log. Who took part, or one text for a person.
    pub(crate) async fn join(&self, seeds: &[String], replay: bool) -> Result<Joined, String> {
        info!(target: "agent", "joining: [{}] replay: {replay}", seeds.join(" "));
        let own = [self.cluster.advertised_address(), self.cluster.bound_address()];
        let Expanded { seeds, failed } = self.services.expand(seeds, &own).await;
        // Also when others are reached: nobody would learn why it is only them.
        for line in &failed {
            warn!(target: "agent", "{line}");
        }
        let text = if seeds.is_empty() && !failed.is_empty() {
            failure::lines_text(&failed)
        } else {
            match self.cluster.join_with(&seeds, replay).await {
                Ok(joined) => {
                    info!(target: "agent", "joined: {} nodes", joined.reached);
                    return Ok(joined);
                }
                Err(error) => failure::join_text(&error, &failed),
            }
        };
        warn!(target: "agent", "error joining: {text}");
        Err(text)
    }

    /// Tells everybody something.
    pub(crate) fn user_event(&self, name: &[u8], payload: Option<&[u8]>, coalesce: bool) -> Result<(), UserEventError> {
        let shown = Name::from(name);
        let payload_shown = String::from_utf8_lossy(payload.unwrap_or_default());
        debug!(target: "agent", "Requesting user event send: {shown}. Coalesced: {coalesce}. Payload: {payload_shown:?}");
        let sent = self.cluster.user_event(name, payload, coalesce);
        sent.map(drop).inspect_err(|error| warn!(target: "agent", "failed to send user event: {error}"))
    }

    /// Asks the members something.
    pub(crate) fn query(&self, query: &Query<'_>) -> Result<Answers, AskError> {
        let payload = String::from_utf8_lossy(query.payload.unwrap_or_default());
        debug!(target: "agent", "Requesting query send: {}. Payload: {payload:?}", Name::from(query.name));
        self.cluster.query(*query)
    }

    /// Makes a failed member leave.
    pub(crate) async fn force_leave(&self, name: &[u8], prune: bool) -> Result<(), LeaveError> {
        let shown = Name::from(name);
        info!(target: "agent", "Force leaving node{}: {shown}", if prune { " (prune)" } else { "" });
        self.cluster.force_leave(name, prune).await
    }

    /// Deletes some of our tags and sets others; who is in both is set.
    pub(crate) async fn change_tags(&self, set: &BTreeMap<String, String>, delete: &[String]) -> Result<(), String> {
        let current = self.cluster.tags();
        let kept = current.iter().filter(|(key, _)| !delete.iter().any(|deleted| deleted == key));
        let set = set.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        self.set_tags(kept.chain(set).collect()).await
    }

    /// Replaces our tags, in the file first if there is one.
    pub(crate) async fn set_tags(&self, tags: Tags) -> Result<(), String> {
        // Tags that nobody would be told must not be found in the file by the next start.
        tags.check(self.cluster.config().serf.protocol).map_err(|error| error.to_string())?;
        if !self.tags_file.as_os_str().is_empty() {
            files::write_tags(&self.tags_file, &tags)?;
        }
        self.cluster.set_tags(tags).await.map_err(|error| error.to_string())
    }

    /// Leaves the cluster gracefully. The agent itself goes on until it is told to exit.
    pub(crate) async fn leave(&self) -> Result<(), LeaveError> {
        info!(target: "agent", "requesting graceful leave from Serf");
        self.cluster.leave().await
    }

    /// Ends the agent.
    pub(crate) fn exit(&self, exit: Exit) {
        // Nobody listens any more once another reason came first.
        let _ = self.exits.send(exit);
    }
}

/// Runs an agent until it ends.
pub(crate) fn run(launch: &Launch) -> ExitCode {
    let console = Console::new();
    let code = match start(launch, &console) {
        Ok(code) => code,
        Err(text) => {
            console.fail(&text);
            1
        }
    };
    console.flush();
    ExitCode::from(code)
}

fn start(launch: &Launch, console: &Console) -> Result<u8, String> {
    let mut plan = Plan::new(launch, console)?;
    let log = Log::new(console.clone(), plan.log_level, plan.log_format, plan.syslog.take());
    log.install();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("Failed to start the runtime: {}", io_text(&error)))?;
    let code = runtime.block_on(live(launch, plan, console, &log));
    // A name look-up that hangs in the background must not keep the process.
    runtime.shutdown_background();
    code
}

async fn live(launch: &Launch, mut plan: Plan, console: &Console, log: &Log) -> Result<u8, String> {
    // Before anything is open, so that no signal finds the agent half-started with the system's default action.
    let watched = Signals::new().and_then(|signals| Ok((signals, signals::dumps()?)));
    let (mut signals, dumps) = watched.map_err(|error| format!("Failed to watch signals: {}", io_text(&error)))?;
    console.say("Starting Serf agent...");
    plan.complete()?;
    let settings = plan.settings;
    info!(target: "agent", "Serf agent starting");
    let cluster = Cluster::start(plan.options)
        .await
        .map_err(|error| failure::start_text(&error) + dev::hint(launch.dev, &error))?;
    let events = Events::new(cluster.events());
    let (multicast, listener, metrics_listener) = match listen(plan.discovery, &plan.rpc, plan.metrics).await {
        Ok(listeners) => listeners,
        Err(error) => {
            cluster.shutdown().await;
            return Err(error + if launch.dev { dev::PORTS_HINT } else { "" });
        }
    };
    let rpc = listener.endpoint().unwrap_or(plan.rpc);
    let metrics_address = metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let metrics = measure(&settings);
    let (exits, mut exit) = mpsc::unbounded_channel();
    let agent = Arc::new(Agent {
        cluster,
        rpc_auth: settings.rpc_auth.clone(),
        history: log.history().clone(),
        metrics: metrics.clone(),
        occurrences: broadcast::Sender::new(OCCURRENCES_MAX),
        handlers: plan.handlers.clone(),
        services: plan.services,
        tags_file: settings.tags_file.clone().into(),
        keyring_file: (!settings.keyring_file.is_empty()).then(|| KeyringFile::new(&settings.keyring_file)),
        exits,
    });
    tokio::spawn(metrics.follow(agent.cluster.clone(), dumps));
    if let Some(listener) = metrics_listener {
        let agent = Arc::clone(&agent);
        tokio::spawn(http::serve(listener, move || agent.metrics.exposition(&agent.cluster)));
    }
    let handlers = Handlers::start(plan.handlers, policy(&settings), Arc::clone(&agent));
    tokio::spawn(watch_events(events, handlers.clone(), Arc::clone(&agent)));
    tokio::spawn(keep_keys(Arc::clone(&agent)));
    if let Some(multicast) = multicast {
        multicast.start(&agent);
    }
    console.say("Starting Serf agent RPC...");
    tokio::spawn(serve(listener, Arc::clone(&agent)));

    banner::print(console, &agent.cluster, &settings, &rpc, metrics_address);
    let mut waiting = Waiting {
        launch,
        settings,
        console,
        log,
        agent,
        handlers,
        found_stopped: false,
        is_ready: false,
        supervisor: Supervisor::of_environment(),
    };
    let code = match waiting.start_join(&mut signals, &mut exit).await {
        Ok(None) => {
            if launch.dev && waiting.settings.start_join.is_empty() && waiting.settings.retry_join.is_empty() {
                dev::print_next_steps(console, &waiting.agent.cluster, &rpc);
            }
            console.plain("");
            console.say("Log data will now stream in as it occurs:");
            console.plain("");
            console.release();
            waiting.is_ready = true;
            waiting.supervisor.ready();
            retry_join::spawn(Arc::clone(&waiting.agent), &waiting.settings);
            Ok(waiting.wait(&mut signals, &mut exit).await)
        }
        Ok(Some(code)) => Ok(code),
        Err(text) => Err(text),
    };
    waiting.supervisor.stopping();
    info!(target: "agent", "requesting serf shutdown");
    if waiting.agent.cluster.life() != Life::Left {
        warn!(target: "serf", "Shutdown without a Leave");
    }
    // The sockets close with the process anyway.
    let _ = timeout(SHUTDOWN_LIMIT, waiting.agent.cluster.shutdown()).await;
    info!(target: "agent", "shutdown complete");
    if waiting.found_stopped {
        warn!(target: "agent", "Serf shutdown detected, quitting");
    }
    code
}

/// Opens the ports beside the cluster's.
async fn listen(
    discovery: Option<multicast::Plan>,
    rpc: &Endpoint,
    metrics: Option<SocketAddr>,
) -> Result<(Option<Multicast>, Listener, Option<TcpListener>), String> {
    let multicast = discovery.map(multicast::Plan::open).transpose()?;
    let rpc = Listener::open(rpc).await.map_err(|error| format!("Error starting RPC listener: {error}"))?;
    let Some(address) = metrics else { return Ok((multicast, rpc, None)) };
    let metrics = TcpListener::bind(address)
        .await
        .map_err(|error| format!("Error starting metrics listener: listen tcp {address}: bind: {}", io_text(&error)))?;
    Ok((multicast, rpc, Some(metrics)))
}

/// Starts to measure. Must be called inside the runtime.
fn measure(settings: &Settings) -> Metrics {
    let sinks = [(Transport::Statsite, &settings.statsite_addr), (Transport::Statsd, &settings.statsd_addr)];
    let sinks: Vec<_> = sinks
        .into_iter()
        .filter(|(_, address)| !address.is_empty())
        .map(|(transport, address)| Sink::start(transport, address.clone()))
        .collect();
    // Whoever gathers the numbers of many hosts must be able to tell them apart.
    let host = (!sinks.is_empty()).then(|| gethostname::gethostname().to_string_lossy().into_owned());
    Metrics::new(host, sinks)
}

fn policy(settings: &Settings) -> Policy {
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Policy {
        at_once: count(settings.handlers_at_once),
        limit: settings.handler_timeout,
        queue_max: count(settings.handler_queue),
        skip_busy: settings.handler_skip_busy,
    }
}

/// What becomes of members is told always.
static RECEIVED: Quota = Quota::new("received event");

/// Hands the cluster's events to log, handlers and streams. A name that most members hold to be somebody else's ends the agent.
async fn watch_events(mut events: Events, handlers: Handlers, agent: Arc<Agent>) {
    while let Some(told) = events.next().await {
        // Thousands can be there at once, and the cluster's own packets want to be read meanwhile.
        consume_budget().await;
        match told {
            Told::Occurrence(occurrence) => {
                if matches!(*occurrence, Occurrence::Members { .. }) || RECEIVED.may_say() {
                    info!(target: "agent", "Received event: {}", occurrence.describe());
                }
                agent.metrics.occurred(&occurrence);
                handlers.handle(&occurrence);
                // Without a stream nobody receives it.
                let _ = agent.occurrences.send(occurrence);
            }
            Told::Other(event) => {
                log_event(&event);
                match event {
                    Event::NameLost { .. } => agent.exit(Exit::NameLost),
                    // What is missing may have been a change of keys.
                    Event::KeyringChanged { .. } | Event::Missed { .. } => {
                        agent.keyring_file.iter().for_each(KeyringFile::changed);
                    }
                    Event::Conflict { .. } | Event::Rejected { .. } | _ => {}
                }
            }
        }
    }
}

/// Keeps the keys in their file, if there is one.
async fn keep_keys(agent: Arc<Agent>) {
    if let Some(file) = &agent.keyring_file {
        file.keep(&agent.cluster, keyring::AGAIN).await;
    }
}

/// An agent that is up, and what it needs to react.
struct Waiting<'a> {
    launch: &'a Launch,
    settings: Settings,
    console: &'a Console,
    log: &'a Log,
    agent: Arc<Agent>,
    handlers: Handlers,
    /// It ends because the cluster member has, or is to, and not by a signal.
    found_stopped: bool,
    /// The supervisor has been told that it has started.
    is_ready: bool,
    supervisor: Supervisor,
}

impl Waiting<'_> {
    /// The one attempt to join that must succeed. A code: something else ended the agent meanwhile.
    async fn start_join(&mut self, signals: &mut Signals, exit: &mut Exits) -> Result<Option<u8>, String> {
        if self.settings.start_join.is_empty() {
            return Ok(None);
        }
        let replay = self.settings.replay_on_join;
        self.console.say(&format!("Joining cluster...(replay: {replay})"));
        let (agent, seeds) = (Arc::clone(&self.agent), self.settings.start_join.clone());
        tokio::select! {
            joined = agent.join(&seeds, replay) => {
                self.console.info(&format!("Join completed. Synced with {} initial agents", joined?.reached));
                Ok(None)
            }
            code = self.wait(signals, exit) => Ok(Some(code)),
        }
    }

    /// Waits for a reason to end; the exit code.
    async fn wait(&mut self, signals: &mut Signals, exit: &mut Exits) -> u8 {
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                Some(exit) = exit.recv() => {
                    self.found_stopped = exit != Exit::JoinFailed;
                    return match exit {
                        Exit::Left | Exit::NameLost => 0,
                        Exit::JoinFailed => 1,
                    };
                }
                // Neither a leave nor a lost name stops it: something went wrong, and who supervises us is to know.
                () = self.agent.cluster.stopped() => {
                    self.found_stopped = true;
                    // Before the join is done the log is still held back.
                    self.console.release();
                    self.console.fail("The cluster member has stopped by itself, see the log");
                    return 1;
                }
            };
            self.console.say(&format!("Caught signal: {}", signal.as_str()));
            let graceful = match signal {
                Signal::Hangup => {
                    // Until the join is done it is not ready, and a reload must not say otherwise.
                    if self.is_ready {
                        self.supervisor.reloading();
                    }
                    self.reload();
                    if self.is_ready {
                        self.supervisor.ready();
                    }
                    continue;
                }
                Signal::Interrupt => !self.settings.skip_leave_on_interrupt,
                Signal::Terminate => self.settings.leave_on_terminate,
            };
            return if graceful { self.leave(signals).await } else { 1 };
        }
    }

    /// Leaves, unless a second signal comes or it takes too long.
    async fn leave(&self, signals: &mut Signals) -> u8 {
        self.console.say("Gracefully shutting down agent...");
        self.supervisor.stopping();
        tokio::select! {
            left = timeout(LEAVE_LIMIT, self.agent.leave()) => match left {
                Ok(Ok(())) => 0,
                Ok(Err(error)) => {
                    self.console.fail(&format!("Error: {error}"));
                    error!(target: "agent", "error leaving: {error}");
                    1
                }
                Err(_) => 1,
            },
            _ = signals.next() => 1,
        }
    }
}

type Exits = mpsc::UnboundedReceiver<Exit>;

/// How long a signal's leave may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);
/// How long closing everything may take.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::log::{Format, Level};

    /// A member that stops by itself has failed, and a supervisor starts again only what fails.
    #[tokio::test]
    async fn an_agent_whose_member_has_stopped_fails() {
        let console = Console::new();
        let log = Log::new(console.clone(), Level::Info, Format::Text, None);
        let launch = Launch { flags: Settings::default(), sources: Vec::new(), dev: false };
        let agent = Agent::alone(Options::local("a", ([127, 0, 0, 1], 0).into()), "").await.unwrap();
        let settings = Settings::default();
        let mut waiting = Waiting {
            launch: &launch,
            handlers: Handlers::start(Vec::new(), policy(&settings), Arc::clone(&agent)),
            settings,
            console: &console,
            log: &log,
            agent,
            found_stopped: false,
            is_ready: true,
            supervisor: Supervisor::of_environment(),
        };
        for (ends, expected) in
            [(Some(Exit::Left), 0), (Some(Exit::NameLost), 0), (Some(Exit::JoinFailed), 1), (None, 1)]
        {
            let (exits, mut exit) = mpsc::unbounded_channel();
            match ends {
                Some(ends) => exits.send(ends).unwrap(),
                None => waiting.agent.cluster.shutdown().await,
            }
            assert_eq!(waiting.wait(&mut Signals::none().unwrap(), &mut exit).await, expected, "{ends:?}");
        }
    }
}
