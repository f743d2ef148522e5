//! The health score, Lifeguard's local health multiplier: `swim-state.md` section 7, row by row. (The rows about pings
//! that fail to be sent do not exist here: the core is not told of them.)

use swim_core::versions::{VersionRange, Versions};
use swim_sim::puppet::Manner;
use swim_sim::speech::VERSIONS;
use swim_sim::{Relay, TestNet, ms, secs};

const SEED: u64 = 7;

/// Raises the score of `n1` by accusing it, from outside the cluster.
fn unsettle(net: &mut TestNet, times: u32) {
    let stranger = net.puppet("stranger");
    for _ in 0..times {
        let (_, incarnation) = net.state_at("n1", "n1").expect("the local node is in its own table");
        net.tell(&stranger, "n1", stranger.suspect("n1", incarnation));
    }
}

/// How the score of `n1` moves over one probe of `b`, which behaves like this, with relays that behave like that.
fn delta(target: Manner, relays: &[(u8, Relay)]) -> i64 {
    let mut net = TestNet::bench(SEED);
    for (i, (pmax, relay)) in relays.iter().enumerate() {
        let puppet = net.puppet(&format!("relay-{i}"));
        let protocol = VersionRange { min: 1, max: *pmax, current: 2 };
        net.tell(&puppet, "n1", puppet.alive_with(1, b"", Some(Versions { protocol, ..VERSIONS })));
        puppet.behave(|manner| manner.relay = *relay);
    }
    let b = net.member("b");
    b.behave(|manner| *manner = target);
    let sent = net.run_until_pinged(&b, secs(10));
    // Once the probe runs, its length is settled; the score then has room to move either way.
    unsettle(&mut net, 2);
    assert_eq!(net.health("n1"), 2, "the scene is set");
    net.run_to(sent + ms(1001));
    i64::from(net.health("n1")) - 2
}

/// How each kind of probe moves the score (swim-state 7, table).
#[test]
fn each_probe_moves_the_score_as_its_outcome_says() {
    let silent = Manner { ping: None, ..Manner::default() };
    let direct = Manner { ping: Some(ms(100)), ..Manner::default() };
    let late = Manner { ping: Some(ms(700)), ..Manner::default() };
    let by_stream = Manner { listens: true, stream_ping: Some(ms(0)), ..silent.clone() };
    let nack = Relay::Nack(ms(300));
    #[rustfmt::skip]
    let table = [
        // what                                   target      relays                                        delta
        ("direct ack",                            &direct,    vec![],                                       -1),
        ("late ack",                              &late,      vec![],                                       -1),
        ("relayed ack",                           &silent,    vec![(5, Relay::Ack(ms(10)))],                -1),
        ("contact by stream only",                &by_stream, vec![],                                       -1),
        ("nobody to ask",                         &silent,    vec![],                                        1),
        ("a relay that knows no nacks",           &silent,    vec![(3, Relay::Silent)],                      1),
        ("a relay that owes a nack",              &silent,    vec![(4, Relay::Silent)],                      1),
        ("a relay that pays it",                  &silent,    vec![(4, nack)],                               0),
        ("one nack of two",                       &silent,    vec![(5, nack), (5, Relay::Silent)],           1),
        ("no nack of two",                        &silent,    vec![(5, Relay::Silent); 2],                   2),
        ("no nack of three",                      &silent,    vec![(5, Relay::Silent); 3],                   3),
        ("three nacks of three",                  &silent,    vec![(5, nack); 3],                            0),
        ("old relay silent, new one pays",        &silent,    vec![(3, Relay::Silent), (5, nack)],           0),
    ];
    for (what, target, relays, expected) in table {
        assert_eq!(delta(target.clone(), &relays), expected, "{what}");
    }
}

/// Every refutation adds one (swim-state 7, last row; 3.5).
#[test]
fn a_refutation_adds_one() {
    let mut net = TestNet::bench(SEED);
    for expected in 1..=5 {
        unsettle(&mut net, 1);
        assert_eq!(net.health("n1"), expected);
    }
}

/// The score stays between 0 and 7 (swim-state 7, first line).
#[test]
fn the_score_has_a_floor_and_a_ceiling() {
    let mut net = TestNet::bench(SEED);
    unsettle(&mut net, 20);
    assert_eq!(net.health("n1"), 7);
    let _b = net.member("b");
    net.run_for(secs(30));
    assert_eq!(net.health("n1"), 0);
}

/// The ceiling is configured; with 1 the score never moves: that part of Lifeguard is off (swim-state 7, 14).
#[test]
fn the_ceiling_is_configured() {
    for (multiplier, ceiling) in [(1, 0), (3, 2)] {
        let mut net = TestNet::bench_with(SEED, move |config| config.swim.awareness_max_multiplier = multiplier);
        unsettle(&mut net, 9);
        assert_eq!(net.health("n1"), ceiling);
    }
}

/// The score stretches the whole probe and nothing else: relays are asked as early as ever, the suspicion comes later
/// (swim-state 7, second paragraph; 4.2).
#[test]
fn the_score_stretches_the_probe_and_nothing_else() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    b.behave(|manner| (manner.ping, manner.listens) = (None, true));
    unsettle(&mut net, 3);
    let sent = net.run_until_pinged(&b, secs(2));
    net.run_to(sent + ms(3999));
    assert_eq!(b.streams().first().expect("the fallback probe").at, sent + ms(501));
    assert_eq!(net.stats("n1").suspicions, 0);
    net.run_to(sent + ms(4000));
    assert_eq!(net.stats("n1").suspicions, 1);
    // Alone with the suspect, the suspicion lasts 4 s whatever the score.
    net.run_to(sent + ms(7999));
    assert_eq!(net.deaths(), []);
    net.run_to(sent + ms(8000));
    assert_eq!(net.deaths().len(), 1);
}

/// The delta is applied when the probe ends, not before (swim-state 7, below the table).
#[test]
fn the_score_moves_when_the_probe_ends() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    b.mute();
    let sent = net.run_until_pinged(&b, secs(2));
    net.run_to(sent + ms(999));
    assert_eq!(net.health("n1"), 0);
    net.run_to(sent + ms(1000));
    assert_eq!(net.health("n1"), 1);
}
