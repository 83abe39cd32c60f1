#!/bin/sh
# zig.sh [DIR]: what plugins in Zig are built with, into DIR/zig/bin (DIR: target/toolchains).
. "$(dirname "$0")/ziglang.sh"
install_zig "${1:-target/toolchains}" zig
