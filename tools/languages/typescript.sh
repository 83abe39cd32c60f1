#!/bin/sh
# typescript.sh DIR: what plugins in TypeScript are built with, put into DIR/bin.
exec sh "$(dirname "$0")/javascript.sh" "$1" typescript@5.9.3
