/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "run" with a command: a machine for that, which is gone afterwards.
 *
 * Nothing is left to be removed, whoever dies: the domain is transient and
 * ends with our connection, which is vmmd's to see (VMM_START_AUTODESTROY), and
 * what it writes is in a file without a name (<transient/>), which ends with
 * its worker.
 */
#include "config.h"
#include "vmsh/run-once.h"

#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/agent-exec.h"
#include "vmsh/agent-options.h"
#include "vmsh/boot-watch.h"
#include "vmsh/cmd-exec.h"
#include "vmsh/domain-once.h"
#include "vmsh/domain-write.h"
#include "vmsh/domain-xml.h"
#include "vmsh/format.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define BOOT_TIMEOUT_MS 120000
#define ADDRESS_MS 15000
#define LOOK_MS 100
#define STATUS_INTERRUPTED 130 /* as a shell says it of SIGINT */

bool run_is_once(const struct command_args *args)
{
	return args_words(args, "command")->len > 0 || args_given(args, "from") ||
	       args_given(args, "image");
}

/* ---- what it is made of ---- */

static bool options_fit(const struct command_args *args, GError **error)
{
	const bool from = args_given(args, "from");

	if (from && args_given(args, "image"))
		return usage_error(error, "run: --from or --image, not both");
	if (!from && !args_given(args, "image") && !args_given(args, "kernel"))
		return usage_error(error, "run: of what? --from DOMAIN, --image IMAGE, or --kernel "
				   "and --initrd");
	if (from && (args_given(args, "kernel") || args_given(args, "initrd") ||
		     args_given(args, "cmdline") || args_given(args, "disk") ||
		     args_given(args, "forward")))
		return usage_error(error, "run: --from takes kernel, disks and command line from "
				   "the domain: leave --kernel, --initrd, --cmdline, --disk and "
				   "--forward out");
	if (!from && args_given(args, "kernel") && !args_given(args, "initrd") &&
	    !args_given(args, "image"))
		return usage_error(error, "run: a command needs the guest's agent, which comes "
				   "beside an initrd: add --initrd");
	return exec_check(args, error);
}

static char *name_new(const struct command_args *args)
{
	const char *name = args_text(args, "name");

	return name ? g_strdup(name) :
		      g_strdup_printf("run-%d-%04x", (int)getpid(), g_random_int() & 0xffff);
}

/* A name without a folder: in the folder of the pool "default". */
static char *image_folder(struct shell *sh, const char *image)
{
	g_autoptr(vmm_pool) pool = NULL;
	g_autofree char *xml = NULL, *folder = NULL;

	if (strchr(image, '/') || g_file_test(image, G_FILE_TEST_EXISTS))
		return g_strdup(image);
	pool = vmm_pool_lookup(sh->conn, "default", NULL);
	xml = pool ? vmm_pool_xml(pool, 0, NULL) : NULL;
	folder = xml ? xml_pool_folder(xml, NULL) : NULL;
	return folder ? g_build_filename(folder, image, NULL) : g_strdup(image);
}

/* The first of these files that is there; NULL. */
static char *find(const char *folder, const char *const *names)
{
	for (; *names; names++) {
		g_autofree char *path = g_build_filename(folder, *names, NULL);

		if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
			return g_steal_pointer(&path);
	}
	return NULL;
}

static char *image_xml(struct shell *sh, const struct command_args *args,
		       struct domain_words *words, GError **error)
{
	static const char *const roots[] = { "root.qcow2", "root.raw", NULL };
	static const char *const kernels[] = { "vmlinuz", "vmlinux", NULL };
	static const char *const initrds[] = { "initrd.img", NULL };
	g_autofree char *place = image_folder(sh, args_text(args, "image"));
	const bool whole = g_file_test(place, G_FILE_TEST_IS_DIR);
	g_autofree char *folder = whole ? g_strdup(place) : g_path_get_dirname(place);
	g_autofree char *image = whole ? find(folder, roots) : g_strdup(place);
	g_autofree char *kernel = find(folder, kernels), *initrd = find(folder, initrds);

	if (!image || !g_file_test(image, G_FILE_TEST_EXISTS)) {
		error_set(error, VMM_ERR_INVALID_ARG,
			  "--image %s: there is no %s; images/make-rootfs makes one",
			  args_text(args, "image"), image ? image : "root.qcow2 in that folder");
		return NULL;
	}
	words->image = image;
	words->format = format_of_disk(image, "a name that ends in .raw or .qcow2", error);
	words->kernel = kernel;
	words->initrd = initrd;
	if (words->format && (!initrd || !kernel) &&
	    (!args_given(args, "kernel") || !args_given(args, "initrd")))
		error_set(error, VMM_ERR_INVALID_ARG,
			  "--image %s: there is no %s beside it: give --kernel and --initrd",
			  args_text(args, "image"), kernel ? "initrd.img" : "vmlinuz");
	else if (words->format)
		return domain_write(args, words, error);
	return NULL;
}

static bool is_free(vmm_domain *dom, const char *xml, GError **error)
{
	g_autoptr(GPtrArray) disks = xml_disks(xml, error);
	bool active = false;

	if (!disks || !vmm_domain_is_active(dom, &active, error))
		return false;
	return !active || disks->len == 0 ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "--from %s: domain '%s' runs and writes to its disks: shut it down, or "
			 "give --image with what they stand on", vmm_domain_name(dom),
			 vmm_domain_name(dom));
}

static char *from_xml(struct shell *sh, const struct command_args *args, const char *name,
		      bool net, GError **error)
{
	g_autofree char *shares = domain_write_shares(args, error);
	g_autofree char *vsock = domain_write_vsock(args);
	g_autofree char *devices = g_strconcat(vsock, shares, NULL);
	const struct domain_once once = {
		.name = name,
		.devices = devices,
		.memory_bytes = args_size(args, "memory", 1 << 20, 0),
		.cpus = args_number(args, "cpus", 0),
		.net = net,
	};
	g_autoptr(vmm_domain) dom =
		shares ? vmm_domain_lookup(sh->conn, args_text(args, "from"), error) : NULL;
	g_autofree char *xml = dom ? vmm_domain_xml(dom, VMM_XML_INACTIVE, error) : NULL;

	return xml && is_free(dom, xml, error) ? domain_once(xml, &once, error) : NULL;
}

static char *once_xml(struct shell *sh, const struct command_args *args, GError **error)
{
	g_autofree char *name = name_new(args);
	struct domain_words words = {
		.name = name,
		.cpus = args_number(args, "cpus", 1),
		.cmdline = "console=ttyS0 quiet",
		.transient = true,
		.vsock = true,
		.net = args_given(args, "network"),
	};

	if (args_given(args, "from"))
		return from_xml(sh, args, name, words.net || args_given(args, "net"), error);
	return args_given(args, "image") ? image_xml(sh, args, &words, error) :
					   domain_write(args, &words, error);
}

/* ---- the command in it ---- */

static bool has_address(struct json_object *status)
{
	struct json_object *list = json_object_object_get(status, "addresses");
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *text = json_object_get_string(json_object_object_get(o, "address"));

		if (text && !g_str_has_prefix(text, "127.") && !strchr(text, ':'))
			return true;
	}
	return false;
}

/* The guest asks for its address by itself, and may not be done. */
static bool wait_for_address(struct shell *sh, struct agent *a, GError **error)
{
	gint64 end = g_get_monotonic_time() + ADDRESS_MS * INT64_C(1000);

	for (;;) {
		struct json_object *status = agent_ask(a, agent_request("status"), error);
		bool there = status && has_address(status);

		if (!status)
			return false;
		json_object_put(status);
		if (there)
			return true;
		if (g_get_monotonic_time() >= end)
			return error_set(error, VMM_ERR_TIMEOUT,
					 "the guest has no network address after %d s: does it ask "
					 "for one by DHCP?", ADDRESS_MS / 1000);
		if (!shell_sleep(sh, LOOK_MS))
			return error_set(error, VMM_ERR_ABORTED, "interrupted");
	}
}

#define MOUNTS "/mnt/"

/* A tag that is a path is where it is mounted. */
static bool mount_share(struct agent *a, const char *text, GError **error)
{
	bool writable;
	g_autofree char *tag = domain_write_tag(text, &writable);
	g_autofree char *path = *tag == '/' ? g_strdup(tag) : g_strconcat(MOUNTS, tag, NULL);
	struct json_object *o = agent_request("mount"), *reply;

	agent_put_text(o, "tag", tag);
	agent_put_text(o, "path", path);
	json_object_object_add(o, "read_only", json_object_new_boolean(!writable));
	reply = agent_ask(a, o, error);
	json_object_put(reply);
	return reply != NULL;
}

static bool mount_shares(struct agent *a, const struct command_args *args, GError **error)
{
	const GPtrArray *shares = args_words(args, "share");

	for (unsigned i = 0; i < shares->len; i++)
		if (!mount_share(a, words_text(shares, i), error))
			return false;
	return true;
}

static bool run_in(struct shell *sh, const struct command_args *args, vmm_domain *dom,
		   GError **error)
{
	const bool net = args_given(args, "network") || args_given(args, "net");
	g_autoptr(agent) a = boot_watch_agent(
		sh, dom, args_ms(args, "timeout", BOOT_TIMEOUT_MS), true, error);

	if (!a || !mount_shares(a, args, error) || (net && !wait_for_address(sh, a, error)))
		return false;
	return exec_command(sh, a, args, args_given(args, "sandbox"), error);
}

/* A guest that has powered itself off is gone already. */
static void remove_domain(struct shell *sh, vmm_domain *dom)
{
	g_autoptr(GError) error = NULL;

	if (!vmm_domain_destroy(dom, 0, &error) &&
	    !g_error_matches(error, VMM_ERROR, VMM_ERR_NO_DOMAIN) &&
	    !g_error_matches(error, VMM_ERROR, VMM_ERR_OPERATION_INVALID))
		shell_print_error(sh, error);
}

bool run_once(struct shell *sh, const struct command_args *args, GError **error)
{
	const bool keep = args_given(args, "keep");
	g_autofree char *xml = NULL;
	g_autoptr(vmm_domain) dom = NULL;
	g_autoptr(GError) why = NULL;
	bool ok;

	if (!options_fit(args, error) || !shell_connect(sh, error))
		return false;
	xml = once_xml(sh, args, error);
	if (!xml)
		return false;
	if (args_given(args, "print-xml")) {
		fputs(xml, stdout);
		return true;
	}
	dom = vmm_domain_create_xml(sh->conn, xml, keep ? 0 : VMM_START_AUTODESTROY, error);
	if (!dom)
		return false;
	ok = run_in(sh, args, dom, &why);
	if (!keep) {
		shell_interrupt_clear(sh); /* it was for the command; calls would fail by it */
		remove_domain(sh, dom);
	}
	if (why && g_error_matches(why, VMM_ERROR, VMM_ERR_ABORTED))
		sh->status = STATUS_INTERRUPTED;
	if (why)
		g_propagate_error(error, g_steal_pointer(&why));
	return ok;
}
