//! Which mutants compile. All are planted; those that the compiler complains of are taken out, until it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Failure;
use crate::frame::Mutant;
use crate::plant::{Unviable, plant};

/// A copy of the checkout, with mutants in it.
pub(crate) struct Copy {
    /// The checkout.
    pub(crate) root: PathBuf,
    pub(crate) tree: PathBuf,
    pub(crate) target: PathBuf,
}

impl Copy {
    /// Makes the copy what the checkout is now. What is the same keeps its time, or all would be built anew.
    pub(crate) fn refresh(&self) -> Result<(), Failure> {
        let listed = Command::new("git")
            .current_dir(&self.root)
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .output()?;
        if !listed.status.success() {
            return Err("git ls-files".into());
        }
        for path in String::from_utf8(listed.stdout)?.split_terminator('\0') {
            let (from, to) = (self.root.join(path), self.tree.join(path));
            // Sources are written once they are planted.
            if from.is_file() && !(path.starts_with("swim-core/src/") && to.exists()) {
                write(&to, &fs::read(&from)?)?;
            }
        }
        let mut copied = Vec::new();
        for package in ["swim-core", "swim-sim"] {
            walk(&self.tree.join(package), &mut copied)?;
        }
        for source in copied {
            if !self.root.join(source.strip_prefix(&self.tree)?).exists()
                && !source.ends_with("swim-core/src/mutant.rs")
            {
                fs::remove_file(source)?;
            }
        }
        Ok(())
    }

    /// Plants the drawn mutants, except those that are known not to compile.
    pub(crate) fn plant(&self, drawn: &[(u32, Mutant)], unviable: &mut Unviable) -> Result<(), Failure> {
        let mut files: BTreeMap<&str, Vec<&(u32, Mutant)>> = BTreeMap::new();
        for entry in drawn.iter().filter(|(number, _)| !unviable.contains_key(number)) {
            files.entry(&entry.1.file).or_default().push(entry);
        }
        let mut sources = Vec::new();
        walk(&self.root.join("swim-core/src"), &mut sources)?;
        for source in sources {
            let path = source.strip_prefix(&self.root)?;
            let mut text = fs::read_to_string(&source)?;
            if let Some(mutants) = path.to_str().and_then(|path| files.get(path)) {
                let (planted, refused) = plant(&text, mutants)?;
                text = planted;
                unviable.extend(refused);
            }
            if path.ends_with("swim-core/src/lib.rs") {
                text = text.replace("#[cfg(test)]\nextern crate std;", "extern crate std;\nmod mutant;");
            }
            write(&self.tree.join(path), text.as_bytes())?;
        }
        write(&self.tree.join("swim-core/src/mutant.rs"), include_bytes!("../mutant.rs"))
    }

    /// Plants, compiles, and takes out what does not, as often as needed.
    pub(crate) fn settle(&self, drawn: &[(u32, Mutant)], unviable: &mut Unviable) -> Result<(), Failure> {
        loop {
            self.plant(drawn, unviable)?;
            let output = self
                .cargo("check")
                .args(["-p", "swim-core", "--lib", "--features", "fuzzing", "--message-format=json"])
                .stderr(Stdio::piped())
                .output()?;
            if output.status.success() {
                return Ok(());
            }
            let mut blamed = Unviable::new();
            let mut unexplained = Vec::new();
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
                if message["reason"] != "compiler-message" || message["message"]["level"] != "error" {
                    continue;
                }
                let message = &message["message"];
                let says = message["message"].as_str().unwrap_or_default();
                if message["spans"].as_array().is_none_or(Vec::is_empty) {
                    continue; // "aborting due to …"
                }
                let numbers = self.blame(message)?;
                if numbers.is_empty() {
                    unexplained.push(message["rendered"].as_str().unwrap_or(says).to_owned());
                }
                let code = message["code"]["code"].as_str().unwrap_or_default();
                for number in numbers {
                    blamed.entry(number).or_insert_with(|| format!("{code} {says}").trim().replace(['\n', '\t'], " "));
                }
            }
            eprintln!("{} do not compile", blamed.len());
            if blamed.is_empty() {
                return Err(format!(
                    "no mutant is to blame for\n{}\n{}",
                    unexplained.join("\n"),
                    String::from_utf8_lossy(&output.stderr)
                )
                .into());
            }
            unviable.extend(blamed);
        }
    }

    /// Builds the tests and returns their programs, by name.
    pub(crate) fn build(&self) -> Result<Vec<Program>, Failure> {
        let output = self
            .cargo("test")
            .args(["--no-run", "-p", "swim-core", "-p", "swim-sim", "--lib", "--bins", "--tests"])
            .arg("--message-format=json")
            .output()?;
        if !output.status.success() {
            return Err("the tests do not build".into());
        }
        let mut programs = Vec::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
            if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
                continue;
            }
            if let (Some(path), Some(manifest)) = (message["executable"].as_str(), message["manifest_path"].as_str()) {
                let package = Path::new(manifest).parent().ok_or("a manifest in no directory")?;
                let name = message["target"]["name"].as_str().unwrap_or_default();
                let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
                let crate_name = package.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                programs.push(Program {
                    name: if kind == "test" { format!("{crate_name}/{name}") } else { format!("{crate_name} {kind}") },
                    path: path.into(),
                    package: package.to_owned(),
                });
            }
        }
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(programs)
    }

    /// Runs the examples of the documentation with a mutant, 0 for none: the first that fails.
    pub(crate) fn ask_examples(&self, number: u32) -> Result<Option<String>, Failure> {
        let output = self
            .cargo("test")
            .args(["--doc", "-p", "swim-core", "-p", "swim-sim", "--no-fail-fast"])
            .env("SWIM_MUTANT", number.to_string())
            .stderr(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let failed =
            said.lines().find_map(|line| line.strip_suffix(" ... FAILED")).ok_or("the examples do not build")?;
        Ok(Some(failed.trim_start_matches("test ").to_owned()))
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(&self.tree)
            .arg(command)
            .env("CARGO_TARGET_DIR", &self.target)
            // As cargo mutants does: a mutant is not to be refused for its style.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .stderr(Stdio::inherit());
        cargo
    }

    /// The mutants whose text an error is about.
    fn blame(&self, message: &Value) -> Result<BTreeSet<u32>, Failure> {
        let mut spans: Vec<&Value> = message["spans"].as_array().into_iter().flatten().collect();
        spans.sort_by_key(|span| span["is_primary"] != true);
        let mut around = BTreeSet::new();
        for span in spans {
            let span = outermost(span);
            let Some(file) = span["file_name"].as_str() else { continue };
            let Ok(text) = fs::read_to_string(self.tree.join(file)) else { continue };
            let (Some(start), Some(end)) = (span["byte_start"].as_u64(), span["byte_end"].as_u64()) else { continue };
            match owner(&text, start as usize..end as usize) {
                Some(Owner::Mutant(number)) => return Ok([number].into()),
                Some(Owner::Place(numbers)) if around.is_empty() => around = numbers,
                _ => {}
            }
        }
        Ok(around)
    }
}

/// A program of tests.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) package: PathBuf,
}

enum Owner {
    /// The text stands for this mutant alone.
    Mutant(u32),
    /// The text belongs to a place that these have changed.
    Place(BTreeSet<u32>),
}

/// Reads the comments around a piece of text that holds mutants.
fn owner(text: &str, span: Range<usize>) -> Option<Owner> {
    let mut open: Vec<(&str, usize)> = Vec::new();
    let mut place = None;
    let mut mutant: Option<(usize, u32)> = None;
    let mut at = 0;
    while let Some(found) = text[at..].find("/*") {
        let start = at + found;
        let Some(len) = text[start..].find("*/") else { break };
        let mark = &text[start + 2..start + len];
        at = start + len + 2;
        if let Some(numbers) = mark.strip_prefix(['[', '<']) {
            if numbers.chars().all(|digit| digit.is_ascii_digit() || digit == ',') && !numbers.is_empty() {
                open.push((mark, start));
            }
        } else if mark == ">" || mark == "]" {
            let (opening, from) = open.pop()?;
            if from <= span.start && span.end <= at {
                // The innermost closes first.
                if opening.starts_with('<') && mutant.is_none() {
                    mutant = Some((from, opening[1..].parse().ok()?));
                } else if opening.starts_with('[') && place.is_none() {
                    place = Some(opening[1..].split(',').filter_map(|number| number.parse().ok()).collect());
                }
            }
        }
        if start > span.end && open.is_empty() {
            break;
        }
    }
    mutant.map(|(_, number)| Owner::Mutant(number)).or(place.map(Owner::Place))
}

/// Where the code stands that a macro has made.
fn outermost(mut span: &Value) -> &Value {
    while span["expansion"]["span"].is_object() {
        span = &span["expansion"]["span"];
    }
    span
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes a file, unless it is that already.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().ok_or("a file in no directory")?)?;
    Ok(fs::write(path, bytes)?)
}
