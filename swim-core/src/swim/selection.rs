//! Random choice of members, without going through all of them.

use alloc::vec::Vec;

use crate::ids::MemberId;
use crate::rng::Rng;
use crate::swim::table::Table;

/// Puts up to `k` different random members that `accept` likes into `chosen` (memberlist: `util.go`, kRandomNodes).
///
/// Draws from those alive or suspect, and from the dead and left too if `departed`; never the local one. In small
/// clusters the choice is exact: if `k` acceptable members exist, `k` are chosen. In large ones the number of draws is
/// bounded, and fewer may be found when few are acceptable.
pub(crate) fn choose(
    table: &Table,
    rng: &mut Rng,
    k: usize,
    departed: bool,
    chosen: &mut Vec<MemberId>,
    mut accept: impl FnMut(MemberId) -> bool,
) {
    chosen.clear();
    let others = table.others(departed);
    if others <= k.saturating_mul(EXACT_MULT) {
        chosen.extend(table.iter_others(departed).filter(|id| accept(*id)));
        for index in 0..chosen.len().min(k) {
            let other = index + rng.below(chosen.len() - index);
            chosen.swap(index, other);
        }
        chosen.truncate(k);
        return;
    }
    for _ in 0..k.saturating_mul(DRAWS_MULT) {
        if chosen.len() >= k {
            return;
        }
        if let Some(id) = table.draw(departed, rng)
            && !chosen.contains(&id)
            && accept(id)
        {
            chosen.push(id);
        }
    }
}

/// Up to so many times `k` members the choice is exact.
const EXACT_MULT: usize = 8;
/// Beyond, so many times `k` draws are made at most.
const DRAWS_MULT: usize = 32;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::ids::Incarnation;
    use crate::rng::Stream;
    use crate::time::Instant;
    use crate::wire::message::State;

    fn table(others: u32, rng: &mut Rng) -> Table {
        let mut table = Table::new(MemberId(0));
        for id in 1..=others {
            table.insert(MemberId(id), Incarnation::FIRST, Instant::ZERO, rng);
        }
        table
    }

    #[test]
    fn small_clusters_get_all_there_are() {
        let mut rng = Rng::new([1; 32], Stream::Targets);
        let mut chosen = Vec::new();
        for others in 0..8 {
            let table = table(others, &mut rng);
            choose(&table, &mut rng, 3, false, &mut chosen, |_| true);
            assert_eq!(chosen.len(), (others as usize).min(3));
            choose(&table, &mut rng, 3, false, &mut chosen, |id| id.0 % 2 == 1);
            assert_eq!(chosen.len(), (others as usize).div_ceil(2).min(3));
        }
    }

    #[test]
    fn everybody_is_chosen_about_equally_often() {
        let mut rng = Rng::new([2; 32], Stream::Targets);
        for others in [5u32, 100] {
            let table = table(others, &mut rng);
            let mut counts = alloc::vec![0u32; others as usize + 1];
            let mut chosen = Vec::new();
            let rounds = 400 * others;
            for _ in 0..rounds {
                choose(&table, &mut rng, 3, false, &mut chosen, |_| true);
                for id in &chosen {
                    counts[id.index()] += 1;
                }
            }
            assert_eq!(counts[0], 0, "never the local one");
            let mean = 3 * rounds / others;
            for (id, count) in counts.iter().enumerate().skip(1) {
                assert!(count.abs_diff(mean) < mean / 4, "{id} of {others}: {count} times, mean {mean}");
            }
        }
    }

    #[test]
    fn the_departed_are_drawn_only_when_asked_for() {
        let mut rng = Rng::new([3; 32], Stream::Targets);
        let mut table = table(40, &mut rng);
        for id in 1..=40 {
            table.set(MemberId(id), State::Dead, Incarnation::FIRST, Instant::after_origin(Duration::ZERO), &mut rng);
        }
        let mut chosen = Vec::new();
        choose(&table, &mut rng, 3, false, &mut chosen, |_| true);
        assert_eq!(chosen, []);
        choose(&table, &mut rng, 3, true, &mut chosen, |_| true);
        assert_eq!(chosen.len(), 3);
    }
}
