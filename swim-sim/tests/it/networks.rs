//! Allowed networks: `swim-state.md` section 12.

use swim_core::wire::message::State;
use swim_sim::{Puppet, Said, StreamSaid, TestNet, ms};

const SEED: u64 = 12;

/// `n1` allows these networks; `inside` is in 10.0.0.0/8 as `n1` is, `outside` is not.
fn restricted(networks: Option<&'static [&'static str]>) -> (TestNet, Puppet, Puppet) {
    let mut net = TestNet::bench_with(SEED, move |config| {
        config.swim.allowed_networks =
            networks.map(|list| list.iter().map(|text| text.parse().expect("a network")).collect());
    });
    let inside = net.puppet("inside");
    let outside = net.puppet_at("outside", "192.168.1.1:7946".parse().expect("an address"));
    (net, inside, outside)
}

const TEN: Option<&[&str]> = Some(&["10.0.0.0/8"]);

/// An empty list allows everything, like none at all (swim-state 12).
#[test]
fn no_list_and_an_empty_list_allow_everything() {
    for networks in [None, Some::<&[&str]>(&[])] {
        let (mut net, inside, outside) = restricted(networks);
        net.tell(&inside, "n1", inside.alive(1));
        net.tell(&outside, "n1", outside.alive(1));
        assert!(net.state_at("n1", "inside").is_some() && net.state_at("n1", "outside").is_some());
    }
}

/// An alive message is believed if the packet's source and the announced address are both allowed (swim-state 12,
/// first rule).
#[test]
fn source_and_announced_address_must_both_be_allowed() {
    #[rustfmt::skip]
    let table = [
        // from inside  about inside  believed
        (true,          true,         true),
        (true,          false,        false),
        (false,         true,         false),
        (false,         false,        false),
    ];
    for (from_inside, about_inside, believed) in table {
        let (mut net, inside, outside) = restricted(TEN);
        let speaker = if from_inside { &inside } else { &outside };
        let subject = if about_inside { &inside } else { &outside };
        net.tell(speaker, "n1", subject.alive(1));
        let row = format!("from {speaker:?} about {subject:?}");
        assert_eq!(net.state_at("n1", &subject.name()).is_some(), believed, "{row}");
        assert_eq!(net.stats("n1").refused_addresses, u64::from(!believed), "{row}");
    }
}

/// A member that has left may come back elsewhere, but only in an allowed network (swim-state 12, second rule).
#[test]
fn a_changed_address_must_be_allowed() {
    let (mut net, inside, _) = restricted(TEN);
    net.tell(&inside, "n1", inside.alive(1));
    net.tell(&inside, "n1", inside.dead("inside", 1));
    let moved = net.puppet_at("inside", "192.168.1.2:7946".parse().expect("an address"));
    net.tell(&inside, "n1", moved.alive(2));
    assert_eq!(net.state_at("n1", "inside"), Some((State::Left, 1)));
    let moved = net.puppet("inside");
    net.tell(&inside, "n1", moved.alive(2));
    assert_eq!(net.state_at("n1", "inside"), Some((State::Alive, 2)));
}

/// Full state exchanges are accepted from anywhere; their entries have to be allowed one by one (swim-state 12,
/// second and third rule).
#[test]
fn entries_of_an_exchange_must_be_allowed() {
    let (mut net, inside, outside) = restricted(TEN);
    let entries = vec![inside.entry(1, State::Alive), outside.entry(1, State::Alive)];
    net.dial(&outside, "n1", &StreamSaid::PushPull { join: true, entries, user_state: Vec::new() });
    net.run_for(ms(20));
    assert_eq!(net.state_at("n1", "inside"), Some((State::Alive, 1)));
    assert_eq!(net.state_at("n1", "outside"), None);
    assert_eq!(outside.stream_messages().len(), 1, "it is answered");
}

/// Nothing else is checked: accusations and pings may come from anywhere (swim-state 12, last rule).
#[test]
fn accusations_and_pings_may_come_from_anywhere() {
    let (mut net, inside, outside) = restricted(TEN);
    net.tell(&inside, "n1", inside.alive(1));
    net.tell(&outside, "n1", outside.ping("n1", 9));
    assert_eq!(outside.messages_where(|said| matches!(said, Said::Ack { seq: 9, .. })).len(), 1);
    net.tell(&outside, "n1", outside.suspect("inside", 1));
    assert_eq!(net.state_at("n1", "inside"), Some((State::Suspect, 1)));
    net.tell(&outside, "n1", outside.dead("inside", 1));
    assert_eq!(net.state_at("n1", "inside"), Some((State::Dead, 1)));
}
