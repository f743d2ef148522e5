//! Several agents together.

use crate::support::{Agent, UNHURRIED, swim};

/// Four transmissions of each update: both others hear of a leave. Of the local profile's two, both may go to one of them.
const LAN: &str = "-profile=lan";

/// How many members of `members` have `status`.
fn count(members: &str, status: &str) -> usize {
    members.lines().filter(|line| line.split_whitespace().nth(2) == Some(status)).count()
}

/// Three agents find each other, by flag and by command, and each lists all; one leaves and is known as left.
fn three_join_and_one_leaves(wire: &str) {
    let mut a = Agent::start("node-a", &["-wire", wire, LAN, "-tag", "role=web", "-tag", "dc=east"]);
    let b = Agent::start("node-b", &["-wire", wire, LAN, "-tag", "role=db", "-join", &a.bind.to_string()]);
    assert!(
        b.output.contains("==> Joining cluster...(replay: false)\n    Join completed. Synced with 1 initial agents\n")
    );
    let mut c = Agent::start("c", &["-wire", wire, LAN]);
    let joined = c.swim("join", &[&b.bind.to_string()]);
    assert_eq!((joined.code, &*joined.stdout), (Some(0), "Successfully joined cluster by contacting 1 nodes.\n"));
    for agent in [&a, &b, &c] {
        let members = agent.members_until(|members| count(members, "alive") == 3);
        assert!(members.contains("dc=east,role=web"), "{members}");
    }
    a.wait_for("[INFO] serf: EventMemberJoin: c 127.0.0.1");

    let web = a.swim("members", &["-tag", "role=web", "-name=node-.*"]).stdout;
    assert_eq!(web, format!("node-a  {}  alive  dc=east,role=web\n", a.bind));
    let detailed = a.swim("members", &["-detailed", "-role=db"]).stdout;
    let row = format!("node-b  {}  alive  role=db  Protocol Version: 5  Available Protocol Range: [2, 5]", b.bind);
    assert_eq!(detailed, format!("Deprecation warning: 'Role' has been replaced with 'Tags'\n{row}\n"));

    assert_eq!(c.swim("leave", &[]).code, Some(0));
    assert_eq!(c.ended(), Some(0));
    a.members_until(|members| count(members, "left") == 1);
    a.wait_for("[INFO] serf: EventMemberLeave: c 127.0.0.1");
}

#[test]
fn three_on_the_native_wire() {
    three_join_and_one_leaves("native");
}

#[test]
fn three_on_serfs_wire() {
    three_join_and_one_leaves("serf");
}

#[test]
fn the_killed_are_failed_and_may_return() {
    let mut a = Agent::start("a", &[]);
    // An address of its own, or somebody else might have the port when it returns.
    let b = Agent::start_at("127.0.0.61", "b", &["-join", &a.bind.to_string()]);
    let address = format!("-bind={}", b.bind);
    a.members_until(|members| count(members, "alive") == 2);
    drop(b);
    a.members_until(|members| count(members, "failed") == 1);
    a.wait_for("[INFO] serf: EventMemberFailed: b 127.0.0.61");
    let b = Agent::start("b", &[&address, "-join", &a.bind.to_string()]);
    a.members_until(|members| count(members, "alive") == 2);
    drop(b);
}

#[test]
fn encrypted_agents_find_each_other() {
    for wire in ["native", "serf"] {
        let key = swim(&["keygen"]).stdout;
        let arguments = ["-wire", wire, "-encrypt", key.trim()];
        let a = Agent::start("a", &arguments);
        assert!(a.output.contains("Encrypted: true\n"), "{}", a.output);
        let b = Agent::start("b", &[&arguments[..], &["-join", &a.bind.to_string()]].concat());
        a.members_until(|members| count(members, "alive") == 2);
        drop(b);
    }
}

/// The three rounds of docs/security.md: in each of them everybody is started anew with other settings, one after the
/// other, and is understood by those whose turn has not come.
#[test]
fn a_running_cluster_gets_a_key() {
    let key = swim(&["keygen"]).stdout;
    let encrypt = format!("-encrypt={}", key.trim());
    let (incoming, outgoing) = ("-encrypt-verify-incoming=false", "-encrypt-verify-outgoing=false");
    let rounds: [(&[&str], &str, &str); 4] = [
        (&[], "Encrypted: false\n", ""),
        (&[&encrypt, incoming, outgoing], "Encrypted: NOT YET: plain packets are sent and accepted", "sent: plain"),
        (&[&encrypt, incoming], "Encrypted: true, BUT PLAIN PACKETS ARE ACCEPTED", "sent: sealed"),
        (&[&encrypt], "Encrypted: true\n", ""),
    ];
    for (wire, hosts) in [("-wire=native", ["127.0.0.64", "127.0.0.65"]), ("-wire=serf", ["127.0.0.66", "127.0.0.67"])]
    {
        let start =
            |host, name, arguments: &[&str]| Agent::start_at(host, name, &[arguments, &[wire, UNHURRIED]].concat());
        let mut agents: [Agent; 2] = [start(hosts[0], "a", &[]), start(hosts[1], "b", &[])];
        for (arguments, banner, warning) in rounds {
            for turn in [0, 1] {
                let address = agents[turn].bind;
                let (bind, join) = (format!("-bind={address}"), format!("-join={}", agents[1 - turn].bind));
                agents[turn].signal("KILL");
                agents[turn].ended();
                let name = ["a", "b"][turn];
                agents[turn] = Agent::start(name, &[arguments, &[wire, UNHURRIED, &bind, &join]].concat());
                assert!(agents[turn].output.contains(banner), "{}", agents[turn].output);
                if !warning.is_empty() {
                    agents[turn].wait_for("ENCRYPTION IS NOT ENFORCED YET");
                    agents[turn].wait_for(warning);
                }
                for agent in &agents {
                    agent.members_until(|members| count(members, "alive") == 2);
                }
            }
        }
        let stranger = Agent::start("stranger", &[wire, UNHURRIED]);
        assert_eq!(stranger.swim("join", &[&agents[0].bind.to_string()]).code, Some(1));
        agents[0].wait_for("It does not encrypt");
        assert!(!agents[0].output.contains("NOT ENFORCED"), "{}", agents[0].output);
    }
}

/// Whoever mixes the wire formats is told which setting to change.
#[test]
fn the_other_wire_format_is_named_in_the_log() {
    let mut a = Agent::start("a", &["-wire=native"]);
    let b = Agent::start("b", &["-wire=serf"]);
    let joined = b.swim("join", &[&a.bind.to_string()]);
    assert_eq!(joined.code, Some(1));
    assert!(joined.stdout.starts_with("Error joining the cluster: 1 error occurred:\n\t* "), "{}", joined.stdout);
    assert!(joined.stdout.contains("see --wire"), "{}", joined.stdout);
    a.wait_for("start this agent with --wire");
}

#[test]
fn joining_in_the_background_works_once_somebody_is_there() {
    // An address of its own, or somebody else might have the port meanwhile.
    let seed = Agent::start_at("127.0.0.62", "seed", &[]);
    let address = seed.bind;
    drop(seed);
    let mut a = Agent::start("a", &["-retry-join", &address.to_string(), "-retry-interval=1s"]);
    a.wait_for("[WARN] agent: Join failed: ");
    let _seed = Agent::start("seed", &[&format!("-bind={address}")]);
    a.wait_for("[INFO] agent: Join completed. Synced with 1 initial agents");
}
