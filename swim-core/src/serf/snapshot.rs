//! The snapshot: what a node writes down to find its cluster again after a restart, and to recognise user events and
//! queries that it has seen before (serf-layer.md 13; Serf: `serf/snapshot.go`).
//!
//! [`Record`] is one line of the file, [`Restored`] what all lines add up to, `SnapshotLog` decides which lines a
//! running node adds. Whoever drives the node owns the file.
//!
//! ```text
//! alive: NAME ADDR      the member is there; the name may hold spaces, the address (ip:port) does not
//! not-alive: NAME       it is not
//! clock: N              the last member time; event-clock and query-clock likewise
//! leave                 we have left: what stands before this is over
//! coordinate: ...       of old files, ignored
//! #...                  comment
//! ```

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{LamportTime, Name, fmt_escaped};
use crate::roster::Roster;
use crate::serf::event::MemberEvent;
use crate::serf::member::{Records, Status};
use crate::stats::Stats;
use crate::time::Instant;
use crate::wire::serf::Clocks;

/// One line of a snapshot. See [`Record::parse_line`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Record<'a> {
    /// The member is there.
    Alive {
        /// Its name. One that holds a line feed cannot be written.
        #[serde(borrow, with = "serde_bytes")]
        name: Cow<'a, [u8]>,
        /// Where.
        address: SocketAddr,
    },
    /// The member has left or failed.
    NotAlive {
        /// Its name. One that holds a line feed cannot be written.
        #[serde(borrow, with = "serde_bytes")]
        name: Cow<'a, [u8]>,
    },
    /// The last member time.
    Clock(LamportTime),
    /// The time of the last user event.
    EventClock(LamportTime),
    /// The time of the last query.
    QueryClock(LamportTime),
    /// The node has left.
    Leave,
}

impl<'a> Record<'a> {
    /// Reads one line, without its line feed. `None` for what says nothing: comments, empty lines, and the coordinates
    /// of old files.
    ///
    /// # Errors
    ///
    /// See [`LineError`]. The other lines of the file stand.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::ids::LamportTime;
    /// use swim_core::serf::snapshot::{LineError, Record};
    ///
    /// let alive = Record::Alive { name: b"web 1"[..].into(), address: "10.0.0.7:7946".parse()? };
    /// assert_eq!(Record::parse_line(b"alive: web 1 10.0.0.7:7946"), Ok(Some(alive)));
    /// assert_eq!(Record::parse_line(b"clock: 40"), Ok(Some(Record::Clock(LamportTime(40)))));
    /// assert_eq!(Record::parse_line(b"# by hand"), Ok(None));
    /// assert_eq!(Record::parse_line(b"clock: soon"), Err(LineError::Clock(b"soon")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse_line(line: &'a [u8]) -> Result<Option<Self>, LineError<'a>> {
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(COORDINATE) {
            return Ok(None);
        }
        let name_of = |name: &'a [u8]| if name.is_empty() { Err(LineError::Name(line)) } else { Ok(Cow::from(name)) };
        let record = if let Some(member) = line.strip_prefix(ALIVE) {
            let (name, address) = split_at_last_space(member).ok_or(LineError::Address(line))?;
            let address = core::str::from_utf8(address).ok().and_then(|text| text.parse().ok());
            Self::Alive { address: address.ok_or(LineError::Address(line))?, name: name_of(name)? }
        } else if let Some(name) = line.strip_prefix(NOT_ALIVE) {
            Self::NotAlive { name: name_of(name)? }
        } else if let Some(number) = line.strip_prefix(CLOCK) {
            Self::Clock(parse_time(number).ok_or(LineError::Clock(number))?)
        } else if let Some(number) = line.strip_prefix(EVENT_CLOCK) {
            Self::EventClock(parse_time(number).ok_or(LineError::EventClock(number))?)
        } else if let Some(number) = line.strip_prefix(QUERY_CLOCK) {
            Self::QueryClock(parse_time(number).ok_or(LineError::QueryClock(number))?)
        } else if line == LEAVE {
            Self::Leave
        } else {
            return Err(LineError::Unrecognized(line));
        };
        Ok(Some(record))
    }

    /// Appends the line, with its line feed.
    ///
    /// Appends nothing for a member whose name holds a line feed: names come from the network, and such a one would
    /// write lines of its own into the file (Serf lets it). Such a member is not found again after a restart. Nor for
    /// one without a name: there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::snapshot::Record;
    ///
    /// let mut file = Vec::new();
    /// Record::NotAlive { name: b"web-1"[..].into() }.write_line(&mut file);
    /// Record::NotAlive { name: b"web-2\nleave"[..].into() }.write_line(&mut file);
    /// Record::Leave.write_line(&mut file);
    /// assert_eq!(file, b"not-alive: web-1\nleave\n");
    /// ```
    pub fn write_line(&self, out: &mut Vec<u8>) {
        if !self.is_one_line() {
            return;
        }
        match self {
            Self::Alive { name, address } => {
                out.extend_from_slice(ALIVE);
                out.extend_from_slice(name);
                push_display(out, format_args!(" {address}"));
            }
            Self::NotAlive { name } => {
                out.extend_from_slice(NOT_ALIVE);
                out.extend_from_slice(name);
            }
            Self::Clock(time) => write_time(out, CLOCK, *time),
            Self::EventClock(time) => write_time(out, EVENT_CLOCK, *time),
            Self::QueryClock(time) => write_time(out, QUERY_CLOCK, *time),
            Self::Leave => out.extend_from_slice(LEAVE),
        }
        out.push(b'\n');
    }

    /// The same, on its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::snapshot::Record;
    ///
    /// let record = {
    ///     let line = b"not-alive: web-1".to_vec();
    ///     Record::parse_line(&line).expect("it is one").expect("it says something").into_owned()
    /// };
    /// assert_eq!(record, Record::NotAlive { name: b"web-1"[..].into() });
    /// ```
    pub fn into_owned(self) -> Record<'static> {
        match self {
            Self::Alive { name, address } => Record::Alive { name: Cow::Owned(name.into_owned()), address },
            Self::NotAlive { name } => Record::NotAlive { name: Cow::Owned(name.into_owned()) },
            Self::Clock(time) => Record::Clock(time),
            Self::EventClock(time) => Record::EventClock(time),
            Self::QueryClock(time) => Record::QueryClock(time),
            Self::Leave => Record::Leave,
        }
    }

    fn is_one_line(&self) -> bool {
        match self {
            Self::Alive { name, .. } | Self::NotAlive { name } => !name.is_empty() && !name.contains(&b'\n'),
            Self::Clock(_) | Self::EventClock(_) | Self::QueryClock(_) | Self::Leave => true,
        }
    }
}

/// Why a line of a snapshot is skipped. `Display` says it in Serf's words, for a warning.
///
/// ```
/// use swim_core::serf::snapshot::Record;
///
/// let error = Record::parse_line(b"alive: web-1").unwrap_err();
/// assert_eq!(error.to_string(), "Failed to parse address: alive: web-1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineError<'a> {
    /// No such line: all of it.
    Unrecognized(&'a [u8]),
    /// An `alive:` line that does not end in a space and an address: all of it.
    Address(&'a [u8]),
    /// A member without a name: all of it.
    Name(&'a [u8]),
    /// The member time is not a decimal number of 64 bits: what stands there instead.
    Clock(&'a [u8]),
    /// The same of the time of user events.
    EventClock(&'a [u8]),
    /// The same of the time of queries.
    QueryClock(&'a [u8]),
}

impl fmt::Display for LineError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, text) = match self {
            Self::Unrecognized(line) => ("Unrecognized snapshot line", line),
            Self::Address(line) => ("Failed to parse address", line),
            Self::Name(line) => ("Member without a name", line),
            Self::Clock(number) => ("Failed to convert clock time", number),
            Self::EventClock(number) => ("Failed to convert event clock time", number),
            Self::QueryClock(number) => ("Failed to convert query clock time", number),
        };
        write!(f, "{what}: ")?;
        match text.get(..LINE_SHOWN_MAX) {
            Some(beginning) => {
                fmt_escaped(beginning, f)?;
                f.write_str("...")
            }
            None => fmt_escaped(text, f),
        }
    }
}

impl core::error::Error for LineError<'_> {}

/// What the lines of a snapshot add up to. See [`Restored::apply`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// Members that were there, ourselves included.
    pub alive: BTreeMap<Name, SocketAddr>,
    /// The last times, 0 where none was written.
    pub clocks: Clocks,
}

impl Restored {
    /// Takes in the next record of the file. A leave means that the node has no cluster to come back to: everything
    /// before it is forgotten, unless `rejoin_after_leave`.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::snapshot::{Record, Restored};
    ///
    /// let mut restored = Restored::default();
    /// for line in ["alive: a 10.0.0.7:7946", "leave", "alive: b 10.0.0.8:7946", "clock: 9", "clock: 7"] {
    ///     let record = Record::parse_line(line.as_bytes()).expect("it is one").expect("it says something");
    ///     restored.apply(&record, false);
    /// }
    /// assert_eq!(restored.alive.keys().collect::<Vec<_>>(), ["b"]);
    /// assert_eq!(restored.clocks.member.0, 7);
    /// ```
    pub fn apply(&mut self, record: &Record<'_>, rejoin_after_leave: bool) {
        match record {
            Record::Alive { name, address } => {
                self.alive.insert(Name::from(&**name), *address);
            }
            Record::NotAlive { name } => {
                self.alive.remove(&**name);
            }
            // Not the greatest: as in Serf, the last line counts.
            Record::Clock(time) => self.clocks.member = *time,
            Record::EventClock(time) => self.clocks.event = *time,
            Record::QueryClock(time) => self.clocks.query = *time,
            Record::Leave if rejoin_after_leave => {}
            Record::Leave => *self = Self::default(),
        }
    }
}

/// What is to be done with the file next. See [`Node::poll_record`](crate::Node::poll_record).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Append this record.
    Append(Record<'static>),
    /// Records were dropped, because they were not taken as fast as they came: write the file anew from all records
    /// that there are now. Those of later steps may be appended to it.
    Rewrite,
}

/// Which records a running node emits. While it is off it stores nothing.
///
/// After a leave only the member clock is followed, as in Serf: a file typically ends in `leave` and `clock: 7`.
#[derive(Debug, Default)]
pub(crate) struct SnapshotLog {
    enabled: bool,
    waiting: VecDeque<Step>,
    /// The times that the file says, once it has been given what waits.
    written: Clocks,
    /// No earlier than this is the member clock written again on its own.
    clock_due: Instant,
    /// We have left, and this member time stands before the leave.
    left: Option<LamportTime>,
    /// Members of the last run that have not been met again. They stay in the file, or a rewrite while the network is
    /// down would leave us without anybody to rejoin.
    unmet: BTreeMap<Name, SocketAddr>,
}

impl SnapshotLog {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    /// What the file holds already.
    pub(crate) fn restore(&mut self, restored: Restored) {
        if self.enabled {
            self.unmet = restored.alive;
            self.written = restored.clocks;
        }
    }

    /// A member event, once the member's status says so too; `time` is the member clock.
    pub(crate) fn on_member(
        &mut self,
        stats: &mut Stats,
        now: Instant,
        kind: MemberEvent,
        name: &Name,
        address: SocketAddr,
        time: LamportTime,
    ) {
        if !self.enabled || self.left.is_some() {
            return;
        }
        self.unmet.remove(name);
        let bytes = || Cow::Owned(name.as_bytes().into());
        match kind {
            MemberEvent::Join => self.push(stats, Record::Alive { name: bytes(), address }),
            MemberEvent::Leave | MemberEvent::Failed => self.push(stats, Record::NotAlive { name: bytes() }),
            // Serf writes nothing. A new address is in the file after the next rewrite.
            MemberEvent::Update | MemberEvent::Reap => {}
        }
        self.write_clock(stats, now, time);
    }

    /// A user event of this time was new.
    pub(crate) fn on_user_event(&mut self, stats: &mut Stats, time: LamportTime) {
        if self.enabled && self.left.is_none() && time > self.written.event {
            self.written.event = time;
            self.push(stats, Record::EventClock(time));
        }
    }

    /// A query of this time was new; internal ones count.
    pub(crate) fn on_query(&mut self, stats: &mut Stats, time: LamportTime) {
        if self.enabled && self.left.is_none() && time > self.written.query {
            self.written.query = time;
            self.push(stats, Record::QueryClock(time));
        }
    }

    /// The member clock may have moved to `time`. Writes that, unless it was written less than [`CLOCK_INTERVAL`] ago:
    /// then this returns when to call again. Cheap while the clock stands still.
    pub(crate) fn on_clock(&mut self, stats: &mut Stats, now: Instant, time: LamportTime) -> Option<Instant> {
        if !self.enabled || !self.is_behind(time) {
            return None;
        }
        if now < self.clock_due {
            return Some(self.clock_due);
        }
        self.write_clock(stats, now, time);
        None
    }

    /// We begin to leave.
    pub(crate) fn on_leave(&mut self, stats: &mut Stats) {
        if self.enabled && self.left.is_none() {
            self.left = Some(self.written.member);
            self.push(stats, Record::Leave);
        }
    }

    /// What is to be done with the file next.
    pub(crate) fn poll(&mut self) -> Option<Step> {
        self.waiting.pop_front()
    }

    /// All that a file must hold now: who is there, the times, and the leave if there was one.
    ///
    /// It says the same as all records so far. Only after a leave may the two differ in who is there, which counts
    /// for those alone who rejoin after a leave: the records then stand still, this does not.
    pub(crate) fn records<'a>(&'a self, roster: &'a Roster, members: &'a Records) -> impl Iterator<Item = Record<'a>> {
        let alive = members.iter().filter_map(|(id, record)| match record.status? {
            Status::Alive | Status::Leaving => Some(Record::Alive {
                name: Cow::Borrowed(roster.slot(id).name.as_bytes()),
                address: roster.address(id),
            }),
            Status::Left | Status::Failed => None,
        });
        // Whom the roster knows, it knows better.
        let is_known = |name: &Name| {
            let id = roster.find(name.as_bytes());
            id.is_some_and(|id| members.get(id).status.is_some())
        };
        let unmet = self.unmet.iter().filter(move |(name, _)| !is_known(name));
        let unmet =
            unmet.map(|(name, address)| Record::Alive { name: Cow::Borrowed(name.as_bytes()), address: *address });
        let Clocks { member, event, query } = self.written;
        let before = self.left.unwrap_or(member);
        let clocks = [Record::Clock(before), Record::EventClock(event), Record::QueryClock(query)];
        let leave = self.left.map(|_| Record::Leave);
        let after = (before != member).then_some(Record::Clock(member));
        alive.chain(unmet).filter(Record::is_one_line).chain(clocks).chain(leave).chain(after)
    }

    fn is_behind(&self, time: LamportTime) -> bool {
        last(time) > self.written.member
    }

    fn write_clock(&mut self, stats: &mut Stats, now: Instant, time: LamportTime) {
        if self.is_behind(time) {
            self.written.member = last(time);
            self.clock_due = now + CLOCK_INTERVAL;
            self.push(stats, Record::Clock(last(time)));
        }
    }

    fn push(&mut self, stats: &mut Stats, record: Record<'static>) {
        if !record.is_one_line() {
            return;
        }
        if self.waiting.len() < RECORDS_WAITING_MAX {
            self.waiting.push_back(Step::Append(record));
            return;
        }
        // Without one of them the file would say something that was never true; all of them are in a rewrite.
        let dropped = self.waiting.drain(..).filter(|step| *step != Step::Rewrite).count() as u64 + 1;
        stats.snapshot_records_over_limit += dropped;
        self.waiting.push_back(Step::Rewrite);
    }
}

/// The last time that a clock has seen: it shows the next one.
fn last(time: LamportTime) -> LamportTime {
    LamportTime(time.0.saturating_sub(1))
}

fn split_at_last_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().rposition(|byte| *byte == b' ')?;
    let (before, after) = text.split_at(space);
    Some((before, after.get(1..)?))
}

/// Digits only: `parse` alone would take a sign, which Go does not.
fn parse_time(text: &[u8]) -> Option<LamportTime> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    core::str::from_utf8(digits).ok()?.parse().ok().map(LamportTime)
}

fn write_time(out: &mut Vec<u8>, prefix: &[u8], time: LamportTime) {
    out.extend_from_slice(prefix);
    push_display(out, format_args!("{time}"));
}

fn push_display(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    struct Bytes<'a>(&'a mut Vec<u8>);

    impl Write for Bytes<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    Bytes(out).write_fmt(text).expect("numbers and addresses format, and a Vec takes everything");
}

const ALIVE: &[u8] = b"alive: ";
const NOT_ALIVE: &[u8] = b"not-alive: ";
const CLOCK: &[u8] = b"clock: ";
const EVENT_CLOCK: &[u8] = b"event-clock: ";
const QUERY_CLOCK: &[u8] = b"query-clock: ";
const COORDINATE: &[u8] = b"coordinate: ";
const LEAVE: &[u8] = b"leave";

/// Between two lines of the member clock that no member event brings (Serf: clockUpdateInterval).
const CLOCK_INTERVAL: Duration = Duration::from_millis(500);
/// Records that wait to be taken (Serf: `serf/snapshot.go`, eventChSize; it drops events beyond).
const RECORDS_WAITING_MAX: usize = 2048;
/// Bytes of a bad line that a warning shows: a file that is none of ours may be one long line.
pub(crate) const LINE_SHOWN_MAX: usize = 256;

#[cfg(test)]
mod tests;
