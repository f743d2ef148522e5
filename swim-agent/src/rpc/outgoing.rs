//! The way to one client: replies and records, each whole, from as many tasks as want to.

use core::time::Duration;
use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use crate::rpc::messages::ResponseHeader;
use crate::rpc::msgpack::Value;

pub(crate) struct Outgoing {
    /// `None` once something could not be sent: after half a message nothing can be understood.
    stream: Mutex<Option<Box<dyn AsyncWrite + Send + Unpin>>>,
    broken: Notify,
}

impl Outgoing {
    pub(crate) fn new(stream: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self { stream: Mutex::new(Some(stream)), broken: Notify::new() }
    }

    /// Sends a header and its body so that nothing can come between them.
    ///
    /// A client that does not read keeps its own tasks busy for a while, and then loses its connection: half a message
    /// cannot be taken back.
    pub(crate) async fn send(&self, seq: u64, error: &str, body: Option<Value>) -> io::Result<()> {
        self.write(|| message(seq, error, body)).await
    }

    /// The same for what was not asked for. `body` is made when its turn has come: of hundreds of streams to a client
    /// that does not read, one record takes room.
    pub(crate) async fn send_record(&self, seq: u64, body: impl FnOnce() -> Value) -> io::Result<()> {
        self.write(|| message(seq, "", Some(body()))).await
    }

    async fn write(&self, message: impl FnOnce() -> Vec<u8>) -> io::Result<()> {
        let mut place = self.stream.lock().await;
        let Some(stream) = place.as_mut() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let sent = write_all(stream, &message()).await;
        if sent.is_err() {
            *place = None;
            self.broken.notify_one();
        }
        sent
    }

    /// Resolves once something could not be sent.
    pub(crate) async fn broken(&self) {
        self.broken.notified().await;
    }
}

fn message(seq: u64, error: &str, body: Option<Value>) -> Vec<u8> {
    let mut out = Vec::new();
    ResponseHeader { error: error.to_owned(), seq }.encode(&mut out);
    if let Some(body) = body {
        body.encode(&mut out);
    }
    out
}

/// As long as the client takes anything at all, it may take its time: a list of many members is long, and lines are slow.
async fn write_all(stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match timeout(WRITE_TIMEOUT, stream.write(bytes)).await?? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            len => bytes = &bytes[len..],
        }
    }
    Ok(())
}

/// How long a client may take none of a message's bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up() {
        let (near, mut far) = duplex(64);
        let outgoing = Outgoing::new(Box::new(near));
        assert!(outgoing.send(1, "", None).await.is_ok());
        let start = Instant::now();
        let error = outgoing.send(2, &"x".repeat(100), None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // Timers are exact to a millisecond.
        assert!((10_000..=10_001).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        outgoing.broken().await;
        // Room or not, nothing follows half a message.
        let mut read = [0; 64];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read[..14], b"\x82\xa5Error\xa0\xa3Seq\x01\x82");
        let error = outgoing.send(3, "", None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_gets_all_of_it() {
        let (near, mut far) = duplex(64);
        let outgoing = Outgoing::new(Box::new(near));
        let reader = async {
            let mut read = vec![0; 64];
            let mut len = 0;
            while len < 300 {
                // Just in time, again and again.
                sleep(WRITE_TIMEOUT - Duration::from_millis(2)).await;
                len += far.read(&mut read).await.unwrap();
            }
        };
        let (sent, ()) = tokio::join!(outgoing.send_record(1, || Value::text("x".repeat(300))), reader);
        assert!(sent.is_ok());
    }
}
