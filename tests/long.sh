#!/usr/bin/env bash
# Runs what takes long, one after another whatever becomes of it, and writes the page of the last run.
#
#   tests/long.sh PAGE
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

page=$1
folder=target/long
mkdir -p "$folder"
rows=()
status=0

# long NAME COMMAND...: its result is what it says of kernels, of the tables of entries and of its end.
long() {
    local name=$1 begin=$SECONDS code result
    shift
    printf '%s\n' "$*"
    "$@" 2>&1 | tee "$folder/$name.log"
    code=${PIPESTATUS[0]}
    result=$(grep -E '^(vm: .*\): |soak: | *note (healthy|losses|blind)::)' "$folder/$name.log" |
        sed -E 's/; boot .*//; s/^ *note (healthy|losses|blind)::[a-z_]*/\1/; s/\|/\\|/g' | paste -sd ';' | sed 's/;/<br>/g')
    ((code == 0)) || status=1
    rows+=("| $name | \`$*\` | $((SECONDS - begin)) s | $( ((code == 0)) && echo passed || echo "failed, code $code")${result:+<br>$result} |")
}

long tables env TCPVITALS_BIN="$PWD/target/release/tcpvitals" cargo test --workspace --exclude ebpf --test kernel -- --ignored \
    hostile::
long churn env TCPVITALS_BIN="$PWD/target/release/tcpvitals" cargo test --workspace --exclude ebpf --test kernel -- --ignored \
    workloads::
long blind env TCPVITALS_BIN="$PWD/target/release/tcpvitals" cargo test --workspace --exclude ebpf --test kernel -- --ignored \
    blind::
long meaning env TCPVITALS_BIN="$PWD/target/release/tcpvitals" cargo test --workspace --exclude ebpf --test kernel -- healthy:: losses::
long rules cargo test --workspace --exclude ebpf --test e2e -- --ignored rules::
long incidents env TCPVITALS_BIN="$PWD/target/release/tcpvitals" cargo test --workspace --exclude ebpf --test e2e -- --ignored incidents::
long kernels "$MAKE" --no-print-directory test-vm
# Interrupts of other processors and of cards, which guests with one processor have not.
long interrupts "$MAKE" --no-print-directory test-interrupts
# A host of cgroups of version 1 is none any more once somebody has mounted version 2.
long cgroup-v1 "$MAKE" --no-print-directory test-vm KERNEL=6.12-cgroup-v1
long soak "$MAKE" --no-print-directory soak MINUTES="$MINUTES" FLOWS="$FLOWS"

{
    printf '# Long tests\n\n'
    printf 'The last run of `make test-long`, %s, on Linux %s.\n\n' "$(date -u +%F)" "$(uname -r)"
    printf '| suite | command | took | result |\n| --- | --- | --- | --- |\n'
    printf '%s\n' "${rows[@]}"
} >"$page.part"
mv "$page.part" "$page"
exit "$status"
