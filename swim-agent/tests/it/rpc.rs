//! The RPC protocol, byte by byte.

use core::time::Duration;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Agent, Raw, from_hex, vectors};

/// Plays one captured connection against `agent` and compares what comes back, decoded. `adapt` may put into the
/// expected values what differs from run to run.
fn replay(agent: &Agent, session: &str, adapt: impl Fn(&mut Value)) {
    let vectors = vectors("rpc-exchanges.json");
    let mut raw = Raw::connect(agent);
    for step in vectors["sessions"][session].as_array().unwrap() {
        // What `stats` says is our own; its shape has a test of its own.
        if step["header"]["Command"] == "stats" {
            return;
        }
        if step["dir"] == "tx" {
            raw.send(&from_hex(step["hex"].as_str().unwrap()));
            continue;
        }
        if step["result"] == "EOF" {
            assert_eq!(raw.read(), None, "{session}");
            continue;
        }
        assert_eq!(raw.read().as_ref(), Some(&step["header"]), "{session}");
        if !step["body"].is_null() {
            let mut body = raw.read().expect("a body follows");
            let mut expected = step["body"].clone();
            adapt(&mut expected);
            for members in [&mut body, &mut expected] {
                if let Some(members) = members["Members"].as_array_mut() {
                    members.sort_by_key(|member| member["Name"].to_string());
                }
            }
            assert_eq!(body, expected, "{session}");
        }
    }
}

fn as_it_is(_: &mut Value) {}

#[test]
fn order_of_commands_as_captured() {
    let agent = Agent::start("rpca", &["-tag", "role=web"]);
    for session in
        ["no_handshake", "handshake_versions", "unknown_command", "auth_unconfigured", "members_filtered_bad_regex"]
    {
        replay(&agent, session, as_it_is);
    }
}

#[test]
fn stats_as_captured() {
    let agent = Agent::start("rpca", &["-tag", "role=web"]);
    let mut raw = Raw::shaken(&agent);
    raw.send(b"\x82\xa7Command\xa5stats\xa3Seq\x03");
    assert_eq!(raw.read(), Some(json!({ "Error": "", "Seq": 3 })));
    let found = raw.read().unwrap();
    let vectors = vectors("rpc-exchanges.json");
    let expected = &vectors["sessions"]["handshake_versions"].as_array().unwrap().last().unwrap()["body"];
    assert_eq!((&found["agent"], &found["tags"]), (&expected["agent"], &expected["tags"]));
    for (group, keys) in expected.as_object().unwrap() {
        for key in keys.as_object().unwrap().keys() {
            // Handlers and coordinates: this agent has neither yet.
            if group != "event_handlers" && key != "coordinate_resets" {
                assert!(found[group][key].is_string(), "{group}.{key} in {found}");
            }
        }
    }
}

#[test]
fn leave_as_captured() {
    let mut agent = Agent::start("rpca", &[]);
    replay(&agent, "leave", as_it_is);
    assert_eq!(agent.ended(), Some(0));
}

#[test]
fn failed_join_as_captured() {
    let agent = Agent::start("rpca", &[]);
    let mut raw = Raw::shaken(&agent);
    raw.send(b"\x82\xa7Command\xa4join\xa3Seq\x02\x82\xa8Existing\x91\xac127.0.0.23:1\xa6Replay\xc2");
    let header = raw.read().unwrap();
    let vectors = vectors("rpc-exchanges.json");
    let captured = vectors["sessions"]["join"].as_array().unwrap().last().unwrap();
    assert_eq!(header, captured["header"]);
    assert_eq!(raw.read().as_ref(), Some(&captured["body"]));
}

#[test]
fn members_as_captured() {
    let rpcb = Agent::start_at("127.0.0.22", "rpcb", &["-wire=serf"]);
    let rpca =
        Agent::start_at("127.0.0.21", "rpca", &["-wire=serf", "-tag", "role=web", "-join", &rpcb.bind.to_string()]);
    rpca.members_until(|members| members.matches("alive").count() == 2);
    replay(&rpca, "handshake_members", |expected| {
        for member in expected["Members"].as_array_mut().unwrap() {
            let agent = if member["Name"] == "rpca" { &rpca } else { &rpcb };
            member["Port"] = agent.bind.port().into();
        }
    });
}

#[test]
fn authentication() {
    let directory = crate::support::Directory::new("auth");
    let file = directory.write("auth.json", r#"{"rpc_auth": "sekret"}"#);
    let agent = Agent::start("a", &["-config-file", &file]);
    let mut raw = Raw::shaken(&agent);
    let required = |seq: u8| Some(json!({ "Error": "Authentication required", "Seq": seq }));
    raw.send(b"\x82\xa7Command\xa7members\xa3Seq\x01");
    assert_eq!(raw.read(), required(1));
    // The body is read and the refusal comes once.
    raw.send(b"\x82\xa7Command\xa4join\xa3Seq\x02\x82\xa8Existing\x90\xa6Replay\xc2");
    assert_eq!(raw.read(), required(2));
    raw.send(b"\x82\xa7Command\xa4auth\xa3Seq\x03\x81\xa7AuthKey\xa3bad");
    assert_eq!(raw.read(), Some(json!({ "Error": "Invalid authentication token", "Seq": 3 })));
    raw.send(b"\x82\xa7Command\xa4auth\xa3Seq\x04\x81\xa7AuthKey\xa6sekret");
    assert_eq!(raw.read(), Some(json!({ "Error": "", "Seq": 4 })));
    raw.send(b"\x82\xa7Command\xa7members\xa3Seq\x05");
    assert_eq!(raw.read(), Some(json!({ "Error": "", "Seq": 5 })));
    assert_eq!(raw.read().unwrap()["Members"][0]["Name"], "a");
}

#[test]
fn odd_clients_are_understood() {
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
        let mut raw = Raw::shaken(&agent);
        raw.send(request);
        assert_eq!(raw.read(), Some(json!({ "Error": "", "Seq": 5 })), "{request:?}");
        assert_eq!(raw.read().unwrap()["Members"][0]["Name"], "a", "{request:?}");
    }
}

#[test]
fn nonsense_closes_the_connection_and_nothing_else() {
    let agent = Agent::start("a", &[]);
    let long = [b"\x82\xa7Command\xdb\x7f\xff\xff\xff".as_slice(), &[b'x'; 4096]].concat();
    let deep = [[0x91; 4096].as_slice(), b"\xc0"].concat();
    #[rustfmt::skip]
    let requests: [&[u8]; 8] = [
        b"\xc1",
        b"\xa5hello",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xdf\xff\xff\xff\xff",
        &long,
        &deep,
        b"\x82\xa7Command\xa4join\xa3Seq\x01\x81\xa8Existing\xa1x",              // not a list
        b"\x82\xa7Command\xb0members-filtered\xa3Seq\x01\x81\xa6Status\xcb\0\0\0\0\0\0\0\0", // a float
    ];
    for request in requests {
        let mut raw = Raw::shaken(&agent);
        raw.send(request);
        assert_eq!(raw.read(), None, "{request:?}");
    }
    assert_eq!(agent.swim("members", &[]).code, Some(0));
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

/// Clients that ask much and read nothing, and clients that stop in the middle of a request, hold nobody up.
#[test]
fn clients_that_do_not_read_are_left_alone() {
    let agent = Agent::start("a", &["-tag", &format!("k={}", "x".repeat(200))]);
    let mut greedy: Vec<_> = (0..20).map(|_| Raw::shaken(&agent)).collect();
    for raw in &mut greedy {
        // Far more answers than the sockets' buffers hold; a thread each would block, so send what goes at once.
        raw.send_what_fits(&b"\x82\xa7Command\xa7members\xa3Seq\x01".repeat(20_000));
    }
    let mut halfway: Vec<_> = (0..20).map(|_| Raw::shaken(&agent)).collect();
    halfway.iter_mut().for_each(|raw| raw.send(b"\x82\xa7Comm"));
    let start = Instant::now();
    let others: Vec<_> = (0..50).map(|_| Raw::shaken(&agent)).collect();
    for mut raw in others {
        raw.send(b"\x82\xa7Command\xa7members\xa3Seq\x01");
        assert_eq!(raw.read(), Some(json!({ "Error": "", "Seq": 1 })));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
