//! The RPC protocol: every captured connection is played against our agent, and what comes back compared field by
//! field.

use core::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Message, pack, request};
use crate::support::{Agent, Directory, Raw, UNHURRIED, decode, from_hex, vectors};

/// Where our agent does otherwise than the captured one, on purpose: the session, the step, what ours does, and why.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, usize, Ours, &str)] = &[
    ("handshake_versions", 7, Ours::OtherValues, "Go's version and its threads are not ours"),
    ("stats",              3, Ours::OtherValues, "the same; and other commands were run before it"),
    ("get_coordinate",     3, Ours::OtherValues, "another round trip"),
    ("keys_encrypted",     3, Ours::MoreFields,  "our members also say which key they encrypt with"),
    ("auth",               7, Ours::Nothing,     "the body of a refused request is read, and not refused a second time"),
    ("monitor",            3, Ours::Log,         "five refusals were logged for the three requests, see auth"),
    ("monitor",            4, Ours::Nothing,     "the same"),
    ("monitor",            5, Ours::Nothing,     "the same"),
    ("monitor",            6, Ours::Nothing,     "the same"),
    ("monitor",            7, Ours::Log,         "another time of day"),
    ("monitor",            9, Ours::Log,         "another time of day"),
    ("tolerance/name_bin", 1, Ours::Success,     "later agents take text that is sent as bytes"),
    ("tolerance/name_bin", 3, Ours::Members,     "the same"),
    ("tolerance/keys_bin", 1, Ours::Success,     "later agents take names of fields that are sent as bytes"),
    ("tolerance/keys_bin", 3, Ours::Members,     "the same"),
    ("tolerance/timeout_neg", 3, Ours::Done,     "a query that is over has no answer, least of all an empty one from nobody"),
];

/// What is expected in place of what was captured.
#[derive(Clone, Copy, PartialEq)]
enum Ours {
    /// No such message.
    Nothing,
    /// The same fields with other values.
    OtherValues,
    /// The same fields with the same values, and others.
    MoreFields,
    /// A record with the same line, but for the time in front of it.
    Log,
    /// Success and no body.
    Success,
    /// Success and a list of members.
    Members,
    /// The record that ends a query.
    Done,
}

/// Requests that the captures lack, because no generic encoder makes them: the session, before which step, its command.
#[rustfmt::skip]
const NOT_CAPTURED: &[(&str, usize, &str, &[u8])] = &[
    ("tolerance/nil_body",     0, "event", b"\x82\xa7Command\xa5event\xa3Seq\x05\xc0"),
    ("tolerance/struct_array", 0, "event", b"\x82\xa7Command\xa5event\xa3Seq\x05\x93\xa1n\xc4\x02hi\xc2"),
    ("malformed_header_array", 2, "",      b"\x93\x01\x02\x03"),
];

/// One captured connection, played step by step.
struct Replay<'a> {
    session: &'static str,
    steps: Vec<Value>,
    at: usize,
    client: Client,
    /// The captured agents under their names, and ours in their places.
    agents: &'a [&'a Agent],
}

impl<'a> Replay<'a> {
    /// `agents`: the one to talk to first.
    fn new(session: &'static str, agents: &'a [&'a Agent]) -> Self {
        let vectors = vectors("rpc-exchanges.json");
        let mut steps = &vectors["sessions"];
        for part in session.split('/') {
            steps = &steps[part];
        }
        let steps = steps.as_array().unwrap().clone();
        // Where the beginning of the connection was not kept, it was the usual one.
        let whole = steps[0]["header"]["Command"] == "handshake" || session == "no_handshake";
        let client = if whole { Client::connect(agents[0]) } else { Client::shaken(agents[0]) };
        Self { session, steps, at: 0, client, agents }
    }

    /// Plays the whole of it.
    fn run(session: &'static str, agents: &'a [&'a Agent]) {
        let mut replay = Self::new(session, agents);
        replay.play(replay.steps.len());
    }

    /// Plays on up to, but not with, a step.
    fn play(&mut self, end: usize) {
        while self.at < end {
            let not_captured = |at: usize| NOT_CAPTURED.iter().find(|row| (row.0, row.1) == (self.session, at));
            if let Some((.., command, bytes)) = not_captured(self.at) {
                self.client.send(command, 5, bytes);
            }
            if self.steps[self.at]["dir"] == "tx" {
                self.send();
                self.at += 1;
                continue;
            }
            let is_next = |at: &usize| self.steps[*at]["dir"] == "tx" || not_captured(*at).is_some();
            let next = (self.at + 1..end).find(is_next).unwrap_or(end);
            self.receive(next - self.at);
            self.at = next;
        }
    }

    fn send(&mut self) {
        let step = &self.steps[self.at];
        let (command, seq) = (step["header"]["Command"].as_str().unwrap(), step["header"]["Seq"].as_u64().unwrap());
        // What is answered within 1.2 s there has 4 s here, on a machine that may be busy.
        let hex = step["hex"].as_str().unwrap().replace("ce47868c00", "ceee6b2800");
        let mut bytes = from_hex(&hex);
        if let Some(seed) = step["body"]["Existing"][0].as_str().filter(|_| self.agents.len() > 1) {
            // Our agents have ports of their own.
            let seed = if seed.ends_with(":1") { seed.to_owned() } else { self.agents[1].bind.to_string() };
            bytes = request(command, seq);
            pack(&json!({ "Existing": [seed], "Replay": false }), &mut bytes);
        }
        self.client.send(command, seq, &bytes);
    }

    /// Compares what was captured in these steps, up to the next request, with what comes. Answers and records come from
    /// tasks that know nothing of each other, so their order means nothing, except that a query's end is its end.
    fn receive(&mut self, steps: usize) {
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        for at in self.at..self.at + steps {
            let context = format!("{}, step {at}", self.session);
            let step = &self.steps[at];
            let ours = DIFFERENCES.iter().find(|row| (row.0, row.1) == (self.session, at)).map(|row| row.2);
            match step["result"].as_str() {
                _ if ours == Some(Ours::Nothing) => continue,
                Some("EOF") if ours.is_none() => {
                    assert_eq!(self.client.message(), None, "{context}");
                    continue;
                }
                Some("nothing within 1s") => {
                    assert!(self.client.is_silent(Duration::from_secs(1)), "{context}");
                    continue;
                }
                _ => {}
            }
            let mut message = self.client.message().unwrap_or_else(|| panic!("{context}: closed"));
            let captured = captured(step);
            match ours {
                None => expected.push((captured.header, captured.body.map(|body| self.adapted(body)))),
                Some(Ours::OtherValues) => {
                    assert_eq!(message.header, captured.header, "{context}");
                    let shapes = [&message.body, &captured.body].map(|body| body.as_ref().map(shape));
                    assert_eq!(shapes[0], shapes[1], "{context}");
                    continue;
                }
                Some(Ours::MoreFields) => {
                    let (Some(Value::Object(body)), Some(Value::Object(fields))) = (&mut message.body, &captured.body)
                    else {
                        panic!("{context}: {message:?}");
                    };
                    let more = body.len();
                    body.retain(|field, _| fields.contains_key(field));
                    assert!(more > body.len(), "{context}: no difference any more");
                    expected.push((captured.header, captured.body));
                }
                Some(Ours::Log) => {
                    for message in [&mut message, &mut captured.clone()] {
                        let line = message.body.as_mut().unwrap()["Log"].as_str().unwrap()[TIME_LEN..].to_owned();
                        found.push((message.header.clone(), Some(json!({ "Log": line }))));
                    }
                    expected.push(found.pop().unwrap());
                    continue;
                }
                Some(Ours::Success) => {
                    assert_eq!((&message.header["Error"], &message.body), (&json!(""), &None), "{context}");
                    continue;
                }
                Some(Ours::Members) => {
                    assert_eq!(message.header["Error"], "", "{context}");
                    assert!(message.body.is_some_and(|body| body["Members"].is_array()), "{context}");
                    continue;
                }
                Some(Ours::Done) => {
                    let done = json!({ "From": "", "Payload": null, "Type": "done" });
                    if message.body.as_ref() != Some(&done) {
                        // The reply to what was asked in the meantime.
                        message = self.client.message().unwrap_or_else(|| panic!("{context}: closed"));
                    }
                    assert_eq!(message.body.as_ref(), Some(&done), "{context}");
                    continue;
                }
                Some(Ours::Nothing) => unreachable!("left out above"),
            }
            found.push((message.header, message.body.map(in_order)));
        }
        let ends = |messages: &[(Value, Option<Value>)]| {
            messages.last().and_then(|(_, body)| body.as_ref()).is_some_and(|body| body["Type"] == "done")
        };
        assert_eq!(ends(&found), ends(&expected), "{}, up to step {}: {found:?}", self.session, self.at + steps);
        for messages in [&mut found, &mut expected] {
            messages.sort_by_cached_key(|(header, body)| format!("{header} {body:?}"));
        }
        assert_eq!(found, expected, "{}, up to step {}", self.session, self.at + steps);
    }

    /// With our agents' ports.
    fn adapted(&self, body: Value) -> Value {
        let mut body = in_order(body);
        for member in body.get_mut("Members").and_then(Value::as_array_mut).into_iter().flatten() {
            let agent = self.agents.iter().find(|agent| member["Name"] == agent.name).expect("an agent of each name");
            member["Port"] = agent.bind.port().into();
            if self.session.starts_with("tolerance") {
                // One agent for all of them, on the wire that has other versions.
                member["Addr"] = json!({ "hex": "7f000001" });
            }
        }
        body
    }
}

/// What the agent of that time sent, read from its bytes.
fn captured(step: &Value) -> Message {
    let hex = from_hex(step["hex"].as_str().unwrap_or_default());
    let mut bytes = hex.as_slice();
    let header = decode(&mut bytes).unwrap_or_default();
    let body = (!bytes.is_empty()).then(|| decode(&mut bytes).unwrap());
    Message { header, body, is_record: false }
}

/// With the members in order of their names.
fn in_order(mut body: Value) -> Value {
    if let Some(members) = body.get_mut("Members").and_then(Value::as_array_mut) {
        members.sort_by_key(|member| member["Name"].to_string());
    }
    body
}

/// Which fields there are, with values of which kind.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), shape(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        other @ (Value::Null | Value::Bool(_)) => other.clone(),
    }
}

/// `2026/11/22 20:38:30 `
const TIME_LEN: usize = 20;

#[test]
fn two_agents_as_captured() {
    let arguments = ["-wire=serf", UNHURRIED, "-event-handler=query:upt=echo hi; echo err >&2"];
    let rpcb = Agent::start_at("127.0.0.22", "rpcb", &arguments);
    let arguments = ["-wire=serf", UNHURRIED, "-tag", "role=web", "-event-handler=user:deploy=true"];
    let mut rpca = Agent::start_at("127.0.0.21", "rpca", &arguments);
    assert_eq!(rpca.swim("join", &[&rpcb.bind.to_string()]).code, Some(0));
    for agent in [&rpca, &rpcb] {
        agent.members_until(|members| members.matches("alive").count() == 2);
    }
    {
        let both = [&rpca, &rpcb];
        for session in [
            "handshake_members",
            "no_handshake",
            "handshake_versions",
            "unknown_command",
            "auth_unconfigured",
            "event",
            "join",
            "members_filtered_bad_regex",
            "malformed_header_array",
        ] {
            Replay::run(session, &both);
        }
        let (mut stream, mut driver) = (Replay::new("stream", &both), Replay::new("stream_driver", &both));
        stream.play(8); // Up to where the stream is open.
        driver.play(8); // Two events and a query.
        stream.play(14); // Their records; an answer, and one that comes too late for being the second.
        driver.play(11); // The answer comes, and the query ends.
        stream.play(18); // An answer after that.
        driver.play(13); // Tags.
        stream.play(stream.steps.len() - 1);
        driver.play(driver.steps.len()); // An event of the kind that the stream was for.
        stream.play(stream.steps.len());
        for session in ["query", "keys_unencrypted", "forceleave_tags", "stats"] {
            Replay::run(session, &both);
        }
        rpca.rtt_known("rpcb");
        Replay::run("get_coordinate", &both);
        Replay::run("leave", &both);
    }
    assert_eq!(rpca.ended(), Some(0));
}

#[test]
fn keys_as_captured() {
    let key = "-encrypt=T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";
    let k1 = Agent::start("k1", &["-wire=serf", UNHURRIED, key]);
    let k2 = Agent::start("k2", &["-wire=serf", UNHURRIED, key, "-join", &k1.bind.to_string()]);
    k1.members_until(|members| members.matches("alive").count() == 2);
    Replay::run("keys_encrypted", &[&k1, &k2]);
}

#[test]
fn authentication_and_monitor_as_captured() {
    let directory = Directory::new("auth");
    let file = directory.write("auth.json", r#"{"rpc_auth": "sekret"}"#);
    let agent = Agent::start("auth1", &["-config-file", &file]);
    let agents = [&agent];
    let mut monitor = Replay::new("monitor", &agents);
    assert_eq!(monitor.client.ask("auth", 1, &json!({ "AuthKey": "sekret" })), Ok(None));
    Replay::run("auth", &agents);
    monitor.play(9);
    // What the last line is about.
    let mut client = Client::shaken(&agent);
    assert_eq!(client.ask("auth", 1, &json!({ "AuthKey": "sekret" })), Ok(None));
    let large = json!({ "Name": "big", "Payload": "x".repeat(600) });
    let refused = "user event exceeds configured limit of 512 bytes before encoding".to_owned();
    assert_eq!(client.ask("event", 2, &large), Err((refused, None)));
    monitor.play(10);
}

#[test]
fn odd_requests_as_captured() {
    let agent = Agent::start("ta", &["-wire=serf"]);
    let agents = [&agent];
    let sessions = vectors("rpc-exchanges.json")["sessions"]["tolerance"].clone();
    for session in sessions.as_object().unwrap().keys() {
        Replay::run(format!("tolerance/{session}").leak(), &agents);
    }
    assert_eq!(sessions.as_object().unwrap().len(), 16);
}

#[test]
fn header_and_body_in_other_shapes() {
    let agent = Agent::start("a", &["-tag", "role=web"]);
    #[rustfmt::skip]
    let requests: [&[u8]; 6] = [
        b"\x82\xa7Command\xb0members-filtered\xa3Seq\x05\x80",                  // an empty body
        b"\x82\xa7Command\xb0members-filtered\xa3Seq\x05\xc0",                  // nil for a body
        b"\x82\xa7Command\xb0members-filtered\xa3Seq\x05\x93\x80\xa5alive\xa1a", // a body as an array
        b"\x82\xa7Command\xb0members-filtered\xa3Seq\x05\x82\xa4Name\xc4\x01a\xa3Odd\x91\xc0", // bin, unknown field
        b"\x82\xc4\x07Command\xc4\x10members-filtered\xc4\x03Seq\x05\x81\xc4\x04Name\xc0", // bin everywhere, nil
        b"\x92\xb0members-filtered\x05\x81\xa6Status\xa5alive",                 // a header as an array
    ];
    for request in requests {
        let mut client = Client::shaken(&agent);
        client.send("members-filtered", 5, request);
        assert_eq!(client.message().unwrap().body.unwrap()["Members"][0]["Name"], "a", "{request:?}");
    }
}

#[test]
fn bytes_may_arrive_one_by_one() {
    let agent = Agent::start("a", &[]);
    let mut raw = Raw::connect(&agent);
    for byte in b"\x82\xa7Command\xa9handshake\xa3Seq\x00\x81\xa7Version\x01\x82\xa7Command\xa7members\xa3Seq\x01" {
        raw.send(&[*byte]);
    }
    assert_eq!(raw.read(), Some(json!({ "Error": "", "Seq": 0 })));
    assert_eq!(raw.read(), Some(json!({ "Error": "", "Seq": 1 })));
    assert_eq!(raw.read().unwrap()["Members"][0]["Name"], "a");
}

/// Numbers are the client's business: the largest, and the same again and again, while streams run under it as well.
#[test]
fn numbers_may_be_used_again() {
    let agent = Agent::start("a", &[]);
    let mut client = Client::shaken(&agent);
    for seq in [0, 7, 7, 1 << 63, u64::MAX] {
        assert!(client.ask("members", seq, &Value::Null).is_ok());
    }
    assert_eq!(client.ask("stream", 7, &json!({ "Type": "user:a" })), Ok(None));
    let taken = ("Stream with given sequence exists".to_owned(), None);
    assert_eq!(client.ask("stream", 7, &json!({ "Type": "user:b" })), Err(taken));
    // Another kind of stream under the same number, and a query, and both are stopped as one.
    assert_eq!(client.ask("monitor", 7, &json!({ "LogLevel": "err" })), Ok(None));
    assert_eq!(client.ask("query", 7, &json!({ "Name": "q", "Timeout": 200_000_000 })), Ok(None));
    assert_eq!(client.record(), (7, json!({ "From": "", "Payload": null, "Type": "done" })));
    assert_eq!(client.ask("stop", 8, &json!({ "Stop": 7 })), Ok(None));
    assert_eq!(client.ask("stream", 7, &json!({ "Type": "user:b" })), Ok(None));
    assert_eq!(client.ask("monitor", 9, &json!({ "LogLevel": "err" })), Ok(None));
    for name in ["a", "b"] {
        assert_eq!(client.ask("event", 10, &json!({ "Name": name })), Ok(None));
    }
    let (seq, record) = client.record();
    assert_eq!((seq, &record["Name"], &record["Payload"]), (7, &json!("b"), &Value::Null));
}

/// Each connection knows queries by numbers of its own.
#[test]
fn queries_are_answered_where_they_were_told() {
    let agent = Agent::start("a", &[]);
    let mut told = Client::shaken(&agent);
    assert_eq!(told.ask("stream", 1, &json!({ "Type": "query" })), Ok(None));
    let mut asking = Client::shaken(&agent);
    assert_eq!(asking.ask("query", 1, &json!({ "Name": "q", "Timeout": 60_000_000_000_u64 })), Ok(None));
    let (_, record) = told.record();
    assert_eq!((&record["ID"], &record["Payload"]), (&json!(1), &json!({ "hex": "" })));
    let foreign = ("No pending queries matching ID".to_owned(), None);
    assert_eq!(asking.ask("respond", 2, &json!({ "ID": 1, "Payload": "x" })), Err(foreign));
    let large = told.ask("respond", 2, &json!({ "ID": 1, "Payload": "x".repeat(1024) })).unwrap_err();
    assert_eq!(large.0, "failed to respond to key query: response exceeds limit of 1024 bytes");
    assert_eq!(told.ask("respond", 3, &json!({ "ID": 1, "Payload": "answer" })), Ok(None));
    let hex: String = b"answer".iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(asking.record(), (1, json!({ "From": "a", "Payload": { "hex": hex }, "Type": "response" })));
}

/// A client that goes while its agent leaves does not keep it: the leave is finished, and the agent ends well.
#[test]
fn leaving_needs_no_client() {
    let other = Agent::start("other", &[]);
    let mut agent = Agent::start("a", &["-join", &other.bind.to_string()]);
    other.members_until(|members| members.matches("alive").count() == 2);
    let mut client = Client::shaken(&agent);
    assert_eq!(client.ask("monitor", 1, &json!({ "LogLevel": "debug" })), Ok(None));
    client.request("leave", 2, &Value::Null);
    agent.wait_for("requesting graceful leave from Serf");
    drop(client);
    // Each makes a line of the log, which cannot be sent, and so ends the session.
    (0..5).for_each(|_| drop(Raw::connect(&agent)));
    assert_eq!(agent.ended(), Some(0), "{}", agent.output);
    other.members_until(|members| members.contains("  left"));
}
