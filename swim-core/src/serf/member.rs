//! Members as Serf sees them: statuses outlive SWIM's states, because a failed member is remembered for a day.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::ids::{Incarnation, LamportTime, MemberId, Name};
use crate::log::log;
use crate::roster::{Holder, Roster, push_tight};
use crate::serf::Serf;
use crate::serf::event::{Event, MemberEvent};
use crate::serf::intent::Intent;
use crate::serf::tags::{self, Tags};
use crate::swim::Swim;
use crate::time::Instant;
use crate::versions::Versions;
use crate::wire::message::State;

/// What Serf says of a member (Serf: `serf/serf.go`, MemberStatus). See [`Member::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// There.
    Alive = 1,
    /// Has announced that it will leave.
    Leaving = 2,
    /// Has left, or was made to.
    Left = 3,
    /// Stopped answering.
    Failed = 4,
}

impl Status {
    /// Neither failed nor gone.
    pub(crate) fn is_there(self) -> bool {
        match self {
            Self::Alive | Self::Leaving => true,
            Self::Left | Self::Failed => false,
        }
    }

    /// Serf's word for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::member::Status;
    ///
    /// assert_eq!(Status::Leaving.as_str(), "leaving");
    /// assert_eq!(format!("{:>8}", Status::Left.as_str()), "    left");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A member as it was at one moment, on its own. See [`Member::to_info`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Any bytes.
    pub name: Name,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Serf's view.
    pub status: Status,
    /// SWIM's view; `None` once SWIM has forgotten it.
    pub state: Option<State>,
    /// Its own version number, [`Incarnation::NONE`] once SWIM has forgotten it.
    pub incarnation: Incarnation,
    /// Member clock of the last intent about it.
    pub status_time: LamportTime,
    /// Tags, encoded.
    pub meta: Box<[u8]>,
    /// What it understands.
    pub versions: Versions,
}

impl MemberInfo {
    /// Its tags, decoded.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, a, b) = two_with(|config| config.tags.insert("role", "web"));
    /// let info = a.member(b"b").expect("they have met").to_info();
    /// assert_eq!(info.tags().iter().collect::<Vec<_>>(), [("role", "web")]);
    /// ```
    pub fn tags(&self) -> Tags {
        Tags::decode(&self.meta)
    }

    /// One of them, without decoding the others into anything; `None` when it is not set.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, a, b) = two_with(|config| config.tags.insert("role", "web"));
    /// let info = a.member(b"b").expect("they have met").to_info();
    /// assert_eq!(info.tag("role").as_deref(), Some("web"));
    /// assert_eq!(info.tag("dc"), None);
    /// ```
    pub fn tag(&self, key: &str) -> Option<alloc::borrow::Cow<'_, str>> {
        tags::tag(&self.meta, key)
    }
}

/// Serf's records by slot, and the lists of those that failed and those that left.
#[derive(Debug, Default)]
pub(crate) struct Records {
    records: Vec<Record>,
    failed: Vec<MemberId>,
    left: Vec<MemberId>,
    len: usize,
}

/// What Serf knows of one member.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    /// `None`: Serf does not know this slot.
    pub(crate) status: Option<Status>,
    /// Member clock of the last accepted intent.
    pub(crate) status_time: LamportTime,
    /// When it failed or left.
    pub(crate) leave_time: Instant,
    /// Index in `failed` or in `left`, by the status.
    place: u32,
}

impl Records {
    pub(crate) fn get(&self, id: MemberId) -> Record {
        self.records.get(id.index()).copied().unwrap_or_default()
    }

    /// Takes in a member, or changes the status of one, and keeps the lists.
    pub(crate) fn set_status(&mut self, id: MemberId, status: Status) {
        while self.records.len() <= id.index() {
            push_tight(&mut self.records, Record::default());
        }
        let before = self.records[id.index()].status;
        if before == Some(status) {
            return;
        }
        self.delist(id);
        self.len += usize::from(before.is_none());
        self.records[id.index()].status = Some(status);
        if let Some(list) = list_mut(&mut self.failed, &mut self.left, status) {
            self.records[id.index()].place = list.len() as u32;
            list.push(id);
        }
    }

    pub(crate) fn set_status_time(&mut self, id: MemberId, time: LamportTime) {
        self.records[id.index()].status_time = time;
    }

    pub(crate) fn set_leave_time(&mut self, id: MemberId, time: Instant) {
        self.records[id.index()].leave_time = time;
    }

    pub(crate) fn remove(&mut self, id: MemberId) {
        if self.get(id).status.is_some() {
            self.delist(id);
            self.records[id.index()] = Record::default();
            self.len -= 1;
        }
    }

    /// Members in any status.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn failed(&self) -> &[MemberId] {
        &self.failed
    }

    pub(crate) fn left(&self) -> &[MemberId] {
        &self.left
    }

    /// Everybody, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MemberId, Record)> {
        let known = self.records.iter().enumerate().filter(|(_, record)| record.status.is_some());
        known.map(|(index, record)| (MemberId(index as u32), *record))
    }

    fn delist(&mut self, id: MemberId) {
        let Record { status: Some(status), place, .. } = self.records[id.index()] else { return };
        if let Some(list) = list_mut(&mut self.failed, &mut self.left, status) {
            list.swap_remove(place as usize);
            if let Some(moved) = list.get(place as usize) {
                self.records[moved.index()].place = place;
            }
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn check(&self) {
        for (list, status) in [(&self.failed, Status::Failed), (&self.left, Status::Left)] {
            for (place, id) in list.iter().enumerate() {
                assert_eq!(self.get(*id).status, Some(status), "{id:?} is in the right list");
                assert_eq!(self.get(*id).place as usize, place, "{id:?} knows its place");
            }
            assert_eq!(self.iter().filter(|(_, record)| record.status == Some(status)).count(), list.len());
        }
        assert_eq!(self.iter().count(), self.len);
    }
}

fn list_mut<'a>(
    failed: &'a mut Vec<MemberId>,
    left: &'a mut Vec<MemberId>,
    status: Status,
) -> Option<&'a mut Vec<MemberId>> {
    match status {
        Status::Failed => Some(failed),
        Status::Left => Some(left),
        Status::Alive | Status::Leaving => None,
    }
}

/// Membership changes, as Serf takes them (serf-layer.md 6.2).
impl Serf {
    pub(super) fn on_joined(&mut self, cx: &mut Cx<'_>, swim: &Swim, id: MemberId) {
        let record = self.records.get(id);
        match record.status {
            None => {
                cx.roster.hold(id, Holder::Serf);
                self.records.set_status(id, Status::Alive);
                if let Some((intent, time)) = self.recent_intents.about(cx.roster.slot(id).name.as_bytes()) {
                    self.records.set_status_time(id, time);
                    if intent == Intent::Leave {
                        self.records.set_status(id, Status::Leaving);
                    }
                }
            }
            Some(status) => {
                if status == Status::Failed && cx.now - record.leave_time < self.config.flap_timeout {
                    cx.stats.member_flaps += 1;
                }
                self.records.set_status(id, Status::Alive);
            }
        }
        cx.stats.member_joins += 1;
        self.heal_joined(cx, id);
        self.tell(cx, swim, MemberEvent::Join, id);
    }

    pub(super) fn on_updated(&mut self, cx: &mut Cx<'_>, swim: &Swim, id: MemberId) {
        if self.records.get(id).status.is_some() {
            cx.stats.member_updates += 1;
            self.tell(cx, swim, MemberEvent::Update, id);
        }
    }

    /// SWIM says dead or left; which of the two it is for Serf depends on whether the member had said it would leave.
    pub(super) fn on_departed(&mut self, cx: &mut Cx<'_>, swim: &Swim, id: MemberId) {
        let (status, event) = match self.records.get(id).status {
            Some(Status::Leaving) => (Status::Left, MemberEvent::Leave),
            Some(Status::Alive) => (Status::Failed, MemberEvent::Failed),
            Some(Status::Left | Status::Failed) | None => return,
        };
        match status {
            Status::Left => cx.stats.member_leaves += 1,
            Status::Failed | Status::Alive | Status::Leaving => cx.stats.member_failures += 1,
        }
        self.records.set_status(id, status);
        self.records.set_leave_time(id, cx.now);
        self.heal_departed(cx, id);
        self.tell(cx, swim, event, id);
    }

    pub(super) fn tell(&mut self, cx: &mut Cx<'_>, swim: &Swim, kind: MemberEvent, id: MemberId) {
        log_event(kind, &cx.roster.slot(id).name, cx.roster.address(id));
        self.announce(cx, swim, kind, id);
    }

    /// The same, of what somebody else wanted to become of the member.
    pub(super) fn tell_forced(&mut self, cx: &mut Cx<'_>, swim: &Swim, kind: MemberEvent, id: MemberId) {
        log_forced_event(kind, &cx.roster.slot(id).name, cx.roster.address(id));
        self.announce(cx, swim, kind, id);
    }

    fn announce(&mut self, cx: &mut Cx<'_>, swim: &Swim, kind: MemberEvent, id: MemberId) {
        let Self { events, records, member_coalescer, snapshot, clock, .. } = self;
        let slot = cx.roster.slot(id);
        // Before anything is held back: the file is to know what happened, not when it was told.
        snapshot.on_member(cx.stats, cx.now, kind, &slot.name, cx.roster.address(id), clock.time());
        let info = |roster: &Roster| Member { id, roster, swim, records }.to_info();
        if member_coalescer.is_on() {
            let member = info(cx.roster);
            member_coalescer.hold(cx, events, id, kind, member);
            return;
        }
        let Cx { stats, roster, .. } = cx;
        events.push(stats, || Event::Member { kind, member: info(roster) });
    }
}

/// At once, too, whatever the application wants to hear later.
fn log_event(kind: MemberEvent, name: &Name, address: SocketAddr) {
    let ip = address.ip();
    match kind {
        MemberEvent::Join => log!(INFO, "member_join", member = name, ip = ip),
        MemberEvent::Leave => log!(INFO, "member_leave", member = name, ip = ip),
        MemberEvent::Failed => log!(INFO, "member_failed", member = name, ip = ip),
        MemberEvent::Update => log!(INFO, "member_update", member = name, ip = ip),
        MemberEvent::Reap => log!(INFO, "member_reap", member = name, ip = ip),
    }
}

fn log_forced_event(kind: MemberEvent, name: &Name, address: SocketAddr) {
    match kind {
        MemberEvent::Leave => log!(INFO, "member_leave_forced", member = name, ip = address.ip()),
        MemberEvent::Reap => log!(INFO, "member_reap_forced", member = name, ip = address.ip()),
        // Nobody can be made to do these.
        MemberEvent::Join | MemberEvent::Failed | MemberEvent::Update => log_event(kind, name, address),
    }
}

/// A view of one member, as it is now. Costs nothing to make; decodes nothing until asked. See
/// [`Node::members`](crate::Node::members).
#[derive(Clone, Copy)]
pub struct Member<'a> {
    pub(crate) id: MemberId,
    pub(crate) roster: &'a Roster,
    pub(crate) swim: &'a Swim,
    pub(crate) records: &'a Records,
}

impl<'a> Member<'a> {
    /// Its name: any bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// let mut names: Vec<_> = a.members().map(|member| member.name().to_string()).collect();
    /// names.sort();
    /// assert_eq!(names, ["a", "b"]);
    /// ```
    pub fn name(self) -> &'a Name {
        &self.roster.slot(self.id).name
    }

    /// Where it is reached, by datagram and by stream.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// let member = a.member(b"b").expect("they have met");
    /// assert_eq!(member.address(), "127.0.0.1:7947".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn address(self) -> SocketAddr {
        self.roster.address(self.id)
    }

    /// Serf's view of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::member::Status;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// # run(&mut now, [&mut a], 60);
    ///
    /// // b has not answered for a minute.
    /// assert_eq!(a.member(b"b").expect("remembered for a day").status(), Status::Failed);
    /// ```
    pub fn status(self) -> Status {
        self.records.get(self.id).status.unwrap_or(Status::Failed)
    }

    /// SWIM's view of it; `None` once SWIM has forgotten it, which it does with the dead long before Serf.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::message::State;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// assert_eq!(a.member(b"b").and_then(|member| member.state()), Some(State::Alive));
    /// # run(&mut now, [&mut a], 600);
    /// // Dead for ten minutes:
    /// let member = a.member(b"b").expect("Serf remembers it for a day");
    /// assert_eq!(member.state(), None);
    /// ```
    pub fn state(self) -> Option<State> {
        self.swim.state(self.id)
    }

    /// Its own version number; [`Incarnation::NONE`] once SWIM has forgotten it.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::tags::Tags;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let before = a.local().incarnation();
    /// a.set_tags(now, &Tags::from_iter([("role", "web")]))?;
    /// assert_eq!(a.local().incarnation(), before.next());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn incarnation(self) -> Incarnation {
        self.swim.incarnation(self.id)
    }

    /// Member clock of the last intent about it.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// let joined = b.local().status_time();
    /// b.leave(now);
    /// assert!(b.local().status_time() > joined);
    /// ```
    pub fn status_time(self) -> LamportTime {
        self.records.get(self.id).status_time
    }

    /// Its tags, encoded.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::tags::{self, Tags};
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// a.set_tags(now, &Tags::from_iter([("role", "web")]))?;
    /// // Any number of members can be looked through without an allocation.
    /// assert_eq!(tags::tag(a.local().meta(), "role").as_deref(), Some("web"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn meta(self) -> &'a [u8] {
        &self.roster.slot(self.id).meta
    }

    /// Its tags, decoded. Allocates.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (now, a, b) = two_with(|config| config.tags.insert("role", "web"));
    /// let tags = a.member(b"b").expect("they have met").tags();
    /// assert_eq!(tags.get("role"), Some("web"));
    /// ```
    pub fn tags(self) -> Tags {
        Tags::decode(self.meta())
    }

    /// What it understands; all zero if it never said.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// let versions = a.member(b"b").expect("they have met").versions();
    /// assert_eq!((versions.protocol.min, versions.protocol.max), (1, 5));
    /// assert_eq!(versions.application.current, a.config().serf.protocol);
    /// ```
    pub fn versions(self) -> Versions {
        self.roster.versions(self.id)
    }

    /// All of this, on its own. Allocates.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::member::Status;
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    ///
    /// let info = a.member(b"b").expect("they have met").to_info();
    /// // It can be kept, and sent to another thread, while the node goes on.
    /// a.force_leave(now, b"b", false);
    /// assert_eq!(info.status, Status::Alive);
    /// ```
    pub fn to_info(self) -> MemberInfo {
        MemberInfo {
            name: self.name().clone(),
            address: self.address(),
            status: self.status(),
            state: self.state(),
            incarnation: self.incarnation(),
            status_time: self.status_time(),
            meta: self.meta().into(),
            versions: self.versions(),
        }
    }
}

impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name(), self.address(), self.status())
    }
}
