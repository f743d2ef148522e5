//! Questions to nameservers: those of `-dns-server`, or those of the system (`resolv.conf(5)`, whose rules hold).
//!
//! A question goes by UDP, and again by TCP if the answer does not fit. Only a datagram from the nameserver, with our
//! random number and our question, is an answer; whatever else comes is passed over until the time is up.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::{fs, io};

use resolv_conf::ScopedIp;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::discovery::parse;
use crate::io_text::io_text;

/// Whom to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nameservers {
    servers: Vec<SocketAddr>,
    /// Domains in which a name may be meant.
    search: Vec<String>,
    /// A name with fewer dots is first tried in those.
    dots: usize,
}

/// One line of an SRV record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    /// Without a dot at its end; empty if the service is said not to exist.
    pub(crate) target: String,
    pub(crate) port: u16,
    /// Of the target, if the answer has told.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Nameservers {
    /// These, in this order, for full names only; at most [`SERVERS_MAX`].
    pub(crate) fn given(servers: &[SocketAddr]) -> Self {
        Self { servers: servers.to_vec(), search: Vec::new(), dots: 0 }
    }

    /// The system's as they are now.
    pub(crate) fn of_system() -> Self {
        // Without the file, as in resolver(5), it is the one on this machine.
        Self::from_resolv_conf(&fs::read(RESOLV_CONF).unwrap_or_default())
    }

    fn from_resolv_conf(text: &[u8]) -> Self {
        // What cannot be understood is passed over, as by everybody who reads this file.
        let (config, _) = resolv_conf::Config::parse_with_errors(text);
        let address = |ip: &ScopedIp| match ip {
            ScopedIp::V4(ip) => Some(IpAddr::V4(*ip)),
            // A scope by name would have to be looked up, for an address that hardly any nameserver has.
            ScopedIp::V6(_, Some(_)) => None,
            ScopedIp::V6(ip, None) => Some(IpAddr::V6(*ip)),
        };
        let mut servers: Vec<_> =
            config.nameservers.iter().filter_map(address).map(|ip| SocketAddr::new(ip, PORT)).collect();
        if servers.is_empty() {
            servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        servers.truncate(SERVERS_MAX);
        let search = config.get_last_search_or_domain().filter(|domain| !domain.is_empty()).take(SEARCH_MAX);
        Self { servers, search: search.cloned().collect(), dots: config.ndots as usize }
    }

    /// The services behind `name`; at least one.
    pub(crate) async fn services(&self, name: &str) -> Result<Vec<Service>, LookupError> {
        let mut failure = None;
        for name in self.candidates(name) {
            match self.ask(&name, TYPE::SRV, services).await {
                Ok(services) => return Ok(services),
                // Said of the name that was given, not of what the search has made of it.
                Err(error @ LookupError { fault: Fault::NoSuchName | Fault::NoRecord, .. }) => {
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or(LookupError { server: None, fault: Fault::NotAName }))
    }

    /// The addresses of a host; at least one.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        match self.ask(host, TYPE::A, addresses).await {
            Err(LookupError { fault: Fault::NoRecord, .. }) => self.ask(host, TYPE::AAAA, addresses).await,
            outcome => outcome,
        }
    }

    /// The full names that `name` can mean, in the order to try them.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let mut names: Vec<_> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let full_at = if name.matches('.').count() < self.dots { names.len() } else { 0 };
        names.insert(full_at, name.to_owned());
        names
    }

    /// Asks one nameserver after the other until one knows.
    async fn ask<T>(&self, name: &str, kind: TYPE, read: fn(&Packet<'_>) -> Vec<T>) -> Result<Vec<T>, LookupError> {
        let name = Name::new(name).map_err(|_| LookupError { server: None, fault: Fault::NotAName })?;
        let question = Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false);
        let mut failure = LookupError { server: None, fault: Fault::NoServer };
        for server in (0..ATTEMPTS).flat_map(|_| &self.servers) {
            let fault = match exchange(*server, &question).await {
                Ok(reply) => match judge(&reply, read) {
                    Ok(found) => return Ok(found),
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            let known = matches!(fault, Fault::NoSuchName | Fault::NoRecord);
            failure = LookupError { server: Some(*server), fault };
            if known {
                break;
            }
        }
        Err(failure)
    }
}

/// What a reply to our question comes to.
pub(crate) fn judge<T>(reply: &[u8], read: fn(&Packet<'_>) -> Vec<T>) -> Result<Vec<T>, Fault> {
    let packet = parse(reply).map_err(|_| Fault::Garbage)?;
    let code = packet.rcode();
    if code == RCODE::NameError {
        return Err(Fault::NoSuchName);
    }
    if code != RCODE::NoError {
        return Err(Fault::Code(code));
    }
    let found = read(&packet);
    if found.is_empty() { Err(Fault::NoRecord) } else { Ok(found) }
}

/// Those of the answer, which may be an alias's, the preferred ones first.
pub(crate) fn services(packet: &Packet<'_>) -> Vec<Service> {
    let records = || packet.answers.iter().chain(&packet.additional_records);
    let mut services = Vec::new();
    for record in &packet.answers {
        let RData::SRV(service) = &record.rdata else { continue };
        if services.len() < SERVICES_MAX {
            services.push(Service {
                priority: service.priority,
                weight: service.weight,
                target: if service.target.get_labels().is_empty() { String::new() } else { service.target.to_string() },
                port: service.port,
                addresses: records()
                    .filter(|record| record.name == service.target)
                    .filter_map(address)
                    .take(ADDRESSES_MAX)
                    .collect(),
            });
        }
    }
    services.sort_by_key(|service| (service.priority, core::cmp::Reverse(service.weight)));
    services
}

pub(crate) fn addresses(packet: &Packet<'_>) -> Vec<IpAddr> {
    packet.answers.iter().filter_map(address).take(ADDRESSES_MAX).collect()
}

/// The address in a record, if it is one of an address.
pub(super) fn address(record: &ResourceRecord<'_>) -> Option<IpAddr> {
    if let RData::A(a) = &record.rdata {
        Some(Ipv4Addr::from(a.address).into())
    } else if let RData::AAAA(aaaa) = &record.rdata {
        Some(Ipv6Addr::from(aaaa.address).into())
    } else {
        None
    }
}

/// Puts one question to one nameserver; the bytes of its reply.
async fn exchange(server: SocketAddr, question: &Question<'_>) -> Result<Vec<u8>, Fault> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|_| Fault::NoRandomness)?;
    let mut query = Packet::new_query(u16::from_be_bytes(id));
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    query.questions.push(question.clone());
    let bytes = query.build_bytes_vec().map_err(|_| Fault::NotAName)?;

    let mut heard = false;
    let reply = match timeout(PATIENCE, by_udp(server, &query, &bytes, &mut heard)).await {
        Ok(reply) => reply?,
        Err(_) if heard => return Err(Fault::Garbage),
        Err(_) => return Err(Fault::TimedOut),
    };
    if !parse(&reply).is_ok_and(|reply| reply.has_flags(PacketFlag::TRUNCATION)) {
        return Ok(reply);
    }
    let reply = timeout(PATIENCE, by_tcp(server, &bytes)).await.map_err(|_| Fault::TimedOut)??;
    if answers(&reply, &query) { Ok(reply) } else { Err(Fault::Garbage) }
}

/// `heard`: something came that was no answer.
async fn by_udp(server: SocketAddr, query: &Packet<'_>, bytes: &[u8], heard: &mut bool) -> Result<Vec<u8>, Fault> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected, it hears nobody else, and hears when there is no nameserver.
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut reply = vec![0; UDP_LEN_MAX];
    loop {
        let len = socket.recv(&mut reply).await?;
        if answers(&reply[..len], query) {
            reply.truncate(len);
            return Ok(reply);
        }
        *heard = true;
    }
}

async fn by_tcp(server: SocketAddr, query: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut stream = TcpStream::connect(server).await?;
    let mut framed = u16::try_from(query.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let len = usize::from(stream.read_u16().await?);
    if len > TCP_LEN_MAX {
        return Err(Fault::TooLong);
    }
    let mut reply = vec![0; len];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// Whether this is the reply to our question. One that is cut off may be nothing but its header.
fn answers(reply: &[u8], query: &Packet<'_>) -> bool {
    let Ok(reply) = parse(reply) else { return false };
    let same =
        |(ours, theirs): (&Question<'_>, &Question<'_>)| ours.qname == theirs.qname && ours.qtype == theirs.qtype;
    reply.has_flags(PacketFlag::RESPONSE)
        && reply.id() == query.id()
        && reply.questions.len() == query.questions.len()
        && query.questions.iter().zip(&reply.questions).all(same)
}

/// Why a name could not be looked up; after "lookup NAME".
#[derive(Debug)]
pub(crate) struct LookupError {
    server: Option<SocketAddr>,
    fault: Fault,
}

#[derive(Debug)]
pub(crate) enum Fault {
    NotAName,
    NoServer,
    NoRandomness,
    Io(io::Error),
    TimedOut,
    Garbage,
    TooLong,
    Code(RCODE),
    NoSuchName,
    NoRecord,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = self.server {
            write!(f, " on {server}")?;
        }
        f.write_str(": ")?;
        match &self.fault {
            Fault::NotAName => f.write_str("not a name that DNS can have"),
            Fault::NoServer => f.write_str("no nameserver to ask"),
            Fault::NoRandomness => f.write_str("no randomness from the system"),
            Fault::Io(error) => f.write_str(&io_text(error)),
            Fault::TimedOut => f.write_str("i/o timeout"),
            Fault::Garbage => f.write_str("cannot understand what the nameserver sends"),
            Fault::TooLong => write!(f, "an answer of more than {TCP_LEN_MAX} bytes"),
            Fault::Code(code) => write!(f, "server misbehaving ({code:?})"),
            Fault::NoSuchName => f.write_str("no such host"),
            Fault::NoRecord => f.write_str("the name has no such record"),
        }
    }
}

const RESOLV_CONF: &str = "/etc/resolv.conf";
pub(crate) const PORT: u16 = 53;
/// Nameservers that are asked, as in resolver(5).
pub(crate) const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;
/// Rounds through them. Whoever joins tries again anyway.
const ATTEMPTS: usize = 2;
/// For one answer, over either transport.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nobody was told that we take more than 512 bytes; this is what some send all the same.
const UDP_LEN_MAX: usize = 4096;
const TCP_LEN_MAX: usize = 16 << 10;
/// Of one name.
pub(crate) const SERVICES_MAX: usize = 64;
/// Of one host.
pub(crate) const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_nameservers() {
        let servers = |text: &str| Nameservers::from_resolv_conf(text.as_bytes());
        let found = servers(
            "# c\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nbogus\nnameserver ::1\noptions ndots:5\n\
             search a.example b.example\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n",
        );
        let expected = ["10.0.0.1:53", "[::1]:53", "10.0.0.2:53"].map(|server| server.parse().unwrap());
        assert_eq!(found.servers, expected);
        assert_eq!((found.search, found.dots), (vec!["a.example".to_owned(), "b.example".to_owned()], 5));
        assert_eq!(servers("").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    /// As many of each as the bounds say, and one more of each.
    #[test]
    fn answers_are_bounded() {
        use simple_dns::rdata::{A, SRV};
        for (more, count, len) in [(0, SERVICES_MAX, ADDRESSES_MAX), (1, SERVICES_MAX, ADDRESSES_MAX)] {
            let host = Name::new_unchecked("a.example");
            let record = |rdata| ResourceRecord::new(host.clone(), CLASS::IN, 1, rdata);
            let mut packet = Packet::new_reply(1);
            for port in 0..(SERVICES_MAX + more) as u16 {
                packet.answers.push(record(RData::SRV(SRV { priority: 1, weight: 1, port, target: host.clone() })));
            }
            for n in 0..(ADDRESSES_MAX + more) as u32 {
                packet.answers.push(record(RData::A(A { address: n })));
            }
            let services = services(&packet);
            assert_eq!((services.len(), addresses(&packet).len()), (count, len));
            assert!(services.iter().all(|service| service.addresses.len() == len));
        }
    }

    #[test]
    fn what_a_name_can_mean() {
        let search = vec!["a".to_owned(), "b".to_owned()];
        #[rustfmt::skip]
        let table: [(&str, usize, &[&str]); 4] = [
            // name        dots  tried
            ("_x._tcp.c.", 5,    &["_x._tcp.c"]),
            ("_x._tcp.c",  1,    &["_x._tcp.c", "_x._tcp.c.a", "_x._tcp.c.b"]),
            ("_x._tcp.c",  5,    &["_x._tcp.c.a", "_x._tcp.c.b", "_x._tcp.c"]),
            ("_x",         1,    &["_x.a", "_x.b", "_x"]),
        ];
        for (name, dots, tried) in table {
            let servers = Nameservers { search: search.clone(), dots, ..Nameservers::default() };
            assert_eq!(servers.candidates(name), tried, "{name}, {dots}");
        }
    }
}
