#!/bin/sh
# with_env.sh FILE COMMAND...: run a command with the variables that a fixture wrote
set -e
set -a
# shellcheck disable=SC1090
. "$1"
set +a
shift
exec "$@"
