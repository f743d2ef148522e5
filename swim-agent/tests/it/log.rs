//! What can be read in the log.

use std::net::UdpSocket;

use serde_json::Value;

use crate::support::{Agent, Directory, swim};

/// One JSON object a line, nothing else, from the first line to the last.
#[test]
fn json_lines() {
    let mut a = Agent::start("a", &["-log-format=json", "-log-level=debug"]);
    let b = Agent::start("b", &["-join", &a.bind.to_string()]);
    let bind = b.bind;
    a.wait_for(r#""message":"EventMemberJoin: b 127.0.0.1""#);
    let mut monitor = crate::support::Raw::shaken(&a);
    monitor.send(b"\x82\xa7Command\xa7monitor\xa3Seq\x01\x81\xa8LogLevel\xa4INFO");
    assert_eq!(monitor.read().unwrap()["Error"], "");
    monitor.read();
    let line = monitor.read().unwrap()["Log"].as_str().unwrap().to_owned();
    assert!(line.contains("[INFO] agent: Serf agent starting"), "monitor shows text: {line}");
    a.signal("INT");
    assert_eq!(a.ended(), Some(0), "{}", a.output);

    let lines: Vec<Value> =
        a.output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"))).collect();
    for line in &lines {
        for key in ["time", "level", "component", "message"] {
            assert!(line[key].is_string(), "no {key} in {line}");
        }
        let time = line["time"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }
    let find = |text: &str| {
        let found = lines.iter().find(|line| line["message"].as_str().is_some_and(|message| message.contains(text)));
        found.unwrap_or_else(|| panic!("no {text} in {}", a.output))
    };
    let joined = find("EventMemberJoin: b");
    assert_eq!(
        [
            &joined["level"],
            &joined["component"],
            &joined["event"],
            &joined["fields"]["member"],
            &joined["fields"]["ip"]
        ],
        ["INFO", "serf", "member_join", "b", "127.0.0.1"]
    );
    assert_eq!(find("Serf agent running!")["component"], "agent");
    assert_eq!(find("Caught signal: interrupt")["level"], "INFO");
    assert!(find("Received event: member-join")["event"].is_null());
    assert!(a.output.contains("\"exchange_answered\""), "of {bind}");
}

/// What people grep for, and programs; each line as Serf's agent writes it.
#[test]
fn lines_that_others_depend_on() {
    let directory = Directory::new("lines");
    let tags = directory.write("tags", r#"{"role": "web"}"#);
    let keys = directory.write("keys", r#"["HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8="]"#);
    let file = directory.write("a.json", r#"{"event_handlers": ["query:load=echo 1"]}"#);
    let start = |name: &str, arguments: &[&str]| {
        // On the local profile a goodbye is sent twice, and both may go to one that has just died.
        let debug = ["-profile=lan", "-log-level=debug", "-wire=serf", "-keyring-file", &keys];
        Agent::start(name, &[&debug, arguments].concat())
    };
    let mut a = start("a", &["-tags-file", &tags, "-config-file", &file]);
    let seed = a.bind.to_string();
    let mut b = start("b", &["-retry-join", &seed]);
    let mut c = start("c", &["-retry-join", &seed]);
    for agent in [&a, &b, &c] {
        agent.members_until(|members| members.matches(" alive").count() == 3);
    }
    b.wait_for("[INFO] agent: joined: 1 nodes");

    assert_eq!(b.swim("join", &["127.0.0.1:1"]).code, Some(1));
    let event = || assert_eq!(b.swim("event", &["-coalesce=false", "deploy", "v1"]).code, Some(0));
    a.wait_for_asking("[DEBUG] serf: messageUserEventType: deploy", event);
    // With three members and two relays, everybody relays for everybody.
    let query = || assert_eq!(b.swim("query", &["-relay-factor=2", "load", "x"]).code, Some(0));
    a.wait_for_asking("[DEBUG] agent: Event 'query' script output: 1", query);
    c.wait_for_asking(&format!("[DEBUG] serf: Relaying response to addr: {}", b.bind), query);
    assert_eq!(b.swim("tags", &["-set", "x=y"]).code, Some(0));
    assert_eq!(a.swim("keys", &["-list"]).code, Some(0));
    for line in [
        format!("[INFO] agent: Restored 1 tag(s) from {tags}"),
        format!("[INFO] agent: Restored keyring with 1 keys from {keys}"),
        "[INFO] agent: Serf agent starting".into(),
        "[INFO] serf: EventMemberJoin: a 127.0.0.1".into(),
        "[INFO] serf: EventMemberJoin: b 127.0.0.1".into(),
        "[DEBUG] memberlist: Stream connection from=127.0.0.1:".into(),
        "[DEBUG] serf: messageJoinType: b".into(),
        "[INFO] agent: Received event: member-join".into(),
        "[INFO] agent.ipc: Accepted client: 127.0.0.1:".into(),
        "[DEBUG] serf: messageUserEventType: deploy".into(),
        "[INFO] agent: Received event: user-event: deploy".into(),
        "[DEBUG] serf: messageQueryType: load".into(),
        "[INFO] agent: Received event: query: load".into(),
        "[DEBUG] agent: Event 'query' script output: 1".into(),
        "[INFO] serf: EventMemberUpdate: b".into(),
        "[INFO] agent: Received event: member-update".into(),
        "[INFO] agent: Initiating key listing".into(),
    ] {
        a.wait_for(&line);
    }
    for line in [
        format!("[INFO] agent: joining: [{seed}] replay: false"),
        format!("[DEBUG] memberlist: Initiating push/pull sync with: {seed}"),
        "[INFO] agent: Joining cluster...(replay: false)".into(),
        "[INFO] agent: Join completed. Synced with 1 initial agents".into(),
        "[WARN] agent: error joining: 1 error occurred:".into(),
        "[DEBUG] agent: Requesting user event send: deploy. Coalesced: false. Payload: \"v1\"".into(),
        "[DEBUG] agent: Requesting query send: load. Payload: \"x\"".into(),
        "[DEBUG] serf: messageQueryResponseType: a".into(),
    ] {
        b.wait_for(&line);
    }

    let address = format!("-bind={}", c.bind);
    drop(c);
    a.wait_for("[INFO] memberlist: Suspect c has failed, no acks received");
    a.wait_for("[INFO] serf: EventMemberFailed: c 127.0.0.1");
    // What it has told, it hears from the other.
    let rpc = format!("-rpc-addr={}", a.rpc);
    a.wait_for_asking("[DEBUG] serf: messageLeaveType: c", || {
        assert_eq!(swim(&["force-leave", &rpc, "c"]).code, Some(0));
    });
    a.wait_for("[INFO] agent: Force leaving node: c");
    a.wait_for("[INFO] serf: EventMemberLeave (forced): c 127.0.0.1");
    let mut c = start("c", &[&address, "-join", &seed]);
    c.wait_for("[DEBUG] serf: Refuting an older leave intent");
    c.signal("TERM");
    c.ended();
    c.wait_for("[WARN] serf: Shutdown without a Leave");

    assert_eq!(b.swim("leave", &[]).code, Some(0));
    b.ended();
    let mut rest = b.output.as_str();
    for line in [
        "[INFO] agent.ipc: Graceful leave triggered",
        "[INFO] agent: requesting graceful leave from Serf",
        "[INFO] agent: requesting serf shutdown",
        "[INFO] agent: shutdown complete",
        "[WARN] agent: Serf shutdown detected, quitting",
    ] {
        rest = rest.split_once(line).unwrap_or_else(|| panic!("no {line} in what is left of:\n{}", b.output)).1;
    }
    a.wait_for("[INFO] serf: EventMemberLeave: b 127.0.0.1");
    assert_eq!(a.swim("force-leave", &["-prune", "b"]).code, Some(0));
    a.wait_for("[INFO] agent: Force leaving node (prune): b");
    a.wait_for("[INFO] serf: EventMemberReap (forced): b 127.0.0.1");
}

/// From where something comes that a rule refuses is said, and not once a packet.
#[test]
fn refusals_are_said_once_a_minute() {
    let mut agent = Agent::start_at("127.0.0.91", "a", &["-wire=serf", "-log-level=warn"]);
    // Two pings in one packet: more than one request is not answered.
    let ping = b"\x00\x82\xa4Node\xa0\xa5SeqNo\x01";
    let len = u8::try_from(ping.len()).unwrap();
    let packet = [&[7, 2, 0, len, 0, len][..], ping, ping].concat();
    let line = |from: &UdpSocket| {
        let from = from.local_addr().unwrap();
        format!("[WARN] memberlist: Refused some of what came from {from}: requests_over_limit")
    };
    let [one, other] = ["127.0.0.92:0", "127.0.0.93:0"].map(|address| UdpSocket::bind(address).unwrap());
    for _ in 0..3 {
        one.send_to(&packet, agent.bind).unwrap();
    }
    other.send_to(&packet, agent.bind).unwrap();
    agent.wait_for(&line(&other));
    assert!(agent.output.contains(&line(&one)), "{}", agent.output);
    assert_eq!(agent.output.matches("Refused some of what came").count(), 2, "{}", agent.output);
}

/// One datagram of 64 KiB holds twenty thousand messages, and the lines about them are as many as in ordinary times.
#[test]
fn lines_that_others_bring_about_are_bounded() {
    let mut agent = Agent::start("a", &["--wire", "serf", "-log-level=debug"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let bind = agent.bind;
    let send = |parts: &[Vec<u8>]| {
        let message = compound(&parts.chunks(255).map(compound).collect::<Vec<_>>());
        assert_eq!(socket.send_to(&message, bind).unwrap(), message.len());
    };
    let held_back =
        |what: &str| format!("Too many lines like the last, they are not shown for up to a minute ({what})");
    // Pings without a body; no more lines at a time than wait for whoever reads them.
    for batch in 1..=4 {
        send(&vec![vec![0]; 255]);
        agent.wait_for_several(255 * batch, "Dropped an unreadable message from ");
    }
    send(&vec![vec![0]; 255]);
    agent.wait_for(&held_back("message_dropped"));
    send(&vec![vec![0]; 85 * 255]);

    let events = |time: u8, count: u16| {
        let event = |n: u16| {
            let mut message = b"\x08\x03\x84\xa5LTime".to_vec();
            message.push(time);
            message.extend(b"\xa4Name\xa2");
            message.extend(n.to_be_bytes());
            message.extend(b"\xa7Payload\xc0\xa2CC\xc2");
            message
        };
        (0..count).map(event).collect::<Vec<_>>()
    };
    for batch in 1..=8 {
        send(&events(20 + batch, 128));
        agent.wait_for_several(128 * usize::from(batch), "Received event: user-event: ");
    }
    send(&events(30, 128));
    agent.wait_for(&held_back("user_event"));
    agent.wait_for(&held_back("received event"));
    agent.signal("INT");
    assert_eq!(agent.ended(), Some(0), "{}", agent.output);
    for line in ["Dropped an unreadable message from ", "messageUserEventType: ", "Received event: user-event: "] {
        assert_eq!(agent.output.matches(line).count(), 1024, "{line}");
    }
}

/// As in memberlist: how many parts, their lengths, the parts.
fn compound(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut message = vec![7, u8::try_from(parts.len()).unwrap()];
    parts.iter().for_each(|part| message.extend(u16::try_from(part.len()).unwrap().to_be_bytes()));
    parts.iter().for_each(|part| message.extend(part));
    message
}
