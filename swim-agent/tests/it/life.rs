//! From the banner to the exit code.
#![cfg(unix)]

use crate::support::{Agent, Directory};

#[test]
fn the_banner_comes_before_the_log() {
    let mut agent = Agent::start("bb", &["-log-level=debug"]);
    agent.wait_for("[INFO] serf: EventMemberJoin: bb 127.0.0.1");
    let (bind, rpc) = (agent.bind, &agent.rpc);
    let banner = format!(
        "==> Starting Serf agent...\n\
         ==> Starting Serf agent RPC...\n\
         ==> Serf agent running!\n\
         \x20                     Node name: 'bb'\n\
         \x20                     Bind addr: '{bind}'\n\
         \x20                      RPC addr: '{rpc}'\n\
         \x20                     Encrypted: false\n\
         \x20                      Snapshot: false\n\
         \x20                       Profile: local\n\
         \x20   Message Compression Enabled: true\n\
         \n\
         ==> Log data will now stream in as it occurs:\n\
         \n\
         \x20   20"
    );
    assert!(agent.output.starts_with(&banner), "{}", agent.output);
    assert!(agent.output.contains("[INFO] agent: Serf agent starting\n"), "{}", agent.output);
}

#[test]
fn dev_says_what_to_type_next() {
    let agent = Agent::start("first", &["-dev"]);
    let bind = agent.bind;
    assert!(agent.output.contains(&format!(" -join={bind}\n")), "{}", agent.output);
    assert!(agent.output.contains(&format!(" members -rpc-addr={}\n", agent.rpc)), "{}", agent.output);
}

#[test]
fn dev_on_a_socket() {
    let agent = Agent::start_on_socket("first", &["-dev"]);
    let rpc = &agent.rpc;
    assert!(agent.output.contains(&format!(" -rpc-addr={rpc}-second -join={}\n", agent.bind)), "{}", agent.output);
    assert!(agent.output.contains(&format!(" members -rpc-addr={rpc}\n")), "{}", agent.output);
}

#[test]
fn interrupt_leaves_and_ends_well() {
    let mut agent = Agent::start("a", &[]);
    agent.signal("INT");
    assert_eq!(agent.ended(), Some(0), "{}", agent.output);
    assert!(agent.output.contains("==> Caught signal: interrupt\n==> Gracefully shutting down agent...\n"));
    assert!(agent.output.contains("[INFO] agent: requesting graceful leave from Serf"));
    assert!(agent.output.contains("[INFO] agent: shutdown complete"));
}

#[test]
fn terminate_ends_at_once() {
    let mut agent = Agent::start("a", &[]);
    agent.signal("TERM");
    assert_eq!(agent.ended(), Some(1), "{}", agent.output);
    assert!(agent.output.contains("==> Caught signal: terminated\n"));
    assert!(!agent.output.contains("Gracefully"));
}

#[test]
fn settings_turn_the_signals_round() {
    let directory = Directory::new("signals");
    let file = directory.write("a.json", r#"{"leave_on_terminate": true, "skip_leave_on_interrupt": true}"#);
    let mut terminated = Agent::start("a", &["-config-file", &file]);
    terminated.signal("TERM");
    assert_eq!(terminated.ended(), Some(0), "{}", terminated.output);
    let mut interrupted = Agent::start("a", &["-config-file", &file]);
    interrupted.signal("INT");
    assert_eq!(interrupted.ended(), Some(1), "{}", interrupted.output);
}

#[test]
fn a_second_signal_stops_waiting() {
    let ends_early = || {
        let mut agent = Agent::start("a", &[]);
        agent.signal("INT");
        agent.wait_for("Gracefully shutting down agent...");
        agent.signal("INT");
        agent.ended() == Some(1)
    };
    // On a machine that stalls, the leave may be done before the second one is sent.
    assert!((0..5).any(|_| ends_early()));
}

#[test]
fn leave_command_ends_the_agent_well() {
    let mut agent = Agent::start("a", &[]);
    let left = agent.swim("leave", &["ignored"]);
    assert_eq!((left.code, &*left.stdout), (Some(0), "Graceful leave complete\n"));
    assert_eq!(agent.ended(), Some(0), "{}", agent.output);
}

#[test]
fn hangup_reloads_level_and_tags() {
    let directory = Directory::new("reload");
    let file = directory.write("a.json", r#"{"tags": {"role": "web"}}"#);
    let mut agent = Agent::start("a", &["-config-file", &file, "-tag", "dc=east"]);
    agent.members_until(|members| members.ends_with("dc=east,role=web\n"));
    directory.write("a.json", r#"{"tags": {"role": "db"}, "log_level": "err"}"#);
    agent.signal("HUP");
    agent.wait_for("==> Caught signal: hangup\n==> Reloading configuration...\n");
    agent.members_until(|members| members.ends_with("dc=east,role=db\n"));
    // A broken file changes nothing. What was said up to here is of the old level.
    directory.write("a.json", "{");
    agent.signal("HUP");
    agent.wait_for("==> Failed to reload configs\n");
    agent.forget();
    assert_eq!(agent.swim("members", &[]).code, Some(0));
    agent.signal("HUP");
    agent.wait_for("==> Failed to reload configs\n");
    assert!(agent.output.contains("unexpected EOF"), "{}", agent.output);
    assert!(!agent.output.contains("Accepted client"), "still logs INFO:\n{}", agent.output);
    assert!(agent.swim("members", &[]).stdout.ends_with("dc=east,role=db\n"));
}

/// With a file of tags a reload says of those in the configuration what a start would, and takes none of them over.
#[test]
fn hangup_says_that_tags_are_not_taken_over() {
    let directory = Directory::new("reload-tags");
    let file = directory.write("a.json", "{}");
    let tags = directory.write("tags", r#"{"role": "web"}"#);
    let mut agent = Agent::start("a", &["-config-file", &file, "-tags-file", &tags]);
    directory.write("a.json", r#"{"tags": {"role": "db"}}"#);
    agent.signal("HUP");
    agent.wait_for("==> Tags config not allowed while using tag files\n");
    assert!(agent.swim("members", &[]).stdout.ends_with("role=web\n"));
}

#[test]
fn retry_join_gives_up_in_the_end() {
    let mut agent = Agent::start("a", &["-retry-join=127.0.0.1:1", "-retry-interval=1s", "-retry-max=1"]);
    assert_eq!(agent.ended(), Some(1), "{}", agent.output);
    assert_eq!(agent.output.matches("agent: joining: [127.0.0.1:1] replay: false").count(), 2, "{}", agent.output);
    assert!(agent.output.contains(", retrying in 1s"), "{}", agent.output);
    assert!(agent.output.contains("[ERR] agent: maximum retry join attempts made, exiting"), "{}", agent.output);
}
