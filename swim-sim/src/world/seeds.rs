//! Seeds of nodes: whoever resolves their names for a driver does it here, from a list that the test sets.

use core::net::SocketAddr;
use core::time::Duration;

use super::host::Role;
use super::{Happening, HostId, World};

/// What one host's seeds resolve to.
#[derive(Debug, Default)]
pub(super) struct Names {
    addresses: Vec<SocketAddr>,
    /// The node has asked, and nothing was known.
    wanted: bool,
    /// Times that the node has asked.
    asked: u64,
}

impl World {
    /// From now on the names of a node's seeds have these addresses. It hears of them soon after it asks
    /// ([`Node::poll_resolve`](swim_core::Node::poll_resolve)), or now, if it has asked while there were none.
    pub fn set_names(&mut self, id: HostId, addresses: &[SocketAddr]) {
        self.host_mut(id).names.addresses = addresses.into();
        self.drain(id);
    }

    /// How often a node has asked for its seeds.
    pub fn resolutions(&self, id: HostId) -> u64 {
        self.host(id).names.asked
    }

    /// The node asks, or has been asking.
    pub(super) fn look_up(&mut self, id: HostId, asks: bool) {
        let names = &mut self.host_mut(id).names;
        names.asked += u64::from(asks);
        names.wanted |= asks;
        if names.wanted && !names.addresses.is_empty() {
            names.wanted = false;
            self.schedule(self.now + LOOK_UP, Happening::Resolved(id));
        }
    }

    pub(super) fn resolved(&mut self, id: HostId) {
        let now = self.local_time(id);
        let host = self.host_mut(id);
        if host.paused_until.is_some() {
            host.names.wanted = true; // When it goes on, it is told.
            return;
        }
        if let Role::Node(node) = &mut host.role {
            node.set_seeds(now, &host.names.addresses);
            self.drain(id);
        }
    }
}

/// What a resolver takes.
const LOOK_UP: Duration = Duration::from_millis(20);
