#!/usr/bin/env bash
# Builds the workspace with the oldest versions of its direct dependencies that Cargo.toml allows, in a copy of what is
# committed, and runs the tests of the core with them. It asks the network for what it has not got. What our dependencies
# say of theirs is not ours to prove, so those are as new as they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The option has no stable name yet.
export RUSTC_BOOTSTRAP=1
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git archive HEAD | tar -x -C "$copy"
cd "$copy"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$copy/target}
cargo update --quiet -Z direct-minimal-versions
unset RUSTC_BOOTSTRAP
cargo check --workspace --all-targets --all-features --locked
cargo test --locked --package swim-core --quiet
