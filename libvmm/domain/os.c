/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <os>: which machine, and which kernel it starts. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"

#define CMDLINE_MAX_BYTES 65535	/* no kernel takes more; most take 2047 */

static const char *const machine_names[] = { "microvm" };
static const char *const input_names[] = { "microvm", "vmm" };	/* both are the one machine */
static const char *const arch_names[] = { "x86_64" };
static const char *const boot_names[] = { "hd" };

static_assert(ARRAY_SIZE(machine_names) == N_DOMAIN_MACHINES, "a name for each");

void os_def_done(struct os_def *os)
{
	g_clear_pointer(&os->kernel, g_free);
	g_clear_pointer(&os->initrd, g_free);
	g_clear_pointer(&os->cmdline, g_free);
}

static bool parse_type(const xmlNode *os, GError **error)
{
	const xmlNode *node = xml_child(os, "type");
	g_autofree char *text = NULL;
	unsigned machine = 0, arch = 0;

	if (!node)
		return xml_error(os, VMM_ERR_XML, error, "<type>hvm</type> is missing");
	if (!xml_expect(node, "arch machine", NULL, error) ||
	    !XML_ATTR_ENUM(node, "arch", arch_names, &arch, error) ||
	    !XML_ATTR_ENUM(node, "machine", input_names, &machine, error))
		return false;
	text = xml_text(node);
	if (g_strcmp0(text, "hvm"))
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "'%s' is not supported: use hvm", text ? text : "");
	return true;
}

static bool parse_file(const xmlNode *os, const char *name, char **ret, GError **error)
{
	const xmlNode *node = xml_child(os, name);

	return !node || (xml_expect(node, "", NULL, error) && xml_text_path(node, ret, error));
}

static bool parse_cmdline(const xmlNode *node, struct os_def *os, GError **error)
{
	if (!node)
		return true;
	if (!xml_expect(node, "", NULL, error))
		return false;
	os->cmdline = xml_text(node);
	if (!os->cmdline)
		return true;
	if (strlen(os->cmdline) > CMDLINE_MAX_BYTES)
		return xml_error(node, VMM_ERR_XML, error, "longer than %d bytes",
				 CMDLINE_MAX_BYTES);
	/* Long command lines are written on several lines; the kernel knows blanks only. */
	g_strdelimit(os->cmdline, "\n\t\r", ' ');
	return true;
}

static bool parse_boot(const xmlNode *node, struct os_def *os, GError **error)
{
	unsigned dev = 0;

	if (!node)
		return true;
	os->boot_hd = true;
	return XML_ATTR_ENUM(node, "dev", boot_names, &dev, error) &&
	       xml_expect(node, "dev", "", error);
}

bool os_def_parse(const xmlNode *node, struct os_def *os, GError **error)
{
	if (!xml_expect(node, "", "type kernel initrd cmdline boot", error) ||
	    !parse_type(node, error) || !parse_file(node, "kernel", &os->kernel, error) ||
	    !parse_file(node, "initrd", &os->initrd, error) ||
	    !parse_cmdline(xml_child(node, "cmdline"), os, error) ||
	    !parse_boot(xml_child(node, "boot"), os, error))
		return false;
	if (!os->kernel && (os->initrd || os->cmdline))
		return xml_error(node, VMM_ERR_XML, error, "<%s> needs a <kernel>",
				 os->initrd ? "initrd" : "cmdline");
	return true;
}

void os_def_format(struct xml_out *out, const struct os_def *os)
{
	xml_begin(out, "os");
	xml_begin(out, "type");
	xml_put(out, "arch", arch_names[0]);
	xml_put(out, "machine", machine_names[os->machine]);
	xml_end_text(out, "hvm");
	xml_leaf(out, "kernel", os->kernel);
	xml_leaf(out, "initrd", os->initrd);
	xml_leaf(out, "cmdline", os->cmdline);
	xml_leaf_attr(out, "boot", "dev", os->boot_hd ? "hd" : NULL);
	xml_end(out);
}
