//! Who is told what the agent measures.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Instant;

use crate::support::{Agent, Directory, UNHURRIED};

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends `request` and reads all that comes back.
pub(crate) fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn prometheus_can_ask() {
    let a = Agent::start("a", &[UNHURRIED, "-metrics-addr=127.0.0.1:0", "-event-handler=user:deploy=true"]);
    let b = Agent::start("b", &[UNHURRIED, "-join", &a.bind.to_string()]);
    a.members_until(|members| members.matches(" alive").count() == 2);
    assert_eq!(a.swim("event", &["-coalesce=false", "deploy"]).code, Some(0));
    let address = a.banner("Metrics");
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", text.len())), "{head}");
        let probed = value(text, "swim_probe_outcomes_total{outcome=\"direct\"}").unwrap() > 0.0;
        if probed && value(text, "swim_handler_seconds_count{handler=\"user:deploy\"}") == Some(1.0) {
            break text.to_owned();
        }
        assert!(Instant::now() < deadline, "{text}");
        thread::sleep(Duration::from_millis(50));
    };
    for (series, expected) in [
        ("swim_members{status=\"alive\"}", 2.0),
        ("swim_members{status=\"failed\"}", 0.0),
        ("swim_member_events_total{kind=\"join\"}", 2.0),
        ("swim_user_events_total{outcome=\"heard\"}", 1.0),
        ("swim_health_score", 0.0),
        ("swim_encrypted", 0.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}");
    }
    assert!(value(&text, "swim_rpc_clients_total").unwrap() >= 2.0);
    assert!(value(&text, "swim_rpc_commands_total").unwrap() >= 4.0);

    assert!(ask(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(address, "DELETE /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    // Many that say nothing keep nobody else away for long.
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    let answered = || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200 OK").then_some(())
    };
    let deadline = Instant::now() + PATIENCE;
    while answered().is_none() {
        assert!(Instant::now() < deadline, "the silent are still served");
        thread::sleep(Duration::from_millis(100));
    }
    drop(silent);
    drop(b);
}

#[test]
fn statsd_and_statsite_are_told() {
    let statsd = UdpSocket::bind("127.0.0.1:0").unwrap();
    statsd.set_read_timeout(Some(PATIENCE)).unwrap();
    let statsite = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = Directory::new("sinks");
    let file = directory.write(
        "a.json",
        &format!(
            r#"{{"statsd_addr": "{}", "statsite_addr": "{}"}}"#,
            statsd.local_addr().unwrap(),
            statsite.local_addr().unwrap()
        ),
    );
    let a = Agent::start("a", &["-config-file", &file]);
    let (mut stream, _) = statsite.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(a.swim("members", &[]).code, Some(0));
    // The health score comes every second, so it comes after the rest.
    let complete = |text: &str| {
        text.contains("serf-agent.serf.member.join:1.000000|c\n")
            && text.contains("serf-agent.agent.ipc.accept:1.000000|c\n")
            && text.matches("serf-agent.agent.ipc.command:1.000000|c\n").count() == 2
            && text
                .lines()
                .any(|line| line.starts_with("serf-agent.") && line.ends_with(".memberlist.health.score:0.000000|g"))
    };
    let mut received = String::new();
    let deadline = Instant::now() + PATIENCE;
    while !complete(&received) {
        let mut datagram = [0; 4096];
        let len = statsd.recv(&mut datagram).unwrap();
        assert!(len <= 1400);
        received += core::str::from_utf8(&datagram[..len]).unwrap();
        assert!(Instant::now() < deadline, "{received}");
    }
    let mut received = Vec::new();
    while !complete(&String::from_utf8_lossy(&received)) {
        let mut chunk = [0; 4096];
        let len = stream.read(&mut chunk).unwrap();
        assert!(len > 0, "it has hung up");
        received.extend_from_slice(&chunk[..len]);
        assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&received));
    }
    // A server that was restarted is found again.
    drop(stream);
    let (mut stream, _) = statsite.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
}

/// Sinks that are not there are mentioned, and nothing else comes of it.
#[test]
fn sinks_may_be_missing() {
    let directory = Directory::new("no-sinks");
    let file = directory.write("a.json", r#"{"statsd_addr": "nobody.invalid:1", "statsite_addr": "127.0.0.1:1"}"#);
    let mut a = Agent::start("a", &["-config-file", &file]);
    a.wait_for("[WARN] agent: Error sending metrics to 127.0.0.1:1: connection refused");
    a.wait_for("[WARN] agent: Error sending metrics to nobody.invalid:1: ");
    assert_eq!(a.swim("members", &[]).code, Some(0));
}

#[test]
fn a_signal_shows_the_last_minute() {
    let mut a = Agent::start("a", &[]);
    assert_eq!(a.swim("members", &[]).code, Some(0));
    a.signal("USR1");
    a.wait_for("[G] 'serf-agent.memberlist.health.score': 0.000");
    a.wait_for("[C] 'serf-agent.serf.member.join': Count: 1 Sum: 1.000 LastUpdated: 20");
    // Two of them, in one interval of ten seconds or in one each.
    let commands = "[C] 'serf-agent.agent.ipc.command': Count: ";
    a.wait_for(commands);
    if !a.output.contains(&format!("{commands}2 Sum: 2.000 LastUpdated: 20")) {
        a.wait_for_several(2, &format!("{commands}1 Sum: 1.000 LastUpdated: 20"));
    }
    assert_eq!(a.swim("members", &[]).code, Some(0), "it goes on");
    assert!(!a.output.contains("Caught signal"), "{}", a.output);
}
