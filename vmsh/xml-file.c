/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XML that a command is to send. */
#include "config.h"
#include "vmsh/xml-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/vmm.h"

#define XML_BYTES_MAX (4 << 20)		/* what the protocol carries in one string */

/* Up to the limit and a byte more: a device or a pipe may have no end.  Ctrl-C ends it. */
static bool read_bounded(int fd, GByteArray *text)
{
	uint8_t piece[16384];
	ssize_t n;

	while (text->len <= XML_BYTES_MAX && (n = read(fd, piece, sizeof(piece))) != 0) {
		if (n < 0)
			return false;
		g_byte_array_append(text, piece, n);
	}
	return true;
}

char *xml_file_read(const char *path, GError **error)
{
	const char *file = g_str_equal(path, "-") ? "/dev/stdin" : path;
	auto_close int fd = open(file, O_RDONLY | O_CLOEXEC);
	g_autoptr(GByteArray) text = g_byte_array_new();

	if (fd < 0 || !read_bounded(fd, text)) {
		g_set_error(error, VMM_ERROR, VMM_ERR_SYSTEM, "%s", g_strerror(errno));
		return NULL;
	}
	if (text->len <= XML_BYTES_MAX && !(text->len && memchr(text->data, 0, text->len)))
		return text->len ? g_strndup((char *)text->data, text->len) : g_strdup("");
	g_set_error(error, VMM_ERROR, VMM_ERR_XML, "this is no XML of ours: %s",
		    text->len > XML_BYTES_MAX ? "it is larger than 4 MiB" : "it has a NUL byte");
	return NULL;
}
