/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections over socket pairs: what goes in, what comes out, how they end. */
#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/rpc/conn.h"
#include "libvmm/rpc/proctab.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define NONE ((xdrproc_t)xdr_remote_none)

/* One end of a socket pair with a connection on it; the other end is bytes. */
struct end {
	struct rpc_conn *conn;
	int raw;
	GString *log;			/* what the callbacks saw */
	GError *error;
	bool closed;
	unsigned messages;
	struct frame_header last;
	GByteArray *payload;
	int got_fd;
	void (*act)(struct end *e, struct rpc_message *msg);
};

static void on_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct end *e = opaque;

	e->messages++;
	e->last = msg->hdr;
	g_byte_array_set_size(e->payload, 0);
	g_byte_array_append(e->payload, msg->payload, msg->bytes);
	if (e->act)
		e->act(e, msg);
}

static void on_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
	struct end *e = opaque;

	g_assert_false(e->closed);
	e->closed = true;
	e->error = error ? g_error_copy(error) : NULL;
}

static const struct rpc_conn_ops ops = { .message = on_message, .closed = on_closed };

static void end_open(struct end *e)
{
	int sv[2];

	*e = (struct end){ .got_fd = -1, .payload = g_byte_array_new(), .log = g_string_new(NULL) };
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), ==, 0);
	e->raw = sv[1];
	e->conn = rpc_conn_new(sv[0], NULL, &ops, e);
}

static void end_done(struct end *e)
{
	rpc_conn_free(e->conn);
	fd_close(&e->raw);
	fd_close(&e->got_fd);
	g_clear_error(&e->error);
	g_byte_array_unref(e->payload);
	g_string_free(e->log, TRUE);
}

static void turn(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

static void raw_send(struct end *e, const void *data, size_t bytes)
{
	g_assert_cmpint(send(e->raw, data, bytes, 0), ==, bytes);
}

static void raw_call(struct end *e, uint32_t length, int32_t procedure, uint32_t type,
		     uint32_t serial)
{
	struct frame_header h = {
		length, FRAME_PROGRAM_REMOTE, 1, procedure, type, serial, FRAME_OK
	};
	uint8_t head[FRAME_HEADER_BYTES];

	frame_header_encode(&h, head);
	raw_send(e, head, sizeof(head));
}

static ssize_t raw_read(struct end *e, void *buf, size_t bytes)
{
	return recv(e->raw, buf, bytes, MSG_DONTWAIT);
}

static void the_first_bytes_of_a_session_are_those_of_the_protocol(void)
{
	static const char call[] = "0000001c200080860000000100000042000000000000000000000000";
	static const char answer[] =
		"0000002420008086000000010000004200000001000000000000000000000001"
		"00000000";
	int type = 0;
	remote_auth_list_ret ret = { .types = { 1, &type } };
	struct frame_header h = {
		0, FRAME_PROGRAM_REMOTE, 1, REMOTE_PROC_AUTH_LIST, FRAME_CALL, 0, FRAME_OK
	};
	g_autoptr(GBytes) c = frame_encode(&h, 0, NONE, &type, NULL);
	g_autoptr(GString) hex = g_string_new(NULL);

	h.type = FRAME_REPLY;
	g_autoptr(GBytes) r = frame_encode(&h, 0, (xdrproc_t)xdr_remote_auth_list_ret, &ret, NULL);
	for (size_t i = 0; i < g_bytes_get_size(c); i++)
		g_string_append_printf(hex, "%02x",
				       ((const uint8_t *)g_bytes_get_data(c, NULL))[i]);
	g_assert_cmpstr(hex->str, ==, call);
	g_string_truncate(hex, 0);
	for (size_t i = 0; i < g_bytes_get_size(r); i++)
		g_string_append_printf(hex, "%02x",
				       ((const uint8_t *)g_bytes_get_data(r, NULL))[i]);
	g_assert_cmpstr(hex->str, ==, answer);
}

static void a_message_that_comes_byte_by_byte_is_one_message(void)
{
	struct end e;
	struct frame_header h = { 32, FRAME_PROGRAM_REMOTE, 1, 60, FRAME_CALL, 7, FRAME_OK };
	uint8_t bytes[32] = { 0 };

	end_open(&e);
	frame_header_encode(&h, bytes);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		g_assert_cmpuint(e.messages, ==, 0);
		raw_send(&e, bytes + i, 1);
		turn();
	}
	g_assert_cmpuint(e.messages, ==, 1);
	g_assert_cmpuint(e.last.serial, ==, 7);
	g_assert_cmpuint(e.payload->len, ==, 4);
	end_done(&e);
}

static void many_messages_in_one_piece_are_many_messages(void)
{
	struct end e;

	end_open(&e);
	for (int i = 0; i < 100; i++)
		raw_call(&e, 28, 66, FRAME_CALL, i);
	turn();
	g_assert_cmpuint(e.messages, ==, 100);
	g_assert_cmpuint(e.last.serial, ==, 99);
	end_done(&e);
}

static void check_refused(const void *data, size_t bytes, const char *why)
{
	struct end e;

	end_open(&e);
	raw_send(&e, data, bytes);
	turn();
	g_assert_true(e.closed);
	g_assert_error(e.error, VMM_ERROR, VMM_ERR_RPC);
	g_assert_nonnull(strstr(e.error->message, why));
	g_assert_cmpuint(e.messages, ==, 0);
	end_done(&e);
}

static void garbage_ends_the_connection(void)
{
	static const uint8_t tiny[28] = { 0, 0, 0, 27 };

	check_refused("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 36, "longer than");
	check_refused(tiny, sizeof(tiny), "shorter than its header");
}

static void a_type_or_status_out_of_range_ends_the_connection(void)
{
	uint8_t h[28] = { [3] = 28, [19] = 7 };

	check_refused(h, sizeof(h), "unknown type");
	h[19] = 0;
	h[27] = 3;
	check_refused(h, sizeof(h), "unknown status");
}

static void a_huge_length_is_refused_before_its_bytes(void)
{
	struct end e;

	end_open(&e);
	rpc_conn_set_message_max(e.conn, FRAME_UNTRUSTED_MAX);
	raw_call(&e, FRAME_UNTRUSTED_MAX + 1, 1, FRAME_CALL, 0);
	turn();
	g_assert_true(e.closed);
	g_assert_error(e.error, VMM_ERROR, VMM_ERR_RPC);
	end_done(&e);
}

static void half_a_frame_and_a_hang_up_is_an_error(void)
{
	struct end e;

	end_open(&e);
	raw_call(&e, 100, 1, FRAME_CALL, 0);
	raw_send(&e, "half", 4);
	turn();
	g_assert_false(e.closed);
	fd_close(&e.raw);
	turn();
	g_assert_true(e.closed);
	g_assert_nonnull(strstr(e.error->message, "middle of a message"));
	end_done(&e);
}

static void a_hang_up_between_messages_is_no_error(void)
{
	struct end e;

	end_open(&e);
	raw_call(&e, 28, 66, FRAME_CALL, 0);
	fd_close(&e.raw);
	turn();
	g_assert_cmpuint(e.messages, ==, 1);
	g_assert_true(e.closed);
	g_assert_no_error(e.error);
	end_done(&e);
}

static void a_ping_is_answered_with_a_pong(void)
{
	struct end e;
	struct frame_header h = { 28, FRAME_PROGRAM_KEEPALIVE, 1, 1, FRAME_MESSAGE, 0, FRAME_OK };
	uint8_t bytes[28];

	end_open(&e);
	frame_header_encode(&h, bytes);
	raw_send(&e, bytes, sizeof(bytes));
	turn();
	g_assert_cmpint(raw_read(&e, bytes, sizeof(bytes)), ==, 28);
	g_assert_true(frame_header_decode(bytes, 28, &h, NULL));
	g_assert_cmpint(h.procedure, ==, 2);
	g_assert_cmpuint(e.messages, ==, 0);
	end_done(&e);
}

static void a_silent_peer_is_asked_for_a_sign_of_life_and_left(void)
{
	struct end e;
	uint8_t bytes[28 * 4];

	end_open(&e);
	rpc_conn_set_keepalive(e.conn, 10, 3);
	while (!e.closed)
		g_main_context_iteration(NULL, TRUE);
	g_assert_error(e.error, VMM_ERROR, VMM_ERR_RPC);
	g_assert_nonnull(strstr(e.error->message, "has not answered"));
	g_assert_cmpint(raw_read(&e, bytes, sizeof(bytes)), ==, 3 * 28);
	end_done(&e);
}

static void act_free(struct end *e, struct rpc_message *msg)
{
	rpc_conn_free(g_steal_pointer(&e->conn));
}

static void a_callback_may_free_its_connection(void)
{
	struct end e;

	end_open(&e);
	e.act = act_free;
	raw_call(&e, 28, 66, FRAME_CALL, 0);
	raw_call(&e, 28, 66, FRAME_CALL, 1);
	turn();
	g_assert_cmpuint(e.messages, ==, 1);
	g_assert_false(e.closed);
	end_done(&e);
}

/* ---- two connections that face each other ---- */

struct pair {
	struct end a, b;
	unsigned done;
	GError *error;
	int num;
	int fd;
};

static void pair_open(struct pair *p)
{
	end_open(&p->a);
	end_open(&p->b);
	rpc_conn_free(p->b.conn);
	p->b.conn = rpc_conn_new(TAKE_FD(p->a.raw), NULL, &ops, &p->b);
	p->done = 0;
	p->error = NULL;
	p->num = 0;
	p->fd = -1;
}

static void pair_done(struct pair *p)
{
	end_done(&p->a);
	end_done(&p->b);
	g_clear_error(&p->error);
	fd_close(&p->fd);
}

static void on_done(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
		    void *opaque)
{
	struct pair *p = opaque;
	remote_int_ret ret = { 0 };

	p->done++;
	if (error)
		p->error = g_error_copy(error);
	else if (reply->bytes &&
		 rpc_message_decode(reply, (xdrproc_t)xdr_remote_int_ret, &ret, NULL))
		p->num = ret.num;
	if (reply && reply->n_fds)
		p->fd = TAKE_FD(reply->fds[0]);
}

static uint32_t pair_call(struct pair *p, unsigned timeout_ms)
{
	remote_int_args args = { 14 };

	return rpc_conn_call(p->a.conn, FRAME_PROGRAM_REMOTE, 60, (xdrproc_t)xdr_remote_int_args,
			     &args, NULL, 0, timeout_ms, on_done, p);
}

static void act_answer(struct end *e, struct rpc_message *msg)
{
	remote_int_ret ret = { 42 };

	rpc_reply(e->conn, &msg->hdr, (xdrproc_t)xdr_remote_int_ret, &ret);
}

static void act_refuse(struct end *e, struct rpc_message *msg)
{
	g_autoptr(GError) error = g_error_new(VMM_ERROR, VMM_ERR_NO_DOMAIN, "no domain 'x'");

	rpc_reply_error(e->conn, &msg->hdr, error);
}

static void act_unknown(struct end *e, struct rpc_message *msg)
{
	rpc_reply_unknown(e->conn, &msg->hdr);
}

static void act_hang_up(struct end *e, struct rpc_message *msg)
{
	rpc_conn_close(e->conn);
}

static gboolean enough(void *arg)
{
	*(bool *)arg = true;
	return G_SOURCE_REMOVE;
}

static void a_peer_that_answers_pings_is_kept(void)
{
	struct pair p;
	bool over = false;

	pair_open(&p);
	rpc_conn_set_keepalive(p.a.conn, 10, 2);
	g_timeout_add(100, enough, &over);
	while (!over)
		g_main_context_iteration(NULL, TRUE);
	g_assert_false(p.a.closed);
	g_assert_cmpuint(p.a.messages, ==, 0);
	pair_done(&p);
}

static void a_call_gets_its_answer(void)
{
	struct pair p;

	pair_open(&p);
	p.b.act = act_answer;
	pair_call(&p, 0);
	g_assert_cmpuint(p.done, ==, 0);
	turn();
	g_assert_cmpuint(p.done, ==, 1);
	g_assert_no_error(p.error);
	g_assert_cmpint(p.num, ==, 42);
	pair_done(&p);
}

static void an_error_travels_with_its_code_and_text(void)
{
	struct pair p;

	pair_open(&p);
	p.b.act = act_refuse;
	pair_call(&p, 0);
	turn();
	g_assert_error(p.error, VMM_ERROR, VMM_ERR_NO_DOMAIN);
	g_assert_cmpstr(p.error->message, ==, "no domain 'x'");
	g_clear_error(&p.error);
	p.b.act = act_unknown;
	pair_call(&p, 0);
	turn();
	g_assert_cmpstr(p.error->message, ==, "unknown procedure: 60");
	pair_done(&p);
}

static void a_call_ends_when_the_peer_goes(void)
{
	struct pair p;

	pair_open(&p);
	p.b.act = act_hang_up;
	pair_call(&p, 0);
	pair_call(&p, 0);
	turn();
	g_assert_cmpuint(p.done, ==, 2);
	g_assert_error(p.error, VMM_ERROR, VMM_ERR_RPC);
	g_assert_true(p.a.closed);
	pair_call(&p, 0);
	g_assert_cmpuint(p.done, ==, 2);
	turn();
	g_assert_cmpuint(p.done, ==, 3);
	pair_done(&p);
}

static void a_worker_that_never_answers_is_noticed(void)
{
	struct pair p;

	pair_open(&p);
	pair_call(&p, 20);
	while (!p.done)
		g_main_context_iteration(NULL, TRUE);
	g_assert_error(p.error, VMM_ERROR, VMM_ERR_TIMEOUT);
	/* Its late answer is no protocol error. */
	act_answer(&p.b, &(struct rpc_message){ .hdr = p.b.last });
	turn();
	g_assert_false(p.a.closed);
	g_assert_cmpuint(p.done, ==, 1);
	pair_done(&p);
}

static void a_cancelled_call_is_told_once(void)
{
	struct pair p;

	pair_open(&p);
	p.b.act = act_answer;
	rpc_conn_cancel(p.a.conn, pair_call(&p, 0));
	g_assert_cmpuint(p.done, ==, 1);
	g_assert_error(p.error, VMM_ERROR, VMM_ERR_ABORTED);
	turn();
	g_assert_cmpuint(p.done, ==, 1);
	g_assert_false(p.a.closed);
	pair_done(&p);
}

static void act_answer_twice(struct end *e, struct rpc_message *msg)
{
	act_answer(e, msg);
	act_answer(e, msg);
}

static void a_second_answer_ends_the_connection(void)
{
	struct pair p;

	pair_open(&p);
	p.b.act = act_answer_twice;
	pair_call(&p, 0);
	turn();
	g_assert_cmpuint(p.done, ==, 1);
	g_assert_true(p.a.closed);
	g_assert_nonnull(strstr(p.a.error->message, "a reply to no call"));
	pair_done(&p);
}

static void act_fd(struct end *e, struct rpc_message *msg)
{
	int fds[2] = { open("/dev/null", O_RDONLY | O_CLOEXEC),
		       open("/dev/zero", O_RDONLY | O_CLOEXEC) };
	remote_int_ret ret = { 3 };

	rpc_reply_fds(e->conn, &msg->hdr, (xdrproc_t)xdr_remote_int_ret, &ret, fds, 2);
	rpc_event(e->conn, FRAME_PROGRAM_REMOTE, 318, NONE, &ret);
}

static void descriptors_come_with_their_message_and_those_left_are_closed(void)
{
	struct pair p;
	char c;

	pair_open(&p);
	p.b.act = act_fd;
	pair_call(&p, 0);
	turn();
	g_assert_no_error(p.error);
	g_assert_cmpint(p.num, ==, 3);
	g_assert_cmpint(read(p.fd, &c, 1), ==, 0);
	g_assert_cmpuint(p.a.messages, ==, 1);
	pair_done(&p);
}

static void act_take_fd(struct end *e, struct rpc_message *msg)
{
	g_assert_cmpuint(msg->n_fds, ==, 1);
	e->got_fd = TAKE_FD(msg->fds[0]);
	rpc_reply_none(e->conn, &msg->hdr);
}

static void a_call_can_carry_descriptors_and_keeps_its_own(void)
{
	struct pair p;
	auto_close int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	remote_int_args args = { 14 };

	pair_open(&p);
	p.b.act = act_take_fd;
	rpc_conn_call(p.a.conn, FRAME_PROGRAM_REMOTE, 310, (xdrproc_t)xdr_remote_int_args, &args,
		      &fd, 1, 0, on_done, &p);
	turn();
	g_assert_cmpuint(p.done, ==, 1);
	g_assert_cmpint(p.b.got_fd, >=, 0);
	g_assert_cmpint(p.b.payload->len, ==, 4);
	g_assert_cmpint(write(fd, "x", 1), ==, 1);
	pair_done(&p);
}

static void announced_descriptors_that_do_not_come_are_an_error(void)
{
	struct end e;

	end_open(&e);
	raw_call(&e, 32, 310, FRAME_CALL_WITH_FDS, 0);
	raw_send(&e, "\0\0\0\1", 4);
	raw_send(&e, "", 1);
	turn();
	g_assert_true(e.closed);
	g_assert_nonnull(strstr(e.error->message, "announced 1 descriptors, 0 came"));
	end_done(&e);
}

static void the_last_words_of_a_peer_that_hung_up_are_heard(void)
{
	struct end e;
	g_autofree char *block = g_malloc0(1 << 20);
	struct frame_header h = { 0, FRAME_PROGRAM_REMOTE, 1, 201, FRAME_STREAM, 1, FRAME_OK };

	end_open(&e);
	rpc_stream_data(e.conn, &h, block, 1 << 20);
	raw_call(&e, 28, 66, FRAME_CALL, 0);
	fd_close(&e.raw);
	turn();
	g_assert_cmpuint(e.messages, ==, 1);
	g_assert_true(e.closed);
	end_done(&e);
}

static void too_many_descriptors_are_an_error(void)
{
	struct end e;

	end_open(&e);
	raw_call(&e, 32, 310, FRAME_CALL_WITH_FDS, 0);
	raw_send(&e, "\0\0\1\0", 4);
	turn();
	g_assert_true(e.closed);
	end_done(&e);
}

static void a_peer_that_does_not_read_is_not_read_either(void)
{
	struct end e;
	g_autofree char *block = g_malloc0(100000);
	struct frame_header h = { 0, FRAME_PROGRAM_REMOTE, 1, 201, FRAME_STREAM, 1, FRAME_OK };

	end_open(&e);
	rpc_conn_set_output_limits(e.conn, 1 << 20, 8 << 20);
	for (int i = 0; i < 30; i++)
		rpc_stream_data(e.conn, &h, block, 100000);
	g_assert_cmpuint(rpc_conn_queued(e.conn), >, 1 << 20);
	raw_call(&e, 28, 66, FRAME_CALL, 0);
	turn();
	g_assert_cmpuint(e.messages, ==, 0);
	while (rpc_conn_queued(e.conn)) {
		raw_read(&e, block, 100000);
		turn();
	}
	g_assert_cmpuint(e.messages, ==, 1);
	end_done(&e);
}

static void a_peer_that_never_reads_is_left(void)
{
	struct end e;
	g_autofree char *block = g_malloc0(100000);
	struct frame_header h = { 0, FRAME_PROGRAM_REMOTE, 1, 201, FRAME_STREAM, 1, FRAME_OK };

	end_open(&e);
	rpc_conn_set_output_limits(e.conn, 1 << 20, 2 << 20);
	for (int i = 0; i < 30; i++)
		rpc_stream_data(e.conn, &h, block, 100000);
	g_assert_false(e.closed);
	turn();
	g_assert_true(e.closed);
	g_assert_nonnull(strstr(e.error->message, "does not read"));
	g_assert_cmpuint(rpc_conn_queued(e.conn), ==, 0);
	end_done(&e);
}

static void messages_that_wait_cost_little_more_than_their_bytes(void)
{
	struct end e;
	size_t before = mallinfo2().uordblks, got = 0;
	uint8_t buf[4096];

	end_open(&e);
	for (int i = 0; i < 100000; i++)
		rpc_event(e.conn, FRAME_PROGRAM_REMOTE, 318, NONE, &(remote_none){ 0 });
	g_assert_cmpuint(rpc_conn_queued(e.conn), >, 1 << 20);
	g_assert_cmpuint(mallinfo2().uordblks - before, <, 3 * rpc_conn_queued(e.conn));
	while (got < 100000 * FRAME_HEADER_BYTES) {
		ssize_t n = raw_read(&e, buf, sizeof(buf));

		for (ssize_t i = 0; i < n; i++, got++)
			if (got % FRAME_HEADER_BYTES == 3)
				g_assert_cmpuint(buf[i], ==, FRAME_HEADER_BYTES);
		turn();
	}
	g_assert_cmpuint(rpc_conn_queued(e.conn), ==, 0);
	end_done(&e);
}

static void of_all_that_hold_too_much_the_largest_of_the_greediest_owner_goes(void)
{
	struct frame_header h = { 0, FRAME_PROGRAM_REMOTE, 1, 201, FRAME_STREAM, 1, FRAME_OK };
	struct rpc_budget *budget = rpc_budget_new(10 << 20);
	static const struct {
		uid_t owner;
		unsigned mib;
	} held[] = { { 1, 1 }, { 1, 4 }, { 1, 2 }, { 2, 5 } };
	g_autofree char *block = g_malloc0(1 << 20);
	struct end ends[G_N_ELEMENTS(held)];

	for (unsigned i = 0; i < G_N_ELEMENTS(held); i++) {
		end_open(&ends[i]);
		rpc_conn_set_budget(ends[i].conn, budget, held[i].owner);
		for (unsigned mib = 0; mib < held[i].mib; mib++)
			rpc_stream_data(ends[i].conn, &h, block, 1 << 20);
	}
	turn();
	for (unsigned i = 0; i < G_N_ELEMENTS(held); i++)
		g_assert_cmpint(ends[i].closed, ==, i == 1);
	g_assert_nonnull(strstr(ends[1].error->message, "hold too much"));
	for (unsigned i = 0; i < G_N_ELEMENTS(held); i++)
		end_done(&ends[i]);
	rpc_budget_free(budget);
}

static void half_a_message_counts_as_held(void)
{
	struct rpc_budget *budget = rpc_budget_new(100000);
	g_autofree char *block = g_malloc0(150000);
	struct end e;

	end_open(&e);
	rpc_conn_set_budget(e.conn, budget, 0);
	raw_call(&e, 10 << 20, 66, FRAME_CALL, 0);
	raw_send(&e, block, 150000);
	turn();
	g_assert_true(e.closed);
	g_assert_cmpuint(e.messages, ==, 0);
	end_done(&e);
	rpc_budget_free(budget);
}

static void closing_sends_what_is_queued_first(void)
{
	struct end e;
	g_autofree char *block = g_malloc0(1000000);
	struct frame_header h = { 0, FRAME_PROGRAM_REMOTE, 1, 201, FRAME_STREAM, 1, FRAME_OK };
	size_t got = 0;

	end_open(&e);
	rpc_stream_data(e.conn, &h, block, 1000000);
	rpc_conn_close(e.conn);
	for (ssize_t n = 0; !e.closed || n > 0; turn()) {
		n = raw_read(&e, block, 1000000);
		got += n > 0 ? n : 0;
	}
	for (ssize_t n; (n = raw_read(&e, block, 1000000)) > 0;)
		got += n;
	g_assert_no_error(e.error);
	g_assert_cmpuint(got, ==, 1000000 + 4 * FRAME_HEADER_BYTES);
	end_done(&e);
}

static void a_paused_connection_reads_nothing_until_resumed(void)
{
	struct end e;

	end_open(&e);
	rpc_conn_pause(e.conn);
	raw_call(&e, 28, 66, FRAME_CALL, 0);
	turn();
	g_assert_cmpuint(e.messages, ==, 0);
	rpc_conn_resume(e.conn);
	turn();
	g_assert_cmpuint(e.messages, ==, 1);
	end_done(&e);
}

static void the_peer_is_known(void)
{
	struct end e;
	struct ucred who;

	end_open(&e);
	g_assert_true(rpc_conn_peer(e.conn, &who, NULL));
	g_assert_cmpuint(who.uid, ==, getuid());
	g_assert_cmpint(who.pid, ==, getpid());
	end_done(&e);
}

#define TEST(name) g_test_add_func("/conn/" #name, name)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(the_first_bytes_of_a_session_are_those_of_the_protocol);
	TEST(a_message_that_comes_byte_by_byte_is_one_message);
	TEST(many_messages_in_one_piece_are_many_messages);
	TEST(garbage_ends_the_connection);
	TEST(a_type_or_status_out_of_range_ends_the_connection);
	TEST(a_huge_length_is_refused_before_its_bytes);
	TEST(half_a_frame_and_a_hang_up_is_an_error);
	TEST(a_hang_up_between_messages_is_no_error);
	TEST(a_ping_is_answered_with_a_pong);
	TEST(a_silent_peer_is_asked_for_a_sign_of_life_and_left);
	TEST(a_peer_that_answers_pings_is_kept);
	TEST(a_callback_may_free_its_connection);
	TEST(a_call_gets_its_answer);
	TEST(an_error_travels_with_its_code_and_text);
	TEST(a_call_ends_when_the_peer_goes);
	TEST(a_worker_that_never_answers_is_noticed);
	TEST(a_cancelled_call_is_told_once);
	TEST(a_second_answer_ends_the_connection);
	TEST(descriptors_come_with_their_message_and_those_left_are_closed);
	TEST(a_call_can_carry_descriptors_and_keeps_its_own);
	TEST(announced_descriptors_that_do_not_come_are_an_error);
	TEST(the_last_words_of_a_peer_that_hung_up_are_heard);
	TEST(too_many_descriptors_are_an_error);
	TEST(a_peer_that_does_not_read_is_not_read_either);
	TEST(a_peer_that_never_reads_is_left);
	TEST(messages_that_wait_cost_little_more_than_their_bytes);
	TEST(of_all_that_hold_too_much_the_largest_of_the_greediest_owner_goes);
	TEST(half_a_message_counts_as_held);
	TEST(closing_sends_what_is_queued_first);
	TEST(a_paused_connection_reads_nothing_until_resumed);
	TEST(the_peer_is_known);
	return g_test_run();
}
