/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every argument and result goes to bytes and back unchanged.  Values come
 * from an XDR stream that makes them up: what it gives depends on seed and
 * position only, so going back in it gives the same again.
 */
#include "config.h"
#include <string.h>

#define BOUND_NO_MACROS
#include "libvmm/rpc/bound.h"
#include "libvmm/rpc/conn.h"
#include "libvmm/rpc/frame_xdr.h"
#include "libvmm/rpc/proctab.h"
#include "libvmm/rpc/worker.h"
#include "libvmm/util/error.h"

#define SEEDS 40
#define BIGGEST_BYTES 1024

struct dream {
	XDR xdrs;
	uint32_t seed, at;
};

static uint32_t dream_word(const struct dream *d)
{
	uint32_t x = d->seed * 2654435761u ^ d->at * 2246822519u;

	x ^= x >> 15;
	x *= 2654435761u;
	return (x >> 13) % 8;
}

static bool_t dream_getlong(XDR *xdrs, long *ret)
{
	struct dream *d = xdrs->x_private;

	*ret = dream_word(d);
	d->at += 4;
	return d->at < 100000;
}

static bool_t dream_getbytes(XDR *xdrs, char *ret, u_int bytes)
{
	struct dream *d = xdrs->x_private;

	for (u_int i = 0; i < bytes; i++)
		ret[i] = 'a' + (dream_word(d) + i) % 26;
	d->at += bytes;
	return TRUE;
}

static u_int dream_getpos(XDR *xdrs)
{
	return ((struct dream *)xdrs->x_private)->at;
}

static bool_t dream_setpos(XDR *xdrs, u_int at)
{
	((struct dream *)xdrs->x_private)->at = at;
	return TRUE;
}

static int32_t *dream_inline(XDR *xdrs, u_int bytes)
{
	return NULL;
}

static bool dream_of(uint32_t seed, xdrproc_t proc, void *ret)
{
	static const struct xdr_ops ops = {
		.x_getlong = dream_getlong,
		.x_getbytes = dream_getbytes,
		.x_getpostn = dream_getpos,
		.x_setpostn = dream_setpos,
		.x_inline = dream_inline,
	};
	struct dream d = { .seed = seed };

	d.xdrs = (XDR){ .x_op = XDR_DECODE, .x_ops = &ops, .x_private = &d, .x_handy = 1 << 20 };
	if (proc(&d.xdrs, ret))
		return true;
	xdr_free(proc, ret);
	memset(ret, 0, BIGGEST_BYTES);
	return false;
}

static unsigned round_trips;

static void check_round_trip(xdrproc_t proc, uint32_t seed)
{
	const struct frame_header h = { .program = FRAME_PROGRAM_REMOTE };
	uint64_t first[BIGGEST_BYTES / 8] = { 0 }, second[BIGGEST_BYTES / 8] = { 0 };
	g_autoptr(GError) error = NULL;
	const uint8_t *data;
	size_t bytes;

	if (!dream_of(seed, proc, first))
		return;
	g_autoptr(GBytes) one = frame_encode(&h, 0, proc, first, &error);
	g_assert_no_error(error);
	data = g_bytes_get_data(one, &bytes);
	frame_decode(data + FRAME_HEADER_BYTES, bytes - FRAME_HEADER_BYTES, proc, second, &error);
	g_assert_no_error(error);
	g_autoptr(GBytes) two = frame_encode(&h, 0, proc, second, &error);
	g_assert_no_error(error);
	g_assert_true(g_bytes_equal(one, two));
	frame_free(proc, first);
	frame_free(proc, second);
	round_trips++;
}

static void check_cut_off(xdrproc_t proc, uint32_t seed)
{
	const struct frame_header h = { .program = FRAME_PROGRAM_REMOTE };
	uint64_t value[BIGGEST_BYTES / 8] = { 0 }, back[BIGGEST_BYTES / 8] = { 0 };
	const uint8_t *data;
	size_t bytes;

	if (!dream_of(seed, proc, value))
		return;
	g_autoptr(GBytes) whole = frame_encode(&h, 0, proc, value, NULL);
	data = g_bytes_get_data(whole, &bytes);
	data += FRAME_HEADER_BYTES;
	bytes -= FRAME_HEADER_BYTES;
	/* A copy of the exact length, so that the sanitizer sees what reads too far. */
	for (size_t cut = 0; cut < bytes; cut += 4) {
		g_autofree uint8_t *part = g_memdup2(data, cut);

		g_assert_false(frame_decode(part, cut, proc, back, NULL));
		memset(back, 0, sizeof(back));
	}
	frame_free(proc, value);
}

static const xdrproc_t types[] = {
#define X(nr, name, args, ret, need) (xdrproc_t)xdr_remote_##args, (xdrproc_t)xdr_remote_##ret,
	REMOTE_PROCEDURES(X)
#undef X
#define X(id, msg, name, type) (xdrproc_t)xdr_remote_##type,
	REMOTE_EVENTS(X)
#undef X
	(xdrproc_t)xdr_remote_error,
	(xdrproc_t)xdr_remote_event_network,
	(xdrproc_t)xdr_remote_event_pool,
	(xdrproc_t)xdr_remote_event_pool_refresh,
	(xdrproc_t)xdr_remote_old_event_lifecycle,
	(xdrproc_t)xdr_worker_hello_ret,
	(xdrproc_t)xdr_worker_start_args,
	(xdrproc_t)xdr_worker_powerdown_args,
	(xdrproc_t)xdr_worker_actions,
	(xdrproc_t)xdr_worker_console_args,
	(xdrproc_t)xdr_worker_stats_ret,
	(xdrproc_t)xdr_worker_balloon_args,
	(xdrproc_t)xdr_worker_period_args,
	(xdrproc_t)xdr_worker_open_args,
	(xdrproc_t)xdr_worker_tap_args,
	(xdrproc_t)xdr_worker_tap_ret,
	(xdrproc_t)xdr_worker_event_state,
	(xdrproc_t)xdr_worker_event_balloon,
	(xdrproc_t)xdr_worker_event_io_error,
};

static void every_type_fits_in_the_test(void)
{
#define X(nr, name, args, ret, need) \
	G_STATIC_ASSERT(sizeof(remote_##args) <= BIGGEST_BYTES); \
	G_STATIC_ASSERT(sizeof(remote_##ret) <= BIGGEST_BYTES);
	REMOTE_PROCEDURES(X)
#undef X
	G_STATIC_ASSERT(sizeof(worker_stats_ret) <= BIGGEST_BYTES);
}

static void every_struct_goes_to_bytes_and_back(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		for (uint32_t seed = 0; seed < SEEDS; seed++)
			check_round_trip(types[i], seed * 1000 + i);
	g_assert_cmpuint(round_trips, >, G_N_ELEMENTS(types) * SEEDS / 2);
}

static void a_struct_that_is_cut_off_is_refused(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		for (uint32_t seed = 0; seed < 3; seed++)
			check_cut_off(types[i], seed * 1000 + i);
}

static void a_huge_count_allocates_nothing(void)
{
	/* 16384 domains, 4 MiB of name: announced in 8 bytes. */
	static const uint8_t domains[] = { 0, 0, 0x40, 0, 0, 0, 0, 0 },
			     name[] = { 0, 0x40, 0, 0, 0, 0, 0, 0 };
	remote_domains_ret d = { 0 };
	remote_name_args n = { 0 };

	g_assert_false(frame_decode(domains, sizeof(domains), (xdrproc_t)xdr_remote_domains_ret, &d,
				    NULL));
	g_assert_null(d.domains.domains_val);
	g_assert_false(frame_decode(name, sizeof(name), (xdrproc_t)xdr_remote_name_args, &n, NULL));
	g_assert_null(n.name);
}

static unsigned items_looked_at;

static bool_t item_count(XDR *xdrs, void *item)
{
	items_looked_at++;
	return TRUE;
}

/* libtirpc would have allocated them all by the time it looks at the first. */
static void an_array_is_refused_before_its_first_item(void)
{
	uint8_t count[] = { 0, 0, 0x40, 0, 0, 0, 0, 0 };
	char *items = NULL;
	u_int n = 0;
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)count, sizeof(count), XDR_DECODE);
	g_assert_false(
		bound_array(&xdrs, &items, &n, 16384, 8, (xdrproc_t)(void (*)(void))item_count));
	g_assert_cmpuint(items_looked_at, ==, 0);
	g_assert_null(items);
}

static void a_text_with_a_nul_inside_is_refused(void)
{
	static const uint8_t text[] = { 0, 0, 0, 4, 'r', 'o', 0, 't' };
	remote_name_args n = { 0 };

	g_assert_false(frame_decode(text, sizeof(text), (xdrproc_t)xdr_remote_name_args, &n, NULL));
}

static void trailing_bytes_do_not_matter(void)
{
	static const uint8_t bytes[] = { 0, 0, 0, 7, 1, 2, 3, 4 };
	remote_int_args args = { 0 };

	g_assert_true(
		frame_decode(bytes, sizeof(bytes), (xdrproc_t)xdr_remote_int_args, &args, NULL));
	g_assert_cmpint(args.num, ==, 7);
}

static void a_parameter_name_of_80_bytes_is_refused(void)
{
	g_autofree char *name = g_strnfill(80, 'x');
	remote_param p = { .field = name, .value = { .type = 1 } };
	remote_params_only_ret ret = { .params = { 1, &p } };
	const struct frame_header h = { 0 };

	g_assert_null(frame_encode(&h, 0, (xdrproc_t)xdr_remote_params_only_ret, &ret, NULL));
	name[79] = 0;
	g_autoptr(GBytes) ok =
		frame_encode(&h, 0, (xdrproc_t)xdr_remote_params_only_ret, &ret, NULL);
	g_assert_nonnull(ok);
}

static void small_integers_take_a_word_each(void)
{
	static const struct {
		xdrproc_t proc;
		size_t bytes;
	} sizes[] = {
		{ (xdrproc_t)xdr_remote_node_info_ret, 32 * 4 + 8 + 6 * 4 },
		{ (xdrproc_t)xdr_remote_domain_info_ret, 4 + 8 + 8 + 4 + 8 },
		{ (xdrproc_t)xdr_remote_uuid_args, 16 },
	};
	const struct frame_header h = { 0 };
	uint64_t zero[BIGGEST_BYTES / 8] = { 0 };

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GBytes) b = frame_encode(&h, 0, sizes[i].proc, zero, NULL);

		g_assert_cmpuint(g_bytes_get_size(b), ==, FRAME_HEADER_BYTES + sizes[i].bytes);
	}
}

#define TEST(name) g_test_add_func("/xdr/" #name, name)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(every_type_fits_in_the_test);
	TEST(every_struct_goes_to_bytes_and_back);
	TEST(a_struct_that_is_cut_off_is_refused);
	TEST(a_huge_count_allocates_nothing);
	TEST(an_array_is_refused_before_its_first_item);
	TEST(a_text_with_a_nul_inside_is_refused);
	TEST(trailing_bytes_do_not_matter);
	TEST(a_parameter_name_of_80_bytes_is_refused);
	TEST(small_integers_take_a_word_each);
	return g_test_run();
}
