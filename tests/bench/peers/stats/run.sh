#!/bin/bash
# tests/bench/peers/stats/run.sh --serin PATH --data DIR [options of compare.py] -- serin and other
# judges on the same real recordings, side by side. run.sh --windows PATH-OF-bench_stats: the windows
# of bench_stats by scipy and confseq. The peers come from PyPI into build/peers-stats.
set -euo pipefail
cd "$(dirname "$0")/../../../.."
venv=build/peers-stats here=tests/bench/peers/stats
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    python3 -m venv "$venv"
    # confseq pins a pybind11 that does not know Python 3.11: it is built with a later one.
    "$venv/bin/pip" install -q 'pybind11==2.13.6' 'scikit-build==0.19.1' 'cmake==3.31.10' ninja \
        'setuptools<82' wheel >&2
    "$venv/bin/pip" install -q --no-build-isolation -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$venv/installed.txt"
fi
[ "${1:-}" != --windows ] || exec "$venv/bin/python" -B "$here/windows.py" "$2"
exec "$venv/bin/python" -B "$here/compare.py" "$@"
