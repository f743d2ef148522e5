//! The file in which an agent keeps the keys of its cluster, written anew whenever they change (Serf: `serf.go`, writeKeyringFile).
//!
//! Whoever has changed them is answered only then, and with why if it fails (`serf.keyring_stored`): an agent whose file has
//! the keys of before only is locked out by its next start. The file is written beside the event loop, which a slow disk must
//! not keep from probing.

use core::time::Duration;
use std::path::PathBuf;

use swim_tokio::Cluster;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{error, info};

use crate::agent::files;

/// A file of keys, and whether it is behind.
#[derive(Debug)]
pub(crate) struct KeyringFile {
    path: PathBuf,
    changed: Notify,
}

impl KeyringFile {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), changed: Notify::new() }
    }

    /// The keys have changed, or may have.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Writes the keys of `cluster` down whenever they have changed, and tells who waits for that. What could not be written
    /// is tried again, each time after `again`. Ends with the cluster.
    pub(crate) async fn keep(&self, cluster: &Cluster, again: Duration) {
        let mut failure: Option<String> = None;
        loop {
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = sleep(again), if failure.is_some() => {}
                () = cluster.stopped() => return,
            }
            // First, so that what is written is no older.
            let change = cluster.keys().last_change();
            let (path, keyring) = (self.path.clone(), cluster.keyring());
            let written = tokio::task::spawn_blocking(move || files::write_keyring(&path, &keyring)).await;
            let written = written.unwrap_or_else(|error| Err(error.to_string()));
            cluster.keys().stored(change, written.as_ref().copied().map_err(String::as_str));
            match (&written, &failure) {
                (Ok(()), Some(_)) => {
                    info!(target: "agent", "Wrote keyring file {}, which could not be written before", self.path.display());
                }
                (Err(now), before) if before.as_ref() != Some(now) => error!(target: "agent", "{now}"),
                (Ok(()), None) | (Err(_), _) => {}
            }
            failure = written.err();
        }
    }
}

/// How long after a failure the file is tried again.
pub(crate) const AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use swim_tokio::Options;
    use swim_tokio::swim_core::Event;
    use swim_tokio::swim_core::wire::keyring::Key;

    use super::*;

    /// What could not be written is written as soon as it can be, without another change.
    #[tokio::test]
    async fn a_failed_write_is_made_good() {
        let directory = std::env::temp_dir().join(format!("swim-keyring-{}", std::process::id()));
        let obstacle = directory.join("keys.new/not-empty");
        fs::create_dir_all(&obstacle).unwrap();
        let path = directory.join("keys");

        let mut options = Options::local("a", "127.0.0.1:0".parse().unwrap());
        options.config.serf.keyring_stored = true;
        options.config.wire.keyring.add(Key::new(&[1; 32]).unwrap()).unwrap();
        let cluster = Cluster::start(options).await.unwrap();
        let mut events = cluster.events();
        let file = Arc::new(KeyringFile::new(&path));
        let (keeper, kept) = (Arc::clone(&file), cluster.clone());
        let keeping = tokio::spawn(async move { keeper.keep(&kept, Duration::from_millis(20)).await });

        let install = async { cluster.keys().install(&[2; 32]).await.unwrap() };
        let tell = async {
            loop {
                let event = events.next().await.expect("it goes on");
                if matches!(event, Event::KeyringChanged { .. } | Event::Missed { .. }) {
                    break;
                }
            }
            file.changed();
        };
        let (report, ()) = tokio::join!(install, tell);
        assert_eq!(report.to_string(), "1/1 nodes reported failure");
        let text = format!("Failed to write keyring file {}: file exists", path.display());
        assert_eq!(report.messages[&b"a"[..]], text);
        assert!(!path.exists());
        fs::remove_dir_all(directory.join("keys.new")).unwrap();
        let written = async {
            while files::read_keyring(&path).map_or(0, |keys| keys.keys().len()) != 2 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), written).await.expect("it is written");
        cluster.shutdown().await;
        keeping.await.unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}
