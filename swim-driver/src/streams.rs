//! Streams: who dials in, and one task per stream that carries bytes between a connection and the node.
//!
//! There are no deadlines here but one. The node decides how long a stream may take to connect, to write and to read,
//! and aborts it; only after `Finish`, when the node has forgotten it, does the driver bound the goodbye itself.

use core::net::SocketAddr;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant as StdInstant;

use event_listener::{Event as Signal, listener};
use futures_lite::future::{or, try_zip};
use futures_lite::io::{AsyncReadExt as _, AsyncWriteExt as _, split};
use swim_core::ids::StreamId;
use swim_core::node::input::{StreamAction, StreamFailure, StreamInput};
use tracing::{debug, warn};

use crate::backoff::Backoff;
use crate::bind::from_socket;
use crate::runtime::{Listener as _, Runtime};
use crate::shared::{Guarded, Shared, count};
use crate::unless::unless;

/// Accepts until the cluster stops.
pub(crate) async fn accept<R: Runtime>(shared: Arc<Shared<R>>, mut listener: R::Listener) {
    let mut backoff = Backoff::default();
    while let Some(accepted) = unless(shared.stopping.wait(), listener.accept()).await {
        match accepted {
            Ok((stream, from)) => {
                backoff.reset();
                take_in(&shared, stream, from_socket(from));
            }
            // The dialler has gone again; the next one need not suffer for it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => count(&shared.io.accept_errors),
            // Most likely out of file descriptors: trying again at once would only burn the processor.
            Err(error) => {
                count(&shared.io.accept_errors);
                if backoff.is_fresh() {
                    warn!(%error, "cannot accept streams");
                }
                let pause = StdInstant::now() + backoff.pause();
                unless(shared.stopping.wait(), shared.runtime.sleep_until(pause)).await;
            }
        }
    }
}

fn take_in<R: Runtime>(shared: &Arc<Shared<R>>, stream: R::Stream, from: SocketAddr) {
    // Registered under the lock: the node may want something of the stream as soon as the lock is free.
    let accepted = shared.with(|guarded, now| {
        let id = guarded.node.accept_stream(now, from)?;
        let mailbox = Arc::new(Mailbox::default());
        guarded.streams.insert(id, mailbox.clone());
        Some((id, mailbox))
    });
    shared.called.notify(1);
    let Some((id, mailbox)) = accepted else {
        debug!(%from, "too many streams, closed");
        return;
    };
    shared.spawn(|shared| async move {
        let work = carry(&shared, id, &mailbox, stream);
        unless(shared.stopping.wait(), work).await;
        forget(&shared, id, &mailbox);
    });
}

/// What is still to be done for an action once the lock is free.
pub(crate) struct Dial {
    id: StreamId,
    peer: SocketAddr,
    mailbox: Arc<Mailbox>,
}

impl Guarded {
    /// Tells the stream's task what the node wants of it.
    pub(crate) fn dispatch(&mut self, action: StreamAction, closing_max: usize) -> Option<Dial> {
        match action {
            StreamAction::Open { id, peer } => {
                let mailbox = Arc::new(Mailbox::default());
                self.streams.insert(id, mailbox.clone());
                return Some(Dial { id, peer, mailbox });
            }
            // A stream that is not there any more has failed, and the node has been told or will be.
            StreamAction::Send { id, data } => {
                if let Some(mailbox) = self.streams.get(&id) {
                    mailbox.post(|mail| mail.data = Some(data));
                }
            }
            StreamAction::Finish { id } => {
                if let Some(mailbox) = self.streams.remove(&id) {
                    // The node does not count it any more, so nobody else bounds how many there are.
                    if self.closing < closing_max {
                        self.closing += 1;
                        mailbox.post(|mail| mail.end = Some(End::Finish));
                    } else {
                        mailbox.post(|mail| mail.end = Some(End::Abort));
                    }
                }
            }
            StreamAction::Abort { id } => {
                if let Some(mailbox) = self.streams.remove(&id) {
                    mailbox.post(|mail| mail.end = Some(End::Abort));
                }
            }
        }
        None
    }
}

/// Starts the task of a stream that the node wants opened.
pub(crate) fn dial<R: Runtime>(shared: &Arc<Shared<R>>, Dial { id, peer, mailbox }: Dial) {
    shared.spawn(|shared| async move {
        let work = async {
            let given_up = mailbox.wait_for(|mail| mail.end.as_ref().map(|_| ()));
            match unless(given_up, shared.runtime.connect(peer)).await {
                None => {}
                Some(Ok(stream)) => {
                    input(&shared, id, StreamInput::Opened);
                    carry(&shared, id, &mailbox, stream).await;
                }
                Some(Err(error)) => {
                    debug!(%peer, %error, "cannot open a stream");
                    input(&shared, id, StreamInput::Failed(failure(&error)));
                }
            }
        };
        unless(shared.stopping.wait(), work).await;
        forget(&shared, id, &mailbox);
    });
}

/// Carries bytes both ways until both sides have finished, either fails, or the node gives up.
async fn carry<R: Runtime>(shared: &Shared<R>, id: StreamId, mailbox: &Mailbox, stream: R::Stream) {
    let (mut reader, mut writer) = split(stream);
    let fail = |error: io::Error| {
        if !mailbox.is_ending() {
            debug!(?id, %error, "stream failed");
            input(shared, id, StreamInput::Failed(failure(&error)));
        }
    };
    let read = async {
        let mut chunk = vec![0; CHUNK_MIN];
        loop {
            let read = reader.read(&mut chunk).await.map_err(fail)?;
            // Also after `Finish`, when nobody wants it any more: closing a connection that holds unread bytes resets
            // it, and the reset may overtake what has just been written.
            input(shared, id, if read == 0 { StreamInput::Finished } else { StreamInput::Data(&chunk[..read]) });
            if read == 0 {
                return Ok(());
            }
            if read == chunk.len() && read < CHUNK_MAX {
                chunk = vec![0; CHUNK_MAX];
            }
        }
    };
    let write = async {
        while let Some(data) = mailbox.wait_for(Mail::next_write).await {
            writer.write_all(&data).await.map_err(fail)?;
            writer.flush().await.map_err(fail)?;
            input(shared, id, StreamInput::Sent);
        }
        writer.close().await.map_err(fail)
    };
    let given_up = mailbox.wait_for(|mail| matches!(mail.end, Some(End::Abort)).then_some(()));
    let overdue = async {
        mailbox.wait_for(|mail| mail.end.as_ref().map(|_| ())).await;
        shared.runtime.sleep_until(StdInstant::now() + shared.finish_timeout).await;
    };
    unless(or(given_up, overdue), try_zip(read, write)).await;
}

/// Tells the node, unless it has forgotten the stream.
fn input<R: Runtime>(shared: &Shared<R>, id: StreamId, input: StreamInput<'_>) {
    shared.with(|guarded, now| {
        if guarded.streams.contains_key(&id) {
            guarded.node.handle_stream(now, id, input);
        }
    });
    shared.called.notify(1);
}

fn forget<R: Runtime>(shared: &Shared<R>, id: StreamId, mailbox: &Mailbox) {
    shared.with(|guarded, _| {
        if guarded.streams.remove(&id).is_none() && mailbox.peek(|mail| matches!(mail.end, Some(End::Finish))) {
            guarded.closing = guarded.closing.saturating_sub(1);
        }
    });
}

/// What the node wants of one stream.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Mail>,
    changed: Signal,
}

#[derive(Debug, Default)]
struct Mail {
    /// To be written; the node sends the next only after this one has been.
    data: Option<Vec<u8>>,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    Finish,
    Abort,
}

impl Mail {
    /// The next bytes to write, or `Some(None)` when there will be none.
    fn next_write(&mut self) -> Option<Option<Vec<u8>>> {
        match self.data.take() {
            Some(data) => Some(Some(data)),
            None => self.end.as_ref().map(|_| None),
        }
    }
}

impl Mailbox {
    fn post(&self, change: impl FnOnce(&mut Mail)) {
        self.peek(change);
        self.changed.notify(usize::MAX);
    }

    fn peek<T>(&self, look: impl FnOnce(&mut Mail) -> T) -> T {
        look(&mut crate::shared::lock(&self.mail))
    }

    fn is_ending(&self) -> bool {
        self.peek(|mail| mail.end.is_some())
    }

    async fn wait_for<T>(&self, mut look: impl FnMut(&mut Mail) -> Option<T>) -> T {
        loop {
            listener!(self.changed => changed);
            if let Some(found) = self.peek(&mut look) {
                return found;
            }
            changed.await;
        }
    }
}

fn failure(error: &io::Error) -> StreamFailure {
    use io::ErrorKind;
    // `ErrorKind` will grow; whatever is new is "other".
    #[expect(clippy::wildcard_enum_match_arm, reason = "forty kinds of which eleven matter")]
    match error.kind() {
        ErrorKind::ConnectionRefused => StreamFailure::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            StreamFailure::Unreachable
        }
        ErrorKind::AddrNotAvailable => StreamFailure::NoLocalPort,
        ErrorKind::TimedOut => StreamFailure::TimedOut,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof
        | ErrorKind::WriteZero => StreamFailure::Reset,
        _ if error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code)) => StreamFailure::TooManyFiles,
        _ => StreamFailure::Other,
    }
}

/// `EMFILE` and `ENFILE`, which are the same on every Unix and have no [`io::ErrorKind`].
const TOO_MANY_FILES: &[i32] = if cfg!(unix) { &[24, 23] } else { &[] };

/// Bytes read at once, at first: many streams say no more, and those that say nothing for long are to cost little.
const CHUNK_MIN: usize = 512;
/// Bytes read at once from a stream that has filled the first.
const CHUNK_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use futures_lite::future::{block_on, poll_once};

    use super::*;
    use crate::testing::{OWN, ScriptedListener, shared};

    #[test]
    fn finish_comes_after_what_is_to_be_written() {
        let mailbox = Mailbox::default();
        mailbox.post(|mail| mail.data = Some(vec![1]));
        mailbox.post(|mail| mail.end = Some(End::Finish));
        assert_eq!(block_on(mailbox.wait_for(Mail::next_write)), Some(vec![1]));
        assert_eq!(block_on(mailbox.wait_for(Mail::next_write)), None);
    }

    #[test]
    fn mail_wakes_every_waiter() {
        let mailbox = Mailbox::default();
        let mut first = Box::pin(mailbox.wait_for(Mail::next_write));
        let mut second = Box::pin(mailbox.wait_for(|mail| mail.end.as_ref().map(|_| ())));
        assert!(block_on(poll_once(&mut first)).is_none());
        assert!(block_on(poll_once(&mut second)).is_none());
        mailbox.post(|mail| mail.end = Some(End::Abort));
        assert_eq!(block_on(first), None);
        block_on(second);
    }

    /// Out of file descriptors, and back again.
    #[test]
    fn accept_errors_pause_and_never_end_it() {
        let shared = shared();
        let emfile = || Err(io::ErrorKind::Other.into());
        let script = [emfile(), emfile(), Err(io::ErrorKind::ConnectionAborted.into()), Ok(OWN), emfile(), Ok(OWN)];
        let before = StdInstant::now();
        let accepting = accept(shared.clone(), ScriptedListener(script.into()));
        assert!(block_on(poll_once(accepting)).is_none(), "it goes on");
        assert!(before.elapsed() >= Duration::from_millis(4), "1 + 2, and 1 after it worked");
        assert_eq!(shared.io.read().accept_errors, 4);
        // What was accepted is known to the node, and gone with its task, which this runtime does not run.
        assert_eq!(shared.with(|guarded, _| guarded.streams.len()), 2);
    }

    #[test]
    fn the_system_s_words_for_failures() {
        #[rustfmt::skip]
        let table = [
            (io::ErrorKind::ConnectionRefused,  StreamFailure::Refused),
            (io::ErrorKind::HostUnreachable,    StreamFailure::Unreachable),
            (io::ErrorKind::NetworkUnreachable, StreamFailure::Unreachable),
            (io::ErrorKind::AddrNotAvailable,   StreamFailure::NoLocalPort),
            (io::ErrorKind::TimedOut,           StreamFailure::TimedOut),
            (io::ErrorKind::BrokenPipe,         StreamFailure::Reset),
            (io::ErrorKind::PermissionDenied,   StreamFailure::Other),
        ];
        for (kind, expected) in table {
            assert_eq!(failure(&kind.into()), expected, "{kind:?}");
        }
        #[cfg(unix)]
        assert_eq!(failure(&io::Error::from_raw_os_error(24)), StreamFailure::TooManyFiles);
    }
}
