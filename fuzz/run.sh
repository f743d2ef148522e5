#!/usr/bin/env bash
# Fuzzes every target for so many seconds, one after the other, and adds what was done to results.tsv.
#
#   fuzz/run.sh [-j jobs] [-n] [-a] seconds [target ...]
#
# -j: so many targets at once, 2 unless said otherwise. -n: results.tsv stays as it is, for a mere look. -a: with the
# address sanitizer, half as fast; its figures are not those of results.tsv, which stays as it is.
#
# It goes on where it stopped: what a target has found is kept in working/, and the committed corpus is its seed. An input
# that breaks something is in artifacts/, and the script fails. It takes a stable compiler and one for C++, for libFuzzer;
# cargo-fuzz is not needed, but these are its flags.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

jobs=2 keep=false sanitize=false
while getopts j:na option; do
    case $option in
    j) jobs=$OPTARG ;;
    n) keep=true ;;
    a) sanitize=true keep=true ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
seconds=${1:?how many seconds for each target}
shift
if [[ $# -eq 0 ]]; then
    set -- $(basename -s .rs fuzz_targets/*.rs)
fi

host=$(rustc -vV | sed -n 's/^host: //p')
flags='--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module'
for argument in sanitizer-coverage-level=4 sanitizer-coverage-inline-8bit-counters sanitizer-coverage-pc-table \
    sanitizer-coverage-trace-compares simplifycfg-branch-fold-threshold=0; do
    flags+=" -Cllvm-args=-$argument"
done
built=target
if $sanitize; then
    # Stable as the compiler is, this flag is not: it has to be told that we know.
    export RUSTC_BOOTSTRAP=1
    flags+=' -Zsanitizer=address'
    built=target/asan
fi
bins=()
for target in "$@"; do
    bins+=(--bin "$target")
done
RUSTFLAGS=$flags cargo build --quiet --release --target "$host" --target-dir "$built" "${bins[@]}"

fuzz() { # target
    local log=working/$1.log
    mkdir -p "working/$1" "artifacts/$1"
    # Named files of the corpus are read and stay as they are; new inputs go to the first folder.
    "$built/$host/release/$1" "working/$1" "corpus/$1" -max_total_time="$seconds" -print_final_stats=1 \
        -dict=dictionary.txt -timeout=20 -rss_limit_mb=1024 -max_len=4096 -artifact_prefix="artifacts/$1/" \
        >"$log" 2>&1 || echo crashed >"working/$1.crashed"
}

# One line a target: what was there, and what this run adds.
account() { # target
    local log=working/$1.log executions rate spent=$seconds coverage features peak
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    if [[ -f working/$1.crashed ]]; then
        rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
        spent=$((${executions:-0} / (${rate:-0} > 0 ? rate : 1)))
    fi
    peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
    coverage=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
    features=$(sed -n 's/.* ft: \([0-9]*\).*/\1/p' "$log" | tail -1)
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "${executions:-0}" "$spent" "${coverage:-0}" "${features:-0}" "${peak:-0}"
}

rm -f working/*.crashed
mkdir -p working
for target in "$@"; do
    while [[ $(jobs -rp | wc -l) -ge $jobs ]]; do
        wait -n || true
    done
    fuzz "$target" &
done
wait

head='target\texecutions\tseconds\tcoverage\tfeatures\tpeak MiB'
[[ -f results.tsv ]] || printf "$head\n" >results.tsv
for target in "$@"; do
    account "$target"
done | awk -F'\t' -v OFS='\t' '
    FNR == NR { if (FNR > 1) { executions[$1] = $2; seconds[$1] = $3; coverage[$1] = $4; features[$1] = $5; peak[$1] = $6 } next }
    { executions[$1] += $2; seconds[$1] += $3
      # Edges reached are those of the build, so the last run counts; memory is the most that there ever was.
      coverage[$1] = $4; features[$1] = $5; if ($6 > peak[$1]) peak[$1] = $6 }
    END { for (target in executions)
        print target, executions[target], seconds[target], coverage[target], features[target], peak[target] | "sort" }
' results.tsv - >working/results
{ printf "$head\n"; cat working/results; } >working/results.tsv
column -t -s $'\t' working/results.tsv
$keep || mv working/results.tsv results.tsv

if compgen -G 'working/*.crashed' >/dev/null; then
    for crashed in working/*.crashed; do
        target=$(basename "$crashed" .crashed)
        echo "=== $target"
        grep -av '^#' "working/$target.log" | tail -n 30
    done
    exit 1
fi
