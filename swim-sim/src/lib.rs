//! Whole clusters in one thread and in virtual time.
//!
//! Because `swim-core` is a pure state machine, a cluster of it can run without a socket and without a clock: `World`
//! keeps the time, carries the bytes, and calls each node when something arrives or is due. The same seed gives the
//! same run, byte for byte. Nothing here knows a rule of the protocol; the nodes are the real ones.
//!
//! Read `world/mod.rs` first: the clock, the agenda and the hosts. `network/` has latencies, losses and partitions,
//! `world/streams.rs` the streams. `application.rs` is the logic that lives on a node. `script.rs` is whatever else lives
//! at an address; `puppet.rs` makes of it a peer that passes for a member, with `speech.rs` to put words into its mouth.
//! `test_net.rs` is the front that the tests in `tests/` are written against. `plan/` has faults as data, drawn from a
//! seed, run with the checkers in `checks/`, and shortened when they fail. `experiments/` measures, and `report/` shows what came of it. `cli/` is the program around
//! all that, and `fuzzing.rs` makes plans of what a fuzzer has.
//!
//! ```
//! use swim_core::serf::member::Status;
//! use swim_sim::{TestNet, secs};
//!
//! let mut net = TestNet::lan(2, 42);
//! net.join("n2", "n1");
//! let took = net.run_until(TestNet::all_agree, secs(5));
//! assert_eq!(net.status_at("n1", "n2"), Some(Status::Alive));
//! println!("they know each other after {took:?} of virtual time");
//! ```

pub mod application;
pub mod checks;
pub mod digest;
pub mod experiments;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod network;
pub mod plan;
pub mod puppet;
pub mod report;
pub mod rng;
pub mod script;
pub mod speech;
pub mod test_net;
pub mod world;

pub use crate::network::Latency;
pub use crate::puppet::{Puppet, Relay};
pub use crate::speech::{EntrySaid, Said, StreamSaid, VERSIONS};
pub use crate::test_net::{TestNet, ms, secs};
pub use crate::world::World;
