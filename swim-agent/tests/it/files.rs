//! The files that an agent keeps: what is changed while it runs is there after the next start, however it ended.
#![cfg(unix)]

use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

use crate::support::{Agent, Directory, PATIENCE, swim};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn tags_are_written_and_restored() {
    let directory = Directory::new("tags-file");
    let path = directory.path().join("tags.json");
    let arguments = ["-tags-file", path.to_str().unwrap()];
    let mut agent = Agent::start("a", &arguments);
    assert!(!path.exists(), "nothing has changed");
    assert_eq!(agent.swim("tags", &["-set", "role=web", "-set", "dc=east"]).code, Some(0));
    // As Serf writes it.
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"dc\": \"east\",\n  \"role\": \"web\"\n}");
    assert_eq!(mode(&path), 0o600);
    // Too much is refused, and the file stays.
    assert_eq!(agent.swim("tags", &["-set", &format!("k={}", "x".repeat(600))]).code, Some(1));
    assert_eq!(agent.swim("tags", &["-delete", "dc", "-set", "x=1"]).code, Some(0));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"role\": \"web\",\n  \"x\": \"1\"\n}");

    // Serf forgets the tags here, because the configuration has none.
    agent.signal("HUP");
    agent.wait_for("Reloading configuration...");
    assert!(agent.swim("members", &[]).stdout.ends_with("role=web,x=1\n"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"role\": \"web\",\n  \"x\": \"1\"\n}");

    agent.signal("KILL");
    agent.ended();
    let mut agent = Agent::start("a", &arguments);
    agent.wait_for(&format!("[INFO] agent: Restored 2 tag(s) from {}\n", path.display()));
    assert!(agent.swim("members", &[]).stdout.ends_with("role=web,x=1\n"));
}

/// What an interrupted write or an unlucky hand has left is not guessed at, nor overwritten.
#[test]
fn torn_files_end_the_start_and_stay() {
    let directory = Directory::new("torn");
    for (flag, text, message) in [
        ("-tags-file", "{\"role\": \"we", "Failed to decode tags file"),
        ("-tags-file", "{\"role\": 1}", "Failed to decode tags file"),
        ("-keyring-file", "[\"HvY8ubRZMgaf", "Failed to decode keyring file"),
        ("-keyring-file", "[\"HvY8ubRZMgaf\"]", "Failed to restore keyring: key size must be 16, 24 or 32 bytes"),
    ] {
        let file = directory.write("torn.json", text);
        let ended = swim(&["agent", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0", flag, &file]);
        assert_eq!(ended.code, Some(1), "{text}");
        assert!(ended.stdout.contains(&format!("==> Failed to setup the Serf agent: {message}")), "{}", ended.stdout);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

/// A half-written copy beside the file, left by a crash, is no hindrance to the next write, nor to the next start.
#[test]
fn what_a_crash_left_beside_a_file_does_not_matter() {
    let directory = Directory::new("left");
    let file = directory.write("tags.json", "{\"role\": \"web\"}");
    directory.write("tags.json.new", "{\"ro");
    let agent = Agent::start("a", &["-tags-file", &file]);
    assert!(agent.swim("members", &[]).stdout.ends_with("role=web\n"));
    assert_eq!(agent.swim("tags", &["-set", "x=1"]).code, Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"role\": \"web\",\n  \"x\": \"1\"\n}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
}

/// Tags that cannot be written are not changed: the file is what the next start believes.
#[test]
fn tags_that_cannot_be_kept_are_refused() {
    let directory = Directory::new("unwritable");
    let file = directory.path().join("gone/tags.json");
    let agent = Agent::start("a", &["-tags-file", file.to_str().unwrap()]);
    let refused = agent.swim("tags", &["-set", "x=1"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stdout.contains("no such file or directory"), "{}", refused.stdout);
    assert!(!agent.swim("members", &[]).stdout.contains("x=1"));
}

#[test]
fn keys_are_written_and_restored() {
    const OLD: &str = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
    const NEW: &str = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";
    let directory = Directory::new("keyring-file");
    let file = directory.write("keys.json", &format!("[\"{OLD}\"]"));
    let arguments = ["-keyring-file", &*file];
    let mut agent = Agent::start("a", &arguments);
    assert!(agent.output.contains("Encrypted: true\n"), "{}", agent.output);
    let file_is = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| format!("  \"{key}\"")).collect();
        let expected = format!("[\n{}\n]", keys.join(",\n"));
        let deadline = Instant::now() + PATIENCE;
        while fs::read_to_string(&file).unwrap() != expected {
            assert!(Instant::now() < deadline, "the file stays {:?}", fs::read_to_string(&file));
            sleep(Duration::from_millis(20));
        }
    };
    assert_eq!(agent.swim("keys", &[&format!("-install={NEW}")]).code, Some(0));
    file_is(&[OLD, NEW]);
    assert_eq!(mode(file.as_ref()), 0o600);
    assert_eq!(agent.swim("keys", &[&format!("-use={NEW}")]).code, Some(0));
    file_is(&[NEW, OLD]);
    agent.signal("KILL");
    agent.ended();

    let mut agent = Agent::start("a", &arguments);
    agent.wait_for("[INFO] agent: Restored keyring with 2 keys from ");
    assert_eq!(agent.swim("keys", &[&format!("-remove={NEW}")]).code, Some(1), "the primary key is the new one");
    assert_eq!(agent.swim("keys", &[&format!("-remove={OLD}")]).code, Some(0));
    file_is(&[NEW]);
}
