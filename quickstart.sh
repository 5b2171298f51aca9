#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# From a clean clone to a login prompt in a virtual machine, on a bare Debian 12 as root.
#
#   ./quickstart.sh            installs, builds, boots a guest, attaches its console to you
#   ./quickstart.sh --batch    the same without questions: drives the guest, checks each step
#   ./quickstart.sh --debian   a small Debian as the guest's root instead of busybox
#
# Everything it makes is in ./build (programs) and ./build/quickstart (images, state).
set -eu
cd "$(dirname "$0")"
export LC_ALL=C
top=$PWD build=$PWD/build work=$PWD/build/quickstart
batch='' debian=''
for a in "$@"; do
	case $a in
	--batch) batch=yes ;;
	--debian) debian=--debian ;;
	*) sed -n '3,10s/^# \{0,1\}//p' "$0"; [ "$a" = --help ] && exit 0 || exit 2 ;;
	esac
done
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }

say "packages"
images/packages install build run ${debian:+debian}
say "build"
[ -x configure ] && [ configure -nt configure.ac ] || autoreconf -fi >/dev/null 2>&1
mkdir -p "$work"
[ -e "$build/Makefile" ] || ( cd "$build" && ../configure -q )
make -s -C "$build" -j"$(nproc)"
export VMM_BUILDDIR=$build

say "a kernel, an initramfs and a root image"
images/get-kernel "$work"
images/make-initramfs "$work"
images/make-rootfs $debian "$work"

if ./run vmsh host-validate --quiet; then
	bin=$(mktemp -d) && tests/lab/lab-put "$build" "$bin"
	run_story() { sh tests/lab/quickstart-story "$bin" "$work" "$work/state" ${batch:+--batch}; }
else
	say "this host's KVM can't run Linux (./run vmsh host-validate says why): going on inside the lab, an emulated machine that has a real one"
	images/packages install lab
	run_story() { tests/lab/lab-story quickstart-story "$work" ${batch:+--batch}; }
fi
run_story
