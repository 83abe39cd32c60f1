#!/bin/sh
# Runs all tests and says at the end how many passed and failed: cargo tells it only for each binary.
set -u

log=$(mktemp) && trap 'rm -f "$log" "$log.rc"' EXIT
{ ${CARGO:-cargo} test --release --workspace --no-fail-fast 2>&1; echo $? >"$log.rc"; } | tee "$log"
awk '/^test result:/ { passed += $4; failed += $6 }
     END { printf "\n%d passed, %d failed\n", passed, failed }' "$log"
exit "$(cat "$log.rc")"
