//! Two members on plain sockets and threads, without a runtime: all that the core needs of the world, in one loop.
//!
//! ```sh
//! cargo run -p swim-core --example bare
//! ```
//!
//! It ends by itself after four seconds, and prints what each member hears of, itself included, and whom it knows then:
//! `left: member-join right` and the like, and at the end `left: 2 members`, `right: 2 members`.

mod threads;

use core::error::Error;
use core::hash::BuildHasher as _;
use core::net::SocketAddr;
use core::time::Duration;
use std::hash::RandomState;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, mpsc};
use std::thread::spawn;

use swim_core::{Config, Event, Instant, Node};
use threads::{News, Streams};

fn main() -> Result<(), Box<dyn Error>> {
    let (left, right) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let seed = left.local_addr()?;
    let other = spawn(move || run("right", right, &[seed]).map_err(|error| error.to_string()));
    run("left", left, &[])?;
    Ok(other.join().map_err(|_| "the other member panicked")??)
}

fn run(name: &str, listener: TcpListener, seeds: &[SocketAddr]) -> Result<(), Box<dyn Error>> {
    // Datagrams and streams come to one address.
    let address = listener.local_addr()?;
    let socket = Arc::new(UdpSocket::bind(address)?);
    let (report, news) = mpsc::channel::<News>();
    let (receiver, receives, accepts) = (socket.clone(), report.clone(), report.clone());
    spawn(move || threads::receive(&receiver, &receives));
    spawn(move || threads::accept(&listener, &accepts));

    // Enough to tell two members apart. With keys all 32 bytes must come from the system: the nonces follow from them.
    let seed = core::array::from_fn(|n| RandomState::new().hash_one(n) as u8);
    let origin = std::time::Instant::now();
    let now = || Instant::after_origin(origin.elapsed());
    let mut node = Node::new(Config::local(name, address), seed, now())?;
    if !seeds.is_empty() {
        node.join(now(), seeds, false);
    }

    let (mut streams, mut datagram) = (Streams::new(), Vec::new());
    while origin.elapsed() < Duration::from_secs(4) {
        // Everything that the node has to say, of each kind, until there is no more.
        while let Some(transmit) = node.poll_transmit(now(), &mut datagram) {
            let _loss_is_normal = socket.send_to(&datagram, transmit.destination);
        }
        while let Some(action) = node.poll_stream() {
            threads::act(action, &mut streams, report.clone());
        }
        while let Some(event) = node.poll_event() {
            if let Event::Member { kind, member } = event {
                println!("{name}: {} {}", kind.as_str(), member.name);
            }
        }
        while node.poll_reply().is_some() {} // here one could learn what became of the join

        // Then wait for news or the next deadline; a look at the clock in between is for the end of this program.
        let due = node.poll_timeout().map_or(Duration::MAX, |at| at - now());
        let first = news.recv_timeout(due.min(Duration::from_secs(1))).ok();
        // What has arrived comes before what is due: it may be the ack that saves a member.
        for tell in first.into_iter().chain(news.try_iter()) {
            tell(&mut node, now(), &mut streams);
        }
        node.handle_timeout(now());
    }
    println!("{name}: {} members", node.members().count());
    Ok(())
}
