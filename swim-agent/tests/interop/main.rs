//! Mixed clusters of real processes: this agent and HashiCorp's `serf`, on loopback addresses.
//!
//! ```text
//! cargo test -p swim-agent --features interop --test interop -- --test-threads=4
//! ```
//!
//! `serf` must be in the `PATH` (Debian: `apt-get install -y serf`); without it every test fails and says so. Linux
//! only: each agent binds an address of its own in 127.0.0.0/8.
//!
//! `SWIM_INTEROP_BINARY=/path/to/program` runs the same suite with another program as the subject, without
//! `--wire serf`. With `serf` itself as the subject the suite tests its own expectations: what fails then is a wrong
//! test, or something that only our agent promises, and the latter is asked for only when the variable is not set.
//!
//! `-- --ignored` runs what needs more rights: discovery by mDNS, in a network namespace of its own.
//!
//! Reading order: `harness.rs`, then `join.rs` as the plainest user of it. What the agent cannot be asked for yet is tested
//! with members in this process: `member.rs`, then `user_events.rs`.

mod calm;
mod commands;
mod departures;
mod discovery;
mod encryption;
mod failure;
mod harness;
mod join;
mod keys;
mod leave;
mod member;
mod messages;
mod monitor;
mod name_conflict;
mod queries;
mod round_trips;
mod runtimes;
mod snapshot;
mod tags;
#[path = "../it/terminal.rs"]
mod terminal;
mod user_events;
