//! The file that a node's inputs are recorded into.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use swim_core::node::trace::Sink;
use tracing::error;

use crate::shared::lock;

/// Creates the file that a trace goes to. It holds addresses, names and payloads, so it is for its owner only.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Bytes of a trace between the node and the thread that writes them.
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
            waiting.bytes.extend_from_slice(bytes);
        }
        self.changed.notify_one();
    }

    /// Nothing more will be added.
    pub(crate) fn close(&self) {
        lock(&self.waiting).over = true;
        self.changed.notify_one();
    }

    /// Writes until [`close`](Self::close); for a thread of its own.
    pub(crate) fn write_to(&self, mut file: File) {
        let mut bytes = Vec::new();
        loop {
            let over = {
                let mut waiting = lock(&self.waiting);
                while waiting.bytes.is_empty() && !waiting.over {
                    waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                bytes.clear();
                core::mem::swap(&mut bytes, &mut waiting.bytes);
                waiting.over
            };
            if let Err(error) = file.write_all(&bytes) {
                error!(%error, "the trace ends here: its file cannot be written");
                lock(&self.waiting).over = true;
                return;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_complete_private_and_never_overwritten() {
        let path = std::env::temp_dir().join(format!("swim-trace-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let trace = Arc::new(Trace::default());
        let mut sink = TraceSink(trace.clone());
        let file = create(&path).unwrap();
        let writer = std::thread::spawn({
            let trace = trace.clone();
            move || trace.write_to(file)
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
