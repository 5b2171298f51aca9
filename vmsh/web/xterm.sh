#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The terminal for the pages, xterm.js, as three files in a folder: xterm.js,
# xterm.css, xterm-licence.txt.  xterm.sh HOW FOLDER SOURCES; HOW is
#   npm      the pinned release, by npm, checked against the digests below
#   debian   the package node-xterm (3.8.1)
#   auto     the first, and without a network the second
#   a folder that has the three files already
set -eu
how=$1 out=$2 src=$3
debian=/usr/share/nodejs/xterm/lib
mkdir -p "$out"

digest() {
	case $1 in
	@xterm/xterm@6.0.0) echo TQwDdQGtwwDt+2cgKDLn0IRaSxYu1tSUjgKarSDkUM0ZNiSRXFpjxEsvc/Zgc5kq5omJ+V0a8/kIM2WD3sMOYg== ;;
	@xterm/addon-fit@0.11.0) echo jYcgT6xtVYhnhgxh3QgYDnnNMYTcf8ElbxxFzX0IZo+vabQqSPAjC3c1wJrKB5E19VwQei89QCiZZP86DCPF7g== ;;
	esac
}

# fetch PACKAGE FOLDER: unpacked, if it is what we know
fetch() {
	mkdir "$2"
	(cd "$2" && timeout 60 npm pack --silent --fetch-retries=0 --fetch-timeout=15000 "$1" >/dev/null 2>&1) || return 1
	[ "$(sha512sum "$2"/*.tgz | cut -c1-128 | hex_to_base64)" = "$(digest "$1")" ] || {
		echo "xterm.sh: $1 is not what it was" >&2
		return 1
	}
	tar -xzf "$2"/*.tgz -C "$2"
}

hex_to_base64() { sed 's/../\\\\x&/g' | xargs printf '%b' | base64 -w0; }

from_npm() {
	command -v npm >/dev/null || return 1
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	fetch @xterm/xterm@6.0.0 "$tmp/x" && fetch @xterm/addon-fit@0.11.0 "$tmp/f" || return 1
	sed '/^\/\/# sourceMappingURL/d' "$tmp/x/package/lib/xterm.js" "$tmp/f/package/lib/addon-fit.js" >"$out/xterm.js"
	cp "$tmp/x/package/css/xterm.css" "$out/xterm.css"
	cp "$tmp/x/package/LICENSE" "$out/xterm-licence.txt"
}

# The package has modules for node: here they become one script, each a function of a table.
from_debian() {
	[ -e $debian/Terminal.js ] || return 1
	{
		echo '(() => { "use strict"; const modules = {'
		(cd $debian && find -L . -name '*.js' ! -name '*.test.js' ! -name 'TestUtils*' ! -path './addons/*' -o -path ./addons/fit/fit.js) |
			sed 's|^\./||' | LC_ALL=C sort | while read -r module; do
			printf '"%s": (module, exports, require) => {' "$module"
			sed '/^\/\/# sourceMappingURL/d' "$debian/$module"
			printf '\n},\n'
		done
		echo '};'
		cat "$src/modules.js"
		echo '})();'
	} >"$out/xterm.js"
	cp $debian/xterm.css "$out/xterm.css"
	cp /usr/share/doc/node-xterm/copyright "$out/xterm-licence.txt"
}

case $how in
auto) from_npm || from_debian || {
	echo "xterm.sh: npm can't be reached, and there is no node-xterm: apt-get install node-xterm" >&2
	exit 1
} ;;
npm) from_npm ;;
debian) from_debian ;;
*) cp "$how/xterm.js" "$how/xterm.css" "$how/xterm-licence.txt" "$out" ;;
esac
