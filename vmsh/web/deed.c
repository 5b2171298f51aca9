/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the page asks to be done, or to be told. */
#include "config.h"
#include "vmsh/web/deed.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"
#include "vmsh/domain-xml.h"
#include "vmsh/fleet.h"
#include "vmsh/json.h"
#include "vmsh/web/said.h"

#define THREADS 4
#define WAITING_MAX 64			/* deeds that no thread has begun */

struct deed_kind {
	const char *name;
	bool (*run)(struct deed *d, vmm_domain *dom, GError **error);
	bool snapshot;			/* needs the name of one */
};

struct deed {
	const struct deed_kind *kind;
	struct shell *sh;
	const char *uri;
	char *domain, *snapshot;
	char *json;
	GError *error;
	deed_fn *fn;
	void *opaque;
};

static void deed_free(struct deed *d)
{
	g_free(d->domain);
	g_free(d->snapshot);
	g_free(d->json);
	g_clear_error(&d->error);
	g_free(d);
}

/* ---- kinds ---- */

static bool deed_start(struct deed *d, vmm_domain *dom, GError **error)
{
	return vmm_domain_create(dom, 0, error);
}

static bool deed_shutdown(struct deed *d, vmm_domain *dom, GError **error)
{
	return vmm_domain_shutdown(dom, 0, error);
}

static bool deed_reboot(struct deed *d, vmm_domain *dom, GError **error)
{
	return vmm_domain_reboot(dom, 0, error);
}

static bool deed_destroy(struct deed *d, vmm_domain *dom, GError **error)
{
	return vmm_domain_destroy(dom, 0, error);
}

static bool deed_suspend(struct deed *d, vmm_domain *dom, GError **error)
{
	return vmm_domain_suspend(dom, error);
}

static bool deed_resume(struct deed *d, vmm_domain *dom, GError **error)
{
	return vmm_domain_resume(dom, error);
}

static bool deed_revert(struct deed *d, vmm_domain *dom, GError **error)
{
	return vmm_snapshot_revert(dom, d->snapshot, 0, error);
}

static void put_snapshot(struct json *j, const struct xml_snapshot *s)
{
	json_begin_object(j, NULL);
	json_string(j, "name", s->name);
	json_string(j, "parent", s->parent);
	json_string(j, "state", s->state);
	json_string(j, "description", s->description);
	json_signed(j, "created", s->created_s);
	json_bool(j, "memory", s->memory && strcmp(s->memory, "no") != 0);
	json_end(j);
}

/* One that is deleted meanwhile is left out. */
static bool deed_snapshots(struct deed *d, vmm_domain *dom, GError **error)
{
	g_auto(GStrv) names = vmm_snapshot_list(dom, 0, error);
	g_autofree char *current = names ? vmm_snapshot_current(dom, NULL) : NULL;
	struct json *j;

	if (!names)
		return false;
	j = json_new_line();
	json_begin_object(j, NULL);
	json_string(j, "current", current);
	json_begin_array(j, "snapshots");
	for (char **name = names; *name; name++) {
		g_autofree char *xml = vmm_snapshot_xml(dom, *name, 0, NULL);
		g_autoptr(xml_snapshot) s = xml ? xml_snapshot_new(xml, NULL) : NULL;

		if (s)
			put_snapshot(j, s);
	}
	json_end(j);
	json_end(j);
	d->json = json_finish(j);
	return true;
}

static const struct deed_kind kinds[] = {
	{ "start", deed_start },     { "shutdown", deed_shutdown },
	{ "reboot", deed_reboot },   { "destroy", deed_destroy },
	{ "suspend", deed_suspend }, { "resume", deed_resume },
	{ "revert", deed_revert, true },
	{ "snapshots", deed_snapshots },
};

/* ---- running one ---- */

static void deed_tell(void *arg)
{
	struct deed *d = arg;

	d->fn(d->json ? d->json : "{}\n", d->error, d->opaque);
	deed_free(d);
}

static void deed_run(void *data, void *opaque)
{
	struct deed *d = data;
	g_autoptr(vmm_connect) conn = vmm_connect_open_interruptible(
		d->uri, d->sh->connect_flags, d->sh->interrupt_fd, &d->error);
	g_autoptr(vmm_domain) dom =
		conn ? vmm_domain_lookup_by_uuid(conn, d->domain, &d->error) : NULL;

	if (dom && !d->kind->run(d, dom, &d->error))
		fleet_advise(dom, &d->error);
	owner_post(NULL, deed_tell, d);
}

GThreadPool *deed_pool_new(void)
{
	return g_thread_pool_new(deed_run, NULL, THREADS, FALSE, NULL);
}

static const struct deed_kind *kind_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (g_strcmp0(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

static struct deed *deed_new(struct said *words, GError **error)
{
	const struct deed_kind *kind = kind_find(words->what);
	struct deed *d;

	if (!kind || !words->domain || (kind->snapshot && !words->snapshot)) {
		error_set(error, VMM_ERR_INVALID_ARG, "the page asks for what there is not");
		return NULL;
	}
	d = g_new0(struct deed, 1);
	d->kind = kind;
	d->domain = g_steal_pointer(&words->domain);
	d->snapshot = g_steal_pointer(&words->snapshot);
	return d;
}

bool deed_begin(GThreadPool *pool, struct shell *sh, const char *uri, const char *request,
		size_t bytes, deed_fn *fn, void *opaque, GError **error)
{
	g_auto(said) words = { 0 };
	struct deed *d;

	if (g_thread_pool_unprocessed(pool) >= WAITING_MAX)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "too much is being done already; try again in a moment");
	said_parse(request, bytes, &words);
	d = deed_new(&words, error);
	if (!d)
		return false;
	d->sh = sh;
	d->uri = uri;
	d->fn = fn;
	d->opaque = opaque;
	g_thread_pool_push(pool, d, NULL);
	return true;
}
