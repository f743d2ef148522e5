//! Intents to join and to leave in every order that gossip may bring them: `serf-layer.md` section 6.2. What a single
//! intent does to each status is in `serf.rs`.

use swim_core::serf::event::MemberEvent;
use swim_core::serf::member::Status;
use swim_core::wire;
use swim_core::wire::codec::Codec;
use swim_sim::{TestNet, ms, secs};

const SEED: u64 = 62;
const CODECS: [Codec; 2] = [Codec::Native, Codec::Serf];

/// Something that `n1` hears about `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// SWIM: it is there, with this incarnation.
    Alive(u32),
    /// SWIM: somebody found it dead at this incarnation.
    Dead(u32),
    /// SWIM: it has said goodbye at this incarnation.
    Gone(u32),
    /// It means to leave, at this member time.
    Leave(u64),
    /// It means to be a member, at this member time.
    Join(u64),
    /// Nothing, for so many seconds.
    Wait(u64),
}

use Step::{Alive, Dead, Gone, Join, Leave, Wait};

/// `n1` has heard all this, in this order, and what it now says of `x`: status, time of the last intent, events.
fn after(codec: Codec, steps: &[Step]) -> (Option<Status>, Option<u64>, Vec<MemberEvent>) {
    let mut net = TestNet::bench_with(SEED, move |config| {
        if codec == Codec::Serf {
            config.wire = wire::Config::serf();
        }
    });
    let (y, x) = (net.member("y"), net.puppet("x"));
    for step in steps {
        let said = match *step {
            Alive(incarnation) => x.alive(incarnation),
            Dead(incarnation) => y.dead("x", incarnation),
            Gone(incarnation) => x.dead("x", incarnation),
            Leave(time) => y.leave_intent("x", time),
            Join(time) => y.join_intent("x", time),
            Wait(seconds) => {
                net.run_for(secs(seconds));
                continue;
            }
        };
        net.tell(&y, "n1", said);
    }
    let time = net["n1"].member(b"x").map(|member| member.status_time().0);
    let events = net.member_events("n1", "x").into_iter().map(|(_, kind)| kind).collect();
    (net.status_at("n1", "x"), time, events)
}

fn permutations(steps: &[Step]) -> Vec<Vec<Step>> {
    let Some((first, rest)) = steps.split_first() else { return vec![vec![]] };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for place in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(place, *first);
            all.push(longer);
        }
    }
    all
}

/// While a member is there, the latest of its intents counts, in whatever order they come, however often each, and
/// whether before or after the member itself.
#[test]
fn the_latest_intent_counts_in_every_order() {
    #[rustfmt::skip]
    let table: [(&[Step], Status, u64); 5] = [
        (&[Alive(1), Leave(7), Join(6)],                     Status::Leaving, 7),
        (&[Alive(1), Leave(7), Join(8)],                     Status::Alive,   8),
        (&[Alive(1), Leave(7), Join(6), Join(8)],            Status::Alive,   8),
        (&[Alive(1), Leave(5), Join(6), Leave(7)],           Status::Leaving, 7),
        (&[Alive(1), Leave(7), Leave(7), Join(6), Join(6)],  Status::Leaving, 7),
    ];
    for codec in CODECS {
        for (steps, status, time) in table {
            for order in permutations(steps) {
                let expected = (Some(status), Some(time), vec![MemberEvent::Join]);
                assert_eq!(after(codec, &order), expected, "{order:?}, {codec:?}");
            }
        }
    }
}

/// Where the order makes a difference: equal times, departures in between, coming back.
#[test]
fn orders_that_matter() {
    use MemberEvent as E;
    #[rustfmt::skip]
    let table: [(&[Step], Status, u64, &[E]); 19] = [
        // Of two at one time the first counts.
        (&[Alive(1), Leave(7), Join(7)],                     Status::Leaving, 7, &[E::Join]),
        (&[Alive(1), Join(7), Leave(7)],                     Status::Alive,   7, &[E::Join]),
        (&[Leave(7), Join(7), Alive(1)],                     Status::Leaving, 7, &[E::Join]),
        (&[Join(7), Leave(7), Alive(1)],                     Status::Alive,   7, &[E::Join]),
        // Whether it left or failed is decided when it goes, or made up for by a leave that comes later.
        (&[Alive(1), Leave(7), Gone(1)],                     Status::Left,    7, &[E::Join, E::Leave]),
        (&[Alive(1), Gone(1), Leave(7)],                     Status::Left,    7, &[E::Join, E::Failed, E::Leave]),
        (&[Leave(7), Alive(1), Gone(1)],                     Status::Left,    7, &[E::Join, E::Leave]),
        (&[Alive(1), Join(8), Leave(7), Dead(1)],            Status::Failed,  8, &[E::Join, E::Failed]),
        (&[Alive(1), Leave(7), Join(8), Dead(1)],            Status::Failed,  8, &[E::Join, E::Failed]),
        (&[Alive(1), Leave(7), Dead(1), Join(8)],            Status::Left,    8, &[E::Join, E::Leave]),
        (&[Alive(1), Dead(1), Join(8), Leave(7)],            Status::Failed,  8, &[E::Join, E::Failed]),
        (&[Alive(1), Gone(1), Leave(7), Leave(7)],           Status::Left,    7, &[E::Join, E::Failed, E::Leave]),
        // It comes back: what was said of its earlier life is old, unless it was not heard then.
        (&[Alive(1), Leave(7), Gone(1), Alive(2)],           Status::Alive,   7, &[E::Join, E::Leave, E::Join]),
        (&[Alive(1), Leave(7), Gone(1), Alive(2), Leave(7)], Status::Alive,   7, &[E::Join, E::Leave, E::Join]),
        (&[Alive(1), Leave(7), Gone(1), Alive(2), Join(9), Leave(8)],
                                                             Status::Alive,   9, &[E::Join, E::Leave, E::Join]),
        (&[Alive(1), Gone(1), Alive(2), Leave(7)],           Status::Leaving, 7, &[E::Join, E::Failed, E::Join]),
        (&[Alive(1), Gone(1), Alive(2), Leave(7), Join(8)],  Status::Alive,   8, &[E::Join, E::Failed, E::Join]),
        // It leaves again, with a later intent, and fails without.
        (&[Alive(1), Leave(7), Gone(1), Alive(2), Leave(9), Gone(2)],
                                                             Status::Left,    9, &[E::Join, E::Leave, E::Join, E::Leave]),
        (&[Alive(1), Leave(7), Gone(1), Alive(2), Leave(6), Gone(2)],
                                                             Status::Failed,  7, &[E::Join, E::Leave, E::Join, E::Failed]),
    ];
    for codec in CODECS {
        for (steps, status, time, events) in table {
            let expected = (Some(status), Some(time), events.to_vec());
            assert_eq!(after(codec, steps), expected, "{steps:?}, {codec:?}");
        }
    }
}

/// What was said about somebody unknown counts for five minutes after it was last said anew; a repetition is not new
/// (serf-layer 6.2, upsert; 6.3). It is looked for every 15 seconds.
#[test]
fn intents_about_strangers_count_for_five_minutes() {
    #[rustfmt::skip]
    let table: [(&[Step], Status); 6] = [
        (&[Leave(7), Wait(299), Alive(1)],                       Status::Leaving),
        (&[Leave(7), Wait(316), Alive(1)],                       Status::Alive),
        (&[Leave(7), Wait(200), Leave(8), Wait(299), Alive(1)],  Status::Leaving),
        (&[Leave(7), Wait(200), Leave(7), Wait(116), Alive(1)],  Status::Alive),
        (&[Leave(7), Wait(200), Join(6), Wait(116), Alive(1)],   Status::Alive),
        (&[Join(8), Wait(316), Leave(7), Alive(1)],              Status::Leaving), // what was later is forgotten
    ];
    for codec in CODECS {
        for (steps, status) in table {
            assert_eq!(after(codec, steps).0, Some(status), "{steps:?}, {codec:?}");
        }
    }
}

/// Somebody spreads the word that a member leaves, which it does not: everybody hears of it, and soon after that it is
/// not so (serf-layer 6.2, row 3).
#[test]
fn a_false_leave_is_called_off_everywhere() {
    for codec in CODECS {
        let mut net = TestNet::tuned(12, SEED, move |config| {
            if codec == Codec::Serf {
                config.wire = wire::Config::serf();
            }
        });
        net = net.converged();
        let liar = net.puppet("liar");
        let time = net["n3"].summary().member_time.0;
        net.tell(&liar, "n9", liar.leave_intent("n3", time + 40));
        assert_eq!(net.status_at("n9", "n3"), Some(Status::Leaving));
        net.run_until(TestNet::all_agree, secs(20));
        net.run_for(secs(60));
        for name in net.names() {
            let member = net[name.as_str()].member(b"n3").expect("nobody is gone");
            assert_eq!((member.status(), member.status_time().0), (Status::Alive, time + 41), "{name}");
            assert_eq!(net.member_events(&name, "n3").len(), 1, "{name}: an intent is no event");
        }
    }
}

/// A member leaves, comes back as a new process that knows nothing of its earlier life, and leaves again: both times
/// everybody has it as left and not as failed, for its clock has passed what was said before (serf-layer 5, 7, 8). Not
/// looked at is what they were told on the way: now and then the intent comes after SWIM's goodbye (6.2, quirk).
#[test]
fn who_comes_back_can_leave_again() {
    for codec in CODECS {
        let mut net = TestNet::tuned(8, SEED, move |config| {
            if codec == Codec::Serf {
                config.wire = wire::Config::serf();
            }
        });
        net = net.converged();
        for life in 1..=3 {
            net.leave("n5");
            net.run_for(secs(15));
            net.crash("n5");
            for name in net.names() {
                assert_eq!(net.status_at(&name, "n5"), Some(Status::Left), "{name}, life {life}, {codec:?}");
            }
            net.run_for(secs(if life == 2 { 120 } else { 5 }));
            net.restart("n5");
            net.join("n5", "n2");
            net.run_until(TestNet::all_agree, secs(30));
            // What anybody still remembers of the leave does not count any more.
            net.run_for(secs(90));
            assert!(net.all_agree(), "life {life}, {codec:?}\n{net:?}");
        }
    }
}

/// An intent goes around a cluster once: repeated by somebody, it is news to nobody (serf-layer 6.2, rebroadcast).
#[test]
fn a_repeated_intent_is_not_passed_on() {
    let mut net = TestNet::lan(6, SEED).converged();
    let y = net.puppet("y");
    for (repetition, passed_on) in [(0, true), (1, false), (2, false)] {
        let sent = |net: &TestNet| net.names().iter().map(|name| net.stats(name).serf_messages_sent).sum::<u64>();
        let before = sent(&net);
        net.tell(&y, "n1", y.leave_intent("stranger", 70));
        net.run_for(secs(10));
        assert_eq!(sent(&net) > before, passed_on, "repetition {repetition}");
        assert!(net.names().iter().all(|name| net[name.as_str()].summary().member_time.0 == 71));
        net.run_for(ms(1));
    }
}
