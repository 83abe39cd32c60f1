#!/bin/sh
# debian.sh FOLDER [contents]
#
# Puts tables of what Debian tells of its packages into FOLDER, for tests and measurements on real data; does
# nothing where they are there already:
#
#   packages.tsv      package, section, priority, installed size in KiB, version; one line for each package
#   depends.tsv       package, name that it depends on; one line for each, alternatives too
#   descriptions.txt  one line of words for each package
#   words.txt         an English dictionary, one word a line (package wamerican)
#   contents.tsv      path, package: with `contents` only, some hundred megabytes
#
# They are taken through apt from the Debian mirror that this machine is configured with, in a private apt
# state: nothing on the system is installed, upgraded or re-listed, and every index and package is checked
# against Debian's archive keys. Where no mirror answers, the packages installed here serve, which are fewer.
set -eu

out=$1
what=${2:-packages}
say() { printf 'debian-data: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

has() {
    for name in "$@"; do [ -s "$out/$name" ] || return 1; done
}
tables="packages.tsv depends.tsv descriptions.txt words.txt"
# shellcheck disable=SC2086 # one word for each table is meant
if [ "$what" = contents ]; then has $tables contents.tsv && exit 0; else has $tables && exit 0; fi
command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || die "this is no Debian: there is no apt"

mkdir -p "$out"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/debian-data.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
log=$tmp/log
LC_ALL=C
export LC_ALL

# --- a private apt, of the newest suite that this machine is configured with, updates and security left out
keyring=
for k in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
    [ -r "$k" ] && { keyring=$k; break; }
done
source=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main' 2>>"$log" |
    grep debian | grep -v -e -security -e -updates -e -backports | head -n 1)
mkdir -p "$tmp/state/lists/partial" "$tmp/cache/archives/partial" "$tmp/deb"
: >"$tmp/status"
printf 'deb [signed-by=%s] %s main\n' "$keyring" "$source" >"$tmp/sources.list"
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
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb {
    MetaKey "\$(COMPONENT)/Contents-\$(ARCHITECTURE)";
    ShortDescription "Contents-\$(ARCHITECTURE)";
    Description "\$(RELEASE)/\$(COMPONENT) \$(ARCHITECTURE) Contents";
    PDiffs "false";
    KeepCompressed "true";
    DefaultEnabled "$([ "$what" = contents ] && echo true || echo false)";
};
Acquire::Retries "2";
APT::Sandbox::User "";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
CONF
aptget() { apt-get -q -c "$tmp/apt.conf" "$@" >>"$log" 2>&1; }
# cat_index KIND: the indexes of this kind one after the other, unpacked; Contents are in two, for packages of
# this architecture and of all.
cat_index() {
    apt-get -c "$tmp/apt.conf" indextargets --format '$(FILENAME)' "Created-By: $1" 2>>"$log" | sort -u |
        while read -r file; do /usr/lib/apt/apt-helper -c "$tmp/apt.conf" cat-file "$file"; done
}

if [ -n "$keyring" ] && [ -n "$source" ] && aptget update; then
    cat_index Packages >"$tmp/Packages"
else
    say "no mirror answered ($(tail -n 1 "$log")): taking the packages that are installed here"
    [ "$what" = packages ] || die "Contents are on mirrors only"
    cp /var/lib/dpkg/status "$tmp/Packages"
fi

# --- tables
awk -v packages="$tmp/packages.tsv" -v depends="$tmp/depends.tsv" -v descriptions="$tmp/descriptions.txt" '
    function end(    parts, count, i, names, names_count, j, name) {
        if (package != "" && !(package in seen)) {
            seen[package] = 1
            printf "%s\t%s\t%s\t%d\t%s\n", package, section, priority, size, version >packages
            print description >descriptions
            count = split(needs, parts, ",")
            for (i = 1; i <= count; i++) {
                names_count = split(parts[i], names, "|")
                for (j = 1; j <= names_count; j++) {
                    name = names[j]
                    sub(/^[ \t]+/, "", name)
                    sub(/[ \t:(\[<].*/, "", name)
                    if (name != "") printf "%s\t%s\n", package, name >depends
                }
            }
        }
        package = section = priority = version = description = needs = ""
        size = 0
    }
    /^$/ { end(); next }
    /^[ \t]/ { next }
    {
        field = $1
        value = $0
        sub(/^[^:]*:[ \t]*/, "", value)
        gsub(/\t/, " ", value)
        if (field == "Package:") package = value
        else if (field == "Section:") section = value
        else if (field == "Priority:") priority = value
        else if (field == "Installed-Size:") size = value
        else if (field == "Version:") version = value
        else if (field == "Description:") description = value
        else if (field == "Depends:" || field == "Pre-Depends:") needs = needs (needs == "" ? "" : ",") value
    }
    END { end() }
' "$tmp/Packages"
[ -s "$tmp/packages.tsv" ] || die "the index of packages has no package"
if (cd "$tmp/deb" && aptget download wamerican) && dpkg-deb -x "$tmp"/deb/wamerican_*.deb "$tmp/words"; then
    cp "$tmp/words/usr/share/dict/american-english" "$tmp/words.txt"
elif [ -r /usr/share/dict/words ]; then
    cp /usr/share/dict/words "$tmp/words.txt"
else
    # Not a dictionary, but words that somebody wrote: those of the licences.
    cat /usr/share/common-licenses/* | tr -cs 'A-Za-z' '\n' | sort -u >"$tmp/words.txt"
fi
if [ "$what" = contents ]; then
    cat_index Contents-deb | awk '{
        owners = $NF
        path = $0
        sub(/[ \t]+[^ \t]+$/, "", path)
        gsub(/\t/, " ", path)
        count = split(owners, names, ",")
        for (i = 1; i <= count; i++) {
            sub(/.*\//, "", names[i])
            printf "%s\t%s\n", path, names[i]
        }
    }' >"$tmp/contents.tsv"
    [ -s "$tmp/contents.tsv" ] || die "the mirror has no Contents of this architecture"
    tables="$tables contents.tsv"
fi
for name in $tables; do mv "$tmp/$name" "$out/$name"; done
say "$(wc -l <"$out/packages.tsv") packages, $(wc -l <"$out/depends.tsv") dependencies in $out"
