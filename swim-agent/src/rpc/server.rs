//! Accepts clients and gives each a session.

use core::time::Duration;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use crate::agent::Agent;
use crate::rpc::session::Session;

/// Serves clients until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, agent: Arc<Agent>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
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
            warn!(target: "agent.ipc", "Refused client {from}: {CLIENTS_MAX} are connected");
            continue;
        };
        info!(target: "agent.ipc", "Accepted client: {from}");
        agent.metrics.client();
        let agent = Arc::clone(&agent);
        tokio::spawn(async move {
            Session::new(stream, from.to_string(), agent).run().await;
            drop(place);
        });
    }
}

/// Connections at once; more are closed as they come.
const CLIENTS_MAX: usize = 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
