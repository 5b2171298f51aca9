# SPDX-License-Identifier: LGPL-2.1-or-later
# What the lint scripts share; sourced by bash.
top=${VMM_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${VMM_BUILDDIR:-$top}
count=0 bad=0

plan() { echo "1..$1"; }
# judge SENTENCE COMMAND...: what the command prints is what is wrong
judge() {
	local sentence=$1 found
	shift
	found=$("$@")
	count=$((count + 1))
	if [ -z "$found" ]; then echo "ok $count - $sentence"; return; fi
	printf '%s\n' "$found" | head -n 60 | sed 's/^/# /'
	echo "not ok $count - $sentence"
	bad=1
}
skip() { count=$((count + 1)); echo "ok $count - $1 # SKIP $2"; }
