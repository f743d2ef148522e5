//! Seeds that are the names of services: `_serf._tcp.example.org` stands for whatever its SRV records say at the time.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::discovery::dns::{self, Nameservers, Service};

/// How names of services become members to join.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services {
    /// Empty: the system's.
    nameservers: Vec<SocketAddr>,
}

/// Seeds without names of services in them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    pub(crate) seeds: Vec<String>,
    /// One line for each name that did not become any.
    pub(crate) failed: Vec<String>,
}

impl Services {
    pub(crate) fn new(nameservers: Vec<SocketAddr>) -> Self {
        Self { nameservers }
    }

    /// Puts the targets of each name in its place. `own` are this member's addresses: it would reach itself, and take
    /// that for a cluster.
    pub(crate) async fn expand(&self, seeds: &[String], own: &[SocketAddr]) -> Expanded {
        let mut lookups = JoinSet::new();
        for (index, seed) in seeds.iter().enumerate().filter(|(_, seed)| is_service(seed)).take(NAMES_MAX) {
            let (this, seed) = (self.clone(), seed.clone());
            lookups.spawn(async move {
                let found = timeout(LIMIT, this.targets(&seed)).await;
                (index, found.unwrap_or_else(|_| Err(format!(": no answer within {LIMIT:?}"))))
            });
        }
        let mut found = Vec::new();
        while let Some(Ok(one)) = lookups.join_next().await {
            found.push(one);
        }
        let mut expanded = Expanded::default();
        for (index, seed) in seeds.iter().enumerate() {
            if !is_service(seed) {
                expanded.seeds.push(seed.clone());
                continue;
            }
            let targets = match found.iter().position(|(of, _)| *of == index) {
                Some(place) => found.swap_remove(place).1,
                None => Err(format!(": more than {NAMES_MAX} names of services at once")),
            };
            let others = targets.map(|targets| targets.into_iter().filter(|target| !own.contains(target)).collect());
            match others {
                Ok::<Vec<SocketAddr>, _>(others) if others.is_empty() => {
                    expanded.failed.push(line(seed, ": nobody but this member"));
                }
                Ok(others) => {
                    for text in others.iter().map(SocketAddr::to_string) {
                        if !expanded.seeds.contains(&text) {
                            expanded.seeds.push(text);
                        }
                    }
                }
                Err(why) => expanded.failed.push(line(seed, &why)),
            }
        }
        expanded
    }

    /// At least one. The error follows "lookup NAME".
    async fn targets(&self, name: &str) -> Result<Vec<SocketAddr>, String> {
        let nameservers = match &*self.nameservers {
            [] => Nameservers::of_system(),
            given => Nameservers::given(given),
        };
        let services = nameservers.services(name).await.map_err(|error| error.to_string())?;
        let (mut found, mut failure) = (Vec::new(), None);
        for service in services {
            match self.addresses(&nameservers, &service).await {
                Ok(addresses) => found.extend(addresses.into_iter().map(|ip| SocketAddr::new(ip, service.port))),
                Err(why) => failure = Some(why),
            }
        }
        if found.is_empty() { Err(failure.unwrap_or_default()) } else { Ok(found) }
    }

    async fn addresses(&self, nameservers: &Nameservers, service: &Service) -> Result<Vec<IpAddr>, String> {
        let Service { target, port, addresses, .. } = service;
        if target.is_empty() || *port == 0 {
            return Err(": the service is said not to exist".to_owned());
        }
        if !addresses.is_empty() {
            return Ok(addresses.clone());
        }
        let failed = |why: String| format!(": lookup {target}{why}");
        if !self.nameservers.is_empty() {
            // Who names the targets knows them, and the system may not: `web.node.consul`.
            return nameservers.addresses(target).await.map_err(|error| failed(error.to_string()));
        }
        // A full name, so that no search makes another one of it.
        let found = lookup_host((format!("{target}."), *port)).await;
        let found = found.map_err(|_| failed(": no such host".to_owned()))?;
        Ok(found.map(|address| address.ip().to_canonical()).take(dns::ADDRESSES_MAX).collect())
    }
}

/// Whether a seed is the name of a service: hosts have no underscore at their beginning, and services bring their port.
pub(crate) fn is_service(seed: &str) -> bool {
    seed.starts_with('_') && seed.contains('.') && !seed.contains([':', '/'])
}

/// The nameservers of a configuration.
pub(crate) fn nameservers(texts: &[String]) -> Result<Vec<SocketAddr>, String> {
    if let Some(beyond) = texts.get(dns::SERVERS_MAX) {
        return Err(format!("'{beyond}' is one too many: no more than {} are asked", dns::SERVERS_MAX));
    }
    let parse = |text: &String| {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        // By name, there would be nobody to ask for it.
        match (text.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
            (Ok(address), _) if address.port() != 0 => Ok(address),
            (_, Ok(ip)) => Ok(SocketAddr::new(ip, dns::PORT)),
            _ => Err(format!("'{text}' is no IP address, with or without a port")),
        }
    };
    texts.iter().map(parse).collect()
}

fn line(seed: &str, why: &str) -> String {
    format!("Failed to resolve {seed}: lookup {seed}{why}")
}

/// Names that are looked up for one join.
const NAMES_MAX: usize = 16;
/// For one of them, with all its targets.
const LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    /// As many names as the bound says are looked up, and one more is not; nobody answers for any of them.
    #[tokio::test(start_paused = true)]
    async fn names_are_bounded() {
        let services = Services::new(vec!["127.0.0.1:1".parse().unwrap()]);
        for (count, refused) in [(NAMES_MAX, 0), (NAMES_MAX + 1, 1)] {
            let expanded = services.expand(&vec!["_a._tcp.example".to_owned(); count], &[]).await;
            let too_many = expanded.failed.iter().filter(|line| line.contains("more than 16 names"));
            assert_eq!((expanded.failed.len(), too_many.count()), (count, refused));
        }
    }
}
