//! Text from the network on somebody's terminal.

use std::borrow::Cow;
use std::io::{IsTerminal, stdout};

/// A name, say, as it goes to standard output: [`printable`] on a terminal. Elsewhere as it is: programs compare names.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if stdout().is_terminal() { printable(text).into() } else { text.into() }
}

/// The same of text that may have several lines, and columns.
pub(crate) fn shown_lines(text: &str) -> Cow<'_, str> {
    if stdout().is_terminal() { printable_lines(text).into() } else { text.into() }
}

/// `text` with everything that a terminal, or an eye, would take for something else than a letter written out as an
/// escape: control characters (which move the cursor, and more), and those that change the direction of the text or
/// take no room.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c)) => {
                shown.extend(c.escape_default());
            }
            c => shown.push(c),
        }
    }
    shown
}

/// The same, line feeds and tabs excepted.
fn printable_lines(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .flat_map(|part| {
            let end = part.len() - part.ends_with(['\n', '\t']) as usize;
            [printable(&part[..end]), part[end..].to_owned()]
        })
        .collect()
}

/// Marks of direction, joiners, fillers, separators of lines, and tags.
const INVISIBLE: [(char, char); 11] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{e0000}', '\u{e0fff}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        #[rustfmt::skip]
        let table = [
            ("web-1",                   "web-1"),
            ("naïve 日本 \\",            "naïve 日本 \\"),
            ("a\x1b[2J\x07b",           r"a\u{1b}[2J\u{7}b"),
            ("a\tb\r\nc\x7f",           r"a\tb\r\nc\u{7f}"),
            ("\u{9b}31m",               r"\u{9b}31m"),
            ("user\u{202e}gnp.exe",     r"user\u{202e}gnp.exe"),
            ("a\u{200b}b\u{e0041}",     r"a\u{200b}b\u{e0041}"),
        ];
        for (text, shown) in table {
            assert_eq!(printable(text), shown, "{text:?}");
        }
    }

    #[test]
    fn lines_stay_lines() {
        for (text, shown) in [("", ""), ("a\tb\n\nc\x1b\n", "a\tb\n\nc\\u{1b}\n"), ("\r\n\x07", "\\r\n\\u{7}")] {
            assert_eq!(printable_lines(text), shown, "{text:?}");
        }
    }
}
