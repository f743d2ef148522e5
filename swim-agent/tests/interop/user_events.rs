//! User events between HashiCorp's agents and the library: everybody hears of each once, and hears the same.

use core::slice;

use swim_tokio::swim_core::serf::config::Config;
use swim_tokio::{Options, UserEventError};

use crate::harness::{Agent, Kind, secs, wait_status, wait_until, wait_whole};
use crate::member::{Member, everybody, four_with};
use crate::monitor::{Heard, Monitor};

/// What the listeners of a cluster have heard, each in the order of the event clock.
struct Ears<'a> {
    monitors: Vec<Monitor<'a>>,
    members: Vec<&'a Member>,
}

impl Ears<'_> {
    fn heard(&self) -> Vec<Vec<Heard>> {
        let monitors = self.monitors.iter().map(Monitor::heard);
        let mut all: Vec<_> = monitors.chain(self.members.iter().map(|member| member.heard())).collect();
        all.iter_mut().for_each(|heard| heard.sort());
        all
    }

    fn wait_for(&self, name: &str) {
        wait_until(&format!("everybody hears {name}"), secs(20), || {
            let all = self.heard();
            let knows = |heard: &Vec<Heard>| heard.iter().any(|event| event.name == name);
            if all.iter().all(knows) { Ok(()) } else { Err(format!("heard so far: {all:?}")) }
        });
    }

    /// Ends the telling. What is held back for coalescing comes out in order, so whatever somebody was to be told of the
    /// events before, rightly or not, has been told when this one is.
    fn wait_for_the_end(&self, from: &Member) {
        from.cluster.user_event(b"end", None, false).expect("a short event");
        from.cluster.user_event(b"held-end", None, true).expect("a short event");
        self.wait_for("end");
        self.wait_for("held-end");
    }
}

/// The second member of ours coalesces as an agent does.
fn as_an_agent(options: &mut Options) {
    if options.config.name == "swim-b" {
        let Config { user_coalesce_period, user_quiescent_period, .. } = &mut options.config.serf;
        (*user_coalesce_period, *user_quiescent_period) = (secs(3), secs(1));
    }
}

fn event(agent: &Agent, args: &[&str]) {
    let output = agent.ask(Kind::Serf, "event", args);
    assert!(output.success, "event {args:?}: {}", output.stdout);
}

/// From either side, with and without the flag that allows to coalesce: name, payload, time and flag arrive as sent,
/// and nobody is told twice.
#[test]
fn each_is_heard_once_and_alike() {
    let (serfs, members) = four_with(&[], as_an_agent);
    let ears = Ears { monitors: serfs.iter().map(Monitor::start).collect(), members: members.iter().collect() };
    let binary: Vec<u8> = (0..=255).collect();
    let ours = [
        ("ours", Some(&b"now"[..]), false),
        ("ours-bytes", Some(&binary[..]), false),
        ("ours-held", Some(&b"later"[..]), true),
        ("ours-plain", None, false),
    ];
    let mut expected = Vec::new();
    for (member, (name, payload, coalesce)) in members.iter().cycle().zip(ours) {
        let ltime = member.cluster.user_event(name.as_bytes(), payload, coalesce).expect("a short event").0;
        let payload = payload.unwrap_or_default().to_vec();
        expected.push(Heard { ltime, name: name.to_owned(), payload, coalesce });
        // Everybody's clock has passed it then.
        ears.wait_for(name);
    }
    let theirs = [("theirs", "now", false), ("theirs-held", "later", true), ("theirs-plain", "", false)];
    for (serf, (name, payload, coalesce)) in serfs.iter().cycle().zip(theirs) {
        let ltime = serf.info("serf", "event_time").parse().expect("a number");
        event(serf, &[&format!("-coalesce={coalesce}"), name, payload]);
        expected.push(Heard { ltime, name: name.to_owned(), payload: payload.into(), coalesce });
        ears.wait_for(name);
    }
    ears.wait_for_the_end(&members[0]);
    for mut heard in ears.heard() {
        heard.retain(|event| !event.name.ends_with("end"));
        assert_eq!(heard, expected);
    }
}

/// Of several of one name that come close together and may be coalesced, the agents tell the last, and a member of ours
/// that is set up as they are the same one.
#[test]
fn coalesced_to_the_same_one() {
    let (serfs, members) = four_with(&[], as_an_agent);
    let ears = Ears { monitors: serfs.iter().map(Monitor::start).collect(), members: members.iter().collect() };
    let [plain, coalescing] = &members;
    let told = |from: &Member, payload: &[u8]| {
        let ltime = from.cluster.user_event(b"reload", Some(payload), true).expect("a short event").0;
        Heard { ltime, name: "reload".to_owned(), payload: payload.to_vec(), coalesce: true }
    };
    let all = [b"1", b"2", b"3"].map(|payload| told(plain, payload));
    ears.wait_for_the_end(plain);
    let only_reloads = |mut heard: Vec<Heard>| {
        heard.retain(|event| event.name == "reload");
        heard
    };
    assert_eq!(only_reloads(plain.heard()), all);
    let last = &all[2..];
    assert_eq!(only_reloads(coalescing.heard()), last);
    for monitor in &ears.monitors {
        assert_eq!(only_reloads(monitor.heard()), last);
    }
}

/// Both draw the line at the same byte, and what is just short enough gets across.
#[test]
fn the_longest_is_the_same_for_both() {
    let serf = Agent::start(Kind::Serf, "serf", &["-profile=local"]);
    let member = Member::start("swim", |_| ());
    member.join(&serf);
    wait_whole(&everybody(slice::from_ref(&serf), slice::from_ref(&member)), secs(20));
    let ears = Ears { monitors: vec![Monitor::start(&serf)], members: vec![&member] };

    let payload = "x".repeat(512);
    let refused = member.cluster.user_event(b"ours", Some(&payload.as_bytes()[..508]), false);
    let Err(UserEventError::TooLarge(too_large)) = refused else { panic!("{refused:?}") };
    assert!(too_large.encoded, "{too_large:?}");
    let longest = &payload[..508 - (too_large.len - too_large.max)];
    let longer = &payload[..longest.len() + 1];
    assert!(member.cluster.user_event(b"ours", Some(longer.as_bytes()), false).is_err());
    member.cluster.user_event(b"ours", Some(longest.as_bytes()), false).expect("just short enough");
    ears.wait_for("ours");

    // A name that is one byte longer.
    let (longest, longer) = (&longest[1..], &longer[1..]);
    let refused = serf.ask(Kind::Serf, "event", &["-coalesce=false", "their", longer]);
    assert!(!refused.success && refused.stdout.contains("after encoding"), "{}", refused.stdout);
    event(&serf, &["-coalesce=false", "their", longest]);
    ears.wait_for("their");
    for heard in ears.heard() {
        assert_eq!(
            heard.iter().map(|event| event.payload.len()).collect::<Vec<_>>(),
            [longest.len() + 1, longest.len()]
        );
    }
}

/// A member that joins is told what it has missed if it wants that, in either direction; if not, it is not.
#[test]
fn missed_events_are_replayed() {
    let ours = Member::start("swim", |_| ());
    let theirs = Agent::start(Kind::Serf, "serf", &["-profile=local"]);
    let ears = Ears { monitors: vec![Monitor::start(&theirs)], members: vec![&ours] };
    // At different times of the clock, so that neither side takes the other's for its own.
    for name in ["ours-1", "ours-2"] {
        ours.cluster.user_event(name.as_bytes(), Some(b"p"), false).expect("a short event");
    }
    event(&theirs, &["-coalesce=false", "theirs-1", "q"]);
    // Each side of the exchange takes what the other has.
    ours.wait(ours.cluster.join_with(&[theirs.bind.to_string()], true)).expect("it is there");
    for name in ["ours-1", "ours-2", "theirs-1"] {
        ears.wait_for(name);
    }

    let late = Agent::start(Kind::Serf, "late", &["-profile=local"]);
    let late_ears = Monitor::start(&late);
    let output = late.ask(Kind::Serf, "join", &["-replay", &ours.bind.to_string()]);
    assert!(output.success, "{}", output.stdout);
    let indifferent = Member::start("indifferent", |_| ());
    indifferent.join(&theirs);
    // Before it knows them all, it might tell too few.
    for name in ["serf", "late", "indifferent"] {
        wait_status(&ours, name, "alive", secs(40));
    }

    let all = Ears { monitors: vec![late_ears], members: vec![&ours, &indifferent] };
    ours.cluster.user_event(b"end", None, false).expect("a short event");
    all.wait_for("end");
    ears.wait_for("end");
    let names = |heard: &[Heard]| heard.iter().map(|event| event.name.clone()).collect::<Vec<_>>();
    let [late, ours, indifferent] = <[_; 3]>::try_from(all.heard()).expect("three listeners");
    let everything = names(&ours);
    assert_eq!(everything.len(), 4, "{ours:?}");
    assert_eq!(names(&late), everything);
    assert_eq!(names(&ears.heard()[0]), everything);
    assert_eq!(names(&indifferent), ["end"]);
}
