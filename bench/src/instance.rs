//! One member, fed with packets: what a library costs where no network hides it.

use core::time::Duration;

/// Updates in one packet.
pub(crate) const BATCH: usize = 15;

/// A library's node without a socket. The local node is member 0.
pub(crate) trait Instance: Sized {
    /// For [`load`](Self::load), in the library's own terms.
    type Load;

    /// A node that knows nobody else, set up for a cluster of so many.
    fn alone(members: usize) -> Self;

    /// A packet from member 1 with the news that these are alive. A higher version is newer.
    fn packet(members: impl Iterator<Item = usize>, version: u32) -> Vec<u8>;

    /// Takes in a packet. The time is that of the last [`probe_round`](Self::probe_round) or `gossip_tick`.
    fn handle(&mut self, packet: &mut [u8]);

    /// Members it knows, itself included.
    fn members(&self) -> usize;

    /// News that wait to be handed on.
    fn news(&self) -> usize;

    /// Lets time pass, with everybody answering at once, until no news waits.
    fn settle(&mut self);

    /// Lets time pass up to a probe and its end: the tick, the ping, its ack, and what comes due at the end.
    fn probe_round(&mut self) -> Duration;

    /// Lets time pass up to a gossip tick that has news to send, and says what that one cost.
    fn gossip_tick(&mut self) -> Duration;

    /// Answers a newcomer. The cost, and how many bytes the answer has.
    fn join_reply(&mut self) -> (Duration, usize);

    /// All that a node has to be told to know so many members at once, and its size in bytes if it is bytes.
    fn prepare_load(members: usize) -> (Self::Load, Option<usize>);

    /// A node that is told.
    fn load(load: Self::Load) -> Self;
}
