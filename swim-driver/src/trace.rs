//! The files that a node's inputs are recorded into.

use core::time::Duration;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use swim_core::node::trace::Sink;
use tracing::{error, warn};

use crate::shared::lock;

/// Where the inputs of a node are recorded, so that its life can be replayed bit for bit
/// ([`Replay`](swim_core::node::trace::Replay), `swim-sim replay`).
///
/// A trace is replayed from its first byte, so its beginning is never thrown away: a full file is followed by another
/// one, `path` by `path.1`, that by `path.2`; and when all of them have reached [`bytes_max`](Self::bytes_max), the
/// trace ends, with a warning in the log. What it has up to there can be replayed. It is written every five seconds and at
/// the end, so that recording costs next to nothing; of a process that is killed, the last seconds are missing.
///
/// ```
/// use swim_tokio::{Cluster, Options, TraceOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = std::env::temp_dir().join(format!("swim-doc-trace-{}", std::process::id()));
/// # let _ = std::fs::remove_file(&path);
/// let mut options = Options::lan("a", "127.0.0.1:0".parse()?);
/// options.trace = Some(TraceOptions { bytes_max: 1 << 20, ..TraceOptions::new(&path) });
/// Cluster::start(options).await?.shutdown().await;
/// assert!(std::fs::read(&path)?.starts_with(b"swimtrc1"));
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceOptions {
    /// The first file. On Unix it gets mode 0600, for it holds addresses, names and payloads, and the
    /// seed, from which the nonces follow.
    pub path: PathBuf,
    /// A file that has so many bytes is followed by another.
    pub file_bytes_max: u64,
    /// The trace ends when its files have so many bytes together.
    pub bytes_max: u64,
    /// Whether a trace that is already there is moved out of the way, to `path.old` (and `path.old.1`, …), in place of
    /// the one before it. Otherwise it is an error: a trace is never overwritten by chance.
    pub move_old: bool,
}

impl TraceOptions {
    /// Files of 64 MiB, and at most 1 GiB: days of a quiet member of ten, hours of one among a thousand.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file_bytes_max: 64 << 20, bytes_max: 1 << 30, move_old: false }
    }
}

/// The files of one trace, of which the last is open.
#[derive(Debug)]
pub(crate) struct Files {
    options: TraceOptions,
    file: File,
    /// How many are full.
    full: u32,
    /// In the open one.
    bytes: u64,
    bytes_before: u64,
}

impl Files {
    /// Creates the first.
    pub(crate) fn create(options: TraceOptions) -> io::Result<Self> {
        if options.move_old {
            let old = suffixed(&options.path, "old");
            for n in 0.. {
                let (from, to) = (nth(&options.path, n), nth(&old, n));
                // Also where there is nothing to move: a longer trace may have been there.
                let moved = std::fs::rename(from, &to).or_else(|_| std::fs::remove_file(&to));
                if moved.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                    break;
                }
            }
        }
        let file = create(&options.path)?;
        Ok(Self { options, file, full: 0, bytes: 0, bytes_before: 0 })
    }

    /// Writes whole records; whether there is room for more.
    fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if self.bytes > 0 && self.bytes + bytes.len() as u64 > self.options.file_bytes_max {
            self.file = create(&nth(&self.options.path, self.full + 1))?;
            self.full += 1;
            self.bytes_before += core::mem::take(&mut self.bytes);
        }
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(self.bytes_before + self.bytes < self.options.bytes_max)
    }
}

/// One of the files of the trace at `path`.
fn nth(path: &Path, n: u32) -> PathBuf {
    if n == 0 { path.to_owned() } else { suffixed(path, &n.to_string()) }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Creates a file that is for its owner only.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Bytes of a trace between the node and the thread that writes them.
///
/// They are written every [`TRACE_GATHERING`], when [`TRACE_GATHERED_MAX`] bytes have gathered, and at the end: to wake a
/// thread for each datagram costs a quiet node more than the recording does, and a node is never so quiet that there is
/// nothing to write. When the process is killed, that much of the trace may be missing.
///
/// The node's lock is held while they are added, so adding only copies. When the disk falls [`TRACE_WAITING_MAX`]
/// bytes behind, the trace ends: one with a gap could not be replayed past it.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    over: bool,
}

impl Trace {
    fn add(&self, bytes: &[u8]) {
        let mut waiting = lock(&self.waiting);
        if waiting.over {
            return;
        }
        if waiting.bytes.len() + bytes.len() > TRACE_WAITING_MAX {
            error!("the trace ends here: its file cannot be written as fast as the node works");
            waiting.over = true;
        } else {
            let before = waiting.bytes.len();
            waiting.bytes.extend_from_slice(bytes);
            // Otherwise the writer looks by itself, or is at work and will look again.
            if before >= TRACE_GATHERED_MAX || waiting.bytes.len() < TRACE_GATHERED_MAX {
                return;
            }
        }
        self.changed.notify_one();
    }

    /// Nothing more will be added.
    pub(crate) fn close(&self) {
        lock(&self.waiting).over = true;
        self.changed.notify_one();
    }

    /// Writes until [`close`](Self::close); for a thread of its own.
    pub(crate) fn write_to(&self, mut files: Files) {
        let mut bytes = Vec::new();
        loop {
            let over = {
                let gathers = |waiting: &mut Waiting| !waiting.over && waiting.bytes.len() < TRACE_GATHERED_MAX;
                let (mut waiting, _) = self
                    .changed
                    .wait_timeout_while(lock(&self.waiting), TRACE_GATHERING, gathers)
                    .unwrap_or_else(PoisonError::into_inner);
                bytes.clear();
                core::mem::swap(&mut bytes, &mut waiting.bytes);
                waiting.over
            };
            match files.write(&bytes) {
                Ok(true) => {}
                Ok(false) => {
                    if !over {
                        warn!(
                            bytes_max = files.options.bytes_max,
                            "the trace ends here: its files have reached their limit"
                        );
                    }
                    return self.close();
                }
                Err(error) => {
                    error!(%error, "the trace ends here: its file cannot be written");
                    return self.close();
                }
            }
            if over {
                return;
            }
        }
    }
}

/// The node's end of a [`Trace`].
#[derive(Debug)]
pub(crate) struct TraceSink(pub(crate) Arc<Trace>);

impl Sink for TraceSink {
    fn write(&mut self, bytes: &[u8]) {
        self.0.add(bytes);
    }
}

const TRACE_WAITING_MAX: usize = 64 << 20;
const TRACE_GATHERED_MAX: usize = 64 << 10;
const TRACE_GATHERING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_complete_private_and_never_overwritten() {
        let path = std::env::temp_dir().join(format!("swim-trace-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let trace = Arc::new(Trace::default());
        let mut sink = TraceSink(trace.clone());
        let files = Files::create(TraceOptions::new(&path)).unwrap();
        let writer = std::thread::spawn({
            let trace = trace.clone();
            move || trace.write_to(files)
        });
        let mut expected = Vec::new();
        for n in 0..10_000_u32 {
            sink.write(&n.to_le_bytes());
            expected.extend_from_slice(&n.to_le_bytes());
        }
        trace.close();
        sink.write(b"too late");
        writer.join().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_file(&path).unwrap();
    }

    /// Together they are the trace, each within its limit, and the last ends after the record that reaches the other.
    #[test]
    fn full_files_are_followed_by_others_up_to_a_limit() {
        let path = std::env::temp_dir().join(format!("swim-trace-files-{}", std::process::id()));
        let nth = |n| nth(&path, n);
        (0..6).for_each(|n| drop(std::fs::remove_file(nth(n))));
        let options = TraceOptions { file_bytes_max: 100, bytes_max: 300, ..TraceOptions::new(&path) };
        let mut files = Files::create(options).unwrap();
        let mut records = (0..).map(|n: u8| [n; 40]);
        let mut expected = Vec::new();
        loop {
            let record = records.next().unwrap();
            expected.extend_from_slice(&record);
            if !files.write(&record).unwrap() {
                break;
            }
        }
        assert_eq!(expected.len(), 320);
        let found: Vec<_> = (0..4).map(|n| std::fs::read(nth(n)).unwrap()).collect();
        assert!(found.iter().all(|file| file.len() == 80), "two records fit, and none is cut");
        assert_eq!(found.concat(), expected);
        // Moved out of the way, in place of one that was longer.
        let old = suffixed(&path, "old");
        (0..6).for_each(|n| std::fs::write(self::nth(&old, n), b"older").unwrap());
        drop(Files::create(TraceOptions { move_old: true, ..TraceOptions::new(&path) }).unwrap());
        let moved: Vec<_> = (0..4).map(|n| std::fs::read(self::nth(&old, n)).unwrap()).collect();
        assert_eq!(moved.concat(), expected);
        assert!((1..6).all(|n| !nth(n).exists()) && (4..6).all(|n| !self::nth(&old, n).exists()));
        (0..4).for_each(|n| std::fs::remove_file(self::nth(&old, n)).unwrap());
        // A file that is in the way is not overwritten.
        let options = TraceOptions { path: nth(9), file_bytes_max: 1, ..TraceOptions::new(&path) };
        let _ = std::fs::remove_file(nth(9));
        let mut files = Files::create(options).unwrap();
        std::fs::write(format!("{}.1", nth(9).display()), b"precious").unwrap();
        assert!(files.write(b"first").unwrap());
        assert_eq!(files.write(b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(nth(9)).unwrap(), b"first");
        (0..10).for_each(|n| drop(std::fs::remove_file(nth(n))));
        std::fs::remove_file(format!("{}.1", nth(9).display())).unwrap();
    }

    #[test]
    fn a_trace_that_cannot_be_written_ends_before_its_gap() {
        let trace = Arc::new(Trace::default());
        let mut sink = TraceSink(trace.clone());
        sink.write(&vec![1; TRACE_WAITING_MAX]);
        sink.write(&[2]);
        sink.write(&[3]);
        let waiting = lock(&trace.waiting);
        assert_eq!(waiting.bytes.len(), TRACE_WAITING_MAX);
        assert!(waiting.over);
    }
}
