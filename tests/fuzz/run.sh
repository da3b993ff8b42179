#!/bin/sh
# run.sh PROGRAM CORPUS: the ctest form of a fuzz target; SERIN_LONG=1: 10^8 executions
set -e
n=200000
[ -z "$SERIN_LONG" ] || n=100000000
exec "$1" -n "$n" -s 20240917 "$2"
