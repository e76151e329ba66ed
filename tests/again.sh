#!/usr/bin/env bash
# Runs a test binary, and what failed once more where the kernel is known to have withheld events from BPF programs.
#
# Some kernels of sandboxes shield the sandbox's init process: a tracepoint that fires in an interrupt while a thread of
# that process is the current one is seen by ftrace, but by no BPF program, and no counter of the kernel says so. A test
# that demands equality then fails for an event that no exporter could see. So ftrace keeps account of just those
# events: without one in the account, a failure is a failure.
set -uo pipefail

binary=$1
shift

# What cannot run here, by tests/run.sh: a line for each, with the program's name, words of its tests, and the reason.
name=$(basename "$binary" | sed 's/-[0-9a-f]*$//')
while IFS=$'\t' read -r program words reason; do
    [ "$program" = "$name" ] || continue
    if [ "$words" = '*' ]; then
        echo "left out $name: $reason"
        exit 0
    fi
    set -- "$@" --skip "$words"
done < <(cat "${TCPVITALS_TEST_LEFT_OUT:-/dev/null}" 2>/dev/null)

# The exporter's tracepoints, `SYSTEM/NAME`. Where the sources are not at hand, there is no account.
events=$(sed -n 's/^    [A-Za-z]* = "\([a-z_]*\)" \/ "\([a-z_]*\)";$/\1\/\2/p' \
    "$(dirname "$0")/../common/src/kernel/tracepoints.rs" 2>/dev/null)

account=""
output=$(mktemp)
finish() {
    if [ -n "$account" ]; then
        echo 0 >"$account/events/enable"
        rmdir "$account"
    fi
    rm -f "$output"
}
trap finish EXIT

# Opens the account; the tests are no worse off without one.
open_account() {
    local tracing=/sys/kernel/tracing event
    [ -e $tracing/trace ] || mount -t tracefs tracefs $tracing 2>/dev/null || return
    mkdir "$tracing/instances/tcpvitals-$$" 2>/dev/null || return
    account=$tracing/instances/tcpvitals-$$
    # Its threads come and go.
    ls /proc/1/task >"$account/set_event_pid" && echo 1 >"$account/options/event-fork" || return
    for event in $events; do
        [ ! -d "$account/events/$event" ] || echo 1 >"$account/events/$event/enable"
    done
}

# Number of the events that were withheld since the last question.
withheld() {
    [ -n "$account" ] || { echo 0; return; }
    grep -vc '^#' "$account/trace"
    : >"$account/trace"
}

open_account
"$binary" "$@" | tee "$output"
status=${PIPESTATUS[0]}
for round in 1 2 3; do
    mapfile -t failed < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$output")
    number=$(withheld)
    if [ "$status" = 0 ] || [ "${#failed[@]}" = 0 ] || [ "$number" = 0 ]; then
        break
    fi
    echo "the kernel withheld $number events from BPF programs; once more: ${failed[*]}"
    # Who failed was asked for, ignored otherwise or not.
    # Its sums are told apart from those of the first run.
    "$binary" --include-ignored --exact "${failed[@]}" | tee "$output" | sed 's/^test result: /again result: /'
    status=${PIPESTATUS[0]}
done
exit "$status"
