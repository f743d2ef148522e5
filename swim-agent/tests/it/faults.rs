//! What the machine does to a member: a disk that is full, a process that stands still, a network that goes away, no port to
//! dial from.

use core::time::Duration;
use std::process::Command;
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{Agent, Directory, PATIENCE, after};

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
    let mut agent = Agent::start_with(after("trap '' XFSZ"), "127.0.0.1", "a", &[&snapshot]);
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
    assert_eq!(in_a_network_of_its_own(AWAY), ["met", "a alone", "b alone", "met again"]);
}

/// Without a port to dial from there are no streams: members stay members, events get through, who would join is told what is
/// wrong, and does once there are ports.
#[test]
#[ignore = "needs the right to make a network namespace (unprivileged user namespaces, or root) and iproute2"]
fn no_port_is_left() {
    let cannot = "Failed to join 127.0.0.1: dial tcp 127.0.0.1:7946: connect: cannot assign requested address";
    assert_eq!(
        in_a_network_of_its_own(PORTS),
        ["met", &format!("\t* {cannot}"), "b has heard", "a 2", "b 2", "c 1", "met again"]
    );
}

/// What cannot be written is said: before it starts, where it is about the snapshot; to whoever changes tags, which then stay
/// as they were; to whoever changes keys, which are changed and stay as they were in the file only.
#[test]
#[ignore = "needs the right to mount (unprivileged user namespaces, or root) and iproute2"]
fn a_disk_that_is_read_only() {
    let said = in_a_network_of_its_own(READ_ONLY);
    let [met, snapshot, tags, keys, others @ ..] = &said[..] else { panic!("{said:?}") };
    assert_eq!(met, "met");
    for (line, file) in [(snapshot, "snapshot"), (tags, "tags"), (keys, "keys")] {
        assert!(line.contains(file) && line.to_lowercase().contains("read-only file system"), "{said:?}");
    }
    assert_eq!(others, ["still there", "as before"]);
}

/// What `script` says, with a loopback interface that nobody else has, and [`COMMON`].
fn in_a_network_of_its_own(script: &str) -> Vec<String> {
    // Everything started in it ends with the namespace of its processes.
    let output = Command::new("timeout")
        .args([
            "120",
            "unshare",
            "--map-root-user",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "/bin/sh",
            "-c",
        ])
        .args([&[COMMON, script].concat(), env!("CARGO_BIN_EXE_swim")])
        .current_dir(Directory::new("network").path())
        .output()
        .expect("util-linux is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().map(str::to_owned).collect()
}

const COMMON: &str = r#"
set -e
swim=$0
ip link set lo up

start() {
    "$swim" agent -profile=local -node="$1" -bind="$2" -rpc-addr="unix:$PWD/$1" -retry-join=127.0.0.1 >"$1.log" 2>&1 &
    until [ -S "$1" ]; do sleep 0.1; done
}
counted() {
    "$swim" members -rpc-addr="unix:$PWD/$1" | grep -c " $2"
}
# The time limit is that of the whole.
until_counted() {
    until [ "$(counted "$1" "$2")" = "$3" ]; do sleep 0.1; done
}
until_said() {
    until grep -q "$2" "$1.log"; do sleep 0.1; done
}

start a 127.0.0.1
start b 127.0.0.2
until_counted a alive 2
until_counted b alive 2
echo met
"#;

const READ_ONLY: &str = r#"
mkdir disk
mount -t tmpfs none disk
key=$("$swim" keygen)
echo "[\"$key\"]" >disk/keys
echo '{}' >disk/tags
cp -r disk before
"$swim" agent -profile=local -node=d -bind=127.0.0.4 -rpc-addr="unix:$PWD/d" \
    -tags-file=disk/tags -keyring-file=disk/keys >d.log 2>&1 &
until [ -S d ]; do sleep 0.1; done
mount -o remount,ro disk
"$swim" agent -node=e -bind=127.0.0.5 -rpc-addr="unix:$PWD/e" -snapshot=disk/snapshot 2>&1 | grep -m 1 snapshot
"$swim" tags -rpc-addr="unix:$PWD/d" -set role=web 2>&1 | grep -m 1 tags
"$swim" keys -rpc-addr="unix:$PWD/d" -install="$("$swim" keygen)" 2>&1 | grep -m 1 'failed: .*keys'
until_counted d alive 1
echo still there
diff -r disk before && echo as before
"#;

const AWAY: &str = r#"
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

const PORTS: &str = r#"
range=/proc/sys/net/ipv4/ip_local_port_range
ports=$(cat "$range")
# The only port to dial from is one that somebody listens at.
echo 7946 7946 >"$range"
start c 127.0.0.3
until_said c 'Failed to join'
grep -m 1 'Failed to join' c.log
# Of two, one tries to exchange states with the other; only afterwards is there something to see.
until grep -q 'Push/Pull with .* failed' a.log b.log; do sleep 0.1; done
"$swim" event -coalesce=false -rpc-addr="unix:$PWD/a" hello >/dev/null
until_said b 'Received event: user-event: hello'
echo b has heard
for name in a b c; do
    echo "$name $(counted $name alive)"
done
echo "$ports" >"$range"
for name in a b c; do
    until_counted $name alive 3
done
echo met again
"#;
