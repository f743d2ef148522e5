//! Discovery by mDNS (`-discover`; Serf: `agent/mdns.go`): everybody asks the network for members of its cluster now and
//! then, joins those that it did not know, and answers when others ask.
//!
//! Questions leave from a port of their own, and answers come back to it: port 5353 is shared by all who listen there, and
//! what is sent to this machine alone would reach one of them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use swim_tokio::SeedFailure;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tracing::{debug, error, info};

use crate::agent::Agent;
use crate::discovery::mdns::{Announcement, Audience, Service};
use crate::io_text::io_text;

/// Where to be discovered, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    service: Service,
    pub(crate) replay: bool,
    /// On which interface, by its address; unspecified: the system's choice.
    v4: Option<Ipv4Addr>,
    /// By its number; zero: the system's choice.
    v6: Option<u32>,
}

/// What the configuration says about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) cluster: &'a str,
    /// Empty: any.
    pub(crate) interface: &'a str,
    pub(crate) disable_v4: bool,
    pub(crate) disable_v6: bool,
    /// What the cluster is bound to.
    pub(crate) bind: IpAddr,
    pub(crate) replay: bool,
}

impl Plan {
    /// Checks everything that can be checked without a socket. The error is one message for a person.
    pub(crate) fn new(wanted: Wanted<'_>) -> Result<Self, String> {
        let Wanted { cluster, interface, disable_v4, disable_v6, bind, replay } = wanted;
        if disable_v4 && disable_v6 {
            return Err("Invalid mDNS configuration: both IPv4 and IPv6 are disabled".to_owned());
        }
        let service = Service::new(cluster).map_err(|error| format!("Invalid mDNS configuration: {error}"))?;
        let (mut v4, mut v6) = (Some(Ipv4Addr::UNSPECIFIED), Some(0));
        if !interface.is_empty() || bind.is_loopback() {
            // Whoever keeps to this machine must not be heard, nor joined, by others.
            let wanted = |found: &if_addrs::Interface| {
                if interface.is_empty() { found.ip().is_loopback() } else { found.name == interface }
            };
            let failed = |error: &str| format!("Invalid mDNS network interface: {error}");
            let all = if_addrs::get_if_addrs().map_err(|error| failed(&io_text(&error)))?;
            let on: Vec<_> = all.into_iter().filter(wanted).collect();
            if on.is_empty() {
                return Err(failed("route ip+net: no such network interface"));
            }
            v4 = on.iter().find_map(|found| if let IpAddr::V4(ip) = found.ip() { Some(ip) } else { None });
            v6 = on.iter().find(|found| found.ip().is_ipv6()).and_then(|found| found.index);
        }
        if bind.is_loopback() && interface.is_empty() {
            // Nobody could be joined at the other kind of address, and it is the one that often does not work there.
            v4 = v4.filter(|_| bind.is_ipv4());
            v6 = v6.filter(|_| bind.is_ipv6());
        }
        let plan = Self { service, replay, v4: v4.filter(|_| !disable_v4), v6: v6.filter(|_| !disable_v6) };
        if plan.v4.is_none() && plan.v6.is_none() {
            return Err("Invalid mDNS configuration: the interface has no address that is not disabled".to_owned());
        }
        Ok(plan)
    }

    /// Opens the sockets. One kind is enough. The error is one message for a person.
    pub(crate) fn open(self) -> Result<Multicast, String> {
        let opened = [self.v4.map(Link::v4), self.v6.map(Link::v6)];
        let (mut links, mut failure) = (Vec::new(), None);
        for link in opened.into_iter().flatten() {
            match link {
                Ok(link) => links.push(link),
                Err(error) => failure = Some(error),
            }
        }
        if let (true, Some(error)) = (links.is_empty(), &failure) {
            return Err(format!("Error starting mDNS listener: {}", io_text(error)));
        }
        if let Some(error) = failure {
            debug!(target: "agent.mdns", "One of IPv4 and IPv6 does without: {error}");
        }
        Ok(Multicast { plan: self, links })
    }
}

/// The sockets, before anything happens.
#[derive(Debug)]
pub(crate) struct Multicast {
    plan: Plan,
    links: Vec<Link>,
}

impl Multicast {
    /// Announces the member and looks for others, until the runtime ends.
    pub(crate) fn start(self, agent: &Arc<Agent>) {
        let Self { plan: Plan { service, replay, .. }, links } = self;
        let (own, name) = (agent.cluster.advertised_address(), &agent.cluster.config().name);
        let announcement = Announcement::new(service.clone(), name.as_bytes(), own);
        let (tell, told) = mpsc::channel(FOUND_MAX);
        for Link { group, listener, asker } in links {
            tokio::spawn(answer(listener, group, announcement.clone()));
            tokio::spawn(ask(asker, group, service.clone(), tell.clone()));
        }
        let agent = Arc::clone(agent);
        tokio::spawn(gather(told, own, move |found| {
            let agent = Arc::clone(&agent);
            async move { join(&agent, found, replay).await }
        }));
    }
}

/// One address family's sockets.
#[derive(Debug)]
struct Link {
    group: SocketAddr,
    /// For questions, shared with everybody on this machine who has an ear for mDNS.
    listener: UdpSocket,
    /// For our questions and their answers.
    asker: UdpSocket,
}

impl Link {
    fn v4(interface: Ipv4Addr) -> io::Result<Self> {
        let group = Ipv4Addr::new(224, 0, 0, 251);
        let listener = socket(Domain::IPV4)?;
        share(&listener)?;
        // Others' groups are not ours, though they are on this port: the interface was chosen.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        listener.set_multicast_all_v4(false)?;
        listener.bind(&bound(group.into()).into())?;
        listener.join_multicast_v4(&group, &interface)?;
        let asker = socket(Domain::IPV4)?;
        asker.bind(&SocketAddr::new(interface.into(), 0).into())?;
        for socket in [&listener, &asker] {
            socket.set_multicast_if_v4(&interface)?;
            socket.set_multicast_ttl_v4(HOPS)?;
        }
        Self::new((group, PORT).into(), listener, asker)
    }

    fn v6(interface: u32) -> io::Result<Self> {
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
        let listener = socket(Domain::IPV6)?;
        share(&listener)?;
        listener.set_only_v6(true)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        listener.set_multicast_all_v6(false)?;
        listener.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, PORT, 0, 0).into())?;
        listener.join_multicast_v6(&group, interface)?;
        let asker = socket(Domain::IPV6)?;
        asker.set_only_v6(true)?;
        asker.bind(&SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0).into())?;
        for socket in [&listener, &asker] {
            socket.set_multicast_if_v6(interface)?;
            socket.set_multicast_hops_v6(HOPS)?;
        }
        Self::new(SocketAddrV6::new(group, PORT, 0, interface).into(), listener, asker)
    }

    fn new(group: SocketAddr, listener: Socket, asker: Socket) -> io::Result<Self> {
        let [listener, asker] = [listener, asker].map(|socket| UdpSocket::from_std(socket.into()));
        Ok(Self { group, listener: listener?, asker: asker? })
    }
}

fn socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    socket.set_reuse_port(true)?;
    Ok(())
}

/// Bound to the group, a socket hears nothing else; Windows will have none of it.
fn bound(group: IpAddr) -> SocketAddr {
    let ip = if cfg!(unix) { group } else { Ipv4Addr::UNSPECIFIED.into() };
    SocketAddr::new(ip, PORT)
}

/// How much is read of what anybody on the network may send: a message of nothing but names takes milliseconds, and the
/// cluster's own packets wait meanwhile.
#[derive(Debug)]
struct Patience {
    /// When all that has been read would have come, at [`BYTES_PER_SECOND`].
    even: Instant,
}

impl Patience {
    fn new() -> Self {
        Self { even: Instant::now() }
    }

    /// Receives, not before its time: what comes meanwhile is the socket's to keep, or to drop.
    async fn hear(&mut self, socket: &UdpSocket, message: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let ahead = self.ahead(Instant::now());
        if !ahead.is_zero() {
            sleep(ahead).await;
        }
        let received = socket.recv_from(message).await;
        self.spend(Instant::now(), received.as_ref().map_or(0, |(len, _)| *len));
        received
    }

    /// How long to wait.
    fn ahead(&self, now: Instant) -> Duration {
        self.even.saturating_duration_since(now + BURST)
    }

    fn spend(&mut self, now: Instant, len: usize) {
        let cost = Duration::from_secs((len + OVERHEAD) as u64) / BYTES_PER_SECOND;
        self.even = self.even.max(now) + cost;
    }
}

/// Answers those who ask for this member.
async fn answer(listener: UdpSocket, group: SocketAddr, announcement: Announcement) {
    let mut message = vec![0; MESSAGE_LEN_MAX];
    let mut patience = Patience::new();
    loop {
        let (len, from) = match patience.hear(&listener, &mut message).await {
            Ok(received) => received,
            Err(error) => {
                debug!(target: "agent.mdns", "Failed to receive: {error}");
                sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        let Some((reply, audience)) = announcement.answer(&message[..len], from.port() != PORT) else { continue };
        let to = match audience {
            Audience::Asker => from,
            Audience::All => group,
        };
        if let Err(error) = listener.send_to(&reply, to).await {
            debug!(target: "agent.mdns", "Failed to answer {from}: {error}");
        }
    }
}

/// Asks for members, now and then, and tells of those that answer.
async fn ask(asker: UdpSocket, group: SocketAddr, service: Service, tell: mpsc::Sender<SocketAddr>) {
    let Some(question) = service.question() else { return };
    let mut message = vec![0; MESSAGE_LEN_MAX];
    let mut patience = Patience::new();
    let mut polls = interval(POLL_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = false;
    loop {
        tokio::select! {
            _ = polls.tick() => match asker.send_to(&question, group).await {
                Ok(_) => failed = false,
                // Once, and not every minute: a host without IPv6, say.
                Err(error) if !failed => {
                    failed = true;
                    let flag = if group.is_ipv4() { "-mdns-disable-ipv4" } else { "-mdns-disable-ipv6" };
                    let error = io_text(&error);
                    error!(target: "agent.mdns", "Failed to poll for new hosts: write udp {group}: {error} (see {flag})");
                }
                Err(_) => {}
            },
            received = patience.hear(&asker, &mut message) => match received {
                Ok((len, _)) => for member in service.members(&message[..len]) {
                    // What finds no room is found again by the next question.
                    let _ = tell.try_send(member);
                },
                Err(error) => {
                    debug!(target: "agent.mdns", "Failed to receive: {error}");
                    sleep(ERROR_PAUSE).await;
                }
            }
        }
    }
}

/// Gathers those who have not been found before until nobody new comes for a moment, and joins them together: `join` tells
/// who of them was reached. The others may be found again.
async fn gather<F>(mut found: mpsc::Receiver<SocketAddr>, own: SocketAddr, join: impl Fn(Vec<SocketAddr>) -> F)
where
    F: Future<Output = Vec<SocketAddr>>,
{
    let mut seen = VecDeque::new();
    while let Some(first) = found.recv().await {
        let mut fresh = Vec::new();
        let mut next = Some(first);
        let mut quiet = Instant::now() + QUIET;
        while let Some(member) = next {
            if member != own && !seen.contains(&member) && !fresh.contains(&member) {
                fresh.push(member);
                quiet = Instant::now() + QUIET;
            }
            next = match fresh.len() {
                FOUND_MAX.. => None,
                _ => timeout_at(quiet, found.recv()).await.ok().flatten(),
            };
        }
        if !fresh.is_empty() {
            seen.extend(join(fresh).await);
            while seen.len() > SEEN_MAX {
                seen.pop_front();
            }
        }
    }
}

/// Those of `found` who were reached.
async fn join(agent: &Agent, mut found: Vec<SocketAddr>, replay: bool) -> Vec<SocketAddr> {
    let texts: Vec<_> = found.iter().map(SocketAddr::to_string).collect();
    match agent.join(&texts, replay).await {
        Ok(joined) => {
            info!(target: "agent.mdns", "Joined {} hosts", joined.reached);
            for SeedFailure { seed, error, .. } in &joined.failed {
                debug!(target: "agent.mdns", "Failed to join {seed}: {error}");
            }
            found.retain(|member| joined.failed.iter().all(|failure| failure.seed != member.to_string()));
            found
        }
        Err(error) => {
            error!(target: "agent.mdns", "Failed to join: {error}");
            Vec::new()
        }
    }
}

const PORT: u16 = 5353;
/// Those who must not hear it drop what has been forwarded (RFC 6762 §11).
const HOPS: u32 = 255;
const POLL_INTERVAL: Duration = Duration::from_secs(60);
/// How long nobody new comes before those who have are joined.
const QUIET: Duration = Duration::from_millis(100);
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// Longest message (RFC 6762 §17).
const MESSAGE_LEN_MAX: usize = 9000;
/// Read in the long run; a second's worth at once.
const BYTES_PER_SECOND: u32 = 128 << 10;
const BURST: Duration = Duration::from_secs(1);
/// What a message costs beside its length.
const OVERHEAD: usize = 64;
/// Members that are joined at once.
const FOUND_MAX: usize = 32;
/// Members that are remembered, so that they are joined once; the oldest are forgotten.
const SEEN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn wanted() -> Wanted<'static> {
        let bind = Ipv4Addr::UNSPECIFIED.into();
        Wanted { cluster: "c", interface: "", disable_v4: false, disable_v6: false, bind, replay: false }
    }

    #[test]
    fn where_to_be_discovered() {
        let plan = |wanted| Plan::new(wanted).map(|plan| (plan.v4, plan.v6));
        assert_eq!(plan(wanted()), Ok((Some(Ipv4Addr::UNSPECIFIED), Some(0))));
        assert_eq!(plan(Wanted { disable_v6: true, ..wanted() }), Ok((Some(Ipv4Addr::UNSPECIFIED), None)));
        let here = plan(Wanted { bind: "127.0.0.9".parse().unwrap(), ..wanted() }).unwrap();
        assert_eq!(here, (Some(Ipv4Addr::LOCALHOST), None));
        let both = plan(Wanted { disable_v4: true, disable_v6: true, ..wanted() });
        assert_eq!(both, Err("Invalid mDNS configuration: both IPv4 and IPv6 are disabled".into()));
        let missing = plan(Wanted { interface: "nope0", ..wanted() });
        assert_eq!(missing, Err("Invalid mDNS network interface: route ip+net: no such network interface".into()));
        assert!(plan(Wanted { cluster: "a..b", ..wanted() }).is_err());
    }

    /// Of whatever length they are, no more is read than a second's worth and what has come to it since.
    #[tokio::test(start_paused = true)]
    async fn a_flood_is_read_in_parts() {
        for (len, at_once) in [(0, 2049), (448, 257), (MESSAGE_LEN_MAX, 15)] {
            let (begin, mut patience) = (Instant::now(), Patience::new());
            let mut read = |now| {
                let may = |patience: &Patience| patience.ahead(now).is_zero();
                core::iter::from_fn(|| may(&patience).then(|| patience.spend(now, len))).count()
            };
            assert_eq!(read(begin), at_once, "{len}");
            let minute: usize = (1..=60_000).map(|ms| read(begin + Duration::from_millis(ms))).sum();
            let share = 60 * (BYTES_PER_SECOND as usize) / (len + OVERHEAD);
            assert!((share - 1..=share + 1).contains(&minute), "{minute} of {share}, {len}");
            // An hour of silence is no more than a second's.
            let later = begin + Duration::from_secs(3660);
            assert_eq!(read(later), at_once, "{len}");
        }
    }

    fn member(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// What is joined when these are found at these times, if `dead` are not reached by the first attempt.
    async fn joined(found: &[(u64, u16)], dead: &[u16]) -> Vec<Vec<u16>> {
        let (tell, told) = mpsc::channel(FOUND_MAX);
        let attempts = Mutex::new(Vec::new());
        let gathering = gather(told, member(1), |mut found| {
            let mut attempts = attempts.lock().unwrap();
            attempts.push(found.iter().map(SocketAddr::port).collect());
            found.retain(|member| attempts.len() > 1 || !dead.contains(&member.port()));
            core::future::ready(found)
        });
        let telling = async move {
            let begin = Instant::now();
            for &(at, port) in found {
                tokio::time::sleep_until(begin + Duration::from_millis(at)).await;
                tell.send(member(port)).await.unwrap();
            }
        };
        tokio::join!(gathering, telling);
        attempts.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_found_is_joined_once() {
        let found = [(0, 2), (50, 3), (60, 1), (70, 2), (120, 4), (500, 2), (500, 5), (900, 3)];
        assert_eq!(joined(&found, &[]).await, [vec![2, 3, 4], vec![5]]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_could_not_be_joined_is_tried_again() {
        assert_eq!(joined(&[(0, 2), (500, 2), (900, 2)], &[2]).await, [[2], [2]]);
        // Also when others were.
        let found = [(0, 2), (0, 3), (0, 4), (500, 2), (500, 3), (500, 4), (900, 3)];
        assert_eq!(joined(&found, &[3]).await, [vec![2, 3, 4], vec![3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_joined_in_parts() {
        let found: Vec<_> = (0..70).map(|port| (0, 100 + port)).collect();
        let sizes: Vec<_> = joined(&found, &[]).await.iter().map(Vec::len).collect();
        assert_eq!(sizes, [FOUND_MAX, FOUND_MAX, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_are_forgotten() {
        let count = u16::try_from(SEEN_MAX).unwrap() + 1;
        let mut found: Vec<_> = (0..count).map(|port| (0, 100 + port)).collect();
        found.extend([(5000, 100), (6000, 100 + count - 1)]);
        assert_eq!(joined(&found, &[]).await.last(), Some(&vec![100]));
    }
}
