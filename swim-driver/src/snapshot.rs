//! The snapshot file: read at the start, appended to by one plain thread, and written anew when it has grown too large.
//!
//! What stands in it is the node's business ([`swim_core::serf::snapshot`]). Here are the bytes: when they reach the
//! disk, and what happens when they do not. Troubles with the file are logged and never stop the node.

use core::time::Duration;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use event_listener::{Event as Signal, listener};
use swim_core::node::trace::{Sink, Traced};
use swim_core::serf::snapshot::{Record, Step};
use tracing::{debug, error, info, warn};

use crate::shared::lock;

/// An opened snapshot.
pub(crate) struct Opened {
    /// For whoever drives the node.
    pub(crate) file: Arc<SnapshotFile>,
    /// For a thread of its own.
    pub(crate) writer: Writer,
    /// What the file says, for the node.
    pub(crate) records: Vec<Record<'static>>,
}

/// Lines between the node and the thread that writes them. Nothing here waits for the disk, except [`sync`](Self::sync).
///
/// When the disk falls [`LINES_WAITING_MAX`] bytes behind, what waits is dropped and a compaction is wanted, which
/// brings all of it back.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFile {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    synced: Signal,
}

#[derive(Debug, Default)]
struct Waiting {
    /// To be appended.
    lines: Vec<u8>,
    /// To replace the file, before `lines` are appended.
    rewrite: Option<Vec<u8>>,
    /// The writer is replacing the file.
    rewriting: bool,
    /// The file lacks something that only a compaction can bring.
    stale: bool,
    /// When the last compaction was begun.
    attempted: Option<Instant>,
    /// Bytes in the file.
    len: u64,
    /// Bytes in it after the last compaction.
    len_compacted: u64,
    syncs_asked: u64,
    syncs_done: u64,
    /// Nothing more will be added.
    closed: bool,
    /// Nothing more will be written.
    ended: bool,
}

impl SnapshotFile {
    /// Opens or creates the file, reads all of it, and drops a torn last line. Lines that cannot be read are logged and
    /// skipped; they go with the next compaction.
    pub(crate) fn open(path: &Path) -> io::Result<Opened> {
        let mut file = options_for_append().create(true).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        // A compaction must replace the file, not a link to it.
        let path = fs::canonicalize(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if complete < text.len() {
            warn!(path = %path.display(), "the last line of the snapshot is torn, dropped");
            // Completed by a line feed it would be read the next time, with half a number or half an address.
            truncate(&path, complete as u64)?;
            text.truncate(complete);
        }
        let records = parse(&text);
        let waiting = Waiting { len: complete as u64, ..Waiting::default() };
        let shared = Arc::new(Self { waiting: Mutex::new(waiting), ..Self::default() });
        let len = complete as u64;
        let writer = Writer { shared: shared.clone(), file, path, len, torn: false, failing: false };
        Ok(Opened { file: shared, writer, records })
    }

    /// Takes over what the node has to say, and compacts when that is due. To be called under the node's lock, often.
    pub(crate) fn follow<S: Sink>(&self, node: &mut Traced<S>) {
        let (mut lines, mut rewrite, mut left) = (Vec::new(), false, false);
        while let Some(step) = node.poll_record() {
            match step {
                Step::Append(record) => {
                    left |= record == Record::Leave;
                    record.write_line(&mut lines);
                }
                Step::Rewrite => rewrite = true,
            }
        }
        self.append(&lines);
        let summary = node.node().summary();
        if rewrite || self.wants_compaction(summary.members - summary.failed - summary.left) {
            lines.clear();
            node.node().records().for_each(|record| record.write_line(&mut lines));
            self.compact(lines);
        }
        if left {
            self.ask_sync();
        }
    }

    /// Appends whole lines. They reach the file within [`FLUSH_INTERVAL`], and the disk when the system sees fit.
    pub(crate) fn append(&self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let mut waiting = lock(&self.waiting);
        if waiting.closed || waiting.ended {
            return;
        }
        if waiting.lines.len() + lines.len() > LINES_WAITING_MAX {
            if !waiting.stale {
                error!("the snapshot cannot be written as fast as the node works");
            }
            waiting.lines.clear();
            waiting.stale = true;
            return;
        }
        let first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(lines);
        if first {
            self.changed.notify_one();
        }
    }

    /// Whether [`compact`](Self::compact) should be called: the file is too large for `alive` members, or lacks
    /// something. At most every [`RECOVERY_INTERVAL`] while the disk makes trouble.
    pub(crate) fn wants_compaction(&self, alive: usize) -> bool {
        self.wants_compaction_at(Instant::now(), alive)
    }

    fn wants_compaction_at(&self, now: Instant, alive: usize) -> bool {
        let waiting = lock(&self.waiting);
        if waiting.rewrite.is_some() || waiting.rewriting || waiting.closed || waiting.ended {
            return false;
        }
        if waiting.stale {
            return waiting.attempted.is_none_or(|at| now.saturating_duration_since(at) >= RECOVERY_INTERVAL);
        }
        let by_members = (alive as u64).saturating_mul(2 * BYTES_PER_MEMBER);
        // The last bound is for long names: a file that is large when it is fresh must not be written anew each time.
        let max = by_members.max(COMPACT_MIN).max(waiting.len_compacted.saturating_mul(2));
        waiting.len > max
    }

    /// Replaces the file by these lines, all records that there are now. Until that has happened the old file stays.
    pub(crate) fn compact(&self, lines: Vec<u8>) {
        self.compact_at(Instant::now(), lines);
    }

    fn compact_at(&self, now: Instant, lines: Vec<u8>) {
        let mut waiting = lock(&self.waiting);
        if waiting.closed || waiting.ended {
            return;
        }
        if waiting.stale {
            info!("compacting the snapshot to recover from an error");
        }
        waiting.stale = false;
        waiting.attempted = Some(now);
        // What waits in `lines` is part of the rewrite, too. It is kept, should that fail; and it is the end of the
        // story that the rewrite sums up, so telling it again changes nothing.
        waiting.rewrite = Some(lines);
        self.changed.notify_one();
    }

    /// Wants everything so far on the disk; see [`sync`](Self::sync).
    pub(crate) fn ask_sync(&self) -> u64 {
        let mut waiting = lock(&self.waiting);
        waiting.syncs_asked += 1;
        self.changed.notify_one();
        waiting.syncs_asked
    }

    /// Resolves when everything so far is on the disk, or has failed to get there, which is in the log.
    ///
    /// Cancel-safe: it is brought there all the same, as soon as the future has been polled.
    pub(crate) async fn sync(&self) {
        let asked = self.ask_sync();
        loop {
            listener!(self.synced => synced);
            {
                let waiting = lock(&self.waiting);
                if waiting.syncs_done >= asked || waiting.ended {
                    return;
                }
            }
            synced.await;
        }
    }

    /// Nothing more will be added: the writer brings the rest to the disk and ends.
    pub(crate) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.changed.notify_one();
    }
}

/// The end of a [`SnapshotFile`] that touches the disk.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<SnapshotFile>,
    file: File,
    path: PathBuf,
    /// Bytes in whole lines in the file.
    len: u64,
    /// There may be a part of a line after them.
    torn: bool,
    /// The last attempt to append failed: one line in the log per streak is enough.
    failing: bool,
}

/// What the writer takes at once.
struct Work {
    rewrite: Option<Vec<u8>>,
    sync: Option<u64>,
    closed: bool,
}

impl Writer {
    /// Writes until [`SnapshotFile::close`]; for a thread of its own.
    pub(crate) fn run(mut self) {
        let mut lines = Vec::new();
        let mut flushed = None;
        loop {
            let work = self.wait(flushed, &mut lines);
            self.work(&work, &lines);
            flushed = Some(Instant::now());
            if work.closed {
                return;
            }
        }
    }

    /// Waits until something is to be done.
    fn wait(&self, flushed: Option<Instant>, lines: &mut Vec<u8>) -> Work {
        let mut waiting = lock(&self.shared.waiting);
        loop {
            let urgent = waiting.closed || waiting.rewrite.is_some() || waiting.syncs_asked > waiting.syncs_done;
            if urgent {
                break;
            }
            waiting = if waiting.lines.is_empty() {
                self.shared.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner)
            } else {
                let early = flushed.map_or(Duration::ZERO, |at| FLUSH_INTERVAL.saturating_sub(at.elapsed()));
                if early.is_zero() {
                    break;
                }
                self.shared.changed.wait_timeout(waiting, early).unwrap_or_else(PoisonError::into_inner).0
            };
        }
        waiting.take(lines)
    }

    fn work(&mut self, work: &Work, lines: &[u8]) {
        let rewritten = match &work.rewrite {
            Some(rewrite) => self.rewrite(rewrite).map(Some),
            None => Ok(None),
        };
        if let Err(error) = &rewritten {
            error!(path = %self.path.display(), %error, "the snapshot cannot be compacted, later again");
        }
        let appended = self.append(lines);
        if let Err(error) = &appended
            && !self.failing
        {
            error!(path = %self.path.display(), %error, "cannot write the snapshot");
        }
        self.failing = appended.is_err();
        if (work.sync.is_some() || work.closed)
            && let Err(error) = self.file.sync_data()
        {
            error!(path = %self.path.display(), %error, "the snapshot may not be on the disk");
        }

        let mut waiting = lock(&self.shared.waiting);
        waiting.len = self.len;
        waiting.rewriting = false;
        waiting.stale |= rewritten.is_err() || appended.is_err();
        if let Ok(Some(len)) = rewritten {
            waiting.len_compacted = len;
        }
        if let Some(sync) = work.sync {
            waiting.syncs_done = sync;
            self.shared.synced.notify(usize::MAX);
        }
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            truncate(&self.path, self.len)?;
            self.torn = false;
        }
        if lines.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(lines);
        match &written {
            Ok(()) => self.len += lines.len() as u64,
            // A part of them may be there, and the next line must not run into it.
            Err(_) => self.torn = truncate(&self.path, self.len).is_err(),
        }
        written
    }

    /// Puts a new file in the place of the old one, in one step: at any moment a crash leaves the one or the other.
    /// Serf deletes the old one first.
    fn rewrite(&mut self, lines: &[u8]) -> io::Result<u64> {
        let started = Instant::now();
        let mut name = self.path.clone().into_os_string();
        name.push(".compact");
        let beside = PathBuf::from(name);
        // There may be one left over from a crash; or somebody's link, whose target must not be written to.
        let _ = fs::remove_file(&beside);
        let mut file = options_for_append().create_new(true).open(&beside)?;
        let written = self.fill(&mut file, lines).and_then(|()| fs::rename(&beside, &self.path));
        if let Err(error) = written {
            // Half a file is of no use to anybody, and on a full disk it is in the way.
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
        sync_directory(&self.path);
        let len = lines.len() as u64;
        (self.file, self.len, self.torn) = (file, len, false);
        debug!(len, elapsed = ?started.elapsed(), "snapshot compacted");
        Ok(len)
    }

    /// Brings `lines` to the disk in a file that is closed to whom the present one is closed to.
    fn fill(&self, file: &mut File, lines: &[u8]) -> io::Result<()> {
        if let Ok(metadata) = self.file.metadata() {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(lines)?;
        file.sync_all()
    }
}

impl Drop for Writer {
    /// However it ends: who waits for the disk must not wait for ever.
    fn drop(&mut self) {
        lock(&self.shared.waiting).ended = true;
        self.shared.synced.notify(usize::MAX);
    }
}

impl Waiting {
    /// Takes all there is to do; the lines replace what `lines` held, so that both buffers keep their capacity.
    fn take(&mut self, lines: &mut Vec<u8>) -> Work {
        lines.clear();
        core::mem::swap(lines, &mut self.lines);
        let rewrite = self.rewrite.take();
        self.rewriting = rewrite.is_some();
        let sync = (self.syncs_asked > self.syncs_done).then_some(self.syncs_asked);
        Work { rewrite, sync, closed: self.closed }
    }
}

fn parse(text: &[u8]) -> Vec<Record<'static>> {
    let (mut records, mut bad) = (Vec::new(), 0);
    for line in text.split(|byte| *byte == b'\n') {
        match Record::parse_line(line) {
            Ok(record) => records.extend(record.map(Record::into_owned)),
            Err(error) => {
                bad += 1;
                if bad <= WARNINGS_MAX {
                    warn!("{error}");
                }
            }
        }
    }
    if bad > WARNINGS_MAX {
        warn!(lines = bad, "most of the bad lines in the snapshot are not shown");
    }
    records
}

fn options_for_append() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    options
}

/// Not through the handle that appends: on Windows such a one may not shorten the file.
fn truncate(path: &Path, len: u64) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_len(len)
}

/// Brings the new name to the disk. Should that fail, a crash soon after may bring the old file back, which is as good.
fn sync_directory(path: &Path) {
    #[cfg(unix)]
    {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Err(error) = File::open(directory).and_then(|directory| directory.sync_all()) {
            debug!(%error, "the directory of the snapshot cannot be synced");
        }
    }
    #[cfg(not(unix))]
    let _no_such_thing = path;
}

/// Lines are written at most so often, unless somebody waits for them (Serf: flushInterval).
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// Time between two attempts to repair the file (Serf: snapshotErrorRecoveryInterval).
const RECOVERY_INTERVAL: Duration = Duration::from_secs(30);
/// A file may always grow to this many bytes (as in Serf).
const COMPACT_MIN: u64 = 128 << 10;
/// What a member takes in the file, generously (Serf: snapshotBytesPerNode). Twice that may be there.
const BYTES_PER_MEMBER: u64 = 128;
/// In bytes: the joins of some 50 000 members.
const LINES_WAITING_MAX: usize = 4 << 20;
/// Bad lines that are logged one by one.
const WARNINGS_MAX: usize = 20;

#[cfg(test)]
mod tests;
