#!/usr/bin/env bash
# Draws a sample of the mutants that `cargo mutants` makes of the core, and sees how many the tests catch.
#
#     swim-sim/mutations/sample.sh [options]
#
# They are drawn from swim/, serf/ and wire/ of swim-core by directory and genre, and built all at once into a copy of the
# checkout, where a variable says which of them runs (sample/src/main.rs). The tests are those of swim-core and swim-sim, and
# the examples of their documentation. Needs cargo-mutants, for the list.
# sample.tsv has a line for each, and below what they add up to; whoever runs this again goes on from there. A mutant is
# asked once: for new sources, or another seed, begin with an empty file.
#
#   --again        ask the survivors once more, with the tests as they are now
#   --jobs N       so many tests at once (2)
#   --list         only say what there is to draw from
#   --results FILE instead of sample.tsv
#   --scratch DIR  where to work, and to find what an earlier run has built; without it, a directory that is removed
#   --seconds N    stop after so long; the exit code is then 3
#   --seed N       another draw, which wants a file of its own
#
# The exit code is 2 if the question could not be put. A survivor is no failure: the last column says why it may live.
set -euo pipefail

# Of sample.tsv.
committed=2026
seed=$committed
drawn=600

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
results=$here/sample.tsv
scratch=''
options=()

refuse() {
    printf 'mutants: %s\n' "$*" >&2
    exit 2
}

while [[ $# -gt 0 ]]; do
    case $1 in
    --again | --list) options+=("$1") ;;
    --jobs | --seconds) options+=("$1" "${2:?}") && shift ;;
    --results) results=${2:?} && shift ;;
    --scratch) scratch=${2:?} && shift ;;
    --seed) seed=${2:?} && shift ;;
    *) refuse "there is no option $1" ;;
    esac
    shift
done
[[ $seed == "$committed" || $results != "$here/sample.tsv" ]] || refuse 'another draw wants another file of results (--results)'
command -v cargo-mutants >/dev/null || refuse 'needs cargo-mutants (cargo install cargo-mutants --locked)'

if [[ -z $scratch ]]; then
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/swim-mutants.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
fi
mkdir -p "$scratch"
scratch=$(cd "$scratch" && pwd)
cargo build --quiet --release --locked --manifest-path "$here/sample/Cargo.toml" --target-dir "$scratch/tool"
"$scratch/tool/release/swim-mutants" --root "$root" --scratch "$scratch" --results "$results" \
    --seed "$seed" --draw "$drawn" ${options[@]+"${options[@]}"}
