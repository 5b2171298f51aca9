/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <serial>, <console>, <channel>: a character device and where its bytes go. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>
#include <sys/un.h>

#include "libvmm/util/cleanup.h"

#define PORT_MAX 30		/* ports of one virtio-console device, without its port 0 */
#define NAME_MAX_BYTES 64

static const char *const kind_names[] = { "serial", "console", "channel" };
static const char *const backend_names[] = { "pty", "null", "file", "unix" };
static const char *const target_names[] = { "isa-serial", "serial", "virtio" };

static_assert(ARRAY_SIZE(kind_names) == N_CHARDEV_KINDS, "a name for each");
static_assert(ARRAY_SIZE(backend_names) == N_CHARDEV_BACKENDS, "a name for each");
static_assert(ARRAY_SIZE(target_names) == N_CHARDEV_TARGETS, "a name for each");

static const bool target_fits[N_CHARDEV_KINDS][N_CHARDEV_TARGETS] = {
	[CHARDEV_SERIAL] = { [CHARDEV_TARGET_ISA_SERIAL] = true },
	[CHARDEV_CONSOLE] = { [CHARDEV_TARGET_SERIAL] = true, [CHARDEV_TARGET_VIRTIO] = true },
	[CHARDEV_CHANNEL] = { [CHARDEV_TARGET_VIRTIO] = true },
};

static const enum chardev_target default_target[] = {
	[CHARDEV_SERIAL] = CHARDEV_TARGET_ISA_SERIAL,
	[CHARDEV_CONSOLE] = CHARDEV_TARGET_SERIAL,
	[CHARDEV_CHANNEL] = CHARDEV_TARGET_VIRTIO,
};


static const char *const source_attrs[] = {
	[CHARDEV_PTY] = "path",
	[CHARDEV_NULL] = "",
	[CHARDEV_FILE] = "path append",
	[CHARDEV_UNIX] = "mode path",
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(chardev_def, chardev_def_free)

const char *chardev_kind_name(enum chardev_kind kind)
{
	return kind_names[kind];
}

struct chardev_def *chardev_def_new(enum chardev_kind kind)
{
	struct chardev_def *c = g_new0(struct chardev_def, 1);

	c->kind = kind;
	c->backend = CHARDEV_PTY;
	c->target = default_target[kind];
	return c;
}

void chardev_def_free(void *opaque)
{
	struct chardev_def *c = opaque;

	if (!c)
		return;
	g_free(c->path);
	g_free(c->name);
	g_free(c->alias);
	g_free(c);
}

struct chardev_def *chardev_def_mirror(const struct chardev_def *dev, enum chardev_kind kind)
{
	struct chardev_def *c = chardev_def_new(kind);

	c->backend = dev->backend;
	c->path = g_strdup(dev->path);
	c->append = dev->append;
	c->line = dev->line;
	c->alias = kind == CHARDEV_CONSOLE ? g_strdup(dev->alias) : NULL;
	return c;
}

/* ---- parse ---- */

static bool check_path(const xmlNode *node, const struct chardev_def *c, GError **error)
{
	bool optional = c->backend == CHARDEV_UNIX && c->kind == CHARDEV_CHANNEL;
	size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (!c->path && (c->backend == CHARDEV_FILE || c->backend == CHARDEV_UNIX) && !optional)
		return xml_error(node, VMM_ERR_XML, error, "type='%s' needs <source path='...'/>",
				 backend_names[c->backend]);
	if (c->path && c->backend == CHARDEV_UNIX && strlen(c->path) >= room)
		return xml_error(node, VMM_ERR_XML, error, "a socket's path has at most %zu bytes",
				 room - 1);
	return true;
}

static bool parse_source(const xmlNode *dev, struct chardev_def *c, unsigned flags, GError **error)
{
	const xmlNode *node = xml_child(dev, "source");
	static const char *const modes[] = { "bind" };
	unsigned mode = 0;

	if (node && (!xml_expect(node, source_attrs[c->backend], "", error) ||
		     !xml_attr_enum(node, "mode", modes, 1, &mode, error) ||
		     !xml_attr_bool(node, "append", "on", "off", &c->append, error) ||
		     !xml_attr_path(node, "path", &c->path, error)))
		return false;
	if (c->backend == CHARDEV_PTY && !(flags & DOMAIN_PARSE_LIVE))
		g_clear_pointer(&c->path, g_free);	/* the last run's */
	return check_path(dev, c, error);
}

static bool check_name(const xmlNode *node, const char *name, GError **error)
{
	if (strlen(name) > NAME_MAX_BYTES)
		return xml_error(node, VMM_ERR_XML, error, "name is longer than %d bytes",
				 NAME_MAX_BYTES);
	for (const char *c = name; *c; c++)
		if (!g_ascii_isgraph(*c) || *c == '/')
			return xml_error(
				node, VMM_ERR_XML, error,
				"name '%s' becomes a file in the guest's /dev/virtio-ports: no "
				"blank, '/' or control character",
				name);
	return true;
}

static bool parse_channel_target(const xmlNode *dev, const xmlNode *node, struct chardev_def *c,
				 GError **error)
{
	/* state= is what the guest did in another life. */
	return node ? xml_expect(node, "type name state", "", error) &&
		      xml_attr_need(node, "name", &c->name, error) &&
		      check_name(node, c->name, error)
		    : xml_error(dev, VMM_ERR_XML, error,
				"<target type='virtio' name='...'/> is missing");
}

static bool parse_model(const xmlNode *target, GError **error)
{
	static const char *const names[] = { "isa-serial" };
	const xmlNode *node = xml_child(target, "model");
	unsigned model = 0;

	return !node || (xml_expect(node, "name", "", error) &&
			 xml_attr_enum(node, "name", names, 1, &model, error));
}

static bool parse_target(const xmlNode *dev, struct chardev_def *c, GError **error)
{
	const xmlNode *node = xml_child(dev, "target");

	if (c->kind == CHARDEV_CHANNEL && !parse_channel_target(dev, node, c, error))
		return false;
	if (!node)
		return true;
	if (c->kind != CHARDEV_CHANNEL &&
	    (!xml_expect(node, "type port", c->kind == CHARDEV_SERIAL ? "model" : "", error) ||
	     !xml_attr_uint(node, "port", 0, PORT_MAX, &c->port, error) ||
	     !parse_model(node, error)))
		return false;
	if (!XML_ATTR_ENUM(node, "type", target_names, &c->target, error))
		return false;
	if (!target_fits[c->kind][c->target])
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "<%s> cannot have target type='%s'; use type='%s'",
				 kind_names[c->kind], target_names[c->target],
				 target_names[default_target[c->kind]]);
	return true;
}

struct chardev_def *chardev_def_parse(const xmlNode *node, enum chardev_kind kind, unsigned flags,
				      GError **error)
{
	g_autoptr(chardev_def) c = chardev_def_new(kind);
	g_autofree char *type = NULL;

	c->line = xmlGetLineNo(node);
	if (!xml_expect(node, kind == CHARDEV_CONSOLE ? "type tty" : "type",
			"source target" DEVICE_CHILDREN, error) ||
	    !xml_attr_need(node, "type", &type, error) ||
	    !XML_ATTR_ENUM(node, "type", backend_names, &c->backend, error) ||
	    !parse_source(node, c, flags, error) || !parse_target(node, c, error) ||
	    !device_parse_common(node, flags, &c->alias, NULL, error))
		return NULL;
	return g_steal_pointer(&c);
}

/* ---- format ---- */

static void format_source(struct xml_out *out, const struct chardev_def *c, unsigned flags)
{
	if (!c->path || (c->backend == CHARDEV_PTY && !(flags & DOMAIN_FORMAT_LIVE)))
		return;
	xml_begin(out, "source");
	xml_put(out, "mode", c->backend == CHARDEV_UNIX ? "bind" : NULL);
	xml_put(out, "path", c->path);
	xml_put(out, "append", c->append ? "on" : NULL);
	xml_end(out);
}

static void format_target(struct xml_out *out, const struct chardev_def *c)
{
	xml_begin(out, "target");
	xml_put(out, "type", target_names[c->target]);
	if (c->kind == CHARDEV_CHANNEL)
		xml_put(out, "name", c->name);
	else
		xml_putf(out, "port", "%u", c->port);
	if (c->kind == CHARDEV_SERIAL)
		xml_leaf_attr(out, "model", "name", "isa-serial");
	xml_end(out);
}

void chardev_def_format(struct xml_out *out, const struct chardev_def *c, unsigned flags)
{
	bool tty = c->kind == CHARDEV_CONSOLE && c->backend == CHARDEV_PTY &&
		   flags & DOMAIN_FORMAT_LIVE;

	xml_begin(out, kind_names[c->kind]);
	xml_put(out, "type", backend_names[c->backend]);
	xml_put(out, "tty", tty ? c->path : NULL);
	format_source(out, c, flags);
	format_target(out, c);
	alias_format(out, c->alias, flags);
	xml_end(out);
}
