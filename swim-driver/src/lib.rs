//! What the runtime adapters of swim share.
//!
//! [`swim_core::Node`] is a state machine without clock, sockets or threads. This crate gives it those: one task that
//! sends and receives its datagrams and keeps its deadlines, one task per stream, and [`Cluster`], the handle through
//! which an application talks to it. All of it is generic over a small [`Runtime`]; applications take the crate made
//! for theirs (`swim-tokio`, for one), whose `Cluster` is this one with the parameter filled in.
//!
//! ```
//! use swim_driver::{Cluster, Events, Options, Runtime};
//! use swim_driver::swim_core::Event;
//!
//! /// Prints what happens until somebody joins.
//! async fn watch<R: Runtime>(cluster: &Cluster<R>, events: &mut Events) {
//!     while let Some(event) = events.next().await {
//!         match event {
//!             Event::Member { member, .. } if member.name == "web-2" => return println!("{} is there", member.name),
//!             Event::Missed { .. } => println!("now {} members", cluster.members().len()),
//!             _ => {}
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut options = Options::local("web-1", "127.0.0.1:0".parse()?);
//! options.config.tags.insert("role", "web");
//! let first = Cluster::<swim_tokio::Tokio>::start(options).await?;
//! let mut events = first.events();
//! let second = swim_tokio::Cluster::start(Options::local("web-2", "127.0.0.1:0".parse()?)).await?;
//! second.join(&[first.bound_address().to_string()]).await?;
//! watch(&first, &mut events).await;
//! assert_eq!(first.members().len(), 2);
//! # Ok(())
//! # }
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
mod unless;

pub use crate::cluster::{
    AnswerError, AskError, Cluster, LeaveError, MessageError, PingError, SetTagsError, UserEventError,
};
pub use crate::events::{EVENTS_MAX, Events, MESSAGE_BYTES_MAX};
pub use crate::join::{JoinError, JoinErrorKind, Joined, SeedError, SeedFailure};
pub use crate::keys::{KeyReport, Keys, KeysError};
pub use crate::options::{Options, StartError};
pub use crate::query::{Answers, QueryAnswer};
pub use crate::runtime::{Listener, Runtime, Udp};
pub use crate::shared::IoStats;
pub use crate::trace::TraceOptions;
pub use swim_core;
pub use swim_core::wire::key_text::KeyText;
