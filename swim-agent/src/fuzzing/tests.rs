//! Without a fuzzer: the committed corpus, mutations of it, and random inputs.

use std::fs;
use std::path::Path;

use super::TARGETS;

/// Runs a body, and shows what it was given if it panics.
fn attack(what: &str, body: fn(&[u8]), bytes: &[u8]) {
    struct Shown<'a>(&'a str, &'a [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("{}: b\"{}\"", self.0, self.1.escape_ascii());
            }
        }
    }
    let _shown = Shown(what, bytes);
    body(bytes);
}

#[test]
fn corpora_and_mutations() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    if !fuzz.exists() {
        return; // Packaged.
    }
    let mut dice = Dice(1);
    for (target, body) in TARGETS {
        let folder = fuzz.join("corpus").join(target);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "no corpus in {}", folder.display());
        for path in &paths {
            let bytes = fs::read(path).unwrap();
            attack(&path.display().to_string(), *body, &bytes);
            for round in 0..MUTATIONS {
                let mut bytes = bytes.clone();
                for _ in 0..=dice.below(3) {
                    mutate(&mut bytes, &mut dice);
                }
                attack(&format!("{}, round {round}", path.display()), *body, &bytes);
            }
        }
    }
}

#[test]
fn random_inputs() {
    let mut dice = Dice(2);
    for (target, body) in TARGETS {
        for round in 0..RANDOM {
            let len = dice.below(100);
            let bytes: Vec<u8> = (0..len).map(|_| dice.below(256) as u8).collect();
            attack(&format!("{target}, random, round {round}"), *body, &bytes);
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len());
    match dice.below(4) {
        0 => bytes.truncate(at.max(1)),
        1 => bytes.insert(at, dice.below(256) as u8),
        2 => {
            let again = bytes[at..].to_vec();
            bytes.extend(again);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
    }
    bytes.truncate(4096);
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed >> 33) as usize).checked_rem(bound).unwrap_or(0)
    }
}

/// Of each file.
const MUTATIONS: usize = 40;
const RANDOM: usize = 500;
