//! Serf's log lines: `2026/11/22 20:38:30 [WARN] agent.ipc: text`, local time.
//!
//! Everything that is logged is a `tracing` event whose target is Serf's name for the component. `lines` says what
//! the cluster's events read like, `console` how lines reach the terminal, `history` what `monitor` shows of them.
//! `json` is the other form a line can have, `syslog` the other place it can go to; `quota` bounds what others bring about.

pub(crate) mod console;
pub(crate) mod history;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod quota;
pub(crate) mod syslog;

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use console::Console;
use history::History;
use syslog::Syslog;

/// How much is logged. Serf's names; each level includes those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Err,
}

impl Level {
    const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Err];

    /// From Serf's name in any case.
    pub(crate) fn from_name(name: &str) -> Result<Self, UnknownLevel> {
        let upper = name.to_uppercase();
        Self::ALL.into_iter().find(|level| level.as_str() == upper).ok_or(UnknownLevel(upper))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Err => "ERR",
        }
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::TRACE => Self::Trace,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::INFO => Self::Info,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::ERROR => Self::Err,
        }
    }
}

/// What lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As Serf writes them.
    Text,
    Json,
}

impl Format {
    pub(crate) fn from_name(name: &str) -> Result<Self, String> {
        match name.to_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("Invalid log format: {name}. Valid log formats are: [text json]")),
        }
    }
}

/// Something that is logged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) time: &'a jiff::Zoned,
    pub(crate) level: Level,
    pub(crate) component: &'a str,
    pub(crate) text: &'a str,
    /// The core's name for it.
    pub(crate) event: Option<&'a str>,
    pub(crate) fields: &'a [(&'static str, String)],
}

/// A name that is no level, in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownLevel(String);

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invalid log level: {}. Valid log levels are: [TRACE DEBUG INFO WARN ERR]", self.0)
    }
}

/// Turns `tracing` events into lines on a console. Clones share the level.
#[derive(Clone)]
pub(crate) struct Log {
    console: Console,
    history: History,
    level: Arc<AtomicU8>,
    format: Format,
    syslog: Option<Arc<Syslog>>,
}

impl Log {
    /// Lines are held back until the console releases them; the system's log has them at once.
    pub(crate) fn new(console: Console, level: Level, format: Format, syslog: Option<Syslog>) -> Self {
        let level = Arc::new(AtomicU8::new(level as u8));
        Self { console, history: History::default(), level, format, syslog: syslog.map(Arc::new) }
    }

    /// The last lines, whatever the level.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Makes this the process's log.
    pub(crate) fn install(&self) {
        // Only a second agent in one process could have been faster, and there is none.
        let _ = tracing::subscriber::set_global_default(self.clone());
    }

    pub(crate) fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    fn is_logged(&self, level: Level) -> bool {
        level as u8 >= self.level.load(Ordering::Relaxed)
    }
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Not "always" or "never" for ours: the level changes on reload.
        if component(metadata.target()).is_some() { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = Level::from(*metadata.level());
        component(metadata.target()).is_some() && (self.is_logged(level) || level >= self.history.level())
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (component, text, event) = if metadata.target() == CORE {
            match lines::core_line(metadata.name(), |name| fields.get(name)) {
                Some((component, text)) => (component, text, Some(metadata.name())),
                None => return,
            }
        } else {
            (component(metadata.target()).unwrap_or("agent"), fields.message(), None)
        };
        let (time, level) = (jiff::Zoned::now(), (*metadata.level()).into());
        let entry = Entry { time: &time, level, component, text: &text, event, fields: &fields.0 };
        let line = line(&entry);
        self.history.add(level, line.trim_end_matches('\n'));
        if self.is_logged(level) {
            if let Some(syslog) = &self.syslog {
                syslog.send(&entry);
            }
            self.console.log(match self.format {
                Format::Text => line,
                Format::Json => json::line(&entry),
            });
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Serf's name for what speaks under `target`; `None`: not one of ours.
fn component(target: &str) -> Option<&str> {
    match target.split(['.', ':']).next() {
        Some("agent" | "serf" | "memberlist") => Some(target),
        Some(CORE | "swim_core" | "swim_driver" | "swim_tokio") => Some("memberlist"),
        _ => None,
    }
}

/// The target of the core's events, which are names and fields without text.
const CORE: &str = "swim";

fn line(entry: &Entry<'_>) -> String {
    let Entry { time, level, component, text, .. } = entry;
    format!("{} [{}] {component}: {text}", time.strftime("%Y/%m/%d %H:%M:%S"), level.as_str())
}

/// The fields of an event, each as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The text of an event, and its other fields behind it.
    fn message(&mut self) -> String {
        let at = self.0.iter().position(|(name, _)| *name == "message");
        let mut text = at.map(|at| self.0.remove(at).1).unwrap_or_default();
        for (index, (name, value)) in self.0.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{} {name}={value}", if index == 0 { ":" } else { "" });
        }
        text
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), cut(format!("{value:?}"))));
    }
}

/// At most [`FIELD_LEN_MAX`] bytes: lines are kept, and clients can have what they ask for said in one.
fn cut(mut text: String) -> String {
    if text.len() > FIELD_LEN_MAX {
        let end = (0..=FIELD_LEN_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// A script's whole output (8 KiB), and what is said of it.
const FIELD_LEN_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_by_name() {
        assert_eq!(Level::from_name("warn"), Ok(Level::Warn));
        assert_eq!(Level::from_name("ERR"), Ok(Level::Err));
        let error = Level::from_name("zz").unwrap_err();
        assert_eq!(error.to_string(), "Invalid log level: ZZ. Valid log levels are: [TRACE DEBUG INFO WARN ERR]");
    }

    #[test]
    fn a_line_looks_like_serfs() {
        let time = jiff::civil::date(2026, 11, 22).at(20, 38, 30, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        let entry =
            Entry { time: &time, level: Level::Warn, component: "agent.ipc", text: "text", event: None, fields: &[] };
        assert_eq!(line(&entry), "2026/11/22 20:38:30 [WARN] agent.ipc: text");
    }

    #[test]
    fn long_fields_are_cut() {
        for (len, shown) in [(FIELD_LEN_MAX, FIELD_LEN_MAX), (FIELD_LEN_MAX + 1, FIELD_LEN_MAX + 3)] {
            assert_eq!(cut("x".repeat(len)).len(), shown);
        }
        let within_a_letter = cut("x".repeat(FIELD_LEN_MAX - 1) + "ä");
        assert!(within_a_letter.len() == FIELD_LEN_MAX + 2 && within_a_letter.ends_with("x..."));
    }

    #[test]
    fn formats_by_name() {
        assert_eq!(Format::from_name("JSON"), Ok(Format::Json));
        assert_eq!(Format::from_name("text"), Ok(Format::Text));
        assert_eq!(Format::from_name("x").unwrap_err(), "Invalid log format: x. Valid log formats are: [text json]");
    }

    #[test]
    fn fields_stand_behind_the_text() {
        let mut fields = Fields(vec![("error", "x".into()), ("message", "text".into()), ("n", "1".into())]);
        assert_eq!(fields.message(), "text: error=x n=1");
        assert_eq!(fields.0.len(), 2);
        assert_eq!(Fields(vec![("message", "text".into())]).message(), "text");
    }
}
