#!/bin/sh
# What a guest of `vm cluster` does: runs `make test-cluster`'s program where cgroups are of version 2 alone, and prints the page that it
# wrote. Containers exchange their root file system, which the first one of a guest does not let them do, so everything moves to the disk.
#
#   guest.sh TOP STEP...
set -e
case $1 in
moved) ;;
inside)
    shift
    top=$1
    shift
    mount -t cgroup2 none /sys/fs/cgroup
    ln -s /proc/self/fd /dev/fd
    cd "$top"
    export TCPVITALS_TEST_PATIENCE=300 NO_COLOR=1
    if /job/cluster --older /job/older.tar --page docs/cluster.md "$@"; then
        sed 's/^/page: /' docs/cluster.md
        exit 0
    fi
    for log in target/cluster/logs/*; do
        echo "== $log"
        tail -n 15 "$log"
    done
    exit 1
    ;;
*) exec unshare --mount --propagation private /bin/sh "$0" moved "$@" ;;
esac
shift
mkdir /new
mke2fs -q -t ext4 /dev/vda
mount -t ext4 /dev/vda /new
for each in /*; do
    case $each in
    /new) ;;
    /proc | /sys | /dev | /tmp | /run) mkdir "/new$each" ;;
    *) cp -a "$each" /new/ ;;
    esac
done
mkdir -p /new/var/lib /new/var/log
for each in proc sys dev tmp run; do mount --move "/$each" "/new/$each"; done
cd /new
mount --move . /
exec chroot . /bin/sh /job/guest.sh inside "$@"
