//! More of everything than there is room for: every buffer of Serf's layer stays within its bound, what was refused is
//! counted, and the node goes on (design 3.5; `serf-layer.md` sections 5, 6.2, 9, 10).

use swim_core::Event;
use swim_core::ids::LamportTime;
use swim_core::node::Summary;
use swim_core::serf::query::Query;
use swim_core::wire::codec::Codec;
use swim_core::wire::message::State;
use swim_core::wire::serf::{SerfMessage, kind};
use swim_sim::test_net::BENCH_LATENCY;
use swim_sim::{Puppet, Said, StreamSaid, TestNet, ms, secs};

const SEED: u64 = 35;
const SECONDS: u64 = 60;
/// Every ten milliseconds so many messages, in datagrams of 25.
const PER_TICK: u64 = 100;
const MESSAGES: u64 = SECONDS * 100 * PER_TICK;
/// The defaults, for every one of the queues.
const QUEUE_MAX: usize = 4096;

/// `n1`, whose application is busy with something else, hears ten thousand messages a second from `y` for a minute, each
/// another; `w` listens. The longest that each of its queues was, looked at twenty times a second, and whether it has
/// answered a ping every second.
fn flooded(message: impl Fn(&Puppet, u64) -> Said) -> (TestNet, [Puppet; 2]) {
    let mut net = TestNet::bench(SEED);
    let (y, w) = (net.member("y"), net.member("w"));
    net.run_for(secs(5));
    // It checks itself twenty times a second, not after each datagram.
    net.world_mut().set_checking(false);
    let (host, n1) = (net.host("n1"), net.address("n1"));
    net.world_mut().set_listening(host, false);
    y.forget();
    let (mut longest, mut pinged) = ([0; 4], Vec::new());
    for tick in 0..SECONDS * 100 {
        let first = tick * PER_TICK;
        let said: Vec<Said> = (first..first + PER_TICK).map(|index| message(&y, index)).collect();
        for said in said.chunks(25) {
            net.world_mut().inject(y.address(), n1, &y.datagram(said));
        }
        if tick % 100 == 0 {
            pinged.push(net.now());
            net.world_mut().inject(y.address(), n1, &y.datagram(&[y.ping("n1", 1_000_000)]));
        }
        net.world_mut().run_for(ms(10));
        if tick % 5 == 0 {
            net.world().check();
            let Summary { intent_queue, query_queue, event_queue, update_queue, .. } = net["n1"].summary();
            for (longest, now) in longest.iter_mut().zip([intent_queue, query_queue, event_queue, update_queue]) {
                *longest = (*longest).max(now);
            }
        }
    }
    net.run_for(secs(1));
    assert!(longest.iter().all(|longest| *longest <= QUEUE_MAX), "{longest:?}");
    assert!(longest.iter().any(|longest| *longest > QUEUE_MAX / 2), "it was a flood: {longest:?}");
    let acks = y.messages_where(|said| matches!(said, Said::Ack { seq: 1_000_000, .. }));
    let answered: Vec<_> = acks.into_iter().map(|(at, _)| at).collect();
    let at_once: Vec<_> = pinged.into_iter().map(|at| at + 2 * BENCH_LATENCY).collect();
    assert_eq!(answered, at_once, "every ping is answered, at once");
    assert_eq!(net.state_at("n1", "w"), Some((State::Alive, 1)));
    let stats = net.stats("n1");
    assert_eq!((stats.suspicions, stats.messages_malformed, stats.datagrams_malformed), (0, 0, 0));
    assert!(stats.broadcasts_over_limit > 0, "{stats:?}");
    (net, [y, w])
}

/// What it now says itself is heard by `w` before long.
fn is_heard(net: &mut TestNet, w: &Puppet) {
    w.forget();
    net.user_event("n1", "at last", "");
    let told = |said: &Said| matches!(said, Said::User(bytes) if bytes.windows(7).any(|name| name == b"at last"));
    // What waits before it are three queues at most, of messages each of which is sent four times.
    for _ in 0..240 {
        net.run_for(secs(1));
        if !w.messages_where(told).is_empty() {
            return;
        }
        w.forget();
    }
    panic!("nobody hears it");
}

/// What the application is told when it looks again: as many events as there is room for, and how many it has missed.
fn looks_again(net: &mut TestNet) -> (u64, u64) {
    let host = net.host("n1");
    net.world_mut().forget_events();
    net.world_mut().set_listening(host, true);
    let (mut told, mut missed) = (0, 0);
    for (_, event) in net.events("n1") {
        if let Event::Missed { count } = event {
            missed += count;
        } else {
            told += 1;
        }
    }
    (told, missed)
}

/// User events: of one time, in all times, in bytes, to be told, and to be passed on.
#[test]
fn a_flood_of_user_events_fills_what_there_is_and_no_more() {
    const OF_ONE_TIME: u64 = 1500;
    let (mut net, [y, w]) = flooded(|y, index| y.user_event(&format!("event {index}"), 1 + index / OF_ONE_TIME));
    let config = net["n1"].config().serf.clone();
    let per_time = config.events_per_time_max as u64;
    let stats = net.stats("n1");
    assert_eq!(stats.user_events, MESSAGES / OF_ONE_TIME * per_time);
    assert_eq!(stats.user_events_over_limit, MESSAGES - stats.user_events);
    assert_eq!(stats.user_events_old, 0);
    let (news, dropped) = (stats.user_events, stats.events_dropped);
    assert_eq!(net["n1"].summary().event_time, LamportTime(MESSAGES / OF_ONE_TIME + 1));

    // What it remembers is what an exchange says.
    y.forget();
    net.dial(&y, "n1", &StreamSaid::PushPull { join: false, entries: vec![], user_state: vec![] });
    net.run_for(ms(50));
    let said = y.stream_messages().pop().map(|(_, said)| said);
    let Some(StreamSaid::PushPull { user_state, .. }) = said else { panic!("{said:?}") };
    let Ok(SerfMessage::PushPull(state)) = Codec::Native.decode_serf(&user_state) else { panic!("it is Serf's") };
    let (mut slots, mut bytes, mut oldest) = (0, 0, LamportTime(u64::MAX));
    for slot in state.events {
        let lens = slot.events.map(|event| event.name.len() + event.payload.as_deref().map_or(0, <[u8]>::len));
        let lens: Vec<usize> = lens.collect();
        assert!(lens.len() <= config.events_per_time_max);
        bytes += lens.iter().sum::<usize>() + 64 * lens.len();
        slots += 1;
        oldest = oldest.min(slot.ltime);
    }
    assert!((20..config.event_buffer).contains(&slots), "memory ends before the ring does: {slots}");
    let max = config.event_bytes_max;
    assert!((max - max / 20..=max).contains(&bytes), "{bytes} of {max}");
    assert_eq!(oldest.0 + slots as u64, MESSAGES / OF_ONE_TIME + 1, "the latest are kept");

    let (told, missed) = looks_again(&mut net);
    assert_eq!((told, missed), (config.event_queue_max as u64, dropped));
    assert_eq!(told + missed, news);
    is_heard(&mut net, &w);
}

/// Intents: about strangers, to be remembered, and about a member, to be passed on.
#[test]
fn a_flood_of_intents_fills_what_there_is_and_no_more() {
    let (mut net, [y, w]) = flooded(|y, index| match index % 2 {
        0 => y.leave_intent(&format!("stranger {index}"), 2 + index),
        _ => y.join_intent("w", 2 + index),
    });
    let remembered = net["n1"].config().serf.recent_intents_max as u64;
    assert_eq!(net.stats("n1").intents_over_limit, MESSAGES / 2 - remembered);
    let member = net["n1"].member(b"w").expect("it is there");
    assert_eq!(member.status_time(), LamportTime(1 + MESSAGES), "the last of them has arrived");
    is_heard(&mut net, &w);

    // In five minutes there is room for others again.
    let late = y.leave_intent("late stranger", 2 + MESSAGES);
    for (wait, passed_on) in [(1, false), (320, true)] {
        net.run_for(secs(wait));
        w.forget();
        net.tell(&y, "n1", late.clone());
        net.run_for(secs(2));
        assert_eq!(!w.messages_where(|said| *said == late).is_empty(), passed_on, "after {wait} s");
    }
}

/// Queries: of one time, to be answered, to be told, and to be passed on.
#[test]
fn a_flood_of_queries_fills_what_there_is_and_no_more() {
    const OF_ONE_TIME: u64 = 100;
    let (mut net, [y, w]) = flooded(|y, index| y.query("load", 1 + index / OF_ONE_TIME, index as u32, 0));
    // 64 of one time are heard, and 1 024 may be answered at a time.
    let (heard, waiting) = (MESSAGES / OF_ONE_TIME * 64, 1024);
    let stats = net.stats("n1");
    assert_eq!((stats.queries, stats.queries_old), (heard, 0));
    assert!(stats.queries_over_limit > MESSAGES - heard, "{stats:?}");
    assert!(stats.queries_over_limit <= MESSAGES - waiting, "{stats:?}");
    assert_eq!(net["n1"].summary().query_time, LamportTime(MESSAGES / OF_ONE_TIME + 1));
    let dropped = stats.events_dropped;
    let (told, missed) = looks_again(&mut net);
    assert_eq!((told, missed), (net["n1"].config().serf.event_queue_max as u64, dropped));
    assert_eq!(told + missed, heard);

    // The next one is heard and answered, and one of its own gets out.
    net.answer_queries("n1");
    y.forget();
    net.tell(&y, "n1", y.query("now", 1 + MESSAGES, 1, 0));
    net.run_for(ms(10));
    let answers = y.messages_where(|said| matches!(said, Said::User(bytes) if bytes[0] == kind::QUERY_RESPONSE));
    assert_eq!(answers.len(), 1);
    let ours = Query { name: b"anybody there?", timeout: Some(secs(100)), ..Query::default() };
    net.query("n1", ours);
    let told = |said: &Said| matches!(said, Said::User(bytes) if bytes.windows(14).any(|name| name == ours.name));
    let asked = net.now();
    while w.messages_where(told).is_empty() {
        assert!(net.now() - asked < secs(100), "nobody hears it");
        w.forget();
        net.run_for(secs(1));
    }
    is_heard(&mut net, &w);
}
