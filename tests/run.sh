#!/bin/bash
# tests/run.sh -- install what the tests need, build, run all of them.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

usage() {
    cat <<'TEXT'
Usage: tests/run.sh [--long] [--no-install] [-L LABEL] [-R NAME] [-j JOBS]

  --long        the long forms: more replicates, more fuzzing, longer chaos (hours)
  --no-install  do not look for missing Debian packages
  -L LABEL      only tests whose label matches: lint unit property statistical
                integration fuzz threads replay
  -R NAME       only tests whose name matches
  -j JOBS       tests at a time where they may run together (default: processors)

Builds: build/tests (warnings are errors), build/asan (address and undefined-behaviour
sanitizers: unit and fuzz tests and the whole engine run there), build/tsan (thread
sanitizer: threads).
Exit code 0 only when every test passed and at least one ran.
TEXT
}

long=0 install=1 label='' name='' jobs=$(nproc)
while [ $# -gt 0 ]; do
    case $1 in
    --long) long=1 ;;
    --no-install) install=0 ;;
    -L | -R | -j)
        if [ $# -lt 2 ]; then
            echo "run.sh: $1 needs a value" >&2
            exit 2
        fi
        case $1 in
        -L) label=$2 ;;
        -R) name=$2 ;;
        -j) jobs=$2 ;;
        esac
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "run.sh: unknown argument $1; see tests/run.sh --help" >&2
        exit 2
        ;;
    esac
    shift
done

started=$SECONDS
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
failed=0 summary=() form=(-DSERIN_LONG=OFF)
if [ "$long" -eq 1 ]; then
    export SERIN_LONG=1
    form=(-DSERIN_LONG=ON)
fi

step() { printf '\n== %s (%d s)\n' "$*" $((SECONDS - started)); }
note() {
    summary+=("$1")
    printf '%s\n' "$1"
}

# build NAME TARGET-PATTERN [CMAKE OPTIONS]: an empty pattern builds everything.
build() {
    local dir=build/$1 pattern=$2 log=$out/build-$1.log
    local -a targets=()
    shift 2
    step "building $dir"
    if ! cmake -S . -B "$dir" -G Ninja -DSERIN_TESTS=ON "${form[@]}" "$@" \
        >"$log" 2>&1; then
        tail -n 30 "$log"
        note "$dir: cmake failed (made elsewhere? remove $dir and run again)"
        failed=1
        return 1
    fi
    if [ -n "$pattern" ]; then
        mapfile -t targets < <(ninja -C "$dir" -t targets all | sed 's/: .*//' |
            grep -E "^($pattern)$" | sort -u)
        [ ${#targets[@]} -gt 0 ] || return 1
    fi
    if ! ninja -C "$dir" "${targets[@]}" >"$log" 2>&1; then
        grep -E -A 12 'FAILED|error:' "$log" | head -n 60
        note "$dir: the build failed"
        failed=1
        return 1
    fi
}

# run TITLE BUILD [CTEST OPTIONS]: adds to the totals; a run that selects nothing is fine.
passed_all=0 failed_all=0
run() {
    local title=$1 dir=build/$2 log=$out/ctest.log line total bad
    shift 2
    [ -n "$label" ] && set -- "$@" -L "$label"
    [ -n "$name" ] && set -- "$@" -R "$name"
    step "$title"
    ctest --test-dir "$dir" --output-on-failure --no-tests=ignore "$@" 2>&1 | tee "$log"
    local code=${PIPESTATUS[0]}
    line=$(grep -E '^[0-9]+% tests passed' "$log" | tail -n 1)
    total=$(sed -E 's/.* out of ([0-9]+).*/\1/' <<<"${line:-0}")
    bad=$(sed -E 's/.*, ([0-9]+) tests failed.*/\1/' <<<"${line:-0}")
    [ "$total" -gt 0 ] && note "$title: ${line}"
    passed_all=$((passed_all + total - bad))
    failed_all=$((failed_all + bad))
    if [ "$code" -ne 0 ]; then
        failed=1
        sed -n '/The following tests FAILED/,/^$/p' "$log" >>"$out/failures"
    fi
}

wants() { [ -z "$label" ] || grep -qE "$label" <<<"$1"; }

if [ "$install" -eq 1 ]; then
    deploy/install.sh deploy/packages.txt tests/packages.txt || exit 1
fi

if wants integration && ! tests/support/kafka.sh fetch; then
    note "Kafka could not be downloaded: tests on a real broker will fail"
    failed=1
fi

built=0
if build tests '' -DSERIN_WERROR=ON; then
    built=1
    run "lint" tests -L lint -j "$jobs"
    run "quick tests" tests -LE 'lint|integration|replay|threads' -j "$jobs"
    if [ "$long" -eq 1 ] && tests/statistical/table.sh build/tests >build/statistical.md; then
        note "what the studies found: build/statistical.md"
    fi
fi
# Quick to compile, good to read; that warnings are errors was seen above.
checked=(-DCMAKE_BUILD_TYPE=None "-DCMAKE_C_FLAGS=-O1 -g1" -DSERIN_WERROR=OFF)
# Sanitizers where bytes from outside are read and memory is handed around: each layer by
# itself, then the whole engine.
whole='integration-(run|demo|ingest-worker-fake)'
if wants unit || wants fuzz || wants integration; then
    if build asan "serin|(unit|fuzz)[-_][^/]*|$whole" -DSERIN_ASAN=ON "${checked[@]}"; then
        run "unit and fuzz tests under ASan and UBSan" asan -L 'unit|fuzz' -j "$jobs"
        # A -R of the caller would take the place of this one and choose what is not built.
        [ -n "$name" ] || run "the engine under ASan and UBSan" asan -L integration -R "^$whole\$"
    fi
fi
if wants threads; then
    build tsan 'threads-[^/]*' -DSERIN_TSAN=ON "${checked[@]}" &&
        run "thread tests under TSan" tsan -L threads
fi
# Brokers and processes. Most of them wait most of the time, so two at once; what loads the
# machine, or measures, says RUN_SERIAL and has it to itself.
[ "$built" -eq 1 ] && run "integration tests" tests -L 'integration|replay' -j "$jobs"

step "summary"
if [ -s "$out/failures" ]; then cat "$out/failures"; fi
for line in "${summary[@]}"; do printf '%s\n' "$line"; done
total=$((passed_all + failed_all))
if [ "$total" -eq 0 ]; then
    echo "run.sh: no test ran" >&2
    exit 1
fi
printf '%d%% tests passed, %d tests failed out of %d\n' $((100 * passed_all / total)) \
    "$failed_all" "$total"
printf '%d passed, %d failed\n' "$passed_all" "$failed_all"
[ "$failed" -eq 0 ]
