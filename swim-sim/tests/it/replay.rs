//! `swim-sim replay`: recordings, whole and broken.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use swim_core::serf::query::Query;
use swim_core::serf::user_event::UserEvent;
use swim_core::wire::keyring::Key;
use swim_core::{Config, Event};
use swim_sim::{Latency, World, ms, secs};

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("swim-replay-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn replay(file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swim-sim"));
    command.arg("replay").arg(file).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap()
}

/// What one of three members recorded: an event, a query, and a crash.
fn recorded(keys: &[Key]) -> Vec<u8> {
    let mut world = World::new(7, Latency::Constant(ms(1)));
    let config = |n: u8| {
        let mut config = Config::lan(format!("n{n}").as_str(), ([10, 0, 0, n], 7946).into());
        keys.iter().for_each(|key| config.wire.keyring.add(key.clone()).unwrap());
        config
    };
    let a = world.start_recorded(config(1)).unwrap();
    world.answer_queries(a, |event| matches!(event, Event::Query { .. }).then(|| b"much".to_vec()));
    let others = [world.start(config(2)).unwrap(), world.start(config(3)).unwrap()];
    for other in others {
        world.join(other, &[([10, 0, 0, 1], 7946).into()], false);
    }
    world.run_for(secs(5));
    let event = UserEvent { name: b"deploy", payload: Some(b"1.2"), coalesce: false };
    world.user_event(others[0], event).unwrap();
    world.query(others[0], Query { name: b"load", ..Query::default() }).unwrap();
    world.run_for(secs(5));
    world.crash(others[1]);
    world.run_for(secs(60));
    world.take_trace(a)
}

#[test]
fn a_life_in_several_files() {
    let directory = Directory::new("life");
    let trace = recorded(&[]);
    let (first, rest) = trace.split_at(trace.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let file = directory.write("a", first);
    directory.write("a.1", second);
    directory.write("a.2", third);
    let whole = replay(&file, &["--dump"]);
    let said = text(&whole.stdout);
    assert!(whole.status.success(), "{whole:?}");
    for line in
        ["member-join n3", "user deploy at 1, 3 bytes", "query load, 0 bytes", "member-failed n3", "  user_events 1\n"]
    {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(said.contains("  n3 10.0.0.3:7946 failed incarnation "), "{said}");
    // Up to a place, and with all that goes in and out.
    let part = replay(&file, &["--until-event=member-failed n3", "--inputs", "--outputs", "--hashes"]);
    let said = text(&part.stdout);
    assert!(
        said.contains("<- 10.0.0.2:7946: datagram of ") && said.contains("-> 10.0.0.2:7946: datagram of "),
        "{said}"
    );
    assert!(said.lines().last().unwrap().starts_with("stopped as told after "), "{said}");
    let early = replay(&file, &["--until=4"]);
    assert!(!text(&early.stdout).contains("user deploy"), "{early:?}");
    let first = replay(&file, &["--until-input=10"]);
    assert!(text(&first.stdout).contains("\n10 inputs, "), "{first:?}");
}

#[test]
fn a_sealed_life_needs_its_keys() {
    let directory = Directory::new("sealed");
    let keys = [[1; 32], [2; 32]].map(|bytes| Key::new(&bytes).unwrap());
    let file = directory.write("a", recorded(&keys));
    let without = replay(&file, &[]);
    assert!(!without.status.success());
    assert!(text(&without.stderr).contains(&keys[0].id().to_string()), "{without:?}");
    // In any order, and among others.
    let ring = directory.write(
        "keys",
        r#"["AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
            "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]"#,
    );
    let with = replay(&file, &["--keyring", ring.to_str().unwrap()]);
    assert!(with.status.success(), "{with:?}");
    let bad = directory.write("bad", r#"["short"]"#);
    let bad = replay(&file, &["--keyring", bad.to_str().unwrap()]);
    assert!(text(&bad.stderr).contains("a key must be 16, 24 or 32 bytes in base64"), "{bad:?}");
}

/// Everything up to the fault is replayed; then it is said where and what it is.
#[test]
fn broken_ones() {
    let directory = Directory::new("broken");
    let trace = recorded(&[]);
    let cut = replay(&directory.write("cut", &trace[..trace.len() - 7]), &[]);
    assert!(!cut.status.success());
    assert!(text(&cut.stdout).contains("member-failed n3"), "{cut:?}");
    assert!(text(&cut.stderr).contains("cut off at byte "), "{cut:?}");
    let mut edited = trace.clone();
    let last = edited.len() - 1;
    edited[last] ^= 1;
    let edited = replay(&directory.write("edited", edited), &[]);
    assert!(text(&edited.stderr).contains("other outputs than recorded, after input "), "{edited:?}");
    let mut other = trace.clone();
    other[12] = 9;
    let other = replay(&directory.write("other", other), &[]);
    assert!(text(&other.stderr).contains("trace of format version 9, this build reads "), "{other:?}");
    let none = replay(&directory.write("none", "alive: a\n"), &[]);
    assert!(text(&none.stderr).contains("none: not a trace"), "{none:?}");
    let missing = replay(&directory.0.join("missing"), &[]);
    assert!(text(&missing.stderr).contains("missing: No such file"), "{missing:?}");
}
