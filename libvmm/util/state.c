/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Named sections of a machine's state, in memory. */
#include "config.h"
#include "libvmm/util/state-priv.h"

#include <string.h>

#include "libvmm/util/error.h"

static void section_free(void *p)
{
	struct section *sec = p;

	g_free(sec->name);
	g_bytes_unref(sec->bytes);
	g_free(sec);
}

struct state_file *state_file_new(void)
{
	struct state_file *s = g_new0(struct state_file, 1);

	s->sections = g_ptr_array_new_with_free_func(section_free);
	return s;
}

void state_file_free(struct state_file *s)
{
	if (!s)
		return;
	g_ptr_array_unref(s->sections);
	g_free(s);
}

void state_file_set_flags(struct state_file *s, uint32_t flags)
{
	s->flags = flags;
}

uint32_t state_file_flags(const struct state_file *s)
{
	return s->flags;
}

static unsigned section_index(const struct state_file *s, const char *name)
{
	for (unsigned i = 0; i < s->sections->len; i++) {
		const struct section *sec = s->sections->pdata[i];

		if (g_str_equal(sec->name, name))
			return i;
	}
	return s->sections->len;
}

void state_section_put(struct state_file *s, const char *name, unsigned version, GBytes *bytes)
{
	struct section *sec = g_new(struct section, 1);
	unsigned at = section_index(s, name);

	*sec = (struct section){ g_strdup(name), version, bytes };
	if (at == s->sections->len) {
		g_ptr_array_add(s->sections, sec);
	} else {
		section_free(s->sections->pdata[at]);
		s->sections->pdata[at] = sec;
	}
}

/* --- writing --- */

void state_begin(struct state_out *out, struct state_file *s, const char *name, unsigned version)
{
	*out = (struct state_out){ .state = s, .bytes = g_byte_array_new(), .version = version };
	g_strlcpy(out->name, name, sizeof(out->name));
}

void state_end(struct state_out *out)
{
	GBytes *bytes = g_byte_array_free_to_bytes(g_steal_pointer(&out->bytes));

	state_section_put(out->state, out->name, out->version, bytes);
}

void state_put(struct state_out *out, const void *data, size_t len)
{
	g_byte_array_append(out->bytes, data, (guint)len);
}

void state_put_u8(struct state_out *out, uint8_t v)
{
	state_put(out, &v, sizeof(v));
}

void state_put_u16(struct state_out *out, uint16_t v)
{
	v = GUINT16_TO_LE(v);
	state_put(out, &v, sizeof(v));
}

void state_put_u32(struct state_out *out, uint32_t v)
{
	v = GUINT32_TO_LE(v);
	state_put(out, &v, sizeof(v));
}

void state_put_u64(struct state_out *out, uint64_t v)
{
	v = GUINT64_TO_LE(v);
	state_put(out, &v, sizeof(v));
}

void state_put_blob(struct state_out *out, const void *data, uint32_t len)
{
	state_put_u32(out, len);
	state_put(out, data, len);
}

/* --- reading --- */

bool state_file_has(const struct state_file *s, const char *name)
{
	return section_index(s, name) < s->sections->len;
}

unsigned state_file_count(const struct state_file *s, const char *prefix)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->sections->len; i++) {
		const struct section *sec = s->sections->pdata[i];

		n += g_str_has_prefix(sec->name, prefix);
	}
	return n;
}

bool state_find(const struct state_file *s, const char *name, unsigned known, struct state_in *ret,
		GError **error)
{
	unsigned at = section_index(s, name);
	const struct section *sec;

	if (at == s->sections->len)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "saved state: it has no section '%s'", name);
	sec = s->sections->pdata[at];
	if (sec->version > known || !sec->version)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "saved state: section '%s' has version %u, this libvmm knows %u: "
				 "use the newer libvmm that has saved it",
				 name, sec->version, known);
	*ret = (struct state_in){ .name = sec->name, .version = sec->version };
	ret->at = g_bytes_get_data(sec->bytes, &ret->left);
	return true;
}

bool state_done(const struct state_in *in, GError **error)
{
	if (!in->bad && !in->left)
		return true;
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "saved state: section '%s' %s", in->name,
			 in->bad ? "is broken or does not fit this machine" : "is too long");
}

bool state_get(struct state_in *in, void *data, size_t len)
{
	if (in->bad || in->left < len) {
		in->bad = true;
		memset(data, 0, len);
		return false;
	}
	memcpy(data, in->at, len);
	in->at += len;
	in->left -= len;
	return true;
}

uint8_t state_get_u8(struct state_in *in)
{
	uint8_t v;

	state_get(in, &v, sizeof(v));
	return v;
}

uint16_t state_get_u16(struct state_in *in)
{
	uint16_t v;

	state_get(in, &v, sizeof(v));
	return GUINT16_FROM_LE(v);
}

uint32_t state_get_u32(struct state_in *in)
{
	uint32_t v;

	state_get(in, &v, sizeof(v));
	return GUINT32_FROM_LE(v);
}

uint64_t state_get_u64(struct state_in *in)
{
	uint64_t v;

	state_get(in, &v, sizeof(v));
	return GUINT64_FROM_LE(v);
}

bool state_get_bool(struct state_in *in)
{
	uint8_t v = state_get_u8(in);

	in->bad |= v > 1;
	return v == 1;
}

uint32_t state_get_max(struct state_in *in, uint32_t max)
{
	uint32_t v = state_get_u32(in);

	in->bad |= v > max;
	return v > max ? 0 : v;
}

const uint8_t *state_get_blob(struct state_in *in, uint32_t max, uint32_t *ret_len)
{
	uint32_t len = state_get_max(in, max);
	const uint8_t *data = in->at;

	in->bad |= in->left < len;
	*ret_len = 0;
	if (in->bad)
		return NULL;
	in->at += len;
	in->left -= len;
	*ret_len = len;
	return data;
}
