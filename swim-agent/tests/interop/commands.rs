//! Every command of either client program against an agent of the other kind: Serf's client drives our agent, and ours
//! drives Serf's, in a cluster of both.

use crate::harness::{Agent, Kind, Output, UNHURRIED, answers, secs, wait_forced, wait_status, wait_until, wait_whole};
use crate::terminal::OnTerminal;

/// An agent of each kind in one cluster, and the client program that is to drive the first.
struct Pair {
    program: Kind,
    driven: Agent,
    other: Agent,
}

impl Pair {
    fn new(driven: Kind, args: &[&str]) -> Self {
        let args = [&["-profile=local"], args].concat();
        let driven = Agent::start(driven, "driven", &args);
        let other = Agent::start(driven.kind.other(), "other", &args);
        let pair = Self { program: driven.kind.other(), driven, other };
        let joined = pair.ask("join", &[&pair.other.bind.to_string()]);
        assert_eq!(joined.stdout, "Successfully joined cluster by contacting 1 nodes.\n");
        wait_whole(&[&pair.driven, &pair.other], secs(15));
        pair
    }

    /// Runs a command against the driven agent, whatever comes of it.
    fn run(&self, command: &str, args: &[&str]) -> Output {
        self.driven.ask(self.program, command, args)
    }

    /// The same for one that must succeed.
    fn ask(&self, command: &str, args: &[&str]) -> Output {
        let output = self.run(command, args);
        assert!(output.success, "{:?} {command} {args:?}: {}", self.program, output.stdout);
        output
    }

    /// What the members answer to a query.
    fn query(&self, args: &[&str]) -> Output {
        answers(|| self.ask("query", &[&["-timeout=6s"], args].concat()))
    }

    /// What it prints, its lines in order.
    fn lines(&self, command: &str, args: &[&str]) -> Vec<String> {
        sorted(&self.ask(command, args).stdout)
    }

    /// Waits until both agents know these tags of the driven one, beside the one that the harness gives it.
    fn driven_has_tags(&self, expected: &[(&str, &str)]) {
        for agent in [&self.driven, &self.other] {
            wait_until("the tags are known", secs(15), || {
                let tags = agent.members()?.0["driven"].tags.clone();
                let found = tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                if found.filter(|(key, _)| *key != "kind").eq(expected.iter().copied()) {
                    Ok(())
                } else {
                    Err(format!("{tags:?}"))
                }
            });
        }
    }

    /// What a command prints that must fail.
    fn refused(&self, command: &str, args: &[&str]) -> String {
        let output = self.run(command, args);
        assert!(!output.success, "{:?} {command} {args:?}: {}", self.program, output.stdout);
        output.stdout
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Both ways round.
fn both(test: impl Fn(Kind)) {
    test(Kind::Swim);
    test(Kind::Serf);
}

/// Events reach both agents, with their payload, and the handlers of both are told the same.
#[test]
fn events() {
    both(|driven| {
        let handler = "-event-handler=user:deploy=echo $SERF_EVENT $SERF_USER_EVENT $SERF_USER_LTIME $(cat) >> handled";
        let pair = Pair::new(driven, &[handler]);
        let sent = pair.ask("event", &["-coalesce=false", "deploy", "1.2.3"]);
        assert_eq!(sent.stdout, "Event 'deploy' dispatched! Coalescing enabled: false\n");
        for agent in [&pair.driven, &pair.other] {
            wait_until("the handler is run", secs(15), || match agent.try_file("handled").as_deref() {
                Some("user deploy 1 1.2.3\n") => Ok(()),
                found => Err(format!("{} has {found:?}", agent.name)),
            });
        }
        assert_eq!(pair.ask("event", &["x"]).stdout, "Event 'x' dispatched! Coalescing enabled: true\n");
        assert_eq!(
            pair.refused("event", &["big", &"x".repeat(600)]),
            "Error sending event: user event exceeds configured limit of 512 bytes before encoding\n"
        );
    });
}

/// Both agents answer, by their handlers; filters, relays and formats are understood.
#[test]
fn queries() {
    both(|driven| {
        let pair = Pair::new(driven, &["-event-handler=query:load=echo load-$SERF_SELF_NAME-$(cat)"]);
        let all = [
            "Ack from 'driven'",
            "Ack from 'other'",
            "Query 'load' dispatched",
            "Response from 'driven': load-driven-p",
            "Response from 'other': load-other-p",
            "Total Acks: 2",
            "Total Responses: 2",
        ];
        assert_eq!(sorted(&pair.query(&["load", "p"]).stdout), all);
        assert_eq!(sorted(&pair.query(&["-relay-factor=2", "load", "p"]).stdout), all);
        let one = ["Query 'load' dispatched", "Response from 'other': load-other-p", "Total Responses: 1"];
        assert_eq!(sorted(&pair.query(&["-no-ack", "-node=other", "load", "p"]).stdout), one);
        let kind = format!("kind={}", if driven == Kind::Swim { "se.f" } else { "sw.m" });
        assert_eq!(sorted(&pair.query(&["-no-ack", "-tag", &kind, "load", "p"]).stdout), one);
        let json: serde_json::Value = serde_json::from_str(&pair.query(&["-format=json", "load", "p"]).stdout).unwrap();
        assert_eq!(json["Responses"], serde_json::json!({ "driven": "load-driven-p\n", "other": "load-other-p\n" }));
        assert_eq!(json["Acks"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            pair.refused("query", &["_serf_list-keys"]),
            "Error sending query: Queries cannot contain the '_serf_' prefix\n"
        );
        assert_eq!(
            pair.refused("query", &["big", &"x".repeat(1100)]),
            "Error sending query: query exceeds limit of 1024 bytes\n"
        );
    });
}

#[test]
fn tags() {
    both(|driven| {
        let pair = Pair::new(driven, &[]);
        let changed = pair.ask("tags", &["-set", "dc=east", "-set", "role=web"]);
        assert_eq!(changed.stdout, "Successfully updated agent tags\n");
        pair.driven_has_tags(&[("dc", "east"), ("role", "web")]);
        pair.ask("tags", &["-set", "colour=green", "-set", "role=db", "-delete", "dc"]);
        pair.driven_has_tags(&[("colour", "green"), ("role", "db")]);
        let too_long = pair.refused("tags", &["-set", &format!("k={}", "x".repeat(600))]);
        assert_eq!(too_long, "Error setting tags: Encoded length of tags exceeds limit of 512 bytes\n");
    });
}

#[test]
fn keys() {
    const OLD: &str = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
    const NEW: &str = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";
    both(|driven| {
        let pair = Pair::new(driven, &[UNHURRIED, &format!("-encrypt={OLD}")]);
        let change = |flag: &str, key: &str| pair.ask("keys", &[&format!("-{flag}={key}")]).stdout;
        let listed = |key: &str, count: &str| {
            let listed = pair.ask("keys", &["-list"]).stdout;
            assert!(listed.starts_with(LISTING), "{listed}");
            assert_eq!(listed.contains(&format!("{key}  [{count}]")), count != "none", "{listed}");
            assert_eq!(listed.contains(key), count != "none", "{listed}");
        };
        listed(OLD, "2/2");
        assert_eq!(change("install", NEW), "==> Installing key on all members...\n==> Successfully installed key!\n");
        listed(NEW, "2/2");
        assert_eq!(
            change("use", NEW),
            "==> Changing primary key on all members...\n==> Successfully changed primary key!\n"
        );
        assert_eq!(
            sorted(&pair.refused("keys", &[&format!("-remove={NEW}")])),
            [
                "",
                "==> Removing key on all members...",
                "Error removing key: 2/2 nodes reported failure",
                "failed:  driven  Removing the primary key is not allowed",
                "failed:  other   Removing the primary key is not allowed",
            ]
        );
        assert_eq!(change("remove", OLD), "==> Removing key on all members...\n==> Successfully removed key!\n");
        listed(OLD, "none");
        assert_eq!(
            pair.refused("keys", &["-install=not base64!"]),
            "==> Installing key on all members...\n\nError installing key: illegal base64 data at input byte 3\n"
        );
        wait_whole(&[&pair.driven, &pair.other], secs(15));
    });
}

const LISTING: &str = "==> Asking all members for installed keys...\n==> Keys gathered, listing cluster keys...\n\n";

#[test]
fn keys_without_encryption() {
    both(|driven| {
        let pair = Pair::new(driven, &[UNHURRIED]);
        let refused = sorted(&pair.refused("keys", &["-list"]));
        assert_eq!(
            refused,
            [
                "",
                "==> Asking all members for installed keys...",
                "Failed to gather member keys: 2/2 nodes reported failure",
                "failed:  driven  Keyring is empty (encryption not enabled)",
                "failed:  other   Keyring is empty (encryption not enabled)",
            ]
        );
    });
}

#[test]
fn round_trips() {
    both(|driven| {
        let pair = Pair::new(driven, &[]);
        wait_until("a round trip is known", secs(15), || {
            let output = pair.run("rtt", &["other"]);
            if output.success { Ok(()) } else { Err(output.stdout) }
        });
        for (nodes, names) in [(&["other"][..], "other <-> driven"), (&["driven", "other"], "driven <-> other")] {
            let line = pair.ask("rtt", nodes).stdout;
            let millis =
                line.strip_prefix(&format!("Estimated {names} rtt: ")).and_then(|rest| rest.strip_suffix(" ms\n"));
            let (_, decimals) = millis.and_then(|millis| millis.split_once('.')).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(decimals.len(), 3, "{line}");
        }
        assert_eq!(pair.refused("rtt", &["nobody"]), "Could not find a coordinate for node \"nobody\"\n");
    });
}

#[test]
fn reachability() {
    both(|driven| {
        let mut pair = Pair::new(driven, &[UNHURRIED]);
        let expected = [
            "Starting reachability test...",
            "Successfully contacted all live nodes",
            "Total members: 2, live members: 2",
        ];
        assert_eq!(pair.lines("reachability", &[]), expected);
        let verbose = pair.ask("reachability", &["-verbose"]).stdout;
        for part in ["\tAck from 'driven'\n", "\tAck from 'other'\n", "Query time: ", " sec, time to last response: "] {
            assert!(verbose.contains(part), "{verbose}");
        }
        // Dead for so short a time that it still counts as alive.
        pair.other.kill();
        let missing = pair.refused("reachability", &[]);
        assert!(missing.contains("Received less acks than live nodes! Missing acks from:\n\tother\n"), "{missing}");
    });
}

/// Log lines and events until it is interrupted; and when the agent is gone, that is said.
#[test]
fn monitor() {
    both(|driven| {
        let mut pair = Pair::new(driven, &[]);
        let mut watching = pair.driven.watch(pair.program, "monitor", &["-log-level=debug"]);
        watching.wait_for("Accepted client: ");
        pair.ask("event", &["-coalesce=false", "mon", "pl"]);
        watching.wait_for("Received event: user-event: mon");
        watching.wait_for("\tName: \"mon\"\n");
        watching.wait_for("\tPayload: []byte{0x70, 0x6c}\n");
        // A list of members, in whatever form.
        pair.ask("tags", &["-set", "x=1"]);
        watching.wait_for("\tEvent: \"member-update\"\n");
        watching.signal("INT");
        assert_eq!(watching.ended(), Some(0));
        let mut watching = pair.driven.watch(pair.program, "monitor", &[]);
        watching.wait_for("Accepted client: ");
        pair.driven.kill();
        assert_eq!(watching.ended(), Some(1));
        watching.wait_for(
            "\n\nRemote side ended the monitor! This usually means that the\nremote side has exited or crashed.\n",
        );
    });
}

/// What only our client can do, it can do with Serf's agent as well: the list again when a member changes or fails.
#[test]
fn members_watched() {
    let mut pair = Pair::new(Kind::Serf, &[]);
    if !pair.program.is_ours() {
        return;
    }
    let mut text = pair.driven.watch(Kind::Swim, "members", &["-watch"]);
    text.wait_for(&format!("other   {}  alive  kind=swim\n\n", pair.other.bind));
    pair.ask("tags", &["-set", "x=1"]);
    text.wait_for("kind=serf,x=1\n");
    pair.other.kill();
    text.wait_for(&format!("other   {}  failed  kind=swim\n", pair.other.bind));
    text.signal("INT");
    assert_eq!(text.ended(), Some(0));
    let mut json = pair.driven.watch(Kind::Swim, "members", &["-watch", "-format=json", "-status=failed"]);
    json.wait_for(r#"{"members":[{"name":"other","#);
    pair.driven.kill();
    assert_eq!(json.ended(), Some(1));
}

/// And the whole view: members with their distance, the gauges, events and queries as they pass, the end of the agent.
#[test]
fn top() {
    let mut pair = Pair::new(Kind::Serf, &[]);
    if !pair.program.is_ours() {
        return;
    }
    wait_until("a round trip is known", secs(15), || {
        let output = pair.run("rtt", &["other"]);
        if output.success { Ok(()) } else { Err(output.stdout) }
    });
    let mut top = OnTerminal::start(pair.driven.client(Kind::Swim, "top"), 140, 36);
    for word in ["driven", "other", "kind=serf", "kind=swim", "self", "ms", "health", "intents"] {
        top.wait_for(word);
    }
    pair.ask("event", &["deploy", "1.2.3"]);
    top.wait_for("1.2.3");
    pair.ask("query", &["-timeout=1s", "load"]);
    top.wait_for("query");
    pair.ask("tags", &["-set", "x=1"]);
    top.wait_for("member-update");
    // Only what is new is printed.
    top.wait_for(",x=1");
    pair.other.kill();
    top.wait_for("member-failed");
    pair.driven.kill();
    top.wait_for("LOST");
    top.press("q");
    let ended = top.ended();
    assert_eq!(ended.code, Some(0));
    assert!(ended.is_as_before, "{:?}", ended.output);
}

/// A member that died is made to leave, and then forgotten. Unknown names are no error.
#[test]
fn force_leave() {
    both(|driven| {
        let pair = Pair::new(driven, &[]);
        let mut third = Agent::start(driven, "third", &["-profile=local"]);
        third.join(&pair.other);
        wait_whole(&[&pair.driven, &pair.other, &third], secs(20));
        third.kill();
        for agent in [&pair.driven, &pair.other] {
            wait_status(agent, "third", "failed", secs(45));
        }
        assert_eq!(pair.ask("force-leave", &["nobody"]).stdout, "");
        for (args, status) in [(["third"].as_slice(), "left"), (&["-prune", "third"], "none")] {
            wait_forced(&[&pair.driven, &pair.other], "third", status, || {
                assert_eq!(pair.ask("force-leave", args).stdout, "");
            });
        }
    });
}

#[test]
fn members_and_info() {
    both(|driven| {
        let pair = Pair::new(driven, &["-event-handler=user:deploy=true"]);
        pair.ask("tags", &["-set", "role=web"]);
        pair.driven_has_tags(&[("role", "web")]);
        // Text in columns; what the programs say in JSON is compared all the time.
        let [theirs, ours] = [Kind::Serf, Kind::Swim].map(|program| {
            let by = |args: &[&str]| {
                let output = pair.driven.ask(program, "members", args);
                assert!(output.success, "{program:?} {args:?}: {}", output.stdout);
                let words = |line: &str| {
                    // Tags are in no order.
                    let word = |word: &str| sorted(&word.replace(',', "\n")).join(",");
                    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
                };
                let mut lines: Vec<_> = output.stdout.lines().map(words).collect();
                lines.sort_unstable();
                lines
            };
            [
                by(&[]),
                by(&["-detailed"]),
                by(&["-name=dr.*", "-status=alive"]),
                by(&["-tag", "role=w.b", "-tag", "kind=s.*"]),
                by(&["-status=failed"]),
            ]
        });
        assert_eq!(theirs, ours);
        assert_eq!((theirs[0].len(), theirs[2].len(), theirs[3].len()), (2, 1, 1), "{theirs:?}");
        assert_eq!(pair.refused("members", &["-status=("]), "Error retrieving members: client closed\n");
        for (section, key, value) in [
            ("agent", "name", "driven"),
            ("event_handlers", "user:deploy", "true"),
            ("tags", "role", "web"),
            ("serf", "members", "2"),
            ("serf", "left", "0"),
        ] {
            assert_eq!(pair.driven.info(section, key), value, "{section}.{key}");
        }
    });
}

#[test]
fn tokens() {
    both(|driven| {
        let path = std::env::temp_dir().join(format!("swim-interop-token-{driven:?}-{}", std::process::id()));
        std::fs::write(&path, r#"{"rpc_auth": "sekret"}"#).unwrap();
        let file = format!("-config-file={}", path.display());
        // The harness asks without a token, and gets an answer all the same: a refusal.
        let agent = Agent::start_guarded(driven, "guarded", &["-profile=local", &file]);
        let by = |args: &[&str]| agent.ask(driven.other(), "members", args);
        let without = by(&[]);
        assert_eq!((without.success, &*without.stdout), (false, "Error retrieving members: Authentication required\n"));
        let wrong = by(&["-rpc-auth=wrong"]);
        assert_eq!(wrong.stdout, "Error connecting to Serf agent: Invalid authentication token\n");
        assert!(by(&["-rpc-auth=sekret"]).success);
        std::fs::remove_file(path).unwrap();
    });
}

/// The driven agent leaves, and ends well; the other knows that it has left.
#[test]
fn leave() {
    both(|driven| {
        let mut pair = Pair::new(driven, &[]);
        assert_eq!(pair.ask("leave", &[]).stdout, "Graceful leave complete\n");
        assert_eq!(pair.driven.wait_exit(secs(20)).code(), Some(0));
        wait_status(&pair.other, "driven", "left", secs(20));
        assert!(pair.refused("members", &[]).starts_with("Error connecting to Serf agent: dial tcp "));
    });
}

#[test]
fn failed_joins() {
    both(|driven| {
        let agent = Agent::start(driven, "alone", &["-profile=local"]);
        let nobody = format!("{}:1", agent.bind.ip());
        let output = agent.ask(driven.other(), "join", &[&nobody]);
        let expected = format!(
            "Error joining the cluster: 1 error occurred:\n\t* Failed to join {}: dial tcp {nobody}: connect: connection refused\n\n\n",
            agent.bind.ip()
        );
        assert_eq!((output.success, output.stdout), (false, expected));
    });
}
