#!/usr/bin/env bash
# The first process of the node of `make test-cluster`, in namespaces of its own (mount, network, PID, UTS, IPC, cgroup): makes the
# mounts, addresses and rules that the programs of Kubernetes want, says `ready`, and waits. Its end is the end of them all.
#
#   tests/tools/cluster/node.sh FOLDER NODE NODE_ADDRESS API_ADDRESS API_PORT
set -euo pipefail
folder=$1 node=$2 address=$3 api_address=$4 api_port=$5

hostname "$node"
# The kubelet shares mounts with containers.
mount --make-rshared /
# What the programs write at places that no flag moves stays in the node: /run/netns, /var/log/pods, /var/lib/kubelet, /var/lib/cni.
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/netns "$folder"/var/{upper,work}
mount -t overlay -o "lowerdir=/var,upperdir=$folder/var/upper,workdir=$folder/var/work" var /var

# Each hierarchy of cgroups once more, with the node's own cgroup as its root: version 2 alone, or version 1 with the controllers and an
# empty version 2.
umount --recursive /sys/fs/cgroup
mapfile -t hierarchies </proc/self/cgroup
if ((${#hierarchies[@]} == 1)); then
    mount -t cgroup2 none /sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    for hierarchy in "${hierarchies[@]}"; do
        IFS=: read -r _ controllers _ <<<"$hierarchy"
        place=/sys/fs/cgroup/${controllers#name=}
        [[ $controllers ]] || place=/sys/fs/cgroup/unified
        mkdir "$place"
        case $controllers in
        '') mount -t cgroup2 none "$place" ;;
        name=*) mount -t cgroup -o "none,$controllers" cgroup "$place" ;;
        *) mount -t cgroup -o "$controllers" cgroup "$place" ;;
        esac
    done
fi

ip link set lo up
# A bridge without ports carries the node's address: not every kernel has the device `dummy`.
ip link add node0 type bridge
ip address add "$address/24" dev node0
# In place of kube-proxy the one Service that pods look for.
ip address add "$api_address/32" dev node0
ip link set node0 up
nft -f - <<END
table ip services {
    chain from_pods { type nat hook prerouting priority -100; ip daddr $api_address tcp dport 443 redirect to :$api_port; }
    chain from_node { type nat hook output priority -100; ip daddr $api_address tcp dport 443 redirect to :$api_port; }
}
END
echo 1 >/proc/sys/net/ipv4/ip_forward

echo ready
# The shell waits for what its children leave behind, as a first process must.
while sleep 1000; do :; done
