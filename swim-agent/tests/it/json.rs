//! `-format=json`, of every command that prints.

use serde_json::{Value, json};

use crate::support::{Agent, Finished, Running, UNHURRIED, swim};

/// The one document that a run prints, which must have ended with `code`.
fn document(found: &Finished, code: i32) -> Value {
    assert_eq!((found.code, &*found.stderr), (Some(code), ""), "{found:?}");
    serde_json::from_str(&found.stdout).unwrap_or_else(|error| panic!("{error}: {found:?}"))
}

#[test]
fn every_command_has_a_document() {
    let key = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
    let other = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";
    let encrypt = format!("-encrypt={key}");
    let a = Agent::start("alpha", &[&encrypt, UNHURRIED, "-event-handler=query:up=echo yes"]);
    let b = Agent::start("bravo", &[&encrypt, UNHURRIED]);
    let ask = |name: &str, arguments: &[&str]| document(&a.swim(name, &[&["-format=json"], arguments].concat()), 0);

    assert_eq!(ask("join", &[&b.bind.to_string()]), json!({ "nodes": 1 }));
    a.members_until(|members| members.matches("alive").count() == 2);
    assert_eq!(ask("event", &["deploy", "1.2.3"]), json!({ "name": "deploy", "coalesce": true }));
    assert_eq!(
        ask("tags", &["-set", "role=web", "-delete", "none"]),
        json!({ "set": { "role": "web" }, "deleted": ["none"] })
    );
    assert_eq!(ask("members", &["-name=alpha"])["members"][0]["tags"]["role"], "web");
    assert_eq!(ask("info", &[])["agent"]["name"], "alpha");
    assert_eq!(ask("query", &["-timeout=8s", "up"])["Responses"]["alpha"], "yes\n");

    a.rtt_known("bravo");
    let rtt = ask("rtt", &["bravo"]);
    assert_eq!(rtt["nodes"], json!(["bravo", "alpha"]));
    assert!(rtt["rtt_ms"].as_f64().is_some_and(|millis| (0.0..1000.0).contains(&millis)), "{rtt}");

    let none = json!([]);
    let reached = ask("reachability", &["-verbose"]);
    assert_eq!((&reached["reached"], &reached["members"], &reached["live"]), (&json!(true), &json!(2), &json!(2)));
    assert_eq!((&reached["acks"], &reached["missing"]), (&json!(["alpha", "bravo"]), &none));
    assert_eq!((&reached["unexpected"], &reached["duplicates"]), (&none, &none));
    assert!(reached["query_seconds"].as_f64() >= reached["last_ack_seconds"].as_f64(), "{reached}");

    let changed = json!({ "messages": {}, "nodes": 2 });
    assert_eq!(ask("keys", &[&format!("-install={other}")]), changed);
    assert_eq!(ask("keys", &[&format!("-use={other}")]), changed);
    assert_eq!(ask("keys", &["-list"])["keys"], json!({ key: 2, other: 2 }));
    assert_eq!(ask("keys", &[&format!("-remove={key}")]), changed);

    assert_eq!(ask("force-leave", &["-prune", "nobody"]), json!({ "name": "nobody", "prune": true }));
    assert_eq!(ask("leave", &[]), json!({ "left": true }));
}

/// Those that are given whatever one likes take the format from among it.
#[test]
fn commands_without_an_agent() {
    for arguments in [&["keygen", "-format=json"][..], &["keygen", "-bogus", "x", "--format", "json", "y"]] {
        let key = document(&swim(arguments), 0);
        assert_eq!(key["key"].as_str().map(str::len), Some(44), "{key}");
    }
    let version = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": { "max": 5, "min": 2, "version": 5 },
    });
    assert_eq!(document(&swim(&["version", "-format=json"]), 0), version);
}

/// Whoever reads documents finds nothing else where they are, and the exit code is as ever.
#[test]
fn errors_stay_out_of_the_way() {
    let a = Agent::start("alpha", &[]);
    let rpc = format!("-rpc-addr={}", a.rpc);
    #[rustfmt::skip]
    let table: [(&[&str], &str); 7] = [
        (&["members", "-format=json", "-rpc-addr=127.0.0.1:1"],     "Error connecting to Serf agent: dial tcp 127.0.0.1:1: connect: connection refused\n"),
        (&["rtt", "-format=json", &rpc, "nobody"],                  "Could not find a coordinate for node \"nobody\"\n"),
        (&["query", "-format=json", &rpc, "_serf_conflict"],        "Error sending query: Queries cannot contain the '_serf_' prefix\n"),
        (&["join", "-format=json", &rpc, "127.0.0.1:1"],            "Error joining the cluster: "),
        (&["keys", "-format=json", &rpc, "-list"],                  "failed:  alpha  Keyring is empty"),
        (&["tags", "-format=json", &rpc, "-set", "bad"],            "Error: Invalid tag: 'bad'\n"),
        (&["event", "-format=json", &rpc],                          "An event name must be specified.\n"),
    ];
    for (arguments, text) in table {
        let found = swim(arguments);
        assert_eq!((found.code, &*found.stdout), (Some(1), ""), "{arguments:?}");
        assert!(found.stderr.starts_with(text), "{arguments:?}: {}", found.stderr);
    }
}

/// A format that there is not is refused before anything is done.
#[test]
fn unknown_formats_change_nothing() {
    let agent = Agent::start("alpha", &[]);
    for arguments in [
        &["leave"][..],
        &["force-leave", "alpha"],
        &["event", "x"],
        &["tags", "-set", "x=1"],
        &["join", "127.0.0.1:1"],
        &["rtt", "alpha"],
        &["reachability"],
        &["keys", "-list"],
        &["monitor"],
    ] {
        let found = agent.swim(arguments[0], &[&["-format=xml"], &arguments[1..]].concat());
        let expected = "Encoding error: Invalid output format \"xml\"\n";
        assert_eq!((found.code, &*found.stdout), (Some(1), expected), "{arguments:?}");
    }
    let members = agent.swim("members", &[]).stdout;
    assert!(members.contains("alive") && !members.contains("x=1"), "{members}");
    assert_eq!(agent.swim("info", &["-format=json"]).stdout.matches("\"event_time\": \"1\"").count(), 1);
}

/// Somebody does not answer: the document says who, and the exit code that it is not well.
#[test]
fn who_is_not_reached_is_in_the_document() {
    let a = Agent::start("alpha", &[UNHURRIED]);
    let b = Agent::start("bravo", &[UNHURRIED, &format!("-join={}", a.bind)]);
    a.members_until(|members| members.matches("alive").count() == 2);
    // Dead for so short a time that it still counts as alive.
    drop(b);
    let found = document(&a.swim("reachability", &["-format=json"]), 1);
    assert_eq!((&found["reached"], &found["missing"]), (&json!(false), &json!(["bravo"])), "{found}");
}

/// A stream has one document a line.
#[test]
fn monitor_has_lines() {
    let agent = Agent::start("alpha", &[]);
    let mut monitor = Running::start(&["monitor", "-format=json", &format!("-rpc-addr={}", agent.rpc)]);
    monitor.wait_for("Accepted client");
    assert_eq!(agent.swim("event", &["-coalesce=false", "mon", "pl"]).code, Some(0));
    monitor.wait_for(r#"{"Coalesce":false,"Event":"user","LTime":1,"Name":"mon","Payload":"pl"}"#);
    monitor.signal("INT");
    assert_eq!(monitor.ended(), Some(0));
    for line in monitor.output.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
