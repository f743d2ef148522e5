//! Configurations as they are found on servers, taken over as they are.

use std::fs;
use std::path::Path;

use crate::support::{Agent, Directory};

/// A copy of a directory of `tests/deployment`, because agents write into theirs.
fn copy(name: &str) -> Directory {
    let directory = Directory::new(&format!("deployment-{name}"));
    for name in [name, "swim"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deployment").join(name);
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    directory
}

/// Every key of Serf's, in a directory that its own agent starts with (but for `wire`), and every one of ours.
#[test]
#[cfg(target_os = "linux")] // Where the loopback interface is called lo.
fn a_directory_of_serfs() {
    let directory = copy("serf");
    fs::remove_file(directory.path().join("50-swim.json")).unwrap();
    directory.write("99-wire.json", r#"{"wire": "serf"}"#);
    let mut agent = Agent::start_in(directory.path(), &["-config-dir=."]);
    for said in [
        "Deprecation warning: 'Role' has been replaced with 'Tags'",
        "Node name: 'web-1'",
        "Advertise addr: '127.0.0.1:7946'",
        "Encrypted: true",
        "Snapshot: true",
        "[INFO] agent: Restored keyring with 2 keys from keyring",
        "[WARN] agent: Join failed: ",
    ] {
        agent.wait_for(said);
    }
    let members = agent.swim("members", &["-rpc-auth=sekret"]);
    assert_eq!(members.stdout, "web-1  127.0.0.1:7946  alive  dc=east,role=web,version=7\n");
    let payload = "x".repeat(550);
    assert_eq!(agent.swim("event", &["-rpc-auth=sekret", "-coalesce=false", "deploy", &payload]).code, Some(0));
    agent.wait_for("[DEBUG] agent: Event 'user' script output: ");
    assert_eq!(fs::read_to_string(directory.path().join("user")).unwrap(), payload + "\n");
    let too_long = agent.swim("event", &["-rpc-auth=sekret", "deploy", &"x".repeat(600)]);
    assert!(too_long.stdout.contains("user event exceeds configured limit of 600 bytes"), "{}", too_long.stdout);
    agent.signal("TERM");
    assert_eq!(agent.ended(), Some(0), "{}", agent.output);
    assert!(fs::read_to_string(directory.path().join("snapshot")).unwrap().contains("leave\n"));
}

/// The same and our own keys.
#[test]
#[cfg(target_os = "linux")]
fn a_directory_of_ours() {
    let directory = copy("serf");
    let agent = Agent::start_in(directory.path(), &["-config-dir=."]);
    assert!(agent.output.contains("Metrics: 'http://127.0.0.1:"), "{}", agent.output);
    assert_eq!(agent.swim("members", &["-rpc-auth=sekret"]).code, Some(0));
}

/// What excludes the keys of the other one.
#[test]
fn a_directory_that_keeps_its_tags() {
    let directory = copy("kept");
    let mut agent = Agent::start_in(directory.path(), &["-config-dir=."]);
    agent.wait_for("[INFO] agent: Restored 1 tag(s) from tags");
    assert!(agent.output.contains("Encrypted: true"), "{}", agent.output);
    assert_eq!(agent.swim("tags", &["-set", "role=web"]).code, Some(0));
    assert_eq!(
        fs::read_to_string(directory.path().join("tags")).unwrap(),
        "{\n  \"dc\": \"west\",\n  \"role\": \"web\"\n}"
    );
    assert!(agent.swim("members", &[]).stdout.ends_with("dc=west,role=web\n"));
}

/// Limits and switches reach the protocol.
#[test]
fn limits_hold() {
    let directory = Directory::new("limits");
    let file = directory.write(
        "a.json",
        r#"{"query_size_limit": 100, "query_response_size_limit": 100, "disable_coordinates": true,
            "event_handlers": ["query:big=printf %0200d 1", "query:small=echo yes"]}"#,
    );
    let mut agent = Agent::start("a", &["-config-file", &file]);
    let asked = agent.swim("query", &["load", &"x".repeat(200)]);
    assert_eq!(asked.code, Some(1));
    assert!(asked.stdout.contains("query exceeds limit of 100 bytes"), "{}", asked.stdout);
    let big = agent.swim("query", &["-timeout=2s", "big"]);
    assert!(big.stdout.contains("Total Responses: 0"), "{}", big.stdout);
    agent.wait_for("response exceeds limit of 100 bytes");
    let small = agent.swim("query", &["-timeout=10s", "small"]);
    assert!(small.stdout.contains("Response from 'a': yes"), "{}", small.stdout);
    assert!(!agent.swim("info", &[]).stdout.contains("coordinate_resets"));
    assert_eq!(agent.swim("rtt", &["a"]).code, Some(1));
}

/// Members with names that the one that is strict would not have.
#[test]
fn names_can_be_demanded_to_be_plain() {
    let directory = Directory::new("strict");
    let file = directory.write("a.json", r#"{"validate_node_names": true}"#);
    let mut strict = Agent::start("strict-1.example", &["-config-file", &file]);
    let good = Agent::start("good-1", &["-join", &strict.bind.to_string()]);
    let bad = Agent::start("bad_1", &[]);
    // Whether the one that asks is told depends on which side refuses; that nobody enters does not.
    bad.swim("join", &[&strict.bind.to_string()]);
    strict.wait_for("Node name contains characters other than letters, digits, dashes and dots");
    let members = strict.members_until(|members| members.contains("good-1 "));
    assert!(!members.contains("bad_1"), "{members}");
    drop(good);
}
