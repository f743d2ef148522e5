//! Who wants which events (Serf: `event_handler.go`, ParseEventFilter): `member-join,user:deploy,query`, or `*`.

use core::fmt;

use swim_tokio::swim_core::serf::event::MemberEvent;

use crate::events::Occurrence;

/// One kind of event, or all of them; of user events and queries, perhaps those of one name only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Any,
    Members(MemberEvent),
    User(Option<String>),
    Query(Option<String>),
}

impl Filter {
    /// The items of a list between commas; an empty one means all events.
    pub(crate) fn parse_list(list: &str) -> Result<Vec<Self>, InvalidFilter> {
        if list.is_empty() {
            return Ok(vec![Self::Any]);
        }
        list.split(',').map(Self::parse).collect()
    }

    fn parse(item: &str) -> Result<Self, InvalidFilter> {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        if let Some(kind) = MEMBER_EVENTS.into_iter().find(|kind| kind.as_str() == item) {
            return Ok(Self::Members(kind));
        }
        Ok(match item.split_once(':') {
            None if item == "*" => Self::Any,
            None if item == "user" => Self::User(None),
            None if item == "query" => Self::Query(None),
            Some(("user", name)) => Self::User(named(name)),
            Some(("query", name)) => Self::Query(named(name)),
            Some(_) | None => return Err(InvalidFilter(item.to_owned())),
        })
    }

    pub(crate) fn matches(&self, occurrence: &Occurrence) -> bool {
        let is = |wanted: &Option<String>, name: &[u8]| wanted.as_ref().is_none_or(|wanted| wanted.as_bytes() == name);
        match (self, occurrence) {
            (Self::Any, _) => true,
            (Self::Members(wanted), Occurrence::Members { kind, .. }) => wanted == kind,
            (Self::User(wanted), Occurrence::User { name, .. }) => is(wanted, name),
            (Self::Query(wanted), Occurrence::Query { name, .. }) => is(wanted, name.as_bytes()),
            (Self::Members(_) | Self::User(_) | Self::Query(_), _) => false,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Any => ("*", None),
            Self::Members(kind) => (kind.as_str(), None),
            Self::User(name) => ("user", name.as_deref()),
            Self::Query(name) => ("query", name.as_deref()),
        };
        write!(f, "{kind}:{}", name.unwrap_or_default())
    }
}

/// The item that is no kind of event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidFilter(pub(crate) String);

const MEMBER_EVENTS: [MemberEvent; 5] =
    [MemberEvent::Join, MemberEvent::Leave, MemberEvent::Failed, MemberEvent::Update, MemberEvent::Reap];

#[cfg(test)]
mod tests {
    use swim_tokio::swim_core::ids::LamportTime;

    use super::*;

    fn user(name: &str) -> Occurrence {
        Occurrence::User { ltime: LamportTime(1), name: name.as_bytes().into(), payload: None, coalesce: false }
    }

    #[test]
    fn lists() {
        let named = |name: &str| Some(name.to_owned());
        #[rustfmt::skip]
        let table = [
            ("",                     Ok(vec![Filter::Any])),
            ("*",                    Ok(vec![Filter::Any])),
            ("user",                 Ok(vec![Filter::User(None)])),
            ("user:",                Ok(vec![Filter::User(None)])),
            ("user:a:b,query:q",     Ok(vec![Filter::User(named("a:b")), Filter::Query(named("q"))])),
            ("member-join,member-reap", Ok(vec![Filter::Members(MemberEvent::Join), Filter::Members(MemberEvent::Reap)])),
            ("member-join:x",        Err("member-join:x")),
            ("bogus",                Err("bogus")),
            ("user, query",          Err(" query")),
            ("User",                 Err("User")),
            ("user,",                Err("")),
        ];
        for (list, expected) in table {
            assert_eq!(Filter::parse_list(list), expected.map_err(|item| InvalidFilter(item.to_owned())), "{list}");
        }
    }

    #[test]
    fn who_is_told() {
        let wants = |list: &str| Filter::parse_list(list).unwrap().iter().any(|filter| filter.matches(&user("deploy")));
        for yes in ["*", "user", "user:", "user:deploy", "query,user:deploy"] {
            assert!(wants(yes), "{yes}");
        }
        for no in ["query", "query:deploy", "user:deploys", "member-join"] {
            assert!(!wants(no), "{no}");
        }
    }

    #[test]
    fn as_stats_show_them() {
        for (item, shown) in [("*", "*:"), ("user:deploy", "user:deploy"), ("member-join", "member-join:")] {
            assert_eq!(Filter::parse(item).unwrap().to_string(), shown);
        }
    }
}
