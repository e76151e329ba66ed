#!/usr/bin/env bash
# Runs what takes long, one suite after another whatever becomes of it, and writes the page of their last runs.
#
#   tests/long.sh PAGE [SUITE]...
#
# Without names all of them. A suite that is not run keeps its row of the page. The Makefile calls it with what it knows: MAKE, HOST,
# AGAIN (the runner of tests), BIN, MINUTES, FLOWS.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

page=$1
chosen=${*:2}
folder=target/long
mkdir -p "$folder"
touch "$page"
export TCPVITALS_BIN=$PWD/$BIN
rows=()
status=0

known=$(sed -nE 's/^suite ([a-z0-9-]+) .*/\1/p' tests/long.sh | paste -sd ' ')
for name in $chosen; do
    if [[ " $known " != *" $name "* ]]; then
        echo "tests/long.sh: no suite is called $name; there are: $known" >&2
        exit 2
    fi
done

# suite NAME WHAT COMMAND...: its result is its end, what it says of kernels, how many tests passed, and notes of tables of entries.
suite() {
    local name=$1 what=$2 begin=$SECONDS old code result
    shift 2
    if [[ -n $chosen && " $chosen " != *" $name "* ]]; then
        old=$(grep -F "| \`$name\` |" "$page")
        rows+=("${old:-| \`$name\` | $what | | | not run |}")
        return
    fi
    printf '%s\n' "$*"
    "$@" 2>&1 | tee "$folder/$name.log"
    code=${PIPESTATUS[0]}
    result=$(grep -E '^(vm: .*\): |soak: |(test|again) result: .* ([1-9][0-9]* passed|[1-9][0-9]* failed)| *note (healthy|losses|blind)::)' "$folder/$name.log" |
        sed -E 's/; boot .*//; s/; [0-9]+ ignored.*//; s/^ *note (healthy|losses|blind)::[a-z_]*/\1/; s/\|/\\|/g' |
        paste -sd '\t' | sed 's/\t/<br>/g')
    ((code == 0)) || status=1
    rows+=("| \`$name\` | $what | $(date -u +%F), Linux $(uname -r) | $((SECONDS - begin)) s | $( ((code == 0)) && echo passed || echo "failed, code $code")${result:+<br>$result} |")
}

tests() {
    cargo test $HOST --config "$AGAIN" --test "$1" -- "${@:2}"
}

suite attacks 'attacks that wait for a deadline' tests kernel --ignored hostile::
suite churn '10 000 cgroups that come and go' tests kernel --ignored workloads::
suite blind 'incidents and healthy hosts that the rules were not made for' tests kernel --ignored blind::
suite meaning 'the tables of healthy traffic and of losses' tests kernel healthy:: losses::
suite rules 'alerts with a rule changed, which must fail' tests e2e --ignored rules::
suite incidents 'incidents with their alerts, and healthy hosts for ten minutes' tests e2e --ignored incidents::
suite kernels 'all tests on the kernels of every change, in QEMU' "$MAKE" --no-print-directory test-vm
# Guests with one processor have neither interrupts of other processors nor of cards.
suite interrupts 'interrupts within programs, here and in guests with two processors' "$MAKE" --no-print-directory test-interrupts
# A host of cgroups of version 1 is none any more once somebody has mounted version 2.
suite cgroup-v1 'a host with cgroups of version 1, in QEMU' "$MAKE" --no-print-directory test-vm KERNEL=6.12-cgroup-v1
suite soak "$FLOWS flows for $MINUTES minutes" "$MAKE" --no-print-directory soak MINUTES="$MINUTES" FLOWS="$FLOWS"

{
    printf '# Long tests\n\n'
    printf 'The last run of each suite of `make test-long`; `make test-long SUITE=soak` runs one.\n\n'
    printf '| suite | what | when, where | took | result |\n| --- | --- | --- | --- | --- |\n'
    printf '%s\n' "${rows[@]}"
} >"$page.part"
mv "$page.part" "$page"
exit "$status"
