#!/bin/sh
# assemblyscript.sh [DIR]: what plugins in AssemblyScript are built with, into
# DIR/assemblyscript/bin (DIR: target/toolchains). Node is taken from PATH.
set -eu

version=0.28.20

say() { printf '%s: %s\n' assemblyscript "$*" >&2; }
die() { say "$*"; exit 1; }

mkdir -p "${1:-target/toolchains}"
root=$(cd "${1:-target/toolchains}" && pwd)
home=$root/assemblyscript-$version
if [ ! -x "$home/node_modules/.bin/asc" ]; then
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 ||
        die "node and npm are not on PATH; install Node.js 20 or later"
    new=$(mktemp -d "$root/assemblyscript.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    say "fetching assemblyscript $version from npm (30 MB)"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$new" "assemblyscript@$version" >&2 ||
        die "npm could not fetch assemblyscript $version"
    mv -T "$new" "$home" 2>/dev/null || [ -x "$home/node_modules/.bin/asc" ] || die "cannot write to $root"
    trap - EXIT
fi
mkdir -p "$root/assemblyscript/bin"
ln -sf "$home/node_modules/.bin/asc" "$root/assemblyscript/bin/asc"
"$root/assemblyscript/bin/asc" --version >/dev/null || die "$root/assemblyscript/bin/asc does not run here"
say "asc $version is in $root/assemblyscript/bin"
