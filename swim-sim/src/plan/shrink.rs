//! Makes a failing plan shorter while it still breaks the same rule: by halves, then step by step (delta debugging),
//! then fewer nodes, shorter faults, and a plainer setting.

use super::{Act, Failure, Plan, Setting};
use crate::checks::Violation;

/// The shortest plan that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// It breaks the same rule.
    pub plan: Plan,
    /// In this way.
    pub violation: Violation,
    /// Runs that it took to find.
    pub runs: u32,
}

impl Plan {
    /// Shortens a plan that breaks this rule, in at most so many runs.
    pub fn shrink(&self, violation: &Violation, runs_max: u32) -> Shrunk {
        self.shrink_by(violation, runs_max, |plan| plan.run().err())
    }

    /// As [`Plan::shrink`], with any way to find out what a plan breaks.
    pub fn shrink_by(&self, violation: &Violation, runs_max: u32, run: impl FnMut(&Self) -> Option<Failure>) -> Shrunk {
        let shrunk = Shrunk { plan: self.clone(), violation: violation.clone(), runs: 0 };
        let mut search = Search { best: shrunk, runs_max, run };
        loop {
            let before = search.best.plan.clone();
            search.drop_steps();
            search.drop_nodes();
            search.simplify();
            if search.best.plan == before || search.best.runs >= runs_max {
                return search.best;
            }
        }
    }
}

struct Search<R> {
    best: Shrunk,
    runs_max: u32,
    run: R,
}

impl<R: FnMut(&Plan) -> Option<Failure>> Search<R> {
    /// Whether this one breaks the rule, too; then it is the best.
    fn try_plan(&mut self, plan: Plan) -> bool {
        if self.best.runs >= self.runs_max || plan.check().is_err() || plan == self.best.plan {
            return false;
        }
        self.best.runs += 1;
        match (self.run)(&plan) {
            Some(Failure::Rule(violation)) if violation.rule == self.best.violation.rule => {
                (self.best.plan, self.best.violation) = (plan, violation);
                true
            }
            _ => false,
        }
    }

    fn drop_steps(&mut self) {
        let mut size = self.best.plan.steps.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.best.plan.steps.len() {
                let mut plan = self.best.plan.clone();
                plan.steps.drain(from..(from + size).min(plan.steps.len()));
                if !self.try_plan(plan) {
                    from += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn drop_nodes(&mut self) {
        while self.best.plan.nodes > 1 {
            let mut plan = self.best.plan.clone();
            plan.nodes -= 1;
            let nobody = plan.nodes + 1;
            for step in &mut plan.steps {
                if let Act::Partition { group, .. } = &mut step.what {
                    group.retain(|node| *node != nobody);
                }
            }
            if !self.try_plan(plan) {
                return;
            }
        }
    }

    fn simplify(&mut self) {
        let plainer: [fn(&mut Setting); 6] = [
            |setting| setting.mixed = false,
            |setting| setting.latency = None,
            |setting| setting.sealed = false,
            |setting| setting.serf_wire = false,
            |setting| setting.seeds = false,
            |setting| setting.preset = super::Preset::Lan,
        ];
        for plainer in plainer {
            let mut plan = self.best.plan.clone();
            plainer(&mut plan.setting);
            self.try_plan(plan);
        }
        self.try_plan(Plan { seconds: 0, ..self.best.plan.clone() });
        for index in 0..self.best.plan.steps.len() {
            // Earlier, as far as the one before allows.
            let earliest = index.checked_sub(1).map_or(0, |before| self.best.plan.steps[before].at);
            let mut plan = self.best.plan.clone();
            plan.steps[index].at = earliest + (plan.steps[index].at.saturating_sub(earliest)) / 2;
            self.try_plan(plan);
            let mut plan = self.best.plan.clone();
            plan.steps[index].lasts /= 2;
            self.try_plan(plan);
        }
    }
}
