//! The signals that mean something to an agent.

use std::io;

/// What somebody wants of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code, reason = "only Ctrl-C exists there"))]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    Hangup,
}

impl Signal {
    /// Go's name for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminated",
            Self::Hangup => "hangup",
        }
    }
}

#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From now on signals come out of [`next`](Self::next) and no longer end the process.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Those that no test is sent.
    #[cfg(test)]
    pub(crate) fn none() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kind = SignalKind::window_change();
        Ok(Self { interrupt: signal(kind)?, terminate: signal(kind)?, hangup: signal(kind)? })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Hangup,
        }
    }
}

/// Somebody wants to see the measurements: SIGUSR1, which ends the process as long as nobody watches it.
pub(crate) fn dumps() -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1())
}

#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// From now on Ctrl-C comes out of [`next`](Self::next) and no longer ends the process.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            core::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
