//! Joining in the background until it works.

use core::time::Duration;
use std::sync::Arc;

use tracing::{error, info, warn};

use crate::agent::{Agent, Exit};
use crate::config::Settings;

/// Starts trying, if there is anybody to try.
pub(crate) fn spawn(agent: Arc<Agent>, settings: &Settings) {
    if settings.retry_join.is_empty() {
        return;
    }
    let interval = settings.retry_interval.unwrap_or(INTERVAL);
    let (seeds, replay, attempts_max) =
        (settings.retry_join.clone(), settings.replay_on_join, settings.retry_max_attempts);
    tokio::spawn(async move {
        let mut attempts: u64 = 0;
        loop {
            info!(target: "agent", "Joining cluster...(replay: {replay})");
            let error = match agent.join(&seeds, replay).await {
                Ok(joined) => {
                    info!(target: "agent", "Join completed. Synced with {} initial agents", joined.reached);
                    return;
                }
                Err(error) => error,
            };
            attempts += 1;
            // One more than the name says, as in Serf.
            if attempts_max > 0 && attempts > attempts_max {
                error!(target: "agent", "maximum retry join attempts made, exiting");
                agent.exit(Exit::JoinFailed);
                return;
            }
            warn!(target: "agent", "Join failed: {error}, retrying in {}", go_duration(interval));
            tokio::time::sleep(interval).await;
        }
    });
}

/// As Go prints durations of at least a second.
fn go_duration(duration: Duration) -> String {
    let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    let fraction = format!("{nanos:09}");
    let fraction = fraction.trim_end_matches('0');
    let secs = if fraction.is_empty() { format!("{secs}s") } else { format!("{secs}.{fraction}s") };
    match (hours, minutes) {
        (0, 0) => secs,
        (0, minutes) => format!("{minutes}m{secs}"),
        (hours, minutes) => format!("{hours}h{minutes}m{secs}"),
    }
}

const INTERVAL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        for (millis, text) in [(30_000, "30s"), (90_000, "1m30s"), (3_600_000, "1h0m0s"), (1_500, "1.5s")] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }
}
