//! Addresses as people write them: `10.0.0.7`, `10.0.0.7:7946`, `[::1]`, `[::1]:7946`, `host`, `host:7946`, `:7946`.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::net::ToSocketAddrs;

/// Port of the cluster when none is given.
pub(crate) const PORT: u16 = 7946;

/// The address that `text` means, with `port` if it names none. Host names are looked up.
pub(crate) fn resolve(text: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("address {text}: invalid port {port:?}"))?),
        None => (text, port),
    };
    if host.is_empty() {
        return Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    }
    let no_such_host = || format!("lookup {host}: no such host");
    (host, port).to_socket_addrs().map_err(|_| no_such_host())?.next().ok_or_else(no_such_host)
}

/// The address to bind to so that the agent is on `interface`: `bind` itself if the interface has it, or the
/// interface's first address if `bind` leaves it open. Also says what was chosen, if something was.
pub(crate) fn on_interface(interface: &str, bind: SocketAddr) -> Result<(SocketAddr, Option<String>), String> {
    let all = if_addrs::get_if_addrs().map_err(|error| format!("Invalid network interface: {error}"))?;
    let mut ips = all.iter().filter(|candidate| candidate.name == interface).map(if_addrs::Interface::ip).peekable();
    if ips.peek().is_none() {
        return Err("Invalid network interface: route ip+net: no such network interface".into());
    }
    if bind.ip().is_unspecified() {
        let ip = ips
            .find(|ip| match ip {
                IpAddr::V4(ip) => !ip.is_link_local(),
                IpAddr::V6(ip) => !ip.is_unicast_link_local(),
            })
            .ok_or_else(|| format!("Failed to find usable address for interface '{interface}'"))?;
        let chosen = format!("Using interface '{interface}' address '{ip}'");
        Ok((SocketAddr::new(ip, bind.port()), Some(chosen)))
    } else if ips.any(|ip| ip == bind.ip()) {
        Ok((bind, None))
    } else {
        Err(format!("Interface '{interface}' has no '{}' address", bind.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_write_an_address() {
        #[rustfmt::skip]
        let table = [
            ("10.0.0.7",       Ok("10.0.0.7:7946")),
            ("10.0.0.7:1",     Ok("10.0.0.7:1")),
            ("[::1]",          Ok("[::1]:7946")),
            ("::1",            Ok("[::1]:7946")),
            ("[::1]:2",        Ok("[::1]:2")),
            (":3",             Ok("0.0.0.0:3")),
            ("10.0.0.7:x",     Err("address 10.0.0.7:x: invalid port \"x\"")),
            ("10.0.0.7:70000", Err("address 10.0.0.7:70000: invalid port \"70000\"")),
            ("999.0.0.1",      Err("lookup 999.0.0.1: no such host")),
        ];
        for (text, expected) in table {
            let expected = expected.map(|address| address.parse().unwrap()).map_err(str::to_owned);
            assert_eq!(resolve(text, PORT), expected, "{text}");
        }
    }

    #[test]
    fn interfaces() {
        let open = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 1);
        let missing = on_interface("nope0", open).unwrap_err();
        assert_eq!(missing, "Invalid network interface: route ip+net: no such network interface");
    }
}
