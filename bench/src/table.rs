//! One table: a line for each figure and size, a column for each library.

use core::fmt::Write as _;

use crate::samples::Samples;

/// A library, in the order of its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    FocaNamed,
    FocaShort,
    Memberlist,
    Chitchat,
    Ours,
}

pub(crate) const PEERS: [(Peer, &str); 5] = [
    (Peer::FocaNamed, "foca 2, named"),
    (Peer::FocaShort, "foca 2, 8-byte id"),
    (Peer::Memberlist, "memberlist 0.8"),
    (Peer::Chitchat, "chitchat 0.13"),
    (Peer::Ours, "swim"),
];

/// What is wanted of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }
}

/// What a library came to.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// Samples of the figure.
    Measured(Samples),
    /// It did not come to an end, and this is how far it came.
    Said(String),
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    figure: String,
    members: usize,
    cells: [Option<Cell>; PEERS.len()],
    target: Option<Target>,
}

impl Line {
    pub(crate) fn new(figure: impl Into<String>, members: usize, target: Option<Target>) -> Self {
        Self { figure: figure.into(), members, cells: [const { None }; PEERS.len()], target }
    }

    pub(crate) fn with(mut self, peer: Peer, cell: impl Into<Option<Cell>>) -> Self {
        self.cells[peer as usize] = cell.into();
        self
    }

    fn median(&self, peer: Peer) -> Option<f64> {
        match self.cells[peer as usize].as_ref()? {
            Cell::Measured(samples) => samples.median(),
            Cell::Said(_) => None,
        }
    }

    /// Ours to the best of the peers'.
    fn ratio(&self) -> Option<f64> {
        let ours = self.median(Peer::Ours)?;
        let peers = PEERS.iter().filter(|(peer, _)| *peer != Peer::Ours).filter_map(|(peer, _)| self.median(*peer));
        let best = match self.target {
            Some(Target::AtLeast(_)) => peers.reduce(f64::max),
            Some(Target::AtMost(_)) | None => peers.reduce(f64::min),
        };
        best.filter(|best| *best > 0.0).map(|best| ours / best)
    }
}

impl From<Samples> for Cell {
    fn from(samples: Samples) -> Self {
        if samples.median().is_some() { Self::Measured(samples) } else { Self::Said("–".into()) }
    }
}

/// The lines, as Markdown. Columns in which nothing stands are left out.
pub(crate) fn print(lines: &[Line]) -> String {
    let used: Vec<_> =
        PEERS.iter().filter(|(peer, _)| lines.iter().any(|line| line.cells[*peer as usize].is_some())).collect();
    let mut text = "| Figure | Members |".to_owned();
    used.iter().for_each(|(_, name)| push(&mut text, format_args!(" {name} |")));
    text.push_str(" swim to the best peer | Target | Met |\n|---|--:|");
    used.iter().for_each(|_| text.push_str("--:|"));
    text.push_str("--:|--:|---|\n");
    for line in lines {
        push(&mut text, format_args!("| {} | {} |", line.figure, with_spaces(line.members)));
        for (peer, _) in &used {
            let cell = line.cells[*peer as usize].as_ref().map_or_else(|| "–".into(), said);
            push(&mut text, format_args!(" {cell} |"));
        }
        let ratio = line.ratio().map_or_else(String::new, short);
        let (target, met) = match line.target {
            None => (String::new(), ""),
            Some(target) => {
                let text = match target {
                    Target::AtMost(bound) => format!("≤ {}", short(bound)),
                    Target::AtLeast(bound) => format!("≥ {}", short(bound)),
                };
                (text, line.median(Peer::Ours).map_or("", |ours| if target.is_met(ours) { "yes" } else { "no" }))
            }
        };
        push(&mut text, format_args!(" {ratio} | {target} | {met} |\n"));
    }
    text
}

fn push(text: &mut String, arguments: core::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes anything");
}

fn said(cell: &Cell) -> String {
    match cell {
        Cell::Said(text) => text.clone(),
        Cell::Measured(samples) => {
            let (Some(median), Some(min), Some(max)) = (samples.median(), samples.min(), samples.max()) else {
                return "–".into();
            };
            if short(min) == short(max) {
                short(median)
            } else {
                format!("{} ({}–{})", short(median), short(min), short(max))
            }
        }
    }
}

/// Three digits that count.
fn short(figure: f64) -> String {
    let magnitude = figure.abs();
    if magnitude >= 1e6 {
        format!("{:.2} M", figure / 1e6)
    } else if magnitude >= 1e5 {
        format!("{:.0} k", figure / 1e3)
    } else if magnitude >= 1e4 {
        format!("{:.1} k", figure / 1e3)
    } else if magnitude >= 100.0 || figure == figure.round() {
        format!("{figure:.0}")
    } else if magnitude >= 10.0 {
        format!("{figure:.1}")
    } else if magnitude >= 0.001 {
        format!("{figure:.*}", if magnitude >= 1.0 { 2 } else { 3 })
    } else {
        format!("{figure:.1e}")
    }
}

fn with_spaces(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{} {:03}", number / 1000, number % 1000) }
}

/// How the medians of ours grow with the cluster, as a chart that Markdown viewers draw (Mermaid) and the figures in it.
pub(crate) fn growth(lines: &[Line], figures: &[&str], peer: Peer) -> Option<String> {
    let of = |figure: &str| -> Vec<(usize, f64)> {
        let lines = lines.iter().filter(|line| line.figure == figure);
        lines.filter_map(|line| Some((line.members, line.median(peer)?))).collect()
    };
    let series: Vec<_> =
        figures.iter().map(|figure| (*figure, of(figure))).filter(|(_, points)| points.len() > 1).collect();
    let (_, first) = series.first()?;
    let sizes: Vec<_> = first.iter().map(|(size, _)| format!("\"{}\"", with_spaces(*size))).collect();
    let relative = |points: &[(usize, f64)]| -> Vec<f64> {
        let least = points.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
        points.iter().map(|(_, cost)| cost / least).collect()
    };
    let highest = series.iter().flat_map(|(_, points)| relative(points)).fold(2.0, f64::max);
    let mut text = "```mermaid\nxychart-beta\n    title \"Cost, as a multiple of the least\"\n".to_owned();
    push(&mut text, format_args!("    x-axis \"members\" [{}]\n", sizes.join(", ")));
    push(&mut text, format_args!("    y-axis 0 --> {:.1}\n", highest));
    for (_, points) in &series {
        let relative: Vec<_> = relative(points).iter().map(|cost| format!("{cost:.2}")).collect();
        push(&mut text, format_args!("    line [{}]\n", relative.join(", ")));
    }
    text.push_str("```\n\nLines, each with its highest point: ");
    let ends: Vec<_> = series
        .iter()
        .map(|(figure, points)| format!("{figure} {:.2}", relative(points).into_iter().fold(0.0, f64::max)))
        .collect();
    push(&mut text, format_args!("{}.\n", ends.join("; ")));
    Some(text)
}
