//! The shapes of requests and replies, read as tolerantly as all agents in the field together read them.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use swim_tokio::swim_core::serf::member::MemberInfo;
use swim_tokio::{KeyReport, KeyText};

use crate::rpc::msgpack::{Malformed, Value};

/// The fields of one map, by name. Old clients also send an array in declaration order, or nil for "all zero".
pub(crate) struct Fields {
    names: &'static [&'static str],
    values: Vec<Value>,
}

impl Fields {
    /// Takes `value` apart. Unknown names are ignored; a name that is missing is nil; the last of two equal ones wins.
    pub(crate) fn new(value: Value, names: &'static [&'static str]) -> Result<Self, DecodeError> {
        let mut values = vec![Value::Nil; names.len()];
        match value {
            Value::Nil => {}
            Value::List(items) => values.iter_mut().zip(items).for_each(|(value, item)| *value = item),
            Value::Map(entries) => {
                for (key, value) in entries {
                    let (Value::Text(key) | Value::Bytes(key)) = key else { return Err(DecodeError::Key) };
                    if let Some(index) = names.iter().position(|name| name.as_bytes() == key) {
                        values[index] = value;
                    }
                }
            }
            Value::Bool(_)
            | Value::Unsigned(_)
            | Value::Negative(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_) => return Err(DecodeError::NotAMap),
        }
        Ok(Self { names, values })
    }

    /// Anything.
    pub(crate) fn value(&mut self, name: &'static str) -> Value {
        self.take(name)
    }

    fn take(&mut self, name: &'static str) -> Value {
        let index = self.names.iter().position(|known| *known == name);
        index.map_or(Value::Nil, |index| core::mem::replace(&mut self.values[index], Value::Nil))
    }

    /// A string, sent as str or bin.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, DecodeError> {
        text(self.take(name), name)
    }

    /// Bytes, sent as bin, str, or a list of small integers.
    pub(crate) fn bytes(&mut self, name: &'static str) -> Result<Vec<u8>, DecodeError> {
        bytes(self.take(name), name)
    }

    /// A truth, sent as such or as 0 or 1.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, DecodeError> {
        let value = self.take(name);
        match value.as_unsigned() {
            Some(number @ 0..=1) => Ok(number == 1),
            _ => value.as_bool().ok_or(DecodeError::Field(name)),
        }
    }

    /// A number from zero up.
    pub(crate) fn unsigned(&mut self, name: &'static str) -> Result<u64, DecodeError> {
        self.take(name).as_unsigned().ok_or(DecodeError::Field(name))
    }

    /// A number that fits into 32 bits.
    pub(crate) fn signed(&mut self, name: &'static str) -> Result<i32, DecodeError> {
        self.take(name).as_signed().and_then(|number| number.try_into().ok()).ok_or(DecodeError::Field(name))
    }

    /// Bytes as [`bytes`](Self::bytes) takes them, or nil.
    pub(crate) fn optional_bytes(&mut self, name: &'static str) -> Result<Option<Vec<u8>>, DecodeError> {
        let value = self.take(name);
        if value == Value::Nil { Ok(None) } else { bytes(value, name).map(Some) }
    }

    /// A number of 64 bits.
    pub(crate) fn signed_wide(&mut self, name: &'static str) -> Result<i64, DecodeError> {
        self.take(name).as_signed().ok_or(DecodeError::Field(name))
    }

    /// A number from zero to 255.
    pub(crate) fn byte(&mut self, name: &'static str) -> Result<u8, DecodeError> {
        self.unsigned(name)?.try_into().map_err(|_| DecodeError::Field(name))
    }

    /// A list of anything.
    pub(crate) fn list(&mut self, name: &'static str) -> Result<Vec<Value>, DecodeError> {
        self.take(name).into_list().ok_or(DecodeError::Field(name))
    }

    /// A list of strings.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, DecodeError> {
        self.list(name)?.into_iter().map(|item| text(item, name)).collect()
    }

    /// A map of strings.
    pub(crate) fn text_map(&mut self, name: &'static str) -> Result<BTreeMap<String, String>, DecodeError> {
        text_map(self.take(name), name)
    }
}

/// The strings of a map whose keys are not known beforehand.
pub(crate) fn text_map(value: Value, name: &'static str) -> Result<BTreeMap<String, String>, DecodeError> {
    let entries = value.into_map().ok_or(DecodeError::Field(name))?;
    entries.into_iter().map(|(key, value)| Ok((text(key, name)?, text(value, name)?))).collect()
}

/// One string.
pub(crate) fn text(value: Value, name: &'static str) -> Result<String, DecodeError> {
    let bytes = value.into_bytes().ok_or(DecodeError::Field(name))?;
    // Names and tags on the network need not be UTF-8. Here text goes to people, resolvers and expressions.
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn bytes(value: Value, name: &'static str) -> Result<Vec<u8>, DecodeError> {
    let wrong = DecodeError::Field(name);
    let Value::List(items) = value else { return value.into_bytes().ok_or(wrong) };
    let byte = |item: Value| item.as_unsigned().and_then(|byte| u8::try_from(byte).ok()).ok_or(wrong);
    items.into_iter().map(byte).collect()
}

/// What precedes every request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    pub(crate) command: String,
    pub(crate) seq: u64,
}

impl RequestHeader {
    pub(crate) fn decode(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, &["Command", "Seq"])?;
        Ok(Self { command: fields.text("Command")?, seq: fields.unsigned("Seq")? })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        Value::map([("Command", Value::text(&self.command)), ("Seq", self.seq.into())]).encode(out);
    }
}

/// What precedes every reply. An empty error is success.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResponseHeader {
    pub(crate) error: String,
    pub(crate) seq: u64,
}

impl ResponseHeader {
    pub(crate) fn decode(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, &["Error", "Seq"])?;
        Ok(Self { error: fields.text("Error")?, seq: fields.unsigned("Seq")? })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        Value::map([("Error", Value::text(&self.error)), ("Seq", self.seq.into())]).encode(out);
    }
}

/// A member as the agent tells its clients: all eleven fields, always.
pub(crate) fn member_value(member: &MemberInfo) -> Value {
    let tags = member.tags();
    let octets = match member.address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let number = |version: u8| Value::Unsigned(version.into());
    let (protocol, application) = (member.versions.protocol, member.versions.application);
    Value::map([
        ("Addr", Value::Bytes(octets)),
        ("DelegateCur", number(application.current)),
        ("DelegateMax", number(application.max)),
        ("DelegateMin", number(application.min)),
        ("Name", Value::text(member.name.as_bytes())),
        ("Port", Value::Unsigned(member.address.port().into())),
        ("ProtocolCur", number(protocol.current)),
        ("ProtocolMax", number(protocol.max)),
        ("ProtocolMin", number(protocol.min)),
        ("Status", Value::text(member.status.as_str())),
        ("Tags", Value::map(tags.iter().map(|(key, value)| (key, Value::text(value))))),
    ])
}

/// A member as a client of the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) port: u16,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) status: String,
    /// Serf's protocol versions: lowest, highest, spoken.
    pub(crate) versions: (u64, u64, u64),
}

impl Member {
    pub(crate) fn decode(value: Value) -> Result<Self, DecodeError> {
        #[rustfmt::skip]
        let mut fields = Fields::new(value, &[
            "Name", "Addr", "Port", "Tags", "Status", "ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin",
            "DelegateMax", "DelegateCur",
        ])?;
        let port = u16::try_from(fields.unsigned("Port")?).map_err(|_| DecodeError::Field("Port"))?;
        let octets = fields.bytes("Addr")?;
        let ip = match octets.len() {
            4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
            // Go also sends an IPv4 address in 16 bytes, and prints it as IPv4.
            16 => <[u8; 16]>::try_from(octets).ok().map(|octets| IpAddr::from(octets).to_canonical()),
            _ => None,
        };
        Ok(Self {
            name: fields.text("Name")?,
            address: ip.map(|ip| SocketAddr::new(ip, port)),
            port,
            tags: fields.text_map("Tags")?,
            status: fields.text("Status")?,
            versions: (
                fields.unsigned("DelegateMin")?,
                fields.unsigned("DelegateMax")?,
                fields.unsigned("DelegateCur")?,
            ),
        })
    }
}

/// What a client hears on a stream of events.
#[cfg(feature = "top")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something has happened to members: `member-join` and its kin.
    Members {
        kind: String,
        members: Vec<Member>,
    },
    User {
        ltime: u64,
        name: String,
        payload: Vec<u8>,
        coalesce: bool,
    },
    Query {
        ltime: u64,
        name: String,
        payload: Vec<u8>,
    },
    /// Of a kind that we do not know.
    Other {
        kind: String,
    },
}

#[cfg(feature = "top")]
impl Event {
    pub(crate) fn decode(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, &["Event", "LTime", "Name", "Payload", "Coalesce", "Members"])?;
        let kind = fields.text("Event")?;
        Ok(match kind.as_str() {
            "user" => Self::User {
                ltime: fields.unsigned("LTime")?,
                name: fields.text("Name")?,
                payload: fields.bytes("Payload")?,
                coalesce: fields.flag("Coalesce")?,
            },
            "query" => Self::Query {
                ltime: fields.unsigned("LTime")?,
                name: fields.text("Name")?,
                payload: fields.bytes("Payload")?,
            },
            _ if kind.starts_with("member-") => {
                let members = fields.list("Members")?.into_iter().map(Member::decode).collect::<Result<_, _>>()?;
                Self::Members { kind, members }
            }
            _ => Self::Other { kind },
        })
    }
}

/// What the members say to a listing or a change of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyReply {
    /// By member: why it failed there, or a warning.
    pub(crate) messages: BTreeMap<String, String>,
    /// By key in base64: how many members have it. Only of a listing.
    pub(crate) keys: Option<BTreeMap<String, u64>>,
    /// By key in base64: how many members encrypt with it. Empty when they do not say; Serf's agents never do.
    pub(crate) primary_keys: BTreeMap<String, u64>,
    pub(crate) nodes: u64,
    pub(crate) errors: u64,
    pub(crate) responses: u64,
}

impl KeyReply {
    /// `listing`: keys are told even if there are none.
    pub(crate) fn new(report: &KeyReport, listing: bool) -> Self {
        let counts = |counts: &BTreeMap<KeyText, usize>| {
            counts.iter().map(|(key, count)| (key.as_str().to_owned(), *count as u64)).collect::<BTreeMap<_, _>>()
        };
        let messages = report.messages.iter().map(|(name, message)| (name.to_string(), message.clone()));
        Self {
            messages: messages.collect(),
            keys: listing.then(|| counts(&report.keys)),
            primary_keys: counts(&report.primaries),
            nodes: report.nodes as u64,
            errors: report.errors as u64,
            responses: report.responses as u64,
        }
    }

    pub(crate) fn value(&self) -> Value {
        let counts =
            |counts: &BTreeMap<String, u64>| Value::map(counts.iter().map(|(key, count)| (key, (*count).into())));
        let messages = self.messages.iter().map(|(name, message)| (name, Value::text(message)));
        let mut fields = vec![
            ("Keys", self.keys.as_ref().map_or(Value::Nil, counts)),
            ("Messages", Value::map(messages)),
            ("NumErr", self.errors.into()),
            ("NumNodes", self.nodes.into()),
            ("NumResp", self.responses.into()),
        ];
        if !self.primary_keys.is_empty() {
            fields.push(("PrimaryKeys", counts(&self.primary_keys)));
        }
        Value::map(fields)
    }

    pub(crate) fn decode(value: Value) -> Result<Self, DecodeError> {
        let names = &["Messages", "Keys", "NumNodes", "NumErr", "NumResp", "PrimaryKeys"];
        let mut fields = Fields::new(value, names)?;
        let mut counts = |name: &'static str| {
            let entries = fields.value(name).into_map().ok_or(DecodeError::Field(name))?;
            let count = |value: Value| value.as_unsigned().ok_or(DecodeError::Field(name));
            entries
                .into_iter()
                .map(|(key, value)| Ok((text(key, name)?, count(value)?)))
                .collect::<Result<BTreeMap<_, _>, DecodeError>>()
        };
        let (keys, primary_keys) = (counts("Keys")?, counts("PrimaryKeys")?);
        Ok(Self {
            messages: fields.text_map("Messages")?,
            keys: (!keys.is_empty()).then_some(keys),
            primary_keys,
            nodes: fields.unsigned("NumNodes")?,
            errors: fields.unsigned("NumErr")?,
            responses: fields.unsigned("NumResp")?,
        })
    }
}

/// Why a message cannot be understood. Ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    Malformed(Malformed),
    NotAMap,
    Key,
    Field(&'static str),
}

impl From<Malformed> for DecodeError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::NotAMap => f.write_str("not a map"),
            Self::Key => f.write_str("a key is not a string"),
            Self::Field(name) => write!(f, "{name} has the wrong type or is out of range"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["S", "B", "F", "U", "I", "L", "M"];

    fn fields(entries: &[(&str, Value)]) -> Fields {
        Fields::new(Value::map(entries.iter().map(|(key, value)| (key, value.clone()))), NAMES).unwrap()
    }

    /// The rows of the tolerance table, one by one.
    #[test]
    fn what_clients_send_is_taken() {
        let small = Value::List(vec![Value::Unsigned(104), Value::Unsigned(105)]);
        for value in [Value::Bytes(b"hi".to_vec()), Value::text("hi"), small] {
            assert_eq!(fields(&[("B", value)]).bytes("B"), Ok(b"hi".to_vec()));
        }
        for value in [Value::Bytes(b"hi".to_vec()), Value::text("hi")] {
            assert_eq!(fields(&[("S", value)]).text("S"), Ok("hi".into()));
        }
        for (value, truth) in
            [(Value::Bool(true), true), (Value::Unsigned(1), true), (Value::Unsigned(0), false), (Value::Nil, false)]
        {
            assert_eq!(fields(&[("F", value)]).flag("F"), Ok(truth));
        }
        let binary_key = Value::Map(vec![(Value::Bytes(b"S".to_vec()), Value::text("hi"))]);
        assert_eq!(Fields::new(binary_key, NAMES).unwrap().text("S"), Ok("hi".into()));
        let array = Value::List(vec![Value::text("hi"), Value::Bytes(vec![1])]);
        let mut array = Fields::new(array, NAMES).unwrap();
        assert_eq!((array.text("S"), array.bytes("B")), (Ok("hi".into()), Ok(vec![1])));
        for empty in [Value::Nil, Value::Map(vec![]), Value::map(NAMES.iter().map(|name| (name, Value::Nil)))] {
            let mut fields = Fields::new(empty, NAMES).unwrap();
            assert_eq!(fields.text("S"), Ok(String::new()));
            assert_eq!(fields.bytes("B"), Ok(vec![]));
            assert_eq!(fields.flag("F"), Ok(false));
            assert_eq!(fields.unsigned("U"), Ok(0));
            assert_eq!(fields.signed("I"), Ok(0));
            assert_eq!(fields.texts("L"), Ok(vec![]));
            assert_eq!(fields.text_map("M"), Ok(BTreeMap::new()));
        }
    }

    #[test]
    fn what_no_agent_takes_is_refused() {
        assert_eq!(fields(&[("U", Value::Float(1.0))]).unsigned("U"), Err(DecodeError::Field("U")));
        assert_eq!(fields(&[("U", Value::Negative(-1))]).unsigned("U"), Err(DecodeError::Field("U")));
        assert_eq!(fields(&[("S", Value::Unsigned(1))]).text("S"), Err(DecodeError::Field("S")));
        assert_eq!(fields(&[("I", Value::Unsigned(1 << 31))]).signed("I"), Err(DecodeError::Field("I")));
        assert_eq!(fields(&[("F", Value::Unsigned(2))]).flag("F"), Err(DecodeError::Field("F")));
        let large = Value::List(vec![Value::Unsigned(256)]);
        assert_eq!(fields(&[("B", large)]).bytes("B"), Err(DecodeError::Field("B")));
        assert_eq!(Fields::new(Value::text("x"), NAMES).err(), Some(DecodeError::NotAMap));
        let number_key = Value::Map(vec![(Value::Unsigned(1), Value::Nil)]);
        assert_eq!(Fields::new(number_key, NAMES).err(), Some(DecodeError::Key));
    }

    #[cfg(feature = "top")]
    #[test]
    fn events_of_all_kinds() {
        let one = [("Event", Value::text("member-failed")), ("Members", Value::List(vec![Value::Nil]))];
        let Ok(Event::Members { kind, members }) = Event::decode(Value::map(one)) else { panic!("a member event") };
        assert_eq!((&*kind, members.len()), ("member-failed", 1));
        let message = |kind: &str| {
            let fields = [
                ("Event", Value::text(kind)),
                ("LTime", Value::Unsigned(4)),
                ("Name", Value::text("n")),
                ("Payload", Value::Bytes(b"p".to_vec())),
                ("Coalesce", Value::Bool(true)),
            ];
            Event::decode(Value::map(fields))
        };
        let (name, payload) = ("n".to_owned(), b"p".to_vec());
        let user = Event::User { ltime: 4, name: name.clone(), payload: payload.clone(), coalesce: true };
        assert_eq!(message("user"), Ok(user));
        assert_eq!(message("query"), Ok(Event::Query { ltime: 4, name, payload }));
        // Of a later agent.
        assert_eq!(message("weather"), Ok(Event::Other { kind: "weather".to_owned() }));
        assert_eq!(Event::decode(Value::Unsigned(1)), Err(DecodeError::NotAMap));
    }

    #[test]
    fn headers_are_written_as_captured() {
        let mut out = Vec::new();
        RequestHeader { command: "handshake".into(), seq: 0 }.encode(&mut out);
        assert_eq!(out, b"\x82\xa7Command\xa9handshake\xa3Seq\x00");
        out.clear();
        ResponseHeader { error: String::new(), seq: 1 << 63 }.encode(&mut out);
        assert_eq!(out, b"\x82\xa5Error\xa0\xa3Seq\xcf\x80\0\0\0\0\0\0\0");
    }
}
