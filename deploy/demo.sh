#!/bin/sh
# deploy/demo.sh [ARGUMENTS OF serin demo] -- from a fresh Debian 12 machine to the demo:
# installs what is missing (as root or with sudo), builds into build/, starts `serin demo`.
set -eu
cd "$(dirname "$0")/.."

deploy/install.sh deploy/packages.txt
# One of the services goes through HAProxy where there is one (2 MB; the demo starts its own
# process on unix sockets, with a configuration of its own).
[ -x /usr/sbin/haproxy ] || echo haproxy | deploy/install.sh - ||
    echo "demo.sh: going on without HAProxy; all requests are made up." >&2

log=build/demo-build.log
mkdir -p build
build() {
    cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DSERIN_TESTS=OFF \
        -DSERIN_WERROR=OFF && ninja -C build serin
}
[ -x build/serin ] || echo "Building serin (a minute or two) ..." >&2
if ! build >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    echo "demo.sh: the build failed, see $log. If build/ was made elsewhere or by another" \
        "generator, remove it and run again." >&2
    exit 1
fi
exec build/serin demo "$@"
