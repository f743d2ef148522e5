//! Which claim about another member wins (SWIM §4.2, with memberlist's left).

use crate::ids::Incarnation;
use crate::wire::message::State;

/// What a record becomes when it is told something, `None` when it stays as it is.
///
/// Alive needs a strictly higher incarnation to win; suspect beats alive, and dead beats both, at the same one. The dead
/// and the left are neither suspected nor killed again; whether a claim about one who is already suspect confirms the
/// suspicion is for `suspicion.rs` to say. Addresses play no part here.
pub(crate) fn supersede(have: (State, Incarnation), told: (State, Incarnation)) -> Option<(State, Incarnation)> {
    use State::{Alive, Dead, Left, Suspect};
    let wins = match (have.0, told.0) {
        (_, Alive) => told.1 > have.1,
        (Alive, Suspect) | (Alive | Suspect, Dead | Left) => told.1 >= have.1,
        (Suspect | Dead | Left, Suspect) | (Dead | Left, Dead | Left) => false,
    };
    wins.then_some(told)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    /// swim-state.md 3.1, row by row: have at 5, told at 4, 5 and 6.
    #[test]
    fn precedence() {
        use State::{Alive, Dead, Left, Suspect};
        #[rustfmt::skip]
        let table = [
            // have     told      older          same                 newer
            (Alive,    Alive,    None,          None,                Some((Alive, 6))),
            (Suspect,  Alive,    None,          None,                Some((Alive, 6))),
            (Dead,     Alive,    None,          None,                Some((Alive, 6))),   // they may return
            (Left,     Alive,    None,          None,                Some((Alive, 6))),
            (Alive,    Suspect,  None,          Some((Suspect, 5)),  Some((Suspect, 6))),
            (Suspect,  Suspect,  None,          None,                None),               // at most a confirmation
            (Dead,     Suspect,  None,          None,                None),               // the dead are not suspected
            (Left,     Suspect,  None,          None,                None),
            (Alive,    Dead,     None,          Some((Dead, 5)),     Some((Dead, 6))),
            (Suspect,  Dead,     None,          Some((Dead, 5)),     Some((Dead, 6))),
            (Dead,     Dead,     None,          None,                None),
            (Left,     Dead,     None,          None,                None),
            (Alive,    Left,     None,          Some((Left, 5)),     Some((Left, 6))),
            (Suspect,  Left,     None,          Some((Left, 5)),     Some((Left, 6))),
            (Dead,     Left,     None,          None,                None),               // a leave comes too late
            (Left,     Left,     None,          None,                None),
        ];
        for (have, told, older, same, newer) in table {
            for (incarnation, becomes) in [(4, older), (5, same), (6, newer)] {
                let becomes = becomes.map(|(state, incarnation)| (state, Incarnation(incarnation)));
                assert_eq!(
                    supersede((have, Incarnation(5)), (told, Incarnation(incarnation))),
                    becomes,
                    "{have:?} at 5 told {told:?} at {incarnation}"
                );
            }
        }
    }

    fn claim() -> impl Strategy<Value = (State, Incarnation)> {
        let state = prop::sample::select(vec![State::Alive, State::Suspect, State::Dead, State::Left]);
        (state, (1u32..6).prop_map(Incarnation))
    }

    proptest! {
        /// Told the same thing again, a record stays as it is.
        #[test]
        fn repeated_claims_change_nothing(have in claim(), told in claim()) {
            let after = supersede(have, told).unwrap_or(have);
            prop_assert_eq!(supersede(after, told), None);
        }

        /// An older claim changes nothing, and incarnations never fall.
        #[test]
        fn older_claims_change_nothing(have in claim(), told in claim()) {
            match supersede(have, told) {
                Some(after) => prop_assert!(after.1 >= have.1 && after == told),
                None => prop_assert!(told.1 <= have.1 || told.0 != State::Alive),
            }
            if told.1 < have.1 {
                prop_assert_eq!(supersede(have, told), None);
            }
        }
    }
}
