//! What an agent records, replayed: the same bytes go out again.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use swim_tokio::swim_core::node::trace::{Replay, ReplayError};
use swim_tokio::swim_core::serf::member::Status;
use swim_tokio::swim_core::wire::keyring::{Key, Keyring};

use crate::support::{Agent, Directory};

const KEY: &str = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";

const EVENT: &str = "[INFO] agent: Received event: user-event: deploy";
const QUERY: &str = "[INFO] agent: Received event: query: load";

/// A member of three that hears of an event, a query and a crash, on a key that is not in the recording.
#[test]
fn a_life_is_replayed() {
    let directory = Directory::new("record");
    let path = directory.path().join("recording");
    let encrypt = format!("-encrypt={KEY}");
    let record = format!("-record={}", path.display());
    let mut a = Agent::start("a", &[&encrypt, &record, "-event-handler=query:load=echo much"]);
    let join = format!("-join={}", a.bind);
    let b = Agent::start("b", &[&encrypt, &join]);
    let c = Agent::start("c", &[&encrypt, &join]);
    a.members_until(|members| members.matches("alive").count() == 3);
    b.members_until(|members| members.matches("alive").count() == 3);
    a.wait_for_asking(EVENT, || assert_eq!(b.swim("event", &["-coalesce=false", "deploy", "1.2"]).code, Some(0)));
    a.wait_for_asking(QUERY, || assert_eq!(b.swim("query", &["-timeout=2s", "load"]).code, Some(0)));
    drop(c); // Killed.
    let has = |members: &str, name: &str, status: &str| {
        members.lines().any(|line| line.starts_with(name) && line.contains(status))
    };
    a.members_until(|members| has(members, "b ", " alive") && has(members, "c ", " failed"));
    a.signal("TERM");
    a.ended();

    let trace = fs::read(&path).unwrap();
    assert_eq!(Replay::new(&trace, Keyring::new(), None).unwrap_err(), ReplayError::Keys { expected: 1 });
    let mut keyring = Keyring::new();
    keyring.add(Key::new(&base64::engine::general_purpose::STANDARD.decode(KEY).unwrap()).unwrap()).unwrap();
    let mut replay = Replay::new(&trace, keyring, None).unwrap();
    let inputs = replay.run().unwrap();
    assert!(inputs > 20, "{inputs}");
    let statuses: Vec<_> = replay.node().members().map(|member| (member.name().to_string(), member.status())).collect();
    assert!(statuses.contains(&("b".into(), Status::Alive)) && statuses.contains(&("c".into(), Status::Failed)));
    // As many as the agent was told of: one of each, or more where it was asked again.
    let (events, queries) = [EVENT, QUERY].map(|line| a.output.matches(line).count() as u64).into();
    assert!(events > 0 && queries > 0, "{}", a.output);
    assert_eq!((replay.node().stats().user_events, replay.node().stats().queries), (events, queries));
}

/// Neither what an agent logs at its most talkative nor what it records has a key in it, in base64 or as it is, though keys
/// are given, listed and taken away meanwhile.
#[test]
fn no_key_is_logged_or_recorded() {
    const OTHER: &str = "5K9OtfP7efFrNKe5WCQvXvnaXJ5cWP0SvXiwe0kkjM4=";
    for wire in ["native", "serf"] {
        let directory = Directory::new("secret");
        let recording = |name: &str| directory.path().join(name);
        let start = |name: &str, join: &[&str]| {
            let settings = [
                &format!("-encrypt={KEY}"),
                &format!("-record={}", recording(name).display()),
                "-log-level=trace",
                &format!("-wire={wire}"),
            ];
            Agent::start(name, &[&settings, join].concat())
        };
        let a = start("a", &[]);
        let b = start("b", &[&format!("-join={}", a.bind)]);
        for agent in [&a, &b] {
            agent.members_until(|members| members.matches("alive").count() == 2);
        }
        let changed = |argument: &str| {
            // One that has not heard the question in time is asked again; the keys are changed once.
            let done = (0..5).any(|_| a.swim("keys", &[argument]).code == Some(0));
            assert!(done, "{argument}");
        };
        changed(&format!("-install={OTHER}"));
        changed(&format!("-use={OTHER}"));
        changed("-list");
        changed(&format!("-remove={KEY}"));
        for (mut agent, name) in [(a, "a"), (b, "b")] {
            agent.signal("TERM");
            agent.ended();
            let recorded = fs::read(recording(name)).unwrap();
            assert!(agent.output.contains("install-key") && recorded.len() > 1000, "{}", agent.output);
            for key in [KEY, OTHER] {
                let bytes = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
                for form in [&key.as_bytes()[..12], &bytes[..12]] {
                    for said in [agent.output.as_bytes(), &recorded] {
                        assert!(!said.windows(form.len()).any(|window| window == form), "{wire}: {name} tells {key}");
                    }
                }
            }
        }
    }
}

/// Started again with the same settings, an agent keeps what the run before has recorded, and ends at its limit alone.
#[test]
fn an_earlier_recording_is_kept() {
    let directory = Directory::new("record-again");
    let file = directory.write("a.json", r#"{"record_path": "recording", "record_size_limit": 1}"#);
    let config = format!("-config-file={file}");
    let start = || Agent::start_in(directory.path(), &["-node=a", &config]);
    let at = |name: &str| directory.path().join(name);
    let ends = "the trace ends here: its files have reached their limit";
    let mut first = start();
    first.wait_for(ends);
    let members = first.swim("members", &[]);
    assert_eq!(members.code, Some(0), "the agent goes on: {members:?}");
    drop(first);
    let recorded = fs::read(at("recording")).unwrap();
    start().wait_for(ends);
    assert_eq!(fs::read(at("recording.old")).unwrap(), recorded);
    assert!(fs::read(at("recording")).unwrap().starts_with(b"swimtrc1"));
    assert!(is_private(&at("recording")));
    let replayed = Replay::new(&recorded, Keyring::new(), None).map(|mut replay| replay.run());
    assert!(matches!(replayed, Ok(Ok(_))), "what is there can be replayed: {replayed:?}");
}

fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}
