//! Agents that do not start: one clear message, exit code 1, and nothing left behind.

use std::net::{TcpListener, UdpSocket};

use crate::support::{Agent, Directory, Finished, swim, vectors};

/// Whether the first message differs in what our agent finds out earlier: nothing is started for it.
fn without_starting(text: &str) -> String {
    text.replace("==> Starting Serf agent...\n", "")
}

#[test]
fn messages_as_captured() {
    let directory = Directory::new("captured");
    let rpc_user = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind_user = TcpListener::bind("127.0.0.1:0").unwrap();
    for (name, run) in vectors("agent-start-errors.json")["runs"].as_object().unwrap() {
        let bind = if name == "addr_in_use" { bind_user.local_addr().unwrap() } else { "127.0.0.1:0".parse().unwrap() };
        let rpc = if name == "rpc_in_use" { rpc_user.local_addr().unwrap() } else { "127.0.0.1:0".parse().unwrap() };
        let swap = |text: &str| {
            text.replace("127.0.0.79:17952", &bind.to_string())
                .replace("127.0.0.78:17951", &bind.to_string())
                .replace("127.0.0.79:17399", &rpc.to_string())
                .replace("\"127.0.0.79\" port 17952", &format!("\"127.0.0.1\" port {}", bind.port()))
        };
        let arguments: Vec<_> =
            run["argv"].as_array().unwrap()[1..].iter().map(|text| swap(text.as_str().unwrap())).collect();
        let found = swim(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let expected = swap(run["stdout"].as_str().unwrap());
        assert_eq!(found.code, Some(1), "{name}: {found:?}");
        assert_eq!(found.stderr, "", "{name}");
        if name == "join_fail" {
            // The banner before it names free ports.
            let last = |text: &str| text.split("==> ").last().unwrap().to_owned();
            assert_eq!(last(&found.stdout), last(&expected));
            continue;
        }
        assert_eq!(without_starting(&found.stdout), without_starting(&expected), "{name}");
    }
    drop(directory);
}

#[test]
fn keys_of_the_wrong_length() {
    let found = swim(&["agent", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0", "-encrypt=AAAA"]);
    assert_eq!(found.code, Some(1));
    assert!(found.stdout.contains("key size must be 16, 24 or 32 bytes"), "{}", found.stdout);
}

#[test]
fn configuration_files() {
    let directory = Directory::new("files");
    #[rustfmt::skip]
    let table = [
        (r#"{"foo": 1}"#,               "1 error(s) decoding:\n\n* '' has invalid keys: foo\n"),
        (r#"{"node_nmae": "x"}"#,       "1 error(s) decoding:\n\n* '' has invalid keys: node_nmae (did you mean 'node_name'?)\n"),
        (r#"{"bind": "127.0.0.1:0""#,   "unexpected EOF\n"),
        (r#"{"retry_interval": "5x"}"#, "time: unknown unit \"x\" in duration \"5x\"\n"),
        (r#"{"node_name": 5}"#,         "1 error(s) decoding:\n\n* 'node_name' expected type 'string', got unconvertible type 'float64', value: '5'\n"),
        (r#"{"discover": "x"}"#,    "1 error(s) decoding:\n\n* 'discover' is a key of Serf's that this agent does not support yet\n"),
    ];
    for (text, error) in table {
        let path = directory.write("bad.json", text);
        let expected =
            Finished { code: Some(1), stdout: format!("==> Error decoding '{path}': {error}"), stderr: String::new() };
        assert_eq!(swim(&["agent", "-config-file", &path]), expected);
        // The same through its directory.
        assert_eq!(swim(&["agent", "-config-dir", directory.path().to_str().unwrap()]), expected);
    }
}

#[test]
fn files_merge_in_order_and_flags_win() {
    let directory = Directory::new("merge");
    directory.write("20.json", r#"{"node_name": "twenty", "tags": {"b": "20"}, "log_level": "debug"}"#);
    directory.write("10.json", r#"{"node_name": "ten", "tags": {"a": "10", "b": "10"}, "profile": "wan"}"#);
    directory.write("30.txt", "not JSON");
    let file = directory.write("first.conf", r#"{"node_name": "first", "tags": {"c": "0"}}"#);
    let path = directory.path().to_str().unwrap();
    let agent = Agent::start("flag", &["-config-file", &file, "-config-dir", path, "-tag", "d=1"]);
    assert!(agent.output.contains("Profile: local\n"), "{}", agent.output);
    assert!(agent.output.contains("Node name: 'flag'\n"));
    assert!(agent.swim("members", &[]).stdout.ends_with("a=10,b=20,c=0,d=1\n"));
}

#[test]
fn dev_helps_with_ports_in_use() {
    let user = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = user.local_addr().unwrap();
    let bind = swim(&["agent", "-dev", &format!("-bind={taken}"), "-rpc-addr=127.0.0.1:0"]);
    assert_eq!(bind.code, Some(1));
    assert!(bind.stdout.contains("address already in use (another agent, perhaps? Choose other ports"), "{bind:?}");
    let rpc = swim(&["agent", "-dev", "-bind=127.0.0.1:0", &format!("-rpc-addr={taken}")]);
    assert_eq!(rpc.code, Some(1));
    assert!(rpc.stdout.contains("address already in use (another agent, perhaps? Choose other ports"), "{rpc:?}");
    let elsewhere = swim(&["agent", "-dev", "-bind=10.1.2.3"]);
    assert_eq!(elsewhere.code, Some(1));
    assert!(elsewhere.stdout.contains("-dev keeps to the loopback interface"), "{elsewhere:?}");
}

/// What an agent that failed late had opened is free again.
#[test]
fn a_failed_start_leaves_no_port_open() {
    let user = UdpSocket::bind("127.0.0.1:0").unwrap();
    let free = user.local_addr().unwrap();
    drop(user);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let rpc = taken.local_addr().unwrap();
    assert_eq!(swim(&["agent", &format!("-bind={free}"), &format!("-rpc-addr={rpc}")]).code, Some(1));
    assert!(UdpSocket::bind(free).is_ok());
}
