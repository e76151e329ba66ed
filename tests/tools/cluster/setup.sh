# Sourced by tests/setup.sh: brings what `make test-cluster` starts into target/tools/cluster. Debian's etcd, containerd, runc, plug-ins
# of CNI and kubectl are unpacked, not installed. Of Kubernetes Debian ships the client alone, but its source is whole in one release,
# so the rest is compiled, with the Go of its time.

# The last one whose source package has the server too; upstream it is 1.20.2.
kubernetes=1.20.5+really1.20.2-1.1+deb12u1
cluster_suite=bookworm
cluster_packages=(etcd-server containerd runc containernetworking-plugins kubernetes-client)
go_suite=bullseye
go_packages=(golang-1.15-go golang-1.15-src)

# apt_of SUITE PROGRAM ARGUMENTS...: the machine's own apt as it is configured, with sources, lists and a cache of their own.
apt_of() {
    local suite=$1 program=$2 folder=$scratch/apt/$1
    shift 2
    if [[ ! -e $folder/sources.list ]]; then
        mkdir -p "$folder"/{lists,archives}/partial
        touch "$folder/status"
        local terms=check-valid-until=no keys
        for keys in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
            [[ ! -e $keys ]] || terms+=" signed-by=$keys"
        done
        for keys in deb deb-src; do echo "$keys [$terms] $mirror $suite main"; done >"$folder/sources.list"
        apt_of "$suite" apt-get update
    fi
    "$program" -qq -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$folder" \
        -o Dir::State::status="$folder/status" -o Dir::Cache="$folder" -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# unpack SUITE FOLDER PACKAGE...
unpack() {
    local suite=$1 folder=$2 debs=$scratch/debs/$1 deb
    shift 2
    mkdir -p "$debs" "$folder"
    (cd "$debs" && apt_of "$suite" apt-get download "$@")
    for deb in "$debs"/*.deb; do dpkg-deb --extract "$deb" "$folder"; done
}

# The generated description of all types of the API is the one file that this source lacks, for Debian does not compile the server.
describe_types() {
    local folders
    go_of build -o "$scratch/describe" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
    folders=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg cmd staging/src |
        grep -vE '/(code-generator|sample-apiserver|sample-controller)/' | xargs -n 1 dirname | LC_ALL=C sort -u |
        sed -e 's|^staging/src/|k8s.io/kubernetes/vendor/|' -e '/^k8s.io/! s|^|k8s.io/kubernetes/|' | paste -sd ,)
    # It looks packages up by GOPATH.
    (cd "$GOPATH/src/k8s.io/kubernetes" && PATH=$GOROOT/bin:$PATH GO111MODULE=off GOFLAGS= nice "$scratch/describe" \
        --input-dirs "$folders" --output-package k8s.io/kubernetes/pkg/generated/openapi --output-file-base zz_generated.openapi \
        --go-header-file hack/boilerplate/boilerplate.generatego.txt --report-filename "$scratch/violations" --output-base "$GOPATH/src")
}

go_of() {
    GO111MODULE=on nice "$GOROOT/bin/go" "$@"
}

compile_kubernetes() {
    local out=$1 version=k8s.io/component-base/version
    export GOROOT=$scratch/go/usr/lib/go-1.15 GOPATH=$scratch/gopath GOCACHE=$scratch/gocache GOPROXY=off GOSUMDB=off
    export GOFLAGS=-mod=vendor CGO_ENABLED=0
    mkdir -p "$GOPATH/src/k8s.io"
    ln -s "$scratch/kubernetes" "$GOPATH/src/k8s.io/kubernetes"
    cd "$scratch/kubernetes"
    describe_types
    mkdir cmd/node
    cp "$top/tests/tools/cluster/kubernetes.go" cmd/node/main.go
    go_of build -tags providerless,dockerless -ldflags "-s -w -X $version.gitVersion=v1.20.2 -X $version.gitMajor=1 -X $version.gitMinor=20" \
        -o "$out" ./cmd/node
}

# One image for all: the sandboxes of pods sleep, and the containers have a command each.
busybox_image() {
    local storage=(--storage-driver vfs --root "$scratch/storage" --runroot "$scratch/storage-run")
    mkdir "$scratch/image"
    cp "$(command -v busybox)" "$scratch/image/"
    printf 'FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox", "sleep", "1000000000"]\n' >"$scratch/image/Containerfile"
    buildah "${storage[@]}" build --quiet --isolation chroot --timestamp 0 --tag localhost/busybox:1 "$scratch/image"
    rm -f "$1"
    buildah "${storage[@]}" push --quiet localhost/busybox:1 "oci-archive:$1:localhost/busybox:1"
}

# cluster_steps ROOT: with what is needed at hand
cluster_steps() {
    local root=$1
    unpack "$cluster_suite" "$scratch/root" "${cluster_packages[@]}"
    install "$scratch/root/usr/bin/"{etcd,containerd,containerd-shim-runc-v2,ctr,kubectl} "$scratch/root/usr/sbin/runc" "$root/bin/"
    install "$scratch/root/usr/lib/cni/"{ptp,host-local,loopback} "$root/cni/"
    busybox_image "$root/busybox.tar"
    unpack "$go_suite" "$scratch/go" "${go_packages[@]}"
    (cd "$scratch" && apt_of "$cluster_suite" apt-get source --download-only "kubernetes=$kubernetes" &&
        dpkg-source --no-check --extract ./kubernetes_*.dsc kubernetes >/dev/null)
    (compile_kubernetes "$root/bin/kubernetes")
    for program in kube-apiserver kube-controller-manager kube-scheduler kubelet; do ln -sf kubernetes "$root/bin/$program"; done
}

cluster() {
    local root=$PWD/target/tools/cluster top=$PWD scratch mirror log
    local remedy="go without \`make test-cluster\`, or put the programs that tests/tools/cluster/setup.sh names into $root/bin"
    present "$root" "$kubernetes" && return
    mirror=$(mirrors)
    mirror=${mirror%%$'\n'*}
    [[ $mirror ]] || fail "the cluster is compiled from Debian's $cluster_suite, and the sources of apt name no mirror of Debian" "$remedy"
    say "kubernetes $kubernetes … compiling, which takes some minutes"
    rm -rf "$root"
    mkdir -p "$root"/{bin,cni}
    scratch=$root/scratch
    mkdir "$scratch"
    log=$root/setup.log
    # What stands before `||` would go on after a failure.
    (cluster_steps "$root") >"$log" 2>&1 &
    wait $! || fail "the cluster cannot be made, and the last it said: $(tail -n 1 "$log")" "$remedy"
    # What Go has unpacked is not writable.
    chmod -R u+w "$scratch"
    rm -rf "$scratch"
    echo "$kubernetes" >"$root/.brought"
    say "kubernetes $kubernetes … installed in target/tools/cluster"
}
