#!/usr/bin/env bash
# Runs the tests that can run on this machine, says what is left out and why, and closes with one line of counts.
#
#   tests/run.sh all      every test: those that need root as root, and those of the counters on other kernels in QEMU
#   tests/run.sh quick    those without privileges, none of which reads the running kernel
#
# With REQUIRE=all nothing may be left out, and a test may skip only what tables say that this kernel lacks.
# The Makefile calls it with what it knows: MAKE, HOST, AS_ROOT, BIN.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

which=$1
require=${REQUIRE-}
folder=$PWD/target/test
log=$folder/log
# For again.sh, a line each: program, words of its tests (* for all), reason.
left_out=$folder/left-out
mkdir -p "$folder"
: >"$log"
: >"$left_out"
status=0

# leave_out REASON PROGRAM WORDS [PROGRAM WORDS]...
leave_out() {
    local reason=$1
    shift
    while (($#)); do
        printf '%s\t%s\t%s\n' "$1" "$2" "$reason" >>"$left_out"
        shift 2
    done
}

# setup PART PROGRAM WORDS...: what cannot be brought leaves these tests out.
setup() {
    local part=$1 said
    shift
    if said=$(tests/setup.sh $part 2>&1); then
        printf '%s\n' "$said"
        return
    fi
    printf '%s\n' "$said"
    said=$(sed -n 's/^setup: error: //p' <<<"$said" | tail -n 1)
    leave_out "${said:-tests/setup.sh $part failed}" "$@"
}

# Whether a capability is among those that the tests will have.
can() {
    local set
    set=$($as_root cat /proc/self/status 2>/dev/null | sed -n 's/^CapEff:[[:space:]]*//p')
    (((16#${set:-0} >> $1) & 1))
}

# What only a look at the machine tells.
look_around() {
    local real=(harness '*' kernel '*' e2e '*')
    as_root=""
    if ((EUID != 0)); then
        as_root=$(command -v sudo || true)
        if [[ -z $as_root ]]; then
            leave_out 'not root, and there is no sudo' "${real[@]}"
            return
        fi
    fi
    if ! $as_root grep -Eq '^ *0 +0 +4294967295$' /proc/self/uid_map; then
        leave_out 'root of a user namespace only, as in a rootless container' "${real[@]}"
    elif ! $as_root unshare --net true 2>/dev/null; then
        leave_out 'network namespaces cannot be made here, as in a container' "${real[@]}"
    elif ! can 21 && ! { can 39 && can 38; }; then
        leave_out 'neither CAP_BPF with CAP_PERFMON nor CAP_SYS_ADMIN, as in a container' kernel '*' e2e '*'
    elif [[ ! -e /dev/net/tun ]]; then
        leave_out 'there is no /dev/net/tun' "${real[@]}"
    fi
    if ! $as_root grep -q '^0*[1-9a-f][0-9a-f]* ' /proc/kallsyms 2>/dev/null; then
        leave_out 'the kernel hides its symbols' kernel '*'
    fi
    if [[ ! -r /sys/kernel/btf/vmlinux ]]; then
        leave_out 'this kernel has no BTF' kernel '*' e2e '*'
    fi
}

# Why the guests cannot run; nothing if they can.
without_guests() {
    local said
    if [[ $(uname -m) != x86_64 ]]; then
        echo 'guests need a machine with x86_64'
    elif ! command -v apt-get >/dev/null; then
        echo "there is no apt to fetch the guests' kernels"
    elif ! said=$(tests/setup.sh vm 2>&1); then
        sed -n 's/^setup: error: //p' <<<"$said" | tail -n 1
    fi
}

# run COMMAND...: with all that it says in the log.
run() {
    local code
    printf '%s\n' "$*"
    "$@" 2>&1 | tee -a "$log"
    code=${PIPESTATUS[0]}
    ((code == 0)) || status=$code
    return "$code"
}

# Passed, failed, skipped; what failed and passed the second time has passed. A test that skips a part has not passed.
counts() {
    awk -v out="$(wc -l <"$left_out")" '
        /^(test|again) result: / {
            split($0, part, /[.:;] */)
            for (i in part) {
                if (part[i] ~ /^[0-9]+ passed$/) good = part[i] + 0
                if (part[i] ~ /^[0-9]+ failed$/) bad = part[i] + 0
            }
            passed += good
            failed += $1 == "again" ? -good : bad
        }
        /^vm: .*\): refused/ { passed++ }
        /^vm: .*\): .*[0-9]+ passed, [0-9]+ skipped, [0-9]+ failed/ {
            match($0, /[0-9]+ passed, [0-9]+ skipped, [0-9]+ failed/)
            split(substr($0, RSTART, RLENGTH), part, " ")
            passed += part[1]; skipped += part[3]; failed += part[5]
            next
        }
        /^vm: .*\): FAILED/ { failed++ }
        match($0, /skipped [a-z_0-9]+(::[a-z_0-9]+)+: /) && !/^    skipped / {
            name = substr($0, RSTART, RLENGTH)
            if (!(name in seen)) { seen[name]; skipped++; passed-- }
        }
        END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped + out }
    ' "$log"
}

# RUNNER of cargo: again.sh, as root where the tests want that.
runner() {
    printf 'target."cfg(all())".runner = [%s"%s/tests/again.sh"]' "$1" "$PWD"
}

export TCPVITALS_TEST_LEFT_OUT=$left_out
[[ $require != all ]] || export TCPVITALS_TEST_REQUIRE=all
# Most of what they do is wait: two for each processor.
export RUST_TEST_THREADS=${RUST_TEST_THREADS-$((2 * $(nproc)))}
case $which in
all)
    setup '' harness '*' kernel '*' e2e '*' host groff
    setup e2e e2e '*'
    setup chart deploy '*'
    setup browser e2e page:: e2e incidents::every
    look_around
    guests=$(without_guests)
    [[ -z $guests ]] || leave_out "$guests" guests '*'
    if [[ $require == all && -s $left_out ]]; then
        status=1
    else
        fast=()
        [[ $require == all ]] || fast=(--no-fail-fast)
        run env TCPVITALS_BIN="$PWD/$BIN" cargo test $HOST "${fast[@]}" --config "$(runner "$AS_ROOT")"
        if [[ -z $guests ]] && { ((status == 0)) || [[ $require != all ]]; }; then
            run "$MAKE" --no-print-directory test-counters
        fi
    fi
    ;;
quick)
    command -v groff >/dev/null || leave_out 'there is no groff' host groff
    run cargo test $HOST --lib --bins --test host --test tidy --config "$(runner '')"
    ;;
*)
    echo "tests/run.sh all|quick" >&2
    exit 2
    ;;
esac

if [[ -s $left_out ]]; then
    printf '\nleft out:\n'
    awk -F '\t' '{ printf "  %s%s: %s\n", $1, $2 == "*" ? "" : " " $2, $3 }' "$left_out" | sort -u
    [[ $which == quick || $require != all ]] || { echo 'REQUIRE=all: nothing may be left out'; status=1; }
fi
counts
exit "$status"
