//! Whom a query is for (serf-layer.md 3, query filters): members by name, and members whose tags match an expression.

use alloc::string::String;
use core::fmt::Write;
use core::time::Duration;

use regex::{Regex, RegexBuilder};

use crate::cx::Cx;
use crate::log::log_some;
use crate::serf::Serf;
use crate::serf::folding::foldings;
use crate::time::Instant;
use crate::wire::serf::{Filter, Filters};

impl Serf {
    /// Whether we are one of those whom a query with these filters is for: every filter must pass.
    ///
    /// A filter that cannot be understood does not pass; it is counted. Neither does one with an expression when there
    /// were too many of them lately.
    pub(super) fn passes(&mut self, cx: &mut Cx<'_>, filters: Filters<'_>) -> bool {
        // Compiling costs time. A query that a node would let its application send holds no more than this.
        let mut left = self.config.query_size_limit;
        for encoded in filters {
            let passes = match self.codec.decode_filter(&encoded) {
                Ok(Filter::Nodes(mut names)) => {
                    let local = cx.roster.slot(self.local).name.as_bytes();
                    Ok(names.any(|name| name == local))
                }
                Ok(Filter::Tag { tag, expr }) => self.tag_matches(cx.now, tag, expr, &mut left),
                Err(_) => Err(Refused::Invalid),
            };
            match passes {
                Ok(true) => {}
                Ok(false) => return false,
                Err(Refused::OverLimit) => {
                    cx.stats.queries_over_limit += 1;
                    return false;
                }
                Err(Refused::Invalid) => {
                    cx.stats.query_filters_invalid += 1;
                    log_some!(cx, WARN, "query_filter_invalid", len = encoded.len());
                    return false;
                }
            }
        }
        true
    }

    /// Whether our tag matches an expression, of which there may be `left` bytes.
    fn tag_matches(&mut self, now: Instant, tag: &[u8], expr: &[u8], left: &mut usize) -> Result<bool, Refused> {
        let matching = (self.tag(tag).len() / MATCHING_LEN) as u32;
        // To find out that it is none takes time, too.
        self.charge(now, matching.saturating_add(1))?;
        *left = left.checked_sub(expr.len()).ok_or(Refused::Invalid)?;
        let expression = core::str::from_utf8(expr).ok().and_then(Expression::read).ok_or(Refused::Invalid)?;
        self.charge(now, expression.cost - 1)?;
        let regex = expression.compile().ok_or(Refused::Invalid)?;
        Ok(regex.is_match(self.tag(tag)))
    }

    /// Our tag of this name; one that is not set counts as an empty one.
    fn tag(&self, name: &[u8]) -> &str {
        core::str::from_utf8(name).ok().and_then(|name| self.tags.get(name)).unwrap_or_default()
    }

    /// Takes what an expression costs from what all of them may. The network decides how many there are: a second's worth at
    /// once, and as many in each second.
    fn charge(&mut self, now: Instant, cost: u32) -> Result<(), Refused> {
        let until = self.queries.compiling_until.max(now) + COMPILATION * cost;
        if until > now + COMPILATION * COMPILATIONS_MAX {
            return Err(Refused::OverLimit);
        }
        self.queries.compiling_until = until;
        Ok(())
    }
}

/// Why a filter is not looked at any further.
enum Refused {
    Invalid,
    OverLimit,
}

/// The share of a second of one of [`COMPILATIONS_MAX`] expressions.
const COMPILATION: Duration = Duration::from_micros(15_625);
/// Expressions that are compiled at once, and again after a second, if none costs more than the others.
const COMPILATIONS_MAX: u32 = 64;
/// What a class costs that is folded, in expressions that do without: some ten milliseconds, and not two.
const FOLDING: u32 = 8;
/// So many bytes of a tag cost as much: each takes as long as the expression is large, up to a tenth of a millisecond.
const MATCHING_LEN: usize = 32;

/// An expression that may be worth compiling, not anchored.
struct Expression {
    /// In the words of the crate `regex`.
    text: String,
    /// To compile it, in [`COMPILATION`]s.
    cost: u32,
}

impl Expression {
    /// Reads RE2's syntax. `None`: it is wrong, or too costly ever to be compiled.
    fn read(expression: &str) -> Option<Self> {
        let text = translate(expression)?;
        let cost = FOLDING.saturating_mul(foldings(&text, NESTING_MAX)?).saturating_add(1);
        (cost <= COMPILATIONS_MAX).then_some(Self { text, cost })
    }

    /// `None`: it is wrong, or too large.
    fn compile(&self) -> Option<Regex> {
        RegexBuilder::new(&self.text).octal(true).size_limit(SIZE_MAX).nest_limit(NESTING_MAX).build().ok()
    }
}

/// Most bytes that a compiled expression may take. Matching costs at most this times the length of a tag.
const SIZE_MAX: usize = 256 << 10;
/// Deepest nesting of groups and repetitions.
const NESTING_MAX: u32 = 64;

/// Says the same in the words of the crate `regex`, where these differ from RE2's (and Go's): there `\d`, `\w`, `\s` and
/// `\b` know ASCII only, `\Q…\E` quotes, a brace that repeats nothing stands for itself, and bracketed classes know
/// neither nesting nor arithmetic. `None`: RE2 would not take it.
fn translate(mut rest: &str) -> Option<String> {
    let mut out = String::with_capacity(rest.len() + 16);
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(tail, false, &mut out)?,
            '[' => class(tail, &mut out)?,
            '{' if !is_repetition(tail) => {
                out.push_str("\\{");
                tail
            }
            '(' => {
                // Nobody wants to know what a group has matched, and to keep that costs as much again for each of them.
                let Some(flags) = tail.strip_prefix('?') else {
                    out.push_str("(?:");
                    rest = tail;
                    continue;
                };
                if let Some(name) = flags.strip_prefix("P<").or_else(|| flags.strip_prefix('<')) {
                    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    let after = name.trim_start_matches(is_letter);
                    out.push_str("(?:");
                    rest = after.strip_prefix('>').filter(|_| after.len() < name.len())?;
                    continue;
                }
                let known = |flag: char| matches!(flag, 'i' | 'm' | 's' | 'U' | '-');
                if !flags.trim_start_matches(known).starts_with([':', ')']) {
                    return None;
                }
                out.push('(');
                tail
            }
            _ => {
                out.push(c);
                tail
            }
        };
    }
    Some(out)
}

/// Whether what follows an opening brace makes it a repetition: `n}`, `n,}` or `n,m}`.
fn is_repetition(tail: &str) -> bool {
    let Some((inside, _)) = tail.split_once('}') else { return false };
    let (low, high) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

/// What follows a backslash; returns what follows the escape.
fn escape<'t>(tail: &'t str, in_class: bool, out: &mut String) -> Option<&'t str> {
    let c = tail.chars().next()?;
    let rest = &tail[c.len_utf8()..];
    let perl = match c {
        'd' | 'D' => Some("0-9"),
        'w' | 'W' => Some("0-9A-Za-z_"),
        's' | 'S' => Some("\\t\\n\\x0C\\r "),
        _ => None,
    };
    if let Some(ranges) = perl {
        let negation = if c.is_ascii_uppercase() { "^" } else { "" };
        if in_class && negation.is_empty() {
            out.push_str(ranges);
        } else {
            write!(out, "[{negation}{ranges}]").ok()?;
        }
        return Some(rest);
    }
    match c {
        'b' | 'B' if !in_class => write!(out, "(?-u:\\{c})").ok()?,
        'Q' if !in_class => {
            let (quoted, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            return Some(rest);
        }
        '<' | '>' => out.push(c),
        // A single digit but zero would be a reference back, which takes no bounded time.
        '1'..='7' if !rest.starts_with(|next| matches!(next, '0'..='7')) => return None,
        'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(c);
            // These braces are not the kind that repeats.
            if rest.starts_with('{') {
                let (inside, after) = rest.split_once('}')?;
                write!(out, "{inside}}}").ok()?;
                return Some(after);
            }
            if c != 'x' {
                let category = rest.chars().next().filter(char::is_ascii_alphabetic)?;
                out.push(category);
                return rest.get(1..);
            }
        }
        '0'..='7' | 'A' | 'z' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
            out.push('\\');
            out.push(c);
        }
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => {
            out.push('\\');
            out.push(c);
        }
        _ => return None,
    }
    Some(rest)
}

/// What follows an opening bracket; returns what follows the closing one.
fn class<'t>(mut rest: &'t str, out: &mut String) -> Option<&'t str> {
    out.push('[');
    for (first, written) in [("^", "^"), ("]", "\\]")] {
        if let Some(tail) = rest.strip_prefix(first) {
            out.push_str(written);
            rest = tail;
        }
    }
    loop {
        let c = rest.chars().next()?;
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            ']' => {
                out.push(']');
                return Some(tail);
            }
            '\\' => {
                let after = escape(tail, true, out)?;
                let is_class = tail.starts_with(['d', 'D', 'w', 'W', 's', 'S', 'p', 'P']);
                match after.strip_prefix('-') {
                    // No range begins there.
                    Some(after) if is_class => {
                        out.push_str("\\-");
                        after
                    }
                    Some(_) | None => after,
                }
            }
            '[' => match tail.strip_prefix(':').and_then(|name| name.split_once(":]")) {
                Some((name, after)) => {
                    // The crate `regex` would take any other name for a class of its letters.
                    if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
                        return None;
                    }
                    write!(out, "[:{name}:]").ok()?;
                    after
                }
                None => {
                    out.push_str("\\[");
                    tail
                }
            },
            '&' | '~' => {
                out.push('\\');
                out.push(c);
                tail
            }
            '-' if tail.starts_with('-') => {
                out.push_str("-\\-");
                &tail[1..]
            }
            _ => {
                out.push(c);
                tail
            }
        };
    }
}

/// Names of classes, the same for both.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(expression: &str) -> Option<Regex> {
        Expression::read(expression)?.compile()
    }

    /// What would take longer than others to compile is known before, by what it costs.
    #[test]
    fn expressions_are_charged_by_their_foldings() {
        #[rustfmt::skip]
        let table = [
            (r"(?i)^[a-z\d-]+\D[[:alpha:]]$", Some(1)),
            (r"[a\D]\pL",                     Some(1)), // without the flag nothing is folded
            (r"(?i)[a\D]",                    Some(9)),
            (r"(?i)[a\W\S][[:^alpha:]]",      Some(17)),
            (r"(?i)[\pLx]",                   Some(17)),
        ];
        for (expression, cost) in table {
            assert_eq!(Expression::read(expression).map(|expression| expression.cost), cost, "{expression:?}");
            assert!(compile(expression).is_some(), "{expression:?}");
        }
        let folded = |times| Expression::read(&alloc::format!("(?i){}", r"[a\D]".repeat(times)));
        assert!(folded(7).is_some() && folded(8).is_none());
    }

    #[test]
    fn expressions_mean_what_they_mean_in_re2() {
        #[rustfmt::skip]
        let table = [
            // expression       value         matches
            ("web",             "my-web-1",   Some(true)),   // not anchored
            ("^web$",           "my-web-1",   Some(false)),
            ("d.*",             "db",         Some(true)),
            ("",                "",           Some(true)),
            (".",               "",           Some(false)),
            (r"^\d+$",          "17",         Some(true)),
            (r"^\d+$",          "١٧",         Some(false)),  // ASCII only
            (r"^\w$",           "é",          Some(false)),
            (r"^\W$",           "é",          Some(true)),
            (r"^.$",            "é",          Some(true)),
            (r"^[^\W]$",        "a",          Some(true)),
            (r"^[\w-]+$",       "a-b",        Some(true)),
            (r"\bdb\b",         "a db b",     Some(true)),
            (r"a\Bb",           "ab",         Some(true)),
            (r"^\s$",           "\u{b}",      Some(false)),  // no vertical tab
            (r"\Qa.b\E$",       "a.b",        Some(true)),
            (r"\Qa.b\E$",       "axb",        Some(false)),
            (r"^a{2}$",         "aa",         Some(true)),
            (r"^a{,2}$",        "a{,2}",      Some(true)),   // not a repetition
            (r"^{$",            "{",          Some(true)),
            (r"^[[]$",          "[",          Some(true)),
            (r"^[a&&b]+$",      "a&b",        Some(true)),
            (r"^[]a]+$",        "]a",         Some(true)),
            (r"^[^]a]$",        "]",          Some(false)),
            (r"^[[:alpha:]]$",  "x",          Some(true)),
            (r"^[\d]$",         "١",          Some(false)),
            (r"[\b]",           "b",          None),         // a boundary is no character
            (r"[\Qb\E]",        "b",          None),
            (r"^a\.b$",         "a.b",        Some(true)),
            (r"^a\.b$",         "axb",        Some(false)),
            (r"(?i)WEB",        "web",        Some(true)),
            (r"(?P<n>web)",     "web",        Some(true)),
            (r"^\x41\x{41}\101$", "AAA",      Some(true)),
            (r"^\p{Greek}[\pL]$", "αβ",       Some(true)),
            (r"\<a\>",          "<a>",        Some(true)),
            (r"(a)\1",          "aa",         None),         // no references back
            (r"(?x)a b",        "ab",         None),         // no flag of RE2
            (r"a(?=b)",         "ab",         None),
            ("[",               "",           None),
            ("(",               "",           None),
            ("*",               "",           None),
            ("\\",              "",           None),
            (r"\é",             "é",          None),
            (r"\u0041",         "A",          None),         // an escape of others
            ("(((a{100}){100}){100})", "a",   None),         // too large
            ("[[:foo:]]",       "f",          None),         // no such class
            (r"[[:x\D:]]",      "x",          None),
            ("[[:^digit:]]",    "x",          Some(true)),
            (r"(\Q\E?x)a b",    "ab",         None),         // nothing to repeat
            (r"^a\Q\E?$",       "",           Some(true)),
            ("(?P<a[>(?x)]b)",  "b",          None),         // no name
            ("(?P<>b)",         "b",          None),
            ("^(?P<1a>b)(c)$",  "bc",         Some(true)),
            (r"^[\w-.]+$",      "a-b.c_",     Some(true)),   // behind a class, a dash is only that
            (r"^[\w-z]+$",      "`",          Some(false)),
            (r"^[\s-x]+$",      "- x",        Some(true)),
            (r"^[\s-x]+$",      "a",          Some(false)),
            (r"^[\pL-.]+$",     "é-.",        Some(true)),
            (r"^[\d--/]+$",     "1./-",       Some(true)),   // and another begins a range
            (r"^[\W-]$",        "-",          Some(true)),
            ("(?<n_1>b)",       "b",          Some(true)),
            ("(?ix:b)",         "b",          None),
            ("(?i",             "",           None),
            ("(?:b)(?s-i)c",    "bc",         Some(true)),
        ];
        for (expression, value, matches) in table {
            assert_eq!(compile(expression).map(|regex| regex.is_match(value)), matches, "{expression:?} on {value:?}");
        }
        let nested = |depth: usize| "(".repeat(depth) + &")".repeat(depth);
        assert!(compile(&nested(NESTING_MAX as usize)).is_some());
        assert!(compile(&nested(NESTING_MAX as usize + 1)).is_none());
    }

    /// How large an expression becomes is the matter of the crate that compiles it; it is told the bound, and keeps to it.
    #[test]
    fn expressions_are_compiled_up_to_the_bound() {
        let repeated = |times: usize| alloc::format!("a{{{times}}}");
        let (mut fits, mut too_large) = (1, 100_000);
        while too_large - fits > 1 {
            let times = usize::midpoint(fits, too_large);
            *(if compile(&repeated(times)).is_some() { &mut fits } else { &mut too_large }) = times;
        }
        // By this much less or more than 256 KiB it is another expression that is the last one.
        let slack = 1 << 10;
        let compiles = |times, limit| RegexBuilder::new(&repeated(times)).size_limit(limit).build().is_ok();
        assert!(!compiles(fits, 262_144 - slack) && compiles(too_large, 262_144 + slack), "{fits}");
    }

    proptest::proptest! {
        /// Whatever somebody asks for, it is taken or refused.
        #[test]
        fn nothing_panics(expression in r"([\\\[\]{}()?^$&~a-e\-QEdwWsb0-9,:<>é]|\\Q|\(\?|\(\?[ix]\)|\[:(x|word):\]){0,24}") {
            if let Some(regex) = compile(&expression) {
                regex.is_match("some value");
            }
        }
    }
}
