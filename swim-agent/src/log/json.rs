//! The log for machines: one JSON object a line.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::log::Entry;

/// `entry` as a line, with its time as RFC 3339 has it.
pub(crate) fn line(entry: &Entry<'_>) -> String {
    let line = Line {
        time: entry.time.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string(),
        level: entry.level.as_str(),
        component: entry.component,
        message: entry.text.trim_end_matches('\n'),
        event: entry.event,
        fields: (!entry.fields.is_empty()).then_some(Fields(entry.fields)),
    };
    // Strings under keys that are strings: nothing that JSON could not hold.
    serde_json::to_string(&line).unwrap_or_default()
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'a str,
    component: &'a str,
    message: &'a str,
    /// The core's name for what happened, if it was the core that told.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Fields<'a>>,
}

struct Fields<'a>(&'a [(&'static str, String)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;

    #[test]
    fn lines() {
        let time = jiff::civil::date(2026, 11, 22).at(20, 38, 30, 5_000).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        let fields = [("member", "a\"b".to_owned()), ("ip", "::1".to_owned())];
        let mut entry = Entry {
            time: &time,
            level: Level::Warn,
            component: "serf",
            text: "one\ntwo\n",
            event: Some("member_join"),
            fields: &fields,
        };
        assert_eq!(
            line(&entry),
            r#"{"time":"2026-11-22T20:38:30.000005+00:00","level":"WARN","component":"serf","message":"one\ntwo","event":"member_join","fields":{"member":"a\"b","ip":"::1"}}"#
        );
        (entry.event, entry.fields) = (None, &[]);
        assert!(line(&entry).ends_with(r#""message":"one\ntwo"}"#));
    }
}
