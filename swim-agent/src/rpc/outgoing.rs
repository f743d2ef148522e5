//! The way to one client: replies and records, each whole, from as many tasks as want to.

use core::time::Duration;
use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use crate::rpc::messages::ResponseHeader;
use crate::rpc::msgpack::Value;

pub(crate) struct Outgoing {
    stream: Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
    broken: Notify,
}

impl Outgoing {
    pub(crate) fn new(stream: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self { stream: Mutex::new(stream), broken: Notify::new() }
    }

    /// Sends a header and its body so that nothing can come between them.
    ///
    /// A client that does not read keeps its own tasks busy for a while, and then loses its connection: half a message
    /// cannot be taken back.
    pub(crate) async fn send(&self, seq: u64, error: &str, body: Option<Value>) -> io::Result<()> {
        let mut out = Vec::new();
        ResponseHeader { error: error.to_owned(), seq }.encode(&mut out);
        if let Some(body) = body {
            body.encode(&mut out);
        }
        let mut stream = self.stream.lock().await;
        let sent = match timeout(WRITE_TIMEOUT, stream.write_all(&out)).await {
            Ok(sent) => sent,
            Err(late) => Err(late.into()),
        };
        if sent.is_err() {
            self.broken.notify_one();
        }
        sent
    }

    /// Resolves once something could not be sent.
    pub(crate) async fn broken(&self) {
        self.broken.notified().await;
    }
}

/// How long a message may take to be accepted.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up() {
        let (near, mut far) = duplex(64);
        let outgoing = Outgoing::new(Box::new(near));
        assert!(outgoing.send(1, "", None).await.is_ok());
        let error = outgoing.send(2, &"x".repeat(100), None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        outgoing.broken().await;
        let mut first = [0; 14];
        far.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"\x82\xa5Error\xa0\xa3Seq\x01\x82");
    }
}
