#!/usr/bin/env bash
# Makes the image. `compile ARCH...` puts the files of each architecture (x86_64, aarch64) into target/image; `pack FILE` makes an
# OCI archive of all that are there, for each an image and above them an index; the same files give the same digest. `sbom FILE`
# lists the crates. PROFILE=quick compiles faster, for tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=target/image

say() { printf 'image: %s\n' "$*"; }

# fail MISSING REMEDY
fail() {
    printf 'image: error: %s\nimage: remedy: %s\n' "$1" "$2" >&2
    exit 1
}

# The name that images have for an architecture.
platform() {
    case $1 in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) fail "there is no image for $1" 'choose x86_64 or aarch64' ;;
    esac
}

# compile ARCH
compile() {
    local target=$1-unknown-linux-gnu profile=${PROFILE:-release} root
    root=$out/$(platform "$1")/root
    [[ -d $(rustc --print sysroot)/lib/rustlib/$target/lib ]] ||
        fail "rustc has no $target" "rustup target add $target, or for aarch64 tests/setup.sh aarch64"
    # A flag of the target alone: macros and build scripts of the host stay dynamic.
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --profile "$profile" --package tcpvitals --target "$target"
    rm -rf "$root"
    mkdir -p "$root"/{etc/ssl/certs,usr/bin,usr/share/licenses/tcpvitals,usr/share/tcpvitals}
    install -m 755 "target/$target/$profile/tcpvitals" "$root/usr/bin/"
    install -m 644 deploy/demo.rec "$root/usr/share/tcpvitals/"
    install -m 644 LICENSE-* "$root/usr/share/licenses/tcpvitals/"
    [[ -s /etc/ssl/certs/ca-certificates.crt ]] ||
        fail 'there is no /etc/ssl/certs/ca-certificates.crt' 'as root: apt-get install ca-certificates'
    install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    # Permitted, not effective: without them the kernel would otherwise refuse even `tcpvitals doctor`.
    setcap cap_bpf,cap_perfmon,cap_syslog+p "$root/usr/bin/tcpvitals" ||
        fail 'the binary cannot be given its capabilities' 'run it as root, with setcap (Debian: libcap2-bin) on PATH'
    say "$1 … compiled, $(stat --format %s "$root/usr/bin/tcpvitals") bytes"
}

# pack FILE
pack() {
    local scratch arches=() arch version revision storage
    for arch in amd64 arm64; do
        [[ ! -d $out/$arch/root ]] || arches+=("$arch")
    done
    ((${#arches[@]})) || fail "nothing is compiled in $out" 'deploy/image.sh compile x86_64'
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    revision=$(git rev-parse HEAD 2>/dev/null) || revision=
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' RETURN
    storage=(--storage-driver vfs --root "$scratch/root" --runroot "$scratch/run")
    for arch in "${arches[@]}"; do
        buildah "${storage[@]}" build --quiet --isolation chroot --timestamp 0 --arch "$arch" --file deploy/Containerfile \
            --build-arg SOURCE=prebuilt --build-arg VERSION="$version" --build-arg REVISION="$revision" \
            --manifest tcpvitals "$out" >/dev/null
    done
    rm -f "$1"
    buildah "${storage[@]}" manifest push --quiet --all tcpvitals "oci-archive:$1:tcpvitals:$version"
    say "${arches[*]} … packed in $1"
}

# sbom FILE: the crates that are in the binary.
sbom() {
    cargo cyclonedx --quiet --manifest-path exporter/Cargo.toml --format json --spec-version 1.5 --no-build-deps \
        --target x86_64-unknown-linux-gnu --override-filename sbom.cdx
    mv exporter/sbom.cdx.json "$1"
    # It writes one for each member of the workspace.
    rm -f {common,ebpf,exporter/{config,kernel,metrics},tests}/sbom.cdx.json
    say "crates … listed in $1"
}

case ${1-} in
compile)
    for arch in "${@:2}"; do compile "$arch"; done
    ;;
pack) pack "${2:?file}" ;;
sbom) sbom "${2:?file}" ;;
*) fail "unknown argument ${1-}" 'deploy/image.sh compile ARCH..., deploy/image.sh pack FILE or deploy/image.sh sbom FILE' ;;
esac
