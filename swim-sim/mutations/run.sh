#!/usr/bin/env bash
# Breaks rules of the protocol on purpose, one at a time, and sees whether the swarm and the tests notice.
#
#     swim-sim/mutations/run.sh [options] [NAME...]
#
# Each *.patch beside this script is one mutation; what stands above its first line of diff says which rule it breaks.
# NAME is a patch's name, or its beginning. The checkout is copied to a scratch directory and never touched itself; all
# mutations are built in one target directory there. First the tree as it is must pass: otherwise everything would seem
# to be caught.
#
#   --check        only see that every patch still applies, in a second
#   --quick        no tests for what the swarm has caught
#   --seeds A..B   seeds of the swarm (0..48)
#   --scratch DIR  where to work, and to find what an earlier run has built; without it, a directory that is removed
#
# The exit code is 1 if a mutation survives, 2 if the question could not be put.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
seeds=0..48
check='' quick='' scratch=''
names=()
# Whoever does not end has noticed something, but cannot say what: that does not count.
swarm_seconds=600
test_seconds=900

refuse() {
    printf 'mutations: %s\n' "$*" >&2
    exit 2
}

while [[ $# -gt 0 ]]; do
    case $1 in
    --check) check=yes ;;
    --quick) quick=yes ;;
    --seeds) seeds=${2:?} && shift ;;
    --scratch) scratch=${2:?} && shift ;;
    -*) refuse "there is no option $1" ;;
    *) names+=("$1") ;;
    esac
    shift
done

patches=()
for patch in "$here"/*.patch; do
    wanted=$([[ ${#names[@]} -eq 0 ]] && echo yes || true)
    for name in ${names[@]+"${names[@]}"}; do
        if [[ $(basename "$patch") == "$name"* ]]; then
            wanted=yes
        fi
    done
    if [[ -n $wanted ]]; then
        patches+=("$patch")
    fi
done
[[ ${#patches[@]} -gt 0 ]] || refuse "there is no mutation of this name"

# Exactly, at any line: what stands around a mutation must be what it was written for.
for patch in "${patches[@]}"; do
    (cd "$root" && git apply --check "$patch") || refuse "$(basename "$patch") no longer applies"
done
if [[ -n $check ]]; then
    echo "all ${#patches[@]} mutations apply"
    exit 0
fi

if [[ -z $scratch ]]; then
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/swim-mutations.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
fi
mkdir -p "$scratch/tree" "$scratch/logs"
scratch=$(cd "$scratch" && pwd)
rm -rf "$scratch/tree"
mkdir "$scratch/tree"
tar -C "$root" --exclude=./.git --exclude=target -cf - . | tar -C "$scratch/tree" -xf -
export CARGO_TARGET_DIR=$scratch/target CARGO_INCREMENTAL=0 GIT_CEILING_DIRECTORIES=$scratch
cd "$scratch/tree"

# Whether the swarm holds; otherwise `found` says which seed breaks which rule.
swarm() { # name
    local log=$scratch/logs/$1.swarm code=0
    cargo build --quiet -p swim-sim 2>"$scratch/logs/$1.build" || {
        cat "$scratch/logs/$1.build" >&2
        refuse "$1 does not build"
    }
    timeout "$swarm_seconds" "$CARGO_TARGET_DIR/debug/swim-sim" swarm --seeds "$seeds" --jobs 2 --shrink 0 \
        >"$log" 2>&1 || code=$?
    case $code in
    0) return 0 ;;
    1)
        # "seed 7 breaks a rule; …", and below it "agreement at 1.2s: …".
        found=$(sed -n '/^seed [0-9]* breaks a rule/{s/^\(seed [0-9]*\).*/\1/;N;s/\n\([a-z_]*\) at .*/: \1/p;q}' "$log")
        [[ -n $found ]] || refuse "$1: the swarm failed without a seed, see $log"
        return 1
        ;;
    124)
        found='does not end'
        return 0
        ;;
    *)
        cat "$log" >&2
        refuse "$1: the swarm ended with $code"
        ;;
    esac
}

# Whether the tests pass; otherwise `found` names the first that does not.
tests() { # name
    local log=$scratch/logs/$1.tests code=0
    {
        timeout "$test_seconds" cargo test -p swim-core --lib &&
            timeout "$test_seconds" cargo test -p swim-sim --lib --tests
    } >"$log" 2>&1 || code=$?
    if [[ $code -eq 0 ]]; then
        return 0
    fi
    local binary count
    found=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" | head -n 1)
    if [[ -z $found ]]; then
        [[ $code -eq 124 ]] || {
            tail -n 40 "$log" >&2
            refuse "$1: the tests did not run"
        }
        found='does not end'
        return 0
    fi
    count=$(grep -c '^test .* \.\.\. FAILED$' "$log")
    # The last one that was begun: cargo stops at the first that fails.
    binary=$(sed -n 's/^ *Running .*(.*\/deps\/\(.*\)-[0-9a-f]*)$/\1/p' "$log" | tail -n 1)
    found="$binary: $found"
    if [[ $count -gt 1 ]]; then
        found+=" and $((count - 1)) more"
    fi
    return 1
}

found=''
echo "as it is: ${#patches[@]} mutations are to come, seeds $seeds"
swarm unmutated || refuse "the tree as it is fails in the swarm: $found"
tests unmutated || refuse "the tree as it is fails its tests: $found"
[[ -z $found ]] || refuse "the tree as it is $found"

survivors=0
rows=()
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    git apply "$patch"
    by_swarm=- by_tests=- caught=''
    found=''
    swarm "$name" || caught=yes
    by_swarm=${found:--}
    if [[ -n $caught && -n $quick ]]; then
        by_tests='not asked'
    else
        found=''
        tests "$name" || caught=yes
        by_tests=${found:--}
    fi
    git apply --reverse "$patch"
    if [[ -z $caught ]]; then
        survivors=$((survivors + 1))
    fi
    rows+=("$(printf '%-34s %-10s %-34s %s' "$name" "$([[ -n $caught ]] && echo caught || echo 'NOT CAUGHT')" "$by_swarm" "$by_tests")")
    printf '%s\n' "${rows[-1]}"
done

printf '\n%-34s %-10s %-34s %s\n' mutation '' 'by the swarm' 'by the tests'
printf '%s\n' "${rows[@]}"
if [[ $survivors -gt 0 ]]; then
    printf '\n%d of %d survive\n' "$survivors" "${#patches[@]}"
    exit 1
fi
printf '\nall %d are caught\n' "${#patches[@]}"
