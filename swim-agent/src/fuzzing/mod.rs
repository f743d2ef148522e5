//! Bodies of the fuzz targets of the agent, here so that the ordinary test run compiles them and replays their corpus.
//!
//! `msgpack.rs` takes values apart as they come from an RPC connection, `rpc.rs` is a whole session with a running agent.
//! `config.rs` reads configuration files, `files.rs` those in which an agent keeps its tags and its keys; `discovery.rs`
//! hears what nameservers and neighbours say.

mod config;
mod discovery;
mod files;
mod msgpack;
mod rpc;

#[cfg(test)]
mod tests;

pub use config::config;
pub use discovery::discovery;
pub use files::files;
pub use msgpack::msgpack;
pub use rpc::rpc;

/// A body: it panics when its law is broken. See [`TARGETS`].
pub type Body = fn(&[u8]);

/// Every target of this crate, by name; the corpus of each is `fuzz/corpus/` and its name. A body panics when its law is
/// broken.
pub const TARGETS: &[(&str, Body)] =
    &[("config", config), ("discovery", discovery), ("files", files), ("msgpack", msgpack), ("rpc", rpc)];
