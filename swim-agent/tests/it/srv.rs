//! Joining by the name of a service, with a nameserver of our own.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use simple_dns::rdata::{A, RData, SRV};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use crate::support::{Agent, PATIENCE, swim};

const NAME: &str = "_serf._tcp.example.org";

/// What a nameserver does when it is asked.
#[derive(Clone)]
enum Manner {
    /// Says where these are, with their addresses or without.
    Tells {
        members: Vec<SocketAddr>,
        addresses: bool,
    },
    /// The same, but says by UDP only that there is more to say.
    TellsByTcp {
        members: Vec<SocketAddr>,
    },
    /// Says that there is more to say, and then by TCP begins to and stops.
    StopsHalfway,
    /// Answers with this code.
    Refuses(RCODE),
    /// That there is no service.
    Denies,
    /// Nothing in the answer.
    IsEmpty,
    /// Bytes that are no message.
    Babbles,
    /// An answer, in which a name points to itself.
    Loops,
    /// An answer to another question.
    Misunderstands,
    IsSilent,
}

/// A nameserver for `example.org`, gone when dropped.
struct Nameserver {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Nameserver {
    fn start(manner: Manner) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let (manner, stop) = (Arc::new(Mutex::new(manner)), Arc::new(AtomicBool::new(false)));
        let by_udp = {
            let (manner, stop) = (Arc::clone(&manner), Arc::clone(&stop));
            thread::spawn(move || {
                let mut query = [0; 512];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((len, from)) = udp.recv_from(&mut query) else { continue };
                    let manner = manner.lock().unwrap().clone();
                    if let Some(reply) = manner.reply(&query[..len], false) {
                        udp.send_to(&reply, from).unwrap();
                    }
                }
            })
        };
        let by_tcp = {
            let (manner, stop) = (Arc::clone(&manner), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = match tcp.accept() {
                        Ok((stream, _)) => stream,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            thread::sleep(Duration::from_millis(10));
                            continue;
                        }
                    };
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let mut len = [0; 2];
                    stream.read_exact(&mut len).unwrap();
                    let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
                    stream.read_exact(&mut query).unwrap();
                    let manner = manner.lock().unwrap().clone();
                    let reply = manner.reply(&query, true).unwrap();
                    stream.write_all(&u16::try_from(reply.len()).unwrap().to_be_bytes()).unwrap();
                    let sent = if matches!(manner, Manner::StopsHalfway) { reply.len() / 2 } else { reply.len() };
                    stream.write_all(&reply[..sent]).unwrap();
                }
            })
        };
        Self { address, manner, stop, threads: vec![by_udp, by_tcp] }
    }

    fn change(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn flag(&self) -> String {
        format!("-dns-server={}", self.address)
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that has panicked has failed its test.
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking());
        }
    }
}

impl Manner {
    fn reply(&self, query: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let query = Packet::parse(query).unwrap();
        let question = query.questions[0].clone();
        let mut reply = Packet::new_reply(query.id());
        reply.questions.push(question.clone());
        let host = |member: &SocketAddr| format!("host-{}.example.org", u32::from(ipv4(member)));
        let named: Vec<_> = self.members().iter().map(|member| (host(member), *member)).collect();
        let names: Vec<_> = named.iter().map(|(name, member)| (Name::new(name).unwrap(), member)).collect();
        let a = |name: &Name<'_>, member| {
            let rdata = RData::A(A::from(ipv4(member)));
            ResourceRecord::new(name.clone().into_owned(), CLASS::IN, 5, rdata)
        };
        let mut bytes = Vec::new();
        match self {
            Self::Tells { .. } | Self::TellsByTcp { .. } if question.qtype == QTYPE::TYPE(TYPE::A) => {
                reply.answers.extend(
                    names.iter().filter(|(name, _)| *name == question.qname).map(|(name, member)| a(name, member)),
                );
            }
            Self::TellsByTcp { .. } | Self::StopsHalfway if !tcp => reply.set_flags(PacketFlag::TRUNCATION),
            Self::Tells { .. } | Self::TellsByTcp { .. } if question.qtype == QTYPE::TYPE(TYPE::SRV) => {
                assert_eq!(question.qname, Name::new(NAME).unwrap());
                for (name, member) in &names {
                    let srv = SRV { priority: 0, weight: 1, port: member.port(), target: name.clone() };
                    reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 5, RData::SRV(srv)));
                }
                if matches!(self, Self::Tells { addresses: true, .. }) {
                    reply.additional_records.extend(names.iter().map(|(name, member)| a(name, member)));
                }
            }
            Self::Denies => {
                let srv = SRV { priority: 0, weight: 0, port: 0, target: Name::new(".").unwrap() };
                reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 5, RData::SRV(srv)));
            }
            Self::Refuses(code) => *reply.rcode_mut() = *code,
            Self::Babbles => bytes = b"\xffbabble".to_vec(),
            Self::Misunderstands => reply.questions[0].qname = Name::new("_other._tcp.example.org").unwrap(),
            Self::IsSilent => return None,
            Self::Loops => {
                bytes = reply.build_bytes_vec().unwrap();
                bytes[7] = 1; // One answer, whose name begins with a pointer to where it is itself.
                let at = u8::try_from(bytes.len()).unwrap();
                bytes.extend([0xc0, at, 0, 33, 0, 1, 0, 0, 0, 5, 0, 0]);
            }
            Self::IsEmpty | Self::StopsHalfway | Self::Tells { .. } | Self::TellsByTcp { .. } => {}
        }
        Some(if bytes.is_empty() { reply.build_bytes_vec().unwrap() } else { bytes })
    }

    fn members(&self) -> &[SocketAddr] {
        if let Self::Tells { members, .. } | Self::TellsByTcp { members } = self { members } else { &[] }
    }
}

fn ipv4(member: &SocketAddr) -> Ipv4Addr {
    let IpAddr::V4(ip) = member.ip() else { panic!("{member}") };
    ip
}

fn alive(agent: &Agent, count: usize) {
    agent.members_until(|members| members.matches(" alive").count() == count);
}

#[test]
fn all_targets_are_joined() {
    let (a, b) = (Agent::start_at("127.0.0.81", "a", &[]), Agent::start_at("127.0.0.82", "b", &[]));
    let members = vec![a.bind, b.bind];
    let nameserver = Nameserver::start(Manner::Tells { members: members.clone(), addresses: true });
    let join = format!("-join={NAME}");
    let c = Agent::start_at("127.0.0.83", "c", &[&join, &nameserver.flag()]);
    assert!(c.output.contains("Join completed. Synced with 2 initial agents"), "{}", c.output);
    alive(&c, 3);
    // The nameserver that knows the targets also knows where they are.
    nameserver.change(Manner::Tells { members: members.clone(), addresses: false });
    let d = Agent::start_at("127.0.0.84", "d", &[&join, &nameserver.flag()]);
    assert!(d.output.contains("Join completed. Synced with 2 initial agents"), "{}", d.output);
    // Too much for a datagram.
    nameserver.change(Manner::TellsByTcp { members });
    let e = Agent::start_at("127.0.0.85", "e", &[&join, &nameserver.flag()]);
    assert!(e.output.contains("Join completed. Synced with 2 initial agents"), "{}", e.output);
    alive(&a, 5);
}

/// Whatever a nameserver does, the log says so, the agent goes on, and asks again.
#[test]
fn what_goes_wrong_is_told_and_tried_again() {
    let a = Agent::start_at("127.0.0.86", "a", &[]);
    let nameserver = Nameserver::start(Manner::Refuses(RCODE::NameError));
    let retry = format!("-retry-join={NAME}");
    let mut b = Agent::start_at("127.0.0.87", "b", &[&retry, "-retry-interval=1s", &nameserver.flag()]);
    #[rustfmt::skip]
    let table = [
        (Manner::Refuses(RCODE::NameError),     "no such host"),
        (Manner::Refuses(RCODE::ServerFailure), "server misbehaving (ServerFailure)"),
        (Manner::Refuses(RCODE::Refused),       "server misbehaving (Refused)"),
        (Manner::IsEmpty,                       "the name has no such record"),
        (Manner::Babbles,                       "cannot understand what the nameserver sends"),
        (Manner::Loops,                         "cannot understand what the nameserver sends"),
        (Manner::Misunderstands,                "cannot understand what the nameserver sends"),
        (Manner::StopsHalfway,                  "unexpected EOF"),
        (Manner::IsSilent,                      "i/o timeout"),
    ];
    for (manner, said) in table {
        nameserver.change(manner);
        // What was under way may still be told; what is told twice is also of the new manner.
        let line = format!("[WARN] agent: Failed to resolve {NAME}: lookup {NAME} on {}: {said}", nameserver.address);
        b.forget();
        b.wait_for_several(2, &line);
        alive(&b, 1);
    }
    nameserver.change(Manner::Denies);
    b.wait_for("the service is said not to exist");
    b.wait_for("[WARN] agent: Join failed: 1 error occurred:");
    // It would be a cluster of one.
    nameserver.change(Manner::Tells { members: vec![b.bind], addresses: true });
    b.wait_for("nobody but this member");
    nameserver.change(Manner::Tells { members: vec![b.bind, a.bind], addresses: true });
    b.wait_for("[INFO] agent: Join completed. Synced with 1 initial agents");
    alive(&a, 2);
}

#[test]
fn one_attempt_is_all_that_a_start_has() {
    // Of an address of its own: nobody else may take the port.
    let nobody = UdpSocket::bind("127.0.0.90:0").unwrap().local_addr().unwrap();
    let server = format!("-dns-server={nobody}");
    let found = swim(&["agent", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0", "-join=_serf._tcp.example.org", &server]);
    assert_eq!(found.code, Some(1));
    let said = format!(
        "==> 1 error occurred:\n\t* Failed to resolve {NAME}: lookup {NAME} on {nobody}: connection refused\n\n"
    );
    assert!(found.stdout.contains(&said), "{}", found.stdout);
}

/// Names of services and others together, over RPC: who can be reached counts.
#[test]
fn a_running_agent_looks_names_up_as_well() {
    let a = Agent::start_at("127.0.0.88", "a", &[]);
    let nameserver = Nameserver::start(Manner::Tells { members: vec![a.bind], addresses: true });
    let mut b = Agent::start_at("127.0.0.89", "b", &[&nameserver.flag()]);
    let joined = b.swim("join", &[NAME, "127.0.0.89:1"]);
    assert_eq!(joined.stdout, "Successfully joined cluster by contacting 1 nodes.\n");
    nameserver.change(Manner::IsEmpty);
    assert_eq!(b.swim("join", &[NAME, &a.bind.to_string()]).code, Some(0));
    b.wait_for("the name has no such record");
    let failed = b.swim("join", &[NAME, "127.0.0.89:1"]);
    assert!(failed.stdout.contains("2 errors occurred:"), "{}", failed.stdout);
    assert!(failed.stdout.contains(&format!("* Failed to resolve {NAME}: ")), "{}", failed.stdout);
}
