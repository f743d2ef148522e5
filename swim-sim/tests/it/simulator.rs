//! The simulator itself: what a network, a kernel and a clock would do.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use swim_core::Instant;
use swim_core::ids::StreamId;
use swim_core::node::input::{StreamFailure, StreamInput};
use swim_sim::network::Latency;
use swim_sim::script::{Scene, Script};
use swim_sim::world::{HostId, SOCKET_BUFFER, Verdict, World};
use swim_sim::{ms, secs};

type Log<T> = Rc<RefCell<Vec<(Instant, T)>>>;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 7946))
}

fn at(millis: u64) -> Instant {
    Instant::after_origin(ms(millis))
}

fn world() -> World {
    World::new(1, Latency::Constant(ms(10)))
}

/// Writes down what arrives.
fn listener(world: &mut World, last: u8) -> (HostId, Log<Vec<u8>>) {
    let log: Log<Vec<u8>> = Rc::default();
    let heard = Rc::clone(&log);
    let script = move |scene: &mut Scene, _: SocketAddr, datagram: &[u8]| {
        heard.borrow_mut().push((scene.now(), datagram.to_vec()));
    };
    (world.stage(address(last), Box::new(script)), log)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum News {
    Accepted,
    Opened,
    Data(Vec<u8>),
    Sent,
    Finished,
    Failed(StreamFailure),
}

/// Writes down what happens on streams; says something once its dial is answered.
struct Talker {
    log: Log<News>,
    opening: Vec<u8>,
    listens: bool,
}

impl Script for Talker {
    fn on_datagram(&mut self, _: &mut Scene, _: SocketAddr, _: &[u8]) {}

    fn listens(&self) -> bool {
        self.listens
    }

    fn on_accept(&mut self, scene: &mut Scene, _: StreamId, _: SocketAddr) {
        self.log.borrow_mut().push((scene.now(), News::Accepted));
    }

    fn on_stream(&mut self, scene: &mut Scene, id: StreamId, input: StreamInput<'_>) {
        let news = match input {
            StreamInput::Opened => {
                if !self.opening.is_empty() {
                    scene.write(Duration::ZERO, id, self.opening.clone());
                    scene.finish(Duration::ZERO, id);
                }
                News::Opened
            }
            StreamInput::Data(bytes) => News::Data(bytes.to_vec()),
            StreamInput::Sent => News::Sent,
            StreamInput::Finished => News::Finished,
            StreamInput::Failed(failure) => News::Failed(failure),
        };
        self.log.borrow_mut().push((scene.now(), news));
    }
}

fn talker(world: &mut World, last: u8, opening: &[u8], listens: bool) -> (HostId, Log<News>) {
    let log: Log<News> = Rc::default();
    let script = Talker { log: Rc::clone(&log), opening: opening.to_vec(), listens };
    (world.stage(address(last), Box::new(script)), log)
}

/// A datagram takes its latency, goes to one address, and is lost where nobody is.
#[test]
fn datagrams_take_their_time() {
    let mut world = world();
    let (_, log) = listener(&mut world, 2);
    world.inject(address(1), address(2), b"hello");
    world.inject(address(1), address(3), b"nobody");
    world.run_for(ms(9));
    assert_eq!(*log.borrow(), []);
    world.run_for(ms(1));
    assert_eq!(*log.borrow(), [(at(10), b"hello".to_vec())]);
    assert_eq!((world.datagrams_sent(), world.datagrams_lost()), (2, 1));
}

/// Losses are independent, and as likely as asked for; partitions and cuts lose everything.
#[test]
fn packets_are_lost_as_told() {
    let mut world = world();
    let (_, log) = listener(&mut world, 2);
    world.network_mut().default_link_mut().loss = 0.3;
    for _ in 0..10_000 {
        world.inject(address(1), address(2), b"x");
    }
    world.run_for(secs(1));
    let arrived = log.borrow().len();
    assert!((6800..7200).contains(&arrived), "{arrived}");
    world.network_mut().default_link_mut().loss = 0.0;
    world.network_mut().cut(address(1), address(2));
    world.inject(address(1), address(2), b"x");
    world.inject(address(3), address(2), b"y");
    world.run_for(secs(1));
    assert_eq!(log.borrow().len(), arrived + 1);
}

/// Some packets arrive twice, as many as asked for, each copy in its own time; a lost one does not arrive at all.
#[test]
fn packets_are_doubled_as_told() {
    let mut world = world();
    let (_, log) = listener(&mut world, 2);
    let link = world.network_mut().default_link_mut();
    (link.latency, link.loss, link.duplication) = (Latency::Uniform(ms(1), ms(20)), 0.5, 0.4);
    for number in 0..10_000_u32 {
        world.inject(address(1), address(2), &number.to_be_bytes());
    }
    world.run_for(secs(1));
    let mut copies = BTreeMap::<Vec<u8>, Vec<Instant>>::new();
    for (at, bytes) in log.borrow().iter() {
        copies.entry(bytes.clone()).or_default().push(*at);
    }
    assert!((4800..5200).contains(&copies.len()), "{}", copies.len());
    let twice: Vec<_> = copies.values().filter(|times| times.len() == 2).collect();
    assert!((1850..2150).contains(&twice.len()), "{}", twice.len());
    assert!(twice.iter().filter(|times| times[0] != times[1]).count() > 1800, "they travel apart");
    assert!(copies.values().all(|times| times.len() <= 2));
}

/// A tap sees everything that is sent, when it is sent, and may swallow it.
#[test]
fn a_tap_may_swallow() {
    let mut world = world();
    let (_, log) = listener(&mut world, 2);
    let seen = Rc::new(RefCell::new(0));
    let count = Rc::clone(&seen);
    world.tap(move |_, _, _, bytes| {
        *count.borrow_mut() += 1;
        if bytes == b"bad" { Verdict::Drop } else { Verdict::Pass }
    });
    for bytes in [b"one".as_slice(), b"bad", b"two"] {
        world.inject(address(1), address(2), bytes);
    }
    world.run_for(secs(1));
    assert_eq!(*seen.borrow(), 3);
    assert_eq!(log.borrow().iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>(), [b"one", b"two"]);
}

/// A frozen host gets its datagrams when it goes on, as many as its socket's buffer holds.
#[test]
fn a_frozen_host_reads_its_buffer_when_it_goes_on() {
    let mut world = world();
    let (host, log) = listener(&mut world, 2);
    world.pause(host, secs(5));
    let big = vec![0; 64 * 1024 - 1];
    for _ in 0..40 {
        world.inject(address(1), address(2), &big);
    }
    world.run_for(ms(4999));
    assert_eq!(log.borrow().len(), 0);
    world.run_for(ms(1));
    assert_eq!(log.borrow().len(), SOCKET_BUFFER / big.len());
    assert!(log.borrow().iter().all(|(time, _)| *time == at(5000)));
    assert_eq!(world.datagrams_lost(), 40 - (SOCKET_BUFFER / big.len()) as u64);
}

/// A pause can be made longer, not shorter.
#[test]
fn pauses_add_up_to_the_longest() {
    let mut world = world();
    let (host, log) = listener(&mut world, 2);
    world.pause(host, secs(5));
    world.pause(host, secs(1));
    world.run_for(secs(3));
    world.pause(host, secs(5));
    world.inject(address(1), address(2), b"x");
    world.run_for(secs(10));
    assert_eq!(log.borrow()[0].0, at(8000));
}

/// A stream takes one round trip to open; what is written arrives in order and in pieces, and its end after it.
#[test]
fn a_stream_carries_pieces_in_order() {
    let mut world = World::new(1, Latency::Uniform(ms(1), ms(50)));
    world.set_stream_chunk(3);
    let (dialler, ours) = talker(&mut world, 1, b"abcdefgh", false);
    let (_, theirs) = talker(&mut world, 2, b"", true);
    world.dial(dialler, address(2));
    world.run_for(secs(1));
    let news = |log: &Log<News>| log.borrow().iter().map(|(_, news)| news.clone()).collect::<Vec<_>>();
    let data = |text: &[u8]| News::Data(text.to_vec());
    assert_eq!(news(&theirs), [News::Accepted, data(b"abc"), data(b"def"), data(b"gh"), News::Finished]);
    assert_eq!(news(&ours)[0], News::Opened);
    assert!(ours.borrow()[0].0 >= theirs.borrow()[0].0);
}

/// Where nobody listens a dial is refused after a round trip; where nobody answers it times out after a minute.
#[test]
fn dials_are_refused_or_time_out() {
    let mut world = world();
    let (dialler, log) = talker(&mut world, 1, b"", false);
    talker(&mut world, 2, b"", false);
    world.dial(dialler, address(2));
    world.dial(dialler, address(3));
    world.run_for(ms(20));
    let refused = (at(20), News::Failed(StreamFailure::Refused));
    assert_eq!(*log.borrow(), [refused.clone(), refused]);
    world.network_mut().cut(address(1), address(2));
    world.dial(dialler, address(2));
    world.run_for(secs(62));
    assert_eq!(log.borrow().len(), 2);
    world.run_for(secs(10));
    assert_eq!(log.borrow().last().map(|(_, news)| news.clone()), Some(News::Failed(StreamFailure::TimedOut)));
}

/// A partition holds streams back; what was written arrives when it is over, if the kernel has not given up.
#[test]
fn a_partition_holds_streams_back() {
    for (length, arrives) in [(secs(20), true), (secs(3600), false)] {
        let mut world = world();
        let (dialler, _) = talker(&mut world, 1, b"hello", false);
        let (_, theirs) = talker(&mut world, 2, b"", true);
        world.dial(dialler, address(2));
        world.run_for(ms(20));
        world.network_mut().partition([[address(1)].as_slice()]);
        world.run_for(length);
        assert_eq!(theirs.borrow().len(), 1, "accepted, and nothing more");
        world.network_mut().heal();
        world.run_for(secs(3600));
        let arrived = theirs.borrow().iter().any(|(_, news)| *news == News::Data(b"hello".to_vec()));
        assert_eq!(arrived, arrives, "after {length:?}");
    }
}

/// A frozen host's kernel accepts for it; the process learns of it when it goes on.
#[test]
fn a_frozen_host_accepts_later() {
    let mut world = world();
    let (dialler, ours) = talker(&mut world, 1, b"hello", false);
    let (host, theirs) = talker(&mut world, 2, b"", true);
    world.pause(host, secs(2));
    world.dial(dialler, address(2));
    world.run_for(secs(1));
    assert_eq!(ours.borrow().first(), Some(&(at(20), News::Opened)));
    assert_eq!(theirs.borrow().len(), 0);
    world.run_for(secs(2));
    let news: Vec<_> = theirs.borrow().iter().map(|(_, news)| news.clone()).collect();
    assert_eq!(news, [News::Accepted, News::Data(b"hello".to_vec()), News::Finished]);
    assert_eq!(theirs.borrow()[0].0, at(2000));
}

/// A process that ends resets its streams, those that it had not accepted yet included, and is not found any more.
#[test]
fn a_crash_resets_streams() {
    for frozen in [false, true] {
        let mut world = world();
        let (dialler, ours) = talker(&mut world, 1, b"", false);
        let (host, _) = talker(&mut world, 2, b"", true);
        if frozen {
            world.pause(host, secs(10));
        }
        world.dial(dialler, address(2));
        world.run_for(secs(1));
        world.crash(host);
        world.run_for(secs(1));
        let news: Vec<_> = ours.borrow().iter().map(|(_, news)| news.clone()).collect();
        assert_eq!(news, [News::Opened, News::Failed(StreamFailure::Reset)], "frozen: {frozen}");
        assert_eq!(world.tenant(address(2)), None);
    }
}

/// Many streams one after the other leave nothing behind.
#[test]
fn streams_do_not_pile_up() {
    let mut world = world();
    let (dialler, ours) = talker(&mut world, 1, b"x", false);
    let (_, theirs) = talker(&mut world, 2, b"", true);
    for _ in 0..1000 {
        world.dial(dialler, address(2));
        world.run_for(ms(50));
    }
    let opened = ours.borrow().iter().filter(|(_, news)| *news == News::Opened).count();
    let finished = theirs.borrow().iter().filter(|(_, news)| *news == News::Finished).count();
    assert_eq!((opened, finished), (1000, 1000));
}
