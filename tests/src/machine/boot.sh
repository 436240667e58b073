# Boots the Debian whose root is $1 with its own systemd. What changes goes into $2, so the root
# stays clean. The network is the machine's own, and has nothing but its loopback.
set -euo pipefail
root=$1 folder=$2
if [ -z "${3:-}" ]; then
    # Its control groups are below one of its own, which goes with it.
    groups=$(findmnt -n -t cgroup2 -o TARGET | head -1)
    group=$groups/streamspace-machine-$$
    mkdir "$group"
    echo "$group" >"$folder/group"
    echo $$ >"$group/cgroup.procs"
    exec unshare --mount --pid --ipc --uts --net --cgroup --fork --kill-child \
        bash "$0" "$root" "$folder" inside
fi
ip link set lo up 2>/dev/null || ifconfig lo up
hostname machine
mount --make-rprivate /
mkdir -p "$folder/changes" "$folder/work" "$folder/root"
here=$folder/root
mount -t overlay overlay -o "lowerdir=$root,upperdir=$folder/changes,workdir=$folder/work" "$here"
mount -t proc proc "$here/proc"
mount -t sysfs sysfs "$here/sys" -o ro
mount -t cgroup2 cgroup2 "$here/sys/fs/cgroup"
for place in run tmp dev; do mount -t tmpfs tmpfs "$here/$place" -o mode=755; done
chmod 1777 "$here/tmp"
mkdir "$here/run/lock" "$here/dev/pts" "$here/dev/shm"
for device in null zero full random urandom tty; do
    touch "$here/dev/$device"
    mount --bind "/dev/$device" "$here/dev/$device"
done
mount -t devpts devpts "$here/dev/pts" -o newinstance,ptmxmode=0666
mount -t tmpfs tmpfs "$here/dev/shm"
ln -s pts/ptmx "$here/dev/ptmx"
ln -s /proc/self/fd "$here/dev/fd"
cd "$here"
pivot_root . mnt
umount -l /mnt
exec env -i container=streamspace-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --show-status=no </dev/null >/dev/null 2>&1
