#!/bin/sh
# The guest's first process. Stage one leaves the kernel's own root file system, which pivot_root(2) refuses to
# leave; stage two mounts what a host has mounted, runs /guest/cmd, and powers off.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=dumb
if [ "$1" != stage2 ]; then
    mkdir -p /guest/root
    mount --bind / /guest/root && cd /guest/root && mount --move . / && exec chroot . /init stage2
    echo "cannot leave the initramfs"
    poweroff -f
fi
mount -t proc -o nosuid,nodev,noexec proc /proc
# Before 5.11 BPF maps and programs count as locked memory, those that containers make too.
ulimit -l unlimited
# Debian's kernels refuse perf_event_open at 3 before any hook; 2 is what other kernels begin with.
echo 2 > /proc/sys/kernel/perf_event_paranoid
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o mode=0755 devtmpfs /dev
mkdir -p /guest/engines /dev/pts /dev/shm /dev/mqueue /tmp /run /var /root /etc
mount -t devpts -o gid=5,mode=0620,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue 2>/dev/null
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t securityfs securityfs /sys/kernel/security
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t bpf bpf /sys/fs/bpf
ln -sf /proc/self/fd /dev/fd; ln -sf fd/0 /dev/stdin; ln -sf fd/1 /dev/stdout; ln -sf fd/2 /dev/stderr
ln -sf /run /var/run

. /guest/env
case "$BULKHEAD_CGROUP" in
v2)
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
    done
    ;;
*)
    mount -t tmpfs -o mode=0755 tmpfs /sys/fs/cgroup
    for controller in $(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups); do
        mkdir -p "/sys/fs/cgroup/$controller"
        # A kernel may be built without the v1 side of a controller.
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" 2>/dev/null ||
            rmdir "/sys/fs/cgroup/$controller"
    done
    mkdir -p /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
    if [ "$BULKHEAD_CGROUP" = hybrid ]; then
        mkdir -p /sys/fs/cgroup/unified
        mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    fi
    ;;
esac

if [ "$BULKHEAD_ENGINES" = 1 ]; then
    for module in /guest/modules/*.ko; do
        [ -e "$module" ] && insmod "$module"
    done
    # The kernel looks for disks on its own time.
    until mount -t ext4 -o ro /dev/nvme0n1 /guest/engines 2>/dev/null; do usleep 20000; done
    # Their files appear where they were on the machine that they come from, but for those that are here already.
    (cd /guest/engines && find . -type d ! -name lost+found -exec mkdir -p /{} \;
        find . ! -type d | while read -r file; do [ -e "/$file" ] || ln -s "/guest/engines/$file" "/$file"; done)
fi

ip link set lo up
hostname guest
# As on a host, where whoever starts a container is in a cgroup of a session or a service: Podman takes the root cgroup's
# processes to be its own.
if [ "$BULKHEAD_ENGINES$BULKHEAD_CGROUP" = 1v2 ]; then
    mkdir /sys/fs/cgroup/session
    echo $$ >/sys/fs/cgroup/session/cgroup.procs
fi
# The console stays free for the kernel's own words: results have a line of their own.
{
    echo "@@ BOOT $(uname -r) $(cut -d' ' -f1 /proc/uptime)"
    sh /guest/cmd
    echo "@@ EXIT $?"
} </dev/null 2>&1 | cat >/dev/ttyS1
sync
poweroff -f
