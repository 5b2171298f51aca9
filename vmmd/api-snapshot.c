/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of snapshots, and of checkpoints and jobs of disks, for domains that have none. */
#include "config.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/snapshot-tree.h"
#include "vmmd/snapshot.h"

/*
 * Lists: bits of a group are or-ed, groups are and-ed, an empty group does not
 * filter.  Bit 1 is "roots" of a domain and "descendants" of a snapshot.
 */
enum list_flags {
	LIST_ROOTS = 1, LIST_DESCENDANTS = 1,
	LIST_METADATA = 2, LIST_NO_METADATA = 0x10,
	LIST_LEAVES = 4, LIST_NO_LEAVES = 8,
	LIST_INACTIVE = 0x20, LIST_ACTIVE = 0x40, LIST_DISK_ONLY = 0x80,
	LIST_INTERNAL = 0x100, LIST_EXTERNAL = 0x200,
	LIST_TOPOLOGICAL = 0x400,	/* parents first: always */
	LIST_KNOWN = 0x7ff,
};

static void no_checkpoints(struct call *call, const void *argp)
{
	const remote_dom_list_args *args = argp;

	if (api_domain_of(call, &args->dom))
		call_reply(call, &(remote_checkpoints_ret){ 0 });
}

/* ---- finding ---- */

static snapshot_tree *tree_of(struct call *call, const struct domain *dom)
{
	g_autoptr(GError) error = NULL;
	snapshot_tree *tree = dom ? snapshot_tree_load(call->daemon->store, dom->uuid, &error) :
				    NULL;

	if (dom && !tree)
		call_fail(call, error);
	return tree;
}

static void fail_not_found(struct call *call, const char *name)
{
	call_fail_text(call, VMM_ERR_NO_SNAPSHOT,
		       "Domain snapshot not found: no domain snapshot with matching name '%s'",
		       name);
}

struct found {
	struct domain *dom;
	snapshot_tree *tree;
	const struct node *node;	/* NULL: the call has been answered */
};

static struct found find(struct call *call, const remote_snapshot *ref, unsigned flags,
			 unsigned known)
{
	struct found f = { .dom = api_domain_of(call, &ref->dom) };

	if (!f.dom || !api_flags(call, flags, known) || !(f.tree = tree_of(call, f.dom)))
		return f;
	f.node = tree_find(f.tree, ref->name);
	if (!f.node)
		fail_not_found(call, ref->name);
	return f;
}

static void reply_snapshot(struct call *call, const struct domain *dom, const char *name)
{
	remote_snap_ret ret = { .snap = { .name = (char *)name, .dom = api_ref(dom) } };

	call_reply(call, &ret);
}

/* ---- lists ---- */

static unsigned list_bits(const snapshot_tree *tree, const struct node *node)
{
	static const unsigned state_bits[] = {
		[SNAPSHOT_SHUTOFF] = LIST_INACTIVE, [SNAPSHOT_RUNNING] = LIST_ACTIVE,
		[SNAPSHOT_PAUSED] = LIST_ACTIVE, [SNAPSHOT_DISK] = LIST_DISK_ONLY,
	};

	return state_bits[node->state] | LIST_METADATA |
	       (node_has_tags(node) ? LIST_INTERNAL : LIST_EXTERNAL) |
	       (tree_children(tree, node) ? LIST_NO_LEAVES : LIST_LEAVES);
}

static bool list_matches(const snapshot_tree *tree, const struct node *node,
			 const struct node *from, unsigned flags)
{
	static const unsigned groups[] = {
		LIST_METADATA | LIST_NO_METADATA, LIST_LEAVES | LIST_NO_LEAVES,
		LIST_INACTIVE | LIST_ACTIVE | LIST_DISK_ONLY, LIST_INTERNAL | LIST_EXTERNAL,
	};
	unsigned bits = list_bits(tree, node);

	if (node->pending || (!from && flags & LIST_ROOTS && node->parent))
		return false;
	if (from && !(flags & LIST_DESCENDANTS ? tree_is_below(tree, node, from) :
						 node->parent == from->id))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
		if (flags & groups[i] && !(flags & groups[i] & bits))
			return false;
	return true;
}

/* Parents first, as they are in the tree. */
static GPtrArray *list(const snapshot_tree *tree, const struct node *from, unsigned flags)
{
	GPtrArray *nodes = g_ptr_array_new();

	for (unsigned i = 0; i < tree->nodes->len && nodes->len < REMOTE_NAMES_MAX; i++)
		if (list_matches(tree, tree->nodes->pdata[i], from, flags))
			g_ptr_array_add(nodes, tree->nodes->pdata[i]);
	return nodes;
}

static void reply_number(struct call *call, const snapshot_tree *tree, const struct node *from,
			 unsigned flags)
{
	g_autoptr(GPtrArray) nodes = list(tree, from, flags);

	call_reply(call, &(remote_int_ret){ .num = (int)nodes->len });
}

static void reply_names(struct call *call, const snapshot_tree *tree, const struct node *from,
			unsigned flags, int max)
{
	g_autoptr(GPtrArray) nodes = list(tree, from, flags);
	unsigned n = MIN(nodes->len, (unsigned)MAX(max, 0));
	g_autofree remote_text *names = g_new(remote_text, n + 1);

	for (unsigned i = 0; i < n; i++)
		names[i] = ((struct node *)nodes->pdata[i])->name;
	call_reply(call, &(remote_names_ret){ .names = { n, names } });
}

static void reply_all(struct call *call, const struct domain *dom, const snapshot_tree *tree,
		      const struct node *from, unsigned flags, bool need_results)
{
	g_autoptr(GPtrArray) nodes = list(tree, from, flags);
	g_autofree remote_snapshot *refs = g_new(remote_snapshot, nodes->len + 1);
	remote_snaps_ret ret = { .ret = (int)nodes->len };

	for (unsigned i = 0; i < nodes->len; i++)
		refs[i] = (remote_snapshot){ ((struct node *)nodes->pdata[i])->name, api_ref(dom) };
	if (need_results) {
		ret.snapshots.snapshots_len = nodes->len;
		ret.snapshots.snapshots_val = refs;
	}
	call_reply(call, &ret);
}

static void num(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(snapshot_tree) tree = NULL;

	if (dom && api_flags(call, args->flags, LIST_KNOWN) && (tree = tree_of(call, dom)))
		reply_number(call, tree, NULL, args->flags);
}

static void list_names(struct call *call, const void *argp)
{
	const remote_dom_int_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(snapshot_tree) tree = NULL;

	if (dom && api_flags(call, args->flags, LIST_KNOWN) && (tree = tree_of(call, dom)))
		reply_names(call, tree, NULL, args->flags, args->num);
}

static void list_all(struct call *call, const void *argp)
{
	const remote_dom_list_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(snapshot_tree) tree = NULL;

	if (dom && api_flags(call, args->flags, LIST_KNOWN) && (tree = tree_of(call, dom)))
		reply_all(call, dom, tree, NULL, args->flags, args->need_results);
}

static void num_children(struct call *call, const void *argp)
{
	const remote_snap_flags_args *args = argp;
	struct found f = find(call, &args->snap, args->flags, LIST_KNOWN);
	g_autoptr(snapshot_tree) tree = f.tree;

	if (f.node)
		reply_number(call, tree, f.node, args->flags);
}

static void list_children_names(struct call *call, const void *argp)
{
	const remote_snap_max_args *args = argp;
	struct found f = find(call, &args->snap, args->flags, LIST_KNOWN);
	g_autoptr(snapshot_tree) tree = f.tree;

	if (f.node)
		reply_names(call, tree, f.node, args->flags, args->maxnames);
}

static void list_all_children(struct call *call, const void *argp)
{
	const remote_snap_list_args *args = argp;
	struct found f = find(call, &args->snap, args->flags, LIST_KNOWN);
	g_autoptr(snapshot_tree) tree = f.tree;

	if (f.node)
		reply_all(call, f.dom, tree, f.node, args->flags, args->need_results);
}

/* ---- one of them ---- */

static void lookup(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(snapshot_tree) tree = NULL;

	if (!dom || !api_flags(call, args->flags, 0) || !(tree = tree_of(call, dom)))
		return;
	if (tree_find(tree, args->text))
		reply_snapshot(call, dom, args->text);
	else
		fail_not_found(call, args->text);
}

static void has_current(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(snapshot_tree) tree = NULL;

	if (dom && api_flags(call, args->flags, 0) && (tree = tree_of(call, dom)))
		call_reply(call, &(remote_int_ret){ tree_current(tree) != NULL });
}

static void current(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(snapshot_tree) tree = NULL;
	const struct node *node;

	if (!dom || !api_flags(call, args->flags, 0) || !(tree = tree_of(call, dom)))
		return;
	node = tree_current(tree);
	if (node)
		reply_snapshot(call, dom, node->name);
	else
		call_fail_text(call, VMM_ERR_NO_SNAPSHOT,
			       "Domain snapshot not found: the domain does not have a current "
			       "snapshot");
}

static void get_parent(struct call *call, const void *argp)
{
	const remote_snap_flags_args *args = argp;
	struct found f = find(call, &args->snap, args->flags, 0);
	g_autoptr(snapshot_tree) tree = f.tree;
	const struct node *parent = f.node ? tree_parent(tree, f.node) : NULL;

	if (parent)
		reply_snapshot(call, f.dom, parent->name);
	else if (f.node)
		call_fail_text(call, VMM_ERR_NO_SNAPSHOT,
			       "Domain snapshot not found: snapshot '%s' does not have a parent",
			       f.node->name);
}

static void is_current(struct call *call, const void *argp)
{
	const remote_snap_flags_args *args = argp;
	struct found f = find(call, &args->snap, args->flags, 0);
	g_autoptr(snapshot_tree) tree G_GNUC_UNUSED = f.tree;

	if (f.node)
		call_reply(call, &(remote_int_ret){ f.node->current });
}

static void has_metadata(struct call *call, const void *argp)
{
	const remote_snap_flags_args *args = argp;
	struct found f = find(call, &args->snap, args->flags, 0);
	g_autoptr(snapshot_tree) tree G_GNUC_UNUSED = f.tree;

	if (f.node)
		call_reply(call, &(remote_int_ret){ 1 });
}

static void get_xml(struct call *call, const void *argp)
{
	const remote_snap_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->snap.dom);
	g_autoptr(GError) error = NULL;
	g_autofree char *xml = NULL;

	if (!dom || !api_flags(call, args->flags, 1))
		return;
	xml = snapshot_xml(dom, args->snap.name, &error);
	if (xml)
		call_reply(call, &(remote_text_ret){ .text = xml });
	else
		call_fail(call, error);
}

/* ---- changes ---- */

static void on_created(struct domain *dom, const char *name, const GError *error, void *opaque)
{
	if (error)
		call_fail(opaque, error);
	else
		reply_snapshot(opaque, dom, name);
}

static void on_changed(struct domain *dom, const char *name, const GError *error, void *opaque)
{
	api_done(dom, error, opaque);
}

static void redefine(struct call *call, struct domain *dom, const snapshot_def *def,
		     unsigned flags)
{
	g_autoptr(GError) error = NULL;

	if (flags & ~(SNAPSHOT_CREATE_REDEFINE | SNAPSHOT_CREATE_CURRENT |
		      SNAPSHOT_CREATE_DISK_ONLY | SNAPSHOT_CREATE_VALIDATE))
		error_set(&error, VMM_ERR_INVALID_ARG,
			  "invalid argument: unsupported flags (0x%x) beside redefine", flags);
	else
		snapshot_redefine(dom, def, flags & SNAPSHOT_CREATE_CURRENT, &error);
	on_created(dom, def->name, error, call);
}

static void create(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	unsigned parse = args->flags & SNAPSHOT_CREATE_VALIDATE ? SNAPSHOT_PARSE_VALIDATE : 0;
	g_autoptr(snapshot_def) def = NULL;
	g_autoptr(GError) error = NULL;

	if (!dom)
		return;
	if (args->flags & SNAPSHOT_CREATE_REDEFINE)
		parse |= SNAPSHOT_PARSE_REDEFINE;
	def = snapshot_def_parse(args->text, parse, &error);
	if (!def)
		call_fail(call, error);
	else if (args->flags & SNAPSHOT_CREATE_REDEFINE)
		redefine(call, dom, def, args->flags);
	else
		snapshot_create(dom, g_steal_pointer(&def), args->flags, on_created, call);
}

static void revert(struct call *call, const void *argp)
{
	const remote_snap_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->snap.dom);

	if (dom)
		snapshot_revert(dom, args->snap.name, args->flags, on_changed, call);
}

static void delete(struct call *call, const void *argp)
{
	const remote_snap_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->snap.dom);

	if (dom)
		snapshot_delete(dom, args->snap.name, args->flags, on_changed, call);
}

const struct api_entry api_snapshot[] = {
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_CREATE_XML, create },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_GET_XML_DESC, get_xml },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_NUM, num },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_LIST_NAMES, list_names },
	{ REMOTE_PROC_DOMAIN_LIST_ALL_SNAPSHOTS, list_all },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_NUM_CHILDREN, num_children },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES, list_children_names },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN, list_all_children },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_LOOKUP_BY_NAME, lookup },
	{ REMOTE_PROC_DOMAIN_HAS_CURRENT_SNAPSHOT, has_current },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_CURRENT, current },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_GET_PARENT, get_parent },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_IS_CURRENT, is_current },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_HAS_METADATA, has_metadata },
	{ REMOTE_PROC_DOMAIN_REVERT_TO_SNAPSHOT, revert },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_DELETE, delete },
	{ REMOTE_PROC_DOMAIN_LIST_ALL_CHECKPOINTS, no_checkpoints },
	{ 0 }
};
