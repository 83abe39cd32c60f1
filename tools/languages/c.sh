#!/bin/sh
# c.sh [DIR]: what plugins in C are built with, into DIR/c/bin (DIR: target/toolchains).
. "$(dirname "$0")/ziglang.sh"
install_zig "${1:-target/toolchains}" c
