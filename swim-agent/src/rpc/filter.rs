//! Which members a client wants to see.

use core::fmt;
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
    /// Empty expressions for name and status mean "any"; those for tags do not. They share one bound on their size: a
    /// client that sends thousands of large ones must not keep the agent busy.
    pub(crate) fn new(tags: BTreeMap<String, String>, status: &str, name: &str) -> Result<Self, FilterError> {
        let given = |expression: &str| !expression.is_empty();
        let count = tags.len() + usize::from(given(status)) + usize::from(given(name));
        let len = tags.values().map(String::len).sum::<usize>() + status.len() + name.len();
        if len > LEN_MAX {
            return Err(FilterError::TooLong);
        }
        let sum_of = |count: fn(&str) -> usize| -> usize {
            tags.values().map(|tag| &**tag).chain([status, name]).map(count).sum()
        };
        if sum_of(may_fold) > FOLDINGS_MAX {
            return Err(FilterError::TooManyFolded);
        }
        if sum_of(|expression| expression.matches('(').count()) > GROUPS_MAX {
            return Err(FilterError::TooManyGroups);
        }
        let compile = |expression: &str| anchored(expression, SIZE_MAX / count.max(1));
        let optional = |expression: &str| given(expression).then(|| compile(expression)).transpose();
        Ok(Self {
            name: optional(name)?,
            status: optional(status)?,
            tags: tags
                .into_iter()
                .map(|(key, expression)| Ok((key, compile(&expression)?)))
                .collect::<Result<_, FilterError>>()?,
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
fn anchored(expression: &str, size_max: usize) -> Result<Regex, FilterError> {
    RegexBuilder::new(&format!("^{expression}$"))
        .size_limit(size_max)
        .dfa_size_limit(size_max)
        .nest_limit(NEST_MAX)
        .build()
        .map_err(|error| FilterError::Regex(Box::new(error)))
}

/// Classes, parts of classes and operations on them that may have to be folded, each of which goes through all of Unicode
/// (see `serf/folding.rs` of swim-core): no size of the result bounds that. There are no more of them than of these signs.
fn may_fold(expression: &str) -> usize {
    // Behind an `x`, an `i` can be where nobody looks for it.
    let flagged = |flags: &str| flags.split([':', ')', '<']).next().is_some_and(|flags| flags.contains(['i', 'x']));
    if !expression.split("(?").skip(1).any(flagged) {
        return 0;
    }
    ["[", "\\p", "\\P", "&&", "--", "~~"].iter().map(|of| expression.matches(of).count()).sum()
}

/// Why members cannot be filtered so.
#[derive(Debug)]
pub(crate) enum FilterError {
    Regex(Box<regex::Error>),
    TooLong,
    TooManyFolded,
    TooManyGroups,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex(error) => error.fmt(f),
            Self::TooLong => write!(f, "more than {LEN_MAX} bytes of expressions"),
            Self::TooManyGroups => write!(f, "more than {GROUPS_MAX} groups in expressions"),
            Self::TooManyFolded => write!(f, "more than {FOLDINGS_MAX} classes in expressions with the flag 'i'"),
        }
    }
}

/// Expressions of one filter together, in bytes.
const LEN_MAX: usize = 4096;
/// The same, compiled: `.{200}` fits, `.{1000}` does not. To match one takes as long as it is large, for each byte.
const SIZE_MAX: usize = 256 << 10;
/// Of all that have the flag `i`, together; ten milliseconds each at worst.
const FOLDINGS_MAX: usize = 16;
/// Of all together. What each has matched is kept as often as the expression has states, though nobody wants to know.
const GROUPS_MAX: usize = 64;
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
        for bad in ["(", &"(".repeat(100), "(.{1000}){1000}"] {
            assert!(Filter::new(BTreeMap::new(), bad, "").is_err(), "{bad}");
        }
        // What stands between the anchors is one level down.
        let nested = |levels: usize| format!("{}x{}", "(".repeat(levels - 1), ")".repeat(levels - 1));
        for (status, name) in [("", "x"), ("x", "")] {
            let filter = |levels: usize| {
                let of = |given: &str| given.replace('x', &nested(levels));
                Filter::new(BTreeMap::new(), &of(status), &of(name))
            };
            assert!(filter(64).is_ok());
            let error = filter(65).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("nest"), "{error}");
        }
    }

    /// However many expressions there are, together they are no larger than one may be.
    #[test]
    fn the_bound_is_shared() {
        let tags = |count: usize, expression: &str| {
            (0..count).map(|n| (format!("k{n}"), expression.to_owned())).collect::<BTreeMap<_, _>>()
        };
        assert!(Filter::new(tags(64, "web-[0-9]+.*"), "alive", "n.*").is_ok());
        assert!(Filter::new(tags(1, ".{200}"), "", "").is_ok());
        assert!(Filter::new(tags(64, ".{200}"), "", "").is_err());
        for (count, bound) in [(1, 262_144), (2, 131_072)] {
            let error = Filter::new(tags(count, "(.{1000}){1000}"), "", "").err();
            let Some(FilterError::Regex(error)) = error else { panic!("{error:?}") };
            assert_eq!(*error, regex::Error::CompiledTooBig(bound));
        }
        assert!(Filter::new(tags(1, &"x".repeat(LEN_MAX)), "", "").is_ok());
        assert!(matches!(Filter::new(tags(1, &"x".repeat(LEN_MAX)), "", "y"), Err(FilterError::TooLong)));
    }

    #[test]
    fn what_is_folded_is_bounded() {
        let of = |tag: &str, name: &str| Filter::new(BTreeMap::from([("k".into(), tag.into())]), "", name);
        // Without the flag nothing is.
        assert!(of(&"[a-z]".repeat(50), "(?s)[a-z]").is_ok());
        assert!(of(&("(?i)".to_owned() + &"[a-z]".repeat(15)), "(?i:[0-9])").is_ok());
        let error = of(&("(?i)".to_owned() + &"[a-z]".repeat(15)), r"(?s-ui:\pL[0-9])").err().unwrap();
        assert_eq!(error.to_string(), "more than 16 classes in expressions with the flag 'i'");
        let spaced = "(?x)( ?i)".to_owned() + &"[a]".repeat(17);
        assert!(matches!(of("", &spaced), Err(FilterError::TooManyFolded)));
        assert!(of("", &("(?P<i>x)".to_owned() + &"[a]".repeat(17))).is_ok(), "a name");
        for costly in [r"[a[^b]]", r"\p{any}", r"\PN", "[a&&b]", "[a--b]", "[a~~b]"] {
            assert!(matches!(of("", &("(?i)".to_owned() + &costly.repeat(17))), Err(FilterError::TooManyFolded)));
        }
    }

    #[test]
    fn groups_are_bounded() {
        let of = |count| Filter::new(BTreeMap::from([("k".into(), "()".repeat(count))]), "(?:a)", "(b)");
        assert!(of(62).is_ok());
        let error = of(63).err().unwrap();
        assert_eq!(error.to_string(), "more than 64 groups in expressions");
    }

    #[test]
    fn names_need_not_be_text() {
        let filter = Filter::new(BTreeMap::new(), "", "x.*|a").unwrap();
        assert!(filter.matches(b"x\xff", "alive", |_| None));
    }
}
