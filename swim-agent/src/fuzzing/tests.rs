//! Without a fuzzer: the committed corpus, mutations of it, and random inputs.

use core::time::Duration;
use std::path::Path;
use std::time::{Instant, UNIX_EPOCH};
use std::{fs, thread};

use super::TARGETS;

/// Runs a body, and shows what it was given if it panics.
fn attack(what: &str, body: fn(&[u8]), bytes: &[u8]) {
    struct Shown<'a>(&'a str, &'a [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                println!("{}: b\"{}\"", self.0, self.1.escape_ascii());
            }
        }
    }
    let _shown = Shown(what, bytes);
    body(bytes);
}

/// The committed inputs of a target, with their names; none where the folder was not packaged.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    if !fuzz.exists() {
        return Vec::new();
    }
    let folder = fuzz.join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no corpus in {}", folder.display());
    paths.iter().map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

#[test]
fn corpora_and_mutations() {
    let mut dice = Dice(1);
    for (target, body) in TARGETS {
        for (name, bytes) in corpus(target) {
            attack(&name, *body, &bytes);
            for round in 0..MUTATIONS {
                attack(&format!("{name}, round {round}"), *body, &mutated(&bytes, &mut dice));
            }
        }
    }
}

/// Other inputs each day, two targets at a time.
#[test]
#[ignore = "it takes ten seconds for two targets"]
fn each_for_ten_seconds() {
    let today = UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400;
    for pair in TARGETS.chunks(2) {
        thread::scope(|scope| {
            for (target, body) in pair {
                scope.spawn(move || {
                    let (files, began) = (corpus(target), Instant::now());
                    let (mut dice, mut round) = (Dice(today), 0);
                    while began.elapsed() < Duration::from_secs(10) {
                        let (name, bytes) = &files[dice.below(files.len())];
                        attack(&format!("{name}, round {round}"), *body, &mutated(bytes, &mut dice));
                        round += 1;
                    }
                    println!("{target}: {round} inputs");
                });
            }
        });
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

fn mutated(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(3) {
        mutate(&mut bytes, dice);
    }
    bytes
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
