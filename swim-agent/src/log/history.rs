//! The last lines of the log, and those who watch it (Serf: `log_writer.go`): what `monitor` shows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::log::Level;

/// Keeps lines of every level down to debug, whatever else is logged. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    lines: VecDeque<(Level, Arc<str>)>,
    watchers: Vec<(Level, Sender<Arc<str>>)>,
}

/// One who watches the log.
pub(crate) struct Watch {
    old: VecDeque<Arc<str>>,
    new: Receiver<Arc<str>>,
}

impl Watch {
    /// The next line; `None` never, while the log lives. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Arc<str>> {
        match self.old.pop_front() {
            Some(line) => Some(line),
            None => self.new.recv().await,
        }
    }
}

impl History {
    /// The lines kept that are of this level or above it, and then all that follow. A watcher that is too slow misses
    /// some.
    pub(crate) fn watch(&self, level: Level) -> Watch {
        let (sender, new) = channel(WATCH_MAX);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = inner.lines.iter().filter(|(of, _)| *of >= level).map(|(_, line)| Arc::clone(line)).collect();
        // Nothing may have been said since the last of them went.
        inner.watchers.retain(|(_, watcher)| !watcher.is_closed());
        inner.watchers.push((level, sender));
        Watch { old, new }
    }

    pub(crate) fn add(&self, level: Level, line: &str) {
        let line: Arc<str> = line.into();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.watchers.retain(|(wanted, watcher)| {
            if level < *wanted {
                return !watcher.is_closed();
            }
            !matches!(watcher.try_send(Arc::clone(&line)), Err(TrySendError::Closed(_)))
        });
        if level >= KEPT {
            if inner.lines.len() == LINES_MAX {
                inner.lines.pop_front();
            }
            inner.lines.push_back((level, line));
        }
    }

    /// The least important level that somebody wants to hear.
    pub(crate) fn level(&self) -> Level {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.watchers.iter().map(|(level, _)| *level).fold(KEPT, Level::min)
    }
}

/// Lines that are kept (Serf: 512).
const LINES_MAX: usize = 512;
/// Lines that wait for one watcher (Serf: 512).
const WATCH_MAX: usize = 512;
/// The least important level that is kept.
const KEPT: Level = Level::Debug;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn old_lines_first_and_only_the_wanted() {
        let history = History::default();
        for n in 0..LINES_MAX + 10 {
            history.add(if n % 2 == 0 { Level::Info } else { Level::Debug }, &format!("{n}"));
        }
        let mut watch = history.watch(Level::Info);
        assert_eq!(watch.old.len(), LINES_MAX / 2);
        assert_eq!(watch.next().await.as_deref(), Some("10"));
        watch.old.clear();
        history.add(Level::Debug, "no");
        history.add(Level::Warn, "yes");
        assert_eq!(watch.next().await.as_deref(), Some("yes"));
    }

    #[test]
    fn a_slow_watcher_misses_lines_and_a_gone_one_is_forgotten() {
        let history = History::default();
        let watch = history.watch(Level::Trace);
        assert_eq!(history.level(), Level::Trace);
        for n in 0..WATCH_MAX + 10 {
            history.add(Level::Info, &format!("{n}"));
        }
        assert_eq!(watch.new.len(), WATCH_MAX);
        drop(watch);
        history.add(Level::Info, "last");
        assert_eq!(history.level(), KEPT);
        for _ in 0..3 {
            drop(history.watch(Level::Trace));
        }
        let watches = [history.watch(Level::Trace), history.watch(Level::Trace)];
        let watchers = history.0.lock().unwrap_or_else(PoisonError::into_inner).watchers.len();
        assert_eq!(watchers, watches.len(), "those that came and went while nothing was said");
    }
}
