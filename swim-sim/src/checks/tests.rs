//! Each rule is broken here once; those that take a whole run in `plan/run/tests.rs`.

use core::time::Duration;

use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::Status;
use swim_core::wire::message::State;

use super::*;
use crate::{TestNet, secs};

const NOW: Instant = Instant::from_nanos(1_000_000_000);

/// Two processes, `n1` and `n2`, and what `n1` is like when all is well.
fn checks() -> (Checks, HostId, HostId, Vitals) {
    let mut net = TestNet::lan(2, 1);
    let (a, b) = (net.host("n1"), net.host("n2"));
    let mut checks = Checks::new(2);
    checks.started(a, 1);
    checks.started(b, 2);
    let well = Vitals::of(net.world_mut().node(a).expect("it runs"), NOW);
    let well = Vitals { incarnation: 5, times: [5, 6, 7], deadline: Some(NOW), ..well };
    checks.vitals(NOW, a, well);
    checks.vitals(NOW, b, well);
    assert_eq!(checks.violation(), None);
    (checks, a, b, well)
}

fn seen(net: &TestNet, number: u32) -> Seen {
    let address = net.address("n2");
    Seen { number, address, status: Status::Alive, state: Some(State::Alive), incarnation: 4 }
}

fn broken(checks: &Checks) -> Option<&'static str> {
    checks.violation().map(|violation| violation.rule)
}

#[test]
fn vitals_that_get_worse_are_found() {
    let (.., well) = checks();
    let past = Instant::from_nanos(NOW.as_nanos() - 1);
    #[rustfmt::skip]
    let table = [
        (well,                                                  None),
        (Vitals { incarnation: 6, ..well },                     None),
        (Vitals { incarnation: 4, ..well },                     Some("incarnation_rises")),
        (Vitals { times: [4, 6, 7], ..well },                   Some("lamport_time_rises")),
        (Vitals { times: [5, 5, 7], ..well },                   Some("lamport_time_rises")),
        (Vitals { times: [5, 6, 0], ..well },                   Some("lamport_time_rises")),
        (Vitals { times: [9, 9, 9], ..well },                   None),
        (Vitals { deadline: Some(past), ..well },               Some("deadline_ahead")),
        (Vitals { deadline: None, ..well },                     None),
        (Vitals { members: well.members_max + 1, ..well },      Some("bounds")),
        (Vitals { updates: well.members_max + 1, ..well },      Some("bounds")),
        (Vitals { queue: well.queue_max, ..well },              None),
        (Vitals { queue: well.queue_max + 1, ..well },          Some("bounds")),
    ];
    for (vitals, rule) in table {
        let (mut checks, a, ..) = checks();
        checks.vitals(NOW, a, vitals);
        assert_eq!(broken(&checks), rule, "{vitals:?}");
    }
}

#[test]
fn an_incarnation_that_its_owner_never_had_is_found() {
    let net = TestNet::lan(2, 1);
    let (mut checks, a, ..) = checks();
    checks.told_member(NOW, a, MemberEvent::Join, b"n2");
    checks.table(NOW, NOW, a, &[Seen { incarnation: 5, ..seen(&net, 2) }]);
    assert_eq!(broken(&checks), None);
    checks.table(NOW, NOW, a, &[Seen { incarnation: 6, ..seen(&net, 2) }]);
    assert_eq!(broken(&checks), Some("owner_raises"));
}

/// Unless somebody else has taken over the name, at another address; or SWIM had forgotten the member.
#[test]
fn a_member_whose_incarnation_falls_is_found() {
    let net = TestNet::lan(2, 1);
    let (five, four) = (Seen { incarnation: 5, ..seen(&net, 2) }, seen(&net, 2));
    for (then, rule) in [
        (vec![four], Some("incarnation_rises")),
        (vec![Seen { address: net.address("n1"), ..four }], None),
        (vec![Seen { state: None, ..five }, four], None),
    ] {
        let (mut checks, a, ..) = checks();
        checks.told_member(NOW, a, MemberEvent::Join, b"n2");
        checks.table(NOW, NOW, a, &[five]);
        for seen in &then {
            checks.table(NOW, NOW, a, &[*seen]);
        }
        assert_eq!(broken(&checks), rule, "{then:?}");
    }
}

/// Unless somebody else has taken over the name, at another address; or SWIM had forgotten the member.
#[test]
fn a_return_without_a_newer_incarnation_is_found() {
    use State::{Alive, Dead, Left, Suspect};
    let net = TestNet::lan(2, 1);
    let at = |state, incarnation| Seen { state: Some(state), incarnation, ..seen(&net, 2) };
    let elsewhere = Seen { address: net.address("n1"), ..at(Alive, 4) };
    let forgotten = Seen { state: None, ..at(Dead, 4) };
    for (looks, rule) in [
        (vec![at(Suspect, 4), at(Alive, 4)], Some("return_is_newer")),
        (vec![at(Dead, 4), at(Alive, 4)], Some("return_is_newer")),
        (vec![at(Left, 4), at(Suspect, 4)], Some("return_is_newer")),
        (vec![at(Suspect, 4), at(Alive, 5)], None),
        (vec![at(Dead, 4), at(Suspect, 5)], None),
        (vec![at(Alive, 4), at(Suspect, 4), at(Dead, 4)], None),
        (vec![at(Left, 4), elsewhere], None),
        (vec![at(Dead, 4), forgotten, at(Alive, 4)], None),
    ] {
        let (mut checks, a, ..) = checks();
        checks.told_member(NOW, a, MemberEvent::Join, b"n2");
        for seen in &looks {
            checks.table(NOW, NOW, a, &[*seen]);
        }
        assert_eq!(broken(&checks), rule, "{looks:?}");
    }
}

#[test]
fn a_suspicion_without_an_end_is_found() {
    let net = TestNet::lan(2, 1);
    let (mut checks, a, ..) = checks();
    checks.told_member(NOW, a, MemberEvent::Join, b"n2");
    let suspect = Seen { state: Some(State::Suspect), ..seen(&net, 2) };
    checks.table(NOW, NOW, a, &[suspect]);
    // Refuted, and suspected anew.
    let suspect = Seen { incarnation: 5, ..suspect };
    checks.table(NOW, NOW + secs(500), a, &[Seen { incarnation: 5, ..seen(&net, 2) }]);
    checks.table(NOW, NOW + secs(600), a, &[suspect]);
    checks.table(NOW, NOW + secs(900), a, &[suspect]);
    assert_eq!(broken(&checks), None);
    checks.table(NOW, NOW + secs(1200), a, &[suspect]);
    assert_eq!(broken(&checks), Some("suspicion_ends"));
}

#[test]
fn a_change_that_no_event_told_is_found() {
    let net = TestNet::lan(2, 1);
    let failed = Seen { status: Status::Failed, state: Some(State::Dead), ..seen(&net, 2) };
    for (told, table, rule) in [
        (None, vec![seen(&net, 2)], Some("events_tell_all")),
        (Some(MemberEvent::Join), vec![seen(&net, 2)], None),
        (Some(MemberEvent::Join), vec![failed], Some("events_tell_all")),
        (Some(MemberEvent::Join), vec![], Some("events_tell_all")),
        (Some(MemberEvent::Failed), vec![failed], None),
        (Some(MemberEvent::Reap), vec![], None),
    ] {
        let (mut checks, a, ..) = checks();
        if let Some(kind) = told {
            checks.told_member(NOW, a, kind, b"n2");
        }
        checks.table(NOW, NOW, a, &table);
        assert_eq!(broken(&checks), rule, "{told:?} {table:?}");
    }
}

/// But for those of whom the application was never told that they are gone: they were pruned.
#[test]
fn a_member_forgotten_too_early_is_found() {
    use MemberEvent::{Failed, Join, Leave, Reap, Update};
    let day = secs(24 * 3600);
    for (told, rule) in [
        (vec![(NOW, Failed), (NOW + secs(45), Reap)], Some("memory_lasts")),
        (vec![(NOW, Leave), (NOW + secs(45), Reap)], Some("memory_lasts")),
        (vec![(NOW, Failed), (NOW + day, Reap)], None),
        (vec![(NOW, Failed), (NOW + day, Leave), (NOW + day, Reap)], None),
        (vec![(NOW, Failed), (NOW + day, Join), (NOW + day, Leave), (NOW + day, Reap)], Some("memory_lasts")),
        (vec![(NOW, Failed), (NOW, Update), (NOW + secs(45), Reap)], Some("memory_lasts")),
        (vec![(NOW, Join), (NOW + secs(45), Reap)], None),
    ] {
        let (mut checks, a, ..) = checks();
        for (at, kind) in &told {
            checks.told_member(*at, a, *kind, b"n2");
        }
        assert_eq!(broken(&checks), rule, "{told:?}");
    }
}

#[test]
fn a_user_event_told_twice_is_found() {
    let (mut checks, a, b, _) = checks();
    checks.told_user_event(NOW, a, b"e1");
    checks.told_user_event(NOW, b, b"e1");
    checks.told_user_event(NOW, a, b"e2");
    assert_eq!(broken(&checks), None);
    checks.told_user_event(NOW, a, b"e1");
    assert_eq!(broken(&checks), Some("event_at_most_once"));
}

#[test]
fn a_death_without_a_cause_is_found() {
    for (calm_since, running, rule) in [
        (Some(NOW), true, Some("no_death_without_cause")),
        (Some(NOW + secs(1)), true, None),
        (None, true, None),
        (Some(NOW), false, None),
    ] {
        let (mut checks, a, b, _) = checks();
        checks.set_calm(calm_since);
        if !running {
            checks.ended(b, false);
        }
        checks.told_member(NOW, a, MemberEvent::Failed, b"n2");
        assert_eq!(broken(&checks), rule, "{calm_since:?} {running}");
    }
}

#[test]
fn a_talkative_node_is_found() {
    for (bytes, rule) in [(10_000, None), (10_001, Some("budget"))] {
        let (mut checks, ..) = checks();
        checks.budget(NOW, bytes, 5, Duration::from_secs(20), 100);
        assert_eq!(broken(&checks), rule, "{bytes}");
    }
}

#[test]
fn those_who_disagree_are_found() {
    let mut net = TestNet::lan(3, 1).converged();
    let rule = |net: &TestNet, names: &[&str]| {
        let running = names.iter().map(|name| {
            let number = number(name.as_bytes()).expect("a number");
            Running { number, address: net.address(name), node: &net[*name] }
        });
        Cluster::new(running.collect()).disagreement().map(|(rule, _)| rule)
    };
    assert_eq!(rule(&net, &["n1", "n2", "n3"]), None);
    assert_eq!(rule(&net, &["n1", "n2"]), Some("agreement"), "they hold n3 to be there");
    net.start("n4");
    assert_eq!(rule(&net, &["n1", "n2", "n3", "n4"]), Some("nobody_stays_dead"), "they do not know n4");
    // One changes its tags, and before the others have heard it their views differ.
    net.set_tag("n2", "role", "web");
    assert_eq!(rule(&net, &["n1", "n2", "n3"]), Some("agreement"));
    net.run_for(secs(5));
    assert_eq!(rule(&net, &["n1", "n2", "n3"]), None);
    net.crash("n3");
    let running = vec![Running { number: 1, address: net.address("n1"), node: &net["n1"] }];
    let cluster = Cluster::new(running);
    assert_eq!(cluster.believer(3).as_deref(), Some("n1 holds n3 to be alive"));
    assert_eq!(cluster.believer(9), None);
}

/// The watcher sees what nodes really do.
#[test]
fn checkers_look_on() {
    let checks = std::rc::Rc::new(core::cell::RefCell::new(Checks::new(3)));
    let mut net = TestNet::lan(3, 1);
    for number in 1..=3 {
        checks.borrow_mut().started(net.host(&format!("n{number}")), number);
    }
    net.world_mut().watch(std::rc::Rc::clone(&checks));
    net.join("n2", "n1");
    net.run_for(secs(5));
    net.user_event("n1", "deploy", "");
    net.run_for(secs(5));
    assert!(checks.borrow().was_told(net.host("n2"), b"deploy"));
    assert!(!checks.borrow().was_told(net.host("n3"), b"deploy"));
    // Neither has it broken a rule.
    assert_eq!(checks.borrow().violation(), None);
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = RULES.iter().map(|(name, _)| name).collect();
    assert!(names.len() == RULES.len() && RULES.len() >= 12);
}
