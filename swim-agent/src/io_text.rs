//! The operating system's errors in the words that Serf's users, and their scripts, know: Go's.

use std::io::{self, ErrorKind};

/// `error` as Go's `net` and `os` packages print it: lower case, without the number.
pub(crate) fn io_text(error: &io::Error) -> String {
    if let Some((_, words)) = WORDS.iter().find(|(kind, _)| *kind == error.kind()) {
        return (*words).to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

const WORDS: &[(ErrorKind, &str)] = &[
    (ErrorKind::AddrInUse, "address already in use"),
    (ErrorKind::AddrNotAvailable, "cannot assign requested address"),
    (ErrorKind::ConnectionRefused, "connection refused"),
    (ErrorKind::ConnectionReset, "connection reset by peer"),
    (ErrorKind::NotFound, "no such file or directory"),
    (ErrorKind::PermissionDenied, "permission denied"),
    (ErrorKind::TimedOut, "i/o timeout"),
    (ErrorKind::UnexpectedEof, "unexpected EOF"),
    (ErrorKind::WouldBlock, "i/o timeout"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_go() {
        let table = [
            (io::Error::from(ErrorKind::ConnectionRefused), "connection refused"),
            (io::Error::other("Something Odd"), "something Odd"),
        ];
        for (error, text) in table {
            assert_eq!(io_text(&error), text);
        }
        #[cfg(target_os = "linux")]
        assert_eq!(io_text(&io::Error::from_raw_os_error(101)), "network is unreachable");
    }
}
