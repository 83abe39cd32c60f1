#!/bin/sh
# assemblyscript.sh DIR: what plugins in AssemblyScript are built with, put into DIR/bin. From npm; needs node and npm.
set -eu

dir=$1
version=0.28.20
[ -x "$dir/bin/asc" ] && "$dir/bin/asc" --version 2>/dev/null | grep -q " $version\$" && exit 0
command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 ||
    { echo "assemblyscript.sh: node and npm are missing; install Node.js 20 or later" >&2; exit 1; }
rm -rf "$dir"
mkdir -p "$dir/bin"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$dir" "assemblyscript@$version" >&2 ||
    { echo "assemblyscript.sh: npm could not fetch assemblyscript $version" >&2; exit 1; }
ln -sf ../node_modules/.bin/asc "$dir/bin/asc"
"$dir/bin/asc" --version >/dev/null
