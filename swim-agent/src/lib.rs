//! A cluster membership agent that takes the place of HashiCorp Serf's: the same sub-commands and flags, the same
//! JSON configuration, the same RPC protocol.
//!
//! | Folder | What it is |
//! |---|---|
//! | `cli/` | the commands; all but `agent` are short-lived clients of a running agent |
//! | `rpc/` | the protocol between the two: msgpack, the server with its sessions, the client |
//! | `config/` | what an agent can be told, by flags and files |
//! | `agent/` | one agent's life: start, join, signals, reload, leave |
//! | `discovery/` | members that nobody has named: SRV records, mDNS |
//! | `events/` | what RPC streams and event handlers are told |
//! | `log/` | Serf's log lines and how they reach the terminal, or the system's log |
//! | `metrics/` | what is measured, and who is told: statsd, statsite, Prometheus |
//!
//! The program is all there is to use; programs that want membership inside themselves embed `swim-tokio`.

mod agent;
mod cli;
mod config;
mod discovery;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod io_text;
mod log;
mod metrics;
mod rpc;

pub use cli::main;

/// What this program says it is.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
