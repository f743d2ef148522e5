//! Two members of one name: the same one stays for everybody, whichever implementation they are.

use swim_tokio::swim_core::Event;

use crate::harness::{Agent, Kind, Peer, secs, wait_until, wait_whole};
use crate::member::{Member, everybody, four};

const TWIN: &str = "twin";

/// One that bears the disputed name.
enum Twin {
    Theirs(Agent),
    Ours(Member),
}

impl Twin {
    fn start(kind: Kind) -> Self {
        match kind {
            Kind::Serf => Self::Theirs(Agent::start(kind, TWIN, &["-profile=local"])),
            Kind::Swim => Self::Ours(Member::start(TWIN, |_| ())),
        }
    }

    fn join(&self, other: &dyn Peer) {
        match self {
            Self::Theirs(agent) => agent.join(other),
            Self::Ours(member) => member.join(other),
        }
    }

    fn peer(&self) -> &dyn Peer {
        match self {
            Self::Theirs(agent) => agent,
            Self::Ours(member) => member,
        }
    }

    /// Waits until it has given up its name: an agent ends by itself, a member is ended by its application.
    fn wait_lost(&mut self) {
        match self {
            Self::Theirs(agent) => {
                let status = agent.wait_exit(secs(20));
                assert_eq!(status.code(), Some(0));
                let lines = agent.log_lines(&["minority in name conflict resolution"]);
                assert_eq!(lines.len(), 1, "{lines:?}");
            }
            Self::Ours(member) => {
                let (matching, responses) = wait_until("our member loses its name", secs(20), || {
                    lost(member).ok_or_else(|| "not yet".to_owned())
                });
                assert!(responses > 0 && matching <= responses / 2, "{matching} of {responses}");
                member.crash();
            }
        }
    }

    fn assert_kept(&self) {
        match self {
            Self::Theirs(agent) => assert_eq!(agent.log_lines(&["minority in name conflict"]), [""; 0]),
            Self::Ours(member) => assert_eq!(lost(member), None),
        }
    }
}

fn lost(member: &Member) -> Option<(usize, usize)> {
    member.events().into_iter().find_map(|event| {
        let Event::NameLost { matching, responses } = event else { return None };
        Some((matching, responses))
    })
}

/// Somebody comes to a cluster that has a member of its name: it goes again, and nobody has taken it for the other.
fn a_latecomer_goes(first: Kind) {
    let (serfs, members) = four();
    let first = Twin::start(first);
    first.join(&members[0]);
    let mut all = everybody(&serfs, &members);
    all.push(first.peer());
    wait_whole(&all, secs(40));

    let mut second = Twin::start(first.peer().kind().other());
    second.join(&serfs[0]);
    second.wait_lost();
    first.assert_kept();
    wait_whole(&all, secs(40));
    for serf in &serfs {
        assert_eq!(serf.log_lines(&["EventMemberFailed", "EventMemberLeave"]), [""; 0]);
    }
}

#[test]
fn theirs_comes_to_ours() {
    a_latecomer_goes(Kind::Swim);
}

#[test]
fn ours_comes_to_theirs() {
    a_latecomer_goes(Kind::Serf);
}

/// Two clusters, each with a member of the same name, become one: that of the larger one stays, and in the end those of
/// the smaller one know it, too.
fn the_larger_cluster_prevails(larger: Kind) {
    let (serfs, members) = four();
    let stays = Twin::start(larger);
    stays.join(&members[0]);
    let mut goes = Twin::start(larger.other());
    let serf = Agent::start(Kind::Serf, "serf-c", &["-profile=local"]);
    let member = Member::start("swim-c", |_| ());
    goes.join(&serf);
    member.join(&serf);
    let mut all = everybody(&serfs, &members);
    all.push(stays.peer());
    wait_whole(&all, secs(40));
    wait_whole(&[goes.peer(), &serf, &member], secs(40));

    goes.join(&serfs[1]);
    goes.wait_lost();
    all.extend([&serf as &dyn Peer, &member]);
    // It has to fail there and be forgotten, before its namesake is believed.
    wait_whole(&all, secs(120));
    stays.assert_kept();
}

#[test]
fn theirs_prevails() {
    the_larger_cluster_prevails(Kind::Serf);
}

#[test]
fn ours_prevails() {
    the_larger_cluster_prevails(Kind::Swim);
}
