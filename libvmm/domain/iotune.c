/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <iotune> of a disk: how fast it may be. */
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
void disk_set_iotune(struct disk_def *d, const uint64_t values[N_IOTUNES])
{
	uint64_t *iotune = NULL;

	if (memcmp(values, unlimited, sizeof(unlimited)) != 0)
		iotune = g_memdup2(values, sizeof(unlimited));
	g_free(d->iotune);
	d->iotune = iotune;
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

bool iotune_parse(const xmlNode *node, struct disk_def *d, GError **error)
{
	uint64_t values[N_IOTUNES] = { 0 };
	g_autofree char *children = g_strjoinv(" ", (char **)iotune_names);
	g_autoptr(GError) why = NULL;

	if (!node)
		return true;
	if (!xml_expect(node, "", children, error))
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
	disk_set_iotune(d, values);
	return true;
}

void iotune_format(struct xml_out *out, const struct disk_def *d)
{
	const uint64_t *v = disk_iotune(d);
	bool begun = false;

	for (unsigned i = 0; i < N_IOTUNES; i++) {
		char text[24];

		if (!v[i])
			continue;
		if (!begun)
			xml_begin(out, "iotune");
		begun = true;
		g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, v[i]);
		xml_leaf(out, iotune_names[i], text);
	}
	if (begun)
		xml_end(out);
}
