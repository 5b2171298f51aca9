/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a SOCKS client says, in pieces; and what a name server answers. */
#include "config.h"
#include "fuzz.h"

#include "images/agent/dns.h"
#include "libvmm/util/socks.h"

static void client(const uint8_t *data, size_t size)
{
	struct socks s = { 0 };
	uint8_t out[SOCKS_OUT_MAX];
	size_t used, answer;

	while (size > 0) {
		size_t n = MIN(size, (size_t)(data[0] & 7) + 1);
		enum socks_result r = socks_take(&s, data, n, &used, out, &answer);

		g_assert_cmpuint(used, <=, n);
		g_assert_cmpuint(answer, <=, sizeof(out));
		if (r == SOCKS_WANTS) {
			g_assert_true(s.host[0] && s.port && strlen(s.host) < sizeof(s.host));
			g_assert_true(g_str_is_ascii(s.host) && !strpbrk(s.host, " \"\\\n"));
		}
		if (r != SOCKS_MORE)
			break;
		g_assert_cmpuint(used, >, 0);
		data += used;
		size -= used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_address found[4];
	g_autofree uint8_t *exact = g_memdup2(data, size);	/* a byte too far is seen */

	client(data, size);
	int n = dns_read(exact, size, size < 2 ? 0 : (uint16_t)(data[0] << 8 | data[1]), found, 4);
	g_assert_true(n >= -1 && n <= 4);
	return 0;
}
