//! The files that an agent keeps: what is changed while it runs is there after the next start, however it ended.
#![cfg(unix)]

use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

use crate::support::{Agent, Directory, PATIENCE, UNHURRIED, swim};

const OLD: &str = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
const NEW: &str = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";

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

/// Keys that cannot be kept are reported to whoever changes them, as by Serf: the next start would know the old ones only, and
/// be locked out. It is said at the start, too. Once there is room, the same change is made good.
#[test]
fn keys_that_cannot_be_kept_are_reported() {
    let directory = Directory::new("unkept-keys");
    let file = directory.write("keys.json", &format!("[\"{OLD}\"]"));
    // No file can be made there, by anybody, and it is not empty.
    let obstacle = directory.path().join("keys.json.new");
    fs::create_dir_all(obstacle.join("in-the-way")).unwrap();
    let mut agent = Agent::start("a", &[UNHURRIED, "-keyring-file", &file]);
    agent.wait_for(&format!(
        "[WARN] agent: Cannot replace keyring file {file}: open {file}.new: file exists. Changes of keys will be reported as \
         failed, as the next start would not know them\n"
    ));
    let install = format!("-install={NEW}");
    for change in [&install, &install, &format!("-use={NEW}")] {
        let refused = agent.swim("keys", &[change]);
        assert_eq!(refused.code, Some(1), "{change}");
        let said = refused.stdout + &refused.stderr;
        assert!(said.contains(&format!("failed:  a  Failed to write keyring file {file}: file exists\n")), "{said}");
        assert!(said.contains("key: 1/1 nodes reported failure"), "{said}");
    }
    agent.wait_for(&format!("[ERR] agent: Failed to write keyring file {file}: file exists\n"));
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("[\"{OLD}\"]"));
    assert_eq!(agent.swim("keys", &["-list"]).code, Some(0), "a listing waits for no file");

    fs::remove_dir_all(&obstacle).unwrap();
    assert_eq!(agent.swim("keys", &[&install]).code, Some(0));
    // Before it was said, and with what could not be written before.
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("[\n  \"{NEW}\",\n  \"{OLD}\"\n]"));
    agent.wait_for(&format!("[INFO] agent: Wrote keyring file {file}, which could not be written before\n"));
}

/// One of two cannot keep its keys: the report names it, and it alone.
#[test]
fn one_of_two_that_cannot_keep_its_keys_is_named() {
    let directory = Directory::new("half-kept-keys");
    let files = ["a", "b"].map(|name| directory.write(&format!("{name}.json"), &format!("[\"{OLD}\"]")));
    let obstacle = directory.path().join("b.json.new");
    let a = Agent::start("a", &[UNHURRIED, "-keyring-file", &files[0]]);
    let join = format!("-join={}", a.bind);
    let b = Agent::start("b", &[UNHURRIED, "-keyring-file", &files[1], &join]);
    a.members_until(|members| members.matches(" alive").count() == 2);
    // The disk is full when the agent runs already.
    fs::create_dir_all(obstacle.join("in-the-way")).unwrap();
    for asked in [&a, &b] {
        let refused = asked.swim("keys", &[&format!("-install={NEW}")]);
        assert_eq!(refused.code, Some(1));
        let said = refused.stdout + &refused.stderr;
        assert!(
            said.contains(&format!("failed:  b  Failed to write keyring file {}: file exists\n", files[1])),
            "{said}"
        );
        assert!(said.contains("Error installing key: 1/2 nodes reported failure"), "{said}");
        assert!(!said.contains("failed:  a"), "{said}");
        assert_eq!(fs::read_to_string(&files[0]).unwrap(), format!("[\n  \"{OLD}\",\n  \"{NEW}\"\n]"));
    }
    fs::remove_dir_all(&obstacle).unwrap();
    assert_eq!(a.swim("keys", &[&format!("-install={NEW}")]).code, Some(0));
    assert_eq!(fs::read_to_string(&files[1]).unwrap(), format!("[\n  \"{OLD}\",\n  \"{NEW}\"\n]"));
}
