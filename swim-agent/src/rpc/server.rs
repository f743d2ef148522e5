//! Accepts clients and gives each a session.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use crate::agent::Agent;
use crate::rpc::listener::Listener;
use crate::rpc::session::Session;

/// Serves clients until the task is dropped.
pub(crate) async fn serve(listener: Listener, agent: Arc<Agent>) {
    let clients_max = clients_max();
    let places = Arc::new(Semaphore::new(clients_max));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely. Some client will close one.
                error!(target: "agent.ipc", "Failed to accept client: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            warn!(target: "agent.ipc", "Refused client {from}: {clients_max} are connected");
            continue;
        };
        info!(target: "agent.ipc", "Accepted client: {from}");
        agent.metrics.client();
        let agent = Arc::clone(&agent);
        tokio::spawn(async move {
            Session::new(stream, from, agent).run().await;
            drop(place);
        });
    }
}

/// Connections at once; more are closed as they come. Half of the descriptors are for the cluster and for scripts.
#[cfg(unix)]
fn clients_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    // The usual limit is low for the sake of ancient programs; a process may raise it, and Go's do.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
    let files = if raised.is_ok() { limits.maximum } else { limits.current };
    files.and_then(|files| usize::try_from(files / 2).ok()).map_or(CLIENTS_MAX, |half| half.min(CLIENTS_MAX))
}

#[cfg(not(unix))]
fn clients_max() -> usize {
    CLIENTS_MAX
}

const CLIENTS_MAX: usize = 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
