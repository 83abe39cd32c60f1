#!/bin/sh
# build-plugins.sh TARGET_DIR NAME...                     builds these packages as components
# build-plugins.sh TARGET_DIR --examples PACKAGE NAME...  builds these examples of a package
# and puts each at TARGET_DIR/plugins/NAME.wasm, untouched where nothing changed.
set -eu

target=$1
shift
built=$target/wasm32-wasip2/guest
packages=
if [ "$1" = --examples ]; then
    packages="-p $2 --examples"
    built=$built/examples
    shift 2
else
    for name in "$@"; do packages="$packages -p $name"; done
fi
# shellcheck disable=SC2086 # one word for each package is meant
${CARGO:-cargo} build --profile guest --target wasm32-wasip2 $packages
mkdir -p "$target/plugins"
for name in "$@"; do
    component=$built/$(echo "$name" | tr - _).wasm
    cmp -s "$component" "$target/plugins/$name.wasm" || cp "$component" "$target/plugins/$name.wasm"
done
