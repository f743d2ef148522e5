//! Messages from one member to another.

use alloc::vec;

use super::*;
use crate::serf::direct::{Delivery, SendError};
use crate::wire::codec::MessageError;
use crate::wire::serf::Refusal;

const BOTH: [Delivery; 2] = [Delivery::Datagram, Delivery::Stream];

impl Net {
    fn send(&mut self, from: u8, to: u8, payload: &[u8], by: Delivery) -> Result<CommandId, SendError> {
        let now = self.now;
        self.node(from).send(now, alloc::format!("n{to}").as_bytes(), payload, by)
    }

    /// Sends, and gives the reply that comes at once.
    fn say_to(&mut self, from: u8, to: u8, payload: &[u8], by: Delivery) -> Vec<Reply> {
        let id = self.send(from, to, payload, by).unwrap();
        self.settle();
        self.replies(from, id)
    }

    /// Who said what to `n` since the last call, and how.
    fn heard(&mut self, n: u8) -> Vec<(Name, Vec<u8>, Delivery)> {
        let node = self.node(n);
        core::iter::from_fn(|| node.poll_event())
            .filter_map(|event| {
                let Event::Message { from, payload, by } = event else { return None };
                Some((from, payload.into(), by))
            })
            .collect()
    }

    fn count(&self, n: u8) -> &Stats {
        self.nodes[&address(n)].node().stats()
    }
}

fn joined(configs: impl IntoIterator<Item = Config>) -> Net {
    let mut net = Net::new(configs);
    let count = net.nodes.len() as u8;
    for n in 2..=count {
        net.join(n, 1);
    }
    net.run(Duration::from_secs(2));
    net
}

fn two(change: impl Fn(&mut Config)) -> Net {
    joined((1..=2).map(|n| {
        let mut config = config(n, wire::Config::native());
        change(&mut config);
        config
    }))
}

/// Only the one who is meant hears it, once, labelled and sealed or not.
#[test]
fn messages_reach_the_one_who_is_meant() {
    for wire in wires() {
        let mut net = joined((1..=3).map(|n| config(n, wire.clone())));
        if wire.codec == Codec::Serf {
            for by in BOTH {
                assert_eq!(net.send(1, 2, b"hello", by), Err(SendError::SerfWire));
            }
            continue;
        }
        for by in BOTH {
            net.heard(2);
            assert_eq!(net.say_to(1, 2, b"hello", by), [Reply::Done(Ok(()))]);
            assert_eq!(net.say_to(1, 2, b"", by), [Reply::Done(Ok(()))]);
            assert_eq!(net.heard(2), [("n1".into(), b"hello".to_vec(), by), ("n1".into(), Vec::new(), by)]);
        }
        assert_eq!((net.heard(1), net.heard(3)), (Vec::new(), Vec::new()));
        assert_eq!((net.count(1).messages_direct_sent, net.count(1).messages_direct_confirmed), (4, 2));
        assert_eq!(net.count(2).messages_direct_received, 4);
        assert_eq!((net.count(2).messages_malformed, net.count(2).serf_messages_unknown), (0, 0));
    }
}

/// No network is needed for it, and the same limits hold.
#[test]
fn messages_to_ourselves() {
    let mut net = two(|config| config.serf.event_queue_max = 2);
    for by in BOTH {
        net.heard(1);
        assert_eq!(net.say_to(1, 1, b"note", by), [Reply::Done(Ok(()))]);
        assert_eq!(net.heard(1), [("n1".into(), b"note".to_vec(), by)]);
    }
    let limit = 1 << 20;
    assert_eq!(
        net.send(1, 1, &vec![0; limit + 1], Delivery::Stream),
        Err(SendError::TooLong { len: limit + 1, limit })
    );
    for _ in 0..2 {
        net.say_to(1, 1, b"note", Delivery::Stream);
    }
    let refused = Reply::Done(Err(CommandError::Refused(Refusal::Full)));
    assert_eq!(net.say_to(1, 1, b"one too many", Delivery::Stream), [refused]);
    assert_eq!(net.say_to(1, 1, b"lost", Delivery::Datagram), [Reply::Done(Ok(()))]);
    assert_eq!(net.heard(1).len(), 2);
}

/// Around the size of a packet: what is taken arrives, and the limit is the one that the error names.
#[test]
fn the_longest_datagram() {
    for wire in wires().into_iter().filter(|wire| wire.codec == Codec::Native) {
        let mut net = joined((1..=2).map(|n| config(n, wire.clone())));
        net.heard(2);
        let Err(SendError::TooLong { len: 5000, limit }) = net.send(1, 2, &[7; 5000], Delivery::Datagram) else {
            panic!("no packet holds that")
        };
        assert!((1000..1400).contains(&limit), "{limit}");
        let refused = net.send(1, 2, &vec![7; limit + 1], Delivery::Datagram);
        assert_eq!(refused, Err(SendError::TooLong { len: limit + 1, limit }));
        // Not compressible, or the packet is short whatever the limit.
        let noise: Vec<u8> = (0..limit as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        net.sent.clear();
        assert_eq!(net.say_to(1, 2, &noise, Delivery::Datagram), [Reply::Done(Ok(()))]);
        assert_eq!(net.heard(2), [("n1".into(), noise, Delivery::Datagram)]);
        let longest = net.sent.iter().map(|(.., bytes)| bytes.len()).max();
        assert!(longest.is_some_and(|len| len <= wire.datagram_len_max), "{longest:?}");
    }
}

/// An application that does not look is not given more; the sender of a stream learns it, and that it is over. What was
/// answered depends on when the application looked, so a trace knows that as well.
#[test]
fn a_full_event_queue_is_not_confirmed() {
    let mut net = two(|config| config.serf.event_queue_max = 3);
    let refused = [Reply::Done(Err(CommandError::Refused(Refusal::Full)))];
    for round in 0..3 {
        net.heard(2);
        for _ in 0..3 {
            assert_eq!(net.say_to(1, 2, b"hello", Delivery::Stream), [Reply::Done(Ok(()))], "round {round}");
        }
        assert_eq!(net.say_to(1, 2, b"hello", Delivery::Stream), refused, "round {round}");
        assert_eq!(net.say_to(1, 2, b"hello", Delivery::Datagram), [Reply::Done(Ok(()))]);
        let node = net.node(2);
        let events: Vec<_> = core::iter::from_fn(|| node.poll_event()).collect();
        assert_eq!((events.len(), events.last()), (4, Some(&Event::Missed { count: 2 })));
    }
    assert_eq!((net.count(1).messages_direct_confirmed, net.count(1).messages_direct_failed), (9, 3));
    let expected = net.count(2).clone();
    assert_eq!((expected.messages_direct_received, expected.messages_direct_refused), (9, 0));
    for n in [1, 2] {
        let trace = net.nodes.remove(&address(n)).unwrap().into_sink();
        let mut replay = Replay::new(&trace, Keyring::new(), None).unwrap();
        replay.run().unwrap();
        if n == 2 {
            assert_eq!(replay.node().stats(), &expected);
        }
    }
}

/// Past a bound it is the sender who is told; when some are over there is room again.
#[test]
fn messages_under_way_are_bounded() {
    let mut net = two(|_| {});
    for (by, bound) in [(Delivery::Stream, 128), (Delivery::Datagram, 1024)] {
        let ids: Vec<_> = (0..bound).map(|_| net.send(1, 2, b"hello", by).unwrap()).collect();
        assert_eq!(net.send(1, 2, b"hello", by), Err(SendError::Busy), "{by:?}");
        net.node(1).node().check();
        net.heard(2);
        net.settle();
        assert_eq!(net.heard(2).len(), bound);
        let node = net.node(1);
        let done: Vec<_> = core::iter::from_fn(|| node.poll_reply()).collect();
        assert_eq!(done, ids.iter().map(|id| (*id, Reply::Done(Ok(())))).collect::<Vec<_>>());
        assert_eq!(net.say_to(1, 2, b"hello", by), [Reply::Done(Ok(()))]);
    }
    // By their bytes as well: half of what streams may hold, and the one that goes beyond.
    let mut net = two(|config| config.stream_bytes_max = 8 << 20);
    let long = vec![7; 1 << 20];
    let taken = (0..10).map_while(|_| net.send(1, 2, &long, Delivery::Stream).ok()).count();
    assert_eq!(taken, 4);
    net.settle();
    assert_eq!(net.count(1).messages_direct_confirmed, 4);
    assert!(net.send(1, 2, &long, Delivery::Stream).is_ok());
}

/// What a stream without an answer is called.
#[test]
fn unanswered_streams() {
    use crate::wire::framing::{Side, StreamError, frame};
    use ExchangeError::{Closed, Frame, Rejected, Stream, Unexpected};
    let envelope = Envelope::new(wire::Config::native()).unwrap();
    let answer = |message: Vec<u8>| {
        frame(&envelope, Side::Acceptor, message, &mut Rng::new([1; 32], crate::rng::Stream::Jitter))
    };
    let user = |payload: &[u8]| {
        let mut out = Vec::new();
        Codec::Native.encode_stream_user(payload, &mut out);
        answer(out)
    };
    let mut error = Vec::new();
    Codec::Native.encode_stream_error("what?", &mut error);
    let (unknown, query, error) = (user(&[77]), user(&[1, 4, 1, 98]), answer(error));
    let unknown_kind = Frame(StreamError::Message(MessageError::UnknownKind(77)));
    #[rustfmt::skip]
    let table = [
        (StreamInput::Finished,                     CommandError::Exchange(Closed)),
        (StreamInput::Failed(StreamFailure::Reset), CommandError::Exchange(Stream(StreamFailure::Reset))),
        (StreamInput::Data(&unknown),               CommandError::Exchange(unknown_kind)),
        (StreamInput::Data(&query),                 CommandError::Exchange(Unexpected)),
        (StreamInput::Data(&error),                 CommandError::Exchange(Rejected)),
        (StreamInput::Sent,                         CommandError::TimedOut), // and nothing after it
    ];
    let mut net = two(|_| {});
    net.nodes.remove(&address(2));
    for (input, expected) in table {
        let command = net.send(1, 2, b"hello", Delivery::Stream).unwrap();
        let now = net.now;
        let id = loop {
            let action = net.node(1).poll_stream();
            if let Some(StreamAction::Open { id, .. }) = action {
                break id;
            }
            assert!(action.is_some(), "a dial");
        };
        net.node(1).handle_stream(now, id, StreamInput::Opened);
        assert!(matches!(net.node(1).poll_stream(), Some(StreamAction::Send { .. })));
        net.node(1).handle_stream(now, id, input);
        net.node(1).node().check();
        if input == StreamInput::Sent {
            assert_eq!(net.replies(1, command), []);
            let later = now + net.node(1).node().config().swim.stream_timeout;
            net.node(1).handle_timeout(later);
        }
        assert_eq!(net.replies(1, command), [Reply::Done(Err(expected))], "{input:?}");
    }
}

#[test]
fn messages_are_not_configured_to_be_too_long() {
    let mut config = config(1, wire::Config::native());
    config.serf.message_size_limit = 16 << 20;
    assert_eq!(config.validate(), Ok(()));
    config.serf.message_size_limit += 1;
    assert_eq!(config.validate(), Err(ConfigError::MessageSizeLimit((16 << 20) + 1)));
}
