/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <iotune> of a disk: how fast it may be.  Disks with the same <group_name> may
 * be so together: each has all the limits, and they are equal.
 */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define VALUE_MAX UINT64_C(1000000000000000)	/* QEMU's, so that definitions go both ways */

const char *const iotune_names[N_IOTUNES + 1] = {
	"total_bytes_sec", "read_bytes_sec", "write_bytes_sec",
	"total_iops_sec", "read_iops_sec", "write_iops_sec",
	"total_bytes_sec_max", "read_bytes_sec_max", "write_bytes_sec_max",
	"total_iops_sec_max", "read_iops_sec_max", "write_iops_sec_max",
	"size_iops_sec",
	"total_bytes_sec_max_length", "read_bytes_sec_max_length", "write_bytes_sec_max_length",
	"total_iops_sec_max_length", "read_iops_sec_max_length", "write_iops_sec_max_length",
};

static const uint64_t unlimited[N_IOTUNES];

const uint64_t *disk_iotune(const struct disk_def *d)
{
	return d->iotune ?: unlimited;
}

/* Few disks have limits, and there may be many thousand disks: the others keep none. */
void disk_set_iotune(struct disk_def *d, const uint64_t values[N_IOTUNES], const char *group)
{
	bool limited = memcmp(values, unlimited, sizeof(unlimited)) != 0;
	uint64_t *iotune = limited ? g_memdup2(values, sizeof(unlimited)) : NULL;
	char *name = limited ? g_strdup(group) : NULL;

	g_free(d->iotune);
	g_free(d->iotune_group);
	d->iotune = iotune;
	d->iotune_group = name;
}

bool disk_same_iotune(const struct disk_def *a, const struct disk_def *b)
{
	return !g_strcmp0(a->iotune_group, b->iotune_group) &&
	       !memcmp(disk_iotune(a), disk_iotune(b), sizeof(unlimited));
}

void domain_def_set_iotune(domain_def *def, struct disk_def *d, const uint64_t values[N_IOTUNES],
			   const char *group)
{
	for (unsigned i = 0; i < def->disks->len; i++) {
		struct disk_def *other = def->disks->pdata[i];

		if (other != d && group && !g_strcmp0(other->iotune_group, group))
			disk_set_iotune(other, values, group);
	}
	disk_set_iotune(d, values, group);
}

static bool pair_check(const uint64_t *v, unsigned total, GError **error)
{
	if (!v[total] || (!v[total + 1] && !v[total + 2]))
		return true;
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "invalid argument: %s and %s cannot be set at the same time",
			 iotune_names[total], iotune_names[v[total + 1] ? total + 1 : total + 2]);
}

static bool burst_check(const uint64_t *v, unsigned i, GError **error)
{
	unsigned max = IOTUNE_MAX + i, length = IOTUNE_LENGTH + i;

	if (v[max] && !v[i])
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: %s needs %s", iotune_names[max],
				 iotune_names[i]);
	if (v[max] && v[max] < v[i])
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: %s is less than %s", iotune_names[max],
				 iotune_names[i]);
	if (v[length] && !v[max])
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: %s needs %s", iotune_names[length],
				 iotune_names[max]);
	return true;
}

bool iotune_check(const uint64_t v[N_IOTUNES], GError **error)
{
	static const unsigned totals[] = { 0, 3, IOTUNE_MAX, IOTUNE_MAX + 3 };

	for (unsigned i = 0; i < N_IOTUNES; i++)
		if (v[i] > VALUE_MAX)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "invalid argument: %s is more than %" G_GUINT64_FORMAT,
					 iotune_names[i], VALUE_MAX);
	for (unsigned i = 0; i < ARRAY_SIZE(totals); i++)
		if (!pair_check(v, totals[i], error))
			return false;
	for (unsigned i = 0; i < IOTUNE_MAX; i++)
		if (!burst_check(v, i, error))
			return false;
	return true;
}

bool iotune_group_check(const char *name, GError **error)
{
	bool bad = !*name || strlen(name) > IOTUNE_GROUP_MAX_BYTES;

	for (const char *c = name; *c; c++)
		bad |= g_ascii_iscntrl(*c);
	return !bad || error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: a group of limits has a name of 1 to %u bytes "
				 "without control characters", IOTUNE_GROUP_MAX_BYTES);
}

static bool group_parse(const xmlNode *iotune, char **ret, GError **error)
{
	const xmlNode *node = xml_child(iotune, "group_name");
	g_autofree char *name = NULL;
	g_autoptr(GError) why = NULL;

	if (!node)
		return true;
	if (!xml_expect(node, "", NULL, error))
		return false;
	name = xml_text(node);
	if (!iotune_group_check(name ?: "", &why))
		return xml_error(node, VMM_ERR_XML, error, "%s", why->message);
	*ret = g_steal_pointer(&name);
	return true;
}

bool iotune_parse(const xmlNode *node, struct disk_def *d, GError **error)
{
	uint64_t values[N_IOTUNES] = { 0 };
	g_autofree char *names = g_strjoinv(" ", (char **)iotune_names), *group = NULL;
	g_autofree char *children = g_strconcat(names, " group_name", NULL);
	g_autoptr(GError) why = NULL;

	if (!node)
		return true;
	if (!xml_expect(node, "", children, error) || !group_parse(node, &group, error))
		return false;
	for (unsigned i = 0; i < N_IOTUNES; i++) {
		const xmlNode *child = xml_child(node, iotune_names[i]);
		g_autofree char *text = child ? xml_text(child) : NULL;

		if (child && (!xml_expect(child, "", NULL, error)))
			return false;
		if (child && (!text || !xml_parse_u64(text, VALUE_MAX, &values[i])))
			return xml_error(child, VMM_ERR_XML, error, "not a number up to %"
					 G_GUINT64_FORMAT, VALUE_MAX);
	}
	if (!iotune_check(values, &why))
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error, "%s", why->message);
	disk_set_iotune(d, values, group);
	if (group && !d->iotune_group)
		return xml_error(xml_child(node, "group_name"), VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "a group shares limits, and there are none: add one, such as "
				 "<total_iops_sec>");
	return true;
}

void iotune_format(struct xml_out *out, const struct disk_def *d)
{
	const uint64_t *v = disk_iotune(d);

	if (!d->iotune)
		return;
	xml_begin(out, "iotune");
	for (unsigned i = 0; i < N_IOTUNES; i++) {
		g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, v[i]);

		if (v[i])
			xml_leaf(out, iotune_names[i], text);
		if (i == IOTUNE_SIZE)
			xml_leaf(out, "group_name", d->iotune_group);
	}
	xml_end(out);
}
