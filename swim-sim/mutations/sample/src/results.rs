//! The file of results: a line for each mutant that was drawn, and what they add up to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Failure;
use crate::frame::{DIRECTORIES, LeftOut, Mutant};

/// By file, change, and which one of several alike: a mutant stays the same when its line moves. In the file the last
/// stands behind the number: `452.2` is the third of its kind.
type Key = (String, String, usize);

/// What is known of one.
#[derive(Clone, Default)]
pub(crate) struct Known {
    /// `caught`, `timeout`, `survived`, `unviable`; or empty.
    pub(crate) result: String,
    pub(crate) by: String,
    /// Why a survivor may live, written by hand.
    pub(crate) note: String,
}

/// All that is known.
#[derive(Default)]
pub(crate) struct Results {
    known: BTreeMap<Key, Known>,
}

const HEADER: &str = "number\tplace\tfunction\tgenre\tchange\tresult\tby\tnote";

impl Results {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let mut results = Self::default();
        if !path.exists() {
            return Ok(results);
        }
        let mut seen: BTreeMap<(String, String), BTreeMap<u32, Known>> = BTreeMap::new();
        for line in fs::read_to_string(path)?.lines().filter(|line| !line.starts_with('#') && *line != HEADER) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [number, place, _, _, change, result, by, note] = columns[..] else {
                return Err(format!("{}: not a line of results: {line}", path.display()).into());
            };
            let ordinal = number.split('.').nth(1).map_or(Ok(0), str::parse)?;
            let file = place.split(':').next().unwrap_or_default();
            let known = Known { result: result.into(), by: by.into(), note: note.into() };
            seen.entry((file.into(), change.into())).or_default().insert(ordinal, known);
        }
        for ((file, change), all) in seen {
            results.known.extend(
                all.into_iter().map(|(ordinal, known)| ((file.clone(), change.clone(), ordinal as usize), known)),
            );
        }
        Ok(results)
    }

    pub(crate) fn get(&self, mutant: &Mutant) -> Known {
        self.known.get(&key(mutant)).cloned().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, mutant: &Mutant, result: &str, by: &str) {
        let known = self.known.entry(key(mutant)).or_default();
        known.result = result.into();
        known.by = by.replace(['\t', '\n'], " ");
    }

    pub(crate) fn write(&self, path: &Path, drawn: &[(u32, Mutant)], summary: &str) -> Result<(), Failure> {
        let mut out = format!("{HEADER}\n");
        for (number, mutant) in drawn {
            let Known { result, by, note } = self.get(mutant);
            let ordinal = if mutant.ordinal == 0 { String::new() } else { format!(".{}", mutant.ordinal) };
            let (place, function, genre) = (mutant.place(), mutant.function(), &mutant.genre);
            let change = mutant.change();
            writeln!(out, "{number}{ordinal}\t{place}\t{function}\t{genre}\t{change}\t{result}\t{by}\t{note}")?;
        }
        for line in summary.lines() {
            writeln!(out, "{}", format!("# {line}").trim_end())?;
        }
        let beside = path.with_extension("tsv.new");
        fs::write(&beside, out)?;
        Ok(fs::rename(beside, path)?)
    }

    /// What they add up to.
    pub(crate) fn summary(&self, seed: u64, frame: &[Mutant], left_out: &LeftOut, drawn: &[(u32, Mutant)]) -> String {
        let mut out = String::new();
        let mut strata: BTreeMap<(&str, &str), Count> = BTreeMap::new();
        let mut all = Count::default();
        for mutant in frame {
            strata.entry((mutant.directory(), &mutant.genre)).or_default().frame += 1;
            all.frame += 1;
        }
        for (_, mutant) in drawn {
            let known = self.get(mutant);
            strata.entry((mutant.directory(), &mutant.genre)).or_default().add(&known);
            all.add(&known);
        }
        let reasons: Vec<String> = left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        writeln!(
            out,
            "seed {seed}; listed {}, left out: {}",
            frame.len() + left_out.values().sum::<usize>(),
            reasons.join("; ")
        )
        .expect("a string takes all");
        let head = ["in all", "drawn", "unviable", "viable", "asked", "caught", "timeout", "survived", "explained"];
        let head: String = head.iter().map(|name| format!("{name:>10}")).collect();
        writeln!(out, "{:<22}{head}", "").expect("a string takes all");
        for directory in DIRECTORIES {
            let mut sum = Count::default();
            for ((_, genre), count) in strata.iter().filter(|((of, _), _)| *of == directory) {
                writeln!(out, "{:<22}{}", format!("{directory} {genre}"), count.row()).expect("a string takes all");
                sum.sum(count);
            }
            writeln!(out, "{:<22}{}", directory, sum.row()).expect("a string takes all");
        }
        writeln!(out, "{:<22}{}", "all", all.row()).expect("a string takes all");
        let (low, high) = wilson(all.caught + all.timeout, all.asked());
        writeln!(
            out,
            "caught: {} of {} asked, {:.1} %; 95 % confidence (Wilson): {:.1} to {:.1} %",
            all.caught + all.timeout,
            all.asked(),
            100.0 * (all.caught + all.timeout) as f64 / all.asked().max(1) as f64,
            100.0 * low,
            100.0 * high
        )
        .expect("a string takes all");
        out
    }
}

fn key(mutant: &Mutant) -> Key {
    (mutant.file.trim_start_matches("swim-core/src/").to_owned(), mutant.change().to_owned(), mutant.ordinal)
}

#[derive(Default)]
struct Count {
    frame: usize,
    drawn: usize,
    unviable: usize,
    caught: usize,
    timeout: usize,
    survived: usize,
    explained: usize,
}

impl Count {
    fn add(&mut self, known: &Known) {
        self.drawn += 1;
        match &*known.result {
            "unviable" => self.unviable += 1,
            "caught" => self.caught += 1,
            "timeout" => self.timeout += 1,
            "survived" => {
                self.survived += 1;
                self.explained += usize::from(!known.note.is_empty());
            }
            _ => {}
        }
    }

    fn sum(&mut self, other: &Self) {
        self.frame += other.frame;
        self.drawn += other.drawn;
        self.unviable += other.unviable;
        self.caught += other.caught;
        self.timeout += other.timeout;
        self.survived += other.survived;
        self.explained += other.explained;
    }

    fn asked(&self) -> usize {
        self.caught + self.timeout + self.survived
    }

    fn row(&self) -> String {
        let viable = self.drawn - self.unviable;
        [
            self.frame,
            self.drawn,
            self.unviable,
            viable,
            self.asked(),
            self.caught,
            self.timeout,
            self.survived,
            self.explained,
        ]
        .iter()
        .map(|count| format!("{count:>10}"))
        .collect()
    }
}

/// The interval of Wilson (1927) for a share.
fn wilson(caught: usize, asked: usize) -> (f64, f64) {
    const Z: f64 = 1.959_964;
    if asked == 0 {
        return (0.0, 1.0);
    }
    let n = asked as f64;
    let share = caught as f64 / n;
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    (middle - half, middle + half)
}
