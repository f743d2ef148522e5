use super::*;
use crate::rng::Rng;

fn step(at: u64, what: Act) -> Step {
    Step { at, lasts: 0, what }
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan { seed: 7, nodes: 5, setting: Setting::default(), steps, seconds: 300 }
}

#[test]
fn plans_survive_being_written_down() {
    for seed in 0..300 {
        let plan = Plan::generate_for(seed, 5 + seed as u32 % 4);
        assert_eq!(plan.to_json().parse(), Ok(plan), "seed {seed}");
    }
}

#[test]
fn generated_plans_can_be_run() {
    for seed in 0..2000 {
        assert_eq!(Plan::generate(seed).check(), Ok(()), "seed {seed}");
    }
}

/// 97 % small, 2.8 % of 64, 0.2 % of 1000.
#[test]
fn most_plans_are_small() {
    let mut sizes = std::collections::BTreeMap::new();
    for seed in 0..20_000 {
        *sizes.entry(Plan::generate(seed).nodes).or_insert(0) += 1;
    }
    assert_eq!(sizes.keys().copied().collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 64, 1000]);
    assert!((450..670).contains(&sizes[&64]), "{sizes:?}");
    assert!((20..60).contains(&sizes[&1000]), "{sizes:?}");
}

#[test]
fn every_fault_is_drawn() {
    let mut names = std::collections::BTreeSet::new();
    for seed in 0..2000 {
        names.extend(Plan::generate(seed).steps.iter().map(|step| step.what.name()));
    }
    // An operator joins by himself, after the plan.
    assert_eq!(names.len(), 26, "{names:?}");
}

#[test]
fn what_is_wrong_with_a_plan_is_said() {
    let nobody = Act::Cut { from: 1, to: 6, both: true };
    #[rustfmt::skip]
    let table = [
        (plan(vec![step(5, Act::Crash { node: 1 }), step(9, nobody)]), "step 2 (Cut at 9 ms) names n6, but the nodes are n1 to n5"),
        (plan(vec![step(5, Act::Query { node: 0 })]),       "step 1 (Query at 5 ms) names n0, but the nodes are n1 to n5"),
        (plan(vec![step(5, Act::Loss { rate: 1.5 })]),      "step 1 (Loss at 5 ms) has the rate 1.5, which is not between 0 and 1"),
        (plan(vec![step(u64::MAX, Act::Query { node: 1 })]), "step 1 (Query at 18446744073709551615 ms) is not over within 86400 seconds"),
        (Plan { nodes: 0, ..plan(Vec::new()) },             "a plan has 1 to 20000 nodes, this one 0"),
        (Plan { seconds: 90_000, ..plan(Vec::new()) },      "a run takes at most 86400 seconds, not 90000"),
    ];
    for (plan, error) in table {
        assert_eq!(plan.check().map_err(|error| error.to_string()), Err(error.to_owned()));
        assert_eq!(plan.run().map_err(|error| error.to_string()), Err(error.to_owned()));
    }
    let error = r#"{ "seed": 1, "nodes": 3, "steps": [{ "at": 1, "what": { "Flood": {} } }] }"#.parse::<Plan>();
    let error = error.expect_err("there is no such thing").to_string();
    assert!(error.starts_with("this is not the JSON of a plan: unknown variant `Flood`"), "{error}");
}

/// A rule that is broken when n2 crashes while packets are lost: everything else goes.
#[test]
fn shrinking_keeps_only_what_the_failure_needs() {
    let mut rng = Rng::new(1);
    let mut steps = Vec::new();
    for at in 0..40 {
        let node = 1 + rng.below(5) as u32;
        steps.push(step(at * 1000, Act::Freeze { node, first: First::Arrivals }));
    }
    steps[11].what = Act::Loss { rate: 0.3 };
    steps[29].what = Act::Crash { node: 2 };
    steps[33].what = Act::Partition { group: vec![1, 5] };
    let violation = Violation { rule: "agreement", at: swim_core::Instant::ZERO, what: String::new() };
    let other = Violation { rule: "budget", ..violation.clone() };
    let mut runs = 0;
    let shrunk = plan(steps).shrink_by(&violation, 500, |plan| {
        runs += 1;
        let has = |wanted: &str| plan.steps.iter().any(|step| step.what.name() == wanted);
        let failure = if has("Loss") && has("Crash") { &violation } else { &other };
        Some(Failure::Rule(failure.clone()))
    });
    let left: Vec<_> = shrunk.plan.steps.iter().map(|step| step.what.name()).collect();
    assert_eq!(left, ["Loss", "Crash"]);
    assert_eq!((shrunk.plan.nodes, shrunk.plan.seconds), (2, 0), "n2 must be there");
    assert!(shrunk.runs == runs && runs < 100, "{runs}");
}

#[test]
fn shrinking_stops_at_its_bound() {
    let violation = Violation { rule: "agreement", at: swim_core::Instant::ZERO, what: String::new() };
    let long = plan((0..50).map(|at| step(at, Act::Query { node: 1 })).collect());
    let shrunk = long.shrink_by(&violation, 3, |_| None);
    assert_eq!((shrunk.runs, shrunk.plan), (3, long));
}

#[test]
fn a_failure_is_printed_as_a_test() {
    let violation =
        Violation { rule: "agreement", at: swim_core::Instant::from_nanos(1_500_000_000), what: "n1 errs".into() };
    let test = plan(vec![step(5, Act::Crash { node: 1 })]).to_test(&violation);
    let expected = r##"/// agreement at 1.5s: n1 errs
#[test]
fn agreement_seed_7() {
    let plan: Plan = r#"{ "seed": 7, "nodes": 5, "seconds": 300, "steps": [
        {"at":5,"what":{"Crash":{"node":1}}}
    ] }"#
        .parse()
        .expect("a plan");
    plan.run().unwrap_or_else(|failure| panic!("{failure}"));
}
"##;
    assert_eq!(test, expected);
}
