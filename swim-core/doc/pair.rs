// Nodes and a network without delay between them. The examples of the documentation include this file in hidden lines,
// where a real program has a driver; the example of the crate shows the same with nothing hidden.

use std::net::SocketAddr;
use std::time::Duration;

use swim_core::ids::StreamId;
use swim_core::node::input::{StreamAction, StreamFailure, StreamInput};
use swim_core::node::trace::Traced;
use swim_core::{Config, Instant, Node};

/// The configuration of a node on this machine.
pub fn config(name: &str, port: u16) -> Config {
    Config::lan(name, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// A node whose seed follows from its port.
pub fn node(config: Config, now: Instant) -> Node {
    let [high, low] = config.advertise.port().to_be_bytes();
    let mut seed = [high; 32];
    seed[0] = low;
    Node::new(config, seed, now).expect("the example gives a valid configuration")
}

/// `a` and `b`, who have met. What came of that has been taken.
pub fn two() -> (Instant, Node, Node) {
    two_with(|_| {})
}

/// The same with another configuration.
pub fn two_with(change: impl Fn(&mut Config)) -> (Instant, Node, Node) {
    let mut now = Instant::ZERO;
    let [mut a, mut b] = [("a", 7946), ("b", 7947)].map(|(name, port)| {
        let mut config = config(name, port);
        change(&mut config);
        node(config, now)
    });
    a.join(now, &[b.local().address()], false);
    run(&mut now, [&mut a, &mut b], 2);
    for node in [&mut a, &mut b] {
        while node.poll_reply().is_some() || node.poll_event().is_some() || node.poll_record().is_some() {}
    }
    (now, a, b)
}

/// Lets so many seconds pass, and carries what the nodes send to each other. Whoever is not among them is not there.
pub fn run<const N: usize>(now: &mut Instant, mut nodes: [&mut Node; N], seconds: u64) {
    let end = *now + Duration::from_secs(seconds);
    // Both ends of each open stream: whose, and by what name it knows the stream.
    let mut streams = Vec::new();
    loop {
        while carry(*now, &mut nodes, &mut streams) {}
        let next = nodes.iter().filter_map(|node| node.poll_timeout()).min();
        let Some(next) = next.filter(|next| *next <= end) else { break };
        *now = next.max(*now);
        for node in &mut nodes {
            node.handle_timeout(*now);
        }
    }
    *now = end;
}

type End = (usize, StreamId);

/// Carries what there is to carry; whether there was anything.
fn carry(now: Instant, nodes: &mut [&mut Node], streams: &mut Vec<[End; 2]>) -> bool {
    let addresses: Vec<_> = nodes.iter().map(|node| node.local().address()).collect();
    let at = |address| addresses.iter().position(|known| *known == address);
    let (mut buf, mut any) = (Vec::new(), false);
    for from in 0..nodes.len() {
        while let Some(transmit) = nodes[from].poll_transmit(now, &mut buf) {
            any = true;
            if let Some(to) = at(transmit.destination) {
                let _counted = nodes[to].handle_datagram(now, addresses[from], &mut buf);
            }
        }
        while let Some(action) = nodes[from].poll_stream() {
            any = true;
            let id = match action {
                StreamAction::Open { id, peer } => {
                    let accepted = at(peer).and_then(|to| Some((to, nodes[to].accept_stream(now, addresses[from])?)));
                    let input = match accepted {
                        Some(end) => {
                            streams.push([(from, id), end]);
                            StreamInput::Opened
                        }
                        None => StreamInput::Failed(StreamFailure::Refused),
                    };
                    nodes[from].handle_stream(now, id, input);
                    continue;
                }
                StreamAction::Send { id, .. } | StreamAction::Finish { id } | StreamAction::Abort { id } => id,
            };
            let far = streams.iter().find_map(|[a, b]| match (from, id) {
                end if end == *a => Some(*b),
                end if end == *b => Some(*a),
                _ => None,
            });
            let Some((to, far)) = far else { continue };
            match action {
                StreamAction::Send { data, .. } => {
                    nodes[to].handle_stream(now, far, StreamInput::Data(&data));
                    nodes[from].handle_stream(now, id, StreamInput::Sent);
                }
                StreamAction::Finish { .. } => nodes[to].handle_stream(now, far, StreamInput::Finished),
                StreamAction::Open { .. } | StreamAction::Abort { .. } => {
                    nodes[to].handle_stream(now, far, StreamInput::Failed(StreamFailure::Reset));
                }
            }
        }
    }
    any
}

/// A node on its own that is recorded.
pub fn traced() -> (Instant, Traced<Vec<u8>>) {
    let now = Instant::ZERO;
    (now, Traced::new(config("a", 7946), [7; 32], now, Vec::new()).expect("the configuration is valid"))
}
