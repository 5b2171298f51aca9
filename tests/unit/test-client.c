/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client library against a daemon of 100 lines that lives in this process. */
#include "config.h"
#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "libvmm/rpc/conn.h"
#include "libvmm/rpc/frame_xdr.h"
#include "libvmm/rpc/proctab.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"
#include "libvmm/util/owner.h"
#include "libvmm/vmm.h"

#define FLOOD_BYTES (6u << 20)
#define EVENT_ID 77

/* ---- the daemon ---- */

struct daemon {
	struct owner_thread *thread;
	char *dir, *path, *uri;
	int listener;
	GSource *accept;
	struct rpc_conn *conn;
	gint calls;			/* atomic */
	gint last;			/* atomic: what it was last told to forget */
	struct frame_header console;
	bool console_open;
	bool gone;			/* the console's client has aborted */
	char *name;			/* what CONNECT_OPEN said */
};

static remote_domain fake_domain(void)
{
	return (remote_domain){ .name = (char *)"web", .uuid = "0123456789abcde", .id = 3 };
}

#define REPLY(type, ...) \
	rpc_reply(conn, &msg->hdr, (xdrproc_t)xdr_remote_##type, &(remote_##type)__VA_ARGS__)

static void serve_open(struct rpc_conn *conn, struct rpc_message *msg, struct daemon *d)
{
	remote_open_args args = { 0 };

	g_assert_true(rpc_message_decode(msg, (xdrproc_t)xdr_remote_open_args, &args, NULL));
	g_free(d->name);
	d->name = g_strdup(*args.name);
	frame_free((xdrproc_t)xdr_remote_open_args, &args);
	rpc_reply_none(conn, &msg->hdr);
}

static void serve_lookup(struct rpc_conn *conn, struct rpc_message *msg)
{
	remote_name_args args = { 0 };
	g_autoptr(GError) error =
		g_error_new(VMM_ERROR, VMM_ERR_NO_DOMAIN, "no domain of that name");

	g_assert_true(rpc_message_decode(msg, (xdrproc_t)xdr_remote_name_args, &args, NULL));
	if (strcmp(args.name, "web") == 0)
		REPLY(dom_ret, { .dom = fake_domain() });
	else
		rpc_reply_error(conn, &msg->hdr, error);
	frame_free((xdrproc_t)xdr_remote_name_args, &args);
}

static void serve_event(struct rpc_conn *conn, struct rpc_message *msg)
{
	remote_event_lifecycle event = { EVENT_ID, fake_domain(), VMM_LIFECYCLE_STARTED, 0 };

	REPLY(int_ret, { EVENT_ID });
	rpc_event(conn, FRAME_PROGRAM_REMOTE, REMOTE_EVENT_MSG_LIFECYCLE,
		  (xdrproc_t)xdr_remote_event_lifecycle, &event);
}

/* By one id: what was asked for, and behind it a domain's, which was not. */
static void serve_network_event(struct rpc_conn *conn, struct rpc_message *msg)
{
	remote_event_lifecycle other = { EVENT_ID, fake_domain(), VMM_LIFECYCLE_STARTED, 0 };
	remote_event_network event = {
		EVENT_ID, { .name = (char *)"lan", .uuid = "0123456789abcde" }, 3, 0,
	};

	REPLY(int_ret, { EVENT_ID });
	rpc_event(conn, FRAME_PROGRAM_REMOTE, REMOTE_EVENT_MSG_LIFECYCLE,
		  (xdrproc_t)xdr_remote_event_lifecycle, &other);
	rpc_event(conn, FRAME_PROGRAM_REMOTE, REMOTE_EVENT_MSG_NETWORK,
		  (xdrproc_t)xdr_remote_event_network, &event);
}

static void serve_console(struct rpc_conn *conn, struct rpc_message *msg, struct daemon *d)
{
	d->console = msg->hdr;
	d->console_open = true;
	rpc_reply_none(conn, &msg->hdr);
	rpc_stream_data(conn, &msg->hdr, "login: ", 7);
}

/* An echo; "bye" ends it, "flood" fills it. */
static void serve_stream(struct rpc_conn *conn, struct rpc_message *msg, struct daemon *d)
{
	if (msg->hdr.status == FRAME_ERROR)
		d->gone = true;
	if (msg->hdr.status != FRAME_CONTINUE) {
		rpc_stream_finish(conn, &msg->hdr);
		return;
	}
	if (msg->bytes == 3 && memcmp(msg->payload, "bye", 3) == 0) {
		rpc_stream_eof(conn, &msg->hdr);
	} else if (msg->bytes == 5 && memcmp(msg->payload, "flood", 5) == 0) {
		g_autofree char *block = g_malloc0(FLOOD_BYTES);

		rpc_stream_data(conn, &msg->hdr, block, FLOOD_BYTES);
	} else {
		rpc_stream_data(conn, &msg->hdr, msg->payload, msg->bytes);
	}
}

static void serve(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct daemon *d = opaque;

	if (msg->hdr.type == FRAME_STREAM) {
		serve_stream(conn, msg, d);
		return;
	}
	g_atomic_int_inc(&d->calls);
	switch (msg->hdr.procedure) {
	case REMOTE_PROC_AUTH_LIST:
		REPLY(auth_list_ret, { .types = { 0 } });
		break;
	case REMOTE_PROC_CONNECT_OPEN:
		serve_open(conn, msg, d);
		break;
	case REMOTE_PROC_CONNECT_CLOSE:
	case REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY:
	case REMOTE_PROC_CONNECT_NETWORK_EVENT_DEREGISTER_ANY:
		g_atomic_int_set(&d->last, msg->hdr.procedure);
		rpc_reply_none(conn, &msg->hdr);
		break;
	case REMOTE_PROC_CONNECT_GET_HOSTNAME:
		REPLY(text_ret, { (char *)"host.example" });
		break;
	case REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME:
		serve_lookup(conn, msg);
		break;
	case REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY:
		serve_event(conn, msg);
		break;
	case REMOTE_PROC_CONNECT_NETWORK_EVENT_REGISTER_ANY:
		serve_network_event(conn, msg);
		break;
	case REMOTE_PROC_DOMAIN_OPEN_CONSOLE:
		serve_console(conn, msg, d);
		break;
	case REMOTE_PROC_DOMAIN_SUSPEND:	/* never answered */
		break;
	case REMOTE_PROC_DOMAIN_RESUME:		/* the daemon dies */
		rpc_conn_close(conn);
		break;
	default:
		rpc_reply_unknown(conn, &msg->hdr);
	}
}

static void serve_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
}

static const struct rpc_conn_ops daemon_ops = { .message = serve, .closed = serve_closed };

static gboolean daemon_accept(int fd, GIOCondition condition, void *opaque)
{
	struct daemon *d = opaque;
	int s = accept(fd, NULL, NULL);

	g_assert_null(d->conn);
	d->conn = rpc_conn_new(s, owner_thread_context(d->thread), &daemon_ops, d);
	return G_SOURCE_CONTINUE;
}

static struct daemon *daemon_start(void)
{
	struct daemon *d = g_new0(struct daemon, 1);

	d->dir = g_dir_make_tmp("vmm-client-XXXXXX", NULL);
	d->path = g_build_filename(d->dir, "vmmd.sock", NULL);
	d->uri = g_strdup_printf("vmm+unix:///system?socket=%s", d->path);
	d->listener = io_listen_unix(d->path, 0600, NULL);
	g_assert_cmpint(d->listener, >=, 0);
	d->thread = owner_thread_new("fake-vmmd");
	d->accept = g_unix_fd_source_new(d->listener, G_IO_IN);
	g_source_set_callback(d->accept, (GSourceFunc)(void (*)(void))daemon_accept, d, NULL);
	g_source_attach(d->accept, owner_thread_context(d->thread));
	return d;
}

static void daemon_end(void *arg)
{
	struct daemon *d = arg;

	g_source_destroy(d->accept);
	rpc_conn_free(d->conn);
}

static void daemon_stop(struct daemon *d)
{
	owner_call(owner_thread_context(d->thread), daemon_end, d);
	owner_thread_free(d->thread);
	g_source_unref(d->accept);
	close(d->listener);
	g_unlink(d->path);
	g_rmdir(d->dir);
	g_free(d->name);
	g_free(d->dir);
	g_free(d->path);
	g_free(d->uri);
	g_free(d);
}

static vmm_connect *daemon_connect(struct daemon *d)
{
	g_autoptr(GError) error = NULL;
	vmm_connect *conn = vmm_connect_open(d->uri, 0, &error);

	g_assert_no_error(error);
	return conn;
}

/* ---- stories ---- */

static void a_session_opens_calls_and_closes(void)
{
	struct daemon *d = daemon_start();
	vmm_connect *conn = daemon_connect(d);
	g_autofree char *host = vmm_connect_hostname(conn, NULL);

	g_assert_cmpstr(host, ==, "host.example");
	g_assert_cmpstr(d->name, ==, "vmm:///system");
	g_assert_true(vmm_connect_is_alive(conn));
	vmm_connect_close(conn);
	g_assert_cmpint(g_atomic_int_get(&d->calls), ==, 4);
	daemon_stop(d);
}

static void a_domain_outlives_its_connection_handle(void)
{
	struct daemon *d = daemon_start();
	vmm_connect *conn = daemon_connect(d);
	g_autoptr(GError) error = NULL;
	vmm_domain *dom = vmm_domain_lookup(conn, "web", &error);

	g_assert_no_error(error);
	vmm_connect_close(conn);
	g_assert_cmpstr(vmm_domain_name(dom), ==, "web");
	g_assert_cmpstr(vmm_domain_uuid(dom), ==, "30313233-3435-3637-3839-616263646500");
	g_assert_cmpint(vmm_domain_id(dom), ==, 3);
	vmm_domain_unref(dom);
	daemon_stop(d);
}

static void errors_come_through_with_their_codes(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	g_autoptr(GError) error = NULL;
	uint64_t version;

	g_assert_null(vmm_domain_lookup(conn, "db", &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_NO_DOMAIN);
	g_clear_error(&error);
	g_assert_false(vmm_connect_version(conn, &version, &error));
	g_assert_cmpstr(error->message, ==, "unknown procedure: 4");
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void no_daemon_gets_a_message_that_says_what_to_do(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(
		vmm_connect_open("vmm+unix:///system?socket=/nonexistent/vmmd.sock", 0, &error));
	g_assert_nonnull(strstr(error->message, "vmmd is not running"));
	g_assert_nonnull(strstr(error->message, "start it with 'vmmd"));
	g_assert_nonnull(strstr(error->message, "/nonexistent/vmmd.sock"));
}

static void a_dead_daemon_ends_a_call_at_once(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	g_autoptr(vmm_domain) dom = vmm_domain_lookup(conn, "web", NULL);
	g_autoptr(GError) error = NULL;

	g_assert_false(vmm_domain_resume(dom, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_RPC);
	g_assert_false(vmm_connect_is_alive(conn));
	g_assert_false(vmm_domain_suspend(dom, NULL));
	g_clear_pointer(&dom, vmm_domain_unref);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void *interrupt_soon(void *arg)
{
	g_usleep(30000);
	eventfd_write(GPOINTER_TO_INT(arg), 1);
	return NULL;
}

static void an_impatient_user_ends_a_call_but_not_the_connection(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	g_autoptr(vmm_domain) dom = vmm_domain_lookup(conn, "web", NULL);
	g_autoptr(GError) error = NULL;
	auto_close int fd = eventfd(0, EFD_CLOEXEC);
	GThread *finger = g_thread_new("finger", interrupt_soon, GINT_TO_POINTER(fd));
	eventfd_t n;

	vmm_connect_set_interrupt_fd(conn, fd);
	g_assert_false(vmm_domain_suspend(dom, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_ABORTED);
	g_thread_join(finger);
	eventfd_read(fd, &n);
	g_autofree char *host = vmm_connect_hostname(conn, NULL);
	g_assert_nonnull(host);
	g_clear_pointer(&dom, vmm_domain_unref);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void a_daemon_that_does_not_answer_can_be_left_while_opening(void)
{
	g_autofree char *dir = g_dir_make_tmp("vmm-client-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "s", NULL);
	g_autofree char *uri = g_strdup_printf("vmm+unix:///system?socket=%s", path);
	auto_close int listener = io_listen_unix(path, 0600, NULL), fd = eventfd(1, EFD_CLOEXEC);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(listener, >=, 0);
	g_assert_null(vmm_connect_open_interruptible(uri, 0, fd, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_ABORTED);
	g_unlink(path);
	g_rmdir(dir);
}

struct seen {
	GString *text;
	unsigned events, closed;
	bool error;
};

static void on_event(vmm_connect *conn, const struct vmm_event *event, void *opaque)
{
	struct seen *seen = opaque;

	g_assert_cmpint(event->event, ==, VMM_LIFECYCLE_STARTED);
	g_assert_cmpstr(vmm_domain_name(event->domain), ==, "web");
	seen->events++;
}

static void events_come_on_the_callers_context_and_stop_when_told(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	struct seen seen = { 0 };
	int id = vmm_event_register(conn, NULL, VMM_EVENT_LIFECYCLE, NULL, on_event, &seen, NULL);

	g_assert_cmpint(id, ==, EVENT_ID);
	while (!seen.events)
		g_main_context_iteration(NULL, TRUE);
	g_assert_cmpint(
		vmm_event_register(conn, NULL, VMM_EVENT_LIFECYCLE, NULL, on_event, &seen, NULL),
		==, id);
	g_assert_true(vmm_event_deregister(conn, id, NULL));
	g_usleep(10000);
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_assert_cmpuint(seen.events, ==, 1);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void on_network_event(vmm_connect *conn, const struct vmm_event *event, void *opaque)
{
	g_assert_cmpint(event->id, ==, VMM_EVENT_NETWORK_LIFECYCLE);
	g_assert_cmpstr(vmm_network_name(event->network), ==, "lan");
	g_assert_cmpstr(vmm_pool_lifecycle_text(event->event), ==, "Stopped");
	g_assert_null(event->domain);
	((struct seen *)opaque)->events++;
}

static void an_event_of_another_kind_than_was_asked_for_is_dropped(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	g_autoptr(GError) error = NULL;
	struct seen seen = { 0 };
	int id = vmm_network_event_register(conn, NULL, VMM_EVENT_NETWORK_LIFECYCLE, NULL,
					    on_network_event, &seen, NULL);

	g_assert_cmpint(id, ==, EVENT_ID);
	while (!seen.events)
		g_main_context_iteration(NULL, TRUE);
	g_assert_true(vmm_event_deregister(conn, id, NULL));
	g_assert_cmpint(g_atomic_int_get(&d->last), ==,
			REMOTE_PROC_CONNECT_NETWORK_EVENT_DEREGISTER_ANY);
	g_assert_cmpint(vmm_network_event_register(conn, NULL, VMM_EVENT_POOL_REFRESH, NULL,
						   on_network_event, &seen, &error), ==, -1);
	g_assert_error(error, VMM_ERROR, VMM_ERR_INVALID_ARG);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void on_close(vmm_connect *conn, const GError *error, void *opaque)
{
	((struct seen *)opaque)->closed++;
}

static void the_end_of_the_daemon_is_told(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	g_autoptr(vmm_domain) dom = vmm_domain_lookup(conn, "web", NULL);
	struct seen seen = { 0 };

	vmm_connect_set_close_callback(conn, NULL, on_close, &seen);
	vmm_domain_resume(dom, NULL);
	while (!seen.closed)
		g_main_context_iteration(NULL, TRUE);
	g_clear_pointer(&dom, vmm_domain_unref);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void console_data(vmm_stream *stream, const void *data, size_t bytes, void *opaque)
{
	g_string_append_len(((struct seen *)opaque)->text, data, bytes);
}

static void console_closed(vmm_stream *stream, const GError *error, void *opaque)
{
	struct seen *seen = opaque;

	seen->closed++;
	seen->error = error != NULL;
}

static const struct vmm_stream_ops console_ops = { .data = console_data, .closed = console_closed };

static vmm_stream *console_open(vmm_connect *conn, struct seen *seen)
{
	g_autoptr(vmm_domain) dom = vmm_domain_lookup(conn, "web", NULL);

	seen->text = g_string_new(NULL);
	return vmm_domain_open_console(dom, NULL, 0, NULL, &console_ops, seen, NULL);
}

static void wait_for_bytes(struct seen *seen, size_t bytes)
{
	while (seen->text->len < bytes)
		g_main_context_iteration(NULL, TRUE);
}

static void a_console_carries_bytes_both_ways_until_the_guest_ends_it(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	struct seen seen = { 0 };
	vmm_stream *s = console_open(conn, &seen);

	g_assert_nonnull(s);
	wait_for_bytes(&seen, 7);
	g_assert_true(vmm_stream_write(s, "root\n", 5, NULL));
	wait_for_bytes(&seen, 12);
	g_assert_cmpstr(seen.text->str, ==, "login: root\n");
	g_assert_true(vmm_stream_write(s, "bye", 3, NULL));
	while (!seen.closed)
		g_main_context_iteration(NULL, TRUE);
	g_assert_false(seen.error);
	g_assert_false(vmm_stream_write(s, "x", 1, NULL));
	vmm_stream_free(s);
	g_string_free(seen.text, TRUE);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void a_reader_that_sleeps_loses_nothing_and_answers_still_come(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	struct seen seen = { 0 };
	vmm_stream *s = console_open(conn, &seen);

	vmm_stream_write(s, "flood", 5, NULL);
	g_usleep(30000);
	g_autofree char *host = vmm_connect_hostname(conn, NULL);
	g_assert_nonnull(host);
	wait_for_bytes(&seen, 7 + FLOOD_BYTES);
	g_assert_true(vmm_stream_finish(s, NULL));
	g_assert_cmpuint(vmm_stream_queued(s), ==, 0);
	vmm_stream_free(s);
	g_string_free(seen.text, TRUE);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void a_stream_that_is_dropped_is_aborted_and_the_connection_lives(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	struct seen seen = { 0 };
	vmm_stream *s = console_open(conn, &seen);

	vmm_stream_write(s, "flood", 5, NULL);
	vmm_stream_free(s);
	g_autofree char *host = vmm_connect_hostname(conn, NULL);
	g_assert_nonnull(host);
	g_assert_true(d->gone);
	g_assert_cmpuint(seen.closed, ==, 0);
	g_string_free(seen.text, TRUE);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void a_stream_ends_with_its_daemon(void)
{
	struct daemon *d = daemon_start();
	g_autoptr(vmm_connect) conn = daemon_connect(d);
	g_autoptr(vmm_domain) dom = vmm_domain_lookup(conn, "web", NULL);
	struct seen seen = { 0 };
	vmm_stream *s = console_open(conn, &seen);

	vmm_domain_resume(dom, NULL);
	while (!seen.closed)
		g_main_context_iteration(NULL, TRUE);
	g_assert_true(seen.error);
	vmm_stream_free(s);
	g_string_free(seen.text, TRUE);
	g_clear_pointer(&dom, vmm_domain_unref);
	g_clear_pointer(&conn, vmm_connect_close);
	daemon_stop(d);
}

static void uris_that_lead_nowhere_are_explained(void)
{
	static const char *const uris[][2] = {
		{ "http://example.org/", "begins with vmm://" },
		{ "vmm+tcp://host/system", "transport 'tcp'" },
		{ "vmm+unix://host/system", "a local socket has none" },
		{ "vmm+ssh:///system", "which host?" },
		{ "vmm:///somewhere", "neither /system nor /session" },
		{ "vmm+unix:///system?socket=relative", "not an absolute path" },
		{ "%%%", "is no URI" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(uris); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(vmm_connect_open(uris[i][0], 0, &error));
		g_assert_nonnull(strstr(error->message, uris[i][1]));
	}
}

#define TEST(name) g_test_add_func("/client/" #name, name)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(a_session_opens_calls_and_closes);
	TEST(a_domain_outlives_its_connection_handle);
	TEST(errors_come_through_with_their_codes);
	TEST(no_daemon_gets_a_message_that_says_what_to_do);
	TEST(a_dead_daemon_ends_a_call_at_once);
	TEST(an_impatient_user_ends_a_call_but_not_the_connection);
	TEST(a_daemon_that_does_not_answer_can_be_left_while_opening);
	TEST(events_come_on_the_callers_context_and_stop_when_told);
	TEST(an_event_of_another_kind_than_was_asked_for_is_dropped);
	TEST(the_end_of_the_daemon_is_told);
	TEST(a_console_carries_bytes_both_ways_until_the_guest_ends_it);
	TEST(a_reader_that_sleeps_loses_nothing_and_answers_still_come);
	TEST(a_stream_that_is_dropped_is_aborted_and_the_connection_lives);
	TEST(a_stream_ends_with_its_daemon);
	TEST(uris_that_lead_nowhere_are_explained);
	return g_test_run();
}
