//! What the machine does to a member: a disk that is full, a process that stands still, a network that goes away.

use core::time::Duration;
use std::process::Command;
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{Agent, Directory, PATIENCE};

/// Waits until `agent` gives this status to `name`.
fn wait_for(agent: &Agent, name: &str, status: &str) {
    agent.members_until(|members| {
        members.lines().any(|line| line.split_whitespace().next() == Some(name) && line.contains(&format!(" {status}")))
    });
}

/// A disk that takes nothing more is said in the log, and stops nothing. Once there is room, the snapshot is made good.
#[test]
fn a_full_disk() {
    let directory = Directory::new("full");
    let path = directory.path().join("snapshot");
    let snapshot = format!("-snapshot={}", path.display());
    // A limit on the length of files stands for the disk. Whoever exceeds it gets a signal, if it does not ignore that.
    let ignoring = |command: &mut Command| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
        *command = shell;
    };
    let mut agent = Agent::start_with(ignoring, "127.0.0.1", "a", &[&snapshot]);
    let process = Pid::from_raw(agent.pid().try_into().unwrap());
    let limit_files = |bytes| {
        let before = prlimit(process, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
        assert_ne!(before.current, bytes);
    };
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&path).unwrap().contains("alive: a ") {
        assert!(Instant::now() < deadline, "it is not in its own snapshot");
        thread::sleep(Duration::from_millis(50));
    }

    limit_files(Some(std::fs::metadata(&path).unwrap().len()));
    let b = Agent::start("b", &["-join", &agent.bind.to_string()]);
    agent.wait_for("cannot write the snapshot");
    assert!(agent.output.contains("File too large"), "{}", agent.output);
    // It is a member like any other.
    wait_for(&agent, "b", "alive");
    wait_for(&b, "a", "alive");
    assert_eq!(b.swim("event", &["-coalesce=false", "hello"]).code, Some(0));
    agent.wait_for("Received event: user-event: hello");

    limit_files(None);
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        let lines = std::fs::read_to_string(&path).unwrap();
        if lines.contains("alive: a ") && lines.contains("alive: b ") {
            break;
        }
        assert!(Instant::now() < deadline, "b is not in the snapshot:\n{lines}");
        // An attempt at a repair is made when there is something to write.
        assert_eq!(b.swim("event", &["-coalesce=false", "again"]).code, Some(0));
        thread::sleep(Duration::from_millis(500));
    }
}

/// Whoever stands still has failed, and is back as soon as it goes on: it contradicts what was said about it.
#[test]
fn a_process_that_stands_still() {
    let a = Agent::start("a", &[]);
    let join = format!("-join={}", a.bind);
    let b = Agent::start("b", &[&join]);
    let stands = Agent::start("c", &[&join]);
    for agent in [&a, &b, &stands] {
        agent.members_until(|members| members.matches(" alive").count() == 3);
    }
    stands.signal("STOP");
    for agent in [&a, &b] {
        wait_for(agent, "c", "failed");
    }
    stands.signal("CONT");
    for agent in [&a, &b, &stands] {
        for name in ["a", "b", "c"] {
            wait_for(agent, name, "alive");
        }
    }
}

/// Without a network everybody else fails; with it they are back, though nobody was told to join again.
#[test]
#[ignore = "needs the right to make a network namespace (unprivileged user namespaces, or root) and iproute2"]
fn a_network_that_goes_away() {
    // Everything started in it ends with the namespace of its processes.
    let output = Command::new("timeout")
        .args(["120", "unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "/bin/sh", "-c"])
        .args([AWAY, env!("CARGO_BIN_EXE_swim")])
        .current_dir(Directory::new("away").path())
        .output()
        .expect("util-linux is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().collect::<Vec<_>>(), ["met", "a alone", "b alone", "met again"], "{said}");
}

const AWAY: &str = r#"
set -e
swim=$0
ip link set lo up

start() {
    "$swim" agent -profile=local -node="$1" -bind="$2" -rpc-addr="unix:$PWD/$1" -retry-join=127.0.0.1 >"$1.log" 2>&1 &
    until [ -S "$1" ]; do sleep 0.1; done
}
# The time limit is that of the whole.
until_counted() {
    until [ "$("$swim" members -rpc-addr="unix:$PWD/$1" | grep -c " $2")" = "$3" ]; do sleep 0.1; done
}

start a 127.0.0.1
start b 127.0.0.2
until_counted a alive 2
until_counted b alive 2
echo met
ip link set lo down
for name in a b; do
    until_counted $name failed 1
    echo $name alone
done
ip link set lo up
until_counted a alive 2
until_counted b alive 2
echo met again
"#;
