//! One page of results that needs nothing but itself: no network, no script, light or dark as the reader's system is,
//! on a telephone as on a desk. `chart.rs` draws.

mod chart;

use core::fmt::Write;

use crate::experiments;
use crate::experiments::results::{Cell, Results, Table};

/// The page.
pub fn html(all: &[Results]) -> String {
    let mut page = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n<title>swim in simulation</title>\n<style>");
    page.push_str(STYLE);
    page.push_str("</style>\n</head>\n<body>\n<main>\n<h1>swim in simulation</h1>\n");
    page.push_str("<p class=\"lead\">Real nodes, one thread, virtual time. Every figure repeats from its seed.</p>\n");
    push_contents(&mut page, all);
    push_summary(&mut page, all);
    for results in all {
        push_section(&mut page, results);
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Links to the experiments, when there are several.
fn push_contents(page: &mut String, all: &[Results]) {
    if all.len() < 2 {
        return;
    }
    page.push_str("<nav><ul>\n");
    for results in all {
        let name = escape(&results.experiment);
        let _ = writeln!(page, "<li><a href=\"#{name}\">{name}</a></li>");
    }
    page.push_str("</ul></nav>\n");
}

fn push_summary(page: &mut String, all: &[Results]) {
    if all.iter().all(|results| results.gates.is_empty()) {
        return;
    }
    page.push_str(
        "<h2>Where figures have to land</h2>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"gates\"><thead><tr>",
    );
    page.push_str("<th>experiment</th><th>condition</th><th>found</th><th></th></tr></thead><tbody>\n");
    for results in all {
        for gate in &results.gates {
            let (class, word) = if gate.met { ("met", "met") } else { ("missed", "missed") };
            let name = escape(&results.experiment);
            let (what, found) = (escape(&gate.what), escape(&gate.found));
            let _ = writeln!(
                page,
                "<tr><td><a href=\"#{name}\">{name}</a></td><td>{what}</td><td>{found}</td>\
                 <td class=\"{class}\">{word}</td></tr>"
            );
        }
    }
    page.push_str("</tbody></table></div>\n");
}

fn push_section(page: &mut String, results: &Results) {
    let name = escape(&results.experiment);
    let _ = writeln!(page, "<section id=\"{name}\">\n<h2>{name}</h2>");
    if let Some(experiment) = experiments::find(&results.experiment) {
        let _ = writeln!(page, "<p class=\"about\">{}</p>", escape(experiment.about));
    }
    if results.fraction < 1.0 {
        // A few runs say less than the charts seem to.
        let part = results.fraction;
        let _ = writeln!(page, "<p class=\"note\">From {part} of the full number of runs.</p>");
    }
    for chart in &results.charts {
        chart::push(page, chart);
    }
    for table in &results.tables {
        push_table(page, table);
    }
    for note in &results.notes {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(note));
    }
    page.push_str("<details><summary>How it was made</summary>\n<dl>");
    let _ = writeln!(page, "<dt>command</dt><dd><code>{}</code></dd>", escape(&results.command));
    for (what, value) in &results.settings {
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(what), escape(value));
    }
    page.push_str("</dl></details>\n</section>\n");
}

fn push_table(page: &mut String, table: &Table) {
    let _ =
        writeln!(page, "<h3>{}</h3>\n<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>", escape(&table.title));
    for column in &table.columns {
        let _ = write!(page, "<th>{}</th>", escape(column));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for cell in row {
            let class = if matches!(cell, Cell::Number(_)) { " class=\"number\"" } else { "" };
            let _ = write!(page, "<td{class}>{}</td>", escape(&cell.to_string()));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// Text for HTML and SVG, in attributes, too.
fn escape(text: &str) -> String {
    keep_numbers_whole(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// No line ends within 4 320.
fn keep_numbers_whole(text: &str) -> String {
    let mut before = ' ';
    let mut whole = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        let splits =
            letter == ' ' && before.is_ascii_digit() && text[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        whole.push(if splits { '\u{a0}' } else { letter });
        before = letter;
    }
    whole
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::Options;
    use crate::experiments::results::{Axis, Chart, Series, Style, row};

    fn results() -> Results {
        let mut results = Results::new("a <b> & \"c\"", &Options { fraction: 0.25, ..Options::default() });
        results.gate("x < 3", "2", true);
        results.gate("x > 3", "2", false);
        let mut table = Table::new("t", &["<i>", "n"]);
        table.push(row!["a&b", 1.5]);
        results.tables.push(table);
        results.charts.push(Chart {
            title: "title".into(),
            caption: "says <b>this</b>".into(),
            x: Axis::logarithmic("seconds"),
            y: Axis::linear("count"),
            series: vec![
                Series::new("one", Style::Points, vec![(0.0, 1.0), (1.0, f64::NAN), (10.0, 5.0), (1000.0, 0.0)]),
                Series::new("none", Style::Line, Vec::new()),
            ],
        });
        results
    }

    /// Whatever an experiment is called, the page is well-formed, and it loads nothing.
    #[test]
    fn the_page_stands_alone() {
        let page = html(&[results()]);
        for forbidden in ["<b>", "<i>", "http:", "https:", "src=", "@import", "url(", "<script", "NaN", "inf"] {
            assert!(!page.contains(forbidden), "{forbidden} in\n{page}");
        }
        for tag in [
            "table",
            "svg",
            "section",
            "div",
            "tr",
            "td",
            "th",
            "style",
            "main",
            "figure",
            "figcaption",
            "nav",
            "g",
            "text",
            "details",
        ] {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(page.contains("From 0.25 of the full number of runs"));
        assert!(page.contains("<figcaption>says &lt;b&gt;this&lt;/b&gt;</figcaption>"));
        assert!(page.contains("prefers-color-scheme: dark") && page.contains("class=\"missed\">missed"));
    }

    #[test]
    fn numbers_are_not_torn_apart() {
        assert_eq!(escape("1 000 of 4 320 at 5 s"), "1\u{a0}000 of 4\u{a0}320 at 5 s");
    }

    /// A point at 0 has no place on a logarithmic axis, one that is no number has none anywhere.
    #[test]
    fn points_without_a_place_are_left_out() {
        let page = html(&[results()]);
        // 10 and 1000, once for desks and once for telephones.
        assert_eq!(page.matches("<circle").count(), 4);
    }
}
