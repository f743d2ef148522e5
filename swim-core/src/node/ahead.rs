//! What is looked at before it is needed, so that it lies in the processor's caches by then. Changes nothing.

use core::hint::black_box;
use core::iter::Take;

use crate::ids::MemberId;
use crate::node::Core;
use crate::wire::codec::Codec;
use crate::wire::compound::Parts;
use crate::wire::unpack::PARTS_AHEAD;

/// From how many members on their records fill the fastest cache. A development build looks ahead nearly always, so that
/// the tests cover it.
const LOOK_AHEAD_MEMBERS: usize = if cfg!(debug_assertions) { 3 } else { 256 };

impl Core {
    /// In a table of some size each look at a member waits for memory, several times over: for where its name stands, for its
    /// slot, for its record. Here they are looked at all at once, so that one wait covers the next few messages. Says whom
    /// they are about, in all likelihood.
    pub(super) fn look_ahead(&self, codec: Codec, parts: Take<Parts<'_>>) -> Option<[Option<MemberId>; PARTS_AHEAD]> {
        if self.roster.len() < LOOK_AHEAD_MEMBERS || codec == Codec::Serf {
            return None; // Of Serf's messages the names are not found without reading all.
        }
        let mut claims = [None; PARTS_AHEAD];
        for (claim, part) in claims.iter_mut().zip(parts) {
            let subject = part.ok().and_then(|part| codec.peek_subject(part));
            *claim = subject.map(|(incarnation, name)| (incarnation, self.roster.hash(name)));
        }
        Some(claims.map(|claim| {
            let (incarnation, hash) = claim?;
            let id = self.roster.guess(hash)?;
            let mut seen = self.roster.touch(id);
            if self.swim.incarnation(id) < incarnation {
                seen ^= self.roster.touch_rest(id); // It will be believed.
            }
            black_box(seen);
            Some(id)
        }))
    }

    /// Whoever has its turn to be probed has not been looked at for a whole round.
    pub(super) fn look_at_probed(&self) {
        if let Some(id) = self.swim.probed() {
            let versions = self.roster.versions(id);
            black_box(u64::from(versions.protocol.max) ^ self.roster.touch(id) ^ self.serf.touch(id));
        }
    }
}
