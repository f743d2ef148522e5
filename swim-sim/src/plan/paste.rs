//! Plans as text: JSON with one step in a line, and a test to paste.

use core::fmt::Write as _;

use serde::Serialize;

use super::Plan;
use crate::checks::Violation;

/// The plan's JSON.
pub(super) fn json(plan: &Plan) -> String {
    let mut out = format!("{{ \"seed\": {}, \"nodes\": {}", plan.seed, plan.nodes);
    let setting = value(&plan.setting);
    if setting != "{}" {
        let _infallible = write!(out, ", \"setting\": {setting}");
    }
    if plan.seconds != 0 {
        let _infallible = write!(out, ", \"seconds\": {}", plan.seconds);
    }
    out.push_str(", \"steps\": [");
    for (index, step) in plan.steps.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _infallible = write!(out, "{comma}\n    {}", value(step));
    }
    out.push_str(if plan.steps.is_empty() { "] }" } else { "\n] }" });
    out
}

/// A test that fails as long as the plan breaks this rule, for `tests/it/regressions.rs`.
pub(super) fn test(plan: &Plan, violation: &Violation) -> String {
    let mut out = format!("/// {violation}\n#[test]\nfn {}_seed_{}() {{\n", violation.rule, plan.seed);
    let _infallible = writeln!(out, "    let plan: Plan = r#\"{}\"#", json(plan).replace('\n', "\n    "));
    out.push_str("        .parse()\n        .expect(\"a plan\");\n");
    out.push_str("    plan.run().unwrap_or_else(|failure| panic!(\"{failure}\"));\n}\n");
    out
}

fn value(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plans have only text for keys, and no maps")
}
