//! From an address to two sockets with one port, and the address that the others are told.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io;
use std::net::{TcpListener, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tracing::debug;

use crate::options::StartError;

/// Both sockets of a node, non-blocking.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Binds `address` for datagrams and streams. Port 0 takes a free TCP port that is free for UDP too.
pub(crate) fn bind(address: SocketAddr) -> Result<Bound, StartError> {
    let attempts = if address.port() == 0 { FREE_PORT_ATTEMPTS } else { 1 };
    let mut attempt = 1;
    loop {
        let error = |transport, address| move |source: io::Error| StartError::Bind { transport, address, source };
        let tcp = bind_tcp(address).map_err(error("TCP", address))?;
        let bound = tcp.local_addr().map_err(error("TCP", address))?;
        match bind_udp(bound) {
            Ok(udp) => return Ok(Bound { udp, tcp, address: bound }),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse && attempt < attempts => attempt += 1,
            Err(source) => return Err(error("UDP", bound)(source)),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the last run to be forgotten. On Windows the option means
    // something else: it lets a second program take over the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    accept_both_families(&socket, address)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    accept_both_families(&socket, address)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    ask_receive_buffer(&socket);
    Ok(socket.into())
}

/// `[::]` means every address, of both families, whatever the system's default is.
fn accept_both_families(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => socket.set_only_v6(false),
        IpAddr::V4(_) | IpAddr::V6(_) => Ok(()),
    }
}

/// A burst must survive until the loop comes around. Asks for less and less until the system agrees.
fn ask_receive_buffer(socket: &Socket) {
    let mut size = RECEIVE_BUFFER;
    while size >= RECEIVE_BUFFER_LEAST && SockRef::from(socket).set_recv_buffer_size(size).is_err() {
        size /= 2;
    }
    debug!(asked = size, got = socket.recv_buffer_size().ok(), "udp receive buffer");
}

/// What to tell the others, before the configuration is checked.
pub(crate) fn advertise(wanted: Option<SocketAddr>, bound: SocketAddr) -> Result<SocketAddr, StartError> {
    let mut address = wanted.unwrap_or(bound);
    if address.port() == 0 {
        address.set_port(bound.port());
    }
    if wanted.is_none() && bound.ip().is_unspecified() {
        address.set_ip(private_address(bound.ip()).ok_or(StartError::Advertise)?);
    }
    Ok(address)
}

/// A private address of this host that a socket bound to `unspecified` can be reached at: the one that the default
/// route uses if there is such a one, then IPv4 before IPv6, in the order of the interfaces.
fn private_address(unspecified: IpAddr) -> Option<IpAddr> {
    let usable = |ip: &IpAddr| is_private(*ip) && (ip.is_ipv4() || unspecified.is_ipv6());
    let interfaces = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            debug!(%error, "cannot list the network interfaces");
            Vec::new()
        }
    };
    let mut candidates: Vec<IpAddr> =
        interfaces.iter().filter(|i| !i.is_loopback()).map(if_addrs::Interface::ip).filter(usable).collect();
    candidates.sort_by_key(IpAddr::is_ipv6);
    default_route_source().filter(usable).or_else(|| candidates.first().copied())
}

/// The address that packets to elsewhere leave from. Connecting a datagram socket sends nothing.
fn default_route_source() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((DOCUMENTATION_ADDRESS, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// RFC 1918, RFC 6598 (shared by carriers) and RFC 4193.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// The address as the operating system wants it for a socket bound to `bound`: an IPv6 socket sends to IPv4
/// addresses in their mapped form.
pub(crate) fn for_socket(to: SocketAddr, bound: SocketAddr) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(ip) if bound.is_ipv6() => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => to,
    }
}

/// The reverse: one host must not appear under two addresses.
pub(crate) fn from_socket(from: SocketAddr) -> SocketAddr {
    match from.ip() {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => SocketAddr::new(ip.to_canonical(), from.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => from,
    }
}

/// Free TCP ports to try until one is free for UDP as well (memberlist: 10).
const FREE_PORT_ATTEMPTS: u32 = 16;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// In bytes (memberlist: `net_transport.go`, udpRecvBufSize).
const RECEIVE_BUFFER: usize = 2 << 20;
const RECEIVE_BUFFER_LEAST: usize = 64 << 10;
/// RFC 5737: it belongs to nobody, so only the default route leads there.
const DOCUMENTATION_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_port_for_both() {
        let bound = bind(address("127.0.0.1:0")).unwrap();
        assert_ne!(bound.address.port(), 0);
        assert_eq!(bound.udp.local_addr().unwrap(), bound.address);
        assert_eq!(bound.tcp.local_addr().unwrap(), bound.address);
    }

    #[test]
    fn a_taken_port_is_named() {
        let first = bind(address("127.0.0.1:0")).unwrap();
        let error = bind(first.address).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot bind TCP {}: ", first.address)), "{error}");

        let Bound { udp, tcp, address } = first;
        drop(tcp);
        let error = bind(address).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot bind UDP {address}: ")), "{error}");
        drop(udp);
        bind(address).unwrap();
    }

    #[test]
    fn what_is_advertised() {
        let bound = address("10.1.2.3:7946");
        assert_eq!(advertise(None, bound).unwrap(), bound);
        assert_eq!(advertise(Some(address("192.0.2.9:1")), bound).unwrap(), address("192.0.2.9:1"));
        assert_eq!(advertise(Some(address("192.0.2.9:0")), bound).unwrap(), address("192.0.2.9:7946"));
        match advertise(None, address("0.0.0.0:7946")) {
            Ok(found) => assert!(is_private(found.ip()) && found.is_ipv4() && found.port() == 7946, "{found}"),
            Err(error) => assert!(matches!(error, StartError::Advertise), "{error}"),
        }
    }

    #[test]
    fn private_addresses() {
        for yes in ["10.0.0.1", "172.31.255.1", "192.168.1.1", "100.64.0.1", "100.127.0.1", "fd00::1"] {
            assert!(is_private(yes.parse().unwrap()), "{yes}");
        }
        for no in ["127.0.0.1", "172.32.0.1", "100.128.0.1", "8.8.8.8", "169.254.1.1", "::1", "fe80::1"] {
            assert!(!is_private(no.parse().unwrap()), "{no}");
        }
    }

    #[test]
    fn one_host_has_one_address() {
        let (v4, v6, any) = (address("192.0.2.1:5"), address("[2001:db8::1]:5"), address("[::]:7"));
        assert_eq!(for_socket(v4, any), address("[::ffff:192.0.2.1]:5"));
        assert_eq!(from_socket(for_socket(v4, any)), v4);
        assert_eq!(for_socket(v6, any), v6);
        assert_eq!(from_socket(v6), v6);
        assert_eq!(for_socket(v4, v4), v4);
    }
}
