//! What RPC streams and event handlers are told: the cluster's events, as Serf cuts them.
//!
//! The core tells of one member at a time; Serf's users get lists. `filter` says who wants what, `handlers` which scripts
//! are run for it, `script` how.

pub(crate) mod filter;
pub(crate) mod handlers;
mod script;

use core::future::ready;
use std::sync::Arc;

use swim_tokio::swim_core::Event;
use swim_tokio::swim_core::Instant;
use swim_tokio::swim_core::ids::{LamportTime, Name, QueryId};
use swim_tokio::swim_core::serf::event::MemberEvent;
use swim_tokio::swim_core::serf::member::MemberInfo;

/// Something that streams and handlers can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Occurrence {
    /// The same has happened to these members.
    Members {
        kind: MemberEvent,
        members: Vec<MemberInfo>,
    },
    User {
        ltime: LamportTime,
        name: Box<[u8]>,
        payload: Option<Box<[u8]>>,
        coalesce: bool,
    },
    Query {
        id: QueryId,
        ltime: LamportTime,
        name: Name,
        payload: Box<[u8]>,
        deadline: Instant,
    },
}

impl Occurrence {
    /// Serf's name for its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Members { kind, .. } => kind.as_str(),
            Self::User { .. } => "user",
            Self::Query { .. } => "query",
        }
    }

    /// As a line of the log names it. Names come from whoever is a member, and must not begin a line of their own.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Members { kind, .. } => kind.as_str().to_owned(),
            Self::User { name, .. } => format!("user-event: {}", Name::from(&**name)),
            Self::Query { name, .. } => format!("query: {name}"),
        }
    }
}

/// What an [`Events`] yields next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Occurrence(Arc<Occurrence>),
    /// Something that is the agent's own business.
    Other(Event),
}

/// Where events come from; a trait so that tests need no cluster.
pub(crate) trait Source {
    /// The next; `None` when there will be no more. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

impl Source for swim_tokio::Events {
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send {
        self.next()
    }
}

/// The cluster's events, those of members gathered into lists.
pub(crate) struct Events<S = swim_tokio::Events> {
    events: S,
    /// Taken from `events` while a list was gathered, and not part of it.
    next: Option<Event>,
}

impl<S: Source> Events<S> {
    pub(crate) fn new(events: S) -> Self {
        Self { events, next: None }
    }

    /// The next; `None` when the cluster has stopped.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        let first = match self.next.take() {
            Some(event) => event,
            None => self.events.next().await?,
        };
        Some(match first {
            Event::Member { kind, member } => {
                let mut members = vec![member];
                while members.len() < MEMBERS_MAX {
                    match self.waiting().await {
                        Some(Event::Member { kind: same, member }) if same == kind => members.push(member),
                        other => {
                            self.next = other;
                            break;
                        }
                    }
                }
                Told::Occurrence(Arc::new(Occurrence::Members { kind, members }))
            }
            Event::User { ltime, name, payload, coalesce } => {
                Told::Occurrence(Arc::new(Occurrence::User { ltime, name, payload, coalesce }))
            }
            Event::Query { id, ltime, name, payload, deadline, .. } => {
                Told::Occurrence(Arc::new(Occurrence::Query { id, ltime, name, payload, deadline }))
            }
            other @ (Event::Conflict { .. }
            | Event::KeyringChanged { .. }
            | Event::NameLost { .. }
            | Event::Rejected { .. }
            | Event::Missed { .. }
            | _) => Told::Other(other),
        })
    }

    /// The next event, if there is one already.
    async fn waiting(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            event = self.events.next() => event,
            () = ready(()) => None,
        }
    }
}

/// Members in one list. Serf has no limit; ours keeps a record well below what clients read.
const MEMBERS_MAX: usize = 1024;
/// What is kept, once for all streams, for those whose clients read slowly. The oldest goes first, and they are told.
pub(crate) const OCCURRENCES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use swim_tokio::swim_core::{Config, Node};

    use super::*;

    /// Those that are there already.
    struct Listed(VecDeque<Event>);

    impl Source for Listed {
        async fn next(&mut self) -> Option<Event> {
            self.0.pop_front()
        }
    }

    #[test]
    fn names_cannot_forge_lines() {
        let name = b"x\n2024/01/01 00:00:00 [INFO] agent: all is well\x1b[2J\xff";
        let user = Occurrence::User { ltime: LamportTime(1), name: (*name).into(), payload: None, coalesce: false };
        let expected = r"user-event: x\n2024/01/01 00:00:00 [INFO] agent: all is well\u{1b}[2J\xff";
        assert_eq!(user.describe(), expected);
    }

    /// As many as the bound says are one list; more of the same kind are another.
    #[tokio::test]
    async fn lists_of_members_are_bounded() {
        let config = Config::lan("a", ([127, 0, 0, 1], 7946).into());
        let member = Node::new(config, [7; 32], Instant::ZERO).unwrap().local().to_info();
        let joined = Event::Member { kind: MemberEvent::Join, member };
        for (count, expected) in [(1024, &[1024][..]), (1025, &[1024, 1])] {
            let mut events = Events::new(Listed(vec![joined.clone(); count].into()));
            let mut lists = Vec::new();
            while let Some(Told::Occurrence(occurrence)) = events.next().await {
                let Occurrence::Members { members, .. } = &*occurrence else { panic!("only members have joined") };
                lists.push(members.len());
            }
            assert_eq!(lists, expected);
        }
    }
}
