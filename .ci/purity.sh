#!/usr/bin/env bash
# Shows that swim-core is pure: nothing that it links, whatever its features, can open a socket, read a clock, run a
# task or ask the system for randomness, and none of it has its feature `std` on. The compiler does the rest, because
# the crate is `no_std` without conditions (swim-core/tests/layers.rs looks after that).
#
#   .ci/purity.sh               checks the workspace
#   .ci/purity.sh --self-test   checks that the check would notice
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Crates that stand for the outside world. `rand` is the one with the system's generator in it; `rand_core` and
# `rand_chacha` are arithmetic.
forbidden='tokio tokio-util async-std async-io async-global-executor async-executor async-process async-net async-fs
smol glommio monoio embassy-executor futures futures-executor futures-timer blocking polling mio socket2 nix rustix
libc windows-sys windows-targets windows-link winapi wasi wasip2 js-sys wasm-bindgen web-sys web-time quanta
instant time chrono jiff humantime getrandom rand fastrand ring openssl openssl-sys crossbeam rayon parking_lot
parking_lot_core thread_local num_cpus signal-hook ctrlc tempfile memmap2 env_logger tracing-subscriber log4rs
hostname if-addrs hickory-resolver ahash'

# A processor with an operating system, another one, one in a browser and one with nothing at all. No target needs to
# be installed for this: cargo only resolves.
targets='x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu wasm32-unknown-unknown thumbv7em-none-eabihf'
features='--no-default-features --all-features'

# Prints one line per crate that swim-core links: name, version, features. Procedural macros run in the compiler and are
# not linked, so they and what they need are left out; so are build scripts.
linked() { # manifest, target, feature flag
    cargo tree --quiet --locked --offline --manifest-path "$1" -p swim-core -e normal,no-proc-macro \
        --target "$2" "$3" --prefix none --no-dedupe -f '{p}|{f}' | sed 's/ ([^|]*)//' | sort -u
}

# Prints complaints about one such list, read from standard input; nothing when it is pure.
impurities() { # target
    local target=$1 line crate enabled
    while IFS='|' read -r line enabled; do
        crate=${line%% *}
        if grep -qxF -- "$crate" <<<"$(tr -s ' \n' '\n' <<<"$forbidden")" && ! allowed "$crate" "$target"; then
            echo "$line is linked on $target"
        fi
        if grep -qxF std <<<"$(tr ',' '\n' <<<"$enabled")" && ! allowed "$crate/std" "$target"; then
            echo "$line has its feature std on, on $target"
        fi
    done
}

allowed() { # crate or crate/feature, target
    grep -Eq "^$(sed 's/[.+]/\\&/g' <<<"$1") +on +($2|any) +because +." "$here/purity.allow" || return 1
    echo "$1" >>"$used"
}

check() { # manifest
    local target feature found complaints=''
    for target in $targets; do
        for feature in $features; do
            found=$(linked "$1" "$target" "$feature")
            # An empty or foreign answer would pass everything.
            grep -q '^swim-core ' <<<"$found" && grep -q '^hashbrown ' <<<"$found" || {
                echo "cargo tree does not answer as expected for $target $feature:"
                echo "$found"
                return 1
            }
            complaints+=$(impurities "$target" <<<"$found" | sed "s|\$|, with $feature|")
            complaints+=$'\n'
        done
    done
    complaints=$(grep . <<<"$complaints" || true)
    if [[ -n $complaints ]]; then
        echo "$complaints"
        return 1
    fi
}

check_workspace() {
    local manifest=$here/../Cargo.toml entry
    # Later steps work without the network, and only with what the lock file says.
    cargo fetch --quiet --locked --manifest-path "$manifest"
    : >"$used"
    check "$manifest"
    while read -r entry; do
        grep -qxF -- "$entry" "$used" || {
            echo "purity.allow: nothing needs the entry for $entry"
            return 1
        }
    done < <(grep -Ev '^ *(#|$)' "$here/purity.allow" | cut -d' ' -f1)
    echo "swim-core is pure: $(wc -w <<<"$targets") targets, with no features and with all"
}

# A workspace of swim-core alone, its manifest changed by a sed script, beside a crate that only has a forbidden name.
variant() { # directory, sed script for swim-core/Cargo.toml, sed script for Cargo.toml
    rm -rf "$1"
    mkdir -p "$1/getrandom/src"
    printf '[package]\nname = "getrandom"\nversion = "99.0.0"\nedition = "2024"\n' >"$1/getrandom/Cargo.toml"
    : >"$1/getrandom/src/lib.rs"
    cp -R "$here/../swim-core" "$1/swim-core"
    cp "$here/../Cargo.lock" "$1/Cargo.lock"
    sed -e '/^members = \[/,/^\]/c members = ["swim-core"]' -e '/^default-members/d' -e "$3" "$here/../Cargo.toml" \
        >"$1/Cargo.toml"
    sed -i -e "$2" "$1/swim-core/Cargo.toml"
    # The members that are gone must go from the lock file as well.
    cargo update --quiet --offline --workspace --manifest-path "$1/Cargo.toml"
}

expect_failure() { # what it is about, words that the complaint must contain, then the arguments of variant
    local title=$1 words=$2 output
    shift 2
    variant "$scratch/ws" "$@"
    if output=$(check "$scratch/ws/Cargo.toml"); then
        echo "self-test: $title was not noticed"
        return 1
    fi
    grep -qF -- "$words" <<<"$output" || {
        echo "self-test: $title: the complaint should contain '$words', it is"
        echo "$output"
        return 1
    }
    echo "self-test: $title is noticed: $(head -n 1 <<<"$output")"
}

self_test() {
    cargo fetch --quiet --locked --manifest-path "$here/../Cargo.toml"
    # Without a change the copy passes; or what follows would prove nothing.
    variant "$scratch/ws" '' ''
    check "$scratch/ws/Cargo.toml"
    echo 'self-test: an unchanged copy passes'
    local dependency='[dependencies]\ngetrandom = { path = "../getrandom" }'
    expect_failure 'a dependency on getrandom' 'getrandom v99.0.0 is linked' \
        "s|^\\[dependencies\\]\$|$dependency|" ''
    expect_failure 'one behind a feature that is off by default' 'with --all-features' \
        "s|^\\[dependencies\\]\$|[dependencies]\\ngetrandom = { path = \"../getrandom\", optional = true }|" ''
    expect_failure 'one on a single target' 'getrandom v99.0.0 is linked on wasm32-unknown-unknown' \
        "s|^\\[lints\\]\$|[target.'cfg(target_family = \"wasm\")'.dependencies]\\ngetrandom = { path = \"../getrandom\" }\\n\\n[lints]|" ''
    expect_failure 'the feature std of serde' 'has its feature std on' \
        's|^serde.workspace = true$|serde = { workspace = true, features = ["std"] }|' ''
    expect_failure 'the feature std of zeroize, in the manifest of the workspace' 'has its feature std on' '' \
        's|^zeroize = .*|zeroize = { version = "1", default-features = false, features = ["alloc", "std"] }|'
}

scratch=$(mktemp -d)
used=$scratch/used
: >"$used"
trap 'rm -rf "$scratch"' EXIT

case ${1-} in
'') check_workspace ;;
--self-test) self_test ;;
*)
    echo "usage: $0 [--self-test]" >&2
    exit 2
    ;;
esac
