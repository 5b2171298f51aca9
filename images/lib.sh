# SPDX-License-Identifier: LGPL-2.1-or-later
# What the image scripts share: messages, checks, stamps, packages.  Sourced by sh.
#
# A result is made anew when what it is made of has changed (its stamp differs), or when the file is
# not what was written (its checksum differs); else the script says so and ends at once.
set -eu
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
me=images/$(basename "$0")
top=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '%s: %s\n' "$me" "$*"; }
die() { printf '%s: %s\n' "$me" "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing: apt-get install $2"; }
usage() { sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"; exit "$1"; }

# target DIR: makes it and goes there; from now on names are relative
target() {
	mkdir -p "$1"
	cd "$1"
	tmp=$(mktemp -d .new.XXXXXX)
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 130' INT TERM
}

# fresh FILE STAMP: it was made of the same things, and is still what was written
fresh() {
	[ -e "$1" ] && [ -e "$1.stamp" ] && [ "$(head -n 1 "$1.stamp")" = "$2" ] &&
		tail -n +2 "$1.stamp" | sha256sum --check --quiet --status 2>/dev/null
}

# finished FILE STAMP: $tmp/FILE becomes FILE, with its stamp
finished() {
	rm -f "$1.stamp"
	mv "$tmp/$1" "$1"
	{ echo "$2"; sha256sum "$1"; } >"$tmp/stamp"
	mv "$tmp/stamp" "$1.stamp"
	say "$1: $(du -h "$1" | cut -f1), sha256 $(cut -c1-16 "$1.stamp" | tail -n 1)..."
}

# download PACKAGE...: the .deb files into $tmp; apt checks their signatures and sums
download() {
	(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$@") ||
		die "apt-get download $* failed: is there a network? Did apt-get update run?"
}

# ours TREE: what busybox calls static, from the package or from this host
find_busybox() {
	busybox=$(command -v busybox || true)
	if [ -n "$busybox" ] && ! ldd "$busybox" >/dev/null 2>&1; then return; fi
	say "fetching busybox-static"
	download busybox-static
	dpkg-deb -x "$tmp"/busybox-static_*.deb "$tmp/busybox"
	busybox=$PWD/$tmp/busybox/bin/busybox
	[ -x "$busybox" ] || busybox=$PWD/$tmp/busybox/usr/bin/busybox
}

# Files of an image belong to root, whoever makes it.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else need fakeroot fakeroot; fakeroot -- "$@"; fi
}
