#!/bin/sh
# cpp.sh [DIR]: what plugins in C++ are built with, into DIR/cpp/bin (DIR: target/toolchains).
. "$(dirname "$0")/ziglang.sh"
install_zig "${1:-target/toolchains}" cpp
