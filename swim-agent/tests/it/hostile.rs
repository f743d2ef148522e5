//! Clients that nobody would wish for. Each may lose its own connection; nobody else notices.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::client::{Client, pack, request};
#[cfg(unix)]
use crate::support::after;
use crate::support::{Agent, Directory, PATIENCE, Raw, Start, dial};

/// The same over both transports.
macro_rules! over_both {
    ($($(#[$attribute:meta])* $name:ident)*) => {
        mod tcp {
            $($(#[$attribute])* #[test] fn $name() { super::$name(super::Agent::start) })*
        }
        #[cfg(unix)]
        mod unix {
            $($(#[$attribute])* #[test] fn $name() { super::$name(super::Agent::start_on_socket) })*
        }
    };
}

over_both! {
    nonsense_closes_the_connection_and_nothing_else
    clients_that_stop_halfway_are_left_alone
    #[cfg(unix)] a_thousand_connections
    guessing_the_token_gets_nowhere
    six_hundred_streams
    a_client_that_never_reads
    stopping_in_the_middle_of_a_flood
    many_commands_in_one_go
    connections_that_say_nothing
}

/// Longer than anything that does not wait for a hostile client takes on a slow machine.
const PROMPT: Duration = Duration::from_secs(20);

/// Whether the agent serves others as if nothing were.
fn is_well(agent: &Agent) {
    let start = Instant::now();
    for seq in 1..20 {
        assert!(Client::shaken(agent).ask("members", seq, &Value::Null).is_ok());
    }
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
}

#[cfg(target_os = "linux")]
fn is_small(agent: &Agent) {
    let memory = agent.memory();
    assert!(memory < 150 << 20, "{} MB in use", memory >> 20);
}

#[cfg(not(target_os = "linux"))]
fn is_small(_: &Agent) {}

fn nonsense_closes_the_connection_and_nothing_else(start: Start) {
    let agent = start("a", &[]);
    let long = [b"\x82\xa7Command\xdb\x7f\xff\xff\xff".as_slice(), &[b'x'; 4096]].concat();
    let deep = [[0x91; 4096].as_slice(), b"\xc0"].concat();
    let wide = [b"\x82\xa7Command\xa4join\xa3Seq\x01\x81\xa8Existing\xdc\xff\xff".as_slice(), &[0xc0; 0xffff]].concat();
    #[rustfmt::skip]
    let requests: [&[u8]; 12] = [
        b"\xc1",
        b"\xa5hello",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc7\x04\x01abcd", // An extension.
        &long,
        &deep,
        &wide,
        b"\x82\xa7Command\xa4join\xa3Seq\x01\x81\xa8Existing\xa1x",              // not a list
        b"\x82\xa7Command\xb0members-filtered\xa3Seq\x01\x81\xa6Status\xcb\0\0\0\0\0\0\0\0", // a float
    ];
    for request in requests {
        let mut raw = Raw::shaken(&agent);
        raw.send(request);
        assert_eq!(raw.read(), None, "{:?}", &request[..request.len().min(40)]);
    }
    is_well(&agent);
}

/// Requests that are as large as they may be, and mean as much work as they can.
#[test]
fn much_work_is_refused_or_done_without_holding_others_up() {
    let agent = Agent::start("a", &[]);
    let expressions = |count: usize, expression: &str| -> Value {
        (0..count).map(|n| (n.to_string(), Value::from(expression))).collect::<serde_json::Map<_, _>>().into()
    };
    for tags in [
        expressions(5000, ".{1000}"),
        expressions(500, ".{1000}"),
        expressions(1, "((((.{30}){30}){30}){30}){30}"),
        expressions(1, &"\\pL".repeat(1300)),
        expressions(1, &"(".repeat(2000)),
    ] {
        let mut client = Client::shaken(&agent);
        client.request("members-filtered", 1, &json!({ "Tags": tags }));
        let start = Instant::now();
        assert_eq!(client.message(), None);
        assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
    }
    // Thousands to join, none of them there.
    let mut busy = Client::shaken(&agent);
    busy.request("join", 1, &json!({ "Existing": vec!["127.0.0.1:1"; 3000] }));
    is_well(&agent);
    is_small(&agent);
}

/// Those who begin a message and never end it, and those who ask much and read nothing.
fn clients_that_stop_halfway_are_left_alone(start: Start) {
    let agent = start("a", &["-tag", &format!("k={}", "x".repeat(200))]);
    let mut greedy: Vec<_> = (0..20).map(|_| Raw::shaken(&agent)).collect();
    for raw in &mut greedy {
        // Far more answers than the sockets' buffers hold; a thread each would block, so send what goes at once.
        raw.send_what_fits(&b"\x82\xa7Command\xa7members\xa3Seq\x01".repeat(20_000));
    }
    let mut halfway: Vec<_> = (0..20).map(|_| Raw::shaken(&agent)).collect();
    for (raw, half) in
        halfway.iter_mut().zip([&b"\x82\xa7Comm"[..], b"\x82\xa7Command\xdb\x00\x00\xff\x00xx"].into_iter().cycle())
    {
        raw.send(half);
    }
    is_well(&agent);
    // A message may take as long as its client likes.
    halfway[0].send(b"and\xa5stats\xa3Seq\x02");
    assert_eq!(halfway[0].read(), Some(json!({ "Error": "", "Seq": 2 })));
    is_small(&agent);
}

/// A thousand connections are served, and one past the bound is closed at once; room comes back with those who go.
#[cfg(unix)]
fn a_thousand_connections(start: Start) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // For this end of them.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    // Fewer where the system does not allow so many.
    let bound = maximum.map_or(1024, |files| 1024.min(files as usize / 2));
    let mut agent = start("a", &[]);
    let mut clients: Vec<_> = (0..bound - 24).map(|_| Client::shaken(&agent)).collect();
    is_well(&agent);
    loop {
        let mut raw = Raw::connect(&agent);
        raw.send(b"\x82\xa7Command\xa9handshake\xa3Seq\x00\x81\xa7Version\x01");
        if raw.read().is_none() {
            break;
        }
        clients.push(Client::over(raw));
        assert!(clients.len() <= bound, "there is no bound");
    }
    agent.wait_for(&format!("{bound} are connected"));
    assert!(clients[bound / 2].ask("members", 1, &Value::Null).is_ok());
    clients.truncate(10);
    let deadline = Instant::now() + PATIENCE;
    while agent.swim("members", &[]).code != Some(0) {
        assert!(Instant::now() < deadline, "the places of those who went are not free");
    }
    is_small(&agent);
}

/// Where the system allows few open files, clients get half of them; the rest is for the cluster.
#[cfg(unix)]
#[test]
fn few_open_files_are_shared_with_the_cluster() {
    let mut agent = Agent::start_with(after("ulimit -n 64"), "127.0.0.1", "a", &[]);
    let clients: Vec<_> = (0..32).map(|_| Client::shaken(&agent)).collect();
    assert_eq!(Raw::connect(&agent).read(), None);
    agent.wait_for("32 are connected");
    // The cluster still has its streams.
    let other = Agent::start("b", &["-join", &agent.bind.to_string()]);
    other.members_until(|members| members.matches("alive").count() == 2);
    drop(clients);
}

/// With no file left, nobody new gets a stream, and the log says why; who is there stays there. Once others have gone, all is as
/// before.
#[cfg(unix)]
#[test]
fn no_file_is_left() {
    let mut agent = Agent::start_with(after("ulimit -n 40"), "127.0.0.1", "a", &[]);
    let mut client = Client::shaken(&agent);
    let b = Agent::start("b", &["-join", &agent.bind.to_string()]);
    b.members_until(|members| members.matches("alive").count() == 2);
    // More than may be open, of which each would be let in.
    let strangers: Vec<_> = (0..60).map(|_| std::net::TcpStream::connect(agent.bind).unwrap()).collect();
    agent.wait_for("cannot accept streams");
    assert!(agent.output.contains("oo many open files"), "{}", agent.output);
    assert!(client.ask("members", 1, &Value::Null).is_ok(), "whom it knows it goes on listening to");
    assert_eq!(b.swim("event", &["-coalesce=false", "hello"]).code, Some(0));
    agent.wait_for("Received event: user-event: hello");
    drop(strangers);
    let c = Agent::start("c", &["-retry-join", &agent.bind.to_string(), "-retry-interval=1s"]);
    for other in [&b, &c] {
        other.members_until(|members| members.matches("alive").count() == 3);
    }
}

fn guessing_the_token_gets_nowhere(start: Start) {
    let directory = Directory::new("guess");
    let file = directory.write("auth.json", r#"{"rpc_auth": "sekret"}"#);
    let agent = start("a", &["-config-file", &file]);
    // The handshake was the first request.
    let guess_62_times = |client: &mut Client, from: u64| {
        for seq in from..from + 31 {
            let refused = ("Invalid authentication token".to_owned(), None);
            assert_eq!(client.ask("auth", seq, &json!({ "AuthKey": format!("sekre{seq}") })), Err(refused));
            let required = ("Authentication required".to_owned(), None);
            assert_eq!(client.ask("stats", seq, &Value::Null), Err(required));
        }
    };
    let mut client = Client::shaken(&agent);
    guess_62_times(&mut client, 1);
    assert_eq!(client.ask("auth", 1, &json!({ "AuthKey": "sekret" })), Ok(None));
    for seq in 2..200 {
        assert!(client.ask("stats", seq, &Value::Null).is_ok());
    }
    for round in 0..10 {
        let mut client = Client::shaken(&agent);
        guess_62_times(&mut client, round * 31);
        client.request("auth", 1, &json!({ "AuthKey": "sekre" }));
        assert!(client.message().is_some() && client.message().is_none(), "closed after the 64th");
    }
}

/// Streams and queries of one connection have a bound together; at it the connection goes on, and room comes back.
fn six_hundred_streams(start: Start) {
    let agent = start("a", &[]);
    let mut client = Client::shaken(&agent);
    let invalid = Err(("Invalid event filter".to_owned(), None));
    let list = |count| vec!["user:y"; count].join(",");
    assert_eq!(client.ask("stream", 1000, &json!({ "Type": list(257) })), invalid);
    assert_eq!(client.ask("stream", 1000, &json!({ "Type": list(256) })), Ok(None));
    assert_eq!(client.ask("stop", 1001, &json!({ "Stop": 1000 })), Ok(None));
    let refused = Err(("Too many streams and queries on this connection".to_owned(), None));
    for seq in 1..=600 {
        let started = client.ask("stream", seq, &json!({ "Type": "user:x" }));
        assert_eq!(started, if seq <= 512 { Ok(None) } else { refused.clone() }, "{seq}");
    }
    assert_eq!(client.ask("query", 600, &json!({ "Name": "q" })), refused);
    assert_eq!(client.ask("event", 600, &json!({ "Name": "x" })), Ok(None));
    let mut told: Vec<_> = (0..512).map(|_| client.record().0).collect();
    told.sort_unstable();
    assert_eq!(told, (1..=512).collect::<Vec<_>>());
    assert_eq!(client.ask("stop", 601, &json!({ "Stop": 7 })), Ok(None));
    assert_eq!(client.ask("stream", 602, &json!({ "Type": "*" })), Ok(None));
    assert_eq!(client.ask("stream", 603, &json!({ "Type": "*" })), refused);
}

/// Hundreds of streams to a client that never reads, while events flow: another client is told all of them at once, and
/// what waits for the first has a bound. In the end it loses its connection.
fn a_client_that_never_reads(start: Start) {
    const EVENTS: u64 = 3000;
    let mut agent = start("a", &["-log-level=debug"]);
    let mut deaf = Client::shaken(&agent);
    for seq in 1..=500 {
        assert_eq!(deaf.ask("stream", seq, &json!({ "Type": "user" })), Ok(None));
    }
    let mut reader = Client::shaken(&agent);
    assert_eq!(reader.ask("stream", 1, &json!({ "Type": "user" })), Ok(None));
    let mut sender = Client::shaken(&agent);
    let payload = "x".repeat(400);
    let start = Instant::now();
    for n in 0..EVENTS {
        assert_eq!(sender.ask("event", n, &json!({ "Name": n.to_string(), "Payload": payload })), Ok(None));
        let (_, record) = reader.record();
        assert_eq!((&record["Name"], &record["LTime"]), (&json!(n.to_string()), &json!(n + 1)));
    }
    // Each came when it was sent; a thousandth of a second for each, and much more for a slow machine.
    assert!(start.elapsed() < PATIENCE * 4, "{:?}", start.elapsed());
    is_well(&agent);
    is_small(&agent);
    agent.wait_for("does not read any more");
}

/// Streams that are stopped while they are busiest, by a client that has fallen far behind: no record is cut in half, none
/// comes after the reply, and what comes next on the connection is understood.
fn stopping_in_the_middle_of_a_flood(start: Start) {
    let agent = start("a", &[]);
    let (mut flood, mut client) = (Client::shaken(&agent), Client::shaken(&agent));
    let event = json!({ "Name": "e", "Payload": "x".repeat(400) });
    for round in 0..3 {
        for seq in 1..=50 {
            assert_eq!(client.ask("stream", seq, &json!({ "Type": "user" })), Ok(None), "round {round}");
        }
        // More than the sockets' buffers hold: the streams wait for each other, and the stop for all of them.
        for seq in 0..400 {
            assert_eq!(flood.ask("event", seq, &event), Ok(None));
        }
        client.request("stop", 60, &json!({ "Stop": 1 }));
        for seq in 0..400 {
            assert_eq!(flood.ask("event", seq, &event), Ok(None));
        }
        while client.message().unwrap().is_record {}
        client.forget(1);
        for seq in 2..=50 {
            assert_eq!(client.ask("stop", 60, &json!({ "Stop": seq })), Ok(None), "round {round}");
            // From now on a record of it would fail the test.
            client.forget(seq);
        }
        assert!(client.ask("members", 61, &Value::Null).is_ok(), "round {round}");
    }
}

/// Thousands of commands at once are done one after the other, each with its reply.
fn many_commands_in_one_go(start: Start) {
    const COMMANDS: u64 = 10_000;
    let agent = start("a", &[]);
    let mut raw = Raw::shaken(&agent);
    let mut bytes = Vec::new();
    for seq in 1..=COMMANDS {
        match seq % 3 {
            0 => bytes.extend(request("members", seq)),
            1 => {
                bytes.extend(request("event", seq));
                pack(&json!({ "Name": "e", "Coalesce": true }), &mut bytes);
            }
            _ => {
                bytes.extend(request("stop", seq));
                pack(&json!({ "Stop": seq }), &mut bytes);
            }
        }
    }
    let mut writer = raw.writer();
    thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut writer, &bytes).unwrap());
        for seq in 1..=COMMANDS {
            assert_eq!(raw.read(), Some(json!({ "Error": "", "Seq": seq })));
            if seq % 3 == 0 {
                assert_eq!(raw.read().unwrap()["Members"][0]["Name"], "a");
            }
        }
    });
    is_well(&agent);
}

/// Connections that come and go without a word.
fn connections_that_say_nothing(start: Start) {
    let agent = start("a", &[]);
    for _ in 0..2000 {
        drop(dial(&agent.rpc));
    }
    is_well(&agent);
}
