#!/bin/sh
# Counts the words of real text and shows the most frequent ones. The text is that of $TEXT, or what
# is found on this machine: licences, manuals and the sources of the crates that were just built.
set -eu

target=$1
out=$target/demo
set --
if [ -n "${TEXT:-}" ]; then
    set -- --input "$TEXT"
else
    sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
    [ -d /usr/share/common-licenses ] && set -- "$@" --input /usr/share/common-licenses
    ls "$sources"/*/*/README.md >/dev/null 2>&1 && set -- "$@" --input "$sources/**/*.{md,rs}"
    [ $# -gt 0 ] || { echo "demo: no text was found on this machine; name a folder: make demo TEXT=folder" >&2; exit 1; }
fi
echo "\$ mr-engine submit $target/plugins/wordcount.wasm $* --output $out --overwrite"
"$target/release/mr-engine" submit "$target/plugins/wordcount.wasm" "$@" --output "$out" --overwrite
echo
echo "The most frequent words that are all letters:"
cat "$out"/part-r-* | LC_ALL=C grep -E '^[A-Za-z]+	[0-9]+$' | LC_ALL=C sort -t '	' -k 2,2nr -k 1,1 | head -n 20 |
    awk -F '\t' '{ printf "%12d  %s\n", $2, $1 }'
