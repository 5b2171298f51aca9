/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small devices: rng, memballoon, vsock, controller; and what all devices share. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"

#define USER_ALIAS "ua-"	/* aliases that belong to the user, not to a run */

const char *const tristate_yesno[] = { NULL, "yes", "no" };
const char *const tristate_onoff[] = { NULL, "on", "off" };

static const char *const rng_models[] = { "virtio" };
static const char *const rng_backends[] = { "random" };
static const char *const rng_sources[] = { "/dev/urandom", "/dev/random", "/dev/hwrng" };
static const char *const balloon_models[] = { "virtio", "none" };
static const char *const vsock_models[] = { "virtio" };
static const char *const controller_names[] = { "virtio-serial", "usb" };
static const char *const usb_models[] = { "none" };

static_assert(ARRAY_SIZE(controller_names) == N_CONTROLLER_TYPES, "a name for each");

G_DEFINE_AUTOPTR_CLEANUP_FUNC(rng_def, rng_def_free)
typedef struct vsock_def vsock_def;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vsock_def, vsock_def_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(controller_def, controller_def_free)

/* ---- what all devices share ---- */

static bool parse_alias(const xmlNode *node, unsigned flags, char **ret, GError **error)
{
	g_autofree char *name = NULL;

	if (!node)
		return true;
	if (!xml_expect(node, "name", "", error) || !xml_attr_need(node, "name", &name, error))
		return false;
	for (const char *c = name; *c; c++)
		if (!g_ascii_isalnum(*c) && !strchr("_-.", *c))
			return xml_error(node, VMM_ERR_XML, error,
					 "'%s': only letters, digits, '_', '-' and '.'", name);
	if (strlen(name) > 127)
		return xml_error(node, VMM_ERR_XML, error, "longer than 127 bytes");
	if (flags & DOMAIN_PARSE_LIVE || g_str_has_prefix(name, USER_ALIAS))
		*ret = g_steal_pointer(&name);
	return true;
}

static bool parse_address(const xmlNode *node, GError **error)
{
	static const char *const types[] = { "virtio-mmio" };
	unsigned type = 0;

	return !node || (xml_attr_enum(node, "type", types, 1, &type, error) &&
			 xml_expect(node, "type", "", error));
}

static bool parse_boot(const xmlNode *node, unsigned *ret, GError **error)
{
	if (!node)
		return true;
	if (!xml_expect(node, "order", "", error) ||
	    !xml_attr_uint(node, "order", 1, DOMAIN_DEVICES_MAX, ret, error))
		return false;
	return *ret || xml_error(node, VMM_ERR_XML, error, "attribute 'order' is missing");
}

bool device_parse_common(const xmlNode *node, unsigned flags, char **alias, unsigned *boot_order,
			 GError **error)
{
	return parse_alias(xml_child(node, "alias"), flags, alias, error) &&
	       parse_address(xml_child(node, "address"), error) &&
	       (!boot_order || parse_boot(xml_child(node, "boot"), boot_order, error));
}

void alias_format(struct xml_out *out, const char *alias, unsigned flags)
{
	if (alias && (flags & DOMAIN_FORMAT_LIVE || g_str_has_prefix(alias, USER_ALIAS)))
		xml_leaf_attr(out, "alias", "name", alias);
}

void boot_order_format(struct xml_out *out, unsigned boot_order)
{
	if (!boot_order)
		return;
	xml_begin(out, "boot");
	xml_putf(out, "order", "%u", boot_order);
	xml_end(out);
}

/* ---- rng ---- */

struct rng_def *rng_def_new(void)
{
	struct rng_def *r = g_new0(struct rng_def, 1);

	r->source = g_strdup(rng_sources[0]);
	return r;
}

void rng_def_free(void *opaque)
{
	struct rng_def *r = opaque;

	if (!r)
		return;
	g_free(r->source);
	g_free(r->alias);
	g_free(r);
}

static bool parse_rng_backend(const xmlNode *rng, struct rng_def *r, GError **error)
{
	const xmlNode *node = xml_child(rng, "backend");
	g_autofree char *source = NULL;
	unsigned model = 0;

	if (!node)
		return xml_error(rng, VMM_ERR_XML, error, "<backend model='random'/> is missing");
	if (!xml_attr_enum(node, "model", rng_backends, 1, &model, error) ||
	    !xml_expect(node, "model", NULL, error))
		return false;
	source = xml_text(node);
	if (!source)
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(rng_sources); i++) {
		if (!strcmp(source, rng_sources[i])) {
			g_free(r->source);
			r->source = g_steal_pointer(&source);
			return true;
		}
	}
	return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
			 "randomness comes from the host's kernel: use /dev/urandom, not '%s'",
			 source);
}

static bool parse_rate(const xmlNode *node, struct rng_def *r, GError **error)
{
	if (!node)
		return true;
	r->rate_period_ms = 1000;
	if (!xml_expect(node, "bytes period", "", error) ||
	    !xml_attr_u64(node, "bytes", &r->rate_bytes, error) ||
	    !xml_attr_uint(node, "period", 1, 3600000, &r->rate_period_ms, error))
		return false;
	return r->rate_bytes || xml_error(node, VMM_ERR_XML, error, "bytes= must be 1 or more");
}

struct rng_def *rng_def_parse(const xmlNode *node, unsigned flags, GError **error)
{
	g_autoptr(rng_def) r = rng_def_new();
	unsigned model = 0;

	if (!xml_expect(node, "model", "backend rate" DEVICE_CHILDREN, error) ||
	    !xml_attr_enum(node, "model", rng_models, 1, &model, error) ||
	    !parse_rate(xml_child(node, "rate"), r, error) || !parse_rng_backend(node, r, error) ||
	    !device_parse_common(node, flags, &r->alias, NULL, error))
		return NULL;
	return g_steal_pointer(&r);
}

void rng_def_format(struct xml_out *out, const struct rng_def *r, unsigned flags)
{
	xml_begin(out, "rng");
	xml_put(out, "model", "virtio");
	if (r->rate_bytes) {
		xml_begin(out, "rate");
		xml_putf(out, "bytes", "%" G_GUINT64_FORMAT, r->rate_bytes);
		xml_putf(out, "period", "%u", r->rate_period_ms);
		xml_end(out);
	}
	xml_begin(out, "backend");
	xml_put(out, "model", "random");
	xml_end_text(out, r->source);
	alias_format(out, r->alias, flags);
	xml_end(out);
}

/* ---- memballoon ---- */

static bool parse_balloon_stats(const xmlNode *node, struct balloon_def *b, GError **error)
{
	return !node || (xml_expect(node, "period", "", error) &&
			 xml_attr_uint(node, "period", 0, 3600, &b->stats_period_s, error));
}

bool balloon_def_parse(const xmlNode *node, unsigned flags, struct balloon_def *b, GError **error)
{
	unsigned model = b->none;

	if (!node)
		return true;
	if (!xml_expect(node, "model autodeflate freePageReporting", "stats" DEVICE_CHILDREN,
			error) ||
	    !XML_ATTR_ENUM(node, "model", balloon_models, &model, error) ||
	    !xml_attr_bool(node, "autodeflate", "on", "off", &b->autodeflate, error) ||
	    !xml_attr_bool(node, "freePageReporting", "on", "off", &b->free_page_reporting,
			   error) ||
	    !parse_balloon_stats(xml_child(node, "stats"), b, error) ||
	    !device_parse_common(node, flags, &b->alias, NULL, error))
		return false;
	b->none = model;
	if (b->none && (b->autodeflate || b->free_page_reporting || b->stats_period_s))
		return xml_error(node, VMM_ERR_XML, error, "model='none' has nothing to set");
	return true;
}

void balloon_def_format(struct xml_out *out, const struct balloon_def *b, unsigned flags)
{
	xml_begin(out, "memballoon");
	xml_put(out, "model", balloon_models[b->none]);
	xml_put(out, "autodeflate", b->autodeflate ? "on" : NULL);
	xml_put(out, "freePageReporting", b->free_page_reporting ? "on" : NULL);
	if (b->stats_period_s) {
		xml_begin(out, "stats");
		xml_putf(out, "period", "%u", b->stats_period_s);
		xml_end(out);
	}
	if (!b->none)
		alias_format(out, b->alias, flags);
	xml_end(out);
}

/* ---- vsock ---- */

void vsock_def_free(struct vsock_def *v)
{
	if (!v)
		return;
	g_array_unref(v->proxies);
	g_free(v->alias);
	g_free(v);
}

/* Without auto= a given address is meant to stay.  One that was chosen belongs to its run. */
static bool parse_cid(const xmlNode *node, unsigned flags, struct vsock_def *v, GError **error)
{
	unsigned cid = 0;

	v->auto_cid = true;
	if (!node)
		return true;
	if (!xml_expect(node, "auto address", "", error) ||
	    !xml_attr_uint(node, "address", DOMAIN_CID_FIRST, DOMAIN_CID_LAST, &cid, error))
		return false;
	v->auto_cid = !cid;
	if (!xml_attr_bool(node, "auto", "yes", "no", &v->auto_cid, error))
		return false;
	if (!v->auto_cid && !cid)
		return xml_error(node, VMM_ERR_XML, error,
				 "auto='no' needs an address='%u' or higher", DOMAIN_CID_FIRST);
	v->cid = v->auto_cid && !(flags & DOMAIN_PARSE_LIVE) ? 0 : cid;
	return true;
}

struct vsock_def *vsock_def_parse(const xmlNode *node, unsigned flags, GError **error)
{
	g_autoptr(vsock_def) v = g_new0(struct vsock_def, 1);
	unsigned model = 0;

	v->proxies = g_array_new(FALSE, FALSE, sizeof(struct allow_rule));
	if (!xml_expect(node, "model", "cid vmm:proxy*" DEVICE_CHILDREN, error) ||
	    !XML_ATTR_ENUM(node, "model", vsock_models, &model, error) ||
	    !parse_cid(xml_child(node, "cid"), flags, v, error) ||
	    !proxies_parse(node, v->proxies, error) ||
	    !device_parse_common(node, flags, &v->alias, NULL, error))
		return NULL;
	return g_steal_pointer(&v);
}

void vsock_def_format(struct xml_out *out, const struct vsock_def *v, unsigned flags)
{
	xml_begin(out, "vsock");
	xml_put(out, "model", vsock_models[0]);
	xml_begin(out, "cid");
	xml_put(out, "auto", v->auto_cid ? "yes" : "no");
	if (v->cid && (!v->auto_cid || flags & DOMAIN_FORMAT_LIVE))
		xml_putf(out, "address", "%u", v->cid);
	xml_end(out);
	alias_format(out, v->alias, flags);
	proxies_format(out, v->proxies);
	xml_end(out);
}

/* ---- controller ---- */

void controller_def_free(void *opaque)
{
	struct controller_def *c = opaque;

	if (!c)
		return;
	g_free(c->alias);
	g_free(c);
}

const char *controller_type_name(enum controller_type type)
{
	return controller_names[type];
}

static bool parse_controller_model(const xmlNode *node, const struct controller_def *c,
				   GError **error)
{
	g_autofree char *model = xml_attr(node, "model");

	if (c->type == CONTROLLER_USB && g_strcmp0(model, usb_models[0]))
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "the machine has no USB; use model='none' or leave it out");
	if (c->type != CONTROLLER_USB && model)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error, "leave model= out");
	return true;
}

struct controller_def *controller_def_parse(const xmlNode *node, unsigned flags, GError **error)
{
	g_autoptr(controller_def) c = g_new0(struct controller_def, 1);
	g_autofree char *type = NULL;

	if (!xml_attr_need(node, "type", &type, error) ||
	    !XML_ATTR_ENUM(node, "type", controller_names, &c->type, error) ||
	    !xml_expect(node, "type index model", "alias address", error) ||
	    !xml_attr_uint(node, "index", 0, 0, &c->index, error) ||
	    !parse_controller_model(node, c, error) ||
	    !device_parse_common(node, flags, &c->alias, NULL, error))
		return NULL;
	return g_steal_pointer(&c);
}

void controller_def_format(struct xml_out *out, const struct controller_def *c, unsigned flags)
{
	xml_begin(out, "controller");
	xml_put(out, "type", controller_names[c->type]);
	xml_putf(out, "index", "%u", c->index);
	xml_put(out, "model", c->type == CONTROLLER_USB ? usb_models[0] : NULL);
	alias_format(out, c->alias, flags);
	xml_end(out);
}
