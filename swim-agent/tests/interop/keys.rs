//! Keys are changed while the cluster runs, and nobody is lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use swim_tokio::Options;
use swim_tokio::swim_core::Event;
use swim_tokio::swim_core::serf::event::MemberEvent;
use swim_tokio::swim_core::wire::keyring::Key;

use crate::harness::{Agent, Kind, Peer, secs, wait_until, wait_whole};
use crate::member::{Member, everybody, four_with};

const OLD: &str = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
/// Of another length: 16 bytes.
const NEW: &str = "AAECAwQFBgcICQoLDA0ODw==";

fn with_key(key: &'static str) -> impl Fn(&mut Options) {
    move |options| {
        let key = Key::new(&STANDARD.decode(key).expect("base64")).expect("a fit length");
        options.config.wire.keyring.add(key).expect("an empty ring");
    }
}

fn keys(serf: &Agent, arg: &str) -> String {
    let output = serf.ask(Kind::Serf, "keys", &[arg]);
    assert!(output.success, "keys {arg}: {}", output.stdout);
    output.stdout
}

/// Everybody hears everybody, by gossip.
fn still_talking(serfs: &[Agent], members: &[Member], step: &str) {
    let (ours, theirs) = (format!("ours-{step}"), format!("theirs-{step}"));
    members[0].cluster.user_event(ours.as_bytes(), None, false).expect("a short event");
    let output = serfs[0].ask(Kind::Serf, "event", &["-coalesce=false", &theirs]);
    assert!(output.success, "{}", output.stdout);
    for name in [ours, theirs] {
        wait_until(&format!("everybody hears {name}"), secs(15), || {
            for member in members {
                if !member.heard().iter().any(|event| event.name == name) {
                    return Err(format!("{} does not", member.name));
                }
            }
            let line = format!("Received event: user-event: {name}");
            let deaf = serfs.iter().find(|serf| serf.log_lines(&[&line]).is_empty());
            deaf.map_or(Ok(()), |serf| Err(format!("{} does not", serf.name)))
        });
    }
}

/// What is done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Install,
    Use,
    Remove,
}

/// Install, use, remove, in a cluster of both, by `change`, which checks that each of the four has done it: all go on
/// talking at every step, nobody is lost, and afterwards the new key lets in and the old one does not.
fn rotated(change: impl Fn(&[Agent; 2], &[Member; 2], Change, &str)) {
    let (serfs, members) = four_with(&[&format!("-encrypt={OLD}")], with_key(OLD));
    still_talking(&serfs, &members, "before");
    let changed = |times: usize| {
        for member in &members {
            wait_until(&format!("the keys of {} have changed {times} times", member.name), secs(10), || {
                let changes =
                    member.events().iter().filter(|event| matches!(event, Event::KeyringChanged { .. })).count();
                if changes == times { Ok(()) } else { Err(format!("{changes} times so far")) }
            });
        }
    };
    change(&serfs, &members, Change::Install, NEW);
    changed(1);
    let listed = keys(&serfs[1], "-list");
    for key in [OLD, NEW] {
        assert!(listed.lines().any(|line| line.starts_with(key) && line.ends_with("[4/4]")), "{listed}");
    }
    still_talking(&serfs, &members, "installed");
    change(&serfs, &members, Change::Use, NEW);
    changed(2);
    still_talking(&serfs, &members, "used");
    change(&serfs, &members, Change::Remove, OLD);
    changed(3);
    let listed = keys(&serfs[0], "-list");
    assert!(listed.contains(&format!("{NEW}  [4/4]")) && !listed.contains(OLD), "{listed}");
    still_talking(&serfs, &members, "removed");

    for serf in &serfs {
        assert_eq!(serf.log_lines(&["EventMemberFailed", "EventMemberLeave"]), [""; 0]);
    }
    let names: Vec<_> = everybody(&serfs, &members).into_iter().map(|peer| peer.name().to_owned()).collect();
    for (member, name) in members.iter().flat_map(|member| names.iter().map(move |name| (member, name))) {
        let changes = member.changes(name);
        assert!(changes.iter().all(|change| *change == MemberEvent::Join), "{name} on {}: {changes:?}", member.name);
    }

    let late = Member::start("swim-c", with_key(OLD));
    let refused = late.wait(late.cluster.join(&[serfs[0].bind.to_string()]));
    assert!(refused.is_err(), "joined with the old key: {refused:?}");
    let serf = Agent::start(Kind::Serf, "serf-d", &["-profile=local", &format!("-encrypt={NEW}")]);
    let member = Member::start("swim-d", with_key(NEW));
    serf.join(&members[0]);
    member.join(&serfs[0]);
    let mut all = everybody(&serfs, &members);
    all.extend([&serf as &dyn Peer, &member]);
    wait_whole(&all, secs(40));
}

#[test]
fn rotated_by_theirs() {
    rotated(|serfs, _, change, key| {
        let flag = match change {
            Change::Install => "install",
            Change::Use => "use",
            Change::Remove => "remove",
        };
        keys(&serfs[0], &format!("-{flag}={key}"));
        if change == Change::Use {
            // What cannot be done is refused by everybody in the same words.
            let refused = serfs[1].ask(Kind::Serf, "keys", &[&format!("-remove={key}")]);
            assert!(!refused.success && refused.stdout.contains("4/4 nodes reported failure"), "{}", refused.stdout);
            assert_eq!(refused.stdout.matches("Removing the primary key is not allowed").count(), 4);
        }
    });
}

#[test]
fn rotated_by_ours() {
    rotated(|_, members, change, text| {
        let key = STANDARD.decode(text).expect("base64");
        let member = &members[1];
        let keys = member.cluster.keys();
        let report = member.wait(async {
            match change {
                Change::Install => keys.install(&key).await,
                Change::Use => keys.use_key(&key).await,
                Change::Remove => keys.remove(&key).await,
            }
        });
        let report = report.expect("a fit key in a sealed cluster");
        assert!(report.is_complete() && report.nodes == 4, "{change:?}: {report}: {:?}", report.messages);

        let listed = member.wait(member.cluster.keys().list()).expect("a sealed cluster");
        let holders = if change == Change::Remove { None } else { Some(4) };
        assert_eq!(listed.keys.get(text).copied(), holders, "{change:?}: {listed:?}");
        let primary = if change == Change::Install { OLD } else { NEW };
        assert_eq!(listed.primaries.get(primary), Some(&4), "{change:?}: {listed:?}");
        if change == Change::Use {
            let refused = member.wait(member.cluster.keys().remove(&key)).expect("a sealed cluster");
            assert_eq!((refused.nodes, refused.errors), (4, 4));
            let said = "Removing the primary key is not allowed";
            assert!(refused.messages.values().all(|message| message == said), "{:?}", refused.messages);
        }
    });
}
