/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of our own on images and clones. */
#include "config.h"

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/clone.h"
#include "vmmd/graph.h"
#include "vmmd/imagework.h"

enum clone_flags { CLONE_COPY = 1 };

/* ---- the tree ---- */

static void wire_clear(void *p)
{
	vmm_wire_image *wire = p;

	if (wire->parent)
		g_free(*wire->parent);
	g_free(wire->parent);
	if (wire->fault)
		g_free(*wire->fault);
	g_free(wire->fault);
	for (u_int i = 0; i < wire->users.users_len; i++)
		g_free(wire->users.users_val[i]);
	g_free(wire->users.users_val);
}

/* Takes text. */
static remote_text *opt_text(char *text)
{
	remote_text *opt = text ? g_new(remote_text, 1) : NULL;

	if (opt)
		*opt = text;
	return opt;
}

static vmm_wire_image wire_of(struct daemon *daemon, const struct graph_image *image)
{
	GPtrArray *users = graph_users(daemon, image->path);
	g_autoptr(GPtrArray) overlays = graph_overlays(daemon, image->path);
	vmm_wire_image wire = {
		.path = image->path, .parent = opt_text(g_strdup(image->parent)),
		.format = image->format, .size = image->size, .seen_s = image->seen_s,
		/* what nobody stands on may change as it likes */
		.fault = opt_text(overlays->len ? graph_difference(daemon, image->path) : NULL),
	};

	wire.users.users_len = users->len;
	g_ptr_array_set_free_func(users, NULL);
	wire.users.users_val = (remote_text *)g_ptr_array_free(users, FALSE);
	return wire;
}

static void tree(struct call *call, const void *argp)
{
	const remote_flags_args *args = argp;
	g_autoptr(GPtrArray) rows = NULL;
	g_autoptr(GArray) wires = NULL;
	vmm_images_ret ret;

	if (!api_flags(call, args->flags, 0) || !api_sees_all(call))
		return;
	rows = graph_list(call->daemon);
	wires = g_array_new(FALSE, TRUE, sizeof(vmm_wire_image));
	g_array_set_clear_func(wires, wire_clear);
	for (unsigned i = 0; i < rows->len && i < VMM_IMAGES_MAX; i++) {
		vmm_wire_image wire = wire_of(call->daemon, g_ptr_array_index(rows, i));

		g_array_append_val(wires, wire);
	}
	ret.images.images_len = wires->len;
	ret.images.images_val = (vmm_wire_image *)wires->data;
	call_reply(call, &ret);
}

/* ---- work ---- */

static void accept_image(struct call *call, const void *argp)
{
	const vmm_image_args *args = argp;
	g_autoptr(GError) error = NULL;

	graph_accept(call->daemon, args->path, &error);
	api_done(NULL, error, call);
}

static void on_worked(const GError *error, void *opaque)
{
	api_done(NULL, error, opaque);
}

static void work(struct call *call, const void *argp)
{
	const vmm_image_args *args = argp;

	if (args->work >= N_IMAGEWORKS || !g_path_is_absolute(args->path)) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: '%s' is no absolute path, or the work is unknown",
			       args->path);
		return;
	}
	imagework_start(call->daemon,
			&(struct imagework_opts){ .op = args->work, .path = args->path,
						  .other = args->other ? *args->other : NULL,
						  .format = args->format ? *args->format : NULL },
			on_worked, call);
}

/* ---- clones ---- */

static void on_cloned(struct domain *dom, const GError *error, void *opaque)
{
	if (dom)
		api_done_dom(dom, NULL, opaque);
	else
		call_fail(opaque, error);
}

static void clone_domain(struct call *call, const void *argp)
{
	const vmm_clone_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, CLONE_COPY))
		clone_start(dom, args->name, args->flags & CLONE_COPY, on_cloned, call);
}

const struct api_entry api_image[] = {
	{ VMM_PROC_IMAGE_TREE, tree },
	{ VMM_PROC_IMAGE_ACCEPT, accept_image },
	{ VMM_PROC_IMAGE_WORK, work },
	{ VMM_PROC_DOMAIN_CLONE, clone_domain },
	{ 0 },
};
