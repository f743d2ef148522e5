//! Tags that change while the cluster runs, on either side.

use std::collections::BTreeMap;

use swim_tokio::SetTagsError;
use swim_tokio::swim_core::serf::event::MemberEvent;

use crate::harness::{Agent, Kind, Peer, secs, wait_until};
use crate::member::{Member, everybody, four};

fn wait_tags(everybody: &[&dyn Peer], of: &str, tags: &[(&str, &str)]) {
    let tags: BTreeMap<_, _> = tags.iter().map(|(key, tag)| ((*key).to_owned(), (*tag).to_owned())).collect();
    wait_until(&format!("everybody knows the tags of {of}"), secs(20), || {
        for peer in everybody {
            let members = peer.members()?;
            let row = members.0.get(of).ok_or("the member is gone")?;
            if row.tags != tags || row.status != "alive" {
                return Err(format!("{} says {row:?}", peer.name()));
            }
        }
        Ok(())
    });
}

/// Serf's agents and our members have been told that a member has changed, and nothing else of it since it has joined.
fn told_of_updates(serfs: &[Agent], members: &[Member], of: &str) {
    for serf in serfs {
        let line = format!("EventMemberUpdate: {of}");
        wait_until(&format!("{} logs {line}", serf.name), secs(10), || {
            if serf.log_lines(&[&line]).is_empty() { Err(serf.log()) } else { Ok(()) }
        });
        assert_eq!(serf.log_lines(&["EventMemberFailed", "EventMemberLeave"]), [""; 0]);
    }
    for member in members {
        member.wait_change(of, MemberEvent::Update, secs(10));
        let changes = member.changes(of);
        assert!(changes[1..].iter().all(|change| *change == MemberEvent::Update), "{changes:?}");
    }
}

#[test]
fn ours_changes() {
    let (serfs, members) = four();
    let all = everybody(&serfs, &members);
    let member = &members[0];
    let mut tags = member.cluster.tags();
    tags.insert("colour", "green");
    tags.insert("größe", "50 %, \"=\" and a | bar");
    member.wait(member.cluster.set_tags(tags.clone())).expect("they fit");
    wait_tags(&all, "swim-a", &[("colour", "green"), ("größe", "50 %, \"=\" and a | bar"), ("kind", "swim")]);
    told_of_updates(&serfs, &members, "swim-a");

    // One replaced, one taken away.
    tags.insert("colour", "blue");
    tags.remove("größe");
    member.wait(member.cluster.set_tags(tags.clone())).expect("they fit");
    wait_tags(&all, "swim-a", &[("colour", "blue"), ("kind", "swim")]);

    // Down to the last byte.
    tags.insert("fill", "x".repeat(600));
    let refused = member.wait(member.cluster.set_tags(tags.clone()));
    let Err(SetTagsError::TooLarge(too_large)) = refused else { panic!("{refused:?}") };
    let fill = "x".repeat(600 - (too_large.len - too_large.max));
    tags.insert("fill", &*fill);
    member.wait(member.cluster.set_tags(tags)).expect("they just fit");
    wait_tags(&all, "swim-a", &[("colour", "blue"), ("fill", &fill), ("kind", "swim")]);
}

#[test]
fn theirs_changes() {
    let (serfs, members) = four();
    let all = everybody(&serfs, &members);
    let set = |args: &[&str]| {
        let output = serfs[0].ask(Kind::Serf, "tags", args);
        assert!(output.success, "tags {args:?}: {}", output.stdout);
    };
    set(&["-set", "colour=green", "-set", "größe=50 %, \"=\" and a | bar"]);
    wait_tags(&all, "serf-a", &[("colour", "green"), ("größe", "50 %, \"=\" and a | bar"), ("kind", "serf")]);
    told_of_updates(&serfs, &members, "serf-a");

    set(&["-set", "colour=blue", "-delete", "größe"]);
    wait_tags(&all, "serf-a", &[("colour", "blue"), ("kind", "serf")]);
    set(&["-delete", "kind", "-delete", "colour"]);
    wait_tags(&all, "serf-a", &[]);
}
