# SPDX-License-Identifier: Apache-2.0
# Debian's packages, those of this machine and those of arm64 guests. Read by the scripts beside it, which set `build`.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "setup: $*"; }
die() {
    say "$*" >&2
    exit 1
}

root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || die "not root and no sudo: as root, run: $*"
        sudo "$@"
    fi
}

apt_updated=
apt_update() {
    [ -n "$apt_updated" ] || root apt-get update -q
    apt_updated=yes
}

apt_install() {
    root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

missing_packages() { # package...
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s ' "$p"
    done
}

install_missing() { # package...
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    say "installing $missing"
    apt_update
    # shellcheck disable=SC2086 # a list
    apt_install $missing
}

# The machine's own Debian archive: "URI codename". No lists yet: apt knows no codename.
debian_archive() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' |
        awk '$2 !~ /-/ { print; exit }'
}

need_archive() {
    archive=$(debian_archive)
    [ -n "$archive" ] || { apt_update && archive=$(debian_archive); }
    [ -n "$archive" ] || die "apt's configuration has no Debian archive with component main"
    uri=${archive% *}
    codename=${archive#* }
}

# arm64 packages without a foreign architecture in dpkg: apt with state of its own, and only the
# Debian releases that the guests come from, whatever release this machine runs.
arm64_suites=bookworm
arm64_apt() {
    tool=$1
    shift
    "$tool" -q -oAPT::Architecture=arm64 -oAPT::Architectures::=arm64 -oAPT::Architectures::=armhf -oDir::State="$build/apt" \
        -oDir::State::Lists="$build/apt/lists" -oDir::State::Status="$build/apt/status" \
        -oDir::Cache="$build/apt/cache" -oDir::Etc::SourceList="$build/apt/sources.list" \
        -oDir::Etc::SourceParts=- -oAPT::Sandbox::User="$(id -un)" -oAcquire::Languages=none "$@"
}

arm64_ready=
arm64_update() {
    [ -z "$arm64_ready" ] || return 0
    need_archive
    mkdir -p "$build/apt/lists/partial" "$build/apt/cache/archives/partial"
    : >"$build/apt/status"
    for suite in $arm64_suites; do
        echo "deb [signed-by=$keyring] $uri $suite main"
    done >"$build/apt/sources.list"
    say "reading the list of arm64 packages"
    arm64_apt apt-get update
    arm64_ready=yes
}

# Sets deb to the package file of $1 (of architecture $2, else arm64), fetched when it is not in build/debs.
fetch() {
    arch=${2:-arm64}
    deb=$(find "$build/debs" -name "$1_*_$arch.deb" | sort | tail -n 1)
    [ -z "$deb" ] || return 0
    arm64_update
    say "fetching $1 ($arch)"
    (cd "$build/debs" && arm64_apt apt-get download "$1:$arch")
    deb=$(find "$build/debs" -name "$1_*_$arch.deb")
}
