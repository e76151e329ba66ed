#!/usr/bin/env bash
# Brings what the tests and checks need beyond a build: the programs that the real-kernel tests call, and with the
# argument `cargo-deny` that checker instead. Says one line for each; what is there already is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo_deny=0.20.2
# An ordinary user's PATH may lack the folders where these programs are.
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }

# fail MISSING REMEDY
fail() {
    printf 'setup: error: %s\nsetup: remedy: %s\n' "$1" "$2" >&2
    exit 1
}

# programs PACKAGE PROGRAM...
programs() {
    local package=$1 program log missing=()
    shift
    for program in "$@"; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    if ((${#missing[@]} == 0)); then
        say "$* … present"
        return
    fi
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        fail "the tests need ${missing[*]}" "as root: apt-get install $package, or your system's equal"
    fi
    log=$({ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"; } 2>&1) ||
        fail "the tests need ${missing[*]}, and apt-get said: $(tail -n 1 <<<"$log")" "apt-get update && apt-get install $package"
    say "$* … installed with $package"
}

deny() {
    local root=target/tools
    if [[ $("$root/bin/cargo-deny" --version 2>/dev/null) == "cargo-deny $cargo_deny" ]]; then
        say "cargo-deny $cargo_deny … present"
        return
    fi
    say "cargo-deny $cargo_deny … compiling, which takes a minute"
    # Its own release profile optimises across all crates for minutes; a check of a second has no use for that.
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --force --debug --root "$root" --version "=$cargo_deny" cargo-deny ||
        fail "cargo-deny $cargo_deny is missing: cargo install failed as shown above" \
            "give cargo a way to its registry, or place the program at $root/bin/cargo-deny"
    say "cargo-deny $cargo_deny … installed in $root"
}

case ${1-} in
'')
    programs curl curl
    programs iproute2 ip tc
    programs nftables nft
    programs util-linux setpriv
    ;;
vm)
    # xz, zstd and lz4 decompress the kernels of the guests.
    programs qemu-system-x86 qemu-system-x86_64
    programs busybox-static busybox
    programs xz-utils xz
    programs zstd zstd
    programs lz4 lz4
    programs binutils strip
    ;;
cargo-deny) deny ;;
*) fail "unknown argument $1" "tests/setup.sh [cargo-deny|vm]" ;;
esac
