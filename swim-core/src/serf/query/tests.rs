//! serf-layer.md 10.1 to 10.4, rule by rule.

use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::outbox::Outgoing;
use crate::serf::config::Config;
use crate::serf::tags::Tags;
use crate::swim::config::Config as SwimConfig;
use crate::swim::updates::Origin;
use crate::testing::{Parts, address, alive, versions};
use crate::wire::codec::Codec;

/// We are `me` at 127.0.0.1, and know whom we have met.
pub(in crate::serf) struct Scene {
    pub(in crate::serf) parts: Parts,
    pub(in crate::serf) swim: Swim,
    pub(in crate::serf) serf: Serf,
}

impl Scene {
    pub(in crate::serf) fn new() -> Self {
        Self::with(SwimConfig::lan())
    }

    fn with(config: SwimConfig) -> Self {
        let mut parts = Parts::new();
        let mut swim = parts.swim(config);
        let local = swim.local();
        let tags: Tags = [("role", "db-1")].into_iter().collect();
        let mut serf = Serf::new(&mut parts.cx(), Config::default(), Codec::Native, tags, &swim, [4; 32]);
        serf.handle_change(&mut parts.cx(), &swim, crate::swim::Change::Joined(local));
        while serf.poll_event().is_some() {}
        swim.arm_gossip(&mut parts.cx());
        Self { parts, swim, serf }
    }

    /// Members `b`, `c` and so on, at 127.0.0.2, 127.0.0.3 …
    pub(in crate::serf) fn meet(&mut self, count: u8) {
        for n in 1..=count {
            let name = char::from(b'a' + n).to_string();
            self.swim.handle_alive(&mut self.parts.cx(), &alive(&name, 1, address(n + 1), b""), Origin::Exchange);
            while let Some(change) = self.swim.poll_change() {
                self.serf.handle_change(&mut self.parts.cx(), &self.swim, change);
            }
        }
        while self.serf.poll_event().is_some() {}
    }

    pub(in crate::serf) fn ask(&mut self, command: u64, query: &Query<'_>) -> Result<(), QueryError> {
        self.serf.query(&mut self.parts.cx(), &mut self.swim, CommandId(command), query)
    }

    pub(in crate::serf) fn receive(&mut self, message: &[u8]) {
        self.serf.begin_packet();
        self.serf.handle_message(&mut self.parts.cx(), &mut self.swim, message);
    }

    pub(in crate::serf) fn answers(&mut self) -> Vec<(u64, Answer)> {
        core::iter::from_fn(|| self.serf.poll_answer()).map(|(command, answer)| (command.0, answer)).collect()
    }

    /// What went straight to somebody.
    pub(in crate::serf) fn sent(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let outbox = &mut self.parts.outbox;
        let mut sent = Vec::new();
        while let Some(outgoing) = outbox.pop() {
            if let Outgoing::User { to } = outgoing {
                sent.push((to, outbox.take_user().unwrap()));
            }
        }
        sent
    }

    /// The queries that wait to be gossiped.
    pub(in crate::serf) fn gossiped(&mut self) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        self.serf.queries.broadcasts.fill(1, 65_536, |body| {
            said.push(body.to_vec());
            65_536
        });
        said
    }

    fn event(&mut self) -> Option<QueryId> {
        match self.serf.poll_event() {
            Some(Event::Query { id, .. }) => Some(id),
            None => None,
            Some(other) => panic!("{other:?}"),
        }
    }

    /// The time and the identifier of the last query of ours.
    pub(in crate::serf) fn running(&self) -> (LamportTime, u32) {
        *self.serf.queries.running.keys().next_back().unwrap()
    }

    fn respond(&mut self, id: QueryId, payload: &[u8]) -> Result<(), RespondError> {
        self.serf.respond(&mut self.parts.cx(), &mut self.swim, id, payload)
    }
}

/// As `b` asks.
pub(in crate::serf) fn asked(ltime: u64, id: u32) -> serf::Query<'static, Vec<Vec<u8>>> {
    serf::Query {
        ltime: LamportTime(ltime),
        id,
        ip: Some(address(2).ip()),
        port: address(2).port(),
        source_node: b"b",
        filters: Vec::new(),
        flags: 0,
        relay_factor: 0,
        timeout: 5_000_000_000,
        name: b"load",
        payload: None,
    }
}

pub(in crate::serf) fn encoded(query: &serf::Query<'_, Vec<Vec<u8>>>) -> Vec<u8> {
    let mut message = Vec::new();
    Codec::Native.encode_serf_query(query, &mut message);
    message
}

pub(in crate::serf) fn response(to: (LamportTime, u32), from: &str, flags: u32, payload: &[u8]) -> Vec<u8> {
    let payload = (flags == 0).then_some(Bytes::from(payload));
    let response = QueryResponse { ltime: to.0, id: to.1, from: from.as_bytes(), flags, payload };
    let mut message = Vec::new();
    Codec::Native.encode_serf_query_response(&response, &mut message);
    message
}

fn nodes(names: &[&str]) -> Vec<u8> {
    let mut filter = Vec::new();
    Codec::Native.encode_node_filter(names, &mut filter);
    filter
}

fn tag(tag: &str, expr: &str) -> Vec<u8> {
    let mut filter = Vec::new();
    Codec::Native.encode_tag_filter(tag.as_bytes(), expr.as_bytes(), &mut filter);
    filter
}

/// Which queries an application hears of, and which are passed on.
#[test]
fn queries_are_heard_once() {
    let mut scene = Scene::new();
    scene.serf.queries.min_time = LamportTime(3);
    assert!(scene.serf.query_clock.witness(LamportTime(1000)));
    #[rustfmt::skip]
    let table = [
        // time, id, flags,               heard, passed on
        (1001, 7, 0,                  true,  true),
        (1001, 7, 0,                  false, false), // again
        (1001, 8, 0,                  true,  true),  // another of the same time
        (1002, 9, flag::NO_BROADCAST, true,  false),
        (500,  1, 0,                  true,  true),
        (1003, 1, 0,                  true,  true),  // now 1004, 512 more than 492
        (492,  1, 0,                  true,  true),
        (491,  1, 0,                  false, false), // too old to know
        (2,    1, 0,                  false, false), // from before our time
    ];
    for (ltime, id, flags, heard, again) in table {
        let query = encoded(&serf::Query { flags, ..asked(ltime, id) });
        scene.receive(&query);
        assert_eq!(scene.event().is_some(), heard, "{ltime} {id}");
        assert_eq!(scene.gossiped(), Vec::from_iter(again.then_some(query)), "{ltime} {id}");
        assert_eq!(scene.sent(), []);
    }
    assert_eq!(scene.parts.stats.serf_messages_received, 9);
    assert_eq!(scene.parts.stats.queries, 6);
    assert_eq!(scene.parts.stats.queries_old, 1);
    assert_eq!(scene.serf.query_clock.time(), LamportTime(1004));

    let mut scene = Scene::new();
    scene.serf.queries.min_time = LamportTime(3);
    for (ltime, heard) in [(2, false), (3, true), (4, true)] {
        scene.receive(&encoded(&asked(ltime, 1)));
        assert_eq!(scene.event().is_some(), heard, "{ltime}");
    }
}

#[test]
fn filters_must_all_pass() {
    #[rustfmt::skip]
    let table = [
        // filters                                                       passes  counted
        (vec![],                                                         true,   0),
        (vec![nodes(&["x", "me"])],                                      true,   0),
        (vec![nodes(&["Me", "m"])],                                      false,  0), // exactly
        (vec![nodes(&["me"]), tag("role", "^db-[0-9]$")],                true,   0),
        (vec![nodes(&["me"]), tag("role", "^web")],                      false,  0),
        (vec![tag("role", "b")],                                         true,   0), // not anchored
        (vec![tag("missing", "^$")],                                     true,   0),
        (vec![tag("role", "(")],                                         false,  1),
        (vec![vec![]],                                                   false,  1),
        (vec![vec![9, 9]],                                               false,  1),
        (vec![tag("role", &"d?".repeat(512))],                           true,   0),
        (vec![tag("role", &"d?".repeat(512)), tag("role", ".")],         false,  1), // more than there may be
    ];
    for (filters, passes, counted) in table {
        let mut scene = Scene::new();
        let query = encoded(&serf::Query { flags: flag::ACK, filters: filters.clone(), ..asked(1, 1) });
        scene.receive(&query);
        assert_eq!(scene.event().is_some(), passes, "{filters:?}");
        assert_eq!(scene.sent().len(), usize::from(passes), "an ack, or none: {filters:?}");
        assert_eq!(scene.gossiped(), [query], "whomever it is for");
        assert_eq!(scene.parts.stats.query_filters_invalid, counted, "{filters:?}");
    }
}

#[test]
fn acks_and_answers_go_straight_to_the_asker() {
    let mut scene = Scene::new();
    scene.receive(&encoded(&serf::Query { flags: flag::ACK, ..asked(4, 7) }));
    let to = (LamportTime(4), 7);
    assert_eq!(scene.sent(), [(address(2), response(to, "me", flag::ACK, b""))]);
    let id = scene.event().unwrap();
    assert_eq!(scene.respond(id, b"12"), Ok(()));
    assert_eq!(scene.sent(), [(address(2), response(to, "me", 0, b"12"))]);
    assert_eq!(scene.respond(id, b"13"), Err(RespondError::AlreadySent));
    assert_eq!(scene.respond(QueryId(99), b""), Err(RespondError::PastDeadline));

    // An asker that says no address, or one that is none, hears nothing.
    for (ip, port) in [(None, 7946), (Some(address(2).ip()), 0), (Some([0, 0, 0, 0].into()), 7946)] {
        let mut scene = Scene::new();
        scene.receive(&encoded(&serf::Query { flags: flag::ACK, ip, port, ..asked(4, 7) }));
        assert_eq!(scene.sent(), []);
        assert_eq!(scene.parts.stats.refused_addresses, 1);
    }
}

#[test]
fn answers_have_a_limit_and_a_deadline() {
    let mut scene = Scene::new();
    scene.receive(&encoded(&asked(4, 7)));
    let id = scene.event().unwrap();
    let Err(RespondError::TooLarge { len, max: 1024 }) = scene.respond(id, &[0; 1100]) else { panic!() };
    let fits = 1100 - (len - 1024);
    assert_eq!(scene.respond(id, &vec![0; fits + 1]), Err(RespondError::TooLarge { len: 1025, max: 1024 }));
    assert_eq!(scene.respond(id, &vec![0; fits]), Ok(()));
    let error = scene.respond(id, &[0; 1100]).unwrap_err();
    assert_eq!(error.to_string(), "response exceeds limit of 1024 bytes", "before it is looked at whether we did");
    assert_eq!(RespondError::AlreadySent.to_string(), "response already sent");

    scene.receive(&encoded(&asked(5, 7)));
    let id = scene.event().unwrap();
    scene.parts.now += Duration::from_secs(5);
    let late = scene.respond(id, b"").unwrap_err();
    assert_eq!(late.to_string(), "response is past the deadline");
    for id in [1, 2] {
        let armed = scene.parts.timers.deadline(Timer::PendingQuery(QueryId(id)));
        assert_eq!(armed, Some(scene.parts.now));
    }
    scene.serf.on_pending_query_timeout(QueryId(2));
    assert_eq!(scene.serf.queries.pending.len(), 1);

    // A deadline in the past, or in centuries.
    for (id, timeout) in [(0, 0), (1, -1), (2, i64::MIN)] {
        scene.receive(&encoded(&serf::Query { timeout, ..asked(6, id) }));
        let id = scene.event().unwrap();
        assert_eq!(scene.respond(id, b""), Err(RespondError::PastDeadline));
        assert_eq!(scene.serf.queries.pending.len(), 1, "it is not kept");
    }
    scene.receive(&encoded(&serf::Query { timeout: i64::MAX, ..asked(7, 1) }));
    let id = scene.event().unwrap();
    assert_eq!(scene.respond(id, b""), Ok(()));
}

#[test]
fn queries_that_wait_are_bounded() {
    let mut scene = Scene::new();
    let per_time = SAME_TIME_MAX as u64;
    for n in 0..PENDING_MAX as u64 + 1 {
        scene.receive(&encoded(&asked(1 + n / per_time, n as u32)));
    }
    assert_eq!(scene.serf.queries.pending.len(), PENDING_MAX);
    assert_eq!(scene.parts.stats.queries_over_limit, 1);
    assert_eq!(scene.respond(QueryId(1), b""), Err(RespondError::PastDeadline), "the oldest");
    assert_eq!(scene.respond(QueryId(2), b""), Ok(()));
    for n in 0..per_time + 1 {
        scene.receive(&encoded(&asked(100, n as u32)));
    }
    assert_eq!(scene.parts.stats.queries_over_limit, 1 + per_time + 1, "one more of the same time is not heard");
}

/// The longest that is listened to, one byte more, and where longer ones are asked.
#[test]
fn overlong_queries_are_not_heard() {
    let empty = encoded(&serf::Query { payload: Some(Bytes::from(&[0; 1000][..])), ..asked(1, 1) }).len() - 1000;
    for (limit, len, heard) in
        [(1024, 9216, true), (1024, 9217, false), (10_000, 10_000, true), (10_000, 10_001, false)]
    {
        let mut scene = Scene::new();
        scene.serf.config.query_size_limit = limit;
        let payload = vec![0; len - empty];
        let query = encoded(&serf::Query { payload: Some(Bytes::from(&*payload)), ..asked(1, 1) });
        assert_eq!(query.len(), len);
        scene.receive(&query);
        assert_eq!(scene.event().is_some(), heard, "{len} of {limit}");
        assert_eq!(scene.parts.stats.queries_over_limit, u64::from(!heard));
    }
}

#[test]
fn each_member_answers_once() {
    let mut scene = Scene::new();
    scene.meet(2);
    let query = Query { name: b"load", request_ack: true, filter_nodes: &[b"b", b"c"], ..Query::default() };
    scene.ask(1, &query).unwrap();
    assert_eq!(scene.event(), None, "we are not asked");
    let to = scene.running();
    let wrong = (to.0, to.1 ^ 1);
    for message in [
        response(to, "b", flag::ACK, b""),
        response(to, "b", flag::ACK, b""),
        response(to, "b", 0, b"x"),
        response(to, "b", 0, b"y"),
        response(to, "c", 0, b""),
        response(wrong, "c", flag::ACK, b""),
        response((LamportTime(77), to.1), "c", flag::ACK, b""),
    ] {
        scene.receive(&message);
    }
    let (ack, say) = (
        |from: &str| Answer::Ack { from: from.into() },
        |from: &str, payload: &[u8]| Answer::Response { from: from.into(), payload: payload.into() },
    );
    assert_eq!(scene.answers(), [(1, ack("b")), (1, say("b", b"x")), (1, say("c", b""))]);
    let stats = &scene.parts.stats;
    assert_eq!((stats.query_acks, stats.query_responses), (1, 2));
    assert_eq!((stats.query_duplicate_acks, stats.query_duplicate_responses), (1, 1));
    assert_eq!(stats.query_responses_unmatched, 2);

    // At the deadline, before the timer has been looked at, and after it.
    scene.parts.now += Duration::from_millis(3200);
    scene.receive(&response(to, "c", flag::ACK, b""));
    assert_eq!(scene.parts.timers.pop_due(scene.parts.now).map(|_| ()), Some(()));
    scene.serf.on_query_timeout(&mut scene.parts.cx(), &mut scene.swim, to.0, to.1);
    scene.serf.on_query_timeout(&mut scene.parts.cx(), &mut scene.swim, to.0, to.1);
    scene.receive(&response(to, "c", flag::ACK, b""));
    assert_eq!(scene.answers(), [(1, Answer::Done)], "once");
    assert_eq!(scene.parts.stats.query_responses_unmatched, 4);

    // No acks for who wants none, and no more answers than there can be members.
    scene.ask(2, &Query { request_ack: false, ..query }).unwrap();
    let to = scene.running();
    scene.receive(&response(to, "b", flag::ACK, b""));
    assert_eq!(scene.parts.stats.query_responses_unmatched, 5);
    for (others, most) in [(2, ANSWERS_MAX_MIN), (7, ANSWERS_MAX_MIN), (8, 18)] {
        let mut scene = Scene::new();
        scene.meet(others);
        scene.ask(1, &Query { name: b"load", ..Query::default() }).unwrap();
        scene.answers();
        let to = scene.running();
        for n in 0..=most {
            scene.receive(&response(to, &n.to_string(), 0, b""));
        }
        assert_eq!(scene.answers().len(), most);
        assert_eq!(scene.parts.stats.query_responses_over_limit, 1);
    }
}

/// The longest answer that is taken, one byte more, and where longer ones are given.
#[test]
fn overlong_answers_are_not_heard() {
    for (limit, len, heard) in
        [(1024, 9216, true), (1024, 9217, false), (10_000, 10_000, true), (10_000, 10_001, false)]
    {
        let mut scene = Scene::new();
        scene.serf.config.query_response_size_limit = limit;
        scene.ask(1, &Query { name: b"load", filter_nodes: &[b"b"], ..Query::default() }).unwrap();
        let to = scene.running();
        let rest = response(to, "b", 0, &[0; 1000]).len() - 1000;
        let answer = response(to, "b", 0, &vec![0; len - rest]);
        assert_eq!(answer.len(), len);
        scene.receive(&answer);
        assert_eq!(scene.answers().len(), usize::from(heard), "{len} of {limit}");
        assert_eq!(scene.parts.stats.query_responses_over_limit, u64::from(!heard));
    }
}

/// As many as the bound says may run, however long; one more ends the oldest of the application's.
#[test]
fn queries_that_run_are_bounded() {
    let mut scene = Scene::new();
    scene.swim.handle_alive(&mut scene.parts.cx(), &alive("b", 1, address(2), b""), Origin::Exchange);
    let long = Query { timeout: Some(Duration::MAX), filter_nodes: &[b"b"], ..Query::default() };
    let keys = Asker::Keys { command: CommandId(0), members: 2, changes: true };
    scene.serf.ask(&mut scene.parts.cx(), &mut scene.swim, &long, keys).unwrap();
    for command in 1..RUNNING_MAX as u64 {
        scene.ask(command, &long).unwrap();
    }
    assert_eq!((scene.answers(), scene.serf.queries.running.len()), (vec![(0, Answer::Members(2))], RUNNING_MAX));
    assert_eq!(scene.parts.stats.queries_over_limit, 0);
    scene.ask(9999, &long).unwrap();
    assert_eq!((scene.answers(), scene.serf.queries.running.len()), (vec![(1, Answer::Done)], RUNNING_MAX));
    assert_eq!(scene.parts.stats.queries_over_limit, 1);
    scene.serf.queries.check(&scene.parts.timers);

    scene.serf.queries.running.values_mut().for_each(|running| running.asker = keys);
    assert_eq!(scene.ask(10_000, &long), Err(QueryError::Busy), "not those that nobody may end");
    assert_eq!(scene.serf.queries.running.len(), RUNNING_MAX);
}

/// An answer that is to be passed on is no longer than any that is given, or than a packet holds.
#[test]
fn overlong_answers_are_not_relayed() {
    for (limit, packet, len, passed) in
        [(100, 200, 200, true), (100, 200, 201, false), (300, 200, 300, true), (300, 200, 301, false)]
    {
        let mut scene = Scene::new();
        scene.serf.config.query_response_size_limit = limit;
        scene.serf.set_message_len_max(packet);
        let destination = Destination { ip: Some(address(9).ip()), port: 7946, zone: b"" };
        let mut message = Vec::new();
        Codec::Native.encode_serf_relay(&Relay { destination, name: b"b", inner: &vec![5; len] }, &mut message);
        scene.receive(&message);
        assert_eq!(scene.sent().len(), usize::from(passed), "{len} of {limit} and {packet}");
        assert_eq!(scene.parts.stats.messages_malformed, u64::from(!passed));
    }
}

/// Of one packet so many are heard, and the first is answered by way of others; the rest may come once more.
#[test]
fn the_queries_of_one_packet_are_bounded() {
    let mut scene = Scene::new();
    scene.meet(3);
    let queries: Vec<_> =
        (0..20).map(|id| encoded(&serf::Query { flags: flag::ACK, relay_factor: 2, ..asked(4, id) })).collect();
    for (heard, refused, sent) in [(16, 4, 16 + 2), (4, 0, 4 + 2), (0, 0, 0)] {
        let before = scene.parts.stats.clone();
        scene.serf.begin_packet();
        for query in &queries {
            scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, query);
        }
        assert_eq!(core::iter::from_fn(|| scene.event()).count(), heard);
        assert_eq!(scene.parts.stats.requests_over_limit - before.requests_over_limit, refused);
        assert_eq!(scene.sent().len(), sent);
    }
    // Who wants no relays does not take them from others, and nobody gets more than so many.
    scene.meet(40);
    for (factors, sent) in [(&[0, 3, 3][..], 3 + 3), (&[20, 1], 2 + 16)] {
        scene.serf.begin_packet();
        for (id, relay_factor) in (100 * factors.len() as u32..).zip(factors) {
            let query = serf::Query { flags: flag::ACK, relay_factor: *relay_factor, ..asked(5, id) };
            scene.serf.handle_message(&mut scene.parts.cx(), &mut scene.swim, &encoded(&query));
        }
        assert_eq!(scene.sent().len(), sent, "{factors:?}");
        while scene.event().is_some() {}
    }
    // Ours are no part of anything.
    for command in 0..20 {
        scene.ask(command, &Query::default()).unwrap();
    }
    assert_eq!(core::iter::from_fn(|| scene.event()).count(), 20);
}

/// So many expressions at once, and then so many a second. Filters without any are not counted.
#[test]
fn expressions_to_compile_are_bounded() {
    let mut scene = Scene::new();
    let hear = |scene: &mut Scene, ids: core::ops::Range<u32>, filters: &[Vec<u8>]| {
        for id in ids {
            scene.receive(&encoded(&serf::Query { filters: filters.to_vec(), ..asked(4 + u64::from(id / 50), id) }));
        }
        core::iter::from_fn(|| scene.event()).count()
    };
    let expression = [nodes(&["me"]), tag("role", "^db-")];
    assert_eq!(hear(&mut scene, 0..70, &expression), 64);
    assert_eq!(scene.parts.stats.queries_over_limit, 6);
    assert_eq!(hear(&mut scene, 100..110, &[nodes(&["me"])]), 10);
    assert_eq!(hear(&mut scene, 200..210, &[nodes(&["other"]), tag("role", "^db-")]), 0);
    scene.parts.now += Duration::from_millis(500);
    assert_eq!(hear(&mut scene, 300..340, &expression), 32);
    scene.parts.now += Duration::from_secs(3600);
    assert_eq!(hear(&mut scene, 400..500, &expression), 64);
    assert_eq!(scene.parts.stats.queries_over_limit, 6 + 8 + 36);
    assert_eq!(scene.parts.stats.query_filters_invalid, 0);

    // One that folds a class that is not ASCII costs as much as nine, and one that does so eight times is never compiled.
    let folding = |times| [tag("role", &(String::from("(?i)") + &r"[d\W]".repeat(times)))];
    scene.parts.now += Duration::from_secs(3600);
    assert_eq!(hear(&mut scene, 500..510, &folding(1)), 7);
    assert_eq!(scene.parts.stats.queries_over_limit, 6 + 8 + 36 + 3);
    scene.parts.now += Duration::from_secs(3600);
    assert_eq!(hear(&mut scene, 600..601, &folding(8)), 0);
    assert_eq!((scene.parts.stats.queries_over_limit, scene.parts.stats.query_filters_invalid), (6 + 8 + 36 + 3, 1));
}

/// However many somebody wants passed on before we come to send anything.
#[test]
fn messages_that_wait_to_be_sent_are_bounded() {
    let mut scene = Scene::new();
    let destination = Destination { ip: Some(address(9).ip()), port: 7946, zone: b"" };
    let mut message = Vec::new();
    Codec::Native.encode_serf_relay(&Relay { destination, name: b"b", inner: b"\x05x" }, &mut message);
    for (more, over) in [(1024, 0), (1, 1), (2, 3)] {
        (0..more).for_each(|_| scene.receive(&message));
        assert_eq!(scene.parts.stats.user_messages_over_limit, over);
    }
    assert_eq!(scene.sent().len(), 1024);
    scene.receive(&message);
    assert_eq!((scene.sent().len(), scene.parts.stats.user_messages_over_limit), (1, 3));
}

/// The asker is one of those asked; nothing of that goes through the network.
#[test]
fn we_answer_ourselves() {
    let mut scene = Scene::new();
    scene.ask(1, &Query { name: b"load", payload: Some(b"now"), request_ack: true, ..Query::default() }).unwrap();
    assert_eq!(scene.answers(), [(1, Answer::Ack { from: "me".into() })]);
    let deadline = scene.parts.now + Duration::from_millis(3200);
    let Some(Event::Query { id, ltime, from, name, payload, deadline: until }) = scene.serf.poll_event() else {
        panic!()
    };
    assert_eq!((ltime, from, name, &*payload), (LamportTime(1), "me".into(), "load".into(), &b"now"[..]));
    assert_eq!(until, deadline);
    scene.respond(id, b"12").unwrap();
    assert_eq!(scene.answers(), [(1, Answer::Response { from: "me".into(), payload: (*b"12").into() })]);
    assert_eq!(scene.sent(), []);
    assert_eq!(scene.serf.query_clock.time(), LamportTime(2));
    // What is gossiped is heard again, and known.
    let gossiped = scene.gossiped();
    scene.receive(&gossiped[0]);
    assert_eq!(scene.event(), None);
}

/// serf-layer.md 10.1: the wait grows with the digits of the cluster's size.
#[test]
fn timeouts_follow_the_cluster() {
    #[rustfmt::skip]
    let table = [
        (SwimConfig::lan(),   0,  3200),
        (SwimConfig::lan(),   8,  3200),
        (SwimConfig::lan(),   9,  6400),
        (SwimConfig::local(), 1,  1600),
        (SwimConfig::wan(),   1,  8000),
        (SwimConfig::wan(),   20, 16000),
        (SwimConfig { gossip_interval: Duration::ZERO, ..SwimConfig::lan() }, 1, 3200),
        (SwimConfig { gossip_interval: Duration::MAX, ..SwimConfig::lan() }, 1, u64::MAX),
    ];
    for (config, others, millis) in table {
        let mut scene = Scene::with(config);
        scene.meet(others);
        scene.ask(1, &Query { timeout: Some(Duration::ZERO), ..Query::default() }).unwrap();
        let (ltime, id) = scene.running();
        let deadline = scene.parts.timers.deadline(Timer::Query(ltime, id));
        assert_eq!(deadline, Some(scene.parts.now + Duration::from_millis(millis)), "{others}");
    }
    let mut scene = Scene::new();
    scene.ask(1, &Query { timeout: Some(Duration::from_secs(7)), ..Query::default() }).unwrap();
    let (ltime, id) = scene.running();
    assert!(id < 1 << 31);
    assert_eq!(scene.parts.timers.deadline(Timer::Query(ltime, id)), Some(scene.parts.now + Duration::from_secs(7)));
}

#[test]
fn questions_have_a_limit() {
    let mut scene = Scene::new();
    let error = scene.ask(1, &Query { payload: Some(&[0; 1024]), ..Query::default() }).unwrap_err();
    assert_eq!(error.to_string(), "query exceeds limit of 1024 bytes");
    let QueryError::TooLarge { len, .. } = error else { panic!() };
    let fits = 1024 - (len - 1024);
    assert!(scene.ask(1, &Query { payload: Some(&vec![0; fits + 1]), ..Query::default() }).is_err());
    assert_eq!((scene.answers(), scene.gossiped().len(), scene.event()), (vec![], 0, None), "nothing was asked");
    scene.ask(1, &Query { payload: Some(&vec![0; fits]), ..Query::default() }).unwrap();
    scene.serf.config.protocol = 3;
    assert_eq!(scene.ask(2, &Query::default()).unwrap_err().to_string(), "Feature not supported");
}

/// All clocks stand still at the end of time. Queries go on.
#[test]
fn the_last_time_is_no_end() {
    let mut scene = Scene::new();
    scene.receive(&encoded(&asked(u64::MAX, 1)));
    for command in [1, 2] {
        scene.ask(command, &Query { request_ack: true, ..Query::default() }).unwrap();
        assert_eq!(scene.answers(), [(command, Answer::Ack { from: "me".into() })]);
    }
    assert_eq!(scene.serf.queries.running.len(), 2);
}

/// serf-layer.md 10.4, at the one who answers.
#[test]
fn answers_are_relayed_through_others() {
    let wrapped = |inner: &[u8]| {
        let destination = Destination { ip: Some(address(2).ip()), port: address(2).port(), zone: b"" };
        let mut message = Vec::new();
        Codec::Native.encode_serf_relay(&Relay { destination, name: b"b", inner }, &mut message);
        message
    };
    for (others, relay_factor, relays) in [(3, 0, 0), (3, 2, 2), (3, 3, 3), (3, 4, 0), (1, 1, 1)] {
        let mut scene = Scene::new();
        scene.meet(others);
        scene.receive(&encoded(&serf::Query { flags: flag::ACK, relay_factor, ..asked(4, 7) }));
        let ack = response((LamportTime(4), 7), "me", flag::ACK, b"");
        let mut sent = scene.sent();
        assert_eq!(sent.remove(0), (address(2), ack.clone()), "straight as well");
        assert_eq!(sent.len(), relays, "{relay_factor} of {others}");
        let mut to: Vec<_> = sent.iter().map(|(to, _)| *to).collect();
        to.sort_unstable();
        to.dedup();
        assert_eq!(to.len(), relays, "each another one");
        assert!(sent.iter().all(|(_, message)| *message == wrapped(&ack)));
    }

    // Not through members that would not understand, nor through those that are not there.
    let mut scene = Scene::new();
    scene.meet(3);
    let id = scene.parts.roster.find(b"c").unwrap();
    let mut old = versions();
    old.protocol.max = 4;
    scene.parts.roster.set_versions(id, old);
    let id = scene.parts.roster.find(b"d").unwrap();
    scene.serf.records.set_status(id, Status::Leaving);
    scene.receive(&encoded(&serf::Query { relay_factor: 3, ..asked(4, 7) }));
    let id = scene.event().unwrap();
    scene.respond(id, b"x").unwrap();
    let to: Vec<_> = scene.sent().iter().map(|(to, _)| *to).collect();
    assert_eq!(to, [address(2), address(2)], "straight, and relayed by the asker itself");
    assert_eq!(versions().protocol.max, 5);

    // Too long with its wrapping: it goes straight only, and may be tried again.
    scene.receive(&encoded(&serf::Query { relay_factor: 1, ..asked(5, 7) }));
    let id = scene.event().unwrap();
    let overhead = wrapped(&response((LamportTime(5), 7), "me", 0, &[0; 900])).len() - 900;
    let longest = 1024 - overhead;
    for len in [1000, longest + 1] {
        let error = scene.respond(id, &vec![0; len]).unwrap_err();
        assert_eq!(error.to_string(), "relayed response exceeds limit of 1024 bytes");
        assert_eq!(scene.sent().len(), 1);
    }
    assert_eq!(scene.respond(id, &vec![0; longest]), Ok(()));
    assert_eq!(scene.sent().iter().map(|(_, message)| message.len()).max(), Some(1024));
}

/// serf-layer.md 10.4, at the one in between.
#[test]
fn relays_pass_on_what_they_do_not_read() {
    #[rustfmt::skip]
    let table = [
        (Some([127, 0, 0, 9]), 7946, &b"\x05anything"[..], 1),
        (Some([0, 0, 0, 0]),   7946, b"\x05anything",      0),
        (None,                 7946, b"\x05anything",      0),
        (Some([127, 0, 0, 9]), 0,    b"\x05anything",      0),
        (Some([127, 0, 0, 9]), 7946, b"",                  0),
    ];
    for (ip, port, inner, passed) in table {
        let mut scene = Scene::new();
        let destination = Destination { ip: ip.map(IpAddr::from), port, zone: b"" };
        let mut message = Vec::new();
        Codec::Native.encode_serf_relay(&Relay { destination, name: b"b", inner }, &mut message);
        scene.receive(&message);
        assert_eq!(scene.sent(), vec![(address(9), inner.to_vec()); passed], "{ip:?} {port}");
        let stats = &scene.parts.stats;
        assert_eq!(stats.refused_addresses + stats.messages_malformed, 1 - passed as u64);
    }
}
