//! Changes of our keys that are made, and answered when the application has stored them (serf-layer.md 10.5): a member whose
//! file has the old keys only is locked out by its next start, so whoever asked must hear of it.
//!
//! Serf writes the file before it answers (Serf: `serf.go`, writeKeyringFile). Here the change is an event, and the answer
//! waits for the application's word, no longer than the asker does.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::cx::Cx;
use crate::ids::KeyringChange;
use crate::serf::Serf;
use crate::serf::event::Event;
use crate::serf::internal_query::{KEY_TASKS_MAX, NO_KEYS};
use crate::serf::query::Return;
use crate::swim::Swim;
use crate::wire::serf::KeyResponse;

/// Changes of our keys.
#[derive(Debug, Default)]
pub(super) struct KeyChanges {
    last: KeyringChange,
    /// Not answered yet, in order.
    held: VecDeque<(KeyringChange, Return)>,
}

impl KeyChanges {
    /// Checked after each step of a test.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn check(&self) {
        assert!(self.held.len() <= HELD_MAX);
        assert!(self.held.iter().is_sorted_by(|(a, _), (b, _)| a < b), "each has a number of its own");
        assert!(self.held.iter().all(|(change, _)| *change <= self.last));
    }
}

impl Serf {
    /// Whether one more change may be made: past the bound it is refused and counted.
    pub(super) fn can_hold_key_change(&mut self, cx: &mut Cx<'_>) -> bool {
        if !self.config.keyring_stored {
            return true;
        }
        let held = &mut self.queries.key_changes.held;
        held.retain(|(_, to)| cx.now < to.deadline);
        let can = held.len() < HELD_MAX;
        cx.stats.queries_over_limit += u64::from(!can);
        can
    }

    /// A change has been made: the application is told, and whoever wanted it, now or when it is stored.
    pub(super) fn keys_changed(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, to: Return) {
        let KeyChanges { last, held } = &mut self.queries.key_changes;
        last.0 += 1;
        let change = *last;
        self.events.push(cx.stats, || Event::KeyringChanged { change });
        if self.config.keyring_stored {
            held.push_back((change, to));
        } else {
            self.answer_key_change(cx, swim, &to, Ok(()));
        }
    }

    /// The application has stored the keys as they are since `change`, or could not, and why.
    pub(crate) fn keyring_stored(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        change: KeyringChange,
        result: Result<(), &str>,
    ) {
        if change > self.queries.key_changes.last {
            return; // Nobody has been told of it.
        }
        loop {
            let held = &mut self.queries.key_changes.held;
            if held.front().is_none_or(|(held, _)| *held > change) {
                return;
            }
            let Some((_, to)) = held.pop_front() else { return };
            self.answer_key_change(cx, swim, &to, result);
        }
    }

    pub(crate) fn last_keyring_change(&self) -> KeyringChange {
        self.queries.key_changes.last
    }

    /// Says whether a change was made, and why not, as far as there is room.
    pub(super) fn answer_key_change(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        to: &Return,
        result: Result<(), &str>,
    ) {
        let mut message = result.err().unwrap_or_default();
        loop {
            let response =
                KeyResponse { result: result.is_ok(), message: message.as_bytes(), keys: NO_KEYS, primary: b"" };
            let mut payload = Vec::new();
            self.codec.encode_key_response(&response, &mut payload);
            let len = self.encode_response(cx, to, 0, Some(&payload)).len();
            let over = len.saturating_sub(self.config.query_response_size_limit);
            if over == 0 || message.is_empty() {
                self.respond_internally(cx, swim, to, &payload);
                return;
            }
            message = shortened(message, over);
        }
    }
}

/// Without its last `by` bytes, and without the rest of a character that is cut by that.
fn shortened(text: &str, by: usize) -> &str {
    let len = text.len().saturating_sub(by);
    (0..=len).rev().find_map(|len| text.get(..len)).unwrap_or_default()
}

/// As many as are looked at when they come at once.
const HELD_MAX: usize = KEY_TASKS_MAX;

#[cfg(test)]
#[cfg(feature = "encryption")]
mod tests;
