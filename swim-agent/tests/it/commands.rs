//! Commands: outputs, streams and exit codes, as captured from Serf.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Agent, Directory, Finished, PATIENCE, Running, UNHURRIED, command, run, swim, vectors};

/// A captured run.
struct Captured {
    arguments: Vec<String>,
    finished: Finished,
}

impl Captured {
    fn all() -> Vec<Self> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let runs = vectors("cli-outputs.json")["runs"].clone();
        let captured = |run: &Value| Self {
            arguments: run["argv"].as_array().unwrap()[1..].iter().map(|argument| whole(&text(argument))).collect(),
            finished: Finished {
                code: run["rc"].as_i64().and_then(|code| i32::try_from(code).ok()),
                stdout: text(&run["stdout"]),
                stderr: text(&run["stderr"]),
            },
        };
        runs.as_array().unwrap().iter().map(captured).collect()
    }

    /// With our agents in the place of those of that time, which had these addresses.
    fn map(&self, swap: impl Fn(&str) -> String) -> Self {
        let Finished { code, stdout, stderr } = &self.finished;
        Self {
            arguments: self.arguments.iter().map(|argument| swap(argument)).collect(),
            finished: Finished { code: *code, stdout: swap(stdout), stderr: stderr.clone() },
        }
    }

    fn call(&self) -> String {
        self.arguments.join(" ")
    }
}

/// An argument that the capture has cut: `xxx... (600 x)`.
fn whole(argument: &str) -> String {
    match argument.split_once("... (600 x)") {
        Some((start, "")) => start.trim_end_matches('x').to_owned() + &"x".repeat(600),
        _ => argument.to_owned(),
    }
}

/// What a run printed, without what may differ: help and advice are our own, as is the version; times and
/// numbers of the runtime are of the moment; tags, members, keys and answers are in no order.
fn comparable(text: &str) -> (Vec<String>, Vec<String>) {
    let text = text.replace("Usage: swim", "Usage: serf").replace("0.8.2-dev", env!("CARGO_PKG_VERSION"));
    let help = text.find("Usage: serf").and_then(|at| text[at..].find('\n').map(|len| at + len));
    let text = help.map_or(text.as_str(), |end| &text[..end]);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        if line == "Troubleshooting tips:" && lines.last().is_some_and(String::is_empty) {
            let advice = lines.len() - 2;
            lines[advice] = "<one line of advice>".to_owned();
        }
        if line.starts_with("* ") && lines.last().is_some_and(|last| last.ends_with(" of advice>")) {
            continue;
        }
        lines.push(match line {
            line if line.starts_with("* ") && !line.contains("Failed to join") => "<five lines of advice>".to_owned(),
            line => masked(line),
        });
    }
    let loose = |line: &str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        ["Ack", "Response", "failed:", "node-a", "node-b", "c"].contains(&first)
            || line.contains("/2]")
            || line.starts_with([' ', '\t', '{', '}'])
    };
    let fixed = lines.iter().filter(|line| !loose(line)).cloned().collect();
    lines.sort();
    (fixed, lines)
}

/// A line without its numbers, if these are of the moment, and with its tags in order.
fn masked(line: &str) -> String {
    if VARYING.iter().any(|name| line.contains(name)) {
        return line.split_inclusive([' ', ':', '=']).next().unwrap_or_default().to_owned();
    }
    let word = |word: &str| {
        let tags = word.contains('=').then(|| {
            let mut tags: Vec<_> = word.split(',').collect();
            tags.sort_unstable();
            tags.join(",")
        });
        match word.split_once('.') {
            // As many decimals.
            Some((whole, decimals)) if format!("{whole}{decimals}").parse::<u64>().is_ok() => {
                format!("0.{}", "0".repeat(decimals.len()))
            }
            _ => tags.unwrap_or_else(|| word.to_owned()),
        }
    };
    // Our members say which key they encrypt with; Serf's do not.
    let line = line.split("  primary on [").next().unwrap_or_default();
    // A trailing comma tells only which item of a list comes last; a blank at the end, which row.
    line.trim_end().trim_end_matches(',').split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What depends on the machine, the runtime, and who joined whom.
const VARYING: [&str; 8] =
    ["arch", "cpu_count", "goroutines", "max_procs", "member_time", "\"os\"", "version = ", "\"version\": \""];

/// Runs what was captured, and compares.
fn compare(captured: &Captured, environment: Option<&Agent>) {
    let call = captured.call();
    let mut command = command(&captured.arguments.iter().map(String::as_str).collect::<Vec<_>>());
    command.envs(environment.map(|agent| ("SERF_RPC_ADDR", &agent.rpc)));
    let (found, expected) = (run(command), &captured.finished);
    assert_eq!(found.code, expected.code, "{call}: {found:?}");
    if call == "version -h" {
        // Serf has no help here, and prints none.
        return;
    }
    assert_eq!(comparable(&found.stderr), comparable(&expected.stderr), "{call}");
    if call.starts_with("keygen") && expected.stdout.len() == 45 {
        assert_eq!(found.stdout.len(), 45, "{call}");
        return;
    }
    // A forced leave is soon followed by the detector's own finding, upon which the member has left.
    if expected.stdout.contains("  leaving") {
        let blanks = |text: &str| text.replace("leaving", "left").split_whitespace().map(masked).collect::<Vec<_>>();
        assert_eq!(blanks(&found.stdout), blanks(&expected.stdout), "{call}");
        return;
    }
    assert_eq!(comparable(&found.stdout), comparable(&expected.stdout), "{call}: {}", found.stdout);
    if expected.stdout.starts_with('{') {
        assert_eq!(json(&found.stdout), json(&expected.stdout), "{call}");
    }
}

/// A document with its lists in order, and again without what is of the moment.
fn json(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap();
    for list in ["members", "Acks"] {
        if let Some(list) = value.get_mut(list).and_then(Value::as_array_mut) {
            list.sort_by_cached_key(Value::to_string);
        }
    }
    value.as_object_mut().unwrap().remove("runtime");
    value["serf"]["member_time"] = Value::Null;
    value
}

/// All captured runs, one after the other, on three clusters as they were then.
#[test]
fn outputs_as_captured() {
    let key = "-encrypt=HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
    let upt = "-event-handler=query:upt=echo up-$SERF_SELF_NAME";
    let node_a = [UNHURRIED, "-tag=role=web", "-tag=dc=east", upt, "-event-handler=user:deploy=/bin/true"];
    let a = Agent::start_at("127.0.0.31", "node-a", &node_a);
    let join = format!("-join={}", a.bind);
    let mut b = Some(Agent::start_at("127.0.0.32", "node-b", &[UNHURRIED, "-tag=role=db", upt, &join]));
    let c = Agent::start_at("127.0.0.33", "c", &[UNHURRIED, &join]);
    let k1 = Agent::start_at("127.0.0.51", "k1", &[UNHURRIED, key]);
    let _k2 = Agent::start_at("127.0.0.52", "k2", &[UNHURRIED, key, &format!("-join={}", k1.bind)]);
    let aa = Agent::start_at("127.0.0.96", "aa", &[UNHURRIED, "-tag=x=1"]);
    let join = format!("-join={}", aa.bind);
    let (bb, cc) = (
        Agent::start_at("127.0.0.97", "bb", &[UNHURRIED, &join]),
        Agent::start_at("127.0.0.98", "c", &[UNHURRIED, &join]),
    );
    for (agent, count) in [(&a, 3), (&k1, 2), (&aa, 3)] {
        agent.members_until(|members| members.matches("alive").count() == count);
    }
    a.rtt_known("node-b");
    a.intents_sent();

    let b_bind = b.as_ref().unwrap().bind;
    let addresses = [
        ("127.0.0.31:17375", a.rpc.clone()),
        ("127.0.0.33:17375", c.rpc.clone()),
        ("127.0.0.51:17377", k1.rpc.clone()),
        ("127.0.0.31:17948", a.bind.to_string()),
        ("127.0.0.32:17948", b_bind.to_string()),
        ("127.0.0.33:17948", c.bind.to_string()),
        ("127.0.0.96:17958", aa.bind.to_string()),
        ("127.0.0.97:17958", bb.bind.to_string()),
        ("127.0.0.98:17958", cc.bind.to_string()),
    ];
    let swap = |text: &str| {
        // A second may be too short for three handlers on a busy machine.
        let text = text.replace("-timeout=1s", "-timeout=6s");
        let swapped = addresses.iter().fold(text, |text, (captured, ours)| text.replace(captured, ours));
        let port = |bind: core::net::SocketAddr| format!("{bind}\",\n      \"port\": ");
        [a.bind, b_bind, c.bind].into_iter().fold(swapped, |text, bind| {
            text.replace(&format!("{}17948", port(bind)), &format!("{}{}", port(bind), bind.port()))
        })
    };
    let all = Captured::all();
    for captured in &all {
        let captured = captured.map(swap);
        let expected = &captured.finished;
        if captured.call().starts_with("reachability") && expected.code == Some(1) {
            // It has just died, and nobody has noticed.
            b = None;
        }
        let environment = if expected.stdout.starts_with("aa ") { &aa } else { &a };
        let by_environment = captured.arguments == ["members"];
        compare(&captured, by_environment.then_some(environment));
        if captured.call().contains("-prune") {
            // Serf's agent answers nobody until it has forgotten the member. Ours does, and forgets it as late.
            a.members_until(|members| !members.contains("node-b"));
        }
    }
    assert!(b.is_none() && all.len() == 96);
    // As captured, to the last blank: rows without tags end in two of them, but for the last row.
    let rows = swim(&["members", "-rpc-addr", &aa.rpc]).stdout;
    let (last, others) = rows
        .trim_end_matches('\n')
        .lines()
        .collect::<Vec<_>>()
        .split_last()
        .map(|(last, others)| (last.to_string(), others.concat()))
        .unwrap();
    assert!(last.trim_end() == last && others.matches("alive  ").count() == 2, "{rows:?}");
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
    from_environment.env("SERF_RPC_ADDR", &agent.rpc);
    assert!(run(from_environment).stdout.starts_with("env "));
    // Flags beat the environment.
    let rpc = format!("-rpc-addr={}", agent.rpc);
    let mut both = command(&["members", &rpc]);
    both.env("SERF_RPC_ADDR", "127.0.0.1:1");
    assert_eq!(run(both).code, Some(0));
}

#[test]
fn tokens() {
    let directory = Directory::new("tokens");
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

#[test]
fn monitor_as_captured() {
    let mut agent = Agent::start("auth1", &[]);
    let rpc = format!("-rpc-addr={}", agent.rpc);
    let captured = vectors("cli-outputs.json");
    let bad = swim(&["monitor", &rpc, "-log-level=bogus"]);
    assert_eq!(bad.stdout, captured["monitor_bad_level"]["stdout"].as_str().unwrap());
    assert_eq!(bad.code, Some(1));

    let mut monitor = Running::start(&["monitor", &rpc]);
    let mut debug = Running::start(&["monitor", &rpc, "-log-level=debug"]);
    for running in [&mut monitor, &mut debug] {
        // Old lines first, those of its own connection among them.
        running.wait_for("[INFO] agent.ipc: Accepted client: ");
    }
    assert_eq!(agent.swim("event", &["-coalesce=false", "mon", "pl"]).code, Some(0));
    let event = captured["monitor"]["stdout"].as_str().unwrap();
    let event = event[event.find("Event Info:").unwrap()..].trim_end().replace("LTime: 4", "LTime: 1");
    for running in [&mut monitor, &mut debug] {
        running.wait_for("\tPayload: []byte{0x70, 0x6c}\n");
        assert!(running.output.contains(&event), "{}", running.output);
        running.wait_for("[INFO] agent: Received event: user-event: mon\n");
    }
    assert!(debug.output.contains("[DEBUG] agent: Requesting user event send: mon"), "{}", debug.output);
    assert!(!monitor.output.contains("[DEBUG]"), "{}", monitor.output);
    debug.signal("INT");
    assert_eq!(debug.ended(), Some(0));

    agent.signal("KILL");
    agent.ended();
    assert_eq!(monitor.ended(), Some(1));
    let end = captured["monitor_remote_end"]["stdout"].as_str().unwrap();
    assert!(monitor.output.ends_with(&end[end.find("\n\nRemote").unwrap()..]), "{}", monitor.output);
}

/// `monitor | head -1`: nobody reads on, and it ends with the next line.
#[test]
fn monitor_ends_with_its_reader() {
    let agent = Agent::start("a", &[]);
    let mut monitor = command(&["monitor", &format!("-rpc-addr={}", agent.rpc)]);
    let mut monitor = monitor.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    // The pipe closes with this line.
    BufReader::new(monitor.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("[INFO]"), "{first}");
    let deadline = Instant::now() + PATIENCE;
    while monitor.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "still runs");
        // Whoever connects makes a line of the log.
        assert_eq!(agent.swim("members", &[]).code, Some(0));
    }
}
