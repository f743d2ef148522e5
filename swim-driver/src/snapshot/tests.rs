use core::fmt::Debug;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use futures_lite::future::{block_on, poll_once};
use swim_core::serf::snapshot::Restored;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::with_default;
use tracing::{Event, Metadata, Subscriber, span};

use super::*;

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("swim-snapshot-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A file that holds `text`.
    fn with(text: &[u8]) -> Self {
        let directory = Self::new();
        fs::write(directory.file(), text).unwrap();
        directory
    }

    fn file(&self) -> PathBuf {
        self.0.join("snapshot")
    }

    fn beside(&self) -> PathBuf {
        self.0.join("snapshot.compact")
    }

    fn text(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    fn open(&self) -> Opened {
        SnapshotFile::open(&self.file()).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Closes the file when the test is over, also when it fails.
struct Running(Arc<SnapshotFile>, Option<JoinHandle<()>>);

impl Running {
    fn new(opened: Opened) -> Self {
        let Opened { file, writer, .. } = opened;
        Self(file, Some(thread::spawn(move || writer.run())))
    }

    fn sync(&self) {
        block_on(self.0.sync());
    }

    fn close(&mut self) {
        self.0.close();
        self.1.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What is logged, a line of fields each.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        lock(&self.0).push(line.0.join(" "));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line(Vec<String>);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = if field.name() == "message" { String::new() } else { format!("{}=", field.name()) };
        self.0.push(format!("{name}{value:?}"));
    }
}

fn replay(records: &[Record<'_>], rejoin_after_leave: bool) -> Restored {
    let mut restored = Restored::default();
    records.iter().for_each(|record| restored.apply(record, rejoin_after_leave));
    restored
}

fn alive(name: &str) -> Record<'static> {
    Record::Alive { name: name.as_bytes().to_vec().into(), address: ([127, 0, 0, 1], 7946).into() }
}

fn lines(records: &[Record<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    records.iter().for_each(|record| record.write_line(&mut out));
    out
}

/// A file that serf 0.9.4 wrote. JSON escapes nothing in it but line feeds.
fn captured(moment: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../swim-core/tests/vectors/serf/snapshot.json");
    let json = fs::read_to_string(path).unwrap();
    let (_, text) = json.split_once(&format!("\"{moment}\": \"")).unwrap();
    let (text, _) = text.split_once('"').unwrap();
    text.replace("\\n", "\n").into_bytes()
}

#[test]
fn a_new_file_is_empty_and_gets_what_is_appended() {
    let directory = Directory::new();
    let opened = directory.open();
    assert_eq!(opened.records, []);
    let mut running = Running::new(opened);
    running.0.append(b"alive: a 127.0.0.1:7946\n");
    running.sync();
    assert_eq!(directory.text(), b"alive: a 127.0.0.1:7946\n");
    running.0.append(b"clock: 1\n");
    running.0.append(b"clock: 2\n");
    running.close();
    running.0.append(b"too late\n");
    running.0.compact(b"too late\n".to_vec());
    running.sync();
    assert_eq!(directory.text(), b"alive: a 127.0.0.1:7946\nclock: 1\nclock: 2\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(directory.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o644, 0, "{mode:o}, whatever the umask took away");
    }
    assert_eq!(directory.open().records.len(), 3);
}

#[test]
fn a_file_of_serf_is_read_and_goes_on() {
    let before = captured("after_kill_and_restart");
    let directory = Directory::with(&before);
    let opened = directory.open();
    let restored = replay(&opened.records, false);
    let names: Vec<_> = restored.alive.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["sa", "sb", "sd"]);
    assert_eq!(restored.clocks.member.0, 3);
    let mut running = Running::new(opened);
    running.0.append(b"leave\nclock: 7\n");
    running.close();
    assert_eq!(directory.text(), [&before[..], b"leave\nclock: 7\n"].concat());
    let records = directory.open().records;
    assert!(replay(&records, false).alive.is_empty());
    assert_eq!(replay(&records, true).alive, restored.alive);
}

/// Half a line says something that was never true, and completed by the next line it would be believed.
#[test]
fn a_torn_last_line_is_dropped() {
    #[rustfmt::skip]
    let table = [
        // in the file                                             is good
        (&b"clock: 5\nalive: b 127.0.0.2:79"[..],                 &b"clock: 5\n"[..]),
        (b"clock: 5\nclock: 1",                                   b"clock: 5\n"),
        (b"clock: 5\n",                                           b"clock: 5\n"),
        (b"clock: 5\n\n# end\n",                                  b"clock: 5\n\n# end\n"),
        (b"leave",                                                b""),
        (b"",                                                     b""),
    ];
    for (text, good) in table {
        let directory = Directory::with(text);
        let opened = directory.open();
        let records = usize::from(!good.is_empty());
        assert_eq!(opened.records, vec![Record::Clock(swim_core::ids::LamportTime(5)); records]);
        let mut running = Running::new(opened);
        running.0.append(b"clock: 6\n");
        running.close();
        assert_eq!(directory.text(), [good, b"clock: 6\n"].concat());
    }
}

#[test]
fn bad_lines_are_skipped() {
    let text = b"alive: nowhere\nclock: many\n\x00\xff\nalive: b 127.0.0.1:7946\n".to_vec();
    let directory = Directory::with(&text);
    assert_eq!(directory.open().records, [alive("b")]);
    assert_eq!(directory.text(), text);
}

#[test]
fn bad_lines_are_shown_up_to_a_limit() {
    for (count, rest) in [(20, None), (21, Some("most of the bad lines in the snapshot are not shown lines=21"))] {
        let text: String = (0..count).map(|n| format!("bad {n}\nclock: {n}\n")).collect();
        let directory = Directory::with(text.as_bytes());
        let log = Log::default();
        let opened = with_default(log.clone(), || directory.open());
        assert_eq!(opened.records.len(), count);
        let mut expected: Vec<_> = (0..20).map(|n| format!("Unrecognized snapshot line: bad {n}")).collect();
        expected.extend(rest.map(str::to_owned));
        assert_eq!(*lock(&log.0), expected);
    }
}

#[test]
fn what_cannot_be_opened() {
    let directory = Directory::with(b"");
    let error = |path: PathBuf| SnapshotFile::open(&path).map(|_| ()).unwrap_err().kind();
    assert_eq!(error(directory.0.join("missing").join("snapshot")), io::ErrorKind::NotFound);
    assert_ne!(error(directory.0.clone()), io::ErrorKind::NotFound, "a directory");
    assert_ne!(error(directory.file().join("snapshot")), io::ErrorKind::NotFound, "in a file");
    #[cfg(unix)]
    assert_eq!(error("/dev/null".into()), io::ErrorKind::InvalidInput, "a compaction would replace it");
}

#[test]
fn compaction_keeps_what_the_file_says() {
    let directory = Directory::new();
    let running = Running::new(directory.open());
    let names: Vec<_> = (0..100).map(|n| format!("member {n}")).collect();
    let all: Vec<_> = names.iter().map(|name| alive(name)).collect();
    for (n, name) in names.iter().enumerate() {
        let name = name.as_bytes().into();
        running.0.append(&lines(&[all[n].clone(), Record::NotAlive { name }, all[n].clone()]));
    }
    running.0.append(b"event-clock: 1\nevent-clock: 2\nclock: 9\nquery-clock: 3\n");
    running.sync();
    let before = directory.open().records;
    let mut after = lines(&all);
    after.extend_from_slice(b"clock: 9\nevent-clock: 2\nquery-clock: 3\n");
    running.0.compact(after.clone());
    running.0.append(b"event-clock: 3\n");
    running.sync();
    assert_eq!(directory.text(), [&after[..], b"event-clock: 3\n"].concat());
    let records = directory.open().records;
    let (last, records) = records.split_last().unwrap();
    assert!(matches!(last, Record::EventClock(time) if time.0 == 3));
    assert_eq!(replay(records, false), replay(&before, false));
    assert!(!directory.beside().exists());
}

#[test]
fn when_compaction_is_wanted() {
    let size = 2 * 128 * 1000;
    #[rustfmt::skip]
    let table = [
        // bytes in file   members   wanted
        (COMPACT_MIN,      3,        false),
        (COMPACT_MIN + 1,  3,        true),
        (size,             1000,     false),
        (size + 1,         1000,     true),
    ];
    for (len, members, wanted) in table {
        let directory = Directory::with(b"#".repeat(len as usize - 1).as_slice());
        let mut file = OpenOptions::new().append(true).open(directory.file()).unwrap();
        file.write_all(b"\n").unwrap();
        let running = Running::new(directory.open());
        assert_eq!(running.0.wants_compaction(members), wanted, "{len} bytes for {members}");
        // As large as before, because it has to be: no reason to do it again until it has doubled.
        running.0.compact(directory.text());
        assert!(!running.0.wants_compaction(members), "not while it runs");
        running.sync();
        running.0.append(b"clock: 1\n");
        running.sync();
        assert!(!running.0.wants_compaction(members));
        running.0.append(&b"#\n".repeat(len as usize));
        running.sync();
        assert!(running.0.wants_compaction(members));
    }
}

/// A crash may have left half a compaction; a link stays a link, and a file that was closed to others stays so.
#[cfg(unix)]
#[test]
fn compaction_replaces_the_file_itself() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Directory::new();
    let real = directory.0.join("real");
    fs::write(&real, b"clock: 1\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&real, directory.file()).unwrap();
    fs::write(directory.0.join("real.compact"), b"half a line of something much longer").unwrap();
    let running = Running::new(directory.open());
    running.0.compact(b"clock: 2\n".to_vec());
    running.sync();
    assert!(fs::symlink_metadata(directory.file()).unwrap().is_symlink());
    assert_eq!(fs::read(&real).unwrap(), b"clock: 2\n");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Where others may make files, one of them may have put a link where the new file is to be.
#[cfg(unix)]
#[test]
fn compaction_does_not_follow_a_link_beside_the_file() {
    let directory = Directory::with(b"clock: 1\n");
    let precious = directory.0.join("precious");
    fs::write(&precious, b"as it was").unwrap();
    std::os::unix::fs::symlink(&precious, directory.beside()).unwrap();
    let running = Running::new(directory.open());
    running.0.compact(b"clock: 2\n".to_vec());
    running.sync();
    assert_eq!(fs::read(&precious).unwrap(), b"as it was");
    assert!(!fs::symlink_metadata(directory.file()).unwrap().is_symlink());
    assert_eq!(directory.text(), b"clock: 2\n");
}

#[cfg(unix)]
#[test]
fn a_failed_compaction_leaves_nothing_beside_the_file() {
    let directory = Directory::with(b"clock: 1\n");
    let running = Running::new(directory.open());
    // Nothing can be renamed to a directory that is not empty.
    fs::remove_file(directory.file()).unwrap();
    fs::create_dir_all(directory.file().join("in the way")).unwrap();
    running.0.compact(b"clock: 2\n".to_vec());
    running.sync();
    assert!(!directory.beside().exists());
}

/// A compaction that fails leaves the old file, loses no line, and is tried again half a minute later.
#[test]
fn a_failed_compaction_changes_nothing() {
    let directory = Directory::with(b"clock: 1\n");
    fs::create_dir(directory.beside()).unwrap();
    let running = Running::new(directory.open());
    let now = Instant::now();
    running.0.append(b"clock: 2\n");
    running.0.compact_at(now, b"clock: 2\n".to_vec());
    running.0.append(b"clock: 3\n");
    running.sync();
    assert_eq!(directory.text(), b"clock: 1\nclock: 2\nclock: 3\n");
    assert!(!running.0.wants_compaction_at(now + RECOVERY_INTERVAL - Duration::from_nanos(1), 1));
    assert!(running.0.wants_compaction_at(now + RECOVERY_INTERVAL, 1));

    fs::remove_dir(directory.beside()).unwrap();
    running.0.compact_at(now + RECOVERY_INTERVAL, b"clock: 3\n".to_vec());
    running.sync();
    assert_eq!(directory.text(), b"clock: 3\n");
    assert!(!running.0.wants_compaction_at(now + 3 * RECOVERY_INTERVAL, 1));
}

/// Lines that cannot be written are lost to the file, until a compaction brings them back; who waits is not kept.
#[test]
fn a_failed_write_wants_a_compaction() {
    let directory = Directory::with(b"clock: 1\n");
    let mut opened = directory.open();
    // May be read only: each write fails.
    opened.writer.file = File::open(directory.file()).unwrap();
    let running = Running::new(opened);
    running.0.append(b"clock: 2\n");
    running.sync();
    assert_eq!(directory.text(), b"clock: 1\n");
    let now = Instant::now();
    assert!(running.0.wants_compaction_at(now, 1), "at once");
    running.0.compact_at(now, b"clock: 2\n".to_vec());
    running.0.append(b"clock: 3\n");
    running.sync();
    assert_eq!(directory.text(), b"clock: 2\nclock: 3\n");
    assert!(!running.0.wants_compaction_at(now, 1));
}

/// What a write left behind before it failed must not run into the next line.
#[test]
fn half_a_write_is_taken_back() {
    let directory = Directory::with(b"clock: 1\n");
    let Opened { mut writer, .. } = directory.open();
    fs::write(directory.file(), b"clock: 1\nclock: 2").unwrap();
    writer.torn = true;
    writer.append(b"clock: 3\n").unwrap();
    assert_eq!(directory.text(), b"clock: 1\nclock: 3\n");
    assert_eq!((writer.len, writer.torn), (18, false));
}

/// As much as the bound says waits for the disk; one byte past it, what waits is dropped and must be brought back.
#[test]
fn a_disk_that_is_too_slow_wants_a_compaction() {
    let directory = Directory::new();
    let Opened { file, writer, .. } = directory.open();
    let line = b"#\n";
    file.append(&line.repeat(LINES_WAITING_MAX / line.len()));
    assert!(!file.wants_compaction(1));
    file.append(line);
    assert!(file.wants_compaction(1));
    file.append(b"clock: 1\n");
    file.compact(b"clock: 1\n".to_vec());
    file.close();
    writer.run();
    assert_eq!(directory.text(), b"clock: 1\nclock: 1\n");
}

#[test]
fn who_waits_for_the_disk_is_told_of_the_end() {
    let directory = Directory::new();
    let Opened { file, writer, .. } = directory.open();
    let mut waiting = Box::pin(file.sync());
    assert!(block_on(poll_once(&mut waiting)).is_none());
    drop(writer);
    block_on(waiting);
    block_on(file.sync());
}
