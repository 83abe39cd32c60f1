#!/bin/sh
# The plugin interface is a promise: wit/engine.wit may only change together with the version in its
# package line. wit/engine.wit.lock holds the version and the hash that belong together.
set -eu

cd "$(dirname "$0")/../wit"
version=$(sed -n 's/^package mr:engine@\(.*\);$/\1/p' engine.wit)
hash=$(sha256sum engine.wit | cut -d ' ' -f 1)
lock=engine.wit.lock
[ -n "$version" ] || { echo "check-wit: wit/engine.wit has no line 'package mr:engine@VERSION;'" >&2; exit 1; }
if [ "${1:-}" = --update ]; then
    grep -q "^$version " "$lock" 2>/dev/null &&
        { echo "check-wit: version $version is locked already; give wit/engine.wit a new version" >&2; exit 1; }
    echo "$version $hash" >>"$lock"
fi
grep -qx "$version $hash" "$lock" 2>/dev/null && exit 0
echo "check-wit: wit/engine.wit is not the one that is locked as version $version; give its package line a new" >&2
echo "version and run tools/check-wit.sh --update" >&2
exit 1
