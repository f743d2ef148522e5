//! Discovery by mDNS. Serf's agents ask the default interface, so they need a network in which that is the loopback one.

use std::process::Command;

/// Ours finds theirs, and theirs finds ours: whoever starts second asks, and the other would not ask again for a minute.
#[test]
#[ignore = "needs the right to make a network namespace (unprivileged user namespaces, or root) and iproute2"]
fn both_find_each_other() {
    // Everything started in it ends with the namespace of its processes.
    let output = Command::new("timeout")
        .args(["60", "unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "/bin/sh", "-c"])
        .args([SCRIPT, env!("CARGO_BIN_EXE_swim")])
        .output()
        .expect("util-linux is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| *line == "found").count(), 2, "{said}");
}

const SCRIPT: &str = r#"
set -e
ip link set lo up multicast on
ip route add default dev lo
ip -6 route add ff00::/8 dev lo table local

# Program, address, cluster and the rest: an agent that is up.
start() {
    program=$1 address=$2 cluster=$3; shift 3
    "$program" agent -profile=local -node="$address" -bind="$address" -rpc-addr="$address:7373" \
        -discover="$cluster" "$@" >/dev/null 2>&1 &
    until serf members -rpc-addr="$address:7373" >/dev/null 2>&1; do sleep 0.1; done
}

# Until it has found the other; the time limit is that of the whole.
found() {
    until [ "$(serf members -rpc-addr="$1:7373" | grep -c ' alive')" = 2 ]; do sleep 0.1; done
    echo found
}

start serf 127.0.0.2 first
start "$0" 127.0.0.3 first -wire=serf
found 127.0.0.3
start "$0" 127.0.0.4 second -wire=serf
start serf 127.0.0.5 second
found 127.0.0.5
"#;
