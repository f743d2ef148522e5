//! SWIM membership with Lifeguard and Serf's messages, as a pure state machine.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails should say where"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod ids;
mod rng;
pub mod time;
pub mod wire;
