//! Flags as Go's `flag` package reads them.
//!
//! Not clap: single-dash long flags, `-x v` for all but booleans, stopping at the first other argument, and the error
//! texts are Go's rules, and normalising arguments for clap would take more code than this parser.

use core::fmt;
use core::time::Duration;

use crate::config::duration::parse_duration;

/// A flag of one command.
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// In the help, after the name: `=addr`.
    pub(crate) hint: &'static str,
    /// In the help, one line each.
    pub(crate) help: &'static str,
}

/// What value a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None, or one after `=`.
    Bool,
    /// Any text, also several times; the command reads on.
    Text,
    /// An integer.
    Int,
    /// A length of time as Go writes it: `1m30s`.
    Duration,
}

/// The arguments of one call, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// In the order given.
    given: Vec<(&'static str, String)>,
    /// What follows the flags.
    pub(crate) rest: Vec<String>,
}

impl Parsed {
    /// Reads `arguments` after the table.
    pub(crate) fn new(flags: &'static [Flag], arguments: &[String]) -> Result<Self, FlagError> {
        let mut parsed = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.as_slice().first() {
            // A lone dash is an ordinary argument.
            let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else { break };
            arguments.next();
            let name = name.strip_prefix('-').unwrap_or(name);
            if name.is_empty() {
                break;
            }
            if name.starts_with(['-', '=']) {
                return Err(FlagError::Syntax(argument.clone()));
            }
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let Some(flag) = flags.iter().find(|flag| flag.name == name) else {
                return Err(FlagError::Unknown(name.to_owned()));
            };
            let value = match (flag.kind, value) {
                (Kind::Bool, None) => "true".to_owned(),
                (Kind::Text | Kind::Int | Kind::Duration, None) => {
                    arguments.next().ok_or(FlagError::NoValue(flag.name))?.clone()
                }
                (_, Some(value)) => value,
            };
            let valid = match flag.kind {
                Kind::Bool => bool_value(&value).is_some(),
                Kind::Int => value.parse::<i64>().is_ok(),
                Kind::Duration => parse_duration(&value).is_ok(),
                Kind::Text => true,
            };
            if !valid {
                return Err(FlagError::Value { name: flag.name, kind: flag.kind, value });
            }
            parsed.given.push((flag.name, value));
        }
        parsed.rest = arguments.cloned().collect();
        Ok(parsed)
    }

    /// Reads what is in the table and takes no notice of anything else: for commands to which Serf may be given whatever
    /// one likes.
    pub(crate) fn lenient(flags: &'static [Flag], arguments: &[String]) -> Self {
        let mut parsed = Self::default();
        for at in 0..arguments.len() {
            // With its value behind `=`, or in the argument after it.
            let alone = |len| Self::new(flags, arguments.get(at..at + len)?).ok()?.given.pop();
            parsed.given.extend(alone(1).or_else(|| alone(2)));
        }
        parsed
    }

    /// The last value given for `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// All values given for `name`.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// Whether `name` is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.choice(name).unwrap_or(false)
    }

    /// What was said of `name`, if anything.
    pub(crate) fn choice(&self, name: &str) -> Option<bool> {
        self.text(name).and_then(bool_value)
    }

    /// The integer given for `name`.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|value| value.parse().ok())
    }

    /// The length of time given for `name`.
    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        self.text(name).and_then(|value| parse_duration(value).ok())
    }

    /// Flags and their values in the order given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

fn bool_value(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The table of flags for the help: two columns.
pub(crate) fn describe(flags: &[Flag]) -> String {
    let heads: Vec<_> = flags.iter().map(|flag| format!("  -{}{}", flag.name, flag.hint)).collect();
    let width = heads.iter().map(String::len).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for (head, flag) in heads.iter().zip(flags) {
        for (index, line) in flag.help.lines().enumerate() {
            text += &format!("{:width$}{line}\n", if index == 0 { head } else { "" });
        }
    }
    text
}

/// What is wrong with the arguments, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FlagError {
    Unknown(String),
    Syntax(String),
    NoValue(&'static str),
    Value { name: &'static str, kind: Kind, value: String },
}

impl fmt::Display for FlagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "flag provided but not defined: -{name}"),
            Self::Syntax(argument) => write!(f, "bad flag syntax: {argument}"),
            Self::NoValue(name) => write!(f, "flag needs an argument: -{name}"),
            Self::Value { name, kind: Kind::Bool, value } => {
                write!(f, "invalid boolean value {value:?} for -{name}: parse error")
            }
            Self::Value { name, kind: Kind::Int | Kind::Text | Kind::Duration, value } => {
                write!(f, "invalid value {value:?} for flag -{name}: parse error")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag { name: "on", kind: Kind::Bool, hint: "", help: "Turns\non." },
        Flag { name: "text", kind: Kind::Text, hint: "=foo", help: "A text." },
        Flag { name: "n", kind: Kind::Int, hint: "=1", help: "A number." },
    ];

    /// Flags as `name=value`, then what follows them; or the error.
    fn parse(arguments: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let parsed = Parsed::new(FLAGS, &arguments).map_err(|error| error.to_string())?;
        Ok((parsed.iter().map(|(name, value)| format!("{name}={value}")).collect(), parsed.rest))
    }

    #[test]
    fn rules_of_go() {
        #[rustfmt::skip]
        let table: [(&[&str], &[&str], &[&str]); 14] = [
            // arguments                    flags                       rest
            (&[],                           &[],                        &[]),
            (&["-on"],                      &["on=true"],               &[]),
            (&["--on"],                     &["on=true"],               &[]),
            (&["-on=F"],                    &["on=F"],                  &[]),
            (&["-on", "false"],             &["on=true"],               &["false"]), // a blank gives a boolean nothing
            (&["-text=a"],                  &["text=a"],                &[]),
            (&["--text", "a"],              &["text=a"],                &[]),
            (&["-text", "-on"],             &["text=-on"],              &[]),        // the next one, whatever it is
            (&["-text=a=b", "-text="],      &["text=a=b", "text="],     &[]),
            (&["-n", "-5"],                 &["n=-5"],                  &[]),
            (&["x", "-on"],                 &[],                        &["x", "-on"]),
            (&["-", "-on"],                 &[],                        &["-", "-on"]),
            (&["--", "-on"],                &[],                        &["-on"]),
            (&["-on", "--", "--"],          &["on=true"],               &["--"]),
        ];
        for (arguments, flags, rest) in table {
            let (found, others) = parse(arguments).unwrap();
            assert_eq!(found, flags, "{arguments:?}");
            assert_eq!(others, rest, "{arguments:?}");
        }
    }

    #[test]
    fn errors_of_go() {
        #[rustfmt::skip]
        let table: [(&[&str], &str); 8] = [
            (&["-bogus"],     "flag provided but not defined: -bogus"),
            (&["--bogus=1"],  "flag provided but not defined: -bogus"),
            (&["---x"],       "bad flag syntax: ---x"),
            (&["-=x"],        "bad flag syntax: -=x"),
            (&["-text"],      "flag needs an argument: -text"),
            (&["-on=zz"],     "invalid boolean value \"zz\" for -on: parse error"),
            (&["-on=2"],      "invalid boolean value \"2\" for -on: parse error"),
            (&["-n=zz"],      "invalid value \"zz\" for flag -n: parse error"),
        ];
        for (arguments, error) in table {
            assert_eq!(parse(arguments), Err(error.to_owned()), "{arguments:?}");
        }
    }

    #[test]
    fn the_last_value_counts() {
        let parsed = Parsed::new(FLAGS, &["-text=a".into(), "-text=b".into(), "-on".into(), "-on=0".into()]).unwrap();
        assert_eq!((parsed.text("text"), parsed.is_on("on"), parsed.int("n")), (Some("b"), false, None));
        assert_eq!(parsed.all("text").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_lenient_command_sees_its_flags_and_nothing_else() {
        #[rustfmt::skip]
        let table: [(&[&str], &[&str]); 6] = [
            (&[],                               &[]),
            (&["-bogus", "x"],                  &[]),
            (&["-text"],                        &[]),
            (&["-bogus", "-text=a", "-more"],   &["text=a"]),
            (&["x", "--text", "a", "-bogus"],   &["text=a"]),
            (&["-text=a", "-text=b", "-n=zz"],  &["text=a", "text=b"]),
        ];
        for (arguments, expected) in table {
            let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
            let parsed = Parsed::lenient(FLAGS, &arguments);
            let found: Vec<_> = parsed.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(found, expected, "{arguments:?}");
        }
    }

    #[test]
    fn help_is_two_columns() {
        let text = "  -on        Turns\n             on.\n  -text=foo  A text.\n  -n=1       A number.\n";
        assert_eq!(describe(FLAGS), text);
    }
}
