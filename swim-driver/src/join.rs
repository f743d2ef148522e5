//! Joining: from the texts that people write to addresses, and what became of each.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::Poll;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Instant as StdInstant;

use futures_lite::future::or;
use swim_core::node::input::{ExchangeError, Reply};

use crate::runtime::Runtime;
use crate::shared::Shared;

/// What a join came to.
///
/// See the example of [`Cluster::join`](crate::Cluster::join).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Joined {
    /// Full state exchanges that succeeded. A host name with several addresses counts once for each that answered,
    /// as in memberlist.
    pub reached: usize,
    /// Seeds of which no address was reached: the reason, once per address, or once if there was none.
    pub failed: Vec<SeedFailure>,
}

/// No seed was reached.
///
/// See the example of [`Cluster::join`](crate::Cluster::join).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JoinError {
    /// What, in general, is to blame.
    pub kind: JoinErrorKind,
    /// What happened to each seed, as in [`Joined::failed`].
    pub failed: Vec<SeedFailure>,
}

/// Why a join failed as a whole.
///
/// See the example of [`Cluster::join`](crate::Cluster::join).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinErrorKind {
    /// None of the seeds could be reached.
    NoSeed,
    /// The node is leaving or has left. It cannot come back; start a new one.
    NotAlive,
    /// The cluster was stopped, before or meanwhile.
    Stopped,
}

/// One seed that was not reached.
///
/// See the example of [`Cluster::join`](crate::Cluster::join).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SeedFailure {
    /// As given.
    pub seed: String,
    /// The address that was tried, if it came so far.
    pub address: Option<SocketAddr>,
    /// Why.
    pub error: SeedError,
}

/// Why a seed was not reached.
///
/// See the example of [`Cluster::join`](crate::Cluster::join).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeedError {
    /// The text is not an address: what is wrong with it.
    Syntax(&'static str),
    /// The host name could not be resolved: what the resolver says.
    Resolve(String),
    /// There was no full state exchange.
    Exchange(ExchangeError),
    /// The node is leaving or has left.
    NotAlive,
    /// The cluster was stopped.
    Stopped,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            JoinErrorKind::NotAlive => SeedError::NotAlive.fmt(f),
            JoinErrorKind::Stopped => SeedError::Stopped.fmt(f),
            JoinErrorKind::NoSeed => {
                f.write_str("no seed could be reached")?;
                for (n, failure) in self.failed.iter().enumerate() {
                    write!(f, "{} {failure}", if n == 0 { ":" } else { ";" })?;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for JoinError {}

impl fmt::Display for SeedFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, address, error } = self;
        match address {
            Some(address) if address.to_string() != *seed => write!(f, "{seed} ({address}): {error}"),
            Some(_) | None => write!(f, "{seed}: {error}"),
        }
    }
}

impl fmt::Display for SeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) => f.write_str(what),
            Self::Resolve(what) => write!(f, "cannot resolve the name: {what}"),
            Self::Exchange(error) => error.fmt(f),
            Self::NotAlive => f.write_str("the node is leaving or has left"),
            Self::Stopped => f.write_str("the cluster has stopped"),
        }
    }
}

impl core::error::Error for SeedError {}

/// The seeds of one join and what is known of each.
#[derive(Debug)]
pub(crate) struct Seeds(Vec<Seed>);

#[derive(Debug)]
struct Seed {
    text: String,
    targets: Result<Vec<Target>, SeedError>,
}

#[derive(Clone, Debug)]
struct Target {
    address: SocketAddr,
    result: Option<Result<(), ExchangeError>>,
}

impl Seeds {
    /// Resolves all of them side by side, so that one slow name costs no more than itself. Of thousands, which a client
    /// of an agent can name, [`LOOKUPS_MAX`] at a time: look-ups take threads, or wait for some. What is there twice is
    /// looked up once.
    pub(crate) async fn resolve<R: Runtime, S: AsRef<str>>(shared: &Shared<R>, seeds: &[S]) -> Self {
        let texts: BTreeSet<&str> = seeds.iter().map(AsRef::as_ref).collect();
        let lookups = texts.iter().map(|text| targets(shared, text));
        let found: BTreeMap<&str, _> = texts.iter().copied().zip(all(lookups, LOOKUPS_MAX).await).collect();
        let seeds = seeds.iter().map(AsRef::as_ref);
        Self(seeds.map(|text| Seed { text: text.into(), targets: found[text].clone() }).collect())
    }

    /// The same without a join: of each seed the text, and every address or why there is none.
    pub(crate) async fn look_up<R: Runtime>(
        shared: &Shared<R>,
        seeds: &[String],
    ) -> Vec<(String, Result<Vec<SocketAddr>, SeedError>)> {
        let Self(seeds) = Self::resolve(shared, seeds).await;
        let addresses = |targets: Vec<Target>| targets.into_iter().map(|target| target.address).collect();
        seeds.into_iter().map(|Seed { text, targets }| (text, targets.map(addresses))).collect()
    }

    /// Those of which an address was reached, with these addresses.
    pub(crate) fn reached(&self) -> impl Iterator<Item = (&str, Vec<SocketAddr>)> {
        let reached = self.0.iter().map(|Seed { text, targets }| {
            let reached = targets.iter().flatten().filter(|target| target.result == Some(Ok(())));
            (text.as_str(), reached.map(|target| target.address).collect::<Vec<_>>())
        });
        reached.filter(|(_, addresses)| !addresses.is_empty())
    }

    /// The outcome if there was not even time to resolve them.
    pub(crate) fn stopped<S: AsRef<str>>(seeds: &[S]) -> JoinError {
        let unresolved = seeds.iter().map(|seed| Seed { text: seed.as_ref().into(), targets: Err(SeedError::Stopped) });
        Self(unresolved.collect()).failed_for(JoinErrorKind::Stopped)
    }

    /// Every address, in order. One that two seeds name is there twice, and is tried and counted twice.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.targets().map(|target| target.address).collect()
    }

    /// Enters what the node reported.
    pub(crate) fn enter(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            let (address, result) = match reply {
                Reply::SeedReached(address) => (address, Ok(())),
                Reply::SeedFailed(address, error) => (address, Err(error)),
                Reply::Pong(_) | Reply::Done(_) | _ => continue,
            };
            let mut same = self.targets_mut().filter(|target| target.address == address && target.result.is_none());
            if let Some(target) = same.next() {
                target.result = Some(result);
            }
        }
    }

    /// The outcome, after the last reply.
    pub(crate) fn joined(self) -> Joined {
        let reached = self.targets().filter(|target| target.result == Some(Ok(()))).count();
        let failed = self.failed(SeedError::Exchange(ExchangeError::TimedOut));
        Joined { reached, failed }
    }

    /// The outcome if the node did not even try, or not to the end.
    pub(crate) fn failed_for(self, kind: JoinErrorKind) -> JoinError {
        let unanswered = match kind {
            JoinErrorKind::NotAlive => SeedError::NotAlive,
            JoinErrorKind::Stopped => SeedError::Stopped,
            JoinErrorKind::NoSeed => SeedError::Exchange(ExchangeError::TimedOut),
        };
        JoinError { kind, failed: self.failed(unanswered) }
    }

    /// The failures; targets without a reply failed for `unanswered`.
    fn failed(self, unanswered: SeedError) -> Vec<SeedFailure> {
        let mut failed = Vec::new();
        for Seed { text, targets } in self.0 {
            let targets = match targets {
                Ok(targets) => targets,
                Err(error) => {
                    failed.push(SeedFailure { seed: text, address: None, error });
                    continue;
                }
            };
            if targets.iter().any(|target| target.result == Some(Ok(()))) {
                continue;
            }
            failed.extend(targets.into_iter().map(|target| SeedFailure {
                seed: text.clone(),
                address: Some(target.address),
                error: match target.result {
                    Some(Err(error)) => SeedError::Exchange(error),
                    Some(Ok(())) | None => unanswered.clone(),
                },
            }));
        }
        failed
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        self.0.iter().filter_map(|seed| seed.targets.as_ref().ok()).flatten()
    }

    fn targets_mut(&mut self) -> impl Iterator<Item = &mut Target> {
        self.0.iter_mut().filter_map(|seed| seed.targets.as_mut().ok()).flatten()
    }
}

async fn targets<R: Runtime>(shared: &Shared<R>, text: &str) -> Result<Vec<Target>, SeedError> {
    let (host, port) = parse(text, shared.bound.port()).map_err(SeedError::Syntax)?;
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => {
            let resolving =
                async { shared.runtime.resolve(host, port).await.map_err(|error: io::Error| error.to_string()) };
            // A resolver may take minutes to notice that nobody answers it.
            let patience = shared.finish_timeout;
            let overdue = async {
                shared.runtime.sleep_until(StdInstant::now() + patience).await;
                Err(format!("no answer within {patience:?}"))
            };
            or(resolving, overdue).await.map_err(SeedError::Resolve)?
        }
    };
    let mut targets: Vec<Target> = Vec::with_capacity(addresses.len());
    for address in addresses.into_iter().map(|address| SocketAddr::new(address.ip().to_canonical(), address.port())) {
        // A resolver names an address once for every kind of socket.
        if !targets.iter().any(|target| target.address == address) {
            targets.push(Target { address, result: None });
        }
    }
    if targets.is_empty() {
        return Err(SeedError::Resolve("the name has no address".into()));
    }
    Ok(targets)
}

/// Takes `[name/]host[:port]` apart (memberlist: `memberlist.go`, resolveAddr; `util.go`, hasPort). The name is
/// not looked at: members are joined by address.
fn parse(text: &str, default_port: u16) -> Result<(&str, u16), &'static str> {
    let rest = match text.split_once('/') {
        Some(("", _)) => return Err("empty node name before the slash"),
        Some((_, rest)) => rest,
        None => text,
    };
    let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or("missing ']' in address")?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err("nothing but a port may follow ']'"),
        }
    } else {
        match rest.split_once(':') {
            // More than one colon without brackets is an IPv6 address.
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            Some(_) | None => (rest, None),
        }
    };
    if host.is_empty() {
        return Err("no host in address");
    }
    if host.contains(['[', ']', '/']) || host.contains(char::is_whitespace) || host.contains('\0') {
        return Err("not a host name or address");
    }
    let port = match port {
        None => default_port,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().ok().filter(|port| *port != 0).ok_or("port must be 1 to 65535")?
        }
        Some(_) => return Err("port is not a number"),
    };
    Ok((host, port))
}

/// Runs all futures side by side, at most `max` at once, and gives their results in order.
async fn all<F: Future>(futures: impl Iterator<Item = F>, max: usize) -> Vec<F::Output> {
    enum Slot<F: Future> {
        Running(Pin<Box<F>>),
        Done(F::Output),
    }
    impl<F: Future> Unpin for Slot<F> {}
    let mut slots: Vec<_> = futures.map(|future| Slot::Running(Box::pin(future))).collect();
    core::future::poll_fn(|cx| {
        let mut running = 0;
        for slot in &mut slots {
            if let Slot::Running(future) = slot {
                // A future that is not polled has not begun.
                if running == max {
                    break;
                }
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => *slot = Slot::Done(output),
                    Poll::Pending => running += 1,
                }
            }
        }
        if running > 0 { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let done = slots.into_iter().filter_map(|slot| match slot {
        Slot::Done(output) => Some(output),
        Slot::Running(_) => None,
    });
    done.collect()
}

/// Look-ups of one join at once.
const LOOKUPS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use futures_lite::future::{block_on, yield_now};
    use swim_core::node::input::StreamFailure;

    use super::*;
    use crate::testing::shared;

    #[test]
    fn seeds_are_read_as_serf_reads_them() {
        #[rustfmt::skip]
        let table = [
            ("host",                   Ok(("host", 7))),
            ("host:80",                Ok(("host", 80))),
            ("10.0.0.1",               Ok(("10.0.0.1", 7))),
            ("10.0.0.1:80",            Ok(("10.0.0.1", 80))),
            ("::1",                    Ok(("::1", 7))),
            ("fd00::1:80",             Ok(("fd00::1:80", 7))),
            ("[::1]",                  Ok(("::1", 7))),
            ("[::1]:80",               Ok(("::1", 80))),
            ("[fe80::1%eth0]:80",      Ok(("fe80::1%eth0", 80))),
            ("web-1/10.0.0.1:80",      Ok(("10.0.0.1", 80))),
            ("web-1/host",             Ok(("host", 7))),
            ("web-1/[::1]:80",         Ok(("::1", 80))),
            ("/host",                  Err("empty node name before the slash")),
            ("a/b/c",                  Err("not a host name or address")),
            ("",                       Err("no host in address")),
            (":80",                    Err("no host in address")),
            ("web-1/",                 Err("no host in address")),
            ("[]:80",                  Err("no host in address")),
            ("[::1",                   Err("missing ']' in address")),
            ("[::1]80",                Err("nothing but a port may follow ']'")),
            ("ho st",                  Err("not a host name or address")),
            ("host:",                  Err("port must be 1 to 65535")),
            ("host:0",                 Err("port must be 1 to 65535")),
            ("host:65536",             Err("port must be 1 to 65535")),
            ("host:http",              Err("port is not a number")),
            ("host:+80",               Err("port is not a number")),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text, 7), expected, "{text:?}");
        }
    }

    fn seed(text: &str, addresses: &[SocketAddr]) -> Seed {
        let targets = addresses.iter().map(|address| Target { address: *address, result: None });
        Seed { text: text.into(), targets: Ok(targets.collect()) }
    }

    #[test]
    fn every_seed_is_accounted_for() {
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let refused = ExchangeError::Stream(StreamFailure::Refused);
        let syntax = Seed { text: "/".into(), targets: Err(SeedError::Syntax("bad")) };
        let mut seeds = Seeds(vec![seed("two", &[at(1), at(2)]), syntax, seed("same", &[at(2)]), seed("no", &[at(3)])]);
        assert_eq!(seeds.addresses(), [at(1), at(2), at(2), at(3)]);
        seeds.enter(vec![
            Reply::SeedFailed(at(1), refused),
            Reply::SeedReached(at(2)),
            Reply::SeedReached(at(2)),
            Reply::SeedFailed(at(3), ExchangeError::Closed),
        ]);
        let joined = seeds.joined();
        assert_eq!(joined.reached, 2);
        let failed: Vec<_> = joined.failed.iter().map(|f| (f.seed.as_str(), f.address, f.error.clone())).collect();
        assert_eq!(
            failed,
            [("/", None, SeedError::Syntax("bad")), ("no", Some(at(3)), SeedError::Exchange(ExchangeError::Closed)),]
        );
    }

    #[test]
    fn a_join_that_was_cut_short_says_so() {
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let mut seeds = Seeds(vec![seed("a", &[at(1), at(2)])]);
        seeds.enter(vec![Reply::SeedFailed(at(1), ExchangeError::Busy)]);
        let error = seeds.failed_for(JoinErrorKind::Stopped);
        let errors: Vec<_> = error.failed.into_iter().map(|failure| failure.error).collect();
        assert_eq!(errors, [SeedError::Exchange(ExchangeError::Busy), SeedError::Stopped]);
    }

    #[test]
    fn side_by_side_and_in_order() {
        let slow_first = (0..4).rev().map(|n| async move {
            for _ in 0..n {
                yield_now().await;
            }
            n
        });
        assert_eq!(block_on(all(slow_first, LOOKUPS_MAX)), [3, 2, 1, 0]);
    }

    /// Whoever has waited goes on as soon as another has ended, and nobody is forgotten.
    #[test]
    fn no_more_than_allowed_at_once() {
        for (count, most) in [(LOOKUPS_MAX, LOOKUPS_MAX), (LOOKUPS_MAX + 1, LOOKUPS_MAX), (1000, LOOKUPS_MAX)] {
            let (running, peak) = (&Cell::new(0), &Cell::new(0));
            let futures = (0..count).map(|n| async move {
                running.set(running.get() + 1);
                peak.set(peak.get().max(running.get()));
                for _ in 0..n % 3 {
                    yield_now().await;
                }
                // One that began has been counted before it waits for the first time.
                yield_now().await;
                running.set(running.get() - 1);
                n
            });
            assert_eq!(block_on(all(futures, LOOKUPS_MAX)), (0..count).collect::<Vec<_>>());
            assert_eq!((running.get(), peak.get()), (0, most), "{count}");
        }
    }

    #[test]
    fn what_is_named_twice_is_looked_up_once() {
        let shared = shared();
        let names = ["b.example", "10.0.0.9", "a.example", "b.example", "10.0.0.9"];
        let Seeds(seeds) = block_on(Seeds::resolve(&shared, &names));
        assert_eq!(shared.runtime.resolved(), ["a.example", "b.example"]);
        assert_eq!(seeds.iter().map(|seed| &*seed.text).collect::<Vec<_>>(), names);
        let addresses = seeds.iter().map(|seed| seed.targets.as_ref().map_or(0, Vec::len));
        assert_eq!(addresses.collect::<Vec<_>>(), [0, 1, 0, 0, 1]);
    }
}
