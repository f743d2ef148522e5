//! Bodies of the fuzz targets, here so that the ordinary test run compiles them and replays their corpus.
//!
//! One file per target: `datagram.rs` and `stream.rs` take bytes apart as a node would, `round_trip.rs` and `codecs.rs`
//! hold the two encodings to their word, `decompression.rs` and `lzw.rs` what comes out of compressed bytes, `keyring.rs`
//! keys and label, `snapshot.rs` and `replay.rs` the two files that a node's owner keeps. `node.rs` is a whole node: read
//! that first. `bytes.rs`, `wrapping.rs` and `restate.rs` are what several of them share.
//!
//! Each body is a law and not only a search for panics. An input is a byte string that anybody can write by hand; its
//! format stands at the body. Bodies of several nodes are in `swim-sim`, those of the agent's files in `swim-agent`.

mod bytes;
pub mod codecs;
pub mod datagram;
#[cfg(feature = "compression")]
pub mod decompression;
pub mod keyring;
#[cfg(feature = "compression")]
pub mod lzw;
pub mod node;
pub mod replay;
mod restate;
pub mod round_trip;
pub mod snapshot;
pub mod stream;
mod wrapping;

#[cfg(test)]
mod tests;

/// A body: it panics when its law is broken. See [`TARGETS`].
pub type Body = fn(&[u8]);

/// Every target of this crate, by name; the corpus of each is `fuzz/corpus/` and its name.
///
/// ```
/// let (_, body) = swim_core::fuzzing::TARGETS.iter().find(|(name, _)| *name == "snapshot").expect("it is one of them");
/// body(b"alive: web-1 10.0.0.7:7946\n");
/// ```
pub const TARGETS: &[(&str, Body)] = &[
    ("codecs", codecs::run),
    ("datagram", datagram::run),
    #[cfg(feature = "compression")]
    ("decompression", decompression::run),
    ("keyring", keyring::run),
    #[cfg(feature = "compression")]
    ("lzw", lzw::run),
    ("node", node::run),
    ("replay", replay::run),
    ("round_trip", round_trip::run),
    ("snapshot", snapshot::run),
    ("stream", stream::run),
];
