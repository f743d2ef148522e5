//! The draw: stratified by directory and genre, each stratum by its share and at least by one.

use std::collections::BTreeMap;

use crate::frame::Mutant;

/// A directory and a genre.
pub(crate) type Stratum = (String, String);

/// `wanted` of the mutants in `frame`, in the order of the frame; the same seed and frame draw the same. Each has its
/// number from the frame, so that a greater draw gives nobody another one.
pub(crate) fn draw(frame: &[Mutant], wanted: usize, seed: u64) -> Vec<(u32, Mutant)> {
    let mut strata: BTreeMap<Stratum, Vec<usize>> = BTreeMap::new();
    for (index, mutant) in frame.iter().enumerate() {
        strata.entry((mutant.directory().to_owned(), mutant.genre.clone())).or_default().push(index);
    }
    let mut drawn = Vec::new();
    for (stratum, mut indices) in strata {
        let share = (wanted * indices.len()).div_ceil(frame.len()).min(indices.len());
        // A stream for each stratum: what happens in one does not change the draw from another.
        let mut random = Random(
            stratum.0.bytes().chain(stratum.1.bytes()).fold(seed, |state, byte| Random(state ^ u64::from(byte)).next()),
        );
        for place in 0..share {
            let other = place + (random.next() % (indices.len() - place) as u64) as usize;
            indices.swap(place, other);
        }
        drawn.extend_from_slice(&indices[..share]);
    }
    drawn.sort_unstable();
    drawn.into_iter().map(|index| (index as u32 + 1, frame[index].clone())).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
