//! Leaving, changing, and going without a word: `swim-state.md` section 11.

use swim_core::node::input::{CommandError, Reply};
use swim_core::serf::config::Life;
use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::Status;
use swim_core::wire::message::State;
use swim_sim::{Said, StreamSaid, TestNet, ms, secs};

const SEED: u64 = 11;

fn own_leave() -> impl Fn(&Said) -> bool {
    |said| matches!(said, Said::Dead { node, from, .. } if node == "n1" && from == "n1")
}

/// Leaving is a dead message about ourselves, from ourselves, at our own incarnation; here the own state is left from
/// then on (swim-state 11, Leave).
#[test]
fn a_leave_is_announced() {
    let mut net = TestNet::bench(SEED);
    let (b, c) = (net.member("b"), net.member("c"));
    net.tell(&b, "n1", b.suspect("n1", 4));
    let command = net.leave("n1");
    assert_eq!(net["n1"].life(), Life::Leaving);
    net.run_for(secs(15));
    for puppet in [&b, &c] {
        let said = puppet.messages_where(own_leave());
        assert!(!said.is_empty(), "{puppet:?}");
        assert!(said.iter().all(|(_, said)| matches!(said, Said::Dead { incarnation: 5, .. })), "{said:?}");
    }
    assert_eq!(net.state_at("n1", "n1"), Some((State::Left, 5)));
    assert_eq!(net["n1"].life(), Life::Left);
    assert!(matches!(net.replies("n1", command)[..], [(_, Reply::Done(Ok(())))]));
}

/// With two members each of the two messages, Serf's and SWIM's, takes four gossip rounds; then a second is left for
/// them to spread (swim-state 11 "Duration"; serf-layer 7).
#[test]
fn a_leave_takes_as_long_as_its_news() {
    let mut net = TestNet::bench(SEED);
    net.member("b");
    net.run_for(secs(5));
    let asked = net.now();
    let command = net.leave("n1");
    net.run_for(secs(15));
    let (done, _) = net.replies("n1", command)[0];
    let took = done - asked;
    assert!((ms(1800)..=ms(3200)).contains(&took), "{took:?}");
}

/// Alone, nobody has to be told (swim-state 11, "if any other member is alive or suspect").
#[test]
fn who_is_alone_leaves_at_once() {
    let mut net = TestNet::bench(SEED);
    let command = net.leave("n1");
    net.run_for(ms(1100));
    let replies = net.replies("n1", command);
    assert!(matches!(replies[..], [(_, Reply::Done(Ok(())))]), "{replies:?}");
    assert_eq!(net["n1"].life(), Life::Left);
}

/// When the news cannot leave, the leave goes on all the same: each of its two waits has an end, and running into it
/// is no failure (swim-state 15 "treat the timeout as a warning"; serf-layer 7, newest).
#[test]
fn a_leave_that_nobody_hears_is_a_leave() {
    let mut net = TestNet::bench_with(SEED, |config| {
        config.swim.gossip_interval = secs(0);
        config.swim.probe_interval = secs(0);
    });
    net.member("b");
    let asked = net.now();
    let command = net.leave("n1");
    net.run_for(secs(12));
    assert_eq!(net.replies("n1", command), [(asked + secs(5 + 5 + 1), Reply::Done(Ok(())))]);
    assert_eq!(net["n1"].life(), Life::Left);
    assert_eq!(net.state_at("n1", "n1").map(|(state, _)| state), Some(State::Left));
}

/// A change of tags that cannot be told in time is done here, and says that it may not have spread (swim-state 11,
/// UpdateNode; serf-layer 4).
#[test]
fn changed_tags_that_nobody_hears_time_out() {
    let mut net = TestNet::bench_with(SEED, |config| {
        config.swim.gossip_interval = secs(0);
        config.swim.probe_interval = secs(0);
    });
    net.member("b");
    let asked = net.now();
    let command = net.set_tag("n1", "role", "web");
    net.run_for(secs(12));
    assert_eq!(net.replies("n1", command), [(asked + secs(5), Reply::Done(Err(CommandError::TimedOut)))]);
    assert_eq!(net["n1"].local().tags().get("role"), Some("web"));
}

/// Who has left still answers pings, so that it is not held dead before it is gone, and lists itself as left
/// (swim-state 11).
#[test]
fn who_has_left_still_answers() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    net.leave("n1");
    net.run_for(secs(15));
    net.tell(&b, "n1", b.ping("n1", 500));
    assert_eq!(b.messages_where(|said| matches!(said, Said::Ack { seq: 500, .. })).len(), 1);
    let entries = vec![b.entry(1, State::Alive)];
    net.dial(&b, "n1", &StreamSaid::PushPull { join: false, entries, user_state: Vec::new() });
    net.run_for(ms(20));
    let said = b.stream_messages().pop().map(|(_, said)| said);
    let Some(StreamSaid::PushPull { entries, .. }) = said else { panic!("{said:?}") };
    let own = entries.iter().find(|entry| entry.name == "n1").expect("it lists itself");
    assert_eq!(own.state, Some(State::Left));
}

/// There is no way back: a join after a leave is refused, and a second leave announces nothing (swim-state 11).
#[test]
fn there_is_no_way_back() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    net.leave("n1");
    net.run_for(secs(15));
    b.forget();
    let join = net.join_at("n1", &[b.address()]);
    let leave = net.leave("n1");
    net.run_for(secs(15));
    let replies: Vec<Reply> = net.replies("n1", join).into_iter().map(|(_, reply)| reply).collect();
    assert_eq!(replies, [Reply::Done(Err(CommandError::NotAlive))]);
    assert_eq!(net.replies("n1", leave).len(), 1);
    assert_eq!(b.messages_where(own_leave()), []);
    assert_eq!(net.state_at("n1", "n1").map(|(state, _)| state), Some(State::Left));
}

/// In a real cluster everybody learns that the member left and did not fail, in whatever order the two messages come
/// (swim-state 11; serf-layer 6.2, quirk).
#[test]
fn everybody_learns_of_a_leave() {
    let mut net = TestNet::lan(12, SEED).converged();
    net.leave("n5");
    net.run_for(secs(15));
    net.crash("n5");
    net.run_for(secs(60));
    for name in net.names() {
        assert_eq!(net.status_at(&name, "n5"), Some(Status::Left), "{name}");
        let told: Vec<_> = net.member_events(&name, "n5").into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(told.last(), Some(&MemberEvent::Leave), "{name}: {told:?}");
    }
}

/// Several may leave at once (swim-state 11).
#[test]
fn several_may_leave_at_once() {
    let mut net = TestNet::lan(12, SEED).converged();
    for name in ["n2", "n5", "n9"] {
        net.leave(name);
    }
    net.run_for(secs(15));
    for name in ["n2", "n5", "n9"] {
        net.crash(name);
    }
    net.run_for(secs(30));
    for observer in net.names() {
        for name in ["n2", "n5", "n9"] {
            assert_eq!(net.status_at(&observer, name), Some(Status::Left), "{observer} of {name}");
        }
    }
}

/// Changing the own tags raises the own incarnation by one and announces them with it; nobody is accused of anything
/// (swim-state 11, UpdateNode; serf-layer 4).
#[test]
fn changed_tags_are_announced_with_the_next_incarnation() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    net.run_for(secs(3));
    b.forget();
    let command = net.set_tag("n1", "role", "web");
    assert_eq!(net.state_at("n1", "n1"), Some((State::Alive, 2)));
    net.run_for(secs(3));
    let local = net["n1"].local().meta().to_vec();
    let said = b.messages_where(|said| said.is_about("n1"));
    assert!(!said.is_empty());
    for (_, said) in said {
        assert!(matches!(&said, Said::Alive { incarnation: 2, meta, .. } if *meta == local), "{said:?}");
    }
    assert_eq!(net.health("n1"), 0);
    assert!(matches!(net.replies("n1", command)[..], [(_, Reply::Done(Ok(())))]));
}

/// Everybody is told of changed tags, once, and has them (swim-state 11, 3.2 step 11).
#[test]
fn everybody_learns_of_changed_tags() {
    let mut net = TestNet::lan(10, SEED).converged();
    net.set_tag("n4", "role", "db");
    net.run_for(secs(10));
    for name in net.names() {
        let member = net[name.as_str()].member(b"n4").expect("it is there");
        assert_eq!(member.tags().get("role"), Some("db"), "{name}");
        let updates = net.member_events(&name, "n4");
        let updates = updates.iter().filter(|(_, kind)| *kind == MemberEvent::Update).count();
        assert_eq!(updates, 1, "{name}");
    }
}

/// Who shuts down says nothing; the others find out by probing (swim-state 11, Shut-down).
#[test]
fn a_shutdown_is_silent_and_found_out() {
    let mut net = TestNet::lan(6, SEED).converged();
    net.record();
    let from = net.address("n2");
    net.crash("n2");
    net.run_until(|net| net.deaths().len() == 5, secs(60));
    assert_eq!(net.packets().iter().filter(|packet| packet.from == from).count(), 0);
    assert!(net.deaths().iter().all(|death| death.member == "n2"));
}

/// The leave is an event for the leaver, too (swim-state 11).
#[test]
fn the_leaver_is_told_of_its_own_leave() {
    let mut net = TestNet::bench(SEED);
    net.member("b");
    net.leave("n1");
    assert_eq!(net.status_at("n1", "n1"), Some(Status::Leaving));
    net.run_for(secs(15));
    assert_eq!(net.status_at("n1", "n1"), Some(Status::Left));
    let told: Vec<_> = net.member_events("n1", "n1").into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(told.last(), Some(&MemberEvent::Leave), "{told:?}");
}

/// While it goes, its tickers run on: it probes others (swim-state 11 "listeners and tickers go on").
#[test]
fn who_has_left_still_probes() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    net.leave("n1");
    net.run_for(secs(15));
    b.forget();
    net.run_for(secs(5));
    assert!(b.pings().len() >= 4);
}
