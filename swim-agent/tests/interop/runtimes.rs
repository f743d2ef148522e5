//! One of HashiCorp's agents, and one member on each runtime.

use serde_json::Value;
use swim_asyncstd::AsyncStd;
use swim_driver::Runtime;
use swim_driver::swim_core::serf::query::Query;
use swim_smol::Smol;
use swim_tokio::Tokio;

use crate::harness::{Agent, Kind, Peer, answers, secs, wait_status, wait_until, wait_whole};
use crate::member::{Member, WHO, answer, answering};
use crate::monitor::{Heard, Monitor};

const NAMES: [&str; 4] = ["asyncstd", "serf", "smol", "tokio"];

/// They form one cluster; events and queries of each reach all others; who leaves has left, and who crashes has failed.
#[test]
fn one_cluster_on_all() {
    let serf = Agent::start(Kind::Serf, "serf", &["-profile=lan", &answering()]);
    let tokio = Member::<Tokio>::start_on("tokio", |_| ());
    let smol = Member::<Smol>::start_on("smol", |_| ());
    let asyncstd = Member::<AsyncStd>::start_on("asyncstd", |_| ());
    tokio.join(&serf);
    smol.join(&tokio);
    asyncstd.join(&serf);
    wait_whole(&[&serf as &dyn Peer, &tokio, &smol, &asyncstd], secs(40));

    let monitor = Monitor::start(&serf);
    tell(&tokio);
    tell(&smol);
    tell(&asyncstd);
    let told = serf.ask(Kind::Serf, "event", &["-coalesce=false", "serf", "payload"]);
    assert!(told.success, "{}", told.stdout);
    for (name, heard) in [
        ("serf", (&|| monitor.heard()) as &dyn Fn() -> Vec<Heard>),
        ("tokio", &|| tokio.heard()),
        ("smol", &|| smol.heard()),
        ("asyncstd", &|| asyncstd.heard()),
    ] {
        wait_until(&format!("{name} hears everybody"), secs(20), || {
            let mut heard: Vec<_> = heard().into_iter().map(|event| (event.name, event.payload)).collect();
            heard.sort();
            let expected = NAMES.map(|name| (name.to_owned(), b"payload".to_vec()));
            if heard == expected { Ok(()) } else { Err(format!("heard so far: {heard:?}")) }
        });
    }

    ask(&tokio);
    ask(&smol);
    ask(&asyncstd);
    let output = answers(|| serf.ask(Kind::Serf, "query", &["-format=json", "-timeout=3s", WHO, "there"]));
    let value: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    for name in NAMES {
        assert_eq!(value["Responses"][name], answer(name, "there"), "{value}");
    }
    assert_eq!(value["Acks"].as_array().map(Vec::len), Some(4), "{value}");

    smol.wait(smol.cluster.leave()).expect("the others are there");
    wait_status(&serf, "smol", "left", secs(20));
    wait_status(&asyncstd, "smol", "left", secs(20));
    asyncstd.crash();
    wait_status(&serf, "asyncstd", "failed", secs(45));
    wait_status(&tokio, "asyncstd", "failed", secs(45));
}

/// An event that has the member's name.
fn tell<R: Runtime>(member: &Member<R>) {
    member.cluster.user_event(member.name.as_bytes(), Some(b"payload"), false).expect("a short event");
}

/// A query, which everybody acknowledges and answers.
fn ask<R: Runtime>(member: &Member<R>) {
    let query = Query {
        name: WHO.as_bytes(),
        payload: Some(b"there"),
        request_ack: true,
        timeout: Some(secs(3)),
        ..Query::default()
    };
    let asked = member.ask(query).end();
    assert_eq!(asked.acks, NAMES, "{}", member.name);
    let expected = NAMES.map(|name| (name.to_owned(), answer(name, "there").into_bytes()));
    assert_eq!(asked.responses, expected, "{}", member.name);
}
