//! SWIM membership with Lifeguard and Serf's messages, as a pure state machine.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails should say where"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod cx;
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
pub mod wire;

pub use crate::node::Node;
pub use crate::node::config::{Config, ConfigError};
pub use crate::node::input::Transmit;
pub use crate::serf::event::Event;
pub use crate::serf::member::Member;
pub use crate::time::Instant;
