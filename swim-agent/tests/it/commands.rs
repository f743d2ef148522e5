//! Commands: outputs, streams and exit codes, as captured from Serf.

use crate::support::{Agent, Finished, command, run, swim, vectors};

/// A captured run that needs no cluster.
fn captured(run: &serde_json::Value) -> (Vec<String>, Finished) {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let arguments = run["argv"].as_array().unwrap()[1..].iter().map(text).collect();
    let code = run["rc"].as_i64().and_then(|code| i32::try_from(code).ok());
    (arguments, Finished { code, stdout: text(&run["stdout"]), stderr: text(&run["stderr"]) })
}

/// Help texts are our own: only what comes before the first cut is compared.
fn comparable(text: &str) -> String {
    let text = text.replace("Usage: swim", "Usage: serf");
    let help = text.find("Usage: serf").and_then(|at| text[at..].find('\n').map(|len| at + len));
    help.map_or(text.clone(), |end| text[..end].to_owned())
}

#[test]
fn outputs_as_captured() {
    let agent = Agent::start("node-a", &[]);
    let mut compared = 0;
    for entry in vectors("cli-outputs.json")["runs"].as_array().unwrap() {
        let (arguments, expected) = captured(entry);
        let call = arguments.join(" ");
        let needs_cluster = call.starts_with("info")
            || call == "join -rpc-addr=127.0.0.31:17375 127.0.0.32:17948"
            || call.starts_with("members") && expected.stdout.contains("node-");
        // Ours prints its own version.
        if needs_cluster || expected.stdout.contains("0.8.2") {
            continue;
        }
        let here = format!("-rpc-addr={}", agent.rpc);
        let arguments: Vec<_> =
            arguments.iter().map(|argument| argument.replace("-rpc-addr=127.0.0.31:17375", &here)).collect();
        let found = swim(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found.code, expected.code, "{call}: {found:?}");
        assert_eq!(comparable(&found.stdout), comparable(&expected.stdout), "{call}");
        assert_eq!(comparable(&found.stderr), comparable(&expected.stderr), "{call}");
        compared += 1;
    }
    assert_eq!(compared, 20);
}

#[test]
fn versions() {
    let expected = format!("{}\nAgent Protocol: 5 (Understands back to: 2)\n", env!("CARGO_PKG_VERSION"));
    for arguments in [&["version"][..], &["version", "-x", "y"], &["-v"], &["--version"], &["members", "-v"]] {
        let found = swim(arguments);
        assert_eq!((found.code, found.stdout), (Some(0), expected.clone()), "{arguments:?}");
    }
}

#[test]
fn keys_are_new_each_time() {
    let (one, two) = (swim(&["keygen"]), swim(&["keygen", "-bogus", "x"]));
    assert_eq!((one.code, two.code, one.stdout.len()), (Some(0), Some(0), 45));
    assert_ne!(one.stdout, two.stdout);
}

#[test]
fn the_agent_may_come_from_the_environment() {
    let agent = Agent::start("env", &[]);
    let mut from_environment = command(&["members"]);
    from_environment.env("SERF_RPC_ADDR", agent.rpc.to_string());
    assert!(run(from_environment).stdout.starts_with("env "));
    // Flags beat the environment.
    let rpc = format!("-rpc-addr={}", agent.rpc);
    let mut both = command(&["members", &rpc]);
    both.env("SERF_RPC_ADDR", "127.0.0.1:1");
    assert_eq!(run(both).code, Some(0));
}

#[test]
fn info_in_both_formats() {
    let agent = Agent::start("node-a", &["-tag", "role=web", "-tag=dc=east"]);
    let text = agent.swim("info", &[]).stdout;
    assert!(text.starts_with("agent:\n\tname = node-a\nevent_handlers:\nruntime:\n\tarch = "), "{text}");
    assert!(text.ends_with("tags:\n\tdc = east\n\trole = web\n"), "{text}");
    let json = agent.swim("info", &["-format=json"]).stdout;
    assert!(
        json.starts_with("{\n  \"agent\": {\n    \"name\": \"node-a\"\n  },\n  \"event_handlers\": {},\n"),
        "{json}"
    );
}

#[test]
fn tokens() {
    let directory = crate::support::Directory::new("tokens");
    let file = directory.write("a.json", r#"{"RPC_Auth": "sekret"}"#);
    let agent = Agent::start("a", &["-config-file", &file]);
    let without = agent.swim("members", &[]);
    assert_eq!((without.code, &*without.stdout), (Some(1), "Error retrieving members: Authentication required\n"));
    let wrong = agent.swim("members", &["-rpc-auth=x"]);
    assert_eq!(
        (wrong.code, &*wrong.stdout),
        (Some(1), "Error connecting to Serf agent: Invalid authentication token\n")
    );
    assert_eq!(agent.swim("members", &["-rpc-auth=sekret"]).code, Some(0));
}
