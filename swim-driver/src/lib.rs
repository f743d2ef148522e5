//! What the runtime adapters of swim share.
//!
//! [`swim_core::Node`] is a state machine without clock, sockets or threads. This crate gives it those: one task that
//! sends and receives its datagrams and keeps its deadlines, one task per stream, and [`Cluster`], the handle through
//! which an application talks to it. All of it is generic over a small [`Runtime`]; applications take the crate made
//! for theirs (`swim-tokio`, for one), whose `Cluster` is this one with the parameter filled in.
//!
//! ```no_run
//! use swim_driver::{Cluster, Options, Runtime};
//! use swim_driver::swim_core::Event;
//!
//! async fn watch<R: Runtime>() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut options = Options::lan("web-1", "0.0.0.0:7946".parse()?);
//!     options.config.tags.insert("role", "web");
//!     let cluster = Cluster::<R>::start(options).await?;
//!     let mut events = cluster.events();
//!     cluster.join(&["seed.example.net", "10.0.0.7:7946"]).await?;
//!     while let Some(event) = events.next().await {
//!         match event {
//!             Event::Member { kind, member } => println!("{}: {}", kind.as_str(), member.name),
//!             Event::Missed { .. } => println!("now {} members", cluster.members().len()),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What runs
//!
//! ```text
//! drive     sends what the node has to send, waits (readable, due, called), reads what has arrived, then handles what is due
//! streams   accepts; one task per stream carries bytes between a connection and the node
//! heal      resolves the names of the seeds whenever the node asks for it
//! shared    the node behind its lock, and who waits for what
//! snapshot  the file that outlives a restart, and the thread that writes it
//! ```
//!
//! # Features
//!
//! `metrics` publishes every counter of [`swim_core::stats::Stats`] and [`IoStats`] and the gauges of
//! [`swim_core::node::Summary`] through the crate `metrics` every ten seconds, as `swim_…` with the label `node`.
//!
//! Failure detection never waits for the application: events go to bounded queues, one per [`Events`], and a reader
//! that is too slow is told how many it missed.

mod backoff;
mod bind;
mod cluster;
#[cfg(feature = "conformance")]
pub mod conformance;
mod drive;
mod events;
mod heal;
mod join;
mod keys;
#[cfg(feature = "metrics")]
mod metrics;
mod options;
mod query;
mod runtime;
mod shared;
mod snapshot;
mod streams;
#[cfg(test)]
mod testing;
mod trace;

pub use crate::cluster::{
    AnswerError, AskError, Cluster, LeaveError, MessageError, PingError, SetTagsError, UserEventError,
};
pub use crate::events::{EVENTS_MAX, Events, MESSAGE_BYTES_MAX};
pub use crate::join::{JoinError, JoinErrorKind, Joined, SeedError, SeedFailure};
pub use crate::keys::{KeyReport, KeyText, Keys, KeysError};
pub use crate::options::{Options, StartError};
pub use crate::query::{Answers, QueryAnswer};
pub use crate::runtime::{Listener, Runtime, Udp};
pub use crate::shared::IoStats;
pub use swim_core;
