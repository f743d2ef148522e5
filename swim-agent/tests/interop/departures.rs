//! Members that leave, members that die, and members that are made to leave: both implementations say the same of them.

use core::slice;

use swim_tokio::swim_core::serf::config::Life;
use swim_tokio::swim_core::serf::event::MemberEvent;

use crate::harness::{Agent, Kind, Peer, secs, wait_forced, wait_status, wait_until};
use crate::member::{Member, everybody, four};

/// Waits until all of `serfs` and `members` give this status to `subject`, and have been told of it: the agents log one
/// of `lines`, the members end with `change`.
fn wait_told(serfs: &[Agent], members: &[Member], subject: &str, status: &str, lines: &[&str], change: MemberEvent) {
    for peer in everybody(serfs, members) {
        wait_status(peer, subject, status, secs(45));
    }
    for serf in serfs {
        let lines: Vec<_> = lines.iter().map(|line| format!("{line}: {subject}")).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        wait_until(&format!("{} logs one of {lines:?}", serf.name), secs(10), || {
            if serf.log_lines(&lines).is_empty() { Err("not yet".to_owned()) } else { Ok(()) }
        });
    }
    for member in members {
        member.wait_change(subject, change, secs(10));
    }
}

/// Whoever says goodbye has left, and whoever is killed has failed, whichever implementation it is and whichever is
/// asked.
#[test]
fn a_goodbye_and_a_crash_differ() {
    let (serfs, members) = four();
    let [leaver, stays] = serfs;
    let [ours, observer] = members;
    ours.wait(ours.cluster.leave()).expect("it is a member");
    assert_eq!(ours.cluster.life(), Life::Left);
    ours.crash();
    leaver.signal("INT");
    let witnesses = [observer];
    for gone in ["swim-a", "serf-a"] {
        // SWIM's farewell may overtake Serf's: then the member passes for failed until that one comes.
        let lines = ["EventMemberLeave", "EventMemberLeave (forced)"];
        wait_told(slice::from_ref(&stays), &witnesses, gone, "left", &lines, MemberEvent::Leave);
    }
    drop((leaver, ours));

    // Two newcomers, to see two die.
    let [observer] = witnesses;
    let mut dies = Agent::start(Kind::Serf, "serf-c", &["-profile=local"]);
    let crashes = Member::start("swim-c", |_| ());
    dies.join(&observer);
    crashes.join(&stays);
    let witnesses = [observer];
    for name in ["serf-c", "swim-c"] {
        wait_told(slice::from_ref(&stays), &witnesses, name, "alive", &["EventMemberJoin"], MemberEvent::Join);
    }
    dies.kill();
    crashes.crash();
    for gone in ["serf-c", "swim-c"] {
        wait_told(slice::from_ref(&stays), &witnesses, gone, "failed", &["EventMemberFailed"], MemberEvent::Failed);
        // Nobody took it for a goodbye meanwhile.
        assert_eq!(stays.log_lines(&[&format!("EventMemberLeave: {gone}")]), [""; 0]);
        assert_eq!(witnesses[0].changes(gone), [MemberEvent::Join, MemberEvent::Failed]);
    }
    // And those that had left have stayed so.
    for gone in ["serf-a", "swim-a"] {
        assert_eq!(stays.members().expect("it answers").status(gone), "left");
        assert_eq!(witnesses[0].members().expect("it answers").status(gone), "left");
    }
}

/// One of each kind dies and is made to leave, and then forgotten, by whom `force_leave` says.
fn forced(force_leave: impl Fn(&Agent, &Member, &str, bool)) {
    let (serfs, members) = four();
    let [mut dies, serf] = serfs;
    let [crashes, member] = members;
    dies.kill();
    crashes.crash();
    let (serfs, members) = ([serf], [member]);
    for gone in ["serf-a", "swim-a"] {
        wait_told(&serfs, &members, gone, "failed", &["EventMemberFailed"], MemberEvent::Failed);
        force_leave(&serfs[0], &members[0], gone, false);
        wait_told(&serfs, &members, gone, "left", &["EventMemberLeave (forced)"], MemberEvent::Leave);
    }
    for gone in ["serf-a", "swim-a"] {
        wait_forced(&everybody(&serfs, &members), gone, "none", || force_leave(&serfs[0], &members[0], gone, true));
        members[0].wait_change(gone, MemberEvent::Reap, secs(10));
        wait_until("the agent logs the reaping", secs(10), || {
            let line = format!("EventMemberReap (forced): {gone}");
            if serfs[0].log_lines(&[&line]).is_empty() { Err(serfs[0].log()) } else { Ok(()) }
        });
    }
    // One that nobody knows is no error, and whoever is left is still there.
    force_leave(&serfs[0], &members[0], "nobody", false);
    for peer in everybody(&serfs, &members) {
        for name in ["serf-b", "swim-b"] {
            wait_status(peer, name, "alive", secs(10));
        }
    }
}

#[test]
fn forced_by_ours() {
    forced(|_, member, name, prune| {
        member.wait(member.cluster.force_leave(name.as_bytes(), prune)).expect("it runs");
    });
}

#[test]
fn forced_by_theirs() {
    forced(|serf, _, name, prune| {
        let args: &[&str] = if prune { &["-prune", name] } else { &[name] };
        let output = serf.ask(Kind::Serf, "force-leave", args);
        assert!(output.success, "{}", output.stdout);
    });
}

/// A member that is there objects to a leave that others have decided upon, and stays in the cluster.
#[test]
fn the_living_object() {
    let (serfs, members) = four();
    let all = everybody(&serfs, &members);
    let time = |subject: &str| members[1].cluster.member(subject.as_bytes()).expect("it is known").status_time;

    for (subject, by_ours) in [("serf-a", true), ("swim-a", false)] {
        let before = time(subject);
        let line = format!("messageJoinType: {subject}");
        let joins = |serf: &Agent| serf.log_lines(&[&line]).len();
        let joins_before = serfs.each_ref().map(joins);
        if by_ours {
            members[0].wait(members[0].cluster.force_leave(subject.as_bytes(), false)).expect("it runs");
        } else {
            let output = serfs[1].ask(Kind::Serf, "force-leave", &[subject]);
            assert!(output.success, "{}", output.stdout);
        }
        for (serf, before) in serfs.iter().zip(joins_before) {
            // It may come before the leave does.
            wait_until(&format!("{} hears the objection of {subject}", serf.name), secs(15), || {
                let heard = joins(serf);
                if heard > before { Ok(()) } else { Err(format!("it has heard of {heard} joins")) }
            });
        }
        wait_until("our member hears the objection", secs(15), || {
            // The leave came with one time, the objection with a later one.
            let heard = time(subject);
            if heard.0 >= before.0 + 2 { Ok(()) } else { Err(format!("{before} was the time, it is {heard}")) }
        });
        for peer in &all {
            wait_status(*peer, subject, "alive", secs(15));
        }
    }
    for serf in &serfs {
        assert_eq!(serf.log_lines(&["EventMemberLeave", "EventMemberFailed", "EventMemberReap"]), [""; 0]);
    }
    for member in &members {
        for subject in ["serf-a", "swim-a"] {
            assert!(member.changes(subject).iter().all(|change| *change == MemberEvent::Join));
        }
    }
}
