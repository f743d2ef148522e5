//! Failure detection: `swim-state.md` section 4. (Ping failures with a socket error, 4.2 step 3, do not exist here: the
//! core is not told of them.)

use std::collections::BTreeSet;

use swim_core::node::input::{CommandError, Reply, StreamFailure};
use swim_core::serf::event::MemberEvent;
use swim_core::versions::{VersionRange, Versions};
use swim_core::wire::message::State;
use swim_core::{Config, Instant};
use swim_sim::puppet::StreamNews;
use swim_sim::speech::VERSIONS;
use swim_sim::{Puppet, Relay, Said, StreamSaid, TestNet, ms, secs};

const SEED: u64 = 4;

fn up_to(pmax: u8) -> Option<Versions> {
    Some(Versions { protocol: VersionRange { min: 1, max: pmax, current: 2 }, ..VERSIONS })
}

/// `n1` with a member `b` that has fallen silent, and others that are alive.
fn silent_member(others: &[&str], tune: impl Fn(&mut Config) + 'static) -> (TestNet, Puppet, Vec<Puppet>) {
    let mut net = TestNet::bench_with(SEED, tune);
    let others = others.iter().map(|name| net.member(name)).collect();
    let b = net.member("b");
    b.behave(|manner| manner.ping = None);
    (net, b, others)
}

fn seq_of(said: &Said) -> u32 {
    match said {
        Said::Ping { seq, .. } | Said::IndirectPing { seq, .. } | Said::Ack { seq, .. } | Said::Nack { seq } => *seq,
        Said::Suspect { .. } | Said::Dead { .. } | Said::Alive { .. } | Said::User(_) | Said::Unreadable { .. } => {
            panic!("{said:?} has no sequence number")
        }
    }
}

fn last_ping(puppet: &Puppet) -> Said {
    puppet.messages_where(Said::is_ping).pop().expect("it was pinged").1
}

fn indirect_pings(puppet: &Puppet) -> Vec<(Instant, Said)> {
    puppet.messages_where(|said| matches!(said, Said::IndirectPing { .. }))
}

/// Every member is probed exactly once per round, the rounds follow each other without a gap, and each is in a new
/// order (swim-state 4.1, 4.5).
#[test]
fn each_member_is_probed_once_per_round_in_a_new_order() {
    const OTHERS: usize = 7;
    let mut net = TestNet::lan(OTHERS + 1, SEED).converged();
    net.record();
    net.run_for(secs(15 * OTHERS as u64));
    for prober in net.names() {
        let probes: Vec<(Instant, String)> = net
            .packets_from(&prober)
            .into_iter()
            .filter_map(|packet| match packet.said.into_iter().next() {
                Some(Said::Ping { node, .. }) => Some((packet.at, node)),
                _ => None,
            })
            .collect();
        assert!(probes.iter().all(|(_, target)| *target != prober), "nobody probes itself");
        for pair in probes.windows(2) {
            assert_eq!(pair[1].0 - pair[0].0, secs(1), "one probe per interval by {prober}");
        }
        let targets: Vec<&str> = probes.iter().map(|(_, target)| target.as_str()).collect();
        let whole_rounds = |offset: usize| -> Option<Vec<&[&str]>> {
            let rounds: Vec<_> = targets[offset..].chunks_exact(OTHERS).collect();
            let whole = |round: &&[&str]| round.iter().collect::<BTreeSet<_>>().len() == OTHERS;
            rounds.iter().all(whole).then_some(rounds)
        };
        let rounds = (0..OTHERS).find_map(whole_rounds);
        let rounds = rounds.unwrap_or_else(|| panic!("{prober} has no rounds: {targets:?}"));
        let orders: BTreeSet<_> = rounds.iter().collect();
        assert!(orders.len() > rounds.len() / 2, "{prober} hardly ever shuffles: {rounds:?}");
    }
}

/// Where the ticks begin is spread over one interval, so that nodes do not probe in step (swim-state 4, first line).
#[test]
fn the_first_probe_comes_within_one_interval() {
    let mut firsts = BTreeSet::new();
    for seed in 0..30 {
        let mut net = TestNet::bench(seed);
        let b = net.member("b");
        net.run_for(ms(1001));
        firsts.insert(*b.pings().first().unwrap_or_else(|| panic!("seed {seed}: none within the interval")));
    }
    let (first, last) = (firsts.first().expect("30"), firsts.last().expect("30"));
    assert!(firsts.len() == 30 && *last - *first > ms(500), "{firsts:?}");
}

/// Dead and left members are not probed, and they cost no tick (swim-state 4.1).
#[test]
fn the_dead_and_the_left_are_not_probed() {
    let mut net = TestNet::bench(SEED);
    let (b, c, d) = (net.member("b"), net.member("c"), net.member("d"));
    net.tell(&b, "n1", b.dead("c", 1));
    net.tell(&d, "n1", d.dead("d", 1));
    net.run_for(secs(1));
    for puppet in [&b, &c, &d] {
        puppet.forget();
    }
    net.run_for(secs(10));
    assert_eq!(b.pings().len(), 10, "the one who is left to be probed is probed at every tick");
    assert_eq!((c.pings(), d.pings()), (vec![], vec![]));
}

/// Sequence numbers count from 1, one up for each probe, and pings served for others take theirs from the same
/// counter (swim-state 1, 4.2 step 1, 4.3 step 1).
#[test]
fn sequence_numbers_count_from_one() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    let elsewhere = net.puppet("elsewhere");
    for expected in [1, 2, 3] {
        net.run_until_pinged(&b, secs(2));
        assert_eq!(seq_of(&last_ping(&b)), expected);
    }
    net.tell(&b, "n1", b.indirect_ping("elsewhere", elsewhere.address(), 700, false));
    assert_eq!(seq_of(&last_ping(&elsewhere)), 4);
    net.run_until_pinged(&b, secs(2));
    assert_eq!(seq_of(&last_ping(&b)), 5);
}

/// A ping names whom it means, and says where the ack should go (swim-state 4.2 step 2).
#[test]
fn a_ping_names_its_target_and_its_source() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    net.run_until_pinged(&b, secs(2));
    let expected =
        Said::Ping { seq: 1, node: "b".to_owned(), source: Some(net.address("n1")), source_node: "n1".to_owned() };
    assert_eq!(last_ping(&b), expected);
}

/// A suspected member is pinged and told of the suspicion in one packet, in our name, with nothing else in it
/// (swim-state 4.2 step 2; Lifeguard, Buddy System).
#[test]
fn a_suspect_is_told_of_the_suspicion_with_the_ping() {
    // Without gossip, updates are waiting for every packet that may carry some.
    let mut net = TestNet::bench_with(SEED, |config| config.swim.gossip_interval = secs(0));
    let (b, c) = (net.member("b"), net.member("c"));
    net.tell(&c, "n1", c.suspect("b", 1));
    net.run_until_pinged(&b, secs(3));
    let packet = b.heard().pop().expect("it was pinged").packet;
    let suspicion = Said::Suspect { incarnation: 1, node: "b".to_owned(), from: "n1".to_owned() };
    assert!(packet[0].is_ping());
    assert_eq!(packet[1..], [suspicion]);
    net.run_until_pinged(&c, secs(3));
    assert!(c.heard().pop().expect("it was pinged").packet.len() > 1, "others get piggyback");
}

/// An ack within the probe timeout is a success: nobody else is bothered (swim-state 4.2 step 4).
#[test]
fn an_ack_in_time_ends_the_probe() {
    let (mut net, b, others) = silent_member(&["c", "d"], |_| {});
    b.behave(|manner| manner.ping = Some(ms(490)));
    net.run_for(secs(10));
    assert!(b.pings().len() >= 3);
    assert!(others.iter().all(|other| indirect_pings(other).is_empty()));
    assert_eq!(b.stream_messages(), []);
    let stats = net.stats("n1");
    assert!(stats.probes_acked_directly >= 9);
    assert_eq!((stats.probes_acked_late, stats.probes_failed, stats.suspicions), (0, 0, 0));
}

/// The times of a probe that fails, with a healthy prober: relays are asked after 500 ms with the same sequence
/// number, the suspicion comes after 1 s (swim-state 4.2 steps 4 to 8, last line).
#[test]
fn a_failed_probe_takes_half_a_second_and_then_another_half() {
    let (mut net, b, others) = silent_member(&["c", "d", "e"], |_| {});
    let sent = net.run_until_pinged(&b, secs(5));
    let seq = seq_of(&last_ping(&b));
    net.run_to(sent + ms(999));
    assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 1)));
    for other in &others {
        let asked = indirect_pings(other);
        assert_eq!(asked.len(), 1, "{other:?}");
        let (at, said) = &asked[0];
        assert_eq!(*at, sent + ms(501), "{other:?}");
        let expected = Said::IndirectPing {
            seq,
            target: b.address(),
            node: "b".to_owned(),
            nack: true,
            source: Some(net.address("n1")),
            source_node: "n1".to_owned(),
        };
        assert_eq!(*said, expected);
    }
    net.run_to(sent + ms(1000));
    assert_eq!(net.state_at("n1", "b"), Some((State::Suspect, 1)));
    assert_eq!(net.stats("n1").probes_failed, 1);
}

/// A relay is asked for a nack only if it understands that: from protocol 4 on (swim-state 4.2 step 5).
#[test]
fn nacks_are_asked_of_those_who_know_them() {
    let (mut net, b, _) = silent_member(&[], |_| {});
    let relays: Vec<_> = [(5, true), (4, true), (3, false)]
        .map(|(pmax, nack)| {
            let relay = net.puppet(&format!("pmax-{pmax}"));
            net.tell(&relay, "n1", relay.alive_with(1, b"", up_to(pmax)));
            (relay, nack)
        })
        .into();
    net.run_until_pinged(&b, secs(5));
    net.run_for(ms(600));
    for (relay, expected) in relays {
        let asked = indirect_pings(&relay);
        assert_eq!(asked.len(), 1);
        assert!(matches!(asked[0].1, Said::IndirectPing { nack, .. } if nack == expected), "{relay:?}");
    }
}

/// With Lifeguard's nacks turned off, none is asked for (a switch of ours over swim-state 4.2 step 5).
#[test]
fn nacks_can_be_turned_off() {
    let (mut net, b, others) = silent_member(&["c"], |config| config.swim.nacks = false);
    net.run_until_pinged(&b, secs(5));
    net.run_for(ms(600));
    let asked = indirect_pings(&others[0]);
    assert!(matches!(asked[..], [(_, Said::IndirectPing { nack: false, .. })]), "{asked:?}");
}

/// Besides the relays, the target itself is tried by a stream, with the same ping, if it understands that (from
/// protocol 3 on) and unless this is turned off (swim-state 4.2 step 6).
#[test]
fn a_stream_is_tried_where_it_may_help() {
    #[rustfmt::skip]
    let table = [
        // pmax  enabled  tried
        (5,      true,    true),
        (3,      true,    true),
        (2,      true,    false),
        (5,      false,   false),
    ];
    for (pmax, enabled, tried) in table {
        let mut net = TestNet::bench_with(SEED, move |config| config.swim.stream_probes = enabled);
        let b = net.puppet("b");
        net.tell(&b, "n1", b.alive_with(1, b"", up_to(pmax)));
        b.behave(|manner| (manner.ping, manner.listens) = (None, true));
        let sent = net.run_until_pinged(&b, secs(2));
        let seq = seq_of(&last_ping(&b));
        net.run_to(sent + ms(999));
        let accepted: Vec<_> =
            b.streams().into_iter().filter(|heard| matches!(heard.news, StreamNews::Accepted(_))).collect();
        assert_eq!(accepted.len(), usize::from(tried), "pmax {pmax}, enabled: {enabled}");
        if tried {
            assert_eq!(accepted[0].at, sent + ms(501));
            let said: Vec<_> = b.stream_messages().into_iter().map(|(_, said)| said).collect();
            let (source, source_node) = (Some(net.address("n1")), "n1".to_owned());
            assert_eq!(said, [StreamSaid::Ping { seq, node: "b".to_owned(), source, source_node }]);
        }
    }
}

/// Who answers on a stream is there, though its datagrams get lost; but that is looked at only when the probe's time
/// is over, and a relay's ack may come first (swim-state 4.2 step 7).
#[test]
fn contact_by_stream_saves_the_member() {
    let (mut net, b, _) = silent_member(&["c"], |_| {});
    b.behave(|manner| (manner.listens, manner.stream_ping) = (true, Some(ms(0))));
    let sent = net.run_until_pinged(&b, secs(3));
    net.run_to(sent + ms(990));
    assert_eq!(net.stats("n1").probes_acked_by_stream, 0, "not before the probe is over");
    net.run_to(sent + ms(1001));
    let stats = net.stats("n1");
    assert_eq!((stats.probes_acked_by_stream, stats.probes_failed), (1, 0));
    net.run_for(secs(30));
    assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 1)));
    assert_eq!(net.stats("n1").suspicions, 0);
}

/// A stream ping that is answered too late does not save (swim-state 4.2 step 6: everything must end with the probe).
#[test]
fn contact_by_stream_after_the_probe_does_not_count() {
    let (mut net, b, _) = silent_member(&[], |_| {});
    b.behave(|manner| (manner.listens, manner.stream_ping) = (true, Some(ms(600))));
    let sent = net.run_until_pinged(&b, secs(3));
    net.run_to(sent + ms(1001));
    assert_eq!(net.state_at("n1", "b"), Some((State::Suspect, 1)));
    assert_eq!(net.stats("n1").probes_acked_by_stream, 0);
}

/// Late acks count while the probe runs, wherever they come from: the member itself or a relay. After that they are
/// unknown (swim-state 4.2 step 7, 4.4).
#[test]
fn acks_count_until_the_probe_is_over() {
    #[rustfmt::skip]
    let table = [
        // direct        relay                    state after 1.5 s
        (Some(ms(800)),  Relay::Silent,           State::Alive),
        (Some(ms(1200)), Relay::Silent,           State::Suspect),
        (None,           Relay::Ack(ms(300)),     State::Alive),
        (None,           Relay::Ack(ms(700)),     State::Suspect),
        (None,           Relay::Nack(ms(300)),    State::Suspect),
        (None,           Relay::Silent,           State::Suspect),
    ];
    for (direct, relay, expected) in table {
        let (mut net, b, others) = silent_member(&["c"], |_| {});
        b.behave(|manner| manner.ping = direct);
        others[0].behave(|manner| manner.relay = relay);
        let sent = net.run_until_pinged(&b, secs(3));
        let unknown = net.stats("n1").unknown_acks;
        net.run_to(sent + ms(1500));
        let row = format!("direct {direct:?}, {relay:?}");
        assert_eq!(net.state_at("n1", "b").map(|(state, _)| state), Some(expected), "{row}");
        let stats = net.stats("n1");
        assert_eq!(stats.probes_acked_late, u64::from(expected == State::Alive), "{row}");
        let too_late = expected == State::Suspect && (direct.is_some() || matches!(relay, Relay::Ack(_)));
        assert_eq!(stats.unknown_acks - unknown, u64::from(too_late), "{row}");
    }
}

/// The accusation speaks of the incarnation that was probed: a member that announces itself meanwhile is not accused
/// (swim-state 4.2 step 8, 4.1 "copy").
#[test]
fn the_accusation_is_about_the_incarnation_that_was_probed() {
    let (mut net, b, _) = silent_member(&[], |_| {});
    let sent = net.run_until_pinged(&b, secs(3));
    net.tell(&b, "n1", b.alive(2));
    net.run_to(sent + ms(1001));
    assert_eq!(net.stats("n1").probes_failed, 1);
    assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 2)));
}

/// Ticks that come while a probe runs are lost, not queued: a probe made longer by bad health is not followed by a
/// burst (swim-state 4, first paragraph; 7).
#[test]
fn ticks_during_a_probe_are_lost() {
    let (mut net, b, _) = silent_member(&[], |_| {});
    let stranger = net.puppet("stranger");
    net.tell(&stranger, "n1", stranger.suspect("n1", 1));
    net.tell(&stranger, "n1", stranger.suspect("n1", 2));
    assert_eq!(net.health("n1"), 2, "so a probe takes 3 s");
    let first = net.run_until_pinged(&b, secs(2));
    let second = net.run_until_pinged(&b, secs(5));
    let gap = second - first;
    assert!(gap == secs(3) || gap == secs(4), "{gap:?}");
    assert_eq!(net.stats("n1").probes, 2);
}

/// The server's side of an indirect ping: it pings with a number and a source of its own, and passes on an ack without
/// payload under the requester's number (swim-state 4.3).
#[test]
fn a_relay_pings_in_its_own_name_and_passes_the_ack_on() {
    let mut net = TestNet::bench(SEED);
    let (asker, target) = (net.puppet("asker"), net.puppet("target"));
    net.tell(&asker, "n1", asker.indirect_ping("target", target.address(), 77, true));
    let source = Some(net.address("n1"));
    let ping = last_ping(&target);
    assert_eq!(ping, Said::Ping { seq: 1, node: "target".to_owned(), source, source_node: "n1".to_owned() });
    net.run_for(secs(2));
    let answers = asker.messages_where(|said| matches!(said, Said::Ack { .. } | Said::Nack { .. }));
    assert_eq!(answers.into_iter().map(|(_, said)| said).collect::<Vec<_>>(), [Said::Ack { seq: 77, payload: None }]);
}

/// When the target does not answer within the probe timeout, a nack goes back, if one was asked for; an ack that
/// comes later is not passed on (swim-state 4.3 steps 2 and 5).
#[test]
fn a_relay_says_after_half_a_second_that_nobody_answered() {
    for wanted in [true, false] {
        for late in [None, Some(ms(600))] {
            let mut net = TestNet::bench(SEED);
            let (asker, target) = (net.puppet("asker"), net.puppet("target"));
            target.behave(|manner| manner.ping = late);
            let asked = net.now() + ms(1);
            net.tell(&asker, "n1", asker.indirect_ping("target", target.address(), 77, wanted));
            net.run_for(secs(2));
            let answers = asker.messages_where(|said| matches!(said, Said::Ack { .. } | Said::Nack { .. }));
            if wanted {
                assert_eq!(answers, [(asked + ms(501), Said::Nack { seq: 77 })]);
            } else {
                assert_eq!(answers, []);
            }
        }
    }
}

/// Port 0 in an indirect ping means the relay's own port (swim-state 4.3 step 1).
#[test]
fn a_relay_takes_port_zero_for_its_own() {
    let mut net = TestNet::bench(SEED);
    let (asker, target) = (net.puppet("asker"), net.puppet("target"));
    let mut address = target.address();
    address.set_port(0);
    net.tell(&asker, "n1", asker.indirect_ping("target", address, 77, true));
    assert_eq!(target.pings().len(), 1);
}

/// The answer goes where the requester says it is; else to where the packet came from (swim-state 4.3, end).
#[test]
fn a_relay_answers_to_the_address_given_or_else_to_the_sender() {
    let mut net = TestNet::bench(SEED);
    let (asker, elsewhere, target) = (net.puppet("asker"), net.puppet("elsewhere"), net.puppet("target"));
    net.tell(&asker, "n1", elsewhere.indirect_ping("target", target.address(), 77, true));
    let anonymous = Said::IndirectPing {
        seq: 78,
        target: target.address(),
        node: "target".to_owned(),
        nack: true,
        source: None,
        source_node: String::new(),
    };
    net.tell(&asker, "n1", anonymous);
    net.run_for(ms(100));
    let acks = |puppet: &Puppet| -> Vec<u32> {
        puppet.messages_where(|said| matches!(said, Said::Ack { .. })).iter().map(|(_, said)| seq_of(said)).collect()
    };
    assert_eq!(acks(&elsewhere), [77]);
    assert_eq!(acks(&asker), [78]);
}

/// A ping is answered where it says, if it is meant for us or for nobody in particular; one for somebody else is
/// not (memberlist-wire 4.13).
#[test]
fn pings_for_others_are_not_answered() {
    let mut net = TestNet::bench(SEED);
    let (asker, elsewhere) = (net.puppet("asker"), net.puppet("elsewhere"));
    net.tell(&asker, "n1", asker.ping("n1", 1));
    net.tell(&asker, "n1", asker.ping("", 2));
    net.tell(&asker, "n1", asker.ping("n2", 3));
    net.tell(&asker, "n1", elsewhere.ping("n1", 4));
    let acks = |puppet: &Puppet| -> Vec<u32> {
        puppet.messages_where(|said| matches!(said, Said::Ack { .. })).iter().map(|(_, said)| seq_of(said)).collect()
    };
    assert_eq!(acks(&asker), [1, 2]);
    assert_eq!(acks(&elsewhere), [4]);
    assert_eq!(net.stats("n1").misaddressed_pings, 1);
}

/// Acks and nacks with a number that nobody waits for change nothing (swim-state 4.4).
#[test]
fn unknown_acks_and_nacks_are_ignored() {
    let (mut net, b, _) = silent_member(&[], |_| {});
    let sent = net.run_until_pinged(&b, secs(2));
    let seq = seq_of(&last_ping(&b));
    net.tell(&b, "n1", Said::Ack { seq: seq + 1000, payload: None });
    net.tell(&b, "n1", Said::Nack { seq: seq + 1000 });
    assert_eq!(net.stats("n1").unknown_acks, 2);
    net.run_to(sent + ms(1001));
    assert_eq!(net.state_at("n1", "b"), Some((State::Suspect, 1)), "the probe goes on");
}

/// The sender of an ack is not checked: the number is what matches (swim-state 4.4).
#[test]
fn an_ack_may_come_from_anywhere() {
    let (mut net, b, _) = silent_member(&[], |_| {});
    let elsewhere = net.puppet("elsewhere");
    let sent = net.run_until_pinged(&b, secs(2));
    let seq = seq_of(&last_ping(&b));
    net.tell(&elsewhere, "n1", Said::Ack { seq, payload: None });
    net.run_to(sent + ms(1001));
    assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 1)));
}

/// A second ack to one probe is an unknown one (swim-state 4.2 step 1).
#[test]
fn only_the_first_ack_counts() {
    let (mut net, b, _) = silent_member(&[], |_| {});
    net.run_until_pinged(&b, secs(2));
    let seq = seq_of(&last_ping(&b));
    net.tell(&b, "n1", Said::Ack { seq, payload: None });
    net.tell(&b, "n1", Said::Ack { seq, payload: None });
    let stats = net.stats("n1");
    assert_eq!((stats.probes_acked_directly, stats.unknown_acks), (1, 1));
}

/// The dead and the left are forgotten when the probe order wraps after the time in which they are still gossiped
/// to; accusations against them then go nowhere, and an alive message makes them new, whatever its number
/// (swim-state 4.5).
#[test]
fn the_dead_are_forgotten_after_a_while() {
    for leave in [false, true] {
        let mut net = TestNet::bench(SEED);
        let (b, c) = (net.member("b"), net.puppet("c"));
        net.tell(&c, "n1", c.alive(5));
        net.tell(&b, "n1", if leave { c.dead("c", 5) } else { b.dead("c", 5) });
        let gone = if leave { State::Left } else { State::Dead };
        net.run_for(secs(29));
        assert_eq!(net.state_at("n1", "c"), Some((gone, 5)));
        net.run_for(secs(4));
        assert_eq!(net.state_at("n1", "c"), None);
        assert!(net.status_at("n1", "c").is_some(), "Serf's layer remembers it");
        net.tell(&b, "n1", b.suspect("c", 9));
        net.tell(&b, "n1", b.dead("c", 9));
        assert_eq!(net.state_at("n1", "c"), None);
        let events = net.member_events("n1", "c").len();
        net.tell(&c, "n1", c.alive(1));
        assert_eq!(net.state_at("n1", "c"), Some((State::Alive, 1)));
        let told: Vec<_> = net.member_events("n1", "c")[events..].iter().map(|(_, kind)| *kind).collect();
        assert_eq!(told, [MemberEvent::Join]);
    }
}

/// An application's own ping tells the round-trip time, or that there was no answer; it asks no relay and accuses
/// nobody (swim-state 4.6).
#[test]
fn an_explicit_ping_asks_and_accuses_nobody() {
    let mut net = TestNet::bench(SEED);
    let (b, c) = (net.member("b"), net.member("c"));
    let command = net.ping("n1", "b");
    net.run_for(ms(10));
    let replies: Vec<_> = net.replies("n1", command).into_iter().map(|(_, reply)| reply).collect();
    assert_eq!(replies, [Reply::Pong(ms(2)), Reply::Done(Ok(()))]);

    // Right after a probe of `b` there is a second in which the other one is on its turn.
    net.run_until_pinged(&b, secs(3));
    net.run_for(ms(10));
    b.mute();
    let command = net.ping("n1", "b");
    let asked = net.now();
    net.run_for(ms(520));
    assert_eq!(net.replies("n1", command), [(asked + ms(500), Reply::Done(Err(CommandError::TimedOut)))]);
    assert_eq!(indirect_pings(&c), []);
    assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 1)));
    assert_eq!(net.health("n1"), 0);
}

/// Who is not a member cannot be pinged (swim-state 4.6).
#[test]
fn an_explicit_ping_of_a_stranger_fails() {
    let mut net = TestNet::bench(SEED);
    let command = net.ping("n1", "nobody");
    net.run_for(ms(1));
    let replies: Vec<_> = net.replies("n1", command).into_iter().map(|(_, reply)| reply).collect();
    assert_eq!(replies, [Reply::Done(Err(CommandError::NoMember))]);
}

/// A new member takes a random place in the round, so that its first probe may come at any time within one
/// (swim-state 3.2 step 4).
#[test]
fn a_new_member_takes_a_random_place_in_the_round() {
    const OTHERS: usize = 9;
    let mut places = BTreeSet::new();
    for seed in 0..30 {
        let mut net = TestNet::bench(seed);
        for i in 0..OTHERS {
            net.member(&format!("m{i}"));
        }
        net.run_for(secs(20));
        let newcomer = net.member("newcomer");
        let joined = net.now();
        let first = net.run_until_pinged(&newcomer, secs(2 * OTHERS as u64 + 2));
        places.insert((first - joined).as_secs());
    }
    assert!(places.len() > OTHERS / 2, "{places:?}");
}

/// However many nacks come, they excuse no more than was owed (swim-state 4.4, bounds).
#[test]
fn a_flood_of_nacks_is_no_praise() {
    let (mut net, b, others) = silent_member(&["c"], |_| {});
    let stranger = net.puppet("stranger");
    let sent = net.run_until_pinged(&b, secs(3));
    net.tell(&stranger, "n1", stranger.suspect("n1", 1));
    let seq = seq_of(&last_ping(&b));
    net.run_to(sent + ms(600));
    for _ in 0..100 {
        net.tell(&others[0], "n1", Said::Nack { seq });
    }
    net.run_to(sent + ms(1001));
    assert_eq!(net.stats("n1").probes_failed, 1);
    assert_eq!(net.health("n1"), 1);
}

/// Who restarts and begins at incarnation 1 again is told what is held against it, on its own word, so that it can
/// refute; others who repeat old news are not answered (swim-state 15, first row, advice).
#[test]
fn a_stale_announcement_is_answered_by_the_accusation() {
    for accused_as_dead in [false, true] {
        let mut net = TestNet::bench(SEED);
        let (b, c) = (net.member("b"), net.puppet("c"));
        net.tell(&c, "n1", c.alive(5));
        net.tell(&b, "n1", if accused_as_dead { b.dead("c", 5) } else { b.suspect("c", 5) });
        net.run_until(|net| net["n1"].summary().update_queue == 0, secs(5));
        c.forget();
        net.tell(&b, "n1", c.alive(1));
        net.run_for(secs(1));
        let accusations = |said: &Said| matches!(said, Said::Dead { .. }) && said.is_about("c");
        if accused_as_dead {
            assert_eq!(c.messages_where(accusations), [], "not on somebody else's word");
        }
        net.tell(&c, "n1", c.alive(1));
        net.run_for(secs(2));
        let told = c.messages_where(|said| {
            let (dead, suspect) = (
                matches!(said, Said::Dead { incarnation: 5, .. }),
                matches!(said, Said::Suspect { incarnation: 5, .. }),
            );
            if accused_as_dead { dead } else { suspect }
        });
        assert!(!told.is_empty());
        net.tell(&c, "n1", c.alive(6));
        assert_eq!(net.state_at("n1", "c"), Some((State::Alive, 6)));
    }
}

/// After a round that ended badly the next one begins without a pause, when health allows (swim-state 4: the ticker).
#[test]
fn a_failed_probe_costs_no_tick() {
    let (mut net, b, others) = silent_member(&["c"], |_| {});
    others[0].behave(|manner| manner.relay = Relay::Nack(ms(100)));
    let sent = net.run_until_pinged(&b, secs(3));
    let before = others[0].pings().len();
    net.run_to(sent + ms(1100));
    assert_eq!(net.stats("n1").probes_failed, 1);
    assert_eq!(others[0].pings().len(), before + 1, "its turn came at the second's end");
}

/// The fallback probe ends with the probe: a stream that says nothing is broken off then (swim-state 4.2 step 6).
#[test]
fn the_fallback_stream_ends_with_the_probe() {
    let (mut net, b, _) = silent_member(&[], |_| {});
    b.behave(|manner| manner.listens = true);
    let sent = net.run_until_pinged(&b, secs(3));
    net.run_to(sent + ms(1500));
    let news: Vec<_> = b.streams().into_iter().map(|heard| (heard.at, heard.news)).collect();
    assert!(matches!(news[0], (at, StreamNews::Accepted(_)) if at == sent + ms(501)), "{news:?}");
    assert_eq!(news.last(), Some(&(sent + ms(1001), StreamNews::Failed(StreamFailure::Reset))));
}
