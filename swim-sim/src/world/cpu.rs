//! Hosts that are slow: each message takes its time, one after the other, and the others wait in the socket.

use core::time::Duration;

use super::host::Arrival;
use super::{Happening, HostId, World};

impl World {
    /// From now on each message that reaches the host takes this long before it is handled, one after the other (the
    /// processor-starved members of Lifeguard's figure 1). What waits counts against the socket buffer.
    pub fn set_service_time(&mut self, id: HostId, service: Duration) {
        self.host_mut(id).service = service;
    }

    /// Puts something behind what the host has to do already.
    pub(super) fn serve_later(&mut self, id: HostId, arrival: Arrival) {
        let now = self.now;
        let host = self.host_mut(id);
        host.busy_until = host.busy_until.max(now) + host.service;
        host.inbox.push_back(arrival);
        let at = host.busy_until;
        self.schedule(at, Happening::Serve(id));
    }

    /// The host has done with the first of what waits.
    pub(super) fn serve(&mut self, id: HostId) {
        let host = self.host_mut(id);
        if host.paused_until.is_some() {
            return; // Its resumption takes care of all.
        }
        let Some(arrival) = host.take_arrival() else { return };
        self.deliver(id, arrival);
        self.time_out(id);
        self.drain(id);
    }
}
