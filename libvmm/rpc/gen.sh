#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# gen.sh RPCGEN -h|-c FILE.x OUTPUT: the generated header is included by its path from the root.
set -e
rpcgen=$1 mode=$2 in=$3 out=$4
base=$(basename "$in" .x)
header=${out%.[ch]}.h
mkdir -p "$(dirname "$out")"
trap 'rm -f "$out.tmp" "$out.new"' EXIT
"$rpcgen" "$mode" -i 0 "$in" > "$out.tmp"
sed -e "s,^#include \"\\(.*/\\)*$base\\.h\",#include \"$header\"," "$out.tmp" > "$out.new"
mv -f "$out.new" "$out"
