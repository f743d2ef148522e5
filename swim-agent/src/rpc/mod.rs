//! The protocol between an agent and its clients (Serf: `cmd/serf/command/agent/ipc.go`): msgpack values, one after
//! the other, over TCP or a Unix socket.
//!
//! Read `messages` first, then `session`: in which order one connection may ask. `commands` is what it may ask, `records`
//! what it is sent unasked afterwards, `outgoing` the way both take to the client, `listener` where it comes from. Every session is a task of its own and
//! every write has a deadline, so a client that is slow, silent or hostile delays only itself.

pub(crate) mod client;
mod commands;
mod filter;
pub(crate) mod listener;
pub(crate) mod messages;
pub(crate) mod msgpack;
mod outgoing;
mod records;
pub(crate) mod server;
pub(crate) mod session;
mod stats;

/// The only version there is.
const VERSION: i32 = 1;
