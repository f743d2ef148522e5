//! Every public item shows how it is used: by an example in its docs, or by naming the item whose example does. And all
//! examples run.
//!
//! It reads text, not syntax trees: an item is public if its line begins with `pub` and a space, which the lint
//! `unreachable_pub` makes true. Constants and fields say all there is to say in a sentence.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn public_items_have_examples() {
    let mut complaints = Vec::new();
    let mut items = 0;
    for (path, text) in sources() {
        for (item, docs) in public_items(&text) {
            items += 1;
            if !docs.contains("```\n") && !docs.replace('\n', " ").contains("See [`") {
                complaints.push(format!("{}: {item}", path.display()));
            }
        }
    }
    assert!(items > 200, "only {items} items were found");
    assert!(complaints.is_empty(), "neither an example nor `See [`…`]`:\n{}", complaints.join("\n"));
}

#[test]
fn methods_have_examples_of_their_own() {
    let sources = sources();
    for (file, class) in [("node/mod.rs", "Node"), ("node/views.rs", "Node"), ("node/trace.rs", "Traced")] {
        let (_, text) = sources.iter().find(|(path, _)| path == Path::new(file)).expect("the file is there");
        let methods: Vec<_> = public_items(text).into_iter().filter(|(item, _)| item.contains("fn ")).collect();
        assert!(methods.len() > 10, "{class}: only {} methods were found", methods.len());
        let bare: Vec<_> = methods.iter().filter(|(_, docs)| !docs.contains("```\n")).map(|(item, _)| item).collect();
        assert!(bare.is_empty(), "methods of {class} without an example: {bare:#?}");
    }
}

#[test]
fn examples_run() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        let docs = text.lines().map(str::trim_start).filter(|line| line.starts_with("//"));
        for fence in docs.filter_map(|line| line.split_once("```")).map(|(_, after)| after.trim()) {
            if !["", "text"].contains(&fence) && !fence.contains('`') {
                complaints.push(format!("{}: ```{fence}", path.display()));
            }
        }
    }
    assert!(complaints.is_empty(), "these do not run:\n{}", complaints.join("\n"));
}

#[test]
fn made_up_source() {
    const SOURCE: &str = "\
/// Docs.
#[derive(Debug)]
pub struct A;

impl A {
    /// Longer
    /// docs.
    #[must_use]
    pub const fn b(self) {}

    pub(crate) fn hidden() {}

    pub fn bare(&self) {}

    #[doc(hidden)]
    pub fn nobody_sees() {}
}

pub const C: u8 = 0;

#[cfg(test)]
mod tests {
    pub fn helper() {}
}
";
    let expected =
        [("pub struct A;", "Docs.\n"), ("pub const fn b(self) {}", "Longer\ndocs.\n"), ("pub fn bare(&self) {}", "")];
    let found = public_items(SOURCE);
    let found: Vec<_> = found.iter().map(|(item, docs)| (item.as_str(), docs.as_str())).collect();
    assert_eq!(found, expected);
}

/// The first line of each public function and type, and its doc comment. What follows `#[cfg(test)]` at the left margin
/// is left out: tests come last.
fn public_items(text: &str) -> Vec<(String, String)> {
    let (mut items, mut docs, mut hidden) = (Vec::new(), String::new(), false);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let code = line.trim();
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod tests {")) {
            break;
        } else if let Some(doc) = code.strip_prefix("///") {
            docs.push_str(doc.strip_prefix(' ').unwrap_or(doc));
            docs.push('\n');
        } else if code.starts_with("#[") {
            hidden |= code.contains("doc(hidden)");
        } else {
            let is_item = ["pub fn ", "pub const fn ", "pub struct ", "pub enum ", "pub trait ", "pub type "]
                .iter()
                .any(|start| code.starts_with(start))
                // In the body of a macro; the docs stand where it is used.
                && !code.contains('$');
            if is_item && !hidden {
                items.push((code.to_owned(), core::mem::take(&mut docs)));
            }
            docs.clear();
            hidden = false;
        }
    }
    items
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut sources, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("a source file can be read");
                sources.push((path.strip_prefix(&root).expect("it was found there").to_owned(), text));
            }
        }
    }
    sources.sort();
    sources
}
