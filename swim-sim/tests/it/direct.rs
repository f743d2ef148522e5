//! Messages from one member to another, across networks that lose, cut and repeat.

use swim_core::Event;
use swim_core::ids::CommandId;
use swim_core::node::input::{CommandError, ExchangeError, Reply, StreamFailure};
use swim_core::node::trace::Replay;
use swim_core::serf::direct::{Delivery, SendError};
use swim_core::wire;
use swim_core::wire::keyring::{Key, Keyring};
use swim_core::wire::serf::{DirectAnswer, DirectMessage, Refusal};
use swim_sim::puppet::Manner;
use swim_sim::{Puppet, Said, StreamSaid, TestNet, ms, secs};

const SEED: u64 = 9;
const BOTH: [Delivery; 2] = [Delivery::Datagram, Delivery::Stream];

/// What `name`'s application was told by single members: whose words, and how they came.
fn heard(net: &TestNet, name: &str) -> Vec<(String, Vec<u8>, Delivery)> {
    let messages = net.events(name).iter().filter_map(|(_, event)| {
        let Event::Message { from, payload, by } = event else { return None };
        Some((from.to_string(), payload.to_vec(), *by))
    });
    messages.collect()
}

/// What became of a command; `None` while nobody knows.
fn done(net: &TestNet, name: &str, command: CommandId) -> Option<Result<(), CommandError>> {
    match net.replies(name, command)[..] {
        [] => None,
        [(_, Reply::Done(result))] => Some(result),
        ref other => panic!("{other:?}"),
    }
}

/// Waits for it.
fn outcome(net: &mut TestNet, name: &str, command: CommandId) -> Result<(), CommandError> {
    net.run_until(|net| done(net, name, command).is_some(), secs(120));
    done(net, name, command).expect("it was waited for")
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

fn sealed(config: &mut wire::Config) {
    config.keyring.add(Key::new(&[7; 32]).expect("a key of 32 bytes")).expect("the first key");
}

/// Short ones both ways, and as long as is allowed by stream: they come unchanged, once, to the one who is meant,
/// encrypted or not.
#[test]
fn messages_come_as_they_were_sent() {
    for encrypted in [false, true] {
        let mut net = TestNet::tuned(4, SEED, move |config| {
            if encrypted {
                sealed(&mut config.wire);
            }
        });
        net = net.converged();
        let long = noise(1 << 20);
        for (payload, by) in [
            (&b"hello"[..], Delivery::Datagram),
            (b"hello", Delivery::Stream),
            (b"", Delivery::Stream),
            (&long, Delivery::Stream),
        ] {
            let before = heard(&net, "n3").len();
            let command = net.send("n1", "n3", payload, by).expect("n3 is there");
            assert_eq!(outcome(&mut net, "n1", command), Ok(()));
            net.run_for(secs(1));
            assert_eq!(
                heard(&net, "n3")[before..],
                [("n1".to_owned(), payload.to_vec(), by)],
                "encrypted: {encrypted}"
            );
        }
        for name in ["n1", "n2", "n4"] {
            assert_eq!(heard(&net, name), [], "{name}");
        }
        let stats = net.stats("n1");
        assert_eq!((stats.messages_direct_sent, stats.messages_direct_confirmed), (4, 3));
        assert_eq!(net.deaths(), []);
    }
}

/// `Ok` by stream comes no sooner than the message is in the receiver's event queue.
#[test]
fn a_confirmation_follows_the_message() {
    let mut net = TestNet::lan(2, SEED).converged();
    net.set_latency(swim_sim::Latency::Constant(ms(50)));
    let sent = net.now();
    let command = net.send("n1", "n2", b"hello", Delivery::Stream).expect("n2 is there");
    outcome(&mut net, "n1", command).expect("n2 takes it");
    let (confirmed, _) = net.replies("n1", command)[0];
    let told = net.events("n2").iter().find(|(_, event)| matches!(event, Event::Message { .. })).map(|(at, _)| *at);
    // The dial goes there and back, the message there, the answer back.
    assert_eq!((told, confirmed), (Some(sent + ms(150)), sent + ms(200)));
}

/// What the sender's own node refuses is not sent.
#[test]
fn some_messages_are_not_sent() {
    let mut net = TestNet::lan(3, SEED).converged();
    net.leave("n3");
    net.run_for(secs(10));
    let limit = 1 << 20;
    let too_long = net.send("n1", "n2", &noise(limit + 1), Delivery::Stream);
    assert_eq!(too_long, Err(SendError::TooLong { len: limit + 1, limit }));
    let Err(SendError::TooLong { len: 1400, limit }) = net.send("n1", "n2", &noise(1400), Delivery::Datagram) else {
        panic!("no packet holds that")
    };
    assert!(net.send("n1", "n2", &noise(limit), Delivery::Datagram).is_ok());
    net.run_for(secs(1));
    for by in BOTH {
        assert_eq!(net.send("n1", "nobody", b"hello", by), Err(SendError::NoMember));
        assert_eq!(net.send("n1", "n3", b"hello", by), Err(SendError::NoMember), "it has left");
        assert_eq!(net.send("n3", "n1", b"hello", by), Err(SendError::NotAlive));
    }
    assert_eq!(heard(&net, "n2").len(), 1);
}

/// Serf's wire has no such messages: none is sent, and one that comes is skipped as of an unknown kind.
#[test]
fn serf_has_no_such_messages() {
    let mut net = TestNet::bench_with(SEED, |config| config.wire = wire::Config::serf());
    let w = net.member("w");
    for by in BOTH {
        assert_eq!(net.send("n1", "w", b"hello", by), Err(SendError::SerfWire));
    }
    let before = net.stats("n1").serf_messages_unknown;
    let said = says("w", "n1", b"hello");
    net.tell(&w, "n1", Said::User(said.clone()));
    net.dial(&w, "n1", &StreamSaid::User(said));
    net.run_for(secs(1));
    assert_eq!(net.stats("n1").serf_messages_unknown, before + 2);
    assert_eq!((heard(&net, "n1"), w.stream_messages()), (Vec::new(), Vec::new()));
}

/// Datagrams get lost, and nobody is told; what a stream confirms has come, once, whatever the network loses.
#[test]
fn a_network_that_loses() {
    let mut net = TestNet::lan(2, SEED).converged();
    net.set_loss(0.2);
    let payload = noise(8_000);
    let (mut confirmed, mut commands) = (0, 0);
    for n in 0..60_u8 {
        commands += 1;
        net.send("n1", "n2", &[n], Delivery::Datagram).expect("n2 is there");
        let mut payload = payload.clone();
        payload[0] = n;
        let command = net.send("n1", "n2", &payload, Delivery::Stream).expect("n2 is there");
        confirmed += usize::from(outcome(&mut net, "n1", command).is_ok());
    }
    net.set_loss(0.0);
    net.run_for(secs(60));
    let heard = heard(&net, "n2");
    let datagrams = heard.iter().filter(|(.., by)| *by == Delivery::Datagram).count();
    assert!((30..60).contains(&datagrams), "{datagrams} of {commands} datagrams");
    let streams: Vec<u8> =
        heard.iter().filter(|(.., by)| *by == Delivery::Stream).map(|(_, payload, _)| payload[0]).collect();
    assert!(confirmed > 50, "{confirmed} of {commands} confirmed");
    assert!(streams.len() >= confirmed, "{confirmed} confirmed, {} heard", streams.len());
    assert!(streams.is_sorted_by(|a, b| a < b), "none twice: {streams:?}");
}

/// A receiver that is gone, out of reach, asleep or hanging up: the sender learns that it does not know.
#[test]
fn nobody_answers() {
    let mut net = TestNet::lan(2, SEED).converged();
    let timeout = net["n1"].config().swim.stream_timeout;
    // Asleep: the kernel takes the stream, and nobody looks at it.
    net.pause("n2", timeout + secs(1));
    let asleep = net.send("n1", "n2", b"hello", Delivery::Stream).expect("nobody has noticed");
    assert_eq!(outcome(&mut net, "n1", asleep), Err(CommandError::TimedOut));
    net.run_for(secs(5));
    assert_eq!(heard(&net, "n2").len(), 1, "it has come all the same");

    let mut net = TestNet::lan(2, SEED).converged();
    net.partition(&[&["n1"], &["n2"]]);
    let cut_off = net.send("n1", "n2", b"hello", Delivery::Stream).expect("nobody has noticed");
    let lost = net.send("n1", "n2", b"hello", Delivery::Datagram).expect("nobody has noticed");
    assert_eq!(outcome(&mut net, "n1", cut_off), Err(CommandError::TimedOut));
    assert_eq!(done(&net, "n1", lost), Some(Ok(())), "it was sent; that is all");
    net.heal();

    let mut net = TestNet::lan(2, SEED).converged();
    net.crash("n2");
    let gone = net.send("n1", "n2", b"hello", Delivery::Stream).expect("nobody has noticed");
    let refused = ExchangeError::Stream(StreamFailure::Refused);
    assert_eq!(outcome(&mut net, "n1", gone), Err(CommandError::Exchange(refused)));
    net.run_for(secs(60));
    assert_eq!(net.send("n1", "n2", b"hello", Delivery::Stream), Err(SendError::NoMember), "it is known by now");
    assert_eq!(net.stats("n1").messages_direct_failed, 1);

    let mut net = TestNet::bench(SEED);
    let w = net.member("w");
    w.behave(|manner| *manner = Manner { listens: true, hangs_up: true, ..Manner::default() });
    let hung_up = net.send("n1", "w", b"hello", Delivery::Stream).expect("w is there");
    assert_eq!(outcome(&mut net, "n1", hung_up), Err(CommandError::Exchange(ExchangeError::Closed)));
}

fn says(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    DirectMessage { to: to.as_bytes(), from: from.as_bytes(), payload }.encode(&mut said);
    said
}

fn answers(refusal: Option<Refusal>) -> StreamSaid {
    let mut answer = Vec::new();
    DirectAnswer { refusal }.encode(&mut answer);
    StreamSaid::User(answer)
}

/// Says something to `n1` in somebody's name, both ways; what comes back by stream.
fn say(net: &mut TestNet, speaker: &Puppet, from: &str, to: &str, payload: &[u8]) -> Vec<StreamSaid> {
    speaker.forget();
    let said = says(from, to, payload);
    net.tell(speaker, "n1", Said::User(said.clone()));
    net.dial(speaker, "n1", &StreamSaid::User(said));
    net.run_for(ms(500));
    speaker.stream_messages().into_iter().map(|(_, said)| said).collect()
}

/// Only members are listened to, by name, and only what is meant for us; a stranger that has the keys can use a
/// member's name, but not ours.
#[test]
fn strangers_are_not_listened_to() {
    let mut net = TestNet::bench_with(SEED, |config| config.serf.message_size_limit = 100);
    let (w, stranger) = (net.member("w"), net.puppet("stranger"));
    assert_eq!(say(&mut net, &w, "w", "n1", b"hello"), [answers(None)]);
    let told = BOTH.map(|by| ("w".to_owned(), b"hello".to_vec(), by));
    assert_eq!(heard(&net, "n1"), told);
    #[rustfmt::skip]
    let table = [
        // speaker    calls itself  means  bytes   and hears
        (&stranger,   "stranger",   "n1",  5,      Refusal::Stranger),
        (&stranger,   "",           "n1",  5,      Refusal::Stranger),
        (&w,          "nobody",     "n1",  5,      Refusal::Stranger),
        (&w,          "n1",         "n1",  5,      Refusal::Stranger),
        (&w,          "w",          "n2",  5,      Refusal::Misaddressed),
        (&w,          "w",          "",    5,      Refusal::Misaddressed),
        (&w,          "w",          "n1",  101,    Refusal::TooLong),
    ];
    for (speaker, from, to, len, refusal) in table {
        assert_eq!(say(&mut net, speaker, from, to, &noise(len)), [answers(Some(refusal))], "{from} to {to}");
    }
    assert_eq!(heard(&net, "n1"), told, "nothing more");
    let stats = net.stats("n1");
    assert_eq!((stats.messages_direct_received, stats.messages_direct_refused), (2, 10));
    assert_eq!(stats.messages_direct_misaddressed, 4);
    assert_eq!(say(&mut net, &stranger, "w", "n1", b"hello"), [answers(None)], "names are not proven");
    assert_eq!(say(&mut net, &w, "w", "n1", &noise(100)), [answers(None)], "as long as is allowed");
    // Members that have failed are known as well: they may not have noticed that we think so.
    net.tell(&w, "n1", w.dead("w", 1));
    assert_eq!(say(&mut net, &w, "w", "n1", b"still here"), [answers(None)]);
}

/// A datagram that the network doubles is heard twice: nothing counts them.
#[test]
fn a_doubled_datagram_is_heard_twice() {
    let mut net = TestNet::bench(SEED);
    let w = net.member("w");
    let datagram = w.datagram(&[Said::User(says("w", "n1", b"hello"))]);
    let (from, to) = (w.address(), net.address("n1"));
    for _ in 0..2 {
        net.world_mut().inject(from, to, &datagram);
    }
    net.run_for(ms(10));
    assert_eq!(heard(&net, "n1").len(), 2);
}

/// A life with messages in it replays to the same bytes.
#[test]
fn a_trace_with_messages_replays() {
    let tune = |config: &mut swim_core::Config| {
        sealed(&mut config.wire);
        config.serf.message_size_limit = 20_000;
    };
    let mut net = TestNet::tuned(2, SEED, tune);
    let host = net.start_recorded("n3");
    net = net.converged();
    for n in 0..20_usize {
        for by in BOTH {
            net.send("n3", "n1", &noise(n * 50), by).expect("n1 is there");
            net.send("n1", "n3", &noise(n * 50), by).expect("n3 is there");
            net.send("n3", "n3", b"a note", by).expect("it always is");
        }
        net.run_for(ms(100));
    }
    net.crash("n1");
    let failing = net.send("n3", "n1", &noise(20_000), Delivery::Stream).expect("nobody has noticed");
    assert!(outcome(&mut net, "n3", failing).is_err());
    let stats = net.stats("n3").clone();
    assert_eq!((stats.messages_direct_received, stats.messages_direct_confirmed), (80, 20));
    let trace = net.world_mut().take_trace(host);
    let mut keyring = Keyring::new();
    keyring.add(Key::new(&[7; 32]).expect("a key of 32 bytes")).expect("the first key");
    let mut replay = Replay::new(&trace, keyring, None).expect("a trace of this build");
    replay.run().expect("the node does what it did then");
    assert_eq!(replay.node().stats(), &stats);
}
