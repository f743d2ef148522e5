//! `-dev`: an agent for somebody who tries this for the first time, on loopback only, that says what to type next.

use core::net::SocketAddr;
use std::env;
use std::path::{Path, PathBuf};

use swim_tokio::{Cluster, StartError};

use crate::config::Settings;
use crate::log::console::Console;
use crate::rpc::listener::Endpoint;

/// What holds under `-dev` when nothing else is said.
pub(crate) fn defaults() -> Settings {
    Settings { bind: "127.0.0.1".into(), profile: "local".into(), ..Settings::defaults() }
}

/// `-dev` keeps to this machine, whatever else is said.
pub(crate) fn check_loopback(flag: &str, address: SocketAddr) -> Result<(), String> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "-dev keeps to the loopback interface: {flag}={address} does not fit (leave -dev out, or use 127.0.0.1)"
    ))
}

/// The same for an interface, which nothing else has checked against the addresses.
pub(crate) fn check_interface(flag: &str, name: &str) -> Result<(), String> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    if all.iter().all(|found| found.name != name || found.ip().is_loopback()) {
        return Ok(());
    }
    Err(format!("-dev keeps to the loopback interface: {flag}={name} does not fit (leave -dev out, or the flag)"))
}

/// For somebody whose second agent meets the first one's ports.
pub(crate) fn hint(dev: bool, error: &StartError) -> &'static str {
    if dev && matches!(error, StartError::Bind { .. }) { PORTS_HINT } else { "" }
}

pub(crate) const PORTS_HINT: &str =
    " (another agent, perhaps? Choose other ports with -bind=127.0.0.1:PORT and -rpc-addr=127.0.0.1:PORT)";

/// Prints the commands that start a second member and list both.
pub(crate) fn print_next_steps(console: &Console, cluster: &Cluster, rpc: &Endpoint) {
    let program = program();
    let first = cluster.advertised_address();
    let next = |address: SocketAddr| SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(0));
    let bind = next(first);
    let next_rpc = match rpc {
        Endpoint::Tcp(address) => Endpoint::Tcp(next(*address)),
        Endpoint::Unix(path) => {
            let mut path = path.clone().into_os_string();
            path.push("-second");
            Endpoint::Unix(path.into())
        }
    };
    let mut rpc_flag = String::new();
    if rpc.to_string() != Settings::defaults().rpc_addr {
        rpc_flag = format!(" -rpc-addr={rpc}");
    }
    let wire = match cluster.config().wire.codec {
        swim_tokio::swim_core::wire::codec::Codec::Serf => " -wire=serf",
        swim_tokio::swim_core::wire::codec::Codec::Native => "",
    };
    // The second one needs the key as well; it is not printed, because terminals are watched and recorded.
    let key = if cluster.config().wire.keyring.is_empty() { "" } else { " -encrypt=KEY" };
    console.plain("");
    console.say("Add a second member and list both, each from another terminal:");
    console
        .info(&format!("{program} agent -dev{wire}{key} -node=second -bind={bind} -rpc-addr={next_rpc} -join={first}"));
    console.info(&format!("{program} members{rpc_flag}"));
}

/// How to call this program from the working directory.
fn program() -> String {
    let Ok(path) = env::current_exe() else { return "swim".into() };
    let on_path = |directory: PathBuf| {
        directory.join(path.file_name().unwrap_or_default()).canonicalize().is_ok_and(|p| p == path)
    };
    if env::var_os("PATH").is_some_and(|list| env::split_paths(&list).any(on_path)) {
        return path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    }
    let directory = env::current_dir().ok().and_then(|directory| directory.canonicalize().ok());
    relative(&path, directory.as_deref())
}

/// `path` as seen from `directory`, if it lies below, in a form that a shell takes for one word.
fn relative(path: &Path, directory: Option<&Path>) -> String {
    let below = directory.and_then(|directory| path.strip_prefix(directory).ok());
    let text = match below {
        Some(below) => format!(".{}{}", std::path::MAIN_SEPARATOR, below.display()),
        None => path.display().to_string(),
    };
    if text.contains(char::is_whitespace) { format!("'{text}'") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_named_so_that_it_can_be_typed() {
        let path = Path::new("/home/me/swim/target/release/swim");
        assert_eq!(relative(path, Some(Path::new("/home/me/swim"))), "./target/release/swim");
        assert_eq!(relative(path, Some(Path::new("/tmp"))), "/home/me/swim/target/release/swim");
        assert_eq!(relative(Path::new("/my home/swim"), None), "'/my home/swim'");
    }

    #[test]
    fn loopback_only() {
        for found in if_addrs::get_if_addrs().unwrap() {
            // Others may have addresses of both kinds.
            if !found.ip().is_loopback() {
                assert!(check_interface("-mdns-iface", &found.name).is_err(), "{}", found.name);
            }
        }
        assert_eq!(check_interface("-mdns-iface", ""), Ok(()));
        assert_eq!(check_loopback("-bind", "127.0.0.2:1".parse().unwrap()), Ok(()));
        assert_eq!(check_loopback("-bind", "[::1]:1".parse().unwrap()), Ok(()));
        assert!(check_loopback("-bind", "10.0.0.1:1".parse().unwrap()).is_err());
        assert!(check_loopback("-bind", "0.0.0.0:1".parse().unwrap()).is_err());
    }
}
