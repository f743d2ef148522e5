//! Which members a client wants to see.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::bytes::{Regex, RegexBuilder};

/// The conditions of a `members-filtered` request; a member must meet all of them.
pub(crate) struct Filter {
    name: Option<Regex>,
    status: Option<Regex>,
    tags: Vec<(String, Regex)>,
}

impl Filter {
    /// Empty expressions for name and status mean "any"; those for tags do not.
    pub(crate) fn new(tags: BTreeMap<String, String>, status: &str, name: &str) -> Result<Self, regex::Error> {
        let given = |expression: &str| (!expression.is_empty()).then(|| anchored(expression)).transpose();
        Ok(Self {
            name: given(name)?,
            status: given(status)?,
            tags: tags
                .into_iter()
                .map(|(key, expression)| Ok((key, anchored(&expression)?)))
                .collect::<Result<_, regex::Error>>()?,
        })
    }

    /// Whether a member passes; `tag` looks one of its tags up. A missing tag counts as empty.
    pub(crate) fn matches<'a>(&self, name: &[u8], status: &str, tag: impl Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        self.name.as_ref().is_none_or(|name_filter| name_filter.is_match(name))
            && self.status.as_ref().is_none_or(|status_filter| status_filter.is_match(status.as_bytes()))
            && self.tags.iter().all(|(key, filter)| filter.is_match(tag(key).unwrap_or_default().as_bytes()))
    }
}

/// Serf anchors by concatenation: `a|b` means `^a` or `b$`.
fn anchored(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^{expression}$"))
        .size_limit(SIZE_MAX)
        .dfa_size_limit(SIZE_MAX)
        .nest_limit(NEST_MAX)
        .build()
}

/// Compiled size of one expression, in bytes: `.{1000}` fits, `(.{1000}){1000}` does not.
const SIZE_MAX: usize = 1 << 20;
/// Nesting of one expression.
const NEST_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(tags: &[(&str, &str)], status: &str, name: &str) -> bool {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let filter = Filter::new(tags, status, name).unwrap();
        filter.matches(b"node-a", "alive", |key| (key == "role").then(|| "web".into()))
    }

    #[test]
    fn conditions() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, bool);
        #[rustfmt::skip]
        let table: [Row<'_>; 13] = [
            (&[],                            "",       "",       true),
            (&[],                            "",       "node-.", true),
            (&[],                            "",       "node",   false), // anchored
            (&[],                            "",       "node|x", true),  // by concatenation: ^node or x$
            (&[],                            "alive",  "",       true),
            (&[],                            "failed", "",       false),
            (&[],                            "a|fai",  "",       true),
            (&[("role", "w.b")],             "",       "",       true),
            (&[("role", "db")],              "",       "",       false),
            (&[("role", "")],                "",       "",       false), // an empty tag condition is a condition
            (&[("dc", "")],                  "",       "",       true),  // a missing tag counts as empty
            (&[("dc", ".+")],                "",       "",       false),
            (&[("role", "web"), ("dc", "x")], "",      "",       false),
        ];
        for (tags, status, name, expected) in table {
            assert_eq!(matches(tags, status, name), expected, "{tags:?} {status:?} {name:?}");
        }
    }

    #[test]
    fn bounded_expressions_only() {
        for bad in ["(", &"(".repeat(100), &format!("{}x{}", "(".repeat(65), ")".repeat(65)), "(.{1000}){1000}"] {
            assert!(Filter::new(BTreeMap::new(), bad, "").is_err(), "{bad}");
        }
    }

    #[test]
    fn names_need_not_be_text() {
        let filter = Filter::new(BTreeMap::new(), "", "x.*|a").unwrap();
        assert!(filter.matches(b"x\xff", "alive", |_| None));
    }
}
