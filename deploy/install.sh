#!/bin/sh
# deploy/install.sh LIST... -- install the Debian packages of the lists that are missing.
# Quiet when nothing is; as root, or through sudo. One package a line in a list.
set -eu

packages=$(cat "$@")
missing=
# Some packages bring what another list calls by its own name (nodejs from elsewhere: npm).
provided=" $(dpkg-query -W -f '${Provides} ' 2>/dev/null | tr -s ', ' ' ') "
for package in $packages; do
    case $provided in *" $package "*) continue ;; esac
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    case $state in
    ii*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "install.sh: no apt-get here; install what these Debian packages hold, then run" \
        "again:$missing" >&2
    exit 1
fi
root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "install.sh: not root and no sudo; as root run:" \
            "apt-get install$missing" >&2
        exit 1
    fi
    root=sudo
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of package names, to be split
install() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
        --no-install-recommends $missing >"$log" 2>&1 </dev/null
}
echo "Installing:$missing" >&2
# The package lists of a fresh machine are empty or old: read them when the first try fails.
if ! install; then
    $root apt-get update -q >"$log" 2>&1 </dev/null || true
    if ! install; then
        tail -n 15 "$log" >&2
        echo "install.sh: apt-get could not install the packages above. Offline? This step" \
            "needs a Debian mirror once; what is installed already is not asked for again." >&2
        exit 1
    fi
fi
