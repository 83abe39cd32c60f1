#!/bin/sh
# Checks what building needs and installs the WebAssembly target where it is missing. Says in one
# sentence what cannot be had.
set -eu

die() { echo "setup: $*" >&2; exit 1; }

command -v cargo >/dev/null 2>&1 || die "cargo is not on PATH; install Rust 1.95 or later (https://rustup.rs)"
command -v cc >/dev/null 2>&1 || die "there is no C compiler (cc), which some dependencies need; install gcc or clang"
log=$(mktemp) && trap 'rm -f "$log"' EXIT
if ! sh "$(dirname "$0")/install-wasm-target.sh" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
grep -v 'is already installed' "$log" >&2 || true
