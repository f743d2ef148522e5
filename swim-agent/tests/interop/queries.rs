//! Queries between HashiCorp's agents and the library: asked and answered on either side.

use core::slice;
use core::time::Duration;

use serde_json::Value;
use swim_tokio::AnswerError;
use swim_tokio::swim_core::Event;
use swim_tokio::swim_core::ids::QueryId;
use swim_tokio::swim_core::serf::query::{Query, RespondError};

use crate::harness::{Agent, Kind, answers, secs, wait_until, wait_whole};
use crate::member::{Asked, Member, WHO, answer, everybody, four};

const ALL: [&str; 4] = ["serf-a", "serf-b", "swim-a", "swim-b"];
const TIMEOUT: Duration = Duration::from_secs(6);

fn who() -> Query<'static> {
    Query { name: WHO.as_bytes(), payload: Some(b"there"), timeout: Some(TIMEOUT), ..Query::default() }
}

/// Everybody of `names` has answered, and nobody else, and nobody twice.
fn answered_by(asked: &Asked, names: &[&str]) {
    let expected: Vec<_> = names.iter().map(|name| ((*name).to_owned(), answer(name, "there").into_bytes())).collect();
    assert_eq!(asked.responses, expected);
    assert!((TIMEOUT..TIMEOUT + secs(20)).contains(&asked.took), "the answers ended after {:?}", asked.took);
}

fn relayed_by_serf(serfs: &[Agent]) -> usize {
    serfs.iter().map(|serf| serf.log_lines(&["Relaying response to addr"]).len()).sum()
}

fn relayed_by_ours(members: &[Member]) -> u64 {
    members.iter().map(|member| member.cluster.stats().query_responses_relayed).sum()
}

/// Asked by ours: everybody answers and acknowledges, or those whom the filters let through; by way of others, too; and
/// the answers end when the time is over.
#[test]
fn ours_asks() {
    let (serfs, members) = four();
    let [asker, other] = &members;
    // Side by side, as they take their time.
    let plain = asker.ask(who());
    let acked = other.ask(Query { request_ack: true, ..who() });
    let names: [&[u8]; 2] = [b"serf-b", b"swim-b"];
    let by_name = asker.ask(Query { filter_nodes: &names, request_ack: true, ..who() });
    let by_tag = asker.ask(Query { filter_tags: &[("kind", "^s.r")], request_ack: true, ..who() });
    let by_both = other.ask(Query { filter_nodes: &names, filter_tags: &[("kind", "im$")], ..who() });
    let by_missing_tag = asker.ask(Query { filter_tags: &[("kind", "."), ("colour", "^$")], ..who() });
    let nobody = asker.ask(Query { filter_tags: &[("colour", "green")], request_ack: true, ..who() });

    let plain = plain.end();
    answered_by(&plain, &ALL);
    assert_eq!(plain.acks, [""; 0], "nobody asked for acks");
    let acked = acked.end();
    answered_by(&acked, &ALL);
    assert_eq!(acked.acks, ALL);
    let by_name = by_name.end();
    answered_by(&by_name, &["serf-b", "swim-b"]);
    assert_eq!(by_name.acks, ["serf-b", "swim-b"]);
    let by_tag = by_tag.end();
    answered_by(&by_tag, &["serf-a", "serf-b"]);
    assert_eq!(by_tag.acks, ["serf-a", "serf-b"]);
    answered_by(&by_both.end(), &["swim-b"]);
    answered_by(&by_missing_tag.end(), &ALL);
    let nobody = nobody.end();
    answered_by(&nobody, &[]);
    assert_eq!(nobody.acks, [""; 0]);
    assert_eq!((relayed_by_serf(&serfs), relayed_by_ours(&members)), (0, 0), "nobody asked for relays");

    let relayed = asker.ask(Query { request_ack: true, relay_factor: 2, ..who() }).end();
    answered_by(&relayed, &ALL);
    assert_eq!(relayed.acks, ALL);
    // Of three others each has chosen two: both implementations have passed something on, and something has come twice.
    assert!(relayed_by_serf(&serfs) > 0 && relayed_by_ours(&members) > 0);
    let stats = asker.cluster.stats();
    assert!(stats.query_duplicate_acks > 0 && stats.query_duplicate_responses > 0, "{stats:?}");

    // By default, sixteen gossip intervals and as many for each further digit of the number of members.
    let default = asker.ask(Query { timeout: None, ..who() }).end();
    assert!((Duration::from_millis(1600)..secs(20)).contains(&default.took), "{:?}", default.took);
}

/// What `serf query` is told.
fn serf_asks(serf: &Agent, args: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
    let args = [&["-format=json", "-timeout=6s"], args, &[WHO, "there"]].concat();
    let output = answers(|| serf.ask(Kind::Serf, "query", &args));
    let value: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let mut acks: Vec<_> = value["Acks"].as_array().into_iter().flatten().map(text).collect();
    acks.sort();
    let responses = value["Responses"].as_object().expect("a map");
    (acks, responses.iter().map(|(from, payload)| (from.clone(), text(payload))).collect())
}

/// Asked by theirs: ours answers and acknowledges, obeys the filters, and relays.
#[test]
fn theirs_asks() {
    let (serfs, members) = four();
    let by_name = ["-node=serf-a", "-node=swim-b"];
    let cases: [(&[&str], &[&str]); 5] = [
        (&[], &ALL),
        (&["-relay-factor=2"], &ALL),
        (&by_name, &["serf-a", "swim-b"]),
        (&["-tag=kind=^sw.m"], &["swim-a", "swim-b"]),
        (&["-node=serf-a", "-node=swim-a", "-tag=kind=m$"], &["swim-a"]),
    ];
    std::thread::scope(|scope| {
        for (serf, (args, names)) in serfs.iter().cycle().zip(cases) {
            scope.spawn(move || {
                let (acks, responses) = serf_asks(serf, args);
                assert_eq!(acks, names, "{args:?}");
                let expected: Vec<_> = names.iter().map(|name| ((*name).to_owned(), answer(name, "there"))).collect();
                assert_eq!(responses, expected, "{args:?}");
            });
        }
    });
    assert!(relayed_by_serf(&serfs) > 0 && relayed_by_ours(&members) > 0);
}

/// The query of this name that came to a member.
fn wait_query(member: &Member, asked: &str) -> QueryId {
    let is_it = |event| {
        let Event::Query { id, name, .. } = event else { return None };
        (name == asked).then_some(id)
    };
    wait_until(&format!("{} is asked {asked}", member.name), secs(10), || {
        member.events().into_iter().find_map(is_it).ok_or_else(|| "not yet".to_owned())
    })
}

/// An answer that is too long is refused where it is given, a shorter one is still possible, the longest gets across
/// byte for byte, and there is no second one.
#[test]
fn answers_have_a_longest_length() {
    // Answers with as many letters as the payload says.
    let script = r#"-event-handler=query:letters=head -c "$(cat)" /dev/zero | tr '\0' x"#;
    let serf = Agent::start(Kind::Serf, "serf", &["-profile=local", script]);
    let member = Member::start("swim", |_| ());
    member.join(&serf);
    wait_whole(&everybody(slice::from_ref(&serf), slice::from_ref(&member)), secs(20));

    let (answer, len) = std::thread::scope(|scope| {
        let asking =
            scope.spawn(|| serf.ask(Kind::Serf, "query", &["-format=json", "-timeout=15s", "-node=swim", "size"]));
        let id = wait_query(&member, "size");
        let text = "x".repeat(1100);
        let refused = member.cluster.respond(id, text.as_bytes());
        let Err(AnswerError::Respond(RespondError::TooLarge { len, max: 1024 })) = refused else {
            panic!("{refused:?}")
        };
        let longest = &text[..1100 - (len - 1024)];
        let longer = &text[..longest.len() + 1];
        assert!(member.cluster.respond(id, longer.as_bytes()).is_err());
        member.cluster.respond(id, longest.as_bytes()).expect("just short enough");
        let again = member.cluster.respond(id, b"again");
        assert_eq!(again, Err(AnswerError::Respond(RespondError::AlreadySent)));
        (asking.join().expect("no panic"), longest.len())
    });
    let value: Value = serde_json::from_str(&answer.stdout).expect("JSON");
    assert_eq!(value["Responses"]["swim"].as_str(), Some(&*"x".repeat(len)), "{answer:?}");

    // The other way round: Serf counts the same bytes, the names and the times being as long.
    let ask = |letters: usize| {
        let letters = letters.to_string();
        let payload = Some(letters.as_bytes());
        member.ask(Query { name: b"letters", payload, request_ack: true, timeout: Some(TIMEOUT), ..Query::default() })
    };
    let (fits, exceeds) = (ask(len), ask(len + 1));
    assert_eq!(fits.end().responses, [("serf".to_owned(), vec![b'x'; len])]);
    let exceeds = exceeds.end();
    assert_eq!((exceeds.acks, exceeds.responses), (vec!["serf".to_owned(), "swim".to_owned()], vec![]));
    assert_eq!(serf.log_lines(&["response exceeds limit of 1024 bytes"]).len(), 1);
}
