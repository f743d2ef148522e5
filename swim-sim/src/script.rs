//! Hosts that are not nodes: whatever a test wants to put at an address.

use core::net::SocketAddr;
use core::time::Duration;

use swim_core::Instant;
use swim_core::ids::StreamId;
use swim_core::node::input::StreamInput;

/// What lives at an address instead of a node.
///
/// A closure that takes a datagram is a script that does not listen for streams.
pub trait Script {
    /// A datagram arrived.
    fn on_datagram(&mut self, scene: &mut Scene, from: SocketAddr, datagram: &[u8]);

    /// Whether dials are answered. Otherwise they are refused.
    fn listens(&self) -> bool {
        false
    }

    /// Somebody has dialled.
    fn on_accept(&mut self, _scene: &mut Scene, _id: StreamId, _from: SocketAddr) {}

    /// Something happened to a stream, an own or an accepted one.
    fn on_stream(&mut self, _scene: &mut Scene, _id: StreamId, _input: StreamInput<'_>) {}
}

impl<F: FnMut(&mut Scene, SocketAddr, &[u8])> Script for F {
    fn on_datagram(&mut self, scene: &mut Scene, from: SocketAddr, datagram: &[u8]) {
        self(scene, from, datagram);
    }
}

/// Where a script stands, and what it does.
#[derive(Debug)]
pub struct Scene {
    now: Instant,
    address: SocketAddr,
    pub(crate) cues: Vec<(Duration, Cue)>,
}

impl Scene {
    pub(crate) fn new(now: Instant, address: SocketAddr) -> Self {
        Self { now, address, cues: Vec::new() }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The script's own address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram, after a pause.
    pub fn send(&mut self, pause: Duration, to: SocketAddr, datagram: Vec<u8>) {
        self.cues.push((pause, Cue::Send { to, datagram }));
    }

    /// Writes to a stream, after a pause.
    pub fn write(&mut self, pause: Duration, id: StreamId, bytes: Vec<u8>) {
        self.cues.push((pause, Cue::Write { id, bytes }));
    }

    /// Closes a stream after what has been written, after a pause.
    pub fn finish(&mut self, pause: Duration, id: StreamId) {
        self.cues.push((pause, Cue::Finish { id }));
    }

    /// Breaks a stream off.
    pub fn abort(&mut self, id: StreamId) {
        self.cues.push((Duration::ZERO, Cue::Abort { id }));
    }
}

/// One thing a script does.
#[derive(Clone, Debug)]
pub(crate) enum Cue {
    Send { to: SocketAddr, datagram: Vec<u8> },
    Write { id: StreamId, bytes: Vec<u8> },
    Finish { id: StreamId },
    Abort { id: StreamId },
}
