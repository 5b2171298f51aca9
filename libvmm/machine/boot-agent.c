/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's agent beside its initramfs: a cpio archive (Linux,
 * driver-api/early-userspace/buffer-format) behind the guest's own, and a word
 * on the command line by which the kernel runs the agent first.  The agent
 * then becomes the guest's own init.  A kernel whose initrd is no initramfs
 * ignores both.  With it come random bytes, which the agent gives to the
 * kernel: where the processor has none to give, the first who wants some would
 * wait for a second.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "libvmm/machine/boot-priv.h"
#include "libvmm/util/error.h"

#define FOLDER ".libvmm"
#define WORD "rdinit="
#define AGENT_MAX (UINT64_C(16) << 20)
#define SEED_BYTES 32

static void pad4(GByteArray *a)
{
	static const uint8_t zeroes[4];

	g_byte_array_append(a, zeroes, -a->len & 3);
}

/* What follows a file's header is the caller's. */
static void add_entry(GByteArray *a, unsigned mode, const char *name, uint64_t bytes)
{
	char head[111];

	/* Fields: inode, mode, uid, gid, links, time, size, device 2x, rdevice 2x, name's size,
	 * sum. */
	g_snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		   a->len + 1, mode, 0, 0, 1, 0, (unsigned)bytes, 0, 0, 0, 0,
		   (unsigned)strlen(name) + 1, 0);
	g_byte_array_append(a, (uint8_t *)head, sizeof(head) - 1);
	g_byte_array_append(a, (const uint8_t *)name, (guint)strlen(name) + 1);
	pad4(a);
}

static void add_bytes(GByteArray *a, unsigned mode, const char *name, const void *bytes, size_t n)
{
	add_entry(a, mode, name, n);
	g_byte_array_append(a, bytes, (guint)n);
	pad4(a);
}

/* A file or a link, its bytes and what fills them up. */
static void add_text(GByteArray *a, unsigned mode, const char *name, const char *text)
{
	add_bytes(a, mode, name, text, strlen(text));
}

/* Other ones at each boot.  A guest without them starts all the same. */
static void add_seed(GByteArray *a)
{
	uint8_t seed[SEED_BYTES];

	if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		add_bytes(a, S_IFREG | 0600, FOLDER "/seed", seed, sizeof(seed));
	explicit_bzero(seed, sizeof(seed));
}

static GByteArray *head_new(const struct boot_agent_opts *opts, uint64_t agent_bytes)
{
	GByteArray *a = g_byte_array_new();
	char port[8];

	add_entry(a, S_IFDIR | 0700, FOLDER, 0);
	add_entry(a, S_IFDIR | 0700, FOLDER "/mnt", 0);
	add_text(a, S_IFLNK | 0777, FOLDER "/init", opts->init);
	g_snprintf(port, sizeof(port), "%u", opts->outbound_port);
	if (opts->outbound_port)
		add_text(a, S_IFREG | 0600, FOLDER "/outbound", port);
	add_seed(a);
	add_entry(a, S_IFREG | 0700, FOLDER "/agent", agent_bytes);
	return a;
}

static GByteArray *tail_new(uint64_t agent_bytes)
{
	GByteArray *a = g_byte_array_new();

	add_entry(a, 0, "TRAILER!!!", 0);
	g_byte_array_prepend(a, (const uint8_t *)"\0\0\0", -agent_bytes & 3);
	return a;
}

/* The length of the kernel's own part: what follows " -- " is for init. */
static size_t kernel_part(const char *cmdline)
{
	bool quoted = false;

	for (const char *p = cmdline; *p; p++) {
		if (*p == '"')
			quoted = !quoted;
		if (!quoted && g_str_has_prefix(p, "--") && (p == cmdline || p[-1] == ' ') &&
		    (!p[2] || p[2] == ' '))
			return (size_t)(p - cmdline);
	}
	return strlen(cmdline);
}

/* Of several the last wins, as in the kernel. */
static char *init_of(const char *cmdline, size_t n)
{
	g_autofree char *part = g_strndup(cmdline, n);
	g_auto(GStrv) words = g_strsplit(part, " ", -1);
	const char *init = "/init";

	for (unsigned i = 0; words[i]; i++) {
		if (g_str_has_prefix(words[i], WORD))
			init = words[i] + strlen(WORD);
	}
	return g_strdup(init);
}

char *boot_agent_cmdline(const char *cmdline, char **ret_init)
{
	size_t n = kernel_part(cmdline);
	const char *blank = n == 0 || cmdline[n - 1] == ' ' ? "" : " ";

	*ret_init = init_of(cmdline, n);
	return g_strdup_printf("%.*s%s" WORD "/" FOLDER "/agent%s%s", (int)n, cmdline, blank,
			       cmdline[n] ? " " : "", cmdline + n);
}

bool boot_agent_measure(struct boot_load *l, struct boot_agent *ret, GError **error)
{
	const struct boot_agent_opts *opts = l->opts->agent;

	if (!boot_file_open(&ret->file, opts->fd, "vmm-agent", error))
		return false;
	if (ret->file.size > AGENT_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "the guest's agent has %" PRIu64 " MiB, which no agent has",
				 ret->file.size >> 20);
	ret->head = head_new(opts, ret->file.size);
	ret->tail = tail_new(ret->file.size);
	ret->bytes = ret->head->len + ret->file.size + ret->tail->len;
	return true;
}

bool boot_agent_place(const struct boot_load *l, const struct boot_agent *a, uint64_t gpa,
		      GError **error)
{
	struct boot_file head = {
		.fd = -1, .bytes = a->head->data, .size = a->head->len, .name = "vmm-agent"
	};
	struct boot_file tail = {
		.fd = -1, .bytes = a->tail->data, .size = a->tail->len, .name = "vmm-agent"
	};

	return boot_file_place(l, &head, 0, gpa, head.size, error) &&
	       boot_file_place(l, &a->file, 0, gpa + head.size, a->file.size, error) &&
	       boot_file_place(l, &tail, 0, gpa + head.size + a->file.size, tail.size, error);
}

void boot_agent_done(struct boot_agent *a)
{
	g_clear_pointer(&a->head, g_byte_array_unref);
	g_clear_pointer(&a->tail, g_byte_array_unref);
}
