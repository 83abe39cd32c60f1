#!/bin/sh
# javascript.sh DIR [PACKAGE@VERSION]...: what plugins in JavaScript are built with, put into DIR/bin. From npm; needs node and npm.
set -eu

dir=$1
shift
set -- componentize-qjs@0.4.5 "$@"
[ "$(cat "$dir/installed" 2>/dev/null)" = "$*" ] && exit 0
command -v npm >/dev/null 2>&1 || { echo "javascript.sh: npm is missing; install node 20 or later with npm" >&2; exit 1; }
rm -rf "$dir"
mkdir -p "$dir"
npm install --prefix "$dir" --no-fund --no-audit --loglevel=error "$@" </dev/null
ln -s node_modules/.bin "$dir/bin"
echo "$*" >"$dir/installed"
