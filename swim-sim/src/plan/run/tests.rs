use super::*;
use crate::plan::Memory;

fn plan(nodes: u32) -> Plan {
    Plan { seed: 1, nodes, setting: super::super::Setting::default(), steps: Vec::new(), seconds: 0 }
}

fn stage(plan: &Plan) -> Stage<'_> {
    let mut stage = Stage::new(plan, Rc::new(RefCell::new(Checks::new(plan.nodes))));
    stage.meet().expect("they meet");
    stage
}

fn rule(result: Result<impl fmt::Debug, Violation>) -> &'static str {
    result.expect_err("a rule is broken").rule
}

#[test]
fn a_quiet_plan_breaks_no_rule() {
    let outcome = plan(4).run().expect("nothing happens");
    assert_eq!(outcome.settled_in, Duration::ZERO);
    assert!(outcome.quiet_rate > 50, "{outcome:?}");
}

#[test]
fn a_panic_is_a_broken_rule() {
    let checks = RefCell::new(Checks::new(1));
    let violation = guarded(&checks, || panic!("out of {}", "cheese")).expect_err("it panics");
    assert_eq!((violation.rule, violation.what.as_str()), ("no_panic", "out of cheese"));
}

#[test]
fn a_node_that_contradicts_itself_is_told_from_other_panics() {
    let checks = RefCell::new(Checks::new(1));
    let played = guarded(&checks, || {
        checks.borrow_mut().look_inside(|| panic!("every suspicion has its timer"));
        unreachable!("it panics")
    });
    assert_eq!(rule(played), "parts_agree");
}

#[test]
fn another_hash_is_another_run() {
    let outcome = plan(2).run().expect("nothing happens");
    assert_eq!(same(outcome, outcome), Ok(outcome));
    assert_eq!(rule(same(outcome, Outcome { digest: outcome.digest ^ 1, ..outcome })), "same_seed_same_hash");
}

#[test]
fn two_nodes_with_one_name_are_found() {
    let plan = plan(3);
    let mut stage = stage(&plan);
    let address = stage.fresh_address();
    stage.start(2, address, &[]);
    assert_eq!(rule(stage.until_agreed(Duration::ZERO)), "one_name_one_node");
    // Given the time, the cluster sees to it.
    stage.until_agreed(Duration::from_secs(60)).expect("one gives way");
}

#[test]
fn an_application_that_is_told_nothing_is_found() {
    let plan = plan(3);
    let mut stage = stage(&plan);
    let host = stage.host(2).expect("it runs");
    stage.world.set_listening(host, false);
    let violation = stage.tell_all().expect_err("it is not told");
    assert_eq!((violation.rule, violation.what.as_str()), ("event_at_least_once", "n2 was not told e1"));
}

#[test]
fn a_crash_that_nobody_hears_of_is_found() {
    let plan = plan(3);
    let mut stage = stage(&plan);
    stage.run_for(GRACE.as_millis() as u64).expect("nothing happens");
    stage.crash(2);
    assert_eq!(stage.news.len(), 1, "it is the only harm");
    stage.news[0].0 = stage.world.now();
    assert_eq!(rule(stage.ask_for_news()), "completeness");
}

#[test]
fn a_crash_among_other_harms_says_nothing_about_completeness() {
    let mut plan = plan(3);
    plan.steps.push(Step { at: 0, lasts: 1000, what: Act::Deaf { node: 1 } });
    let mut stage = stage(&plan);
    stage.run_for(5000).expect("nothing happens");
    stage.crash(2);
    assert_eq!(stage.news, []);
}

/// Snapshot or not, here or elsewhere, once or twice: all of these find home.
#[test]
fn every_kind_of_restart_finds_home() {
    for (memory, moved, seeds) in [
        (Memory::Nothing, false, false),
        (Memory::Nothing, true, true),
        (Memory::Snapshot, false, false),
        (Memory::OldSnapshot, false, true),
    ] {
        let mut plan = plan(4);
        plan.setting.seeds = seeds;
        plan.steps.push(Step { at: 1000, lasts: 0, what: Act::Crash { node: 3 } });
        plan.steps.push(Step { at: 50_000, lasts: 0, what: Act::Restart { node: 3, memory, moved } });
        plan.run().unwrap_or_else(|failure| panic!("{memory:?}, {moved}, {seeds}: {failure}"));
    }
}
