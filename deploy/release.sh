#!/usr/bin/env bash
# Puts a release together in target/dist. `check [TAG]` compares every place that names the version; `chart` packs the chart; `gather`
# copies packages, image and list of crates from where make left them; `sums` writes SHA256SUMS; `list` says what is there, with
# sizes, and fails while something of a release is missing. `make release` runs all of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=target/dist
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

say() { printf 'release: %s\n' "$*"; }

# fail MISSING REMEDY
fail() {
    printf 'release: error: %s\nrelease: remedy: %s\n' "$1" "$2" >&2
    exit 1
}

# same FILE FOUND: what a file says must be the version of Cargo.toml.
same() {
    [[ $2 == "$version" ]] || fail "$1 says ${2:-nothing}, Cargo.toml says $version" "write $version into $1"
}

# The date in the changelog.
date_of() { sed -n "s/^## \[$version\] - \([0-9-]*\)$/\1/p" CHANGELOG.md; }

# The lines of the changelog about this version.
notes() { awk -v begin="## [$version]" 'index($0, "## [") == 1 { on = index($0, begin) == 1; next } on' CHANGELOG.md; }

# check [TAG]
check() {
    local date image
    same deploy/chart/Chart.yaml "$(sed -n 's/^version: //p' deploy/chart/Chart.yaml)"
    same deploy/chart/Chart.yaml "$(sed -n 's/^appVersion: //p' deploy/chart/Chart.yaml)"
    same deploy/packages/debian/changelog "$(sed -n '1s/^tcpvitals (\(.*\)-[0-9]*).*/\1/p' deploy/packages/debian/changelog)"
    for image in deploy/compose.yaml deploy/README.md docs/kubernetes.md; do
        same "$image" "$(grep -o 'tcpvitals:[0-9][0-9.]*[0-9]' "$image" | sort -u | sed 's/.*://')"
    done
    same deploy/chart/README.md "$(sed -n 's/.*{name: tcpvitals, version: \([0-9.]*\),.*/\1/p' deploy/chart/README.md)"
    grep -q '^## \[Unreleased\]$' CHANGELOG.md ||
        fail 'CHANGELOG.md has no section Unreleased' 'keep an empty one above that of the release'
    date=$(date_of)
    [[ $date ]] || fail "CHANGELOG.md has no section of $version with a date" "add a line '## [$version] - YYYY-MM-DD'"
    [[ $(notes) == *[[:graph:]]* ]] || fail "CHANGELOG.md says nothing about $version" 'move there what is in Unreleased'
    [[ $(date -u -d "$(sed -n 's/^ -- .*>  //p' deploy/packages/debian/changelog)" +%F) == "$date" ]] ||
        fail "deploy/packages/debian/changelog is not of $date, as CHANGELOG.md is" 'give both the same date'
    [[ ! ${1-} || $1 == "v$version" ]] || fail "the tag is $1, the version is $version" "tag v$version"
    say "version $version of $date … the same everywhere"
}

chart() {
    mkdir -p "$out"
    target/tools/chart/helm-4 package deploy/chart --destination "$out" >/dev/null
    say "chart … packed in $out/tcpvitals-$version.tgz"
}

# copy FROM NAME: only of this version, so that nothing old is taken for it.
copy() {
    [[ ! -e $1 ]] || cp "$1" "$out/$2"
}

gather() {
    local package
    mkdir -p "$out"
    for package in target/packages/*"$version"*.{deb,rpm}; do copy "$package" "$(basename "$package")"; done
    copy target/image/tcpvitals.tar "tcpvitals-$version-image.tar"
    copy target/image/tcpvitals.cdx.json "tcpvitals-$version.cdx.json"
    notes >"$out/NOTES.md"
}

# Without the notes: they become the text of the release, so nobody who checks has them as a file.
sums() {
    (cd "$out" && find . -maxdepth 1 -type f ! -name SHA256SUMS ! -name NOTES.md -printf '%P\n' | sort | xargs -d '\n' sha256sum >SHA256SUMS)
}

# The architectures in an image.
architectures() { skopeo inspect --raw "oci-archive:$1" | grep -o '"architecture": *"[a-z0-9]*"' | sed 's/.*"\(.*\)"/\1/' | sort | xargs; }

list() {
    local file missing=() kind pattern
    while read -r file; do
        printf '  %-42s %12s  %s\n' "$file" "$(stat --format %s "$out/$file")" "$(describe "$file")"
    done < <(find "$out" -maxdepth 1 -type f -printf '%P\n' | sort)
    (cd "$out" && sha256sum --quiet --check SHA256SUMS) ||
        fail 'a file differs from its line in SHA256SUMS' 'make release-files'
    while read -r kind pattern; do
        compgen -G "$out/$pattern" >/dev/null || missing+=("$kind")
    done <<END
deb tcpvitals_$version*.deb
rpm tcpvitals-$version*.rpm
image tcpvitals-$version-image.tar
chart tcpvitals-$version.tgz
sbom tcpvitals-$version.cdx.json
END
    ((${#missing[@]} == 0)) || fail "$out lacks ${missing[*]}" 'make release, or its parts: packages, image, release-chart, sbom'
    [[ $(architectures "$out/tcpvitals-$version-image.tar") == "amd64 arm64" ]] ||
        fail 'the image is not of both architectures' 'make image, where rustc has aarch64-unknown-linux-gnu'
    say "$version is whole, bytes beside each file, in $out"
}

# describe FILE
describe() {
    case $1 in
    *.deb) dpkg-deb --field "$out/$1" Package Version Architecture | sed 's/.*: //' | xargs ;;
    *.rpm) echo "package for rpm" ;;
    *-image.tar) echo "image for $(architectures "$out/$1")" ;;
    *.tgz) echo 'Helm chart' ;;
    *.cdx.json) echo "$(grep -c '"type": "library"' "$out/$1") crates, CycloneDX" ;;
    NOTES.md) echo 'what changed' ;;
    SHA256SUMS) echo "checksums of $(wc -l <"$out/$1") files" ;;
    *) echo 'not of a release' ;;
    esac
}

case ${1-} in
check) check "${2-}" ;;
chart | gather | sums | list) "$1" ;;
*) fail "unknown argument ${1-}" 'deploy/release.sh check [TAG], or chart, gather, sums or list' ;;
esac
