//! A flood from strangers: fifty thousand datagrams a second that nobody can open, and five hundred streams that say next
//! to nothing, against one member of three. It takes two minutes and most of two processors, so it runs on demand:
//!
//! cargo test --release -p swim-agent --test it flood -- --ignored --nocapture --test-threads=1

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::client::Client;
use crate::metrics::{ask, value};
use crate::support::{Agent, PATIENCE, swim};

const LASTS: Duration = Duration::from_secs(60);
const DATAGRAMS_A_SECOND: u64 = 50_000;
const STREAMS: usize = 500;
/// What allocators may keep of what a hundred and twenty-eight streams once took. It was 1.2 MiB when this was written.
const MEMORY_KEPT: usize = 2 << 20;

#[test]
#[ignore = "it takes a minute and most of two processors"]
fn on_the_native_wire() {
    is_borne("native", [201, 202, 203], b"\xf5\x11");
}

#[test]
#[ignore = "it takes a minute and most of two processors"]
fn on_serfs_wire() {
    is_borne("serf", [204, 205, 206], b"\x01");
}

/// `sealed`: how something begins that only a key can tell from a member's.
fn is_borne(wire: &str, hosts: [u8; 3], sealed: &[u8]) {
    let key = swim(&["keygen"]).stdout;
    let encrypt = format!("-encrypt={}", key.trim());
    let start = |host: u8, name: &str, more: &[&str]| {
        let arguments = ["-wire", wire, "-profile=lan", &encrypt, "-log-level=err"];
        Agent::start_at(&format!("127.0.0.{host}"), name, &[&arguments[..], more].concat())
    };
    let victim = start(hosts[0], "victim", &["-metrics-addr=127.0.0.1:0"]);
    let join = format!("-join={}", victim.bind);
    let others = [start(hosts[1], "b", &[&join]), start(hosts[2], "c", &[&join])];
    for agent in [&victim, &others[0], &others[1]] {
        agent.members_until(|members| members.matches(" alive").count() == 3);
    }
    let mut hears = Client::shaken(&victim);
    assert!(hears.ask("stream", 1, &json!({ "Type": "user" })).is_ok());
    let mut witnesses = [Client::shaken(&others[0]), Client::shaken(&others[1])];
    for witness in &mut witnesses {
        assert!(witness.ask("stream", 1, &json!({ "Type": "member-failed,member-leave" })).is_ok());
    }
    let memory = victim.memory();
    let (busy, cpu) = (machine_cpu(), victim.cpu());
    let (over, sent, dialled) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    thread::scope(|scope| {
        scope.spawn(|| datagrams(victim.bind, sealed, &over, &sent));
        scope.spawn(|| streams(victim.bind, sealed, &over, &dialled));
        let mut told = 0;
        while began.elapsed() < LASTS {
            let started = Instant::now();
            assert_eq!(others[told % 2].swim("event", &["-coalesce=false", &format!("event-{told}")]).code, Some(0));
            let (_, event) = hears.record();
            assert_eq!(event["Name"], format!("event-{told}"), "each arrives, once");
            slowest = slowest.max(started.elapsed());
            told += 1;
            thread::sleep(Duration::from_secs(2));
        }
        over.store(true, Ordering::Relaxed);
    });
    let seconds = began.elapsed().as_secs_f64();
    let (sent, dialled) = (sent.into_inner(), dialled.into_inner());
    let peak = victim.memory();
    println!(
        "{wire}: {:.0} datagrams a second, {dialled} streams in {seconds:.0} s; the victim took {:.0} % of a processor, all of \
         the machine's {:.0} % were busy; an event took at most {slowest:?}; resident {} KiB before, {} KiB at the end",
        sent as f64 / seconds,
        100.0 * (victim.cpu() - cpu) / seconds,
        100.0 * (machine_cpu() - busy) / seconds / thread::available_parallelism().unwrap().get() as f64,
        memory >> 10,
        peak >> 10,
    );
    for (agent, witness) in others.iter().zip(&mut witnesses) {
        assert!(witness.is_silent(Duration::from_secs(2)), "{} has somebody failed or gone", agent.name);
        agent.members_until(|members| members.matches(" alive").count() == 3);
    }
    let counted = ask(victim.banner("Metrics"), "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let reasons = ["malformed", "foreign_wire", "not_opened", "bad_checksum"];
    let series = reasons.map(|reason| format!("swim_datagrams_dropped_total{{reason=\"{reason}\"}}"));
    let dropped: f64 = series.iter().map(|series| value(&counted, series).unwrap()).sum();
    println!("{wire}: it has refused {dropped} of {sent} datagrams, the kernel the others");
    assert!(dropped > 0.5 * sent as f64, "of {sent} datagrams it has seen {dropped}");
    assert!(
        value(&counted, "swim_over_limit_total{what=\"streams\"}").unwrap() > 0.0,
        "that many streams are too many"
    );
    let deadline = Instant::now() + PATIENCE;
    while victim.memory() > memory + MEMORY_KEPT {
        assert!(Instant::now() < deadline, "{} KiB were {} KiB before", victim.memory() >> 10, memory >> 10);
        thread::sleep(Duration::from_millis(500));
    }
}

/// Fifty thousand a second, in bursts of a millisecond: noise, plain text, and what looks sealed, of all lengths.
fn datagrams(to: SocketAddr, sealed: &[u8], over: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 1_u64;
    let mut noise = move || {
        // A linear congruential generator does for noise.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let bytes: Vec<u8> = (0..4096).map(|_| noise().to_le_bytes()[0]).collect();
    let began = Instant::now();
    let mut datagram = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let due = began.elapsed().as_millis() as u64 * DATAGRAMS_A_SECOND / 1000;
        while sent.load(Ordering::Relaxed) < due {
            let (at, len) = (noise() % 2048, noise() % 1400);
            datagram.clear();
            match noise() % 4 {
                0 => datagram.extend([2, 0x80]), // Serf's suspect message, not sealed.
                1 => {}
                _ => datagram.extend(sealed),
            }
            datagram.extend(&bytes[at..at + len]);
            // What the kernel has no room for has been sent all the same.
            let _ = socket.send_to(&datagram, to);
            sent.fetch_add(1, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Five hundred at once, each a byte a second; whoever is turned away comes again.
fn streams(to: SocketAddr, sealed: &[u8], over: &AtomicBool, dialled: &AtomicU64) {
    let mut open: Vec<Option<TcpStream>> = (0..STREAMS).map(|_| None).collect();
    let mut turn = 0;
    while !over.load(Ordering::Relaxed) {
        for slot in &mut open {
            let stays = slot.as_mut().is_some_and(|stream| {
                let byte = sealed.get(turn % 8).copied().unwrap_or_default();
                let gone = matches!(stream.read(&mut [0; 64]), Ok(0)) // Closed.
                    || stream.write(&[byte]).is_err_and(|error| error.kind() != ErrorKind::WouldBlock);
                !gone
            });
            if !stays {
                *slot = TcpStream::connect_timeout(&to, Duration::from_secs(1)).ok();
                if let Some(stream) = slot {
                    stream.set_nonblocking(true).unwrap();
                    dialled.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        turn += 1;
        thread::sleep(Duration::from_secs(1));
    }
}

/// Seconds that the machine's processors have been busy.
fn machine_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let ticks: Vec<f64> = stat.lines().next().unwrap().split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    // All but idle and waiting for a disk; what guests take is counted twice.
    (ticks[..3].iter().sum::<f64>() + ticks[5..8].iter().sum::<f64>()) / 100.0
}
