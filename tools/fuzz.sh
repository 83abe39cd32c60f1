#!/bin/sh
# Looks for inputs on which a decoder breaks its promise: fuzz.sh TARGET_DIR SECONDS [TARGET...]. What is found
# is written to TARGET_DIR/fuzz/found; new inputs that reach further are merged into the kept corpora.
set -eu

target=$1 seconds=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
project=$root/tests/fuzz/libfuzzer
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "make fuzz needs a nightly compiler: rustup toolchain install nightly" >&2
    exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "make fuzz needs cargo-fuzz: cargo install cargo-fuzz --locked" >&2
    exit 1
fi
mkdir -p "$target"
work=$(cd "$target" && pwd)/fuzz
all=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$project/Cargo.toml" | tail -n +2)
${CARGO:-cargo} run --quiet --release -p mr-fuzz --example seeds -- "$work/seeds"
failed=0
for name in ${*:-$all}; do
    kept=$root/tests/fuzz/corpus/$name
    mkdir -p "$work/corpus/$name" "$work/found/$name" "$kept"
    # Memory as targets promise to keep it; compiling a component takes more.
    limits="-rss_limit_mb=1024 -malloc_limit_mb=128 -timeout=20 -max_len=4096"
    [ "$name" = component ] && limits="-rss_limit_mb=2048 -malloc_limit_mb=512 -timeout=60 -max_len=16384"
    # shellcheck disable=SC2086
    CARGO_TARGET_DIR=$work cargo +nightly fuzz run --fuzz-dir "$project" --codegen-units 16 "$name" \
        "$work/corpus/$name" "$work/seeds/$name" "$kept" -- \
        "-max_total_time=$seconds" $limits "-artifact_prefix=$work/found/$name/" || failed=1
    # shellcheck disable=SC2086
    CARGO_TARGET_DIR=$work cargo +nightly fuzz run --fuzz-dir "$project" --codegen-units 16 "$name" \
        "$kept" "$work/corpus/$name" -- -merge=1 $limits "-artifact_prefix=$work/found/$name/" || failed=1
done
[ "$failed" = 0 ] || echo "what was found is in $work/found; keep it in tests/fuzz/corpus when it is mended" >&2
exit "$failed"
