//! What is shown: pure data, changed by news and keys.

use core::cmp::Ordering;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::cli::printable::printable;
use crate::rpc::messages::{Event, Member};

/// Groups of settings and gauges, as the agent gives them.
pub(super) type Stats = BTreeMap<String, BTreeMap<String, String>>;

/// What is heard of the agent.
#[derive(Debug)]
pub(super) enum News {
    /// It is there, again or for the first time.
    Connected,
    /// It is not there any more; why.
    Lost(String),
    Stats(Stats),
    /// All members that it knows.
    Members(Vec<Member>),
    /// Something has happened, at this time of day.
    Event {
        time: String,
        event: Event,
    },
    /// How far a member is from the agent's own, if that is known.
    RoundTrip {
        name: String,
        time: Option<Duration>,
    },
}

/// A member in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) member: Member,
    pub(super) round_trip: Option<Duration>,
}

/// A line in the pane of events, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    pub(super) time: String,
    /// `member-failed`, `user`, `query`.
    pub(super) kind: String,
    pub(super) text: String,
}

/// What is known of the cluster. Kept apart from how it is looked at, so that a pause can keep it as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) stats: Stats,
    members: BTreeMap<String, Row>,
    /// The latest last.
    events: VecDeque<Happening>,
}

/// How the connection to the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    Lost { why: String, since: Instant },
}

/// By which column the members are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Status,
    RoundTrip,
    Address,
}

/// Which pane the keys move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Members,
    Events,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Quit,
}

/// All that a picture is made of.
#[derive(Debug)]
pub(super) struct State {
    /// Where the agent is.
    pub(super) address: String,
    pub(super) link: Link,
    /// When the agent last said something.
    heard: Option<Instant>,
    known: Known,
    /// While paused: what is shown meanwhile.
    paused: Option<Known>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// While the filter is being typed: what it was before.
    filter_before: Option<String>,
    pub(super) help: bool,
    pub(super) pane: Pane,
    /// Members above the first that is shown.
    members_above: usize,
    /// Events after the last that is shown.
    events_below: usize,
    /// Lines that the last picture had for members, and for events.
    room: (usize, usize),
    changed: bool,
}

impl State {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: printable(address),
            link: Link::Up,
            heard: None,
            known: Known::default(),
            paused: None,
            sort: Sort::Name,
            reversed: false,
            filter: String::new(),
            filter_before: None,
            help: false,
            pane: Pane::Members,
            members_above: 0,
            events_below: 0,
            room: (0, 0),
            changed: true,
        }
    }

    /// Takes in what the agent says.
    pub(super) fn hear(&mut self, news: News, now: Instant) {
        self.changed = true;
        if let News::Lost(why) = news {
            let since = match self.link {
                Link::Lost { since, .. } => since,
                Link::Up => now,
            };
            self.link = Link::Lost { why: printable(&why), since };
            return;
        }
        self.heard = Some(now);
        self.link = Link::Up;
        match news {
            News::Connected | News::Lost(_) => {}
            News::Stats(stats) => self.known.stats = stats,
            News::Members(members) => self.known.list(members),
            News::Event { time, event } => {
                if self.paused.is_none() && self.events_below > 0 {
                    // Whoever looks at older ones goes on looking at them.
                    self.events_below += 1;
                }
                self.known.happen(time, event);
            }
            News::RoundTrip { name, time } => {
                if let Some(row) = self.known.members.get_mut(&name) {
                    row.round_trip = time;
                }
            }
        }
    }

    /// Does what a key stands for.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]
    pub(super) fn press(&mut self, key: KeyEvent) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::Continue;
        }
        self.changed = true;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Flow::Quit } else { Flow::Continue };
        }
        if self.filter_before.is_some() {
            self.edit(key.code);
            return Flow::Continue;
        }
        if self.help {
            self.help = false;
            // Whoever wants out of the help does not want out of the program.
            return Flow::Continue;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Flow::Quit,
            KeyCode::Char('/') => self.filter_before = Some(self.filter.clone()),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char('p' | ' ') => {
                self.paused = if self.paused.is_some() { None } else { Some(self.known.clone()) };
            }
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.help = true,
            KeyCode::Tab | KeyCode::BackTab => {
                self.pane = if self.pane == Pane::Members { Pane::Events } else { Pane::Members };
            }
            KeyCode::Up | KeyCode::Char('k') => self.scroll(-1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1),
            KeyCode::PageUp => self.scroll(-self.page()),
            KeyCode::PageDown => self.scroll(self.page()),
            KeyCode::Home | KeyCode::Char('g') => self.scroll(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.scroll(isize::MAX),
            _ => {}
        }
        Flow::Continue
    }

    /// Something that only the screen knows is different.
    pub(super) fn change(&mut self) {
        self.changed = true;
    }

    /// Makes room for so many members and events: nothing is scrolled past its end. To be called for every picture,
    /// which thereby is up to date.
    pub(super) fn fit(&mut self, members: usize, events: usize) {
        self.changed = false;
        self.room = (members, events);
        let rows = self.rows().len();
        self.members_above = self.members_above.min(rows.saturating_sub(members));
        self.events_below = self.events_below.min(self.shown().events.len().saturating_sub(events));
    }

    /// Whether the last picture is out of date.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// The members that pass the filter, in order, and all of them.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let words: Vec<_> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        let all = self.shown().members.values();
        let mut rows: Vec<_> = all.filter(|row| words.iter().all(|word| row.contains(word))).collect();
        rows.sort_by(|a, b| {
            let order = self.sort.compare(a, b, self.reversed);
            order.then_with(|| a.member.name.cmp(&b.member.name))
        });
        rows
    }

    /// Those of them that there is room for.
    pub(super) fn visible<'a>(&self, rows: &[&'a Row]) -> Vec<&'a Row> {
        rows.iter().skip(self.members_above).take(self.room.0).copied().collect()
    }

    /// The events that there is room for, the latest last.
    pub(super) fn events(&self) -> impl Iterator<Item = &Happening> {
        let events = &self.shown().events;
        let end = events.len().saturating_sub(self.events_below);
        events.range(end.saturating_sub(self.room.1)..end)
    }

    pub(super) fn members_above(&self) -> usize {
        self.members_above
    }

    pub(super) fn events_below(&self) -> usize {
        self.events_below
    }

    /// How many members there are of each status, the most alarming first.
    pub(super) fn counts(&self) -> Vec<(String, usize)> {
        let mut counts = BTreeMap::new();
        for row in self.shown().members.values() {
            *counts.entry((alarm(&row.member.status), row.member.status.as_str())).or_default() += 1;
        }
        counts.into_iter().map(|((_, status), count)| (printable(status), count)).collect()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    pub(super) fn is_editing(&self) -> bool {
        self.filter_before.is_some()
    }

    /// What the agent's `stats` say, or nothing if they do not say it.
    pub(super) fn stat(&self, group: &str, key: &str) -> Option<&str> {
        self.shown().stats.get(group)?.get(key).map(String::as_str)
    }

    /// Whether this is the agent's own member.
    pub(super) fn is_own(&self, row: &Row) -> bool {
        self.stat("agent", "name") == Some(&row.member.name)
    }

    /// For how long the agent has said nothing, once that is worth to be told.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.heard?);
        (silence >= SILENCE).then_some(silence)
    }

    fn shown(&self) -> &Known {
        self.paused.as_ref().unwrap_or(&self.known)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]
    fn edit(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.filter_before = None,
            KeyCode::Esc => self.filter = self.filter_before.take().unwrap_or_default(),
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if !c.is_control() && self.filter.chars().count() < FILTER_MAX => self.filter.push(c),
            _ => {}
        }
    }

    /// By so many lines, downwards.
    fn scroll(&mut self, by: isize) {
        match self.pane {
            Pane::Members => {
                // So far that there is something to scroll back from at once.
                let last = self.rows().len().saturating_sub(self.room.0);
                self.members_above = self.members_above.saturating_add_signed(by).min(last);
            }
            Pane::Events => {
                let first = self.shown().events.len().saturating_sub(self.room.1);
                let by = by.checked_neg().unwrap_or(isize::MAX);
                self.events_below = self.events_below.saturating_add_signed(by).min(first);
            }
        }
    }

    fn page(&self) -> isize {
        let room = if self.pane == Pane::Members { self.room.0 } else { self.room.1 };
        isize::try_from(room).unwrap_or(isize::MAX).max(1)
    }
}

impl Known {
    /// These are all. What is known of them beside is kept.
    fn list(&mut self, members: Vec<Member>) {
        let mut before = core::mem::take(&mut self.members);
        self.members = members
            .into_iter()
            .map(|member| {
                let round_trip = before.remove(&member.name).and_then(|row| row.round_trip);
                (member.name.clone(), Row { member, round_trip })
            })
            .collect();
    }

    fn happen(&mut self, time: String, event: Event) {
        let happening = Happening::new(time, &event);
        if let Event::Members { kind, members } = event {
            for member in members {
                if kind == "member-reap" {
                    self.members.remove(&member.name);
                } else if let Some(row) = self.members.get_mut(&member.name) {
                    row.member = member;
                } else {
                    self.members.insert(member.name.clone(), Row { member, round_trip: None });
                }
            }
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(happening);
    }
}

impl Row {
    /// Whether `word`, in lower case, is in something that is shown of the member.
    fn contains(&self, word: &str) -> bool {
        let Member { name, address, status, tags, .. } = &self.member;
        let holds = |text: &str| text.to_lowercase().contains(word);
        holds(name)
            || holds(status)
            || address.is_some_and(|address| holds(&address.to_string()))
            || tags.iter().any(|(key, value)| holds(&format!("{key}={value}")))
    }
}

impl Happening {
    fn new(time: String, event: &Event) -> Self {
        let with_payload = |name: &str, payload: &[u8]| match payload {
            [] => name.to_owned(),
            payload => format!("{name}  {}", String::from_utf8_lossy(payload)),
        };
        let (kind, text) = match event {
            Event::Members { kind, members } => {
                let names: Vec<_> = members.iter().take(TEXT_MAX).map(|member| member.name.as_str()).collect();
                (kind.as_str(), names.join(", "))
            }
            Event::User { name, payload, .. } => ("user", with_payload(name, payload)),
            Event::Query { name, payload, .. } => ("query", with_payload(name, payload)),
            Event::Other { kind } => (kind.as_str(), String::new()),
        };
        let bounded = |text: &str| printable(&text.chars().take(TEXT_MAX).collect::<String>());
        Self { time, kind: bounded(kind), text: bounded(&text) }
    }
}

impl Sort {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Status => "status",
            Self::RoundTrip => "rtt",
            Self::Address => "address",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Name => Self::Status,
            Self::Status => Self::RoundTrip,
            Self::RoundTrip => Self::Address,
            Self::Address => Self::Name,
        }
    }

    fn compare(self, a: &Row, b: &Row, reversed: bool) -> Ordering {
        let turned = |order: Ordering| if reversed { order.reverse() } else { order };
        match self {
            Self::Name => turned(a.member.name.cmp(&b.member.name)),
            Self::Status => turned(alarm(&a.member.status).cmp(&alarm(&b.member.status))),
            // What is not known is neither near nor far.
            Self::RoundTrip => match (a.round_trip, b.round_trip) {
                (Some(a), Some(b)) => turned(a.cmp(&b)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
            Self::Address => turned(a.member.address.cmp(&b.member.address)),
        }
    }
}

/// How little a status needs to be looked at.
fn alarm(status: &str) -> u8 {
    match status {
        "failed" => 0,
        "leaving" => 1,
        "alive" => 2,
        "left" => 3,
        _ => 4,
    }
}

/// Events that are kept.
const EVENTS_MAX: usize = 1000;
/// Characters of an event that are kept.
const TEXT_MAX: usize = 300;
/// Characters of a filter.
const FILTER_MAX: usize = 100;
/// After which the agent's silence is shown. It is asked for something every second.
const SILENCE: Duration = Duration::from_secs(4);

#[cfg(test)]
pub(in crate::cli::top) mod tests;
