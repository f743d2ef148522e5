//! Text from the network on somebody's terminal.

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
}
