//! What the benchmarks start from: a node that knows so many members, and packets for it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use swim_core::ids::Incarnation;
use swim_core::versions::{VersionRange, Versions};
use swim_core::wire::codec::Codec;
use swim_core::wire::envelope::{Envelope, Packet};
use swim_core::wire::message::{Alive, Bytes, Entry, PushPullHeader, State};
use swim_core::{Config, Instant, Node, wire};

/// Updates in one packet.
pub(crate) const BATCH: usize = 15;

/// The local node is member 0.
pub(crate) fn address(member: usize) -> SocketAddr {
    let [_, b, c, d] = (member as u32 + 1).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, b, c, d)), 7946)
}

/// About ten bytes.
pub(crate) fn name(member: usize) -> String {
    format!("node-{member:05}")
}

/// Two short tags, encoded.
const META: &[u8] = b"\xff\x82\xa4role\xa3web\xa2dc\xa4east";

pub(crate) fn versions() -> Versions {
    Versions {
        protocol: VersionRange { min: 1, max: 5, current: 2 },
        application: VersionRange { min: 2, max: 5, current: 5 },
        features: 0,
    }
}

pub(crate) fn config() -> Config {
    Config::lan(name(0).as_str(), address(0))
}

/// A datagram that announces these members at an incarnation.
pub(crate) fn packet(members: impl Iterator<Item = usize>, incarnation: u32) -> Vec<u8> {
    let mut envelope = Envelope::new(wire::Config { compression: false, ..config().wire }).expect("defaults are valid");
    let mut buf = Vec::new();
    let mut packet: Packet<'_> = envelope.begin(&mut buf, false);
    for member in members {
        let name = name(member);
        let alive = Alive {
            incarnation: Incarnation(incarnation),
            node: name.as_bytes(),
            ip: Some(address(member).ip()),
            port: 7946,
            meta: Some(Bytes::from(META)),
            versions: Some(versions()),
        };
        packet.push(|buf| Codec::Native.encode_alive(&alive, buf));
    }
    packet.finish_with_nonce(&[0; 24]);
    buf
}

/// A datagram with one message of Serf.
pub(crate) fn user_packet(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut envelope = Envelope::new(wire::Config { compression: false, ..config().wire }).expect("defaults are valid");
    let mut buf = Vec::new();
    let mut packet: Packet<'_> = envelope.begin(&mut buf, false);
    packet.push(|buf| {
        buf.push(wire::message::kind::USER);
        encode(buf);
    });
    packet.finish_with_nonce(&[0; 24]);
    buf
}

/// A node that knows `members`, itself included, with nothing left to do at this moment.
pub(crate) fn node(members: usize) -> Node {
    node_with(config(), members)
}

/// The same with other settings.
pub(crate) fn node_with(config: Config, members: usize) -> Node {
    let mut node = Node::new(config, [1; 32], Instant::ZERO).expect("the configuration is valid");
    let mut all = 1..members;
    loop {
        let mut datagram = packet(all.by_ref().take(BATCH), 1);
        if datagram.len() < 20 {
            break;
        }
        node.handle_datagram(Instant::ZERO, address(1), &mut datagram).expect("the packet is good");
        while node.poll_event().is_some() {}
    }
    assert_eq!(node.members().count(), members);
    node
}

/// Lets time pass, with everybody answering at once, until the news of the beginning has been spread.
pub(crate) fn quiet(node: &mut Node) -> Instant {
    let (mut buf, mut now) = (Vec::new(), Instant::ZERO);
    let end = Instant::after_origin(Duration::from_secs(100_000));
    while node.summary().update_queue > 0 && now < end {
        now = node.poll_timeout().expect("there is always a next probe");
        step(node, now, &mut buf);
    }
    now
}

/// One wake-up: what is due, what is to be sent, and the acks of whoever was pinged. Returns how many datagrams went
/// out.
pub(crate) fn step(node: &mut Node, now: Instant, buf: &mut Vec<u8>) -> usize {
    node.handle_timeout(now);
    let mut sent = 0;
    while let Some(transmit) = node.poll_transmit(now, buf) {
        sent += 1;
        ack(node, now, transmit.destination, buf);
    }
    while node.poll_stream().is_some() {}
    while node.poll_event().is_some() {}
    sent
}

/// Answers the datagram in `buf` if it is, or begins with, a ping; only then is there anything to answer.
fn ack(node: &mut Node, now: Instant, from: SocketAddr, buf: &mut [u8]) {
    use swim_core::wire::message::{Ack, Message};
    thread_local! {
        static PEER: core::cell::RefCell<(Envelope, Vec<u8>)> = core::cell::RefCell::new((
            Envelope::new(wire::Config { compression: false, ..config().wire }).expect("defaults are valid"),
            Vec::new(),
        ));
    }
    PEER.with_borrow_mut(|(envelope, answer)| {
        let mut seq = None;
        envelope
            .open(buf, &mut |part| {
                if let Ok((kind, body)) = part
                    && kind == wire::message::kind::PING
                    && let Ok(Message::Ping(ping)) = Codec::Native.decode(kind, body)
                {
                    seq = Some(ping.seq);
                }
            })
            .expect("what a node writes can be read");
        if let Some(seq) = seq {
            let mut packet = envelope.begin(answer, false);
            packet.push(|buf| Codec::Native.encode_ack(&Ack { seq, payload: None }, buf));
            packet.finish_with_nonce(&[0; 24]);
            node.handle_datagram(now, from, answer).expect("the ack is good");
        }
    });
}

/// A whole push/pull message of so many members, as it stands before framing.
pub(crate) fn push_pull(members: usize) -> Vec<u8> {
    let mut message = Vec::new();
    let header = PushPullHeader { join: true, entries: members as u32, user_state_len: 0 };
    Codec::Native.begin_push_pull(&header, &mut message);
    for member in 1..=members {
        let name = name(member);
        let entry = Entry {
            name: name.as_bytes(),
            ip: Some(address(member).ip()),
            port: 7946,
            meta: Some(Bytes::from(META)),
            incarnation: Incarnation(1),
            state: Some(State::Alive),
            versions: Some(versions()),
        };
        Codec::Native.push_pull_entry(&entry, &mut message);
    }
    message
}
