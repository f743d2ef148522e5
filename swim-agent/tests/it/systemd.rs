//! The unit and first configuration in `dist/`, and what the agent tells systemd.
#![cfg(target_os = "linux")]

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Agent, Directory, PATIENCE, Running, run};

fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(name)
}

#[test]
fn systemd_hears_of_start_reload_and_stop() {
    let directory = Directory::new("notify");
    let path = directory.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut datagram = [0; 100];
        let len = socket.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..len].to_vec()).unwrap()
    };
    let mut agent = Agent::start_with(|command| _ = command.env("NOTIFY_SOCKET", &path), "127.0.0.1", "a", &[]);
    assert_eq!(heard(), "READY=1");
    assert_eq!(agent.swim("members", &[]).code, Some(0));
    agent.signal("HUP");
    let reloading = heard();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(heard(), "READY=1");
    agent.signal("INT");
    assert_eq!(heard(), "STOPPING=1");
    assert_eq!(agent.ended(), Some(0), "{}", agent.output);
}

/// One whose first join fails was never ready.
#[test]
fn systemd_hears_nothing_of_a_start_that_fails() {
    let directory = Directory::new("notify-failed");
    let path = directory.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command =
        crate::support::command(&["agent", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0", "-join=127.0.0.1:1"]);
    command.env("NOTIFY_SOCKET", &path);
    assert_eq!(run(command).code, Some(1));
    socket.set_nonblocking(true).unwrap();
    let mut datagram = [0; 100];
    let mut heard = Vec::new();
    while let Ok(len) = socket.recv(&mut datagram) {
        heard.push(String::from_utf8(datagram[..len].to_vec()).unwrap());
    }
    assert!(!heard.contains(&"READY=1".to_owned()), "{heard:?}");
}

/// A reload while the first join is under way is done, and does not end the wait for that.
#[test]
fn a_reload_does_not_make_it_ready() {
    let directory = Directory::new("notify-early");
    let path = directory.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // It takes connections, and says nothing.
    let seed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let join = format!("-join={}", seed.local_addr().unwrap());
    let mut command = crate::support::command(&["agent", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0", &join]);
    command.env("NOTIFY_SOCKET", &path);
    let mut agent = Running::spawn(command);
    agent.wait_for("==> Joining cluster...");
    agent.signal("HUP");
    agent.wait_for("==> Reloading configuration...");
    agent.signal("TERM");
    assert_eq!(agent.ended(), Some(1), "{}", agent.output);
    let mut datagram = [0; 100];
    let len = socket.recv(&mut datagram).unwrap();
    assert_eq!(datagram[..len].escape_ascii().to_string(), "STOPPING=1");
}

/// An agent starts with it as it is, but for where it keeps things.
#[test]
fn the_first_configuration_works() {
    let directory = Directory::new("dist");
    let text = std::fs::read_to_string(dist("swim.json")).unwrap();
    assert!(text.contains("\"/var/lib/swim/"), "{text}");
    directory.write("swim.json", &text.replace("/var/lib/swim/", ""));
    let agent = Agent::start_in(directory.path(), &["-config-dir=."]);
    assert!(agent.output.contains("Snapshot: true"), "{}", agent.output);
    assert_eq!(agent.swim("tags", &["-set", "role=web"]).code, Some(0));
    assert!(directory.path().join("snapshot").exists());
    assert!(directory.path().join("tags").exists());
}

/// What systemd itself says of the unit, where there is one.
#[test]
fn the_unit_is_valid() {
    let directory = Directory::new("unit");
    let unit = std::fs::read_to_string(dist("swim.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/local/bin/swim agent "), "{unit}");
    let path = directory.write("swim.service", &unit.replace("/usr/local/bin/swim", env!("CARGO_BIN_EXE_swim")));
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("not checked: there is no systemd-analyze");
        return;
    }
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", &path]);
    let verified = run(command);
    assert_eq!((verified.code, &*verified.stderr), (Some(0), ""), "{verified:?}");
}
