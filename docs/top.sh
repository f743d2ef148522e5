#!/usr/bin/env bash
# Takes the picture in docs/top.txt: `swim top` in a terminal of 120 by 36, on ten agents of which one is killed.
#
#   cargo build -p swim-agent && docs/top.sh target/debug/swim > docs/top.txt
#
# Needs tmux (Debian: apt-get install tmux) and Linux, where all of 127.0.0.0/8 is there. It starts ten agents on
# 127.0.7.1 to 127.0.7.10 and ends them again; nothing else is touched.
set -euo pipefail

swim=$(realpath "${1:?usage: docs/top.sh path/to/swim}")
work=$(mktemp -d)
socket=swim-top-$$
pids=()

cleanup() {
    tmux -L "$socket" kill-server 2>/dev/null || true
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT

rpc=-rpc-addr=127.0.7.1:7373

wait_until() { # what, seconds, command...
    local what=$1 end=$((SECONDS + $2))
    shift 2
    until "$@"; do
        if ((SECONDS >= end)); then
            echo "not in time: $what" >&2
            tmux -L "$socket" capture-pane -p >&2 || true
            exit 1
        fi
        sleep 0.1
    done
}

alive() { # how many
    [[ $("$swim" members "$rpc" -status=alive 2>/dev/null | grep -c ' alive ') -eq $1 ]]
}

shows() { # an expression
    tmux -L "$socket" capture-pane -p | grep -Eq -- "$1"
}

lacks() { # an expression
    ! shows "$1"
}

number=0
for member in web-1:web:east web-2:web:east web-3:web:west web-4:web:west db-1:db:east db-2:db:west \
    cache-1:cache:east cache-2:cache:west queue-1:queue:east batch-1:batch:west; do
    IFS=: read -r name role dc <<<"$member"
    number=$((number + 1))
    join=()
    if ((number > 1)); then
        join=(-retry-join=127.0.7.1 -retry-interval=1s)
    fi
    "$swim" agent -profile=local -node="$name" -tag "role=$role" -tag "dc=$dc" \
        -bind="127.0.7.$number" -rpc-addr="127.0.7.$number:7373" "${join[@]}" >"$work/$name.log" 2>&1 &
    pids+=($!)
    # Or bash would report each of them when it is killed.
    disown
done
wait_until 'ten members are alive' 30 alive 10

tmux -L "$socket" -f /dev/null -u new-session -d -x 120 -y 36 "exec '$swim' top $rpc" \; set -g status off
wait_until 'ten members are shown' 20 shows 'members 10: 10 alive'
# With all round trips but its own: first of all, every member must have been probed.
wait_until 'the round trips are known' 60 lacks ' alive +- '

"$swim" event "$rpc" -coalesce=false deploy 2.4.1 >/dev/null
"$swim" query "$rpc" -timeout=1s uptime >/dev/null
"$swim" tags -rpc-addr=127.0.7.3:7373 -set version=2.4.1 >/dev/null
wait_until 'the tag is shown' 20 shows 'version=2.4.1'
# The sixth dies without a word.
kill -9 "${pids[5]}"
wait_until 'its failure is shown' 60 shows 'member-failed +db-2'
# By status: what is alarming comes first.
tmux -L "$socket" send-keys s
wait_until 'it is the first row' 10 shows 'STATUS\^'
tmux -L "$socket" capture-pane -p
