//! Discovery by mDNS, on the loopback interface.

use crate::support::Agent;

/// No other test's, nor other run's.
fn cluster(name: &str) -> String {
    format!("-discover={name}-{}", std::process::id())
}

#[test]
fn members_of_a_cluster_find_each_other() {
    let (ours, theirs) = (cluster("ours"), cluster("theirs"));
    let a = Agent::start_at("127.0.0.71", "a", &[&ours]);
    assert!(
        a.output.contains(&format!("                   mDNS cluster: ours-{}\n", std::process::id())),
        "{}",
        a.output
    );
    let mut other = Agent::start_at("127.0.0.74", "other", &[&theirs]);
    let mut b = Agent::start_at("127.0.0.72", "b", &[&ours, "-replay"]);
    b.wait_for("[INFO] agent.mdns: Joined ");
    b.wait_for(&format!("[INFO] agent: joining: [{}] replay: true", a.bind));
    let c = Agent::start_at("127.0.0.73", "c", &[&ours, "-mdns-iface=lo", "-mdns-disable-ipv6"]);
    for agent in [&a, &b, &c] {
        let members = agent.members_until(|members| members.matches(" alive").count() == 3);
        assert!(!members.contains("other"), "{members}");
    }
    other.wait_for("EventMemberJoin: other 127.0.0.74");
    assert_eq!(other.swim("members", &[]).stdout.lines().count(), 1);
}

/// Whoever is found and cannot be joined is nobody's end.
#[test]
fn a_neighbour_with_another_key() {
    let cluster = cluster("keys");
    let key = |byte: &str| format!("-encrypt={}=", byte.repeat(43));
    let _a = Agent::start_at("127.0.0.75", "a", &[&cluster, &key("A")]);
    let mut b = Agent::start_at("127.0.0.76", "b", &[&cluster, &key("E")]);
    b.wait_for("[ERR] agent.mdns: Failed to join: 1 error occurred:");
    assert_eq!(b.swim("members", &[]).stdout.lines().count(), 1);
}
