//! Whole nodes talking to each other over a perfect network. What needs faults and many members is in `swim-sim`.

mod direct;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::*;
use crate::ids::Name;
use crate::node::input::{CommandError, ExchangeError, StreamFailure};
use crate::node::trace::{Replay, ReplayError, Traced};
use crate::serf::config::Life;
use crate::serf::event::MemberEvent;
use crate::serf::member::Member;
use crate::serf::member::Status;
use crate::serf::user_event::UserEvent;
use crate::wire;
use crate::wire::codec::Codec;
#[cfg(feature = "encryption")]
use crate::wire::key_text::KeyText;
use crate::wire::keyring::{Key, Keyring};
use crate::wire::message::{Ping, State};

type TestNode = Traced<Vec<u8>>;

/// Nodes by address; datagrams arrive at once, streams too.
struct Net {
    now: Instant,
    nodes: BTreeMap<SocketAddr, TestNode>,
    /// Both ends of each stream.
    streams: BTreeMap<(SocketAddr, StreamId), (SocketAddr, StreamId)>,
    sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

fn address(n: u8) -> SocketAddr {
    ([127, 0, 0, n], 7946).into()
}

fn config(n: u8, wire: wire::Config) -> Config {
    Config { wire, ..Config::local(alloc::format!("n{n}").as_str(), address(n)) }
}

impl Net {
    fn new(configs: impl IntoIterator<Item = Config>) -> Self {
        let nodes = configs.into_iter().enumerate().map(|(n, config)| {
            let address = config.advertise;
            let mut seed = [0; 32];
            seed[0] = n as u8 + 1;
            (address, TestNode::new(config, seed, Instant::ZERO, Vec::new()).unwrap())
        });
        Self { now: Instant::ZERO, nodes: nodes.collect(), streams: BTreeMap::new(), sent: Vec::new() }
    }

    fn of(count: u8, wire: &wire::Config) -> Self {
        Self::new((1..=count).map(|n| config(n, wire.clone())))
    }

    fn node(&mut self, n: u8) -> &mut TestNode {
        self.nodes.get_mut(&address(n)).unwrap()
    }

    /// Delivers everything until all is quiet at this moment.
    fn settle(&mut self) {
        let (now, mut buf) = (self.now, Vec::new());
        loop {
            let mut quiet = true;
            let addresses: Vec<_> = self.nodes.keys().copied().collect();
            for from in addresses {
                while let Some(transmit) = self.nodes.get_mut(&from).unwrap().poll_transmit(now, &mut buf) {
                    quiet = false;
                    self.sent.push((from, transmit.destination, buf.clone()));
                    if let Some(node) = self.nodes.get_mut(&transmit.destination) {
                        node.handle_datagram(now, from, &mut buf).ok();
                    }
                }
                while let Some(action) = self.nodes.get_mut(&from).unwrap().poll_stream() {
                    quiet = false;
                    self.stream(from, action);
                }
                self.nodes[&from].node().check();
            }
            if quiet {
                return;
            }
        }
    }

    fn stream(&mut self, from: SocketAddr, action: StreamAction) {
        let now = self.now;
        match action {
            StreamAction::Open { id, peer } => {
                let accepted = self.nodes.get_mut(&peer).and_then(|node| node.accept_stream(now, from));
                let input = match accepted {
                    Some(other) => {
                        self.streams.insert((from, id), (peer, other));
                        self.streams.insert((peer, other), (from, id));
                        StreamInput::Opened
                    }
                    None => StreamInput::Failed(StreamFailure::Refused),
                };
                self.nodes.get_mut(&from).unwrap().handle_stream(now, id, input);
            }
            StreamAction::Send { id, data } => {
                let (peer, other) = self.streams[&(from, id)];
                for chunk in data.chunks(100) {
                    self.nodes.get_mut(&peer).unwrap().handle_stream(now, other, StreamInput::Data(chunk));
                }
                self.nodes.get_mut(&from).unwrap().handle_stream(now, id, StreamInput::Sent);
            }
            StreamAction::Finish { id } | StreamAction::Abort { id } => {
                if let Some((peer, other)) = self.streams.remove(&(from, id)) {
                    self.nodes.get_mut(&peer).unwrap().handle_stream(now, other, StreamInput::Finished);
                }
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(due) = self.nodes.values().filter_map(Traced::poll_timeout).min().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let now = self.now;
            for node in self.nodes.values_mut() {
                node.handle_timeout(now);
            }
            self.settle();
        }
        self.now = end;
    }

    fn join(&mut self, n: u8, seed: u8) -> Vec<Reply> {
        let now = self.now;
        let id = self.node(n).join(now, &[address(seed)], false);
        self.settle();
        self.replies(n, id)
    }

    fn replies(&mut self, n: u8, id: CommandId) -> Vec<Reply> {
        let node = self.node(n);
        core::iter::from_fn(|| node.poll_reply()).filter(|(of, _)| *of == id).map(|(_, reply)| reply).collect()
    }

    fn events(&mut self, n: u8) -> Vec<(MemberEvent, Name)> {
        let node = self.node(n);
        let events = core::iter::from_fn(|| node.poll_event());
        events
            .filter_map(|event| match event {
                Event::Member { kind, member } => Some((kind, member.name)),
                Event::User { .. }
                | Event::Conflict { .. }
                | Event::Query { .. }
                | Event::Message { .. }
                | Event::KeyringChanged { .. }
                | Event::NameLost { .. }
                | Event::Rejected { .. }
                | Event::Missed { .. } => None,
            })
            .collect()
    }

    /// Name, payload and time of the user events told since the last call.
    fn user_events(&mut self, n: u8) -> Vec<(Vec<u8>, Option<Vec<u8>>, u64)> {
        let node = self.node(n);
        core::iter::from_fn(|| node.poll_event())
            .filter_map(|event| {
                let Event::User { ltime, name, payload, .. } = event else { return None };
                Some((name.into(), payload.map(Into::into), ltime.0))
            })
            .collect()
    }

    fn say(&mut self, n: u8, name: &str, payload: Option<&str>) -> u64 {
        let now = self.now;
        let event = UserEvent { name: name.as_bytes(), payload: payload.map(str::as_bytes), coalesce: false };
        self.node(n).user_event(now, event).unwrap().0
    }

    fn status(&self, at: u8, of: u8) -> Option<Status> {
        let name = alloc::format!("n{of}");
        self.nodes[&address(at)].node().member(name.as_bytes()).map(Member::status)
    }
}

/// With one key, where there are ciphers.
fn keyring(key: u8) -> Keyring {
    let mut keyring = Keyring::new();
    if cfg!(feature = "encryption") {
        keyring.add(Key::new(&[key; 32]).unwrap()).unwrap();
    }
    keyring
}

fn wires() -> Vec<wire::Config> {
    let mut wires = Vec::new();
    for plain in [wire::Config::native(), wire::Config::serf()] {
        let labelled = wire::Config { label: "blue".into(), ..plain.clone() };
        let sealed = wire::Config { keyring: keyring(7), ..labelled.clone() };
        wires.extend([wire::Config { compression: false, ..plain.clone() }, plain, labelled, sealed]);
    }
    wires
}

/// Joined members see each other, on either wire format, sealed or not.
#[test]
fn three_join_and_see_each_other() {
    for wire in wires() {
        let mut net = Net::of(3, &wire);
        assert_eq!(net.join(1, 2), [Reply::SeedReached(address(2)), Reply::Done(Ok(()))]);
        assert_eq!(net.join(3, 2), [Reply::SeedReached(address(2)), Reply::Done(Ok(()))]);
        net.run(Duration::from_secs(2));
        for at in 1..=3 {
            for of in 1..=3 {
                assert_eq!(net.status(at, of), Some(Status::Alive), "{of} at {at} with {:?}", wire.codec);
            }
        }
        let stats = net.node(1).node().stats();
        assert_eq!((stats.datagrams_malformed, stats.messages_malformed, stats.messages_unknown), (0, 0, 0));
        assert!(stats.probes_acked_directly > 0);
    }
}

/// A minute of quiet: nobody is suspected, and without news there is no gossip.
#[test]
fn quiet_members_only_probe() {
    let mut net = Net::of(3, &wire::Config::native());
    net.join(1, 2);
    net.join(3, 2);
    net.run(Duration::from_secs(30));
    let before: Vec<Stats> = (1..=3).map(|n| net.node(n).node().stats().clone()).collect();
    net.run(Duration::from_secs(60));
    for (n, before) in (1..=3).zip(before) {
        let after = net.node(n).node().stats();
        assert_eq!(after.suspicions, 0);
        let probes = after.probes - before.probes;
        assert!((59..=61).contains(&probes), "one a second: {probes}");
        assert_eq!(after.probes_acked_directly - before.probes_acked_directly, probes);
        // A ping and an ack each second, as asker and as asked.
        let sent = after.datagrams_sent - before.datagrams_sent;
        assert!(sent <= 4 * probes + 4, "{sent} datagrams for {probes} probes");
    }
}

/// A member that stops answering fails, one that says goodbye has left.
#[test]
fn failing_is_not_leaving() {
    let mut net = Net::of(4, &wire::Config::serf());
    for n in 2..=4 {
        net.join(n, 1);
    }
    net.run(Duration::from_secs(2));
    net.events(1);
    let now = net.now;
    let leave = net.node(3).leave(now);
    net.run(Duration::from_secs(4));
    assert_eq!(net.replies(3, leave), [Reply::Done(Ok(()))]);
    assert_eq!(net.node(3).node().life(), Life::Left);
    net.nodes.remove(&address(4));
    net.run(Duration::from_secs(40));
    assert_eq!(net.status(1, 3), Some(Status::Left));
    assert_eq!(net.status(1, 4), Some(Status::Failed));
    assert_eq!(net.events(1), [(MemberEvent::Leave, "n3".into()), (MemberEvent::Failed, "n4".into())]);
    // SWIM forgets the dead, Serf remembers them.
    net.run(Duration::from_secs(60));
    assert_eq!(net.node(1).node().member(b"n4").unwrap().state(), None);
    assert_eq!(net.status(1, 4), Some(Status::Failed));
}

#[test]
fn tags_reach_everybody() {
    let mut net = Net::of(3, &wire::Config::serf());
    net.join(1, 2);
    net.join(3, 2);
    net.run(Duration::from_secs(2));
    let now = net.now;
    let set = net.node(1).set_tags(now, &[("role", "web")].into_iter().collect()).unwrap();
    net.run(Duration::from_secs(2));
    assert_eq!(net.replies(1, set), [Reply::Done(Ok(()))]);
    for at in 1..=3 {
        assert_eq!(net.nodes[&address(at)].node().member(b"n1").unwrap().tags().get("role"), Some("web"), "at {at}");
    }
    assert_eq!(net.node(1).node().tags().get("role"), Some("web"));
    let too_many: Tags = [("k", "v".repeat(600))].into_iter().collect();
    assert_eq!(net.node(1).set_tags(now, &too_many), Err(TagsTooLarge { len: 607, max: 512 }));
}

#[test]
fn joins_say_what_became_of_each_seed() {
    let mut net = Net::of(2, &wire::Config::native());
    let now = net.now;
    let id = net.node(1).join(now, &[address(9), address(2)], false);
    net.settle();
    let refused = Reply::SeedFailed(address(9), ExchangeError::Stream(StreamFailure::Refused));
    assert_eq!(net.replies(1, id), [refused.clone(), Reply::SeedReached(address(2)), Reply::Done(Ok(()))]);
    let id = net.node(1).join(now, &[address(9)], false);
    net.settle();
    assert_eq!(net.replies(1, id), [refused, Reply::Done(Err(CommandError::NoSeed))]);
    let id = net.node(1).join(now, &[], false);
    assert_eq!(net.replies(1, id), [Reply::Done(Err(CommandError::NoSeed))]);
}

/// As many as the bound says are under way, and one more is refused; when they are over there is room again.
#[test]
fn joins_under_way_are_bounded() {
    let mut net = Net::of(2, &wire::Config::native());
    let now = net.now;
    let seeds = [address(9), address(2)];
    let taken: Vec<_> = (0..128).map(|_| net.node(1).join(now, &seeds, false)).collect();
    assert_eq!(net.node(1).poll_reply(), None);
    let refused = net.node(1).join(now, &seeds, false);
    let busy = seeds.map(|seed| Reply::SeedFailed(seed, ExchangeError::Busy));
    assert_eq!(net.replies(1, refused)[..2], busy);
    assert_eq!(net.node(1).node().stats().joins_over_limit, 1);
    net.settle();
    let node = net.node(1);
    let done = core::iter::from_fn(|| node.poll_reply()).filter(|(_, reply)| *reply == Reply::Done(Ok(())));
    assert_eq!(done.count(), taken.len());
    assert_eq!(net.join(1, 2), [Reply::SeedReached(address(2)), Reply::Done(Ok(()))]);
    assert_eq!(net.node(1).node().stats().joins_over_limit, 1);
}

/// With another key neither side understands the other; both say so, once, and nothing changes.
#[test]
#[cfg(feature = "encryption")]
fn another_key_is_reported() {
    for wire in [wire::Config::native(), wire::Config::serf()] {
        let configs = (1..=2).map(|n| {
            let wire = wire::Config { keyring: keyring(n), ..wire.clone() };
            config(n, wire)
        });
        let mut net = Net::new(configs);
        let replies = net.join(1, 2);
        assert_eq!(replies.last(), Some(&Reply::Done(Err(CommandError::NoSeed))), "{replies:?}");
        assert_eq!(net.status(2, 1), None);
        let reported = core::iter::from_fn(|| net.node(2).poll_event())
            .filter(|event| matches!(event, Event::Rejected { error: DatagramError::NotOpened, .. }))
            .count();
        assert_eq!(reported, 1);
    }
}

#[test]
fn explicit_pings_are_answered_or_time_out() {
    let mut net = Net::of(2, &wire::Config::native());
    net.join(1, 2);
    let now = net.now;
    let (known, unknown) = (net.node(1).ping(now, b"n2"), net.node(1).ping(now, b"nobody"));
    net.settle();
    assert_eq!(net.replies(1, known), [Reply::Pong(Duration::ZERO), Reply::Done(Ok(()))]);
    let unknown_again = net.node(1).ping(now, b"nobody");
    assert_eq!(net.replies(1, unknown_again), [Reply::Done(Err(CommandError::NoMember))]);
    assert!(unknown > known);
    net.nodes.remove(&address(2));
    let lost = net.node(1).ping(now, b"n2");
    net.run(Duration::from_secs(1));
    assert_eq!(net.replies(1, lost), [Reply::Done(Err(CommandError::TimedOut))]);
}

/// A second life under the same name and address is accepted, although its incarnation begins anew.
#[test]
fn restarting_is_noticed() {
    let mut net = Net::of(3, &wire::Config::native());
    net.join(2, 1);
    net.join(3, 1);
    net.run(Duration::from_secs(2));
    net.nodes.remove(&address(2));
    while net.status(1, 2) != Some(Status::Failed) {
        net.run(Duration::from_secs(1));
        assert!(net.now < Instant::after_origin(Duration::from_secs(40)), "it should be known dead by now");
    }
    let reborn = TestNode::new(config(2, wire::Config::native()), [99; 32], net.now, Vec::new()).unwrap();
    net.nodes.insert(address(2), reborn);
    net.join(2, 1);
    net.run(Duration::from_secs(2));
    assert_eq!(net.status(1, 2), Some(Status::Alive));
    assert_eq!(net.status(3, 2), Some(Status::Alive));
    assert!(net.nodes[&address(2)].node().local().incarnation() > crate::ids::Incarnation::FIRST);
    assert_eq!(net.nodes[&address(1)].node().member(b"n2").unwrap().state(), Some(State::Alive));
}

/// Everybody hears of a user event once, whoever sends it and however it is encoded.
#[test]
fn user_events_reach_everybody_once() {
    for wire in wires() {
        let mut net = Net::of(4, &wire);
        for n in 2..=4 {
            net.join(n, 1);
        }
        net.run(Duration::from_secs(1));
        assert_eq!((net.say(2, "deploy", Some("v1")), net.say(2, "deploy", Some("v2"))), (1, 2));
        net.run(Duration::from_secs(2));
        assert_eq!(net.say(3, "quiet", None), 3, "after what it has heard");
        net.run(Duration::from_secs(120));
        let expected = [
            (b"deploy".to_vec(), Some(b"v1".to_vec()), 1),
            (b"deploy".to_vec(), Some(b"v2".to_vec()), 2),
            (b"quiet".to_vec(), None, 3),
        ];
        for n in 1..=4 {
            let mut heard = net.user_events(n);
            heard.sort();
            assert_eq!(heard, expected, "n{n} with {:?}", wire.codec);
            let node = net.node(n).node();
            assert_eq!((node.summary().event_time.0, node.summary().event_queue), (4, 0));
            assert_eq!((node.stats().user_events, node.stats().messages_malformed), (3, 0));
        }
    }
}

/// A joiner gets what was said before it came, if it wants to; if not, nobody repeats it later.
#[test]
fn joiners_may_want_old_events() {
    for (replay, expected) in [(true, 2), (false, 0)] {
        let mut net = Net::of(3, &wire::Config::serf());
        net.join(2, 1);
        net.say(1, "a", None);
        net.say(2, "b", None);
        net.run(Duration::from_secs(10));
        let now = net.now;
        net.node(3).join(now, &[address(1)], replay);
        net.run(Duration::from_secs(200));
        assert!(net.node(3).node().stats().push_pulls_merged > 3, "there were more exchanges than that of the join");
        assert_eq!(net.user_events(3).len(), expected, "replay: {replay}");
        net.say(1, "c", None);
        net.run(Duration::from_secs(2));
        assert_eq!(net.user_events(3).len(), 1);
    }
}

/// What no packet can hold comes by full state exchange.
#[test]
fn long_user_events_come_late() {
    let configs = (1..=2).map(|n| {
        let mut config = config(n, wire::Config::serf());
        config.serf.user_event_size_limit = 9216;
        config
    });
    let mut net = Net::new(configs);
    net.join(2, 1);
    net.run(Duration::from_secs(1));
    let long = "x".repeat(5000);
    net.say(1, "long", Some(&long));
    assert_eq!(net.node(1).node().summary().event_queue, 0);
    net.run(Duration::from_secs(60));
    assert_eq!(net.user_events(2), [(b"long".to_vec(), Some(long.into_bytes()), 1)]);
}

/// Around the size of a packet: either it is sent or it is not queued, so that none waits for ever.
#[test]
fn no_user_event_is_stuck() {
    for wire in wires() {
        let configs = (1..=2).map(|n| {
            let mut config = config(n, wire.clone());
            config.serf.user_event_size_limit = 9216;
            config
        });
        let mut net = Net::new(configs);
        net.join(2, 1);
        net.run(Duration::from_secs(1));
        for len in 1250..1400 {
            net.say(1, &"x".repeat(len), None);
        }
        let stats = net.node(1).node().stats();
        assert!((1..140).contains(&stats.broadcasts_too_long), "{}", stats.broadcasts_too_long);
        net.run(Duration::from_secs(120));
        assert_eq!(net.node(1).node().summary().event_queue, 0, "with {wire:?}");
        assert_eq!(net.node(2).node().stats().user_events, 150);
    }
}

/// Whom everybody believes failed may be made to leave, and be forgotten as well.
#[test]
fn leaves_are_forced() {
    for prune in [false, true] {
        let mut net = Net::of(4, &wire::Config::serf());
        for n in 2..=4 {
            net.join(n, 1);
        }
        net.run(Duration::from_secs(2));
        net.nodes.remove(&address(4));
        net.run(Duration::from_secs(40));
        assert_eq!(net.status(2, 4), Some(Status::Failed));
        net.events(2);
        let now = net.now;
        let id = net.node(1).force_leave(now, b"n4", prune);
        assert_eq!(net.replies(1, id), [Reply::Done(Ok(()))], "at once");
        net.run(Duration::from_secs(10));
        for at in 1..=3 {
            assert_eq!(net.status(at, 4), (!prune).then_some(Status::Left), "at n{at}");
        }
        let mut expected = alloc::vec![(MemberEvent::Leave, "n4".into())];
        expected.extend(prune.then(|| (MemberEvent::Reap, "n4".into())));
        assert_eq!(net.events(2), expected);
        // Nor does anybody bring it back.
        net.run(Duration::from_secs(120));
        assert_eq!(net.status(3, 4), (!prune).then_some(Status::Left));
    }
}

/// A member that is there refutes.
#[test]
fn the_living_are_not_made_to_leave() {
    let mut net = Net::of(3, &wire::Config::native());
    net.join(2, 1);
    net.join(3, 1);
    net.run(Duration::from_secs(2));
    let now = net.now;
    net.node(1).force_leave(now, b"n2", false);
    assert_eq!(net.status(1, 2), Some(Status::Leaving));
    net.run(Duration::from_secs(5));
    for at in 1..=3 {
        assert_eq!(net.status(at, 2), Some(Status::Alive), "at n{at}");
    }
}

/// After so long a partition that SWIM has forgotten the other side, the two come together again.
#[test]
fn the_failed_are_found_again() {
    let mut net = Net::of(2, &wire::Config::native());
    net.join(2, 1);
    net.run(Duration::from_secs(2));
    let away = net.nodes.remove(&address(2)).unwrap();
    net.run(Duration::from_secs(120));
    assert_eq!(net.node(1).node().member(b"n2").unwrap().state(), None, "forgotten by SWIM");
    assert_eq!(net.status(1, 2), Some(Status::Failed));
    net.nodes.insert(address(2), away);
    net.run(Duration::from_secs(35));
    assert_eq!((net.status(1, 2), net.status(2, 1)), (Some(Status::Alive), Some(Status::Alive)));
    assert!(net.node(1).node().stats().reconnects > 0);
}

/// With the periods of Serf's agent, many joins are told at once, in order, and what is held is told before a node that
/// leaves is dropped.
#[test]
fn events_are_coalesced() {
    let mut configs: Vec<_> = (1..=5).map(|n| config(n, wire::Config::native())).collect();
    let serf = &mut configs[0].serf;
    (serf.coalesce_period, serf.quiescent_period) = (Duration::from_secs(3), Duration::from_secs(1));
    let mut net = Net::new(configs);
    for n in [4, 2, 5, 3] {
        net.join(n, 1);
        net.run(Duration::from_millis(100));
    }
    assert_eq!(net.events(1), []);
    net.run(Duration::from_secs(1));
    assert_eq!(
        net.events(1),
        (1..=5).map(|n| (MemberEvent::Join, alloc::format!("n{n}").as_str().into())).collect::<Vec<_>>()
    );
    let now = net.now;
    let serf = net.node(1).node().config().serf.clone();
    net.node(1).leave(now);
    net.run(serf.broadcast_timeout + serf.leave_propagate_delay);
    assert_eq!(net.node(1).node().life(), Life::Left);
    assert_eq!(net.events(1), [(MemberEvent::Leave, "n1".into())]);
}

#[test]
fn user_events_are_not_configured_to_be_too_long() {
    let mut config = config(1, wire::Config::native());
    config.serf.user_event_size_limit = 9216;
    assert_eq!(config.validate(), Ok(()));
    config.serf.user_event_size_limit = 9217;
    let error = config.validate().unwrap_err();
    assert_eq!(alloc::string::ToString::to_string(&error), "user event size limit exceeds limit of 9216 bytes");
}

/// What a node was fed, fed again, gives the same bytes; something else is noticed.
#[test]
fn traces_replay_bit_for_bit() {
    let keyring = keyring(7);
    for codec in [Codec::Native, Codec::Serf] {
        let wire = wire::Config { codec, keyring: keyring.clone(), ..wire::Config::native() };
        let mut net = Net::of(3, &wire);
        net.join(1, 2);
        net.join(3, 2);
        net.run(Duration::from_secs(5));
        let now = net.now;
        net.node(1).set_tags(now, &[("role", "web")].into_iter().collect()).unwrap();
        net.say(1, "deploy", Some("v1"));
        net.say(1, "quiet", None);
        net.node(1).force_leave(now, b"n3", false);
        net.run(Duration::from_secs(120));
        let sent: Vec<_> = net
            .sent
            .iter()
            .filter(|(from, ..)| *from == address(1))
            .map(|(_, to, bytes)| (*to, bytes.clone()))
            .collect();
        let trace = net.nodes.remove(&address(1)).unwrap().into_sink();

        let mut replay = Replay::new(&trace, keyring.clone(), None).unwrap();
        let mut again = Vec::new();
        let mut checkpoints = 0;
        loop {
            let step = replay.step(|output| {
                if let trace::Output::Datagram { destination, datagram } = output {
                    again.push((destination, datagram.to_vec()));
                }
            });
            match step.unwrap() {
                trace::Step::Input(_) => {}
                trace::Step::Checkpoint => checkpoints += 1,
                trace::Step::End => break,
            }
        }
        assert!(again == sent, "the same datagrams to the same places");
        assert!(checkpoints >= 3, "{checkpoints}");

        if cfg!(feature = "encryption") {
            let error = Replay::new(&trace, Keyring::new(), None).unwrap_err();
            assert_eq!(error, ReplayError::Keys { expected: 1 }, "the trace has no keys");
        }
        assert_eq!(Replay::new(b"swimtrace", Keyring::new(), None).unwrap_err(), ReplayError::NoTrace);
        // Another seed is another life: the header holds it right before the start, which is zero here.
        let mut other = trace.clone();
        let len = u32::from_le_bytes(*trace[8..].first_chunk().unwrap()) as usize;
        other[12 + len - 2] ^= 1;
        let diverged = Replay::new(&other, keyring.clone(), None).unwrap().run();
        assert!(matches!(diverged, Err(ReplayError::Diverged { .. })), "{diverged:?}");
        // A torn end is the end, also in the middle of the last checkpoint.
        for cut in 1..=40 {
            let torn = &trace[..trace.len() - cut];
            Replay::new(torn, keyring.clone(), None).unwrap().run().unwrap();
        }
    }
}

/// A join that ends while we are leaving must not call the leave off: its intent would be the later one.
#[test]
fn a_join_that_ends_in_a_leave_does_not_call_it_off() {
    let mut net = Net::of(3, &wire::Config::native());
    net.join(2, 1);
    net.join(3, 1);
    net.run(Duration::from_secs(2));
    let now = net.now;
    // Nobody answers the dial yet: its outcome comes in the middle of the leave.
    let join = net.node(1).join(now, &[address(2), address(9)], false);
    let mut dials = Vec::new();
    while let Some(action) = net.node(1).poll_stream() {
        if let StreamAction::Open { id, peer } = action
            && peer == address(9)
        {
            dials.push(id);
        } else {
            net.stream(address(1), action);
        }
    }
    net.settle();
    net.node(1).leave(now);
    net.run(Duration::from_millis(300));
    let now = net.now;
    for id in dials {
        net.node(1).handle_stream(now, id, StreamInput::Failed(StreamFailure::TimedOut));
    }
    net.run(Duration::from_secs(5));
    assert_eq!(net.replies(1, join).last(), Some(&Reply::Done(Err(CommandError::NotAlive))));
    for at in 1..=3 {
        assert_eq!(net.status(at, 1), Some(Status::Left), "at {at}");
    }
}

/// The reply to a change of tags is its own: not that of an earlier one that nobody waited for or that timed out.
#[test]
fn changes_of_tags_are_answered_each_for_itself() {
    let mut net = Net::of(2, &wire::Config::native());
    let tags = |value: &str| [("k", value)].into_iter().collect::<Tags>();
    let now = net.now;
    let alone = net.node(1).set_tags(now, &tags("a")).unwrap();
    assert_eq!(net.replies(1, alone), [Reply::Done(Ok(()))], "nobody is there to hear it");
    net.join(1, 2);
    let now = net.now;
    let told = net.node(1).set_tags(now, &tags("b")).unwrap();
    assert_eq!(net.replies(1, told), [], "nothing has been sent yet");
    // The socket is blocked for longer than the wait.
    let later = now + Duration::from_secs(5);
    net.node(1).handle_timeout(later);
    assert_eq!(net.replies(1, told), [Reply::Done(Err(CommandError::TimedOut))]);
    let again = net.node(1).set_tags(later, &tags("c")).unwrap();
    assert_eq!(net.replies(1, again), []);
    net.now = later;
    net.run(Duration::from_secs(2));
    assert_eq!(net.replies(1, again), [Reply::Done(Ok(()))]);
}

/// A driver that says twice that a stream is open does not upset the count of bytes.
#[test]
fn streams_open_once() {
    let mut net = Net::of(1, &wire::Config::native());
    let now = net.now;
    net.node(1).join(now, &[address(9)], false);
    let Some(StreamAction::Open { id, .. }) = net.node(1).poll_stream() else { panic!("a dial") };
    for _ in 0..2 {
        net.node(1).handle_stream(now, id, StreamInput::Opened);
    }
    assert!(matches!(net.node(1).poll_stream(), Some(StreamAction::Send { .. })));
    assert_eq!(net.node(1).poll_stream(), None);
    net.node(1).node().check();
    for input in [StreamInput::Sent, StreamInput::Sent, StreamInput::Finished, StreamInput::Opened] {
        net.node(1).handle_stream(now, id, input);
        net.node(1).node().check();
    }
}

/// As many streams as the bound says may be open, holding as many bytes; one more of either is refused, and what is
/// over makes room.
#[test]
fn streams_are_bounded() {
    let mut net = Net::new([Config { streams_max: 2, stream_bytes_max: 10, ..config(1, wire::Config::native()) }]);
    let now = net.now;
    let node = net.node(1);
    let (a, b) = (node.accept_stream(now, address(8)).unwrap(), node.accept_stream(now, address(8)).unwrap());
    assert_eq!((node.accept_stream(now, address(9)), node.node().stats().streams_over_limit), (None, 1));
    // Beginnings of frames that never end.
    for (id, data, over) in [(a, &b"\xf5\x41\0\0\0\xff"[..], 0), (b, b"\xf5\x41\0\0", 0), (a, b"\0", 1), (b, b"\0", 1)]
    {
        node.handle_stream(now, id, StreamInput::Data(data));
        node.node().check();
        assert_eq!(node.node().stats().stream_bytes_over_limit, over, "{id:?} {data:?}");
    }
    assert_eq!((node.poll_stream(), node.poll_stream()), (Some(StreamAction::Abort { id: a }), None));
    assert!(node.accept_stream(now, address(9)).is_some());
    assert_eq!((node.accept_stream(now, address(9)), node.node().stats().streams_over_limit), (None, 2));
}

/// Who dials in may take `stream_timeout` to say what it wants, and as long again to hear the answer, and no nanosecond more.
#[test]
fn streams_have_their_time() {
    let mut net = Net::of(2, &wire::Config::native());
    let start = net.now;
    net.node(2).join(start, &[address(1)], false);
    let Some(StreamAction::Open { id, .. }) = net.node(2).poll_stream() else { panic!("a dial") };
    net.node(2).handle_stream(start, id, StreamInput::Opened);
    let Some(StreamAction::Send { data: request, .. }) = net.node(2).poll_stream() else { panic!("a request") };

    let node = net.node(1);
    let timeout = node.node().config().swim.stream_timeout;
    let moment = Duration::from_nanos(1);
    let last = start + (timeout - moment);
    let [slow, quick] = [0; 2].map(|_| node.accept_stream(start, address(2)).unwrap());
    for id in [slow, quick] {
        node.handle_stream(start, id, StreamInput::Data(&request[..1]));
    }
    node.handle_timeout(last);
    node.handle_stream(last, quick, StreamInput::Data(&request[1..]));
    assert!(matches!(node.poll_stream(), Some(StreamAction::Send { id, .. }) if id == quick));
    node.handle_timeout(start + timeout);
    assert_eq!((node.poll_stream(), node.poll_stream()), (Some(StreamAction::Abort { id: slow }), None));

    node.handle_timeout(last + (timeout - moment));
    assert_eq!(node.poll_stream(), None);
    node.handle_timeout(last + timeout);
    let actions: Vec<_> = core::iter::from_fn(|| node.poll_stream()).collect();
    assert_eq!(actions, [StreamAction::Abort { id: quick }]);
}

/// Coordinates ride on acks: after some probes a round trip can be estimated between any two, seen from anywhere.
#[test]
fn round_trips_are_estimated() {
    for wire in [wire::Config::native(), wire::Config::serf()] {
        let mut net = Net::of(3, &wire);
        net.join(1, 2);
        net.join(3, 2);
        assert_eq!(net.node(1).node().rtt(b"n1", b"n2"), None, "nobody has been probed yet");
        net.run(Duration::from_secs(20));
        for (a, b) in [("n1", "n2"), ("n2", "n3"), ("n1", "n3")] {
            let rtt = net.node(1).node().rtt(a.as_bytes(), b.as_bytes()).expect("all have been probed");
            assert!(rtt < Duration::from_millis(100), "{a} to {b}: {rtt:?}");
        }
        assert_eq!(net.node(1).node().rtt(b"n1", b"nobody"), None);
        assert_eq!(net.node(1).node().stats().coordinates_rejected, 0);
        assert_eq!(net.node(1).node().summary().coordinate_resets, Some(0));
    }
    let mut off = config(1, wire::Config::native());
    off.serf.coordinates = false;
    let mut net = Net::new([off, config(2, wire::Config::native())]);
    net.join(1, 2);
    net.run(Duration::from_secs(10));
    assert_eq!(net.node(1).node().rtt(b"n1", b"n2"), None);
    assert_eq!(net.node(2).node().rtt(b"n1", b"n2"), None, "an ack without a coordinate is fine");
}

/// Everybody who is asked hears it once and is heard once, the asker included; then it is over.
#[test]
fn queries_reach_everybody_and_come_back() {
    for wire in wires() {
        let mut net = Net::of(3, &wire);
        net.join(1, 2);
        net.join(3, 2);
        net.run(Duration::from_secs(2));
        let now = net.now;
        let all = Query { name: b"load", payload: Some(b"1m"), request_ack: true, ..Query::default() };
        let id = net.node(1).query(now, all).unwrap();
        net.run(Duration::from_secs(1));
        for n in 1..=3 {
            let (now, node) = (net.now, net.node(n));
            let asked: Vec<_> = core::iter::from_fn(|| node.poll_event())
                .filter_map(|event| {
                    let Event::Query { id, from, name, payload, .. } = event else { return None };
                    Some((id, from, name, payload))
                })
                .collect();
            let [(to, from, name, payload)] = &asked[..] else { panic!("{asked:?}") };
            assert_eq!((from, name, &**payload), (&"n1".into(), &"load".into(), &b"1m"[..]));
            node.respond(now, *to, &[n]).unwrap();
            assert_eq!(node.respond(now, *to, &[n]), Err(RespondError::AlreadySent));
        }
        net.run(Duration::from_secs(3));
        let mut replies = net.replies(1, id);
        assert_eq!(replies.pop(), Some(Reply::Done(Ok(()))));
        assert!(!replies.contains(&Reply::Done(Ok(()))));
        assert_eq!(replies.len(), 6);
        for n in 1..=3u8 {
            let from: Name = alloc::format!("n{n}").as_str().into();
            assert!(replies.contains(&Reply::Ack { from: from.clone() }));
            assert!(replies.contains(&Reply::Response { from, payload: [n].into() }));
        }
        assert_eq!(net.node(1).node().stats().query_responses_unmatched, 0);

        // Some are meant: by name, and by tag.
        let now = net.now;
        net.node(2).set_tags(now, &[("role", "web")].into_iter().collect()).unwrap();
        let some = Query { filter_tags: &[("role", "^we")], ..all };
        let web = net.node(3).query(now, some).unwrap();
        let named = net.node(3).query(now, Query { filter_nodes: &[b"n1", b"n3"], ..all }).unwrap();
        net.run(Duration::from_secs(4));
        let node = net.node(3);
        let replies: Vec<_> = core::iter::from_fn(|| node.poll_reply()).collect();
        let acks = |of| replies.iter().filter(|(id, reply)| *id == of && matches!(reply, Reply::Ack { .. })).count();
        assert_eq!((acks(web), acks(named)), (1, 2), "{replies:?}");
    }
}

/// Who cannot be reached straight is reached through others.
#[test]
fn answers_find_a_way_around() {
    // Gossip is a matter of chance; with this much of it none is missed.
    let mut net = Net::new((1..=4).map(|n| {
        let mut config = config(n, wire::Config::serf());
        config.swim.retransmit_mult = 6;
        config
    }));
    for n in 2..=4 {
        net.join(n, 1);
    }
    net.run(Duration::from_secs(2));
    let now = net.now;
    let query = Query { name: b"_serf_ping", request_ack: true, relay_factor: 2, ..Query::default() };
    let id = net.node(1).query(now, query).unwrap();
    net.run(Duration::from_secs(2));
    let mut replies = net.replies(1, id);
    assert_eq!(replies.pop(), Some(Reply::Done(Ok(()))));
    assert_eq!(replies.len(), 4, "once from each: {replies:?}");
    let stats = net.node(1).node().stats();
    assert!(stats.query_duplicate_acks >= 3, "most came again by way of others: {}", stats.query_duplicate_acks);
    let relayed: u64 = (1..=4).map(|n| net.node(n).node().stats().query_responses_relayed).sum();
    assert_eq!(relayed, 8, "two for each");
    assert_eq!(net.node(1).node().stats().messages_malformed, 0);
}

/// Whether a key, as bytes, in base64 or as `Debug` prints bytes, is in there.
#[cfg(feature = "encryption")]
fn tells(said: &[u8], key: [u8; 32]) -> bool {
    let text = KeyText::new(&Key::new(&key).unwrap());
    let listed = alloc::format!("{:?}", &key[..8]);
    let forms = [&key[..8], &text.as_str().as_bytes()[..8], listed.trim_matches(['[', ']']).as_bytes()];
    forms.iter().any(|form| said.windows(form.len()).any(|window| window == *form))
}

/// A cluster gets another key while it talks, and nobody is lost; no recording has a key in it, and no `Debug`.
#[test]
#[cfg(feature = "encryption")]
fn keys_rotate_while_talking() {
    for codec in [Codec::Native, Codec::Serf] {
        let wire = wire::Config { codec, keyring: keyring(7), ..wire::Config::native() };
        let mut net = Net::of(3, &wire);
        net.join(1, 2);
        net.join(3, 2);
        net.run(Duration::from_secs(2));
        let (old, new) = ([7; 32], [0xa5; 32]);
        for operation in 0..5 {
            let (now, node) = (net.now, net.node(1));
            let id = match operation {
                0 => node.install_key(now, &new),
                1 => node.use_key(now, &new),
                2 => node.remove_key(now, &old),
                3 => node.install_key(now, b"no key"),
                _ => node.list_keys(now),
            };
            net.run(Duration::from_secs(2));
            let replies = net.replies(1, id.unwrap());
            let nodes = [1, 2, 3].map(|n| {
                let traced = net.node(n);
                alloc::format!("{traced:?} {:?} {:?}", traced.node(), traced.node().config())
            });
            let shown = alloc::format!("{nodes:?} {replies:?}");
            assert!(!tells(shown.as_bytes(), old) && !tells(shown.as_bytes(), new), "{shown}");
            assert_eq!(replies.len(), 5, "{replies:?}");
            assert_eq!((&replies[0], &replies[4]), (&Reply::Members(3), &Reply::Done(Ok(()))));
            for reply in &replies[1..4] {
                let Reply::Key { result, message, keys, primary, .. } = reply else { panic!("{reply:?}") };
                assert_eq!(*result, operation != 3, "{message}");
                if operation == 3 {
                    assert_eq!(message, "key size must be 16, 24 or 32 bytes");
                }
                if operation == 4 {
                    assert_eq!((keys.len(), keys.first()), (1, primary.as_ref()));
                }
            }
        }
        net.run(Duration::from_secs(30));
        for n in 1..=3 {
            let node = net.node(n).node();
            assert_eq!(node.keyring().keys().map(|key| key.as_bytes()[0]).collect::<Vec<_>>(), [0xa5]);
            assert_eq!((node.stats().datagrams_not_opened, node.stats().suspicions), (0, 0));
        }
        let node = net.node(2);
        let changed = core::iter::from_fn(|| node.poll_event()).filter_map(|event| {
            let Event::KeyringChanged { change } = event else { return None };
            Some(change.0)
        });
        assert_eq!(changed.collect::<Vec<_>>(), [1, 2, 3]);

        let trace = net.nodes.remove(&address(1)).unwrap().into_sink();
        assert!(!tells(&trace, old) && !tells(&trace, new));
        assert!(!trace.windows(6).any(|window| window == b"no key"));
        let key = Key::new(&new).unwrap();
        let unknown = Replay::new(&trace, keyring(7), None).unwrap().run();
        assert_eq!(unknown, Err(ReplayError::UnknownKey(key.id())));
        Replay::new(&trace, keyring(7), None).unwrap().with_keys([key]).run().unwrap();
        // Who is asked needs no more than the first keys: the others come to it.
        let trace = net.nodes.remove(&address(2)).unwrap().into_sink();
        assert!(!tells(&trace, old) && !tells(&trace, new));
        Replay::new(&trace, keyring(7), None).unwrap().run().unwrap();
    }
}

/// Whoever asks hears of each member whether its keys are stored; a replay hears the same.
#[test]
#[cfg(feature = "encryption")]
fn keys_that_are_not_stored() {
    for codec in [Codec::Native, Codec::Serf] {
        let wire = wire::Config { codec, keyring: keyring(7), ..wire::Config::native() };
        let mut net = Net::new((1..=2).map(|n| {
            let mut config = config(n, wire.clone());
            config.serf.keyring_stored = true;
            config
        }));
        net.join(1, 2);
        net.run(Duration::from_secs(2));
        let key = Key::new(&[8; 32]).unwrap();
        for (full, refused) in [(None, 0), (Some("no space left on device"), 1), (None, 0)] {
            let now = net.now;
            let id = net.node(1).install_key(now, key.as_bytes()).unwrap();
            net.run(Duration::from_millis(500));
            assert_eq!(net.replies(1, id), [Reply::Members(2)], "nobody has stored anything");
            for (n, result) in [(1, Ok(())), (2, full.map_or(Ok(()), Err))] {
                let (now, node) = (net.now, net.node(n));
                // The event may be among those that were missed.
                while node.poll_event().is_some() {}
                let change = node.node().last_keyring_change();
                node.keyring_stored(now, change, result);
            }
            net.run(Duration::from_millis(500));
            let replies = net.replies(1, id);
            let texts: Vec<_> = replies
                .iter()
                .filter_map(|reply| {
                    let Reply::Key { from, result: false, message, .. } = reply else { return None };
                    Some((from.clone(), message.as_str()))
                })
                .collect();
            assert_eq!((replies.len(), texts.len()), (3, refused), "{replies:?}");
            assert!(texts.iter().all(|(from, text)| *from == "n2" && Some(*text) == full), "{texts:?}");
            assert_eq!(replies.last(), Some(&Reply::Done(Ok(()))));
        }
        for n in 1..=2 {
            let trace = net.nodes.remove(&address(n)).unwrap().into_sink();
            let mut replay = Replay::new(&trace, keyring(7), None).unwrap().with_keys([key.clone()]);
            replay.run().unwrap();
            assert_eq!(replay.node().last_keyring_change(), KeyringChange(3));
        }
    }
}

/// A recording by another version is refused by its number, before anything else of it is looked at.
#[test]
fn other_versions_of_a_trace() {
    let config = config(1, wire::Config::native());
    let mut trace = Traced::new(config, [1; 32], Instant::ZERO, Vec::new()).unwrap().into_sink();
    assert!(Replay::new(&trace, Keyring::new(), None).is_ok());
    // Behind eight bytes that say what it is, and four of a length.
    for version in [1, 3] {
        trace[12] = version;
        let refused = Replay::new(&trace, Keyring::new(), None).unwrap_err();
        assert_eq!(refused, ReplayError::Version(version.into()));
        assert_eq!(
            alloc::format!("{refused}"),
            alloc::format!("trace of format version {version}, this build reads 2")
        );
    }
}

/// What is told to all the others about keys is not said while anybody may listen.
#[test]
#[cfg(feature = "encryption")]
fn keys_are_not_changed_before_they_are_enforced() {
    for (verify_incoming, verify_outgoing) in [(false, false), (false, true), (true, false)] {
        let wire = wire::Config { verify_incoming, verify_outgoing, keyring: keyring(7), ..wire::Config::native() };
        let mut net = Net::of(2, &wire);
        let (now, node) = (net.now, net.node(1));
        let refused = Err(QueryError::NotEnforced);
        assert_eq!(node.install_key(now, &[8; 32]), refused);
        assert_eq!(node.use_key(now, &[8; 32]), refused);
        assert_eq!(node.remove_key(now, &[8; 32]), refused);
        assert_eq!(node.list_keys(now), refused);
        net.run(Duration::from_secs(1));
        assert_eq!(net.node(1).node().summary().query_time, LamportTime(1), "nobody was asked");
    }
}

/// A second `n1` asks whose the name is, loses it and says so once; the first keeps it.
#[test]
fn names_are_lost_and_kept() {
    for wire in [wire::Config::native(), wire::Config::serf()] {
        let lost = |net: &mut Net, n| {
            let node = net.node(n);
            core::iter::from_fn(|| node.poll_event())
                .filter(|event| matches!(event, Event::NameLost { .. }))
                .collect::<Vec<_>>()
        };
        let mut impostor = Config { advertise: address(4), ..config(1, wire.clone()) };
        let three = || (1..=3).map(|n| config(n, wire.clone()));
        let mut net = Net::new(three().chain([impostor.clone()]));
        net.join(1, 2);
        net.join(3, 2);
        net.run(Duration::from_secs(2));
        net.join(4, 2);
        net.run(Duration::from_secs(10));
        assert_eq!(lost(&mut net, 4), [Event::NameLost { matching: 0, responses: 2 }]);
        assert_eq!(lost(&mut net, 1), []);

        // One that does not ask, but is heard of by the rightful bearer.
        impostor.serf.resolve_name_conflicts = false;
        let mut net = Net::new(three().chain([impostor]));
        net.join(1, 2);
        net.join(3, 2);
        net.run(Duration::from_secs(2));
        net.join(4, 1);
        net.run(Duration::from_secs(10));
        assert!(net.node(1).node().stats().conflicts > 0);
        assert!(net.node(1).node().stats().query_responses >= 2);
        for n in [1, 4] {
            assert_eq!(lost(&mut net, n), []);
        }
    }
}

/// What a snapshot file would hold by now: the lines of what the node has said since the last look.
fn lines(net: &mut Net, n: u8) -> Vec<alloc::string::String> {
    let node = net.node(n);
    let mut out = Vec::new();
    while let Some(Step::Append(record)) = node.poll_record() {
        record.write_line(&mut out);
    }
    core::str::from_utf8(&out).unwrap().lines().map(Into::into).collect()
}

/// Three nodes, of which the first keeps a snapshot.
fn with_snapshot(rejoin_after_leave: bool) -> Net {
    let mut configs: Vec<Config> = (1..=3).map(|n| config(n, wire::Config::native())).collect();
    configs[0].serf.snapshot = true;
    configs[0].serf.rejoin_after_leave = rejoin_after_leave;
    Net::new(configs)
}

/// The first node ends without a word and begins again with what it had written down.
fn restart(net: &mut Net, records: &[Record<'_>]) {
    let (now, config) = (net.now, net.node(1).node().config().clone());
    let mut node = TestNode::new(config, [77; 32], now, Vec::new()).unwrap();
    node.restore(now, records);
    net.nodes.insert(address(1), node);
    net.streams.clear();
    net.settle();
}

#[test]
fn records_follow_what_happens() {
    let mut net = with_snapshot(false);
    assert_eq!(lines(&mut net, 1), ["alive: n1 127.0.0.1:7946"]);
    net.join(1, 2);
    net.join(3, 1);
    net.run(Duration::from_secs(2));
    let found = lines(&mut net, 1);
    let alive: Vec<_> = found.iter().filter(|line| line.starts_with("alive")).collect();
    assert_eq!(alive, ["alive: n2 127.0.0.2:7946", "alive: n3 127.0.0.3:7946"]);
    let clocks: Vec<u64> =
        found.iter().filter_map(|line| line.strip_prefix("clock: ")).map(|time| time.parse().unwrap()).collect();
    assert!(clocks.is_sorted_by(|a, b| a < b), "{found:?}");
    let time = net.node(1).node().summary().member_time.0;
    assert_eq!(clocks.last(), Some(&(time - 1)), "it follows without member events, too: {found:?}");

    let now = net.now;
    net.node(3).leave(now);
    net.run(Duration::from_secs(5));
    assert!(lines(&mut net, 1).contains(&"not-alive: n3".into()));
    net.nodes.remove(&address(2));
    net.run(Duration::from_secs(40));
    assert_eq!(lines(&mut net, 1)[0], "not-alive: n2");

    let now = net.now;
    net.node(1).leave(now);
    net.run(Duration::from_secs(5));
    let found = lines(&mut net, 1);
    assert_eq!(found[0], "leave");
    assert!(found[1..].iter().all(|line| line.starts_with("clock: ")), "{found:?}");
    assert!(lines(&mut net, 3).is_empty(), "who keeps none says nothing");
}

#[test]
fn a_restored_node_is_back_without_a_seed() {
    for (leave, rejoin_after_leave, back) in [(false, false, true), (true, false, false), (true, true, true)] {
        let mut net = with_snapshot(rejoin_after_leave);
        net.join(1, 2);
        net.join(3, 1);
        net.run(Duration::from_secs(2));
        if leave {
            let now = net.now;
            net.node(1).leave(now);
            net.run(Duration::from_secs(5));
        }
        let records: Vec<Record<'static>> = net.node(1).node().records().map(Record::into_owned).collect();
        let time = net.node(1).node().summary().member_time;
        // One of those remembered is gone: the other one is tried.
        net.nodes.remove(&address(3));
        restart(&mut net, &records);
        let started = net.node(1).node().stats().push_pulls_started;
        net.run(Duration::from_secs(2));
        let found = net.status(1, 2);
        assert_eq!(found, back.then_some(Status::Alive), "leave {leave}, rejoin_after_leave {rejoin_after_leave}");
        if back {
            assert!((1..=2).contains(&started), "one after the other, until one answers: {started}");
            assert!(net.node(1).node().summary().member_time >= time, "the clock goes on");
            assert_eq!(net.status(2, 1), Some(Status::Alive));
        } else {
            assert_eq!(started, 0);
        }
        assert!(net.node(1).poll_reply().is_none(), "nobody has asked");
        net.node(1).node().check();

        let trace = core::mem::replace(net.node(1), spare()).into_sink();
        Replay::new(&trace, Keyring::new(), None).unwrap().run().unwrap();
    }
}

/// As many of a snapshot are looked for, and written down again, as may be members.
#[test]
fn members_of_a_snapshot_are_bounded() {
    for (count, over) in [(3, 0), (4, 1)] {
        let mut alone = config(1, wire::Config::native());
        (alone.serf.snapshot, alone.swim.members_max) = (true, 3);
        let mut net = Net::new([alone]);
        let records: Vec<_> = (2..2 + count)
            .map(|n| Record::Alive { name: alloc::format!("n{n}").into_bytes().into(), address: address(n) })
            .collect();
        restart(&mut net, &records);
        let node = net.node(1).node();
        assert_eq!(node.records().filter(|record| matches!(record, Record::Alive { .. })).count(), 1 + 3);
        assert_eq!(node.stats().members_over_limit, over, "{count}");
    }
}

/// Somebody has made up as many members as a full state holds, but not what Serf's layer says of them as well. That is
/// left out, and whoever wants to join does.
#[test]
fn a_crowd_keeps_nobody_from_joining() {
    let plain = |wire: wire::Config| wire::Config { compression: false, ..wire };
    let sealed = |wire: wire::Config| wire::Config { keyring: keyring(7), ..plain(wire) };
    let mut wires = alloc::vec![(plain(wire::Config::native()), 18_200, 128)];
    if cfg!(feature = "encryption") {
        wires.push((sealed(wire::Config::native()), 18_200, 128));
        // Unsealed it has no such limit.
        wires.push((sealed(wire::Config::serf()), 15_400, 255));
    }
    for (wire, crowd, name_len) in wires {
        let (codec, meta) = (wire.codec, alloc::vec![b'm'; 1024 - name_len]);
        let mut net = Net::of(2, &wire);
        let mut envelope = Envelope::new(wire).unwrap();
        for n in 0..crowd {
            let name = alloc::format!("{n:x>name_len$}");
            let ip = u32::to_be_bytes(0x0a00_0000 + n);
            let claim = crate::testing::alive(&name, 1, (ip, 7946).into(), &meta);
            let mut datagram = Vec::new();
            let mut packet = envelope.begin(&mut datagram, true);
            packet.push(|buf| codec.encode_alive(&claim, buf));
            packet.finish_with_nonce(&[9; 24]);
            let now = net.now;
            net.node(1).handle_datagram(now, address(9), &mut datagram).unwrap();
        }
        assert_eq!(net.node(1).node().summary().members, crowd as usize + 1);
        let now = net.now;
        let id = net.node(2).join(now, &[address(1)], false);
        net.settle();
        assert_eq!(net.replies(2, id), [Reply::SeedReached(address(1)), Reply::Done(Ok(()))], "{codec:?}");
        assert_eq!(net.node(2).node().summary().members, crowd as usize + 2);
        assert_eq!(net.node(1).node().stats().state_over_limit, u64::from(crowd) + 1);
    }
}

/// The rejoin tries every address once, then healing takes over; the members stay in the snapshot.
#[test]
fn nobody_of_the_snapshot_is_there() {
    let mut net = with_snapshot(false);
    let records: Vec<_> = (1..=9)
        .map(|n| Record::Alive { name: alloc::format!("n{n}").into_bytes().into(), address: address(n) })
        .collect();
    net.nodes.retain(|at, _| *at == address(1));
    restart(&mut net, &records);
    net.run(Duration::from_secs(60));
    let tried = |net: &mut Net| {
        let stats = net.node(1).node().stats();
        assert!(stats.heals_tried > 0);
        stats.push_pulls_started - stats.heals_tried
    };
    assert_eq!(tried(&mut net), 8);
    let alive = net.node(1).node().records().filter(|record| matches!(record, Record::Alive { .. }));
    assert_eq!(alive.count(), 9);
    let now = net.now;
    net.node(1).restore(now, &[]);
    net.settle();
    assert_eq!(tried(&mut net), 8);
}

/// To put in the place of a node that is taken.
fn spare() -> TestNode {
    TestNode::new(config(99, wire::Config::native()), [99; 32], Instant::ZERO, Vec::new()).unwrap()
}

/// A node that is given seeds joins without a call, says so, and hears no stories of old; and its trace replays.
#[test]
fn seeds_are_joined_without_a_call() {
    let mut net = Net::of(3, &wire::Config::native());
    net.join(1, 2);
    net.say(1, "old", None);
    net.run(Duration::from_secs(2));
    let now = net.now;
    assert!(net.node(3).poll_resolve());
    net.node(3).set_seeds(now, &[address(3), address(9), address(2)]);
    net.run(Duration::from_secs(3));
    for (at, of) in [(3, 1), (3, 2), (1, 3), (2, 3)] {
        assert_eq!(net.status(at, of), Some(Status::Alive), "{of} at {at}");
    }
    assert_eq!(net.user_events(3), []);
    net.say(1, "new", None);
    net.run(Duration::from_secs(2));
    assert_eq!(net.user_events(3).len(), 1);
    let stats = net.node(3).node().stats();
    assert_eq!((stats.heals_tried, stats.heals_met), (2, 1));
    assert!(net.node(3).poll_reply().is_none(), "nobody has asked");
    // The intent went around, as after a join.
    assert!(net.nodes[&address(1)].node().member(b"n3").unwrap().status_time() > LamportTime(0));
    let trace = net.nodes.remove(&address(3)).unwrap().into_sink();
    Replay::new(&trace, Keyring::new(), None).unwrap().run().unwrap();
}

/// Members of a snapshot that the way back did not lead to are tried later on.
#[test]
fn whoever_the_rejoin_missed_is_tried_again() {
    let mut net = with_snapshot(false);
    for n in [2, 3] {
        net.nodes.remove(&address(n));
    }
    let alive = |n: u8| Record::Alive { name: alloc::format!("n{n}").into_bytes().into(), address: address(n) };
    restart(&mut net, &[alive(1), alive(2), alive(3)]);
    net.run(Duration::from_secs(20));
    assert_eq!(net.status(1, 2), None);
    let config = config(2, wire::Config::native());
    net.nodes.insert(address(2), TestNode::new(config, [9; 32], net.now, Vec::new()).unwrap());
    net.run(Duration::from_secs(60));
    assert_eq!((net.status(1, 2), net.status(2, 1)), (Some(Status::Alive), Some(Status::Alive)));
}

#[test]
fn the_longest_wait_is_not_the_shortest() {
    let mut config = config(1, wire::Config::native());
    config.serf.heal_interval_max = config.serf.heal_interval - Duration::from_nanos(1);
    let error = config.validate().unwrap_err();
    assert!(matches!(error, ConfigError::HealIntervals { .. }), "{error}");
    config.serf.heal_interval = Duration::ZERO;
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn memory_of_the_past_is_bounded() {
    use crate::node::config::BUFFER_MAX;
    for (field, set) in [
        ("serf.event_buffer", (|config, len| config.serf.event_buffer = len) as fn(&mut Config, usize)),
        ("serf.query_buffer", |config, len| config.serf.query_buffer = len),
    ] {
        let mut config = config(1, wire::Config::native());
        set(&mut config, BUFFER_MAX);
        assert_eq!(config.validate(), Ok(()));
        set(&mut config, BUFFER_MAX + 1);
        assert_eq!(config.validate(), Err(ConfigError::Buffer(field)));
        let said = alloc::format!("{}", ConfigError::Buffer(field));
        assert_eq!(said, alloc::format!("{field} must be at most 1048576"));
    }
}

/// Of what has us send something to an address that it names, a datagram may hold one; all the rest in it counts. The next
/// datagram may again, and what it has us pass on is no longer than an answer can be.
#[test]
fn a_datagram_makes_one_request() {
    use crate::ids::SequenceNumber;
    use crate::wire::message::{IndirectPing, Source, kind};
    use crate::wire::serf::{Destination, Relay};
    let victim = address(9);
    let source = Source { ip: Some(victim.ip()), port: victim.port(), node: b"" };
    for wire in wires() {
        let codec = wire.codec;
        let mut envelope = Envelope::new(wire.clone()).unwrap();
        let mut write = |requests: &[u8], len: usize| {
            let mut datagram = Vec::new();
            let mut packet = envelope.begin(&mut datagram, true);
            for request in requests {
                let seq = SequenceNumber(7);
                packet.push(|buf| match request {
                    b'p' => codec.encode_ping(&Ping { seq, node: b"", source }, buf),
                    b'i' => {
                        let (target, port) = (victim.ip(), victim.port());
                        let request = IndirectPing { seq, target, port, node: b"", nack: false, source };
                        codec.encode_indirect_ping(&request, buf);
                    }
                    _ => {
                        let destination = Destination { ip: Some(victim.ip()), port: victim.port(), zone: b"" };
                        buf.push(kind::USER);
                        let inner = alloc::vec![0; len];
                        codec.encode_serf_relay(&Relay { destination, name: b"", inner: &inner }, buf);
                    }
                });
            }
            packet.finish_with_nonce(&[9; 24]);
            datagram
        };
        #[rustfmt::skip]
        let table = [
            // asked   of length  sent  over limit  malformed
            ("p",      1,         1,    0,          0),
            ("ppp",    1,         1,    2,          0),
            ("pir",    1,         1,    2,          0),
            ("rpri",   1,         1,    3,          0),
            ("ii",     1,         1,    1,          0),
            ("r",      1024,      1,    0,          0),
            ("r",      20_000,    0,    0,          1),
        ];
        for (requests, len, sent, over, malformed) in table {
            let mut net = Net::of(1, &wire);
            net.settle();
            net.sent.clear();
            for round in 1..=2 {
                let mut datagram = write(requests.as_bytes(), len);
                let now = net.now;
                net.node(1).handle_datagram(now, address(8), &mut datagram).unwrap();
                net.settle();
                let stats = net.nodes[&address(1)].node().stats();
                let counted = (stats.requests_over_limit, stats.messages_malformed);
                assert_eq!(counted, (round * over, round * malformed), "{requests}");
                let to_victim = net.sent.iter().filter(|(_, to, _)| *to == victim).count() as u64;
                assert_eq!(to_victim, round * sent, "{requests}");
            }
        }
    }
}
