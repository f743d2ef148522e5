//! The protocol between an agent and its clients (Serf: `cmd/serf/command/agent/ipc.go`): msgpack values, one after
//! the other, over TCP.
//!
//! Read `messages` first, then `session`: what one connection may ask and in which order. Every session is a task of
//! its own and every write has a deadline, so a client that is slow, silent or hostile delays only itself.

pub(crate) mod client;
mod filter;
pub(crate) mod messages;
pub(crate) mod msgpack;
pub(crate) mod server;
mod session;
mod stats;

/// The only version there is.
const VERSION: i32 = 1;
