/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands that make snapshots. */
#include "config.h"
#include "vmsh/commands.h"

#include <string.h>

#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"
#include "vmsh/xml-file.h"

static const struct option_bit create_flags[] = {
	{ "redefine", VMM_SNAPSHOT_CREATE_REDEFINE }, { "current", VMM_SNAPSHOT_CREATE_CURRENT },
	{ "no-metadata", VMM_SNAPSHOT_CREATE_NO_METADATA }, { "halt", VMM_SNAPSHOT_CREATE_HALT },
	{ "disk-only", VMM_SNAPSHOT_CREATE_DISK_ONLY }, { "atomic", VMM_SNAPSHOT_CREATE_ATOMIC },
	{ "live", VMM_SNAPSHOT_CREATE_LIVE }, { "validate", VMM_SNAPSHOT_CREATE_VALIDATE },
	{ "quiesce", VMM_SNAPSHOT_CREATE_QUIESCE },
	{ "reuse-external", VMM_SNAPSHOT_CREATE_REUSE_EXT }, { 0 },
};

static bool create_from(struct shell *sh, vmm_domain *dom, const char *xml, unsigned flags,
			GError **error)
{
	g_autofree char *name = vmm_snapshot_create_xml(dom, xml, flags, error);

	if (!name) {
		fleet_advise(dom, error);
		return false;
	}
	shell_say(sh, "Snapshot '%s' of domain '%s' created", name, vmm_domain_name(dom));
	return true;
}

static bool cmd_snapshot_create(struct shell *sh, struct command_args *args, GError **error)
{
	const char *file = args_text(args, "xmlfile");
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *xml = NULL;

	if (!dom)
		return false;
	xml = file ? xml_file_read(file, error) : g_strdup("<domainsnapshot/>");
	return xml && create_from(sh, dom, xml, args_bits(args, create_flags), error);
}

static void attr_add(GString *xml, const char *name, const char *value)
{
	g_autofree char *safe = value ? g_markup_escape_text(value, -1) : NULL;

	if (safe)
		g_string_append_printf(xml, " %s='%s'", name, safe);
}

/* "snapshot=external,file=/a/b" */
static bool spec_read(const char *spec, char **words, const char **ret_place,
		      const char **ret_file, GError **error)
{
	for (; *words; words++) {
		if (g_str_has_prefix(*words, "snapshot="))
			*ret_place = *words + 9;
		else if (g_str_has_prefix(*words, "file="))
			*ret_file = *words + 5;
		else if (!g_str_equal(*words, "driver=qcow2"))
			return usage_error(error,
					   "'%s' in '%s' is neither snapshot=... nor file=...",
					   *words, spec);
	}
	return true;
}

static bool memory_add(GString *xml, const char *spec, GError **error)
{
	g_auto(GStrv) words = g_strsplit(spec, ",", 0);
	const char *place = NULL, *file = NULL;

	if (!spec_read(spec, words, &place, &file, error))
		return false;
	g_string_append(xml, "<memory");
	attr_add(xml, "snapshot", place);
	attr_add(xml, "file", file);
	g_string_append(xml, "/>");
	return true;
}

static bool disk_add(GString *xml, const char *spec, GError **error)
{
	g_auto(GStrv) words = g_strsplit(spec, ",", 0);
	const char *place = NULL, *file = NULL;

	if (!words[0] || strchr(words[0], '='))
		return usage_error(error, "'%s' does not begin with a disk", spec);
	if (!spec_read(spec, words + 1, &place, &file, error))
		return false;
	g_string_append(xml, "<disk");
	attr_add(xml, "name", words[0]);
	attr_add(xml, "snapshot", place);
	if (file) {
		g_string_append(xml, "><source");
		attr_add(xml, "file", file);
		g_string_append(xml, "/></disk>");
	} else {
		g_string_append(xml, "/>");
	}
	return true;
}

static void text_add(GString *xml, const char *element, const char *text)
{
	g_autofree char *safe = text ? g_markup_escape_text(text, -1) : NULL;

	if (safe)
		g_string_append_printf(xml, "<%s>%s</%s>", element, safe, element);
}

static char *create_xml(const struct command_args *args, GError **error)
{
	const GPtrArray *disks = args_words(args, "diskspec");
	const char *memory = args_text(args, "memspec");
	g_autoptr(GString) xml = g_string_new("<domainsnapshot>");

	text_add(xml, "name", args_text(args, "name"));
	text_add(xml, "description", args_text(args, "description"));
	if (memory && !memory_add(xml, memory, error))
		return NULL;
	g_string_append(xml, disks->len ? "<disks>" : "");
	for (unsigned i = 0; i < disks->len; i++)
		if (!disk_add(xml, ((struct word *)disks->pdata[i])->text, error))
			return NULL;
	g_string_append(xml, disks->len ? "</disks>" : "");
	g_string_append(xml, "</domainsnapshot>");
	return g_string_free(g_steal_pointer(&xml), FALSE);
}

static const struct option_bit create_as_flags[] = {
	{ "no-metadata", VMM_SNAPSHOT_CREATE_NO_METADATA }, { "halt", VMM_SNAPSHOT_CREATE_HALT },
	{ "disk-only", VMM_SNAPSHOT_CREATE_DISK_ONLY }, { "atomic", VMM_SNAPSHOT_CREATE_ATOMIC },
	{ "live", VMM_SNAPSHOT_CREATE_LIVE }, { "validate", VMM_SNAPSHOT_CREATE_VALIDATE },
	{ "quiesce", VMM_SNAPSHOT_CREATE_QUIESCE },
	{ "reuse-external", VMM_SNAPSHOT_CREATE_REUSE_EXT }, { 0 },
};

static bool cmd_snapshot_create_as(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *xml = create_xml(args, error);
	g_autoptr(vmm_domain) dom = xml ? fleet_domain(sh, args, error) : NULL;

	if (!dom)
		return false;
	if (!args_given(args, "print-xml"))
		return create_from(sh, dom, xml, args_bits(args, create_as_flags), error);
	puts(xml);
	return true;
}

#define OPTIONS_CREATE \
	OPTION_FLAG("no-metadata", "make the overlays, and no snapshot"), \
	OPTION_FLAG("halt", "and stop the machine"), \
	OPTION_FLAG("disk-only", "of a running machine's disks, without its memory"), \
	OPTION_HIDDEN_FLAG("atomic"), \
	OPTION_HIDDEN_FLAG("live"), \
	OPTION_FLAG("validate", "check the XML against the schema first"), \
	OPTION_HIDDEN_FLAG("quiesce"), \
	OPTION_FLAG("reuse-external", "files that are given are there: empty overlays of yours")

static const struct option_def options_create[] = {
	OPTION_DOMAIN(DOMAIN),
	{ .name = "xmlfile", .kind = OPT_STRING, .flags = OPT_POSITION, .complete = COMPLETE_FILE,
	  .value = "FILE", .help = "its XML; all disks by default if there is none" },
	OPTION_FLAG("redefine", "from the XML that was shown of it: nothing is frozen"),
	OPTION_FLAG("current", "with --redefine: it becomes the current one"),
	OPTIONS_CREATE,
	{ 0 },
};

static const struct option_def options_create_as[] = {
	OPTION_DOMAIN(DOMAIN),
	{ .name = "name", .kind = OPT_STRING, .flags = OPT_POSITION, .value = "NAME",
	  .help = "its name; the time in seconds if not given" },
	{ .name = "description", .kind = OPT_STRING, .flags = OPT_POSITION, .value = "TEXT",
	  .help = "what it is" },
	{ .name = "memspec", .kind = OPT_STRING, .value = "SPEC",
	  .help = "where its memory goes: [snapshot=external,]file=FILE" },
	{ .name = "diskspec", .kind = OPT_STRING, .flags = OPT_MANY, .value = "SPEC",
	  .help = "what a disk does: DISK[,snapshot=no|external|internal][,file=FILE]" },
	OPTION_FLAG("print-xml", "print the XML, make nothing"),
	OPTIONS_CREATE,
	{ 0 },
};

const struct command commands_snapshot_create[] = {
	{ "snapshot-create", "Snapshots", "make a snapshot from XML", options_create, 0,
	  cmd_snapshot_create },
	{ "snapshot-create-as", "Snapshots", "make a snapshot", options_create_as, 0,
	  cmd_snapshot_create_as,
	  "A snapshot keeps the definition and each disk as they are. From then on the guest "
	  "writes to overlays beside the images: disk.qcow2 becomes disk.NAME. Of a domain that is "
	  "off, snapshot=internal keeps them inside the qcow2 images instead." },
	{ 0 },
};
