/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images that the daemon knows, and domains cloned from others. */
#include "config.h"

#include "libvmm/client/client-priv.h"

static void image_free(void *p)
{
	struct vmm_image *image = p;

	g_free(image->path);
	g_free(image->parent);
	g_free(image->fault);
	g_strfreev(image->users);
	g_free(image);
}

static struct vmm_image *image_from_wire(const vmm_wire_image *wire)
{
	struct vmm_image *image = g_new0(struct vmm_image, 1);
	g_autoptr(GStrvBuilder) users = g_strv_builder_new();

	for (u_int i = 0; i < wire->users.users_len; i++)
		g_strv_builder_add(users, wire->users.users_val[i]);
	*image = (struct vmm_image){
		.path = g_strdup(wire->path), .format = wire->format, .size = wire->size,
		.parent = wire->parent ? g_strdup(*wire->parent) : NULL, .seen_s = wire->seen_s,
		.fault = wire->fault ? g_strdup(*wire->fault) : NULL,
		.users = g_strv_builder_end(users),
	};
	return image;
}

GPtrArray *vmm_image_tree(vmm_connect *conn, GError **error)
{
	remote_flags_args args = { 0 };
	vmm_images_ret ret;
	GPtrArray *list;

	if (!VMM_CALL(conn, IMAGE_TREE, remote_flags_args, &args, vmm_images_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(image_free);
	for (u_int i = 0; i < ret.images.images_len; i++)
		g_ptr_array_add(list, image_from_wire(&ret.images.images_val[i]));
	VMM_FREE(vmm_images_ret, &ret);
	return list;
}

bool vmm_image_accept(vmm_connect *conn, const char *path, GError **error)
{
	vmm_image_args args = { .path = (char *)path };
	remote_none none;

	return VMM_CALL(conn, IMAGE_ACCEPT, vmm_image_args, &args, remote_none, &none, error);
}

bool vmm_image_work(vmm_connect *conn, enum vmm_image_op op, const char *path, const char *other,
		    const char *format, GError **error)
{
	vmm_image_args args = {
		.work = op, .path = (char *)path,
		.other = other ? (remote_text *)&other : NULL,
		.format = format ? (remote_text *)&format : NULL,
	};
	remote_none none;

	return VMM_CALL(conn, IMAGE_WORK, vmm_image_args, &args, remote_none, &none, error);
}

vmm_domain *vmm_domain_clone(vmm_domain *dom, const char *name, unsigned flags, GError **error)
{
	vmm_clone_args args = {
		.dom = domain_to_wire(dom), .name = (char *)name, .flags = flags,
	};
	remote_dom_ret ret;
	vmm_domain *made;

	if (!VMM_CALL(dom->conn, DOMAIN_CLONE, vmm_clone_args, &args, remote_dom_ret, &ret, error))
		return NULL;
	made = domain_from_wire(dom->conn, &ret.dom);
	VMM_FREE(remote_dom_ret, &ret);
	return made;
}
