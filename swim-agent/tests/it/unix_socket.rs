//! RPC over a Unix socket: the file, and how commands find it. What goes over it is tested with the rest (`hostile`).

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use crate::support::{Agent, Directory, Running, command, run, swim};

fn at(directory: &Directory) -> (std::path::PathBuf, String) {
    let path = directory.path().join("rpc");
    let flag = format!("-rpc-addr=unix:{}", path.display());
    (path, flag)
}

/// What an agent says that does not start.
fn refused(flag: &str) -> String {
    let found = swim(&["agent", "-bind=127.0.0.1:0", flag]);
    assert_eq!(found.code, Some(1), "{found:?}");
    found.stdout
}

#[test]
fn commands_find_the_agent_by_flag_and_by_environment() {
    let directory = Directory::new("socket-commands");
    let (path, flag) = at(&directory);
    let other = Agent::start("other", &[]);
    let mut agent = Agent::start("a", &[&flag]);
    assert!(agent.output.contains(&format!("RPC addr: 'unix:{}'", path.display())), "{}", agent.output);
    let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(
        swim(&["join", &flag, &other.bind.to_string()]).stdout,
        "Successfully joined cluster by contacting 1 nodes.\n"
    );
    let mut members = command(&["members", "-name=a"]);
    members.env("SERF_RPC_ADDR", format!("unix:{}", path.display()));
    assert!(run(members).stdout.starts_with("a  127.0.0.1:"));
    agent.wait_for("[INFO] agent.ipc: Accepted client: user ");
    let mut monitor = Running::start(&["monitor", &flag]);
    monitor.wait_for("[INFO] serf: EventMemberJoin: other 127.0.0.1");
    assert_eq!(swim(&["leave", &flag]).stdout, "Graceful leave complete\n");
    monitor.wait_for("Remote side ended the monitor!");
    assert_eq!(agent.ended(), Some(0), "{}", agent.output);
    assert!(!path.exists());
}

/// It goes with every orderly end, and not when it is somebody else's by then.
#[test]
fn the_file_goes_with_the_agent() {
    let directory = Directory::new("socket-end");
    let (path, flag) = at(&directory);
    let mut agent = Agent::start("a", &[&flag]);
    agent.signal("TERM");
    assert_eq!(agent.ended(), Some(1));
    assert!(!path.exists());

    let mut agent = Agent::start("a", &[&flag]);
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    agent.signal("INT");
    assert_eq!(agent.ended(), Some(0));
    assert!(path.exists());

    // Nor is it left by an agent that does not get far.
    fs::remove_file(&path).unwrap();
    let found = swim(&["agent", "-bind=127.0.0.1:0", &flag, "-join=127.0.0.1:1"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let directory = Directory::new("socket-stale");
    let (path, flag) = at(&directory);
    let mut first = Agent::start("a", &[&flag]);
    first.signal("KILL");
    first.ended();
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    assert_eq!(
        swim(&["members", &flag]).stdout,
        format!("Error connecting to Serf agent: dial unix {}: connect: connection refused\n", path.display())
    );
    let second = Agent::start("b", &[&flag]);
    assert_eq!(
        refused(&flag),
        format!(
            "==> Starting Serf agent...\n==> Error starting RPC listener: listen unix {}: bind: address already in use: \
             another agent listens there\n",
            path.display()
        )
    );
    assert!(swim(&["members", &flag]).stdout.starts_with("b  "));
    drop(second);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let directory = Directory::new("socket-other");
    let (path, flag) = at(&directory);
    let precious = directory.write("precious", "gold");
    let left_alone = || {
        let said = refused(&flag);
        assert!(said.contains("something that is no socket is there, and is left alone"), "{said}");
    };
    fs::write(&path, "gold").unwrap();
    left_alone();
    assert_eq!(fs::read_to_string(&path).unwrap(), "gold");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    left_alone();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "gold");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    left_alone();
    assert!(path.is_dir());
}

#[test]
fn places_where_no_socket_can_be() {
    let directory = Directory::new("socket-place");
    let missing = format!("-rpc-addr=unix:{}/no/rpc", directory.path().display());
    let said = refused(&missing);
    assert!(said.ends_with(": bind: no such file or directory\n"), "{said}");
    let long = format!("-rpc-addr=unix:{}/{}", directory.path().display(), "x".repeat(200));
    let said = refused(&long);
    assert!(said.contains("SUN_LEN"), "{said}");
    let found = swim(&["members", &missing]);
    assert!(found.stdout.starts_with("Error connecting to Serf agent: dial unix "), "{}", found.stdout);
    assert!(found.stdout.ends_with("/no/rpc: connect: no such file or directory\n"), "{}", found.stdout);
    assert_eq!(swim(&["members", &long]).code, Some(1));
}
