/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Address ranges and who answers them: a sorted array, looked up by halves. */
#include "config.h"
#include "libvmm/kvm/bus.h"

#include <inttypes.h>
#include <string.h>

#include "libvmm/util/error.h"

struct range {
	uint64_t base;
	uint64_t last;
	char *name;
	const struct bus_ops *ops;
	void *dev;
};

struct bus {
	char *name;
	GArray *ranges; /* by base; they do not overlap */
};

static void range_clear(void *p)
{
	struct range *r = p;

	g_free(r->name);
}

struct bus *bus_new(const char *name)
{
	struct bus *bus = g_new0(struct bus, 1);

	bus->name = g_strdup(name);
	bus->ranges = g_array_new(FALSE, FALSE, sizeof(struct range));
	g_array_set_clear_func(bus->ranges, range_clear);
	return bus;
}

void bus_free(struct bus *bus)
{
	if (!bus)
		return;
	g_array_unref(bus->ranges);
	g_free(bus->name);
	g_free(bus);
}

/* The number of ranges that begin at addr or below. */
static unsigned ranges_up_to(const struct bus *bus, uint64_t addr)
{
	unsigned lo = 0, hi = bus->ranges->len;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (g_array_index(bus->ranges, struct range, mid).base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool refuse_overlap(const struct bus *bus, const struct range *new, const struct range *old,
			   GError **error)
{
	return error_set(
		error, VMM_ERR_INTERNAL,
		"%s bus: %s at 0x%" PRIx64 "-0x%" PRIx64 " overlaps %s at 0x%" PRIx64 "-0x%" PRIx64,
		bus->name, new->name, new->base, new->last, old->name, old->base, old->last);
}

bool bus_add(struct bus *bus, uint64_t base, uint64_t bytes, const char *name,
	     const struct bus_ops *ops, void *dev, GError **error)
{
	struct range new = {
		.base = base,
		.last = base + (bytes - 1),
		.name = (char *)name,
		.ops = ops,
		.dev = dev,
	};
	unsigned at = ranges_up_to(bus, base);

	if (!bytes || new.last < base)
		return error_set(error, VMM_ERR_INTERNAL,
				 "%s bus: %s: an impossible range, 0x%" PRIx64 " and %" PRIu64
				 " bytes",
				 bus->name, name, base, bytes);
	if (at > 0) {
		const struct range *before = &g_array_index(bus->ranges, struct range, at - 1);

		if (before->last >= base)
			return refuse_overlap(bus, &new, before, error);
	}
	if (at < bus->ranges->len) {
		const struct range *after = &g_array_index(bus->ranges, struct range, at);

		if (after->base <= new.last)
			return refuse_overlap(bus, &new, after, error);
	}
	new.name = g_strdup(name);
	g_array_insert_val(bus->ranges, at, new);
	return true;
}

static const struct range *range_find(const struct bus *bus, uint64_t addr, unsigned len)
{
	unsigned at = ranges_up_to(bus, addr);
	const struct range *r;

	if (!at)
		return NULL;
	r = &g_array_index(bus->ranges, struct range, at - 1);
	if (addr > r->last || len - 1 > r->last - addr)
		return NULL;
	return r;
}

/* An access that crosses a page comes from KVM in two pieces of odd length: handlers see 1, 2,
 * 4, 8. */
static unsigned piece_of(unsigned len)
{
	if (len >= 8)
		return 8;
	return len >= 4 ? 4 : len >= 2 ? 2 : 1;
}

bool bus_read(struct bus *bus, uint64_t addr, void *data, unsigned len)
{
	bool answered = len > 0;
	uint8_t *to = data;

	while (len) {
		unsigned n = piece_of(len);
		const struct range *r = range_find(bus, addr, n);

		memset(to, 0xff, n);
		if (r)
			r->ops->read(r->dev, addr - r->base, to, n);
		else
			answered = false;
		addr += n;
		to += n;
		len -= n;
	}
	return answered;
}

bool bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned len)
{
	bool answered = len > 0;
	const uint8_t *from = data;

	while (len) {
		unsigned n = piece_of(len);
		const struct range *r = range_find(bus, addr, n);

		if (r)
			r->ops->write(r->dev, addr - r->base, from, n);
		else
			answered = false;
		addr += n;
		from += n;
		len -= n;
	}
	return answered;
}
