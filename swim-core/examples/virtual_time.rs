//! Two members without sockets, threads or clock: one dies after 5 s, the other finds out, and none of it takes time.
//!
//! ```sh
//! cargo run -p swim-core --example virtual_time
//! ```
//!
//! It ends by itself at once. Every run prints the same, because time and randomness are what this file says they are:
//!
//! ```text
//!  0.000 s  ant sees bee Alive, so it is alive
//!  6.069 s  ant sees bee Suspect, so it is alive
//! 10.069 s  ant sees bee Dead, so it is failed
//! ```

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;

use swim_core::node::input::{StreamAction, StreamInput};
use swim_core::serf::member::Status;
use swim_core::{Config, Instant, Node};

fn main() -> Result<(), Box<dyn Error>> {
    let addresses: [SocketAddr; 2] = ["10.0.0.1:7946".parse()?, "10.0.0.2:7946".parse()?];
    let (mut now, death) = (Instant::ZERO, Instant::after_origin(Duration::from_secs(5)));
    let mut nodes = [
        Node::new(Config::lan("ant", addresses[0]), [1; 32], now)?,
        Node::new(Config::lan("bee", addresses[1]), [2; 32], now)?,
    ];
    nodes[0].join(now, &addresses[1..], false);

    let (mut datagram, mut ends, mut shown) = (Vec::new(), HashMap::new(), None);
    loop {
        // What each of the living has to say reaches the other at once, and may make it say something in turn.
        let living = if now < death { 0..2 } else { 0..1 };
        let mut quiet = false;
        while !core::mem::replace(&mut quiet, true) {
            for from in living.clone() {
                let to = 1 - from;
                while nodes[from].poll_transmit(now, &mut datagram).is_some() {
                    quiet = false;
                    if living.contains(&to) {
                        nodes[to].handle_datagram(now, addresses[from], &mut datagram)?;
                    }
                }
                while let Some(action) = nodes[from].poll_stream() {
                    quiet = false;
                    match action {
                        // Nobody picks up at a dead member's; the node gives up by itself.
                        StreamAction::Open { id, .. } if living.contains(&to) => {
                            let accepted = nodes[to].accept_stream(now, addresses[from]).ok_or("too many streams")?;
                            ends.extend([((from, id), accepted), ((to, accepted), id)]);
                            nodes[from].handle_stream(now, id, StreamInput::Opened);
                        }
                        StreamAction::Send { id, data } => {
                            nodes[to].handle_stream(now, ends[&(from, id)], StreamInput::Data(&data));
                            nodes[from].handle_stream(now, id, StreamInput::Sent);
                        }
                        StreamAction::Open { .. } | StreamAction::Finish { .. } | StreamAction::Abort { .. } => {}
                    }
                }
            }
        }

        let status = nodes[0].member(b"bee").map(|bee| (bee.status(), bee.state()));
        if let Some((status, Some(state))) = status.filter(|_| status != shown) {
            println!("{:6.3} s  ant sees bee {state:?}, so it is {status}", (now - Instant::ZERO).as_secs_f64());
            if status == Status::Failed {
                return Ok(());
            }
        }
        shown = status;
        // On to the next moment at which something is due. For the dead nothing is.
        now = nodes[living].iter().filter_map(Node::poll_timeout).min().ok_or("a member always probes")?;
        nodes.iter_mut().for_each(|node| node.handle_timeout(now));
    }
}
