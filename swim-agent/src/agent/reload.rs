//! SIGHUP: read flags and files again and take over what can change while an agent runs.

use std::sync::Arc;

use tracing::warn;

use crate::agent::{Agent, Launch, plan};
use crate::config::Settings;
use crate::log::console::Console;
use crate::log::{Level, Log};

/// Takes over log level, tags and what signals do. A configuration that cannot be read changes nothing.
pub(crate) fn reload(launch: &Launch, current: &mut Settings, console: &Console, log: &Log, agent: &Arc<Agent>) {
    console.say("Reloading configuration...");
    let fresh = match plan::load(launch, |warning| console.say(warning)) {
        Ok(fresh) => fresh,
        Err(error) => {
            console.say(&error);
            console.say("Failed to reload configs");
            return;
        }
    };
    match Level::from_name(&fresh.log_level) {
        Ok(level) => log.set_level(level),
        Err(error) => console.say(&error.to_string()),
    }
    current.leave_on_terminate = fresh.leave_on_terminate;
    current.skip_leave_on_interrupt = fresh.skip_leave_on_interrupt;
    // The whole set, as in Serf: tags that came over RPC are gone afterwards. In a task, because it waits until the
    // news has spread, and the next signal must not.
    let (agent, tags) = (Arc::clone(agent), fresh.tags);
    tokio::spawn(async move {
        if let Err(error) = agent.cluster.set_tags(tags.into_iter().collect()).await {
            warn!(target: "agent", "failed to update tags: {error}");
        }
    });
}
