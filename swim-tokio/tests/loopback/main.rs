//! Real nodes on real sockets of this machine: does the driver carry the protocol, and does it survive what happens
//! to sockets? The protocol itself is tested in virtual time, elsewhere.

mod direct;
mod healing;
mod hostile;
mod keys;
mod life;
mod members;
mod messages;
mod snapshot;
mod support;
