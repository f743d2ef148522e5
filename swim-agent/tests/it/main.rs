//! The real program, on loopback addresses and free ports: its commands, its RPC protocol, its signals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod cluster;
mod commands;
mod completion;
mod deployment;
#[cfg(target_os = "linux")] // Where multicast on the loopback interface works.
mod discovery;
#[cfg(target_os = "linux")]
mod faults;
mod files;
#[cfg(target_os = "linux")] // Whose /proc says what it costs.
mod flood;
mod handlers;
mod hostile;
mod json;
mod life;
mod log;
mod man;
mod metrics;
mod printable;
mod record;
mod rpc;
mod srv;
mod startup;
mod support;
mod systemd;
mod terminal;
#[cfg(feature = "top")]
mod top;
mod tour;
#[cfg(unix)]
mod unix_socket;
mod watch;
