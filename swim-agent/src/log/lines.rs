//! What the cluster's events read like in Serf's log: the one table from events to lines.

use swim_tokio::swim_core::Event;
use swim_tokio::swim_core::serf::event::MemberEvent;
use swim_tokio::swim_core::wire::envelope::DatagramError;
use tracing::{info, warn};

/// Logs `event` as Serf would.
pub(crate) fn log_event(event: &Event) {
    match event {
        Event::Member { kind, member } => {
            let (name, ip) = (&member.name, member.address.ip());
            match kind {
                MemberEvent::Join => info!(target: "serf", "EventMemberJoin: {name} {ip}"),
                MemberEvent::Leave => info!(target: "serf", "EventMemberLeave: {name} {ip}"),
                MemberEvent::Failed => info!(target: "serf", "EventMemberFailed: {name} {ip}"),
                MemberEvent::Update => info!(target: "serf", "EventMemberUpdate: {name}"),
                MemberEvent::Reap => info!(target: "serf", "EventMemberReap: {name}"),
            }
            info!(target: "agent", "Received event: {}", kind.as_str());
        }
        Event::Conflict { name, existing, other } => {
            warn!(target: "serf", "Name conflict for '{name}' both {existing} and {other} are claiming");
        }
        Event::Rejected { from, error } => {
            warn!(target: "memberlist", "Dropping packets from {from}: {error}. {}", remedy(*error));
        }
        Event::Missed { count } => {
            warn!(target: "agent", "{count} events came too fast and were dropped; the member list is complete");
        }
        _ => {}
    }
}

/// What a person can do about datagrams that are dropped.
fn remedy(error: DatagramError) -> &'static str {
    REMEDIES.iter().find(|(known, _)| *known == error).map_or(
        "Something else than a cluster member sends to this port, or a device on the way changes packets",
        |(_, remedy)| remedy,
    )
}

const REMEDIES: &[(DatagramError, &str)] = &[
    (
        DatagramError::ForeignWire,
        "It speaks the other wire format: start this agent with --wire serf (or native), or the other one",
    ),
    (DatagramError::LabelMissing, LABEL),
    (DatagramError::LabelWrong, LABEL),
    (DatagramError::NotSealed, "It does not encrypt: give it the key of this cluster with -encrypt"),
    (DatagramError::NotOpened, "It encrypts with another key: both need the same -encrypt"),
    (DatagramError::SealedWithoutKeys, "It encrypts and this agent does not: give this agent its key with -encrypt"),
];

const LABEL: &str = "Its packets carry the label of another cluster: take it out of this cluster's addresses to join, \
     or this agent out of its";
