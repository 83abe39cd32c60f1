#!/bin/sh
# build-plugins.sh TARGET_DIR NAME...: builds the packages as components and puts each at
# TARGET_DIR/plugins/NAME.wasm, untouched where nothing changed.
set -eu

target=$1
shift
packages=
for name in "$@"; do packages="$packages -p $name"; done
# shellcheck disable=SC2086 # one word for each package is meant
${CARGO:-cargo} build --profile guest --target wasm32-wasip2 $packages
mkdir -p "$target/plugins"
for name in "$@"; do
    built=$target/wasm32-wasip2/guest/$(echo "$name" | tr - _).wasm
    cmp -s "$built" "$target/plugins/$name.wasm" || cp "$built" "$target/plugins/$name.wasm"
done
