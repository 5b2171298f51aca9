/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* create-domain: a domain of words. */
#include "config.h"

#include "libvmm/util/error.h"
#include "vmsh/commands.h"
#include "vmsh/domain-write.h"
#include "vmsh/domain-xml.h"
#include "vmsh/format.h"
#include "vmsh/options.h"
#include "vmsh/shell.h"
#include "vmsh/usage.h"

#define DEFAULT_POOL "default"

/* ---- --from: an overlay in the default pool ---- */

static char *overlay_path(vmm_pool *pool, const char *file, GError **error)
{
	g_autofree char *xml = vmm_pool_xml(pool, 0, error);
	g_autofree char *folder = xml ? xml_pool_folder(xml, error) : NULL;

	return folder ? g_build_filename(folder, file, NULL) : NULL;
}

static vmm_volume *overlay_make(vmm_pool *pool, const char *file, const char *image,
				const char *format, GError **error)
{
	g_autofree char *xml = g_markup_printf_escaped(
		"<volume><name>%s</name><capacity>0</capacity>"
		"<target><format type='qcow2'/></target>"
		"<backingStore><path>%s</path><format type='%s'/></backingStore></volume>", file,
		image, format);

	return vmm_volume_create_xml(pool, xml, NULL, 0, error);
}

/* ---- the command ---- */

static bool options_fit(const struct command_args *args, GError **error)
{
	if (args_given(args, "print-xml") && (args_given(args, "start") ||
					      args_given(args, "define")))
		return usage_error(error,
				   "--print-xml only prints: leave --define and --start out");
	if (args_given(args, "start") && !args_given(args, "kernel"))
		return usage_error(error, "--start needs --kernel: the machine has no firmware "
				   "that could load one from a disk");
	return true;
}

static bool define(struct shell *sh, const struct command_args *args, const char *xml,
		   bool *ret_defined, GError **error)
{
	g_autoptr(vmm_domain) dom = vmm_domain_define_xml(sh->conn, xml, 0, error);

	*ret_defined = dom;
	if (!dom)
		return false;
	shell_say(sh, "Domain '%s' defined", vmm_domain_name(dom));
	if (!args_given(args, "start"))
		return true;
	if (!vmm_domain_create(dom, 0, error)) {
		g_prefix_error(error, "domain '%s' is defined, but does not start: ",
			       vmm_domain_name(dom));
		return false;
	}
	shell_say(sh, "Domain '%s' started", vmm_domain_name(dom));
	return true;
}

/* Nothing is left behind when the definition is refused. */
static bool define_on_overlay(struct shell *sh, const struct command_args *args, vmm_pool *pool,
			      const char *file, const char *xml, GError **error)
{
	g_autofree char *image = g_canonicalize_filename(args_text(args, "from"), NULL);
	const char *format = format_of_disk(image, "a name that ends in .raw or .qcow2", error);
	g_autoptr(vmm_volume) vol = format ? overlay_make(pool, file, image, format, error) : NULL;
	bool defined, ok;

	if (!vol)
		return false;
	ok = define(sh, args, xml, &defined, error);
	if (!defined)
		vmm_volume_delete(sh->conn, vol, 0, NULL);
	return ok;
}

static bool cmd_create_domain(struct shell *sh, struct command_args *args, GError **error)
{
	const char *name = args_text(args, "name");
	const bool from = args_given(args, "from"), print = args_given(args, "print-xml");
	g_autofree char *file = g_strconcat(name, ".qcow2", NULL), *image = NULL, *xml = NULL;
	g_autoptr(vmm_pool) pool = NULL;
	struct domain_words words = { .name = name, .cpus = args_number(args, "vcpus", 1),
				      .format = "qcow2", .vsock = true };
	bool defined;

	if (!options_fit(args, error) || ((from || !print) && !shell_connect(sh, error)))
		return false;
	if (from) {
		pool = vmm_pool_lookup(sh->conn, DEFAULT_POOL, error);
		image = pool ? overlay_path(pool, file, error) : NULL;
		if (!image)
			return false;
	}
	words.image = image;
	xml = domain_write(args, &words, error);
	if (!xml)
		return false;
	if (print)
		fputs(xml, stdout);
	return print || (from ? define_on_overlay(sh, args, pool, file, xml, error) :
				define(sh, args, xml, &defined, error));
}

static const struct option_def options_create_domain[] = {
	{ .name = "name", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "NAME", .help = "of the new domain" },
	OPTIONS_MACHINE(0),
	{ .name = "from", .kind = OPT_STRING, .complete = COMPLETE_FILE, .value = "IMAGE",
	  .help = "the first disk: a new overlay on this image, in the pool default" },
	{ .name = "vcpus", .kind = OPT_NUMBER, .value = "N", .help = "processors; 1 if not given" },
	OPTION_FLAG("define", "store it: the default"),
	OPTION_FLAG("start", "store it and start it"),
	OPTION_FLAG("print-xml", "only print its XML"),
	{ 0 },
};

#define GROUP "Domains"

const struct command commands_create[] = {
	{ "create-domain", GROUP, "make a domain without writing XML", options_create_domain, 0,
	  cmd_create_domain,
	  "As run, but for the daemon to keep, and with a vsock: a guest that boots from a kernel "
	  "and an initrd comes with its agent, for exec, shell and cp. If the definition is "
	  "refused, the overlay of --from goes again." },
	{ 0 },
};
