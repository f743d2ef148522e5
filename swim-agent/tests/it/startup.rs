//! Agents that do not start: one clear message, exit code 1, and nothing left behind.

use std::net::{TcpListener, UdpSocket};

use crate::support::{Agent, Directory, Finished, swim, vectors};

/// What was in the files that the captured runs were given, as far as it matters.
const FILES: [(&str, &str); 8] = [
    ("u.json", r#"{"foo": 1}"#),
    ("v.json", r#"{"node_name": "x""#),
    ("w.json", r#"{"retry_interval": "5x"}"#),
    ("x.json", r#"{"node_name": 5, "tags": {"a": 1}}"#),
    ("y.json", r#"{"user_event_size_limit": 10000}"#),
    ("tf.json", "{}"),
    ("kx.json", "[]"),
    ("ky.json", r#"["AAAA"]"#),
];

/// Where an agent that came so far says that it listens.
fn banner<'a>(output: &'a str, what: &str) -> Option<&'a str> {
    output.lines().find(|line| line.contains(what))?.split('\'').nth(1)
}

/// With a zero for every digit: times differ.
fn without_digits(text: &str) -> String {
    text.replace(|c: char| c.is_ascii_digit(), "0")
}

/// Every run of Serf's that failed, and what it said: the same, word by word, from our agent.
#[test]
fn messages_as_captured() {
    let directory = Directory::new("captured");
    for (name, text) in FILES {
        directory.write(name, text);
    }
    let files = format!("{}/", directory.path().to_str().unwrap());
    let rpc_user = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind_user = TcpListener::bind("127.0.0.1:0").unwrap();
    for (name, run) in vectors("agent-start-errors.json")["runs"].as_object().unwrap() {
        let bind = if name == "addr_in_use" { bind_user.local_addr().unwrap() } else { "127.0.0.1:0".parse().unwrap() };
        let rpc = if name == "rpc_in_use" { rpc_user.local_addr().unwrap() } else { "127.0.0.1:0".parse().unwrap() };
        let swap = |text: &str, bind: &str, rpc: &str| {
            text.replace("127.0.0.79:17952", bind)
                .replace("127.0.0.78:17951", bind)
                .replace("127.0.0.79:17399", rpc)
                .replace("port 17952", &format!("port {}", bind.rsplit(':').next().unwrap()))
                .replace("127.0.0.79", "127.0.0.1")
                .replace("/etc/serf/", &files)
        };
        let (bind, rpc) = (bind.to_string(), rpc.to_string());
        let mut arguments: Vec<_> =
            run["argv"].as_array().unwrap()[1..].iter().map(|text| swap(text.as_str().unwrap(), &bind, &rpc)).collect();
        // The host's, when it was captured.
        arguments.push("-node=vm".into());
        let found = swim(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let (bind, rpc) =
            (banner(&found.stdout, "Bind addr").unwrap_or(&bind), banner(&found.stdout, "RPC addr").unwrap_or(&rpc));
        let expected = swap(run["stdout"].as_str().unwrap(), bind, rpc);
        assert_eq!((found.code, &*found.stderr), (Some(1), run["stderr"].as_str().unwrap()), "{name}: {found:?}");
        if expected.ends_with('\n') {
            assert_eq!(found.stdout, expected, "{name}");
        } else {
            // It was cut, in the middle of the log.
            let (found, expected) = (without_digits(&found.stdout), without_digits(&expected));
            assert!(found.starts_with(&expected), "{name}:\n{found}\nis not\n{expected}");
        }
    }
}

/// What Serf has no words for, or other ones.
#[test]
fn messages_of_our_own() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = format!("-metrics-addr={}", taken.local_addr().unwrap());
    let directory = Directory::new("own-messages");
    let names = directory.write("a.json", r#"{"validate_node_names": true, "node_name": "a b"}"#);
    let facility = directory.write("b.json", r#"{"enable_syslog": true, "syslog_facility": "x"}"#);
    #[rustfmt::skip]
    let table: [(&[&str], &str); 15] = [
        (&["-rpc-addr=unix:"],                  "==> Invalid RPC address: address unix:: missing path of the socket\n"),
        (&["-dns-server=localhost"],            "==> Invalid DNS server: 'localhost' is no IP address, with or without a port\n"),
        (&["-dns-server=127.0.0.1:0"],          "==> Invalid DNS server: '127.0.0.1:0' is no IP address, with or without a port\n"),
        (&["-dns-server=::1", "-dns-server=::2", "-dns-server=::3", "-dns-server=::4"], "==> Invalid DNS server: '::4' is one too many: no more than 3 are asked\n"),
        (&["-mdns-iface=lo"],                   "==> mDNS interface specified without enabling mDNS discovery\n"),
        (&["-discover=x", "-mdns-iface=nope0"], "==> Invalid mDNS network interface: route ip+net: no such network interface\n"),
        (&["-discover=x", "-iface=nope0"],      "==> Invalid network interface: route ip+net: no such network interface\n"),
        (&["-discover=x", "-mdns-disable-ipv4", "-mdns-disable-ipv6"], "==> Invalid mDNS configuration: both IPv4 and IPv6 are disabled\n"),
        (&["-discover=x..y"],                   "==> Invalid mDNS configuration: 'x..y' cannot be the name of a cluster"),
        (&["-log-format=x"],                    "==> Invalid log format: x. Valid log formats are: [text json]\n"),
        (&["-metrics-addr=127.0.0.1"],          "==> Invalid metrics address: '127.0.0.1' has no port\n"),
        (&["-dev", "-metrics-addr=0.0.0.0:1"],  "==> -dev keeps to the loopback interface: -metrics-addr=0.0.0.0:1 does not fit"),
        (&[&in_use],                            "==> Starting Serf agent...\n==> Error starting metrics listener: listen tcp 127.0.0.1:"),
        (&["-config-file", &names],             "==> Starting Serf agent...\n==> Failed to start the Serf agent: Error creating Serf: Node name contains characters other than letters, digits, dashes and dots: 'a b'\n"),
        (&["-config-file", &facility],          "==> Syslog setup failed: invalid syslog facility: x\n"),
    ];
    for (arguments, message) in table {
        let found = swim(&[&["agent", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0"], arguments].concat());
        assert_eq!((found.code, &*found.stderr), (Some(1), ""), "{arguments:?}");
        assert!(found.stdout.starts_with(message), "{arguments:?}: {}", found.stdout);
    }
}

/// In JSON everything is, from the moment that this is known.
#[test]
fn failures_in_json() {
    let found = swim(&["agent", "-log-format=json", "-profile=xx", "-retry-interval=1ms"]);
    let lines: Vec<serde_json::Value> = found.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| (line["level"].as_str(), line["message"].as_str())).collect();
    assert_eq!(
        told,
        [
            (Some("INFO"), Some("Warning: 'RetryInterval' is too low. Setting to 1s")),
            (Some("ERR"), Some("Unknown profile: xx"))
        ]
    );
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
        (r#"{"mdns": {"iface": "x"}}"#, "1 error(s) decoding:\n\n* 'mdns' has invalid keys: iface\n"),
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
    // Of an address of its own: nobody else may take the port meanwhile.
    let user = UdpSocket::bind("127.0.0.94:0").unwrap();
    let free = user.local_addr().unwrap();
    drop(user);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let rpc = taken.local_addr().unwrap();
    assert_eq!(swim(&["agent", &format!("-bind={free}"), &format!("-rpc-addr={rpc}")]).code, Some(1));
    assert!(UdpSocket::bind(free).is_ok());
}
