//! SIGHUP: read flags and files again and take over what can change while an agent runs.

use std::sync::Arc;

use tracing::warn;

use crate::agent::{Waiting, plan};
use crate::events::handlers::Handler;
use crate::log::Level;

impl Waiting<'_> {
    /// Takes over log level, event handlers, tags and what signals do. A configuration that cannot be read changes
    /// nothing.
    pub(super) fn reload(&mut self) {
        let Self { launch, settings: current, console, log, agent, handlers, .. } = self;
        console.say("Reloading configuration...");
        let loaded = plan::load(launch).and_then(|fresh| Ok((Handler::parse_all(&fresh.event_handlers)?, fresh)));
        let (list, mut fresh) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                console.fail(&error);
                console.fail("Failed to reload configs");
                return;
            }
        };
        plan::correct(&mut fresh, |warning| console.say(warning));
        handlers.replace(list);
        match Level::from_name(&fresh.log_level) {
            Ok(level) => log.set_level(level),
            Err(error) => console.fail(&error.to_string()),
        }
        current.leave_on_terminate = fresh.leave_on_terminate;
        current.skip_leave_on_interrupt = fresh.skip_leave_on_interrupt;
        if !fresh.tags_file.is_empty() {
            // Serf empties the file here, for want of tags in the configuration. It is the file that says which there are.
            if !fresh.tags.is_empty() {
                console.fail(plan::TAGS_TWICE);
            }
            return;
        }
        // The whole set, as in Serf: tags that came over RPC are gone afterwards. In a task, because it waits until the
        // news has spread, and the next signal must not.
        let (agent, tags) = (Arc::clone(agent), fresh.tags);
        tokio::spawn(async move {
            if let Err(error) = agent.set_tags(tags.into_iter().collect()).await {
                warn!(target: "agent", "failed to update tags: {error}");
            }
        });
    }
}
