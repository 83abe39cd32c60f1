#!/bin/sh
# python.sh DIR: what plugins in Python are built with, put into DIR/bin. From PyPI; needs python3 with venv.
set -eu

dir=$1
version=0.25.1
[ -x "$dir/bin/componentize-py" ] && "$dir/bin/componentize-py" --version | grep -q " $version\$" && exit 0
command -v python3 >/dev/null 2>&1 || { echo "python.sh: python3 is missing; install it" >&2; exit 1; }
rm -rf "$dir"
python3 -m venv "$dir" || { echo "python.sh: python3 cannot make a venv; install python3-venv" >&2; exit 1; }
"$dir/bin/pip" install --quiet --disable-pip-version-check "componentize-py==$version"
