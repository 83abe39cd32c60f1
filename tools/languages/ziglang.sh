# Read by c.sh, cpp.sh and zig.sh: one download, ziglang of the Python package index, is the
# compiler of all three. Its folder is moved into place whole, so an interrupted run leaves none.
set -eu

version=0.17.1

# install_zig DIR: puts `zig` into DIR/bin, and what it needs beside DIR.
install_zig() {
    name=${0##*/}
    say() { printf '%s: %s\n' "$name" "$*" >&2; }
    die() { say "$*"; exit 1; }
    mkdir -p "$1/bin"
    dir=$(cd "$1" && pwd)
    root=$(dirname "$dir")
    home=$root/ziglang-$version
    if [ ! -x "$home/ziglang/zig" ]; then
        command -v python3 >/dev/null 2>&1 || die "python3 is missing; install it, with pip"
        new=$(mktemp -d "$root/ziglang.XXXXXX")
        trap 'rm -rf "$new"' EXIT
        say "fetching ziglang $version from the Python package index (100 MB)"
        python3 -m pip --quiet --disable-pip-version-check download --no-deps --only-binary :all: \
            --dest "$new" "ziglang==$version" >&2 || die "pip could not fetch ziglang $version"
        python3 -m zipfile -e "$new"/ziglang-*.whl "$new/all" || die "the package ziglang $version cannot be unpacked"
        chmod +x "$new/all/ziglang/zig"
        mv -T "$new/all" "$home" 2>/dev/null || [ -x "$home/ziglang/zig" ] || die "cannot write to $root"
        rm -rf "$new"
        trap - EXIT
    fi
    ln -sf "$home/ziglang/zig" "$dir/bin/zig"
    [ "$("$dir/bin/zig" version)" = "$version" ] || die "$dir/bin/zig does not run here"
}
