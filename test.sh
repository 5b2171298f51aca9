#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Install what the tests need (on Debian, as root), build, and run them all:
# "make check" (unit, payload guests, daemon, shell, lint) and "make check-lab"
# (real Linux guests).  The last line counts: N passed, N failed, N skipped.
#
#   ./test.sh [--no-lab] [--sanitizers]
set -u
cd "$(dirname "$0")" || exit 1
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

lab=yes build=build-test flags=--enable-werror
while [ $# -gt 0 ]; do
	case $1 in
	--no-lab) lab=no ;;
	--sanitizers) build=build-san flags="$flags --enable-sanitizers" ;;
	*) echo "usage: ./test.sh [--no-lab] [--sanitizers]" >&2; exit 2 ;;
	esac
	shift
done

# images/packages says what is needed for what; one list for both commands.
images/packages install build test || exit 1

mkdir -p "$build"
log=$PWD/$build/test-run.log
: >"$log"
status=0
step() {
	echo "== $*" | tee -a "$log"
	"$@" 2>&1 | tee -a "$log"
	[ "${PIPESTATUS[0]}" -eq 0 ] || { echo "== failed: $*"; status=1; return 1; }
}

[ -x configure ] && [ configure -nt configure.ac ] || step autoreconf -fi || exit 1
( cd "$build" && { [ -e Makefile ] || ../configure -q $flags; } ) || exit 1
step make -s -C "$build" -j"$(nproc)" all || exit 1
find "$build" -name '*.trs' -delete
step make -s -C "$build" -k -j"$(nproc)" check
[ $lab = yes ] && step make -s -C "$build" check-lab

# One line for each test: from automake's result files, since programs that run side by side
# may cut each other's lines on the terminal, and as the lab's stories print them.
results=$build/test-results
{
	find "$build" -name '*.trs' -exec sed -n 's/^:test-result: \([A-Z]*\).*/\1: /p' {} +
	sed -n '/^== .* check-lab$/,$p' "$log" | grep -E '^(PASS|FAIL|ERROR|SKIP): '
} >"$results"
count() { grep -cE "^($1): " "$results"; }
passed=$(count PASS) failed=$(count 'FAIL|ERROR|XPASS') skipped=$(count SKIP)
if [ "$failed" -gt 0 ] || [ "$skipped" -gt 0 ]; then
	echo "== not passed:"
	{
		find "$build" -name '*.trs' | sed 's/trs$/log/' | sort | xargs cat
		grep '^[A-Z]*: .' "$results"
	} | grep -E '^(FAIL|ERROR|XPASS|SKIP): '
fi
[ "$passed" -gt 0 ] || status=1
[ "$failed" -eq 0 ] || status=1
if [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
exit $status
