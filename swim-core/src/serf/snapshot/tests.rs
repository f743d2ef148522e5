use alloc::string::ToString;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::roster::Holder;
use crate::testing::address;

fn name(text: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(text)
}

fn line(record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    record.write_line(&mut out);
    out
}

/// All lines of a file; bad ones are skipped, as a reader does.
fn replay(file: &[u8], rejoin_after_leave: bool) -> Restored {
    let mut restored = Restored::default();
    for line in file.split(|byte| *byte == b'\n') {
        if let Ok(Some(record)) = Record::parse_line(line) {
            restored.apply(&record, rejoin_after_leave);
        }
    }
    restored
}

fn clocks(member: u64, event: u64, query: u64) -> Clocks {
    Clocks { member: LamportTime(member), event: LamportTime(event), query: LamportTime(query) }
}

#[test]
fn lines_and_their_records() {
    let v6 = "[2001:db8::1]:7946".parse().unwrap();
    #[rustfmt::skip]
    let table = [
        (&b"alive: b 127.0.0.2:7946"[..],       Record::Alive { name: name(b"b"), address: address(2) }),
        (b"alive: two words 127.0.0.2:7946",    Record::Alive { name: name(b"two words"), address: address(2) }),
        (b"alive: a  127.0.0.2:7946",           Record::Alive { name: name(b"a "), address: address(2) }),
        (b"alive: \xff 127.0.0.2:7946",         Record::Alive { name: name(b"\xff"), address: address(2) }),
        (b"alive: b [2001:db8::1]:7946",        Record::Alive { name: name(b"b"), address: v6 }),
        (b"not-alive: two words",               Record::NotAlive { name: name(b"two words") }),
        (b"not-alive: b 127.0.0.2:7946",        Record::NotAlive { name: name(b"b 127.0.0.2:7946") }),
        (b"clock: 0",                           Record::Clock(LamportTime(0))),
        (b"clock: 18446744073709551615",        Record::Clock(LamportTime(u64::MAX))),
        (b"event-clock: 7",                     Record::EventClock(LamportTime(7))),
        (b"query-clock: 8",                     Record::QueryClock(LamportTime(8))),
        (b"leave",                              Record::Leave),
    ];
    for (text, record) in table {
        assert_eq!(Record::parse_line(text), Ok(Some(record.clone())), "{record:?}");
        assert_eq!(line(&record), [text, b"\n"].concat());
        assert_eq!(record.clone().into_owned(), record);
    }
}

#[test]
fn lines_that_say_nothing() {
    for text in [&b""[..], b"#", b"# alive: b 127.0.0.2:7946", b"coordinate: {\"Vec\":[0]}"] {
        assert_eq!(Record::parse_line(text), Ok(None), "{}", text.escape_ascii());
    }
}

#[test]
fn bad_lines_are_named_as_in_serf() {
    #[rustfmt::skip]
    let table = [
        (&b"alive: b"[..],                      "Failed to parse address: alive: b"), // no space after the name
        (b"alive: b 127.0.0.2",                 "Failed to parse address: alive: b 127.0.0.2"),
        (b"alive: b 127.0.0.2:65536",           "Failed to parse address: alive: b 127.0.0.2:65536"),
        (b"alive: b ",                          "Failed to parse address: alive: b "),
        (b"alive:  127.0.0.2:7946",             "Member without a name: alive:  127.0.0.2:7946"), // we say it, not Serf
        (b"not-alive: ",                        "Member without a name: not-alive: "),
        (b"clock: ",                            "Failed to convert clock time: "),
        (b"clock: +7",                          "Failed to convert clock time: +7"),
        (b"clock: 18446744073709551616",        "Failed to convert clock time: 18446744073709551616"),
        (b"event-clock: x",                     "Failed to convert event clock time: x"),
        (b"query-clock: 1 ",                    "Failed to convert query clock time: 1 "),
        (b"leave ",                             "Unrecognized snapshot line: leave "),
        (b" leave",                             "Unrecognized snapshot line:  leave"),
        (b"clock:7",                            "Unrecognized snapshot line: clock:7"),
        (b"\x1b[2J\xff",                        "Unrecognized snapshot line: \\u{1b}[2J\\xff"),
    ];
    for (text, says) in table {
        assert_eq!(Record::parse_line(text).unwrap_err().to_string(), says);
    }
    let long = vec![b'x'; 10_000];
    assert!(Record::parse_line(&long).unwrap_err().to_string().len() < 300, "a warning is no place for a whole file");
}

/// Names come from the network: none may bring lines of its own, nor one that is not read again.
#[test]
fn a_name_cannot_write_lines() {
    for evil in [name(b"b\nleave\nalive: c"), name(b"")] {
        assert_eq!(line(&Record::Alive { name: evil.clone(), address: address(2) }), b"");
        assert_eq!(line(&Record::NotAlive { name: evil }), b"");
    }
}

#[test]
fn a_leave_ends_what_stands_before_it() {
    let file = b"alive: b 127.0.0.2:7946\nclock: 5\nevent-clock: 6\nquery-clock: 7\nleave\nclock: 9\n";
    assert_eq!(replay(file, false), Restored { alive: BTreeMap::new(), clocks: clocks(9, 0, 0) });
    let alive = BTreeMap::from([("b".into(), address(2))]);
    assert_eq!(replay(file, true), Restored { alive, clocks: clocks(9, 6, 7) });
    // The last line counts, not the greatest number.
    assert_eq!(replay(b"clock: 9\nclock: 5\n", false).clocks, clocks(5, 0, 0));
}

/// Files that serf 0.9.4 wrote, at four moments of one agent's life.
#[test]
fn files_of_serf() {
    let captured: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/vectors/serf/snapshot.json")).unwrap();
    #[rustfmt::skip]
    let table = [
        ("running",                      false, &[("sa", 81), ("sb", 82), ("sd", 84)][..],         clocks(3, 4, 4)),
        ("after_kill_and_restart",       false, &[("sa", 81), ("sb", 82), ("sd", 84)],             clocks(3, 4, 4)),
        ("after_leave",                  false, &[],                                               clocks(7, 0, 0)),
        ("after_leave",                  true,  &[("sa", 81), ("sb", 82), ("sd", 84), ("se", 85)], clocks(7, 4, 4)),
        ("after_restart_without_rejoin", false, &[("sa", 81)],                                     clocks(7, 0, 0)),
        ("after_restart_without_rejoin", true,  &[("sa", 81), ("sb", 82), ("sd", 84), ("se", 85)], clocks(7, 4, 4)),
    ];
    for (moment, rejoin, alive, clocks) in table {
        let file = captured[moment].as_str().unwrap().as_bytes();
        let alive = alive.iter().map(|(name, n)| (Name::from(*name), ([127, 0, 0, *n], 17953).into())).collect();
        assert_eq!(replay(file, rejoin), Restored { alive, clocks }, "{moment}, rejoin {rejoin}");

        let mut again = Vec::new();
        for line in file.split(|byte| *byte == b'\n') {
            if let Some(record) = Record::parse_line(line).unwrap() {
                record.write_line(&mut again);
            }
        }
        assert_eq!(again, file, "{moment}: byte for byte");
    }
}

/// A log with the tables that it is asked about, and the file that a driver makes of it.
struct Scene {
    log: SnapshotLog,
    roster: Roster,
    members: Records,
    stats: Stats,
    now: Instant,
    time: LamportTime,
    file: Vec<u8>,
}

impl Scene {
    fn new(log: SnapshotLog, file: &[u8]) -> Self {
        Self {
            log,
            roster: Roster::new(1),
            members: Records::default(),
            stats: Stats::default(),
            now: Instant::after_origin(Duration::from_secs(1000)),
            time: LamportTime(1),
            file: file.to_vec(),
        }
    }

    fn on() -> Self {
        Self::new(SnapshotLog::new(true), b"")
    }

    fn after(file: &[u8], rejoin_after_leave: bool) -> Self {
        let restored = replay(file, rejoin_after_leave);
        let mut scene =
            Self { time: LamportTime(restored.clocks.member.0 + 1), ..Self::new(SnapshotLog::new(true), file) };
        scene.log.restore(restored);
        scene
    }

    fn join(&mut self, who: &[u8], n: u8) {
        let id = self.roster.find(who).unwrap_or_else(|| self.roster.admit(who));
        let SocketAddr::V4(at) = address(n) else { unreachable!() };
        let slot = self.roster.slot_mut(id);
        (slot.ip, slot.port) = (Some((*at.ip()).into()), at.port());
        self.members.set_status(id, Status::Alive);
        self.tell(who, MemberEvent::Join);
    }

    fn depart(&mut self, who: &[u8], status: Status) {
        let Some(id) = self.roster.find(who) else { return };
        self.members.set_status(id, status);
        self.tell(who, if status == Status::Left { MemberEvent::Leave } else { MemberEvent::Failed });
    }

    fn reap(&mut self, who: &[u8]) {
        let Some(id) = self.roster.find(who) else { return };
        if matches!(self.members.get(id).status, Some(Status::Failed | Status::Left)) {
            self.tell(who, MemberEvent::Reap);
            self.members.remove(id);
            self.roster.release(id, Holder::Swim);
        }
    }

    fn tell(&mut self, who: &[u8], kind: MemberEvent) {
        let id = self.roster.find(who).unwrap();
        let (name, address) = (self.roster.slot(id).name.clone(), self.roster.address(id));
        self.log.on_member(&mut self.stats, self.now, kind, &name, address, self.time);
    }

    fn clock(&mut self, time: u64) -> Option<Instant> {
        self.time = self.time.max(LamportTime(time));
        self.log.on_clock(&mut self.stats, self.now, self.time)
    }

    fn all(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.log.records(&self.roster, &self.members).for_each(|record| record.write_line(&mut out));
        out
    }

    /// One step, as a driver does it.
    fn step(&mut self) -> bool {
        match self.log.poll() {
            Some(Step::Append(record)) => record.write_line(&mut self.file),
            Some(Step::Rewrite) => self.file = self.all(),
            None => return false,
        }
        true
    }

    /// What has been written since.
    fn written(&mut self) -> Vec<u8> {
        self.file.clear();
        while self.step() {}
        self.file.clone()
    }
}

#[test]
fn what_is_written() {
    let mut scene = Scene::on();
    scene.join(b"a", 1);
    assert_eq!(scene.written(), b"alive: a 127.0.0.1:7946\n");
    scene.time = LamportTime(2);
    scene.join(b"b", 2);
    assert_eq!(scene.written(), b"alive: b 127.0.0.2:7946\nclock: 1\n", "with the member, however soon");
    scene.time = LamportTime(3);
    scene.tell(b"b", MemberEvent::Update);
    assert_eq!(scene.written(), b"clock: 2\n", "an update writes no member");
    scene.depart(b"b", Status::Failed);
    scene.depart(b"b", Status::Left);
    assert_eq!(scene.written(), b"not-alive: b\nnot-alive: b\n");
    scene.reap(b"b");
    assert_eq!(scene.written(), b"");
    for time in [3, 3, 2, 4] {
        scene.log.on_user_event(&mut scene.stats, LamportTime(time));
        scene.log.on_query(&mut scene.stats, LamportTime(time + 1));
    }
    assert_eq!(
        scene.written(),
        b"event-clock: 3\nquery-clock: 4\nevent-clock: 4\nquery-clock: 5\n",
        "only what is later"
    );
    scene.join(b"c\nleave", 3);
    assert_eq!(scene.written(), b"");
    assert_eq!(scene.all(), b"alive: a 127.0.0.1:7946\nclock: 2\nevent-clock: 4\nquery-clock: 5\n");
}

#[test]
fn the_clock_alone_is_written_twice_a_second() {
    let mut scene = Scene::on();
    assert_eq!(scene.clock(1), None, "nothing has been seen yet");
    assert_eq!(scene.clock(2), None);
    assert_eq!(scene.written(), b"clock: 1\n");
    let due = scene.now + Duration::from_millis(500);
    assert_eq!(scene.clock(2), None, "it stands still");
    assert_eq!(scene.clock(3), Some(due));
    assert_eq!(scene.clock(7), Some(due));
    assert_eq!(scene.written(), b"");
    scene.now = due;
    assert_eq!(scene.clock(7), None);
    assert_eq!(scene.written(), b"clock: 6\n");
}

#[test]
fn after_a_leave_only_the_clock_goes_on() {
    let mut scene = Scene::on();
    scene.join(b"a", 1);
    scene.clock(7);
    scene.log.on_user_event(&mut scene.stats, LamportTime(4));
    scene.written();
    scene.log.on_leave(&mut scene.stats);
    scene.log.on_leave(&mut scene.stats);
    scene.join(b"b", 2);
    scene.log.on_user_event(&mut scene.stats, LamportTime(5));
    scene.log.on_query(&mut scene.stats, LamportTime(5));
    scene.now += CLOCK_INTERVAL;
    scene.clock(8);
    assert_eq!(scene.written(), b"leave\nclock: 7\n");
    scene.depart(b"b", Status::Failed);
    let all = b"alive: a 127.0.0.1:7946\nclock: 6\nevent-clock: 4\nquery-clock: 0\nleave\nclock: 7\n";
    assert_eq!(scene.all(), all, "the leave survives a rewrite");
}

#[test]
fn off_it_does_nothing() {
    let mut scene = Scene::new(SnapshotLog::new(false), b"");
    scene.log.restore(replay(b"alive: z 127.0.0.9:7946\n", false));
    scene.join(b"a", 1);
    scene.log.on_user_event(&mut scene.stats, LamportTime(4));
    scene.log.on_query(&mut scene.stats, LamportTime(4));
    scene.log.on_leave(&mut scene.stats);
    assert_eq!(scene.clock(9), None);
    assert_eq!(scene.log.poll(), None);
    assert!(scene.log.unmet.is_empty());
}

/// As many as the bound says wait; one past it, all are counted and replaced by a rewrite.
#[test]
fn an_overflow_asks_for_a_rewrite() {
    let mut scene = Scene::on();
    for time in 1..=RECORDS_WAITING_MAX as u64 {
        scene.log.on_user_event(&mut scene.stats, LamportTime(time));
    }
    assert_eq!((scene.log.waiting.len(), scene.stats.snapshot_records_over_limit), (RECORDS_WAITING_MAX, 0));
    scene.join(b"a", 1);
    assert_eq!(scene.stats.snapshot_records_over_limit, RECORDS_WAITING_MAX as u64 + 1);
    scene.join(b"b", 2);
    let joined = Record::Alive { name: name(b"b"), address: address(2) };
    assert_eq!(scene.log.waiting, [Step::Rewrite, Step::Append(joined)]);
    for time in 1..=RECORDS_WAITING_MAX as u64 {
        scene.log.on_query(&mut scene.stats, LamportTime(time));
    }
    // The bound counts the rewrite, too: of these, the last two came in when all was dropped again and after it.
    assert_eq!(
        scene.log.waiting,
        [Step::Rewrite, Step::Append(Record::QueryClock(LamportTime(RECORDS_WAITING_MAX as u64)))]
    );
    assert_eq!(scene.stats.snapshot_records_over_limit, 2 * RECORDS_WAITING_MAX as u64 + 1);
    let max = RECORDS_WAITING_MAX;
    let expected = alloc::format!(
        "alive: a 127.0.0.1:7946\nalive: b 127.0.0.2:7946\nclock: 0\nevent-clock: {max}\nquery-clock: {max}\nquery-clock: {max}\n"
    );
    assert_eq!(scene.written(), expected.as_bytes());
}

/// A rewrite before anybody was met again must not lose those whom we would rejoin.
#[test]
fn members_of_the_last_run_stay_until_they_are_met() {
    let file = b"alive: me 127.0.0.1:7946\nalive: b 127.0.0.2:7946\nalive: c 127.0.0.3:7946\nclock: 5\n";
    let mut scene = Scene::after(file, false);
    scene.join(b"me", 9);
    let rest = "clock: 5\nevent-clock: 0\nquery-clock: 0\n";
    let all = "alive: me 127.0.0.9:7946\nalive: b 127.0.0.2:7946\nalive: c 127.0.0.3:7946\n";
    assert_eq!(scene.all(), [all, rest].concat().as_bytes());
    scene.join(b"b", 2);
    scene.depart(b"b", Status::Failed);
    assert_eq!(scene.all(), ["alive: me 127.0.0.9:7946\nalive: c 127.0.0.3:7946\n", rest].concat().as_bytes());
    scene.reap(b"b");
    assert_eq!(scene.all(), ["alive: me 127.0.0.9:7946\nalive: c 127.0.0.3:7946\n", rest].concat().as_bytes());
}

/// The local member joins while the node is made, before the snapshot is handed in.
#[test]
fn whom_the_roster_knows_is_not_of_the_last_run() {
    let mut scene = Scene::on();
    scene.join(b"me", 9);
    scene.log.restore(replay(b"alive: me 127.0.0.1:7946\n", false));
    let all = b"alive: me 127.0.0.9:7946\nclock: 0\nevent-clock: 0\nquery-clock: 0\n";
    assert_eq!(scene.all(), all);
}

const NAMES: [&[u8]; 6] = [b"a", b"two words", b"\xff\xfe", b"", b"evil\nclock: 99", b"alive: 127.0.0.1:1"];

fn record() -> impl Strategy<Value = Record<'static>> {
    let name = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Cow::Owned);
    let address = any::<(core::net::IpAddr, u16)>().prop_map(SocketAddr::from);
    let time = || any::<u64>().prop_map(LamportTime);
    prop_oneof![
        (name(), address).prop_map(|(name, address)| Record::Alive { name, address }),
        name().prop_map(|name| Record::NotAlive { name }),
        time().prop_map(Record::Clock),
        time().prop_map(Record::EventClock),
        time().prop_map(Record::QueryClock),
        Just(Record::Leave),
    ]
}

proptest! {
    /// A record comes back from its line, which is one line; or there is none, and a name is the reason.
    #[test]
    fn records_come_back(record in record()) {
        let written = line(&record);
        match written.split_last() {
            Some((end, text)) => {
                prop_assert_eq!(*end, b'\n');
                prop_assert!(!text.contains(&b'\n'));
                prop_assert_eq!(Record::parse_line(text), Ok(Some(record)));
            }
            None => prop_assert!(!record.is_one_line()),
        }
    }

    /// Whatever a line holds, it is read or refused.
    #[test]
    fn any_line_is_survived(prefix in 0usize..7, rest in prop::collection::vec(any::<u8>(), 0..60)) {
        let prefixes = [ALIVE, NOT_ALIVE, CLOCK, EVENT_CLOCK, QUERY_CLOCK, LEAVE, b""];
        if let Err(error) = Record::parse_line(&[prefixes[prefix], &rest].concat()) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    /// At any moment a rewrite says the same as the file that has grown so far, whatever happened, also over a restart
    /// and when records were dropped. After a leave this holds for those who do not rejoin.
    #[test]
    fn a_rewrite_says_the_same_as_the_records(
        before in prop::collection::vec(record(), 0..10),
        rejoin in any::<bool>(),
        ops in prop::collection::vec((0u8..10, 0usize..6, 1u64..50), 0..60),
    ) {
        let mut file = Vec::new();
        // Clocks at the end of their range stand still, and then there is nothing to tell.
        before.iter().filter(|record| **record != Record::Clock(LamportTime(u64::MAX))).for_each(|record| record.write_line(&mut file));
        let mut scene = Scene::after(&file, rejoin);
        let mut left = false;
        for (op, who, time) in ops {
            let (name, n) = (NAMES[who], time as u8);
            match op {
                0 | 1 => scene.join(name, n),
                2 => scene.depart(name, Status::Failed),
                3 => scene.depart(name, Status::Left),
                4 => scene.reap(name),
                5 => scene.log.on_user_event(&mut scene.stats, LamportTime(time)),
                6 => scene.log.on_query(&mut scene.stats, LamportTime(time)),
                7 => {
                    scene.now += Duration::from_millis(time * 20);
                    scene.clock(time);
                }
                8 if time == 1 => {
                    scene.log.on_leave(&mut scene.stats);
                    left = true;
                }
                8 if time == 2 => {
                    // As if the queue had overflowed.
                    scene.log.waiting.clear();
                    scene.log.waiting.push_back(Step::Rewrite);
                }
                _ => {
                    scene.step();
                }
            }
        }
        let rewritten = scene.all();
        // A rewrite may also be followed by what waited when it was made.
        let mut followed = rewritten.clone();
        for step in scene.log.waiting.clone() {
            if let Step::Append(record) = step {
                record.write_line(&mut followed);
            }
        }
        while scene.step() {}
        if !(left && rejoin) {
            prop_assert_eq!(replay(&scene.file, rejoin), replay(&rewritten, rejoin));
            prop_assert_eq!(replay(&scene.file, rejoin), replay(&followed, rejoin));
        }
    }
}
