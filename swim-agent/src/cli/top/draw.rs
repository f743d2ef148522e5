//! The picture: of any size, and of nothing but what can be printed.

use core::time::Duration;
use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row as TableRow, Table};

use crate::cli::printable::printable;
use crate::cli::top::state::{Happening, Link, Pane, Row, State};

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let areas = Areas::new(frame.area(), state);
    // Less the line that heads each.
    let lines = |area: Rect| usize::from(area.height.saturating_sub(1));
    state.fit(lines(areas.members), lines(areas.events));
    let state = &*state;
    frame.render_widget(Paragraph::new(header(state, areas.header)), areas.header);
    members(frame, state, areas.members);
    events(frame, state, areas.events);
    if areas.footer.height > 0 {
        frame.render_widget(footer(state), areas.footer);
    }
    if state.help {
        help(frame);
    }
}

/// What goes where.
struct Areas {
    header: Rect,
    members: Rect,
    events: Rect,
    footer: Rect,
}

impl Areas {
    fn new(whole: Rect, state: &State) -> Self {
        let header = match whole.height {
            0..4 => 0,
            4..12 => 1,
            _ => 3,
        };
        // While a filter is typed, it is to be seen in the smallest window.
        let footer = u16::from(whole.height >= 8 || (state.is_editing() && whole.height > 1));
        let rest = whole.height - header - footer;
        let events = if rest >= 12 { (rest / 3).min(EVENTS_HEIGHT_MAX) } else { 0 };
        let mut top = whole.y;
        let mut part = |height: u16| {
            let area = Rect { y: top, height, ..whole };
            top += height;
            area
        };
        Self { header: part(header), members: part(rest - events), events: part(events), footer: part(footer) }
    }
}

fn header<'a>(state: &State, area: Rect) -> Vec<Line<'a>> {
    let stat = |group: &str, key: &str| state.stat(group, key).map(printable);
    let name = stat("agent", "name").unwrap_or_else(|| "?".to_owned());
    let health = stat("serf", "health_score");
    let mut first = vec![Span::styled(name, BOLD), Span::raw(format!("  {}", state.address))];
    let condition = condition(state, Instant::now());
    let counts = state.counts();
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    if area.height < 3 {
        // All in one line: what is wrong, or else the numbers.
        first.truncate(1);
        first.push(match condition {
            Some((text, style)) => Span::styled(format!("  {text}"), style),
            None => {
                let counts = counts.iter().map(|(status, count)| format!(" {count} {status}"));
                Span::raw(counts.collect::<String>())
            }
        });
        return vec![Line::from(first)];
    }
    first.extend(condition.map(|(text, style)| Span::styled(format!("  {text}"), style)));
    let mut second = vec![Span::raw(format!("members {total}:"))];
    for (status, count) in &counts {
        second.push(Span::styled(format!(" {count} {status}"), status_style(status)));
    }
    if let Some(health) = health {
        let style = if health == "0" { Style::new() } else { WARNING };
        second.push(Span::styled(format!("   health score {health}"), style));
    }
    let gauges = [
        ("member time", "member_time"),
        ("event time", "event_time"),
        ("query time", "query_time"),
        ("queued: intents", "intent_queue"),
        ("events", "event_queue"),
        ("queries", "query_queue"),
    ];
    let gauges = gauges.iter().filter_map(|(label, key)| Some(format!("{label} {}", stat("serf", key)?)));
    vec![Line::from(first), Line::from(second), Line::from(gauges.collect::<Vec<_>>().join("  "))]
}

/// What the reader must know before believing anything else.
fn condition(state: &State, now: Instant) -> Option<(String, Style)> {
    if let Link::Lost { why, since } = &state.link {
        let seconds = now.saturating_duration_since(*since).as_secs();
        return Some((format!("LOST {seconds} s ago, trying again: {why}"), ALARM));
    }
    if let Some(silence) = state.silence(now) {
        return Some((format!("NO ANSWER for {} s", silence.as_secs()), ALARM));
    }
    state.is_paused().then(|| ("PAUSED, p goes on".to_owned(), WARNING))
}

fn members(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let rows = state.rows();
    let visible = state.visible(&rows);
    let columns = columns(area.width, &rows, state);
    let direction = if state.reversed { "v" } else { "^" };
    let heads = columns.iter().map(|(column, _)| {
        let head = column.head();
        let sorted = column.sort() == Some(state.sort.as_str());
        let text = if sorted { format!("{head}{direction}") } else { head.to_owned() };
        column.cell(text, usize::from(area.width))
    });
    let style = if state.pane == Pane::Members { HEAD_ACTIVE } else { HEAD };
    let table = Table::new(
        visible.iter().map(|row| {
            let cells = columns.iter().map(|(column, width)| {
                let cell = column.cell(cut(&column.text(row, state), usize::from(*width)), usize::from(*width));
                match column {
                    Column::Status => cell.style(status_style(&row.member.status)),
                    Column::Name if state.is_own(row) => cell.style(BOLD),
                    Column::Name | Column::RoundTrip | Column::Address | Column::Health | Column::Tags => cell,
                }
            });
            TableRow::new(cells.collect::<Vec<_>>())
        }),
        columns.iter().map(|(_, width)| Constraint::Length(*width)),
    )
    .column_spacing(2)
    .header(TableRow::new(heads.collect::<Vec<_>>()).style(style));
    frame.render_widget(table, area);
    let mut notes = Vec::new();
    if !state.filter.is_empty() {
        notes.push(format!("/{}", printable(&state.filter)));
    }
    if rows.len() > visible.len() && !visible.is_empty() {
        let above = state.members_above();
        notes.push(format!("{}-{} of {}", above + 1, above + visible.len(), rows.len()));
    }
    note(frame, area, &notes.join("  "), style);
    if rows.is_empty() && !state.filter.is_empty() && area.height > 1 {
        let below = Rect { y: area.y + 1, height: 1, ..area };
        frame.render_widget(Paragraph::new("no member matches the filter"), below);
    }
}

fn events(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let Some(head) = area.rows().next() else { return };
    let style = if state.pane == Pane::Events { HEAD_ACTIVE } else { HEAD };
    frame.render_widget(Paragraph::new("EVENTS AND QUERIES").style(style), head);
    let width = usize::from(area.width);
    let lines = state.events().map(|Happening { time, kind, text }| {
        let kind_style = EVENT_STYLES.iter().find(|(known, _)| known == kind).map_or(Style::new(), |(_, style)| *style);
        // As wide as the longest kind there is.
        let before = format!("{time}  {kind:13}  ");
        let text = cut(text, width.saturating_sub(before.chars().count()));
        let after_time = before[time.len()..].to_owned();
        Line::from(vec![Span::raw(time.clone()), Span::styled(after_time, kind_style), Span::raw(text)])
    });
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), below);
    if state.events_below() > 0 {
        note(frame, area, &format!("{} newer", state.events_below()), style);
    }
}

/// At the right end of a heading.
fn note(frame: &mut Frame<'_>, heading: Rect, text: &str, style: Style) {
    if text.is_empty() {
        return;
    }
    let text = cut(&format!(" {text}"), usize::from(heading.width));
    let width = u16::try_from(Span::raw(&text).width()).unwrap_or(heading.width).min(heading.width);
    let area = Rect { x: heading.right() - width, width, height: heading.height.min(1), ..heading };
    frame.render_widget(Paragraph::new(text).style(style), area);
}

fn footer(state: &State) -> Line<'_> {
    if state.is_editing() {
        return Line::from(format!("/{}_", printable(&state.filter))).style(BOLD);
    }
    let order = if state.reversed { ", reversed" } else { "" };
    Line::from(format!(
        "q quit  ? help  / filter  s sort: {}{order}  r reverse  p pause  Tab, arrows scroll",
        state.sort.as_str()
    ))
    .style(FAINT)
}

fn help(frame: &mut Frame<'_>) {
    let whole = frame.area();
    let lines = HELP.lines().count();
    let width = HELP.lines().map(str::len).max().unwrap_or(0);
    let with_border = |len: usize, max: u16| u16::try_from(len + 2).unwrap_or(max).min(max);
    let (width, height) = (with_border(width, whole.width), with_border(lines, whole.height));
    let area = Rect { x: whole.x + (whole.width - width) / 2, y: whole.y + (whole.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(HELP).block(Block::bordered().title(" keys ")), area);
}

/// A column of the table of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    Status,
    RoundTrip,
    Address,
    Health,
    Tags,
}

impl Column {
    fn head(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Status => "STATUS",
            Self::RoundTrip => "RTT",
            Self::Address => "ADDRESS",
            Self::Health => "HEALTH",
            Self::Tags => "TAGS",
        }
    }

    /// How the order by this column is called.
    fn sort(self) -> Option<&'static str> {
        match self {
            Self::Name => Some("name"),
            Self::Status => Some("status"),
            Self::RoundTrip => Some("rtt"),
            Self::Address => Some("address"),
            Self::Health | Self::Tags => None,
        }
    }

    fn text(self, row: &Row, state: &State) -> String {
        let member = &row.member;
        match self {
            Self::Name => printable(&member.name),
            Self::Status => printable(&member.status),
            Self::RoundTrip if state.is_own(row) => "self".to_owned(),
            Self::RoundTrip => row.round_trip.map_or_else(unknown, millis),
            Self::Address => member.address.map_or_else(unknown, |address| address.to_string()),
            // An agent tells nobody how the others are.
            Self::Health if state.is_own(row) => state.stat("serf", "health_score").map_or_else(unknown, printable),
            Self::Health => unknown(),
            Self::Tags => {
                let tags = member.tags.iter().map(|(key, value)| format!("{key}={value}"));
                printable(&tags.collect::<Vec<_>>().join(","))
            }
        }
    }

    fn cell(self, text: String, width: usize) -> Cell<'static> {
        match self {
            // Numbers stand at the right, under each other's points.
            Self::RoundTrip => Cell::from(format!("{text:>width$}", width = width.min(RTT_WIDTH))),
            Self::Name | Self::Status | Self::Address | Self::Health | Self::Tags => Cell::from(text),
        }
    }
}

/// The columns that there is room for, from left to right, and their widths: what matters most is given room first.
fn columns(width: u16, rows: &[&Row], state: &State) -> Vec<(Column, u16)> {
    let widest = |column: Column, least: usize, most: usize| {
        let texts = rows.iter().take(WIDTHS_MAX).map(|row| Span::raw(column.text(row, state)).width());
        texts.max().unwrap_or(0).clamp(least, most)
    };
    let mut left = usize::from(width);
    let mut taken = Vec::new();
    // The name gives way, so that the status is always there.
    let wanted = [
        (Column::Name, widest(Column::Name, 6, (left / 3).max(6))),
        (Column::Status, 7),
        (Column::RoundTrip, RTT_WIDTH),
        (Column::Address, widest(Column::Address, 9, 47)),
        (Column::Health, 6),
    ];
    for (column, wants) in wanted {
        let gap = if taken.is_empty() { 0 } else { 2 };
        if wants + gap > left {
            break;
        }
        left -= wants + gap;
        taken.push((column, wants));
    }
    if taken.len() >= 4 && left >= TAGS_WIDTH_MIN {
        taken.push((Column::Tags, left - 2));
    }
    taken.into_iter().map(|(column, width)| (column, u16::try_from(width).unwrap_or(u16::MAX))).collect()
}

/// `text` in no more than `width` columns; where something is missing, that is to be seen.
fn cut(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut room = width.saturating_sub(1);
    for c in text.chars() {
        let wide = Span::raw(c.to_string()).width();
        if wide > room {
            break;
        }
        room -= wide;
        shown.push(c);
    }
    if width > 0 {
        shown.push('…');
    }
    shown
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

fn unknown() -> String {
    "-".to_owned()
}

fn status_style(status: &str) -> Style {
    match status {
        "alive" => GOOD,
        "failed" => ALARM,
        "leaving" => WARNING,
        _ => FAINT,
    }
}

const GOOD: Style = Style::new().fg(Color::Green);
const WARNING: Style = Style::new().fg(Color::Yellow);
const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().fg(Color::DarkGray);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const HEAD: Style = Style::new().add_modifier(Modifier::REVERSED).add_modifier(Modifier::DIM);
const HEAD_ACTIVE: Style = Style::new().add_modifier(Modifier::REVERSED);

const EVENT_STYLES: &[(&str, Style)] = &[
    ("member-join", GOOD),
    ("member-failed", ALARM),
    ("member-leave", WARNING),
    ("member-reap", WARNING),
    ("user", Style::new().fg(Color::Cyan)),
    ("query", Style::new().fg(Color::Magenta)),
];

const EVENTS_HEIGHT_MAX: u16 = 15;
/// `12345.678 ms`
const RTT_WIDTH: usize = 12;
/// Members whose names and addresses are measured for every picture.
const WIDTHS_MAX: usize = 2000;
const TAGS_WIDTH_MIN: usize = 10;

const HELP: &str = "\
/         filter: every word must be in name,
          status, address or a tag (key=value);
          Enter keeps it, Esc drops it
s         sort by the next column
r         reverse the order
p, space  pause, and go on
Tab       members or events: what scrolls
arrows, j, k, PgUp, PgDn, Home, End
          scroll
?         this help; any key closes it
q, Esc, Ctrl-C
          quit";

#[cfg(test)]
mod tests;
