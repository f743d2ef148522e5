//! Serf's log lines: `2026/11/22 20:38:30 [WARN] agent.ipc: text`, local time.
//!
//! Everything that is logged is a `tracing` event whose target is Serf's name for the component. `lines` says what
//! the cluster's events read like, `console` how lines reach the terminal, `history` what `monitor` shows of them.

pub(crate) mod console;
pub(crate) mod history;
pub(crate) mod lines;

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use console::Console;
use history::History;

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
}

impl Log {
    /// Lines are held back until the console releases them.
    pub(crate) fn new(console: Console, level: Level) -> Self {
        Self { console, history: History::default(), level: Arc::new(AtomicU8::new(level as u8)) }
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
        let (component, text) = if metadata.target() == CORE {
            let mut fields = Fields::default();
            event.record(&mut fields);
            match lines::core_line(metadata.name(), |name| fields.get(name)) {
                Some(line) => line,
                None => return,
            }
        } else {
            let mut text = Message::default();
            event.record(&mut text);
            (component(metadata.target()).unwrap_or("agent"), text.finish())
        };
        let level = (*metadata.level()).into();
        let line = line(&jiff::Zoned::now(), level, component, &text);
        self.history.add(level, line.trim_end_matches('\n'));
        if self.is_logged(level) {
            self.console.log(line);
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

fn line(now: &jiff::Zoned, level: Level, component: &str, text: &str) -> String {
    format!("{} [{}] {component}: {text}", now.strftime("%Y/%m/%d %H:%M:%S"), level.as_str())
}

/// The text of an event, and its other fields behind it.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
}

impl Message {
    fn finish(self) -> String {
        if self.fields.is_empty() { self.text } else { format!("{}:{}", self.text, self.fields) }
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// The fields of an event, each as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

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
        let now = jiff::civil::date(2026, 11, 22).at(20, 38, 30, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        assert_eq!(line(&now, Level::Warn, "agent.ipc", "text"), "2026/11/22 20:38:30 [WARN] agent.ipc: text");
    }
}
