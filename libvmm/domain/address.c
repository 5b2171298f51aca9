/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a definition leaves open is given out here: target names, MACs, ports, aliases. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/util/mac.h"

#define TARGETS_MAX (DOMAIN_DEVICES_MAX + 1)

/* 0 is vda, 25 vdz, 26 vdaa: as Linux counts. */
static char *target_name(unsigned n)
{
	char letters[8];
	unsigned at = sizeof(letters) - 1;

	letters[at] = '\0';
	for (n++; n; n = (n - 1) / 26)
		letters[--at] = 'a' + (n - 1) % 26;
	return g_strdup_printf("vd%s", &letters[at]);
}

static bool target_taken(const GPtrArray *disks, const char *target)
{
	for (unsigned i = 0; i < disks->len; i++)
		if (!g_strcmp0(((const struct disk_def *)disks->pdata[i])->target, target))
			return true;
	return false;
}

static void fill_target(const GPtrArray *disks, struct disk_def *d)
{
	for (unsigned n = 0; !d->target && n < TARGETS_MAX; n++) {
		g_autofree char *name = target_name(n);

		if (!target_taken(disks, name))
			d->target = g_steal_pointer(&name);
	}
}

static void fill_mac(struct iface_def *i)
{
	if (!memcmp(i->mac, "\0\0\0\0\0", sizeof(i->mac)))
		mac_random(i->mac);
}

static bool console_is_serial(const struct domain_def *def)
{
	const struct chardev_def *console = def->consoles->len ? def->consoles->pdata[0] : NULL;

	return console && console->target == CHARDEV_TARGET_SERIAL;
}

/* libvirt: a first console and the first serial port are one thing with two names. */
static void fill_serial(struct domain_def *def)
{
	if (def->serials->len)
		return;
	if (console_is_serial(def))
		g_ptr_array_add(def->serials,
				chardev_def_mirror(def->consoles->pdata[0], CHARDEV_SERIAL));
	else if (!def->consoles->len)
		g_ptr_array_add(def->serials, chardev_def_new(CHARDEV_SERIAL));
}

static void fill_console(struct domain_def *def)
{
	if (console_is_serial(def))
		g_ptr_array_remove_index(def->consoles, 0);
	if (def->serials->len)
		g_ptr_array_insert(def->consoles, 0,
				   chardev_def_mirror(def->serials->pdata[0], CHARDEV_CONSOLE));
}

static void fill_ports(GPtrArray *devices)
{
	for (unsigned i = 0; i < devices->len; i++)
		((struct chardev_def *)devices->pdata[i])->port = i;
}

static void fill_alias(char **alias, const char *prefix, unsigned n)
{
	if (!*alias)
		*alias = g_strdup_printf("%s%u", prefix, n);
}

#define FILL_ALIASES(array, type, prefix) \
	for (unsigned i_ = 0; i_ < (array)->len; i_++) \
		fill_alias(&((type *)(array)->pdata[i_])->alias, prefix, i_)

static void fill_controllers(GPtrArray *controllers)
{
	for (unsigned i = 0; i < controllers->len; i++) {
		struct controller_def *c = controllers->pdata[i];

		fill_alias(&c->alias, c->type == CONTROLLER_USB ? "usb" : "virtio-serial",
			   c->index);
	}
}

bool domain_def_fill(domain_def *def, GError **error)
{
	for (unsigned i = 0; i < def->disks->len; i++)
		fill_target(def->disks, def->disks->pdata[i]);
	for (unsigned i = 0; i < def->ifaces->len; i++)
		fill_mac(def->ifaces->pdata[i]);
	fill_serial(def);
	fill_ports(def->serials);
	FILL_ALIASES(def->serials, struct chardev_def, "serial");
	fill_console(def);
	fill_ports(def->consoles);
	fill_ports(def->channels);
	FILL_ALIASES(def->disks, struct disk_def, "virtio-disk");
	FILL_ALIASES(def->filesystems, struct filesystem_def, "fs");
	FILL_ALIASES(def->ifaces, struct iface_def, "net");
	FILL_ALIASES(def->consoles, struct chardev_def, "console");
	FILL_ALIASES(def->channels, struct chardev_def, "channel");
	FILL_ALIASES(def->rngs, struct rng_def, "rng");
	fill_controllers(def->controllers);
	fill_alias(&def->balloon.alias, "balloon", 0);
	if (def->vsock)
		fill_alias(&def->vsock->alias, "vsock", 0);
	return domain_def_check(def, error);
}
