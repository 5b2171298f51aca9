/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's XML, of the words of a command line. */
#include "config.h"
#include "vmsh/domain-write.h"

#include <string.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/format.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define DISKS_MAX 26
#define CPUS_MAX 255
#define VMM_NS "https://libvmm.org/xmlns/domain/1.0"

static char *absolute(const char *path)
{
	return g_canonicalize_filename(path, NULL);
}

static void append_file(GString *s, const char *element, const char *path)
{
	g_autofree char *full = absolute(path);
	g_autofree char *line =
		g_markup_printf_escaped("    <%s>%s</%s>\n", element, full, element);

	g_string_append(s, line);
}

static void append_os(GString *s, const struct command_args *args, const struct domain_words *w)
{
	const char *cmdline = args_text(args, "cmdline") ?: w->cmdline ?: "console=ttyS0";
	const char *kernel = args_text(args, "kernel") ?: w->kernel;
	const char *initrd = args_text(args, "initrd") ?: w->initrd;
	g_autofree char *line =
		g_markup_printf_escaped("    <cmdline>%s</cmdline>\n", cmdline);

	g_string_append(s, "  <os>\n    <type arch='x86_64' machine='microvm'>hvm</type>\n");
	if (kernel)
		append_file(s, "kernel", kernel);
	if (initrd)
		append_file(s, "initrd", initrd);
	if (kernel)
		g_string_append(s, line);
	g_string_append(s, "  </os>\n");
}

struct disk {
	char *path;
	const char *format;
	bool readonly, transient;
};

static bool disk_option(struct disk *d, const char *option, GError **error)
{
	if (g_str_equal(option, "format=raw"))
		d->format = "raw";
	else if (g_str_equal(option, "format=qcow2"))
		d->format = "qcow2";
	else if (g_str_equal(option, "readonly"))
		d->readonly = true;
	else
		return usage_error(
			error, "--disk PATH[,format=raw|qcow2][,readonly], not '%s'", option);
	return true;
}

/* Options are taken from the end, so that a path may have commas. */
static bool disk_parse(const char *text, struct disk *d, GError **error)
{
	char *comma;

	d->path = g_strdup(text);
	while ((comma = strrchr(d->path, ',')) && access(d->path, F_OK) < 0) {
		if (!disk_option(d, comma + 1, error))
			return false;
		*comma = '\0';
	}
	if (!d->format)
		d->format = format_of_disk(d->path, "--disk PATH,format=raw|qcow2", error);
	return d->format != NULL;
}

static void append_image(GString *s, const struct disk *d, unsigned i)
{
	g_autofree char *path = absolute(d->path);
	g_autofree char *xml = g_markup_printf_escaped(
		"    <disk type='file' device='disk'>\n"
		"      <driver name='vmm' type='%s'/>\n"
		"      <source file='%s'/>\n"
		"      <target dev='vd%c' bus='virtio'/>\n", d->format, path, 'a' + i);

	g_string_append(s, xml);
	if (d->readonly)
		g_string_append(s, "      <readonly/>\n");
	if (d->transient)
		g_string_append(s, "      <transient/>\n");
	g_string_append(s, "    </disk>\n");
}

static bool append_disk(GString *s, const char *text, unsigned i, GError **error)
{
	struct disk d = { 0 };
	bool ok = disk_parse(text, &d, error);

	if (ok)
		append_image(s, &d, i);
	g_free(d.path);
	return ok;
}

static bool append_disks(GString *s, const struct command_args *args, const struct domain_words *w,
			 GError **error)
{
	const struct disk image = { (char *)w->image, w->format, false, w->transient };
	const GPtrArray *disks = args_words(args, "disk");
	const unsigned first = w->image != NULL;

	if (disks->len + first > DISKS_MAX)
		return usage_error(error, "%d disks at most", DISKS_MAX);
	if (w->image)
		append_image(s, &image, 0);
	for (unsigned i = 0; i < disks->len; i++)
		if (!append_disk(s, ((struct word *)disks->pdata[i])->text, first + i, error))
			return false;
	return true;
}

/* ---- --share ---- */

struct share {
	char *path, *tag;
	bool writable;
};

/* Taken from the end, so that a folder's name may have colons. */
static bool share_parse(const char *text, struct share *s, GError **error)
{
	char *colon;

	s->path = g_strdup(text);
	if (g_str_has_suffix(s->path, ":rw") || g_str_has_suffix(s->path, ":ro")) {
		s->writable = g_str_has_suffix(s->path, "w");
		s->path[strlen(s->path) - 3] = '\0';
	}
	colon = strrchr(s->path, ':');
	if (colon && !g_file_test(s->path, G_FILE_TEST_IS_DIR)) {
		s->tag = g_strdup(colon + 1);
		*colon = '\0';
	}
	if (!*s->path || (s->tag && !*s->tag))
		return usage_error(error, "--share DIR[:TAG][:ro|rw], not '%s'", text);
	return true;
}

static char *share_tag(const struct share *share)
{
	g_autofree char *path = absolute(share->path);

	return share->tag ? g_strdup(share->tag) : g_path_get_basename(path);
}

static void share_append(GString *s, const struct share *share)
{
	g_autofree char *path = absolute(share->path), *tag = share_tag(share);
	/* On the host all is the folder's owner's anyhow: a tar as root goes on then. */
	g_autofree char *xml = g_markup_printf_escaped(
		"    <filesystem type='mount' accessmode='squash'>\n"
		"      <driver type='virtiofs'/>\n"
		"      <source dir='%s'/>\n"
		"      <target dir='%s'/>\n", path, tag);

	g_string_append(s, xml);
	g_string_append(s, share->writable ? "    </filesystem>\n" :
					     "      <readonly/>\n    </filesystem>\n");
}

static bool append_shares(GString *s, const struct command_args *args, GError **error)
{
	const GPtrArray *shares = args_words(args, "share");
	bool ok = true;

	for (unsigned i = 0; ok && i < shares->len; i++) {
		struct share share = { 0 };

		ok = share_parse(((struct word *)shares->pdata[i])->text, &share, error);
		if (ok)
			share_append(s, &share);
		g_free(share.path);
		g_free(share.tag);
	}
	return ok;
}

char *domain_write_shares(const struct command_args *args, GError **error)
{
	g_autoptr(GString) s = g_string_new(NULL);

	return append_shares(s, args, error) ? g_string_free(g_steal_pointer(&s), FALSE) : NULL;
}

char *domain_write_tag(const char *text, bool *ret_writable)
{
	struct share share = { 0 };
	char *tag = share_parse(text, &share, NULL) ? share_tag(&share) : g_strdup(text);

	*ret_writable = share.writable;
	g_free(share.path);
	g_free(share.tag);
	return tag;
}

/* ---- --net, --forward ---- */

static bool port_parse(const char *text, unsigned *ret)
{
	guint64 n;

	*ret = 0;
	if (!g_ascii_string_to_unsigned(text, 10, 1, 65535, &n, NULL))
		return false;
	*ret = n;
	return true;
}

/* "2222:22", "127.0.0.1:2222:22", "udp:5353:53" */
static bool append_forward(GString *s, const char *text, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(text, ":", 0);
	unsigned n = g_strv_length(parts), first = 0, host, guest;
	const char *proto = "tcp";
	g_autofree char *address = NULL;

	if (n > 2 && (g_str_equal(parts[0], "udp") || g_str_equal(parts[0], "tcp")))
		proto = parts[first++];
	if (n - first == 3)
		address = g_markup_printf_escaped(" address='%s'", parts[first++]);
	if (n - first != 2 || !port_parse(parts[first], &host) ||
	    !port_parse(parts[first + 1], &guest))
		return usage_error(error,
				   "--forward [udp:][ADDRESS:]HOST:GUEST with ports, not '%s'",
				   text);
	g_string_append_printf(s, "      <portForward proto='%s'%s>\n"
				  "        <range start='%u' to='%u'/>\n      </portForward>\n",
			       proto, address ? address : "", host, guest);
	return true;
}

static bool append_net(GString *s, const struct command_args *args, bool net, GError **error)
{
	const GPtrArray *forwards = args_words(args, "forward");

	if (!net && !args_given(args, "net") && forwards->len == 0)
		return true;
	g_string_append(s, "    <interface type='user'>\n      <model type='virtio'/>\n");
	for (unsigned i = 0; i < forwards->len; i++) {
		if (!append_forward(s, ((struct word *)forwards->pdata[i])->text, error))
			return false;
	}
	g_string_append(s, "    </interface>\n");
	return true;
}

char *domain_write_vsock(const struct command_args *args)
{
	g_autoptr(GString) s = g_string_new("    <vsock model='virtio'>\n"
					    "      <cid auto='yes'/>\n");
	const GPtrArray *places = args_words(args, "allow");

	for (unsigned i = 0; i < places->len; i++) {
		g_autofree char *line = g_markup_printf_escaped(
			"      <vmm:proxy xmlns:vmm='" VMM_NS "' allow='%s'/>\n",
			words_text(places, i));

		g_string_append(s, line);
	}
	g_string_append(s, "    </vsock>\n");
	return g_string_free(g_steal_pointer(&s), FALSE);
}

char *domain_write(const struct command_args *args, const struct domain_words *w, GError **error)
{
	const uint64_t memory = args_size(args, "memory", 1 << 20, 256 << 20);
	g_autoptr(GString) s = g_string_new("<domain type='kvm'>\n");
	g_autofree char *line = g_markup_printf_escaped("  <name>%s</name>\n", w->name);
	g_autofree char *vsock = domain_write_vsock(args);

	if (w->cpus < 1 || w->cpus > CPUS_MAX) {
		usage_error(error, "1 to %d processors", CPUS_MAX);
		return NULL;
	}
	g_string_append(s, line);
	g_string_append_printf(s, "  <memory unit='KiB'>%" G_GUINT64_FORMAT "</memory>\n"
				  "  <vcpu>%" G_GUINT64_FORMAT "</vcpu>\n",
			       memory / 1024, w->cpus);
	append_os(s, args, w);
	g_string_append(s, "  <devices>\n");
	if (!append_disks(s, args, w, error) || !append_shares(s, args, error) ||
	    !append_net(s, args, w->net, error))
		return NULL;
	g_string_append(s, "    <serial type='pty'/>\n    <console type='pty'/>\n"
			   "    <rng model='virtio'>\n"
			   "      <backend model='random'>/dev/urandom</backend>\n    </rng>\n");
	if (w->vsock)
		g_string_append(s, vsock);
	g_string_append(s, "  </devices>\n</domain>\n");
	return g_string_free(g_steal_pointer(&s), FALSE);
}
