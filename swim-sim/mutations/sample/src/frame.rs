//! What there is to draw from: the mutants that `cargo mutants` lists, without those that cannot be asked for at run time.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::Failure;

/// The directories, of `swim-core/src`.
pub(crate) const DIRECTORIES: [&str; 3] = ["swim", "serf", "wire"];

/// One mutant, as listed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Mutant {
    /// From the root of the checkout.
    pub(crate) file: String,
    pub(crate) function: Option<Function>,
    /// What it does and where: `file:line:column: replace < with > in f`.
    pub(crate) name: String,
    pub(crate) genre: String,
    pub(crate) replacement: String,
    pub(crate) span: Span,
    /// How many of the same file and change come before it. With those it is known again after lines have moved.
    #[serde(skip)]
    pub(crate) ordinal: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Function {
    pub(crate) function_name: String,
}

/// Lines and columns count from one, columns in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: Place,
    pub(crate) end: Place,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Mutant {
    pub(crate) fn directory(&self) -> &str {
        self.file.split('/').nth(2).expect("the list holds files below swim-core/src/ only").trim_end_matches(".rs")
    }

    /// `replace < with > in f`.
    pub(crate) fn change(&self) -> &str {
        self.name.split_once(": ").expect("a name begins with its place").1
    }

    pub(crate) fn function(&self) -> &str {
        self.function.as_ref().map_or("", |function| &function.function_name)
    }

    /// `swim/probe.rs:12:5`.
    pub(crate) fn place(&self) -> String {
        let file = self.file.trim_start_matches("swim-core/src/");
        format!("{file}:{}:{}", self.span.start.line, self.span.start.column)
    }
}

/// What was listed and left out, by reason.
pub(crate) type LeftOut = BTreeMap<&'static str, usize>;

/// Lists the mutants of the checkout `root`.
pub(crate) fn list(root: &Path) -> Result<(Vec<Mutant>, LeftOut), Failure> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["mutants", "--list", "--json", "--package", "swim-core", "-e", "**/tests.rs"]);
    for directory in DIRECTORIES {
        command.args(["-f", &format!("swim-core/src/{directory}/**")]);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("cargo mutants: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let listed: Vec<Mutant> = serde_json::from_slice(&output.stdout)?;
    let mut excluded: BTreeMap<String, Vec<(Range<usize>, &'static str)>> = BTreeMap::new();
    let mut left_out = LeftOut::new();
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut frame = Vec::new();
    for mut mutant in listed {
        let text = fs::read_to_string(root.join(&mutant.file))?;
        if !excluded.contains_key(&mutant.file) {
            let mut finder = Finder::default();
            finder.visit_file(&syn::parse_file(&text)?);
            excluded.insert(mutant.file.clone(), finder.found);
        }
        let at = Lines::of(&text).offset(mutant.span.start);
        let reason = if mutant.function().contains("Debug for ") || mutant.function().contains("Display for ") {
            Some("Debug and Display: for people")
        } else {
            excluded[&mutant.file].iter().find(|(range, _)| range.contains(&at)).map(|&(_, reason)| reason)
        };
        if let Some(reason) = reason {
            *left_out.entry(reason).or_default() += 1;
            continue;
        }
        let ordinal = seen.entry((mutant.file.clone(), mutant.change().to_owned())).or_default();
        mutant.ordinal = *ordinal;
        *ordinal += 1;
        frame.push(mutant);
    }
    // By place: cargo mutants promises no order.
    frame.sort_by(|a, b| {
        (&a.file, a.span.start.line, a.span.start.column, a.change()).cmp(&(
            &b.file,
            b.span.start.line,
            b.span.start.column,
            b.change(),
        ))
    });
    Ok((frame, left_out))
}

/// Where the lines of a text begin.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The byte at a place.
    pub(crate) fn offset(&self, place: Place) -> usize {
        let start = self.starts[place.line - 1];
        let line = &self.text[start..];
        start + line.char_indices().nth(place.column - 1).map_or(line.len(), |(at, _)| at)
    }
}

/// Finds what cannot ask at run time, and what is there for tests alone.
#[derive(Default)]
struct Finder {
    found: Vec<(Range<usize>, &'static str)>,
}

const CONSTANT: &str = "const fn and constants: they cannot ask at run time";
const FOR_TESTS: &str = "compiled for tests and fuzzing only";
const NOT_BUILT: &str = "not compiled with the features that are tested";

impl Finder {
    /// What an attribute says of the item below it.
    fn heed(&mut self, attributes: &[syn::Attribute], item: Range<usize>) {
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")) {
            let Ok(list) = attribute.meta.require_list() else { continue };
            let condition: String = list.tokens.to_string().split_whitespace().collect();
            if condition == "any(test,feature=\"fuzzing\")" {
                self.found.push((item.clone(), FOR_TESTS));
            } else if condition.starts_with("not(feature=") || condition.contains("\"tracing\"") {
                self.found.push((item.clone(), NOT_BUILT));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let range = item.span().byte_range();
        match item {
            syn::Item::Const(_) | syn::Item::Static(_) | syn::Item::Enum(_) => self.found.push((range, CONSTANT)),
            syn::Item::Fn(function) => {
                self.heed(&function.attrs, range.clone());
                if function.sig.constness.is_some() {
                    self.found.push((range, CONSTANT));
                }
            }
            syn::Item::Impl(block) => self.heed(&block.attrs, range),
            syn::Item::Mod(module) => self.heed(&module.attrs, range),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let range = item.span().byte_range();
        match item {
            syn::ImplItem::Const(_) => self.found.push((range, CONSTANT)),
            syn::ImplItem::Fn(function) => {
                self.heed(&function.attrs, range.clone());
                if function.sig.constness.is_some() {
                    self.found.push((range, CONSTANT));
                }
            }
            _ => {}
        }
        visit::visit_impl_item(self, item);
    }

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.found.push((repeat.len.span().byte_range(), CONSTANT));
        visit::visit_expr_repeat(self, repeat);
    }

    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        self.found.push((array.len.span().byte_range(), CONSTANT));
    }

    fn visit_expr_const(&mut self, block: &'ast syn::ExprConst) {
        self.found.push((block.span().byte_range(), CONSTANT));
    }
}
