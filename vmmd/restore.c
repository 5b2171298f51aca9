/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of saved domains: started from, looked into, changed, removed. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/state.h"
#include "vmmd/lifecycle-priv.h"
#include "vmmd/save.h"

#define SECTION_XML "xml"
#define SECTION_RUN "run"
#define SECTION_VERSION 1

struct image {
	int fd;
	struct state_file *state;
	uint64_t ram_bytes;
	char *xml;
	domain_def *def;
	bool run;
};

static void image_close(struct image *i)
{
	fd_close(&i->fd);
	state_file_free(i->state);
	g_free(i->xml);
	domain_def_free(i->def);
}

static bool image_parse(struct image *i, GError **error)
{
	struct state_in in;

	if (!state_find(i->state, SECTION_XML, SECTION_VERSION, &in, error))
		return false;
	i->xml = g_strndup((const char *)in.at, in.left);
	if (!state_find(i->state, SECTION_RUN, SECTION_VERSION, &in, error))
		return false;
	i->run = state_get_bool(&in);
	if (!state_done(&in, error))
		return false;
	i->def = domain_def_parse(i->xml, 0, error);
	return i->def != NULL;
}

/* image_close() in any case. */
static bool image_open(struct image *i, const char *path, int flags, GError **error)
{
	*i = (struct image){ .fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) };
	if (i->fd < 0)
		return error_errno(error, errno, "open '%s'", path);
	i->state = state_file_read(i->fd, &i->ram_bytes, error);
	if (i->state && image_parse(i, error))
		return true;
	g_prefix_error(error, "'%s': ", path);
	return false;
}

/* What the guest sees must stay as it was; the machine itself checks each device again. */
static bool same_shape(const domain_def *was, const domain_def *is, GError **error)
{
	const struct {
		const char *what;
		uint64_t was, is;
	} parts[] = {
		{ "<memory>", was->memory_bytes, is->memory_bytes },
		{ "<vcpu>", was->vcpus, is->vcpus },
		{ "number of disks", was->disks->len, is->disks->len },
		{ "number of shared folders", was->filesystems->len, is->filesystems->len },
		{ "number of interfaces", was->ifaces->len, is->ifaces->len },
		{ "number of serial ports", was->serials->len, is->serials->len },
		{ "number of consoles", was->consoles->len, is->consoles->len },
		{ "number of channels", was->channels->len, is->channels->len },
		{ "number of random number devices", was->rngs->len, is->rngs->len },
		{ "<memballoon>", was->balloon.none, is->balloon.none },
		{ "<vsock>", was->vsock != NULL, is->vsock != NULL },
	};

	if (memcmp(was->uuid, is->uuid, UUID_BYTES) != 0)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "the <uuid> of a saved domain can't be changed");
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].was != parts[i].is)
			return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
					 "the guest of a saved domain knows its %s: it can't be "
					 "changed",
					 parts[i].what);
	return true;
}

static bool image_replace_xml(struct image *i, const char *xml, GError **error)
{
	g_autoptr(domain_def) def = NULL;

	if (!xml)
		return true;
	def = domain_def_parse(xml, 0, error);
	if (!def || !same_shape(i->def, def, error))
		return false;
	domain_def_free(i->def);
	i->def = g_steal_pointer(&def);
	g_free(i->xml);
	i->xml = g_strdup(xml);
	return true;
}

char *save_image_xml(const char *path, GError **error)
{
	struct image i;
	char *xml = image_open(&i, path, O_RDONLY, error) ? g_steal_pointer(&i.xml) : NULL;

	image_close(&i);
	return xml;
}

static bool image_define(struct image *i, const char *xml, unsigned flags, GError **error)
{
	struct state_out out;

	if (!save_flags_check(flags, error) || !image_replace_xml(i, xml, error))
		return false;
	state_begin(&out, i->state, SECTION_XML, SECTION_VERSION);
	state_put(&out, i->xml, strlen(i->xml));
	state_end(&out);
	state_begin(&out, i->state, SECTION_RUN, SECTION_VERSION);
	state_put_u8(&out, flags & SAVE_RUNNING || (i->run && !(flags & SAVE_PAUSED)));
	state_end(&out);
	return state_file_write(i->state, i->fd, i->ram_bytes, error);
}

bool save_image_define(const char *path, const char *xml, unsigned flags, GError **error)
{
	struct image i;
	bool ok = image_open(&i, path, O_RDWR, error) && image_define(&i, xml, flags, error);

	image_close(&i);
	return ok;
}

bool save_managed_remove(struct domain *dom, GError **error)
{
	g_autofree char *path = save_managed_path(dom);
	g_autofree char *dir = g_path_get_dirname(path);
	auto_close int fd = -1;

	if (g_unlink(path) < 0 && errno != ENOENT)
		return error_errno(error, errno, "remove '%s'", path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
	if (dom->state == DOMAIN_SAVED) {
		domain_step(dom, EV_DISCARDED, WORKER_CAUSE_NONE, NULL, NULL);
		life_store_state(dom);
	}
	return true;
}

void save_managed_start(struct domain *dom, bool paused, lifecycle_done *done, void *opaque)
{
	g_autofree char *path = save_managed_path(dom);
	g_autoptr(GError) error = NULL;
	struct image i;

	if (image_open(&i, path, O_RDONLY, &error)) {
		lifecycle_start_saved(dom, i.def, TAKE_FD(i.fd), true, paused || !i.run, done,
				      opaque);
	} else {
		g_prefix_error(&error, "the saved state of domain '%s' can't be used ('start "
			       "--force-boot' discards it): ", dom->name);
		done(dom, error, opaque);
	}
	image_close(&i);
}

static struct domain *restore_target(struct daemon *daemon, struct image *i, GError **error)
{
	struct domain *dom;

	if (!domain_match(daemon->domains, i->def, &dom, error) ||
	    (dom && !domain_may(dom, EV_START, error)))
		return NULL;
	return dom ?: domain_new(daemon, i->def->uuid, i->def->name);
}

void save_restore(struct daemon *daemon, const char *path, const char *xml, unsigned flags,
		  lifecycle_done *done, void *opaque)
{
	g_autoptr(GError) error = NULL;
	struct domain *dom = NULL;
	struct image i;

	if (image_open(&i, path, O_RDONLY, &error) && save_flags_check(flags, &error) &&
	    image_replace_xml(&i, xml, &error))
		dom = restore_target(daemon, &i, &error);
	if (dom)
		lifecycle_start_saved(dom, i.def, TAKE_FD(i.fd), false,
				      flags & SAVE_PAUSED || (!i.run && !(flags & SAVE_RUNNING)),
				      done, opaque);
	else
		done(NULL, error, opaque);
	image_close(&i);
}
