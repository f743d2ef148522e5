//! What applications are told of user events: each once, and all of them.

use std::collections::BTreeSet;

use swim_core::Instant;

use super::Checks;
use crate::world::HostId;

/// The user events that one application was told of, by name; in plans names are different.
pub(super) type Told = BTreeSet<Box<[u8]>>;

impl Checks {
    /// An application was told of a user event.
    pub fn told_user_event(&mut self, at: Instant, id: HostId, name: &[u8]) {
        let number = self.number(id);
        let Some(host) = self.host_mut(id) else { return };
        if !host.events.insert(name.into()) {
            self.report("event_at_most_once", at, || format!("n{number} was told {} twice", name.escape_ascii()));
        }
    }

    /// Whether this application was told of this event.
    pub fn was_told(&self, id: HostId, name: &[u8]) -> bool {
        self.hosts.get(id.index()).and_then(Option::as_ref).is_some_and(|host| host.events.contains(name))
    }
}
