//! Tells whoever started this process how far it is: the datagrams of systemd's `sd_notify(3)`, to the socket that
//! `NOTIFY_SOCKET` names. Without that variable nobody wants to know.

/// Who wants to know.
#[derive(Debug)]
pub(super) struct Supervisor {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
}

impl Supervisor {
    /// The members and clients that wait for this agent can come.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again; [`ready`](Self::ready) must follow.
    pub(super) fn reloading(&self) {
        // systemd from version 253 on asks for the time, to know which reload has been answered.
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds()));
    }

    /// It is going to end, which may take a moment.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }
}

#[cfg(unix)]
impl Supervisor {
    pub(super) fn of_environment() -> Self {
        Self::at(&std::env::var_os("NOTIFY_SOCKET").unwrap_or_default())
    }

    /// A path, or, on Linux, `@` and a name in the abstract namespace. Whatever else there may be is left alone.
    fn at(address: &std::ffi::OsStr) -> Self {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let address = match address.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt;
                SocketAddr::from_abstract_name(name).ok()
            }
            [b'/', ..] => SocketAddr::from_pathname(address).ok(),
            _ => None,
        };
        let connected = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // Nobody there to hear it must not keep an agent from its work.
            socket.connect_addr(&address).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        });
        Self { socket: connected }
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(state.as_bytes());
        }
    }
}

#[cfg(unix)]
fn monotonic_microseconds() -> i128 {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::Monotonic);
    i128::from(time.tv_sec) * 1_000_000 + i128::from(time.tv_nsec) / 1_000
}

#[cfg(not(unix))]
impl Supervisor {
    pub(super) fn of_environment() -> Self {
        Self {}
    }

    fn tell(&self, _state: &str) {}
}

#[cfg(not(unix))]
fn monotonic_microseconds() -> i128 {
    0
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn nobody_wants_to_know() {
        for address in ["", "relative", "vsock:2:1", "/nowhere/at/all", "@"] {
            Supervisor::at(address.as_ref()).ready();
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_name_without_a_file() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("swim-notify-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        Supervisor::at(format!("@{name}").as_ref()).reloading();
        let mut datagram = [0; 100];
        let len = listener.recv(&mut datagram).unwrap();
        let text = core::str::from_utf8(&datagram[..len]).unwrap();
        let time = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0, "{text}");
    }

    /// A full queue holds nobody up.
    #[test]
    fn one_who_does_not_listen() {
        let path = std::env::temp_dir().join(format!("swim-notify-{}", std::process::id()));
        let listener = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::at(path.as_os_str());
        for _ in 0..10_000 {
            supervisor.stopping();
        }
        drop(listener);
        supervisor.stopping();
        std::fs::remove_file(path).unwrap();
    }
}
