#!/usr/bin/env bash
# Boots the systemd of a root file system as process 1 of new namespaces, without a container manager: boot.sh ROOT. Whoever starts
# it with `unshare --mount --pid --fork --cgroup --uts --ipc --net --propagation private` ends it with that process.
set -euo pipefail
root=$1
mount --bind "$root" "$root"
# A machine with cgroups of both versions mounts the old ones there, which a recent systemd refuses.
umount --recursive /sys/fs/cgroup
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root"/dev/{pts,shm}
mount -t devpts devpts "$root/dev/pts"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir "$root/run/packages"
mount --bind "${2:?folder with packages}" "$root/run/packages"
exec chroot "$root" /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --show-status=0 --log-target=console --log-level=warning
