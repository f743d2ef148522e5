//! Event handlers: what scripts are given, what becomes of what they say, and what bad ones can do to others.
#![cfg(unix)]

use core::time::Duration;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

use serde_json::json;

use crate::client::Client;
use crate::support::{Agent, Directory, PATIENCE, UNHURRIED, vectors};

/// Waits until a file holds what `enough` is content with; what it holds.
fn file_until(path: &Path, enough: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if enough(&text) {
            return text;
        }
        assert!(Instant::now() < deadline, "{} stays:\n{text}", path.display());
        sleep(Duration::from_millis(20));
    }
}

/// Sends a user event that is not held back to be coalesced.
fn event(agent: &Agent, name: &str, payload: &str) {
    let sent = agent.swim("event", &["-coalesce=false", name, payload]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
}

/// What a query that only our own handlers answer comes to, where they do.
fn answers(agent: &Agent, name: &str) -> Vec<String> {
    query(agent, name, "-timeout=10s")
}

/// The same where they do not: how long that is waited for matters less.
fn silence(agent: &Agent, name: &str) -> bool {
    query(agent, name, "-timeout=3s").is_empty()
}

fn query(agent: &Agent, name: &str, timeout: &str) -> Vec<String> {
    let text = agent.swim("query", &[timeout, "-no-ack", name]).stdout;
    text.lines().filter(|line| line.starts_with("Response")).map(str::to_owned).collect()
}

/// A handler, its agent's directory and its log of runs.
struct Scene {
    agent: Agent,
    directory: Directory,
}

impl Scene {
    /// `handlers`: `LOG` in them is the path of a file, also for [`log_until`](Self::log_until).
    fn new(name: &str, handlers: &[&str], arguments: &[&str]) -> Self {
        let directory = Directory::new(name);
        let log = directory.path().join("log");
        let handlers: Vec<_> = handlers
            .iter()
            .map(|handler| format!("-event-handler={}", handler.replace("LOG", log.to_str().unwrap())))
            .collect();
        let mut all: Vec<_> = handlers.iter().map(String::as_str).collect();
        all.extend_from_slice(arguments);
        all.push("-log-level=debug");
        let agent = Agent::start("a", &all);
        Self { agent, directory }
    }

    /// Lets go on what waits in [`UNTIL_TOLD`], and whatever comes there later.
    fn tell(&self) {
        self.directory.write("log.told", "");
    }

    fn log_until(&self, enough: impl Fn(&str) -> bool) -> String {
        file_until(&self.directory.path().join("log"), enough)
    }
}

/// In a script: waits for the test, and not for a time that a slow machine might need for something else.
const UNTIL_TOLD: &str = "while [ ! -e LOG.told ]; do sleep 0.1; done";

/// The script that the captured one must have been.
const DUMP: &str = r#"{ echo "=== $SERF_EVENT"; env | grep ^SERF_ | sort; echo --stdin; cat; echo --end; } >> LOG"#;

/// The captured set-up, event by event: the same environment, the same input.
#[test]
fn environment_and_input_as_captured() {
    let directory = Directory::new("captured-handler");
    let log = directory.path().join("log");
    let handler = format!("-event-handler=*={}", DUMP.replace("LOG", log.to_str().unwrap()));
    // The value of `sp` has a line feed, which the tool that captured it took for the end.
    let tags = [UNHURRIED, "-tag=role=web", "-tag=dc-name=east 1", "-tag=sp=a\tb\nc"];
    let auth1 = Agent::start_at("127.0.0.41", "auth1", &[&[&*handler][..], &tags].concat());
    let auth2 = Agent::start_at(
        "127.0.0.42",
        "auth2",
        &[UNHURRIED, "-tag=role=db", "-tag=x=1", "-join", &auth1.bind.to_string()],
    );
    let ends = |count: usize| move |text: &str| text.matches("--end\n").count() == count;
    // Both joins in one, or in two if the second was slow to come.
    let joined = file_until(&log, |text| text.contains("\nauth2\t") && text.ends_with("--end\n"));
    let runs = joined.matches("--end\n").count();
    assert!(runs <= 2, "{joined}");

    let mut client = Client::shaken(&auth1);
    let payloads = [("n", json!("line1\nline2")), ("n2", json!("nl\n")), ("n3", json!(null))];
    for (seq, (name, payload)) in (1..).zip(payloads) {
        let event = json!({ "Name": name, "Payload": payload, "Coalesce": false });
        assert_eq!(client.ask("event", seq, &event), Ok(None));
        file_until(&log, ends(runs + seq as usize));
    }
    assert_eq!(client.ask("query", 4, &json!({ "Name": "hello", "Payload": "payl", "Timeout": 1_000_000 })), Ok(None));
    file_until(&log, ends(runs + 4));
    assert_eq!(auth2.swim("tags", &["-set", "y=2"]).code, Some(0));
    file_until(&log, ends(runs + 5));
    event(&auth1, "mon", "pl");
    let found = file_until(&log, ends(runs + 6));

    // Of several joins, the lines.
    let split = |text: &str| {
        let (mut joins, mut others) = (Vec::new(), Vec::new());
        for run in text.split_inclusive("--end\n") {
            if run.starts_with("=== member-join") {
                let (environment, input) = run.split_once("--stdin\n").unwrap();
                joins.push(environment.to_owned());
                joins.extend(input.lines().filter(|line| *line != "--end").map(in_order));
            } else {
                others.push(run.lines().map(in_order).collect::<Vec<_>>());
            }
        }
        joins.sort();
        joins.dedup();
        (joins, others)
    };
    assert_eq!(split(&found), split(vectors("event-handler.json")["text"].as_str().unwrap()));
}

/// A line for a member, with its tags in order.
fn in_order(line: &str) -> String {
    match line.rsplit_once('\t') {
        Some((before, tags)) if line.matches('\t').count() == 3 => {
            let mut tags: Vec<_> = tags.split(',').collect();
            tags.sort_unstable();
            format!("{before}\t{}", tags.join(","))
        }
        _ => line.to_owned(),
    }
}

/// Who is run for what: each item of a filter is a handler, so two that fit make two runs.
#[test]
fn filters_choose_events() {
    #[rustfmt::skip]
    let handlers = [
        "user:deploy,user=echo both $SERF_USER_EVENT >> LOG",
        "user:=echo any $SERF_USER_EVENT >> LOG",
        "query:load=echo query $SERF_QUERY_NAME >> LOG",
        "*=FOO=star; echo $FOO $SERF_EVENT >> LOG",
        "member-failed,member-leave,member-reap=echo never $SERF_EVENT >> LOG",
    ];
    let scene = Scene::new("filters", &handlers, &[]);
    scene.log_until(|log| log == "star member-join\n");
    event(&scene.agent, "deploy", "");
    scene.log_until(|log| log.ends_with("both deploy\nboth deploy\nany deploy\nstar user\n"));
    event(&scene.agent, "other", "");
    scene.log_until(|log| log.ends_with("both other\nany other\nstar user\n"));
    assert!(silence(&scene.agent, "load"));
    scene.log_until(|log| log.ends_with("query load\nstar query\n"));
    assert!(silence(&scene.agent, "loads"));
    scene.log_until(|log| log.ends_with("query load\nstar query\nstar query\n"));
}

/// A failed script answers nothing; what one prints on either stream is its answer; the first answer counts.
#[test]
fn answers_to_queries() {
    #[rustfmt::skip]
    let handlers = [
        "query:fails=echo no; exit 3",
        "query:both=echo out; echo err >&2",
        "query:none=:",
        "query:twice=echo one",
        "query:twice=echo two",
        "query:missing=/nonexistent/script",
        "query:killed=echo no; kill -9 $$",
        "query:large=head -c 1100 /dev/zero | tr '\\0' x",
        "query:echo=cat",
    ];
    let mut scene = Scene::new("answers", &handlers, &[]);
    let agent = &mut scene.agent;
    assert!(silence(agent, "fails"));
    agent.wait_for("[ERR] agent: Error invoking script 'echo no; exit 3': exit status 3\n");
    assert_eq!(answers(agent, "both"), ["Response from 'a': out"]);
    agent.wait_for("[DEBUG] agent: Event 'query' script output: out\nerr\n");
    assert!(silence(agent, "none"));
    assert_eq!(answers(agent, "twice"), ["Response from 'a': one"]);
    agent.wait_for(
        "[WARN] agent: Failed to respond to query 'query: twice': failed to respond to key query: response already sent\n",
    );
    assert!(silence(agent, "missing"));
    agent.wait_for("[ERR] agent: Error invoking script '/nonexistent/script': exit status 127\n");
    assert!(silence(agent, "killed"));
    agent.wait_for("[ERR] agent: Error invoking script 'echo no; kill -9 $$': signal: killed\n");
    assert!(silence(agent, "large"));
    agent.wait_for(
        "[WARN] agent: Failed to respond to query 'query: large': failed to respond to key query: \
         response exceeds limit of 1024 bytes\n",
    );
    let text = agent.swim("query", &["-timeout=10s", "-format=json", "echo", "payload"]).stdout;
    assert!(text.contains("\"a\": \"payload\\n\""), "{text}");
}

/// Of much output the end is kept, in the log and in memory.
#[test]
fn the_last_bytes_of_output_are_kept() {
    let handlers =
        ["user:some=head -c 8191 /dev/zero | tr '\\0' s; echo e", "user:much=yes | head -c 50000000; echo the end"];
    let mut scene = Scene::new("output", &handlers, &[]);
    let agent = &mut scene.agent;
    event(agent, "some", "");
    agent.wait_for("script output: ");
    // One byte too many, and so the first is lost.
    agent.wait_for(&format!("script output: {}e\n", "s".repeat(8190)));
    agent.wait_for("generated 8193 bytes of output, truncated to 8192\n");
    agent.forget();
    event(agent, "much", "");
    agent.wait_for("generated 50000008 bytes of output, truncated to 8192\n");
    agent.wait_for("y\nthe end\n");
    assert!(agent.output.len() < 20_000, "{}", agent.output.len());
    #[cfg(target_os = "linux")]
    assert!(agent.memory() < 100 << 20, "{}", agent.memory());
}

/// One at a time, a slow script holds up those after it, and it is mentioned; the agent itself goes on.
#[test]
fn slow_scripts_are_mentioned_and_wait_for_each_other() {
    let slow = format!("user:slow={UNTIL_TOLD}; echo slow >> LOG");
    let mut scene = Scene::new("slow", &[&slow, "user=echo $SERF_USER_EVENT >> LOG"], &[]);
    event(&scene.agent, "slow", "");
    event(&scene.agent, "quick", "");
    // If that waited for the script, it would do so for ever.
    assert_eq!(scene.agent.swim("members", &[]).code, Some(0));
    scene.agent.wait_for("slow, execution exceeding 1s\n");
    assert_eq!(scene.log_until(|_| true), "");
    scene.tell();
    scene.log_until(|log| log == "slow\nslow\nquick\n");
}

/// With more than one at a time, a script that hangs delays nobody but itself.
#[test]
fn a_hanging_script_delays_no_other() {
    let handlers = [
        "user:hang=echo hangs >> LOG; while [ -e LOG ]; do sleep 0.1; done",
        "user=echo $SERF_USER_EVENT >> LOG",
        "query:q=echo answer",
    ];
    let scene = Scene::new("hang", &handlers, &["-handlers-at-once=2"]);
    event(&scene.agent, "hang", "");
    scene.log_until(|log| log.lines().count() == 2);
    for n in 0..10 {
        event(&scene.agent, &n.to_string(), "");
    }
    scene.log_until(|log| log.ends_with("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
    assert_eq!(answers(&scene.agent, "q"), ["Response from 'a': answer"]);
}

/// A script that hangs is killed at its time limit, and its children with it; the next event is handled.
#[test]
fn a_time_limit_kills_with_all_children() {
    let script = "user:hang=sleep 60 & echo $! >> LOG; sleep 60 | sleep 60";
    let mut scene = Scene::new("limit", &[script, "user:next=echo next >> LOG"], &["-handler-timeout=5s"]);
    event(&scene.agent, "hang", "");
    event(&scene.agent, "next", "");
    scene.agent.wait_for(": killed after 5s\n");
    let log = scene.log_until(|log| log.ends_with("next\n"));
    let child = log.lines().next().unwrap().to_owned();
    // Gone, or dead and not yet collected by whoever inherited it.
    let status = Path::new("/proc").join(child).join("status");
    let deadline = Instant::now() + PATIENCE;
    while fs::read_to_string(&status).is_ok_and(|status| !status.contains("State:\tZ")) {
        assert!(Instant::now() < deadline, "the child lives");
        sleep(Duration::from_millis(20));
    }
}

/// What a script leaves running in the background keeps its output open, and neither the answer nor the next event waits
/// for it.
#[test]
fn children_in_the_background_hold_nothing_up() {
    let scene = Scene::new("background", &["query:q=sleep 60 & echo $! >> LOG; echo answer"], &[]);
    assert_eq!(answers(&scene.agent, "q"), ["Response from 'a': answer"]);
    assert_eq!(answers(&scene.agent, "q"), ["Response from 'a': answer"]);
    for child in scene.log_until(|log| log.lines().count() == 2).lines() {
        // It still runs, as its script wanted.
        assert!(std::process::Command::new("kill").arg(child).status().unwrap().success());
    }
}

/// A script that closes its streams is still waited for; one that does not read does no harm.
#[test]
fn closed_streams_are_not_the_end() {
    let handlers = ["user:closes=exec <&- >&- 2>&-; sleep 1; echo closed >> LOG", "user=echo $SERF_USER_EVENT >> LOG"];
    let scene = Scene::new("closed", &handlers, &[]);
    event(&scene.agent, "closes", &"x".repeat(400));
    event(&scene.agent, "next", &"x".repeat(400));
    scene.log_until(|log| log == "closed\ncloses\nnext\n");
}

/// Events that wait for a busy handler have a bound, and what is over it is named in the log.
#[test]
fn the_queue_has_a_bound() {
    let handler = format!("user=echo $SERF_USER_EVENT >> LOG; {UNTIL_TOLD}");
    let mut scene = Scene::new("queue", &[&handler], &["-handler-queue=2"]);
    event(&scene.agent, "0", "");
    scene.log_until(|log| log == "0\n");
    (1..=5).for_each(|n| event(&scene.agent, &n.to_string(), ""));
    scene.agent.wait_for("too many events wait for it\n");
    assert_eq!(scene.log_until(|_| true), "0\n");
    scene.tell();
    let log = scene.log_until(|log| log.lines().count() >= 3);
    assert!(log.starts_with("0\n1\n2\n"), "{log}");
    assert!(scene.agent.output.contains("for user-event: "), "{}", scene.agent.output);
}

/// A handler that stays is the same one after a reload: it still runs, and is not run a second time beside itself.
#[test]
fn a_reload_knows_its_handlers_again() {
    let handler = format!("user=echo $SERF_USER_EVENT >> LOG; {UNTIL_TOLD}");
    let mut scene = Scene::new("again", &[&handler], &["-handlers-at-once=2", "-handler-skip-busy"]);
    event(&scene.agent, "0", "");
    scene.log_until(|log| log == "0\n");
    scene.agent.signal("HUP");
    scene.agent.wait_for("==> Reloading configuration...");
    event(&scene.agent, "1", "");
    scene.agent.wait_for(" for user-event: 1: it still runs\n");
    scene.tell();
    assert_eq!(scene.log_until(|_| true), "0\n");
}

/// What waits for a handler that a reload has taken away is not run any more.
#[test]
fn a_reload_drops_what_waits_for_a_handler_that_is_gone() {
    let directory = Directory::new("gone");
    let log = directory.path().join("log");
    let handler = format!("user=echo $SERF_USER_EVENT >> LOG; {UNTIL_TOLD}").replace("LOG", log.to_str().unwrap());
    let file = directory.write("a.json", &json!({ "event_handlers": [handler] }).to_string());
    let mut agent = Agent::start("a", &["-config-file", &file]);
    event(&agent, "0", "");
    file_until(&log, |text| text == "0\n");
    event(&agent, "1", "");
    agent.wait_for("Received event: user-event: 1\n");
    directory.write("a.json", "{}");
    agent.signal("HUP");
    agent.wait_for(" for user-event: 1: it is no longer configured\n");
    directory.write("log.told", "");
    assert_eq!(file_until(&log, |_| true), "0\n");
}

#[test]
fn busy_handlers_can_be_skipped() {
    let handler = format!("user=echo $SERF_USER_EVENT >> LOG; {UNTIL_TOLD}");
    let mut scene = Scene::new("skip", &[&handler], &["-handler-skip-busy"]);
    event(&scene.agent, "0", "");
    scene.log_until(|log| log == "0\n");
    event(&scene.agent, "1", "");
    scene.agent.wait_for("for user-event: 1: it still runs\n");
    scene.tell();
    let deadline = Instant::now() + PATIENCE;
    // Whichever comes when it is free again.
    while scene.log_until(|_| true).lines().count() < 2 {
        assert!(Instant::now() < deadline, "nothing is run any more");
        event(&scene.agent, "later", "");
        sleep(Duration::from_millis(200));
    }
    let log = scene.log_until(|_| true);
    assert!(log.starts_with("0\nlater\n") && !log.contains('1'), "{log}");
}

/// A script that ends its own agent, to start another version of it, lives on.
#[test]
fn a_script_may_outlive_its_agent() {
    let handler = "user:restart=kill -TERM $PPID; sleep 2; echo done >> LOG";
    let mut scene = Scene::new("outlive", &[handler], &[]);
    event(&scene.agent, "restart", "");
    assert_eq!(scene.agent.ended(), Some(1));
    scene.log_until(|log| log == "done\n");
}

#[test]
fn hangup_replaces_handlers() {
    let directory = Directory::new("handlers-reload");
    let log = directory.path().join("log");
    let config = |name: &str| {
        let script = format!("user=echo {name} $SERF_USER_EVENT >> {}", log.display());
        directory.write("a.json", &json!({ "event_handlers": [script] }).to_string())
    };
    let file = config("old");
    let mut agent = Agent::start("a", &["-config-file", &file]);
    event(&agent, "1", "");
    file_until(&log, |log| log == "old 1\n");
    config("new");
    agent.signal("HUP");
    agent.wait_for("Reloading configuration...");
    // The reload is done when the agent answers again: it does one thing after the other.
    assert_eq!(agent.swim("members", &[]).code, Some(0));
    event(&agent, "2", "");
    file_until(&log, |log| log == "old 1\nnew 2\n");
    // What cannot be understood changes nothing.
    directory.write("a.json", r#"{"event_handlers": ["bogus=x"]}"#);
    agent.signal("HUP");
    agent.wait_for("Invalid event script: Event 'bogus' invoking 'x'\n==> Failed to reload configs\n");
    event(&agent, "3", "");
    file_until(&log, |log| log == "old 1\nnew 2\nnew 3\n");
    // As in Serf, what is told of handlers is what the agent was started with.
    assert!(agent.swim("info", &[]).stdout.contains("user: = echo old "));
}
