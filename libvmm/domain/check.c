/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules that cross devices: valid one by one, impossible together.  Messages name both ends. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#define VIRTIO_PORTS_MAX 30u	/* of the one virtio-console device */

bool domain_name_check(const char *name, GError **error)
{
	if (!name || !*name)
		return error_set(error, VMM_ERR_XML, "a domain's name must not be empty");
	if (strlen(name) > DOMAIN_NAME_MAX_BYTES)
		return error_set(error, VMM_ERR_XML, "a domain's name has at most %u bytes",
				 DOMAIN_NAME_MAX_BYTES);
	if (!g_utf8_validate(name, -1, NULL))
		return error_set(error, VMM_ERR_XML, "a domain's name must be UTF-8");
	for (const char *c = name; *c; c++)
		if (*c == '/' || g_ascii_iscntrl(*c))
			return error_set(
				error, VMM_ERR_XML,
				"a domain's name must not have a '/' or a control character");
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return error_set(error, VMM_ERR_XML, "'%s' cannot be a domain's name", name);
	return true;
}

static bool check_vcpus(const struct domain_def *def, GError **error)
{
	const struct cpu_def *cpu = &def->cpu;
	unsigned long product = 1ul * cpu->sockets * cpu->dies * cpu->cores * cpu->threads;

	if (def->vcpus_max == 0 || def->vcpus_max > DOMAIN_VCPUS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "%u vCPUs are not 1 to %u",
				 def->vcpus_max, DOMAIN_VCPUS_MAX);
	if (def->vcpus == 0 || def->vcpus > def->vcpus_max)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "<vcpu current='%u'> is not 1 to <vcpu>'s %u", def->vcpus,
				 def->vcpus_max);
	if (cpu->sockets && product != def->vcpus_max)
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"<topology> of %u sockets, %u dies, %u cores, %u threads makes %lu "
			"CPUs, but <vcpu> says %u",
			cpu->sockets, cpu->dies, cpu->cores, cpu->threads, product, def->vcpus_max);
	return true;
}

static bool check_memory(const struct domain_def *def, GError **error)
{
	if (def->max_memory_bytes && def->max_memory_bytes < def->memory_bytes)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "<maxMemory> is less than <memory>");
	if (def->hugepages && def->memory_bytes % DOMAIN_HUGEPAGE_BYTES)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "<memory> is not a multiple of the 2 MiB of one of <hugepages>");
	if (def->balloon.none && def->current_bytes != def->memory_bytes)
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"<currentMemory> less than <memory> needs a balloon, but <memballoon> "
			"says model='none'");
	return true;
}

static bool check_disks(const struct domain_def *def, GError **error)
{
	for (unsigned a = 0; a < def->disks->len; a++) {
		if (!disk_def_check(def->disks->pdata[a], error))
			return false;
		for (unsigned b = 0; b < a; b++)
			if (!disk_def_check_pair(def->disks->pdata[b], def->disks->pdata[a], error))
				return false;
	}
	return true;
}

/* ---- boot order: one row of numbers over disks and interfaces ---- */

static bool check_order(const char *seen[], unsigned order, const char *alias, unsigned line,
			GError **error)
{
	if (!order)
		return true;
	if (order > DOMAIN_DEVICES_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: boot order %u of '%s' is too large", line, order, alias);
	if (seen[order])
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: '%s' has boot order %u, as has '%s'", line, alias, order,
				 seen[order]);
	seen[order] = alias;
	return true;
}

static bool check_boot(const struct domain_def *def, GError **error)
{
	const char *seen[DOMAIN_DEVICES_MAX + 1] = { NULL };

	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct disk_def *d = def->disks->pdata[i];

		if (!check_order(seen, d->boot_order, d->target, d->line, error))
			return false;
		if (d->boot_order && def->os.boot_hd)
			return error_set(
				error, VMM_ERR_CONFIG_UNSUPPORTED,
				"line %u: <boot order=> of '%s' and <boot dev='hd'/> in <os> "
				"exclude each other",
				d->line, d->target);
	}
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		const struct iface_def *n = def->ifaces->pdata[i];

		if (!check_order(seen, n->boot_order, n->alias, n->line, error))
			return false;
	}
	return true;
}

/* ---- character devices ---- */

static bool check_pair(const struct chardev_def *a, const struct chardev_def *b, GError **error)
{
	if (a->name && b->name && !strcmp(a->name, b->name))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: channel '%s' has the name '%s', as has '%s' on line %u",
				 b->line, b->alias, b->name, a->alias, a->line);
	if (a->path && b->path && !strcmp(a->path, b->path))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: '%s' uses '%s', as does '%s' on line %u", b->line,
				 b->alias, b->path, a->alias, a->line);
	return true;
}

static bool check_consoles(const struct domain_def *def, GError **error)
{
	unsigned ports = def->channels->len;

	if (def->serials->len > DOMAIN_SERIALS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: the machine has %u serial ports; for more use <console> "
				 "with <target type='virtio'/>",
				 ((const struct chardev_def *)def->serials->pdata[2])->line,
				 DOMAIN_SERIALS_MAX);
	for (unsigned i = 0; i < def->consoles->len; i++) {
		const struct chardev_def *c = def->consoles->pdata[i];

		if (i && c->target == CHARDEV_TARGET_SERIAL)
			return error_set(
				error, VMM_ERR_CONFIG_UNSUPPORTED,
				"line %u: only the first <console> is the serial port; give "
				"'%s' <target type='virtio'/>",
				c->line, c->alias);
		ports += c->target == CHARDEV_TARGET_VIRTIO;
	}
	if (ports > VIRTIO_PORTS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%u virtio consoles and channels are more than %u", ports,
				 VIRTIO_PORTS_MAX);
	return true;
}

static bool check_chardevs(const struct domain_def *def, GError **error)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new();

	g_ptr_array_extend(all, def->serials, NULL, NULL);
	g_ptr_array_extend(all, def->consoles, NULL, NULL);
	g_ptr_array_extend(all, def->channels, NULL, NULL);
	if (!check_consoles(def, error))
		return false;
	for (unsigned a = 0; a < all->len; a++) {
		const struct chardev_def *c = all->pdata[a];

		if (c->target == CHARDEV_TARGET_SERIAL)
			continue;	/* the mirror shares all with its serial port */
		for (unsigned b = 0; b < a; b++) {
			const struct chardev_def *d = all->pdata[b];

			if (d->target != CHARDEV_TARGET_SERIAL && !check_pair(d, c, error))
				return false;
		}
	}
	return true;
}

/* Registers and interrupt lines are given out in the guest's address map: machine/layout.h. */
static bool check_slots(const struct domain_def *def, GError **error)
{
	unsigned console = def->channels->len > 0, used;

	for (unsigned i = 0; i < def->consoles->len; i++)
		console |= ((const struct chardev_def *)def->consoles->pdata[i])->target ==
			   CHARDEV_TARGET_VIRTIO;
	used = def->disks->len + def->filesystems->len + def->ifaces->len + def->rngs->len +
	       !def->balloon.none + console + !!def->vsock;
	return used <= DOMAIN_VIRTIO_MAX ||
	       error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			 "%u disks, %u file systems, %u interfaces, %u rngs, %u balloon, %u "
			 "console and %u vsock device are %u virtio devices; machine 'microvm' "
			 "has room for %u",
			 def->disks->len, def->filesystems->len, def->ifaces->len, def->rngs->len,
			 !def->balloon.none, console, !!def->vsock, used, DOMAIN_VIRTIO_MAX);
}

static bool check_controllers(const struct domain_def *def, GError **error)
{
	for (unsigned a = 0; a < def->controllers->len; a++) {
		for (unsigned b = 0; b < a; b++) {
			const struct controller_def *x = def->controllers->pdata[b];
			const struct controller_def *y = def->controllers->pdata[a];

			if (x->type == y->type && x->index == y->index)
				return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
						 "<controller type='%s'> is there twice with "
						 "index %u: one is enough",
						 controller_type_name(x->type), x->index);
		}
	}
	return true;
}

/* ---- aliases: commands name devices by them ---- */

static bool alias_add(GHashTable *seen, const char *alias, GError **error)
{
	if (alias && !g_hash_table_add(seen, (char *)alias))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "<alias name='%s'> is there twice: each device has its own",
				 alias);
	return true;
}

#define ALIASES_ADD(seen, array, type, error) \
	({ \
		bool ok_ = true; \
		for (unsigned i_ = 0; ok_ && i_ < (array)->len; i_++) \
			ok_ = alias_add(seen, ((const type *)(array)->pdata[i_])->alias, error); \
		ok_; \
	})

static bool check_aliases(const struct domain_def *def, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (unsigned i = 0; i < def->consoles->len; i++) {
		const struct chardev_def *c = def->consoles->pdata[i];

		if (c->target != CHARDEV_TARGET_SERIAL && !alias_add(seen, c->alias, error))
			return false;
	}
	return ALIASES_ADD(seen, def->disks, struct disk_def, error) &&
	       ALIASES_ADD(seen, def->filesystems, struct filesystem_def, error) &&
	       ALIASES_ADD(seen, def->ifaces, struct iface_def, error) &&
	       ALIASES_ADD(seen, def->serials, struct chardev_def, error) &&
	       ALIASES_ADD(seen, def->channels, struct chardev_def, error) &&
	       ALIASES_ADD(seen, def->rngs, struct rng_def, error) &&
	       ALIASES_ADD(seen, def->controllers, struct controller_def, error) &&
	       alias_add(seen, def->balloon.none ? NULL : def->balloon.alias, error) &&
	       alias_add(seen, def->vsock ? def->vsock->alias : NULL, error);
}

bool domain_def_check(const struct domain_def *def, GError **error)
{
	return domain_name_check(def->name, error) && check_vcpus(def, error) &&
	       tune_def_check(&def->tune, def->vcpus_max, error) && check_memory(def, error) &&
	       check_disks(def, error) && filesystems_check(def->filesystems, error) &&
	       ifaces_check(def->ifaces, error) && check_chardevs(def, error) &&
	       check_slots(def, error) && check_controllers(def, error) && check_boot(def, error) &&
	       agent_check(def, error) &&
	       check_aliases(def, error);
}

bool domain_def_check_start(const struct domain_def *def, GError **error)
{
	if (!def->os.kernel)
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"domain '%s' has no <kernel> in <os>, and this machine has no firmware "
			"that could load one from a disk",
			def->name);
	return true;
}
