/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of a definition that a running machine takes on. */
#include "config.h"
#include "libvmm/domain/now.h"

#include <string.h>

#include "libvmm/domain/diff.h"
#include "libvmm/domain/domain-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* ---- one part ---- */

static void text_take(char **to, const char *from)
{
	char *copy = g_strdup(from);

	g_free(*to);
	*to = copy;
}

static void words_take(domain_def *to, const domain_def *from)
{
	text_take(&to->title, from->title);
	text_take(&to->description, from->description);
	text_take(&to->metadata, from->metadata);
}

/* The pins of vCPUs that only `from` has stay behind. */
static void limits_take(domain_def *to, const domain_def *from)
{
	memcpy(to->tune.values, from->tune.values, sizeof(to->tune.values));
	for (unsigned i = 0; i < to->vcpus_max; i++)
		tune_set_vcpu_pin(&to->tune, i, tune_vcpu_pin(&from->tune, i));
	text_take(&to->tune.emulator_pin, from->tune.emulator_pin);
	text_take(&to->tune.numa_nodeset, from->tune.numa_nodeset);
	text_take(&to->cpuset, from->cpuset);
}

static void actions_take(domain_def *to, const domain_def *from)
{
	to->on_poweroff = from->on_poweroff;
	to->on_reboot = from->on_reboot;
	to->on_crash = from->on_crash;
}

static void iotune_take(struct disk_def *to, const struct disk_def *from)
{
	disk_set_iotune(to, disk_iotune(from), from->iotune_group);
}

void domain_def_put_now(domain_def *def, const domain_def *from, enum now_part part,
			unsigned index)
{
	switch (part) {
	case NOW_WORDS:
		words_take(def, from);
		return;
	case NOW_LIMITS:
		limits_take(def, from);
		return;
	case NOW_ACTIONS:
		actions_take(def, from);
		return;
	case NOW_BALLOON:
		def->current_bytes = MIN(from->current_bytes, def->memory_bytes);
		return;
	case NOW_STATS:
		def->balloon.stats_period_s = from->balloon.stats_period_s;
		return;
	case NOW_LINK:
		((struct iface_def *)def->ifaces->pdata[index])->link_down =
			((const struct iface_def *)from->ifaces->pdata[index])->link_down;
		return;
	case NOW_PORTS:
		iface_take_ports(def->ifaces->pdata[index], from->ifaces->pdata[index]);
		return;
	case NOW_IOTUNE:
		for (unsigned i = 0; i < def->disks->len; i++)
			iotune_take(def->disks->pdata[i], from->disks->pdata[i]);
		return;
	case N_NOW_PARTS:
		break;
	}
	g_assert_not_reached();
}

/* ---- all of them ---- */

static bool can_forward(const struct iface_def *i)
{
	return i->type == IFACE_USER || i->type == IFACE_NETWORK;
}

static void iface_take(struct iface_def *to, const GPtrArray *from)
{
	for (unsigned i = 0; i < from->len; i++) {
		const struct iface_def *is = from->pdata[i];

		if (memcmp(to->mac, is->mac, sizeof(to->mac)) != 0)
			continue;
		to->link_down = is->link_down;
		if (can_forward(to) && can_forward(is))
			iface_take_ports(to, is);
	}
}

/* A disk that `from` has not goes with its group. */
static void disk_take(struct disk_def *to, const GPtrArray *from)
{
	const struct disk_def *same = NULL, *mate = NULL;

	for (unsigned i = 0; i < from->len; i++) {
		const struct disk_def *is = from->pdata[i];

		if (g_strcmp0(to->target, is->target) == 0)
			same = is;
		if (to->iotune_group && g_strcmp0(to->iotune_group, is->iotune_group) == 0)
			mate = is;
	}
	if (same || mate)
		iotune_take(to, same ?: mate);
}

void domain_def_take_now(domain_def *def, const domain_def *from)
{
	domain_def_put_now(def, from, NOW_WORDS, 0);
	domain_def_put_now(def, from, NOW_LIMITS, 0);
	domain_def_put_now(def, from, NOW_ACTIONS, 0);
	if (!def->balloon.none && !from->balloon.none) {
		domain_def_put_now(def, from, NOW_BALLOON, 0);
		domain_def_put_now(def, from, NOW_STATS, 0);
	}
	for (unsigned i = 0; i < def->ifaces->len; i++)
		iface_take(def->ifaces->pdata[i], from->ifaces);
	for (unsigned i = 0; i < def->disks->len; i++)
		disk_take(def->disks->pdata[i], from->disks);
}

/* ---- one device ---- */

domain_def *domain_def_changed_now(const domain_def *live, const char *xml, GError **error)
{
	g_autoptr(domain_def) wish = domain_def_copy(live), now = domain_def_copy(live);
	g_autoptr(GPtrArray) left = NULL;
	const char *field;

	if (!domain_def_change_device(wish, xml, error) || !domain_def_check(wish, error))
		return NULL;
	domain_def_take_now(now, wish);
	left = domain_def_diff(now, NULL, wish);
	if (!left->len)
		return g_steal_pointer(&now);
	field = ((const struct diff_field *)left->pdata[0])->path;
	if (g_str_has_prefix(field, "devices/"))
		field += strlen("devices/");
	error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
		  "Operation not supported: %s can't change while domain '%s' runs (limits of "
		  "disks, links and port forwards of interfaces can): use --config, for its next "
		  "start",
		  field, live->name);
	return NULL;
}
