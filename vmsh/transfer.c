/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Volumes through a stream: the daemon is fed, or feeds us, as fast as the slower side is. */
#include "config.h"
#include "vmsh/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/progress.h"

#define PIECE_BYTES (256 << 10)
#define QUEUED_MAX (1 << 20)

struct transfer {
	struct shell *sh;
	GMainContext *context;
	vmm_stream *stream;
	int fd;
	bool sparse;			/* an upload's: the input has holes */
	bool own_file;			/* a download's, empty at first */
	uint64_t done, total;
	struct progress progress;
	bool over;
	GError *error;
};

static void transfer_fail(struct transfer *t, GError *error)
{
	t->over = true;
	if (t->error)
		g_error_free(error);
	else
		t->error = error;
}

static void transfer_count(struct transfer *t, uint64_t bytes)
{
	t->done += bytes;
	if (!progress_tell(&t->progress, MIN(t->done, t->total), t->total))
		transfer_fail(t, g_error_new(VMM_ERROR, VMM_ERR_ABORTED, "interrupted"));
}

static void on_data(vmm_stream *stream, const void *data, size_t bytes, void *opaque)
{
	struct transfer *t = opaque;
	const char *at = data;

	for (size_t left = bytes; left > 0 && !t->over;) {
		ssize_t n = write(t->fd, at, left);
		GError *error = NULL;

		if (n < 0 && errno != EINTR) {
			error_errno(&error, errno, "write");
			transfer_fail(t, error);
		}
		if (n > 0) {
			at += n;
			left -= (size_t)n;
		}
	}
	if (!t->over)
		transfer_count(t, bytes);
}

static bool zeroes_write(struct transfer *t, uint64_t bytes)
{
	static const char zeroes[65536];

	while (bytes > 0) {
		ssize_t n = write(t->fd, zeroes, MIN(bytes, sizeof(zeroes)));

		if (n < 0 && errno != EINTR)
			return false;
		bytes -= n > 0 ? (uint64_t)n : 0;
	}
	return true;
}

/* A file of ours was empty: what is left out in it is zero, and its end is set. */
static void on_hole(vmm_stream *stream, uint64_t bytes, void *opaque)
{
	struct transfer *t = opaque;
	GError *error = NULL;
	off_t end;

	if (t->over)
		return;
	if (!t->own_file) {
		if (!zeroes_write(t, bytes))
			error_errno(&error, errno, "write");
	} else {
		end = bytes <= G_MAXINT64 ? lseek(t->fd, (off_t)bytes, SEEK_CUR) : -1;
		if (end < 0 || ftruncate(t->fd, end) < 0)
			error_errno(&error, errno, "write");
	}
	if (error)
		transfer_fail(t, error);
	else
		transfer_count(t, bytes);
}

static void on_closed(vmm_stream *stream, const GError *error, void *opaque)
{
	struct transfer *t = opaque;

	if (error && !t->over)
		transfer_fail(t, g_error_copy(error));
	t->over = true;
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	transfer_fail(opaque, g_error_new(VMM_ERROR, VMM_ERR_ABORTED, "interrupted"));
	return G_SOURCE_REMOVE;
}

static bool transfer_open(struct transfer *t, const vmm_volume *vol, bool upload,
			  const struct transfer_opts *o, GError **error)
{
	static const struct vmm_stream_ops ops = { .data = on_data, .closed = on_closed };
	static const struct vmm_stream_ops sparse_ops = {
		.data = on_data, .closed = on_closed, .hole = on_hole,
	};
	vmm_connect *conn = shell_connect(t->sh, error);
	GSource *interrupt;

	t->context = g_main_context_new();
	interrupt = g_unix_fd_source_new(t->sh->interrupt_fd, G_IO_IN);
	g_source_set_callback(interrupt, G_SOURCE_FUNC(on_interrupt), t, NULL);
	g_source_attach(interrupt, t->context);
	g_source_unref(interrupt);
	t->progress = progress_new(t->sh, o->show, t->total == 0);
	t->stream = conn ? vmm_volume_transfer(conn, vol, upload, o->offset, o->length,
					       o->sparse ? VMM_TRANSFER_SPARSE : 0, t->context,
					       o->sparse ? &sparse_ops : &ops, t, error) : NULL;
	return t->stream;
}

static bool transfer_close(struct transfer *t, bool ok, GError **error)
{
	vmm_stream_free(t->stream);
	g_main_context_unref(t->context);
	progress_end(&t->progress, ok);
	if (t->error) {
		g_propagate_error(error, t->error);
		return false;
	}
	return ok;
}

/* ---- upload ---- */

/* The hole at the input's place, if there is one; *ret_data: how much there is before the next. */
static bool hole_send(struct transfer *t, uint64_t *left, uint64_t *ret_data, GError **error)
{
	const off_t at = lseek(t->fd, 0, SEEK_CUR), end = lseek(t->fd, 0, SEEK_END);
	const off_t data = lseek(t->fd, at, SEEK_DATA);
	const off_t to = data < 0 ? end : data;
	const off_t hole = data < 0 ? -1 : lseek(t->fd, data, SEEK_HOLE);
	const uint64_t bytes = to > at ? MIN((uint64_t)(to - at), *left) : 0;

	*ret_data = hole > to ? (uint64_t)(hole - to) : PIECE_BYTES;
	if (at < 0 || lseek(t->fd, at + (off_t)bytes, SEEK_SET) < 0)
		return error_errno(error, errno, "read");
	if (bytes == 0)
		return true;
	*left -= bytes;
	transfer_count(t, bytes);
	return vmm_stream_write_hole(t->stream, bytes, error);
}

static bool piece_send(struct transfer *t, uint64_t *left, GError **error)
{
	g_autofree char *piece = g_malloc(PIECE_BYTES);
	uint64_t most = PIECE_BYTES;
	ssize_t n;

	if (t->sparse && !hole_send(t, left, &most, error))
		return false;
	n = read(t->fd, piece, MIN(MIN(*left, most), PIECE_BYTES));

	if (n < 0)
		return errno == EINTR || error_errno(error, errno, "read");
	if (n == 0) {
		*left = 0;
		return true;
	}
	if (!vmm_stream_write(t->stream, piece, (size_t)n, error))
		return false;
	*left -= (uint64_t)n;
	transfer_count(t, (size_t)n);
	while (!t->over && vmm_stream_queued(t->stream) > QUEUED_MAX) {
		shell_sleep(t->sh, 1);
		g_main_context_iteration(t->context, FALSE);	/* an end, or ^C */
	}
	return true;
}

bool transfer_upload(struct shell *sh, const vmm_volume *vol, const struct transfer_opts *o,
		     GError **error)
{
	bool is_input = g_str_equal(o->file, "-");
	auto_close int fd = is_input ? dup(STDIN_FILENO) : open(o->file, O_RDONLY | O_CLOEXEC);
	struct transfer t = { .sh = sh, .fd = fd };
	uint64_t left = o->length ?: G_MAXUINT64;
	struct stat st;
	bool ok;

	if (fd < 0)
		return error_errno(error, errno, "open '%s'", o->file);
	t.sparse = o->sparse && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		t.total = MIN((uint64_t)st.st_size, left);
	ok = transfer_open(&t, vol, true, o, error);
	while (ok && left > 0 && !t.over)
		ok = piece_send(&t, &left, error);
	if (ok && !t.over)
		ok = vmm_stream_finish(t.stream, error);
	return transfer_close(&t, ok, error);
}

/* ---- download ---- */

static int output_open(const char *file, bool *ret_new, GError **error)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	*ret_new = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		error_errno(error, errno, "open '%s'", file);
	return fd;
}

static bool download(struct transfer *t, const vmm_volume *vol, const struct transfer_opts *o,
		     GError **error)
{
	uint64_t file_bytes = 0;

	if (o->length)
		t->total = o->length;
	else if (vmm_volume_file_bytes(shell_connect(t->sh, NULL), vol, &file_bytes, NULL) &&
		 file_bytes > o->offset)
		t->total = file_bytes - o->offset;
	if (!transfer_open(t, vol, false, o, error))
		return transfer_close(t, false, error);
	while (!t->over)
		g_main_context_iteration(t->context, TRUE);
	return transfer_close(t, true, error);
}

bool transfer_download(struct shell *sh, const vmm_volume *vol, const struct transfer_opts *o,
		       GError **error)
{
	bool is_output = g_str_equal(o->file, "-"), is_new = false;
	auto_close int fd = is_output ? dup(STDOUT_FILENO) : output_open(o->file, &is_new, error);
	struct stat st;
	struct transfer t = {
		.sh = sh, .fd = fd,
		.own_file = !is_output && fstat(fd, &st) == 0 && S_ISREG(st.st_mode),
	};

	if (fd < 0)
		return false;
	if (download(&t, vol, o, error) &&
	    (is_output || fsync(fd) == 0 || errno == EINVAL ||
	     error_errno(error, errno, "write '%s'", o->file)))
		return true;
	if (is_new)
		unlink(o->file);
	return false;
}
