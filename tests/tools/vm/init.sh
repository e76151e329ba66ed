#!/bin/sh
# PID 1 of a guest: makes a system of the bare kernel, runs /job/run, and says on the serial line $job_line what came of it.
# Lines that begin with `guest:` are for the runner (guest.rs), all others are the job's.
export PATH=/usr/bin:/bin HOME=/root
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mkdir -p /dev/pts /sys/fs/bpf
mount -t devpts devpts /dev/pts
mount -t bpf bpf /sys/fs/bpf
chmod 1777 /tmp
for module in /modules/*.ko; do
    insmod "$module" || echo "guest: no module $module"
done
ip link set lo up
# A guest has little memory, and with it a small table of connections, which short ones fill: then packets cannot be sent.
conntrack=/proc/sys/net/netfilter/nf_conntrack_max
[ -e $conntrack ] && echo 262144 >$conntrack
# Kernels before 5.11 charge maps to it.
ulimit -l unlimited

exec >"/dev/$job_line" 2>&1
stty raw
echo "guest: kernel $(uname -r)"
cd /job
/bin/sh ./run
echo "guest: code $?"
echo 'guest: doctor'
./tcpvitals doctor --output json
echo 'guest: end'
# Both lines have to be empty before the machine is gone.
stty sane
sync
poweroff -f
