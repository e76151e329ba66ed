#!/usr/bin/env bash
# Brings what the kernel object needs beyond the pinned toolchain: the source of `core` (rust-src), which is compiled
# for the BPF target, and bpf-linker. Says one line for each; what is there already is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bpf_linker=0.10.4
# Suites of Debian that carry newer compilers than a stable release does.
suites=(trixie-backports forky sid)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

channel=$(sed -n 's/^channel *= *"\(.*\)".*/\1/p' rust-toolchain.toml)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf 'setup: %s\n' "$*"; }

# fail MISSING REMEDY
fail() {
    printf 'setup: error: %s\nsetup: remedy: %s\n' "$1" "$2" >&2
    exit 1
}

have() {
    local program
    for program in "$@"; do command -v "$program" >/dev/null || return 1; done
}

check_toolchain() {
    local version
    have cargo rustc ||
        fail "cargo or rustc is missing" "install Rust $channel, best with rustup, and put its programs on PATH"
    # rustup says on its standard error what it fetches first.
    version=$(rustc --version) ||
        fail "the Rust toolchain $channel is missing" "rustup toolchain install $channel"
    [[ $version == "rustc $channel "* ]] ||
        fail "rust-toolchain.toml asks for $channel, but this is $version" "rustup toolchain install $channel"
    have cc ||
        fail "cc, the C compiler that links Rust programs, is missing" "apt-get install gcc libc6-dev, or your system's equal"
    say "rust $channel … present"
}

has_source() { [[ -f $1/library/core/src/lib.rs && -f $1/library/Cargo.lock ]]; }

rust_src() {
    local target
    target=$(rustc --print sysroot)/lib/rustlib/src/rust
    if has_source "$target"; then
        say "rust-src $channel … present"
    elif source_from_rustup && has_source "$target"; then
        say "rust-src $channel … installed by rustup"
    elif source_from_debian "$target"; then
        say "rust-src $channel … installed from $package"
    else
        fail "rust-src $channel is missing from $target (rustup: $rustup_said; Debian: $debian_said)" \
            "run 'rustup component add rust-src' where rustup reaches its server, or copy the folder 'library' of Rust $channel's source there"
    fi
}

source_from_rustup() {
    rustup_said="not installed"
    have rustup || return 1
    rustup_said="says it is installed, yet it is not there"
    rustup component add rust-src >"$scratch/rustup.log" 2>&1 && return
    rustup_said=$(grep -m 1 '^error' "$scratch/rustup.log" || echo failed)
    return 1
}

# The package of exactly this version, from the mirrors that this machine's apt uses already; apt checks signature and
# hash. Its lists live in the scratch folder: the system's own apt is not touched and no privilege is needed.
source_from_debian() {
    local target=$1 library mirror suite
    debian_said="no apt-get and dpkg-deb here"
    have apt-get dpkg-deb || return 1
    debian_said="$keyring is missing"
    [[ -f $keyring ]] || return 1
    mkdir -p "$scratch"/{lists,cache/archives}/partial "$scratch/root"
    # What apt would fetch for an update tells its mirrors, in whatever format they are configured.
    apt-get --print-uris update 2>/dev/null | sed -n "s|^'\(.*/debian\)/dists/.*|\1|p" | sort -u >"$scratch/mirrors"
    debian_said="apt has no source that ends in /debian"
    while read -r mirror; do
        for suite in "${suites[@]}"; do
            if ! source_from_suite "$mirror" "$suite"; then
                debian_said="not found in ${suites[*]}, $(grep '^E:' "$scratch/apt.log" | tail -n 1)"
                continue
            fi
            library=$scratch/root/usr/src/rustc-$channel/library
            debian_said="$package does not unpack to the files expected"
            dpkg-deb -x "$scratch/$package" "$scratch/root" && has_source "${library%/*}" || return 1
            debian_said="cannot write to $target"
            # Under its own name only once complete, so an interrupted copy is not taken for the source.
            mkdir -p "$target" 2>/dev/null && rm -rf "$target"/library{,.new} &&
                cp -R "$library" "$target/library.new" && mv "$target"/library{.new,}
            return
        done
    done <"$scratch/mirrors"
    return 1
}

source_from_suite() {
    cat >"$scratch/one.sources" <<END
Types: deb
URIs: $1
Suites: $2
Components: main
Signed-By: $keyring
END
    private_apt update || return 1
    (cd "$scratch" && private_apt download "rust-src=$channel+*") || return 1
    package=$(basename "$scratch"/rust-src_"$channel"+*.deb)
}

# An index past its date is fine: the version is pinned, and a mirror may be a frozen copy.
private_apt() {
    apt-get -q -o Dir::Etc::SourceList="$scratch/one.sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User="$(id -un)" \
        -o APT::Update::Error-Mode=any -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3 \
        "$@" >>"$scratch/apt.log" 2>&1
}

bpf_linker() {
    local root=target/tools
    if [[ $("$root/bin/bpf-linker" --version 2>/dev/null) == "bpf-linker $bpf_linker" ]]; then
        say "bpf-linker $bpf_linker … present"
        return
    fi
    say "bpf-linker $bpf_linker … compiling, which takes minutes"
    cargo install --quiet --locked --force --root "$root" --version "=$bpf_linker" bpf-linker ||
        fail "bpf-linker $bpf_linker is missing: cargo install failed as shown above" \
            "give cargo a way to its registry, or place the program at $root/bin/bpf-linker"
    say "bpf-linker $bpf_linker … installed in $root"
}

check_toolchain
rust_src
bpf_linker
