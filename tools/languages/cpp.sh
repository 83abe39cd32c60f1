#!/bin/sh
# cpp.sh DIR: what plugins in C++ are built with, put into DIR/bin. From PyPI; needs python3 with pip.
. "$(dirname "$0")/ziglang.sh"
install_zig "$1"
