//! What an experiment found: tables, charts, and whether it landed where it had to. Kept as JSON, from which tables for
//! the terminal, CSV and the report are made, again and again if need be.

use core::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// What came out of one experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Its name.
    pub experiment: String,
    /// What to type to have it again.
    #[serde(default)]
    pub command: String,
    /// The seed that it was asked for with.
    pub seed: u64,
    /// Which part of the full number of runs was made.
    pub fraction: f64,
    /// The physics and whatever else one must know to repeat it: what, and its value.
    pub settings: Vec<(String, String)>,
    /// Where figures have to land, and whether they did.
    pub gates: Vec<Gate>,
    /// The figures.
    pub tables: Vec<Table>,
    /// Pictures of them.
    pub charts: Vec<Chart>,
    /// What a reader must know to judge them.
    pub notes: Vec<String>,
}

/// A condition on a figure, set before it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Which figure, and where it must lie.
    pub what: String,
    /// What it was.
    pub found: String,
    /// Whether it lies there.
    pub met: bool,
}

/// Rows under a heading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// Names of the columns, with units.
    pub columns: Vec<String>,
    /// One cell per column.
    pub rows: Vec<Vec<Cell>>,
}

/// One entry of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A figure.
    Number(f64),
    /// A name, or why there is no figure.
    Text(String),
}

/// A picture: some curves over one pair of axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Its heading.
    pub title: String,
    /// What is measured, and what others have found.
    #[serde(default)]
    pub caption: String,
    /// What lies along the bottom.
    pub x: Axis,
    /// What goes up.
    pub y: Axis,
    /// The curves.
    pub series: Vec<Series>,
}

/// One direction of a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it is, with its unit.
    pub label: String,
    /// Whether equal steps are equal ratios.
    pub logarithmic: bool,
}

/// One curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it stands for.
    pub name: String,
    /// How it is drawn.
    pub style: Style,
    /// Along the bottom, and up.
    pub points: Vec<(f64, f64)>,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Style {
    /// Measured: a line.
    Line,
    /// Computed or published: a dashed line.
    Dashed,
    /// Measured: a line with its points.
    Points,
    /// Published: points, of which nobody knows how they are joined.
    Marks,
}

impl Results {
    /// Nothing found yet.
    pub fn new(experiment: &str, options: &super::Options) -> Self {
        Self {
            experiment: experiment.into(),
            command: options.command(experiment),
            seed: options.seed,
            fraction: options.fraction,
            settings: Vec::new(),
            gates: Vec::new(),
            tables: Vec::new(),
            charts: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Something one must know to repeat it.
    pub fn set(&mut self, what: &str, value: impl fmt::Display) {
        self.settings.push((what.into(), value.to_string()));
    }

    /// A condition, and whether it holds.
    pub fn gate(&mut self, what: impl fmt::Display, found: impl fmt::Display, met: bool) {
        self.gates.push(Gate { what: what.to_string(), found: found.to_string(), met });
    }

    /// As comma-separated values: each table under its title, with an empty line in between (RFC 4180 quotes).
    pub fn to_csv(&self) -> String {
        let mut out = String::new();
        for table in &self.tables {
            if !out.is_empty() {
                out.push_str("\r\n");
            }
            push_csv(&mut out, [table.title.as_str()]);
            push_csv(&mut out, table.columns.iter().map(String::as_str));
            for row in &table.rows {
                let cells: Vec<String> = row.iter().map(Cell::exact).collect();
                push_csv(&mut out, cells.iter().map(String::as_str));
            }
        }
        out
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (seed {}, {} of the full number of runs)", self.experiment, self.seed, self.fraction)?;
        for (what, value) in &self.settings {
            writeln!(f, "  {what}: {value}")?;
        }
        for table in &self.tables {
            writeln!(f, "\n{table}")?;
        }
        for gate in &self.gates {
            writeln!(f, "[{}] {}: {}", if gate.met { "met" } else { "MISSED" }, gate.what, gate.found)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl Table {
    /// Without rows yet.
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self { title: title.into(), columns: columns.iter().map(|&column| column.into()).collect(), rows: Vec::new() }
    }

    /// One more row.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.rows.push(row.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(Cell::to_string).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.chain(self.columns.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &[String]| {
            let mut line = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let _ = match column {
                    0 => write!(line, "{cell:width$}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            line.trim_end().to_owned()
        };
        writeln!(f, "{}", self.title)?;
        writeln!(f, "{}", line(&self.columns))?;
        rows.iter().try_for_each(|row| writeln!(f, "{}", line(row)))
    }
}

impl Cell {
    /// With all digits that matter to a machine.
    fn exact(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// With four digits that matter to a reader.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) if *number == 0.0 => f.write_str("0"),
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => write!(f, "{number:.0}"),
            Self::Number(number) if number.abs() < 1e-4 => write!(f, "{number:.1e}"),
            Self::Number(number) => {
                let digits = (3.0 - number.abs().log10().floor()).clamp(0.0, 7.0) as usize;
                write!(f, "{number:.digits$}")
            }
        }
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Text("–".into()) }
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(number as f64)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number as f64)
    }
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        number.unwrap_or(f64::NAN).into()
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A row of cells of different types.
macro_rules! row {
    ($($cell:expr),+ $(,)?) => { [$($crate::experiments::results::Cell::from($cell)),+] };
}
pub(crate) use row;

impl Axis {
    /// In equal steps.
    pub fn linear(label: &str) -> Self {
        Self { label: label.into(), logarithmic: false }
    }

    /// In equal ratios.
    pub fn logarithmic(label: &str) -> Self {
        Self { label: label.into(), logarithmic: true }
    }
}

impl Series {
    /// A curve.
    pub fn new(name: impl fmt::Display, style: Style, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_string(), style, points }
    }
}

fn push_csv<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (column, cell) in cells.into_iter().enumerate() {
        if column > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("Times, \"all\"", &["members", "time, s"]);
        table.push(row![128_usize, 0.707_96]);
        table.push(row!["many", f64::NAN]);
        table
    }

    #[test]
    fn numbers_have_four_digits() {
        for (number, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (339_002.0, "339002"),
            (12.4444, "12.44"),
            (0.012_346, "0.01235"),
            (1234.56, "1235"),
            (1e-9, "1.0e-9"),
            (-0.5, "-0.5000"),
        ] {
            assert_eq!(Cell::from(number).to_string(), text);
        }
    }

    #[test]
    fn tables_align() {
        assert_eq!(table().to_string(), "Times, \"all\"\nmembers  time, s\n128       0.7080\nmany           –\n");
    }

    #[test]
    fn csv_is_quoted_and_exact() {
        let mut results = Results::new("x", &super::super::Options::default());
        results.tables = vec![table()];
        let csv = "\"Times, \"\"all\"\"\"\r\nmembers,\"time, s\"\r\n128,0.70796\r\nmany,–\r\n";
        assert_eq!(results.to_csv(), csv);
    }

    #[test]
    fn json_keeps_everything() {
        let mut results = Results::new("x", &super::super::Options::default());
        results.tables = vec![table()];
        results.gate("it is 1", 1, true);
        results.charts.push(Chart {
            title: "c".into(),
            caption: "c".into(),
            x: Axis::linear("t"),
            y: Axis::logarithmic("n"),
            series: vec![Series::new("s", Style::Points, vec![(1.0, 2.0)])],
        });
        let json = serde_json::to_string(&results).expect("it can be written");
        assert_eq!(serde_json::from_str::<Results>(&json).expect("it can be read"), results);
    }
}
