//! One agent's life, from its settings to its exit code (Serf: `cmd/serf/command/agent/command.go`).
//!
//! `plan` checks everything that can be checked before anything starts. `run` below is the order of events: start the
//! cluster member, open the RPC port, print the banner, join, let the log through, and then wait for a reason to end.
//! `signals` and `reload` are what can happen meanwhile; `failure` words what can go wrong.

mod banner;
mod dev;
mod failure;
mod plan;
mod reload;
mod retry_join;
mod signals;

use core::time::Duration;
use std::process::ExitCode;
use std::sync::Arc;

use swim_tokio::swim_core::Event;
use swim_tokio::{Cluster, Events, LeaveError};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::agent::plan::Plan;
use crate::agent::signals::{Signal, Signals};
use crate::config::{Settings, Source};
use crate::io_text::io_text;
use crate::log::Log;
use crate::log::console::Console;
use crate::log::lines::log_event;
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
    pub(crate) rpc_auth: String,
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
    /// Joins, and says so in the log. How many seeds took part, or one text for a person.
    pub(crate) async fn join(&self, seeds: &[String], replay: bool) -> Result<usize, String> {
        info!(target: "agent", "joining: [{}] replay: {replay}", seeds.join(" "));
        match self.cluster.join_with(seeds, replay).await {
            Ok(joined) => {
                info!(target: "agent", "joined: {} nodes", joined.reached);
                Ok(joined.reached)
            }
            Err(error) => {
                let text = failure::join_text(&error);
                warn!(target: "agent", "error joining: {text}");
                Err(text)
            }
        }
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
            console.say(&text);
            1
        }
    };
    console.flush();
    ExitCode::from(code)
}

fn start(launch: &Launch, console: &Console) -> Result<u8, String> {
    let plan = Plan::new(launch, console)?;
    let log = Log::new(console.clone(), plan.log_level);
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

async fn live(launch: &Launch, plan: Plan, console: &Console, log: &Log) -> Result<u8, String> {
    let settings = plan.settings;
    // Before anything is open, so that no signal finds the agent half-started with the system's default action.
    let mut signals = Signals::new().map_err(|error| format!("Failed to watch signals: {}", io_text(&error)))?;
    console.say("Starting Serf agent...");
    let cluster = Cluster::start(plan.options)
        .await
        .map_err(|error| failure::start_text(&error) + dev::hint(launch.dev, &error))?;
    let events = cluster.events();
    let listener = match TcpListener::bind(plan.rpc).await {
        Ok(listener) => listener,
        Err(error) => {
            cluster.shutdown().await;
            let hint = if launch.dev { dev::PORTS_HINT } else { "" };
            return Err(format!(
                "Error starting RPC listener: listen tcp {}: bind: {}{hint}",
                plan.rpc,
                io_text(&error)
            ));
        }
    };
    let rpc_address = listener.local_addr().unwrap_or(plan.rpc);
    info!(target: "agent", "Serf agent starting");
    let (exits, mut exit) = mpsc::unbounded_channel();
    tokio::spawn(watch_events(events, exits.clone()));
    let agent = Arc::new(Agent { cluster, rpc_auth: settings.rpc_auth.clone(), exits });
    console.say("Starting Serf agent RPC...");
    tokio::spawn(serve(listener, Arc::clone(&agent)));

    banner::print(console, &agent.cluster, &settings, rpc_address);
    let mut waiting = Waiting { launch, settings, console, log, agent };
    let code = match waiting.start_join(&mut signals, &mut exit).await {
        Ok(None) => {
            if launch.dev && waiting.settings.start_join.is_empty() && waiting.settings.retry_join.is_empty() {
                dev::print_next_steps(console, &waiting.agent.cluster, rpc_address);
            }
            console.plain("");
            console.say("Log data will now stream in as it occurs:");
            console.plain("");
            console.release();
            retry_join::spawn(Arc::clone(&waiting.agent), &waiting.settings);
            Ok(waiting.wait(&mut signals, &mut exit).await)
        }
        Ok(Some(code)) => Ok(code),
        Err(text) => Err(text),
    };
    info!(target: "agent", "requesting serf shutdown");
    // The sockets close with the process anyway.
    let _ = timeout(SHUTDOWN_LIMIT, waiting.agent.cluster.shutdown()).await;
    info!(target: "agent", "shutdown complete");
    code
}

/// Turns the cluster's events into log lines. A name that most members hold to be somebody else's ends the agent.
async fn watch_events(mut events: Events, exits: mpsc::UnboundedSender<Exit>) {
    while let Some(event) = events.next().await {
        log_event(&event);
        if let Event::NameLost { .. } = event {
            // Nobody to tell: the agent is ending already.
            let _ = exits.send(Exit::NameLost);
        }
    }
}

/// An agent that is up, and what it needs to react.
struct Waiting<'a> {
    launch: &'a Launch,
    settings: Settings,
    console: &'a Console,
    log: &'a Log,
    agent: Arc<Agent>,
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
            reached = agent.join(&seeds, replay) => {
                self.console.info(&format!("Join completed. Synced with {} initial agents", reached?));
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
                Some(exit) = exit.recv() => return match exit {
                    Exit::Left | Exit::NameLost => 0,
                    Exit::JoinFailed => 1,
                },
                () = self.agent.cluster.stopped() => {
                    warn!(target: "agent", "Serf shutdown detected, quitting");
                    return 0;
                }
            };
            self.console.say(&format!("Caught signal: {}", signal.as_str()));
            let graceful = match signal {
                Signal::Hangup => {
                    reload::reload(self.launch, &mut self.settings, self.console, self.log, &self.agent);
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
        tokio::select! {
            left = timeout(LEAVE_LIMIT, self.agent.leave()) => match left {
                Ok(Ok(())) => 0,
                Ok(Err(error)) => {
                    self.console.say(&format!("Error: {error}"));
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
