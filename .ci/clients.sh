#!/usr/bin/env bash
# Third-party clients of Serf's RPC protocol, from their registries, against the agent: node-serf (npm) with its own
# suite, and serfclient (PyPI) with .ci/clients/serfclient_test.py, because its suite is not in its package.
#
#   .ci/clients.sh               serf first, if it is installed, to see that the suites are right; then our agent
#   .ci/clients.sh PROGRAM ...   these programs in the place of serf
#
# Needs the registries, node, npm and python3, and installs the first two if it can. node-serf's suite has fixed ports
# on 127.0.0.1 (7946, 7947, 7374, 7375); they must be free. Everything is bounded in time.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# What both suites must come to, with Serf 0.9.4 and with us.
mocha_expected='12 passing, 6 pending, 0 failing'
python_expected='16 passing'

scratch=$(mktemp -d)
trap clean_up EXIT

clean_up() {
    local pid
    # Agents of a suite that was cut short.
    while read -r pid; do
        if [[ $(readlink "/proc/$pid/exe") == "$program" ]]; then
            kill "$pid"
        fi
    done < <(cat "$scratch/pids" 2>/dev/null)
    rm -rf "$scratch"
}

need_node() {
    if command -v node >/dev/null && command -v npm >/dev/null; then
        return
    fi
    local root=()
    if [[ $(id -u) -ne 0 ]]; then
        root=(sudo -n)
    fi
    "${root[@]}" apt-get update
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y nodejs npm
}

install() {
    need_node
    (
        cd "$scratch"
        timeout 120 npm pack --silent node-serf@2.0.0 >/dev/null
        tar xzf node-serf-2.0.0.tgz
        cd package
        # Of what the suite is developed with, only what it runs with.
        sed -i '/"standard": /d; s|\("power-assert": "[^"]*"\),|\1|' package.json
        timeout 300 npm install --silent --no-audit --no-fund --ignore-scripts >/dev/null
    )
    python3 -m venv "$scratch/venv"
    timeout 300 "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
        'serfclient==1.2.0' 'msgpack==1.2.4' 'setuptools<81'
}

ports_are_free() {
    local port
    for port in 7946 7947 7374 7375; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "127.0.0.1:$port is in use, and node-serf's suite needs it"
            return 1
        fi
    done
}

# Prints what a suite came to, and its output if that is not what it should be.
judge() { # title, expected, found, output
    echo "$1: $3"
    if [[ $3 != "$2" ]]; then
        echo "expected was: $2"
        cat "$4"
        return 1
    fi
}

node_serf() { # program
    local bin=$scratch/bin out=$scratch/mocha
    ports_are_free
    rm -rf "$bin"
    mkdir "$bin"
    # The suite starts `serf`.
    printf '#!/bin/sh\necho $$ >>"%s"\nexec "%s" "$@"\n' "$scratch/pids" "$1" >"$bin/serf"
    chmod +x "$bin/serf"
    (cd "$scratch/package" && PATH=$bin:$PATH timeout -k 5 120 npx --no-install mocha --exit --reporter json) >"$out" || true
    judge 'node-serf 2.0.0' "$mocha_expected" "$(node -e '
        const { stats } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))
        console.log(`${stats.passes} passing, ${stats.pending} pending, ${stats.failures} failing`)
    ' "$out" 2>/dev/null || echo 'no result')" "$out"
}

serfclient() { # program
    local out=$scratch/unittest found='no result'
    if timeout -k 5 120 "$scratch/venv/bin/python" "$here/clients/serfclient_test.py" "$1" >"$out" 2>&1; then
        found="$(sed -n 's/^Ran \([0-9]*\) tests.*/\1 passing/p' "$out")"
    fi
    judge 'serfclient 1.2.0' "$python_expected" "$found" "$out"
}

if [[ $# -eq 0 ]]; then
    cd "$here/.."
    cargo build --quiet --locked -p swim-agent
    target=$(cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    if command -v serf >/dev/null; then
        set -- "$(command -v serf)"
    fi
    set -- "$@" "$target/debug/swim"
fi

install
failed=0
for program; do
    program=$(readlink -f "$program")
    echo "=== $program"
    node_serf "$program" || failed=1
    serfclient "$program" || failed=1
done
exit $failed
