//! A service registry made of nothing but tags: each process says what it offers and shows who offers what. In two
//! terminals:
//!
//! ```sh
//! cargo run -p swim-smol --example service-smol -- web-1 127.0.0.1:7301 60 http=8080 metrics=9100
//! cargo run -p swim-smol --example service-smol -- db-1 127.0.0.1:7302 20 sql=5432 127.0.0.1:7301
//! ```
//!
//! The arguments are a name, the address to listen on, for how many seconds, and then services (`NAME=PORT`) and
//! addresses of members to join, in any order. It prints the whole registry whenever that changes:
//!
//! ```text
//! http: 127.0.0.1:8080 (web-1)
//! metrics: 127.0.0.1:9100 (web-1)
//! sql: 127.0.0.1:5432 (db-1)
//! ```
//! When its time is up it leaves, and its services vanish from the others'; after Ctrl-C they do so some seconds later.

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use swim_smol::swim_core::Event;
use swim_smol::swim_core::serf::member::Status;
use swim_smol::{Cluster, Events, Options};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [name, address, seconds, rest @ ..] = &arguments[..] else {
            return Err("usage: service NAME ADDRESS SECONDS [SERVICE=PORT | ADDRESS OF A MEMBER]...".into());
        };
        let mut options = Options::local(name.as_str(), address.parse()?);
        options.config.tags = rest.iter().filter_map(|argument| argument.split_once('=')).collect();
        let seeds: Vec<&String> = rest.iter().filter(|argument| !argument.contains('=')).collect();
        let over = smol::Timer::after(Duration::from_secs(seconds.parse()?));
        let cluster = Cluster::start(options).await?;
        let mut events = cluster.events();
        cluster.join(&seeds).await?;
        smol::future::or(show(&cluster, &mut events), async {
            over.await;
        })
        .await;
        Ok(cluster.leave().await?)
    })
}

/// Prints the registry each time it changes, until the cluster stops.
async fn show(cluster: &Cluster, events: &mut Events) {
    let mut shown = BTreeMap::new();
    loop {
        let now = registry(cluster);
        if now != shown {
            now.iter().for_each(|((service, name), address)| println!("{service}: {address} ({name})"));
            println!();
            shown = now;
        }
        // Whatever happened, the member list has it already. After `Missed`, too: so nothing needs to be caught up on.
        loop {
            match events.next().await {
                Some(Event::Member { .. } | Event::Missed { .. }) => break,
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// Who offers what, where: by service and member.
fn registry(cluster: &Cluster) -> BTreeMap<(String, String), SocketAddr> {
    let there = cluster.members().into_iter().filter(|member| member.status == Status::Alive);
    let offers = there.flat_map(|member| {
        let (tags, ip, name) = (member.tags(), member.address.ip(), member.name.to_string());
        let ports = tags.iter().filter_map(|(service, port)| Some((service.to_owned(), port.parse().ok()?)));
        ports.map(|(service, port)| ((service, name.clone()), SocketAddr::new(ip, port))).collect::<Vec<_>>()
    });
    offers.collect()
}
