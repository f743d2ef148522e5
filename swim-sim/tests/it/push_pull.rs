//! The full state exchange and joining: `swim-state.md` section 10.

use std::collections::{BTreeMap, BTreeSet};

use swim_core::Instant;
use swim_core::ids::CommandId;
use swim_core::node::input::{CommandError, ExchangeError, Reply, StreamFailure};
use swim_core::swim::admission::{Admission, Candidate, Refusal};
use swim_core::versions::{VersionRange, Versions};
use swim_core::wire;
use swim_core::wire::codec::Codec;
use swim_core::wire::message::State;
use swim_sim::puppet::StreamNews;
use swim_sim::speech::VERSIONS;
use swim_sim::{EntrySaid, Puppet, Said, StreamSaid, TestNet, ms, secs};

const SEED: u64 = 10;

fn accepted(puppet: &Puppet) -> Vec<Instant> {
    let streams = puppet.streams().into_iter();
    streams.filter(|heard| matches!(heard.news, StreamNews::Accepted(_))).map(|heard| heard.at).collect()
}

/// A puppet that takes part in full state exchanges.
fn partner(net: &mut TestNet, name: &str) -> Puppet {
    let puppet = net.puppet(name);
    puppet.behave(|manner| (manner.listens, manner.push_pull) = (true, Some(ms(0))));
    puppet
}

/// A puppet dials `n1` with these entries; what it gets back, if anything.
fn exchange(net: &mut TestNet, puppet: &Puppet, join: bool, entries: Vec<EntrySaid>) -> Option<StreamSaid> {
    puppet.forget();
    net.dial(puppet, "n1", &StreamSaid::PushPull { join, entries, user_state: Vec::new() });
    net.run_for(ms(20));
    puppet.stream_messages().pop().map(|(_, said)| said)
}

fn entries_of(said: Option<StreamSaid>) -> BTreeMap<String, (Option<State>, u32)> {
    let Some(StreamSaid::PushPull { entries, .. }) = said else { panic!("{said:?} is no push/pull") };
    entries.into_iter().map(|entry| (entry.name, (entry.state, entry.incarnation))).collect()
}

fn outcome(net: &TestNet, command: CommandId) -> Vec<Reply> {
    net.replies("n1", command).into_iter().map(|(_, reply)| reply).collect()
}

/// The wait between two exchanges grows with the logarithm of the cluster's size, from 33 members on (swim-state 10.1,
/// column LAN).
#[test]
fn large_clusters_exchange_less_often() {
    #[rustfmt::skip]
    let table = [
        // n    seconds
        (2,     30),
        (32,    30),
        (33,    60),
        (64,    60),
        (65,    90),
        (129,  120),
    ];
    for (n, wait) in table {
        let mut net = TestNet::bench_with(SEED, |config| config.swim.push_pull_interval = secs(30));
        let puppets: Vec<Puppet> = (2..=n)
            .map(|i| {
                let puppet = net.member(&format!("m{i}"));
                puppet.behave(|manner| (manner.listens, manner.push_pull) = (true, Some(ms(0))));
                puppet
            })
            .collect();
        net.run_for(secs(61 + 4 * wait));
        let mut exchanges: Vec<Instant> = puppets.iter().flat_map(accepted).collect();
        exchanges.sort();
        let first = exchanges[0] - Instant::ZERO;
        assert!(first >= secs(30) && first <= secs(61), "a random delay, then one wait: {first:?}");
        assert!(exchanges.len() >= 4, "n = {n}: {exchanges:?}");
        for pair in exchanges.windows(2) {
            let gap = pair[1] - pair[0];
            assert!(gap >= secs(wait) && gap < secs(wait) + ms(100), "n = {n}: {gap:?}");
        }
        let flags: BTreeSet<bool> = puppets
            .iter()
            .flat_map(Puppet::stream_messages)
            .map(|(_, said)| matches!(said, StreamSaid::PushPull { join: true, .. }))
            .collect();
        assert_eq!(flags, BTreeSet::from([false]), "none of them is a join");
    }
}

/// Without an interval there are no exchanges of a node's own accord (swim-state 10.1).
#[test]
fn exchanges_can_be_turned_off() {
    let mut net = TestNet::bench(SEED);
    let b = net.member("b");
    b.behave(|manner| manner.listens = true);
    net.run_for(secs(300));
    assert_eq!(accepted(&b), []);
}

/// Where nodes begin is spread over one interval, so that a cluster started at once does not exchange at once; the first
/// wait comes on top (swim-state 10.1).
#[test]
fn the_first_exchange_is_spread_over_an_interval() {
    let mut firsts = BTreeSet::new();
    for seed in 0..20 {
        let mut net = TestNet::bench_with(seed, |config| config.swim.push_pull_interval = secs(30));
        let b = net.member("b");
        b.behave(|manner| manner.listens = true);
        net.run_for(secs(61));
        let first = accepted(&b).first().copied();
        firsts.insert(first.unwrap_or_else(|| panic!("seed {seed}: none within two intervals")));
    }
    assert_eq!(firsts.len(), 20);
    let (first, last) = (firsts.first().expect("20"), firsts.last().expect("20"));
    assert!(*last - *first > secs(15), "{firsts:?}");
    assert!(*first - Instant::ZERO >= secs(30), "{firsts:?}");
}

/// All records in all states are sent, our own included, and the state of the layer above; the reply repeats the join
/// flag and does not list the joiner yet (swim-state 10.2, 10.3 last but one paragraph; memberlist-wire 4.7).
#[test]
fn everything_is_sent_but_the_joiner_itself() {
    for codec in [Codec::Native, Codec::Serf] {
        let mut net = TestNet::bench_with(SEED, move |config| {
            if codec == Codec::Serf {
                config.wire = wire::Config::serf();
            }
        });
        let (a, b, c) = (net.member("a"), net.member("b"), net.member("c"));
        let d = net.member("d");
        net.tell(&a, "n1", a.alive(4));
        net.tell(&a, "n1", a.suspect("b", 2));
        net.tell(&a, "n1", a.dead("c", 3));
        net.tell(&a, "n1", d.dead("d", 1));
        let joiner = net.puppet("joiner");
        for join in [true, false] {
            let said = exchange(&mut net, &joiner, join, vec![joiner.entry(1, State::Alive)]);
            assert!(matches!(said, Some(StreamSaid::PushPull { join: repeated, .. }) if repeated == join));
            let Some(StreamSaid::PushPull { user_state, .. }) = &said else { unreachable!() };
            assert!(!user_state.is_empty());
            assert!(codec == Codec::Native || user_state[0] == 2, "Serf's kind byte");
            let mut expected = BTreeMap::from([
                ("n1".to_owned(), (Some(State::Alive), 1)),
                ("a".to_owned(), (Some(State::Alive), 4)),
                ("b".to_owned(), (Some(State::Suspect), 2)),
                ("c".to_owned(), (Some(State::Dead), 3)),
                ("d".to_owned(), (Some(State::Left), 1)),
            ]);
            if !join {
                expected.insert("joiner".to_owned(), (Some(State::Alive), 1));
            }
            assert_eq!(entries_of(said), expected, "{codec:?}, join {join}");
        }
        assert_eq!((b.stream_messages(), c.stream_messages()), (vec![], vec![]));
    }
}

/// What is received counts as follows: alive as an alive message; suspect and dead as a suspicion of ours, never as a
/// death; left as a leave; anything else as nothing. And what is not known cannot be accused (swim-state 10.3 step 3).
#[test]
fn received_states_count_as_messages() {
    #[rustfmt::skip]
    let table = [
        // received             known becomes             unknown becomes
        (Some(State::Alive),    Some((State::Alive,   3)), Some((State::Alive, 3))),
        (Some(State::Suspect),  Some((State::Suspect, 3)), None),
        (Some(State::Dead),     Some((State::Suspect, 3)), None),
        (Some(State::Left),     Some((State::Left,    3)), None),
    ];
    for (received, known, unknown) in table {
        let mut net = TestNet::bench(SEED);
        let (e, k, u, w) = (net.puppet("e"), net.member("k"), net.puppet("u"), net.member("w"));
        let entries = [&k, &u].map(|puppet| EntrySaid { state: received, ..puppet.entry(3, State::Alive) });
        exchange(&mut net, &e, false, Vec::from_iter(entries));
        assert_eq!(net.state_at("n1", "k"), known, "{received:?}");
        assert_eq!(net.state_at("n1", "u"), unknown, "{received:?}");
        net.run_for(secs(1));
        if known.is_some_and(|(state, _)| state == State::Suspect) {
            let ours = Said::Suspect { incarnation: 3, node: "k".to_owned(), from: "n1".to_owned() };
            let relayed = w.messages_where(|said| matches!(said, Said::Suspect { .. }));
            assert!(!relayed.is_empty());
            assert!(relayed.iter().all(|(_, said)| *said == ours), "{relayed:?}");
        }
    }
}

/// A state that is none of the four has no effect (swim-state 10.3 step 3, "other").
#[test]
fn an_unknown_state_has_no_effect() {
    let mut net = TestNet::bench(SEED);
    let (e, k) = (net.puppet("e"), net.member("k"));
    let strange = EntrySaid { state: None, ..k.entry(3, State::Alive) };
    exchange(&mut net, &e, false, vec![strange, e.entry(1, State::Alive)]);
    assert_eq!(net.state_at("n1", "k"), Some((State::Alive, 1)));
    assert_eq!(net.state_at("n1", "e"), Some((State::Alive, 1)), "the others stand");
}

/// Suspicion learned by an exchange is our own and confirms nothing, however often it is learned (swim-state 10.3,
/// below the table).
#[test]
fn suspicion_learned_by_exchange_confirms_nothing() {
    let mut net = TestNet::bench(SEED);
    let x = net.member("x");
    let others = ["a", "b", "c"].map(|name| net.member(name));
    for other in &others {
        let entry = x.entry(1, State::Suspect);
        exchange(&mut net, other, false, vec![other.entry(1, State::Alive), entry]);
    }
    assert_eq!(net.state_at("n1", "x"), Some((State::Suspect, 1)));
    assert_eq!(net.stats("n1").suspicions_confirmed, 0);
}

/// What an exchange says about ourselves is refuted like any other accusation (swim-state 10.3, below the table).
#[test]
fn entries_about_ourselves_are_refuted() {
    for (state, incarnation, becomes) in
        [(State::Suspect, 1, 2), (State::Dead, 6, 7), (State::Left, 6, 7), (State::Alive, 6, 7)]
    {
        let mut net = TestNet::bench(SEED);
        let e = net.puppet("e");
        let about_us = EntrySaid {
            name: "n1".to_owned(),
            address: net.address("n1"),
            meta: Vec::new(),
            incarnation,
            state: Some(state),
            versions: Some(VERSIONS),
        };
        exchange(&mut net, &e, false, vec![e.entry(1, State::Alive), about_us]);
        assert_eq!(net.state_at("n1", "n1"), Some((State::Alive, becomes)), "{state:?} at {incarnation}");
    }
}

/// One entry whose versions fit nobody aborts the whole merge. On the wire nothing is said of it: the acceptor has
/// answered by then (swim-state 10.3 step 1; memberlist-wire 10.2).
#[test]
fn versions_that_do_not_fit_abort_the_merge() {
    let range = |min, max, current| VersionRange { min, max, current };
    let with = |protocol, application| Some(Versions { protocol, application, features: 0 });
    let (p, a) = (VERSIONS.protocol, VERSIONS.application);
    #[rustfmt::skip]
    let table = [
        // state          versions                            merged
        (State::Alive,    Some(VERSIONS),                     true),
        (State::Alive,    with(range(3, 5, 3), a),            false), // we speak 2
        (State::Alive,    with(range(1, 1, 1), a),            false), // it knows 1 only
        (State::Alive,    with(range(1, 5, 6), a),            false), // it speaks what it does not know
        (State::Alive,    with(p, range(0, 0, 0)),            false), // not Serf
        (State::Alive,    with(p, range(2, 5, 4)),            true),
        (State::Dead,     with(range(3, 5, 3), a),            true),  // its range counts for the living only
        (State::Dead,     with(range(1, 5, 9), a),            false), // but what it speaks counts for all
        (State::Dead,     None,                               false),
    ];
    for (state, versions, merged) in table {
        let row = format!("{state:?}, {versions:?}");
        // We accept.
        let mut net = TestNet::bench_with(SEED, |config| config.wire = wire::Config::serf());
        let (e, x) = (net.puppet("e"), net.puppet("x"));
        let entries = vec![e.entry(1, State::Alive), EntrySaid { versions, ..x.entry(1, state) }];
        let reply = exchange(&mut net, &e, true, entries.clone());
        assert!(matches!(reply, Some(StreamSaid::PushPull { .. })), "{row}");
        assert_eq!(net.state_at("n1", "e").is_some(), merged, "accepting, {row}");

        // We dial.
        let mut net = TestNet::bench_with(SEED, |config| config.wire = wire::Config::serf());
        let e = partner(&mut net, "e");
        e.set_entries(entries, Vec::new());
        let command = net.join_at("n1", &[e.address()]);
        net.run_for(ms(100));
        let replies = outcome(&net, command);
        if merged {
            assert_eq!(replies, [Reply::SeedReached(e.address()), Reply::Done(Ok(()))], "{row}");
        } else {
            assert!(
                matches!(replies[..], [Reply::SeedFailed(at, ExchangeError::Merge(_)), Reply::Done(Err(CommandError::NoSeed))] if at == e.address()),
                "dialling, {row}: {replies:?}"
            );
            assert_eq!(net.state_at("n1", "e"), None, "dialling, {row}");
        }
    }
}

fn no_strangers(candidate: &Candidate<'_>) -> Result<(), Refusal> {
    if candidate.name.starts_with(b"stranger") { Err(Refusal("a stranger")) } else { Ok(()) }
}

/// In a join the application may refuse the whole exchange because of one entry; in a periodic exchange it refuses that
/// member alone (swim-state 10.3 step 2, 3.2 step 3).
#[test]
fn a_veto_refuses_the_whole_join() {
    for (join, merged) in [(true, false), (false, true)] {
        let mut net = TestNet::bench_with(SEED, |config| {
            config.admission = Some(Admission { name: "no-strangers", admit: no_strangers });
        });
        let (e, stranger) = (net.puppet("e"), net.puppet("stranger"));
        exchange(&mut net, &e, join, vec![e.entry(1, State::Alive), stranger.entry(1, State::Alive)]);
        assert_eq!(net.state_at("n1", "stranger"), None, "join: {join}");
        assert_eq!(net.state_at("n1", "e").is_some(), merged, "join: {join}");
    }
}

/// A join tells for each seed whether it was reached and why not, and succeeds if one was; it says `Join` on the wire
/// and brings ourselves along (swim-state 10.4).
#[test]
fn a_join_reports_on_every_seed() {
    let mut net = TestNet::bench(SEED);
    let (good, closing) = (partner(&mut net, "good"), net.puppet("closing"));
    closing.behave(|manner| (manner.listens, manner.hangs_up) = (true, true));
    let nobody = net.fresh_address();
    let command = net.join_at("n1", &[nobody, closing.address(), good.address()]);
    net.run_for(secs(1));
    let expected = [
        Reply::SeedFailed(nobody, ExchangeError::Stream(StreamFailure::Refused)),
        Reply::SeedFailed(closing.address(), ExchangeError::Closed),
        Reply::SeedReached(good.address()),
        Reply::Done(Ok(())),
    ];
    assert_eq!(outcome(&net, command), expected);
    assert_eq!(net.state_at("n1", "good"), Some((State::Alive, 1)));
    let said = good.stream_messages().pop().map(|(_, said)| said);
    assert!(matches!(said, Some(StreamSaid::PushPull { join: true, .. })));
    assert_eq!(entries_of(said), BTreeMap::from([("n1".to_owned(), (Some(State::Alive), 1))]));
}

/// A join that reaches nobody fails, and is not tried again (swim-state 10.4).
#[test]
fn a_join_that_reaches_nobody_fails() {
    let mut net = TestNet::bench(SEED);
    let seeds = [net.fresh_address(), net.fresh_address()];
    let command = net.join_at("n1", &seeds);
    net.run_for(secs(60));
    let replies = outcome(&net, command);
    let refused = |seed| Reply::SeedFailed(seed, ExchangeError::Stream(StreamFailure::Refused));
    assert_eq!(replies, [refused(seeds[0]), refused(seeds[1]), Reply::Done(Err(CommandError::NoSeed))]);
}

/// A seed that takes the call and says nothing, or cannot be reached at all, is given up after the stream timeout
/// (memberlist-wire 13).
#[test]
fn a_silent_seed_is_given_up_after_the_timeout() {
    for cut in [false, true] {
        let mut net = TestNet::bench(SEED);
        let silent = net.puppet("silent");
        silent.behave(|manner| manner.listens = true);
        if cut {
            let from = net.address("n1");
            net.cut(from, silent.address());
        }
        let asked = net.now();
        let command = net.join_at("n1", &[silent.address()]);
        net.run_for(secs(60));
        let replies = net.replies("n1", command);
        let [(_, Reply::SeedFailed(_, ExchangeError::TimedOut)), (at, Reply::Done(Err(CommandError::NoSeed)))] =
            replies[..]
        else {
            panic!("cut: {cut}, {replies:?}")
        };
        assert!((secs(10)..secs(11)).contains(&(at - asked)), "cut: {cut}, {replies:?}");
    }
}

/// Seeds are asked eight at a time, in their order: one that is silent holds nobody up. (memberlist asks one after the
/// other, swim-state 10.4; nothing on the wire depends on it.)
#[test]
fn eight_seeds_are_asked_at_a_time() {
    const SEEDS: usize = 20;
    let mut net = TestNet::bench(SEED);
    let seeds: Vec<Puppet> = (0..SEEDS).map(|i| partner(&mut net, &format!("s{i}"))).collect();
    for seed in &seeds {
        seed.behave(|manner| manner.push_pull = Some(secs(1)));
    }
    let silent = &seeds[3];
    silent.behave(|manner| manner.push_pull = None);
    let asked = net.now();
    let command = net.join_at("n1", &Vec::from_iter(seeds.iter().map(Puppet::address)));
    net.run_for(secs(60));
    // An exchange takes a second and three round trips at most; the silent one keeps its place for ten.
    let mut running = Vec::new();
    for (i, seed) in seeds.iter().enumerate() {
        let start = accepted(seed)[0];
        let end = start + if i == 3 { secs(10) } else { secs(1) };
        running.retain(|end| *end > start);
        running.push(end);
        assert!(running.len() <= 8, "{i}: {running:?}");
        assert!(start - asked < secs(3), "{i} waits for {:?}", start - asked);
    }
    let replies = net.replies("n1", command);
    assert_eq!(replies.len(), SEEDS + 1);
    let (done, last) = replies.last().expect("so many");
    assert_eq!(*last, Reply::Done(Ok(())));
    assert!(*done - asked < secs(11), "the silent one is all that was waited for");
    let failed: Vec<_> = replies.iter().filter(|(_, reply)| matches!(reply, Reply::SeedFailed(..))).collect();
    assert!(matches!(failed[..], [(_, Reply::SeedFailed(at, ExchangeError::TimedOut))] if *at == silent.address()));
}

/// The new member is spread by gossip alone: whoever accepted it tells the others (swim-state 10.4).
#[test]
fn a_new_member_is_spread_by_gossip() {
    let mut net = TestNet::lan(8, SEED).converged();
    net.start("n9");
    net.join("n9", "n1");
    let took = net.run_until(TestNet::all_agree, secs(10));
    assert!(took < secs(3), "{took:?}");
}

/// No join is needed to be found: who is told of a node has it as a member (swim-state 10.4).
#[test]
fn whoever_is_pushed_is_a_member() {
    let mut net = TestNet::bench(SEED);
    let (e, x) = (net.puppet("e"), net.puppet("x"));
    exchange(&mut net, &e, false, vec![x.entry(1, State::Alive)]);
    assert_eq!(net.state_at("n1", "x"), Some((State::Alive, 1)));
}

/// A message that comes in small pieces is put together, on both sides, in both encodings (memberlist-wire 4.7).
#[test]
fn pieces_are_put_together() {
    for codec in [Codec::Native, Codec::Serf] {
        for chunk in [1, 7, 100] {
            let mut net = TestNet::tuned(3, SEED, move |config| {
                if codec == Codec::Serf {
                    config.wire = wire::Config::serf();
                }
            });
            net.world_mut().set_stream_chunk(chunk);
            net.join("n2", "n1");
            net.run_for(secs(1));
            net.join("n3", "n2");
            net.run_until(TestNet::all_agree, secs(10));
            assert_eq!(net.stats("n1").push_pulls_failed, 0, "{codec:?} in pieces of {chunk}");
        }
    }
}

/// A stream that breaks off in the middle changes nothing (memberlist-wire 14).
#[test]
fn half_a_message_changes_nothing() {
    let mut net = TestNet::bench(SEED);
    net.world_mut().set_stream_chunk(20);
    let e = net.puppet("e");
    let entries = (0..20).map(|i| EntrySaid { name: format!("m{i}"), ..e.entry(1, State::Alive) }).collect();
    net.dial(&e, "n1", &StreamSaid::PushPull { join: true, entries, user_state: Vec::new() });
    // Opened after 2 ms, the first pieces are under way at the third; then the machine goes.
    net.run_for(ms(2));
    let (from, to) = (e.address(), net.address("n1"));
    net.cut(from, to);
    net.run_for(secs(30));
    assert_eq!(net["n1"].members().count(), 1);
    assert_eq!(e.stream_messages(), []);
}

/// So many streams are open at once and no more; the next one is closed without a word (memberlist-wire 13).
#[test]
fn too_many_streams_are_closed() {
    let mut net = TestNet::bench_with(SEED, |config| config.streams_max = 4);
    let puppets: Vec<Puppet> = (0..6).map(|i| net.puppet(&format!("p{i}"))).collect();
    let to = net.address("n1");
    for puppet in &puppets {
        net.world_mut().dial(puppet.host(), to);
    }
    net.run_for(ms(100));
    let failed =
        |puppet: &&Puppet| puppet.streams().iter().any(|heard| heard.news == StreamNews::Failed(StreamFailure::Reset));
    assert_eq!(puppets.iter().filter(failed).count(), 2);
    assert_eq!(net.stats("n1").streams_over_limit, 2);
    // Those that say nothing do not stay for ever.
    net.run_for(secs(15));
    let e = net.puppet("e");
    exchange(&mut net, &e, true, vec![e.entry(1, State::Alive)]);
    assert_eq!(net.state_at("n1", "e"), Some((State::Alive, 1)));
}

/// The interval is that of the profile (swim-state 10.1, other columns).
#[test]
fn each_profile_has_its_interval() {
    type Preset = fn(&str, core::net::SocketAddr) -> swim_core::Config;
    let table: [(Preset, u64); 2] =
        [(|name, at| swim_core::Config::wan(name, at), 60), (|name, at| swim_core::Config::local(name, at), 15)];
    for (preset, wait) in table {
        let mut net = TestNet::bench_preset(SEED, preset, move |config| {
            config.swim.push_pull_interval = secs(wait);
            assert_eq!(config.swim.push_pull_interval, preset("x", config.advertise).swim.push_pull_interval);
        });
        let b = net.member("b");
        b.behave(|manner| (manner.listens, manner.push_pull) = (true, Some(ms(0))));
        net.run_for(secs(5 * wait));
        for pair in accepted(&b).windows(2) {
            assert!((secs(wait)..secs(wait) + ms(100)).contains(&(pair[1] - pair[0])));
        }
        assert!(accepted(&b).len() >= 4);
    }
}

/// Entries count in the order in which they came (swim-state 10.3 step 3).
#[test]
fn entries_count_in_their_order() {
    let mut net = TestNet::bench(SEED);
    let (e, a, b) = (net.puppet("e"), net.puppet("a"), net.puppet("b"));
    let entries = vec![
        a.entry(3, State::Alive),
        a.entry(3, State::Suspect),
        b.entry(3, State::Suspect),
        b.entry(3, State::Alive),
    ];
    exchange(&mut net, &e, false, entries);
    assert_eq!(net.state_at("n1", "a"), Some((State::Suspect, 3)));
    assert_eq!(net.state_at("n1", "b"), Some((State::Alive, 3)));
}

/// What our own members speak counts as well: who would shut one of them out is not merged (swim-state 10.3 step 1;
/// memberlist-wire 10.2 step 2 "every own entry").
#[test]
fn own_members_count_in_the_version_check() {
    let range = |min, max, current| Some(Versions { protocol: VersionRange { min, max, current }, ..VERSIONS });
    for (theirs, merged) in [(range(3, 5, 3), false), (range(2, 5, 3), true)] {
        let mut net = TestNet::bench(SEED);
        let e = net.puppet("e");
        exchange(&mut net, &e, true, vec![EntrySaid { versions: theirs, ..e.entry(1, State::Alive) }]);
        assert_eq!(net.state_at("n1", "e").is_some(), merged, "{theirs:?}");
    }
    // A dead member that speaks what nobody else does blocks everybody.
    let mut net = TestNet::bench(SEED);
    let (e, odd) = (net.puppet("e"), net.puppet("odd"));
    net.tell(&odd, "n1", odd.alive_with(1, b"", range(1, 9, 8)));
    net.tell(&odd, "n1", e.dead("odd", 1));
    exchange(&mut net, &e, true, vec![e.entry(1, State::Alive)]);
    assert_eq!(net.state_at("n1", "e"), None);
}
