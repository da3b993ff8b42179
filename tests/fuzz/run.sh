#!/bin/sh
# run.sh PROGRAM CORPUS: the ctest form of a fuzz target; SERIN_LONG=1: 10^8 executions
set -e
n=200000
case $1 in *fuzz_import_*) n=2000 ;; esac # each opens a file
[ -z "$SERIN_LONG" ] || n=100000000
exec "$1" -n "$n" -s 20240917 "$2"
