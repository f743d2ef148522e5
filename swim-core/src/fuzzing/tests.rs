//! Without a fuzzer: the committed corpus, mutations of it, and random inputs. Not a search, but the ordinary test run
//! meets what is shallow, and the bodies cannot rot.

extern crate std;

use std::path::Path;
use std::string::String;
use std::vec::Vec;
use std::{format, fs, println};

use super::*;
use crate::rng::{Rng, Stream};

/// The files of a target, by name. None at all where the folder `fuzz` is not there, as in a packaged crate.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    if !fuzz.exists() {
        return Vec::new();
    }
    let folder = fuzz.join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    files
}

/// Runs a body, and shows what it was given if it panics.
fn attack(what: &str, body: Body, bytes: &[u8]) {
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
fn corpora() {
    for (target, body) in TARGETS {
        for (name, bytes) in corpus(target) {
            attack(&format!("{target}: {name}"), *body, &bytes);
        }
    }
}

#[test]
fn mutations() {
    let mut rng = Rng::new([1; 32], Stream::Targets);
    for (target, body) in TARGETS {
        let files = corpus(target);
        if files.is_empty() {
            continue;
        }
        for round in 0..MUTATIONS {
            let (name, original) = &files[round % files.len()];
            let mut bytes = original.clone();
            for _ in 0..=rng.below(4) {
                mutate(&mut bytes, &mut rng);
            }
            attack(&format!("{target}, {name}, round {round}"), *body, &bytes);
        }
    }
}

#[test]
fn random_inputs() {
    let mut rng = Rng::new([2; 32], Stream::Targets);
    for (target, body) in TARGETS {
        for round in 0..RANDOM {
            let len = rng.below(1 + round % 200);
            let mut bytes = Vec::from_iter((0..len).map(|_| rng.next_u64() as u8));
            if round % 2 == 0 {
                // Small numbers lead further: they are kinds, steps and lengths.
                bytes.iter_mut().for_each(|byte| *byte &= 0x1f);
            }
            attack(&format!("{target}, random, round {round}"), *body, &bytes);
        }
    }
}

/// What is committed for the whole node, with the settings that the files leave off.
#[test]
fn nodes_sealed_slow_recorded_and_with_a_snapshot() {
    for (name, bytes) in corpus("node") {
        let Some((first, rest)) = bytes.split_first() else { continue };
        for setting in [0b00_1000, 0b00_1010, 0b01_1100, 0b10_1110] {
            let bytes = [&[first & 1 | setting], rest].concat();
            attack(&format!("{name}, setting {setting:06b}"), node::run, &bytes);
        }
    }
}

/// A trace whose header announces a text of any length is refused, and no room is made for it.
#[test]
fn a_text_of_endless_length_in_a_trace() {
    use crate::node::trace::{Replay, ReplayError};
    use crate::wire::keyring::Keyring;

    for len in [&b"\xfd\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\xfc\0\0\0\x80"] {
        let header = [&b"\x02"[..], len, b"0.1.0"].concat();
        let trace = [&b"swimtrc1"[..], &(header.len() as u32).to_le_bytes(), &header].concat();
        assert_eq!(Replay::new(&trace, Keyring::new(), None).err(), Some(ReplayError::NoTrace));
    }
}

/// A change of the format of inputs would turn the corpus into noise without a failing test; so some of the files
/// must lead where their names say.
#[test]
#[cfg(feature = "compression")] // The captured exchanges are compressed.
fn the_node_corpus_means_something() {
    let files = corpus("node");
    if files.is_empty() {
        return;
    }
    let ends: Vec<_> = files.into_iter().filter_map(|(name, bytes)| Some((name, node::play(&bytes)?))).collect();
    let end = |wanted: &str| &ends.iter().find(|(name, _)| name == wanted).expect("the file is there").1;
    for name in ["native_dials_exchange", "native_is_dialled_exchange", "serf_dials_exchange", "serf_all_datagrams"] {
        assert!(end(name).members >= 3, "{name}");
    }
    for name in ["native_dials_probes_and_a_leave", "serf_is_dialled_probes_and_a_leave"] {
        assert!(end(name).stats.probes_acked_directly > 0, "{name}");
        assert_eq!(end(name).stats.member_leaves, 1, "{name}");
    }
    assert!(end("serf_suspected_and_refutes").stats.refutations > 0);
    assert!(end("serf_declared_dead_and_refutes").stats.refutations > 0);
    assert!(end("serf_probe_fails_member_dies").stats.member_failures > 0);
    assert!(end("serf_member_suspected_confirmed_dead").stats.suspicions_confirmed > 0);
    assert!(end("serf_members_past_the_bound").stats.members_over_limit > 0);
    assert!(end("serf_tcp_pushpull_request_join_compressed").stats.push_pulls_merged > 0);
    let messages = &end("native_says_and_hears_messages").stats;
    assert_eq!((messages.messages_direct_sent, messages.messages_direct_received), (4, 3));
    assert_eq!((messages.messages_direct_confirmed, messages.messages_direct_failed), (1, 1));
    assert!(end("native_hears_serf").stats.datagrams_foreign_wire > 0);
    // One change of keys that is stored, one that is not, one of which nothing is said.
    let changes = &end("native_changes_keys").stats;
    assert_eq!((changes.queries, changes.query_responses), if cfg!(feature = "encryption") { (3, 2) } else { (3, 3) });
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len());
    match rng.below(5) {
        0 => bytes.truncate(at.max(1)),
        1 => bytes.insert(at, rng.next_u64() as u8),
        2 => {
            let again = bytes[at..].to_vec();
            bytes.extend(again);
        }
        3 if !bytes.is_empty() => {
            bytes.remove(at);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
    }
    bytes.truncate(4096);
}

/// Of each target.
const MUTATIONS: usize = 3_000;
const RANDOM: usize = 5_000;
