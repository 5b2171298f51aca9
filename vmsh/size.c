/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and durations as people write and read them. */
#include "config.h"
#include "vmsh/size.h"

#include <math.h>
#include <string.h>

static bool suffix_shift(const char *s, unsigned *ret)
{
	static const char letters[] = "BKMGTPE";
	const char *at = strchr(letters, g_ascii_toupper(*s));

	if (!*s || !at)
		return false;
	*ret = (at - letters) * 10;
	return !s[1] || (*ret && (g_ascii_strcasecmp(s + 1, "iB") == 0 ||
				  g_ascii_strcasecmp(s + 1, "B") == 0));
}

bool size_parse(const char *text, uint64_t unit, uint64_t *ret)
{
	unsigned shift;
	double number;
	char *end;

	if (!g_ascii_isdigit(*text) || strpbrk(text, "xX"))
		return false;
	if (text[strspn(text, "0123456789")] == '\0') {
		guint64 n = g_ascii_strtoull(text, NULL, 10);

		if (n > G_MAXINT64 / unit)
			return false;
		*ret = n * unit;
		return true;
	}
	number = g_ascii_strtod(text, &end);
	if (*end == '\0')
		number *= unit;
	else if (suffix_shift(end, &shift))
		number = ldexp(number, shift);
	else
		return false;
	if (!isfinite(number) || number >= ldexp(1, 63))
		return false;
	*ret = number;
	return true;
}

char *size_text(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = bytes;
	unsigned u = 0;

	while (n >= 1024 && u + 1 < G_N_ELEMENTS(units)) {
		n /= 1024;
		u++;
	}
	if (n == floor(n) || n >= 1000)
		return g_strdup_printf("%.0f %s", n, units[u]);
	return g_strdup_printf("%.3g %s", n, units[u]);
}

char *duration_text(uint64_t s)
{
	unsigned long long m = s / 60, h = m / 60, d = h / 24;

	if (d > 0)
		return g_strdup_printf("%llud %lluh", d, h % 24);
	if (h > 0)
		return g_strdup_printf("%lluh %llum", h, m % 60);
	if (m > 0)
		return g_strdup_printf("%llum %llus", m, (unsigned long long)s % 60);
	return g_strdup_printf("%llus", (unsigned long long)s);
}

bool duration_parse(const char *text, uint64_t *ret_ms)
{
	static const struct {
		const char *suffix;
		double ms;
	} units[] = { { "", 1e3 }, { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 36e5 },
		      { "d", 864e5 } };
	char *end;
	double n = g_ascii_strtod(text, &end);

	if (!g_ascii_isdigit(text[0]) || !(n < 1e9))
		return false;
	for (unsigned i = 0; i < G_N_ELEMENTS(units); i++) {
		if (g_str_equal(end, units[i].suffix)) {
			*ret_ms = (uint64_t)(n * units[i].ms);
			return true;
		}
	}
	return false;
}
