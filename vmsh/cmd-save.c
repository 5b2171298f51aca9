/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands that save domains to files and restore them. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>

#include "vmsh/edit.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/xml-file.h"

static unsigned save_flags(const struct command_args *args)
{
	return (args_given(args, "running") ? VMM_SAVE_RUNNING : 0) |
	       (args_given(args, "paused") ? VMM_SAVE_PAUSED : 0);
}

/* Of option "file": the daemon's working folder is not ours. */
static char *path_of(const struct command_args *args)
{
	return g_canonicalize_filename(args_text(args, "file"), NULL);
}

/* Of option "xml": true and NULL when it was not given. */
static bool xml_of(const struct command_args *args, char **ret_xml, GError **error)
{
	const char *path = args_text(args, "xml");

	*ret_xml = path ? xml_file_read(path, error) : NULL;
	if (path && !*ret_xml)
		g_prefix_error(error, "%s: ", path);
	return !path || *ret_xml;
}

static bool cmd_save(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *path = path_of(args), *xml = NULL;
	g_autoptr(vmm_domain) dom = NULL;

	if (!xml_of(args, &xml, error))
		return false;
	dom = fleet_domain(sh, args, error);
	if (!dom)
		return false;
	if (!vmm_domain_save_as(dom, path, xml, args_text(args, "image-format"), save_flags(args),
				error)) {
		fleet_advise(dom, error);
		return false;
	}
	shell_say(sh, "Domain '%s' saved to %s", vmm_domain_name(dom), path);
	return true;
}

static bool cmd_restore(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *path = path_of(args), *xml = NULL;
	vmm_connect *conn;

	if (!xml_of(args, &xml, error))
		return false;
	conn = shell_connect(sh, error);
	if (!conn || !vmm_domain_restore(conn, path, xml, save_flags(args), error))
		return false;
	shell_say(sh, "Domain restored from %s", path);
	return true;
}

static bool managed_save_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	return vmm_domain_save_as(dom, NULL, NULL, args_text(args, "image-format"),
				  save_flags(args), error);
}

static bool cmd_managedsave(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "saving", "saved", managed_save_one, args };

	return fleet_run(sh, args, VMM_LIST_ACTIVE, &job, error);
}

static bool managed_remove_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	return vmm_domain_managed_save_remove(dom, error);
}

static bool cmd_managedsave_remove(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "discarding saved memory of", "without saved memory",
				       managed_remove_one, args };

	return fleet_run(sh, args, VMM_LIST_INACTIVE, &job, error);
}

/* ---- the definition that is saved with it ---- */

/* Of a file, or of a domain's own: one of the two is NULL. */
struct place {
	struct shell *sh;
	vmm_domain *dom;
	char *path;
	unsigned flags;
};

static bool place_open(struct place *p, struct shell *sh, const struct command_args *args,
		       bool managed, unsigned flags, GError **error)
{
	*p = (struct place){ .sh = sh, .flags = flags };
	if (managed)
		p->dom = fleet_domain(sh, args, error);
	else
		p->path = shell_connect(sh, error) ? path_of(args) : NULL;
	return p->dom || p->path;
}

static void place_close(struct place *p)
{
	if (p->dom)
		vmm_domain_unref(p->dom);
	g_free(p->path);
}

static char *place_xml(const struct place *p, GError **error)
{
	return p->dom ? vmm_domain_managed_save_xml(p->dom, error)
		      : vmm_save_image_xml(shell_connect(p->sh, NULL), p->path, error);
}

static bool place_define(void *opaque, const char *xml, GError **error)
{
	const struct place *p = opaque;

	return p->dom ? vmm_domain_managed_save_define(p->dom, xml, p->flags, error)
		      : vmm_save_image_define(shell_connect(p->sh, NULL), p->path, xml, p->flags,
					      error);
}

static bool dumpxml(struct shell *sh, struct command_args *args, bool managed, GError **error)
{
	g_autofree char *xml = NULL;
	struct place p;

	if (place_open(&p, sh, args, managed, 0, error))
		xml = place_xml(&p, error);
	place_close(&p);
	if (xml)
		fputs(xml, stdout);
	return xml != NULL;
}

static bool define(struct shell *sh, struct command_args *args, bool managed, GError **error)
{
	g_autofree char *xml = NULL;
	struct place p;
	bool ok;

	if (!xml_of(args, &xml, error))
		return false;
	ok = place_open(&p, sh, args, managed, save_flags(args), error) &&
	     place_define(&p, xml, error);
	if (ok)
		shell_say(sh, "State file of %s updated",
			  managed ? vmm_domain_name(p.dom) : p.path);
	place_close(&p);
	return ok;
}

static enum edit_result place_edit(struct place *p, GError **error)
{
	g_autofree char *xml = place_xml(p, error);
	g_autofree char *base = p->path ? g_path_get_basename(p->path) : NULL;
	struct edit edit = { .name = base ?: vmm_domain_name(p->dom), .suffix = ".xml",
			     .comments = true, .apply = place_define, .opaque = p };

	return xml ? edit_text(&edit, xml, error) : EDIT_FAILED;
}

static bool edit(struct shell *sh, struct command_args *args, bool managed, GError **error)
{
	enum edit_result result = EDIT_FAILED;
	struct place p;

	if (place_open(&p, sh, args, managed, save_flags(args), error))
		result = place_edit(&p, error);
	place_close(&p);
	if (result != EDIT_FAILED)
		shell_say(sh, "State file %s",
			  result == EDIT_APPLIED ? "changed" : "not changed");
	return result != EDIT_FAILED;
}

static bool cmd_managedsave_dumpxml(struct shell *sh, struct command_args *args, GError **error)
{
	return dumpxml(sh, args, true, error);
}

static bool cmd_managedsave_define(struct shell *sh, struct command_args *args, GError **error)
{
	return define(sh, args, true, error);
}

static bool cmd_managedsave_edit(struct shell *sh, struct command_args *args, GError **error)
{
	return edit(sh, args, true, error);
}

static bool cmd_image_dumpxml(struct shell *sh, struct command_args *args, GError **error)
{
	return dumpxml(sh, args, false, error);
}

static bool cmd_image_define(struct shell *sh, struct command_args *args, GError **error)
{
	return define(sh, args, false, error);
}

static bool cmd_image_edit(struct shell *sh, struct command_args *args, GError **error)
{
	return edit(sh, args, false, error);
}

/* ---- jobs ---- */

static const struct column columns_job[] = {
	{ "Job type", "type", 0 }, { "Operation", "operation", 0 },
	{ "Time elapsed", "elapsed_ms", 0 }, { "Data processed", "processed", 0 },
	{ "Data remaining", "remaining", 0 }, { "Data total", "total", 0 },
	{ "Iteration", "iteration", 0 }, { "Error", "error", 0 }, { 0 },
};

static void job_row(struct table *t, const struct vmm_job_info *job)
{
	g_autofree char *ms = g_strdup_printf("%" G_GUINT64_FORMAT " ms", (guint64)job->elapsed_ms);

	table_text(t, vmm_job_text(job->type));
	table_text(t, job->type ? vmm_job_operation_text(job->operation) : NULL);
	table_number(t, job->elapsed_ms, ms);
	table_size(t, job->done_bytes);
	table_size(t, job->total_bytes - MIN(job->done_bytes, job->total_bytes));
	table_size(t, job->total_bytes);
	if (job->pass)
		table_number(t, job->pass, NULL);
	else
		table_none(t);
	table_text(t, job->message);
}

static bool cmd_domjobinfo(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	bool keep = args_given(args, "keep-completed");
	g_autoptr(table) t = table_new(columns_job);
	struct vmm_job_info job;

	if (!dom || !(keep || args_given(args, "completed") ?
			      vmm_domain_past_job(dom, keep, &job, error) :
			      vmm_domain_job_info(dom, &job, error)))
		return false;
	if (job.type || args_json(args)) {
		job_row(t, &job);
		shell_print_record(sh, args, t);
	} else {
		printf("Job type:         None\n");
	}
	g_free(job.message);
	return true;
}

static bool cmd_domjobabort(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);

	return dom && vmm_domain_abort_job(dom, error);
}

/* ---- tables ---- */

#define OPTION_FILE(text) { \
	.name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_FILE, .value = "FILE", .help = text, \
}
#define OPTION_FORMAT { \
	.name = "image-format", .kind = OPT_STRING, .value = "FORMAT", \
	.help = "how to write memory: raw, or packed by zstd", \
}
#define OPTION_XML { \
	.name = "xml", .kind = OPT_STRING, .complete = COMPLETE_FILE, .value = "XML", \
	.help = "a file with the definition to use instead", \
}
#define OPTION_XML_NEEDED { \
	.name = "xml", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_FILE, .value = "XML", \
	.help = "a file with the definition to use instead", \
}
#define OPTIONS_RUN \
	OPTION_FLAG("running", "restored, it runs"), \
	OPTION_FLAG("paused", "restored, it is paused"), \
	OPTION_HIDDEN_FLAG("bypass-cache"), \
	OPTION_HIDDEN_FLAG("verbose")

static const struct option_def options_save[] = {
	OPTION_DOMAIN(ACTIVE), OPTION_FILE("the file to write"), OPTION_XML, OPTION_FORMAT,
	OPTIONS_RUN, { 0 },
};
static const struct option_def options_restore[] = {
	OPTION_FILE("what save has written"), OPTION_XML, OPTIONS_RUN, { 0 },
};
static const struct option_def options_managed[] = {
	OPTION_DOMAINS(ACTIVE), OPTION_FORMAT, OPTIONS_RUN, { 0 },
};
static const struct option_def options_remove[] = { OPTION_DOMAINS(INACTIVE), { 0 } };
static const struct option_def options_managed_xml[] = { OPTION_DOMAIN(INACTIVE), { 0 } };
static const struct option_def options_managed_define[] = {
	OPTION_DOMAIN(INACTIVE), OPTION_XML_NEEDED, OPTIONS_RUN, { 0 },
};
static const struct option_def options_managed_edit[] = {
	OPTION_DOMAIN(INACTIVE), OPTIONS_RUN, { 0 },
};
static const struct option_def options_image[] = { OPTION_FILE("what save has written"), { 0 } };
static const struct option_def options_image_define[] = {
	OPTION_FILE("what save has written"), OPTION_XML_NEEDED, OPTIONS_RUN, { 0 },
};
static const struct option_def options_image_edit[] = {
	OPTION_FILE("what save has written"), OPTIONS_RUN, { 0 },
};
static const struct option_def options_jobinfo[] = {
	OPTION_DOMAIN(DOMAIN),
	OPTION_FLAG("completed", "of the last one that has ended; told once"),
	OPTION_FLAG("keep-completed", "the same, and it can be asked for again"), { 0 },
};
static const struct option_def options_job[] = { OPTION_DOMAIN(ACTIVE), { 0 } };

#define GROUP "Saved domains"

const struct command commands_save[] = {
	{ "save", GROUP, "write a domain with its memory to a file, and stop it", options_save, 0,
	  cmd_save, "Its disks must stay as they are until it is restored." },
	{ "restore", GROUP, "start a domain from such a file, where it was", options_restore, 0,
	  cmd_restore },
	{ "managedsave", GROUP, "save domains; their next start goes on from it",
	  options_managed, 0, cmd_managedsave },
	{ "managedsave-remove", GROUP, "discard domains' saved memory", options_remove, 0,
	  cmd_managedsave_remove, "The guest finds its disks as after a loss of power." },
	{ "managedsave-dumpxml", GROUP, "show the definition that is saved with a domain",
	  options_managed_xml, 0, cmd_managedsave_dumpxml },
	{ "managedsave-define", GROUP, "replace the definition that is saved with a domain",
	  options_managed_define, 0, cmd_managedsave_define,
	  "What the guest can see must stay as it is." },
	{ "managedsave-edit", GROUP, "edit the definition that is saved with a domain",
	  options_managed_edit, 0, cmd_managedsave_edit },
	{ "save-image-dumpxml", GROUP, "show the definition in a file that save has written",
	  options_image, 0, cmd_image_dumpxml },
	{ "save-image-define", GROUP, "replace the definition in such a file",
	  options_image_define, 0, cmd_image_define },
	{ "save-image-edit", GROUP, "edit the definition in such a file", options_image_edit, 0,
	  cmd_image_edit },
	{ "domjobinfo", GROUP, "show how far a save has come, or how the last one ended",
	  options_jobinfo, COMMAND_JSON, cmd_domjobinfo },
	{ "domjobabort", GROUP, "give a save up; the domain goes on", options_job, 0,
	  cmd_domjobabort },
	{ 0 }
};
