#!/bin/sh
# Run a test program; any sanitizer report fails it (exit 86), since Criterion itself
# passes on leak and undefined-behaviour reports of its child processes.
LSAN_OPTIONS="suppressions=$(dirname "$0")/leaks.txt:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}"
export LSAN_OPTIONS
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
"$@" >"$out" 2>&1
code=$?
cat "$out"
if grep -qE 'runtime error:|ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer' "$out"; then
    exit 86
fi
if ! grep -qE 'Tested: [1-9]' "$out" && [ "$code" -eq 0 ]; then
    echo "run_clean.sh: no test ran" >&2
    exit 87
fi
exit "$code"
