/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What to do instead of the parts of libvirt's dialect that this machine does
 * not have, and where those that it has belong.  The key is PARENT/CHILD,
 * PARENT/ATTRIBUTE or ELEMENT/ATTRIBUTE=VALUE; '*' stands for any parent or any
 * value.  "filesystem>driver" is the <driver> of a <filesystem> only: such keys
 * come before those of any other <driver>.
 */
#include "config.h"
#include "libvmm/domain/xml-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"

#define CONSOLE_ONLY "the machine has no display; use <console type='pty'/>"
#define NO_PCI "the machine has no PCI bus; leave it out, each device finds its place"
#define OWN_THREAD "each disk has a thread of its own already; leave it out"
#define ALWAYS_ON "it is always on; leave it out"
#define USE_HOST_CPU "use mode='host-passthrough' and <feature policy='disable' name='...'/>"
#define DIRECT_BOOT "there is no firmware; use <kernel>, <initrd> and <cmdline>"
#define USE_VIRTIO_DISK "use bus='virtio' and a target named vda, vdb, ..."
#define USE_UNIX "use type='pty', 'unix', 'file' or 'null'"
#define USE_VIRTIO_NET "use <model type='virtio'/>"
#define USE_CGROUP "vmmd makes a cgroup for each domain with limits; leave it out"
#define GLOBAL_LIMIT "use <global_period> and <global_quota>, for the whole machine"
#define USE_IFACES "use type='network', 'user', 'bridge' or 'ethernet'"
#define USE_FOLDER "use type='mount' with <source dir='/FOLDER'/>"
#define SHARE_OWNER "use accessmode='mapped' or 'squash'"

static const struct hint {
	const char *key, *text;
} hints[] = {
	/* filesystem: some of its elements are others', too */
	{ "filesystem/type=*", USE_FOLDER },
	{ "filesystem/accessmode=*", "use accessmode='passthrough', 'mapped' or 'squash'" },
	{ "filesystem/multidevs", "files keep the numbers that they have; leave it out" },
	{ "filesystem/model=*", "use model='virtio'" },
	{ "filesystem/space_hard_limit", "use a quota of the host's file system" },
	{ "filesystem/space_soft_limit", "use a quota of the host's file system" },
	{ "filesystem/idmap", SHARE_OWNER },
	{ "filesystem/cache", "use <binary><cache mode='...'/></binary>" },
	{ "filesystem>driver/queues", "use queue='N', how many entries its queue has" },
	{ "filesystem>driver/type=*", "use type='virtiofs', or type='path' for 9p" },
	{ "filesystem>driver/format", USE_FOLDER },
	{ "filesystem>driver/name", "leave it out" },
	{ "filesystem>driver/wrpolicy", "what the guest syncs is on the disk; leave it out" },
	{ "filesystem>source/socket", "there is no virtiofsd to connect to: use dir='/FOLDER'" },
	{ "filesystem>source/*", USE_FOLDER },
	{ "filesystem>target/*", "<target dir='TAG'/> is all that it has" },
	{ "binary>cache/mode=*", "use mode='none', 'auto' or 'always'" },
	{ "binary/path", "the worker serves it itself; leave it out" },
	{ "binary/sandbox", "the worker is in a jail of its own; leave it out" },
	{ "binary/xattr", ALWAYS_ON },
	{ "binary/lock", ALWAYS_ON },
	{ "binary/thread_pool", "leave it out" },
	{ "binary/openfiles", "leave it out" },
	/* domain */
	{ "domain/type=*", "use type='kvm'" },
	{ "domain/iothreads", OWN_THREAD },
	{ "domain/iothreadids", OWN_THREAD },
	{ "domain/vcpus", "vCPUs are not plugged one by one; use <vcpu current='N'>MAX</vcpu>" },
	{ "cputune/period", GLOBAL_LIMIT },
	{ "cputune/quota", GLOBAL_LIMIT },
	{ "cputune/emulator_period", GLOBAL_LIMIT },
	{ "cputune/emulator_quota", GLOBAL_LIMIT },
	{ "cputune/iothread_period", GLOBAL_LIMIT },
	{ "cputune/iothread_quota", GLOBAL_LIMIT },
	{ "cputune/iothreadpin", "use <emulatorpin>: disks' threads are among its" },
	{ "cputune/*", "leave it out" },
	{ "memtune/min_guarantee", "leave it out" },
	{ "blkiotune/device", "use <iotune> of the <disk>" },
	{ "numatune/memnode", "the guest has one memory node; use <memory>" },
	{ "memory/mode=*", "use mode='strict'" },
	{ "domain/resource", USE_CGROUP },
	{ "domain/seclabel", "the worker's jail needs no label; leave it out" },
	{ "domain/sysinfo", "the machine has no SMBIOS; pass data by <cmdline>" },
	{ "domain/idmap", "this is for containers; leave it out" },
	{ "domain/bootloader", "use <os> with <kernel>" },
	{ "domain/genid", "the machine has no generation id; leave it out" },
	{ "domain/perf", "use the statistics commands; leave it out" },
	{ "domain/launchSecurity", "encrypted guests are not supported; leave it out" },
	{ "domain/keywrap", "this is for another architecture; leave it out" },
	{ "domain/qemu:commandline",
	  "there is no QEMU behind this machine; use what vmm-domain(5) lists" },
	/* memory */
	{ "memoryBacking/allocation", "memory is given when the guest touches it; leave it out, "
				      "or use <hugepages/>" },
	{ "memoryBacking/locked", "use <hugepages/>: they are never swapped out" },
	{ "memoryBacking/discard", "memory goes when the worker ends; leave it out" },
	{ "source/type=file", "use <source type='memfd'/>" },
	{ "source/type=anonymous", "use <source type='memfd'/>" },
	{ "vcpu/placement=auto", "use placement='static'" },
	/* os */
	{ "os/loader", DIRECT_BOOT },
	{ "os/nvram", DIRECT_BOOT },
	{ "os/firmware", DIRECT_BOOT },
	{ "os/bios", DIRECT_BOOT },
	{ "os/bootmenu", DIRECT_BOOT },
	{ "os/smbios", "the machine has no SMBIOS; leave it out" },
	{ "os/acpi", "the machine makes its own ACPI tables; leave it out" },
	{ "os/dtb", "x86 guests read ACPI; leave it out" },
	{ "os/init", "this is for containers; use init=PATH in <cmdline>" },
	{ "os/shim", DIRECT_BOOT },
	{ "boot/dev=*", DIRECT_BOOT },
	{ "type/arch=*", "use arch='x86_64'" },
	{ "type/machine=*", "use machine='microvm'" },
	/* features */
	{ "features/hyperv", "the guest sees KVM's own interfaces; leave it out" },
	{ "features/kvm", "leave it out" },
	{ "features/smm", "there is no firmware that would use it; leave it out" },
	{ "features/pmu", "leave it out" },
	{ "features/ioapic", "KVM's own is always used; leave it out" },
	{ "features/viridian", "the guest sees KVM's own interfaces; leave it out" },
	{ "features/hap", ALWAYS_ON },
	{ "features/privnet", "this is for containers; leave it out" },
	{ "apic/eoi", "leave it out" },
	{ "vmport/state=on", "the machine has no VMware port; use state='off'" },
	/* cpu */
	{ "cpu/mode=*", USE_HOST_CPU },
	{ "cpu/match", USE_HOST_CPU },
	{ "cpu/model", USE_HOST_CPU },
	{ "cpu/vendor", USE_HOST_CPU },
	{ "cpu/numa", "the guest has one memory node; leave it out" },
	{ "cpu/maxphysaddr", "the guest sees the host's; leave it out" },
	{ "cache/mode=*", "use mode='passthrough'" },
	{ "cpu/migratable=off", "use <feature policy='require' name='invtsc'/>" },
	{ "cache/level", "the cache is shown as a whole; leave level out" },
	{ "topology/clusters=*", "use clusters='1'" },
	/* clock, pm */
	{ "clock/offset=absolute", "use offset='variable' with adjustment=" },
	{ "clock/adjustment", "use offset='variable' with adjustment=" },
	{ "timer/name=*", "use kvmclock, tsc, rtc, pit or hpet" },
	{ "timer/track", "the RTC shows the clock's time; leave it out" },
	{ "timer/frequency", "the guest sees the host's; leave it out" },
	{ "timer/mode", "leave it out" },
	{ "timer/tickpolicy=*", "use 'delay' or 'catchup'" },
	{ "*/enabled=yes", "the machine cannot sleep; use enabled='no'" },
	{ "on_crash/coredump-destroy", "use destroy, restart or preserve" },
	{ "on_crash/coredump-restart", "use destroy, restart or preserve" },
	/* devices */
	{ "vsock/address", "use <cid auto='no' address='N'/> in it" },
	{ "devices/graphics", CONSOLE_ONLY },
	{ "devices/video", CONSOLE_ONLY },
	{ "devices/input", CONSOLE_ONLY },
	{ "devices/audio", CONSOLE_ONLY },
	{ "devices/sound", "the machine has no sound; leave it out" },
	{ "devices/hostdev",
	  "host devices are not passed through; use a virtio disk or interface" },
	{ "devices/redirdev", "the machine has no USB; leave it out" },
	{ "devices/redirfilter", "the machine has no USB; leave it out" },
	{ "devices/hub", "the machine has no USB; leave it out" },
	{ "devices/smartcard", "the machine has no USB; leave it out" },
	{ "devices/tpm", "the machine has no TPM; leave it out" },
	{ "devices/watchdog", "use <on_crash> and watch the guest from outside" },
	{ "devices/panic", "a triple fault already is a crash; add panic=-1 to <cmdline>" },
	{ "devices/shmem", "use a <channel>" },
	{ "devices/memory", "memory is not plugged; use <memory> and the balloon" },
	{ "devices/iommu", "the machine has none; leave it out" },
	{ "devices/parallel", "use <serial> or <channel>" },
	{ "devices/nvram", "the machine has none; leave it out" },
	{ "devices/lease", "images are locked while they are open; leave it out" },
	{ "devices/crypto", "leave it out" },
	{ "devices/pstore", "leave it out" },
	{ "*/address", NO_PCI },
	{ "address/type=*", NO_PCI },
	{ "*/acpi", "leave it out" },
	{ "*/rom", "the machine has no option ROMs; leave it out" },
	/* disk */
	{ "disk/type=network",
	  "connect it on the host and use type='block', or copy it to a file" },
	{ "disk/type=*", "use type='file' or type='block'" },
	{ "disk/device=cdrom",
	  "use device='disk' with <readonly/>; the guest reads the same bytes" },
	{ "disk/device=*", "use device='disk'" },
	{ "disk/model", "leave it out" },
	{ "disk/snapshot", "leave it out" },
	{ "disk/sgio", "leave it out" },
	{ "disk/rawio", "leave it out" },
	{ "disk/throttlefilters", "use <iotune>" },
	{ "transient/shareBacking", "an image of <transient/> is always shared: leave it out" },
	{ "disk/encryption", "encrypt below the image, with dm-crypt on the host" },
	{ "disk/auth", "use type='file' or type='block'" },
	{ "disk/geometry", "virtio disks have none; leave it out" },
	{ "disk/blockio", "sectors are 512 bytes; leave it out" },
	{ "disk/mirror", "leave it out" },
	{ "disk/wwn", "use <serial>" },
	{ "disk/vendor", "use <serial>" },
	{ "disk/product", "use <serial>" },
	{ "disk/backenddomain", "leave it out" },
	{ "disk/privateData", "leave it out" },
	{ "backingStore/*",
	  "the chain is read from the images' own headers; leave <backingStore> out" },
	{ "driver/name=*", "use name='qemu' or leave it out" },
	{ "driver/type=*",
	  "use type='raw' or type='qcow2'; vmsh image convert makes them of others" },
	{ "driver/iothread", OWN_THREAD },
	{ "driver/iothreads", OWN_THREAD },
	{ "driver/ioeventfd", ALWAYS_ON },
	{ "driver/event_idx", ALWAYS_ON },
	{ "driver/packed", "leave it out" },
	{ "driver/queue_size", "leave it out" },
	{ "driver/copy_on_read", "leave it out" },
	{ "driver/metadata_cache", "leave it out" },
	{ "driver/iommu", "leave it out" },
	{ "driver/ats", "leave it out" },
	{ "driver/format", "the format is type='qcow2' or type='raw'" },
	{ "driver/io=uring", "use io='io_uring' or leave it out" },
	{ "driver/io=native", "use io='io_uring' or leave it out" },
	{ "driver/detect_zeroes=*",
	  "use detect_zeroes='off'; guests that discard need no detection" },
	{ "source/startupPolicy", "an image that is missing is an error; leave it out" },
	{ "source/index", "leave it out" },
	{ "source/seclabel", "leave it out" },
	{ "source/reservations", "leave it out" },
	{ "source/slices", "leave it out" },
	{ "source/encryption", "leave it out" },
	{ "target/bus=*", USE_VIRTIO_DISK },
	{ "target/tray", "leave it out" },
	{ "target/removable", "leave it out" },
	{ "target/rotation_rate", "leave it out" },
	/* interface */
	{ "interface/type=direct", "use type='ethernet' or type='bridge'" },
	{ "interface/type=*", USE_IFACES },
	{ "backend/type=passt", "type='user' has its own; leave <backend> out" },
	{ "backend/type=*", "leave <backend> out" },
	{ "backend/tap", "leave it out" },
	{ "backend/vhost", "leave it out" },
	{ "backend/logFile", "leave it out" },
	{ "model/type=*", USE_VIRTIO_NET },
	{ "driver/txmode", "leave it out" },
	{ "interface/ip", "addresses come by DHCP: the guest is 10.0.2.15; leave it out" },
	{ "interface/route", "routes come by DHCP; leave it out" },
	{ "interface/script", "make the tap device beforehand: <target dev='tap0' managed='no'/>" },
	{ "interface/downscript",
	  "make the tap device beforehand: <target dev='tap0' managed='no'/>" },
	{ "interface/bandwidth", "use tc on the tap device" },
	{ "interface/filterref", "use nftables on the tap device" },
	{ "interface/virtualport", "use type='ethernet' and plug the tap device" },
	{ "interface/vlan", "use a bridge with the VLAN, or a VLAN device in the guest" },
	{ "interface/tune", "leave it out" },
	{ "interface/guest", "leave it out" },
	{ "interface/coalesce", "leave it out" },
	{ "interface/teaming", "leave it out" },
	{ "interface/port", "use nftables on the host" },
	{ "interface/trustGuestRxFilters", "leave it out" },
	{ "portForward/dev", "use address= to choose where to listen" },
	/* network */
	{ "forward/mode=*", "use mode='nat', mode='bridge' with <bridge name='br0'/>, or no "
			    "<forward>: guests among themselves" },
	{ "forward/dev", "the host's routes choose the way; leave it out" },
	{ "forward/nat", "the host's sockets choose addresses and ports; leave it out" },
	{ "forward/interface", "use a bridge: <bridge name='br0'/>" },
	{ "network/ipv6", "leave it out" },
	{ "network/trustGuestRxFilters", "leave it out" },
	{ "network/mtu", "guests among themselves use large frames as it is; leave it out" },
	{ "network/portgroup", "make one network for each" },
	{ "network/bandwidth", "leave it out" },
	{ "network/vlan", "use a bridge with the VLAN" },
	{ "network/virtualport", "leave it out" },
	{ "network/port", "leave it out" },
	{ "network/route", "leave it out" },
	{ "network/dnsmasq:options", "there is no dnsmasq; use <dns> and <dhcp>" },
	{ "ip/family=*", "use an IPv4 address" },
	{ "ip/localPtr", "leave it out" },
	{ "ip/tftp", "guests boot their <kernel> directly" },
	{ "dhcp/bootp", "guests boot their <kernel> directly" },
	{ "host/id", "use mac= or name=" },
	{ "dns/forwarder", "the host's own resolver is asked; leave it out" },
	{ "dns/forwardPlainNames", "leave it out" },
	{ "bridge/zone", "leave it out" },
	{ "bridge/macTableManager", "leave it out" },
	/* serial, console, channel */
	{ "serial/type=*", USE_UNIX },
	{ "console/type=*", USE_UNIX },
	{ "channel/type=*", USE_UNIX },
	{ "*/log", "the last 256 KiB are kept and replayed; use type='file' to keep all" },
	{ "portForward/protocol", "use proto='tcp' or proto='udp'" },
	{ "os/initramfs", "use <initrd>" },
	{ "*/protocol", "use type='unix'" },
	{ "source/mode=connect", "use mode='bind' and connect to it" },
	{ "source/reconnect", "use mode='bind' and connect to it" },
	{ "source/tls", "use type='unix'" },
	{ "target/type=usb-serial", "use type='isa-serial'" },
	{ "target/type=pci-serial", "use type='isa-serial'" },
	{ "target/type=*", "use isa-serial for <serial>, serial or virtio for <console>, "
			   "virtio for <channel>" },
	/* rng, balloon, vsock, controller */
	{ "backend/model=egd", "use model='random'" },
	{ "backend/model=builtin", "use model='random'" },
	{ "rng/model=*", "use model='virtio'" },
	{ "memballoon/model=*", "use model='virtio' or 'none'" },
	{ "vsock/model=*", "use model='virtio'" },
	{ "vsock/driver", "leave it out" },
	{ "vsock/source", "its sockets are in the run folder of the domain; leave it out" },
	{ "vsock/acpi", "leave it out" },
	{ "vsock/proxy", "write <vmm:proxy>; <domain> then has "
			 "xmlns:vmm='https://libvmm.org/xmlns/domain/1.0'" },
	{ "controller/type=pci", NO_PCI },
	{ "controller/type=*", "disks need none; leave it out" },
	{ "controller/driver", "leave it out" },
	{ "controller/master", "leave it out" },
	{ "controller/target", "leave it out" },
	{ "controller/vectors", "leave it out" },
	{ "controller/ports", "leave it out" },
};

static bool is_word(const char *text, size_t len, const xmlNode *node)
{
	const char *name = node && node->type == XML_ELEMENT_NODE ? (const char *)node->name : "";

	return strlen(name) == len && !strncmp(text, name, len);
}

static bool matches(const char *key, const xmlNode *parent, const char *name)
{
	const char *slash = strchr(key, '/'), *within = memchr(key, '>', slash - key);
	const char *last = within ? within + 1 : key;

	if (within && !is_word(key, within - key, parent->parent))
		return false;
	if (!(slash - last == 1 && *last == '*') && !is_word(last, slash - last, parent))
		return false;
	return g_pattern_match_simple(slash + 1, name);
}

const char *xml_hint(const xmlNode *parent, const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(hints); i++)
		if (matches(hints[i].key, parent, name))
			return hints[i].text;
	return NULL;
}

/* ---- where things belong ---- */

/* What stands elsewhere in the dialect; a name that has several places is under the likeliest. */
static const struct place {
	const char *where, *elements, *attrs;
} places[] = {
	{ "<domain>", "name uuid title description metadata memory currentMemory maxMemory "
		      "memoryBacking blkiotune memtune vcpu cputune numatune cpu os features clock "
		      "on_poweroff on_reboot on_crash pm "
		      "devices", "" },
	{ "<os>", "kernel initrd cmdline", "" },
	{ "<type>, within <os>", "", "arch machine" },
	{ "<features>", "acpi apic pae vmport vmm:agent", "" },
	{ "<cpu>", "topology feature", "migratable check" },
	{ "<topology>, within <cpu>", "", "sockets dies cores threads" },
	{ "<feature>, within <cpu>", "", "policy" },
	{ "<clock>", "timer", "offset timezone" },
	{ "<timer>, within <clock>", "", "tickpolicy present" },
	{ "<vcpu>", "", "cpuset current placement" },
	{ "<memory>", "", "unit" },
	{ "<memoryBacking>", "hugepages nosharepages", "" },
	{ "<hugepages>, within <memoryBacking>", "page", "" },
	{ "<blkiotune>", "weight", "" },
	{ "<memtune>", "hard_limit soft_limit swap_hard_limit", "" },
	{ "<cputune>", "shares global_period global_quota vcpupin emulatorpin", "" },
	{ "<vcpupin>, within <cputune>", "", "vcpu cpuset" },
	{ "<emulatorpin>, within <cputune>", "", "cpuset" },
	{ "<numatune>", "memory", "" },
	{ "<pm>", "suspend-to-mem suspend-to-disk", "" },
	{ "<devices>", "disk filesystem interface serial console channel rng controller memballoon "
	  "vsock emulator", "" },
	{ "<disk>", "readonly shareable transient backingStore iotune", "device" },
	{ "<driver>, within <disk>", "",
	  "cache io discard detect_zeroes error_policy rerror_policy queues" },
	{ "<filesystem>", "binary", "accessmode fmode dmode" },
	{ "<source>", "", "file dir bridge path append" },
	{ "<target>", "", "dev bus" },
	{ "<iotune>, within <disk>",
	  "total_bytes_sec read_bytes_sec write_bytes_sec total_iops_sec read_iops_sec "
	  "write_iops_sec group_name", "" },
	{ "<interface>", "mac mtu link portForward", "" },
	{ "<portForward>, within <interface>", "range", "proto" },
	{ "<range>, within <portForward>", "", "start end to exclude" },
	{ "<rng>", "rate", "" },
	{ "<rate>, within <rng>", "", "bytes period" },
	{ "<memballoon>", "stats", "autodeflate freePageReporting" },
	{ "<vsock>", "cid vmm:proxy", "" },
	{ "<vmm:proxy>, within <vsock>", "", "allow" },
	{ "<cid>, within <vsock>", "", "auto address" },
	{ "<boot>", "", "order" },
};

static bool has_word(const char *list, const char *word)
{
	g_auto(GStrv) words = g_strsplit(list, " ", -1);

	return g_strv_contains((const char *const *)words, word);
}

const char *xml_place_of(const char *name, bool *ret_attr)
{
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		*ret_attr = has_word(places[i].attrs, name);
		if (*ret_attr || has_word(places[i].elements, name))
			return places[i].where;
	}
	return NULL;
}

char *xml_nearest_place(const char *word)
{
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		g_autofree char *near = xml_nearest(word, places[i].elements);

		/* far away only what is very near */
		if (near && near[0] == word[0])
			return g_steal_pointer(&near);
	}
	return NULL;
}
