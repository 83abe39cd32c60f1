#!/bin/sh
# Licences, sources and bans of the dependencies, which needs no network; known faults, too, where the
# advisory database can be had.
set -eu

if ! command -v cargo-deny >/dev/null 2>&1; then
    echo "audit: skipped, cargo-deny is not installed (cargo install --locked cargo-deny)" >&2
    exit 0
fi
cargo fetch --quiet
cargo deny --offline --log-level error check bans licenses sources
cargo deny --log-level error fetch db >/dev/null 2>&1 ||
    { echo "audit: known faults were not checked, the advisory database cannot be had from here" >&2; exit 0; }
cargo deny --log-level error check advisories
