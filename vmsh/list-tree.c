/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "list --tree": domains with what they have below them. */
#include "config.h"
#include "vmsh/list-tree.h"

#include "vmsh/domain-xml.h"
#include "vmsh/list.h"

/* "vda   /images/web.qcow2" */
static void add_disks(GPtrArray *lines, const char *xml)
{
	g_autoptr(GPtrArray) disks = xml_disks(xml, NULL);

	for (unsigned i = 0; disks && i < disks->len; i++) {
		const struct xml_disk *d = disks->pdata[i];

		g_ptr_array_add(lines, g_strdup_printf("%s %s", d->target,
						       d->source ? d->source : "(empty)"));
	}
}

static void add_ifaces(GPtrArray *lines, const char *xml)
{
	g_autoptr(GPtrArray) ifaces = xml_ifaces(xml, NULL);

	for (unsigned i = 0; ifaces && i < ifaces->len; i++) {
		const struct xml_iface *f = ifaces->pdata[i];

		g_ptr_array_add(lines, g_strdup_printf("net %s%s%s %s", f->type,
						       f->source ? " " : "",
						       f->source ? f->source : "",
						       f->mac ? f->mac : ""));
	}
}

static void add_snapshots(GPtrArray *lines, vmm_domain *dom)
{
	g_auto(GStrv) names = vmm_snapshot_list(dom, 0, NULL);
	g_autofree char *text = NULL;

	if (!names || !names[0])
		return;
	text = g_strjoinv(", ", names);
	g_ptr_array_add(lines, g_strdup_printf("snapshots %s", text));
}

static void print_domain(const struct shell *sh, const struct vmm_domain_stats *s)
{
	int state = (int)vmm_domain_stats_number(s, "state.state", VMM_STATE_NONE);
	g_autofree char *name = text_harmless(vmm_domain_name(s->domain));
	g_autofree char *text = text_coloured(vmm_state_text(state), state_colour(state), &sh->out);

	printf("%s (%s)\n", name, text);
}

static void print_below(const struct shell *sh, const GPtrArray *lines)
{
	for (unsigned i = 0; i < lines->len; i++) {
		g_autofree char *line = text_harmless(lines->pdata[i]);
		bool last = i + 1 == lines->len;
		const char *plain = last ? "`- " : "|- ", *drawn = last ? "└─ " : "├─ ";

		printf("%s%s\n", sh->out.utf8 ? drawn : plain, line);
	}
}

void list_tree_print(struct shell *sh, const GPtrArray *all)
{
	for (unsigned i = 0; i < all->len && !shell_interrupted(sh); i++) {
		const struct vmm_domain_stats *s = all->pdata[i];
		g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
		g_autofree char *xml = vmm_domain_xml(s->domain, 0, NULL);

		if (xml) {
			add_disks(lines, xml);
			add_ifaces(lines, xml);
		}
		add_snapshots(lines, s->domain);
		print_domain(sh, s);
		print_below(sh, lines);
	}
}
