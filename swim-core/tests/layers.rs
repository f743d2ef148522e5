//! The layers of the core point downward: leaves ← wire ← swim ← serf ← node. Here a reader of `crate::` and `super::`
//! paths holds every source file to it. And nothing outside tests names `std`, whatever a feature makes visible.
//!
//! It reads text, not syntax trees, and errs on the side of seeing too much: a path in a macro counts, one in a
//! comment or a string does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Bottom up. A file may name its own layer and those before it.
const LAYERS: &[(&str, &[&str])] = &[
    ("leaves", &["time", "ids", "rng", "versions", "stats", "log", "timers", "outbox", "roster", "cx"]),
    ("wire", &["wire"]),
    ("swim", &["swim"]),
    ("serf", &["serf"]),
    ("node", &["node"]),
];

/// Sees everything: the crate root, and what exists for tests only.
const EXEMPT: &[&str] = &["lib.rs", "testing.rs", "fuzzing"];

#[test]
fn imports_point_downward() {
    let root = read(&src().join("lib.rs"));
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        complaints.extend(upward_imports(&path, &text, &root));
    }
    assert!(complaints.is_empty(), "upward imports:\n{}", complaints.join("\n"));
}

#[test]
fn std_is_named_by_tests_only() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        complaints.extend(std_paths(&path, &text));
    }
    assert!(complaints.is_empty(), "std outside tests:\n{}", complaints.join("\n"));
    let root = without_comments_and_strings(&read(&src().join("lib.rs")));
    assert!(root.lines().any(|line| line.trim() == "#![no_std]"), "lib.rs must say #![no_std], without conditions");
}

#[test]
fn made_up_sources() {
    const ROOT: &str = "pub use crate::node::{Member, Node};\npub use crate::time::Instant;\npub use crate::serf::event::Event as News;";
    #[rustfmt::skip]
    let table: &[(&str, &str, usize)] = &[
        // file                 source                                                        complaints
        ("wire/reader.rs",      "use crate::wire::message::Ping;",                            0),
        ("wire/reader.rs",      "use crate::ids::Name;",                                      0),
        ("wire/reader.rs",      "use crate::swim::config::Config;",                           1),
        ("wire/mod.rs",         "use crate::{ids::Name, serf::tags::Tags, node};",            2),
        ("wire/mod.rs",         "use crate::{\n    ids::{Name, node},\n    swim,\n};",        1),
        ("swim/probe.rs",       "use crate::wire::serf::Ack;",                                0), // wire's own module of that name
        ("swim/probe.rs",       "use crate::wire::{serf, message};",                          0),
        ("swim/probe.rs",       "fn f() { crate::serf::query::ask() }",                       1),
        ("swim/probe.rs",       "use super::super::serf::query;",                             1),
        ("swim/probe.rs",       "use super::relay;",                                          0),
        ("swim/mod.rs",         "use super::serf::query;",                                    1),
        ("swim/mod.rs",         "pub(in crate::swim) fn f() {}",                              0),
        ("serf/event.rs",       "use crate::wire::envelope::DatagramError;",                  0),
        ("serf/event.rs",       "use crate::node::Node;",                                     1),
        ("serf/event.rs",       "use crate::Node;",                                           1), // by way of the root
        ("serf/event.rs",       "use crate::{Instant, News};",                                0),
        ("swim/updates.rs",     "use crate::News;",                                           1),
        ("node/mod.rs",         "use crate::{serf, swim, wire, time};",                       0),
        ("time.rs",             "use crate::ids::Name;",                                      0),
        ("roster.rs",           "use crate::wire::message::State;",                           1),
        ("roster.rs",           "use super::wire;",                                           1),
        ("helpers.rs",          "",                                                           1), // in no layer
        ("wire/reader.rs",      "use crate::helpers::x;",                                     1), // nor this
        ("lib.rs",              "use crate::node::Node;",                                     0),
        ("testing.rs",          "use crate::node::Node;",                                     0),
        ("swim/probe/tests.rs", "use crate::node::Node;",                                     0),
        ("swim/probe.rs",       "/// See [`Node`](crate::node::Node).\nfn f() {}",            0),
        ("swim/probe.rs",       "/* crate::node */ fn f() { g(\"crate::node\", '\"') }",      0),
        ("swim/probe.rs",       "#[cfg(test)]\nmod tests { fn f() { crate::node::x() } }",    0),
        ("swim/probe.rs",       "#[cfg(test)]\nmod tests {}\nuse crate::node;",               1),
        ("swim/probe.rs",       "#[cfg(test)]\nuse crate::testing::cx;\nuse crate::node;",    1),
        ("swim/probe.rs",       "#[cfg(any(test, feature = \"fuzzing\"))]\nuse crate::node;", 1),
    ];
    for (path, text, expected) in table {
        let found = upward_imports(Path::new(path), text, ROOT);
        assert_eq!(found.len(), *expected, "{path}: {text}\nfound {found:?}");
    }
    #[rustfmt::skip]
    let table: &[(&str, &str, usize)] = &[
        ("swim/probe.rs", "use std::vec::Vec;",                                   1),
        ("swim/probe.rs", "extern crate std;",                                    1),
        ("swim/probe.rs", "fn f() { ::std::process::abort() }",                   1),
        ("swim/probe.rs", "use core::fmt; // not std::fmt",                       0),
        ("swim/probe.rs", "use my_std::x;",                                       0),
        ("swim/probe.rs", "#[cfg(test)]\nmod tests { extern crate std; }",        0),
        ("fuzzing/node.rs", "use std::fs;",                                       1),
    ];
    for (path, text, expected) in table {
        let found = std_paths(Path::new(path), text);
        assert_eq!(found.len(), *expected, "{path}: {text}\nfound {found:?}");
    }
}

/// One complaint for each path in `text` that leads into a higher layer than the one of `path`, relative to `src`.
fn upward_imports(path: &Path, text: &str, root: &str) -> Vec<String> {
    let modules = module_path(path);
    if EXEMPT.iter().any(|exempt| path.starts_with(exempt)) || is_test_file(path) {
        return Vec::new();
    }
    let Some(own) = layer_of(&modules[0], &BTreeMap::new()) else {
        return vec![format!("{}: in no layer; add it to LAYERS", path.display())];
    };
    let exports = root_exports(root);
    let text = without_tests(&without_comments_and_strings(text));
    let mut complaints = Vec::new();
    for name in names_from_root(&text, modules.len()) {
        match layer_of(&name, &exports) {
            Some(layer) if layer <= own => {}
            Some(layer) => {
                let [from, to] = [own, layer].map(|layer| LAYERS[layer].0);
                complaints.push(format!("{}: `{name}` leads from {from} up to {to}", path.display()));
            }
            None => complaints.push(format!("{}: `{name}` is in no layer", path.display())),
        }
    }
    complaints
}

fn std_paths(path: &Path, text: &str) -> Vec<String> {
    if is_test_file(path) {
        return Vec::new();
    }
    let text = without_tests(&without_comments_and_strings(text));
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let named = occurrences(line, "std")
            .any(|(before, after)| after.trim_start().starts_with("::") || before.trim_end().ends_with("extern crate"));
        if named {
            complaints.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
        }
    }
    complaints
}

/// `wire/mod.rs` is `["wire"]`, `wire/reader.rs` is `["wire", "reader"]`.
fn module_path(path: &Path) -> Vec<String> {
    let mut modules: Vec<_> = path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if modules.last().is_some_and(|last| last == "mod") {
        modules.pop();
    }
    modules
}

fn is_test_file(path: &Path) -> bool {
    path.iter().any(|part| part == "tests.rs" || part == "tests")
}

fn layer_of(name: &str, exports: &BTreeMap<String, String>) -> Option<usize> {
    let module = exports.get(name).map_or(name, String::as_str);
    LAYERS.iter().position(|(_, modules)| modules.contains(&module))
}

/// The items that `lib.rs` re-exports, each with the module at the top that it comes from.
fn root_exports(root: &str) -> BTreeMap<String, String> {
    let root = without_comments_and_strings(root);
    let mut exports = BTreeMap::new();
    for statement in root.split(';') {
        let Some((_, path)) = statement.split_once("pub use crate::") else { continue };
        let (module, rest) = path.split_once("::").unwrap_or((path, ""));
        for item in rest.split(['{', '}', ',']) {
            let item = item.trim().rsplit(" as ").next().unwrap_or_default();
            let name = item.rsplit("::").next().unwrap_or_default().trim();
            if !name.is_empty() {
                exports.insert(name.to_owned(), module.trim().to_owned());
            }
        }
    }
    exports
}

/// The first segment of every path that starts at the root of the crate: after `crate::`, or after as many `super::`
/// as the module is deep.
fn names_from_root(text: &str, depth: usize) -> Vec<String> {
    let mut names = Vec::new();
    for (_, after) in occurrences(text, "crate") {
        if let Some(rest) = after.trim_start().strip_prefix("::") {
            first_segments(rest, &mut names);
        }
    }
    for (before, mut after) in occurrences(text, "super") {
        if before.trim_end().ends_with("::") {
            continue; // Not the first of its chain.
        }
        let mut climbed = 1;
        while let Some(rest) = after.trim_start().strip_prefix("::") {
            match rest.trim_start().strip_prefix("super") {
                Some(further) => {
                    climbed += 1;
                    after = further;
                }
                None if climbed >= depth => {
                    first_segments(rest, &mut names);
                    break;
                }
                None => break,
            }
        }
    }
    names
}

/// Of `a::b` it is `a`; of `{a::b, c::{d, e}}` these are `a` and `c`.
fn first_segments(rest: &str, names: &mut Vec<String>) {
    let rest = rest.trim_start();
    let Some(group) = rest.strip_prefix('{') else {
        let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
        if !name.is_empty() && name != "self" {
            names.push(name);
        }
        return;
    };
    let mut depth = 1;
    let mut item = String::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => first_segments(&core::mem::take(&mut item), names),
            _ if depth == 1 => item.push(c),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    first_segments(&item, names);
}

/// Where `word` stands as a whole word: the text before and after each.
fn occurrences<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(word).filter_map(move |(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        whole.then_some((before, after))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks what the compiler does not read as code; lines stay where they are.
fn without_comments_and_strings(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '"' {
            string_len(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let close = if rest.starts_with("r\"") { "\"" } else { "\"#" };
            rest[3..].find(close).map_or(rest.len(), |end| 3 + end + close.len())
        } else if c == '\'' {
            char_len(rest)
        } else {
            0
        };
        if skipped == 0 {
            kept.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            kept.push(' ');
            kept.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    kept
}

fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The length of a character literal, 0 for a lifetime.
fn char_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            rest[from..].find('\'').map_or(0, |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

/// Blanks every item under `#[cfg(test)]`, up to its `;` or its closing brace.
fn without_tests(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let mut depth = 0;
        let end = item.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0 && (c == ';' || c == '}')).then_some(at + 1)
        });
        let end = end.unwrap_or(item.len());
        kept.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    kept.push_str(rest);
    kept
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    let mut folders = vec![src()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = read(&path);
                sources.push((path.strip_prefix(src()).expect("it was found there").to_owned(), text));
            }
        }
    }
    sources.sort();
    assert!(sources.len() > 5, "the sources are not where they should be");
    sources
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
