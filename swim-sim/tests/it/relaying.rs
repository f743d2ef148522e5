//! What is passed on, and how: `swim-state.md` section 5.

use swim_core::versions::{VersionRange, Versions};
use swim_core::wire::message::State;
use swim_sim::speech::VERSIONS;
use swim_sim::{EntrySaid, Said, StreamSaid, TestNet, ms, secs};

const SEED: u64 = 5;

/// What is believed is passed on with the fields that it came with: accuser, incarnation, metadata, versions
/// (swim-state 5).
#[test]
fn updates_are_relayed_as_they_came() {
    let mut net = TestNet::bench(SEED);
    let (w, x, y) = (net.member("w"), net.puppet("x"), net.puppet("y"));
    let strange = Versions { protocol: VersionRange { min: 2, max: 9, current: 3 }, ..VERSIONS };
    let told = [
        x.alive_with(7, b"as it came", Some(strange)),
        y.suspect("x", 9),
        Said::Dead { incarnation: 11, node: "x".to_owned(), from: "somebody unknown".to_owned() },
    ];
    for said in told {
        w.forget();
        net.tell(&y, "n1", said.clone());
        net.run_for(secs(1));
        let relayed = w.messages_where(|said| said.is_about("x"));
        assert!(!relayed.is_empty(), "{said:?} is passed on");
        for (_, relayed) in relayed {
            assert_eq!(relayed, said);
        }
    }
}

/// A leave is passed on as one: accuser and accused are the same (swim-state 5, 3.1).
#[test]
fn a_leave_is_relayed_as_a_leave() {
    let mut net = TestNet::bench(SEED);
    let (w, x) = (net.member("w"), net.member("x"));
    net.run_for(secs(2));
    w.forget();
    net.tell(&x, "n1", x.dead("x", 1));
    net.run_for(secs(1));
    let relayed = w.messages_where(|said| said.is_about("x"));
    assert!(!relayed.is_empty());
    for (_, relayed) in relayed {
        assert_eq!(relayed, x.dead("x", 1));
    }
}

/// What is not believed is not passed on (swim-state 5).
#[test]
fn ignored_updates_are_not_relayed() {
    let mut net = TestNet::bench(SEED);
    let (w, x) = (net.member("w"), net.puppet("x"));
    net.tell(&x, "n1", x.alive(5));
    net.run_for(secs(5));
    assert_eq!(net["n1"].summary().update_queue, 0, "the scene is set");
    w.forget();
    x.forget();
    let ignored = [
        x.alive_with(5, b"not newer", Some(VERSIONS)),
        x.alive_with(4, b"older", Some(VERSIONS)),
        w.suspect("x", 4),
        w.dead("x", 4),
        w.suspect("nobody", 1),
        w.dead("nobody", 1),
    ];
    for said in ignored {
        net.tell(&w, "n1", said);
    }
    assert_eq!(net["n1"].summary().update_queue, 0);
    net.run_for(secs(2));
    for puppet in [&w, &x] {
        assert_eq!(puppet.messages_where(|said| said.subject().is_some()), []);
    }
}

/// What a full state exchange has taught is gossiped like anything else (swim-state 5, end).
#[test]
fn what_a_push_pull_teaches_is_gossiped() {
    let mut net = TestNet::bench(SEED);
    let (w, x, y) = (net.member("w"), net.puppet("x"), net.puppet("y"));
    net.run_for(secs(3));
    w.forget();
    let entry = EntrySaid { meta: b"data".to_vec(), ..x.entry(3, State::Alive) };
    let entries = vec![y.entry(1, State::Alive), entry];
    net.dial(&y, "n1", &StreamSaid::PushPull { join: true, entries, user_state: Vec::new() });
    net.run_for(ms(1500));
    assert_eq!(net.state_at("n1", "x"), Some((State::Alive, 3)));
    let relayed = w.messages_where(|said| said.is_about("x"));
    assert!(!relayed.is_empty());
    for (_, relayed) in relayed {
        assert_eq!(relayed, x.alive_with(3, b"data", Some(VERSIONS)));
    }
}
