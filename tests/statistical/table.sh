#!/bin/bash
# tests/statistical/table.sh BUILD_DIR -- one table of all that the studies found in the last
# ctest run of this build: | suite | test | what |
set -euo pipefail

log=${1:?usage: tests/statistical/table.sh BUILD_DIR}/Testing/Temporary/LastTest.log
if ! rows=$(grep -E '^\| [a-z_]+ \| [a-z0-9_]+ \| ' "$log" | sort); then
    echo "table.sh: $log holds no row; run ctest -L statistical in this build first" >&2
    exit 1
fi
printf '| suite | test | found |\n|---|---|---|\n%s\n' "$rows"
