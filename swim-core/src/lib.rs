//! SWIM membership with Lifeguard and Serf's messages, as a pure state machine.
//!
//! [`Node`] is one member of a cluster. It reads no clock, opens no socket and starts no thread: time, datagrams and
//! what happens to streams go in; datagrams, stream actions, replies, events and the next deadline come out. So it runs
//! on any runtime, in a simulator with thousands of others, under a fuzzer, or from a recording, and does the same
//! thing every time.
//!
//! Most programs want an adapter that connects it to real sockets (`swim-tokio`). This is what an adapter does; here
//! the sockets are two variables:
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use swim_core::node::input::{StreamAction, StreamInput};
//! use swim_core::{Config, Instant, Node};
//!
//! let addresses: [SocketAddr; 2] = ["127.0.0.1:7946".parse()?, "127.0.0.1:7947".parse()?];
//! let mut now = Instant::ZERO;
//! // The seed feeds the nonces of encryption, too: outside tests it comes from the operating system.
//! let mut a = Node::new(Config::lan("a", addresses[0]), [1; 32], now)?;
//! let mut b = Node::new(Config::lan("b", addresses[1]), [2; 32], now)?;
//! a.join(now, &[addresses[1]], false);
//!
//! let mut buf = Vec::new();
//! let mut dialled = None; // one stream, from a to b, is all that happens here
//! while now < Instant::after_origin(Duration::from_secs(5)) {
//!     // Drain the outputs of both.
//!     while let Some(transmit) = a.poll_transmit(now, &mut buf) {
//!         assert_eq!(transmit.destination, addresses[1]);
//!         b.handle_datagram(now, addresses[0], &mut buf)?;
//!     }
//!     while let Some(transmit) = b.poll_transmit(now, &mut buf) {
//!         assert_eq!(transmit.destination, addresses[0]);
//!         a.handle_datagram(now, addresses[1], &mut buf)?;
//!     }
//!     while let Some(action) = a.poll_stream() {
//!         match action {
//!             StreamAction::Open { id, .. } => {
//!                 dialled = b.accept_stream(now, addresses[0]).map(|accepted| (id, accepted));
//!                 a.handle_stream(now, id, StreamInput::Opened);
//!             }
//!             StreamAction::Send { id, data } => {
//!                 if let Some((_, accepted)) = dialled {
//!                     b.handle_stream(now, accepted, StreamInput::Data(&data));
//!                 }
//!                 a.handle_stream(now, id, StreamInput::Sent);
//!             }
//!             StreamAction::Finish { .. } | StreamAction::Abort { .. } => dialled = None,
//!         }
//!     }
//!     while let Some(action) = b.poll_stream() {
//!         if let (StreamAction::Send { id, data }, Some((dialler, _))) = (action, dialled) {
//!             a.handle_stream(now, dialler, StreamInput::Data(&data));
//!             b.handle_stream(now, id, StreamInput::Sent);
//!         }
//!     }
//!     // Wait: for a packet, or for the next deadline. Here nothing comes from outside.
//!     now = [a.poll_timeout(), b.poll_timeout()].into_iter().flatten().min().expect("a member always probes");
//!     a.handle_timeout(now);
//!     b.handle_timeout(now);
//! }
//! assert_eq!(a.members().count(), 2);
//! assert_eq!(b.member(b"a").expect("b has met a").address(), addresses[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where to read on: [`node`] for the whole interface, [`Config`] for what can be set, [`node::trace`] for recording and
//! replaying, [`wire`] for the two formats on the network.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod cx;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod ids;
mod log;
pub mod node;
mod outbox;
mod rng;
mod roster;
pub mod serf;
pub mod stats;
pub mod swim;
#[cfg(test)]
mod testing;
pub mod time;
mod timers;
pub mod versions;
pub mod wire;

pub use crate::node::Node;
pub use crate::node::config::{Config, ConfigError};
pub use crate::node::input::Transmit;
pub use crate::serf::event::Event;
pub use crate::serf::member::Member;
pub use crate::time::Instant;
