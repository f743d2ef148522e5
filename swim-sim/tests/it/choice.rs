//! Who is chosen for what: `swim-state.md` section 8.

use std::collections::BTreeSet;

use swim_core::wire::message::State;
use swim_sim::puppet::StreamNews;
use swim_sim::{Puppet, Said, TestNet, ms, secs};

const SEED: u64 = 8;

fn updates(puppet: &Puppet) -> usize {
    puppet.messages_where(|said| said.is_about("news")).len()
}

/// Gossip goes to the alive and to those who died within the last 30 seconds; not to those who left (swim-state 8,
/// first row).
#[test]
fn gossip_reaches_the_living_and_the_recently_dead() {
    // No probes: nobody else gets updates by piggyback, and nobody is forgotten.
    let mut net = TestNet::bench_with(SEED, |config| config.swim.probe_interval = secs(0));
    let (alive, dead, left) = (net.member("alive"), net.member("dead"), net.member("left"));
    let news = net.puppet("news");
    net.tell(&alive, "n1", alive.dead("dead", 1));
    net.tell(&left, "n1", left.dead("left", 1));
    for puppet in [&alive, &dead, &left] {
        puppet.forget();
    }
    for incarnation in 1..=50 {
        net.tell(&alive, "n1", news.alive(incarnation));
        net.run_for(ms(500));
    }
    assert!(updates(&alive) > 10 && updates(&dead) > 10);
    assert_eq!(updates(&left), 0);
    net.run_for(secs(10));
    dead.forget();
    for incarnation in 51..=70 {
        net.tell(&alive, "n1", news.alive(incarnation));
        net.run_for(ms(500));
    }
    assert_eq!(updates(&dead), 0, "it has been dead for more than 30 s");
}

/// A suspected member is gossiped to: it has to hear of the suspicion (swim-state 8, first row).
#[test]
fn the_suspected_hear_gossip() {
    let mut net = TestNet::bench_with(SEED, |config| config.swim.buddy = false);
    let (x, y) = (net.member("x"), net.member("y"));
    net.run_for(secs(2));
    x.forget();
    net.tell(&y, "n1", y.suspect("x", 1));
    net.run_for(secs(1));
    assert!(!x.messages_where(|said| matches!(said, Said::Suspect { .. })).is_empty());
}

/// Each round reaches as many different members as configured, while there are that many, and never ourselves
/// (swim-state 8, 9.1).
#[test]
fn a_round_of_gossip_reaches_different_members() {
    for others in [1, 2, 3, 10] {
        let mut net = TestNet::bench(SEED);
        let puppets: Vec<Puppet> = (0..others).map(|i| net.member(&format!("m{i}"))).collect();
        net.run_for(secs(5));
        assert_eq!(net["n1"].summary().update_queue, 0, "the scene is set");
        for puppet in &puppets {
            puppet.forget();
        }
        net.record();
        net.tell(&puppets[0], "n1", puppets[0].alive(2));
        net.run_for(secs(5));
        let own = net.address("n1");
        let packets: Vec<_> = net
            .packets_from("n1")
            .into_iter()
            .filter(|packet| packet.said.iter().all(|said| said.subject().is_some()))
            .collect();
        let rounds: BTreeSet<_> = packets.iter().map(|packet| packet.at).collect();
        for (i, round) in rounds.iter().enumerate() {
            let targets: Vec<_> = packets.iter().filter(|packet| packet.at == *round).map(|packet| packet.to).collect();
            let different: BTreeSet<_> = targets.iter().collect();
            assert_eq!(different.len(), targets.len(), "nobody twice in one round");
            assert!(!different.contains(&own));
            assert!(targets.len() <= 3);
            if i == 0 {
                assert_eq!(targets.len(), others.min(3), "{others} others");
            }
        }
    }
}

/// In the long run everybody is chosen, and about equally often (swim-state 8: uniformly).
#[test]
fn gossip_is_spread_evenly() {
    const MEMBERS: usize = 12;
    let mut net = TestNet::bench_with(SEED, |config| config.swim.probe_interval = secs(0));
    let puppets: Vec<Puppet> = (0..MEMBERS).map(|i| net.member(&format!("m{i}"))).collect();
    let news = net.puppet("news");
    for incarnation in 1..=300 {
        net.tell(&news, "n1", news.alive(incarnation));
        net.run_for(ms(200));
    }
    let counts: Vec<usize> = puppets.iter().map(updates).collect();
    let mean = counts.iter().sum::<usize>() / MEMBERS;
    assert!(mean > 40, "{counts:?}");
    for count in &counts {
        assert!((mean / 2..=mean * 2).contains(count), "{counts:?}");
    }
}

/// Relays are alive, neither ourselves nor the target, different from each other, and at most three (swim-state 8,
/// second row).
#[test]
fn relays_are_alive_and_three_at_most() {
    let mut net = TestNet::bench(SEED);
    let alive: Vec<Puppet> = (0..6).map(|i| net.member(&format!("alive-{i}"))).collect();
    let (suspect, dead, left) = (net.member("suspect"), net.member("dead"), net.member("left"));
    let b = net.member("b");
    b.mute();
    net.tell(&left, "n1", left.dead("left", 1));
    net.tell(&left, "n1", left.dead("dead", 1));
    net.tell(&left, "n1", left.suspect("suspect", 1));
    let sent = net.run_until_pinged(&b, secs(20));
    net.run_to(sent + ms(990));
    assert_eq!(net.state_at("n1", "suspect"), Some((State::Suspect, 1)), "the scene is set");
    let asked = |puppet: &Puppet| puppet.messages_where(|said| matches!(said, Said::IndirectPing { .. })).len();
    let counts: Vec<usize> = alive.iter().map(asked).collect();
    assert_eq!(counts.iter().sum::<usize>(), 3, "{counts:?}");
    assert!(counts.iter().all(|count| *count <= 1), "{counts:?}");
    for puppet in [&suspect, &dead, &left, &b] {
        assert_eq!(asked(puppet), 0, "{puppet:?}");
    }
}

/// When few are alive, exactly they are asked, whoever else is in the table (swim-state 8, second row).
#[test]
fn all_relays_there_are_get_asked() {
    let mut net = TestNet::bench(SEED);
    let alive = ["alive-1", "alive-2"].map(|name| net.member(name));
    let suspects: Vec<Puppet> = (0..4).map(|i| net.member(&format!("suspect-{i}"))).collect();
    let b = net.member("b");
    b.mute();
    for suspect in &suspects {
        net.tell(&b, "n1", b.suspect(&suspect.name(), 1));
    }
    let sent = net.run_until_pinged(&b, secs(20));
    net.run_to(sent + ms(990));
    let asked = |puppet: &Puppet| puppet.messages_where(|said| matches!(said, Said::IndirectPing { .. })).len();
    assert_eq!(alive.each_ref().map(asked), [1, 1]);
    assert_eq!(suspects.iter().map(asked).sum::<usize>(), 0);
}

/// A full state exchange is only tried with a member that is alive (swim-state 8, third row).
#[test]
fn push_pulls_go_to_the_living() {
    let mut net = TestNet::bench_with(SEED, |config| config.swim.push_pull_interval = secs(2));
    let alive: Vec<Puppet> = (0..4).map(|i| net.member(&format!("alive-{i}"))).collect();
    let gone: Vec<Puppet> = ["suspect", "dead", "left"].map(|name| net.member(name)).into();
    for puppet in alive.iter().chain(&gone) {
        puppet.behave(|manner| manner.listens = true);
    }
    net.tell(&alive[0], "n1", alive[0].suspect("suspect", 1));
    net.tell(&alive[0], "n1", alive[0].dead("dead", 1));
    net.tell(&gone[2], "n1", gone[2].dead("left", 1));
    // They answer pings, so their streams are full state exchanges; and 20 s are less than the suspicion lasts.
    net.run_for(secs(20));
    let dialled =
        |puppet: &Puppet| puppet.streams().iter().filter(|heard| matches!(heard.news, StreamNews::Accepted(_))).count();
    let counts: Vec<usize> = alive.iter().map(dialled).collect();
    assert!(counts.iter().sum::<usize>() >= 4, "{counts:?}");
    assert!(counts.iter().filter(|count| **count > 0).count() >= 2, "not always the same one: {counts:?}");
    assert_eq!(gone.iter().map(dialled).sum::<usize>(), 0);
}
