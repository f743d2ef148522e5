//! What can go wrong with the cluster, in the words of the agent whose place we take.

use core::net::SocketAddr;

use swim_tokio::swim_core::node::config::ConfigError;
use swim_tokio::swim_core::node::input::{ExchangeError, StreamFailure};
use swim_tokio::swim_core::wire::framing::StreamError;
use swim_tokio::{JoinError, JoinErrorKind, SeedError, SeedFailure, StartError};

use crate::io_text::io_text;

/// Why the cluster member could not be started.
pub(crate) fn start_text(error: &StartError) -> String {
    let cause = if let StartError::Bind { transport, address, source } = error {
        let (ip, port, source) = (address.ip(), address.port(), io_text(source));
        let (upper, lower) = (transport.to_uppercase(), transport.to_lowercase());
        format!(
            "Failed to create memberlist: Could not set up network transport: failed to obtain an address: \
             Failed to start {upper} listener on \"{ip}\" port {port}: listen {lower} {address}: bind: {source}"
        )
    } else if let StartError::Advertise = error {
        "Failed to create memberlist: Failed to get final advertise address: \
         no private IP address found, and explicit IP not provided (see -advertise)"
            .into()
    } else if let StartError::Config(ConfigError::Wire(error)) = error {
        format!("Failed to create memberlist: {error}")
    } else if let StartError::Snapshot(path, error) = error {
        format!("Failed to setup snapshot: failed to open snapshot: open {}: {}", path.display(), io_text(error))
    } else {
        error.to_string()
    };
    format!("Failed to start the Serf agent: Error creating Serf: {cause}")
}

/// Why nobody was reached; `others` are the lines on seeds that were not even tried.
pub(crate) fn join_text(error: &JoinError, others: &[String]) -> String {
    if error.kind == JoinErrorKind::NoSeed {
        let failed = error.failed.iter();
        let lines = failed.map(|SeedFailure { seed, address, error, .. }| seed_text(seed, *address, error));
        lines_text(&lines.chain(others.iter().cloned()).collect::<Vec<_>>())
    } else {
        error.to_string()
    }
}

/// One line per seed (memberlist: go-multierror's format).
pub(crate) fn lines_text(lines: &[String]) -> String {
    let count = lines.len();
    let errors = if count == 1 { "error" } else { "errors" };
    format!("{count} {errors} occurred:\n\t* {}\n\n", lines.join("\n\t* "))
}

fn seed_text(seed: &str, address: Option<SocketAddr>, error: &SeedError) -> String {
    let (exchange, address) = match (error, address) {
        (SeedError::Exchange(exchange), Some(address)) => (exchange, address),
        (SeedError::Resolve(error), _) => return format!("Failed to resolve {seed}: lookup {seed}: {error}"),
        (error, Some(address)) => return format!("Failed to join {}: {error}", address.ip()),
        (error, None) => return format!("Failed to join {seed}: {error}"),
    };
    let cause = if let ExchangeError::Stream(StreamFailure::TimedOut) = exchange {
        format!("dial tcp {address}: i/o timeout")
    } else if let ExchangeError::Stream(StreamFailure::Unreachable) = exchange {
        format!("dial tcp {address}: connect: no route to host")
    } else if let ExchangeError::Stream(failure @ (StreamFailure::Refused | StreamFailure::NoLocalPort)) = exchange {
        format!("dial tcp {address}: connect: {failure}")
    } else if let ExchangeError::Stream(failure @ StreamFailure::TooManyFiles) = exchange {
        format!("dial tcp {address}: socket: {failure}")
    } else {
        format!("{exchange}{}", setting(exchange))
    };
    format!("Failed to join {}: {cause}", address.ip())
}

/// Which of our settings is probably to blame, as far as one can tell from this side.
fn setting(exchange: &ExchangeError) -> &'static str {
    use StreamError::{ForeignWire, NotOpened, NotSealed, SealedWithoutKeys};
    if matches!(exchange, ExchangeError::Closed | ExchangeError::Frame(ForeignWire)) {
        "; see --wire"
    } else if matches!(
        exchange,
        ExchangeError::Rejected | ExchangeError::Frame(NotOpened | NotSealed | SealedWithoutKeys)
    ) {
        "; see -encrypt"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_errors_read_like_serfs() {
        let address = "127.0.0.79:17952".parse().unwrap();
        let source = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        assert_eq!(
            start_text(&StartError::Bind { transport: "TCP", address, source }),
            "Failed to start the Serf agent: Error creating Serf: Failed to create memberlist: Could not set up network \
             transport: failed to obtain an address: Failed to start TCP listener on \"127.0.0.79\" port 17952: \
             listen tcp 127.0.0.79:17952: bind: address already in use"
        );
        assert_eq!(
            start_text(&StartError::Config(ConfigError::Protocol(1))),
            "Failed to start the Serf agent: Error creating Serf: \
             Protocol version '1' too low. Must be in range: [2, 5]"
        );
    }

    #[test]
    fn join_errors_read_like_serfs() {
        let refused = SeedError::Exchange(ExchangeError::Stream(StreamFailure::Refused));
        let unknown = SeedError::Resolve("no such host".into());
        let said = |failure| {
            let error = SeedError::Exchange(ExchangeError::Stream(failure));
            seed_text("127.0.0.99", Some("127.0.0.99:1".parse().unwrap()), &error)
        };
        assert_eq!(
            [StreamFailure::NoLocalPort, StreamFailure::TooManyFiles].map(said),
            [
                "Failed to join 127.0.0.99: dial tcp 127.0.0.99:1: connect: cannot assign requested address",
                "Failed to join 127.0.0.99: dial tcp 127.0.0.99:1: socket: too many open files",
            ]
        );
        let at = |address: &str| Some(address.parse().unwrap());
        assert_eq!(
            lines_text(&[seed_text("127.0.0.99:1", at("127.0.0.99:1"), &refused)]),
            "1 error occurred:\n\
             \t* Failed to join 127.0.0.99: dial tcp 127.0.0.99:1: connect: connection refused\n\n"
        );
        assert_eq!(
            lines_text(&[
                seed_text("127.0.0.99", at("127.0.0.99:7946"), &refused),
                seed_text("x.invalid", None, &unknown)
            ]),
            "2 errors occurred:\n\
             \t* Failed to join 127.0.0.99: dial tcp 127.0.0.99:7946: connect: connection refused\n\
             \t* Failed to resolve x.invalid: lookup x.invalid: no such host\n\n"
        );
    }
}
