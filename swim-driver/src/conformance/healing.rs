//! Seeds: joining without a call, and never giving up.

use core::time::Duration;

use swim_core::serf::member::Status;

use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::options::Options;

/// A node with these seeds, that tries them often.
fn seeded(name: &str, seeds: &[String]) -> Options {
    let mut options = options(name);
    options.seeds = seeds.to_vec();
    options.config.serf.heal_interval = Duration::from_millis(200);
    options.config.serf.heal_interval_max = Duration::from_millis(400);
    options
}

pub(super) async fn seeds_are_joined_without_a_call<H: Harness>() {
    let (a, at): (ClusterOn<H>, _) = start_at_localhost(options("a")).await;
    // One is no address, one is not there, one is ourselves.
    let mut seeds = vec!["not an address".into(), "127.0.0.1:9".into(), at];
    let b: ClusterOn<H> = start_with(seeded("b", &seeds)).await;
    seeds.push(address(&b));
    eventually("both know each other", || {
        status(&b, "a") == Some(Status::Alive) && status(&a, "b") == Some(Status::Alive)
    })
    .await;
    assert!(b.stats().heals_met >= 1);
    assert_eq!(a.stats().heals_tried, 0, "it has no seeds");
    b.shutdown().await;
    let c: ClusterOn<H> = start_with(seeded("c", &seeds)).await;
    eventually("c knows a", || status(&c, "a") == Some(Status::Alive)).await;
}

/// The address is there before anybody listens on it.
pub(super) async fn a_seed_that_starts_later_is_found<H: Harness>() {
    let reserved = start::<H>("reserved").await;
    let place = reserved.bound_address();
    reserved.shutdown().await;
    let early: ClusterOn<H> = start_with(seeded("early", &[place.to_string()])).await;
    eventually("it has been tried in vain", || early.stats().push_pulls_failed >= 2).await;
    assert_eq!(early.members().len(), 1);

    let mut late = options("late");
    late.bind = place;
    let late: ClusterOn<H> = start_with(late).await;
    eventually("they have met", || {
        status(&early, "late") == Some(Status::Alive) && status(&late, "early") == Some(Status::Alive)
    })
    .await;
}

/// Whom a join has reached is not given up when it comes back anew and knows nobody.
pub(super) async fn whoever_was_joined_is_looked_for<H: Harness>() {
    let a = start::<H>("a").await;
    let place = a.bound_address();
    let mut options = seeded("b", &[]);
    // It is not Serf's reconnecting that finds it, nor gossip to the dead.
    options.config.serf.reconnect_interval = Duration::ZERO;
    options.config.swim.gossip_to_the_dead_time = Duration::from_millis(100);
    let b: ClusterOn<H> = start_with(options).await;
    join(&b, &a).await;
    a.shutdown().await;
    eventually("SWIM has forgotten a", || b.member(b"a").is_some_and(|a| a.state.is_none())).await;
    let mut again = self::options("again");
    again.bind = place;
    let again: ClusterOn<H> = start_with(again).await;
    eventually("b has found whoever is there now", || {
        status(&b, "again") == Some(Status::Alive) && status(&again, "b") == Some(Status::Alive)
    })
    .await;
    assert!(b.stats().heals_met >= 1);
}
