#!/bin/sh
# go.sh DIR: what plugins in Go are built with, put into DIR/bin.
#
# Debian's own packages are fetched through a private apt (nothing on the system is installed,
# upgraded or listed again; every index and package is checked against Debian's archive keys) and
# unpacked: Go is one static tree that runs from anywhere.
set -eu

series=1.27
suites=${GO_SUITES:-"trixie-backports forky sid"}

say() { printf '%s: %s\n' go.sh "$*" >&2; }
die() { say "$*"; exit 1; }

mkdir -p "$1"
dir=$(cd "$1" && pwd)
home=$dir/go-$series
finish() {
    mkdir -p "$dir/bin"
    ln -sf "../go-$series/bin/go" "$dir/bin/go"
    "$dir/bin/go" version >/dev/null || die "$dir/bin/go does not run here"
    exit 0
}
[ ! -x "$home/bin/go" ] || finish

command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 ||
    die "this machine has no apt; install Go $series from https://go.dev/dl and put it on PATH"
keyring=
for k in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
    [ -r "$k" ] && { keyring=$k; break; }
done
[ -n "$keyring" ] || die "Debian's archive keyring is missing; install the package debian-archive-keyring"

tmp=$(mktemp -d "$dir/new.XXXXXX")
log=$tmp/log
trap 'rc=$?; [ "$rc" -eq 0 ] || tail -n 5 "$log" >&2 2>/dev/null; rm -rf "$tmp"; exit "$rc"' EXIT
: >"$log"

# The mirrors of the configured Debian archives, the security archive left out.
mirrors=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' 2>>"$log" |
    sed 's#/*$##' | grep -v -e '-security$' -e '/security$' | awk '!seen[$0]++')
[ -n "$mirrors" ] || die "apt has no Debian mirror configured"

mkdir -p "$tmp/state/lists/partial" "$tmp/cache/archives/partial" "$tmp/deb" "$tmp/all"
: >"$tmp/status"
: >"$tmp/sources.list"
cat >"$tmp/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "$tmp/state";
Dir::State::status "$tmp/status";
Dir::Cache "$tmp/cache";
Dir::Etc::sourcelist "$tmp/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "2";
APT::Sandbox::User "";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
CONF
aptget() { apt-get -q -c "$tmp/apt.conf" "$@" >>"$log" 2>&1; }

# fetch PACKAGE: unpacks it below $tmp/all
fetch() {
    rm -f "$tmp"/deb/*.deb
    (cd "$tmp/deb" && aptget download "$1") && dpkg-deb -x "$tmp"/deb/*.deb "$tmp/all" >>"$log" 2>&1
}

say "fetching golang-$series of Debian (50 MB)"
for mirror in $mirrors; do
    for suite in $suites; do
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" >"$tmp/sources.list"
        aptget update && fetch "golang-$series-go" && fetch "golang-$series-src" || continue
        # The tree is split between two packages, and joined by links into /usr/share.
        goroot=$tmp/all/usr/lib/go-$series
        share=$tmp/all/usr/share/go-$series
        find "$goroot" -type l | while read -r link; do
            part=${link#"$goroot"/}
            [ ! -e "$share/$part" ] || { rm "$link" && mv "$share/$part" "$link"; }
        done
        [ -x "$goroot/bin/go" ] && [ -d "$goroot/src/runtime" ] && [ -f "$goroot/pkg/include/textflag.h" ] || continue
        mv -T "$goroot" "$home" 2>>"$log" || [ -x "$home/bin/go" ] || die "cannot write to $dir"
        finish
    done
done
die "no suite ($suites) of the configured Debian mirror has golang-$series; install Go $series from https://go.dev/dl and put it on PATH"
