//! Charts as SVG. Each is drawn twice, for desks and for telephones: text that shrinks with its picture cannot be read.

use core::fmt::Write;

use super::escape;
use crate::experiments::results::{Axis, Chart, Series, Style};

/// Adds a chart with its title and its legend.
pub(super) fn push(page: &mut String, chart: &Chart) {
    let _ = writeln!(page, "<figure>\n<h3>{}</h3>", escape(&chart.title));
    for (class, width, height) in [("desk", 860.0, 400.0), ("phone", 360.0, 300.0)] {
        push_drawing(page, chart, class, width, height);
    }
    page.push_str("<ul class=\"legend\">\n");
    for (number, series) in chart.series.iter().enumerate() {
        let colour = colour(chart, number);
        let sample = match series.style {
            Style::Line | Style::Dashed | Style::Points => {
                format!("<path class=\"{}\" d=\"M0 5H26\"/>", classes(colour, series))
            }
            Style::Marks => format!("<circle class=\"s{colour}\" cx=\"13\" cy=\"5\" r=\"3.5\"/>"),
        };
        let name = escape(&series.name);
        let _ = writeln!(page, "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\">{sample}</svg>{name}</li>");
    }
    page.push_str("</ul>\n");
    if !chart.caption.is_empty() {
        let _ = writeln!(page, "<figcaption>{}</figcaption>", escape(&chart.caption));
    }
    page.push_str("</figure>\n");
}

fn push_drawing(page: &mut String, chart: &Chart, class: &str, width: f64, height: f64) {
    let points =
        || chart.series.iter().flat_map(|series| &series.points).copied().filter(|point| has_place(chart, *point));
    let (left, right, top, bottom) = (62.0, width - 14.0, 22.0, height - 42.0);
    let x = Scale::new(&chart.x, points().map(|point| point.0), (left, right)).without_emptiness();
    let y = Scale::new(&chart.y, points().map(|point| point.1), (bottom, top));
    let title = escape(&chart.title);
    let _ =
        writeln!(page, "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">");
    let few = class == "phone";
    for tick in x.ticks(if few { 4 } else { 9 }) {
        let at = x.place(tick);
        let _ = writeln!(page, "<path class=\"grid\" d=\"M{at:.1} {top}V{bottom}\"/>");
        let _ = writeln!(
            page,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 17.0,
            label(tick)
        );
    }
    for tick in y.ticks(6) {
        let at = y.place(tick);
        let _ = writeln!(page, "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/>");
        let _ = writeln!(
            page,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 7.0,
            at + 4.0,
            label(tick)
        );
    }
    let (middle, below) = ((left + right) / 2.0, height - 8.0);
    let _ =
        writeln!(page, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", escape(&chart.x.label));
    let _ = writeln!(page, "<text x=\"4\" y=\"13\">{}</text>", escape(&chart.y.label));
    for (number, series) in chart.series.iter().enumerate() {
        push_series(page, chart, colour(chart, number), series, &x, &y);
    }
    page.push_str("</svg>\n");
}

fn push_series(page: &mut String, chart: &Chart, colour: usize, series: &Series, x: &Scale, y: &Scale) {
    let placed: Vec<(f64, f64)> = series.points.iter().copied().filter(|point| has_place(chart, *point)).collect();
    let mut path = String::new();
    for (index, point) in placed.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{:.1} {:.1}", x.place(point.0), y.place(point.1));
    }
    if placed.len() > 1 && series.style != Style::Marks {
        let _ = writeln!(page, "<path class=\"{}\" d=\"{path}\"/>", classes(colour, series));
    }
    if matches!(series.style, Style::Points | Style::Marks) || placed.len() == 1 {
        for point in &placed {
            let (at_x, at_y) = (x.place(point.0), y.place(point.1));
            let (name, across, up) = (escape(&series.name), label(point.0), label(point.1));
            let _ = writeln!(
                page,
                "<circle class=\"s{colour}\" cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"3.5\"><title>{name}: {across}, {up}</title></circle>"
            );
        }
    }
}

fn classes(colour: usize, series: &Series) -> String {
    let dashed = if series.style == Style::Dashed { " dashed" } else { "" };
    format!("curve s{colour}{dashed}")
}

/// Each its own, but "SWIM, paper" that of "SWIM": they are to be compared.
fn colour(chart: &Chart, number: usize) -> usize {
    let name = chart.series[number].name.as_str();
    let is_like = |other: &Series| name.strip_prefix(other.name.as_str()).is_some_and(|rest| rest.starts_with(','));
    chart.series[..number].iter().position(is_like).unwrap_or(number) % COLOURS
}

fn has_place(chart: &Chart, point: (f64, f64)) -> bool {
    let fits = |axis: &Axis, value: f64| value.is_finite() && (!axis.logarithmic || value > 0.0);
    fits(&chart.x, point.0) && fits(&chart.y, point.1)
}

/// Where values lie along one direction.
struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
    /// The least value there is.
    least: f64,
    ends: (f64, f64),
}

impl Scale {
    fn new(axis: &Axis, values: impl Iterator<Item = f64>, ends: (f64, f64)) -> Self {
        let (mut low, mut high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let least = low;
        if axis.logarithmic {
            if low == high {
                (low, high) = (low / 2.0, high * 2.0);
            }
        } else {
            low = low.min(0.0);
            // A curve along the very edge is hard to see.
            high = if high > low { high + (high - low) * HEADROOM } else { low + 1.0 };
        }
        Self { logarithmic: axis.logarithmic, low, high, least, ends }
    }

    /// Begins shortly before the least value, when most of the way up to it from 0 would be empty. For what lies along
    /// the bottom: heights are compared with 0.
    fn without_emptiness(mut self) -> Self {
        if !self.logarithmic && self.least > self.high * EMPTY_MAX {
            let step = round_step((self.high - self.least) / 5.0);
            self.low = (self.least / step).floor() * step;
        }
        self
    }

    fn place(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.ends.0 + part * (self.ends.1 - self.ends.0)
    }

    /// Round values in the range, about so many.
    fn ticks(&self, about: usize) -> Vec<f64> {
        if self.logarithmic {
            return self.round_powers(about);
        }
        let rough = (self.high - self.low) / (1.0 + HEADROOM) / about as f64 * 0.999;
        let step = round_step(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).collect()
    }

    fn round_powers(&self, about: usize) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let of = |factors: &[f64]| -> Vec<f64> {
            let all = (first..=last).flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
            all.filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick)).collect()
        };
        let (all, ones) = (of(&[1.0, 2.0, 5.0]), of(&[1.0]));
        if all.len() <= about + 1 || ones.len() < 2 { all } else { ones }
    }
}

/// The least round number that is not below.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    step.unwrap_or(10.0 * power)
}

/// As short as can be: 20 k, 0.05.
fn label(value: f64) -> String {
    let size = value.abs();
    let (value, unit) = match size {
        1e6.. => (value / 1e6, " M"),
        1e4.. => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let size = value.abs();
    let digits = if size >= 100.0 || size == 0.0 { 0 } else { (2.0 - size.log10().floor()).clamp(0.0, 8.0) as usize };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

/// So much of an axis may be empty at its beginning.
const EMPTY_MAX: f64 = 0.4;

/// Above the highest point, of the whole height.
const HEADROOM: f64 = 0.02;

/// Colours there are; after them they begin anew.
const COLOURS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let scale = |axis: &Axis, low, high| Scale::new(axis, [low, high].into_iter(), (0.0, 1.0));
        let linear = Axis::linear("");
        assert_eq!(scale(&linear, 0.0, 10.0).ticks(5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(scale(&linear, 3.0, 3.0).ticks(3), [0.0, 1.0, 2.0, 3.0]);
        let logarithmic = Axis::logarithmic("");
        assert_eq!(scale(&logarithmic, 100.0, 5000.0).ticks(9), [100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0]);
        assert_eq!(scale(&logarithmic, 1.0, 1e5).ticks(6), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        assert!(!scale(&logarithmic, 7.0, 7.0).ticks(6).is_empty());
    }

    #[test]
    fn an_axis_begins_where_there_is_something() {
        for (low, high, begins) in [(9.4, 19.0, 8.0), (9.4, 21.2, 5.0), (25.0, 1000.0, 0.0), (10.0, 40.0, 0.0)] {
            let scale = Scale::new(&Axis::linear(""), [low, high].into_iter(), (0.0, 1.0)).without_emptiness();
            assert_eq!(scale.low, begins, "{low} to {high}");
            assert!(scale.ticks(9).len() >= 3);
        }
    }

    #[test]
    fn what_is_published_has_the_colour_of_what_is_measured() {
        let series = |name: &str| Series::new(name, Style::Line, Vec::new());
        let names = ["SWIM", "LHA-Probe", "Lifeguard", "SWIM, paper", "Lifeguard, paper", "SWIMmer, paper"];
        let chart = Chart {
            title: String::new(),
            caption: String::new(),
            x: Axis::linear(""),
            y: Axis::linear(""),
            series: names.map(series).into(),
        };
        assert_eq!([0, 1, 2, 3, 4, 5].map(|number| colour(&chart, number)), [0, 1, 2, 0, 2, 5]);
    }

    #[test]
    fn labels_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (1.5, "1.5"),
            (20_000.0, "20 k"),
            (339_002.0, "339 k"),
            (5e6, "5 M"),
            (100.0, "100"),
        ] {
            assert_eq!(label(value), text);
        }
    }

    #[test]
    fn ends_lie_at_the_ends() {
        let scale = Scale::new(&Axis::logarithmic(""), [1.0, 100.0].into_iter(), (10.0, 30.0));
        assert_eq!((scale.place(1.0), scale.place(10.0), scale.place(100.0)), (10.0, 20.0, 30.0));
    }
}
