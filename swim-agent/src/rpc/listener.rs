//! Where an agent's clients find it: at a TCP address, or at a Unix socket, whose file says who may connect.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
#[cfg(unix)]
use std::fs::{self, Metadata};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::config::address::resolve;
use crate::io_text::io_text;

/// An address as people write it: `127.0.0.1:7373`, `unix:/run/swim.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Endpoint {
    /// Host names are looked up.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match unix_path(text) {
            Some("") => Err(format!("address {text}: missing path of the socket")),
            Some(path) => Ok(Self::Unix(path.into())),
            None => resolve(text, PORT).map(Self::Tcp),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// The path in an address that is one of a Unix socket.
pub(crate) fn unix_path(address: &str) -> Option<&str> {
    address.strip_prefix(UNIX)
}

/// A connection of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Opens it. The error is one message for a person.
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, String> {
        match endpoint {
            Endpoint::Tcp(address) => match TcpListener::bind(address).await {
                Ok(listener) => Ok(Self::Tcp(listener)),
                Err(error) => Err(format!("listen tcp {address}: bind: {}", io_text(&error))),
            },
            #[cfg(unix)]
            Endpoint::Unix(path) => match open_socket(path).await {
                Ok((listener, file)) => Ok(Self::Unix(listener, file)),
                Err(error) => Err(format!("listen unix {}: {error}", path.display())),
            },
            #[cfg(not(unix))]
            Endpoint::Unix(path) => {
                Err(format!("listen unix {}: this system has no Unix sockets (use host:port)", path.display()))
            }
        }
    }

    /// Where it listens, with the port that it was given if it asked for any.
    pub(crate) fn endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Endpoint::Tcp),
            #[cfg(unix)]
            Self::Unix(_, file) => Ok(Endpoint::Unix(file.path.clone())),
        }
    }

    /// The next client, and who it is, for the log.
    pub(crate) async fn accept(&self) -> io::Result<(Box<dyn Stream>, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                prepare(&stream);
                Ok((Box::new(stream), from.to_string()))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let from = match stream.peer_cred() {
                    Ok(peer) => match peer.pid() {
                        Some(pid) => format!("user {} (process {pid})", peer.uid()),
                        None => format!("user {}", peer.uid()),
                    },
                    Err(_) => "a user of this machine".to_owned(),
                };
                Ok((Box::new(stream), from))
            }
        }
    }
}

/// Sets what is right for a client; where it cannot be set, the system's ways do, too.
fn prepare(stream: &TcpStream) {
    // Records are small, and each is wanted now.
    let _ = stream.set_nodelay(true);
    // One that waits for records says nothing; only so is it found out that its machine is gone.
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
}

/// The file of a socket, removed when dropped.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else's by now, perhaps.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(unix)]
async fn open_socket(path: &PathBuf) -> Result<(UnixListener, SocketFile), String> {
    remove_stale(path).await?;
    let failed = |error: io::Error| format!("bind: {}", io_text(&error));
    let listener = {
        // From its first moment on, nobody else may connect. The mask is the whole process's, but there is nothing that
        // could not be made more private for an instant, and no await in here.
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(!MODE & 0o777));
        let listener = UnixListener::bind(path);
        rustix::process::umask(mask);
        listener.map_err(failed)?
    };
    let identity = fs::symlink_metadata(path).map(|found| identity(&found)).map_err(failed)?;
    Ok((listener, SocketFile { path: path.clone(), identity }))
}

/// Makes place for a socket at `path`, if what is there is a socket that nobody listens at any more.
#[cfg(unix)]
async fn remove_stale(path: &PathBuf) -> Result<(), String> {
    // Nothing, or what binding will fail for as well, and say better.
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(
            "something that is no socket is there, and is left alone (remove it, or choose another path)".into()
        );
    }
    let why = match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Two agents that start at the same moment could both come here; those with the same configuration have met
            // at the cluster's port before.
            return fs::remove_file(path).map_err(|error| format!("remove the stale socket: {}", io_text(&error)));
        }
        // It has more clients waiting than it can take, and is alive.
        Ok(_) => "another agent listens there".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => "another agent listens there".to_owned(),
        Err(error) => format!("cannot tell whether anybody listens there: {}", io_text(&error)),
    };
    Err(format!("bind: address already in use: {why}"))
}

const UNIX: &str = "unix:";
/// TCP port when none is given.
const PORT: u16 = 7373;
/// After so long without a byte the system asks whether the client's machine is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Who may connect is who may write to the file: its owner.
#[cfg(unix)]
const MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_that_vanish_are_found_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream);
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
    }

    #[test]
    fn ways_to_write_an_endpoint() {
        let tcp = |text: &str| Ok(Endpoint::Tcp(text.parse().unwrap()));
        #[rustfmt::skip]
        let table = [
            ("127.0.0.1",       tcp("127.0.0.1:7373")),
            ("127.0.0.1:1",     tcp("127.0.0.1:1")),
            ("unix:/run/s",     Ok(Endpoint::Unix("/run/s".into()))),
            ("unix:s",          Ok(Endpoint::Unix("s".into()))),
            ("unix:",           Err("address unix:: missing path of the socket".to_owned())),
        ];
        for (text, expected) in table {
            assert_eq!(Endpoint::parse(text), expected, "{text}");
        }
        assert_eq!(Endpoint::parse("unix:/run/s").unwrap().to_string(), "unix:/run/s");
    }
}
