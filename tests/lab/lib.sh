# SPDX-License-Identifier: LGPL-2.1-or-later
# What the lab's stories share; sourced inside L1 (busybox sh).  /lab holds our programs, /boot and
# /lib/modules the Debian kernel that L1 runs and the guests boot.
#
# A story prints "PASS: lab/STORY - sentence" or "FAIL: ..." for each thing that it shows.
export VMM_SCHEMA_DIR=/lab/schemas VMM_WORKER=/lab/vmm-worker VMM_AGENT=/lab/vmm-agent
# busybox's shell prefers its own applets to what PATH finds.
mke2fs() { /usr/sbin/mke2fs "$@"; }
work=/tmp/work
mkdir -p $work
failed=0

pass() { echo "PASS: lab/$story - $*"; }
fail() { echo "FAIL: lab/$story - $*"; failed=1; }
# check SENTENCE COMMAND...
check() { what=$1; shift; if "$@" >$work/check.out 2>&1; then pass "$what"; else fail "$what"; sed 's/^/# /' $work/check.out | tail -n 15; fi; }

# workers [NAME]: process ids of running workers (there is no pgrep here)
workers() {
	for p in /proc/[0-9]*; do
		c=$(tr '\0' ' ' 2>/dev/null <$p/cmdline)
		case "$c" in */vmm-worker*"${1:-}"*) echo ${p#/proc/} ;; esac
	done
}

# wait_for FILE PATTERN SECONDS
wait_for() {
	wf=$(($3 * 10))
	while ! grep -qE -- "$2" "$1" 2>/dev/null; do
		wf=$((wf - 1)); [ $wf -gt 0 ] || return 1
		usleep 100000
	done
}

kver=$(ls /lib/modules)
# initrd FILE INIT [FILE...]: busybox, virtio's modules in order, INIT as /init, more files at their own paths
initrd() {
	out=$1 init=$2; shift 2
	rm -rf $work/i && mkdir -p $work/i/bin $work/i/proc $work/i/sys $work/i/dev $work/i/mod $work/i/mnt $work/i/tmp
	cp /bin/busybox $work/i/bin/
	for m in virtio_ring virtio virtio_mmio virtio_blk failover net_failover virtio_net virtio-rng virtio_balloon virtio_console vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport fuse virtiofs; do
		f=$(find /lib/modules/$kver/ -name "$m.ko" | head -n 1)
		[ -n "$f" ] && cp "$f" $work/i/mod/
	done
	{
		echo '#!/bin/busybox sh'
		echo '/bin/busybox --install -s /bin; PATH=/bin:/sbin:/usr/bin:/usr/sbin'
		echo 'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev'
		echo 'for m in virtio_ring virtio virtio_mmio virtio_blk failover net_failover virtio_net virtio-rng virtio_balloon virtio_console vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport fuse virtiofs; do insmod /mod/$m.ko 2>/dev/null; done'
		echo 'for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/vda ] && break; usleep 50000; done'
		cat "$init"
	} >$work/i/init
	chmod +x $work/i/init
	for f in "$@"; do
		mkdir -p "$work/i/${f%/*}"; cp -L "$f" "$work/i/$f"
		[ -x "$f" ] && head -c 4096 "$f" | grep -q ld-linux && for l in $(ldd_of "$f"); do mkdir -p "$work/i/${l%/*}"; cp -L "$l" "$work/i/$l"; done
	done
	(cd $work/i && find . | cpio -o -H newc 2>/dev/null) >"$out"
}
# What a dynamic program needs: the loader itself says it.
ldd_of() { /lib64/ld-linux-x86-64.so.2 --list "$1" 2>/dev/null | grep -oE '/[^ )]+'; }

# domain NAME MEM_MIB VCPUS INITRD [DEVICES...]: XML on stdout
domain() {
	name=$1 mem=$2 cpus=$3 ird=$4; shift 4
	cat <<-X
	<domain type='kvm'><name>$name</name><memory unit='MiB'>$mem</memory><vcpu>$cpus</vcpu>
	<os><type arch='x86_64' machine='microvm'>hvm</type><kernel>/boot/vmlinuz</kernel><initrd>$ird</initrd>
	<cmdline>console=ttyS0 quiet panic=-1</cmdline></os>
	<devices>$*<serial type='pty'/></devices></domain>
	X
}
# disk FORMAT FILE TARGET [DRIVER ATTRIBUTES]
disk() { echo "<disk type='file' device='disk'><driver name='vmm' type='$1' $4/><source file='$2'/><target dev='$3' bus='virtio'/></disk>"; }

# boot XML LOG: runs it in the foreground in the background; $worker is its pid
boot() { : >"$2"; /lab/vmm-worker --foreground "$1" <${3:-/dev/null} >"$2" 2>&1 & worker=$!; }

# ends PID SECONDS: the status of a child of ours; one that does not end is killed
ends() {
	e=$(($2 * 10))
	while [ -e /proc/$1/exe ] && [ $e -gt 0 ]; do e=$((e - 1)); usleep 100000; done
	kill -9 $1 2>/dev/null
	wait $1
}
