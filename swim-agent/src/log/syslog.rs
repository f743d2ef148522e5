//! The system's log: datagrams to the socket that syslogd and journald listen on (RFC 3164, as Go's `log/syslog` writes
//! them). `<133>Nov 22 20:38:30 serf[4711]: agent: text`.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::log::{Entry, Level};

/// A connection to the system's log.
#[derive(Debug)]
pub(crate) struct Syslog {
    path: PathBuf,
    facility: u8,
    socket: Mutex<UnixDatagram>,
}

impl Syslog {
    /// Connects to wherever this system has its log.
    pub(crate) fn new(facility: &str) -> Result<Self, String> {
        let facility = facility_code(facility).ok_or_else(|| format!("invalid syslog facility: {facility}"))?;
        PATHS.iter().find_map(|path| Self::connect(Path::new(path), facility).ok()).ok_or_else(|| {
            format!(
                "Unix syslog delivery error: nobody listens on {} (leave syslog out, or start it)",
                PATHS.join(", ")
            )
        })
    }

    fn connect(path: &Path, facility: u8) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), facility, socket: Mutex::new(open(path)?) })
    }

    /// Sends an entry. One that cannot be taken at once is dropped: the agent does not wait for a log.
    pub(crate) fn send(&self, entry: &Entry<'_>) {
        let line = self.line(entry, std::process::id());
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        match socket.send(line.as_bytes()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // It was restarted and has a new socket, most likely.
            Err(_) => {
                if let Ok(fresh) = open(&self.path) {
                    let _ = fresh.send(line.as_bytes());
                    *socket = fresh;
                }
            }
        }
    }

    fn line(&self, entry: &Entry<'_>, pid: u32) -> String {
        let priority = self.facility << 3 | severity(entry.level);
        let time = entry.time.strftime("%b %e %H:%M:%S");
        let text = entry.text.strip_suffix('\n').unwrap_or(entry.text);
        let end = (0..=text.len().min(TEXT_MAX)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let text = &text[..end];
        format!("<{priority}>{time} {TAG}[{pid}]: {}: {text}\n", entry.component)
    }
}

fn open(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Serf's mapping.
fn severity(level: Level) -> u8 {
    match level {
        Level::Trace => 7,
        Level::Debug => 6,
        Level::Info => 5,
        Level::Warn => 4,
        Level::Err => 3,
    }
}

fn facility_code(name: &str) -> Option<u8> {
    let upper = name.to_uppercase();
    FACILITIES.iter().find(|(known, _)| *known == upper).map(|(_, code)| *code)
}

#[rustfmt::skip]
const FACILITIES: &[(&str, u8)] = &[
    ("KERN", 0), ("USER", 1), ("MAIL", 2), ("DAEMON", 3), ("AUTH", 4), ("SYSLOG", 5), ("LPR", 6), ("NEWS", 7),
    ("UUCP", 8), ("CRON", 9), ("AUTHPRIV", 10), ("FTP", 11),
    ("LOCAL0", 16), ("LOCAL1", 17), ("LOCAL2", 18), ("LOCAL3", 19),
    ("LOCAL4", 20), ("LOCAL5", 21), ("LOCAL6", 22), ("LOCAL7", 23),
];

const PATHS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
/// What rules of syslogd look for; not our own name, because those rules were written for Serf.
const TAG: &str = "serf";
/// Bytes of text in one datagram. Longer ones would be refused, whole, somewhere on the way.
const TEXT_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(time: &'a jiff::Zoned, text: &'a str) -> Entry<'a> {
        Entry { time, level: Level::Warn, component: "agent", text, event: None, fields: &[] }
    }

    fn now() -> jiff::Zoned {
        jiff::civil::date(2026, 11, 2).at(20, 38, 30, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap()
    }

    #[test]
    fn facilities_in_any_case() {
        assert_eq!(facility_code("local0"), Some(16));
        assert_eq!(facility_code("DAEMON"), Some(3));
        assert_eq!(Syslog::new("BOGUS").unwrap_err(), "invalid syslog facility: BOGUS");
    }

    #[test]
    fn lines_arrive_also_after_a_restart_of_the_log() {
        let path = std::env::temp_dir().join(format!("swim-syslog-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(Syslog::connect(&path, 16).is_err(), "nobody listens yet");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::connect(&path, 16).unwrap();
        let receive = |daemon: &UnixDatagram| {
            let mut line = vec![0; 16 << 10];
            let len = daemon.recv(&mut line).unwrap();
            String::from_utf8(line[..len].to_vec()).unwrap()
        };
        let time = now();
        syslog.send(&entry(&time, "text\n"));
        let pid = std::process::id();
        assert_eq!(receive(&daemon), format!("<132>Nov  2 20:38:30 serf[{pid}]: agent: text\n"));
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        syslog.send(&entry(&time, "lost"));
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.send(&entry(&time, "again"));
        assert!(receive(&daemon).ends_with("agent: again\n"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_log_that_does_not_read_holds_nobody_up() {
        let path = std::env::temp_dir().join(format!("swim-syslog-full-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::connect(&path, 1).unwrap();
        let (time, text) = (now(), "ä".repeat(TEXT_MAX));
        for _ in 0..1000 {
            syslog.send(&entry(&time, &text)); // Would block for ever.
        }
        let mut line = vec![0; 16 << 10];
        let len = daemon.recv(&mut line).unwrap();
        assert_eq!(line[..len], *syslog.line(&entry(&time, &text), std::process::id()).as_bytes());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn long_text_is_cut() {
        let path = std::env::temp_dir().join(format!("swim-syslog-long-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let _daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::connect(&path, 16).unwrap();
        let time = now();
        let longest = "x".repeat(8 << 10);
        let within_a_letter = format!("{}ä", &longest[1..]);
        #[rustfmt::skip]
        let table = [
            // text                        is sent
            (longest.clone(),              &longest[..]),
            (format!("{longest}\n"),       &longest), // A line feed at the end is ours.
            (format!("{longest}x"),        &longest),
            (within_a_letter,              &longest[1..]),
        ];
        for (text, sent) in table {
            let line = syslog.line(&entry(&time, &text), 7);
            assert_eq!(line, format!("<132>Nov  2 20:38:30 serf[7]: agent: {sent}\n"), "{} bytes", text.len());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
