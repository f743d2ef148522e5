//! Prometheus's text format, version 0.0.4.

use core::fmt::{Display, Write as _};

use crate::VERSION;
use crate::metrics::Own;
use crate::metrics::table::{COUNTERS, GAUGES, Known};

/// Everything there is to tell.
pub(super) fn text(known: &Known, own: &Own) -> String {
    let mut text = Text::default();
    text.family("swim_build_info", "gauge", "The program's version.");
    text.value("swim_build_info", &format!("version={}", quoted(VERSION)), 1);
    let mut previous = "";
    for gauge in GAUGES {
        if let Some(value) = (gauge.read)(&known.summary) {
            if previous != gauge.name {
                text.family(gauge.name, "gauge", gauge.help);
            }
            previous = gauge.name;
            text.value(gauge.name, gauge.label, value);
        }
    }
    for family in COUNTERS {
        text.family(family.name, "counter", family.help);
        for counter in family.counters {
            text.value(family.name, counter.label, (counter.read)(known));
        }
    }
    for (name, help, value) in [
        (OWN[0], "RPC clients accepted.", own.clients),
        (OWN[1], "Requests of RPC clients.", own.commands),
        (OWN[2], "Lines that found no room on their way to statsd or statsite.", own.lines_dropped),
    ] {
        text.family(name, "counter", help);
        text.value(name, "", value);
    }
    text.family(OWN[3], "summary", "Runs of event handlers, by what they are for.");
    for (filter, (runs, secs)) in &own.handlers {
        let label = format!("handler={}", quoted(filter));
        text.value(&format!("{}_sum", OWN[3]), &label, secs);
        text.value(&format!("{}_count", OWN[3]), &label, runs);
    }
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, label: &str, value: impl Display) {
        let _ = match label {
            "" => writeln!(self.0, "{name} {value}"),
            label => writeln!(self.0, "{name}{{{label}}} {value}"),
        };
    }
}

/// A label's value.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Names of what the agent itself counts.
const OWN: [&str; 4] =
    ["swim_rpc_clients_total", "swim_rpc_commands_total", "swim_metric_lines_dropped_total", "swim_handler_seconds"];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn example() -> String {
        let mut known = Known::default();
        known.stats.probes_failed = 7;
        (known.summary.members, known.summary.failed) = (3, 1);
        let handlers = BTreeMap::from([("user:a\"b\\c\nd".to_owned(), (2, 0.25))]);
        text(&known, &Own { clients: 4, handlers, ..Own::default() })
    }

    #[test]
    fn values() {
        let text = example();
        for line in [
            "# HELP swim_probe_outcomes_total Probes that ended, by how.",
            "# TYPE swim_probe_outcomes_total counter",
            "swim_probe_outcomes_total{outcome=\"failed\"} 7",
            "swim_members{status=\"alive\"} 2",
            "swim_members{status=\"failed\"} 1",
            "swim_health_score 0",
            "swim_rpc_clients_total 4",
            "swim_handler_seconds_sum{handler=\"user:a\\\"b\\\\c\\nd\"} 0.25",
            "swim_handler_seconds_count{handler=\"user:a\\\"b\\\\c\\nd\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
        }
        assert!(!text.contains("swim_coordinate_resets"), "there are no coordinates");
    }

    /// Each name is described once, before its values, which stand together.
    #[test]
    fn the_format() {
        let text = example();
        let mut described = BTreeSet::new();
        let mut current = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                current = help.split(' ').next().unwrap();
                assert!(described.insert(current), "{current} is described twice");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                assert!(kind.starts_with(&format!("{current} ")), "{line}");
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(series.starts_with(current), "{line} stands under {current}");
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn the_documentation_has_every_name_of_the_agents_own() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let documented = std::fs::read_to_string(path).unwrap();
        for name in OWN.iter().chain(&["swim_build_info"]) {
            assert!(documented.contains(&format!("`{name}`")), "docs/metrics.md does not have `{name}`");
        }
    }
}
